"""Marks of sessions in two hands: one per session cluster, against the plain reference."""

from __future__ import annotations

import random
from collections import Counter

import ibis

from brokenseal import schema
from brokenseal.detectors import two_hands
from brokenseal.findings import check_hits
from detector_references_sessions import members, two_hands_by_session, two_hands_marks
from detector_runner import Runner
from detector_worlds import World
from detector_worlds_sessions import WANTED, MarkedRunner, add_sessions, shuffled
from support import TABLES

WORLDS = 12
MARKS = f"marks:{two_hands.ID}"
RUN = Runner(two_hands.mark, two_hands.READS)


def world_of(seed):
    world = World(random.Random(seed))
    add_sessions(world)
    return world.rows


def marked(rows):
    return {row["unit"]: (row["state"], row["bin"], row["reason"]) for row in rows}


def test_marks_equal_their_plain_reference_in_any_order_and_every_bin_occurs():
    said = Counter()
    for seed in range(WORLDS):
        world = world_of(seed)
        expected = two_hands_marks(world)
        said.update(name or reason for _, name, reason in expected.values())
        rows = RUN(world)
        assert len(rows) == len(expected)
        assert marked(rows) == expected
        assert marked(RUN(shuffled(world, random.Random(seed)))) == expected
    assert set(two_hands.BINS) <= set(said)
    assert set(two_hands.REASONS) <= set(said)


def test_reads_of_other_mailboxes_and_sessions_change_no_mark():
    for seed in range(4):
        world = world_of(seed)
        before = marked(RUN(world))
        other = [
            {
                **row,
                "event_id": f"o{row['event_id']}",
                "mailbox_key": "m9",
                "actor_key": "z@corp.example",
                "session_id": f"z{row['session_id']}",
            }
            for row in world.get("mail_accesses", ())
        ]
        after = marked(RUN({**world, "mail_accesses": world.get("mail_accesses", []) + other}))
        assert {unit: after[unit] for unit in before} == before


def test_find_without_wanted_units_is_by_session_and_tells_the_units():
    run = Runner(two_hands.find, two_hands.READS)
    for seed in range(WORLDS):
        # The reference of the sessions knows the older kind of addresses alone.
        world = {name: [row for row in rows if ":" not in row["client_ip"]] for name, rows in world_of(seed).items()}
        hits = run(world)
        assert {(h["variant"], h["group_key"], h["role"], h["event_id"]) for h in hits} == two_hands_by_session(world)
        fired = {unit: name for unit, (state, name, _) in two_hands_marks(world).items() if state == "fired"}
        of = {row["event_id"]: row["cluster"] for row in members(world)}
        for hit in hits:
            unit = of.get(hit["event_id"])
            assert (hit["unit"], hit["bin"]) == ((unit, fired[unit]) if unit in fired else (None, None))


def test_find_cites_wanted_units_alone_with_the_other_hand_beside_them():
    run = MarkedRunner(two_hands.find, two_hands.READS, {MARKS: schema.MARK, "wanted_units": WANTED})
    cited = Counter()
    for seed in range(WORLDS):
        world = world_of(seed)
        marks = RUN(world)
        fired = sorted(row["unit"] for row in marks if row["state"] == "fired")
        wanted = fired[::2]
        hits = run(world, {MARKS: marks, "wanted_units": [{"unit": unit} for unit in wanted]})
        assert {hit["unit"] for hit in hits} == set(wanted)
        of = {row["event_id"]: row["cluster"] for row in members(world)}
        for unit in wanted:
            own = [hit for hit in hits if hit["unit"] == unit]
            reads = {hit["event_id"] for hit in own if of.get(hit["event_id"]) == unit}
            assert reads == {event for event, cluster in of.items() if cluster == unit}
            assert len({(hit["variant"], hit["bin"], hit["group_key"]) for hit in own}) <= 2
            cited.update({hit["bin"] for hit in own if len({hit["client_ip"] for hit in own}) > 1})
    assert set(two_hands.BINS) <= set(cited), "each bin shows both places"


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in two_hands.READS.items()
    }
    found = two_hands.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")
    tables["wanted_units"] = ibis.table({"unit": "string"}, name="wanted_units")
    tables[MARKS] = ibis.table(schema.MARK.ibis_schema(), name="marks")
    check_hits(two_hands.ID, two_hands.find(tables))
    assert "SELECT" in ibis.to_sql(two_hands.find(tables), dialect="pyspark")

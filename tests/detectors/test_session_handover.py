"""Sessions handed on: marks and hits against the plain reference, and the cases."""

from __future__ import annotations

import random
from collections import Counter

import ibis

from brokenseal import schema
from brokenseal.detectors import session_handover
from brokenseal.findings import check_hits
from detector_references_sessions import handover_hits, handover_marks
from detector_runner import Runner
from detector_worlds import World
from detector_worlds_sessions import WANTED, MarkedRunner, add_handovers, add_sessions, shuffled
from support import TABLES

WORLDS = 12
MARKS = f"marks:{session_handover.ID}"
RUN = Runner(session_handover.mark, session_handover.READS)


def world_of(seed):
    world = World(random.Random(seed))
    (add_sessions if seed % 3 == 0 else add_handovers)(world)
    return world.rows


def marked(rows):
    return {row["unit"]: (row["state"], row["bin"], row["reason"]) for row in rows}


def test_marks_equal_their_plain_reference_in_any_order_and_every_bin_occurs():
    said = Counter()
    for seed in range(WORLDS):
        world = world_of(seed)
        expected = handover_marks(world)
        said.update(name or reason for _, name, reason in expected.values())
        rows = RUN(world)
        assert len(rows) == len(expected)
        assert marked(rows) == expected
        assert marked(RUN(shuffled(world, random.Random(seed)))) == expected
    assert set(session_handover.BINS) <= set(said)
    assert set(session_handover.REASONS) <= set(said)


def test_hits_equal_their_plain_reference():
    run = Runner(session_handover.find, session_handover.READS)
    roles = Counter()
    for seed in range(WORLDS):
        world = world_of(seed)
        hits = run(world)
        expected = handover_hits(world)
        roles.update(role for _, _, role, _ in expected)
        assert {(h["variant"], h["group_key"], h["role"], h["event_id"]) for h in hits} == expected
        assert all(hit["bin"] == hit["variant"] and hit["group_key"].startswith(f"{hit['unit']} ") for hit in hits)
    assert set(roles) == {"read", "sign_in", "second_sign_in"}


def test_find_cites_wanted_units_alone():
    run = MarkedRunner(session_handover.find, session_handover.READS, {MARKS: schema.MARK, "wanted_units": WANTED})
    for seed in range(WORLDS):
        world = world_of(seed)
        marks = RUN(world)
        wanted = sorted(row["unit"] for row in marks if row["state"] == "fired")[::2]
        hits = run(world, {MARKS: marks, "wanted_units": [{"unit": unit} for unit in wanted]})
        assert {(h["variant"], h["group_key"], h["role"], h["event_id"]) for h in hits} == {
            hit for hit in handover_hits(world) if hit[1].split(" ")[0] in wanted
        }


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in session_handover.READS.items()
    }
    found = session_handover.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")
    check_hits(session_handover.ID, session_handover.find(tables))
    assert "SELECT" in ibis.to_sql(session_handover.find(tables), dialect="pyspark")

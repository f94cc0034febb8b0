"""Doors: marks and hits against the plain reference, what later records may change, and the golden chain."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.detectors import open_door
from brokenseal.findings import check_hits
from detector_references_doors import START, add_doors, marks
from detector_references_doors import open_door as expected_hits
from detector_runner import Runner
from detector_worlds import World
from support import TABLES, arrow_table

seeds = st.integers(0, 2**32)


def world_of(generator):
    world = World(generator)
    add_doors(world)
    return world.rows


def shuffled(world, generator):
    """The same records in another order, some of them delivered twice."""
    mixed = {}
    for name, drawn in world.items():
        mixed[name] = drawn + [row for row in drawn if generator.random() < 0.5]
        generator.shuffle(mixed[name])
    return mixed


@pytest.fixture(scope="module")
def mark():
    run = Runner(open_door.mark, open_door.READS)

    def marked(world):
        rows = run(world)
        assert len({row["unit"] for row in rows}) == len(rows), "a unit is marked twice"
        return {row["unit"]: (row["state"], row["bin"]) for row in rows}

    return marked


def test_marks_equal_their_plain_reference_in_any_order_and_all_kinds_and_uses_occur(mark):
    said = Counter()

    @settings(max_examples=6, deadline=None, derandomize=True, database=None)
    @given(seed=seeds)
    def check(seed):
        generator = random.Random(seed)
        world = world_of(generator)
        expected = marks(world)
        said.update(name for _, name in expected.values())
        assert mark(world) == expected
        assert mark(shuffled(world, generator)) == expected

    check()
    named = [name for name in said if name]
    assert set(named) <= set(open_door.BINS)
    levels = {level for name in named for level in name.split(":")}
    assert levels >= {"strange", "unsaid", "new", "usual", "fast", "week", "uses"}
    assert len(levels & set(open_door.DETECTOR.variants)) >= 11, "the worlds are too tame; the cases hold every kind"


def test_hits_equal_their_plain_reference_and_keep_to_the_units_asked_for():
    run = Runner(open_door.find, open_door.READS)
    found = Counter()

    @settings(max_examples=4, deadline=None, derandomize=True, database=None)
    @given(seed=seeds)
    def check(seed):
        world = world_of(random.Random(seed))
        expected = expected_hits(world)
        found.update(role for _, _, role, _ in expected)
        hits = run(world)
        assert {(hit["variant"], hit["unit"], hit["role"], hit["event_id"]) for hit in hits} == expected
        bins = {unit: name for unit, (_, name) in marks(world).items()}
        assert all(hit["bin"] == bins[hit["unit"]] for hit in hits)

    check()
    assert found["use"] > 0


APP = "5a95e683-08ad-424e-a441-1d1aec52c02c"
ADMIN = "admin@corp.example"


def at(clock, *, days=20):
    """A time of day some days after the start of the log."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return START.replace(hour=hours, minute=minutes, second=seconds) + dt.timedelta(days=days)


def change(event_id, clock, kind, **columns):
    row = {"event_id": event_id, "occurred_at": at(clock), "tenant_id": "t", "change": kind, "actor_key": ADMIN}
    return {**row, "client_ip": "8.8.8.8", "ip_class": "public", **columns}


def read(event_id, clock, days=20, **columns):
    row = {"event_id": event_id, "occurred_at": at(clock, days=days), "tenant_id": "t", "mailbox_key": "m1"}
    row |= {"mailbox_upn": "anna@corp.example", "session_id": "s1", "effective_app": APP, "protocol": "rest"}
    return {**row, "client_ip": "8.8.8.8", "ip_class": "public", **columns}


def golden(**more):
    """Role at 13:27:20, credential at 13:29:25, mail read at 13:32:07, in a log that reaches back twenty days."""
    world = {
        "events": [{"event_id": "h", "occurred_at": START, "tenant_id": "t", "actor_key": ADMIN}],
        "config_changes": [
            change("role", "13:27:20", "app_role_grant", rights=["Mail.ReadWrite"], changed_app_id=APP,
                   changed_app_name="Notes"),
            change("key", "13:29:25", "app_credential", changed_app_name="Notes"),
        ],
        "mail_accesses": [read("read", "13:32:07")],
    }  # fmt: skip
    return {name: world.get(name, []) + more.get(name, []) for name in {*world, *more}}


def test_the_golden_chain_is_two_doors_used_at_once_and_one_reading_that_used_the_stronger(mark):
    assert mark(golden()) == {
        "role": ("fired", "app_mail_role:new:strange:fast"),
        "key": ("fired", "credential:new:strange:fast"),
        "read": ("fired", "uses:app_mail_role:new:strange:fast"),
    }


def test_what_happens_later_changes_neither_who_opened_a_door_nor_from_where(mark):
    later = dt.timedelta(days=2)
    again = [{**row, "event_id": f"{row['event_id']}2", "occurred_at": row["occurred_at"] + later}
             for row in golden()["config_changes"]]  # fmt: skip
    seen = {"occurred_at": at("13:00:00"), "tenant_id": "t", "actor_key": ADMIN, "client_ip": "8.8.8.8"}
    marked = mark(golden(config_changes=again, events=[{"event_id": "same_day", **seen, "ip_class": "public"}]))
    assert marked["role"] == ("fired", "app_mail_role:new:strange:fast")
    assert marked["key"] == ("fired", "credential:new:strange:fast")
    # Two days later the network is known, and the administrator has done so before; the reading began long ago.
    assert marked["role2"] == ("fired", "app_mail_role:usual:known:none")
    assert marked["key2"] == ("fired", "credential:usual:known:none")


PLACES = (
    ({"client_ip": None, "ip_class": None}, "unsaid"),
    ({"client_ip": "2603:10a6::1", "ip_class": "microsoft"}, "unsaid"),
    ({"client_ip": "10.0.0.1", "ip_class": "private"}, "unsaid"),
    ({"ip_class": None}, "strange"),
    ({"client_ip": "9.9.9.9"}, "known"),
    ({"client_ip": "9.9.7.7"}, "known"),
)


def test_a_place_is_strange_only_where_the_record_says_it(mark):
    usual = {"occurred_at": START, "tenant_id": "t", "client_ip": "9.9.9.9", "ip_class": "public"}
    world = {
        "events": [{"event_id": f"e{number}", "actor_key": f"a{number}", **usual} for number in range(len(PLACES))],
        "config_changes": [
            change(f"door{number}", "13:00:00", "strong_auth", **{**columns, "actor_key": f"a{number}"})
            for number, (columns, _) in enumerate(PLACES)
        ],
    }
    assert mark(world) == {
        f"door{number}": ("fired", f"strong_auth:{place}") for number, (_, place) in enumerate(PLACES)
    }


def test_a_short_log_knows_no_strange_place_and_a_door_without_an_actor_is_not_assessable(mark):
    world = golden()
    world["events"] = [{**row, "occurred_at": at("13:00:00", days=7)} for row in world["events"]]
    assert mark(world)["key"] == ("fired", "credential:new:unsaid:fast")
    world["config_changes"] = [{**row, "actor_key": None} for row in world["config_changes"]]
    assert mark(world) == {"role": ("not_assessable", None), "key": ("not_assessable", None)}


READING = (
    ([], "none"),
    ([{"clock": "14:29:25"}], "fast"),
    ([{"clock": "14:29:26"}], "week"),
    ([{"clock": "13:29:25", "days": 27}], "week"),
    ([{"clock": "13:29:26", "days": 27}], "none"),
    ([{"clock": "13:29:24"}], "none"),
    ([{"clock": "13:32:07", "tenant_id": "u"}], "none"),
    ([{"clock": "13:32:07", "tenant_id": None}], "fast"),
    ([{"clock": "13:00:00", "days": 1}, {"clock": "13:32:07"}], "none"),
    ([{"clock": "13:00:00", "days": 1, "client_ip": "7.7.7.7"}, {"clock": "13:32:07"}], "fast"),
)
REQUESTS = (({}, "fast"), ({"reads_mail": None}, "none"), ({"status_code": 403}, "none"), ({"app_id": "x"}, "none"))


def used_at(world):
    """The world with ten credentials at 13:29:25, each of another administrator for another application."""
    doors = [
        change(f"key{number}", "13:29:25", "app_credential", changed_app_id=f"app{number}", actor_key=f"a{number}")
        for number in range(10)
    ]
    return {**world, "config_changes": doors}


def test_reading_uses_a_credential_within_a_week_unless_it_went_on_before(mark):
    reads = [
        read(f"r{number}-{place}", session_id=f"s{number}", effective_app=f"app{number}", **columns)
        for number, (given, _) in enumerate(READING)
        for place, columns in enumerate(given)
    ]
    marked = mark(used_at({"mail_accesses": reads}))
    assert {unit: name for unit, (_, name) in marked.items() if unit.startswith("key")} == {
        f"key{number}": f"credential:new:unsaid:{use}" for number, (_, use) in enumerate(READING)
    }


def test_requests_that_only_microsoft_graph_logs_use_a_door_too(mark):
    requests = [
        {"event_id": f"g{number}", "occurred_at": at("13:40:00"), "tenant_id": "t", "app_id": f"app{number}",
         "reads_mail": True, "status_code": 200, **columns}
        for number, (columns, _) in enumerate(REQUESTS)
    ]  # fmt: skip
    marked = mark(used_at({"graph_requests": requests}))
    assert set(marked) == {f"key{number}" for number in range(10)}
    for number, (_, use) in enumerate(REQUESTS):
        assert marked[f"key{number}"] == ("fired", f"credential:new:unsaid:{use}")


CHAIN = golden(mail_accesses=[read("second", "15:00:00", session_id="s2")])


@pytest.fixture(scope="module")
def ready():
    """The tables of `CHAIN` on an engine, with the small parts that several functions share worked out."""
    tables = {
        name: ibis.memtable(arrow_table(name, CHAIN.get(name, ())), schema=TABLES[name].ibis_schema())
        for name in TABLES
    }
    for name, part in open_door.parts(tables).items():
        tables[name] = ibis.memtable(part().to_pyarrow())
    return tables


def test_doors_and_uses_name_every_link_and_parts_worked_out_before_give_the_same_marks(mark, ready):
    doors = {row["unit"]: row for row in open_door.doors(ready).to_pyarrow().to_pylist()}
    assert {unit: (row["kind"], row["app"], row["use_cluster"], row["network"]) for unit, row in doors.items()} == {
        "role": ("app_mail_role", APP, "read", "net:8.8"),
        "key": ("credential", APP, "read", "net:8.8"),
    }
    links = {(row["cluster"], row["unit"]) for row in open_door.uses(ready).to_pyarrow().to_pylist()}
    assert links == {(cluster, unit) for cluster in ("read", "second") for unit in ("role", "key")}
    marked = {row["unit"]: (row["state"], row["bin"]) for row in open_door.mark(ready).to_pyarrow().to_pylist()}
    assert marked == mark(CHAIN)


def test_hits_are_given_for_the_units_asked_for(ready):
    wanted = ibis.memtable(pa.table({"unit": ["key"]}))
    hits = open_door.find({**ready, "wanted_units": wanted}).to_pyarrow().to_pylist()
    assert {(hit["unit"], hit["role"], hit["event_id"]) for hit in hits} == {
        ("key", "door", "key"),
        ("key", "use", "read"),
    }


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {name: ibis.table(table.ibis_schema(), name=name) for name, table in TABLES.items()}
    cut = {name: tables[name].select(*columns) for name, columns in open_door.READS.items()}
    found = open_door.mark(cut)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    check_hits(open_door.ID, open_door.find(cut))
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")


def test_every_bin_names_a_variant_and_says_what_it_means():
    kinds = {name.removeprefix("uses:").partition(":")[0] for name in open_door.BINS}
    assert kinds == set(open_door.DETECTOR.variants)
    assert len(set(open_door.BINS.values())) == len(open_door.BINS)
    assert not [name for name in open_door.BINS if name.startswith("uses:") and name.endswith(":none")]

"""How much strange clients read: marks against the plain reference, and the cases through the whole chain."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import ibis
import pytest

from brokenseal import schema
from brokenseal.detectors import strange_volume, stranger_client
from brokenseal.findings import check_hits
from detector_references_sessions import members, strange_marks, volume_marks
from detector_worlds import World
from detector_worlds_sessions import WANTED, MarkedRunner, add_volume, rows_of_case, shuffled
from support import TABLES, make_tables

WORLDS = 12
STRANGE = f"marks:{stranger_client.ID}"
OWN = f"marks:{strange_volume.ID}"
RUN = MarkedRunner(strange_volume.mark, strange_volume.READS, {STRANGE: schema.MARK})
CASES = sorted((Path(__file__).parent / "cases" / strange_volume.ID).glob("*.json"))


def world_of(seed):
    generator = random.Random(seed)
    world = World(generator)
    add_volume(world)
    return world.rows, strange_marks(world.rows, generator)


def marked(rows):
    return {row["unit"]: (row["state"], row["bin"], row["reason"]) for row in rows}


def test_marks_equal_their_plain_reference_in_any_order_and_every_bin_occurs():
    said = Counter()
    for seed in range(WORLDS):
        world, strange = world_of(seed)
        expected = volume_marks(world, strange)
        said.update(name or reason for _, name, reason in expected.values())
        rows = RUN(world, {STRANGE: strange})
        assert len(rows) == len(expected)
        assert marked(rows) == expected
        assert marked(RUN(shuffled(world, random.Random(seed)), {STRANGE: strange})) == expected
    assert set(strange_volume.BINS) <= set(said)
    assert set(strange_volume.REASONS) <= set(said)


@pytest.mark.parametrize(
    ("messages", "name"),
    [(1, "1-2"), (2, "1-2"), (3, "3-5"), (100, "31-100"), (101, "101-300"), (1000, "301-1000"), (1001, "throttled")],
)
def test_bins_begin_where_they_say_and_a_count_beyond_what_is_recorded_is_open_upwards(messages, name):
    world = World(random.Random(0))
    add_volume(world)
    read = {**world.rows["mail_accesses"][0], "access_type": "bind", "is_throttled": None}
    items = [
        {"event_id": read["event_id"], "occurred_at": read["occurred_at"], "internet_message_id": f"<{number}@x>"}
        for number in range(messages)
    ]
    rows = RUN(
        {"mail_accesses": [read], "accessed_items": items}, {STRANGE: [{"unit": read["event_id"], "state": "fired"}]}
    )
    assert marked(rows) == {read["event_id"]: ("fired", name, None)}


def test_find_cites_the_reads_of_wanted_units_alone():
    run = MarkedRunner(
        strange_volume.find, strange_volume.READS, {STRANGE: schema.MARK, OWN: schema.MARK, "wanted_units": WANTED}
    )
    for seed in range(4):
        world, strange = world_of(seed)
        marks = RUN(world, {STRANGE: strange})
        wanted = sorted(row["unit"] for row in marks if row["state"] == "fired")[::2]
        extra = {STRANGE: strange, OWN: marks, "wanted_units": [{"unit": unit} for unit in wanted]}
        bins = {row["unit"]: row["bin"] for row in marks}
        assert {(hit["unit"], hit["bin"], hit["event_id"]) for hit in run(world, extra)} == {
            (row["cluster"], bins[row["cluster"]], row["event_id"])
            for row in members(world)
            if row["cluster"] in wanted
        }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_with_the_strangeness_that_the_logs_themselves_show(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    hits = strange_volume.find(make_tables(rows_of_case(case))).to_pyarrow().to_pylist()
    columns = sorted({column for hit in case["hits"] for column in hit})
    found = sorted(({column: hit[column] for column in columns} for hit in hits), key=repr)
    assert len(hits) == len(case["hits"])
    assert found == sorted(({column: hit.get(column) for column in columns} for hit in case["hits"]), key=repr)


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in strange_volume.READS.items()
    }
    tables[STRANGE] = ibis.table(schema.MARK.ibis_schema(), name="strange")
    found = strange_volume.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")
    check_hits(strange_volume.ID, strange_volume.find(tables))
    assert "SELECT" in ibis.to_sql(strange_volume.find(tables), dialect="pyspark")

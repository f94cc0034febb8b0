"""How strange clients got in: marks against the plain reference, and the cases through the whole chain."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import ibis
import pytest

from brokenseal import schema
from brokenseal.detectors import session_handover, stranger_client, unknown_device
from brokenseal.findings import check_hits
from detector_references_sessions import entry_marks, members, strange_marks
from detector_worlds import World
from detector_worlds_sessions import WANTED, MarkedRunner, add_entries, rows_of_case, shuffled
from support import TABLES, make_tables

WORLDS = 30
STRANGE, HANDED = f"marks:{stranger_client.ID}", f"marks:{session_handover.ID}"
OWN = f"marks:{unknown_device.ID}"
GIVEN = {STRANGE: schema.MARK, HANDED: schema.MARK}
RUN = MarkedRunner(unknown_device.mark, unknown_device.READS, GIVEN)
CASES = sorted((Path(__file__).parent / "cases" / unknown_device.ID).glob("*.json"))


def world_of(seed):
    generator = random.Random(seed)
    world = World(generator)
    add_entries(world)
    strange = strange_marks(world.rows, generator)
    handed = [{**row, "state": "fired"} for row in strange if generator.random() < 0.05]
    return world.rows, {STRANGE: strange, HANDED: handed}


def marked(rows):
    return {row["unit"]: (row["state"], row["bin"], row["reason"]) for row in rows}


def test_marks_equal_their_plain_reference_in_any_order_and_every_bin_occurs():
    said = Counter()
    for seed in range(WORLDS):
        world, given = world_of(seed)
        expected = entry_marks(world, given[STRANGE], given[HANDED])
        said.update(name or reason for _, name, reason in expected.values())
        rows = RUN(world, given)
        assert len(rows) == len(expected)
        assert marked(rows) == expected
        if seed % 4 == 0:
            assert marked(RUN(shuffled(world, random.Random(seed)), given)) == expected
    assert set(unknown_device.BINS) <= set(said)
    assert set(unknown_device.REASONS) <= set(said)


def test_find_cites_the_reads_of_wanted_units_and_the_sign_ins_from_their_network():
    run = MarkedRunner(unknown_device.find, unknown_device.READS, {**GIVEN, OWN: schema.MARK, "wanted_units": WANTED})
    shown = Counter()
    for seed in range(14):
        world, given = world_of(seed)
        marks = RUN(world, given)
        wanted = sorted(row["unit"] for row in marks if row["state"] == "fired")[::2]
        bins = {row["unit"]: row["bin"] for row in marks}
        hits = run(world, {**given, OWN: marks, "wanted_units": [{"unit": unit} for unit in wanted]})
        assert {(hit["unit"], hit["bin"], hit["event_id"]) for hit in hits if hit["role"] == "read"} == {
            (row["cluster"], bins[row["cluster"]], row["event_id"])
            for row in members(world)
            if row["cluster"] in wanted
        }
        accounts = {row["event_id"]: row.get("actor_key") for row in world["sign_ins"]}
        for hit in hits:
            shown[hit["role"]] += 1
            if hit["role"] == "sign_in":
                assert accounts[hit["event_id"]] == hit["actor_key"]
                assert hit["unit"] in wanted
    assert shown["sign_in"] > 5


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_with_the_strangeness_that_the_logs_themselves_show(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    hits = unknown_device.find(make_tables(rows_of_case(case))).to_pyarrow().to_pylist()
    columns = sorted({column for hit in case["hits"] for column in hit})
    found = sorted(({column: hit[column] for column in columns} for hit in hits), key=repr)
    assert found == sorted(({column: hit.get(column) for column in columns} for hit in case["hits"]), key=repr)


def test_every_variant_has_a_case_and_one_case_stays_quiet():
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in CASES]
    assert {hit["variant"] for case in cases for hit in case["hits"]} == set(unknown_device.DETECTOR.variants)
    assert any(not case["hits"] for case in cases)


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in unknown_device.READS.items()
    }
    tables |= {name: ibis.table(schema.MARK.ibis_schema(), name=name[6:8]) for name in GIVEN}
    found = unknown_device.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")
    check_hits(unknown_device.ID, unknown_device.find(tables))
    assert "SELECT" in ibis.to_sql(unknown_device.find(tables), dialect="pyspark")

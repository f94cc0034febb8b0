"""Marks of reads from suspect addresses: one per session cluster, against the plain reference."""

from __future__ import annotations

import random
from collections import Counter

import ibis

from brokenseal import schema
from brokenseal.detectors import suspect_address
from brokenseal.findings import check_hits
from detector_references_sessions import members, suspect_marks
from detector_runner import Runner
from detector_worlds import world_of
from detector_worlds_sessions import WANTED, MarkedRunner, shuffled
from support import TABLES

WORLDS = 25
RUN = Runner(suspect_address.mark, suspect_address.READS)


def marked(rows):
    return {row["unit"]: (row["state"], row["bin"], row["reason"]) for row in rows}


def test_marks_equal_their_plain_reference_in_any_order_and_every_bin_occurs():
    said = Counter()
    for seed in range(WORLDS):
        world = world_of(suspect_address.ID, random.Random(seed))
        expected = suspect_marks(world)
        said.update(name or reason for _, name, reason in expected.values())
        rows = RUN(world)
        assert len(rows) == len(expected)
        assert marked(rows) == expected
        if seed % 5 == 0:
            assert marked(RUN(shuffled(world, random.Random(seed)))) == expected
    assert {*suspect_address.BINS, "no_address", "microsoft_address"} <= set(said)


def test_find_tells_the_unit_of_each_read_and_cites_wanted_units_alone():
    every = Runner(suspect_address.find, suspect_address.READS)
    run = MarkedRunner(suspect_address.find, suspect_address.READS, {"wanted_units": WANTED})
    for seed in range(3):
        world = world_of(suspect_address.ID, random.Random(seed))
        of = {row["event_id"]: row["cluster"] for row in members(world)}
        hits = every(world)
        assert all(hit["unit"] == of.get(hit["event_id"]) and hit["bin"] for hit in hits)
        wanted = sorted({hit["unit"] for hit in hits if hit["unit"]})[::2]
        cited = run(world, {"wanted_units": [{"unit": unit} for unit in wanted]})
        assert {hit["event_id"] for hit in cited} == {hit["event_id"] for hit in hits if hit["unit"] in wanted}


def test_marks_and_hits_have_the_declared_columns_and_compile_for_spark():
    tables = {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in suspect_address.READS.items()
    }
    found = suspect_address.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")
    check_hits(suspect_address.ID, suspect_address.find(tables))

"""Marks of impossible tokens: one per session cluster, against the plain reference."""

from __future__ import annotations

import random
from collections import Counter

import ibis
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.detectors import impossible_token
from detector_references_tokens import marks
from detector_runner import Runner
from detector_worlds import world_of
from support import TABLES


def test_marks_equal_their_plain_reference_and_most_bins_occur():
    run = Runner(impossible_token.mark, impossible_token.READS)
    said = Counter()

    @settings(max_examples=20, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed):
        world = world_of("token.impossible", random.Random(seed))
        expected = marks(world)
        said.update(bin_ for _, bin_ in expected.values())
        assert {row["unit"]: (row["state"], row["bin"]) for row in run(world)} == expected

    check()
    assert len(set(said) - {None}) >= 8, "the worlds are too tame; the cases hold every bin"


def test_marks_have_the_declared_columns_and_compile_for_spark():
    tables = {name: ibis.table(table.ibis_schema(), name=name) for name, table in TABLES.items()}
    found = impossible_token.mark(tables)
    declared = dict(schema.MARK.ibis_schema().items())
    assert {name: dtype.copy(nullable=True) for name, dtype in found.schema().items()} == declared
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")

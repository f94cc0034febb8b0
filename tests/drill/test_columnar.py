"""Declared tables of the drill and how columns become Arrow tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.drill import tables
from brokenseal.drill._columnar import BOOL, INT32, REQUIRED, STRING, STRINGS, TEXT, TIME, Column, Table

ALL = (*tables.WORKING_TABLES, *tables.TRUTH_TABLES)

TOY = Table(
    name="toys",
    row="one toy",
    columns=(
        Column(name="toy_no", dtype=INT32, meaning="Number"),
        Column(name="colour", dtype=TEXT, meaning="Colour", default="red"),
        Column(name="label", dtype=STRING, meaning="Label", default=None),
        Column(name="tags", dtype=STRINGS, meaning="Tags", default=()),
        Column(name="at", dtype=TIME, meaning="When", default=None),
        Column(name="is_new", dtype=BOOL, meaning="New", default=False),
    ),
)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_every_column_is_named_once_and_explained(table):
    assert len(set(table.names)) == len(table.names)
    assert all(len(column.meaning) >= 3 for column in table.columns)
    assert table.row


def test_table_names_are_unique():
    working = [table.name for table in tables.WORKING_TABLES]
    truth = [table.name for table in tables.TRUTH_TABLES]
    assert len(set(working)) == len(working)
    assert len(set(truth)) == len(truth)


@pytest.mark.parametrize("table", tables.WORKING_TABLES, ids=lambda table: table.name)
def test_working_times_are_whole_microseconds(table):
    kinds = {name: table.arrow_schema().field(name).type for name in table.names if name.endswith("_us")}
    assert all(kind == pa.int64() for kind in kinds.values())


@pytest.mark.parametrize("table", tables.WORKING_TABLES, ids=lambda table: table.name)
def test_truth_columns_have_benign_defaults(table):
    defaults = {column.name: column.default for column in table.columns if column.name.startswith("truth_")}
    expected = {"truth_actor_kind": "owner", "truth_attack_id": None, "truth_instance": -1, "truth_stage": None}
    assert {name: defaults[name] for name in defaults if name in expected} == (expected if defaults else {})


def test_left_out_columns_take_their_defaults():
    built = tables.build(TOY, 2, {"toy_no": np.array([1, 2])})

    assert built.to_pylist() == [
        {"toy_no": 1, "colour": "red", "label": None, "tags": [], "at": None, "is_new": False},
        {"toy_no": 2, "colour": "red", "label": None, "tags": [], "at": None, "is_new": False},
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "toys.toy_no is required"),
        ({"toy_no": 1, "size": 3}, r"toys has no column \['size'\]"),
        ({"toy_no": np.array([1, 2, 3])}, "toys.toy_no has 3 rows, expected 2"),
        ({"toy_no": 1, "colour": ["red"]}, "toys.colour has 1 rows, expected 2"),
    ],
)
def test_a_wrong_column_is_refused_by_name(values, message):
    with pytest.raises(ValueError, match=message):
        tables.build(TOY, 2, values)


def test_times_are_written_as_utc_timestamps_and_read_back_as_microseconds():
    built = tables.build(TOY, 1, {"toy_no": 1, "at": np.array([1_767_571_200_000_001])})

    assert built["at"][0].as_py().isoformat() == "2026-01-05T00:00:00.000001+00:00"
    assert tables.numbers(built, "at").tolist() == [1_767_571_200_000_001]


@given(st.lists(st.lists(st.sampled_from(["red", "blue", "", None]), max_size=5), max_size=4))
def test_text_survives_joining_tables_with_different_dictionaries(parts):
    built = [tables.build(TOY, len(part), {"toy_no": 1, "colour": part}) for part in parts] or [tables.empty(TOY)]

    joined = tables.concat(built)

    assert tables.words(joined, "colour").tolist() == [word for part in parts for word in part]
    codes = tables.coded(joined, "colour")
    assert len(set(codes.words)) == len(codes.words)
    assert codes.take(np.arange(len(codes.codes))[::-1]).codes.tolist() == codes.codes[::-1].tolist()


def test_numbers_of_different_days_never_meet():
    seen = np.concatenate([tables.row_number(day, 1000) for day in (-40, -1, 0, 1, 400)])
    assert len(np.unique(seen)) == len(seen)
    assert (np.diff(seen) > 0).all()


def test_required_marks_what_has_no_default():
    required = {column.name for column in tables.INTENT.columns if column.default is REQUIRED}
    assert {"intent_id", "starts_at_us", "identity_no", "client_class", "address"} <= required
    assert not required & {"token_source", "iat_shift_s", "claim_tenant_wrong", "session_copied"}

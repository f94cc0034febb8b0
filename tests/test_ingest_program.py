"""What is derived once per combination: alike however many there are at a time, and remembered within bounds."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pyarrow as pa
import pytest

from brokenseal import _ingest_program
from brokenseal._ingest_plan import Way
from brokenseal._ingest_program import Program
from brokenseal.model import Lookup
from brokenseal.sources.unified_audit import SOURCE

NUMBERS = count()


@pytest.fixture(scope="module")
def program():
    return Program(Way(columnar=SOURCE.columnar["bare_record"]))


def counting(kind="string"):
    """A lookup that says how often it was asked for what."""
    asked = []

    def derive(keys):
        asked.append(keys["a"])
        return {"of": keys["a"] if kind == "string" else [keys["a"]]}

    key = {"a": lambda raw: raw.UserId, "b": lambda raw: raw.UserKey}
    return Lookup(name=f"count_{next(NUMBERS)}", keys=key, derive=derive, columns={"of": kind}), asked


def combinations(*values):
    return pa.table(
        {"a": pa.array(values, pa.string()), "b": pa.array(values, pa.string()), "records": [[1]] * len(values)}
    )


@pytest.mark.parametrize("at_once", [1, 2, 3, 8])
def test_combinations_keep_their_numbers_however_many_are_derived_at_once(program, monkeypatch, at_once):
    monkeypatch.setattr(_ingest_program, "_DERIVED_AT_ONCE", at_once)
    lookup, _ = counting()

    found = program.derived(lookup, combinations("x", None, "y")).to_pydict()

    assert found == {f"{lookup.name}__at": [0, 1, 2], f"{lookup.name}__of": ["x", None, "y"]}


@pytest.mark.parametrize("values", [("x", "y"), ()])
def test_records_that_a_lookup_is_not_for_stand_behind_the_last_combination(program, values):
    lookup, _ = counting()
    lookup = replace(lookup, only=lambda raw: raw.UserId.notnull())

    found = program.derived(lookup, combinations(*values)).to_pydict()

    assert found[f"{lookup.name}__of"] == [*values, None]


def test_what_recurs_is_derived_once_unless_it_is_long(program):
    lookup, asked = counting()
    long = "l" * 1_000

    for _ in range(3):
        program.derived(lookup, combinations("x", long))

    assert asked == ["x", long, long, long]


@pytest.mark.parametrize(("kind", "limit"), [("string", "_KNOWN_COMBINATIONS"), ("array<string>", "_KNOWN_LISTS")])
def test_what_is_remembered_has_an_end(program, monkeypatch, kind, limit):
    monkeypatch.setattr(_ingest_program, "_KNOWN_COMBINATIONS", 100)
    monkeypatch.setattr(_ingest_program, "_KNOWN_LISTS", 100)
    monkeypatch.setattr(_ingest_program, limit, 2)
    lookup, asked = counting(kind)

    for values in (("x", "y"), ("x", "y", "z"), ("x",)):
        program.derived(lookup, combinations(*values))

    assert asked == ["x", "y", "z", "x"]

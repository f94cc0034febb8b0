from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import ledger

AT = dt.datetime(2026, 1, 1, 12, 30, tzinfo=dt.UTC)


def rows(count: int = 4) -> list[dict]:
    return ledger.seal(
        [
            {"path": f"f{n}", "batch_id": "b", "records": n, "alarms": ["at_cap: 5000"], "ingested_at": AT}
            for n in range(count)
        ],
        after=None,
    )


def test_a_sealed_chain_has_no_breaks():
    sealed = rows()

    assert [row["seq"] for row in sealed] == [1, 2, 3, 4]
    assert sealed[0]["prev_hash"] == ledger.GENESIS
    assert ledger.breaks(sealed) == ()


def test_a_second_ingest_goes_on_from_the_last_row():
    first = rows(2)
    second = ledger.seal([{"path": "later"}], after=first[-1])

    assert second[0]["seq"] == 3
    assert ledger.breaks([*first, *second]) == ()


def test_the_hash_of_a_known_row_never_changes():
    """Old stores must still verify, so the canonical form is pinned."""
    row = {"seq": 1, "path": "é", "records": 3, "alarms": ["a"], "ingested_at": AT, "prev_hash": ledger.GENESIS}

    assert ledger.entry_hash(row) == "72ec6b3021b0e148dfb5565269f18a4c95b94aa547c0af27d66bb857e873afba"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("edited", lambda chain: [*chain[:1], {**chain[1], "records": 99}, *chain[2:]]),
        (
            "edited time",
            lambda chain: [*chain[:1], {**chain[1], "ingested_at": AT + dt.timedelta(microseconds=1)}, *chain[2:]],
        ),
        ("edited alarm", lambda chain: [{**chain[0], "alarms": []}, *chain[1:]]),
        ("removed", lambda chain: [*chain[:1], *chain[2:]]),
        ("first removed", lambda chain: chain[1:]),
        ("reordered", lambda chain: [chain[0], chain[2], chain[1], chain[3]]),
        ("added", lambda chain: [*chain, {**chain[-1], "seq": 5}]),
        ("added first", lambda chain: [{"path": "x", "seq": 0}, *chain]),
        ("edited and hashed again", lambda chain: [*chain[:1], rehashed({**chain[1], "records": 99}), *chain[2:]]),
    ],
)
def test_a_later_change_breaks_the_chain(name, change):
    assert ledger.breaks(change(rows())), name


def rehashed(row: dict) -> dict:
    return {**row, "entry_hash": ledger.entry_hash(row)}


@given(
    at=st.integers(0, 3),
    column=st.sampled_from(["path", "records", "sha256", "kept", "prev_hash", "entry_hash", "seq"]),
)
def test_any_edit_of_any_column_is_found(at, column):
    """Property: no single edited value passes."""
    sealed = rows()
    sealed[at] = {**sealed[at], column: "something else"}

    assert any(at + 1 in {each.seq, each.seq - 1} for each in ledger.breaks(sealed))

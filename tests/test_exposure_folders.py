"""What stood in folders: counts by the way in which a message is possible, and spans as a table."""

import datetime as dt

import ibis
import pytest

from brokenseal import exposure_folders
from brokenseal.exposure_tables import message_table

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
MESSAGES = {
    "selection_no": "int64",
    "mailbox_key": "string",
    "internet_message_id": "string",
    "is_doubtful": "boolean",
}


def messages(*rows):
    return ibis.memtable([dict(zip(MESSAGES, row, strict=True)) for row in rows], schema=MESSAGES)


def stood(*keys):
    return message_table(keys).mutate(folder=ibis.literal("Inbox"))


LISTED = messages((0, "a", "<1>", False), (0, "a", "<2>", True), (0, "a", "<1>", True), (1, "a", "<2>", False))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"stood": stood((0, "a", "<1>"), (0, "a", "<3>"))}, {(0, "a"): (1, 1, 0, 0)}, id="synchronised"),
        pytest.param({"has_doubtful": True}, {(0, "a"): (1, 0, 1, 0)}, id="doubtful"),
        pytest.param(
            {"forwarded": message_table([(0, "a", "<1>"), (0, "b", "<1>"), (1, "a", "<1>")])},
            {(0, "b"): (1, 0, 0, 1), (1, "a"): (1, 0, 0, 1)},
            id="forwarded",
        ),
        pytest.param(
            {
                "stood": stood((0, "a", "<2>"), (0, "a", "<3>")),
                "has_doubtful": True,
                "forwarded": message_table([(0, "a", "<2>"), (0, "a", "<4>")]),
            },
            {(0, "a"): (3, 2, 1, 2)},
            id="in several ways",
        ),
    ],
)
def test_a_possible_message_counts_once_and_under_each_of_its_ways(given, expected):
    given = {"stood": None, "has_doubtful": False, "forwarded": None, **given}

    rows = exposure_folders.possible_counts(LISTED, **given).to_pyarrow().to_pylist()

    assert {
        (row["selection_no"], row["mailbox_key"]): tuple(row[name] for name in ("possible", *exposure_folders.WAYS))
        for row in rows
    } == expected


def test_spans_are_numbered_in_their_order():
    span = {"selection_no": 0, "mailbox_key": "a", "starts_at": T0, "ends_at": T0 + dt.timedelta(hours=1)}

    rows = exposure_folders.span_table([span, {**span, "mailbox_key": "b"}]).to_pyarrow().to_pylist()

    assert [(row["span_no"], row["mailbox_key"], row["starts_at"]) for row in rows] == [(0, "a", T0), (1, "b", T0)]


@pytest.mark.parametrize(
    ("written", "path"),
    [("\\Inbox", "Inbox"), ("Inbox", "Inbox"), ("\\Inbox\\Old", "Inbox\\Old"), ("Not Available", None), ("", None)],
)
def test_a_path_is_compared_without_its_leading_backslash(written, path):
    rows = ibis.memtable({"written": [written]}, schema={"written": "string"})

    assert rows.select(path=exposure_folders.path_of(rows.written)).to_pyarrow()["path"].to_pylist() == [path]

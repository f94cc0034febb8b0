"""Unwrapping: records that a collector or a query tool put inside others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.sources._unwrap import DEPTH_LIMIT, unwrap_with

INNER = {"Id": "1", "Operation": "MailItemsAccessed", "value": [{"x": 1}]}
OTHER = {"Id": "2", "Operation": "Send"}


def knows(record) -> bool:
    return "Operation" in record


def unwrapped(record) -> list:
    return list(unwrap_with(record, knows))


TEXT = json.dumps(INNER)
WRAPPERS = {
    "_raw": ({"_raw": TEXT, "_time": 1, "host": "x"}, [INNER]),
    "_raw, object": ({"_raw": INNER}, [INNER]),
    "_raw, with blanks": ({"_raw": f"\r\n {TEXT} "}, [INNER]),
    "_source": ({"_index": "x", "_source": INNER}, [INNER]),
    "event.original": ({"event.original": TEXT}, [INNER]),
    "event, original": ({"event": {"original": TEXT, "kind": "event"}}, [INNER]),
    "message": ({"message": TEXT, "@timestamp": "x"}, [INNER]),
    "value": ({"@odata.context": "https://x", "value": [INNER, OTHER]}, [INNER, OTHER]),
    "value, texts": ({"value": [TEXT, json.dumps(OTHER)]}, [INNER, OTHER]),
    "records": ({"records": [INNER, OTHER]}, [INNER, OTHER]),
    "records, as text": ({"records": json.dumps([INNER, OTHER])}, [INNER, OTHER]),
    "tables": (
        {
            "tables": [
                {
                    "name": "P",
                    "columns": [{"name": "Id", "type": "string"}, {"name": "Operation"}],
                    "rows": [["1", "a"], ["2", "b"]],
                },
                {"columns": ["Operation"], "rows": [["c"]]},
            ]
        },
        [{"Id": "1", "Operation": "a"}, {"Id": "2", "Operation": "b"}, {"Operation": "c"}],
    ),
    "in each other": ({"_source": {"event": {"original": json.dumps({"records": [INNER]})}}}, [INNER]),
    "each its own": ({"value": [{"_raw": TEXT}, {"_raw": json.dumps(OTHER)}]}, [INNER, OTHER]),
    "the known one of two": ({"_source": {"message": "text", "x": 1}, "message": TEXT}, [INNER]),
    "the first of two unknown": ({"_source": {"x": 1}, "message": '{"y": 1}'}, [{"x": 1}]),
    "unknown inside": ({"_raw": '{"x": 1}'}, [{"x": 1}]),
}


@pytest.mark.parametrize(("record", "expected"), WRAPPERS.values(), ids=WRAPPERS)
def test_what_is_inside_a_wrapper_comes_out(record, expected):
    assert unwrapped(record) == expected


def test_a_known_record_is_given_untouched_whatever_is_in_it():
    record = {"Operation": "x", "_raw": TEXT, "value": [OTHER]}

    (found,) = unwrapped(record)

    assert found is record


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"x": 1},
        {"_raw": '"host","True","{""Id"":""1""}"'},
        {"_raw": ""},
        {"message": "The user signed in"},
        {"message": "{not json"},
        {"message": "[1, 2]"},
        {"value": 7},
        {"value": INNER},
        {"value": []},
        {"records": ["a", 1, None]},
        {"tables": "x"},
        {"tables": [{"columns": [{"name": "a"}]}, 3, {"columns": 1, "rows": 2}, {"columns": [1], "rows": [[1], 2]}]},
        {"event": "x", "_source": None},
        {"_raw": "[" * 100_000},
    ],
)
def test_a_record_with_no_record_inside_is_given_as_it_is(record):
    (found,) = unwrapped(record)

    assert found is record


def test_wrappers_are_opened_to_the_depth_limit_and_no_deeper():
    record = INNER
    for _ in range(DEPTH_LIMIT):
        record = {"_raw": json.dumps(record)}
    assert unwrapped(record) == [INNER]

    deeper = {"_raw": json.dumps(record)}
    assert unwrapped(deeper) == [{"_raw": TEXT}]


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "_raw",
                    "_source",
                    "message",
                    "value",
                    "records",
                    "tables",
                    "columns",
                    "rows",
                    "event",
                    "original",
                    "Operation",
                ]
            ),
            inner | inner.map(json.dumps),
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["_raw", "_source", "message", "value", "records", "tables", "event"]), JSON, max_size=3
    )
)
def test_any_record_gives_at_least_one_record(record):
    found = unwrapped(record)

    assert found
    assert all(isinstance(inner, dict) for inner in found)

"""The reader of arrays and values by itself; the forms it reads are pinned in test_framing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.json_values import JsonValues, is_too_large


def read(text: str, *, cut: int = 1_000_000, limit: int = 1_000_000) -> tuple[JsonValues, list]:
    data = text.encode()
    reader = JsonValues((data[at : at + cut] for at in range(0, len(data), cut)), limit=limit)
    return reader, list(reader)


@pytest.mark.parametrize(
    ("text", "values", "is_open"),
    [
        ("", 0, False),
        ("[]", 1, False),
        ('[{"a":1}] [2]', 2, False),
        ('{"a":1}{"b":2}', 2, False),
        ('[{"a":1}', 1, True),
        ('{"a":', 1, True),
        ('[{"a":1}, 2', 1, True),
        ("1 2 [3]", 3, False),
    ],
)
def test_values_at_the_top_level_are_counted_and_an_open_end_is_known(text, values, is_open):
    reader, _ = read(text)

    assert (reader.values, reader.is_open) == (values, is_open)


@given(st.sampled_from(["[1", "-1.5e", "12", "tru", "-Infinit", '"a\\ud8']), st.integers(1, 5))
def test_scalars_are_not_cut_where_a_block_ends(start, cut):
    whole = {
        "[1": "[12345]",
        "-1.5e": "-1.5e10",
        "12": "12345",
        "tru": "true",
        "-Infinit": "-Infinity",
        '"a\\ud8': '"a\\ud83d\\udce7"',
    }
    text = f"[{whole[start]},{whole[start]}]"

    _, records = read(text, cut=cut)

    assert [(record.text, record.reason) for record in records] == [(whole[start], "unknown_shape")] * 2


def test_objects_deeper_down_are_never_taken_for_records():
    """The first broken record has no good one before it; its own first two keys say what a record looks like."""
    record = {"Id": "1", "Operation": "x", "Folders": [{"Id": "f"}, {"Id": "g", "Path": "p"}], "z": 1}
    broken = json.dumps(record)[:-6] + "tru}"

    _, records = read(f"[{broken},{json.dumps(record)}]")

    assert [found.value or found.text for found in records] == [broken, record]


def test_the_text_of_all_rejections_together_is_the_text_of_the_input():
    text = '[{"a":1,"b":2},{"a":"x,{"a":3,"b":[{"a":4,"b":5,},nonsense,{"a":6,"b":7}]'

    _, records = read(text)

    assert "".join(record.text for record in records).replace(",", "") == text.strip("[]").replace(",", "")
    assert [record.value for record in records if record.value] == [{"a": 1, "b": 2}, {"a": 6, "b": 7}]


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("abcd", 4, False), ("abcde", 4, True), ("éé", 4, False), ("ééé", 5, True)]
)
def test_size_is_counted_in_bytes(text, limit, expected):
    assert is_too_large(text, limit) is expected

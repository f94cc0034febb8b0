"""The reader of arrays and values by itself; the forms it reads are pinned in test_framing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import json_values
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


@pytest.mark.parametrize("piece", [64 * 1024, 5, 40])
@pytest.mark.parametrize("limit", [10_000_000, 3_000])
def test_long_values_are_read_or_passed_over_at_their_very_end(monkeypatch, piece, limit):
    monkeypatch.setattr(json_values, "_PIECE_CHARACTERS", piece)
    monkeypatch.setattr(json_values, "_LONG_CHARACTERS", 500)
    inner = [{"q": '"\\', "b": "}]{[", "n": n, "l": [[n], {}]} for n in range(200)]
    long = {"a": 0, "b": inner, "c": "\\" * 400}
    small = {"a": 1, "b": 2}
    for indent in (None, 1):
        text = json.dumps([small, long, small, long["c"] * 4, small], indent=indent)

        _, records = read(text, cut=97, limit=limit)

        assert [record.value or record.reason for record in records] == [
            small,
            long if limit > 3_000 else "too_large",
            small,
            "unknown_shape" if limit > 3_000 else "too_large",
            small,
        ]


def test_a_long_value_that_is_broken_is_rejected_by_itself(monkeypatch):
    monkeypatch.setattr(json_values, "_LONG_CHARACTERS", 500)
    monkeypatch.setattr(json_values, "_PIECE_CHARACTERS", 100)
    good = '{"a":1,"b":2}'
    for broken in (
        '{"a":0,"b":[' + "1," * 1_000 + "tru]}",
        '{"a":0,"b":[' + "[" * 1_500 + "]" * 1_500 + "]}",
        '{"a":0,"b":"' + "x" * 2_000 + "\n[",
    ):
        _, records = read(f"[{good},{broken},{good}]", cut=97)
        assert [record.value or record.reason for record in records][:1] == [json.loads(good)]
        assert [record.reason for record in records].count(None) == 2, broken[:20]


def test_many_broken_elements_are_as_many_rejections():
    text = "[" + ",".join('{"a":1,"b":tru}' if n % 3 else '{"a":1,"b":2}' for n in range(20_000)) + "]"

    _, records = read(text)

    assert len(records) == 20_000
    assert sum(record.reason is None for record in records) == 6_667


def test_a_giant_that_is_no_value_is_passed_over():
    _, records = read("[" + "x" * 400_000 + ',{"a":1}]', cut=1_000, limit=1_000)

    assert [record.value or record.reason for record in records] == ["too_large", {"a": 1}]
    assert len(records[0].text) <= 64 * 1024


def test_a_giant_that_the_input_ends_in_is_rejected():
    reader, records = read('[{"a":1},{"a":"' + "x" * 400_000, cut=1_000, limit=1_000)

    assert [record.value or record.reason for record in records] == [{"a": 1}, "too_large"]
    assert reader.is_open

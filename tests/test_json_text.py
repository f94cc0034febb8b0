"""One JSON text: the fast parser, the lenient one behind it, and the limit on depth."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.errors import RecordRejected
from brokenseal.json_text import DEPTH_LIMIT, first_fault, is_too_deep, parse, scan_value, well_formed


@pytest.mark.parametrize("form", [str, str.encode])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "a": 2}', {"a": 2}),
        (" [1, -2.5, 1e3, true, null] ", [1, -2.5, 1000.0, True, None]),
        ('"\\ud83d\\udce7"', "\U0001f4e7"),
        ('"\\ud83d"', "\ufffd"),
        ('{"\\udce7": ["\\ud83dx"]}', {"\ufffd": ["\ufffdx"]}),
        ('"a\tb\0"', "a\tb\0"),
        ("-Infinity", float("-inf")),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"é 邮"', "é 邮"),
    ],
)
def test_values_are_read_from_text_and_bytes(form, text, value):
    assert parse(form(text)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ('{"a":1}}', "not_json"),
        ("9" * 5_000, "not_json"),
        (b'"\xff"', "not_text"),
        ("[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1), "too_deep"),
        ("[" * (DEPTH_LIMIT + 1) + "NaN" + "]" * (DEPTH_LIMIT + 1), "too_deep"),
        ("[" * 100_000, "too_deep"),
        ("[NaN," + "[" * 100_000, "too_deep"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_its_reason(text, reason):
    with pytest.raises(RecordRejected) as caught:
        parse(text)

    assert (caught.value.reason, caught.value.column) == (reason, "record")
    assert caught.value.expected


@given(st.integers(1, 2 * DEPTH_LIMIT), st.integers(0, 300))
def test_depth_is_counted_and_not_the_number_of_brackets(depth, width):
    value: object = [[]] * width
    for _ in range(depth - 1):
        value = {"a": value}
    text = json.dumps(value)
    deepest = depth + (1 if width else 0)

    assert is_too_deep(text, value) == (deepest > DEPTH_LIMIT)
    assert is_too_deep(text.encode(), value) == (deepest > DEPTH_LIMIT)


@pytest.mark.parametrize(
    ("text", "at"),
    [('{"a":1}', 7), ('{"a":tru}', 5), ('{"a":"x\ny"}', 7), ('{"a":"x', None), ("9" * 5_000, 0), ("[" * 99_999, 0)],
)
def test_the_first_fault_is_found(text, at):
    assert first_fault(text, 0) == at


def test_scanning_gives_the_end_of_the_value():
    assert scan_value('x{"a":\t1} y', 1) == ({"a": 1}, 9)


def test_text_without_surrogate_escapes_is_not_walked():
    value = {"a": ["x"]}

    assert well_formed('{"a":["x"]}', value) is value

"""Any bytes give records or reasons; what was written as valid comes back whole, in every form and encoding."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokenseal.framing import frame
from brokenseal.schema import QUARANTINE_REASONS
from brokenseal.settings import Settings

SETTINGS = Settings(store_dir=Path("unused"), record_limit_bytes=4_000)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
RECORD = st.dictionaries(TEXT, VALUE, min_size=1, max_size=4)
ENCODINGS = [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]

# Pieces that steer bytes towards every branch: openings, cuts, escapes, quotes and bytes that do not decode.
PIECES = st.sampled_from(
    [
        *(b'{"a":1,"b":', b'{"a":1}', b'{"a":[', b'"x', b'"', b"\\", b"\\u", b"\\ud800", b"[", b"]", b"{", b"}", b","),
        *(b":", b"\n", b"\r\n", b" ", b"tru", b"NaN", b"1e", b"-", b"a,b,c\n", b'"1,', b";", b"\t", b"\xff", b"\xc3"),
        *(b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"{\0", b"#TYPE x\n", b"[" * 300, b'{"a":' * 300, b"x" * 5_000),
    ]
)
ANY_BYTES = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=30).map(b"".join))


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, so that every token is cut somewhere."""

    def __init__(self, data: bytes, step: int) -> None:
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._inner.read(min(self._step, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def read(data: bytes, step: int | None = None):
    it = frame(io.BytesIO(data) if step is None else Trickle(data, step), SETTINGS)
    records = list(it)
    assert [record.record_no for record in records] == list(range(1, len(records) + 1))
    for record in records:
        record.text.encode()
        if record.reason is None:
            assert isinstance(record.value, dict)
            json.dumps(record.value, ensure_ascii=False).encode()
        else:
            assert record.value is None
            assert record.reason in QUARANTINE_REASONS
            assert record.expected
    return it, records


@settings(max_examples=150, deadline=None)
@given(ANY_BYTES)
@example(b'[{"a":"\\')
@example(b'{"a":1}\n{"a"')
@example(b'a,b\n"')
@example(b"\xff\xfe{")
def test_any_bytes_give_records_or_reasons(data):
    read(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=20).map(b"".join), st.sampled_from([b"[", b'{"a":1}\n' * 3, b"[\n  {", b"a,b\n1,2\n"]))
def test_pieces_after_a_good_beginning_give_records_or_reasons(data, beginning):
    read(beginning + data)


def _ink(text: str) -> str:
    """The text without what stands between records."""
    return "".join(character for character in text if not character.isspace() and character not in ",[]\ufeff\x1e")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                '{"a":1,"b":',
                '{"a":1,"b":2}',
                '{"c":[{"a":1,"b":3}]}',
                '"x',
                '"',
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\n",
                "tru",
                "7",
            ]
        ),
        max_size=25,
    ),
    st.sampled_from(["[", "{", '[{"a":1,"b":2},', '{"a":1}\n{"a":2}\n{"a":3}\n']),
)
def test_no_character_of_broken_json_is_lost_or_doubled(pieces, beginning):
    text = beginning + "".join(pieces)

    it, records = read(text.encode())

    if it.framing == "json_lines":  # a line of several values, one of them broken, is shown whole once more
        assert set(_ink(text)) == set(_ink("".join(record.text for record in records)))
    else:
        assert _ink("".join(record.text for record in records)) == _ink(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=6), st.sampled_from(ENCODINGS), st.integers(1, 40), st.booleans())
def test_every_form_and_encoding_gives_equal_records(rows, encoding, step, ascii_only):
    codec, mark = encoding
    forms = [
        "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows),
        "".join(json.dumps(row, ensure_ascii=ascii_only) + "\r\n" for row in rows),
        json.dumps(rows, ensure_ascii=ascii_only),
        json.dumps(rows, ensure_ascii=ascii_only, indent=2),
        "\n".join(json.dumps([row], ensure_ascii=ascii_only, indent=1) for row in rows),
        "\n".join(json.dumps(row, ensure_ascii=ascii_only, indent=1) for row in rows),
    ]
    for form in forms:
        _, records = read(mark + form.encode(codec), step)
        assert [record.value for record in records] == rows
        assert [json.loads(record.text) for record in records] == rows


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6)),
    st.sampled_from(ENCODINGS),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
)
def test_csv_gives_the_cells_that_were_written(rows, encoding, delimiter, end, step):
    codec, mark = encoding
    header = ["RecordId", "CreationDate", "Operation", "UserId", "AuditData"][: len(rows[0]) if rows else 3]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])

    it, records = read(mark + text.getvalue().encode(codec), step)

    assert it.columns == tuple(header)
    assert [record.value for record in records] == [dict(zip(header, row, strict=True)) for row in rows]


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORD, min_size=3, max_size=8), st.data())
def test_a_damaged_line_costs_only_itself(rows, data):
    lines = [json.dumps(row).encode() for row in rows]
    hit = data.draw(st.integers(0, len(rows) - 1))
    at = data.draw(st.integers(0, len(lines[hit]) - 1))
    junk = data.draw(st.sampled_from([b"", b"\xff", b'"', b"}", b"{", b"\\", b"\0", b"tru"]))
    damaged = [*lines[:hit], lines[hit][:at] + junk + lines[hit][at + 1 :], *lines[hit + 1 :]]

    _, records = read(b"\n".join(damaged) + b"\n")

    values = [record.value for record in records]
    assert values[:hit] == rows[:hit]
    assert values[len(values) - (len(rows) - hit - 1) :] == rows[hit + 1 :]

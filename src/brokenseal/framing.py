"""How the bytes of one input hold its records: encoding, framing and the records one by one, with flat memory.

Both are known by content alone: a byte order mark or the place of NULs gives the encoding; a line that is a JSON
object gives JSON Lines; a bracket gives arrays and values; a header gives CSV. In what is none of these, every
line is a rejected record, except that bytes which are no text at all are one rejected record.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final

from brokenseal import json_text
from brokenseal.csv_rows import CsvRows
from brokenseal.csv_rows import sniff as sniff_csv
from brokenseal.encoding import (
    BLOCK_BYTES,
    LongLine,
    detect,
    is_binary,
    lines,
    read_head,
    text_of_bytes,
    utf8_blocks,
)
from brokenseal.errors import RecordRejected
from brokenseal.json_values import NOT_OBJECT, NOT_TEXT, JsonValues, at_most
from brokenseal.model import FramedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.settings import Settings

_MARK: Final = b"\xef\xbb\xbf"
_SNIFFED_LINES: Final = 20
_SHOWN_BINARY: Final = 1024


class Framed:
    """The records of one input; iterate it once.

    Attributes:
        encoding: `utf-8`, `utf-8-sig`, `utf-16-le`, `utf-16-be`, or `binary`.
        columns: Names of the columns of CSV, else ().
    """

    def __init__(self, blocks: Iterator[bytes], *, encoding: str, framing: str, limit: int) -> None:
        self.encoding = encoding
        self.columns: tuple[str, ...] = ()
        self._framing = framing
        self._limit = limit
        self._is_open = False
        self._values: JsonValues | None = None
        self._rows: CsvRows | None = None
        self._blocks = blocks

    @classmethod
    def of_csv(cls, rows: CsvRows, *, encoding: str, limit: int) -> Framed:
        """Framed CSV, whose header has been read."""
        framed = cls(iter(()), encoding=encoding, framing="csv", limit=limit)
        framed.columns = rows.columns
        framed._rows = rows
        return framed

    @property
    def framing(self) -> str:
        """`json_lines`, `json_array`, `json_values`, `csv` or `none`; final once all records were read.

        One array is `json_array`; when a second array or value follows it, it is `json_values`. Text that began
        like none of these and then has a line that is a JSON object is `json_lines`.
        """
        if self._framing == "json_array" and self._values is not None and self._values.values > 1:
            return "json_values"
        return self._framing

    @property
    def is_truncated(self) -> bool:
        """After reading: whether the input ends inside an array, a value or a row, as if it was cut off."""
        if self._values is not None:
            return self._values.is_open
        return self._rows.is_open if self._rows is not None else self._is_open

    def __iter__(self) -> Iterator[FramedRecord]:
        if self._rows is not None:
            return iter(self._rows)
        if self.encoding == "binary":
            return self._binary()
        if self._framing in {"json_array", "json_values"}:
            self._values = JsonValues(self._blocks, limit=self._limit)
            return iter(self._values)
        return self._lines()

    def _binary(self) -> Iterator[FramedRecord]:
        head = next(self._blocks, b"")[:_SHOWN_BINARY]
        yield FramedRecord(record_no=1, text=head.decode("latin-1"), value=None, reason="not_text", expected=NOT_TEXT)

    def _lines(self) -> Iterator[FramedRecord]:
        count = 0
        for line in lines(self._blocks, self._limit):
            self._is_open = False
            if isinstance(line, LongLine) or len(line) > self._limit:
                count += 1
                shown, _ = text_of_bytes(line.head if isinstance(line, LongLine) else line)
                yield FramedRecord(
                    record_no=count, text=shown, value=None, reason="too_large", expected=at_most(self._limit)
                )
                continue
            trimmed = line.strip()
            if not trimmed:
                continue
            value, reason, expected = None, None, ""
            try:
                value = json_text.parse(trimmed)
            except RecordRejected as error:
                reason, expected = error.reason, error.expected
            if isinstance(value, dict):
                count += 1
                if self._framing == "none":
                    self._framing = "json_lines"
                yield FramedRecord(record_no=count, text=trimmed.decode(), value=value)
                continue
            for record in self._odd_line(trimmed, reason, expected):
                count += 1
                yield replace(record, record_no=count)

    def _odd_line(self, line: bytes, reason: str | None, expected: str) -> Iterator[FramedRecord]:
        """A line that is no JSON object: an array, values side by side as far as they parse, a rejected record."""
        if line[:1] in {b"{", b"["} or line.startswith(_MARK):
            for record in JsonValues(iter([line.removeprefix(_MARK)]), limit=self._limit):
                if record.reason in {"not_json", "not_text"}:
                    break
                yield record
            else:
                return
        text, is_text = text_of_bytes(line)
        if not is_text:
            reason, expected = "not_text", NOT_TEXT
        elif reason is None:
            reason, expected = "unknown_shape", NOT_OBJECT
        self._is_open = reason == "not_json"
        yield FramedRecord(record_no=0, text=text, value=None, reason=reason, expected=expected)


def frame(stream: BinaryIO, settings: Settings) -> Framed:
    """Find out how the input holds its records.

    Args:
        stream: The unpacked bytes, at their beginning. It is read as the records are, and never closed here.
        settings: `record_limit_bytes` is the size above which a record is rejected as `too_large`.

    Returns: The records. Each is numbered from 1; one that cannot be read has a `reason`. Reading raises only
        what the stream raises.
    """
    limit = settings.record_limit_bytes
    head = read_head(stream, BLOCK_BYTES)
    encoding, mark = detect(head)
    is_whole = len(head) < BLOCK_BYTES
    blocks = utf8_blocks(head[mark:], stream, encoding)
    first = next(blocks, b"")
    whole = chain([first], blocks) if first else blocks
    start = first.lstrip(b" \t\r\n")
    if not start:
        return Framed(whole, encoding=encoding, framing="none", limit=limit)
    if start[:1] != b"[" and _has_object_lines(start, is_whole=is_whole):
        return Framed(whole, encoding=encoding, framing="json_lines", limit=limit)
    if start[:1] == b"{" or (start[:1] == b"[" and (start[1:].lstrip()[:1] == b"{" or not is_binary(first))):
        framing = "json_array" if start[:1] == b"[" else "json_values"
        return Framed(whole, encoding=encoding, framing=framing, limit=limit)
    csv_form = sniff_csv(start.decode("utf-8", "surrogateescape"), is_whole=is_whole, looks_binary=is_binary(first))
    if csv_form is not None:
        skipped, delimiter = csv_form
        blanks = first[: len(first) - len(start)].count(b"\n")
        rows = CsvRows(lines(whole, limit), skipped=blanks + skipped, delimiter=delimiter, limit=limit)
        return Framed.of_csv(rows, encoding=encoding, limit=limit)
    return Framed(whole, encoding="binary" if is_binary(first) else encoding, framing="none", limit=limit)


def frame_line(line: bytes, settings: Settings) -> Framed:
    """The records of one line of an input that holds an object on each; `line` is UTF-8 as far as it is text.

    By itself a line may look like something else, of which another part would be its text.
    """
    return Framed(iter((line,)), encoding="utf-8", framing="json_lines", limit=settings.record_limit_bytes)


def _has_object_lines(start: bytes, *, is_whole: bool) -> bool:
    """Whether half of the first lines are JSON objects by themselves, beginning in the first column.

    One broken line is no reason to take the lines for anything else; one such line among many is, because a list
    that is written one element a line ends with it.
    """
    sample = start.split(b"\n", _SNIFFED_LINES)
    if len(sample) > _SNIFFED_LINES or not is_whole:
        sample.pop()
    sample = [line for line in sample if line.strip()]
    objects = 0
    for line in sample:
        if line.startswith(b"{"):
            try:
                objects += bool(json_text.parse(line))
            except RecordRejected:
                continue
    return objects > 0 and objects * 2 >= len(sample)

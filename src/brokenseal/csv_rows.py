"""CSV text to rows: delimiter by the header, doubled quotes, line breaks in cells, and broken rows one by one."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from brokenseal.encoding import SHOWN_CHARACTERS, LongLine, text_of_bytes
from brokenseal.json_values import NOT_TEXT, at_most
from brokenseal.model import FramedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DELIMITERS: Final = (",", ";", "\t")
_SAMPLE_LINES: Final = 200
_NAME = re.compile(r"[\w$#@][\w $#@().\[\]/:'-]{0,79}")
_SOLE_NAME = re.compile(r"[A-Za-z_$][\w.$-]{0,63}")
_CELL = re.compile(r"[^\x00-\x08\x0b-\x1f{}<>]{0,200}")
_FEW_COLUMNS: Final = 3
# The limit on a record is kept by the feed; the limit of the csv module is global and by default 128 KiB.
_FIELD_LIMIT: Final = 2**31 - 1

_encode = msgspec.json.Encoder().encode


class _RowTooLarge(Exception):
    """The row that is being read went above the limit; `_Feed` holds what was read of it."""


class _Feed:
    """Lines for `csv.reader`, and a record of the lines that the current row took."""

    def __init__(self, lines: Iterator[bytes | LongLine], limit: int) -> None:
        self.taken: list[bytes] = []
        self.long: LongLine | None = None
        self._pending: deque[bytes | LongLine] = deque()
        self._lines = lines
        self._limit = limit
        self._size = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else next(self._lines)
        if isinstance(line, LongLine):
            self.long = line
            raise _RowTooLarge
        self._size += len(line) + 1
        self.taken.append(line)
        if self._size > self._limit:
            raise _RowTooLarge
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            return line.decode("utf-8", "surrogateescape") + "\n"

    def start_row(self) -> None:
        self.taken = []
        self.long = None
        self._size = -1  # the line feed after the row is none of it

    def give_back(self, lines: Iterable[bytes | LongLine]) -> None:
        self._pending.extendleft(reversed(list(lines)))

    def pass_over_row(self) -> None:
        """Read on to the line that closes the quotes which the row has opened."""
        quotes = sum(line.count(b'"') for line in self.taken) + (self.long.quotes if self.long else 0)
        while quotes % 2:
            line = self._pending.popleft() if self._pending else next(self._lines, b'"')
            quotes += line.quotes if isinstance(line, LongLine) else line.count(b'"')


def sniff(head: str, *, is_whole: bool, looks_binary: bool = False) -> tuple[int, str] | None:
    """(lines before the header, delimiter) of CSV text by its beginning, or None where it is no CSV.

    Before the header may stand `#TYPE …` (Export-Csv without -NoTypeInformation) and `sep=…`. A header is taken
    for one where every cell looks like a name, or where most rows have as many cells as it. A single column
    counts only under a name without blanks.

    Args:
        head: The beginning of the text.
        is_whole: Whether that is all of it, so that its last line is complete.
        looks_binary: Whether it holds many control characters, so that only names make a header.
    """
    lines = head.split("\n")
    if not is_whole and len(lines) > 1:
        lines.pop()
    skipped = 0
    while skipped < len(lines) and lines[skipped].startswith(("#TYPE ", "sep=")):
        skipped += 1
    lines = lines[skipped : skipped + _SAMPLE_LINES]
    best: tuple[int, str] | None = None
    width = 0
    for delimiter in _DELIMITERS:
        rows = list(_sample_rows(lines, delimiter))
        if rows and len(rows[0]) > max(width, 1) and _is_header(rows, only_named=looks_binary):
            best, width = (skipped, delimiter), len(rows[0])
    if best is None and not looks_binary and len(lines) > 1 and any(line.strip() for line in lines[1:]):
        sole = lines[0].strip().strip('"')
        return (skipped, ",") if _SOLE_NAME.fullmatch(sole) else None
    return best


def _sample_rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    try:
        yield from (row for row in reader if row)
    except csv.Error:
        return


def _is_header(rows: list[list[str]], *, only_named: bool) -> bool:
    header = rows[0]
    is_named = all(_NAME.fullmatch(cell) for cell in header)
    if only_named or (is_named and (len(header) >= _FEW_COLUMNS or len(rows) == 1)):
        return is_named
    alike = sum(len(row) == len(header) for row in rows[1:])
    return all(_CELL.fullmatch(cell) for cell in header) and alike * 2 > len(rows) - 1


def unique_names(header: list[str]) -> tuple[str, ...]:
    """Column names as written; the second of equal names becomes `name (2)`, and so on.

    The sign-in log of the Entra portal has two columns of the name `Incoming token type`.
    """
    names: list[str] = []
    seen: set[str] = set()
    for cell in header:
        name, number = cell, 1
        while name in seen:
            number += 1
            name = f"{cell} ({number})"
        seen.add(name)
        names.append(name)
    return tuple(names)


class CsvRows:
    """The records of CSV lines; iterate it once.

    Attributes:
        columns: Names of the columns, in order.
        is_open: True where the last row is broken or ends inside quotes, as it does where the text was cut off.
    """

    def __init__(self, lines: Iterator[bytes | LongLine], *, skipped: int, delimiter: str, limit: int) -> None:
        csv.field_size_limit(_FIELD_LIMIT)
        for _ in islice(lines, skipped):
            pass
        self.is_open = False
        self._delimiter = delimiter
        self._limit = limit
        self._feed = _Feed(lines, limit)
        self._reader = csv.reader(self._feed, delimiter=delimiter, strict=True)
        self._count = 0
        self.columns = unique_names(self._read_header())

    def _read_header(self) -> list[str]:
        try:
            for row in self._reader:
                if row:
                    return row
        except (csv.Error, _RowTooLarge):
            taken, long = self._feed.taken, self._feed.long
            self._feed.give_back(taken if long is None else [*taken, long])
            self._restart()
        return []

    def __iter__(self) -> Iterator[FramedRecord]:
        width = len(self.columns)
        feed = self._feed
        while True:
            last = feed.taken
            feed.start_row()
            try:
                row = next(self._reader)
            except StopIteration:
                self.is_open = self.is_open or sum(line.count(b'"') for line in last) % 2 == 1
                return
            except _RowTooLarge:
                yield self._too_large()
                continue
            except csv.Error:
                yield self._malformed()
                continue
            if not row:
                continue
            yield self._row(row) if len(row) == width else self._malformed()

    def _row(self, row: list[str]) -> FramedRecord:
        value = dict(zip(self.columns, row, strict=True))
        try:
            text = _encode(value).decode()
        except UnicodeEncodeError:
            return self._rejected(self._feed.taken, "not_text", NOT_TEXT)
        self._count += 1
        self.is_open = False
        return FramedRecord(record_no=self._count, text=text, value=value)

    def _restart(self) -> None:
        self._reader = csv.reader(self._feed, delimiter=self._delimiter, strict=True)

    def _rejected(self, taken: list[bytes], reason: str, expected: str) -> FramedRecord:
        text, is_text = text_of_bytes(b"\n".join(taken))
        if not is_text and reason != "too_large":
            reason, expected = "not_text", NOT_TEXT
        self._count += 1
        self.is_open = reason == "row_malformed"
        return FramedRecord(record_no=self._count, text=text.rstrip("\r"), value=None, reason=reason, expected=expected)

    def _malformed(self) -> FramedRecord:
        """A row that is no strict CSV, or has another number of cells than the header.

        Where a quote was opened and never closed, the row swallowed rows after it, and those are read again.
        Where only the quoting is careless, as in `"a" ,"b"`, the row is read all the same.
        """
        taken = self._feed.taken
        self._restart()
        if len(self._parsed(taken[1:])) == len(self.columns) > 1:
            self._feed.give_back(taken[1:])
            taken = taken[:1]
        else:
            row = self._parsed(taken)
            if len(row) == len(self.columns):
                return self._row(row)
        return self._rejected(taken, "row_malformed", f"{len(self.columns)} cells, as in the header")

    def _parsed(self, taken: list[bytes]) -> list[str]:
        """The first row of the lines, read without strictness; [] where even that fails."""
        lines = io.StringIO(b"\n".join(taken).decode("utf-8", "surrogateescape"), newline="\n")
        try:
            return next(csv.reader(lines, delimiter=self._delimiter), [])
        except csv.Error:
            return []

    def _too_large(self) -> FramedRecord:
        taken = self._feed.taken
        if self._feed.long is None and len(self._parsed(taken[1:])) == len(self.columns) > 1:
            return self._malformed()
        self._feed.pass_over_row()
        self._restart()
        shown = taken if self._feed.long is None else [*taken, self._feed.long.head]
        return self._rejected([b"\n".join(shown)[:SHOWN_CHARACTERS]], "too_large", at_most(self._limit))

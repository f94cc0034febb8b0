"""Cells of tables on paper: pieces of safe text, or the records that go to a footnote; and how wide columns are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.reports import _words
from brokenseal.reports._paper import RECORDS_IN_NOTE, TEXTS_SHOWN, pieces, printed, safe, short_id
from brokenseal.wording import Phrase, format_value, phrase, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.model import CaseDocument
    from brokenseal.reports._columns import Cell, Column
    from brokenseal.reports._paper import Grid, Piece

ROWS_WITH_NOTES: Final = 60
"""Tables up to here cite their records in full, in footnotes; longer ones show the beginnings of ids."""

NOTHING: Final[tuple[Piece, ...]] = (("–", "words"),)
MONO: Final = frozenset(("code", "codes", "record", "records", "finding"))
RIGHT: Final = frozenset(("number", "share"))

_WIDTHS: Final[Mapping[str, float]] = {
    "text": 3, "code": 3, "word": 2, "number": 1.2, "share": 1.2, "time": 1.8, "severity": 1.3, "texts": 3,
    "codes": 3, "records": 1.9, "record": 5, "cases": 1.0, "finding": 2,
}  # fmt: skip
_WIDE: Final[Mapping[str, float]] = {
    "title": 4, "explanation": 5, "because": 6, "without_it": 5, "reason": 4, "subject": 4, "sha256": 5, "expected": 3,
    "sender": 2.6, "internet_message_id": 3.6, "present": 1.2, "mailbox": 3.2, "words": 3, "prior": 3, "result": 1.6,
    "record_no": 2.2,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Record ids for a footnote, and how many more there are."""

    ids: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """How values are written in one report: its language, and the numbers of its cases."""

    lang: str
    case_numbers: Mapping[str, int]

    def cell(self, column: Column, value: Cell, *, with_notes: bool = True) -> tuple[Piece, ...] | Note:
        """One cell of a table."""
        if column.kind == "severity" and isinstance(value, str):
            return ((safe(_words.word(_words.SEVERITY, value, self.lang)), "words"),)
        if column.kind == "share" and isinstance(value, int | float):
            return ((_share(value, self.lang), "value"),)
        if column.kind == "cases" and isinstance(value, tuple):
            numbers = (format_value(self.case_numbers[key], self.lang) for key in value if key in self.case_numbers)
            return ((", ".join(numbers) or "–", "value"),)
        if column.kind == "records" and isinstance(value, tuple) and value:
            return note(value) if with_notes else self._short(value)
        if column.kind == "finding" and isinstance(value, str):
            return ((short_id(value), "log"),)
        return self.value(value)

    def value(self, value: Cell) -> tuple[Piece, ...]:
        """A value beside its label."""
        if value is None or value == ():
            return NOTHING
        if isinstance(value, Phrase):
            return pieces(value, self.lang)
        if isinstance(value, dt.datetime):
            return ((f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}", "value"),)
        if isinstance(value, tuple):
            return self._several(value)
        if isinstance(value, str):
            return ((safe(value), "log"),)
        return ((format_value(value, self.lang), "value"),)

    def _several(self, values: tuple[str, ...]) -> tuple[Piece, ...]:
        made: list[Piece] = []
        for each in values[:TEXTS_SHOWN]:
            made += [(", ", "words")] if made else []
            made.append((safe(each), "log"))
        if len(values) > TEXTS_SHOWN:
            made.append((f", +{format_value(len(values) - TEXTS_SHOWN, self.lang)}", "words"))
        return tuple(made)

    def _short(self, values: tuple[str, ...]) -> tuple[Piece, ...]:
        more = f" +{format_value(len(values) - 1, self.lang)}" if len(values) > 1 else ""
        return ((f"{short_id(values[0])}{more}", "log"),)


def cells_of(document: CaseDocument, lang: str) -> Cells:
    """The cells of one document."""
    return Cells(lang=lang, case_numbers={case.id: number for number, case in enumerate(document.cases, start=1)})


def note(event_ids: tuple[str, ...]) -> Note:
    """The first few record ids in full."""
    return Note(
        ids=tuple(safe(each, limit=80) for each in event_ids[:RECORDS_IN_NOTE]),
        more=max(0, len(event_ids) - RECORDS_IN_NOTE),
    )


def width(column: Column) -> float:
    """The column's part of the width of the page."""
    return _WIDE.get(column.name, _WIDTHS[column.kind])


def left_out(grid: Grid, lang: str) -> str:
    """What is said under a table that is longer than what is printed; "" where it is not."""
    shown, there = len(printed(grid)), len(grid.table.rows)
    if shown == there:
        return ""
    if grid.in_full > grid.most or grid.per_case:
        return say(
            phrase(
                "{shown} of {all} are printed. “brokenseal report --format xlsx” (or csv, json) writes all of them, "
                "“--in-full” prints them here.",
                shown=shown,
                all=there,
            ),
            lang,
        )
    return say(
        phrase("{shown} of {all} shown; all of them are in the XLSX and JSON reports.", shown=shown, all=there), lang
    )


def _share(share: float, lang: str) -> str:
    from babel.numbers import format_percent

    return str(format_percent(share, format="#,##0.0 %" if lang == "fr" else "#,##0.0%", locale=lang))

"""A report on paper as a list of blocks: what the typeset formats (PDF, DOCX) and the short ones render alike.

A block holds phrases, tables and figures that the other reports are made of too; nothing in it belongs to a format.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from brokenseal.reports import _clients, _words
from brokenseal.reports._escape import short, visible
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.model import Reading
    from brokenseal.reports._columns import Cell, Column, ReportTable
    from brokenseal.reports._figures import Figure
    from brokenseal.wording import Phrase

TEXT_LIMIT: Final = 400
"""UTF-16 units of one log text on paper; the JSON and XLSX reports hold more of it."""
TEXTS_SHOWN: Final = 4
RECORDS_IN_NOTE: Final = 4
SIGNED: Final = (phrase("Name"), phrase("Place and date"), phrase("Signature"))

Piece: TypeAlias = tuple[str, Literal["words", "value", "log"]]
"""A part of a sentence, safe to show: see `_words.pieces`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence, and the records that it rests on (event ids, shown in a footnote)."""

    said: Phrase
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A heading; `level` is 1 to 3."""

    level: int
    said: Phrase
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Para:
    """One paragraph."""

    line: Line
    role: Literal["body", "lead", "note", "warning"] = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Sentences under each other; `ordered` where their order counts."""

    lines: tuple[Line, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Labels and their values."""

    rows: tuple[tuple[Phrase, Cell], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was read: the three numbers, each with its kind."""

    certain: int
    possible: int
    folders: int
    unknowable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table.

    Attributes:
        columns: Names of the columns that paper has room for; all where empty.
        most: Rows that are printed; what is left out is said under the table.
        per_case: Rows that are printed of each case, and none of no case where there is a case; 0 where cases make no
            difference.
        in_full: Rows that are printed where somebody asks for all; 0 where that makes no difference.
        heading: Whether its title stands above it.
    """

    table: ReportTable
    columns: tuple[str, ...] = ()
    most: int = 200
    per_case: int = 0
    in_full: int = 0
    heading: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure with its title; `mark` is how its colours show what is part of a case."""

    figure: Figure
    title: Phrase
    mark: Literal["outline", "dot", "none"] = "outline"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """Room for the name, the date and the signature of whoever stands for the report."""


Block: TypeAlias = Head | Para | Listing | Facts | Counts | Grid | Picture | SignOff


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One report for one reader.

    Attributes:
        title: What it is.
        for_whom: Its reader, in words.
        word: The verdict in short; `kind` is its code.
        headline: The verdict in a sentence.
        facts: Lines of the title page.
        has_front: Whether it has a title page and a list of contents.
    """

    title: Phrase
    for_whom: Phrase
    word: Phrase
    kind: str
    headline: Phrase
    simulated: Phrase | None
    facts: tuple[tuple[Phrase, Cell], ...]
    has_front: bool
    program: str
    blocks: tuple[Block, ...]


# ---------------------------------------------------------------- texts


def safe(text: str, *, limit: int = TEXT_LIMIT) -> str:
    """Log text on one line: what acts unseen is marked, and text from right to left touches nothing beside it."""
    shown = short(text, limit)
    if shown.isascii():
        return shown
    return f"\u2068{shown}\u2069" if any(unicodedata.bidirectional(mark) in _RIGHT_TO_LEFT for mark in shown) else shown


_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))


def pieces(said: Phrase, lang: str) -> tuple[Piece, ...]:
    """The sentence in the language, its values safe to show and keys of clients in words."""
    return tuple(
        piece
        for text, kind in _words.pieces(said, lang)
        for piece in (
            (_clients.in_words(text, lang) if kind == "log" else None)
            or ((safe(text) if kind == "log" else text, kind),)
        )
    )


def printed(grid: Grid) -> tuple[tuple[Cell, ...], ...]:
    """The rows of a table that paper shows, with all their cells."""
    rows = grid.table.rows
    if not grid.per_case:
        return rows[: grid.most]
    place = [column.name for column in grid.table.columns].index("cases")
    counted: Counter[str] = Counter()
    kept = []
    for row in rows:
        cases = row[place]
        if isinstance(cases, tuple) and any(counted[case] < grid.per_case for case in cases):
            counted.update(cases)
            kept.append(row)
    return tuple(kept[: grid.most]) or rows[: grid.per_case]


def for_reading(paper: Paper, reading: Reading) -> Paper:
    """The report as it is; where all rows are asked for, its long tables go on as far as any is printed."""
    if not reading.in_full:
        return paper
    return replace(
        paper,
        blocks=tuple(
            replace(block, most=block.in_full, per_case=0) if isinstance(block, Grid) and block.in_full else block
            for block in paper.blocks
        ),
    )


def chosen(grid: Grid) -> tuple[tuple[Column, ...], Iterable[tuple[Cell, ...]]]:
    """The columns and rows of a table that paper shows."""
    table = grid.table
    places = [place for place, column in enumerate(table.columns) if not grid.columns or column.name in grid.columns]
    rows = (tuple(row[place] for place in places) for row in printed(grid))
    return tuple(table.columns[place] for place in places), rows


def short_id(event_id: str) -> str:
    """The first eight characters of a record's id, behind the prefix of its log."""
    prefix, colon, key = visible(event_id[:200]).rpartition(":")
    return f"{prefix[:12]}{colon}{key[:8]}" + ("…" if len(key) > 8 else "")  # noqa: PLR2004 - as the HTML report shows ids

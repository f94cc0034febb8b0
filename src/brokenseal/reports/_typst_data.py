"""A report on paper as the JSON that the Typst template reads: log text is data there and never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from brokenseal.reports import _paper, _words
from brokenseal.reports._marks import IN_CASE, OTHER
from brokenseal.reports._paper import Counts, Facts, Grid, Head, Listing, Para, Picture, SignOff
from brokenseal.reports._paper_cells import MONO, RIGHT, ROWS_WITH_NOTES, Note, left_out, note, width
from brokenseal.reports._tlp import label
from brokenseal.wording import format_value, phrase, say

if TYPE_CHECKING:
    from brokenseal.reports._paper import Block, Line, Paper, Piece
    from brokenseal.reports._paper_cells import Cells

_KINDS: Final = ("certain", "possible", "unknowable")


def data(paper: Paper, cells: Cells, *, tlp: str) -> dict[str, Any]:
    """Everything that the template shows."""
    lang = cells.lang
    return {
        "lang": lang,
        "tlp": label(tlp),
        "title": say(paper.title, lang),
        "program": paper.program,
        "for_whom": say(paper.for_whom, lang),
        "word": say(paper.word, lang),
        "kind": paper.kind,
        "headline": _runs(_paper.pieces(paper.headline, lang)),
        "simulated": say(paper.simulated, lang) if paper.simulated else None,
        "facts": [[say(name, lang), _runs(cells.value(value))] for name, value in paper.facts],
        "front": paper.has_front,
        "words": {
            "contents": say(phrase("Contents"), lang),
            "records": say(phrase("Records: "), lang),
            "sign": [say(said, lang) for said in _paper.SIGNED],
        },
        "blocks": [_block(block, cells) for block in paper.blocks],
    }


def _block(block: Block, cells: Cells) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind of block
    lang = cells.lang
    match block:
        case Head():
            return {"k": "head", "level": block.level, "number": block.number, "runs": _said(block.said, lang)}
        case Para():
            return {"k": "para", "role": block.role, **_line(block.line, lang)}
        case Listing():
            return {"k": "list", "ordered": block.ordered, "lines": [_line(line, lang) for line in block.lines]}
        case Facts():
            return {
                "k": "facts",
                "rows": [[_said(name, lang), _runs(cells.value(value))] for name, value in block.rows],
            }
        case Counts():
            return {"k": "counts", "items": _counts(block, lang)}
        case Grid():
            return _grid(block, cells)
        case Picture():
            return _picture(block, lang)
        case SignOff():
            return {"k": "sign"}
        case _:
            assert_never(block)


def _said(said: Any, lang: str) -> list[list[str]]:
    return _runs(_paper.pieces(said, lang))


def _runs(parts: tuple[Piece, ...]) -> list[list[str]]:
    return [[text, kind] for text, kind in parts]


def _line(line: Line, lang: str) -> dict[str, Any]:
    return {"runs": _said(line.said, lang), "note": _note(note(line.records)) if line.records else None}


def _note(cited: Note) -> dict[str, Any]:
    return {"ids": [*cited.ids], "more": cited.more}


def _counts(block: Counts, lang: str) -> list[list[str]]:
    numbers = (block.certain, block.possible, block.unknowable)
    units = (
        phrase("message(s)"),
        phrase("message(s), {folders} folder(s)", folders=block.folders) if block.folders else phrase("message(s)"),
        phrase("span(s) of time"),
    )
    return [
        [kind, format_value(number, lang), say(_words.KIND[kind], lang), say(unit, lang)]
        for kind, number, unit in zip(_KINDS, numbers, units, strict=True)
    ]


def _grid(grid: Grid, cells: Cells) -> dict[str, Any]:
    columns, rows = _paper.chosen(grid)
    with_notes = len(_paper.printed(grid)) <= ROWS_WITH_NOTES
    made: list[Any] = []
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            shown = cells.cell(column, value, with_notes=with_notes)
            if isinstance(shown, Note):
                made.append(_note(shown))
            elif len(shown) == 1 and shown[0][1] == "log":
                # Most cells are one text of the logs: a plain string costs the compiler least.
                made.append(shown[0][0])
            else:
                made.append(_runs(shown))
    return {
        "k": "grid",
        "title": say(grid.table.title, cells.lang) if grid.heading else None,
        "head": [say(column.title, cells.lang) for column in columns],
        "widths": [width(column) for column in columns],
        "right": [column.kind in RIGHT for column in columns],
        "mono": [column.kind in MONO for column in columns],
        "cells": made,
        "note": left_out(grid, cells.lang),
    }


def _picture(picture: Picture, lang: str) -> dict[str, Any]:
    figure = picture.figure
    shift = len(OTHER) - len(figure.classes)
    marks = {
        "outline": say(phrase("outlined: part of a case"), lang),
        "dot": say(phrase("dot: part of a case, larger where there are more"), lang),
        "none": None,
    }
    return {
        "k": "picture",
        "title": say(picture.title, lang),
        "says": say(figure.says, lang),
        "svg": figure.svg,
        "classes": [
            [
                f"{format_value(low, lang)}–{format_value(high, lang)}" if high > low else format_value(low, lang),
                OTHER[place + shift],
                IN_CASE[place + shift] if picture.mark == "outline" else None,
            ]
            for place, (low, high) in enumerate(figure.classes)
        ],
        "mark": marks[picture.mark] if figure.classes else None,
        "left": say(
            phrase("The picture has no room for {n} more row(s) or column(s); the table has them.", n=figure.left_out),
            lang,
        )
        if figure.left_out
        else None,
    }

"""Where lines end in print: text that is set breaks long ids without a character that was not there.

Typst ends a line within a word only where Unicode allows it, and a zero-width space put in for that (U+200B) stays in
the text that a reader copies. So a long word of a sentence is handed over in parts, and lines of a table's cell are
ended here, by the advances of the fonts. They also give the height of a row, which Typst otherwise finds by setting
every cell twice: two fifths of the time that 10,000 messages took.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS_APART: Final = 3_000
"""Cells from which on a table begins a page, is cut into pieces that each begin one, and has rows of given heights."""
ROWS_APART: Final = 2_000
"""Rows of a piece: Typst sets what stands between page breaks side by side."""
LINES_GIVEN: Final = 60
"""Lines up to which a row's height is given; it has to fit a page."""

# What the template sets tables with: points, and parts of the size of text.
PAGE_WIDTH: Final = (210 - 2 * 20) / 25.4 * 72
SIZE: Final = 7.8
SIZE_OF_MANY: Final = 7.0
MANY_COLUMNS: Final = 7
INSET: Final = 3.0
MONO: Final = 0.78
_KERNING: Final = 0.985
"""Part of the room that is filled by advances, so that kerning makes no line too long."""

_MONO_ADVANCE: Final = 602
_WIDEST: Final = 1_000
_SERIF: Final = {
    125: "\u202f", 190: "'", 205: "|", 220: ",.", 236: ":;", 250: " \u00a0·", 268: "l‘’", 277: "ij{}", 288: "\\!",
    298: "I()", 323: "tJ/", 328: "f", 338: '"-', 356: "•[]", 375: "*r“”", 392: "s`", 428: "zc", 435: "?", 449: "e~",
    465: "a#$0123456789€", 493: "FS_xb", 506: "vgqod", 519: "ky^p", 538: "Luh", 550: "Pn«»–+<=>", 557: "E", 587: "YR",
    597: "BT", 604: "↵Z", 646: "%KC", 661: "VXU", 699: "GAN", 705: "DOQ&", 742: "H—", 749: "w…", 790: "m", 839: "M",
    895: "@", 951: "W", 984: "\ufffd",
}  # fmt: skip
"""Advances of Libertinus Serif in thousandths of its size, rounded up; other characters count as the widest."""


class _Advances(dict[str, int]):
    """Advance of each character, looked up once."""

    def __missing__(self, mark: str) -> int:
        base, *marks = list(unicodedata.normalize("NFD", mark))
        known = base in self and all(unicodedata.combining(each) for each in marks) and base != mark
        # An accent may stand beside its letter (ď, ť).
        self[mark] = self[base] + 60 if known else _WIDEST
        return self[mark]


_ISOLATES: Final = dict.fromkeys("\u2068\u2069", 0)
_OF_SERIF: Final = _Advances({mark: width for width, marks in _SERIF.items() for mark in marks} | _ISOLATES)
_OF_MONO: Final = _Advances(
    {chr(code): _MONO_ADVANCE for code in (*range(0x20, 0x7F), *range(0xA0, 0x180), 0x2026, 0x2013)} | _ISOLATES
)

_BREAK_AT: Final = re.compile(r"(?<=[@./\\;:=_,|?&])(?=[^\s])|(?<=[^\s])(?=-)")
"""After a mark, but before a hyphen: viewers take one at the end of a line for a word's division, and drop it."""
_LONG_WORD: Final = re.compile(r"\S{13,}")
_RUN: Final = 18


# ---------------------------------------------------------------- the whole report


def for_print(shown: dict[str, Any]) -> dict[str, Any]:
    """The report with the ends of lines in its cells, long words in parts, and long tables in pieces."""
    return {
        **shown,
        "headline": _runs(shown["headline"]),
        "facts": _pairs(shown["facts"]),
        "blocks": [piece for block in _apart([*_joined(shown["blocks"])]) for piece in _pieces(_set(block))],
    }


def _joined(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A heading, a sentence and facts become one block, so that all three stay on one page.

    A paragraph that sticks to what follows would leave its footnote on the page before, and a heading does not follow
    a block that its footnote pushes on.
    """
    kinds = [block["k"] for block in blocks]
    heads = {at for at in range(len(blocks)) if kinds[at : at + 3] == ["head", "para", "facts"]}
    for place, block in enumerate(blocks):
        if place - 2 in heads:
            yield {**block, "before": blocks[place - 2 : place]}
        elif not {place, place - 1} & heads:
            yield block


def _apart(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A long table begins on a page of its own, with what introduces it, and so does what follows it.

    Typst sets a whole table anew for every footnote on a page that holds a part of it: measured, 10,000 messages took
    three times as long where the page of their last row had footnotes.
    """
    fresh = set()
    for place, block in enumerate(blocks):
        if not _is_long(block):
            continue
        first = place
        while first and _introduces(blocks[first - 1]):
            first -= 1
        fresh |= {first, place + 1}
    return [{**block, "fresh": True} if place in fresh else block for place, block in enumerate(blocks)]


def _is_long(block: dict[str, Any]) -> bool:
    return len(block.get("cells", ())) > CELLS_APART


def _introduces(block: dict[str, Any]) -> bool:
    return block["k"] == "head" or (block["k"] == "para" and block["note"] is None)


def _pieces(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not _is_long(block):
        yield block
        return
    many = len(block["head"])
    starts = range(0, len(block["heights"]), ROWS_APART)
    for start in starts:
        yield {
            **block,
            "title": block["title"] if start == 0 else None,
            "note": block["note"] if start == starts[-1] else "",
            "fresh": start > 0 or block.get("fresh", False),
            "cells": block["cells"][start * many : (start + ROWS_APART) * many],
            "heights": block["heights"][start : start + ROWS_APART],
        }


def _set(block: dict[str, Any]) -> dict[str, Any]:
    match block["k"]:
        case "head":
            return {**block, "runs": _runs(block["runs"])}
        case "para":
            return _line(block)
        case "list":
            return {**block, "lines": [_line(line) for line in block["lines"]]}
        case "facts":
            return {**block, "rows": _pairs(block["rows"]), "before": [_set(each) for each in block.get("before", ())]}
        case "grid":
            return _grid(block)
        case _:
            return block


# ---------------------------------------------------------------- words in sentences


def _pairs(rows: list[Any]) -> list[Any]:
    return [[_runs(name) if isinstance(name, list) else name, _runs(value)] for name, value in rows]


def _line(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "runs": _runs(line["runs"]), "note": _note(line["note"])}


def _note(note: dict[str, Any] | None) -> dict[str, Any] | None:
    return note and {**note, "ids": [parts(each) for each in note["ids"]]}


def _runs(runs: list[list[str]]) -> list[list[Any]]:
    return [[parts(text) if kind == "log" else [text], kind] for text, kind in runs]


def parts(text: str) -> list[str]:
    """The text cut where a line may end: a long word has parts, which joined are the text."""
    if not _LONG_WORD.search(text):
        return [text]
    made, begun = [], 0
    for found in _LONG_WORD.finditer(text):
        word = [each[at : at + _RUN] for each in _BREAK_AT.split(found[0]) for at in range(0, len(each), _RUN)]
        made += [text[begun : found.start()], *word]
        begun = found.end()
    return [each for each in (*made, text[begun:]) if each]


# ---------------------------------------------------------------- lines of cells


def _grid(block: dict[str, Any]) -> dict[str, Any]:
    many = len(block["head"])
    size = SIZE_OF_MANY if many > MANY_COLUMNS else SIZE
    one = PAGE_WIDTH / sum(block["widths"])
    rooms = [(one * width - 2 * INSET) / size * 1_000 * _KERNING for width in block["widths"]]
    columns = [(room / MONO if mono else room, mono) for room, mono in zip(rooms, block["mono"], strict=True)]
    cells = block["cells"]
    made = [_cell(cell, *columns[place % many]) for place, cell in enumerate(cells)]
    return {**block, "cells": made, "heights": [*_heights(made, many)] if _is_long(block) else []}


def _cell(cell: Any, room: float, mono: bool) -> Any:  # noqa: FBT001 - called for every cell
    if isinstance(cell, dict):
        return _note(cell)
    return wrapped(cell if isinstance(cell, str) else "".join(text for text, _ in cell), room, mono)


def _heights(cells: list[Any], many: int) -> Iterator[int]:
    """Lines of each row; 0 where Typst is to find its height."""
    for start in range(0, len(cells), many):
        row = cells[start : start + many]
        most = 1 + max(cell.count("\n") if isinstance(cell, str) else 0 for cell in row)
        yield most if most <= LINES_GIVEN else 0


@functools.lru_cache(maxsize=2_048)
def wrapped(text: str, room: float, mono: bool) -> str:  # noqa: FBT001 - as above
    """The text in lines that fit `room` (thousandths of the size of its letters), with U+000A where one ends."""
    of = _OF_MONO if mono else _OF_SERIF
    if sum(map(of.__getitem__, text)) <= room:
        return text
    lines: list[str] = []
    line, left = "", room
    for word in text.split(" "):
        wide = sum(map(of.__getitem__, word))
        if line and wide + of[" "] <= left:
            line, left = f"{line} {word}", left - wide - of[" "]
            continue
        lines += [line] if line else []
        *full, line = _fitting(word, room, of) if wide > room else (word,)
        lines += full
        left = room - sum(map(of.__getitem__, line))
    return "\n".join((*lines, line))


def _fitting(word: str, room: float, of: _Advances) -> Iterator[str]:
    """The word in parts that each fit, at its own marks where there are some."""
    line, left = "", room
    for unit in _BREAK_AT.split(word):
        each, wide = unit, sum(map(of.__getitem__, unit))
        if wide > left and line:
            yield line
            line, left = "", room
        while wide > left:
            part = _first(each, left, of)
            yield part
            each, wide = each[len(part) :], wide - sum(map(of.__getitem__, part))
        line, left = line + each, left - wide
    yield line


def _first(text: str, room: float, of: _Advances) -> str:
    """As many characters as fit, at least one; an accent stays with its letter."""
    end, left = 1, room - of[text[0]]
    while end < len(text) and of[text[end]] <= left:
        left -= of[text[end]]
        end += 1
    while 1 < end < len(text) and unicodedata.combining(text[end]):
        end -= 1
    return text[:end]

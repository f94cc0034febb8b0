"""A letter's body as blocks, and these as plain text and as HTML: every text is made visible, HTML is escaped."""

from __future__ import annotations

import datetime as dt
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from markupsafe import Markup

from brokenseal.reports._cells import sentence
from brokenseal.reports._escape import cut, visible
from brokenseal.wording import Phrase, format_value, say

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell: TypeAlias = Phrase | str | int | dt.datetime | None

_WIDTH = 78
_TEXT_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The title of a section."""

    text: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text; `is_strong` for what nobody must overlook."""

    text: Phrase
    is_strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """Sentences that stand beside each other."""

    items: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells below titles."""

    titles: tuple[Phrase, ...]
    rows: tuple[tuple[Cell, ...], ...]


Block: TypeAlias = Heading | Paragraph | Bullets | Table


def words(value: Cell, lang: str) -> str:
    """A cell or a sentence in the reader's language, on one line, with nothing in it that acts unseen."""
    if isinstance(value, Phrase):
        return cut(visible(say(value, lang)), _TEXT_LIMIT * 4)
    return cut(visible(format_value(value, lang)), _TEXT_LIMIT)


def as_text(blocks: Iterable[Block], lang: str) -> str:
    """The blocks as plain text; a table becomes one paragraph a row, which no mail program can misalign."""
    parts = []
    for block in blocks:
        match block:
            case Heading():
                title = words(block.text, lang)
                parts.append(f"{title}\n{'-' * min(len(title), _WIDTH)}")
            case Paragraph():
                parts.append(_wrapped(words(block.text, lang)))
            case Bullets():
                parts.append("\n".join(_wrapped(words(item, lang), first="- ", rest="  ") for item in block.items))
            case Table():
                titles = [words(title, lang) for title in block.titles]
                colon = "\N{NO-BREAK SPACE}: " if lang == "fr" else ": "
                parts.append(
                    "\n\n".join(
                        "\n".join(
                            _wrapped(f"{title}{colon}{words(cell, lang)}", first="  ", rest="    ")
                            for title, cell in zip(titles, row, strict=True)
                        )
                        for row in block.rows
                    )
                )
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
        # Only at plain spaces: French has spaces that must not be broken at.
        expand_tabs=False,
    )
    return "\n".join(lines) or first


_PAGE = Markup(
    '<!doctype html>\n<html lang="{}"><head><meta charset="utf-8"><title>{}</title></head>\n'
    '<body style="font-family:sans-serif;max-width:46em;line-height:1.4">\n{}\n</body></html>\n'
)
_TH = Markup('<th style="text-align:left;border-bottom:1px solid #888;padding:2px 10px 2px 0">{}</th>')
_TD = Markup('<td style="padding:2px 10px 2px 0;vertical-align:top"><bdi>{}</bdi></td>')


def as_html(blocks: Iterable[Block], lang: str, *, title: str) -> str:
    """The blocks as a page without links, pictures, scripts or anything that is loaded."""
    parts = []
    for block in blocks:
        match block:
            case Heading():
                parts.append(Markup("<h2>{}</h2>").format(sentence(block.text, lang)))
            case Paragraph():
                form = Markup("<p><strong>{}</strong></p>") if block.is_strong else Markup("<p>{}</p>")
                parts.append(form.format(sentence(block.text, lang)))
            case Bullets():
                items = Markup("").join(Markup("<li>{}</li>").format(sentence(item, lang)) for item in block.items)
                parts.append(Markup("<ul>{}</ul>").format(items))
            case Table():
                head = Markup("").join(_TH.format(words(title, lang)) for title in block.titles)
                rows = Markup("\n").join(
                    Markup("<tr>{}</tr>").format(Markup("").join(_TD.format(words(cell, lang)) for cell in row))
                    for row in block.rows
                )
                parts.append(Markup("<table>\n<tr>{}</tr>\n{}\n</table>").format(head, rows))
    return str(_PAGE.format(lang, visible(title), Markup("\n").join(parts)))

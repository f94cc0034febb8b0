"""Values as HTML: every text goes through `visible` and `filled`, which escapes; nothing else makes markup."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from brokenseal.model import Severity
from brokenseal.reports import _words
from brokenseal.reports._escape import anchor, short, visible
from brokenseal.wording import Phrase, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import LiteralString

    from brokenseal.reports._columns import Cell, Column

TEXT_LIMIT = 2_000
TEXTS_SHOWN = 4
RECORDS_SHOWN = 2
_NOTHING = Markup('<span class="quiet">–</span>')
_EMPTY = Markup("")
_NUMERIC = frozenset(("number", "share", "severity", "cases"))
_BARS = {"critical": 4, "high": 3, "medium": 2, "low": 1}


def filled(template: LiteralString, *values: object) -> Markup:
    """Markup with every value escaped that is none itself; what `Markup.format` gives, sooner."""
    shown = [value if type(value) is Markup else escape(value) for value in values]
    return _as_markup(template.format(*shown))


def joined(parts: Iterable[Markup], between: LiteralString = "") -> Markup:
    """Pieces of markup as one; what `Markup.join` gives, without looking at each again."""
    return _as_markup(between.join(parts))


def _as_markup(text: str) -> Markup:
    # `Markup(text)` asks first whether the text is markup already, which is half of what a cell would cost.
    return str.__new__(Markup, text)


def shown(text: str) -> Markup:
    """Log text, isolated so that its direction does not touch what stands beside it."""
    return filled("<bdi>{}</bdi>", short(text, TEXT_LIMIT))


def sentence(said: Phrase, lang: str) -> Markup:
    """A phrase; the values in it stand out and are isolated."""
    parts = [
        filled('<bdi class="v">{}</bdi>', short(text, TEXT_LIMIT)) if kind != "words" else filled("{}", text)
        for text, kind in _words.pieces(said, lang)
    ]
    return joined(parts)


def moment(at: dt.datetime | None) -> Markup:
    """A time to the second; the page says once that all times are UTC."""
    if at is None:
        return _NOTHING
    day, _, clock = f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}".partition(" ")
    return filled('<time datetime="{}T{}Z"><span>{}</span> <span>{}</span></time>', day, clock, day, clock)


def severity(code: str, lang: str) -> Markup:
    """Severity as bars and a word: four bars for critical, one for low."""
    level = _BARS.get(code, 0)
    bars = joined(
        filled(
            '<rect class="{}" x="{}" y="{}" width="3" height="{}"/>',
            "on" if bar < level else "off",
            1 + bar * 4,
            9 - 2 * bar,
            3 + 2 * bar,
        )
        for bar in range(4)
    )
    return filled(
        '<span class="sev sev-{}"><svg viewBox="0 0 17 13" aria-hidden="true">{}</svg>{}</span>',
        code if code in _BARS else "low",
        bars,
        visible(_words.word(_words.SEVERITY, code, lang)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """How cells are shown in one page.

    Attributes:
        embedded: Event ids whose records stand in the page: only they are linked.
        case_numbers: Case id to its number in the page.
        findings: Finding ids that stand in the page.
    """

    lang: str
    embedded: frozenset[str]
    case_numbers: Mapping[str, int] = field(default_factory=dict)
    findings: frozenset[str] = frozenset()

    def cell(self, column: Column, value: Cell) -> Markup:
        """One `<td>` with its sort key where that differs from its text."""
        key = self._sort_key(column, value)
        attribute = _EMPTY if key is None else filled(' data-v="{}"', key)
        return filled('<td class="c-{}"{}>{}</td>', column.kind, attribute, self._content(column, value))

    @staticmethod
    def numeric(column: Column) -> bool:
        """Whether the column sorts by number."""
        return column.kind in _NUMERIC

    def _sort_key(self, column: Column, value: Cell) -> str | None:
        if value is None or value == ():
            return ""
        if column.kind == "severity":
            return str(Severity(value).rank) if isinstance(value, str) and value in set(Severity) else ""
        if column.kind == "cases" and isinstance(value, tuple):
            return str(self.case_numbers.get(value[0], 0))
        return str(value) if isinstance(value, int | float) else None

    def _content(self, column: Column, value: Cell) -> Markup:
        if value is None or value == ():
            return _NOTHING
        if isinstance(value, Phrase):
            return sentence(value, self.lang)
        if isinstance(value, dt.datetime):
            return moment(value)
        if isinstance(value, tuple):
            return self._several(column, value)
        if isinstance(value, str):
            return self._text(column, value)
        return filled("{}", _share(value, self.lang) if column.kind == "share" else format_value(value, self.lang))

    def _text(self, column: Column, value: str) -> Markup:
        if column.kind == "severity":
            return severity(value, self.lang)
        if column.kind == "finding" and value in self.findings:
            return filled('<a href="#{}"><code>{}</code></a>', anchor("finding", value), value[:8])
        return shown(value)

    def _several(self, column: Column, values: tuple[str, ...]) -> Markup:
        if column.kind == "records":
            return self.records(values)
        if column.kind == "cases":
            return joined((self.case(value) for value in values), ", ")
        lines = [filled("<li>{}</li>", shown(value)) for value in values[:TEXTS_SHOWN]]
        if len(values) > TEXTS_SHOWN:
            lines.append(filled('<li class="quiet">+{}</li>', format_value(len(values) - TEXTS_SHOWN, self.lang)))
        return filled("<ul>{}</ul>", joined(lines))

    def case(self, case_id: str) -> Markup:
        """A case by its number, linked."""
        number = self.case_numbers.get(case_id)
        if number is None:
            return shown(case_id)
        return filled('<a href="#{}" title="{}">{}</a>', anchor("c", case_id), case_id, number)

    def record(self, event_id: str) -> Markup:
        """A record's id in short, linked where the record stands in the page."""
        begin = _short_id(short(event_id, 200))
        if event_id in self.embedded:
            return filled('<a href="#{}" title="{}">{}</a>', anchor("rec", event_id), short(event_id, 200), begin)
        return filled('<span title="{}">{}</span>', short(event_id, 200), begin)

    def records(self, event_ids: tuple[str, ...]) -> Markup:
        """The first few records, and how many more there are."""
        lines = [filled("<li>{}</li>", self.record(event_id)) for event_id in event_ids[:RECORDS_SHOWN]]
        if len(event_ids) > RECORDS_SHOWN:
            more = format_value(len(event_ids) - RECORDS_SHOWN, self.lang)
            lines.append(filled('<li class="quiet">+{}</li>', more))
        return filled("<ul>{}</ul>", joined(lines))


def _short_id(event_id: str) -> str:
    """The log's prefix and the first eight characters of the id behind it."""
    prefix, colon, key = event_id[:200].rpartition(":")
    kept = 8
    return f"{prefix[:12]}{colon}{key}" if len(key) <= kept else f"{prefix[:12]}{colon}{key[:kept]}…"


def _share(share: float, lang: str) -> str:
    from babel.numbers import format_percent

    return str(format_percent(share, format="#,##0.0 %" if lang == "fr" else "#,##0.0%", locale=lang))

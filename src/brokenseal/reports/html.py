"""HTML: one file that opens from a disk without a network, in a browser's light and dark theme and on paper.

The page's own script and style sheet are named to the browser by their hashes (Content Security Policy), so that
nothing that log text could smuggle in would run, even past the escaping.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brokenseal.model import Reporter
from brokenseal.reports import _cells, _figures, _judged, _ledger_tables, _paper_short, _rules, _tables, _words
from brokenseal.reports._columns import ReportTable, col
from brokenseal.reports._escape import anchor
from brokenseal.reports._glossary import GLOSSARY
from brokenseal.reports._svg import warm_up
from brokenseal.reports._tlp import label
from brokenseal.wording import Phrase, format_value, phrase, translations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import jinja2
    from markupsafe import Markup

    from brokenseal.model import Case, CaseDocument, Finding, Reading

ROWS_EMBEDDED = 5_000
CASES_FIRST = 6
EVIDENCE_SHOWN = 100
_PAGE = "report.html.j2"
_TEMPLATES = Path(__file__).parent / "templates"

_MESSAGES_LEFT_TO_FILES = frozenset(("recipients", "size_bytes", "sessions"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A table as the page shows it: columns, rows as markup, and how many rows there are in all.

    `anchors` names the rows that links lead to.
    """

    name: str
    title: Phrase
    columns: tuple[Any, ...]
    rows: tuple[tuple[str, Markup], ...]
    total: int


def get_ready() -> None:
    """Do beforehand what every report needs; safe to call in a thread, and never needed."""
    warm_up()
    import altair as alt  # noqa: F401 - it takes a second, which is waiting time of whoever reads exports

    _environment().get_template(_PAGE)


def render(document: CaseDocument, lang: str) -> bytes:
    """The document as one HTML file.

    Raises:
        ValueError: The language is not one of `wording.LANGUAGES`.
    """
    return _whole(document, lang, marking=None)


def render_for(document: CaseDocument, lang: str, reading: Reading) -> bytes:
    """The page for one reader: everything for the analyst, a page without scripts for the others.

    Raises:
        ValueError: The language is not one of `wording.LANGUAGES`.
        UsageError: The marking is no level of TLP 2.0.
    """
    if reading.reader == "analyst":
        return _whole(document, lang, marking=label(reading.tlp)["label"] if reading.tlp else None)
    return _paper_short.as_html(document, lang, reading, policy=content_policy(_paper_short.style(), ""))


def _whole(document: CaseDocument, lang: str, *, marking: str | None) -> bytes:
    translations(lang)
    embedded = embedded_records(document)
    cells = _cells.Cells(
        lang=lang,
        embedded=embedded,
        case_numbers={case.id: number for number, case in enumerate(document.cases, start=1)},
        findings=frozenset(
            found.id for found in (*document.notices, *(found for case in document.cases for found in case.findings))
        ),
    )
    style, script = _static("report.css"), _static("report.js")
    page = (
        _environment()
        .get_template(_PAGE)
        .render(
            document=document,
            lang=lang,
            marking=marking,
            style=style,
            script=script,
            policy=content_policy(style, script),
            figures=_pictures(document, lang),
            tables=_views(document, cells, embedded),
            glossary=GLOSSARY,
            words=_words,
            cells=cells,
            anchor=anchor,
            cases_first=CASES_FIRST,
            evidence_of=functools.partial(_evidence, document, cells),
            exposure_of=lambda case: _view(_case_exposure(case), cells),
            judged=functools.partial(_judgement, cells),
            rules=_rules,
            rules_of=functools.partial(_rules_of_case, document, cells),
            limits=_limits(document),
            moment=_cells.moment,
            shown=_cells.shown,
            say=lambda said: _cells.sentence(said, lang),
            number=lambda value: format_value(value, lang),
            phrase=_label(lang),
            attack_name=_words.attack_name,
            cells_severity=lambda code: _cells.severity(code, lang),
            attack_link=_attack_link,
        )
    )
    return page.encode("utf-8", "replace")


def content_policy(style: str, script: str) -> str:
    """Nothing is fetched, and only this style sheet and this script run."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _static(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _label(lang: str) -> Callable[..., Markup]:
    def label(template: str, **values: Any) -> Markup:
        return _cells.sentence(Phrase(template=template, values=values), lang)

    return label


def _attack_link(technique: str) -> str | None:
    """The technique's page at attack.mitre.org; None for what is no technique id."""
    head, _, sub = technique.partition(".")
    if len(head) == 5 and head[0] == "T" and head[1:].isdecimal() and head.isascii() and (not sub or sub.isdecimal()):  # noqa: PLR2004 - T and four digits
        return f"https://attack.mitre.org/techniques/{head}/" + (f"{sub}/" if sub else "")
    return None


def _limits(document: CaseDocument) -> tuple[Phrase, ...]:
    """What the logs cannot tell: the verdict's reasons and coverage's sentences, each once."""
    kept: list[Phrase] = []
    for said in (*document.verdict.reasons, *document.coverage.cannot_tell):
        if said not in kept:
            kept.append(said)
    return tuple(kept)


# ---------------------------------------------------------------- records


def embedded_records(document: CaseDocument, limit: int = ROWS_EMBEDDED) -> frozenset[str]:
    """The cited records that the page holds: where there are too many, the evidence of cases comes first."""
    kept: dict[str, None] = {}
    for event_id in _by_importance(document):
        if event_id in document.cited:
            kept[event_id] = None
            if len(kept) >= limit:
                break
    return frozenset(kept)


def _by_importance(document: CaseDocument) -> Iterable[str]:
    for found in (*(found for case in document.cases for found in case.findings), *document.notices):
        for item in found.evidence[:EVIDENCE_SHOWN]:
            yield item.event_id
    for judged in (case.assessment for case in document.cases if case.assessment is not None):
        yield from (unit.unit for unit in judged.units)
        for tested in judged.alternatives:
            yield from tested.event_ids[: _cells.RECORDS_SHOWN]
    for seen in (*(case.exposure for case in document.cases), document.exposure):
        for event_ids in (
            *(span.event_ids for span in seen.open_ended),
            *(folder.event_ids for folder in seen.folders),
            *(line.event_ids for line in seen.messages),
        ):
            yield from event_ids[: _cells.RECORDS_SHOWN]
    for box in document.coverage.mailboxes:
        yield from box.event_ids[: _cells.RECORDS_SHOWN]
    if document.rules is not None:
        for said in (*(said for case in document.rules.cases for said in case.said), *document.rules.apart):
            yield from said.event_ids[: _cells.RECORDS_SHOWN]
    yield from document.cited


def _evidence(document: CaseDocument, cells: _cells.Cells, found: Finding) -> _View:
    rows = []
    for item in found.evidence[:EVIDENCE_SHOWN]:
        record = document.cited.get(item.event_id)
        rows.append(
            (
                item.occurred_at,
                item.role,
                record.operation if record else None,
                record.actor if record else None,
                record.mailbox if record else None,
                record.client_ip if record else None,
                (item.event_id,),
            )
        )
    table = ReportTable(
        name=f"evidence-{found.id}",
        title=phrase("Evidence"),
        columns=(
            col("at", phrase("Time (UTC)"), "time"),
            col("role", phrase("Role"), "code"),
            col("operation", phrase("Operation"), "code"),
            col("actor", phrase("Account"), "text"),
            col("mailbox", phrase("Mailbox"), "text"),
            col("address", phrase("Address"), "code"),
            col("event_id", phrase("Record"), "records"),
        ),
        rows=tuple(rows),
    )
    return _view(table, cells, total=len(found.evidence))


# ---------------------------------------------------------------- tables and pictures


def _view(
    table: ReportTable,
    cells: _cells.Cells,
    *,
    total: int | None = None,
    without: frozenset[str] = frozenset(),
) -> _View:
    places = [place for place, column in enumerate(table.columns) if column.name not in without]
    columns = tuple(table.columns[place] for place in places)
    rows = []
    for row in table.rows[:ROWS_EMBEDDED]:
        key = next((str(row[place]) for place in places if table.columns[place].kind == "record"), None)
        shown = _cells.joined(cells.cell(table.columns[place], row[place]) for place in places)
        rows.append(("" if key is None else anchor("rec", key), shown))
    return _View(
        name=table.name,
        title=table.title,
        columns=columns,
        rows=tuple(rows),
        total=len(table.rows) if total is None else total,
    )


def _case_exposure(case: Case) -> ReportTable:
    return _tables.exposure_all(case.exposure)


def _judgement(cells: _cells.Cells, case: Case) -> dict[str, Any] | None:
    """What is judged of a case, as the page shows it; None where nothing was."""
    if case.assessment is None:
        return None
    return {
        "likelihoods": _view(_judged.likelihoods(case, case.assessment), cells),
        "alternatives": _view(_judged.alternatives(case, case.assessment), cells),
        "units": _view(_judged.units(case, case.assessment), cells),
        "n_units": case.assessment.n_units,
        "sentences": _judged.sentences(case.assessment),
        "confidence": _words.CONFIDENCE[case.assessment.confidence],
        "reasons": case.assessment.confidence_reasons,
    }


def _rules_of_case(document: CaseDocument, cells: _cells.Cells, case: Case) -> _View | None:
    """What rules of others said of a case; None where they said nothing."""
    said = document.rules.of_case(case.id) if document.rules is not None else None
    return None if said is None else _view(_rules.of_case(said), cells, without=_rules.PAGE_LACKS)


def _views(document: CaseDocument, cells: _cells.Cells, embedded: frozenset[str]) -> dict[str, _View]:
    made = (
        _tables.exposure_of(document.cases),
        _tables.exposure_all(document.exposure),
        _tables.folders(document),
        _tables.open_ended(document),
        _ledger_tables.sources(document.coverage),
        _ledger_tables.mailboxes(document.coverage),
        _ledger_tables.gaps(document.coverage),
        _ledger_tables.alarms(document.coverage),
        _ledger_tables.detectors(document),
        _ledger_tables.provenance(document),
        _ledger_tables.inputs(document),
        _ledger_tables.quarantine(document),
        _days(document),
        _hours(document, cells.lang),
        _matrix(document),
    )
    views = {table.name: _view(table, cells) for table in made}
    views["messages"] = _view(_tables.messages(document), cells, without=_MESSAGES_LEFT_TO_FILES)
    views["possible_messages"] = _view(_tables.possible_messages(document), cells, without=_MESSAGES_LEFT_TO_FILES)
    if document.rules is not None:
        lacks = _rules.PAGE_LACKS | {"standing"}
        views["rules_apart"] = _view(_rules.apart(document.rules), cells, without=lacks)
        total = document.rules.not_run_in_all
        views["rules_not_run"] = _view(_rules.not_run(document.rules), cells, total=total)
    views["records"] = _view(_ledger_tables.records(document, embedded), cells, total=len(document.cited))
    return views


def _pictures(document: CaseDocument, lang: str) -> dict[str, _figures.Figure | None]:
    return {
        "timeline": _figures.timeline(document.activity, lang),
        "hours": _figures.hours(document.activity, lang),
        "matrix": _figures.matrix(document.activity, lang),
        "coverage": _figures.coverage_bars(document.coverage, lang),
    }


def _days(document: CaseDocument) -> ReportTable:
    """The timeline in words."""
    return ReportTable(
        name="days",
        title=phrase("Mail accesses by day"),
        columns=(
            col("day", phrase("Day (UTC)"), "code"),
            col("mailbox", phrase("Mailbox"), "text"),
            col("client", phrase("Client"), "code"),
            col("accesses", phrase("Mail accesses"), "number"),
            col("entries", phrase("Entries"), "number"),
            col("in_case", phrase("Part of a case"), "word"),
        ),
        rows=tuple(
            (cell.day, cell.mailbox, cell.client, cell.accesses, cell.item_entries, _words.TRUTH[cell.in_case])
            for cell in sorted(document.activity.days, key=lambda cell: (not cell.in_case, cell.day, cell.mailbox))
        ),
    )


def _hours(document: CaseDocument, lang: str) -> ReportTable:
    """The heat map in words."""
    names = _figures.weekdays(lang)
    return ReportTable(
        name="hours",
        title=phrase("Mail accesses by hour"),
        columns=(
            col("weekday", phrase("Weekday"), "text"),
            col("hour", phrase("Hour (UTC)"), "number"),
            col("accesses", phrase("Mail accesses"), "number"),
            col("in_case", phrase("Part of a case"), "number"),
        ),
        rows=tuple(
            (names[cell.weekday], cell.hour, cell.accesses, cell.in_case)
            for cell in sorted(document.activity.hours, key=lambda cell: (cell.weekday, cell.hour))
        ),
    )


def _matrix(document: CaseDocument) -> ReportTable:
    """Who read what, in words."""
    return ReportTable(
        name="matrix",
        title=phrase("Who read what"),
        columns=(
            col("actor", phrase("Account"), "text"),
            col("client", phrase("Client"), "code"),
            col("mailbox", phrase("Mailbox"), "text"),
            col("messages", phrase("Certain: messages"), "number"),
            col("accesses", phrase("Mail accesses"), "number"),
            col("in_case", phrase("Part of a case"), "word"),
        ),
        rows=tuple(
            (cell.actor, cell.client, cell.mailbox, cell.messages, cell.accesses, _words.TRUTH[cell.in_case])
            for cell in sorted(document.activity.matrix, key=lambda cell: (not cell.in_case, -cell.messages))
        ),
    )


REPORTER = Reporter(name="html", media_type="text/html; charset=utf-8", render=render, render_for=render_for)

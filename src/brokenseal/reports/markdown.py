"""Markdown: the report in short, for tickets and mails. Log text stands in code spans, where nothing is markup."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from brokenseal.model import Reporter
from brokenseal.reports import _judged, _ledger_tables, _paper_short, _rules, _tables, _words
from brokenseal.reports._escape import cut, markdown, markdown_code
from brokenseal.reports._tlp import label
from brokenseal.wording import Phrase, format_value, phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokenseal.judged import Assessment
    from brokenseal.model import Case, CaseDocument, Finding, Reading
    from brokenseal.reports._columns import Cell, Column, ReportTable

MESSAGES_SHOWN = 50
EVIDENCE_SHOWN = 5
ROWS_SHOWN = 200
_TEXT_LIMIT = 300
_SHORT = ("mailbox", "cases", "subject", "sender", "first_at", "entries", "internet_message_id")
_TESTED = ("name", "result", "because")
_LISTED = 8


def render(document: CaseDocument, lang: str) -> bytes:
    """The document in short, as GitHub-flavoured Markdown."""
    return "\n".join(_lines(document, lang)).rstrip().encode("utf-8", "replace") + b"\n"


def _lines(document: CaseDocument, lang: str) -> Iterator[str]:
    coverage, inputs = document.coverage, document.inputs
    yield f"# {markdown(say(_words.verdict(document), lang))}"
    if document.simulated:
        yield from ("", f"> {_said(_words.SIMULATED, lang)}")
    yield from ("", f"**{_said(_words.headline(document), lang)}**", "")
    yield _said(
        phrase("Logs from {first_at} to {last_at}.", first_at=coverage.first_at, last_at=coverage.last_at), lang
    )
    for number, case in enumerate(document.cases, start=1):
        yield from _case(number, case, document, lang)
    yield from _section(phrase("What was read"), lang)
    for exposed in (_tables.exposure_of(document.cases), _tables.exposure_all(document.exposure)):
        if exposed.rows:
            yield from (f"### {markdown(say(exposed.title, lang))}", "", *_table(exposed, lang), "")
    yield from _section(phrase("What the logs cannot tell"), lang)
    yield from (f"- {_said(sentence, lang)}" for sentence in (coverage.cannot_tell or document.verdict.reasons))
    yield from (f"- {_said(alarm.explanation, lang)} ({markdown_code(alarm.place)})" for alarm in coverage.alarms)
    messages = _tables.messages(document)
    if messages.rows:
        yield from _section(messages.title, lang)
        yield from _table(messages, lang, only=_SHORT, most=MESSAGES_SHOWN)
    yield from _notices(document, lang)
    yield from _rules_of_others(document, lang)
    for table in (
        _ledger_tables.detectors(document),
        _ledger_tables.sources(coverage),
        _ledger_tables.inputs(document),
    ):
        yield from (*_section(table.title, lang), *_table(table, lang))
    yield from ("", _said(_counts(document), lang))
    if inputs.quarantine:
        yield from ("", *_table(_ledger_tables.quarantine(document), lang))
    yield from ("", _said(phrase("All times are UTC. Written by {program}.", program=_program(document)), lang))


def _notices(document: CaseDocument, lang: str) -> Iterator[str]:
    if not document.notices:
        return
    yield from _section(phrase("Worth a look"), lang)
    for notice in document.notices:
        yield from _finding(notice, document, lang)
    if document.notices_left_out:
        yield _said(_words.left_out(document.notices_left_out), lang)


def _rules_of_others(document: CaseDocument, lang: str) -> Iterator[str]:
    rules = document.rules
    if rules is None:
        return
    yield from (*_section(_rules.TITLE, lang), _said(_rules.LEAD, lang), "", _said(_rules.counts(rules), lang), "")
    apart, not_run = _rules.apart(rules), _rules.not_run(rules)
    if apart.rows:
        yield from (*_subsection(apart.title, lang), *_table(apart, lang, only=_rules.SHORT_APART), "")
    if rules.apart_left_out:
        yield from (_said(_rules.left_out(rules.apart_left_out), lang), "")
    if not_run.rows:
        yield from (*_subsection(not_run.title, lang), *_table(not_run, lang, most=MESSAGES_SHOWN))


def _rules_of_case(case: Case, document: CaseDocument, lang: str) -> Iterator[str]:
    said = document.rules.of_case(case.id) if document.rules is not None else None
    if said is None:
        return
    yield from ("", *_subsection(_rules.OF_CASE, lang), _said(_rules.LEAD, lang), "")
    yield from _table(_rules.of_case(said), lang, only=_rules.SHORT)
    if said.left_out:
        yield from ("", _said(_rules.left_out(said.left_out), lang))


def _subsection(title: Phrase, lang: str) -> tuple[str, ...]:
    return (f"### {markdown(say(title, lang))}", "")


def _program(document: CaseDocument) -> str:
    return f"Brokenseal {document.product_version}"


def _counts(document: CaseDocument) -> Phrase:
    inputs = document.inputs
    return phrase(
        "{records} records were found: {kept} kept, {duplicates} copies, {rejected} in quarantine, {ignored} ignored.",
        records=inputs.records,
        kept=inputs.kept,
        duplicates=inputs.duplicates,
        rejected=inputs.rejected,
        ignored=inputs.ignored,
    )


def _section(title: Phrase, lang: str) -> tuple[str, ...]:
    return ("", f"## {markdown(say(title, lang))}", "")


def _case(number: int, case: Case, document: CaseDocument, lang: str) -> Iterator[str]:
    severity = markdown(_words.word(_words.SEVERITY, case.severity.value, lang))
    yield from ("", f"## {number}. {severity}: {_said(case.title, lang)}", "")
    for sentence in case.summary:
        yield from (_said(sentence, lang), "")
    seen = case.exposure
    facts: list[tuple[Phrase, str]] = [
        (phrase("Case"), markdown_code(case.id)),
        (phrase("When (UTC)"), f"{_cell_text(case.first_at, lang)} – {_cell_text(case.last_at, lang)}"),
        (phrase("Mailboxes"), _list(case.mailboxes, lang)),
        (phrase("Accounts"), _list(case.actors, lang)),
        (phrase("Addresses"), _list(case.addresses, lang)),
        (
            phrase("Read"),
            " · ".join(
                _said(sentence, lang)
                for sentence in (
                    phrase("Certain messages: {certain}", certain=seen.certain),
                    phrase(
                        "Possible messages: {possible} (folders: {folders})",
                        possible=seen.possible,
                        folders=len(seen.folders),
                    ),
                    phrase("Unknowable spans: {unknowable}", unknowable=seen.unknowable),
                )
            ),
        ),
        (phrase("ATT&CK"), ", ".join(markdown_code(_words.attack_name(technique)) for technique in case.attack) or "–"),
    ]
    yield from (f"- {markdown(say(label, lang))}: {value}" for label, value in facts)
    if case.assessment is not None:
        yield from _judgement(case, case.assessment, lang)
    for title, sentences in (
        (phrase("What to do next"), case.next_steps),
        (phrase("Why these findings belong together"), case.links),
    ):
        if sentences:
            yield from ("", f"**{markdown(say(title, lang))}**", "")
            yield from (f"- {_said(sentence, lang)}" for sentence in sentences)
    for found in case.findings:
        yield from ("", *_finding(found, document, lang))
    yield from _rules_of_case(case, document, lang)


def _judgement(case: Case, judged: Assessment, lang: str) -> Iterator[str]:
    likelihoods, tested = _judged.likelihoods(case, judged), _judged.alternatives(case, judged)
    yield from ("", f"**{markdown(say(likelihoods.title, lang))}**", "", *_table(likelihoods, lang))
    confidence = _words.word(_words.CONFIDENCE, judged.confidence, lang)
    yield from ("", f"**{markdown(say(_judged.CONFIDENCE, lang))}: {markdown(confidence)}**", "")
    yield from (f"- {_said(sentence, lang)}" for sentence in judged.confidence_reasons)
    if tested.rows:
        yield from ("", f"**{markdown(say(tested.title, lang))}**", "", *_table(tested, lang, only=_TESTED))
    for part in _judged.sentences(judged):
        yield from ("", f"**{markdown(say(part.title, lang))}**", "")
        yield from (f"- {_said(sentence, lang)}" for sentence in part.lines)


def _finding(found: Finding, document: CaseDocument, lang: str) -> Iterator[str]:
    severity = markdown(_words.word(_words.SEVERITY, found.severity.value, lang))
    yield from (f"### {severity}: {_said(found.title, lang)}", "")
    yield f"- {markdown(say(phrase('Why it might be innocent'), lang))}: {_said(found.innocent, lang)}"
    yield f"- {markdown(say(phrase('What would settle it'), lang))}: {_said(found.settles, lang)}"
    yield f"- {_said(phrase('Evidence: {n} record(s)', n=len(found.evidence)), lang)}"
    for item in found.evidence[:EVIDENCE_SHOWN]:
        record = document.cited.get(item.event_id)
        parts = [_cell_text(item.occurred_at, lang), _code(item.role), _code(item.event_id)]
        if record is not None:
            parts += [_code(text) for text in (record.operation, record.actor, record.client_ip) if text]
        yield "  - " + " · ".join(parts)
    if len(found.evidence) > EVIDENCE_SHOWN:
        yield f"  - +{format_value(len(found.evidence) - EVIDENCE_SHOWN, lang)}"
    yield ""


def _said(sentence: Phrase, lang: str) -> str:
    """A phrase with log text in code spans."""
    return "".join(_code(text) if kind == "log" else markdown(text) for text, kind in _words.pieces(sentence, lang))


def _code(text: str) -> str:
    return markdown_code(cut(text, _TEXT_LIMIT))


def _list(texts: Iterable[str], lang: str) -> str:
    listed = [_code(text) for text in texts]
    more = [f"+{format_value(len(listed) - _LISTED, lang)}"] if len(listed) > _LISTED else []
    return ", ".join([*listed[:_LISTED], *more]) or "–"


def _table(table: ReportTable, lang: str, *, only: tuple[str, ...] = (), most: int = ROWS_SHOWN) -> Iterator[str]:
    places = [place for place, column in enumerate(table.columns) if not only or column.name in only]
    columns = [table.columns[place] for place in places]
    yield "| " + " | ".join(markdown(say(column.title, lang)) for column in columns) + " |"
    yield "|" + "|".join(" ---: " if column.kind in {"number", "share"} else " --- " for column in columns) + "|"
    for row in table.rows[:most]:
        cells = (_cell(column, row[place], lang) for place, column in zip(places, columns, strict=True))
        yield "| " + " | ".join(cells) + " |"
    if len(table.rows) > most:
        said = phrase(
            "{shown} of {all} shown; all of them are in the XLSX and JSON reports.", shown=most, all=len(table.rows)
        )
        yield from ("", _said(said, lang))


def _cell(column: Column, value: Cell, lang: str) -> str:
    if column.kind == "severity" and isinstance(value, str):
        return markdown(_words.word(_words.SEVERITY, value, lang))
    return _cell_text(value, lang)


def _cell_text(value: Cell, lang: str) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, Phrase):
        return _said(value, lang)
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return _list(value, lang)
    if isinstance(value, str):
        return _code(value)
    return markdown(format_value(value, lang))


def render_for(document: CaseDocument, lang: str, reading: Reading) -> bytes:
    """The document for one reader; the marking stands first.

    Raises:
        UsageError: The marking is no level of TLP 2.0.
    """
    if reading.reader != "analyst":
        return _paper_short.as_markdown(document, lang, reading)
    marked = f"**{label(reading.tlp)['label']}**\n\n".encode() if reading.tlp else b""
    return marked + render(document, lang)


REPORTER = Reporter(name="md", media_type="text/markdown; charset=utf-8", render=render, render_for=render_for)

"""The report for the analyst as blocks: everything the document says, in the order of an investigation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from brokenseal.reports import _figures, _judged, _ledger_tables, _paper_findings, _paper_parts, _rules, _tables, _words
from brokenseal.reports._glossary import GLOSSARY
from brokenseal.reports._paper import Counts, Facts, Grid, Head, Line, Listing, Para, Picture
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import Case, CaseDocument
    from brokenseal.reports._paper import Block
    from brokenseal.wording import Phrase

_RECORDS: Final = ("event_id", "occurred_at", "operation", "actor", "mailbox", "client_ip")
_UNITS: Final = ("unit", "standing", "mailbox", "network", "first_at", "records", "weight")


def blocks(document: CaseDocument, lang: str) -> tuple[Block, ...]:
    """All of it."""
    return (
        *_what_happened(document),
        *_what_was_read(document),
        *_cannot_tell(document),
        *_pictures(document, lang),
        *_cases(document),
        *_notices(document),
        *_rules_of_others(document),
        *_messages(document),
        *_coverage(document),
        Head(level=1, said=phrase("Inputs")),
        *_paper_parts.custody(document, heading=False),
        *_records(document),
        Head(level=1, said=phrase("Glossary")),
        Facts(rows=GLOSSARY),
    )


def _what_happened(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("What happened"))
    yield Para(line=Line(said=_words.headline(document)), role="lead")
    if not document.cases:
        yield Para(
            line=Line(
                said=phrase(
                    "No case stands. What could not be looked for is said under “What the logs cannot tell” and "
                    "“Detectors”."
                )
            )
        )
        return
    yield Grid(
        table=_tables.cases(document),
        columns=("case", "severity", "title", "first_at", "last_at", "certain", "possible", "unknowable"),
        heading=False,
    )


def _what_was_read(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("What was read"))
    yield _paper_parts.kinds()
    yield from _paper_parts.exposure(document)
    if document.exposure.mailboxes:
        everything = _tables.exposure_all(document.exposure)
        yield Grid(table=everything, columns=tuple(name for name in _paper_parts.EXPOSURE if name != "case"))
    else:
        yield Para(line=Line(said=phrase("The logs hold no mail access at all.")))


def _cannot_tell(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("What the logs cannot tell"))
    said = _paper_parts.limits(document)
    if said:
        yield Listing(lines=_paper_parts.lines(said))
    else:
        yield Para(line=Line(said=phrase("No hole in these logs is known.")))
    origin = document.token_provenance
    total = origin.issued + origin.not_issued + origin.cannot_tell
    if total:
        yield Head(level=2, said=phrase("Were the tokens that read mail ever issued?"))
        yield Para(
            line=Line(
                said=phrase(
                    "Of {all} mail accesses, {issued} used a token that a log shows being issued, and {not_issued} "
                    "used one that no log shows although it should. Of {cannot_tell} it cannot be told.",
                    all=total,
                    issued=origin.issued,
                    not_issued=origin.not_issued,
                    cannot_tell=origin.cannot_tell,
                )
            )
        )
        yield Grid(table=_ledger_tables.provenance(document))
    yield Grid(table=_ledger_tables.alarms(document.coverage))


def _pictures(document: CaseDocument, lang: str) -> Iterator[Block]:
    drawn: tuple[tuple[_figures.Figure | None, Phrase, Literal["outline", "dot", "none"]], ...] = (
        (_figures.timeline(document.activity, lang), phrase("When which client read which mailbox"), "outline"),
        (_figures.hours(document.activity, lang), phrase("At which hours"), "dot"),
        (_figures.matrix(document.activity, lang), phrase("Who read what"), "outline"),
        (_figures.coverage_bars(document.coverage, lang), phrase("From when to when there are logs"), "none"),
    )
    if any(figure for figure, _, _ in drawn):
        yield Head(level=1, said=phrase("Pictures"))
    for figure, title, mark in drawn:
        if figure is not None:
            yield Picture(figure=figure, title=title, mark=mark)
    if drawn[-1][0] is not None:
        yield Para(
            line=Line(
                said=phrase(
                    "Dotted: the log is not there. Dashed box: hours without records. The numbers stand under "
                    "“Coverage”."
                )
            ),
            role="note",
        )


def _cases(document: CaseDocument) -> Iterator[Block]:
    if document.cases:
        yield Head(level=1, said=phrase("Cases in detail"))
    for number, case in enumerate(document.cases, start=1):
        yield from _case(number, case)
        yield from _rules_of_case(case, document)


def _case(number: int, case: Case) -> Iterator[Block]:
    seen = case.exposure
    yield Head(level=2, said=case.title, number=str(number))
    yield Facts(
        rows=(
            (phrase("Case"), case.id),
            (phrase("Severity"), _words.SEVERITY[case.severity.value]),
            (phrase("First (UTC)"), case.first_at),
            (phrase("Last (UTC)"), case.last_at),
            (phrase("Mailboxes"), case.mailboxes),
            (phrase("Accounts"), case.actors),
            (phrase("Addresses"), case.addresses),
            (phrase("ATT&CK"), tuple(_words.attack_name(technique) for technique in case.attack)),
        )
    )
    yield Counts(certain=seen.certain, possible=seen.possible, folders=len(seen.folders), unknowable=seen.unknowable)
    yield Listing(lines=_paper_parts.lines(case.summary))
    if case.assessment is not None:
        judged = case.assessment
        yield from _paper_parts.likelihood(case, judged)
        yield Head(level=3, said=_judged.CONFIDENCE)
        yield from _paper_parts.confidence(judged)
        yield from _paper_parts.tested(case, judged)
        yield from _paper_parts.ground(judged)
    for title, said in (
        (phrase("What to do next"), case.next_steps),
        (phrase("Why these findings belong together"), case.links),
    ):
        if said:
            yield Head(level=3, said=title)
            yield Listing(lines=_paper_parts.lines(said), ordered=said is case.next_steps)
    yield from _paper_findings.of_case(number, case)


def _notices(document: CaseDocument) -> Iterator[Block]:
    if not document.notices:
        return
    yield Head(level=1, said=phrase("Worth a look"))
    yield Para(
        line=Line(
            said=phrase("Changes that somebody should confirm in office hours. None of them makes a case by itself.")
        )
    )
    yield from _paper_findings.alone(document.notices)
    if document.notices_left_out:
        yield Para(line=Line(said=_words.left_out(document.notices_left_out)), role="note")


def _rules_of_case(case: Case, document: CaseDocument) -> Iterator[Block]:
    said = document.rules.of_case(case.id) if document.rules is not None else None
    if said is None:
        return
    yield Head(level=3, said=_rules.OF_CASE)
    yield Para(line=Line(said=_rules.LEAD), role="note")
    yield Grid(table=_rules.of_case(said), columns=_rules.SHORT, heading=False)
    if said.left_out:
        yield Para(line=Line(said=_rules.left_out(said.left_out)), role="note")


def _rules_of_others(document: CaseDocument) -> Iterator[Block]:
    rules = document.rules
    if rules is None:
        return
    yield Head(level=1, said=_rules.TITLE)
    yield Para(line=Line(said=_rules.LEAD))
    yield Para(line=Line(said=_rules.counts(rules)))
    yield Grid(table=_rules.apart(rules), columns=_rules.SHORT_APART)
    if rules.apart_left_out:
        yield Para(line=Line(said=_rules.left_out(rules.apart_left_out)), role="note")
    yield Grid(table=_rules.not_run(rules))


def _messages(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("Messages and folders"))
    yield Para(
        line=Line(
            said=phrase(
                "Each message stands once per mailbox, however often it was read. Those of cases come first. Subjects "
                "and senders are there where some log gives them."
            )
        )
    )
    read = _tables.messages(document)
    if read.rows:
        yield _paper_parts.messages(read, _paper_parts.MESSAGES)
    else:
        yield Para(line=Line(said=phrase("No record lists a message.")))
    perhaps = _tables.possible_messages(document)
    yield _paper_parts.messages(perhaps, _paper_parts.PERHAPS)
    yield Grid(
        table=_tables.folders(document),
        columns=("mailbox", "cases", "folder_path", "known_messages", "first_at", "last_at", "event_ids"),
    )
    yield Grid(table=_tables.open_ended(document))


def _coverage(document: CaseDocument) -> Iterator[Block]:
    coverage = document.coverage
    yield Head(level=1, said=phrase("Coverage"))
    yield Para(
        line=Line(said=phrase("What the statements above lean on. “The logs do not say” is neither yes nor no."))
    )
    yield Grid(table=_ledger_tables.sources(coverage), heading=False)
    yield Grid(
        table=_ledger_tables.mailboxes(coverage),
        columns=(
            "mailbox",
            "has_mail_access",
            "accesses",
            "throttled_days",
            "audit_bypassed",
            "with_session",
            "with_token",
        ),
    )
    yield Grid(table=_ledger_tables.gaps(coverage))
    yield Head(level=1, said=phrase("Detectors"))
    yield Para(line=Line(said=phrase("What was looked for. A detector that could not be assessed is no good news.")))
    yield Grid(table=_ledger_tables.detectors(document), heading=False)


def _records(document: CaseDocument) -> Iterator[Block]:
    cited = _ledger_tables.records(document)
    if cited.rows:
        yield Head(level=1, said=phrase("Records"))
        yield Para(
            line=Line(
                said=phrase("Every record that a statement cites. “brokenseal evidence show” prints its recorded text.")
            )
        )
        yield Grid(
            table=cited,
            columns=_RECORDS,
            most=_paper_parts.RECORDS_PRINTED,
            in_full=_paper_parts.RECORDS_IN_FULL,
            heading=False,
        )

"""The document as tables: cases, findings, evidence, and what was read.

Nothing is computed that the document does not say, except which cases a message belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.reports import _words
from brokenseal.reports._columns import (
    ACTORS,
    ADDRESSES,
    ATTACK,
    CASE,
    CASES,
    CERTAIN,
    EXPOSURE_COLUMNS,
    FIRST,
    LAST,
    MAILBOX,
    MAILBOXES,
    MESSAGE_COLUMNS,
    POSSIBLE,
    POSSIBLE_COLUMNS,
    RECORDS,
    SESSIONS,
    SEVERITY,
    UNKNOWABLE,
    ReportTable,
    coded,
    col,
)
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable

    from brokenseal.model import Case, CaseDocument, ExposedFolder, ExposedMessage, Exposure, Finding, OpenEnded
    from brokenseal.reports._columns import Cell
    from brokenseal.wording import Phrase


MESSAGES_TITLE = phrase("Messages")


def summary(document: CaseDocument) -> ReportTable:
    """The first screen as label and value."""
    coverage, inputs, seen = document.coverage, document.inputs, document.exposure
    lines: list[tuple[Phrase, Cell]] = [
        (phrase("Verdict"), _words.verdict(document)),
        (phrase("In one sentence"), _words.headline(document)),
        (phrase("Cases"), len(document.cases)),
        (phrase("Worth a look in office hours"), len(document.notices)),
        (phrase("Logs from (UTC)"), coverage.first_at),
        (phrase("Logs until (UTC)"), coverage.last_at),
        (phrase("Tenants"), coverage.tenants),
        (phrase("All mail accesses in the logs"), seen.accesses),
        (phrase("All accesses, certain: messages"), seen.certain),
        (phrase("All accesses, possible: messages"), seen.possible),
        (phrase("All accesses, unknowable: spans"), seen.unknowable),
        (phrase("Mail accesses with a session id"), _percent(coverage.with_session)),
        (phrase("Mail accesses with a token id"), _percent(coverage.with_token)),
        (phrase("Tokens that read mail: issued"), document.token_provenance.issued),
        (phrase("Tokens that read mail: not issued"), document.token_provenance.not_issued),
        (phrase("Tokens that read mail: cannot tell"), document.token_provenance.cannot_tell),
        (phrase("Records found"), inputs.records),
        (phrase("Records kept"), inputs.kept),
        (phrase("Copies"), inputs.duplicates),
        (phrase("Records in quarantine"), inputs.rejected),
        (phrase("Records of other files"), inputs.ignored),
    ]
    if document.simulated:
        lines.insert(0, (phrase("Note"), _words.SIMULATED))
    lines += [(phrase("The logs cannot tell"), sentence) for sentence in coverage.cannot_tell]
    lines += [(phrase("Program"), f"Brokenseal {document.product_version}")]
    return ReportTable(
        name="summary",
        title=phrase("Summary"),
        columns=(col("label", phrase("What"), "word"), col("value", phrase("Value"), "text")),
        rows=tuple(lines),
    )


def _percent(share: float | None) -> str | None:
    # Rounded down, so that "100 %" is said of all alone.
    return None if share is None else f"{int(share * 100)}%"


def cases(document: CaseDocument) -> ReportTable:
    """One row per case, in order."""
    return ReportTable(
        name="cases",
        title=phrase("Cases"),
        columns=(
            CASE,
            SEVERITY,
            col("title", phrase("Title"), "text"),
            MAILBOXES,
            ACTORS,
            ADDRESSES,
            FIRST,
            LAST,
            CERTAIN,
            POSSIBLE,
            UNKNOWABLE,
            col("findings", phrase("Findings"), "number"),
            ATTACK,
        ),
        rows=tuple(
            (
                (case.id,),
                case.severity.value,
                case.title,
                case.mailboxes,
                case.actors,
                case.addresses,
                case.first_at,
                case.last_at,
                case.exposure.certain,
                case.exposure.possible,
                case.exposure.unknowable,
                len(case.findings),
                case.attack,
            )
            for case in document.cases
        ),
    )


def _all_findings(document: CaseDocument) -> Iterable[tuple[tuple[str, ...], Finding]]:
    for case in document.cases:
        for finding in case.findings:
            yield (case.id,), finding
    for notice in document.notices:
        yield (), notice


def findings(document: CaseDocument) -> ReportTable:
    """One row per finding: those of cases first, then the notices."""
    return ReportTable(
        name="findings",
        title=phrase("Findings"),
        columns=(
            col("finding", phrase("Finding"), "finding"),
            CASE,
            SEVERITY,
            col("title", phrase("Title"), "text"),
            col("detector", phrase("Detector"), "code"),
            FIRST,
            LAST,
            MAILBOXES,
            ACTORS,
            ADDRESSES,
            SESSIONS,
            col("objects", phrase("Objects"), "texts"),
            ATTACK,
            col("innocent", phrase("Why it might be innocent"), "text"),
            col("settles", phrase("What would settle it"), "text"),
            col("evidence", phrase("Records"), "number"),
        ),
        rows=tuple(
            (
                found.id,
                case,
                found.severity.value,
                found.title,
                found.detector_id,
                found.first_at,
                found.last_at,
                found.mailboxes,
                found.actors,
                found.addresses,
                found.sessions,
                found.objects,
                found.attack,
                found.innocent,
                found.settles,
                len(found.evidence),
            )
            for case, found in _all_findings(document)
        ),
    )


def evidence(document: CaseDocument) -> ReportTable:
    """One row per record in the role it plays in a finding."""
    return ReportTable(
        name="evidence",
        title=phrase("Evidence"),
        columns=(
            col("finding", phrase("Finding"), "finding"),
            CASE,
            col("at", phrase("Time (UTC)"), "time"),
            col("role", phrase("Role"), "code"),
            col("event_id", phrase("Record"), "records"),
        ),
        rows=tuple(
            (found.id, case, item.occurred_at, item.role, (item.event_id,))
            for case, found in _all_findings(document)
            for item in found.evidence
        ),
    )


def _exposure_rows(case: tuple[str, ...], seen: Exposure) -> Iterable[tuple[Cell, ...]]:
    for box in seen.mailboxes:
        yield (
            box.mailbox,
            case,
            box.certain,
            box.possible,
            box.possible_folders,
            box.unknowable,
            box.accesses,
            box.first_at,
            box.last_at,
            box.clients,
            box.addresses,
        )


def exposure_of(cases_: Iterable[Case]) -> ReportTable:
    """One row per mailbox and case: nothing is added up across cases, so nothing is counted twice."""
    return ReportTable(
        name="exposure",
        title=phrase("Exposure by mailbox"),
        columns=EXPOSURE_COLUMNS,
        rows=tuple(row for case in cases_ for row in _exposure_rows((case.id,), case.exposure)),
    )


def exposure_all(seen: Exposure) -> ReportTable:
    """One row per mailbox under one selection, such as all mail accesses, whoever made them."""
    return ReportTable(
        name="exposure_all",
        title=phrase("All mail accesses"),
        columns=tuple(column for column in EXPOSURE_COLUMNS if column is not CASE),
        rows=tuple((row[0], *row[2:]) for row in _exposure_rows((), seen)),
    )


def messages(document: CaseDocument) -> ReportTable:
    """Every message that was read with certainty, those of cases first, then by mailbox and time."""
    lines, of = _message_lines(document, lambda seen: seen.messages)
    return ReportTable(
        name="messages",
        title=MESSAGES_TITLE,
        columns=MESSAGE_COLUMNS,
        rows=tuple(message_row(line, of[key]) for key, line in lines.items()),
    )


def possible_messages(document: CaseDocument) -> ReportTable:
    """Messages that may have been read in a case, by doubtful reads or by a rule, each with its reason."""
    lines, of = _message_lines(document, lambda seen: seen.possible_messages)
    rows = ((message_row(line, of[key]), coded(_words.POSSIBLE_REASON, line.reason)) for key, line in lines.items())
    return ReportTable(
        name="possible_messages",
        title=phrase("Messages perhaps read"),
        columns=POSSIBLE_COLUMNS,
        rows=tuple((*cells[:3], reason, *cells[3:]) for cells, reason in rows),
    )


_MessageKey = tuple[str, str, str | None]


def _message_lines(
    document: CaseDocument, listed: Callable[[Exposure], Iterable[ExposedMessage]]
) -> tuple[dict[_MessageKey, ExposedMessage], dict[_MessageKey, tuple[str, ...]]]:
    """The lines of all exposures, each once, those of cases first; and the cases that each is of."""
    lines: dict[_MessageKey, ExposedMessage] = {}
    of: dict[_MessageKey, list[str]] = {}
    for case_id, seen in ((None, document.exposure), *((case.id, case.exposure) for case in document.cases)):
        for line in listed(seen):
            key = (line.mailbox, line.internet_message_id, line.reason)
            lines.setdefault(key, line)
            of.setdefault(key, []).extend([] if case_id is None else [case_id])
    order = sorted(lines, key=lambda key: (not of[key], key[0], lines[key].first_at, key[1], key[2] or ""))
    return {key: lines[key] for key in order}, {key: tuple(of[key]) for key in order}


def message_row(line: ExposedMessage, of: tuple[str, ...]) -> tuple[Cell, ...]:
    """The cells of one message in the order of `MESSAGE_COLUMNS`."""
    return (
        line.mailbox,
        of,
        line.subject,
        line.sender,
        line.recipients,
        line.folder_path,
        line.size_bytes,
        line.first_at,
        line.last_at,
        line.entries,
        line.clients,
        line.addresses,
        line.sessions,
        line.internet_message_id,
        line.event_ids,
    )


def folders(document: CaseDocument) -> ReportTable:
    """Folders that went to a client as a whole."""
    lines: dict[ExposedFolder, list[str]] = {line: [] for line in document.exposure.folders}
    for case in document.cases:
        for line in case.exposure.folders:
            lines.setdefault(line, []).append(case.id)
    return ReportTable(
        name="folders",
        title=phrase("Folders"),
        columns=(
            MAILBOX,
            CASES,
            col("folder_path", phrase("Folder"), "text"),
            col("known_messages", phrase("Possible: known messages"), "number"),
            FIRST,
            LAST,
            col("folder_id", phrase("Folder id"), "code"),
            RECORDS,
        ),
        rows=tuple(
            (
                line.mailbox,
                tuple(of),
                line.folder_path,
                line.known_messages,
                line.first_at,
                line.last_at,
                line.folder_id,
                line.event_ids,
            )
            for line, of in sorted(lines.items(), key=lambda item: not item[1])
        ),
    )


def open_ended(document: CaseDocument) -> ReportTable:
    """Spans in which more may have been read than records show."""
    spans: dict[tuple[str, str, dt.datetime | None, dt.datetime | None], tuple[OpenEnded, list[str]]] = {}
    for of, seen in (((), document.exposure), *(((case.id,), case.exposure) for case in document.cases)):
        for span in seen.open_ended:
            key = (span.mailbox, span.reason, span.first_at, span.last_at)
            spans.setdefault(key, (span, []))[1].extend(of)
    return ReportTable(
        name="open_ended",
        title=phrase("Open-ended"),
        columns=(
            MAILBOX,
            CASES,
            col("reason", phrase("Reason"), "word"),
            FIRST,
            LAST,
            col("explanation", phrase("Explanation"), "text"),
            RECORDS,
        ),
        rows=tuple(
            (
                span.mailbox,
                tuple(of),
                coded(_words.OPEN_REASON, span.reason),
                span.first_at,
                span.last_at,
                span.explanation,
                span.event_ids,
            )
            for span, of in sorted(spans.values(), key=lambda item: not item[1])
        ),
    )

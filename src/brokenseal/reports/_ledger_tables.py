"""The document's tables about the logs themselves: coverage, detectors, inputs, quarantine, cited records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.reports import _rules, _tables, _words
from brokenseal.reports._columns import ACCESSES, FILE, FIRST, LAST, MAILBOX, RECORDS, ReportTable, coded, col
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from brokenseal.model import CaseDocument, Coverage


def sources(coverage: Coverage) -> ReportTable:
    """From when to when each source was delivered, and what its absence costs."""
    return ReportTable(
        name="coverage",
        title=phrase("Coverage"),
        columns=(
            col("title", phrase("Log"), "text"),
            col("present", phrase("There"), "word"),
            col("records", phrase("Records"), "number"),
            FIRST,
            LAST,
            col("gaps", phrase("Gaps"), "number"),
            col("without_it", phrase("Without it"), "text"),
        ),
        rows=tuple(
            (
                source.title,
                _words.TRUTH[source.present],
                source.records,
                source.first_at,
                source.last_at,
                len(source.gaps),
                source.without_it,
            )
            for source in coverage.sources
        ),
    )


def gaps(coverage: Coverage) -> ReportTable:
    """Hours with nothing where there should be something."""
    return ReportTable(
        name="gaps",
        title=phrase("Gaps"),
        columns=(
            col("title", phrase("Log"), "text"),
            FIRST,
            LAST,
            col("expected_records", phrase("Records expected"), "number"),
        ),
        rows=tuple(
            (source.title, gap.first_at, gap.last_at, round(gap.expected_records))
            for source in coverage.sources
            for gap in source.gaps
        ),
    )


def mailboxes(coverage: Coverage) -> ReportTable:
    """What the logs can tell of each mailbox."""
    return ReportTable(
        name="mailbox_coverage",
        title=phrase("Coverage by mailbox"),
        columns=(
            MAILBOX,
            col("has_mail_access", phrase("Mail access is logged"), "word"),
            ACCESSES,
            FIRST,
            LAST,
            col("throttled_days", phrase("Throttled days (UTC)"), "codes"),
            col("audit_bypassed", phrase("Audit bypassed or off"), "word"),
            col("with_session", phrase("With session id"), "share"),
            col("with_token", phrase("With token id"), "share"),
            RECORDS,
        ),
        rows=tuple(
            (
                box.mailbox,
                _words.TRUTH[box.has_mail_access],
                box.accesses,
                box.first_at,
                box.last_at,
                box.throttled_days,
                _words.TRUTH[box.audit_bypassed],
                box.with_session,
                box.with_token,
                box.event_ids,
            )
            for box in coverage.mailboxes
        ),
    )


def alarms(coverage: Coverage) -> ReportTable:
    """What makes an input incomplete or lossy."""
    return ReportTable(
        name="alarms",
        title=phrase("Alarms"),
        columns=(
            col("code", phrase("Alarm"), "word"),
            col("place", phrase("Where"), "code"),
            col("explanation", phrase("Explanation"), "text"),
        ),
        rows=tuple((coded(_words.ALARM, alarm.code), alarm.place, alarm.explanation) for alarm in coverage.alarms),
    )


def provenance(document: CaseDocument) -> ReportTable:
    """Why it cannot be told of some mail accesses whether their token was issued."""
    reasons = document.token_provenance.cannot_tell_reasons
    return ReportTable(
        name="token_provenance",
        title=phrase("Untraced tokens"),
        columns=(col("reason", phrase("Reason"), "word"), ACCESSES),
        rows=tuple((coded(_words.CANNOT_TELL, code), count) for code, count in sorted(reasons.items())),
    )


def detectors(document: CaseDocument) -> ReportTable:
    """What was looked for, and whether it could be."""
    return ReportTable(
        name="detectors",
        title=phrase("Detectors"),
        columns=(
            col("title", phrase("What was looked for"), "text"),
            col("state", phrase("State"), "word"),
            col("findings", phrase("Findings"), "number"),
            col("reason", phrase("Reason"), "text"),
            col("detector", phrase("Detector"), "code"),
        ),
        rows=tuple(
            (state.title, _words.STATE[state.state], state.findings, state.reason, state.detector_id)
            for state in document.detectors
        ),
    )


def inputs(document: CaseDocument) -> ReportTable:
    """The ledger: every input with its hash and counts."""
    return ReportTable(
        name="inputs",
        title=phrase("Inputs"),
        columns=(
            FILE,
            col("outcome", phrase("Outcome"), "word"),
            col("shape", phrase("Shape"), "code"),
            col("records", phrase("Records"), "number"),
            col("kept", phrase("Kept"), "number"),
            col("duplicates", phrase("Copies"), "number"),
            col("rejected", phrase("Quarantine"), "number"),
            col("ignored", phrase("Ignored"), "number"),
            FIRST,
            LAST,
            col("size_bytes", phrase("Bytes"), "number"),
            col("alarms", phrase("Alarms"), "codes"),
            col("sha256", phrase("SHA-256"), "code"),
        ),
        rows=tuple(
            (
                file.path,
                coded(_words.OUTCOME, file.outcome),
                file.shape,
                file.records,
                file.kept,
                file.duplicates,
                file.rejected,
                file.ignored,
                file.first_at,
                file.last_at,
                file.size_bytes,
                file.alarms,
                file.sha256,
            )
            for file in document.inputs.files
        ),
    )


def quarantine(document: CaseDocument) -> ReportTable:
    """Records that could not be read, with what could be salvaged."""
    return ReportTable(
        name="quarantine",
        title=phrase("Quarantine"),
        columns=(
            FILE,
            col("record_no", phrase("Record no."), "number"),
            col("reason", phrase("Reason"), "word"),
            col("column", phrase("Field"), "code"),
            col("expected", phrase("Expected"), "text"),
            col("salvaged_operation", phrase("Salvaged: operation"), "code"),
            col("salvaged_actor", phrase("Salvaged: account"), "text"),
            col("salvaged_at", phrase("Salvaged: time (UTC)"), "time"),
            col("salvaged_id", phrase("Salvaged: id"), "code"),
        ),
        rows=tuple(
            (
                row.path,
                row.record_no,
                coded(_words.QUARANTINE, row.reason),
                row.column,
                row.expected,
                row.salvaged_operation,
                row.salvaged_actor,
                row.salvaged_at,
                row.salvaged_id,
            )
            for row in document.inputs.quarantine
        ),
    )


def records(document: CaseDocument, only: frozenset[str] | None = None) -> ReportTable:
    """The records that statements cite, by time; `only` keeps those event ids."""
    chosen = sorted(
        (record for record in document.cited.values() if only is None or record.event_id in only),
        key=lambda record: (record.occurred_at, record.event_id),
    )
    return ReportTable(
        name="records",
        title=phrase("Records"),
        columns=(
            col("event_id", phrase("Record"), "record"),
            col("occurred_at", phrase("Time (UTC)"), "time"),
            col("operation", phrase("Operation"), "code"),
            col("actor", phrase("Account"), "text"),
            MAILBOX,
            col("client_ip", phrase("Address"), "code"),
            col("client", phrase("Client"), "code"),
            col("app", phrase("Application"), "code"),
            col("session_id", phrase("Session"), "code"),
            col("token_id", phrase("Token"), "code"),
            col("object_id", phrase("Object"), "text"),
        ),
        rows=tuple(
            (
                record.event_id,
                record.occurred_at,
                record.operation,
                record.actor,
                record.mailbox,
                record.client_ip,
                record.client,
                record.app,
                record.session_id,
                record.token_id,
                record.object_id,
            )
            for record in chosen
        ),
    )


def workbook(document: CaseDocument) -> tuple[ReportTable, ...]:
    """Every table in the order of an investigation: the sheets of the XLSX report."""
    return (
        _tables.summary(document),
        _tables.cases(document),
        _tables.findings(document),
        _tables.evidence(document),
        _tables.exposure_of(document.cases),
        _tables.exposure_all(document.exposure),
        _tables.messages(document),
        _tables.possible_messages(document),
        _tables.folders(document),
        _tables.open_ended(document),
        sources(document.coverage),
        mailboxes(document.coverage),
        gaps(document.coverage),
        alarms(document.coverage),
        detectors(document),
        provenance(document),
        *_rules.tables(document),
        inputs(document),
        quarantine(document),
        records(document),
    )

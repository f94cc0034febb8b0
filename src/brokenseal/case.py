"""Findings, exposure and coverage become the one document.

Nothing is analysed here that a room before it has not analysed: this module chooses, counts and says.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from brokenseal import __version__
from brokenseal.model import (
    Case,
    CaseDocument,
    Cited,
    InputFile,
    Inputs,
    Rejected,
    Verdict,
)
from brokenseal.selection import id_table
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import ibis.expr.types as ir
    import pyarrow as pa

    from brokenseal.judged import Assessment
    from brokenseal.model import Coverage, Exposure
    from brokenseal.scope import CaseDraft

DOCUMENT_FORMAT = 1
_QUARANTINE_SHOWN = 1000


def finish_case(draft: CaseDraft, exposure: Exposure, assessment: Assessment | None = None) -> Case:
    """A case draft with what was read under it, and how much speaks for it."""
    return Case(
        id=draft.id,
        title=draft.title,
        summary=draft.summary,
        severity=draft.severity,
        mailboxes=draft.mailboxes,
        actors=draft.actors,
        addresses=draft.addresses,
        first_at=draft.first_at,
        last_at=draft.last_at,
        attack=draft.attack,
        findings=draft.findings,
        links=draft.links,
        exposure=exposure,
        next_steps=draft.next_steps,
        assessment=assessment,
    )


def verdict_of(cases: tuple[Case, ...], coverage: Coverage, *, certain: int) -> Verdict:
    """The first thing that a reader sees; silence counts only where the logs could have spoken.

    Args:
        cases: All cases.
        coverage: What the logs can tell.
        certain: Distinct messages read with certainty under any case; a message of two cases counts once.
    """
    reasons = coverage.cannot_tell
    if cases:
        mailboxes = {mailbox for case in cases for mailbox in case.mailboxes}
        return Verdict(
            kind="found",
            headline=phrase(
                "{cases} case(s) look like an intrusion and touch {mailboxes} mailbox(es). "
                "Under them {certain} message(s) were read with certainty.",
                cases=len(cases),
                mailboxes=len(mailboxes),
                certain=certain,
            ),
            reasons=reasons,
        )
    if coverage.unmet_needs:
        return Verdict(
            kind="cannot_tell",
            headline=phrase("Nothing was found, but these logs could not have shown everything."),
            reasons=reasons,
        )
    return Verdict(
        kind="nothing_found",
        headline=phrase("Nothing was found, and the logs that would have shown it are there."),
        reasons=reasons,
    )


def inputs_of(ledger: Iterable[dict[str, object]], quarantine: Iterable[dict[str, object]]) -> Inputs:
    """What came in and what did not, from the rows of the ledger and of the quarantine.

    Totals count every input once; a later delivery of the same bytes (`unchanged`) adds nothing.
    """
    fields = InputFile.__dataclass_fields__
    files = tuple(
        InputFile(**{**{name: row[name] for name in fields}, "alarms": tuple(row["alarms"] or ())})  # type: ignore[arg-type]
        for row in sorted(ledger, key=lambda row: row["seq"])  # type: ignore[arg-type, return-value]
    )
    counted = [file for file in files if file.outcome != "unchanged"]
    names = Rejected.__dataclass_fields__
    rows = sorted(quarantine, key=lambda row: (str(row["path"]), int(str(row["record_no"]))))
    rejected = tuple(Rejected(**{name: row[name] for name in names}) for row in rows[:_QUARANTINE_SHOWN])  # type: ignore[arg-type]
    return Inputs(
        records=sum(file.records for file in counted),
        kept=sum(file.kept for file in counted),
        duplicates=sum(file.duplicates for file in counted),
        rejected=sum(file.rejected for file in counted),
        ignored=sum(file.ignored for file in counted),
        files=files,
        quarantine=rejected,
    )


def cited_records(events: ir.Table, event_ids: frozenset[str], run: Callable[[ir.Expr], pa.Table]) -> dict[str, Cited]:
    """The records that statements cite, by event id, with the fields that readers want beside them."""
    if not event_ids:
        return {}
    rows = events.select(
        "event_id",
        "occurred_at",
        "operation",
        "actor",
        "mailbox_upn",
        "client_ip",
        "client_info",
        "user_agent",
        "effective_app",
        "session_id",
        "token_id",
        "object_id",
    ).semi_join(id_table(event_ids), "event_id")
    found = (
        Cited(
            event_id=row["event_id"],
            occurred_at=row["occurred_at"],
            operation=row["operation"],
            actor=row["actor"],
            mailbox=row["mailbox_upn"],
            client_ip=row["client_ip"],
            client=row["client_info"] or row["user_agent"],
            app=row["effective_app"],
            session_id=row["session_id"],
            token_id=row["token_id"],
            object_id=row["object_id"],
        )
        for row in run(rows.order_by("event_id")).to_pylist()
    )
    return {each.event_id: each for each in found}


def exposed_ids(exposure: Exposure) -> frozenset[str]:
    """Every event id that the lines of an exposure cite."""
    lines: tuple[tuple[str, ...], ...] = (
        *(message.event_ids for message in exposure.messages),
        *(folder.event_ids for folder in exposure.folders),
        *(span.event_ids for span in exposure.open_ended),
    )
    return frozenset(event_id for line in lines for event_id in line)


def cited_ids(document: CaseDocument) -> frozenset[str]:
    """Every event id that a case, its judgement, a notice, a coverage statement or an open-ended span cites."""
    ids: set[str] = set()
    for finding in (*document.notices, *(finding for case in document.cases for finding in case.findings)):
        ids.update(item.event_id for item in finding.evidence)
    for exposure in (document.exposure, *(case.exposure for case in document.cases)):
        ids |= exposed_ids(exposure)
    for case in document.cases:
        if case.assessment is not None:
            ids.update(unit.unit for unit in case.assessment.units)
            ids.update(event_id for each in case.assessment.alternatives for event_id in each.event_ids)
    for mailbox in document.coverage.mailboxes:
        ids.update(mailbox.event_ids)
    if document.rules is not None:
        for said in (*document.rules.apart, *(said for case in document.rules.cases for said in case.said)):
            ids.update(said.event_ids)
    return frozenset(ids)


def phrases_of(document: CaseDocument) -> tuple[Phrase, ...]:
    """The sentences of the first screen, in order."""
    return (document.verdict.headline, *document.verdict.reasons, *(case.title for case in document.cases))


def digest(text: str) -> str:
    """First 16 hex digits of SHA-256, for identifiers that equal evidence must reproduce."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


VERSION = __version__

"""What the intruder did not do: said only where complete logs would have shown it.

A statement of absence needs more than a detector that found nothing: the log of changes has to span the cases without
a gap, nothing of it may be cut or in quarantine, and auditing must not have been switched off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.wording import phrase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from brokenseal.model import CaseDocument
    from brokenseal.wording import Phrase

# Detectors of acts that leave a record of their own; what is judged by comparison (strange clients, volume) proves no
# absence.
ACTS: Final = (
    "config.hidden_inbox_rule",
    "config.mailbox_forwarding",
    "config.transport_rule",
    "config.mailbox_delegation",
    "config.illicit_consent",
    "config.app_credential",
    "config.privileged_role",
    "config.federation",
    "config.audit_off",
)
_SWITCH: Final = "config.audit_off"
_NEEDED: Final = ("unified_audit", "configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """Either statements with the coverage that proves them, or why there are none.

    Attributes:
        acts: Titles of what was looked for and is in no record between the first and the last one of the cases.
        coverage: What proves it; empty where `acts` is.
        why_not: Why nothing can be said; empty where the coverage is whole.
    """

    acts: tuple[Phrase, ...]
    coverage: tuple[Phrase, ...]
    why_not: tuple[Phrase, ...]


def not_done(document: CaseDocument) -> NotDone:
    """What the intruder of the document's cases did not do, as far as the logs prove it."""
    if not document.cases:
        return NotDone(acts=(), coverage=(), why_not=())
    why_not = tuple(_holes(document))
    states = {state.detector_id: state for state in document.detectors}
    acts = tuple(
        state.title
        for detector_id in ACTS
        if (state := states.get(detector_id)) is not None and state.state == "quiet" and state.reason is None
    )
    if why_not or not acts:
        return NotDone(acts=(), coverage=(), why_not=why_not)
    first, last = _span(document)
    coverage = (
        phrase("The unified audit log spans the cases from {first_at} to {last_at}.", first_at=first, last_at=last),
        phrase("No hours without records, no export at a limit and no damaged record are known in it."),
        phrase(
            "No record was put into quarantine ({rejected} of {records}).", rejected=0, records=document.inputs.records
        ),
        phrase("No mailbox was exempt from auditing, and auditing was not switched off."),
    )
    return NotDone(acts=acts, coverage=coverage, why_not=())


def _span(document: CaseDocument) -> tuple[dt.datetime, dt.datetime]:
    return min(case.first_at for case in document.cases), max(case.last_at for case in document.cases)


def _holes(document: CaseDocument) -> Iterator[Phrase]:
    """Each reason for which absence is not proven."""
    coverage = document.coverage
    first, last = _span(document)
    sources = {source.source: source for source in coverage.sources}
    log = sources.get("unified_audit")
    if log is None or log.first_at is None or log.last_at is None or log.first_at > first or log.last_at < last:
        yield phrase("The unified audit log does not span the cases.")
    changes = sources.get("configuration")
    if changes is None or not changes.present:
        yield phrase("The logs hold no changes of configuration.")
    if any(
        gap.first_at <= last and gap.last_at >= first
        for name in _NEEDED
        if (source := sources.get(name)) is not None
        for gap in source.gaps
    ):
        yield phrase("There are hours without records in the time of the cases.")
    if coverage.alarms:
        yield phrase("{n} warning(s) say that an input is cut, lossy or unreadable.", n=len(coverage.alarms))
    if document.inputs.rejected:
        yield phrase("{n} record(s) are in quarantine: what they say is not known.", n=document.inputs.rejected)
    if any(box.audit_bypassed for box in coverage.mailboxes):
        yield phrase("A mailbox was exempt from auditing.")
    switch = next((state for state in document.detectors if state.detector_id == _SWITCH), None)
    if switch is None or switch.state != "quiet" or switch.reason is not None:
        yield phrase("That auditing stayed on is not proven.")

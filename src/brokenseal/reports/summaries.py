"""The objects that `detect --json` and `exposure --json` print: the document's values with phrases said.

Field names here are an interface that scripts rely on; `docs/json.md` explains them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.wording import say

if TYPE_CHECKING:
    from brokenseal.model import Case, CaseDocument, Exposure, Finding

JsonObject = dict[str, Any]


def detection_summary(document: CaseDocument, lang: str) -> JsonObject:
    """Cases in order, notices, and the state of each detector."""
    return {
        "simulated": document.simulated,
        "verdict": document.verdict.kind,
        "headline": say(document.verdict.headline, lang),
        "cases": [_case(case, lang) for case in document.cases],
        "notices": [_finding(notice, lang) for notice in document.notices],
        "notices_left_out": document.notices_left_out,
        "detectors": [
            {
                "id": state.detector_id,
                "state": state.state,
                "reason": None if state.reason is None else say(state.reason, lang),
                "findings": state.findings,
            }
            for state in document.detectors
        ],
        "token_provenance": document.token_provenance,
        "cannot_tell": [say(sentence, lang) for sentence in document.coverage.cannot_tell],
        "table_versions": document.table_versions,
        **({} if document.rules is None else {"rules": document.rules}),
    }


def _case(case: Case, lang: str) -> JsonObject:
    evidence = sorted({(item.occurred_at, item.event_id) for found in case.findings for item in found.evidence})
    return {
        "id": case.id,
        "title": say(case.title, lang),
        "severity": case.severity,
        "mailboxes": case.mailboxes,
        "actors": case.actors,
        "addresses": case.addresses,
        "first_at": case.first_at,
        "last_at": case.last_at,
        "attack": case.attack,
        "evidence": [event_id for _, event_id in evidence],
        "summary": [say(sentence, lang) for sentence in case.summary],
        "links": [say(sentence, lang) for sentence in case.links],
        "findings": [_finding(finding, lang) for finding in case.findings],
        "exposure": {
            "accesses": case.exposure.accesses,
            "certain": case.exposure.certain,
            "possible": case.exposure.possible,
            "unknowable": case.exposure.unknowable,
            **_ways(case.exposure),
            "mailboxes": case.exposure.mailboxes,
        },
        "next_steps": [say(sentence, lang) for sentence in case.next_steps],
    }


def _finding(finding: Finding, lang: str) -> JsonObject:
    return {
        "id": finding.id,
        "detector": finding.detector_id,
        "variant": finding.variant,
        "title": say(finding.title, lang),
        "severity": finding.severity,
        "attack": finding.attack,
        "mailboxes": finding.mailboxes,
        "actors": finding.actors,
        "addresses": finding.addresses,
        "sessions": finding.sessions,
        "objects": finding.objects,
        "first_at": finding.first_at,
        "last_at": finding.last_at,
        "evidence": [item.event_id for item in finding.evidence],
        "innocent": say(finding.innocent, lang),
        "settles": say(finding.settles, lang),
    }


def _ways(exposure: Exposure) -> JsonObject:
    """The parts of the possible messages; one can be possible in several ways."""
    return {
        "doubtful_accesses": exposure.doubtful_accesses,
        "possible_synced": exposure.possible_synced,
        "possible_doubtful": exposure.possible_doubtful,
        "possible_forwarded": exposure.possible_forwarded,
    }


def exposure_summary(exposure: Exposure, lang: str) -> JsonObject:
    """Counts with their kinds, by mailbox, and the lines behind them."""
    return {
        "selection": exposure.selection,
        "accesses": exposure.accesses,
        "certain": exposure.certain,
        "possible": exposure.possible,
        "unknowable": exposure.unknowable,
        **_ways(exposure),
        "mailboxes": exposure.mailboxes,
        "messages": exposure.messages,
        "possible_messages": exposure.possible_messages,
        "folders": exposure.folders,
        "open_ended": [
            {
                "mailbox": span.mailbox,
                "reason": span.reason,
                "first_at": span.first_at,
                "last_at": span.last_at,
                "explanation": say(span.explanation, lang),
                "seen": span.seen,
                "known": span.known,
                "event_ids": span.event_ids,
            }
            for span in exposure.open_ended
        ],
    }

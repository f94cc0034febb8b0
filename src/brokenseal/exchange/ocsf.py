"""Detection findings of the Open Cybersecurity Schema Framework, one JSON object a line.

Source: OCSF 1.8.0, class Detection Finding (2004). Times are milliseconds since 1970, as the schema's `timestamp_t`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from brokenseal.exchange.attack_names import VERSION, technique
from brokenseal.exchange.indicators import detector_ids, technique_ids
from brokenseal.exchange.timeline import names_of
from brokenseal.model import Severity
from brokenseal.reports._escape import cut, visible
from brokenseal.wording import say

if TYPE_CHECKING:
    from brokenseal.exchange.shared import Shared, SharedCase
    from brokenseal.exchange.timeline import Names
    from brokenseal.model import CaseDocument, Finding

SCHEMA: Final = "1.8.0"
CATEGORY, CLASS, CREATE = 2, 2004, 1

_SEVERITIES: Final = {Severity.LOW: 2, Severity.MEDIUM: 3, Severity.HIGH: 4, Severity.CRITICAL: 5}
_CONFIDENCES: Final = ((29, 1, "Low"), (69, 2, "Medium"), (100, 3, "High"))
_ADDRESS, _USER = 2, 4
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TEXT_LIMIT: Final = 2_000


def ocsf_lines(document: CaseDocument, shared: Shared) -> bytes:
    """One detection finding for each finding of the shared cases."""
    import msgspec

    return b"".join(msgspec.json.encode(each) + b"\n" for each in detection_findings(document, shared))


def detection_findings(document: CaseDocument, shared: Shared) -> list[dict[str, Any]]:
    """The findings of the shared cases as OCSF objects, by case, then as the case lists them."""
    names = names_of(document, shared)
    titles = {
        name: say(state.title, "en") for state in document.detectors for name in detector_ids([state.detector_id])
    }
    known = {case.id: case for case in shared.cases}
    return [
        _finding(finding, known[case.id], shared, names, titles)
        for case in document.cases
        if case.id in known
        for finding in case.findings
    ]


def _finding(
    finding: Finding, case: SharedCase, shared: Shared, names: Names, titles: dict[str, str]
) -> dict[str, Any]:
    title = _title(finding, shared, titles)
    addresses = [told for ip in finding.addresses if (told := names.address(ip))]
    accounts = [told for name in finding.actors if (told := names.account(name))]
    found: dict[str, Any] = {
        "activity_id": CREATE,
        "activity_name": "Create",
        "category_uid": CATEGORY,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + CREATE,
        "type_name": "Detection Finding: Create",
        "time": _milliseconds(shared.shared_at),
        "start_time": _milliseconds(finding.first_at),
        "end_time": _milliseconds(finding.last_at),
        "severity_id": _SEVERITIES[finding.severity],
        "severity": finding.severity.value.capitalize(),
        "status_id": 1,
        "status": "New",
        "is_alert": not finding.is_notice,
        "message": title,
        "count": len(finding.evidence),
        "metadata": {
            "version": SCHEMA,
            "uid": f"{case.id}:{finding.id}",
            "product": {"name": "Brokenseal", "vendor_name": "Brokenseal", "version": shared.product_version},
            "labels": [shared.tlp.tag, *(["simulated"] if shared.simulated else [])],
        },
        "finding_info": {
            "uid": finding.id,
            "title": title,
            "types": [finding.family],
            "created_time": _milliseconds(shared.shared_at),
            "first_seen_time": _milliseconds(finding.first_at),
            "last_seen_time": _milliseconds(finding.last_at),
            "related_events_count": len(finding.evidence),
            "analytic": {"uid": _detector(finding), "name": _detector(finding), "type_id": 1, "type": "Rule"},
            "attacks": [_attack(number) for number in technique_ids(finding.attack)],
        },
        "evidences": [{"src_endpoint": {"ip": ip}} for ip in addresses]
        + [{"actor": {"user": {"name": name}}} for name in accounts],
        "resources": [{"type": "mailbox", "name": told} for name in finding.mailboxes if (told := names.mailbox(name))],
        "observables": [
            {"name": "evidences[].src_endpoint.ip", "type_id": _ADDRESS, "type": "IP Address", "value": ip}
            for ip in addresses
        ]
        + [
            {"name": "evidences[].actor.user.name", "type_id": _USER, "type": "User Name", "value": name}
            for name in accounts
        ],
    }
    if case.confidence is not None:
        number, word = next((number, word) for most, number, word in _CONFIDENCES if case.confidence <= most)
        found |= {"confidence_score": case.confidence, "confidence_id": number, "confidence": word}
    return {name: value for name, value in found.items() if value != []}


def _title(finding: Finding, shared: Shared, titles: dict[str, str]) -> str:
    """What the detector looks for; what it found, with names in it, under the profile `victim` alone."""
    generic = titles.get(finding.detector_id, _detector(finding))
    text = say(finding.title, "en") if shared.profile == "victim" else generic
    shown = cut(visible(text), _TEXT_LIMIT)
    return f"Simulated: {shown}" if shared.simulated else shown


def _detector(finding: Finding) -> str:
    return next(iter(detector_ids([finding.detector_id])), "unknown")


def _attack(number: str) -> dict[str, Any]:
    known = technique(number)
    parent, _, sub = number.partition(".")
    named = {"uid": number, "name": known.name}
    attack: dict[str, Any] = {"version": VERSION}
    if known.tactics:
        attack["tactics"] = [{"name": tactic} for tactic in known.tactics]
    return attack | ({"technique": {"uid": parent}, "sub_technique": named} if sub else {"technique": named})


def _milliseconds(at: dt.datetime) -> int:
    return (at - _EPOCH) // dt.timedelta(milliseconds=1)

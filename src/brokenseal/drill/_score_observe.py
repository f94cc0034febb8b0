"""What one store's cases come to against the truth: plain counts, which several stores' observations add up to.

A case tells of an intrusion if at least one of the records that it cites is an intruder's. It stands from when the
last record of its first finding could be read, and it tells of the intrusion from when a finding that cites the
intruder was complete too. Where a replay measured when cases stood, its times are taken instead.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from brokenseal.drill import _score_truth
from brokenseal.drill._score_exposure import Counts, count_coverage, exposure_counts, mailbox_names, said_of
from brokenseal.drill._score_states import DetectorOutcome, detector_outcomes
from brokenseal.model import CaseDocument

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from brokenseal.drill._score_truth import Intrusion, TenantTruth, Truth
    from brokenseal.investigate import Detection
    from brokenseal.model import Case, Finding, Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrusionOutcome:
    """One instance, and what became of it.

    Attributes:
        cases: Cases that cite it.
        caught_at: When the first of them told of it; None for never.
        messages: Distinct messages that it took.
        messages_before: Those that it had taken by then; all of them where it was never caught.
        is_reassured: Its store was reported as clean and complete; None where the verdict is not known.
    """

    intrusion: Intrusion
    tenant: TenantTruth
    cases: int
    caught_at: dt.datetime | None
    messages: int
    messages_before: int
    is_reassured: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """One case. `tenant_id` is None where none of its records is known and the store may hold several tenants."""

    tenant_id: str | None
    is_true: bool
    is_in_warm_up: bool
    detectors: tuple[str, ...]
    actor_kinds: tuple[str, ...]
    mailboxes_touched: int
    mailboxes_untouched: int
    mailboxes_unknown: int
    records_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What one store showed."""

    timing: Literal["evidence", "measured"]
    tenants: tuple[TenantTruth, ...]
    intrusions: tuple[IntrusionOutcome, ...]
    cases: tuple[CaseOutcome, ...]
    false_notices: tuple[str | None, ...]
    exposure: Counts
    counts: Counts
    detectors: tuple[DetectorOutcome, ...]


def observe(
    tables: Tables,
    found: CaseDocument | Detection,
    truth_dir: Path,
    *,
    tenants: Collection[str] | None = None,
    stood_at: Mapping[str, dt.datetime] | None = None,
) -> Observations:
    """Compare one store's cases with the truth.

    Args:
        tables: The store's tables; used where the document counts what it does not list, and for mailbox names.
        found: Its document, or what its detectors said.
        truth_dir: The folder `truth` of the drill.
        tenants: Tenants that the store was made to hold; None for all of the drill. Cases of others are left out.
        stood_at: When a replay saw each case, by case id; those it does not name are timed by their evidence.

    Raises:
        UsageError: The truth is not complete, or the document was made from another store.
    """
    event_ids = {item.event_id for finding in _findings(found) for item in finding.evidence}
    truth = _score_truth.load(truth_dir, event_ids, tenants=tenants)
    names = mailbox_names(tables, truth)
    judged = {case.id: _Judged(case.findings, truth, (stood_at or {}).get(case.id)) for case in found.cases}
    cases = [case for case in found.cases if judged[case.id].is_within(truth)]
    judged = {case.id: judged[case.id] for case in cases}
    # What stands before scoring starts is in no figure, unless it tells of an intruder after all.
    counted = [case for case in cases if judged[case.id].intruders or not judged[case.id].is_in_warm_up]
    said = said_of(counted, tables, names, None if isinstance(found, CaseDocument) else found.selections)
    true_cases = [case for case in cases if judged[case.id].intruders]
    caught = {instance for case in judged.values() for instance in case.intruders}
    notices = [one for notice in found.notices if (one := _Judged([notice], truth)).is_within(truth)]
    states = found.detectors if isinstance(found, CaseDocument) else found.states
    return Observations(
        timing="evidence" if stood_at is None else "measured",
        tenants=tuple(sorted(truth.tenants.values(), key=lambda tenant: tenant.tenant_id)),
        intrusions=_intrusions(truth, judged.values(), is_reassured=_is_reassured(tables, found)),
        cases=tuple(_case(case, judged[case.id], truth, names) for case in cases),
        false_notices=tuple(one.tenant_id for one in notices if not one.intruders and not one.is_in_warm_up),
        exposure=exposure_counts(said, {case.id for case in true_cases}, caught, truth),
        counts=count_coverage(true_cases, said, caught, truth, names),
        detectors=detector_outcomes(states, truth.tenants.values()),
    )


def _findings(found: CaseDocument | Detection) -> Iterable[Finding]:
    yield from found.notices
    for case in found.cases:
        yield from case.findings


def _is_reassured(tables: Tables, found: CaseDocument | Detection) -> bool | None:
    """Whether the first screen says that nothing was found and that the logs could have shown it."""
    if isinstance(found, CaseDocument):
        return found.verdict.kind == "nothing_found"
    if found.cases:
        return False
    if "events" not in tables:
        return None
    from brokenseal.coverage import coverage

    return not coverage(tables, ()).unmet_needs


class _Judged:
    """One case, or one notice, against the truth.

    Attributes:
        told: Instance of each attack or control that it cites, to when it told of it.
        intruders: Those of them that are no controls.
        tenant_id: Whose records it cites most; the only tenant where there is but one.
    """

    def __init__(self, findings: Sequence[Finding], truth: Truth, measured: dt.datetime | None = None) -> None:
        complete = {finding.id: _complete_at(finding, truth) for finding in findings}
        opening = [finding for finding in findings if not finding.is_notice] or findings
        times = [at for finding in opening if (at := complete[finding.id]) is not None]
        self.stood_at = measured or min(times, default=None)
        self.told = {
            instance: at if self.stood_at is None else max(at, self.stood_at)
            for instance, at in _cited(findings, complete, truth, is_measured=measured is not None).items()
        }
        self.intruders = frozenset(each for each in self.told if not truth.intrusions[each].is_control)
        event_ids = {item.event_id for finding in findings for item in finding.evidence}
        known = [truth.records[event_id] for event_id in sorted(event_ids & truth.records.keys())]
        self.records_unknown = len(event_ids) - len(known)
        self.actor_kinds = tuple(sorted({record.actor_kind or "unknown" for record in known}))
        counts = Counter(record.tenant_id for record in known)
        only = next(iter(truth.tenants)) if len(truth.tenants) == 1 else None
        self.tenant_id = min(counts, key=lambda tenant: (-counts[tenant], tenant)) if counts else only
        tenant = None if self.tenant_id is None else truth.tenants.get(self.tenant_id)
        self.is_in_warm_up = tenant is not None and self.stood_at is not None and self.stood_at < tenant.scoring_from

    def is_within(self, truth: Truth) -> bool:
        """Whether it is about a tenant that is scored, as far as is known."""
        return self.tenant_id is None or self.tenant_id in truth.tenants


def _complete_at(finding: Finding, truth: Truth) -> dt.datetime | None:
    """When the last of its records could be read; None where the truth knows none of them."""
    records = (truth.records.get(item.event_id) for item in finding.evidence)
    return max((record.available_at for record in records if record and record.available_at), default=None)


def _cited(
    findings: Iterable[Finding], complete: Mapping[str, dt.datetime | None], truth: Truth, *, is_measured: bool
) -> dict[int, dt.datetime]:
    """Per instance cited, when the first finding that cites it was complete; a replay needs its record alone."""
    times: dict[int, list[dt.datetime]] = defaultdict(list)
    for finding in findings:
        for item in finding.evidence:
            instance = truth.instance_of(item.event_id)
            if instance is not None:
                at = truth.records[item.event_id].available_at if is_measured else complete[finding.id]
                # A record that the truth gives no time could be read when it happened at the earliest.
                times[instance].append(at or item.occurred_at)
    return {instance: min(found) for instance, found in times.items()}


def _intrusions(truth: Truth, judged: Iterable[_Judged], *, is_reassured: bool | None) -> tuple[IntrusionOutcome, ...]:
    told: dict[int, list[dt.datetime]] = defaultdict(list)
    for case in judged:
        for instance, at in case.told.items():
            told[instance].append(at)
    read: dict[int, list[tuple[str, str, dt.datetime]]] = defaultdict(list)
    for message in truth.messages:
        read[message.instance].append((*message.key, message.first_read_at))
    outcomes = []
    for instance, intrusion in sorted(truth.intrusions.items()):
        caught_at = min(told[instance], default=None)
        before = {line[:2] for line in read[instance] if caught_at is None or line[2] < caught_at}
        outcomes.append(
            IntrusionOutcome(
                intrusion=intrusion,
                tenant=truth.tenants[intrusion.tenant_id],
                cases=len(told[instance]),
                caught_at=caught_at,
                messages=len({line[:2] for line in read[instance]}),
                messages_before=len(before),
                is_reassured=is_reassured,
            )
        )
    return tuple(outcomes)


def _case(case: Case, judged: _Judged, truth: Truth, names: Mapping[str, str]) -> CaseOutcome:
    touched = {key for instance in judged.intruders for key in truth.intrusions[instance].mailbox_keys}
    keys = [names.get(mailbox) for mailbox in case.mailboxes]
    opening = {finding.detector_id for finding in case.findings if not finding.is_notice}
    return CaseOutcome(
        tenant_id=judged.tenant_id,
        is_true=bool(judged.intruders),
        is_in_warm_up=judged.is_in_warm_up,
        detectors=tuple(sorted(opening)),
        actor_kinds=judged.actor_kinds,
        mailboxes_touched=sum(key in touched for key in keys if key is not None),
        mailboxes_untouched=sum(key not in touched for key in keys if key is not None),
        mailboxes_unknown=keys.count(None),
        records_unknown=judged.records_unknown,
    )

"""How well the cases of a store tell of the intrusions of a drill: every figure is *simulated*.

    drill/truth ─┐
    store ───────┼─ observe ─▶ Observations ─ summarise ─▶ Score ─▶ JSON, page
    document ────┘

`score` does it for one store. Where every tenant of a drill has a store of its own, observe each and summarise all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Literal

from brokenseal.drill import _score_truth
from brokenseal.drill._score_observe import CaseOutcome, IntrusionOutcome, Observations, observe
from brokenseal.drill._score_states import assessability
from brokenseal.drill._score_values import (
    AttackScore,
    CaseQuality,
    CaseRecall,
    CountCoverage,
    Delay,
    ExposureScore,
    GroupScore,
    NotAssessable,
    Rate,
    Score,
    Share,
    median,
    rate,
    share,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from brokenseal.drill._score_exposure import Counts
    from brokenseal.drill._score_truth import TenantTruth
    from brokenseal.investigate import Detection
    from brokenseal.model import CaseDocument, Tables

__all__ = [
    "AttackScore",
    "CaseRecall",
    "GroupScore",
    "Observations",
    "Rate",
    "Score",
    "Share",
    "observe",
    "require_truth",
    "score",
    "score_from_json",
    "score_to_json",
    "summarise",
]

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_MINUTE_S = 60
_WEEK = 7 * _DAY_S
_LOUDEST = (1, 2, 3)
_SIZES = ((250, "1-250"), (1000, "251-1000"), (None, "1001-"))
"""Bounds of the classes of tenants by number of mailboxes."""

_NO_PROBABILITY = "Cases carry no probability yet, so that nothing can be calibrated."


def score(
    store_tables: Tables,
    found: CaseDocument | Detection,
    truth_dir: Path,
    *,
    tenants: Collection[str] | None = None,
    stood_at: Mapping[str, dt.datetime] | None = None,
) -> Score:
    """Score one store's cases; the arguments and errors are those of `observe`."""
    return summarise([observe(store_tables, found, truth_dir, tenants=tenants, stood_at=stood_at)])


def require_truth(truth_dir: Path) -> None:
    """Refuse a folder that holds no truth of a drill, before anything long is done.

    Raises:
        UsageError: A file or a column is missing.
    """
    _score_truth.require(truth_dir)


def summarise(observations: Iterable[Observations]) -> Score:
    """One score over several stores of a drill, each of which holds tenants of its own.

    Raises:
        ValueError: Two observations hold the same tenant, which would count it twice.
    """
    listed = list(observations)
    tenants = [tenant for one in listed for tenant in one.tenants]
    if len({tenant.tenant_id for tenant in tenants}) < len(tenants):
        raise ValueError("observations of the same tenant twice; expected every tenant once")
    intrusions = [outcome for one in listed for outcome in one.intrusions]
    attacks = [outcome for outcome in intrusions if not outcome.intrusion.is_control]
    cases = [case for one in listed for case in one.cases]
    notices = [tenant_id for one in listed for tenant_id in one.false_notices]
    timings: set[Literal["evidence", "measured"]] = {one.timing for one in listed}
    overall, delay = _recall(attacks), _delay(attacks)
    false_cases = rate(_false(cases), _weeks(tenants))
    exposure = _exposure([one.exposure for one in listed])
    verdicts = [outcome.is_reassured for outcome in attacks if outcome.is_reassured is not None]

    def grouped(name: Callable[[TenantTruth], str]) -> dict[str, GroupScore]:
        return _groups(name, tenants, attacks, cases, notices)

    return Score(
        recall=overall.within_7_d.share,
        false_cases_per_1000_mailbox_weeks=false_cases.rate,
        exposure_recall=exposure.certain_recall_read.share,
        exposure_precision=exposure.certain_precision.share,
        median_messages_before_case=delay.messages_before_case.median,
        timing="mixed" if len(timings) > 1 else next(iter(timings), "evidence"),
        tenants=len(tenants),
        recall_overall=overall,
        recall_stealth_1_to_3=_recall([one for one in attacks if one.intrusion.stealth in _LOUDEST]),
        false_cases=false_cases,
        false_notices=rate(len(notices), _weeks(tenants)),
        delay=delay,
        cases=_quality(cases, attacks),
        exposure=exposure,
        counts=CountCoverage(**_shares([one.counts for one in listed], CountCoverage)),
        reassured=share(sum(verdicts), len(verdicts)),
        reassured_unknown=len(attacks) - len(verdicts),
        assessability=assessability(outcome for one in listed for outcome in one.detectors),
        calibration=NotAssessable(reason=_NO_PROBABILITY),
        by_attack=_by_attack(intrusions),
        by_stealth=_by_stealth(attacks),
        by_logs=grouped(lambda tenant: tenant.logs),
        by_size=grouped(_size),
    )


# ---------------------------------------------------------------- cases


def _recall(outcomes: Sequence[IntrusionOutcome]) -> CaseRecall:
    def within(seconds: int) -> Share:
        return _share(outcomes, lambda outcome: _came_within(outcome, seconds))

    def is_caught(outcome: IntrusionOutcome) -> bool:
        return outcome.cases > 0

    observable = [outcome for outcome in outcomes if outcome.intrusion.is_observable]
    return CaseRecall(
        instances=len(outcomes),
        observable=len(observable),
        within_24_h=within(_DAY_S),
        within_7_d=within(_WEEK),
        within_30_d=within(30 * _DAY_S),
        ever=_share(outcomes, is_caught),
        ever_observable=_share(observable, is_caught),
    )


def _share(outcomes: Sequence[IntrusionOutcome], counts: Callable[[IntrusionOutcome], bool]) -> Share:
    hands = len({outcome.intrusion.hand for outcome in outcomes})
    return share(sum(counts(outcome) for outcome in outcomes), len(outcomes), hands=hands)


def _came_within(outcome: IntrusionOutcome, seconds: int) -> bool:
    first = outcome.intrusion.first_record_at
    if outcome.caught_at is None or first is None:
        return False
    return (outcome.caught_at - first).total_seconds() <= seconds


def _delay(outcomes: Sequence[IntrusionOutcome]) -> Delay:
    def minutes(since: Callable[[IntrusionOutcome], dt.datetime | None]) -> list[tuple[float, bool]]:
        found = []
        for outcome in outcomes:
            first = since(outcome)
            if first is not None:
                until = outcome.caught_at or outcome.tenant.ends_at
                # Another of its records can be readable before the first one is.
                passed = max((until - first).total_seconds() / _MINUTE_S, 0.0)
                found.append((passed, outcome.caught_at is not None))
        return found

    return Delay(
        minutes_from_event=median(minutes(lambda outcome: outcome.intrusion.first_record_at)),
        minutes_from_availability=median(minutes(lambda outcome: outcome.intrusion.first_available_at)),
        # One that takes no message would stand for nothing lost, however late its case.
        messages_before_case=median(
            [
                (float(outcome.messages_before), outcome.caught_at is not None)
                for outcome in outcomes
                if outcome.messages
            ]
        ),
    )


def _fragments(outcomes: Iterable[IntrusionOutcome]) -> float | None:
    numbers = [outcome.cases for outcome in outcomes if outcome.cases]
    return sum(numbers) / len(numbers) if numbers else None


def _false(cases: Iterable[CaseOutcome]) -> int:
    return sum(not case.is_true and not case.is_in_warm_up for case in cases)


def _weeks(tenants: Iterable[TenantTruth]) -> float:
    return float(sum(tenant.mailbox_weeks for tenant in tenants))


def _quality(cases: Sequence[CaseOutcome], attacks: Sequence[IntrusionOutcome]) -> CaseQuality:
    true = [case for case in cases if case.is_true]
    false = [case for case in cases if not case.is_true and not case.is_in_warm_up]
    touched = sum(case.mailboxes_touched for case in true)
    return CaseQuality(
        cases=len(cases),
        true_cases=len(true),
        false_in_warm_up=sum(not case.is_true and case.is_in_warm_up for case in cases),
        cases_per_intrusion=_fragments(attacks),
        purity=share(touched, touched + sum(case.mailboxes_untouched for case in true)),
        mailboxes_unknown=sum(case.mailboxes_unknown for case in true),
        false_by_detector=_counted(name for case in false for name in case.detectors),
        false_by_actor=_counted(kind for case in false for kind in case.actor_kinds),
        records_unknown=sum(case.records_unknown for case in cases),
    )


def _counted(texts: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(texts).items()))


# ---------------------------------------------------------------- exposure


def _exposure(parts: Sequence[Counts]) -> ExposureScore:
    return ExposureScore(**_shares(parts, ExposureScore, independent=False))


def _shares(parts: Sequence[Counts], kind: type[Any], *, independent: bool = True) -> dict[str, Share]:
    """The added up counts of every field of the kind."""
    return {
        name: share(sum(part[name][0] for part in parts), sum(part[name][1] for part in parts), independent=independent)
        for name in kind.__dataclass_fields__
    }


# ---------------------------------------------------------------- groups


def _by_attack(outcomes: Sequence[IntrusionOutcome]) -> dict[str, AttackScore]:
    groups: dict[str, list[IntrusionOutcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.intrusion.attack_id].append(outcome)
    return {name: _attack(groups[name]) for name in sorted(groups, key=_attack_order)}


def _attack_order(attack_id: str) -> tuple[bool, int, str]:
    """A1, A2, … A13, then the controls."""
    number = attack_id[1:]
    return (not number.isdecimal(), int(number) if number.isdecimal() else 0, attack_id)


def _attack(outcomes: Sequence[IntrusionOutcome]) -> AttackScore:
    first = outcomes[0].intrusion
    return AttackScore(
        title=first.title,
        is_control=first.is_control,
        recall=_recall(outcomes),
        campaigns=_campaigns(outcomes),
        by_stealth=_by_stealth(outcomes),
        delay=_delay(outcomes),
        cases_per_intrusion=_fragments(outcomes),
    )


def _campaigns(outcomes: Sequence[IntrusionOutcome]) -> Share | None:
    told: dict[int, bool] = {}
    for outcome in outcomes:
        campaign = outcome.intrusion.campaign
        if campaign is not None:
            told[campaign] = told.get(campaign, False) or _came_within(outcome, _WEEK)
    return share(sum(told.values()), len(told)) if told else None


def _by_stealth(outcomes: Iterable[IntrusionOutcome]) -> dict[str, CaseRecall]:
    groups: dict[int, list[IntrusionOutcome]] = defaultdict(list)
    for outcome in outcomes:
        if not outcome.intrusion.is_control:
            groups[outcome.intrusion.stealth].append(outcome)
    return {str(stealth): _recall(groups[stealth]) for stealth in sorted(groups)}


def _size(tenant: TenantTruth) -> str:
    return next(name for bound, name in _SIZES if bound is None or tenant.mailboxes <= bound)


def _groups(
    name: Callable[[TenantTruth], str],
    tenants: Sequence[TenantTruth],
    attacks: Sequence[IntrusionOutcome],
    cases: Sequence[CaseOutcome],
    notices: Sequence[str | None],
) -> dict[str, GroupScore]:
    """Per class of tenants; a false case of no known tenant is in no class, but in the total."""
    members: dict[str, list[TenantTruth]] = defaultdict(list)
    for tenant in tenants:
        members[name(tenant)].append(tenant)
    groups = {}
    for group in sorted(members):
        ids = {tenant.tenant_id for tenant in members[group]}
        weeks = _weeks(members[group])
        groups[group] = GroupScore(
            tenants=len(ids),
            recall=_recall([outcome for outcome in attacks if outcome.tenant.tenant_id in ids]),
            false_cases=rate(_false(case for case in cases if case.tenant_id in ids), weeks),
            false_notices=rate(sum(tenant_id in ids for tenant_id in notices), weeks),
        )
    return groups


# ---------------------------------------------------------------- JSON


def score_to_json(value: Score) -> bytes:
    """The score as JSON with a final line feed: equal scores give equal bytes."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def score_from_json(content: bytes) -> Score:
    """The score of these bytes.

    Raises:
        msgspec.ValidationError: The bytes are JSON, but no score.
        msgspec.DecodeError: The bytes are no JSON.
    """
    import msgspec

    return msgspec.json.decode(content, type=Score)

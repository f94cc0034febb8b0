"""What the product's cases come to over all tenants: recall, false cases, exposure, time, honesty, calibration."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from brokenseal.drill._evaluate_facts import observations_of
from brokenseal.drill._evaluate_plan import FULL, TEST, TRAIN
from brokenseal.drill._score_values import share
from brokenseal.drill.score import summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokenseal.drill._evaluate_facts import CaseFact, Facts, InstanceFact, Measured
    from brokenseal.drill._score_values import Score

_SIZES: Final = ((50, "up to 50 mailboxes"), (100, "51 to 100"), (250, "101 to 250"), (None, "over 250"))
_YEAR_WEEKS: Final = 365.25 / 7
_PERMILLE: Final = 1000
_MILLION: Final = 1e6
BANDS: Final = (
    (0.00, 0.05, "almost no chance"),
    (0.05, 0.20, "very unlikely"),
    (0.20, 0.45, "unlikely"),
    (0.45, 0.55, "roughly even"),
    (0.55, 0.80, "likely"),
    (0.80, 0.95, "very likely"),
    (0.95, 1.01, "almost certain"),
)
"""Words of ICD 203 with their spans."""
CAREFUL: Final = 4
"""The highest stealth; the targets ask for the others."""


def full_test(many: Iterable[Measured]) -> list[Measured]:
    """Tenants of the test prior whose logs were all given."""
    return [one for one in many if one.facts.prior == TEST and one.facts.tenant.logs == FULL]


def score_of(many: Sequence[Measured]) -> Score:
    """One score over all of them; a tenant that is there twice, with other logs, counts as two."""
    return summarise(observations_of(_named(one.facts), number) for number, one in enumerate(many))


def _named(facts: Facts) -> Facts:
    name = f"{facts.tenant.tenant_id}/{facts.tenant.logs}"
    return msgspec.structs.replace(facts, tenant=msgspec.structs.replace(facts.tenant, tenant_id=name))


# ---------------------------------------------------------------- main table


def main_rows(many: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row per group of tenants: log states and sizes of the test prior, attack-free ones, the training prior."""
    test = [one for one in many if one.facts.prior == TEST]
    rows = [_row("Test prior, full logs", full_test(many))]
    rows += [
        _row(f"Test prior, {logs}", [one for one in test if one.facts.tenant.logs == logs])
        for logs in ("no-noninteractive", "ual-only", "gappy")
    ]
    rows += [
        _row(f"Test prior, full logs, {name}", [one for one in full_test(many) if _size(one) == name])
        for _, name in _SIZES
    ]
    rows.append(_row("Test prior, full logs, tenants without attacks", _calm(full_test(many))))
    train = [one for one in many if one.facts.prior == TRAIN]
    rows.append(_row("Training prior, full logs (for comparison)", train))
    return [row for row in rows if row["tenants"]]


def _calm(many: Iterable[Measured]) -> list[Measured]:
    return [one for one in many if not one.facts.has_attacks]


def _size(one: Measured) -> str:
    return next(name for bound, name in _SIZES if bound is None or one.facts.tenant.mailboxes <= bound)


def _row(name: str, many: Sequence[Measured]) -> dict[str, Any]:
    score = score_of(many)
    overall = score.recall_overall
    return {
        "name": name,
        "tenants": score.tenants,
        "mailbox_weeks": score.false_cases.mailbox_weeks,
        "instances": overall.instances,
        "observable": overall.observable,
        "recall_24_h": asdict(overall.within_24_h),
        "recall_7_d": asdict(overall.within_7_d),
        "recall_30_d": asdict(overall.within_30_d),
        "recall_stealth_1_to_3": asdict(score.recall_stealth_1_to_3.within_7_d),
        "false_cases": asdict(score.false_cases),
        "false_notices": asdict(score.false_notices),
        "cases_per_intrusion": score.cases.cases_per_intrusion,
        "purity": asdict(score.cases.purity),
        "true_cases": score.cases.true_cases,
        "false_by_detector": score.cases.false_by_detector,
        "false_by_actor": score.cases.false_by_actor,
        "false_in_warm_up": score.cases.false_in_warm_up,
    }


# ---------------------------------------------------------------- attacks


def attack_rows(many: Sequence[Measured]) -> list[dict[str, Any]]:
    """Per attack: found of all by stealth, full logs and other logs apart, test prior."""
    groups: dict[str, list[tuple[InstanceFact, str]]] = defaultdict(list)
    for measured in many:
        if measured.facts.prior == TEST:
            for one in measured.facts.instances:
                groups[one.attack_id].append((one, measured.facts.tenant.logs))
    return [_attack(name, groups[name]) for name in sorted(groups, key=_attack_order)]


def _attack_order(name: str) -> tuple[bool, int, str]:
    number = name[1:]
    return (not number.isdecimal(), int(number) if number.isdecimal() else 0, name)


def _attack(name: str, listed: Sequence[tuple[InstanceFact, str]]) -> dict[str, Any]:
    full = [one for one, logs in listed if logs == FULL]
    other = [one for one, logs in listed if logs != FULL]
    is_control = not listed[0][0].stealth
    return {
        "attack": name,
        "title": listed[0][0].title,
        "is_control": is_control,
        "full": asdict(_found(full)),
        "other": asdict(_found(other)),
        "full_stealth_1_to_3": asdict(_found([one for one in full if one.stealth < CAREFUL])),
        "cells": {
            str(stealth): {
                "full": asdict(_found([one for one in full if one.stealth == stealth])),
                "other": asdict(_found([one for one in other if one.stealth == stealth])),
            }
            for stealth in ((0,) if is_control else (1, 2, 3, 4))
        },
        "invisible": sum(not one.is_observable for one, _ in listed),
    }


def _found(listed: Sequence[InstanceFact]) -> Any:
    return share(sum(is_found(one) for one in listed), len(listed))


def is_found(one: InstanceFact, *, within_s: float = 7 * 86_400) -> bool:
    """Whether a case told of it soon enough after its first record."""
    if one.caught_at is None or one.first_record_at is None:
        return False
    return (one.caught_at - one.first_record_at).total_seconds() <= within_s


# ---------------------------------------------------------------- exposure, time, honesty


def exposure_of(many: Sequence[Measured]) -> dict[str, Any]:
    """Messages called certain or possible against those taken, and whether counts hold the truth; full logs."""
    score = score_of(full_test(many))
    return {"shares": asdict(score.exposure), "counts": asdict(score.counts)}


def delay_of(many: Sequence[Measured]) -> dict[str, Any]:
    """Time to a case and messages lost before it, all attacks and each; full logs."""
    score = score_of(full_test(many))
    return {
        "all": asdict(score.delay),
        "attacks": {name: asdict(one.delay) for name, one in score.by_attack.items() if not one.is_control},
    }


def honesty_of(many: Sequence[Measured]) -> dict[str, Any]:
    """Whether "not assessable" was said where it should be, and how often silence reassured wrongly; test prior."""
    score = score_of([one for one in many if one.facts.prior == TEST])
    return {
        "detectors": [asdict(one) for one in score.assessability],
        "reassured": asdict(score.reassured),
        "reassured_unknown": score.reassured_unknown,
    }


# ---------------------------------------------------------------- calibration


def calibration_of(many: Sequence[Measured]) -> dict[str, Any]:
    """Printed probabilities, moved to the prior that the drill really had, against what was true; all log states.

    The prior of a mailbox-year is the share of mailbox-years with an intrusion: 1 - exp(-intrusions a mailbox-year).
    """
    test = [one for one in many if one.facts.prior == TEST]
    weeks = sum(one.facts.tenant.mailbox_weeks for one in test)
    intrusions = sum(bool(item.stealth) for one in test for item in one.facts.instances)
    cases = [case for one in test for case in one.facts.cases if case.likelihoods and _counts(case)]
    prior = 1 - math.exp(-intrusions / (weeks / _YEAR_WEEKS)) if weeks else 0.0
    found: dict[str, Any] = {
        "cases": len(cases),
        "without_assessment": sum(not case.likelihoods for one in test for case in one.facts.cases if _counts(case)),
        "prior": prior,
    }
    if not cases or not 0 < prior < 1:
        return {**found, "bands": [], "brier": None, "ece": None, "spans": None}
    moved = [(_moved(case, prior), case.is_true) for case in cases]
    bands = [_band(low, high, word, [(p, true) for p, true in moved if low <= p < high]) for low, high, word in BANDS]
    bands = [one for one in bands if one["cases"]]
    return {
        **found,
        "bands": bands,
        "brier": sum((p - true) ** 2 for p, true in moved) / len(moved),
        "ece": sum(one["cases"] * abs(one["mean"] - one["true"]["share"]) for one in bands) / len(moved),
        "true": asdict(share(sum(true for _, true in moved), len(moved))),
    }


def _counts(case: CaseFact) -> bool:
    return case.is_true or not case.is_in_warm_up


def _moved(case: CaseFact, prior: float) -> float:
    """The probability under the drill's own prior: odds change by the ratio of the priors' odds."""
    printed = sorted(case.likelihoods, key=lambda one: one.prior_per_million)[len(case.likelihoods) // 2]
    before = printed.prior_per_million / _MILLION
    p = min(max(printed.permille / _PERMILLE, 1 / (2 * _PERMILLE)), 1 - 1 / (2 * _PERMILLE))
    odds = p / (1 - p) * (prior / (1 - prior)) / (before / (1 - before))
    return odds / (1 + odds)


def _band(low: float, high: float, word: str, members: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    true = share(sum(true for _, true in members), len(members))
    return {
        "word": word,
        "low": low,
        "high": min(high, 1.0),
        "cases": len(members),
        "mean": sum(p for p, _ in members) / len(members) if members else None,
        "true": asdict(true),
        "holds": bool(members)
        and true.low is not None
        and true.high is not None
        and true.low < high
        and true.high >= low,
    }


# ---------------------------------------------------------------- controls


def controls_of(many: Sequence[Measured]) -> list[dict[str, Any]]:
    """How often a case cites a control: should be what any mailbox risks by chance."""
    rows = [row for row in attack_rows(many) if row["is_control"]]
    false = score_of(full_test(many)).false_cases
    return [{**row, "false_rate": false.rate} for row in rows]

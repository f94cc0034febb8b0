"""The product beside every baseline, at own settings and under one budget, and what each of its parts is worth.

Compared are tenants of the test prior whose logs were all given. Thresholds of baselines for a budget are chosen on
attack-free tenants of the training prior; the product has the threshold that it ships with. Beside that stands what
each could have reached with hindsight, its threshold chosen on the test tenants themselves.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.baselines import BASELINES
from brokenseal.drill import _evaluate_said as said
from brokenseal.drill._evaluate_plan import FULL, TRAIN
from brokenseal.drill._evaluate_product import full_test, is_found
from brokenseal.drill._evaluate_statistics import clustered_sums, holm, median_difference, ratio_difference
from brokenseal.drill._evaluate_weights import (
    SHIPPED,
    detectors_of,
    inflation,
    margins,
    mean_weight,
    variants_of,
    weigh_again,
)
from brokenseal.drill._score_values import rate, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokenseal.calibration import Calibration
    from brokenseal.drill._evaluate_facts import Measured
    from brokenseal.drill._evaluate_said import Said

BUDGETS: Final = (0.05, 0.5, 5.0, 50.0)
"""False cases per 1,000 mailbox-weeks."""
RIVALS: Final = ("B14", "B16")
CASES: Final = "Brokenseal, its cases"
WEIGHTS: Final = "Brokenseal, weights alone"
_LENIENT: Final = 1.0
"""Budget, in false cases a mailbox-week, below which no curve is drawn."""
_TOGETHER: Final = "B12-"


def rule_lines() -> dict[str, str]:
    """Every rule of every baseline to its line in the tables: rules of B12 are one line."""
    found = {}
    for baseline in BASELINES:
        for rule in baseline.rules:
            found[rule] = baseline.id if rule.startswith(_TOGETHER) else rule
    return found


def titles() -> dict[str, str]:
    """What each line is."""
    found = {}
    for baseline in BASELINES:
        for rule, words in baseline.rules.items():
            line = rule_lines()[rule]
            found[line] = baseline.title if line == baseline.id else f"{baseline.title}: {words}"
    return found


# ---------------------------------------------------------------- baselines


def compare(many: Sequence[Measured], calibration: Calibration | None) -> dict[str, Any]:
    """Section 2 of the page, with its curves and differences."""
    test = full_test(many)
    tuning = [
        one for one in many if one.facts.prior == TRAIN and one.facts.tenant.logs == FULL and not one.facts.has_attacks
    ]
    lines = rule_lines()
    on_test = [said.alerts_by_rule(one, lines) for one in test]
    on_tuning = [said.alerts_by_rule(one, lines) for one in tuning]
    rows, curves = [], {}
    for line, title in titles().items():
        own = [one[line] for one in on_test]
        rows.append({"name": line, "title": title, **_row(own, [one[line] for one in on_tuning])})
        if line in {*RIVALS, "B15"}:
            curves[line] = said.curve(own)
    found: dict[str, Any] = {
        "tuning_tenants": len(tuning),
        "tuning_weeks": said.weeks_of([one["B14"] for one in on_tuning]),
        "product": _cases_point(test),
        "rows": rows,
        "differences": differences(test, on_test, on_tuning),
        "weights": None,
    }
    if calibration is not None and test:
        units = [_weights_said(one, calibration) for one in test]
        found["weights"] = {
            "equal": [
                {
                    "budget": budget,
                    "point": said.point(units, _threshold(budget)),
                    "hindsight": _hindsight(units, budget),
                }
                for budget in BUDGETS
            ]
        }
        curves[WEIGHTS] = said.curve(units)
    return {**found, "curves": curves}


def _weights_said(measured: Measured, calibration: Calibration) -> Said:
    weights = weigh_again(measured, calibration, variants_of(())[0])
    return said.weights_said(measured, margins(measured, weights, calibration.tails), -math.log10(_LENIENT))


def _threshold(budget: float) -> float:
    """Margin from which a unit opens under so many false cases per 1,000 mailbox-weeks."""
    return -math.log10(budget / said.PER)


def _row(own: Sequence[Said], tuning: Sequence[Said]) -> dict[str, Any]:
    equal = []
    for budget in BUDGETS:
        threshold = said.at_budget(tuning, budget) if tuning else None
        equal.append(
            {
                "budget": budget,
                "is_off": threshold == said.OFF,
                "point": None if threshold in {None, said.OFF} else said.point(own, threshold),
                "hindsight": _hindsight(own, budget),
            }
        )
    return {"own": said.point(own), "equal": equal}


def _hindsight(own: Sequence[Said], budget: float) -> dict[str, Any] | None:
    """The best that a threshold chosen on the very tenants could have done; None where it had to be off."""
    threshold = said.at_budget(own, budget)
    return None if threshold == said.OFF else said.point(own, threshold)


def _cases_point(test: Sequence[Measured]) -> dict[str, Any]:
    told = sum(is_found(one) for measured in test for one in measured.facts.instances if one.stealth)
    of = sum(bool(one.stealth) for measured in test for one in measured.facts.instances)
    weeks = sum(measured.facts.tenant.mailbox_weeks for measured in test)
    return {"recall": asdict(share(told, of)), "false": asdict(rate(sum(map(false_cases, test)), weeks))}


def false_cases(measured: Measured) -> int:
    """Cases after the warm-up that cite no intruder."""
    return sum(not case.is_true and not case.is_in_warm_up for case in measured.facts.cases)


# ---------------------------------------------------------------- differences


def differences(
    test: Sequence[Measured], on_test: Sequence[Mapping[str, Said]], on_tuning: Sequence[Mapping[str, Said]]
) -> list[dict[str, Any]]:
    """The product's cases against B14 and B16, by bootstrap over tenants, with Holm's correction over all questions."""
    rows: list[dict[str, Any]] = []
    for rival in RIVALS:
        own = [one[rival] for one in on_test]
        tuned = said.at_budget([one[rival] for one in on_tuning], BUDGETS[0]) if on_tuning else said.OFF
        questions = {
            "recall at own settings": _recall_difference(test, own, said.ALWAYS),
            f"recall, rival held to {BUDGETS[0]:g} false per 1,000 mailbox-weeks": _recall_difference(test, own, tuned),
            "false cases per 1,000 mailbox-weeks at own settings": _false_difference(test, own),
            "median messages lost before a case, at own settings": _messages_difference(test, own),
        }
        rows += [{"rival": rival, "question": name, **found} for name, found in questions.items()]
    corrected = holm({f"{row['rival']} {row['question']}": row["p"] for row in rows})
    return [{**row, "p_holm": corrected[f"{row['rival']} {row['question']}"]} for row in rows]


def _recall_difference(test: Sequence[Measured], own: Sequence[Said], threshold: float) -> dict[str, Any]:
    rows = []
    for measured, rival in zip(test, own, strict=True):
        mine = sum(is_found(one) for one in measured.facts.instances if one.stealth)
        theirs = 0 if threshold == said.OFF else len(said.found(rival, threshold))
        rows.append((float(mine), float(theirs), float(len(rival.instances))))
    return ratio_difference(clustered_sums([one.key for one in test], rows))


def _false_difference(test: Sequence[Measured], own: Sequence[Said]) -> dict[str, Any]:
    rows = [
        (float(false_cases(measured)), float(said.false_units(rival)), rival.mailbox_weeks)
        for measured, rival in zip(test, own, strict=True)
    ]
    return ratio_difference(clustered_sums([one.key for one in test], rows), scale=said.PER)


def _messages_difference(test: Sequence[Measured], own: Sequence[Said]) -> dict[str, Any]:
    """Over intrusions that took messages; who never finds one loses all of its messages."""
    clusters: dict[str, list[tuple[float, float]]] = {}
    for measured, rival in zip(test, own, strict=True):
        for one in measured.facts.instances:
            if one.stealth and one.messages and one.first_record_at is not None:
                delays = rival.hit_delay_s[rival.hit_instance == one.instance]
                theirs = one.messages
                if len(delays):
                    until = one.first_record_at.timestamp() + float(delays.min())
                    theirs = int(np.searchsorted(np.array(one.reads_s), until))
                clusters.setdefault(measured.key, []).append((float(one.messages_before), float(theirs)))
    return median_difference(clusters)


# ---------------------------------------------------------------- ablations and validity


def ablations(many: Sequence[Measured], calibration: Calibration) -> list[dict[str, Any]]:
    """Recall and false units of the weights alone when parts are taken away, at the shipped thresholds."""
    test = full_test(many)
    rows = []
    shipped: list[Said] = []
    for variant in variants_of(detectors_of(test)):
        units = []
        for measured in test:
            weights = weigh_again(measured, calibration, variant)
            margin = margins(measured, weights, calibration.tails)
            units.append(said.weights_said(measured, margin, _threshold(BUDGETS[-1])))
        shipped = shipped or units
        rows.append(
            {
                "name": variant.name,
                "points": [{"budget": budget, **said.point(units, _threshold(budget))} for budget in BUDGETS],
                "difference": _against(test, units, shipped) if variant.name != SHIPPED else None,
            }
        )
    return rows


def _against(test: Sequence[Measured], units: Sequence[Said], shipped: Sequence[Said]) -> dict[str, Any]:
    threshold = _threshold(BUDGETS[0])
    rows = [
        (float(len(said.found(one, threshold))), float(len(said.found(other, threshold))), float(len(one.instances)))
        for one, other in zip(units, shipped, strict=True)
    ]
    return ratio_difference(clustered_sums([one.key for one in test], rows))


def fewer_logs(many: Sequence[Measured]) -> list[dict[str, Any]]:
    """The same tenants and intrusions with all logs and with fewer: what the logs themselves are worth."""
    full = {one.key: one for one in full_test(many)}
    pairs: dict[str, list[tuple[Measured, Measured]]] = {}
    for one in many:
        logs = one.facts.tenant.logs
        if logs != FULL and one.key in full:
            pairs.setdefault(logs, []).append((full[one.key], one))
    rows = []
    for logs, listed in sorted(pairs.items()):
        with_all, with_fewer = [one for one, _ in listed], [one for _, one in listed]
        rows.append(
            {"logs": logs, "tenants": len(listed), "full": _cases_point(with_all), "fewer": _cases_point(with_fewer)}
        )
    return rows


def instances_of(many: Sequence[Measured], calibration: Calibration) -> list[dict[str, Any]]:
    """Every intrusion, what became of it, and how far its heaviest unit was from opening a case.

    `opens_at_budget` is the budget, in false cases per 1,000 mailbox-weeks, from which that unit opens one; `fired` are
    the detectors that said something of it, with their bins.
    """
    shipped = variants_of(())[0]
    rows = []
    for measured in many:
        margin = margins(measured, weigh_again(measured, calibration, shipped), calibration.tails)
        numbers = measured.units["instance"].to_pylist()
        best: dict[int, int] = {}
        for place, instance in enumerate(numbers):
            if instance is not None and (instance not in best or margin[place] > margin[best[instance]]):
                best[instance] = place
        fired = _fired(measured, {measured.units["unit"][place].as_py() for place in best.values()})
        rows += [
            {
                "tenant": measured.facts.name,
                "prior": measured.facts.prior,
                "logs": measured.facts.tenant.logs,
                "mailboxes": measured.facts.tenant.mailboxes,
                "attack": one.attack_id,
                "stealth": one.stealth,
                "is_observable": one.is_observable,
                "is_found": is_found(one),
                "cases": one.cases,
                "units": numbers.count(one.instance),
                "opens_at_budget": _budget_of(margin[best[one.instance]]) if one.instance in best else None,
                "fired": fired.get(measured.units["unit"][best[one.instance]].as_py(), [])
                if one.instance in best
                else [],
            }
            for one in measured.facts.instances
            if one.stealth
        ]
    return rows


def _budget_of(margin: float) -> float:
    return float(said.PER * 10.0**-margin)


def _fired(measured: Measured, units: set[str]) -> dict[str, list[str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    marks = measured.marks
    wanted = pc.and_(
        pc.equal(marks["state"], "fired"), pc.is_in(marks["unit"], value_set=pa.array(sorted(units), pa.string()))
    )
    found: dict[str, list[str]] = {}
    for row in marks.filter(wanted).select(["unit", "detector_id", "bin"]).to_pylist():
        found.setdefault(row["unit"], []).append(f"{row['detector_id']} {row['bin']}")
    return {unit: sorted(texts) for unit, texts in found.items()}


def validity(many: Sequence[Measured], calibration: Calibration) -> list[dict[str, Any]]:
    """Measured over nominal false alarms of the weights, over tenants without attacks, by prior and log state."""
    shipped = variants_of(())[0]
    groups: dict[tuple[str, str], list[Measured]] = {}
    for one in many:
        if not one.facts.has_attacks:
            groups.setdefault((one.facts.prior, one.facts.tenant.logs), []).append(one)
    rows = []
    for (prior, logs), listed in sorted(groups.items()):
        weights = [weigh_again(one, calibration, shipped) for one in listed]
        rows.append(
            {
                "prior": prior,
                "logs": logs,
                "tenants": len(listed),
                "mean": mean_weight(listed, weights),
                "rows": inflation(listed, weights),
            }
        )
    return rows

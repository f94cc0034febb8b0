"""Who said what about a tenant, in one form for the product's weights and for every baseline: scored statements.

A statement is an alert, or a unit of evidence with its weight. One that cites no intruder is false; false ones count
once per subject and 24 hours. One form means one way of counting, so that nobody is favoured by bookkeeping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from brokenseal.drill._evaluate_facts import Facts, Measured

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

DAY_S: Final = 86_400.0
WEEK_S: Final = 7 * DAY_S
PER: Final = 1000
ALWAYS: Final = -math.inf
"""Threshold of all statements; the score of one that has no degree."""
_MOST_STEPS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What one method said of one tenant after the warm-up.

    Attributes:
        key: Of the tenant; twins share it.
        mailbox_weeks: Scored ones.
        instances: Intrusions of the tenant, controls left out.
        false_subject, false_at_s, false_score: One row per statement that cites no intruder, by subject and time.
        hit_instance, hit_delay_s, hit_score: One row per statement and intrusion that it cites: seconds from the
            intruder's first record to when the statement stood.
    """

    key: str
    mailbox_weeks: float
    instances: tuple[int, ...]
    false_subject: Ints
    false_at_s: Floats
    false_score: Floats
    hit_instance: Ints
    hit_delay_s: Floats
    hit_score: Floats


def intrusions_of(facts: Facts) -> dict[int, float | None]:
    """Intrusions by number, with the second of their first record; controls left out."""
    return {
        one.instance: None if one.first_record_at is None else one.first_record_at.timestamp()
        for one in facts.instances
        if one.stealth
    }


def made(
    measured: Measured,
    false: Iterable[tuple[str, float, float]],
    hits: Iterable[tuple[int, float, float]],
) -> Said:
    """One method's statements.

    Args:
        measured: The tenant.
        false: Subject, second of the first record, score.
        hits: Instance, second from which the statement stood, score; of controls and unknown instances nothing is kept.
    """
    first = intrusions_of(measured.facts)
    subjects: dict[str, int] = {}
    rows = sorted((subjects.setdefault(subject, len(subjects)), at, score) for subject, at, score in false)
    kept = [(one, at - (first[one] or at), score) for one, at, score in hits if one in first]
    return Said(
        key=measured.key,
        mailbox_weeks=measured.facts.tenant.mailbox_weeks,
        instances=tuple(sorted(first)),
        false_subject=np.array([row[0] for row in rows], dtype=np.int64),
        false_at_s=np.array([row[1] for row in rows], dtype=np.float64),
        false_score=np.array([row[2] for row in rows], dtype=np.float64),
        hit_instance=np.array([row[0] for row in kept], dtype=np.int64),
        hit_delay_s=np.array([row[1] for row in kept], dtype=np.float64),
        hit_score=np.array([row[2] for row in kept], dtype=np.float64),
    )


def alerts_by_rule(measured: Measured, rule_of: Mapping[str, str]) -> dict[str, Said]:
    """The alerts of every baseline: rules of one line of the tables together.

    Args:
        measured: The tenant.
        rule_of: Name of a rule to the line that it stands in; others are left out. Lines without alerts are empty.
    """
    false: dict[str, list[tuple[str, float, float]]] = {line: [] for line in rule_of.values()}
    hits: dict[str, list[tuple[int, float, float]]] = {line: [] for line in rule_of.values()}
    known = intrusions_of(measured.facts)
    for row in measured.alerts.to_pylist():
        line = rule_of.get(row["baseline"])
        if line is None:
            continue
        score = ALWAYS if row["score_millis"] is None else float(row["score_millis"])
        cited = [(one, at) for one, at in zip(row["instances"], row["seen_at"], strict=True) if one in known]
        hits[line] += [(one, at.timestamp(), score) for one, at in cited]
        if not cited:
            # What counts once is one rule about one subject; rules of one line are counted apart.
            false[line].append((f"{row['baseline']} {row['subject']}", row["first_at"].timestamp(), score))
    return {line: made(measured, false[line], hits[line]) for line in hits}


def weights_said(measured: Measured, score: Floats, least: float) -> Said:
    """Units of evidence as statements.

    Args:
        measured: The tenant.
        score: One for each unit; see `_evaluate_weights.margins`.
        least: Units below are left out.
    """
    wanted = np.flatnonzero((score >= least) & measured.units["is_scored"].to_numpy(zero_copy_only=False))
    rows: pa.Table = measured.units.take(wanted)
    false, hits = [], []
    for row, own in zip(rows.to_pylist(), score[wanted].tolist(), strict=True):
        if row["instance"] is None:
            kind = "door" if row["is_door"] else "mailbox"
            false.append((f"{kind} {row['mailbox_key']}", row["first_at"].timestamp(), own))
        else:
            hits.append((row["instance"], (row["seen_at"] or row["first_at"]).timestamp(), own))
    return made(measured, false, hits)


# ---------------------------------------------------------------- counting


def false_units(said: Said, threshold: float = ALWAYS) -> int:
    """False statements that reach the threshold, once per subject and 24 hours from the first of them."""
    kept = said.false_score >= threshold
    count, subject, begun = 0, -1, 0.0
    for own, at in zip(said.false_subject[kept].tolist(), said.false_at_s[kept].tolist(), strict=True):
        if own != subject or at - begun >= DAY_S:
            count, subject, begun = count + 1, own, at
    return count


def found(said: Said, threshold: float = ALWAYS, *, within_s: float = WEEK_S) -> frozenset[int]:
    """Intrusions that a statement cites that stood soon enough."""
    kept = (said.hit_score >= threshold) & (said.hit_delay_s <= within_s)
    return frozenset(said.hit_instance[kept].tolist())


def weeks_of(many: Iterable[Said]) -> float:
    """Scored mailbox-weeks of all."""
    return sum(one.mailbox_weeks for one in many)


def point(many: Sequence[Said], threshold: float = ALWAYS) -> dict[str, Any]:
    """False units and recall of one method over tenants at one threshold."""
    from brokenseal.drill._score_values import rate, share

    told = sum(len(found(one, threshold)) for one in many)
    false = rate(sum(false_units(one, threshold) for one in many), weeks_of(many))
    return {
        "threshold": None if threshold == ALWAYS else threshold,
        "recall": _plain(share(told, sum(len(one.instances) for one in many))),
        "false": _plain(false),
    }


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


OFF: Final = math.inf
"""Threshold that nothing reaches."""


def at_budget(many: Sequence[Said], budget: float) -> float:
    """The lowest threshold whose false units are within a budget of so many per 1,000 mailbox-weeks; `OFF` for none.

    A method without degrees is on or off.
    """
    allowed = budget * weeks_of(many) / PER
    scores = np.unique(np.concatenate([one.false_score for one in many] or [np.zeros(0)]))
    finite = scores[np.isfinite(scores)]

    def fits(threshold: float) -> bool:
        return sum(false_units(one, threshold) for one in many) <= allowed

    if fits(ALWAYS):
        return ALWAYS
    # Just above a false score is the lowest threshold that leaves it out.
    steps = np.nextafter(finite, math.inf)
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        if fits(float(steps[middle])):
            high = middle
        else:
            low = middle + 1
    if low < len(steps):
        return float(steps[low])
    return OFF


def curve(many: Sequence[Said]) -> list[dict[str, Any]]:
    """Points from strict to lenient at up to sixty thresholds; one point for a method without degrees."""
    parts = [part for one in many for part in (one.false_score, one.hit_score)]
    scores = np.unique(np.concatenate(parts)) if parts else np.zeros(0)
    finite = scores[np.isfinite(scores)]
    if len(finite) > _MOST_STEPS:
        finite = np.unique(np.quantile(finite, np.linspace(0, 1, _MOST_STEPS)))
    thresholds = [*finite[::-1].tolist(), ALWAYS]
    return [point(many, threshold) for threshold in thresholds]

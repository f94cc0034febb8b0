"""The weights of all units anew, from the marks that were kept: as shipped, and with parts taken away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow.compute as pc

from brokenseal.calibration import HABITUAL, SMALLEST_SHARE, Calibration, merged
from brokenseal.drill._score_intervals import poisson_interval, poisson_upper
from brokenseal.fusion import Weighed, weigh
from brokenseal.numbering import numbered
from brokenseal.schema import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from brokenseal.calibration import Tail
    from brokenseal.drill._evaluate_facts import Measured

    Floats = npt.NDArray[np.float64]

SHIPPED: Final = "as shipped"
NO_ROOT: Final = "root grouping removed"
NAIVE: Final = "naive product"
ALPHAS: Final = (1e-2, 1e-3, 1e-4, 1e-5)
"""Nominal shares of false alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to weigh.

    Attributes:
        without: A detector whose marks are left out; None for none.
        is_grouped: Whether shares are looked up among units of equal strangeness.
        is_bounded: Whether upper bounds are taken, not the shares themselves.
    """

    name: str
    without: str | None = None
    is_grouped: bool = True
    is_bounded: bool = True


def variants_of(detectors: Iterable[str]) -> tuple[Variant, ...]:
    """As shipped, then what is taken away."""
    return (
        Variant(name=SHIPPED),
        *(Variant(name=f"without {one}", without=one) for one in sorted(detectors)),
        Variant(name=NO_ROOT, is_grouped=False),
        Variant(name=NAIVE, is_grouped=False, is_bounded=False),
    )


def detectors_of(many: Iterable[Measured]) -> frozenset[str]:
    """Detectors that marked any unit of any tenant."""
    return frozenset(one for measured in many for one in pc.unique(measured.marks["detector_id"]).to_pylist())


def weigh_again(measured: Measured, calibration: Calibration, variant: Variant) -> Floats:
    """Decimal logarithm of the weight of each unit of a tenant, in the order of its units."""
    units = measured.units.select(["unit", "tenant_id", "mailbox_key", "network", "is_door"])
    marks = {
        detector_id: measured.marks.filter(pc.equal(measured.marks["detector_id"], detector_id)).select(MARK.names)
        for detector_id in sorted(detectors_of([measured]))
        if detector_id != variant.without
    }
    counts = calibration if variant.is_grouped else _ungrouped(calibration)
    weighed = weigh(units, marks, counts)
    return weighed.log10_e if variant.is_bounded else weighed.log10_e + _slack(weighed, counts)


def _ungrouped(calibration: Calibration) -> Calibration:
    return msgspec.structs.replace(
        calibration, groups_of={}, benign={HABITUAL: merged(tuple(calibration.benign.values()))}
    )


def _slack(weighed: Weighed, calibration: Calibration) -> Floats:
    """What upper bounds cost each unit: their decimal logarithm less that of the counted share."""
    found = np.zeros(len(weighed.units))
    total = calibration.benign[HABITUAL]
    for detector_id, column in weighed.columns.items():
        counts = total.bins.get(detector_id, {})
        for code, name in enumerate(column.bins, start=1):
            # A share that the tenant itself gave stays as it is.
            mine = (column.codes == code) & ~column.own
            share = max((counts.get(name, 0) + 0.5) / (total.units + 1), SMALLEST_SHARE)
            found[mine] += np.log10(np.maximum(column.f0_upper[mine], SMALLEST_SHARE) / share)
    return found


def margins(measured: Measured, log10_e: Floats, tails: Mapping[str, Tail]) -> Floats:
    """For each unit minus the decimal logarithm of the budget (false cases a mailbox-week) from which it opens a case.

    As `judgement.judge` sets thresholds: units of a kind that a mailbox has a week, over that kind's share of the
    budget; or where the measured tail leaves as few, whichever is lower.

    Args:
        measured: A tenant.
        log10_e: The weight of each of its units, decimal logarithm.
        tails: Of the calibration.
    """
    is_door = measured.units["is_door"].to_numpy(zero_copy_only=False).astype(bool)
    mailboxes = numbered(measured.units["mailbox_key"])[0]
    weeks = measured.facts.mailbox_weeks_weighed / max(len(np.unique(mailboxes[~is_door])), 1)
    _, of, counts = np.unique(2 * mailboxes + is_door, return_inverse=True, return_counts=True)
    reached = log10_e.copy()
    for name, kind in (("clusters", False), ("doors", True)):
        if name in tails:
            mine = is_door == kind
            reached[mine] = np.maximum(log10_e[mine], _bound_at(log10_e[mine], tails[name]))
    found: Floats = reached - np.log10(counts / weeks * (2 if is_door.any() else 1))[of]
    return found


def _bound_at(log10_e: Floats, tail: Tail) -> Floats:
    """The highest bound that each weight still reaches where the tail lowers it: the inverse of `Tail.threshold`."""
    excess = (1000 * log10_e - tail.from_millibans) / tail.step_millibans
    rarer = tail.independent * np.log1p(np.maximum(excess, 0.0) / tail.independent)
    bound: Floats = rarer / math.log(10) - math.log10(tail.share_upper_ppb / 1e9)
    return np.where(excess >= 0, bound, -np.inf)


def inflation(many: Sequence[Measured], weights: Sequence[Floats]) -> list[dict[str, Any]]:
    """Measured over nominal share of authorised units whose weight reaches 1/a, doors and clusters apart."""
    rows = []
    for kind in (False, True):
        reached: list[Floats] = []
        for measured, own in zip(many, weights, strict=True):
            units = measured.units
            is_benign = units["instance"].is_null().to_numpy(zero_copy_only=False)
            is_benign &= units["is_scored"].to_numpy(zero_copy_only=False)
            is_benign &= units["is_door"].to_numpy(zero_copy_only=False) == kind
            reached.append(own[is_benign])
        values = np.concatenate(reached) if reached else np.zeros(0)
        rows += [_inflated(values, alpha, is_door=kind, per_tenant=reached) for alpha in ALPHAS]
    return rows


def _inflated(values: Floats, alpha: float, *, is_door: bool, per_tenant: Sequence[Floats]) -> dict[str, Any]:
    least = -math.log10(alpha)
    count, of = int((values >= least).sum()), len(values)
    expected = of * alpha
    low, high = poisson_interval(count)
    return {
        "alpha": alpha,
        "is_door": is_door,
        "units": of,
        "reached": count,
        "expected": expected,
        "inflation": count / expected if expected else None,
        "low": low / expected if expected else None,
        "high": high / expected if expected else None,
        "upper": poisson_upper(count) / expected if expected else None,
        "tenants": sum(bool((own >= least).any()) for own in per_tenant),
    }


def mean_weight(many: Sequence[Measured], weights: Sequence[Floats]) -> float | None:
    """Mean e-value of authorised clusters after the warm-up: at most 1 where the bounds hold."""
    parts = []
    for measured, own in zip(many, weights, strict=True):
        is_benign = pc.and_(measured.units["instance"].is_null(), measured.units["is_scored"])
        parts.append(np.power(10.0, own[np.asarray(is_benign.to_numpy(zero_copy_only=False), dtype=bool)]))
    values = np.concatenate(parts) if parts else np.zeros(0)
    return float(values.mean()) if len(values) else None

"""T5: do attacks begin when anybody might, given their victims' days, and at no round time?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from brokenseal.drill._leak_report import FAIL, NOT_ASSESSABLE, PASS, Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_HOURS: Final = 168
_HOUR_US: Final = 3_600_000_000
# 1970-01-01 was a Thursday; weeks here begin on Monday.
_MONDAY_US: Final = 3 * 24 * _HOUR_US
_LEAST: Final = 20
_SMALLEST_P: Final = 0.01
_ROUNDS: Final = 2000
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def hour_of_week(at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Hours since Monday 00:00 UTC, 0 to 167."""
    found: npt.NDArray[np.int64] = (at_us + _MONDAY_US) // _HOUR_US % _HOURS
    return found


def timing(
    starts_us: Sequence[int], activity: Sequence[Floats], days_open: Floats, rng: np.random.Generator
) -> list[Check]:
    """T5 as three checks: days of the week and hours of the day against the owner's activity, and round clock times.

    Args:
        starts_us: Start of each attack instance, microseconds since 1970.
        activity: Lines of the owner by hour of the week, 168 numbers for each instance; all zero where unknown.
        days_open: How often each day of the week, from Monday, could be a first day.
        rng: Generator of ties and of the null distribution.
    """
    at = np.asarray(starts_us, dtype=np.int64)
    if len(at) < _LEAST:
        return [_few(subject, len(at)) for subject in ("days of the week", "hours of the day", "round times")]
    even = np.repeat(days_open / days_open.sum() / 24, 24)
    density = np.stack([_density(one * np.repeat(days_open > 0, 24)) for one in activity])
    # Some intruders keep their own hours, at any time of the victim's week: how many is fitted, not assumed.
    hour = hour_of_week(at)
    mixing = np.linspace(0, 1, 41)
    rows = np.arange(len(at))
    likelihood = [float(np.log(share * even[hour] + (1 - share) * density[rows, hour]).sum()) for share in mixing]
    share = float(mixing[int(np.argmax(likelihood))])
    mixed = (share * even + (1 - share) * density).reshape(len(at), 7, 24)
    return [_days(hour // 24, mixed, share, rng), _hours(at, mixed, share, rng), _round(at)]


def _days(day: npt.NDArray[np.int64], mixed: Floats, share: float, rng: np.random.Generator) -> Check:
    """Days of the week by a chi-square distance whose null is simulated."""
    chance = mixed.sum(axis=2)
    chance /= chance.sum(axis=1, keepdims=True)
    expected = chance.sum(axis=0)
    found = np.bincount(day, minlength=7)
    edges = np.cumsum(chance, axis=1)
    drawn = (rng.random((_ROUNDS, len(day), 1)) > edges).sum(axis=2)
    null = _distance(np.stack([(drawn == one).sum(axis=1) for one in range(7)], axis=1), expected)
    p = float((np.count_nonzero(null >= _distance(found, expected) - 1e-9) + 1) / (_ROUNDS + 1))
    hits = [f"{_DAYS[one]}: {int(found[one])}, {expected[one]:.1f} expected" for one in np.argsort(expected - found)]
    return _judged("days of the week", p, len(day), share, hits[:2])


def _distance(found: npt.NDArray[np.int64], expected: Floats) -> Floats:
    distance: Floats = ((found - expected) ** 2 / np.maximum(expected, 1e-9)).sum(axis=-1)
    return distance


def _hours(at: npt.NDArray[np.int64], mixed: Floats, share: float, rng: np.random.Generator) -> Check:
    """Hours within the day that it is, by Kuiper's distance."""
    day, hour = np.divmod(hour_of_week(at), 24)
    rows = np.arange(len(at))
    within = mixed[rows, day] / mixed[rows, day].sum(axis=1, keepdims=True)
    here = within[rows, hour]
    uniform = np.cumsum(within, axis=1)[rows, hour] - here + at % _HOUR_US / _HOUR_US * here
    observed = _kuiper(uniform)
    null = np.array([_kuiper(rng.random(len(at))) for _ in range(_ROUNDS)])
    p = float((np.count_nonzero(null >= observed) + 1) / (_ROUNDS + 1))
    crowd = np.bincount(hour, minlength=24)
    return _judged(
        "hours of the day", p, len(at), share, [f"hour {int(one)}: {int(crowd[one])}" for one in np.argsort(-crowd)[:3]]
    )


def _judged(subject: str, p: float, instances: int, share: float, hits: Sequence[str]) -> Check:
    is_fail = p < _SMALLEST_P
    return Check(
        test="T5",
        subject=subject,
        outcome=FAIL if is_fail else PASS,
        reason=f"attacks begin at certain {subject} more often than their owners' weeks explain"
        if is_fail
        else "starts are spread as the owners' activity is, or evenly",
        numbers={"instances": float(instances), "p": p, "share at any hour": share},
        hits=tuple(hits) if is_fail else (),
    )


def _density(activity: Floats) -> Floats:
    total = float(activity.sum())
    found: Floats = (activity + total * 0.02 / 168 + 1e-9) / (total * 1.02 + 168 * 1e-9)
    return found


def _kuiper(uniform: Floats) -> float:
    """Kuiper's distance from the uniform distribution; it does not depend on where the day begins."""
    ordered = np.sort(uniform)
    count = len(ordered)
    steps = np.arange(1, count + 1) / count
    return float((steps - ordered).max() + (ordered - steps + 1 / count).max())


_GRIDS: Final = (
    ("whole seconds", 1_000_000, 1_000, 1e-3),
    ("whole minutes", 60_000_000, 1_000_000, 1 / 60),
    ("whole quarters of an hour", 900_000_000, 60_000_000, 1 / 15),
    ("whole hours", 3_600_000_000, 60_000_000, 1 / 60),
    ("midnights", 86_400_000_000, 900_000_000, 1 / 96),
)


def _round(at: npt.NDArray[np.int64]) -> Check:
    numbers, hits = {"instances": float(len(at))}, []
    smallest = 1.0
    for name, grid, width, expected in _GRIDS:
        found = int(np.count_nonzero(at % grid < width))
        p = binomial_tail(found, len(at), expected)
        smallest = min(smallest, p * len(_GRIDS))
        if p * len(_GRIDS) < _SMALLEST_P:
            hits.append(f"{name}: {found} of {len(at)}, {expected * len(at):.1f} by chance")
    numbers["smallest p"] = min(smallest, 1.0)
    outcome = FAIL if hits else PASS
    reason = "attacks begin at round times" if hits else "no clock time is favoured"
    return Check(test="T5", subject="round times", outcome=outcome, reason=reason, numbers=numbers, hits=tuple(hits))


def binomial_tail(found: int, trials: int, share: float) -> float:
    """Chance of at least this many successes."""
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(one + 1)
        - math.lgamma(trials - one + 1)
        + one * math.log(share)
        + (trials - one) * math.log1p(-share)
        for one in range(found, trials + 1)
    ]
    return min(1.0, sum(math.exp(one) for one in logs))


def _few(subject: str, count: int) -> Check:
    return Check(
        test="T5",
        subject=subject,
        outcome=NOT_ASSESSABLE,
        reason=f"{count} instances; at least {_LEAST} are needed",
        numbers={"instances": float(count)},
    )

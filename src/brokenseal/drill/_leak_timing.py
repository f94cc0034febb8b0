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


def hour_of_week(at_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Hours since Monday 00:00 UTC, 0 to 167."""
    found: npt.NDArray[np.int64] = (at_us + _MONDAY_US) // _HOUR_US % _HOURS
    return found


def timing(starts_us: Sequence[int], activity: Sequence[Floats], rng: np.random.Generator) -> list[Check]:
    """T5 as two checks: hours of the day against the owner's activity on such days, and round clock times.

    Args:
        starts_us: Start of each attack instance, microseconds since 1970.
        activity: Lines of the victim by hour of the week, 168 numbers for each instance; all zero where unknown.
        rng: Generator of ties and of the null distribution.
    """
    at = np.asarray(starts_us, dtype=np.int64)
    return [_hours(at, activity, rng), _round(at)]


def _hours(at: npt.NDArray[np.int64], activity: Sequence[Floats], rng: np.random.Generator) -> Check:
    if len(at) < _LEAST:
        return _few("hours of the day", len(at))
    # On which days attacks may begin follows from the length of the drill; the hour within the day does not.
    weekday, hour = np.divmod(hour_of_week(at), 24)
    rows = np.arange(len(at))
    density = np.stack([_density(one.reshape(7, 24)[day]) for one, day in zip(activity, weekday, strict=True)])
    # Some intruders keep their own hours, at any time of the victim's day: how many is fitted, not assumed.
    mixing = np.linspace(0, 1, 41)
    likelihood = [float(np.log(share / 24 + (1 - share) * density[rows, hour]).sum()) for share in mixing]
    share = float(mixing[int(np.argmax(likelihood))])
    mixed = share / 24 + (1 - share) * density
    here = mixed[rows, hour]
    uniform = np.cumsum(mixed, axis=1)[rows, hour] - here + at % _HOUR_US / _HOUR_US * here
    observed = _kuiper(uniform)
    null = np.array([_kuiper(rng.random(len(at))) for _ in range(_ROUNDS)])
    p = float((np.count_nonzero(null >= observed) + 1) / (_ROUNDS + 1))
    outcome = FAIL if p < _SMALLEST_P else PASS
    reason = (
        "attacks begin at certain hours more often than their owners' days explain"
        if outcome == FAIL
        else "starts are spread as the owners' activity is, or evenly"
    )
    numbers = {"instances": float(len(at)), "p": p, "share at any hour": share}
    crowded = np.bincount(hour, minlength=24)
    hits = tuple(f"hour {int(one)}: {int(crowded[one])}" for one in np.argsort(-crowded)[:3]) if outcome == FAIL else ()
    return Check(test="T5", subject="hours of the day", outcome=outcome, reason=reason, numbers=numbers, hits=hits)


def _density(activity: Floats) -> Floats:
    total = float(activity.sum())
    found: Floats = (activity + total * 0.02 / 24 + 1e-9) / (total * 1.02 + 24 * 1e-9)
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
    if len(at) < _LEAST:
        return _few("round times", len(at))
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

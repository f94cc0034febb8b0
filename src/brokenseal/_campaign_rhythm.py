"""Hours of the day beside usual ones: Kuiper's statistic on the circle of 24 hours, as context without a weight."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_DIFFERENCE: Final = 0.4
"""The series converges too slowly below, where it is 1 to seven places."""
_HOURS: Final = 24


class Rhythm(NamedTuple):
    """How unlike the hours of some units are to the usual hours of their mailboxes. It has no weight.

    Attributes:
        statistic: Kuiper's V, 0 to 1: largest surplus plus largest deficit of one distribution over the other.
        chance: How often two samples of one distribution differ as much, for large samples; shared mailboxes,
            journeys and holidays make it small as well.
        n: Units.
        n_usual: Other units of the same mailboxes.
    """

    statistic: float
    chance: float
    n: int
    n_usual: int


def rhythm(hours: Sequence[float], usual: Sequence[float]) -> Rhythm | None:
    """Compare hours of the day with usual ones, on the circle of 24 hours; None where either has none.

    Source: Kuiper, "Tests concerning random points on a circle", 1960; Stephens 1970 for the size of samples.
    """
    if not hours or not usual:
        return None
    steps: dict[float, float] = defaultdict(float)
    for hour in hours:
        steps[hour % _HOURS] += 1 / len(hours)
    for hour in usual:
        steps[hour % _HOURS] -= 1 / len(usual)
    surplus = highest = lowest = 0.0
    for hour in sorted(steps):
        surplus += steps[hour]
        highest, lowest = max(highest, surplus), min(lowest, surplus)
    statistic = highest - lowest
    size = math.sqrt(len(hours) * len(usual) / (len(hours) + len(usual)))
    return Rhythm(statistic, _kuiper((size + 0.155 + 0.24 / size) * statistic), len(hours), len(usual))


def _kuiper(scaled: float) -> float:
    if scaled < _NO_DIFFERENCE:
        return 1.0
    squares = [(number * scaled) ** 2 for number in range(1, 101)]
    return min(1.0, max(0.0, 2 * math.fsum((4 * square - 1) * math.exp(-2 * square) for square in squares)))

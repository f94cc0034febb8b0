"""How a figure grows with the size: the exponent of a power law, by least squares of logarithms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fit(NamedTuple):
    """`value = factor * size ** exponent`.

    Attributes:
        exponent: 1 where twice the size takes twice as much.
        low: Lower end of the exponent's 95 % confidence interval; None where two points leave nothing to judge it by.
        high: Upper end.
        factor: Value at size 1, with the units of the fit.
        points: How many sizes it rests on.
    """

    exponent: float
    low: float | None
    high: float | None
    factor: float
    points: int

    def at(self, size: float) -> float:
        """The value that the fit gives for a size."""
        return self.factor * size**self.exponent


def power_law(sizes: Sequence[float], values: Sequence[float]) -> Fit | None:
    """Fit a power law through positive values; None with fewer than two different sizes."""
    points = [(math.log(size), math.log(value)) for size, value in zip(sizes, values, strict=True) if value > 0]
    number = len(points)
    if len({x for x, _ in points}) < 2:
        return None
    mean_x, mean_y = (sum(each) / number for each in zip(*points, strict=True))
    across = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / across
    factor = math.exp(mean_y - slope * mean_x)
    if number < 3:
        return Fit(slope, None, None, factor, number)
    from scipy.stats import t

    left = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    half = float(t.ppf(0.975, number - 2)) * math.sqrt(left / (number - 2) / across)
    return Fit(slope, slope - half, slope + half, factor, number)

"""Intervals and medians of the score, in plain Python: Wilson, exact Poisson, Kaplan-Meier.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927); F. Garwood,
"Fiducial limits for the Poisson distribution" (1936); E. L. Kaplan and P. Meier, "Nonparametric estimation from
incomplete observations" (1958).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVEL: Final = 0.95
Z: Final = 1.959963984540054
"""Quantile 0.975 of the normal distribution."""

_TERMS: Final = 100_000
_SMALL: Final = 1e-300
_TOLERANCE: Final = 1e-15
_HALVINGS: Final = 200


def wilson(count: float, of: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; fractions stand for instances that are not independent of each other.

    Raises:
        ValueError: `of` is not positive, or `count` is not between 0 and `of`.
    """
    if not 0 <= count <= of or of == 0:
        msg = f"{count} of {of}: expected a count of at most a positive number"
        raise ValueError(msg)
    share, square = count / of, Z * Z / of
    centre = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    # At the ends rounding would leave 1e-17 instead of the exact bound.
    return (0.0 if count == 0 else centre - half, 1.0 if count == of else centre + half)


def gamma_share(shape: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(shape, x); by series below shape + 1, else by fraction."""
    if x <= 0:
        return 0.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        for step in range(1, _TERMS):
            term *= x / (shape + step)
            total += term
            if term < total * _TOLERANCE:
                break
        return total * scale
    return 1 - scale * _upper_fraction(shape, x)


def _upper_fraction(shape: float, x: float) -> float:
    """The continued fraction of the upper incomplete gamma function, by Lentz's method."""
    b = x + 1 - shape
    c, d = 1 / _SMALL, 1 / b
    value = d
    for step in range(1, _TERMS):
        a = -step * (step - shape)
        b += 2
        d = a * d + b
        d = 1 / (_SMALL if abs(d) < _SMALL else d)
        c = b + a / c
        c = _SMALL if abs(c) < _SMALL else c
        value *= d * c
        if abs(d * c - 1) < _TOLERANCE:
            break
    return value


def chi_square_quantile(probability: float, degrees: int) -> float:
    """The quantile of the chi-square distribution, by bisection.

    Raises:
        ValueError: The probability is not between 0 and 1, or the degrees are not positive.
    """
    if not 0 < probability < 1 or degrees < 1:
        msg = f"chi-square quantile {probability} with {degrees} degrees: expected 0 < p < 1 and positive degrees"
        raise ValueError(msg)
    low, high = 0.0, float(degrees)
    while gamma_share(degrees / 2, high / 2) < probability:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if gamma_share(degrees / 2, middle / 2) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def poisson_interval(count: int) -> tuple[float, float]:
    """Garwood's exact two-sided 95 % interval of the mean of a Poisson count."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if count == 0 else chi_square_quantile(tail, 2 * count) / 2
    return low, chi_square_quantile(1 - tail, 2 * count + 2) / 2


def poisson_upper(count: int) -> float:
    """The exact one-sided upper 95 % bound of the mean of a Poisson count: 3.0 where nothing was counted."""
    return chi_square_quantile(LEVEL, 2 * count + 2) / 2


def kaplan_meier_median(durations: Iterable[tuple[float, bool]]) -> float | None:
    """The median time to an event where some were only watched for a while.

    Args:
        durations: Per subject the time, and whether the event took place then; else watching ended then.
    Returns: The first time at which at most half have not had the event; None where it is never so few.
    """
    listed = list(durations)
    ended, watched = Counter(time for time, is_event in listed if is_event), Counter(time for time, _ in listed)
    at_risk, surviving = len(listed), 1.0
    for time in sorted(watched):
        surviving *= 1 - ended[time] / at_risk
        at_risk -= watched[time]
        # Products of fractions miss one half by rounding.
        if ended[time] and surviving <= 0.5 + 1e-12:
            return time
    return None

"""Differences between methods over tenants: bootstrap by tenant, and Holm's correction for asking several questions.

Tenants are drawn anew, not intrusions: what happens in one tenant is not independent (B. Efron, "Bootstrap methods",
1979; S. Holm, "A simple sequentially rejective multiple test procedure", 1979).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ROUNDS: Final = 10_000
_SEED: Final = 20_250_303
_LEVEL: Final = 0.95
_FEWEST: Final = 3
"""Clusters below which no interval is given."""


def ratio_difference(clusters: Sequence[tuple[float, float, float]], *, scale: float = 1.0) -> dict[str, Any]:
    """Difference of two ratios with a common denominator, over clusters.

    Args:
        clusters: Per tenant (twins are one): the first numerator, the second, and the denominator.
        scale: What both ratios are multiplied by.

    Returns: `difference` with its interval and two-sided p-value; those are None where tenants are too few, and all
        of it where there is nothing to take a share of.
    """
    rows = np.array([row for row in clusters if row[2] > 0], dtype=np.float64).reshape(-1, 3)
    if not len(rows):
        return {"difference": None, "low": None, "high": None, "p": None, "clusters": 0}
    total = rows.sum(axis=0)
    observed = float(scale * (total[0] - total[1]) / total[2])
    if len(rows) < _FEWEST:
        return {"difference": observed, "low": None, "high": None, "p": None, "clusters": len(rows)}
    drawn = _drawn(len(rows))
    sums = drawn @ rows
    return {
        "difference": observed,
        **_interval(scale * (sums[:, 0] - sums[:, 1]) / sums[:, 2]),
        "clusters": len(rows),
    }


def median_difference(clusters: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Any]:
    """Difference of two medians over intrusions, by cluster.

    Args:
        clusters: Per tenant the two values of each intrusion.
    """
    keys = [key for key in sorted(clusters) if clusters[key]]
    values = [np.array(clusters[key], dtype=np.float64) for key in keys]
    if not values:
        return {"difference": None, "low": None, "high": None, "p": None, "clusters": 0}

    def difference(rows: Sequence[Floats]) -> float:
        both = np.concatenate(rows)
        return float(np.median(both[:, 0]) - np.median(both[:, 1]))

    if len(values) < _FEWEST:
        return {"difference": difference(values), "low": None, "high": None, "p": None, "clusters": len(values)}
    rng = np.random.default_rng(_SEED)
    drawn = [
        difference([values[number] for number in row]) for row in rng.integers(0, len(values), (2_000, len(values)))
    ]
    return {"difference": difference(values), **_interval(np.array(drawn)), "clusters": len(values)}


def _drawn(count: int) -> Floats:
    """How often each cluster is drawn, in each round."""
    rng = np.random.default_rng(_SEED)
    found: Floats = rng.multinomial(count, np.full(count, 1 / count), size=ROUNDS).astype(np.float64)
    return found


def _interval(values: Floats) -> dict[str, float]:
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    beyond = min(float((values <= 0).mean()), float((values >= 0).mean()))
    return {"low": float(low), "high": float(high), "p": min(1.0, max(2 * beyond, 1 / len(values)))}


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Holm's corrected p-values; None stays None and counts as no question."""
    asked = sorted((p, name) for name, p in p_values.items() if p is not None)
    found: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for number, (p, name) in enumerate(asked):
        highest = max(highest, min(1.0, p * (len(asked) - number)))
        found[name] = highest
    return found


def clustered_sums(keys: Sequence[str], rows: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The rows of equal keys added up, in order of keys."""
    found: dict[str, tuple[float, float, float]] = {}
    for key, (one, other, of) in zip(keys, rows, strict=True):
        before = found.get(key, (0.0, 0.0, 0.0))
        found[key] = (before[0] + one, before[1] + other, before[2] + of)
    return [found[key] for key in sorted(found)]

"""How heavy authorised units get: the far end of their weights, by peaks over a threshold.

The bound of an e-value (Markov) holds for any distribution and is loose for most. What authorised units of simulated
tenants weigh falls about exponentially with the logarithm of the weight, so that the end of it can be extrapolated
(Pickands 1975; for alarms Siffer and others, "Anomaly detection in streams with extreme value theory", 2017). What is
unknown of the mean excess is averaged over, as units of one tenant are alike: the predictive distribution of a further
excess has a heavier end (Pareto). The mean is no smaller than what the heaviest half and quarter of the tail show by
themselves: a tail that gets heavier further out must not be taken for an exponential one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from brokenseal.calibration import Tail, upper_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

SHARE: Final = 1e-3
"""So many of the heaviest units make the tail."""
LEAST: Final = 40
MOST: Final = 200
STARTS: Final = (1.0, 0.7, 0.5, 0.35, 0.25)
"""Shares of those from which the tail may begin, the most first."""
LEAST_VARIATION: Final = 0.85
"""Excesses of an exponential distribution vary as much as their mean (coefficient of variation 1). Where they vary
less, there and further out, the tail has not begun yet, and its mean would put thresholds far beyond what was seen: of
220,000 units the heaviest 200 gave 0.72 (mean 0.61), 100 gave 0.77 (0.44), 70 gave 0.95 (0.33), 50 gave 1.05 (0.30)."""
_LEAST_SHARE: Final = 0.05
_CUTS: Final = (1, 2, 4)
_FEW_TENANTS: Final = 3


def tail_of(tenants: Sequence[Sequence[float]]) -> Tail | None:
    """The tail of the weights of authorised units.

    Args:
        tenants: Decimal logarithms of weights, by tenant: units of one tenant are alike.

    Returns: None where too few were counted.
    """
    weights = np.concatenate([np.asarray(each, dtype=np.float64) for each in tenants]) if tenants else np.zeros(0)
    owner = np.repeat(np.arange(len(tenants)), [len(each) for each in tenants])
    wanted = int(min(max(len(weights) * SHARE, LEAST), MOST))
    if wanted > len(weights) * _LEAST_SHARE:
        return None
    order = np.argsort(-weights, kind="stable")
    weights, owner = weights[order], owner[order]
    wanted = _start(weights, wanted)
    start = float(weights[wanted])
    beyond = int((weights > start).sum())
    if not beyond:
        return None
    design = _design(owner, beyond, len(tenants))
    return Tail(
        from_millibans=math.ceil(start * 1000),
        beyond=beyond,
        units=len(weights),
        share_upper_ppb=math.ceil(upper_share(beyond, len(weights), design) * 1e9),
        step_millibans=math.ceil(max(_mean(weights, wanted // cut) for cut in _CUTS) * 1000),
        independent=_independent(weights, owner, wanted),
        tenants=len(tenants),
    )


def _start(weights: npt.NDArray[np.float64], most: int) -> int:
    """How many of the heaviest make the tail: the most from which on, and from no later on, they vary too little."""
    counts = [max(int(most * share), LEAST) for share in STARTS]
    begun = len(counts)
    while begun > 0 and _variation(weights, counts[begun - 1]) >= LEAST_VARIATION:
        begun -= 1
    return counts[min(begun, len(counts) - 1)]


def _variation(weights: npt.NDArray[np.float64], count: int) -> float:
    excess = weights[:count] - weights[count]
    mean = float(excess.mean())
    return float(excess.std()) / mean if mean else 0.0


def _mean(weights: npt.NDArray[np.float64], count: int) -> float:
    return float((weights[:count] - weights[count]).mean())


def _independent(weights: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], count: int) -> int:
    """As how many independent excesses these tell of their mean."""
    excess = weights[:count] - weights[count]
    mean = float(excess.mean())
    spread = sum(float((excess[owner[:count] == one] - mean).sum()) ** 2 for one in np.unique(owner[:count]))
    naive = count * mean * mean
    design = max(spread / naive, 1.0) if naive else 1.0
    return max(int(count / design), 1)


def _design(owner: npt.NDArray[np.int64], beyond: int, tenants: int) -> float:
    """How much the number beyond varies between tenants, over what independent units would."""
    counts = np.bincount(owner[:beyond], minlength=tenants)
    sizes = np.bincount(owner, minlength=tenants)
    expected = sizes * (beyond / len(owner))
    if tenants < _FEW_TENANTS:
        return 1.0
    return max(float(((counts - expected) ** 2).sum() / expected.sum()), 1.0)

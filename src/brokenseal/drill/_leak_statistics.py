"""The statistics that the leak tests need, in NumPy: two small classifiers, rank tests, information, error control."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_BINS: Final = 32
_CLIP: Final = 30.0


def auc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counting half; nan where one side is empty."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return math.nan
    return float((midranks(scores)[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def midranks(values: Floats) -> Floats:
    """Ranks from 1, tied values sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = ((ends - counts + 1 + ends) / 2)[inverse]
    return ranks


def delong(scores: Floats, labels: npt.NDArray[np.bool_], *, z: float = 1.96) -> tuple[float, float, float]:
    """AUC and its interval for independent rows (DeLong, DeLong and Clarke-Pearson 1988), by midranks."""
    whole = midranks(scores)
    positives, negatives = int(labels.sum()), int((~labels).sum())
    above = (whole[labels] - midranks(scores[labels])) / negatives
    below = 1.0 - (whole[~labels] - midranks(scores[~labels])) / positives
    spread = math.sqrt(float(above.var(ddof=1)) / positives + float(below.var(ddof=1)) / negatives)
    middle = float(above.mean())
    return middle, max(0.0, middle - z * spread), min(1.0, middle + z * spread)


def mean_interval(values: Floats, *, variance: float = 0.0, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent values and its interval by Student's distribution.

    Args:
        values: At least two values.
        variance: Variance of the mean that the values share, such as that of what they were compared with.
        level: Confidence.
    """
    count = len(values)
    z = NormalDist().inv_cdf((1 + level) / 2)
    free = count - 1
    # Cornish and Fisher's expansion of Student's quantile.
    factor = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    half = factor * math.sqrt(float(values.var(ddof=1)) / count + variance)
    middle = float(values.mean())
    return middle, middle - half, middle + half


def wilson(found: int, trials: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share = found / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def group_folds(groups: npt.NDArray[Any], folds: int, rng: np.random.Generator) -> Ints:
    """A fold for each row, so that the rows of one group share a fold."""
    names, inverse = np.unique(groups, return_inverse=True)
    order = rng.permutation(len(names))
    found: Ints = (order % folds)[inverse]
    return found


# ---------------------------------------------------------------- classifiers


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """Ridge logistic regression on standardised columns."""

    centre: Floats
    scale: Floats
    weight: Floats

    @classmethod
    def fit(cls, values: Floats, labels: npt.NDArray[np.bool_], row_weight: Floats, *, ridge: float = 5.0) -> Logistic:
        """Fit by Newton's method; `ridge` counts as rows and leaves the constant alone."""
        centre, scale = values.mean(axis=0), values.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        design = _with_constant(np.clip((values - centre) / scale, -5, 5))
        penalty = np.full(design.shape[1], ridge)
        penalty[-1] = 1e-6
        weight = np.zeros(design.shape[1])
        scaled = row_weight * (len(row_weight) / row_weight.sum())
        for _ in range(12):
            chance = _sigmoid(design @ weight)
            slope = design.T @ (scaled * (labels - chance)) - penalty * weight
            curve = (design * (scaled * np.maximum(chance * (1 - chance), 1e-6))[:, None]).T @ design
            step = np.linalg.solve(curve + np.diag(penalty), slope)
            weight += np.clip(step, -2, 2)
            if np.abs(step).max() < 1e-4:  # noqa: PLR2004
                break
        return cls(centre, scale, weight)

    def score(self, values: Floats) -> Floats:
        """Log odds."""
        found: Floats = _with_constant(np.clip((values - self.centre) / self.scale, -5, 5)) @ self.weight
        return found


def _with_constant(values: Floats) -> Floats:
    return np.hstack([values, np.ones((len(values), 1))])


def _sigmoid(value: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(value, -_CLIP, _CLIP)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Stumps:
    """Gradient-boosted trees of depth one on columns cut into at most 32 quantile bins."""

    columns: Ints
    edges: Floats
    left: Floats
    right: Floats

    @classmethod
    def fit(
        cls, values: Floats, labels: npt.NDArray[np.bool_], row_weight: Floats, *, rounds: int = 60, rate: float = 0.2
    ) -> Stumps:
        """Fit with the logistic loss and second-order leaf values."""
        cuts = [_cuts(values[:, column]) for column in range(values.shape[1])]
        width = _BINS + 1
        binned = np.stack([np.searchsorted(cut, values[:, at], side="left") for at, cut in enumerate(cuts)], axis=1)
        place = (binned + np.arange(len(cuts)) * width).ravel()
        scaled = row_weight * (len(row_weight) / row_weight.sum())
        raw = np.zeros(len(values))
        chosen: list[tuple[int, float, float, float]] = []
        for _ in range(rounds):
            chance = _sigmoid(raw)
            slope, curve = scaled * (labels - chance), scaled * chance * (1 - chance)
            best = _best_stump(place, slope, curve, (len(cuts), width))
            if best is None:
                break
            column, at, low, high = best
            if at >= len(cuts[column]):
                break
            raw += rate * np.where(binned[:, column] <= at, low, high)
            chosen.append((column, float(cuts[column][at]), rate * low, rate * high))
        columns, edges, left, right = zip(*chosen, strict=True) if chosen else ((), (), (), ())
        return cls(np.array(columns, dtype=np.int64), np.array(edges), np.array(left), np.array(right))

    def score(self, values: Floats) -> Floats:
        """Log odds."""
        total = np.zeros(len(values))
        for column, edge, low, high in zip(self.columns, self.edges, self.left, self.right, strict=True):
            total += np.where(values[:, column] <= edge, low, high)
        return total


def _cuts(values: Floats) -> Floats:
    distinct = np.unique(values)
    if len(distinct) > _BINS:
        distinct = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1), method="inverted_cdf"))
    return distinct[:-1]


def _best_stump(
    place: Ints, slope: Floats, curve: Floats, shape: tuple[int, int], *, ridge: float = 3.0
) -> tuple[int, int, float, float] | None:
    columns, width = shape
    size = columns * width
    slopes = np.bincount(place, np.repeat(slope, columns), size).reshape(shape).cumsum(axis=1)
    curves = np.bincount(place, np.repeat(curve, columns), size).reshape(shape).cumsum(axis=1)
    left, right = slopes, slopes[:, -1:] - slopes
    below, above = curves + ridge, curves[:, -1:] - curves + ridge
    gain = left**2 / below + right**2 / above
    gain[curves[:, -1:] - curves < 1e-9] = -1.0  # noqa: PLR2004 - nothing above this cut
    at = int(gain.argmax())
    column, cut = divmod(at, width)
    if gain[column, cut] <= 0:
        return None
    return column, cut, float(left[column, cut] / below[column, cut]), float(right[column, cut] / above[column, cut])


# ---------------------------------------------------------------- information


def information(codes: Ints, strata: Ints, labels: npt.NDArray[np.bool_]) -> Floats:
    """Mutual information (bits) of each column of codes with the label, within strata.

    Args:
        codes: Rows by columns, non-negative codes.
        strata: Stratum of each row.
        labels: The label of each row.
    """
    return _Counted(codes, strata).information(labels)


class _Counted:
    """Cells of (column, code, stratum), counted once, so that a permutation costs one pass."""

    def __init__(self, codes: Ints, strata: Ints) -> None:
        self.rows, self.columns = codes.shape
        self._strata = strata
        cells, edges = [], [0]
        for column in range(self.columns):
            pair = codes[:, column] * (int(strata.max()) + 1) + strata
            _, inverse = np.unique(pair, return_inverse=True)
            cells.append(inverse + edges[-1])
            edges.append(edges[-1] + int(inverse.max()) + 1)
        self._cells = np.stack(cells, axis=1)
        self._edges = np.array(edges)

    def information(self, labels: npt.NDArray[np.bool_]) -> Floats:
        cells, size = self._cells.ravel(), int(self._edges[-1])
        total = np.bincount(cells, minlength=size)
        positive = np.bincount(self._cells[labels].ravel(), minlength=size)
        terms = _xlogx(positive) + _xlogx(total - positive) - _xlogx(total)
        by_column = np.add.reduceat(terms, self._edges[:-1])
        whole = np.bincount(self._strata)
        hit = np.bincount(self._strata[labels], minlength=len(whole))
        base = (_xlogx(hit) + _xlogx(whole - hit) - _xlogx(whole)).sum()
        found: Floats = np.maximum((by_column - base) / self.rows / math.log(2), 0.0)
        return found


def _xlogx(counts: npt.NDArray[Any]) -> Floats:
    found: Floats = counts * np.log(np.maximum(counts, 1))
    return found


def permutation_p(
    codes: Ints, strata: Ints, labels: npt.NDArray[np.bool_], rng: np.random.Generator, *, rounds: int = 199
) -> tuple[Floats, Floats]:
    """Information of each column and its p under labels permuted within strata.

    Hundreds of columns need p far below 1/rounds, so that the tail is that of the gamma distribution with the mean
    and variance of the permutations wherever no permutation reached the observed value.
    """
    counted = _Counted(codes, strata)
    observed = counted.information(labels)
    order = np.argsort(strata, kind="stable")
    sums, squares, above = np.zeros(codes.shape[1]), np.zeros(codes.shape[1]), np.zeros(codes.shape[1])
    for _ in range(rounds):
        shuffled = np.lexsort((rng.random(len(labels)), strata))
        permuted = np.empty_like(labels)
        permuted[order] = labels[shuffled]
        value = counted.information(permuted)
        sums += value
        squares += value**2
        above += value >= observed - 1e-12
    mean = sums / rounds
    spread = np.maximum(squares / rounds - mean**2, 0.0)
    p = (above + 1) / (rounds + 1)
    for column in np.flatnonzero((above == 0) & (spread > 0)).tolist():
        shape, scale = mean[column] ** 2 / spread[column], spread[column] / mean[column]
        p[column] = min(p[column], gamma_tail(shape, observed[column] / scale))
    return observed, p


def category_p(codes: Ints, strata: Ints, labels: npt.NDArray[np.bool_]) -> Floats:
    """Per column, the chance that labels permuted within strata crowd, or miss, its most telling code as much.

    The tail is exact (a sum of hypergeometric counts, one per stratum), times two for both sides and times the number
    of codes. It is what a value that only labelled rows have needs: permutations are too few for it.
    """
    size = int(strata.max()) + 1
    whole, hit = np.bincount(strata, minlength=size), np.bincount(strata[labels], minlength=size)
    found = np.ones(codes.shape[1])
    for column in range(codes.shape[1]):
        code = codes[:, column]
        count = int(code.max()) + 1
        held = np.bincount(code * size + strata, minlength=count * size).reshape(count, size).astype(np.float64)
        seen = np.bincount(code[labels], minlength=count)
        share = held / whole
        expected = share @ hit
        spread = (share * (1 - share) * hit * (whole - hit) / np.maximum(whole - 1, 1)).sum(axis=1)
        distance = np.where(spread > 0, (seen - expected) / np.sqrt(np.maximum(spread, 1e-12)), 0.0)
        best = int(np.abs(distance).argmax())
        if distance[best]:
            chance = _crowd(held[best].astype(np.int64), whole, hit)
            tail = chance[seen[best] :].sum() if distance[best] > 0 else chance[: seen[best] + 1].sum()
            found[column] = min(1.0, 2 * int((spread > 0).sum()) * float(tail))
    return found


def _crowd(held: Ints, whole: Ints, hit: Ints) -> Floats:
    """Distribution of how many labelled rows hold the code."""
    chance = np.ones(1)
    for have, rows, drawn in zip(held.tolist(), whole.tolist(), hit.tolist(), strict=True):
        if have and drawn:
            terms = [_choose(have, at) + _choose(rows - have, drawn - at) for at in range(drawn + 1)]
            chance = np.convolve(chance, np.exp(np.array(terms) - _choose(rows, drawn)))
    return chance


def _choose(rows: int, drawn: int) -> float:
    """Logarithm of the binomial coefficient."""
    if drawn < 0 or drawn > rows:
        return -math.inf
    return math.lgamma(rows + 1) - math.lgamma(drawn + 1) - math.lgamma(rows - drawn + 1)


def gamma_tail(shape: float, value: float) -> float:
    """P(X > value) of the gamma distribution of unit scale: series below the mean, continued fraction above."""
    if value <= 0:
        return 1.0
    front = math.exp(shape * math.log(value) - value - math.lgamma(shape))
    if value < shape + 1:
        term = total = 1.0 / shape
        for step in range(1, 500):
            term *= value / (shape + step)
            total += term
        return max(0.0, 1.0 - front * total)
    b, c = value + 1 - shape, 1e300
    d = 1 / b
    found = d
    for step in range(1, 500):
        factor = -step * (step - shape)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        found *= d * c
    return front * found


def benjamini_hochberg(p: Floats, *, level: float = 0.05) -> npt.NDArray[np.bool_]:
    """Which hypotheses fall at this false discovery rate (Benjamini and Hochberg 1995)."""
    count = len(p)
    order = np.argsort(p)
    passing = np.flatnonzero(p[order] <= level * np.arange(1, count + 1) / max(count, 1))
    found = np.zeros(count, dtype=bool)
    if len(passing):
        found[order[: passing[-1] + 1]] = True
    return found

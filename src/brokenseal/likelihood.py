"""From the weight of a case to a probability under a stated prior, and to words.

A unit of evidence is one mailbox over fourteen days. Both sides are brought to it:

- A prior of p intrusions a mailbox-year is p x 14 / 365.25 intrusions in such a unit.
- The e-value of one session is that of one session among all the sessions of the mailbox in that time. The mean of
  e-values is an e-value whatever their dependence (Vovk and Wang, "E-values", 2021), so the heaviest session's e-value
  over the number of sessions speaks for the unit.

More mailboxes, or a longer time, make a case no likelier: the occasions for a false alarm grow with the occasions for
an intrusion. The words and their bands are those of ICD 203, Analytic Standards (2015).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.judged import Likelihood
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from brokenseal.calibration import Calibration

PRIORS_PER_MILLION: Final = (100, 1_000, 10_000)
"""Intrusions per million mailbox-years that are assumed, the rarest first; the middle one is what screens show."""
WINDOW_DAYS: Final = 14
"""Length of a unit of evidence."""
THIN_CASES: Final = 20
"""A step of the calibration with fewer simulated cases behind it is thin."""
UNMEASURED_INFLATION: Final = 10.0
"""Where nobody has measured how much oftener false alarms come than the bounds say, so many times is allowed for."""
_YEAR_DAYS: Final = 365.25
_MILLION: Final = 1e6
_WHOLE: Final = 1_000
_LEAST: Final = 1
_MOST: Final = 999


class Ratio(NamedTuple):
    """How many times likelier the records of the unit are under an intrusion: decimal logarithms.

    Attributes:
        log10: Best estimate.
        low: Lower end of its 90 % interval.
        high: Upper end; infinite where nothing bounds it.
        is_thin: Whether few or no simulated cases of such a weight stand behind it.
    """

    log10: float
    low: float
    high: float
    is_thin: bool


def ratio_of(millibans: int, units_per_window: float, calibration: Calibration, *, is_rule: bool = False) -> Ratio:
    """The likelihood ratio of one mailbox over `WINDOW_DAYS`, from the weight of the heaviest unit.

    Args:
        millibans: 1,000 times the decimal logarithm of that unit's e-value.
        units_per_window: Units (session clusters) that a mailbox of the tenant has in that time.
        calibration: Its `points` give the ratio for the same unit of evidence; the last of them holds for all that is
            heavier. Where there are none, the e-value itself is the lower bound.
        is_rule: Whether a rule opened the case, of which the weight says little: the upper end is open.
    """
    inflation = max((1.0, *calibration.inflation.values())) if calibration.inflation else UNMEASURED_INFLATION
    whole = millibans / _WHOLE - math.log10(max(units_per_window, 1.0))
    bound = whole - math.log10(inflation)
    points = calibration.points
    if is_rule or not points:
        return Ratio(log10=whole, low=bound, high=math.inf, is_thin=True)
    place = bisect_right([point.millibans for point in points], millibans) - 1
    step = points[max(place, 0)]
    found = [step.ratio_millibans / _WHOLE, step.low_millibans / _WHOLE, step.high_millibans / _WHOLE]
    if place < 0:
        # Lighter than anything that was fitted: no more than the lightest step, and no more than it weighs.
        found = [min(found[0], bound), min(found[1], bound), found[2]]
    low, high = min(found[0], found[1]), max(found[0], found[2])
    return Ratio(log10=found[0], low=low, high=high, is_thin=place < 0 or step.cases < THIN_CASES)


def likelihoods(ratio: Ratio) -> tuple[Likelihood, ...]:
    """The probability of an intrusion under each of the three priors, the rarest first."""
    return tuple(_likelihood(ratio, prior) for prior in PRIORS_PER_MILLION)


def _likelihood(ratio: Ratio, prior_per_million: int) -> Likelihood:
    low = _inside(math.floor(_WHOLE * posterior(ratio.low, prior_per_million)))
    high = _inside(math.ceil(_WHOLE * posterior(ratio.high, prior_per_million)))
    best = _inside(round(_WHOLE * posterior(ratio.log10, prior_per_million)))
    if ratio.is_thin:
        low, high = _widened(low, high)
    return Likelihood(
        prior_per_million=prior_per_million,
        permille=best,
        low_permille=low,
        high_permille=high,
        words=words(low, high),
    )


def posterior(log10_ratio: float, prior_per_million: int) -> float:
    """Probability that there was an intrusion in the unit of evidence, 0 to 1."""
    expected = prior_per_million / _MILLION * WINDOW_DAYS / _YEAR_DAYS
    # The odds of at least one, where so many are expected.
    log_odds = math.log(math.expm1(expected)) + log10_ratio * math.log(10)
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    return math.exp(log_odds) / (1 + math.exp(log_odds))


def _inside(permille: int) -> int:
    """No judgement on records is ever certain."""
    return min(max(permille, _LEAST), _MOST)


_EDGES: Final = (50, 200, 450, 550, 800, 950)
_ENDS: Final = (_LEAST, *_EDGES, _MOST)
_WORDS: Final = (
    phrase("almost no chance"),
    phrase("very unlikely"),
    phrase("unlikely"),
    phrase("roughly even chance"),
    phrase("likely"),
    phrase("very likely"),
    phrase("almost certain"),
)
_FROM_TO: Final = {
    (0, 1): phrase("almost no chance to very unlikely, {low}–{high} %"),
    (0, 2): phrase("almost no chance to unlikely, {low}–{high} %"),
    (0, 3): phrase("almost no chance to roughly even chance, {low}–{high} %"),
    (0, 4): phrase("almost no chance to likely, {low}–{high} %"),
    (0, 5): phrase("almost no chance to very likely, {low}–{high} %"),
    (0, 6): phrase("almost no chance to almost certain, {low}–{high} %: the records do not decide"),
    (1, 2): phrase("very unlikely to unlikely, {low}–{high} %"),
    (1, 3): phrase("very unlikely to roughly even chance, {low}–{high} %"),
    (1, 4): phrase("very unlikely to likely, {low}–{high} %"),
    (1, 5): phrase("very unlikely to very likely, {low}–{high} %"),
    (1, 6): phrase("very unlikely to almost certain, {low}–{high} %"),
    (2, 3): phrase("unlikely to roughly even chance, {low}–{high} %"),
    (2, 4): phrase("unlikely to likely, {low}–{high} %"),
    (2, 5): phrase("unlikely to very likely, {low}–{high} %"),
    (2, 6): phrase("unlikely to almost certain, {low}–{high} %"),
    (3, 4): phrase("roughly even chance to likely, {low}–{high} %"),
    (3, 5): phrase("roughly even chance to very likely, {low}–{high} %"),
    (3, 6): phrase("roughly even chance to almost certain, {low}–{high} %"),
    (4, 5): phrase("likely to very likely, {low}–{high} %"),
    (4, 6): phrase("likely to almost certain, {low}–{high} %"),
    (5, 6): phrase("very likely to almost certain, {low}–{high} %"),
}


def words(low_permille: int, high_permille: int) -> Phrase:
    """The one word whose band holds the whole interval, else the words of both ends with the span in per cent."""
    first, last = _bands(low_permille, high_permille)
    if first == last:
        return _WORDS[first]
    return Phrase(template=_FROM_TO[first, last].template, values=percent_span(low_permille, high_permille))


def _bands(low_permille: int, high_permille: int) -> tuple[int, int]:
    first = bisect_right(_EDGES, low_permille)
    return first, max(bisect_left(_EDGES, high_permille), first)


def _widened(low_permille: int, high_permille: int) -> tuple[int, int]:
    """No one word is said where the calibration is thin: an interval within one band becomes two whole bands."""
    first, last = _bands(low_permille, high_permille)
    if first < last:
        return low_permille, high_permille
    return _ENDS[max(first - 1, 0)], _ENDS[max(last, 1) + 1]


def percent_span(low_permille: int, high_permille: int) -> dict[str, int]:
    """Both ends in whole per cent, rounded outwards, never 0 and never 100."""
    return {"low": max(low_permille // 10, 1), "high": min(-(-high_permille // 10), 99)}

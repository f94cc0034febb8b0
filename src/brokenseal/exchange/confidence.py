"""From likelihood and confidence, which the document keeps apart, to the one number that STIX has.

STIX 2.1 (Appendix A) puts the words of ICD 203 on a scale of 0 to 100 and says which number stands for which word.
The middle of the likelihood's interval under the middle prior chooses the word; the document's confidence then sets a
ceiling, that of STIX's own words Low, Medium and High, so that thin ground never reads as a firm judgement. Where
nothing was weighed there is no number: STIX calls that "not specified", which is not the same as nought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.wording import say

if TYPE_CHECKING:
    from brokenseal.judged import Assessment, Likelihood

WORDS: Final = (
    (50, "almost no chance", 5),
    (200, "very unlikely", 15),
    (450, "unlikely", 30),
    (550, "roughly even chance", 50),
    (800, "likely", 70),
    (950, "very likely", 85),
    (1000, "almost certain", 95),
)
"""Upper edge of ICD 203's band in thousandths, its word, and STIX's number for it."""

CEILINGS: Final = {"low": 29, "moderate": 69, "high": 100}
"""The most that may be said on such ground: the upper ends of STIX's Low, Medium and High."""

MAPPING: Final = (
    "STIX confidence: the middle of the likelihood's interval gives a word of ICD 203 and its number in STIX 2.1, "
    "Appendix A ("
    + ", ".join(f"{word} {value}" for _, word, value in WORDS)
    + "); confidence limits it (low: at most 29, moderate: at most 69)."
)


def stix_confidence(assessment: Assessment | None) -> int | None:
    """The number for `confidence` properties, 0 to 100; None where nothing was weighed."""
    if assessment is None or not assessment.likelihoods:
        return None
    shown = middle_likelihood(assessment)
    middle = (shown.low_permille + shown.high_permille) / 2
    value = next(number for edge, _, number in WORDS if middle <= edge)
    return min(value, CEILINGS[assessment.confidence])


def middle_likelihood(assessment: Assessment) -> Likelihood:
    """The likelihood under the middle prior, which is what screens show."""
    return assessment.likelihoods[len(assessment.likelihoods) // 2]


def statement(assessment: Assessment | None) -> str:
    """Likelihood and confidence in words, one sentence each, in English."""
    if assessment is None or not assessment.likelihoods:
        return "Likelihood and confidence: nothing was weighed."
    shown = middle_likelihood(assessment)
    return (
        f"Likelihood of an intrusion, if {shown.prior_per_million:,} in 1,000,000 mailboxes are broken into each year: "
        f"{say(shown.words, 'en')}. Confidence: {assessment.confidence}."
    )

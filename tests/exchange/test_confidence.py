from dataclasses import replace

import pytest
import stix2.confidence.scales as theirs
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.exchange.confidence import CEILINGS, MAPPING, WORDS, statement, stix_confidence
from reports.assessments import rich_assessment


def assessed(low, high, confidence):
    made = rich_assessment()
    middle = replace(made.likelihoods[1], low_permille=low, high_permille=high)
    return replace(made, likelihoods=(made.likelihoods[0], middle, made.likelihoods[2]), confidence=confidence)


@pytest.mark.parametrize(
    ("low", "high", "confidence", "expected"),
    [
        (1, 40, "high", 5),
        (51, 199, "high", 15),
        (201, 449, "high", 30),
        (1, 999, "high", 50),
        (551, 799, "high", 70),
        (801, 949, "high", 85),
        (951, 999, "high", 95),
        (951, 999, "moderate", 69),
        (951, 999, "low", 29),
        (1, 40, "low", 5),
    ],
)
def test_the_middle_of_the_interval_gives_the_word_and_the_ground_limits_it(low, high, confidence, expected):
    assert stix_confidence(assessed(low, high, confidence)) == expected


def test_nothing_weighed_is_not_specified():
    assert stix_confidence(None) is None
    assert stix_confidence(replace(rich_assessment(), likelihoods=())) is None
    assert statement(None) == "Likelihood and confidence: nothing was weighed."


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("almost no chance", "Almost No Chance / Remote"),
        ("very unlikely", "Very Unlikely / Highly Improbable"),
        ("unlikely", "Unlikely / Improbable"),
        ("roughly even chance", "Roughly Even Chance / Roughly Even Odds"),
        ("likely", "Likely / Probable"),
        ("very likely", "Very Likely / Highly Probable"),
        ("almost certain", "Almost Certain / Nearly Certain"),
    ],
)
def test_the_numbers_are_those_of_the_standard(word, name):
    assert [value for _, known, value in WORDS if known == word] == [theirs.dni_to_value(name)]
    assert f"{word} {theirs.dni_to_value(name)}" in MAPPING


@given(low=st.integers(1, 999), high=st.integers(1, 999), confidence=st.sampled_from(sorted(CEILINGS)))
def test_more_likely_is_never_less_confident_and_low_ground_stays_low(low, high, confidence):
    low, high = sorted((low, high))
    value = stix_confidence(assessed(low, high, confidence))
    assert value <= CEILINGS[confidence]
    assert value <= stix_confidence(assessed(min(low + 50, 999), min(high + 50, 999), confidence))
    if confidence == "low":
        assert theirs.value_to_none_low_medium_high(value) == "Low"

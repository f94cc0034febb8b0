"""From weights to probabilities and words: the arithmetic, the units of evidence, and when one word may be said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.calibration import Calibration, Group, Point
from brokenseal.likelihood import PRIORS_PER_MILLION, Ratio, likelihoods, posterior, ratio_of, words
from brokenseal.wording import LANGUAGES, say

BANDS = {
    "almost no chance": (0, 50),
    "very unlikely": (50, 200),
    "unlikely": (200, 450),
    "roughly even chance": (450, 550),
    "likely": (550, 800),
    "very likely": (800, 950),
    "almost certain": (950, 1000),
}
PERMILLES = st.integers(1, 999)


def point(millibans, ratio, low, high, cases=200):
    return Point(millibans=millibans, ratio_millibans=ratio, low_millibans=low, high_millibans=high, cases=cases)


def calibration(*points, **values):
    fields = {"format": 1, "made_of": "a test", "root": "x", "groups_of": {}, "benign": {}, "doors": Group(units=0)}
    return Calibration(**fields, mailbox_weeks=1.0, intrusions={}, points=points, **values)


FITTED = (point(5_000, 3_000, 2_500, 3_400), point(6_000, 4_500, 4_000, 5_100), point(7_000, 6_000, 5_800, 6_200))


def test_a_case_that_just_opens_is_unlikely_at_the_middle_prior_and_one_a_hundred_times_heavier_almost_certain():
    # 30 sessions in 14 days; the e-value that 15 a week and a budget of 5e-5 ask for.
    just = ratio_of(round(1000 * math.log10(3e5)), 30, calibration())
    assert [each.permille for each in likelihoods(just)] == [37, 277, 793]
    heavy = ratio_of(round(1000 * math.log10(3e7)), 30, calibration())
    assert [each.permille for each in likelihoods(heavy)] == [793, 975, 997]
    assert [each.prior_per_million for each in likelihoods(heavy)] == list(PRIORS_PER_MILLION) == [100, 1_000, 10_000]


def test_the_prior_is_that_of_one_mailbox_in_fourteen_days():
    assert posterior(0.0, 10_000) == pytest.approx(0.01 * 14 / 365.25, rel=1e-3)
    assert posterior(0.0, 100) == pytest.approx(0.0001 * 14 / 365.25, rel=1e-3)


def test_the_more_sessions_could_have_looked_strange_the_less_one_says_and_never_more_than_it_weighs():
    assert ratio_of(5_000, 10, calibration()).log10 == pytest.approx(4.0)
    assert ratio_of(5_000, 100, calibration()).log10 == pytest.approx(3.0)
    assert ratio_of(5_000, 0.01, calibration()).log10 == pytest.approx(5.0)


def test_without_a_calibration_the_upper_end_is_open_and_the_lower_allows_for_unmeasured_inflation():
    found = ratio_of(5_000, 10, calibration())
    assert (found.low, found.high, found.is_thin) == (pytest.approx(3.0), math.inf, True)
    measured = ratio_of(5_000, 10, calibration(inflation={"1e-4": 2.0, "1e-5": 4.0}))
    assert measured.low == pytest.approx(4.0 - math.log10(4))


@pytest.mark.parametrize(
    ("millibans", "expected"),
    [
        (5_000, Ratio(3.0, 2.5, 3.4, is_thin=False)),
        (5_999, Ratio(3.0, 2.5, 3.4, is_thin=False)),
        (6_000, Ratio(4.5, 4.0, 5.1, is_thin=False)),
        (8_000, Ratio(6.0, 5.8, 6.2, is_thin=False)),
    ],
)
def test_within_its_range_the_calibration_alone_decides(millibans, expected):
    assert ratio_of(millibans, 30, calibration(*FITTED)) == expected


def test_the_last_step_holds_for_all_that_is_heavier_and_below_the_first_no_more_is_said_than_is_weighed():
    known = calibration(*FITTED, inflation={"1e-4": 1.0})
    assert ratio_of(9_500, 10, known) == ratio_of(7_000, 10, known)
    assert ratio_of(2_000, 10, known) == Ratio(1.0, 1.0, 3.4, is_thin=True)


def test_few_simulated_cases_are_a_thin_calibration_and_a_rule_is_not_calibrated_at_all():
    assert ratio_of(5_000, 10, calibration(point(5_000, 3_000, 2_500, 3_400, cases=19))).is_thin
    ruled = ratio_of(6_000, 10, calibration(*FITTED), is_rule=True)
    assert (ruled.log10, ruled.high, ruled.is_thin) == (pytest.approx(5.0), math.inf, True)


@given(st.integers(-5_000, 15_000), st.integers(0, 4_000), st.sampled_from(((), FITTED)))
def test_more_weight_never_makes_a_case_less_probable(millibans, more, points):
    lighter, heavier = (
        likelihoods(ratio_of(weight, 30, calibration(*points))) for weight in (millibans, millibans + more)
    )
    for one, other in zip(lighter, heavier, strict=True):
        assert one.permille <= other.permille


@given(st.floats(-30, 30), st.floats(0, 10), st.floats(0, 10))
def test_no_probability_is_nothing_or_certainty_and_the_interval_holds_it(log10, below, above):
    found = likelihoods(Ratio(log10, log10 - below, log10 + above, is_thin=False))
    for each in found:
        assert 1 <= each.low_permille <= each.permille <= each.high_permille <= 999
    assert [each.permille for each in found] == sorted(each.permille for each in found)


@given(PERMILLES, PERMILLES)
def test_one_word_is_said_where_its_band_holds_the_whole_interval_and_only_there(one, other):
    low, high = sorted((one, other))
    said = say(words(low, high), "en")
    holding = [word for word, (begin, end) in BANDS.items() if begin <= low and high <= end]
    if holding:
        assert said in holding
    else:
        first = next(word for word, (begin, end) in BANDS.items() if begin <= low < end)
        last = next(word for word, (begin, end) in BANDS.items() if begin < high <= end)
        assert said.startswith(f"{first} to {last}, {max(low // 10, 1)}–{min(math.ceil(high / 10), 99)} %")


@given(st.floats(-30, 30), st.floats(0, 3), st.floats(0, 3), st.sampled_from(LANGUAGES))
def test_a_thin_calibration_gets_no_single_word(log10, below, above, lang):
    for each in likelihoods(Ratio(log10, log10 - below, log10 + above, is_thin=True)):
        assert "%" in say(each.words, lang)
        assert each.low_permille <= each.permille <= each.high_permille


def test_what_a_thin_calibration_names_is_two_whole_bands():
    high = likelihoods(Ratio(7.0, 6.9, 7.1, is_thin=True))[-1]
    assert (high.low_permille, high.high_permille) == (800, 999)
    assert say(high.words, "en") == "very likely to almost certain, 80–99 %"
    low = likelihoods(Ratio(0.0, -0.1, 0.1, is_thin=True))[0]
    assert (low.low_permille, low.high_permille) == (1, 200)
    assert say(low.words, "en") == "almost no chance to very unlikely, 1–20 %"


@pytest.mark.parametrize("word", BANDS)
def test_the_ends_of_a_band_belong_to_it(word):
    begin, end = BANDS[word]
    assert say(words(max(begin, 1), min(end, 999)), "en") == word

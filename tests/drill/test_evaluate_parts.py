"""Parts of the evaluation against tenants that are known by hand: plan, counting, weights, statistics, targets."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import judgement
from brokenseal.baselines import counting
from brokenseal.calibration import Tail, upper_share
from brokenseal.drill import _evaluate_product as product
from brokenseal.drill import _evaluate_said as said
from brokenseal.drill import _evaluate_statistics as statistics
from brokenseal.drill import _evaluate_weights as weighing
from brokenseal.drill._evaluate_plan import SCALES, orders_of, scale_of
from brokenseal.drill._evaluate_targets import FAILED, MET, UNMEASURED, Figure, verdict
from brokenseal.errors import UsageError
from brokenseal.fusion import weigh
from drill.evaluate_worlds import DAY, HOUR, ROOT, TOKEN, alert, calibration, case, instance, mark, measured, unit

# ---------------------------------------------------------------- plan


def test_a_scale_meets_every_attack_and_stealth_equally_often():
    orders = [one for one in orders_of(scale_of("release"), "a") if one.attacks]
    new = [one for number, one in enumerate(orders) if one.seed not in {other.seed for other in orders[:number]}]

    cells = Counter()
    for order in new:
        for attack in order.attacks:
            cells[attack.attack_id, attack.stealth] += attack.instances

    controls = {cells.pop(("A0g", 0)), cells.pop(("A0n", 0))}
    assert len(cells) == 13 * 4
    # Forgers wait for a tenant that has room for one.
    assert max(cells.values()) - min(cells.values()) <= 2
    assert controls == {len(new)}


def test_twins_are_the_same_tenant_with_other_logs():
    orders = orders_of(scale_of("dev"), "a")
    seeds = Counter(order.seed for order in orders)
    twins = [[one for one in orders if one.seed == seed] for seed, count in seeds.items() if count > 1]

    assert [{one.logs for one in pair} for pair in twins] == [{"full", "ual-only"}] * 2
    assert all(len({(one.attacks, one.mailboxes, one.days, one.prior) for one in pair}) == 1 for pair in twins)


def test_one_small_tenant_has_one_forger_of_tokens_at_most():
    counts = [
        sum(attack.instances for attack in order.attacks if attack.attack_id in {"A1", "A2"})
        for order in orders_of(scale_of("dev"), "a")
    ]

    assert max(counts) == 1


def test_another_word_gives_other_tenants_and_the_same_word_the_same():
    first, again, other = (orders_of(scale_of("dev"), word) for word in ("a", "a", "b"))

    assert first == again
    assert not {one.seed for one in first} & {one.seed for one in other}


def test_scales_are_as_large_as_they_say():
    by_name = {scale.name: scale for scale in SCALES}

    assert by_name["release"].mailbox_weeks == 200_000
    assert (len(orders_of(by_name["smoke"], "")), by_name["smoke"].mailbox_weeks) == (2, 80)
    assert len(orders_of(by_name["dev"], "")) >= 20
    with pytest.raises(UsageError, match="smoke, dev, release"):
        scale_of("huge")


# ---------------------------------------------------------------- counting

RULES = {"R": "R", "R-two": "R"}


def test_false_alerts_count_once_in_24_hours_of_one_subject_and_rule():
    one = measured(
        alerts=[
            alert("R", "a", 0 * HOUR),
            alert("R", "a", 23 * HOUR),
            alert("R", "a", 24 * HOUR),
            alert("R", "b", HOUR),
            alert("R-two", "a", HOUR),
            alert("other", "a", HOUR),
        ]
    )

    assert said.false_units(said.alerts_by_rule(one, RULES)["R"]) == 4


def test_an_alert_finds_an_intrusion_within_seven_days_and_controls_are_no_intrusions():
    first = DAY
    one = measured(
        instances=[instance(1), instance(2), instance(3), instance(4, "A0g", 0)],
        alerts=[
            alert("R", "a", 0 * HOUR, cites=[(1, first + 7 * DAY), (2, first + 7 * DAY + HOUR)], score=5),
            alert("R", "b", 0 * HOUR, cites=[(4, first)], score=9),
        ],
    )

    (found,) = said.alerts_by_rule(one, RULES).values()

    assert said.found(found) == {1}
    assert said.found(found, within_s=30 * said.DAY_S) == {1, 2}
    assert said.false_units(found) == 1
    assert said.found(found, 6.0) == frozenset()
    assert found.instances == (1, 2, 3)


def test_a_rule_without_degrees_is_on_or_off():
    many = [said.alerts_by_rule(measured(alerts=[alert("R", "a", HOUR)]), RULES)["R"]]

    assert said.at_budget(many, 10.0) == said.ALWAYS
    assert said.at_budget(many, 9.9) == said.OFF


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(1, 6)), max_size=12),
    st.integers(0, 60),
)
def test_what_is_left_under_a_budget_is_what_the_baselines_own_counting_leaves(rows, budget):
    listed = [alert("R", subject, hours * HOUR, score=score) for subject, hours, score in rows]
    listed = list({row["alert_key"]: row for row in listed}.values())
    plain = [
        counting.Alert(
            baseline="R",
            alert_key=row["alert_key"],
            tenant_id="t",
            subject=row["subject"],
            score_millis=row["score_millis"],
            first_at=row["first_at"],
            last_at=row["first_at"],
            event_ids=(),
        )
        for row in listed
    ]
    many = [said.alerts_by_rule(measured(alerts=listed), RULES)["R"]]

    threshold = said.at_budget(many, float(budget))
    choice = counting.at_budget(plain, 100.0, float(budget))

    # Ours may lie between two scores where the other one has to stand on a score.
    assert said.false_units(many[0], threshold) == choice.units


def test_units_of_evidence_are_counted_as_alerts_are():
    one = measured(
        instances=[instance(1), instance(2)],
        units=[
            unit("a", 1, at=DAY, seen=2 * DAY),
            unit("b", 2, at=DAY, seen=9 * DAY),
            unit("c", at=2 * DAY),
            unit("d", at=2 * DAY + 5 * HOUR),
            unit("e", at=2 * DAY, is_door=True),
            unit("f", at=2 * DAY, is_scored=False, mailbox="other"),
        ],
    )

    found = said.weights_said(one, np.array([5.0, 5.0, 5.0, 2.0, 5.0, 5.0]), least=1.0)

    assert said.found(found, 5.0) == {1}
    assert said.false_units(found) == 2
    assert said.point([found], 5.0)["false"]["rate"] == 20.0


# ---------------------------------------------------------------- weights


_UNITS = (unit("a", 1), unit("b", mailbox="b"), unit("c", mailbox="c"), unit("d", mailbox="d", is_door=True))
_MARKS = (mark("a", ROOT, "odd"), mark("a", TOKEN, "orphan"), mark("b", ROOT, "odd"))


def _weighed_tenant():
    return measured(units=_UNITS, instances=[instance(1)], marks=_MARKS)


def test_weights_anew_are_those_of_the_product_and_without_a_detector_those_without_its_marks():
    one, counts = _weighed_tenant(), calibration()
    shipped, without = weighing.variants_of([TOKEN])[:2]
    marks = {
        name: one.marks.filter(np.array(one.marks["detector_id"].to_pylist()) == name).drop(["detector_id"])
        for name in (ROOT, TOKEN)
    }

    again = weighing.weigh_again(one, counts, shipped)

    assert again.tolist() == weigh(one.units, marks, counts).log10_e.tolist()
    assert (
        weighing.weigh_again(one, counts, without).tolist()
        == weigh(one.units, {ROOT: marks[ROOT]}, counts).log10_e.tolist()
    )
    assert again[0] > weighing.weigh_again(one, counts, without)[0]


def test_the_naive_product_takes_counted_shares_for_granted():
    calm = [unit(f"q{number}", mailbox=f"q{number}") for number in range(500)]
    one, counts = measured(units=[*_UNITS, *calm], instances=[instance(1)], marks=_MARKS), calibration()
    naive = next(variant for variant in weighing.variants_of([]) if variant.name == weighing.NAIVE)
    independent = next(variant for variant in weighing.variants_of([]) if variant.name == weighing.NO_ROOT)

    bounded, granted = (weighing.weigh_again(one, counts, variant) for variant in (independent, naive))

    odd, orphan = 1000.5 / 100_001, 10.5 / 100_001
    expected = math.log10(upper_share(1000, 100_000) / odd) + math.log10(upper_share(10, 100_000) / orphan)
    assert granted[0] - bounded[0] == pytest.approx(expected)
    assert granted[2] == bounded[2]


def test_a_unit_opens_under_a_budget_where_the_judgement_says_so():
    one = _weighed_tenant()
    weights = np.array([6.0, 1.0, 1.0, 4.0])

    margins = weighing.margins(one, weights, {})

    # 100 mailbox-weeks of three mailboxes, each with one cluster; one change by somebody else; half of the budget each.
    assert margins[0] == pytest.approx(6.0 - math.log10(3 / 100 * 2))
    assert margins[3] == pytest.approx(4.0 - math.log10(3 / 100 * 2))


@pytest.mark.parametrize("kinds", [(), ("clusters",), ("clusters", "doors")])
@pytest.mark.parametrize("budget", [1e-1, 5e-3, 5e-5, 1e-7])
def test_margins_are_where_the_thresholds_of_the_judgement_are(kinds, budget):
    tail = Tail(
        from_millibans=2500, beyond=50, units=500_000, share_upper_ppb=150_000, step_millibans=240, independent=40,
        tenants=20,
    )  # fmt: skip
    tails = dict.fromkeys(kinds, tail)
    units = [unit(f"u{number}", mailbox=f"m{number % 7}", is_door=number % 5 == 0) for number in range(600)]
    one = measured(units=units)
    weights = np.linspace(-3, 9, 600)
    is_door = np.array([each["is_door"] for each in units])
    weeks = one.facts.mailbox_weeks_weighed / 7
    bounds = judgement._bounds(np.arange(600) % 7, is_door, weeks, budget)
    opens = weights >= judgement._thresholds(bounds, is_door, tails)

    assert (weighing.margins(one, weights, tails) >= -math.log10(budget)).tolist() == opens.tolist()
    assert 0 < opens.sum() < 600


def test_inflation_is_what_was_measured_over_what_was_promised():
    units = [unit(f"u{number}", mailbox=f"m{number}") for number in range(1000)]
    one = measured(units=[*units, unit("theirs", 1), unit("early", is_scored=False)])
    weights = np.zeros(1002)
    weights[:30] = 2.0
    weights[1000:] = 9.0

    row = weighing.inflation([one], [weights])[0]

    assert (row["alpha"], row["units"], row["reached"], row["expected"]) == (0.01, 1000, 30, 10.0)
    assert row["inflation"] == 3.0
    assert row["low"] < 3.0 < row["high"]
    assert weighing.mean_weight([one], [weights]) == pytest.approx((970 + 30 * 100) / 1000)


# ---------------------------------------------------------------- statistics


def test_a_difference_is_taken_over_tenants():
    same = statistics.ratio_difference([(4.0, 1.0, 10.0)] * 5, scale=100)
    mixed = statistics.ratio_difference([(9.0, 1.0, 10.0), (1.0, 9.0, 10.0)] * 3)
    few = statistics.ratio_difference([(9.0, 1.0, 10.0)] * 2)

    assert (same["difference"], same["low"], same["high"]) == (30.0, 30.0, 30.0)
    assert mixed["difference"] == 0.0
    assert mixed["low"] < -0.2
    assert mixed["high"] > 0.2
    assert mixed["p"] > 0.5
    assert (few["difference"], few["low"], few["p"]) == (0.8, None, None)
    assert statistics.ratio_difference([])["difference"] is None


def test_medians_are_compared_over_tenants_and_twins_are_one():
    found = statistics.median_difference({"a": [(1.0, 10.0), (2.0, 10.0)], "b": [(3.0, 10.0)], "c": [(4.0, 10.0)]})

    assert found["difference"] == -7.5
    assert found["high"] < 0
    assert statistics.clustered_sums(["a", "b", "a"], [(1, 2, 3), (1, 1, 1), (1, 2, 3)]) == [(2, 4, 6), (1, 1, 1)]


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    # S. Holm 1979, worked by hand: 0.01 * 3, 0.03 * 2, then no less than the one before.
    assert statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None}) == {
        "a": pytest.approx(0.03),
        "b": pytest.approx(0.06),
        "c": pytest.approx(0.06),
        "d": None,
    }


# ---------------------------------------------------------------- calibration and targets


def test_probabilities_are_moved_to_the_prior_of_the_drill():
    weeks = 10 * 365.25 / 7  # ten mailbox-years
    one = measured(
        weeks=weeks,
        instances=[instance(number) for number in range(10)],
        cases=[
            case("x", is_true=True, permille=500),
            case("y", is_true=False, permille=500),
            case("z", is_true=False, permille=500, is_in_warm_up=True),
            case("w", is_true=True),
        ],
    )

    found = product.calibration_of([one])

    prior = 1 - math.exp(-1)
    odds = prior / (1 - prior) / (0.001 / 0.999)
    assert found["prior"] == pytest.approx(prior)
    assert (found["cases"], found["without_assessment"]) == (2, 1)
    (band,) = found["bands"]
    assert (band["word"], band["cases"], band["true"]["count"]) == ("almost certain", 2, 1)
    assert band["mean"] == pytest.approx(odds / (1 + odds))
    assert not band["holds"]
    assert found["ece"] == pytest.approx(band["mean"] - 0.5)


@pytest.mark.parametrize(
    ("figure", "level", "is_rate", "says"),
    [
        ((0.95, 0.91, 0.98), 0.90, False, MET),
        ((0.95, 0.80, 0.99), 0.90, False, UNMEASURED),
        ((0.85, 0.70, 0.95), 0.90, False, FAILED),
        ((None, None, None), 0.90, False, UNMEASURED),
        ((0.0, 0.0, 0.04), 0.05, True, MET),
        ((0.0, 0.0, 5.5), 0.05, True, UNMEASURED),
        ((0.3, 0.0, 1.0), 0.05, True, FAILED),
        ((40.0, None, None), 50.0, True, UNMEASURED),
        ((math.inf, None, None), 50.0, True, FAILED),
    ],
)
def test_a_target_is_met_only_where_the_bound_says_so(figure, level, is_rate, says):
    assert verdict(Figure(*figure, "text"), level, is_rate=is_rate) == says

"""The far end of weights: what it is fitted to, how often its threshold is reached, and when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from brokenseal.drill._calibrate_tail import LEAST, tail_of


def tenants(generator, *, number=8, size=4_000, scale=0.3, spread=0.0):
    """Weights whose logarithm falls exponentially; with `spread`, tenants differ in how many are heavy."""
    return [generator.exponential(scale, size) + generator.normal(0, spread) - 1.0 for _ in range(number)]


def test_the_share_beyond_the_threshold_is_what_was_asked_for_on_average():
    share, scale = 1e-5, 0.3
    # The true share of such weights beyond a threshold is known.
    beyond = [
        np.exp(-(tail_of(tenants(np.random.default_rng(seed), scale=scale)).threshold(share) + 1.0) / scale)
        for seed in range(200)
    ]
    assert 0.2 * share < np.mean(beyond) < 1.5 * share


def test_tenants_that_differ_widen_the_bounds():
    even = tail_of(tenants(np.random.default_rng(1)))
    uneven = tail_of(tenants(np.random.default_rng(1), spread=0.3))
    assert uneven.share_upper_ppb / (uneven.beyond / uneven.units) > even.share_upper_ppb / (even.beyond / even.units)


def test_a_tail_that_gets_heavier_further_out_is_no_thinner_than_its_heaviest_part():
    generator = np.random.default_rng(3)
    plain = tenants(generator, number=4)
    heavy = [np.concatenate([each, generator.exponential(1.5, 3) + 1.5]) for each in plain]
    assert tail_of(heavy).step_millibans > 1.5 * tail_of(plain).step_millibans


def test_the_tail_begins_where_it_says_and_counts_what_is_beyond():
    drawn = tenants(np.random.default_rng(5))
    tail = tail_of(drawn)
    weights = np.concatenate(drawn)
    assert tail.units == len(weights)
    assert tail.beyond == pytest.approx((weights * 1000 > tail.from_millibans).sum(), abs=2)
    assert tail.threshold(1.0) == tail.from_millibans / 1000


@pytest.mark.parametrize("sizes", [(), (0,), (100, 100), (LEAST * 19,)])
def test_too_few_units_have_no_tail(sizes):
    generator = np.random.default_rng(2)
    assert tail_of([generator.exponential(1.0, size) for size in sizes]) is None


def test_weights_that_are_all_alike_have_no_tail():
    assert tail_of([[0.0] * 5_000]) is None


def test_the_tail_begins_only_where_weights_begin_to_thin_out():
    generator = np.random.default_rng(7)
    thin = np.concatenate([generator.exponential(0.2, 60) + 1.0, generator.uniform(0.0, 1.0, 140)])
    usual = generator.uniform(-3.0, 0.0, 200_000)
    tail = tail_of(
        [np.concatenate([part, rest]) for part, rest in zip(np.split(thin, 4), np.split(usual, 4), strict=True)]
    )
    assert tail.beyond <= 70
    assert tail.step_millibans < 400
    assert tail.threshold(1e-6) < 1.0 + 0.2 * 25

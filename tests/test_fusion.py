"""Weights of units: what they come to, what they may lean on, and that authorised units seldom weigh much."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.calibration import Calibration, Group, Intrusions, decode, encode, lower_share, upper_share
from brokenseal.fusion import _of_others, weigh

STRANGER, TOKEN = "stranger", "token"


def calibration(**changes):
    values = {
        "format": 1,
        "made_of": "a test",
        "root": STRANGER,
        "groups_of": {"odd": "strange"},
        "benign": {
            "habitual": Group(units=99_000, bins={TOKEN: {"orphan": 9}}),
            "strange": Group(units=1_000, bins={STRANGER: {"odd": 1_000}, TOKEN: {"orphan": 1}}),
        },
        "doors": Group(units=100, bins={"door": {"chain": 0, "open": 40}}),
        "mailbox_weeks": 1000.0,
        "intrusions": {"A1": Intrusions(instances=5, units=10, bins={STRANGER: {"odd": 8}, TOKEN: {"orphan": 9}})},
    }
    return Calibration(**{**values, **changes})


def units(*rows):
    columns = ("unit", "tenant_id", "mailbox_key", "network", "is_door")
    return pa.table({name: [row.get(name) for row in rows] for name in columns})


def unit(name, **columns):
    return {
        "unit": name,
        "tenant_id": "t",
        "mailbox_key": f"m-{name}",
        "network": f"n-{name}",
        "is_door": False,
    } | columns


def marks(**of_unit):
    rows = [
        {"unit": name, "state": "fired", "bin": value} if isinstance(value, str) else {"unit": name, **value}
        for name, value in of_unit.items()
    ]
    names = schema.MARK.names
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in names} for row in rows], schema=schema.MARK.arrow_schema()
    )


def weights(table, given_marks, known=None):
    found = weigh(table, given_marks, known or calibration())
    return dict(zip(found.units, found.log10_e.tolist(), strict=True)), found


def test_a_unit_weighs_its_shares_among_intrusions_over_the_bounds_among_authorised_units():
    found, whole = weights(units(unit("a")), {STRANGER: marks(a="odd"), TOKEN: marks(a="orphan")})
    f1 = (8 + 0.25) / 10.5 * (9 + 0.25) / 10.5
    unforeseen = 0.5 * 0.5
    odd, orphan = upper_share(1_000, 100_000), upper_share(1, 1_000)
    alone = (0.5 / odd + 0.5 / orphan) / 2
    assert found["a"] == pytest.approx(math.log10(((f1 + unforeseen) / (odd * orphan) + alone) / 3))
    assert [(part.detector_id, part.state, part.bin, part.basis) for part in whole.parts(0)] == [
        (STRANGER, "fired", "odd", "calibration"),
        (TOKEN, "fired", "orphan", "calibration"),
    ]


def test_a_quiet_detector_speaks_against_and_one_that_cannot_assess_does_not_speak():
    quiet, _ = weights(units(unit("a")), {STRANGER: marks(a="odd"), TOKEN: marks()})
    blind, whole = weights(
        units(unit("a")),
        {STRANGER: marks(a="odd"), TOKEN: marks(a={"state": "not_assessable", "reason": "no_token_id"})},
    )
    assert quiet["a"] < blind["a"]
    assert whole.parts(0)[1][:4] == (TOKEN, "not_assessable", None, "no_token_id")


def test_what_was_never_counted_together_is_bounded_by_assumed_dependence_and_says_so():
    benign = {
        "habitual": Group(units=999_000, bins={TOKEN: {"orphan": 1}}),
        "strange": Group(units=100, bins={STRANGER: {"odd": 100}}),
    }
    _, whole = weights(
        units(unit("a")), {STRANGER: marks(a="odd"), TOKEN: marks(a="orphan")}, calibration(benign=benign)
    )
    token = whole.parts(0)[1]
    assert token.is_assumed
    assert token.f0_upper == pytest.approx(20 * upper_share(1, 999_100))


def test_a_tenants_own_rate_is_taken_and_raised_for_strange_clients():
    own = {"state": "fired", "bin": "orphan", "f0_upper_ppb": 50_000, "n_reference": 60_000}
    _, alone = weights(units(unit("a")), {TOKEN: marks(a=own)})
    assert alone.parts(0)[0].f0_upper == pytest.approx(5e-5), "nobody can say how strange its client is"
    _, usual = weights(units(unit("a")), {STRANGER: marks(), TOKEN: marks(a=own)})
    assert usual.parts(0)[1].f0_upper == pytest.approx(5e-5 * upper_share(9, 99_000) / (10 / 100_000))
    _, both = weights(units(unit("a")), {STRANGER: marks(a="odd"), TOKEN: marks(a=own)})
    part = both.parts(0)[1]
    assert (part.basis, part.n_reference) == ("tenant", 60_000)
    assert part.f0_upper == pytest.approx(5e-5 * upper_share(1, 1_000) / (10 / 100_000))


def test_where_nobody_can_say_how_strange_a_client_is_two_strange_things_count_as_dependent():
    blind = {STRANGER: marks(a={"state": "not_assessable", "reason": "short_history"})}
    other = "token.impossible"
    benign = {"habitual": Group(units=100_000, bins={TOKEN: {"orphan": 10}, other: {"early": 5}})}
    known = calibration(benign=benign)
    found, whole = weights(units(unit("a")), {**blind, TOKEN: marks(a="orphan"), other: marks(a="early")}, known)
    orphan, early = upper_share(10, 100_000), upper_share(5, 100_000)
    assert [part.f0_upper for part in whole.parts(0)] == [None, pytest.approx(orphan), pytest.approx(early)]
    assert [part.is_assumed for part in whole.parts(0)] == [False, False, True]
    assert found["a"] < math.log10(1 / (20 * orphan * early))
    alone, whole = weights(units(unit("a")), {**blind, TOKEN: marks(a="orphan")}, known)
    assert not whole.parts(0)[1].is_assumed
    assert alone["a"] < math.log10(1 / orphan)


def test_what_a_tenant_shows_often_in_other_mailboxes_from_other_networks_weighs_less():
    many = [unit(f"u{n}") for n in range(50)]
    crowd, whole = weights(units(*many), {TOKEN: marks(**{f"u{n}": "orphan" for n in range(50)})})
    alone, _ = weights(units(*many), {TOKEN: marks(u0="orphan")})
    assert crowd["u0"] < 0 < alone["u0"]
    assert whole.parts(0)[0].basis == "tenant"


def test_one_hand_in_many_mailboxes_does_not_excuse_itself():
    many = [unit(f"u{n}", network="asn:64500" if n < 25 else f"n{n}") for n in range(50)]
    crowd, _ = weights(units(*many), {TOKEN: marks(**{f"u{n}": "orphan" for n in range(25)})})
    alone, _ = weights(units(*many), {TOKEN: marks(u0="orphan")})
    assert crowd["u0"] == pytest.approx(alone["u0"])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=25))
def test_others_are_those_of_other_mailboxes_and_of_other_or_unknown_networks(hands):
    mailboxes, networks = (np.array(column, dtype=np.int64) for column in zip(*hands, strict=True))
    counted = [
        sum(other != mailbox and (there != network or there < 0) for other, there in hands)
        for mailbox, network in hands
    ]
    assert _of_others(mailboxes, networks).tolist() == counted


def test_doors_are_counted_among_doors_and_only_by_detectors_that_mark_doors():
    rows = units(unit("a"), unit("d", is_door=True))
    found, whole = weights(rows, {STRANGER: marks(), "door": marks(d="chain")})
    assert [part.state for part in whole.parts(1)] == ["not_assessable", "fired"]
    assert whole.parts(1)[1].f0_upper == pytest.approx(upper_share(0, 100))
    often, _ = weights(rows, {STRANGER: marks(), "door": marks(d="open")})
    assert often["d"] < found["d"]


def test_an_unknown_bin_counts_neither_way_and_is_shown_as_fired():
    found, whole = weights(units(unit("a"), unit("b")), {STRANGER: marks(a="new-bin"), TOKEN: marks(b="orphan")})
    assert whole.parts(0)[0].state == "fired"
    assert whole.parts(0)[0].basis == "none"
    assert found["a"] < 0


def test_a_unit_marked_twice_is_an_error():
    twice = pa.concat_tables([marks(a="odd"), marks(a="odd")])
    with pytest.raises(ValueError, match="unit a is marked twice"):
        weigh(units(unit("a")), {STRANGER: twice}, calibration())


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(8)), st.lists(st.sampled_from(("odd", None)), min_size=8, max_size=8))
def test_the_order_of_units_and_marks_changes_nothing(order, bins):
    rows = [unit(f"u{n}", network=f"n{n % 3}") for n in range(8)]
    of_unit = {f"u{n}": name for n, name in enumerate(bins) if name}
    plain, _ = weights(units(*rows), {STRANGER: marks(**of_unit)})
    shuffled = {name: of_unit[name] for n in order if (name := f"u{n}") in of_unit}
    other, _ = weights(units(*(rows[n] for n in order)), {STRANGER: marks(**shuffled)})
    assert other == pytest.approx(plain)


def test_authorised_units_weigh_one_on_average_at_most_where_the_counts_hold():
    """What the threshold leans on: with bins drawn as they were counted, the mean e-value is below 1."""
    rng = np.random.default_rng(5)
    known = calibration()
    rows, stranger, token = [], {}, {}
    for number in range(40_000):
        name = f"u{number}"
        rows.append(unit(name))
        if rng.random() < 0.01:
            stranger[name] = "odd"
            if rng.random() < 1e-3:
                token[name] = "orphan"
        elif rng.random() < 9 / 99_000:
            token[name] = "orphan"
    found, _ = weights(units(*rows), {STRANGER: marks(**stranger), TOKEN: marks(**token)}, known)
    assert np.mean(10 ** np.array(list(found.values()))) <= 1


@pytest.mark.parametrize(("count", "of"), [(0, 500), (3, 500), (0, 0), (7, 7)])
def test_bounds_hold_the_share(count, of):
    assert lower_share(count, of) <= (count / of if of else 0) <= upper_share(count, of)


def test_rule_of_three_and_the_smallest_share_that_is_believed():
    assert upper_share(0, 1_000) == pytest.approx(1 - 0.05 ** (1 / 1_000))
    assert upper_share(0, 10**9) == 1e-6
    assert upper_share(0, 0) == 1.0


def test_a_calibration_survives_its_json():
    assert decode(encode(calibration())) == calibration()
    assert encode(decode(encode(calibration()))) == encode(calibration())

"""Tokens of a cluster: which of them decides, and when a missing sign-in says something."""

from __future__ import annotations

import math
import random

import pytest

from brokenseal.detectors._orphans import Token, judge

DAY = 86_400_000_000
KIND = "app1|owa|out|user"


def token(unit, **columns):
    values = {
        "tenant": "t",
        "mailbox": f"m-{unit}",
        "provenance": KIND,
        "token": f"token-{unit}",
        "issued_at_us": 0,
        "reason": None,
        "is_issued": True,
        "is_session_known": True,
    }
    return Token(unit=unit, **{**values, **columns})


LOST = {"is_issued": False, "is_session_known": False}


def crowd(size, **columns):
    return [token(f"c{number}", **{"mailbox": f"m{number % 200}", **columns}) for number in range(size)]


def of(tokens, unit="x", strange=None):
    return next(one for one in judge(tokens, strange) if one.unit == unit)


def test_an_orphan_among_many_issued_ones_fires_with_the_bound_of_the_others():
    found = of([*crowd(4000), token("x", **LOST)])
    assert (found.state, found.bin, found.n_reference) == ("fired", "orphan", 4000)
    assert found.f0_upper == pytest.approx(4.7e-4, rel=0.05)
    assert found.millibans == round(1000 * math.log10(0.5 / found.f0_upper + 0.5))
    assert found.f0_upper_ppb == math.ceil(found.f0_upper * 1e9)


def test_few_tokens_do_not_suffice():
    found = of([*crowd(20), token("x", **LOST)])
    assert (found.state, found.reason) == ("not_assessable", "low_match_rate")


def test_a_class_that_often_lacks_its_sign_ins_is_not_assessable():
    lossy = [token(f"l{number}", mailbox=f"m{number}", **LOST) for number in range(120)]
    found = of([*crowd(4000), *lossy, token("x", **LOST)])
    assert (found.state, found.reason) == ("not_assessable", "low_match_rate")


def test_a_mailbox_does_not_excuse_its_own_orphans():
    own = [token(f"x{number}", mailbox="m-x", token=f"k{number}", **LOST) for number in range(200)]
    found = judge([*crowd(4000), *own])
    assert {one.state for one in found if one.unit.startswith("x")} == {"fired"}


def test_a_class_of_forged_tokens_alone_is_judged_by_its_protocol_where_that_is_of_one_kind():
    others = [one for number in range(4) for one in crowd(4000, provenance=f"app{number}|owa|out|user")]
    others = [
        one._replace(unit=f"{one.provenance}-{one.unit}", token=f"{one.provenance}-{one.token}") for one in others
    ]
    found = of([*others, token("x", provenance="odd|owa|out|user", **LOST)])
    assert (found.state, found.n_reference) == ("fired", 0)
    elsewhere = of([*others, token("x", provenance="odd|ews|out|user", **LOST)])
    assert elsewhere.state == "not_assessable"


def test_the_first_token_that_can_be_judged_decides_and_later_orphans_are_episodes():
    late = [token("x", token="t1"), token("x", token="t2", issued_at_us=2 * DAY, **LOST)]
    assert of([*crowd(4000), *late]).bin == "orphan"
    blind = [token("x", token="t1", reason="too_recent", **LOST), token("x", token="t2", issued_at_us=5)]
    assert of([*crowd(4000), *blind]).state == "quiet"
    twice = [token("x", token="t1", **LOST), token("x", token="t2", issued_at_us=DAY, **LOST)]
    assert of([*crowd(4000), *twice]).bin == "orphan_again"


def test_a_cluster_without_a_token_that_can_be_judged_says_why():
    tokens = [
        token("x", token="b", issued_at_us=9, reason="too_recent", **LOST),
        token("x", token="", reason="no_token_id", issued_at_us=-1, **LOST),
    ]
    found = of([*crowd(10), *tokens])
    assert (found.state, found.reason, found.millibans) == ("not_assessable", "no_token_id", None)


def test_a_join_by_session_alone_is_strange_only_where_nearly_all_join_by_token():
    one = token("x", is_issued=False)
    assert of([*crowd(4000), one]).bin == "session_only"
    by_session = [token(f"s{number}", is_issued=False) for number in range(400)]
    assert of([*crowd(4000), *by_session, one]).state == "quiet"
    some = [token(f"s{number}", is_issued=False) for number in range(100)]
    assert of([*crowd(4000), *some, one]).reason == "low_match_rate"


def test_orphans_of_usual_clients_in_three_mailboxes_within_half_an_hour_are_a_gap():
    three = [token(f"g{number}", issued_at_us=number * 10 * 60_000_000, **LOST) for number in range(3)]
    assert {of([*crowd(4000), *three], f"g{number}", strange=()).reason for number in range(3)} == {"suspected_gap"}
    assert of([*crowd(4000), *three], "g0", strange={"g0", "g1", "g2"}).state == "fired"
    assert of([*crowd(4000), *three], "g0", strange=None).state == "fired"
    apart = [one._replace(issued_at_us=number * 20 * 60_000_000) for number, one in enumerate(three)]
    assert of([*crowd(4000), *apart], "g0", strange=()).state == "fired"


def test_order_changes_nothing():
    tokens = [*crowd(300), *(token(f"x{n}", **LOST) for n in range(3))]
    mixed = list(tokens)
    random.Random(4).shuffle(mixed)
    assert judge(mixed) == judge(tokens)


def test_orphans_of_strange_clients_do_not_make_themselves_usual():
    many = [token(f"u{n}", mailbox=f"m{n % 40}") for n in range(2_000)]
    forged = [token(f"f{n}", mailbox=f"m{n}", issued_at_us=n * 3_600_000_000, **LOST) for n in range(30)]
    named = frozenset(one.unit for one in forged)
    blind = {one.unit: one for one in judge([*many, *forged])}
    told = {one.unit: one for one in judge([*many, *forged], named)}
    assert blind["f0"].f0_upper > 5 * told["f0"].f0_upper
    assert told["f0"].n_reference == 1_950
    assert {told[unit].state for unit in named} == {"fired"}

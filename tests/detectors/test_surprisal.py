"""What surprises: new clients, less so when colleagues took them up honestly, and never because an intruder repeats."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.detectors import stranger_client
from brokenseal.detectors._surprisal import Seen, _Table, surprises
from brokenseal.detectors.stranger_client import bin_of

DAY = 86_400_000_000


def days_of(mailbox, *, days=30, app="owa", network="asn:1", agent="edge", first=0):
    return [
        Seen(f"{mailbox}-{app}-{day:03d}", "t", mailbox, app, network, agent, day * DAY + hash_minute(mailbox))
        for day in range(first, first + days)
    ]


def hash_minute(mailbox):
    return sum(mailbox.encode()) * 60_000_000


def office(mailboxes=20, days=30):
    return [seen for number in range(mailboxes) for seen in days_of(f"m{number:02d}", days=days)]


def by_unit(clusters):
    return {one.unit: one for one in surprises(clusters)}


def test_what_a_mailbox_used_before_is_not_strange_however_rarely():
    found = by_unit([*office(), *days_of("m03", days=1, first=31)])["m03-owa-031"]
    assert found.since_days == pytest.approx(31)
    assert bin_of(found) is None


def test_a_client_from_nowhere_is_stranger_than_one_that_the_office_uses():
    clusters = [
        *office(),
        Seen("colleague", "t", "m01", "owa", "asn:1", "edge mobile", 31 * DAY),
        Seen("other-app", "t", "m01", "script", "asn:1", "edge", 31 * DAY + 1),
        Seen("stranger", "t", "m01", "script", "asn:666", "python", 31 * DAY + 2),
    ]
    found = by_unit(clusters)
    assert found["m01-owa-029"].nats < 1
    assert found["m01-owa-029"].nats < found["colleague"].nats < found["other-app"].nats < found["stranger"].nats
    assert found["stranger"].nats > 22


def test_the_parts_add_up_and_say_what_was_strange():
    found = by_unit([*office(), Seen("elsewhere", "t", "m01", "owa", "asn:666", "edge", 31 * DAY)])["elsewhere"]
    assert found.nats == pytest.approx(found.app_nats + found.network_nats + found.agent_nats)
    assert found.network_nats > 5
    assert found.app_nats + found.agent_nats < 1


def test_each_honest_adopter_makes_the_next_less_surprising():
    adopters = [
        Seen(f"new{number}", "t", f"m{number:02d}", "crm", "asn:1", "edge", 31 * DAY + number) for number in range(6)
    ]
    found = by_unit([*office(), *adopters])
    nats = [found[f"new{number}"].app_nats for number in range(6)]
    assert nats[0] > nats[1] > nats[5]
    assert nats[0] - nats[5] > 2


def test_an_intruder_in_ten_mailboxes_does_not_become_usual():
    visits = [
        Seen(f"visit{number}", "t", f"m{number:02d}", "script", "asn:666", "python", 31 * DAY + number)
        for number in range(10)
    ]
    honest = [visit._replace(unit=f"honest{n}", network="asn:1", agent="edge") for n, visit in enumerate(visits)]
    wicked = by_unit([*office(), *visits])
    plain = by_unit([*office(), *honest])
    assert bin_of(wicked["visit9"]) == "22+"
    assert plain["honest9"].app_nats < wicked["visit9"].app_nats


def test_what_a_stranger_does_again_is_recent_for_two_weeks():
    visits = [Seen(f"visit{day}", "t", "m01", "script", "asn:666", "python", day * DAY) for day in (31, 32, 44, 50)]
    found = by_unit([*office(), *visits])
    assert [bin_of(found[f"visit{day}"]) for day in (31, 32, 44, 50)] == ["22+", "recent", "recent", None]


def test_a_device_known_before_vouches_for_the_network_alone():
    away = Seen("away", "t", "m01", "owa", "asn:77", "edge", 31 * DAY)
    vouched = by_unit([*office(), away._replace(is_vouched=True)])["away"]
    plain = by_unit([*office(), away])["away"]
    assert vouched.network_nats == pytest.approx(4.317, abs=1e-3)
    assert vouched.network_nats < plain.network_nats
    assert vouched.app_nats == plain.app_nats


def test_tenants_do_not_teach_each_other():
    other = [seen._replace(unit=f"o-{seen.unit}", tenant="other") for seen in office(5)]
    new = Seen("new", "other", "m01", "crm", "asn:1", "edge", 31 * DAY)
    assert (
        by_unit([*office(5), *days_of("m09", app="crm"), *other, new])["new"].nats == by_unit([*other, new])["new"].nats
    )


def test_order_of_input_changes_nothing_and_nothing_comes_of_nothing():
    clusters = office(4, 10)
    mixed = list(clusters)
    random.Random(3).shuffle(mixed)
    assert surprises(mixed) == surprises(clusters)
    assert surprises([]) == []


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.floats(1, 5)), max_size=20),
    st.floats(0.1, 50),
    st.floats(0.01, 1.0),
)
def test_predictive_probabilities_of_all_values_add_up_to_one_at_most(added, strength, scale):
    table = _Table()
    for value, weight in added:
        table.add(value, weight)
    shares = [table.probability(value, 1 / 5, strength, scale) for value in "abcde"]
    assert sum(shares) <= 1 + 1e-9
    assert all(share > 0 for share in shares)


def test_an_undecayed_table_is_the_formula():
    table = _Table()
    for value in "aaab":
        table.add(value, 1.0)
    assert table.probability("a", 0.1, 3.0) == pytest.approx((3 - 0.6 + (3 + 0.6 * 2) * 0.1) / 7)
    assert table.probability("c", 0.1, 3.0) == pytest.approx((3 + 0.6 * 2) * 0.1 / 7)


VISITS = st.lists(
    st.tuples(
        st.sampled_from("tu"),
        st.sampled_from("mno"),
        st.sampled_from(("owa", "crm", "script")),
        st.sampled_from(("asn:1", "asn:2", "asn:666", "MS")),
        st.integers(0, 60),
        st.sampled_from((0, 1, DAY // 2, DAY - 1)),
        st.booleans(),
    ),
    max_size=60,
)


@given(VISITS)
def test_marks_of_first_visits_of_a_day_are_those_of_every_visit(visits):
    rows = [
        Seen(f"u{number}", tenant, mailbox, app, network, "edge", day * DAY + past, is_vouched)
        for number, (tenant, mailbox, app, network, day, past, is_vouched) in enumerate(visits)
    ]
    rows.sort(key=lambda one: (one.at_us, one.unit))
    said = [
        (one.unit, "not_assessable", None, "short_history")
        if min(one.history_days, one.tenant_days) < stranger_client.HISTORY_DAYS
        else (one.unit, "fired", bin_of(one), None)
        for one in surprises(rows)
    ]
    kinds = [*[pa.string()] * 6, pa.int64(), pa.bool_()]
    columns = {name: pa.array([one[place] for one in rows], kinds[place]) for place, name in enumerate(Seen._fields)}

    marks = stranger_client.marks_of(pa.table(columns)).to_pylist()

    assert [(row["unit"], row["state"], row["bin"], row["reason"]) for row in marks] == [
        row for row in said if row[1] != "fired" or row[2]
    ]

"""False-case units, raw alerts, and thresholds for a budget, against plain references."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.baselines.counting import Choice, alerts_of, at_budget, kept, units_of

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def row(key, hour, *, score=None, subject="a@x", baseline="B2", tenant="t", event=None):
    return {
        "baseline": baseline,
        "alert_key": key,
        "score_millis": score,
        "occurred_at": START + dt.timedelta(hours=hour),
        "event_id": event or key,
        "mailbox_upn": subject,
        "actor_key": None,
        "tenant_id": tenant,
        "subject": subject,
    }


ROWS = st.lists(
    st.builds(
        lambda number, hour, score, subject: row(f"k{number}", hour, score=score, subject=subject),
        st.integers(0, 30),
        st.integers(0, 120),
        st.one_of(st.none(), st.integers(0, 5)),
        st.sampled_from(("a@x", "b@x")),
    ),
    max_size=25,
    unique_by=lambda one: one["alert_key"],
)


def plain_units(alerts):
    """Units by the definition: go through time, and begin a unit where none of the last 24 hours stands open."""
    count = 0
    for subject in {one.subject for one in alerts}:
        opened = None
        for at in sorted(one.first_at for one in alerts if one.subject == subject):
            if opened is None or at >= opened + dt.timedelta(hours=24):
                opened = at
                count += 1
    return count


def test_records_of_one_alert_are_one_and_copies_count_once():
    rows = [row("k1", 0, event="e1", score=3), row("k1", 5, event="e2", score=7), row("k1", 5, event="e2", score=7)]
    (alert,) = alerts_of(rows)
    assert (alert.score_millis, alert.event_ids) == (7, ("e1", "e2"))
    assert (alert.first_at, alert.last_at) == (START, START + dt.timedelta(hours=5))
    assert alerts_of(reversed(rows)) == (alert,)


def test_a_unit_lasts_24_hours_from_its_first_alert_for_each_rule_tenant_and_subject():
    hours = (0, 23, 24, 47, 49)
    units = units_of(alerts_of(row(f"k{hour}", hour) for hour in hours))
    assert [[one.alert_key for one in unit.alerts] for unit in units] == [["k0", "k23"], ["k24", "k47"], ["k49"]]
    apart = [row("k", 0), row("k", 0, baseline="B1"), row("k", 0, tenant="u"), row("k", 0, subject="app:x")]
    assert len(units_of(alerts_of(apart))) == 4


def test_the_warm_up_ends_at_its_last_moment_for_each_tenant():
    rows = [row("k1", 56 * 24 - 1), row("k2", 56 * 24), row("k3", 56 * 24 - 1, tenant="u")]
    assert [one.alert_key for one in alerts_of(rows, starts_at=START)] == ["k2"]
    later = {"t": START, "u": START - dt.timedelta(hours=1)}
    assert [one.alert_key for one in alerts_of(rows, starts_at=later)] == ["k2", "k3"]
    assert len(alerts_of(rows)) == 3
    assert len(alerts_of(rows, starts_at=START, warm_up_days=0)) == 3
    with pytest.raises(KeyError):
        alerts_of(rows, starts_at={"t": START})


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_units_equal_the_plain_count_in_any_order(rows):
    alerts = alerts_of(rows)
    units = units_of(alerts)
    assert len(units) == plain_units(alerts)
    assert sorted(one.alert_key for unit in units for one in unit.alerts) == sorted(one.alert_key for one in alerts)
    assert units_of(alerts_of(reversed(rows))) == units


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(0, 12))
def test_the_budget_takes_the_lowest_score_that_fits(rows, allowed):
    alerts = alerts_of(rows)
    choices = [None, *sorted({one.score_millis for one in alerts if one.score_millis is not None})]
    fitting = [least for least in choices if plain_units(kept(alerts, least)) <= allowed]
    found = at_budget(alerts, benign_weeks=1000, budget=allowed)
    if fitting:
        left = kept(alerts, fitting[0])
        assert found == Choice(is_on=True, least_millis=fitting[0], units=plain_units(left), raw_alerts=len(left))
    else:
        assert found == Choice(is_on=False, least_millis=None, units=0, raw_alerts=0)


def test_a_rule_without_scores_is_on_or_off():
    alerts = alerts_of([row("k1", 0), row("k2", 48)])
    assert at_budget(alerts, 1000, 2) == Choice(is_on=True, least_millis=None, units=2, raw_alerts=2)
    assert not at_budget(alerts, 1000, 1.9).is_on
    assert at_budget(alerts, 40_000, 0.05).is_on
    assert at_budget((), 1000, 0) == Choice(is_on=True, least_millis=None, units=0, raw_alerts=0)


@pytest.mark.parametrize(("weeks", "budget"), [(0, 1), (-1, 1), (10, -0.1)])
def test_spans_and_budgets_that_are_none_are_refused(weeks, budget):
    with pytest.raises(ValueError, match="expected weeks above 0"):
        at_budget((), weeks, budget)


def test_alerts_of_two_rules_have_no_common_threshold():
    with pytest.raises(ValueError, match="several rules"):
        at_budget(alerts_of([row("k", 0), row("k", 0, baseline="B1")]), 1, 1)

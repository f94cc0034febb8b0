"""From alerts to numbers that can be compared: false-case units, raw alerts, and thresholds for an equal budget.

A unit is what somebody would open once: all alerts of one rule about one mailbox or application within 24 hours of the
first. Everything here is plain values; alerts are few once a rule has fired.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNIT: Final = dt.timedelta(hours=24)
PER: Final = 1000
"""Budgets are per so many mailbox-weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert: the rows of `ALERT` that share rule and key, of one subject.

    Attributes:
        score_millis: The highest of its rows; None where the rule gives none.
        first_at: Time of its first record; `last_at` of its last.
        event_ids: Records that it cites, sorted.
    """

    baseline: str
    alert_key: str
    tenant_id: str
    subject: str
    score_millis: int | None
    first_at: dt.datetime
    last_at: dt.datetime
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What counts once: alerts of one rule about one subject within 24 hours of the first of them."""

    baseline: str
    tenant_id: str
    subject: str
    first_at: dt.datetime
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a rule is run under a budget.

    Attributes:
        is_on: False where even its strangest alerts exceed the budget.
        least_millis: Alerts with this score or more are kept; None for all, those without a score included.
        units: False-case units that are left.
        raw_alerts: Alerts that are left.
    """

    is_on: bool
    least_millis: int | None
    units: int
    raw_alerts: int


def alerts_of(
    rows: Iterable[Mapping[str, Any]],
    *,
    starts_at: Mapping[str, dt.datetime] | dt.datetime | None = None,
    warm_up_days: int = 56,
) -> tuple[Alert, ...]:
    """Alerts from rows of `ALERT`; those that begin in the warm-up are dropped.

    Args:
        rows: In any order; copies count once. Rows of one alert are of one subject; where they are not, each subject
            has the alert.
        starts_at: When the logs begin, for each tenant or for all; without it nothing is dropped.
        warm_up_days: The days from there on in which every rule may learn and nothing counts.

    Returns: By rule, tenant, subject, time and key.

    Raises:
        KeyError: A tenant for which `starts_at` has no time.
    """
    grouped: dict[tuple[str, str, str, str], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        key = (row["baseline"], row["tenant_id"] or "", row["subject"], row["alert_key"])
        grouped[key][row["event_id"]] = row
    found = []
    for (baseline, tenant, subject, alert_key), records in grouped.items():
        first_at = min(row["occurred_at"] for row in records.values())
        start = starts_at if starts_at is None or isinstance(starts_at, dt.datetime) else starts_at[tenant]
        if start is not None and first_at < start + dt.timedelta(days=warm_up_days):
            continue
        scores = [row["score_millis"] for row in records.values() if row["score_millis"] is not None]
        alert = Alert(
            baseline=baseline,
            alert_key=alert_key,
            tenant_id=tenant,
            subject=subject,
            score_millis=max(scores, default=None),
            first_at=first_at,
            last_at=max(row["occurred_at"] for row in records.values()),
            event_ids=tuple(sorted(records)),
        )
        found.append(alert)
    return tuple(sorted(found, key=_order))


def _order(alert: Alert) -> tuple[str, str, str, dt.datetime, str]:
    return alert.baseline, alert.tenant_id, alert.subject, alert.first_at, alert.alert_key


def units_of(alerts: Iterable[Alert]) -> tuple[Unit, ...]:
    """The units: each begins with an alert that no earlier unit of its rule and subject reaches."""
    open_units: list[list[Alert]] = []
    for alert in sorted(alerts, key=_order):
        last = open_units[-1][0] if open_units else None
        if (
            last is not None
            and (last.baseline, last.tenant_id, last.subject) == (alert.baseline, alert.tenant_id, alert.subject)
            and alert.first_at - last.first_at < UNIT
        ):
            open_units[-1].append(alert)
        else:
            open_units.append([alert])
    return tuple(
        Unit(
            baseline=held[0].baseline,
            tenant_id=held[0].tenant_id,
            subject=held[0].subject,
            first_at=held[0].first_at,
            alerts=tuple(held),
        )
        for held in open_units
    )


def kept(alerts: Iterable[Alert], least_millis: int | None) -> tuple[Alert, ...]:
    """The alerts that reach a score; all of them for None. One without a score reaches none."""
    if least_millis is None:
        return tuple(alerts)
    return tuple(one for one in alerts if one.score_millis is not None and one.score_millis >= least_millis)


def at_budget(alerts: Sequence[Alert], benign_weeks: float, budget: float) -> Choice:
    """The most that one rule may say without exceeding a budget of false cases.

    A higher threshold never gives more units, because fewer alerts never need more spans of 24 hours to cover them.

    Args:
        alerts: Those of one rule on benign logs alone.
        benign_weeks: Mailbox-weeks of these logs, warm-up excluded.
        budget: False-case units allowed per 1,000 mailbox-weeks.

    Returns: All alerts where they fit; else the lowest of the scores that occur whose units fit; else off. A rule
        without scores is on or off.

    Raises:
        ValueError: Alerts of several rules, or a number that is no span or no budget.
    """
    if benign_weeks <= 0 or budget < 0:
        raise ValueError(f"{benign_weeks} mailbox-weeks, budget {budget}; expected weeks above 0 and a budget from 0")
    if len({one.baseline for one in alerts}) > 1:
        raise ValueError("alerts of several rules; expected those of one")
    allowed = budget * benign_weeks / PER

    def choice(least_millis: int | None) -> Choice:
        left = kept(alerts, least_millis)
        return Choice(is_on=True, least_millis=least_millis, units=len(units_of(left)), raw_alerts=len(left))

    whole = choice(None)
    if whole.units <= allowed:
        return whole
    scores = sorted({one.score_millis for one in alerts if one.score_millis is not None})
    low, high = 0, len(scores)
    while low < high:
        middle = (low + high) // 2
        if choice(scores[middle]).units <= allowed:
            high = middle
        else:
            low = middle + 1
    if low == len(scores):
        return Choice(is_on=False, least_millis=None, units=0, raw_alerts=0)
    return choice(scores[low])

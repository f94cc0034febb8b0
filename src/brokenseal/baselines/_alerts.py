"""What every baseline gives: rows of one shape, and the few table functions that they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import ibis

from brokenseal.detectors._hits import DAY_S, rows_of
from brokenseal.schema import ACTOR_KEY, EVENT_ID, INT, MAILBOX_UPN, OCCURRED_AT, STRING, TENANT_ID, Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

__all__ = [
    "ALERT",
    "DAY_S",
    "GRAPH",
    "Baseline",
    "app_subject",
    "as_alerts",
    "mailbox_subject",
    "new_terms",
    "rows_of",
    "slot",
    "unite",
]

GRAPH: Final = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph as an application id (Microsoft, first-party application ids)."""

ALERT: Final = Table(
    name="alerts",
    row="one record cited by one alert of one baseline; never stored",
    columns=(
        Column(name="baseline", dtype=STRING, meaning="The rule, such as B2 or B12-splunk-credential"),
        Column(
            name="alert_key",
            dtype=STRING,
            meaning="Equal for the records of one alert, within a rule: the event id of its first record",
        ),
        Column(
            name="score_millis",
            dtype=INT,
            meaning="How strange, higher is stranger; one value per alert; null where the rule gives no degree",
        ),
        OCCURRED_AT,
        EVENT_ID,
        MAILBOX_UPN,
        ACTOR_KEY,
        TENANT_ID,
        Column(
            name="subject",
            dtype=STRING,
            meaning="The mailbox that the alert is about, or `app:` and the application, which count once in 24 hours",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One method that others publish or run, on our tables.

    Attributes:
        id: B1 to B16.
        title: What it looks for.
        rules: Each rule or variant of it by the name that stands in the column `baseline`, with what it is.
        parameters: Every parameter of `alerts` with the value that its source gives; times are in the unit of the name.
        source: Where the method and its values were read.
        leaves_out: What our tables cannot give it, or what was decided where the source does not say; "" for nothing.
        reads: Table name to the columns used.
        alerts: From the tables and all parameters to rows of `ALERT`. Pure, no wall clock.
        reduced: Where `alerts` reckons outside the engine, the expressions whose rows it takes out for that.
    """

    id: str
    title: str
    rules: Mapping[str, str]
    parameters: Mapping[str, Any]
    source: str
    leaves_out: str
    reads: Mapping[str, tuple[str, ...]]
    alerts: Callable[..., ir.Table]
    reduced: Callable[[Tables], tuple[ir.Table, ...]] | None = None

    def run(self, tables: Tables, **changed: Any) -> ir.Table:
        """Its alerts with its own parameters, except those that are given.

        Raises:
            TypeError: A parameter that it does not have.
        """
        return self.alerts(tables, **{**self.parameters, **changed})


def mailbox_subject(rows: ir.Table) -> ir.StringValue:
    """The mailbox by its address, else by its key."""
    return ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)


def app_subject(app: ir.StringValue) -> ir.StringValue:
    """An application as the subject of an alert."""
    return ibis.literal("app:").concat(app)


def as_alerts(
    rows: ir.Table,
    *,
    rule: str,
    subject: ir.StringValue,
    score: ir.IntegerValue | int | None = None,
    together: Sequence[str] = (),
    mailbox: ir.StringValue | None = None,
) -> ir.Table:
    """Rows of `ALERT`.

    Args:
        rows: With `event_id`, `occurred_at`, `tenant_id` and those of `mailbox_upn` and `actor_key` that it has.
        rule: Name of the rule.
        subject: What the alert is about; where null, the actor, else the record itself.
        score: In thousandths; one value per alert.
        together: Columns whose equal values make rows one alert; none means that each record is one.
        mailbox: The column `mailbox_upn` where it is another than the rows' own.
    """
    actor = rows.actor_key if "actor_key" in rows.columns else ibis.null("string")
    own = rows.mailbox_upn if "mailbox_upn" in rows.columns else ibis.null("string")
    key = rows.event_id
    if together:
        of_alert = ibis.window(group_by=[rows[name] for name in together], order_by=[rows.occurred_at, rows.event_id])
        key = rows.event_id.first().over(of_alert)
    found = rows.select(
        baseline=ibis.literal(rule),
        alert_key=key,
        score_millis=ibis.null("int64") if score is None else ibis.literal(1).cast("int64") * score,
        occurred_at=rows.occurred_at,
        event_id=rows.event_id,
        mailbox_upn=own if mailbox is None else mailbox,
        actor_key=actor,
        tenant_id=rows.tenant_id,
        subject=ibis.coalesce(subject, actor, rows.event_id),
    )
    found = found.filter(found.event_id.notnull(), found.occurred_at.notnull())
    return found.select(**{column.name: found[column.name].cast(column.dtype) for column in ALERT.columns}).distinct()


def unite(parts: Sequence[ir.Table]) -> ir.Table:
    """The alerts of several rules."""
    return reduce(lambda left, right: left.union(right), parts)


def new_terms(rows: ir.Table, terms: Sequence[str], days: int) -> ir.Table:
    """The records with a combination of values that no record of the days before them has.

    Rows in which one of the values is missing have no such combination and are left out. Of several at one moment the
    first by its id counts.
    """
    rows = rows.filter(*(rows[name].notnull() for name in terms))
    in_order = ibis.window(group_by=[rows[name] for name in terms], order_by=[rows.occurred_at, rows.event_id])
    rows = rows.mutate(term_before=rows.occurred_at.lag(1).over(in_order))
    age_s = rows.occurred_at.delta(rows.term_before, unit="second")
    return rows.filter(rows.term_before.isnull() | (age_s > days * DAY_S)).drop("term_before")


def slot(rows: ir.Table, minutes: int) -> ir.Table:
    """The rows with `slot_day` (time) and `slot_no` (int64): buckets of so many minutes, counted from midnight UTC."""
    rows = rows.mutate(slot_day=rows.occurred_at.truncate("D"))
    return rows.mutate(slot_no=rows.occurred_at.delta(rows.slot_day, unit="second") // (minutes * 60))

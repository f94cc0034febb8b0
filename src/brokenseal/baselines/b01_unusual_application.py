"""B1: an application that hardly any mailbox of the tenant was read with lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import DAY_S, Baseline, as_alerts, mailbox_subject, rows_of, unite

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "mail_accesses": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "mailbox_key",
        "mailbox_upn",
        "actor_key",
        "app_id",
        "client_app_id",
        "access_type",
    )
}


def alerts(tables: Tables, *, days: int, most_mailboxes: Mapping[str, int]) -> ir.Table:
    """Reads with applications that at most so many mailboxes were read with in the days before; by rule."""
    rows = rows_of(tables, READS, "mail_accesses")
    rows = rows.filter(rows.access_type.isin(("bind", "sync")), rows.mailbox_key.notnull(), rows.occurred_at.notnull())
    rows = rows.mutate(
        tenant=rows.tenant_id.fill_null(""),
        key=rows.app_id.fill_null("").concat("|", rows.client_app_id.fill_null("")),
    )
    rows = _with_users_before(rows, days * DAY_S)
    score = 1000 // (rows.users + 1)
    return unite(
        [
            as_alerts(rows.filter(rows.users <= most), rule=rule, subject=mailbox_subject(rows), score=score)
            for rule, most in most_mailboxes.items()
        ]
    )


def _with_users_before(rows: ir.Table, span_s: int) -> ir.Table:
    """The rows with `users` (int64): mailboxes read with the same application in the span before, in any mailbox.

    A mailbox counts from each read for the length of the span. Beginnings and ends of these times, summed up in order,
    give the number at every moment in one pass.
    """
    uses = rows.select("tenant", "key", "mailbox_key", "occurred_at").distinct()
    in_order = ibis.window(group_by=[uses.tenant, uses.key, uses.mailbox_key], order_by=uses.occurred_at)
    uses = uses.mutate(before=uses.occurred_at.lag(1).over(in_order), after=uses.occurred_at.lead(1).over(in_order))
    begins = uses.before.isnull() | (uses.occurred_at.delta(uses.before, unit="second") > span_s)
    ends = uses.after.isnull() | (uses.after.delta(uses.occurred_at, unit="second") > span_s)

    def moments(part: ir.Table, at: ir.TimestampValue, step: int, event: ir.StringValue) -> ir.Table:
        return part.select(
            tenant=part.tenant,
            key=part.key,
            at=at.cast("timestamp('UTC', 6)"),
            step=ibis.literal(step).cast("int64"),
            # A read is asked before what changes at its moment, so that it counts the strict past alone.
            turn=ibis.literal(0 if step == 0 else 1).cast("int64"),
            asked=event,
        )

    nothing = ibis.null("string")
    started, ended = uses.filter(begins), uses.filter(ends)
    line = moments(rows, rows.occurred_at, 0, rows.event_id).union(
        moments(started, started.occurred_at, 1, nothing),
        # Seconds and not days: a day can be longer than 24 hours where the engine has a time zone.
        moments(ended, ended.occurred_at + ibis.interval(seconds=span_s), -1, nothing),
    )
    up_to_here = ibis.cumulative_window(group_by=[line.tenant, line.key], order_by=[line.at, line.turn, line.asked])
    line = line.mutate(users=line.step.sum().over(up_to_here))
    counted = line.filter(line.asked.notnull()).select("asked", "users")
    return rows.inner_join(counted, rows.event_id == counted.asked).drop("asked")


BASELINE = Baseline(
    id="B1",
    title="Mail read with an application that the tenant hardly uses",
    rules={
        "B1": "an application that no mailbox was read with in the 30 days before",
        "B1-k2": "an application that at most two mailboxes were read with in the 30 days before",
    },
    parameters={"days": 30, "most_mailboxes": {"B1": 0, "B1-k2": 2}},
    source="CISA and FBI, AA23-193A (July 2023): MailItemsAccessed with an unexpected ClientAppId or AppId. The rule "
    "of the department that found the intrusion is not public; the window and the numbers are ours.",
    leaves_out="",
    reads=READS,
    alerts=alerts,
)

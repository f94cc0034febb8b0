"""B8: somebody who begins to read several mailboxes of others, or many folders of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import DAY_S, Baseline, as_alerts, rows_of

if TYPE_CHECKING:
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
        "folder_path",
    ),
    "accessed_items": ("event_id", "folder_path"),
}


def alerts(tables: Tables, *, window_days: int, lookback_days: int, mailboxes: int, folders: int) -> ir.Table:
    """Actors with more than so many new mailboxes, or folders in them, in the window that ends with the day."""
    rows = _new_pairs(_of_others(tables), window_days=window_days, quiet_days=lookback_days - window_days)
    runs = _fired_runs(rows, window_days=window_days, mailboxes=mailboxes, folders=folders)
    told = rows.inner_join(runs, ["tenant", "actor_key", "day"])
    return as_alerts(
        told,
        rule="B8",
        # The alert is about the one who reads, whose own mailbox has their name.
        subject=told.actor_key,
        score=told.score_millis,
        together=("tenant", "actor_key", "day"),
    )


def _of_others(tables: Tables) -> ir.Table:
    """Reads by somebody else than the owner, with the folder of each item where records name it."""
    rows = rows_of(tables, READS, "mail_accesses")
    rows = rows.filter(rows.actor_key != rows.mailbox_upn, rows.mailbox_key.notnull(), rows.occurred_at.notnull())
    items = rows_of(tables, READS, "accessed_items").rename(item_event="event_id", item_folder="folder_path")
    rows = rows.left_join(items, rows.event_id == items.item_event)
    folder = ibis.coalesce(rows.item_folder, rows.folder_path)
    rows = rows.mutate(
        tenant=rows.tenant_id.fill_null(""),
        folder=rows.mailbox_key.concat("|", folder),
        day=rows.occurred_at.truncate("D"),
    )
    return rows.drop("item_event", "item_folder", "folder_path").distinct()


def _new_pairs(rows: ir.Table, *, window_days: int, quiet_days: int) -> ir.Table:
    """Reads within a window after the first one of an actor in a mailbox that had been left alone before."""
    visits = rows.select("tenant", "actor_key", "mailbox_key", "event_id", "occurred_at").distinct()
    in_order = ibis.window(
        group_by=[visits.tenant, visits.actor_key, visits.mailbox_key], order_by=[visits.occurred_at, visits.event_id]
    )
    visits = visits.mutate(before=visits.occurred_at.lag(1).over(in_order))
    gap_s = visits.occurred_at.delta(visits.before, unit="second")
    is_first = visits.before.isnull() | (gap_s > quiet_days * DAY_S)
    visits = visits.mutate(first_at=ibis.ifelse(is_first, visits.occurred_at, None))
    up_to_here = ibis.cumulative_window(
        group_by=[visits.tenant, visits.actor_key, visits.mailbox_key], order_by=[visits.occurred_at, visits.event_id]
    )
    visits = visits.mutate(since=visits.first_at.max().over(up_to_here)).select("event_id", "since")
    rows = rows.inner_join(visits, "event_id")
    return rows.filter(rows.occurred_at.delta(rows.since, unit="second") <= window_days * DAY_S).drop("since")


def _fired_runs(rows: ir.Table, *, window_days: int, mailboxes: int, folders: int) -> ir.Table:
    """Days on which an actor read something new and is above a number: tenant, actor_key, day, score_millis."""
    seen = rows.select("tenant", "actor_key", "day", "mailbox_key", "folder").distinct()
    runs = seen.select("tenant", "actor_key", run_day="day").distinct()
    both = runs.inner_join(seen, ["tenant", "actor_key"])
    age_s = both.run_day.delta(both.day, unit="second")
    both = both.filter(age_s >= 0, age_s < window_days * DAY_S)
    runs = both.group_by(["tenant", "actor_key", "run_day"]).aggregate(
        mailboxes=both.mailbox_key.nunique(), folders=both.folder.nunique()
    )
    runs = runs.filter((runs.mailboxes > mailboxes) | (runs.folders > folders))
    return runs.select(
        tenant=runs.tenant,
        actor_key=runs.actor_key,
        day=runs.run_day,
        score_millis=runs.mailboxes * 1000 + runs.folders,
    )


BASELINE = Baseline(
    id="B8",
    title="Somebody who begins to read mailboxes of others",
    rules={"B8": "more than one new mailbox, or more than five folders in new ones, in 14 days"},
    parameters={"window_days": 14, "lookback_days": 28, "mailboxes": 1, "folders": 5},
    source="Azure-Sentinel, anomalous access to other users' mailboxes (Nobelium)",
    leaves_out="A hunting query has no schedule: here it runs once for every day on which the actor reads something "
    "new. Applications that act without a user have no name to compare with the owner's.",
    reads=READS,
    alerts=alerts,
)

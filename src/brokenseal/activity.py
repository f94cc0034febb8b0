"""The series behind the pictures: mail accesses by day, by hour of the week, and who read what.

Client names are for display only; see `app_names`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from brokenseal.app_names import client_label
from brokenseal.engines import begun
from brokenseal.exposure_tables import client_of
from brokenseal.model import Activity, ActivityCell, HourCell, MatrixCell
from brokenseal.selection import id_table

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

Row = dict[str, Any]

OTHERS = "*"
"""Stands for all mailboxes that are not shown by name, and for their actors."""

_DAYS = 7
_HOURS = 24


def activity(tables: Tables, case_event_ids: frozenset[str], *, mailboxes: int = 100) -> Activity:
    """The series behind the pictures.

    Args:
        tables: Uses `mail_accesses` and `accessed_items`.
        case_event_ids: Records that belong to a case. Days and matrix have one cell for these and one for the
            others, so that a cell is all case or no case, and the numbers add up.
        mailboxes: How many mailboxes are shown by name: those with records of a case first, then the most read.
            The others are shown together as `OTHERS`, so that no access is left out.
    Returns: Days by day, mailbox, client; all 168 hours of the week (none where there is no access); matrix cells by
        mailbox, actor, client.
    Raises: Nothing.
    """
    shown = shown_accesses(tables, case_event_ids, mailboxes=mailboxes)
    asked = (daily(shown), who_read_what(shown, tables["accessed_items"]), hourly(shown))
    by_day, by_reader, by_hour = (found().to_pylist() for found in [begun(table) for table in asked])
    days = [
        ActivityCell(
            day=f"{row['day']:%Y-%m-%d}",
            mailbox=row["mailbox"],
            client=client_label(row["client"]),
            accesses=row["accesses"],
            item_entries=row["item_entries"] or 0,
            in_case=row["in_case"],
        )
        for row in by_day
    ]
    matrix = [
        MatrixCell(
            mailbox=row["mailbox"],
            actor=row["actor"],
            client=client_label(row["client"]),
            accesses=row["accesses"],
            messages=row["messages"] or 0,
            in_case=row["in_case"],
        )
        for row in by_reader
    ]
    return Activity(
        days=tuple(sorted(days, key=lambda cell: (cell.day, cell.mailbox, cell.client, cell.in_case))),
        hours=_week(by_hour),
        matrix=tuple(sorted(matrix, key=lambda cell: (cell.mailbox, cell.actor, cell.client, cell.in_case))),
    )


def _week(rows: list[Row]) -> tuple[HourCell, ...]:
    found = {(row["weekday"], row["hour"]): row for row in rows}
    if not found:
        return ()
    nothing: Row = {"accesses": 0, "in_case": 0}
    return tuple(
        HourCell(
            weekday=weekday,
            hour=hour,
            accesses=found.get((weekday, hour), nothing)["accesses"],
            in_case=found.get((weekday, hour), nothing)["in_case"],
        )
        for weekday in range(_DAYS)
        for hour in range(_HOURS)
    )


def marked(tables: Tables, case_event_ids: frozenset[str]) -> ir.Table:
    """Mail accesses with what the pictures need.

    Returns: event_id, occurred_at, mailbox_key (never null), mailbox_upn, actor, client, item_entries, in_case.
    """
    accesses = tables["mail_accesses"]
    narrow = accesses.filter(accesses.occurred_at.notnull()).select(
        "event_id",
        "occurred_at",
        "mailbox_upn",
        "item_entries",
        mailbox_key=accesses.mailbox_key.coalesce(""),
        actor=accesses.actor_key.coalesce("unknown"),
        client=client_of(accesses),
    )
    ids = id_table(case_event_ids).mutate(in_case=True)
    joined = narrow.left_join(ids, "event_id").drop("event_id_right")
    return joined.mutate(in_case=joined.in_case.notnull())


def shown_accesses(tables: Tables, case_event_ids: frozenset[str], *, mailboxes: int) -> ir.Table:
    """`marked` with the mailbox (and actor) as shown: those of mailboxes beyond the limit become `OTHERS`."""
    rows = marked(tables, case_event_ids)
    order = [ibis.desc("cases"), ibis.desc("accesses"), "mailbox_key"]
    ranked = rows.group_by("mailbox_key").agg(
        cases=rows.in_case.sum(), accesses=rows.count(), label=rows.mailbox_upn.max()
    )
    ranked = ranked.order_by(order).limit(mailboxes)
    named = ranked.select("mailbox_key", mailbox=ranked.label.coalesce(ranked.mailbox_key.nullif(""), OTHERS))
    joined = rows.left_join(named, "mailbox_key").drop("mailbox_key_right")
    return joined.mutate(
        actor=ibis.ifelse(joined.mailbox.isnull(), OTHERS, joined.actor),
        mailbox=joined.mailbox.coalesce(OTHERS),
    )


def daily(shown: ir.Table) -> ir.Table:
    """Per UTC day, mailbox, client and in_case: day (its start), accesses, item_entries."""
    return shown.group_by("mailbox", "client", "in_case", day=shown.occurred_at.truncate("D")).agg(
        accesses=shown.count(), item_entries=shown.item_entries.sum()
    )


def hourly(shown: ir.Table) -> ir.Table:
    """Per hour of the week (UTC, Monday 0): weekday, hour, accesses, in_case (how many of them)."""
    return shown.group_by(weekday=shown.occurred_at.day_of_week.index(), hour=shown.occurred_at.hour()).agg(
        accesses=shown.count(), in_case=shown.in_case.sum()
    )


def who_read_what(shown: ir.Table, accessed_items: ir.Table) -> ir.Table:
    """Per mailbox, actor, client and in_case: accesses, messages (distinct mailbox and Message-ID; null: none)."""
    keys = ["mailbox", "actor", "client", "in_case"]
    counted = shown.group_by(keys).agg(accesses=shown.count())
    items = accessed_items.filter((accessed_items.kind == "message") & accessed_items.internet_message_id.notnull())
    listed = shown.select("event_id", "mailbox_key", *keys).inner_join(
        items.select("event_id", "internet_message_id"), "event_id"
    )
    distinct = listed.select("mailbox_key", "internet_message_id", *keys).distinct()
    messages = distinct.group_by(keys).agg(messages=distinct.count())
    return counted.left_join(messages, keys).select(*keys, "accesses", "messages")

"""Hands that came to a mailbox when it had been read for some time: in doubt, and no measure of what is usual.

A hand is here what `stranger_client` calls a client: application, network and machine in one mailbox, whatever its
sessions. How strange it is is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.detectors._hits import DAY_S

if TYPE_CHECKING:
    import ibis.expr.types as ir

HISTORY_DAYS: Final = 14
"""No hand is new in a mailbox that the logs have shown for less."""
MAILBOX: Final = ("tenant", "mailbox_key")
HAND: Final = (*MAILBOX, "app", "network", "agent")


def with_tenant(rows: ir.Table) -> ir.Table:
    """The rows with `tenant` (string, "" where the log names none)."""
    return rows.mutate(tenant=rows.tenant_id.fill_null(""))


def new_hands(rows: ir.Table, at: str) -> ir.Table:
    """The hands whose first reading of a mailbox came 14 days or more after the mailbox's own first.

    Args:
        rows: `clusters.members`, or `clusters.clusters`.
        at: Their column of the time of reading.

    Returns: the columns of `HAND`, and hand_start (time of the first reading).
    """
    rows = with_tenant(rows)
    hands = rows.group_by(HAND).aggregate(hand_start=rows[at].min())
    start = hands.hand_start.min().over(ibis.window(group_by=MAILBOX))
    hands = hands.mutate(age_s=hands.hand_start.delta(start, unit="second"))
    return hands.filter(hands.age_s >= HISTORY_DAYS * DAY_S).drop("age_s")


def reads_of_new_hands(members: ir.Table) -> ir.Table:
    """The reads of such hands, however long ago they came.

    Args:
        members: `clusters.members`.

    Returns: event_id.
    """
    return with_tenant(members).semi_join(new_hands(members, "occurred_at"), HAND).select("event_id")

"""Requests to Microsoft Graph with the user and the network behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.baselines._alerts import rows_of
from brokenseal.clusters import with_network

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

USER_SIGN_INS: Final = ("interactive", "non_interactive", "audit_log")

READS: Final = {
    "graph_requests": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "subject_id",
        "app_id",
        "uri",
        "status_code",
        "client_ip",
        "ip_class",
        "session_id",
    ),
    "sign_ins": ("category", "subject_id", "actor_key", "client_ip", "asn"),
}
"""The columns that are read."""


def requests(tables: Tables) -> ir.Table:
    """Every request: the columns read, `network` (string, see `clusters.with_network`) and `actor_key` (string).

    The log names subjects by object id alone; `actor_key` is the one name under which the subject signed in as a user,
    null where it never did or under several.
    """
    rows = with_network(rows_of(tables, READS, "graph_requests"), tables)
    names = rows_of(tables, READS, "sign_ins")
    names = names.filter(names.category.isin(USER_SIGN_INS), names.subject_id.notnull(), names.actor_key.contains("@"))
    names = names.group_by(known_subject="subject_id").aggregate(
        actor_key=names.actor_key.min(), names=names.actor_key.nunique()
    )
    names = names.filter(names.names == 1).drop("names")
    return rows.left_join(names, rows.subject_id == names.known_subject).drop("known_subject")


def users_requests(tables: Tables) -> ir.Table:
    """Those requests that a user's token made, as far as the tables tell, with `user` (string, the object id)."""
    rows = requests(tables)
    rows = rows.mutate(user=rows.subject_id)
    says_me = (rows.uri.contains("/me/") | rows.uri.endswith("/me")).fill_null(ibis.literal(value=False))
    return rows.filter(rows.actor_key.notnull() | says_me)

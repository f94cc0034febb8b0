"""B6: an application that is new to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, new_terms, rows_of, unite
from brokenseal.baselines._graph import READS as GRAPH_READS
from brokenseal.baselines._graph import users_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "graph_requests": GRAPH_READS["graph_requests"],
    "sign_ins": (*GRAPH_READS["sign_ins"], "event_id", "occurred_at", "tenant_id", "app_id", "succeeded"),
}


def alerts(tables: Tables, *, days: int, graph_days: int, left_out: Sequence[str]) -> ir.Table:
    """The first silent sign-in of a user to an application, and the first Graph request of a user's application."""
    silent = rows_of(tables, READS, "sign_ins")
    silent = silent.filter(
        silent.category == "non_interactive",
        silent.succeeded.fill_null(ibis.literal(value=False)),
        ~silent.app_id.isin(left_out),
    )
    silent = new_terms(silent.mutate(tenant=silent.tenant_id.fill_null("")), ("tenant", "actor_key", "app_id"), days)
    asked = users_requests(tables)
    asked = new_terms(asked.mutate(tenant=asked.tenant_id.fill_null("")), ("tenant", "app_id", "user"), graph_days)
    return unite(
        [
            as_alerts(silent, rule="B6", subject=silent.actor_key, mailbox=silent.actor_key),
            as_alerts(asked, rule="B6b", subject=ibis.coalesce(asked.actor_key, asked.user), mailbox=asked.actor_key),
        ]
    )


BASELINE = Baseline(
    id="B6",
    title="An application that is new to its user",
    rules={
        "B6": "the first non-interactive sign-in of a user to an application in 14 days",
        "B6b": "the first Graph request of an application for a user in 10 days",
    },
    parameters={"days": 14, "graph_days": 10, "left_out": ("00000000-0000-0000-0000-000000000000",)},
    source="Elastic detection-rules, rare application for a principal (sign-in logs) and first Graph request by an "
    "application for a user",
    leaves_out="The list of applications that B6 excludes is not ours to copy: give ids as `left_out`.",
    reads=READS,
    alerts=alerts,
)

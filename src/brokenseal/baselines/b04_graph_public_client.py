"""B4: mail read through Microsoft Graph by a combination of application, user and network that is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, new_terms
from brokenseal.baselines._graph import READS as GRAPH_READS
from brokenseal.baselines._graph import users_requests
from brokenseal.detectors._text import ascii_folded, holds_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = GRAPH_READS


def alerts(tables: Tables, *, days: int, status: int, words: Sequence[str], without: str) -> ir.Table:
    """Answered requests of users for mail whose application, user and network no request of the days before has."""
    rows = users_requests(tables)
    path = ascii_folded(rows.uri)
    rows = rows.filter(rows.status_code == status, holds_any(path, words), ~path.contains(without))
    rows = rows.filter(rows.network.startswith("asn:"))
    rows = new_terms(rows.mutate(tenant=rows.tenant_id.fill_null("")), ("tenant", "app_id", "user", "network"), days)
    return as_alerts(rows, rule="B4", subject=ibis.coalesce(rows.actor_key, rows.user), mailbox=rows.actor_key)


BASELINE = Baseline(
    id="B4",
    title="Mail read through Graph from a new combination of application, user and network",
    rules={"B4": "a combination that no request of the 7 days before has"},
    parameters={"days": 7, "status": 200, "words": ("inbox", "mail", "messages"), "without": "mailboxsettings"},
    source="Elastic detection-rules, Microsoft Graph request for mail by a public client",
    leaves_out="Whether the client is a public one (no secret) and whether the token is a user's are not in the "
    "tables: a request is a user's where the path says `me`, or the subject signs in as a user. Requests from "
    "addresses that no sign-in resolved have no network and are left out.",
    reads=READS,
    alerts=alerts,
)

"""Whose records are these, where one store holds the logs of several tenants?

What one intruder did in two tenants is two cases: each has to be told apart, by other people. The directory's audit log
does not name its tenant; there the accounts do, where they acted in one tenant alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from brokenseal.selection import id_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import ibis.expr.types as ir

NO_TENANT = ""
"""Where the logs are of one tenant, or nobody can say of which."""


def tenants_of(events: ir.Table, event_ids: Collection[str]) -> Mapping[str, str]:
    """Event id to tenant; empty where all logs are of one tenant.

    Args:
        events: The store's events.
        event_ids: Of records that are cited.

    Returns: Of each id its tenant, `NO_TENANT` where neither the record nor its account tells.
    """
    if not event_ids or events.tenant_id.nunique().to_pyarrow().as_py() < _SEVERAL:
        return {}
    cited = events.semi_join(id_table(event_ids), "event_id")
    rows = cited.select("event_id", "tenant_id", "actor_key", "mailbox_upn").distinct().to_pyarrow().to_pylist()
    nameless = {row[name] for row in rows if row["tenant_id"] is None for name in _NAMES if row[name]}
    of_name = _tenants_of_names(events, nameless) if nameless else {}
    found = dict.fromkeys(event_ids, NO_TENANT)
    for row in rows:
        own = row["tenant_id"] or next((of_name[row[name]] for name in _NAMES if row[name] in of_name), NO_TENANT)
        found[row["event_id"]] = max(found[row["event_id"]], own)
    return found


_SEVERAL = 2
_NAMES = ("actor_key", "mailbox_upn")


def _tenants_of_names(events: ir.Table, names: Collection[str]) -> dict[str, str]:
    """Accounts and mailboxes that show in one tenant alone, with that tenant."""
    wanted = sorted(names)
    seen: dict[str, set[str]] = defaultdict(set)
    for column in _NAMES:
        rows = events.filter(events.tenant_id.notnull(), events[column].isin(wanted))
        for row in rows.select("tenant_id", name=rows[column]).distinct().to_pyarrow().to_pylist():
            seen[row["name"]].add(row["tenant_id"])
    return {name: tenants.pop() for name, tenants in seen.items() if len(tenants) == 1}

"""B2: a client application that reads mail in the tenant for the first time in two weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.baselines._alerts import Baseline, as_alerts, mailbox_subject, new_terms, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        "logon_type",
        "user_type",
        "access_type",
        "client_app_id",
    )
}


def alerts(
    tables: Tables,
    *,
    days: int,
    logon_types: Sequence[int],
    user_types: Sequence[int],
    known_clients: Sequence[str],
) -> ir.Table:
    """Reads of single messages by a client that is new to the tenant; a client that is not named never fires."""
    rows = rows_of(tables, READS, "mail_accesses")
    rows = rows.filter(
        rows.access_type == "bind",
        rows.logon_type.isin(logon_types),
        rows.user_type.isin(user_types),
        ~rows.client_app_id.isin(known_clients),
    )
    rows = new_terms(rows.mutate(tenant=rows.tenant_id.fill_null("")), ("tenant", "client_app_id"), days)
    return as_alerts(rows, rule="B2", subject=mailbox_subject(rows))


BASELINE = Baseline(
    id="B2",
    title="Mail read by a client application that is new to the tenant",
    rules={"B2": "the first read by a client application in 14 days"},
    parameters={
        "days": 14,
        "logon_types": (0, 1, 6),
        "user_types": (0, 2, 3, 10),
        # Never empty, because an empty list is no condition in some engines; the nil id is no client.
        "known_clients": ("00000000-0000-0000-0000-000000000000",),
    },
    source="Elastic detection-rules, mail access by an unusual ClientAppId (48819484)",
    leaves_out="The rule excludes about 146 client applications by id. The list is not ours to copy: give ids as "
    "`known_clients`. Without it the rule sees more and is noisier. Whether a read succeeded is not looked at: the log "
    "holds reads that did.",
    reads=READS,
    alerts=alerts,
)

"""B11: two sign-ins of one user from two addresses within seconds, as a relaying phishing site makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import GRAPH, Baseline, as_alerts, rows_of, unite
from brokenseal.detectors._text import ascii_folded, holds_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "sign_ins": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "category",
        "actor_key",
        "app_id",
        "resource_id",
        "client_ip",
        "user_agent",
        "succeeded",
    )
}
_EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
_OFFICE_HOME = "4765445b-32c6-49b0-83e6-1d93765276ca"
_OFFICE_365 = "72782ba9-4490-4f03-8d82-562370ea3566"
_BROKER = "29d9ed98-a469-4536-ade2-f981bc1d605e"


def alerts(
    tables: Tables,
    *,
    seconds: int,
    targets: Sequence[str],
    broker: str,
    broker_targets: Sequence[str],
    portal: str,
    agents: Sequence[str],
) -> ir.Table:
    """Pairs of sign-ins in the audit log; and sign-ins of kits by the program that they call themselves."""
    rows = rows_of(tables, READS, "sign_ins")
    rows = rows.filter(
        rows.actor_key.notnull(), rows.occurred_at.notnull(), rows.succeeded.fill_null(ibis.literal(value=False))
    )
    rows = rows.mutate(tenant=rows.tenant_id.fill_null(""))
    logins = rows.filter(rows.category == "audit_log", rows.client_ip.notnull())
    is_kit = ((rows.app_id == broker) & rows.resource_id.isin(broker_targets)) | (
        (rows.app_id == portal) & (rows.resource_id == portal)
    )
    kit = rows.filter(is_kit & holds_any(ascii_folded(rows.user_agent), agents))
    return unite(
        [
            _pairs(logins, seconds, "B11"),
            _pairs(logins.filter(logins.resource_id.isin(targets)), seconds, "B11-apps"),
            as_alerts(kit, rule="B11b", subject=kit.actor_key, mailbox=kit.actor_key),
        ]
    )


def _pairs(rows: ir.Table, seconds: int, rule: str) -> ir.Table:
    """The second of each two consecutive sign-ins from different addresses; the shorter the gap, the stranger."""
    in_order = ibis.window(group_by=[rows.tenant, rows.actor_key], order_by=[rows.occurred_at, rows.event_id])
    rows = rows.mutate(ip_before=rows.client_ip.lag(1).over(in_order), before=rows.occurred_at.lag(1).over(in_order))
    rows = rows.mutate(gap_s=rows.occurred_at.delta(rows.before, unit="second"))
    rows = rows.filter(rows.client_ip != rows.ip_before, rows.gap_s <= seconds)
    return as_alerts(
        rows, rule=rule, subject=rows.actor_key, mailbox=rows.actor_key, score=(seconds - rows.gap_s) * 1000
    )


BASELINE = Baseline(
    id="B11",
    title="Two sign-ins from two addresses within seconds",
    rules={
        "B11": "consecutive sign-ins of a user from two addresses at most 30 seconds apart",
        "B11-apps": "the same among sign-ins to the portals and to Exchange",
        "B11b": "a sign-in through the broker or the portal by a program of a known phishing kit",
    },
    parameters={
        "seconds": 30,
        "targets": (_OFFICE_HOME, _OFFICE_365, _EXCHANGE),
        "broker": _BROKER,
        "broker_targets": (_EXCHANGE, GRAPH),
        "portal": _OFFICE_HOME,
        "agents": ("node", "axios", "undici"),
    },
    source="LETHAL-FORENSICS Microsoft-Analyzer-Suite, adversary in the middle (B11); Elastic detection-rules, Tycoon "
    "sign-in (B11b)",
    leaves_out="The agent is searched for anywhere in the user agent, whatever its letters' case.",
    reads=READS,
    alerts=alerts,
)

"""B9: one client that reads several mailboxes through an interface within minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import (
    GRAPH,
    Baseline,
    app_subject,
    as_alerts,
    mailbox_subject,
    rows_of,
    slot,
    unite,
)

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
        "app_id",
        "client_app_id",
        "client_info",
    )
}


def alerts(tables: Tables, *, minutes: int, mailboxes: int, graph: str, ews_prefix: str) -> ir.Table:
    """Clients above the number of mailboxes in one bucket; and every read through either interface, by day."""
    rows = rows_of(tables, READS, "mail_accesses")
    rows = rows.filter(rows.client_app_id.notnull(), rows.app_id.notnull(), rows.occurred_at.notnull())
    false = ibis.literal(value=False)
    rows = rows.mutate(
        tenant=rows.tenant_id.fill_null(""),
        is_graph=rows.app_id == graph,
        is_ews=rows.client_info.startswith(ews_prefix).fill_null(false),
        client_info=rows.client_info.fill_null(""),
        day=rows.occurred_at.truncate("D"),
    )
    rows = rows.filter(rows.is_graph | rows.is_ews)
    keys = ["tenant", "client_app_id", "client_info", "slot_day", "slot_no"]
    many = slot(rows, minutes)
    counted = many.group_by(keys).aggregate(read=many.mailbox_key.nunique())
    many = many.inner_join(counted.filter(counted.read > mailboxes), keys)
    by_client = ("tenant", "client_app_id", "mailbox_key", "day")
    ews, asked = rows.filter(rows.is_ews), rows.filter(rows.is_graph)
    return unite(
        [
            as_alerts(many, rule="B9", subject=app_subject(many.client_app_id), score=many.read * 1000, together=keys),
            as_alerts(ews, rule="B9b", subject=mailbox_subject(ews), together=by_client),
            as_alerts(asked, rule="B9c", subject=mailbox_subject(asked), together=by_client),
        ]
    )


BASELINE = Baseline(
    id="B9",
    title="One client that reads several mailboxes through an interface",
    rules={
        "B9": "more than five mailboxes in ten minutes through Graph or Exchange Web Services",
        "B9b": "any read by an application through Exchange Web Services",
        "B9c": "any read by an application through Graph",
    },
    parameters={
        "minutes": 10,
        "mailboxes": 5,
        "graph": GRAPH,
        "ews_prefix": "Client=WebServices;ExchangeWebServices",
    },
    source="Splunk security_content, O365 multiple mailboxes accessed via API, and OAuth application mailbox "
    "access via EWS and via Graph API",
    leaves_out="The rule counts user names; here mailboxes are counted, because one application may act under one "
    "name. B9b and B9c have no schedule: one alert per client, mailbox and UTC day.",
    reads=READS,
    alerts=alerts,
)

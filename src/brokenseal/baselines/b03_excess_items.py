"""B3: one record that stands for very many items, or after which auditing was throttled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, mailbox_subject, rows_of, unite
from brokenseal.clusters import with_network

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
        "is_throttled",
        "operation_count",
        "client_ip",
        "ip_class",
    ),
    "events": ("event_id", "record_type"),
    "sign_ins": ("client_ip", "asn"),
}
THROTTLED_ITEMS = 1000
"""Auditing of single reads stops after so many in 24 hours (Microsoft Purview, MailItemsAccessed)."""


def alerts(
    tables: Tables, *, record_type: int, items: int, items_raised: int, security_proxies: Sequence[int]
) -> ir.Table:
    """Records above either number of items; the raised one leaves out proxies and makes one alert of each day."""
    rows = rows_of(tables, READS, "mail_accesses")
    kinds = rows_of(tables, READS, "events")
    rows = rows.semi_join(kinds.filter(kinds.record_type == record_type), "event_id")
    rows = rows.mutate(
        throttled=rows.is_throttled.fill_null(ibis.literal(value=False)),
        items=rows.operation_count.fill_null(0),
        day=rows.occurred_at.truncate("D"),
        mailbox=mailbox_subject(rows),
    )
    rows = rows.mutate(size=ibis.greatest(rows["items"], ibis.ifelse(rows.throttled, THROTTLED_ITEMS, 0)))
    first = rows.filter(rows.throttled | (rows["items"] >= items))
    placed = with_network(rows.filter(rows.throttled | (rows["items"] >= items_raised)), tables)
    proxies = [f"asn:{number}" for number in security_proxies]
    second = placed.filter(placed.network.isnull() | ~placed.network.isin(proxies))
    most = second["size"].max().over(ibis.window(group_by=[second.tenant_id, second.mailbox, second.day]))
    return unite(
        [
            as_alerts(first, rule="B3", subject=first.mailbox, score=first["size"] * 1000),
            as_alerts(
                second,
                rule="B3-250",
                subject=second.mailbox,
                score=most * 1000,
                together=("tenant_id", "mailbox", "day"),
            ),
        ]
    )


BASELINE = Baseline(
    id="B3",
    title="Very many items read at once",
    rules={
        "B3": "a record of at least 100 items, or a throttled one",
        "B3-250": "at least 250 items or throttled, security proxies left out, one alert per mailbox and day",
    },
    parameters={"record_type": 50, "items": 100, "items_raised": 250, "security_proxies": (22616, 53813, 62044)},
    source="Elastic detection-rules, excessive mail items accessed (7fc95782); raised values and left-out networks of "
    "pull request 6852",
    leaves_out="One alert per mailbox and 24 hours is counted by UTC day. The networks of the proxy service (Zscaler) "
    "are three of its public AS numbers, found only where a sign-in resolved the address.",
    reads=READS,
    alerts=alerts,
)

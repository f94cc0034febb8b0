"""B10: one session, or one user within minutes, at several addresses or in several programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, rows_of, slot, unite

if TYPE_CHECKING:
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
        "client_ip",
        "user_agent",
        "session_id",
        "succeeded",
    )
}


def alerts(tables: Tables, *, addresses: int, minutes: int, events: int, agents: int, apps: int) -> ir.Table:
    """Sessions of several addresses; users of several addresses, or of several agents and programs, in one bucket."""
    rows = rows_of(tables, READS, "sign_ins")
    rows = rows.filter(
        rows.actor_key.notnull(), rows.occurred_at.notnull(), rows.succeeded.fill_null(ibis.literal(value=False))
    )
    rows = slot(rows.mutate(tenant=rows.tenant_id.fill_null("")), minutes)
    logins = rows.filter(rows.category == "audit_log", rows.session_id.notnull())
    silent = rows.filter(rows.category == "non_interactive")
    session = ("tenant", "actor_key", "session_id")
    bucket = ("tenant", "actor_key", "slot_day", "slot_no")
    return unite(
        [
            _above(logins, session, "B10", addresses=addresses),
            _above(silent, bucket, "B10b", addresses=addresses),
            _above(rows, bucket, "B10c", events=events, agents=agents, apps=apps),
        ]
    )


def _above(rows: ir.Table, keys: tuple[str, ...], rule: str, **most: int) -> ir.Table:
    """The rows of groups that are above every number; scored by the first of them."""
    counted = rows.group_by(list(keys)).aggregate(
        addresses=rows.client_ip.nunique(),
        events=rows.event_id.nunique(),
        agents=rows.user_agent.nunique(),
        apps=rows.app_id.nunique(),
    )
    counted = counted.filter(*(counted[name] > number for name, number in most.items()))
    counted = counted.select(*keys, score_millis=counted[next(iter(most))] * 1000)
    rows = rows.inner_join(counted, list(keys))
    return as_alerts(
        rows, rule=rule, subject=rows.actor_key, mailbox=rows.actor_key, score=rows.score_millis, together=keys
    )


BASELINE = Baseline(
    id="B10",
    title="One session or user at several addresses or in several programs",
    rules={
        "B10": "sign-ins of one session in the audit log from more than one address",
        "B10b": "non-interactive sign-ins of one user from more than one address in five minutes",
        "B10c": "more than five sign-ins of one user with more than five agents and two programs in five minutes",
    },
    parameters={"addresses": 1, "minutes": 5, "events": 5, "agents": 5, "apps": 2},
    source="Splunk security_content, O365 concurrent sessions from different addresses; Azure AD concurrent sessions; "
    "O365 several agents and programs of one user",
    leaves_out="Buckets of five minutes begin at full hours.",
    reads=READS,
    alerts=alerts,
)

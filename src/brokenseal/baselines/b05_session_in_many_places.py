"""B5: one session that signs in at one network and asks Graph from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import Baseline, as_alerts, rows_of
from brokenseal.baselines._graph import READS as GRAPH_READS
from brokenseal.baselines._graph import USER_SIGN_INS, requests
from brokenseal.clusters import with_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "graph_requests": GRAPH_READS["graph_requests"],
    "sign_ins": (
        *GRAPH_READS["sign_ins"],
        "event_id",
        "occurred_at",
        "tenant_id",
        "app_id",
        "ip_class",
        "session_id",
        "succeeded",
    ),
}
_COLUMNS = (
    "event_id",
    "occurred_at",
    "tenant_id",
    "session_id",
    "app_id",
    "subject_id",
    "actor_key",
    "client_ip",
    "network",
)


def alerts(
    tables: Tables, *, every_minutes: int, overlap_minutes: int, microsoft: Sequence[int], left_out: Sequence[str]
) -> ir.Table:
    """Sessions seen in one run at sign-ins of some networks and at requests of none but others, minutes later."""
    sign_ins = rows_of(tables, READS, "sign_ins")
    sign_ins = sign_ins.filter(
        sign_ins.category.isin(USER_SIGN_INS), sign_ins.succeeded.fill_null(ibis.literal(value=False))
    )
    asked = requests(tables).select(*_COLUMNS, is_graph=ibis.literal(value=True))
    signed = with_network(sign_ins, tables).select(*_COLUMNS, is_graph=ibis.literal(value=False))
    rows = asked.union(signed)
    names = [f"asn:{number}" for number in microsoft]
    rows = rows.filter(
        rows.session_id.notnull(),
        rows.app_id.notnull(),
        rows.subject_id.notnull(),
        rows.network.startswith("asn:"),
        ~rows.network.isin(names),
        ~rows.app_id.isin(left_out),
    )
    rows = _in_runs(rows, every_minutes * 60, overlap_minutes * 60)
    key = ["run_day", "run_no", "tenant_id", "session_id", "app_id", "subject_id"]
    fired = _fired(rows, key)
    rows = rows.semi_join(fired, key)
    return as_alerts(
        rows,
        rule="B5",
        subject=ibis.coalesce(rows.actor_key, rows.subject_id),
        mailbox=rows.actor_key,
        # What later runs of the day say of the same session is the same alert.
        together=("run_day", "session_id", "app_id", "subject_id", "tenant_id"),
    )


def _in_runs(rows: ir.Table, every_s: int, overlap_s: int) -> ir.Table:
    """Each row in the run of its time, and in the next where that reaches back so far; runs end with the UTC day."""
    rows = rows.mutate(run_day=rows.occurred_at.truncate("D"))
    rows = rows.mutate(second=rows.occurred_at.delta(rows.run_day, unit="second"))
    rows = rows.mutate(run_no=rows.second // every_s)
    late = rows.filter(rows.second % every_s >= every_s - overlap_s)
    return rows.union(late.mutate(run_no=late.run_no + 1)).drop("second")


def _fired(rows: ir.Table, key: list[str]) -> ir.Table:
    networks = rows.group_by([*key, "network"]).aggregate(
        asks=rows.is_graph.any(),
        signs=(~rows.is_graph).any(),
    )
    shared = networks.filter(networks.asks & networks.signs)
    sessions = rows.group_by(key).aggregate(
        asked_at=rows.occurred_at.min(where=rows.is_graph),
        signed_at=rows.occurred_at.min(where=~rows.is_graph),
        addresses=rows.client_ip.nunique(),
        networks=rows.network.nunique(),
    )
    fired = sessions.filter(
        sessions.asked_at.notnull(),
        sessions.signed_at.notnull(),
        sessions.addresses > 1,
        sessions.networks > 1,
        sessions.asked_at.delta(sessions.signed_at, unit="second") > 0,
    )
    return fired.anti_join(shared, key)


BASELINE = Baseline(
    id="B5",
    title="A session that signs in at one network and asks Graph from another",
    rules={"B5": "sign-ins and requests of one session, application and user without a network in common"},
    parameters={
        "every_minutes": 30,
        "overlap_minutes": 1,
        "microsoft": (3598, 8068, 8069, 8070, 8071, 8072, 8073, 8074, 8075, 12076),
        "left_out": ("00000000-0000-0000-0000-000000000000",),
    },
    source="Elastic detection-rules, session used from several addresses across sign-ins and Graph",
    leaves_out="The rule excludes about 20 applications by id, which are not ours to copy: give ids as `left_out`. "
    "Organisations are AS numbers, as far as a sign-in resolved the address. Graph logs name the session only in newer "
    "exports.",
    reads=READS,
    alerts=alerts,
)

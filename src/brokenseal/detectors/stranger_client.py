"""Who reads this mailbox, and is this one new in a way in which new things usually are not?

Every session cluster is judged by what the mailbox, the people of its network and the tenant had used before it: the
application, the network and the machine. Rarity alone is no case: new telephones, journeys and roll-outs are rare too.
It is one question among several, and the weights of the others depend on its answer.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import ibis
import pyarrow as pa

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import clusters_of, with_network
from brokenseal.detectors._hits import DAY_S, as_hits, fired_reads
from brokenseal.detectors._surprisal import Seen, Surprise, surprises
from brokenseal.model import Detector, Limit, Severity, Variant
from brokenseal.schema import MARK
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "mail_access.stranger_client"
READS = {
    "mail_accesses": CLUSTER_READS["mail_accesses"],
    "sign_ins": (
        *CLUSTER_READS["sign_ins"],
        "occurred_at",
        "category",
        "actor_key",
        "ip_class",
        "succeeded",
        "device_id",
    ),
}

HISTORY_DAYS: Final = 14
"""Nothing is strange in a mailbox, or a tenant, that the logs have shown for less."""
RECENT_DAYS: Final = 14
"""What a stranger does again within so many days of its first visit is still a stranger's doing."""
STRANGE_NATS: Final = 14.0
"""From here on a first visit makes those after it recent."""
_EDGES: Final = (8, 10, 12, 14, 16, 18, 22)

BINS: Final = {
    **{f"{low}-{high}": f"surprisal of {low} to {high} nats" for low, high in itertools.pairwise(_EDGES)},
    f"{_EDGES[-1]}+": f"surprisal above {_EDGES[-1]} nats",
    "recent": f"a client whose first visit, at most {RECENT_DAYS} days ago, was above {STRANGE_NATS:g} nats",
}


def judged_rows(tables: Tables) -> ir.Table:
    """What is judged: one row per session cluster, with whether a device known before vouches for the network.

    Returns: unit, tenant_id, mailbox_key, app, network, agent (strings), first_at (time), is_vouched (boolean).
    """
    units = clusters_of(tables)
    vouchers = _vouchers(tables)
    rows = units.select("cluster", "tenant_id", "mailbox_key", "actor_key", "app", "network", "agent", "first_at")
    met = rows.inner_join(vouchers, [rows.actor_key == vouchers.voucher, rows.network == vouchers.voucher_network])
    age_s = met.first_at.delta(met.vouched_at, unit="second")
    vouched = met.filter(age_s >= 0, age_s <= DAY_S).select(vouched="cluster").distinct()
    rows = rows.left_join(vouched, rows.cluster == vouched.vouched)
    return rows.select(
        unit=rows.cluster,
        tenant_id=rows.tenant_id,
        mailbox_key=rows.mailbox_key,
        app=rows.app,
        network=rows.network,
        agent=rows.agent,
        first_at=rows.first_at,
        is_vouched=rows.vouched.notnull(),
    )


def _vouchers(tables: Tables) -> ir.Table:
    """Interactive sign-ins by a device that the account had used a day before or earlier: who, where, when."""
    sign_ins = tables["sign_ins"].select(*READS["sign_ins"]).distinct()
    sign_ins = sign_ins.filter(
        sign_ins.category == "interactive",
        sign_ins.succeeded.fill_null(ibis.literal(value=False)),
        sign_ins.actor_key.notnull(),
        sign_ins.device_id.notnull(),
        sign_ins.device_id != "",
    )
    of_device = ibis.window(group_by=[sign_ins.actor_key, sign_ins.device_id])
    sign_ins = sign_ins.mutate(device_since=sign_ins.occurred_at.min().over(of_device)).drop("asn")
    sign_ins = sign_ins.filter(sign_ins.occurred_at.delta(sign_ins.device_since, unit="second") >= DAY_S)
    placed = with_network(sign_ins, tables)
    return placed.select(voucher="actor_key", voucher_network="network", vouched_at="occurred_at").distinct()


def judge(tables: Tables, *, every_visit: bool = True) -> list[Surprise]:
    """Every session cluster with its surprisal, in the order of time; `every_visit` as for `surprises`."""
    rows = judged_rows(tables)
    columns = rows.mutate(at_us=rows.first_at.cast("timestamp('UTC', 6)")).drop("first_at").to_pyarrow()
    at_us = columns.column("at_us").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    names = ("unit", "tenant_id", "mailbox_key", "app", "network", "agent", "is_vouched")
    values = [columns.column(name).to_pylist() for name in names]
    seen = (
        Seen(unit, tenant or "", mailbox, app, network, agent, at, is_vouched)
        for unit, tenant, mailbox, app, network, agent, is_vouched, at in zip(*values, at_us, strict=True)
    )
    return surprises(seen, every_visit=every_visit)


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster that is strange or cannot be judged; see `schema.MARK`."""
    marks = [(one.unit, *_marked(one)) for one in judge(tables, every_visit=False)]
    marks = [row for row in marks if row[1] != "quiet"]
    units, states, bins, reasons = zip(*marks, strict=True) if marks else ((), (), (), ())
    said = {"unit": units, "state": states, "bin": bins, "reason": reasons}
    columns = [
        pa.array(said[name], kind) if name in said else pa.nulls(len(units), kind)
        for name, kind in zip(MARK.names, MARK.arrow_schema().types, strict=True)
    ]
    return ibis.memtable(pa.table(columns, schema=MARK.arrow_schema()), schema=MARK.ibis_schema())


def _marked(one: Surprise) -> tuple[str, str | None, str | None]:
    """State, bin and reason."""
    if min(one.history_days, one.tenant_days) < HISTORY_DAYS:
        return "not_assessable", None, "short_history"
    name = bin_of(one)
    return ("quiet" if name is None else "fired"), name, None


def bin_of(one: Surprise) -> str | None:
    """The bin of a cluster with history; None for what is usual there."""
    if one.since_days >= 0:
        return "recent" if one.first_nats >= STRANGE_NATS and one.since_days <= RECENT_DAYS else None
    if one.nats >= _EDGES[-1]:
        return f"{_EDGES[-1]}+"
    return next((f"{low}-{high}" for low, high in itertools.pairwise(_EDGES) if low <= one.nats < high), None)


def find(tables: Tables) -> ir.Table:
    """The reads of strange clusters, by cluster."""
    rows = fired_reads(tables, ID, mark)
    mailbox = ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)
    return as_hits(
        rows,
        group_key=rows.cluster.concat(" ", mailbox),
        variant=ibis.ifelse(rows.bin == "recent", "still_strange", "strange"),
        role="read",
        about=rows.effective_app.fill_null("").concat(" ", rows.network, " ", rows.agent),
        weight={"unit": rows.cluster, "bin": rows.bin},
    )


def histories(tables: Tables) -> ir.Table:
    """Each mailbox, and whether the logs show it long enough for anything to be strange there."""
    rows = clusters_of(tables)
    spans = rows.group_by(subject=rows.mailbox_key).aggregate(first_at=rows.first_at.min(), last_at=rows.first_at.max())
    return spans.select(
        subject=spans.subject,
        assessable=spans.last_at.delta(spans.first_at, unit="second") >= HISTORY_DAYS * DAY_S,
    )


_INNOCENT = phrase(
    "New telephones, journeys, other operators and new programs look the same on their first day; how often they do "
    "was counted."
)
_SETTLES = phrase("Ask the owner whether they know the client and were at that place; look for a sign-in from there.")

DETECTOR = Detector(
    id=ID,
    title=phrase("Clients that are strange in the mailbox that they read"),
    reads=READS,
    needs=("mail_access",),
    silent_without=("mail_access",),
    family="stranger",
    mark=mark,
    bins=BINS,
    variants={
        "strange": Variant(
            title=phrase("Mail of {mailboxes} was read by a client that is strange there: {objects}"),
            severity=Severity.MEDIUM,
            attack=("T1114.002", "T1078.004"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "still_strange": Variant(
            title=phrase("A client that was strange to {mailboxes} days before read mail again: {objects}"),
            severity=Severity.MEDIUM,
            attack=("T1114.002", "T1078.004"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
    limit=Limit(
        subjects=histories,
        reason=phrase(
            "{n} of {total} mailbox(es) have less than 14 days between their first and last record, "
            "so that no client of theirs can be called strange."
        ),
    ),
)

"""Who reads this mailbox, and is this one new in a way in which new things usually are not?

Every session cluster is judged by what the mailbox, the people of its network and the tenant had used before it: the
application, the network and the machine. Rarity alone is no case: new telephones, journeys and roll-outs are rare too.
It is one question among several, and the weights of the others depend on its answer.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import clusters_of, with_network
from brokenseal.detectors._hits import DAY_S, as_hits, fired_reads
from brokenseal.detectors._surprisal import DAY_US, Seen, Surprise, surprises
from brokenseal.model import Detector, Limit, Severity, Variant
from brokenseal.numbering import numbered, numbered_rows, shared
from brokenseal.schema import MARK
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir
    import numpy.typing as npt

    from brokenseal.model import Tables

    Codes = npt.NDArray[np.int64]

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

_BY_NATS: Final = (None, *(f"{low}-{high}" for low, high in itertools.pairwise(_EDGES)), f"{_EDGES[-1]}+")
"""Bin by how many edges are reached."""
_SHORT: Final = -1

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


def _judged_columns(tables: Tables) -> pa.Table:
    """`judged_rows` in the order of time, in columns named and typed as the fields of `Seen`."""
    rows = judged_rows(tables)
    found = rows.select(
        "unit",
        "app",
        "network",
        "agent",
        "is_vouched",
        tenant=rows.tenant_id.fill_null(""),
        mailbox=rows.mailbox_key,
        at_us=rows.first_at.cast("timestamp('UTC', 6)"),
    ).to_pyarrow()
    at_us = found.column("at_us").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    found = found.set_column(found.schema.get_field_index("at_us"), "at_us", at_us).select(Seen._fields)
    return found.sort_by([("at_us", "ascending"), ("unit", "ascending")])


def _seen(columns: pa.Table) -> Iterator[Seen]:
    values = (
        shared(column) if pa.types.is_string(column.type) else column.to_pylist()
        for column in map(columns.column, Seen._fields)
    )
    return itertools.starmap(Seen, zip(*values, strict=True))


def judge(tables: Tables) -> list[Surprise]:
    """Every session cluster with its surprisal, in the order of time."""
    return surprises(_seen(_judged_columns(tables)))


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster that is strange or cannot be judged; see `schema.MARK`."""
    return ibis.memtable(marks_of(_judged_columns(tables)), schema=MARK.ibis_schema())


def marks_of(columns: pa.Table) -> pa.Table:
    """The marks of what `judge` says, of one pass over the first visit of each client on each day alone.

    What follows on the same day teaches nothing, and is judged by when its client first came.

    Args:
        columns: The fields of `Seen`, in the order of at_us, then unit.

    Returns: Rows of `schema.MARK`.
    """
    at_us = columns.column("at_us").to_numpy()
    days = (at_us - at_us.min(initial=np.iinfo(np.int64).max)) // DAY_US
    of = {name: numbered(columns.column(name))[0] for name in ("tenant", "mailbox", "app", "network", "agent")}
    tenants, mailboxes = of["tenant"], numbered_rows(of["tenant"], of["mailbox"])
    clients = numbered_rows(mailboxes, of["app"], of["network"], of["agent"])
    taught = np.sort(np.unique(numbered_rows(clients, days), return_index=True)[1])
    first = np.unique(clients, return_index=True)[1]
    nats = np.zeros(len(first))
    for place, one in zip(taught, surprises(_seen(columns.take(taught)), every_visit=False), strict=True):
        if one.since_days < 0:
            nats[clients[place]] = one.nats
    shown = np.minimum(_days_since_first(at_us, tenants), _days_since_first(at_us, mailboxes))
    is_first = np.zeros(len(at_us), dtype=bool)
    is_first[first] = True
    nats, since = nats[clients], _days_since_first(at_us, clients)
    recent = np.where((nats >= STRANGE_NATS) & (since <= RECENT_DAYS), len(_BY_NATS), 0)
    bins = np.where(is_first, np.searchsorted(_EDGES, nats, side="right"), recent)
    bins[shown < HISTORY_DAYS] = _SHORT
    said = np.flatnonzero(bins)
    is_short = pa.array(bins[said] == _SHORT)
    names = pa.array([None, *_BY_NATS[1:], "recent"], pa.string())
    given = {
        "unit": columns.column("unit").take(said).combine_chunks(),
        "state": pc.if_else(is_short, "not_assessable", "fired"),
        "bin": names.take(pa.array(np.where(bins[said] == _SHORT, 0, bins[said]))),
        "reason": pc.if_else(is_short, "short_history", pa.scalar(None, pa.string())),
    }
    kinds = zip(MARK.names, MARK.arrow_schema().types, strict=True)
    rows = [given.get(name, pa.nulls(len(said), kind)) for name, kind in kinds]
    return pa.table(rows, schema=MARK.arrow_schema())


def _days_since_first(at_us: Codes, of: Codes) -> npt.NDArray[np.float64]:
    """Days since the first row of the same number; rows are in the order of time."""
    days: npt.NDArray[np.float64] = (at_us - at_us[np.unique(of, return_index=True)[1]][of]) / DAY_US
    return days


def bin_of(one: Surprise) -> str | None:
    """The bin of a cluster with history; None for what is usual there."""
    if one.since_days >= 0:
        return "recent" if one.first_nats >= STRANGE_NATS and one.since_days <= RECENT_DAYS else None
    return _BY_NATS[bisect_right(_EDGES, one.nats)]


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

"""Session clusters: what one hand did in one mailbox, without a long pause. They are what evidence is about.

A cluster is all reading of one mailbox by one identity in one session (or, where the log names none, with one client
from one network), until nothing follows for twelve hours. A case consists of clusters; a false alarm is a cluster of an
authorised use that was taken for an intruder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.client_marks import browser_family, machine, narrow_network, wide_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

SILENCE_S: Final = 12 * 3600
"""A pause that ends a cluster."""

READS: Final = {
    "mail_accesses": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "mailbox_key",
        "mailbox_upn",
        "actor_key",
        "user_type",
        "logon_type",
        "access_type",
        "is_throttled",
        "item_entries",
        "folder_id",
        "folder_path",
        "client_ip",
        "ip_class",
        "client_type",
        "protocol",
        "user_agent",
        "effective_app",
        "session_id",
        "token_id_raw",
        "token_id",
        "token_issued_at",
        "token_subject",
        "token_tenant_id",
        "auth_type",
        "token_type",
    ),
    "sign_ins": ("client_ip", "asn"),
}
"""The columns that are read."""
_HAND: Final = ("tenant_key", "mailbox_key", "identity", "hand")
"""What tells one hand from another."""


def members(tables: Tables) -> ir.Table:
    """Every mail access with the cluster that it is in.

    Returns: one row per distinct mail access that names a mailbox: the columns read, and
        `cluster` (string, event id of the cluster's first record), `identity` (string, who acts: the token's subject
        where the log gives it, else the folded name), `app` (string, `effective_app|protocol`), `network` (string,
        `MS`, `asn:<number>` or `net:<first two parts>`; null without an address), `agent` (string, machine and browser,
        or the kind of client), `provenance` (string, the class of clients whose tokens come about alike).
    """
    rows = each_once(tables, "mail_accesses", READS["mail_accesses"])
    rows = rows.filter(rows.mailbox_key.notnull(), rows.occurred_at.notnull())
    rows = with_network(rows, tables)
    rows = rows.mutate(
        tenant_key=rows.tenant_id.fill_null(""),
        identity=ibis.coalesce(rows.token_subject, rows.actor_key, ""),
        app=ibis.coalesce(rows.effective_app, "").concat("|", rows.protocol.fill_null("other")),
        agent=ibis.coalesce(browser_family(rows.user_agent), machine(rows.user_agent), rows.client_type, "other"),
    )
    rows = rows.mutate(provenance=_provenance(rows), network=rows.network.fill_null("none"))
    hand = rows.session_id.fill_null(rows.app.concat(" ", rows.agent)).concat(" ", rows.network)
    rows = rows.mutate(hand=hand, hour=rows.occurred_at.truncate("h"))
    keys = [*_HAND, "hour"]
    return rows.inner_join(_hours(rows.select("event_id", "occurred_at", *keys)), keys).drop(
        "hand", "tenant_key", "hour"
    )


ONCE: Final = "once:"
"""Before the name of a table: under this key a runner hands over the same table where it knows that no two rows have
one event id. To look for copies among whole records is a quarter of what detectors do."""


def is_known_once(tables: Tables, name: str) -> bool:
    """Whether the runner knows that each event id stands in one row."""
    return f"{ONCE}{name}" in tables


def each_once(tables: Tables, name: str, columns: Sequence[str]) -> ir.Table:
    """Columns of a table, the event id among them, each record once however often it was delivered."""
    known = tables.get(f"{ONCE}{name}")
    return tables[name].select(*columns).distinct() if known is None else known.select(*columns)


def _hours(rows: ir.Table) -> ir.Table:
    """The hours in which each hand read, with the cluster of what it read in them; no hour holds a pause.

    Records are put in no order, because sorting all of them is most of the time that this would take.

    Returns: the columns of `_HAND`, hour and cluster.
    """
    hours = rows.group_by([*_HAND, "hour"]).aggregate(first_at=rows.occurred_at.min(), last_at=rows.occurred_at.max())
    in_order = ibis.window(group_by=[*_HAND], order_by="hour")
    before = hours.last_at.lag(1).over(in_order)
    begins = before.isnull() | (hours.first_at.delta(before, unit="second") > SILENCE_S)
    # Nothing but the beginning of a run is named by its time, so that the last one named is that of the run.
    hours = hours.mutate(begun_at=ibis.ifelse(begins, hours.first_at, None))
    up_to_here = ibis.cumulative_window(group_by=[*_HAND], order_by="hour")
    hours = hours.select(*_HAND, "hour", begun_at=hours.begun_at.max().over(up_to_here))
    # The first records of a run are those of its first time; the least event id of them is its name.
    begun = hours.select(*_HAND, occurred_at="begun_at").distinct()
    named = rows.semi_join(begun, [*_HAND, "occurred_at"]).group_by([*_HAND, "occurred_at"])
    named = named.aggregate(cluster=rows.event_id.min()).rename(begun_at="occurred_at")
    return hours.inner_join(named, [*_HAND, "begun_at"]).drop("begun_at")


def members_of(tables: Tables) -> ir.Table:
    """`members`, as the runner has it at hand under that name, else its own expression."""
    found = tables.get("members")
    return members(tables) if found is None else found


VISIT: Final = (
    "cluster",
    "tenant_id",
    "mailbox_key",
    "mailbox_upn",
    "actor_key",
    "identity",
    "user_type",
    "client_ip",
    "ip_class",
    "user_agent",
    "effective_app",
    "session_id",
    "token_id_raw",
    "token_id",
    "token_issued_at",
    "token_subject",
    "token_tenant_id",
    "app",
    "network",
    "agent",
)
"""What the records of a visit have in common."""


def visits(rows: ir.Table) -> ir.Table:
    """The members of each cluster that are alike in all that marks look at, as one row with its first and last time.

    A question that asks for any, least or greatest is answered by visits as by records, of which there are six or more
    to a visit.

    Returns: the columns of `VISIT`, occurred_at (time of the first record) and last_at.
    """
    return (
        rows.group_by(VISIT)
        .aggregate(last_at=rows.occurred_at.max(), first_at=rows.occurred_at.min())
        .rename(occurred_at="first_at")
    )


def visits_of(tables: Tables) -> ir.Table:
    """`visits` of all members, as the runner has it at hand under that name, else its own expression."""
    found = tables.get("visits")
    return visits(members_of(tables)) if found is None else found


def clusters_of(tables: Tables) -> ir.Table:
    """`clusters` of all members, as the runner has it at hand under that name, else its own expression."""
    found = tables.get("clusters")
    if found is not None:
        return found
    return clusters(members_of(tables), each_once=is_known_once(tables, "mail_accesses"))


def _provenance(rows: ir.Table) -> ir.StringValue:
    """Tokens of one class come about in the same way, so that their share without a sign-in is one number."""
    origin = ibis.ifelse((rows.ip_class == "microsoft").fill_null(ibis.literal(value=False)), "ms", "out")
    acting = ibis.cases(
        (rows.user_type.isin((5, 6)), "app"), (rows.user_type.isin((3, 4)), "service"), else_="user"
    ).fill_null("user")
    return rows.app.concat("|", origin, "|", acting)


def with_network(rows: ir.Table, tables: Tables) -> ir.Table:
    """The rows with `network` (string): the operator of `client_ip` as the sign-in logs resolved it.

    An address that no sign-in resolved takes the operator of its neighbours (the first three parts alike), else the
    first two parts stand for the network. Nothing outside the logs is asked.
    """
    known = tables["sign_ins"].select(*READS["sign_ins"])
    known = known.filter(known.asn.notnull(), known.client_ip.notnull()).distinct()
    exact = known.group_by(known_ip="client_ip").aggregate(exact_asn=known.asn.max())
    beside = known.mutate(near=narrow_network(known.client_ip))
    beside = beside.filter(beside.near.notnull()).group_by("near").aggregate(near_asn=beside.asn.max())
    rows = rows.left_join(exact, rows.client_ip == exact.known_ip).drop("known_ip")
    rows = rows.left_join(beside, narrow_network(rows.client_ip) == beside.near).drop("near")
    asn = ibis.coalesce(rows.exact_asn, rows.near_asn)
    network = ibis.cases(
        (rows.ip_class == "microsoft", "MS"),
        (asn.notnull(), ibis.literal("asn:").concat(asn.cast("string"))),
        (rows.client_ip.notnull(), ibis.literal("net:").concat(wide_network(rows.client_ip))),
        else_=None,
    )
    return rows.mutate(network=network).drop("exact_asn", "near_asn")


def clusters(rows: ir.Table, *, each_once: bool = False) -> ir.Table:
    """One row per cluster of `members`.

    Args:
        rows: Of `members`.
        each_once: It is known that no two of them have one event id.

    Returns: cluster, tenant_id, mailbox_key, mailbox_upn, identity, actor_key, session_id, app, network, agent,
        provenance, first_at, last_at (times), records, binds, syncs, entries (int64, item entries), folders (int64,
        distinct), is_throttled (boolean), is_owner (boolean, null where the log does not say), addresses (int64).
    """

    def records(where: ir.BooleanValue | None = None) -> ir.IntegerScalar:
        return rows.count(where=where) if each_once else rows.event_id.nunique(where=where)

    return rows.group_by("cluster").aggregate(
        tenant_id=rows.tenant_id.max(),
        mailbox_key=rows.mailbox_key.max(),
        mailbox_upn=rows.mailbox_upn.max(),
        identity=rows.identity.max(),
        actor_key=rows.actor_key.max(),
        session_id=rows.session_id.max(),
        app=rows.app.min(),
        network=rows.network.min(),
        agent=rows.agent.min(),
        provenance=rows.provenance.min(),
        first_at=rows.occurred_at.min(),
        last_at=rows.occurred_at.max(),
        records=records(),
        binds=records(rows.access_type == "bind"),
        syncs=records(rows.access_type == "sync"),
        entries=rows.item_entries.sum(),
        folders=ibis.coalesce(rows.folder_id, rows.folder_path).nunique(),
        is_throttled=rows.is_throttled.fill_null(ibis.literal(value=False)).any(),
        is_owner=(rows.logon_type == 0).any(),
        addresses=rows.client_ip.nunique(),
    )

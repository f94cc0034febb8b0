"""Who went through a door: reading that it made possible, and whether it was closed again afterwards.

Reading that was going on before the door was opened needs no door, and is no use of it: by the same account in the same
mailbox, or by the same application from the same network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import visits_of, with_network
from brokenseal.detectors._door_kinds import OF_APPLICATIONS, OF_GRANTEES
from brokenseal.detectors._door_openings import READS as OPENING_READS
from brokenseal.detectors._door_openings import RESOURCES
from brokenseal.detectors._hits import DAY_S, rows_of, together

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS: Final = {
    "mail_accesses": CLUSTER_READS["mail_accesses"],
    "graph_requests": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "app_id",
        "reads_mail",
        "status_code",
        "client_ip",
        "ip_class",
    ),
}

USE_S: Final = 7 * DAY_S
"""What is read so long after a door was opened uses it; later reading is not ascribed to it."""
CLOSED_S: Final = 7 * DAY_S
"""A door is closed after use where its right is taken away so soon after it."""
_FIRST_ERROR: Final = 400

_CLOSING: Final = {
    "mailbox_permission": "remove-mailboxpermission",
    "recipient_permission": "remove-recipientpermission",
    "folder_permission": "remove-mailboxfolderpermission",
}
"""Cmdlet that takes a right of each kind of change away again."""


NAME: Final = "door_uses"
"""Under this name a runner hands `uses` over, worked out once for all who ask."""


def uses_of(opened: ir.Table, tables: Tables) -> ir.Table:
    """`uses`, as the runner has it at hand under `NAME`, else its own expression."""
    found = tables.get(NAME)
    return uses(opened, door_apps(opened, tables), tables) if found is None else found


def door_apps(opened: ir.Table, tables: Tables) -> ir.Table:
    """The applications that each door may be of: the one that its record names, else all that bear its name.

    Names are no proof of identity, and anybody can make a second application of the same name; so all of them count.

    Returns: event_id, app (strings), distinct; no row for a door whose application no record identifies.
    """
    doors = opened.filter(opened.kind.isin((*OF_APPLICATIONS, "app_owner", "other_consent")))
    changes = rows_of(tables, OPENING_READS, "config_changes")
    sign_ins = tables["sign_ins"].select("app_id", "app_name")
    names = changes.select(app="changed_app_id", name="changed_app_name").union(
        sign_ins.select(app="app_id", name="app_name")
    )
    names = names.filter(names.app.notnull(), names.name.notnull(), ~names.app.isin(RESOURCES)).distinct()
    unnamed = doors.filter(doors.known_app.isnull(), doors.app_name.notnull())
    by_name = unnamed.inner_join(names, unnamed.app_name == names.name).select("event_id", "app")
    by_id = doors.filter(doors.known_app.notnull()).select("event_id", app="known_app")
    return by_id.union(by_name).distinct()


def uses(opened: ir.Table, apps: ir.Table, tables: Tables) -> ir.Table:
    """Reading that went through each door within a week.

    Args:
        opened: Rows of `openings`.
        apps: Rows of `door_apps`.
        tables: The store's tables.

    Returns: event_id and kind (of the door), cluster (string, null where only Microsoft Graph's own log shows it),
        first_at, last_at (times); distinct.
    """
    doors = opened.select(
        "event_id", "kind", "occurred_at", "tenant_id", "actor_key", "mailbox", "grantee_key", "is_wide"
    ).distinct()
    reads = visits_of(tables)
    reads = reads.select(
        "cluster",
        "effective_app",
        "network",
        "last_at",
        at=reads.occurred_at,
        read_tenant=reads.tenant_id,
        reader=reads.actor_key,
        read_mailbox=ibis.coalesce(reads.mailbox_upn, reads.mailbox_key),
    )
    return together(
        _by_grantees(doors, reads),
        _by_applications(doors, apps, reads),
        _by_unnamed_applications(doors, apps, reads),
        _by_requests(doors, apps, tables),
    )


def _same_tenant(rows: ir.Table) -> ir.BooleanValue:
    return (rows.tenant_id == rows.read_tenant) | rows.tenant_id.isnull() | rows.read_tenant.isnull()


def _follows(rows: ir.Table, since: ir.TimestampValue) -> ir.BooleanValue:
    """True for reading within a week of the door that began, after a first time `since`, with the door or later."""
    delay_s = rows.first_at.delta(rows.occurred_at, unit="second")
    return (since >= rows.occurred_at) & (delay_s <= USE_S)


def _found(rows: ir.Table) -> ir.Table:
    return rows.select("event_id", "kind", "cluster", "first_at", "last_at").distinct()


def _by_grantees(doors: ir.Table, reads: ir.Table) -> ir.Table:
    """Reading by accounts that were given a right: of the mailbox opened, or of any but their own."""
    granted = doors.filter(doors.kind.isin(OF_GRANTEES), doors.grantee_key.notnull())
    grantees = granted.select(wanted="grantee_key").distinct()
    mine = reads.semi_join(grantees, reads.reader == grantees.wanted)
    mine = mine.group_by("cluster", "read_tenant", "reader", "read_mailbox").aggregate(
        first_at=mine["at"].min(), last_at=mine.last_at.max()
    )
    pair = ibis.window(group_by=[mine.read_tenant, mine.reader, mine.read_mailbox])
    mine = mine.mutate(since=mine.first_at.min().over(pair))
    used = granted.inner_join(mine, granted.grantee_key == mine.reader)
    reaches = ibis.ifelse(
        used.kind == "impersonation", used.read_mailbox != used.grantee_key, used.read_mailbox == used.mailbox
    )
    return _found(used.filter(reaches, _same_tenant(used), _follows(used, used.since)))


def _by_applications(doors: ir.Table, apps: ir.Table, reads: ir.Table) -> ir.Table:
    """Reading by applications: of any mailbox, or of the one account that consented."""
    opened = doors.filter(doors.kind.isin(OF_APPLICATIONS))
    opened = opened.inner_join(apps, "event_id")
    wanted = opened.select(wanted="app").distinct()
    theirs = reads.semi_join(wanted, reads.effective_app == wanted.wanted)
    theirs = theirs.group_by("cluster", "read_tenant", "reader", "read_mailbox", "effective_app", "network").aggregate(
        first_at=theirs["at"].min(), last_at=theirs.last_at.max()
    )
    of_network = ibis.window(group_by=[theirs.read_tenant, theirs.effective_app, theirs.network])
    of_mailbox = ibis.window(group_by=[theirs.read_tenant, theirs.effective_app, theirs.read_mailbox])
    theirs = theirs.mutate(
        network_since=theirs.first_at.min().over(of_network), mailbox_since=theirs.first_at.min().over(of_mailbox)
    )
    used = opened.inner_join(theirs, opened.app == theirs.effective_app)
    own = (used.read_mailbox == used.actor_key) | (used.reader == used.actor_key).fill_null(ibis.literal(value=False))
    since = ibis.ifelse(used.is_wide, used.network_since, used.mailbox_since)
    return _found(used.filter(used.is_wide | own, _same_tenant(used), _follows(used, since)))


def _by_unnamed_applications(doors: ir.Table, apps: ir.Table, reads: ir.Table) -> ir.Table:
    """Where no record identifies the application: the opener's own reading by one that never read mail before."""
    unnamed = doors.filter(doors.kind.isin(OF_APPLICATIONS)).anti_join(apps, "event_id")
    openers = unnamed.select(wanted="actor_key").distinct()
    named = reads.filter(~reads.effective_app.startswith("proto:"))
    firsts = named.group_by(app_tenant="read_tenant", new_app="effective_app").aggregate(since=named["at"].min())
    mine = named.semi_join(openers, named.reader == openers.wanted)
    mine = mine.group_by("cluster", "read_tenant", "reader", "effective_app").aggregate(
        first_at=mine["at"].min(), last_at=mine.last_at.max()
    )
    tenant = mine.read_tenant.fill_null("")
    mine = mine.inner_join(firsts, [mine.effective_app == firsts.new_app, tenant == firsts.app_tenant.fill_null("")])
    used = unnamed.inner_join(mine, unnamed.actor_key == mine.reader)
    return _found(used.filter(_same_tenant(used), _follows(used, used.since)))


def _by_requests(doors: ir.Table, apps: ir.Table, tables: Tables) -> ir.Table:
    """Requests for mail by applications, as Microsoft Graph logs them; they belong to no session cluster."""
    opened = doors.filter(doors.kind.isin(OF_APPLICATIONS)).inner_join(apps, "event_id")
    wanted = opened.select(wanted="app").distinct()
    requests = tables["graph_requests"].select(*READS["graph_requests"])
    answered = (requests.status_code < _FIRST_ERROR).fill_null(ibis.literal(value=True))
    requests = requests.filter(requests.reads_mail, answered).semi_join(wanted, requests.app_id == wanted.wanted)
    requests = requests.group_by("tenant_id", "app_id", "client_ip", "ip_class").aggregate(
        at=requests.occurred_at.min()
    )
    requests = with_network(requests, tables)
    requests = requests.group_by(
        read_tenant="tenant_id", reading_app="app_id", network=requests.network.fill_null("none")
    ).aggregate(first_at=requests["at"].min())
    used = opened.inner_join(requests, opened.app == requests.reading_app)
    used = used.mutate(cluster=ibis.null("string"), last_at=used.first_at)
    return _found(used.filter(_same_tenant(used), _follows(used, used.first_at)))


def closed(opened: ir.Table, used: ir.Table, tables: Tables) -> ir.Table:
    """Doors whose right was taken away again within a week after their use.

    Exchange's own records of a removal name the object and not the account, so that a removal of another's right to
    the same mailbox counts too.

    Returns: event_id, kind, distinct.
    """
    spans = used.group_by("event_id", "kind").aggregate(first_at=used.first_at.min(), last_at=used.last_at.max())
    doors = opened.select(
        "event_id", "kind", "change", "tenant_id", "object_id", "target_key", "grantee_key"
    ).inner_join(spans, ["event_id", "kind"])
    changes = rows_of(tables, OPENING_READS, "config_changes")
    changes = changes.filter(
        changes.operation_key.startswith("remove"), changes.succeeded.fill_null(ibis.literal(value=True))
    ).select(ended_at="occurred_at", read_tenant="tenant_id", ended_target="target_key", ended_grantee="grantee_key")
    events = rows_of(tables, OPENING_READS, "events")
    events = events.filter(
        events.operation_key.isin(tuple(_CLOSING.values())), events.succeeded.fill_null(ibis.literal(value=True))
    ).select(ended_at="occurred_at", read_tenant="tenant_id", ended_by="operation_key", ended_object="object_id")
    by_name = doors.inner_join(
        changes, [doors.target_key == changes.ended_target, doors.grantee_key == changes.ended_grantee]
    )
    closing = ibis.cases(*((doors.change == change, cmdlet) for change, cmdlet in _CLOSING.items()))
    by_object = doors.inner_join(events, [doors.object_id == events.ended_object, closing == events.ended_by])
    return _ended(by_name).union(_ended(by_object)).distinct()


def _ended(rows: ir.Table) -> ir.Table:
    since_s = rows.ended_at.delta(rows.last_at, unit="second")
    return rows.filter(_same_tenant(rows), rows.ended_at >= rows.first_at, since_s <= CLOSED_S).select(
        "event_id", "kind"
    )

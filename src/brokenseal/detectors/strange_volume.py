"""How much left through a strange client?

How much is read says next to nothing by itself: people read much, and intruders may read little. Of a client that is
strange in the mailbox it says more, so that only such clusters are counted, and of them only messages that no usual
client had read there before.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts": binds are throttled above 1,000
a day, and a sync stands for all items of a folder.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import members_of
from brokenseal.detectors import stranger_client
from brokenseal.detectors._hits import as_hits, fired_reads
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "mail_access.strange_volume"
READS = {
    **stranger_client.READS,
    "accessed_items": ("event_id", "occurred_at", "mailbox_key", "kind", "internet_message_id", "item_id"),
}

_EDGES: Final = (1, 3, 6, 11, 31, 101, 301, 1001)
MOST: Final = _EDGES[-1] - 1
"""Above so many binds a day the service stops to record them."""

_COUNTED: Final = {
    f"{low}-{above - 1}": f"{low} to {above - 1} messages new to the mailbox's usual clients, on its busiest day"
    for low, above in itertools.pairwise(_EDGES)
}
BINS: Final = {
    **_COUNTED,
    "throttled": f"more than {MOST} on a day, or the service stopped to record reads: open upwards",
    "sync_folder": "whole folders went to it: open upwards",
}
REASONS: Final = (
    "usual_client",  # volume is judged of strange clients alone
    "short_history",  # it cannot be told whether the client is strange
    "items_unnamed",  # the records of its reads do not name what was read
)


def volumes(tables: Tables) -> ir.Table:
    """What each strange session cluster read.

    Returns: unit (string), busiest (int64, messages of its busiest day, UTC, that no usual client had read in the
        mailbox before; 0 where all were), named (int64, messages of any kind that its records name), syncs, binds
        (int64), is_throttled (boolean).
    """
    # A name makes it one part of the query, however often it is used there; without, it stands there as often.
    rows = members_of(tables).alias("reads_of_clusters")
    strange = _strange(tables)
    own = rows.semi_join(strange, rows.cluster == strange.unit)
    reads = own.group_by("cluster").aggregate(
        is_throttled=own.is_throttled.fill_null(ibis.literal(value=False)).any(),
        syncs=own.event_id.nunique(where=own.access_type == "sync"),
        binds=own.event_id.nunique(where=own.access_type == "bind"),
    )
    items = _messages(tables)
    placed = rows.select(member="event_id", cluster="cluster", mailbox="mailbox_key")
    placed = placed.semi_join(strange, placed.cluster == strange.unit)
    taken = items.inner_join(placed, items.event_id == placed.member).drop("member").alias("taken_messages")
    usual = rows.anti_join(strange, rows.cluster == strange.unit)
    known = _known(items.semi_join(taken, "message"), usual)
    taken = taken.left_join(known, [taken.mailbox == known.known_mailbox, taken.message == known.known_message])
    is_new = taken.known_since.isnull() | (taken.known_since >= taken.occurred_at)
    days = taken.group_by(["cluster", taken.occurred_at.truncate("D").name("day")]).aggregate(
        fresh=taken.message.nunique(where=is_new), named=taken.message.nunique()
    )
    most = days.group_by(busy="cluster").aggregate(busiest=days.fresh.max(), named=days.named.sum())
    reads = reads.left_join(most, reads.cluster == most.busy)
    return reads.select(
        unit=reads.cluster,
        busiest=reads.busiest.fill_null(0),
        named=reads.named.fill_null(0),
        syncs=reads.syncs,
        binds=reads.binds,
        is_throttled=reads.is_throttled,
    )


def _marks(tables: Tables) -> ir.Table:
    given = tables.get(f"marks:{stranger_client.ID}")
    return stranger_client.mark(tables) if given is None else given


def _strange(tables: Tables) -> ir.Table:
    """The units whose client is strange."""
    marks = _marks(tables)
    return marks.filter(marks.state == "fired").select("unit").distinct()


def _messages(tables: Tables) -> ir.Table:
    """Messages that records of reads name: event_id, occurred_at, message."""
    # Copies fall together where messages are counted.
    items = tables["accessed_items"].select(*READS["accessed_items"])
    items = items.filter((items.kind == "message") | items.kind.isnull())
    message = ibis.coalesce(items.internet_message_id, items.item_id)
    return items.filter(message.notnull()).select("event_id", "occurred_at", message=message)


def _known(items: ir.Table, reads: ir.Table) -> ir.Table:
    """Since when one of these reads first showed each message: known_mailbox, known_message, known_since.

    Programs of the service itself, which look into everything that arrives, are no readers.
    """
    people = reads.filter(~reads.provenance.contains("|ms|"), ~reads.app.endswith("|rest_system"))
    people = people.select(member="event_id", mailbox="mailbox_key")
    people = items.inner_join(people, items.event_id == people.member)
    return people.group_by(known_mailbox="mailbox", known_message="message").aggregate(
        known_since=people.occurred_at.min()
    )


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`."""
    marks = _marks(tables).select(judged="unit", judged_state="state")
    found = volumes(tables)
    count = found.busiest
    steps = [(count < above, name) for name, above in zip(_COUNTED, _EDGES[1:], strict=True)]
    name = ibis.cases(
        (found.is_throttled | (count > MOST), "throttled"),
        (found.syncs > 0, "sync_folder"),
        (count < 1, None),
        *steps,
        else_=None,
    )
    found = found.select(
        read="unit", bin=name.cast("string"), is_unnamed=name.isnull() & (found.named == 0) & (found.binds > 0)
    )
    units = members_of(tables).alias("reads_of_clusters").select(unit="cluster").distinct()
    units = units.left_join(marks, units.unit == marks.judged)
    units = units.left_join(found, units.unit == found.read)
    reason = ibis.cases(
        (units.bin.notnull(), None),
        (units.read.isnull() & (units.judged_state == "not_assessable"), REASONS[1]),
        (units.read.isnull(), REASONS[0]),
        (units.is_unnamed, REASONS[2]),
        else_=None,
    )
    return units.select(
        unit=units.unit,
        state=ibis.cases((units.bin.notnull(), "fired"), (reason.notnull(), "not_assessable"), else_="quiet"),
        bin=units.bin,
        reason=reason.cast("string"),
        weight_millibans=ibis.null("int64"),
        f0_upper_ppb=ibis.null("int64"),
        n_reference=ibis.null("int64"),
    )


def find(tables: Tables) -> ir.Table:
    """The reads of strange clusters that took messages or folders, by cluster."""
    rows = fired_reads(tables, ID, mark)
    return as_hits(
        rows,
        group_key=rows.cluster.concat(" ", ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)),
        variant=ibis.cases(
            (rows.bin == "throttled", "throttled"), (rows.bin == "sync_folder", "folders"), else_="messages"
        ),
        role=ibis.ifelse((rows.access_type == "sync").fill_null(ibis.literal(value=False)), "sync", "read"),
        about=rows.effective_app,
        weight={"unit": rows.cluster, "bin": rows.bin},
    )


_INNOCENT = phrase(
    "A new telephone or computer fetches the whole mailbox on its first day, and so do migrations and searches of the "
    "house."
)
_SETTLES = phrase("Ask the owner and the administrators whether they know the client; what it read is listed.")

DETECTOR = Detector(
    id=ID,
    title=phrase("How much a strange client read"),
    reads=READS,
    needs=("mail_access",),
    silent_without=("mail_access",),
    family="volume",
    mark=mark,
    bins=BINS,
    variants={
        "messages": Variant(
            title=phrase(
                "A client strange to {mailboxes} read messages there that no usual client had read ({objects})"
            ),
            severity=Severity.MEDIUM,
            attack=("T1114.002", "T1119"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "throttled": Variant(
            title=phrase("A client strange to {mailboxes} read more than the log records ({objects})"),
            severity=Severity.HIGH,
            attack=("T1114.002", "T1119"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "folders": Variant(
            title=phrase("A client strange to {mailboxes} fetched whole folders ({objects})"),
            severity=Severity.MEDIUM,
            attack=("T1114.002", "T1119"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
    limit=stranger_client.DETECTOR.limit,
)

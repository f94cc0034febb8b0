"""What was read, as table expressions: the heavy part of `exposure`, in the engine and not in Python.

Semantics after Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts":
a bind record lists the messages that were read; a sync record says that a folder went to a client, with all
that it held; a throttled record says that binds on that mailbox go unrecorded for up to 24 hours.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.selection import selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables
    from brokenseal.selection import Selection

_IDENTIFYING = (
    "event_id",
    "occurred_at",
    "mailbox_key",
    "mailbox_upn",
    "actor_key",
    "client_ip",
    "session_id",
    "token_id",
    "token_id_raw",
    "app_id",
    "client_app_id",
    "effective_app",
    "protocol",
)
MESSAGE_KEYS = ("selection_no", "mailbox_key", "internet_message_id")
"""What a message is counted by, within a selection."""
_OPENS: Final = "attachmentaccess"
"""The operation whose records list the attachment that was opened (Microsoft Purview, "Audit log activities")."""
_ENTRY: Final = ("event_id", "kind", "internet_message_id", "item_id", "folder_path", "subject", "size_bytes")
_READING = ("access_type", "item_entries", "operation_count", "folder_id", "folder_path")


class Reading(NamedTuple):
    """What selections mean: their records of reading (`touches`) and the item entries of these (`item_entries`)."""

    touched: ir.Table
    entries: ir.Table


def reading(tables: Tables, selections: Sequence[Selection]) -> Reading:
    """The records of reading that the selections mean, and their item entries."""
    touched = touches(tables, selections)
    return Reading(touched=touched, entries=item_entries(tables, touched))


def touches(tables: Tables, selections: Sequence[Selection]) -> ir.Table:
    """The records of reading that the selections mean: their mail accesses, and attachments opened under them.

    Args:
        tables: Uses `mail_accesses`, `accessed_items` and `events`.
        selections: What is asked for; at least one.
    Returns: One row per record and selection that means it: selection_no (position of the selection), event_id,
        occurred_at, mailbox_key (never null), mailbox_upn, actor_key, client, client_ip, session_id, is_access (false
        for AttachmentAccess), is_doubtful, access_type, item_entries, operation_count, folder_id, folder_path.
    """
    # Tables are made narrow before they are joined: the time to plan a query grows with the columns in it.
    accesses = tables["mail_accesses"].select(*_IDENTIFYING, *_READING)
    items = tables["accessed_items"]
    opened = items.filter(items.kind == "attachment").select("event_id").distinct()
    # Rows are chosen by their operation first: to look for the ids of some among all events takes the longest of all.
    events = tables["events"].filter(tables["events"].operation_key == _OPENS)
    events = events.select(*_IDENTIFYING).semi_join(opened, "event_id")
    events = events.anti_join(tables["mail_accesses"].select("event_id"), "event_id")
    nothing = {name: ibis.null(accesses[name].type()) for name in _READING}
    records = accesses.mutate(is_access=True).union(events.mutate(**nothing, is_access=False))
    chosen = selected(records, selections)
    return chosen.select(
        "selection_no",
        "event_id",
        "occurred_at",
        "mailbox_upn",
        "actor_key",
        "client_ip",
        "session_id",
        *_READING,
        "is_access",
        "is_doubtful",
        mailbox_key=chosen.mailbox_key.coalesce(""),
        client=client_of(chosen),
    )


def client_of(rows: ir.Table) -> ir.StringValue:
    """The client by which a record is counted: the effective application, else the protocol, else `unknown`."""
    return rows.effective_app.coalesce(rows.protocol, "unknown")


def item_entries(
    tables: Tables, touched: ir.Table, *, names: ir.Table | None = None, of: ir.Table | None = None
) -> ir.Table:
    """The item entries of the records in `touched`, with the message that each stands for.

    An entry without a Message-ID (an attachment, or an item of which the service gives the Exchange id alone) takes
    the Message-ID that any other entry of the same mailbox gives for the same Exchange id, where that is one only.

    Args:
        tables: Uses `accessed_items`.
        touched: Rows of `touches`.
        names: Rows of `message_names`, where they are at hand; of these or of more records.
        of: Messages (column internet_message_id): entries that name others are left out; None for all.

    Returns: One row per entry: the columns of `touches` that say who, and internet_message_id (null where it cannot
        be told), folder_path, subject, size_bytes, kind.
    """
    items = tables["accessed_items"]
    if of is None:
        read = items.select(_ENTRY)
    else:
        # Rows are chosen before columns: what is chosen from twice would be written down as a whole first.
        named = items.semi_join(of, "internet_message_id").select(_ENTRY)
        read = named.union(items.filter(items.internet_message_id.isnull()).select(_ENTRY))
    return _told(touched, read, message_names(tables, touched) if names is None else names)


def lost_entries(tables: Tables, touched: ir.Table, *, names: ir.Table | None = None) -> ir.Table:
    """The rows of `item_entries` of which it cannot be told for what message they stand; `names` as there."""
    items = tables["accessed_items"]
    read = items.filter(items.internet_message_id.isnull()).select(_ENTRY)
    found = _told(touched, read, message_names(tables, touched) if names is None else names)
    return found.filter(found.internet_message_id.isnull())


def _told(touched: ir.Table, read: ir.Table, names: ir.Table) -> ir.Table:
    """Item entries `read` with who read them, and the Message-IDs that other entries tell of."""
    entries = touched.drop(*_READING).inner_join(read, "event_id")
    known = entries.left_join(names, ["mailbox_key", "item_id"])
    kept = [name for name in entries.columns if name not in {"item_id", "internet_message_id"}]
    told = known.select(*kept, internet_message_id=known.internet_message_id.coalesce(known.only_message_id))
    # Ibis would put a further join into this one, where the Message-ID is not told yet.
    return told.select(told.columns)


def message_names(tables: Tables, touched: ir.Table) -> ir.Table:
    """What other entries tell of the entries of `touched` that name no message.

    Returns: mailbox_key, item_id, only_message_id; ambiguous ids are left out.
    """
    items = tables["accessed_items"]
    without = items.filter(items.internet_message_id.isnull(), items.item_id.notnull()).select("event_id", "item_id")
    wanted = touched.select("event_id", "mailbox_key").inner_join(without, "event_id")
    wanted = wanted.select("mailbox_key", "item_id").distinct()
    known = items.filter(items.internet_message_id.notnull(), items.item_id.notnull())
    names = (
        known.semi_join(wanted, ["mailbox_key", "item_id"])
        .group_by(["mailbox_key", "item_id"])
        .agg(lowest=lambda t: t.internet_message_id.min(), highest=lambda t: t.internet_message_id.max())
    )
    names = names.filter(names.lowest == names.highest)
    return names.select("mailbox_key", "item_id", only_message_id=names.lowest)


def listed_messages(entries: ir.Table) -> ir.Table:
    """The entries of `item_entries` whose message is known."""
    return entries.filter(entries.internet_message_id.notnull())


def messages_of(entries: ir.Table) -> ir.Table:
    """The messages that entries list: the columns of `MESSAGE_KEYS`, is_doubtful, and first_at of all alike in these.

    Whatever counts messages or puts them in order starts from these, of which there are a quarter as many as entries.
    """
    listed = listed_messages(entries)
    return listed.group_by([*MESSAGE_KEYS, "is_doubtful"]).agg(first_at=listed.occurred_at.min())


def certain_messages(messages: ir.Table) -> ir.Table:
    """Of `messages_of`, those listed beyond doubt: the columns of `MESSAGE_KEYS`."""
    return messages.filter(~messages.is_doubtful).select(MESSAGE_KEYS)


def message_table(keys: Iterable[tuple[int, str, str]]) -> ir.Table:
    """Messages as a table of `MESSAGE_KEYS`, each once."""
    import pyarrow as pa

    rows = sorted(set(keys))
    columns = {
        "selection_no": pa.array([number for number, _, _ in rows], pa.int64()),
        "mailbox_key": pa.array([mailbox for _, mailbox, _ in rows], pa.string()),
        "internet_message_id": pa.array([message for _, _, message in rows], pa.string()),
    }
    return ibis.memtable(pa.table(columns))


def settled_messages(messages: ir.Table) -> ir.Table:
    """The rows of `messages_of` without the doubtful ones of messages that others list beyond doubt."""
    doubtful = messages.filter(messages.is_doubtful).anti_join(certain_messages(messages), [*MESSAGE_KEYS])
    return messages.filter(~messages.is_doubtful).union(doubtful.select(messages.columns))


def exposed_messages(tables: Tables, selection: Selection) -> ir.Table:
    """Every message that a selected record lists, once per mailbox and Message-ID; see `messages_in`."""
    entries = reading(tables, (selection,)).entries
    listed = listed_messages(entries)
    if selection.doubtful:
        listed = listed.semi_join(settled_messages(messages_of(entries)), [*MESSAGE_KEYS, "is_doubtful"])
    return messages_in(tables, listed).drop("selection_no")


def first_messages(messages: ir.Table, first: int) -> ir.Table:
    """Of `messages_of`, so many of each selection, certain and doubtful, that were read first."""
    order = ["first_at", *MESSAGE_KEYS[1:]]
    place = ibis.row_number().over(group_by=["selection_no", "is_doubtful"], order_by=order)
    chosen = _earliest(messages, first).mutate(place=place)
    return chosen.filter(chosen.place < first).drop("place")


def messages_in(tables: Tables, listed: ir.Table) -> ir.Table:
    """The messages that item entries list, with what other records tell of them.

    Args:
        tables: Uses all record tables that name messages.
        listed: Rows of `listed_messages`; where any may be doubtful, of messages in `settled_messages` alone.
    Returns: selection_no, mailbox_key, mailbox (address, may be null), internet_message_id, is_doubtful, subject,
        sender, recipients, folder_path, size_bytes, first_at, last_at, entries (records that list it), clients,
        addresses, sessions, event_ids. List columns are sorted and without repeats; an empty one may be null. Ordered
        by selection, first_at, mailbox_key and Message-ID.
    """
    messages = listed.group_by([*MESSAGE_KEYS, "is_doubtful"]).agg(
        mailbox=lambda t: t.mailbox_upn.max(),
        # The subject of an attachment entry is the attachment's name.
        own_subject=lambda t: t.subject.min(where=t.kind == "message"),
        folder_path=lambda t: t.folder_path.min(),
        size_bytes=lambda t: t.size_bytes.max(where=t.kind == "message"),
        first_at=lambda t: t.occurred_at.min(),
        last_at=lambda t: t.occurred_at.max(),
        clients=lambda t: t.client.collect(distinct=True).sort(),
        addresses=lambda t: t.client_ip.collect(distinct=True).sort(),
        sessions=lambda t: t.session_id.collect(distinct=True).sort(),
        event_ids=lambda t: t.event_id.collect(distinct=True).sort(),
    )
    for facts in _facts(tables, messages.select("internet_message_id").distinct()):
        messages = messages.left_join(facts, "internet_message_id").drop("internet_message_id_right")
    return messages.select(
        "selection_no",
        "mailbox_key",
        "mailbox",
        "internet_message_id",
        "is_doubtful",
        "recipients",
        "folder_path",
        "size_bytes",
        "first_at",
        "last_at",
        "clients",
        "addresses",
        "sessions",
        "event_ids",
        entries=messages.event_ids.length(),
        subject=ibis.coalesce(
            messages.own_subject,
            messages.traced_subject,
            messages.sent_subject,
            messages.read_subject,
            messages.changed_subject,
        ),
        sender=ibis.coalesce(messages.traced_sender, messages.sent_sender),
    ).order_by(["selection_no", "first_at", *MESSAGE_KEYS[1:]])


_NO_TIME: Final = ibis.literal(dt.datetime(9000, 1, 1, tzinfo=dt.UTC), "timestamp('UTC', 6)")
"""What has no time comes last."""


def _earliest(read: ir.Table, first: int) -> ir.Table:
    """Of the messages read, those of the hours in which the first so many of each selection lie.

    To put some hours in order takes a fraction of the time that it takes to put all in order.
    """
    of_which = ["selection_no", "is_doubtful"]
    hour = read.first_at.fill_null(_NO_TIME).truncate("h")
    hours = read.group_by(*of_which, hour=hour).agg(held=read.count())
    in_order = ibis.cumulative_window(group_by=of_which, order_by="hour")
    hours = hours.mutate(before=hours.held.sum().over(in_order) - hours.held)
    hours = hours.filter(hours.before < first).select(*of_which, "hour")
    return read.semi_join(hours, [*of_which, hour == hours.hour])


def _facts(tables: Tables, messages: ir.Table) -> tuple[ir.Table, ...]:
    """What other records tell of the messages; where they differ the least text is taken, so that order is nothing."""
    mid = "internet_message_id"
    traces = tables["message_traces"].semi_join(messages, mid)
    sent = tables["sent_messages"].semi_join(messages, mid)
    read = (
        tables["accessed_items"].filter(lambda t: (t.kind == "message") & t.subject.notnull()).semi_join(messages, mid)
    )
    changed = tables["item_changes"].filter(lambda t: t.subject.notnull()).semi_join(messages, mid)
    return (
        traces.group_by(mid).agg(
            traced_subject=lambda t: t.subject.min(),
            traced_sender=lambda t: t.sender.min(),
            recipients=lambda t: t.recipient.collect(distinct=True).sort(),
        ),
        sent.group_by(mid).agg(
            sent_subject=lambda t: t.subject.min(),
            sent_sender=lambda t: t.sent_as.coalesce(t.mailbox_upn, t.actor_key).min(),
        ),
        read.group_by(mid).agg(read_subject=lambda t: t.subject.min()),
        changed.group_by(mid).agg(changed_subject=lambda t: t.subject.min()),
    )


def mailbox_totals(touched: ir.Table) -> ir.Table:
    """What the records of reading of each mailbox come to.

    Returns: selection_no, mailbox_key, mailbox, accesses, doubtful_accesses, item_entries, syncs, short (records that
        do not list all they stand for), first_at, last_at, clients, addresses.
    """
    return touched.group_by(["selection_no", "mailbox_key"]).agg(
        mailbox=touched.mailbox_upn.max(),
        accesses=touched.is_access.sum(),
        doubtful_accesses=(touched.is_access & touched.is_doubtful).sum(),
        item_entries=touched.item_entries.sum().coalesce(0),
        syncs=(touched.access_type == "sync").sum().coalesce(0),
        short=(_is_bind(touched) & (_listed(touched) == 0) | (_missing(touched) > 0)).sum().coalesce(0),
        first_at=touched.occurred_at.min(),
        last_at=touched.occurred_at.max(),
        clients=touched.client.collect(distinct=True).sort(),
        addresses=touched.client_ip.collect(distinct=True).sort(),
    )


def entry_counts(messages: ir.Table, lost: ir.Table) -> ir.Table:
    """Per selection and mailbox: certain and doubtful (distinct messages), unnamed (entries of no known message).

    A message that is both certain and doubtful counts as both.

    Args:
        messages: Rows of `messages_of`.
        lost: Rows of `lost_entries`.
    """
    keys = ["selection_no", "mailbox_key"]
    counted = messages.select(*keys, certain=~messages.is_doubtful, doubtful=messages.is_doubtful, unnamed=False)
    every = counted.union(lost.select(*keys, certain=False, doubtful=False, unnamed=True))
    return every.group_by(keys).agg(**{name: every[name].sum() for name in ("certain", "doubtful", "unnamed")})


def citing(rows: ir.Table, keys: list[str], cite: int) -> ir.GroupedTable:
    """The rows grouped by `keys`, numbered in time within their group (`place`, from 0)."""
    assert cite > 0, "a line that cites nothing proves nothing"
    order = [rows.occurred_at, rows.event_id]
    return rows.mutate(place=ibis.row_number().over(group_by=keys, order_by=order)).group_by(keys)


# ---------------------------------------------------------------- what no record names


def unnamed_reads(touched: ir.Table, lost: ir.Table, *, cite: int) -> ir.Table:
    """Records of reading that do not name all they stand for, per selection, mailbox and reason.

    Args:
        touched: Rows of `touches`.
        lost: Rows of `lost_entries`.
        cite: How many records are cited.

    Returns: selection_no, mailbox_key, reason (`records_without_items` or `items_unnamed`), mailbox, records, items
        (how many are not named, as far as the records count them), first_at, last_at, event_ids (first `cite` by time,
        sorted).
    """
    binds = touched.filter(_is_bind(touched))
    counted = binds.operation_count.coalesce(0)
    empty = _unnamed(binds.filter(_listed(binds) == 0), "records_without_items", counted)
    short = _unnamed(binds.filter((_listed(binds) > 0) & (_missing(binds) > 0)), "items_unnamed", _missing(binds))
    every = ibis.union(empty, short, _unnamed(lost, "items_unnamed", ibis.literal(1, "int64")))
    # One record can be short of entries and hold entries without a Message-ID; it is still one record.
    keys = ["selection_no", "mailbox_key", "reason"]
    per_record = every.group_by([*keys, "event_id"]).agg(
        mailbox_upn=every.mailbox_upn.max(), occurred_at=every.occurred_at.min(), items=every["items"].sum()
    )
    return citing(per_record, keys, cite).agg(
        mailbox=lambda t: t.mailbox_upn.max(),
        records=lambda t: t.count(),
        items=lambda t: t["items"].sum(),
        first_at=lambda t: t.occurred_at.min(),
        last_at=lambda t: t.occurred_at.max(),
        event_ids=lambda t: t.event_id.collect(where=t.place < cite).sort(),
    )


def _is_bind(touched: ir.Table) -> ir.BooleanValue:
    """A mail access that should list messages; where the log does not say what it is, it is taken for one."""
    return touched.is_access & (touched.access_type.isnull() | (touched.access_type != "sync"))


def _listed(touched: ir.Table) -> ir.IntegerValue:
    return touched.item_entries.coalesce(0)


def _missing(touched: ir.Table) -> ir.IntegerValue:
    """Items that the service counts in a bind record and the record does not list."""
    return ibis.ifelse(_is_bind(touched), touched.operation_count.coalesce(0) - _listed(touched), 0)


def _unnamed(rows: ir.Table, reason: str, items: ir.IntegerValue) -> ir.Table:
    return rows.select(
        "selection_no",
        "mailbox_key",
        "mailbox_upn",
        "event_id",
        "occurred_at",
        reason=ibis.literal(reason),
        items=items,
    )


def throttles(tables: Tables) -> ir.Table:
    """Every record that says that bind auditing of a mailbox stopped: mailbox_key, mailbox, occurred_at, event_id."""
    accesses = tables["mail_accesses"]
    stopped = accesses.filter(accesses.is_throttled & accesses.occurred_at.notnull())
    return stopped.select(
        "occurred_at", "event_id", mailbox_key=stopped.mailbox_key.coalesce(""), mailbox=stopped.mailbox_upn
    )


def mailboxes_without_access_log(tables: Tables) -> ir.Table:
    """Mailboxes that stand in other records and never in MailItemsAccessed: mailbox_key, mailbox."""
    events = tables["events"].select("mailbox_key", "mailbox_upn")
    seen = events.filter(events.mailbox_key.notnull()).group_by("mailbox_key").agg(mailbox=events.mailbox_upn.max())
    accesses = tables["mail_accesses"].select("mailbox_key")
    return seen.anti_join(accesses.filter(accesses.mailbox_key.notnull()), "mailbox_key")

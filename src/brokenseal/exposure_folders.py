"""Messages in folders, as table expressions: what a synchronised folder held, and what could be read unrecorded.

No record lists the content of a folder. What is known is which messages other records show to come and to go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.exposure_tables import MESSAGE_KEYS, certain_messages, citing, listed_messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

# Exchange writes this instead of the path on most sync records.
_NO_PATH = "Not Available"
# A Send record has no folder; the copy that it leaves stands in this folder, whose name is localised.
_SENT_FOLDERS = (
    "Sent Items",
    "Éléments envoyés",
    "Gesendete Elemente",
    "Elementos enviados",
    "Posta inviata",
    "Verzonden items",
)
_FOLDER = ("selection_no", "mailbox_key", "folder")
_ENTERS = ("create", "update", "copy")
_LEAVES = ("move", "movetodeleteditems", "softdelete", "harddelete")


# ---------------------------------------------------------------- synchronised folders


def syncs(tables: Tables, touched: ir.Table) -> ir.Table:
    """The sync records in `touched`.

    Returns: selection_no, mailbox_key, mailbox_upn, occurred_at, event_id, folder_id, path, folder.

    `path` is the folder's path without leading backslash, learnt from another sync record with the same folder id
    where this one does not give it; `folder` is what folders are counted by: path, else id, else the empty text.
    """
    every = tables["mail_accesses"].select("mailbox_key", "folder_id", "folder_path")
    learnt = (
        every.mutate(mailbox_key=every.mailbox_key.coalesce(""), path=path_of(every.folder_path))
        .filter(lambda t: t.path.notnull() & t.folder_id.notnull())
        .group_by(["mailbox_key", "folder_id"])
        .agg(lowest=lambda t: t.path.min(), highest=lambda t: t.path.max())
        .filter(lambda t: t.lowest == t.highest)
        .drop("highest")
    )
    rows = touched.filter(touched.access_type == "sync")
    rows = rows.left_join(learnt, ["mailbox_key", "folder_id"])
    rows = rows.mutate(path=path_of(rows.folder_path).coalesce(rows.lowest))
    return rows.select(
        "selection_no",
        "mailbox_key",
        "mailbox_upn",
        "occurred_at",
        "event_id",
        "folder_id",
        "path",
        folder=rows.path.coalesce(rows.folder_id, ""),
    )


def path_of(written: ir.StringValue) -> ir.StringValue:
    """A folder path without its leading backslash, which some records leave out; null where none is given."""
    given = written.nullif(_NO_PATH).nullif("")
    return ibis.ifelse(given.startswith("\\"), given.substr(1), given)


def synced_folders(sync_rows: ir.Table, *, cite: int) -> ir.Table:
    """What the sync records of each folder come to.

    Returns: selection_no, mailbox_key, folder, mailbox, path, folder_id, first_at, last_at, records, event_ids (of the
        first `cite` records by time, sorted).
    """
    return citing(sync_rows, [*_FOLDER], cite).agg(
        mailbox=lambda t: t.mailbox_upn.max(),
        path=lambda t: t.path.min(),
        folder_id=lambda t: t.folder_id.min(),
        first_at=lambda t: t.occurred_at.min(),
        last_at=lambda t: t.occurred_at.max(),
        records=lambda t: t.count(),
        event_ids=lambda t: t.event_id.collect(where=t.place < cite).sort(),
    )


def stood_in_synced(tables: Tables, sync_rows: ir.Table) -> ir.Table:
    """Messages that some record shows to have stood in a folder when it was synchronised.

    A message stands in a folder from the record that shows it there (read, created, updated, copied or moved there)
    until the record that moves or deletes it from there.

    Returns: Distinct (selection_no, mailbox_key, folder, internet_message_id).
    """
    keys = [*_FOLDER]
    synced = sync_rows.filter(sync_rows.path.notnull()).select(*keys, "occurred_at").distinct()
    moves = placements(tables, synced.select(keys).distinct())
    of_message = [*keys, "internet_message_id"]
    held = moves.group_by(of_message).agg(
        entered_at=moves.occurred_at.min(where=moves.enters), has_left=(~moves.enters).any()
    )
    # Most messages never leave; where one does, it hangs on the order of its moves.
    last_syncs = synced.group_by(keys).agg(last_sync=synced.occurred_at.max())
    staying = held.filter(~held.has_left).inner_join(last_syncs, keys)
    staying = staying.filter(staying.entered_at <= staying.last_sync).select(of_message)
    leaving = held.filter(held.has_left).select(of_message)
    return staying.union(_stood_meanwhile(moves.semi_join(leaving, of_message), synced))


def _stood_meanwhile(moves: ir.Table, synced: ir.Table) -> ir.Table:
    """Messages that stood in a folder when it was synchronised, by the order of moves and of synchronisations."""
    keys = [*_FOLDER]
    # Ties: what enters in the same second as a departure or a sync counts as there, for a sync takes all it finds.
    to_the_end = ibis.window(
        group_by=[*keys, "internet_message_id"],
        order_by=["occurred_at", ibis.desc("enters")],
        preceding=0,
        following=None,
    )
    left_at = ibis.cases((~moves.enters, moves.occurred_at)).min().over(to_the_end)
    stays = moves.mutate(left_at=left_at).filter(lambda t: t.enters).drop("enters")
    moment = "timestamp('UTC', 6)"
    line = stays.mutate(is_sync=False).union(
        synced.select(
            *keys,
            "occurred_at",
            internet_message_id=ibis.null("string"),
            left_at=ibis.null(moment),
            is_sync=True,
        ).select([*stays.columns, "is_sync"])
    )
    next_sync = (
        ibis.cases((line.is_sync, line.occurred_at))
        .min()
        .over(ibis.window(group_by=keys, order_by=["occurred_at", "is_sync"], preceding=0, following=None))
    )
    seen = line.mutate(next_sync=next_sync).filter(
        lambda t: ~t.is_sync & t.next_sync.notnull() & (t.left_at.isnull() | (t.next_sync <= t.left_at))
    )
    return seen.select(*keys, "internet_message_id").distinct()


def placements(tables: Tables, folders: ir.Table) -> ir.Table:
    """When a message entered or left one of the folders (`_FOLDER`), as far as records show it.

    Returns: selection_no, mailbox_key, folder, internet_message_id, occurred_at, enters.
    """
    shared = ("mailbox_key", "internet_message_id", "occurred_at")
    items = tables["accessed_items"].select(*shared, "folder_path", "kind")
    changes = tables["item_changes"].select(*shared, "folder_path", "to_folder_path", "operation_key")
    sent = tables["sent_messages"].select(shared)

    def rows(table: ir.Table, folder: ir.StringValue, *, enters: bool) -> ir.Table:
        return table.select(
            "internet_message_id",
            "occurred_at",
            mailbox_key=table.mailbox_key.coalesce(""),
            folder=folder,
            enters=enters,
        )

    read = items.filter(items.kind == "message")
    entered = changes.filter(changes.operation_key.isin(_ENTERS))
    left = changes.filter(changes.operation_key.isin(_LEAVES))
    placed = ibis.union(
        rows(read, path_of(read.folder_path), enters=True),
        rows(entered, path_of(entered.folder_path), enters=True),
        rows(left, path_of(left.folder_path), enters=False),
        rows(changes, path_of(changes.to_folder_path), enters=True),
    ).inner_join(folders, ["mailbox_key", "folder"])
    kept = sent.mutate(mailbox_key=sent.mailbox_key.coalesce("")).inner_join(
        folders.filter(folders.folder.isin(_SENT_FOLDERS)), "mailbox_key"
    )
    every = placed.union(kept.mutate(enters=True).select(placed.columns))
    return every.filter(every.internet_message_id.notnull())


def known_counts(stood: ir.Table) -> ir.Table:
    """Per synchronised folder: selection_no, mailbox_key, folder, known (messages of `stood_in_synced`)."""
    return stood.group_by([*_FOLDER]).agg(known=stood.count())


# ---------------------------------------------------------------- all that is possible

WAYS = ("synced", "doubtful", "forwarded")
"""The ways in which a message can be possible."""


def possible_counts(
    messages: ir.Table, *, stood: ir.Table | None, has_doubtful: bool, forwarded: ir.Table | None
) -> ir.Table:
    """Per selection and mailbox: how many messages are possible and not certain.

    Args:
        messages: Rows of `messages_of`.
        stood: Rows of `stood_in_synced`; None where nothing was synchronised.
        has_doubtful: Whether any message is doubtful.
        forwarded: Messages that were sent on, by `MESSAGE_KEYS`; None where none were. One of these three is given.
    Returns: selection_no, mailbox_key, possible (distinct messages), and so many of each of `WAYS`.
    """
    parts: list[ir.Table] = []
    if stood is not None:
        parts.append(stood.select(MESSAGE_KEYS, way=ibis.literal("synced")))
    if has_doubtful:
        parts.append(messages.filter(messages.is_doubtful).select(MESSAGE_KEYS, way=ibis.literal("doubtful")))
    if forwarded is not None:
        parts.append(forwarded.select(MESSAGE_KEYS, way=ibis.literal("forwarded")))
    every = parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]
    rest = every.anti_join(certain_messages(messages), [*MESSAGE_KEYS])
    message = rest.internet_message_id
    return rest.group_by(["selection_no", "mailbox_key"]).agg(
        possible=message.nunique(), **{way: message.nunique(where=rest.way == way) for way in WAYS}
    )


# ---------------------------------------------------------------- spans in which reads go unrecorded


def span_table(spans: Sequence[Mapping[str, object]]) -> ir.Table:
    """Spans as `counts_in_spans` takes them: rows of selection_no, mailbox_key, starts_at, ends_at, numbered from 0."""
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    kinds = {"selection_no": pa.int64(), "mailbox_key": pa.string(), "starts_at": moment, "ends_at": moment}
    columns = {name: pa.array([span[name] for span in spans], kind) for name, kind in kinds.items()}
    return ibis.memtable(pa.table({"span_no": pa.array(range(len(spans)), pa.int64()), **columns}))


def counts_in_spans(tables: Tables, touched: ir.Table, entries: ir.Table, spans: ir.Table) -> ir.Table:
    """How many messages the records of a span list, and how many are known to have stood there to be read.

    Args:
        tables: Uses all tables that show messages in folders.
        touched: Rows of `exposure_tables.touches`.
        entries: Rows of `exposure_tables.item_entries`.
        spans: span_no, selection_no, mailbox_key, starts_at, ends_at.
    Returns: span_no, seen (distinct messages that entries of the span list), known (with them, those that stood in the
        span in a folder that any record of the selection read or synchronised). No row where both are zero.
    """
    read = entries.filter(entries.kind == "message")
    folders = read.select("selection_no", "mailbox_key", folder=path_of(read.folder_path)).union(
        syncs(tables, touched).select("selection_no", "mailbox_key", folder="path")
    )
    places = ["selection_no", "mailbox_key"]
    folders = folders.filter(folders.folder.notnull()).distinct().semi_join(spans, places)
    moves = placements(tables, folders).inner_join(spans, places)
    moves = moves.filter(moves.occurred_at <= moves.ends_at)
    before = moves.occurred_at < moves.starts_at
    stays = moves.group_by(["span_no", "folder", "internet_message_id"]).agg(
        entered_inside=(moves.enters & ~before).any(),
        entered_at=moves.occurred_at.max(where=moves.enters & before),
        left_at=moves.occurred_at.max(where=~moves.enters & before),
    )
    # Ties: what enters in the same second in which it leaves counts as there.
    stood = stays.filter(
        stays.entered_inside
        | (stays.entered_at.notnull() & (stays.left_at.isnull() | (stays.entered_at >= stays.left_at)))
    )
    listed = listed_messages(entries).inner_join(spans, places)
    listed = listed.filter((listed.occurred_at >= listed.starts_at) & (listed.occurred_at <= listed.ends_at))
    every = stood.select("span_no", "internet_message_id", is_seen=ibis.literal(value=False)).union(
        listed.select("span_no", "internet_message_id", is_seen=ibis.literal(value=True))
    )
    message = every.internet_message_id
    return every.group_by("span_no").agg(seen=message.nunique(where=every.is_seen), known=message.nunique())

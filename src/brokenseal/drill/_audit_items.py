"""The items of mailbox records: folders that were read, items that were changed, messages that were sent.

Sources: Office 365 Management Activity API schema, Exchange Mailbox schema; Microsoft Purview, MailItemsAccessed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _lines, streams
from brokenseal.drill.roster import find
from brokenseal.drill.tables import coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._lines import Part
    from brokenseal.drill.roster import Roster

_SIZES_SINCE: Final = 2023
_IDS_SINCE: Final = 2025
_AFFECTED: Final = 3
_SYNC_PATHS_HIDDEN: Final = 0.8
_FILES: Final = ("scan.pdf (48213b)", "image001.png (4871b)", "figures.xlsx (21840b)", "notes.docx (15602b)")


class _Entries(NamedTuple):
    """Item entries with what they show, aligned: one row per entry."""

    record: npt.NDArray[np.int64]  # row of the record
    folder: npt.NDArray[np.int64]  # row of the folder
    item_id: pa.Array
    immutable_id: pa.Array
    message_id: pa.Array
    subject: pa.Array
    size: npt.NDArray[Any]
    attachments: npt.NDArray[Any]
    epoch: npt.NDArray[Any]


def _entries(records: pa.Table, items: pa.Table, messages: pa.Table, folders: pa.Table) -> _Entries:
    record = find(records, "record_no", numbers(items, "record_no"))
    folder = find(folders, "folder_no", numbers(items, "folder_no"))
    # Items of one folder stand together.
    order = np.lexsort((folder, record))
    found = find(messages, "message_no", numbers(items, "message_no"))[order]
    if (found < 0).any():
        raise ValueError("an item names a message that is not in the message table")
    rows = pa.array(found)
    item_id = items.column("item_id").combine_chunks().take(pa.array(order))
    own_id = messages.column("item_id").combine_chunks().take(rows)
    return _Entries(
        record=record[order],
        folder=folder[order],
        item_id=pc.coalesce(item_id, own_id),
        immutable_id=messages.column("immutable_id").combine_chunks().take(rows),
        message_id=messages.column("internet_message_id").combine_chunks().take(rows),
        subject=messages.column("subject").combine_chunks().take(rows).cast(pa.string()),
        size=numbers(messages, "size_bytes")[rows.to_numpy()],
        attachments=numbers(messages, "attachments")[rows.to_numpy()],
        epoch=numbers(records, "epoch")[record[order]],
    )


def _some(entries: _Entries, mask: npt.NDArray[np.bool_]) -> _Entries:
    keep = pa.array(mask)
    return _Entries(*(one.filter(keep) if isinstance(one, pa.Array) else one[mask] for one in entries))


class _Folders(NamedTuple):
    """JSON of each folder: its id and its path, with the names of the members."""

    ids: list[str]
    paths: list[str]


def _folders(folders: pa.Table) -> _Folders:
    ids = [json.dumps(word) for word in folders.column("folder_id").to_pylist()]
    paths = [json.dumps(word, ensure_ascii=False) for word in folders.column("path").cast(pa.string()).to_pylist()]
    return _Folders(ids, paths)


def item_runs(
    records: pa.Table, items: pa.Table, *, messages: pa.Table, folders: pa.Table, roster: Roster
) -> list[Part]:
    """Whatever a mailbox record says of items: Folders, Item, AffectedItems with Folder and DestFolder, Messages."""
    operation = coded(records, "operation")
    names = np.array([*operation.words, ""], dtype=object)[operation.codes]
    access = np.array([*coded(records, "access_type").words, ""], dtype=object)[coded(records, "access_type").codes]
    kind = numbers(records, "record_type")
    is_bind = (names == "MailItemsAccessed") & (access != "Sync")
    is_sync = (names == "MailItemsAccessed") & (access == "Sync")
    is_attachment = names == "AttachmentAccess"
    is_affected = kind == _AFFECTED
    is_single = ~is_bind & ~is_sync & ~is_attachment & ~is_affected
    entries = _entries(records, items, messages, folders)
    written = _folders(folders)
    parts: list[Part] = []
    if is_sync.any():
        parts += _synced(records, is_sync, folders, roster)
    if is_single.any():
        parts.append(_single(_some(entries, is_single[entries.record]), records.num_rows, written, names))
    if is_affected.any():
        parts += _affected(_some(entries, is_affected[entries.record]), records, is_affected, written, folders)
    if is_attachment.any():
        parts.append(_attached(_some(entries, is_attachment[entries.record]), records.num_rows, written))
    if is_bind.any():
        parts.append(_bound(_some(entries, is_bind[entries.record]), records.num_rows, written))
    return parts


def _per_record(record: npt.NDArray[np.int64], records: int) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = np.bincount(record, minlength=records).astype(np.int64)
    return counts


def _bound(entries: _Entries, records: int, folders: _Folders) -> Part:
    """Folders with their FolderItems: message ids alone in 2021, sizes since 2023, item ids since 2025."""
    size = pa.array(entries.size).cast(pa.string())
    epoch = entries.epoch
    has_ids, has_size = pa.array(epoch >= _IDS_SINCE), pa.array(epoch >= _SIZES_SINCE)
    message_id = _lines.json_text(entries.message_id)
    ids = pc.binary_join_element_wise(
        '"Id":"', entries.item_id.fill_null(""), '","ImmutableId":"', entries.immutable_id.fill_null(""), '",', ""
    )
    items = pc.binary_join_element_wise(
        "{",
        pc.if_else(has_ids, ids, ""),
        '"InternetMessageId":',
        message_id,
        pc.if_else(has_size, pc.binary_join_element_wise(',"SizeInBytes":', size, ""), ""),
        "}",
        "",
    )
    frames = [
        (f'{{"Id":{folder_id},"Path":{path},"FolderItems":[', "]}")
        for folder_id, path in zip([*folders.ids, '""'], [*folders.paths, '"Not Available"'], strict=True)
    ]
    group = np.where(entries.folder < 0, len(folders.ids), entries.folder).astype(np.int32)
    return _lines.grouped(
        items,
        _per_record(entries.record, records),
        group,
        frames,
        opening=',"Folders":[',
        closing="]",
    )


def _synced(records: pa.Table, is_sync: npt.NDArray[np.bool_], folders: pa.Table, roster: Roster) -> list[Part]:
    """`Item` of a sync is its folder; the path is often not given."""
    codes = np.where(is_sync, find(folders, "folder_no", numbers(records, "folder_no")), -1)
    is_hidden = streams.hashed_uniform(roster.key ^ 0x51, numbers(records, "record_no")) < _SYNC_PATHS_HIDDEN
    codes = np.where(codes < 0, -1, codes * 2 + is_hidden)
    words = []
    for folder_id, path in zip(
        folders.column("folder_id").to_pylist(), folders.column("path").cast(pa.string()).to_pylist(), strict=True
    ):
        for shown in (path, "Not Available"):
            parent = {"Id": folder_id, "Name": path.rpartition("\\")[2], "Path": shown}
            item = {"Id": folder_id, "ParentFolder": parent}
            words.append(f',"Item":{json.dumps(item, ensure_ascii=False, separators=(",", ":"))}')
    return [_lines.Pieces(pa.array([*words, ""], pa.string()), np.where(codes < 0, len(words), codes).astype(np.int32))]


def _attachments(entries: _Entries, opening: str, closing: str) -> pa.Array:
    words = [""] + [f"{opening}{'; '.join(_FILES[:count])}{closing}" for count in range(1, len(_FILES) + 1)]
    return pa.array(words, pa.string()).take(pa.array(np.minimum(entries.attachments, len(_FILES)).astype(np.int32)))


def _shown(entries: _Entries) -> pa.Array:
    """Members that single and affected items share: attachments, id, message id."""
    return pc.binary_join_element_wise(
        _attachments(entries, '"Attachments":"', '",'),
        '"Id":"',
        entries.item_id.fill_null("Unknown"),
        '","InternetMessageId":',
        _lines.json_text(entries.message_id),
        "",
    )


def _parent(entries: _Entries, folders: _Folders) -> pa.Array:
    words = [
        f',"ParentFolder":{{"Id":{folder_id},"Path":{path}}}'
        for folder_id, path in zip(folders.ids, folders.paths, strict=True)
    ]
    codes = np.where(entries.folder < 0, len(words), entries.folder)
    return pa.array([*words, ""], pa.string()).take(pa.array(codes))


def _single(entries: _Entries, records: int, folders: _Folders, names: npt.NDArray[Any]) -> Part:
    """`Item` of Send, Create and Update: one message, with its folder where it stands in one."""
    is_sent = np.isin(names[entries.record], ("Send", "SendAs", "SendOnBehalf"))
    has_size = pa.array(entries.epoch >= _SIZES_SINCE)
    size = pc.binary_join_element_wise(',"SizeInBytes":', pa.array(entries.size).cast(pa.string()), "")
    items = pc.binary_join_element_wise(
        ',"Item":{',
        _shown(entries),
        pc.if_else(pa.array(is_sent), "", _parent(entries, folders)),
        pc.if_else(has_size, size, ""),
        ',"Subject":',
        _lines.json_text(entries.subject.fill_null("")),
        "}",
        "",
    )
    return _lines.Runs(items, np.arange(len(items), dtype=np.int32), _per_record(entries.record, records))


def _affected(
    entries: _Entries, records: pa.Table, is_affected: npt.NDArray[np.bool_], folders: _Folders, table: pa.Table
) -> list[Part]:
    """AffectedItems, and the folders that they left and went to."""
    items = pc.binary_join_element_wise(
        "{",
        _shown(entries),
        _parent(entries, folders),
        ',"Subject":',
        _lines.json_text(entries.subject.fill_null("")),
        "}",
        "",
    )
    counts = _per_record(entries.record, records.num_rows)
    written = [
        f'{{"Id":{folder_id},"Path":{path}}}' for folder_id, path in zip(folders.ids, folders.paths, strict=True)
    ]
    went = find(table, "folder_no", numbers(records, "to_folder_no"))
    first = np.cumsum(counts) - counts
    came = entries.folder[np.minimum(first, max(len(entries.folder) - 1, 0))] if len(entries.folder) else first - 1
    return [
        _lines.listed(items, counts, opening=',"AffectedItems":[', closing="]"),
        _lines.chosen(is_affected, ',"CrossMailboxOperation":false'),
        _folder_member("DestFolder", written, np.where(is_affected, went, -1)),
        _folder_member("Folder", written, np.where(is_affected & (counts > 0), came, -1)),
    ]


def _folder_member(name: str, written: list[str], rows: npt.NDArray[np.int64]) -> Part:
    words = [f',"{name}":{one}' for one in written]
    return _lines.Pieces(pa.array([*words, ""], pa.string()), np.where(rows < 0, len(words), rows).astype(np.int32))


def _attached(entries: _Entries, records: int, folders: _Folders) -> Part:
    """`Messages` of AttachmentAccess: the attachment's id and size under the message it belongs to."""
    rows = entries.folder
    path = pa.array([*folders.paths, '""'], pa.string()).take(pa.array(np.where(rows < 0, len(folders.paths), rows)))
    item_id = entries.item_id.fill_null("Unknown")
    size = pa.array(np.maximum(entries.size // 2, 1)).cast(pa.string())
    items = pc.binary_join_element_wise(
        '{"Id":"',
        item_id,
        '","Path":',
        path,
        ',"MessageItems":[{"Id":"',
        item_id,
        'BEgAQA","SizeInBytes":',
        size,
        "}]}",
        "",
    )
    return _lines.listed(items, _per_record(entries.record, records), opening=',"Messages":[', closing="]")

"""Mailbox records of the audit log: what was read, sent, changed and deleted.

Source: Microsoft Purview, MailItemsAccessed; Office 365 Management Activity API schema, Exchange Mailbox schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal import fields, schema
from brokenseal.sources._audit_record import Row, as_list, as_object, named_values, objects_in, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from brokenseal.model import Record, Rows

_ACCESS_TYPES = {"bind": "bind", "sync": "sync"}
# Bind records have type 50, Sync records type 2; used only where the property is missing.
_ACCESS_BY_RECORD_TYPE = {50: "bind", 2: "sync"}
_NO_PATH = frozenset({"not available", "unknown"})
_SENT_KINDS = {"send": "send", "sendas": "send_as", "sendonbehalf": "send_on_behalf"}
_ITEM_OPERATIONS = ("create", "update", "move", "copy", "softdelete", "harddelete", "movetodeleteditems")
_ITEM_RECORD_TYPES = frozenset({2, 3, 50})


def _shared(table: schema.Table) -> tuple[str, ...]:
    return tuple(name for name in table.names if name in schema.EVENT.names)


_ACCESS_COLUMNS = _shared(schema.MAIL_ACCESS)
_ACCESSED_COLUMNS = _shared(schema.ACCESSED_ITEM)
_SENT_COLUMNS = _shared(schema.SENT_MESSAGE)
_ITEM_COLUMNS = _shared(schema.ITEM_CHANGE)


def add_mail_rows(audit: Record, event: Row, rows: Rows) -> None:
    """Add the rows of a mailbox record to `rows`; other records add nothing."""
    build = _BUILDERS.get(event["operation_key"])
    if build is not None:
        build(audit, event, rows)


def _path(value: object) -> str | None:
    text = fields.text_of(value)
    return None if text is None or text.strip().lower() in _NO_PATH else text


def _message_id(item: Mapping[str, Any]) -> str | None:
    text = fields.text_of(item.get("InternetMessageId"))
    return None if text is None else (text.strip() or None)


def _mail_items_accessed(audit: Record, event: Row, rows: Rows) -> None:
    written = audit.get("OperationProperties")
    properties = named_values(written)
    access_type = _ACCESS_TYPES.get(fields.fold(properties.get("MailAccessType")) or "")
    # A list without IsThrottled says "not throttled"; a list that an export lost says nothing.
    throttled = fields.truth(properties.get("IsThrottled"))
    if throttled is None and properties:
        throttled = False
    items = list(_folder_items(audit, event))
    folder = as_object(as_object(audit.get("Item")).get("ParentFolder"))
    access = pick(event, _ACCESS_COLUMNS)
    access |= {
        "access_type": access_type or _ACCESS_BY_RECORD_TYPE.get(event["record_type"]),
        "is_throttled": throttled,
        "operation_count": fields.integer(audit.get("OperationCount")),
        "item_entries": None if _lost_items(audit) else len(items),
        "folder_id": fields.text_of(folder.get("Id")),
        "folder_path": _path(folder.get("Path")) or _path(folder.get("Name")),
        "auth_type": fields.text_of(audit.get("AuthType")),
        "token_type": fields.text_of(audit.get("TokenType")),
    }
    rows["mail_accesses"] = [access]
    if items:
        rows["accessed_items"] = items


def _lost_items(audit: Record) -> bool:
    written = audit.get("Folders")
    if not written:
        return False
    folders = as_list(written)
    return folders is None or any(
        folder.get("FolderItems") and as_list(folder.get("FolderItems")) is None for folder in objects_in(folders)
    )


def _folder_items(audit: Record, event: Row) -> Iterator[Row]:
    shared = pick(event, _ACCESSED_COLUMNS)
    for folder in objects_in(audit.get("Folders")):
        path = _path(folder.get("Path"))
        for item in objects_in(folder.get("FolderItems")):
            yield {
                **shared,
                "kind": "message",
                "internet_message_id": _message_id(item),
                "item_id": fields.text_of(item.get("Id")),
                "folder_path": path,
                "subject": fields.text_of(item.get("Subject")),
                "size_bytes": fields.integer(item.get("SizeInBytes")),
            }


def _attachment_access(audit: Record, event: Row, rows: Rows) -> None:
    shared = pick(event, _ACCESSED_COLUMNS)
    items = [
        {
            **shared,
            "kind": "attachment",
            "internet_message_id": _message_id(item) or _message_id(message),
            "item_id": fields.text_of(item.get("Id")),
            "folder_path": _path(message.get("Path")),
            "subject": fields.text_of(item.get("Subject")),
            "size_bytes": fields.integer(item.get("SizeInBytes")),
        }
        for message in objects_in(audit.get("Messages"))
        for item in objects_in(message.get("MessageItems"))
    ]
    if items:
        rows["accessed_items"] = items


def _sent(audit: Record, event: Row, rows: Rows) -> None:
    if not _is_mailbox_record(event):
        return
    item = as_object(audit.get("Item"))
    written = audit.get("SendAsUserSmtp") or audit.get("SendOnBehalfOfUserSmtp")
    sent = pick(event, _SENT_COLUMNS)
    sent |= {
        "kind": _SENT_KINDS[event["operation_key"]],
        "internet_message_id": _message_id(item),
        "subject": fields.text_of(item.get("Subject")),
        "size_bytes": fields.integer(item.get("SizeInBytes")),
        "sent_as": fields.mail_address(written) or fields.fold(written),
        "attachments": fields.any_text(item.get("Attachments")),
    }
    rows["sent_messages"] = [sent]


def _is_mailbox_record(event: Row) -> bool:
    # Other services have operations named Create, Update or Copy too.
    if event["record_type"] is not None:
        return event["record_type"] in _ITEM_RECORD_TYPES
    return event["mailbox_key"] is not None


def _items_changed(audit: Record, event: Row, rows: Rows) -> None:
    if not _is_mailbox_record(event):
        return
    shared = pick(event, _ITEM_COLUMNS)
    folder = _path(as_object(audit.get("Folder")).get("Path"))
    destination = _path(as_object(audit.get("DestFolder")).get("Path"))
    single = as_object(audit.get("Item"))
    items = objects_in(audit.get("AffectedItems")) or ([single] if single else [])
    changed = [
        {
            **shared,
            "internet_message_id": _message_id(item),
            "subject": fields.text_of(item.get("Subject")),
            "folder_path": _path(as_object(item.get("ParentFolder")).get("Path")) or folder,
            "to_folder_path": destination,
            "size_bytes": fields.integer(item.get("SizeInBytes")),
        }
        for item in items
    ]
    if changed:
        rows["item_changes"] = changed


_BUILDERS: dict[str, Callable[[Record, Row, Rows], None]] = {
    "mailitemsaccessed": _mail_items_accessed,
    "attachmentaccess": _attachment_access,
    **dict.fromkeys(_SENT_KINDS, _sent),
    **dict.fromkeys(_ITEM_OPERATIONS, _items_changed),
}

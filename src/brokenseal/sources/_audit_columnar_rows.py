"""The rows of audit records that go as columns: expressions over the wide rows of `_audit_columnar`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal import schema
from brokenseal.sources import _audit_columnar_changes as changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

WHO = (
    "tenant_id",
    "actor",
    "actor_key",
    "user_type",
    "user_key",
    "is_service",
    "mailbox_key",
    "mailbox_upn",
    "logon_type",
    "external_access",
    "token_subject",
    "token_tenant_id",
)
CLIENT = (
    "client_ip",
    "ip_class",
    "client_info",
    "client_type",
    "protocol",
    "user_agent",
    "app_id",
    "client_app_id",
    "effective_app",
)
TOKEN = ("session_id", "token_id_raw", "token_id", "token_form", "token_issued_at")
WHAT = ("operation", "operation_key", "record_type", "workload", "succeeded")
SIGN_IN_COLUMNS = [
    "category",
    "subject_id",
    "app_id",
    "app_name",
    "resource_id",
    "error_code",
    "failure_reason",
    "request_type",
    "device_id",
    "home_tenant_id",
    "resource_tenant_id",
]


def moment(text: ir.StringValue) -> ir.TimestampValue:
    """A time as the audit log writes it: ISO, in UTC."""
    return text.try_cast("timestamp('UTC', 6)")


def normalise(wide: ir.Table) -> Mapping[str, ir.Table]:
    """As `Columnar.normalise`."""
    changed = wide.filter(wide.what__kind == changes.CHANGES)
    return {
        "events": wide.select("record_no", **_event(wide)),
        "mail_accesses": _accesses(wide),
        "accessed_items": _accessed_items(wide).union(_attachments(wide)),
        "sign_ins": _sign_ins(wide),
        "sent_messages": _sent(wide),
        "item_changes": _item_changes(wide),
        "config_changes": changes.config_changes(changed, _shared(changed, schema.CONFIG_CHANGE)),
        "change_settings": changes.change_settings(changed, _shared(changed, schema.CHANGE_SETTING)),
    }


def _event(wide: ir.Table) -> dict[str, ir.Value]:
    """The columns of `events`, but for those that ingest adds."""
    derived = {
        name: wide[f"{lookup}__{name}"]
        for lookup, names in (("who", WHO), ("what", WHAT), ("client", CLIENT), ("token", TOKEN))
        for name in names
    }
    return {
        "event_id": wide.Id.lower(),
        "source": ibis.literal("unified_audit"),
        "occurred_at": moment(wide.CreationTime),
        "object_id": wide.ObjectId.nullif(""),
        **derived,
    }


def _shared(rows: ir.Table, table: schema.Table) -> dict[str, ir.Value]:
    """The columns that a table has in common with `events`."""
    return {name: value for name, value in _event(rows).items() if name in table.names}


def _path(value: ir.StringValue) -> ir.StringValue:
    is_none = value.strip().lower().isin(["not available", "unknown"]) | (value == "")
    # Stripping and folding cost more than all else about an item; a path proper begins with a backslash.
    return (value.startswith("\\") | ~is_none).ifelse(value, ibis.null("string"))


def _message_id(item: ir.StructValue) -> ir.StringValue:
    value = item.InternetMessageId
    is_plain = value.startswith("<") & value.endswith(">")
    return is_plain.ifelse(value, value.strip().nullif(""))


def _accesses(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "mail_accesses")
    items = rows.Folders.map(lambda folder: folder.FolderItems).flatten().filter(lambda item: item.notnull())
    folder = rows.Item.ParentFolder
    return rows.select(
        **_shared(rows, schema.MAIL_ACCESS),
        access_type=rows.access__access_type,
        is_throttled=rows.access__is_throttled,
        operation_count=rows.OperationCount,
        item_entries=items.length().fill_null(0),
        folder_id=folder.Id.nullif(""),
        folder_path=ibis.coalesce(_path(folder.Path), _path(folder.Name)),
        auth_type=rows.AuthType.nullif(""),
        token_type=rows.TokenType.nullif(""),
    )


def _accessed_items(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "mail_accesses")
    shared = _shared(rows, schema.ACCESSED_ITEM)
    folders = rows.select(**shared, folder=rows.Folders.unnest())
    items = folders.select(*shared, folder_path=_path(folders.folder.Path), item=folders.folder.FolderItems.unnest())
    items = items.filter(items.item.notnull())
    return items.select(
        *shared,
        "folder_path",
        kind=ibis.literal("message"),
        internet_message_id=_message_id(items.item),
        item_id=items.item.Id.nullif(""),
        subject=items.item.Subject.nullif(""),
        size_bytes=items.item.SizeInBytes,
    )


def _attachments(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "attachments")
    shared = _shared(rows, schema.ACCESSED_ITEM)
    messages = rows.select(**shared, message=rows.Messages.unnest())
    items = messages.select(*shared, message=messages.message, item=messages.message.MessageItems.unnest())
    items = items.filter(items.item.notnull())
    return items.select(
        *shared,
        folder_path=_path(items.message.Path),
        kind=ibis.literal("attachment"),
        internet_message_id=ibis.coalesce(_message_id(items.item), _message_id(items.message)),
        item_id=items.item.Id.nullif(""),
        subject=items.item.Subject.nullif(""),
        size_bytes=items.item.SizeInBytes,
    )


def _sign_ins(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "sign_ins")
    derived = {name: rows[f"sign_in__{name}"] for name in SIGN_IN_COLUMNS}
    shared = _shared(rows, schema.SIGN_IN)
    request_id = ibis.coalesce(rows.IntraSystemId.lower(), shared["event_id"])
    return rows.select(
        **{
            **shared,
            **derived,
            "request_id": request_id,
            "correlation_id": rows.InterSystemsId.lower(),
            "session_id": ibis.coalesce(rows.device__session_id, shared["session_id"]),
            "token_id": ibis.coalesce(shared["token_id"], request_id),
        }
    )


def _sent(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "sent_messages")
    return rows.select(
        **_shared(rows, schema.SENT_MESSAGE),
        kind=rows.what__sent_kind,
        internet_message_id=_message_id(rows.Item),
        subject=rows.Item.Subject.nullif(""),
        size_bytes=rows.Item.SizeInBytes,
        sent_as=rows.sent__sent_as,
        attachments=rows.Item.Attachments.nullif(""),
    )


def _item_changes(wide: ir.Table) -> ir.Table:
    rows = wide.filter(wide.what__kind == "item_changes")
    rows = rows.select(
        **_shared(rows, schema.ITEM_CHANGE),
        folder=_path(rows.Folder.Path),
        to_folder_path=_path(rows.DestFolder.Path),
        listed=rows.AffectedItems,
        item=rows.Item,
    )
    has_list = rows.listed.length().fill_null(0) > 0
    several = rows.filter(has_list).mutate(item=lambda each: each.listed.unnest())
    single = rows.filter(~has_list & rows.item.notnull())
    return _changed(several).union(_changed(single))


def _changed(rows: ir.Table) -> ir.Table:
    item = rows.item
    return rows.select(
        *(name for name in schema.ITEM_CHANGE.names if name in rows.columns),
        internet_message_id=_message_id(item),
        subject=item.Subject.nullif(""),
        folder_path=ibis.coalesce(_path(item.ParentFolder.Path), rows.folder),
        size_bytes=item.SizeInBytes,
    )

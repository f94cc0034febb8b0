"""The audit record itself, batches at a time: the fast path of `unified_audit`.

What depends on a few fields that repeat from record to record (who, which client, which operation, which token) is
derived once per distinct combination by the functions of the plain path, so that the two cannot drift apart. What
is told by one record alone (ids, times, items) is an expression. Records with anything unusual in them are not
taken: wrappings, values of an unexpected kind.

Source: Office 365 Management Activity API schema; Microsoft Purview, MailItemsAccessed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis

from brokenseal import fields, schema
from brokenseal.errors import RecordRejected
from brokenseal.model import Columnar, Lookup
from brokenseal.sources import _audit_columnar_changes as changes
from brokenseal.sources._audit_columnar_keys import ANY_RECORD, PLAIN, columns, inner, is_plain, named, pairs, types
from brokenseal.sources._audit_columnar_rows import CLIENT, SIGN_IN_COLUMNS, TOKEN, WHAT, WHO, moment, normalise
from brokenseal.sources._audit_mail import add_mail_rows
from brokenseal.sources._audit_record import client_columns, event_row, token_columns
from brokenseal.sources._audit_sign_in import OWA_AUTH, add_sign_in_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Rows

_PAIRS = "array<struct<Name: string, Value: string>>"
_FOLDER = "struct<Id: string, Name: string, Path: string>"
_SCALARS = [
    "Id",
    "CreationTime",
    "Operation",
    "RecordType",
    "Workload",
    "OrganizationId",
    "OrganizationName",
    "ResultStatus",
    "UserKey",
    "UserType",
    "UserId",
    "ObjectId",
    "ClientIP",
    "ClientIPAddress",
    "ActorIpAddress",
    "ActorIP",
    "ClientInfoString",
    "ActorInfoString",
    "UserAgent",
    "AppId",
    "ApplicationId",
    "ApplicationDisplayName",
    "ClientAppId",
    "ExternalAccess",
    "LogonType",
    "MailboxGuid",
    "MailboxOwnerUPN",
    "SessionId",
    "UniqueTokenIdentifier",
    "TokenObjectId",
    "TokenTenantId",
    "AuthType",
    "TokenType",
    "ErrorNumber",
    "LogonError",
    "IntraSystemId",
    "InterSystemsId",
    "ActorContextId",
    "TargetContextId",
    "SendAsUserSmtp",
    "SendOnBehalfOfUserSmtp",
]
# Lists of pairs or a command line, and lists of values before and after: read where a change is, as they are written.
_WRITTEN_OUT = ("Parameters", "ModifiedProperties")
_WRAPPINGS = ("AuditData", "auditLogRecordType")

RAW_SCHEMA: Mapping[str, str] = {
    **dict.fromkeys(_SCALARS, "string"),
    **dict.fromkeys((*_WRAPPINGS, *_WRITTEN_OUT), "string"),
    "AppAccessContext": "struct<AADSessionId: string, ClientAppId: string, "
    "IssuedAtTime: string, UniqueTokenId: string>",
    "OperationProperties": _PAIRS,
    "ExtendedProperties": _PAIRS,
    "DeviceProperties": _PAIRS,
    "Actor": "array<struct<ID: string, Type: string>>",
    "Target": "array<struct<ID: string, Type: string>>",
    # Whole numbers: anything else in their place sends the record to the plain path.
    "OperationCount": "int64",
    "Folders": "array<struct<Path: string, FolderItems: array<struct<"
    "Id: string, InternetMessageId: string, Subject: string, SizeInBytes: int64>>>>",
    "Messages": "array<struct<Path: string, InternetMessageId: string, MessageItems: array<struct<"
    "Id: string, InternetMessageId: string, Subject: string, SizeInBytes: int64>>>>",
    "Item": "struct<Id: string, InternetMessageId: string, Subject: string, Attachments: string, SizeInBytes: int64, "
    f"ParentFolder: {_FOLDER}>",
    "AffectedItems": "array<struct<InternetMessageId: string, Subject: string, SizeInBytes: int64, "
    f"ParentFolder: {_FOLDER}>>",
    "Folder": _FOLDER,
    "DestFolder": _FOLDER,
}

# Outer columns that fill in what the record lacks, best first.
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "Id": ("Identity", "RecordId", "Id", "id"),
    "CreationTime": ("CreationDate", "createdDateTime", "CreatedDateTime"),
    "Operation": ("Operations", "Operation", "operation"),
    "RecordType": ("RecordType", "auditLogRecordType", "AuditLogRecordType"),
    "UserId": ("UserIds", "UserId", "userPrincipalName", "userId"),
    "UserType": ("userType", "UserType"),
    "OrganizationId": ("organizationId", "OrganizationId"),
    "Workload": ("service", "Service"),
    "ObjectId": ("objectId", "ObjectId"),
    "ClientIP": ("clientIp", "ClientIp"),
}

_PAYLOAD = "AuditData"
_GUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_NO_GUID = "00000000-0000-0000-0000-000000000000"
_TIME = r"^(1[7-9]|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z?$"
_ODD = "odd"

# ---------------------------------------------------------------- derived per distinct combination


def _rows(audit: Mapping[str, Any]) -> Rows:
    event = event_row({**ANY_RECORD, **audit})
    rows: Rows = {"events": [event]}
    add_mail_rows(audit, event, rows)
    add_sign_in_rows(audit, event, rows)
    return rows


def _event_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    event = event_row({**ANY_RECORD, **keys})
    return {**{name: event[name] for name in names}, "plain": is_plain(keys.values())}


def _client_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    plain = {name: value for name, value in keys.items() if not name.startswith("_")}
    extended = pairs({"UserAgent": keys["_agent"], "additionalDetails": keys["_details"]})
    found = client_columns({**plain, "ExtendedProperties": extended}, {"ClientAppId": keys["_inner"]})
    return {**{name: found[name] for name in names}, "plain": is_plain((*plain.values(), keys["_inner"]))}


def _token_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    context = {name: keys[name] for name in ("AADSessionId", "IssuedAtTime", "UniqueTokenId")}
    outer = {name: keys[name] for name in ("SessionId", "UniqueTokenIdentifier")}
    found = token_columns(outer, context)
    return {**{name: found[name] for name in names}, "plain": is_plain(keys.values())}


def _what_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    names = ("operation", "operation_key", "record_type", "workload", "succeeded")
    try:
        rows = _rows(keys)
    except RecordRejected:  # no operation
        return {**dict.fromkeys(names), "kind": _ODD, "sent_kind": None, "plain": False}
    event = rows["events"][0]
    sent = rows.get("sent_messages")
    return {
        **{name: event[name] for name in names},
        "kind": _kind(keys, event, rows),
        "sent_kind": sent[0]["kind"] if sent else None,
        "plain": is_plain(keys.values()),
    }


_KINDS = ("mail_accesses", "sent_messages", "sign_ins")


def _kind(keys: Mapping[str, str | None], event: Mapping[str, Any], rows: Rows) -> str:
    """What rows a record of such an operation has beside its event."""
    key = event["operation_key"]
    if key in changes.ONE_BY_ONE or event["record_type"] in {None, OWA_AUTH}:
        return _ODD
    if key == "attachmentaccess":
        return "attachments"
    kind = next((name for name in _KINDS if name in rows), "events")
    if kind == "events" and _changes_items(keys, event):
        kind = "item_changes"
    if key in changes.AS_COLUMNS:
        # A change that had other rows as well would need both.
        return changes.CHANGES if kind == "events" else _ODD
    return kind


def _changes_items(keys: Mapping[str, str | None], event: Mapping[str, Any]) -> bool:
    rows: Rows = {}
    add_mail_rows({**keys, "Item": {"Subject": "-"}}, dict(event), rows)
    return "item_changes" in rows


def _access_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    properties = pairs({"MailAccessType": keys["_type"], "IsThrottled": keys["_throttled"]})
    # Null where the record has no such list: what it does not say is not false.
    if keys["_named"] != "true":
        properties = []
    rows = _rows(
        {"Operation": "MailItemsAccessed", "RecordType": keys["RecordType"], "OperationProperties": properties}
    )
    access = rows["mail_accesses"][0]
    return {"access_type": access["access_type"], "is_throttled": access["is_throttled"]}


def _sign_in_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    actors = [{"ID": part, "Type": "0"} for part in (keys["_actors"] or "").split("\n")]
    record = {
        **{name: value for name, value in keys.items() if not name.startswith("_")},
        "Operation": "UserLoggedIn",
        "RecordType": "15",
        "Actor": actors,
        "Target": [{"ID": keys["_target"]}] if keys["_target"] else [],
        "ExtendedProperties": pairs({"RequestType": keys["_request_type"]}),
        "DeviceProperties": pairs({"Id": keys["_device"]}),
    }
    row = _rows(record)["sign_ins"][0]
    return {**{name: row.get(name) for name in SIGN_IN_COLUMNS}, "plain": is_plain(keys.values())}


def _device_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {"session_id": fields.identifier(keys["_session"]), "plain": is_plain(keys.values())}


def _sent_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    row = _rows({**keys, "Operation": "SendAs", "RecordType": "2"})["sent_messages"][0]
    return {"sent_as": row["sent_as"], "plain": is_plain(keys.values())}


def _actors(raw: ir.Table) -> ir.StringValue:
    """The object ids among the actors, one a line."""
    return raw.Actor.filter(lambda each: each.Type == "0").map(lambda each: each.ID).join("\n")


def _first_target(raw: ir.Table) -> ir.StringValue:
    return raw.Target[0].ID


def _is_sign_in(raw: ir.Table) -> ir.BooleanValue:
    return raw.Operation.startswith("UserLog")


_SIGN_IN_KEYS: dict[str, Callable[[ir.Table], ir.StringValue]] = {
    **columns(
        "ObjectId",
        "UserKey",
        "AppId",
        "ApplicationId",
        "ApplicationDisplayName",
        "ErrorNumber",
        "LogonError",
        "ActorContextId",
        "TargetContextId",
    ),
    "_actors": _actors,
    "_target": _first_target,
    "_request_type": partial(named, column="ExtendedProperties", name="RequestType"),
    "_device": partial(named, column="DeviceProperties", name="Id"),
}

LOOKUPS = (
    Lookup(
        name="who",
        keys=columns(
            "OrganizationId",
            "UserId",
            "UserKey",
            "UserType",
            "MailboxGuid",
            "MailboxOwnerUPN",
            "LogonType",
            "ExternalAccess",
            "TokenObjectId",
            "TokenTenantId",
        ),
        derive=partial(_event_columns, names=WHO),
        columns=types(WHO) | PLAIN,
    ),
    Lookup(
        name="what",
        keys=columns("Operation", "RecordType", "Workload", "ResultStatus", "ErrorNumber"),
        derive=_what_columns,
        columns=types(WHAT) | {"kind": "string", "sent_kind": "string"} | PLAIN,
    ),
    Lookup(
        name="client",
        keys=columns(
            "ClientIP",
            "ClientIPAddress",
            "ActorIpAddress",
            "ActorIP",
            "ClientInfoString",
            "ActorInfoString",
            "AppId",
            "ApplicationId",
            "ClientAppId",
            "UserAgent",
        )
        | {
            "_inner": partial(inner, outer="AppAccessContext", name="ClientAppId"),
            "_agent": partial(named, column="ExtendedProperties", name="UserAgent"),
            "_details": partial(named, column="ExtendedProperties", name="additionalDetails"),
        },
        derive=partial(_client_columns, names=CLIENT),
        columns=types(CLIENT) | PLAIN,
    ),
    Lookup(
        name="token",
        keys=columns("SessionId", "UniqueTokenIdentifier")
        | {
            name: partial(inner, outer="AppAccessContext", name=name)
            for name in ("AADSessionId", "IssuedAtTime", "UniqueTokenId")
        },
        derive=partial(_token_columns, names=TOKEN),
        columns=types(TOKEN) | PLAIN,
    ),
    Lookup(
        name="access",
        keys=columns("RecordType")
        | {
            "_type": partial(named, column="OperationProperties", name="MailAccessType"),
            "_throttled": partial(named, column="OperationProperties", name="IsThrottled"),
            "_named": lambda raw: (raw.OperationProperties.length() > 0).cast("string"),
        },
        derive=_access_columns,
        columns=types(["access_type", "is_throttled"], schema.MAIL_ACCESS),
    ),
    Lookup(
        name="sign_in",
        keys=_SIGN_IN_KEYS,
        derive=_sign_in_columns,
        columns=types(SIGN_IN_COLUMNS, schema.SIGN_IN) | PLAIN,
        only=_is_sign_in,
    ),
    Lookup(
        name="device",
        keys={"_session": partial(named, column="DeviceProperties", name="SessionId")},
        derive=_device_columns,
        columns=types(["session_id"], schema.SIGN_IN) | PLAIN,
        only=_is_sign_in,
    ),
    Lookup(
        name="sent",
        keys=columns("SendAsUserSmtp", "SendOnBehalfOfUserSmtp"),
        derive=_sent_columns,
        columns=types(["sent_as"], schema.SENT_MESSAGE) | PLAIN,
    ),
    changes.LOOKUP,
)

# ---------------------------------------------------------------- which rows


def _takes(wide: ir.Table) -> ir.BooleanValue:
    unwrapped = ibis.and_(*(wide[name].isnull() for name in _WRAPPINGS))
    plain = ibis.and_(
        *(wide[f"{each.name}__plain"] for each in LOOKUPS if "plain" in each.columns and each is not changes.LOOKUP)
    )
    is_sign_in = wide.what__kind == "sign_ins"
    return ibis.and_(
        wide.Id.re_search(_GUID),
        wide.CreationTime.re_search(_TIME),
        moment(wide.CreationTime).notnull(),
        wide.what__kind != _ODD,
        unwrapped,
        plain,
        changes.are_clear(wide),
        _is_text(wide.ObjectId),
        _is_text(wide.AuthType),
        _is_text(wide.TokenType),
        _all_named(wide.OperationProperties),
        _all_named(wide.ExtendedProperties),
        (wide.what__kind != "item_changes") | _items_are_clear(wide),
        ~is_sign_in | (_all_named(wide.DeviceProperties) & _entries_are_clear(wide)),
    )


def _is_text(value: ir.StringValue) -> ir.BooleanValue:
    return value.isnull() | ~(value.startswith("{") | value.startswith("["))


def _all_named(pairs: ir.ArrayValue) -> ir.BooleanValue:
    """True unless some entry is null or has no `Name`: such lists are written in another way."""
    return pairs.isnull() | (pairs.filter(lambda pair: pair.Name.isnull()).length() == 0)


def _items_are_clear(wide: ir.Table) -> ir.BooleanValue:
    """Whether it is plain which items were changed: those listed, else the single one."""
    listed = wide.AffectedItems.length().fill_null(0)
    empty = wide.AffectedItems.filter(lambda item: item.isnull()).length().fill_null(0)
    item = wide.Item
    single = ibis.or_(
        item.InternetMessageId.notnull(), item.Subject.notnull(), item.Id.notnull(), item.SizeInBytes.notnull()
    )
    return (empty == 0) & ((listed > 0) | item.isnull() | single)


def _entries_are_clear(wide: ir.Table) -> ir.BooleanValue:
    """Whether actors, target and ids of a sign-in are written in the usual way."""
    usual = [
        entries.isnull() | (entries.filter(lambda each: each.ID.isnull() | each.Type.isnull()).length() == 0)
        for entries in (wide.Actor, wide.Target)
    ]
    ids = [
        value.isnull() | (value.re_search(_GUID) & (value != _NO_GUID))
        for value in (wide.IntraSystemId, wide.InterSystemsId)
    ]
    return ibis.and_(wide.Id != _NO_GUID, *usual, *ids)


def _reads_table(columns: Sequence[str]) -> bool:
    # What a search announced is counted record by record.
    return _PAYLOAD in columns and "ResultCount" not in columns


BARE = Columnar(raw_schema=RAW_SCHEMA, lookups=LOOKUPS, takes=_takes, normalise=normalise)
IN_A_COLUMN = replace(BARE, payload=_PAYLOAD, fallbacks=FALLBACKS, reads_table=_reads_table)

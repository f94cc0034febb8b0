"""The audit record itself, batches at a time: the fast path of `unified_audit`.

What depends on a few fields that repeat from record to record (who, which client, which operation, which token) is
derived once per distinct combination by the functions of the plain path, so that the two cannot drift apart. What
is told by one record alone (ids, times, items) is an expression. Records with anything unusual in them are not
taken: wrappings, changes of configuration, values of an unexpected kind.

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
from brokenseal.sources._audit_cmdlets import CMDLETS
from brokenseal.sources._audit_columnar_rows import CLIENT, SIGN_IN_COLUMNS, TOKEN, WHAT, WHO, moment, normalise
from brokenseal.sources._audit_directory import DIRECTORY_OPERATIONS
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
_WRAPPINGS = ("AuditData", "auditLogRecordType")

RAW_SCHEMA: Mapping[str, str] = {
    **dict.fromkeys(_SCALARS, "string"),
    **dict.fromkeys(_WRAPPINGS, "string"),
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
# Text that may stand for a nested value, or for one that an export lost.
_NESTED = ("{", "[", "@{", "System.Object[]", "System.Collections.")
_ODD = "odd"

_ANY_RECORD: Mapping[str, str] = {"Id": "-", "Operation": "-", "CreationTime": "2000-01-01T00:00:00"}

# ---------------------------------------------------------------- derived per distinct combination


def _rows(audit: Mapping[str, Any]) -> Rows:
    event = event_row({**_ANY_RECORD, **audit})
    rows: Rows = {"events": [event]}
    add_mail_rows(audit, event, rows)
    add_sign_in_rows(audit, event, rows)
    return rows


def _is_plain(keys: Mapping[str, str | None]) -> bool:
    return not any(value is not None and value.startswith(_NESTED) for value in keys.values())


def _event_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    event = event_row({**_ANY_RECORD, **keys})
    return {**{name: event[name] for name in names}, "plain": _is_plain(keys)}


def _client_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    plain = {name: value for name, value in keys.items() if not name.startswith("_")}
    extended = _pairs({"UserAgent": keys["_agent"], "additionalDetails": keys["_details"]})
    found = client_columns({**plain, "ExtendedProperties": extended}, {"ClientAppId": keys["_inner"]})
    is_plain = _is_plain({**plain, "_inner": keys["_inner"]})
    return {**{name: found[name] for name in names}, "plain": is_plain}


def _token_columns(keys: Mapping[str, str | None], *, names: tuple[str, ...]) -> Mapping[str, Any]:
    context = {name: keys[name] for name in ("AADSessionId", "IssuedAtTime", "UniqueTokenId")}
    outer = {name: keys[name] for name in ("SessionId", "UniqueTokenIdentifier")}
    found = token_columns(outer, context)
    return {**{name: found[name] for name in names}, "plain": _is_plain(keys)}


def _what_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    names = ("operation", "operation_key", "record_type", "workload", "succeeded")
    try:
        rows = _rows(keys)
    except RecordRejected:  # no operation
        return {**dict.fromkeys(names), "kind": _ODD, "sent_kind": None, "plain": False}
    event = rows["events"][0]
    key = event["operation_key"]
    is_odd = key in CMDLETS or key in DIRECTORY_OPERATIONS or event["record_type"] in {None, OWA_AUTH}
    kind = _ODD if is_odd else next((name for name in _KINDS if name in rows), "events")
    if not is_odd and kind == "events" and _changes_items(keys, event):
        kind = "item_changes"
    if not is_odd and key == "attachmentaccess":
        kind = "attachments"
    sent = rows.get("sent_messages")
    return {
        **{name: event[name] for name in names},
        "kind": kind,
        "sent_kind": sent[0]["kind"] if sent else None,
        "plain": _is_plain(keys),
    }


_KINDS = ("mail_accesses", "sent_messages", "sign_ins")


def _changes_items(keys: Mapping[str, str | None], event: Mapping[str, Any]) -> bool:
    rows: Rows = {}
    add_mail_rows({**keys, "Item": {"Subject": "-"}}, dict(event), rows)
    return "item_changes" in rows


def _access_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    properties = _pairs({"MailAccessType": keys["_type"], "IsThrottled": keys["_throttled"]})
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
        "ExtendedProperties": _pairs({"RequestType": keys["_request_type"]}),
        "DeviceProperties": _pairs({"Id": keys["_device"]}),
    }
    row = _rows(record)["sign_ins"][0]
    return {**{name: row.get(name) for name in SIGN_IN_COLUMNS}, "plain": _is_plain(keys)}


def _device_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {"session_id": fields.identifier(keys["_session"]), "plain": _is_plain(keys)}


def _sent_columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    row = _rows({**keys, "Operation": "SendAs", "RecordType": "2"})["sent_messages"][0]
    return {"sent_as": row["sent_as"], "plain": _is_plain(keys)}


def _pairs(values: Mapping[str, str | None]) -> list[dict[str, str | None]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def _column(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw[name]


def _inner(raw: ir.Table, *, outer: str, name: str) -> ir.StringValue:
    return raw[outer][name]


def _named(raw: ir.Table, *, column: str, name: str) -> ir.StringValue:
    """The value of the first pair of that name."""
    return raw[column].filter(lambda pair: pair.Name == name)[0].Value


def _actors(raw: ir.Table) -> ir.StringValue:
    """The object ids among the actors, one a line."""
    return raw.Actor.filter(lambda each: each.Type == "0").map(lambda each: each.ID).join("\n")


def _first_target(raw: ir.Table) -> ir.StringValue:
    return raw.Target[0].ID


def _in_sign_ins(raw: ir.Table, *, key: Callable[[ir.Table], ir.StringValue]) -> ir.StringValue:
    """The key for sign-ins, null for other records, so that these are one combination."""
    return raw.Operation.startswith("UserLog").ifelse(key(raw), ibis.null("string"))


def _columns(*names: str) -> dict[str, Callable[[ir.Table], ir.StringValue]]:
    return {name: partial(_column, name=name) for name in names}


def _types(names: tuple[str, ...] | list[str], table: schema.Table = schema.EVENT) -> dict[str, str]:
    return {column.name: column.dtype for column in table.columns if column.name in names}


_PLAIN = {"plain": "boolean"}

_SIGN_IN_KEYS: dict[str, Callable[[ir.Table], ir.StringValue]] = {
    **_columns(
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
    "_request_type": partial(_named, column="ExtendedProperties", name="RequestType"),
    "_device": partial(_named, column="DeviceProperties", name="Id"),
}

LOOKUPS = (
    Lookup(
        name="who",
        keys=_columns(
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
        columns=_types(WHO) | _PLAIN,
    ),
    Lookup(
        name="what",
        keys=_columns("Operation", "RecordType", "Workload", "ResultStatus", "ErrorNumber"),
        derive=_what_columns,
        columns=_types(WHAT) | {"kind": "string", "sent_kind": "string"} | _PLAIN,
    ),
    Lookup(
        name="client",
        keys=_columns(
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
            "_inner": partial(_inner, outer="AppAccessContext", name="ClientAppId"),
            "_agent": partial(_named, column="ExtendedProperties", name="UserAgent"),
            "_details": partial(_named, column="ExtendedProperties", name="additionalDetails"),
        },
        derive=partial(_client_columns, names=CLIENT),
        columns=_types(CLIENT) | _PLAIN,
    ),
    Lookup(
        name="token",
        keys=_columns("SessionId", "UniqueTokenIdentifier")
        | {
            name: partial(_inner, outer="AppAccessContext", name=name)
            for name in ("AADSessionId", "IssuedAtTime", "UniqueTokenId")
        },
        derive=partial(_token_columns, names=TOKEN),
        columns=_types(TOKEN) | _PLAIN,
    ),
    Lookup(
        name="access",
        keys=_columns("RecordType")
        | {
            "_type": partial(_named, column="OperationProperties", name="MailAccessType"),
            "_throttled": partial(_named, column="OperationProperties", name="IsThrottled"),
            "_named": lambda raw: (raw.OperationProperties.length() > 0).cast("string"),
        },
        derive=_access_columns,
        columns=_types(["access_type", "is_throttled"], schema.MAIL_ACCESS),
    ),
    Lookup(
        name="sign_in",
        keys={name: partial(_in_sign_ins, key=key) for name, key in _SIGN_IN_KEYS.items()},
        derive=_sign_in_columns,
        columns=_types(SIGN_IN_COLUMNS, schema.SIGN_IN) | _PLAIN,
    ),
    Lookup(
        name="device",
        keys={
            "_session": partial(_in_sign_ins, key=partial(_named, column="DeviceProperties", name="SessionId")),
        },
        derive=_device_columns,
        columns=_types(["session_id"], schema.SIGN_IN) | _PLAIN,
    ),
    Lookup(
        name="sent",
        keys=_columns("SendAsUserSmtp", "SendOnBehalfOfUserSmtp"),
        derive=_sent_columns,
        columns=_types(["sent_as"], schema.SENT_MESSAGE) | _PLAIN,
    ),
)

# ---------------------------------------------------------------- which rows


def _takes(wide: ir.Table) -> ir.BooleanValue:
    unwrapped = ibis.and_(*(wide[name].isnull() for name in _WRAPPINGS))
    plain = ibis.and_(*(wide[f"{each.name}__plain"] for each in LOOKUPS if "plain" in each.columns))
    is_sign_in = wide.what__kind == "sign_ins"
    return ibis.and_(
        wide.Id.re_search(_GUID),
        wide.CreationTime.re_search(_TIME),
        moment(wide.CreationTime).notnull(),
        wide.what__kind != _ODD,
        unwrapped,
        plain,
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

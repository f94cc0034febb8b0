"""The common part of every audit record: its `events` row, from which the other builders copy.

A builder takes the audit record itself (the content of AuditData), whichever wrapping it came in. Nested fields
may be objects, JSON text of objects (Sentinel, CSV exports) or what PowerShell leaves of them
(`@{Name=X; Value=Y}`, `System.Object[]`); `as_object`, `as_list` and `named_values` read all three, and give
nothing for what was lost.

Source: Office 365 Management Activity API schema, Common schema and Exchange Mailbox schema; Microsoft Entra,
linkable identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from brokenseal import fields
from brokenseal.errors import RecordRejected

if TYPE_CHECKING:
    from brokenseal.model import Record

Row = dict[str, Any]
EMPTY: Mapping[str, Any] = {}

# Names as PowerShell, Graph and Sentinel write them instead of the numbers, folded.
_RECORD_TYPES = {
    "exchangeadmin": 1,
    "exchangeitem": 2,
    "exchangeitemgroup": 3,
    "sharepoint": 4,
    "sharepointfileoperation": 6,
    "onedrive": 7,
    "azureactivedirectory": 8,
    "azureactivedirectoryaccountlogon": 9,
    "datacentersecuritycmdlet": 10,
    "compliancedlpsharepoint": 11,
    "compliancedlpexchange": 13,
    "sharepointsharingoperation": 14,
    "azureactivedirectorystslogon": 15,
    "securitycompliancecentereopcmdlet": 18,
    "exchangeaggregatedoperation": 19,
    "powerbiaudit": 20,
    "crm": 21,
    "yammer": 22,
    "skypeforbusinesscmdlets": 23,
    "discovery": 24,
    "microsoftteams": 25,
    "threatintelligence": 28,
    "microsoftflow": 30,
    "aed": 31,
    "sharepointlistoperation": 36,
    "sharepointcommentoperation": 37,
    "datagovernance": 38,
    "securitycompliancealerts": 40,
    "threatintelligenceurl": 41,
    "miplabel": 43,
    "exchangeitemaggregated": 50,
    "datainsightsrestapiaudit": 52,
    "sharepointlistitemoperation": 54,
    "sharepointcontenttypeoperation": 55,
    "sharepointfieldoperation": 56,
    "informationworkerprotection": 61,
    "campaign": 62,
    "dlpendpoint": 63,
    "airinvestigation": 64,
    "quarantine": 65,
    "wdatpalerts": 78,
    "securitycompliancerbac": 87,
    "mcasalerts": 98,
    "exchangesearch": 101,
    "sharepointsearch": 102,
    "ms365dcustomdetection": 113,
    "copilotinteraction": 261,
    "owaauth": 275,
    "owagetaccesstokenforresource": 275,
    "aadriskdetection": 294,
    "auditsearch": 295,
    "auditretentionpolicy": 296,
    "crosstenantaccesspolicy": 372,
    "outlookcopilotautomation": 373,
}
_USER_TYPES = {
    "regular": 0,
    "reserved": 1,
    "admin": 2,
    "dcadmin": 3,
    "system": 4,
    "application": 5,
    "serviceprincipal": 6,
    "custompolicy": 7,
    "systempolicy": 8,
    "partnertechnician": 9,
    "guest": 10,
}
_LOGON_TYPES = {
    "owner": 0,
    "admin": 1,
    "delegated": 2,
    "delegate": 2,
    "transport": 3,
    "systemservice": 4,
    "bestaccess": 5,
    "delegatedadmin": 6,
}
_SUCCEEDED = {
    "succeeded": True,
    "partiallysucceeded": True,
    "success": True,
    "true": True,
    "failed": False,
    "failure": False,
    "false": False,
}

_DATACENTRE_ADMIN = 3
_SERVICE_KEY = "NT AUTHORITY\\SYSTEM ("

# AppId values that name the API that was called, not the client that called it.
_RESOURCES = frozenset(
    {
        "00000002-0000-0000-c000-000000000000",  # Azure AD Graph
        "00000002-0000-0ff1-ce00-000000000000",  # Exchange Online
        "00000003-0000-0000-c000-000000000000",  # Microsoft Graph
        "00000003-0000-0ff1-ce00-000000000000",  # SharePoint Online
        "47629505-c2b6-4a80-adb1-9b3a3d233b7b",  # Exchange Web Services
    }
)

# ---------------------------------------------------------------- nested fields

_MEMBER = re.compile(r"([A-Za-z][A-Za-z0-9.]*)=(.*)", re.DOTALL)
_NAME_FIRST = re.compile(r"@\{Name=([^;=]*); Value=(.*)\}", re.DOTALL)
_VALUE_FIRST = re.compile(r"@\{Value=(.*); Name=([^;=]*)\}", re.DOTALL)


def is_lost(value: object) -> bool:
    """True for text that a .NET or PowerShell export left in place of a nested value."""
    return isinstance(value, str) and value.startswith(("@{", "System.Object[]", "System.Collections."))


def is_flattened(record: Record) -> bool:
    """True where some nested field of the record was flattened to text by a PowerShell export."""
    if any(is_lost(item[0]) if isinstance(item, list) and item else is_lost(item) for item in record.values()):
        return True
    folders = record.get("Folders")
    first = folders[0] if isinstance(folders, list) and folders else None
    return isinstance(first, Mapping) and is_lost(first.get("FolderItems"))


def as_object(value: object) -> Mapping[str, Any]:
    """An object, JSON text of one, or `@{Key=Text; …}` with its texts; empty for anything else."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, str) or not value:
        return EMPTY
    if value.startswith("@{") and value.endswith("}"):
        members = (_MEMBER.fullmatch(part) for part in value[2:-1].split("; "))
        return {found[1]: found[2] for found in members if found and not is_lost(found[2])}
    decoded = fields.decode_json_text(value)
    return decoded if isinstance(decoded, Mapping) else EMPTY


def as_list(value: object) -> list[Any] | None:
    """A list, JSON text of one, or a single object (PowerShell unrolls lists of one); None where there is none.

    None also where the list was lost in an export, so that "lists nothing" and "cannot tell" stay apart.
    """
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        value = fields.decode_json_text(value)
    if isinstance(value, Mapping):
        return [value]
    return None if not isinstance(value, list) or any(is_lost(item) for item in value) else value


def objects_in(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; what is no object is left out."""
    return [item for item in as_list(value) or () if isinstance(item, Mapping)]


def named_values(value: object) -> dict[str, str | None]:
    """Like `fields.pairs`, and also reads the texts `@{Name=X; Value=Y}` that PowerShell makes of such pairs."""
    if isinstance(value, str) and value.startswith("@{"):
        value = [value]
    if not isinstance(value, list) or not any(is_lost(item) for item in value):
        return fields.pairs(value)
    found: dict[str, str | None] = {}
    for item in value:
        if isinstance(item, str) and (named := _NAME_FIRST.fullmatch(item)):
            found.setdefault(named[1].strip(), named[2] or None)
        elif isinstance(item, str) and (named := _VALUE_FIRST.fullmatch(item)):
            found.setdefault(named[2].strip(), named[1] or None)
    return found


# ---------------------------------------------------------------- codes


def _code(value: object, names: Mapping[str, int]) -> int | None:
    number = fields.integer(value)
    if number is not None or not isinstance(value, str):
        return number
    return names.get(value.strip().lower())


def _succeeded(audit: Record, operation_key: str) -> bool | None:
    # UserLoginFailed may say "Success"; the operation and the error number are right.
    if operation_key == "userloginfailed":
        return False
    if operation_key == "userloggedin" and (number := fields.integer(audit.get("ErrorNumber"))) is not None:
        return number == 0
    return _SUCCEEDED.get(fields.fold(audit.get("ResultStatus")) or "")


def _is_service(user_type: int | None, user_key: str | None) -> bool | None:
    if user_type is not None and user_type != _DATACENTRE_ADMIN:
        return False
    if user_key is None:
        return None
    if not user_key.startswith(_SERVICE_KEY):
        return False
    return None if user_type is None else True


# ---------------------------------------------------------------- the events row


def _required_text(audit: Record, name: str, expected: str) -> str:
    text = fields.text_of(audit.get(name))
    if text is None or not text.strip():
        raise RecordRejected(column=name, reason="field_missing", value=text, expected=expected)
    return text


def event_row(audit: Record) -> Row:
    """The `events` row of one audit record, with every column but `input_sha256` and `record_no`.

    Raises:
        RecordRejected: `field_missing` for Id, CreationTime or Operation, `field_invalid` for a time that is none.
    """
    event_id = _required_text(audit, "Id", "the record's identifier, a GUID").strip().lower()
    operation = _required_text(audit, "Operation", "the name of the operation")
    occurred_at = fields.parse_time(audit.get("CreationTime"), column="CreationTime")
    operation_key = fields.operation_key(operation)
    actor = fields.text_of(audit.get("UserId"))
    user_key = fields.text_of(audit.get("UserKey"))
    user_type = _code(audit.get("UserType"), _USER_TYPES)
    return {
        "event_id": event_id,
        "source": "unified_audit",
        "occurred_at": occurred_at,
        "tenant_id": fields.identifier(audit.get("OrganizationId")),
        "operation": operation,
        "operation_key": operation_key,
        "record_type": _code(audit.get("RecordType"), _RECORD_TYPES),
        "workload": fields.text_of(audit.get("Workload")),
        "actor": actor,
        "actor_key": fields.fold(actor),
        "user_type": user_type,
        "user_key": user_key,
        "is_service": _is_service(user_type, user_key),
        "succeeded": _succeeded(audit, operation_key),
        "object_id": fields.text_of(audit.get("ObjectId")),
        **_mailbox(audit),
        "logon_type": _code(audit.get("LogonType"), _LOGON_TYPES),
        "external_access": fields.truth(audit.get("ExternalAccess")),
        **client_columns(audit, context := as_object(audit.get("AppAccessContext"))),
        **token_columns(audit, context),
    }


def _mailbox(audit: Record) -> Row:
    upn = fields.fold(audit.get("MailboxOwnerUPN"))
    key = fields.guid(audit.get("MailboxGuid")) or (None if upn is None else f"upn:{upn}")
    return {"mailbox_key": key, "mailbox_upn": upn}


def client_columns(audit: Record, context: Mapping[str, Any]) -> Row:
    """The address, client and application columns of a record and its AppAccessContext."""
    client_ip, ip_class = fields.best_address(
        audit.get("ClientIP"), audit.get("ClientIPAddress"), audit.get("ActorIpAddress"), audit.get("ActorIP")
    )
    written = audit.get("ClientInfoString")
    client = fields.parse_client_info(written)
    # ActorInfoString is the truer of the two where a record has it, but its type names the inner hop.
    actor = fields.parse_client_info(audit.get("ActorInfoString"))
    client_type = client.client_type or actor.client_type
    app_id = fields.identifier(audit.get("AppId")) or fields.identifier(audit.get("ApplicationId"))
    outer_app = fields.identifier(audit.get("ClientAppId"))
    inner_app = fields.identifier(context.get("ClientAppId"))
    candidates = (inner_app, outer_app, app_id, actor.app_id, client.app_id)
    effective = next((app for app in candidates if app is not None and app not in _RESOURCES), None)
    return {
        "client_ip": client_ip,
        "ip_class": ip_class,
        "client_info": fields.text_of(written),
        "client_type": client_type,
        "protocol": client.protocol or actor.protocol,
        "user_agent": actor.user_agent or client.user_agent or _other_user_agent(audit),
        "app_id": app_id,
        "client_app_id": outer_app or inner_app,
        "effective_app": effective or (None if client_type is None else f"proto:{client_type}"),
    }


def _other_user_agent(audit: Record) -> str | None:
    if written := fields.text_of(audit.get("UserAgent")):
        return written
    extended = audit.get("ExtendedProperties")
    if not extended:
        return None
    values = named_values(extended)
    if written := values.get("UserAgent"):
        return written
    details = fields.decode_json_text(values.get("additionalDetails"))
    return fields.text_of(details.get("User-Agent")) if isinstance(details, Mapping) else None


def token_columns(audit: Record, context: Mapping[str, Any]) -> Row:
    """The session and token columns of a record and its AppAccessContext."""
    session = fields.identifier(audit.get("SessionId")) or fields.identifier(context.get("AADSessionId"))
    raw = fields.text_of(context.get("UniqueTokenId")) or fields.text_of(audit.get("UniqueTokenIdentifier"))
    token_id, form = fields.canonical_token_id(raw)
    return {
        "session_id": session,
        "token_id_raw": raw,
        "token_id": token_id,
        "token_form": form,
        "token_issued_at": fields.try_time(context.get("IssuedAtTime")),
        "token_subject": fields.identifier(audit.get("TokenObjectId")),
        "token_tenant_id": fields.identifier(audit.get("TokenTenantId")),
    }


def pick(event: Row, names: tuple[str, ...]) -> Row:
    """Columns of the event that another row repeats."""
    return {name: event[name] for name in names}

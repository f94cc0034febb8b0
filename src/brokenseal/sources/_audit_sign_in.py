"""Sign-ins that the audit log itself holds, and tokens that Outlook on the web minted.

Source: Office 365 Management Activity API schema, Azure Active Directory Secure Token Service Logon schema and
OWAAuth (record type 275).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal import fields, schema
from brokenseal.sources._audit_record import Row, named_values, objects_in, pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.model import Record, Rows

_OPERATIONS = frozenset({"userloggedin", "userloginfailed"})
_RECORD_TYPES = frozenset({9, 15, None})
OWA_AUTH = 275
_OBJECT_ID = 0  # Type of an Actor or Target entry that is an object id

_SHARED = tuple(name for name in schema.SIGN_IN.names if name in schema.EVENT.names)


def add_sign_in_rows(audit: Record, event: Row, rows: Rows) -> None:
    """Add the `sign_ins` row of a sign-in or token issuance record to `rows`; other records add nothing."""
    if event["operation_key"] in _OPERATIONS and event["record_type"] in _RECORD_TYPES:
        rows["sign_ins"] = [_login(audit, event)]
    elif event["record_type"] == OWA_AUTH:
        rows["sign_ins"] = [_owa_auth(audit, event)]


def _login(audit: Record, event: Row) -> Row:
    extended = named_values(audit.get("ExtendedProperties"))
    device = named_values(audit.get("DeviceProperties"))
    # The record's Id is the Entra request id, which is also what the token's `uti` decodes to. The form stays
    # null, because the record does not write the token id.
    request_id = fields.guid(audit.get("IntraSystemId")) or fields.guid(event["event_id"])
    sign_in = pick(event, _SHARED)
    sign_in |= {
        "category": "audit_log",
        "subject_id": _actor_object_id(audit),
        "app_id": fields.identifier(audit.get("ApplicationId")) or event["app_id"],
        "app_name": fields.text_of(audit.get("ApplicationDisplayName")),
        "resource_id": fields.identifier(audit.get("ObjectId")) or _first_id(audit.get("Target")),
        "request_id": request_id,
        "correlation_id": fields.identifier(audit.get("InterSystemsId")),
        "session_id": fields.identifier(device.get("SessionId")) or event["session_id"],
        "token_id": event["token_id"] or request_id,
        "error_code": fields.integer(audit.get("ErrorNumber")),
        "failure_reason": fields.text_of(audit.get("LogonError")),
        "request_type": extended.get("RequestType"),
        "device_id": fields.identifier(device.get("Id")),
        "home_tenant_id": fields.identifier(audit.get("ActorContextId")),
        "resource_tenant_id": fields.identifier(audit.get("TargetContextId")),
    }
    return sign_in


def _owa_auth(audit: Record, event: Row) -> Row:
    sign_in = pick(event, _SHARED)
    sign_in |= {
        "category": "owa_auth",
        "subject_id": event["token_subject"] or _actor_object_id(audit),
        "app_id": event["client_app_id"] or event["app_id"],
        "resource_name": fields.text_of(audit.get("ResourceURL")),
        "correlation_id": fields.identifier(audit.get("InterSystemsId")),
        "error_code": fields.integer(audit.get("ErrorNumber")),
    }
    return sign_in


def _actor_object_id(audit: Record) -> str | None:
    for entry in objects_in(audit.get("Actor")):
        if fields.integer(entry.get("Type")) == _OBJECT_ID and (found := _entry_guid(entry)):
            return found
    return fields.guid(audit.get("UserKey"))


def _entry_guid(entry: Mapping[str, Any]) -> str | None:
    return fields.guid(entry.get("ID") or entry.get("Id"))


def _first_id(value: object) -> str | None:
    entries = objects_in(value)
    return fields.identifier(entries[0].get("ID") or entries[0].get("Id")) if entries else None

"""Directory audit log of Entra: Graph JSON, diagnostic-settings lines, Log Analytics `AuditLogs`, portal CSV.

The unified audit log holds the same operations in another arrangement, so a record is brought into that arrangement
and what it changes is read by the same builders: one operation means one thing, whichever log tells it.
Forms: Microsoft Graph `directoryAudit`, Azure Monitor reference `AuditLogs`, Entra audit activity reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal import fields, schema
from brokenseal.errors import RecordRejected
from brokenseal.model import Record, Rows, Source
from brokenseal.sources import _folded_names as names
from brokenseal.sources._audit_changes import add_change_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "entra_audit"
_CATEGORY = "auditlogs"
_RESULTS = {"success": True, "failure": False, "timeout": False}
_SERVICE_PRINCIPAL = 6

# Operations that only the directory audit log writes under these names, with the name the unified audit log has.
_SAME_AS = {
    "reset password (by admin)": "reset user password",
    "reset password (self-service)": "reset user password",
    "change password (self-service)": "change user password",
    "add scoped member to role": "add member to role",
    "add member to role completed (pim activation)": "add member to role",
    "add member to role in pim completed (permanent)": "add member to role",
    "add member to role in pim completed (timebound)": "add member to role",
    "add member to role outside of pim (permanent)": "add member to role",
    "add eligible member to role in pim completed (permanent)": "add eligible member to role",
    "add eligible member to role in pim completed (timebound)": "add eligible member to role",
}
# How the unified audit log numbers the entries of Target.
_NAME, _OTHER, _UPN = 1, 2, 5
_APPLICATIONS = frozenset({"application", "serviceprincipal"})
_TARGETS = range(1, 4)
_PROPERTIES = range(1, 6)
_DETAILS = range(1, 7)

# Other tables share `InitiatedBy`; with one of these it is a directory audit record.
_MARKS = frozenset({"loggedbyservice", "activitydisplayname"})
_ROW_MARKS = frozenset({"timegenerated", "aadoperationtype"})
_IDENTITY = frozenset({"id", "timegenerated", "activitydatetime"})

SHAPES = {
    "audit_graph": "Microsoft Graph directoryAudit resource, as Graph or PowerShell tools save it",
    "audit_diagnostic": "Diagnostic-settings line (storage account, Event Hub) of category AuditLogs",
    "audit_log_analytics": "Row of AuditLogs, as JSON or as portal CSV",
    "audit_portal_csv": "CSV downloaded from the audit logs page of the Entra portal",
}


def sniff(record: Record) -> str | None:
    """The shape of a directory audit record, or None."""
    flat = names.flatten(record)
    if any(name.startswith(names.ENVELOPE) for name in flat):
        return "audit_diagnostic" if fields.fold(flat.get(names.ENVELOPE + "category")) == _CATEGORY else None
    if "date(utc)" in flat:
        return "audit_portal_csv" if {"activity", "correlationid"} <= flat.keys() else None
    if not ("operationname" in flat or "activitydisplayname" in flat):
        return None
    tells_change = "targetresources" in flat or ("initiatedby" in flat and flat.keys() & _MARKS)
    if fields.fold(flat.get("type")) == _CATEGORY and flat.keys() & _IDENTITY:
        return "audit_log_analytics"
    if tells_change and flat.keys() & _ROW_MARKS:
        return "audit_log_analytics"
    return "audit_graph" if tells_change and "activitydisplayname" in flat else None


def normalise(record: Record) -> Rows:
    """One directory audit record to its `events` row, and to the changes it makes.

    Raises:
        RecordRejected: The record has no operation, no time, or a time that cannot be read.
    """
    flat = names.flatten(record)
    targets = _targets(flat)
    event = _event(flat, record, targets)
    rows: Rows = {"events": [event]}
    key = event["operation_key"]
    details = _details(flat)
    # The builders take ObjectId for the application's id, as the unified audit log writes it; here it is the
    # directory's own id of the object, which is another GUID.
    arranged = event | {
        "operation_key": _SAME_AS.get(key, key),
        "object_id": fields.guid(details.get("AppId")) if _is_application(targets) else event["object_id"],
    }
    add_change_rows(_as_audit_record(targets, details), arranged, rows)
    for row in rows.get("config_changes", ()):
        row["operation_key"] = key
        row["object_id"] = event["object_id"]
        if row["change"] == "role_member" and row.get("rights") is None:
            # Privileged Identity Management names the role as a target, not as a property.
            row["rights"] = _role_names(targets)
    return rows


def _event(flat: Mapping[str, Any], record: Record, targets: tuple[Record, ...]) -> dict[str, Any]:
    operation = fields.text_of(names.first(flat, "activitydisplayname", "operationname", "activity"))
    if operation is None or not operation.strip():
        raise RecordRejected(
            column="activityDisplayName", reason="field_missing", value=operation, expected="the name of the operation"
        )
    user, app = _initiators(flat)
    actor = names.member_text(user, "userPrincipalName", "displayName", "id") or names.member_text(
        app, "displayName", "servicePrincipalName", "appId", "servicePrincipalId"
    )
    actor = actor or names.text(flat, "initiatinguserorapp", "identity", names.ENVELOPE + "identity")
    address, ip_class = fields.best_address(
        names.member(user, "ipAddress"),
        names.member(app, "ipAddress"),
        names.first(flat, "ipaddress", "initiatingipaddress"),
        flat.get(names.ENVELOPE + "calleripaddress"),
    )
    app_id = fields.identifier(names.member(app, "appId"))
    is_application = (
        not names.member_text(user, "userPrincipalName", "id") and names.member_text(app, *_APP_IDS) is not None
    )
    object_id = next(filter(None, (names.member_text(target, *_TARGET_IDS) for target in targets)), None)
    # Every column of the table, because the builders of changes copy from it.
    return dict.fromkeys(name for name in schema.EVENT.names if name not in {"input_sha256", "record_no"}) | {
        "event_id": names.event_id("diraudit", names.identifier(flat, "id"), record),
        "source": NAME,
        "occurred_at": names.time(
            flat, "activitydatetime", "date(utc)", "timegenerated", names.ENVELOPE + "time", column="activityDateTime"
        ),
        "tenant_id": names.tenant(flat),
        "operation": operation,
        "operation_key": fields.operation_key(operation),
        "workload": "AzureActiveDirectory",
        "actor": actor,
        "actor_key": fields.fold(actor),
        "user_type": _SERVICE_PRINCIPAL if is_application else None,
        "user_key": names.member_text(user, "id") or names.member_text(app, "servicePrincipalId"),
        "succeeded": _RESULTS.get(fields.fold(flat.get("result")) or ""),
        "object_id": object_id,
        "client_ip": address,
        "ip_class": ip_class,
        "user_agent": fields.text_of(_details(flat).get("User-Agent")) or names.text(flat, "useragent"),
        "app_id": app_id,
        "client_app_id": app_id,
        "effective_app": app_id,
    }


# ---------------------------------------------------------------- parts of a record

_TARGET_IDS = ("userPrincipalName", "id", "displayName")
_APP_IDS = ("appId", "servicePrincipalId", "displayName")


def _initiators(flat: Mapping[str, Any]) -> tuple[object, object]:
    """The user and the application that acted; at most one of them says something."""
    initiated_by = flat.get("initiatedby")
    if initiated_by is not None or "date(utc)" not in flat:
        return names.member(initiated_by, "user"), names.member(initiated_by, "app")
    user = {"id": flat.get("actorobjectid"), "userPrincipalName": flat.get("actoruserprincipalname")}
    app = {
        "servicePrincipalId": flat.get("actorserviceprincipalid"),
        "servicePrincipalName": flat.get("actorserviceprincipalname"),
    }
    by_application = (fields.fold(flat.get("actortype")) or "").startswith("app") or app["servicePrincipalId"]
    (app if by_application else user)["displayName"] = flat.get("actordisplayname")
    return ({}, app) if by_application else (user, {})


def _details(flat: Mapping[str, Any]) -> dict[str, str | None]:
    """Additional details by name."""
    if "additionaldetails" in flat:
        return fields.pairs(flat["additionaldetails"])
    listed = [
        {"Key": flat.get(f"additionaldetail{place}key"), "Value": flat.get(f"additionaldetail{place}value")}
        for place in _DETAILS
    ]
    return fields.pairs(listed)


def _targets(flat: Mapping[str, Any]) -> tuple[Record, ...]:
    """The objects acted on, in Graph's form; the portal's CSV spreads up to three of them over its columns."""
    if "date(utc)" not in flat:
        return names.objects(flat.get("targetresources"))
    return tuple(found for place in _TARGETS if (found := _portal_target(flat, f"target{place}")))


def _portal_target(flat: Mapping[str, Any], column: str) -> dict[str, Any]:
    target = {
        "type": flat.get(f"{column}type"),
        "displayName": flat.get(f"{column}displayname"),
        "id": flat.get(f"{column}objectid"),
        "userPrincipalName": flat.get(f"{column}userprincipalname"),
        "modifiedProperties": [
            {
                "displayName": flat[f"{prefix}name"],
                "oldValue": flat.get(f"{prefix}oldvalue"),
                "newValue": flat.get(f"{prefix}newvalue"),
            }
            for prefix in (f"{column}modifiedproperty{place}" for place in _PROPERTIES)
            if f"{prefix}name" in flat
        ],
    }
    return target if any(target.values()) else {}


def _is_application(targets: tuple[Record, ...]) -> bool:
    return any(fields.fold(names.member(target, "type")) in _APPLICATIONS for target in targets[:1])


def _role_names(targets: tuple[Record, ...]) -> list[str] | None:
    roles = [target for target in targets if fields.fold(names.member(target, "type")) == "role"]
    return sorted({name for role in roles if (name := names.member_text(role, "displayName"))}) or None


def _as_audit_record(targets: tuple[Record, ...], details: Mapping[str, str | None]) -> Record:
    """The record as the unified audit log arranges it: Target entries by type, all modified properties in one list."""
    kinds = ((_NAME, "displayName"), (_OTHER, "id"), (_UPN, "userPrincipalName"))
    properties = [entry for target in targets for entry in names.objects(names.member(target, "modifiedProperties"))]
    return {
        "Target": [
            {"ID": found, "Type": kind}
            for target in targets
            for kind, name in kinds
            if (found := names.member_text(target, name))
        ],
        "ModifiedProperties": [
            {
                "Name": names.member(entry, "displayName"),
                "NewValue": names.member(entry, "newValue"),
                "OldValue": names.member(entry, "oldValue"),
            }
            for entry in properties
        ],
        "ExtendedProperties": [{"Name": "additionalDetails", "Value": dict(details)}],
    }


SOURCE = Source(
    name=NAME,
    title="Entra directory audit log",
    shapes=SHAPES,
    fidelity=1,
    sniff=sniff,
    normalise=normalise,
)

"""Entra sign-in logs: Graph JSON, diagnostic-settings lines, Log Analytics tables, portal CSV, Defender tables.

All forms tell the same record under other names, so after folding the names one table of names is enough.
Forms and columns: Microsoft Graph `signIn` (v1.0 and beta), Azure Monitor reference for `SigninLogs` and its
sister tables, Defender advanced hunting `EntraIdSignInEvents` (formerly `AADSignInEventsBeta`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal import fields
from brokenseal.model import Record, Rows, Source
from brokenseal.sources import _folded_names as names
from brokenseal.sources import _sign_in_columnar

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

NAME = "entra_sign_in"
OPERATION = "Sign-in activity"
REQUEST_ID_FORM = "request_id"
"""`token_form` where the token id is the request id: the record gives no token id, and the two are equal."""

_CATEGORIES = {
    "signinlogs": "interactive",
    "noninteractiveusersigninlogs": "non_interactive",
    "aadnoninteractiveusersigninlogs": "non_interactive",
    "serviceprincipalsigninlogs": "service_principal",
    "aadserviceprincipalsigninlogs": "service_principal",
    "managedidentitysigninlogs": "managed_identity",
    "aadmanagedidentitysigninlogs": "managed_identity",
    "microsoftserviceprincipalsigninlogs": "microsoft_service_principal",
    "adfssigninlogs": "adfs",
}
_EVENT_TYPES = {
    "interactiveuser": "interactive",
    "noninteractiveuser": "non_interactive",
    "serviceprincipal": "service_principal",
    "managedidentity": "managed_identity",
}
_APPLICATIONS = frozenset({"service_principal", "managed_identity", "microsoft_service_principal"})
# The member `userType` of Entra, as the audit log numbers it.
_USER_TYPES = {"member": 0, "guest": 10}
_SERVICE_PRINCIPAL = 6
_OUTCOMES = {"success": True, "failure": False, "interrupted": False}

SHAPES = {
    "sign_in_graph": "Microsoft Graph signIn resource, v1.0 or beta, as Graph or PowerShell tools save it",
    "sign_in_diagnostic": "Diagnostic-settings line (storage account, Event Hub) of a sign-in category",
    "sign_in_log_analytics": "Row of SigninLogs or one of its sister tables, as JSON or as portal CSV",
    "sign_in_portal_csv": "CSV downloaded from the sign-in logs page of the Entra portal",
    "sign_in_defender": "Row of EntraIdSignInEvents or AADSignInEventsBeta of Defender advanced hunting",
}


def sniff(record: Record) -> str | None:
    """The shape of a sign-in record, or None; aggregates of sign-ins are no sign-in records."""
    flat = names.flatten(record)
    if any(name.startswith(names.ENVELOPE) for name in flat):
        is_sign_in = fields.fold(flat.get(names.ENVELOPE + "operationname")) == OPERATION.lower()
        category = fields.fold(flat.get(names.ENVELOPE + "category"))
        return "sign_in_diagnostic" if category in _CATEGORIES or (category is None and is_sign_in) else None
    if "date(utc)" in flat:
        return "sign_in_portal_csv" if "requestid" in flat else None
    if _is_log_analytics(flat):
        return "sign_in_log_analytics"
    if _is_graph(flat):
        return "sign_in_graph"
    if _is_defender(flat):
        return "sign_in_defender"
    return None


def _is_log_analytics(flat: Mapping[str, Any]) -> bool:
    if "resulttype" not in flat and "status" not in flat:
        return False
    if _table_category(flat) is not None or fields.fold(flat.get("operationname")) == OPERATION.lower():
        return "id" in flat or "createddatetime" in flat or "timegenerated" in flat
    if "timegenerated" not in flat:
        return False
    # Queries often keep a few columns only; these four with a time are still one sign-in each.
    is_projection = {"resulttype", "userprincipalname", "ipaddress"} <= flat.keys() and (
        "appid" in flat or "appdisplayname" in flat
    )
    return is_projection or "uniquetokenidentifier" in flat or "signinidentifier" in flat


# Directory objects (applications, devices, alerts) share createdDateTime and appId; these they do not have.
_GRAPH_MARKS = (
    "signineventtypes",
    "isinteractive",
    "clientappused",
    "uniquetokenidentifier",
    "conditionalaccessstatus",
)


def _is_graph(flat: Mapping[str, Any]) -> bool:
    if "createddatetime" not in flat or not ("appid" in flat or "userprincipalname" in flat):
        return False
    return names.member(flat.get("status"), "errorCode") is not None or any(mark in flat for mark in _GRAPH_MARKS)


def _is_defender(flat: Mapping[str, Any]) -> bool:
    return (
        "requestid" in flat
        and ("timestamp" in flat or "timegenerated" in flat)
        and ("logontype" in flat or "errorcode" in flat)
        and ("accountupn" in flat or "accountobjectid" in flat or "serviceprincipalid" in flat)
    )


def normalise(record: Record) -> Rows:
    """One sign-in to its `events` row and its `sign_ins` row.

    Raises:
        RecordRejected: The record has no time, or one that cannot be read.
    """
    flat = names.flatten(record)
    request_id = names.identifier(flat, "id", "requestid")
    category = _category(flat)
    succeeded, error_code, failure_reason = _outcome(flat)
    raw, token_id, token_form = _token(flat, request_id=request_id, succeeded=succeeded)
    shared = _shared(flat) | {
        "event_id": names.event_id("signin", request_id, record),
        "token_id_raw": raw,
        "token_id": token_id,
        "token_form": token_form,
        "succeeded": succeeded,
    }
    sign_in = _sign_in(flat) | {
        "category": category,
        "request_id": request_id,
        "error_code": error_code,
        "failure_reason": failure_reason,
    }
    event = {
        "source": NAME,
        "operation": OPERATION,
        "operation_key": fields.operation_key(OPERATION),
        "workload": "AzureActiveDirectory",
        "user_type": _SERVICE_PRINCIPAL
        if category in _APPLICATIONS
        else _USER_TYPES.get(fields.fold(flat.get("usertype")) or ""),
        "object_id": sign_in["resource_id"],
        "client_app_id": shared["app_id"],
        "effective_app": shared["app_id"],
    }
    return {"events": [shared | event], "sign_ins": [shared | sign_in]}


def _shared(flat: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in both rows, except for identity, outcome and token."""
    actor = names.text(
        flat, "userprincipalname", "username", "accountupn", "serviceprincipalname", "signinidentifier"
    ) or names.text(flat, "userid", "accountobjectid", "serviceprincipalid")
    address, ip_class = fields.best_address(flat.get("ipaddress"), flat.get(names.ENVELOPE + "calleripaddress"))
    home, resource = names.guid(flat, "hometenantid"), names.guid(flat, "resourcetenantid")
    return {
        "occurred_at": _occurred_at(flat),
        # Where home and resource tenant differ, the log may be of either of them.
        "tenant_id": names.tenant(flat) or (home if home == resource else None),
        "actor": actor,
        "actor_key": fields.fold(actor),
        "app_id": names.identifier(flat, "appid", "applicationid"),
        "client_ip": address,
        "ip_class": ip_class,
        "user_agent": names.text(flat, "useragent"),
        "session_id": names.identifier(flat, "sessionid"),
    }


def _sign_in(flat: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the `sign_ins` row alone, except for identity and outcome."""
    country, city = _place(flat)
    return {
        "subject_id": names.identifier(flat, "userid", "accountobjectid", "serviceprincipalid"),
        "app_name": names.text(flat, "appdisplayname", "application"),
        "resource_id": names.guid(flat, "resourceidentity", "resourceid"),
        # `Resource` is the API in the portal's CSV, and the Azure resource in Log Analytics.
        "resource_name": names.text(flat, "resource" if "date(utc)" in flat else "resourcedisplayname"),
        "correlation_id": names.identifier(flat, "correlationid", names.ENVELOPE + "correlationid"),
        "is_interactive": fields.truth(flat.get("isinteractive")),
        "auth_protocol": names.text(flat, "authenticationprotocol"),
        "client_used": names.text(flat, "clientappused", "clientapp"),
        "device_id": fields.identifier(names.member(flat.get("devicedetail"), "deviceId"))
        or names.identifier(flat, "deviceid", "entraiddeviceid", "aaddeviceid"),
        "country": country,
        "city": city,
        "asn": fields.integer(flat.get("autonomoussystemnumber")),
        "home_tenant_id": names.guid(flat, "hometenantid"),
        "resource_tenant_id": names.guid(flat, "resourcetenantid"),
    }


def _occurred_at(flat: Mapping[str, Any]) -> dt.datetime:
    """The time of the sign-in; TimeGenerated and an envelope's time can be later, so they come last."""
    named = names.first(flat, "createddatetime", "date(utc)", "timestamp", "timegenerated", names.ENVELOPE + "time")
    if named is None:
        # Downloads can lack every time column and still hold the step, which is written at the same moment.
        steps = names.objects(flat.get("authenticationdetails"))
        times = (fields.try_time(step.get("authenticationStepDateTime")) for step in steps)
        named = min((moment.isoformat() for moment in times if moment is not None), default=None)
    return fields.parse_time(named, column="createdDateTime")


def _table_category(flat: Mapping[str, Any]) -> str | None:
    for name in (names.ENVELOPE + "category", "category", "type", "$table"):
        found = _CATEGORIES.get(fields.fold(flat.get(name)) or "")
        if found is not None:
            return found
    return None


def _category(flat: Mapping[str, Any]) -> str | None:
    """The category: of the table, else of the event types, else of what the record says of itself.

    The portal's CSV has one header for interactive and non-interactive sign-ins and names neither, so there it
    stays None.
    """
    found = _table_category(flat)
    if found is not None:
        return found
    for name in ("signineventtypes", "logontype"):
        kinds = fields.decode_json_text(flat.get(name))
        for kind in kinds if isinstance(kinds, list | tuple) else (kinds,):
            found = _EVENT_TYPES.get(fields.fold(kind) or "")
            if found is not None:
                return found
    if fields.truth(flat.get("ismanagedidentity")):
        return "managed_identity"
    if names.identifier(flat, "userid", "accountobjectid") is None and names.identifier(flat, "serviceprincipalid"):
        return "service_principal"
    interactive = fields.truth(flat.get("isinteractive"))
    return None if interactive is None else ("interactive" if interactive else "non_interactive")


def _outcome(flat: Mapping[str, Any]) -> tuple[bool | None, int | None, str | None]:
    """Success, error code and reason; code 0 is success, and the portal's word stands in where it gives no code."""
    status = flat.get("status")
    given = (
        flat.get("resulttype"),
        flat.get("errorcode"),
        flat.get("sign-inerrorcode"),
        names.member(status, "errorCode"),
        flat.get(names.ENVELOPE + "resulttype"),
    )
    code = next((number for number in map(fields.integer, given) if number is not None), None)
    succeeded = code == 0 if code is not None else _OUTCOMES.get(fields.fold(status) or "")
    if succeeded:
        return True, 0, None
    reason = names.member_text(status, "failureReason") or names.text(
        flat, "failurereason", "resultdescription", names.ENVELOPE + "resultdescription"
    )
    return succeeded, code, reason


def _token(
    flat: Mapping[str, Any], *, request_id: str | None, succeeded: bool | None
) -> tuple[str | None, str | None, str | None]:
    """Token id as written, decoded, and its form; where a successful sign-in has none, its request id stands in."""
    raw = names.text(flat, "uniquetokenidentifier", "uniquetokenid")
    token_id, form = fields.canonical_token_id(raw)
    if raw is None and succeeded and fields.guid(request_id) is not None:
        return None, request_id, REQUEST_ID_FORM
    return raw, token_id, form


def _token_columns(raw: str | None, session: str | None) -> Mapping[str, Any]:
    """The columns of token and session, but for a request id that stands in."""
    raw, token_id, form = _token({"uniquetokenidentifier": raw}, request_id=None, succeeded=None)
    return {
        "token_id_raw": raw,
        "token_id": token_id,
        "token_form": form,
        "session_id": names.identifier({"sessionid": session}, "sessionid"),
    }


def _place(flat: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Country and city: from an object, else from `City, Region, Country` or a bare country code."""
    for name in ("locationdetails", "location"):
        country = names.member_text(flat.get(name), "countryOrRegion")
        city = names.member_text(flat.get(name), "city")
        if country or city:
            return country, city
    if "country" in flat or "city" in flat:
        return names.text(flat, "country"), names.text(flat, "city")
    words = names.text(flat, "location", names.ENVELOPE + "location") or ""
    if words[:1] in {"", "{", "@", "["}:
        return None, None
    parts = [part.strip() or None for part in words.split(",")]
    return parts[-1], ", ".join(filter(None, parts[:-2])) or None


SOURCE = Source(
    name=NAME,
    title="Entra sign-in logs",
    shapes=SHAPES,
    fidelity=1,
    sniff=sniff,
    normalise=normalise,
    columnar=_sign_in_columnar.columnar(normalise, sniff, _token_columns),
)

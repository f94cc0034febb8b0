"""Sign-ins as Graph gives them and as diagnostic lines, batches at a time: the fast paths of `entra_sign_in`.

Source: Microsoft Graph, signIn resource (v1.0 and beta); Azure Monitor resource log schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import ibis

from brokenseal import schema
from brokenseal.model import Columnar
from brokenseal.sources import _columnar_values as values
from brokenseal.sources import _folded_names as names

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir

    from brokenseal.model import Lookup, Record, Rows

GRAPH: Final = "sign_in_graph"
DIAGNOSTIC: Final = "sign_in_diagnostic"

_OUTER_READ = (
    "time",
    "resourceId",
    "operationName",
    "category",
    "tenantId",
    "resultType",
    "resultDescription",
    "callerIpAddress",
    "correlationId",
    "location",
)
_OUTER_PASSED_OVER = ("properties", "operationVersion", "resultSignature", "durationMs", "identity", "Level", "level")
_READ = (
    "id",
    "createdDateTime",
    "userPrincipalName",
    "userId",
    "userType",
    "servicePrincipalName",
    "servicePrincipalId",
    "signInIdentifier",
    "homeTenantId",
    "resourceTenantId",
    "isInteractive",
    "signInEventTypes",
    "appId",
    "appDisplayName",
    "resourceId",
    "resourceDisplayName",
    "status",
    "authenticationProtocol",
    "clientAppUsed",
    "ipAddress",
    "userAgent",
    "deviceDetail",
    "location",
    "autonomousSystemNumber",
    "correlationId",
    "uniqueTokenIdentifier",
    "sessionId",
)
_PASSED_OVER = (
    "agent",
    "appOwnerTenantId",
    "appTokenProtectionStatus",
    "appliedConditionalAccessPolicies",
    "appliedEventListeners",
    "authenticationAppDeviceDetails",
    "authenticationAppPolicyEvaluationDetails",
    "authenticationContextClassReferences",
    "authenticationDetails",
    "authenticationMethodsUsed",
    "authenticationProcessingDetails",
    "authenticationRequirement",
    "authenticationRequirementPolicies",
    "azureResourceId",
    "clientCredentialType",
    "conditionalAccessAudiences",
    "conditionalAccessStatus",
    "crossTenantAccessType",
    "federatedCredentialId",
    "flaggedForReview",
    "globalSecureAccessIpAddress",
    "homeTenantName",
    "incomingTokenType",
    "ipAddressFromResourceProvider",
    "isTenantRestricted",
    "isThroughGlobalSecureAccess",
    "managedServiceIdentity",
    "mfaDetail",
    "networkLocationDetails",
    "originalRequestId",
    "originalTransferMethod",
    "privateLinkDetails",
    "processingTimeInMilliseconds",
    "resourceOwnerTenantId",
    "resourceServicePrincipalId",
    "riskDetail",
    "riskEventTypes",
    "riskEventTypes_v2",
    "riskLevelAggregated",
    "riskLevelDuringSignIn",
    "riskState",
    "rngcStatus",
    "servicePrincipalCredentialKeyId",
    "servicePrincipalCredentialThumbprint",
    "sessionLifetimePolicies",
    "signInIdentifierType",
    "signInTokenProtectionStatus",
    "ssoExtensionVersion",
    "tokenIssuerName",
    "tokenIssuerType",
    "tokenProtectionStatusDetails",
    "userDisplayName",
)
_NESTED = frozenset({"signInEventTypes", "status", "deviceDetail", "location"})
_TABLES = (schema.EVENT, schema.SIGN_IN)
# Lookup to fields of the record, fields around it, and columns.
_LOOKUPS = {
    "who": (
        (
            "userPrincipalName",
            "userId",
            "userType",
            "servicePrincipalName",
            "servicePrincipalId",
            "signInIdentifier",
            "homeTenantId",
            "resourceTenantId",
            "isInteractive",
            "signInEventTypes",
        ),
        ("category", "tenantId", "resourceId"),
        (
            "tenant_id",
            "actor",
            "actor_key",
            "user_type",
            "category",
            "subject_id",
            "is_interactive",
            "home_tenant_id",
            "resource_tenant_id",
        ),
    ),
    "what": (
        (
            "appId",
            "appDisplayName",
            "resourceId",
            "resourceDisplayName",
            "status",
            "authenticationProtocol",
            "clientAppUsed",
        ),
        ("resultType", "resultDescription"),
        (
            "app_id",
            "client_app_id",
            "effective_app",
            "app_name",
            "resource_id",
            "resource_name",
            "object_id",
            "succeeded",
            "error_code",
            "failure_reason",
            "auth_protocol",
            "client_used",
        ),
    ),
    "client": (
        ("ipAddress", "userAgent", "deviceDetail", "location", "autonomousSystemNumber"),
        ("callerIpAddress", "location"),
        ("client_ip", "ip_class", "user_agent", "device_id", "country", "city", "asn"),
    ),
    "token": (
        ("uniqueTokenIdentifier", "sessionId"),
        (),
        ("token_id_raw", "token_id", "token_form", "session_id"),
    ),
}
_CONSTANT = ("source", "operation", "operation_key", "workload")


def columnar(
    normalise: Callable[[Record], Rows],
    sniff: Callable[[Record], str | None],
    token: Callable[[str | None, str | None], Mapping[str, Any]],
) -> Mapping[str, Columnar]:
    """The fast paths by shape, by what the plain path does with a record, its shape, and its token and session."""
    return {
        GRAPH: _path(normalise, sniff, token, is_line=False),
        DIAGNOSTIC: _path(normalise, sniff, token, is_line=True),
    }


def _path(
    normalise: Callable[[Record], Rows],
    sniff: Callable[[Record], str | None],
    token: Callable[[str | None, str | None], Mapping[str, Any]],
    *,
    is_line: bool,
) -> Columnar:
    def rows_of(keys: Mapping[str, Any]) -> Rows:
        return normalise(_made(keys, is_line=is_line))

    def tokens(keys: Mapping[str, Any]) -> Rows:
        return {"events": [dict(token(keys["uniqueTokenIdentifier"], keys["sessionId"]))]}

    # A successful sign-in without a token id goes by its request id, and says so.
    made = {"status": {"errorCode": 0}}
    constants = {name: rows_of({})["events"][0][name] for name in _CONSTANT}
    stands_in = rows_of(made)["events"][0]["token_form"]
    lookups = [_lookup(name, tokens if name == "token" else rows_of, is_line=is_line) for name in _LOOKUPS]
    read = dict.fromkeys(_READ, "string")
    line = {
        **dict.fromkeys(_OUTER_READ, "string"),
        "properties": f"struct<{', '.join(f'{name}: {kind}' for name, kind in read.items())}>",
    }
    return Columnar(
        raw_schema=line if is_line else read,
        members={"outer_names": "$", "inner_names": "$.properties"} if is_line else {"outer_names": "$"},
        lookups=(_form(sniff, is_line=is_line), *lookups),
        takes=partial(_takes, is_line=is_line),
        normalise=partial(_normalise, constants=constants, stands_in=stands_in, is_line=is_line),
    )


def _made(keys: Mapping[str, Any], *, is_line: bool) -> Record:
    """A record with some values of its own; those with `_` before their name stand around it."""
    inner = {"id": values.A_GUID, "createdDateTime": values.A_TIME} | {
        name: value for name, value in keys.items() if not name.startswith("_")
    }
    if not is_line:
        return inner
    around = {name.removeprefix("_"): value for name, value in keys.items() if name.startswith("_")}
    return {"operationName": "Sign-in activity"} | around | {"properties": inner}


def _lookup(name: str, rows_of: Callable[[Mapping[str, Any]], Rows], *, is_line: bool) -> Lookup:
    inner, outer, columns = _LOOKUPS[name]
    keys = {field: partial(_inner, name=field, is_line=is_line) for field in inner}
    if is_line:
        keys |= {f"_{field}": partial(_outer, name=field) for field in outer}
    nested = _NESTED & set(inner)
    return values.lookup(
        name, keys, rows_of, columns, tables=_TABLES, nested=nested, is_usual=_has_place if name == "client" else None
    )


def _has_place(keys: Mapping[str, Any]) -> bool:
    """Whether a place that is an object has a country or city; else the text around the record may tell it."""
    place = keys["location"]
    if not isinstance(place, Mapping):
        return place is None or place == ""
    return any(names.member_text(place, name) for name in ("countryOrRegion", "city"))


def _form(sniff: Callable[[Record], str | None], *, is_line: bool) -> Lookup:
    listed = ("outer_names", "inner_names", "category", "operationName") if is_line else ("outer_names",)
    return values.form_lookup(
        {name: partial(_outer, name=name) for name in listed},
        outer=(*_OUTER_READ, *_OUTER_PASSED_OVER) if is_line else (*_READ, *_PASSED_OVER),
        inner=(*_READ, *_PASSED_OVER) if is_line else (),
        knows=lambda record: sniff(record) == (DIAGNOSTIC if is_line else GRAPH),
    )


def _outer(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw[name]


def _inner(raw: ir.Table, *, name: str, is_line: bool) -> ir.StringValue:
    return raw.properties[name] if is_line else raw[name]


def _time(wide: ir.Table, *, is_line: bool) -> ir.StringValue:
    time = values.filled(_inner(wide, name="createdDateTime", is_line=is_line))
    return ibis.coalesce(time, wide.time) if is_line else time


def _correlation(wide: ir.Table, *, is_line: bool) -> ir.StringValue:
    own = values.filled(_inner(wide, name="correlationId", is_line=is_line))
    return ibis.coalesce(own, values.filled(wide.correlationId)) if is_line else own


def _takes(wide: ir.Table, *, is_line: bool) -> ir.BooleanValue:
    inner = partial(_inner, wide, is_line=is_line)
    correlation = _correlation(wide, is_line=is_line)
    return ibis.and_(
        wide.form__plain,
        *(wide[f"{name}__plain"] for name in _LOOKUPS),
        values.is_guid(inner(name="id")),
        values.is_utc(_time(wide, is_line=is_line)),
        correlation.isnull() | values.is_guid(correlation),
        # An Azure resource path names the tenant.
        values.is_nothing(inner(name="resourceId")) | ~inner(name="resourceId").contains("/"),
        # By these Graph's own form is known.
        ~values.is_nothing(inner(name="appId")),
        ~values.is_nothing(inner(name="isInteractive")),
    )


def _normalise(
    wide: ir.Table, *, constants: Mapping[str, Any], stands_in: str, is_line: bool
) -> Mapping[str, ir.Table]:
    request_id = _inner(wide, name="id", is_line=is_line).lower()
    derived = {column: wide[f"{name}__{column}"] for name, (_, _, columns) in _LOOKUPS.items() for column in columns}
    is_request = derived["token_id_raw"].isnull() & derived["succeeded"]
    derived |= {
        "event_id": ibis.literal("signin:") + request_id,
        "occurred_at": values.moment(_time(wide, is_line=is_line)),
        "token_id": is_request.ifelse(request_id, derived["token_id"]),
        "token_form": is_request.ifelse(ibis.literal(stands_in), derived["token_form"]),
    }
    return {
        "events": wide.select(
            "record_no",
            **{name: ibis.literal(value) for name, value in constants.items()},
            **{name: value for name, value in derived.items() if name in schema.EVENT.names},
        ),
        "sign_ins": wide.select(
            **{name: value for name, value in derived.items() if name in schema.SIGN_IN.names},
            request_id=request_id,
            correlation_id=_correlation(wide, is_line=is_line).lower(),
        ),
    }

"""Sign-ins as Microsoft Graph and diagnostic settings write them.

Both forms hold the same members; a diagnostic line wraps them in an envelope. Non-interactive lines, service
principals, managed identities and Microsoft's own applications differ in what they leave out.

Sources: Microsoft Graph `signIn` (beta); Azure Monitor reference, `SigninLogs` and its sister tables.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from brokenseal.drill import _lines
from brokenseal.drill._lines import Part, member, number
from brokenseal.drill.roster import Roster, named
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

CATEGORIES: Final = {
    "interactive": "SignInLogs",
    "non_interactive": "NonInteractiveUserSignInLogs",
    "service_principal": "ServicePrincipalSignInLogs",
    "managed_identity": "ManagedIdentitySignInLogs",
    "microsoft_service_principal": "MicrosoftServicePrincipalSignInLogs",
    "adfs": "ADFSSignInLogs",
}
"""Diagnostic category of each stream of sign-ins."""

ONLY_DIAGNOSTIC: Final = ("microsoft_service_principal", "adfs")
"""Streams that Microsoft Graph does not return."""

_EVENT_TYPES: Final = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
    "managed_identity": "managedIdentity",
    "adfs": "interactiveUser",
}
_APPLICATIONS: Final = ("service_principal", "managed_identity", "microsoft_service_principal")
_SECOND_FACTORS: Final = {
    "push": "Mobile app notification",
    "code": "OATH verification code",
    "fido": "FIDO2 security key",
    "remembered": "Previously satisfied",
}


def graph_lines(lines: pa.Table, category: str, roster: Roster) -> pa.Array:
    """SIGN_IN_LINE rows of one category as Graph signIn objects, without line ends."""
    at = numbers(lines, "at_us")
    parts = ["{", *_body(lines, category, roster, created=_lines.moment('"createdDateTime":"', at, ending='Z"')), "}"]
    return _lines.render(parts, lines.num_rows)


def diagnostic_lines(lines: pa.Table, category: str, roster: Roster) -> pa.Array:
    """SIGN_IN_LINE rows of one category as diagnostic-settings lines, without line ends."""
    at = numbers(lines, "at_us")
    network = numbers(lines, "network_no")
    is_bare = category == "microsoft_service_principal"
    body = _body(
        lines,
        category,
        roster,
        created=_lines.moment('"createdDateTime":"', at, ending='0000+00:00"', fraction=True),
    )
    parts: list[Part] = [
        *_lines.moment('{"time":"', at, ending='0000Z"', fraction=True),
        f',"resourceId":"/tenants/{roster.tenant_id}/providers/Microsoft.aadiam"',
        f',"operationName":"Sign-in activity","operationVersion":"1.0","category":"{CATEGORIES[category]}"',
        f',"tenantId":"{roster.tenant_id}"',
        *_quoted_number("resultType", numbers(lines, "error_code")),
        ',"resultSignature":"None","durationMs":0',
        *([] if is_bare else [member("callerIpAddress", coded(lines, "address"))]),
        member("correlationId", lines.column("correlation_id").combine_chunks()),
        member("identity", named(roster.identity_name, numbers(lines, "identity_no"))),
        ',"Level":4',
        *([] if is_bare else [member("location", named(roster.network_country, network))]),
        ',"properties":{',
        *body,
        "}}",
    ]
    return _lines.render(parts, lines.num_rows)


def _quoted_number(name: str, value: npt.NDArray[np.int32]) -> list[Part]:
    distinct, codes = np.unique(value, return_inverse=True)
    words = pa.array([f',"{name}":"{one}"' for one in distinct.tolist()], pa.string())
    return [_lines.Pieces(words, codes.astype(np.int32))]


def _body(lines: pa.Table, category: str, roster: Roster, *, created: list[Part]) -> list[Part]:
    is_application = category in _APPLICATIONS
    is_bare = category == "microsoft_service_principal"
    network = numbers(lines, "network_no")
    request = lines.column("request_id").combine_chunks()
    return [
        *_first("id", request),
        ",",
        *created,
        *(_application(lines) if is_application else _user(lines, roster)),
        member("appId", coded(lines, "client_app_id")),
        member("appDisplayName", coded(lines, "client_app_name")),
        *([] if is_bare else [member("ipAddress", coded(lines, "address"))]),
        *([] if is_application else [member("clientAppUsed", coded(lines, "client_used"))]),
        member("userAgent", coded(lines, "user_agent")),
        member("correlationId", lines.column("correlation_id").combine_chunks()),
        ',"conditionalAccessStatus":"notApplied"',
        member("originalRequestId", lines.column("original_request_id").combine_chunks()),
        f',"isInteractive":{"true" if category in {"interactive", "adfs"} else "false"}',
        ',"tokenIssuerName":"","tokenIssuerType":"AzureAD"'
        if category != "adfs"
        else ',"tokenIssuerType":"ADFederationServices"',
        member("resourceDisplayName", coded(lines, "resource_name")),
        member("resourceId", coded(lines, "resource_id")),
        member("resourceTenantId", coded(lines, "resource_tenant_id")),
        member("homeTenantId", coded(lines, "home_tenant_id")),
        member("authenticationProtocol", coded(lines, "auth_protocol")),
        member("incomingTokenType", coded(lines, "incoming_token")),
        member("clientCredentialType", coded(lines, "credential")),
        *([] if is_application else [*_second_factor(lines)]),
        member("uniqueTokenIdentifier", lines.column("uti").combine_chunks()),
        *([] if is_application else [member("sessionId", coded(lines, "session_id"))]),
        f',"signInEventTypes":["{_EVENT_TYPES[category]}"]' if category in _EVENT_TYPES else "",
        *([] if is_bare else _network(network, roster)),
        *_status(lines),
        *([] if is_application else _device(lines, roster)),
    ]


def _first(name: str, value: pa.Array) -> list[Part]:
    return [f'"{name}":', _lines.Pieces(_lines.json_text(value), np.arange(len(value), dtype=np.int32))]


def _user(lines: pa.Table, roster: Roster) -> list[Part]:
    user = coded(lines, "user")
    folded = Coded(user.codes, [word.lower() for word in user.words])
    return [
        member("userDisplayName", named(roster.identity_name, numbers(lines, "identity_no"))),
        member("userPrincipalName", folded),
        member("userId", coded(lines, "subject_id")),
    ]


def _application(lines: pa.Table) -> list[Part]:
    return [
        member("servicePrincipalName", coded(lines, "user")),
        member("servicePrincipalId", coded(lines, "subject_id")),
    ]


def _second_factor(lines: pa.Table) -> list[Part]:
    factor = coded(lines, "mfa")
    words = [
        f',"authenticationRequirement":"multiFactorAuthentication","mfaDetail":{{"authMethod":"{_SECOND_FACTORS[word]}"}}'
        if word in _SECOND_FACTORS
        else ',"authenticationRequirement":"singleFactorAuthentication"'
        for word in factor.words
    ]
    return [_lines.coded_as(factor, words)]


def _network(network: npt.NDArray[np.int32], roster: Roster) -> list[Part]:
    asn = np.where(network < 0, -1, roster.network_asn[network])
    words = []
    for city, country in zip(roster.network_city.to_pylist(), roster.network_country.to_pylist(), strict=True):
        place = {"city": city or "", "state": "", "countryOrRegion": country or ""}
        words.append(f',"location":{json.dumps(place, ensure_ascii=False, separators=(",", ":"))}')
    codes = np.where(network < 0, len(words), network).astype(np.int32)
    return [
        number("autonomousSystemNumber", asn, absent=-1),
        _lines.Pieces(pa.array([*words, ""], pa.string()), codes),
    ]


def _status(lines: pa.Table) -> list[Part]:
    reason = coded(lines, "failure_reason")
    written = [json.dumps(word, ensure_ascii=False) for word in reason.words]
    return [
        ',"status":{"errorCode":',
        _codes(numbers(lines, "error_code")),
        _lines.coded_as(reason, [f',"failureReason":{word}' for word in written], absent=',"failureReason":"Other."'),
        "}",
    ]


def _codes(value: npt.NDArray[np.int32]) -> _lines.Pieces:
    distinct, codes = np.unique(value, return_inverse=True)
    return _lines.Pieces(pa.array([str(one) for one in distinct.tolist()], pa.string()), codes.astype(np.int32))


def devices_json(roster: Roster) -> list[str]:
    """`deviceDetail` of each device as JSON."""
    written = []
    for device_id, name, system, browser, trust, compliant in zip(
        roster.device_id.to_pylist(),
        roster.device_name.to_pylist(),
        roster.device_system.to_pylist(),
        roster.device_browser.to_pylist(),
        roster.device_trust.to_pylist(),
        roster.device_compliant.tolist(),
        strict=True,
    ):
        detail = {
            "deviceId": device_id or "",
            "displayName": (name or "") if device_id else "",
            "operatingSystem": system or "",
            "browser": browser or "",
            "isCompliant": compliant,
            "isManaged": trust is not None,
            "trustType": trust or "",
        }
        written.append(json.dumps(detail, ensure_ascii=False, separators=(",", ":")))
    return written


def _device(lines: pa.Table, roster: Roster) -> list[Part]:
    device = numbers(lines, "device_no")
    distinct, back = np.unique(device, return_inverse=True)
    known = devices_json(roster)
    unknown = '{"deviceId":"","displayName":"","operatingSystem":"","browser":""}'
    words = [f',"deviceDetail":{unknown if one < 0 else known[one]}' for one in distinct.tolist()]
    return [_lines.Pieces(pa.array(words, pa.string()), back.astype(np.int32))]

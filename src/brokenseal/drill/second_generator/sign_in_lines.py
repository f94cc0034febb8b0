"""How a sign-in looks in each of its logs.

Sources: Microsoft Graph `signIn` (beta); diagnostic settings of Microsoft Entra; Office 365 Management Activity API
schema, record types 15 and 275.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from brokenseal.drill.second_generator import clients
from brokenseal.drill.second_generator.clock import SECOND

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.company import App, Company, Seat
    from brokenseal.drill.second_generator.places import Net

encode = msgspec.json.Encoder().encode
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_REASONS: Final = {
    50126: "Error validating credentials due to invalid username or password.",
    50074: "Strong Authentication is required.",
    50053: "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    70043: "The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.",
}


def second_text(at: int) -> str:
    """A time as the audit log writes it: seconds, no zone."""
    return (_EPOCH + dt.timedelta(seconds=at // SECOND)).strftime("%Y-%m-%dT%H:%M:%S")


def instant_text(at: int) -> str:
    """A time as Entra writes it: milliseconds, Z."""
    return f"{second_text(at)}.{at % SECOND // 1000:03d}Z"


def whole_second(at: int) -> int:
    """The time that the audit log's own clock gives."""
    return at - at % SECOND


def whole_millisecond(at: int) -> int:
    """The time that Entra's clock gives."""
    return at - at % 1000


class Request(NamedTuple):
    """One request for a token, or for a sign-in; `net` is None where the log shows no address."""

    id: str
    at: int
    correlation: str
    token_text: str
    is_interactive: bool
    error: int
    net: Net | None
    incoming: str
    protocol: str


def _address(request: Request) -> str:
    return "" if request.net is None else request.net.address


def _place(net: Net | None) -> dict[str, Any]:
    if net is None:
        return {}
    country = net.provider.country
    return {
        "ipAddress": net.address,
        "autonomousSystemNumber": net.provider.asn,
        "location": {"city": country.city, "state": "", "countryOrRegion": country.code},
    }


def _status(error: int) -> dict[str, Any]:
    return {"errorCode": error, "failureReason": _REASONS.get(error, "Other."), "additionalDetails": None}


def user_sign_in(tenant: Company, seat: Seat, request: Request, *, home_tenant: str = "") -> bytes:
    """A sign-in of a person, interactive or not, as Microsoft Graph gives it."""
    person, kind = seat.person, seat.kind
    system, browser = clients.system_of(seat.agent)
    return encode(
        {
            "id": request.id,
            "createdDateTime": instant_text(request.at),
            "userDisplayName": person.name,
            "userPrincipalName": person.upn,
            "userId": person.oid,
            "userType": "guest" if home_tenant else "member",
            "appId": kind.app_id,
            "appDisplayName": kind.app_name,
            "resourceId": kind.resource[0],
            "resourceDisplayName": kind.resource[1],
            **_place(request.net),
            "clientAppUsed": "Browser" if kind.protocol in {"owa", "proxy"} else "Mobile Apps and Desktop clients",
            "userAgent": clients.agent_text(seat.agent, request.at),
            "correlationId": request.correlation,
            "originalRequestId": request.id if request.is_interactive else "",
            "isInteractive": request.is_interactive,
            "signInEventTypes": ["interactiveUser" if request.is_interactive else "nonInteractiveUser"],
            "uniqueTokenIdentifier": request.token_text,
            "sessionId": seat.sid or None,
            "incomingTokenType": request.incoming,
            "authenticationProtocol": request.protocol,
            "tokenIssuerType": "AzureAD",
            "homeTenantId": home_tenant or tenant.tenant_id,
            "resourceTenantId": tenant.tenant_id,
            "crossTenantAccessType": "b2bCollaboration" if home_tenant else "none",
            "conditionalAccessStatus": "success" if not request.error else "failure",
            "signInTokenProtectionStatus": "none",
            "deviceDetail": {
                "deviceId": seat.device_id,
                "displayName": seat.device_name,
                "operatingSystem": system,
                "browser": browser,
                "isCompliant": bool(seat.device_id),
                "isManaged": bool(seat.device_id),
                "trustType": "Azure AD joined" if seat.device_id else "",
            },
            "status": _status(request.error),
        }
    )


def app_sign_in(tenant: Company, app: App, request: Request, *, is_managed: bool = False) -> bytes:
    """A sign-in of an application in its own name, as Microsoft Graph gives it."""
    return encode(
        {
            "id": request.id,
            "createdDateTime": instant_text(request.at),
            "userPrincipalName": "",
            "userId": "",
            "appId": app.app_id,
            "appDisplayName": app.name,
            "servicePrincipalId": app.sp_oid,
            "servicePrincipalName": app.name,
            "resourceId": clients.GRAPH[0],
            "resourceDisplayName": clients.GRAPH[1],
            **_place(None if is_managed else request.net),
            "correlationId": request.correlation,
            "isInteractive": False,
            "signInEventTypes": ["managedIdentity" if is_managed else "servicePrincipal"],
            "uniqueTokenIdentifier": request.token_text,
            "clientCredentialType": "none" if is_managed else "clientSecret",
            "homeTenantId": tenant.tenant_id,
            "resourceTenantId": tenant.tenant_id,
            "status": _status(request.error),
        }
    )


def diagnostic_line(tenant: Company, category: str, properties: dict[str, Any], request: Request) -> bytes:
    """A line of diagnostic settings around a sign-in."""
    return encode(
        {
            "time": instant_text(request.at + 90 * SECOND),
            "resourceId": f"/tenants/{tenant.tenant_id}/providers/Microsoft.aadiam",
            "operationName": "Sign-in activity",
            "operationVersion": "1.0",
            "category": category,
            "tenantId": tenant.tenant_id,
            "resultType": str(request.error),
            "resultSignature": "None",
            "durationMs": 0,
            "correlationId": request.correlation,
            "Level": 4,
            "properties": {"id": request.id, "createdDateTime": instant_text(request.at), **properties},
        }
    )


def first_party_sign_in(tenant: Company, app_id: str, name: str, request: Request) -> bytes:
    """A sign-in of one of Microsoft's own services."""
    properties = {
        "appId": app_id,
        "appDisplayName": name,
        "servicePrincipalName": name,
        "servicePrincipalId": app_id,
        "resourceId": clients.EXCHANGE[0],
        "resourceDisplayName": clients.EXCHANGE[1],
        "uniqueTokenIdentifier": request.token_text,
        "appOwnerTenantId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
        "status": {"errorCode": 0},
    }
    return diagnostic_line(tenant, "MicrosoftServicePrincipalSignInLogs", properties, request)


def federated_sign_in(tenant: Company, seat: Seat, request: Request) -> bytes:
    """A sign-in at the organisation's own AD FS."""
    properties = {
        "userPrincipalName": seat.person.upn,
        "userId": seat.person.oid,
        "appId": "urn:federation:MicrosoftOnline",
        "resourceDisplayName": "Microsoft Online",
        "ipAddress": _address(request),
        "tokenIssuerType": "ADFederationServices",
        "status": {"errorCode": 0},
    }
    return diagnostic_line(tenant, "ADFSSignInLogs", properties, request)


def logged_in(tenant: Company, seat: Seat, request: Request) -> bytes:
    """The sign-in as the unified audit log has it."""
    person, failed = seat.person, bool(request.error)
    system, browser = clients.system_of(seat.agent)
    device = [
        {"Name": "Id", "Value": seat.device_id},
        {"Name": "DisplayName", "Value": seat.device_name},
        {"Name": "OS", "Value": system},
        {"Name": "BrowserType", "Value": browser},
        {"Name": "IsCompliantAndManaged", "Value": "True" if seat.device_id else "False"},
        {"Name": "SessionId", "Value": seat.sid},
    ]
    record = {
        "CreationTime": second_text(request.at),
        "Id": request.id,
        "Operation": "UserLoginFailed" if failed else "UserLoggedIn",
        "OrganizationId": tenant.tenant_id,
        "RecordType": 15,
        "ResultStatus": "Failed" if failed else "Success",
        "UserKey": person.oid,
        "UserType": 0,
        "Version": 1,
        "Workload": "AzureActiveDirectory",
        "ClientIP": _address(request),
        "ObjectId": seat.kind.resource[0],
        "UserId": person.upn,
        "AzureActiveDirectoryEventType": 1,
        "ExtendedProperties": [
            {"Name": "ResultStatusDetail", "Value": "UserError" if failed else "Success"},
            {"Name": "UserAgent", "Value": clients.agent_text(seat.agent, request.at)},
            {"Name": "UserAuthenticationMethod", "Value": "1"},
            {"Name": "RequestType", "Value": "OAuth2:Authorize" if request.is_interactive else "OAuth2:Token"},
        ],
        "ModifiedProperties": [],
        "Actor": [{"ID": person.oid, "Type": 0}, {"ID": person.upn, "Type": 5}],
        "ActorContextId": tenant.tenant_id,
        "ActorIpAddress": _address(request),
        "InterSystemsId": request.correlation,
        "IntraSystemId": request.id,
        "SupportTicketId": "",
        "Target": [{"ID": seat.kind.resource[0], "Type": 0}],
        "TargetContextId": tenant.tenant_id,
        "ApplicationId": seat.kind.app_id,
        "DeviceProperties": [entry for entry in device if entry["Value"]],
        "ErrorNumber": str(request.error),
    }
    if failed:
        record["LogonError"] = "InvalidUserNameOrPassword"
    return encode(record)


def minted_by_owa(tenant: Company, seat: Seat, request: Request, record_id: str) -> bytes:
    """A token that the web mail issued itself, by record type 275."""
    return encode(
        {
            "CreationTime": second_text(request.at),
            "Id": record_id,
            "Operation": "GetAccessTokenForResource",
            "OrganizationId": tenant.tenant_id,
            "RecordType": 275,
            "ResultStatus": "Succeeded",
            "UserKey": seat.person.puid,
            "UserType": 0,
            "Version": 1,
            "Workload": "Exchange",
            "ClientIP": _address(request),
            "UserId": seat.person.upn,
            "ResourceURL": "https://outlook.office.com",
            "UniqueTokenIdentifier": request.token_text,
            "AppAccessContext": {"AADSessionId": seat.sid} if seat.sid else {},
        }
    )

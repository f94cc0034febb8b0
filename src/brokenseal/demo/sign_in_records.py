"""One sign-in of the sample tenant as the logs write it: Graph JSON, diagnostic line, and unified audit record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.demo import world as w
from brokenseal.demo.identity import CRM_OBJECT, FAILURES, token_text

if TYPE_CHECKING:
    from brokenseal.demo.identity import SignIn
    from brokenseal.demo.world import World

_LOGON, _OWA_AUTH = 15, 275
_EVENT_TYPES = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
}
_COUNTRIES = {w.HOTEL: ("CA", "Halifax")}
_HOME = ("PT", "Porto")
_ABROAD = ("NL", "Amsterdam")
_FOREIGN_NETWORK = "203.0.113."


def graph(world: World, sign_in: SignIn) -> dict[str, Any]:
    """The `signIn` resource of Microsoft Graph beta."""
    kind = sign_in.client.kind
    is_application = sign_in.category == "service_principal"
    country, city = _place(sign_in.address)
    record: dict[str, Any] = {
        "id": sign_in.request_id,
        "createdDateTime": f"{w.iso(sign_in.at)}Z",
        "userDisplayName": "" if is_application else _display_name(sign_in),
        "userPrincipalName": "" if is_application else sign_in.user_name,
        "userId": "" if is_application else sign_in.user_id,
        "appId": kind.app_id,
        "appDisplayName": kind.app_name,
        "ipAddress": sign_in.address,
        "clientAppUsed": "Other clients" if sign_in.error else _client_used(kind.name),
        "userAgent": kind.user_agent,
        "correlationId": sign_in.correlation_id,
        "isInteractive": sign_in.category == "interactive",
        "tokenIssuerType": "AzureAD",
        "resourceDisplayName": w.RESOURCE_NAMES[sign_in.resource_id],
        "resourceId": sign_in.resource_id,
        "resourceTenantId": world.tenant_id,
        "homeTenantId": world.tenant_id,
        "uniqueTokenIdentifier": token_text(sign_in.request_id),
        "sessionId": sign_in.session_id or None,
        "incomingTokenType": "none" if sign_in.category == "interactive" else "refreshToken",
        "signInEventTypes": [_EVENT_TYPES[sign_in.category]],
        "crossTenantAccessType": "none",
        "authenticationProtocol": "none",
        "originalTransferMethod": "none",
        "status": {
            "errorCode": sign_in.error,
            "failureReason": FAILURES.get(sign_in.error, "Other."),
            "additionalDetails": None,
        },
        "deviceDetail": {"deviceId": sign_in.client.device_id, "operatingSystem": "", "browser": ""},
        "location": {"city": city, "state": "", "countryOrRegion": country},
    }
    if is_application:
        record |= {"servicePrincipalId": CRM_OBJECT, "servicePrincipalName": kind.app_name}
    return record


def diagnostic_line(world: World, sign_in: SignIn) -> dict[str, Any]:
    """The same as a diagnostic setting writes it to a storage account."""
    properties = graph(world, sign_in)
    return {
        "time": f"{w.iso(sign_in.at + 312)}.1184211Z",
        "resourceId": f"/tenants/{world.tenant_id}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": "NonInteractiveUserSignInLogs",
        "tenantId": world.tenant_id,
        "resultType": str(sign_in.error),
        "resultSignature": "SUCCESS" if sign_in.error == 0 else "FAILURE",
        "durationMs": 0,
        "callerIpAddress": sign_in.address,
        "correlationId": sign_in.correlation_id,
        "identity": properties["userDisplayName"],
        "Level": 4,
        "location": properties["location"]["countryOrRegion"],
        "properties": properties,
    }


def audit(world: World, sign_in: SignIn) -> dict[str, Any]:
    """UserLoggedIn or UserLoginFailed of the unified audit log (record type 15); its Id is the request id."""
    failed = sign_in.error != 0
    kind = sign_in.client.kind
    record: dict[str, Any] = _common(world, sign_in, "UserLoginFailed" if failed else "UserLoggedIn", _LOGON)
    record |= {
        "ActorIpAddress": sign_in.address,
        "ApplicationId": kind.app_id,
        "DeviceProperties": [{"Name": "SessionId", "Value": sign_in.session_id}] if sign_in.session_id else [],
        "ErrorNumber": str(sign_in.error),
        "ExtendedProperties": [
            {"Name": "ResultStatusDetail", "Value": "UserError" if failed else "Success"},
            {"Name": "UserAgent", "Value": kind.user_agent},
            {"Name": "RequestType", "Value": "OAuth2:Token" if failed else "OAuth2:Authorize"},
        ],
        "ModifiedProperties": [],
        "Target": [{"ID": sign_in.resource_id, "Type": 0}],
    }
    if failed:
        record["LogonError"] = {50126: "InvalidUserNameOrPassword", 50034: "UserAccountNotFound"}[sign_in.error]
    return record


def owa_token(world: World, sign_in: SignIn) -> dict[str, Any]:
    """The issue of a token by Outlook on the web. Its record type is documented, its operation name is not."""
    record = _common(world, sign_in, "GetAccessTokenForResource", _OWA_AUTH)
    record |= {
        "Workload": "Exchange",
        "UniqueTokenIdentifier": token_text(sign_in.request_id),
        "ResourceURL": "https://outlook.office365.com",
    }
    return record


def _common(world: World, sign_in: SignIn, operation: str, record_type: int) -> dict[str, Any]:
    return {
        "CreationTime": w.iso(sign_in.at),
        "Id": sign_in.request_id,
        "Operation": operation,
        "OrganizationId": world.tenant_id,
        "RecordType": record_type,
        "ResultStatus": "Success",
        "UserKey": sign_in.user_id,
        "UserType": 0,
        "Version": 1,
        "Workload": "AzureActiveDirectory",
        "ClientIP": sign_in.address,
        "ObjectId": sign_in.resource_id,
        "UserId": sign_in.user_name,
        "AzureActiveDirectoryEventType": 1,
        "Actor": [{"ID": sign_in.user_id, "Type": 0}, {"ID": sign_in.user_name, "Type": 5}],
        "ActorContextId": world.tenant_id,
        "InterSystemsId": sign_in.correlation_id,
        "IntraSystemId": sign_in.request_id,
        "TargetContextId": world.tenant_id,
    }


def _display_name(sign_in: SignIn) -> str:
    person = sign_in.client.person
    return person.name if person else sign_in.user_name


def _client_used(kind: str) -> str:
    return "Browser" if kind in {"owa", "add_in"} else "Mobile Apps and Desktop clients"


def _place(address: str) -> tuple[str, str]:
    return _ABROAD if address.startswith(_FOREIGN_NETWORK) else _COUNTRIES.get(address, _HOME)

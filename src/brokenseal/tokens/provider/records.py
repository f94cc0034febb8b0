"""What the simulated services write down, in the shapes of Microsoft 365.

Sources: Microsoft Graph `signIn` (beta); Office 365 Management Activity API schema, Exchange Mailbox schema and OWAAuth
(record type 275); Microsoft Entra, linkable identifiers; Azure Monitor, MicrosoftGraphActivityLogs.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from brokenseal.tokens.provider.tenant import APPS, RESOURCES, token_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokenseal.tokens.provider.tenant import Message, Person

Category = Literal["interactive", "non_interactive", "service_principal"]

_EVENT_TYPES = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
}
_FAILURES = {50126: "Error validating credentials due to invalid username or password."}
_BIND, _OWA_AUTH = 50, 275
_APPLICATION_USER = 5
_OWNER, _ADMIN = 0, 1
_LATEST: Final = 253_402_300_800  # the year 10000, which no log can write
_SERVER = "AM0PR07MB0001 (15.20.8534.000)\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Where a request comes from, as the services see it."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One request to the token endpoint; `error` 0 is success."""

    at: dt.datetime
    category: Category
    tenant_id: str
    request_id: str
    correlation_id: str
    session_id: str | None
    person: Person | None
    app_id: str
    resource: str
    caller: Caller
    error: int = 0


def iso(at: dt.datetime) -> str:
    """A time as the audit log writes it: UTC, to the second, without a zone."""
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def sign_in_record(sign_in: SignIn) -> dict[str, Any]:
    """The sign-in as Microsoft Graph (beta) gives it."""
    app = APPS[sign_in.app_id]
    person = sign_in.person
    record: dict[str, Any] = {
        "id": sign_in.request_id,
        "createdDateTime": f"{iso(sign_in.at)}Z",
        "userDisplayName": person.name if person else "",
        "userPrincipalName": person.upn if person else "",
        "userId": person.object_id if person else "",
        "appId": app.app_id,
        "appDisplayName": app.name,
        "ipAddress": sign_in.caller.address,
        "clientAppUsed": "Browser" if sign_in.category == "interactive" else "Mobile Apps and Desktop clients",
        "userAgent": sign_in.caller.user_agent,
        "correlationId": sign_in.correlation_id,
        "isInteractive": sign_in.category == "interactive",
        "tokenIssuerType": "AzureAD",
        "resourceDisplayName": RESOURCES[sign_in.resource],
        "resourceId": sign_in.resource,
        "resourceTenantId": sign_in.tenant_id,
        "homeTenantId": sign_in.tenant_id,
        "uniqueTokenIdentifier": token_text(sign_in.request_id),
        "sessionId": sign_in.session_id,
        "incomingTokenType": "refreshToken" if sign_in.category == "non_interactive" else "none",
        "signInEventTypes": [_EVENT_TYPES[sign_in.category]],
        "crossTenantAccessType": "none",
        "authenticationProtocol": "none",
        "status": {
            "errorCode": sign_in.error,
            "failureReason": _FAILURES.get(sign_in.error, "Other."),
            "additionalDetails": None,
        },
        "deviceDetail": {"deviceId": "", "operatingSystem": "", "browser": ""},
    }
    if person is None:
        record |= {"servicePrincipalId": app.object_id, "servicePrincipalName": app.name}
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """What the services write down of a token that a gate let pass; a claim that is no text is empty here.

    Attributes:
        is_application: True where no person stands behind the token.
    """

    object_id: str
    tenant_id: str
    session_id: str
    uti: str
    client_app_id: str
    issued_at: dt.datetime
    scopes: str
    roles: str
    is_application: bool


def bearer_of(claims: Mapping[str, Any], *, at: dt.datetime) -> Bearer:
    """The claims as the services write them; `at` stands in for a time of issue that is none."""
    text = {name: value for name, value in claims.items() if isinstance(value, str)}
    issued = claims.get("iat")
    roles = claims.get("roles")
    return Bearer(
        object_id=text.get("oid", ""),
        tenant_id=text.get("tid", ""),
        session_id=text.get("sid", ""),
        uti=text.get("uti", ""),
        client_app_id=text.get("azp", ""),
        issued_at=dt.datetime.fromtimestamp(issued, tz=dt.UTC)
        if isinstance(issued, int) and 0 < issued < _LATEST
        else at,
        scopes=text.get("scp", ""),
        roles=" ".join(map(str, roles)) if isinstance(roles, list) else "",
        is_application=claims.get("idtyp") == "app",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MailCall:
    """A call of the mail service.

    Attributes:
        api_id: The application or API through which the mailbox was called (`AppId`).
        client_info: `ClientInfoString`.
        bearer: The token, believed by the gate, whoever wrote it.
    """

    tenant_id: str
    mailbox: Person
    api_id: str
    client_info: str
    caller: Caller
    bearer: Bearer


def mail_items_accessed(call: MailCall, items: Iterable[Message], *, at: dt.datetime, record_id: str) -> dict[str, Any]:
    """One MailItemsAccessed record (Bind) that lists the messages."""
    folders: dict[str, list[dict[str, Any]]] = {}
    count = 0
    for message in items:
        count += 1
        folders.setdefault(message.folder, []).append(
            {
                "Id": message.item_id,
                "InternetMessageId": message.internet_message_id,
                "SizeInBytes": message.size_bytes,
            }
        )
    record = _exchange_record(call, "MailItemsAccessed", _BIND, at=at, record_id=record_id)
    return record | {
        "OperationProperties": [
            {"Name": "MailAccessType", "Value": "Bind"},
            {"Name": "IsThrottled", "Value": "False"},
        ],
        "Folders": [{"Id": f"LgAAAA{path}", "Path": path, "FolderItems": found} for path, found in folders.items()],
        "OperationCount": count,
        "AuthType": "Bearer",
        "TokenObjectId": call.bearer.object_id,
        "TokenTenantId": call.bearer.tenant_id,
        "AppAccessContext": {
            "AADSessionId": call.bearer.session_id,
            "APIId": call.api_id,
            "ClientAppId": call.bearer.client_app_id,
            "IssuedAtTime": iso(call.bearer.issued_at),
            "UniqueTokenId": call.bearer.uti,
        },
    }


def owa_auth(call: MailCall, *, at: dt.datetime, record_id: str, client_app_id: str, uti: str) -> dict[str, Any]:
    """Outlook on the web made a token for a resource. The record type is documented, its operation name is not."""
    record = _exchange_record(call, "GetAccessTokenForResource", _OWA_AUTH, at=at, record_id=record_id)
    return record | {
        "ClientAppId": client_app_id,
        "ResourceURL": "https://outlook.office365.com",
        "UniqueTokenIdentifier": uti,
        "SessionId": call.bearer.session_id,
        "TokenObjectId": call.bearer.object_id,
        "TokenTenantId": call.bearer.tenant_id,
    }


def _exchange_record(
    call: MailCall, operation: str, record_type: int, *, at: dt.datetime, record_id: str
) -> dict[str, Any]:
    person = call.mailbox
    is_application = call.bearer.is_application
    subject = call.bearer.object_id
    return {
        "CreationTime": iso(at),
        "Id": record_id,
        "Operation": operation,
        "OrganizationId": call.tenant_id,
        "RecordType": record_type,
        "ResultStatus": "Succeeded",
        "UserKey": subject if is_application else person.puid,
        "UserType": _APPLICATION_USER if is_application else 0,
        "Version": 1,
        "Workload": "Exchange",
        "UserId": subject if is_application else person.upn,
        "AppId": call.api_id,
        "ClientAppId": call.bearer.client_app_id,
        "ClientIPAddress": call.caller.address,
        "ClientInfoString": call.client_info,
        "ExternalAccess": False,
        "InternalLogonType": 0,
        "LogonType": _ADMIN if is_application else _OWNER,
        "LogonUserSid": "S-1-5-18" if is_application else person.sid,
        "MailboxGuid": person.mailbox_guid,
        "MailboxOwnerSid": person.sid,
        "MailboxOwnerUPN": person.upn,
        "OrganizationName": "wharfside.onmicrosoft.example",
        "OriginatingServer": _SERVER,
    }


def graph_request(call: MailCall, *, at: dt.datetime, request_id: str, uri: str, size_bytes: int) -> dict[str, Any]:
    """One request to Microsoft Graph as a row of MicrosoftGraphActivityLogs."""
    is_application = call.bearer.is_application
    return {
        "TimeGenerated": f"{iso(at)}Z",
        "AadTenantId": call.tenant_id,
        "RequestId": request_id,
        "AppId": call.bearer.client_app_id,
        "UserId": "" if is_application else call.bearer.object_id,
        "ServicePrincipalId": call.bearer.object_id if is_application else "",
        "SessionId": call.bearer.session_id,
        "SignInActivityId": call.bearer.uti,
        "TokenIssuedAt": f"{iso(call.bearer.issued_at)}Z",
        "IPAddress": call.caller.address,
        "UserAgent": call.caller.user_agent,
        "RequestMethod": "GET",
        "RequestUri": f"https://graph.microsoft.com{uri}",
        "ResponseStatusCode": 200,
        "ResponseSizeBytes": size_bytes,
        "Scopes": call.bearer.scopes,
        "Roles": call.bearer.roles,
        "Type": "MicrosoftGraphActivityLogs",
    }

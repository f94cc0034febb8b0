"""What rule authors call things, and where records really hold them: one row a field, one table a log.

A field of a record is found in three steps: a head (a key of the record; diagnostic lines keep theirs below
`properties`), a tail below it, and the way to read what stands there. Fields that no row names are looked up as the
rule writes them, so that nothing which a record holds is out of reach.

Sources: Office 365 Management Activity API schema; Microsoft Graph `signIn` and `directoryAudit`; Azure Monitor Logs
reference for `SigninLogs`, `AuditLogs`, `OfficeActivity` and `MicrosoftGraphActivityLogs`; names of fields as published
Sigma rules for these logs use them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["text", "list", "named", "keyed", "changed"]
"""text: a scalar as text, anything nested as JSON text · list: a list of scalars, or one · named: the value of one
name in a list of names and values · keyed: of one key in a list of keys and values · changed: the new value of one name
among the changes of a directory record."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field may stand.

    Attributes:
        head: Keys from the record's root.
        tail: JSON path below the head without `$`, or the name to look for (kinds `named`, `keyed` and `changed`).
    """

    head: tuple[str, ...]
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordField:
    """A field of a record.

    Attributes:
        name: What it is called in compiled rules; unique within its log.
        places: Where it may stand; the first place that holds something counts.
        is_known: False for a field that no row names.
    """

    name: str
    places: tuple[Place, ...]
    kind: Kind = "text"
    is_known: bool = True

    @property
    def is_list(self) -> bool:
        """Whether a record may hold several values of it."""
        return self.kind != "text" or any("[*]" in place.tail for place in self.places)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """A log of the product, and what rules call its fields.

    Attributes:
        source: Value of `events.source`.
        title: What people call it.
        names: Name in a rule, folded, to fields; several are alternatives.
        below: Keys below which heads are looked for after the root.
    """

    source: str
    title: str
    names: Mapping[str, tuple[RecordField, ...]]
    below: tuple[str, ...] = ()

    def fields(self, name: str) -> tuple[RecordField, ...]:
        """What a name in a rule stands for; never empty."""
        key = _key(name)
        if key in self.names:
            return self.names[key]
        for head, _, tail in _cuts(key):
            known = self.names.get(head)
            if known is not None and not any(place.tail for field in known for place in field.places):
                return tuple(_below(field, _end(name, tail)) for field in known)
        return (_as_written(name, self.below),)


# ---------------------------------------------------------------- names as they are written

_PREFIXES: Final = ("azure.signinlogs.", "azure.auditlogs.", "o365.audit.", "properties.")
# Keys that hold lists of objects: rules write a dot behind them and mean each of the objects.
_SEVERAL: Final = frozenset(
    {
        "targetresources", "modifiedproperties", "additionaldetails", "folders", "folderitems", "affecteditems",
        "messages", "messageitems", "actor", "target", "authenticationdetails", "appliedconditionalaccesspolicies",
        "conditionalaccesspolicies",
    }
)  # fmt: skip
_NAMED: Final = frozenset({"parameters", "operationproperties", "extendedproperties", "deviceproperties"})
_KEYED: Final = frozenset({"additionaldetails"})
# Rules that ask for these below such a list mean all names, or all values, and no name of that name.
_BOTH_SIDES: Final = {"name": "[*].Name", "value": "[*].Value"}
# What directory records write below their lists of objects; rules write it in any case.
_SPELT: Final = {
    each.lower(): each
    for each in (
        "modifiedProperties",
        "displayName",
        "oldValue",
        "newValue",
        "userPrincipalName",
        "groupType",
        "type",
        "id",
        "user",
        "app",
        "appId",
        "servicePrincipalId",
        "servicePrincipalName",
        "ipAddress",
        "key",
        "value",
    )
}
_DIRECTORY_LISTS: Final = frozenset({"targetresources", "initiatedby", "additionaldetails"})


def _key(name: str) -> str:
    key = name.strip().lower()
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return re.sub(r"\{\}|\[\]|\[\*\]", "[*]", key)


def _cuts(key: str) -> list[tuple[str, str, str]]:
    """Ways to cut a dotted name into head and tail, longest head first."""
    found = []
    for match in reversed(list(re.finditer(r"\.|\[\*\]", key))):
        start = match.start()
        found.append((key[:start], match.group(), key[start:].removeprefix(".")))
    return found


def _end(name: str, tail: str) -> str:
    """The end of a name as it was written that folds to `tail`."""
    plain = re.sub(r"\{\}|\[\]", "[*]", name.strip())
    return plain[len(plain) - len(tail) :]


def _through_lists(head: str, tail: str) -> str:
    """A tail with `[*]` behind every key that holds a list of objects and is followed by another key."""
    steps = [step for step in tail.replace("[*]", ".[*]").split(".") if step]
    found: list[str] = []
    for before, step in zip([head, *steps], steps, strict=False):
        if before.lower() in _SEVERAL and step != "[*]":
            found.append("[*]")
        found.append(step)
    return "".join(step if step == "[*]" else f".{step}" for step in found).removeprefix(".")


def _below(field: RecordField, tail: str) -> RecordField:
    head = field.name.lower()
    kind: Kind = "list"
    path = _BOTH_SIDES.get(tail.lower(), "") if head in _NAMED else ""
    is_known = bool(path)
    if not path and not tail.startswith("["):
        spelt = _spelt(tail) if head in _DIRECTORY_LISTS else None
        kind = "named" if head in _NAMED else "keyed" if head in _KEYED and spelt is None else "list"
        is_known = kind != "list" or spelt is not None
        tail = spelt or tail
    if not path:
        path = tail if kind != "list" else _through_lists(field.name, tail)
    places = tuple(Place(place.head, path) for place in field.places)
    return RecordField(name=f"{field.name}.{tail}", places=places, kind=kind, is_known=is_known)


def _spelt(tail: str) -> str | None:
    """A tail as directory records write it; None where they are not known to have it."""
    steps = [_SPELT.get(step.lower()) for step in tail.replace("[*]", "").split(".")]
    return ".".join(filter(None, steps)) if all(steps) else None


def _as_written(name: str, below: tuple[str, ...]) -> RecordField:
    plain = re.sub(r"\{\}|\[\]", "[*]", name.strip())
    for prefix in _PREFIXES:
        if plain.lower().startswith(prefix):
            plain = plain[len(prefix) :]
    found = re.search(r"\.|\[", plain)
    head, tail = (plain[: found.start()], plain[found.start() :].removeprefix(".")) if found else (plain, "")
    places = [Place(each, tail) for each in _heads(head, below)]
    return RecordField(name=plain, places=(Place((plain,)), *places), kind="list", is_known=False)


def _heads(name: str, below: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Where a key may stand: as written, with its first letter in either case, at the root or below `properties`."""
    spelt = dict.fromkeys((name, name[:1].lower() + name[1:], name[:1].upper() + name[1:]))
    return (*((each,) for each in spelt), *((key, each) for key in below for each in spelt))


def _places(keys: str, below: tuple[str, ...]) -> tuple[Place, ...]:
    """Keys, each with a tail behind a dot if it has one, to places."""
    parts = (key.partition(".") for key in keys.split())
    found = (Place(each, tail) for head, _, tail in parts for each in _heads(head, below))
    return tuple(dict.fromkeys(found))


def _table(text: str, below: tuple[str, ...] = ()) -> dict[str, tuple[RecordField, ...]]:
    """Rows `name = other keys of the record | names in rules` to fields by folded name.

    A `*` before the name marks a list of scalars. A dot parts head and tail.
    """
    found: dict[str, tuple[RecordField, ...]] = {}
    for row in text.strip().splitlines():
        left, _, aliases = row.partition("|")
        name, _, keys = (each.strip() for each in left.partition("="))
        is_list = name.startswith("*")
        name = name.removeprefix("*")
        field = RecordField(name=name, places=_places(f"{name} {keys}", below), kind="list" if is_list else "text")
        for alias in dict.fromkeys(each.lower() for each in (name, *keys.split(), *aliases.split())):
            found[alias] = (*found.get(alias, ()), field)
    return found


# ---------------------------------------------------------------- logs

_AUDIT = """
Operation = Operations | eventName action event.action ActionType
Name | eventName AlertName alert.name
Workload = OfficeWorkload | eventSource provider event.provider
RecordType = auditLogRecordType |
ResultStatus | status result outcome event.outcome
UserId = UserIds | user.email user.id user User actor UserPrincipalName
UserKey |
UserType |
ClientIP = ClientIp | src_ip source.ip IPAddress
ClientIPAddress = Client_IPAddress |
ActorIpAddress |
ObjectId = OfficeObjectId | object
OrganizationId |
AppId |
ClientAppId |
ApplicationId |
ClientInfoString |
ActorInfoString |
UserAgent | user_agent user_agent.original
ExternalAccess |
LogonType = Logon_Type |
LogonUserSid |
MailboxGuid |
MailboxOwnerUPN | mailbox
SessionId |
AuthType |
TokenType |
OperationCount |
Severity | severity
Category | category
Source |
Comments |
Data |
EntityType |
AlertType |
Directionality |
UrlClickAction |
SiteUrl |
SourceFileName |
SourceFileExtension |
SourceRelativeUrl |
ItemType |
TeamName |
CommunicationType |
Parameters |
OperationProperties |
ExtendedProperties |
ModifiedProperties |
DeviceProperties |
Folders |
Item |
AffectedItems |
AppAccessContext |
AppAccessContext.AADSessionId |
AppAccessContext.ClientAppId |
AppAccessContext.UniqueTokenId |
Actor |
Target |
ErrorNumber | ResultType
LogonError |
*MessageURLs |
*PolicyDetails |
*RecipientAddresses = Recipients |
*ExternalRecipients |
P2Sender |
DetectionType |
DetectionMethod |
DeliveryAction |
Verdict |
"""

_SIGN_IN = """
ResultType = status.errorCode errorCode ErrorCode | error_code ResultCode Status authentication_result
ResultDescription = status.failureReason | failureReason Status
StatusDetails = status.additionalDetails | Status mfanotificationoutcome
UserPrincipalName = AccountUpn | AccountUPN Username user.email User UserName user TargetUserName InitiatedBy
UserDisplayName |
UserId | user.id
UserType |
AppId = applicationId | ApplicationId
AppDisplayName = appDisplayName | Application ApplicationDisplayName AppDisplayname app
ResourceDisplayName | Resource resource
ResourceIdentity = resourceId | ResourceId
IPAddress = ipAddress callerIpAddress | src_ip source.ip ClientIP CallerIpAddress
ClientAppUsed = clientAppUsed | ClientApp Clientapp
UserAgent | user_agent user_agent.original
AuthenticationRequirement |
AuthenticationProtocol | properties.message message
AuthenticationDetails |
AuthenticationMethodsUsed |
AuthenticationProcessingDetails |
AuthenticationContextClassReferences |
OriginalTransferMethod |
IncomingTokenType |
ConditionalAccessStatus | conditionalaccess
ConditionalAccessPolicies = appliedConditionalAccessPolicies |
CrossTenantAccessType |
HomeTenantId | hometenantid
ResourceTenantId |
RiskState |
RiskDetail |
RiskLevelDuringSignIn | risklevel
RiskLevelAggregated |
*RiskEventTypes_V2 = riskEventTypes_v2 RiskEventTypes riskEventTypes | riskEventType
IsInteractive |
Location = locationDetails | country
Location.countryOrRegion = locationDetails.countryOrRegion |
NetworkLocationDetails |
AutonomousSystemNumber | ASN
DeviceDetail |
DeviceDetail.deviceId | DeviceId DeviceDetail.deviceid
DeviceDetail.displayName |
DeviceDetail.operatingSystem | DeviceDetail.operatingsystem
DeviceDetail.browser |
DeviceDetail.isCompliant | DeviceDetail.iscompliant IsCompliant
DeviceDetail.isManaged | DeviceDetail.ismanaged
DeviceDetail.trustType | DeviceDetail.trusttype TrustType
TokenIssuerType |
TokenProtectionStatusDetails |
UniqueTokenIdentifier |
SessionId |
CorrelationId |
ServicePrincipalId |
ServicePrincipalName |
SignInEventTypes |
Category = category |
OperationName = operationName | ActivityDetails
FlaggedForReview |
Id |
"""

_DIRECTORY = """
ActivityDisplayName = OperationName operationName | properties.message message activity Activity ActivityType eventName
Category = category | properties.category
Result = result | Status status properties.result ResultType
ResultReason = resultReason ResultDescription | Status status failure_status_reason
LoggedByService = loggedByService | Service service Loggedbyservice Workload
InitiatedBy = initiatedBy | Initiatedby actor
InitiatedBy.user.userPrincipalName | UserPrincipalName Username
InitiatedBy.user.ipAddress | IPAddress
InitiatedBy.user.id | ActorUserId
TargetResources = targetResources | target TargetResource Target
AdditionalDetails = additionalDetails |
AADOperationType = operationType |
Identity |
CorrelationId |
Id |
"""

_GRAPH = """
RequestMethod |
RequestUri | uri
ResponseStatusCode |
AppId |
UserId |
ServicePrincipalId |
IPAddress = ipAddress callerIpAddress | ClientIP
UserAgent |
Scopes |
Roles |
SignInActivityId |
SessionId |
"""

_PROPERTIES: Final = ("properties",)


def _changes(table: dict[str, tuple[RecordField, ...]]) -> dict[str, tuple[RecordField, ...]]:
    """What a directory record says was changed, by the name of the property."""
    heads = [place.head for place in table["targetresources"][0].places]
    for name in (
        "ConsentContext.IsAdminConsent",
        "ConsentContext.OnBehalfOfAll",
        "ConsentAction.Permissions",
        "ConsentAction.Reason",
        "DelegatedPermissionGrant.Scope",
        "AppRole.Value",
        "Role.DisplayName",
        "Role.TemplateId",
        "Group.DisplayName",
        "KeyDescription",
        "FederatedIdentityCredentials",
        "UserType",
        "StrongAuthenticationMethod",
        "AppAddress",
        "AppIdentifierUri",
    ):
        table[name.lower()] = (
            RecordField(name=name, places=tuple(Place(head, name) for head in heads), kind="changed"),
        )
    kind_of_target = tuple(Place(head, "[*].type") for head in heads)
    table["targettype"] = (RecordField(name="TargetResources.type", places=kind_of_target, kind="list"),)
    return table


def _sign_in_properties(table: dict[str, tuple[RecordField, ...]]) -> dict[str, tuple[RecordField, ...]]:
    """What records of signing in hold as a name and a value, and rules ask for by the name alone."""
    heads = [place.head for place in table["extendedproperties"][0].places]
    for name in ("RequestType", "ResultStatusDetail", "UserAuthenticationMethod", "KeepMeSignedIn"):
        places = tuple(Place(head, name) for head in heads)
        table[name.lower()] = (RecordField(name=f"ExtendedProperties.{name}", places=places, kind="named"),)
    return table


UNIFIED_AUDIT: Final = Log(source="unified_audit", title="unified audit log", names=_sign_in_properties(_table(_AUDIT)))
SIGN_INS: Final = Log(
    source="entra_sign_in",
    title="Entra sign-in logs",
    names=_table(_SIGN_IN, _PROPERTIES),
    below=_PROPERTIES,
)
DIRECTORY: Final = Log(
    source="entra_audit",
    title="Entra directory audit log",
    names=_changes(_table(_DIRECTORY, _PROPERTIES)),
    below=_PROPERTIES,
)
GRAPH: Final = Log(
    source="graph_activity", title="Microsoft Graph activity log", names=_table(_GRAPH, _PROPERTIES), below=_PROPERTIES
)
LOGS: Final = (UNIFIED_AUDIT, SIGN_INS, DIRECTORY, GRAPH)

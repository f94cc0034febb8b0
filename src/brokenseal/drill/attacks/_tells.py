"""Causal traces of attacks: in which fields of a log each of them may show, and by which values.

Whatever an attack shows elsewhere is a fault of the drill, and the leak tests look for it. A field is named by its
path as `_leak_lines.flatten` writes it, without the envelope (`AuditData.`, `properties.`); what begins with the path
belongs to it, so that `Folders` stands for everything in the folders.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from brokenseal.drill.vocabulary import CONSUMER_TENANT


class Trace(NamedTuple):
    """Where one tell may show.

    Attributes:
        paths: Beginnings of the paths of the fields that it may show in.
        values: Operations and identifiers that nobody but an intruder need show in a drill.
        is_shared: Tenants of a campaign may show the same value.
    """

    paths: tuple[str, ...]
    values: tuple[str, ...] = ()
    is_shared: bool = False


_TOKEN: Final = (
    "AppAccessContext.UniqueTokenId",
    "AppAccessContext.IssuedAtTime",
    "UniqueTokenIdentifier",
    "uniqueTokenIdentifier",
    "tokenIssuedAt",
    "C_Iat",
    "signInActivityId",
    "TokenTenantId",
)
_SESSION: Final = ("SessionId", "sessionId", "C_Sid", "AppAccessContext.AADSessionId", "DeviceProperties[SessionId]")
_CLIENT: Final = (
    "ClientInfoString",
    "ClientProcessName",
    "ClientVersion",
    "ClientAppId",
    "ClientApplication",
    "AppId",
    "AppAccessContext.ClientAppId",
    "AppAccessContext.APIId",
    "ApplicationId",
    "ActorInfoString",
    "ExtendedProperties[UserAgent]",
    "ExtendedProperties#",
    "DeviceProperties",
    "deviceDetail",
    "userAgent",
    "clientAppUsed",
    "appId",
    "appDisplayName",
    "resourceDisplayName",
    "resourceId",
    # The broker's token comes with a device that the directory knows, a refresh token without.
    "incomingTokenType",
)
_NETWORK: Final = (
    "ClientIP",
    "ClientIPAddress",
    "ActorIpAddress",
    "ipAddress",
    "callerIpAddress",
    "initiatedBy.user.ipAddress",
    "autonomousSystemNumber",
    "location",
)
_MESSAGES: Final = (
    "OperationCount",
    "Folders",
    "Folder",
    "DestFolder",
    "Item",
    "Messages",
    "AffectedItems",
    "OperationProperties[IsThrottled]",
    "requestUri",
    "responseSizeBytes",
)
_APPLICATION: Final = (
    *_CLIENT,
    "servicePrincipalId",
    "servicePrincipalName",
    "roles",
    "scopes",
    "clientCredentialType",
    "clientAuthMethod",
    "C_Idtyp",
    "userId",
    "UserId",
    "UserKey",
    "LogonUserSid",
)
_CHANGE: Final = (
    "Parameters",
    "ModifiedProperties",
    "ObjectId",
    "ExtendedProperties",
    "Target",
    "targetResources",
    "additionalDetails",
)
_READER: Final = (
    "UserId",
    "UserKey",
    "LogonUserSid",
    "userId",
    "userPrincipalName",
    "userDisplayName",
    "MailboxGuid",
    "MailboxOwner",
    "CrossMailboxOperation",
    "SendAsUser",
    "SendOnBehalfOfUser",
    "ExternalAccess",
    "TokenObjectId",
    "homeTenantId",
    "TokenTenantId",
)
# The audit log does not say which of its sign-ins came with a dialogue; the kind of request does.
_DIALOGUE: Final = "ExtendedProperties[RequestType]"
_SIGNING_IN: Final = (
    "authenticationProtocol",
    "incomingTokenType",
    "authenticationRequirement",
    "mfaDetail",
    _DIALOGUE,
    "ExtendedProperties[ResultStatusDetail]",
)

UNISSUED: Final = "token id that no sign-in issued"
UNBEGUN: Final = "session id that no sign-in began"
IMPOSSIBLE: Final = "issue time or tenant that cannot be (careless)"
COPIED: Final = "token id of another token (copied)"
NEW_CLIENT: Final = "client or network that is new for the mailbox"
NEW_NETWORK: Final = "network that is new for the mailbox"
VOLUME: Final = "volume of reads"
MESSAGES: Final = "which messages are opened"
STRANGE_SIGN_IN: Final = "sign-in from a network that is new for the person"
STRANGE_ADMIN: Final = "sign-in of an administrator from a network that is new for the person"
TWO_NETWORKS: Final = "one session on two networks"
TWO_AGENTS: Final = "one session with two user agents (careless)"
MOVED_SESSION: Final = "session signed in on one network and used on another"
FAMILY: Final = "one session with clients of one family"
DEVICE_CODE: Final = "sign-in by device code"
SECOND_FACTOR: Final = "second factor added"
HIDING_RULE: Final = "rule that hides mail"
CONSENT: Final = "consent to an application with rights on mail"
NEW_APPLICATION: Final = "application that is new for the mailbox"
APPLICATION_NETWORK: Final = "network of an application"
APPLICATION_IN_MANY: Final = "one application in many mailboxes"
CREDENTIAL: Final = "credential added to an application"
MAIL_RIGHT: Final = "right on mail granted to an application (careless, professional)"
PERMISSION: Final = "permission on a mailbox or its inbox"
PERMISSION_REMOVED: Final = "permission taken away again"
NEW_PAIR: Final = "pair of reader and mailbox that is new"
IMPERSONATION: Final = "role ApplicationImpersonation assigned"
SYNCHRONISATION: Final = "synchronisation of folders"
FORWARDING: Final = "rule or forwarding to an address outside"
SENT_ON: Final = "mail sent on by a rule"
FEDERATION: Final = "federation of a domain (levels 1 and 2)"
FORGED_ASSERTION: Final = "federated sign-in without one at the identity provider"
DELEGATED_ADMIN: Final = "delegated administrator in a mailbox"
CAMPAIGN: Final = "one address in several tenants"

TRACES: Final = {
    UNISSUED: Trace(_TOKEN),
    UNBEGUN: Trace(_SESSION),
    IMPOSSIBLE: Trace(_TOKEN, values=(CONSUMER_TENANT,)),
    COPIED: Trace(_TOKEN),
    NEW_CLIENT: Trace((*_CLIENT, *_NETWORK)),
    NEW_NETWORK: Trace(_NETWORK),
    VOLUME: Trace(_MESSAGES),
    MESSAGES: Trace(_MESSAGES),
    STRANGE_SIGN_IN: Trace((*_CLIENT, *_NETWORK, *_SESSION, _DIALOGUE)),
    STRANGE_ADMIN: Trace((*_CLIENT, *_NETWORK, *_SESSION, _DIALOGUE)),
    TWO_NETWORKS: Trace((*_SESSION, *_NETWORK)),
    TWO_AGENTS: Trace((*_SESSION, *_CLIENT)),
    MOVED_SESSION: Trace((*_SESSION, *_NETWORK)),
    FAMILY: Trace((*_SESSION, *_CLIENT)),
    DEVICE_CODE: Trace((*_SIGNING_IN, *_CLIENT)),
    SECOND_FACTOR: Trace(_CHANGE),
    HIDING_RULE: Trace(_CHANGE),
    CONSENT: Trace((*_CHANGE, *_APPLICATION)),
    NEW_APPLICATION: Trace((*_APPLICATION, *_SESSION)),
    APPLICATION_NETWORK: Trace(_NETWORK),
    APPLICATION_IN_MANY: Trace((*_APPLICATION, *_SESSION)),
    CREDENTIAL: Trace((*_CHANGE, "clientCredentialType", "clientAuthMethod")),
    MAIL_RIGHT: Trace(_CHANGE),
    PERMISSION: Trace(_CHANGE),
    PERMISSION_REMOVED: Trace(_CHANGE),
    NEW_PAIR: Trace(_READER),
    IMPERSONATION: Trace(_CHANGE),
    SYNCHRONISATION: Trace(_MESSAGES),
    FORWARDING: Trace(_CHANGE),
    SENT_ON: Trace(("MessageId", "RecipientAddress", "SenderAddress", "Size", "Subject", "Status")),
    FEDERATION: Trace(_CHANGE, values=("Set domain authentication.",)),
    FORGED_ASSERTION: Trace((*_SIGNING_IN, *_SESSION)),
    DELEGATED_ADMIN: Trace((*_READER, *_SESSION, _DIALOGUE)),
    CAMPAIGN: Trace(_NETWORK, is_shared=True),
}
"""What each tell may show in. A tell that is not here excuses nothing."""

"""What a change of configuration looks like in the log: object, cmdlet parameters, directory properties.

Changes are few, so they are described one by one. Names and value texts are those of a public 2021 lab export and of
Microsoft's cmdlet reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill import apps, streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.drill.world import Tenant

Change = dict[str, Any]
Setting = tuple[str, str, str | None, str | None]
"""Place, name, new value, old value."""

_PATH: Final = "EURPR04A009.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/"
_FORWARDS: Final = {"forward": "ForwardTo", "redirect": "RedirectTo", "bcc": "BlindCopyTo"}
_EFFECTS: Final = {"delete": "DeleteMessage", "mark_read": "MarkAsRead", "stop": "StopProcessingRules"}
_FOLDERS: Final = {
    "rss": "RSS Feeds",
    "archive": "Archive",
    "conversation_history": "Conversation History",
    "junk": "Junk Email",
    "deleted": "Deleted Items",
    "inbox": "Inbox",
    "calendar": "Calendar",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One record of a change: `ObjectId` and what was set."""

    object_id: str
    settings: tuple[Setting, ...]


def describe(tenant: Tenant, upns: list[str], change: Change) -> tuple[Described, ...]:
    """The records of one change, mostly one; application roles are granted one by one.

    Args:
        tenant: The tenant.
        upns: User principal names of the day, by identity.
        change: A row of CHANGE.
    """
    if change["service"] == "exchange":
        return (_cmdlet(tenant, upns, change),)
    maker = _DIRECTORY.get(change["change"], _account)
    if change["change"] == "app_role_grant":
        return tuple(maker(tenant, upns, change | {"rights": [right]}) for right in change["rights"])
    return (maker(tenant, upns, change),)


def _name(upns: list[str], number: int) -> str:
    return upns[number] if number >= 0 else ""


def _alias(tenant: Tenant, change: Change) -> str:
    box = change["mailbox_no"]
    return tenant.mailbox_upns[box].partition("@")[0] if box >= 0 else ""


def _folder(name: str | None) -> str:
    return _FOLDERS.get(name or "", name or "")


# ---------------------------------------------------------------- cmdlets


def _cmdlet(tenant: Tenant, upns: list[str], change: Change) -> Described:
    root = f"{_PATH}{tenant.onmicrosoft}/"
    alias = _alias(tenant, change)
    maker = _CMDLETS.get(change["change"], _other_cmdlet)
    if change["is_by_system"]:
        maker = _system_cmdlet
    suffix, parameters = maker(tenant, upns, change)
    object_id = f"{root}{alias}{suffix}" if alias else suffix
    return Described(
        object_id=object_id, settings=tuple(("parameter", name, value, None) for name, value in parameters if value)
    )


Parameters = tuple[str, list[tuple[str, str]]]


def _inbox_rule(tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    name, effects = change["rule_name"] or "", change["rule_effects"]
    parameters = [("AlwaysDeleteOutlookRulesBlob", "False"), ("Force", "False")]
    if not change["operation"].startswith("New"):
        parameters.append(("Identity", f"{_alias(tenant, change)}\\{name}"))
    words = change["rule_conditions"]
    senders = [word for word in words if "@" in word]
    parameters += [
        ("SubjectOrBodyContainsWords", ";".join(word for word in words if "@" not in word)),
        ("From", ";".join(senders)),
        ("Name", name),
        *((_FORWARDS[one], ";".join(change["destinations"])) for one in effects if one in _FORWARDS),
        *((_EFFECTS[one], "True") for one in effects if one in _EFFECTS),
        ("MoveToFolder", _folder(change["folder"]) if "move" in effects else ""),
    ]
    return f"\\{name}", parameters


def _transport_rule(_tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    effects = change["rule_effects"]
    goals = ";".join(change["destinations"])
    parameters = [
        ("Name", change["rule_name"] or ""),
        ("Mode", "Enforce"),
        ("BlindCopyTo", goals if "bcc" in effects else ""),
        ("RedirectMessageTo", goals if "redirect" in effects else ""),
        ("DeleteMessage", "True" if "delete" in effects else ""),
        ("SubjectOrBodyContainsWords", ";".join(change["rule_conditions"])),
        ("StopRuleProcessing", str("stop" in effects)),
        ("SenderAddressLocation", "Header"),
    ]
    return change["rule_name"] or "", parameters


def _forwarding(tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    goal = next(iter(change["destinations"]), None)
    value = f"smtp:{goal}" if goal else "$null"
    parameters = [("Identity", _alias(tenant, change)), ("ForwardingSmtpAddress", value)]
    parameters.append(
        ("DeliverToMailboxAndForward", "True" if goal and "delete" not in change["rule_effects"] else "False")
    )
    return "", parameters


def _mailbox_permission(tenant: Tenant, upns: list[str], change: Change) -> Parameters:
    who = "Trustee" if "Recipient" in change["operation"] else "User"
    return "", [
        ("Identity", _alias(tenant, change)),
        (who, _name(upns, change["grantee_no"])),
        ("AccessRights", ",".join(change["rights"])),
    ]


def _send_on_behalf(tenant: Tenant, upns: list[str], change: Change) -> Parameters:
    return "", [("Identity", _alias(tenant, change)), ("GrantSendOnBehalfTo", _name(upns, change["grantee_no"]))]


def _folder_permission(tenant: Tenant, upns: list[str], change: Change) -> Parameters:
    user = _name(upns, change["grantee_no"]) or "Default"
    path = f":\\{_folder(change['folder'])}"
    return path, [
        ("Identity", f"{_alias(tenant, change)}{path}"),
        ("User", user),
        ("AccessRights", ",".join(change["rights"])),
    ]


def _management_role(_tenant: Tenant, upns: list[str], change: Change) -> Parameters:
    role = next(iter(change["rights"]), "")
    member = change["app_id"] or _name(upns, change["grantee_no"])
    kind = "App" if change["app_id"] else ("Member" if "RoleGroup" in change["operation"] else "User")
    return f"{role}-{change['app_name'] or member}", [("Role", role), (kind, member)]


def _switch(tenant: Tenant, upns: list[str], change: Change) -> Parameters:
    if change["change"] == "audit_bypass":
        return "", [("Identity", _name(upns, change["target_identity_no"])), ("AuditBypassEnabled", "True")]
    if change["change"] == "audit_disabled":
        return "Admin Audit Log Settings", [("UnifiedAuditLogIngestionEnabled", "False")]
    return "", [("Identity", _alias(tenant, change)), ("AuditEnabled", "False")]


def _search(_tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    return change["rule_name"] or "", [("Name", change["rule_name"] or ""), ("ExchangeLocation", "All")]


def _other_cmdlet(tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    return "", [("Identity", _alias(tenant, change)), ("Name", change["rule_name"] or "")]


def _system_cmdlet(tenant: Tenant, _upns: list[str], change: Change) -> Parameters:
    identity = ("Identity", f"{_PATH}{tenant.onmicrosoft}/{_alias(tenant, change)}")
    if change["rights"]:
        group = f"{_PATH}{tenant.onmicrosoft}/Discovery Management"
        return "", [identity, ("User", group), ("AccessRights", ",".join(change["rights"]))]
    return "", [
        ("RecoverableItemsQuota", "30 GB (32,212,254,720 bytes)"),
        ("Force", "True"),
        ("ProhibitSendQuota", "99 GB (106,300,440,576 bytes)"),
        identity,
        ("UseDatabaseQuotaDefaults", "False"),
    ]


_CMDLETS: Final[dict[str, Callable[[Tenant, list[str], Change], Parameters]]] = {
    "inbox_rule": _inbox_rule,
    "transport_rule": _transport_rule,
    "mailbox_forwarding": _forwarding,
    "mailbox_permission": _mailbox_permission,
    "recipient_permission": _mailbox_permission,
    "send_on_behalf": _send_on_behalf,
    "folder_permission": _folder_permission,
    "management_role": _management_role,
    "audit_bypass": _switch,
    "audit_disabled": _switch,
    "mailbox_audit_disabled": _switch,
    "compliance_search": _search,
}


# ---------------------------------------------------------------- directory


def _modified(*pairs: tuple[str, str, str]) -> tuple[Setting, ...]:
    return tuple(("modified", name, new, old) for name, new, old in pairs)


def _object(tenant: Tenant, kind: str, *keys: str) -> str:
    key = streams.hash_key(tenant.seed, "tenant", tenant.tenant_no, "object", kind, *keys)
    text: str = streams.guid_text(streams.version4(streams.hashed_bytes(key, 0)))[0].as_py()
    return text


def _consent(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id = change["app_id"] or ""
    principal = tenant.object_ids[change["identity_no"]]
    scope = " ".join(change["rights"])
    kind, who = ("AllPrincipals", "") if change["is_admin_consent"] else ("Principal", principal)
    permission = (
        f"[] => [[Id: {_object(tenant, 'grant', app_id, who)}, ClientId: {_object(tenant, 'principal', app_id)}, "
        f"PrincipalId: {who}, ResourceId: {_object(tenant, 'principal', apps.GRAPH)}, ConsentType: {kind}, "
        f"Scope: {scope}]]; "
    )
    return Described(
        object_id=app_id,
        settings=_modified(
            ("ConsentContext.IsAdminConsent", str(change["is_admin_consent"]), ""),
            ("ConsentContext.IsAppOnly", "False", ""),
            ("ConsentContext.OnBehalfOfAll", str(change["is_admin_consent"]), ""),
            ("ConsentContext.Tags", "WindowsAzureActiveDirectoryIntegratedApp", ""),
            ("ConsentAction.Permissions", permission, ""),
            ("TargetId.ServicePrincipalNames", app_id, ""),
        ),
    )


def _delegated_grant(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id = change["app_id"] or ""
    return Described(
        object_id=f"{apps.GRAPH};https://graph.microsoft.com",
        settings=_modified(
            ("DelegatedPermissionGrant.Scope", " ".join(change["rights"]), ""),
            (
                "DelegatedPermissionGrant.ConsentType",
                "AllPrincipals" if change["is_admin_consent"] else "Principal",
                "",
            ),
            ("ServicePrincipal.ObjectID", _object(tenant, "principal", app_id), ""),
            ("ServicePrincipal.DisplayName", change["app_name"] or "", ""),
            ("ServicePrincipal.AppId", app_id, ""),
        ),
    )


def _app_role(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id, role = change["app_id"] or "", next(iter(change["rights"]), "")
    return Described(
        object_id=f"{apps.GRAPH};https://graph.microsoft.com",
        settings=_modified(
            ("AppRole.Id", _object(tenant, "role", role), ""),
            ("AppRole.Value", role, ""),
            ("ServicePrincipal.ObjectID", _object(tenant, "principal", app_id), ""),
            ("ServicePrincipal.DisplayName", change["app_name"] or "", ""),
            ("ServicePrincipal.AppId", app_id, ""),
        ),
    )


def _credential(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id = change["app_id"] or ""
    key = _object(tenant, "key", app_id, str(change["at_us"]))
    kind = next(iter(change["rights"]), "Password")
    added = f"[KeyIdentifier={key},KeyType={kind},KeyUsage=Verify,DisplayName={change['rule_name'] or ''}]"
    return Described(
        object_id=f"Application_{_object(tenant, 'application', app_id)}",
        settings=_modified(
            ("KeyDescription", f'[\r\n  "{added}"\r\n]', "[]"),
            ("Included Updated Properties", "KeyDescription", ""),
        ),
    )


def _application(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id = change["app_id"] or ""
    return Described(
        object_id=f"Application_{_object(tenant, 'application', app_id)}",
        settings=_modified(
            ("AppId", json.dumps([app_id]), "[]"), ("DisplayName", json.dumps([change["app_name"] or ""]), "[]")
        ),
    )


def _owner(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    app_id = change["app_id"] or ""
    return Described(
        object_id=tenant.object_ids[change["grantee_no"]] if change["grantee_no"] >= 0 else "",
        settings=_modified(
            ("Application.ObjectID", _object(tenant, "application", app_id), ""),
            ("Application.DisplayName", change["app_name"] or "", ""),
            ("Application.AppId", app_id, ""),
        ),
    )


def _role_member(tenant: Tenant, upns: list[str], change: Change) -> Described:
    role = next(iter(change["rights"]), "")
    return Described(
        object_id=_name(upns, change["target_identity_no"]),
        settings=_modified(
            ("Role.ObjectID", _object(tenant, "role", role), ""),
            ("Role.DisplayName", role, ""),
            ("Role.TemplateId", _object(tenant, "template", role), ""),
        ),
    )


def _federation(tenant: Tenant, _upns: list[str], change: Change) -> Described:
    issuer = next(iter(change["destinations"]), f"http://sts.{tenant.domain}/adfs/services/trust")
    return Described(
        object_id=tenant.domain,
        settings=_modified(
            ("LiveType", '[\r\n  "Federated"\r\n]', '[\r\n  "Managed"\r\n]'),
            ("IssuerUri", json.dumps([issuer]), "[]"),
        ),
    )


_ACCOUNT_SETTINGS: Final = {
    "Disable account.": ("AccountEnabled", "[\r\n  false\r\n]", "[\r\n  true\r\n]"),
    "Add user.": ("AccountEnabled", "[\r\n  true\r\n]", "[]"),
    "Update StsRefreshTokenValidFrom Timestamp.": ("StsRefreshTokensValidFrom", "[]", "[]"),
}


def _account(tenant: Tenant, upns: list[str], change: Change) -> Described:
    """Changes of accounts: password, second factor, sessions, state, name."""
    target = change["target_identity_no"]
    name = _name(upns, target)
    settings: list[tuple[str, str, str]] = []
    if change["operation"] in _ACCOUNT_SETTINGS:
        settings.append(_ACCOUNT_SETTINGS[change["operation"]])
    if change["operation"] == "Update user." and target >= 0 and name != tenant.upns[target]:
        settings.append(("UserPrincipalName", json.dumps([name]), json.dumps([tenant.upns[target]])))
    if change["change"] == "strong_auth":
        settings.append(("StrongAuthenticationMethod", '[{"MethodType":6,"Default":true}]', "[]"))
    settings += [("Action Client Name", "DirectorySync", "")] if change["operation"] == "Update user." else []
    return Described(object_id=name, settings=_modified(*settings))


_DIRECTORY: Final[dict[str, Callable[[Tenant, list[str], Change], Described]]] = {
    "consent": _consent,
    "delegated_grant": _delegated_grant,
    "app_role_grant": _app_role,
    "user_app_grant": _app_role,
    "app_credential": _credential,
    "app_registered": _application,
    "app_updated": _application,
    "service_principal_added": _application,
    "app_owner": _owner,
    "role_member": _role_member,
    "domain_federation": _federation,
}

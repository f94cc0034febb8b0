"""Changes of Entra applications, consents, roles, domains and accounts in the audit log (record type 8).

Source: Microsoft Entra audit activity reference; the audit log writes property values as JSON texts in
ModifiedProperties, the acted-on objects in Target (Type 1 name, 2 other, 4 service principal names, 5 UPN).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokenseal import fields
from brokenseal.sources._audit_record import Row, as_object, named_values, objects_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.model import Record
    from brokenseal.sources._audit_cmdlets import Builder, Settings

Properties = dict[str, tuple[str | None, str | None]]
"""New and old value of each modified property, decoded; the first of equal names counts."""

_NAME = 1
_UPN = 5

# ---------------------------------------------------------------- reading


def property_text(value: object) -> str | None:
    """A property value as text, decoded from JSON text; a list of one is its only member, an empty one is None."""
    decoded = fields.decode_json_text(value)
    if isinstance(decoded, list) and len(decoded) == 1:
        return fields.any_text(decoded[0])
    return fields.any_text(decoded)


def _settings(audit: Record) -> Settings:
    return [
        (name, property_text(entry.get("NewValue")), property_text(entry.get("OldValue")))
        for entry in objects_in(audit.get("ModifiedProperties"))
        if (name := fields.text_of(entry.get("Name"))) is not None
    ]


def _properties(settings: Settings) -> Properties:
    found: Properties = {}
    for name, new, old in settings:
        found.setdefault(name, (new, old))
    return found


def _new(properties: Properties, *names: str) -> str | None:
    return next(filter(None, (properties.get(name, (None, None))[0] for name in names)), None)


def _target(audit: Record, kind: int) -> str | None:
    for entry in objects_in(audit.get("Target")):
        text = fields.text_of(entry.get("ID")) or fields.text_of(entry.get("Id"))
        if text is not None and fields.integer(entry.get("Type")) == kind:
            return text
    return None


def _first_guid(*texts: str | None) -> str | None:
    """The first GUID that stands alone among texts such as `<app id>/host;https://…`."""
    parts = (part for text in texts for part in re.split("[;/,]", text or ""))
    return next(filter(None, map(fields.guid, parts)), None)


def _detail(audit: Record, name: str) -> str | None:
    details = as_object(named_values(audit.get("ExtendedProperties")).get("additionalDetails"))
    return fields.text_of(details.get(name))


def _account(audit: Record, event: Row) -> str | None:
    return _target(audit, _UPN) or _target(audit, _NAME) or event["object_id"]


# ---------------------------------------------------------------- consent and grants

_SCOPES = re.compile(r"Scope:\s*([^\],]*)")
_CONSENT_TYPE = re.compile(r"ConsentType:\s*([A-Za-z]+)")


def _scopes(texts: list[str]) -> list[str] | None:
    return sorted({scope for text in texts for scope in text.split()}) or None


def _consent(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    # `[old grants] => [new grants]`: what stands behind the arrow is what was consented to.
    granted = (_new(properties, "ConsentAction.Permissions") or "").partition("=>")[2]
    kinds = {kind.lower() for kind in _CONSENT_TYPE.findall(granted)}
    # IsAdminConsent is also true where an administrator consents for himself alone; the grant itself is the truth.
    on_behalf_of_all = fields.truth(_new(properties, "ConsentContext.OnBehalfOfAll"))
    for_all = "allprincipals" in kinds if kinds else on_behalf_of_all
    if for_all is None:
        for_all = fields.truth(_new(properties, "ConsentContext.IsAdminConsent"))
    app_id = _first_guid(event["object_id"], _new(properties, "TargetId.ServicePrincipalNames"))
    app_name = _target(audit, _NAME)
    change = {
        "change": "consent",
        "target": app_name or app_id or event["object_id"],
        "rights": _scopes(_SCOPES.findall(granted)),
        "changed_app_id": app_id,
        "changed_app_name": app_name,
        "is_admin_consent": for_all,
    }
    return [change], settings


def _delegated_grant(audit: Record, _event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    # ObjectId and Target name the resource; the client stands in the properties, often by its object id only.
    app_id = _first_guid(_new(properties, "ServicePrincipal.AppId"), _new(properties, "ServicePrincipal.Name"))
    app_name = _new(properties, "ServicePrincipal.DisplayName")
    kind = fields.fold(_new(properties, "DelegatedPermissionGrant.ConsentType"))
    scope = _new(properties, "DelegatedPermissionGrant.Scope")
    change = {
        "change": "delegated_grant",
        "target": app_name or app_id or _new(properties, "ServicePrincipal.ObjectID"),
        "rights": _scopes([scope]) if scope else None,
        "changed_app_id": app_id,
        "changed_app_name": app_name,
        "is_admin_consent": None if kind is None else kind == "allprincipals",
    }
    return [change], settings


def _app_role_grant(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    role = _new(properties, "AppRole.Value", "AppRole.DisplayName")
    app_id = _first_guid(_new(properties, "ServicePrincipal.AppId"), _new(properties, "ServicePrincipal.Name"))
    app_name = _new(properties, "ServicePrincipal.DisplayName")
    change = {
        "change": "app_role_grant",
        "target": app_name or app_id or event["object_id"],
        "grantee": app_name,
        "rights": [role] if role else None,
        "changed_app_id": app_id,
        "changed_app_name": app_name,
    }
    return [change], settings


def _user_app_grant(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    role = _new(properties, "AppRole.Value", "AppRole.DisplayName")
    app_id = _first_guid(event["object_id"], _new(properties, "TargetId.ServicePrincipalNames"))
    app_name = _target(audit, _NAME)
    change = {
        "change": "user_app_grant",
        "target": app_name or app_id or event["object_id"],
        "grantee": _new(properties, "User.UPN"),
        "rights": [role] if role else None,
        "changed_app_id": app_id,
        "changed_app_name": app_name,
    }
    return [change], settings


# ---------------------------------------------------------------- applications


def _application(change: str, audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    app_id = _first_guid(
        _new(properties, "AppId", "AppPrincipalId", "Application.AppId", "ServicePrincipal.AppId"),
        _new(properties, "TargetId.ServicePrincipalNames"),
        event["object_id"],
        _detail(audit, "AppId"),
    )
    app_name = _target(audit, _NAME) or _new(properties, "DisplayName")
    changed = {
        "change": change,
        "target": app_name or app_id or event["object_id"],
        "changed_app_id": app_id,
        "changed_app_name": app_name,
    }
    return [changed], settings


def _app_credential(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _application("app_credential", audit, event)


def _app_registered(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _application("app_registered", audit, event)


def _service_principal_added(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _application("service_principal_added", audit, event)


def _app_updated(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    names = {name for name, _, _ in settings}
    included = _new(_properties(settings), "Included Updated Properties") or ""
    has_key = "KeyDescription" in names or "KeyDescription" in included
    return _application("app_credential" if has_key else "app_updated", audit, event)


def _app_owner(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    properties = _properties(settings)
    app_id = _first_guid(_new(properties, "Application.AppId", "ServicePrincipal.AppId"))
    app_name = _new(properties, "Application.DisplayName", "ServicePrincipal.DisplayName")
    change = {
        "change": "app_owner",
        "target": app_name or app_id or _new(properties, "Application.ObjectID", "ServicePrincipal.ObjectID"),
        "grantee": _account(audit, event),
        "changed_app_id": app_id,
        "changed_app_name": app_name,
    }
    return [change], settings


# ---------------------------------------------------------------- roles, groups, domains, accounts


def _role_member(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    role = _new(_properties(settings), "Role.DisplayName", "Role.WellKnownObjectName", "Role.TemplateId")
    member = _account(audit, event)
    return [
        {"change": "role_member", "target": member, "grantee": member, "rights": [role] if role else None}
    ], settings


def _group_member(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    group = _new(_properties(settings), "Group.DisplayName", "Group.ObjectID")
    return [{"change": "group_member", "target": group, "grantee": _account(audit, event)}], settings


def _domain_federation(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    domain = _target(audit, _NAME) or event["object_id"]
    return [{"change": "domain_federation", "target": domain}], _settings(audit)


def _account_change(change: str) -> Callable[[Record, Row], tuple[list[Row], Settings]]:
    def build(audit: Record, event: Row) -> tuple[list[Row], Settings]:
        return [{"change": change, "target": _account(audit, event)}], _settings(audit)

    return build


def _account_added(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    account = _account(audit, event)
    return [{"change": "account_added", "target": account, "grantee": account}], _settings(audit)


def _user_updated(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    if not any(name.startswith("StrongAuthentication") for name, _, _ in settings):
        return [], settings
    return [{"change": "strong_auth", "target": _account(audit, event)}], settings


_password_reset = _account_change("password_reset")
_strong_auth = _account_change("strong_auth")
_sessions_revoked = _account_change("sessions_revoked")

DIRECTORY_OPERATIONS: dict[str, Builder] = {
    "consent to application": _consent,
    "add delegated permission grant": _delegated_grant,
    "add app role assignment to service principal": _app_role_grant,
    "add app role assignment grant to user": _user_app_grant,
    "add service principal credentials": _app_credential,
    "update application - certificates and secrets management": _app_credential,
    "add application": _app_registered,
    "update application": _app_updated,
    "update service principal": _app_updated,
    "add service principal": _service_principal_added,
    "add owner to application": _app_owner,
    "add owner to service principal": _app_owner,
    "set domain authentication": _domain_federation,
    "set federation settings on domain": _domain_federation,
    "add unverified domain": _domain_federation,
    "verify domain": _domain_federation,
    "add member to role": _role_member,
    "add eligible member to role": _role_member,
    "add member to group": _group_member,
    "add user": _account_added,
    "update user": _user_updated,
    "reset user password": _password_reset,
    "change user password": _password_reset,
    "enable strong authentication": _strong_auth,
    "disable strong authentication": _strong_auth,
    "register security info": _strong_auth,
    "user registered security info": _strong_auth,
    "admin registered security info": _strong_auth,
    "user deleted security info": _strong_auth,
    "user changed default security info": _strong_auth,
    "update stsrefreshtokenvalidfrom timestamp": _sessions_revoked,
}
"""Builder of each recognised directory operation, by operation key."""

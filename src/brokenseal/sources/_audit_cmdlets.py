"""Changes made with Exchange and compliance cmdlets, and rules and folder rights changed inside a mailbox.

Source: Exchange PowerShell reference (parameter names); records of admin cmdlets (record type 1) carry every
parameter as {Name, Value} text, compliance cmdlets (record type 18) as one command line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from brokenseal import fields
from brokenseal.sources._audit_record import Row, as_object, named_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokenseal.model import Record

Settings = list[tuple[str, str | None, str | None]]
"""Name, new value and old value of each parameter or property of one change."""

Builder = Callable[["Record", Row], tuple[list[Row], Settings]]
"""From a record and its event row to the changes it makes and their settings."""

Parameters = dict[str, str | None]
"""Parameter values by folded name."""

# ---------------------------------------------------------------- reading parameter values

_COMMAND_LINE = re.compile(r'-([A-Za-z]\w*)(?:[ :]+(?:"([^"]*)"|([^\s"-]\S*)))?')
_DELIMITERS = re.compile(r"[\s;,<>\[\]\"'():]+")
_LEGACY_NAME = re.compile(r"cn=", re.IGNORECASE)


def _settings(audit: Record) -> Settings:
    written = audit.get("Parameters")
    named = named_values(written)
    if not named and isinstance(written, str):
        named = {found[1]: found[2] or found[3] or None for found in _COMMAND_LINE.finditer(written)}
    return [(name, value, None) for name, value in named.items()]


def _folded(settings: Settings) -> Parameters:
    return {name.lower(): value for name, value, _ in settings}


def _words(text: str | None, separators: str = ";") -> list[str]:
    """The parts of a parameter with several values, as written and trimmed."""
    parts = re.split(f"[{re.escape(separators)}]", text or "")
    return [part.strip() for part in parts if part.strip()]


def _in_words(text: str | None) -> str | None:
    """The last part of a directory path (`…/contoso.onmicrosoft.com/AdeleV` is `AdeleV`), other text as it is."""
    if text is None:
        return None
    bare = text.strip()
    last = bare.rpartition("/")[2].strip() if "/" in bare else bare
    return _LEGACY_NAME.sub("", last, count=1) or bare or None


def _addresses(text: str) -> list[str]:
    """Every mail address in the text, folded. Split and not searched: a search would be quadratic on hostile text."""
    return [token.lower().rstrip(".") for token in _DELIMITERS.split(text) if "@" in token.rstrip(".")[1:-1]]


def _recipients(texts: Iterable[str | None]) -> list[str]:
    """Every recipient named in the texts: addresses folded, recipients without an address by their folded name."""
    found: set[str] = set()
    for text in texts:
        for part in _words(text, ";,"):
            addresses = _addresses(part)
            found.update(addresses)
            if not addresses and (name := fields.fold(_in_words(part))):
                found.add(name)
    return sorted(found)


# ---------------------------------------------------------------- rules

_FORWARDING = {
    "forwardto": "forward",
    "forwardasattachmentto": "forward",
    "copyto": "forward",
    "addtorecipients": "forward",
    "redirectto": "redirect",
    "redirectmessageto": "redirect",
    "blindcopyto": "bcc",
}
_SWITCHES = {
    "deletemessage": "delete",
    "markasread": "mark_read",
    "stopprocessingrules": "stop",
    "stopruleprocessing": "stop",
}
_SENDER_CONDITIONS = frozenset({"from", "sentto", "frommemberof", "fromscope", "anyofrecipientaddresscontainswords"})
_CONDITION_ENDINGS = ("containswords", "matchespatterns", "containswordsinsenderaddress")


def _rule_parts(given: Parameters) -> Row:
    effects = {effect for name, effect in _FORWARDING.items() if given.get(name)}
    effects |= {effect for name, effect in _SWITCHES.items() if fields.truth(given.get(name))}
    if given.get("movetofolder"):
        effects.add("move")
    conditions = {
        word
        for name, value in given.items()
        if (name in _SENDER_CONDITIONS or name.endswith(_CONDITION_ENDINGS)) and not name.startswith("exceptif")
        for word in _words(value)
    }
    return {
        "destinations": _recipients(given.get(name) for name in _FORWARDING),
        "rule_effects": sorted(effects),
        "rule_conditions": sorted(conditions),
    }


def _inbox_rule(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    # ObjectId, and Identity of Set-InboxRule, are `mailbox\rule name`.
    mailbox, _, named = (event["object_id"] or given.get("identity") or "").rpartition("\\")
    change = {
        "change": "inbox_rule",
        "object_id": event["object_id"] or given.get("identity"),
        "target": _in_words(given.get("mailbox") or mailbox or None) or event["actor"],
        "rule_name": given.get("name") or named or None,
        **_rule_parts(given),
    }
    return [change], settings


def _transport_rule(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    identity = event["object_id"] or given.get("identity")
    change = {
        "change": "transport_rule",
        "object_id": identity,
        "target": fields.text_of(audit.get("OrganizationName")),
        "rule_name": given.get("name") or (identity or "").rpartition("\\")[2] or None,
        **_rule_parts(given),
    }
    return [change], settings


# Kinds of rule action in a mailbox record; the first that the action's name contains counts.
_ACTION_EFFECTS = (
    ("forward", "forward"),
    ("redirect", "redirect"),
    ("delegate", "redirect"),
    ("delete", "delete"),
    ("move", "move"),
    ("markasread", "mark_read"),
    ("stop", "stop"),
)


def _mailbox_rule(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    named = named_values(audit.get("OperationProperties"))
    decoded = fields.decode_json_text(named.get("RuleActions"))
    effects: set[str] = set()
    recipients: list[str | None] = []
    for action in decoded if isinstance(decoded, list) else [decoded]:
        parts = as_object(action)
        kind = fields.fold(parts.get("ActionType")) or ""
        effects.update(next(([effect] for part, effect in _ACTION_EFFECTS if part in kind), []))
        recipients.append(";".join(_addresses(fields.any_text(parts.get("Recipients")) or "")))
    condition = named.get("RuleCondition")
    change = {
        "change": "inbox_rule",
        "target": event["mailbox_upn"] or event["actor"],
        "rule_name": named.get("RuleName"),
        "destinations": _recipients(recipients),
        "rule_effects": sorted(effects),
        "rule_conditions": [condition] if condition else [],
    }
    return [change], [(name, value, None) for name, value in named.items()]


# ---------------------------------------------------------------- mailboxes


def _set_mailbox(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    identity = given.get("identity") or event["object_id"]
    shared = {"object_id": event["object_id"] or identity, "target": _in_words(identity)}
    changes: list[Row] = []
    addresses = [given.get("forwardingsmtpaddress"), given.get("forwardingaddress")]
    if {"forwardingsmtpaddress", "forwardingaddress"} & given.keys() or fields.truth(
        given.get("delivertomailboxandforward")
    ):
        changes.append({**shared, "change": "mailbox_forwarding", "destinations": _recipients(addresses)})
    if delegates := given.get("grantsendonbehalfto"):
        names = sorted(filter(None, map(_in_words, _words(delegates, ";,"))))
        changes.extend(
            {**shared, "change": "send_on_behalf", "grantee": name, "rights": ["SendOnBehalf"]} for name in names
        )
    if fields.truth(given.get("auditenabled")) is False or any(map(_is_removal, _AUDIT_LISTS, [given] * 3)):
        changes.append({**shared, "change": "mailbox_audit_disabled"})
    # The service hides its own system mailboxes by the hundred.
    if fields.truth(given.get("hiddenfromaddresslistsenabled")) and event["is_service"] is False:
        changes.append({**shared, "change": "other"})
    return changes, settings


_AUDIT_LISTS = ("auditowner", "auditdelegate", "auditadmin")


def _is_removal(name: str, given: Parameters) -> bool:
    """True where a list of audited actions is emptied or shortened."""
    return name in given and (given[name] is None or "remove" in (given[name] or "").lower())


def _grant(change: str, grantee_name: str, audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    identity = given.get("identity") or event["object_id"]
    rights = sorted(set(_words(given.get("accessrights"), ";,")))
    granted = {
        "change": change,
        "object_id": event["object_id"] or identity,
        # The identity of a folder is `mailbox:\folder`.
        "target": _in_words((identity or "").partition(":\\")[0] or None),
        "grantee": _in_words(given.get(grantee_name)),
        "rights": rights or None,
    }
    return [granted], settings


def _mailbox_permission(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _grant("mailbox_permission", "user", audit, event)


def _recipient_permission(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _grant("recipient_permission", "trustee", audit, event)


def _folder_permission(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _grant("folder_permission", "user", audit, event)


def _folder_rights(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    """Rights on a folder as the mailbox itself records them (Add-, Modify- and RemoveFolderPermissions)."""
    folder: Mapping[str, object] = as_object(as_object(audit.get("Item")).get("ParentFolder"))
    rights = sorted(set(_words(fields.text_of(folder.get("MemberRights")), ";,")))
    change = {
        "change": "folder_permission",
        "object_id": fields.text_of(folder.get("Path")) or fields.text_of(folder.get("Name")) or event["object_id"],
        "target": event["mailbox_upn"],
        "grantee": fields.text_of(folder.get("MemberUpn")) or fields.text_of(folder.get("MemberSid")),
        "rights": rights or None,
    }
    named = ((name, fields.text_of(folder.get(name))) for name in ("MemberUpn", "MemberSid", "MemberRights", "Path"))
    return [change], [(name, value, None) for name, value in named if value is not None]


# ---------------------------------------------------------------- auditing, roles, connectors, searches


def _switched(change: str, switches: Mapping[str, bool], audit: Record, event: Row) -> tuple[list[Row], Settings]:
    """A change only where one of the named parameters has the given value."""
    settings = _settings(audit)
    given = _folded(settings)
    if not any(fields.truth(given.get(name)) is value for name, value in switches.items()):
        return [], settings
    identity = given.get("identity") or event["object_id"]
    return [{"change": change, "object_id": event["object_id"] or identity, "target": _in_words(identity)}], settings


def _audit_bypass(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _switched("audit_bypass", {"auditbypassenabled": True}, audit, event)


def _audit_disabled(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    switches = {"unifiedauditlogingestionenabled": False, "adminauditlogenabled": False, "auditdisabled": True}
    return _switched("audit_disabled", switches, audit, event)


def _management_role(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    # A role group's own name is its Identity; an assignment names the role.
    role = given.get("role") or given.get("identity") or event["object_id"]
    given_to = next(
        filter(None, (given.get(name) for name in ("member", "user", "securitygroup", "app", "policy"))), None
    )
    change = {
        "change": "management_role",
        "target": _in_words(given_to),
        "grantee": _in_words(given_to),
        "rights": [words] if (words := _in_words(role)) else None,
    }
    return [change], settings


def _named(change: str, audit: Record, event: Row) -> tuple[list[Row], Settings]:
    settings = _settings(audit)
    given = _folded(settings)
    name = given.get("name") or given.get("searchname") or given.get("identity") or event["object_id"]
    return [{"change": change, "object_id": event["object_id"] or name, "target": _in_words(name)}], settings


def _connector(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _named("connector", audit, event)


def _compliance_search(audit: Record, event: Row) -> tuple[list[Row], Settings]:
    return _named("compliance_search", audit, event)


CMDLETS: dict[str, Builder] = {
    "new-inboxrule": _inbox_rule,
    "set-inboxrule": _inbox_rule,
    "enable-inboxrule": _inbox_rule,
    "updateinboxrules": _mailbox_rule,
    "new-transportrule": _transport_rule,
    "set-transportrule": _transport_rule,
    "enable-transportrule": _transport_rule,
    "set-mailbox": _set_mailbox,
    "add-mailboxpermission": _mailbox_permission,
    "add-recipientpermission": _recipient_permission,
    "add-mailboxfolderpermission": _folder_permission,
    "set-mailboxfolderpermission": _folder_permission,
    "addfolderpermissions": _folder_rights,
    "modifyfolderpermissions": _folder_rights,
    "removefolderpermissions": _folder_rights,
    "set-mailboxauditbypassassociation": _audit_bypass,
    "set-adminauditlogconfig": _audit_disabled,
    "set-organizationconfig": _audit_disabled,
    "new-managementroleassignment": _management_role,
    "add-rolegroupmember": _management_role,
    "new-inboundconnector": _connector,
    "set-inboundconnector": _connector,
    "new-outboundconnector": _connector,
    "set-outboundconnector": _connector,
    "new-compliancesearch": _compliance_search,
    "start-compliancesearch": _compliance_search,
    "new-compliancesearchaction": _compliance_search,
}
"""Builder of each recognised cmdlet and mailbox operation, by operation key."""

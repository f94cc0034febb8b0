"""Doors of a case: which of its changes of configuration a later record takes back, and which stand open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.findings import filled
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal._assessment_records import Change, Closing, Records
    from brokenseal.wording import Phrase, Value

_FORWARDING: Final = frozenset(("forward", "redirect", "bcc"))
_SHOWN: Final = 20

_ENDS: Final = {
    "inbox_rule": ("remove-inboxrule", "disable-inboxrule"),
    "transport_rule": ("remove-transportrule", "disable-transportrule"),
    "mailbox_permission": ("remove-mailboxpermission",),
    "recipient_permission": ("remove-recipientpermission",),
    "folder_permission": ("remove-mailboxfolderpermission", "removefolderpermissions"),
    "consent": ("remove oauth2permissiongrant", "remove delegated permission grant", "revoke consent"),
    "delegated_grant": ("remove oauth2permissiongrant", "remove delegated permission grant", "revoke consent"),
    "app_role_grant": ("remove app role assignment from service principal",),
    "user_app_grant": ("remove app role assignment from user",),
    "app_credential": ("remove service principal credentials",),
    "app_owner": ("remove owner from application", "remove owner from service principal"),
    "role_member": ("remove member from role", "remove eligible member from role"),
    "management_role": ("remove-managementroleassignment", "remove-rolegroupmember"),
    "account_added": ("delete user", "disable account"),
    "audit_bypass": ("set-mailboxauditbypassassociation",),
    "audit_disabled": ("set-adminauditlogconfig",),
    "connector": ("remove-inboundconnector", "remove-outboundconnector"),
}
"""Operations that take away what a change of each kind gave."""
_ENDS_APP: Final = ("remove service principal", "delete application", "hard delete application")
_OF_APPS: Final = frozenset(("consent", "delegated_grant", "app_role_grant", "app_credential", "app_owner"))


def means(name: str | None, account: str | None) -> bool:
    """Whether a name in a change means an account: Exchange writes the address, or the alias before the `@`."""
    if name is None or account is None:
        return False
    return name == account or ("@" not in name and name == account.partition("@")[0])


def closing(change: Change, records: Records) -> Change | Closing | None:
    """The first record that takes away what a change gave; None where no record does."""
    for later in records.changes:
        if later.occurred_at > change.occurred_at and later.change == change.change and _undoes(later, change):
            return later
    # The same cmdlet switches off and on again; what switches off is a change of its own.
    again = {later.event_id for later in records.changes if later.change == change.change}
    for record in records.closings:
        if record.occurred_at > change.occurred_at and record.event_id not in again and _ends(record, change):
            return record
    return None


def _undoes(later: Change, change: Change) -> bool:
    same = later.target_key is not None and later.target_key == change.target_key
    if change.change == "mailbox_forwarding":
        return same and not _goals(later)
    if change.change == "app_credential":
        return same and later.is_shorter
    removes = (later.operation_key or "").startswith("remove")
    return removes and same and later.grantee_key == change.grantee_key


def _goals(change: Change) -> tuple[str, ...]:
    """Where mail goes to; `$null` is how PowerShell writes nobody."""
    return tuple(goal for goal in change.destinations if goal not in {"", "$null"})


def _ends(record: Closing, change: Change) -> bool:
    """Exchange's own records of a removal name the object and not the account, so that any removal there counts."""
    by_kind = record.operation_key in _ENDS.get(change.change, ())
    by_app = change.change in _OF_APPS and record.operation_key in _ENDS_APP
    if not (by_kind or by_app) or record.object_id is None:
        return False
    return record.object_id in {change.object_id, change.changed_app_id} or _is_rule(record, change)


def _is_rule(record: Closing, change: Change) -> bool:
    """A rule's record names it by itself, or behind its mailbox and a backslash."""
    name = (record.object_id or "").rpartition("\\")[2]
    return change.change.endswith("_rule") and bool(change.rule_name) and name == change.rule_name


def doors_open(events: Iterable[str], records: Records) -> tuple[Phrase, ...]:
    """The doors among these records that no later record closes, in order of time, each said once."""
    listed = frozenset(events)
    found: dict[tuple[str, str], Phrase] = {}
    for change in records.changes:
        if change.event_id not in listed or change.is_shorter or (change.operation_key or "").startswith("remove"):
            continue
        said = _said(change)
        if said is not None and closing(change, records) is None:
            # Both logs tell of one change: what is the same but for its time is said once.
            key = (said.template, repr({name: value for name, value in said.values.items() if name != "at"}))
            found.setdefault(key, said)
    return tuple(found.values())[:_SHOWN]


_SAID: Final = {
    ("mailbox_permission", "recipient_permission", "folder_permission", "send_on_behalf"): phrase(
        "{grantee} still has the right to {target} that was given on {at}."
    ),
    ("role_member", "management_role"): phrase("{grantee} still has the role that was given on {at}."),
    ("consent", "delegated_grant", "app_role_grant", "user_app_grant"): phrase(
        "The application {app} still has what it was allowed on {at}."
    ),
    ("app_credential", "app_owner"): phrase(
        "The key or owner that the application {app} was given on {at} is still there."
    ),
    ("forward",): phrase("Mail still goes on to {goals}, as was set on {at}."),
    ("inbox_rule", "transport_rule"): phrase("The rule {rule} of {at} still works."),
    ("domain_federation",): phrase("The domain {target} still trusts what was set on {at}."),
    ("strong_auth",): phrase("The second factor of {target} that was set on {at} still stands."),
    ("audit_bypass", "audit_disabled", "mailbox_audit_disabled"): phrase(
        "Auditing is still off where it was switched off on {at}: {target}."
    ),
}
_SENTENCE: Final = {kind: said for kinds, said in _SAID.items() for kind in kinds}


def _said(change: Change) -> Phrase | None:
    """The door in words; None for what opens none."""
    goals = ", ".join(_goals(change))
    sends = change.change == "mailbox_forwarding" or bool(_FORWARDING.intersection(change.rule_effects))
    if sends and not goals:
        return None
    said = _SENTENCE.get("forward" if sends else change.change)
    target = change.target_key or change.object_id
    values: dict[str, Value] = {
        "at": change.occurred_at,
        "target": target,
        "grantee": change.grantee_key or target,
        "app": change.changed_app_name or change.changed_app_id or target,
        "goals": goals,
        "rule": change.rule_name or target,
    }
    return None if said is None else filled(said, values)

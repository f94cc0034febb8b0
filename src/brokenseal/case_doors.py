"""Doors of a case for as long as they stood: rules that sent mail on, and rights by which mail could be read.

Where it is not certain that a record closes a door, the door stays open: what may have been read is not to be
understated.

Source: Exchange PowerShell reference (parameters of New-InboxRule, New-TransportRule, Set-Mailbox).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import ibis

from brokenseal.detectors._door_openings import openings_of
from brokenseal.fields import domain_of, fold, truth
from brokenseal.selection import Forwarding, OpenDoor, id_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

Row = dict[str, Any]

_RULES: Final = ("inbox_rule", "transport_rule", "mailbox_forwarding")
_SENDING: Final = frozenset(("forward", "redirect", "bcc"))
_DESTINATIONS: Final = frozenset(
    (
        "forwardto", "forwardasattachmentto", "redirectto", "redirectmessageto", "blindcopyto", "copyto",
        "addtorecipients", "forwardingsmtpaddress", "forwardingaddress",
    )
)  # fmt: skip
# Parameters that are no conditions: what a rule does, and how it is named, ordered and stored.
_NEUTRAL: Final = _DESTINATIONS | frozenset(
    (
        "name", "identity", "mailbox", "enabled", "priority", "force", "confirm", "comments", "mode",
        "domaincontroller", "organization", "alwaysdeleteoutlookrulesblob", "stopprocessingrules", "stopruleprocessing",
        "deletemessage", "softdeletemessage", "markasread", "markimportance", "movetofolder", "copytofolder",
        "pintotop", "applycategory", "applysystemcategory", "delivertomailboxandforward", "senderaddresslocation",
        "rulesubtype", "ruleerroraction", "dlppolicy", "setscl", "setauditseverity", "sendtextmessagenotificationto",
        "legacyregex", "rulename", "ruleid", "ruleactions", "ruleoperation", "rulestate", "rulepriority",
        "ruleprovider",
    )
)  # fmt: skip
_ENDS: Final = ("remove-inboxrule", "disable-inboxrule", "remove-transportrule", "disable-transportrule")
_NOTHING: Final = frozenset(("$null",))


# ---------------------------------------------------------------- rules that sent mail on


def forwardings(tables: Tables, cited: Collection[str]) -> dict[str, Forwarding]:
    """The rules and settings that sent mail on, by the event id of the change that made them.

    Args:
        tables: Uses `config_changes`, `change_settings` and `events`.
        cited: Event ids of the changes that are meant; others only tell when these ended.
    """
    # Changes are few beside all other records, and what ends a rule is not known before its making is read.
    rows = _rows(rule_changes(tables))
    made = [row for row in rows if row["event_id"] in cited and _sends(row)]
    if not made:
        return {}
    subjects = {(row["change"], _subject(row)) for row in made}
    rows = [row for row in rows if (row["change"], _subject(row)) in subjects]
    settings = _settings(tables, [row["event_id"] for row in rows])
    domains = _domains(tables, {row["tenant_id"] for row in made}) if _any_transport(made) else {}
    ends = [
        *map(_as_change, _rows(rule_ends(tables))),
        *(row for row in rows if _clears(row, settings.get(row["event_id"], {}))),
    ]
    return {row["event_id"]: _forwarding(row, settings.get(row["event_id"], {}), ends, domains) for row in made}


def rule_changes(tables: Tables) -> ir.Table:
    """Every change of a rule or a forwarding that took effect, as far as the log says."""
    changes = tables["config_changes"]
    succeeded = changes.succeeded.fill_null(ibis.literal(value=True))
    return changes.filter(changes.change.isin(_RULES), succeeded, changes.occurred_at.notnull()).select(
        "event_id",
        "occurred_at",
        "tenant_id",
        "change",
        "operation_key",
        "actor_key",
        "object_id",
        "target_key",
        "destinations",
        "rule_effects",
        "rule_name",
    )


def _subject(row: Row) -> str:
    """The mailbox that the change is about; nothing for the organisation's own rules."""
    return "" if row["change"] == "transport_rule" else _mailbox(row)


def _any_transport(rows: Iterable[Row]) -> bool:
    return any(row["change"] == "transport_rule" for row in rows)


def _sends(row: Row) -> bool:
    return bool(_destinations(row) or _SENDING.intersection(row["rule_effects"] or ()))


def _destinations(row: Row) -> frozenset[str]:
    return frozenset(row["destinations"] or ()) - _NOTHING


def _settings(tables: Tables, event_ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """The parameters of each change by folded name."""
    settings = tables["change_settings"].select("event_id", "name_key", "new_value")
    values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in _rows(settings.semi_join(id_table(event_ids), "event_id")):
        values[row["event_id"]][row["name_key"] or ""] |= {row["new_value"]} if row["new_value"] else set()
    # Of several values of one parameter all count, in an order that is not the records'.
    return {
        event_id: {name: ";".join(sorted(each)) or None for name, each in named.items()}
        for event_id, named in values.items()
    }


def _domains(tables: Tables, tenants: Collection[str | None]) -> dict[str | None, frozenset[str]]:
    """The domains of the mailboxes of each tenant."""
    events = tables["events"].select("tenant_id", "mailbox_upn")
    named = events.filter(events.mailbox_upn.contains("@")).distinct()
    found: dict[str | None, set[str]] = defaultdict(set)
    for row in _rows(named):
        if row["tenant_id"] in tenants and (domain := domain_of(row["mailbox_upn"])):
            found[row["tenant_id"]].add(domain)
    return {tenant: frozenset(names) for tenant, names in found.items()}


def rule_ends(tables: Tables) -> ir.Table:
    """Removals of rules, which are no changes of configuration to the detectors."""
    events = tables["events"]
    succeeded = events.succeeded.fill_null(ibis.literal(value=True))
    return events.filter(events.operation_key.isin(_ENDS), succeeded, events.occurred_at.notnull()).select(
        "event_id", "occurred_at", "tenant_id", "operation_key", "actor_key", "object_id"
    )


def _as_change(row: Row) -> Row:
    return {**row, "change": row["operation_key"].partition("-")[2].replace("rule", "_rule"), "target_key": None}


def _clears(row: Row, settings: Mapping[str, str | None]) -> bool:
    """Whether the change takes a forwarding away: it names a destination parameter and gives it nothing."""
    if truth((settings.get("enabled") or "").removeprefix("$")) is False:
        return True
    removes = "remove" in (fold(settings.get("ruleoperation")) or "")
    return removes or (not _destinations(row) and not _DESTINATIONS.isdisjoint(settings))


def _forwarding(
    row: Row,
    settings: Mapping[str, str | None],
    ends: Iterable[Row],
    domains: Mapping[str | None, frozenset[str]],
) -> Forwarding:
    ended = min(
        (end for end in ends if _is_end(row, end)), key=lambda end: (end["occurred_at"], end["event_id"]), default=None
    )
    is_transport = row["change"] == "transport_rule"
    return Forwarding(
        event_ids=tuple(sorted({row["event_id"], *([ended["event_id"]] if ended else [])})),
        mailboxes=frozenset() if is_transport else frozenset((_mailbox(row),)),
        domains=domains.get(row["tenant_id"], frozenset()) if is_transport else frozenset(),
        destinations=_destinations(row),
        first_at=row["occurred_at"],
        last_at=ended["occurred_at"] if ended else None,
        conditions=_conditions(row, settings),
    )


def _is_end(row: Row, end: Row) -> bool:
    """Whether a record ends this rule: it comes later, and names the same mailbox and rule."""
    is_other = end["event_id"] != row["event_id"] and end["occurred_at"] >= row["occurred_at"]
    if not is_other or (end["change"], end["tenant_id"]) != (row["change"], row["tenant_id"]):
        return False
    if row["change"] == "mailbox_forwarding":
        return _mailbox(row) == _mailbox(end)
    if fold(row["object_id"]) and fold(row["object_id"]) == fold(end["object_id"]):
        return True
    place, _, name = (fold(end.get("rule_name")) or fold(end["object_id"]) or "").rpartition("\\")
    if not name or name != fold(row["rule_name"]):
        return False
    owner = end["target_key"] or place.rpartition("/")[2] or end["actor_key"] or ""
    return row["change"] == "transport_rule" or _mailbox(row) == _mailbox({**end, "target_key": owner})


def _mailbox(row: Row) -> str:
    """The address of the mailbox that the change is about; an alias is one of the domain of who made the change."""
    target, actor = row["target_key"] or row["actor_key"] or "", row["actor_key"] or ""
    domain = domain_of(actor)
    return target if "@" in target or not target or not domain else f"{target}@{domain}"


def _conditions(row: Row, settings: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """The conditions that the records show; a change of a rule made earlier may leave others standing."""
    if row["change"] == "mailbox_forwarding":
        return ()
    shown = tuple(
        (name, value)
        for name, value in sorted(settings.items())
        if value and value.strip() and name not in _NEUTRAL and truth(value.removeprefix("$")) is not False
    )
    is_made_here = (row["operation_key"] or "").startswith("new-") or "ruleoperation" in settings
    return shown if is_made_here else (*shown, ("made_earlier", ""))


# ---------------------------------------------------------------- rights


def doors(tables: Tables, cited: Collection[str]) -> dict[str, tuple[OpenDoor, ...]]:
    """The rights by which mail could be read, by the event id of the change that gave them.

    Args:
        tables: Best with `door_openings` at hand, which is worked out anew else.
        cited: Event ids of the changes that are meant.
    """
    openings = openings_of(tables)
    rows = _rows(
        openings.select(
            "event_id", "occurred_at", "tenant_id", "kind", "actor_key", "target_key", "grantee_key", "mailbox",
            "known_app", "app_name", "about", "is_wide",
        ).semi_join(id_table(cited), "event_id")
    )  # fmt: skip
    if not rows:
        return {}
    taken_away = _rows(removals(tables))
    found: dict[str, set[OpenDoor]] = defaultdict(set)
    for row in rows:
        found[row["event_id"]].add(_door(row, taken_away))
    return {
        event_id: tuple(sorted(each, key=lambda door: (door.kind, door.mailbox or "")))
        for event_id, each in found.items()
    }


def removals(tables: Tables) -> ir.Table:
    """Every change that takes something away, with whom and what it names."""
    changes = tables["config_changes"]
    succeeded = changes.succeeded.fill_null(ibis.literal(value=True))
    return changes.filter(changes.operation_key.startswith("remove"), succeeded, changes.occurred_at.notnull()).select(
        "event_id", "occurred_at", "tenant_id", "target_key", "grantee_key", "changed_app_id"
    )


def _door(row: Row, removals: Iterable[Row]) -> OpenDoor:
    closed = min(
        (end for end in removals if _closes(row, end)),
        key=lambda end: (end["occurred_at"], end["event_id"]),
        default=None,
    )
    # A consent for one person opens that person's mailbox alone.
    narrow = row["actor_key"] if row["kind"] == "mail_consent" and not row["is_wide"] else None
    return OpenDoor(
        kind=row["kind"],
        event_ids=tuple(sorted({row["event_id"], *([closed["event_id"]] if closed else [])})),
        mailbox=row["mailbox"] or narrow,
        holder=row["app_name"] or row["known_app"] or row["grantee_key"] or row["about"],
        first_at=row["occurred_at"],
        last_at=closed["occurred_at"] if closed else None,
    )


def _closes(row: Row, end: Row) -> bool:
    """Whether a removal takes back this very right: it names the same target and the same holder."""
    is_later: bool = end["occurred_at"] >= row["occurred_at"]
    same = bool(row["target_key"]) and (row["target_key"], row["grantee_key"]) == (
        end["target_key"],
        end["grantee_key"],
    )
    return is_later and same and row["tenant_id"] == end["tenant_id"] and bool(row["grantee_key"] or row["known_app"])


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())

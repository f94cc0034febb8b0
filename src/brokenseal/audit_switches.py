"""When auditing was switched off, by whom it is on record, and for whom: coverage and exposure both cite it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import ibis

from brokenseal.fields import fold, truth

if TYPE_CHECKING:
    import datetime as dt

    import ibis.expr.types as ir

    from brokenseal.model import Tables

Reach = Literal["account", "mailbox", "organisation"]
Row = dict[str, Any]

# Setting name -> (what it reaches, the value that switches auditing off); None where it hides no reading.
# Microsoft Learn: Set-MailboxAuditBypassAssociation, Set-Mailbox, Set-AdminAuditLogConfig, Set-OrganizationConfig.
_SETTINGS: dict[str, tuple[Reach | None, bool]] = {
    "auditbypassenabled": ("account", True),
    "auditenabled": ("mailbox", False),
    "unifiedauditlogingestionenabled": ("organisation", False),
    "auditdisabled": ("organisation", True),
    "adminauditlogenabled": (None, False),
}
_CHANGES: dict[str, Reach] = {
    "audit_bypass": "account",
    "mailbox_audit_disabled": "mailbox",
    "audit_disabled": "organisation",
}
_BYPASS = "set-mailboxauditbypassassociation"
_OPERATIONS = (_BYPASS, "set-mailbox", "set-adminauditlogconfig", "set-organizationconfig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaudited:
    """A span in which something went unrecorded because auditing was switched off for it.

    Attributes:
        reach: `account` (what this account does in any mailbox), `mailbox` or `organisation`.
        target: Account, mailbox or organisation as the log names it.
        target_key: `target` folded.
        first_at: When it was switched off.
        last_at: When it was switched on again; None where the logs do not show that.
        event_ids: The records of the switching, sorted.
    """

    reach: Reach
    target: str
    target_key: str
    first_at: dt.datetime
    last_at: dt.datetime | None
    event_ids: tuple[str, ...]

    def concerns(self, mailbox_key: str, mailbox_upn: str | None) -> bool:
        """Whether the target is this mailbox or its owner's account.

        Exchange names a target by address, alias, GUID or a path of containers that ends in the alias.
        """
        if self.reach == "organisation":
            return False
        names = {mailbox_key, mailbox_key.removeprefix("upn:")}
        if mailbox_upn:
            names |= {mailbox_upn, mailbox_upn.partition("@")[0]}
        return self.target_key in names or self.target_key.rpartition("/")[2] in names


def switch_rows(tables: Tables) -> ir.Table:
    """One row per change that can switch auditing off or on.

    Args:
        tables: Uses `config_changes`, `change_settings` and `events`.
    Returns: event_id, occurred_at, change, is_service, object_id, target, target_key, name_key, new_value. The last two
        are null where a change is known to switch auditing off and shows no setting; `change` is null for a bypass
        record that is no such change, and so ends one.
    """
    settings = tables["change_settings"].select("event_id", "name_key", "new_value")
    wanted = settings.filter(settings.name_key.isin(sorted(_SETTINGS)))
    joined = _switching(tables).left_join(wanted, "event_id").drop("event_id_right")
    known = joined.filter(joined.name_key.notnull() | joined.change.isin(sorted(_CHANGES)))
    # The cmdlet has one setting: a record of it that is no bypass takes a bypass back.
    events = tables["events"]
    events = _effective(
        events.select("event_id", "occurred_at", "is_service", "object_id", "operation_key", "succeeded")
    )
    ended = events.filter(events.operation_key == _BYPASS)
    ended = ended.anti_join(tables["config_changes"].select("event_id"), "event_id")
    nothing = {name: ibis.null("string") for name in ("change", "target", "target_key", "name_key", "new_value")}
    restored = ended.select("event_id", "occurred_at", "is_service", "object_id", **nothing)
    return known.union(restored.select(known.columns))


def _switching(tables: Tables) -> ir.Table:
    """The changes that can be a switch of auditing, by what they are or by the cmdlet that made them."""
    columns = ("event_id", "occurred_at", "change", "is_service", "object_id", "target", "target_key")
    # Tables are made narrow before they are joined: the time to plan a query grows with the columns in it.
    changes = _effective(tables["config_changes"].select(*columns, "operation_key", "succeeded"))
    return changes.filter(changes.change.isin(sorted(_CHANGES)) | changes.operation_key.isin(_OPERATIONS)).select(
        columns
    )


def _effective(rows: ir.Table) -> ir.Table:
    """Rows that took effect: a change that failed changed nothing; where the log does not say, it counts."""
    return rows.filter(rows.occurred_at.notnull() & (rows.succeeded.isnull() | rows.succeeded))


def unaudited(tables: Tables) -> tuple[Unaudited, ...]:
    """Every span without auditing, by start, reach and target.

    Microsoft's own services set the organisation-wide switch when they provision a tenant, in both directions and
    without effect on what is recorded; such records are left out.
    """
    # Most logs hold none, and that is quickly seen.
    if not _switching(tables).select("event_id").limit(1).to_pyarrow().num_rows:
        return ()
    open_spans: dict[tuple[Reach, str], list[Row]] = {}
    spans: list[Unaudited] = []
    rows = switch_rows(tables).to_pyarrow().to_pylist()
    for row in sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"], row["name_key"] or "")):
        reach, is_off = _switch(row)
        if reach is None or (reach == "organisation" and row["is_service"]):
            continue
        # Both records of a pair carry the object id; the words for the target may stand in one of them only.
        key = (reach, _last_part(row["object_id"] or row["target"]))
        if is_off:
            open_spans.setdefault(key, []).append(row)
        elif key in open_spans:
            spans.append(_span(reach, open_spans.pop(key), row))
    spans.extend(_span(reach, rows, None) for (reach, _), rows in open_spans.items())
    return tuple(sorted(spans, key=lambda span: (span.first_at, span.reach, span.target_key)))


def _last_part(name: str | None) -> str:
    """The folded last part of a name that Exchange writes as a path of containers."""
    return (fold(name) or "").rpartition("/")[2]


def _switch(row: Row) -> tuple[Reach | None, bool]:
    """What the row reaches, and whether it switches auditing off."""
    name = row["name_key"]
    if name is None:
        return ("account", False) if row["change"] is None else (_CHANGES.get(row["change"]), True)
    reach, off_value = _SETTINGS[name]
    value = truth((row["new_value"] or "").removeprefix("$"))
    # A value that cannot be read counts as off only where the source already judged the change to be so.
    return reach, row["change"] in _CHANGES if value is None else value is off_value


def _span(reach: Reach, off: list[Row], on: Row | None) -> Unaudited:
    rows = off if on is None else [*off, on]
    target = off[0]["target"] or off[0]["object_id"] or ""
    return Unaudited(
        reach=reach,
        target=target,
        target_key=off[0]["target_key"] or fold(target) or "",
        first_at=off[0]["occurred_at"],
        last_at=None if on is None else on["occurred_at"],
        event_ids=tuple(sorted({row["event_id"] for row in rows})),
    )

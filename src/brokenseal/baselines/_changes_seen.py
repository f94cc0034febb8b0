"""Changes of configuration as the rules of B12 see them: those that were not refused, the service's own included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.baselines._alerts import rows_of
from brokenseal.detectors._changes import NAMES, addressed, mailbox_of
from brokenseal.detectors._text import ascii_folded, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS: Final = {
    "config_changes": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "change",
        "operation_key",
        "actor_key",
        "user_type",
        "is_service",
        "succeeded",
        "object_id",
        "target_key",
        "grantee_key",
        "rights",
        "destinations",
        "external_destinations",
        "rule_effects",
        "rule_conditions",
        "changed_app_id",
        "changed_app_name",
        "is_admin_consent",
    ),
    "change_settings": ("event_id", "name_key", "new_value", "old_value"),
    "events": ("event_id", "occurred_at", "tenant_id", "operation_key", "user_type", "is_service", *NAMES),
}
"""The columns that are read."""
_ALIASES: Final = {"events": NAMES, "config_changes": ("target_key", "grantee_key")}


def changes_of(tables: Tables, *kinds: str) -> ir.Table:
    """Changes of these kinds: the columns read, `mailbox`, `app`, `all_rights` and `tenant` (strings).

    `mailbox` is the mailbox changed as far as an address is known, `app` the application by its id or name, and
    `all_rights` every right in one text, folded, each after a line break.
    """
    rows = rows_of(tables, READS, "config_changes")
    true = ibis.literal(value=True)
    rows = rows.filter(rows.succeeded.fill_null(true), rows.occurred_at.notnull())
    rows = addressed(rows, "target_key", tables, _ALIASES)
    rows = rows.mutate(
        tenant=rows.tenant_id.fill_null(""),
        mailbox=mailbox_of(rows),
        app=ibis.literal("app:").concat(ibis.coalesce(rows.changed_app_id, rows.changed_app_name, rows.object_id)),
        all_rights=ibis.literal("\n").concat(joined(rows.rights)),
    )
    # A name makes it one part of the query for all rules; names are looked up over all events only once.
    rows = rows.alias("changes_seen")
    return rows.filter(rows.change.isin(kinds))


def by_people(rows: ir.Table) -> ir.Table:
    """The rows that neither the service nor the data centre's staff made."""
    false = ibis.literal(value=False)
    return rows.filter(~rows.is_service.fill_null(false), ~rows.user_type.isin((3, 4)).fill_null(false))


def settings_of(tables: Tables, *names: str) -> ir.Table:
    """Settings of these names: event_id, name_key, `new_text` and `old_text` (strings, folded, empty where missing)."""
    rows = rows_of(tables, READS, "change_settings")
    rows = rows.filter(rows.name_key.isin(names)) if names else rows
    return rows.select(
        event_id=rows.event_id,
        name_key=rows.name_key,
        new_text=ascii_folded(rows.new_value.fill_null("")),
        old_text=ascii_folded(rows.old_value.fill_null("")),
    )


def events_of(tables: Tables, operations: Sequence[str]) -> ir.Table:
    """Records of these operations."""
    rows = rows_of(tables, READS, "events")
    return rows.filter(rows.operation_key.isin(operations), rows.occurred_at.notnull())

"""Changes of configuration, permission, application, role or account in the audit log.

One record gives one row for each change it makes (a single Set-Mailbox can forward mail and switch auditing off),
and one row for each parameter or modified property. Only the changes that matter for access to mail are
recognised; every other record stays an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal import fields, schema
from brokenseal.sources._audit_cmdlets import CMDLETS
from brokenseal.sources._audit_directory import DIRECTORY_OPERATIONS
from brokenseal.sources._audit_record import Row, pick

if TYPE_CHECKING:
    from brokenseal.model import Record, Rows

_SHARED = tuple(name for name in schema.CONFIG_CHANGE.names if name in schema.EVENT.names)
_BUILDERS = CMDLETS | DIRECTORY_OPERATIONS


def add_change_rows(audit: Record, event: Row, rows: Rows) -> None:
    """Add the `config_changes` and `change_settings` rows of a recognised change to `rows`; others add nothing."""
    build = _BUILDERS.get(event["operation_key"])
    if build is None:
        return
    changes, settings = build(audit, event)
    if not changes:
        return
    rows["config_changes"] = [_row(audit, event, change) for change in changes]
    if settings:
        rows["change_settings"] = [
            {
                "event_id": event["event_id"],
                "name": name,
                "name_key": fields.fold(name),
                "new_value": new_value,
                "old_value": old_value,
            }
            for name, new_value, old_value in settings
        ]


def _row(audit: Record, event: Row, change: Row) -> Row:
    row = pick(event, _SHARED) | change
    row["target_key"] = fields.fold(row.get("target"))
    row["grantee_key"] = fields.fold(row.get("grantee"))
    destinations = row.get("destinations")
    if destinations is not None:
        row["external_destinations"] = _external(destinations, audit, row)
    return row


def _external(destinations: list[str], audit: Record, row: Row) -> list[str] | None:
    """Destinations outside the domains of actor, target and organisation; None where none of these is known."""
    outside = [(found, domain) for found in destinations if (domain := fields.domain_of(found)) is not None]
    organisation = fields.fold(audit.get("OrganizationName"))
    own = {fields.domain_of(row["actor"]), fields.domain_of(row.get("target")), organisation} - {None}
    if outside and not own:
        return None
    return sorted({found for found, domain in outside if domain not in own})

"""Configuration changes that took place and were made by somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._hits import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

WHO = (
    "event_id",
    "occurred_at",
    "change",
    "actor_key",
    "is_service",
    "succeeded",
    "client_ip",
    "ip_class",
    "session_id",
)
"""What every configuration detector reads of a change, besides what it is about."""

NAMES = ("actor_key", "mailbox_upn")
"""What `addressed` reads of `events`; of `config_changes` it reads `target_key` and `grantee_key`."""


_NAMING = (*NAMES, "target_key", "grantee_key")


def done(tables: Tables, reads: Mapping[str, tuple[str, ...]], *kinds: str) -> ir.Table:
    """Changes of these kinds that were not refused and not made by the service itself.

    A change whose log does not say whether it succeeded, or by whom it was made, counts as made: missing is not
    false. The service's own provisioning cmdlets are far more frequent than any person's.
    """
    changes = rows_of(tables, reads, "config_changes")
    false = ibis.literal(value=False)
    return changes.filter(
        changes.change.isin(kinds),
        ~changes.is_service.fill_null(false),
        changes.succeeded.fill_null(~false),
    )


def mailbox_of(changes: ir.Table) -> ir.StringValue:
    """The mailbox changed, as an address where the log gives one; the actor's own where it names none."""
    return ibis.coalesce(changes.target_key, changes.actor_key)


def addressed(changes: ir.Table, column: str, tables: Tables, reads: Mapping[str, tuple[str, ...]]) -> ir.Table:
    """The changes with the aliases in `column` turned into addresses, where one address alone can be meant.

    Exchange cmdlets name mailboxes by alias or path, all other records by address.
    """
    # All records are read here for a few names: whatever else is read of them, each name is looked at once.
    only = {name: tuple(column for column in reads[name] if column in _NAMING) for name in ("events", "config_changes")}
    events, named = rows_of(tables, only, "events"), rows_of(tables, only, "config_changes")
    known = events.select(known=events.actor_key).union(
        events.select(known=events.mailbox_upn),
        named.select(known=named.target_key),
        named.select(known=named.grantee_key),
    )
    known = known.filter(known.known.contains("@"))
    names = known.group_by(alias_name=known.known.re_extract(r"^([^@]+)@", 1)).aggregate(
        alias_address=known.known.min(), n_addresses=known.known.nunique()
    )
    names = names.filter(names.n_addresses == 1).drop("n_addresses")
    changes = changes.left_join(names, changes[column] == names.alias_name)
    address = ibis.coalesce(changes.alias_address, changes[column])
    return changes.mutate(**{column: address}).drop("alias_name", "alias_address")

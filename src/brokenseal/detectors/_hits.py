"""Table functions that every detector shares: reading the declared columns, and shaping hits."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import ibis

from brokenseal.schema import HIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Detector, Tables

DAY_S = 86_400
HOUR_S = 3_600


def rows_of(tables: Tables, reads: Mapping[str, tuple[str, ...]], name: str) -> ir.Table:
    """The columns of one table that a detector declares to read, each row once however often it was delivered."""
    return tables[name].select(*reads[name]).distinct()


def as_hits(
    table: ir.Table,
    *,
    group_key: ir.StringValue,
    variant: ir.StringValue | str,
    role: ir.StringValue | str,
    about: ir.StringValue | None = None,
    mailbox: ir.StringValue | None = None,
    weight: Mapping[str, ir.Value] | None = None,
) -> ir.Table:
    """Rows of `schema.HIT` from rows that carry the record's own columns; what `table` lacks is null.

    Args:
        table: Rows with `event_id`, `occurred_at` and those of the other columns of HIT that it has.
        group_key: Equal for the records of one finding; where null, the record is a finding of its own.
        variant: Name of the variant, for all rows or per row.
        role: What the record shows.
        about: The column `object` of HIT.
        mailbox: The column `mailbox_upn` of HIT where it is another than the table's own.
        weight: Those of the columns unit, bin, weight_millibans, f0_upper_ppb and n_reference that the detector gives;
            one finding has one value of each.
    """
    given: dict[str, ir.Value] = {
        # A record whose subject the log does not name stands for itself.
        "group_key": ibis.coalesce(group_key, table.event_id),
        "variant": ibis.literal(variant) if isinstance(variant, str) else variant,
        "role": ibis.literal(role) if isinstance(role, str) else role,
    }
    if about is not None:
        given["object"] = about
    if mailbox is not None:
        given["mailbox_upn"] = mailbox
    given |= weight or {}
    columns = {}
    for column in HIT.columns:
        value = given.get(column.name)
        if value is None:
            value = table[column.name] if column.name in table.columns else ibis.null(column.dtype)
        columns[column.name] = value.cast(column.dtype)
    hits = table.select(**columns).distinct()
    # Evidence without a time or an id cannot be shown or cited.
    return hits.filter(hits.event_id.notnull(), hits.occurred_at.notnull())


def hits_of(tables: Tables, detector: Detector) -> ir.Table:
    """What another detector found: its hits where the runner has them at hand, else its own expression."""
    found = tables.get(f"hits:{detector.id}")
    return detector.find(tables) if found is None else found


def together(first: ir.Table, *others: ir.Table) -> ir.Table:
    """All hits, each once."""
    return reduce(lambda left, right: left.union(right), others, first).distinct() if others else first

"""Table functions that every detector shares: reading the declared columns, and shaping hits."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import ibis

from brokenseal.clusters import each_once, members_of
from brokenseal.schema import HIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Detector, Tables

DAY_S = 86_400
HOUR_S = 3_600


def rows_of(tables: Tables, reads: Mapping[str, tuple[str, ...]], name: str) -> ir.Table:
    """The columns of one table that a detector declares to read, each row once however often it was delivered."""
    columns = reads[name]
    return each_once(tables, name, columns) if "event_id" in columns else tables[name].select(*columns).distinct()


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
            one unit has one value of each, and a finding about several is given those of the heaviest.
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


def fired_reads(tables: Tables, detector_id: str, mark: Callable[[Tables], ir.Table]) -> ir.Table:
    """The reads of session clusters that a detector marks as strange: `clusters.members` with `unit` and `bin`.

    Its marks are taken from the runner where it has them at hand; of units, those that the runner wants.
    """
    given = tables.get(f"marks:{detector_id}")
    marks = mark(tables) if given is None else given
    marks = marks.filter(marks.state == "fired").select("unit", "bin")
    wanted = tables.get("wanted_units")
    if wanted is not None:
        marks = marks.semi_join(wanted, "unit")
    rows = members_of(tables)
    return rows.inner_join(marks, rows.cluster == marks.unit)


def together(first: ir.Table, *others: ir.Table) -> ir.Table:
    """All hits, each once."""
    return reduce(lambda left, right: left.union(right), others, first).distinct() if others else first

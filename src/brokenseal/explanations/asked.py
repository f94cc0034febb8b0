"""What every part of an explanation is given: the units asked for, and the tables to look them up in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from brokenseal import schema
from brokenseal.explanations.values import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

Row = dict[str, Any]

_TABLES = {table.name: table for table in schema.TABLES}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """The units to be explained.

    Attributes:
        tables: The store's tables, with `members`, `clusters` and `marks:<detector id>` at hand.
        clusters: Rows of `clusters.clusters` of those units that are session clusters, in the order asked.
        doors: Those units that are changes of configuration, in the order asked.
        bins: Detector id to unit to bin, of those that fired for a unit asked for.
    """

    tables: Tables
    clusters: tuple[Row, ...]
    doors: tuple[str, ...]
    bins: Mapping[str, Mapping[str, str | None]]

    @property
    def units(self) -> tuple[str, ...]:
        """The session clusters asked for."""
        return tuple(row["cluster"] for row in self.clusters)

    def members(self) -> ir.Table:
        """The records of the session clusters asked for: the columns of `clusters.members`."""
        rows: ir.Table = self.tables["members"]
        wanted = texts_table("wanted_unit", self.units)
        return rows.semi_join(wanted, rows.cluster == wanted.wanted_unit)

    def fired(self, detector_id: str) -> Mapping[str, str | None]:
        """Unit to bin where that detector fired."""
        return self.bins.get(detector_id, {})


def texts_table(name: str, texts: Iterable[str | None]) -> ir.Table:
    """Texts as a table of one column, each once, sorted."""
    listed = sorted({text for text in texts if text})
    return ibis.memtable(pa.table({name: pa.array(listed, pa.string())}))


def rows_table(columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> ir.Table:
    """Rows as a table.

    Args:
        columns: Name to type, one of those of `schema`.
        rows: Values in the order of the columns.
    """
    kinds = {schema.STRING: pa.string(), schema.INT: pa.int64(), schema.TIME: pa.timestamp("us", tz="UTC")}
    listed = list(rows)
    arrays = {
        name: pa.array([row[place] for row in listed], kinds[kind])
        for place, (name, kind) in enumerate(columns.items())
    }
    return ibis.memtable(pa.table(arrays), schema=ibis.schema(columns))


def read(rows: ir.Table) -> list[Row]:
    """The rows as plain values; times are UTC."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows.to_pyarrow().to_pylist()]


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    return value


def by_unit(rows: Iterable[Row], key: str = "cluster") -> dict[str, list[Row]]:
    """Rows by their unit, in the order given."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def text_of(value: object) -> str | None:
    """A value as a fact shows it: times in ISO 8601, flags as JSON writes them, nothing as None."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def fact(table: str, column: str, event_id: str | None, value: object) -> Fact:
    """One field of one record, with the names that the logs give it."""
    declared = next((each for each in _TABLES[table].columns if each.name == column), None)
    return Fact(
        event_id=event_id, column=column, log_fields="" if declared is None else declared.source, value=text_of(value)
    )


def seconds(start: dt.datetime, end: dt.datetime) -> int:
    """Whole seconds from the first to the second."""
    return round((end - start).total_seconds())

"""What many tests need: declared tables from a few rows, and the folder of real samples."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from brokenseal import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TABLES = {table.name: table for table in schema.TABLES}
SAMPLES = Path(os.environ.get("BROKENSEAL_SAMPLES", Path(__file__).parents[2] / "shared" / "data"))

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder of real log samples is absent")


def arrow_table(name: str, rows: Iterable[Mapping[str, Any]] = ()) -> pa.Table:
    """Rows as an Arrow table of the declared schema; a column left out is null, an unknown one is an error."""
    declared = TABLES[name].arrow_schema()
    rows = list(rows)
    for row in rows:
        unknown = set(row) - set(declared.names)
        assert not unknown, f"{name} has no column {sorted(unknown)}"
    return pa.Table.from_pylist(
        [{column: row.get(column) for column in declared.names} for row in rows], schema=declared
    )


def make_tables(rows: Mapping[str, Iterable[Mapping[str, Any]]], con: Any = None) -> dict[str, Any]:
    """Every declared table as an Ibis table on DuckDB; those not named are empty."""
    import ibis

    con = con or ibis.duckdb.connect()
    return {name: con.create_table(name, arrow_table(name, rows.get(name, ())), overwrite=True) for name in TABLES}

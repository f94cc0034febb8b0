"""Baselines on small tables: rows with `at` in seconds after the start, and alerts as plain rows."""

from __future__ import annotations

import datetime as dt
import functools

import ibis

from brokenseal.baselines import BASELINES
from support import TABLES, arrow_table, make_tables

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = 60, 3_600, 86_400
BY_ID = {baseline.id: baseline for baseline in BASELINES}
WITHOUT_ENGINE = ("B7", "B14", "B15", "B16")


@functools.cache
def connection():
    con = ibis.duckdb.connect()
    make_tables({}, con)
    return con


def filled(world):
    """The rows of a world with their times; a row without an event id is named by its table and number."""
    made = {}
    for name, rows in world.items():
        for number, row in enumerate(rows):
            plain = {"event_id": f"{name}-{number}", **row}
            if name not in {"change_settings", "accessed_items"}:
                plain["occurred_at"] = START + dt.timedelta(seconds=plain.pop("at", 0))
            made.setdefault(name, []).append(plain)
    return made


@functools.cache
def _sql(baseline_id):
    tables = {name: connection().table(name) for name in TABLES}
    return str(ibis.to_sql(BY_ID[baseline_id].run(tables), dialect="duckdb"))


def fill(world, names):
    con = connection()
    for name in names:
        con.con.register("given", arrow_table(name, world.get(name, ())))
        con.con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given")
        con.con.unregister("given")
    return {name: con.table(name) for name in TABLES}


def alerts(baseline_id, world, **changed):
    """The alerts of a baseline on filled rows, sorted; with its own parameters compiled once."""
    baseline = BY_ID[baseline_id]
    assert set(world) <= set(baseline.reads), "rows of a table that the baseline does not read"
    tables = fill(world, baseline.reads)
    if changed or baseline_id in WITHOUT_ENGINE:
        rows = baseline.run(tables, **changed).to_pyarrow().to_pylist()
    else:
        rows = connection().con.sql(_sql(baseline_id)).to_arrow_table().to_pylist()
    return sorted(rows, key=lambda row: (row["baseline"], row["alert_key"], row["event_id"], row["subject"]))

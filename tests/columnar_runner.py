"""Both ways of reading side by side: everything that an ingest keeps must be the same."""

from __future__ import annotations

import datetime as dt
import uuid

from hypothesis import HealthCheck, settings

import brokenseal._ingest_reading
import brokenseal.ingest
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store

ENCODING = ("utf-8", "strict")
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
# Each example is a file of its own, with many records: small ones would find little.
WHOLE_FILES = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)


def stored(folder, texts: list[str], *, fast: bool, monkeypatch, but_not: str = "") -> tuple[dict[str, list], int]:
    """All that an ingest of files with these texts keeps, by table, in an order of its own; records one by one."""
    folder.mkdir()
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"export-{number:03}.txt")
        paths[-1].write_bytes(text.encode(*ENCODING))
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0 if fast else 1 << 60)
    chosen = Settings(store_dir=folder / "store", threads=1)
    result = ingest(paths, chosen, now=NOW)
    with Store.open(chosen) as store:
        tables = {name: table.to_pyarrow().to_pylist() for name, table in store.tables().items()}
    rows = {
        name: sorted(repr(sorted(row.items(), key=str)) for row in rows)
        for name, rows in tables.items()
        if name not in {"ledger", "quarantine"}
    }
    rows["quarantine"] = sorted(
        (row["input_sha256"], row["record_no"], row["reason"], row["column"]) for row in tables["quarantine"]
    )
    told = ("sha256", "framing", "shape", "outcome", "records", "kept", "duplicates", "rejected", "ignored")
    rows["ledger"] = sorted(
        tuple(str(row[name]) for name in (*told, "first_at", "last_at", "alarms", "evidence_sha256") if name != but_not)
        for row in tables["ledger"]
    )
    return rows, result.one_by_one


def assert_alike(tmp_path, texts: list[str], monkeypatch, but_not: str = "") -> int:
    """Compare the two ways, but for one column of the ledger; how many records went one by one on the fast way."""
    name = uuid.uuid4().hex
    plain, _ = stored(tmp_path / f"{name}-plain", texts, fast=False, monkeypatch=monkeypatch, but_not=but_not)
    fast, one_by_one = stored(tmp_path / f"{name}-fast", texts, fast=True, monkeypatch=monkeypatch, but_not=but_not)
    for table in plain:
        assert plain[table] == fast[table], table
    return one_by_one

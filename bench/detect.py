"""How fast detection is, by detector, beside a floor: the engine finding the distinct rows that detectors read.

    python bench/detect.py                                   # one simulated tenant of 60 mailboxes, 42 days
    python bench/detect.py --tenants 4 --mailboxes 120       # more records
    python bench/detect.py --store STORE                     # of a store that is there
    python bench/detect.py --store STORE --copies 10         # of ten tenants that do the same under other names
    python bench/detect.py --store STORE --day               # once more after one more day of logs, and without any

The floor reads mail accesses, sign-ins and events once and throws away copies, which every detector starts with; it
judges nothing (`detect_parts.py`). "Detectors" is all that marks, weighs and finds; "document" is all that `brokenseal
detect` does.
Seconds are of the processor, over all threads, because they depend least on what else runs; "wall" is what one waits.
Everything runs in one process of its own per run; whatever is made for it is simulated.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)

PROGRAM = Path(__file__).with_name("detect_parts.py")

NAMES = frozenset({
    "event_id", "tenant_id", "mailbox_key", "mailbox_upn", "actor", "actor_key", "subject_id", "request_id",
    "session_id", "token_id_raw", "token_id", "token_subject", "internet_message_id", "item_id", "user_key",
    "target_key", "grantee_key", "sender", "recipient", "home_tenant_id", "token_tenant_id",
})  # fmt: skip
"""Columns that another tenant has other values in."""


def made(folder: Path, chosen: argparse.Namespace) -> Path:
    """A store of simulated tenants, one after the other."""
    from brokenseal.drill.generate import DrillSettings, generate, parse_order
    from brokenseal.ingest import ingest
    from brokenseal.settings import Settings

    drill = DrillSettings(
        output=folder / "drill", tenants=chosen.tenants, mailboxes=chosen.mailboxes, days=chosen.days, seed=chosen.seed,
        shape="portal", attacks=(parse_order("A1*1"), parse_order("A6*1")),
    )  # fmt: skip
    generate(drill)
    store = folder / "store"
    ingest([drill.output / "exports"], Settings(store_dir=store), now=NOW)
    return store


def rewritten(source: Path, target: Path, *, copies: int, until: dt.datetime | None, since: dt.datetime | None) -> None:
    """Put the records of a store, and of tenants like it under other names, into a store as one more batch."""
    import duckdb

    from brokenseal import schema
    from brokenseal.settings import Settings
    from brokenseal.store import Store, stored_schema

    engine = duckdb.connect()
    engine.execute("SET TimeZone='UTC'; SET memory_limit='2GB'; SET threads=2; SET preserve_insertion_order=false")
    batch = "b" if since is None else "c"
    with Store.open(Settings(store_dir=source)) as old, Store.create(Settings(store_dir=target)) as store:
        files = {
            table.name: [str(p) for name, _, p in old.table_files() if name == table.name] for table in schema.TABLES
        }
        rows = store.ledger_rows()
        row = {
            **old.ledger_rows()[0],
            "seq": len(rows) + 1,
            "batch_id": batch * 32,
            "path": batch,
            "entry_hash": batch * 64,
        }
        scratch = store.scratch()
        events = f"read_parquet({files['events']!r}, hive_partitioning=false)"
        bounds = f"occurred_at < '{until}'" if until else f"occurred_at >= '{since}'" if since else "true"
        engine.execute(f"CREATE TEMP TABLE wanted AS SELECT event_id FROM {events} WHERE {bounds}")
        parts = {}
        for table in schema.RECORD_TABLES:
            if files[table.name]:
                paths = [scratch / f"{table.name}-{number}.parquet" for number in range(copies)]
                for number, path in enumerate(paths):
                    listed = ", ".join(_renamed(name, number) for name in stored_schema(table).names)
                    engine.execute(
                        f"COPY (SELECT {listed} FROM read_parquet({files[table.name]!r}, hive_partitioning=false) "
                        f"SEMI JOIN wanted USING (event_id)) TO '{path}' (FORMAT parquet)"
                    )
                parts[table.name] = paths
        store.commit(row["batch_id"], parts, [row])


def _renamed(name: str, number: int) -> str:
    if name == "input_no":
        return "CAST(1 AS BIGINT) AS input_no"
    if number and name in NAMES:
        return f"{name} || '~{number}' AS {name}"
    if number and name == "client_ip":
        moved = f"10 + (try_cast(split_part(client_ip, '.', 1) AS INT) + {number} * 7) % 200"
        return f"coalesce(({moved})::VARCHAR || substr(client_ip, strpos(client_ip, '.')), client_ip) AS client_ip"
    return name


def last_day(store: Path) -> dt.datetime:
    """One day before the last record."""
    from brokenseal.settings import Settings
    from brokenseal.store import Store

    with Store.open(Settings(store_dir=store)) as found:
        return found.tables()["events"].occurred_at.max().to_pyarrow().as_py() - dt.timedelta(days=1)


def measured(store: Path, what: str) -> dict:
    words = [sys.executable, "-W", "ignore", str(PROGRAM), str(store), what]
    found = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    if found["failed"]:
        sys.exit(f"detect: the engine stopped: {found['failed']}")
    return found


def daily(folder: Path, source: Path, copies: int) -> dict[str, dict]:
    """What a run costs at first, after one more day, and from scratch; each is asked once more, with nothing new."""
    store, day = folder / "daily", last_day(source)
    rewritten(source, store, copies=copies, until=day, since=None)
    runs = {"all but the last day": measured(store, "document")}
    rewritten(source, store, copies=copies, until=None, since=day)
    runs["one more day"] = measured(store, "document")
    shutil.rmtree(store / "state")
    runs["from scratch"] = measured(store, "document")
    return runs


def day_by_day(folder: Path, source: Path, copies: int) -> None:
    """Print what runs on days cost."""
    print("| run | records | CPU s | wall s | kept, CPU s | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, run in daily(folder, source, copies).items():
        cpu, wall = run["cpu"], run["wall"]
        print(
            f"| {name} | {run['records']:,} | {cpu['document']:.1f} | {wall['document']:.1f} "
            f"| {cpu['document, kept']:.2f} | {run['peak_mib']:,.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--mailboxes", type=int, default=60)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--copies", type=int, default=1, help="tenants like it, under other names")
    parser.add_argument("--only", choices=("split", "detectors", "document"), default="split")
    parser.add_argument("--day", action="store_true", help="measure one more day of logs instead")
    parser.add_argument("--work-dir", type=Path, help="where stores are made; default: the system's")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.work_dir) as name:
        folder = Path(name)
        source = chosen.store or made(folder, chosen)
        if chosen.day:
            day_by_day(folder, source, chosen.copies)
            return
        store = folder / "copies"
        rewritten(source, store, copies=chosen.copies, until=None, since=None)
        runs = []
        for _ in range(chosen.runs):
            shutil.rmtree(store / "state", ignore_errors=True)
            runs.append(measured(store, chosen.only))
    counted, peak = runs[0]["records"], max(run["peak_mib"] for run in runs)
    print(f"{counted:,} records, median of {len(runs)}, Python {platform.python_version()}")
    print("simulated" if chosen.store is None else f"of the store {chosen.store}")
    print()
    print("| part | CPU s | wall s | of the floor |")
    print("|---|--:|--:|--:|")
    cpu, wall = (
        {part: statistics.median(run[kind][part] for run in runs) for part in runs[0][kind]} for kind in ("cpu", "wall")
    )
    for part, seconds in cpu.items():
        share = f"{seconds / cpu['floor']:.1f}" if "floor" in cpu else "–"
        print(f"| {part} | {seconds:.2f} | {wall[part]:.2f} | {share} |")
    print()
    print(f"peak {peak:,.0f} MiB")


if __name__ == "__main__":
    main()

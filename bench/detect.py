"""How fast detection is, by detector, beside a floor: the engine finding the distinct rows that detectors read.

    python bench/detect.py                                   # one simulated tenant of 60 mailboxes, 42 days
    python bench/detect.py --tenants 4 --mailboxes 120       # more records
    python bench/detect.py --store STORE                     # of a store that is there
    python bench/detect.py --store STORE --copies 10         # of ten tenants that do the same under other names
    python bench/detect.py --store STORE --day               # once more after one more day of logs, and without any

The floor reads mail accesses, sign-ins and events once and throws away copies, which every detector starts with; it
judges nothing. "Detectors" is all that marks, weighs and finds; "document" is all that `brokenseal detect` does.
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

MEASURE = """
import contextlib, json, resource, sys, time
from pathlib import Path
import brokenseal.investigate as path
from brokenseal.detectors import DETECTORS, MARKING, WEIGHED, open_door, token_provenance
from brokenseal.exposure import exposures
from brokenseal.findings import run_detectors
from brokenseal.judgement import as_tables, clustered, judge, kept_parts
from brokenseal.campaigns import campaigns
from brokenseal.calibration import shipped
from brokenseal.schema import MARK
from brokenseal.selection import Selection
from brokenseal.settings import Settings
from brokenseal.store import Store

FLOOR = {
    "mail_accesses": ("event_id", "occurred_at", "mailbox_key", "actor_key", "client_ip", "session_id", "token_id"),
    "sign_ins": ("event_id", "occurred_at", "actor_key", "client_ip", "session_id", "request_id"),
    "events": ("event_id", "occurred_at", "actor_key", "client_ip", "operation_key"),
}
SHARED = [module for module in (open_door, token_provenance) if hasattr(module, "parts")]
split, walls = {}, {}

def timed(name, work):
    begun, wall = time.process_time(), time.perf_counter()
    done = work()
    split[name] = split.get(name, 0.0) + time.process_time() - begun
    walls[name] = walls.get(name, 0.0) + time.perf_counter() - wall
    return done

def by_detector(tables, seen):
    with contextlib.ExitStack() as held:
        known = timed("clusters", lambda: held.enter_context(clustered(tables)))
        for module in SHARED:
            parts = module.parts(known)
            known = timed("parts of " + module.DETECTOR.id, lambda: held.enter_context(kept_parts(known, parts)))
        marks = {}
        for detector in MARKING:
            if set(detector.silent_without).intersection(seen.unmet_needs):
                continue
            rows = timed("mark " + detector.id, lambda: detector.mark(known).to_pyarrow())
            marks[detector.id] = rows.select(MARK.names).cast(MARK.arrow_schema())
            known = {**known, **as_tables({detector.id: marks[detector.id]})}
        found = timed("weights", lambda: judge(known, marks, open_door.units(known), shipped()))
        timed("campaigns", lambda: campaigns(known, marks, found, shipped()))
        for detector in DETECTORS:
            if not detector.after:
                timed("find " + detector.id, lambda: run_detectors(known, (detector,), seen))

with Store.open(Settings(store_dir=Path(sys.argv[1]))) as store:
    tables = store.tables()
    records = int(tables["events"].count().to_pyarrow().as_py())
    if sys.argv[2] == "split":
        rows = {name: tables[name].select(*columns).distinct() for name, columns in FLOOR.items()}
        timed("floor", lambda: [each.count().to_pyarrow() for each in rows.values()])
        seen = timed("coverage", lambda: path.coverage_of(tables))
        by_detector(tables, seen)
    if sys.argv[2] in ("split", "detectors"):
        seen = path.coverage_of(tables)
        def detectors():
            with path.weighing(tables, seen) as weighed:
                path._findings(weighed, seen)
        timed("detectors", detectors)
    if sys.argv[2] == "split":
        timed("exposure of everything", lambda: exposures(tables, [Selection.everything()]))
    if sys.argv[2] in ("split", "document"):
        timed("document", lambda: path.document_of(store))
        timed("document, kept", lambda: path.document_of(store))
print(json.dumps({"records": records, "cpu": split, "wall": walls,
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

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


def measured(folder: Path, store: Path, what: str) -> dict:
    script = folder / "measure.py"
    script.write_text(MEASURE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(store), what], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def day_by_day(folder: Path, source: Path, copies: int) -> None:
    """What a run costs at first, after one more day, after nothing, and from scratch."""
    store, day = folder / "daily", last_day(source)
    rewritten(source, store, copies=copies, until=day, since=None)
    runs = {"all but the last day": measured(folder, store, "document")}
    rewritten(source, store, copies=copies, until=None, since=day)
    runs["one more day"] = measured(folder, store, "document")
    shutil.rmtree(store / "state")
    runs["from scratch"] = measured(folder, store, "document")
    print("| run | records | CPU s | wall s | kept, CPU s | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, run in runs.items():
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
            runs.append(measured(folder, store, chosen.only))
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

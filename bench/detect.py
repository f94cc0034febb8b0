"""How fast detection is, by detector, beside a floor: the engine finding the distinct rows that detectors read.

    python bench/detect.py                                   # one simulated tenant of 60 mailboxes, 42 days
    python bench/detect.py --tenants 4 --mailboxes 120       # more records
    python bench/detect.py --store STORE                     # of a store that is there

The floor reads mail accesses, sign-ins and events once and throws away copies, which every detector starts with; it
judges nothing. "Weighing" is clusters, marks, e-values and campaigns; "detect" is all that `brokenseal detect` does.
Everything runs in one process of its own per run; whatever is made for it is simulated.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)

MEASURE = """
import json, resource, sys, time
from pathlib import Path
import brokenseal.investigate as path
from brokenseal.detectors import DETECTORS, MARKING, WEIGHED, open_door
from brokenseal.findings import run_detectors
from brokenseal.judgement import as_tables, clustered, kept_parts
from brokenseal.schema import MARK
from brokenseal.settings import Settings
from brokenseal.store import Store

FLOOR = {
    "mail_accesses": ("event_id", "occurred_at", "mailbox_key", "actor_key", "client_ip", "session_id", "token_id"),
    "sign_ins": ("event_id", "occurred_at", "actor_key", "client_ip", "session_id", "request_id"),
    "events": ("event_id", "occurred_at", "actor_key", "client_ip", "operation_key"),
}
split = {}

def timed(name, work):
    begun = time.perf_counter()
    done = work()
    split[name] = time.perf_counter() - begun
    return done

with Store.open(Settings(store_dir=Path(sys.argv[1]))) as store:
    tables = store.tables()
    records = int(tables["events"].event_id.nunique().to_pyarrow().as_py())
    rows = {name: tables[name].select(*columns).distinct() for name, columns in FLOOR.items()}
    timed("floor", lambda: [each.count().to_pyarrow() for each in rows.values()])
    seen = timed("coverage", lambda: path.coverage_of(tables))
    with clustered(tables) as known:
        timed("clusters", lambda: known["clusters"].count().to_pyarrow())
        with kept_parts(known, open_door.parts(known)) as known:
            timed("door parts", lambda: known[next(iter(open_door.parts(known)))].count().to_pyarrow())
            for detector in MARKING:
                rows = timed("mark " + detector.id, lambda: detector.mark(known).to_pyarrow())
                rows = rows.select(MARK.names).cast(MARK.arrow_schema())
                known = {**known, **as_tables({detector.id: rows})}
            for detector in DETECTORS:
                if not detector.after:
                    timed("find " + detector.id, lambda: run_detectors(known, (detector,), seen))
    timed("detect", lambda: path.detect(tables, seen))
print(json.dumps({"records": records, "seconds": split,
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--mailboxes", type=int, default=60)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = chosen.store or made(Path(name), chosen)
        script = Path(name) / "measure.py"
        script.write_text(MEASURE, encoding="utf-8")
        runs = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-W", "ignore", str(script), str(store)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(chosen.runs)
        ]
    counted, peak = runs[0]["records"], max(run["peak_mib"] for run in runs)
    print(f"{counted:,} records, median of {len(runs)}, Python {platform.python_version()}")
    print("simulated" if chosen.store is None else f"of the store {chosen.store}")
    print()
    print("| part | seconds | of the floor |")
    print("|---|--:|--:|")
    middle = {part: statistics.median(run["seconds"][part] for run in runs) for part in runs[0]["seconds"]}
    for part, seconds in middle.items():
        print(f"| {part} | {seconds:.2f} | {seconds / middle['floor']:.1f} |")
    print()
    print(f"{counted / middle['detect']:,.0f} records a second in detect; peak {peak:,.0f} MiB")


if __name__ == "__main__":
    main()

"""Kill an ingest with SIGKILL at random moments, resume it, and compare with an undisturbed one.

    python scripts/kill_ingest.py                # 100 kills
    python scripts/kill_ingest.py --kills 6 --seed 1

Each round begins a fresh store, kills the ingest at one or more random moments (each resumed run can be killed
again), lets the last run finish, and compares every table, the counts in the ledger and the evidence with those of
a run that nobody disturbed. Exit code 1 where anything is lost, doubled or left over.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_CHILD = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import datetime as dt
import brokenseal.ingest
from brokenseal.settings import Settings
import duckdb, deltalake, ibis
ibis.duckdb
print("ready", flush=True)
brokenseal._ingest_reading.FAST_BYTES = 1 << 20
brokenseal.ingest.ingest(
    [Path(sys.argv[1])], Settings(store_dir=Path(sys.argv[2]), threads=2), now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
)
"""


def write_inputs(folder: Path, *, scale: int) -> None:
    """A folder of exports: many small ones, a larger one, copies in both, and one broken record."""
    folder.mkdir()

    def record(number: int) -> str:
        return json.dumps(
            {
                "CreationTime": "2025-10-27T07:09:33",
                "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
                "Operation": "MailItemsAccessed",
                "RecordType": 50,
                "UserId": f"user{number % 7}@contoso.example",
                "UserType": 0,
                "Workload": "Exchange",
                "MailboxGuid": "33333333-3333-4333-8333-333333333333",
                "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
                "Folders": [{"Path": "\\Inbox", "FolderItems": [{"InternetMessageId": f"<{number}@x>"}]}],
            }
        )

    for part in range(5):
        lines = [record(part * 100 + number) for number in range(150)]
        (folder / f"small-{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [record(400 + number) for number in range(scale)]
    (folder / "large.jsonl").write_text("\n".join(lines) + '\n{"Id": "broken\n', encoding="utf-8")


def run(inputs: Path, store: Path, *, kill_after_s: float | None = None) -> bool:
    """Ingest in a process of its own; kill it that long after it began to work. True where it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(inputs), str(store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.send_signal(signal.SIGKILL)
    _, problems = process.communicate()
    if process.returncode not in {0, -signal.SIGKILL}:
        raise SystemExit(problems.decode())
    return process.returncode != 0


def content(store: Path) -> dict[str, Any]:
    """What a store holds, without what differs from run to run: order, positions in the ledger, versions."""
    from brokenseal.evidence import verify
    from brokenseal.settings import Settings
    from brokenseal.store import Store

    settings = Settings(store_dir=store, threads=1)
    with Store.open(settings) as opened:
        tables = {name: table.to_pyarrow().to_pylist() for name, table in opened.tables().items()}
    told = ("path", "sha256", "outcome", "records", "kept", "duplicates", "rejected", "ignored", "evidence_sha256")
    ledger = [tuple(str(row[name]) for name in told) for row in tables.pop("ledger") if row["outcome"] != "unchanged"]
    found: dict[str, Any] = {name: sorted(map(repr, rows)) for name, rows in tables.items()}
    found["ledger"] = sorted(ledger)
    found["evidence"] = sorted(path.name for path in (store / "evidence").iterdir())
    found["left over"] = sorted(path.name for path in (store / "tmp").iterdir())
    found["changes"] = [str(change) for change in verify(settings).changes]
    return found


def rounds(folder: Path, *, kills: int, seed: int, scale: int) -> list[str]:
    """Kill that often, in as many rounds as it takes; every difference from the undisturbed run in words."""
    chance = random.Random(seed)
    inputs = folder / "inputs"
    write_inputs(inputs, scale=scale)
    begun = time.monotonic()
    run(inputs, folder / "undisturbed")
    lasts_s = time.monotonic() - begun
    expected = content(folder / "undisturbed")
    differences = []
    done = number = 0
    while done < kills:
        number += 1
        store = folder / f"store-{number}"
        for _ in range(chance.randint(1, 3)):
            killed = run(inputs, store, kill_after_s=chance.random() * lasts_s * 0.6)
            done += killed
            if not killed or done >= kills:
                break
        run(inputs, store)
        found = content(store)
        differences += [f"round {number}: {name} differs" for name in expected if expected[name] != found[name]]
    return differences


def main() -> None:
    """Report on stdout."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--scale", type=int, default=20_000, help="records of the largest input")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        differences = rounds(Path(folder), kills=chosen.kills, seed=chosen.seed, scale=chosen.scale)
    for difference in differences:
        print(difference)
    print(f"{chosen.kills} kills with seed {chosen.seed}: {len(differences)} differences")
    raise SystemExit(1 if differences else 0)


if __name__ == "__main__":
    main()

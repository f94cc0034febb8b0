"""How long the first answer takes: `investigate` on some 100,000 records, the same again, and `--help`, as typed.

    python bench/first_answer.py
    python bench/first_answer.py --mailboxes 10 --days 7 --runs 1

Every run is the command line in a process of its own, start-up and report included. The exports are those of a
simulated tenant with two intruders, as a portal gives them, and are in the system's file cache; the store is new each
time. The floor is the interpreter and the libraries that any answer needs, started and ended; for `--help` the bare
interpreter.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measuring

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCT = (Path(sys.executable).with_name("brokenseal"),)
LIBRARIES = "import deltalake, duckdb, ibis, pyarrow; ibis.duckdb"


def made(folder: Path, mailboxes: int, days: int) -> dict[str, int]:
    """Exports of a simulated tenant."""
    from brokenseal.drill.generate import DrillSettings, generate, parse_order

    found = generate(DrillSettings(
        output=folder / "drill", tenants=1, mailboxes=mailboxes, days=days, seed=7, shape="portal",
        attacks=(parse_order("A1*1"), parse_order("A6*1")), processes=2,
    ))  # fmt: skip
    files = [each for each in (folder / "drill" / "exports").rglob("*") if each.is_file()]
    sizes = {"files": len(files), "bytes": sum(each.stat().st_size for each in files)}
    return {**sizes, "lines": found.lines, "records": found.records, "mailboxes": mailboxes, "days": days}


def measured(
    *, mailboxes: int, days: int, runs: int, tell: Callable[[str], None], work: Path | None = None
) -> dict[str, Any]:
    """Runs of each command, one after the other in turns."""
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=work) as name:
        folder = Path(name)
        sizes = made(folder, mailboxes, days)
        report, store = folder / "report.html", folder / "store"
        ask = (*PRODUCT, "investigate", folder / "drill" / "exports", "--store", store, "--report", report)
        commands = {
            "help": ((*PRODUCT, "--help"), True),
            "bare": ((sys.executable, "-c", "pass"), True),
            "libraries": ((sys.executable, "-c", LIBRARIES), True),
            "investigate": (ask, False),
            "again": (ask, True),
        }
        found: dict[str, list[Any]] = {each: [] for each in commands}
        for _ in range(runs):
            shutil.rmtree(store, ignore_errors=True)
            for each, (words, _) in commands.items():
                took = measuring.run(words, accepted=(0,))
                found[each].append(took.figures())
                tell(f"{each}: {took.wall_s:.2f} s, {took.cpu_s:.2f} s of CPU")
        return {**sizes, "runs": found}


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mailboxes", type=int, default=50)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    found = measured(
        mailboxes=options.mailboxes,
        days=options.days,
        runs=options.runs,
        tell=lambda text: print(text, file=sys.stderr),
    )
    print(json.dumps({each: found[each] for each in ("records", "lines", "files", "bytes")}))
    for name, runs in found["runs"].items():
        print(f"{name:12} {statistics.median(run['wall_s'] for run in runs):8.2f} s, "
              f"{statistics.median(run['cpu_s'] for run in runs):8.2f} s of CPU")  # fmt: skip


if __name__ == "__main__":
    main()

"""How fast `drill generate` is, beside the floor: copying the very files that it wrote.

The floor reads the files of the drill, which are in memory by then, and writes them to another folder with as many
processes. It does nothing else: no people, no tokens, no audit, no truth.

    python bench/drill.py                                        # two tenants, 28 days, table on stdout
    python bench/drill.py --tenants 4 --days 84 --runs 1         # memory must not grow with tenants or days
    python bench/drill.py --out bench/DRILL.md

Lines are counted with their copies. Peak memory is that of the process that was started and of the largest of its
children, as often as there are processes: an upper bound. Everything that is written is simulated.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENERATE = """
import json, resource, sys, time
from pathlib import Path
from brokenseal.drill.generate import DrillSettings, generate, parse_order
if __name__ == "__main__":
    output, tenants, mailboxes, days, processes, seed, *attacks = sys.argv[1:]
    settings = DrillSettings(
        output=Path(output), tenants=int(tenants), mailboxes=int(mailboxes), days=int(days),
        processes=int(processes), seed=int(seed), attacks=tuple(map(parse_order, attacks)),
    )
    begun = time.perf_counter()
    summary = generate(settings)
    seconds = time.perf_counter() - begun
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    workers = settings.processes if settings.processes > 1 else 0
    print(json.dumps({
        "lines": summary.lines, "records": summary.records, "seconds": seconds,
        "cpu": sum(one.ru_utime + one.ru_stime for one in (own, children)),
        "peak_mib": (own.ru_maxrss + workers * children.ru_maxrss) / 1024,
    }))
"""


def generated(output: Path, chosen: argparse.Namespace) -> dict:
    """One drill, written by a process of its own."""
    script = output.with_name("generate.py")
    script.write_text(GENERATE, encoding="utf-8")
    sizes = (chosen.tenants, chosen.mailboxes, chosen.days, chosen.processes, chosen.seed)
    words = [sys.executable, "-W", "ignore", script, output, *sizes, *chosen.attack]
    done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def copy(sources: list[Path], folder: Path, output: Path) -> None:
    """Copy these files plainly."""
    for source in sources:
        target = output / source.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def copied(folder: Path, output: Path, processes: int) -> float:
    """Seconds of the floor; the processes' start-up is left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    shares = [files[number::processes] for number in range(processes)]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        list(pool.map(abs, range(processes)))
        begun = time.perf_counter()
        list(pool.map(copy, shares, [folder] * processes, [output] * processes))
        return time.perf_counter() - begun


def main() -> None:
    """Generate, copy, and write the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tenants", type=int, default=2)
    options.add_argument("--mailboxes", type=int, default=250)
    options.add_argument("--days", type=int, default=28)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--attack", action="append", default=[], help="as for the command; may be repeated")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--no-floor", action="store_true", help="do not copy: half the room on the disk is enough")
    options.add_argument("--dir", type=Path, help="write here instead of in a temporary folder")
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    base = Path(tempfile.mkdtemp(prefix="brokenseal-bench-", dir=chosen.dir))
    head = (
        f"Simulated: {chosen.tenants} tenants of {chosen.mailboxes} mailboxes, {chosen.days} days, "
        f"{chosen.processes} processes; {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )
    lines = [
        head,
        "",
        "| run | lines | MB | seconds | lines/s | MB/s | CPU s | floor, s | floor, lines/s | of the floor | peak MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    try:
        for run in range(1, chosen.runs + 1):
            output, other = base / "drill", base / "copy"
            seen = generated(output, chosen)
            size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
            cells = "– | – | –"
            if not chosen.no_floor:
                floor = copied(output, other, chosen.processes)
                cells = f"{floor:.1f} | {seen['lines'] / floor:,.0f} | {floor / seen['seconds']:.2f}"
                shutil.rmtree(other)
            shutil.rmtree(output)
            lines.append(
                f"| {run} | {seen['lines']:,} | {size / 1e6:,.0f} | {seen['seconds']:.1f} "
                f"| {seen['lines'] / seen['seconds']:,.0f} | {size / 1e6 / seen['seconds']:,.0f} | {seen['cpu']:.1f} "
                f"| {cells} | {seen['peak_mib']:,.0f} |"
            )
    finally:
        shutil.rmtree(base)
    table = "\n".join(lines) + "\n"
    print(table)
    if chosen.out:
        chosen.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Brokenseal beside what a responder would do by hand: pandas, DuckDB and jq, on one export with faults, in one run.

    python bench/beside.py --records 100000
    python bench/all.py run --part peers --scale full

The question is the first one of every such case: how many mail accesses are there, and how many different messages did
each client at each address open in each mailbox? The export is generated from a fixed seed: one record in a hundred
stands in it twice, as collectors deliver them, one line in a thousand breaks off, and a tenth of the mail accesses are
of synchronised folders, which name no message. What is right is counted while it is written.

The peers' programs are the files of `bench/peers`. pandas and DuckDB are the versions that Brokenseal itself has; jq is
the system's. Nothing is installed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import measuring
from ingest import CSV_HEADER, Generator, csv_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS = Path(__file__).with_name("peers")
COPY_SHARE = 0.01
BROKEN_SHARE = 0.001


class Contestant(NamedTuple):
    """One way to answer.

    Attributes:
        name: As the table has it.
        program: File of `bench/peers`.
        forms: The forms of export that it reads.
    """

    name: str
    program: str
    forms: tuple[str, ...] = ("jsonl", "csv")


CONTESTANTS = (
    Contestant("Brokenseal: ingest, then the question", "brokenseal_answer.py"),
    Contestant("DuckDB by hand", "duckdb_by_hand.py"),
    Contestant("pandas by hand, line by line", "pandas_by_hand.py"),
    Contestant("pandas, read_json or read_csv", "pandas_read_json.py"),
    Contestant("jq by hand, line by line", "jq_by_hand.sh", ("jsonl",)),
    Contestant("jq, plain", "jq_plain.sh", ("jsonl",)),
)


def write(folder: Path, records: int) -> dict[str, Any]:
    """Write `export.jsonl` and `export.csv` with the same faults; what they hold."""
    import csv

    generator, chance = Generator(), random.Random(13)
    pairs, counts = set(), {"records": 0, "lines": 0, "copies": 0, "broken": 0, "accesses": 0, "syncs": 0}
    with (
        (folder / "export.jsonl").open("w", encoding="utf-8", newline="\n") as lines,
        (folder / "export.csv").open("w", encoding="utf-8", newline="") as rows,
    ):
        table = csv.writer(rows)
        table.writerow(CSV_HEADER)
        for _ in range(records):
            record = generator.record()
            text = json.dumps(record, separators=(",", ":"))
            draw = chance.random()
            times = 2 if draw < COPY_SHARE else 1
            if draw > 1 - BROKEN_SHARE:
                text = text[: chance.randrange(len(text) // 4, len(text) - 1)]
                counts["broken"] += 1
            else:
                _count(record, counts, pairs)
            counts["copies"] += times - 1
            counts["lines"] += times
            for _ in range(times):
                lines.write(text + "\n")
                table.writerow(csv_row(record, text))
    return {**counts, "messages": len(pairs), "bytes": {
        form: (folder / f"export.{form}").stat().st_size for form in ("jsonl", "csv")
    }}  # fmt: skip


def _count(record: dict[str, Any], counts: dict[str, int], pairs: set[Any]) -> None:
    counts["records"] += 1
    if record["Operation"] != "MailItemsAccessed":
        return
    counts["accesses"] += 1
    counts["syncs"] += "Item" in record
    who = (record["MailboxGuid"], record["ClientInfoString"], record["ClientIPAddress"])
    for folder in record.get("Folders", ()):
        pairs.update(hash((*who, item["InternetMessageId"])) for item in folder["FolderItems"])


def answered(one: Contestant, export: Path, store: Path) -> dict[str, Any]:
    """What one contestant says, and what it took."""
    shutil.rmtree(store, ignore_errors=True)
    program = PEERS / one.program
    words = (
        ["sh", program, export] if program.suffix == ".sh" else [sys.executable, "-W", "ignore", program, export, store]
    )
    took = measuring.run(words)
    told = took.error.strip().splitlines()[-1:]
    return {
        **took.figures(),
        "said": json.loads(took.out or "{}"),
        "told": told[0][:160] if told and one.program[:2] == "jq" else "",
    }


def version_of(program: str) -> str:
    """What `--version` says; "" where the program is absent."""
    if shutil.which(program) is None:
        return ""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def measured(
    records: int, runs: int, tell: Callable[[str], None], work: Path | None = None
) -> Iterator[tuple[str, Any]]:
    """Write the export, and let everybody answer; the contestants take turns within a run."""
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=work) as name:
        folder = Path(name)
        truth = write(folder, records)
        for form in ("jsonl", "csv"):
            found: dict[str, list[Any]] = {}
            for _ in range(runs):
                for one in CONTESTANTS:
                    if form not in one.forms or (one.program.startswith("jq") and not version_of("jq")):
                        continue
                    said = answered(one, folder / f"export.{form}", folder / "store")
                    tell(f"{form}, {one.name}: {said['cpu_s']:.1f} s of CPU, {said['said']}")
                    found.setdefault(one.name, []).append(said)
            yield form, {"truth": truth, "runs": found, "jq": version_of("jq")}


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    for form, found in measured(options.records, options.runs, lambda text: print(text, file=sys.stderr)):
        print(form, json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

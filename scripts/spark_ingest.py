"""Are exports read in alike in this process and on a Spark cluster, to the last row and to the byte of the document?

    python scripts/spark_ingest.py EXPORTS               on a cluster of its own: a master and two workers
    python scripts/spark_ingest.py EXPORTS --kill 5      the same; one worker is killed after five seconds of it

Compared are every row of every table, every row of the ledger with its hash, and the document, which DuckDB makes of
both stores. Prints what each took, and ends with 0 where all is equal and with 1 where it is not.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster import cluster
from spark_equal import killer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokenseal.settings import Settings

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def read(exports: Sequence[Path], settings: Settings) -> None:
    """Ingest, and say what it took."""
    from brokenseal.ingest import ingest

    begun, worked = time.monotonic(), time.process_time()
    result = ingest(exports, settings, now=NOW)
    print(
        f"{settings.engine}: {result.records:,} records of {len(result.files):,} inputs, {result.duplicates:,} copies; "
        f"{time.monotonic() - begun:.1f} s, of which {time.process_time() - worked:.1f} s of this process",
        flush=True,
    )


def content(settings: Settings) -> dict[str, str]:
    """A digest of each table's rows in an order of their own, of the recorded text, and of the document."""
    from brokenseal.evidence import verify
    from brokenseal.investigate import build_document
    from brokenseal.reports.json_document import document_to_json
    from brokenseal.store import Store

    found = {}
    with Store.open(settings) as store:
        for name, table in store.tables().items():
            rows = sorted(map(repr, table.to_pyarrow().to_pylist()))
            text = "\n".join(rows)
            found[name] = f"{len(rows):,} rows, {_digest(text.encode('utf-8', 'surrogatepass'))}"
        made = document_to_json(build_document(store))
        found["document"] = _digest(made if isinstance(made, bytes) else made.encode())
    found["verify"] = "intact" if verify(settings).intact else "NOT INTACT"
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the stores of one set of exports."""
    from brokenseal.settings import Settings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, nargs="+")
    parser.add_argument("--kill", type=float, metavar="S", help="kill a worker after so many seconds of the run")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="brokenseal-spark-") as name, contextlib.ExitStack() as running:
        here = Settings(store_dir=Path(name) / "here")
        there = Settings(store_dir=Path(name) / "there")
        read(asked.exports, here)
        made = running.enter_context(cluster(memory_mb=1024))
        if asked.kill is not None:
            killer(made, asked.kill).start()
        read(asked.exports, replace(there, engine="spark", master=made.url))
        if asked.kill is not None and made.workers[0].poll() is None:
            print("the run ended before a worker was killed")
            return 2
        expected, found = content(here), content(there)
    for each in expected:
        print(f"{each}: {'equal' if expected[each] == found[each] else 'NOT EQUAL'}, {expected[each]}")
    return int(expected != found)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A cluster that is gone already would hold up Spark's own end for as long as it tries to reach it.
    os._exit(code)

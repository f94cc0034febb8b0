"""Is the document of a store equal to the byte on DuckDB and on Spark?

    python scripts/spark_equal.py STORE                    Spark in this process
    python scripts/spark_equal.py STORE --cluster          on a cluster of its own: a master and two workers
    python scripts/spark_equal.py STORE --cluster --kill 5 the same; one worker is killed after five seconds of it
    python scripts/spark_equal.py --records 1000000        of a simulated tenant of so many records, made for it

Prints what each engine took, and ends with 0 where the documents are equal and with 1 where they are not; `--json`
prints the same as one line of JSON in the end.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster import Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokenseal.settings import Settings


RECORDS_PER_MAILBOX = 3_800
"""What a mailbox of the simulated tenant leaves in its 28 days."""


def made(folder: Path, records: int) -> Path:
    """A store of one simulated tenant with two intruders and about so many records."""
    from brokenseal.drill.generate import DrillSettings, generate, parse_order
    from brokenseal.ingest import ingest
    from brokenseal.settings import from_environment

    drill = DrillSettings(
        output=folder / "drill", tenants=1, mailboxes=max(10, round(records / RECORDS_PER_MAILBOX)), days=28, seed=7,
        shape="stream", attacks=(parse_order("A1*1"), parse_order("A6*1")), processes=2,
    )  # fmt: skip
    generate(drill)
    found = ingest([drill.output / "exports"], from_environment(folder / "store"), now=dt.datetime.now(dt.UTC))
    print(f"a simulated tenant: {found.kept:,} records", flush=True)
    return folder / "store"


def document(settings: Settings, kill: threading.Timer | None = None) -> tuple[bytes, dict[str, object]]:
    """The document of a store, worked out anew, and what it took."""
    from brokenseal.investigate import build_document
    from brokenseal.reports.json_document import document_to_json
    from brokenseal.store import Store

    opened = time.monotonic()
    before = time.process_time()
    with Store.open(settings) as store:
        started = time.monotonic()
        if kill is not None:
            kill.start()
        found = document_to_json(build_document(store))
        ended = time.monotonic()
        records = int(store.tables()["events"].count().to_pyarrow().as_py()) if settings.engine == "duckdb" else 0
    content = found if isinstance(found, bytes) else found.encode()
    took = {
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "records": records,
        "start_s": started - opened, "document_s": ended - started, "python_cpu_s": time.process_time() - before,
    }  # fmt: skip
    print(
        f"{settings.engine}: {len(content):,} bytes, sha256 {took['sha256']}; "
        f"start {took['start_s']:.1f} s, document {took['document_s']:.1f} s, "
        f"of which {took['python_cpu_s']:.1f} s in Python",
        flush=True,
    )
    return content, took


def killer(made: Cluster, after_s: float) -> threading.Timer:
    """A timer that kills the first worker, and says so."""

    def kill() -> None:
        made.kill_worker(0)
        print(f"one of {len(made.workers)} workers killed after {after_s:g} s", flush=True)

    timer = threading.Timer(after_s, kill)
    timer.daemon = True
    return timer


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the documents of one store."""
    from brokenseal.settings import from_environment

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--records", type=int, metavar="N", help="make a simulated store of about so many records")
    parser.add_argument("--work-dir", type=Path, help="where it is made; default: the system's")
    parser.add_argument("--json", action="store_true", help="one line of JSON in the end")
    parser.add_argument("--cluster", action="store_true", help="on a master and two workers, each a process")
    parser.add_argument("--kill", type=float, metavar="S", help="kill a worker after so many seconds of the run")
    asked = parser.parse_args(arguments)
    if asked.kill is not None and not asked.cluster:
        parser.error("--kill takes --cluster")
    if (asked.store is None) == (asked.records is None):
        parser.error("expected a store or --records")
    with tempfile.TemporaryDirectory(prefix="brokenseal-equal-", dir=asked.work_dir) as name:
        store = asked.store or made(Path(name), asked.records)
        code, told = compared(from_environment(store), is_cluster=asked.cluster, kill_s=asked.kill)
    if asked.json:
        print(json.dumps(told))
    return code


def compared(on_duckdb: Settings, *, is_cluster: bool, kill_s: float | None) -> tuple[int, dict[str, object]]:
    """Both documents: 0 where they are equal, 1 where not, 2 where no worker was lost; and what they took."""
    on_spark = replace(on_duckdb, engine="spark", memory_limit_mb=max(2048, on_duckdb.memory_limit_mb))
    expected, told = document(on_duckdb)
    kill = None
    with contextlib.ExitStack() as running:
        if is_cluster:
            workers = running.enter_context(cluster(memory_mb=1536))
            on_spark = replace(on_spark, master=workers.url)
            kill = None if kill_s is None else killer(workers, kill_s)
        found, told_of_spark = document(on_spark, kill)
    result = {"equal": found == expected, "duckdb": told, "spark": told_of_spark, "killed_after_s": kill_s}
    if kill is not None and kill.is_alive():
        print("the run ended before a worker was killed")
        return 2, result
    print("equal" if found == expected else "NOT EQUAL")
    return int(found != expected), result


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A cluster that is gone already would hold up Spark's own end for as long as it tries to reach it.
    os._exit(code)

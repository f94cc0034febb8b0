"""Is the document of a store equal to the byte on DuckDB and on Spark?

    python scripts/spark_equal.py STORE                    Spark in this process
    python scripts/spark_equal.py STORE --cluster          on a cluster of its own: a master and two workers
    python scripts/spark_equal.py STORE --cluster --kill 5 the same; one worker is killed after five seconds of it

Prints what each engine took, and ends with 0 where the documents are equal and with 1 where they are not.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster import Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokenseal.settings import Settings


def document(settings: Settings, kill: threading.Timer | None = None) -> bytes:
    """The document of a store, worked out anew."""
    from brokenseal.investigate import build_document
    from brokenseal.reports.json_document import document_to_json
    from brokenseal.store import Store

    opened = time.monotonic()
    before = time.process_time()
    with Store.open(settings) as store:
        started = time.monotonic()
        if kill is not None:
            kill.start()
        made = document_to_json(build_document(store))
    content = made if isinstance(made, bytes) else made.encode()
    print(
        f"{settings.engine}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}; "
        f"start {started - opened:.1f} s, document {time.monotonic() - started:.1f} s, "
        f"of which {time.process_time() - before:.1f} s in Python",
        flush=True,
    )
    return content


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
    parser.add_argument("store", type=Path)
    parser.add_argument("--cluster", action="store_true", help="on a master and two workers, each a process")
    parser.add_argument("--kill", type=float, metavar="S", help="kill a worker after so many seconds of the run")
    asked = parser.parse_args(arguments)
    if asked.kill is not None and not asked.cluster:
        parser.error("--kill takes --cluster")
    on_duckdb = from_environment(asked.store)
    on_spark = replace(on_duckdb, engine="spark", memory_limit_mb=max(2048, on_duckdb.memory_limit_mb))
    expected = document(on_duckdb)
    with contextlib.ExitStack() as running:
        kill = None
        if asked.cluster:
            made = running.enter_context(cluster(memory_mb=1536))
            on_spark = replace(on_spark, master=made.url)
            kill = None if asked.kill is None else killer(made, asked.kill)
        found = document(on_spark, kill)
        if kill is not None and kill.is_alive():
            print("the run ended before a worker was killed")
            return 2
    print("equal" if found == expected else "NOT EQUAL")
    return int(found != expected)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A cluster that is gone already would hold up Spark's own end for as long as it tries to reach it.
    os._exit(code)

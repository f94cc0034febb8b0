"""Ask a store on a cluster, kill a worker that holds kept rows, ask again; run by `test_spark_cluster`.

Prints one line of JSON: whether the answers before and after the loss are those of DuckDB, and the workers then.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from spark_cluster import cluster

from brokenseal.judgement import clustered
from brokenseal.settings import Settings
from brokenseal.store import Store


def answers(known):
    """Rows of kept tables and of a query over them, in order."""
    clusters = known["clusters"].order_by("cluster").to_pyarrow().to_pylist()
    apps = known["members"].group_by("app").agg(n=known["members"].event_id.nunique()).order_by("app")
    return json.loads(json.dumps([clusters, apps.to_pyarrow().to_pylist()], default=str))


def holders(store):
    """Addresses of the executors that hold kept rows."""
    found = store._engine._session.sparkContext._jsc.sc().getExecutorMemoryStatus()
    return found.size() - 1


def main(folder):
    with Store.open(Settings(store_dir=folder)) as store, clustered(store.tables()) as known:
        expected = answers(known)
    with cluster(memory_mb=1024) as made:
        settings = Settings(store_dir=folder, engine="spark", master=made.url)
        with Store.open(settings) as store, clustered(store.tables()) as known:
            before = answers(known)
            n_before = holders(store)
            made.kill_worker(0)
            after = answers(known)
            n_after = holders(store)
        store._engine._session.stop()
    result = {"before": before == expected, "after": after == expected, "rows": len(expected[0])}
    sys.stdout.write(json.dumps({**result, "executors": [n_before, n_after], "master": made.url}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)

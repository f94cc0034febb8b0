"""What detection takes on one store, part by part; one line of JSON. `bench/detect.py` and `bench/growth.py` run it.

    python bench/detect_parts.py STORE parts       each part once, and the floor
    python bench/detect_parts.py STORE detectors   all that marks, weighs and finds, in one
    python bench/detect_parts.py STORE document    all that `brokenseal detect` does, and again with nothing new
    python bench/detect_parts.py STORE split       all of these in one process

The floor reads mail accesses, sign-ins and events once and throws away copies, which every detector starts with; it
judges nothing. Where the engine stops (no memory, no disk), the line says so and holds what was done by then.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

import brokenseal.investigate as path
from brokenseal.calibration import shipped
from brokenseal.campaigns import campaigns
from brokenseal.detectors import DETECTORS, MARKING, open_door, token_provenance
from brokenseal.errors import EngineFailed
from brokenseal.exposure import exposures
from brokenseal.findings import run_detectors
from brokenseal.judgement import as_tables, clustered, judge, kept_parts
from brokenseal.schema import MARK
from brokenseal.selection import Selection
from brokenseal.settings import from_environment
from brokenseal.store import Store
from measuring import high_water_mib

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR = {
    "mail_accesses": ("event_id", "occurred_at", "mailbox_key", "actor_key", "client_ip", "session_id", "token_id"),
    "sign_ins": ("event_id", "occurred_at", "actor_key", "client_ip", "session_id", "request_id"),
    "events": ("event_id", "occurred_at", "actor_key", "client_ip", "operation_key"),
}
SHARED = (open_door, token_provenance)
WHAT = ("parts", "detectors", "document", "split")


class Clock:
    """Seconds by the name of what they went into, of the processor and by the clock."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Do something, and note what it took; what fails is noted as well."""
        began, wall = time.process_time(), time.perf_counter()
        try:
            return work()
        finally:
            self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - began
            self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall


def by_detector(timed: Clock, tables: Any, seen: Any) -> None:
    """Clusters, marks, weights, campaigns and findings, one after the other."""
    with contextlib.ExitStack() as held:
        known = timed("clusters", lambda: held.enter_context(clustered(tables)))
        for module in SHARED:
            known = timed(
                "parts of " + module.DETECTOR.id,
                lambda known=known, give=module.parts: held.enter_context(kept_parts(known, give)),
            )
        marks = {}
        for detector in MARKING:
            if set(detector.silent_without).intersection(seen.unmet_needs):
                continue
            rows = timed("mark " + detector.id, detector.mark(known).to_pyarrow)
            marks[detector.id] = rows.select(MARK.names).cast(MARK.arrow_schema())
            known = {**known, **as_tables({detector.id: marks[detector.id]})}
        found = timed("weights", lambda: judge(known, marks, open_door.units(known), shipped()))
        timed("campaigns", lambda: campaigns(known, marks, found, shipped()))
        for detector in DETECTORS:
            if not detector.after:
                timed("find " + detector.id, lambda each=detector: run_detectors(known, (each,), seen))


def detectors(tables: Any, seen: Any) -> None:
    """All of them at once."""
    with path.weighing(tables, seen) as weighed:
        path._findings(weighed, seen)  # noqa: SLF001 - the step of `detect` that has no name outside


def measure(store: Store, what: str, timed: Clock) -> None:
    """Take the times of one choice."""
    tables = store.tables()
    seen = None
    if what in {"parts", "split"}:
        rows = {name: tables[name].select(*columns).distinct() for name, columns in FLOOR.items()}
        timed("floor", lambda: [each.count().to_pyarrow() for each in rows.values()])
        seen = timed("coverage", lambda: path.coverage_of(tables))
        by_detector(timed, tables, seen)
    if what in {"split", "detectors"}:
        known = seen or path.coverage_of(tables)
        timed("detectors", lambda: detectors(tables, known))
    if what in {"parts", "split"}:
        timed("exposure of everything", lambda: exposures(tables, [Selection.everything()]))
    if what in {"split", "document"}:
        document = timed("document", lambda: path.document_of(store))
        timed("document, kept", lambda: path.document_of(store))
        print(f"{len(document.cases)} cases", file=sys.stderr)


def main() -> None:
    """Measure one store."""
    folder, what = Path(sys.argv[1]), sys.argv[2]
    timed, failed = Clock(), ""
    settings = from_environment(folder)
    with Store.open(settings) as store:
        events = store.tables()["events"]
        records = int(events.count().to_pyarrow().as_py())
        mailboxes = int(store.tables()["mail_accesses"].mailbox_key.nunique().to_pyarrow().as_py())
        try:
            measure(store, what, timed)
        except (duckdb.Error, EngineFailed, MemoryError) as err:
            failed = f"{type(err).__name__}: {str(err).splitlines()[0]}" if str(err) else type(err).__name__
    print(json.dumps({
        "records": records, "mailboxes": mailboxes, "cpu": timed.cpu, "wall": timed.wall, "failed": failed,
        "memory_limit_mb": settings.memory_limit_mb,
        "peak_mib": high_water_mib(),
    }))  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in WHAT:
        sys.exit(f"detect_parts: expected a store and one of: {', '.join(WHAT)}")
    main()

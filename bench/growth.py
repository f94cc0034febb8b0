"""How ingest and detection grow with the number of records: one tenant that grows, and a set of tenants that does.

    python bench/all.py run --part growth --work-dir DIR       1, 3, 10 and 30 million records of each series
    python bench/all.py run --part growth --series tenants --sizes 1000000 3000000 --work-dir DIR
    python bench/all.py run --part growth --work-dir DIR --keep-stores     also keeps the store of each size, of which
    python bench/all.py run --part growth --work-dir DIR --again           detection is then measured again

Series `tenants`: tenants of equal size are added to one store until it holds the records of a size, which is measured,
and then more. Series `tenant`: for each size one tenant of so many mailboxes, in a store of its own.

Logs are simulated (`brokenseal drill`), with intruders, in the shape of a collector's stream. They are written tenant
by tenant or some days at a time, ingested, and deleted, so that the disk holds the store and one part. A file beside
the store says how far it came; the same command goes on from there after a kill.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measuring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERIES = ("tenants", "tenant")
PARTS = Path(__file__).with_name("detect_parts.py")
DAYS = 28
SEED = 7
MOST_TENANTS = 100
RECORDS_PER_MAILBOX = 4_400
"""What a simulated mailbox leaves in 28 days with the seed above, to choose how many; what is measured is counted."""
MORE_MEMORY_MB = 3584
"""What the engine is given where the default is not enough, so that thirty million records stay below 8 GB in all."""

INGEST = """
import datetime as dt, json, sys
from pathlib import Path
from brokenseal.ingest import ingest
from brokenseal.settings import from_environment
found = ingest([Path(sys.argv[1])], from_environment(Path(sys.argv[2])), now=dt.datetime.now(dt.UTC))
print(json.dumps({"lines": found.records, "kept": found.kept, "copies": found.duplicates, "rejected": found.rejected,
                  "one_by_one": found.one_by_one}))
"""


@dataclass(slots=True)
class State:
    """How far a store has come.

    Attributes:
        tenant: Number of the tenant whose logs come next.
        day: Its first day that is not in the store yet.
        batches: What each ingest took.
        done: Sizes that were measured.
    """

    tenant: int = 0
    day: int = 0
    batches: list[dict[str, Any]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Records in the store."""
        return sum(each["kept"] for each in self.batches)

    def until(self, size: int) -> State:
        """The state in which the store first held so many records."""
        records = list(itertools.accumulate(each["kept"] for each in self.batches))
        number = next((number for number, held in enumerate(records, start=1) if held >= size), len(records))
        return replace(self, batches=self.batches[:number])

    @classmethod
    def read(cls, path: Path) -> State:
        """The state of the last run; a fresh one where there is none."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Keep the state."""
        aside = path.with_suffix(".new")
        names = ("tenant", "day", "batches", "done")
        aside.write_text(json.dumps({name: getattr(self, name) for name in names}), encoding="utf-8")
        aside.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        work: Folder for stores and parts of logs.
        series: One of `SERIES`.
        sizes: Records, ascending.
        days: Days of each tenant's logs.
        mailboxes: Mailboxes of each tenant of the series `tenants`.
        batch_lines: Lines after which logs are ingested, in series `tenant`.
        runs: How often the whole detection is measured, up to three million records; above once.
        detects: Whether detection is measured as well.
        keeps: Whether the store of each size is kept.
        again: Whether sizes that were measured, and whose stores were kept, are measured again.
    """

    work: Path
    series: str
    sizes: tuple[int, ...]
    days: int = DAYS
    mailboxes: int = 230
    batch_lines: int = 1_000_000
    runs: int = 3
    detects: bool = True
    keeps: bool = False
    again: bool = False


def measured(plan: Plan, tell: Callable[[str], None]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Grow the stores, and give key and figures of each size."""
    for size in sorted(plan.sizes):
        name = plan.series if plan.series == "tenants" else f"{plan.series}-{size}"
        folder = plan.work / f"growth-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        state = State.read(folder / "state.json")
        kept = folder / f"store-{size}"
        if size in state.done and not (plan.again and kept.exists()):
            tell(f"{plan.series}, {size:,}: measured before")
            continue
        if not kept.exists():
            grow(plan, folder, state, size, tell)
        if plan.keeps and not kept.exists():
            shutil.copytree(folder / "store", kept)
        store = kept if kept.exists() else folder / "store"
        then = state.until(size) if plan.series == "tenants" else state
        figures = {**of_ingest(then, plan), "store": sizes_of(store)}
        if plan.detects:
            figures |= of_detection(plan, store, then.records, tell)
        yield f"{plan.series}/{size}", figures
        state.done = sorted({*state.done, size})
        state.write(folder / "state.json")
        if plan.series == "tenant":
            shutil.rmtree(folder / "store", ignore_errors=True)
    if plan.series == "tenants" and not plan.keeps:
        shutil.rmtree(plan.work / "growth-tenants" / "store", ignore_errors=True)


# ---------------------------------------------------------------- logs into the store


def grow(plan: Plan, folder: Path, state: State, size: int, tell: Callable[[str], None]) -> None:
    """Add simulated logs to the store until it holds that many records, or the one tenant is complete."""
    from brokenseal.drill._pipeline import run_days

    stage_of, tenants = staged(plan, size)
    while state.tenant < tenants and (plan.series == "tenant" or state.records < size):
        exports = folder / "exports"
        shutil.rmtree(exports, ignore_errors=True)
        stage = stage_of(state.tenant)
        lines, began, worked = 0, time.perf_counter(), time.process_time()
        days = run_days(stage, exports / stage.tenant.domain, from_day=state.day, until_day=plan.days, blob_minutes=360)
        for day in days:
            lines += day.lines
            is_last = day.day == plan.days - 1
            if is_last or (plan.series == "tenant" and lines >= plan.batch_lines):
                made = {"made_wall_s": time.perf_counter() - began, "made_cpu_s": time.process_time() - worked}
                state.batches.append(made | added(exports, folder / "store", state.records))
                state.tenant, state.day = (state.tenant + 1, 0) if is_last else (state.tenant, day.day + 1)
                state.write(folder / "state.json")
                tell(f"{plan.series}: {state.records:,} records")
                shutil.rmtree(exports)
                lines, began, worked = 0, time.perf_counter(), time.process_time()


def staged(plan: Plan, size: int) -> tuple[Callable[[int], Any], int]:
    """The stage of each tenant, and how many there are."""
    from brokenseal.drill._casting import stage_of
    from brokenseal.drill.generate import DrillSettings, parse_order

    tenants, mailboxes = MOST_TENANTS, plan.mailboxes
    if plan.series == "tenant":
        tenants, mailboxes = 1, max(10, round(size / RECORDS_PER_MAILBOX * DAYS / plan.days))
    each = max(1, tenants // 4)
    settings = DrillSettings(
        output=plan.work / "never", tenants=tenants, mailboxes=mailboxes, days=plan.days, seed=SEED, shape="stream",
        attacks=(parse_order(f"A1*{each}"), parse_order(f"A6*{each}")),
    )  # fmt: skip
    return lambda tenant_no: stage_of(settings, tenant_no), tenants


def added(exports: Path, store: Path, before: int) -> dict[str, Any]:
    """Ingest a folder, in a process of its own."""
    size = sum(each.stat().st_size for each in exports.rglob("*") if each.is_file())
    took = measuring.run([sys.executable, "-W", "ignore", "-c", INGEST, exports, store])
    return {**json.loads(took.out), "bytes": size, "before": before, **took.figures()}


def of_ingest(state: State, plan: Plan) -> dict[str, Any]:
    """Sums over the ingests that filled the store."""
    sums = {name: sum(each[name] for each in state.batches) for name in ("kept", "lines", "bytes", "cpu_s", "wall_s")}
    return {
        "records": sums["kept"],
        "lines": sums["lines"],
        "bytes": sums["bytes"],
        "days": plan.days,
        "tenants": len(state.batches) if plan.series == "tenants" else 1,
        "ingest": {
            "cpu_s": sums["cpu_s"],
            "wall_s": sums["wall_s"],
            "peak_mib": max(each["peak_mib"] for each in state.batches),
            "others": statistics.median(each["others"] or 0.0 for each in state.batches),
            "runs": len(state.batches),
            "last_cpu_us_per_line": state.batches[-1]["cpu_s"] / max(1, state.batches[-1]["lines"]) * 1e6,
        },
        "made": {name: sum(each[f"made_{name}"] for each in state.batches) for name in ("cpu_s", "wall_s")},
    }


def sizes_of(store: Path) -> dict[str, int]:
    """Bytes of the store's folders; what else is there, such as files of a run that was killed, is `other`."""
    found = {"other": 0}
    for each in store.rglob("*"):
        if each.is_file():
            place = each.relative_to(store).parts
            name = place[0] if len(place) > 1 and place[0] in {"tables", "evidence", "state"} else "other"
            found[name] = found.get(name, 0) + each.stat().st_size
    return found


# ---------------------------------------------------------------- what detection takes


def of_detection(plan: Plan, store: Path, records: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """The whole document, some times, and its parts; with more memory for the engine where the default fails."""
    found: dict[str, Any] = {"failures": []}
    limits = ({}, {"BROKENSEAL_MEMORY_MB": str(MORE_MEMORY_MB)})
    for env in limits:
        runs = []
        for _ in range(plan.runs if records <= 4_000_000 else 1):
            shutil.rmtree(store / "state", ignore_errors=True)
            run = detection(store, "document", env)
            if run["failed"]:
                kept = ("failed", "memory_limit_mb", "peak_mib", "cpu_s")
                found["failures"].append({name: run[name] for name in kept})
                tell(f"detection of {records:,} records with {run['memory_limit_mb']} MiB: {run['failed']}")
                break
            runs.append(run)
            tell(f"detection of {records:,} records: {run['cpu']['document']:.1f} s of CPU, {run['peak_mib']:,.0f} MiB")
        else:
            found["document"] = runs
            found["memory_limit_mb"] = runs[0]["memory_limit_mb"]
            found["mailboxes"] = runs[0]["mailboxes"]
            break
    found["parts"] = detection(store, "parts", env)
    tell(f"parts of detection: {sum(found['parts']['cpu'].values()):.1f} s of CPU")
    return found


def detection(store: Path, what: str, env: dict[str, str]) -> dict[str, Any]:
    """One run of `detect_parts.py`; one that the system killed for its memory is told as failed."""
    try:
        took = measuring.run([sys.executable, "-W", "ignore", PARTS, store, what], env=env)
    except measuring.Failed as failed:
        took = failed.took
        why = f"ended with code {took.code}: {(took.error.strip().splitlines() or ['without a word'])[-1][:200]}"
        limit = int(env.get("BROKENSEAL_MEMORY_MB", 1024))
        return {"cpu": {}, "wall": {}, "mailboxes": 0, "failed": why, "memory_limit_mb": limit, **took.figures()}
    return {**json.loads(took.out.splitlines()[-1]), **took.figures()}

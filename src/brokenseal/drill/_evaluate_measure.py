"""One simulated tenant through the product, the weighing and every baseline; what is kept are its facts.

The steps stand apart: if a baseline fails, the page says so and the rest is measured.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _evaluate_facts as facts_files
from brokenseal.drill import _score_truth
from brokenseal.drill._evaluate_facts import ALERTS, Facts, Measured
from brokenseal.drill._unit_truth import doors_of, read_truth, units_of
from brokenseal.drill.tenant_runs import TenantRun, prepare
from brokenseal.drill.truth_tables import TRUTH_RECORD, TRUTH_TENANT
from brokenseal.schema import MARK

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from brokenseal.baselines.counting import Alert
    from brokenseal.calibration import Calibration
    from brokenseal.drill._score_observe import Observations
    from brokenseal.drill.tenant_runs import TenantOrder
    from brokenseal.investigate import Detection, Weighing
    from brokenseal.model import Tables

    Cited = Mapping[str, Mapping[str, Any]]

_BESIDE: Final = ("cli/", "reports/", "tokens/", "demo/", "locale/", "drill/_evaluate_", "drill/evaluate.py")
"""What may change without a measurement becoming another, except `_OWN`."""
_OWN: Final = ("drill/_evaluate_facts.py", "drill/_evaluate_measure.py")
_RUNS: Final = "runs"
_FACTS: Final = "facts"


def code_digest() -> str:
    """Twelve digits over all that a measurement rests on: code and shipped data."""
    root = Path(str(resources.files("brokenseal")))
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in {".py", ".json"} and (name in _OWN or not name.startswith(_BESIDE)):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def calibration_digest() -> str:
    """Twelve digits of the shipped calibration; empty where none is shipped."""
    try:
        content = resources.files("brokenseal").joinpath("data/calibration.json").read_bytes()
    except FileNotFoundError:
        return ""
    return hashlib.sha256(content).hexdigest()[:12]


def facts_folder(order: TenantOrder, work_dir: Path, code: str) -> Path:
    """Where the facts of a tenant stand, as this code measures them."""
    return work_dir / _FACTS / f"{order.name}-{code}"


def measure(order: TenantOrder, work_dir: Path, code: str, keeps_store: bool, now: dt.datetime) -> str:  # noqa: FBT001 - travels to another process
    """Simulate, ingest and measure one tenant, unless its facts are there; the folder of its facts."""
    folder = facts_folder(order, work_dir, code)
    if folder.is_dir():
        return str(folder)
    begun = time.process_time()
    (run,) = prepare([order], work_dir / _RUNS, processes=1, now=now)
    prepared = time.process_time() - begun
    facts_files.write(measured_of(run, code, {"simulate and ingest": prepared}), folder)
    if not keeps_store:
        shutil.rmtree(run.folder, ignore_errors=True)
    return str(folder)


def measured_of(
    run: TenantRun, code: str, seconds: Mapping[str, float], *, calibration: Calibration | None = None
) -> Measured:
    """The facts of a tenant that is simulated and ingested.

    Args:
        run: Where it is.
        code: Digest of the code.
        seconds: What was spent on it so far.
        calibration: Counts on simulated tenants; None for the shipped ones, which is what a run takes.
    """
    from brokenseal import investigate as path
    from brokenseal.drill.score import observe
    from brokenseal.settings import Settings
    from brokenseal.store import Store

    clock = _Clock(seconds)
    with Store.open(Settings(store_dir=run.store, threads=1)) as opened:
        tables = opened.tables()
        seen = path.coverage_of(tables)
        detection = path.detect(tables, seen, calibration=calibration)
        clock.stop("product")
        observations = observe(tables, detection, run.truth)
        clock.stop("score")
        with path.weighing(tables, seen, calibration=calibration) as weighing:
            cited = _intruders_records(run.truth)
            units, marks = _weighed(weighing, run.truth, cited)
            weeks = weighing.judgement.mailbox_weeks
            clock.stop("weights")
            alerts, failed = _alerts(weighing.tables, run, cited, clock)
        records = int(tables["events"].count().execute())
    facts = _facts(run, observations, detection, code)
    return Measured(
        facts=Facts(**facts, mailbox_weeks_weighed=weeks, seconds=clock.seconds, records=records, failed=failed),
        units=units,
        marks=marks,
        alerts=alerts,
    )


class _Clock:
    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.seconds = dict(seconds)
        self._at = time.process_time()

    def stop(self, step: str) -> None:
        at = time.process_time()
        self.seconds[step] = round(self.seconds.get(step, 0.0) + at - self._at, 3)
        self._at = at


# ---------------------------------------------------------------- the product


def _facts(run: TenantRun, observed: Observations, detection: Detection, code: str) -> dict[str, Any]:
    reads: dict[int, list[int]] = defaultdict(list)
    truth = _score_truth.load(run.truth, ())
    for message in truth.messages:
        reads[message.instance].append(int(message.first_read_at.timestamp()))
    (tenant,) = observed.tenants
    return {
        "format": facts_files.FORMAT,
        "name": run.order.name,
        "seed": run.order.seed,
        "prior": run.order.prior,
        "days": run.order.days,
        "has_attacks": bool(run.order.attacks),
        "code": code,
        "calibration": calibration_digest(),
        "tenant": facts_files.facts_of_tenant(tenant),
        "instances": [
            facts_files.facts_of_instance(one, sorted(reads[one.intrusion.instance])) for one in observed.intrusions
        ],
        # The store holds one tenant, so that no case was left out and the two stand in one order.
        "cases": [
            facts_files.facts_of_case(outcome, case.id, case.assessment)
            for outcome, case in zip(observed.cases, detection.cases, strict=True)
        ],
        "false_notices": len(observed.false_notices),
        "exposure": observed.exposure,
        "counts": observed.counts,
        "detectors": [facts_files.facts_of_detector(one) for one in observed.detectors],
    }


# ---------------------------------------------------------------- units and marks


def _weighed(weighing: Weighing, truth_dir: Path, cited: Cited) -> tuple[pa.Table, pa.Table]:
    """Units with when an intruder's could be read, and all marks in one table."""
    known = weighing.tables
    units = units_of(known, doors_of(known), truth_dir)
    parts = [
        rows.append_column("detector_id", pa.array([detector_id] * rows.num_rows, pa.string()))
        for detector_id, rows in weighing.marks.items()
    ]
    empty = MARK.arrow_schema().empty_table().append_column("detector_id", pa.array([], pa.string()))
    return _with_times(units, known, cited), pa.concat_tables([empty, *parts])


def _with_times(units: pa.Table, known: Tables, cited: Cited) -> pa.Table:
    """The units with `seen_at`: when the last of an intruder's records in the unit could be read; null for others."""
    seen: dict[str, dt.datetime] = {}
    members = known["members"].select("event_id", "cluster").distinct().to_pyarrow()
    members = members.filter(pc.is_in(members["event_id"], value_set=pa.array(sorted(cited), pa.string())))
    pairs = list(zip(members["cluster"].to_pylist(), members["event_id"].to_pylist(), strict=True))
    pairs += [(unit, unit) for unit in units["unit"].to_pylist() if unit in cited]
    for unit, event_id in pairs:
        at = cited[event_id]["available_at"]
        if at is not None and (unit not in seen or at > seen[unit]):
            seen[unit] = at
    times = [seen.get(unit) for unit in units["unit"].to_pylist()]
    return units.append_column("seen_at", pa.array(times, pa.timestamp("us", tz="UTC")))


def _intruders_records(truth_dir: Path) -> Cited:
    """Delivered records of instances by event id, controls included; of copies the one that could be read first."""
    import pyarrow.parquet as pq

    names = ["event_id", "instance", "occurred_at", "available_at"]
    path = truth_dir / f"{TRUTH_RECORD.name}.parquet"
    found: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(path, columns=names, filters=pc.field("instance").is_valid()).to_pylist():
        row["available_at"] = row["available_at"] or row["occurred_at"]
        before = found.get(row["event_id"])
        if before is None or row["available_at"] < before["available_at"]:
            found[row["event_id"]] = row
    return found


# ---------------------------------------------------------------- baselines


def _alerts(known: Tables, run: TenantRun, cited: Cited, clock: _Clock) -> tuple[pa.Table, dict[str, str]]:
    """The alerts of every baseline after the warm-up, and the baselines that failed."""
    import ibis

    from brokenseal.baselines import BASELINES, b14_union
    from brokenseal.baselines._alerts import ALERT
    from brokenseal.errors import BrokensealError

    rows: dict[str, pa.Table] = {}
    failed: dict[str, str] = {}
    for baseline in BASELINES:
        try:
            if baseline.id == b14_union.BASELINE.id:
                wanted = pa.array(b14_union.BASELINE.parameters["rules"], pa.string())
                parts = [rows[part.id] for part in b14_union.PARTS if part.id in rows]
                union = pa.concat_tables(parts)
                union = union.filter(pc.is_in(union["baseline"], value_set=wanted))
                found = b14_union.scored(ibis.memtable(union, schema=ALERT.ibis_schema()))
            else:
                found = baseline.run(known)
            rows[baseline.id] = found.to_pyarrow().select(ALERT.names).cast(ALERT.arrow_schema())
        except (BrokensealError, ibis.common.exceptions.IbisError, pa.ArrowException, ValueError, KeyError) as error:
            failed[baseline.id] = f"{type(error).__name__}: {error}"[:200]
        clock.stop(f"baseline {baseline.id}")
    listed = [_counted(one.to_pylist(), run, cited) for one in rows.values()]
    clock.stop("baseline alerts")
    return pa.concat_tables([ALERTS.empty_table(), *listed]), failed


def _counted(rows: Iterable[Mapping[str, Any]], run: TenantRun, cited: Cited) -> pa.Table:
    from brokenseal.baselines.counting import alerts_of

    (tenant,) = read_truth(run.truth, TRUTH_TENANT, ("starts_at", "warm_up_days"))
    alerts = alerts_of(rows, starts_at=tenant["starts_at"], warm_up_days=tenant["warm_up_days"])
    return pa.Table.from_pylist([_alert(one, cited) for one in alerts], schema=ALERTS)


def _alert(alert: Alert, cited: Cited) -> dict[str, Any]:
    first: dict[int, Mapping[str, Any]] = {}
    for event_id in alert.event_ids:
        record = cited.get(event_id)
        if record is not None:
            before = first.get(record["instance"])
            if before is None or record["available_at"] < before["available_at"]:
                first[record["instance"]] = record
    return {
        "baseline": alert.baseline,
        "tenant_id": alert.tenant_id,
        "subject": alert.subject,
        "alert_key": alert.alert_key,
        "score_millis": alert.score_millis,
        "first_at": alert.first_at,
        "instances": sorted(first),
        "seen_at": [first[instance]["available_at"] for instance in sorted(first)],
        "occurred_at": [first[instance]["occurred_at"] for instance in sorted(first)],
    }

"""What one simulated tenant shows: its units of evidence, whose they were, and what every detector says of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow.compute as pc

from brokenseal import investigate
from brokenseal.calibration import QUIET, Campaigns, Group
from brokenseal.campaigns import count_campaigns
from brokenseal.detectors import DETECTORS, MARKING, open_door, stranger_client
from brokenseal.drill._unit_truth import doors_of, read_truth, units_of
from brokenseal.drill.truth_tables import TRUTH_TENANT
from brokenseal.findings import run_detectors
from brokenseal.judgement import as_tables, clustered, kept_parts, run_marks
from brokenseal.settings import Settings
from brokenseal.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from brokenseal.model import Coverage, Tables

ROOT: Final = stranger_client.ID
"""Detector whose bins make the groups: most of what makes detectors agree on authorised use is a new client."""
UNKNOWN: Final = "unknown"
"""Stands for the bin of a detector that could not assess a unit."""
_WEEK_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """One simulated tenant.

    Attributes:
        units: See `_unit_truth.UNIT`.
        marks: Detector id to rows of `schema.MARK`.
        mailbox_weeks: Mailbox-weeks after the warm-up.
        mailbox_weeks_in_all: With the warm-up.
        rules: `<detector>/<variant>` to findings, zeros too; empty for a tenant that was attacked.
        campaigns: Counts of values that reach several mailboxes.
    """

    units: pa.Table
    marks: Mapping[str, pa.Table]
    mailbox_weeks: float
    mailbox_weeks_in_all: float
    rules: Mapping[str, int]
    campaigns: Campaigns

    @property
    def is_attacked(self) -> bool:
        """Whether any unit is an intruder's."""
        return bool(pc.any(pc.is_valid(self.units.column("instance"))).as_py())


def observe(store_dir: Path, truth_dir: Path) -> Observed:
    """Run the detectors over a store, and set its units beside the truth.

    Raises:
        UsageError: There is no store, or no truth of a drill.
    """
    names = ("mailboxes", "mailbox_weeks", "starts_at", "ends_at")
    tenants = read_truth(truth_dir, TRUTH_TENANT, names)
    with Store.open(Settings(store_dir=store_dir, threads=1)) as store:
        tables = store.tables()
        seen = investigate.coverage_of(tables)
        with clustered(tables) as rows, kept_parts(rows, open_door.parts) as known:
            units = units_of(known, doors_of(known), truth_dir)
            marks = run_marks(known, MARKING, seen.unmet_needs)
            theirs = units.filter(pc.is_valid(units.column("instance"))).column("unit").to_pylist()
            return Observed(
                units=units,
                marks=marks,
                mailbox_weeks=sum(row["mailbox_weeks"] for row in tenants),
                mailbox_weeks_in_all=sum(
                    row["mailboxes"] * (row["ends_at"] - row["starts_at"]).days / _WEEK_DAYS for row in tenants
                ),
                rules={} if theirs else _rules({**known, **as_tables(marks)}, seen),
                campaigns=count_campaigns(known, marks, frozenset(theirs) or None),
            )


def _rules(tables: Tables, seen: Coverage) -> dict[str, int]:
    """Findings of authorised use, by detector and variant."""
    found = {f"{one.id}/{variant}": 0 for one in DETECTORS for variant in one.variants}
    findings, _ = run_detectors(tables, DETECTORS, seen)
    for finding in findings:
        found[f"{finding.detector_id}/{finding.variant}"] += 1
    return found


# ---------------------------------------------------------------- counts of one tenant


class IntruderUnit(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of an intruder, as far as it counts.

    Attributes:
        said: Detector id to bin, `calibration.QUIET` or `UNKNOWN`.
    """

    attack_id: str
    stealth: int
    instance: int
    mailbox: str
    unit: str
    is_door: bool
    said: dict[str, str]


class TenantCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one simulated tenant adds to the counts.

    Attributes:
        by_root: Bin of the root to the authorised clusters that show it; empty for a tenant that was attacked.
        doors: Authorised changes of configuration; none for a tenant that was attacked.
        intruders: Units of intruders.
    """

    mailbox_weeks: float
    by_root: dict[str, Group]
    doors: Group
    intruders: tuple[IntruderUnit, ...]
    rules: dict[str, int]
    rules_weeks: float
    campaigns: Campaigns


def count_tenant(store_dir: Path, truth_dir: Path) -> TenantCounts:
    """The counts of one simulated tenant; see `observe`."""
    return count(observe(store_dir, truth_dir))


def said_of(marks: Mapping[str, pa.Table]) -> dict[str, dict[str, str]]:
    """Detector id to unit to bin or `UNKNOWN`; quiet units are left out."""
    found: dict[str, dict[str, str]] = {}
    for detector_id, rows in marks.items():
        columns = (rows.column(name).to_pylist() for name in ("unit", "state", "bin"))
        found[detector_id] = {
            unit: UNKNOWN if state == "not_assessable" else name or QUIET
            for unit, state, name in zip(*columns, strict=True)
            if state != "quiet"
        }
    return found


def count(observed: Observed) -> TenantCounts:
    """The counts of one simulated tenant, over its units after the warm-up."""
    said = said_of(observed.marks)
    rows = [row for row in observed.units.to_pylist() if row["is_scored"]]
    doors = {row["unit"] for row in rows if row["is_door"]}
    about_doors = {detector_id for detector_id, of in said.items() if not doors.isdisjoint(of)}

    def saying(row: dict[str, object]) -> dict[str, str]:
        """What each detector says of a unit; of doors, only those that speak of doors."""
        unit, is_door = str(row["unit"]), row["is_door"]
        return {
            detector_id: UNKNOWN if is_door and detector_id not in about_doors else of.get(unit, QUIET)
            for detector_id, of in said.items()
        }

    attacked = observed.is_attacked
    honest = [] if attacked else [row for row in rows if not row["is_control"]]
    groups: dict[str, list[dict[str, str]]] = {}
    for row in honest:
        if not row["is_door"]:
            own = saying(row)
            groups.setdefault(own.get(ROOT, UNKNOWN), []).append(own)
    intruders = tuple(
        IntruderUnit(
            attack_id=row["attack_id"],
            stealth=row["stealth"],
            instance=row["instance"],
            mailbox=row["mailbox_key"] or "",
            unit=row["unit"],
            is_door=row["is_door"],
            said=saying(row),
        )
        for row in rows
        if row["instance"] is not None
    )
    return TenantCounts(
        mailbox_weeks=0.0 if attacked else observed.mailbox_weeks,
        by_root={name: group_of(own) for name, own in sorted(groups.items())},
        doors=group_of([saying(row) for row in honest if row["is_door"]]),
        intruders=intruders,
        rules=dict(observed.rules),
        rules_weeks=observed.mailbox_weeks_in_all if observed.rules else 0.0,
        campaigns=observed.campaigns,
    )


def group_of(said: Iterable[Mapping[str, str]]) -> Group:
    """The counts over units, of each of which the bins are given."""
    units, bins, unknown = 0, Counter[tuple[str, str]](), Counter[str]()
    detectors: set[str] = set()
    for one in said:
        units += 1
        detectors.update(one)
        unknown.update(detector_id for detector_id, name in one.items() if name == UNKNOWN)
        bins.update(pair for pair in one.items() if pair[1] not in {QUIET, UNKNOWN})
    found: dict[str, dict[str, int]] = {}
    for (detector_id, name), number in sorted(bins.items()):
        found.setdefault(detector_id, {})[name] = number
    return Group(
        units=units,
        bins=found,
        assessed={detector_id: units - unknown[detector_id] for detector_id in sorted(detectors)},
        tenants=1,
    )

"""Is a drill fair? Tests that nothing but the declared tells distinguishes its attackers (T1 to T6).

A detector that looks good on a simulation may only have learnt how the simulation writes attackers. Each test here
looks for one way of that happening, on the delivered files, and says pass, fail or not assessable with its numbers. A
fail is a fault of the generator, to be mended there and never masked here.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from brokenseal.drill._leak_detectors import Detected, PlainDetector, product_finds
from brokenseal.drill._leak_fields import excused, is_excused
from brokenseal.drill._leak_identifiers import Seen, exclusive
from brokenseal.drill._leak_lines import (
    AttackInstance,
    Line,
    attack_instances,
    flatten,
    line_of,
    raw_lines,
    replaced,
    sampled,
)
from brokenseal.drill._leak_report import FAIL, NOT_ASSESSABLE, PASS, TITLES, Check, LeakReport
from brokenseal.drill._leak_scans import NULL, by_cell, single_fields, thin, trivial_fields
from brokenseal.drill._leak_statistics import wilson
from brokenseal.drill._leak_timing import hour_of_week, timing
from brokenseal.drill.attacks import TRACES
from brokenseal.drill.streams import stream
from brokenseal.drill.tables import DAY_US

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from brokenseal.drill._leak_lines import Raw
    from brokenseal.model import Record

__all__ = [
    "FAIL",
    "NOT_ASSESSABLE",
    "NULL",
    "PASS",
    "TITLES",
    "AttackInstance",
    "Check",
    "Detected",
    "LeakReport",
    "Line",
    "PlainDetector",
    "check_drill",
    "check_ghost",
    "check_lines",
    "check_swaps",
    "check_timing",
    "product_finds",
    "run",
]

GHOST: Final = "A0g"
_GHOST_POINTS: Final = 0.02
_GHOST_LEAST: Final = 50
_SWAP_POINTS: Final = 0.01
_WATCHED: Final = 120
_OWNERS: Final = ("owner", "delegate", "admin", "guest")


def run(
    drill_dir: Path,
    *,
    others: Sequence[Path] = (),
    detected: Mapping[str, Detected] | None = None,
    detect: Callable[[Sequence[Line]], Collection[int]] | None = None,
    seed: int = 0,
) -> LeakReport:
    """Every leak test on one drill.

    Args:
        drill_dir: Folder that `generate.generate` wrote.
        others: Further drills of other seeds, for T6 alone.
        detected: For T3: how many instances of each attack and control the detectors found.
        detect: For T4: from lines to the attack instances that a detector finds in them.
        seed: Seed of folds, permutations and intervals; the same seed gives the same report.

    Raises:
        UsageError: A folder is no drill.
    """
    instances = attack_instances(drill_dir)
    seen = Seen()
    # Builds of servers and clients change with the calendar: honest lines of the warm-up are no comparison.
    first_day = {one.tenant: math.inf for one in instances}
    for one in instances:
        first_day[one.tenant] = min(first_day[one.tenant], one.first_at_us // DAY_US)
    kept = thin(_watched(drill_dir, first_day, seen, 0))
    for number, other in enumerate(others, start=1):
        _watched(other, {}, seen, number)
    for one_drill in (drill_dir, *others):
        if seen.open_questions:
            seen.confirm(raw_lines(one_drill))
    every = (*instances, *(one for other in others for one in attack_instances(other)))
    tells = {one.attack_id: one.tells for one in every}
    ghost = check_ghost(detected) if detected is not None else _no_score("T3", "no score was given")
    swaps = (
        check_swaps(kept, tells, detect, stream(seed, "leaks", "swap"))
        if detect is not None
        else [_no_score("T4", "no detector was given")]
    )
    checks = [
        *check_lines(kept, tells, seed=seed),
        ghost,
        *swaps,
        *check_timing(instances, drill_dir, seed=seed),
        *exclusive(seen, tells),
    ]
    return LeakReport(checks=tuple(checks))


def check_drill(
    drill_dir: Path, *, others: Sequence[Path] = (), seed: int = 0, with_detectors: bool = False
) -> LeakReport:
    """Every leak test on one drill, with the detectors where asked.

    Args:
        drill_dir: Folder that `generate.generate` wrote.
        others: Further drills of other seeds, for T6 alone.
        seed: Seed of folds, permutations and intervals.
        with_detectors: Also T3, for which every tenant is read into a store and the product's detectors run, and T4
            with a plain detector over the lines. Without it they are not assessable.

    Raises:
        UsageError: A folder is no drill.
    """
    if not with_detectors:
        return run(drill_dir, others=others, seed=seed)
    attack_instances(drill_dir)  # refuse what is no drill before the long work
    return run(
        drill_dir,
        others=others,
        detected=product_finds(drill_dir),
        detect=PlainDetector.of_drill(drill_dir),
        seed=seed,
    )


def _watched(drill_dir: Path, first_day: Mapping[str, float], seen: Seen, number: int) -> list[Line]:
    """A sample of a drill's lines; `seen` remembers what they and every line of an attack show."""
    watched: Counter[tuple[object, ...]] = Counter()

    def every() -> Iterator[Raw]:
        for raw in raw_lines(drill_dir):
            row = raw.row
            if row["instance"] is not None:
                kind = (row["tenant_id"], row["instance"], row["stream"], raw.record.get("Operation"))
                watched[kind] += 1
                line = line_of(raw) if watched[kind] <= _WATCHED else None
                if line is not None:
                    seen.watch([line], number)
            yield raw

    lines = sampled(every(), first_day)
    seen.watch((line for line in lines if line.instance < 0), number)
    return lines


def _no_score(test: str, reason: str) -> Check:
    return Check(test=test, subject="drill", outcome=NOT_ASSESSABLE, reason=reason)


def check_lines(lines: Iterable[Line], tells: Mapping[str, Sequence[str]], *, seed: int = 0) -> list[Check]:
    """T1 and T2 on lines of a drill.

    Args:
        lines: Lines, attackers' and honest; thinned to a few per unit here.
        tells: Declared tells by attack id.
        seed: Seed of folds, permutations and intervals.
    """
    kept = thin(lines)
    honest = by_cell(line for line in kept if line.instance < 0)
    attacks: dict[str, list[Line]] = {}
    for line in kept:
        if line.attack_id is not None and line.instance >= 0:
            attacks.setdefault(line.attack_id, []).append(line)
    if not attacks:
        return [_no_score(test, "the drill holds no attack") for test in ("T1", "T2")]
    return [
        *trivial_fields(attacks, honest, tells, stream(seed, "leaks", "T1")),
        *single_fields(attacks, honest, tells, stream(seed, "leaks", "T2")),
    ]


# ---------------------------------------------------------------- T3


def check_ghost(detected: Mapping[str, Detected]) -> Check:
    """T3: the ghost does what its victim does, so that it is found as often as the null control is, within 2 points."""
    ghost, null = detected.get(GHOST, Detected(0, 0)), detected.get(NULL, Detected(0, 0))
    numbers = {"ghosts": float(ghost.instances), "nulls": float(null.instances)}
    if not ghost.instances or not null.instances:
        reason = "both controls, ghost and null, are needed"
        return Check(test="T3", subject=GHOST, outcome=NOT_ASSESSABLE, reason=reason, numbers=numbers)
    shares = ghost.found / ghost.instances, null.found / null.instances
    ghost_low, _ = wilson(*ghost)
    _, null_high = wilson(*null)
    difference = shares[0] - shares[1]
    # Newcombe's lower end of a difference of two shares.
    low = difference - math.hypot(shares[0] - ghost_low, null_high - shares[1])
    numbers |= {"found of ghosts": shares[0], "found of nulls": shares[1], "difference": difference, "low": low}
    if low > _GHOST_POINTS:
        outcome, reason = FAIL, "the ghost is found more often than chance"
    elif difference <= _GHOST_POINTS and min(ghost.instances, null.instances) >= _GHOST_LEAST:
        outcome, reason = PASS, "the ghost is found as often as chance"
    else:
        outcome, reason = NOT_ASSESSABLE, f"fewer than {_GHOST_LEAST} of each control, or a difference of chance size"
    return Check(test="T3", subject=GHOST, outcome=outcome, reason=reason, numbers=numbers)


# ---------------------------------------------------------------- T4

# What says which record, message, mailbox or moment it is; another value would be another event, not another look.
_IDENTITY: Final = re.compile(
    r"(^|\.|\[\])(id|recordid|identity|requestid|mailboxguid|mailboxowner\w*|organizationid|tenantid|\w*tenantid"
    r"|userid|userkey|operation|operationname|recordtype|creation\w*|\w*time|\w*date\w*|timestamp|internetmessageid"
    r"|messageid)$",
    re.IGNORECASE,
)


def check_swaps(
    lines: Sequence[Line],
    tells: Mapping[str, Sequence[str]],
    detect: Callable[[Sequence[Line]], Collection[int]],
    rng: np.random.Generator,
) -> list[Check]:
    """T4, one check per attack: every undeclared field of its lines drawn anew from honest lines of the same stratum.

    It fails where the instances that are found or lost are surely more than one in a hundred (Wilson's lower end).

    They are those of the same mailbox or actor where it has any, so that what is new there is no longer new. The
    controls declare nothing and are to be found by nothing; T3 judges them.

    Args:
        lines: Lines, attackers' and honest.
        tells: Declared tells by attack id.
        detect: From lines to the attack instances that are found in them.
        rng: Generator of the draws.
    """
    honest = [line for line in lines if line.instance < 0]
    pool: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for line in honest:
        flat = flatten(line.record)
        pool.setdefault((line.stratum,), []).append(flat)
        pool.setdefault((line.stratum, line.tenant, line.unit), []).append(flat)
    attacks: dict[str, list[Line]] = {}
    for line in lines:
        if line.attack_id not in {None, GHOST, NULL} and line.instance >= 0:
            attacks.setdefault(str(line.attack_id), []).append(line)
    if not attacks:
        return [_no_score("T4", "the drill holds no attack")]
    return [
        _swap_check(attack_id, own, honest, _Swap(pool, excused(tells.get(attack_id, ())), rng), detect)
        for attack_id, own in sorted(attacks.items())
    ]


@dataclass(frozen=True, slots=True)
class _Swap:
    pool: Mapping[tuple[str, ...], Sequence[Mapping[str, object]]]
    pattern: re.Pattern[str] | None
    rng: np.random.Generator

    def paths(self, line: Line) -> list[str]:
        """Paths of a line that may be drawn anew."""
        return [
            path
            for path in flatten(line.record)
            if not path.endswith("#") and not is_excused(path, self.pattern) and not _IDENTITY.search(path)
        ]

    def apply(self, line: Line, wanted: Collection[str] | None) -> Line:
        """The line with these paths (None for all that may be) as in honest lines of its stratum and unit."""
        pool = self.pool.get((line.stratum, line.tenant, line.unit)) or self.pool.get((line.stratum,), ())
        record = line.record
        for path in self.paths(line):
            if pool and (wanted is None or path in wanted):
                donor = pool[int(self.rng.integers(len(pool)))]
                if path in donor:
                    record = replaced(record, path, donor[path])
        return _with_record(line, record)


def _with_record(line: Line, record: Record) -> Line:
    return Line(**{name: getattr(line, name) for name in Line.__dataclass_fields__ if name != "record"}, record=record)


def _swap_check(
    attack_id: str,
    own: Sequence[Line],
    honest: Sequence[Line],
    swap: _Swap,
    detect: Callable[[Sequence[Line]], Collection[int]],
) -> Check:
    instances = {line.instance for line in own}
    touched = {(line.tenant, line.unit) for line in own}
    honest = [line for line in honest if (line.tenant, line.unit) in touched]

    def caught(changed: Sequence[Line]) -> set[int]:
        return instances & set(detect([*honest, *changed]))

    before = caught(own)
    paths = sorted({path for line in own for path in swap.paths(line)})
    whole = caught([swap.apply(line, None) for line in own])
    count = len(instances)
    numbers = {"instances": float(count), "fields": float(len(paths))}
    numbers |= {"before": len(before) / count, "after": len(whole) / count}
    if not paths:
        reason = "every field is declared by a tell"
        return Check(test="T4", subject=attack_id, outcome=NOT_ASSESSABLE, reason=reason, numbers=numbers)
    changed = []
    for path in paths:
        found = caught([swap.apply(line, {path}) for line in own])
        if found != before:
            text = f"{path}: {len(before) / count:.2f} to {len(found) / count:.2f}"
            changed.append((_moved(before, found), text))
    # A token whose log line was lost, or an odd value among honest ones, tips an instance now and then by itself.
    sure = [one for one in [*changed, (_moved(before, whole), "")] if wilson(one[0], count)[0] > _SWAP_POINTS]
    if sure:
        outcome, reason = FAIL, "recall hangs on fields that no tell declares"
    elif not before:
        outcome, reason = NOT_ASSESSABLE, "the detector finds no instance, so that no field can be missed"
    elif changed or whole != before:
        outcome, reason = NOT_ASSESSABLE, "recall changes by no more than chance would: more instances are needed"
    else:
        outcome, reason = PASS, "recall does not change with undeclared fields"
    names = tuple(text for _, text in sorted(changed, reverse=True))
    return Check(test="T4", subject=attack_id, outcome=outcome, reason=reason, numbers=numbers, hits=names)


def _moved(before: set[int], after: set[int]) -> int:
    """Instances that a swap loses, or that it finds, whichever are more: each happens by chance by itself."""
    return max(len(before - after), len(after - before))


# ---------------------------------------------------------------- T5


def check_timing(instances: Sequence[AttackInstance], drill_dir: Path, *, seed: int = 0) -> list[Check]:
    """T5 on the instances of a drill, against the days of whoever each of them begins with.

    That is the account of its first record; where honest lines do not show it, the victims' mailboxes, else the tenant.
    """
    # The instances of a campaign share their hours by design, so that one of them speaks for all.
    shared = {one.attack_id for one in instances if any(TRACES[tell].is_shared for tell in one.tells if tell in TRACES)}
    speaks = {attack_id: min(one.instance for one in instances if one.attack_id == attack_id) for attack_id in shared}
    real = [
        one
        for one in instances
        if one.attack_id not in {GHOST, NULL} and speaks.get(one.attack_id, one.instance) == one.instance
    ]
    columns = ["tenant_id", "mailbox_key", "actor", "occurred_at", "instance", "actor_kind"]
    records = pq.read_table(drill_dir / "truth" / "records.parquet", columns=columns)
    is_honest = pc.and_(
        pc.is_null(records.column("instance")), pc.is_in(records.column("actor_kind"), value_set=pa.array(_OWNERS))
    )
    honest = records.filter(is_honest)
    hour = hour_of_week(honest.column("occurred_at").cast("int64").to_numpy())
    tenant, mailbox, actor = (
        np.array(honest.column(name).to_pylist(), dtype=object) for name in ("tenant_id", "mailbox_key", "actor")
    )
    first: dict[int, str | None] = {}
    own_records = records.filter(pc.is_valid(records.column("instance"))).sort_by("occurred_at")
    for instance, name in zip(
        own_records.column("instance").to_pylist(), own_records.column("actor").to_pylist(), strict=True
    ):
        first.setdefault(instance, name)
    activity = []
    for one in real:
        own = tenant == one.tenant
        acts = own & (actor == first.get(one.instance))
        victims = own & np.isin(mailbox, np.array(one.mailboxes, dtype=object))
        chosen = next(mask for mask in (acts, victims, own) if mask.any() or mask is own)
        activity.append(np.bincount(hour[chosen], minlength=168).astype(np.float64))
    starts = [one.first_at_us for one in real]
    return timing(starts, activity, _days_open(drill_dir, starts), stream(seed, "leaks", "T5"))


def _days_open(drill_dir: Path, starts_us: Sequence[int]) -> npt.NDArray[np.float64]:
    """How often each day of the week could be a first day: evenly, unless the drill leaves attacks less than a week."""
    path = drill_dir / "manifest.json"
    if not path.is_file():
        return np.ones(7)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    epoch = dt.date.fromisoformat(manifest["epoch"]).weekday()
    days = np.arange(manifest["warm_up_days"], manifest["days"])
    if len(days) >= 7:  # noqa: PLR2004 - `attacks._moves.begins` draws from whole weeks
        return np.ones(7)
    seen = hour_of_week(np.asarray(starts_us, dtype=np.int64)) // 24
    return np.bincount(np.concatenate([(days + epoch) % 7, seen]), minlength=7).astype(np.float64)

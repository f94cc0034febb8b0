"""How often authorised use looks strange, and how often intrusions do: counted over simulated tenants.

    tenants without attacks ─ units, marks ─▶ benign counts ┐
    tenants with attacks ──── units, marks ─▶ intrusions ───┴▶ calibration ─ other tenants ─▶ inflation, points, tails

Benign counts come from tenants that nobody attacked; in the others, owners' own sessions are neither authorised nor an
intruder's beyond doubt, because intruders ride on them. Controls are in neither. Nothing is drawn from the prior that
the evaluation measures on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import msgspec

from brokenseal import __version__
from brokenseal.drill._calibrate_fit import fit
from brokenseal.drill._calibrate_measure import (
    heaviest_of,
    inflation_of,
    points_of,
    weights_of,
    windows_of,
)
from brokenseal.drill._calibrate_observe import TenantCounts, count, count_tenant, observe
from brokenseal.drill._calibrate_plan import PRIOR, Plan, plan_of
from brokenseal.drill._calibrate_tail import tail_of
from brokenseal.drill._calibrate_text import diagnosis, screen
from brokenseal.drill._processes import run_all
from brokenseal.drill.tenant_runs import prepare

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from brokenseal.calibration import Calibration, Tail
    from brokenseal.drill._calibrate_measure import Inflation, Weight
    from brokenseal.drill._calibrate_observe import Observed
    from brokenseal.drill.tenant_runs import TenantOrder

__all__ = ["Calibrated", "Plan", "TenantCounts", "calibrate", "count_tenant", "diagnosis", "fit", "plan_of", "screen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A calibration with what was measured of it.

    Attributes:
        attacked: Counts of the tenants with attacks that it is made of.
        inflation: False alarms on tenants that nothing was counted on.
        best: Attack id to the heaviest weight of each instance on tenants that nothing was counted on, in no order.
    """

    calibration: Calibration
    attacked: tuple[TenantCounts, ...]
    inflation: tuple[Inflation, ...]
    best: dict[str, list[float]]


def calibrate(
    plan: Plan,
    work_dir: Path,
    *,
    seed: int,
    now: dt.datetime,
    processes: int = 2,
    tell: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Simulate, count and measure.

    Args:
        plan: Tenants.
        work_dir: Folder of the simulated tenants; what is there already is used again.
        seed: Of the plan, for the record.
        now: Time of the ingest.
        processes: Tenants at a time.
        tell: Called with the tenants that are simulated and all that are wanted.

    Raises:
        UsageError: The plan is impossible, or the folder cannot be written.
    """
    runs = prepare(plan.orders, work_dir, processes=processes, now=now, tell=tell)
    asked = {run.folder: (run.store, run.truth) for run in runs}
    seen: Sequence[Observed]
    if processes == 1:
        seen = [observe(*each) for each in asked.values()]
    else:
        seen = run_all(observe, list(asked.values()), processes=processes, place=str(work_dir))
    of_folder = dict(zip(asked, seen, strict=True))
    of_order = {run.order: of_folder[run.folder] for run in runs}
    parts = {field.name: [of_order[order] for order in getattr(plan, field.name)] for field in fields(plan)}
    return calibrated_of(parts, made_of(plan, seed))


def calibrated_of(parts: dict[str, list[Observed]], words: str) -> Calibrated:
    """The calibration of what was observed, by the parts of a plan.

    What is measured of it comes from the tenants for checks, and from each other one by what was counted without it.
    """
    attacked = tuple(count(one) for one in parts["attacked"])
    authorised = [count(one) for one in parts["benign"]]
    calibration = fit(authorised, attacked, made_of=words)
    honest = [
        *_left_out(parts["benign"], lambda place: fit(_without(authorised, place), attacked, made_of="")),
        *(weights_of(one, calibration) for one in parts["check_benign"]),
    ]
    intruded = [
        *_left_out(parts["attacked"], lambda place: fit(authorised, _without(attacked, place), made_of="")),
        *(weights_of(one, calibration) for one in parts["check_attacked"]),
    ]
    weeks = [one.mailbox_weeks for one in (*parts["benign"], *parts["check_benign"])][-len(honest) :]
    inflation = inflation_of(honest) if honest else ()
    best: dict[str, list[float]] = defaultdict(list)
    for tenant in intruded:
        for (attack_id, _), weight in heaviest_of(tenant).items():
            best[attack_id].append(weight)
    measured = msgspec.structs.replace(
        calibration,
        tails=_tails(honest),
        points=points_of(windows_of(zip(honest, weeks, strict=True), intruded)) if honest and intruded else (),
        inflation={one.alpha: round(one.times, 4) for one in inflation},
    )
    return Calibrated(calibration=measured, attacked=attacked, inflation=inflation, best=dict(best))


def _left_out(seen: Sequence[Observed], counted: Callable[[int], Calibration]) -> Iterator[list[Weight]]:
    """The weights of each tenant by what was counted on the others; nothing where there is but one."""
    if len(seen) > 1:
        for place, one in enumerate(seen):
            yield weights_of(one, counted(place))


def _without(counts: Sequence[TenantCounts], place: int) -> list[TenantCounts]:
    return [one for number, one in enumerate(counts) if number != place]


def _tails(tenants: Sequence[Sequence[Weight]]) -> dict[str, Tail]:
    found = {
        name: tail_of([[one.log10_e for one in weights if one.is_door is is_door] for weights in tenants])
        for name, is_door in (("clusters", False), ("doors", True))
    }
    return {name: tail for name, tail in found.items() if tail is not None}


def made_of(plan: Plan, seed: int) -> str:
    """The plan in words, for the record."""
    first = plan.benign[0]
    size = "drawn from the prior" if first.mailboxes is None else f"{first.mailboxes} mailboxes"
    return (
        f"simulated by brokenseal {__version__}, prior {PRIOR}, seed {seed}: "
        f"{_tenants(plan.benign)} without attacks and {_tenants(plan.attacked)} with them; "
        f"checked on {_tenants(plan.check_benign)} and {_tenants(plan.check_attacked)} more; "
        f"each of {size} and {first.days} days, of which {first.warm_up_days} are warm-up"
    )


def _tenants(orders: Sequence[TenantOrder]) -> str:
    return f"{len(orders)} tenant{'s' if len(orders) != 1 else ''}"

"""From the counts of single tenants to a calibration: groups, design effects, and how intrusions look."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from brokenseal.calibration import FORMAT, HABITUAL, QUIET, Calibration, Group, Intrusions, merged
from brokenseal.campaigns import merged_campaigns
from brokenseal.detectors import MARKING, open_door
from brokenseal.drill._calibrate_observe import ROOT, UNKNOWN, IntruderUnit, TenantCounts, group_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MILD: Final = "mild"
STRANGE: Final = "strange"
RECENT: Final = "recent"
GROUPS_OF: Final = {
    "8-10": MILD,
    "10-12": MILD,
    "12-14": MILD,
    "14-16": STRANGE,
    "16-18": STRANGE,
    "18-22": STRANGE,
    "22+": STRANGE,
    "recent": RECENT,
}
"""Bin of the root to group. From 14 nats on a first visit makes later ones recent, so that those above are first
visits of new clients; below, old clients are in new places. Finer groups would hold too few units to bound anything."""

_UNSEEN: Final = ""
_ONE_SIDED: Final = 0.95
_NORMAL: Final = 1.6448536269514722
_MOST_PERCENT: Final = 10_000


def fit(benign: Sequence[TenantCounts], attacked: Sequence[TenantCounts], *, made_of: str) -> Calibration:
    """The calibration of these counts; it has no points and no inflation yet.

    Args:
        benign: Tenants that nobody attacked.
        attacked: Tenants with attacks.
        made_of: What was simulated, in words.
    """
    parts: dict[str, list[Group]] = defaultdict(list)
    names = (HABITUAL, *dict.fromkeys(GROUPS_OF.values()))
    for tenant in benign:
        for name in names:
            own = (of for root, of in tenant.by_root.items() if GROUPS_OF.get(root, HABITUAL) == name)
            parts[name].append(merged(tuple(own)))
    groups = {name: with_design(parts[name]) for name in names}
    total = _with_unseen(with_design([merged(tuple(tenant.by_root.values())) for tenant in benign]))
    doors = with_design([tenant.doors for tenant in benign])
    calibration = Calibration(
        format=FORMAT,
        made_of=made_of,
        root=ROOT,
        groups_of=dict(GROUPS_OF),
        benign=groups,
        doors=doors,
        mailbox_weeks=sum(tenant.mailbox_weeks for tenant in benign),
        intrusions={},
        campaigns=merged_campaigns(tenant.campaigns for tenant in (*benign, *attacked)),
        rules=_rules(benign),
        rules_weeks=sum(tenant.rules_weeks for tenant in benign),
        total=total,
    )
    return _with(calibration, intrusions=_intrusions(attacked, calibration))


def _with_unseen(total: Group) -> Group:
    """With a zero for every bin that a detector has and nobody showed, so that it is known to be rare.

    Not for doors: their bins are combinations by the hundred, and what is spread over all of them weighs nothing.
    """
    bins = {detector_id: dict(counts) for detector_id, counts in total.bins.items()}
    for detector in MARKING:
        if detector.id != open_door.ID and total.assessed.get(detector.id):
            bins[detector.id] = dict.fromkeys(sorted(detector.bins), 0) | bins.get(detector.id, {})
    return Group(
        units=total.units,
        bins=bins,
        assessed=total.assessed,
        tenants=total.tenants,
        design_percent=total.design_percent,
    )


def _with(calibration: Calibration, **changes: object) -> Calibration:
    import msgspec

    return msgspec.structs.replace(calibration, **changes)


def _rules(benign: Iterable[TenantCounts]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for tenant in benign:
        found.update(tenant.rules)
    return dict(sorted(found.items()))


# ---------------------------------------------------------------- how alike the units of one tenant are


def with_design(parts: Sequence[Group]) -> Group:
    """The groups of several tenants added up, with how much less is known than from independent units."""
    whole = merged(tuple(parts))
    design: dict[str, dict[str, int]] = {}
    for detector_id in sorted(whole.assessed):
        exposed = [part.of(detector_id) for part in parts]
        # What was never seen shows no spread over tenants; that they are few counts all the same.
        design[detector_id] = {_UNSEEN: design_percent([0] * len(parts), exposed)}
        for name in whole.bins.get(detector_id, {}):
            design[detector_id][name] = design_percent([part.count(detector_id, name) for part in parts], exposed)
    return Group(
        units=whole.units,
        bins=whole.bins,
        assessed=whole.assessed,
        tenants=sum(bool(part.units) for part in parts),
        design_percent=design,
    )


def design_percent(counts: Sequence[int], exposed: Sequence[int]) -> int:
    """The design effect of a share over tenants, times 100, at least 100.

    The variance of the ratio estimator over tenants, over that of as many independent units; times the square of
    Student's to the normal quantile, because that variance is itself estimated from few tenants (Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts", 1998).

    Args:
        counts: Units that show it, by tenant.
        exposed: Units looked at, by tenant.
    """
    from scipy.special import stdtrit

    pairs = [(count, of) for count, of in zip(counts, exposed, strict=True) if of]
    tenants, units, found = len(pairs), sum(of for _, of in pairs), sum(count for count, _ in pairs)
    if tenants < 2:  # noqa: PLR2004 - nothing can be said of how one tenant differs from others
        return 100
    scarce = (float(stdtrit(tenants - 1, _ONE_SIDED)) / _NORMAL) ** 2
    share = found / units
    if not 0 < share < 1:
        return round(100 * scarce)
    spread = sum((count - share * of) ** 2 for count, of in pairs) * tenants / (tenants - 1)
    effect = max(spread / (units * share * (1 - share)), 1.0)
    return min(round(100 * effect * scarce), _MOST_PERCENT)


# ---------------------------------------------------------------- intrusions


def _intrusions(attacked: Iterable[TenantCounts], benign: Calibration) -> dict[str, Intrusions]:
    """Per attack, the heaviest unit of each instance in each mailbox.

    Whoever reads a mailbox for weeks is strange once: over all of their units, the one that tells would be lost among
    those that follow it. Which units of intruders are counted decides about power, and never about validity.
    """
    units: dict[str, list[tuple[int, IntruderUnit]]] = defaultdict(list)
    for number, tenant in enumerate(attacked):
        for unit in tenant.intruders:
            units[unit.attack_id].append((number, unit))
    found: dict[str, Intrusions] = {}
    for attack_id in sorted(units):
        own = units[attack_id]
        heaviest: dict[tuple[int, int, str], tuple[float, str, IntruderUnit]] = {}
        for number, unit in own:
            place = (number, unit.instance, unit.mailbox)
            weight = (surprise(unit, benign), unit.unit, unit)
            heaviest[place] = max(heaviest.get(place, weight), weight, key=lambda one: one[:2])
        instances = len({(number, unit.instance) for number, unit in own})
        found[attack_id] = _kind(instances, [unit for _, _, unit in heaviest.values()])
    return found


def _kind(instances: int, units: Sequence[IntruderUnit]) -> Intrusions:
    whole = group_of(unit.said for unit in units)
    return Intrusions(
        instances=instances,
        units=whole.units,
        bins=whole.bins,
        clusters=group_of(unit.said for unit in units if not unit.is_door),
        doors=group_of(unit.said for unit in units if unit.is_door),
    )


def surprise(unit: IntruderUnit, benign: Calibration) -> float:
    """How seldom an authorised unit looks like this one: minus the decimal logarithm of its share, as bounded."""
    group = benign.benign[benign.group_of(_fired(unit.said, benign.root))]
    found = 0.0
    for detector_id, name in unit.said.items():
        if name in {QUIET, UNKNOWN}:
            continue
        counts = benign.doors if unit.is_door else benign.overall if detector_id == benign.root else group
        found -= math.log10(counts.upper(detector_id, name))
    return found


def _fired(said: Mapping[str, str], detector_id: str) -> str | None:
    name = said.get(detector_id, QUIET)
    return None if name in {QUIET, UNKNOWN} else name

"""A calibration in words: what it was made of, how authorised use and intrusions look, and how far to trust it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from brokenseal.calibration import QUIET
from brokenseal.drill._calibrate_observe import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from brokenseal.calibration import Calibration, Group
    from brokenseal.drill._calibrate_measure import Inflation
    from brokenseal.drill._calibrate_observe import TenantCounts

_SPREAD: Final = 150
"""A design effect above so many per cent is worth a line."""


def screen(calibration: Calibration, inflation: Sequence[Inflation], best: Mapping[str, Sequence[float]]) -> list[str]:
    """Lines that sum a calibration up."""
    doors = calibration.doors
    lines = [
        f"Calibration ({calibration.made_of})",
        "All of it is simulated: it says how the product behaves in the drill, and bounds nothing in the world.",
        "",
        (
            f"Authorised: {calibration.units:,} session clusters and {doors.units:,} changes of configuration "
            f"in {calibration.mailbox_weeks:,.0f} simulated mailbox-weeks without any attack."
        ),
    ]
    lines += [f"  {name}: {group.units:,}" for name, group in calibration.benign.items()]
    lines += ["", "Detector and bin: units in all | by group | design effect | upper 95 % bound over all"]
    lines += list(_bins(calibration))
    lines += ["", "Intrusions (the heaviest unit of each mailbox): instances, units, where they show"]
    for attack_id, kind in calibration.intrusions.items():
        shown = ", ".join(
            f"{detector_id}={name} {number}"
            for detector_id, bins in kind.bins.items()
            for name, number in sorted(bins.items(), key=lambda one: -one[1])[:2]
        )
        lines.append(f"  {attack_id}: {kind.instances}, {kind.units}: {shown or 'nowhere'}")
    lines += ["", "False alarms on attack-free tenants that were not counted (measured over nominal share):"]
    lines += [
        f"  1 in {1 / float(one.alpha):,.0f}: {one.alarms:,} of {one.units:,}, {one.times:.2f} times "
        f"(at most {one.upper:.2f} at 95 %)"
        for one in inflation
    ]
    lines += list(_tails(calibration))
    lines += ["", *_rules(calibration)]
    if best:
        lines += ["", "Heaviest unit of each intrusion on tenants that were not counted, log10 of the weight:"]
        lines += [
            f"  {attack_id}: " + ", ".join(f"{weight:.1f}" for weight in sorted(weights, reverse=True))
            for attack_id, weights in sorted(best.items())
        ]
    return lines


def _bins(calibration: Calibration) -> Iterator[str]:
    for whole, label in ((calibration.overall, ""), (calibration.doors, " (doors)")):
        for detector_id in sorted(whole.bins):
            for name, number in sorted(whole.bins[detector_id].items()):
                if not number:
                    continue
                design = whole.design_percent.get(detector_id, {}).get(name, 100)
                groups = "" if label else f" | {_by_group(calibration.benign, detector_id, name)}"
                spread = f" | design {design / 100:.1f}" if design >= _SPREAD else ""
                upper = whole.upper(detector_id, name)
                yield f"  {detector_id}={name}{label}: {number:,}{groups}{spread} | {upper:.1e}"


def _tails(calibration: Calibration) -> Iterator[str]:
    for name, tail in sorted(calibration.tails.items()):
        yield (
            f"  Tail of {name}: {tail.beyond:,} of {tail.units:,} weigh more than {tail.from_millibans / 1000:.2f}, "
            f"about a third of those {tail.step_millibans / 1000:.2f} more, and so on"
        )


def _rules(calibration: Calibration) -> Iterator[str]:
    """Kinds of findings that authorised use showed; of the others, how seldom they are at least."""
    weeks = calibration.rules_weeks
    if not weeks:
        return
    never = sum(number == 0 for number in calibration.rules.values())
    yield f"Findings on authorised use in {weeks:,.0f} simulated mailbox-weeks, warm-up included:"
    for name, number in sorted(calibration.rules.items(), key=lambda one: (-one[1], one[0])):
        if number:
            yield f"  {name}: {number:,}"
    yield f"  {never} other kinds: none, which is at most {3000 / weeks:.2g} in 1,000 mailbox-weeks for each of them"
    opening = calibration.opening
    seen = [name for name, number in opening.items() if number]
    yield f"  {len(opening)} kinds open a case by rule, those among them that were seen: {', '.join(seen) or 'none'}"


def _by_group(groups: Mapping[str, Group], detector_id: str, name: str) -> str:
    return ", ".join(
        f"{group} {of.count(detector_id, name):,}" for group, of in groups.items() if of.count(detector_id, name)
    )


def diagnosis(calibration: Calibration, attacked: Iterable[TenantCounts]) -> list[str]:
    """A Markdown table: what each simulated intrusion showed, and how seldom authorised use shows it."""
    shown: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    instances: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for number, tenant in enumerate(attacked):
        for unit in tenant.intruders:
            key = (unit.attack_id, unit.stealth)
            instance = (number, unit.instance)
            said = {f"{detector_id}={name}" for detector_id, name in unit.said.items() if name not in {QUIET, UNKNOWN}}
            if instance not in instances[key]:
                instances[key].add(instance)
            shown[key].update(said)
    lines = [
        "| attack | stealth | instances | detector and bin (units; upper bound of the authorised share) |",
        "|---|---|---|---|",
    ]
    for key in sorted(shown):
        cells = [f"{name} ({number}; {_bound(calibration, name):.0e})" for name, number in shown[key].most_common(8)]
        lines.append(f"| {key[0]} | {key[1]} | {len(instances[key])} | {'; '.join(cells) or 'nothing'} |")
    return lines


def _bound(calibration: Calibration, shown: str) -> float:
    detector_id, _, name = shown.partition("=")
    whole = calibration.overall
    if name not in whole.bins.get(detector_id, {}) and name in calibration.doors.bins.get(detector_id, {}):
        whole = calibration.doors
    return whole.upper(detector_id, name)

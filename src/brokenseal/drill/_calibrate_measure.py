"""What weights come to on tenants that nothing was counted on: false alarms beside their bound, likelihood ratios.

Both rest on *simulated* tenants of the prior that was counted on, of other seeds.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.calibration import Point, lower_share, upper_share
from brokenseal.fusion import weigh
from brokenseal.likelihood import WINDOW_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from brokenseal.calibration import Calibration
    from brokenseal.drill._calibrate_observe import Observed

ALPHAS: Final = ("1e-2", "1e-3", "1e-4", "1e-5")
"""Nominal shares of false alarms; 1 / alpha is the threshold."""
EDGES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
"""Decimal logarithms of weights at which steps of the map begin; below the first is one step more."""
LEAST_CASES: Final = 5
"""A step that fewer intrusions reach is joined with its neighbour."""
_LOWEST: Final = -3.0
_MILLI: Final = 1000


class Weight(NamedTuple):
    """One unit after the warm-up, with its weight."""

    place: str
    at: dt.datetime
    log10_e: float
    instance: int | None
    attack_id: str | None
    is_control: bool
    is_door: bool


def weights_of(observed: Observed, calibration: Calibration) -> list[Weight]:
    """The weight of every unit after the warm-up."""
    weighed = weigh(observed.units, observed.marks, calibration)
    rows = observed.units.to_pylist()
    return [
        Weight(
            row["mailbox_key"] or "",
            row["first_at"],
            weight,
            row["instance"],
            row["attack_id"],
            row["is_control"],
            row["is_door"],
        )
        for row, weight in zip(rows, weighed.log10_e.tolist(), strict=True)
        if row["is_scored"]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflation:
    """False alarms at one threshold.

    Attributes:
        alpha: Nominal share.
        alarms: Authorised units at least as heavy as 1 / alpha.
        units: Authorised units.
    """

    alpha: str
    alarms: int
    units: int

    @property
    def times(self) -> float:
        """How many times the nominal share was measured."""
        return self.alarms / self.units / float(self.alpha) if self.units else 0.0

    @property
    def upper(self) -> float:
        """Its upper 95 % bound, as if units were independent."""
        return upper_share(self.alarms, self.units) / float(self.alpha)


def inflation_of(benign: Iterable[Sequence[Weight]]) -> tuple[Inflation, ...]:
    """Measured beside nominal false alarms, over the units of attack-free tenants."""
    weights = [one.log10_e for tenant in benign for one in tenant if one.instance is None and not one.is_control]
    return tuple(
        Inflation(
            alpha=alpha, alarms=sum(weight >= -math.log10(float(alpha)) for weight in weights), units=len(weights)
        )
        for alpha in ALPHAS
    )


# ---------------------------------------------------------------- the map from weights to likelihood ratios


class Step(NamedTuple):
    """One step before smoothing: shares of mailbox windows and of intruded mailboxes whose heaviest unit is in it."""

    log10_from: float
    benign: float
    intruded: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What the map is made of, in the unit of evidence that it is for: one mailbox over `WINDOW_DAYS`.

    Attributes:
        benign: By step, windows of attack-free tenants whose heaviest unit is in it.
        n_benign: All such windows.
        intruded: By step, mailboxes of instances; each instance counts once, however many mailboxes it had.
        n_intruded: Instances.
    """

    benign: tuple[float, ...]
    n_benign: float
    intruded: tuple[float, ...]
    n_intruded: int


def windows_of(benign: Iterable[tuple[Sequence[Weight], float]], attacked: Iterable[Sequence[Weight]]) -> Windows:
    """Count heaviest units.

    Args:
        benign: Of each attack-free tenant, its weights and its mailbox-weeks.
        attacked: Of each tenant with attacks, its weights.
    """
    honest, of_intruders = [0.0] * (len(EDGES) + 1), [0.0] * (len(EDGES) + 1)
    n_honest, n_instances = 0.0, 0
    for weights, weeks in benign:
        n_honest += weeks * 7 / WINDOW_DAYS
        for weight, share in _heaviest_windows(weights):
            honest[_step(weight)] += share
    for weights in attacked:
        of_instance: dict[int, dict[str, float]] = defaultdict(dict)
        for one in weights:
            if one.instance is not None:
                own = of_instance[one.instance]
                own[one.place] = max(own.get(one.place, one.log10_e), one.log10_e)
        n_instances += len(of_instance)
        for places in of_instance.values():
            for weight in places.values():
                of_intruders[_step(weight)] += 1 / len(places)
    # Mailboxes that nobody used in a window have no unit: nothing there is strange.
    honest[0] += max(n_honest - sum(honest), 0.0)
    return Windows(
        benign=tuple(honest), n_benign=max(n_honest, sum(honest)), intruded=tuple(of_intruders), n_intruded=n_instances
    )


def _step(log10_e: float) -> int:
    return bisect_right(EDGES, log10_e)


def _heaviest_windows(weights: Sequence[Weight]) -> Iterator[tuple[float, float]]:
    """The heaviest unit of each place in each window, with the part of a whole window that the last one covers."""
    own = [one for one in weights if one.instance is None and not one.is_control]
    if not own:
        return
    first = min(one.at for one in own)
    last = max(one.at for one in own)
    length = dt.timedelta(days=WINDOW_DAYS)
    heaviest: dict[tuple[str, int], float] = {}
    for one in own:
        key = (one.place, (one.at - first) // length)
        heaviest[key] = max(heaviest.get(key, one.log10_e), one.log10_e)
    for (_, number), weight in heaviest.items():
        part = min((last - (first + number * length)) / length, 1.0)
        yield weight, max(part, 0.0)


def points_of(windows: Windows) -> tuple[Point, ...]:
    """The isotonic map, by pooling adjacent violators (Ayer and others 1955)."""
    blocks: list[list[float]] = []
    for number, (benign, intruded) in enumerate(zip(windows.benign, windows.intruded, strict=True)):
        if benign + intruded == 0:
            continue
        low = _LOWEST if number == 0 else EDGES[number - 1]
        blocks.append([low, benign, intruded])
        while len(blocks) > 1 and _ratio(blocks[-2], windows) >= _ratio(blocks[-1], windows):
            _, benign_above, intruded_above = blocks.pop()
            blocks[-1][1] += benign_above
            blocks[-1][2] += intruded_above
    return tuple(_point(block, windows) for block in _thick(blocks))


def _thick(blocks: list[list[float]]) -> list[list[float]]:
    """Steps that few intrusions reach joined with those above or, at the top, below: alone they would say nothing."""
    found: list[list[float]] = []
    for block in reversed(blocks):
        if found and (found[-1][2] < LEAST_CASES or (block[2] < LEAST_CASES and block is not blocks[0])):
            found[-1] = [block[0], block[1] + found[-1][1], block[2] + found[-1][2]]
        else:
            found.append(list(block))
    return found[::-1]


def _ratio(block: Sequence[float], windows: Windows) -> float:
    """With half a window added to each side, so that empty ones have a ratio."""
    _, benign, intruded = block
    return ((intruded + 0.5) / (windows.n_intruded + 1)) / ((benign + 0.5) / (windows.n_benign + 1))


def _point(block: Sequence[float], windows: Windows) -> Point:
    """A step with an interval from the ends of both shares' 95 % one-sided bounds, which is wider than 90 %."""
    low_from, benign, intruded = block
    most, least = round(benign + 0.499), int(benign)
    n_benign = round(windows.n_benign)
    shares = (
        lower_share(int(intruded), windows.n_intruded),
        upper_share(round(intruded + 0.499), windows.n_intruded),
    )
    floor = 0.05 / max(windows.n_intruded, 1)
    low = max(shares[0], floor) / upper_share(most, n_benign)
    high = max(shares[1], floor) / max(lower_share(least, n_benign), 0.05 / max(n_benign, 1))
    return Point(
        millibans=round(_MILLI * low_from),
        ratio_millibans=_millibans(_ratio(block, windows)),
        low_millibans=_millibans(low),
        high_millibans=_millibans(high),
        cases=round(intruded),
    )


def _millibans(ratio: float) -> int:
    return round(_MILLI * math.log10(ratio))


def heaviest_of(weights: Iterable[Weight]) -> Mapping[tuple[str, int], float]:
    """The heaviest weight of each instance: attack id and instance."""
    found: dict[tuple[str, int], float] = {}
    for one in weights:
        if one.instance is not None and one.attack_id is not None:
            key = (one.attack_id, one.instance)
            found[key] = max(found.get(key, one.log10_e), one.log10_e)
    return found

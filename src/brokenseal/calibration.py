"""How often authorised use looks strange, and how often intrusions do: counts on *simulated* tenants, by bin.

The counts are shipped with the product as `data/calibration.json`, written by `brokenseal drill calibrate`. Validity
of a case rests on the benign counts alone; those of intrusions decide only how soon one is found.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Final

import msgspec

FORMAT: Final = 1
CONFIDENCE: Final = 0.95
"""Of the upper bound of a benign share."""
SMALLEST_SHARE: Final = 1e-6
"""No share is believed to be smaller, however many units were counted (a simulator is no world)."""
DEPENDENCE: Final = 20.0
"""Where two strange things were never counted together, the second is taken to be so many times likelier after the
first than alone; a statement that leans on it says so."""

QUIET: Final = "quiet"
HABITUAL: Final = "habitual"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Units alike in their strangeness, the root of the dependence between detectors.

    Attributes:
        units: Units counted.
        bins: Detector id to bin to units that show it.
    """

    units: int
    bins: dict[str, dict[str, int]] = {}


class Intrusions(msgspec.Struct, frozen=True, kw_only=True):
    """What the units of one kind of intrusion looked like.

    Attributes:
        instances: Simulated intrusions.
        units: Units of theirs.
        bins: Detector id to bin to units that show it.
    """

    instances: int
    units: int
    bins: dict[str, dict[str, int]] = {}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the isotonic map from the weight of a case to its likelihood ratio.

    Attributes:
        millibans: From this weight on.
        ratio_millibans: 1,000 times the decimal logarithm of the likelihood ratio that was observed.
        low_millibans: Lower end of its 90 % interval.
        high_millibans: Upper end of it.
        cases: Simulated cases behind it.
    """

    millibans: int
    ratio_millibans: int
    low_millibans: int
    high_millibans: int
    cases: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The counts.

    Attributes:
        format: Version of this form.
        made_of: In words: what was simulated, with seed, prior and product version.
        root: Detector whose bins make the groups.
        groups_of: Bin of the root to group; quiet and unknown bins are `habitual`.
        benign: Group to its counts, over units of mail access.
        doors: Counts over units that are changes of configuration.
        mailbox_weeks: Mailbox-weeks behind the benign counts.
        intrusions: Attack id to its counts.
        points: From weight to likelihood ratio, ascending; empty before it was fitted.
        inflation: Nominal share of false alarms to how many times that was measured, by threshold as text.
    """

    format: int
    made_of: str
    root: str
    groups_of: dict[str, str]
    benign: dict[str, Group]
    doors: Group
    mailbox_weeks: float
    intrusions: dict[str, Intrusions]
    points: tuple[Point, ...] = ()
    inflation: dict[str, float] = {}

    @property
    def units(self) -> int:
        """All benign units of mail access."""
        return sum(group.units for group in self.benign.values())

    def group_of(self, root_bin: str | None) -> str:
        """The group of a unit with this bin of the root."""
        return self.groups_of.get(root_bin or QUIET, HABITUAL)

    def bins_of(self, detector_id: str) -> tuple[str, ...]:
        """Every bin of a detector that was counted anywhere, sorted."""
        found: set[str] = set()
        for bins in (
            *(group.bins for group in (*self.benign.values(), self.doors)),
            *(kind.bins for kind in self.intrusions.values()),
        ):
            found |= set(bins.get(detector_id, ()))
        return tuple(sorted(found))


def upper_share(count: int, of: int) -> float:
    """Upper 95 % bound of a share (Clopper and Pearson 1934); 1 where nothing was counted."""
    if of <= 0 or count >= of:
        return 1.0
    from scipy.special import betaincinv

    return max(float(betaincinv(count + 1, of - count, CONFIDENCE)), SMALLEST_SHARE)


def lower_share(count: int, of: int) -> float:
    """Lower 95 % bound of a share; 0 where nothing was counted."""
    if of <= 0 or count <= 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(count, of - count + 1, 1 - CONFIDENCE))


def encode(calibration: Calibration) -> bytes:
    """The calibration as JSON with a final line feed; equal counts give equal bytes."""
    text = msgspec.json.encode(calibration, order="deterministic")
    return msgspec.json.format(text, indent=1) + b"\n"


def decode(content: bytes) -> Calibration:
    """The calibration of these bytes.

    Raises:
        msgspec.ValidationError: The bytes are JSON, but no calibration.
        msgspec.DecodeError: The bytes are no JSON.
    """
    return msgspec.json.decode(content, type=Calibration)


@functools.cache
def shipped() -> Calibration:
    """The calibration that comes with the product."""
    return decode(resources.files("brokenseal").joinpath("data/calibration.json").read_bytes())


def merged(parts: tuple[Group, ...]) -> Group:
    """The counts of several groups added up."""
    bins: dict[str, dict[str, int]] = {}
    for part in parts:
        for detector_id, counts in part.bins.items():
            own = bins.setdefault(detector_id, {})
            for name, count in counts.items():
                own[name] = own.get(name, 0) + count
    return Group(units=sum(part.units for part in parts), bins=bins)

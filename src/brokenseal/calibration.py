"""How often authorised use looks strange, and how often intrusions do: counts on *simulated* tenants, by bin.

The counts are shipped with the product as `data/calibration.json`, written by `brokenseal drill calibrate`. Validity
of a case rests on the benign counts alone; those of intrusions decide only how soon one is found.
"""

from __future__ import annotations

import functools
import math
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

RULES_BUDGET: Final = 2e-4
"""False cases a mailbox-week that all rules together may have shown where they were counted: one in 100 weeks of 50
mailboxes. It is above what weights are held to, because fewer could not be told from none in what was counted."""

QUIET: Final = "quiet"
HABITUAL: Final = "habitual"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Units alike in their strangeness, the root of the dependence between detectors.

    Attributes:
        units: Units counted.
        bins: Detector id to bin to units that show it.
        assessed: Detector id to units that it could assess; all of them where it is not named.
        tenants: Simulated tenants that they come from; 0 where nobody counted.
        design_percent: Detector id to bin to its design effect, times 100: so many times less is known than from as
            many independent units. 100 where it is not named. The key "" stands for bins never seen.
    """

    units: int
    bins: dict[str, dict[str, int]] = {}
    assessed: dict[str, int] = {}
    tenants: int = 0
    design_percent: dict[str, dict[str, int]] = {}

    def count(self, detector_id: str, name: str) -> int:
        """Units that show the bin."""
        return self.bins.get(detector_id, {}).get(name, 0)

    def of(self, detector_id: str) -> int:
        """Units that the detector could assess."""
        return self.assessed.get(detector_id, self.units)

    def upper(self, detector_id: str, name: str) -> float:
        """Upper 95 % bound of the bin's share of the units that the detector could assess."""
        design = self.design_percent.get(detector_id, {})
        percent = design.get(name, design.get("", 100))
        return upper_share(self.count(detector_id, name), self.of(detector_id), percent / 100)


class Intrusions(msgspec.Struct, frozen=True, kw_only=True):
    """What the units of one kind of intrusion looked like.

    Attributes:
        instances: Simulated intrusions.
        units: Units of theirs.
        bins: Detector id to bin to units that show it.
        clusters: Those of the units that are session clusters; None where they were not counted apart.
        doors: Those that are changes of configuration; None as well.
    """

    instances: int
    units: int
    bins: dict[str, dict[str, int]] = {}
    clusters: Group | None = None
    doors: Group | None = None


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


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """How the weights of authorised units thin out at the heavy end, measured on tenants that nothing was counted on.

    Beyond `from_millibans` the share of heavier units falls by about a factor of e for each `step_millibans`.

    Attributes:
        from_millibans: Where the tail begins, 1,000 times the decimal logarithm of the weight.
        beyond: Authorised units heavier than that.
        units: All of them.
        share_upper_ppb: Upper 95 % bound of the share beyond, parts per billion.
        step_millibans: Mean excess.
        independent: As how many independent excesses were behind the mean; the fewer, the heavier the end is taken.
        tenants: Simulated tenants that they come from.
    """

    from_millibans: int
    beyond: int
    units: int
    share_upper_ppb: int
    step_millibans: int
    independent: int
    tenants: int

    def threshold(self, share: float) -> float:
        """Decimal logarithm of the weight that this share of authorised units is expected to reach."""
        rarer = math.log(max(self.share_upper_ppb / 1e9 / share, 1.0))
        # The quantile of the predictive distribution of one more excess, given the mean of so many.
        excess = self.independent * math.expm1(rarer / self.independent)
        return (self.from_millibans + self.step_millibans * excess) / 1000


class CampaignLaw(msgspec.Struct, frozen=True, kw_only=True):
    """How often suspicious units of authorised use look like one hand in several mailboxes.

    Attributes:
        units: Suspicious units of one group that were counted.
        campaigns: Bin of a campaign to campaigns that such a unit stands in.
        members: The same, to such units in them: one cause makes many, so that only campaigns are independent.
    """

    units: int
    campaigns: dict[str, int] = {}
    members: dict[str, int] = {}


class Campaigns(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of new values that reach several mailboxes.

    Attributes:
        benign: Group of suspicious units to their law, in attack-free tenants.
        intruders: Suspicious units of intruders that were counted.
        members: Bin of a campaign to units of intruders in such a campaign.
    """

    benign: dict[str, CampaignLaw] = {}
    intruders: int = 0
    members: dict[str, int] = {}


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
        tails: `clusters` and `doors` to how their weights thin out; a kind of which too few were counted has none.
        campaigns: How far new values reach; None before that was counted.
        rules: `<detector>/<variant>` to findings of it on authorised use, zeros too; empty before they were counted.
        rules_weeks: Mailbox-weeks in which they were counted.
        total: All benign units of mail access together, with design effects of their own; None where they were not
            counted so.
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
    tails: dict[str, Tail] = {}
    campaigns: Campaigns | None = None
    rules: dict[str, int] = {}
    rules_weeks: float = 0.0
    total: Group | None = None

    @property
    def overall(self) -> Group:
        """All benign units of mail access together."""
        return merged(tuple(self.benign.values())) if self.total is None else self.total

    @property
    def units(self) -> int:
        """All benign units of mail access."""
        return sum(group.units for group in self.benign.values())

    @property
    def opening(self) -> dict[str, int]:
        """The findings that open a case by rule, as `rules` has them: the rarest on authorised use.

        Rarest first, for as long as all of them together were seen no more often than `RULES_BUDGET` allows; kinds that
        were seen equally often are taken together or not at all. To ask for none at all would take a rule away for one
        mishap in however many weeks, so that more counting would find less.
        """
        if not self.rules_weeks:
            return {name: number for name, number in self.rules.items() if not number}
        found: dict[str, int] = {}
        for number in sorted(set(self.rules.values())):
            more = {name: seen for name, seen in self.rules.items() if seen == number}
            if sum(found.values()) + sum(more.values()) > RULES_BUDGET * self.rules_weeks:
                break
            found |= more
        return found

    def may_open(self, detector_id: str, variant: str) -> bool:
        """Whether a finding may open a case by rule."""
        return f"{detector_id}/{variant}" in self.opening

    def group_of(self, root_bin: str | None) -> str:
        """The group of a unit with this bin of the root."""
        return self.groups_of.get(root_bin or QUIET, HABITUAL)

    def bins_of(self, detector_id: str) -> tuple[str, ...]:
        """Every bin of a detector that was counted anywhere, zeros too, sorted."""
        found: set[str] = set()
        for bins in (
            *(group.bins for group in (*self.benign.values(), self.overall, self.doors)),
            *(kind.bins for kind in self.intrusions.values()),
        ):
            found |= set(bins.get(detector_id, ()))
        return tuple(sorted(found))


def upper_share(count: int, of: int, design: float = 1.0) -> float:
    """Upper 95 % bound of a share (Clopper and Pearson 1934); 1 where nothing was counted.

    Args:
        count: Units that show it.
        of: Units looked at.
        design: Design effect: units of one tenant are alike, so that they tell as much as `of / design` independent
            ones (Korn and Graubard 1998).
    """
    if of <= 0 or count >= of:
        return 1.0
    from scipy.special import betaincinv

    return max(float(betaincinv(count / design + 1, (of - count) / design, CONFIDENCE)), SMALLEST_SHARE)


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
    """The counts of several groups added up; nothing is known of how alike the units of the sum are."""
    bins: dict[str, dict[str, int]] = {}
    for part in parts:
        for detector_id, counts in part.bins.items():
            own = bins.setdefault(detector_id, {})
            for name, count in counts.items():
                own[name] = own.get(name, 0) + count
    named = sorted({detector_id for part in parts for detector_id in part.assessed})
    return Group(
        units=sum(part.units for part in parts),
        bins=bins,
        assessed={detector_id: sum(part.of(detector_id) for part in parts) for detector_id in named},
        tenants=max((part.tenants for part in parts), default=0),
    )

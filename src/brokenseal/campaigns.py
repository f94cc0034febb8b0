"""Are these one hand? Suspicious units of several mailboxes that share what was new in their tenant.

    tables, marks ─ suspects ─▶ units and what they show ─ linked ─▶ components ─ weighed ─▶ campaigns

A campaign has a weight of its own: the mean, over its mailboxes, of the e-value of the heaviest unit in each, times
e_camp, the ratio of how often intruders' and authorised suspicious units stand in a campaign of that reach. Members
are never multiplied, because they share causes.

The weight speaks against the null "no member is an intrusion", for the family of all campaigns of a store. Why the
budget holds: components do not overlap, and each has two mailboxes or more, so that the sum of their means is at most
half the sum of e(u) e_camp(u) over all units u. The mean of that is at most half the number of units, if

- the bounds behind e(u) hold (see `fusion`), and
- among authorised suspicious units of one group (how strange the client is), standing in a campaign of some reach does
  not depend on what else is strange about the unit.

Hence campaigns cost at most half of the budget of false cases that the units themselves may spend, on top of it. No
independence between the members is assumed, nor that components were chosen without looking at weights. The weight
does not say that every member is an intrusion: an owner's new telephone at the intruder's network joins as well.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal._campaign_links import DAY_US, KINDS, Component, linked
from brokenseal._campaign_rhythm import rhythm
from brokenseal._campaign_values import GROUPS, suspects
from brokenseal.calibration import CampaignLaw, Campaigns, upper_share
from brokenseal.clusters import clusters_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from brokenseal._campaign_links import Node
    from brokenseal._campaign_rhythm import Rhythm
    from brokenseal.calibration import Calibration
    from brokenseal.judgement import Judgement
    from brokenseal.model import Tables

REACH_DAYS: Final = 14
"""Mailboxes count that are reached within so many days."""
LISTED: Final = 20
"""So many shared values of a campaign are given, the most telling first."""
_REACHES: Final = (("11+", 11), ("6-10", 6), ("3-5", 3), ("2", 2))
_NEWS: Final = ("place+client", "place", "other")
_UNFORESEEN: Final = 0.1
_STAKE: Final = 0.5
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLI: Final = 1000

BINS: Final = tuple(f"{new}:{reach}" for new in _NEWS for reach, _ in _REACHES)
"""Classes of campaigns: which values are new in the tenant, and how many mailboxes were reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedValue:
    """One value that members of a campaign share.

    Attributes:
        kind: One of `_campaign_links.KINDS`.
        n_units: Members that show it.
        first_at: When a log of one of their tenants first showed it.
        is_new: Whether it was new in a tenant when the members brought it.
    """

    kind: str
    value: str
    n_units: int
    first_at: dt.datetime
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Suspicious units that one hand may have left in several mailboxes.

    Attributes:
        units: Session clusters and doors.
        millibans: 1,000 times the decimal logarithm of its weight.
        factor_millibans: The same of e_camp alone, of the member for which it is smallest; 0 where none was counted.
        bin: One of `BINS`; None where no tenant by itself holds two of its mailboxes, which was never counted.
        values: What links them, the most telling first; `LISTED` at most.
        mailboxes: Mailboxes, and accounts that opened doors; sorted.
        tenants: Sorted; more than one where the same hand shows in several tenants of the store.
        first_at: When its first unit began.
    """

    units: frozenset[str]
    millibans: int
    factor_millibans: int
    bin: str | None
    values: tuple[SharedValue, ...]
    mailboxes: tuple[str, ...]
    tenants: tuple[str, ...]
    first_at: dt.datetime

    def opens(self, judgement: Judgement) -> bool:
        """Whether its members open a case together."""
        return self.millibans >= _MILLI * judgement.threshold


def campaigns(
    tables: Tables, marks: Mapping[str, pa.Table], judgement: Judgement, calibration: Calibration
) -> tuple[Campaign, ...]:
    """Every campaign in the store, by time.

    Args:
        tables: As `judgement.clustered` gives them.
        marks: As `judgement.run_marks` gives them.
        judgement: The weights of the units.
        calibration: Its `campaigns` are counted on simulated tenants; without them e_camp is 1.
    """
    nodes, background = suspects(tables, marks)
    law = calibration.campaigns
    found = []
    for component in linked(nodes, background):
        name = bin_of(component)
        factors = {group: factor(name, group, law) for group in {node.group for node in component.nodes}}
        heaviest: dict[tuple[str, str], float] = {}
        for node in component.nodes:
            own = (judgement.weight_of(node.unit) or 0.0) + factors[node.group]
            place = (node.tenant, node.subject)
            heaviest[place] = max(heaviest.get(place, -math.inf), own)
        found.append(
            Campaign(
                units=frozenset(node.unit for node in component.nodes),
                millibans=round(_MILLI * _log10_mean(list(heaviest.values()))),
                factor_millibans=round(_MILLI * min(factors.values())),
                bin=name,
                values=_values(component, {key: one.first_us for key, one in background.carried.items()}),
                mailboxes=tuple(sorted({node.subject for node in component.nodes})),
                tenants=tuple(sorted({node.tenant for node in component.nodes})),
                first_at=_time(component.nodes[0].first_us),
            )
        )
    return tuple(found)


def _log10_mean(weights: Sequence[float]) -> float:
    top = max(weights)
    return top + math.log10(math.fsum(10 ** (weight - top) for weight in weights) / len(weights))


def _time(at_us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=at_us)


def _values(component: Component, firsts: Mapping[tuple[str, str, str], int]) -> tuple[SharedValue, ...]:
    carriers = Counter(value for node in component.nodes for value in node.values)
    tenants = {node.tenant for node in component.nodes}
    found = [
        SharedValue(
            kind=value[0],
            value=value[1],
            n_units=carriers[value],
            first_at=_time(min(firsts[tenant, *value] for tenant in tenants if (tenant, *value) in firsts)),
            is_new=is_new,
        )
        for value, is_new in component.values
    ]
    order = list(KINDS)
    found.sort(
        key=lambda one: (
            not (one.is_new and KINDS[one.kind].tells),
            order.index(one.kind),
            -one.n_units,
            one.value,
        )
    )
    return tuple(found[:LISTED])


# ---------------------------------------------------------------- the benign law


def bin_of(component: Component) -> str | None:
    """Which values are new and how many mailboxes of one tenant were reached within `REACH_DAYS`; None for one."""
    reached: dict[str, set[str]] = defaultdict(set)
    begun: dict[str, int] = {}
    for node in component.nodes:
        since_us = node.first_us - begun.setdefault(node.tenant, node.first_us)
        if since_us <= REACH_DAYS * DAY_US:
            reached[node.tenant].add(node.subject)
    most = max(len(subjects) for subjects in reached.values())
    families = {KINDS[value[0]].family for value, is_new in component.values if is_new}
    new = _NEWS[0] if {"place", "client"} <= families else _NEWS[1] if "place" in families else _NEWS[2]
    return next((f"{new}:{name}" for name, least in _REACHES if most >= least), None)


def factor(name: str | None, group: str, law: Campaigns | None) -> float:
    """Decimal logarithm of e_camp for one unit: how much more often intruders' units stand in such a campaign.

    e_camp = 1/2 + 1/2 f1 / f0, the half that is not staked being what keeps few counts from doing harm. f0 is an upper
    bound of the share among authorised units: from the number of campaigns, because their members share a cause, times
    the members that one has. A tenth of what intruders do is taken to be unforeseen, in any class alike.
    """
    if name is None or law is None or group not in law.benign or not law.intruders:
        return 0.0
    own = law.benign[group]
    seen = own.campaigns.get(name, 0)
    least = next(number for reach, number in _REACHES if name.endswith(f":{reach}"))
    size = own.members.get(name, 0) / seen if seen else least
    benign = min(1.0, upper_share(seen, own.units) * max(size, 1.0))
    known = law.members.get(name, 0) / law.intruders
    intruder = (1 - _UNFORESEEN) * known + _UNFORESEEN / len(BINS)
    return math.log10(1 - _STAKE + _STAKE * intruder / benign)


def count_campaigns(
    tables: Tables, marks: Mapping[str, pa.Table], intruders: frozenset[str] | None = None
) -> Campaigns:
    """What one simulated tenant adds to the counts.

    Args:
        tables: As `judgement.clustered` gives them.
        marks: As `judgement.run_marks` gives them. No weights are needed, so that this can be counted first.
        intruders: Units that truth says are an intruder's; None for an attack-free tenant, which alone counts for the
            benign law.
    """
    nodes, background = suspects(tables, marks)
    components = linked(nodes, background)
    if intruders is not None:
        members: Counter[str] = Counter()
        for component in components:
            name = bin_of(component)
            if name is not None:
                members[name] += sum(node.unit in intruders for node in component.nodes)
        own = {name: number for name, number in sorted(members.items()) if number}
        return Campaigns(intruders=sum(node.unit in intruders for node in nodes), members=own)
    return Campaigns(benign={group: _law(group, nodes, components) for group in GROUPS})


def _law(group: str, nodes: Iterable[Node], components: Iterable[Component]) -> CampaignLaw:
    seen: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for component in components:
        name = bin_of(component)
        own = sum(node.group == group for node in component.nodes)
        if name is not None and own:
            seen[name] += 1
            members[name] += own
    return CampaignLaw(
        units=sum(node.group == group for node in nodes),
        campaigns=dict(sorted(seen.items())),
        members=dict(sorted(members.items())),
    )


def merged_campaigns(parts: Iterable[Campaigns]) -> Campaigns:
    """The counts of several tenants added up."""
    laws: dict[str, list[CampaignLaw]] = defaultdict(list)
    members: Counter[str] = Counter()
    intruders = 0
    for part in parts:
        for group, law in part.benign.items():
            laws[group].append(law)
        members.update(part.members)
        intruders += part.intruders
    benign = {
        group: CampaignLaw(
            units=sum(law.units for law in own),
            campaigns=_sum(law.campaigns for law in own),
            members=_sum(law.members for law in own),
        )
        for group, own in sorted(laws.items())
    }
    return Campaigns(benign=benign, intruders=intruders, members=dict(sorted(members.items())))


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


# ---------------------------------------------------------------- context without a weight


def rhythm_of(tables: Tables, units: Iterable[str]) -> Rhythm | None:
    """The rhythm of session clusters beside all others of their mailboxes, by when each began.

    Args:
        tables: As `judgement.clustered` gives them.
        units: Clusters; doors among them are left out.
    """
    wanted = set(units)
    rows = clusters_of(tables)
    mailboxes = rows.filter(rows.cluster.isin(sorted(wanted))).select("tenant_id", "mailbox_key").distinct()
    near = rows.semi_join(mailboxes, [rows.tenant_id.identical_to(mailboxes.tenant_id), "mailbox_key"])
    found = near.select("cluster", "first_at").to_pyarrow()
    own: list[float] = []
    usual: list[float] = []
    for unit, at in zip(found.column("cluster").to_pylist(), found.column("first_at").to_pylist(), strict=True):
        (own if unit in wanted else usual).append(at.hour + at.minute / 60)
    return rhythm(own, usual)


# ---------------------------------------------------------------- between tenants that do not show each other anything

_EXCHANGED: Final = ("address", "narrow_network", "application", "credential", "destination", "rule_name")
"""Kinds that mean the same in every tenant."""


class Indicator(NamedTuple):
    """One shared value as it may be shown to others."""

    kind: str
    digest: str
    first_at: dt.datetime


def indicator(key: bytes, kind: str, value: str) -> str:
    """A value as HMAC-SHA-256 under a key, in hexadecimal.

    Whoever lacks the key learns nothing but equality. Whoever has it can try all addresses there are, so that lists
    should be compared by somebody without the key.

    Raises:
        ValueError: The key is shorter than 16 bytes.
    """
    if len(key) < _SHORTEST_KEY:
        msg = f"the key has {len(key)} bytes; expected {_SHORTEST_KEY} or more"
        raise ValueError(msg)
    return hmac.new(key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()


_SHORTEST_KEY: Final = 16


def indicators(found: Campaign, key: bytes) -> tuple[Indicator, ...]:
    """The new values of a campaign, to be compared with those of other tenants under the same key."""
    return tuple(
        Indicator(one.kind, indicator(key, one.kind, one.value), one.first_at)
        for one in found.values
        if one.is_new and one.kind in _EXCHANGED
    )


def in_several(lists: Mapping[str, Iterable[Indicator]]) -> dict[str, tuple[str, ...]]:
    """Digests that stand in the lists of two tenants or more, with the names of those lists. No key is needed."""
    names: dict[str, set[str]] = defaultdict(set)
    for name, given in lists.items():
        for one in given:
            names[one.digest].add(name)
    return {digest: tuple(sorted(own)) for digest, own in sorted(names.items()) if len(own) > 1}

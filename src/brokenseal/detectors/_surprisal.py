"""How surprising is a client in a mailbox, given everything before? Hierarchical Pitman-Yor back-off, one pass in time.

A mailbox is asked first, then the people of its usual network, then the tenant, then the world, which knows nothing:

    P_l(x) = (max(c_l(x) - d, 0) + (theta_l + d T_l) P_parent(x)) / (C_l + theta_l)

c counts mailbox-days (half-life 60 days) in the mailbox, and first adopters above it, so that one chatty client is one
adopter (Teh, "A hierarchical Bayesian language model based on Pitman-Yor processes", 2006, with one table per type).
Every client is judged by the strict past, then learnt.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

DISCOUNT: Final = 0.6
STRENGTHS: Final = (3.0, 20.0, 50.0)
"""Of mailbox, group and tenant: so many observations outweigh the level above."""
HALF_LIFE_DAYS: Final = 60.0
ADOPTION_DAYS: Final = 5.0
"""A client that colleagues took up lately is likelier by what decays in so many days."""
FIRST_ADOPTION_DAYS: Final = 180.0
"""A client unknown to the tenant comes up once in so long, in half of the tenants."""
DAY_US: Final = 86_400_000_000


class Seen(NamedTuple):
    """One session cluster as it is judged.

    Attributes:
        unit: Its id.
        tenant: Tenant.
        mailbox: Mailbox.
        app: Client application and protocol.
        network: Network.
        agent: Machine and program.
        at_us: First record, microseconds since 1970.
        is_vouched: A device that its owner had used before signed in interactively from this network lately.
    """

    unit: str
    tenant: str
    mailbox: str
    app: str
    network: str
    agent: str
    at_us: int
    is_vouched: bool = False


class Surprise(NamedTuple):
    """What one cluster's client comes to.

    Attributes:
        unit: The cluster.
        app_nats: Surprisal of the application in this mailbox; not a number where nobody asked for it.
        network_nats: Surprisal of the network, given the kind of application; likewise.
        agent_nats: Surprisal of the agent, given the application; likewise.
        since_days: Days since this client was first seen in this mailbox; -1 for the first time.
        first_nats: Surprisal when it was first seen there.
        history_days: Days since the first cluster of this mailbox.
        tenant_days: Days since the first cluster of the tenant.
        peers: Other mailboxes of the tenant that had used the application.
    """

    unit: str
    app_nats: float
    network_nats: float
    agent_nats: float
    since_days: float
    first_nats: float
    history_days: float
    tenant_days: float
    peers: int

    @property
    def nats(self) -> float:
        """Surprisal of the client as a whole."""
        return self.app_nats + self.network_nats + self.agent_nats


@dataclass(slots=True)
class _Table:
    """Counts of one context."""

    counts: dict[str, float] = field(default_factory=dict)
    total: float = 0.0

    def add(self, value: str, weight: float) -> bool:
        """Count a value; True where it is new here."""
        is_new = value not in self.counts
        self.counts[value] = self.counts.get(value, 0.0) + weight
        self.total += weight
        return is_new

    def probability(self, value: str, parent: float, strength: float, scale: float = 1.0) -> float:
        """The predictive probability, counts multiplied by `scale` (what they have decayed to)."""
        total = self.total * scale
        count = self.counts.get(value, 0.0) * scale
        # Undecayed counts are 1 or more; a decayed one may be less than its discount, and gives what it has.
        given = (
            DISCOUNT * len(self.counts)
            if scale == 1.0
            else sum(min(DISCOUNT, held * scale) for held in self.counts.values())
        )
        return (max(count - DISCOUNT, 0.0) + (strength + given) * parent) / (total + strength)


class _Restaurants:
    """The levels of one kind of value: mailbox, group, tenant, world."""

    def __init__(self, world: dict[str, float], unknown: float) -> None:
        # There is no list of well-known applications: forged and stolen tokens ride through exactly these.
        self._world, self._unknown = world, unknown
        self._tables: dict[Hashable, _Table] = defaultdict(_Table)
        self._examples: set[tuple[Hashable, str]] = set()

    def probability(self, value: str, levels: tuple[Hashable, Hashable, Hashable], scale: float) -> float:
        """Of the value at the mailbox (first of `levels`), whose counts have decayed to `scale`."""
        mailbox, group, tenant = levels
        found = self._world.get(value, 0.0) + self._unknown
        found = self._at(tenant).probability(value, found, STRENGTHS[2])
        found = self._at(group).probability(value, found, STRENGTHS[1])
        return self._at(mailbox).probability(value, found, STRENGTHS[0], scale)

    def learn(
        self, value: str, levels: tuple[Hashable, Hashable, Hashable], weight: float, *, is_example: bool
    ) -> None:
        """Count the value; a level above counts it once per mailbox, when it is an example to others."""
        mailbox, group, tenant = levels
        self._tables[mailbox].add(value, weight)
        if is_example and (mailbox, value) not in self._examples:
            self._examples.add((mailbox, value))
            if self._tables[group].add(value, 1.0):
                self._tables[tenant].add(value, 1.0)

    def _at(self, level: Hashable) -> _Table:
        return self._tables.get(level, _EMPTY)


_EMPTY: Final = _Table()


@dataclass(slots=True)
class _Mailbox:
    """What one mailbox has shown: clients with their first visit, days on which they were counted, networks."""

    since_us: int
    first: dict[tuple[str, str, str], tuple[int, float]] = field(default_factory=dict)
    counted_day: dict[tuple[str, str, str], int] = field(default_factory=dict)
    networks: dict[str, int] = field(default_factory=dict)
    network_day: dict[str, int] = field(default_factory=dict)
    group: str = ""

    def is_usual(self, network: str) -> bool:
        """Whether the network has been used on enough days."""
        return network == "MS" or self.networks.get(network, 0) >= _USUAL_DAYS


@dataclass(slots=True)
class _App:
    """Who has taken an application up, and how many did so lately."""

    users: set[str] = field(default_factory=set)
    intensity: float = 0.0
    at_days: float = 0.0

    def without(self, mailbox: str) -> int:
        """How many users there are beside one mailbox."""
        return len(self.users) - (mailbox in self.users)


_GROUP_AFTER_DAYS: Final = 14
_USUAL_DAYS: Final = 5
"""A network used on so many days is a mailbox's own, and what is done from it is an example to others."""
_VOUCHED: Final = 1 / 75
"""Share of days on which somebody begins a journey."""
_UNKNOWN_APP: Final = 1e-6
_UNKNOWN_NETWORK: Final = 1e-5
_UNKNOWN_AGENT: Final = 1e-3


def surprises(clusters: Iterable[Seen], *, every_visit: bool = True) -> list[Surprise]:
    """Judge clusters one after the other.

    Args:
        clusters: In any order; they are judged by time, then unit.
        every_visit: Whether surprisal is worked out for later visits of a client too, of which there are thirty to one
            first visit. It changes nothing in what is learnt.

    Returns: One per cluster, in the order of time.
    """
    listed = sorted(clusters, key=lambda one: (one.at_us, one.unit))
    if not listed:
        return []
    judge = _Judge(start_us=listed[0].at_us, every_visit=every_visit)
    return [judge.judge(one) for one in listed]


_NOT_ASKED: Final = (math.nan, math.nan, math.nan)


class _Judge:
    """The state of one pass."""

    def __init__(self, *, start_us: int, every_visit: bool) -> None:
        self._start_us = start_us
        self._every_visit = every_visit
        self._apps = _Restaurants({}, _UNKNOWN_APP)
        self._networks = _Restaurants({"MS": 0.5}, _UNKNOWN_NETWORK)
        self._agents = _Restaurants({}, _UNKNOWN_AGENT)
        self._mailboxes: dict[tuple[str, str], _Mailbox] = {}
        self._tenants: dict[str, int] = {}
        self._sizes: dict[str, int] = defaultdict(int)
        self._adopted: dict[tuple[str, str], _App] = defaultdict(_App)

    def judge(self, seen: Seen) -> Surprise:
        days = (seen.at_us - self._start_us) / DAY_US
        mailbox = self._mailbox(seen)
        client = (seen.app, seen.network, seen.agent)
        is_first = client not in mailbox.first
        parts = self._parts(seen, mailbox, days) if is_first or self._every_visit else _NOT_ASKED
        nats = sum(parts)
        first_us, first_nats = mailbox.first.get(client, (seen.at_us, nats))
        surprise = Surprise(
            seen.unit,
            *parts,
            since_days=-1.0 if is_first else (seen.at_us - first_us) / DAY_US,
            first_nats=first_nats,
            history_days=(seen.at_us - mailbox.since_us) / DAY_US,
            tenant_days=(seen.at_us - self._tenants[seen.tenant]) / DAY_US,
            peers=self._adopted[seen.tenant, seen.app].without(seen.mailbox),
        )
        self._learn(seen, mailbox, client, nats, days)
        return surprise

    def _mailbox(self, seen: Seen) -> _Mailbox:
        self._tenants.setdefault(seen.tenant, seen.at_us)
        key = (seen.tenant, seen.mailbox)
        if key not in self._mailboxes:
            self._mailboxes[key] = _Mailbox(since_us=seen.at_us)
            self._sizes[seen.tenant] += 1
        mailbox = self._mailboxes[key]
        if not mailbox.group and seen.at_us - mailbox.since_us >= _GROUP_AFTER_DAYS * DAY_US:
            usual = max(mailbox.networks, key=lambda name: (mailbox.networks[name], name), default="-")
            mailbox.group = usual
        return mailbox

    def _parts(self, seen: Seen, mailbox: _Mailbox, days: float) -> tuple[float, float, float]:
        scale = 2.0 ** (-days / HALF_LIFE_DAYS)
        group = mailbox.group or "-"
        app = self._apps.probability(seen.app, _levels(seen, group, ""), scale)
        app = max(app, self._adoption(seen, days))
        kind = _kind(seen)
        network = self._networks.probability(seen.network, _levels(seen, group, kind), scale)
        if seen.is_vouched:
            network = max(network, _VOUCHED)
        agent = self._agents.probability(seen.agent, _levels(seen, group, seen.app), scale)
        return -math.log(min(app, 1.0)), -math.log(min(network, 1.0)), -math.log(min(agent, 1.0))

    def _adoption(self, seen: Seen, days: float) -> float:
        """Share of the mailboxes without the application that take it up, given who did so lately."""
        adopted = self._adopted[seen.tenant, seen.app]
        eligible = max(self._sizes[seen.tenant] - len(adopted.users), 1)
        recent = adopted.intensity * math.exp(-(days - adopted.at_days) / ADOPTION_DAYS)
        base = 1 / (2 * self._sizes[seen.tenant] * FIRST_ADOPTION_DAYS)
        # The first adopter in the tenant is as surprising as the levels say; the base rate is for later ones.
        return 1 - math.exp(-(recent + base) / eligible) if adopted.users else 0.0

    def _learn(self, seen: Seen, mailbox: _Mailbox, client: tuple[str, str, str], nats: float, days: float) -> None:
        # Only who comes from a network of their own makes a client likelier for others: an intruder who goes through
        # mailbox after mailbox from one place cannot make itself usual. In the beginning everything is an example.
        is_beginning = seen.at_us - self._tenants[seen.tenant] < _GROUP_AFTER_DAYS * DAY_US
        is_example = is_beginning or seen.is_vouched or mailbox.is_usual(seen.network)
        mailbox.first.setdefault(client, (seen.at_us, nats))
        adopted = self._adopted[seen.tenant, seen.app]
        if seen.mailbox not in adopted.users:
            recent = adopted.intensity * math.exp(-(days - adopted.at_days) / ADOPTION_DAYS)
            adopted.intensity, adopted.at_days = recent + float(is_example), days
            adopted.users.add(seen.mailbox)
        if mailbox.counted_day.get(client) == int(days):
            return
        mailbox.counted_day[client] = int(days)
        if seen.network != "MS" and mailbox.network_day.get(seen.network) != int(days):
            mailbox.network_day[seen.network] = int(days)
            mailbox.networks[seen.network] = mailbox.networks.get(seen.network, 0) + 1
        weight, group = 2.0 ** (days / HALF_LIFE_DAYS), mailbox.group or "-"
        self._apps.learn(seen.app, _levels(seen, group, ""), weight, is_example=is_example)
        self._networks.learn(seen.network, _levels(seen, group, _kind(seen)), weight, is_example=is_example)
        self._agents.learn(seen.agent, _levels(seen, group, seen.app), weight, is_example=is_example)


def _kind(seen: Seen) -> str:
    """Programs of one kind share their networks: those inside Microsoft's, and those on the user's machines."""
    return "ms" if seen.network == "MS" else "out"


def _levels(seen: Seen, group: str, given: str) -> tuple[Hashable, Hashable, Hashable]:
    return (
        ("m", seen.tenant, seen.mailbox, given),
        ("g", seen.tenant, group, given),
        ("t", seen.tenant, given),
    )

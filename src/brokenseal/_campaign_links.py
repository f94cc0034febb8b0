"""Which suspicious units one hand may have left: links over what they share, and nothing else. No tables are read here.

Two units link where one choice of shared values, at most one of each family, makes one hand likelier than two:

    sum over the choice of ln(sigma_v / pi_v)  >  ln 10,000

sigma_v is how often one hand shows the value again, a constant of policy. pi_v is how often an authorised unit of the
tenant shows it. Values of one family imply each other (an address implies its network), so that only one of them
counts. Some value that no tenant knew before must be among them, other than an application, or a session, which is
always new.

Work grows with the units and not with their pairs: units are gathered by the values of a choice, and whoever carries
all of them is in one group. Equal to looking at every pair, because the sum depends on the choice and not on the pair.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DAY_US: Final = 86_400_000_000
NEW_DAYS: Final = 14
"""A value is new in a tenant for so many days after it was first seen, and never in the first so many of the logs."""
LINK_NATS: Final = math.log(1e4)
"""From here on two units are taken for one hand's."""
FLOOR: Final = 1e-4
"""No value is believed to be rarer among authorised units. One value of one family therefore never links alone."""
KEY_FLOOR: Final = 1e-6
"""The same for keys, which are made to be unlike any other."""
NARROW_FLOOR: Final = 2e-3
NETWORK_FLOOR: Final = 5e-3
"""The same for networks: whoever travels or moves comes to one of a few hundred operators."""
_GAP_US: Final = 14 * DAY_US
"""What shows a value again after so long is another story."""
_PAIR: Final = 2
_MOST_CHOICES: Final = 4096
"""A unit with more choices shows so many clients and places that it links by its rarest values alone."""


class Kind(NamedTuple):
    """One kind of value that units may share.

    Attributes:
        family: Kinds of one family imply each other.
        sigma: Share of one hand's units that show it again.
        floor: Smallest share among authorised units that is believed.
        tells: Whether one that is new in the tenant says more than that something new began: applications are rolled
            out, and every session is new.
        smoothing: Carriers that are counted beside those seen, because few units make no value rare; none for keys,
            of which no two are alike by chance.
    """

    family: str
    sigma: float
    floor: float = FLOOR
    tells: bool = True
    smoothing: float = 0.5


KINDS: Final = {
    "address": Kind("place", 0.5),
    "narrow_network": Kind("place", 0.6, NARROW_FLOOR),
    "network": Kind("place", 0.8, NETWORK_FLOOR),
    "application": Kind("client", 0.9, tells=False),
    "application_agent": Kind("client", 0.6, tells=False),
    "actor": Kind("actor", 0.9),
    "session": Kind("actor", 0.9, tells=False),
    "token": Kind("actor", 0.9, tells=False),
    "credential": Kind("credential", 0.9, KEY_FLOOR, smoothing=0.0),
    "destination": Kind("destination", 0.9),
    "rule_name": Kind("rule", 0.5),
}
"""What units may share, the most exact of each family first."""

Value = tuple[str, str]
"""Kind and value."""


class Node(NamedTuple):
    """One suspicious unit.

    Attributes:
        unit: Its id.
        tenant: Its tenant.
        subject: Whose mail it touched: the mailbox of a session cluster, the mailbox or actor of a door.
        first_us: When it began, microseconds since 1970.
        group: Class of its own strangeness, for the benign law.
        values: What it shows.
    """

    unit: str
    tenant: str
    subject: str
    first_us: int
    group: str
    values: frozenset[Value]


class Carried(NamedTuple):
    """One value in one tenant.

    Attributes:
        authorised: Units that show it and are not suspicious, in mailboxes to which no suspicious unit brought it.
        first_us: When any log of the tenant first showed it.
    """

    authorised: int
    first_us: int


class Background(NamedTuple):
    """What is usual.

    Attributes:
        carried: (tenant, kind, value) to its carriers.
        totals: (tenant, kind) to units that show any value of the kind.
        starts_us: Tenant to the first record of its logs.
    """

    carried: Mapping[tuple[str, str, str], Carried]
    totals: Mapping[tuple[str, str], int]
    starts_us: Mapping[str, int]

    def is_new(self, tenant: str, value: Value, by_us: int) -> bool:
        """Whether a value was new in a tenant when the unit that shows it first began."""
        found = self.carried.get((tenant, *value))
        if found is None:
            return False
        known_us = found.first_us - self.starts_us.get(tenant, found.first_us)
        return known_us >= NEW_DAYS * DAY_US and by_us - found.first_us <= NEW_DAYS * DAY_US

    def nats(self, tenant: str, value: Value, others: int) -> float:
        """How much the value speaks for one hand, with `others` suspicious units of other mailboxes that show it."""
        kind = KINDS[value[0]]
        found = self.carried.get((tenant, *value))
        carriers = others + (0 if found is None else found.authorised)
        share = (carriers + kind.smoothing) / (max(self.totals.get((tenant, value[0]), 0), carriers) + 1)
        return math.log(kind.sigma / max(share, kind.floor))


class Component(NamedTuple):
    """Units that one hand may have left.

    Attributes:
        nodes: By time, then unit.
        values: The shared values that link them, sorted, each with whether it was new in a tenant of theirs.
    """

    nodes: tuple[Node, ...]
    values: tuple[tuple[Value, bool], ...]


def linked(nodes: Iterable[Node], background: Background) -> list[Component]:
    """Every component with two mailboxes or more, by time; equal for every order of the nodes."""
    given = sorted({node.unit: node for node in nodes}.values(), key=_by_time)
    crowd = _crowd(given)
    parents = list(range(len(given)))
    used: dict[int, dict[Value, bool]] = defaultdict(dict)
    for choice, members in _runs(given, crowd):
        tenants, new = _together(choice, [given[index] for index in members], crowd, background)
        numbers = [index for index in members if given[index].tenant in tenants]
        if len({_subject(given[index]) for index in numbers}) < _PAIR:
            continue
        for index in numbers:
            _union(parents, numbers[0], index)
        for value in choice:
            used[numbers[0]][value] = used[numbers[0]].get(value, False) or value in new
    return _components(given, parents, used)


def _by_time(node: Node) -> tuple[int, str]:
    return node.first_us, node.unit


def _subject(node: Node) -> tuple[str, str]:
    return node.tenant, node.subject


class _Crowd(NamedTuple):
    """Who shows each value that two mailboxes or more show.

    Attributes:
        nodes: Value to nodes that show it.
        of_tenant: The same within one tenant.
        of_subject: The same within one mailbox.
    """

    nodes: Counter[Value]
    of_tenant: Counter[tuple[str, Value]]
    of_subject: Counter[tuple[str, str, Value]]

    def apart(self, tenant: str, subjects: Iterable[str], value: Value) -> int:
        """Nodes of other mailboxes of the tenant that show the value."""
        own = sum(self.of_subject[tenant, subject, value] for subject in subjects)
        return self.of_tenant[tenant, value] - own


def _crowd(given: Sequence[Node]) -> _Crowd:
    of_subject = Counter((*_subject(node), value) for node in given for value in node.values)
    mailboxes = Counter(value for _, _, value in of_subject)
    nodes: Counter[Value] = Counter()
    of_tenant: Counter[tuple[str, Value]] = Counter()
    for (tenant, _, value), number in of_subject.items():
        if mailboxes[value] >= _PAIR:
            nodes[value] += number
            of_tenant[tenant, value] += number
    return _Crowd(nodes, of_tenant, of_subject)


def _choices(given: Sequence[Node], crowd: _Crowd) -> dict[tuple[Value, ...], list[int]]:
    """Every choice of shared values, at most one of each family, with the nodes that show all of them."""
    found: dict[tuple[Value, ...], list[int]] = defaultdict(list)
    for index, node in enumerate(given):
        for choice in choices_of([value for value in node.values if value in crowd.nodes], crowd.nodes):
            found[choice].append(index)
    return found


def _runs(given: Sequence[Node], crowd: _Crowd) -> Iterator[tuple[tuple[Value, ...], list[int]]]:
    """Every choice with the nodes that show it, in runs without a long silence."""
    for choice, members in _choices(given, crowd).items():
        begin = 0
        for end in range(1, len(members) + 1):
            if end == len(members) or given[members[end]].first_us - given[members[end - 1]].first_us > _GAP_US:
                yield choice, members[begin:end]
                begin = end


def choices_of(values: Iterable[Value], carriers: Mapping[Value, int]) -> Iterator[tuple[Value, ...]]:
    """The choices of one unit. Of too many, those of its values that fewest other units show."""
    families: dict[str, list[Value]] = defaultdict(list)
    for value in sorted(values, key=lambda value: (carriers[value], value)):
        families[KINDS[value[0]].family].append(value)
    lists = [families[name] for name in sorted(families)]
    while math.prod(len(one) + 1 for one in lists) > _MOST_CHOICES:
        max(lists, key=len).pop()
    for picked in itertools.product(*([None, *one] for one in lists)):
        choice = tuple(value for value in picked if value is not None)
        if choice:
            yield choice


def _together(
    choice: tuple[Value, ...], members: Sequence[Node], crowd: _Crowd, background: Background
) -> tuple[frozenset[str], frozenset[Value]]:
    """The tenants in which whoever shows the choice is one hand, and the values of it that are new in one of them."""
    first_us: dict[str, int] = {}
    subjects: dict[str, set[str]] = defaultdict(set)
    for node in members:
        first_us[node.tenant] = min(first_us.get(node.tenant, node.first_us), node.first_us)
        subjects[node.tenant].add(node.subject)
    tenants: set[str] = set()
    new: set[Value] = set()
    for tenant, begun_us in first_us.items():
        fresh = {value for value in choice if background.is_new(tenant, value, begun_us)}
        # A new application in places that the tenant knew is a roll-out, however few have it yet.
        if not any(KINDS[value[0]].tells for value in fresh):
            continue
        apart = {value: crowd.apart(tenant, subjects[tenant], value) for value in choice}
        nats = [background.nats(tenant, value, apart[value]) for value in choice]
        # What speaks against one hand is left to the choice without it, which more units share.
        if min(nats) > 0 and sum(nats) > LINK_NATS:
            tenants.add(tenant)
            new |= fresh
    return frozenset(tenants), frozenset(new)


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _union(parents: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first


def _components(given: Sequence[Node], parents: list[int], used: Mapping[int, Mapping[Value, bool]]) -> list[Component]:
    members: dict[int, list[Node]] = defaultdict(list)
    values: dict[int, dict[Value, bool]] = defaultdict(dict)
    for index, node in enumerate(given):
        members[_root(parents, index)].append(node)
    for index, links in used.items():
        own = values[_root(parents, index)]
        for value, is_new in links.items():
            own[value] = own.get(value, False) or is_new
    return [
        Component(nodes=tuple(members[root]), values=tuple(sorted(links.items())))
        for root, links in sorted(values.items())
    ]

"""Where connections come from: providers with pools of addresses, and lines whose leases run out.

Every provider is invented. Its addresses are taken from blocks of which next to nothing is announced on the internet,
its system number is a private one, and its IPv6 prefixes are those set aside for documentation.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.drill.second_generator.clock import DAY
from brokenseal.drill.second_generator.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BLOCKS: Final = (6, 7, 11, 21, 22, 26, 28, 29, 30, 33, 55, 214, 215)
_POOL_SIZE: Final = 1 << 14
_FIRST_ASN: Final = 64512


class Country(NamedTuple):
    """A country with the place where everybody there lives, its offset from UTC in hours, and its language."""

    code: str
    city: str
    offset_h: int
    language: str


COUNTRIES: Final = (
    Country("FR", "Lyon", 1, "fr"),
    Country("DE", "Bremen", 1, "de"),
    Country("GB", "Leeds", 0, "en"),
    Country("US", "Denver", -7, "en"),
    Country("CA", "Halifax", -4, "en"),
    Country("JP", "Sendai", 9, "en"),
    Country("NL", "Utrecht", 1, "en"),
    Country("BR", "Recife", -3, "en"),
)

_SYLLABLES: Final = ("nor", "vel", "tan", "mir", "qua", "sol", "bri", "dex", "lum", "fer")
_WORDS: Final = {
    "home": "Broadband",
    "mobile": "Mobile",
    "hotel": "Guest Access",
    "cloud": "Hosting",
    "office": "Fibre",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider.

    Attributes:
        kind: home, mobile, hotel, cloud or office.
        pools: First address of each of its pools of 16,384.
        exits: Addresses of a pool that are in use; few where many customers share one.
        lease_days: Mean days for which a customer keeps an address.
        prefix6: Prefix of its IPv6 addresses; empty for none.
    """

    name: str
    asn: int
    kind: str
    country: Country
    pools: tuple[int, ...]
    exits: int
    lease_days: float
    prefix6: str = ""


class Net(NamedTuple):
    """Where one connection comes from."""

    address: str
    provider: Provider
    pool: int


def dotted(number: int) -> str:
    """An IPv4 address as text."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def connect(provider: Provider, dice: Dice, *, pool: int | None = None) -> Net:
    """An address of the provider, of this pool of it if one is named."""
    chosen = dice.pick(provider.pools) if pool is None else pool
    number = chosen + dice.below(provider.exits)
    if provider.prefix6 and dice.chance(_SHARE_6):
        return Net(f"{provider.prefix6}:{dice.below(1 << 16):x}::{1 + dice.below((1 << 16) - 1):x}", provider, chosen)
    return Net(dotted(number), provider, chosen)


_SHARE_6: Final = 0.25


class World(NamedTuple):
    """All providers, by kind and country code; the clouds are everybody's."""

    by_kind: Mapping[tuple[str, str], tuple[Provider, ...]]
    clouds: tuple[Provider, ...]

    def of(self, kind: str, country: Country) -> tuple[Provider, ...]:
        """The providers of one kind in a country."""
        return self.by_kind[kind, country.code]

    def elsewhere(self, country: Country) -> tuple[Provider, ...]:
        """The home providers of all other countries."""
        return tuple(
            provider
            for (kind, code), providers in self.by_kind.items()
            if kind == "home" and code != country.code
            for provider in providers
        )


_KINDS: Final = (
    # kind, providers in each country, pools, addresses in use of each pool, mean days of a lease
    ("home", 3, 3, _POOL_SIZE, 45.0),
    ("mobile", 2, 1, 96, 0.1),
    ("hotel", 1, 2, 1200, 1.0),
    ("office", 2, 1, 4000, 4000.0),
)
_CLOUDS: Final = 6


def build_world(seed: int) -> World:
    """The providers of a drill; tenants share them."""
    dice = Dice(seed, "world")
    taken: set[int] = set()
    number = 0

    def provider(kind: str, country: Country, pools: int, exits: int, lease_days: float) -> Provider:
        nonlocal number
        number += 1
        bases: list[int] = []
        while len(bases) < pools:
            base = (dice.pick(_BLOCKS) << 24) + (dice.below(1 << 10) << 14)
            if base not in taken:
                taken.add(base)
                bases.append(base)
        name = "".join(dice.pick(_SYLLABLES) for _ in range(3)).capitalize()
        return Provider(
            name=f"{name} {_WORDS[kind]}",
            asn=_FIRST_ASN + number,
            kind=kind,
            country=country,
            pools=tuple(bases),
            exits=exits,
            lease_days=lease_days * dice.about(1.0, 0.8),
            prefix6=f"2001:db8:{number:x}" if kind in {"home", "mobile"} and dice.chance(0.5) else "",
        )

    by_kind = {
        (kind, country.code): tuple(provider(kind, country, pools, exits, lease) for _ in range(providers))
        for country in COUNTRIES
        for kind, providers, pools, exits, lease in _KINDS
    }
    clouds = tuple(provider("cloud", dice.pick(COUNTRIES), 3, _POOL_SIZE, 30.0) for _ in range(_CLOUDS))
    return World(by_kind, clouds)


@dataclass(slots=True)
class Line:
    """A line with an address that changes when its lease runs out, and a provider that changes when its owner moves."""

    starts: list[int] = field(default_factory=list)
    nets: list[Net] = field(default_factory=list)

    def at(self, moment: int) -> Net:
        """The connection at this time."""
        return self.nets[max(bisect.bisect_right(self.starts, moment) - 1, 0)]


def rent(providers: Sequence[Provider], dice: Dice, *, start: int, end: int, moves_per_year: float) -> Line:
    """A line over a time; its owner changes the provider now and then."""
    line = Line()
    provider, at = dice.pick(providers), start
    moves_at = at + int(dice.wait(365 / moves_per_year) * DAY)
    pool = dice.pick(provider.pools)
    while at < end:
        line.starts.append(at)
        line.nets.append(connect(provider, dice, pool=pool))
        at += int(max(dice.wait(provider.lease_days), 0.02) * DAY)
        if at >= moves_at:
            provider, at = dice.pick(providers), moves_at
            pool = dice.pick(provider.pools)
            moves_at = at + int(dice.wait(365 / moves_per_year) * DAY)
    return line


def back_end(dice: Dice) -> str:
    """An address inside the service itself, as its own programs show it."""
    return f"2603:10{dice.pick('abc')}6:{0x200 + dice.below(0x400):x}:{dice.below(0x1F0):x}::{dice.below(0x1FF):x}"

"""The networks of the drill's world: homes, mobile carriers, offices, hotels, hosting, clouds, proxies, Microsoft.

One internet serves all tenants of a drill, so that no address or autonomous system belongs to an intruder alone: the
exits of residential proxies are the very home pools of everybody else. No address is anybody's: IPv4 comes from the
benchmark and documentation ranges (RFC 2544, RFC 5737), IPv6 from 2001:db8::/32 (RFC 3849), and autonomous system
numbers are private (RFC 6996). The one exception are Microsoft's back-end ranges, which the product must recognise
(Microsoft 365 URLs and IP address ranges).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

CITIES: Final = (
    ("FR", "Paris", "Europe/Paris"),
    ("FR", "Lyon", "Europe/Paris"),
    ("FR", "Lille", "Europe/Paris"),
    ("DE", "Berlin", "Europe/Berlin"),
    ("DE", "Munich", "Europe/Berlin"),
    ("GB", "London", "Europe/London"),
    ("GB", "Manchester", "Europe/London"),
    ("ES", "Madrid", "Europe/Madrid"),
    ("NL", "Amsterdam", "Europe/Amsterdam"),
    ("US", "New York", "America/New_York"),
    ("US", "Washington", "America/New_York"),
    ("US", "Chicago", "America/Chicago"),
    ("US", "San Francisco", "America/Los_Angeles"),
    ("CA", "Toronto", "America/Toronto"),
    ("BR", "São Paulo", "America/Sao_Paulo"),
    ("JP", "Tokyo", "Asia/Tokyo"),
    ("SG", "Singapore", "Asia/Singapore"),
    ("IN", "Bengaluru", "Asia/Kolkata"),
    ("AU", "Sydney", "Australia/Sydney"),
)
"""Country, city and time zone."""
COUNTRIES: Final = tuple(dict.fromkeys(country for country, _, _ in CITIES))

KINDS: Final = (
    "home",
    "mobile",
    "office",
    "hotel",
    "venue",
    "hosting",
    "cloud",
    "security_proxy",
    "consumer_vpn",
    "microsoft",
)
HOME, MOBILE, OFFICE, HOTEL, VENUE, HOSTING, CLOUD, SECURITY_PROXY, CONSUMER_VPN, MICROSOFT = range(len(KINDS))

NETWORK_DTYPE: Final = np.dtype(
    [
        ("kind", np.int8),  # index into KINDS
        ("asn", np.int64),
        ("country", np.int16),  # index into COUNTRIES; -1 for networks without one
        ("city", np.int16),  # index into CITIES; -1 for nation-wide networks
        ("block", np.int32),  # first of its IPv4 blocks of 256 addresses
        ("blocks", np.int32),
        ("exits", np.int64),  # distinct callers that the outside can tell apart; 0 for no limit
        ("has_v6", np.bool_),
    ]
)

# Exchange Online back ends as they stand in MailItemsAccessed records, European, American and Asian; the last two
# octet groups vary. Source: a public lab export, and Microsoft 365 URLs and IP address ranges.
_MICROSOFT_V6: Final = (0x260310A6, 0x260310B6, 0x26031096)
_MICROSOFT_V4: Final = ("52.97.0.0", "40.126.0.0", "52.98.128.0", "20.190.160.0")
_MICROSOFT_V6_SHARE: Final = 0.85

_BLOCKS: Final = np.concatenate(
    [
        np.arange(512, dtype=np.uint32) * 256 + int(ipaddress.IPv4Address("198.18.0.0")),
        np.array(
            [int(ipaddress.IPv4Address(text)) for text in ("192.0.2.0", "198.51.100.0", "203.0.113.0")], np.uint32
        ),
    ]
)
_FIRST_ASN: Final = 4_200_000_000
_MICROSOFT_ASN: Final = 8075
_HOSTS_PER_BLOCK: Final = 254


@dataclass(frozen=True, slots=True, eq=False)
class Internet:
    """All networks; `network_no` everywhere in the drill is an index into `networks`."""

    networks: npt.NDArray[Any]
    names: tuple[str, ...]
    key: int

    def of_kind(self, kind: int, *, country: int | None = None, city: int | None = None) -> npt.NDArray[np.int32]:
        """Numbers of the networks of this kind, in this country or city where given."""
        mask = self.networks["kind"] == kind
        if country is not None:
            mask &= self.networks["country"] == country
        if city is not None:
            mask &= self.networks["city"] == city
        found: npt.NDArray[np.int32] = np.flatnonzero(mask).astype(np.int32)
        return found


class _Plan(NamedTuple):
    kind: int
    name: str
    blocks: int
    country: int = -1
    city: int = -1
    v6: float = 0.0
    exits: int = 0


def _per_city() -> Iterator[_Plan]:
    for city, (code, town, _) in enumerate(CITIES):
        country = COUNTRIES.index(code)
        for number in range(3):
            yield _Plan(HOME, f"Home Net {code} {number + 1}", 3, country, city, v6=0.6)
        yield _Plan(OFFICE, f"Business Net {code}", 3, country, city)
        yield _Plan(HOTEL, f"Hotel Net {code}", 1, country, city, exits=8)
        yield _Plan(HOTEL, f"Hotel Stay {town}", 1, country, city, exits=8)
        yield _Plan(VENUE, f"Airport and Fair {town}", 1, country, city, exits=6)


def _elsewhere(rng: np.random.Generator) -> Iterator[_Plan]:
    for country, code in enumerate(COUNTRIES):
        for number in range(2):
            yield _Plan(MOBILE, f"Mobile {code} {number + 1}", 2, country, v6=0.5)
    rented = [
        (HOSTING, "Hosting", 12, 4, 0.3, 0),
        (CLOUD, "Cloud", 6, 4, 0.0, 0),
        (CONSUMER_VPN, "Tunnel", 4, 3, 0.0, 24),
    ]
    for kind, name, count, blocks, v6, exits in rented:
        for number, city in enumerate(rng.integers(len(CITIES), size=count).tolist()):
            country = COUNTRIES.index(CITIES[city][0])
            yield _Plan(kind, f"{name} {number // 2 + 1}", blocks, country, city, v6=v6, exits=exits)
    for number in range(4):
        yield _Plan(SECURITY_PROXY, f"Security Edge {number // 2 + 1}", 3, exits=40)
    for _ in range(3):
        yield _Plan(MICROSOFT, "Microsoft", 0, v6=1.0)


def build_internet(seed: int) -> Internet:
    """The world's networks, the same for all tenants of the drill with this seed."""
    rng = streams.stream(seed, "internet")
    plans = (*_per_city(), *_elsewhere(rng))
    asns: dict[str, int] = {}
    for plan in plans:
        asns.setdefault(plan.name, _MICROSOFT_ASN if plan.kind == MICROSOFT else _FIRST_ASN + len(asns))
    networks = np.zeros(len(plans), dtype=NETWORK_DTYPE)
    for column in ("kind", "country", "city", "blocks", "exits"):
        networks[column] = [getattr(plan, column) for plan in plans]
    networks["asn"] = [asns[plan.name] for plan in plans]
    networks["has_v6"] = rng.random(len(plans)) < np.array([plan.v6 for plan in plans])
    if int(networks["blocks"].sum()) > len(_BLOCKS):
        raise ValueError("the world needs more IPv4 blocks than the documentation ranges hold")
    # Rotated by the seed, so that no block means the same kind of network in every drill.
    first = np.cumsum(networks["blocks"]) - networks["blocks"]
    networks["block"] = (first + rng.integers(len(_BLOCKS))) % len(_BLOCKS)
    return Internet(networks, tuple(f"{plan.name} (simulated)" for plan in plans), streams.hash_key(seed, "addresses"))


def addresses(
    internet: Internet, network_no: npt.NDArray[Any], host: npt.NDArray[Any], is_v6: npt.NDArray[np.bool_]
) -> npt.NDArray[np.object_]:
    """The address of each caller as text.

    Args:
        internet: The networks.
        network_no: Network of each caller.
        host: Any number that names the line or device within the network; the same number gives the same address.
        is_v6: Where the caller prefers IPv6; ignored where the network has none.
    """
    network = internet.networks[network_no]
    limit = network["exits"]
    seat = np.where(limit > 0, host % np.maximum(limit, 1), host).astype(np.int64)
    bits = streams.hashed(internet.key, network_no, seat)
    text = np.empty(len(bits), dtype=object)
    is_microsoft = network["kind"] == MICROSOFT
    six = is_v6 & network["has_v6"] & ~is_microsoft
    _fill(text, np.flatnonzero(~six & ~is_microsoft), _v4(network, bits), _v4_text)
    _fill(text, np.flatnonzero(six), streams.hashed(internet.key ^ 6, network_no, host), _v6_text, prefix=network_no)
    _fill(text, np.flatnonzero(is_microsoft), bits, _microsoft_text, prefix=network["block"])
    return text


def _v4(network: npt.NDArray[Any], bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    block = (network["block"] + (bits % np.maximum(network["blocks"], 1).astype(np.uint64)).astype(np.int64)) % len(
        _BLOCKS
    )
    last = (bits >> np.uint64(32)) % np.uint64(_HOSTS_PER_BLOCK) + np.uint64(1)
    address: npt.NDArray[np.uint64] = _BLOCKS[block].astype(np.uint64) + last
    return address


def _fill(
    text: npt.NDArray[np.object_],
    rows: npt.NDArray[np.int64],
    bits: npt.NDArray[np.uint64],
    formatter: Any,
    *,
    prefix: npt.NDArray[Any] | None = None,
) -> None:
    """Format each distinct address once."""
    if not len(rows):
        return
    distinct, first, back = np.unique(bits[rows], return_index=True, return_inverse=True)
    prefixes = np.zeros(len(distinct), np.int64) if prefix is None else prefix[rows][first]
    formatted = np.empty(len(distinct), dtype=object)
    formatted[:] = [formatter(int(value), int(head)) for value, head in zip(distinct, prefixes, strict=True)]
    text[rows] = formatted[back]


def _v4_text(value: int, _head: int) -> str:
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def _v6_text(value: int, network_no: int) -> str:
    # A /48 per network, a /64 per line; the low half is a privacy address.
    return str(ipaddress.IPv6Address((0x20010DB8 << 96) | (network_no << 80) | (value & 0xFFFF) << 64 | value))


def _microsoft_text(value: int, head: int) -> str:
    if (value >> 40 & 0xFF) < _MICROSOFT_V6_SHARE * 256:
        prefix = _MICROSOFT_V6[head % len(_MICROSOFT_V6)]
        return str(
            ipaddress.IPv6Address(
                (prefix << 96) | (value & 0x3FF) << 80 | (value >> 10 & 0xFF) << 64 | (value >> 20 & 0x1FF) or 1
            )
        )
    base = int(ipaddress.IPv4Address(_MICROSOFT_V4[value % len(_MICROSOFT_V4)]))
    return str(ipaddress.IPv4Address(base + (value >> 8 & 0x1FFF)))

"""Whether a text names an address of a network, in what both engines mean alike.

Logs write addresses with ports and brackets (`192.0.2.7:4711`, `[2001:db8::1]:443`); both are left aside. An IPv6
address is spelt out to 32 hexadecimal digits, so that a network is a range of texts.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

_BYTES: Final = r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})"
_IPV4: Final = r"^(?:\[?(?:::[fF]{4}:)?" + _BYTES + r"\]?)(?::\d{1,5})?\z"
_IPV6: Final = r"^\[?([0-9a-fA-F:]*:[0-9a-fA-F:]*)(?:%[0-9A-Za-z]+)?\]?\z"
_IPV6_PORT: Final = r"^\[([0-9a-fA-F:]*:[0-9a-fA-F:]*)(?:%[0-9A-Za-z]+)?\]:\d{1,5}\z"
_ODD_IPV6: Final = r"[0-9a-f]{5}|:::|::.*::|^:[0-9a-f]|[0-9a-f]:\z"
_DIGITS: Final = 32
_BYTE: Final = 255

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in a text as logs write it, or None; what `in_network` means, for one value."""
    bare = text
    if bare.startswith("["):
        bare, _, rest = bare[1:].partition("]")
        if rest and not (rest.startswith(":") and rest[1:].isdigit()):
            return None
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None) if "." in bare else None
    return mapped or found


def in_network(text: ir.StringValue, network: Network) -> ir.BooleanValue:
    """True where the text is an address of the network; false or null where it is none."""
    return _in_ipv4(text, network) if isinstance(network, ipaddress.IPv4Network) else _in_ipv6(text, network)


def _in_ipv4(text: ir.StringValue, network: ipaddress.IPv4Network) -> ir.BooleanValue:
    numbers = [text.re_extract(_IPV4, place).try_cast("int64").fill_null(_BYTE + 1) for place in range(1, 5)]
    value = ((numbers[0] * 256 + numbers[1]) * 256 + numbers[2]) * 256 + numbers[3]
    low, high = int(network.network_address), int(network.broadcast_address)
    is_sound = ibis.and_(*(number <= _BYTE for number in numbers))
    return is_sound & value.between(low, high)


def _in_ipv6(text: ir.StringValue, network: ipaddress.IPv6Network) -> ir.BooleanValue:
    has_port = text.re_search(_IPV6_PORT)
    bare = has_port.ifelse(text.re_extract(_IPV6_PORT, 1), text.re_extract(_IPV6, 1)).lower()
    is_short = bare.contains("::")
    left = _spelt(bare.re_extract(r"^(.*?)(?:::.*)?\z", 1))
    right = _spelt(bare.re_extract(r"::(.*)\z", 1))
    missing = ibis.greatest(_DIGITS - left.length() - right.length(), 0)
    digits = left + is_short.ifelse(ibis.literal("0").repeat(missing), "") + right
    low = network.network_address.exploded.replace(":", "")
    high = network.broadcast_address.exploded.replace(":", "")
    is_sound = (bare != "") & (digits.length() == _DIGITS) & ~bare.re_search(_ODD_IPV6)
    return is_sound & digits.between(low, high)


def _spelt(groups: ir.StringValue) -> ir.StringValue:
    """Groups of one to four digits as four digits each, without colons."""
    spelt = groups.split(":").map(lambda group: group.lpad(4, "0")).join("")
    return (groups == "").ifelse("", spelt)

"""How the text of one address field is read: its canonical form and whose range it lies in."""

from __future__ import annotations

import functools
import ipaddress
import re

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*blocks: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(block) for block in blocks)


# Python's own `is_private` differs between versions and counts documentation ranges; these are fixed here.
_CLASSES: tuple[tuple[str, tuple[_Network, ...]], ...] = (
    ("loopback", _networks("127.0.0.0/8", "::1/128")),
    ("link_local", _networks("169.254.0.0/16", "fe80::/10")),
    ("private", _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")),
    ("invalid", _networks("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8")),
    (
        # Exchange Online, its mail protection, Entra sign-in, SharePoint Online and Office on the web, from
        # "Microsoft 365 URLs and IP address ranges".
        # 2603:10x6::/32 and 2603:10x7::/32 are the Exchange Online and sign-in parts of Microsoft's 2603:1000::/24;
        # the parts that customers can rent in Azure are left out, because an attacker may sit there.
        "microsoft",
        _networks(
            "13.107.6.152/31",
            "13.107.18.10/31",
            "13.107.128.0/22",
            "23.103.160.0/20",
            "40.92.0.0/15",
            "40.96.0.0/13",
            "40.104.0.0/15",
            "40.107.0.0/16",
            "52.96.0.0/14",
            "52.100.0.0/14",
            "104.47.0.0/17",
            "131.253.33.215/32",
            "132.245.0.0/16",
            "150.171.32.0/22",
            "204.79.197.215/32",
            "13.107.136.0/22",
            "40.108.128.0/17",
            "52.104.0.0/14",
            "52.108.0.0/14",
            "104.146.128.0/17",
            "20.20.32.0/19",
            "20.190.128.0/18",
            "20.231.128.0/19",
            "40.126.0.0/18",
            "2620:1ec:4::152/127",
            "2620:1ec:c::10/127",
            "2620:1ec:d::10/127",
            "2620:1ec:8f0::/46",
            "2620:1ec:900::/46",
            "2620:1ec:a92::152/127",
            "2a01:111:f400::/48",
            "2a01:111:f403::/48",
            *(f"2603:10{digit:x}6::/32" for digit in range(16)),
            *(f"2603:10{digit:x}7::/32" for digit in range(16)),
        ),
    ),
)
_NO_ADDRESS = frozenset({"null", "<null>", "none", "n/a", "not available", "-"})
_PORT = re.compile(r":[0-9]{1,5}")


@functools.lru_cache(maxsize=1 << 16)
def read_address(text: str) -> tuple[str | None, str | None]:
    """The canonical address and its class; see `fields.address`."""
    bare = text.strip()
    if not bare or bare.lower() in _NO_ADDRESS:
        return None, None
    if bare.startswith("["):
        inner, _, rest = bare[1:].partition("]")
        bare = inner if not rest or _PORT.fullmatch(rest) else ""
    elif bare.count(":") == 1:
        host, _, port = bare.partition(":")
        bare = host if _PORT.fullmatch(f":{port}") else ""
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None, "invalid"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    for name, networks in _CLASSES:
        if any(parsed in network for network in networks):
            return str(parsed), name
    return str(parsed), "public"

"""Single STIX 2.1 objects, their identifiers, and the text of patterns. Plain dictionaries: nothing here knows a case.

Sources: OASIS, STIX Version 2.1 (2021), parts 2.9 (identifiers), 3 to 7 (objects) and 9 (patterning).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from brokenseal.exchange.attack_names import technique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.exchange.shared import IndicatorKind

Stix = dict[str, Any]

_OASIS: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""Namespace of the deterministic identifiers of observables (STIX 2.1, 2.9)."""
_OURS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "brokenseal")
"""Namespace for observables whose contributing properties do not tell two of them apart."""
_VERSION_4: Final = 4


def object_id(kind: str, *key: str) -> str:
    """The identifier of a domain, relationship or bundle object: the same for the same key, always.

    STIX asks for the layout of version 4 there. The bits that are random in it are taken from SHA-256 over the kind
    and the key, so that an equal document gives an equal bundle and a second export updates the first.
    """
    digest = hashlib.sha256(_canonical([kind, *key]).encode()).digest()
    return f"{kind}--{uuid.UUID(bytes=digest[:16], version=_VERSION_4)}"


def observable_id(kind: str, contributing: Mapping[str, Any], *, beside: tuple[str, ...] = ()) -> str:
    """The identifier of an observable: version 5 over its contributing properties, as STIX prescribes.

    Args:
        kind: Type of the observable.
        contributing: The properties that STIX names for the type.
        beside: What else tells it from others, in our own namespace; for messages, of which two may have the same
            subject and sender.
    """
    if beside:
        return f"{kind}--{uuid.uuid5(_OURS, _canonical([kind, *beside]))}"
    return f"{kind}--{uuid.uuid5(_OASIS, _canonical(contributing))}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def moment(at: dt.datetime) -> str:
    """A UTC time with as many digits as it needs, at least three."""
    utc = at.astimezone(dt.UTC)
    digits = f"{utc.microsecond:06d}"
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{digits[:3] if digits.endswith('000') else digits}Z"


def to_milliseconds(at: dt.datetime) -> dt.datetime:
    """`created` and `modified` have exactly three digits."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def observable(kind: str, contributing: Mapping[str, Any], *, beside: tuple[str, ...] = (), **more: Any) -> Stix:
    """One observable with its identifier."""
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": observable_id(kind, contributing, beside=beside),
        **contributing,
        **more,
    }


_MAIL: Final = re.compile(r"[\w.!#$%&'*+/=?^{|}~-]+@[\w.-]+")


def is_mail_address(text: str) -> bool:
    """Whether a text may stand where STIX wants a mail address; logs name mailboxes in other ways as well."""
    return _MAIL.fullmatch(text) is not None


def address_observable(value: str) -> Stix:
    """An IPv4 or IPv6 address."""
    return observable("ipv6-addr" if ":" in value else "ipv4-addr", {"value": value})


def observable_of(kind: IndicatorKind, value: str) -> Stix:
    """What was observed where the indicator matched.

    An application acts as its service principal, which is an account. A user agent is seen without its request, so
    that it stands for the software that sends it.
    """
    if kind == "address":
        return address_observable(value)
    if kind == "application":
        return observable("user-account", {"user_id": value}, is_service_account=True)
    return observable("software", {"name": value})


def attack_pattern(number: str, common: Mapping[str, Any]) -> Stix:
    """A technique of ATT&CK, known by its external reference."""
    known = technique(number)
    pattern: Stix = {
        "type": "attack-pattern",
        **common,
        "id": object_id("attack-pattern", number),
        "name": known.name,
        # A link would need the hash of what it leads to; the number leads there as well.
        "external_references": [{"source_name": "mitre-attack", "external_id": known.id}],
    }
    if known.tactics:
        phases = [{"kill_chain_name": "mitre-attack", "phase_name": tactic} for tactic in known.tactics]
        pattern["kill_chain_phases"] = phases
    return pattern


_AGENT_PATH: Final = "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'"
_STRING: Final = r"'((?:[^'\\]|\\['\\])*)'"
_PATTERNS: Final = (
    ("address", re.compile(rf"\[ipv[46]-addr:value = {_STRING}\]")),
    (
        "application",
        re.compile(rf"\[user-account:user_id = {_STRING} AND user-account:is_service_account = true\]"),
    ),
    ("user_agent", re.compile(rf"\[{re.escape(_AGENT_PATH)} = {_STRING}\]")),
)


def literal(text: str) -> str:
    """A string of the pattern language: backslash and apostrophe are escaped, nothing else can be (STIX 2.1, 9.2)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def pattern_of(kind: IndicatorKind, value: str) -> str:
    """The pattern that matches the value."""
    if kind == "address":
        return f"[{'ipv6' if ':' in value else 'ipv4'}-addr:value = {literal(value)}]"
    if kind == "application":
        return f"[user-account:user_id = {literal(value)} AND user-account:is_service_account = true]"
    return f"[{_AGENT_PATH} = {literal(value)}]"


def value_of(pattern: str) -> tuple[IndicatorKind, str] | None:
    """What a pattern in one of our forms looks for; None for any other pattern."""
    for kind, form in _PATTERNS:
        if match := form.fullmatch(pattern.strip()):
            value = re.sub(r"\\(['\\])", r"\1", match[1])
            return kind, value  # type: ignore[return-value]  # the names in _PATTERNS are the kinds
    return None

"""Sigma rules for the indicators: one for each kind and log, so that each can be judged and switched off alone.

A string in quotation marks of JSON is one of YAML as well, so that no writer of YAML is needed; wildcards in values are
escaped, because Sigma would read them as patterns. Source: Sigma specification 2.1, rules and modifiers.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.exchange.stix_objects import object_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.exchange.shared import Indicator, IndicatorKind, Shared


class _Log(NamedTuple):
    product: str
    service: str
    title: str
    fields: dict[IndicatorKind, tuple[str, ...]]


_AUDIT: Final = _Log(
    "m365",
    "audit",
    "Microsoft 365 audit record",
    {
        "address": ("ClientIPAddress", "ClientIP", "ActorIpAddress"),
        "application": ("AppId", "ClientAppId"),
        "user_agent": ("ClientInfoString|contains", "UserAgent"),
    },
)
_SIGN_IN: Final = _Log(
    "azure",
    "signinlogs",
    "Entra sign-in",
    {"address": ("IPAddress",), "application": ("AppId",), "user_agent": ("UserAgent",)},
)
_LEVELS: Final = {"address": "high", "application": "high", "user_agent": "low"}
_WORDS: Final = {"address": "an address", "application": "an application", "user_agent": "a user agent"}
_INNOCENT: Final = {
    "address": "The address has changed hands, or is an exit that many people use",
    "application": "The application was introduced by the organisation itself",
    "user_agent": "Programs of other people that call themselves so",
}


def sigma_text(shared: Shared) -> str:
    """All rules as one YAML stream; one comment where there is nothing to look for."""
    rules = [
        _rule(shared, log, kind, found)
        for log in (_AUDIT, _SIGN_IN)
        for kind in log.fields
        if (found := [each for each in shared.indicators if each.kind == kind])
    ]
    return "---\n".join(rules) if rules else "# Nothing is shared as an indicator.\n"


def _rule(shared: Shared, log: _Log, kind: IndicatorKind, found: list[Indicator]) -> str:
    values = [each.value for each in found]
    number = uuid.UUID(object_id("rule", log.product, kind, *values).removeprefix("rule--"))
    mark = "Simulated: " if shared.simulated else ""
    tags = {tag for each in found for tag in (f"attack.{number.lower()}" for number in each.attack)}
    lines = [
        f"title: {_quoted(f'{mark}{log.title} with {_WORDS[kind]} of an intruder who read mail')}",
        f"id: {number}",
        "status: experimental",
        f"description: {_quoted(f'{mark}Indicators shared under {shared.tlp.label}. A hit is no proof.')}",
        f"author: {_quoted(shared.producer)}",
        f"date: {shared.shared_at:%Y-%m-%d}",
        "tags:",
        *(f"    - {tag}" for tag in sorted(tags)),
        f"    - {shared.tlp.sigma_tag}",
        "logsource:",
        f"    product: {log.product}",
        f"    service: {log.service}",
        "detection:",
        "    selection:",
    ]
    for name in log.fields[kind]:
        lines += [f"        - {name}:", *_items(values, exact)]
    if kind == "address" and log is _AUDIT:
        # Records write addresses with a port as well, and then IPv6 in brackets.
        lines += ["        - ClientIP|startswith:", *_items(values, _with_port)]
    lines += [
        "    condition: selection",
        "falsepositives:",
        f"    - {_quoted(_INNOCENT[kind])}",
        f"level: {_LEVELS[kind]}",
        "",
    ]
    return "\n".join(lines)


def _items(values: list[str], form: Callable[[str], str]) -> list[str]:
    return [f"            - {_quoted(form(value))}" for value in values]


def exact(value: str) -> str:
    """The value as Sigma means it literally: `*`, `?` and the backslash are escaped."""
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _with_port(address: str) -> str:
    return f"[{address}]:" if ":" in address else f"{address}:"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

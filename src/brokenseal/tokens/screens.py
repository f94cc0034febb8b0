"""The screens and JSON documents of `token inspect`, `verify` and `keys`; what a token says is made safe to print.

The JSON documents are made here and not by the model's own writer: claims are a stranger's text, and may look like
a sentence to be formatted, or hold numbers of any length.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenseal.reports.terminal import plain
from brokenseal.simulated import is_simulated
from brokenseal.tokens.model import Outcome
from brokenseal.wording import say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from brokenseal.tokens.inspection import Inspection
    from brokenseal.tokens.inventory import Inventory, KeyRow
    from brokenseal.tokens.model import Verdict
    from brokenseal.tokens.provenance import Issuance
    from brokenseal.wording import Phrase

_MARKS: Final = {
    Outcome.PASS: ("pass", ""),
    Outcome.FAIL: ("FAIL", "bold red"),
    Outcome.UNKNOWN: ("UNKNOWN", "bold yellow"),
    Outcome.NOT_APPLICABLE: ("–", "dim"),
}


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """One JSON object, in ASCII: claims may hold what no terminal and no encoder takes."""
    return json.dumps(document, indent=2).encode("ascii") + b"\n"


# ---------------------------------------------------------------- inspect


def inspection_document(
    seen: Inspection, issued: Sequence[Issuance] | None = None, *, token: str | None = None
) -> dict[str, Any]:
    """The inspection as JSON values.

    Args:
        seen: The inspection.
        issued: What the logs show of the token's issue; None where no logs were asked.
        token: The whole token, where it is to be shown; else it is redacted.
    """
    document: dict[str, Any] = {
        "verified": False,
        "simulated": _is_simulated(seen.claims),
        "kind": seen.kind.value,
        "facts": [{"name": fact.name, "text": _english(fact.sentence), "value": fact.value} for fact in seen.facts],
        "odd": [_english(sentence) for sentence in seen.odd],
        "request_id": seen.request_id,
        "header": dict(seen.header),
        "claims": dict(seen.claims),
        "token": token or seen.redacted,
        "sha256": seen.sha256,
    }
    if issued is not None:
        document["issuances"] = [
            {
                "token_id": each.token_id or each.token_id_raw,
                "verdict": each.verdict,
                "reason": each.reason,
                "event_ids": list(each.event_ids),
            }
            for each in issued
        ]
    return document


def inspection_screen(
    seen: Inspection, issued: Sequence[Issuance] | None = None, *, token: str | None = None
) -> RenderableType:
    """What the token says, what is odd about it, and what the logs know of its issue; arguments as above."""
    lines: list[RenderableType] = [*_mark(seen.claims)]
    lines.append(_line("What the token says. Nothing of it is verified.", style="bold"))
    lines += [_item(_english(fact.sentence)) for fact in seen.facts]
    lines.append(_item(f"Kind: {seen.kind.value.replace('_', ' ')}."))
    if seen.odd:
        lines += [Text(), _line("What is odd about it", style="bold")]
        lines += [_item(_english(sentence), mark="!") for sentence in seen.odd]
    if issued is not None:
        from brokenseal.tokens.trace_screen import issuance_lines

        lines += [Text(), _line("What the logs show", style="bold")]
        told = list(issuance_lines(issued)) or ["It has no token id or session id that could be looked up."]
        lines += [_item(text) for text in told]
    lines += [Text(), _line(f"SHA-256 of its text: {seen.sha256}", style="dim"), *_whole(token)]
    return Group(*lines)


# ---------------------------------------------------------------- verify


def verdict_document(verdict: Verdict, *, at: dt.datetime, token: str, sha256: str) -> dict[str, Any]:
    """The verdict as JSON values; `token` is the text to show of it."""
    return {
        "accepted": verdict.accepted,
        "simulated": _is_simulated(verdict.claims),
        "at": at.isoformat(),
        "kind": verdict.kind.value,
        "kid": verdict.kid,
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome.value,
                "reason": _english(check.reason),
                "expected": check.expected,
                "found": check.found,
            }
            for check in verdict.checks
        ],
        "claims": dict(verdict.claims),
        "token": token,
        "sha256": sha256,
    }


def verdict_screen(verdict: Verdict, *, at: dt.datetime, token: str | None = None) -> RenderableType:
    """The verdict, then every check in its order with its reason; what was compared where it did not pass."""
    failed = sum(check.outcome is Outcome.FAIL for check in verdict.checks)
    unknown = sum(check.outcome is Outcome.UNKNOWN for check in verdict.checks)
    time = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    if verdict.accepted:
        head = _line(f"ACCEPTED at {time}: every check passes or does not apply.", style="bold green")
    else:
        counts = f"{failed} of {len(verdict.checks)} checks fail, {unknown} could not be made"
        head = _line(f"REFUSED at {time}: {counts}.", style="bold red")
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in verdict.checks:
        mark, style = _MARKS[check.outcome]
        table.add_row(_line(mark, style=style), _line(check.name, style=style), _line(_english(check.reason)))
        if check.outcome in {Outcome.FAIL, Outcome.UNKNOWN}:
            for name, value in (("expected", check.expected), ("found", check.found)):
                if value is not None:
                    table.add_row("", "", _line(f"{name}: {value}", style="dim"))
    return Group(*_mark(verdict.claims), head, Text(), table, *_whole(token))


def _is_simulated(claims: Mapping[str, Any]) -> bool:
    tenant = claims.get("tid")
    return isinstance(tenant, str) and is_simulated((tenant,))


def _mark(claims: Mapping[str, Any]) -> list[RenderableType]:
    if not _is_simulated(claims):
        return []
    return [_line("Simulated: this token is of a tenant that Brokenseal made up.", style="bold"), Text()]


def _whole(token: str | None) -> list[RenderableType]:
    return [] if token is None else [Text(), _line(token)]


# ---------------------------------------------------------------- keys


def inventory_document(found: Inventory, *, at: dt.datetime, unmatched: Iterable[str]) -> dict[str, Any]:
    """The inventory as JSON values; `unmatched` are ids of the usage file that no document holds."""
    return {
        "at": at.isoformat(),
        "keys": [_key_document(row) for row in found.keys],
        "overlaps": [
            {"issuer": overlap.issuer, "older": overlap.older, "newer": overlap.newer, "days": overlap.days}
            for overlap in found.overlaps
        ],
        "warnings": [_english(sentence) for sentence in found.warnings],
        "usage_without_key": list(unmatched),
    }


def _key_document(row: KeyRow) -> dict[str, Any]:
    return {
        "kid": row.kid,
        "document": row.document,
        "issuer": row.issuer,
        "family": row.family.value,
        "standing": row.standing.value,
        "is_still_trusted": row.is_still_trusted,
        "key_type": row.key_type,
        "algorithms": list(row.algorithms),
        "since": _iso(row.since),
        "until": _iso(row.until),
        "retired_at": _iso(row.retired_at),
        "revoked_at": _iso(row.revoked_at),
        "age_days": row.age_days,
        "tenants": list(row.tenants),
        "reach": _english(row.reach),
        "flaws": [_english(flaw) for flaw in row.flaws],
    }


def inventory_screen(found: Inventory, *, unmatched: Iterable[str]) -> RenderableType:
    """Each key with whom it may speak for, how it stands and what its thief could do; then what to look at."""
    lines: list[RenderableType] = [_line(f"{len(found.keys)} published key(s)", style="bold")]
    for row in found.keys:
        lines += _key_lines(row)
    if found.overlaps:
        lines += [Text(), _line("Two keys at once for one issuer", style="bold")]
        for each in found.overlaps:
            period = "with no end known" if each.days is None else f"for {each.days} day(s)"
            lines.append(_line(f"  {each.older}, {each.newer}: {period} ({each.issuer})"))
    warnings = [_english(sentence) for sentence in found.warnings]
    warnings += [f"{kid}: the usage file names it, and no document holds it." for kid in unmatched]
    if warnings:
        lines += [Text(), _line("To look at", style="bold")]
        lines += [_item(text, mark="!") for text in warnings]
    return Group(*lines)


def _key_lines(row: KeyRow) -> list[RenderableType]:
    age = "age unknown" if row.age_days is None else f"{row.age_days} days old"
    standing = row.standing.value.replace("_", " ")
    trusted = ", and still published" if row.is_still_trusted else ""
    algorithms = ", ".join(row.algorithms) or "verifies nothing"
    lines: list[RenderableType] = [
        Text(),
        _line(f"  {row.kid or '(no id)'}  [{row.document}]", style="bold red" if row.is_still_trusted else "bold"),
        _line(f"    {row.key_type}: {algorithms}; {age}; {standing}{trusted}"),
        _line(f"    speaks for: {row.issuer or 'unknown: the document does not say'} ({row.family.value})"),
        _line(f"    if stolen: {_english(row.reach)}"),
    ]
    if row.tenants:
        lines.append(_line(f"    seen in use in {len(row.tenants)} tenant(s): {', '.join(row.tenants)}"))
    return [*lines, *(_line(f"    ! {_english(flaw)}") for flaw in row.flaws)]


def _english(sentence: Phrase) -> str:
    return say(sentence, "en")


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _line(text: str, *, style: str = "") -> Text:
    return Text(plain(text), style=style)


def _item(text: str, *, mark: str = "") -> RenderableType:
    return Padding(_line(f"{mark} {text}" if mark else text), (0, 0, 0, 2))

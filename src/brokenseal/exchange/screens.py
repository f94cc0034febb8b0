"""What a terminal shows of sharing. People read it, so that addresses and links are defanged here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from brokenseal.exchange.confidence import MAPPING
from brokenseal.exchange.defang import shown_value
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.exchange.shared import IndicatorKind, Shared, Sharing, WithheldReason
    from brokenseal.exchange.stix_import import Imported
    from brokenseal.exchange.taxii import Pushed, PushPlan

REASONS: Final[dict[WithheldReason, str]] = {
    "shared_address": "what was read from there may have been read by authorised people",
    "read_other_mailboxes": "mailboxes or accounts of no case were active there",
    "used_before": "mail was read from there before the case began",
    "two_hands": "only a session in two hands shows it, and one of the hands is the owner's",
    "not_public": "no public address",
    "used_by_others": "records of no case show it as well",
    "only_passed": "no finding is about it",
    "no_product": "says nothing that others could tell apart",
    "unprintable": "too long, or with characters that cannot be seen",
    "names_a_person": "has a name or a mail address in it",
}
_VALUE_LIMIT: Final = 160
_STATEMENT_LIMIT: Final = 600
_LISTED: Final = 40


def sharing_screen(sharing: Sharing) -> Group:
    """What would be shared, and what is kept back."""
    lines = [*_shared_lines(sharing.shared), Text()]
    lines.append(Text(f"Kept back: {len(sharing.withheld)}", style="bold"))
    lines += [
        Text(f"  {each.kind:<12} {_shown(each.kind, each.value)}  ({REASONS[each.reason]})")
        for each in sharing.withheld[:_LISTED]
    ]
    lines += _more(sharing.withheld)
    return Group(*lines, Text(), Text(MAPPING, style="dim"))


def imported_screen(imported: Imported) -> Group:
    """What a bundle says, and how much of it was not understood."""
    lines = _shared_lines(imported.shared)
    if imported.unread:
        lines += [Text(), Text(f"Not understood: {len(imported.unread)} object(s)", style="bold")]
        lines += [Text(f"  {_value(each.id)}  ({each.reason})") for each in imported.unread[:_LISTED]]
        lines += _more(imported.unread)
    return Group(*lines)


def push_screen(plan: PushPlan, pushed: Pushed | None, shared: Shared) -> Group:
    """The plan of a push, and what became of it."""
    kinds = Counter(str(each["type"]) for each in plan.objects)
    lines = [
        *_simulated(shared),
        Text(f"Collection: {visible(plan.collection_title)} ({visible(plan.collection_id)}), {shared.tlp.label}"),
        Text(f"Already there: {plan.present}. To be sent: {len(plan.objects)}", style="bold"),
        *(Text(f"  {count:>6}  {kind}") for kind, count in sorted(kinds.items())),
        Text(f"Plan: {plan.digest[:16]}"),
    ]
    if not plan.is_readable:
        lines.append(Text("The collection does not tell what it has: everything counts as missing."))
    if pushed is not None:
        said = f"Sent. Accepted: {pushed.accepted}, refused: {pushed.refused}, pending: {pushed.pending}"
        lines += [Text(said, style="bold"), *(Text(f"  {visible(line)}") for line in pushed.messages[:_LISTED])]
    elif plan.objects:
        lines.append(Text("Nothing was sent; --really sends it.", style="bold"))
    else:
        lines.append(Text("There is nothing to send."))
    return Group(*lines)


def _shared_lines(shared: Shared) -> list[Text]:
    lines = [
        *_simulated(shared),
        Text(f"{shared.tlp.label} · {_value(shared.producer)} · profile {shared.profile}", style="bold"),
    ]
    for case in shared.cases:
        lines.append(
            Text(f"{_value(case.id)}  {case.severity.value}  {case.first_at:%Y-%m-%d} – {case.last_at:%Y-%m-%d}")
        )
        lines.append(Text(f"  {cut(visible(case.statement), _STATEMENT_LIMIT)}"))
        confidence = "not specified" if case.confidence is None else str(case.confidence)
        lines.append(Text(f"  STIX confidence: {confidence} · {' '.join(_value(number) for number in case.attack)}"))
    lines.append(Text(f"Indicators: {len(shared.indicators)}", style="bold"))
    lines += [
        Text(f"  {each.kind:<12} {_shown(each.kind, each.value)}  ({each.records} records)")
        for each in shared.indicators[:_LISTED]
    ]
    lines += _more(shared.indicators)
    if shared.tools:
        lines.append(Text(f"Well-known applications, as context: {len(shared.tools)}", style="bold"))
        lines += [Text(f"  {_value(tool.name)} ({_value(tool.app_id)})") for tool in shared.tools[:_LISTED]]
    if shared.victims is not None:
        told = shared.victims
        lines.append(Text("Of the victims, under TLP:RED alone:", style="bold"))
        lines.append(Text(f"  {len(told.mailboxes)} mailbox(es), {len(told.messages)} message(s)"))
    return lines


def _simulated(shared: Shared) -> list[Text]:
    return [Text("Simulated: these are results of made-up logs.", style="bold")] if shared.simulated else []


def _shown(kind: IndicatorKind, value: str) -> str:
    return shown_value(kind, _value(value))


def _value(text: str) -> str:
    return cut(visible(text), _VALUE_LIMIT)


def _more(listed: Iterable[object]) -> list[Text]:
    rest = len(tuple(listed)) - _LISTED
    return [Text(f"  … and {rest} more; --json lists all")] if rest > 0 else []

"""The screens of `token trace` and of `token inspect --store`: plain lines, every log text made safe for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from brokenseal.app_names import client_label
from brokenseal.reports import _words
from brokenseal.reports.terminal import plain
from brokenseal.wording import format_value, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from brokenseal.model import Exposure
    from brokenseal.tokens.provenance import Issuance
    from brokenseal.tokens.trace import Counted, Trace

_SHOWN = 8
_ANSWERS = {"issued": "yes", "not_issued": "no", "cannot_tell": "cannot tell"}


def trace_screen(found: Trace) -> RenderableType:
    """What one token or session did, on one screen: answer first, then counts, then what was read."""
    parts: list[RenderableType] = []
    if found.simulated:
        parts += [Text(say(_words.SIMULATED, "en"), style="bold"), Text()]
    parts.append(_line(f"{found.kind} {found.subject}" if found.kind != "unknown" else found.subject, style="bold"))
    if not found.records:
        parts.append(_line("The logs hold no record of it, neither as a token nor as a session."))
    else:
        parts.append(_line(f"{_n(found.records)} record(s), {_at(found.first_at)} to {_at(found.last_at)}"))
    parts += [_line(text) for text in issuance_lines(found.issuances, is_session=found.kind == "session")]
    for title, counted in (
        ("Operations", found.operations),
        ("Accounts", found.actors),
        ("Addresses", found.addresses),
        ("User agents", found.agents),
        ("Clients", found.apps),
        ("Sessions", found.sessions if found.kind == "token" else ()),
    ):
        parts += _counted(title, counted)
    parts += _sign_ins(found)
    parts += _changes(found)
    parts += _requests(found)
    parts += _mail(found.mail)
    return Group(*parts)


def issuance_lines(issuances: Sequence[Issuance], *, is_session: bool = False) -> Iterator[str]:
    """Whether it was ever issued, in one sentence per token; a session with many is counted."""
    if is_session and not issuances:
        yield "No record of the session carries a token id, so no token of it can be looked up."
        return
    if is_session:
        told = ", ".join(
            f"{answer}: {_n(n)}"
            for verdict, answer in _ANSWERS.items()
            if (n := sum(each.verdict == verdict for each in issuances))
        )
        yield f"Was each of its {_n(len(issuances))} token(s) ever issued, as far as the logs show? {told}"
    for each in issuances[:_SHOWN]:
        name = f"Token {each.token_id or each.token_id_raw}: " if is_session else ""
        reason = f" ({say(_words.CANNOT_TELL[each.reason], 'en')})" if each.reason else ""
        cited = f" (sign-in {', '.join(each.event_ids[:_SHOWN])})" if each.event_ids else ""
        question = "" if is_session else "Was it ever issued, as far as the logs show? "
        yield f"{name}{question}{_ANSWERS[each.verdict]}{reason}{cited}"


def _counted(title: str, counted: Sequence[Counted]) -> Iterator[RenderableType]:
    if not counted:
        return
    yield _line(title, style="bold")
    for each in counted[:_SHOWN]:
        label = client_label(each.value) if title == "Clients" else each.value
        yield _line(f"  {_n(each.records):>6}  {label}  ({_at(each.first_at)} to {_at(each.last_at)})")
    yield from _more(len(counted))


def _sign_ins(found: Trace) -> Iterator[RenderableType]:
    if found.sign_ins:
        yield _line(f"Sign-ins and issuance: {_n(found.counts['sign_ins'])}", style="bold")
    for each in found.sign_ins[:_SHOWN]:
        outcome = {True: "succeeded", False: f"failed ({each.error_code})", None: "outcome not said"}[each.succeeded]
        yield _line(
            f"  {_at(each.occurred_at)}  {each.category}  {outcome}  {each.app_name or each.app_id or '–'}  "
            f"{each.client_ip or '–'}  {each.event_id}"
        )
    yield from _more(found.counts["sign_ins"])


def _changes(found: Trace) -> Iterator[RenderableType]:
    if found.changes:
        yield _line(f"Changes: {_n(found.counts['config_changes'])}", style="bold")
    for each in found.changes[:_SHOWN]:
        yield _line(f"  {_at(each.occurred_at)}  {each.change}  {each.target or each.grantee or '–'}  {each.event_id}")
    yield from _more(found.counts["config_changes"])


def _requests(found: Trace) -> Iterator[RenderableType]:
    if found.requests:
        yield _line(f"Microsoft Graph requests: {_n(found.counts['graph_requests'])}", style="bold")
    for each in found.requests[:_SHOWN]:
        yield _line(f"  {_at(each.occurred_at)}  {each.method} {each.uri}  {each.status_code}  {each.event_id}")
    yield from _more(found.counts["graph_requests"])


def _mail(mail: Exposure | None) -> Iterator[RenderableType]:
    if mail is None or not mail.accesses:
        return
    yield _line(
        f"Mail read: {_n(mail.certain)} message(s) for certain, {_n(mail.possible)} possible, "
        f"{_n(mail.unknowable)} span(s) that cannot be known; {_n(mail.accesses)} access record(s)",
        style="bold",
    )
    for message in mail.messages[:_SHOWN]:
        yield _line(
            f"  {_at(message.first_at)}  {message.mailbox}  {message.subject or message.internet_message_id}  "
            f"{message.event_ids[0]}"
        )
    yield from _more(mail.certain)


def _more(total: int) -> Iterator[RenderableType]:
    if total > _SHOWN:
        yield _line(f"  … {_n(total - _SHOWN)} more; --json lists them")


def _line(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style)


def _n(number: int) -> str:
    return format_value(number, "en")


def _at(moment: dt.datetime | None) -> str:
    return format_value(moment, "en").removesuffix(" UTC")

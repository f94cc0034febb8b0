"""A victim's share of what is known from elsewhere: what its own records show of it, and that it was a target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from brokenseal.fields import domain_of, fold, mail_address
from brokenseal.notices.indications import HANDED_OUT, TARGETS
from brokenseal.notices.share_parts import indicators_of, span_of
from brokenseal.notices.share_values import ANY_MAILBOX, Incident, Indicator, Span, Target

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator

    from brokenseal.model import CaseDocument
    from brokenseal.notices.indications import Indicated, Indication
    from brokenseal.notices.values import Party

_ID = "indicator"
"""In place of a case id: a notice keeps its identity when more becomes known, and goes out once a round."""

_NO_LOG = "no_mail_access_log"


def indicated_incident(
    shown: Indicated, document: CaseDocument, party: Party, is_own: Callable[[str], bool], *, is_alone: bool
) -> Iterator[Incident]:
    """The party's share; nothing where it was no target and no record of its own carries anything.

    Args:
        shown: Of the document's store.
        document: For what its logs cover.
        party: Whom it is for.
        is_own: Whether a mailbox is the party's.
        is_alone: Whether nothing in the store is of a second organisation.
    """
    seen = shown.exposure
    boxes = tuple(box for box in seen.mailboxes if is_own(box.mailbox))
    targets = tuple(_targets(shown.targets, document, party, is_own))
    spans = tuple(span_of(span) for span in seen.open_ended if is_own(span.mailbox))
    if not boxes and not targets and not spans:
        return
    has_reading = document.coverage.mail_accesses > 0
    spans = (*spans, *_unlogged(targets, spans, document))
    if is_alone:
        spans = (*spans, *(span_of(span) for span in seen.open_ended if span.mailbox == ANY_MAILBOX))
        if not has_reading and party.kind == "organisation" and not any(each.mailbox for each in targets):
            spans = (*spans, _no_reading(None))
    messages = tuple(line for line in seen.messages if is_own(line.mailbox))
    possible = tuple(line for line in seen.possible_messages if is_own(line.mailbox))
    own = indicators_of(shown.cited, shown.cited.keys(), boxes, messages, possible, is_own)
    times = _times(document, targets)
    carried = {each for mailbox, each in shown.seen if is_own(mailbox)}
    read = {fold(box.mailbox) for box in boxes}
    named = {each.mailbox for each in targets if each.mailbox is not None}
    yield Incident(
        case_id=_ID,
        mailboxes=boxes,
        untouched=tuple(sorted(name for name in named if fold(name) not in read)),
        messages=messages,
        possible_messages=possible,
        folders=tuple(line for line in seen.folders if is_own(line.mailbox)),
        spans=spans,
        accounts=(),
        indicators=_known_first(own, carried, shown.known, times),
        likelihood=None,
        confidence=None,
        is_indicated=True,
        has_reading=has_reading,
        targets=targets,
    )


def _targets(
    targets: Iterable[Indication], document: CaseDocument, party: Party, is_own: Callable[[str], bool]
) -> Iterator[Target]:
    domains = {domain_of(each.mailbox) for each in document.coverage.mailboxes if is_own(each.mailbox)}
    territories = {*party.covers, *domains} if party.kind == "organisation" else set()
    for each in targets:
        if each.kind == "mailbox" and is_own(each.value):
            yield Target(mailbox=each.value, first_at=each.first_at, last_at=each.last_at)
        elif each.kind == "organisation" and each.value in territories:
            yield Target(mailbox=None, first_at=each.first_at, last_at=each.last_at)


def _unlogged(targets: Iterable[Target], spans: Iterable[Span], document: CaseDocument) -> Iterator[Span]:
    """Targets of which the logs hold no record of reading, and perhaps no record at all."""
    logged = {fold(each.mailbox) for each in document.coverage.mailboxes if each.has_mail_access}
    said = {fold(span.mailbox) for span in spans if span.reason == _NO_LOG}
    names = {each.mailbox for each in targets if each.mailbox is not None}
    yield from (_no_reading(name) for name in sorted(names) if fold(name) not in logged | said)


def _no_reading(mailbox: str | None) -> Span:
    return Span(mailbox=mailbox, reason=_NO_LOG, first_at=None, last_at=None, seen=None, known=None)


def _times(document: CaseDocument, targets: Iterable[Target]) -> tuple[dt.datetime, dt.datetime] | None:
    """When to look for what no record of the victim shows: while it was a target, else as long as there are logs."""
    listed = tuple(targets)
    starts = [each.first_at for each in listed if each.first_at is not None]
    ends = [each.last_at for each in listed if each.last_at is not None]
    start = min(starts) if starts else document.coverage.first_at
    end = max(ends) if ends else document.coverage.last_at
    return None if start is None or end is None else (min(start, end), end)


def _known_first(
    own: tuple[Indicator, ...],
    carried: set[Indication],
    known: Iterable[Indication],
    times: tuple[dt.datetime, dt.datetime] | None,
) -> tuple[Indicator, ...]:
    """What is known from elsewhere, seen in the victim's logs or not; of what else its records show, nothing.

    A record counts because it carries one thing that is known; what else stands in it may be anybody's. So sessions,
    tokens and programs beside a known address are told as possible.
    """
    values = {(each.kind, each.value) for each in carried}
    found = {
        (each.kind, each.value): replace(each, certain=each.certain and (each.kind, each.value) in values)
        for each in own
    }
    for each in known:
        if each.kind in TARGETS or (each.kind, each.value) in found or times is None:
            continue
        if each.kind not in HANDED_OUT and each not in carried:
            continue
        found[each.kind, each.value] = Indicator(  # type: ignore[index]
            kind=each.kind,  # type: ignore[arg-type]
            value=each.value,
            certain=each in carried,
            first_at=each.first_at or times[0],
            last_at=max(each.last_at or times[1], each.first_at or times[0]),
            is_seen=each in carried,
        )
    return tuple(found[key] for key in sorted(found))


def mailboxes_of(shown: Indicated) -> Iterator[str]:
    """Every mailbox that it is about."""
    yield from (box.mailbox for box in shown.exposure.mailboxes)
    yield from (span.mailbox for span in shown.exposure.open_ended if span.mailbox != ANY_MAILBOX)
    yield from (name for each in shown.targets if each.kind == "mailbox" and (name := mail_address(each.value)))

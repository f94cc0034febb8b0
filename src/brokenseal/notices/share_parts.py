"""What cases and indications have in common when a victim's share is cut: spans, and by what the reading is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from brokenseal.notices.share_values import ANY_MAILBOX, Indicator, Span

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Mapping

    from brokenseal.model import Cited, ExposedMessage, MailboxExposure, OpenEnded
    from brokenseal.notices.share_values import IndicatorKind

_NO_APPLICATION = "proto:"
"""Beginning of what stands for an application where records name none: it is in no log."""
_At: TypeAlias = "dt.datetime | None"


def span_of(span: OpenEnded) -> Span:
    """The span as a victim sees it."""
    return Span(
        mailbox=None if span.mailbox == ANY_MAILBOX else span.mailbox,
        reason=span.reason,
        first_at=span.first_at,
        last_at=span.last_at,
        seen=span.seen,
        known=span.known,
    )


def indicators_of(
    cited: Mapping[str, Cited],
    event_ids: Collection[str],
    boxes: Iterable[MailboxExposure],
    messages: Iterable[ExposedMessage],
    possible: Iterable[ExposedMessage],
    is_own: Callable[[str], bool],
) -> tuple[Indicator, ...]:
    """By kind and value, from the victim's own records alone.

    Args:
        cited: Records by event id.
        event_ids: Those that may be looked up; whether each is the victim's own is asked of the record.
        boxes: The victim's own lines of an exposure.
        messages: Those of its messages that are certain.
        possible: Those that are possible.
        is_own: Whether a mailbox is the victim's.
    """
    found: dict[tuple[IndicatorKind, str], Indicator] = {}

    def add(kind: IndicatorKind, values: Iterable[str | None], *, certain: bool, span: tuple[_At, _At]) -> None:
        first_at, last_at = span
        for value in values:
            if not value or first_at is None or last_at is None:
                continue
            known = found.get((kind, value))
            found[kind, value] = Indicator(
                kind=kind,
                value=value,
                certain=certain or (known is not None and known.certain),
                first_at=min(first_at, known.first_at) if known else first_at,
                last_at=max(last_at, known.last_at) if known else last_at,
            )

    for line, certain in (*((line, True) for line in messages), *((line, False) for line in possible)):
        span = (line.first_at, line.last_at)
        add("address", line.addresses, certain=certain, span=span)
        add("session", line.sessions, certain=certain, span=span)
    for box in boxes:
        add("address", box.addresses, certain=False, span=(box.first_at, box.last_at))
    certain_ids = {event_id for line in messages for event_id in line.event_ids}
    for event_id in sorted(event_ids):
        record = cited.get(event_id)
        if record is None or record.mailbox is None or not is_own(record.mailbox):
            continue
        span = (record.occurred_at, record.occurred_at)
        certain = event_id in certain_ids
        # What reports count clients by is a name; what stands in logs is the string, and the id of the application.
        add("client", (record.client,), certain=certain, span=span)
        if record.app and not record.app.startswith(_NO_APPLICATION):
            add("application", (record.app,), certain=certain, span=span)
        add("token", (record.token_id,), certain=certain, span=span)
        add("session", (record.session_id,), certain=certain, span=span)
    return tuple(found[key] for key in sorted(found))

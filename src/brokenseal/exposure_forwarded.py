"""Mail that a rule sent on: which messages reached it while it stood, as far as message traces tell.

A trace shows that a message arrived; that a rule took it follows from the rule's conditions. Where these ask for
what no trace holds (the body, attachments), the message counts with that reason.

Source: Exchange PowerShell reference, New-InboxRule, New-TransportRule and Set-Mailbox (parameters).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import ibis
import pyarrow as pa

from brokenseal.fields import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables
    from brokenseal.selection import Forwarding, Selection

Row = dict[str, Any]
Reason = Literal["forwarded_sent", "forwarded", "forwarded_unclear"]

_STRONGEST: Final[tuple[Reason, ...]] = ("forwarded_sent", "forwarded", "forwarded_unclear")
_NOT_ARRIVED: Final = frozenset(("failed", "quarantined"))
_BATCH_ROWS: Final = 100_000
# Conditions that a trace settles, with the column that does.
_NAMES: Final = {"from": "sender", "sentto": "recipient"}
_WORDS: Final = {
    "fromaddresscontainswords": "sender",
    "recipientaddresscontainswords": "recipient",
    "anyofrecipientaddresscontainswords": "recipient",
    "subjectcontainswords": "subject",
}
_DELIMITERS: Final = re.compile(r"[\s<>\[\]\"'():]+")
# Traces that end so soon before the logs do leave nothing out; they are delivered late.
_LATE: Final = dt.timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Forwarded:
    """One message that reached a rule. Built up trace by trace."""

    mailbox: str
    internet_message_id: str
    subject: str | None
    sender: str | None
    size_bytes: int | None
    first_at: dt.datetime
    last_at: dt.datetime
    reason: Reason
    recipients: set[str] = field(default_factory=set)
    event_ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untraced:
    """A span in which a rule sent mail on and no message trace tells which."""

    forwarding: Forwarding
    first_at: dt.datetime
    last_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOn:
    """What the rules of one selection sent on, by time, mailbox and Message-ID, and when that cannot be told."""

    messages: tuple[Forwarded, ...] = ()
    untraced: tuple[Untraced, ...] = ()


def sent_on(tables: Tables, selections: Sequence[Selection]) -> list[SentOn]:
    """What the rules of each selection sent on.

    Args:
        tables: Uses `message_traces`, and of `events` the last time; nothing where no selection has a rule.
        selections: What is asked for.
    """
    every = tuple(rule for selection in selections for rule in selection.forwardings)
    if not every:
        return [SentOn() for _ in selections]
    (span,) = _span(tables).to_pyarrow().to_pylist()
    found: list[dict[tuple[str, str], Forwarded]] = [{} for _ in selections]
    copies: set[tuple[str, str]] = set()
    reached: set[str] = set()
    if span["first_at"] is not None:
        for row in _rows(traces(tables, every)):
            copies.add((row["internet_message_id"], row["recipient"] or ""))
            reached.add(row["recipient"] or "")
            for number, selection in enumerate(selections):
                for rule in selection.forwardings:
                    _note(found[number], rule, row)
    return [
        SentOn(
            messages=tuple(sorted((_sent(one, selection, copies) for one in messages.values()), key=_by_time)),
            untraced=tuple(gap for rule in selection.forwardings for gap in _untraced(rule, span, reached)),
        )
        for selection, messages in zip(selections, found, strict=True)
    ]


def traces(tables: Tables, rules: Iterable[Forwarding]) -> ir.Table:
    """The message traces that can be of mail that the rules took, or of the copies that they sent.

    Returns: event_id, occurred_at, internet_message_id, sender, recipient, subject, status, size_bytes.
    """
    rules = tuple(rules)
    rows = tables["message_traces"].select(
        "event_id", "occurred_at", "internet_message_id", "sender", "recipient", "subject", "status", "size_bytes"
    )
    rows = rows.filter(
        rows.internet_message_id.notnull(), rows.occurred_at >= ibis.literal(min(rule.first_at for rule in rules))
    )
    ends = [rule.last_at for rule in rules]
    if None not in ends:
        latest = max(end for end in ends if end is not None) + _LATE
        rows = rows.filter(rows.occurred_at <= ibis.literal(latest))
    if any(not rule.mailboxes and not rule.domains for rule in rules):
        return rows
    # A rule can name many addresses, so they travel as a table.
    wanted = sorted({address for rule in rules for address in (*rule.mailboxes, *rule.destinations)})
    named = ibis.memtable(pa.table({"address": pa.array(wanted, pa.string())}))
    concerned = rows.recipient.isin(named.address)
    for domain in sorted({domain for rule in rules if not rule.mailboxes for domain in rule.domains}):
        concerned |= rows.recipient.endswith(f"@{domain}") | rows.sender.endswith(f"@{domain}")
    return rows.filter(concerned)


def _span(tables: Tables) -> ir.Table:
    """One row: first_at and last_at of the message traces (null where there are none), ends_at of all logs."""
    times, events = tables["message_traces"].select("occurred_at"), tables["events"].select("occurred_at")
    span = times.aggregate(first_at=times.occurred_at.min(), last_at=times.occurred_at.max())
    return span.cross_join(events.aggregate(ends_at=events.occurred_at.max()))


def _rows(table: ir.Table) -> Iterator[Row]:
    # Rows as Python values are large; they are made of the columns batch by batch.
    for batch in table.to_pyarrow().to_batches(max_chunksize=_BATCH_ROWS):
        yield from batch.to_pylist()


def _note(found: dict[tuple[str, str], Forwarded], rule: Forwarding, row: Row) -> None:
    """Add the message of a trace to those that the rule took, if it can have taken it."""
    if not (rule.first_at <= row["occurred_at"] and (rule.last_at is None or row["occurred_at"] <= rule.last_at)):
        return
    mailbox = _mailbox(rule, row)
    if mailbox is None or (fold(row["status"]) or "") in _NOT_ARRIVED or row["recipient"] in rule.destinations:
        return
    holds = _holds(rule, row)
    if holds is False:
        return
    key = mailbox, row["internet_message_id"]
    reason: Reason = "forwarded_unclear" if holds is None else "forwarded"
    if key not in found:
        found[key] = Forwarded(
            mailbox=mailbox,
            internet_message_id=row["internet_message_id"],
            subject=row["subject"],
            sender=row["sender"],
            size_bytes=row["size_bytes"],
            first_at=row["occurred_at"],
            last_at=row["occurred_at"],
            reason=reason,
        )
    one = found[key]
    # Several traces of one message tell the same, or the least text is taken, so that their order is nothing.
    one.subject = min(filter(None, (one.subject, row["subject"])), default=None)
    one.sender = min(filter(None, (one.sender, row["sender"])), default=None)
    one.size_bytes = max((size for size in (one.size_bytes, row["size_bytes"]) if size is not None), default=None)
    one.first_at, one.last_at = min(one.first_at, row["occurred_at"]), max(one.last_at, row["occurred_at"])
    one.reason = min(one.reason, reason, key=_STRONGEST.index)
    one.recipients |= {row["recipient"]} if row["recipient"] else set()
    one.event_ids |= {row["event_id"], *rule.event_ids}


def _mailbox(rule: Forwarding, row: Row) -> str | None:
    """The mailbox out of which the rule took the message; None where it cannot have taken it."""
    recipient, sender = row["recipient"] or "", row["sender"] or ""
    if rule.mailboxes:
        return recipient if recipient in rule.mailboxes else None
    if not rule.domains:
        return recipient or sender or None
    # A transport rule takes what the organisation sends as well; such a message stands in its sender's mailbox.
    return next((address for address in (recipient, sender) if address.rpartition("@")[2] in rule.domains), None)


def _sent(one: Forwarded, selection: Selection, copies: set[tuple[str, str]]) -> Forwarded:
    """The message, with the reason that says so where a trace shows it on its way to a rule's destination."""
    for rule in selection.forwardings:
        if one.event_ids.issuperset(rule.event_ids) and any(
            (one.internet_message_id, address) in copies for address in rule.destinations
        ):
            one.reason = "forwarded_sent"
    return one


def _by_time(one: Forwarded) -> tuple[dt.datetime, str, str]:
    return one.first_at, one.mailbox, one.internet_message_id


def _untraced(rule: Forwarding, span: Row, reached: set[str]) -> Iterator[Untraced]:
    """The parts of the rule's time that the message traces do not cover.

    A mailbox that no trace names since then may be known to them by another address: nothing can be said of it.
    """
    end = rule.last_at or span["ends_at"] or rule.first_at
    is_unknown = bool(rule.mailboxes) and rule.mailboxes.isdisjoint(reached)
    if span["first_at"] is None or span["last_at"] < rule.first_at or span["first_at"] > end or is_unknown:
        yield Untraced(forwarding=rule, first_at=rule.first_at, last_at=rule.last_at)
        return
    if span["first_at"] - rule.first_at > _LATE:
        yield Untraced(forwarding=rule, first_at=rule.first_at, last_at=span["first_at"])
    if end - span["last_at"] > _LATE:
        yield Untraced(forwarding=rule, first_at=span["last_at"], last_at=rule.last_at)


# ---------------------------------------------------------------- conditions


def _holds(rule: Forwarding, row: Row) -> bool | None:
    """Whether all conditions hold for the message; None where the trace does not settle one."""
    answers = {_condition(name, value, row) for name, value in rule.conditions}
    if False in answers:
        return False
    return None if None in answers else True


def _condition(name: str, value: str, row: Row) -> bool | None:
    if name in _NAMES:
        return _is_one_of(row[_NAMES[name]], value)
    if name in _WORDS:
        return _has_word(fold(row[_WORDS[name]]), value)
    # No trace holds the body.
    return (_has_word(fold(row["subject"]), value) or None) if name == "subjectorbodycontainswords" else None


def _is_one_of(address: str | None, value: str) -> bool | None:
    """Whether the address is among those named; None where it is not, and one is named by something else."""
    named = [_address(part) for part in _parts(value.replace(",", ";"))]
    if address is None or not named:
        return None
    if address in named:
        return True
    return None if None in named else False


def _has_word(text: str | None, value: str) -> bool | None:
    words = [fold(part) or "" for part in _parts(value)]
    if text is None or not words:
        return None
    return any(word in text for word in words)


def _parts(value: str) -> list[str]:
    """The values of a parameter with several, trimmed."""
    return [part for part in map(str.strip, value.split(";")) if part]


def _address(part: str) -> str | None:
    """The mail address in one value, folded: `bob@x`, `smtp:bob@x`, `"Bob" [SMTP:bob@x]`; None where there is none."""
    return next((token.lower() for token in _DELIMITERS.split(part) if "@" in token[1:-1]), None)

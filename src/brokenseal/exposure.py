"""What was read under one selection of mail accesses: certain, possible, unknowable.

Certain are the messages that records list. Possible are those known to have stood in folders that went to a
client as a whole. Unknowable are the spans of which the service itself says, or the logs show, that more may have been
read than any record names. Repeats are one exposure: messages count once per mailbox and Message-ID.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts".
"""

from __future__ import annotations

import contextlib
import datetime as dt
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from brokenseal import exposure_tables
from brokenseal.app_names import client_label
from brokenseal.audit_switches import Unaudited, unaudited
from brokenseal.exposure_tables import exposed_messages
from brokenseal.model import ExposedFolder, ExposedMessage, Exposure, MailboxExposure, OpenEnded
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables
    from brokenseal.selection import Selection

__all__ = ["ANY_MAILBOX", "exposed_messages", "exposure", "exposures"]

ANY_MAILBOX = "*"
"""Stands for the mailbox in a span that concerns every mailbox."""

# Microsoft Purview: bind auditing of a throttled mailbox stops for 24 hours.
_THROTTLE = dt.timedelta(hours=24)
# Reading that ran into a blind span shows no records there, so a span counts if it starts this soon after the last one.
_AFTERMATH = dt.timedelta(hours=24)
_KEPT_ROWS = 500_000

Row = dict[str, Any]
_NONE: dict[int, list[Row]] = {}


class _Span(NamedTuple):
    """An open-ended span and the mailbox that it is counted under; None where it is no single mailbox's."""

    mailbox_key: str | None
    span: OpenEnded


def exposure(tables: Tables, selection: Selection, *, limit: int = 5000, cite: int = 50) -> Exposure:
    """What was read under the selection.

    Args:
        tables: The store's tables.
        selection: Which mail accesses are meant.
        limit: How many messages, and how many folders, are listed: the first by time. All counts are over
            everything; `exposed_messages` gives every message.
        cite: How many records one line cites at most: its first by event id (messages) or by time (others).
    Returns: The exposure; mailboxes with most certain messages first, messages and folders by time, spans by mailbox.
    Raises: Nothing. An empty selection gives an exposure of nothing.
    """
    (found,) = exposures(tables, (selection,), limit=limit, cite=cite)
    return found


def exposures(
    tables: Tables, selections: Sequence[Selection], *, limit: int = 5000, cite: int = 50
) -> tuple[Exposure, ...]:
    """What was read under each selection; as `exposure`, but looked up together: many cost little more than one."""
    if not selections:
        return ()
    blind = _Blind(
        stops=_rows(exposure_tables.throttles(tables)),
        off=unaudited(tables),
        silent=_rows(exposure_tables.mailboxes_without_access_log(tables)),
    )
    found = _by_selection(exposure_tables.mailbox_totals(exposure_tables.touches(tables, selections)))
    totals = [sorted(found[number], key=lambda row: row["mailbox_key"]) for number in range(len(selections))]
    exposed: dict[int, Exposure] = {}
    for numbers, is_small in _passes(totals):
        asked = [selections[number] for number in numbers]
        limits = _Limits(messages=limit, cite=cite, is_small=is_small, has_readers=bool(blind.off))
        facts = _facts(tables, asked, [row for number in numbers for row in totals[number]], limits)
        for number, fact in zip(numbers, facts, strict=True):
            question = _Question(selection=selections[number], totals=totals[number], facts=fact, cite=cite)
            exposed[number] = _exposure(question, blind, limit=limit)
    return tuple(exposed[number] for number in range(len(selections)))


class _Blind(NamedTuple):
    """What hides reading, whatever is asked for: throttling, auditing switched off, mailboxes without a log."""

    stops: list[Row]
    off: tuple[Unaudited, ...]
    silent: list[Row]


class _Limits(NamedTuple):
    """How much is looked up, and whether it is small enough to be kept meanwhile."""

    messages: int
    cite: int
    is_small: bool
    has_readers: bool


class _Facts(NamedTuple):
    """What is on record of one selection: rows of the tables of `exposure_tables`, and the accounts that read."""

    counts: list[Row]
    messages: list[Row]
    unnamed: list[Row]
    folders: list[Row]
    possible: list[Row]
    known: list[Row]
    readers: list[Row]


class _Question(NamedTuple):
    """One selection, what its records come to per mailbox, and what else is on record of it."""

    selection: Selection
    totals: list[Row]
    facts: _Facts
    cite: int


def _passes(totals: Sequence[Sequence[Row]]) -> Iterator[tuple[list[int], bool]]:
    """The positions of the selections that are looked up together, and whether all of it is small beside memory."""
    sizes = [sum(row["accesses"] + row["item_entries"] for row in rows) for rows in totals]
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    reached = list(accumulate(sizes[number] for number in smallest_first))
    fitting = bisect_right(reached, _KEPT_ROWS)
    if fitting:
        yield smallest_first[:fitting], True
    if fitting < len(sizes):
        yield smallest_first[fitting:], False


def _facts(tables: Tables, selections: Sequence[Selection], totals: Sequence[Row], limits: _Limits) -> list[_Facts]:
    """What is on record of each selection."""
    if not totals:
        return [_Facts([], [], [], [], [], [], []) for _ in selections]
    with contextlib.ExitStack() as kept:

        def once(table: ir.Table) -> ir.Table:
            """What is asked for again and again is looked up once, as long as it is small."""
            return kept.enter_context(table.cache()) if limits.is_small else table

        touched = once(exposure_tables.touches(tables, selections))
        entries = once(exposure_tables.item_entries(tables, touched))
        counts = _by_selection(exposure_tables.entry_counts(entries))
        counted = [row for rows in counts.values() for row in rows]
        messages, unnamed, folders, possible, known, readers = (_NONE,) * 6
        if any(row["certain"] for row in counted):
            messages = _by_selection(exposure_tables.messages_in(tables, entries, first=limits.messages))
        if any(row["short"] for row in totals) or any(row["unnamed"] for row in counted):
            found = exposure_tables.Reading(touched=touched, entries=entries)
            unnamed = _by_selection(exposure_tables.unnamed_reads(found, cite=limits.cite))
        if any(row["syncs"] for row in totals):
            sync_rows = exposure_tables.syncs(tables, touched)
            folders = _by_selection(exposure_tables.synced_folders(sync_rows, cite=limits.cite))
            stood = kept.enter_context(exposure_tables.stood_in_synced(tables, sync_rows).cache())
            possible = _by_selection(exposure_tables.possible_counts(stood, entries))
            known = _by_selection(exposure_tables.known_counts(stood))
        if limits.has_readers:
            readers = _by_selection(touched.select("selection_no", "actor_key").distinct())
    return [
        _Facts(
            counts=counts.get(number, []),
            messages=messages.get(number, []),
            unnamed=unnamed.get(number, []),
            folders=folders.get(number, []),
            possible=possible.get(number, []),
            known=known.get(number, []),
            readers=readers.get(number, []),
        )
        for number in range(len(selections))
    ]


def _exposure(question: _Question, blind: _Blind, *, limit: int) -> Exposure:
    totals, facts = question.totals, question.facts
    certain = {row["mailbox_key"]: row["certain"] for row in facts.counts}
    possible = {row["mailbox_key"]: row["possible"] for row in facts.possible}
    known = {(row["mailbox_key"], row["folder"]): row["known"] for row in facts.known}
    spans = _open_ended(question, blind)
    folders_of = Counter(folder["mailbox_key"] for folder in facts.folders)
    spans_of = Counter(span.mailbox_key for span in spans)
    mailboxes = [
        MailboxExposure(
            mailbox=_label(row),
            mailbox_key=row["mailbox_key"],
            accesses=row["accesses"],
            item_entries=row["item_entries"],
            certain=certain.get(row["mailbox_key"], 0),
            possible=possible.get(row["mailbox_key"], 0),
            possible_folders=folders_of[row["mailbox_key"]],
            unknowable=spans_of[row["mailbox_key"]],
            first_at=row["first_at"],
            last_at=row["last_at"],
            clients=_clients(row["clients"]),
            addresses=tuple(row["addresses"] or ()),
        )
        for row in totals
    ]
    return Exposure(
        selection=str(question.selection),
        accesses=sum(mailbox.accesses for mailbox in mailboxes),
        certain=sum(certain.values()),
        possible=sum(possible.values()),
        unknowable=len(spans),
        mailboxes=tuple(sorted(mailboxes, key=lambda m: (-m.certain, -m.accesses, m.mailbox, m.mailbox_key))),
        messages=tuple(_message(row, question.cite) for row in facts.messages),
        folders=tuple(_folder(row, known) for row in sorted(facts.folders, key=_by_time)[:limit]),
        open_ended=tuple(span.span for span in spans),
    )


def _by_selection(table: ir.Table) -> dict[int, list[Row]]:
    """The rows of a table by `selection_no`, in their order."""
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in _rows(table):
        rows[row["selection_no"]].append(row)
    return rows


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())


def _by_time(row: Row) -> tuple[dt.datetime, str, str]:
    return row["first_at"], row["mailbox_key"], row["folder"]


def _label(row: Mapping[str, Any]) -> str:
    """The mailbox as it is shown: its address, else its key; `*` where the records name none."""
    return str(row["mailbox"] or row["mailbox_key"] or ANY_MAILBOX)


def _clients(stored: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(client_label(client) for client in stored or ())


def _message(row: Row, cite: int) -> ExposedMessage:
    return ExposedMessage(
        mailbox=_label(row),
        internet_message_id=row["internet_message_id"],
        subject=row["subject"],
        sender=row["sender"],
        recipients=tuple(row["recipients"] or ()),
        folder_path=row["folder_path"],
        size_bytes=row["size_bytes"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        entries=row["entries"],
        clients=_clients(row["clients"]),
        addresses=tuple(row["addresses"] or ()),
        sessions=tuple(row["sessions"] or ()),
        event_ids=tuple(row["event_ids"][:cite]),
    )


def _folder(row: Row, known: Mapping[tuple[str, str], int]) -> ExposedFolder:
    return ExposedFolder(
        mailbox=_label(row),
        folder_path=row["path"],
        folder_id=row["folder_id"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        known_messages=known.get((row["mailbox_key"], row["folder"])),
        event_ids=tuple(row["event_ids"]),
        records=row["records"],
    )


# ---------------------------------------------------------------- the unknowable part


def _open_ended(question: _Question, blind: _Blind) -> list[_Span]:
    spans = [
        *_throttled(blind.stops, question.totals, cite=question.cite),
        *_unnamed(question.facts.unnamed),
        *_unaudited(question, blind.off),
        *_without_log(question, blind.silent),
    ]
    return sorted(
        spans,
        key=lambda item: (
            item.span.mailbox,
            item.span.reason,
            item.mailbox_key or "",
            item.span.first_at or dt.datetime.min.replace(tzinfo=dt.UTC),
            item.span.event_ids,
        ),
    )


def _throttled(stops: Iterable[Row], totals: Iterable[Row], *, cite: int) -> list[_Span]:
    """Throttled spans of the mailboxes read, merged where they overlap.

    The service counts all clients of a mailbox together, so that a stop caused by one hides what every other reads.
    """
    of_mailbox: dict[str, list[Row]] = {}
    for stop in sorted(stops, key=lambda row: (row["occurred_at"], row["event_id"])):
        of_mailbox.setdefault(stop["mailbox_key"], []).append(stop)
    spans = []
    for total in totals:
        merged: list[tuple[dt.datetime, dt.datetime, list[str]]] = []
        for stop in of_mailbox.get(total["mailbox_key"], ()):
            begins = stop["occurred_at"]
            if merged and begins <= merged[-1][1]:
                merged[-1] = (merged[-1][0], begins + _THROTTLE, [*merged[-1][2], stop["event_id"]])
            else:
                merged.append((begins, begins + _THROTTLE, [stop["event_id"]]))
        for first_at, last_at, ids in merged:
            if not _touches(total, first_at, last_at):
                continue
            explanation = phrase(
                "The service stopped recording single reads of this mailbox for up to 24 hours, "
                "because there were too many: more may have been read than any record shows."
            )
            span = OpenEnded(
                mailbox=_label(total),
                reason="throttled",
                first_at=first_at,
                last_at=last_at,
                explanation=explanation,
                event_ids=tuple(sorted(ids[:cite])),
            )
            spans.append(_Span(total["mailbox_key"], span))
    return spans


def _touches(total: Row, first_at: dt.datetime, last_at: dt.datetime | None) -> bool:
    """Whether the blind span overlaps the reading of the mailbox, or starts within a day of its last record.

    A mailbox without any record of reading can have been read at any time.
    """
    if total["first_at"] is None:
        return True
    return first_at <= total["last_at"] + _AFTERMATH and (last_at is None or last_at >= total["first_at"])


def _unnamed(rows: Iterable[Row]) -> list[_Span]:
    return [
        _Span(
            row["mailbox_key"],
            OpenEnded(
                mailbox=_label(row),
                reason=row["reason"],
                first_at=row["first_at"],
                last_at=row["last_at"],
                explanation=_unnamed_explanation(row),
                event_ids=tuple(row["event_ids"]),
            ),
        )
        for row in rows
    ]


def _unnamed_explanation(row: Row) -> Phrase:
    if row["reason"] == "items_unnamed":
        return phrase(
            "{records} record(s) stand for {items} more item(s) than they name: "
            "which messages these were cannot be told.",
            records=row["records"],
            items=row["items"],
        )
    if row["items"]:
        return phrase(
            "{records} record(s) of reading come without a list of messages; the service counted {items} item(s): "
            "which messages these were cannot be told.",
            records=row["records"],
            items=row["items"],
        )
    return phrase(
        "{records} record(s) of reading come without a list of messages: what was read cannot be told.",
        records=row["records"],
    )


def _unaudited(question: _Question, off: Iterable[Unaudited]) -> list[_Span]:
    """Spans in which auditing was switched off for a mailbox read, for an account that reads, or for all."""
    if not off:
        return []
    selection, totals = question.selection, question.totals
    reading = {row["actor_key"] for row in question.facts.readers}
    subjects = [*totals, *_asked_in_vain(selection, totals)]
    spans = []
    for switched in off:
        concerned = [row for row in subjects if switched.concerns(row["mailbox_key"], row["mailbox"])]
        is_reader = switched.reach == "organisation" or switched.target_key in reading
        inside = [
            row
            for row in (concerned or (subjects if is_reader else []))
            if selection.kind == "mailbox" or _touches(row, switched.first_at, switched.last_at)
        ]
        if not inside and selection.kind != "all":
            continue
        owner = concerned[0] if concerned else None
        span = OpenEnded(
            mailbox=_label(owner) if owner else switched.target or ANY_MAILBOX,
            reason="audit_bypassed",
            first_at=switched.first_at,
            last_at=switched.last_at,
            explanation=_unaudited_explanation(switched),
            event_ids=switched.event_ids,
        )
        spans.append(_Span(owner["mailbox_key"] if owner else None, span))
    return spans


def _asked_in_vain(selection: Selection, totals: Iterable[Row]) -> list[Row]:
    """The mailboxes that the question names and of which no reading is on record."""
    named = {selection.value} if selection.kind == "mailbox" else selection.mailboxes
    seen = {name for row in totals for name in (row["mailbox_key"], row["mailbox"])}
    return [
        {"mailbox_key": name, "mailbox": name.removeprefix("upn:"), "first_at": None, "last_at": None}
        for name in sorted(named - seen)
    ]


def _unaudited_explanation(switched: Unaudited) -> Phrase:
    if switched.reach == "account":
        return phrase(
            "Auditing was switched off for the account {target}: what it read, in any mailbox, was not recorded.",
            target=switched.target,
        )
    if switched.reach == "mailbox":
        return phrase("Auditing was switched off for this mailbox: what was read was not recorded.")
    return phrase("Auditing was switched off for the whole organisation: what was read was not recorded.")


def _without_log(question: _Question, silent: Sequence[Row]) -> list[_Span]:
    """Mailboxes that the question is about and for which the logs hold no MailItemsAccessed at all."""
    selection = question.selection
    if selection.kind not in {"all", "mailbox", "case"}:
        return []
    asked = {selection.value} if selection.kind == "mailbox" else selection.mailboxes
    if selection.kind != "all":
        silent = [row for row in silent if {row["mailbox_key"], row["mailbox"]} & asked]
    spans = [_Span(row["mailbox_key"], _silent(_label(row))) for row in silent]
    # Neither found nor named in any record: still an answer, and not the answer that nothing was read.
    if selection.kind != "case" and not spans and not any(row["accesses"] for row in question.totals):
        return [_Span(None, _silent(ANY_MAILBOX if selection.kind == "all" else selection.value))]
    return spans


def _silent(mailbox: str) -> OpenEnded:
    explanation = (
        phrase("The logs hold no MailItemsAccessed record: what was read cannot be told for any mailbox.")
        if mailbox == ANY_MAILBOX
        else phrase("The logs hold no MailItemsAccessed record of this mailbox: whether it was read cannot be told.")
    )
    return OpenEnded(
        mailbox=mailbox,
        reason="no_mail_access_log",
        first_at=None,
        last_at=None,
        explanation=explanation,
        event_ids=(),
    )

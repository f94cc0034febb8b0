"""What was read under one selection of mail accesses: certain, possible, unknowable.

Certain are the messages that records list. Possible are those known to have stood in folders that went to a
client as a whole. Unknowable are the spans of which the service itself says, or the logs show, that more may have been
read than any record names. Repeats are one exposure: messages count once per mailbox and Message-ID.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts".
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from brokenseal import exposure_tables
from brokenseal.app_names import client_label
from brokenseal.audit_switches import Unaudited, unaudited
from brokenseal.exposure_tables import exposed_messages
from brokenseal.model import ExposedFolder, ExposedMessage, Exposure, MailboxExposure, OpenEnded
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    tables: Tables, selections: Iterable[Selection], *, limit: int = 5000, cite: int = 50
) -> tuple[Exposure, ...]:
    """What was read under each selection; as `exposure`, but what concerns them all is looked up once."""
    blind = _Blind(
        stops=_rows(exposure_tables.throttles(tables)),
        off=unaudited(tables),
        silent=_rows(exposure_tables.mailboxes_without_access_log(tables)),
    )
    return tuple(_of_selection(tables, selection, blind, limit=limit, cite=cite) for selection in selections)


class _Blind(NamedTuple):
    """What hides reading, whatever is asked for: throttling, auditing switched off, mailboxes without a log."""

    stops: list[Row]
    off: tuple[Unaudited, ...]
    silent: list[Row]


class _Question(NamedTuple):
    """One selection, the records that it means, and what they come to per mailbox."""

    selection: Selection
    found: exposure_tables.Reading
    totals: list[Row]
    cite: int


def _of_selection(tables: Tables, selection: Selection, blind: _Blind, *, limit: int, cite: int) -> Exposure:
    found = exposure_tables.reading(tables, selection)
    totals = _rows(exposure_tables.mailbox_totals(found.touched))
    with contextlib.ExitStack() as kept:
        # What is asked for again and again is looked up once, as long as it is small beside memory.
        if totals and sum(row["accesses"] + row["item_entries"] for row in totals) <= _KEPT_ROWS:
            touched = kept.enter_context(found.touched.cache())
            entries = kept.enter_context(exposure_tables.item_entries(tables, touched).cache())
            found = exposure_tables.Reading(touched=touched, entries=entries)
        question = _Question(selection=selection, found=found, totals=totals, cite=cite)
        return _exposure(tables, question, blind, limit=limit)


def _exposure(tables: Tables, question: _Question, blind: _Blind, *, limit: int) -> Exposure:
    totals, found = question.totals, question.found
    counts = {row["mailbox_key"]: row for row in _rows(exposure_tables.entry_counts(found.entries))} if totals else {}
    certain = {key: row["certain"] for key, row in counts.items()}
    has_unnamed = any(row["short"] for row in totals) or any(row["unnamed"] for row in counts.values())
    sync_rows = exposure_tables.syncs(tables, found.touched)
    folders: list[Row] = []
    possible: Mapping[str, int] = {}
    known: Mapping[tuple[str, str], int] = {}
    if any(row["syncs"] for row in totals):
        folders = _rows(exposure_tables.synced_folders(sync_rows, cite=question.cite))
        with exposure_tables.stood_in_synced(tables, sync_rows).cache() as stood:
            could_read = _rows(exposure_tables.possible_counts(stood, found.entries))
            counted = _rows(exposure_tables.known_counts(stood))
        possible = {row["mailbox_key"]: row["possible"] for row in could_read}
        known = {(row["mailbox_key"], row["folder"]): row["known"] for row in counted}
    unnamed = _rows(exposure_tables.unnamed_reads(found, cite=question.cite)) if has_unnamed else []
    spans = _open_ended(question, blind, unnamed)
    folders_of = Counter(folder["mailbox_key"] for folder in folders)
    spans_of = Counter(span.mailbox_key for span in spans)
    messages = _rows(exposure_tables.messages_in(tables, found.entries, first=limit)) if any(certain.values()) else []
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
        messages=tuple(_message(row, question.cite) for row in messages),
        folders=tuple(_folder(row, known) for row in sorted(folders, key=_by_time)[:limit]),
        open_ended=tuple(span.span for span in spans),
    )


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


def _open_ended(question: _Question, blind: _Blind, unnamed: Iterable[Row]) -> list[_Span]:
    spans = [
        *_throttled(blind.stops, question.totals, cite=question.cite),
        *_unnamed(unnamed),
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
    reading = {row["actor_key"] for row in _rows(question.found.touched.select("actor_key").distinct())}
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

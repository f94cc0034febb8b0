"""When more may have been read than any record shows: throttling, auditing switched off, doors, missing records.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts".
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from brokenseal.model import OpenEnded
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from brokenseal.audit_switches import Unaudited
    from brokenseal.exposure_forwarded import Untraced
    from brokenseal.selection import OpenDoor, Selection

ANY_MAILBOX = "*"
"""Stands for the mailbox in a span that concerns every mailbox."""

# Microsoft Purview: bind auditing of a throttled mailbox stops for 24 hours.
_THROTTLE = dt.timedelta(hours=24)
# Reading that ran into a blind span shows no records there, so a span counts if it starts this soon after the last one.
_AFTERMATH = dt.timedelta(hours=24)
_READING_DOORS = ("impersonation", "app_mail_role", "credential", "mail_consent", "mailbox_right", "folder_right")

Row = dict[str, Any]


class Span(NamedTuple):
    """An open-ended span and the mailbox that it is counted under; None where it is no single mailbox's."""

    mailbox_key: str | None
    span: OpenEnded


class Blind(NamedTuple):
    """What hides reading, whatever is asked for: throttling, auditing switched off, mailboxes without a log."""

    stops: list[Row]
    off: tuple[Unaudited, ...]
    silent: list[Row]


class Stop(NamedTuple):
    """A span in which single reads of a mailbox went unrecorded, because there were too many."""

    mailbox_key: str
    mailbox: str
    first_at: dt.datetime
    last_at: dt.datetime
    event_ids: tuple[str, ...]


def label(row: Mapping[str, Any]) -> str:
    """The mailbox as it is shown: its address, else its key; `*` where the records name none."""
    return str(row["mailbox"] or row["mailbox_key"] or ANY_MAILBOX)


def in_order(spans: Iterable[Span]) -> list[Span]:
    """The spans by mailbox, reason and time."""
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


# ---------------------------------------------------------------- throttling


def stops_of(stops: Iterable[Row], totals: Iterable[Row], *, cite: int) -> list[Stop]:
    """Throttled spans of the mailboxes read, merged where they overlap.

    The service counts all clients of a mailbox together, so that a stop caused by one hides what every other reads.

    Args:
        stops: Rows of `exposure_tables.throttles`.
        totals: Rows of `exposure_tables.mailbox_totals`.
        cite: How many records one span cites at most.
    """
    of_mailbox: dict[str, list[Row]] = {}
    for stop in sorted(stops, key=lambda row: (row["occurred_at"], row["event_id"])):
        of_mailbox.setdefault(stop["mailbox_key"], []).append(stop)
    found = []
    for total in totals:
        merged: list[tuple[dt.datetime, dt.datetime, list[str]]] = []
        for stop in of_mailbox.get(total["mailbox_key"], ()):
            begins = stop["occurred_at"]
            if merged and begins <= merged[-1][1]:
                merged[-1] = (merged[-1][0], begins + _THROTTLE, [*merged[-1][2], stop["event_id"]])
            else:
                merged.append((begins, begins + _THROTTLE, [stop["event_id"]]))
        found += [
            Stop(total["mailbox_key"], label(total), first_at, last_at, tuple(sorted(ids[:cite])))
            for first_at, last_at, ids in merged
            if _touches(total, first_at, last_at)
        ]
    return found


def throttled(stops: Iterable[Stop], counts: Iterable[tuple[int, int]]) -> list[Span]:
    """The spans, each with its count interval: messages seen in it, and known to have stood there to be read."""
    return [
        Span(
            stop.mailbox_key,
            OpenEnded(
                mailbox=stop.mailbox,
                reason="throttled",
                first_at=stop.first_at,
                last_at=stop.last_at,
                explanation=_throttled_explanation(seen, known),
                event_ids=stop.event_ids,
                seen=seen,
                known=known,
            ),
        )
        for stop, (seen, known) in zip(stops, counts, strict=True)
    ]


def _throttled_explanation(seen: int, known: int) -> Phrase:
    if known:
        return phrase(
            "The service stopped recording single reads of this mailbox for up to 24 hours, because there were too "
            "many: more may have been read than any record shows. Records of this time list {seen} message(s); {known} "
            "are known to have stood in the folders that were read, which may have held more.",
            seen=seen,
            known=known,
        )
    return phrase(
        "The service stopped recording single reads of this mailbox for up to 24 hours, "
        "because there were too many: more may have been read than any record shows."
    )


def _touches(total: Row, first_at: dt.datetime, last_at: dt.datetime | None) -> bool:
    """Whether the blind span overlaps the reading of the mailbox, or starts within a day of its last record.

    A mailbox without any record of reading can have been read at any time.
    """
    if total["first_at"] is None:
        return True
    return first_at <= total["last_at"] + _AFTERMATH and (last_at is None or last_at >= total["first_at"])


# ---------------------------------------------------------------- records that name too little


def unnamed(rows: Iterable[Row]) -> list[Span]:
    """Reading whose records do not name all that they stand for: rows of `exposure_tables.unnamed_reads`."""
    return [
        Span(
            row["mailbox_key"],
            OpenEnded(
                mailbox=label(row),
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


# ---------------------------------------------------------------- auditing switched off


def unaudited(
    selection: Selection, totals: Sequence[Row], readers: Collection[str | None], off: Iterable[Unaudited]
) -> list[Span]:
    """Spans without auditing for a mailbox read, for an account that reads, or for all; and those of the case's making.

    Args:
        selection: What is asked for.
        totals: Rows of `exposure_tables.mailbox_totals`.
        readers: Folded names of the accounts that read.
        off: All spans without auditing.
    """
    subjects = [*totals, *_asked_in_vain(selection, totals)]
    spans = []
    for switched in off:
        concerned = [row for row in subjects if switched.concerns(row["mailbox_key"], row["mailbox"])]
        is_reader = switched.reach == "organisation" or switched.target_key in readers
        inside = [
            row
            for row in (concerned or (subjects if is_reader else []))
            if selection.kind == "mailbox" or _touches(row, switched.first_at, switched.last_at)
        ]
        is_meant = selection.kind == "all" or not selection.changes.isdisjoint(switched.event_ids)
        if not inside and not is_meant:
            continue
        owner = concerned[0] if concerned else None
        span = OpenEnded(
            mailbox=label(owner) if owner else switched.target or ANY_MAILBOX,
            reason="audit_bypassed",
            first_at=switched.first_at,
            last_at=switched.last_at,
            explanation=_unaudited_explanation(switched),
            event_ids=switched.event_ids,
        )
        spans.append(Span(owner["mailbox_key"] if owner else None, span))
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


# ---------------------------------------------------------------- no log at all


def without_log(selection: Selection, totals: Iterable[Row], silent: Sequence[Row]) -> list[Span]:
    """Mailboxes that the question is about and for which the logs hold no MailItemsAccessed at all.

    Args:
        selection: What is asked for.
        totals: Rows of `exposure_tables.mailbox_totals`.
        silent: Rows of `exposure_tables.mailboxes_without_access_log`.
    """
    if selection.kind not in {"all", "mailbox", "case"}:
        return []
    asked = {selection.value} if selection.kind == "mailbox" else selection.mailboxes
    if selection.kind != "all":
        silent = [row for row in silent if {row["mailbox_key"], row["mailbox"]} & asked]
    spans = [Span(row["mailbox_key"], _silent(label(row))) for row in silent]
    # Neither found nor named in any record: still an answer, and not the answer that nothing was read.
    if selection.kind != "case" and not spans and not any(row["accesses"] for row in totals):
        return [Span(None, _silent(ANY_MAILBOX if selection.kind == "all" else selection.value))]
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


# ---------------------------------------------------------------- doors and forwarding


def through_doors(doors: Iterable[OpenDoor], silent: Sequence[Row], *, cite: int) -> list[Span]:
    """Rights by which mailboxes could be read of which the logs hold no MailItemsAccessed at all.

    Where a mailbox has such records, reading through a door is among them; where it has none, nothing shows it.

    Args:
        doors: Those of the case; the same right given to the same holder over and over is one span.
        silent: Rows of `exposure_tables.mailboxes_without_access_log`.
        cite: How many records one span cites at most.
    """
    alike: dict[tuple[str, str, bool], list[OpenDoor]] = {}
    for door in doors:
        if door.kind in _READING_DOORS:
            key = door.holder or "", door.mailbox or "", door.kind == "credential"
            alike.setdefault(key, []).append(door)
    spans = []
    for (holder, mailbox, _), same in sorted(alike.items()):
        hidden = [row for row in silent if mailbox in {row["mailbox_key"], row["mailbox"]}] if mailbox else silent
        if not hidden:
            continue
        ends = [door.last_at for door in same]
        span = OpenEnded(
            mailbox=label(hidden[0]) if mailbox else ANY_MAILBOX,
            reason="door_unlogged",
            first_at=min(door.first_at for door in same),
            last_at=None if None in ends else max(end for end in ends if end is not None),
            explanation=_door_explanation(same[0].kind, holder or "?", None if mailbox else len(hidden)),
            event_ids=tuple(sorted({event_id for door in same for event_id in door.event_ids})[:cite]),
        )
        spans.append(Span(hidden[0]["mailbox_key"] if mailbox else None, span))
    return spans


def _door_explanation(kind: str, holder: str, mailboxes: int | None) -> Phrase:
    if mailboxes is None:
        return phrase(
            "{holder} was given the right to read this mailbox, of which the logs hold no MailItemsAccessed record: "
            "whether it was read cannot be told.",
            holder=holder,
        )
    if kind == "credential":
        return phrase(
            "Whoever added a password or certificate to {holder} can read all that this application may read. "
            "Of {mailboxes} mailbox(es) the logs hold no MailItemsAccessed record: "
            "whether these were read cannot be told.",
            holder=holder,
            mailboxes=mailboxes,
        )
    return phrase(
        "{holder} was given the right to read any mailbox. Of {mailboxes} mailbox(es) the logs hold no "
        "MailItemsAccessed record: whether these were read cannot be told.",
        holder=holder,
        mailboxes=mailboxes,
    )


def untraced(gaps: Iterable[Untraced], keys: Mapping[str, str]) -> list[Span]:
    """Times in which mail was sent on and no message trace tells which.

    Args:
        gaps: Those of the case's rules.
        keys: Mailbox key by address.
    """
    spans = []
    for gap in gaps:
        mailboxes = sorted(gap.forwarding.mailboxes)
        mailbox = mailboxes[0] if len(mailboxes) == 1 else None
        span = OpenEnded(
            mailbox=mailbox or ANY_MAILBOX,
            reason="forwarded_untraced",
            first_at=gap.first_at,
            last_at=gap.last_at,
            explanation=phrase(
                "Mail was sent on to {destinations}, and no message trace covers this time: "
                "which messages left cannot be told.",
                destinations=", ".join(sorted(gap.forwarding.destinations)),
            ),
            event_ids=gap.forwarding.event_ids,
        )
        spans.append(Span(keys.get(mailbox, f"upn:{mailbox}") if mailbox else None, span))
    return spans

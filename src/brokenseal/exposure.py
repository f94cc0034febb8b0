"""What was read under one selection of mail accesses: certain, possible, unknowable.

Certain are the messages that records list. Possible are those known to have stood in folders that went to a
client as a whole, those that only doubtful records list, and those that a rule sent on. Unknowable are the spans of
which the service itself says, or the logs show, that more may have been read than any record names. Repeats are one
exposure: messages count once per mailbox and Message-ID.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts".
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from brokenseal import exposure_folders, exposure_spans, exposure_tables
from brokenseal.app_names import client_label
from brokenseal.audit_switches import unaudited
from brokenseal.engines import begun
from brokenseal.exposure_forwarded import sent_on
from brokenseal.exposure_spans import ANY_MAILBOX, Blind, label
from brokenseal.exposure_tables import exposed_messages
from brokenseal.model import ExposedFolder, ExposedMessage, Exposure, MailboxExposure

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.exposure_forwarded import Forwarded, SentOn
    from brokenseal.exposure_spans import Span, Stop
    from brokenseal.model import Tables
    from brokenseal.selection import Selection

__all__ = ["ANY_MAILBOX", "exposed_messages", "exposure", "exposures"]

_KEPT_ROWS = 5_000_000

Row = dict[str, Any]
_NONE: dict[int, list[Row]] = {}


def exposure(tables: Tables, selection: Selection, *, limit: int = 5000, cite: int = 50) -> Exposure:
    """What was read under the selection.

    Args:
        tables: The store's tables.
        selection: Which mail accesses are meant.
        limit: How many messages, certain and possible, and how many folders, are listed: the first by time. All counts
            are over everything; `exposed_messages` gives every message.
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
    blind = Blind(
        stops=_rows(exposure_tables.throttles(tables)),
        off=unaudited(tables),
        silent=_rows(exposure_tables.mailboxes_without_access_log(tables)),
    )
    with exposure_tables.touches(tables, selections).cache() as touched:
        found = _by_selection(exposure_tables.mailbox_totals(touched))
        questions = [
            _Question(
                selection=selection,
                totals=(totals := sorted(found[number], key=lambda row: row["mailbox_key"])),
                stops=exposure_spans.stops_of(blind.stops, totals, cite=cite),
                forwarded=forwarded,
                keys=_keys(totals),
            )
            for number, (selection, forwarded) in enumerate(zip(selections, sent_on(tables, selections), strict=True))
        ]
        limits = _Limits(messages=limit, cite=cite, has_readers=bool(blind.off))
        facts = _facts(tables, touched, questions, limits)
    return tuple(_exposure(question, fact, blind, limits) for question, fact in zip(questions, facts, strict=True))


class _Limits(NamedTuple):
    """How much is looked up."""

    messages: int
    cite: int
    has_readers: bool


class _Question(NamedTuple):
    """One selection, what its records come to per mailbox, when these were throttled, and what its rules sent on."""

    selection: Selection
    totals: list[Row]
    stops: list[Stop]
    forwarded: SentOn
    keys: dict[str, str]

    def key(self, address: str) -> str:
        """The key of the mailbox with this address."""
        return self.keys.get(address, f"upn:{address}")


class _Facts(NamedTuple):
    """What is on record of one selection: rows of the tables of `exposure_tables` and `exposure_folders`."""

    counts: list[Row]
    messages: list[Row]
    unnamed: list[Row]
    folders: list[Row]
    possible: list[Row]
    known: list[Row]
    readers: list[Row]
    forwarded_certain: list[Row]
    in_stops: list[tuple[int, int]]


def _keys(totals: Iterable[Row]) -> dict[str, str]:
    """Mailbox key by address; the least where an address stands for several."""
    keys: dict[str, str] = {}
    for row in totals:
        if row["mailbox"]:
            keys[row["mailbox"]] = min(row["mailbox_key"], keys.get(row["mailbox"], row["mailbox_key"]))
    return keys


class _Entries(NamedTuple):
    """The item entries of a run of `exposures`, and what all of its questions ask of them.

    Attributes:
        every: Rows of `exposure_tables.item_entries`, kept where they are few beside memory; None where they are not,
            so that each question takes from the store those that it is about.
        messages: Rows of `exposure_tables.messages_of`.
        lost: Rows of `exposure_tables.lost_entries`.
        names: Rows of `exposure_tables.message_names`.
    """

    tables: Tables
    touched: ir.Table
    names: ir.Table
    every: ir.Table | None
    messages: ir.Table
    lost: ir.Table

    def of_messages(self, messages: ir.Table) -> ir.Table:
        """The entries that list messages, rows of `exposure_tables.messages_of`."""
        found = self.every
        if found is None:
            found = exposure_tables.item_entries(self.tables, self.touched, names=self.names, of=messages)
        return found.semi_join(messages, [*exposure_tables.MESSAGE_KEYS, "is_doubtful"])

    def near(self, spans: ir.Table) -> ir.Table:
        """The entries of the mailboxes that spans are about."""
        if self.every is not None:
            return self.every
        near = self.touched.semi_join(spans, [*exposure_tables.MESSAGE_KEYS[:2]])
        return exposure_tables.item_entries(self.tables, near, names=self.names)


@contextlib.contextmanager
def _entries(tables: Tables, touched: ir.Table, rows: int) -> Iterator[_Entries]:
    """What records of reading list, worked out once, as long as the context lasts; `rows` says how much it is."""
    with contextlib.ExitStack() as kept:
        names = kept.enter_context(exposure_tables.message_names(tables, touched).cache())
        given = exposure_tables.item_entries(tables, touched, names=names)
        every = kept.enter_context(given.cache()) if rows <= _KEPT_ROWS else None
        messages = exposure_tables.messages_of(given if every is None else every)
        if every is None:
            lost = exposure_tables.lost_entries(tables, touched, names=names)
        else:
            lost = every.filter(every.internet_message_id.isnull())
        yield _Entries(
            tables=tables,
            touched=touched,
            names=names,
            every=every,
            messages=kept.enter_context(messages.cache()),
            lost=kept.enter_context(lost.cache()),
        )


def _facts(tables: Tables, touched: ir.Table, asked: Sequence[_Question], limits: _Limits) -> list[_Facts]:
    """What is on record of each selection."""
    totals = [row for question in asked for row in question.totals]
    forwarded = _forwarded_table(asked)
    if not totals and forwarded is None:
        return [_Facts([], [], [], [], [], [], [], [], []) for _ in asked]
    rows = sum(row["accesses"] + row["item_entries"] for row in totals)
    with contextlib.ExitStack() as kept:
        entries = kept.enter_context(_entries(tables, touched, rows))
        counts = _by_selection(exposure_tables.entry_counts(entries.messages, entries.lost))
        counted = [row for rows in counts.values() for row in rows]
        has_doubtful = any(row["doubtful"] for row in counted)
        asked_of: dict[str, Callable[[], dict[int, list[Row]]]] = {}
        if has_doubtful or any(row["certain"] for row in counted):
            settled = exposure_tables.settled_messages(entries.messages) if has_doubtful else entries.messages
            first = kept.enter_context(exposure_tables.first_messages(settled, limits.messages).cache())
            asked_of["messages"] = _begun_by_selection(exposure_tables.messages_in(tables, entries.of_messages(first)))
        if any(row["short"] for row in totals) or any(row["unnamed"] for row in counted):
            asked_of["unnamed"] = _begun_by_selection(
                exposure_tables.unnamed_reads(touched, entries.lost, cite=limits.cite)
            )
        stood = None
        if any(row["syncs"] for row in totals):
            sync_rows = exposure_folders.syncs(tables, touched)
            asked_of["folders"] = _begun_by_selection(exposure_folders.synced_folders(sync_rows, cite=limits.cite))
            stood = kept.enter_context(exposure_folders.stood_in_synced(tables, sync_rows).cache())
            asked_of["known"] = _begun_by_selection(exposure_folders.known_counts(stood))
        if stood is not None or has_doubtful or forwarded is not None:
            asked_of["possible"] = _begun_by_selection(
                exposure_folders.possible_counts(
                    entries.messages, stood=stood, has_doubtful=has_doubtful, forwarded=forwarded
                )
            )
        if forwarded is not None:
            keys = [*exposure_tables.MESSAGE_KEYS]
            certain = forwarded.semi_join(exposure_tables.certain_messages(entries.messages), keys)
            asked_of["forwarded_certain"] = _begun_by_selection(certain)
        if limits.has_readers:
            asked_of["readers"] = _begun_by_selection(touched.select("selection_no", "actor_key").distinct())
        in_stops = _counts_in_stops(
            asked, lambda spans: exposure_folders.counts_in_spans(tables, touched, entries.near(spans), spans)
        )
        found = {"counts": counts, **{name: rows() for name, rows in asked_of.items()}}
    return [
        _Facts(
            **{name: found.get(name, _NONE).get(number, []) for name in _Facts._fields if name != "in_stops"},
            in_stops=in_stops[number],
        )
        for number in range(len(asked))
    ]


def _forwarded_table(asked: Sequence[_Question]) -> ir.Table | None:
    """The messages that rules sent on, by `exposure_tables.MESSAGE_KEYS`; None where there are none."""
    keys = [
        (number, question.key(one.mailbox), one.internet_message_id)
        for number, question in enumerate(asked)
        for one in question.forwarded.messages
    ]
    return exposure_tables.message_table(keys) if keys else None


def _counts_in_stops(
    asked: Sequence[_Question], counted: Callable[[ir.Table], ir.Table]
) -> list[list[tuple[int, int]]]:
    """For each throttled span of each selection: messages that records of it list, and that are known to have stood."""
    rows = [
        {"selection_no": number, "mailbox_key": stop.mailbox_key, "starts_at": stop.first_at, "ends_at": stop.last_at}
        for number, question in enumerate(asked)
        for stop in question.stops
    ]
    if not rows:
        return [[] for _ in asked]
    found = {row["span_no"]: row for row in _rows(counted(exposure_folders.span_table(rows)))}
    counts = iter([(row["seen"], row["known"]) for row in (found.get(n, _NOT_COUNTED) for n in range(len(rows)))])
    return [[next(counts) for _ in question.stops] for question in asked]


_NOT_COUNTED = {"seen": 0, "known": 0}


def _exposure(question: _Question, facts: _Facts, blind: Blind, limits: _Limits) -> Exposure:
    certain = {row["mailbox_key"]: row["certain"] for row in facts.counts}
    possible = {row["mailbox_key"]: row for row in facts.possible}
    known = {(row["mailbox_key"], row["folder"]): row["known"] for row in facts.known}
    spans = _open_ended(question, facts, blind, cite=limits.cite)
    folders_of = Counter(folder["mailbox_key"] for folder in facts.folders)
    spans_of = Counter(span.mailbox_key for span in spans)
    mailboxes = [
        MailboxExposure(
            mailbox=label(row),
            mailbox_key=row["mailbox_key"],
            accesses=row["accesses"],
            item_entries=row["item_entries"],
            certain=certain.get(row["mailbox_key"], 0),
            possible_folders=folders_of[row["mailbox_key"]],
            unknowable=spans_of[row["mailbox_key"]],
            first_at=row["first_at"],
            last_at=row["last_at"],
            clients=_clients(row["clients"]),
            addresses=tuple(row["addresses"] or ()),
            doubtful_accesses=row["doubtful_accesses"],
            **_possible(possible.get(row["mailbox_key"])),
        )
        for row in (*question.totals, *_forwarded_only(question))
    ]
    return Exposure(
        selection=str(question.selection),
        accesses=sum(mailbox.accesses for mailbox in mailboxes),
        certain=sum(certain.values()),
        unknowable=len(spans),
        mailboxes=tuple(sorted(mailboxes, key=lambda m: (-m.certain, -m.accesses, m.mailbox, m.mailbox_key))),
        messages=tuple(_message(row, limits.cite) for row in facts.messages if not row["is_doubtful"]),
        folders=tuple(_folder(row, known) for row in sorted(facts.folders, key=_by_time)[: limits.messages]),
        open_ended=tuple(span.span for span in spans),
        doubtful_accesses=sum(mailbox.doubtful_accesses for mailbox in mailboxes),
        possible_messages=_possible_messages(question, facts, limits),
        **{name: sum(getattr(mailbox, name) for mailbox in mailboxes) for name in _possible(None)},
    )


def _possible(row: Row | None) -> dict[str, int]:
    """How many messages are possible, in all and in each way, as fields of the model."""
    row = row or {}
    ways = {f"possible_{way}": row.get(way, 0) for way in exposure_folders.WAYS}
    return {"possible": row.get("possible", 0), **ways}


def _forwarded_only(question: _Question) -> list[Row]:
    """Mailboxes of which mail was sent on and none was read, in the form of `exposure_tables.mailbox_totals`."""
    read = {row["mailbox_key"] for row in question.totals}
    names = {question.key(one.mailbox): one.mailbox for one in question.forwarded.messages}
    nothing = {"accesses": 0, "doubtful_accesses": 0, "item_entries": 0, "first_at": None, "last_at": None}
    return [
        {"mailbox_key": key, "mailbox": mailbox, **nothing, "clients": None, "addresses": None}
        for key, mailbox in sorted(names.items())
        if key not in read
    ]


def _possible_messages(question: _Question, facts: _Facts, limits: _Limits) -> tuple[ExposedMessage, ...]:
    """The messages that are possible by doubtful reads or by a rule, the first by time."""
    certain = {(row["mailbox_key"], row["internet_message_id"]) for row in facts.forwarded_certain}
    lines = [_message(row, limits.cite, reason="may_be_own") for row in facts.messages if row["is_doubtful"]] + [
        _sent_on(one, limits.cite)
        for one in question.forwarded.messages
        if (question.key(one.mailbox), one.internet_message_id) not in certain
    ]
    lines.sort(key=lambda line: (line.first_at, line.mailbox, line.internet_message_id, line.reason or ""))
    return tuple(lines[: limits.messages])


def _by_selection(table: ir.Table) -> dict[int, list[Row]]:
    """The rows of a table by `selection_no`, in their order."""
    return _begun_by_selection(table)()


def _begun_by_selection(table: ir.Table) -> Callable[[], dict[int, list[Row]]]:
    """The same, worked out while the caller goes on."""
    found = begun(table)

    def rows() -> dict[int, list[Row]]:
        by_selection: dict[int, list[Row]] = defaultdict(list)
        for row in found().to_pylist():
            by_selection[row["selection_no"]].append(row)
        return by_selection

    return rows


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())


def _by_time(row: Row) -> tuple[dt.datetime, str, str]:
    return row["first_at"], row["mailbox_key"], row["folder"]


def _clients(stored: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(client_label(client) for client in stored or ())


def _message(row: Row, cite: int, *, reason: str | None = None) -> ExposedMessage:
    return ExposedMessage(
        mailbox=label(row),
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
        reason=reason,
    )


def _sent_on(one: Forwarded, cite: int) -> ExposedMessage:
    return ExposedMessage(
        mailbox=one.mailbox,
        internet_message_id=one.internet_message_id,
        subject=one.subject,
        sender=one.sender,
        recipients=tuple(sorted(one.recipients)),
        folder_path=None,
        size_bytes=one.size_bytes,
        first_at=one.first_at,
        last_at=one.last_at,
        entries=0,
        clients=(),
        addresses=(),
        sessions=(),
        event_ids=tuple(sorted(one.event_ids)[:cite]),
        reason=one.reason,
    )


def _folder(row: Row, known: Mapping[tuple[str, str], int]) -> ExposedFolder:
    return ExposedFolder(
        mailbox=label(row),
        folder_path=row["path"],
        folder_id=row["folder_id"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        known_messages=known.get((row["mailbox_key"], row["folder"])),
        event_ids=tuple(row["event_ids"]),
        records=row["records"],
    )


def _open_ended(question: _Question, facts: _Facts, blind: Blind, *, cite: int) -> list[Span]:
    selection, totals = question.selection, question.totals
    readers = {row["actor_key"] for row in facts.readers}
    return exposure_spans.in_order(
        (
            *exposure_spans.throttled(question.stops, facts.in_stops),
            *exposure_spans.unnamed(facts.unnamed),
            *exposure_spans.unaudited(selection, totals, readers, blind.off),
            *exposure_spans.without_log(selection, totals, blind.silent),
            *exposure_spans.through_doors(selection.doors, blind.silent, cite=cite),
            *exposure_spans.untraced(question.forwarded.untraced, question.keys),
        )
    )

"""Which binds the audit log records: repeats, two-minute records, and throttling.

Source: Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts": binds are gathered over two
minutes into one record; a repeat within one hour is left out unless address, client, folder, logon type, access type,
mailbox, user or session differ; more than 1,000 bind records within 24 hours on one mailbox stop the auditing of its
binds for 24 hours, and the record that says so has IsThrottled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

WINDOW_US: Final = 2 * MINUTE_US
REPEAT_US: Final = HOUR_US
THROTTLE_SPAN_US: Final = DAY_US
THROTTLE_RECORDS: Final = 1_000
ITEMS_PER_RECORD: Final = 10
"""Items after which a record is closed early: clients read in pages of ten, and pages become records of their own. No
document says so; in a public 2021 lab export, records of ten stand out, bursts are cut near ten, and few list more."""

RESET_DAYS: Final = 7
"""Each mailbox loses its memory once in so many days (a database fails over), on its own weekday at 00:00 UTC. This is
what bounds the look-back: state older than that cannot matter."""

RECORDED, AGGREGATED, REPEAT, THROTTLED = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What the audit remembers of the days before, sorted as `bind_records` leaves it.

    Attributes:
        repeat_key: Message, folder and client of binds recorded within the last hour.
        repeat_mailbox: Their mailboxes.
        repeat_at: When they were recorded.
        recorded_mailbox: Mailboxes of the bind records of the last 24 hours.
        recorded_at: Their times.
        silent_mailbox: Mailboxes that are throttled.
        silent_until: Until when (not included).
    """

    repeat_key: npt.NDArray[np.uint64]
    repeat_mailbox: Ints
    repeat_at: Ints
    recorded_mailbox: Ints
    recorded_at: Ints
    silent_mailbox: Ints
    silent_until: Ints


def forgetful() -> Memory:
    """The memory of an audit that has seen nothing."""
    none = np.empty(0, dtype=np.int64)
    return Memory(np.empty(0, dtype=np.uint64), none, none, none, none, none, none)


@dataclass(frozen=True, slots=True, eq=False)
class BindRecords:
    """What became of each bind, and the records.

    Attributes:
        fate: RECORDED, AGGREGATED, REPEAT or THROTTLED per bind.
        record: Index of the record that lists the bind (or, where aggregated, its message); -1 for none.
        first: Bind that opened each record; records are in order of time.
        is_throttled: Whether the record is the last one before silence.
    """

    fate: npt.NDArray[np.int8]
    record: Ints
    first: Ints
    is_throttled: npt.NDArray[np.bool_]


def anchors(group: npt.NDArray[np.uint64], at: Ints, span_us: int) -> tuple[Ints, Ints]:
    """Greedy windows: the first row of a group opens one, and the first at least `span_us` later opens the next.

    Args:
        group: Group of each row.
        at: Time of each row, not falling.
        span_us: Length of a window.

    Returns:
        The rows sorted by group and time, and the opening row of each row's window, in the same order.
    """
    rows = len(group)
    order = np.argsort(group, kind="stable").astype(np.int64)
    if not rows:
        return order, order
    sorted_group = group[order]
    begins = np.append(True, sorted_group[1:] != sorted_group[:-1])
    opens = begins.copy()
    first = np.flatnonzero(begins)
    last = np.append(first[1:], rows)
    several = last - first > 1
    first, last = first[several], last[several]
    if len(first):
        # Time within one long line on which no two groups meet, so that one search finds every next opening.
        low = int(at[0])
        number = np.cumsum(begins) - 1
        line = number * (int(at[-1]) - low + span_us + 1) + (at[order] - low)
        current = first
        while len(current):
            current = np.searchsorted(line, line[current] + span_us, side="left")
            within = current < last
            current, last = current[within], last[within]
            opens[current] = True
    opened = np.maximum.accumulate(np.where(opens, np.arange(rows), 0))
    return order, order[opened]


def _unrepeated(at: Ints, repeat_key: npt.NDArray[np.uint64], memory: Memory) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Whether each bind is no repeat, and the bind it repeats (itself where none, -1 where it came before today)."""
    past = len(memory.repeat_at)
    keys = np.concatenate([memory.repeat_key, repeat_key])
    times = np.concatenate([memory.repeat_at, at])
    order, opened = anchors(keys, times, REPEAT_US)
    origin = np.empty(len(keys), dtype=np.int64)
    origin[order] = opened
    origin = np.maximum(origin[past:] - past, -1)
    return origin == np.arange(len(at)), origin


def _windows(at: Ints, tuple_key: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Record of each bind that is no repeat, and the bind that opens each record, records in order of time."""
    order, opened = anchors(tuple_key, at, WINDOW_US)
    rows = len(at)
    change = np.append(True, opened[1:] != opened[:-1]) if rows else np.empty(0, dtype=bool)
    start = np.flatnonzero(change)
    within = np.arange(rows) - np.repeat(start, np.diff(np.append(start, rows)))
    begins = np.flatnonzero(change | (within % ITEMS_PER_RECORD == 0))
    first = order[begins]
    # By opening bind: binds are in order of time, so records are too.
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    record = np.empty(rows, dtype=np.int64)
    record[order] = np.repeat(rank, np.diff(np.append(begins, rows)))
    return record, np.sort(first)


def _throttle(at: Ints, mailbox: Ints, memory: Memory) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Memory]:
    """Which records are written, which say IsThrottled, and the memory with its throttling part renewed."""
    is_written = np.ones(len(at), dtype=bool)
    is_last = np.zeros(len(at), dtype=bool)
    silent = dict(zip(memory.silent_mailbox.tolist(), memory.silent_until.tolist(), strict=True))
    boxes = np.concatenate([memory.recorded_mailbox, mailbox])
    numbers, counts = np.unique(boxes, return_counts=True)
    heavy = set(numbers[counts > THROTTLE_RECORDS].tolist()) | silent.keys()
    for box in sorted(heavy):
        rows = np.flatnonzero(mailbox == box)
        past = memory.recorded_at[memory.recorded_mailbox == box]
        until = silent.pop(box, 0)
        start = int(np.searchsorted(at[rows], until))
        is_written[rows[:start]] = False
        times = np.concatenate([past, at[rows[start:]]])
        place = _crossing(times, 0, len(past))
        while place >= 0:
            is_last[rows[start + place - len(past)]] = True
            until = int(times[place]) + THROTTLE_SPAN_US
            awake = int(np.searchsorted(times, until))
            is_written[rows[start + place + 1 - len(past) : start + awake - len(past)]] = False
            place = _crossing(times, awake, awake)
        if until:
            silent[box] = until
    kept = Memory(
        memory.repeat_key,
        memory.repeat_mailbox,
        memory.repeat_at,
        np.concatenate([memory.recorded_mailbox, mailbox[is_written]]),
        np.concatenate([memory.recorded_at, at[is_written]]),
        np.array(list(silent), dtype=np.int64),
        np.array(list(silent.values()), dtype=np.int64),
    )
    return is_written, is_last, kept


def _crossing(times: Ints, start: int, today: int) -> int:
    """First row from `today` on that is more than the 1,000th within 24 hours, counted from `start`; -1 for none."""
    own = times[start:]
    if len(own) <= THROTTLE_RECORDS:
        return -1
    crosses = np.flatnonzero(own[THROTTLE_RECORDS:] - own[:-THROTTLE_RECORDS] < THROTTLE_SPAN_US)
    crosses += start + THROTTLE_RECORDS
    crosses = crosses[crosses >= today]
    return int(crosses[0]) if len(crosses) else -1


def bind_records(
    *,
    at: Ints,
    mailbox: Ints,
    tuple_key: npt.NDArray[np.uint64],
    repeat_key: npt.NDArray[np.uint64],
    is_sync: npt.NDArray[np.bool_],
    memory: Memory,
    day_ends_us: int,
) -> tuple[BindRecords, Memory]:
    """The bind records of one day.

    Records never run over midnight. Repeats are left out before records are formed and before throttling.

    Args:
        at: Time of each bind, microseconds, not falling.
        mailbox: Mailbox of each.
        tuple_key: What all binds of one record share: mailbox, user, address, client, session, token.
        repeat_key: What makes two binds the same: the above without the token, with folder and message.
        is_sync: Folder synchronisations: repeats within the hour are left out too, but they neither share records nor
            count for throttling. Their `record` is -1; RECORDED ones get a record of their own.
        memory: Of the day before, see `reset`.
        day_ends_us: End of the day.
    """
    is_new, origin = _unrepeated(at, repeat_key, memory)
    kept = np.flatnonzero(is_new & ~is_sync)
    record_of_kept, first = _windows(at[kept], tuple_key[kept])
    first = kept[first]
    is_written, is_last, after = _throttle(at[first], mailbox[first], memory)
    number = np.where(is_written, np.cumsum(is_written) - 1, -1)
    candidate = np.full(len(at), -1, dtype=np.int64)
    candidate[kept] = record_of_kept
    shown = np.where(candidate >= 0, number[candidate], -1) if len(first) else candidate
    fate = np.where(shown >= 0, RECORDED, THROTTLED).astype(np.int8)
    repeats = np.flatnonzero(~is_new)
    fate[repeats] = REPEAT
    fate[is_new & is_sync] = RECORDED
    # A second read while the record of the first is still open, by the very same tuple, only adds nothing to it.
    known = repeats[(origin[repeats] >= 0) & ~is_sync[repeats]]
    source = origin[known]
    is_open = (tuple_key[known] == tuple_key[source]) & (shown[source] >= 0)
    is_open &= at[known] - at[first[np.maximum(candidate[source], 0)]] < WINDOW_US
    fate[known[is_open]] = AGGREGATED
    shown[known[is_open]] = shown[source[is_open]]
    recent = np.flatnonzero(is_new & (at > day_ends_us - REPEAT_US))
    older = memory.repeat_at > day_ends_us - REPEAT_US
    recorded = after.recorded_at > day_ends_us - THROTTLE_SPAN_US
    silent = after.silent_until > day_ends_us
    after = Memory(
        np.concatenate([memory.repeat_key[older], repeat_key[recent]]),
        np.concatenate([memory.repeat_mailbox[older], mailbox[recent]]),
        np.concatenate([memory.repeat_at[older], at[recent]]),
        after.recorded_mailbox[recorded],
        after.recorded_at[recorded],
        after.silent_mailbox[silent],
        after.silent_until[silent],
    )
    return BindRecords(fate, shown, first[is_written], is_last[is_written]), after


def reset(memory: Memory, is_reset: npt.NDArray[np.bool_]) -> Memory:
    """The memory without that of the mailboxes marked in `is_reset` (by mailbox number)."""
    repeat, recorded = ~is_reset[memory.repeat_mailbox], ~is_reset[memory.recorded_mailbox]
    silent = ~is_reset[memory.silent_mailbox]
    return Memory(
        memory.repeat_key[repeat],
        memory.repeat_mailbox[repeat],
        memory.repeat_at[repeat],
        memory.recorded_mailbox[recorded],
        memory.recorded_at[recorded],
        memory.silent_mailbox[silent],
        memory.silent_until[silent],
    )

"""What clients do in mailboxes: every visit becomes single reads, folder copies, sends, moves and deletions.

Outlook on the desktop copies folders and binds to what is opened; every other client binds to each message it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from brokenseal.drill import _mailboxes, apps, mailflow, streams
from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill._mailboxes import FIRST_USER, FOLDERS_PER_MAILBOX, SENT_TODAY, SLOTS, Mail
from brokenseal.drill.tables import (
    ACTION,
    ACTION_KINDS,
    DAY_US,
    HOUR_US,
    READ_SCOPES,
    SECOND_US,
    Coded,
    build,
    coded,
    numbers,
    row_number,
)
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
_KIND: Final = {name: code for code, name in enumerate(ACTION_KINDS)}
_SCOPE: Final = {name: code for code, name in enumerate(READ_SCOPES)}
_FIRST_READ_S: Final = 6.0
"""Median seconds from signing in to the first read, as in a public 2021 lab export (2 to 59 s)."""
_READ_WAIT_SIGMA: Final = 0.8
_UNSEEN_US: Final = 16 * HOUR_US
"""How far back the first visit of a day looks for what arrived."""
_SPARE: Final = 1.5
"""Candidates per message wanted: some stand in folders that the visit does not open, or are gone."""
_SEARCHED: Final = 3
_THREAD_READS: Final = 3
_SENT_READS: Final = (0.0, 0.1, 0.15)  # share of reads in Sent Items, by folder scope
_DELETES: Final = (0.7, 0.2, 0.1)  # move to deleted items, soft delete, hard delete
_SYNC_ORDER: Final = (_mailboxes.INBOX, _mailboxes.SENT_ITEMS, _mailboxes.CALENDAR, _mailboxes.DELETED)
_SENT_PER_DAY: Final = SLOTS - SENT_TODAY


class _Visits(NamedTuple):
    """The visits to mailboxes, as arrays; `row` is the row of INTENT."""

    row: Ints
    mailbox: Ints
    identity: Ints
    starts: Ints
    length: Ints
    reads: Ints
    scope: Ints
    folder_scope: Ints
    pace_s: npt.NDArray[np.float64]


class _Done(NamedTuple):
    """Things done, as arrays."""

    visit: Ints  # index into _Visits
    at: Ints
    kind: Ints
    message: Ints
    folder: Ints
    to_folder: Ints


def act(tenant: Tenant, day: int, intents: pa.Table, uses: pa.Table, mail: Mail) -> pa.Table:
    """ACTION of one day, sorted by time. Visits end at midnight UTC at the latest.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        uses: TOKEN_USE of the day.
        mail: The tenant's mail.
    """
    visits = _visits(intents, tenant.day_starts_us(day + 1))
    rng = tenant.stream("day", day, "clients")
    reads = _reads(tenant, day, visits, mail, rng)
    pieces = [
        reads,
        _after_reads(tenant, day, intents, visits, reads, mail),
        _sends(day, intents, visits, rng),
        _copies(intents, visits, mail),
        _once(intents, visits),
    ]
    done = _Done(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))
    order = np.argsort(done.at, kind="stable")
    done = _Done(*(column[order] for column in done))
    row = visits.row[done.visit]
    own = intents.take(pa.array(row))
    is_graph = is_one_of(coded(own, "protocol"), "rest") & is_one_of(coded(own, "resource_id"), apps.GRAPH)
    return build(
        ACTION,
        len(order),
        {
            "action_no": row_number(day, len(order)),
            "intent_id": own.column("intent_id"),
            "token_no": tokens_at(intents, uses, row, done.at),
            "at_us": done.at,
            "kind": Coded(done.kind.astype(np.int32), ACTION_KINDS),
            "mailbox_no": visits.mailbox[done.visit].astype(np.int32),
            "identity_no": visits.identity[done.visit].astype(np.int32),
            "message_no": done.message,
            "folder_no": done.folder,
            "to_folder_no": done.to_folder,
            "mail_address": coded(own, "mail_address"),
            "is_graph": is_graph,
            **{name: own.column(name) for name in _TRUTH},
        },
    )


def tokens_at(intents: pa.Table, uses: pa.Table, row: Ints, at: Ints) -> Ints:
    """Token in use by the visit in this row of `intents` at a time; -1 for none.

    Args:
        intents: INTENT, sorted by intent_id.
        uses: TOKEN_USE, sorted by intent_id and from_us.
        row: Row of `intents`.
        at: Times.
    """
    if not uses.num_rows:
        return np.full(len(row), -1, dtype=np.int64)
    low = int(min(numbers(uses, "from_us").min(), at.min() if len(at) else 0)) if len(at) else 0
    span = 4 * DAY_US
    of_use = np.searchsorted(numbers(intents, "intent_id"), numbers(uses, "intent_id"))
    line = of_use * span + numbers(uses, "from_us") - low
    found = np.maximum(np.searchsorted(line, row * span + at - low, side="right") - 1, 0)
    tokens: Ints = np.where(of_use[found] == row, numbers(uses, "token_no")[found], -1)
    return tokens


def _codes(column: Coded, order: dict[str, int]) -> Ints:
    codes: Ints = np.array([*(order[word] for word in column.words), -1], dtype=np.int64)[column.codes]
    return codes


def _visits(intents: pa.Table, day_ends: int) -> _Visits:
    opens = is_one_of(coded(intents, "kind"), "read", "sync") & (numbers(intents, "mailbox_no") >= 0)
    row = np.flatnonzero(opens & ~numbers(intents, "sign_in_fails"))
    starts = numbers(intents, "starts_at_us")[row]
    length = np.maximum((numbers(intents, "duration_s")[row] * SECOND_US).astype(np.int64), 30 * SECOND_US)
    return _Visits(
        row=row,
        mailbox=numbers(intents, "mailbox_no")[row].astype(np.int64),
        identity=numbers(intents, "identity_no")[row].astype(np.int64),
        starts=starts,
        length=np.clip(day_ends - starts - 1, 1, length),
        reads=numbers(intents, "reads")[row].astype(np.int64),
        scope=_codes(coded(intents, "read_scope").take(row), _SCOPE),
        folder_scope=_codes(coded(intents, "folder_scope").take(row), {"inbox": 0, "usual": 1, "any": 2}),
        pace_s=numbers(intents, "pace_s")[row],
    )


# ---------------------------------------------------------------- reads


def _reads(tenant: Tenant, day: int, visits: _Visits, mail: Mail, rng: np.random.Generator) -> _Done:
    """Binds: which messages, when."""
    wanted = np.where(visits.reads > 0, np.ceil(visits.reads * _SPARE).astype(np.int64) + 2, 0)
    # A reader of everything goes on where the visit before ended, so it has no spare ones.
    wanted = np.where(visits.scope == _SCOPE["mailbox"], visits.reads, wanted)
    visit, place = streams.spread(wanted)
    message = _chosen(tenant, day, visits, visit, place, mail)
    folder = mailflow.folders_at(mail, np.maximum(message, 0), visits.starts[visit])
    kind = folder % FOLDERS_PER_MAILBOX
    is_open = (kind == _mailboxes.INBOX) | (kind == _mailboxes.SENT_ITEMS)
    is_open |= (visits.folder_scope[visit] == 1) & ((kind >= FIRST_USER) | (kind == _mailboxes.ARCHIVE))
    is_open |= visits.folder_scope[visit] > 1
    keep = np.flatnonzero(is_open & (folder >= 0) & (message >= 0))
    rank = _ranks(visit[keep])
    keep = keep[rank < visits.reads[visit[keep]]]
    visit, message, folder = visit[keep], message[keep], folder[keep]
    count = len(keep)
    return _Done(
        visit,
        _moments(visits, visit, rng),
        np.full(count, _KIND["bind"]),
        message,
        folder,
        np.full(count, -1, dtype=np.int64),
    )


def _ranks(group: Ints) -> Ints:
    """Place of each row within its run of equal values, from 0."""
    if not len(group):
        return np.empty(0, dtype=np.int64)
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group))))


def _moments(visits: _Visits, visit: Ints, rng: np.random.Generator) -> Ints:
    """Times of reads: a first wait, then lognormal gaps, pressed into the visit where they would outlast it."""
    first = _ranks(visit) == 0
    gap = np.exp(_READ_WAIT_SIGMA * rng.standard_normal(len(visit))) * np.where(
        first, _FIRST_READ_S, np.maximum(visits.pace_s[visit], 0.05)
    )
    total = np.cumsum(gap)
    begins = np.flatnonzero(first)
    counts = np.diff(np.append(begins, len(visit)))
    since = total - np.repeat(total[begins] - gap[begins], counts)
    whole = np.repeat(since[np.append(begins, len(visit))[1:] - 1], counts) if len(visit) else since
    # The visit's own length holds, but for bulk readers that are told to be slower than it allows.
    room = 0.98 * visits.length[visit] / SECOND_US
    moments: Ints = visits.starts[visit] + (since * np.minimum(1.0, room / np.maximum(whole, 1e-6)) * SECOND_US).astype(
        np.int64
    )
    return moments


def _chosen(tenant: Tenant, day: int, visits: _Visits, visit: Ints, place: Ints, mail: Mail) -> Ints:
    """Message of each candidate read, in the order in which the reader would take them; -1 for none."""
    box = visits.mailbox[visit]
    size = mail.sizes(visits.mailbox, visits.starts)
    key = tenant.key("day", day, "choices")
    uniform = streams.hashed_uniform(key, visits.row[visit], place)
    seen = np.minimum(mail.sizes(visits.mailbox, _seen_before(visits)), size)
    last = size[visit] - 1
    scope = visits.scope[visit]
    recent = (60 * uniform**2).astype(np.int64)
    is_new = place < (size - seen)[visit]
    position = np.where(is_new | (scope != _SCOPE["arrivals"]), last - place, last - recent)
    rows = np.flatnonzero(scope == _SCOPE["mailbox"])
    position[rows] = (_progress(visits, day)[visit[rows]] + place[rows]) % np.maximum(last[rows] + 1, 1)
    rows = np.flatnonzero(scope == _SCOPE["search"])
    position[rows] = _searched(mail, key, visits.row[visit[rows]], (box[rows], place[rows], last[rows] + 1))
    rows = np.flatnonzero(scope == _SCOPE["threads"])
    seed = streams.hashed_uniform(key ^ 3, visits.row[visit[rows]], place[rows] // _THREAD_READS)
    position[rows] = last[rows] - (200 * seed**1.5).astype(np.int64)
    is_there = (position >= 0) & (last >= 0)
    message = np.where(is_there, 0, -1)
    found = np.flatnonzero(is_there)
    message[found] = mail.at_position(box[found], position[found])
    for step in range(1, _THREAD_READS):
        up = found[(scope[found] == _SCOPE["threads"]) & (place[found] % _THREAD_READS >= step)]
        message[up] = mailflow.repliers(mail, message[up])
    is_sent = (
        streams.hashed_uniform(key ^ 4, visits.row[visit], place) < np.array(_SENT_READS)[visits.folder_scope[visit]]
    )
    rows = np.flatnonzero(is_sent & is_there & (scope != _SCOPE["mailbox"]))
    ago = 1 + (40 * uniform[rows] ** 2).astype(np.int64)
    # Only what was certainly sent: on days before the drill, or the day before by the mailbox's habit.
    message[rows] = mail.old_sent(box[rows], np.full(len(rows), day, dtype=np.int64) - ago, place[rows])
    return message


def _seen_before(visits: _Visits) -> Ints:
    """Start of the visit before by the same reader to the same mailbox, or some hours before."""
    order = np.lexsort((visits.starts, visits.identity, visits.mailbox))
    same = (visits.mailbox[order][1:] == visits.mailbox[order][:-1]) & (
        visits.identity[order][1:] == visits.identity[order][:-1]
    )
    before = visits.starts - _UNSEEN_US
    before[order[1:][same]] = visits.starts[order[:-1][same]]
    return before


def _progress(visits: _Visits, day: int) -> Ints:
    """Messages that a reader of whole mailboxes took before each visit: today's, and as many on each day before."""
    order = np.lexsort((visits.starts, visits.identity, visits.mailbox))
    reads = np.where(visits.scope == _SCOPE["mailbox"], visits.reads, 0)[order]
    changes = np.append(
        True,
        (visits.mailbox[order][1:] != visits.mailbox[order][:-1])
        | (visits.identity[order][1:] != visits.identity[order][:-1]),
    )[: len(order)]
    begins = np.flatnonzero(changes)
    counts = np.diff(np.append(begins, len(order)))
    total = np.cumsum(reads) - reads
    today = np.add.reduceat(reads, begins) if len(begins) else reads
    done = np.empty(len(order), dtype=np.int64)
    done[order] = total - np.repeat(total[begins], counts) + np.repeat(today, counts) * max(day, 0)
    return done


def _searched(mail: Mail, key: int, visit: Ints, where: tuple[Ints, Ints, Ints]) -> Ints:
    """Of a few messages anywhere in the mailbox, the most interesting one."""
    box, place, size = where
    best = np.zeros(len(box), dtype=np.int64)
    weight = np.full(len(box), -1.0)
    usable = np.flatnonzero(size > 0)
    for number in range(_SEARCHED):
        uniform = streams.hashed_uniform(key ^ 5, visit[usable], place[usable], number)
        position = (uniform * size[usable]).astype(np.int64)
        interest = mailflow.interest(mail, mail.at_position(box[usable], position))
        better = interest > weight[usable]
        best[usable[better]] = position[better]
        weight[usable[better]] = interest[better]
    return best


# ---------------------------------------------------------------- everything else


def _after_reads(tenant: Tenant, day: int, intents: pa.Table, visits: _Visits, reads: _Done, mail: Mail) -> _Done:
    """Attachments opened, and messages moved and deleted after they were read: the first ones of a visit."""
    rank = _ranks(reads.visit)
    key = tenant.key("day", day, "afterwards")
    is_received = reads.message % SLOTS < _mailboxes.SENT
    moves = numbers(intents, "moves")[visits.row].astype(np.int64)
    deletes = numbers(intents, "deletes")[visits.row].astype(np.int64)
    attachments = numbers(intents, "attachments")[visits.row].astype(np.int64)
    pieces = []
    for counts, after, delay_s in ((attachments, 0, 4), (moves, 0, 7), (deletes, moves, 9)):
        low = after if isinstance(after, int) else after[reads.visit]
        rows = np.flatnonzero((rank >= low) & (rank < low + counts[reads.visit]) & is_received)
        wait = (delay_s * 0.5 * SECOND_US * (1 + streams.hashed_uniform(key, reads.message[rows], delay_s))).astype(
            np.int64
        )
        ends = visits.starts[reads.visit[rows]] + visits.length[reads.visit[rows]]
        own = mail.user_folders[visits.mailbox[reads.visit[rows]]].astype(np.int64)
        base = visits.mailbox[reads.visit[rows]] * FOLDERS_PER_MAILBOX
        if counts is attachments:
            kind, goal = np.full(len(rows), _KIND["attachment"]), np.full(len(rows), -1)
        elif counts is moves:
            kind = np.full(len(rows), _KIND["move"])
            goal = base + np.where(own > 0, FIRST_USER + rank[rows] % np.maximum(own, 1), _mailboxes.ARCHIVE)
        else:
            picked = streams.pick(streams.hashed_uniform(key ^ 1, reads.message[rows]), _DELETES)
            kind = np.array([_KIND["move_to_deleted"], _KIND["soft_delete"], _KIND["hard_delete"]])[picked]
            goal = np.where(picked == 0, base + _mailboxes.DELETED, -1)
        pieces.append(
            _Done(
                reads.visit[rows],
                np.minimum(reads.at[rows] + wait, ends),
                kind,
                reads.message[rows],
                reads.folder[rows],
                goal,
            )
        )
    return _Done(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _sends(day: int, intents: pa.Table, visits: _Visits, rng: np.random.Generator) -> _Done:
    visit, _ = streams.spread(numbers(intents, "sends")[visits.row].astype(np.int64))
    at = visits.starts[visit] + (visits.length[visit] * (0.1 + 0.88 * rng.random(len(visit)))).astype(np.int64)
    order = np.lexsort((at, visits.mailbox[visit]))
    visit, at = visit[order], at[order]
    rank = _ranks(visits.mailbox[visit])
    fits = rank < _SENT_PER_DAY
    visit, at, rank = visit[fits], at[fits], rank[fits]
    box = visits.mailbox[visit]
    send_as = coded(intents, "send_as").take(visits.row[visit])
    kinds = {"none": _KIND["send"], "as": _KIND["send_as"], "on_behalf": _KIND["send_on_behalf"]}
    return _Done(
        visit,
        at,
        _codes(send_as, kinds),
        row_number(day, box * SLOTS + SENT_TODAY + rank),
        box * FOLDERS_PER_MAILBOX + _mailboxes.SENT_ITEMS,
        np.full(len(visit), -1, dtype=np.int64),
    )


def _copies(intents: pa.Table, visits: _Visits, mail: Mail) -> _Done:
    """Folder synchronisations, spread over the visit; the inbox first, then the folders in their order."""
    count = numbers(intents, "syncs")[visits.row].astype(np.int64)
    visit, place = streams.spread(count)
    box = visits.mailbox[visit]
    there = FIRST_USER + mail.user_folders[box].astype(np.int64)
    folders = np.clip(numbers(intents, "folders")[visits.row].astype(np.int64)[visit], 1, there)
    number = place % folders
    rest = np.array([one for one in range(FOLDERS_PER_MAILBOX) if one not in _SYNC_ORDER])
    kind = np.array([*_SYNC_ORDER, *rest])[number]
    at = visits.starts[visit] + (visits.length[visit] * (place + 0.5) / np.maximum(count[visit], 1)).astype(np.int64)
    none = np.full(len(visit), -1, dtype=np.int64)
    return _Done(
        visit,
        np.minimum(at, visits.starts[visit] + visits.length[visit]),
        np.full(len(visit), _KIND["sync"]),
        none,
        box * FOLDERS_PER_MAILBOX + kind,
        none,
    )


def _once(intents: pa.Table, visits: _Visits) -> _Done:
    """Searches, and the sign-on of clients that speak POP and IMAP."""
    searches = numbers(intents, "searches")[visits.row].astype(np.int64)
    visit, place = streams.spread(searches)
    logs_in = np.flatnonzero(is_one_of(coded(intents, "protocol").take(visits.row), "imap_pop"))
    visit = np.concatenate([visit, logs_in])
    at = np.concatenate([2 * SECOND_US + place * 11 * SECOND_US, np.zeros(len(logs_in), dtype=np.int64)])
    kind = np.repeat([_KIND["search"], _KIND["mailbox_login"]], [len(place), len(logs_in)])
    none = np.full(len(visit), -1, dtype=np.int64)
    return _Done(visit, visits.starts[visit] + np.minimum(at, visits.length[visit]), kind, none, none, none)

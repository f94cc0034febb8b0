"""Which messages a reader opens: what is new, what is recent, conversations, searches, whole mailboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from brokenseal.drill import _mailboxes, mailflow, streams
from brokenseal.drill._client_visits import SCOPE, ranks
from brokenseal.drill._mailboxes import FIRST_USER, FOLDERS_PER_MAILBOX, Mail
from brokenseal.drill.tables import HOUR_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._client_visits import Visits
    from brokenseal.drill.mailflow import Post
    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_UNSEEN_US: Final = 16 * HOUR_US
"""How far back the first visit of a day looks for what arrived."""
_SPARE: Final = 1.5
"""Candidates per message wanted: some stand in folders that the visit does not open, or are gone."""
_SEARCHED: Final = 3
_THREAD_READS: Final = 3
_SENT_READS: Final = (0.0, 0.1, 0.15)  # share of reads in Sent Items, by folder scope
_POST_READS: Final = 0.8
"""Share of colleagues' new mail that a reader of news opens."""


def opened(tenant: Tenant, day: int, visits: Visits, post: Post, mail: Mail) -> tuple[Ints, Ints, Ints]:
    """The messages that visits open one by one, in their order: index of the visit, message, and its folder.

    Args:
        tenant: The tenant.
        day: The day.
        visits: The visits.
        post: What colleagues sent that day.
        mail: The tenant's mail.
    """
    wanted = np.where(visits.reads > 0, np.ceil(visits.reads * _SPARE).astype(np.int64) + 2, 0)
    # A reader of everything goes on where the visit before ended, so it has no spare ones.
    wanted = np.where(visits.scope == SCOPE["mailbox"], visits.reads, wanted)
    visit, place = streams.spread(wanted)
    seen = _seen_before(visits)
    message = _chosen(tenant, day, visits, visit, place, (seen, mail))
    news, letter = _posted(tenant, day, visits, post, seen)
    visit, message = np.concatenate([news, visit]), np.concatenate([letter, message])
    order = np.argsort(visit, kind="stable")
    visit, message = visit[order], message[order]
    folder = mailflow.folders_at(mail, np.maximum(message, 0), visits.starts[visit])
    keep = np.flatnonzero(is_open(visits.folder_scope[visit], folder) & (folder >= 0) & (message >= 0))
    keep = keep[ranks(visit[keep]) < visits.reads[visit[keep]]]
    return visit[keep], message[keep], folder[keep]


def is_open(folder_scope: Ints, folder: Ints) -> Bools:
    """Whether a visit opens a folder, by its folder scope: 0 inbox and sent items, 1 the usual ones too, 2 any."""
    kind = folder % FOLDERS_PER_MAILBOX
    opens: Bools = (kind == _mailboxes.INBOX) | (kind == _mailboxes.SENT_ITEMS)
    opens |= (folder_scope == 1) & ((kind >= FIRST_USER) | (kind == _mailboxes.ARCHIVE))
    opens |= folder_scope > 1
    return opens


def _posted(tenant: Tenant, day: int, visits: Visits, post: Post, seen: Ints) -> tuple[Ints, Ints]:
    """What colleagues sent since the visit before: index of the visit, and message."""
    order = np.lexsort((post.at, post.mailbox))
    box, at = post.mailbox[order], post.at[order]
    # Mailboxes far apart on one line of time, so that one search finds each visit's span.
    low = min(int(at.min()) if len(at) else 0, int(seen.min()) if len(seen) else 0)
    high = max(int(at.max()) if len(at) else 0, int(visits.starts.max()) if len(seen) else 0)
    step = high - low + 2
    line = box * step + (at - low)
    first = np.searchsorted(line, visits.mailbox * step + (seen - low), side="right")
    last = np.searchsorted(line, visits.mailbox * step + (visits.starts - low), side="right")
    is_news = (visits.scope == SCOPE["arrivals"]) | (visits.scope == SCOPE["newest"])
    visit, place = streams.spread(np.where(is_news & (visits.reads > 0), np.maximum(last - first, 0), 0))
    found = order[first[visit] + place] if len(visit) else visit
    wants = streams.hashed_chance(_POST_READS, tenant.key("day", day, "post"), visits.row[visit], found)
    return visit[wants], post.message[found][wants]


def _chosen(tenant: Tenant, day: int, visits: Visits, visit: Ints, place: Ints, known: tuple[Ints, Mail]) -> Ints:
    """Message of each candidate read, in the order in which the reader would take them; -1 for none."""
    before, mail = known
    box = visits.mailbox[visit]
    size = mail.sizes(visits.mailbox, visits.starts)
    key = tenant.key("day", day, "choices")
    uniform = streams.hashed_uniform(key, visits.row[visit], place)
    seen = np.minimum(mail.sizes(visits.mailbox, before), size)
    last = size[visit] - 1
    scope = visits.scope[visit]
    recent = (60 * uniform**2).astype(np.int64)
    is_new = place < (size - seen)[visit]
    position = np.where(is_new | (scope != SCOPE["arrivals"]), last - place, last - recent)
    rows = np.flatnonzero(scope == SCOPE["mailbox"])
    position[rows] = (_progress(visits, day)[visit[rows]] + place[rows]) % np.maximum(last[rows] + 1, 1)
    rows = np.flatnonzero(scope == SCOPE["search"])
    position[rows] = _searched(mail, key, visits.row[visit[rows]], (box[rows], place[rows], last[rows] + 1))
    rows = np.flatnonzero(scope == SCOPE["threads"])
    seed = streams.hashed_uniform(key ^ 3, visits.row[visit[rows]], place[rows] // _THREAD_READS)
    position[rows] = last[rows] - (200 * seed**1.5).astype(np.int64)
    is_there = (position >= 0) & (last >= 0)
    message = np.where(is_there, 0, -1)
    found = np.flatnonzero(is_there)
    message[found] = mail.at_position(box[found], position[found])
    for step in range(1, _THREAD_READS):
        up = found[(scope[found] == SCOPE["threads"]) & (place[found] % _THREAD_READS >= step)]
        message[up] = mailflow.repliers(mail, message[up])
    is_sent = (
        streams.hashed_uniform(key ^ 4, visits.row[visit], place) < np.array(_SENT_READS)[visits.folder_scope[visit]]
    )
    rows = np.flatnonzero(is_sent & is_there & (scope != SCOPE["mailbox"]))
    ago = 1 + (40 * uniform[rows] ** 2).astype(np.int64)
    # Only what was certainly sent: on days before the drill, or the day before by the mailbox's habit.
    message[rows] = mail.old_sent(box[rows], np.full(len(rows), day, dtype=np.int64) - ago, place[rows])
    return message


def _seen_before(visits: Visits) -> Ints:
    """Start of the visit before by the same reader to the same mailbox, or some hours before."""
    order = np.lexsort((visits.starts, visits.identity, visits.mailbox))
    same = (visits.mailbox[order][1:] == visits.mailbox[order][:-1]) & (
        visits.identity[order][1:] == visits.identity[order][:-1]
    )
    before = visits.starts - _UNSEEN_US
    before[order[1:][same]] = visits.starts[order[:-1][same]]
    return before


def _progress(visits: Visits, day: int) -> Ints:
    """Messages that a reader of whole mailboxes took before each visit: today's, and as many on each day before."""
    order = np.lexsort((visits.starts, visits.identity, visits.mailbox))
    reads = np.where(visits.scope == SCOPE["mailbox"], visits.reads, 0)[order]
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

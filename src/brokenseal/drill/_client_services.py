"""Microsoft's background services: each goes through what is new in a mailbox, once a day, batch after batch.

As a public 2021 lab export shows them: services come some hours to a day after the mail, go through Inbox and Sent
Items in batches, and several services come to the same message; what is more than a page becomes several records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from brokenseal.drill import mailflow, streams
from brokenseal.drill._client_visits import Done, done
from brokenseal.drill._mailboxes import Mail, parts
from brokenseal.drill._message_choice import is_open
from brokenseal.drill.tables import DAY_US, HOUR_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._client_visits import Visits
    from brokenseal.drill.mailflow import Post
    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]

_BATCH: Final = 2.5
"""Messages that a service takes each time, on average; that export's records list 3.0.

A higher number fits its longest records better, and worse in how many records a message stands.
"""
_MOST: Final = 0.97
"""Share of new messages that the busiest services take: some items are of kinds that they pass over."""
_NIGHT_US: Final = 5 * HOUR_US
"""A service's day begins some time before 05:00 UTC, a time of its own for each mailbox."""
_STEP_US: Final = 70_000
_SPAN_US: Final = 2 * DAY_US + 2


class _Stream(NamedTuple):
    """Mail by mailbox and time; `line` grows along it."""

    message: Ints
    line: Ints
    low: int

    def place(self, mailbox: Ints, at: Ints) -> Ints:
        """First row of the stream that is later than a time, for each mailbox."""
        return np.searchsorted(self.line, mailbox * _SPAN_US + np.clip(at - self.low, 0, _SPAN_US - 1), side="right")

    def at(self, row: Ints, mailbox: Ints) -> Ints:
        """Time of each row."""
        times: Ints = self.line[row] - mailbox * _SPAN_US + self.low
        return times


def _stream(message: Ints, at: Ints, low: int) -> _Stream:
    line = parts(message)[1] * _SPAN_US + np.clip(at - low, 0, _SPAN_US - 1)
    order = np.argsort(line, kind="stable")
    return _Stream(message[order], line[order], low)


def runs(tenant: Tenant, day: int, visits: Visits, moment: Ints, mail: Mail, letters: tuple[Done, Post]) -> Done:
    """What services read: `Done.visit` is an index into `visits`.

    Args:
        tenant: The tenant.
        day: The day.
        visits: Visits of services; `reads` says in how many batches.
        moment: When each batch is read, for every visit in turn.
        mail: The tenant's mail.
        letters: What was sent on that day, and what it left in the mailboxes of colleagues.
    """
    low = tenant.day_starts_us(day - 1)
    boxes = np.unique(visits.mailbox)
    old = [mail.received(day - 1), mail.received(day), mail.sent(boxes, day - 1), mail.sent(boxes, day)]
    message = np.concatenate(old)
    backlog = _stream(message, mail.times(message), low)
    begins = streams.hashed_uniform(tenant.key("service day"), visits.identity, visits.mailbox) * _NIGHT_US
    until = np.minimum(tenant.day_starts_us(day) + begins.astype(np.int64), visits.starts)
    since = tenant.day_starts_us(day - 1) + begins.astype(np.int64)
    new = np.maximum(backlog.place(visits.mailbox, until) - backlog.place(visits.mailbox, since), 0)
    share = np.minimum(_BATCH * visits.reads / np.maximum(new, 1), _MOST)
    visit, found, _ = _taken(tenant, visits, backlog, (since, until), share)
    count = np.bincount(visit, minlength=len(visits.row))
    # Batches are of chance length: after each message the service may stop, about as often as it comes.
    stops = streams.hashed_uniform(tenant.key("batches"), visits.row[visit], found)
    is_stop = stops < (visits.reads[visit] - 1) / np.maximum(count[visit] - 1, 1)
    is_stop[np.flatnonzero(np.append(True, visit[1:] != visit[:-1])[: len(visit)])] = False
    number = np.cumsum(is_stop).astype(np.int64)
    first = np.searchsorted(visit, np.arange(len(visits.row)), side="left")
    number -= np.append(number, 0)[first[visit]] if len(visit) else number
    ends = np.cumsum(visits.reads)
    run = ends[visit] - visits.reads[visit] + np.minimum(number, visits.reads[visit] - 1)
    pieces = [(visit, run, found), _same_day(tenant, day, visits, moment, letters, share)]
    visit, run, message = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    at = moment[run]
    folder = mailflow.folders_at(mail, message, at)
    keep = np.flatnonzero((folder >= 0) & is_open(visits.folder_scope[visit], folder))
    visit, run, message, folder, at = (column[keep] for column in (visit, run, message, folder, at))
    order = np.argsort(run, kind="stable")
    within = np.arange(len(order)) - np.searchsorted(run[order], run[order], side="left")
    return done(visit[order], at[order] + within * _STEP_US, "bind", message[order], folder[order])


def _taken(
    tenant: Tenant, visits: Visits, stream: _Stream, span: tuple[Ints, Ints], share: npt.NDArray[np.float64]
) -> tuple[Ints, Ints, Ints]:
    """The messages of a span that each visit takes: index of the visit, message, and when it came."""
    first = stream.place(visits.mailbox, span[0])
    count = np.maximum(stream.place(visits.mailbox, span[1]) - first, 0)
    visit, place = streams.spread(count)
    row = first[visit] + place
    message = stream.message[row]
    chance = streams.hashed_uniform(tenant.key("services"), visits.identity[visit], message)
    taken = np.flatnonzero(chance < share[visit])
    visit, row = visit[taken], row[taken]
    return visit, message[taken], stream.at(row, visits.mailbox[visit])


def _same_day(
    tenant: Tenant,
    day: int,
    visits: Visits,
    moment: Ints,
    letters: tuple[Done, Post],
    share: npt.NDArray[np.float64],
) -> tuple[Ints, Ints, Ints]:
    """What the drill sent is known on its own day alone: the first batch after it takes it along."""
    sent, post = letters
    low = tenant.day_starts_us(day)
    stream = _stream(np.concatenate([sent.message, post.message]), np.concatenate([sent.at, post.at]), low)
    ends = np.cumsum(visits.reads)
    opens = np.full(len(visits.row), low)
    visit, message, at = _taken(tenant, visits, stream, (opens, moment[ends - 1]), share)
    woken = np.repeat(np.arange(len(visits.row)), visits.reads)
    run = np.searchsorted(woken * _SPAN_US + (moment - low), visit * _SPAN_US + (at - low), side="left")
    return visit, run, message

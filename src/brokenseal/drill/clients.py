"""What clients do in mailboxes: every visit becomes single reads, folder copies, sends, moves and deletions.

An intent says how many messages somebody opens; what the server is asked for follows from the client. A reading pane
shows the rest of the conversation too and fetches a message again; a phone's mail client downloads what is new at
once; applications ask for news now and then; Microsoft's services go through what is new in batches; Outlook on the
desktop copies the folders that changed and reads its copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from brokenseal.drill import _client_services, _mailboxes, _message_choice, apps, mailflow, streams
from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill._client_visits import (
    DESKTOP,
    FETCHER,
    KIND,
    MOBILE,
    POLLER,
    SERVICE,
    WEB,
    Done,
    Visits,
    codes,
    done,
    ranks,
    together,
    visits_of,
)
from brokenseal.drill._mailboxes import FIRST_USER, FOLDERS_PER_MAILBOX, SENT_TODAY, SLOTS, Mail, parts
from brokenseal.drill.tables import (
    ACTION,
    ACTION_KINDS,
    DAY_US,
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
_FIRST_READ_S: Final = 6.0
"""Median seconds from signing in to the first read, as in a public 2021 lab export (2 to 59 s)."""
_READ_WAIT_SIGMA: Final = 0.8
_FETCH_S: Final = 0.6
_PAGE_S: Final = 0.4
_SLOW_S: Final = 60.0
_NEW_POLL: Final = 1 / 3
"""Share of an application's reads with which a new poll begins."""
_ONLINE: Final = 0.2
"""Share of messages that Outlook on the desktop asks the server for although it copies the folder: only the header was
copied, or the mailbox is not its own."""
_PARENT: Final = 0.6
_OWN_PART: Final = 0.8
_AGAIN: Final = 0.22
_DRAFTED: Final = 0.6
_DRAFT_AGAIN: Final = 0.3
_INVITATION: Final = 0.05
_DELETES: Final = (0.7, 0.2, 0.1)  # move to deleted items, soft delete, hard delete
_SYNC_ORDER: Final = (_mailboxes.INBOX, _mailboxes.SENT_ITEMS, _mailboxes.CALENDAR, _mailboxes.DELETED)
_CHANGED: Final = 0.55
"""Chance that a further folder has changed since Outlook on the desktop copied it."""
_SENT_PER_DAY: Final = SLOTS - SENT_TODAY


def act(tenant: Tenant, day: int, intents: pa.Table, uses: pa.Table, mail: Mail) -> pa.Table:
    """ACTION of one day, sorted by time. Visits end at midnight UTC at the latest.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        uses: TOKEN_USE of the day.
        mail: The tenant's mail.
    """
    visits = visits_of(intents, tenant.day_starts_us(day + 1))
    rng = tenant.stream("day", day, "clients")
    sends = _sends(day, intents, visits, rng)
    post = mailflow.delivered(mail, sends.message, sends.at)
    opened = _opened(tenant, day, visits, post, mail, rng)
    shown = _shown(tenant, day, visits, opened, mail)
    pieces = [
        opened,
        *shown,
        _served(tenant, day, visits, (sends, post), mail, rng),
        *_after_reads(tenant, day, intents, visits, opened, mail),
        sends,
        *_drafts(tenant, day, intents, visits, sends),
        _copies(tenant, day, intents, visits, mail),
        _once(intents, visits),
    ]
    every = together(pieces)
    every = every.take(np.argsort(every.at, kind="stable"))
    row = visits.row[every.visit]
    own = intents.take(pa.array(row))
    is_graph = is_one_of(coded(own, "protocol"), "rest") & is_one_of(coded(own, "resource_id"), apps.GRAPH)
    return build(
        ACTION,
        len(row),
        {
            "action_no": row_number(day, len(row)),
            "intent_id": own.column("intent_id"),
            "token_no": tokens_at(intents, uses, row, every.at),
            "at_us": every.at,
            "kind": Coded(every.kind.astype(np.int32), ACTION_KINDS),
            "mailbox_no": visits.mailbox[every.visit].astype(np.int32),
            "identity_no": visits.identity[every.visit].astype(np.int32),
            "message_no": every.message,
            "folder_no": every.folder,
            "to_folder_no": every.to_folder,
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


# ---------------------------------------------------------------- reads


def _opened(
    tenant: Tenant, day: int, visits: Visits, post: mailflow.Post, mail: Mail, rng: np.random.Generator
) -> Done:
    """What people and applications open one by one."""
    asked = visits._replace(reads=np.where(visits.habit == SERVICE, 0, visits.reads))
    visit, message, folder = _message_choice.opened(tenant, day, asked, post, mail)
    # Outlook on the desktop has its copy of the folder and asks the server for little.
    is_copied = (visits.habit[visit] == DESKTOP) & visits.copies[visit]
    chance = streams.hashed_uniform(tenant.key("day", day, "online"), visits.row[visit], message)
    kept = np.flatnonzero(~is_copied | (chance < _ONLINE))
    visit, message, folder = visit[kept], message[kept], folder[kept]
    return done(visit, _moments(visits, visit, rng), "bind", message, folder)


def _served(
    tenant: Tenant,
    day: int,
    visits: Visits,
    letters: tuple[Done, mailflow.Post],
    mail: Mail,
    rng: np.random.Generator,
) -> Done:
    """What Microsoft's services read."""
    rows = np.flatnonzero((visits.habit == SERVICE) & (visits.reads > 0))
    own = visits.take(rows)
    moment = _moments(own, np.repeat(np.arange(len(rows)), own.reads), rng)
    read = _client_services.runs(tenant, day, own, moment, mail, letters)
    ends = (own.starts + own.length)[read.visit]
    return read._replace(visit=rows[read.visit], at=np.minimum(read.at, ends))


def _moments(visits: Visits, visit: Ints, rng: np.random.Generator) -> Ints:
    """Times of reads: a first wait, then lognormal gaps, pressed into the visit where they would outlast it."""
    first = ranks(visit) == 0
    habit, pace = visits.habit[visit], np.maximum(visits.pace_s[visit], 0.05)
    # Slow applications find some messages at each poll and take them at once.
    is_page = (habit == POLLER) & (pace >= _SLOW_S) & (rng.random(len(visit)) > _NEW_POLL) & ~first
    pace = np.where((habit == POLLER) & (pace >= _SLOW_S), pace / _NEW_POLL, pace)
    pace = np.where(is_page, _PAGE_S, np.where(habit == FETCHER, np.minimum(pace, _FETCH_S), pace))
    gap = np.exp(_READ_WAIT_SIGMA * rng.standard_normal(len(visit))) * np.where(first, _FIRST_READ_S, pace)
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


def _shown(tenant: Tenant, day: int, visits: Visits, opened: Done, mail: Mail) -> list[Done]:
    """What reading panes fetch besides: the rest of the conversation, and what was opened once more.

    The web client's second request is the one that older records show without session and application.
    """
    key = tenant.key("day", day, "reading pane")
    habit = visits.habit[opened.visit]
    ends = visits.starts + visits.length
    pane = opened.take(np.flatnonzero((habit == WEB) | (habit == MOBILE)))
    row = visits.row[pane.visit]
    earlier = mailflow.repliers(mail, pane.message)
    own = mailflow.answered(mail, pane.message)
    shown = []
    for number, (other, share) in enumerate(((earlier, _PARENT), (own, _OWN_PART))):
        is_shown = (other != pane.message) & (other >= 0)
        is_shown &= parts(pane.message)[2] < _mailboxes.SENT
        is_shown &= streams.hashed_chance(share, key ^ number, row, pane.message)
        some = pane.take(is_shown)
        folder = mailflow.folders_at(mail, other[is_shown], some.at)
        at = np.minimum(some.at + (number + 1) * SECOND_US // 3, ends[some.visit])
        more = some._replace(at=at, message=other[is_shown], folder=folder)
        shown.append(more.take(folder >= 0))
    web = pane.take((visits.habit[pane.visit] == WEB) & streams.hashed_chance(_AGAIN, key ^ 7, row, pane.message))
    wait = (1 + 24 * streams.hashed_uniform(key ^ 8, visits.row[web.visit], web.message)) * SECOND_US
    again = web._replace(at=np.minimum(web.at + wait.astype(np.int64), ends[web.visit]))
    return [*shown, again]


# ---------------------------------------------------------------- everything else


def _after_reads(tenant: Tenant, day: int, intents: pa.Table, visits: Visits, reads: Done, mail: Mail) -> list[Done]:
    """What follows reads.

    Attachments opened, messages moved and deleted (the first ones of a visit), and the calendar entries of invitations,
    which clients update when they show the invitation.
    """
    rank = ranks(reads.visit)
    key = tenant.key("day", day, "afterwards")
    is_received = parts(reads.message)[2] < _mailboxes.SENT
    moves = numbers(intents, "moves")[visits.row].astype(np.int64)
    deletes = numbers(intents, "deletes")[visits.row].astype(np.int64)
    attachments = numbers(intents, "attachments")[visits.row].astype(np.int64)
    ends = (visits.starts + visits.length)[reads.visit]
    base = visits.mailbox[reads.visit] * FOLDERS_PER_MAILBOX

    def of(rows: Ints, kind: Ints, folder: Ints, goal: Ints, delay_s: float) -> Done:
        chance = streams.hashed_uniform(key, reads.message[rows], round(2 * delay_s))
        wait = (delay_s * 0.5 * SECOND_US * (1 + chance)).astype(np.int64)
        return Done(
            reads.visit[rows], np.minimum(reads.at[rows] + wait, ends[rows]), kind, reads.message[rows], folder, goal
        )

    def none(rows: Ints) -> Ints:
        return np.full(len(rows), -1, dtype=np.int64)

    rows = np.flatnonzero((rank < attachments[reads.visit]) & is_received)
    opened = of(rows, np.full(len(rows), KIND["attachment"]), reads.folder[rows], none(rows), 4)
    rows = np.flatnonzero((rank < moves[reads.visit]) & is_received)
    own = mail.user_folders[visits.mailbox[reads.visit[rows]]].astype(np.int64)
    there = np.where(own > 0, FIRST_USER + rank[rows] % np.maximum(own, 1), _mailboxes.ARCHIVE)
    moved = of(rows, np.full(len(rows), KIND["move"]), reads.folder[rows], base[rows] + there, 7)
    low = moves[reads.visit]
    rows = np.flatnonzero((rank >= low) & (rank < low + deletes[reads.visit]) & is_received)
    picked = streams.pick(streams.hashed_uniform(key ^ 1, reads.message[rows]), _DELETES)
    kind = np.array([KIND["move_to_deleted"], KIND["soft_delete"], KIND["hard_delete"]])[picked]
    goal = np.where(picked == 0, base[rows] + _mailboxes.DELETED, -1)
    deleted = of(rows, kind, reads.folder[rows], goal, 9)
    is_invited = streams.hashed_chance(_INVITATION, mail.key ^ 27, reads.message) & is_received
    rows = np.flatnonzero(is_invited & (visits.habit[reads.visit] == WEB))
    calendar = base[rows] + _mailboxes.CALENDAR
    noted = of(rows, np.full(len(rows), KIND["update"]), calendar, none(rows), 3)
    return [opened, moved, deleted, noted]


def _drafts(tenant: Tenant, day: int, intents: pa.Table, visits: Visits, sends: Done) -> list[Done]:
    """Drafts of the web client: they are saved, and read again, while a message is written.

    Whoever writes in somebody else's mailbox creates an item there; owners' drafts are not recorded as created, but
    as updated.
    """
    key = tenant.key("day", day, "drafts")
    row = visits.row[sends.visit]
    written = streams.hashed_uniform(key, row, sends.message)
    some = sends.take((visits.habit[sends.visit] == WEB) & (written < _DRAFTED))
    row = visits.row[some.visit]
    back = (8 + 80 * streams.hashed_uniform(key ^ 1, row, some.message)) * SECOND_US
    starts = visits.starts[some.visit]
    at = np.maximum(some.at - back.astype(np.int64), starts)
    folder = visits.mailbox[some.visit] * FOLDERS_PER_MAILBOX + _mailboxes.DRAFTS
    read = done(some.visit, at, "bind", some.message, folder)
    is_again = streams.hashed_chance(_DRAFT_AGAIN, key ^ 2, row, some.message)
    again = read.take(is_again)
    again = again._replace(at=(again.at + some.at[is_again]) // 2)
    is_foreign = numbers(intents, "logon_type")[row] != 0
    made = read._replace(kind=np.where(is_foreign, KIND["create"], KIND["update"]))
    is_saved = is_foreign | streams.hashed_chance(0.3, key ^ 3, row, some.message)
    return [read, again, made.take(is_saved)]


def _sends(day: int, intents: pa.Table, visits: Visits, rng: np.random.Generator) -> Done:
    visit, _ = streams.spread(numbers(intents, "sends")[visits.row].astype(np.int64))
    at = visits.starts[visit] + (visits.length[visit] * (0.1 + 0.88 * rng.random(len(visit)))).astype(np.int64)
    order = np.lexsort((at, visits.mailbox[visit]))
    visit, at = visit[order], at[order]
    rank = ranks(visits.mailbox[visit])
    fits = rank < _SENT_PER_DAY
    visit, at, rank = visit[fits], at[fits], rank[fits]
    box = visits.mailbox[visit]
    send_as = coded(intents, "send_as").take(visits.row[visit])
    kinds = {"none": KIND["send"], "as": KIND["send_as"], "on_behalf": KIND["send_on_behalf"]}
    return Done(
        visit,
        at,
        codes(send_as, kinds),
        row_number(day, box * SLOTS + SENT_TODAY + rank),
        box * FOLDERS_PER_MAILBOX + _mailboxes.SENT_ITEMS,
        np.full(len(visit), -1, dtype=np.int64),
    )


def _copies(tenant: Tenant, day: int, intents: pa.Table, visits: Visits, mail: Mail) -> Done:
    """Folder synchronisations, spread over the visit; the inbox first, then the folders in their order.

    Outlook on the desktop goes through all folders and copies further ones in which something has changed.
    """
    count = numbers(intents, "syncs")[visits.row].astype(np.int64)
    visit, place = streams.spread(count)
    there = FIRST_USER + mail.user_folders[visits.mailbox].astype(np.int64)
    folders = np.clip(numbers(intents, "folders")[visits.row].astype(np.int64), 1, there)
    share = (place + 0.5) / np.maximum(count[visit], 1)
    number = place % folders[visit]
    walker = np.flatnonzero((visits.habit == DESKTOP) & visits.copies)
    more, further = streams.spread((there - folders)[walker])
    further += folders[walker][more]
    chance = streams.hashed_uniform(tenant.key("day", day, "changed"), visits.row[walker][more], further)
    changed = np.flatnonzero(chance < _CHANGED)
    visit = np.concatenate([visit, walker[more[changed]]])
    number = np.concatenate([number, further[changed]])
    share = np.concatenate([share, further[changed] / FOLDERS_PER_MAILBOX])
    rest = np.array([one for one in range(FOLDERS_PER_MAILBOX) if one not in _SYNC_ORDER])
    kind = np.array([*_SYNC_ORDER, *rest])[number]
    at = visits.starts[visit] + (visits.length[visit] * share).astype(np.int64)
    folder = visits.mailbox[visit] * FOLDERS_PER_MAILBOX + kind
    return done(visit, at, "sync", np.full(len(visit), -1, dtype=np.int64), folder)


def _once(intents: pa.Table, visits: Visits) -> Done:
    """Searches, and the sign-on of clients that speak POP and IMAP."""
    searches = numbers(intents, "searches")[visits.row].astype(np.int64)
    visit, place = streams.spread(searches)
    logs_in = np.flatnonzero(is_one_of(coded(intents, "protocol").take(visits.row), "imap_pop"))
    visit = np.concatenate([visit, logs_in])
    at = np.concatenate([2 * SECOND_US + place * 11 * SECOND_US, np.zeros(len(logs_in), dtype=np.int64)])
    kind = np.repeat([KIND["search"], KIND["mailbox_login"]], [len(place), len(logs_in)])
    none = np.full(len(visit), -1, dtype=np.int64)
    return Done(visit, visits.starts[visit] + np.minimum(at, visits.length[visit]), kind, none, none, none)

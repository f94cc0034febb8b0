"""What each message is: its conversation, its folders over time, its ids, sender, subject and recipients.

Everything is drawn from a message's number, so that it looks the same from every day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _mailboxes, _service_ids, streams
from brokenseal.drill._mailboxes import FOLDERS_PER_MAILBOX, SENT, SENT_TODAY, Mail, parts
from brokenseal.drill.tables import DAY_US, MESSAGE, Coded, build

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_STEMS: Final = (
    "Agenda for the meeting",
    "Invoice",
    "Offer",
    "Weekly report",
    "Minutes",
    "Question about the contract",
    "Travel plan",
    "Budget",
    "Draft for review",
    "Order",
    "Delivery",
    "Notes from the call",
    "Status",
    "Holiday plan",
    "Interview",
    "Access request",
    "Ticket",
    "Reminder",
    "Presentation",
    "Forecast",
    "Newsletter",
    "Survey",
    "Press review",
    "Training",
    "Policy update",
    "Expenses",
    "Schedule",
    "Briefing",
    "Site visit",
    "Open points",
)
_PER_STEM: Final = 40
_FIRST_NAMES: Final = ["alex", "chris", "dana", "jamie", "kim", "lee", "max", "pat", "robin", "sam", "sandy", "toni"]
_COMPANIES: Final = [
    "northwind",
    "fabrikam",
    "adatum",
    "litware",
    "proseware",
    "tailspin",
    "wingtip",
    "lucerne",
    "margie",
    "humongous",
    "alpine",
    "blueyonder",
]
OUTSIDERS: Final = tuple(f"{name}@{company}.example" for company in _COMPANIES for name in _FIRST_NAMES)
"""People elsewhere."""
_HOSTS: Final = 256
_INTERNAL: Final = 0.42
_LISTS: Final = 0.12
_REPLIES: Final = 0.45
_DEEPEST: Final = 12
_NEVER: Final = 0
_ANSWERS: Final = 0.3
_RECIPIENTS: Final = (0.7, 0.18, 0.08, 0.04)
TRANSPORT_US: Final = 1_500_000
"""Time from sending to arrival."""

# Where a message goes on arrival: inbox, junk, a folder of the owner's (by a rule of old).
_ARRIVES: Final = (0.84, 0.04, 0.12)
_MOVED: Final = 0.3
_MOVES_TO: Final = (0.5, 0.15, 0.35)  # deleted, archive, a folder of the owner's
_PURGED_AFTER_DAYS: Final = 30


def repliers(mail: Mail, message: Ints) -> Ints:
    """The message that each received message answers, in the same mailbox; itself where it begins a thread."""
    position = mail.position(message)
    uniform = streams.hashed_uniform(mail.key ^ 11, message)
    back = 1 + (-6.0 * np.log(np.maximum(uniform / _REPLIES, 1e-9))).astype(np.int64)
    is_reply = (uniform < _REPLIES) & (back <= position)
    _, mailbox, place = parts(message)
    older = mail.at_position(mailbox, np.where(is_reply, position - back, position))
    return np.where(is_reply & (place < SENT), older, message)


def answered(mail: Mail, message: Ints) -> Ints:
    """The owner's own message of the days before that each received message answers too; -1 where there is none."""
    day, mailbox, place = parts(message)
    bits = streams.hashed(mail.key ^ 26, message)
    sent = mail.old_sent(
        mailbox, day - 1 - (bits % np.uint64(3)).astype(np.int64), (bits >> np.uint64(20)).view(np.int64)
    )
    return np.where((place < SENT) & (uniform(bits, 2) < _ANSWERS), sent, -1)


class Post(NamedTuple):
    """Copies that messages sent on a day leave in mailboxes of colleagues, in order of time."""

    message: Ints
    mailbox: Ints
    at: Ints


def delivered(mail: Mail, message: Ints, at: Ints) -> Post:
    """What messages sent in the drill leave in colleagues' mailboxes.

    Args:
        mail: The tenant's mail.
        message: Numbers of the messages.
        at: When each was sent.
    """
    parent, _, target = recipients(mail, message)
    inside = np.flatnonzero(target < len(mail.tenant.mailbox_upns))
    parent, box = parent[inside], target[inside]
    kept = np.flatnonzero(box != parts(message[parent])[1])
    parent, box = parent[kept], box[kept]
    arrives = at[parent] + TRANSPORT_US
    order = np.argsort(arrives, kind="stable")
    return Post(_mailboxes.copies_of(message[parent], box)[order], box[order], arrives[order])


def recipients(mail: Mail, message: Ints) -> tuple[Ints, Ints, Ints]:
    """Whom each sent message goes to: index of the message, number of the recipient, and mailbox or outsider.

    Outsiders count on from the number of mailboxes; nobody gets a message twice.
    """
    bits = streams.hashed(mail.key ^ 34, message)
    parent, number = streams.spread(1 + streams.pick(uniform(bits, 0), _RECIPIENTS).astype(np.int64))
    pick = streams.hashed(mail.key ^ 35, message[parent], number)
    boxes = len(mail.tenant.mailbox_upns)
    is_inside = (pick >> np.uint64(60)).astype(np.int64) < 7  # noqa: PLR2004 - of 16
    outsiders = np.uint64(len(OUTSIDERS))
    target = np.where(is_inside, pick % np.uint64(boxes), boxes + pick % outsiders).astype(np.int64)
    _, first = np.unique(parent * (boxes + int(outsiders)) + target, return_index=True)
    first = np.sort(first)
    return parent[first], number[first], target[first]


def _threads(mail: Mail, message: Ints) -> Ints:
    """First message of each thread."""
    root = message.copy()
    _, _, place = parts(message)
    rows = np.flatnonzero(place < SENT)
    for _ in range(_DEEPEST):
        older = repliers(mail, root[rows])
        rows = rows[older != root[rows]]
        if not len(rows):
            break
        root[rows] = repliers(mail, root[rows])
    return root


def folders_at(mail: Mail, message: Ints, at: Ints) -> Ints:
    """Folder in which each message stands at a time; -1 where it is not there (not yet, or purged)."""
    arrival, moved_at, moved_to, gone_at = _places(mail, message, mail.times(message))
    folder = np.where((moved_at > _NEVER) & (moved_at <= at), moved_to, arrival)
    return np.where((gone_at > _NEVER) & (gone_at <= at), -1, folder)


def arrival_folders(mail: Mail, message: Ints) -> Ints:
    """Folder in which each message arrived."""
    return _arrival(mail, message, streams.hashed(mail.key ^ 12, message))


def _arrival(mail: Mail, message: Ints, bits: npt.NDArray[np.uint64]) -> Ints:
    _, mailbox, place = parts(message)
    own = mail.user_folders[mailbox].astype(np.int64)
    first = streams.pick(uniform(bits, 0), _ARRIVES)
    user = _mailboxes.FIRST_USER + ((bits >> np.uint64(8)) % np.maximum(own, 1).astype(np.uint64)).astype(np.int64)
    by_rule = np.where(own > 0, user, _mailboxes.INBOX)
    kind = np.where(first == 0, _mailboxes.INBOX, np.where(first == 1, _mailboxes.JUNK, by_rule))
    is_sent = (place >= SENT) & ~_mailboxes.is_copy(message)
    return mailbox * FOLDERS_PER_MAILBOX + np.where(is_sent, _mailboxes.SENT_ITEMS, kind)


def _places(mail: Mail, message: Ints, arrives: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Folder on arrival, when it moves (0 never), where to (-1 nowhere), when it is purged (0 never)."""
    day, mailbox, place = parts(message)
    own = mail.user_folders[mailbox].astype(np.int64)
    bits = streams.hashed(mail.key ^ 12, message)
    arrival = _arrival(mail, message, bits)
    user = _mailboxes.FIRST_USER + ((bits >> np.uint64(8)) % np.maximum(own, 1).astype(np.uint64)).astype(np.int64)
    is_of_drill = place >= SENT_TODAY
    moves = (uniform(bits, 1) < _MOVED) & (arrival % FOLDERS_PER_MAILBOX == _mailboxes.INBOX) & ~is_of_drill
    goal = streams.pick(uniform(bits, 2), _MOVES_TO)
    by_hand = np.where(own > 0, user, _mailboxes.ARCHIVE)
    there = np.where(goal == 0, _mailboxes.DELETED, np.where(goal == 1, _mailboxes.ARCHIVE, by_hand))
    wait = np.exp(1.4 * streams.hashed_normal(mail.key ^ 13, message)) * DAY_US
    moved_at = np.where(moves, arrives + np.minimum(wait, 300.0 * DAY_US).astype(np.int64), _NEVER)
    gone_at = np.where(moves & (goal == 0), moved_at + _PURGED_AFTER_DAYS * DAY_US, _NEVER)
    # Mail written in the drill is known on its own day alone, so that any day can be made without the ones before: it
    # goes to the archive mailbox at midnight.
    gone_at = np.where(is_of_drill, mail.tenant.epoch_us + (day + 1) * DAY_US, gone_at)
    moved_to = np.where(moves, mailbox * FOLDERS_PER_MAILBOX + there, -1)
    return arrival, moved_at, moved_to, gone_at


def uniform(bits: npt.NDArray[np.uint64], part: int) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = ((bits >> np.uint64(16 * part + 4)) & np.uint64(0xFFFF)).astype(
        np.float64
    ) / 65536.0
    return share


def messages(mail: Mail, message: Ints, *, at: Ints | None = None) -> pa.Table:
    """MESSAGE: these messages, in the given order.

    Args:
        mail: The tenant's mail.
        message: Message numbers.
        at: Times of messages sent in the drill; of all others the number tells it.
    """
    day, mailbox, place = parts(message)
    times = mail.times(message) if at is None else at
    arrival, moved_at, moved_to, gone_at = _places(mail, message, times)
    root = _threads(mail, _mailboxes.originals(message))
    is_copy = _mailboxes.is_copy(message)
    is_sent = (place >= SENT) & ~is_copy
    is_internal, identity = _identity(mail, message, day, mailbox, place)
    bits = streams.hashed(mail.key ^ 14, identity)
    direction = np.where(is_sent, np.where(is_internal, 2, 1), np.where(is_internal, 2, 0))
    item = (streams.hashed(mail.key ^ 15, message) & np.uint64(0xFFFFFFFFFF)).astype(np.int64)
    attachments = np.maximum(streams.pick(uniform(bits, 1), (0.78, 0.15, 0.05, 0.02)), 0)
    size = np.exp(10.7 + 0.9 * streams.hashed_normal(mail.key ^ 16, identity)) + attachments * 180_000.0
    return build(
        MESSAGE,
        len(message),
        {
            "message_no": message,
            "mailbox_no": mailbox.astype(np.int32),
            "thread_no": root,
            "internet_message_id": message_ids(mail, identity, is_internal | is_sent),
            "item_id": item_ids(mail, message, arrival),
            "immutable_id": _service_ids.entry_ids(
                mail.key ^ 17, mailbox, np.zeros(len(message), np.int64), item, kind=9
            ),
            "direction": Coded(direction.astype(np.int32), ("in", "out", "internal")),
            "sender": _senders(mail, identity, parts(_mailboxes.originals(message))[1], is_internal, is_sent | is_copy),
            "subject": _subjects(mail, root, root != _mailboxes.originals(message)),
            "at_us": times,
            "size_bytes": np.minimum(size, 30_000_000).astype(np.int32),
            "attachments": attachments.astype(np.int8),
            "folder_no": arrival,
            "moved_at_us": moved_at,
            "moved_to_folder_no": moved_to,
            "gone_at_us": gone_at,
            "interest": interest(mail, message),
        },
    )


def interest(mail: Mail, message: Ints) -> npt.NDArray[np.float64]:
    """Weight with which a reader who searches picks each message."""
    return np.exp(streams.hashed_normal(mail.key ^ 18, message))


def item_ids(mail: Mail, message: Ints, folder: Ints) -> pa.Array:
    """Exchange item id of each message in a folder."""
    _, mailbox, _ = parts(message)
    item = (streams.hashed(mail.key ^ 15, message) & np.uint64(0xFFFFFFFFFF)).astype(np.int64)
    return _service_ids.entry_ids(mail.key, mailbox, mail.folder_counter[folder], item, kind=9)


def _identity(
    mail: Mail, message: Ints, day: Ints, mailbox: Ints, place: Ints
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Whether a colleague wrote it, and what all copies of one message share."""
    is_copy = _mailboxes.is_copy(message)
    is_internal = (streams.hashed_uniform(mail.key ^ 19, message) < _INTERNAL) | is_copy
    department = mail.department[mailbox]
    # Mail to a whole department has the same place in every member's day.
    is_list = (streams.hashed_uniform(mail.key ^ 20, department, day, place) < _LISTS) & (place < SENT)
    shared = streams.hashed(mail.key ^ 21, department, day, place).view(np.int64)
    return is_internal | is_list, np.where(is_list, shared, _mailboxes.originals(message))


def message_ids(mail: Mail, identity: npt.NDArray[np.int64], is_ours: npt.NDArray[np.bool_]) -> pa.Array:
    """Message-IDs: those of Exchange Online for colleagues, those of the sender's system for others."""
    raw = streams.hashed_bytes(mail.key ^ 22, identity)
    text = streams.guid_text(raw)
    host = raw[:, 0].astype(np.int32)
    servers = pa.array([f"AM0PR{1 + no % 9:02d}MB{1000 + no * 31}" for no in range(_HOSTS)])
    ends = pa.array(
        [f"@AM0PR{1 + no % 9:02d}MB{1000 + no * 31}.eurprd{1 + no % 9:02d}.prod.outlook.com>" for no in range(_HOSTS)]
    )
    ours = pc.binary_join_element_wise(
        "<",
        servers.take(pa.array(host)),
        pc.utf8_upper(pc.utf8_replace_slice(pc.utf8_slice_codeunits(text, 0, 23), 8, 9, "")),
        ends.take(pa.array(host)),
        "",
    )
    theirs = pa.array([f"@mail{no % 4}.{_COMPANIES[no % len(_COMPANIES)]}.example>" for no in range(_HOSTS)])
    other = pc.binary_join_element_wise("<", text, theirs.take(pa.array(host)), "")
    return pc.if_else(pa.array(is_ours), ours, other)


def _senders(
    mail: Mail,
    identity: npt.NDArray[np.int64],
    mailbox: Ints,
    is_internal: npt.NDArray[np.bool_],
    is_sent: npt.NDArray[np.bool_],
) -> Coded:
    bits = streams.hashed(mail.key ^ 23, identity)
    boxes = len(mail.tenant.mailbox_upns)
    colleague = (bits % np.uint64(boxes)).astype(np.int64)
    stranger = boxes + ((bits >> np.uint64(32)) % np.uint64(len(OUTSIDERS))).astype(np.int64)
    codes = np.where(is_sent, mailbox, np.where(is_internal, colleague, stranger))
    return Coded(codes.astype(np.int32), (*mail.tenant.mailbox_upns, *OUTSIDERS))


def _subjects(mail: Mail, root: Ints, is_reply: npt.NDArray[np.bool_]) -> Coded:
    words = [f"{stem} {number + 1}" for stem in _STEMS for number in range(_PER_STEM)]
    codes = (streams.hashed(mail.key ^ 24, root) % np.uint64(len(words))).astype(np.int32)
    return Coded(codes + is_reply.astype(np.int32) * len(words), (*words, *(f"Re: {word}" for word in words)))

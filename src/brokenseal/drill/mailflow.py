"""Mail: what arrives where and when, in which folder it stands, and what the message trace says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _mailboxes, _service_ids, streams, tables
from brokenseal.drill._mailboxes import FOLDERS_PER_MAILBOX, SENT, Mail, build_mail, parts
from brokenseal.drill.tables import DAY_US, MESSAGE, TRACE_LINE, Coded, build, coded, numbers, row_number
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

__all__ = [
    "Mail",
    "arrival_folders",
    "build_mail",
    "folders_at",
    "interest",
    "item_ids",
    "messages",
    "received",
    "repliers",
    "trace_lines",
]

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
_HOSTS: Final = 256
_INTERNAL: Final = 0.42
_LISTS: Final = 0.12
_REPLIES: Final = 0.45
_DEEPEST: Final = 12
_NEVER: Final = 0

# Where a message goes on arrival: inbox, junk, a folder of the owner's (by a rule of old).
_ARRIVES: Final = (0.84, 0.04, 0.12)
_MOVED: Final = 0.3
_MOVES_TO: Final = (0.5, 0.15, 0.35)  # deleted, archive, a folder of the owner's
_PURGED_AFTER_DAYS: Final = 30


def received(mail: Mail, day: int) -> pa.Table:
    """MESSAGE: everything that arrives on one day, by mailbox and time."""
    return messages(mail, mail.received(day))


def repliers(mail: Mail, message: Ints) -> Ints:
    """The message that each received message answers, in the same mailbox; itself where it begins a thread."""
    position = mail.position(message)
    uniform = streams.hashed_uniform(mail.key ^ 11, message)
    back = 1 + (-6.0 * np.log(np.maximum(uniform / _REPLIES, 1e-9))).astype(np.int64)
    is_reply = (uniform < _REPLIES) & (back <= position)
    _, mailbox, place = parts(message)
    older = mail.at_position(mailbox, np.where(is_reply, position - back, position))
    return np.where(is_reply & (place < SENT), older, message)


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
    first = streams.pick(_uniform(bits, 0), _ARRIVES)
    user = _mailboxes.FIRST_USER + ((bits >> np.uint64(8)) % np.maximum(own, 1).astype(np.uint64)).astype(np.int64)
    by_rule = np.where(own > 0, user, _mailboxes.INBOX)
    kind = np.where(first == 0, _mailboxes.INBOX, np.where(first == 1, _mailboxes.JUNK, by_rule))
    return mailbox * FOLDERS_PER_MAILBOX + np.where(place >= SENT, _mailboxes.SENT_ITEMS, kind)


def _places(mail: Mail, message: Ints, arrives: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Folder on arrival, when it moves (0 never), where to (-1 nowhere), when it is purged (0 never)."""
    _, mailbox, _ = parts(message)
    own = mail.user_folders[mailbox].astype(np.int64)
    bits = streams.hashed(mail.key ^ 12, message)
    arrival = _arrival(mail, message, bits)
    user = _mailboxes.FIRST_USER + ((bits >> np.uint64(8)) % np.maximum(own, 1).astype(np.uint64)).astype(np.int64)
    moves = (_uniform(bits, 1) < _MOVED) & (arrival % FOLDERS_PER_MAILBOX == _mailboxes.INBOX)
    goal = streams.pick(_uniform(bits, 2), _MOVES_TO)
    by_hand = np.where(own > 0, user, _mailboxes.ARCHIVE)
    there = np.where(goal == 0, _mailboxes.DELETED, np.where(goal == 1, _mailboxes.ARCHIVE, by_hand))
    wait = np.exp(1.4 * streams.hashed_normal(mail.key ^ 13, message)) * DAY_US
    moved_at = np.where(moves, arrives + np.minimum(wait, 300.0 * DAY_US).astype(np.int64), _NEVER)
    gone_at = np.where(moves & (goal == 0), moved_at + _PURGED_AFTER_DAYS * DAY_US, _NEVER)
    moved_to = np.where(moves, mailbox * FOLDERS_PER_MAILBOX + there, -1)
    return arrival, moved_at, moved_to, gone_at


def _uniform(bits: npt.NDArray[np.uint64], part: int) -> npt.NDArray[np.float64]:
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
    root = _threads(mail, message)
    is_sent = place >= SENT
    is_internal, identity = _identity(mail, message, day, mailbox, place)
    bits = streams.hashed(mail.key ^ 14, identity)
    direction = np.where(is_sent, np.where(is_internal, 2, 1), np.where(is_internal, 2, 0))
    item = (streams.hashed(mail.key ^ 15, message) & np.uint64(0xFFFFFFFFFF)).astype(np.int64)
    attachments = np.maximum(streams.pick(_uniform(bits, 1), (0.78, 0.15, 0.05, 0.02)), 0)
    size = np.exp(10.7 + 0.9 * streams.hashed_normal(mail.key ^ 16, identity)) + attachments * 180_000.0
    return build(
        MESSAGE,
        len(message),
        {
            "message_no": message,
            "mailbox_no": mailbox.astype(np.int32),
            "thread_no": root,
            "internet_message_id": _message_ids(mail, identity, is_internal | is_sent),
            "item_id": item_ids(mail, message, arrival),
            "immutable_id": _service_ids.entry_ids(
                mail.key ^ 17, mailbox, np.zeros(len(message), np.int64), item, kind=9
            ),
            "direction": Coded(direction.astype(np.int32), ("in", "out", "internal")),
            "sender": _senders(mail, identity, mailbox, is_internal, is_sent),
            "subject": _subjects(mail, root, root != message),
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
    is_internal = streams.hashed_uniform(mail.key ^ 19, message) < _INTERNAL
    department = mail.department[mailbox]
    # Mail to a whole department has the same place in every member's day.
    is_list = (streams.hashed_uniform(mail.key ^ 20, department, day, place) < _LISTS) & (place < SENT)
    shared = streams.hashed(mail.key ^ 21, department, day, place).view(np.int64)
    return is_internal | is_list, np.where(is_list, shared, message)


def _message_ids(mail: Mail, identity: npt.NDArray[np.int64], is_ours: npt.NDArray[np.bool_]) -> pa.Array:
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
    outside = [f"{name}@{company}.example" for company in _COMPANIES for name in _FIRST_NAMES]
    colleague = (bits % np.uint64(boxes)).astype(np.int64)
    stranger = boxes + ((bits >> np.uint64(32)) % np.uint64(len(outside))).astype(np.int64)
    codes = np.where(is_sent, mailbox, np.where(is_internal, colleague, stranger))
    return Coded(codes.astype(np.int32), (*mail.tenant.mailbox_upns, *outside))


def _subjects(mail: Mail, root: Ints, is_reply: npt.NDArray[np.bool_]) -> Coded:
    words = [f"{stem} {number + 1}" for stem in _STEMS for number in range(_PER_STEM)]
    codes = (streams.hashed(mail.key ^ 24, root) % np.uint64(len(words))).astype(np.int32)
    return Coded(codes + is_reply.astype(np.int32) * len(words), (*words, *(f"Re: {word}" for word in words)))


# ---------------------------------------------------------------- message trace

_UNDELIVERED: Final = ("Failed", "FilteredAsSpam", "Quarantined")
_UNDELIVERED_SHARE: Final = 0.06
_FORWARDS: Final = frozenset({"forward", "redirect", "bcc"})
_CONDITION_SHARE: Final = 0.08
TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)


def trace_lines(mail: Mail, day: int, *, actions: pa.Table, rules: pa.Table) -> pa.Table:
    """TRACE_LINE: mail received, kept out, sent, and sent on by rules, on one day, sorted by time.

    Args:
        mail: The tenant's mail.
        day: The day.
        actions: ACTION of the day; sends give lines.
        rules: CHANGE, every change up to the end of the day that sends mail on (others are ignored).
    """
    arrived = received(mail, day)
    pieces = [_arrivals(mail, arrived), _sends(mail, actions), *_forwarded(mail, arrived, rules)]
    lines = tables.concat(pieces)
    order = pc.sort_indices(lines, sort_keys=[("at_us", "ascending"), ("trace_id", "ascending")])
    lines = lines.take(order)
    return lines.set_column(0, "line_no", pa.array(row_number(day, lines.num_rows)))


def _trace(mail: Mail, ids: Ints, values: Mapping[str, object]) -> pa.Table:
    raw = streams.hashed_bytes(mail.key ^ 31, ids)
    hosts = [f"198.51.100.{number + 1}" for number in range(64)]
    code = raw[:, 1].astype(np.int32) % len(hosts)
    return build(
        TRACE_LINE,
        len(ids),
        {
            "line_no": ids,
            "trace_id": streams.guid_text(streams.version4(raw)),
            "from_address": Coded(code, hosts),
            **values,
        },
    )


def _arrivals(mail: Mail, arrived: pa.Table) -> pa.Table:
    message = numbers(arrived, "message_no")
    box = numbers(arrived, "mailbox_no").astype(np.int32)
    upns = mail.tenant.mailbox_upns
    delivered = {
        "at_us": numbers(arrived, "at_us"),
        "internet_message_id": arrived.column("internet_message_id"),
        "sender": coded(arrived, "sender"),
        "recipient": Coded(box, upns),
        "subject": coded(arrived, "subject"),
        "status": "Delivered",
        "direction": coded(arrived, "direction"),
        "size_bytes": numbers(arrived, "size_bytes"),
    }
    lost = np.flatnonzero(streams.hashed_uniform(mail.key ^ 32, message) < _UNDELIVERED_SHARE)
    # What was kept out resembles what was let in, and has an identity of its own.
    other = -message[lost]
    kept_out = {
        **{name: _take(value, lost) for name, value in delivered.items() if name != "internet_message_id"},
        "internet_message_id": _message_ids(mail, other, np.zeros(len(lost), dtype=bool)),
        "status": Coded(
            streams.pick(streams.hashed_uniform(mail.key ^ 33, message[lost]), (0.2, 0.6, 0.2)), _UNDELIVERED
        ),
        "direction": "in",
    }
    return tables.concat([_trace(mail, message, delivered), _trace(mail, other, kept_out)])


def _take(value: Any, rows: npt.NDArray[Any]) -> Any:
    return value if isinstance(value, str) else value.take(rows) if isinstance(value, Coded) else value[rows]


def _sends(mail: Mail, actions: pa.Table) -> pa.Table:
    kind = coded(actions, "kind")
    is_send = np.isin(kind.codes, [code for code, word in enumerate(kind.words) if word.startswith("send")])
    rows = actions.filter(pa.array(is_send))
    message = numbers(rows, "message_no")
    at = numbers(rows, "at_us")
    sent = messages(mail, message, at=at)
    bits = streams.hashed(mail.key ^ 34, message)
    count = 1 + streams.pick(_uniform(bits, 0), (0.7, 0.18, 0.08, 0.04)).astype(np.int64)
    parent, number = streams.spread(count)
    pick = streams.hashed(mail.key ^ 35, message[parent], number)
    boxes = len(mail.tenant.mailbox_upns)
    outside = [f"{name}@{company}.example" for company in _COMPANIES for name in _FIRST_NAMES]
    is_inside = (pick >> np.uint64(60)).astype(np.int64) < 7  # noqa: PLR2004
    inside = (pick % np.uint64(boxes)).astype(np.int64)
    target = np.where(is_inside, inside, boxes + (pick % np.uint64(len(outside))).astype(np.int64))
    truth = {name: rows.column(name).take(pa.array(parent)) for name in TRUTH}
    return _trace(
        mail,
        message[parent] * 8 + number,
        {
            "at_us": at[parent] + 1_500_000,
            "internet_message_id": sent.column("internet_message_id").take(pa.array(parent)),
            "sender": coded(sent, "sender").take(parent),
            "recipient": Coded(target.astype(np.int32), (*mail.tenant.mailbox_upns, *outside)),
            "subject": coded(sent, "subject").take(parent),
            "status": "Delivered",
            "direction": Coded(np.where(is_inside, 1, 0).astype(np.int32), ("out", "internal")),
            "size_bytes": numbers(sent, "size_bytes")[parent],
            **truth,
        },
    )


def _forwarded(mail: Mail, arrived: pa.Table, rules: pa.Table) -> list[pa.Table]:
    """Lines of mail that rules in force send on. Rules are few, so they are taken one by one."""
    at, box = numbers(arrived, "at_us"), numbers(arrived, "mailbox_no")
    message = numbers(arrived, "message_no")
    lines = []
    for number, rule in enumerate(rules.to_pylist()):
        sends_on = rule["change"] in {"mailbox_forwarding", "transport_rule"} or _FORWARDS & set(rule["rule_effects"])
        if not (sends_on and rule["destinations"] and rule["succeeded"]):
            continue
        hit = at >= rule["at_us"]
        if rule["ends_at_us"]:
            hit &= at < rule["ends_at_us"]
        if rule["mailbox_no"] >= 0:
            hit &= box == rule["mailbox_no"]
        if rule["rule_conditions"]:
            hit &= streams.hashed_uniform(mail.key ^ 36, message, rule["at_us"]) < _CONDITION_SHARE
        rows = np.flatnonzero(hit)
        for place, destination in enumerate(rule["destinations"]):
            lines.append(_sent_on(mail, arrived, rows, (rule, number * 16 + place, destination)))
    return lines


def _sent_on(mail: Mail, arrived: pa.Table, rows: Ints, rule: tuple[dict[str, Any], int, str]) -> pa.Table:
    change, number, destination = rule
    message = numbers(arrived, "message_no")[rows]
    subject = coded(arrived, "subject").take(rows)
    ids = streams.hashed(mail.key ^ 37, message, change["at_us"], number).view(np.int64)
    is_inside = destination.rpartition("@")[2] == mail.tenant.domain
    is_redirect = "forward" not in change["rule_effects"] and change["change"] != "mailbox_forwarding"
    own = _message_ids(mail, ids, np.ones(len(rows), dtype=bool))
    kept = arrived.column("internet_message_id").take(pa.array(rows))
    return _trace(
        mail,
        ids,
        {
            "at_us": numbers(arrived, "at_us")[rows] + 2_000_000,
            "internet_message_id": kept if is_redirect else own,
            "sender": coded(arrived, "sender").take(rows)
            if is_redirect
            else Coded(numbers(arrived, "mailbox_no")[rows].astype(np.int32), mail.tenant.mailbox_upns),
            "recipient": destination,
            "subject": subject if is_redirect else Coded(subject.codes, [f"FW: {word}" for word in subject.words]),
            "status": "Delivered",
            "direction": "internal" if is_inside else "out",
            "size_bytes": numbers(arrived, "size_bytes")[rows],
            "is_forwarded": True,
            **{name: change[name] for name in TRUTH},
        },
    )

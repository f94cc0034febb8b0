"""Mail: what arrives where and when, in which folder it stands, and what the message trace says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import streams, tables
from brokenseal.drill._mailboxes import Mail, build_mail
from brokenseal.drill._messages import (
    OUTSIDERS,
    TRANSPORT_US,
    Post,
    answered,
    arrival_folders,
    delivered,
    folders_at,
    interest,
    item_ids,
    message_ids,
    messages,
    recipients,
    repliers,
)
from brokenseal.drill.tables import TRACE_LINE, Coded, build, coded, numbers, row_number
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

__all__ = [
    "Mail",
    "Post",
    "answered",
    "arrival_folders",
    "build_mail",
    "delivered",
    "folders_at",
    "interest",
    "item_ids",
    "messages",
    "received",
    "repliers",
    "trace_lines",
]


def received(mail: Mail, day: int) -> pa.Table:
    """MESSAGE: everything that arrives on one day, by mailbox and time."""
    return messages(mail, mail.received(day))


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
    came = tables.concat([arrived, _posted(mail, actions)])
    pieces = [_arrivals(mail, arrived), _sends(mail, actions), *_forwarded(mail, came, rules)]
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
        "internet_message_id": message_ids(mail, other, np.zeros(len(lost), dtype=bool)),
        "status": Coded(
            streams.pick(streams.hashed_uniform(mail.key ^ 33, message[lost]), (0.2, 0.6, 0.2)), _UNDELIVERED
        ),
        "direction": "in",
    }
    return tables.concat([_trace(mail, message, delivered), _trace(mail, other, kept_out)])


def _take(value: Any, rows: npt.NDArray[Any]) -> Any:
    return value if isinstance(value, str) else value.take(rows) if isinstance(value, Coded) else value[rows]


def _sent(actions: pa.Table) -> pa.Table:
    kind = coded(actions, "kind")
    is_send = np.isin(kind.codes, [code for code, word in enumerate(kind.words) if word.startswith("send")])
    return actions.filter(pa.array(is_send))


def _posted(mail: Mail, actions: pa.Table) -> pa.Table:
    """MESSAGE of the copies that the day's sends leave in colleagues' mailboxes."""
    rows = _sent(actions)
    post = delivered(mail, numbers(rows, "message_no"), numbers(rows, "at_us"))
    return messages(mail, post.message, at=post.at)


def _sends(mail: Mail, actions: pa.Table) -> pa.Table:
    rows = _sent(actions)
    message = numbers(rows, "message_no")
    at = numbers(rows, "at_us")
    sent = messages(mail, message, at=at)
    parent, number, target = recipients(mail, message)
    is_inside = target < len(mail.tenant.mailbox_upns)
    truth = {name: rows.column(name).take(pa.array(parent)) for name in TRUTH}
    return _trace(
        mail,
        message[parent] * 8 + number,
        {
            "at_us": at[parent] + TRANSPORT_US,
            "internet_message_id": sent.column("internet_message_id").take(pa.array(parent)),
            "sender": coded(sent, "sender").take(parent),
            "recipient": Coded(target.astype(np.int32), (*mail.tenant.mailbox_upns, *OUTSIDERS)),
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
    own = message_ids(mail, ids, np.ones(len(rows), dtype=bool))
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

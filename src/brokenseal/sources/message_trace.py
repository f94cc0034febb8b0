"""Message trace: what the transport did with each message, by recipient.

Forms: the reporting web service and its collectors (JSON), `Get-MessageTrace` and `Get-MessageTraceV2` (CSV,
JSON), and the "enhanced summary" that a historical search delivers as CSV. Times are UTC. This is where the
sender and the subject of a read message come from, because MailItemsAccessed gives neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal import fields
from brokenseal.model import Record, Rows, Source
from brokenseal.sources import _folded_names as names
from brokenseal.sources import _trace_columnar

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "message_trace"
OPERATION = "Message trace"
# The web service says Delivered or Failed, the enhanced summary ends its steps with Deliver or Fail.
_SUCCEEDED = {"delivered": True, "deliver": True, "failed": False, "fail": False}

SHAPES = {
    "message_trace": "Message trace by the reporting web service or Get-MessageTrace: one recipient per record",
    "message_trace_summary": "Enhanced summary of a historical search: one message per record, recipients listed",
}


def sniff(record: Record) -> str | None:
    """The shape of a message trace record, or None."""
    flat = names.flatten(record)
    if "origin_timestamp" in flat or "origin_timestamp_utc" in flat:
        is_summary = "message_id" in flat or "recipient_status" in flat or "sender_address" in flat
        return "message_trace_summary" if is_summary else None
    if "received" not in flat:
        return None
    return "message_trace" if "messagetraceid" in flat or {"senderaddress", "recipientaddress"} <= flat.keys() else None


def normalise(record: Record) -> Rows:
    """One trace record to its `events` row and one `message_traces` row per recipient.

    Raises:
        RecordRejected: The record has no time, or one that cannot be read.
    """
    flat = names.flatten(record)
    occurred_at = names.time(flat, "received", "origin_timestamp_utc", "origin_timestamp", column="Received")
    sender = _folded(flat, "senderaddress", "sender_address")
    recipients = _recipients(flat)
    from_ip, from_class = fields.best_address(names.first(flat, "fromip", "original_client_ip"))
    to_ip, _ = fields.best_address(names.first(flat, "toip"))
    trace_id = names.identifier(flat, "messagetraceid")
    log_id = None if trace_id is None else f"{trace_id}:{recipients[0][0] or ''}"
    event_id = names.event_id("trace", log_id, record)
    message_id = names.text(flat, "messageid", "message_id")
    subject = names.text(flat, "subject", "message_subject")
    size_bytes = fields.integer(names.first(flat, "size", "total_bytes"))
    outcomes = {_SUCCEEDED.get((status or "").rpartition(",")[2].strip().lower()) for _, status in recipients}
    event = {
        "event_id": event_id,
        "source": NAME,
        "occurred_at": occurred_at,
        "operation": OPERATION,
        "operation_key": fields.operation_key(OPERATION),
        "workload": "Exchange",
        "actor": sender,
        "actor_key": sender,
        "succeeded": outcomes.pop() if len(outcomes) == 1 else None,
        "object_id": message_id,
        "client_ip": from_ip,
        "ip_class": from_class,
    }
    traces = [
        {
            "event_id": event_id,
            "occurred_at": occurred_at,
            "internet_message_id": message_id,
            "sender": sender,
            "recipient": recipient,
            "subject": subject,
            "status": status,
            "size_bytes": size_bytes,
            "from_ip": from_ip,
            "to_ip": to_ip,
        }
        for recipient, status in recipients
    ]
    return {"events": [event], "message_traces": traces}


def _folded(flat: Mapping[str, Any], *columns: str) -> str | None:
    return fields.fold(names.text(flat, *columns))


def _recipients(flat: Mapping[str, Any]) -> tuple[tuple[str | None, str | None], ...]:
    """Recipient and status, at least one pair: `recipient_status` is `<addr>##<status>[;<addr>##<status>…]`."""
    listed = names.text(flat, "recipient_status")
    if listed is None:
        return ((_folded(flat, "recipientaddress", "recipient_address"), names.text(flat, "status")),)
    found = []
    for entry in listed.split(";"):
        recipient, _, status = entry.partition("##")
        if entry.strip():
            found.append((fields.fold(recipient), status.strip() or None))
    return tuple(dict.fromkeys(found)) or ((None, None),)


SOURCE = Source(
    name=NAME,
    title="Message trace",
    shapes=SHAPES,
    fidelity=1,
    sniff=sniff,
    normalise=normalise,
    columnar={"message_trace": _trace_columnar.columnar(normalise)},
)

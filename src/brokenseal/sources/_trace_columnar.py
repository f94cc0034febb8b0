"""Tables of message traces, batches at a time: the fast path of `message_trace`.

Source: Get-MessageTrace and Get-MessageTraceV2; Office 365 reporting web service, MessageTrace.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ibis

from brokenseal import schema
from brokenseal.model import Columnar
from brokenseal.sources import _columnar_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Lookup, Record, Rows

_READ = (
    "MessageTraceId",
    "Received",
    "SenderAddress",
    "RecipientAddress",
    "MessageId",
    "Subject",
    "Size",
    "Status",
    "FromIP",
    "ToIP",
)
_NEEDED = frozenset({"MessageTraceId", "Received", "RecipientAddress"})
_PASSED_OVER = ("Organization", "StartDate", "EndDate", "Index", "PSComputerName", "RunspaceId", "PSShowComputerName")
_TABLES = (schema.EVENT, schema.MESSAGE_TRACE)
_LOOKUPS = {
    "sender": (("SenderAddress",), ("actor", "actor_key", "sender")),
    "recipient": (("RecipientAddress",), ("recipient",)),
    "status": (("Status",), ("succeeded", "status")),
    "from": (("FromIP",), ("client_ip", "ip_class", "from_ip")),
    "to": (("ToIP",), ("to_ip",)),
}
_CONSTANT = ("source", "operation", "operation_key", "workload")


def columnar(normalise: Callable[[Record], Rows]) -> Columnar:
    """The fast path, by the plain one."""
    record = {"MessageTraceId": values.A_GUID, "Received": values.A_TIME}
    lookups = tuple(_lookup(name, lambda keys: normalise({**record, **keys})) for name in _LOOKUPS)
    constants = {name: normalise(record)["events"][0][name] for name in _CONSTANT}
    return Columnar(
        raw_schema=dict.fromkeys(_READ, "string"),
        lookups=lookups,
        takes=_takes,
        normalise=partial(_normalise, constants=constants),
        reads_table=_reads_table,
    )


def _lookup(name: str, rows_of: Callable[[Mapping[str, Any]], Rows]) -> Lookup:
    keys, columns = _LOOKUPS[name]
    return values.lookup(name, {key: partial(_column, name=key) for key in keys}, rows_of, columns, tables=_TABLES)


def _column(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw[name]


def _reads_table(columns: Sequence[str]) -> bool:
    return set(columns) >= _NEEDED and values.is_spelled(columns, (*_READ, *_PASSED_OVER))


def _takes(wide: ir.Table) -> ir.BooleanValue:
    return ibis.and_(
        *(wide[f"{name}__plain"] for name in _LOOKUPS),
        values.is_guid(wide.MessageTraceId),
        values.is_utc(wide.Received),
        values.is_small_number(wide.Size),
        values.is_trimmed(wide.MessageId),
        values.is_trimmed(wide.Subject),
    )


def _normalise(wide: ir.Table, *, constants: Mapping[str, Any]) -> Mapping[str, ir.Table]:
    trace_id = wide.MessageTraceId.lower()
    shared = {
        "event_id": ibis.literal("trace:") + trace_id + ":" + wide.recipient__recipient.fill_null(""),
        "occurred_at": values.moment(wide.Received),
    }
    derived = {column: wide[f"{name}__{column}"] for name, (_, columns) in _LOOKUPS.items() for column in columns}
    message_id = values.filled(wide.MessageId)
    return {
        "events": wide.select(
            "record_no",
            **shared,
            **{name: ibis.literal(value) for name, value in constants.items()},
            **{name: value for name, value in derived.items() if name in schema.EVENT.names},
            object_id=message_id,
        ),
        "message_traces": wide.select(
            **shared,
            **{name: value for name, value in derived.items() if name in schema.MESSAGE_TRACE.names},
            internet_message_id=message_id,
            subject=values.filled(wide.Subject),
            size_bytes=values.small_number(wide.Size),
        ),
    }

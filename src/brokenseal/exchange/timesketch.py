"""Timelines for Timesketch, as CSV and as JSON Lines.

`message`, `datetime` and `timestamp_desc` are what Timesketch must have; `timestamp` is in microseconds. The CSV is
made safe for spreadsheets, which people open it with as well; the JSON Lines hold the same without that.

Source: Timesketch, "Import from JSON or CSV".
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from brokenseal.exchange.indicators_csv import csv_text
from brokenseal.exchange.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.exchange.shared import Shared
    from brokenseal.exchange.timeline import SharedEvent
    from brokenseal.model import CaseDocument

COLUMNS: Final = (
    "message",
    "datetime",
    "timestamp_desc",
    "timestamp",
    "case",
    "operation",
    "account",
    "mailbox",
    "address",
    "application",
    "user_agent",
    "detectors",
    "attack",
    "event_id",
    "marking",
    "simulated",
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def timesketch_csv(document: CaseDocument, shared: Shared) -> bytes:
    """The timeline as CSV with the columns of `COLUMNS`."""
    rows = ([str(row[name]) for name in COLUMNS] for row in _rows(document, shared))
    return csv_text(COLUMNS, rows, mark=False)


def timesketch_jsonl(document: CaseDocument, shared: Shared) -> bytes:
    """The timeline as one JSON object a line."""
    import msgspec

    return b"".join(msgspec.json.encode(row) + b"\n" for row in _rows(document, shared))


def _rows(document: CaseDocument, shared: Shared) -> Iterator[dict[str, str | int]]:
    for event in timeline(document, shared):
        yield {
            "message": _message(event, simulated=shared.simulated),
            "datetime": event.at.isoformat(),
            "timestamp_desc": "Time of the record",
            "timestamp": (event.at - _EPOCH) // dt.timedelta(microseconds=1),
            "case": event.case,
            "operation": event.operation,
            "account": event.account or "",
            "mailbox": event.mailbox or "",
            "address": event.address or "",
            "application": event.application or "",
            "user_agent": event.user_agent or "",
            "detectors": " ".join(event.detectors),
            "attack": " ".join(event.attack),
            "event_id": event.event_id or "",
            "marking": shared.tlp.label,
            "simulated": "yes" if shared.simulated else "no",
        }


def _message(event: SharedEvent, *, simulated: bool) -> str:
    parts = [
        event.operation,
        f"in {event.mailbox}" if event.mailbox else "",
        f"by {event.account}" if event.account else "",
        f"from {event.address}" if event.address else "",
    ]
    text = " ".join(part for part in parts if part)
    return f"Simulated: {text}" if simulated else text

"""Where the records stand that an explanation rests on: input, number in it, and the file that keeps their text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.explanations.asked import Asked, Row, read, text_of, texts_table
from brokenseal.explanations.values import CitedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELDS: Final = (
    "actor", "mailbox_upn", "client_ip", "user_agent", "client_info", "effective_app", "session_id", "token_id_raw",
    "object_id", "succeeded",
)  # fmt: skip
"""Columns of `schema.EVENT` that are shown of each record."""


def cited_records(asked: Asked, event_ids: Iterable[str]) -> dict[str, CitedRecord]:
    """Event id to the record; ids that the store does not hold are left out."""
    wanted = texts_table("wanted_id", event_ids)
    events = asked.tables["events"]
    rows = events.semi_join(wanted, events.event_id == wanted.wanted_id)
    rows = rows.select("event_id", "occurred_at", "source", "operation", "input_sha256", "record_no", *FIELDS)
    listed = read(rows.distinct().order_by("event_id"))
    ledger = asked.tables["ledger"].select("seq", "sha256", "path", "evidence_sha256")
    inputs: dict[str, Row] = {}
    for row in read(ledger.order_by("seq")):
        # The same bytes may have been given under several names; the record was read from the first.
        inputs.setdefault(row["sha256"], row)
    found: dict[str, CitedRecord] = {}
    for row in listed:
        given = inputs.get(row["input_sha256"], {})
        found.setdefault(
            row["event_id"],
            CitedRecord(
                event_id=row["event_id"],
                occurred_at=row["occurred_at"],
                source=row["source"],
                operation=row["operation"],
                input_path=given.get("path"),
                record_no=row["record_no"],
                evidence_file=f"evidence/{row['input_sha256']}.jsonl.zst" if row["input_sha256"] else None,
                fields={name: text_of(row[name]) for name in FIELDS},
            ),
        )
    return found

"""The Microsoft 365 unified audit log, in every wrapping in which it is exported.

The audit record itself is the same everywhere; around it stand the columns of the Purview portal, of
Search-UnifiedAuditLog, of scripts, or of a Graph audit log query, or nothing at all. The record counts; the outer
columns only fill in what it lacks.

Source: Office 365 Management Activity API schema; Microsoft Graph, auditLogRecord; Search-UnifiedAuditLog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from brokenseal import json_text
from brokenseal.errors import RecordRejected
from brokenseal.model import Source
from brokenseal.sources._audit_changes import add_change_rows
from brokenseal.sources._audit_columnar import BARE, FALLBACKS, IN_A_COLUMN
from brokenseal.sources._audit_mail import add_mail_rows
from brokenseal.sources._audit_record import EMPTY, event_row, is_flattened, is_lost
from brokenseal.sources._audit_sign_in import add_sign_in_rows

if TYPE_CHECKING:
    from brokenseal.model import Record, Rows

SHAPES = {
    "purview_csv": "Purview portal, audit search export: one row per record, the record in AuditData",
    "search_ual": "Search-UnifiedAuditLog as CSV or JSON: the record in AuditData, ResultIndex or Identity beside it",
    "script_export": "An older portal or script export: the record in AuditData, few columns beside it",
    "graph_query": "Microsoft Graph audit log query: the record in auditData, names in place of numbers",
    "bare_record": "The record itself: Management Activity API, or AuditData written out one record per line",
    "flattened": "Any of these, with nested values lost in a PowerShell export (System.Object[], @{…})",
}
_BARE = ("CreationTime", "Id", "Operation", "RecordType", "Workload")
_BARE_AT_LEAST = 4
_EXPECTED = "the audit record as a JSON object"


def sniff(record: Record) -> str | None:
    """The shape of an audit record's wrapping, or None where it is no audit record."""
    if "AuditData" in record:
        if _payload_is_flattened(record["AuditData"]):
            return "flattened"
        if "RecordId" in record:
            return "purview_csv"
        return "search_ual" if "ResultIndex" in record or "Identity" in record else "script_export"
    if "auditData" in record or "auditLogRecordType" in record:
        return "flattened" if _payload_is_flattened(record.get("auditData")) else "graph_query"
    if sum(name in record for name in _BARE) >= _BARE_AT_LEAST:
        return "flattened" if is_flattened(record) else "bare_record"
    return None


def _payload_is_flattened(payload: object) -> bool:
    return is_flattened(payload) if isinstance(payload, Mapping) else is_lost(payload)


def normalise(record: Record) -> Rows:
    """One record of any of `SHAPES` to its rows.

    Raises:
        RecordRejected: `empty_record` where AuditData is empty, `not_json` where it is cut or no JSON object,
            `too_deep`, `field_missing` for Id, CreationTime or Operation that neither the record nor the columns
            around it give, `field_invalid` for a time that cannot be read.
    """
    for column in ("AuditData", "auditData"):
        if column in record:
            return rows_of(with_fallbacks(payload(record[column], column=column), record))
    if "auditLogRecordType" in record:
        raise RecordRejected(column="auditData", reason="empty_record", expected=_EXPECTED)
    return rows_of(record)


def payload(value: object, *, column: str) -> Mapping[str, Any]:
    """The audit record that a column holds as an object or as JSON text.

    What PowerShell leaves of an object (`@{…}`) is an empty record: the columns around it still tell who, what
    and when.

    Raises:
        RecordRejected: as `normalise` does.
    """
    if isinstance(value, str) and value.strip() and not is_lost(value):
        value = _decode(value, column)
    if value is None or (isinstance(value, str) and not value.strip()) or value == EMPTY:
        raise RecordRejected(column=column, reason="empty_record", value=value, expected=_EXPECTED)
    if is_lost(value):
        return EMPTY
    if not isinstance(value, Mapping):
        raise RecordRejected(column=column, reason="not_json", value=value, expected=_EXPECTED)
    return value


def _decode(text: str, column: str) -> object:
    try:
        return json_text.parse(text)
    except RecordRejected as error:
        raise RecordRejected(column=column, reason=error.reason, value=text[:200], expected=_EXPECTED) from error


def with_fallbacks(audit: Mapping[str, Any], outer: Record) -> Mapping[str, Any]:
    """The audit record, with what it lacks taken from the columns around it."""
    found: dict[str, Any] = {}
    for name, columns in FALLBACKS.items():
        if _is_absent(audit.get(name)):
            value = next((outer[column] for column in columns if not _is_absent(outer.get(column))), None)
            if value is not None:
                found[name] = value
    return {**audit, **found} if found else audit


def _is_absent(value: object) -> bool:
    return value is None or value == ""


def rows_of(audit: Record) -> Rows:
    """The rows of one audit record, whichever source it came through.

    Raises:
        RecordRejected: as `normalise` does.
    """
    event = event_row(audit)
    rows: Rows = {"events": [event]}
    add_mail_rows(audit, event, rows)
    add_sign_in_rows(audit, event, rows)
    add_change_rows(audit, event, rows)
    return rows


SOURCE = Source(
    name="unified_audit",
    title="Microsoft 365 unified audit log",
    shapes=SHAPES,
    fidelity=0,
    sniff=sniff,
    normalise=normalise,
    columnar={
        "bare_record": BARE,
        "purview_csv": IN_A_COLUMN,
        "search_ual": IN_A_COLUMN,
        "script_export": IN_A_COLUMN,
    },
    lossy_shapes=frozenset({"flattened"}),
)

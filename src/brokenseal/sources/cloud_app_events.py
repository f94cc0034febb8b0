"""Microsoft Defender's CloudAppEvents table: the audit record stands whole in RawEventData.

Other tables of the same export (device, identity, mail events) have no RawEventData and are not known here.

Source: Microsoft Defender XDR advanced hunting schema, CloudAppEvents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from brokenseal import fields
from brokenseal.model import Source
from brokenseal.sources._audit_record import is_flattened, is_lost
from brokenseal.sources.office_activity import digest_id
from brokenseal.sources.unified_audit import payload, rows_of

if TYPE_CHECKING:
    from brokenseal.model import Record, Rows

SHAPES = {
    "cloud_app_events": "CloudAppEvents rows, advanced hunting or Sentinel, as JSON or CSV",
    "cloud_app_events_flattened": "CloudAppEvents rows with nested values lost in a PowerShell export",
}
# Log Analytics splits a column whose type changed.
_RAW = ("RawEventData", "RawEventData_dynamic", "RawEventData_string")
_FALLBACKS = {
    "CreationTime": ("Timestamp", "TimeGenerated", "Timestamp [UTC]", "TimeGenerated [UTC]"),
    "Operation": ("ActionType",),
}
# Events of other clouds are no audit records; Defender's own columns describe them.
_FALLBACKS_OF_OTHERS = {
    "UserId": ("AccountId", "AccountDisplayName"),
    "ClientIP": ("IPAddress",),
    "ObjectId": ("ObjectId", "ObjectName"),
    "Workload": ("Application",),
}


def _raw_column(record: Record) -> str | None:
    return next((name for name in _RAW if record.get(name) not in ("", None)), None)


def sniff(record: Record) -> str | None:
    """The shape of a CloudAppEvents row, or None where it is none or has no audit record in it."""
    if "ActionType" not in record:
        return None
    column = _raw_column(record)
    if column is None:
        return None
    raw = record[column]
    lost = is_flattened(raw) if isinstance(raw, Mapping) else is_lost(raw)
    return "cloud_app_events_flattened" if lost else "cloud_app_events"


def normalise(record: Record) -> Rows:
    """One CloudAppEvents row to the rows of the audit record in it.

    Records of connected applications other than Microsoft 365 may lack an id; they get a digest.

    Raises:
        RecordRejected: as `unified_audit.normalise` does.
    """
    column = _raw_column(record) or _RAW[0]
    audit: dict[str, Any] = dict(payload(record.get(column), column=column))
    is_foreign = fields.fold(audit.get("Id")) is None
    for name, columns in (_FALLBACKS | _FALLBACKS_OF_OTHERS if is_foreign else _FALLBACKS).items():
        if fields.text_of(audit.get(name)) is None:
            found = next((value for other in columns if (value := record.get(other)) not in ("", None)), None)
            if found is not None:
                audit[name] = found
    if is_foreign:
        audit["Id"] = digest_id(record)
    return rows_of(audit)


SOURCE = Source(
    name="cloud_app_events",
    title="Microsoft Defender CloudAppEvents table",
    shapes=SHAPES,
    fidelity=10,
    sniff=sniff,
    normalise=normalise,
    lossy_shapes=frozenset({"cloud_app_events_flattened"}),
)

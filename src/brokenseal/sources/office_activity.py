"""Microsoft Sentinel's OfficeActivity table: audit records whose fields were made columns.

Columns are renamed back to the fields of the audit record, which is then read like any other. Downloads of a query
write `TimeGenerated [UTC]` and local-format dates; nested columns are JSON text. There is no column for the
session, the token or ActorInfoString, except within AppAccessContext.

Source: Azure Monitor Logs reference, OfficeActivity.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from brokenseal.model import Source
from brokenseal.sources._audit_record import is_flattened
from brokenseal.sources.unified_audit import rows_of

if TYPE_CHECKING:
    from brokenseal.model import Record, Rows

SHAPES = {
    "office_activity": "OfficeActivity table: query API, JSON export or diagnostic line",
    "office_activity_csv": "OfficeActivity table as the portal's CSV download",
    "office_activity_columns": "Some columns of OfficeActivity, as a query chose them",
    "office_activity_flattened": "OfficeActivity rows with nested values lost in a PowerShell export",
}
_ZONE = " [UTC]"
_RENAMED = {
    "OfficeId": "Id",
    "OfficeWorkload": "Workload",
    "OfficeObjectId": "ObjectId",
    "TimeGenerated": "CreationTime",
    "Client_IPAddress": "ClientIPAddress",
    "Logon_Type": "LogonType",
    "AADTarget": "Target",
    "CrossMailboxOperations": "CrossMailboxOperation",
    "SendonBehalfOfUserMailboxGuid": "SendOnBehalfOfUserMailboxGuid",
}
# Taken where the column of the left-hand name is absent or empty. Start_Time is when collection began, some minutes
# after the event; it stands in where a query left TimeGenerated out.
_SECOND_CHOICE = {
    "Id": ("SourceRecordId",),
    "CreationTime": ("Start_Time", "ElevationTime"),
    "ClientIP": ("ClientIP_",),
    "UserId": ("UserId_",),
    "OrganizationId": ("OrganizationId_",),
    "ResultStatus": ("ResultReasonType",),
}


# Columns that, beside Operation and TimeGenerated, no other table has.
_OWN_COLUMNS = (
    "OfficeId",
    "OfficeObjectId",
    "Parameters",
    "OperationProperties",
    "ClientInfoString",
    "Client_IPAddress",
    "Logon_Type",
    "MailboxOwnerUPN",
)


def sniff(record: Record) -> str | None:
    """The shape of an OfficeActivity row, or None where it is none."""
    if "Operation" not in record:
        return None
    is_download = f"TimeGenerated{_ZONE}" in record or f"Start_Time{_ZONE}" in record
    is_whole = "OfficeWorkload" in record or record.get("Type") == "OfficeActivity"
    if not is_whole and not (
        (is_download or "TimeGenerated" in record) and any(name in record for name in _OWN_COLUMNS)
    ):
        return None
    if is_flattened(record):
        return "office_activity_flattened"
    if not is_whole:
        return "office_activity_columns"
    return "office_activity_csv" if is_download else "office_activity"


def normalise(record: Record) -> Rows:
    """One OfficeActivity row to the rows of the audit record it was made from.

    Raises:
        RecordRejected: `field_missing` without Operation or any time, `field_invalid` for a time that cannot be read.
    """
    return rows_of(audit_record(record))


def audit_record(record: Record) -> dict[str, Any]:
    """The columns under the names of the audit record; a digest of the row where it has no id."""
    columns = {name.removesuffix(_ZONE): value for name, value in record.items() if value is not None and value != ""}
    audit = {_RENAMED.get(name, name): value for name, value in columns.items()}
    for name, others in _SECOND_CHOICE.items():
        if name not in audit and (found := next((columns[other] for other in others if other in columns), None)):
            audit[name] = found
    if "Id" not in audit:
        audit["Id"] = digest_id(record)
    return audit


def digest_id(record: Record) -> str:
    """`sha256:` and the digest of a record that has no id of its own; equal records have equal digests."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


SOURCE = Source(
    name="office_activity",
    title="Microsoft Sentinel OfficeActivity table",
    shapes=SHAPES,
    fidelity=20,
    sniff=sniff,
    normalise=normalise,
    lossy_shapes=frozenset({"office_activity_flattened"}),
)

"""The directory audit log as Microsoft Graph returns it.

The same operations stand in the unified audit log with record type 8; here their names have no full stop, and old and
new values stand under the object that was changed.

Source: Microsoft Graph `directoryAudit`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _lines, streams
from brokenseal.drill._lines import Pieces, member
from brokenseal.drill.roster import Roster, find
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

RECORD_TYPE: Final = 8
_CATEGORIES: Final = {
    "consent": "ApplicationManagement",
    "delegated_grant": "ApplicationManagement",
    "app_role_grant": "ApplicationManagement",
    "user_app_grant": "UserManagement",
    "app_credential": "ApplicationManagement",
    "app_registered": "ApplicationManagement",
    "app_updated": "ApplicationManagement",
    "app_owner": "ApplicationManagement",
    "service_principal_added": "ApplicationManagement",
    "role_member": "RoleManagement",
    "group_member": "GroupManagement",
    "domain_federation": "DirectoryManagement",
}


def directory_ids(records: pa.Table, key: int) -> pa.Array:
    """`id` of each entry: `Directory_`, a GUID and a number, as Graph writes them."""
    guid = streams.guid_text(streams.version4(streams.hashed_bytes(key ^ 0xD1, numbers(records, "record_no"))))
    tail = pa.array(streams.hashed(key ^ 0xD2, numbers(records, "record_no")) % np.uint64(10**8)).cast(pa.string())
    return pc.binary_join_element_wise("Directory", guid, tail, "_")


def directory_lines(records: pa.Table, settings: pa.Table, changes: pa.Table, roster: Roster) -> pa.Array:
    """AUDIT_RECORD rows of type 8, sorted by record_no, as directoryAudit objects without line ends."""
    operation = coded(records, "operation")
    activity = Coded(operation.codes, [word.removesuffix(".") for word in operation.words])
    intent = numbers(records, "intent_id")
    correlation = streams.guid_text(streams.version4(streams.hashed_bytes(roster.key ^ 0x1D, intent)))
    change = find(changes, "intent_id", intent)
    parts: list[_lines.Part] = [
        '{"id":',
        Pieces(_lines.json_text(directory_ids(records, roster.key)), np.arange(records.num_rows, dtype=np.int32)),
        _category(change, changes),
        member("correlationId", correlation),
        _result(records),
        ',"resultReason":""',
        member("activityDisplayName", activity),
        *_lines.moment(',"activityDateTime":"', numbers(records, "at_us"), ending='0000Z"', fraction=True),
        ',"loggedByService":"Core Directory"',
        _initiators(records, roster),
        *_targets(records, settings, change, changes, roster),
        ',"additionalDetails":[]}',
    ]
    return _lines.render(parts, records.num_rows)


def _category(change: npt.NDArray[np.int64], changes: pa.Table) -> Pieces:
    words = coded(changes, "change")
    categories = [f',"category":"{_CATEGORIES.get(word, "UserManagement")}"' for word in words.words]
    codes = np.where(change < 0, len(categories), words.codes[change] if len(words.codes) else -1)
    return Pieces(pa.array([*categories, ',"category":"UserManagement"'], pa.string()), codes.astype(np.int32))


def _result(records: pa.Table) -> Pieces:
    status = coded(records, "result_status")
    return member("result", Coded(status.codes, [word.lower() for word in status.words]))


def _initiators(records: pa.Table, roster: Roster) -> Pieces:
    who = numbers(records, "identity_no")
    address = coded(records, "client_address")
    distinct, back = np.unique(
        np.stack([who.astype(np.int64), address.codes.astype(np.int64)]), axis=1, return_inverse=True
    )
    words = []
    for identity, code in distinct.T.tolist():
        from_ = address.words[code] if code >= 0 else ""
        if identity >= 0 and not roster.is_application[identity]:
            user = {
                "id": str(roster.identity_id[identity]),
                "displayName": None,
                "userPrincipalName": str(roster.identity_upn[identity]),
                "ipAddress": from_,
            }
            initiator: dict[str, object] = {"user": user, "app": None}
        else:
            name = str(roster.identity_name[identity]) if identity >= 0 else "Microsoft Azure AD Internal"
            app_id = str(roster.identity_id[identity]) if identity >= 0 else None
            initiator = {"user": None, "app": {"appId": None, "displayName": name, "servicePrincipalId": app_id}}
        words.append(f',"initiatedBy":{json.dumps(initiator, ensure_ascii=False, separators=(",", ":"))}')
    return Pieces(pa.array(words, pa.string()), back.ravel().astype(np.int32))


def _targets(
    records: pa.Table, settings: pa.Table, change: npt.NDArray[np.int64], changes: pa.Table, roster: Roster
) -> list[_lines.Part]:
    """`targetResources` with one object and its modified properties."""
    own = settings.filter(pc.equal(settings.column("place").cast(pa.string()), "modified"))
    name = _lines.json_text(own.column("name").combine_chunks().cast(pa.string()))
    # Graph gives property values as JSON text, so a plain word stands in quotation marks.
    new, old = (_json_of_json(own.column(column).combine_chunks()) for column in ("new_value", "old_value"))
    entries = pc.binary_join_element_wise('{"displayName":', name, ',"oldValue":', old, ',"newValue":', new, "}", "")
    counts = _lines.owners(numbers(own, "record_no"), numbers(records, "record_no"))
    words = [
        f',"targetResources":[{{{_target(row, records, place, changes, roster)},"modifiedProperties":['
        for place, row in enumerate(change.tolist())
    ]
    return [
        Pieces(pa.array(words, pa.string()), np.arange(len(words), dtype=np.int32)),
        _lines.listed(entries, counts, opening="", closing=""),
        "]}]",
    ]


def _json_of_json(values: pa.Array) -> pa.Array:
    written = []
    for value in values.to_pylist():
        is_json = value is not None and value[:1] in {"[", "{", '"'}
        written.append("null" if value is None else json.dumps(value if is_json else json.dumps(value)))
    return pa.array(written, pa.string())


def _target(row: int, records: pa.Table, place: int, changes: pa.Table, roster: Roster) -> str:
    if row >= 0:
        name, app_id = changes.column("app_name")[row].as_py(), changes.column("app_id")[row].as_py()
        account = changes.column("target_identity_no")[row].as_py()
        if name:
            return _named("ServicePrincipal", app_id, name)
        if account >= 0 and roster.is_application[account]:
            return _named("ServicePrincipal", str(roster.identity_id[account]), str(roster.identity_name[account]))
        if account >= 0:
            upn = str(roster.identity_upn[account])
            return f'{_named("User", str(roster.identity_id[account]), None)},"userPrincipalName":{json.dumps(upn)}'
    return _named("Other", None, records.column("object_id")[place].as_py())


def _named(kind: str, object_id: str | None, name: str | None) -> str:
    written = {"id": object_id, "displayName": name, "type": kind}
    return json.dumps(written, ensure_ascii=False, separators=(",", ":"))[1:-1]

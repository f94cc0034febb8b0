"""Sign-ins that the unified audit log holds itself: UserLoggedIn, UserLoginFailed, and tokens minted by OWA.

Sources: Office 365 Management Activity API schema, Azure Active Directory Secure Token Service Logon schema and
OWAAuth; a public 2021 lab export.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from brokenseal.drill import _lines, streams
from brokenseal.drill._lines import Part, Pieces, member
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.roster import Roster

CATEGORIES: Final = ("audit_log", "owa_auth")
"""Categories of SIGN_IN_LINE that stand in the unified audit log."""

STS_LOGON: Final = 15
OWA_AUTH: Final = 275
OWA_OPERATION: Final = "GetAccessTokenForResource"
_DEVICES_SINCE: Final = 2023


def record_ids(lines: pa.Table, key: int) -> pa.Array:
    """`Id` of each record: the request id of a sign-in, an id of its own where OWA minted a token."""
    category = coded(lines, "category")
    own = streams.guid_text(streams.version4(streams.hashed_bytes(key ^ 0x0A, numbers(lines, "line_no"))))
    is_owa = np.isin(category.codes, [code for code, word in enumerate(category.words) if word == "owa_auth"])
    request = lines.column("request_id").combine_chunks()
    return pa.compute.if_else(pa.array(is_owa), own, request)


def operations(lines: pa.Table) -> Coded:
    """`Operation` of each record."""
    category = coded(lines, "category")
    is_owa = np.isin(category.codes, [code for code, word in enumerate(category.words) if word == "owa_auth"])
    codes = np.where(is_owa, 2, np.where(numbers(lines, "succeeded"), 0, 1))
    return Coded(codes.astype(np.int32), ("UserLoggedIn", "UserLoginFailed", OWA_OPERATION))


def record_types(lines: pa.Table) -> npt.NDArray[np.int32]:
    """`RecordType` of each record."""
    operation = operations(lines)
    return np.where(operation.codes == 2, OWA_AUTH, STS_LOGON).astype(np.int32)  # noqa: PLR2004


def login_lines(lines: pa.Table, *, epoch: int, roster: Roster, doubled: bool = False) -> pa.Array:
    """SIGN_IN_LINE rows of `CATEGORIES` as audit records, without line ends, in the order given."""
    kinds = record_types(lines)
    places = [np.flatnonzero(kinds == STS_LOGON), np.flatnonzero(kinds == OWA_AUTH)]
    rendered = []
    for rows, build in zip(places, (_logon, _owa_auth), strict=True):
        for start in range(0, len(rows), _lines.ROWS_AT_A_TIME):
            some = lines.take(pa.array(rows[start : start + _lines.ROWS_AT_A_TIME]))
            rendered.append(_lines.render(build(some, epoch, roster), some.num_rows, doubled=doubled))
    if not rendered:
        return pa.array([], pa.string())
    return pa.concat_arrays(rendered).take(pa.array(np.argsort(np.concatenate(places), kind="stable")))


def _common(lines: pa.Table, roster: Roster, workload: str) -> list[Part]:
    subject = coded(lines, "subject_id")
    return [
        *_lines.moment('{"CreationTime":"', numbers(lines, "at_us"), ending='"'),
        member("Id", record_ids(lines, roster.key)),
        member("Operation", operations(lines)),
        f',"OrganizationId":"{roster.tenant_id}"',
        _lines.number("RecordType", record_types(lines)),
        ',"ResultStatus":"Success"',
        member("UserKey", subject),
        ',"UserType":0,"Version":1',
        f',"Workload":"{workload}"',
        member("ClientIP", coded(lines, "address")),
    ]


def _entries(name: str, value: Coded, kind: int) -> Pieces:
    written = [f'{{"ID":{json.dumps(word, ensure_ascii=False)},"Type":{kind}}}' for word in value.words]
    return _lines.coded_as(value, [f"{name}{word}" for word in written])


def _pair(name: str, value: Coded, *, comma: bool = True) -> Pieces:
    """One {Name, Value} of a list; absent where the value is null."""
    opening = "," if comma else ""
    written = [f'{opening}{{"Name":"{name}","Value":{json.dumps(word, ensure_ascii=False)}}}' for word in value.words]
    return _lines.coded_as(value, written)


def _logon(lines: pa.Table, epoch: int, roster: Roster) -> list[Part]:
    failed = ~numbers(lines, "succeeded")
    resource = coded(lines, "resource_id")
    device = _device(lines, roster) if epoch >= _DEVICES_SINCE else []
    return [
        *_common(lines, roster, "AzureActiveDirectory"),
        member("ObjectId", resource),
        member("UserId", coded(lines, "user")),
        ',"AzureActiveDirectoryEventType":1,"ExtendedProperties":[{"Name":"ResultStatusDetail","Value":"Success"}',
        _pair("UserAgent", coded(lines, "user_agent")),
        _pair("RequestType", coded(lines, "request_type")),
        '],"ModifiedProperties":[],"Actor":[',
        _entries("", coded(lines, "subject_id"), 0),
        _entries(",", coded(lines, "user"), 5),
        "]",
        member("ActorContextId", coded(lines, "home_tenant_id")),
        member("ActorIpAddress", coded(lines, "address")),
        member("InterSystemsId", lines.column("correlation_id").combine_chunks()),
        member("IntraSystemId", lines.column("request_id").combine_chunks()),
        ',"SupportTicketId":"","Target":[',
        _entries("", resource, 0),
        "]",
        member("TargetContextId", coded(lines, "resource_tenant_id")),
        member("ApplicationId", coded(lines, "client_app_id")),
        *device,
        *_error(lines, failed),
        "}",
    ]


def _error(lines: pa.Table, failed: npt.NDArray[np.bool_]) -> list[Part]:
    distinct, codes = np.unique(numbers(lines, "error_code"), return_inverse=True)
    words = pa.array([f',"ErrorNumber":"{one}"' for one in distinct.tolist()], pa.string())
    return [
        Pieces(words, codes.astype(np.int32)),
        _lines.only(failed, member("LogonError", coded(lines, "failure_reason"))),
    ]


def _device(lines: pa.Table, roster: Roster) -> list[Part]:
    """DeviceProperties: what the directory knows of the device, and the session."""
    device = numbers(lines, "device_no")
    distinct, back = np.unique(device, return_inverse=True)
    words = [_properties(roster, one) for one in distinct.tolist()]
    return [
        ',"DeviceProperties":[',
        Pieces(pa.array(words, pa.string()), back.astype(np.int32)),
        _pair("SessionId", coded(lines, "session_id")),
        "]",
    ]


def _properties(roster: Roster, device: int) -> str:
    def pair(name: str, value: object) -> dict[str, Any]:
        return {"Name": name, "Value": str(value)}

    if device < 0:
        entries = [pair("OS", ""), pair("BrowserType", "Other")]
    else:
        device_id = roster.device_id[device].as_py()
        entries = [pair("Id", device_id), pair("DisplayName", roster.device_name[device])] if device_id else []
        entries += [pair("OS", roster.device_system[device]), pair("BrowserType", roster.device_browser[device])]
        entries.append(pair("IsCompliantAndManaged", bool(roster.device_compliant[device])))
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _owa_auth(lines: pa.Table, _epoch: int, roster: Roster) -> list[Part]:
    resource = coded(lines, "resource_name")
    return [
        *_common(lines, roster, "Exchange"),
        member("UserId", coded(lines, "user")),
        member("AppId", coded(lines, "client_app_id")),
        member("UniqueTokenIdentifier", lines.column("uti").combine_chunks()),
        member("ResourceURL", resource),
        "}",
    ]

"""Requests to Microsoft Graph as diagnostic-settings lines of category MicrosoftGraphActivityLogs.

Source: Azure Monitor reference, `MicrosoftGraphActivityLogs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from brokenseal.drill import _lines
from brokenseal.drill._lines import Part, Pieces, member, number
from brokenseal.drill.roster import Roster, find, named
from brokenseal.drill.tables import SECOND_US, Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

CATEGORY = "MicrosoftGraphActivityLogs"


def activity_lines(lines: pa.Table, *, intents: pa.Table, tokens: pa.Table, roster: Roster) -> pa.Array:
    """GRAPH_LINE rows as diagnostic lines without line ends.

    Args:
        lines: GRAPH_LINE.
        intents: INTENT, at least the visits that the lines name.
        tokens: TOKEN, at least the tokens that the lines name.
        roster: The tenant's names.
    """
    visit = find(intents, "intent_id", numbers(lines, "intent_id"))
    token = find(tokens, "token_no", numbers(lines, "token_no"))
    who = numbers(lines, "identity_no")
    status, duration = numbers(lines, "status"), numbers(lines, "duration_ms")
    address = _of(intents, "address", visit)
    request = lines.column("request_id").combine_chunks()
    at = numbers(lines, "at_us")
    country = named(roster.network_country, np.where(visit < 0, -1, _number(intents, "network_no", visit, -1)))
    parts: list[Part] = [
        *_lines.moment('{"time":"', at, ending='0000Z"', fraction=True),
        f',"resourceId":"/TENANTS/{roster.tenant_id.upper()}/PROVIDERS/MICROSOFT.AADIAM"',
        f',"operationName":"Microsoft Graph Activity","operationVersion":"v1.0","category":"{CATEGORY}"',
        _quoted("resultSignature", status),
        _quoted("durationMs", duration),
        member("callerIpAddress", address),
        member("correlationId", request),
        ',"level":"Informational"',
        member("location", country),
        f',"tenantId":"{roster.tenant_id}","properties":{{"apiVersion":"v1.0"',
        member("requestId", request),
        member("operationId", request),
        member("requestMethod", coded(lines, "method")),
        number("responseStatusCode", status),
        f',"tenantId":"{roster.tenant_id}"',
        number("durationMs", duration),
        number("responseSizeBytes", numbers(lines, "size_bytes")),
        member("signInActivityId", _text(tokens, "uti", token)),
        member("appId", _of(intents, "client_app_id", visit)),
        *_caller(who, coded(lines, "scopes"), roster),
        number("clientAuthMethod", numbers(lines, "client_auth")),
        f',"identityProvider":"https://sts.windows.net/{roster.tenant_id}/"',
        member("ipAddress", address),
        member("userAgent", _of(intents, "user_agent", visit)),
        member("requestUri", lines.column("uri").combine_chunks()),
        *_lines.time_member("tokenIssuedAt", _number(tokens, "issued_at_us", token, 0), ending='Z"', absent=0),
        _issued(_number(tokens, "issued_at_us", token, 0)),
        member("C_Sid", _of(tokens, "session_id", token)),
        *_lines.moment(',"timeGenerated":"', at, ending='0000Z"', fraction=True),
        "}}",
    ]
    return _lines.render(parts, lines.num_rows)


def _of(table: pa.Table, column: str, rows: npt.NDArray[np.int64]) -> Coded:
    value = coded(table, column)
    codes = np.where(rows < 0, -1, value.codes[rows] if len(value.codes) else -1)
    return Coded(codes.astype(np.int32), value.words)


def _text(table: pa.Table, column: str, rows: npt.NDArray[np.int64]) -> pa.Array:
    taken: pa.Array = table.column(column).combine_chunks().take(pa.array(rows, mask=rows < 0))
    return taken


def _number(table: pa.Table, column: str, rows: npt.NDArray[np.int64], absent: int) -> npt.NDArray[Any]:
    value = numbers(table, column)
    found: npt.NDArray[Any] = np.where(rows < 0, absent, value[rows] if len(value) else absent)
    return found


def _quoted(name: str, value: npt.NDArray[Any]) -> Pieces:
    distinct, codes = np.unique(value, return_inverse=True)
    words = pa.array([f',"{name}":"{one}"' for one in distinct.tolist()], pa.string())
    return Pieces(words, codes.astype(np.int32))


def _issued(issued_us: npt.NDArray[np.int64]) -> Pieces:
    distinct, codes = np.unique(issued_us // SECOND_US, return_inverse=True)
    words = [(f',"C_Iat":"{one}"' if one else "") for one in distinct.tolist()]
    return Pieces(pa.array(words, pa.string()), codes.astype(np.int32))


def _caller(who: npt.NDArray[np.int32], scopes: Coded, roster: Roster) -> list[Part]:
    """The user with scopes, or the service principal with roles."""
    is_application = roster.is_application[who]
    ids = named(roster.identity_id, who)
    return [
        _lines.only(~is_application, member("userId", ids)),
        _lines.only(is_application, member("servicePrincipalId", ids)),
        _lines.only(~is_application, member("scopes", scopes)),
        _lines.only(is_application, member("roles", scopes)),
        Pieces(pa.array([',"C_Idtyp":"user"', ',"C_Idtyp":"app"'], pa.string()), is_application.astype(np.int32)),
    ]

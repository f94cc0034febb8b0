"""Microsoft Graph activity log: Log Analytics columns and diagnostic-settings lines.

One row per HTTP request to Microsoft Graph, kept only where somebody exported it. The log has no user names,
only object ids. Columns: Azure Monitor reference, `MicrosoftGraphActivityLogs`.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from brokenseal import fields
from brokenseal.model import Record, Rows, Source
from brokenseal.sources import _folded_names as names
from brokenseal.sources import _graph_columnar

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "graph_activity"
OPERATION = "Microsoft Graph Activity"
_CATEGORY = "microsoftgraphactivitylogs"
_MAIL = frozenset({"messages", "mailfolders"})
_FIRST_ERROR_STATUS = 400
_LONGEST_EPOCH = 11
_DIAGNOSTIC = "graph_activity_diagnostic"

SHAPES = {
    "graph_activity_log_analytics": "Row of MicrosoftGraphActivityLogs, as JSON or as portal CSV",
    _DIAGNOSTIC: "Diagnostic-settings line of category MicrosoftGraphActivityLogs",
}


def sniff(record: Record) -> str | None:
    """The shape of a Graph request record, or None."""
    flat = names.flatten(record)
    if fields.fold(flat.get(names.ENVELOPE + "category")) == _CATEGORY:
        return _DIAGNOSTIC
    if "requesturi" not in flat:
        return None
    if fields.fold(flat.get("type")) == _CATEGORY or "signinactivityid" in flat:
        return "graph_activity_log_analytics"
    return "graph_activity_log_analytics" if {"requestid", "requestmethod"} <= flat.keys() else None


def normalise(record: Record) -> Rows:
    """One request to its `events` row and its `graph_requests` row.

    Raises:
        RecordRejected: The record has no time, or one that cannot be read.
    """
    flat = names.flatten(record)
    subject_id = names.identifier(flat, "userid", "serviceprincipalid")
    address, ip_class = fields.best_address(flat.get("ipaddress"), flat.get(names.ENVELOPE + "calleripaddress"))
    # The sign-in activity id is the token id by Microsoft's documents; older rows give UniqueTokenId only.
    raw = names.text(flat, "signinactivityid", "uniquetokenid")
    token_id, token_form = fields.canonical_token_id(raw)
    method = names.text(flat, "requestmethod")
    uri = names.text(flat, "requesturi")
    reads_mail, mailbox_hint = mail_path(method=method, uri=uri)
    status = fields.integer(names.first(flat, "responsestatuscode", names.ENVELOPE + "resultsignature"))
    app_id = names.identifier(flat, "appid")
    shared = {
        "event_id": names.event_id("graph", names.identifier(flat, "requestid"), record),
        "occurred_at": names.time(flat, "timegenerated", names.ENVELOPE + "time", column="TimeGenerated"),
        "tenant_id": names.tenant(flat) or _inner_tenant(flat),
        "app_id": app_id,
        "client_ip": address,
        "ip_class": ip_class,
        "user_agent": names.text(flat, "useragent"),
        "session_id": names.identifier(flat, "sessionid", "c_sid"),
        "token_id_raw": raw,
        "token_id": token_id,
        "token_form": token_form,
        "token_issued_at": _issued_at(flat),
    }
    event = {
        "source": NAME,
        "operation": OPERATION,
        "operation_key": fields.operation_key(OPERATION),
        "workload": "MicrosoftGraph",
        "actor": subject_id,
        "actor_key": subject_id,
        "succeeded": None if status is None else status < _FIRST_ERROR_STATUS,
        "object_id": uri,
        "client_app_id": app_id,
        "effective_app": app_id,
        "token_subject": subject_id,
    }
    request = {
        "subject_id": subject_id,
        "method": method,
        "uri": uri,
        "reads_mail": reads_mail,
        "mailbox_hint": mailbox_hint,
        "status_code": status,
        "size_bytes": fields.integer(names.first(flat, "responsesizebytes")),
        "scopes": names.text(flat, "scopes", "roles"),
    }
    return {"events": [shared | event], "graph_requests": [shared | request]}


def _inner_tenant(flat: Mapping[str, Any]) -> str | None:
    # In a line the properties name the tenant; the TenantId of a Log Analytics row is the workspace.
    return names.guid(flat, "tenantid") if names.ENVELOPE + "category" in flat else None


def _issued_at(flat: Mapping[str, Any]) -> dt.datetime | None:
    """When the token was issued: a time, or Unix seconds as text in `C_Iat`."""
    for name in ("tokenissuedat", "c_iat"):
        value = flat.get(name)
        seconds = fields.integer(value)
        if seconds is not None and 0 < seconds < 10**_LONGEST_EPOCH:
            return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
        moment = fields.try_time(value)
        if moment is not None:
            return moment
    return None


_SCHEME_AND_HOST = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^/?#]*", re.IGNORECASE)
_KEYED = re.compile(r"([a-z.]+)\('?([^')]*)'?\)", re.IGNORECASE)
_VERSIONS = frozenset({"v1.0", "beta"})


def mail_path(*, method: str | None, uri: str | None) -> tuple[bool | None, str | None]:
    """Whether a request reads mail, and whose: `me`, or the id or address in the path, folded.

    Mail stands under `/me/` or `/users/{id}/` in `messages` or `mailFolders`; the messages of chats and teams and
    the mailbox settings are no mail. OData's `users('id')` is the same as `users/{id}`.

    Returns: (reads mail, mailbox). None for the first where the log gives no address, or no method for a mail path.
    """
    if uri is None:
        return None, None
    parts = _segments(uri)
    if parts[:1] == ["me"]:
        hint, rest = "me", parts[1:2]
    elif parts[:1] == ["users"] and len(parts) > 1:
        hint, rest = parts[1], parts[2:3]
    else:
        return False, None
    if not rest or rest[0] not in _MAIL:
        return False, hint
    return (None if method is None else method.strip().upper() == "GET"), hint


def _segments(uri: str) -> list[str]:
    path = re.split(r"[?#]", _SCHEME_AND_HOST.sub("", uri.strip(), count=1), maxsplit=1)[0]
    parts: list[str] = []
    for part in path.split("/"):
        decoded = unquote(part).strip().lower()
        keyed = _KEYED.fullmatch(decoded)
        parts.extend(filter(None, keyed.groups() if keyed else (decoded,)))
    return parts[1:] if parts and parts[0] in _VERSIONS else parts


SOURCE = Source(
    name=NAME,
    title="Microsoft Graph activity log",
    shapes=SHAPES,
    fidelity=1,
    sniff=sniff,
    normalise=normalise,
    columnar={_DIAGNOSTIC: _graph_columnar.columnar(normalise, sniff, _DIAGNOSTIC)},
)

"""Diagnostic lines of the Graph activity log, batches at a time: the fast path of `graph_activity`.

Source: Azure Monitor Logs reference, MicrosoftGraphActivityLogs; Azure Monitor resource log schema.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import ibis

from brokenseal import schema
from brokenseal.model import Columnar
from brokenseal.sources import _columnar_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Lookup, Record, Rows

OUTER: Final = (
    "time",
    "resourceId",
    "operationName",
    "category",
    "resultSignature",
    "callerIpAddress",
    "tenantId",
    "properties",
    # passed over
    "operationVersion",
    "resultType",
    "resultDescription",
    "durationMs",
    "correlationId",
    "identity",
    "level",
    "Level",
    "location",
)
_READ = (
    "requestId",
    "timeGenerated",
    "tenantId",
    "appId",
    "userId",
    "servicePrincipalId",
    "ipAddress",
    "userAgent",
    "requestMethod",
    "requestUri",
    "responseStatusCode",
    "responseSizeBytes",
    "scopes",
    "roles",
    "signInActivityId",
    "uniqueTokenId",
    "sessionId",
    "C_Sid",
    "tokenIssuedAt",
    "C_Iat",
)
_PASSED_OVER = (
    "apiVersion",
    "atContent",
    "atContentH",
    "atContentP",
    "clientAuthMethod",
    "clientRequestId",
    "C_DeviceId",
    "C_Idtyp",
    "deviceId",
    "durationMs",
    "identityProvider",
    "location",
    "operationId",
    "tokenType",
    "wids",
)
_WHO = ("tenantId", "appId", "userId", "servicePrincipalId", "ipAddress", "userAgent", "scopes", "roles")
_STATUS = ("requestMethod", "responseStatusCode")
_TOKEN = ("signInActivityId", "uniqueTokenId", "sessionId", "C_Sid", "tokenIssuedAt", "C_Iat")
_WHO_COLUMNS = (
    "tenant_id",
    "app_id",
    "client_ip",
    "ip_class",
    "user_agent",
    "actor",
    "actor_key",
    "client_app_id",
    "effective_app",
    "token_subject",
    "subject_id",
    "scopes",
)
_STATUS_COLUMNS = ("succeeded", "status_code", "method")
_TOKEN_COLUMNS = ("session_id", "token_id_raw", "token_id", "token_form", "token_issued_at")
_PATH_COLUMNS = ("reads_mail", "mailbox_hint")
_COLUMNS = {"who": _WHO_COLUMNS, "status": _STATUS_COLUMNS, "token": _TOKEN_COLUMNS, "path": _PATH_COLUMNS}
_TABLES = (schema.EVENT, schema.GRAPH_REQUEST)
_CONSTANT = ("source", "operation", "operation_key", "workload")
# As much of the address as tells whose mail is read: `me` and what follows, or three parts. Parts with escapes or
# blanks may be empty once they are decoded, so that a part further on counts: then the whole address is looked at.
_PART = r"[!\"$&-.0->@-~]+"
_TELLING = rf"^https://[A-Za-z0-9.-]+/(?:v1\.0|beta)/(?:me/{_PART}|{_PART}/{_PART}/{_PART})"


def columnar(normalise: Callable[[Record], Rows], sniff: Callable[[Record], str | None], shape: str) -> Columnar:
    """The fast path for the diagnostic form, by the plain one."""
    made = _made(None, {})
    constants = {name: normalise(made)["events"][0][name] for name in _CONSTANT}
    return Columnar(
        raw_schema={
            **dict.fromkeys(OUTER[: OUTER.index("properties")], "string"),
            "properties": f"struct<{', '.join(f'{name}: string' for name in _READ)}>",
        },
        members={"outer_names": "$", "inner_names": "$.properties"},
        lookups=_lookups(lambda keys: normalise(_made(keys, keys)), lambda record: sniff(record) == shape),
        takes=_takes,
        normalise=partial(_normalise, constants=constants),
    )


def _made(outer: Mapping[str, Any] | None, inner: Mapping[str, Any]) -> Record:
    """A line with some values of its own."""
    around = {name.removeprefix("_"): value for name, value in (outer or {}).items() if name.startswith("_")}
    within = {name: value for name, value in inner.items() if not name.startswith("_")}
    return {
        "time": values.A_TIME,
        "category": "MicrosoftGraphActivityLogs",
        **around,
        "properties": {"requestId": values.A_GUID, **within},
    }


def _lookups(rows_of: Callable[[Mapping[str, Any]], Rows], knows: Callable[[Record], bool]) -> tuple[Lookup, ...]:
    around = {f"_{name}": partial(_outer, name=name) for name in ("tenantId", "resourceId", "callerIpAddress")}
    status = {"_resultSignature": partial(_outer, name="resultSignature")}
    return (
        values.form_lookup(
            {name: partial(_outer, name=name) for name in ("outer_names", "inner_names", "category", "operationName")},
            outer=OUTER,
            inner=(*_READ, *_PASSED_OVER),
            knows=knows,
        ),
        values.lookup("who", around | _inners(_WHO), rows_of, _WHO_COLUMNS, tables=_TABLES),
        values.lookup("status", status | _inners(_STATUS), rows_of, _STATUS_COLUMNS, tables=_TABLES),
        values.lookup("token", _inners(_TOKEN), rows_of, _TOKEN_COLUMNS, tables=_TABLES),
        values.lookup(
            "path", _inners(("requestMethod",)) | {"requestUri": _telling}, rows_of, _PATH_COLUMNS, tables=_TABLES
        ),
    )


def _outer(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw[name]


def _inner(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw.properties[name]


def _inners(listed: tuple[str, ...]) -> dict[str, Callable[[ir.Table], ir.StringValue]]:
    return {name: partial(_inner, name=name) for name in listed}


def _telling(raw: ir.Table) -> ir.StringValue:
    uri = raw.properties.requestUri
    return ibis.coalesce(uri.re_extract(_TELLING, 0).nullif(""), uri)


def _takes(wide: ir.Table) -> ir.BooleanValue:
    inner = wide.properties
    return ibis.and_(
        wide.form__plain,
        *(wide[f"{name}__plain"] for name in _COLUMNS),
        values.is_guid(inner.requestId),
        values.is_utc(_time(wide)),
        values.is_small_number(inner.responseSizeBytes),
        values.is_trimmed(inner.requestUri),
    )


def _time(wide: ir.Table) -> ir.StringValue:
    return ibis.coalesce(values.filled(wide.properties.timeGenerated), wide.time)


def _normalise(wide: ir.Table, *, constants: Mapping[str, Any]) -> Mapping[str, ir.Table]:
    inner = wide.properties
    uri = values.filled(inner.requestUri)
    derived = {
        "event_id": ibis.literal("graph:") + inner.requestId.lower(),
        "occurred_at": values.moment(_time(wide)),
        **{column: wide[f"{name}__{column}"] for name, columns in _COLUMNS.items() for column in columns},
    }
    return {
        "events": wide.select(
            "record_no",
            **{name: ibis.literal(value) for name, value in constants.items()},
            **{name: value for name, value in derived.items() if name in schema.EVENT.names},
            object_id=uri,
        ),
        "graph_requests": wide.select(
            **{name: value for name, value in derived.items() if name in schema.GRAPH_REQUEST.names},
            uri=uri,
            size_bytes=values.small_number(inner.responseSizeBytes),
        ),
    }

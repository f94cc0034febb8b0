"""What the exports of Entra and of Azure Monitor have in common: names, envelopes and cut nested values.

The same record goes by `createdDateTime` in Graph, `CreatedDateTime [UTC]` in a Log Analytics download,
`Date (UTC)` in the portal's CSV, and stands under `properties` in a diagnostic-settings line. Folding the names
makes these one: after `flatten` a source looks for a few folded names and need not know the form.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from brokenseal import fields
from brokenseal.errors import RecordRejected

if TYPE_CHECKING:
    import datetime as dt

    from brokenseal.model import Record

ENVELOPE = "envelope."
"""Prefix of the names that stood around `properties` in a diagnostic-settings line."""

_CACHED_NAMES = 1 << 13
# Log Analytics downloads mark the time zone, and split a column whose type changed into `_dynamic` and `_string`.
_SUFFIX = re.compile(r"(?:\[utc\]|_dynamic|_string)$")


@functools.lru_cache(maxsize=_CACHED_NAMES)
def fold_name(name: str) -> str:
    """A column name for comparison: white space, zone mark `[UTC]` and type suffix dropped, lower case.

    The portal's CSV writes `Application ID ` and `Autonomous system  number`. A mark of another zone than UTC
    stays, so that a local time is never taken for UTC.
    """
    return _SUFFIX.sub("", "".join(name.split()).lower())


def flatten(record: Record) -> dict[str, Any]:
    """Values by folded name, without the empty ones; the first of names that fold alike counts.

    Of a diagnostic-settings line the content of `properties` (an object, or JSON text of one) is given, and what
    stands around it behind `ENVELOPE`.
    """
    flat = _fold_all(record)
    inner = fields.decode_json_text(flat.get("properties"))
    if not isinstance(inner, Mapping) or not ("category" in flat or "operationname" in flat):
        return flat
    around = {ENVELOPE + name: value for name, value in flat.items() if name != "properties"}
    return _fold_all(inner) | around


def _fold_all(record: Mapping[Any, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if value is None or value == "" or not isinstance(name, str):
            continue
        flat.setdefault(fold_name(name), value)
    return flat


def first(flat: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of the folded names that is there, else None."""
    for name in names:
        if name in flat:
            return flat[name]
    return None


def text(flat: Mapping[str, Any], *names: str) -> str | None:
    """The first of the named values that is text with something in it, trimmed."""
    for name in names:
        found = fields.text_of(flat.get(name))
        if found is not None and found.strip():
            return found.strip()
    return None


def identifier(flat: Mapping[str, Any], *names: str) -> str | None:
    """The first of the named values that is an identifier: a GUID or other text, folded, never the all-zero GUID."""
    return next(filter(None, (fields.identifier(flat.get(name)) for name in names)), None)


def guid(flat: Mapping[str, Any], *names: str) -> str | None:
    """The first of the named values that is a GUID other than the all-zero one."""
    return next(filter(None, (fields.guid(flat.get(name)) for name in names)), None)


def time(flat: Mapping[str, Any], *names: str, column: str) -> dt.datetime:
    """The first of the named times.

    Raises:
        RecordRejected: `field_missing` where none of them is there, `field_invalid` where the first cannot be read.
    """
    return fields.parse_time(first(flat, *names), column=column)


# ---------------------------------------------------------------- nested values

_LONGEST_LOOSE = 4096


@functools.lru_cache(maxsize=64)
def _loose(name: str) -> re.Pattern[str]:
    key = re.escape(name)
    body = f"{{0,{_LONGEST_LOOSE}}}"
    return re.compile(
        rf"""(?:'{key}'|"{key}")\s*:\s*(?:'([^']{body})'|"([^"]{body})"|([^\s,'"{{}}\[\]]+))"""
        rf"""|(?:@\{{|;\s?){key}=([^;}}]{body})""",
        re.IGNORECASE,
    )


def member(value: object, name: str) -> object:
    """One member of a nested value, whichever way the export wrote that value; None where it is not there.

    Forms: an object; JSON text of it; a Python repr, even one that was cut (`{'errorCode': 0, 'additi`); and what
    Windows PowerShell makes of an object below its depth (`@{errorCode=0; failureReason=Other.}`).
    """
    value = fields.decode_json_text(value)
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        lower = name.lower()
        return next((item for key, item in value.items() if isinstance(key, str) and key.lower() == lower), None)
    if not isinstance(value, str):
        return None
    matched = _loose(name).search(value)
    if matched is None:
        return None
    found = next((group for group in matched.groups() if group is not None), "").strip()
    return None if found in {"", "None", "null"} else found


def member_text(value: object, *members: str) -> str | None:
    """The first of the members of a nested value that is text with something in it, trimmed."""
    for name in members:
        found = fields.text_of(member(value, name))
        if found is not None and found.strip():
            return found.strip()
    return None


def objects(value: object) -> tuple[Mapping[str, Any], ...]:
    """The objects of a list, of JSON text of a list, or of a single object; others are left out."""
    value = fields.decode_json_text(value)
    if isinstance(value, Mapping):
        return (value,)
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list | tuple) else ()


# ---------------------------------------------------------------- identity of a record

_TENANT_PATH = re.compile(r"/tenants/([0-9a-f-]{36})(?:/|$)", re.IGNORECASE)


def tenant(flat: Mapping[str, Any]) -> str | None:
    """The tenant GUID that the log itself belongs to, where the form gives it.

    `TenantId` of a Log Analytics row is the workspace, so only the envelope's counts; the Azure resource path
    `/tenants/{id}/providers/Microsoft.aadiam` names the tenant in both forms.
    """
    found = guid(flat, "aadtenantid", ENVELOPE + "tenantid")
    if found is not None:
        return found
    matched = _TENANT_PATH.match(text(flat, ENVELOPE + "resourceid", "resourceid") or "")
    return fields.guid(matched[1]) if matched else None


def event_id(prefix: str, log_id: str | None, record: Record) -> str:
    """The event id: the log's own id behind the prefix, or a digest of the record where it has none."""
    return f"sha256:{digest(record)}" if log_id is None else f"{prefix}:{log_id}"


def digest(record: Record) -> str:
    """SHA-256 of the record as canonical JSON: keys sorted, no white space, ASCII.

    Raises:
        RecordRejected: The record is nested too deeply or is not of JSON's types.
    """
    try:
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), default=str)
    except (RecursionError, TypeError, ValueError) as error:
        raise RecordRejected(column="record", reason="too_deep", expected="an object that JSON can write") from error
    return hashlib.sha256(canonical.encode()).hexdigest()

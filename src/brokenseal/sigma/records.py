"""Recorded text to a table with one column for each field that rules ask for: one pass over the text for all rules.

    evidence/<input> ─ pieces of whole lines ─▶ `of_lines`, in the engine ─▶ fields of the records
                                  └─ lines of another form ─▶ `of_line`, one by one ─▶ the same columns

Both ways give the same columns; a property test holds them equal. JSON is taken apart here, at the edge, so that
compiled rules see texts and lists of texts alone.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa
import zstandard

from brokenseal import json_text
from brokenseal.errors import EvidenceChanged, RecordRejected
from brokenseal.evidence import evidence_path
from brokenseal.sigma.compiler import KEYWORDS
from brokenseal.sigma.matching import Field
from brokenseal.sources import SOURCES, identify, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from brokenseal.sigma.vocabulary import Log, Place, RecordField

RECORD_NO: Final = "_record_no"
EVENT_ID: Final = "_event_id"
IS_ODD: Final = "_is_odd"
_PIECE_BYTES: Final = 96 << 20
_BLOCK_BYTES: Final = 1 << 20

# Exports that put columns around the audit record, and the column that holds it.
_PAYLOADS: Final[Mapping[str, str]] = {
    "purview_csv": "AuditData",
    "search_ual": "AuditData",
    "script_export": "AuditData",
    "graph_query": "auditData",
    "cloud_app_events": "RawEventData",
}
_BARE: Final = frozenset({"bare_record", "office_activity", "office_activity_columns", "office_activity_csv"})
_WRAPPINGS: Final = ("AuditData", "auditData", "RawEventData", "RawEventData_dynamic", "RawEventData_string")
# A record of the log has one of these; without any it is wrapped in a way of its own.
_MARKS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "unified_audit": (("Operation",), ("Operations",)),
    "entra_sign_in": (
        ("createdDateTime",), ("CreatedDateTime",), ("properties", "createdDateTime"),
        ("TimeGenerated",), ("Timestamp",),
    ),
    "entra_audit": (
        ("activityDisplayName",), ("properties", "activityDisplayName"), ("OperationName",), ("ActivityDisplayName",),
    ),
    "graph_activity": (("RequestUri",), ("properties", "requestUri")),
}  # fmt: skip
SHAPES: Final[Mapping[str, str]] = {
    shape: {"cloud_app_events": "unified_audit", "office_activity": "unified_audit"}.get(source.name, source.name)
    for source in SOURCES
    for shape in source.shapes
}
"""Shape of a record to the value of `events.source`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of one input: numbers of records, and a table of `_record_no` and `line`."""

    sha256: str
    lines: pa.Table


def pieces(root: Path, sha256: str) -> Iterator[Piece]:
    """The recorded text of an input in pieces of whole lines.

    Raises:
        EvidenceChanged: it is gone or damaged.
    """
    path = evidence_path(root, sha256)
    first = 1
    try:
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            rest = b""
            held: list[bytes] = []
            size = 0
            while block := stream.read(_BLOCK_BYTES):
                held.append(block)
                size += len(block)
                if size < _PIECE_BYTES or b"\n" not in block:
                    continue
                end = block.rfind(b"\n") + 1
                lines = _lines(b"".join((rest, *held[:-1], block[:end])), first)
                first += len(lines)
                rest, held, size = block[end:], [], 0
                yield Piece(sha256, lines)
            rest = b"".join((rest, *held))
            if rest:
                yield Piece(sha256, _lines(rest if rest.endswith(b"\n") else rest + b"\n", first))
    except (OSError, zstandard.ZstdError) as err:
        raise EvidenceChanged(place=str(path), value=err, expected="the recorded text of an input") from err


def _lines(block: bytes, first: int) -> pa.Table:
    block = _sound_text(block)
    # Records are long: to look for each next end is ten times as fast as to compare every byte.
    ends = array("i", [0])
    end = block.find(b"\n")
    while end >= 0:
        ends.append(end + 1)
        end = block.find(b"\n", end + 1)
    number = len(ends) - 1
    text = pa.StringArray.from_buffers(number, pa.py_buffer(ends), pa.py_buffer(block))
    return pa.table({RECORD_NO: pa.array(np.arange(first, first + number)), "line": text})


def _sound_text(block: bytes) -> bytes:
    whole = pa.StringArray.from_buffers(1, pa.py_buffer(array("i", [0, len(block)])), pa.py_buffer(block))
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return block.decode("utf-8", "replace").encode()
    return block


def payload_of(shapes: Sequence[str]) -> tuple[str, ...]:
    """Columns that hold the record in an input of these shapes, to be tried in order; the line itself comes last."""
    found = {_PAYLOADS.get(shape) for shape in shapes}
    if found == {None}:
        is_bare = all(shape in _BARE or SHAPES[shape] != "unified_audit" for shape in shapes)
        return () if is_bare else _WRAPPINGS
    return tuple(filter(None, found)) if len(found) == 1 else _WRAPPINGS


# ---------------------------------------------------------------- in the engine


@ibis.udf.scalar.builtin(name="json_extract_string")  # type: ignore[untyped-decorator]
def _texts(text: str, paths: list[str]) -> list[str]:  # type: ignore[empty-body]
    """What stands at each path: a scalar as text, anything nested as JSON text, null where there is nothing."""


@ibis.udf.scalar.builtin(name="json_extract_string")  # type: ignore[untyped-decorator]
def _text(text: str, path: str) -> str:  # type: ignore[empty-body]
    """As `_texts` for one path without wildcards."""


@ibis.udf.scalar.builtin(name="json_extract_string")  # type: ignore[untyped-decorator]
def _every(text: str, path: str) -> list[str]:  # type: ignore[empty-body]
    """What stands at every place that a path with wildcards leads to."""


@ibis.udf.scalar.builtin(name="json_valid")  # type: ignore[untyped-decorator]
def _is_json(text: str) -> bool:  # type: ignore[empty-body]
    """Whether a text is JSON."""


def is_json(table: ir.Table) -> ir.BooleanValue:
    """Whether the line of a row is JSON: others are for `of_line`."""
    return _is_json(table["line"])


def _path(keys: Sequence[str]) -> str:
    return "$" + "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)


def of_lines(table: ir.Table, log: Log, fields: Sequence[RecordField], payload: Sequence[str]) -> ir.Table:
    """Lines to fields.

    Args:
        table: `_record_no` and `line`; every line is JSON.
        log: Whose records they are.
        fields: What is asked for.
        payload: As `payload_of` says.

    Returns: `_record_no`, `_event_id` (null), `_is_odd` (the line is no plain record of the log, and its other columns
        mean nothing), `_text`, and a column for each field.
    """
    line = table["line"]
    held = _texts(line, [_path((key,)) for key in payload]) if payload else None
    text = ibis.coalesce(*(held[place] for place in range(len(payload))), line) if held is not None else line
    if payload:
        # An export may have lost the record and kept its place.
        text = _is_json(text).ifelse(text, line)
    heads = list(dict.fromkeys([*_MARKS[log.source], *(place.head for field in fields for place in field.places)]))
    values = table.select(RECORD_NO, text=text).mutate(values=_texts(ibis._["text"], [_path(head) for head in heads]))
    at = {head: values["values"][number] for number, head in enumerate(heads)}
    return values.select(
        RECORD_NO,
        ibis.null("string").name(EVENT_ID),
        ibis.coalesce(*(at[head] for head in _MARKS[log.source])).isnull().name(IS_ODD),
        values["text"].name(KEYWORDS),
        *(_column(field, at).name(field.name) for field in fields),
    )


def _column(field: RecordField, at: Mapping[tuple[str, ...], ir.StringValue]) -> ir.Value:
    found = [_standing(field, at[place.head], place.tail) for place in field.places]
    return ibis.coalesce(*found) if len(found) > 1 else found[0]


def _standing(field: RecordField, head: ir.StringValue, tail: str) -> ir.Value:
    match field.kind:
        case "named":
            return _named(head, tail, "Name", "Value")
        case "keyed":
            return _named(head, tail, "key", "value")
        case "changed":
            return _changed(head, tail)
    is_nested = head.startswith("{") | head.startswith("[")
    nested = (is_nested & _is_json(head)).ifelse(head, ibis.null("string")) if tail or field.kind == "list" else head
    if "[*]" in tail:
        found = _every(nested, _tail_path(tail)).filter(lambda each: each.notnull())
        return (found.length() > 0).ifelse(found, ibis.null("array<string>"))
    value = _text(nested, _tail_path(tail)) if tail else head
    return _list(value) if field.kind == "list" else value


def _tail_path(tail: str) -> str:
    steps = [step for step in tail.replace("[*]", ".[*]").split(".") if step]
    return "$" + "".join("[*]" if step == "[*]" else _path((step,))[1:] for step in steps)


def _list(value: ir.StringValue) -> ir.ArrayValue:
    """A list of scalars as such; anything else as a list of one."""
    elements = value.startswith("[").ifelse(value, ibis.null("string")).try_cast("json").try_cast("array<string>")
    is_flat = ~(value.startswith("[{") | value.startswith("[["))
    listed = elements.filter(lambda each: each.notnull())
    several = (is_flat & elements.notnull()).ifelse(listed, ibis.array([value]))
    return value.isnull().ifelse(ibis.null("array<string>"), several)


def _named(head: ir.StringValue, name: str, key: str, value: str) -> ir.ArrayValue:
    rows = head.startswith("[").ifelse(head, ibis.null("string")).try_cast("json")
    pairs = rows.try_cast(f"array<struct<{key}: string, {value}: string>>")
    found = pairs.filter(lambda each: (each[key].lower() == name.lower()) & each[value].notnull())
    values = found.map(lambda each: each[value])
    return (values.length() > 0).ifelse(values, ibis.null("array<string>"))


def _changed(head: ir.StringValue, name: str) -> ir.ArrayValue:
    nested = (head.startswith("[") & _is_json(head)).ifelse(head, ibis.null("string"))
    rows = _every(nested, '$[*]."modifiedProperties"[*]')
    found = rows.filter(lambda each: _text(each, "$.displayName").lower() == name.lower())
    values = found.map(lambda each: _text(each, "$.newValue")).filter(lambda each: each.notnull())
    bare = values.map(lambda each: each.re_replace(r'^"(.*)"$', r"\1"))
    return (bare.length() > 0).ifelse(bare, ibis.null("array<string>"))


def with_keys(table: ir.Table, fields: Sequence[RecordField], *, with_text: bool) -> tuple[ir.Table, dict[str, Field]]:
    """The table with every text folded beside it, once for all rules; and its columns as fields."""
    names = [*(each.name for each in fields), *((KEYWORDS,) if with_text else ())]
    texts = [name for name in names if table[name].type().is_string()]
    wide = table.mutate(**{f"key:{name}": table[name].lower() for name in texts})
    return wide, {name.lower(): Field(wide[name], wide[f"key:{name}"] if name in texts else None) for name in names}


# ---------------------------------------------------------------- one by one


def of_line(line: str, log: Log, fields: Sequence[RecordField]) -> Iterator[dict[str, Any]]:
    """The records of the log in one line, with their event ids: what `of_lines` gives, for lines of any form."""
    try:
        value = json_text.parse(line)
    except RecordRejected:
        return
    if not isinstance(value, Mapping):
        return
    for record in unwrap(value):
        known = identify(record)
        if known is None or SHAPES[known[1]] != log.source:
            continue
        try:
            rows = known[0].normalise(record)
        except RecordRejected:
            continue
        body = _body(record)
        yield {
            EVENT_ID: rows["events"][0]["event_id"],
            KEYWORDS: _written(body),
            **{field.name: _value(field, body) for field in fields},
        }


def _body(record: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in _WRAPPINGS:
        held = record.get(name)
        if isinstance(held, str) and held:
            try:
                held = json_text.parse(held)
            except RecordRejected:
                continue
        if isinstance(held, Mapping):
            return held
    return record


def _value(field: RecordField, record: Mapping[str, Any]) -> Any:
    for place in field.places:
        found = _found(field, _at(record, place.head), place)
        if found is not None:
            return found
    return None


def _found(field: RecordField, head: Any, place: Place) -> Any:
    if head is None:
        return None
    if field.kind == "named":
        return _named_values(_opened(head), place.tail, "Name", "Value")
    if field.kind == "keyed":
        return _named_values(_opened(head), place.tail, "key", "value")
    if field.kind == "changed":
        return _changed_values(_opened(head), place.tail)
    if "[*]" in place.tail:
        steps = [step for step in place.tail.replace("[*]", ".[*]").split(".") if step]
        return [_written(each) for each in _walk(_opened(head), steps) if each is not None] or None
    value = _at(_opened(head), place.tail.split(".")) if place.tail else head
    return value if value is None else _written(value) if field.kind == "text" else _listed(value)


def _listed(value: Any) -> list[str]:
    opened = _opened(value)
    if isinstance(opened, list) and not (opened and isinstance(opened[0], dict | list)):
        return [_written(each) for each in opened if each is not None]
    return [_written(value)]


def _opened(value: Any) -> Any:
    """Nested values that an export wrote as JSON text."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json_text.parse(value)
        except RecordRejected:
            return value
    return value


def _at(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _walk(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] == "[*]":
        for each in value if isinstance(value, list) else ():
            yield from _walk(each, steps[1:])
    elif isinstance(value, Mapping) and steps[0] in value:
        yield from _walk(value[steps[0]], steps[1:])


def _named_values(rows: Any, name: str, key: str, value: str) -> list[str] | None:
    pairs = [each for each in rows if isinstance(each, Mapping)] if isinstance(rows, list) else []
    found = [
        _written(each[value])
        for each in pairs
        if isinstance(each.get(key), str) and each[key].lower() == name.lower() and each.get(value) is not None
    ]
    return found or None


def _changed_values(rows: Any, name: str) -> list[str] | None:
    found = []
    for each in _walk(rows, ["[*]", "modifiedProperties", "[*]"]):
        shown = each.get("displayName") if isinstance(each, Mapping) else None
        if isinstance(shown, str) and shown.lower() == name.lower() and each.get("newValue") is not None:
            text = _written(each["newValue"])
            is_quoted = len(text) > 1 and text[0] == text[-1] == '"' and "\n" not in text
            found.append(text[1:-1] if is_quoted else text)
    return found or None


def _written(value: Any) -> str:
    """A value as the engine writes it: text bare, everything else as JSON without blanks."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

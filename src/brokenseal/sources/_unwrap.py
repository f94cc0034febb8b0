"""Records inside other records: what collectors and query tools wrap around them.

Splunk and Cribl keep the event as text in `_raw`, Elastic in `_source`, `event.original` or `message`; Graph and
Event Hub put lists under `value` and `records`; the Log Analytics query API gives `tables` of columns and rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import RecordRejected
from brokenseal.json_text import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from brokenseal.model import Record

DEPTH_LIMIT: Final = 4
_SINGLE: Final = ("_raw", "_source", "event.original", "message")
_LISTS: Final = ("value", "records")


def unwrap_with(record: Record, knows: Callable[[Record], bool]) -> Iterator[Record]:
    """The record itself, or the records inside it where it is only a wrapper.

    Args:
        record: One record as it was framed.
        knows: Whether some source knows a record; one that is known is no wrapper, whatever else is in it.

    Yields: Records in their order. Of several wrappers in one record the first counts whose content is known,
        else the first that holds records at all. A record with no record inside is given as it is; so is one
        that stands `DEPTH_LIMIT` wrappers deep.
    """
    yield from _unwrap(record, knows, DEPTH_LIMIT)


def _unwrap(record: Record, knows: Callable[[Record], bool], depth: int) -> list[Record]:
    if depth == 0 or knows(record):
        return [record]
    first: list[Record] | None = None
    for content in _contents(record):
        inside = [deeper for inner in content for deeper in _unwrap(inner, knows, depth - 1)]
        if any(knows(inner) for inner in inside):
            return inside
        first = first or inside
    return first or [record]


def _contents(record: Record) -> Iterator[list[Record]]:
    """What each wrapper in the record holds, without those that hold no record."""
    for name in _SINGLE:
        yield from _found(_decoded(record.get(name)))
    event = record.get("event")
    if isinstance(event, dict):
        yield from _found(_decoded(event.get("original")))
    for name in _LISTS:
        content = _decoded(record.get(name))
        if isinstance(content, list):
            yield from _found(content)
    yield from _found(_table_rows(_decoded(record.get("tables"))))


def _found(content: object) -> Iterator[list[Record]]:
    entries = content if isinstance(content, list) else [content]
    records: list[Record] = [
        entry for entry in (_decoded(entry) for entry in entries) if isinstance(entry, dict) and entry
    ]
    if records:
        yield records


def _decoded(value: object) -> object:
    """The list or object that JSON text stands for; other text and values as they are."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text[:1] not in {"{", "["}:
        return value
    try:
        return parse(text)
    except RecordRejected:
        return value


def _table_rows(tables: object) -> list[Mapping[str, Any]]:
    """Rows of a Log Analytics query result as records: column names zipped with cells."""
    if not isinstance(tables, list):
        return []
    rows: list[Mapping[str, Any]] = []
    for table in tables:
        if not isinstance(table, dict):
            continue
        columns, cells = table.get("columns"), table.get("rows")
        if not isinstance(columns, list) or not isinstance(cells, list):
            continue
        names = [column.get("name") if isinstance(column, dict) else column for column in columns]
        rows.extend(
            {name: cell for name, cell in zip(names, row, strict=False) if isinstance(name, str)}
            for row in cells
            if isinstance(row, list)
        )
    return rows

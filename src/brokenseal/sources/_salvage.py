"""What can still be read of a record that cannot: its id, operation, time and user.

Records break in known ways. A spreadsheet cuts cells at 32,767 characters; Splunk cuts `_raw` at 10,000 bytes,
and then its `AuditData` column is empty while `_raw` still holds a CSV row with doubled quotes; exports stop in
the middle. So nothing here expects that anything closes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import RecordRejected
from brokenseal.fields import text_of, try_time
from brokenseal.json_text import parse

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """What could be salvaged; None for what could not. `at` is aware and in UTC."""

    id: str | None = None
    operation: str | None = None
    at: dt.datetime | None = None
    actor: str | None = None


# Best first. The inner record's names come before those of the row that an export wrapped around it, because the
# row's date is in the local form of the machine that exported it.
_IDS: Final = ("Id", "id", "Identity", "RecordId", "OfficeId")
_OPERATIONS: Final = ("Operation", "operation", "Operations", "ActionType")
_TIMES: Final = ("CreationTime", "createdDateTime", "CreationDate", "TimeGenerated", "Timestamp")
_ACTORS: Final = ("UserId", "userId", "UserIds", "userPrincipalName")
_NAMES: Final = frozenset((*_IDS, *_OPERATIONS, *_TIMES, *_ACTORS))
_NESTED: Final = ("AuditData", "auditData", "RawEventData", "_raw", "_source", "event.original", "message")
_DEPTH: Final = 4
# Far beyond any record's own fields; the rest is lists of items and properties, with ids of their own.
_SCANNED_CHARACTERS: Final = 1024 * 1024

_STARTS: Final = 8

# A string that the end of the text cuts off reaches to the end.
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_VALUE = re.compile(r'\s*:\s*(?:"((?:[^"\\]|\\.)*+)"|(-?\w[\w.+-]*)(?=\s*[,}]))', re.DOTALL)
_START = re.compile(r'\{(?:\s|\\[rnt])*((?:\\*"){1,2})(?=[\w@])')
_RECORD_BEFORE = re.compile(rf'(?:{"|".join(map(re.escape, _NESTED))})(?:\\*"){{1,2}}\s*:\s*(?:\\*"){{1,2}}\Z')
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BLANKS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_BEFORE_CHARACTERS: Final = 64
_LONGEST_VALUE: Final = 2048


def salvage(text: str) -> Salvaged:
    r"""Find a record's own id, operation, time and user in text that may be cut off, escaped or quoted twice.

    Keys of the outermost object count first; a key deeper down counts only where the object has none of its own.
    Understood are JSON, JSON whose quotes are doubled (a CSV cell: `""Id"":""…""`) or escaped (`\"Id\":`),
    anything in front of the object, and rows whose cells or wrappers hold the record as text.

    Returns: What was found; a value that is itself cut off is not. Never raises.
    """
    own: dict[str, str] = {}
    below: dict[str, str] = {}
    for layer_own, layer_below in _layers(text[:_SCANNED_CHARACTERS], _DEPTH):
        own.update(layer_own)
        below = {**layer_below, **below}
    return Salvaged(
        id=_first(_IDS, own, below),
        operation=_first(_OPERATIONS, own, below),
        at=_first_time(own, below),
        actor=_first(_ACTORS, own, below),
    )


def _first(names: tuple[str, ...], *layers: dict[str, str]) -> str | None:
    return next((layer[name] for layer in layers for name in names if name in layer), None)


def _first_time(*layers: dict[str, str]) -> dt.datetime | None:
    moments = (try_time(layer.get(name)) for layer in layers for name in _TIMES)
    return next((moment for moment in moments if moment is not None), None)


_Layer = tuple[dict[str, str], dict[str, str]]


def _layers(text: str, depth: int) -> Iterator[_Layer]:
    """(own keys, deeper keys) of each record in the text, from the outside in."""
    try:
        value = parse(text)
    except RecordRejected:
        yield from _broken_layers(text)
        return
    if isinstance(value, dict):
        yield from _object_layers(value, depth)
    elif isinstance(value, str) and depth > 0:
        yield from _layers(value, depth - 1)


def _object_layers(record: Mapping[str, Any], depth: int) -> Iterator[_Layer]:
    texts = {name: text_of(record[name]) for name in record if name in _NAMES}
    yield {name: text[:_LONGEST_VALUE] for name, text in texts.items() if text is not None}, {}
    if depth == 0:
        return
    for name in _NESTED:
        inner = record.get(name)
        if isinstance(inner, dict):
            yield from _object_layers(inner, depth - 1)
        elif isinstance(inner, str) and "{" in inner:
            yield from _layers(inner, depth - 1)


def _broken_layers(text: str) -> Iterator[_Layer]:
    """The first object in the text, and objects that stand as escaped text under a key that holds records."""
    for position, found in enumerate(islice(_START.finditer(text), _STARTS)):
        start = found.start()
        if position == 0 or _RECORD_BEFORE.search(text[max(0, start - _BEFORE_CHARACTERS) : start]):
            yield _scanned(_with_plain_quotes(text[start:], found[1]))


def _with_plain_quotes(text: str, quote: str) -> str:
    """The text as JSON, where `quote` is what stands for a quote mark in it."""
    while quote != '"':
        if quote.startswith("\\"):
            text, quote = _ESCAPE.sub(_unescaped, text), _ESCAPE.sub(_unescaped, quote)
        else:
            text, quote = text.replace('""', '"'), '"'
    return text


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _BLANKS.get(found[2], found[2])


def _scanned(text: str) -> _Layer:
    """Scalars of the outermost object, and those deeper down, by their first occurrence."""
    own: dict[str, str] = {}
    below: dict[str, str] = {}
    depth = 0
    for token in _TOKEN.finditer(text):
        match token[0][0]:
            case "{" | "[":
                depth += 1
            case "}" | "]":
                depth -= 1
                if depth <= 0:
                    break
            case _:
                if token[1] in _NAMES and (found := _VALUE.match(text, token.end())) is not None:
                    value = _plain(found[1]) if found[1] is not None else found[2]
                    if value and value != "null":
                        (own if depth == 1 else below).setdefault(token[1], value[:_LONGEST_VALUE])
    return own, below


def _plain(escaped: str) -> str:
    try:
        return text_of(json.loads(f'"{escaped}"', strict=False)) or ""
    except ValueError:
        return escaped

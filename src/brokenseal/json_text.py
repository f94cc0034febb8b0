"""One JSON text to one value, or the reason why not.

The fast parser is strict. What it refuses although people can read it (numbers such as NaN, lone surrogates,
raw control characters inside strings) goes to the standard library. Nesting is limited, because every later
step walks the value.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from brokenseal.errors import RecordRejected

DEPTH_LIMIT: Final = 200
TOO_DEEP: Final = f"JSON nested at most {DEPTH_LIMIT} levels deep"

_fast = msgspec.json.Decoder().decode
# Raw control characters inside strings are no JSON, and every consumer of such exports reads them all the same.
_lenient = json.JSONDecoder(strict=False)
_strict = json.JSONDecoder()
scan_value = _lenient.raw_decode
"""From (text, position) to (value, position behind it); raises ValueError or RecursionError."""


def parse(text: str | bytes) -> Any:
    r"""The value that a JSON text stands for; of equal keys in one object the last counts.

    Lone surrogates (`"\ud800"`) become U+FFFD, because no later step can store them.

    Raises:
        RecordRejected: reason `not_json`, `not_text` (bytes that are no UTF-8) or `too_deep`.
    """
    try:
        value = _fast(text)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError:  # msgspec's own errors, and undecodable bytes
        value = _parse_lenient(text)
    if is_too_deep(text, value):
        raise _too_deep()
    return value


def first_fault(text: str, position: int) -> int | None:
    """Where the value at `position` stops being strict JSON, or None where a string in it never ends."""
    try:
        return _strict.raw_decode(text, position)[1]
    except json.JSONDecodeError as error:
        return None if error.msg.startswith("Unterminated string") else error.pos
    except (ValueError, RecursionError):  # a number of thousands of digits; nesting
        return position


def _too_deep() -> RecordRejected:
    return RecordRejected(column="record", reason="too_deep", expected=TOO_DEEP)


def _parse_lenient(text: str | bytes) -> Any:
    try:
        characters = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise RecordRejected(column="record", reason="not_text", expected="text in UTF-8") from error
    try:
        value = _lenient.decode(characters)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise RecordRejected(column="record", reason="not_json", expected="one JSON value") from error
    if is_too_deep(characters, value):
        raise _too_deep()
    return well_formed(characters, value)


def is_too_deep(text: str | bytes, value: object) -> bool:
    """Whether the value is nested deeper than `DEPTH_LIMIT`; most texts have too few brackets for that."""
    if isinstance(text, str):
        if text.count("{") + text.count("[") <= DEPTH_LIMIT:
            return False
    elif text.count(b"{") + text.count(b"[") <= DEPTH_LIMIT:
        return False
    level: list[Any] = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def well_formed(text: str, value: Any) -> Any:
    r"""The value with lone surrogates replaced; `text` is where it came from, and without `\ud` there are none."""
    if "\\ud" not in text and "\\uD" not in text:
        return value
    return _without_lone_surrogates(value)


def _without_lone_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    return value

"""JSON read strictly: unique member names, finite numbers, a limited depth, text that can be stored.

Two parsers that read one text differently are how a token is shown to one and believed by another: RFC 8259
leaves it open which of two equal members counts, and Python's own parser takes `NaN`.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

DEPTH_LIMIT: Final = 32


class NotStrict(ValueError):
    """The text is no strict JSON.

    Attributes:
        code: Stable word: `not_utf8`, `not_json`, `duplicate_member`, `too_deep` or `lone_surrogate`.
        detail: Member or place that it is about.
        value: What a lenient parser would make of the text; None where it is no JSON at all.
    """

    def __init__(self, code: str, *, detail: str, value: Any = None) -> None:
        self.code = code
        self.detail = detail
        self.value = value
        super().__init__(f"{code}: {detail}")


class _Duplicate(ValueError):
    """Two members of one object have the same name."""


def decode(raw: bytes) -> Any:
    """The value of a strict JSON text in UTF-8.

    Raises:
        NotStrict: Anything else; `value` holds what could be read all the same.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrict("not_utf8", detail=str(error)) from error
    try:
        value = _strict.decode(text)
    except _Duplicate as error:
        raise NotStrict("duplicate_member", detail=str(error), value=_leniently(text)) from error
    except RecursionError as error:
        raise NotStrict("too_deep", detail=str(DEPTH_LIMIT)) from error
    except ValueError as error:
        raise NotStrict("not_json", detail=_message(error)) from error
    if text.count("{") + text.count("[") > DEPTH_LIMIT and _depth(value) > DEPTH_LIMIT:
        raise NotStrict("too_deep", detail=str(DEPTH_LIMIT))
    # Only an escape can bring in half a surrogate pair, because the text itself was UTF-8.
    if "\\u" in text and (whole := _storable(value)) != value:
        raise NotStrict("lone_surrogate", detail="\\ud800-\\udfff", value=whole)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Duplicate(next(name for name in names if names.count(name) > 1))
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = f"{text[:20]} is too large a number"
        raise ValueError(msg)
    return number


def _no_number(text: str) -> Any:
    msg = f"{text} is no JSON number"
    raise ValueError(msg)


_strict = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
_lenient = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def _leniently(text: str) -> Any:
    """What a parser that does not look for equal names reads: the last of them counts."""
    try:
        value = _lenient.decode(text)
    except (ValueError, RecursionError):
        return None
    return None if _depth(value) > DEPTH_LIMIT else _storable(value)


def _message(error: ValueError) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _depth(value: Any) -> int:
    """How deep the value is nested, walked without recursion; stops above the limit."""
    waiting = [(value, 0)]
    deepest = 0
    while waiting and deepest <= DEPTH_LIMIT:
        node, depth = waiting.pop()
        if isinstance(node, dict | list):
            deepest = max(deepest, depth + 1)
            waiting.extend((inner, depth + 1) for inner in (node.values() if isinstance(node, dict) else node))
    return deepest


def _storable(value: Any) -> Any:
    """The value with lone surrogates replaced: they can be neither written as UTF-8 nor compared with anything."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value

"""Whether a condition can be true at all of records that lack some fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionValueExpression,
)
from sigma.types import SigmaExists, SigmaFieldReference, SigmaNull, SigmaString

if TYPE_CHECKING:
    from collections.abc import Collection

_FILL_IN: Final = re.compile(
    r"^<[^<>]* [^<>]*>$|^\s*insert .*(id|name|here|multiple)|^UPN$|^HomeTenantID$|^\$Target[A-Z]\w+$", re.IGNORECASE
)


def outcome(condition: Any, absent: Collection[str]) -> bool | None:
    """What the condition says of every record without the absent fields; None where that depends on the record."""
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _leaf(condition, absent)
    if isinstance(condition, ConditionValueExpression):
        return None
    found = [outcome(each, absent) for each in condition.args]
    if isinstance(condition, ConditionNOT):
        return None if found[0] is None else not found[0]
    decides = not isinstance(condition, ConditionAND)
    if decides in found:
        return decides
    return None if None in found else not decides


def left_to_fill_in(value: Any) -> str | None:
    """The text of a value that its author left for the reader to fill in, such as `<your countries>`."""
    if not isinstance(value, SigmaString):
        return None
    text = "".join(part for part in value.s if isinstance(part, str))
    return text if _FILL_IN.search(text) else None


def fill_ins(condition: Any) -> tuple[str, ...]:
    """Values of a condition that are left to be filled in."""
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        text = left_to_fill_in(condition.value)
        return (text,) if text is not None else ()
    if isinstance(condition, ConditionValueExpression):
        return ()
    return tuple(dict.fromkeys(text for each in condition.args for text in fill_ins(each)))


def _leaf(condition: ConditionFieldEqualsValueExpression, absent: Collection[str]) -> bool | None:
    value = condition.value
    if isinstance(value, SigmaFieldReference) and value.field in absent:
        return False
    if left_to_fill_in(value) is not None:
        return False
    if condition.field not in absent:
        return None
    if isinstance(value, SigmaNull):
        return True
    return not bool(value) if isinstance(value, SigmaExists) else False

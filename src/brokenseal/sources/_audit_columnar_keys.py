"""Keys of lookups on the raw rows of the audit log, and what they hold as the plain path reads it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from brokenseal import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import ibis.expr.types as ir

ANY_RECORD: Mapping[str, str] = {"Id": "-", "Operation": "-", "CreationTime": "2000-01-01T00:00:00"}
"""What an audit record needs to be one; nothing that a lookup derives depends on it."""

PLAIN = {"plain": "boolean"}
"""Column of a lookup: whether all of its keys can be read as columns."""

# Text that may stand for a nested value, or for one that an export lost.
_NESTED = ("{", "[", "@{", "System.Object[]", "System.Collections.")


def is_plain(values: Iterable[str | None]) -> bool:
    """Whether none of the values can stand for a nested one."""
    return not any(value is not None and value.startswith(_NESTED) for value in values)


def pairs(values: Mapping[str, str | None]) -> list[dict[str, str | None]]:
    """Named values as the audit log lists them."""
    return [{"Name": name, "Value": value} for name, value in values.items()]


def columns(*names: str) -> dict[str, Callable[[ir.Table], ir.StringValue]]:
    """Fields of the record, each a key of its own name."""
    return {name: partial(_column, name=name) for name in names}


def _column(raw: ir.Table, *, name: str) -> ir.StringValue:
    return raw[name]


def inner(raw: ir.Table, *, outer: str, name: str) -> ir.StringValue:
    """A field of an object in the record."""
    return raw[outer][name]


def named(raw: ir.Table, *, column: str, name: str) -> ir.StringValue:
    """The value of the first pair of that name."""
    return raw[column].filter(lambda pair: pair.Name == name)[0].Value


def types(names: Iterable[str], table: schema.Table = schema.EVENT) -> dict[str, str]:
    """Names and types of some columns of a table."""
    wanted = frozenset(names)
    return {each.name: each.dtype for each in table.columns if each.name in wanted}

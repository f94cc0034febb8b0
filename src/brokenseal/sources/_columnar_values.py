"""What the columnar paths of the logs with folded names have in common: usual values, and everything else goes slow.

A path of these logs reads names in one spelling and values in their usual form. What depends on a few fields that
repeat is derived once per distinct combination by the plain path itself, from a record that has these fields alone.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from brokenseal import fields, schema
from brokenseal.model import Lookup
from brokenseal.sources import _folded_names as names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Record, Rows

GUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
A_GUID: Final = "11111111-1111-4111-8111-111111111111"
A_TIME: Final = "2000-01-01T00:00:00Z"
"""Id and time of a record that is made up to derive something that depends on neither."""

_NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
_UTC: Final = (
    r"^(1[7-9]|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,12})?(Z|\+00:00)?$"
)
_TO_MICROSECONDS: Final = len("2000-01-01T00:00:00.000000")
_SMALL_NUMBER: Final = r"^[0-9]{1,18}$"
# White space as `str.strip` knows it.
_BLANK: Final = r"[\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
_UNTRIMMED: Final = f"^{_BLANK}|{_BLANK}$"
# A whole number of a few digits is written in one way only; others are read as they are written, or as they are worth.
_ODD_NUMBER: Final = re.compile(r"(?![0-9]{1,15}$)[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = {"plain": "boolean"}


# ---------------------------------------------------------------- expressions


def is_guid(value: ir.StringValue) -> ir.BooleanValue:
    """Whether it is a GUID without braces and blanks, other than the all-zero one."""
    return value.re_search(GUID) & (value != _NO_GUID)


def is_nothing(value: ir.StringValue) -> ir.BooleanValue:
    """Whether the log does not say."""
    return value.isnull() | (value == "")


def filled(value: ir.StringValue) -> ir.StringValue:
    """The text, null where it is empty."""
    return value.nullif("")


def is_trimmed(value: ir.StringValue) -> ir.BooleanValue:
    """Whether a text is taken as it stands: no blanks around it, no nested value."""
    return value.isnull() | ~(value.startswith("{") | value.startswith("[") | value.re_search(_UNTRIMMED))


def is_small_number(value: ir.StringValue) -> ir.BooleanValue:
    """Whether `small_number` reads it as the plain path does."""
    return is_nothing(value) | value.re_search(_SMALL_NUMBER)


def small_number(value: ir.StringValue) -> ir.IntegerValue:
    """A whole number of a few digits."""
    return value.try_cast("int64")


def is_utc(value: ir.StringValue) -> ir.BooleanValue:
    """Whether `moment` reads it as the plain path does."""
    return value.re_search(_UTC) & moment(value).notnull()


def moment(value: ir.StringValue) -> ir.TimestampValue:
    """An ISO time in UTC, digits behind the microseconds cut off."""
    return value.left(_TO_MICROSECONDS).try_cast("timestamp('UTC', 6)")


# ---------------------------------------------------------------- derived per distinct combination


def lookup(
    name: str,
    keys: Mapping[str, Callable[[ir.Table], ir.StringValue]],
    rows_of: Callable[[Mapping[str, Any]], Rows],
    columns: Sequence[str],
    *,
    tables: Sequence[schema.Table],
    nested: Collection[str] = (),
    is_usual: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Lookup:
    """A lookup whose columns stand in the first row of one of the tables that `rows_of` gives for the keys.

    Args:
        name: Of the lookup.
        keys: As in `Lookup`; a key named in `nested` may hold a list or an object.
        rows_of: From the keys, nested ones decoded, to rows.
        columns: Which to take.
        tables: Where to look for each of them, in that order.
        nested: See `keys`.
        is_usual: Whether the keys, nested ones decoded, are such that `rows_of` can be asked.
    """
    kinds = {column.name: column.dtype for table in reversed(tables) for column in table.columns}
    places = {column: next(table.name for table in tables if column in table.names) for column in columns}
    return Lookup(
        name=name,
        keys=keys,
        derive=partial(_derive, rows_of=rows_of, places=places, nested=frozenset(nested), is_usual=is_usual),
        columns={column: kinds[column] for column in columns} | _PLAIN,
    )


def _derive(
    keys: Mapping[str, str | None],
    *,
    rows_of: Callable[[Mapping[str, Any]], Rows],
    places: Mapping[str, str],
    nested: frozenset[str],
    is_usual: Callable[[Mapping[str, Any]], bool] | None,
) -> Mapping[str, Any]:
    decoded = {name: fields.decode_json_text(value) if name in nested else value for name, value in keys.items()}
    if not all(is_plain(value) for name, value in keys.items() if name not in nested) or not (
        is_usual is None or is_usual(decoded)
    ):
        return dict.fromkeys(places) | {"plain": False}
    rows = rows_of(decoded)
    return {column: rows[table][0].get(column) for column, table in places.items()} | {"plain": True}


def is_plain(value: str | None) -> bool:
    """Whether a text is the scalar that the log has, and no nested value or number that could be written otherwise."""
    return not value or not (value[0] in "{[" or _ODD_NUMBER.fullmatch(value))


# ---------------------------------------------------------------- names


def form_lookup(
    keys: Mapping[str, Callable[[ir.Table], ir.StringValue]],
    *,
    outer: Collection[str],
    inner: Collection[str] = (),
    knows: Callable[[Record], bool],
) -> Lookup:
    """A lookup `form` with the single column `plain`: whether a record is of the form that a path reads.

    Args:
        keys: `outer_names`, where the record has `properties` `inner_names` too, and values that `knows` needs.
        outer: Names that may stand in the record, in the one spelling in which they may.
        inner: The same for what stands under `properties`.
        knows: Whether the source knows a record that has these values, and "-" for everything else.
    """
    derive = partial(_form, outer=frozenset(outer), inner=frozenset(inner), knows=knows)
    return Lookup(name="form", keys=keys, derive=derive, columns=dict(_PLAIN))


def _form(
    keys: Mapping[str, str | None], *, outer: frozenset[str], inner: frozenset[str], knows: Callable[[Record], bool]
) -> Mapping[str, Any]:
    values = {name: value for name, value in keys.items() if name not in {"outer_names", "inner_names"}}
    around, within = (_listed(keys.get(name)) for name in ("outer_names", "inner_names"))
    is_known = (
        is_spelled(around, outer)
        and is_spelled(within, inner)
        and ("properties" in around) == ("properties" in outer)
        and all(map(is_plain, values.values()))
        and knows({**dict.fromkeys(around, "-"), "properties": dict.fromkeys(within, "-"), **values})
    )
    return {"plain": is_known}


def _listed(names_text: str | None) -> list[str]:
    return [] if names_text is None else list(json.loads(names_text))


def is_spelled(found: Sequence[str], allowed: Collection[str]) -> bool:
    """Whether names are among those allowed, and none of them stands twice, in whatever spelling."""
    return set(found) <= set(allowed) and len({names.fold_name(name) for name in found}) == len(found)

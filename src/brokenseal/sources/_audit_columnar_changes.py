"""Changes by administrators as columns: the lookup that finds them, and their rows.

A record gives several changes, and each of them many settings, so that both are lists in the lookup, which are
unfolded when rows are written. What is found in a record is found by the builders of the plain path. Changes that
mailboxes record themselves go one by one; they are few, and say what they changed in fields of their own.

Source: as `_audit_cmdlets` and `_audit_directory`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from brokenseal import schema
from brokenseal.model import Lookup
from brokenseal.sources._audit_changes import add_change_rows
from brokenseal.sources._audit_cmdlets import CMDLETS
from brokenseal.sources._audit_columnar_keys import ANY_RECORD, PLAIN, columns, is_plain, named, pairs, types
from brokenseal.sources._audit_directory import DIRECTORY_OPERATIONS
from brokenseal.sources._audit_record import event_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Rows

CHANGES: Final = "changes"
"""Kind of a record whose changes are read as columns."""

ONE_BY_ONE: Final = frozenset(
    {"updateinboxrules", "addfolderpermissions", "modifyfolderpermissions", "removefolderpermissions"}
)
AS_COLUMNS: Final = (CMDLETS.keys() | DIRECTORY_OPERATIONS.keys()) - ONE_BY_ONE

# As exports write them, but for the case; an operation that is written otherwise goes one by one.
_WRITTEN: Final = sorted(
    {form + end for key in AS_COLUMNS for form in (key, key.replace(" - ", " – ")) for end in ("", ".")}
)

_SCALARS = ("Operation", "ObjectId", "UserId", "UserKey", "UserType", "OrganizationName")
_OWN = [name for name in schema.CONFIG_CHANGE.names if name not in schema.EVENT.names or name == "object_id"]
_SETTING = ("name", "name_key", "new_value", "old_value")

_entries = msgspec.json.Decoder(list[dict[str, str | bool | None]]).decode
_KIND = re.compile("[0-9]{1,9}")

# ---------------------------------------------------------------- derived per distinct combination


def _columns(keys: Mapping[str, str | None]) -> Mapping[str, Any]:
    try:
        audit = _record(keys)
    except ValueError:
        return {"found": None, "settings": None, "plain": False}
    event = event_row(audit)
    rows: Rows = {}
    add_change_rows(audit, event, rows)
    return {
        "found": [{name: change.get(name) for name in _OWN} for change in rows.get("config_changes", ())],
        "settings": [{name: setting[name] for name in _SETTING} for setting in rows.get("change_settings", ())],
        "plain": True,
    }


def _record(keys: Mapping[str, str | None]) -> dict[str, Any]:
    """The record, as far as changes depend on it.

    Raises:
        ValueError: something in it can only be told from the record itself.
    """
    scalars = {name: value for name, value in keys.items() if name in _SCALARS}
    if keys["Operation"] is None or not is_plain(scalars.values()):
        raise ValueError
    return {
        **ANY_RECORD,
        **scalars,
        "Parameters": _listed(keys["Parameters"]),
        "ModifiedProperties": _listed(keys["ModifiedProperties"]),
        "Target": _targets(keys["_targets"], int(keys["_target_count"] or 0)),
        "ExtendedProperties": pairs({"additionalDetails": keys["_details"]}),
    }


def _listed(text: str | None) -> str | list[dict[str, str | bool | None]] | None:
    """A list of objects with texts and flags, or a text that stands for no other thing.

    Raises:
        ValueError: anything else.
    """
    if text is None:
        return None
    if text.startswith("["):
        return _entries(text)
    if not is_plain((text.strip(),)) or text.lstrip().startswith('"'):
        raise ValueError
    return text


def _targets(text: str | None, count: int) -> list[dict[str, str]]:
    """The entries of `Target`, written one a line as type, tab and id.

    Raises:
        ValueError: there is something in one of them that looks like the end of another, or no type, or no id.
    """
    lines = text.split("\n") if text else []
    found = []
    for line in lines:
        kind, _, own = line.partition("\t")
        if not own or not is_plain((own,)) or not _KIND.fullmatch(kind):
            raise ValueError
        found.append({"ID": own, "Type": kind})
    if len(found) != count:
        raise ValueError
    return found


def _written_targets(raw: ir.Table) -> ir.StringValue:
    return raw.Target.map(lambda each: each.Type + "\t" + each.ID).join("\n")


def _target_count(raw: ir.Table) -> ir.StringValue:
    return raw.Target.length().cast("string")


def _is_change(raw: ir.Table) -> ir.BooleanValue:
    return raw.Operation.strip().lower().isin(_WRITTEN)


_KEYS: dict[str, Callable[[ir.Table], ir.StringValue]] = {
    **columns(*_SCALARS, "Parameters", "ModifiedProperties"),
    "_targets": _written_targets,
    "_target_count": _target_count,
    "_details": partial(named, column="ExtendedProperties", name="additionalDetails"),
}


def _list_of(table: schema.Table, names: list[str] | tuple[str, ...]) -> str:
    listed = types(names, table)
    return f"array<struct<{', '.join(f'{name}: {listed[name]}' for name in names)}>>"


LOOKUP = Lookup(
    name="change",
    keys=_KEYS,
    only=_is_change,
    derive=_columns,
    columns={
        "found": _list_of(schema.CONFIG_CHANGE, _OWN),
        "settings": _list_of(schema.CHANGE_SETTING, _SETTING),
        **PLAIN,
    },
)

# ---------------------------------------------------------------- rows


def are_clear(wide: ir.Table) -> ir.BooleanValue:
    """Whether a record's changes can be told from its columns; true for other records."""
    return (wide.what__kind != CHANGES) | wide.change__plain


def config_changes(rows: ir.Table, shared: Mapping[str, ir.Value]) -> ir.Table:
    """One row for each change of the records of kind `CHANGES`; `shared` are columns of theirs."""
    own = rows.select(
        **{name: value for name, value in shared.items() if name != "object_id"}, each=rows.change__found.unnest()
    )
    return own.select(*(name for name in own.columns if name != "each"), **{name: own.each[name] for name in _OWN})


def change_settings(rows: ir.Table, shared: Mapping[str, ir.Value]) -> ir.Table:
    """One row for each setting of the changes of the records of kind `CHANGES`; `shared` are columns of theirs."""
    own = rows.select(**shared, each=rows.change__settings.unnest())
    return own.select(*shared, **{name: own.each[name] for name in _SETTING})

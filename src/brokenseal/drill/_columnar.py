"""Declared columns of the drill, and how NumPy arrays become Arrow tables of them.

A `TEXT` column is dictionary-encoded: strings that repeat by the million are stored once and move as int32 codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

BOOL = "bool"
INT8 = "int8"
INT32 = "int32"
INT64 = "int64"
FLOAT = "float64"
TEXT = "text"
STRING = "string"
STRINGS = "strings"
TIME = "time"

REQUIRED: Final = object()
"""Default of a column that has none: whoever builds the table must give it."""

_KINDS = {
    BOOL: pa.bool_(),
    INT8: pa.int8(),
    INT32: pa.int32(),
    INT64: pa.int64(),
    FLOAT: pa.float64(),
    TEXT: pa.dictionary(pa.int32(), pa.string()),
    STRING: pa.string(),
    STRINGS: pa.list_(pa.string()),
    TIME: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: name (unit included), kind, meaning, and the value of rows that do not give it."""

    name: str
    dtype: str
    meaning: str
    default: object = REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def arrow_schema(self) -> pa.Schema:
        """The declared schema; `TEXT` is `dictionary<int32, string>`, `TIME` is `timestamp[us, UTC]`."""
        return pa.schema([pa.field(column.name, _KINDS[column.dtype]) for column in self.columns])


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A text column as codes into words; code -1 is null."""

    codes: npt.NDArray[Any]
    words: Sequence[str]

    def take(self, rows: npt.NDArray[Any]) -> Coded:
        """The same words, these rows (indices or a mask)."""
        return Coded(self.codes[rows], self.words)


def _text(value: object, rows: int) -> pa.Array:
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        return value if pa.types.is_dictionary(value.type) else value.dictionary_encode()
    if value is None:
        value = Coded(np.full(rows, -1, dtype=np.int32), ())
    elif isinstance(value, str):
        value = Coded(np.zeros(rows, dtype=np.int32), (value,))
    if isinstance(value, Coded):
        codes = np.ascontiguousarray(value.codes, dtype=np.int32)
        mask = codes < 0
        indices = pa.array(codes, mask=mask) if mask.any() else pa.array(codes)
        return pa.DictionaryArray.from_arrays(indices, pa.array(value.words, pa.string()))
    return pa.array(value, pa.string()).dictionary_encode()


def _column(column: Column, value: object, rows: int) -> pa.Array:
    if column.dtype == TEXT:
        return _text(value, rows)
    kind = _KINDS[column.dtype]
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pa.Array):
        return value if value.type == kind else value.cast(kind)
    if isinstance(value, np.ndarray):
        # Through lists for objects: Arrow would not take None among numbers otherwise.
        return pa.array(value.tolist(), kind) if value.dtype == object else pa.array(value).cast(kind)
    if isinstance(value, list):
        return pa.array(value, kind)
    return pa.array([value] * rows, kind) if column.dtype == STRINGS else pa.repeat(pa.scalar(value, kind), rows)


def build(table: Table, rows: int, values: Mapping[str, object]) -> pa.Table:
    """A table of the declared columns.

    Args:
        table: What to build.
        rows: Number of rows.
        values: Per column an array, an Arrow array, a list, a `Coded` or one value (a tuple too) for all rows.
            A column left out takes its declared default. In `TEXT` and `STRING` columns None is null; in `TIME`
            columns arrays are int64 microseconds since 1970, UTC.

    Raises:
        ValueError: A column is unknown, has another length, or is required and missing. That is a mistake in the
            calling layer, never in the user's input.
    """
    unknown = set(values) - set(table.names)
    if unknown:
        raise ValueError(f"{table.name} has no column {sorted(unknown)}")
    arrays = []
    for column in table.columns:
        value = values.get(column.name, column.default)
        if value is REQUIRED:
            raise ValueError(f"{table.name}.{column.name} is required")
        array = _column(column, value, rows)
        if len(array) != rows:
            raise ValueError(f"{table.name}.{column.name} has {len(array)} rows, expected {rows}")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema())


def empty(table: Table) -> pa.Table:
    """The table without rows."""
    return table.arrow_schema().empty_table()


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """The tables below each other, in one chunk, with one dictionary per text column."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A numeric, boolean or time column as a NumPy array (times as int64 microseconds). Nulls are not allowed."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    array: npt.NDArray[Any] = column.to_numpy()
    return array


def coded(table: pa.Table, name: str) -> Coded:
    """A text column as codes and words; null is code -1. The chunks must share one dictionary, as after `concat`."""
    column = table.column(name)
    array = column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all: an empty table
        return Coded(np.empty(0, dtype=np.int32), ())
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(codes, array.dictionary.to_pylist())


def words(table: pa.Table, name: str) -> npt.NDArray[np.object_]:
    """A text column as an object array of strings (None for null)."""
    column = coded(table, name)
    vocabulary = np.array([*column.words, None], dtype=object)
    chosen: npt.NDArray[np.object_] = vocabulary[column.codes]
    return chosen

"""Which lines the engine's typed reader would refuse, found without asking it line by line.

One line that does not fit refuses a file as a whole. What is found here is set aside, and the rest is read again as
columns; a line that is set aside without need goes one by one and gives the same rows, one that is missed refuses the
file once more, and is then searched for by halves (see `_ingest_columnar`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import ibis
import msgspec
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.datatypes as dt

    from brokenseal._ingest_segments import Segment
    from brokenseal._workbench import Workbench

_INT64: Final = 1 << 63
_FLOATS_BELOW: Final = 9.2e18
# The engine casts what is written as a number in any way; the usual ones are enough here.
_WHOLE: Final = (
    Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
    | Annotated[float, msgspec.Meta(gt=-_FLOATS_BELOW, lt=_FLOATS_BELOW)]
    | Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,18}$")]
    | bool
)


class Fit:
    """Tells lines that fit the declared columns from those that do not."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        """Take the types of the columns, as `Workbench.load_json` does."""
        self._decode = msgspec.json.Decoder(_object(ibis.schema(dict(columns)))).decode

    def unfit(self, bench: Workbench, segment: Segment) -> np.ndarray:
        """For each line of the segment's file in order, whether it does not fit."""
        found = np.zeros(segment.lines, bool)
        for index, text, ends in segment.blocks():
            starts = np.concatenate(([0], ends[:-1]))
            lines = pa.LargeStringArray.from_buffers(
                len(ends), pa.py_buffer(np.append(starts, ends[-1]).astype(np.int64)), pa.py_buffer(text)
            )
            found[index + bench.not_json(lines)] = True
            for line, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True), start=index):
                found[line] = found[line] or not self._fits(text[start:end])
        return found

    def _fits(self, line: bytes) -> bool:
        try:
            self._decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return True


def _object(columns: Mapping[str, dt.DataType]) -> Any:
    """An object whose members fit; what becomes text is any value and is passed over, like unknown members."""
    checked = [(name, kind) for name, kind in columns.items() if _is_checked(kind)]
    members = [(f"member_{number}", _value(kind) | None, None) for number, (_, kind) in enumerate(checked)]
    names = {f"member_{number}": name for number, (name, _) in enumerate(checked)}
    return msgspec.defstruct("Fitting", members, rename=names)


def _is_checked(kind: dt.DataType) -> bool:
    return bool(kind.is_struct() or kind.is_array() or kind.is_integer())


def _value(kind: dt.DataType) -> Any:
    if kind.is_struct():
        return _object(dict(kind.items()))
    if kind.is_array():
        return list[_value(kind.value_type) | None] if _is_checked(kind.value_type) else list[Any]  # type: ignore[misc]  # made for msgspec alone
    return _WHOLE

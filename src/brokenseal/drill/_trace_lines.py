"""The message trace as CSV: one recipient of one message per row, UTF-16 as the downloads are.

Source: Exchange PowerShell, Get-MessageTrace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _lines
from brokenseal.drill._lines import Pieces
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    from brokenseal.drill.roster import Roster

HEADER: Final = (
    '"Organization","MessageId","Received","SenderAddress","RecipientAddress","Subject","Status","ToIP","FromIP",'
    '"Size","MessageTraceId"'
)


def trace_lines(lines: pa.Table, roster: Roster) -> pa.Array:
    """TRACE_LINE rows as CSV rows without line ends, in the columns of `HEADER`."""
    rows = lines.num_rows
    distinct, codes = np.unique(numbers(lines, "size_bytes"), return_inverse=True)
    size = pa.array([f',"{one}"' for one in distinct.tolist()], pa.string())
    parts: list[_lines.Part] = [
        f'"{roster.organisation}"',
        _each(lines.column("internet_message_id").combine_chunks()),
        *_lines.moment(',"', numbers(lines, "at_us"), ending='Z"'),
        _cell(coded(lines, "sender")),
        _cell(coded(lines, "recipient")),
        _cell(coded(lines, "subject")),
        _cell(coded(lines, "status")),
        _cell(coded(lines, "to_address")),
        _cell(coded(lines, "from_address")),
        Pieces(size, codes.astype(np.int32)),
        _each(lines.column("trace_id").combine_chunks()),
    ]
    return _lines.render(parts, rows)


def _each(value: pa.Array) -> Pieces:
    written = pc.replace_substring(value.fill_null(""), '"', '""')
    return Pieces(pc.binary_join_element_wise(',"', written, '"', ""), np.arange(len(value), dtype=np.int32))


def _cell(value: Coded) -> Pieces:
    return _lines.coded_as(value, [f',"{word.replace(chr(34), chr(34) * 2)}"' for word in value.words], absent=',""')


def encode(lines: pa.Array) -> bytes:
    """Header and rows as UTF-16, little endian, with its byte order mark and Windows line ends."""
    text = "\r\n".join([HEADER, *lines.to_pylist(), ""])
    return b"\xff\xfe" + text.encode("utf-16-le")

"""One tenant and day on its way to the exports: its tables, the log lines they hold, and the product's ids of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill._directory_lines import RECORD_TYPE as DIRECTORY
from brokenseal.drill._directory_lines import directory_ids
from brokenseal.drill._login_lines import record_ids
from brokenseal.drill._sign_in_lines import CATEGORIES
from brokenseal.drill.delivery import Lines
from brokenseal.drill.roster import Roster, find
from brokenseal.drill.tables import numbers, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

CONTENT_TYPES: Final = {
    "ual_exchange": "Audit.Exchange",
    "ual_entra": "Audit.AzureActiveDirectory",
    "ual_general": "Audit.General",
}
"""Content type of the Management Activity API, by stream."""

_AUDIT_STREAMS: Final = {"Exchange": "ual_exchange", "AzureActiveDirectory": "ual_entra"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Day:
    """All tables of one tenant and day that the exports need; sorted by their numbers."""

    tenant_no: int
    day: int
    starts_us: int
    intents: pa.Table
    changes: pa.Table
    tokens: pa.Table
    sign_ins: pa.Table
    folders: pa.Table
    messages: pa.Table
    trace: pa.Table
    records: pa.Table
    items: pa.Table
    settings: pa.Table
    graph: pa.Table
    fates: pa.Table


# ---------------------------------------------------------------- which lines there are


def lines_of(day: Day) -> list[Lines]:
    """Every line that the day's logs hold, by stream."""
    found = [*_audit(day), *_directory(day)]
    category = words(day.sign_ins, "category")
    found.extend(
        _lines_of(name, "sign_in_lines", day.sign_ins, "line_no", np.flatnonzero(category == name))
        for name in CATEGORIES
    )
    found.append(_lines_of("graph_activity", "graph_lines", day.graph, "line_no", np.arange(day.graph.num_rows)))
    found.append(_lines_of("message_trace", "trace_lines", day.trace, "line_no", np.arange(day.trace.num_rows)))
    return found


def _audit(day: Day) -> Iterator[Lines]:
    workload = words(day.records, "workload")
    stream = np.array([_AUDIT_STREAMS.get(word, "ual_general") for word in workload], dtype=object)
    for name in CONTENT_TYPES:
        yield _lines_of(name, "audit_records", day.records, "record_no", np.flatnonzero(stream == name))
    category = words(day.sign_ins, "category")
    for name, own in (("ual_entra", "audit_log"), ("ual_exchange", "owa_auth")):
        yield _lines_of(name, "sign_in_lines", day.sign_ins, "line_no", np.flatnonzero(category == own))


def _directory(day: Day) -> Iterator[Lines]:
    rows = np.flatnonzero(numbers(day.records, "record_type") == DIRECTORY)
    yield _lines_of("directory_audit", "audit_records", day.records, "record_no", rows)


def _lines_of(stream: str, table_name: str, table: pa.Table, number: str, rows: npt.NDArray[np.int64]) -> Lines:
    mailbox = numbers(table, "mailbox_no") if "mailbox_no" in table.column_names else np.full(table.num_rows, -1)
    return Lines(
        stream=stream,
        table=table_name,
        row_no=numbers(table, number)[rows],
        at_us=numbers(table, "at_us")[rows],
        mailbox_no=mailbox[rows].astype(np.int32),
        truth=table.take(pa.array(rows)),
    )


# ---------------------------------------------------------------- identifiers of the product


def event_ids(day: Day, delivered: pa.Table, roster: Roster) -> pa.Array:
    """`event_id` of each row of DELIVERED, as the product will read it from the exports."""
    table, stream = words(delivered, "table"), words(delivered, "stream")
    row_no = numbers(delivered, "row_no")
    ids = np.empty(delivered.num_rows, dtype=object)
    is_directory = stream == "directory_audit"
    is_login = (table == "sign_in_lines") & np.isin(stream, list(CONTENT_TYPES))
    trace = pc.binary_join_element_wise(day.trace.column("trace_id"), _folded(day.trace, "recipient"), ":")
    sources = (
        ((table == "audit_records") & ~is_directory, day.records, "record_no", "", day.records.column("record_id")),
        (is_directory, day.records, "record_no", "diraudit:", directory_ids(day.records, roster.key)),
        (is_login, day.sign_ins, "line_no", "", record_ids(day.sign_ins, roster.key)),
        ((table == "sign_in_lines") & ~is_login, day.sign_ins, "line_no", "signin:", day.sign_ins.column("request_id")),
        (table == "graph_lines", day.graph, "line_no", "graph:", day.graph.column("request_id")),
        (table == "trace_lines", day.trace, "line_no", "trace:", trace),
    )
    for mask, source, number, prefix, column in sources:
        if mask.any():
            rows = find(source, number, row_no[mask])
            taken = column.take(pa.array(rows))
            ids[mask] = pc.binary_join_element_wise(prefix, pc.utf8_lower(taken), "").to_pylist()
    return pa.array(ids, pa.string())


def _folded(table: pa.Table, column: str) -> pa.Array:
    return pc.utf8_lower(table.column(column).cast(pa.string()).combine_chunks())

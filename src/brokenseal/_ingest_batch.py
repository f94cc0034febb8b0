"""One batch in the making: counts per input, normalised rows, quarantine, Parquet parts.

A batch collects the rows of its inputs, keeps the first record of each event id, and writes the rest to
Parquet parts in a scratch folder. Nothing of it is visible before `Store.commit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from brokenseal import schema
from brokenseal._ingest_seen import key_text
from brokenseal.input_alarms import AlarmTally
from brokenseal.store import INPUT_NO, stored_schema

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from brokenseal._ingest_seen import SeenIds
    from brokenseal._workbench import Workbench
    from brokenseal.model import Rows

_TABLES = {table.name: table for table in (*schema.RECORD_TABLES, schema.QUARANTINE)}
_FLUSH_RECORDS = 8_192
_FLUSH_ROWS = 65_536
_RAW_CHARACTERS = 64 * 1024
_VALUE_CHARACTERS = 256


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one input while it is read.

    Attributes:
        input_no: Its row in the ledger (`seq`).
        shapes: Shapes found in it.
        known: Records that a source knows, readable or not.
        first_at, last_at: Event times over all records that could be read, copies too.
    """

    input_no: int
    records: int = 0
    kept: int = 0
    duplicates: int = 0
    rejected: int = 0
    ignored: int = 0
    known: int = 0
    shapes: set[str] = field(default_factory=set)
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    alarms: AlarmTally = field(default_factory=AlarmTally)

    def know_shape(self, shape: str | None, records: int = 1) -> None:
        """Count records that a source knows, of a shape (None where too little of the record is left to tell)."""
        self.known += records
        if shape is not None:
            self.shapes.add(shape)

    def saw(self, first: dt.datetime | None, last: dt.datetime | None) -> None:
        """Widen the span of event times."""
        if first is not None and (self.first_at is None or first < self.first_at):
            self.first_at = first
        if last is not None and (self.last_at is None or last > self.last_at):
            self.last_at = last


@dataclass(frozen=True, slots=True)
class _Waiting:
    tally: Tally
    record_no: int
    rows: Rows


class BatchWriter:
    """Collects rows and writes Parquet parts.

    Attributes:
        parts: Finished files by table name.
    """

    def __init__(self, bench: Workbench, folder: Path, seen: SeenIds) -> None:
        """Write below `folder`, and settle copies with the ids seen."""
        self.bench = bench
        self.seen = seen
        self.folder = folder
        self.parts: dict[str, list[Path]] = {}
        self._waiting: list[_Waiting] = []
        self._waiting_rows = 0
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._quarantine: list[dict[str, Any]] = []
        self._numbered = 0

    # ------------------------------------------------------------ records

    def add(self, tally: Tally, record_no: int, rows: Rows) -> None:
        """Add one normalised record; whether it is kept or a copy is settled at the next flush."""
        moment = rows["events"][0].get("occurred_at")
        tally.saw(moment, moment)
        self._waiting.append(_Waiting(tally, record_no, rows))
        self._waiting_rows += sum(map(len, rows.values()))
        if len(self._waiting) >= _FLUSH_RECORDS or self._waiting_rows >= _FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Settle which of the waiting records are new, and write those."""
        if not self._waiting:
            return
        texts = pa.array([key_text(each.rows["events"][0]["event_id"]) for each in self._waiting], pa.string())
        fresh = set(self.seen.claim(texts, np.arange(len(texts))).tolist())
        self.write_new([(each.tally, each.record_no, each.rows) for each in self._waiting], fresh)
        self._waiting.clear()
        self._waiting_rows = 0

    def write_new(self, records: list[tuple[Tally, int, Rows]], fresh: set[int]) -> None:
        """Write those of the records whose position is in `fresh`, and count both kinds."""
        content: dict[str, list[dict[str, Any]]] = {}
        for position, (tally, record_no, rows) in enumerate(records):
            if position not in fresh:
                tally.duplicates += 1
                continue
            tally.kept += 1
            event = rows["events"][0]
            event[INPUT_NO] = tally.input_no
            event["record_no"] = record_no
            for name, some in rows.items():
                content.setdefault(name, []).extend(some)
        for name, some in content.items():
            self._write(name, some)

    def add_part(self, table: str, path: Path) -> None:
        """Take over a Parquet file written elsewhere in the folder."""
        self.parts.setdefault(table, []).append(path)

    def new_path(self, table: str) -> Path:
        """Path for the next part of a table."""
        self._numbered += 1
        return self.folder / f"{table}-{self._numbered:05}.parquet"

    # ------------------------------------------------------------ quarantine

    def quarantine(self, rows: list[dict[str, Any]]) -> None:
        """Add rows of `schema.QUARANTINE`."""
        self._quarantine += rows
        if len(self._quarantine) >= _FLUSH_RECORDS:
            self._write_quarantine()

    def spill_quarantine(self, rows: list[dict[str, Any]]) -> Path:
        """Write rows that may or may not go to quarantine to a file of their own."""
        path = self.new_path("quarantine")
        pq.write_table(arrow_rows("quarantine", rows), path, compression="snappy")
        return path

    def _write_quarantine(self) -> None:
        if self._quarantine:
            self._write("quarantine", self._quarantine)
            self._quarantine = []

    # ------------------------------------------------------------ files

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        table = arrow_rows(name, rows)
        writer = self._writers.get(name)
        if writer is None:
            path = self.new_path(name)
            writer = self._writers[name] = pq.ParquetWriter(path, table.schema, compression="snappy")
            self.add_part(name, path)
        writer.write_table(table)

    def close(self) -> dict[str, list[Path]]:
        """Write what is left, complete the files, and return them by table name."""
        self.flush()
        self._write_quarantine()
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        # By their numbers: segments that are written at the same time end in any order.
        return {name: sorted(paths) for name, paths in self.parts.items()}


def arrow_rows(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of a table as Arrow, in its stored columns; a column that is left out is null."""
    stored = stored_schema(_TABLES[name])
    return arrow_table([[row.get(item.name) for row in rows] for item in stored], stored)


def arrow_table(columns: list[Any], wanted: pa.Schema) -> pa.Table:
    """Columns of plain values as Arrow, in the order of the schema."""
    arrays = [pa.array(column, item.type) for column, item in zip(columns, wanted, strict=True)]
    return pa.Table.from_arrays(arrays, schema=wanted)


def quarantine_row(
    *, tally: Tally, record_no: int, text: str, reason: str, column: str, value: str | None, expected: str
) -> dict[str, Any]:
    """One row of `schema.QUARANTINE`, with what can be salvaged from the text."""
    from brokenseal.sources._salvage import salvage

    saved = salvage(text)
    return {
        INPUT_NO: tally.input_no,
        "record_no": record_no,
        "reason": reason,
        "column": column,
        "value": None if value is None else storable(value[:_VALUE_CHARACTERS]),
        "expected": expected,
        "raw_text": storable(text[:_RAW_CHARACTERS]),
        "salvaged_id": saved.id,
        "salvaged_operation": saved.operation,
        "salvaged_at": saved.at,
        "salvaged_actor": saved.actor,
    }


def storable(text: str) -> str:
    """Text without the code units that UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")

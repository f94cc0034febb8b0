"""Parquet in, Ibis tables out: the one module that knows the table format (Delta), and which engine reads it.

The folder of a store::

    store.json                     what this folder is, and the version of its form
    tables/<name>/                 one Delta table per table of `schema`, one partition per batch
    evidence/<sha256>.jsonl.zst    recorded text of one input, one record a line (see `evidence`)
    ledger-head.json               the last link of the ledger's chain
    tmp/                           what a running ingest has not committed; safe to lose
    lock                           held by the process that writes

A batch is visible only once the ledger names it: its files are put in place and committed to each Delta
table first, its ledger rows last, and `tables` reads the partitions of named batches alone. What a killed
process left behind is therefore never seen, and `discard_unfinished` takes it away.

In the files, `events` and `quarantine` name their input by its number in the ledger (`input_no`), because the
digest of a large input is known only when all of it is read; `tables` puts path and digest back.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import operator
import os
import shutil
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from brokenseal import schema
from brokenseal.engines import INPUT_NO
from brokenseal.engines.duck import REFUSED, DuckEngine
from brokenseal.errors import StoreBusy, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import ibis.expr.types as ir

    from brokenseal._workbench import Workbench
    from brokenseal.engines import Engine
    from brokenseal.settings import Settings

__all__ = ["FORMAT", "INPUT_NO", "REFUSED", "Store", "file_digest", "stored_schema", "write_atomically"]

FORMAT = 1

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

_MARK = "store.json"
_HEAD = "ledger-head.json"
_FOLDERS = ("tables", "evidence", "tmp")
_CHECKPOINT_EVERY = 10
"""Commits of a table after which its log is summed up. Each commit reads the log since: with the 100 of the library,
230 commits take 9.1 CPU seconds, with 10 they take 2.9."""
_DERIVED = {
    "events": {"input_sha256": "sha256"},
    "quarantine": {"input_sha256": "sha256", "path": "path"},
}
"""Columns that are read from the ledger by `input_no`: table, column, column of the ledger."""


def stored_schema(table: schema.Table) -> pa.Schema:
    """The columns of a table as they stand in its Parquet files."""
    derived = _DERIVED.get(table.name, {})
    fields = [item for item in table.arrow_schema() if item.name not in derived]
    return pa.schema([*fields, pa.field(INPUT_NO, pa.int64())] if derived else fields)


def _delta_schema(table: schema.Table) -> pa.Schema:
    stored = stored_schema(table)
    return stored if table is schema.LEDGER else stored.append(pa.field("batch_id", pa.string()))


class Store:
    """A store folder, and an engine that reads it. Make one with `Store.open` or `Store.create`."""

    def __init__(self, settings: Settings) -> None:
        """Connect the engine that the settings name to this folder.

        Raises:
            UsageError: the engine is not installed, or the cluster does not answer.
        """
        self.settings = settings
        self.root = settings.store_dir.resolve()
        self._engine: Engine = (
            _spark(self.root, settings) if settings.engine == "spark" else DuckEngine(self.root, settings)
        )
        self._lock: Any = None

    # ------------------------------------------------------------ life

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Open a store for reading.

        Raises:
            StoreError: there is none, or its form is newer than this version understands.
        """
        mark = settings.store_dir / _MARK
        try:
            found = json.loads(mark.read_text(encoding="utf-8"))
        except FileNotFoundError as err:
            raise StoreError(place=str(settings.store_dir), expected="the folder of a store; ingest makes one") from err
        except (OSError, ValueError) as err:
            raise StoreError(place=str(mark), value=err, expected="the JSON that ingest wrote") from err
        form = found.get("format") if isinstance(found, dict) else None
        if form != FORMAT:
            raise StoreError(place=str(mark), value=form, expected=f"store format {FORMAT}")
        return cls(settings)

    @classmethod
    def create(cls, settings: Settings) -> Store:
        """Open the store for writing, making it first where the folder is absent or empty.

        Its engine is DuckDB, whichever the settings name: batches are settled and committed in this process.

        Raises:
            StoreError: the folder holds something else, or cannot be written.
        """
        root = settings.store_dir
        settings = replace(settings, engine="duckdb")
        if (root / _MARK).exists():
            return cls.open(settings)
        ours = {*_FOLDERS, _HEAD, f"{_HEAD}.new", f"{_MARK}.new", "lock"}
        if root.exists() and (not root.is_dir() or any(entry.name not in ours for entry in root.iterdir())):
            raise StoreError(place=str(root), expected="an empty folder, or one that holds a store")
        try:
            for name in _FOLDERS:
                (root / name).mkdir(parents=True, exist_ok=True)
            for table in schema.TABLES:
                _create_table(root / "tables" / table.name, table)
            if not (root / _HEAD).exists():
                write_atomically(root / _HEAD, json.dumps({"seq": 0, "entry_hash": "0" * 64}) + "\n")
            write_atomically(root / _MARK, json.dumps({"product": "brokenseal", "format": FORMAT}) + "\n")
        except OSError as err:
            raise StoreError(place=str(root), value=err, expected="a folder that can be written") from err
        return cls(settings)

    def close(self) -> None:
        """Let go of the engine and of what it spilled."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ reading

    def ledger_rows(self) -> list[dict[str, Any]]:
        """All rows of the ledger by `seq`, with times as aware UTC."""
        files = sorted(path for path, _ in self._files("ledger"))
        rows = (row for file in files for row in _rows_of(pq.ParquetFile(file).read(), schema.LEDGER))
        return sorted(rows, key=operator.itemgetter("seq"))

    def tables(self) -> dict[str, ir.Table]:
        """Every table of `schema` by name: rows of committed batches, cast to the declared schema."""
        ledger = self.ledger_rows()
        committed = {row["batch_id"] for row in ledger}
        inputs = {column: [row[column] for row in ledger] for column in ("sha256", "path")}
        found: dict[str, ir.Table] = {}
        for table in schema.TABLES:
            files = sorted(
                path for path, batch in self._files(table.name) if table is schema.LEDGER or batch in committed
            )
            by_input = {name: inputs[source] for name, source in _DERIVED.get(table.name, {}).items()}
            found[table.name] = self._engine.table(table, files, by_input)
        return found

    def versions(self) -> dict[str, int]:
        """The Delta version of each table; equal sequences of ingests give equal versions."""
        return {table.name: int(self._delta(table.name).version()) for table in schema.TABLES}

    def run(self, expr: ir.Expr) -> pa.Table:
        """Carry out an expression on this store's tables."""
        return expr.to_pyarrow()

    def table_files(self) -> Iterator[tuple[str, str, Path]]:
        """Table, batch id and path of every file that the Delta logs name."""
        for table in schema.TABLES:
            for path, batch in sorted(self._files(table.name)):
                yield table.name, batch, path

    def _delta(self, name: str) -> deltalake.DeltaTable:
        try:
            return deltalake.DeltaTable(self.root / "tables" / name)
        except deltalake.exceptions.DeltaError as err:
            raise StoreError(place=f"tables/{name}", value=err, expected="a Delta table") from err

    def _files(self, name: str) -> list[tuple[Path, str]]:
        actions = _add_actions(self._delta(name))
        folder = self.root / "tables" / name
        return [(folder / action["path"], action.get("partition.batch_id") or "") for action in actions]

    # ------------------------------------------------------------ writing

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock that one writer at a time can have; the system lets go of it when the process dies.

        Raises:
            StoreBusy: another process holds it.
        """
        stream = (self.root / "lock").open("a+", encoding="ascii")
        try:
            if not _try_lock(stream.fileno()):
                stream.seek(0)
                raise StoreBusy(
                    place=str(self.root), value=stream.read(64).strip(), expected="no other process that writes to it"
                )
            stream.truncate(0)
            stream.write(f"process {os.getpid()}\n")
            stream.flush()
            yield
        finally:
            stream.close()

    def discard_unfinished(self) -> None:
        """Take away all that the ledger does not name: partial batches, evidence, temporary files."""
        ledger = self.ledger_rows()
        committed = {row["batch_id"] for row in ledger}
        for table in (*schema.RECORD_TABLES, schema.QUARANTINE):
            folder = self.root / "tables" / table.name
            self._forget(table, committed)
            for entry in folder.glob("batch_id=*"):
                if entry.name.removeprefix("batch_id=") not in committed:
                    shutil.rmtree(entry)
        named = {path for path, _ in self._files("ledger")}
        for path in (self.root / "tables" / "ledger").glob("*.parquet"):
            if path not in named:
                path.unlink()
        kept = {row["sha256"] for row in ledger if row["evidence_sha256"]}
        for path in (self.root / "evidence").iterdir():
            if path.name.partition(".")[0] not in kept:
                path.unlink()
        for path in (self.root / "tmp").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _forget(self, table: schema.Table, committed: set[str]) -> None:
        """Commit to a Delta table that the files of batches which the ledger does not name are gone."""
        delta = self._delta(table.name)
        removals: list[AddAction | RemoveAction] = [
            RemoveAction(
                path=action["path"],
                size=action["size_bytes"],
                partition_values={"batch_id": action["partition.batch_id"]},
                data_change=True,
                deletion_timestamp=time.time_ns() // 1_000_000,
            )
            for action in _add_actions(delta)
            if action["partition.batch_id"] not in committed
        ]
        if removals:
            delta.create_write_transaction(
                removals, mode="append", schema=_delta_schema(table), partition_by=["batch_id"]
            )

    def scratch(self) -> Path:
        """A fresh folder for what a batch has not committed."""
        folder = self.root / "tmp" / f"batch-{time.monotonic_ns()}"
        folder.mkdir(parents=True)
        return folder

    def commit(
        self, batch_id: str, parts: Mapping[str, Sequence[Path]], ledger_rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Put a batch in place: its Parquet parts table by table, and last the ledger rows that make it visible.

        Args:
            batch_id: Hexadecimal digits.
            parts: Files in `scratch` by table name; they are moved, and their digests become part of their names.
            ledger_rows: Complete rows of `schema.LEDGER`.
        """
        for table in (*schema.RECORD_TABLES, schema.QUARANTINE):
            files = parts.get(table.name, ())
            if not files:
                continue
            folder = self.root / "tables" / table.name / f"batch_id={batch_id}"
            folder.mkdir()
            placed = []
            for number, file in enumerate(files):
                target = folder / f"part-{number:05}-{file_digest(file)}.parquet"
                file.replace(target)
                placed.append(target)
            self._append(table, placed, {"batch_id": batch_id})
        target = self.root / "tables" / "ledger" / f"{batch_id}.parquet"
        self.write_rows(schema.LEDGER, ledger_rows, target)
        self._append(schema.LEDGER, [target], {})
        self.write_head(ledger_rows[-1])

    def head(self) -> tuple[int, str] | None:
        """Position and hash of the last ledger row as noted beside the ledger; None where nothing is noted.

        Raises:
            StoreError: the note cannot be read.
        """
        path = self.root / _HEAD
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return int(found["seq"]), str(found["entry_hash"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as err:
            raise StoreError(place=str(path), value=err, expected="the JSON that ingest wrote") from err

    def write_head(self, last: Mapping[str, Any]) -> None:
        """Note the last ledger row, so that rows cut off the end are missed."""
        write_atomically(self.root / _HEAD, json.dumps({"seq": last["seq"], "entry_hash": last["entry_hash"]}) + "\n")

    def _append(self, table: schema.Table, files: Sequence[Path], partition: Mapping[str, str]) -> None:
        folder = self.root / "tables" / table.name
        now_ms = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [
            AddAction(
                path=file.relative_to(folder).as_posix(),
                size=file.stat().st_size,
                partition_values=partition,
                modification_time=now_ms,
                data_change=True,
                stats=json.dumps({"numRecords": pq.read_metadata(file).num_rows}),
            )
            for file in files
        ]
        self._delta(table.name).create_write_transaction(
            actions, mode="append", schema=_delta_schema(table), partition_by=list(partition)
        )

    def write_rows(self, table: schema.Table, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Write plain rows as one Parquet file of the table's stored columns."""
        pq.write_table(
            pa.Table.from_pylist([dict(row) for row in rows], schema=stored_schema(table)), path, compression="snappy"
        )

    def workbench(self) -> Workbench:
        """What ingest does with the engine before it commits; of a store that `create` opened."""
        assert isinstance(self._engine, DuckEngine)
        return self._engine.workbench()


def _spark(root: Path, settings: Settings) -> Engine:
    from brokenseal.engines.spark import SparkEngine

    return SparkEngine(root, settings)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file as a whole, so that no reader and no kill meets half of it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _add_actions(table: deltalake.DeltaTable) -> list[dict[str, Any]]:
    # By the stream, because `pyarrow.table` imports pandas to see whether it was given one of its frames.
    return list(pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all().to_pylist())


def _rows_of(content: pa.Table, table: schema.Table) -> Iterator[dict[str, Any]]:
    """Rows as dictionaries, times as aware UTC.

    Times go through their numbers: to make them, PyArrow imports pandas, a tenth of a run that finds nothing new.
    """
    content = content.cast(table.arrow_schema())
    columns = []
    for kind, values in zip(content.schema.types, content.columns, strict=True):
        if pa.types.is_timestamp(kind):
            numbers = values.cast(pa.int64()).to_pylist()
            columns.append([None if each is None else _EPOCH + each * _MICROSECOND for each in numbers])
        else:
            columns.append(values.to_pylist())
    for row in zip(*columns, strict=True):
        yield dict(zip(content.schema.names, row, strict=True))


def _create_table(folder: Path, table: schema.Table) -> None:
    deltalake.DeltaTable.create(
        folder,
        schema=_delta_schema(table),
        mode="ignore",
        name=table.name,
        description=table.row,
        partition_by=None if table is schema.LEDGER else ["batch_id"],
        configuration={"delta.checkpointInterval": str(_CHECKPOINT_EVERY)},
    )


def _try_lock(descriptor: int) -> bool:
    """Take the system's lock on an open file, without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

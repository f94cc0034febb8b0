"""Batches as units of work for other processes: what one needs to read a batch, and what it gives back.

    driver: batches ─ Unit ─▶ worker: read, write parts and recorded text to the store's `tmp` ─ UnitRead ─▶ driver:
    records that an earlier batch has are taken out, then commit, in the order of the batches

A worker knows nothing of other batches and commits nothing, so that it may die, or do the same twice.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from brokenseal import containers
from brokenseal._ingest_batch import BatchWriter
from brokenseal._ingest_lanes import Lanes
from brokenseal._ingest_reading import BatchReader, Known, Read
from brokenseal._ingest_seen import KEY_TEXT, SeenIds
from brokenseal._workbench import quoted_glob
from brokenseal.store import INPUT_NO, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokenseal._ingest_plan import Planned, WayKey
    from brokenseal._ingest_program import Program
    from brokenseal._workbench import Workbench
    from brokenseal.settings import Settings

_SINGLE: Final = frozenset({"plain", "gzip", "zstd"})
"""Containers that hold one thing, so that it can be found again by its path."""

_PROGRAMS: Final[dict[WayKey, Program]] = {}
"""Compiled once for each process; a worker gets one unit after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """Opens an input by its path, in any process that sees the same folders."""

    path: Path
    settings: Settings

    def __call__(self) -> Any:
        refused: list[Exception] = []
        for member in containers.members(self.path, self.settings, refused=refused.append):
            return member.open()
        raise refused[0] if refused else FileNotFoundError(str(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Some inputs of one batch, to be read anywhere.

    Attributes:
        folder: Where files go, within the store's `tmp`.
        inputs: Each with its number in the ledger.
        weights: Bytes of each way in the whole ingest.
    """

    settings: Settings
    folder: Path
    inputs: tuple[tuple[int, Planned], ...]
    weights: Mapping[WayKey, int]

    @staticmethod
    def of(
        inputs: Iterable[tuple[int, Planned]],
        weights: Mapping[WayKey, int],
        settings: Settings,
        root: Path,
        folder: Path,
    ) -> Unit:
        """Make a unit of inputs of which each `is_for_workers`."""
        # One core, because the cluster counts cores; no password, because packed inputs with one stay here.
        alone = replace(settings, store_dir=root, threads=1, engine="duckdb", master=None, password=None)
        moved = (
            (
                number,
                replace(
                    each,
                    member=replace(each.member, open=_Opening(path=Path(each.member.path).resolve(), settings=alone)),
                ),
            )
            for number, each in inputs
        )
        return Unit(settings=alone, folder=folder, inputs=tuple(moved), weights=dict(weights))


@dataclass(slots=True, kw_only=True)
class UnitRead:
    """What a worker read: its inputs in their order, and Parquet parts by table name."""

    reads: list[Read] = field(default_factory=list)
    parts: dict[str, list[Path]] = field(default_factory=dict)
    one_by_one: int = 0


def is_for_workers(planned: Planned) -> bool:
    """Whether another process can open it: a file by its own path, packed by itself or not at all."""
    return planned.member.container in _SINGLE and Path(planned.member.path).is_file()


def read_unit(unit: Unit) -> UnitRead:
    """Read a unit, in the process of a worker.

    Raises: what reading a batch raises.
    """
    # A folder for each attempt: one that was given up may still be writing.
    folder = unit.folder / uuid.uuid4().hex
    folder.mkdir(parents=True)
    with Store.open(unit.settings) as store:
        bench = store.workbench()
        with contextlib.closing(Lanes(bench, 1)) as lanes:
            reader = BatchReader(
                settings=unit.settings,
                lanes=lanes,
                weights=unit.weights,
                known=Known(),
                progress=lambda _path, _size, _records: None,
                programs=_PROGRAMS,
            )
            writer = BatchWriter(bench, folder, SeenIds())
            reads = reader.read(unit.inputs, writer)
            return UnitRead(reads=reads, parts=writer.close(), one_by_one=reader.one_by_one)


def read_on_workers(units: Sequence[Unit], settings: Settings) -> list[UnitRead]:
    """Read units on the cluster that the settings name; what they give, in their order.

    Raises:
        EngineFailed: a unit could not be read on any worker.
        UsageError: as `engines.spark` says.
    """
    from brokenseal.engines.spark_work import on_workers

    return on_workers(read_unit, units, settings) if units else []


def without_copies(
    bench: Workbench, seen: SeenIds, parts: Mapping[str, Sequence[Path]], unwanted: Sequence[int], folder: Path
) -> tuple[Counter[int], dict[str, list[Path]]]:
    """Take out of a unit's parts the records that the store has already, and remember the others.

    Args:
        bench: Reads and writes parts.
        seen: The event ids seen so far.
        parts: As the worker wrote them.
        unwanted: Numbers of inputs whose quarantine is not wanted.
        folder: Where parts are written anew that hold such a record.

    Returns: How many records of each input were taken out, and the parts that are left.
    """
    gone: Counter[int] = Counter()
    if parts.get("events"):
        rows = f"read_parquet([{', '.join(map(quoted_glob, parts['events']))}], hive_partitioning=false)"
        own = bench.fetch(f"SELECT event_id, {KEY_TEXT} AS key_text, {INPUT_NO} FROM {rows}").combine_chunks()  # noqa: S608 - names of our own
        is_copy = np.ones(len(own), bool)
        is_copy[seen.claim(own["key_text"].combine_chunks(), np.arange(len(own)))] = False
        copies = own.filter(pa.array(is_copy))
        gone.update(copies[INPUT_NO].to_pylist())
        bench.hold("copies", copies)
    left: dict[str, list[Path]] = {}
    for name, paths in parts.items():
        if name == "quarantine":
            out = f"{INPUT_NO} IN ({', '.join(map(str, unwanted))})" if unwanted else ""
        else:
            out = "event_id IN (SELECT event_id FROM copies)" if gone else ""
        kept = paths if not out else [path for old in paths for path in _without(bench, old, out, folder)]
        if kept:
            left[name] = list(kept)
    bench.drop("copies")
    return gone, left


def _without(bench: Workbench, path: Path, out: str, folder: Path) -> Sequence[Path]:
    """The part without the rows of a condition; nothing where none is left."""
    rows = f"FROM read_parquet({quoted_glob(path)}, hive_partitioning=false)"
    if not bench.fetch(f"SELECT count(*) AS n {rows} WHERE {out}")["n"][0].as_py():
        return (path,)
    fresh = folder / f"{uuid.uuid4().hex}.parquet"
    return (fresh,) if bench.write_parquet(f"SELECT * {rows} WHERE NOT ({out})", fresh) else ()

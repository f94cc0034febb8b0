"""Rows to Parquet: read every input once, keep each record once, lose none, and say so in the ledger.

    paths ─ plan ─▶ batches ─ read ─▶ rows, quarantine, evidence ─ commit ─▶ tables, then ledger

An input is known by the SHA-256 of its bytes: one that was ingested before adds nothing. Killed at any moment,
the next run finds what the ledger names, takes the rest away, and reads the inputs that are not named again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from brokenseal import _ingest_plan, ledger
from brokenseal._ingest_batch import BatchWriter
from brokenseal._ingest_lanes import Lanes
from brokenseal._ingest_reading import HELD, BatchReader, Known, Read, lanes_of, weights_of
from brokenseal._ingest_seen import KEY_TEXT, SeenIds
from brokenseal._ingest_units import Unit, UnitRead, is_for_workers, read_on_workers, read_unit, without_copies
from brokenseal._workbench import compile_query
from brokenseal.errors import ContainerRefused, NothingReadable
from brokenseal.evidence import check_ledger, evidence_path
from brokenseal.input_alarms import alarm_codes
from brokenseal.model import IngestProgress, InputFile
from brokenseal.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from brokenseal._ingest_plan import Planned
    from brokenseal.helper import Helper
    from brokenseal.model import Watcher
    from brokenseal.settings import Settings

_WAVE = 64
"""So many batches are under way on workers before the first of them is committed."""

_BESIDE_BYTES = 512 << 20
"""Exports up to so many bytes are read by two processes where there are two: most of their time is Python's. Larger
ones keep the cores busy from one process."""

_NO_LOG = frozenset({"not_an_audit_log", "empty", "unreadable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """What one ingest did.

    Totals are over the inputs of this run that were read: an `unchanged` input is in `files` with zero counts,
    because nothing of it was read again.

    Attributes:
        records: kept + duplicates + rejected + ignored.
        files: One per input or archive member: those that the ledger names already, then in the order of reading;
            refused archives last.
        one_by_one: Records that were read one by one, because their input is small or of a shape without a fast
            path, or because something in them is unusual.
    """

    records: int
    kept: int
    duplicates: int
    rejected: int
    ignored: int
    files: tuple[InputFile, ...]
    one_by_one: int = 0


def ingest(
    paths: Iterable[Path],
    settings: Settings,
    *,
    now: dt.datetime,
    watch: Watcher | None = None,
    helper: Helper | None = None,
) -> IngestResult:
    """Read files, folders and archives into the store, which is made where there is none.

    Args:
        paths: What to read. An input that the ledger names with the same bytes, as the last of its path, is recognised
            and adds no row to it; nor does one that still cannot be read, or still is no log, where nothing is new.
        settings: Store folder and limits.
        now: Time of the ingest, aware; it is written to the ledger.
        watch: Hears how far it is, after every block read.
        helper: Reads some of it, where that pays; the store is the same.
    Returns: The counts of this run.

    Raises:
        NothingReadable: no input held a record that any source knows; the ledger says so all the same.
        StoreBusy: another process writes to the store.
        StoreError: the folder is no store.
        EvidenceChanged: the ledger is not what was written, so nothing is added to it.
        InputError: a path does not exist.
    """
    with Store.create(settings) as store, store.writing():
        check_ledger(store)
        store.discard_unfinished()
        refused: list[ContainerRefused] = []
        rows = store.ledger_rows()
        known = Known.of(rows)
        planned = _ingest_plan.plan(paths, settings, refused=refused.append, is_named=known.is_named)
        named, left = known.parted(planned)
        begun = _Run(store, settings, now=now, watch=watch, planned=left, rows=rows, known=known)
        with contextlib.closing(begun) as run:
            run.pass_over(named)
            if helper is not None and sum(each.size_bytes or 0 for each in left) <= _BESIDE_BYTES:
                for first, second in _in_pairs(_ingest_plan.batches(left)):
                    if second:
                        run.take_both(first, second, helper)
                    else:
                        run.take_here(first)
            else:
                for batches, is_elsewhere in _shared_out(_ingest_plan.batches(left), settings):
                    if is_elsewhere:
                        run.take_elsewhere(batches)
                    else:
                        run.take_here(*batches)
            run.note_refused(refused)
            return run.result()


class _Errand(NamedTuple):
    """A batch that another process reads.

    Attributes:
        seq: Number of its first input in the ledger.
        skipped: Those of its inputs that are not read.
    """

    batch: Sequence[Planned]
    seq: int
    unit: Unit
    skipped: list[Read]


class _Run:
    """One ingest under way."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        now: dt.datetime,
        watch: Watcher | None,
        planned: Sequence[Planned],
        rows: Sequence[Mapping[str, Any]],
        known: Known,
    ) -> None:
        self._store = store
        self._now = now
        self._watch = watch
        self._bytes_done = 0
        self._bytes_total = sum(each.size_bytes or 0 for each in planned)
        self._last = rows[-1] if rows else None
        self._said = {row["path"]: row for row in rows}
        self._files: list[InputFile] = []
        self._bench = store.workbench()
        self._seen = SeenIds(self._committed)
        self._lanes = Lanes(self._bench, lanes_of(settings))
        self._reader = BatchReader(
            settings=settings,
            lanes=self._lanes,
            weights=weights_of(planned),
            known=known,
            progress=self._progress,
            programs={},
        )
        self._settings = settings

    def close(self) -> None:
        """End what works beside this thread."""
        self._lanes.close()

    def _committed(self) -> Iterator[pa.Array]:
        """Key texts of all event ids of the store."""
        events = compile_query(self._store.tables()["events"].select("event_id"))
        for block in self._bench.blocks(f"SELECT {KEY_TEXT} AS key_text FROM ({events})"):  # noqa: S608 - text of our own
            yield block["key_text"]

    def pass_over(self, planned: Sequence[Planned]) -> None:
        """Count inputs that the ledger names with these bytes as the last of this path: they add nothing to it."""
        for each in planned:
            row = self._row(path=each.member.path, sha256=each.sha256, size_bytes=each.size_bytes, outcome="unchanged")
            self._files.append(input_file(row))
            self._progress(each.member.path, each.size_bytes or 0, 0)

    # ------------------------------------------------------------ one batch

    def take_here(self, batch: Sequence[Planned]) -> None:
        """Read the inputs of a batch in this process, and commit it."""
        folder = self._store.scratch()
        writer = BatchWriter(self._bench, folder, self._seen)
        reads = self._reader.read(enumerate(batch, start=self._next_seq()), writer)
        self._keep(reads, writer.close())
        shutil.rmtree(folder, ignore_errors=True)

    def take_elsewhere(self, batches: Sequence[Sequence[Planned]]) -> None:
        """Read the inputs of some batches on workers, all at a time, and commit them one after the other."""
        folder = self._store.scratch()
        errands = []
        seq = self._next_seq()
        for batch in batches:
            errands.append(self._errand(batch, seq, folder))
            seq += len(batch)
        done = iter(read_on_workers([each.unit for each in errands if each.unit.inputs], self._settings))
        for each in errands:
            self._take_unit(each, next(done) if each.unit.inputs else UnitRead(), folder)
        shutil.rmtree(folder, ignore_errors=True)

    def take_both(self, first: Sequence[Planned], second: Sequence[Planned], helper: Helper) -> None:
        """Read one batch here and another one in another process, and commit them one after the other."""
        folder = self._store.scratch()
        errand = self._errand(second, self._next_seq() + len(first), folder)
        found = helper.do(read_unit, errand.unit) if errand.unit.inputs else UnitRead
        self.take_here(first)
        self._take_unit(errand, found(), folder)
        shutil.rmtree(folder, ignore_errors=True)

    def _errand(self, batch: Sequence[Planned], seq: int, folder: Path) -> _Errand:
        skipped = {no: self._reader.known.skipped(each, no) for no, each in enumerate(batch, start=seq)}
        left = [(no, each) for no, each in enumerate(batch, start=seq) if skipped[no] is None]
        unit = Unit.of(left, self._reader.weights, self._settings, self._store.root, folder)
        return _Errand(batch, seq, unit, [each for each in skipped.values() if each is not None])

    def _take_unit(self, errand: _Errand, found: UnitRead, folder: Path) -> None:
        """Settle what a worker read: inputs and records that came earlier are taken away again."""
        if errand.seq != self._next_seq():
            # A batch before it had nothing new to say, so that its numbers were not used: rare, and read again.
            self.take_here(errand.batch)
            return
        reads = [self._reader.settled(each) for each in found.reads]
        self._reader.one_by_one += found.one_by_one
        again = [each.tally.input_no for each in reads if each.outcome == "unchanged"]
        gone, parts = without_copies(self._bench, self._seen, found.parts, again, folder)
        for each in reads:
            if each.outcome == "ingested":
                each.tally.kept -= gone[each.tally.input_no]
                each.tally.duplicates += gone[each.tally.input_no]
        for each in (*reads, *errand.skipped):
            self._progress(each.planned.member.path, each.planned.size_bytes or 0, 0)
        self._keep(sorted((*reads, *errand.skipped), key=lambda each: each.tally.input_no), parts)

    def _keep(self, reads: Sequence[Read], parts: dict[str, list[Path]]) -> None:
        for each in reads:
            self._place_evidence(each)
        rows = [self._ledger_row(each) for each in reads]
        if any(each.outcome == "ingested" for each in reads):
            self._commit(parts, rows)
        else:
            self._note(rows)

    def _next_seq(self) -> int:
        return (self._last["seq"] if self._last else 0) + 1

    # ------------------------------------------------------------ what is written

    def _place_evidence(self, done: Read) -> None:
        if done.recorded is None:
            return
        if done.outcome == "ingested" and done.sha256:
            done.recorded.path.replace(evidence_path(self._store.root, done.sha256))
        else:
            done.recorded.path.unlink()

    def _ledger_row(self, done: Read) -> dict[str, Any]:
        tally, member = done.tally, done.planned.member
        alarms: tuple[str, ...] = ()
        if done.outcome == "ingested":
            alarms = alarm_codes(tally.alarms, records=tally.records, last_at=tally.last_at, now=self._now)
        if done.trouble:
            alarms = (*alarms, f"unreadable: {done.trouble}")
        return self._row(
            path=member.path,
            sha256=done.sha256,
            size_bytes=done.size_bytes,
            container=member.container,
            encoding=done.encoding,
            framing=done.framing,
            shape="+".join(sorted(tally.shapes)) or None,
            outcome=done.outcome,
            records=tally.records,
            kept=tally.kept,
            duplicates=tally.duplicates,
            rejected=tally.rejected,
            ignored=tally.ignored,
            first_at=tally.first_at,
            last_at=tally.last_at,
            alarms=list(alarms),
            evidence_sha256=done.recorded.sha256 if done.recorded and done.outcome == "ingested" else None,
        )

    def _row(self, **columns: Any) -> dict[str, Any]:
        from brokenseal import __version__

        nothing = dict.fromkeys(("records", "kept", "duplicates", "rejected", "ignored"), 0)
        return {**nothing, "alarms": [], **columns, "ingested_at": self._now, "tool_version": __version__}

    def note_refused(self, refused: Sequence[ContainerRefused]) -> None:
        """Name the archives that were not opened in the ledger."""
        if refused:
            rows = [
                self._row(path=each.place, outcome="unreadable", alarms=[f"unreadable: {each}"]) for each in refused
            ]
            self._note(rows)

    def _note(self, rows: list[dict[str, Any]]) -> None:
        """Add rows that nothing stored refers to, but for those that say what the last one of their path says."""
        said = [_says(self._said.get(row["path"], {}), row) for row in rows]
        fresh = [row for row, is_said in zip(rows, said, strict=True) if not is_said]
        if fresh:
            self._commit({}, fresh)
        self._files += [input_file(row) for row, is_said in zip(rows, said, strict=True) if is_said]

    def _commit(self, parts: dict[str, list[Path]], rows: list[dict[str, Any]]) -> None:
        named = json.dumps([self._next_seq(), *([row["path"], row.get("sha256")] for row in rows)])
        batch_id = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        sealed = ledger.seal([{**row, "batch_id": batch_id} for row in rows], after=self._last)
        self._store.commit(batch_id, parts, sealed)
        self._last = sealed[-1]
        self._files += [input_file(row) for row in sealed]

    # ------------------------------------------------------------ what is told

    def _progress(self, path: str, size: int, records: int) -> None:
        self._bytes_done += size
        if self._watch is not None:
            self._watch(
                IngestProgress(
                    path=path,
                    bytes_done=self._bytes_done,
                    bytes_total=max(self._bytes_total, self._bytes_done),
                    records=self._reader.records + records,
                )
            )

    def result(self) -> IngestResult:
        """The counts of this run."""
        files = tuple(self._files)
        if all(each.outcome in _NO_LOG for each in files):
            raise NothingReadable(
                place=", ".join(each.path for each in files[:3]) or "input",
                value=f"{len(files)} inputs without a record of any audit log",
                expected="exported audit logs",
                reasons=tuple((each.path, alarm) for each in files for alarm in each.alarms),
            )
        return IngestResult(
            records=sum(each.records for each in files),
            kept=sum(each.kept for each in files),
            duplicates=sum(each.duplicates for each in files),
            rejected=sum(each.rejected for each in files),
            ignored=sum(each.ignored for each in files),
            files=files,
            one_by_one=self._reader.one_by_one,
        )


def _in_pairs(
    batches: Iterable[tuple[Planned, ...]],
) -> Iterator[tuple[tuple[Planned, ...], tuple[Planned, ...]]]:
    """Batches in their order, one for this process and one for another; nothing where only this one can read it."""
    first: tuple[Planned, ...] | None = None
    for batch in batches:
        if first is None:
            first = batch
        elif all(is_for_workers(each) for each in batch):
            yield first, batch
            first = None
        else:
            yield first, ()
            first = batch
    if first is not None:
        yield first, ()


def _shared_out(
    batches: Iterable[tuple[Planned, ...]], settings: Settings
) -> Iterator[tuple[list[tuple[Planned, ...]], bool]]:
    """Batches in their order, one for this process or several for workers, and whether they are for workers."""
    if settings.engine != "spark":
        yield from (([batch], False) for batch in batches)
        return
    wave: list[tuple[Planned, ...]] = []
    for batch in batches:
        is_elsewhere = all(is_for_workers(each) for each in batch)
        if wave and (not is_elsewhere or len(wave) >= _WAVE):
            yield wave, len(wave) > 1
            wave = []
        if is_elsewhere:
            wave.append(batch)
        else:
            yield [batch], False
    if wave:
        # Who has one batch alone has no use for a cluster.
        yield wave, len(wave) > 1


def _says(earlier: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a row of the ledger says all that another one would, but for when and by which version."""
    if row["outcome"] == "unchanged":
        return earlier.get("outcome") in HELD and earlier.get("sha256") == row["sha256"]
    others = row.keys() - {"ingested_at", "tool_version"}
    return all(name in earlier and earlier[name] == row[name] for name in others)


def input_file(row: dict[str, Any]) -> InputFile:
    """A ledger row as reports show it."""
    return InputFile(
        path=row["path"],
        sha256=row.get("sha256") or "",
        size_bytes=row.get("size_bytes") or 0,
        shape=row.get("shape"),
        outcome=row["outcome"],
        records=row["records"],
        kept=row["kept"],
        duplicates=row["duplicates"],
        rejected=row["rejected"],
        ignored=row["ignored"],
        first_at=row.get("first_at"),
        last_at=row.get("last_at"),
        alarms=tuple(row["alarms"]),
    )

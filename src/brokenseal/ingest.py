"""Rows to Parquet: read every input once, keep each record once, lose none, and say so in the ledger.

    paths ─ plan ─▶ batches ─ read ─▶ rows, quarantine, evidence ─ commit ─▶ tables, then ledger

An input is known by the SHA-256 of its bytes: one that was ingested before adds nothing. Killed at any moment,
the next run finds what the ledger names, takes the rest away, and reads the inputs that are not named again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal import _ingest_plan, framing, ledger
from brokenseal._ingest_batch import BatchWriter, Tally
from brokenseal._ingest_plan import UNREADABLE, HashingReader, Planned, words_of
from brokenseal._ingest_records import RecordReader
from brokenseal.errors import ContainerRefused, NothingReadable
from brokenseal.evidence import EvidenceWriter, check_ledger, evidence_path
from brokenseal.input_alarms import alarm_codes
from brokenseal.model import IngestProgress, InputFile
from brokenseal.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from brokenseal._ingest_parts import Part
    from brokenseal._ingest_plan import Way
    from brokenseal._ingest_program import Program
    from brokenseal.model import Watcher
    from brokenseal.settings import Settings

FAST_BYTES = 4 << 20
"""Inputs of one way, read as columns where they have as many bytes together, and a fourth of it in their batch."""

_SHARES = 4
_NO_LOG = frozenset({"not_an_audit_log", "empty", "unreadable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """What one ingest did.

    Totals are over the inputs of this run that were read: an `unchanged` input is in `files` with zero counts,
    because nothing of it was read again.

    Attributes:
        records: kept + duplicates + rejected + ignored.
        files: One per input or archive member, in the order of reading; refused archives last.
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
    paths: Iterable[Path], settings: Settings, *, now: dt.datetime, watch: Watcher | None = None
) -> IngestResult:
    """Read files, folders and archives into the store, which is made where there is none.

    Args:
        paths: What to read.
        settings: Store folder and limits.
        now: Time of the ingest, aware; it is written to the ledger.
        watch: Hears how far it is, after every block read.
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
        planned = _ingest_plan.plan(paths, settings, refused=refused.append)
        run = _Run(store, settings, now=now, watch=watch, planned=planned)
        for batch in _ingest_plan.batches(planned):
            run.take_batch(batch)
        run.note_refused(refused)
        return run.result()


@dataclass(slots=True, kw_only=True)
class _Read:
    """One input after it was read."""

    planned: Planned
    tally: Tally
    outcome: str
    sha256: str | None = None
    size_bytes: int | None = None
    encoding: str | None = None
    framing: str | None = None
    evidence: EvidenceWriter | None = None
    trouble: str | None = None

    def note(self, reader: HashingReader, evidence: EvidenceWriter, *, is_truncated: bool) -> None:
        """Note how its reading ended."""
        self.trouble = reader.trouble
        self.evidence = evidence
        self.size_bytes = reader.size_bytes
        self.sha256 = reader.sha256
        self.tally.alarms.ends_early = is_truncated or reader.trouble is not None
        if self.tally.known:
            self.outcome = "ingested"
        elif not self.trouble:
            self.outcome = "not_an_audit_log" if self.tally.records else "empty"


class _Run:
    """One ingest under way."""

    def __init__(
        self, store: Store, settings: Settings, *, now: dt.datetime, watch: Watcher | None, planned: Sequence[Planned]
    ) -> None:
        self._store = store
        self._settings = settings
        self._now = now
        self._watch = watch
        self._bytes_done = 0
        self._bytes_total = sum(each.size_bytes or 0 for each in planned)
        self._records_done = 0
        rows = store.ledger_rows()
        self._last = rows[-1] if rows else None
        self._ingested = {row["sha256"]: row["size_bytes"] for row in rows if row["outcome"] == "ingested"}
        self._paths = {row["path"] for row in rows if row["outcome"] == "ingested"}
        self._sizes = {*self._ingested.values()}
        self._files: list[InputFile] = []
        self._one_by_one = 0
        self._bench = store.workbench()
        self._bench.know_seen(store.tables()["events"])
        self._programs: dict[tuple[object, ...], Program] = {}
        self._weights: Counter[tuple[object, ...]] = Counter()
        for each in planned:
            if each.way is not None:
                self._weights[each.way.key] += _weight(each)

    # ------------------------------------------------------------ one batch

    def take_batch(self, batch: Sequence[Planned]) -> None:
        """Read the inputs of a batch and commit it."""
        folder = self._store.scratch()
        writer = BatchWriter(self._bench, folder)
        reads = self._read_batch(batch, writer)
        parts = writer.close()
        if all(each.outcome != "ingested" for each in reads):
            parts = {}
        for each in reads:
            self._place_evidence(each)
        self._commit(parts, [self._ledger_row(each) for each in reads])
        shutil.rmtree(folder, ignore_errors=True)

    def _next_seq(self) -> int:
        return (self._last["seq"] if self._last else 0) + 1

    def _read_batch(self, batch: Sequence[Planned], writer: BatchWriter) -> list[_Read]:
        """Read inputs in their order; those that follow each other and go the same fast way are read together."""
        reads: dict[int, _Read] = {}
        group: list[tuple[int, Planned]] = []
        pending: set[str | int | None] = set()
        for seq, each in enumerate(batch, start=self._next_seq()):
            if group and (not _is_same_way(each, group[0][1]) or _likeness(each) in pending):
                reads |= self._read_group(group, writer)
                group, pending = [], set()
            skipped = self._skipped(each, seq)
            if skipped is not None:
                reads[seq] = skipped
            else:
                group.append((seq, each))
                pending.add(_likeness(each))
        if group:
            reads |= self._read_group(group, writer)
        return [reads[seq] for seq in sorted(reads)]

    def _skipped(self, planned: Planned, seq: int) -> _Read | None:
        """What is said of an input that is known already or cannot be read; None for one to read."""
        sha256 = planned.sha256 or self._digest_if_known(planned)
        done = _Read(planned=planned, tally=Tally(input_no=seq), outcome="unreadable", sha256=sha256)
        if sha256 in self._ingested:
            self._progress(planned.member.path, planned.size_bytes or 0)
            done.outcome, done.size_bytes = "unchanged", self._ingested[sha256]
            return done
        done.size_bytes, done.trouble = planned.size_bytes, planned.trouble
        return done if planned.trouble is not None else None

    def _digest_if_known(self, planned: Planned) -> str | None:
        """Hash an input before it is read, where its size or place says that it may be a known one."""
        is_like = planned.size_bytes in self._sizes or (
            planned.size_bytes is None and planned.member.path in self._paths
        )
        if not is_like or planned.trouble is not None:
            return None
        try:
            return _ingest_plan.digest_of(planned.member)
        except UNREADABLE:
            return None  # reading it will say what is wrong

    def _read_group(self, group: Sequence[tuple[int, Planned]], writer: BatchWriter) -> dict[int, _Read]:
        """Read inputs that go the same way."""
        way = group[0][1].way
        # Compiling the queries costs as much as reading some megabytes record by record; carrying them out, less.
        is_fast = way is not None and self._weights[way.key] >= FAST_BYTES
        if way is not None and is_fast and sum(_weight(each) for _, each in group) * _SHARES >= FAST_BYTES:
            found = self._read_fast(group, way, writer)
        else:
            found = [self._read_slow(each, Tally(input_no=seq), writer) for seq, each in group]
        return {each.tally.input_no: self._settled(each) for each in found}

    def _read_slow(self, planned: Planned, tally: Tally, writer: BatchWriter) -> _Read:
        """Read one input record by record."""
        done = _Read(planned=planned, tally=tally, outcome="unreadable", encoding=planned.encoding)
        try:
            stream = planned.member.open()
        except UNREADABLE as err:
            done.trouble = words_of(err)
            return done
        records = RecordReader(tally, writer)
        with EvidenceWriter(writer.folder / f"evidence-{tally.input_no}") as evidence, stream:
            reader = HashingReader(stream, watch=self._watching(planned.member.path, tally))
            framed = framing.frame(reader, self._settings)  # type: ignore[arg-type]  # only `read` is used
            records.read(framed, evidence)
            reader.finish()
            records.finish()
        done.framing = framed.framing
        done.note(reader, evidence, is_truncated=framed.is_truncated)
        self._one_by_one += tally.records
        return done

    def _read_fast(self, group: Sequence[tuple[int, Planned]], way: Way, writer: BatchWriter) -> list[_Read]:
        """Read inputs together as columns."""
        from brokenseal._ingest_columnar import ColumnarReader
        from brokenseal._ingest_parts import Part
        from brokenseal._ingest_program import Program

        parts = []
        for seq, each in group:
            tally = Tally(input_no=seq)
            watch = self._watching(each.member.path, tally)
            parts.append(Part(planned=each, tally=tally, records=RecordReader(tally, writer), watch=watch))
        if way.key not in self._programs:
            self._programs[way.key] = Program(way)
        ColumnarReader(self._programs[way.key], writer, self._settings).read(parts)
        return [self._read_part(each) for each in parts]

    def _read_part(self, part: Part) -> _Read:
        part.records.finish()
        done = _Read(
            planned=part.planned,
            tally=part.tally,
            outcome="unreadable",
            encoding=part.planned.encoding,
            framing=part.framing,
            trouble=part.trouble,
        )
        if part.reader is not None and part.evidence is not None:
            done.note(part.reader, part.evidence, is_truncated=part.is_truncated)
        self._one_by_one += part.one_by_one
        return done

    def _settled(self, done: _Read) -> _Read:
        """Remember what was read."""
        tally = done.tally
        self._records_done += tally.records
        if done.sha256 in self._ingested:
            # A large packed input, whose digest was known only at its end: all its records are copies.
            return _Read(
                planned=done.planned,
                tally=Tally(input_no=tally.input_no),
                outcome="unchanged",
                sha256=done.sha256,
                size_bytes=done.size_bytes,
            )
        if done.outcome == "ingested" and done.sha256 is not None:
            self._ingested[done.sha256] = done.size_bytes
            self._sizes.add(done.size_bytes)
            self._paths.add(done.planned.member.path)
        return done

    # ------------------------------------------------------------ what is written

    def _place_evidence(self, done: _Read) -> None:
        if done.evidence is None:
            return
        if done.outcome == "ingested" and done.sha256:
            done.evidence.path.replace(evidence_path(self._store.root, done.sha256))
        else:
            done.evidence.path.unlink()

    def _ledger_row(self, done: _Read) -> dict[str, Any]:
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
            evidence_sha256=done.evidence.sha256 if done.evidence and done.outcome == "ingested" else None,
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
            self._commit({}, rows)

    def _commit(self, parts: dict[str, list[Path]], rows: list[dict[str, Any]]) -> None:
        named = json.dumps([self._next_seq(), *([row["path"], row.get("sha256")] for row in rows)])
        batch_id = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        sealed = ledger.seal([{**row, "batch_id": batch_id} for row in rows], after=self._last)
        self._store.commit(batch_id, parts, sealed)
        self._last = sealed[-1]
        self._files += [input_file(row) for row in sealed]

    # ------------------------------------------------------------ what is told

    def _watching(self, path: str, tally: Tally) -> Callable[[int], None]:
        return lambda size: self._progress(path, size, tally.records)

    def _progress(self, path: str, size: int, records: int = 0) -> None:
        self._bytes_done += size
        if self._watch is not None:
            self._watch(
                IngestProgress(
                    path=path,
                    bytes_done=self._bytes_done,
                    bytes_total=max(self._bytes_total, self._bytes_done),
                    records=self._records_done + records,
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
            one_by_one=self._one_by_one,
        )


def _weight(planned: Planned) -> int:
    """Bytes; where nobody knows, enough for the fast way."""
    return FAST_BYTES if planned.size_bytes is None else planned.size_bytes


def _is_same_way(planned: Planned, other: Planned) -> bool:
    return planned.way is not None and other.way is not None and planned.way.key == other.way.key


def _likeness(planned: Planned) -> str | int | None:
    """What inputs have in common that are the same bytes."""
    return planned.sha256 or planned.size_bytes


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

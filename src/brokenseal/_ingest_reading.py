"""The inputs of one batch, read: which way each goes, what is known already, and how each ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from brokenseal import _ingest_plan, framing
from brokenseal._ingest_batch import Tally
from brokenseal._ingest_plan import UNREADABLE, HashingReader, Planned, words_of
from brokenseal._ingest_records import RecordReader
from brokenseal.evidence import EvidenceWriter, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from brokenseal._ingest_batch import BatchWriter
    from brokenseal._ingest_lanes import Lanes
    from brokenseal._ingest_parts import Part
    from brokenseal._ingest_plan import Way, WayKey
    from brokenseal._ingest_program import Program
    from brokenseal.settings import Settings

FAST_BYTES = 4 << 20
"""Inputs of one way, read as columns where they have as many bytes together, and a fourth of it in their batch."""

_SHARES = 4
HELD = frozenset({"ingested", "unchanged"})
"""Outcomes that say that the records of these bytes are in the store."""
_LANE_MB = 256


@dataclass(slots=True, kw_only=True)
class Read:
    """One input after it was read.

    Attributes:
        recorded: Where its recorded text waits; None where there is none.
        trouble: Why it, or the rest of it, could not be read.
    """

    planned: Planned
    tally: Tally
    outcome: str
    sha256: str | None = None
    size_bytes: int | None = None
    encoding: str | None = None
    framing: str | None = None
    recorded: Recorded | None = None
    trouble: str | None = None

    def note(self, reader: HashingReader, evidence: EvidenceWriter, *, is_truncated: bool) -> None:
        """Note how its reading ended."""
        self.trouble = reader.trouble
        self.recorded = evidence.recorded
        self.size_bytes = reader.size_bytes
        self.sha256 = reader.sha256
        self.tally.alarms.ends_early = is_truncated or reader.trouble is not None
        if self.tally.known:
            self.outcome = "ingested"
        elif not self.trouble:
            self.outcome = "not_an_audit_log" if self.tally.records else "empty"

    def unchanged(self, size_bytes: int | None) -> Read:
        """The same input, after its bytes were found to be those of another: its records add nothing."""
        return Read(
            planned=self.planned,
            tally=Tally(input_no=self.tally.input_no),
            outcome="unchanged",
            sha256=self.sha256,
            size_bytes=size_bytes,
        )


@dataclass(slots=True)
class Known:
    """The inputs that were ingested so far.

    Attributes:
        ingested: Digest to size.
        paths: Where they were found.
    """

    ingested: dict[str | None, int | None] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    _sizes: set[int | None] = field(default_factory=set)
    _named: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Known:
        """What the rows of the ledger name."""
        known = cls()
        for row in rows:
            if row["outcome"] == "ingested":
                known.learn(row["path"], row["sha256"], row["size_bytes"])
            # What stood there later counts: a path whose first bytes have come back is news.
            known._named[row["path"]] = row["sha256"] if row["outcome"] in HELD else ""
        return known

    def is_named(self, path: str, sha256: str) -> bool:
        """Whether the last row of a path says that these bytes were found there, and are in the store."""
        return self._named.get(path) == sha256

    def parted(self, planned: Iterable[Planned]) -> tuple[list[Planned], list[Planned]]:
        """The inputs that are named, and the others; what had to be hashed for it bears its digest."""
        named: list[Planned] = []
        left: list[Planned] = []
        for each in planned:
            sha256 = each.sha256 or (self._digest_if_known(each) if each.member.path in self._named else None)
            hashed = replace(each, sha256=sha256)
            is_named = sha256 is not None and self.is_named(each.member.path, sha256)
            (named if is_named else left).append(hashed)
        return named, left

    def learn(self, path: str, sha256: str, size_bytes: int | None) -> None:
        """Remember one more."""
        self.ingested[sha256] = size_bytes
        self._sizes.add(size_bytes)
        self.paths.add(path)

    def skipped(self, planned: Planned, seq: int) -> Read | None:
        """What is said of an input that is known already or cannot be read; None for one to read."""
        sha256 = planned.sha256 or self._digest_if_known(planned)
        done = Read(planned=planned, tally=Tally(input_no=seq), outcome="unreadable", sha256=sha256)
        if sha256 in self.ingested:
            return done.unchanged(self.ingested[sha256])
        done.size_bytes, done.trouble = planned.size_bytes, planned.trouble
        return done if planned.trouble is not None else None

    def _digest_if_known(self, planned: Planned) -> str | None:
        """Hash an input before it is read, where its size or place says that it may be a known one."""
        size = planned.size_bytes
        is_like = size in self._sizes or (size is None and planned.member.path in self.paths)
        if not is_like or planned.trouble is not None:
            return None
        try:
            return _ingest_plan.digest_of(planned.member)
        except UNREADABLE:
            return None  # reading it will say what is wrong


@dataclass(slots=True, kw_only=True)
class BatchReader:
    """Reads inputs in their order, one batch after the other.

    Attributes:
        lanes: For what is read as columns.
        weights: Bytes of each way in the whole ingest.
        known: Inputs that add nothing; learns of those read.
        progress: Hears of every block read: path, bytes, records of the input so far.
        programs: What was compiled so far, by way.
        one_by_one: Records that did not go as columns.
        records: Records of the inputs read.
    """

    settings: Settings
    lanes: Lanes
    weights: Mapping[WayKey, int]
    known: Known
    progress: Callable[[str, int, int], None]
    programs: dict[WayKey, Program]
    one_by_one: int = 0
    records: int = 0

    def read(self, numbered: Iterable[tuple[int, Planned]], writer: BatchWriter) -> list[Read]:
        """Read inputs, each with its number in the ledger; together those in a row that go one fast way."""
        reads: dict[int, Read] = {}
        group: list[tuple[int, Planned]] = []
        pending: set[str | int | None] = set()
        for seq, each in numbered:
            if group and (not _is_same_way(each, group[0][1]) or _likeness(each) in pending):
                reads |= self._read_group(group, writer)
                group, pending = [], set()
            skipped = self.known.skipped(each, seq)
            if skipped is not None:
                if skipped.outcome == "unchanged":
                    self.progress(each.member.path, each.size_bytes or 0, 0)
                reads[seq] = skipped
            else:
                group.append((seq, each))
                pending.add(_likeness(each))
        if group:
            reads |= self._read_group(group, writer)
        return [reads[seq] for seq in sorted(reads)]

    def _read_group(self, group: Sequence[tuple[int, Planned]], writer: BatchWriter) -> dict[int, Read]:
        """Read inputs that go the same way."""
        way = group[0][1].way
        # Compiling the queries costs as much as reading some megabytes record by record; carrying them out, less.
        is_fast = way is not None and self.weights[way.key] >= FAST_BYTES
        if way is not None and is_fast and sum(_weight(each) for _, each in group) * _SHARES >= FAST_BYTES:
            found = self._read_fast(group, way, writer)
        else:
            found = [self._read_slow(each, Tally(input_no=seq), writer) for seq, each in group]
        return {each.tally.input_no: self.settled(each) for each in found}

    def _read_slow(self, planned: Planned, tally: Tally, writer: BatchWriter) -> Read:
        """Read one input record by record."""
        done = Read(planned=planned, tally=tally, outcome="unreadable", encoding=planned.encoding)
        try:
            stream = planned.member.open()
        except UNREADABLE as err:
            done.trouble = words_of(err)
            return done
        records = RecordReader(tally, writer)
        with EvidenceWriter(writer.folder / f"evidence-{tally.input_no}") as evidence, stream:
            reader = HashingReader(stream, watch=self._watching(planned.member.path, tally))
            framed = framing.frame(reader, self.settings)  # type: ignore[arg-type]  # only `read` is used
            records.read(framed, evidence)
            reader.finish()
            records.finish()
        done.framing = framed.framing
        done.note(reader, evidence, is_truncated=framed.is_truncated)
        self.one_by_one += tally.records
        return done

    def _read_fast(self, group: Sequence[tuple[int, Planned]], way: Way, writer: BatchWriter) -> list[Read]:
        """Read inputs together as columns."""
        from brokenseal._ingest_columnar import ColumnarReader
        from brokenseal._ingest_parts import Part
        from brokenseal._ingest_program import Program

        parts = []
        for seq, each in group:
            tally = Tally(input_no=seq)
            watch = self._watching(each.member.path, tally)
            parts.append(Part(planned=each, tally=tally, records=RecordReader(tally, writer), watch=watch))
        if way.key not in self.programs:
            self.programs[way.key] = Program(way)
        ColumnarReader(self.programs[way.key], writer, self.lanes, self.settings).read(parts)
        return [self._read_part(each) for each in parts]

    def _read_part(self, part: Part) -> Read:
        part.records.finish()
        done = Read(
            planned=part.planned,
            tally=part.tally,
            outcome="unreadable",
            encoding=part.planned.encoding,
            framing=part.framing,
            trouble=part.trouble,
        )
        if part.reader is not None and part.evidence is not None:
            done.note(part.reader, part.evidence, is_truncated=part.is_truncated)
        self.one_by_one += part.one_by_one
        return done

    def settled(self, done: Read) -> Read:
        """Remember what was read."""
        self.records += done.tally.records
        if done.sha256 in self.known.ingested:
            # A large packed input, whose digest was known only at its end: all its records are copies.
            return done.unchanged(done.size_bytes)
        if done.outcome == "ingested" and done.sha256 is not None:
            self.known.learn(done.planned.member.path, done.sha256, done.size_bytes)
        return done

    def _watching(self, path: str, tally: Tally) -> Callable[[int], None]:
        return lambda size: self.progress(path, size, tally.records)


def lanes_of(settings: Settings) -> int:
    """How many segments are read at a time: as many as there are cores, and memory for what each holds."""
    return max(1, min(settings.threads, settings.memory_limit_mb // _LANE_MB))


def weights_of(planned: Iterable[Planned]) -> Counter[WayKey]:
    """Bytes of each way."""
    weights: Counter[WayKey] = Counter()
    for each in planned:
        if each.way is not None:
            weights[each.way.key] += _weight(each)
    return weights


def _weight(planned: Planned) -> int:
    """Bytes; where nobody knows, enough for the fast way."""
    return FAST_BYTES if planned.size_bytes is None else planned.size_bytes


def _is_same_way(planned: Planned, other: Planned) -> bool:
    return planned.way is not None and other.way is not None and planned.way.key == other.way.key


def _likeness(planned: Planned) -> str | int | None:
    """What inputs have in common that are the same bytes."""
    return planned.sha256 or planned.size_bytes

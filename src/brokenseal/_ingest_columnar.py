"""The fast way of inputs of one shape: thousands of records at a time as typed columns, the odd ones one by one.

    inputs ─ segments ─▶ typed rows ─ lookups ─▶ taken rows ─ normalise ─▶ Parquet parts
                             └─ lines that do not fit, rows not taken ─▶ RecordReader

What the engine refuses to read, and what the source's columnar path does not take, goes through `RecordReader`
with its own text, so that both ways give the same rows and nothing is lost.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from brokenseal import framing, json_text
from brokenseal._ingest_parts import read_parts
from brokenseal._ingest_program import PLACE_BITS
from brokenseal._ingest_segments import LINE_BYTES, Segment
from brokenseal.errors import RecordRejected
from brokenseal.input_alarms import is_flattened
from brokenseal.json_values import at_most
from brokenseal.model import FramedRecord
from brokenseal.store import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from brokenseal._ingest_batch import BatchWriter
    from brokenseal._ingest_parts import Part
    from brokenseal._ingest_program import Program
    from brokenseal._workbench import Workbench
    from brokenseal.model import Rows
    from brokenseal.settings import Settings

_FEW_LINES: Final = 64
_ATTEMPTS: Final = 64
"""How often a segment is halved in search of lines that do not fit, before the rest of it goes line by line."""

_STEP: Final = 1 << 20
"""Numbers of the records of one line: the first has `position * _STEP`."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class ColumnarReader:
    """Reads inputs whose records are a source's own, bare or as JSON text in a column."""

    def __init__(self, program: Program, writer: BatchWriter, settings: Settings) -> None:
        """Write to `writer`; every input brings its own counts."""
        self._program = program
        self._writer = writer
        self._bench: Workbench = writer.bench
        self._settings = settings
        self._attempts = 0

    def read(self, parts: Sequence[Part]) -> None:
        """Read inputs to their ends, in their order.

        Raises: what their streams raise, but for what `HashingReader` notes.
        """
        self._writer.flush()
        payload = self._program.columnar.payload
        for segment in read_parts(parts, self._writer.folder, self._settings, payload=payload):
            self._attempts = _ATTEMPTS
            self._read_segment(segment)
            segment.discard()

    # ------------------------------------------------------------ one segment

    def _read_segment(self, segment: Segment) -> None:
        self._attempts -= 1
        if not self._load(segment):
            if segment.lines <= _FEW_LINES or self._attempts <= 0:
                self._settle(segment, np.empty(0, np.int64), list(self._normalised(segment.recorded(), segment)))
                return
            for half in segment.halves():
                self._read_segment(half)
                half.discard()
            return
        self._widen(segment)
        self._bench.hold("odd", _numbers_table("record_no", _flattened(segment) if segment.suspects else ()))
        self._bench.hold("taken", self._program.taken)
        taken = self._take(segment)
        slow = [] if len(taken) == segment.lines else self._slow_rows(segment, taken)
        n_kept = self._settle(segment, taken, slow)
        if n_kept:
            self._choose(whole=n_kept == segment.lines)
            self._write()
        self._bench.drop("taken", "chosen", "numbers")
        self._bench.forget_rows()

    def _load(self, segment: Segment) -> bool:
        try:
            columnar = self._program.columnar
            rows = self._bench.load_json(
                segment.path, columnar.raw_schema, first=segment.first, longest=LINE_BYTES, members=columnar.members
            )
        except REFUSED:
            return False
        # The number of a row is the number of its line only as long as no line is passed over.
        return rows == segment.lines

    def _take(self, segment: Segment) -> np.ndarray:
        """Count the rows taken with their inputs, and give their positions, in order."""
        rows = self._bench.fetch("SELECT record_no, epoch_us(occurred_at) AS moment FROM taken ORDER BY record_no")
        positions: np.ndarray = rows["record_no"].to_numpy()
        moments = rows["moment"].to_numpy()
        for part, own in segment.shares(positions):
            first, last = int(moments[own].min()), int(moments[own].max())
            part.tally.saw(_EPOCH + first * _MICROSECOND, _EPOCH + last * _MICROSECOND)
            part.tally.know_shape(part.planned.shape, own.stop - own.start)
            part.records.settle_unknown()
        return positions

    def _settle(self, segment: Segment, taken: np.ndarray, slow: list[tuple[int, Rows]]) -> int:
        """Find the records that are new, write the slow ones of them, and say how many of the taken ones are."""
        claims = [f"SELECT event_id, record_no * {_STEP} AS record_no FROM taken"] if len(taken) else []  # noqa: S608 - names and numbers of our own
        if slow:
            ids = pa.array([rows["events"][0]["event_id"] for _, rows in slow], pa.string())
            numbers = pa.array([number for number, _ in slow], pa.int64())
            self._bench.hold("slow", pa.table({"event_id": ids, "record_no": numbers}))
            claims.append("SELECT event_id, record_no FROM slow")
        if not claims:
            return 0
        self._bench.hold("claims", " UNION ALL ".join(claims))
        self._bench.claim()
        fresh = np.sort(self._bench.fetch("SELECT record_no FROM fresh")["record_no"].to_numpy())
        if slow:
            is_slow = np.isin(fresh, [number for number, _ in slow])
            self._write_slow(segment, slow, set(fresh[is_slow].tolist()))
            fresh = fresh[~is_slow]
        for part, own in segment.shares(taken):
            part.tally.records += own.stop - own.start
            part.tally.duplicates += own.stop - own.start
        for part, own in segment.shares(fresh // _STEP):
            part.tally.kept += own.stop - own.start
            part.tally.duplicates -= own.stop - own.start
        return len(fresh)

    def _write_slow(self, segment: Segment, slow: list[tuple[int, Rows]], kept: set[int]) -> None:
        records = []
        for number, rows in slow:
            part = segment.part_of(number // _STEP)
            records.append((part.tally, number // _STEP - part.base, rows))
        self._writer.write_new(records, {index for index, (number, _) in enumerate(slow) if number in kept})

    # ------------------------------------------------------------ columns

    def _widen(self, segment: Segment) -> None:
        """Hold the derived columns of every lookup for the loaded rows, and name the whole `wide`."""
        lookups = {each.name: each for each in self._program.columnar.lookups}
        found = self._bench.at_once(lambda bench, name: bench.fetch(self._program.groups[name]), lookups)
        numbers = {"record_no": np.arange(segment.first, segment.first + segment.lines), "place": _places(segment)}
        for name, combinations in zip(lookups, found, strict=True):
            self._bench.hold_words(f"{name}__derived", self._program.derived(lookups[name], combinations))
            numbers[f"{name}__no"] = _combination_numbers(combinations["records"].combine_chunks(), segment)
        self._bench.hold("numbers", pa.table(numbers))
        # The types of the enumerations differ from segment to segment, and a view remembers its types.
        self._bench.view("chosen_numbers", "SELECT * FROM numbers")
        for name, query in self._program.views.items():
            self._bench.view(name, query)

    def _choose(self, *, whole: bool) -> None:
        """Name the rows to write `chosen_numbers`."""
        if whole:
            self._bench.view("chosen_numbers", "SELECT * FROM numbers")
            return
        self._bench.hold(
            "chosen",
            f"SELECT record_no FROM taken SEMI JOIN "  # noqa: S608 - names and numbers of our own
            f"(SELECT record_no // {_STEP} AS record_no FROM fresh WHERE record_no % {_STEP} = 0) USING (record_no)",
        )
        self._bench.view("chosen_numbers", "SELECT * FROM numbers SEMI JOIN chosen USING (record_no)")

    def _write(self) -> None:
        paths = {name: self._writer.new_path(name) for name in self._program.outputs}

        def write(bench: Workbench, name: str) -> int:
            return bench.write_parquet(self._program.outputs[name], paths[name])

        for name, rows in zip(paths, self._bench.at_once(write, paths), strict=True):
            if rows:
                self._writer.add_part(name, paths[name])
            else:
                paths[name].unlink()

    # ------------------------------------------------------------ one by one

    def _slow_rows(self, segment: Segment, taken: np.ndarray) -> list[tuple[int, Rows]]:
        is_left = np.ones(segment.lines, bool)
        is_left[taken - segment.first] = False
        return list(self._normalised(segment.recorded(is_left), segment))

    def _normalised(self, lines: Iterable[tuple[int, bytes]], segment: Segment) -> Iterator[tuple[int, Rows]]:
        for position, line in lines:
            part = segment.part_of(position)
            own = position - part.base
            part.one_by_one += 1
            if position in segment.cut:
                limit = self._settings.record_limit_bytes
                part.records.refuse_line(own, line, reason="too_large", expected=at_most(limit))
                continue
            refused = segment.refused.get(position)
            framed = self._framed(line) if refused is None else (refused,)
            for index, rows in enumerate(part.records.rows_in(own, framed)):
                moment = rows["events"][0].get("occurred_at")
                part.tally.saw(moment, moment)
                yield position * _STEP + index, rows

    def _framed(self, line: bytes) -> Iterable[FramedRecord]:
        """The record of a line, or its records where several stand side by side."""
        try:
            value = json_text.parse(line)
        except RecordRejected:
            value = None
        if isinstance(value, dict):
            return (FramedRecord(record_no=1, text=line.decode().strip(), value=value),)
        return framing.frame(io.BytesIO(line), self._settings)


def _flattened(segment: Segment) -> list[int]:
    return [position for position, line in segment.recorded() if is_flattened(line.decode("utf-8", "replace"))]


def _numbers_table(name: str, numbers: Iterable[int]) -> pa.Table:
    return pa.table({name: pa.array(list(numbers), pa.int64())})


def _places(segment: Segment) -> np.ndarray:
    """For each record of the segment in order, number of its input and its number there, in one number."""
    positions = np.arange(segment.first, segment.first + segment.lines)
    for part, own in segment.shares(positions):
        positions[own] += (part.tally.input_no << PLACE_BITS) - part.base
    return positions


def _combination_numbers(records: pa.ListArray, segment: Segment) -> np.ndarray:
    """For each record of the segment in order, the number of the combination that lists it."""
    numbers = np.empty(segment.lines, np.int64)
    positions = records.flatten().to_numpy() - segment.first
    numbers[positions] = np.repeat(np.arange(len(records)), records.value_lengths().to_numpy())
    return numbers

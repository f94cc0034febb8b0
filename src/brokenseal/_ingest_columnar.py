"""The fast way of inputs of one shape: thousands of records at a time as typed columns, the odd ones one by one.

    inputs ─ segments ─▶ typed rows ─ lookups ─▶ taken rows ─ settle ─▶ normalise ─▶ Parquet parts
                             └─ lines that do not fit, rows not taken ─┘ (RecordReader)

Several segments are under way at a time, each on a lane: a thread and a connection of its own. What depends on order
(which record is the first of its id, what goes one by one, counts) is settled in the order of the segments in the
thread that asked, so that the number of lanes changes nothing that is written.

What the engine refuses to read, and what the source's columnar path does not take, goes through `RecordReader`
with its own text, so that both ways give the same rows and nothing is lost. A line that does not fit refuses its whole
segment: such lines are found (`_ingest_fit`), placeholders put for them, and the segment is read again; what is still
refused then is searched by halves.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from itertools import cycle
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from brokenseal import framing, json_text
from brokenseal._ingest_parts import read_parts
from brokenseal._ingest_program import PLACE_BITS
from brokenseal._ingest_seen import KEY_TEXT, key_text
from brokenseal._ingest_segments import LINE_BYTES, Segment
from brokenseal.errors import RecordRejected
from brokenseal.input_alarms import is_flattened
from brokenseal.json_values import at_most
from brokenseal.model import FramedRecord
from brokenseal.store import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from brokenseal._ingest_batch import BatchWriter
    from brokenseal._ingest_lanes import Lane, Lanes
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

    def __init__(self, program: Program, writer: BatchWriter, lanes: Lanes, settings: Settings) -> None:
        """Write to `writer`; every input brings its own counts."""
        self._program = program
        self._writer = writer
        self._lanes = lanes
        self._settings = settings
        self._attempts = 0

    def read(self, parts: Sequence[Part]) -> None:
        """Read inputs to their ends, in their order.

        Raises: what their streams raise, but for what `HashingReader` notes.
        """
        self._writer.flush()
        payload = self._program.columnar.payload
        lanes = self._lanes.all()
        waiting: deque[tuple[Lane, Segment, Future[pa.Table | None]]] = deque()
        segments = read_parts(parts, self._writer.folder, self._settings, payload=payload)
        try:
            for lane, segment in zip(cycle(lanes), segments, strict=False):
                if len(waiting) == len(lanes):
                    self._finish(*waiting.popleft())
                waiting.append((lane, segment, lane.thread.submit(self._prepare, lane.bench, segment)))
            while waiting:
                self._finish(*waiting.popleft())
        finally:
            for _, _, prepared in waiting:
                prepared.cancel()
            segments.close()
        for lane in lanes:
            lane.check()

    # ------------------------------------------------------------ one segment

    def _prepare(self, bench: Workbench, segment: Segment) -> pa.Table | None:
        """Load a segment: the rows that can be taken, in order of position; None where something does not fit."""
        if not self._load(bench, segment) and not self._load_what_fits(bench, segment):
            return None
        self._widen(bench, segment)
        bench.hold("odd", _numbers_table("record_no", _flattened(segment) if segment.suspects else ()))
        bench.hold("taken", self._program.taken)
        return bench.fetch(
            f"SELECT record_no, {KEY_TEXT} AS key_text, epoch_us(occurred_at) AS moment FROM taken ORDER BY record_no"  # noqa: S608 - text of our own
        ).combine_chunks()

    def _finish(self, lane: Lane, segment: Segment, prepared: Future[pa.Table | None]) -> None:
        """Settle a prepared segment, and leave the writing to its lane."""
        lane.check()
        found = prepared.result()
        if found is None:
            self._attempts = _ATTEMPTS
            self._read_in_halves(lane, segment)
            segment.discard()
            return
        write = self._settled(lane.bench, segment, found)
        lane.take_over(write)

    def _read_in_halves(self, lane: Lane, segment: Segment) -> None:
        """A segment in which something does not fit: part by part, until it is found."""
        self._attempts -= 1
        if segment.lines <= _FEW_LINES or self._attempts <= 0:
            self._claim(segment, None, list(self._normalised(segment.recorded(), segment)))
            return
        for half in segment.halves():
            found = lane.thread.submit(self._prepare, lane.bench, half).result()
            if found is None:
                self._read_in_halves(lane, half)
                half.discard()
            else:
                lane.take_over(self._settled(lane.bench, half, found))
                lane.check()

    def _settled(self, bench: Workbench, segment: Segment, taken: pa.Table) -> Callable[[], None]:
        """Settle all that depends on the order of segments; what is left to do for this one."""
        self._count(segment, taken)
        slow = [] if len(taken) == segment.lines else self._slow_rows(segment, taken["record_no"].to_numpy())
        fresh = self._claim(segment, taken, slow)
        paths = {name: self._writer.new_path(name) for name in self._program.outputs} if len(fresh) else {}

        def write() -> None:
            if paths:
                self._choose(bench, None if len(fresh) == segment.lines else fresh)
                self._write(bench, paths)
            bench.drop("taken", "chosen", "numbers")
            bench.forget_rows()
            segment.discard()

        return write

    def _load(self, bench: Workbench, segment: Segment) -> bool:
        try:
            columnar = self._program.columnar
            rows = bench.load_json(
                segment.path, columnar.raw_schema, first=segment.first, longest=LINE_BYTES, members=columnar.members
            )
        except REFUSED:
            return False
        # The number of a row is the number of its line only as long as no line is passed over.
        return rows == segment.lines

    def _load_what_fits(self, bench: Workbench, segment: Segment) -> bool:
        """Load a segment that was refused, with placeholders for the lines in which something is found."""
        unfit = self._program.fit.unfit(bench, segment)
        if not unfit.any():
            return False
        segment.set_aside(unfit)
        return self._load(bench, segment)

    def _count(self, segment: Segment, taken: pa.Table) -> None:
        """Count the rows taken with their inputs."""
        moments = taken["moment"].to_numpy()
        for part, own in segment.shares(taken["record_no"].to_numpy()):
            first, last = int(moments[own].min()), int(moments[own].max())
            part.tally.saw(_EPOCH + first * _MICROSECOND, _EPOCH + last * _MICROSECOND)
            part.tally.know_shape(part.planned.shape, own.stop - own.start)
            part.records.settle_unknown()

    def _claim(self, segment: Segment, taken: pa.Table | None, slow: list[tuple[int, Rows]]) -> np.ndarray:
        """Find the records that are new, write the slow ones of them, and give the positions of the taken ones."""
        claims = []
        positions = np.empty(0, np.int64)
        if taken is not None and len(taken):
            positions = taken["record_no"].to_numpy()
            claims.append((taken["key_text"].combine_chunks(), positions * _STEP))
        if slow:
            texts = pa.array([key_text(rows["events"][0]["event_id"]) for _, rows in slow], pa.string())
            claims.append((texts, np.array([number for number, _ in slow], np.int64)))
        if not claims:
            return positions
        texts, numbers = zip(*claims, strict=True)
        fresh = self._writer.seen.claim(pa.concat_arrays(texts), np.concatenate(numbers))
        if slow:
            is_slow = np.isin(fresh, [number for number, _ in slow])
            self._write_slow(segment, slow, set(fresh[is_slow].tolist()))
            fresh = fresh[~is_slow]
        fresh //= _STEP
        for part, own in segment.shares(positions):
            part.tally.records += own.stop - own.start
            part.tally.duplicates += own.stop - own.start
        for part, own in segment.shares(fresh):
            part.tally.kept += own.stop - own.start
            part.tally.duplicates -= own.stop - own.start
        return fresh

    def _write_slow(self, segment: Segment, slow: list[tuple[int, Rows]], kept: set[int]) -> None:
        records = []
        for number, rows in slow:
            part = segment.part_of(number // _STEP)
            records.append((part.tally, number // _STEP - part.base, rows))
        self._writer.write_new(records, {index for index, (number, _) in enumerate(slow) if number in kept})

    # ------------------------------------------------------------ columns

    def _widen(self, bench: Workbench, segment: Segment) -> None:
        """Hold the derived columns of every lookup for the loaded rows, and name the whole `wide`."""
        numbers = {"record_no": np.arange(segment.first, segment.first + segment.lines), "place": _places(segment)}
        for each in self._program.columnar.lookups:
            combinations = bench.fetch(self._program.groups[each.name])
            bench.hold_words(f"{each.name}__derived", self._program.derived(each, combinations))
            numbers[f"{each.name}__no"] = _combination_numbers(combinations["records"].combine_chunks(), segment)
        bench.hold("numbers", pa.table(numbers))
        # The types of the enumerations differ from segment to segment, and a view remembers its types.
        bench.view("chosen_numbers", "SELECT * FROM numbers")
        for name, query in self._program.views.items():
            bench.view(name, query)

    def _choose(self, bench: Workbench, fresh: np.ndarray | None) -> None:
        """Name the rows to write `chosen_numbers`: those at these positions, or all."""
        if fresh is None:
            bench.view("chosen_numbers", "SELECT * FROM numbers")
            return
        bench.hold("chosen", pa.table({"record_no": fresh}))
        bench.view("chosen_numbers", "SELECT * FROM numbers SEMI JOIN chosen USING (record_no)")

    def _write(self, bench: Workbench, paths: Mapping[str, Path]) -> None:
        for name, query in self._program.outputs.items():
            if bench.write_parquet(query, paths[name]):
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
        return framing.frame_line(line, self._settings)


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
    """For each record of the segment in order, the number of the combination that lists it, or behind the last one."""
    numbers = np.full(segment.lines, len(records), np.int64)
    positions = records.flatten().to_numpy() - segment.first
    numbers[positions] = np.repeat(np.arange(len(records)), records.value_lengths().to_numpy())
    return numbers

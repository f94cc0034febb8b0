"""The fast way of an input: thousands of records at a time as typed columns, the odd ones one by one.

    stream ─ segments ─▶ typed rows ─ lookups ─▶ taken rows ─ normalise ─▶ Parquet parts
                             └─ lines that do not fit, rows not taken ─▶ RecordReader

What the engine refuses to read, and what the source's columnar path does not take, goes through `RecordReader`
with its own text, so that both ways give the same rows and nothing is lost.
"""

from __future__ import annotations

import io
from itertools import compress, islice
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa

from brokenseal import framing, json_text, schema
from brokenseal._ingest_batch import arrow_table
from brokenseal._ingest_rows import row_segments
from brokenseal._ingest_segments import LINE_BYTES, Segment, segments
from brokenseal._workbench import compile_query
from brokenseal.errors import RecordRejected
from brokenseal.input_alarms import is_flattened
from brokenseal.json_values import at_most
from brokenseal.model import FramedRecord
from brokenseal.store import INPUT_NO, REFUSED, stored_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    import ibis.expr.types as ir

    from brokenseal._ingest_batch import BatchWriter, Tally
    from brokenseal._ingest_records import RecordReader
    from brokenseal._workbench import Workbench
    from brokenseal.evidence import EvidenceWriter
    from brokenseal.model import Columnar, Lookup, Rows
    from brokenseal.settings import Settings

_FEW_LINES: Final = 64
_ATTEMPTS: Final = 64
"""How often a segment is halved in search of lines that do not fit, before the rest of it goes line by line."""

_KNOWN_COMBINATIONS: Final = 200_000
_STEP: Final = 1 << 20
"""Positions of the records of one line: the first has `line * _STEP`."""

_TABLES = {table.name: table for table in schema.RECORD_TABLES}


class _Program:
    """The queries of a columnar path, compiled once.

    Attributes:
        groups: Lookup name to the query of its distinct combinations, each with the numbers of its records.
        views: Name to query of the views that the other queries read; they rest on the held table `numbers` and
            the table or view `chosen_numbers`.
        taken: Query of the rows taken: record_no, event_id, occurred_at. It leaves out the records of the held
            table `odd`.
        outputs: Table name to the query of its rows among those in `chosen_numbers`.
    """

    def __init__(self, columnar: Columnar, outer: Collection[str]) -> None:
        """Compile; `outer` are the columns around the record, which fill in what it lacks."""
        self.groups: dict[str, str] = {}
        self.views: dict[str, str] = {}
        self._columnar = columnar
        self._raw = ibis.table({"record_no": "int64", **columnar.raw_schema}, name="raw")
        for each in columnar.lookups:
            keyed = self._raw.select("record_no", **{name: key(self._raw) for name, key in each.keys.items()})
            self.groups[each.name] = compile_query(
                keyed.group_by(list(each.keys)).agg(records=keyed.record_no.collect())
            )
        self._schema = self._wide(columnar.lookups, "numbers").schema()
        odd = ibis.table({"record_no": "int64"}, name="odd")
        named = ibis.table(self._schema, name="wide")
        filled = [name for name, columns in columnar.fallbacks.items() if not set(columns).isdisjoint(outer)]
        own = [named[name].notnull() & (named[name] != "") for name in filled]
        fits = ibis.and_(columnar.takes(named), named.record_no.notin(odd.record_no), *own)
        events = columnar.normalise(named.filter(fits))["events"]
        self.taken = self._over("wide", events.select("record_no", "event_id", "occurred_at"), "numbers")
        self.outputs = {name: self._output(name) for name in columnar.normalise(named)}

    def _wide(self, lookups: Iterable[Lookup], numbers: str) -> ir.Table:
        """The raw rows with the columns of these lookups."""
        columns = {"record_no": "int64", **{f"{each.name}__no": "int64" for each in self._columnar.lookups}}
        wide = self._raw.join(ibis.table(columns, name=numbers), "record_no")
        for each in lookups:
            kinds = {f"{each.name}__{name}": kind for name, kind in each.columns.items()}
            derived = ibis.table({f"{each.name}__at": "int64", **kinds}, name=f"{each.name}__derived")
            wide = wide.join(derived, wide[f"{each.name}__no"] == derived[f"{each.name}__at"])
        return wide

    def _output(self, name: str) -> str:
        view = f"wide_{name}"
        rows = self._columnar.normalise(ibis.table(self._schema, name=view))[name]
        return self._over(view, _complete(name, rows), "chosen_numbers")

    def _over(self, view: str, rows: ir.Table, numbers: str) -> str:
        """Compile a query over the wide rows, which are joined from those lookups only that it uses."""
        query = compile_query(rows)
        used = [each for each in self._columnar.lookups if f"{each.name}__" in query]
        self.views[view] = compile_query(self._wide(used, numbers))
        return query


def _complete(name: str, rows: ir.Table) -> ir.Table:
    """Every stored column of the table but the number of the input."""
    declared = _TABLES[name].ibis_schema()
    stored = [item.name for item in stored_schema(_TABLES[name]) if item.name != INPUT_NO]
    return rows.select(
        **{
            column: rows[column].cast(declared[column]) if column in rows.columns else ibis.null(declared[column])
            for column in stored
        }
    )


class ColumnarReader:
    """Reads one input whose records are a source's own, bare or as JSON text in a column.

    Attributes:
        one_by_one: How many records did not go as columns.
    """

    def __init__(
        self,
        columnar: Columnar,
        shape: str,
        *,
        tally: Tally,
        writer: BatchWriter,
        records: RecordReader,
        settings: Settings,
        outer: Collection[str] = (),
    ) -> None:
        """Count in `tally`, write to `writer`, and give odd records to `records`; `outer` as in `_Program`."""
        self.one_by_one = 0
        self._columnar = columnar
        self._outer = outer
        self._program = _Program(columnar, outer)
        self._shape = shape
        self._tally = tally
        self._writer = writer
        self._bench: Workbench = writer.bench
        self._records = records
        self._settings = settings
        self._attempts = 0
        self._derived: dict[str, dict[tuple[str | None, ...], tuple[Any, ...]]] = {}

    def read(self, stream: Any, evidence: EvidenceWriter) -> None:
        """Read a stream of UTF-8 lines to its end.

        Raises: what the stream raises.
        """
        limit = self._settings.record_limit_bytes
        self._read_all(segments(stream, self._writer.folder, evidence, record_limit=limit))

    def read_framed(self, framed: Iterable[FramedRecord], evidence: EvidenceWriter) -> None:
        """Read framed records to their end.

        Raises: what reading them raises.
        """
        payload = self._columnar.payload if self._outer else None
        self._read_all(row_segments(framed, self._writer.folder, evidence, payload=payload))

    def _read_all(self, found: Iterable[Segment]) -> None:
        self._writer.flush()
        for segment in found:
            self._attempts = _ATTEMPTS
            self._read_segment(segment)
            segment.discard()

    # ------------------------------------------------------------ one segment

    def _read_segment(self, segment: Segment) -> None:
        self._attempts -= 1
        if not self._load(segment):
            if segment.lines <= _FEW_LINES or self._attempts <= 0:
                self._settle(0, list(self._normalised(_lines(segment), segment)))
                return
            for half in _halves(segment):
                self._read_segment(half)
                half.discard()
            return
        self._widen(segment)
        self._bench.hold("odd", _numbers_table("record_no", self._flattened(segment) if segment.suspects else ()))
        self._bench.hold("taken", self._program.taken)
        n_taken = self._span()
        slow = [] if n_taken == segment.lines else self._slow_rows(segment)
        n_kept = self._settle(n_taken, slow)
        if n_kept:
            self._choose(whole=n_kept == segment.lines)
            self._write()
        self._bench.drop("taken", "chosen", "numbers")
        self._bench.forget_rows()

    def _load(self, segment: Segment) -> bool:
        try:
            rows = self._bench.load_json(
                segment.path, self._columnar.raw_schema, first=segment.first, longest=LINE_BYTES
            )
        except REFUSED:
            return False
        # The number of a row is the number of its line only as long as no line is passed over.
        return rows == segment.lines

    @staticmethod
    def _flattened(segment: Segment) -> list[int]:
        return [number for number, line in _lines(segment) if is_flattened(line.decode("utf-8", "replace"))]

    def _span(self) -> int:
        """Note the span of time of the rows taken, and say how many they are."""
        query = "SELECT count(*) AS n, min(occurred_at) AS first, max(occurred_at) AS last FROM taken"
        span = self._bench.fetch(query).to_pylist()[0]
        self._tally.saw(span["first"], span["last"])
        if span["n"]:
            self._tally.know_shape(self._shape, span["n"])
            self._records.settle_unknown()
        return int(span["n"])

    def _settle(self, n_taken: int, slow: list[tuple[int, Rows]]) -> int:
        """Find the records that are new, write the slow ones of them, and say how many of the taken ones are."""
        claims = [f"SELECT event_id, record_no * {_STEP} AS record_no FROM taken"] if n_taken else []  # noqa: S608 - names and numbers of our own
        if slow:
            ids = pa.array([rows["events"][0]["event_id"] for _, rows in slow], pa.string())
            positions = pa.array([position for position, _ in slow], pa.int64())
            self._bench.hold("slow", pa.table({"event_id": ids, "record_no": positions}))
            claims.append("SELECT event_id, record_no FROM slow")
        if not claims:
            return 0
        self._bench.hold("claims", " UNION ALL ".join(claims))
        n_fresh = self._bench.claim()
        n_slow = 0
        if slow:
            kept = set(
                self._bench.fetch("SELECT record_no FROM fresh SEMI JOIN slow USING (record_no)")[
                    "record_no"
                ].to_pylist()
            )
            self._writer.write_new(
                [(self._tally, position // _STEP, rows) for position, rows in slow],
                {index for index, (position, _) in enumerate(slow) if position in kept},
            )
            n_slow = len(kept)
        n_kept = n_fresh - n_slow
        self._tally.records += n_taken
        self._tally.kept += n_kept
        self._tally.duplicates += n_taken - n_kept
        return n_kept

    # ------------------------------------------------------------ columns

    def _widen(self, segment: Segment) -> None:
        """Hold the derived columns of every lookup for the loaded rows, and name the whole `wide`."""
        lookups = {each.name: each for each in self._columnar.lookups}
        found = self._bench.at_once(lambda bench, name: bench.fetch(self._program.groups[name]), lookups)
        numbers = {"record_no": np.arange(segment.first, segment.first + segment.lines)}
        for name, combinations in zip(lookups, found, strict=True):
            self._derive(lookups[name], combinations)
            numbers[f"{name}__no"] = _combination_numbers(combinations["records"].combine_chunks(), segment)
        self._bench.hold("numbers", pa.table(numbers))
        # The types of the enumerations differ from segment to segment, and a view remembers its types.
        self._bench.view("chosen_numbers", "SELECT * FROM numbers")
        for name, query in self._program.views.items():
            self._bench.view(name, query)

    def _derive(self, lookup: Lookup, combinations: pa.Table) -> None:
        names = list(lookup.keys)
        known = self._derived.setdefault(lookup.name, {})
        if len(known) > _KNOWN_COMBINATIONS:
            known.clear()
        rows = []
        for keys in zip(*(combinations[name].to_pylist() for name in names), strict=True):
            found = known.get(keys)
            if found is None:
                values = lookup.derive(dict(zip(names, keys, strict=True)))
                found = known[keys] = tuple(values[name] for name in lookup.columns)
            rows.append(found)
        columns = [list(range(len(rows))), *(list(column) for column in zip(*rows, strict=True))]
        kinds = {f"{lookup.name}__{name}": kind for name, kind in lookup.columns.items()}
        wanted = ibis.schema({f"{lookup.name}__at": "int64", **kinds}).to_pyarrow()
        self._bench.hold_words(f"{lookup.name}__derived", arrow_table(columns, wanted))

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
            query = self._program.outputs[name]
            if INPUT_NO in stored_schema(_TABLES[name]).names:
                query = f"SELECT *, {self._tally.input_no} AS {INPUT_NO} FROM ({query})"  # noqa: S608 - names and numbers of our own
            return bench.write_parquet(query, paths[name])

        for name, rows in zip(paths, self._bench.at_once(write, paths), strict=True):
            if rows:
                self._writer.add_part(name, paths[name])
            else:
                paths[name].unlink()

    # ------------------------------------------------------------ one by one

    def _slow_rows(self, segment: Segment) -> list[tuple[int, Rows]]:
        is_left = np.ones(segment.lines, bool)
        is_left[self._bench.fetch("SELECT record_no FROM taken")["record_no"].to_numpy() - segment.first] = False
        return list(self._normalised(_lines(segment, is_left), segment))

    def _normalised(self, lines: Iterable[tuple[int, bytes]], segment: Segment) -> Iterator[tuple[int, Rows]]:
        for number, line in lines:
            self.one_by_one += 1
            if number in segment.cut:
                limit = self._settings.record_limit_bytes
                self._records.refuse_line(number, line, reason="too_large", expected=at_most(limit))
                continue
            refused = segment.refused.get(number)
            framed = self._framed(line) if refused is None else (refused,)
            for index, rows in enumerate(self._records.rows_in(number, framed)):
                moment = rows["events"][0].get("occurred_at")
                self._tally.saw(moment, moment)
                yield number * _STEP + index, rows

    def _framed(self, line: bytes) -> Iterable[FramedRecord]:
        """The record of a line, or its records where several stand side by side."""
        try:
            value = json_text.parse(line)
        except RecordRejected:
            value = None
        if isinstance(value, dict):
            return (FramedRecord(record_no=1, text=line.decode().strip(), value=value),)
        return framing.frame(io.BytesIO(line), self._settings)


def _numbers_table(name: str, numbers: Iterable[int]) -> pa.Table:
    return pa.table({name: pa.array(list(numbers), pa.int64())})


def _combination_numbers(records: pa.ListArray, segment: Segment) -> np.ndarray:
    """For each record of the segment in order, the number of the combination that lists it."""
    numbers = np.empty(segment.lines, np.int64)
    positions = records.flatten().to_numpy() - segment.first
    numbers[positions] = np.repeat(np.arange(len(records)), records.value_lengths().to_numpy())
    return numbers


def _lines(segment: Segment, wanted: np.ndarray | None = None) -> Iterator[tuple[int, bytes]]:
    """Number and recorded text of every record, or of the wanted ones."""
    with (segment.texts or segment.path).open("rb") as stream:
        lines = enumerate(stream, start=segment.first)
        for number, line in lines if wanted is None else compress(lines, wanted):
            yield number, segment.apart.get(number, line)


def _halves(segment: Segment) -> Iterator[Segment]:
    """The segment as two, lines kept whole."""
    middle = segment.lines // 2
    for index, (start, end) in enumerate(((0, middle), (middle, segment.lines))):
        numbers = range(segment.first + start, segment.first + end)
        yield Segment(
            path=_part(segment.path, index, start, end),
            first=numbers.start,
            lines=len(numbers),
            apart={number: line for number, line in segment.apart.items() if number in numbers},
            cut={number for number in segment.cut if number in numbers},
            suspects=segment.suspects,
            texts=_part(segment.texts, index, start, end) if segment.texts else None,
            refused={number: record for number, record in segment.refused.items() if number in numbers},
        )


def _part(path: Path, index: int, start: int, end: int) -> Path:
    """Some of the lines of a file as a file beside it."""
    part = path.with_suffix(f".{index}{path.suffix}")
    with path.open("rb") as stream, part.open("wb") as out:
        out.writelines(islice(stream, start, end))
    return part

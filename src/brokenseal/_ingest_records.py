"""The plain way of an input: frame by frame, record by record, through the sources.

It reads every shape in every framing, decides what goes to quarantine, and is what the columnar way must equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from brokenseal import sources
from brokenseal._ingest_batch import quarantine_row
from brokenseal.errors import RecordRejected
from brokenseal.evidence import line_of
from brokenseal.input_alarms import is_flattened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from brokenseal._ingest_batch import BatchWriter, Tally
    from brokenseal.evidence import EvidenceWriter
    from brokenseal.model import FramedRecord, Record, Rows

_KNOWN_SHAPE = "a record that a source knows"
_CUT = frozenset({"not_json", "empty_record"})
_SPILL_ROWS = 1_000
_HELD_BYTES = 1 << 18


def _unwrapped(framed: Iterable[FramedRecord]) -> Iterator[tuple[str, Record, FramedRecord | None]]:
    """Text and value of every record, wrappers taken off; with the framed record where it could not be read."""
    for record in framed:
        if record.value is None:
            yield record.text, {}, record
            continue
        inner = list(sources.unwrap(record.value))
        for each in inner:
            yield (record.text if len(inner) == 1 else msgspec.json.encode(each).decode()), each, None


class RecordReader:
    """Takes the records of one input, one after the other.

    Records that no source knows wait in `_unknown` until the input is found to be an audit log: then they go
    to quarantine, else they are ignored.
    """

    def __init__(self, tally: Tally, writer: BatchWriter) -> None:
        """Count in `tally`; rows and quarantine go to `writer`."""
        self._tally = tally
        self._writer = writer
        self._unknown: list[dict[str, Any]] = []
        self._spilled: list[Path] = []
        self._waiting_unknown = 0
        self._waiting_cut = 0

    def read(self, framed: Iterable[FramedRecord], evidence: EvidenceWriter) -> None:
        """Read records in order, and keep their text; a record is numbered as it stands in the evidence."""
        # Many a text at a time: the packer has to be set up for each call.
        held: list[bytes] = []
        held_bytes = 0
        for text, each, refused in _unwrapped(framed):
            held.append(line_of(text))
            held_bytes += len(held[-1])
            if held_bytes >= _HELD_BYTES:
                evidence.add_lines(b"".join(held))
                held, held_bytes = [], 0
            self._tally.records += 1
            if refused is not None:
                self._refuse_unparsed(self._tally.records, refused)
                continue
            rows = self.rows_of(self._tally.records, text, each)
            if rows is not None:
                self._writer.add(self._tally, self._tally.records, rows)
        evidence.add_lines(b"".join(held))

    def rows_in(self, line_no: int, framed: Iterable[FramedRecord]) -> Iterator[Rows]:
        """The rows of the records of one line whose text is kept already; all of them bear the line's number."""
        for record in framed:
            if record.value is None:
                self._tally.records += 1
                self._refuse_unparsed(line_no, record)
                continue
            for each in sources.unwrap(record.value):
                self._tally.records += 1
                rows = self.rows_of(line_no, record.text, each)
                if rows is not None:
                    yield rows

    def refuse_line(self, line_no: int, line: bytes, *, reason: str, expected: str) -> None:
        """A line that is not even looked into."""
        self._tally.records += 1
        self.refuse(line_no, line.decode("utf-8", "replace"), reason=reason, expected=expected)

    def _refuse_unparsed(self, record_no: int, record: FramedRecord) -> None:
        self.refuse(record_no, record.text, reason=record.reason or "not_json", expected=record.expected)

    def rows_of(self, record_no: int, text: str, record: Record) -> Rows | None:
        """The rows of one record; None where it went to quarantine."""
        tally = self._tally
        tally.alarms.announce(record)
        if is_flattened(text):
            tally.alarms.flattened += 1
        known = sources.identify(record)
        if known is None:
            self.refuse(record_no, text, reason="unknown_shape", expected=_KNOWN_SHAPE)
            return None
        source, shape = known
        self._know(shape)
        try:
            return source.normalise(record)
        except RecordRejected as err:
            self._reject(record_no, text, reason=err.reason, column=err.column, value=err.value, expected=err.expected)
            return None

    def refuse(self, record_no: int, text: str, *, reason: str, expected: str) -> None:
        """A record that no source knows or that cannot be parsed: for quarantine, if this is an audit log."""
        row = quarantine_row(
            tally=self._tally,
            record_no=record_no,
            text=text,
            reason=reason,
            column="record",
            value=None,
            expected=expected,
        )
        # What names an operation at a time is an audit record that broke, even where no other record is left.
        if reason != "unknown_shape" and row["salvaged_operation"] and (row["salvaged_at"] or row["salvaged_id"]):
            self._know(None)
        if self._tally.known:
            self._count_rejected(row)
            self._writer.quarantine([row])
        else:
            self._wait(row)

    def _reject(self, record_no: int, text: str, *, reason: str, column: str, value: str | None, expected: str) -> None:
        row = quarantine_row(
            tally=self._tally,
            record_no=record_no,
            text=text,
            reason=reason,
            column=column,
            value=value,
            expected=expected,
        )
        self._count_rejected(row)
        self._writer.quarantine([row])

    def _count_rejected(self, row: dict[str, Any]) -> None:
        self._tally.rejected += 1
        self._tally.alarms.cut += row["reason"] in _CUT

    def _wait(self, row: dict[str, Any]) -> None:
        self._unknown.append(row)
        self._waiting_unknown += 1
        self._waiting_cut += row["reason"] in _CUT
        if len(self._unknown) >= _SPILL_ROWS:
            self._spilled.append(self._writer.spill_quarantine(self._unknown))
            self._unknown = []

    def _know(self, shape: str | None) -> None:
        self._tally.know_shape(shape)
        self.settle_unknown()

    def settle_unknown(self) -> None:
        """Put the records that no source knew into quarantine: the input is an audit log."""
        if self._waiting_unknown:
            self._tally.rejected += self._waiting_unknown
            self._tally.alarms.cut += self._waiting_cut
            self._writer.quarantine(self._unknown)
            for path in self._spilled:
                self._writer.add_part("quarantine", path)
            self._forget()

    def _forget(self) -> None:
        self._unknown, self._spilled = [], []
        self._waiting_unknown = self._waiting_cut = 0

    def finish(self) -> None:
        """Settle the records that no source knew: without a known one, this is no audit log."""
        self._tally.ignored += self._waiting_unknown
        for path in self._spilled:
            path.unlink()
        self._forget()

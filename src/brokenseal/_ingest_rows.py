"""Framed records (rows of CSV, elements of arrays) as segments: the record as a line, and its own text beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from brokenseal._ingest_segments import LINE_BYTES, SEGMENT_BYTES, Segment, handed_over, is_suspect
from brokenseal.evidence import line_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from brokenseal.evidence import EvidenceWriter
    from brokenseal.model import FramedRecord

_BUFFER_BYTES: Final = 1 << 20
_PLACEHOLDER: Final = b"{}\n"


def row_segments(
    framed: Iterable[FramedRecord],
    folder: Path,
    evidence: EvidenceWriter,
    *,
    payload: str | None,
    segment_bytes: int = SEGMENT_BYTES,
) -> Iterator[Segment]:
    """Cut framed records into segments; the caller deletes each file when it is done with it.

    Args:
        framed: The records; what reading them raises is raised here.
        folder: Where the files go.
        evidence: Gets the text of every record.
        payload: Column that holds the record as JSON text; None where the framed record is the record itself.
        segment_bytes: Size at which a segment ends.
    """
    cutter = _RowCutter(framed, folder, evidence, payload=payload, segment_bytes=segment_bytes)
    return handed_over(cutter.run)


class _RowCutter:
    """Framed records to segment files."""

    def __init__(
        self,
        framed: Iterable[FramedRecord],
        folder: Path,
        evidence: EvidenceWriter,
        *,
        payload: str | None,
        segment_bytes: int,
    ) -> None:
        self._framed = framed
        self._folder = folder
        self._evidence = evidence
        self._payload = payload
        self._segment_bytes = segment_bytes
        self._numbered = 0
        self._lines: list[bytes] = []
        self._texts: list[bytes] = []
        self._buffered = 0

    def run(self, hand_over: Callable[[Segment], None], stopped: threading.Event) -> None:
        """Read to the end."""
        next_line = 1
        records = iter(self._framed)
        while not stopped.is_set() and (segment := self._cut(records, next_line)) is not None:
            next_line += segment.lines
            hand_over(segment)

    def _cut(self, records: Iterator[FramedRecord], first: int) -> Segment | None:
        self._numbered += 1
        path = self._folder / f"segment-{self._numbered:05}.jsonl"
        segment = Segment(path=path, first=first, texts=path.with_suffix(".texts"))
        written = 0
        with path.open("wb") as lines, path.with_suffix(".texts").open("wb") as texts:
            for record in records:
                self._add(record, segment)
                if self._buffered >= _BUFFER_BYTES:
                    written += self._buffered
                    self._flush(segment, lines, texts)
                    if written >= self._segment_bytes:
                        break
            self._flush(segment, lines, texts)
        if segment.lines:
            return segment
        segment.discard()
        return None

    def _add(self, record: FramedRecord, segment: Segment) -> None:
        line = None
        if record.value is None:
            segment.refused[segment.first + segment.lines] = record
        else:
            line = _line(record, self._payload)
        text = line_of(record.text)
        self._lines.append(_PLACEHOLDER if line is None or len(line) > LINE_BYTES else line)
        self._texts.append(text)
        self._buffered += len(text)
        segment.lines += 1

    def _flush(self, segment: Segment, lines: Any, texts: Any) -> None:
        block = b"".join(self._texts)
        lines.write(b"".join(self._lines))
        texts.write(block)
        self._evidence.add_lines(block)
        segment.suspects = segment.suspects or is_suspect(block)
        self._lines, self._texts, self._buffered = [], [], 0


def _line(record: FramedRecord, payload: str | None) -> bytes | None:
    """The record as one line of JSON; None where only its whole text can tell what it is."""
    if payload is None:
        return msgspec.json.encode(record.value) + b"\n" if "\n" in record.text else line_of(record.text)
    text = record.value.get(payload) if record.value else None
    # A line break inside AuditData may stand in a string, where no strict reader takes it.
    if not isinstance(text, str) or not text.startswith("{") or "\n" in text or "\r" in text:
        return None
    return line_of(text)

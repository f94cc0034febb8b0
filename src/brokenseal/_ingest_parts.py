"""Inputs that are read together on the fast way: opened one after the other, cut into segments that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from brokenseal import framing, json_text
from brokenseal._ingest_plan import UNREADABLE, HashingReader, Planned, ReadAgain, words_of
from brokenseal._ingest_segments import LINE_BYTES, PLACEHOLDER, Segment, SegmentSink, handed_over
from brokenseal.encoding import read_head
from brokenseal.evidence import EvidenceWriter, line_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from brokenseal._ingest_batch import Tally
    from brokenseal._ingest_records import RecordReader
    from brokenseal.model import FramedRecord
    from brokenseal.settings import Settings

_BLOCK: Final = 4 << 20
_BUFFER_BYTES: Final = 1 << 20
_SHOWN: Final = 64 * 1024
_WHOLE_BYTES: Final = 64 << 20
"""An array up to that size is taken apart at once, in memory."""

_MARK: Final = b"\xef\xbb\xbf"
_LINE_FEED: Final = 0x0A
_UTF8: Final = frozenset({"utf-8", "utf-8-sig"})

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One input on the fast way. What `read_parts` sets is final once the segments with its records were handed over.

    Attributes:
        records: Where its records go that are read one by one.
        base: Position (see `Segment`) of the last record before its own.
        one_by_one: How many of its records did not go as columns.
        reader: What counted and hashed it; None where it could not be opened.
        evidence: Its recorded text, complete.
        framing: As `Framed.framing` says after reading.
        is_truncated: As `Framed.is_truncated` says after reading.
        trouble: Why it could not be opened.
    """

    planned: Planned
    tally: Tally
    records: RecordReader
    watch: Callable[[int], None]
    base: int = 0
    one_by_one: int = 0
    reader: HashingReader | None = None
    evidence: EvidenceWriter | None = None
    framing: str | None = None
    is_truncated: bool = False
    trouble: str | None = None


def read_parts(parts: Sequence[Part], folder: Path, settings: Settings, *, payload: str | None) -> Generator[Segment]:
    """Cut inputs into segments; the caller deletes each when he is done with it.

    Args:
        parts: Inputs in the order of reading.
        folder: Where files go.
        settings: Limit of a record.
        payload: Column that holds the record as JSON text; None where the framed record is the record itself.
    """

    def run(hand_over: Callable[[Segment], None], stopped: threading.Event) -> None:
        sink = SegmentSink(folder, hand_over, stopped)
        for part in parts:
            if not sink.is_stopped:
                _read_part(part, sink, folder, settings, payload)
        sink.finish()

    return handed_over(run)


def _read_part(part: Part, sink: SegmentSink, folder: Path, settings: Settings, payload: str | None) -> None:
    try:
        stream = part.planned.member.open()
    except UNREADABLE as err:
        part.trouble = words_of(err)
        return
    with EvidenceWriter(folder / f"evidence-{part.tally.input_no}") as evidence, stream:
        part.reader = HashingReader(stream, watch=part.watch)
        part.evidence = evidence
        part.framing = part.planned.framing
        sink.begin(part, evidence)
        if part.planned.framing == "json_lines":
            _LineCutter(part.reader, sink, settings.record_limit_bytes, size=part.planned.size_bytes).run()
        elif payload is None and _is_short_array(part.planned):
            whole = read_head(part.reader, (part.planned.size_bytes or 0) + 1)  # type: ignore[arg-type]  # only `read` is used
            if not _cut_array(whole, sink, record_limit=settings.record_limit_bytes):
                _cut_framed(part, ReadAgain(whole, part.reader), sink, settings, payload)
        else:
            _cut_framed(part, part.reader, sink, settings, payload)
        part.reader.finish()


# ---------------------------------------------------------------- lines


class _LineCutter:
    """Blocks to whole lines of UTF-8."""

    def __init__(self, stream: Any, sink: SegmentSink, record_limit: int, *, size: int | None) -> None:
        self._stream = stream
        self._sink = sink
        self._record_limit = record_limit
        # A buffer is as large as what is asked for, and most files are small.
        self._block = _BLOCK if size is None else min(_BLOCK, size + 1)

    def run(self) -> None:
        """Read to the end."""
        held: list[bytes] = []
        held_bytes = 0
        is_first = True
        while (block := self._stream.read(self._block)) and not self._sink.is_stopped:
            if is_first:
                block, is_first = block.removeprefix(_MARK), False
            end = block.rfind(b"\n") + 1
            if not end:
                held.append(block)
                held_bytes += len(block)
                if held_bytes > self._record_limit + _BLOCK:
                    held, held_bytes = self._pass_over(held), 0
                continue
            lines = b"".join((*held, block[:end]))
            held = [block[end:]]
            held_bytes = len(held[0])
            self._add(lines)
        last = b"".join(held)
        if last.strip():
            self._add(last + b"\n")

    def _pass_over(self, held: list[bytes]) -> list[bytes]:
        """A line above the limit: keep its beginning, read on to its end, and give what follows it."""
        head = b"".join(held)[:_SHOWN]
        rest = b""
        while block := self._stream.read(_BLOCK):
            end = block.find(b"\n")
            if end >= 0:
                rest = block[end + 1 :]
                break
        self._sink.put_apart(head, is_cut=True)
        return [rest] if rest else []

    def _add(self, lines: bytes) -> None:
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b"\n")
        letters = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(letters == _LINE_FEED)
        # The usual line begins with a brace; among others there may be blank ones.
        if lines[:1] != b"{" or not (letters[ends[:-1] + 1] == ord("{")).all():
            lines = b"".join(line + b"\n" for line in lines.split(b"\n") if line.strip())
            if not lines:
                return
            letters = np.frombuffer(lines, np.uint8)
            ends = np.flatnonzero(letters == _LINE_FEED)
        # A block holds no line above its own size, so only what was put together from several needs a look.
        if len(lines) > LINE_BYTES and int(np.diff(ends, prepend=-1).max()) > LINE_BYTES + 1:
            self._add_with_long(lines)
        else:
            self._sink.put(lines, len(ends))

    def _add_with_long(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if not line:
                continue
            if len(line) > LINE_BYTES:
                is_cut = len(line) > self._record_limit
                self._sink.put_apart(line[:_SHOWN] if is_cut else line, is_cut=is_cut)
            else:
                self._sink.put(line + b"\n", 1)


# ---------------------------------------------------------------- arrays


def _is_short_array(planned: Planned) -> bool:
    return (
        planned.framing == "json_array"
        and planned.encoding in _UTF8
        and planned.size_bytes is not None
        and planned.size_bytes < _WHOLE_BYTES
    )


def _cut_array(whole: bytes, sink: SegmentSink, *, record_limit: int) -> bool:
    """Take one array of objects apart; False, with nothing taken, where it is anything else or has something odd.

    The strict parser finds the elements without making values of them; the letters in their strings it leaves
    unread.
    """
    whole = whole.removeprefix(_MARK)
    try:
        if not whole.isascii():
            whole.decode()
        elements = _elements(whole)
    except (ValueError, RecursionError):
        return False
    texts = [bytes(element) for element in elements]
    if not all(_is_usual(text, record_limit) for text in texts):
        return False
    buffer: list[bytes] = []
    buffered = 0
    for text in texts:
        buffer.append(text)
        buffered += len(text)
        if buffered >= _BUFFER_BYTES:
            _put_elements(buffer, sink)
            buffer, buffered = [], 0
    _put_elements(buffer, sink)
    return True


def _is_usual(text: bytes, record_limit: int) -> bool:
    return (
        text.startswith(b"{")
        and len(text) <= min(record_limit, LINE_BYTES)
        and (text.count(b"{") + text.count(b"[") <= json_text.DEPTH_LIMIT or _is_shallow(text))
    )


def _is_shallow(text: bytes) -> bool:
    return not json_text.is_too_deep(text, msgspec.json.decode(text))


def _put_elements(texts: list[bytes], sink: SegmentSink) -> None:
    if not texts:
        return
    lines = b"\n".join(texts) + b"\n"
    # In strict JSON a line break stands between tokens only; to the engine as to the evidence it is a space.
    if lines.count(b"\n") != len(texts) or b"\r" in lines:
        lines = b"".join(text.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n" for text in texts)
    sink.put(lines, len(texts))


# ---------------------------------------------------------------- framed records


def _cut_framed(part: Part, stream: Any, sink: SegmentSink, settings: Settings, payload: str | None) -> None:
    framed = framing.frame(stream, settings)
    _RowCutter(framed, sink, payload).run()
    part.framing = framed.framing
    part.is_truncated = framed.is_truncated


class _RowCutter:
    """Framed records (rows of CSV, elements of arrays): the record as a line, and its own text beside it.

    The text of a row of CSV that is the record itself is its line; the few odd ones are kept apart.
    """

    def __init__(self, framed: framing.Framed, sink: SegmentSink, payload: str | None) -> None:
        self._framed = framed
        self._sink = sink
        self._payload = payload
        self._has_texts = payload is not None or framed.framing != "csv"
        self._lines: list[bytes] = []
        self._texts: list[bytes] = []
        self._refused: dict[int, FramedRecord] = {}
        self._buffered = 0

    def run(self) -> None:
        """Read to the end."""
        for record in self._framed:
            text = line_of(record.text)
            line = None
            if record.value is None:
                self._refused[len(self._lines)] = record
            else:
                line = _line(record, text, self._payload)
            self._lines.append(PLACEHOLDER if line is None or len(line) > LINE_BYTES else line)
            self._texts.append(text)
            self._buffered += len(text)
            if self._buffered >= _BUFFER_BYTES:
                self._flush()
                if self._sink.is_stopped:
                    return
        self._flush()

    def _flush(self) -> None:
        if self._lines:
            self._sink.put_rows(self._lines, self._texts, self._refused, has_texts=self._has_texts)
        self._lines, self._texts, self._refused, self._buffered = [], [], {}, 0


def _line(record: FramedRecord, text: bytes, payload: str | None) -> bytes | None:
    """The record, whose text is given as a line, as one line of JSON; None where only its whole text can tell it."""
    if payload is None:
        return msgspec.json.encode(record.value) + b"\n" if "\n" in record.text else text
    inner = record.value.get(payload) if record.value else None
    # A line break inside AuditData may stand in a string, where no strict reader takes it.
    if not isinstance(inner, str) or not inner.startswith("{") or "\n" in inner or "\r" in inner:
        return None
    return line_of(inner)

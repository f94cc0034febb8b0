"""A stream of JSON Lines cut into files that the engine can read, with the evidence written along the way.

A thread reads, hashes, cuts and compresses while the engine works on the segment before; nearly all of that
happens outside the interpreter's lock.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brokenseal.evidence import EvidenceWriter
    from brokenseal.model import FramedRecord

SEGMENT_BYTES: Final = 128 << 20
LINE_BYTES: Final = 8 << 20
"""A longer line is not given to the engine, whose buffers grow with the longest line."""

_BLOCK: Final = 4 << 20
_SHOWN: Final = 64 * 1024
_MARK: Final = b"\xef\xbb\xbf"
_PLACEHOLDER: Final = b"{}\n"
_LINE_FEED: Final = 0x0A
_AT: Final = 0x40
_BRACE: Final = 0x7B


@dataclass(slots=True, kw_only=True)
class Segment:
    """Some thousand records as a file of lines, none of them blank.

    Attributes:
        first: Number of its first line in the input, from 1.
        lines: How many lines it has.
        apart: Lines that stand in the file as `{}` only: number in the input to text (cut where `cut` names it).
        cut: Numbers of lines above the record limit.
        suspects: Whether PowerShell's marks of flattened objects occur in it.
        texts: File with the recorded text of each record, where that is not its line.
        refused: Records that framing could not read: number in the input to record; `{}` stands for them.
    """

    path: Path
    first: int
    lines: int = 0
    apart: dict[int, bytes] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    suspects: bool = False
    texts: Path | None = None
    refused: dict[int, FramedRecord] = field(default_factory=dict)

    def discard(self) -> None:
        """Delete its files."""
        self.path.unlink()
        if self.texts is not None:
            self.texts.unlink()


def segments(
    stream: Any, folder: Path, evidence: EvidenceWriter, *, record_limit: int, segment_bytes: int = SEGMENT_BYTES
) -> Iterator[Segment]:
    """Cut a stream of UTF-8 JSON Lines into segments; the caller deletes each file when it is done with it.

    Args:
        stream: Has `read`; what it raises is raised here.
        folder: Where the files go.
        evidence: Gets every line that is not blank.
        record_limit: A line above that many bytes is kept cut.
        segment_bytes: Size at which a segment ends.
    """
    cutter = _Cutter(stream, folder, evidence, record_limit=record_limit, segment_bytes=segment_bytes)
    return handed_over(cutter.run)


def handed_over(run: Callable[[Callable[[Segment], None], threading.Event], None]) -> Iterator[Segment]:
    """The segments that `run` hands over, one ahead of the one in use; what it raises is raised here.

    Args:
        run: Called in a thread of its own with where to put segments, and with an event that tells it to stop.
    """
    ready: queue.Queue[Segment | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def hand_over(item: Segment | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def cut() -> None:
        try:
            run(hand_over, stopped)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked for segments
            hand_over(error)
        else:
            hand_over(None)

    thread = threading.Thread(target=cut, name="segments", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


class _Cutter:
    """Blocks to whole lines to segment files."""

    def __init__(
        self, stream: Any, folder: Path, evidence: EvidenceWriter, *, record_limit: int, segment_bytes: int
    ) -> None:
        self._stream = stream
        self._folder = folder
        self._evidence = evidence
        self._record_limit = record_limit
        self._segment_bytes = segment_bytes
        self._numbered = 0
        self._next_line = 1
        self._segment: Segment | None = None
        self._file: Any = None
        self._written = 0

    def run(self, hand_over: Callable[[Segment], None], stopped: threading.Event) -> None:
        """Read to the end."""
        held: list[bytes] = []
        held_bytes = 0
        is_first = True
        while (block := self._stream.read(_BLOCK)) and not stopped.is_set():
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
            if self._written >= self._segment_bytes:
                self._finish(hand_over)
        last = b"".join(held)
        if last.strip():
            self._add(last + b"\n")
        self._finish(hand_over)

    def _pass_over(self, held: list[bytes]) -> list[bytes]:
        """A line above the limit: keep its beginning, read on to its end, and give what follows it."""
        head = b"".join(held)[:_SHOWN]
        rest = b""
        while block := self._stream.read(_BLOCK):
            end = block.find(b"\n")
            if end >= 0:
                rest = block[end + 1 :]
                break
        self._set_apart(head, is_cut=True)
        return [rest] if rest else []

    def _add(self, lines: bytes) -> None:
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b"\n")
        letters = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(letters == _LINE_FEED)
        # The usual line begins with a brace; among others there may be blank ones.
        if lines[:1] != b"{" or not (letters[ends[:-1] + 1] == _BRACE).all():
            lines = b"".join(line + b"\n" for line in lines.split(b"\n") if line.strip())
            if not lines:
                return
            letters = np.frombuffer(lines, np.uint8)
            ends = np.flatnonzero(letters == _LINE_FEED)
        # A block holds no line above its own size, so only what was put together from several needs a look.
        if len(lines) > LINE_BYTES and int(np.diff(ends, prepend=-1).max()) > LINE_BYTES + 1:
            self._add_with_long(lines)
        else:
            self._put(lines, count=len(ends))

    def _add_with_long(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if not line:
                continue
            if len(line) > LINE_BYTES:
                self._set_apart(line, is_cut=False)
            else:
                self._put(line + b"\n", count=1)

    def _set_apart(self, line: bytes, *, is_cut: bool) -> None:
        segment = self._open()
        number = segment.first + segment.lines
        segment.apart[number] = line[:_SHOWN] if is_cut or len(line) > self._record_limit else line
        if is_cut or len(line) > self._record_limit:
            segment.cut.add(number)
        self._evidence.add_lines(segment.apart[number].replace(b"\r", b" ") + b"\n")
        self._file.write(_PLACEHOLDER)
        segment.lines += 1

    def _put(self, lines: bytes, *, count: int) -> None:
        segment = self._open()
        self._file.write(lines)
        self._evidence.add_lines(lines)
        self._written += len(lines)
        segment.lines += count
        segment.suspects = segment.suspects or is_suspect(lines)

    def _open(self) -> Segment:
        if self._segment is None:
            self._numbered += 1
            path = self._folder / f"segment-{self._numbered:05}.jsonl"
            self._segment = Segment(path=path, first=self._next_line)
            self._file = path.open("wb")
            self._written = 0
        return self._segment

    def _finish(self, hand_over: Callable[[Segment], None]) -> None:
        if self._segment is None:
            return
        self._file.close()
        self._next_line += self._segment.lines
        done, self._segment = self._segment, None
        hand_over(done)


def is_suspect(lines: bytes) -> bool:
    """Whether `System.Object[]` or `@{` occurs; the latter by its rarer letter, several times as fast as `in`."""
    letters = np.frombuffer(lines, np.uint8)
    behind = np.flatnonzero(letters[:-1] == _AT) + 1
    return bool((letters[behind] == _BRACE).any()) or b"System.Object[]" in lines

"""Records of one or many inputs cut into files that the engine can read: lines of JSON, numbered through all inputs.

A thread reads, hashes, cuts and compresses while the engine works on the segment before; nearly all of that
happens outside the interpreter's lock. `SegmentSink` is what the ways of cutting (lines, arrays, rows) share.
"""

from __future__ import annotations

import queue
import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from brokenseal._ingest_parts import Part
    from brokenseal.evidence import EvidenceWriter
    from brokenseal.model import FramedRecord

SEGMENT_BYTES: Final = 128 << 20
LINE_BYTES: Final = 8 << 20
"""A longer line is not given to the engine, whose buffers grow with the longest line."""

PLACEHOLDER: Final = b"{}\n"
_SCAN_BYTES: Final = 4 << 20
_LINE_FEED: Final = 0x0A


@dataclass(slots=True, kw_only=True)
class Segment:
    """Some thousand records as a file of lines, none of them blank.

    A record has a position: its number, from 1, among the records of all inputs that are read together.

    Attributes:
        first: Position of its first line.
        lines: How many lines it has.
        marks: (position of its first record here, input) of the inputs that it holds records of, in order.
        apart: Lines that stand in the file as `{}` only: position to text (cut where `cut` names it).
        cut: Positions of lines above the record limit.
        suspects: Whether PowerShell's marks of flattened objects occur in it.
        texts: File with the recorded text of each record, where that is not its line.
        refused: Records that framing could not read: position to record; `{}` stands for them.
    """

    path: Path
    first: int
    lines: int = 0
    marks: list[tuple[int, Part]] = field(default_factory=list)
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

    def part_of(self, position: int) -> Part:
        """The input of a record."""
        return self.marks[bisect_right(self.marks, position, key=lambda mark: mark[0]) - 1][1]

    def shares(self, positions: np.ndarray) -> Iterator[tuple[Part, slice]]:
        """The inputs of some records in ascending order of their positions, each with the slice that is its own."""
        starts = [first for first, _ in self.marks]
        ends = [*np.searchsorted(positions, starts[1:]).tolist(), len(positions)]
        begin = 0
        for (_, part), end in zip(self.marks, ends, strict=True):
            if end > begin:
                yield part, slice(begin, end)
            begin = end

    def recorded(self, wanted: np.ndarray | None = None) -> Iterator[tuple[int, bytes]]:
        """Position and recorded text of every record, or of the wanted ones."""
        path = self.texts or self.path
        if wanted is not None:
            for index, line in _lines_at(path, wanted):
                yield self.first + index, self.apart.get(self.first + index, line)
            return
        with path.open("rb") as stream:
            for position, line in enumerate(stream, start=self.first):
                yield position, self.apart.get(position, line)

    def blocks(self) -> Iterator[tuple[int, bytes, np.ndarray]]:
        """The lines of its file some at a time: index of the first, bytes, and where each line ends in them."""
        return _blocks(self.path)

    def set_aside(self, unfit: np.ndarray) -> None:
        """Have placeholders stand in its file for some lines; `recorded` gives their text all the same."""
        path = self.path.with_suffix(".fit.jsonl")
        with path.open("wb") as out:
            for index, text, ends in self.blocks():
                begun = 0
                for line in np.flatnonzero(unfit[index : index + len(ends)]).tolist():
                    out.write(text[begun : ends[line - 1] if line else 0])
                    out.write(PLACEHOLDER)
                    begun = int(ends[line])
                out.write(text[begun : ends[-1]])
        if self.texts is None:
            self.texts = self.path
        else:
            self.path.unlink()
        self.path = path

    def halves(self) -> Iterator[Segment]:
        """The segment as two, lines kept whole."""
        middle = self.lines // 2
        for index, (start, end) in enumerate(((0, middle), (middle, self.lines))):
            positions = range(self.first + start, self.first + end)
            yield Segment(
                path=_some_lines(self.path, index, start, end),
                first=positions.start,
                lines=len(positions),
                marks=self._marks_within(positions),
                apart={position: line for position, line in self.apart.items() if position in positions},
                cut={position for position in self.cut if position in positions},
                suspects=self.suspects,
                texts=_some_lines(self.texts, index, start, end) if self.texts else None,
                refused={position: record for position, record in self.refused.items() if position in positions},
            )

    def _marks_within(self, positions: range) -> list[tuple[int, Part]]:
        return [(max(first, positions.start), part) for first, part in self.marks if first < positions.stop]


def _some_lines(path: Path, index: int, start: int, end: int) -> Path:
    """Some of the lines of a file as a file beside it."""
    found = path.with_suffix(f".{index}{path.suffix}")
    with path.open("rb") as stream, found.open("wb") as out:
        out.writelines(islice(stream, start, end))
    return found


def _lines_at(path: Path, wanted: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of the wanted lines of a file of whole lines; the others are not made objects of."""
    for index, text, ends in _blocks(path):
        for line in np.flatnonzero(wanted[index : index + len(ends)]).tolist():
            yield index + line, text[ends[line - 1] if line else 0 : ends[line]]


def _blocks(path: Path) -> Iterator[tuple[int, bytes, np.ndarray]]:
    """A file of whole lines some at a time: index of the first line, bytes, and where each line ends in them."""
    index = 0
    held = b""
    with path.open("rb") as stream:
        while block := stream.read(_SCAN_BYTES):
            text = held + block
            ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_FEED) + 1
            held = text[ends[-1] :] if len(ends) else text
            if len(ends):
                yield index, text, ends
                index += len(ends)


class SegmentSink:
    """Takes lines and recorded texts of one input after the other, and hands over segments.

    Attributes:
        evidence: Gets the text of every record of the input that was begun last.
    """

    def __init__(self, folder: Path, hand_over: Callable[[Segment], None], stopped: threading.Event) -> None:
        """Write files below `folder`; whoever gets a segment deletes them when he is done with it."""
        self._folder = folder
        self._stopped = stopped
        self._finder = PairFinder()
        self._hand_over = hand_over
        self._numbered = 0
        self._position = 0
        self._part: Part | None = None
        self.evidence: EvidenceWriter
        self._segment: Segment | None = None
        self._file: Any = None
        self._texts: Any = None
        self._written = 0

    @property
    def is_stopped(self) -> bool:
        """Whether nobody wants more."""
        return self._stopped.is_set()

    def begin(self, part: Part, evidence: EvidenceWriter) -> None:
        """What follows is of this input."""
        part.base = self._position
        self._part = part
        self.evidence = evidence

    def put(self, lines: bytes, count: int) -> None:
        """Take whole lines, none of them blank or longer than `LINE_BYTES`, that are the recorded text as well."""
        segment = self._open(has_texts=False)
        self._file.write(lines)
        self.evidence.add_lines(lines)
        segment.suspects = segment.suspects or self._finder.is_suspect(lines)
        self._count(count, len(lines))

    def put_rows(
        self, lines: list[bytes], texts: list[bytes], refused: dict[int, FramedRecord], *, has_texts: bool
    ) -> None:
        """Take lines and the recorded texts of the same records, by index those that could not be read.

        Args:
            lines: Whole lines.
            texts: Whole lines.
            refused: Index to record; its line is a placeholder.
            has_texts: Whether texts are another thing than lines; else only the few that differ are kept.
        """
        segment = self._open(has_texts=has_texts)
        first = self._position + 1
        text = b"".join(texts)
        self._file.write(b"".join(lines))
        if has_texts:
            self._texts.write(text)
        else:
            odd = [index for index, (line, own) in enumerate(zip(lines, texts, strict=True)) if line is not own]
            segment.apart |= {first + index: texts[index] for index in odd}
        self.evidence.add_lines(text)
        segment.suspects = segment.suspects or self._finder.is_suspect(text)
        segment.refused |= {first + index: record for index, record in refused.items()}
        self._count(len(lines), len(text))

    def put_apart(self, line: bytes, *, is_cut: bool) -> None:
        """Take one line that is too long for the engine, or the beginning of one above the record limit."""
        segment = self._open(has_texts=False)
        position = self._position + 1
        segment.apart[position] = line
        if is_cut:
            segment.cut.add(position)
        self._file.write(PLACEHOLDER)
        self.evidence.add_lines(line.replace(b"\r", b" ") + b"\n")
        self._count(1, 0)

    def _count(self, records: int, written: int) -> None:
        if self._segment is not None:
            self._segment.lines += records
        self._position += records
        self._written += written
        if self._written >= SEGMENT_BYTES:
            self.finish()

    def _open(self, *, has_texts: bool) -> Segment:
        if self._segment is not None and (self._segment.texts is not None) != has_texts:
            self.finish()
        if self._segment is None:
            self._numbered += 1
            path = self._folder / f"segment-{self._numbered:05}.jsonl"
            texts = path.with_suffix(".texts") if has_texts else None
            self._segment = Segment(path=path, first=self._position + 1, texts=texts)
            self._file = path.open("wb")
            self._texts = texts.open("wb") if texts is not None else None
            self._written = 0
        marks = self._segment.marks
        if self._part is not None and (not marks or marks[-1][1] is not self._part):
            marks.append((self._position + 1, self._part))
        return self._segment

    def finish(self) -> None:
        """Hand over the segment that is open, if there is one."""
        if self._segment is None:
            return
        self._file.close()
        if self._texts is not None:
            self._texts.close()
        done, self._segment = self._segment, None
        self._hand_over(done)


def handed_over(run: Callable[[Callable[[Segment], None], threading.Event], None]) -> Generator[Segment]:
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


class PairFinder:
    """Looks for two letters in a row, both at once at every second place: eight times as fast as `in` for such text."""

    def __init__(self) -> None:
        """Keep the memory for what is found from call to call; for one thread."""
        self._hits = np.empty(0, np.bool_)

    def has(self, text: bytes, pair: bytes) -> bool:
        """Whether a text holds the two letters."""
        letters = np.frombuffer(text, np.uint8)
        wanted = np.frombuffer(pair, np.uint16)[0]
        if len(letters) // 2 > len(self._hits):
            self._hits = np.empty(len(letters) // 2, np.bool_)
        for start in (0, 1):
            pairs = letters[start : start + (len(letters) - start) // 2 * 2].view(np.uint16)
            hits = self._hits[: len(pairs)]
            np.equal(pairs, wanted, out=hits)
            if hits.any():
                return True
        return False

    def is_suspect(self, lines: bytes) -> bool:
        """Whether PowerShell's marks occur: `System.Object[]`, of which `t[` is rare in JSON, or `@{`."""
        return self.has(lines, b"@{") or (self.has(lines, b"t[") and b"System.Object[]" in lines)

"""Lines of text by the hundred thousand, without a Python loop over them.

A line is a row of pieces. Every piece is an index into a column's distinct words (already JSON, name and comma
included), so that Arrow's `take` lays the bytes of all lines out in one pass, and the offsets of the pieces give the
lines without a copy. Columns that repeat cost their distinct words only; lists of a record's items are runs of pieces.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill.tables import DAY_US, SECOND_US, Coded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

ROWS_AT_A_TIME: Final = 50_000
"""Lines of one call: Arrow addresses the text of one array with 31 bits."""

_SECONDS_OF_DAY: Final = 86_400
_SPACE: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """One piece per line."""

    words: pa.Array
    codes: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[Any]) -> Pieces:
        """The same words, these lines."""
        return Pieces(self.words, self.codes[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Any number of pieces per line: `counts` of them, in the lines' order."""

    words: pa.Array
    codes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


Part = str | Pieces | Runs


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Lines that lie in several buffers, so that none of them has to be copied to be written.

    Attributes:
        buffers: Bytes of Arrow arrays.
        buffer: Buffer of each line.
        start: First byte of each line.
        stop: End of each line.
    """

    buffers: tuple[memoryview, ...]
    buffer: npt.NDArray[np.int64]
    start: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]

    @classmethod
    def of(cls, arrays: Sequence[pa.Array], place: npt.NDArray[np.int64] | None = None) -> Self:
        """The lines of these arrays, one array after the other, or those at the places given."""
        filled = [one for one in arrays if len(one)]
        bounds = [
            np.frombuffer(one.buffers()[1], dtype=np.int32)[one.offset : one.offset + len(one) + 1] for one in filled
        ]
        nothing = np.empty(0, dtype=np.int32)
        order = slice(None) if place is None else place
        return cls(
            buffers=tuple(memoryview(one.buffers()[2] or b"") for one in filled),
            buffer=np.repeat(np.arange(len(filled)), [len(one) for one in filled])[order],
            start=np.concatenate([nothing, *(one[:-1] for one in bounds)])[order],
            stop=np.concatenate([nothing, *(one[1:] for one in bounds)])[order],
        )

    @classmethod
    def below(cls, texts: Sequence[Text]) -> Self:
        """The lines of these texts, one text after the other."""
        first = np.cumsum([0, *(len(one.buffers) for one in texts)])
        return cls(
            buffers=tuple(buffer for one in texts for buffer in one.buffers),
            buffer=np.concatenate([one.buffer + start for one, start in zip(texts, first, strict=False)]),
            start=np.concatenate([one.start for one in texts]),
            stop=np.concatenate([one.stop for one in texts]),
        )

    def __len__(self) -> int:
        return len(self.start)

    def lines(self, rows: npt.NDArray[Any]) -> Iterator[memoryview]:
        """The bytes of these lines."""
        places = zip(self.buffer[rows].tolist(), self.start[rows].tolist(), self.stop[rows].tolist(), strict=True)
        for buffer, start, stop in places:
            yield self.buffers[buffer][start:stop]

    def to_pylist(self) -> list[str]:
        """The lines as Python's text."""
        return [bytes(line).decode() for line in self.lines(np.arange(len(self)))]


# ---------------------------------------------------------------- laying out


def render(parts: Sequence[Part], rows: int, *, doubled: bool = False) -> pa.Array:
    """The lines, one Arrow string each.

    Args:
        parts: What each line consists of, in order; text is the same in all lines.
        rows: Number of lines, at most `ROWS_AT_A_TIME` for long ones.
        doubled: Double every quotation mark, as a CSV cell within quotation marks needs (RFC 4180).
    """
    placed, words = _vocabulary(parts)
    if doubled:
        words = pc.replace_substring(words, '"', '""')
    runs = [part for part in placed if isinstance(part, Runs)]
    starts = np.zeros(rows + 1, dtype=np.int64)
    per_line = np.full(rows, len(placed) - len(runs), dtype=np.int64)
    for run in runs:
        per_line += run.counts
    np.cumsum(per_line, out=starts[1:])
    flat = np.empty(int(starts[-1]), dtype=np.int32)
    place = starts[:-1].copy()
    for part in placed:
        if isinstance(part, Pieces):
            flat[place] = part.codes
            place += 1
        else:
            first = np.cumsum(part.counts) - part.counts
            flat[np.repeat(place - first, part.counts) + np.arange(len(part.codes))] = part.codes
            place += part.counts
    taken = words.take(pa.array(flat))
    offsets = np.frombuffer(taken.buffers()[1], dtype=np.int32, count=len(flat) + 1)
    return pa.StringArray.from_buffers(
        rows, pa.py_buffer(np.ascontiguousarray(offsets[starts])), taken.buffers()[2] or pa.py_buffer(b"")
    )


def _vocabulary(parts: Sequence[Part]) -> tuple[list[Pieces | Runs], pa.Array]:
    """The parts with their codes moved to one common list of words, and that list."""
    sources: list[pa.Array] = []
    starts: dict[int, int] = {}
    length = 0
    placed: list[Pieces | Runs] = []
    for part in parts:
        words = pa.array([part], pa.string()) if isinstance(part, str) else part.words
        start = starts.get(id(words), length)
        if start == length:
            sources.append(words)
            starts[id(words)] = length
            length += len(words)
        if isinstance(part, str):
            placed.append(Pieces(words, np.array([start], dtype=np.int32)))
        elif isinstance(part, Pieces):
            placed.append(Pieces(words, part.codes + np.int32(start)))
        else:
            placed.append(Runs(words, part.codes + np.int32(start), part.counts))
    return placed, pa.concat_arrays(sources).fill_null("")


# ---------------------------------------------------------------- words


def json_text(words: pa.Array) -> pa.Array:
    """Each text as a JSON string with its quotation marks; null stays null."""
    data = words.buffers()[2]
    start, stop = 0, 0
    if data is not None and len(words):
        bounds = np.frombuffer(words.buffers()[1], dtype=np.int32, count=words.offset + len(words) + 1)
        start, stop = int(bounds[words.offset]), int(bounds[-1])
    text = np.frombuffer(data, dtype=np.uint8)[start:stop] if stop > start else np.empty(0, dtype=np.uint8)
    if ((text == ord('"')) | (text == ord("\\")) | (text < _SPACE)).any():
        written = [None if word is None else json.dumps(word, ensure_ascii=False) for word in words.to_pylist()]
        return pa.array(written, pa.string())
    return pc.binary_join_element_wise('"', words, '"', "")


def _named(name: str, words: pa.Array) -> pa.Array:
    """`,"name":value` for each word, an empty text for null."""
    return pc.binary_join_element_wise(f',"{name}":', words, "").fill_null("")


def member(name: str, value: Coded | pa.Array) -> Pieces:
    """`,"name":"text"` per line; null leaves the member out."""
    if isinstance(value, Coded):
        words = _named(name, json_text(pa.array([*value.words, None], pa.string())))
        codes = np.where(value.codes < 0, len(value.words), value.codes).astype(np.int32)
        return Pieces(words, codes)
    return Pieces(_named(name, json_text(value)), np.arange(len(value), dtype=np.int32))


def coded_as(value: Coded, words: Sequence[str], *, absent: str = "") -> Pieces:
    """One ready piece of text per word of `value`, `absent` where it is null."""
    codes = np.where(value.codes < 0, len(value.words), value.codes).astype(np.int32)
    return Pieces(pa.array([*words, absent], pa.string()), codes)


def number(name: str, value: npt.NDArray[Any], *, absent: int | None = None) -> Pieces:
    """`,"name":1` per line; lines with the value `absent` leave the member out."""
    distinct, codes = np.unique(value, return_inverse=True)
    words = pa.array([("" if one == absent else f',"{name}":{one}') for one in distinct.tolist()], pa.string())
    return Pieces(words, codes.astype(np.int32))


def flag(name: str, value: npt.NDArray[np.bool_]) -> Pieces:
    """`,"name":true` or `false` per line."""
    return Pieces(pa.array([f',"{name}":false', f',"{name}":true'], pa.string()), value.astype(np.int32))


def chosen(mask: npt.NDArray[np.bool_], text: str, otherwise: str = "") -> Pieces:
    """`text` on the lines of the mask, `otherwise` on the others."""
    return Pieces(pa.array([otherwise, text], pa.string()), mask.astype(np.int32))


def only(mask: npt.NDArray[np.bool_], pieces: Pieces) -> Pieces:
    """The pieces on the lines of the mask, nothing on the others."""
    words = pa.concat_arrays([pieces.words, pa.array([""], pa.string())])
    return Pieces(words, np.where(mask, pieces.codes, len(pieces.words)).astype(np.int32))


# ---------------------------------------------------------------- times


@functools.cache
def _clock() -> pa.Array:
    """`T00:00:00` for each second of a day, then an empty text."""
    hours, rest = np.divmod(np.arange(_SECONDS_OF_DAY), 3600)
    minutes, seconds = np.divmod(rest, 60)
    text = np.empty((_SECONDS_OF_DAY, 9), dtype=np.uint8)
    text[:, 0] = ord("T")
    text[:, [3, 6]] = ord(":")
    for place, value in ((1, hours), (4, minutes), (7, seconds)):
        text[:, place] = value // 10 + ord("0")
        text[:, place + 1] = value % 10 + ord("0")
    offsets = np.append(np.arange(_SECONDS_OF_DAY + 1, dtype=np.int32) * 9, np.int32(_SECONDS_OF_DAY * 9))
    return pa.StringArray.from_buffers(_SECONDS_OF_DAY + 1, pa.py_buffer(offsets), pa.py_buffer(text))


@functools.cache
def _milliseconds() -> pa.Array:
    return pa.array([f".{one:03d}" for one in range(1000)], pa.string())


def time_member(name: str, at_us: npt.NDArray[np.int64], *, ending: str = '"', absent: int | None = None) -> list[Part]:
    """`,"name":"2025-10-27T07:09:33"` per line, cut to seconds; `ending` closes it (a zone, the quotation mark).

    Lines whose time is `absent` leave the member out.
    """
    return moment(f',"{name}":"', at_us, ending=ending, absent=absent)


def moment(
    opening: str, at_us: npt.NDArray[np.int64], *, ending: str = "", absent: int | None = None, fraction: bool = False
) -> list[Part]:
    """`opening`, date and time per line, with milliseconds where `fraction`, and `ending`."""
    day, within = np.divmod(at_us, DAY_US)
    distinct, inverse = np.unique(day, return_inverse=True)
    words = [f"{opening}{word}" for word in np.datetime_as_string(distinct.astype("datetime64[D]")).tolist()]
    seconds: npt.NDArray[np.int32] = (within // SECOND_US).astype(np.int32)
    codes: npt.NDArray[np.int32] = inverse.astype(np.int32)
    parts: list[Part] = []
    if absent is None:
        parts += [Pieces(pa.array(words, pa.string()), codes), Pieces(_clock(), seconds)]
        closing: Part = ending
    else:
        is_absent = at_us == absent
        codes[is_absent] = len(words)
        seconds[is_absent] = _SECONDS_OF_DAY
        parts += [Pieces(pa.array([*words, ""], pa.string()), codes), Pieces(_clock(), seconds)]
        closing = chosen(~is_absent, ending)
    if fraction:
        parts.append(Pieces(_milliseconds(), (within // 1000 % 1000).astype(np.int32)))
    return [*parts, closing] if ending else parts


# ---------------------------------------------------------------- lists within a line


def owners(keys: npt.NDArray[np.int64], line_keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of entries of each line: entries name their line by key, sorted in the order of the lines.

    Raises:
        ValueError: An entry names no line. That is a mistake of the calling layer.
    """
    if not len(keys):
        return np.zeros(len(line_keys), dtype=np.int64)
    order = np.argsort(line_keys, kind="stable")
    found = np.searchsorted(line_keys, keys, sorter=order)
    if (found >= len(order)).any() or (line_keys[order[np.minimum(found, len(order) - 1)]] != keys).any():
        raise ValueError("an entry belongs to no line")
    counts: npt.NDArray[np.int64] = np.bincount(order[found], minlength=len(line_keys)).astype(np.int64)
    return counts


def listed(items: pa.Array, counts: npt.NDArray[np.int64], *, opening: str, closing: str) -> Runs:
    """`opening`, the items with commas between them, `closing`; lines without items have nothing.

    Args:
        items: The items' JSON, line by line.
        counts: Items of each line.
        opening: Such as `,"Parameters":[`.
        closing: Such as `]`.
    """
    within = _within(counts)
    total = np.repeat(counts, counts)
    marks = pa.array([opening, ",", "", closing], pa.string())
    before = np.where(within == 0, 0, 1).astype(np.int32)
    after = np.where(within == total - 1, 3, 2).astype(np.int32)
    return _triples(items, marks, before, after, counts)


def grouped(
    items: pa.Array,
    counts: npt.NDArray[np.int64],
    group: npt.NDArray[np.int32],
    frames: Sequence[tuple[str, str]],
    *,
    opening: str,
    closing: str,
) -> Runs:
    """As `listed`, with the items of a line framed by group: items of one group stand together.

    Args:
        items: The items' JSON, line by line, sorted by group within the line.
        counts: Items of each line.
        group: Index into `frames` of each item.
        frames: What opens and closes each group, such as `{"Id":"…","Path":"…","FolderItems":[` and `]}`.
        opening: What opens the list of groups.
        closing: What closes it.
    """
    total = np.repeat(counts, counts)
    within = _within(counts)
    is_first_of_line, is_last_of_line = within == 0, within == total - 1
    changes = np.append(group[1:] != group[:-1], True) if len(group) else np.empty(0, dtype=bool)
    is_last = is_last_of_line | changes
    is_first = is_first_of_line | np.append(True, is_last[:-1])[: len(group)]
    size = len(frames)
    marks = pa.array(
        [
            ",",
            "",
            *(opening + start for start, _ in frames),
            *("," + start for start, _ in frames),
            *(end for _, end in frames),
            *(end + closing for _, end in frames),
        ],
        pa.string(),
    )
    before = np.where(is_first, np.where(is_first_of_line, 2 + group, 2 + size + group), 0).astype(np.int32)
    after = np.where(is_last, np.where(is_last_of_line, 2 + 3 * size + group, 2 + 2 * size + group), 1)
    return _triples(items, marks, before, after.astype(np.int32), counts)


def _within(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    first = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)


def _triples(
    items: pa.Array,
    marks: pa.Array,
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
) -> Runs:
    codes = np.empty((len(before), 3), dtype=np.int32)
    codes[:, 0] = before
    codes[:, 1] = np.arange(len(before), dtype=np.int32) + np.int32(len(marks))
    codes[:, 2] = after
    return Runs(pa.concat_arrays([marks, items]), codes.ravel(), counts * 3)

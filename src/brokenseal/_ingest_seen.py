"""Which records are the first of their event id: the ids of the store as sorted numbers in memory, 16 bytes each.

To look some ids up takes as long in a large store as in a small one, but for the steps of a search. Nothing is kept on
disk: to read the ids and sort them takes less than a microsecond each, once in a run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEY_TEXT: Final = "CASE WHEN strlen(event_id) = 36 THEN event_id ELSE sha256(event_id) END"
"""In the engine's language, what `key_text` gives for the column `event_id`."""

_GUID_BYTES: Final = 36
_DIGEST_BYTES: Final = 64
_DIGIT_SPANS: Final = ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
_HYPHENS: Final = np.frombuffer(b"----", np.uint8)
_ROWS_AT_ONCE: Final = 1 << 13
"""So many texts stay in the processor's cache from one step to the next."""

_MOST_TOGETHER: Final = 1 << 24
"""Keys that are sorted together: more would take more memory beside the keys than it saves in time."""

_EACH: Final = np.uint64(0x0101010101010101)
"""One in each byte."""


def key_text(event_id: str) -> str:
    """An id that may be a GUID as it is, any other as its SHA-256, so that no text can be made to collide."""
    text = event_id.encode()
    return event_id if len(text) == _GUID_BYTES else hashlib.sha256(text).hexdigest()


class SeenIds:
    """The event ids of committed records and of those claimed so far."""

    def __init__(self, committed: Callable[[], Iterable[pa.Array]] | None = None) -> None:
        """Begin with key texts that are read when the first record asks, or with none."""
        self._committed = committed
        self._runs: list[np.ndarray] = []

    def claim(self, texts: pa.Array, numbers: np.ndarray) -> np.ndarray:
        """Settle which records are the first of their event id, and remember them.

        Args:
            texts: `key_text` of each record's id.
            numbers: The record's number, in any order.

        Returns: The numbers of those that are new, ascending: of each id not seen before, the lowest.
        """
        if self._committed is not None:
            committed, self._committed = self._committed, None
            self._learn(committed())
        keys = keys_of(texts)
        order = _order(keys, numbers)
        keys = keys[:, order]
        is_new = np.ones(len(order), bool)
        is_new[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
        for run in self._runs:
            at = np.flatnonzero(is_new)
            is_new[at[_has(run, keys[:, at])]] = False
        if is_new.any():
            self._add(keys[:, is_new])
        return np.sort(numbers[order[is_new]])

    def _learn(self, blocks: Iterable[pa.Array]) -> None:
        waiting: list[np.ndarray] = []
        count = 0
        for block in blocks:
            waiting.append(keys_of(block))
            count += len(block)
            if count >= _MOST_TOGETHER:
                self._runs.append(_sorted(waiting))
                count = 0
        if count:
            self._runs.append(_sorted(waiting))

    def _add(self, keys: np.ndarray) -> None:
        """Add sorted keys; runs of like size are made one, so that there are few, and few keys are moved often."""
        together = [keys]
        size = keys.shape[1]
        while self._runs and self._runs[-1].shape[1] < 2 * size and size + self._runs[-1].shape[1] <= _MOST_TOGETHER:
            together.append(self._runs.pop())
            size += together[-1].shape[1]
        self._runs.append(_sorted(together) if len(together) > 1 else keys)


def keys_of(texts: pa.Array) -> np.ndarray:
    """Key texts as 128 bits each: a GUID as its own, where it is written in the canonical form; others hashed.

    Returns: Two rows of 64 bits.
    """
    keys = np.empty((2, len(texts)), np.uint64)
    if not len(texts):
        return keys
    lengths = np.diff(_offsets(texts))
    # A text of another length does not come from `key_text`, and would leave a key that nobody made.
    assert np.isin(lengths, (_GUID_BYTES, _DIGEST_BYTES)).all()
    for length in (_GUID_BYTES, _DIGEST_BYTES):
        is_own = lengths == length
        if not is_own.any():
            continue
        own = texts if is_own.all() else texts.filter(pa.array(is_own))
        letters = np.frombuffer(own.buffers()[2] or b"", np.uint8)[_offsets(own)[0] :][: len(own) * length]
        keys[:, is_own] = np.concatenate(
            [
                _keys(rows) if length == _GUID_BYTES else _bits(rows[:, :32])[0]
                for rows in _slices(letters.reshape(len(own), length))
            ],
            axis=1,
        )
    return keys


def _offsets(texts: pa.Array) -> np.ndarray:
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]


def _slices(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]


def _keys(rows: np.ndarray) -> np.ndarray:
    """Keys of texts as long as a GUID."""
    keys, is_hex = _bits(np.concatenate([rows[:, start:end] for start, end in _DIGIT_SPANS], axis=1))
    is_guid = is_hex & (rows[:, [8, 13, 18, 23]] == _HYPHENS).all(axis=1)
    if not is_guid.all():
        digests = [hashlib.sha256(row.tobytes()).hexdigest()[:32].encode() for row in rows[~is_guid]]
        keys[:, ~is_guid] = _bits(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))[0]
    return keys


def _bits(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that 32 hexadecimal digits each write, in an order of bits of its own, and whether they are such.

    Eight digits are worked on at a time, as the bytes of one number.
    """
    words = np.ascontiguousarray(digits).view(np.uint64)
    values = (words & (_EACH * np.uint64(0x0F))) + ((words >> np.uint64(6)) & _EACH) * np.uint64(9)
    is_letter = ((values + _EACH * np.uint64(6)) >> np.uint64(4)) & _EACH
    again = values + _EACH * np.uint64(ord("0")) + is_letter * np.uint64(ord("a") - ord("9") - 1)
    is_hex = (((again ^ words) | (values & (_EACH * np.uint64(0xF0)))) == 0).all(axis=1)
    values = (values | (values >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    values = (values | (values >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    values = (values | (values >> np.uint64(16))) & np.uint64(0x00000000FFFFFFFF)
    return (values[:, ::2] | (values[:, 1::2] << np.uint64(32))).T, is_hex


def _order(keys: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    """The order of keys by both halves, and of equal ones by their numbers."""
    order = np.argsort(keys[0])
    first = keys[0][order]
    is_like = first[1:] == first[:-1]
    if is_like.any():
        # Halves that are equal are sorted once more: random ones never are, chosen ones may all be.
        at = np.flatnonzero(np.append(is_like, [False]) | np.insert(is_like, 0, False))
        like = order[at]
        by = (keys[1][like], keys[0][like])
        order[at] = like[np.lexsort(by if numbers is None else (numbers[like], *by))]
    return order


def _sorted(blocks: list[np.ndarray]) -> np.ndarray:
    """Keys of some blocks, sorted; the list is emptied, so that they are not held twice."""
    keys = np.concatenate(blocks, axis=1)
    blocks.clear()
    order = _order(keys)
    for half in keys:
        half[:] = half[order]
    return keys


def _has(run: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Whether each key, in sorted order, stands in sorted keys."""
    found = np.zeros(keys.shape[1], bool)
    start = np.searchsorted(run[0], keys[0])
    at = np.flatnonzero(np.take(run[0], start, mode="clip") == keys[0])
    if not len(at):
        return found
    low, wanted = start[at], keys[1][at]
    high = np.searchsorted(run[0], keys[0][at], side="right")
    end = high.copy()
    # Among those whose first half is equal, by the second one.
    while (is_open := low < high).any():
        middle = (low + high) // 2
        is_below = is_open & (np.take(run[1], middle, mode="clip") < wanted)
        low = np.where(is_below, middle + 1, low)
        high = np.where(is_open & ~is_below, middle, high)
    found[at] = (low < end) & (np.take(run[1], low, mode="clip") == wanted)
    return found

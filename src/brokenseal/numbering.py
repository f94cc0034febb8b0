"""Texts as numbers, so that what is compared and counted over all units is worked on in arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Codes = npt.NDArray[np.int64]


def numbered(texts: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Equal texts as equal numbers from 0 on, null as -1; and the text of each number."""
    # What was made in the engine may be in the form of numbers and list already, with lists that differ by chunk.
    whole = texts.cast("string").combine_chunks().dictionary_encode()
    return whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()


def shared(texts: pa.ChunkedArray) -> list[str | None]:
    """The texts as objects, each different one once: of millions of rows, those that recur are most of the memory."""
    codes, names = numbered(texts)
    return list(map([*names, None].__getitem__, codes.tolist()))


def numbered_rows(*columns: Codes) -> Codes:
    """Equal rows of numbers as equal numbers, from 0 on."""
    found = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        codes = column - column.min(initial=0)
        found = np.unique(found * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]
    return found

"""Random numbers by key, so that any tenant, person or day regenerates alone and in any order.

Two kinds are offered. `stream` gives a NumPy generator for one key, to draw whole columns from. `hashed` gives a
number per row from the row's own ids, which does not depend on what other rows exist: use it for whatever must be the
same when seen from another day (sessions, tokens, what a person is like).

Keys must be values that mean the same on every machine: integers and text, never object ids or hashes of Python.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bytes = npt.NDArray[np.uint8]
    Words64 = npt.NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_MANTISSA: Final = 2.0**-53

LAST_BYTES: Final = (0, 1, 2)
"""Last bytes of genuine Entra request ids, as 569 of 569 login records of a public lab export end."""
_LAST_BYTE_WEIGHTS: Final = (0.55, 0.27, 0.18)

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
# Places of the 16 bytes in the 36 characters of a GUID.
_PLACES = np.array([0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34])
# A GUID's text shows its first three fields big-endian; tokens and .NET hold them little-endian.
_LITTLE_ENDIAN = np.array([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])


def _digest(seed: int, keys: tuple[int | str, ...]) -> bytes:
    # repr keeps 1 and "1" apart, and the separator keeps ("ab",) and ("a", "b") apart.
    return hashlib.sha256("\x1f".join(repr(key) for key in (seed, *keys)).encode()).digest()


def stream(seed: int, *keys: int | str) -> np.random.Generator:
    """The generator of this key, such as `stream(7, "tenant", 3, "day", 40, "reads")`: Philox keyed by SHA-256."""
    return np.random.Generator(np.random.Philox(key=np.frombuffer(_digest(seed, keys)[:16], dtype="<u8")))


def hash_key(seed: int, *keys: int | str) -> int:
    """A 64-bit key for `hashed` and its kin."""
    return int.from_bytes(_digest(seed, keys)[16:24], "little")


def _mix(value: Words64) -> Words64:
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    mixed: Words64 = value ^ (value >> np.uint64(31))
    return mixed


def hashed(key: int, *ids: npt.NDArray[Any] | int) -> Words64:
    """64 random bits per row, from the key and the row's integer ids alone (SplitMix64); arrays broadcast."""
    value = np.array([key], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in ids:
            words = np.atleast_1d(np.asarray(column)).astype(np.int64).view(np.uint64)
            value = _mix((value ^ words) + _GOLDEN)
    return value


def hashed_uniform(key: int, *ids: npt.NDArray[Any] | int) -> Floats:
    """As `hashed`, uniform in [0, 1)."""
    uniform: Floats = (hashed(key, *ids) >> np.uint64(11)).astype(np.float64) * _MANTISSA
    return uniform


def hashed_normal(key: int, *ids: npt.NDArray[Any] | int) -> Floats:
    """As `hashed`, standard normal (Box-Muller)."""
    radius = np.sqrt(-2.0 * np.log1p(-hashed_uniform(key, *ids)))
    normal: Floats = radius * np.cos(2.0 * np.pi * hashed_uniform(key ^ 0x5851F42D4C957F2D, *ids))
    return normal


def hashed_bytes(key: int, *ids: npt.NDArray[Any] | int) -> Bytes:
    """As `hashed`, 16 bytes per row."""
    high = hashed(key, *ids)
    low = hashed(key ^ 0x2545F4914F6CDD1D, *ids)
    raw: Bytes = np.stack([high, low], axis=1).astype("<u8").view(np.uint8)
    return raw


def random_bytes(rng: np.random.Generator, rows: int) -> Bytes:
    """16 random bytes per row."""
    return rng.integers(0, 256, size=(rows, 16), dtype=np.uint8)


def version4(raw: Bytes) -> Bytes:
    """The bytes of version 4 GUIDs, in the order of their text."""
    guid = raw.copy()
    guid[:, 6] = (guid[:, 6] & 0x0F) | 0x40
    guid[:, 8] = (guid[:, 8] & 0x3F) | 0x80
    return guid


def request_ids(raw: Bytes) -> Bytes:
    """The bytes of Entra request ids: version 4, but the last byte is one of `LAST_BYTES`."""
    guid = version4(raw)
    edges = np.cumsum(_LAST_BYTE_WEIGHTS)[:-1] * 256
    guid[:, 15] = np.asarray(LAST_BYTES, dtype=np.uint8)[np.searchsorted(edges, raw[:, 15], side="right")]
    return guid


def _fixed_text(characters: Bytes) -> pa.Array:
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(characters)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))


def guid_text(guid: Bytes) -> pa.Array:
    """GUIDs as text, lower case with hyphens, one Arrow string per row of 16 bytes."""
    text = np.full((len(guid), 36), ord("-"), dtype=np.uint8)
    pairs = _HEX[guid]
    text[:, _PLACES] = pairs[:, :, 0]
    text[:, _PLACES + 1] = pairs[:, :, 1]
    return _fixed_text(text)


def base64url_text(raw: Bytes) -> pa.Array:
    """Base64url without padding, one Arrow string per row of bytes."""
    rows, width = raw.shape
    length = -(-width * 4 // 3)
    padded = np.zeros((rows, -(-width // 3) * 3), dtype=np.uint32)
    padded[:, :width] = raw
    triples = (padded[:, 0::3] << 16) | (padded[:, 1::3] << 8) | padded[:, 2::3]
    digits = np.stack([(triples >> shift) & 63 for shift in (18, 12, 6, 0)], axis=2).reshape(rows, triples.shape[1] * 4)
    return _fixed_text(_ALPHABET[digits[:, :length]])


def uti_text(guid: Bytes) -> pa.Array:
    """The token id as tokens carry it: base64url, 22 characters, of the GUID's little-endian bytes.

    Source: Microsoft Entra, linkable token identifiers; conversion as in AzureAD/MSIdentityTools.
    """
    return base64url_text(guid[:, _LITTLE_ENDIAN])


def chance(rng: np.random.Generator, share: float, rows: int) -> npt.NDArray[np.bool_]:
    """True in this share of the rows, drawn independently."""
    drawn: npt.NDArray[np.bool_] = rng.random(rows) < share
    return drawn


def hashed_chance(share: float, key: int, *ids: npt.NDArray[Any] | int) -> npt.NDArray[np.bool_]:
    """As `hashed`, true in this share of the rows."""
    drawn: npt.NDArray[np.bool_] = hashed_uniform(key, *ids) < share
    return drawn


def choose(rng: np.random.Generator, weights: npt.ArrayLike, rows: int) -> npt.NDArray[np.int32]:
    """Indices drawn with these weights (any positive scale)."""
    return pick(rng.random(rows), weights)


def pick(uniform: Floats, weights: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Indices by weight from given uniform numbers; `weights` is one row for all, or a row each."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64), axis=-1)
    if edges.ndim == 1:
        chosen = np.searchsorted(edges, uniform * edges[-1], side="right")
    else:
        chosen = (edges <= (uniform * edges[:, -1])[:, None]).sum(axis=1)
    indices: npt.NDArray[np.int32] = np.minimum(chosen, edges.shape[-1] - 1).astype(np.int32)
    return indices


def lognormal(rng: np.random.Generator, median: npt.ArrayLike, sigma: float, rows: int) -> Floats:
    """Lognormal values by median and the standard deviation of the logarithm."""
    value: Floats = np.asarray(median, dtype=np.float64) * np.exp(sigma * rng.standard_normal(rows))
    return value


def spread(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For rows that each become `counts` rows: the parent's index, and the number within the parent from 0."""
    parents = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    starts = np.cumsum(counts) - counts
    return parents, np.arange(len(parents), dtype=np.int64) - starts[parents]

"""Identifiers as Microsoft's services make them: request ids, audit record ids, Exchange entry ids.

Structure, read from a public 2021 lab export (569 logins, 5,373 records):

* An Entra request id is twelve bytes of one server process and its request counter, four bytes little-endian, which
  grows by about 60 a second (54 to 72 on working days). A process lives a day or a week, as its datacentre is renewed,
  but not ten days, so the last byte is 00, and after three and a half days 01 or 02.
* The `Id` of an Exchange record of type 1, 2 or 3 ends in the .NET ticks of its time, so that databases sort it well.
  Aggregated records (type 50) and directory records have random version 4 ids.
* A folder's entry id is 48 bytes, an item's 72: length, provider, database, counters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from brokenseal.drill import streams
from brokenseal.drill.tables import DAY_US, SECOND_US

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bytes = npt.NDArray[np.uint8]

_PROCESS_DAYS: Final = (1.0, 6.0)
_PROCESS_JITTER: Final = 0.5
_LOGINS_PER_PROCESS: Final = 4
# Ticks of 100 ns between year 1 and 1970.
_TICKS_1970: Final = 621_355_968_000_000_000
_ALPHABET: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


def renewals(phase: npt.NDArray[np.uint64], at: Ints, period_us: int, jitter: float) -> tuple[Ints, Ints, Ints]:
    """Which lifetime of something that is renewed again and again holds at a time: number, begin and end of it.

    Lifetimes are `period_us` long, more or less `jitter` times as much. They depend on nothing but `phase` and their
    number, so that every day sees the same ones.

    Args:
        phase: 64 random bits per row that say which thing it is.
        at: Times, microseconds.
        period_us: Mean lifetime.
        jitter: 0 to 1.
    """
    shift = (phase % np.uint64(period_us)).astype(np.int64)
    number = (at - shift) // period_us
    begin = _renewed(phase, number, shift, period_us, jitter)
    number = number - (at < begin)
    begin = _renewed(phase, number, shift, period_us, jitter)
    return number, begin, _renewed(phase, number + 1, shift, period_us, jitter)


def _renewed(phase: npt.NDArray[np.uint64], number: Ints, shift: Ints, period_us: int, jitter: float) -> Ints:
    wait = streams.hashed_uniform(0x5E11, phase.view(np.int64), number) * (jitter * period_us)
    return number * period_us + shift + wait.astype(np.int64)


def request_ids(key: int, row: npt.NDArray[np.uint64], at: Ints, *, accounts: int) -> Bytes:
    """The request id of each request, 16 bytes in the order of their text.

    Args:
        key: Key of the tenant.
        row: 64 random bits per request, which say where it is routed.
        at: Time of the request.
        accounts: Mailboxes of the tenant; small tenants meet fewer processes.
    """
    if not len(row):
        return np.empty((0, 16), dtype=np.uint8)
    server = row % np.uint64(max(64 * accounts // _LOGINS_PER_PROCESS, 64))
    phase = streams.hashed(key ^ 0x51, server.view(np.int64))
    low, high = np.log(_PROCESS_DAYS)
    days = float(np.exp(low + (high - low) * streams.hashed_uniform(key ^ 0x54, 0)[0]))
    number, begin, _ = renewals(phase, at, int(days * DAY_US), _PROCESS_JITTER)
    guid = streams.version4(streams.hashed_bytes(key ^ 0x52, server.view(np.int64), number))
    rate = 50.0 + 12.0 * streams.hashed_uniform(key ^ 0x53, server.view(np.int64), number)
    counter = ((at - begin) * rate / SECOND_US).astype(np.uint32)
    guid[:, 12:] = counter.astype("<u4").view(np.uint8).reshape(-1, 4)
    return _distinct(guid, row)


def _distinct(guid: Bytes, row: npt.NDArray[np.uint64]) -> Bytes:
    """Two requests of one process within one tick of its counter get numbers next to each other."""
    whole = np.ascontiguousarray(guid).view("V16").ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    if len(first) == len(whole):
        return guid
    order = np.lexsort((row, inverse))
    place = np.arange(len(order)) - np.flatnonzero(np.append(True, np.diff(inverse[order]) != 0))[inverse[order]]
    counter = guid[order, 12:].copy().view("<u4").ravel() + place.astype(np.uint32)
    guid[order, 12:] = counter.astype("<u4").view(np.uint8).reshape(-1, 4)
    return _distinct(guid, row)


def sortable_ids(raw: Bytes, at: Ints) -> Bytes:
    """Record ids that end in the ticks of their time: random bytes, then the low and the high half of the ticks."""
    guid = streams.version4(raw)
    ticks = (at * 10 + _TICKS_1970).astype(">u8").view(np.uint8).reshape(-1, 8)
    guid[:, 8:10] = ticks[:, 6:8]
    guid[:, 10:16] = ticks[:, 0:6]
    return guid


def base64_text(raw: Bytes) -> pa.Array:
    """Base64, standard alphabet, of rows whose width divides by three."""
    rows, width = raw.shape
    three = raw.reshape(rows, width // 3, 3).astype(np.uint32)
    triples = (three[:, :, 0] << 16) | (three[:, :, 1] << 8) | three[:, :, 2]
    digits = np.stack([(triples >> shift) & 63 for shift in (18, 12, 6, 0)], axis=2).reshape(rows, width // 3 * 4)
    text = np.ascontiguousarray(_ALPHABET[digits])
    offsets = np.arange(rows + 1, dtype=np.int64) * text.shape[1]
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text)).cast(pa.string())


def entry_ids(
    key: int,
    mailbox: npt.NDArray[Any],
    folder_counter: npt.NDArray[Any],
    item_counter: npt.NDArray[Any] | None = None,
    *,
    kind: int = 1,
) -> pa.Array:
    """Exchange entry ids of folders, or of items where `item_counter` is given.

    Args:
        key: Key of the tenant.
        mailbox: Mailbox number of each.
        folder_counter: Counter of the folder, 0x10C for an inbox.
        item_counter: Counter of the item.
        kind: Last byte: 1 folder, 2 calendar folder, 9 item.
    """
    rows = len(mailbox)
    width = 48 if item_counter is None else 72
    raw = np.zeros((rows, width), dtype=np.uint8)
    raw[:, 0] = width - 2
    raw[:, 5:21] = streams.hashed_bytes(key ^ 0xE1, mailbox)
    raw[:, 21] = 1 if item_counter is None else 7
    database = streams.hashed_bytes(key ^ 0xE2, mailbox)
    raw[:, 23:39] = database
    raw[:, 39:45] = _counter(folder_counter)
    if item_counter is not None:
        raw[:, 47:63] = database
        raw[:, 63:69] = _counter(item_counter)
    raw[:, -1] = kind
    return base64_text(raw)


def _counter(number: npt.NDArray[Any]) -> Bytes:
    counter: Bytes = np.asarray(number).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    return counter


def clock_skew_us(key: int, server: npt.NDArray[Any], *, spread_s: float, tail_s: float) -> Ints:
    """How far the clock of each server is off, microseconds: normal, and a few (one in fifty) anywhere up to the tail.

    Args:
        key: Key of the tenant and the service.
        server: Number of the server of each row.
        spread_s: Standard deviation; nothing beyond two of them.
        tail_s: Largest skew of the few.
    """
    usual = np.clip(streams.hashed_normal(key, server), -2, 2) * spread_s
    far = (2 * streams.hashed_uniform(key ^ 1, server) - 1) * max(tail_s, spread_s)
    is_far = streams.hashed_uniform(key ^ 2, server) < 0.02  # noqa: PLR2004
    skew: Ints = (np.where(is_far, far, usual) * SECOND_US).astype(np.int64)
    return skew

"""The ledger as a chain: each row carries the hash of the row before, so that no later change goes unseen.

Pure functions on plain rows of `schema.LEDGER`. `seal` makes rows, `breaks` finds what was edited, removed,
reordered or added. A chain cannot know that its last rows are gone; for that the hash of the last row is kept
beside it (`ledger-head.json`), and evidence and table files that no row names betray it as well.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place at which the chain does not hold.

    Attributes:
        seq: Position in the chain, from 1.
        column: The column that is wrong: seq, prev_hash or entry_hash.
        found: What stands there.
        expected: What would have been right.
    """

    seq: int
    column: str
    found: str
    expected: str


def entry_hash(row: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, over all other columns of the row in canonical JSON.

    Canonical: declared columns sorted by name, no spaces, UTF-8, times as UTC ISO 8601 with microseconds.
    """
    content = {name: _plain(row.get(name)) for name in schema.LEDGER.names if name != "entry_hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def seal(rows: Sequence[Mapping[str, Any]], *, after: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Chain new rows to the last row of the ledger (None where it is empty): seq, prev_hash and entry_hash."""
    seq = int(after["seq"]) if after else 0
    previous = str(after["entry_hash"]) if after else GENESIS
    sealed = []
    for row in rows:
        seq += 1
        linked = {**row, "seq": seq, "prev_hash": previous}
        linked["entry_hash"] = previous = entry_hash(linked)
        sealed.append(linked)
    return sealed


def breaks(rows: Sequence[Mapping[str, Any]]) -> tuple[Break, ...]:
    """Every place at which the rows, in order of `seq`, are not the chain that was written."""
    found = []
    previous = GENESIS
    for position, row in enumerate(rows, start=1):
        for column, right in (("seq", position), ("prev_hash", previous), ("entry_hash", entry_hash(row))):
            if row.get(column) != right:
                found.append(Break(seq=position, column=column, found=str(row.get(column)), expected=str(right)))
        previous = str(row.get("entry_hash"))
    return tuple(found)

"""The ledger of sending: one line an event, only ever added to, each line chained to the one before by its hash.

A line is on disk before what it announces happens. What a kill leaves of a half-written last line is cut away when the
ledger is opened again: such a line was never followed by what it announces.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from brokenseal.errors import EvidenceChanged, StoreBusy, UsageError
from brokenseal.ledger import GENESIS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Event: TypeAlias = Literal[
    "approved",  # somebody approved a plan
    "sending",  # the content of a letter is about to be handed over
    "sent",  # the server has taken it
    "written",  # it stands in a file
    "not_sent",  # it was certainly not taken, and may be another time
    "refused",  # it was not taken, and the server said that it never will be
    "uncertain",  # the connection broke after the content had begun to go out
    "resend",  # somebody decided to send an uncertain letter again
    "delivered",  # a delivery status says so
    "relayed",
    "delayed",
    "bounced",
    "displayed",  # a receipt says that it was shown
    "auto_reply",  # a machine answered
    "acknowledged",  # a person answered with the code, or to the letter
]
EVENTS: frozenset[str] = frozenset(get_args(Event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line.

    Attributes:
        seq: From 1.
        letter: Message-ID, or "" where it is about a plan.
        plan: Hash of the plan that was at work.
        detail: What the server said, who approved, or what an answer rests on.
        source: SHA-256 of the mail that an answer stands in, or key and signature of an approval; else "".
    """

    seq: int
    at: dt.datetime
    event: str
    letter: str
    plan: str
    detail: str
    source: str
    prev_hash: str
    entry_hash: str


class SendingLedger:
    """A ledger that is open for adding; `opened` is the way to one."""

    def __init__(self, descriptor: int, entries: list[Entry]) -> None:
        self._descriptor = descriptor
        self._entries = entries

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All lines so far."""
        return tuple(self._entries)

    def append(
        self, event: Event, *, at: dt.datetime, letter: str = "", plan: str = "", detail: str = "", source: str = ""
    ) -> Entry:
        """Add a line; it is on disk when this returns."""
        last = self._entries[-1] if self._entries else None
        values = {
            "seq": last.seq + 1 if last else 1,
            "at": f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "event": event,
            "letter": letter,
            "plan": plan,
            "detail": detail[:_DETAIL_LIMIT],
            "source": source,
            "prev_hash": last.entry_hash if last else GENESIS,
        }
        values["entry_hash"] = _hash(values)
        _write_all(self._descriptor, _line(values))
        os.fsync(self._descriptor)
        entry = _entry(values)
        self._entries.append(entry)
        return entry


_DETAIL_LIMIT = 500


def _hash(values: dict[str, Any]) -> str:
    content = {name: value for name, value in values.items() if name != "entry_hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def _entry(values: dict[str, Any]) -> Entry:
    return Entry(**{**values, "at": dt.datetime.fromisoformat(values["at"])})


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SendingLedger]:
    """The ledger, locked against every other process; made if absent.

    Raises:
        StoreBusy: Another process has it open.
        EvidenceChanged: A line was edited, removed, reordered or added by hand.
        UsageError: It cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    except OSError as err:
        raise UsageError(place=str(path), value=err.strerror or err, expected="a ledger that can be written") from err
    try:
        if not _locked(descriptor):
            raise StoreBusy(place=str(path), expected="no other process that sends from this ledger")
        content = _read_all(descriptor)
        whole = content.rfind(b"\n") + 1
        entries = _entries(content[:whole], place=str(path))
        if whole < len(content):
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        _sync_folder(path)
        yield SendingLedger(descriptor, entries)
    finally:
        os.close(descriptor)


def read_entries(path: Path) -> tuple[Entry, ...]:
    """All whole lines, without a lock; none where there is no ledger.

    Raises:
        EvidenceChanged: As for `opened`.
        UsageError: It cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise UsageError(place=str(path), value=err.strerror or err, expected="a ledger that can be read") from err
    return tuple(_entries(content[: content.rfind(b"\n") + 1], place=str(path)))


def _entries(content: bytes, *, place: str) -> list[Entry]:
    entries: list[Entry] = []
    previous = GENESIS
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            values = json.loads(line)
            entry = _entry(values)
        except (ValueError, TypeError, KeyError, AttributeError) as err:
            raise EvidenceChanged(place=f"{place}, line {number}", value=line[:80], expected="a line of it") from err
        right = _hash(values)
        if entry.seq != number or entry.prev_hash != previous or entry.entry_hash != right or entry.event not in EVENTS:
            raise EvidenceChanged(place=f"{place}, line {number}", value=entry.entry_hash, expected=right)
        previous = entry.entry_hash
        entries.append(entry)
    return entries


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    """A new file is there after a power cut only if its folder was written as well; Windows has no such call."""
    if sys.platform == "win32":
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Recorded text: kept once, found by event id, and checked against the ledger.

Each ingested input has one file, `evidence/<sha256 of the input>.jsonl.zst`: the text of its records as they
stood in the input, one a line in the order of the record numbers (a line break inside a record is a space
here; in JSON it can only stand between tokens). The ledger holds the SHA-256 of that file.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import zstandard

from brokenseal import ledger
from brokenseal.errors import EvidenceChanged, StoreError, UsageError
from brokenseal.store import Store, file_digest

if TYPE_CHECKING:
    from types import TracebackType

    from brokenseal.settings import Settings

_CHUNK = 1 << 20
_LEVEL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something in the store that is not as it was written.

    Attributes:
        what: ledger, ledger_end, evidence_changed, evidence_missing, evidence_unnamed, table_file_missing,
            table_file_changed or table_file_unnamed.
        place: Row of the ledger or file.
        found: What is there now.
        expected: What was written.
    """

    what: str
    place: str
    found: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalInput:
    """Whether an input still stands where it was read.

    Attributes:
        state: `same`, `changed` or `missing`; `packed` for a member of an archive, which is not opened again.
    """

    path: str
    sha256: str
    state: Literal["same", "changed", "missing", "packed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of the whole store found.

    Attributes:
        intact: True where recorded text, ledger and table files are what was written. A changed original does
            not count: the store holds its own copy.
        ledger_rows: Rows checked.
        ledger_head: Hash of the last row: note it elsewhere, and no later rewriting of the whole store
            can pass for this one.
        evidence_files: Evidence files checked.
        changes: What is not as it was written, in order of discovery.
        originals: The inputs as they stand now, by path.
    """

    intact: bool
    ledger_rows: int
    ledger_head: str
    evidence_files: int
    changes: tuple[Change, ...]
    originals: tuple[OriginalInput, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A finished file of recorded text, and its SHA-256."""

    path: Path
    sha256: str


class EvidenceWriter:
    """Writes one evidence file. After `close`, `sha256` is the digest of the file."""

    def __init__(self, path: Path) -> None:
        """Open the file; `close` (or the `with` block) completes it."""
        self.path = path
        self.sha256 = ""
        self._stream = path.open("wb")
        self._digest = hashlib.sha256()
        self._packer: zstandard.ZstdCompressionObj | None = zstandard.ZstdCompressor(level=_LEVEL).compressobj()

    @property
    def recorded(self) -> Recorded:
        """The file, once it is closed."""
        return Recorded(path=self.path, sha256=self.sha256)

    def add_lines(self, lines: bytes) -> None:
        """Add whole lines, each ended by a line feed."""
        if self._packer is not None:
            self._put(self._packer.compress(lines))

    def add(self, text: str) -> None:
        """Add one record's text."""
        self.add_lines(line_of(text))

    def _put(self, packed: bytes) -> None:
        if packed:
            self._digest.update(packed)
            self._stream.write(packed)

    def close(self) -> None:
        """Complete the file."""
        if self._packer is not None:
            self._put(self._packer.flush())
            self._stream.close()
            self.sha256 = self._digest.hexdigest()
            # Half a mebibyte, while hundreds of closed files wait for the end of their batch.
            self._packer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def line_of(text: str) -> bytes:
    """One record's text as one line of UTF-8; code units that UTF-8 cannot hold are replaced by `?`."""
    if "\n" in text or "\r" in text:
        text = text.replace("\r", " ").replace("\n", " ")
    return text.encode("utf-8", "replace") + b"\n"


def evidence_path(root: Path, sha256: str) -> Path:
    """Where the recorded text of an input is kept."""
    return root / "evidence" / f"{sha256}.jsonl.zst"


def line_at(path: Path, record_no: int) -> str:
    """The text of one record of an evidence file.

    Raises:
        EvidenceChanged: the file is gone, damaged, or has fewer records.
    """
    try:
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            left = record_no - 1
            while block := stream.read(_CHUNK):
                breaks = block.count(b"\n")
                if breaks < left:
                    left -= breaks
                    continue
                reader = io.BytesIO(block)
                for _ in range(left):
                    reader.readline()
                line = reader.readline()
                while not line.endswith(b"\n") and (more := stream.read(_CHUNK)):
                    end = more.find(b"\n")
                    line += more if end < 0 else more[: end + 1]
                if line:
                    return line.removesuffix(b"\n").decode("utf-8", "replace")
    except (OSError, zstandard.ZstdError) as err:
        raise EvidenceChanged(place=str(path), value=err, expected=f"the recorded text of record {record_no}") from err
    raise EvidenceChanged(place=str(path), expected=f"at least {record_no} records")


def raw_text(store: Store, event_id: str) -> str:
    """The recorded text of the record with that event id, as it stood in the input it was first read from.

    Raises:
        UsageError: no kept record has that id.
        EvidenceChanged: the recorded text is gone or damaged.
    """
    events = store.tables()["events"]
    wanted = events.filter(events.event_id == event_id.strip().lower()).select("input_sha256", "record_no")
    found = store.run(wanted.limit(1)).to_pylist()
    if not found:
        raise UsageError(place="event id", value=event_id, expected="the id of a record in the store")
    return line_at(evidence_path(store.root, found[0]["input_sha256"]), found[0]["record_no"])


def verify(settings: Settings) -> Verification:
    """Hash the recorded text again, follow the ledger's chain, and look for every file that was written.

    Raises:
        StoreError: there is no store, or a table of it cannot be opened at all.
    """
    with Store.open(settings) as store:
        rows = store.ledger_rows()
        evidence, checked = _evidence_changes(store.root, rows)
        changes = (*_ledger_changes(store, rows), *evidence, *_table_changes(store, {row["batch_id"] for row in rows}))
        return Verification(
            intact=not changes,
            ledger_rows=len(rows),
            ledger_head=rows[-1]["entry_hash"] if rows else ledger.GENESIS,
            evidence_files=checked,
            changes=changes,
            originals=_originals(rows),
        )


def check_ledger(store: Store) -> None:
    """Refuse to go on where the ledger is not what was written.

    Raises:
        EvidenceChanged: at the first place that differs.
    """
    for change in _ledger_changes(store, store.ledger_rows()):
        raise EvidenceChanged(place=change.place, value=change.found, expected=change.expected)


def _ledger_changes(store: Store, rows: list[dict[str, object]]) -> list[Change]:
    changes = [
        Change(what="ledger", place=f"ledger row {each.seq}, {each.column}", found=each.found, expected=each.expected)
        for each in ledger.breaks(rows)
    ]
    try:
        head = store.head()
    except StoreError as err:
        return [*changes, Change(what="ledger_end", place=err.place, found=str(err.value), expected=err.expected)]
    if head is None:
        return [*changes, Change(what="ledger_end", place="ledger-head.json", found="nothing", expected="the last row")]
    seq, noted = head
    there = {0: ledger.GENESIS, **{position: str(row["entry_hash"]) for position, row in enumerate(rows, start=1)}}
    found = there.get(seq, "no such row")
    if found != noted:
        changes.append(Change(what="ledger_end", place=f"ledger row {seq}", found=found, expected=noted))
    return changes


def _evidence_changes(root: Path, rows: list[dict[str, object]]) -> tuple[list[Change], int]:
    changes = []
    named = {}
    for row in rows:
        if row["evidence_sha256"]:
            named[evidence_path(root, str(row["sha256"]))] = str(row["evidence_sha256"])
    for path, expected in named.items():
        place = f"evidence/{path.name}"
        try:
            found = file_digest(path)
        except OSError as err:
            changes.append(Change(what="evidence_missing", place=place, found=str(err), expected=expected))
            continue
        if found != expected:
            changes.append(Change(what="evidence_changed", place=place, found=found, expected=expected))
    changes += [
        Change(what="evidence_unnamed", place=f"evidence/{path.name}", found="a file", expected="a row of the ledger")
        for path in sorted((root / "evidence").iterdir())
        if path not in named
    ]
    return changes, len(named)


def _table_changes(store: Store, committed: set[str]) -> list[Change]:
    changes = []
    for table, batch, path in store.table_files():
        place = path.relative_to(store.root).as_posix()
        try:
            # The ledger's own rows are checked by their chain; every other file bears its digest in its name.
            found = file_digest(path)
        except OSError as err:
            changes.append(Change(what="table_file_missing", place=place, found=str(err), expected="a file"))
            continue
        expected = path.stem.rpartition("-")[2]
        if table != "ledger" and found != expected:
            changes.append(Change(what="table_file_changed", place=place, found=found, expected=expected))
        if table != "ledger" and batch not in committed:
            changes.append(
                Change(what="table_file_unnamed", place=place, found=f"batch {batch}", expected="a row of the ledger")
            )
    return changes


def _originals(rows: list[dict[str, object]]) -> tuple[OriginalInput, ...]:
    latest = {str(row["path"]): row for row in rows if row["sha256"]}
    found = []
    for path, row in sorted(latest.items()):
        sha256 = str(row["sha256"])
        state: Literal["same", "changed", "missing", "packed"]
        if row["container"] != "plain":
            state = "packed"
        else:
            try:
                state = "same" if file_digest(Path(path)) == sha256 else "changed"
            except OSError:
                state = "missing"
        found.append(OriginalInput(path=path, sha256=sha256, state=state))
    return tuple(found)

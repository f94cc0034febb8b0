"""What detection keeps in the store: the finished document, for as long as what it rests on is the same.

    state/document     one line of JSON (what it rests on, digest of the rest), then the document, packed
    state/rules        the same of what Sigma rules of others said beside it, which rests on the rules as well

What it rests on is the product's code and data, the engine and the libraries that compute, every file of every table
by name, size and time of change, and every row of the ledger. Where only the ledger has grown (inputs that were known
already, or held no new record), the judgement stands and what names the run is put in anew. Whatever else differs is
worked out again; so is what is damaged or was kept for another store, and that is said. Nothing here is evidence:
`evidence verify` does not look at it, and deleting the folder loses nothing but time.

A digest protects against accidents, not against somebody who can write to the store: who does not trust where a store
comes from takes `--rebuild`, which reads nothing that was kept and says whether it was equal.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from brokenseal import schema
from brokenseal.model import CaseDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from brokenseal.store import Store

FORM: Final = 1
FOLDER: Final = "state"
NAME: Final = "document"
_LIBRARIES: Final = ("duckdb", "ibis-framework", "msgspec", "numpy", "pyarrow", "scipy", "sqlglot")
_NOT_ASKED: Final = ("cli", "demo", "drill", "exchange", "locale", "notices", "reports")
"""Folders of the product that no statement of a document depends on."""
_HEADER_LIMIT: Final = 4096
_SIZE_LIMIT: Final = 4 << 30

Value = TypeVar("Value")
Standing = Literal["current", "same_records", "absent", "outdated", "damaged", "foreign"]


class Footing(NamedTuple):
    """What a document rests on.

    Attributes:
        store: Hash of the first row of the ledger: which store it is.
        records: SHA-256 over code and tables of records, in hexadecimal.
        digest: The same over those, the quarantine, the ledger and the versions of all tables.
    """

    store: str
    records: str
    digest: str


class Kept(NamedTuple):
    """What was found in the store.

    Attributes:
        standing: `current` can be used as it is, `same_records` with what names the run put in anew; `damaged` and
            `foreign` have to be said.
        document: The document, where it can be used.
        packed: Digest of its packed form, to be compared.
    """

    standing: Standing
    document: CaseDocument | None = None
    packed: str | None = None


_SAID: Final = {
    "damaged": "state/document: what was kept of the last run is damaged; worked out again",
    "foreign": "state/document: what was kept belongs to another store; worked out again",
}


def answered(
    store: Store,
    *,
    work_out: Callable[[Store], CaseDocument],
    renew: Callable[[Store, CaseDocument], CaseDocument | None],
    rebuild: bool = False,
    tell: Callable[[str], None] | None = None,
) -> CaseDocument:
    """The document of a store: as it was kept where that can be used, else worked out, and kept.

    Args:
        store: It keeps the document in its folder `state`, where that can be written.
        work_out: From the tables alone; a pure function of what a footing names.
        renew: A document of the same records under a longer ledger; None where its judgement cannot stand.
        rebuild: Work it out whatever was kept, and compare.
        tell: Is told in a sentence what is the matter with what was kept.
    """
    say = tell or (lambda _: None)
    footing = footing_of(store)
    kept = recall(store, footing)
    if kept.standing in _SAID:
        say(_SAID[kept.standing])
    document = None
    if kept.document is not None and not rebuild:
        if kept.standing == "current":
            return kept.document
        document = renew(store, kept.document)
    document = document or work_out(store)
    # What was ingested meanwhile may be in some tables and not in others; then nothing is kept.
    packed = keep(store, footing, document) if footing_of(store) == footing else None
    if kept.standing == "current" and packed not in {None, kept.packed}:
        say("state/document: what was kept of the last run differs from what the logs give; replaced")
    return document


def kept_part(
    store: Store,
    name: str,
    kind: type[Value],
    *,
    asked: Iterable[str],
    work_out: Callable[[], Value],
    rebuild: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Value:
    """Something beside the document that rests on the same records and on what was asked: as kept, else worked out.

    Args:
        store: Whose records.
        name: Of the file in the folder `state`; one answer of each name is kept.
        kind: What is kept.
        asked: Everything else that the answer depends on.
        work_out: A pure function of the store and of what was asked.
        rebuild: Work it out whatever was kept.
        tell: Is told where what was kept is damaged.
    """
    question = tuple(asked)
    before = footing_of(store)
    rests_on = _digest(before.digest, *question)
    if not rebuild:
        found = _read_part(store, name, rests_on, kind)
        if isinstance(found, kind):
            return found
        if found == "damaged" and tell is not None:
            tell(f"state/{name}: what was kept of the last run is damaged; worked out again")
    worked_out = work_out()
    packed = _packed(worked_out)
    if packed is not None and footing_of(store) == before:
        _write(store, name, before._replace(digest=rests_on), packed)
    return worked_out


def _read_part(store: Store, name: str, rests_on: str, kind: type[Value]) -> Value | Literal["absent", "damaged"]:
    try:
        content = (store.root / FOLDER / name).read_bytes()
    except FileNotFoundError:
        return "absent"
    except OSError:
        content = b""
    line, _, packed = content.partition(b"\n")
    header = _header(line)
    if header is None:
        return "damaged"
    if header["form"] != FORM or header["rests_on"] != rests_on:
        return "absent"
    found = _unpacked(packed, kind) if hashlib.sha256(packed).hexdigest() == header["sha256"] else None
    return "damaged" if found is None else found


def footing_of(store: Store) -> Footing:
    """What a document of this store would rest on now.

    Raises:
        StoreError: A table cannot be opened.
    """
    rows = store.ledger_rows()
    of_records = {table.name for table in schema.RECORD_TABLES}
    files = list(_file_lines(store))
    # Who asks another engine wants to hear that one.
    records = _digest(_code_digest(), store.settings.engine, *(line for table, line in files if table in of_records))
    others = (line for table, line in files if table not in of_records)
    digest = _digest(records, *others, *_row_lines(rows), json.dumps(store.versions(), sort_keys=True))
    return Footing(store=str(rows[0]["entry_hash"]) if rows else "", records=records, digest=digest)


def recall(store: Store, footing: Footing) -> Kept:
    """The kept document, if it rests on these records."""
    try:
        content = (store.root / FOLDER / NAME).read_bytes()
    except FileNotFoundError:
        return Kept("absent")
    except OSError:
        content = b""
    line, _, packed = content.partition(b"\n")
    header = _header(line)
    if header is None:
        return Kept("damaged")
    if header["store"] != footing.store:
        return Kept("foreign")
    if header["form"] != FORM or header["records"] != footing.records:
        return Kept("outdated")
    document = _unpacked(packed, CaseDocument) if hashlib.sha256(packed).hexdigest() == header["sha256"] else None
    if document is None:
        return Kept("damaged")
    return Kept("current" if header["rests_on"] == footing.digest else "same_records", document, header["sha256"])


def keep(store: Store, footing: Footing, document: CaseDocument) -> str | None:
    """Keep the document beside the tables, whole or not at all.

    Returns: The digest of its packed form; None where it cannot be kept (a folder that cannot be written, or a value
        that does not pack), which costs the next run its time and nothing else.
    """
    packed = _packed(document)
    return None if packed is None else _write(store, NAME, footing, packed)


def _write(store: Store, name: str, footing: Footing, packed: bytes) -> str | None:
    digest = hashlib.sha256(packed).hexdigest()
    header = {"product": "brokenseal", "form": FORM, "store": footing.store, "records": footing.records}
    line = json.dumps({**header, "rests_on": footing.digest, "sha256": digest}).encode()
    return digest if put_aside(store.root, name, line + b"\n" + packed) else None


def put_aside(root: Path, name: str, content: bytes) -> bool:
    """Put a file into the folder of a store that keeps what is recognised, whole or not at all.

    Returns: Whether it could be written.
    """
    folder = root / FOLDER
    fresh = folder / f"{name}.{os.getpid()}.new"
    try:
        folder.mkdir(exist_ok=True)
        for left in folder.glob(f"{name}.*.new"):
            left.unlink(missing_ok=True)
        fresh.write_bytes(content)
        fresh.replace(folder / name)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        return False
    return True


def _header(line: bytes) -> dict[str, Any] | None:
    """The first line, if it is one that `keep` can have written."""
    if len(line) > _HEADER_LIMIT:
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    texts = ("store", "records", "rests_on", "sha256")
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in texts):
        return None
    return found if isinstance(found.get("form"), int) else None


def _packed(document: object) -> bytes | None:
    # MessagePack tells times from text, which JSON does not, so that what comes back equals what went in.
    import msgspec
    import zstandard

    try:
        plain = msgspec.msgpack.encode(document, order="deterministic")
    except (OverflowError, UnicodeEncodeError):
        return None
    return zstandard.ZstdCompressor(level=1).compress(plain)


def _unpacked(packed: bytes, kind: type[Value]) -> Value | None:
    import msgspec
    import zstandard

    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= _SIZE_LIMIT:
            return None
        return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=kind)
    except (zstandard.ZstdError, msgspec.DecodeError):
        return None


def _row_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, sort_keys=True, default=str)


def _file_lines(store: Store) -> Iterator[tuple[str, str]]:
    """Every file of every table, with the table; what was changed in place has another time."""
    for table, batch, path in store.table_files():
        try:
            seen = path.stat()
            found = f"{seen.st_size} {seen.st_mtime_ns}"
        except OSError:
            found = "absent"
        yield table, f"{table} {batch} {path.name} {found}"


def _digest(*parts: str) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{len(part)}:{part}\n".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


@functools.cache
def _code_digest() -> str:
    """SHA-256 over the product's own files that a document depends on, and over what computes with them."""
    found = hashlib.sha256(platform.python_version().encode())
    for name in _LIBRARIES:
        found.update(f"{name} {metadata.version(name)}\n".encode())
    root = Path(str(resources.files("brokenseal")))
    for path in sorted((*root.rglob("*.py"), *root.joinpath("data").rglob("*.json"))):
        place = path.relative_to(root)
        if place.parts[0] not in _NOT_ASKED:
            content = path.read_bytes()
            found.update(f"{place.as_posix()} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()

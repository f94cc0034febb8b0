"""What an ingest will read, in which order, and in which batches: decided before anything is written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from brokenseal import containers, framing, sources
from brokenseal.encoding import read_head
from brokenseal.errors import ContainerRefused, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from brokenseal.model import Columnar, Member
    from brokenseal.settings import Settings

PACK_BYTES: Final = 128 << 20
PACK_INPUTS: Final = 2_000
UNKNOWN_FIDELITY: Final = 1_000
_SNIFFED_RECORDS: Final = 20
_BLOCK: Final = 1 << 20

UNREADABLE = (InputError, OSError, EOFError)
"""What opening and reading a member raises."""


_JSON_FRAMINGS: Final = frozenset({"json_lines", "json_array", "json_values"})
_UTF8: Final = frozenset({"utf-8", "utf-8-sig"})


WayKey = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The fast way that inputs of one kind go.

    Attributes:
        columnar: The source's path for them.
        filled: Fields of a record that some column around it would fill in.
    """

    columnar: Columnar
    filled: tuple[str, ...] = ()

    @property
    def key(self) -> WayKey:
        """What is the same for the same way, in every process: the first source and shape that have its path."""
        places = ((source.name, shape) for source in sources.SOURCES for shape in source.columnar)
        return *next(each for each in places if _columnar_of(*each) is self.columnar), self.filled

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, because expressions stay where they are."""
        return _way_of, self.key


def _columnar_of(source: str, shape: str) -> Columnar:
    """The fast path of a source for one of its shapes."""
    return next(each for each in sources.SOURCES if each.name == source).columnar[shape]


def _way_of(source: str, shape: str, filled: tuple[str, ...]) -> Way:
    return Way(columnar=_columnar_of(source, shape), filled=filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One input as it was found.

    Attributes:
        member: Where it is, and how to open it.
        size_bytes: Unpacked size; None for a large packed one whose container does not tell.
        sha256: Digest of its bytes where these had to be read already; None where it is hashed while it is read.
        encoding, framing: As `framing.frame` says, None where it cannot be opened.
        shape: Of the first known record, None where none of the first records is known.
        fidelity: The source's; inputs are read in this order, so that the richer copy of a record is kept.
        is_lossy: True where the shape lost nested values; such inputs are read last.
        way: How it can be read as columns; None where it goes record by record.
        trouble: Why it cannot be read, else None.
    """

    member: Member
    size_bytes: int | None = None
    sha256: str | None = None
    encoding: str | None = None
    framing: str | None = None
    shape: str | None = None
    fidelity: int = UNKNOWN_FIDELITY
    is_lossy: bool = False
    way: Way | None = None
    trouble: str | None = None

    @property
    def is_small(self) -> bool:
        """Whether it can share a batch with others."""
        return self.size_bytes is not None and self.size_bytes <= PACK_BYTES


class HashingReader:
    """A stream that counts and hashes what is read through it; `finish` reads what the reader left.

    Where the stream breaks, it ends: what came out before is read like any other, and `trouble` says why no more
    came.
    """

    def __init__(self, stream: Any, *, watch: Callable[[int], None] | None = None) -> None:
        """Read from `stream`; `watch` hears of every block's size."""
        self._stream = stream
        self._digest = hashlib.sha256()
        self._watch = watch
        self.size_bytes = 0
        self.trouble: str | None = None
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all that is left for -1."""
        if self._is_over:
            return b""
        try:
            block: bytes = self._stream.read(size)
        except UNREADABLE as err:
            self.trouble = words_of(err)
            block = b""
        if not block:
            self._is_over = size != 0
            return b""
        self._digest.update(block)
        self.size_bytes += len(block)
        if self._watch is not None:
            self._watch(len(block))
        return block

    def finish(self) -> None:
        """Read to the end."""
        while self.read(_BLOCK):
            pass

    @property
    def sha256(self) -> str:
        """SHA-256, in hexadecimal, of what was read."""
        return self._digest.hexdigest()


class ReadAgain:
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, begun: bytes, stream: HashingReader) -> None:
        """Give `begun` first, then what `stream` has left."""
        self._begun = memoryview(begun)
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; for -1 all that is left of what was read already, else of the stream."""
        if not self._begun:
            return self._stream.read(size)
        end = len(self._begun) if size < 0 else size
        block, self._begun = bytes(self._begun[:end]), self._begun[end:]
        return block


def plan(
    paths: Iterable[Path],
    settings: Settings,
    *,
    refused: Callable[[ContainerRefused], None],
    is_named: Callable[[str, str], bool] = lambda _path, _sha256: False,
) -> tuple[Planned, ...]:
    """Look into every input, and put them in the order in which they are read.

    Args:
        paths: Files and folders as given.
        settings: Limits.
        refused: Hears of every container that is not opened.
        is_named: Whether a path with a digest needs no second look: only its digest and size are given then.
    """
    found = [
        _look_into(member, settings, is_named)
        for path in paths
        for member in containers.members(path, settings, refused=refused)
    ]
    return tuple(sorted(found, key=lambda each: (each.is_lossy, each.fidelity, each.member.path)))


def batches(planned: Sequence[Planned]) -> Iterator[tuple[Planned, ...]]:
    """Pack small inputs together, up to `PACK_BYTES` and `PACK_INPUTS`; a large one is a batch of its own."""
    pack: list[Planned] = []
    weight = 0
    for each in planned:
        size = each.size_bytes or 0
        if pack and (not each.is_small or weight + size > PACK_BYTES or len(pack) >= PACK_INPUTS):
            yield tuple(pack)
            pack, weight = [], 0
        if each.is_small:
            pack.append(each)
            weight += size
        else:
            yield (each,)
    if pack:
        yield tuple(pack)


def digest_of(member: Member) -> str:
    """SHA-256 of a member's bytes, in hexadecimal.

    Raises: one of `UNREADABLE`.
    """
    digest = hashlib.sha256()
    with member.open() as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _look_into(member: Member, settings: Settings, is_named: Callable[[str, str], bool]) -> Planned:
    planned = Planned(member=member)
    try:
        with member.open() as stream:
            reader = HashingReader(stream)
            # A buffer is as large as what is asked for, and most files are small.
            head = _BLOCK if member.size_bytes is None else min(_BLOCK, member.size_bytes)
            begun = read_head(reader, head + 1)  # type: ignore[arg-type]  # only `read` is used
            is_short = reader.size_bytes <= _BLOCK
            is_whole = len(begun) <= head and reader.trouble is None
            if is_whole and is_named(member.path, reader.sha256):
                return replace(planned, sha256=reader.sha256, size_bytes=reader.size_bytes)
            again = ReadAgain(begun, reader)
            planned = _sniff(planned, framing.frame(again, settings))  # type: ignore[arg-type]  # only `read` is used
            if member.size_bytes is not None and (
                member.size_bytes > PACK_BYTES or (member.local_path and not is_short)
            ):
                # A file is hashed while it is read, or before if another one has its size.
                return replace(planned, size_bytes=member.size_bytes)
            while reader.size_bytes <= PACK_BYTES and reader.read(_BLOCK):
                pass
    except UNREADABLE as err:
        return replace(planned, trouble=words_of(err))
    if reader.trouble is not None:
        # What came out before the damage is read all the same.
        return planned if reader.size_bytes else replace(planned, trouble=reader.trouble)
    if reader.size_bytes > PACK_BYTES:
        return planned
    return replace(planned, sha256=reader.sha256, size_bytes=reader.size_bytes)


def _sniff(planned: Planned, framed: framing.Framed) -> Planned:
    planned = replace(planned, encoding=framed.encoding, framing=framed.framing)
    for number, record in enumerate(framed):
        if number >= _SNIFFED_RECORDS:
            break
        if record.value is None:
            continue
        for inner in sources.unwrap(record.value):
            known = sources.identify(inner)
            if known is not None:
                source, shape = known
                return replace(
                    planned,
                    shape=shape,
                    fidelity=source.fidelity,
                    is_lossy=shape in source.lossy_shapes,
                    way=_way(source.columnar.get(shape), framed) if inner is record.value else None,
                )
            break
    return planned


def _way(columnar: Columnar | None, framed: framing.Framed) -> Way | None:
    if columnar is None:
        return None
    if framed.framing == "csv":
        if columnar.reads_table is None or not columnar.reads_table(framed.columns):
            return None
        filled = [name for name, columns in columnar.fallbacks.items() if not set(columns).isdisjoint(framed.columns)]
        return Way(columnar=columnar, filled=tuple(filled))
    if columnar.payload is not None or framed.framing not in _JSON_FRAMINGS:
        return None
    # Lines are cut as they stand, so they must be what the engine reads.
    return Way(columnar=columnar) if framed.framing != "json_lines" or framed.encoding in _UTF8 else None


def words_of(error: Exception) -> str:
    """What an error says."""
    return str(error) or type(error).__name__

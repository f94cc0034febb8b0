"""Streams that unpack within limits, and the temporary place for what cannot be unpacked as a stream.

A header may lie about sizes, so every unpacked byte is counted as it comes out. What an archive calls its
members is never used as a path: unpacked files have numbers for names.
"""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import unicodedata
import uuid
import weakref
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from brokenseal.errors import ContainerRefused
from brokenseal.settings import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from brokenseal.settings import Settings

CHUNK_BYTES: Final = MEBIBYTE
RATIO_FREE_BYTES: Final = 10 * MEBIBYTE
"""Below this much output a high ratio does no harm: a file of blanks is no bomb."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # zlib's 15 bits of window, plus 16 for the gzip header and its checksum
# One zstd block of four bytes can stand for 128 KiB and the decoder gives no smaller piece than its input asks
# for: 2 KiB of input unpack to 64 MiB at most.
_ZSTD_FEED_BYTES: Final = 2 * 1024

DAMAGE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
"""What the archive libraries raise on bytes that are no archive of their kind; most of it is not on purpose."""


def shown(name: str) -> str:
    """A name as text that is safe to show and to store: control and formatting characters become U+FFFD."""
    if name.isprintable():
        return name
    return "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in name)


class Packed(Protocol):
    """Something that gives unpacked bytes piece by piece."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...

    def close(self) -> None:
        """Let go of what lies below."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something to look into.

    Attributes:
        path: Input as given, archive members behind `!`; safe to show.
        kinds: The containers it is inside of, from the outside in.
        size_bytes: Unpacked size where it is known.
        open: Opens its bytes.
        local: The file, where it is one on disk.
    """

    path: str
    kinds: tuple[str, ...]
    size_bytes: int | None
    open: Callable[[], io.IOBase]
    local: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Settings of one run, and whom to tell of what is not read."""

    settings: Settings
    refused: Callable[[ContainerRefused], None]

    def limits(self, place: str) -> Limits:
        """The limits for one member."""
        return Limits(place=place, member_bytes=self.settings.member_limit_bytes, ratio=self.settings.ratio_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one member may unpack to.

    Attributes:
        place: The member, for messages.
        member_bytes: Most bytes it may unpack to.
        ratio: Most unpacked bytes for one packed byte, once `RATIO_FREE_BYTES` came out.
    """

    place: str
    member_bytes: int
    ratio: int

    def check(self, unpacked: int, packed: int) -> None:
        """Refuse `unpacked` bytes that came, or are declared to come, out of `packed` bytes.

        Raises:
            ContainerRefused: Size or ratio are above the limit.
        """
        if unpacked > self.member_bytes:
            raise ContainerRefused(
                place=self.place,
                value=f"{unpacked} bytes unpacked",
                expected=f"at most {self.member_bytes} bytes unpacked: it may be an archive bomb",
            )
        self.check_ratio(unpacked, packed)

    def check_ratio(self, unpacked: int, packed: int) -> None:
        """Refuse the ratio alone.

        Raises:
            ContainerRefused: More than `RATIO_FREE_BYTES` from too little.
        """
        if unpacked > RATIO_FREE_BYTES and unpacked > self.ratio * max(packed, 1):
            raise ContainerRefused(
                place=self.place,
                value=f"{unpacked} bytes unpacked from {packed}",
                expected=f"at most {self.ratio} bytes for each packed byte: it may be an archive bomb",
            )


class GuardedStream(io.RawIOBase):
    """A readable binary stream over a `Packed` one that keeps the limits and knows one error.

    A read may give less than was asked for. What could be unpacked before damage comes out; the read after it
    raises `ContainerRefused`.
    """

    def __init__(
        self,
        packed: Packed,
        *,
        limits: Limits,
        taken: Callable[[], int],
        expected: str,
        damage: tuple[type[Exception], ...] = DAMAGE,
    ) -> None:
        super().__init__()
        self._damage = damage
        self._packed = packed
        self._limits = limits
        self._taken = taken
        self._expected = expected
        self._unpacked = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer, or a part of it; 0 at the end.

        Raises:
            ContainerRefused: Damage, a limit, or a password that does not open it.
        """
        view = memoryview(buffer).cast("B")
        try:
            data = self._packed.read(min(len(view), CHUNK_BYTES))
        except ContainerRefused:
            raise
        except self._damage as error:
            raise ContainerRefused(
                place=self._limits.place, value=str(error) or type(error).__name__, expected=self._expected
            ) from error
        self._unpacked += len(data)
        self._limits.check(self._unpacked, self._taken())
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close what lies below, too."""
        if not self.closed:
            self._packed.close()
        super().close()


class GzipReader:
    """The unpacked bytes of gzip members that follow each other, as `cat a.gz b.gz` writes them."""

    def __init__(self, source: io.IOBase) -> None:
        self.taken = 0
        self._source = source
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._ahead = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes.

        Raises:
            EOFError: The stream ends inside a member.
            ValueError: Something that is no gzip member follows.
            zlib.error: Damage.
        """
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            feed = self._inflate.unconsumed_tail or self._ahead or self._fetch()
            self._ahead = b""
            data = self._inflate.decompress(feed, size)
            if data:
                return data
            if not feed and not self._inflate.eof:
                raise EOFError("the gzip data ends too early")

    def _fetch(self) -> bytes:
        data: bytes = self._source.read(CHUNK_BYTES)
        self.taken += len(data)
        return data

    def _next_member(self) -> bool:
        rest = self._inflate.unused_data
        # Tapes and some tools fill up with zeros.
        while not (rest := rest.lstrip(b"\0")) or len(rest) < len(_GZIP_MAGIC):
            more = self._fetch()
            if not more:
                break
            rest += more
        if not rest:
            return False
        if not rest.startswith(_GZIP_MAGIC):
            raise ValueError("the gzip data is followed by something else")
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._ahead = rest
        return True

    def close(self) -> None:
        """Close the packed stream."""
        self._source.close()


class ZstdReader:
    """The unpacked bytes of zstd frames that follow each other."""

    def __init__(self, source: io.IOBase) -> None:
        import zstandard

        self.taken = 0
        self._source = source
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._error = zstandard.ZstdError
        self._packed = memoryview(b"")
        self._ready = memoryview(b"")
        self._is_inside = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes.

        Raises:
            EOFError: The stream ends inside a frame.
            ValueError: Damage.
        """
        while not self._ready:
            if not self._packed:
                self._packed = memoryview(self._source.read(CHUNK_BYTES))
                if not self._packed:
                    if self._is_inside:
                        raise EOFError("the zstd data ends too early")
                    return b""
            self._unpack()
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def _unpack(self) -> None:
        feed, self._packed = self._packed[:_ZSTD_FEED_BYTES], self._packed[_ZSTD_FEED_BYTES:]
        self.taken += len(feed)
        self._is_inside = True
        try:
            self._ready = memoryview(self._frame.decompress(feed))
        except self._error as error:
            raise ValueError(str(error)) from error
        if self._frame.eof:
            rest = self._frame.unused_data
            self.taken -= len(rest)
            self._packed = memoryview(rest + bytes(self._packed))
            self._frame = self._decompressor.decompressobj()
            self._is_inside = False

    def close(self) -> None:
        """Close the packed stream."""
        self._source.close()


class Spool:
    """A folder under `store_dir/tmp` that lives as long as something refers to it.

    A process that is killed leaves its folder `unpack-…` behind; whoever owns the store may delete those.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.store_dir / "tmp" / f"unpack-{uuid.uuid4().hex}"
        self._cleaner: weakref.finalize[..., Spool] | None = None

    def path(self, number: int) -> Path:
        """Where the file of this number is kept. The folder is made when it is first needed."""
        if self._cleaner is None:
            self._folder.mkdir(parents=True)
            self._cleaner = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder / str(number)

    def on_disk(self, item: Item) -> Path:
        """The item as a file that can be read at any place: itself, or unpacked into the folder."""
        if item.local is not None:
            return item.local
        with item.open() as stream:
            path = self.path(0)
            with path.open("wb") as file:
                while data := stream.read(CHUNK_BYTES):
                    file.write(data)
        return path

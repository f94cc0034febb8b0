"""Inputs to readable members: files, folders, gzip, zip, 7z and zstd, also inside each other.

Containers are known by their first bytes. Nothing that an archive says is trusted: no name from it is used as a
path, sizes are counted as they come out, and a member that cannot be read is reported and the others go on.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.archives import seven_zip_items, zip_items
from brokenseal.errors import ContainerRefused
from brokenseal.model import Member
from brokenseal.unpacking import GuardedStream, GzipReader, Item, Reading, ZstdReader, shown

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator

    from brokenseal.settings import Settings

_HEAD_BYTES: Final = 512
_MAGIC: Final = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([first]) + b"\x2a\x4d\x18", "zstd") for first in range(0x50, 0x60)),  # skippable frames (pzstd)
)
_FOREIGN: Final = (
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (0, b"\xfd7zXZ\x00", "xz file"),
    (0, b"BZh", "bzip2 file"),
    (257, b"ustar", "tar archive"),
)
_BZIP2_BLOCK: Final = b"1AY&SY"
_KNOWN: Final = "gzip, zip, 7z, zstd, or the plain file"
_NO_DEVICE: Final = "a file or a folder, no device or pipe"


def members(path: Path, settings: Settings, *, refused: Callable[[ContainerRefused], None]) -> Iterator[Member]:
    """Every readable thing under an input, in a stable order.

    Folders are read recursively in the order of their names, archives in their own order. Links inside a folder
    are not followed: their targets are read where they stand if they are inside, and are refused if not. The
    store itself is left out.

    Args:
        path: File or folder as the user gave it.
        settings: Limits, password, and `store_dir`, under whose `tmp` nested archives and 7z are unpacked.
        refused: Is told of everything that is not read and why; reading goes on with the next.

    Yields: Members. Their streams may give less than they are asked for, and raise `ContainerRefused` where an
        archive turns out to be damaged, locked or a bomb only while it is read.
    """
    reading = Reading(settings=settings, refused=refused)
    for file in _files(path, reading):
        try:
            size = file.stat().st_size
        except OSError as error:
            reading.refused(_unreadable(file, error))
            continue
        yield from _look_into(
            Item(path=shown(str(file)), kinds=(), size_bytes=size, open=partial(file.open, "rb"), local=file), reading
        )


# ---------------------------------------------------------------- files and folders


def _files(path: Path, reading: Reading) -> Iterator[Path]:
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reading.refused(_unreadable(path, error))
        return
    if stat.S_ISDIR(kind):
        place = path.resolve()
        bounds = _Bounds(root=place, store=reading.settings.store_dir.resolve())
        yield from _folder(path, place, bounds, reading)
    elif stat.S_ISREG(kind):
        yield path
    else:
        reading.refused(ContainerRefused(place=shown(str(path)), expected=_NO_DEVICE))


class _Bounds(NamedTuple):
    """Where a folder that was given really stands, and the store, which is left out of it."""

    root: Path
    store: Path


def _folder(folder: Path, place: Path, bounds: _Bounds, reading: Reading) -> Iterator[Path]:
    """The files below a folder. `place` is where it really stands: no link is followed on the way down."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        reading.refused(_unreadable(folder, error))
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_symlink():
                target = path.resolve(strict=True)
                if not target.is_relative_to(bounds.root):
                    reading.refused(
                        ContainerRefused(
                            place=shown(str(path)), expected="a file inside the folder; this link leads out of it"
                        )
                    )
            elif entry.is_dir(follow_symlinks=False):
                inside = place / entry.name
                if inside != bounds.store:
                    yield from _folder(path, inside, bounds, reading)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                reading.refused(ContainerRefused(place=shown(str(path)), expected=_NO_DEVICE))
        except (OSError, RuntimeError) as error:  # a broken link; a circle of links
            reading.refused(_unreadable(path, error))


def _unreadable(path: Path, error: Exception) -> ContainerRefused:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ContainerRefused(place=shown(str(path)), value=reason, expected="a file that exists and may be read")


# ---------------------------------------------------------------- one thing


def _look_into(item: Item, reading: Reading) -> Iterator[Member]:
    try:
        with item.open() as stream:
            head = _head(stream)
    except ContainerRefused as error:
        reading.refused(error)
        return
    except OSError as error:
        reading.refused(_unreadable(Path(item.path), error))
        return
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    foreign = _foreign(head)
    if foreign is not None:
        reading.refused(ContainerRefused(place=item.path, value=foreign, expected=_KNOWN))
    elif kind is None:
        yield Member(
            path=item.path,
            container="/".join(item.kinds) or "plain",
            size_bytes=item.size_bytes,
            open=item.open,
            local_path=None if item.local is None or item.kinds else str(item.local),
        )
    elif len(item.kinds) > reading.settings.depth_limit:
        deepest = reading.settings.depth_limit + 1
        reading.refused(
            ContainerRefused(
                place=item.path,
                value=" in ".join([kind, *reversed(item.kinds)]),
                expected=f"containers at most {deepest} deep",
            )
        )
    else:
        try:
            for inner in _unpacked(item, reading, kind):
                yield from _look_into(inner, reading)
        except ContainerRefused as error:
            reading.refused(error)
        except OSError as error:
            reading.refused(_unreadable(Path(item.path), error))


def _head(stream: io.IOBase) -> bytes:
    head = b""
    while len(head) < _HEAD_BYTES and (part := stream.read(_HEAD_BYTES - len(head))):
        head += part
    return head


def _foreign(head: bytes) -> str | None:
    for offset, magic, name in _FOREIGN:
        if head[offset:].startswith(magic) and (name != "bzip2 file" or head[4:].startswith(_BZIP2_BLOCK)):
            return name
    return None


def _unpacked(item: Item, reading: Reading, kind: str) -> Iterator[Item]:
    """What is inside a container of a known kind.

    Raises:
        ContainerRefused: It cannot be read as a whole.
    """
    if kind == "zip":
        yield from zip_items(item, reading)
    elif kind == "7z":
        yield from seven_zip_items(item, reading)
    else:
        opened = partial(_open_stream, item, reading, kind)
        yield Item(path=item.path, kinds=(*item.kinds, kind), size_bytes=None, open=opened)


def _open_stream(item: Item, reading: Reading, kind: str) -> io.IOBase:
    packed = (GzipReader if kind == "gzip" else ZstdReader)(item.open())
    return GuardedStream(
        packed, limits=reading.limits(item.path), taken=lambda: packed.taken, expected=f"an undamaged {kind} file"
    )

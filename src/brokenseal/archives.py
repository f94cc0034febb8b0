"""The members of zip and 7z archives.

No name from an archive is used as a path: zip members are read as streams, 7z members are unpacked under
numbers. Sizes that the archive declares are checked before anything is unpacked, and what comes out is counted.
"""

from __future__ import annotations

import io
import stat
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import ContainerRefused
from brokenseal.settings import MEBIBYTE
from brokenseal.unpacking import DAMAGE, GuardedStream, Item, Limits, Reading, Spool, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SMALL_STEP_BYTES: Final = 4096
_ENCRYPTED: Final = 0x1
_GROUP_BYTES: Final = 256 * MEBIBYTE
_NO_LINK: Final = "a file: links inside archives are not followed"
_LOCKED: Final = "a password for this encrypted archive (--password-file)"
_LOCKED_OR_DAMAGED: Final = "the right password, or an undamaged archive"


class _Running:
    """The sizes that the members of one archive declare, added up.

    Entries may overlap or share one packed block, so that each is harmless and all of them together are not.
    """

    def __init__(self, packed: int) -> None:
        self.packed = packed
        self._unpacked = 0

    def add(self, size: int, limits: Limits) -> None:
        limits.check_ratio(self._unpacked + size, self.packed)
        self._unpacked += size


# ---------------------------------------------------------------- zip


class _ZipFile(io.RawIOBase):
    """The file of an archive, which is open only while a member is read: a folder may hold thousands of archives."""

    def __init__(self, path: Path, spool: Spool) -> None:
        super().__init__()
        self._path = path
        self._spool = spool  # keeps the file, where it is a temporary one
        self._file: io.BufferedReader | None = None
        self._position = 0

    def _opened(self) -> io.BufferedReader:
        if self._file is None:
            self._file = self._path.open("rb")
            self._file.seek(self._position)
        return self._file

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._opened().read(-1 if size is None else size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._position = self._opened().seek(offset, whence)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def release(self) -> None:
        """Close the file until it is read again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        self.release()
        super().close()


class _ZipMember:
    """One opened member. bzip2 and lzma are read in small steps, because their decoders know no limit of output."""

    def __init__(self, archive: Any, info: Any, file: _ZipFile) -> None:
        import pyzipper

        self._file = file
        self._stream = archive.open(info)
        is_bounded = info.compress_type in {pyzipper.ZIP_STORED, pyzipper.ZIP_DEFLATED}
        self._step = None if is_bounded else _SMALL_STEP_BYTES

    def read(self, size: int, /) -> bytes:
        data: bytes = self._stream.read1(size if self._step is None else min(size, self._step))
        return data

    def close(self) -> None:
        self._stream.close()
        self._file.release()


def zip_items(item: Item, reading: Reading) -> Iterator[Item]:
    """The members of a zip archive, in its own order; classic and AES encryption are opened with the password.

    Raises:
        ContainerRefused: The archive as a whole cannot be read. Single members are reported to `reading`.
    """
    import pyzipper

    spool = Spool(reading.settings)
    path = spool.on_disk(item)
    file = _ZipFile(path, spool)
    try:
        archive = pyzipper.AESZipFile(file)
    except (*DAMAGE, pyzipper.BadZipFile) as error:
        raise ContainerRefused(place=item.path, value=_text(error), expected="an undamaged zip archive") from error
    finally:
        file.release()
    archive.setpassword(reading.settings.password)
    infos = archive.infolist()
    if any(info.filename == "[Content_Types].xml" for info in infos):
        raise ContainerRefused(place=item.path, value="Office document", expected="the export as CSV or JSON")
    running = _Running(path.stat().st_size)
    for info in infos:
        if info.is_dir():
            continue
        limits = reading.limits(f"{item.path}!{shown(info.filename)}")
        packed = min(info.compress_size, running.packed)
        try:
            _check_zipped(info, reading, limits, packed)
            running.add(info.file_size, limits)
        except ContainerRefused as error:
            reading.refused(error)
            continue
        yield Item(
            path=limits.place,
            kinds=(*item.kinds, "zip"),
            size_bytes=info.file_size,
            open=partial(_open_zipped, archive, info, file, limits, packed),
        )


def _check_zipped(info: Any, reading: Reading, limits: Limits, packed: int) -> None:
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ContainerRefused(place=limits.place, value="symbolic link", expected=_NO_LINK)
    if info.flag_bits & _ENCRYPTED and reading.settings.password is None:
        raise ContainerRefused(place=limits.place, value="encrypted", expected=_LOCKED)
    limits.check(info.file_size, packed)


def _open_zipped(archive: Any, info: Any, file: _ZipFile, limits: Limits, packed: int) -> io.IOBase:
    import pyzipper

    expected = _LOCKED_OR_DAMAGED if info.flag_bits & _ENCRYPTED else "an undamaged zip archive"
    try:
        member = _ZipMember(archive, info, file)
    except (*DAMAGE, pyzipper.BadZipFile) as error:
        raise ContainerRefused(place=limits.place, value=_text(error), expected=expected) from error
    return GuardedStream(
        member, limits=limits, taken=lambda: packed, expected=expected, damage=(*DAMAGE, pyzipper.BadZipFile)
    )


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


# ---------------------------------------------------------------- 7z


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One member of a 7z archive; members of one block can only be unpacked in order and together."""

    number: int
    place: str
    size: int
    checksum: int | None
    block: int | None


class _Unpacked:
    """A member on its way to a numbered file; the form of a writer that the library asks for."""

    def __init__(self, path: Path) -> None:
        self.written = 0
        self.checksum = 0
        self._file = path.open("wb")

    def write(self, data: bytes | bytearray) -> int:
        self.written += len(data)
        self.checksum = zlib.crc32(data, self.checksum)
        return self._file.write(data)

    def read(self, _size: int | None = None) -> bytes:
        return b""

    def seek(self, _offset: int, _whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        return

    def size(self) -> int:
        return self.written

    def close(self) -> None:
        self._file.close()


class _Writers:
    """Makes the writer for each member, by its number: members are renamed to numbers before they are unpacked."""

    def __init__(self, folder: Path) -> None:
        self.made: dict[int, _Unpacked] = {}
        self._folder = folder  # not the spool: the library's objects refer to each other, and it would stay

    def create(self, filename: str) -> _Unpacked:
        number = int(filename.rsplit("/", 1)[-1])
        self.made[number] = _Unpacked(self._folder / str(number))
        return self.made[number]


@contextmanager
def _opened_7z(path: Path, reading: Reading, place: str) -> Iterator[Any]:
    """The archive; everything that the library raises on it becomes `ContainerRefused`."""
    import py7zr
    from py7zr.exceptions import ArchiveError, PasswordRequired

    password = reading.settings.password
    expected = "an undamaged 7z archive" if password is None else _LOCKED_OR_DAMAGED
    try:
        with (
            path.open("rb") as file,
            py7zr.SevenZipFile(file, password=None if password is None else password.decode(errors="replace")) as it,
        ):
            yield it
    except PasswordRequired as error:
        raise ContainerRefused(place=place, value="encrypted", expected=_LOCKED) from error
    except ContainerRefused:
        raise
    except (*DAMAGE, ArchiveError) as error:
        raise ContainerRefused(place=place, value=_text(error), expected=expected) from error


def seven_zip_items(item: Item, reading: Reading) -> Iterator[Item]:
    """The members of a 7z archive, in its own order, unpacked to numbered files about 256 MiB at a time.

    Raises:
        ContainerRefused: The archive as a whole cannot be read. Single members are reported to `reading`.
    """
    source = Spool(reading.settings)
    path = source.on_disk(item)
    with _opened_7z(path, reading, item.path) as archive:
        if archive.needs_password() and reading.settings.password is None:
            raise ContainerRefused(place=item.path, value="encrypted", expected=_LOCKED)
        entries = list(_entries(archive, item, reading, path.stat().st_size))
    for group in _groups(entries):
        spool = Spool(reading.settings)
        refused: dict[int, ContainerRefused] = {}
        _unpack(path, group, spool=spool, item=item, reading=reading, refused=refused)
        for entry in group:
            if entry.number in refused:
                reading.refused(refused[entry.number])
                continue
            opened = io.BytesIO if entry.block is None else partial(_open_unpacked, spool, entry.number)
            yield Item(path=entry.place, kinds=(*item.kinds, "7z"), size_bytes=entry.size, open=opened)


def _open_unpacked(spool: Spool, number: int) -> io.IOBase:
    return _Spooled(spool, spool.path(number))


class _Spooled(io.FileIO):
    """A file of a spool, which stays as long as the file is open."""

    def __init__(self, spool: Spool, path: Path) -> None:
        super().__init__(path, "rb")
        self._spool: Spool | None = spool

    def close(self) -> None:
        super().close()
        self._spool = None


def _entries(archive: Any, item: Item, reading: Reading, packed: int) -> Iterator[_Entry]:
    running = _Running(packed)
    blocks: dict[int, int] = {}
    for number, file in enumerate(archive.files):
        if file.is_directory or file.is_socket:
            continue
        limits = reading.limits(f"{item.path}!{shown(file.filename)}")
        size = 0 if file.emptystream else file.uncompressed
        try:
            _check_7z(file, size, limits, packed)
            running.add(size, limits)
        except ContainerRefused as error:
            reading.refused(error)
            continue
        block = None if file.emptystream else blocks.setdefault(id(file.folder), len(blocks))
        yield _Entry(number=number, place=limits.place, size=size, checksum=file.crc32, block=block)


def _check_7z(file: Any, size: int, limits: Limits, packed: int) -> None:
    if file.is_symlink or file.is_junction:
        raise ContainerRefused(place=limits.place, value="link", expected=_NO_LINK)
    limits.check(size, packed)


def _groups(entries: list[_Entry]) -> Iterator[list[_Entry]]:
    """Members in order, cut where a block begins and enough has come together."""
    group: list[_Entry] = []
    size = 0
    for entry in entries:
        if size > _GROUP_BYTES and entry.block is not None and all(entry.block != other.block for other in group[-1:]):
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group


def _unpack(
    path: Path,
    group: list[_Entry],
    *,
    spool: Spool,
    item: Item,
    reading: Reading,
    refused: dict[int, ContainerRefused],
) -> None:
    """Unpack the members of a group; where a block breaks off, its later members are refused and the rest goes on."""
    wanted = [entry for entry in group if entry.block is not None]
    while wanted:
        writers = _Writers(spool.path(0).parent)
        failure: str | None = None
        try:
            with _opened_7z(path, reading, item.path) as archive:
                for number, info in enumerate(archive.files.files_list):
                    info["filename"] = str(number)
                    info.pop("digest", None)  # checked here, so that one bad member does not end it all
                archive.extract(targets={str(entry.number) for entry in wanted}, factory=writers)
        except ContainerRefused as error:
            failure = error.value or "damage"
        finally:
            for writer in writers.made.values():
                writer.close()
        missing = [entry for entry in wanted if not _is_complete(entry, writers)]
        broken = missing[0].block if missing and failure is not None else None
        for entry in missing:
            if failure is None or entry.block == broken:
                refused[entry.number] = ContainerRefused(
                    place=entry.place,
                    value="wrong checksum" if failure is None else failure,
                    expected="an undamaged 7z archive" if reading.settings.password is None else _LOCKED_OR_DAMAGED,
                )
        wanted = [entry for entry in missing if failure is not None and entry.block != broken]


def _is_complete(entry: _Entry, writers: _Writers) -> bool:
    writer = writers.made.get(entry.number)
    return (
        writer is not None
        and writer.written == entry.size
        and (entry.checksum is None or entry.checksum == writer.checksum)
    )

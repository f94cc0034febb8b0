"""Streams that unpack: limits, short reads, several members, and the temporary folder."""

from __future__ import annotations

import gzip
import io
import os
from functools import partial

import pytest
import zstandard

from brokenseal.errors import ContainerRefused
from brokenseal.settings import MEBIBYTE, Settings
from brokenseal.unpacking import GuardedStream, GzipReader, Item, Limits, Spool, ZstdReader, shown

LIMITS = Limits(place="here", member_bytes=20 * MEBIBYTE, ratio=10)


class Trickle(io.BytesIO):
    """Gives three bytes at a time."""

    def read(self, size=-1):
        return super().read(min(size, 3))


def unpacked(reader, size: int) -> bytes:
    return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize("size", [1, 1000, MEBIBYTE])
@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
def test_gzip_and_zstd_members_come_out_in_pieces_of_any_size(source, size):
    data = os.urandom(700) + b"x" * 2_000
    gz, zs = gzip.compress(data), zstandard.ZstdCompressor().compress(data)

    for reader, packed in ((GzipReader, gz + gz + b"\0" * 9), (ZstdReader, zs + zs)):
        opened = reader(source(packed))
        assert unpacked(opened, size) == data * 2
        assert opened.taken == len(packed)


@pytest.mark.parametrize(
    ("unpacked_bytes", "packed_bytes", "refused"),
    [
        (20 * MEBIBYTE, 2 * MEBIBYTE, False),
        (20 * MEBIBYTE + 1, 20 * MEBIBYTE, True),
        (10 * MEBIBYTE, 0, False),
        (10 * MEBIBYTE + 1, MEBIBYTE, True),
        (10 * MEBIBYTE + 1, MEBIBYTE + 1, False),
    ],
)
def test_limits_are_exact(unpacked_bytes, packed_bytes, refused):
    if refused:
        with pytest.raises(ContainerRefused, match="archive bomb") as caught:
            LIMITS.check(unpacked_bytes, packed_bytes)
        assert caught.value.place == "here"
    else:
        LIMITS.check(unpacked_bytes, packed_bytes)


class Failing:
    """Gives some bytes, then fails."""

    def __init__(self, error):
        self._error = error
        self._given = False
        self.closed = False

    def read(self, _size):
        if self._given:
            raise self._error
        self._given = True
        return b"good"

    def close(self):
        self.closed = True


@pytest.mark.parametrize("error", [ValueError("bad"), OSError(5, "io"), ContainerRefused(place="in", expected="x")])
def test_every_failure_below_is_one_error_and_what_came_before_is_kept(error):
    below = Failing(error)
    stream = GuardedStream(below, limits=LIMITS, taken=lambda: 1, expected="an undamaged file")

    assert stream.read(100) == b"good"
    with pytest.raises(ContainerRefused):
        stream.read(100)
    stream.close()
    assert below.closed


def test_a_spool_has_no_folder_until_it_is_needed_and_none_when_it_is_forgotten(tmp_path):
    settings = Settings(store_dir=tmp_path / "store")
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    on_disk = Item(path="file", kinds=(), size_bytes=3, open=partial(file.open, "rb"), local=file)
    packed = Item(path="file", kinds=("gzip",), size_bytes=None, open=lambda: io.BytesIO(b"xyz"))
    spool = Spool(settings)

    assert spool.on_disk(on_disk) == file
    assert not (tmp_path / "store").exists()
    kept = spool.on_disk(packed)
    assert kept.read_bytes() == b"xyz"
    assert kept.is_relative_to(tmp_path / "store" / "tmp")
    del spool
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_shown_names_hold_no_control_formatting_or_lone_surrogate_characters():
    assert shown("a\0\x1b\x9b\u200f\u202e\u2028\ud800é 邮件.json") == "a" + "\ufffd" * 7 + "é 邮件.json"

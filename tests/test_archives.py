"""What an archive declares is checked before it is unpacked. Reading of archives is pinned in test_containers."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import py7zr
import pytest

from brokenseal import archives
from brokenseal.archives import seven_zip_items, zip_items
from brokenseal.settings import Settings
from brokenseal.unpacking import Item, Reading

if TYPE_CHECKING:
    from brokenseal.errors import ContainerRefused


def item(path) -> Item:
    return Item(path="x", kinds=(), size_bytes=None, open=lambda: path.open("rb"), local=path)


def reading(tmp_path, refused) -> Reading:
    return Reading(settings=Settings(store_dir=tmp_path / "store"), refused=refused)


def contents(items) -> dict[str, bytes]:
    found = {}
    for entry in items:
        with entry.open() as stream:
            found[entry.path] = stream.read()
    return found


@pytest.mark.parametrize("solid", [True, False])
def test_a_7z_archive_is_unpacked_group_by_group(tmp_path, monkeypatch, solid):
    monkeypatch.setattr(archives, "_GROUP_BYTES", 250)
    path = tmp_path / "a.7z"
    expected = {f"x!{n}": bytes([n]) * 100 for n in range(9)} | {"x!empty": b""}
    for n, (name, data) in enumerate(expected.items()):
        with py7zr.SevenZipFile(path, "a" if n and not solid else "w" if not n else "a") as archive:
            archive.writestr(data, name[2:])

    assert contents(seven_zip_items(item(path), reading(tmp_path, pytest.fail))) == expected


def test_damage_in_one_block_refuses_that_block_and_the_others_go_on(tmp_path):
    path = tmp_path / "a.7z"
    for n in range(4):
        with py7zr.SevenZipFile(path, "a" if n else "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as archive:
            archive.writestr(bytes(range(256)) * (n + 1) * 7, f"{n}")
    data = bytearray(path.read_bytes())
    with py7zr.SevenZipFile(path) as archive:
        first = archive.header.main_streams.packinfo.packsizes[0]
    data[32 + first + 1 : 32 + first + 6] = b"\xff" * 5
    path.write_bytes(data)
    refused: list[ContainerRefused] = []

    found = contents(seven_zip_items(item(path), reading(tmp_path, refused.append)))

    assert list(found) == ["x!0", "x!2", "x!3"]
    assert [error.place for error in refused] == ["x!1"]


def test_members_of_equal_names_are_all_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("same", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("same", b"2")

    items = list(zip_items(item(path), reading(tmp_path, pytest.fail)))

    assert [entry.open().read() for entry in items] == [b"1", b"2"]
    assert [entry.path for entry in items] == ["x!same"] * 2


def test_folders_in_archives_are_no_members(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/file", b"1")
    path = tmp_path / "a.zip"
    path.write_bytes(out.getvalue())

    assert contents(zip_items(item(path), reading(tmp_path, pytest.fail))) == {"x!folder/file": b"1"}

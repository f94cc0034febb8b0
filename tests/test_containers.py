"""Containers: what is inside comes out, whatever it is called; what must not be opened is refused, alone."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import py7zr
import pytest
import pyzipper
import zstandard

from brokenseal.containers import members
from brokenseal.errors import ContainerRefused
from brokenseal.settings import MEBIBYTE, Settings

DATA = b'{"Id":"1"}\n' * 100


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def aes_zipped(entries: dict[str, bytes], password: bytes) -> bytes:
    out = io.BytesIO()
    with pyzipper.AESZipFile(
        out, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES, encryption_kwargs={"nbits": 256}
    ) as archive:
        archive.setpassword(password)
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def classic_zipped(name: str, data: bytes, password: bytes) -> bytes:
    """A zip with the classic cipher, which no library writes any more: a stored, encrypted entry by hand."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0xEDB88320 if number & 1 else 0)  # noqa: PLW2901
        table.append(number)
    keys = [0x12345678, 0x23456789, 0x34567890]

    def step(crc: int, byte: int) -> int:
        return (crc >> 8) ^ table[(crc ^ byte) & 0xFF]

    def update(byte: int) -> None:
        keys[0] = step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = step(keys[2], keys[1] >> 24)

    def encrypt(plain: bytes) -> bytes:
        out = bytearray()
        for byte in plain:
            temp = keys[2] | 2
            out.append(byte ^ ((temp * (temp ^ 1)) >> 8 & 0xFF))
            update(byte)
        return bytes(out)

    for byte in password:
        update(byte)
    crc = zlib.crc32(data)
    packed = encrypt(b"\0" * 11 + bytes([crc >> 24]) + data)
    raw = name.encode()
    common = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 0x21, crc, len(packed), len(data), len(raw), 0)
    local = b"PK\x03\x04" + common + raw + packed
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def seven_zipped(entries: dict[str, bytes], **options) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(data, name)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.fixture
def read(tmp_path):
    """Put files into a folder and read all of it: ([(path, container, bytes)], [refused])."""

    def run(files: dict[str, bytes] | bytes, **options):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        for name, data in (files if isinstance(files, dict) else {"input.bin": files}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        refused: list[ContainerRefused] = []
        settings = Settings(store_dir=tmp_path / "store", **options)
        found = []
        for member in members(folder, settings, refused=refused.append):
            try:
                with member.open() as stream:
                    data = b"".join(iter(lambda stream=stream: stream.read(70_000), b""))
            except ContainerRefused as error:
                refused.append(error)
                continue
            found.append((member.path.removeprefix(f"{folder}{os.sep}"), member.container, data))
        return found, refused

    yield run
    left = list((tmp_path / "store" / "tmp").glob("*")) if (tmp_path / "store" / "tmp").is_dir() else []
    assert left == []  # nothing stays behind once nobody refers to the members


# ---------------------------------------------------------------- what comes out


SINGLE = {
    "plain": (DATA, "input.bin", "plain"),
    "empty": (b"", "input.bin", "plain"),
    "gzip": (gzip.compress(DATA), "input.bin", "gzip"),
    "zstd": (zstd(DATA), "input.bin", "zstd"),
    "zip": (zipped({"a/b.json": DATA}), "input.bin!a/b.json", "zip"),
    "zip, stored": (zipped({"b": DATA}, zipfile.ZIP_STORED), "input.bin!b", "zip"),
    "zip, bzip2": (zipped({"b": DATA}, zipfile.ZIP_BZIP2), "input.bin!b", "zip"),
    "zip, lzma": (zipped({"b": DATA}, zipfile.ZIP_LZMA), "input.bin!b", "zip"),
    "7z": (seven_zipped({"a/b.json": DATA}), "input.bin!a/b.json", "7z"),
    "gzip in zip": (zipped({"b.gz": gzip.compress(DATA)}), "input.bin!b.gz", "zip/gzip"),
    "zstd in zip": (zipped({"b": zstd(DATA)}), "input.bin!b", "zip/zstd"),
    "zip in zip": (zipped({"b.zip": zipped({"c": DATA})}), "input.bin!b.zip!c", "zip/zip"),
    "zip in gzip": (gzip.compress(zipped({"c": DATA})), "input.bin!c", "gzip/zip"),
    "7z in zip": (zipped({"b.7z": seven_zipped({"c": DATA})}), "input.bin!b.7z!c", "zip/7z"),
    "zip in 7z": (seven_zipped({"b.zip": zipped({"c": DATA})}), "input.bin!b.zip!c", "7z/zip"),
    "gzip in zstd": (zstd(gzip.compress(DATA)), "input.bin", "zstd/gzip"),
}


@pytest.mark.parametrize(("packed", "path", "container"), SINGLE.values(), ids=SINGLE)
def test_the_content_comes_out_of_every_container(read, packed, path, container):
    found, refused = read(packed)

    assert refused == []
    assert found == [(path, container, b"" if packed == b"" else DATA)]


def test_members_can_be_opened_again_after_all_of_them_were_listed(tmp_path):
    archive = tmp_path / "in.7z"
    archive.write_bytes(seven_zipped({"a": DATA, "b": b"", "c": DATA + b"x"}))
    settings = Settings(store_dir=tmp_path / "store")

    listed = list(members(archive, settings, refused=pytest.fail))

    for _ in range(2):
        for member, data in zip(listed, [DATA, b"", DATA + b"x"], strict=True):
            with member.open() as stream:
                assert stream.read() == data
    assert [member.size_bytes for member in listed] == [1100, 0, 1101]
    assert [member.local_path for member in listed] == [None] * 3
    assert len(list((tmp_path / "store" / "tmp").iterdir())) == 1
    del listed, member
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_plain_file_is_given_with_its_own_path(tmp_path):
    path = tmp_path / "PK.zip"  # a name means nothing
    path.write_bytes(DATA)

    (member,) = members(path, Settings(store_dir=tmp_path / "store"), refused=pytest.fail)

    assert (member.path, member.container, member.size_bytes, member.local_path) == (
        str(path),
        "plain",
        1100,
        str(path),
    )


def test_many_archives_do_not_keep_their_files_open(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.zip").write_bytes(zipped({"a": DATA, "b": DATA}))
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir())) if handles.is_dir() else 0

    listed = list(members(tmp_path, Settings(store_dir=tmp_path / "store"), refused=pytest.fail))

    assert len(listed) == 60
    assert (len(list(handles.iterdir())) if before else 0) == before
    with listed[0].open() as first, listed[1].open() as second:  # two of one archive at the same time
        assert (first.read(10), second.read(20), first.read()) == (DATA[:10], DATA[:20], DATA[10:])


def test_members_that_follow_each_other_are_one_stream(read):
    gz, zs = gzip.compress(DATA), zstd(DATA)

    found, refused = read({"1.gz": gz * 3 + b"\0" * 700, "2.zst": zs + b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zs})

    assert refused == []
    assert [data for *_, data in found] == [DATA * 3, DATA * 2]


def test_large_members_come_out_whole(read):
    data = b"".join(b'{"Id":"%d","x":"%s"}\n' % (n, os.urandom(20).hex().encode()) for n in range(60_000))
    files = {"1.gz": gzip.compress(data, 1), "2.zst": zstd(data), "3.zip": zipped({"a": data}), "4": data}
    files["5.7z"] = seven_zipped({"a": data, "b": data[:5]}, filters=[{"id": py7zr.FILTER_ZSTD, "level": 3}])

    found, refused = read(files)

    assert refused == []
    assert [item == data for *_, item in found] == [True] * 5 + [False]


def test_folders_are_read_in_the_order_of_names_and_links_are_not_followed_out(tmp_path):
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("in/c", "in/b/z", "in/b/a", "in/a", "out/secret"):
        (tmp_path / name).write_bytes(DATA)
    (tmp_path / "in/link-in").symlink_to("a")
    (tmp_path / "in/link-out").symlink_to(tmp_path / "out" / "secret")
    (tmp_path / "in/link-dir").symlink_to(tmp_path / "out")
    (tmp_path / "in/link-up").symlink_to("..")
    (tmp_path / "in/link-broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in/pipe")
    refused: list[ContainerRefused] = []

    found = members(tmp_path / "in", Settings(store_dir=tmp_path / "in" / "b" / "store"), refused=refused.append)

    assert [Path(member.path).relative_to(tmp_path / "in").as_posix() for member in found] == ["a", "b/a", "b/z", "c"]
    assert [Path(error.place).name for error in refused] == [
        "link-broken",
        "link-dir",
        "link-out",
        "link-up",
        "pipe",
    ]


def test_the_store_inside_an_input_folder_is_left_out(tmp_path):
    (tmp_path / "store" / "tmp").mkdir(parents=True)
    (tmp_path / "store" / "ledger.parquet").write_bytes(b"x")
    (tmp_path / "a").write_bytes(DATA)

    found = list(members(tmp_path, Settings(store_dir=tmp_path / "store"), refused=pytest.fail))

    assert [Path(member.path).name for member in found] == ["a"]


@pytest.mark.parametrize("name", ["absent", "bad\0name"])
def test_an_input_that_does_not_exist_is_refused(tmp_path, name):
    refused: list[ContainerRefused] = []

    assert list(members(tmp_path / name, Settings(store_dir=tmp_path), refused=refused.append)) == []
    assert [error.expected for error in refused] == ["a file that exists and may be read"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused_and_the_others_are_read(read, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b").write_bytes(DATA)
    (tmp_path / "in" / "b").chmod(0)

    found, refused = read({"a": DATA, "c": DATA})

    assert [name for name, *_ in found] == ["a", "c"]
    assert len(refused) == 1


def test_a_file_whose_reading_fails_is_refused_and_the_others_are_read(read, monkeypatch):
    opened = Path.open

    def failing(self, *args, **options):
        if self.name == "b" and args == ("rb",):
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", failing)

    found, refused = read({"a": DATA, "b": DATA, "c": DATA})

    assert [name for name, *_ in found] == ["a", "c"]
    assert [error.value for error in refused] == ["Permission denied"]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/passwd", "/etc/passwd"),
        ("C:\\Windows\\x.json", "C:\\Windows\\x.json"),
        ("a\x1b[31mred\nline\x7f.json", "a\ufffd[31mred\ufffdline\ufffd.json"),
        ("evil\u202egnp.json", "evil\ufffdgnp.json"),
    ],
)
def test_names_from_archives_are_text_and_never_paths(read, tmp_path, name, shown):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("good", b"g")
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, DATA)
    packed = {"1.zip": out.getvalue()}
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        archive.writestr(b"g", "good")
        archive.writestr(DATA, "placeholder")
        archive.header.files_info.files[-1]["filename"] = name
    packed["2.7z"] = out.getvalue()

    found, refused = read(packed)

    assert refused == []
    assert found == [
        ("1.zip!good", "zip", b"g"),
        (f"1.zip!{shown}", "zip", DATA),
        ("2.7z!good", "7z", b"g"),
        (f"2.7z!{shown}".replace("\\", "/"), "7z", DATA),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "store"]


def test_names_on_disk_are_shown_without_control_characters(read):
    found, _ = read({"a\x1b]0;x\x07": DATA, os.fsdecode(b"caf\xe9"): DATA})

    assert [name for name, *_ in found] == ["a\ufffd]0;x\ufffd", "caf\ufffd"]


def test_links_in_archives_are_refused_and_files_beside_them_are_read(read, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("file", DATA)
    (tmp_path / "target").write_bytes(b"t")
    (tmp_path / "link").symlink_to("target")
    with py7zr.SevenZipFile(tmp_path / "x.7z", "w") as seven:
        seven.write(tmp_path / "link", "link")
        seven.writestr(DATA, "file")

    found, refused = read({"1.zip": out.getvalue(), "2.7z": (tmp_path / "x.7z").read_bytes()})

    assert [name for name, *_ in found] == ["1.zip!file", "2.7z!file"]
    assert [error.place.rsplit("/", 1)[1] for error in refused] == ["1.zip!link", "2.7z!link"]
    assert {error.expected for error in refused} == {"a file: links inside archives are not followed"}


# ---------------------------------------------------------------- passwords


LOCKED = {
    "zip, AES": lambda: aes_zipped({"a": DATA, "b": DATA}, b"right"),
    "zip, classic": lambda: classic_zipped("a", DATA, b"right"),
    "7z": lambda: seven_zipped({"a": DATA, "b": DATA}, password="right"),
    "7z, names too": lambda: seven_zipped({"a": DATA}, password="right", header_encryption=True),
}


@pytest.mark.parametrize("make", LOCKED.values(), ids=LOCKED)
def test_encrypted_archives_open_with_the_password_and_say_when_they_need_it(read, make):
    files = {"1": make(), "2": DATA}

    found, refused = read(files, password=b"right")
    assert refused == []
    assert {data for *_, data in found} == {DATA}
    assert {name[:1] for name, *_ in found} == {"1", "2"}

    found, refused = read(files)
    assert [name for name, *_ in found] == ["2"]
    assert refused
    assert all(error.value == "encrypted" and "a password" in error.expected for error in refused)

    found, refused = read(files, password=b"wrong")
    assert [name for name, *_ in found] == ["2"]
    assert refused
    assert {error.expected for error in refused} == {"the right password, or an undamaged archive"}


def test_a_password_does_no_harm_where_nothing_is_encrypted(read):
    found, refused = read({"1": zipped({"a": DATA}), "2": seven_zipped({"a": DATA})}, password=b"x")

    assert (len(found), refused) == (2, [])


# ---------------------------------------------------------------- bombs and damage


ZEROS = b"\0" * (24 * MEBIBYTE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: gzip.compress(ZEROS),
        lambda: zstd(ZEROS),
        lambda: zipped({"a": ZEROS}),
        lambda: zipped({"a": ZEROS}, zipfile.ZIP_BZIP2),
        lambda: zipped({"a": gzip.compress(ZEROS)}),
        lambda: seven_zipped({"a": ZEROS}),
        lambda: zipped({f"{n}": ZEROS[: 9 * MEBIBYTE] for n in range(3)}),
    ],
    ids=["gzip", "zstd", "zip", "zip, bzip2", "gzip in zip", "7z", "zip, shared"],
)
def test_a_bomb_is_refused_by_its_ratio_and_other_inputs_are_read(read, make):
    found, refused = read({"1": make(), "2": DATA})

    assert [name for name, *_ in found if not name.startswith("1!")] == ["2"]
    assert sum(len(data) for *_, data in found) < 20 * MEBIBYTE
    assert refused
    assert all("archive bomb" in error.expected for error in refused)


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda d: zipped({"a": d}), lambda d: seven_zipped({"a": d})])
def test_a_member_above_the_size_limit_is_refused(read, pack):
    data = os.urandom(5_000)

    assert len(read(pack(data), member_limit_bytes=5_000)[0]) == 1
    found, refused = read(pack(data), member_limit_bytes=4_999)
    assert found == []
    assert [error.expected for error in refused] == ["at most 4999 bytes unpacked: it may be an archive bomb"]


def test_a_size_that_the_header_belies_is_found_out_while_reading(read):
    packed = bytearray(zipped({"a": DATA * 50, "b": DATA}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = packed.index(signature) + offset
        packed[at : at + 4] = struct.pack("<I", 700)

    found, refused = read(bytes(packed))

    assert [name for name, *_ in found] == ["input.bin!b"]
    assert [error.expected for error in refused] == ["an undamaged zip archive"]


def test_containers_beyond_the_depth_are_refused(read):
    deep = zipped({"b.zip": zipped({"c.gz": gzip.compress(DATA), "d": DATA})})

    found, refused = read(deep)
    assert [name for name, *_ in found] == ["input.bin!b.zip!d"]
    assert [(error.value, error.expected) for error in refused] == [("gzip in zip in zip", "containers at most 2 deep")]

    assert [name for name, *_ in read(deep, depth_limit=2)[0]] == ["input.bin!b.zip!c.gz", "input.bin!b.zip!d"]


def test_what_came_out_before_the_damage_is_kept_and_the_read_after_it_raises(tmp_path):
    path = tmp_path / "cut.gz"
    data = b"".join(b'{"Id":"%d"}\n' % n for n in range(50_000))
    path.write_bytes(gzip.compress(data)[:-2000])

    (member,) = members(path, Settings(store_dir=tmp_path / "store"), refused=pytest.fail)
    parts = []
    with member.open() as stream, pytest.raises(ContainerRefused, match="ends too early"):
        parts.extend(iter(lambda: stream.read(MEBIBYTE), b""))

    assert data.startswith(b"".join(parts))
    assert len(b"".join(parts)) > len(data) * 0.9


DAMAGED = {
    "gzip, cut": gzip.compress(os.urandom(5_000))[:-500],
    "gzip, no data": b"\x1f\x8b\x08",
    "gzip, wrong checksum": gzip.compress(DATA)[:-8] + b"\0" * 8,
    "gzip, something behind it": gzip.compress(DATA) + b"something else",
    "zstd, cut": zstd(os.urandom(5_000))[:-500],
    "zstd, no data": b"\x28\xb5\x2f\xfd\xff",
    "zip, cut": zipped({"a": DATA})[:-10],
    "zip, no data": b"PK\x03\x04",
    "7z, cut": seven_zipped({"a": DATA})[:-10],
    "7z, no data": b"7z\xbc\xaf\x27\x1c\0\4",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_refused_and_other_inputs_are_read(read, data):
    found, refused = read({"1": data, "2": DATA})

    assert [name for name, *_ in found] == ["2"]
    assert len(refused) == 1
    assert "an undamaged" in refused[0].expected


def test_one_damaged_member_does_not_stop_the_others(read):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in "abc":
            archive.writestr(name, name.encode() * 1_000)
    seven = seven_zipped({name: name.encode() * 1_000 for name in "abc"}, filters=[{"id": py7zr.FILTER_COPY}])

    found, refused = read(
        {"1": out.getvalue().replace(b"b" * 10, b"x" * 10, 1), "2": seven.replace(b"b" * 10, b"x" * 10, 1)}
    )

    assert [name for name, *_ in found] == ["1!a", "1!c", "2!a", "2!c"]
    assert sorted(error.place[-3:] for error in refused) == ["1!b", "2!b"]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"Rar!\x1a\x07\x01\x00" + b"x" * 600, "RAR archive"),
        (b"\xfd7zXZ\x00" + b"x" * 600, "xz file"),
        (b"BZh91AY&SYxxxx", "bzip2 file"),
        (b"\0" * 257 + b"ustar" + b"\0" * 300, "tar archive"),
        (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "Office document"),
    ],
)
def test_other_containers_are_named(read, data, value):
    found, refused = read({"1": data, "2": b"BZhello"})

    assert found == [("2", "plain", b"BZhello")]
    assert [error.value for error in refused] == [value]


@pytest.mark.parametrize("kind", ["zip", "7z", "gzip", "zstd", "aes"])
def test_flipped_bytes_give_content_or_refusals_and_nothing_else(read, kind):
    make = {
        "zip": lambda: zipped({"a": DATA, "b": DATA}),
        "7z": lambda: seven_zipped({"a": DATA, "b": DATA}),
        "gzip": lambda: gzip.compress(DATA, mtime=0),
        "zstd": lambda: zstd(DATA),
        "aes": lambda: aes_zipped({"a": DATA}, b"x"),
    }[kind]()
    for at in range(0, len(make), max(1, len(make) // 60)):
        for bits in (0x01, 0xFF):
            damaged = make[:at] + bytes([make[at] ^ bits]) + make[at + 1 :]
            read(damaged, password=b"x")
        read(make[:at])

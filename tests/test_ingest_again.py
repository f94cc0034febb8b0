"""The same command once more: what is named is recognised by its bytes, and nothing is written of it."""

from __future__ import annotations

import datetime as dt
import json
import zipfile

import pytest

import brokenseal._ingest_plan
from brokenseal.containers import members
from brokenseal.evidence import verify
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def lines(*numbers: int) -> bytes:
    return b"".join(
        json.dumps(
            {
                "CreationTime": f"2025-10-27T07:{number % 60:02}:33",
                "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
                "Operation": "Send",
                "RecordType": 2,
                "UserId": "ada@contoso.example",
                "Workload": "Exchange",
            }
        ).encode()
        + b"\n"
        for number in numbers
    )


def content(store):
    """Every file of a store with its bytes, but for the lock."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.name != "lock"
    }


class World:
    def __init__(self, folder):
        self.folder = folder / "exports"
        self.folder.mkdir()
        self.settings = Settings(store_dir=folder / "store", threads=1)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def ingest(self, *paths):
        found = ingest(list(paths) or [self.folder], self.settings, now=NOW)
        return {each.path.rpartition("exports/")[2]: each.outcome for each in found.files}

    def rows(self):
        with Store.open(self.settings) as store:
            return [(row["path"].rpartition("exports/")[2], row["outcome"]) for row in store.ledger_rows()]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize("block", [1 << 20, 100])
def test_a_second_run_over_the_same_inputs_changes_no_byte_of_the_store(world, monkeypatch, block):
    """Small files, large ones, packed ones, one that is no log, one that is no archive."""
    monkeypatch.setattr(brokenseal._ingest_plan, "_BLOCK", block)
    world.write("a.jsonl", lines(1, 2, 3))
    world.write("b.json", b"[" + b",".join(lines(4, 5).splitlines()) + b"]")
    world.write("readme.txt", b"how we exported this\n")
    world.write("empty.csv", b"")
    world.write("broken.zip", b"PK\x03\x04 and nothing more")
    with zipfile.ZipFile(world.folder / "c.zip", "w") as archive:
        archive.writestr("c.jsonl", lines(6))
    first = world.ingest()
    before = content(world.settings.store_dir)

    second = world.ingest()

    assert first["a.jsonl"] == first["b.json"] == first["c.zip!c.jsonl"] == "ingested"
    assert second == {name: "unchanged" if outcome == "ingested" else outcome for name, outcome in first.items()}
    assert set(first.values()) == {"ingested", "not_an_audit_log", "empty", "unreadable"}
    assert content(world.settings.store_dir) == before


def test_what_is_new_beside_known_inputs_gets_the_only_rows(world):
    world.write("a.jsonl", lines(1, 2))
    world.ingest()
    world.write("b.jsonl", lines(2, 3))

    assert world.ingest() == {"a.jsonl": "unchanged", "b.jsonl": "ingested"}
    assert world.rows() == [("a.jsonl", "ingested"), ("b.jsonl", "ingested")]
    with Store.open(world.settings) as store:
        (row,) = [row for row in store.tables()["events"].to_pyarrow().to_pylist() if row["event_id"].endswith("3")]
        assert row["input_sha256"] == store.ledger_rows()[1]["sha256"]
    assert verify(world.settings).intact


def test_known_bytes_at_another_path_are_named_once(world):
    world.write("a.jsonl", lines(1))
    world.ingest()
    world.write("copy.jsonl", lines(1))

    assert [world.ingest() for _ in range(2)] == [{"a.jsonl": "unchanged", "copy.jsonl": "unchanged"}] * 2
    assert world.rows() == [("a.jsonl", "ingested"), ("copy.jsonl", "unchanged")]


def test_a_path_whose_first_bytes_come_back_is_named_again(world):
    """`evidence verify` compares a path with what was last found there."""
    for content_of in (lines(1), lines(2), lines(1)):
        path = world.write("a.jsonl", content_of)
        world.ingest()

    assert world.rows() == [("a.jsonl", "ingested"), ("a.jsonl", "ingested"), ("a.jsonl", "unchanged")]
    (original,) = verify(world.settings).originals
    assert (original.path, original.state) == (str(path), "same")


def test_a_changed_byte_is_read_again_though_size_and_name_are_the_same(world):
    world.write("a.jsonl", lines(1))
    world.ingest()
    world.write("a.jsonl", lines(2))

    assert world.ingest() == {"a.jsonl": "ingested"}
    with Store.open(world.settings) as store:
        assert store.tables()["events"].count().to_pyarrow().as_py() == 2


def test_what_an_unreadable_input_says_anew_is_named(world):
    world.write("a.jsonl", lines(1))
    world.write("b.zip", b"PK\x03\x04 damaged")
    world.ingest()
    world.write("b.zip", b"")

    world.ingest()

    assert world.rows()[-1] == ("b.zip", "empty")


@pytest.mark.parametrize("size", [10, 200])
def test_a_container_that_gives_more_than_it_promised_is_not_taken_for_its_beginning(world, tmp_path, size):
    """The digest of a part says nothing of the whole."""
    import hashlib
    import io
    from dataclasses import replace

    whole = lines(*range(20))
    (member,) = members(world.write("a.jsonl", whole), world.settings, refused=lambda _: None)
    short = replace(member, size_bytes=size, open=lambda: io.BytesIO(whole), container="zip", local_path=None)
    asked = set()

    def is_named(_path, sha256):
        asked.add(sha256)
        return True

    planned = brokenseal._ingest_plan._look_into(short, world.settings, is_named)

    assert asked == set()
    assert (planned.sha256, planned.size_bytes) == (hashlib.sha256(whole).hexdigest(), len(whole))

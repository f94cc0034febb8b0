from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import brokenseal._ingest_parts
import brokenseal._ingest_reading
import brokenseal._ingest_segments
import brokenseal.ingest
from brokenseal.errors import EvidenceChanged, NothingReadable, StoreError
from brokenseal.evidence import raw_text, verify
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store
from support import SAMPLES, needs_samples

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def record(number: int, **changes) -> dict:
    return {
        "CreationTime": f"2025-10-27T07:{number % 60:02}:33",
        "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
        "Operation": "MailItemsAccessed",
        "RecordType": 50,
        "UserId": "ada@contoso.example",
        "UserType": 0,
        "Workload": "Exchange",
        "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
        "Folders": [{"Path": "\\Inbox", "FolderItems": [{"InternetMessageId": f"<{number}@x>"}]}],
        **changes,
    }


def lines(*records) -> bytes:
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in records)


class World:
    """A folder for inputs and a store beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = Settings(store_dir=folder / "store", threads=1)

    def write(self, name: str, content: bytes):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def ingest(self, *paths):
        return ingest(list(paths), self.settings, now=NOW)

    def table(self, name: str) -> list[dict]:
        with Store.open(self.settings) as store:
            return store.tables()[name].to_pyarrow().to_pylist()


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture(params=["plain", "columnar"])
def path_of_reading(request, monkeypatch) -> str:
    """Both ways of reading, the columnar one with segments of a few lines."""
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0 if request.param == "columnar" else 1 << 60)
    return request.param


def counts(result) -> tuple[int, ...]:
    return result.records, result.kept, result.duplicates, result.rejected, result.ignored


def test_records_are_kept_once_and_copies_are_counted(world, path_of_reading):
    path = world.write("a.jsonl", lines(record(1), record(2), record(1), record(2), record(1)))

    assert counts(world.ingest(path)) == (5, 2, 3, 0, 0)
    assert sorted(row["record_no"] for row in world.table("events")) == [1, 2]


def test_of_two_records_with_one_id_the_first_is_kept(world, path_of_reading):
    odd = record(1, UserId="second@contoso.example", RecordType="Unknown name")
    path = world.write("a.jsonl", lines(record(9), record(1, UserId="first@contoso.example"), odd))

    world.ingest(path)

    assert {"first@contoso.example", "ada@contoso.example"} == {row["actor"] for row in world.table("events")}
    assert len(world.table("mail_accesses")) == 2


def test_a_record_of_the_slow_way_wins_over_a_later_one_of_the_fast_way(world, path_of_reading):
    odd = record(1, UserId="first@contoso.example", RecordType="Unknown name")
    path = world.write("a.jsonl", lines(record(9), odd, record(1, UserId="second@contoso.example")))

    assert counts(world.ingest(path)) == (3, 2, 1, 0, 0)
    assert {"first@contoso.example", "ada@contoso.example"} == {row["actor"] for row in world.table("events")}
    assert len(world.table("mail_accesses")) == 2


def test_what_cannot_be_read_goes_to_quarantine_with_its_place(world, path_of_reading):
    cut = json.dumps(record(3)).encode()[:150]
    path = world.write(
        "a.jsonl", lines(record(1), cut, b"\xff\xfe", {"hello": 1}, record(2, CreationTime="never"), record(4))
    )

    assert counts(world.ingest(path)) == (6, 2, 0, 4, 0)
    rows = {row["record_no"]: row for row in world.table("quarantine")}
    assert {number: row["reason"] for number, row in rows.items()} == {
        2: "not_json",
        3: "not_text",
        4: "unknown_shape",
        5: "field_invalid",
    }
    assert rows[2]["salvaged_operation"] == "MailItemsAccessed"
    assert rows[5]["column"] == "CreationTime"
    assert {str(path)} == {row["path"] for row in rows.values()}
    assert rows[2]["raw_text"] == cut.decode()


def test_blank_lines_marks_and_line_ends_do_not_shift_the_numbers(world, path_of_reading):
    content = (
        b"\xef\xbb\xbf" + lines(record(1)) + b"\r\n  \r\n\n" + lines(record(2)).replace(b"\n", b"\r\n") + b"{broken\n"
    )
    path = world.write("a.jsonl", content + json.dumps(record(3)).encode())

    assert counts(world.ingest(path)) == (4, 3, 0, 1, 0)
    with Store.open(world.settings) as store:
        for number in (1, 2, 3):
            found = record(number)
            assert found == json.loads(raw_text(store, found["Id"]))
    assert [row["record_no"] for row in world.table("quarantine")] == [3]


def test_what_the_typed_reader_would_null_is_kept(world, path_of_reading):
    """Values of an unexpected kind, keys given twice, surrogates: every record comes out, none loses its items."""
    odd = [
        record(1, AppAccessContext="text"),
        record(2, Folders={"Path": "\\Inbox", "FolderItems": [{"InternetMessageId": "<2@x>"}]}),
        json.dumps(record(3)).replace('"UserType": 0', '"UserType": 1, "UserType": 0').encode(),
        json.dumps(record(4)).replace("ada@", "\\ud800ada@").encode(),
        json.dumps(record(5)).replace("ada@", "\\u0000ada@").encode(),
        record(6, Folders=[{"FolderItems": [{"InternetMessageId": "<6@x>", "SizeInBytes": 2**70}]}]),
        record(7, UserType=None),
        json.dumps(record(8)).replace('"UserType": 0', '"UserType": NaN').encode(),
        json.dumps(record(9)).encode() + b" " + json.dumps(record(10)).encode(),
        b"[" + json.dumps(record(11)).encode() + b"]",
    ]
    path = world.write("a.jsonl", lines(record(0), *odd))

    result = world.ingest(path)

    assert 12 == result.kept == result.records
    assert len(world.table("accessed_items")) == 12
    assert {f"<{number}@x>" for number in range(12)} == {
        row["internet_message_id"] for row in world.table("accessed_items")
    }


def test_a_line_above_the_limit_is_rejected_and_its_neighbours_are_kept(world, path_of_reading, monkeypatch):
    monkeypatch.setattr(brokenseal._ingest_parts, "LINE_BYTES", 4_000)
    world.settings = Settings(store_dir=world.folder / "store", threads=1, record_limit_bytes=20_000)
    long = record(2, Subject="x" * 10_000)
    path = world.write("a.jsonl", lines(record(1), record(3, Subject="y" * 30_000), long, record(4)))

    assert counts(world.ingest(path)) == (4, 3, 0, 1, 0)
    assert [(row["record_no"], row["reason"]) for row in world.table("quarantine")] == [(2, "too_large")]
    with Store.open(world.settings) as store:
        assert long == json.loads(raw_text(store, long["Id"]))


def test_many_segments_are_one_input(world, path_of_reading, monkeypatch):
    monkeypatch.setattr(brokenseal._ingest_parts, "_BLOCK", 2_000)
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 6_000)
    shuffled = [record(number % 40) for number in range(60)]
    random.Random(3).shuffle(shuffled)
    path = world.write("a.jsonl", lines(*shuffled[:30], b"{broken", *shuffled[30:]))

    assert counts(world.ingest(path)) == (61, 40, 20, 1, 0)
    with Store.open(world.settings) as store:
        assert record(39) == json.loads(raw_text(store, record(39)["Id"]))


def test_the_same_file_again_adds_nothing(world):
    path = world.write("a.jsonl", lines(record(1), record(2)))
    world.ingest(path)
    before = world.table("events")

    again = world.ingest(path)

    assert [each.outcome for each in again.files] == ["unchanged"]
    assert counts(again) == (0, 0, 0, 0, 0)
    assert before == world.table("events")
    assert verify(world.settings).intact


def test_the_same_bytes_under_another_name_are_the_same_input(world):
    first = world.write("a.jsonl", lines(record(1)))
    second = world.write("b.jsonl", lines(record(1)))

    assert [each.outcome for each in world.ingest(first, second).files] == ["ingested", "unchanged"]


def test_a_second_export_adds_only_what_is_new(world):
    world.ingest(world.write("a.jsonl", lines(record(1), record(2))))

    assert counts(world.ingest(world.write("b.jsonl", lines(record(2), record(3), record(1))))) == (3, 1, 2, 0, 0)
    assert len(world.table("events")) == 3


def test_a_file_that_is_no_audit_log_is_named_and_ignored(world):
    notes = world.write("notes.txt", b"-- notes --\n1) one\n2) two\n")
    path = world.write("a.jsonl", lines(record(1)))

    result = world.ingest(notes, path)

    assert {each.path.rpartition("/")[2]: each.outcome for each in result.files} == {
        "notes.txt": "not_an_audit_log",
        "a.jsonl": "ingested",
    }
    assert counts(result) == (4, 1, 0, 0, 3)
    assert world.table("quarantine") == []


def test_unknown_records_before_the_first_known_one_are_not_forgotten(world):
    unknown = [{"hello": number} for number in range(1_500)]
    path = world.write("a.jsonl", lines(*unknown, record(1)))

    assert counts(world.ingest(path)) == (1_501, 1, 0, 1_500, 0)
    assert len(world.table("quarantine")) == 1_500


def test_nothing_readable_is_said_and_noted(world):
    path = world.write("notes.txt", b"one\ntwo\n")

    with pytest.raises(NothingReadable):
        world.ingest(path, world.folder / "absent.json")
    assert [row["outcome"] for row in sorted(world.table("ledger"), key=lambda row: row["seq"])] == [
        "not_an_audit_log",
        "unreadable",
    ]


def test_an_empty_file_is_empty(world):
    result = world.ingest(world.write("empty.json", b""), world.write("a.jsonl", lines(record(1))))

    assert {"empty", "ingested"} == {each.outcome for each in result.files}


def test_a_truncated_archive_keeps_what_came_out_of_it(world):
    packed = gzip.compress(lines(*[record(number, Pad=random.Random(number).random()) for number in range(9_000)]))
    result = world.ingest(
        world.write("a.jsonl.gz", packed[: len(packed) // 2]), world.write("b.jsonl", lines(record(99_999)))
    )

    broken = next(each for each in result.files if ".gz" in each.path)
    assert 0 < broken.kept < 9_000
    assert any("unreadable" in alarm or "truncated_json" in alarm for alarm in broken.alarms)


def test_equal_records_give_equal_rows_in_every_wrapping(world, tmp_path):
    """CSV, JSON array, JSON Lines, gz, zip, UTF-16 and shuffled lines differ in place only."""
    records = [record(number % 25) for number in range(30)]
    shuffled = random.Random(1).sample(records, len(records))
    csv_text = "Id,AuditData,Operations,UserIds\n" + "".join(
        '{},"{}",MailItemsAccessed,x\n'.format(each["Id"], json.dumps(each).replace('"', '""')) for each in records
    )
    forms = {
        "a.jsonl": lines(*records),
        "shuffled.jsonl": lines(*shuffled),
        "a.json": json.dumps(records, indent=1).encode(),
        "a.jsonl.gz": gzip.compress(lines(*records)),
        "utf16.json": json.dumps(records).encode("utf-16"),
        "a.csv": csv_text.encode(),
    }
    seen = {}
    for number, (name, content) in enumerate(forms.items()):
        folder = tmp_path / f"form{number}"
        folder.mkdir()
        world = World(folder)
        result = world.ingest(world.write(name, content))
        assert counts(result) == (30, 25, 5, 0, 0), name
        rows = [
            {key: value for key, value in row.items() if key not in {"input_sha256", "record_no"}}
            for table in ("events", "mail_accesses", "accessed_items")
            for row in world.table(table)
        ]
        seen[name] = sorted(map(repr, rows))
    assert all(rows == seen["a.jsonl"] for rows in seen.values())


def test_members_of_an_archive_have_rows_of_their_own(world):
    path = world.folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.jsonl", lines(record(1)))
        archive.writestr("two.jsonl", lines(record(2), record(1)))

    result = world.ingest(path)

    assert [(each.path.rpartition("!")[2], each.kept, each.duplicates) for each in result.files] == [
        ("one.jsonl", 1, 0),
        ("two.jsonl", 1, 1),
    ]
    assert [each.outcome for each in world.ingest(path).files] == ["unchanged", "unchanged"]


def test_exports_at_a_cap_and_cut_searches_raise_alarms(world):
    records = [
        json.dumps({"AuditData": json.dumps(record(n)), "ResultIndex": n, "ResultCount": 7_000, "Identity": "x"})
        for n in range(5)
    ]
    search = world.write("search.json", ("[" + ",".join(records) + "]").encode())
    lossy = world.write("lossy.jsonl", lines(record(100), record(101, Parameters="System.Object[]"), b'{"Id": "x'))
    late = world.write("late.jsonl", lines(record(200, CreationTime="2031-01-01T00:00:00")))

    alarms = {each.path.rpartition("/")[2]: each.alarms for each in world.ingest(search, lossy, late).files}

    assert alarms["search.json"] == ("result_count_above: 7000 5",)
    assert alarms["lossy.jsonl"] == ("flattened: 1", "truncated_json: 1")
    assert alarms["late.jsonl"] == ("clock: 2031-01-01T00:00:00Z",)


def test_a_foreign_folder_is_not_written_to(world):
    (world.folder / "store").mkdir()
    (world.folder / "store" / "letters.txt").write_text("x")

    with pytest.raises(StoreError):
        world.ingest(world.write("a.jsonl", lines(record(1))))


def test_nothing_is_added_to_a_ledger_that_was_changed(world):
    world.ingest(world.write("a.jsonl", lines(record(1))))
    head = world.folder / "store" / "ledger-head.json"
    head.write_text(head.read_text().replace('"seq": 1', '"seq": 2'))

    with pytest.raises(EvidenceChanged):
        world.ingest(world.write("b.jsonl", lines(record(2))))
    assert len(world.table("events")) == 1


def test_progress_ends_at_the_total(world):
    path = world.write("a.jsonl", lines(*[record(number) for number in range(50)]))
    seen = []

    ingest([path], world.settings, now=NOW, watch=seen.append)

    assert path.stat().st_size == seen[-1].bytes_done == seen[-1].bytes_total


def test_equal_sequences_of_ingests_give_equal_versions(tmp_path):
    versions = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder)
        world.ingest(world.write("a.jsonl", lines(record(1))))
        world.ingest(world.write("b.jsonl", lines(record(2))))
        with Store.open(world.settings) as store:
            versions.append(store.versions())

    assert versions[0] == versions[1]
    assert (versions[0]["events"], versions[0]["sign_ins"]) == (2, 0)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), fast=st.booleans())
def test_any_bytes_give_rows_or_a_rejection(tmp_path_factory, monkeypatch, content, fast):
    """Fuzz: whatever stands among good records, those come out, and the counts add up."""
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0 if fast else 1 << 60)
    world = World(tmp_path_factory.mktemp("fuzz"))
    result = world.ingest(world.write("a.jsonl", lines(record(1)) + b"\n" + content + b"\n" + lines(record(2))))

    assert {record(1)["Id"], record(2)["Id"]} <= {row["event_id"] for row in world.table("events")}
    assert result.records == result.kept + result.duplicates + result.rejected + result.ignored
    assert result.rejected == len(world.table("quarantine"))
    assert verify(world.settings).intact


@needs_samples
def test_the_public_sample_gives_the_published_numbers(world):
    result = world.ingest(SAMPLES / "invictus-o365" / "auditrecords-1121.csv")

    assert counts(result) == (1481, 1475, 3, 3, 0)
    saved = world.table("quarantine")
    assert all(row["salvaged_operation"] and row["salvaged_actor"] and row["salvaged_at"] for row in saved)
    assert result.files[0].alarms[1:] == ()


@needs_samples
def test_every_sample_is_read_or_named(world):
    result = world.ingest(SAMPLES)

    assert {"ingested", "not_an_audit_log", "unchanged"} >= {each.outcome for each in result.files}
    for each in result.files:
        assert each.records == each.kept + each.duplicates + each.rejected + each.ignored

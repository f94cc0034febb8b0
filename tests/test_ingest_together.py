"""Small files of one shape are read together; each of them must come out as if it had been read alone."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace

import pytest

import brokenseal._ingest_parts
import brokenseal._ingest_plan
import brokenseal._ingest_reading
import brokenseal._ingest_segments
import brokenseal.ingest
from brokenseal.evidence import raw_text, verify
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store
from columnar_runner import NOW, assert_alike


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


def lines(*records) -> str:
    return "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records)


def array(*records, **how) -> str:
    return json.dumps(list(records), **how)


def table(*records) -> str:
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["RecordId", "Operation", "AuditData"])
    rows.writerows([each["Id"], "x", json.dumps(each)] for each in records)
    return out.getvalue()


ODD = record(5, RecordType="Unknown name", UserId="odd@contoso.example")
FORMS = {
    "lines": [
        lines(record(1), record(2), record(1)),
        "\ufeff" + lines(record(2), "{broken", record(3), '{"hello": 1}'),
        lines(ODD, record(4)).replace("\n", "\r\n") + json.dumps(record(6)),
        lines(record(7), record(5, UserId="second@contoso.example"), record(8, CreationTime="never")),
        lines(record(9, Parameters="System.Object[]"), record(10)),
    ],
    "arrays": [
        array(record(1), record(2), record(1)),
        array(record(2), record(3), indent=1),
        array(ODD, record(4), {"hello": 1}),
        array(record(5, UserId="second@contoso.example"), record(6, CreationTime="never")) + "\n",
        array(record(7), indent=1).replace("\n", "\r\n"),
        "[" + json.dumps(record(8)) + ",\n" + json.dumps(record(9))[:100],
        array(record(10)) + array(record(11)),
        array(record(12), [record(13)], 5, None),
        array(record(14, UserType=float("nan")), record(15)),
        array(record(16, UserAgent="a\ud800b"), record(17)),
        array(record(18, UserAgent="é"), record(19), ensure_ascii=False),
        array(record(20, Deep=json.loads("[" * 250 + "]" * 250)), record(21)),
        array(record(22, Wide=[[]] * 250), record(23)),
        array(record(24)).replace('"UserType": 0', '"UserType": 1, "UserType": 0'),
        array(record(25)).replace("ada@", "a\nda@"),
    ],
    "tables": [
        table(record(1), record(2), record(1)),
        table(record(2), ODD, record(3)) + "x,y\n",
        table(record(5, UserId="second@contoso.example"), record(4)) + '"open,quote,"{',
        table(record(6), record(7, CreationTime="never")),
    ],
    "lines and arrays": [lines(record(1), ODD), array(record(1), record(2), indent=1), lines(record(2), record(3))],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("segment_bytes", [128 << 20, 1_500])
def test_files_read_together_come_out_as_if_read_alone(tmp_path, monkeypatch, form, segment_bytes):
    """Rows, quarantine, copies, ledger and recorded text; segments of a few records end within files and between."""
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", segment_bytes)
    monkeypatch.setattr(brokenseal._ingest_parts, "_BUFFER_BYTES", 800)

    assert assert_alike(tmp_path, FORMS[form], monkeypatch) > 0


@pytest.mark.parametrize("form", ["lines", "arrays"])
def test_what_is_no_text_is_set_aside_alike(tmp_path, monkeypatch, form):
    whole = {"lines": lines, "arrays": array}[form]
    texts = [whole(record(1), record(2, UserAgent="X"), record(3)).replace('"X"', '"\udcff"'), whole(record(4))]
    monkeypatch.setattr("columnar_runner.ENCODING", ("utf-8", "surrogateescape"))

    # Of a line that is no text, the plain way keeps what can be shown, and the fast one the bytes themselves.
    assert assert_alike(tmp_path, texts, monkeypatch, "evidence_sha256" if form == "lines" else "") > 0


class World:
    def __init__(self, folder, monkeypatch):
        monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0)
        self.folder = folder
        self.settings = Settings(store_dir=folder / "store", threads=1)

    def write(self, name: str, content: str):
        path = self.folder / name
        path.write_bytes(content.encode())
        return path

    def ingest(self, *paths):
        return ingest(list(paths), self.settings, now=NOW)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    return World(tmp_path, monkeypatch)


def test_each_file_keeps_its_own_recorded_text(world):
    paths = [world.write(f"{n}.jsonl", lines(record(2 * n), record(2 * n + 1))) for n in range(20)]

    result = world.ingest(*paths)

    assert (result.kept, result.one_by_one, len(result.files)) == (40, 0, 20)
    with Store.open(world.settings) as store:
        for number in (0, 1, 17, 39):
            assert record(number) == json.loads(raw_text(store, record(number)["Id"]))
        events = store.tables()["events"].to_pyarrow().to_pylist()
        files = store.ledger_rows()
    digests = {each["sha256"]: int(each["path"].rpartition("/")[2].partition(".")[0]) for each in files}
    assert {(row["event_id"], digests[row["input_sha256"]], row["record_no"]) for row in events} == {
        (record(number)["Id"], number // 2, number % 2 + 1) for number in range(40)
    }
    assert verify(world.settings).intact


@pytest.mark.parametrize("short", [1 << 20, 10])
def test_the_same_bytes_among_files_read_together_are_one_input(world, monkeypatch, short):
    """Whether they were hashed when they were found or are hashed because they are of one size."""
    monkeypatch.setattr(brokenseal._ingest_plan, "_BLOCK", short)
    contents = [lines(record(1)), lines(record(2)), lines(record(1)), lines(record(3), record(4))]
    paths = [world.write(f"{n}.jsonl", content) for n, content in enumerate(contents)]

    result = world.ingest(*paths)

    assert [each.outcome for each in result.files] == ["ingested", "ingested", "unchanged", "ingested"]
    assert (result.records, result.kept) == (4, 4)
    assert {each.outcome for each in world.ingest(*paths).files} == {"unchanged"}
    assert verify(world.settings).intact


def test_a_file_that_cannot_be_opened_any_more_is_named_and_its_neighbours_are_read(world, monkeypatch):
    paths = [world.write(f"{n}.jsonl", lines(record(n))) for n in range(3)]
    plan = brokenseal._ingest_plan.plan

    def gone() -> None:
        raise FileNotFoundError("gone")

    def planned_and_gone(*arguments, **more):
        first, second, third = plan(*arguments, **more)
        return first, replace(second, member=replace(second.member, open=gone)), third

    monkeypatch.setattr(brokenseal._ingest_plan, "plan", planned_and_gone)

    result = world.ingest(*paths)

    assert [(each.outcome, each.kept) for each in result.files] == [("ingested", 1), ("unreadable", 0), ("ingested", 1)]
    assert "gone" in result.files[1].alarms[0]
    assert verify(world.settings).intact


def test_a_damaged_archive_among_others_gives_what_came_out_of_it(world):
    text = lines(*[record(number, Pad=f"{number * 7919:x}" * 40) for number in range(4_000)])
    packed = gzip.compress(text.encode(), compresslevel=1)
    (world.folder / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (world.folder / "a.jsonl.gz").write_bytes(gzip.compress(lines(record(9_001)).encode()))
    (world.folder / "c.jsonl.gz").write_bytes(gzip.compress(lines(record(9_002)).encode()))

    result = world.ingest(*(world.folder / f"{name}.jsonl.gz" for name in "abc"))

    assert [each.outcome for each in result.files] == ["ingested"] * 3
    assert 0 < result.files[1].kept < 4_000
    assert any("unreadable" in alarm for alarm in result.files[1].alarms)
    assert [result.files[0].kept, result.files[2].kept] == [1, 1]


def test_few_bytes_of_a_way_are_not_worth_compiling_its_queries(world, monkeypatch):
    small = [world.write(f"{n}.jsonl", lines(record(n))) for n in range(4)]
    size = sum(path.stat().st_size for path in small)
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", size + 1)
    assert world.ingest(*small).one_by_one == 4

    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", size)
    world.settings = replace(world.settings, store_dir=world.folder / "second")
    assert world.ingest(*small).one_by_one == 0

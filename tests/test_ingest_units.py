"""Batches read elsewhere, and segments read at a time: the store must be what one thread in one process makes of them."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import pickle
import zipfile
from dataclasses import replace

import pytest

import brokenseal._ingest_plan
import brokenseal._ingest_reading
import brokenseal._ingest_segments
import brokenseal.ingest
from brokenseal import _ingest_units as units
from brokenseal import schema, sources
from brokenseal._ingest_plan import _SNIFFED_RECORDS, Way
from brokenseal.evidence import verify
from brokenseal.helper import Helper
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store
from columnar_runner import NOW
from spark_session import needs_spark
from test_ingest_together import record


def content(settings) -> dict[str, list]:
    """Every row of every table, the ledger with its hashes, in an order of their own."""
    assert verify(settings).intact
    with Store.open(settings) as store:
        return {name: sorted(map(repr, table.to_pyarrow().to_pylist())) for name, table in store.tables().items()}


def write_exports(folder):
    """Small inputs of every kind that differ in how they travel, with copies within and between them."""
    folder.mkdir()

    def lines(*numbers, **changes) -> str:
        return "".join(json.dumps(record(number, **changes)) + "\n" for number in numbers)

    padded = lines(*range(40, 90), Pad="x" * 90_000)
    texts = {
        "a.jsonl": lines(1, 2, 3, 2),
        "b.jsonl": lines(3, 4, UserId="other@contoso.example") + '{"Id": "broken", "Operation": "Send", "CreationTim\n',
        "c.jsonl": padded,  # large enough to be read as columns
        "d.jsonl": lines(5, 41) + lines(89) + lines(6, CreationTime="never"),
        "e-same-as-b.jsonl": "",
        "f.txt": "no log at all\n",
        "g.json": "",
        "l-last.jsonl": lines(1, 42, 7, 20),
    }
    texts["e-same-as-b.jsonl"] = texts["b.jsonl"]
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "h.jsonl.gz").write_bytes(gzip.compress(lines(7, 8, 1).encode(), mtime=0))
    with zipfile.ZipFile(folder / "i.zip", "w") as packed:
        packed.writestr("inner.jsonl", lines(8, 9))
    with (folder / "k.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["RecordId", "Operation", "AuditData"])
        rows.writerows([record(n)["Id"], "x", json.dumps(record(n))] for n in (9, 10, 11))


@pytest.fixture
def exports(tmp_path, monkeypatch):
    """Exports in many batches."""
    monkeypatch.setattr(brokenseal._ingest_plan, "PACK_BYTES", 1_000)
    write_exports(tmp_path / "exports")
    return tmp_path / "exports"


@pytest.fixture
def in_this_process(monkeypatch):
    """What workers would be given, after a journey as bytes, read one after the other and the first of them twice."""
    read = []

    def read_all(given, settings):
        read.extend(given)
        moved = pickle.loads(pickle.dumps(given))
        for unit in moved[:1]:
            units.read_unit(unit)
        return pickle.loads(pickle.dumps([units.read_unit(unit) for unit in moved]))

    monkeypatch.setattr(brokenseal.ingest, "read_on_workers", read_all)
    return read


def stores(tmp_path):
    here = Settings(store_dir=tmp_path / "here", threads=1)
    return here, replace(here, store_dir=tmp_path / "there", engine="spark")


@pytest.mark.parametrize(("wave", "sent"), [(64, 10), (2, 7)])
def test_batches_read_elsewhere_make_the_same_store(tmp_path, exports, monkeypatch, in_this_process, wave, sent):
    monkeypatch.setattr(brokenseal.ingest, "_WAVE", wave)
    here, there = stores(tmp_path)

    expected, found = ingest([exports], here, now=NOW), ingest([exports], there, now=NOW)

    assert (expected.duplicates, expected.rejected, expected.kept) == (10, 2, 61)
    assert expected.files == found.files
    assert content(here) == content(replace(there, engine="duckdb"))
    assert "i.zip" not in {
        each.member.path.rpartition("/")[2][:5] for unit in in_this_process for _, each in unit.inputs
    }
    assert len({each.member.path for unit in in_this_process for _, each in unit.inputs}) == sent
    assert not list((tmp_path / "there" / "tmp").iterdir())


@pytest.fixture(scope="module")
def helper():
    with contextlib.closing(Helper("brokenseal.ingest")) as made:
        yield made


class Lost(Helper):
    """One that is lost as soon as it was given something."""

    def do(self, work, *given, **named):
        found = super().do(work, *given, **named)
        self._process.kill()
        return found


@pytest.mark.parametrize("is_lost", [False, True])
def test_two_processes_make_the_same_store_as_one(tmp_path, exports, helper, is_lost):
    here, both = (Settings(store_dir=tmp_path / name, threads=1) for name in ("here", "both"))
    expected = ingest([exports], here, now=NOW)

    with contextlib.closing(Lost("brokenseal.ingest")) if is_lost else contextlib.nullcontext(helper) as asked:
        found = ingest([exports], both, now=NOW, helper=asked)
        again = ingest([exports], both, now=NOW, helper=asked)

    assert expected.files == found.files
    assert {each.outcome for each in again.files} == {"unchanged", "not_an_audit_log", "empty"}
    assert content(here) == content(both)
    assert not list((tmp_path / "both" / "tmp").iterdir())


def test_the_other_process_reads_every_second_batch_it_can_open_and_none_of_large_exports(
    tmp_path, exports, monkeypatch
):
    asked = []

    class Asked:
        def do(self, work, unit):
            asked.append([each.member.path.rpartition("/")[2] for _, each in unit.inputs])
            return lambda: work(unit)

    ingest([exports], Settings(store_dir=tmp_path / "small"), now=NOW, helper=Asked())
    sent = [name for names in asked for name in names]
    assert len(asked) >= 3
    assert not any("i.zip" in name for name in sent)
    asked.clear()
    monkeypatch.setattr(brokenseal.ingest, "_BESIDE_BYTES", 1_000)
    ingest([exports], Settings(store_dir=tmp_path / "large"), now=NOW, helper=Asked())
    assert asked == []


@pytest.mark.parametrize("how", ["workers", "helper"])
def test_numbers_hold_where_a_batch_before_says_nothing_new(
    tmp_path, exports, monkeypatch, in_this_process, helper, how
):
    """What is no log and was said to be none adds no row, so that the next batch begins with its number."""
    monkeypatch.setattr(brokenseal._ingest_plan, "PACK_INPUTS", 1)
    here, there = stores(tmp_path)
    there = replace(there, engine="duckdb") if how == "helper" else there
    # What seems to be no log is read last; this one holds a record, and one that is put into quarantine.
    late = [json.dumps({"n": number}) for number in range(_SNIFFED_RECORDS + 1)]
    late += [json.dumps(record(77)), json.dumps(record(78, CreationTime="never"))]
    (exports / "late.txt").write_text("\n".join(late) + "\n", encoding="utf-8")
    for paths in ([exports / "a.jsonl", exports / "f.txt"], [exports / "f.txt", exports / "late.txt"]):
        ingest(paths, here, now=NOW)
        found = ingest(paths, there, now=NOW, helper=helper if how == "helper" else None)

    assert (found.kept, found.rejected) == (1, _SNIFFED_RECORDS + 2)
    assert content(here) == content(replace(there, engine="duckdb"))


def test_what_is_known_is_not_sent(tmp_path, exports, in_this_process):
    here, there = stores(tmp_path)
    for settings in (here, there):
        ingest([exports / "a.jsonl", exports / "b.jsonl", exports / "h.jsonl.gz"], settings, now=NOW)
    sent = len(in_this_process)

    assert {each.outcome for each in ingest([exports / "b.jsonl", exports / "a.jsonl"], there, now=NOW).files} == {
        "unchanged"
    }
    assert ingest([exports / "b.jsonl", exports / "a.jsonl"], here, now=NOW).kept == 0
    assert [unit.inputs for unit in in_this_process[sent:]] == []
    assert content(here) == content(replace(there, engine="duckdb"))


def test_an_input_that_is_gone_when_a_worker_opens_it_is_named(tmp_path, exports, monkeypatch, in_this_process):
    taken = brokenseal.ingest.read_on_workers

    def gone(given, settings):
        (exports / "b.jsonl").unlink()
        return taken(given, settings)

    monkeypatch.setattr(brokenseal.ingest, "read_on_workers", gone)
    _, there = stores(tmp_path)

    result = ingest([exports / "a.jsonl", exports / "b.jsonl"], there, now=NOW)

    assert [(each.outcome, each.kept) for each in result.files] == [("ingested", 3), ("unreadable", 0)]
    assert "b.jsonl" in result.files[1].alarms[0]


def test_one_batch_needs_no_cluster(tmp_path, exports):
    _, there = stores(tmp_path)

    assert ingest([exports / "a.jsonl"], replace(there, master="spark://127.0.0.1:9"), now=NOW).kept == 3


def test_a_way_is_the_same_in_every_process():
    ways = [Way(columnar=path, filled=("Id",)) for each in sources.SOURCES for path in each.columnar.values()]

    assert len(ways) > 5
    for way in ways:
        again = pickle.loads(pickle.dumps(way))
        assert again.columnar is way.columnar
        assert again.filled == way.filled
        assert again.key == way.key
    assert len({way.key for way in ways}) == len({id(way.columnar) for way in ways})


def test_every_table_of_records_can_be_told_copies_from():
    assert all("event_id" in table.names for table in schema.RECORD_TABLES)


def test_the_number_of_lanes_changes_no_file(tmp_path, monkeypatch):
    """Parts bear the digest of their bytes in their names."""
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0)
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 3_000)
    monkeypatch.setattr("brokenseal._ingest_parts._BLOCK", 2_000)
    path = tmp_path / "many.jsonl"
    some = [json.dumps(record(n % 70, UserId=f"user{n % 5}@contoso.example")) for n in range(120)]
    some[50] = '{"Id": "broken'
    some[90] = json.dumps(record(90, UserId="odd@contoso.example", RecordType="Unknown name"))
    path.write_text("\n".join(some), encoding="utf-8")

    def files(lanes):
        settings = Settings(store_dir=tmp_path / str(lanes), threads=lanes, memory_limit_mb=256 * lanes)
        result = ingest([path], settings, now=NOW)
        assert (result.kept, result.duplicates, result.rejected) == (70, 49, 1)
        assert 0 < result.one_by_one < 100
        tables = settings.store_dir / "tables"
        found = {each.relative_to(tables) for each in tables.rglob("part-*.parquet")}
        return found, {each.name for each in (settings.store_dir / "evidence").iterdir()}, content(settings)

    expected = files(1)

    assert len(expected[0]) > 20
    assert files(2) == expected
    assert files(5) == expected


def test_what_breaks_on_a_lane_ends_the_run(tmp_path, monkeypatch):
    """An error on one of several lanes is raised, and the next run begins as if nothing had been."""
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0)
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 3_000)
    monkeypatch.setattr("brokenseal._ingest_parts._BLOCK", 2_000)
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(record(n)) + "\n" for n in range(60)), encoding="utf-8")
    settings = Settings(store_dir=tmp_path / "store", threads=2)
    written = brokenseal._workbench.Workbench.write_parquet

    def full(bench, query, target):
        if target.name >= "events-00010":
            raise OSError(28, "No space left on device")
        return written(bench, query, target)

    with monkeypatch.context() as patched:
        patched.setattr(brokenseal._workbench.Workbench, "write_parquet", full)
        with pytest.raises(OSError, match="No space left"):
            ingest([path], settings, now=NOW)
    with Store.open(settings) as store:
        assert store.ledger_rows() == []
        assert store.tables()["events"].count().to_pyarrow().as_py() == 0

    assert ingest([path], settings, now=NOW).kept == 60
    assert verify(settings).intact


@needs_spark
@pytest.mark.slow
def test_spark_reads_in_what_this_process_does(tmp_path, exports):
    here, there = stores(tmp_path)

    expected, found = ingest([exports], here, now=NOW), ingest([exports], replace(there, threads=2), now=NOW)

    assert expected.files == found.files
    assert content(here) == content(replace(there, engine="duckdb"))

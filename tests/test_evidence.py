from __future__ import annotations

import datetime as dt
import json
import shutil

import pyarrow.parquet as pq
import pytest

from brokenseal import evidence, ledger
from brokenseal.errors import EvidenceChanged, StoreError, UsageError
from brokenseal.evidence import EvidenceWriter, line_at, raw_text, verify
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import Store

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def record(number: int) -> dict:
    return {
        "CreationTime": "2025-10-27T07:09:33",
        "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
        "Operation": "Send",
        "RecordType": 2,
        "UserId": "ada@contoso.example",
        "Workload": "Exchange",
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of three ingests, copied by each test that harms it."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(3):
        path = folder / f"{number}.json"
        path.write_text(json.dumps([record(number * 10 + part) for part in range(4)], indent=2))
        ingest([path], Settings(store_dir=folder / "store", threads=1), now=NOW)
    return folder


@pytest.fixture
def store_dir(made, tmp_path):
    shutil.copytree(made / "store", tmp_path / "store")
    return tmp_path / "store"


def found(store_dir) -> set[str]:
    verification = verify(Settings(store_dir=store_dir, threads=1))
    assert verification.intact == (not verification.changes)
    return {change.what for change in verification.changes}


def test_an_untouched_store_is_intact(store_dir):
    verification = verify(Settings(store_dir=store_dir, threads=1))

    assert (verification.intact, verification.ledger_rows, verification.evidence_files) == (True, 3, 3)
    assert {"same"} == {each.state for each in verification.originals}


def test_the_text_of_every_record_comes_back_by_its_id(store_dir):
    with Store.open(Settings(store_dir=store_dir, threads=1)) as store:
        for number in (0, 3, 12, 23):
            assert record(number) == json.loads(raw_text(store, record(number)["Id"].upper()))
        with pytest.raises(UsageError):
            raw_text(store, "' OR 1=1 --")


@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_flipped_byte_in_recorded_text_is_found(store_dir, at):
    path = min((store_dir / "evidence").iterdir())
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)

    assert {"evidence_changed"} == found(store_dir)


def test_removed_recorded_text_is_found(store_dir):
    min((store_dir / "evidence").iterdir()).unlink()

    assert {"evidence_missing"} == found(store_dir)


def test_added_recorded_text_is_found(store_dir):
    (store_dir / "evidence" / ("0" * 64 + ".jsonl.zst")).write_bytes(b"x")

    assert {"evidence_unnamed"} == found(store_dir)


def ledger_files(store_dir):
    """Files of the ledger in the order of its rows."""
    return sorted(
        (store_dir / "tables" / "ledger").glob("*.parquet"), key=lambda file: pq.read_table(file)["seq"][0].as_py()
    )


def rewrite(store_dir, file, rows) -> None:
    """Put other rows into a file of the ledger, and hide it from the check of sizes."""
    with Store.open(Settings(store_dir=store_dir, threads=1)) as store:
        from brokenseal import schema

        store.write_rows(schema.LEDGER, rows, file)


def test_an_edited_ledger_row_is_found(store_dir):
    file = ledger_files(store_dir)[1]
    (row,) = pq.read_table(file).to_pylist()
    rewrite(store_dir, file, [{**row, "kept": 1}])

    assert "ledger" in found(store_dir)


def test_an_edited_and_sealed_ledger_row_is_found(store_dir):
    file = ledger_files(store_dir)[1]
    (row,) = pq.read_table(file).to_pylist()
    edited = {**row, "kept": 1}
    rewrite(store_dir, file, [{**edited, "entry_hash": ledger.entry_hash(edited)}])

    assert "ledger" in found(store_dir)


def test_exchanged_ledger_rows_are_found(store_dir):
    first, second, _ = ledger_files(store_dir)
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    (row,) = pq.read_table(first).to_pylist()
    rewrite(store_dir, first, [{**row, "seq": 1}])

    assert "ledger" in found(store_dir)


def test_a_ledger_whose_end_was_cut_off_is_found(store_dir):
    log = sorted((store_dir / "tables" / "ledger" / "_delta_log").glob("*.json"))
    log[-1].unlink()

    assert {"ledger_end", "evidence_unnamed", "table_file_unnamed"} == found(store_dir)


def test_a_removed_note_of_the_last_row_is_found(store_dir):
    (store_dir / "ledger-head.json").unlink()

    assert {"ledger_end"} == found(store_dir)


def test_removed_and_changed_table_files_are_found(store_dir):
    first, second, *_ = sorted((store_dir / "tables" / "events").glob("batch_id=*/*.parquet"))
    first.unlink()
    content = bytearray(second.read_bytes())
    content[50] ^= 1
    second.write_bytes(content)

    assert {"table_file_missing", "table_file_changed"} == found(store_dir)


def test_changed_and_missing_originals_are_told_but_do_not_harm_the_store(tmp_path):
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text(json.dumps([record(number)]))
    settings = Settings(store_dir=tmp_path / "store", threads=1)
    ingest(paths, settings, now=NOW)
    paths[1].write_text("other")
    paths[2].unlink()

    verification = verify(settings)

    assert verification.intact
    assert [each.state for each in verification.originals] == ["same", "changed", "missing"]


def test_a_store_that_is_none_is_said(tmp_path):
    with pytest.raises(StoreError):
        verify(Settings(store_dir=tmp_path))


@pytest.mark.parametrize("length", [1, 100, 3_000_000])
def test_a_line_is_found_wherever_blocks_end(tmp_path, length):
    texts = [f"{number}:" + "x" * (length // (number + 1)) for number in range(6)]
    path = tmp_path / "e"
    with EvidenceWriter(path) as writer:
        for text in texts:
            writer.add(text)

    assert texts == [line_at(path, number) for number in range(1, 7)]
    assert writer.sha256 == evidence.file_digest(path)
    with pytest.raises(EvidenceChanged):
        line_at(path, 7)


def test_line_breaks_inside_a_record_become_blanks():
    assert evidence.line_of('{\r\n"a":1\n}') == b'{  "a":1 }\n'


def test_half_a_character_does_not_stop_the_recording():
    assert evidence.line_of("a\ud800b") == b"a?b\n"

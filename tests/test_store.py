from __future__ import annotations

import json
import subprocess
import sys

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from brokenseal import ledger, schema
from brokenseal.errors import StoreBusy, StoreError
from brokenseal.settings import Settings
from brokenseal.store import REFUSED, Store


@pytest.fixture
def settings(tmp_path):
    return Settings(store_dir=tmp_path / "a [b]*'c", threads=1)


@pytest.fixture
def store(settings):
    with Store.create(settings) as made:
        yield made


def add(store, batch: str, ids: list[str], *, with_ledger: bool = True) -> None:
    folder = store.scratch()
    path = folder / "events.parquet"
    row = {"source": "unified_audit", "record_no": 1, "input_no": len(store.ledger_rows()) + 1}
    store.write_rows(schema.EVENT, [{**row, "event_id": each} for each in ids], path)
    rows = store.ledger_rows()
    entry = {"batch_id": batch, "path": f"p-{batch}", "sha256": batch * 2, "outcome": "ingested"}
    sealed = ledger.seal([entry], after=rows[-1] if rows else None)
    if not with_ledger:
        store._append = lambda table, *rest: None if table is schema.LEDGER else Store._append(store, table, *rest)
    store.commit(batch, {"events": [path]}, sealed)


def test_tables_without_files_are_empty_and_of_the_declared_schema(store):
    tables = store.tables()

    assert [table.name for table in schema.TABLES] == list(tables)
    for table in schema.TABLES:
        assert table.ibis_schema() == tables[table.name].schema()
        assert store.run(tables[table.name]).num_rows == 0


def test_rows_of_a_committed_batch_are_seen_in_the_declared_schema(store):
    add(store, "a1", ["x", "y"])

    events = store.tables()["events"]

    assert schema.EVENT.ibis_schema() == events.schema()
    assert [(row["event_id"], row["input_sha256"]) for row in store.run(events).to_pylist()] == [
        ("x", "a1a1"),
        ("y", "a1a1"),
    ]


def test_a_batch_that_the_ledger_does_not_name_is_not_seen(store):
    add(store, "a1", ["x"])
    add(store, "b2", ["y"], with_ledger=False)

    assert store.run(store.tables()["events"].event_id.as_table())["event_id"].to_pylist() == ["x"]


def test_unfinished_batches_and_files_are_taken_away(store, settings):
    add(store, "a1", ["x"])
    add(store, "b2", ["y"], with_ledger=False)
    (store.root / "tables" / "events" / "batch_id=c3").mkdir()
    (store.root / "tables" / "events" / "batch_id=c3" / "part-00000.parquet").write_bytes(b"half")
    (store.root / "evidence" / "ff.jsonl.zst").write_bytes(b"half")
    (store.root / "tmp" / "left").mkdir()

    store.discard_unfinished()

    assert sorted(path.name for path in (store.root / "tables" / "events").glob("batch_id=*")) == ["batch_id=a1"]
    assert {("events", "a1"), ("ledger", "")} == {(name, batch) for name, batch, _ in store.table_files()}
    assert list((store.root / "evidence").iterdir()) == []
    assert list((store.root / "tmp").iterdir()) == []
    with Store.open(settings) as again:
        assert again.run(again.tables()["events"]).num_rows == 1


def test_stored_files_leave_out_what_the_ledger_knows(store):
    add(store, "a1", ["x"])
    (path,) = (store.root / "tables" / "events").glob("batch_id=a1/*.parquet")

    assert "input_sha256" not in pq.read_schema(path).names
    assert "batch_id" not in pq.read_schema(path).names


def test_versions_count_commits(store):
    before = store.versions()
    add(store, "a1", ["x"])

    assert {**before, "events": 1, "ledger": 1} == store.versions()


def test_the_engine_reaches_nothing_outside_the_store(store, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    for query in (
        f"SELECT * FROM read_csv('{outside}')",
        f"COPY (SELECT 1) TO '{tmp_path}/made.parquet'",
        "SELECT * FROM 'https://example.org/a.parquet'",
        "INSTALL httpfs",
        f"ATTACH '{tmp_path}/made.db'",
    ):
        with pytest.raises(Exception, match=r"disabled|Permission"):
            store._engine._engine.execute(query)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a [b]*'c", "outside.csv"]


def test_a_store_is_made_once(settings):
    Store.create(settings).close()
    Store.create(settings).close()

    assert json.loads((settings.store_dir / "store.json").read_text()) == {"product": "brokenseal", "format": 1}


def test_a_creation_that_was_killed_is_completed(settings):
    Store.create(settings).close()
    (settings.store_dir / "store.json").unlink()

    with Store.create(settings) as store:
        assert store.run(store.tables()["events"]).num_rows == 0


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}', "\ufffd"])
def test_a_store_of_an_unknown_form_is_refused(settings, content):
    Store.create(settings).close()
    (settings.store_dir / "store.json").write_text(content)

    with pytest.raises(StoreError):
        Store.open(settings)


HOLDER = """
import sys, time
from pathlib import Path
from brokenseal.settings import Settings
from brokenseal.store import Store
with Store.open(Settings(store_dir=Path(sys.argv[1]))) as store, store.writing():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_is_gone(settings):
    Store.create(settings).close()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(settings.store_dir)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    with Store.open(settings) as store:
        with pytest.raises(StoreBusy) as caught, store.writing():
            pass
        assert str(process.pid) in caught.value.value
        process.kill()
        process.communicate()
        with store.writing():
            pass


def load(store, *lines: str) -> list[dict]:
    bench = store.workbench()
    path = store.scratch() / "x.jsonl"
    path.write_text("\n".join(lines) + "\n")
    columns = {"Id": "string", "N": "int64", "S": "struct<A: string>", "L": "array<struct<X: string>>"}
    bench.load_json(path, columns, first=7, longest=1000)
    return bench.fetch("SELECT * FROM raw ORDER BY record_no").to_pylist()


def test_lines_are_read_as_typed_rows_with_their_numbers(store):
    found = load(store, '{"Id": 1.50, "N": "4", "S": {}, "L": []}', '{"Id": true, "Other": [1]}', '{"Id": {"a": 1}}')

    assert [row["record_no"] for row in found] == [7, 8, 9]
    assert [row["Id"] for row in found] == ["1.5", "true", '{"a":1}']
    assert (found[0]["N"], found[0]["S"], found[0]["L"]) == (4, {"A": None}, [])
    assert (found[1]["N"], found[1]["S"], found[1]["L"]) == (None, None, None)


def test_a_line_that_is_null_is_a_row_of_nulls(store):
    """It has no id, so no columnar path takes it."""
    assert load(store, "null") == [{"record_no": 7, "Id": None, "N": None, "S": None, "L": None}]


@pytest.mark.parametrize(
    "line",
    [
        '{"S": "text"}',
        '{"S": ""}',
        '{"S": 5}',
        '{"S": [1]}',
        '{"L": {"X": "1"}}',
        '{"L": "abc"}',
        '{"L": [{"X": "1"}, "s"]}',
        '{"N": "x"}',
        '{"N": ""}',
        '{"N": 99999999999999999999}',
        '{"Id": "1", "Id": "2"}',
        '{"S": {"A": "1", "A": "2"}}',
        '{"Id": "a\\ud800b"}',
        '{"Id": "a\tb"}',
        '{"Id": "1"',
        '{"Id": "1"} {"Id": "2"}',
        '{"Id": "1"} // x',
        "{'Id': '1'}",
        "5",
        "[1]",
        '"text"',
        "\ufeff{}",
    ],
)
def test_a_line_that_does_not_fit_is_refused_and_never_nulled(store, line):
    with pytest.raises(REFUSED):
        load(store, '{"Id": "good"}', line, '{"Id": "good"}')


def test_bytes_that_are_no_text_are_refused(store):
    path = store.scratch() / "x.jsonl"
    path.write_bytes(b'{"Id": "a\xff"}\n')

    with pytest.raises(REFUSED):
        store.workbench().load_json(path, {"Id": "string"}, first=1, longest=1000)


def test_the_log_of_a_table_is_summed_up_now_and_then_and_says_the_same(store):
    batches = [f"b{number:02}" for number in range(12)]
    for batch in batches:
        add(store, batch, [f"id-{batch}"])

    log = store.root / "tables" / "events" / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    rows = store.run(store.tables()["events"]).to_pylist()
    assert sorted(row["event_id"] for row in rows) == [f"id-{batch}" for batch in batches]
    assert Store.open(Settings(store_dir=store.root, threads=1)).versions()["events"] == 12


def test_the_rows_of_a_query_come_some_at_a_time(store):
    bench = store.workbench()

    blocks = list(bench.blocks("SELECT range AS n FROM range(200000)"))

    assert [len(each) for each in blocks] == [131072, 68928]
    assert sum(each["n"].to_numpy().sum() for each in blocks) == 200_000 * 199_999 // 2


def test_a_compiled_query_runs_on_held_tables(store):
    bench = store.workbench()
    bench.hold("numbers", pa.table({"n": [1, 2, 3]}))
    table = ibis.table({"n": "int64"}, name="numbers")
    from brokenseal._workbench import compile_query

    assert bench.fetch(compile_query(table.filter(table.n > 1)))["n"].to_pylist() == [2, 3]
    assert bench.at_once(lambda alone, name: name, ["a", "b"]) == ["a", "b"]

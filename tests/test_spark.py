"""Spark means what DuckDB means: gap by gap, then detector by detector on crowded worlds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from ibis import _

from brokenseal import cli
from brokenseal.demo import write_demo
from brokenseal.detectors import DETECTORS, WEIGHED
from brokenseal.engines.spark_sql import GAPS
from brokenseal.errors import EngineFailed, UsageError
from brokenseal.investigate import add_exports, build_document, exposure_of
from brokenseal.reports.json_document import document_to_json
from brokenseal.selection import Selection
from brokenseal.settings import Settings
from brokenseal.store import Store
from detector_worlds import world_of
from spark_session import EXPORTS, NOW, engine, needs_spark, spark_tables, view
from support import make_tables

READ = "musa.okafor@harbour-office.example"
AT = dt.datetime(2025, 3, 3, 8, 0, 0, 900_000, tzinfo=dt.UTC)
ROWS = pa.table(
    {
        "no": pa.array([1, 2, 3, 4], pa.int64()),
        "at": pa.array([AT, AT + dt.timedelta(milliseconds=200), AT, None], pa.timestamp("us", "UTC")),
        "since": pa.array([AT, AT, AT + dt.timedelta(milliseconds=300), AT], pa.timestamp("us", "UTC")),
        "group": pa.array(["x", "x", "x", "y"], pa.string()),
        "text": pa.array([None, "a|b", "a|b", None], pa.string()),
        "words": pa.array([["a", "b"], [], None, ["c"]], pa.list_(pa.string())),
        "flag": pa.array([True, False, None, False], pa.bool_()),
    }
)
BY_GROUP = {"group_by": "group", "order_by": "no"}

IN_WORDS = {
    "seconds_between": lambda t: t.select("no", found=t.at.delta(t.since, unit="second")),
    "distinct_over_window": lambda t: t.select("no", found=t.text.nunique().over(ibis.window(group_by="group"))),
    "first_over_window": lambda t: t.select("no", found=t.text.first().over(ibis.window(**BY_GROUP))),
    "nothing_collected": lambda t: t.group_by(no=t.group).agg(found=t.text.collect().sort()),
    "nothing_counted": lambda t: t.filter(t.no < 0).agg(no=_.no.max(), found=_.count(where=_.flag)),
    "empty_list_joined": lambda t: t.select("no", found=t.words.join("-")),
    "split_by_text": lambda t: t.select("no", found=t.text.split("|")),
    "beyond_a_list": lambda t: t.select("no", found=t.words[1], last=t.words[-1]),
}


def rows_of(expression):
    return sorted(expression.to_pyarrow().to_pylist(), key=repr)


@pytest.fixture(scope="module")
def duck():
    return ibis.duckdb.connect()


@needs_spark
@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.name)
def test_a_declared_gap_is_there_and_is_closed(duck, gap):
    build = IN_WORDS[gap.name]
    meant = rows_of(build(duck.create_table("given", ROWS, overwrite=True)))

    assert meant == rows_of(build(view("given", ROWS)))

    from pyspark.errors import PySparkException

    session = engine()._session
    try:
        plain = session.sql(str(ibis.to_sql(build(view("given", ROWS)).unbind(), dialect="pyspark"))).toArrow()
    except PySparkException:
        return
    assert meant != sorted(plain.to_pylist(), key=repr), "the engines agree by now: the gap can go"


def test_every_gap_has_a_test_and_a_row_in_the_docs():
    page = (Path(__file__).parents[1] / "docs" / "spark.md").read_text(encoding="utf-8")

    assert {gap.name for gap in GAPS} == set(IN_WORDS)
    for gap in GAPS:
        assert f"| `{gap.name}` | {gap.duckdb} | {gap.spark} | {gap.instead} |" in page


HOSTILE = ["", "'", '"', "\\", "\\'", "a\nb", "%", "_", "`", "$1", "${x}", "{n}", "\\Inbox", "é", "\U0001f600", "\0x"]


@needs_spark
def test_text_of_logs_in_a_statement_stays_text(duck):
    given = pa.table({"text": pa.array(HOSTILE)})
    for each in HOSTILE:
        assert [{"text": each}] == rows_of(view("texts", given).filter(lambda t, each=each: t.text == each))
    parts = [
        given.select("text", found=given.text.startswith("\\"), part=given.text.substr(1))
        for given in (duck.create_table("texts", given), view("texts", given))
    ]
    assert rows_of(parts[0]) == rows_of(parts[1])


@needs_spark
def test_a_table_in_memory_is_asked_on_the_same_engine():
    engine()  # What is in memory goes to the engine that was started last, here or by a test before.
    given = ibis.memtable(
        pa.table({"a": pa.array([None, 1], pa.int64()), "b": pa.array([None, ["x"]], pa.list_(pa.string()))})
    )

    kept = given.filter(given.a == 1).cache()
    joined = kept.left_join(view("given", ROWS), kept.a == 1).select("a", "b").distinct()

    assert rows_of(given) == [{"a": 1, "b": ["x"]}, {"a": None, "b": None}]
    assert rows_of(joined) == [{"a": 1, "b": ["x"]}]


@needs_spark
def test_a_sum_that_does_not_fit_is_an_error():
    given = view("large", pa.table({"n": pa.array([2**63 - 1, 1], pa.int64())}))
    with pytest.raises(EngineFailed, match="overflow"):
        given.agg(n=given.n.sum()).to_pyarrow()


BY_ID = {detector.id: detector for detector in (*DETECTORS, *WEIGHED)}


def asked(detector, tables):
    """Everything that a detector says of the tables."""
    found = {"find": detector.find(tables)}
    if detector.mark is not None:
        found["mark"] = detector.mark(tables)
    return {name: [*map(repr, rows_of(expression))] for name, expression in found.items()}


@needs_spark
@pytest.mark.parametrize("detector_id", BY_ID)
def test_a_detector_says_the_same_on_spark(duck, detector_id):
    world = world_of(detector_id, random.Random(11))
    on_duckdb = asked(BY_ID[detector_id], make_tables(world, duck))

    assert on_duckdb == asked(BY_ID[detector_id], spark_tables(world))


def test_a_master_that_does_not_answer_is_one_line(tmp_path):
    pytest.importorskip("pyspark")
    Store.create(Settings(store_dir=tmp_path)).close()
    with pytest.raises(UsageError, match=r"spark://127.0.0.1:9.*expected a Spark master that answers|no java"):
        Store.open(Settings(store_dir=tmp_path, engine="spark", master="spark://127.0.0.1:9"))
    with pytest.raises(UsageError, match=r"expected spark://host:port|no java"):
        Store.open(Settings(store_dir=tmp_path, engine="spark", master="http://127.0.0.1:9"))


@needs_spark
@pytest.mark.slow
def test_the_document_is_the_same_to_the_byte(tmp_path):
    """The whole path over the last week of the bundled tenant, in two batches, and one selection of its reads."""
    write_demo(tmp_path / "exports")
    settings = Settings(store_dir=tmp_path / "store [1] {a}*")
    for exports in (EXPORTS[:1], EXPORTS[1:]):
        add_exports([tmp_path / "exports" / name for name in exports], settings, now=NOW)
    with Store.open(settings) as store:
        expected = build_document(store)
        reads = exposure_of(store.tables(), Selection.by("mailbox", READ))
    assert expected.cases
    assert reads.certain

    with Store.open(dataclasses.replace(settings, engine="spark", threads=2)) as store:
        assert document_to_json(expected) == document_to_json(build_document(store))
        assert reads == exposure_of(store.tables(), Selection.by("mailbox", READ))


def test_records_are_read_in_by_the_same_engine_whatever_is_asked_with(tmp_path):
    settings = Settings(store_dir=tmp_path, engine="spark", master="spark://127.0.0.1:9")
    with Store.create(settings) as store:
        assert store.settings.engine == "duckdb"
        assert store.workbench()


def test_a_cluster_is_named_for_spark_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["brokenseal", "detect", "--store", str(tmp_path), "--master", "spark://a:1"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err == "brokenseal: --master: found 'spark://a:1'; expected --engine spark with it\n"

"""The same rules on the same records give the same on DuckDB and on a local Spark."""

from __future__ import annotations

import shutil
import warnings

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

import sigma_plain
from brokenseal.sigma import compile_rule
from brokenseal.sigma.correlation import correlation_of, episodes, satisfied

pytest.importorskip("pyspark")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")]

RECORDS = (
    {"Operation": "New-InboxRule", "ClientIP": "[2001:db8::7]:443", "Path": r"c:\temp\a.exe", "Tags": ["Alpha", "b*"], "Count": "12"},
    {"Operation": "set-mailbox", "ClientIP": "10.1.2.3:55", "Path": "50%_x", "Tags": [], "Count": "nan"},
    {"Operation": "", "ClientIP": "::ffff:10.1.2.3", "Path": "line\nbreak", "Tags": None, "Count": None},
    {"Operation": None, "ClientIP": "300.1.1.1", "Path": "2026-03-01T03:04:05.1234567Z", "Tags": ["É", "x.y"], "Count": "-3.5"},
    {"Operation": "NEW-x", "ClientIP": "2001:db8::", "Path": "É -flag", "Tags": ["alpha"], "Count": "1e3"},
)  # fmt: skip
ITEMS = (
    {"Operation|startswith": "new-"},
    {"Operation|cased|startswith": "New-"},
    {"Operation": ["", "set-*"]},
    {"Operation": "n?w-*le"},
    {"Operation": None},
    {"Operation|exists": True},
    {"Operation|neq": "new-x"},
    {"ClientIP|cidr": "10.0.0.0/8"},
    {"ClientIP|cidr": "2001:db8::/96"},
    {"Path|endswith": r"\a.exe"},
    {"Path|contains": "0%_"},
    {"Path": "line*break"},
    {"Path": "É*"},
    {"Path|windash|contains": " /flag"},
    {"Path|re": r"^\w:\\temp\\[a-z]\.exe"},
    {"Tags": "alpha"},
    {"Tags|contains|all": ["alp", "*"]},
    {"Tags": r"b\*"},
    {"Tags": None},
    {"Tags|re": r"x\.y"},
    {"Count|gte": 12},
    {"Count|lt": 0},
    {"Count": 12},
    {"Path|fieldref": "Operation"},
)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    from pyspark.sql import SparkSession

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = (
            SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
            .getOrCreate()
        )
        yield ibis.pyspark.connect(session)
        session.stop()


def rows_of(spark, expression, order):
    frame = spark._session.sql(str(ibis.to_sql(expression, dialect="pyspark")))
    return sorted((tuple(row) for row in frame.collect()), key=lambda row: row[:order])


@pytest.fixture(scope="module")
def records(spark, tmp_path_factory):
    texts = {name: [each[name] for each in RECORDS] for name in ("Operation", "ClientIP", "Path", "Count")}
    table = pa.table(
        {"n": pa.array(range(len(RECORDS)), pa.int64())}
        | {name: pa.array(each, pa.string()) for name, each in texts.items()}
        | {"Tags": pa.array([each["Tags"] for each in RECORDS], pa.list_(pa.string()))}
    )
    path = tmp_path_factory.mktemp("records") / "records.parquet"
    pq.write_table(table, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spark._session.read.parquet(str(path)).createOrReplaceTempView("records")
    return ibis.table({"n": "int64", **dict.fromkeys(texts, "string"), "Tags": "array<string>"}, name="records")


def test_every_kind_of_value_means_the_same_on_spark(spark, records):
    detections = [{"s": item, "condition": "s"} for item in ITEMS]
    compiled = [
        compile_rule(SigmaRule.from_dict({"title": "t", "logsource": {"product": "m365"}, "detection": each}))
        for each in detections
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = rows_of(
            spark, records.select("n", *(each(records).name(f"r{k}") for k, each in enumerate(compiled))), 1
        )
    expected = [(n, *(sigma_plain.matches(each, record) for each in detections)) for n, record in enumerate(RECORDS)]

    assert expected == found


@pytest.mark.parametrize("kind", ["event_count", "value_count", "temporal", "temporal_ordered"])
def test_correlations_mean_the_same_on_spark(spark, kind, tmp_path):
    second = 1_000_000
    hits = [(0, 0, "u"), (1, 4, "v"), (0, 9, "u"), (1, 19, "w"), (0, 60, "u"), (1, 61, "u"), (0, 62, "v")]
    table = pa.table(
        {
            "rule": [hit[0] for hit in hits],
            "event_id": [f"e{n}" for n in range(len(hits))],
            "at": [hit[1] * second for hit in hits],
            "g0": ["x"] * len(hits),
            "value": [hit[2] for hit in hits],
        }
    )
    pq.write_table(table, tmp_path / "hits.parquet")
    condition = {"gte": 2} | ({"field": "value"} if kind == "value_count" else {})
    body = {"type": kind, "rules": ["a", "b"], "group-by": ["g"], "timespan": "10s", "condition": condition}
    correlation = correlation_of(SigmaCorrelationRule.from_dict({"title": "t", "correlation": body}))
    schema = {"rule": "int64", "event_id": "string", "at": "int64", "g0": "string", "value": "string"}
    expression = episodes(satisfied(ibis.table(schema, name="hits"), correlation), correlation)
    expression = expression.select("g0", "episode", "from_us", "to_us")
    con = ibis.duckdb.connect()
    con.con.register("hits", table)
    here = sorted(con.con.sql(str(ibis.to_sql(expression, dialect="duckdb"))).fetchall())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spark._session.read.parquet(str(tmp_path / "hits.parquet")).createOrReplaceTempView("hits")
        there = rows_of(spark, expression, 2)

    assert here
    assert here == there

"""What is kept in the short form means what the text means, whatever is asked of it."""

from __future__ import annotations

import datetime as dt

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenseal.demo import write_demo
from brokenseal.engines import _kept
from brokenseal.engines._kept import KeepingBackend
from brokenseal.ingest import ingest
from brokenseal.investigate import build_document
from brokenseal.reports.json_document import document_to_json
from brokenseal.settings import Settings
from brokenseal.store import Store

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
KINDS = {"a": pa.string(), "b": pa.string(), "n": pa.int64()}
COLUMNS = tuple(KINDS)
# Capitals, accents, quotes, the empty text and what sorts differently by locale.
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "a", "A", "é", "z", "ab", "a b", "'", '"', "İ", "\U0001f512", "10", "9"])
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.one_of(st.none(), st.integers(-3, 3))), min_size=1, max_size=30)

QUESTIONS = {
    "equal to what no row holds": lambda t: t.filter(t.a == "nowhere"),
    "not equal": lambda t: t.filter(t.a != "a"),
    "one of": lambda t: t.filter(t.a.isin(("a", "nowhere", "é"))),
    "equal columns": lambda t: t.filter(t.a == t.b),
    "in order": lambda t: t.filter((t.a >= "a") & (t.a < "b")),
    "null filled with what no row holds": lambda t: t.mutate(a=t.a.fill_null("none")),
    "first that is there": lambda t: t.mutate(a=ibis.coalesce(t.a, t.b, "none")),
    "joined text": lambda t: t.mutate(a=t.a.concat("|", t.b)),
    "cases": lambda t: t.mutate(a=ibis.cases((t.n > 0, t.a), (t.n < 0, "less"), else_=t.b)),
    "part of text": lambda t: t.mutate(a=t.a.re_extract(r"^(.)", 1), b=t.b.substr(0, 1), n=t.a.length()),
    "union": lambda t: t.select("a").union(t.select(a="b")),
    "distinct": lambda t: t.distinct(),
    "counted": lambda t: t.group_by("a").agg(n=t.count(), b=t.b.nunique()),
    "least and greatest": lambda t: t.group_by("n").agg(low=t.a.min(), high=t.b.max(), some=t.a.min(where=t.b == "a")),
    "lists": lambda t: t.group_by("n").agg(a=t.a.collect(distinct=True).sort()),
    "joined with itself": lambda t: t.inner_join(t.view(), [("a", "b")], rname="{name}_2").select("a", "b_2", "n_2"),
    "not among those of others": lambda t: t.filter(t.a.notin(t.filter(t.b.notnull()).b)),
    "the one before": lambda t: t.mutate(a=t.a.lag(1).over(ibis.window(group_by="b", order_by=["n", "a"]))).distinct(),
    "numbered in order of text": lambda t: t.mutate(n=ibis.dense_rank().over(ibis.window(order_by="a"))),
}


def engine():
    import duckdb

    return KeepingBackend.from_connection(duckdb.connect())


def table_of(rows):
    values = list(zip(*rows, strict=True))
    return pa.table({name: pa.array(found, kind) for (name, kind), found in zip(KINDS.items(), values, strict=True)})


def answer(rows):
    found = rows.to_pyarrow()
    return found.schema, sorted(map(repr, found.to_pylist()))


@pytest.fixture
def every_column_is_kept_short(monkeypatch):
    monkeypatch.setattr(_kept, "_LEAST_ROWS", 0)
    monkeypatch.setattr(_kept, "_REPEATS", 0)


@pytest.mark.usefixtures("every_column_is_kept_short")
@given(rows=ROWS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_kept_rows_answer_every_question_as_the_rows_do(rows):
    con = engine()
    plain = con.create_table("plain", table_of(rows))
    for source in (plain, plain.filter(plain.n.isnull() | (plain.n < 99))):  # as stored, and worked out
        kept = source.cache()
        # The question has to meet lists of values, or it shows nothing.
        kinds = dict(zip(COLUMNS, (kind.id for kind in con.con.table(kept.op().name).types), strict=True))
        assert {name for name, kind in kinds.items() if kind == "enum"} == {
            name for number, name in enumerate(("a", "b")) if any(row[number] is not None for row in rows)
        }
        for name, question in QUESTIONS.items():
            assert answer(question(kept)) == answer(question(source)), name
        kept.release()


@pytest.mark.usefixtures("every_column_is_kept_short")
def test_what_is_let_go_of_leaves_nothing_behind():
    con = engine()
    kept = con.create_table("plain", table_of([("a", "b", 1)])).cache()
    name = kept.op().name
    held = "SELECT count(*) FROM duckdb_types() WHERE type_name LIKE '%:_'"
    before = con.con.execute(held).fetchone()

    kept.release()

    assert before == (2,)
    assert con.con.execute(held).fetchone() == (0,)
    assert con.con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [name]).fetchone() == (0,)


def test_few_rows_and_text_that_does_not_recur_stay_as_they_are():
    con = engine()
    numbers = range(_kept._LEAST_ROWS)
    columns = {"n": list(numbers), "own": [str(n) for n in numbers], "shared": [str(n % 2) for n in numbers]}
    many = con.create_table("many", pa.table(columns))
    few = many.limit(10)

    kept = (many.cache(), few.cache())
    kinds = [[kind.id for kind in con.con.table(each.op().name).types] for each in kept]

    assert kinds == [["bigint", "varchar", "enum"], ["bigint", "varchar", "varchar"]]


def test_a_list_of_values_too_long_to_pay_is_not_made(monkeypatch):
    monkeypatch.setattr(_kept, "_LEAST_ROWS", 0)
    monkeypatch.setattr(_kept, "_MOST_VALUES", 300)
    columns = {"short": [str(n % 200) for n in range(4000)], "long": [str(n % 900) for n in range(4000)]}

    kept = engine().create_table("many", pa.table(columns)).cache()

    assert [kind.id for kind in kept.get_backend().con.table(kept.op().name).types] == ["enum", "varchar"]


def test_the_document_is_the_same_in_the_short_form_and_without(tmp_path, monkeypatch):
    """All of the bundled tenant, with every column kept short and with none."""
    write_demo(tmp_path / "demo")
    store = tmp_path / "store"
    ingest([tmp_path / "demo"], Settings(store_dir=store), now=NOW)
    documents = []
    for least in (0, 1 << 60):
        monkeypatch.setattr(_kept, "_LEAST_ROWS", least)
        with Store.open(Settings(store_dir=store)) as opened:
            documents.append(document_to_json(build_document(opened)))

    assert documents[0] == documents[1]

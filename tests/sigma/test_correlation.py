"""Correlation rules agree with looking at every window."""

from __future__ import annotations

import functools
import operator

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.correlations import SigmaCorrelationRule

import sigma_plain
from brokenseal.sigma import NotSupportedError
from brokenseal.sigma.correlation import can_be_met, correlation_of, episodes, members, satisfied

SPAN_S = 10
SECOND = 1_000_000


@functools.cache
def engine():
    return ibis.duckdb.connect()


def rule(kind, *, rules=("a",), group_by=("g",), condition=None, **more):
    body = {"type": kind, "rules": list(rules), "group-by": list(group_by), "timespan": f"{SPAN_S}s", **more}
    if condition is not None:
        body["condition"] = condition
    return SigmaCorrelationRule.from_dict({"title": "t", "correlation": body})


def table_of(hits, n_groups=1):
    con = engine()
    columns = {
        "rule": pa.array([hit[0] for hit in hits], pa.int64()),
        "event_id": pa.array([hit[2] for hit in hits], pa.string()),
        "at": pa.array([hit[1] * SECOND for hit in hits], pa.int64()),
        **{f"g{n}": pa.array([hit[3][n] for hit in hits], pa.string()) for n in range(n_groups)},
        "value": pa.array([hit[4] for hit in hits], pa.string()),
    }
    con.con.register("given", pa.table(columns))
    con.con.execute("CREATE OR REPLACE TABLE hits AS SELECT * FROM given")
    return con.table("hits")


def found_by(correlation, hits):
    rows = satisfied(table_of(hits), correlation).to_pyarrow().to_pylist()
    return sorted(row["event_id"] for row in rows)


hit_lists = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 40), st.sampled_from(("x", "y", None)), st.sampled_from(("u", "v", None))
    ),
    max_size=14,
).map(lambda rows: [(r, at, f"e{n:02}", (group,), value) for n, (r, at, group, value) in enumerate(rows)])

OPERATORS = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt, "eq": operator.eq, "neq": operator.ne}  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(hit_lists, st.sampled_from(("event_count", "value_count", "temporal", "temporal_ordered")), st.sampled_from(tuple(OPERATORS)), st.integers(0, 4))  # fmt: skip
def test_windows_agree_with_the_plain_evaluator(hits, kind, name, number):
    # Hits that share a moment with a hit of another rule are in no order; the reference lets them pass as well.
    condition = {name: number} | ({"field": "value"} if kind == "value_count" else {})
    if kind.startswith("temporal"):
        correlation = correlation_of(rule(kind, rules=("a", "b", "c")))
        test = functools.partial(operator.le, 3)
    else:
        correlation = correlation_of(rule(kind, rules=("a", "b", "c"), condition=condition))
        test = functools.partial(lambda compare, n, count: compare(count, n), OPERATORS[name], number)
    expected = sigma_plain.satisfied(hits, kind=kind, n_rules=3, span=SPAN_S, condition=test)

    assert [hits[place][2] for place in expected] == found_by(correlation, hits)


def test_both_ends_of_the_span_count():
    hits = [(0, 0, "a", ("x",), None), (0, SPAN_S, "b", ("x",), None), (0, 2 * SPAN_S + 1, "c", ("x",), None)]
    correlation = correlation_of(rule("event_count", condition={"gte": 2}))

    assert found_by(correlation, hits) == ["b"]


def test_a_value_seen_twice_counts_once_as_long_as_it_stays_in_the_window():
    hits = [(0, at, f"e{at:02}", ("x",), value) for at, value in ((0, "u"), (4, "u"), (12, "v"), (15, "w"), (27, "u"))]
    correlation = correlation_of(rule("value_count", condition={"gte": 2, "field": "value"}))

    assert found_by(correlation, hits) == ["e12", "e15"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("abc", ["e2"]), ("acb", []), ("cba", []), ("bac", [])],
    ids=["in order", "c first", "back", "b first"],
)
def test_order_is_minded(order, expected):
    hits = [("abc".index(name), at, f"e{at}", ("x",), None) for at, name in enumerate(order)]

    assert expected == found_by(correlation_of(rule("temporal_ordered", rules=("a", "b", "c"))), hits)


def test_a_long_chain_is_found_though_an_older_one_is_too_long():
    hits = [(0, 0, "e0", ("x",), None), (0, 5, "e1", ("x",), None), (1, 14, "e2", ("x",), None)]

    assert found_by(correlation_of(rule("temporal_ordered", rules=("a", "b"))), hits) == ["e2"]


def test_conditions_with_and_or_and_not():
    hits = [
        (0, 0, "e0", ("x",), None),
        (1, 3, "e1", ("x",), None),
        (2, 30, "e2", ("x",), None),
        (0, 31, "e3", ("x",), None),
    ]
    correlation = correlation_of(rule("temporal", rules=("a", "b", "c"), condition="a and b and not c or c and a"))

    assert found_by(correlation, hits) == ["e1", "e3"]


def test_hits_without_a_group_belong_to_none():
    hits = [(0, at, f"e{at}", (None,), None) for at in range(5)]

    assert found_by(correlation_of(rule("event_count", condition={"gte": 2})), hits) == []


def test_what_follows_within_the_span_is_one_episode_with_all_its_hits():
    hits = [(0, at, f"e{at:02}", ("x",), None) for at in (0, 1, 2, 9, 50, 51, 52)]
    correlation = correlation_of(rule("event_count", condition={"gte": 3}))
    table = table_of(hits)
    found = episodes(satisfied(table, correlation), correlation)
    rows = members(table, found, correlation).to_pyarrow().to_pylist()
    by_episode = {n: sorted(row["event_id"] for row in rows if row["episode"] == n) for n in (1, 2)}

    assert by_episode == {1: ["e00", "e01", "e02", "e09"], 2: ["e50", "e51", "e52"]}


@pytest.mark.parametrize("kind", ["value_sum", "value_avg", "value_median"])
def test_other_kinds_are_refused_by_name(kind):
    with pytest.raises(NotSupportedError, match=f"correlations of type {kind} are not carried out"):
        correlation_of(rule(kind, condition={"gte": 1, "field": "value"}))


def test_correlations_compile_for_spark():
    for kind in ("event_count", "value_count", "temporal", "temporal_ordered"):
        condition = {"gte": 2, "field": "value"} if kind == "value_count" else {"gte": 2}
        correlation = correlation_of(rule(kind, rules=("a", "b"), condition=condition))
        hits = ibis.table(
            {"rule": "int64", "event_id": "string", "at": "int64", "g0": "string", "value": "string"}, "h"
        )
        found = satisfied(hits, correlation)

        assert "OVER" in ibis.to_sql(members(hits, episodes(found, correlation), correlation), dialect="pyspark")


NAMED = ("a", "b", "c")
CONDITIONS = (
    *({op: number} for op in ("lt", "lte", "gt", "gte", "eq", "neq") for number in range(5)),
    "a and b and c",
    "a or b or c",
    "(a or c) and not b",
    "not (a or b) and c",
    "not a and not b and not c",
)


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_what_can_be_met_is_what_some_hits_of_the_possible_rules_satisfy(condition):
    correlation = correlation_of(rule("temporal", rules=NAMED, condition=condition))
    subsets = [tuple(number for number in range(3) if mask >> number & 1) for mask in range(8)]
    assert correlation.rules == NAMED
    met = {subset: bool(found_by(correlation, hits_at_once(subset))) for subset in subsets}

    for possible in subsets:
        wanted = any(met[subset] for subset in subsets if set(subset) <= set(possible))
        assert can_be_met(correlation, [number in possible for number in range(3)]) == wanted


def hits_at_once(rules):
    return [(number, 0, f"e{number}", ("x",), None) for number in rules]


@pytest.mark.parametrize(
    ("kind", "wanted"), [("event_count", True), ("value_count", True), ("temporal_ordered", False)]
)
def test_one_rule_is_enough_to_count_and_not_for_an_order(kind, wanted):
    more = {"field": "v"} if kind == "value_count" else {}
    correlation = correlation_of(rule(kind, rules=NAMED, condition={"gte": 1, **more}))

    assert can_be_met(correlation, [False, True, False]) is wanted
    assert not can_be_met(correlation, [False] * 3)

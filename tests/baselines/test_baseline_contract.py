"""What holds for every baseline: declared columns and parameters, Spark, the union, and nobody else's use of them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import ibis
import pytest

import brokenseal
from baseline_runner import BY_ID, DAY, HOUR, WITHOUT_ENGINE, alerts, filled
from brokenseal.baselines import BASELINES
from brokenseal.baselines._alerts import ALERT
from brokenseal.baselines.b14_union import PARTS, scored
from support import TABLES

ANA, BEN = "ana@corp.example", "ben@corp.example"


def declared_tables(baseline):
    return {
        name: ibis.table(TABLES[name].ibis_schema(), name=name).select(*columns)
        for name, columns in baseline.reads.items()
    }


def test_baselines_are_sixteen_in_order_with_rules_named_after_them():
    assert [baseline.id for baseline in BASELINES] == [f"B{number}" for number in range(1, 17)]
    for baseline in BASELINES:
        assert all(rule.startswith(baseline.id) for rule in baseline.rules)
        assert baseline.source
        given = list(inspect.signature(baseline.alerts).parameters)
        assert given == ["tables", *baseline.parameters]


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.id)
def test_expressions_read_declared_columns_alone_and_compile_for_spark(baseline):
    tables = declared_tables(baseline)
    if baseline.id in WITHOUT_ENGINE:
        parts = baseline.reduced(tables)
    else:
        parts = (baseline.run(tables),)
        assert dict(parts[0].schema().items()) == dict(ALERT.ibis_schema().items())
    for part in parts:
        assert not [name for name, dtype in part.schema().items() if dtype.is_floating()]
        assert "SELECT" in ibis.to_sql(part, dialect="pyspark")


def test_union_of_the_rules_inside_the_engine_compiles_for_spark():
    union = BY_ID["B14"]
    rules = tuple(rule for rule in union.parameters["rules"] if rule != "B7")
    found = union.run(declared_tables(union), rules=rules)
    assert "SELECT" in ibis.to_sql(found, dialect="pyspark")


def test_a_parameter_that_a_baseline_does_not_have_is_refused():
    with pytest.raises(TypeError, match="hours"):
        BY_ID["B2"].run(declared_tables(BY_ID["B2"]), hours=3)


def test_union_scores_a_subject_by_the_rules_that_speak_of_it_on_one_day():
    def row(rule, key, at, subject, event):
        return {"baseline": rule, "alert_key": key, "at": at, "subject": subject, "event_id": event, "tenant_id": "t"}

    rows = [
        row("B2", "e1", 0, ANA, "e1"),
        row("B1", "e1", HOUR, ANA, "e1"),
        row("B9", "e2", HOUR, BEN, "e2"),
        row("B2", "e3", DAY, ANA, "e3"),
        row("B9", "e2", DAY, BEN, "e4"),
        row("B1", "e4", DAY, BEN, "e4"),
    ]
    filled_rows = filled({"alerts": rows})["alerts"]
    made = [{name: one.get(name) for name in ALERT.names} for one in filled_rows]
    found = scored(ibis.memtable(made, schema=ALERT.ibis_schema())).to_pyarrow().to_pylist()
    assert {(one["alert_key"], one["event_id"], one["score_millis"]) for one in found} == {
        ("B2 e1", "e1", 2000),
        ("B1 e1", "e1", 2000),
        ("B9 e2", "e2", 2000),
        ("B9 e2", "e4", 2000),
        ("B2 e3", "e3", 1000),
        ("B1 e4", "e4", 2000),
    }
    assert {one["baseline"] for one in found} == {"B14"}


def test_union_is_the_alerts_of_its_parts():
    world = filled(
        {
            "mail_accesses": [
                {
                    "event_id": "a1",
                    "tenant_id": "t",
                    "mailbox_key": "k",
                    "mailbox_upn": ANA,
                    "actor_key": ANA,
                    "access_type": "bind",
                    "client_app_id": "x",
                    "logon_type": 0,
                    "user_type": 0,
                }
            ]
        }
    )
    found = alerts("B14", world)
    assert [(one["alert_key"], one["score_millis"]) for one in found] == [("B1 a1", 2000), ("B2 a1", 2000)]
    assert [one["alert_key"] for one in alerts("B14", world, rules=("B2", "B3"))] == ["B2 a1"]
    named = {rule for part in PARTS for rule in part.rules}
    assert set(BY_ID["B14"].parameters["rules"]) == named - {"B1-k2", "B3-250", "B9b", "B9c", "B11-apps", "B13"}


def test_the_page_names_every_rule_parameter_and_gap():
    page = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")
    words = " ".join(page.split())
    for baseline in BASELINES:
        (line,) = (line for line in page.splitlines() if line.startswith(f"| {baseline.id} |"))
        assert baseline.source in line
        for name, value in baseline.parameters.items():
            assert f"`{name}`" in line
            assert not isinstance(value, int | float) or f"`{name}` {value}" in line
        assert all(f"| `{rule}` | {meaning} |" in page for rule, meaning in baseline.rules.items())
        assert " ".join(baseline.leaves_out.split()) in words


def test_nothing_that_judges_imports_a_baseline():
    root = Path(brokenseal.__file__).parent
    users = set()
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        # Parsing all modules takes seconds, and few say the word.
        for node in ast.walk(ast.parse(text)) if "baselines" in text else ():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if any(name.startswith("brokenseal.baselines") for name in names):
                users.add(path.relative_to(root).parts[0])
    assert "baselines" in users
    assert users <= {"baselines", "drill", "cli"}

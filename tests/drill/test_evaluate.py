"""The result of an evaluation against tenants that are known by hand, its page, its files, and a small run."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest

from brokenseal.drill import _evaluate_compare as comparing
from brokenseal.drill import _evaluate_facts as facts_files
from brokenseal.drill import evaluate
from brokenseal.drill._evaluate_page import page
from brokenseal.drill._evaluate_targets import FAILED
from brokenseal.errors import UsageError
from drill.evaluate_worlds import DAY, HOUR, ROOT, TOKEN, alert, calibration, case, instance, mark, measured, unit

# ---------------------------------------------------------------- the result and its page


def _many():
    attacked = {
        "instances": [instance(1, caught_after=HOUR), instance(2, "A6", 4), instance(3, "A0g", 0)],
        "cases": [case("x", is_true=True, permille=900), case("y", is_true=False, permille=20)],
        "units": [unit("a", 1), unit("b", mailbox="b"), unit("c", 2, mailbox="c")],
        "marks": [mark("a", ROOT, "odd"), mark("a", TOKEN, "orphan")],
        "alerts": [
            alert("B16", "box", DAY, score=7000, cites=[(1, DAY + 2 * HOUR)]),
            alert("B16", "calm", DAY, score=3000),
        ],
        "notices": 3,
    }
    calm = {"units": [unit("q", mailbox="q")], "alerts": [alert("B16", "calm", DAY, score=4000)]}
    return [
        measured(0, **attacked),
        measured(1, **attacked),
        measured(2, **attacked),
        measured(3, **calm),
        measured(4, **attacked, logs="ual-only", seed=0),
        measured(5, **calm, prior="train"),
        measured(6, **attacked, prior="train"),
    ]


ABOUT = {
    "scale": "smoke",
    "word": "w",
    "date": "2026-01-01",
    "product_version": "0",
    "commit": None,
    "code": "c0de",
    "calibration": "ca1",
    "tenants": 7,
    "days": 49,
    "warm_up_days": 28,
    "records": 7000,
    "intrusions_per_100_mailboxes": 3.3,
    "processes": 2,
    "wall_s": 60.0,
    "cpu_s": {"product": 60.0},
    "projected_release_hours": 12.0,
}


@pytest.fixture(scope="module")
def result():
    return evaluate.result_of(_many(), calibration(), about=ABOUT)


def test_the_main_row_counts_the_test_prior_with_full_logs_alone(result):
    row = result["main"][0]

    assert (row["tenants"], row["instances"], row["mailbox_weeks"]) == (4, 6, 400.0)
    assert (row["recall_7_d"]["count"], row["recall_7_d"]["of"]) == (3, 6)
    assert (row["false_cases"]["count"], row["false_cases"]["rate"]) == (3, 7.5)
    assert row["false_notices"]["count"] == 9
    assert result["main"][1]["name"] == "Test prior, ual-only"
    assert result["main"][-1]["name"].startswith("Training prior")


def test_intervals_take_the_intrusions_of_several_tenants_as_several(result):
    from brokenseal.drill._score_intervals import wilson

    found = result["main"][0]["recall_7_d"]

    assert (found["low"], found["high"]) == wilson(3, 6)


def test_a_rival_is_held_to_a_budget_on_the_training_prior(result):
    compare = result["compare"]
    row = next(row for row in compare["rows"] if row["name"] == "B16")

    assert (compare["tuning_tenants"], compare["tuning_weeks"]) == (1, 100.0)
    assert row["own"]["recall"]["count"] == 3
    assert row["own"]["false"]["count"] == 4
    tight = row["equal"][0]
    assert tight["point"]["recall"]["count"] == 3
    assert tight["point"]["false"]["count"] == 0
    assert tight["hindsight"]["recall"]["count"] == 3
    question = next(row for row in compare["differences"] if row["rival"] == "B16" and "held to" in row["question"])
    assert (question["difference"], question["clusters"]) == (0.0, 3)


def test_what_is_taken_away_is_missed(result):
    rows = {row["name"]: row for row in result["ablations"]}

    assert list(rows) == ["as shipped", f"without {ROOT}", f"without {TOKEN}", "root grouping removed", "naive product"]
    found = {name: [point["recall"]["count"] for point in row["points"]] for name, row in rows.items()}
    assert found["as shipped"] == [3, 3, 3, 3]
    assert found[f"without {TOKEN}"] == [0, 0, 3, 3]


def test_twins_are_compared_with_the_same_tenants(result):
    (row,) = result["fewer_logs"]

    assert (row["logs"], row["tenants"], row["full"]["recall"]["of"]) == ("ual-only", 1, 2)


def test_the_page_says_simulated_first_and_names_what_failed(result):
    text = page(result, [], has_picture=True)
    body = text.split("\n", 2)[2]

    assert body.startswith("**Everything on this page is *simulated*.**")
    headline = next(line for line in text.splitlines() if line.startswith("- Headline"))
    assert headline.startswith("- Headline (test prior, full logs): recall within 7 days 50\xa0% (3/6;")
    failed = [
        row["name"] for row in result["targets"] if any(v and v["verdict"] == FAILED for v in row["levels"].values())
    ]
    assert "False cases per 1,000 mailbox-weeks, full logs" in failed
    assert "; ".join(failed) in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## 1. Main table",
        "## 2. Beside what others run",
        "## 3. Recall by attack and stealth",
        "## 4. What each part is worth",
        "## 5. Do the weights keep their promise?",
        "## 6. Are the probabilities calibrated?",
        "## 7. Exposure",
        "## 8. Time to a case",
        "## 9. Does it say what it cannot tell?",
        "## 10. What cannot be detected, by design",
        "## 11. Targets",
        "## 12. Log of runs",
    ]
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert widths
    assert "\n\n\n" not in text


def test_the_page_can_be_made_of_the_json_alone(result):
    again = json.loads(msgspec.json.encode(result))

    assert page(again, [], has_picture=True) == page(result, [], has_picture=True)


def test_without_a_calibration_the_weights_are_left_out():
    result = evaluate.result_of(_many(), None, about=ABOUT)
    text = page(result, [], has_picture=False)

    assert "Nothing was weighed: there is no calibration." in text
    assert "weights alone" not in text
    assert "images/" not in text


def test_a_run_is_appended_to_the_log_and_files_are_whole(result, tmp_path):
    evaluate.write(result, tmp_path)
    evaluate.write(result, tmp_path)

    runs = [json.loads(line) for line in (tmp_path / "evaluation-runs.jsonl").read_text().splitlines()]
    assert [run["recall_7_d"] for run in runs] == [0.5, 0.5]
    assert runs[0]["simulated"] is True
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"evaluation.json", "evaluation.md", "evaluation-runs.jsonl", "images/evaluation.svg"}
    assert (tmp_path / "evaluation.md").read_text().count("| 2026-01-01 |") == 2
    assert (tmp_path / "images" / "evaluation.svg").read_text().startswith("<svg font-family")


def test_a_folder_that_cannot_be_written_is_refused(result, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError):
        evaluate.write(result, tmp_path / "file")


# ---------------------------------------------------------------- facts


def test_facts_come_back_as_they_were(tmp_path):
    one = _many()[0]

    facts_files.write(one, tmp_path / "facts" / "a")
    back = facts_files.read(tmp_path / "facts" / "a")

    assert back.facts == one.facts
    assert (back.units.equals(one.units), back.marks.equals(one.marks), back.alerts.equals(one.alerts)) == (True,) * 3
    assert [path.name for path in (tmp_path / "facts").iterdir()] == ["a"]


def test_whoever_is_stopped_leaves_no_half_facts(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(facts_files.pq, "write_table", stop)

    with pytest.raises(KeyboardInterrupt):
        facts_files.write(_many()[0], tmp_path / "facts" / "a")
    assert list((tmp_path / "facts").iterdir()) == []


def test_instances_of_several_tenants_are_kept_apart():
    observed = [facts_files.observations_of(one.facts, number) for number, one in enumerate(_many()[:2])]

    numbers = [outcome.intrusion.instance for one in observed for outcome in one.intrusions]
    assert len(set(numbers)) == len(numbers) == 6


def test_a_heavy_unit_says_from_which_budget_it_opens():
    rows = comparing.instances_of(_many()[:1], calibration())

    assert [row["attack"] for row in rows] == ["A1", "A6"]
    assert rows[0]["fired"] == [f"{ROOT} odd", f"{TOKEN} orphan"]
    assert rows[0]["opens_at_budget"] < rows[1]["opens_at_budget"]


def test_a_stopped_run_clears_what_was_under_way(tmp_path, monkeypatch):
    def stop(*_, **__):
        (tmp_path / "runs" / ".half").mkdir(parents=True)
        (tmp_path / "runs" / "whole").mkdir(parents=True)
        raise SystemExit(130)

    monkeypatch.setattr(evaluate, "_measured", stop)
    monkeypatch.setattr(evaluate, "_calibration", calibration)
    settings_ = evaluate.EvaluationSettings(
        scale="smoke", output=tmp_path / "out", word="w", now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), work_dir=tmp_path
    )

    with pytest.raises(SystemExit):
        evaluate.evaluate(settings_)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["whole"]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_smoke_measures_two_tenants_and_the_second_time_measures_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "code_digest", lambda: "as-it-is")

    def run(output):
        told = []
        settings_ = evaluate.EvaluationSettings(
            scale="smoke",
            output=tmp_path / output,
            word="ci",
            now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            work_dir=tmp_path / "work",
            tell=lambda done, total: told.append((done, total)),
        )
        return evaluate.evaluate(settings_), told

    first, _ = run("a")
    again, told = run("b")

    assert first["failed"] == {}
    assert first["main"][0]["tenants"] == 2
    assert first["main"][0]["mailbox_weeks"] == 80
    assert first["main"][0]["instances"] == 4
    assert first["compare"]["weights"] is not None
    assert set(told) == {(2, 2)}
    same = {name: value for name, value in first.items() if name != "about"}
    assert msgspec.json.encode({name: again[name] for name in same}) == msgspec.json.encode(same)

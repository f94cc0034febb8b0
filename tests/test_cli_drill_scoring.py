"""`brokenseal drill score`, `check` and `compare`: what they say of a drill, and in what form."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from brokenseal import cli
from drill.small_drills import write_drill


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: exit code, standard output, lines of standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["brokenseal", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err.splitlines()

    return call


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    """A drill that the library wrote."""
    folder = tmp_path_factory.mktemp("drill")
    return write_drill(folder / "d", folder / "quiet.toml")


@pytest.fixture(scope="module")
def store(drill, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "s"
    command = [sys.executable, "-W", "ignore", "-m", "brokenseal", "ingest", drill / "exports", "--store", folder]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return folder


def test_a_score_has_the_promised_members_and_a_page(run, drill, store, tmp_path):
    page = tmp_path / "score.html"
    code, out, err = run("drill", "score", "--store", store, "--truth", drill / "truth", "--html", page, "--json")
    assert (code, err) == (0, [f"{page}: the simulated score"])
    said = json.loads(out)
    assert said["simulated"] is True
    assert {
        "recall",
        "false_cases_per_1000_mailbox_weeks",
        "exposure_recall",
        "exposure_precision",
        "median_messages_before_case",
        "by_attack",
    } <= said.keys()
    assert list(said["by_attack"]) == ["A0n", "A1"]
    assert said["by_attack"]["A1"]["recall"]["instances"] == said["recall_overall"]["instances"] == 2
    assert said["cases"]["records_unknown"] == 0
    assert "imulated" in page.read_text(encoding="utf-8")


def test_a_score_on_the_screen_begins_with_what_it_is(run, drill, store):
    code, out, err = run("drill", "score", "--store", store, "--truth", drill / "truth")
    lines = out.splitlines()
    assert (code, err) == (0, [])
    assert lines[0] == "Simulated: how the cases of this store compare with the truth of its drill; tenants: 1."
    assert lines[2].startswith("Intrusions with a case within 7 days")
    assert lines[-1].startswith("all, without controls")
    assert [line.split()[0] for line in lines[-3:-1]] == ["A1", "A0n"]


def test_a_truth_that_is_none_is_one_line(run, store, tmp_path):
    code, out, err = run("drill", "score", "--store", store, "--truth", tmp_path)
    assert (code, out, len(err)) == (2, "", 1)
    assert "expected a file of a drill's truth" in err[0]


# ---------------------------------------------------------------- check, compare


def test_checks_are_printed_and_a_leak_ends_with_1(run, drill, tmp_path):
    code, out, err = run("drill", "check", drill, "--json")
    said = json.loads(out)
    assert (said["simulated"], err) == (True, [])
    assert {one["test"] for one in said["checks"]} == {"T1", "T2", "T3", "T4", "T5", "T6"}
    assert code == (1 if said["failed"] else 0)
    assert run("drill", "check", tmp_path)[0] == 2


def test_a_drill_is_most_like_itself(run, drill, tmp_path):
    code, out, _ = run("drill", "compare", drill, "--real", drill / "exports", "--json")
    said = json.loads(out)
    assert (code, said["simulated"], said["mismatch"]) == (0, True, 0)
    assert said["match"] > 0
    assert {one["verdict"] for one in said["marginals"]} <= {"match", "unknown"}
    assert run("drill", "compare", tmp_path, "--real", drill / "exports")[0] == 2

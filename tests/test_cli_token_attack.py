"""`brokenseal token attack`: one call, its output and its exit code."""

import json
import sys

import pytest
from typer.testing import CliRunner

from brokenseal import cli
from brokenseal.cli import app

OWN = "python:brokenseal.tokens.adapters.brokenseal:strict"
RECIPE = "python:brokenseal.tokens.adapters.pyjwt:entra"


def run(*words):
    return CliRunner().invoke(app, ["token", "attack", *map(str, words)])


@pytest.fixture
def main(monkeypatch):
    """The program as it is started."""

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["brokenseal", "token", "attack", *map(str, words)])
        cli.main()

    return start


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus that an earlier call wrote."""
    place = tmp_path_factory.mktemp("attack") / "corpus"
    assert run("--target", OWN, "--corpus", place).exit_code == 0
    return place


def test_a_verifier_that_is_right_ends_with_0(folder):
    result = run("--target", OWN, "--corpus", folder, "--json")
    said = json.loads(result.stdout)
    assert (said["accepted_forgeries"], said["rejected_valid"], said["errors"], said["assessable"]) == (0, 0, 0, True)
    assert said["forgeries"] > 700
    assert said["valid"] > 80
    assert result.exit_code == 0
    assert result.stderr == ""


def test_an_accepted_forgery_ends_with_1_and_is_explained(folder):
    result = run("--target", RECIPE, "--corpus", folder)
    assert result.exit_code == cli.Exit.FINDINGS
    text = " ".join(result.stdout.split())
    assert "■ consumer_key_for_enterprise – The key of personal accounts signs a token of an enterprise tenant." in text
    assert "Mend: Keep the `issuer` that the key document names for each key" in text
    assert "simulated" in text


def test_the_folder_keeps_its_keys(folder):
    before = (folder / "keys" / "common.json").read_bytes()
    tokens = (folder / "cases.jsonl").read_bytes()
    assert run("--target", OWN, "--corpus", folder).exit_code == 0
    assert (folder / "keys" / "common.json").read_bytes() == before
    assert len((folder / "cases.jsonl").read_bytes().splitlines()) == len(tokens.splitlines())


def test_a_module_of_the_current_folder_can_be_named_and_one_that_accepts_all_is_not_assessable(
    folder, tmp_path, monkeypatch
):
    (tmp_path / "lenient_service.py").write_text("def check(token):\n    return True\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = run("--target", "python:lenient_service:check", "--corpus", folder)
    assert result.exit_code == cli.Exit.INCOMPLETE
    assert "Target not assessable: it accepts a token whose claims were changed" in " ".join(result.stdout.split())


def test_a_target_that_is_not_loopback_is_refused_before_anything_is_written(main, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main("--target", "http://192.0.2.7/", "--corpus", tmp_path / "new")
    assert ended.value.code == cli.Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert "--i-own-this 192.0.2.7" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_folder_of_something_else_is_refused(main, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main("--target", OWN, "--corpus", tmp_path)
    assert ended.value.code == cli.Exit.USAGE
    assert "an empty folder" in capsys.readouterr().err

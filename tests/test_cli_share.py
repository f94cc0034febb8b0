"""`brokenseal share`: what its commands write, print and refuse, and how they end."""

import json
import re
import sys
from pathlib import Path

import pytest

from brokenseal import cli
from brokenseal.exchange import FORMATS
from brokenseal.exchange.attack_names import VERSION
from brokenseal.exchange.confidence import CEILINGS, WORDS
from brokenseal.exchange.screens import REASONS
from brokenseal.exchange.tlp import Tlp
from brokenseal.reports.json_document import document_to_json
from exchange.taxii_server import basic, running
from exchange.worlds import INTRUDER, VICTIM, case, document, record, simple, with_rows

PAGE = (Path(__file__).parents[1] / "docs" / "exchange.md").read_text("utf-8")


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: exit code, standard output, lines of standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["brokenseal", "share", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err.splitlines()

    return call


@pytest.fixture
def saved(tmp_path):
    """A document of a simulated tenant, as `report --format json` writes it."""
    path = tmp_path / "document.json"
    path.write_bytes(document_to_json(simple(simulated=True)))
    return path


def test_preview_shows_defanged_values_and_what_is_kept_back(run, tmp_path):
    rows = [record(1), record(2, ip="10.0.0.7", minutes=1)]
    path = tmp_path / "document.json"
    path.write_bytes(document_to_json(with_rows(document(case(rows)), *rows)))
    code, out, err = run("preview", "--document", path)
    assert (code, err) == (0, [])
    assert "203[.]0[.]113[.]77" in out
    assert INTRUDER not in out
    assert f"10[.]0[.]0[.]7  ({REASONS['not_public']})" in " ".join(out.split("\n"))
    assert "STIX confidence" in out


def test_preview_as_json_is_one_object_with_the_values_as_they_are(run, saved):
    code, out, _ = run("preview", "--document", saved, "--json")
    made = json.loads(out)
    assert code == 0
    assert made["shared"]["indicators"][0]["value"] == INTRUDER
    assert made["withheld"] == []


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_export_writes_every_format(run, saved, tmp_path, form):
    target = tmp_path / f"out{form.suffix}"
    code, out, err = run("export", "--document", saved, "--format", form.name, "-o", target)
    assert (code, out) == (0, "")
    assert err == [f"{target}: TLP:AMBER, 3 indicator(s)"]
    assert b"imulated" in target.read_bytes()


def test_export_then_import_gives_the_same_facts(run, saved, tmp_path):
    target = tmp_path / "bundle.json"
    run("export", "--document", saved, "-o", target, "--producer", "ACME CERT", "--tlp", "green")
    code, out, _ = run("import", target, "--json")
    imported = json.loads(out)
    assert (code, imported["unread"]) == (0, [])
    _, out, _ = run("preview", "--document", saved, "--producer", "ACME CERT", "--tlp", "green", "--json")
    assert imported["shared"] == json.loads(out)["shared"]
    code, out, _ = run("import", target)
    assert code == 0
    assert "Simulated" in out


def test_import_says_what_it_does_not_understand_and_ends_with_3(run, tmp_path):
    path = tmp_path / "theirs.json"
    path.write_text('{"type":"bundle","objects":[{"type":"indicator","id":"indicator--\\u202e1","pattern":"x"}]}')
    code, out, _ = run("import", path)
    assert code == 3
    assert "Not understood: 1 object(s)" in out
    assert "\u202e" not in out


def test_the_profile_victim_is_red_and_nothing_else(run, saved, tmp_path):
    target = tmp_path / "v.json"
    code, _, err = run("export", "--document", saved, "-o", target, "--profile", "victim")
    assert (code, err) == (0, [f"{target}: TLP:RED, 3 indicator(s)"])
    assert VICTIM in target.read_text()
    target.unlink()
    code, _, err = run("export", "--document", saved, "-o", target, "--profile", "victim", "--tlp", "amber+strict")
    assert code == 2
    assert "expected red" in err[0]
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["preview"], "either --store DIR or --document FILE"),
        (["preview", "--document", "no-such-file"], "a report in JSON"),
        (["import", "no-such-file"], "a file that can be read"),
        (["push", "--url", "http://taxii.example/", "--collection", "x", "--document", "DOC"], "https"),
        (["push", "--url", "https://x/", "--collection", "x", "--document", "DOC", "--user", "a"], "--secret-file"),
        (
            [
                "push",
                "--url",
                "https://127.0.0.1:9/",
                "--collection",
                "x",
                "--document",
                "DOC",
                "--ca-file",
                "none.pem",
            ],
            "none.pem",
        ),
        (["preview", "--document", "DOC", "--case", "case-1"], "one of the document's cases"),
    ],
)
def test_a_wrong_call_is_one_line_and_ends_with_2(run, saved, words, said):
    code, out, err = run(*(saved if word == "DOC" else word for word in words))
    assert (code, out, len(err)) == (2, "", 1)
    assert said in err[0]


def test_a_document_without_a_case_shares_nothing_and_says_so(run, tmp_path):
    path = tmp_path / "document.json"
    path.write_bytes(document_to_json(document()))
    code, _, err = run("export", "--document", path, "-o", tmp_path / "b.json")
    assert code == 0
    assert err[0] == "nothing to share: the document has no case"


def test_push_shows_a_plan_sends_it_with_really_and_never_twice(run, saved, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    with running(auth=basic("anna", "s3cret")) as (seen, url):
        words = ["push", "--url", url, "--collection", "mail", "--document", saved]
        words += ["--user", "anna", "--secret-file", secret]
        code, out, _ = run(*words)
        assert (code, seen.posts) == (0, 0)
        assert "Nothing was sent; --really sends it." in out
        planned = re.search(r"To be sent: (\d+)", out)[1]
        code, out, _ = run(*words, "--really")
        assert code == 0
        assert f"Accepted: {planned}, refused: 0, pending: 0" in out
        code, out, _ = run(*words, "--really", "--json")
        assert (code, seen.posts) == (0, 1)
        made = json.loads(out)
        assert (made["plan"]["objects"], made["pushed"], made["plan"]["present"]) == ([], None, int(planned))


def test_a_push_that_is_refused_in_part_ends_with_3(run, saved):
    with running(refuse_types=("report",)) as (_, url):
        code, out, _ = run("push", "--url", url, "--collection", "mail", "--document", saved, "--really")
    assert code == 3
    assert "refused: 1" in out


def test_pull_writes_a_bundle_that_import_reads(run, saved, tmp_path):
    target = tmp_path / "pulled.json"
    with running(page=4) as (_, url):
        run("push", "--url", url, "--collection", "mail", "--document", saved, "--really")
        code, _, err = run("pull", "--url", url, "--collection", "mail", "-o", target)
    assert code == 0
    assert err[0].startswith(f"{target}: ")
    code, out, _ = run("import", target, "--json")
    assert code == 0
    assert json.loads(out)["shared"]["indicators"][0]["value"] == INTRUDER


def test_a_server_that_fails_is_one_line(run, saved):
    with running(raw_answer=b"[]") as (_, url):
        code, out, err = run("push", "--url", url, "--collection", "mail", "--document", saved)
    assert (code, out, len(err)) == (2, "", 1)


def test_the_page_names_every_format_reason_level_and_word_of_the_scale():
    for form in FORMATS:
        assert f"| `{form.name}` |" in PAGE
    for reason in REASONS.values():
        assert reason in PAGE
    for level in Tlp:
        assert f"`{level.value}`" in PAGE
    for _, word, value in WORDS:
        assert f"| {word} | {value} |" in PAGE
    for word, most in CEILINGS.items():
        assert f"{word}: at most {most}" in PAGE
    assert f"ATT&CK {VERSION}" in PAGE

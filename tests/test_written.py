"""Reports that stand already: recognised by all that they were made of and by their bytes, and by nothing less."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from brokenseal import written

LOG = b"".join(
    json.dumps(
        {
            "CreationTime": f"2025-10-27T07:{number:02}:33",
            "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
            "Operation": "MailItemsAccessed",
            "RecordType": 50,
            "UserId": "ada@contoso.example",
            "Workload": "Exchange",
            "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
            "Folders": [{"Path": "\\Inbox", "FolderItems": [{"InternetMessageId": f"<{number}@x>"}]}],
        }
    ).encode()
    + b"\n"
    for number in range(3)
)
UNCHANGED = "nothing has changed since it was written"


def run(*words):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "brokenseal", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_run_that_finds_nothing_new_leaves_the_report_alone_and_says_so(tmp_path):
    """The file is not written again: it would be another one, put in place of the first."""
    export, store = tmp_path / "a.jsonl", tmp_path / "store"
    export.write_bytes(LOG)
    first, told = run("investigate", export, "--store", store)
    report = store / "report.en.html"
    content, number = report.read_bytes(), report.stat().st_ino
    assert UNCHANGED not in told

    again, told = run("investigate", export, "--store", store)
    assert (again, UNCHANGED in told, report.stat().st_ino) == (first, True, number)

    report.write_bytes(content.replace(b"ada@contoso.example", b"eve@contoso.example"))
    _, told = run("investigate", export, "--store", store)
    assert (UNCHANGED in told, report.read_bytes()) == (False, content)

    _, told = run("investigate", export, "--store", store, "--for", "management")
    assert (UNCHANGED in told, report.read_bytes() == content) == (False, False)

    (tmp_path / "b.jsonl").write_bytes(LOG.replace(b"27T07", b"27T08").replace(b"-4000-", b"-4001-"))
    run("investigate", export, "--store", store)
    _, told = run("investigate", tmp_path, "--store", store)
    assert UNCHANGED not in told
    assert report.read_bytes() != content


# ---------------------------------------------------------------- what is noted


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"report")
    return path


def test_a_file_stands_that_was_written_of_the_same_and_still_has_its_bytes(store, target):
    written.note_written(store, target, "made", b"report")

    assert written.stands(store, target, "made")
    assert not written.stands(store, target, "made of others")
    assert not written.stands(store, target.with_name("other.html"), "made")
    target.write_bytes(b"rep0rt")
    assert not written.stands(store, target, "made")
    target.unlink()
    assert not written.stands(store, target, "made")


def test_each_file_is_noted_once_and_the_oldest_are_forgotten(store, target):
    written.note_written(store, target, "made", b"report")
    others = [target.with_name(f"{number}.html") for number in range(63)]
    for other in others:
        other.write_bytes(b"other")
        written.note_written(store, other, "made", b"other")
        written.note_written(store, other, "made", b"other")
    assert written.stands(store, target, "made")

    written.note_written(store, target.with_name("one more.html"), "made", b"x")

    assert not written.stands(store, target, "made")
    assert written.stands(store, others[0], "made")
    assert [path.name for path in (store / "state").iterdir()] == ["reports"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"form": 1}',
        b'{"form": 1, "reports": []}',
        b'{"form": 2, "reports": {}}',
        b'{"form": 1, "reports": {"x": null}}',
    ],
)
def test_a_damaged_note_is_no_note_and_the_next_one_replaces_it(store, target, damage):
    written.note_written(store, target, "made", b"report")
    (store / "state" / "reports").write_bytes(damage)

    assert not written.stands(store, target, "made")
    written.note_written(store, target, "made", b"report")
    assert written.stands(store, target, "made")


@pytest.mark.parametrize(("name", "value"), [("size_bytes", "6"), ("sha256", None), ("made_of", 1)])
def test_an_entry_of_another_form_is_no_entry(store, target, name, value):
    written.note_written(store, target, "made", b"report")
    path = store / "state" / "reports"
    noted = json.loads(path.read_bytes())
    next(iter(noted["reports"].values()))[name] = value
    path.write_text(json.dumps(noted))

    assert not written.stands(store, target, "made")


def test_a_store_that_cannot_be_written_costs_the_next_run_its_time_alone(tmp_path, target):
    (tmp_path / "store").write_bytes(b"no folder")

    written.note_written(tmp_path / "store", target, "made", b"report")

    assert not written.stands(tmp_path / "store", target, "made")


def test_a_report_is_made_of_the_document_of_how_it_was_asked_for_and_of_the_product(monkeypatch):
    document = {"verdict": "x"}
    found = {
        written.made_of(document, "html", "en"),
        written.made_of(document, "html", "fr"),
        written.made_of(document, "htm", "len"),
        written.made_of({"verdict": "y"}, "html", "en"),
        written.made_of(document, "html", "en", "analyst", None),
        written.made_of(document, "html", "en", "analyst", "None"),
    }
    assert len(found) == 6
    assert written.made_of(document, "html", "en") in found

    monkeypatch.setattr(written, "_product", lambda: "another version")
    assert written.made_of(document, "html", "en") not in found

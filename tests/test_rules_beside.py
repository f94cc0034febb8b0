"""Rules of others beside the cases: they stand by them, and change nothing that is said without them."""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
import sys
from dataclasses import replace

import openpyxl
import pytest

from brokenseal import cli, rules_beside
from brokenseal.ingest import ingest
from brokenseal.investigate import document_of, render
from brokenseal.model import Reading
from brokenseal.outside_rules import OutsideRules, RuleNotRun, RuleSaid, RulesOfCase
from brokenseal.reports.json_document import document_from_json, document_to_json
from brokenseal.settings import Settings
from brokenseal.sigma import load_text
from brokenseal.sigma.evidence import CaseReach, outside_rules, placed
from brokenseal.sigma.running import run_rules
from brokenseal.store import Store
from exchange.worlds import AGENT, CASE, EVIL_APP, INTRUDER, simple

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
MARCH = NOW.replace(month=3)
HOSTILE = "<script>alert(1)</script>=cmd|' /C calc'!A0 `x` [l](javascript:y) \x1b[31m{n}"


def audit(number, operation="New-InboxRule", *, minute=0, **changes):
    return {
        "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
        "CreationTime": f"2026-03-01T10:{minute:02}:00",
        "Operation": operation,
        "RecordType": 1,
        "Workload": "Exchange",
        "UserId": f"u{number}@example.org",
        "UserKey": "1003",
        "UserType": 0,
        "ResultStatus": "True",
        **changes,
    }


def event(number):
    return f"6b0e63a5-0000-4000-8000-{number:012x}"


def rule(detection="{Operation: New-InboxRule}", *, title="t", product="m365", head=""):
    title = json.dumps(title)
    source = f"logsource: {{product: {product}, service: audit}}"
    return f"title: {title}\n{head}{source}\ndetection:\n  s: {detection}\n  condition: s\n"


@pytest.fixture
def store(tmp_path):
    def make(*records):
        export = tmp_path / "records.json"
        export.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        settings = Settings(store_dir=tmp_path / "store", threads=2)
        ingest([export], settings, now=NOW)
        return Store.open(settings)

    return make


@pytest.fixture(scope="module")
def worked_out(tmp_path_factory):
    """A store of two records in which the document without rules was kept."""
    folder = tmp_path_factory.mktemp("worked_out")
    export = folder / "records.json"
    export.write_text(f"{json.dumps(audit(1))}\n{json.dumps(audit(2, 'Send'))}\n")
    settings = Settings(store_dir=folder / "store", threads=2)
    ingest([export], settings, now=NOW)
    with Store.open(settings) as held:
        document_of(held)
    return folder / "store"


@pytest.fixture
def answered(worked_out, tmp_path):
    """A copy of it."""
    shutil.copytree(worked_out, tmp_path / "store")
    return Store.open(Settings(store_dir=tmp_path / "store", threads=2))


def reach(case_id, *numbers, mailboxes=(), actors=(), last_at=NOW):
    return CaseReach(
        case_id=case_id,
        event_ids=frozenset(event(number) for number in numbers),
        mailboxes=frozenset(mailboxes),
        actors=frozenset(actors),
        first_at=MARCH,
        last_at=last_at,
    )


# ---------------------------------------------------------------- where hits stand


def test_hits_stand_by_the_cases_that_they_concern_and_the_others_keep_to_their_budget(store):
    """u3's record is cited by two cases; u4 acted in the time of one; u5 acted too late for the second."""
    result = run_rules(store(*(audit(n, minute=n) for n in range(1, 9))), load_text(rule()))
    cases = [
        reach("A", 3, actors=["u4@example.org"]),
        reach("B", 3, actors=["u5@example.org"], last_at=MARCH + dt.timedelta(hours=10, minutes=4)),
    ]
    made = outside_rules(result, cases, budget=2)

    assert [(each.case_id, [(said.subject, said.standing) for said in each.said]) for each in made.cases] == [
        ("A", [("u3@example.org", "record"), ("u4@example.org", "subject")]),
        ("B", [("u3@example.org", "record")]),
    ]
    assert [said.subject for said in made.apart] == ["u1@example.org", "u2@example.org"]
    assert made.apart_left_out == 4
    assert {8} == {said.rule_hits for said in made.apart}
    assert (made.rules, made.runnable, made.fired, made.not_run) == (1, 1, 1, ())


def test_what_is_near_a_case_keeps_to_the_budget_and_what_it_cites_does_not(store):
    records = [audit(n, minute=n, MailboxOwnerUPN="ana@example.org") for n in range(1, 10)]
    texts = [rule(f"{{UserId: u{n}@example.org}}", title=f"r{n}") for n in range(1, 10)]
    result = run_rules(store(*records), load_text("---\n".join(texts)))
    own = [f"u{n}@example.org" for n in range(4, 10)]
    made = outside_rules(result, [reach("A", 1, 2, 3, actors=own)], budget=2)

    assert [said.standing for said in made.cases[0].said] == ["record"] * 3 + ["subject"] * 2
    assert made.cases[0].left_out == 4


def test_graver_rules_come_first_and_of_equal_ones_the_rarer(store):
    texts = (
        rule(title="often", head="level: high\n"),
        rule("{UserId: u1@example.org}", title="low", head="level: low\n"),
        rule("{UserId: u1@example.org, Operation: New-InboxRule}", title="rare", head="level: high\n"),
    )
    result = run_rules(store(audit(1), audit(2)), load_text("---\n".join(texts)))
    _, apart = placed(result, [])

    assert [(said.title, said.subject) for said in apart] == [
        ("rare", "u1@example.org"),
        ("often", "u1@example.org"),
        ("often", "u2@example.org"),
        ("low", "u1@example.org"),
    ]


def test_hits_on_records_of_cases_are_listed_however_many_others_there_are(store):
    result = run_rules(
        store(*(audit(n, minute=n) for n in range(1, 9))), load_text(rule()), listed=2, wanted={event(7), event(9)}
    )

    assert [hit.event_ids for hit in result.hits] == [(event(1),), (event(7),)]
    assert list(result.counts.values()) == [8]


def test_rules_that_could_not_fire_are_counted_with_the_reason(store):
    texts = (
        rule(title="fires"),
        rule("{UserId|near: x}", title="unknown modifier"),
        rule("{Operation: '<your own operations>'}", title="left"),
        rule(title="elsewhere", product="gcp"),
    )
    made = outside_rules(run_rules(store(audit(1)), load_text("---\n".join(texts))), [])

    assert [(each.title, each.state) for each in made.not_run] == [
        ("unknown modifier", "unreadable"),
        ("left", "never"),
        ("elsewhere", "source_absent"),
    ]
    assert [bool(each.reason) for each in made.not_run] == [True] * 3
    assert (made.rules, made.runnable, made.fired, made.not_run_in_all) == (4, 1, 1, 3)


# ---------------------------------------------------------------- the document


def without_rules(document):
    return replace(document, rules=None, cited={})


def test_the_document_says_without_rules_what_it_says_with_them(answered, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(rule(title="Forwards"))
    plain = document_of(answered)
    joined = document_of(answered, rules=[rules])

    assert joined.rules is not None
    assert [said.event_ids for said in joined.rules.apart] == [(event(1),)]
    assert without_rules(plain) == without_rules(joined)
    assert joined.cited.keys() - plain.cited.keys() <= {event(1)}
    assert event(1) in joined.cited
    assert b'"rules":' not in document_to_json(plain)
    assert document_to_json(document_from_json(document_to_json(joined))) == document_to_json(joined)
    assert document_to_json(document_of(answered)) == document_to_json(plain)


def test_equal_rules_are_not_run_again_and_others_are(answered, tmp_path, monkeypatch):
    rules = tmp_path / "rules.yml"
    rules.write_text(rule(title="Forwards"))
    runs, told = [], []
    run = rules_beside.run_rules
    monkeypatch.setattr(rules_beside, "run_rules", lambda *given, **more: runs.append(1) or run(*given, **more))
    first = document_of(answered, rules=[rules])

    assert (document_of(answered, rules=[rules], tell=told.append), len(runs), told) == (first, 1, [])

    rules.write_text(rule(title="Other"))

    assert [said.title for said in document_of(answered, rules=[rules]).rules.apart] == ["Other"]
    assert len(runs) == 2

    rules_beside.rules_beside(answered, first, [rules], rebuild=True)

    assert len(runs) == 3


def test_what_was_kept_of_rules_and_is_damaged_is_worked_out_again(answered, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(rule())
    first = document_of(answered, rules=[rules])
    kept = tmp_path / "store" / "state" / "rules"
    whole = kept.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), b"", whole[5:]):
        kept.write_bytes(damaged)
        told = []

        assert document_of(answered, rules=[rules], tell=told.append) == first
        assert told == ["state/rules: what was kept of the last run is damaged; worked out again"]
        assert kept.read_bytes() == whole


def test_rules_are_carried_out_by_duckdb_whatever_reads_the_tables(answered, tmp_path):
    """The settings name Spark, and no Spark is started for rules: they ask the recorded text."""
    rules = tmp_path / "rules.yml"
    rules.write_text(rule())
    document = document_of(answered)
    answered.settings = replace(answered.settings, engine="spark")
    made = rules_beside.rules_beside(answered, document, [rules])

    assert [each.event_ids for each in made.apart] == [(event(1),)]


def test_records_that_come_later_are_seen_by_the_same_rules(answered, store, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text(rule("{Operation: [New-InboxRule, Send]}"))
    document = document_of(answered, rules=[rules])
    later = rules_beside.rules_beside(store(audit(3)), document, [rules])

    assert [said.subject for said in document.rules.apart] == ["u1@example.org", "u2@example.org"]
    assert [said.subject for said in later.apart] == ["u1@example.org", "u2@example.org", "u3@example.org"]


# ---------------------------------------------------------------- reports


def said(standing, **more):
    values = {
        "rule": "r-1", "title": HOSTILE, "author": HOSTILE, "description": HOSTILE, "level": "high", "path": f"/r/{HOSTILE}.yml",
        "attack": ("T1114.003", HOSTILE), "standing": standing, "subject": HOSTILE, "hits": 2, "rule_hits": 9, "first_at": MARCH,
        "last_at": NOW, "event_ids": (HOSTILE, "e2"), "actors": (HOSTILE,), "mailboxes": (HOSTILE,),
    }  # fmt: skip
    return RuleSaid(**{**values, **more})


def hostile_document():
    return replace(
        simple(),
        rules=OutsideRules(
            rules=3,
            runnable=2,
            fired=2,
            records=10,
            cases=(RulesOfCase(case_id=CASE, said=(said("record"), said("subject")), left_out=4),),
            apart=(said("apart", title="Nobody's case"),),
            apart_left_out=5,
            not_run=(RuleNotRun(title=HOSTILE, path=HOSTILE, line=7, state="unreadable", reason=HOSTILE),),
            not_run_in_all=1,
        ),
    )


def test_pages_show_what_rules_said_and_run_nothing_of_it():
    page = render(hostile_document(), "html", "en").decode()

    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    assert page.count("Nobody&#39;s case") == 1
    assert "\x1b" not in page
    assert "T1114.003" in page


def test_markdown_shows_titles_of_rules_in_code_and_within_one_line():
    text = render(hostile_document(), "md", "en").decode()
    (line,) = [line for line in text.splitlines() if "Nobody's case" in line]

    assert line.startswith("| High | `Nobody's case` |")
    assert "Rules of others that concern this case" in text
    assert "4 more of a rule and a subject are beyond the budget and not shown." in text
    assert "3 rule(s): 2 can fire on these logs, 2 fired, 1 could not fire. 10 record(s) were looked at." in text
    assert "\x1b" not in text


def test_the_workbook_has_a_sheet_of_them_only_where_rules_were_run():
    plain = openpyxl.load_workbook(io.BytesIO(render(simple(), "xlsx", "en")))
    book = openpyxl.load_workbook(io.BytesIO(render(hostile_document(), "xlsx", "en")))

    assert [name for name in book.sheetnames if name not in plain.sheetnames] == [
        "Rules of others",
        "Rules that could not fire",
    ]
    rows = list(book["Rules of others"].iter_rows(values_only=True))
    assert [row[0] for row in rows[1:]] == [CASE, CASE, None]
    assert rows[3][2] == "Nobody's case"
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for row in rows for cell in row if cell is not None)


def test_reports_on_paper_hold_them_for_analysts_alone():
    from docx import Document

    def cells(document, reader):
        made = Document(io.BytesIO(render(document, "docx", "en", Reading(reader=reader))))
        return {cell.text for table in made.tables for row in table.rows for cell in row.cells}

    titles = {"Nobody's case", "Rule", "Hits of the rule in all"}
    shown = {text.replace("\u200b", "") for text in cells(hostile_document(), "analyst")}

    assert titles <= shown
    assert not any("\x1b" in text for text in shown)
    assert not titles & cells(hostile_document(), "counsel")
    assert render(hostile_document(), "pdf", "en").startswith(b"%PDF")


def test_screens_name_the_gravest_and_keep_the_terminal():
    from rich.console import Console

    from brokenseal.reports.terminal import detection_screen

    console = Console(file=io.StringIO(), width=200)
    console.print(detection_screen(hostile_document(), "en"))
    shown = console.file.getvalue()

    (apart,) = [line for line in shown.splitlines() if "On records of no case: High: Nobody's case" in line]
    assert "Nobody's case · <script>alert(1)</script>" in apart
    assert apart.endswith(" (2)")
    assert "Case 1: High: <script>" in shown
    assert "\x1b" not in shown


# ---------------------------------------------------------------- from one organisation to another


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["brokenseal", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


def test_what_one_organisation_shares_finds_the_same_intruder_in_another(run, tmp_path):
    """The first shares indicators of its case as Sigma rules; the second has other people and the same address."""
    saved, shared, export = tmp_path / "a.json", tmp_path / "shared.yml", tmp_path / "b.json"
    saved.write_bytes(document_to_json(simple()))
    code, _, _ = run("share", "export", "--document", saved, "--format", "sigma", "-o", shared)
    assert code == 0
    records = [
        audit(1, "MailItemsAccessed", ClientIPAddress=INTRUDER, RecordType=50, MailboxOwnerUPN="u1@example.org"),
        audit(2, "Send", ClientIP=f"{INTRUDER}:4711"),
        audit(3, "Send", ClientAppId=EVIL_APP, ClientIP="198.51.100.4"),
        audit(4, "Send", ClientInfoString=f"Client=REST;{AGENT};", ClientIP="198.51.100.4"),
        audit(5, "Send", ClientIP="198.51.100.4"),
    ]
    export.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    store = tmp_path / "store"
    code, out, err = run("investigate", export, "--store", store, "--rules", shared, "--json")
    rules = json.loads(out)["rules"]

    assert code == 0, err
    assert rules["not_run"] == [
        each for each in rules["not_run"] if each["state"] == "source_absent" and "sign-in" in each["reason"]["text"]
    ]
    found = {}
    for each in rules["apart"]:
        found.setdefault(each["title"].split(" with ")[1].split(" of ")[0], set()).update(each["event_ids"])
    assert found == {"an address": {event(1), event(2)}, "an application": {event(3)}, "a user agent": {event(4)}}
    assert {each["author"] for each in rules["apart"]} != {""}


def test_a_path_that_is_not_there_is_said_before_anything_is_read(run, tmp_path):
    export = tmp_path / "b.json"
    export.write_text(f"{json.dumps(audit(1))}\n")
    code, _, err = run("investigate", export, "--store", tmp_path / "store", "--rules", tmp_path / "none.yml")

    assert code == 2
    assert "--rules" in err
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("answered")
def test_a_rule_that_cannot_be_read_is_told_and_the_report_is_written(run, tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text("title: x\n  y: [\n")
    target = tmp_path / "r.json"
    code, _, err = run(
        "report", "--store", tmp_path / "store", "--rules", bad, "--rules", "own", "--format", "json", "-o", target
    )

    assert code == 0
    assert f"{bad}:2: not YAML" in err
    assert json.loads(target.read_text())["rules"]["not_run"][0]["state"] == "unreadable"

    code, out, _ = run("detect", "--store", tmp_path / "store", "--rules", bad, "--json")

    assert code == 3
    assert json.loads(out)["rules"]["rules"] == 1

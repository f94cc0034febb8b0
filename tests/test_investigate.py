"""The path in one piece: what a case reads is marked wherever it is shown, however much of it is listed."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
from dataclasses import replace
from types import SimpleNamespace

import pytest

from brokenseal.helper import Helper
from brokenseal.investigate import build_document, packed, render, render_packed
from support import make_tables

AT = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
OWNER = {"actor_key": "a@contoso.example", "client_ip": "203.0.113.9", "ip_class": "public"}
IN_CASE = 60


def access(number, session, **other):
    shared = {"event_id": f"{session}-{number:02}", "occurred_at": AT, "mailbox_key": "guid-a", "session_id": session}
    item = {"kind": "message", "internet_message_id": "<m1@x>"}
    return {**shared, **OWNER, "access_type": "bind", "item_entries": 1, **other}, {**shared, **item}


@pytest.fixture(scope="module")
def document():
    """A rule that sends mail away, and in its session one message opened sixty times; forty times in another one."""
    rule = {"event_id": "rule", "occurred_at": AT, "session_id": "s1", "change": "transport_rule", **OWNER}
    rule |= {"target_key": "all mail", "rule_name": ".", "rule_effects": ["bcc"]}
    rule |= {"external_destinations": ["thief@elsewhere.example"]}
    rows = [access(number, "s1") for number in range(IN_CASE)] + [
        access(number, "s2", client_ip="203.0.113.10") for number in range(40)
    ]
    columns = ("event_id", "occurred_at", "mailbox_key", "session_id", *OWNER)
    records = [rule, *(found for found, _ in rows)]
    tables = make_tables(
        {
            "config_changes": [rule],
            "mail_accesses": [found for found, _ in rows],
            "accessed_items": [{name: item[name] for name in item if name != "session_id"} for _, item in rows],
            "events": [{**{name: row.get(name) for name in columns}, "source": "unified_audit"} for row in records],
        }
    )
    store = SimpleNamespace(tables=lambda: tables, versions=dict, run=lambda expression: expression.to_pyarrow())
    return build_document(store)


def test_every_access_of_a_case_is_marked_although_its_lines_cite_fewer(document):
    (case,) = document.cases

    assert [len(message.event_ids) for message in case.exposure.messages] == [50]
    assert (case.exposure.accesses, document.exposure.accesses) == (IN_CASE, 100)
    assert {(cell.in_case, cell.accesses) for cell in document.activity.days} == {(True, IN_CASE), (False, 40)}
    assert sum(cell.in_case for cell in document.activity.hours) == IN_CASE


def test_the_whole_document_counts_everything_and_the_verdict_what_the_cases_read(document):
    assert str(document.exposure.selection) == "all"
    assert document.verdict.headline.values["certain"] == 1
    assert {event_id.partition("-")[0] for event_id in document.cited} >= {"rule", "s1"}


@pytest.mark.parametrize("was_on", [True, False])
def test_the_interpreter_collects_as_before(was_on):
    store = SimpleNamespace(
        tables=lambda: make_tables({}), versions=dict, run=lambda expression: expression.to_pyarrow()
    )
    before = gc.get_threshold()
    (gc.enable if was_on else gc.disable)()
    try:
        assert build_document(store).verdict.kind == "cannot_tell"
        assert gc.isenabled() is was_on
    finally:
        gc.enable()
    assert gc.get_threshold() == before


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_another_process_renders_the_same_page(document, lang):
    sent = packed(document)

    with contextlib.closing(Helper("brokenseal.investigate")) as helper:
        assert helper.do(render_packed, sent, "html", lang)() == render(document, "html", lang)


def test_what_cannot_be_sent_to_another_process_is_said_so(document):
    (case,) = document.cases
    half = replace(document, cases=(replace(case, id="half of a pair: \ud800"),))
    huge = replace(document, notices_left_out=2**70)

    assert packed(half) is None
    assert packed(huge) is None

"""Hits become findings: checked, grouped, named, counted and sorted; silence says why it is silent."""

from __future__ import annotations

import dataclasses
import datetime as dt

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.findings import SHOWN, check_hits, filled, named, run_detectors
from brokenseal.model import Coverage, Detector, Evidence, Limit, Severity, Variant
from brokenseal.wording import phrase, say

AT = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)


def hit(event_id, minutes=0, **columns):
    return {
        "group_key": "g",
        "variant": "loud",
        "role": "read",
        "event_id": event_id,
        "occurred_at": AT + dt.timedelta(minutes=minutes),
        **columns,
    }


def variant(severity=Severity.HIGH, title="{n_records} by {actors} at {addresses}", **more):
    return Variant(
        title=phrase(title),
        severity=severity,
        attack=("T1114.002",),
        innocent=phrase("It may be {actors}."),
        settles=phrase("Ask."),
        **more,
    )


def detector(hits=(), name="config.test", needs=("configuration",), variants=None, limit=None, silent_without=()):
    columns = schema.HIT.arrow_schema()
    rows = [{column: row.get(column) for column in columns.names} for row in hits]

    def find(tables):
        import pyarrow as pa

        return tables["con"].create_table(
            name.replace(".", "_"), pa.Table.from_pylist(rows, schema=columns), overwrite=True
        )

    return Detector(
        id=name,
        title=phrase("Test"),
        reads={},
        needs=needs,
        variants=variants or {"loud": variant()},
        find=find,
        limit=limit,
        silent_without=silent_without,
    )


def coverage(*unmet):
    return Coverage(
        first_at=None,
        last_at=None,
        tenants=(),
        sources=(),
        mailboxes=(),
        mail_accesses=0,
        with_session=None,
        with_token=None,
        alarms=(),
        cannot_tell=(),
        unmet_needs=unmet,
    )


@pytest.fixture(scope="module")
def tables():
    con = ibis.duckdb.connect()
    return {"con": con, "events": con.create_table("events", schema=schema.EVENT.ibis_schema())}


def test_hits_of_one_subject_are_one_finding_with_everything_counted_once(tables):
    hits = [
        hit(
            "e2", 5, actor_key="b", client_ip="9.9.9.9", ip_class="public", session_id="s", mailbox_upn="m", object="o"
        ),
        hit("e1", 0, actor_key="a", client_ip="2603:10a6::1", ip_class="microsoft"),
        hit("e2", 5, actor_key="b", client_ip="9.9.9.9", ip_class="public", role="rule"),
    ]
    (finding,), (state,) = run_detectors(tables, [detector(hits)], coverage())

    assert finding.evidence == (
        Evidence(event_id="e1", role="read", occurred_at=AT),
        Evidence(event_id="e2", role="read", occurred_at=AT + dt.timedelta(minutes=5)),
        Evidence(event_id="e2", role="rule", occurred_at=AT + dt.timedelta(minutes=5)),
    )
    assert (finding.first_at, finding.last_at) == (AT, AT + dt.timedelta(minutes=5))
    assert (finding.actors, finding.mailboxes, finding.sessions, finding.objects) == (
        ("a", "b"),
        ("m",),
        ("s",),
        ("o",),
    )
    assert finding.addresses == ("9.9.9.9",), "a Microsoft address is nobody's own"
    assert say(finding.title, "en") == "2 by a, b at 9.9.9.9"
    assert say(finding.innocent, "en") == "It may be a, b."
    assert finding.case_keys == ("account:a", "account:b")
    assert (state.state, state.findings, state.reason) == ("fired", 1, None)


def test_ids_depend_on_detector_variant_subject_and_records_alone(tables):
    def identifier(hits, name="config.test"):
        ((finding,), _) = run_detectors(tables, [detector(hits, name)], coverage())
        return finding.id

    first = identifier([hit("e1"), hit("e2")])
    assert first == identifier([hit("e2", 9, actor_key="x"), hit("e1", 3)])
    assert len(first) == 16
    assert len({first, identifier([hit("e1")]), identifier([hit("e1"), hit("e2")], "config.other")}) == 3


def test_findings_come_gravest_first_then_earliest(tables):
    variants = {"loud": variant(), "quiet": variant(Severity.LOW, is_notice=True), "worst": variant(Severity.CRITICAL)}
    hits = [
        hit("e1", 1, variant="quiet", group_key="a"),
        hit("e2", 9, variant="worst", group_key="b"),
        hit("e3", 5, group_key="c"),
        hit("e4", 2, group_key="d"),
    ]
    findings, _ = run_detectors(tables, [detector(hits, variants=variants)], coverage())
    assert [finding.group_key for finding in findings] == ["b", "d", "c", "a"]
    assert [finding.is_notice for finding in findings] == [False, False, False, True]


def test_a_silent_detector_without_its_logs_is_not_assessable(tables):
    quiet, blind, spoke = (
        detector(name="config.quiet"),
        detector(name="config.blind", needs=("configuration", "token_ids", "session_ids")),
        detector([hit("e1")], name="config.spoke", needs=("token_ids",)),
    )
    _, states = run_detectors(tables, [quiet, blind, spoke], coverage("session_ids", "token_ids"))
    assert [(state.detector_id, state.state) for state in states] == [
        ("config.quiet", "quiet"),
        ("config.blind", "not_assessable"),
        ("config.spoke", "fired"),
    ]
    assert states[0].reason is None
    assert say(states[1].reason, "en") == "The mail accesses carry no token id."
    assert say(states[2].reason, "en") == "The mail accesses carry no token id."


@pytest.mark.parametrize(
    ("assessable", "state", "reason"),
    [
        ([True], "quiet", None),
        ([True, False], "quiet", "1 of 2"),
        ([False, False], "not_assessable", "2 of 2"),
        ([], "quiet", None),
    ],
)
def test_subjects_that_cannot_be_judged_are_counted(tables, assessable, state, reason):
    def subjects(_):
        rows = [{"subject": str(number), "assessable": value} for number, value in enumerate(assessable)]
        return ibis.memtable(rows, schema={"subject": "string", "assessable": "boolean"})

    limited = detector(limit=Limit(subjects=subjects, reason=phrase("{n} of {total}")))
    _, (found,) = run_detectors(tables, [limited], coverage())
    assert found.state == state
    assert (found.reason and say(found.reason, "en")) == reason


def test_what_a_case_is_about_follows_the_variant(tables):
    variants = {
        "loud": variant(about="application"),
        "address": variant(about="address"),
        "account": variant(),
    }
    hits = [
        hit("e1", group_key="app|rest", actor_key="a"),
        hit("e2", variant="address", client_ip="9.9.9.9", ip_class="public", actor_key="a"),
        hit("e3", variant="account", mailbox_upn="m"),
        hit("e4", variant="account", group_key="nobody"),
    ]
    findings, _ = run_detectors(tables, [detector(hits, variants=variants)], coverage())
    assert {finding.evidence[0].event_id: finding.case_keys for finding in findings} == {
        "e1": ("application:app",),
        "e2": ("address:9.9.9.9",),
        "e3": ("account:m",),
        "e4": ("other:nobody",),
    }


@pytest.mark.parametrize("wrong", [hit("e1", variant="unheard"), hit("e1", variant=None), hit("e1", group_key=None)])
def test_hits_outside_the_declaration_are_refused(tables, wrong):
    with pytest.raises(ValueError, match=r"config\.test"):
        run_detectors(tables, [detector([wrong])], coverage())


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop("object"),
        lambda t: t.mutate(extra=t.role),
        lambda t: t.mutate(occurred_at=t.occurred_at.cast("string")),
    ],
)
def test_hits_of_another_shape_are_refused(change):
    hits = ibis.table(schema.HIT.ibis_schema(), name="hits")
    check_hits("config.test", hits)
    with pytest.raises(ValueError, match=r"config\.test"):
        check_hits("config.test", change(hits))


@given(st.lists(st.text(min_size=1, max_size=3), max_size=20))
@settings(max_examples=40)
def test_long_lists_are_named_in_part_and_counted(texts):
    line = named(texts)
    assert line == (
        "–"
        if not texts
        else ", ".join(texts)
        if len(texts) <= SHOWN
        else ", ".join(texts[:SHOWN]) + f" (+{len(texts) - SHOWN})"
    )


def test_only_the_values_that_a_sentence_names_are_kept():
    sentence = filled(phrase("{actors} and {actors}"), {"actors": "a", "n_records": 3})
    assert sentence.values == {"actors": "a"}


def test_a_detector_that_can_find_nothing_without_a_need_is_not_run_and_is_not_assessable(tables):
    def never(_tables):
        raise AssertionError

    asked = dataclasses.replace(detector(silent_without=("token_ids",), needs=("token_ids",)), find=never)

    found, (state,) = run_detectors(tables, [asked], coverage("session_ids", "token_ids"))

    assert (found, state.state, state.findings) == ((), "not_assessable", 0)
    with pytest.raises(AssertionError):
        run_detectors(tables, [asked], coverage("session_ids"))


def test_what_one_subject_did_in_two_tenants_is_two_findings(tables):
    con = tables["con"]
    rows = [
        {"event_id": "e1", "tenant_id": "t-a", "actor_key": "a@a.example"},
        {"event_id": "e2", "tenant_id": "t-b", "actor_key": "b@b.example"},
        {"event_id": "e3", "tenant_id": None, "actor_key": "b@b.example"},
        {"event_id": "e4", "tenant_id": None, "actor_key": "c@c.example"},
    ]
    columns = schema.EVENT.arrow_schema()
    held = pa.Table.from_pylist([{name: row.get(name) for name in columns.names} for row in rows], schema=columns)
    both = {**tables, "events": con.create_table("two_tenants", held)}
    hits = [hit(row["event_id"], number, actor_key=row["actor_key"]) for number, row in enumerate(rows)]
    found, _ = run_detectors(both, [detector(hits)], coverage())
    assert {one.tenant: [item.event_id for item in one.evidence] for one in found} == {
        "t-a": ["e1"],
        "t-b": ["e2", "e3"],
        "": ["e4"],
    }

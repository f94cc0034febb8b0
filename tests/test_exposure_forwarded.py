"""Mail that a rule sent on: what arrived while it stood and met its conditions, and when that cannot be told."""

import datetime as dt

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.exposure_forwarded import sent_on, traces
from brokenseal.selection import Forwarding, Selection
from support import arrow_table, make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
ALICE, BOB, CAROL = "alice@contoso.example", "bob@contoso.example", "carol@else.example"
EVIL = "x@evil.example"
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)


def at(hours):
    return T0 + dt.timedelta(hours=hours)


def rule(first=0, last=None, *, event_id="c1", mailboxes=(ALICE,), domains=(), conditions=(), destinations=(EVIL,)):
    return Forwarding(
        event_ids=(event_id,),
        mailboxes=frozenset(mailboxes),
        domains=frozenset(domains),
        destinations=frozenset(destinations),
        first_at=at(first),
        last_at=None if last is None else at(last),
        conditions=tuple(conditions),
    )


def trace(message, hours, recipient=ALICE, sender=CAROL, **row):
    shared = {"event_id": f"t:{message}:{recipient}:{hours}", "occurred_at": at(hours), "internet_message_id": message}
    return {**shared, "recipient": recipient, "sender": sender, "subject": "Invoice 7", "size_bytes": 9, **row}


def tables_of(rows, ends=40):
    tables = {
        "message_traces": ibis.memtable(arrow_table("message_traces", rows)),
        "events": ibis.memtable(arrow_table("events", [{"event_id": "e", "occurred_at": at(ends)}])),
    }
    return {**EMPTY, **tables}


def sent(rows, *rules, ends=40):
    (found,) = sent_on(tables_of(rows, ends), [Selection.of_events("case-1", (), forwardings=rules)])
    return found


def names(found):
    return [(one.internet_message_id, one.reason) for one in found.messages]


def test_what_arrived_while_the_rule_stood_was_sent_on():
    rows = [trace(f"<{hours}@x>", hours) for hours in (-1, 0, 5, 6)] + [trace("<b@x>", 2, recipient=BOB)]

    found = sent(rows, rule(0, 5))

    assert names(found) == [("<0@x>", "forwarded"), ("<5@x>", "forwarded")]
    first = found.messages[0]
    assert (first.mailbox, first.subject, first.sender, first.size_bytes) == (ALICE, "Invoice 7", CAROL, 9)
    assert (first.recipients, first.event_ids) == ({ALICE}, {"c1", f"t:<0@x>:{ALICE}:0"})
    assert (first.first_at, first.last_at) == (at(0), at(0))


@pytest.mark.parametrize("status", ["Failed", " quarantined "])
def test_what_did_not_arrive_was_not_sent_on(status):
    assert names(sent([trace("<1@x>", 1, status=status), trace("<2@x>", 1, status="Delivered")], rule())) == [
        ("<2@x>", "forwarded")
    ]


def test_a_trace_of_the_copy_says_that_it_went_out():
    rows = [trace("<1@x>", 1), trace("<1@x>", 1, recipient=EVIL), trace("<2@x>", 2)]

    assert names(sent(rows, rule())) == [("<1@x>", "forwarded_sent"), ("<2@x>", "forwarded")]


@pytest.mark.parametrize(
    ("condition", "value", "reason"),
    [
        ("from", CAROL, "forwarded"),
        ("from", f'"Carol" [SMTP:{CAROL.upper()}]', "forwarded"),
        ("from", f"{BOB}, {CAROL}", "forwarded"),
        ("from", BOB, None),
        ("from", "Carol Else", "forwarded_unclear"),
        ("from", f"{BOB};Carol Else", "forwarded_unclear"),
        ("sentto", ALICE, "forwarded"),
        ("sentto", BOB, None),
        ("fromaddresscontainswords", "ELSE.example", "forwarded"),
        ("fromaddresscontainswords", "bank", None),
        ("recipientaddresscontainswords", "alice", "forwarded"),
        ("anyofrecipientaddresscontainswords", "bob", None),
        ("subjectcontainswords", "payment; INVOICE", "forwarded"),
        ("subjectcontainswords", "payment", None),
        ("subjectcontainswords", " ; ", "forwarded_unclear"),
        ("subjectorbodycontainswords", "invoice", "forwarded"),
        ("subjectorbodycontainswords", "payment", "forwarded_unclear"),
        ("bodycontainswords", "invoice", "forwarded_unclear"),
        ("hasattachment", "True", "forwarded_unclear"),
        ("exceptiffrom", CAROL, "forwarded_unclear"),
    ],
)
def test_conditions(condition, value, reason):
    found = sent([trace("<1@x>", 1)], rule(conditions=[(condition, value)]))

    assert names(found) == ([("<1@x>", reason)] if reason else [])


def test_all_conditions_have_to_hold_and_one_that_fails_settles_it():
    conditions = [("hasattachment", "True"), ("from", BOB)]

    assert names(sent([trace("<1@x>", 1)], rule(conditions=conditions))) == []


def test_a_trace_without_subject_or_sender_leaves_a_condition_open():
    rows = [trace("<1@x>", 1, subject=None, sender=None)]

    for name in ("subjectcontainswords", "from", "fromaddresscontainswords"):
        assert names(sent(rows, rule(conditions=[(name, CAROL)]))) == [("<1@x>", "forwarded_unclear")]


def test_the_clearest_of_several_rules_counts():
    rules = [rule(conditions=[("hasattachment", "True")]), rule(event_id="c2")]

    found = sent([trace("<1@x>", 1)], *rules)

    assert names(found) == [("<1@x>", "forwarded")]
    assert {"c1", "c2"} < found.messages[0].event_ids


def test_a_transport_rule_takes_what_the_organisation_gets_and_sends():
    rows = [
        trace("<in@x>", 1),
        trace("<out@x>", 2, recipient=CAROL, sender=BOB),
        trace("<other@x>", 3, recipient=CAROL, sender=EVIL),
        trace("<like@x>", 3, recipient="a@notcontoso.example", sender=EVIL),
    ]

    found = sent(rows, rule(mailboxes=(), domains=["contoso.example"]))

    assert [(one.internet_message_id, one.mailbox) for one in found.messages] == [("<in@x>", ALICE), ("<out@x>", BOB)]


def test_without_known_domains_a_transport_rule_takes_all():
    found = sent([trace("<1@x>", 1, recipient=CAROL), trace("<2@x>", 1, recipient=None)], rule(mailboxes=()))

    assert [(one.internet_message_id, one.mailbox) for one in found.messages] == [("<1@x>", CAROL), ("<2@x>", CAROL)]


# ---------------------------------------------------------------- when it cannot be told


def gaps(found):
    return [(gap.first_at, gap.last_at) for gap in found.untraced]


def test_without_traces_nothing_can_be_told():
    found = sent([], rule(1, 5), rule(3))

    assert (found.messages, gaps(found)) == ((), [(at(1), at(5)), (at(3), None)])


def test_what_traces_do_not_cover_cannot_be_told():
    rows = [trace("<1@x>", 50), trace("<2@x>", 60)]

    assert gaps(sent(rows, rule(0), ends=100)) == [(at(0), at(50)), (at(60), None)]
    assert gaps(sent(rows, rule(30, 80), ends=100)) == []
    assert gaps(sent(rows, rule(30, 90), ends=100)) == [(at(60), at(90))]
    assert gaps(sent(rows, rule(70), ends=100)) == [(at(70), None)]
    assert gaps(sent(rows, rule(0, 40), ends=100)) == [(at(0), at(40))]


def test_a_mailbox_that_no_trace_names_is_not_one_without_mail():
    found = sent([trace("<1@x>", 1, recipient=BOB)], rule())

    assert (found.messages, gaps(found)) == ((), [(at(0), None)])


def test_without_a_rule_no_trace_is_read():
    assert sent_on({}, [Selection.everything()])[0].messages == ()


def test_each_selection_has_its_own():
    rows = [trace("<1@x>", 1), trace("<2@x>", 2, recipient=BOB)]
    asked = [
        Selection.of_events("a", (), forwardings=[rule(mailboxes=[BOB])]),
        Selection.everything(),
        Selection.of_events("b", (), forwardings=[rule(2)]),
    ]

    assert [names(found) for found in sent_on(tables_of(rows), asked)] == [[("<2@x>", "forwarded")], [], []]


# ---------------------------------------------------------------- against the plain rule

boxes = st.sampled_from([ALICE, BOB, CAROL, EVIL, None])
hostile = st.sampled_from(["Invoice", None, "İNVOICE", "x'; drop table events;--", "\x00\u202e", "a" * 2000])
rows_strategy = st.lists(
    st.builds(
        lambda number, hours, recipient, sender, subject, status: trace(
            f"<{number}@x>", hours, recipient=recipient, sender=sender, subject=subject, status=status
        ),
        st.integers(0, 4),
        st.integers(0, 20),
        boxes,
        boxes,
        hostile,
        st.sampled_from([None, "Delivered", "Failed"]),
    ),
    max_size=12,
)
rules_strategy = st.lists(
    st.builds(
        rule,
        st.integers(0, 10),
        st.sampled_from([None, 12, 20]),
        event_id=st.sampled_from(["c1", "c2"]),
        mailboxes=st.sampled_from([(ALICE,), (BOB,)]),
        conditions=st.sampled_from([(), [("subjectcontainswords", "invoice")], [("from", CAROL)], [("odd", "'\x00")]]),
    ),
    min_size=1,
    max_size=3,
)


def reference(rows, rules):
    """Per message: the strongest of the reasons that any rule and trace give."""
    found = {}
    for each in rules:
        for row in rows:
            inside = each.first_at <= row["occurred_at"] and (
                each.last_at is None or row["occurred_at"] <= each.last_at
            )
            if not inside or row["recipient"] not in each.mailboxes or row["status"] == "Failed":
                continue
            answers = []
            for name, value in each.conditions:
                if name == "from":
                    answers.append(None if row["sender"] is None else row["sender"] == value)
                elif name == "subjectcontainswords":
                    subject = row["subject"]
                    answers.append(None if subject is None else value in subject.strip().lower())
                else:
                    answers.append(None)
            if False in answers:
                continue
            copied = any(
                other["internet_message_id"] == row["internet_message_id"] and other["recipient"] == EVIL
                for other in rows
                if other["occurred_at"] >= min(one.first_at for one in rules)
                and (None in [one.last_at for one in rules] or other["occurred_at"] <= at(20 + 24))
            )
            rank = 0 if copied else 2 if None in answers else 1
            key = row["recipient"], row["internet_message_id"]
            found[key] = min(rank, found.get(key, rank))
    reasons = ("forwarded_sent", "forwarded", "forwarded_unclear")
    return {key: reasons[rank] for key, rank in found.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=rows_strategy, rules=rules_strategy, order=st.randoms(use_true_random=False))
def test_what_was_sent_on_equals_the_plain_rule_in_any_order_and_with_repeats(rows, rules, order):
    shuffled = order.sample([*rows, *rows[:3]], len(rows) + len(rows[:3]))

    found = sent(shuffled, *rules)

    assert {(one.mailbox, one.internet_message_id): one.reason for one in found.messages} == reference(rows, rules)
    assert sent(rows, *rules) == found


def test_the_traces_compile_for_spark():
    unbound = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}

    for rules in ([rule()], [rule(0, 5), rule(1, 9, mailboxes=(), domains=["contoso.example"])], [rule(mailboxes=())]):
        assert "SELECT" in ibis.to_sql(traces(unbound, rules), dialect="pyspark")

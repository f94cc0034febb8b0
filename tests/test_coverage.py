"""What the logs can and cannot tell."""

import datetime as dt

import ibis
import pytest

from brokenseal import coverage as room
from brokenseal import schema
from brokenseal.coverage import NEEDS, coverage
from brokenseal.model import Alarm, MailboxCoverage
from brokenseal.wording import phrase, say
from support import arrow_table, make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
A = {"mailbox_key": "guid-a", "mailbox_upn": "a@contoso.example"}
B = {"mailbox_key": "guid-b", "mailbox_upn": "b@contoso.example"}
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)


def at(hours):
    return T0 + dt.timedelta(hours=hours)


def access(event_id, hours, mailbox=A, **more):
    return {"event_id": event_id, "occurred_at": at(hours), **mailbox, **more}


def event(event_id, hours, source="unified_audit", **more):
    return {"event_id": event_id, "occurred_at": at(hours), "source": source, "tenant_id": "t1", **more}


def sign_in(event_id, hours, category):
    return {"event_id": event_id, "occurred_at": at(hours), "category": category}


def cover(alarms=(), **rows):
    filled = {
        name: CON.create_table(f"now_{name}", arrow_table(name, more), overwrite=True) for name, more in rows.items()
    }
    return coverage({**EMPTY, **filled}, tuple(alarms))


def sentences(found):
    return [say(sentence, "en") for sentence in found.cannot_tell]


FULL = {
    "events": [event("e1", 1), event("e2", 5, "entra_audit"), event("e3", 9, "message_trace")],
    "mail_accesses": [access("e1", 1, session_id="s", token_id="t")],
    "sign_ins": [
        sign_in(f"s-{category}", 2, category) for category in ("interactive", "non_interactive", "service_principal")
    ],
    "config_changes": [{"event_id": "c1", "occurred_at": at(3), "change": "consent"}],
}


def test_an_empty_store_lacks_everything_and_says_so():
    found = cover()

    assert found.unmet_needs == tuple(NEEDS)
    assert (found.first_at, found.last_at, found.tenants, found.mailboxes) == (None, None, (), ())
    assert (found.mail_accesses, found.with_session, found.with_token) == (0, None, None)
    assert not any(source.present for source in found.sources)
    assert sentences(found) == [
        "The logs hold no MailItemsAccessed records: which messages were read cannot be told.",
        "The logs hold no sign-ins: how anybody got in cannot be told.",
        (
            "The logs hold no non-interactive sign-ins: whether a token was ever issued cannot be told "
            "for most mail access."
        ),
        (
            "The logs hold no changes of configuration: rules, permissions and consents made by an intruder "
            "would not show."
        ),
    ]


def test_complete_logs_leave_nothing_unsaid():
    found = cover(**FULL)

    assert (found.unmet_needs, found.cannot_tell, found.alarms) == ((), (), ())
    assert (found.first_at, found.last_at, found.tenants) == (at(1), at(9), ("t1",))
    assert (found.mail_accesses, found.with_session, found.with_token) == (1, 1.0, 1.0)


def test_every_source_has_its_line_present_or_not():
    found = {source.source: source for source in cover(**FULL).sources}

    present = {name: (line.records, line.first_at, line.last_at) for name, line in found.items() if line.present}
    assert present == {
        "unified_audit": (1, at(1), at(1)),
        "mail_access": (1, at(1), at(1)),
        "configuration": (1, at(3), at(3)),
        "sign_in.interactive": (1, at(2), at(2)),
        "sign_in.non_interactive": (1, at(2), at(2)),
        "sign_in.service_principal": (1, at(2), at(2)),
        "entra_audit": (1, at(5), at(5)),
        "message_trace": (1, at(9), at(9)),
    }
    absent = {name: (line.records, line.first_at, line.last_at) for name, line in found.items() if not line.present}
    assert absent == dict.fromkeys(
        [
            "sign_in.audit_log",
            "sign_in.managed_identity",
            "sign_in.microsoft_service_principal",
            "sign_in.adfs",
            "sign_in.owa_auth",
            "graph_activity",
        ],
        (0, None, None),
    )


def test_every_sign_in_category_of_the_schema_has_a_line():
    (category,) = (column for column in schema.SIGN_IN.columns if column.name == "category")
    lines = {
        source.source.removeprefix("sign_in.") for source in cover().sources if source.source.startswith("sign_in.")
    }

    assert all(name in category.meaning for name in lines)
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("left_out", "unmet"),
    [
        ({"mail_accesses": []}, ("mail_access", "token_ids", "session_ids")),
        ({"sign_ins": []}, ("sign_in", "non_interactive_sign_in")),
        ({"sign_ins": [sign_in("s", 1, "audit_log")]}, ("non_interactive_sign_in",)),
        ({"sign_ins": [sign_in("s", 1, "service_principal")]}, ("sign_in", "non_interactive_sign_in")),
        ({"sign_ins": [sign_in("s", 1, "non_interactive")]}, ()),
        ({"config_changes": []}, ()),
        ({"config_changes": [], "events": [event("e1", 1)]}, ("configuration",)),
        ({"mail_accesses": [access("e1", 1, session_id="s", token_id_raw="opaque")]}, ("token_ids",)),
        ({"mail_accesses": [access("e1", 1, token_id="t")]}, ("session_ids",)),
    ],
    ids=str,
)
def test_what_is_left_out_is_an_unmet_need(left_out, unmet):
    assert cover(**{**FULL, **left_out}).unmet_needs == unmet


def test_identifiers_that_only_some_accesses_carry_are_given_as_shares():
    accesses = [access(f"e{n}", n, session_id="s" if n else None, token_id="t" if n == 1 else None) for n in range(3)]

    found = cover(**{**FULL, "mail_accesses": accesses})

    assert (found.with_session, found.with_token) == (2 / 3, 1 / 3)
    assert sentences(found) == [
        (
            "Only 33 % of the mail accesses carry a token id: for the others it cannot be told whether their token "
            "was ever issued."
        ),
        (
            "Only 66 % of the mail accesses carry a session id: the others can be tied to a sign-in only by "
            "application and address."
        ),
    ]


def test_a_share_just_below_all_is_not_shown_as_all():
    accesses = [access(f"e{n}", n, session_id="s", token_id="t" if n else None) for n in range(300)]

    assert "Only 99 %" in sentences(cover(**{**FULL, "mail_accesses": accesses}))[0]


def test_a_mailbox_shows_what_the_logs_can_tell_of_it():
    accesses = [
        access("e1", 1, session_id="s", token_id="t"),
        access("e3", 30, is_throttled=True),
        access("e2", 2, is_throttled=True),
        access("e4", 3, is_throttled=True, session_id="s"),
        access("e5", 40, is_throttled=False),
    ]
    off = {
        "event_id": "off",
        "occurred_at": at(0),
        "change": "mailbox_audit_disabled",
        "target": "a",
        "target_key": "a",
    }
    found = cover(mail_accesses=accesses, events=[event("x", 1, **A), event("y", 1, **B)], config_changes=[off])

    assert found.mailboxes == (
        MailboxCoverage(
            mailbox="a@contoso.example",
            mailbox_key="guid-a",
            has_mail_access=True,
            accesses=5,
            first_at=at(1),
            last_at=at(40),
            throttled_days=("2025-03-03", "2025-03-04"),
            audit_bypassed=True,
            with_session=0.4,
            with_token=0.2,
            event_ids=("e2", "e3", "off"),
        ),
        MailboxCoverage(
            mailbox="b@contoso.example",
            mailbox_key="guid-b",
            has_mail_access=False,
            accesses=0,
            first_at=None,
            last_at=None,
            throttled_days=(),
            audit_bypassed=None,
            with_session=None,
            with_token=None,
            event_ids=(),
        ),
    )
    assert sentences(found)[:3] == [
        "1 mailbox(es) stand in the logs without any MailItemsAccessed record: whether they were read cannot be told.",
        (
            "On 2 day(s) the service stopped recording single reads of a mailbox (1 mailbox(es) concerned): "
            "more may have been read there than any record shows."
        ),
        "Auditing was off for the mailbox a (2025-03-03 08:00:00 UTC to –): what was done in it was not recorded.",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("audit_bypass", ("Auditing was off for the account x (2025-03-03 08:00:00 UTC to –): what it did, in any "
                         "mailbox, was not recorded.")),
        ("audit_disabled", ("Auditing was off for the whole organisation (2025-03-03 08:00:00 UTC to –): nothing was "
                           "recorded.")),
    ],
)  # fmt: skip
def test_switched_off_auditing_is_said(change, sentence):
    off = {"event_id": "off", "occurred_at": at(0), "change": change, "target": "x", "target_key": "x"}

    assert sentences(cover(**{**FULL, "config_changes": [off]})) == [sentence]


def test_lossy_exports_are_said_and_other_alarms_only_kept():
    alarms = [
        Alarm(code=code, place="x.csv", explanation=phrase("…")) for code in ("at_cap", "truncated_json", "clock")
    ]

    found = cover(alarms, **FULL)

    assert found.alarms == tuple(alarms)
    assert [text.partition(" ")[0] for text in sentences(found)] == ["2"]


def test_a_gap_is_a_line_of_its_source_an_alarm_and_a_sentence():
    hours = [n for n in range(24 * 25) if not 24 * 9 <= n < 24 * 9 + 6]
    rows = [event(f"{n}-{copy}", n) for n in hours for copy in range(12)]

    found = cover(**{**FULL, "events": [*FULL["events"], *rows]})

    (line,) = (source for source in found.sources if source.gaps)
    assert (line.source, line.gaps[0].first_at, line.gaps[0].last_at) == ("unified_audit", at(216), at(222))
    assert [(alarm.code, alarm.place) for alarm in found.alarms] == [("gap", "unified_audit")]
    assert say(found.alarms[0].explanation, "en") == (
        "No record from 2025-03-12 08:00:00 UTC to 2025-03-12 14:00:00 UTC, where about 72 were to be expected."
    )
    assert sentences(found) == [
        "1 stretch(es) of hours hold no record where there should be some: what happened then cannot be told."
    ]


def test_absent_extras_are_said_only_where_mail_was_read():
    found = cover(
        mail_accesses=FULL["mail_accesses"],
        sign_ins=[sign_in("s1", 1, "interactive"), sign_in("s2", 1, "non_interactive")],
        config_changes=FULL["config_changes"],
    )

    assert [text.partition(":")[0] for text in sentences(found)] == [
        "The logs hold no sign-ins of service principals",
        "The logs hold no message trace",
    ]


def test_the_order_of_records_changes_nothing():
    rows = {
        name: [*rows, *({**row, "event_id": f"2-{row['event_id']}"} for row in rows)] for name, rows in FULL.items()
    }

    assert cover(**rows) == cover(**{name: more[::-1] for name, more in rows.items()})


@pytest.mark.parametrize("table", ["source_spans", "mail_access_shares", "mailbox_spans", "throttled_days"])
def test_every_expression_compiles_for_spark(table):
    tables = {declared.name: ibis.table(declared.ibis_schema(), name=declared.name) for declared in schema.TABLES}

    assert "SELECT" in ibis.to_sql(getattr(room, table)(tables), dialect="pyspark")

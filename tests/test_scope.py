"""Findings become cases: one story per account, address or application, with reasons, and ids that stay."""

from __future__ import annotations

import datetime as dt
import random
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.model import Evidence, Finding, Severity
from brokenseal.scope import cases_of
from brokenseal.wording import phrase, say
from support import make_tables

AT = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
ANNA, BERT = "anna@corp.example", "bert@corp.example"


def finding(name, *keys, day=0, days=0, notice=False, attack=("T1564.008",), severity=Severity.HIGH, **seen):
    return Finding(
        id=name,
        detector_id=f"config.{name}",
        variant="v",
        group_key=name,
        title=phrase("Title of {name}", name=name),
        severity=severity,
        is_notice=notice,
        attack=attack,
        innocent=phrase(""),
        settles=phrase(""),
        first_at=AT + dt.timedelta(days=day),
        last_at=AT + dt.timedelta(days=day + days),
        evidence=(Evidence(event_id=f"e-{name}", role="rule", occurred_at=AT + dt.timedelta(days=day)),),
        case_keys=keys,
        tenant=seen.get("tenant", ""),
        **{part: tuple(seen.get(part, ())) for part in ("mailboxes", "actors", "addresses", "sessions", "objects")},
    )


@pytest.fixture(scope="module")
def tables():
    return make_tables(
        {
            "mail_accesses": [
                {"event_id": "e-read"},
                {"event_id": "m1", "session_id": "s1"},
                {"event_id": "m2", "session_id": "s2"},
                {"event_id": "m3", "effective_app": "app"},
                {"event_id": "m4", "client_app_id": "app", "session_id": "s1"},
                {"event_id": "m5"},
            ]
        }
    )


def members(grouping):
    return sorted(sorted(found.id for found in case.findings) for case in grouping.cases)


def test_findings_on_one_account_are_one_case_while_no_fortnight_lies_between(tables):
    account = f"account:{ANNA}"
    grouping = cases_of(
        [
            finding("a", account, day=0, days=5),
            finding("b", account, day=19),
            finding("c", account, day=34),
            finding("d", f"account:{BERT}", day=1),
        ],
        tables,
    )
    assert members(grouping) == [["a", "b"], ["c"], ["d"]]


def test_a_session_joins_accounts_and_an_address_does_not(tables):
    grouping = cases_of(
        [
            finding("a", f"account:{ANNA}", sessions=["s1"], addresses=["9.9.9.9"]),
            finding("b", f"account:{BERT}", sessions=["s1"], day=40),
            finding("c", "account:c@corp.example", addresses=["9.9.9.9"]),
        ],
        tables,
    )
    assert members(grouping) == [["a", "b"], ["c"]]


def test_nothing_joins_two_tenants(tables):
    shared = {"sessions": ["s1"], "addresses": ["9.9.9.9"]}
    found = [
        finding("a", "application:app", f"account:{ANNA}", tenant="t-a", **shared),
        finding("b", "application:app", f"account:{ANNA}", tenant="t-b", **shared),
        finding("c", "application:app", notice=True, tenant="t-b"),
        finding("d", "application:app", notice=True, tenant="t-c"),
    ]
    grouping = cases_of(found, tables)
    assert members(grouping) == [["a"], ["b", "c"]]
    assert [notice.id for notice in grouping.notices] == ["d"]


def test_an_application_belongs_to_the_account_that_let_it_in_and_tries_to_the_account_that_they_opened(tables):
    takeover = finding(
        "guess",
        f"account:{ANNA}",
        actors=[ANNA],
        addresses=["9.9.9.9"],
        attack=("T1110", "T1078.004"),
        severity=Severity.CRITICAL,
    )
    consent = finding("illicit_consent", "application:app", actors=[ANNA, BERT], attack=("T1528",))
    sprays = [
        finding(
            f"spray{day}", "address:9.9.9.9", day=day, actors=[ANNA, BERT], addresses=["9.9.9.9"], attack=("T1110.003",)
        )
        for day in (0, 60)
    ]
    (case,) = cases_of([consent, *sprays, takeover], tables).cases
    assert {say(link, "en") for link in case.links} == {
        "2 bursts of tries came from 9.9.9.9.",
        f"{ANNA} let the application app in.",
        f"{BERT} let the application app in.",
    }
    assert say(case.title, "en") == f"The account {ANNA} seems to have been taken over"


def test_tries_that_opened_nothing_and_another_account_are_cases_of_their_own(tables):
    acted = finding("rule", f"account:{ANNA}", actors=[ANNA], addresses=["9.9.9.9"], severity=Severity.CRITICAL)
    consent = finding("illicit_consent", "application:app", actors=[BERT], attack=("T1528",))
    spray = finding("spray", "address:9.9.9.9", actors=[ANNA, BERT], addresses=["9.9.9.9"], attack=("T1110.003",))
    grouping = cases_of([consent, spray, acted], tables)
    assert members(grouping) == [["illicit_consent"], ["rule"], ["spray"]]
    by_member = {case.findings[0].id: case for case in grouping.cases}
    account, address = by_member["rule"], by_member["spray"]
    assert [say(link, "en") for link in account.links] == [f"See also {address.id}: the address 9.9.9.9 is in both."]
    assert [say(link, "en") for link in address.links] == [f"See also {account.id}: the address 9.9.9.9 is in both."]


def test_a_notice_never_opens_a_case_and_joins_one_of_the_same_account(tables):
    notices = [
        finding("near", f"account:{ANNA}", day=10, notice=True, severity=Severity.CRITICAL),
        finding("far", f"account:{ANNA}", day=15, notice=True),
        finding("other", f"account:{BERT}", notice=True, severity=Severity.LOW),
        finding("session", f"account:{BERT}", notice=True, sessions=["s1"]),
    ]
    assert cases_of(notices, tables).cases == ()
    assert [found.id for found in cases_of(notices, tables).notices] == ["near", "session", "far", "other"]

    grouping = cases_of([finding("rule", f"account:{ANNA}", sessions=["s1"]), *notices], tables)
    (case,) = grouping.cases
    assert sorted(found.id for found in case.findings) == ["near", "rule", "session"]
    assert case.severity is Severity.HIGH, "a notice does not raise the case"
    assert [found.id for found in grouping.notices] == ["far", "other"]
    assert say(case.links[-1], "en").startswith("2 finding(s) would be no more than a notice alone")


def test_the_id_stays_when_later_evidence_joins(tables):
    early = finding("early", f"account:{ANNA}", day=3)
    (before,) = cases_of([early], tables).cases
    later = [finding("later", f"account:{ANNA}", day=5), finding("notice", f"account:{ANNA}", day=1, notice=True)]
    grown = Evidence(event_id="e-more", role="read", occurred_at=AT + dt.timedelta(days=4))
    changed = {slot: getattr(early, slot) for slot in early.__dataclass_fields__}
    changed |= {"id": "other", "variant": "graver", "evidence": (*early.evidence, grown)}
    (after,) = cases_of([Finding(**changed), *later], tables).cases
    assert before.id == after.id
    assert before.id.startswith("case-")
    assert len(before.id) == len("case-") + 12


def test_accesses_of_a_case_are_its_evidence_and_those_under_its_sessions_and_applications(tables):
    grouping = cases_of(
        [
            finding("read", f"account:{ANNA}", sessions=["s1"]),
            finding("notice", f"account:{ANNA}", sessions=["s2"], notice=True),
            finding("consent", "application:app"),
        ],
        tables,
    )
    assert {case.findings[-1].id: case.access_ids for case in grouping.cases} == {
        "read": ("e-read", "m1", "m4"),
        "consent": ("m3", "m4"),
    }


def test_a_case_says_who_what_and_what_to_do(tables):
    (case,) = cases_of(
        [
            finding(
                "guess", f"account:{ANNA}", actors=[ANNA], addresses=["9.9.9.9"], attack=("T1110", "T1078.004"), day=1
            ),
            finding(
                "read", f"account:{ANNA}", actors=[ANNA], mailboxes=[ANNA, BERT], attack=("T1114.002",), day=2, days=1
            ),
        ],
        tables,
    ).cases
    assert say(case.title, "en") == f"The account {ANNA} seems to have been taken over, and mail was read with it"
    assert [say(line, "en") for line in case.summary] == ["Title of guess", "Title of read"]
    assert (case.mailboxes, case.actors, case.addresses) == ((ANNA, BERT), (ANNA,), ("9.9.9.9",))
    assert (case.first_at, case.last_at) == (AT + dt.timedelta(days=1), AT + dt.timedelta(days=3))
    assert case.attack == ("T1078.004", "T1110", "T1114.002")
    assert [say(link, "en") for link in case.links] == [f"2 findings are about the account {ANNA}."]
    assert [say(step, "en") for step in case.next_steps] == [
        "Keep the exports and this report before you change anything; they are the evidence.",
        f"Reset the password of {ANNA}, revoke all its sessions, and check its sign-in methods and devices.",
        "Tell the owners which messages were read; the list stands under this case.",
    ]


@pytest.mark.parametrize(
    ("technique", "step"),
    [
        ("T1564.008", "Export and then remove the rules"),
        ("T1098.003", "Take back the roles"),
        ("T1528", "Disable the application"),
        ("T1110.003", "Block 9.9.9.9"),
        ("T1562.008", "Put back what was switched"),
    ],
)
def test_next_steps_follow_the_techniques(tables, technique, step):
    (case,) = cases_of([finding("x", f"account:{ANNA}", attack=(technique,), addresses=["9.9.9.9"])], tables).cases
    assert len(case.next_steps) == 2
    assert say(case.next_steps[1], "en").startswith(step)


def test_nothing_found_is_no_case(tables):
    grouping = cases_of([], tables)
    assert (grouping.cases, grouping.notices) == ((), ())


SUBJECTS = [f"account:{ANNA}", f"account:{BERT}", "application:app", "address:9.9.9.9"]
drawn = st.lists(
    st.tuples(
        st.sampled_from(SUBJECTS),
        st.integers(0, 60),
        st.integers(0, 3),
        st.booleans(),
        st.sampled_from([(), ("s1",), ("s2",)]),
        st.sampled_from(list(Severity)),
    ),
    max_size=8,
)


@given(drawn, st.integers(0, 9))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_every_finding_has_one_place_and_order_changes_nothing(tables, drawn, seed):
    findings = [
        finding(f"f{number}", key, day=day, days=days, notice=notice, sessions=sessions, severity=severity)
        for number, (key, day, days, notice, sessions, severity) in enumerate(drawn)
    ]
    grouping = cases_of(findings, tables)
    placed = [found.id for case in grouping.cases for found in case.findings] + [found.id for found in grouping.notices]
    assert sorted(placed) == sorted(found.id for found in findings)
    assert all(any(not found.is_notice for found in case.findings) for case in grouping.cases)
    ranks = [case.severity.rank for case in grouping.cases]
    assert ranks == sorted(ranks)
    assert len({case.id for case in grouping.cases}) == len(grouping.cases)
    shuffled = random.Random(seed).sample(findings, len(findings))
    assert cases_of(shuffled, tables) == grouping


def addressed(*, first_day: int, accounts: int) -> dict:
    """Logs that begin on day -30, and an address first seen on a day and used by so many accounts."""
    log = [
        {"event_id": "e-first", "occurred_at": AT - dt.timedelta(days=30), "actor_key": ANNA, "client_ip": "8.8.4.4"}
    ]
    used = [
        {
            "event_id": f"e-{number}",
            "occurred_at": AT + dt.timedelta(days=first_day),
            "actor_key": f"{number}@corp.example",
            "client_ip": "9.9.9.9",
        }
        for number in range(accounts)
    ]
    return make_tables({"events": [*log, *used]})


@pytest.mark.parametrize(
    ("first_day", "accounts", "expected"),
    [
        (0, 2, [["a", "b"]]),
        (-16, 5, [["a", "b"]]),
        (-17, 2, [["a"], ["b"]]),  # known in the first fortnight of the logs
        (0, 6, [["a"], ["b"]]),  # the exit of an office, an operator or a VPN
    ],
)
def test_a_strangers_address_joins_and_a_known_or_shared_one_does_not(first_day, accounts, expected):
    grouping = cases_of(
        [
            finding("a", f"account:{ANNA}", addresses=["9.9.9.9"]),
            finding("b", f"account:{BERT}", addresses=["9.9.9.9"], day=1),
        ],
        addressed(first_day=first_day, accounts=accounts),
    )

    assert members(grouping) == expected
    links = [say(link, "en") for case in grouping.cases for link in case.links]
    assert any("9.9.9.9, which the logs did not know before" in link for link in links) == (len(expected) == 1)


def test_a_case_with_forged_tokens_is_named_by_them(tables):
    grouping = cases_of(
        [
            finding("reads", f"account:{ANNA}", attack=("T1114.002",)),
            finding("token", f"account:{ANNA}", attack=("T1606",), mailboxes=[ANNA], notice=True),
        ],
        tables,
    )

    (case,) = grouping.cases
    assert say(case.title, "en") == f"Mail of {ANNA} was read with tokens that no sign-in explains"


def test_where_findings_were_weighed_only_heavy_ones_open_and_lighter_ones_join_what_these_opened(tables):
    account, other = f"account:{ANNA}", f"account:{BERT}"
    findings = [
        finding("heavy", account, notice=True),
        finding("light", account, day=1),
        finding("mere", account, day=1, notice=True),
        finding("alone", other),
    ]
    standings = {"heavy": "opens", "light": "joins", "mere": "notice", "alone": "joins"}

    class Judged:
        """A judgement that knows the standing of these findings alone."""

        followed: ClassVar[dict[str, str]] = {}

        def standing(self, found):
            return standings[found.id]

        def units_of(self, found):
            return found.units

    grouping = cases_of(findings, tables, Judged())
    assert members(grouping) == [["heavy", "light", "mere"]]
    assert [found.id for found in grouping.notices] == ["alone"]


def test_a_finding_about_session_clusters_means_its_own_records_and_not_all_of_its_sessions(tables):
    plain = finding("read", f"account:{ANNA}", sessions=["s1"])
    values = {slot: getattr(plain, slot) for slot in plain.__dataclass_fields__}
    (case,) = cases_of([Finding(**{**values, "units": ("e-read",)})], tables).cases
    assert case.access_ids == ("e-read",)

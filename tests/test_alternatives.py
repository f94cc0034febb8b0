"""Innocent explanations tested on records given by hand, and doors that a later record closes or does not."""

from __future__ import annotations

import datetime as dt

import pytest

from brokenseal._assessment_doors import closing, doors_open
from brokenseal._assessment_records import Change, Closing, Habit, Records, SignIn, Unit
from brokenseal.alternatives import Question, alternatives
from brokenseal.model import Coverage, Gap, SourceCoverage
from brokenseal.wording import phrase, say

AT = dt.datetime(2025, 3, 20, 9, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
OWNER, STRANGE, HOME = "anna@x.example", "asn:64500", "asn:64501"
NAMES = {
    "device": "A new telephone or computer of the owner",
    "journey": "The owner on a journey, or at a new place",
    "roll_out": "A roll-out of the application",
    "authorised": "An administrator's or delegate's authorised work",
    "served": "An application or account of the house that reads many mailboxes",
    "outage": "An outage that lost sign-in records",
    "test": "A security test that the organisation ordered",
}


def unit(name="u", **values):
    fields = {
        "is_door": False, "tenant": "t", "mailbox_key": "m", "mailbox": OWNER, "account": OWNER, "app": "app|rest",
        "network": STRANGE, "agent": "other", "provenance": "app|rest|out|user", "is_owner": True, "first_at": AT,
        "last_at": AT + HOUR, "records": 5,
    }  # fmt: skip
    return Unit(unit=name, **{**fields, **values})


def sign_in(
    event_id,
    *,
    before=HOUR,
    network=STRANGE,
    device=None,
    device_age=None,
    network_age=None,
    by_hand_age=None,
    **values,
):
    at = AT - before
    fields = {"unit": "u", "category": "interactive", "has_second_factor": False, "first_at": at, "last_at": at}
    return SignIn(
        network=network, device_id=device, event_id=event_id,
        device_since=None if device is None else AT - (device_age or before),
        network_since=AT - (network_age or before), by_hand_since=None if by_hand_age is None else AT - by_hand_age, **{**fields, **values},
    )  # fmt: skip


def habit(unit_id, *, before, mailbox="m", account=OWNER, app="app|rest", network=HOME, known=None):
    since = AT - (known or before)
    return Habit("t", mailbox, account, app, network, unit_id, AT - before, AT - before + HOUR, since)


def change(event_id, kind, *, before=30 * DAY, **values):
    fields = {
        "tenant_id": "t", "operation_key": None, "actor_key": "admin@x.example", "network": HOME, "object_id": None,
        "target_key": None, "grantee_key": None, "destinations": (), "rule_name": None, "rule_effects": (),
        "changed_app_id": None, "changed_app_name": None, "is_shorter": False,
    }  # fmt: skip
    return Change(event_id=event_id, occurred_at=AT - before, change=kind, **{**fields, **values})


def records(*, sign_ins=(), habits=(), changes=(), closings=()):
    ordered = tuple(sorted(changes, key=lambda each: each.occurred_at))
    return Records(
        units={}, habits=tuple(habits), sign_ins={"u": tuple(sign_ins)}, changes=ordered, closings=tuple(closings),
        weeks=(),
    )  # fmt: skip


def coverage(*, present=True, gaps=(), days=60):
    source = SourceCoverage(
        source="sign_in.interactive", title=phrase("x"), present=present, records=1, first_at=AT - days * DAY,
        last_at=AT + 9 * DAY, gaps=gaps, without_it=phrase("x"),
    )  # fmt: skip
    return Coverage(
        first_at=AT - days * DAY, last_at=AT + 9 * DAY, tenants=("t",), sources=(source,), mailboxes=(),
        mail_accesses=1, with_session=1.0, with_token=1.0, alarms=(), cannot_tell=(), unmet_needs=(),
    )  # fmt: skip


def answers(*units, orphaned=(), events=(), seen=None, **given):
    units = units or (unit(),)
    question = Question(
        began_at=min(each.first_at for each in units), events=frozenset({*events, *(each.unit for each in units)}),
        tested=units, orphaned=tuple(orphaned), coverage=seen or coverage(),
    )  # fmt: skip
    return {each.name.template: each for each in alternatives(question, records(**given))}


def answer(name, *units, **given):
    found = answers(*units, **given).get(NAMES[name])
    return None if found is None else (found.result, found.event_ids)


def test_only_a_security_test_can_never_be_told():
    found = answers()
    assert found[NAMES["test"]].result == "cannot_tell"
    assert set(found) == {NAMES[name] for name in ("device", "journey", "roll_out", "authorised", "served", "test")}


# ---------------------------------------------------------------- devices and journeys

AT_HOME = habit("h1", before=20 * DAY, network=STRANGE)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("refuted", ("u",))),
        ({"sign_ins": (sign_in("s1"),)}, ("cannot_tell", ("s1",))),
        ({"sign_ins": (sign_in("s1", category="non_interactive"),)}, ("refuted", ("u",))),
        ({"habits": (AT_HOME,), "sign_ins": (sign_in("s1", device="d"),)}, ("supported", ("s1",))),
        # A device that was there before is not new, and a stolen session can name it.
        ({"habits": (AT_HOME,), "sign_ins": (sign_in("s1", device="d", device_age=9 * DAY),)}, ("cannot_tell", ("u",))),
        ({"habits": (AT_HOME,)}, ("cannot_tell", ("u",))),
        ({"seen": coverage(present=False)}, ("cannot_tell", ())),
        ({"seen": coverage(gaps=(Gap(source="x", first_at=AT - HOUR, last_at=AT, expected_records=9.0),))}, ("cannot_tell", ())),
    ],
)  # fmt: skip
def test_a_new_device_signs_in_by_hand_where_its_owner_is_at_home(given, expected):
    assert answer("device", **given) == expected


def test_what_an_intruder_did_in_the_case_makes_no_network_his_victims():
    late = habit("h1", before=HOUR, network=STRANGE)
    assert answer("device", habits=(late,)) == ("refuted", ("u",))
    two = (unit(), unit("w", first_at=AT + 9 * DAY, last_at=AT + 9 * DAY))
    assert answer("journey", *two, habits=(late,))[0] == "refuted"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("refuted", ("u",))),
        ({"sign_ins": (sign_in("s1", device="d", device_age=9 * DAY),)}, ("supported", ("s1",))),
        ({"sign_ins": (sign_in("s1", device="d"),)}, ("cannot_tell", ("s1",))),
        ({"sign_ins": (sign_in("s1", has_second_factor=True),)}, ("cannot_tell", ("s1",))),
        ({"sign_ins": (sign_in("s1", before=3 * DAY),)}, ("refuted", ("u",))),
        ({"sign_ins": (sign_in("s1", network=HOME, device="d", device_age=9 * DAY),)}, ("refuted", ("u",))),
        ({"sign_ins": (sign_in("s1", category="non_interactive", device="d", device_age=9 * DAY),)}, ("cannot_tell", ("s1",))),
        ({"seen": coverage(present=False)}, ("cannot_tell", ())),
        ({"habits": (AT_HOME,)}, None),
    ],
)  # fmt: skip
def test_a_journey_is_vouched_for_by_a_known_device_and_by_no_second_factor(given, expected):
    assert answer("journey", **given) == expected


def test_in_short_logs_nothing_is_new():
    assert answer("device", seen=coverage(days=13)) == answer("journey", seen=coverage(days=13)) == ("cannot_tell", ())
    assert answer("device", seen=coverage(days=14))[0] == answer("journey", seen=coverage(days=14))[0] == "refuted"


@pytest.mark.parametrize("network", [None, "MS", "none"])
def test_without_an_address_of_the_clients_own_nothing_is_said_of_places(network):
    assert answer("device", unit(network=network)) == ("cannot_tell", ())
    assert answer("journey", unit(network=network)) is None


def test_an_application_that_acts_by_itself_has_no_telephone():
    alone = unit(provenance="app|rest|out|app", account="app-1")
    assert answer("device", alone) is answer("journey", alone) is answer("authorised", alone) is None


# ---------------------------------------------------------------- applications


def adopters(n, **values):
    given = {"before": DAY, "network": HOME, "known": 30 * DAY, **values}
    return [habit(f"a{number}", mailbox=f"m{number}", account=f"p{number}", **given) for number in range(n)]


USUAL = (sign_in("s1", network_age=30 * DAY, by_hand_age=30 * DAY),)
"""The network is the owner's own: only the application is new."""


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        ([], ("refuted", ("u",))),
        (adopters(2), ("cannot_tell", ("a0", "a1"))),
        (adopters(3), ("supported", ("a0", "a1", "a2"))),
        (adopters(3, before=9 * DAY), ("refuted", ("u",))),
        # One hand that reads many mailboxes from its own network is no roll-out.
        (adopters(3, network=STRANGE), ("refuted", ("u",))),
        # Nor is one that changes its networks: those who roll out sit where they always sat.
        (adopters(3, known=3 * DAY), ("cannot_tell", ("a0", "a1", "a2"))),
        ([*adopters(3), habit("own", before=30 * DAY)], ("refuted", ("u",))),
        ([*adopters(3), *adopters(3, before=40 * DAY)], ("refuted", ("u",))),
    ],
)
def test_a_roll_out_is_many_others_in_the_same_week_each_from_where_they_always_were(habits, expected):
    assert answer("roll_out", habits=habits, sign_ins=USUAL) == expected


def test_a_roll_out_explains_no_strange_network():
    assert answer("roll_out", habits=adopters(9))[0] == "cannot_tell"
    by_programs = (sign_in("s1", network_age=30 * DAY, category="non_interactive"),)
    assert answer("roll_out", habits=adopters(9), sign_ins=by_programs)[0] == "cannot_tell"


def test_a_roll_out_cannot_be_told_from_the_beginning_of_the_logs():
    usual = {"habits": adopters(3), "sign_ins": USUAL}
    assert answer("roll_out", **usual, seen=coverage(days=13)) == ("cannot_tell", ())
    assert answer("roll_out", **usual, seen=coverage(days=14))[0] == "supported"
    early = adopters(3, before=6 * DAY)
    assert answer("roll_out", habits=early, sign_ins=USUAL, seen=coverage(days=16))[0] == "supported"
    assert (
        answer("roll_out", habits=adopters(3, before=7 * DAY), sign_ins=USUAL, seen=coverage(days=13))[0]
        == "cannot_tell"
    )


def test_the_units_of_the_case_are_no_roll_out():
    assert answer("roll_out", habits=adopters(3), sign_ins=USUAL, events=("a0", "a1", "a2")) == ("refuted", ("u",))


def served(n, *, before=20 * DAY, network=STRANGE):
    return [habit(f"a{number}", mailbox=f"m{number}", before=before, network=network) for number in range(n)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"habits": served(5)}, "supported"),
        ({"habits": served(5, network=HOME)}, "cannot_tell"),
        ({"habits": served(4)}, "cannot_tell"),
        ({"habits": served(5, before=10 * DAY)}, "refuted"),
        ({"habits": adopters(9, before=20 * DAY, network=STRANGE)}, "refuted"),
        ({"habits": [], "seen": coverage(days=10)}, "cannot_tell"),
    ],
)
def test_a_backup_has_read_many_mailboxes_long_before_from_where_it_reads_now(given, expected):
    assert answer("served", **given)[0] == expected


# ---------------------------------------------------------------- rights

DELEGATE = "bob@x.example"
DELEGATED = unit(account=DELEGATE, is_owner=False)
RIGHT = {"target_key": "anna", "grantee_key": DELEGATE, "object_id": "box/anna"}


@pytest.mark.parametrize(
    ("who", "given", "expected"),
    [
        (unit(), {}, ("refuted", ("u",))),
        (DELEGATED, {}, ("cannot_tell", ("u",))),
        (DELEGATED, {"changes": (change("c1", "mailbox_permission", **RIGHT),)}, ("supported", ("c1",))),
        (DELEGATED, {"changes": (change("c1", "mailbox_permission", before=DAY, **RIGHT),)}, ("cannot_tell", ("c1",))),
        (DELEGATED, {"changes": (change("c1", "mailbox_permission", **RIGHT),), "events": ("c1",)}, ("cannot_tell", ("c1",))),
        (DELEGATED, {"changes": (change("c1", "mailbox_permission", **{**RIGHT, "target_key": "else"}),)}, ("cannot_tell", ("u",))),
        (DELEGATED, {"changes": (change("c1", "mailbox_permission", before=-DAY, **RIGHT),)}, ("cannot_tell", ("u",))),
        (DELEGATED, {"habits": (habit("h1", before=20 * DAY, account=DELEGATE),)}, ("supported", ("h1",))),
    ],
)  # fmt: skip
def test_a_delegate_is_authorised_by_a_right_or_habit_older_than_the_case(who, given, expected):
    assert answer("authorised", who, **given) == expected


def test_a_right_that_was_taken_away_authorises_nobody():
    right = change("c1", "mailbox_permission", **RIGHT)
    ended = Closing("e1", AT - 9 * DAY, "remove-mailboxpermission", "box/anna")
    assert answer("authorised", DELEGATED, changes=(right,), closings=(ended,)) == ("cannot_tell", ("u",))


def test_of_a_change_it_is_said_how_often_its_maker_made_such():
    door = unit("d", is_door=True, account="admin@x.example", app=None, mailbox=None, mailbox_key=None)
    made = (change("d", "consent", before=0 * DAY), change("c1", "consent"), change("c2", "inbox_rule"))
    found = answers(door, changes=made)[NAMES["authorised"]]
    assert (found.result, found.event_ids) == ("cannot_tell", ("c1",))
    assert "had made 1 such change(s)" in say(found.because, "en")


# ---------------------------------------------------------------- outages


def orphan(name, *, mailbox, after=0, **values):
    at = AT + dt.timedelta(minutes=after)
    return unit(name, mailbox_key=mailbox, mailbox=mailbox, first_at=at, last_at=at, **values)


def test_an_outage_concerns_only_tokens_without_a_sign_in():
    assert answer("outage") is None
    assert answer("outage", orphaned=(unit(),)) == ("refuted", ("u",))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((orphan("o1", mailbox="m1"), orphan("o2", mailbox="m2", after=29)), ("supported", ("o1", "o2"))),
        ((orphan("o1", mailbox="m1"), orphan("o2", mailbox="m2", after=31)), ("refuted", ("u",))),
        ((orphan("o1", mailbox="m1"), orphan("o2", mailbox="m1")), ("refuted", ("u",))),
        ((orphan("o1", mailbox="m1"), orphan("o2", mailbox="m2", provenance="else")), ("refuted", ("u",))),
    ],
)
def test_tokens_of_one_class_missing_at_once_in_three_mailboxes_are_an_outage(others, expected):
    assert answer("outage", orphaned=(unit(), *others)) == expected
    assert answer("outage", orphaned=(unit(), *others), events=("o1", "o2"))[0] == "refuted"


def test_a_gap_of_the_sign_in_log_within_the_life_of_a_token_is_an_outage():
    def gap(before):
        return coverage(gaps=(Gap(source="x", first_at=AT - before - HOUR, last_at=AT - before, expected_records=9.0),))

    assert answer("outage", orphaned=(unit(),), seen=gap(20 * HOUR))[0] == "supported"
    assert answer("outage", orphaned=(unit(),), seen=gap(40 * HOUR))[0] == "refuted"


# ---------------------------------------------------------------- several units


def test_an_explanation_must_explain_every_unit_that_opened_the_case():
    one, other = unit(), unit("w", mailbox_key="m9", mailbox="carla@x.example", account="carla@x.example")
    vouched = {"sign_ins": (sign_in("s1", device="d", device_age=9 * DAY),)}
    assert answer("journey", one, **vouched) == ("supported", ("s1",))
    assert answer("journey", one, other, **vouched) == ("refuted", ("w",))


# ---------------------------------------------------------------- doors

DOORS = {
    "inbox_rule": ({"rule_name": "tidy", "object_id": "anna\\tidy"}, "remove-inboxrule", "anna\\tidy"),
    "mailbox_permission": ({"object_id": "box/anna"}, "remove-mailboxpermission", "box/anna"),
    "consent": ({"object_id": "sp1", "changed_app_id": "app1"}, "remove delegated permission grant", "app1"),
    "app_credential": ({"object_id": "o1", "changed_app_id": "app1"}, "remove service principal", "app1"),
    "audit_bypass": ({"object_id": "box/anna"}, "set-mailboxauditbypassassociation", "box/anna"),
    "role_member": ({"object_id": "bob", "grantee_key": "bob"}, "remove member from role", "bob"),
}


@pytest.mark.parametrize("kind", DOORS)
def test_a_door_stands_open_until_a_later_record_closes_it(kind):
    fields, operation, thing = DOORS[kind]
    door = change("d", kind, target_key="x", **fields)
    later = Closing("e1", AT, operation, thing)
    assert len(doors_open(("d",), records(changes=(door,)))) == 1
    assert doors_open(("d",), records(changes=(door,), closings=(later,))) == ()
    assert len(doors_open(("d",), records(changes=(door,), closings=(later._replace(object_id="other"),)))) == 1
    early = later._replace(occurred_at=door.occurred_at - HOUR)
    assert len(doors_open(("d",), records(changes=(door,), closings=(early,)))) == 1
    assert doors_open(("else",), records(changes=(door,))) == ()


def test_forwarding_is_closed_by_forwarding_to_nobody():
    door = change("d", "mailbox_forwarding", target_key="anna", destinations=("out@evil.example",))
    ended = change("e", "mailbox_forwarding", before=DAY, target_key="anna", destinations=("$null",))
    assert [say(each, "en") for each in doors_open(("d",), records(changes=(door,)))] == [
        "Mail still goes on to out@evil.example, as was set on 2025-02-18 09:00:00 UTC."
    ]
    assert doors_open(("d", "e"), records(changes=(door, ended))) == ()


def test_a_credential_is_closed_by_a_shorter_list_and_auditing_by_the_same_cmdlet_the_other_way():
    door = change("d", "app_credential", target_key="crm")
    shorter = change("e", "app_credential", before=DAY, target_key="crm", is_shorter=True)
    assert closing(door, records(changes=(door, shorter))) == shorter
    off = change("d", "audit_bypass", target_key="x", object_id="x")
    again = change("e", "audit_bypass", before=DAY, target_key="x", object_id="x")
    same = Closing("e", again.occurred_at, "set-mailboxauditbypassassociation", "x")
    assert closing(off, records(changes=(off, again), closings=(same,))) is None


def test_what_two_logs_tell_of_one_door_is_said_once():
    one = change("d1", "consent", changed_app_name="Helper")
    assert len(doors_open(("d1", "d2"), records(changes=(one, one._replace(event_id="d2"))))) == 1

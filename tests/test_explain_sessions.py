"""A session by hands and in time: who used it from where, with what, and how long after each other."""

from __future__ import annotations

import pytest

from brokenseal.detectors import session_handover, two_hands
from brokenseal.explanations import sessions
from explain_world import LINUX, OWA, WINDOWS, at, explained, read, sign_in, token

HOME, AWAY = "9.9.9.9", "66.6.6.6"
MACHINES = [two_hands.DETECTOR, session_handover.DETECTOR]


def world():
    """Ann's own session from home, which another machine elsewhere takes up a day later; Bob beside her."""
    reads = [read(f"old-{day}", at(day), "ann", session_id=f"old-{day}") for day in range(10)]
    reads += [
        read(f"own-{number}", at(10, minutes=number), "ann", session_id="s", token_id=token(1)) for number in range(3)
    ]
    reads += [
        read(
            f"other-{number}", at(11, minutes=number), "ann", session_id="s", token_id=token(number + 1),
            client_ip=AWAY, user_agent=LINUX,
        )
        for number in range(2)
    ]  # fmt: skip
    reads += [read("own-late", at(11, minutes=30), "ann", session_id="s", token_id=token(3))]
    reads += [read("bob", at(10), "bob", session_id="s")]
    signs = [
        sign_in("begin", at(10, seconds=-20), "ann", session_id="s", request_id=token(1), auth_protocol="none",
                device_id="dev-1", user_agent=WINDOWS),
        sign_in("silent", at(11, seconds=30), "ann", session_id="s", request_id=token(2), category="non_interactive",
                client_ip=AWAY),
    ]  # fmt: skip
    changes = [
        {"event_id": "rule", "occurred_at": at(11, minutes=5), "change": "inbox_rule", "actor_key": "ann@corp.example",
         "session_id": "s", "client_ip": AWAY, "ip_class": "public"},
    ]  # fmt: skip
    return {"mail_accesses": reads, "sign_ins": signs, "config_changes": changes}


@pytest.fixture(scope="module")
def side():
    found, marks, _ = explained(world(), ["other-0"], MACHINES)
    assert {row["unit"]: row["bin"] for row in marks[two_hands.ID]}["other-0"] == "os_change"
    return found.units[0].session


def test_the_hand_that_the_account_had_longest_comes_first(side):
    assert (side.session_id, side.account, side.n_hands) == ("s", "ann@corp.example", 2)
    own, other = side.hands
    assert (own.letter, own.network, own.since, own.addresses, own.in_unit) == ("A", "net:9.9", at(0), (HOME,), False)
    assert (other.letter, other.network, other.addresses, other.in_unit) == ("B", "net:66.6", (AWAY,), True)
    assert other.since == at(11)
    assert (own.records, other.records) == (5, 4)


def test_agents_of_one_hand_alone_are_marked(side):
    own, other = side.hands
    assert (own.agents, own.only_agents) == ((WINDOWS,), (WINDOWS,))
    assert (other.agents, other.only_agents) == ((LINUX,), (LINUX,))
    assert side.shared_token_ids == (token(1),)


def test_steps_follow_each_other_with_their_gaps(side):
    told = [(step.hand, step.kind, step.records, step.gap_s, step.event_id) for step in side.steps]
    assert told == [
        ("A", "interactive", 1, None, "begin"),
        ("A", "read", 3, 20, "own-0"),
        ("B", "read", 1, 24 * 3600 - 120, "other-0"),
        ("B", "non_interactive", 1, 30, "silent"),
        ("B", "read", 1, 30, "other-1"),
        ("B", "change", 1, 240, "rule"),
        ("A", "read", 1, 1500, "own-late"),
    ]
    first = side.steps[0]
    assert (first.device_id, first.protocol, first.app, first.address) == ("dev-1", "none", OWA, HOME)
    assert (side.steps[1].first_at, side.steps[1].last_at) == (at(10), at(10, minutes=2))


def test_many_steps_are_cut_around_the_beginning_of_the_unit():
    rows = world()
    rows["mail_accesses"] += [
        read(f"x-{number}", at(10, hours=1, minutes=number), "ann", session_id="s", effective_app=f"app-{number}")
        for number in range(30)
    ]
    found, _, _ = explained(rows, ["other-0"], [two_hands.DETECTOR])
    side = found.units[0].session
    assert len(side.steps) == sessions.STEPS_SHOWN
    assert side.n_steps == 37
    assert "other-0" in {step.event_id for step in side.steps}


def test_where_the_hand_changes_both_records_are_cited():
    rows = world()
    rows["events"] = [
        {"event_id": row["event_id"], "occurred_at": row["occurred_at"], "input_sha256": "ab", "record_no": number}
        for number, row in enumerate(rows["mail_accesses"])
    ]
    found, _, _ = explained(rows, ["other-0"], [two_hands.DETECTOR])
    assert {"own-0", "other-0", "own-late"} <= {record.event_id for record in found.units[0].cited}


def test_a_token_alone_ties_the_records_where_no_session_is_named():
    reads = [read(f"old-{day}", at(day), "ann") for day in range(10)]
    reads += [read("e", at(10, minutes=5), "ann", token_id=token(1), client_ip=AWAY)]
    signs = [
        sign_in("code", at(10), "ann", request_id=token(1), auth_protocol="deviceCode"),
        *(sign_in(f"before-{day}", at(day), "ann") for day in range(10)),
    ]
    found, marks, _ = explained({"mail_accesses": reads, "sign_ins": signs}, ["e"], [session_handover.DETECTOR])
    assert {row["unit"]: row["bin"] for row in marks[session_handover.ID]}["e"] == "device_code"
    side = found.units[0].session
    assert (side.session_id, [hand.network for hand in side.hands]) == (None, ["net:9.9", "net:66.6"])
    assert [(step.event_id, step.kind, step.protocol) for step in side.steps] == [
        ("code", "interactive", "deviceCode"),
        ("e", "read", "owa"),
    ]


def test_sessions_in_one_hand_are_not_told():
    found, _, _ = explained({"mail_accesses": world()["mail_accesses"][:13]}, ["own-0"], [two_hands.DETECTOR])
    assert found.units[0].session is None

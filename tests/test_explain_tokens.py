"""What is told of a token: its ids, the sign-ins around its issue, and the rate of its class."""

from __future__ import annotations

import base64
import uuid

import pytest

from brokenseal.detectors import token_provenance
from explain_world import OWA, at, explained, heartbeat, read, sign_in, token

PEOPLE = [f"p{number}" for number in range(6)]
ISSUED_AT = at(5, hours=6)


def raw(guid):
    return base64.urlsafe_b64encode(uuid.UUID(guid).bytes_le).decode().rstrip("=")


def world():
    """Six people with 20 issued tokens each, and one token of the first that nobody issued."""
    reads, signs = [], heartbeat(12)
    for place, who in enumerate(PEOPLE):
        for day in range(20):
            given, when = token(1000 * (place + 1) + day), at(day / 2, minutes=place)
            signs.append(sign_in(f"s-{who}-{day}", when, who, request_id=given, category="non_interactive"))
            reads.append(
                read(
                    f"r-{who}-{day}", at(day / 2, minutes=place + 5), who, token_id=given, token_id_raw=raw(given),
                    token_issued_at=when, session_id=f"session-{who}-{day}",
                )
            )  # fmt: skip
    forged = token(9)
    reads += [
        read(
            f"forged-{number}", at(5, hours=6, minutes=20 + number), "p0", token_id=forged, token_id_raw=raw(forged),
            token_issued_at=ISSUED_AT, session_id="session-forged",
        )
        for number in range(3)
    ]  # fmt: skip
    signs += [
        sign_in("near-1", at(5, hours=5, minutes=31), "p0", succeeded=False, app_name="Mail"),
        sign_in("near-2", at(5, hours=6, minutes=30), "p0", request_id=token(77)),
        sign_in("too-far", at(5, hours=6, minutes=31), "p0", request_id=token(78)),
        sign_in("another", at(5, hours=6), "p1", request_id=token(79)),
    ]
    return {"mail_accesses": reads, "sign_ins": signs}


@pytest.fixture(scope="module")
def found():
    return explained(world(), ["forged-0", "r-p1-3"], [token_provenance.DETECTOR])


def test_an_orphan_is_told_with_its_ids_and_the_time_of_its_use(found):
    (one,) = found[0].units[0].token.tokens
    assert (one.token_id, one.token_id_raw, one.form) == (token(9), raw(token(9)), "b64guid")
    assert (one.outcome, one.reason, one.records, one.event_id) == ("orphan", None, 3, "forged-0")
    assert (one.issued_at, one.first_at, one.last_at) == (
        ISSUED_AT,
        at(5, hours=6, minutes=20),
        at(5, hours=6, minutes=22),
    )
    assert one.named_by == ()


def test_sign_ins_of_this_user_half_an_hour_around_the_issue_are_listed_in_time(found):
    (one,) = found[0].units[0].token.tokens
    expected = [
        (row["event_id"], round((row["occurred_at"] - ISSUED_AT).total_seconds()), row["succeeded"])
        for row in sorted(world()["sign_ins"], key=lambda row: row["occurred_at"])
        if row["actor_key"] == "p0@corp.example" and abs((row["occurred_at"] - ISSUED_AT).total_seconds()) <= 1800
    ]
    assert [(each.event_id, each.after_s, each.succeeded) for each in one.near] == expected
    assert [name for name, _, _ in expected] == ["near-1", "near-2"]
    assert one.n_near == 2


def test_the_nearest_token_issued_to_this_user_is_found_however_far(found):
    (one,) = found[0].units[0].token.tokens
    assert (one.nearest.event_id, one.nearest.issued_id, one.nearest.after_s) == ("near-2", token(77), 1800)


def test_an_issued_token_names_its_sign_in(found):
    (one,) = found[0].units[1].token.tokens
    assert one.outcome == "issued"
    assert [each.event_id for each in one.named_by] == ["s-p1-3"]
    assert one.named_by[0].after_s == 0


def test_the_class_is_counted_in_the_other_mailboxes_and_its_bound_is_the_detectors(found):
    explanation, marks, _ = found
    of_class = explanation.units[0].token.of_class
    # Twenty episodes of each of the other five people; nothing of the mailbox that is judged.
    assert (of_class.episodes, of_class.joined, of_class.session_only, of_class.orphans) == (100, 100, 0, 0)
    assert of_class.provenance == f"{OWA}|owa|out|user"
    assert explanation.units[1].token.of_class.orphans == 1
    fired = {row["unit"]: row for row in marks["token.provenance"] if row["f0_upper_ppb"] is not None}
    assert of_class.upper_ppb == fired["forged-0"]["f0_upper_ppb"]
    assert of_class.episodes == fired["forged-0"]["n_reference"]


def test_a_token_without_id_or_time_of_issue_is_told_as_what_the_logs_hold():
    rows = {"mail_accesses": [read("e1", at(1), "p0", token_id_raw="AAAA"), read("e2", at(2), "p1")]}
    found, _, _ = explained(rows, ["e1", "e2"])
    (one,) = found.units[0].token.tokens
    assert (one.token_id_raw, one.token_id, one.form, one.issued_at) == ("AAAA", None, "opaque", None)
    assert (one.outcome, one.reason) == ("cannot_tell", "opaque_token_id")
    assert (one.near, one.nearest) == ((), None)
    assert found.units[1].token is None

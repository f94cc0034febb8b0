"""Spans in which more may have been read than any record shows."""

import datetime as dt

import pytest

from brokenseal.exposure_forwarded import Untraced
from brokenseal.exposure_spans import ANY_MAILBOX, Stop, stops_of, throttled, through_doors, untraced
from brokenseal.selection import Forwarding, OpenDoor

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
SILENT = [{"mailbox_key": "guid-b", "mailbox": "b@x"}, {"mailbox_key": "guid-c", "mailbox": None}]


def at(hours):
    return T0 + dt.timedelta(hours=hours)


def door(event_id="d1", kind="app_mail_role", *, mailbox=None, holder="App", first=0, last=None):
    return OpenDoor(
        kind=kind,
        event_ids=(event_id,),
        mailbox=mailbox,
        holder=holder,
        first_at=at(first),
        last_at=None if last is None else at(last),
    )


def spans(*doors, silent=SILENT, cite=50):
    return [
        (key, span.mailbox, span.first_at, span.last_at, span.event_ids)
        for key, span in through_doors(doors, silent, cite=cite)
    ]


def test_a_wide_door_is_one_span_over_all_mailboxes_without_a_log():
    (found,) = through_doors([door()], SILENT, cite=5)

    assert (found.mailbox_key, found.span.mailbox, found.span.reason) == (None, ANY_MAILBOX, "door_unlogged")
    assert found.span.explanation.values == {"holder": "App", "mailboxes": 2}


@pytest.mark.parametrize(("mailbox", "key"), [("b@x", "guid-b"), ("guid-c", "guid-c")])
def test_a_door_to_one_mailbox_is_a_span_of_that_mailbox(mailbox, key):
    assert [
        (found, span.explanation.values) for found, span in through_doors([door(mailbox=mailbox)], SILENT, cite=5)
    ] == [(key, {"holder": "App"})]


def test_where_reading_is_logged_a_door_hides_nothing():
    assert spans(door(), silent=[]) == []
    assert spans(door(mailbox="a@x")) == []


@pytest.mark.parametrize("kind", ["forward_out", "role", "audit_off", "hiding_rule", "strong_auth", "federation"])
def test_a_door_by_which_no_mail_is_read_is_none(kind):
    assert spans(door(kind=kind)) == []


def test_the_same_right_given_again_is_one_span_that_lasts_as_long_as_any():
    assert spans(door("d2", first=3, last=5), door("d1", "mail_consent", first=1, last=9)) == [
        (None, ANY_MAILBOX, at(1), at(9), ("d1", "d2"))
    ]
    assert spans(door("d2", first=3), door("d1", first=1, last=9)) == [(None, ANY_MAILBOX, at(1), None, ("d1", "d2"))]
    assert spans(door("d2"), door("d1"), cite=1)[0][4] == ("d1",)


def test_a_credential_and_a_role_are_two_statements():
    found = through_doors([door(), door(kind="credential"), door(holder=None)], SILENT, cite=5)

    assert len({span.explanation.template for _, span in found}) == 2
    assert [span.explanation.values["holder"] for _, span in found] == ["?", "App", "App"]


def test_a_stop_before_or_long_after_the_reading_hides_nothing_of_it():
    total = {"mailbox_key": "guid-a", "mailbox": "a@x", "first_at": at(0), "last_at": at(2)}
    stops = [
        {"mailbox_key": "guid-a", "occurred_at": at(hours), "event_id": f"e{hours}"} for hours in (-25, -24, 26, 27, 90)
    ]

    assert [(stop.first_at, stop.last_at, stop.event_ids) for stop in stops_of(stops, [total], cite=9)] == [
        (at(-25), at(0), ("e-24", "e-25")),
        (at(26), at(51), ("e26", "e27")),
    ]


def test_counts_stand_in_the_sentence_where_any_is_known():
    stop = Stop("guid-a", "a@x", at(0), at(24), ("e1",))

    known, unknown = (span for _, span in throttled([stop, stop], [(1, 7), (0, 0)]))

    assert (known.seen, known.known, known.explanation.values) == (1, 7, {"seen": 1, "known": 7})
    assert (unknown.seen, unknown.known, unknown.explanation.values) == (0, 0, {})


def test_what_a_rule_of_several_mailboxes_sent_on_is_no_single_mailboxs():
    def gap(*mailboxes):
        rule = Forwarding(
            event_ids=("c1",),
            mailboxes=frozenset(mailboxes),
            domains=frozenset(),
            destinations=frozenset(("y@evil.example", "x@evil.example")),
            first_at=at(0),
            last_at=None,
        )
        return Untraced(forwarding=rule, first_at=at(1), last_at=at(2))

    found = untraced([gap("a@x"), gap("b@x"), gap("a@x", "b@x"), gap()], {"a@x": "guid-a"})

    assert [(key, span.mailbox) for key, span in found] == [
        ("guid-a", "a@x"),
        ("upn:b@x", "b@x"),
        (None, ANY_MAILBOX),
        (None, ANY_MAILBOX),
    ]
    assert found[0].span.explanation.values == {"destinations": "x@evil.example, y@evil.example"}

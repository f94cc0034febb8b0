"""What one victim may see, and what it must not."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.notices import shares
from brokenseal.notices.plan import plan_notices, plan_to_json
from notices.victims import (
    REASONS,
    SETTINGS,
    Box,
    case,
    contact,
    document,
    everything_said,
    many,
    message,
    organisation,
    owner,
)

TENANTS = tuple(f"{n:08d}-2222-3333-4444-555555555555" for n in range(4))


@st.composite
def worlds(draw):
    """Boxes of two to four organisations in one or more stores, cases over any of them, and contacts for some."""
    domains = [f"org{n}.example" for n in range(draw(st.integers(2, 4)))]
    count = draw(st.integers(2, 7))
    boxes = [
        Box(
            n,
            draw(st.sampled_from(domains)),
            messages=draw(st.integers(0, 3)),
            possible=draw(st.integers(0, 2)),
            reason=draw(st.sampled_from((None, *REASONS))),
        )
        for n in range(count)
    ]
    several = st.lists(st.sampled_from(boxes), min_size=1, unique=True)
    wide = st.lists(st.sampled_from(REASONS), max_size=2, unique=True)
    cases = [case(number, draw(several), wide=draw(wide)) for number in range(draw(st.integers(1, 3)))]
    tenants = TENANTS[: draw(st.sampled_from((0, 2, 3)))]
    parties = [organisation(f"Org{n}", [domain]) for n, domain in enumerate(domains) if draw(st.booleans())]
    parties += [owner(box) for box in boxes if draw(st.booleans())]
    return document(cases, boxes=boxes, tenants=tenants), boxes, parties


def own_boxes(party, boxes):
    """The obvious version of what is whose."""
    return [box for box in boxes if box.name in party.covers or box.domain in party.covers]


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_nothing_of_one_victim_stands_in_the_notice_of_another(world):
    found, boxes, parties = world
    plan = plan_notices([found], parties, SETTINGS)
    by_name = {(party.kind, party.name): party for party in parties}
    for notice in plan.notices:
        party = by_name[notice.kind, notice.victim]
        own = own_boxes(party, boxes)
        foreign = [mark for box in boxes if box not in own for mark in box.marks]
        foreign += [each.id for each in found.cases]
        foreign += [other.name for other in parties if other.kind == "organisation" and other is not party]
        for what, text in everything_said(notice):
            assert [mark for mark in foreign if mark in text] == [], (notice.victim, what)


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_every_victim_with_a_contact_is_told_exactly_its_own_figures_and_messages(world):
    found, boxes, parties = world
    plan = plan_notices([found], parties, SETTINGS)
    told = {(notice.kind, notice.victim): notice for notice in plan.notices}
    for party in parties:
        own = own_boxes(party, boxes)
        lines = [box for each in found.cases for box in own if box.name in each.mailboxes]
        if not lines:
            assert (party.kind, party.name) not in told
            continue
        notice = told[party.kind, party.name]
        assert notice.told.certain == sum(box.messages for box in lines)
        assert notice.told.possible == sum(box.possible for box in lines)
        assert notice.told.mailboxes == len({box.n for box in lines})
        (messages,) = [each for each in notice.attachments if each.name == "messages.csv"]
        assert len(messages.content.splitlines()) - 1 == sum(box.messages + box.possible for box in lines)


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_a_victim_that_nobody_tells_is_named(world):
    found, boxes, parties = world
    plan = plan_notices([found], parties, SETTINGS)
    touched = {name for each in found.cases for name in each.mailboxes}
    covered = {box.name for party in parties for box in own_boxes(party, boxes)}
    assert {line.subject for line in plan.not_told if line.reason == "no_contact"} == touched - covered


def test_the_owner_learns_of_no_colleague_and_of_no_identifiers():
    box, other = Box(1, "a.example"), Box(2, "a.example")
    (notice,) = plan_notices([document([case(1, [box, other])], boxes=[box, other])], [owner(box)], SETTINGS).notices
    (attached,) = notice.attachments
    header = attached.content.splitlines()[0]

    assert attached.name == "messages.csv"
    assert "session" not in header
    assert "event_ids" not in header
    assert "Accounts" not in notice.letters[0].text
    assert other.mark not in notice.letters[0].text


def test_the_organisation_learns_of_its_accounts_and_of_no_foreign_one():
    box = Box(1, "a.example")
    found = dataclasses.replace(case(1, [box]), actors=(box.name, "guest@stranger.example", "app-only"))
    (notice,) = plan_notices([document([found], boxes=[box])], [organisation("A", ["a.example"])], SETTINGS).notices

    assert f"in whose name it was done: {box.name}." in " ".join(notice.letters[0].text.split())
    assert "stranger" not in notice.letters[0].text


@pytest.mark.parametrize(
    ("tenants", "domains", "is_told"),
    [
        ((TENANTS[0],), ("a.example",), True),
        ((TENANTS[0],), ("a.example", "alias.example"), True),
        ((), ("a.example",), True),
        ((), ("a.example", "alias.example"), False),
        (TENANTS[:2], ("a.example",), False),
    ],
)
def test_what_concerns_a_whole_store_is_told_only_where_the_store_is_of_one(tenants, domains, is_told):
    boxes = [Box(n, domain) for n, domain in enumerate(domains)]
    found = document([case(1, boxes, wide=("audit_bypassed",))], boxes=boxes, tenants=tenants)
    plan = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS)
    text = plan.notices[0].letters[0].text

    assert ("switched off for the whole organisation" in " ".join(text.split())) is is_told
    assert ("The logs cover" in text) is is_told
    assert ("whole_store" in {line.reason for line in plan.not_told}) is not is_told


def test_a_tenant_id_covers_what_no_domain_of_another_claims():
    boxes = [Box(1, "a.example"), Box(2, "b.example"), Box(3, "c.example")]
    parties = [organisation("A", [TENANTS[0]]), organisation("B", ["b.example"])]
    found = document([case(1, boxes)], boxes=boxes, tenants=(TENANTS[0].upper(),))
    first, second = plan_notices([found], parties, SETTINGS).notices

    assert (first.victim, first.told.mailboxes) == ("A", 2)
    assert (second.victim, second.told.mailboxes) == ("B", 1)
    assert boxes[1].mark not in first.letters[0].text


def test_a_tenant_id_covers_nothing_of_a_store_with_two_tenants():
    box = Box(1, "a.example")
    plan = plan_notices(
        [document([case(1, [box])], boxes=[box], tenants=TENANTS[:2])], [organisation("A", [TENANTS[0]])], SETTINGS
    )

    assert plan.notices == ()
    assert (box.name, "no_contact") in {(line.subject, line.reason) for line in plan.not_told}


def test_an_indicator_is_certain_where_a_message_read_with_certainty_shows_it():
    box = Box(1, "a.example", messages=1, possible=1)
    seen = case(1, [box])
    doubtful = message(box, 100, reason="may_be_own", addresses=("198.51.100.9",), clients=("Outlook",))
    seen = dataclasses.replace(seen, exposure=dataclasses.replace(seen.exposure, possible_messages=(doubtful,)))
    party = organisation("A", ["a.example"])
    share = shares.share_of([document([seen], boxes=[box])], party, [party])
    found = {(each.kind, each.value): each.certain for each in share.incidents[0].indicators}

    assert found["address", box.address] is True
    assert found["address", "198.51.100.9"] is False
    assert found["client", box.mark] is True
    assert found["token", f"token-{box.mark}"] is True


def test_cases_without_reading_are_told_as_such():
    box = Box(1, "a.example")
    seen = case(1, [box])
    nothing = dataclasses.replace(
        seen.exposure, mailboxes=(), messages=(), possible_messages=(), folders=(), open_ended=(), certain=0
    )
    found = document([dataclasses.replace(seen, exposure=nothing)], boxes=[box])
    (notice,) = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS).notices

    assert "no record shows reading in it" in " ".join(notice.letters[0].text.split())
    assert notice.told.certain == 0


def test_a_mailbox_that_logs_write_in_two_ways_is_one():
    box = Box(1, "A.example")
    seen = dataclasses.replace(case(1, [box]), mailboxes=(box.name.lower(),))
    (notice,) = plan_notices([document([seen], boxes=[box])], [organisation("A", ["a.example"])], SETTINGS).notices

    assert notice.told.mailboxes == 1
    assert "is concerned as well" not in notice.letters[0].text


def test_equal_arguments_give_an_equal_plan_and_another_order_of_documents_only_another_order():
    documents, parties = many(4)
    one, two = (plan_to_json(plan_notices(documents, parties, SETTINGS)) for _ in range(2))

    assert one == two
    assert len(plan_notices(documents, parties, SETTINGS).notices) == 4


def test_simulated_documents_say_so_in_subject_body_and_files():
    documents, parties = many(2, simulated=True)
    plan = plan_notices(documents, parties, SETTINGS)

    assert plan.simulated
    for notice in plan.notices:
        for letter in notice.letters:
            if letter.contact.language == "en":
                assert letter.subject.startswith("SIMULATED: ")
                assert letter.text.startswith("Simulated: ")
                assert "<strong>Simulated: " in letter.html
        for attached in notice.attachments:
            assert "simulated" in attached.content.lower() or "simul" in attached.content.lower()


def test_a_contact_whose_mailbox_was_read_is_warned_of():
    box = Box(1, "a.example")
    party = organisation("A", ["a.example"], contacts=(contact(box.name),))
    plan = plan_notices([document([case(1, [box])], boxes=[box])], [party], SETTINGS)

    assert {line.reason for line in plan.warnings} == {"contact_was_read", "unencrypted", "lone_contact"}

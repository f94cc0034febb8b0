"""The plan as a file, what a letter says, and how it is laid out."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.errors import UsageError
from brokenseal.notices.blocks import Bullets, Heading, Paragraph, Table, as_html, as_text
from brokenseal.notices.plan import only_cases, plan_from_json, plan_hash, plan_notices, plan_to_json
from brokenseal.notices.screens import plan_text
from brokenseal.wording import phrase
from notices.victims import SETTINGS, Box, case, contact, document, exposure, finding, many, organisation, owner


@pytest.fixture(scope="module")
def plan():
    documents, parties = many(2)
    return plan_notices(documents, parties, SETTINGS)


def test_a_plan_is_read_back_as_it_was_written(plan):
    content = plan_to_json(plan)

    assert plan_from_json(content, place="p") == plan
    assert plan_to_json(plan_from_json(content, place="p")) == content
    assert json.loads(content)["hash"] == plan_hash(plan)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole["plan"]["notices"][0]["letters"][0].update(subject="x"),
        lambda whole: whole["plan"]["notices"][0]["letters"][0]["contact"].update(address="x@evil.example"),
        lambda whole: whole["plan"].update(format=1),
        lambda whole: whole["plan"]["notices"].pop(),
        lambda whole: whole.update(hash="0" * 64),
        lambda whole: whole.pop("hash"),
        lambda whole: whole.pop("plan"),
        lambda whole: whole["plan"].update(made_at="yesterday"),
    ],
)
def test_a_plan_that_was_changed_is_refused(plan, spoil):
    whole = json.loads(plan_to_json(plan))
    spoil(whole)
    with pytest.raises(UsageError):
        plan_from_json(json.dumps(whole).encode(), place="p")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff", b'{"plan": 3}'])
def test_what_is_no_plan_is_refused(content):
    with pytest.raises(UsageError):
        plan_from_json(content, place="p")


def test_a_letter_answers_the_six_questions_in_the_readers_language():
    box = Box(1, "a.example", reason="throttled")
    party = organisation("A", ["a.example"])
    (notice,) = plan_notices([document([case(1, [box])], boxes=[box])], [party], SETTINGS).notices
    text = notice.letters[0].text
    headings = ["What was read, and when", "What is assumed", "What cannot be known", "What to do", "Whom to ask"]
    places = [text.index(f"{heading}\n---") for heading in headings]
    flowing = " ".join(text.split())

    assert places == sorted(places)
    assert "Certain: messages: 2" in flowing
    assert "Possible: messages: 1" in flowing
    assert "stopped recording single reads of zq001x.box@a.example" in flowing
    assert "Telephone 0 123" in flowing
    assert notice.letters[0].reply_code in text
    assert notice.letters[0].subject.endswith(f"[{notice.letters[0].reply_code}]")
    assert "Entra sign-ins, interactive" in flowing


def test_a_second_contact_in_another_language_gets_its_own_letter_of_the_same_facts():
    documents, parties = many(1)
    people = (contact("a@x.example"), contact("b@x.example", order=2, language="fr"))
    (notice,) = plan_notices(documents, [dataclasses.replace(parties[0], contacts=people)], SETTINGS).notices
    first, second = notice.letters

    assert first.id != second.id
    assert first.reply_code != second.reply_code
    assert "a@x.example" not in first.text
    assert "a@x.example" in second.text
    assert {notice.attachments[place].name for place in second.attachments} == {
        "messages.csv", "indicators.csv", "hunting-guide.md",
    }  # fmt: skip


def test_a_list_that_the_document_cuts_is_said_to_be_cut():
    box = Box(1, "a.example", messages=3)
    seen = case(1, [box])
    cut = dataclasses.replace(seen, exposure=dataclasses.replace(seen.exposure, messages=seen.exposure.messages[:1]))
    plan = plan_notices([document([cut], boxes=[box])], [organisation("A", ["a.example"])], SETTINGS)

    assert "first 1 of 3 messages" in " ".join(plan.notices[0].letters[0].text.split())
    assert "list_cut" in {line.reason for line in plan.warnings}


def test_the_plan_on_screen_begins_with_whom_nobody_tells():
    box, other = Box(1, "a.example"), Box(2, "b.example")
    plan = plan_notices(
        [document([case(1, [box, other])], boxes=[box, other])], [organisation("B", ["b.example"])], SETTINGS
    )
    first, *rest = plan_text(plan, in_full=True).splitlines()

    assert first == f"! NOBODY IS TOLD about this mailbox: no contact covers it: {box.name}"
    assert rest[-1] == f"hash {plan_hash(plan)}"
    assert any(line.startswith("   | What was read") for line in rest)


def test_only_the_cases_that_were_asked_for_are_told():
    boxes = [Box(1, "a.example"), Box(2, "a.example")]
    found = document([case(number, [box]) for number, box in enumerate(boxes)], boxes=boxes)
    chosen = only_cases([found], [found.cases[1].id])
    (notice,) = plan_notices(chosen, [organisation("A", ["a.example"])], SETTINGS).notices

    assert boxes[1].mark in notice.letters[0].text
    assert boxes[0].mark not in notice.letters[0].text
    assert only_cases([found], []) == (found,)
    with pytest.raises(UsageError, match="case-"):
        only_cases([found], ["case-x"])


def consent(box, **values):
    """A case of an application that may read any mailbox: no mailbox is named, and no record shows reading."""
    wide = exposure([], [], wide=["door_unlogged"])
    found = dataclasses.replace(finding([box], [box]), mailboxes=(), objects=("Ember CRM",))
    case_values = {"mailboxes": (), "findings": (found,), "exposure": wide, **values}
    return dataclasses.replace(case(1, [box]), **case_values)


def test_a_case_that_names_no_mailbox_is_told_to_the_organisation_of_the_store():
    box = Box(1, "a.example")
    parties = [organisation("A", ["a.example"]), organisation("B", ["b.example"]), owner(box)]
    plan = plan_notices([document([consent(box)], boxes=[box])], parties, SETTINGS)
    (notice,) = plan.notices
    text = " ".join(notice.letters[0].text.split())

    assert notice.victim == "A"
    assert "No mailbox in particular is concerned. It is about: Ember CRM." in text
    assert f"Accounts of your organisation in whose name it was done: {box.name}." in text
    assert "Somebody was given the right to read any mailbox of the organisation" in text
    assert plan.not_told == ()


def test_a_case_that_names_no_mailbox_and_has_no_holder_is_told_to_nobody_and_named():
    boxes = [Box(1, "a.example"), Box(2, "b.example")]
    several = document([consent(boxes[0])], boxes=boxes, tenants=("t1", "t2"))
    for found, covers in ((several, "a.example"), (document([consent(boxes[0])], boxes=boxes[:1]), "c.example")):
        plan = plan_notices([found], [organisation("A", [covers])], SETTINGS)

        assert plan.notices == ()
        assert ("case-000000000001", "no_holder") in {(line.subject, line.reason) for line in plan.not_told}


def test_real_and_simulated_logs_are_never_told_of_together():
    documents, parties = many(2)
    with pytest.raises(UsageError, match="all simulated, or none"):
        plan_notices([documents[0], dataclasses.replace(documents[1], simulated=True)], parties, SETTINGS)


# ---------------------------------------------------------------- layout


def test_blocks_become_text_and_html():
    said = phrase("{a} <b>", a="x & y")
    blocks = (
        Heading(text=phrase("What to do")),
        Paragraph(text=said, is_strong=True),
        Bullets(items=(said, said)),
        Table(titles=(phrase("Mailbox"), phrase("Kind")), rows=(("m", 1234), (None, "k"))),
    )

    assert as_text(blocks, "en") == (
        "What to do\n----------\n\nx & y <b>\n\n- x & y <b>\n- x & y <b>\n\n"
        "  Mailbox: m\n  Kind: 1,234\n\n  Mailbox: –\n  Kind: k\n"
    )
    html = as_html(blocks, "fr", title="<t>")
    assert '<html lang="fr">' in html
    assert "<title>&lt;t&gt;</title>" in html
    assert '<p><strong><bdi class="v">x &amp; y</bdi> &lt;b&gt;</strong></p>' in html
    assert "<bdi>1\u202f234</bdi>" in html


@given(st.text(max_size=300))
def test_wrapped_text_loses_no_word(text):
    said = as_text([Paragraph(text=phrase("{text}", text=text))], "en")
    from brokenseal.reports._escape import visible

    assert said.split() == visible(text).split()

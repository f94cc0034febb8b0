"""Findings for analysts: whom they concern, and what they mean, is said once."""

import dataclasses

from brokenseal.reports import _paper_findings
from brokenseal.reports._paper import Facts, Head
from brokenseal.wording import phrase, say
from reports.documents import rich_document

CASE = rich_document().cases[0]


def listed(findings, **of_case):
    case = dataclasses.replace(CASE, findings=tuple(findings), **of_case)
    blocks = list(_paper_findings.of_case(2, case))
    numbers = [block.number for block in blocks if isinstance(block, Head) and block.number]
    rows = [{say(name, "en"): value for name, value in block.rows} for block in blocks if isinstance(block, Facts)]
    return dict(zip(numbers, rows, strict=True))


def test_what_a_detector_means_is_said_once_and_pointed_to():
    first = CASE.findings[0]
    later = dataclasses.replace(first, id="later")
    other = dataclasses.replace(first, id="other", variant="another")
    rows = listed([first, later, other])
    assert list(rows) == ["2.1", "2.2", "2.3"]
    assert [rows[number]["Why it might be innocent"] for number in rows] == [
        first.innocent,
        phrase("As under {number}, with what would settle it.", number="2.1"),
        first.innocent,
    ]
    assert ["What would settle it" in rows[number] for number in rows] == [True, False, True]


def test_whom_a_finding_concerns_is_said_where_it_differs_from_the_case():
    whole = dataclasses.replace(CASE.findings[0], mailboxes=("a@x", "b@x"), actors=("a@x",), addresses=("192.0.2.1",))
    part = dataclasses.replace(whole, mailboxes=("a@x",))
    rows = listed([whole, part], mailboxes=("a@x", "b@x"), actors=("a@x",), addresses=("192.0.2.1",))
    names = {"Mailboxes", "Accounts", "Addresses", "Mailboxes and accounts"}
    assert names & set(rows["2.1"]) == set()
    assert {name: rows["2.2"][name] for name in names & set(rows["2.2"])} == {"Mailboxes and accounts": ("a@x",)}


def test_a_row_without_a_value_is_left_out():
    bare = dataclasses.replace(CASE.findings[0], mailboxes=(), actors=(), addresses=(), objects=())
    assert all(value not in (None, ()) for row in listed([bare]).values() for value in row.values())


def test_objects_that_the_title_names_are_not_listed_again():
    named = dataclasses.replace(CASE.findings[0], objects=("x", "y"), title=phrase("Made {objects}", objects="x, y"))
    silent = dataclasses.replace(named, title=phrase("Made something"))
    rows = listed([named, silent])
    assert [rows[number].get("Objects") for number in rows] == [None, ("x", "y")]

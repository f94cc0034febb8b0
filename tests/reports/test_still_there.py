"""The page for management without a case: what was found, what can still be had until when, and what was never written."""

import dataclasses
import datetime as dt

import pytest

from brokenseal.model import Alarm, Reading, Verdict
from brokenseal.reports import _readers, _still_there, _words, pdf
from brokenseal.reports._paper import Head, Listing, Para
from brokenseal.wording import phrase, say
from reports.documents import empty_document, rich_document

LAST = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
MAIL = "Ask whether the licences and settings of the time had the reading of mail recorded. If so, have it exported: such records are kept for 180 days, those of 2026-03-31 until 2026-09-27."
NOT_WRITTEN = "If the reading of mail was not recorded at the time, no export can bring it back."


def document(kind="nothing_found", *, unmet=(), alarms=(), notices=0, left_out=0, last=LAST):
    empty = empty_document(kind)
    found = rich_document().cases[0].findings[0]
    return dataclasses.replace(
        empty,
        notices=(dataclasses.replace(found, is_notice=True),) * notices,
        notices_left_out=left_out,
        coverage=dataclasses.replace(empty.coverage, last_at=last, unmet_needs=unmet, alarms=alarms),
    )


def page(shown):
    """Sentences of the page by their heading."""
    told, title = {"": []}, ""
    for block in _readers.paper(shown, "en", "management").blocks:
        if isinstance(block, Head):
            title = say(block.said, "en")
            told[title] = []
        elif isinstance(block, Para | Listing):
            lines = block.lines if isinstance(block, Listing) else (block.line,)
            told[title] += [say(line.said, "en") for line in lines]
    return told


def alarm(code):
    return Alarm(code=code, place="x", explanation=phrase("x"))


def test_what_is_worth_a_look_is_not_nothing():
    shown = page(document(notices=2, left_out=3))
    assert shown[""] == [
        (
            "No case stands, and the kinds of logs that would have shown one are there; 5 finding(s) are worth a look in "
            "office hours."
        )
    ]
    assert shown["What to do now"][:2] == [
        (
            "Have the 5 finding(s) that are worth a look confirmed in office hours, by whoever did it or ordered it; the "
            "report for analysts lists them."
        ),
        "Keep the logs and this report.",
    ]


@pytest.mark.parametrize("reader", ["analyst", "management", "counsel"])
def test_no_report_says_nothing_was_found_beside_what_is_worth_a_look(reader):
    paper = _readers.paper(document(notices=1), "en", reader)
    assert say(paper.word, "en") == "No case found"
    assert say(paper.headline, "en").startswith("No case stands")
    assert "Nothing was found" not in str(pdf.content(document(notices=1), "en", Reading(reader=reader)))


def test_logs_that_could_not_show_everything_stay_so():
    shown = document("cannot_tell", notices=1, unmet=("sign_in",))
    assert say(_words.verdict(shown), "en") == "The logs cannot tell"
    assert say(_words.headline(shown), "en") == (
        "No case stands, but these logs could not have shown everything; 1 finding(s) are worth a look in office hours."
    )


def test_without_notices_or_with_a_case_the_verdict_is_the_documents():
    assert _words.headline(document()) == document().verdict.headline
    assert say(_words.verdict(document()), "en") == "Nothing found"
    found = dataclasses.replace(rich_document(), verdict=Verdict(kind="found", headline=phrase("x"), reasons=()))
    assert _words.headline(found) == phrase("x")


@pytest.mark.parametrize(
    ("unmet", "exports", "lost"),
    [
        ((), [], []),
        (("mail_access",), [MAIL], [NOT_WRITTEN]),
        (("mail_access", "token_ids", "session_ids"), [MAIL], [NOT_WRITTEN]),
        (
            ("token_ids",),
            [],
            ["The records do not say by which sign-in a message was opened: they were written so, and no export can add it."],
        ),
        (
            ("sign_in", "non_interactive_sign_in"),
            [
                ("Have the missing sign-ins exported at once. They are kept for 30 days, those of 2026-03-31 until "
                "2026-04-30; after that they are only where somebody collected them.")
            ],
            [],
        ),
        (
            ("configuration",),
            [
                ("Have the changes of settings exported. Such records are kept for 180 days, those of 2026-03-31 until "
                "2026-09-27.")
            ],
            [],
        ),
    ],
)  # fmt: skip
def test_only_what_can_be_had_is_asked_for(unmet, exports, lost):
    shown = document("cannot_tell", unmet=unmet)
    assert [say(each, "en") for each in _still_there.exports(shown)] == exports
    assert [say(each, "en") for each in _still_there.lost(shown)] == lost
    told = page(shown)
    assert set(lost) <= set(told["What is not known"])
    again = "Keep the logs and this report, and run the investigation again with what is exported."
    assert told["What to do now"][: len(exports) + 1] == [
        *exports, again if exports else "Keep the logs and this report."
    ]  # fmt: skip


def test_what_no_licence_recorded_is_not_asked_for():
    early = document("cannot_tell", unmet=("mail_access",), last=dt.datetime(2019, 6, 1, tzinfo=dt.UTC))
    assert list(_still_there.exports(early)) == []
    assert [say(each, "en") for each in _still_there.lost(early)] == [
        "Before 2020 nobody could have the reading of mail recorded: no export can bring it back."
    ]


def test_what_an_export_lost_can_be_exported_again():
    shown = document("cannot_tell", unmet=("token_ids",), alarms=(alarm("flattened"), alarm("at_cap"), alarm("gap")))
    assert [say(each, "en") for each in _still_there.exports(shown)] == [
        (
            "Have the exports that are cut or damaged made again (2 warning(s)). Such records are kept for 180 days, those "
            "of 2026-03-31 until 2026-09-27."
        )
    ]
    assert list(_still_there.lost(shown)) == []

"""What each reader gets: one plain page, facts apart from judgements, absence only where it is proven."""

import dataclasses
import datetime as dt
import html

import pytest

from brokenseal.detectors import DETECTORS
from brokenseal.model import Alarm, DetectorState, Gap, Reading
from brokenseal.reports import REPORTERS, _readers
from brokenseal.reports._not_done import ACTS, not_done
from brokenseal.reports._paper import Counts, Grid, Head, Listing, Para
from brokenseal.wording import phrase, say
from reports.documents import empty_document, hostile_document, rich_document

FORMATS = {reporter.name: reporter for reporter in REPORTERS}


def source_of(rich, name, **changes):
    known = {source.source: source for source in rich.coverage.sources}
    base = known.get(name) or next(iter(known.values()))
    first = min(case.first_at for case in rich.cases) - dt.timedelta(days=1)
    last = max(case.last_at for case in rich.cases) + dt.timedelta(days=1)
    made = {"source": name, "present": True, "first_at": first, "last_at": last, "gaps": ()}
    return dataclasses.replace(base, **{**made, **changes})


def whole_document(*, audit=None, config=None, states=(), **coverage):
    """A document whose logs are complete, with what a test spoils of it."""
    rich = rich_document()
    quiet = tuple(
        DetectorState(detector_id=each, title=phrase("{name}", name=each), state="quiet", reason=None, findings=0)
        for each in ACTS
        if each not in {state.detector_id for state in states}
    )
    boxes = tuple(dataclasses.replace(box, audit_bypassed=None) for box in rich.coverage.mailboxes)
    kept = {
        "sources": (
            source_of(rich, "unified_audit", **(audit or {})),
            source_of(rich, "configuration", **(config or {})),
        ),
        "alarms": (),
        "mailboxes": boxes,
    }
    return dataclasses.replace(
        rich,
        detectors=(*quiet, *states),
        coverage=dataclasses.replace(rich.coverage, **{**kept, **coverage}),
        inputs=dataclasses.replace(rich.inputs, rejected=0, quarantine=()),
    )


def headings(document, reader="counsel"):
    return [say(block.said, "en") for block in _readers.paper(document, "en", reader).blocks if isinstance(block, Head)]


def test_with_whole_logs_counsel_is_told_what_was_not_done():
    document = whole_document()
    found = not_done(document)
    assert [say(each, "en") for each in found.acts] == list(ACTS)
    assert len(found.coverage) == 4
    assert found.why_not == ()
    assert "What the intruder did not do" in headings(document)


FIRST = min(case.first_at for case in rich_document().cases)
GAP = Gap(source="configuration", first_at=FIRST, last_at=FIRST + dt.timedelta(hours=1), expected_records=9.0)
ALARM = Alarm(code="at_cap", place="x.csv", explanation=phrase("cut"))
OFF = DetectorState(detector_id="config.audit_off", title=phrase("off"), state="fired", reason=None, findings=1)
BOX = dataclasses.replace(rich_document().coverage.mailboxes[0], audit_bypassed=True)


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"audit": {"first_at": FIRST + dt.timedelta(seconds=1)}}, "The unified audit log does not span the cases."),
        ({"audit": {"first_at": None, "last_at": None}}, "The unified audit log does not span the cases."),
        ({"config": {"present": False}}, "The logs hold no changes of configuration."),
        ({"config": {"gaps": (GAP,)}}, "There are hours without records in the time of the cases."),
        ({"alarms": (ALARM,)}, "1 warning(s) say that an input is cut, lossy or unreadable."),
        ({"mailboxes": (BOX,)}, "A mailbox was exempt from auditing."),
        ({"states": (OFF,)}, "That auditing stayed on is not proven."),
    ],
)
def test_one_hole_in_the_logs_takes_the_page_away_and_says_why(spoilt, why):
    document = whole_document(**spoilt)
    found = not_done(document)
    assert (found.acts, found.coverage) == ((), ())
    assert [say(each, "en") for each in found.why_not] == [why]
    assert "What the intruder did not do" not in headings(document)


def test_a_record_in_quarantine_takes_the_page_away():
    whole = whole_document()
    document = dataclasses.replace(whole, inputs=dataclasses.replace(whole.inputs, rejected=1))
    assert not_done(document).acts == ()


def test_a_gap_before_the_cases_does_no_harm():
    early = dataclasses.replace(GAP, first_at=FIRST - dt.timedelta(hours=3), last_at=FIRST - dt.timedelta(hours=2))
    assert not_done(whole_document(config={"gaps": (early,)})).acts


@pytest.mark.parametrize("state", ["fired", "not_assessable"])
def test_what_was_found_or_could_not_be_looked_for_is_not_denied(state):
    spoilt = DetectorState(detector_id=ACTS[0], title=phrase("x"), state=state, reason=None, findings=0)
    found = not_done(whole_document(states=(spoilt,)))
    assert [say(each, "en") for each in found.acts] == list(ACTS[1:])


def test_without_a_case_there_is_no_intruder_to_speak_of():
    assert not_done(empty_document("nothing_found")) == not_done(empty_document("cannot_tell"))
    assert not_done(empty_document("nothing_found")).acts == ()


def test_every_act_is_a_detector():
    assert set(ACTS) <= {detector.id for detector in DETECTORS}


def test_likelihood_and_confidence_are_apart_for_counsel():
    listed = headings(rich_document())
    likelihood, confidence = listed.index("Likelihood"), listed.index("Confidence")
    assert likelihood < confidence
    blocks = _readers.paper(rich_document(), "en", "counsel").blocks
    at = [place for place, block in enumerate(blocks) if isinstance(block, Head) and block.level == 1]
    starts = {say(blocks[place].said, "en"): place for place in at}
    between = blocks[starts["Likelihood"] : starts["Confidence"]]
    words = [say(line.said, "en") for block in between if isinstance(block, Listing) for line in block.lines]
    assert words == []
    assert [block.table.name.split("-")[0] for block in between if isinstance(block, Grid)] == ["likelihood"]


def test_counsel_gets_messages_of_cases_alone():
    grids = [block for block in _readers.paper(rich_document(), "en", "counsel").blocks if isinstance(block, Grid)]
    (messages,) = [grid.table for grid in grids if grid.table.name == "messages"]
    place = [column.name for column in messages.columns].index("cases")
    assert messages.rows
    assert all(row[place] for row in messages.rows)


def test_counsel_gets_every_input_with_its_hash():
    document = rich_document()
    shown = FORMATS["md"].render_for(document, "en", Reading(reader="counsel")).decode()
    assert all(file.sha256 in shown for file in document.inputs.files)


JARGON = ("MailItemsAccessed", "token", "session id", "Bind", "Sync", "ATT&CK", "throttl", "quarantine", "detector")


@pytest.mark.parametrize("document", [rich_document(), empty_document("cannot_tell"), empty_document("nothing_found")])
def test_the_page_for_management_is_free_of_jargon(document):
    """Titles of cases and next steps come from the case; what this page adds is plain."""
    own = [
        say(line.said, "en")
        for block in _readers.paper(document, "en", "management").blocks
        if isinstance(block, Listing | Para)
        for line in (block.lines if isinstance(block, Listing) else (block.line,))
    ]
    assert own
    assert not [(word, said) for word in JARGON for said in own if word.lower() in said.lower()]


def test_management_gets_each_number_with_its_kind():
    document = rich_document()
    counts = [block for block in _readers.paper(document, "en", "management").blocks if isinstance(block, Counts)]
    assert [(each.certain, each.possible, each.unknowable) for each in counts] == [
        (case.exposure.certain, case.exposure.possible, case.exposure.unknowable) for case in document.cases
    ]


@pytest.mark.parametrize("form", ["html", "md", "pdf", "docx"])
@pytest.mark.parametrize("reader", ["management", "counsel"])
def test_formats_with_words_differ_by_reader(form, reader):
    reporter, document = FORMATS[form], rich_document()
    assert reporter.render_for(document, "fr", Reading(reader=reader)) != reporter.render(document, "fr")


@pytest.mark.parametrize("form", ["html", "md", "pdf", "docx"])
def test_the_analyst_without_a_marking_gets_what_render_gives(form):
    document = rich_document()
    assert FORMATS[form].render_for(document, "en", Reading()) == FORMATS[form].render(document, "en")


@pytest.mark.parametrize("form", ["html", "md"])
@pytest.mark.parametrize("reader", ["analyst", "management", "counsel"])
def test_short_formats_carry_the_marking(form, reader):
    shown = FORMATS[form].render_for(rich_document(), "en", Reading(reader=reader, tlp="green")).decode()
    assert "TLP:GREEN" in shown
    assert "TLP:GREEN" not in FORMATS[form].render(rich_document(), "en").decode()


def test_hostile_text_is_harmless_in_the_page_without_scripts():
    shown = FORMATS["html"].render_for(hostile_document(), "fr", Reading(reader="counsel")).decode()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "default-src 'none'" in html.unescape(shown)
    assert not set("\u202e\u2066\x1b\x00\u200b") & set(shown)

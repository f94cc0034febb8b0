"""The PDF report: typeset from data alone, marked on every page, equal for equal documents."""

import dataclasses
import json
import time

import pytest

from brokenseal.errors import UsageError
from brokenseal.model import Reading
from brokenseal.reports import pdf
from brokenseal.wording import phrase, translations
from reports.documents import HOSTILE, MAILBOXES, empty_document, exposure, hostile_document, message, rich_document

TYPST_MARKUP = (
    "= heading",
    '#link("http://evil.example")[x]',
    "$x^2 + y$",
    "@reference <label>",
    "`raw` ```rust x```",
    '\\ #panic() #import "@preview/x:1.0.0"',
    "*bold* _emph_ // comment /* block",
    '#read("/etc/passwd")',
    '"] #eval("1+1") ["',
)
READERS = ("analyst", "management", "counsel")


def compiled(document, lang="en", reader="analyst", tlp=None):
    return pdf.compiler(pdf.content(document, lang, Reading(reader=reader, tlp=tlp)))


def pages(document, lang, reader):
    return len(pdf.pictures(document, lang, Reading(reader=reader), ppi=8))


def with_subjects(subjects):
    document = rich_document()
    lines = tuple(
        dataclasses.replace(message(number, MAILBOXES[0]), subject=subject, sender=subject)
        for number, subject in enumerate(subjects)
    )
    case = dataclasses.replace(
        document.cases[0], title=phrase("{text}", text=subjects[0]), exposure=exposure("c", lines)
    )
    return dataclasses.replace(document, cases=(case,), exposure=exposure("all", lines))


def texts_of(node):
    if isinstance(node, dict):
        return "".join(texts_of(value) for key, value in node.items() if key in {"text", "body", "children", "child"})
    return "".join(map(texts_of, node)) if isinstance(node, list) else node if isinstance(node, str) else ""


def test_markup_in_log_text_is_text():
    """Headings, links, equations and raw text are those of the template, not of the logs."""
    plain, hostile = with_subjects(["word"] * len(TYPST_MARKUP)), with_subjects(TYPST_MARKUP)
    counts = [
        # Made anew for each query: a compiler of text in memory answers once.
        {
            kind: len(json.loads(compiled(document, reader="counsel").query(kind)))
            for kind in ("heading", "link", "math.equation", "raw")
        }
        for document in (plain, hostile)
    ]
    assert counts[0] == counts[1]
    assert (counts[1]["math.equation"], counts[1]["raw"], counts[1]["link"]) == (0, 0, 0)
    headings = json.loads(compiled(hostile, reader="counsel").query("heading"))
    assert "1. = heading" in [texts_of(heading["body"]) for heading in headings]


@pytest.mark.parametrize("reader", READERS)
def test_hostile_text_of_every_kind_is_set(reader):
    content = pdf.render_for(hostile_document(), "fr", Reading(reader=reader))
    assert content.startswith(b"%PDF-1.7")
    assert not [
        text
        for text in ("\u202e", "\u2066", "\x1b", "\x00")
        if text in json.dumps(pdf.content(hostile_document(), "fr", Reading(reader=reader)), ensure_ascii=False)
    ]


def test_a_megabyte_of_text_is_cut():
    document = with_subjects(["A" * 1_000_000, HOSTILE[0] * 50_000])
    shown = json.dumps(pdf.content(document, "en", Reading()))
    assert len(shown) < 400_000
    assert "[cut]" in shown
    assert pdf.render(document, "en").startswith(b"%PDF-1.7")


@pytest.mark.parametrize(
    ("tlp", "label"), [(None, "TLP:AMBER+STRICT"), ("red", "TLP:RED"), ("clear", "TLP:CLEAR"), ("green", "TLP:GREEN")]
)
def test_every_page_is_marked_above_and_below(tlp, label):
    document = rich_document()
    marked = json.loads(compiled(document, "en", "counsel", tlp).query("<tlp>"))
    assert len(marked) == 2 * pages(document, "en", "counsel")
    assert {texts_of(each["body"]) for each in marked} == {label}


def test_an_unknown_marking_is_a_usage_error():
    with pytest.raises(UsageError, match="amber\\+strict"):
        pdf.render_for(rich_document(), "en", Reading(tlp="purple"))


@pytest.mark.parametrize("document", [rich_document(), hostile_document(), empty_document("cannot_tell")])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_management_gets_one_page_whatever_the_names_are(document, lang):
    assert pages(document, lang, "management") == 1


def test_equal_documents_give_equal_bytes_dated_by_the_logs():
    first, second = (pdf.render(rich_document(), "fr") for _ in range(2))
    assert first == second
    assert b"2024-06-03T00:00:00" in first or b"D:20240603" in first


def test_the_language_is_that_of_the_words():
    for lang in ("en", "fr"):
        shown = pdf.content(rich_document(), lang, Reading())
        assert shown["lang"] == lang
        assert shown["words"]["contents"] == {"en": "Contents", "fr": "Sommaire"}[lang]
        assert f"/Lang({lang})".encode() in pdf.render_for(rich_document(), lang, Reading(reader="management"))


def test_the_fonts_hold_every_character_of_the_french_catalogue():
    """PDF/A refuses a character without a glyph, so that it finds what would be printed as a box."""
    import typst

    catalogue = translations("fr")._catalog
    marks = sorted(
        {mark for said in catalogue.values() if isinstance(said, str) for mark in said if not mark.isspace()}
    )
    source = b'#set text(font: ("Libertinus Serif", "DejaVu Sans Mono"), lang: "fr")\n#set document(title: "x")\n#sys.inputs.text'

    def pdf_a(text):
        typst.compile(source, ignore_system_fonts=True, sys_inputs={"text": text}, pdf_standards="a-2b", timestamp=0)

    assert {"é", "œ", "’", "«", "»"} <= set(marks)
    pdf_a("".join(marks) + " \u00a0\u202f!")
    with pytest.raises(typst.TypstError):
        pdf_a("漢")


def test_records_are_cited_in_footnotes():
    document = rich_document()
    notes = json.loads(compiled(document, "en", "counsel").query("footnote"))
    found = document.cases[0].findings[0].evidence[0].event_id
    shown = [texts_of(each["body"]) for each in notes]
    assert any(found in text for text in shown)


def long_document(count):
    """A case of so many messages, and as many again that belong to no case."""
    document = rich_document()
    lines = tuple(message(number, MAILBOXES[number % 6]) for number in range(2 * count))
    case = dataclasses.replace(document.cases[0], exposure=exposure("c", lines[:count]))
    return dataclasses.replace(document, cases=(case,), exposure=exposure("all", lines))


def messages_in(shown):
    grids = [block for block in shown["blocks"] if block["k"] == "grid" and "Message-ID" in block["head"]]
    return [(len(each["cells"]) // len(each["head"]), each["note"]) for each in grids]


@pytest.mark.parametrize("reader", ["analyst", "counsel"])
def test_the_first_hundred_messages_of_a_case_are_printed_and_the_rest_is_counted(reader):
    document = long_document(130)
    ((rows, note), *_) = messages_in(pdf.content(document, "en", Reading(reader=reader)))
    assert rows == 100
    assert note.startswith(f"100 of {260 if reader == 'analyst' else 130} are printed.")
    assert "brokenseal report --format xlsx" in note
    ((rows, note), *_) = messages_in(pdf.content(document, "en", Reading(reader=reader, in_full=True)))
    assert (rows, note) == (260 if reader == "analyst" else 130, "")


def test_a_long_table_shares_no_page_with_footnotes():
    """Typst sets a table anew for each footnote beside it; so what introduces a long table begins a page, and what follows it."""
    shown = pdf.content(long_document(300), "en", Reading(in_full=True))
    blocks = shown["blocks"]
    (place,) = [at for at, block in enumerate(blocks) if len(block.get("cells", ())) > 3_000]
    fresh = [at for at, block in enumerate(blocks) if block.get("fresh")]
    assert fresh == [place - 2, place + 1]
    assert blocks[place - 2]["runs"][0][0] == ["Messages and folders"]
    assert not any(block.get("fresh") for block in pdf.content(long_document(300), "en", Reading())["blocks"])


def test_two_thousand_messages_take_little():
    lines = tuple(message(number, MAILBOXES[number % 6]) for number in range(2_000))
    document = dataclasses.replace(rich_document(), exposure=exposure("all", lines))
    pdf.render_for(rich_document(), "en", Reading())  # libraries, fonts and the engine of the figures are loaded once
    before = time.process_time()
    content = pdf.render_for(document, "en", Reading(in_full=True))
    assert time.process_time() - before < 3
    assert len(content) < 6_000_000

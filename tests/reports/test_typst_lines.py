"""Lines of print: they end without a character that was not there, fit their room, and give rows their height."""

import dataclasses
import json
import re
import unicodedata

import typst
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.model import Reading
from brokenseal.reports import _typst_lines, pdf
from read_back import printed
from reports.documents import MAILBOXES, exposure, message, rich_document

WORDS = st.text(alphabet="abcWM@./-_|: =é漢\u0301", max_size=60)
IDS = (
    "4765445b-32c6-49b0-83e6-1d93765276ca",
    "<AM0PR04MB4771E8C1A0D2F3B5@AM0PR04MB4771.eurprd04.prod.outlook.example>",
    "someone.with.a.very.long.name.indeed@department.of.something.contoso.example",
    "A" * 90,
)


def advance(text, *, mono=False):
    """The plain meaning of the advances: the sum over all characters."""
    of = _typst_lines._OF_MONO if mono else _typst_lines._OF_SERIF
    return sum(of[mark] for mark in text)


def with_message_ids(ids, *, count=0):
    lines = tuple(message(number, MAILBOXES[number % 6]) for number in range(count)) + tuple(
        dataclasses.replace(message(9_000 + number, MAILBOXES[0]), internet_message_id=each, subject=each, sender=each)
        for number, each in enumerate(ids)
    )
    document = rich_document()
    case = dataclasses.replace(document.cases[0], exposure=exposure("c", lines))
    return dataclasses.replace(document, cases=(case,), exposure=exposure("all", lines))


def test_advances_are_those_of_the_fonts():
    """No line that counts as fitting is wider than its room."""
    marks = sorted({mark for marks in _typst_lines._SERIF.values() for mark in marks}) + list("éàçÉôïžďťŁ漢")
    source = b"""
        #let wide(f, c) = measure(text(font: f, size: 1000pt, kerning: false, "|" + c + "|")).width / 1pt
        #let both(f) = json(bytes(sys.inputs.marks)).map(c => wide(f, c) - wide(f, ""))
        #context [#metadata((both(("Libertinus Serif", "DejaVu Sans Mono")), both("DejaVu Sans Mono"))) <wide>]
    """
    made = typst.Compiler(input=source, ignore_system_fonts=True, sys_inputs={"marks": json.dumps(marks)})
    serif, mono = json.loads(made.query("<wide>"))[0]["value"]
    assert [mark for mark, wide in zip(marks, serif, strict=True) if round(wide) > advance(mark)] == []
    assert [mark for mark, wide in zip(marks, mono, strict=True) if round(wide) > advance(mark, mono=True)] == []
    # And none counts as much wider than it is, but those that the fonts do not have.
    assert [mark for mark, wide in zip(marks, serif, strict=True) if wide < 0.8 * advance(mark)] == ["Ł", "漢"]


@given(WORDS, st.integers(1_000, 9_000), st.booleans())
def test_lines_fit_and_hold_the_text(text, room, mono):
    lines = _typst_lines.wrapped(text, float(room), mono).split("\n")
    # A line ends at spaces, which it takes the place of, or within a word.
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert re.fullmatch(" *" + " *".join(map(re.escape, lines)), text)
    for line in lines:
        assert advance(line, mono=mono) <= room or len(line) == 1 or unicodedata.combining(line[1])


@given(WORDS)
def test_a_text_that_fits_is_one_line(text):
    assert _typst_lines.wrapped(text, float(advance(text)), False) == text


@given(WORDS, st.integers(2_000, 9_000))
def test_a_word_is_broken_only_where_it_is_wider_than_its_room(text, room):
    lines = _typst_lines.wrapped(text, float(room), False).split("\n")
    short = [word for word in text.split(" ") if word and advance(word) <= room]
    assert [word for word in short if not any(word in line for line in lines)] == []


@given(WORDS)
def test_parts_are_the_text(text):
    assert "".join(_typst_lines.parts(text)) == text


def test_long_words_end_lines_at_their_own_marks():
    assert _typst_lines.wrapped("ann.example@contoso.example", 7_000.0, False) == "ann.example@\ncontoso.example"
    assert _typst_lines.parts("See 4765445b-32c6-49b0|rest_system now") == [
"See ", "4765445b", "-32c6", "-49b0|", "rest_", "system", " now",
    ]  # fmt: skip


def test_what_is_copied_from_the_file_is_what_was_logged():
    """In tables, in sentences and in footnotes."""
    document = with_message_ids(IDS)
    found = document.cases[0].findings[0]
    for reader in ("analyst", "counsel"):
        text = "".join(printed(pdf.render_for(document, "en", Reading(reader=reader)))[0])
        assert not re.search("[\u200b-\u200f\u2060\ufeff]", text)
        plain = re.sub(r"\s", "", text)
        assert [each for each in (*IDS, found.evidence[0].event_id) if each not in plain] == []


def test_rows_of_a_long_table_are_as_high_as_typst_would_make_them():
    """As many pages, wherever lines end."""
    shown = pdf.content(
        with_message_ids([f"{n}-{each}" for n in range(20) for each in IDS], count=700), "en", Reading(in_full=True)
    )
    (long,) = [block for block in shown["blocks"] if block.get("heights")]
    assert len(long["heights"]) == 780
    assert max(long["heights"]) > 3
    alone = {**shown, "front": True, "blocks": [long]}
    left_to_typst = {**alone, "blocks": [{**long, "heights": []}]}
    pages = [len(pdf.compiler(each).compile(format="png", ppi=4)) for each in (alone, left_to_typst)]
    assert pages[0] in {pages[1], pages[1] + 1}  # a row whose height is given is not split between pages


def test_a_long_table_is_set_in_pieces_that_each_begin_a_page():
    """Typst sets what stands between page breaks side by side."""
    lines = tuple(message(number, MAILBOXES[number % 6]) for number in range(4_100))
    document = dataclasses.replace(rich_document(), cases=(), exposure=exposure("all", lines))
    blocks = pdf.content(document, "en", Reading(in_full=True))["blocks"]
    pieces = [block for block in blocks if block.get("heights")]
    assert [len(piece["heights"]) for piece in pieces] == [2_000, 2_000, 100]
    assert [len(piece["cells"]) // len(piece["head"]) for piece in pieces] == [2_000, 2_000, 100]
    assert [piece["fresh"] for piece in pieces[1:]] == [True, True]
    assert [bool(piece["title"]) for piece in pieces] == [True, False, False]
    assert [block["k"] for block in blocks if block.get("fresh")][:1] == ["head"]


def test_heading_evidence_and_facts_of_a_finding_are_one_block():
    """So that they stand on one page, with the footnote."""
    document = rich_document()
    blocks = pdf.content(document, "en", Reading())["blocks"]
    joined = [block["before"] for block in blocks if block.get("before")]
    findings = [found for case in document.cases for found in case.findings] + [*document.notices]
    assert len([para for _, para in joined if para["note"]]) == len(findings)
    assert {(head["k"], para["k"]) for head, para in joined} == {("head", "para")}
    kinds = [block["k"] for block in blocks]
    ends = [at + 2 for at in range(len(kinds)) if kinds[at : at + 3] == ["head", "para", "facts"]]
    assert all(blocks[at]["before"] for at in ends)
    headings = [
        texts["body"] for texts in json.loads(pdf.compiler(pdf.content(document, "en", Reading())).query("heading"))
    ]
    assert len(headings) >= len([block for block in blocks if block["k"] == "head"]) + len(joined)


def test_every_footnote_stands_on_the_page_of_its_mark():
    document = dataclasses.replace(rich_document(), cases=rich_document().cases * 3)
    made = pdf.compiler(pdf.content(document, "en", Reading()))
    marks = json.loads(made.query("footnote"))
    pages = printed(pdf.render_for(document, "en", Reading()))[0]
    numbered = [[int(each) for each in re.findall(r"(\d+)Records: ", page)] for page in pages]
    evidence = [len(re.findall(r"Evidence: \d+ record\(s\)", page)) for page in pages]
    assert sum(map(len, numbered)) == len(marks)
    assert [
        page for page, (notes, lines) in enumerate(zip(numbered, evidence, strict=True)) if len(notes) < lines
    ] == []

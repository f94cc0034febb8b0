"""The DOCX report, read back: real styles, repeated headers, marking, fields, footnotes, language."""

import io
import re
import zipfile

import docx
import pytest
from docx.oxml.ns import qn

from brokenseal.model import Reading
from brokenseal.reports import docx as report
from reports.documents import empty_document, hostile_document, rich_document

READERS = ("analyst", "management", "counsel")


def opened(document, lang="en", **reading):
    content = report.render_for(document, lang, Reading(**reading))
    return docx.Document(io.BytesIO(content)), zipfile.ZipFile(io.BytesIO(content))


def test_headings_are_headings():
    document, _ = opened(rich_document(), reader="counsel")
    found = [(each.style.name, each.text) for each in document.paragraphs if each.style.name.startswith("Heading 1")]
    assert [text for _, text in found] == [
        "Facts",
        "What was read",
        "Likelihood",
        "Confidence",
        "What the logs cannot tell",
        "Chain of custody",
        "Messages",
        "Who stands for this report",
    ]


def test_every_table_with_titles_repeats_them_on_each_page():
    document, _ = opened(rich_document())
    tables = document.tables
    titled = [table for table in tables if table._tbl.tr_lst[0].find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None]
    assert len(titled) > 15
    bare = [table for table in tables if table not in titled]
    assert all(len(table.columns) == 2 for table in bare)  # labels and values have no titles


@pytest.mark.parametrize(("tlp", "label", "ink"), [(None, "TLP:AMBER+STRICT", "FFC000"), ("red", "TLP:RED", "FF2B2B")])
def test_the_marking_is_in_header_and_footer_and_pages_are_numbered(tlp, label, ink):
    document, _ = opened(rich_document(), tlp=tlp)
    (section,) = document.sections
    assert not section.different_first_page_header_footer
    for place in (section.header, section.footer):
        (paragraph,) = place.paragraphs
        assert label in paragraph.text
        assert ink in paragraph._p.xml
    fields = [each.text.strip() for each in section.footer._element.iter(qn("w:instrText"))]
    assert fields == ["PAGE", "NUMPAGES"]


@pytest.mark.parametrize(("lang", "code"), [("en", "en-GB"), ("fr", "fr-FR")])
def test_the_language_is_set(lang, code):
    document, _ = opened(rich_document(), lang)
    defaults = document.styles.element.find(f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}")
    (found,) = defaults.findall(qn("w:lang"))
    assert found.get(qn("w:val")) == code
    assert document.core_properties.language == lang


def test_every_footnote_is_cited_once_and_holds_records():
    rich = rich_document()
    document, package = opened(rich, reader="counsel")
    notes = package.read("word/footnotes.xml").decode()
    cited = [each.get(qn("w:id")) for each in document.element.body.iter(qn("w:footnoteReference"))]
    assert cited == re.findall(r'<w:footnote w:id="(\d+)"', notes)
    assert len(cited) > 3
    assert rich.cases[0].findings[0].evidence[0].event_id in notes


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_hostile_text_is_text(reader, lang):
    document, package = opened(hostile_document(), lang, reader=reader)
    names = package.namelist()
    xml = package.read("word/document.xml").decode()
    assert "<script" not in xml
    assert not set("\u202e\u2066\u2069\x1b\x00") & set(xml) - {"\u2069"}
    fields = {each.text.strip() for each in document.element.body.iter(qn("w:instrText"))}
    assert fields <= {'TOC \\o "1-2" \\h \\z \\u'}
    assert not [name for name in names if "embed" in name or "vba" in name.lower()]
    targets = [relation.target_ref for relation in document.part.rels.values() if relation.is_external]
    assert targets == []


def test_equal_documents_give_equal_bytes_dated_by_the_logs():
    first, second = (report.render(rich_document(), "fr") for _ in range(2))
    assert first == second
    properties = docx.Document(io.BytesIO(first)).core_properties
    assert f"{properties.created:%Y-%m-%d}" == "2024-06-03"


def test_pictures_say_what_they_show():
    document, _ = opened(rich_document())
    said = [each.get("descr") for each in document.element.body.iter(qn("wp:docPr"))]
    assert len(said) == 4
    assert all(said)


def test_ordered_lists_begin_with_one_each():
    document, _ = opened(rich_document())
    used = [
        paragraph._p.pPr.numPr.numId.val
        for paragraph in document.paragraphs
        if paragraph.style.name == "List Number" and paragraph._p.pPr.numPr is not None
    ]
    assert len(set(used)) == sum(bool(case.next_steps) for case in rich_document().cases)


def test_an_empty_document_is_a_report():
    document, _ = opened(empty_document("cannot_tell"), "fr", reader="management")
    assert document.paragraphs[0].style.name == "Title"

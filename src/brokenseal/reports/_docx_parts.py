"""What stands around the text of a DOCX report: styles, language, header and footer, contents, footnotes, the zip."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from brokenseal.reports._docx_xml import NAMESPACES, paragraph, run
from brokenseal.reports._docx_xml import field as page_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docx.document import Document

_LANGUAGES: Final = {"en": "en-GB", "fr": "fr-FR"}
_HEADINGS: Final = {"Heading 1": 16, "Heading 2": 13, "Heading 3": 11}
_INK, _SOFT = "1B2127", "4D5862"
_FOOTNOTES: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
_SEPARATORS: Final = (
    '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    '<w:footnote w:type="continuationSeparator" w:id="0"><w:p><w:r><w:continuationSeparator/></w:r></w:p></w:footnote>'
)


@dataclass(slots=True)
class Footnotes:
    """Footnotes in the order in which they are cited."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """Keep a note; gives its number, from 1."""
        self.texts.append(text)
        return len(self.texts)

    def attach(self, document: Document) -> None:
        """Write them as a part of the document."""
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.opc.packuri import PackURI
        from docx.opc.part import Part

        notes = "".join(
            f'<w:footnote w:id="{number}"><w:p><w:pPr><w:pStyle w:val="FootnoteText"/></w:pPr>'
            '<w:r><w:rPr><w:rStyle w:val="FootnoteReference"/></w:rPr><w:footnoteRef/></w:r>'
            f"{run(' ' + text, '<w:noProof/>')}</w:p></w:footnote>"
            for number, text in enumerate(self.texts, start=1)
        )
        content = (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            f"<w:footnotes {NAMESPACES}>{_SEPARATORS}{notes}</w:footnotes>"
        )
        part = Part(PackURI("/word/footnotes.xml"), _FOOTNOTES, content.encode(), document.part.package)
        document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)


def set_styles(document: Document, lang: str) -> None:
    """Fonts, sizes and language of the styles that the report uses."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml import parse_xml
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    styles: Any = document.styles
    normal = styles["Normal"]
    normal.font.name, normal.font.size = "Georgia", Pt(10)
    normal.paragraph_format.space_after = Pt(5)
    for name, height in _HEADINGS.items():
        style = styles[name]
        style.font.name, style.font.size, style.font.bold = "Georgia", Pt(height), True
        style.font.color.rgb = RGBColor.from_string(_INK)
        fonts = style.element.rPr.rFonts
        for attribute in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{attribute}"), None)
    for name, size in (("Table Text", 8.0), ("Small Print", 8.5), ("footnote text", 8.0)):
        made = styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        made.base_style, made.font.size = normal, Pt(size)
        made.paragraph_format.space_after = Pt(1)
        made.element.set(qn("w:styleId"), {"footnote text": "FootnoteText"}.get(name, name.replace(" ", "")))
    styles["Small Print"].font.color.rgb = RGBColor.from_string(_SOFT)
    mark = styles.add_style("footnote reference", WD_STYLE_TYPE.CHARACTER)
    mark.font.superscript = True
    mark.element.set(qn("w:styleId"), "FootnoteReference")
    code = _LANGUAGES[lang]
    defaults = styles.element.find(f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}")
    for old in defaults.findall(qn("w:lang")):
        defaults.remove(old)
    defaults.append(parse_xml(f'<w:lang {NAMESPACES} w:val="{code}" w:eastAsia="{code}" w:bidi="he-IL"/>'))


def set_page(document: Document, *, title: str, program: str, tlp: Mapping[str, str]) -> None:
    """A4, with the marking in header and footer of every page, and the number of the page."""
    from docx.oxml import parse_xml
    from docx.shared import Cm

    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2)
    section.top_margin, section.bottom_margin = Cm(2.7), Cm(2.5)
    ink, ground = tlp["ink"].lstrip("#"), tlp["ground"].lstrip("#")
    marked = run(
        f" {tlp['label']} ",
        f'<w:b/><w:noProof/><w:color w:val="{ink}"/><w:sz w:val="24"/>'
        f'<w:shd w:val="clear" w:color="auto" w:fill="{ground}"/>',
    )
    quiet = f'<w:color w:val="{_SOFT}"/><w:sz w:val="16"/>'
    tabs = '<w:tabs><w:tab w:val="clear" w:pos="4320"/><w:tab w:val="clear" w:pos="8640"/>'
    tab = "<w:r><w:tab/></w:r>"
    numbers = page_field("PAGE") + run(" / ") + page_field("NUMPAGES")
    lines = (
        (section.header, f'{tabs}<w:tab w:val="right" w:pos="9639"/></w:tabs>', run(title, quiet) + tab + marked),
        (
            section.footer,
            f'{tabs}<w:tab w:val="right" w:pos="6300"/><w:tab w:val="right" w:pos="9639"/></w:tabs>',
            run(program, quiet) + tab + numbers + tab + marked,
        ),
    )
    for place, stops, content in lines:
        place.is_linked_to_previous = False
        for old in list(place.paragraphs):
            old._element.getparent().remove(old._element)  # noqa: SLF001 - python-docx has no other way to remove one
        style = "Header" if place is section.header else "Footer"
        place._element.append(parse_xml(paragraph(content, style=style, properties=stops)))  # noqa: SLF001 - as above


def contents(entries: Iterable[str]) -> list[str]:
    """Paragraphs of a list of contents: the headings, until the reader's program brings it up to date."""
    shown = [run(text) for text in entries] or [run("–")]
    begin = (
        '<w:r><w:fldChar w:fldCharType="begin" w:dirty="true"/></w:r>'
        '<w:r><w:instrText xml:space="preserve"> TOC \\o "1-2" \\h \\z \\u </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    )
    shown[0] = begin + shown[0]
    shown[-1] += '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    return [paragraph(text) for text in shown]


def repacked(content: bytes) -> bytes:
    """The same package with no time of writing in it, so that equal documents give equal bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            fixed = zipfile.ZipInfo(entry.filename, date_time=(1980, 1, 1, 0, 0, 0))
            fixed.compress_type, fixed.create_system, fixed.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
            new.writestr(fixed, old.read(entry))
    return made.getvalue()

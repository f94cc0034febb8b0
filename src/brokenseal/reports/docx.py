"""DOCX: the report to be edited, commented on and filed; headings, lists, tables and footnotes are real ones.

Equal documents give equal bytes: the date of creation is the end of the logs, not the time of writing.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any, Final, assert_never

from brokenseal.model import Reading, Reporter
from brokenseal.reports import _docx_parts, _paper, _readers, _words
from brokenseal.reports._docx_xml import footnote_mark, paragraph, run, runs, table
from brokenseal.reports._paper import Counts, Facts, Grid, Head, Listing, Para, Picture, SignOff
from brokenseal.reports._paper_cells import MONO, RIGHT, ROWS_WITH_NOTES, Note, cells_of, left_out, note, width
from brokenseal.reports._tlp import label
from brokenseal.wording import format_value, phrase, say, translations

if TYPE_CHECKING:
    from docx.document import Document

    from brokenseal.model import CaseDocument
    from brokenseal.reports._paper import Block, Line, Paper
    from brokenseal.reports._paper_cells import Cells

_NO_DATE: Final = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
_STYLES: Final = {"body": "", "lead": "", "note": "SmallPrint", "warning": ""}
_LEAD: Final = '<w:spacing w:after="120"/>'
_FACTS: Final = (1.0, 3.0)
_PICTURE_WIDTH_CM: Final = 17.0
_PICTURE_HEIGHT_CM: Final = 19.0


def render(document: CaseDocument, lang: str) -> bytes:
    """The analyst's report as DOCX."""
    return render_for(document, lang, Reading())


def render_for(document: CaseDocument, lang: str, reading: Reading) -> bytes:
    """The report for one reader as DOCX.

    Raises:
        ValueError: The language is not one of `wording.LANGUAGES`.
        UsageError: The marking is no level of TLP 2.0.
    """
    translations(lang)
    paper = _paper.for_reading(_readers.paper(document, lang, reading.reader), reading)
    tlp = label(reading.tlp or _readers.TLP_USUAL)
    writer = _Writer(cells_of(document, lang))
    title = f"{say(paper.title, lang)} · {say(paper.for_whom, lang)}"
    _docx_parts.set_styles(writer.document, lang)
    _docx_parts.set_page(writer.document, title=title, program=paper.program, tlp=tlp)
    writer.front(paper)
    for block in paper.blocks:
        writer.block(block)
    writer.notes.attach(writer.document)
    properties = writer.document.core_properties
    written = (document.coverage.last_at or _NO_DATE).astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
    properties.title, properties.author, properties.language = title, "Brokenseal", lang
    properties.created = properties.modified = written
    properties.last_modified_by, properties.comments = "Brokenseal", ""
    made = io.BytesIO()
    writer.document.save(made)
    return _docx_parts.repacked(made.getvalue())


class _Writer:
    """Puts blocks at the end of a document; the only state is what has been written."""

    def __init__(self, cells: Cells) -> None:
        import docx

        self.document: Document = docx.Document()
        self.cells = cells
        self.lang = cells.lang
        self.notes = _docx_parts.Footnotes()

    def _append(self, xml: str) -> None:
        from docx.oxml import parse_xml

        body = self.document.element.body
        body.insert(len(body) - 1, parse_xml(xml))  # the last element sets the section

    def front(self, paper: Paper) -> None:
        """Title, reader, verdict, and for longer reports facts and contents, each on a page of its own."""
        lang = self.lang
        self._append(paragraph(run(say(paper.title, lang)), style="Title"))
        if paper.has_front:
            self._append(paragraph(run(say(paper.for_whom, lang)), style="Subtitle"))
        self._append(paragraph(run(say(paper.word, lang).upper(), '<w:b/><w:color w:val="8F1D33"/>')))
        if paper.simulated:
            shade = '<w:b/><w:shd w:val="clear" w:color="auto" w:fill="FFF4D6"/>'
            self._append(paragraph(run(say(paper.simulated, lang), shade)))
        if not paper.has_front:
            return
        self._append(paragraph(runs(_paper.pieces(paper.headline, lang)), properties=_LEAD))
        self._facts(Facts(rows=paper.facts))
        self.document.add_page_break()  # type: ignore[no-untyped-call]
        self._append(paragraph(run(say(phrase("Contents"), lang), '<w:b/><w:sz w:val="32"/>')))
        titles = (block for block in paper.blocks if isinstance(block, Head) and block.level < 3)  # noqa: PLR2004 - as in the field
        for entry in _docx_parts.contents(_heading(head, lang) for head in titles):
            self._append(entry)
        self.document.add_page_break()  # type: ignore[no-untyped-call]

    def block(self, block: Block) -> None:
        """Put one block at the end."""
        match block:
            case Head():
                self._append(paragraph(run(_heading(block, self.lang)), style=f"Heading{block.level}"))
            case Para():
                self._append(paragraph(self._line(block.line), style=_STYLES[block.role]))
            case Listing():
                self._listing(block)
            case Facts():
                self._facts(block)
            case Counts():
                self._counts(block)
            case Grid():
                self._grid(block)
            case Picture():
                self._picture(block)
            case SignOff():
                self._sign()
            case _:
                assert_never(block)

    def _line(self, line: Line) -> str:
        shown = runs(_paper.pieces(line.said, self.lang))
        return shown + (self._cite(note(line.records)) if line.records else "")

    def _cite(self, cited: Note) -> str:
        more = f" +{format_value(cited.more, self.lang)}" if cited.more else ""
        words = say(phrase("Records: "), self.lang)
        return footnote_mark(self.notes.add(f"{words}{', '.join(cited.ids)}{more}"))

    def _listing(self, block: Listing) -> None:
        properties = ""
        if block.ordered:
            numbering: Any = self.document.part.numbering_part.element
            style: Any = self.document.styles["List Number"]
            usual = style.element.pPr.numPr.numId.val
            kind = next(num.abstractNumId.val for num in numbering.num_lst if num.numId == usual)
            fresh = numbering.add_num(kind)
            fresh.add_lvlOverride(ilvl=0).add_startOverride(1)
            properties = f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{fresh.numId}"/></w:numPr>'
        style_id = "ListNumber" if block.ordered else "ListBullet"
        for line in block.lines:
            self._append(paragraph(self._line(line), style=style_id, properties=properties))

    def _facts(self, block: Facts) -> None:
        rows = [
            (runs(_paper.pieces(name, self.lang)), runs(self.cells.value(value), is_strong=False))
            for name, value in block.rows
        ]
        self._append(table(("", ""), _FACTS, rows, (False, False)))
        self._append(paragraph("", style="TableText"))

    def _counts(self, block: Counts) -> None:
        folders = phrase("message(s), {folders} folder(s)", folders=block.folders)
        lines = (
            ("certain", block.certain, phrase("message(s)")),
            ("possible", block.possible, folders if block.folders else phrase("message(s)")),
            ("unknowable", block.unknowable, phrase("span(s) of time")),
        )
        numbers = [
            run(f"{format_value(number, self.lang)} ", '<w:b/><w:sz w:val="28"/>') + run(say(unit, self.lang))
            for _, number, unit in lines
        ]
        head = [say(_words.KIND[kind], self.lang) for kind, _, _ in lines]
        self._append(table(head, (1, 1, 1), [numbers], (False, False, False)))
        self._append(paragraph("", style="TableText"))

    def _grid(self, grid: Grid) -> None:
        columns, rows = _paper.chosen(grid)
        if not grid.table.rows:
            return
        if grid.heading:
            self._append(paragraph(run(say(grid.table.title, self.lang)), style="Heading3"))
        with_notes = len(_paper.printed(grid)) <= ROWS_WITH_NOTES
        made = []
        for row in rows:
            line = []
            for column, value in zip(columns, row, strict=True):
                shown = self.cells.cell(column, value, with_notes=with_notes)
                if isinstance(shown, Note):
                    line.append(run(format_value(len(shown.ids) + shown.more, self.lang)) + self._cite(shown))
                else:
                    line.append(runs(shown, is_strong=False, is_mono=column.kind in MONO))
            made.append(line)
        head = [say(column.title, self.lang) for column in columns]
        right = [column.kind in RIGHT for column in columns]
        self._append(table(head, [width(column) for column in columns], made, right))
        self._append(paragraph(run(left_out(grid, self.lang)), style="SmallPrint"))

    def _picture(self, picture: Picture) -> None:
        import vl_convert
        from docx.shared import Cm

        figure = picture.figure
        self._append(paragraph(run(say(picture.title, self.lang)), style="Heading2"))
        self._append(paragraph(run(say(figure.says, self.lang))))
        drawn = io.BytesIO(vl_convert.svg_to_png(figure.svg, scale=2))
        placed = self.document.add_picture(drawn, width=Cm(_PICTURE_WIDTH_CM))
        highest = Cm(_PICTURE_HEIGHT_CM)
        if placed.height > highest:
            placed.width, placed.height = Cm(placed.width.cm * _PICTURE_HEIGHT_CM / placed.height.cm), highest
        placed._inline.docPr.set("descr", say(figure.says, self.lang))  # noqa: SLF001 - the only way to an alternative text

    def _sign(self) -> None:
        head = [say(said, self.lang) for said in _paper.SIGNED]
        self._append(table(head, (1, 1, 1), [[run("\u00a0", '<w:sz w:val="72"/>')] * 3], (False, False, False)))


def _heading(head: Head, lang: str) -> str:
    number = f"{head.number}. " if head.number else ""
    return number + "".join(text for text, _ in _paper.pieces(head.said, lang))


REPORTER = Reporter(
    name="docx",
    media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    render=render,
    render_for=render_for,
)

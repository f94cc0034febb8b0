"""WordprocessingML as text: runs, paragraphs and tables. Every text is escaped here and nowhere else.

Tables are written as text and parsed once, since a table of ten thousand messages made cell by cell takes minutes.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokenseal.reports._paper import Piece

NAMESPACES: Final = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_STRONG: Final = "<w:b/><w:noProof/>"
_PLAIN: Final = "<w:noProof/>"
_MONO: Final = '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/><w:noProof/>'
TABLE_WIDTH: Final = 9_639
"""Room between the margins, twentieths of a point: 17 cm."""


def escaped(text: str) -> str:
    """Text inside an element; what XML 1.0 cannot hold has been marked by `_escape.visible` before."""
    return html.escape(text, quote=False)


def run(text: str, properties: str = "") -> str:
    """One run."""
    inner = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{inner}<w:t xml:space="preserve">{escaped(text)}</w:t></w:r>'


def runs(parts: Iterable[Piece], *, is_strong: bool = True, is_mono: bool = False) -> str:
    """A sentence; log text stands out, and is not spell-checked."""
    log = _MONO if is_mono else _STRONG if is_strong else _PLAIN
    return "".join(run(text, log if kind == "log" else "") for text, kind in parts)


def footnote_mark(number: int) -> str:
    """The reference to a footnote."""
    return f'<w:r><w:rPr><w:rStyle w:val="FootnoteReference"/></w:rPr><w:footnoteReference w:id="{number}"/></w:r>'


def paragraph(content: str, *, style: str = "", properties: str = "") -> str:
    """One paragraph, with its namespaces, to be parsed by itself."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    inner = f"<w:pPr>{named}{properties}</w:pPr>" if named or properties else ""
    return f"<w:p {NAMESPACES}>{inner}{content}</w:p>"


def field(instruction: str, shown: str = "1") -> str:
    """A field that the reader's program fills in, such as `PAGE`."""
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {escaped(instruction)} </w:instrText></w:r>'
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{run(shown)}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def table(head: Sequence[str], widths: Sequence[float], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> str:
    """A table whose first row is repeated on every page; cells are runs."""
    total = sum(widths)
    measures = [round(TABLE_WIDTH * each / total) for each in widths]
    columns = "".join(f'<w:gridCol w:w="{measure}"/>' for measure in measures)
    titles = "".join(_cell(run(text, "<w:b/>"), measure) for text, measure in zip(head, measures, strict=True))
    body = "".join(
        "<w:tr><w:trPr><w:cantSplit/></w:trPr>"
        + "".join(_cell(cell, at, is_right=to) for cell, at, to in zip(row, measures, right, strict=True))
        + "</w:tr>"
        for row in rows
    )
    header = f"<w:tr><w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>{titles}</w:tr>" if any(head) else ""
    return (
        f'<w:tbl {NAMESPACES}><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="{TABLE_WIDTH}" w:type="dxa"/>'
        "<w:tblBorders>"
        + "".join(f'<w:{side} w:val="nil"/>' for side in ("top", "left"))
        + '<w:bottom w:val="single" w:sz="4" w:color="C9CECD"/><w:right w:val="nil"/>'
        '<w:insideH w:val="single" w:sz="4" w:color="C9CECD"/><w:insideV w:val="nil"/></w:tblBorders>'
        f'<w:tblLayout w:type="fixed"/><w:tblLook w:firstRow="{int(any(head))}" w:noVBand="1"/></w:tblPr>'
        f"<w:tblGrid>{columns}</w:tblGrid>{header}{body}</w:tbl>"
    )


def _cell(content: str, measure: int, *, is_right: bool = False) -> str:
    side = '<w:jc w:val="right"/>' if is_right else ""
    return (
        f'<w:tc><w:tcPr><w:tcW w:w="{measure}" w:type="dxa"/></w:tcPr>'
        f'<w:p><w:pPr><w:pStyle w:val="TableText"/>{side}</w:pPr>{content}</w:p></w:tc>'
    )

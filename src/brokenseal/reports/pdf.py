"""PDF: the report as one would sign it, set by Typst with the fonts that Typst brings; nothing is fetched.

Equal documents give equal bytes: the date of creation is the end of the logs, not the time of writing.
"""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from brokenseal.model import Reading, Reporter
from brokenseal.reports import _readers
from brokenseal.reports._paper import for_reading
from brokenseal.reports._paper_cells import cells_of
from brokenseal.reports._typst_data import data
from brokenseal.reports._typst_lines import for_print
from brokenseal.wording import translations

if TYPE_CHECKING:
    import typst

    from brokenseal.model import CaseDocument

_TEMPLATE: Final = Path(__file__).parent / "templates" / "report.typ"
_NO_DATE: Final = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
_CELLS_TAGGED: Final = 30_000
"""Up to so many cells the file is tagged for screen readers. The tags of 10,000 messages are nine tenths of a file."""


def render(document: CaseDocument, lang: str) -> bytes:
    """The analyst's report as PDF."""
    return render_for(document, lang, Reading())


def render_for(document: CaseDocument, lang: str, reading: Reading) -> bytes:
    """The report for one reader as PDF.

    Raises:
        ValueError: The language is not one of `wording.LANGUAGES`.
        UsageError: The marking is no level of TLP 2.0.
    """
    (content,) = _compiled(document, lang, reading, form="pdf")
    return content


def pictures(document: CaseDocument, lang: str, reading: Reading, *, ppi: float = 80) -> tuple[bytes, ...]:
    """The pages as PNG, to be looked at."""
    return _compiled(document, lang, reading, form="png", ppi=ppi)


def _compiled(
    document: CaseDocument, lang: str, reading: Reading, *, form: Literal["pdf", "png"], ppi: float | None = None
) -> tuple[bytes, ...]:
    shown = content(document, lang, reading)
    made = compiler(shown).compile(
        format=form,
        ppi=ppi,
        timestamp=document.coverage.last_at or _NO_DATE,
        pdf_tags=sum(len(block.get("cells", ())) for block in shown["blocks"]) <= _CELLS_TAGGED,
    )
    return tuple(made) if isinstance(made, list) else () if made is None else (made,)


def content(document: CaseDocument, lang: str, reading: Reading) -> dict[str, Any]:
    """What the template shows one reader, as plain values.

    Raises:
        ValueError: The language is not one of `wording.LANGUAGES`.
        UsageError: The marking is no level of TLP 2.0.
    """
    translations(lang)
    paper = for_reading(_readers.paper(document, lang, reading.reader), reading)
    return for_print(data(paper, cells_of(document, lang), tlp=reading.tlp or _readers.TLP_USUAL))


def compiler(shown: dict[str, Any]) -> typst.Compiler:
    """Typst with the template and, as data, what it shows; it sees no other file, font or network."""
    import msgspec
    import typst

    return typst.Compiler(
        input=_template(),
        ignore_system_fonts=True,
        sys_inputs={"data": msgspec.json.encode(shown).decode("utf-8")},
    )


@functools.cache
def _template() -> bytes:
    return _TEMPLATE.read_bytes()


REPORTER = Reporter(name="pdf", media_type="application/pdf", render=render, render_for=render_for)

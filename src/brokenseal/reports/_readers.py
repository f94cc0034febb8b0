"""What each reader gets of the one document.

The analyst gets everything; management one page without the words of the trade; counsel facts, times and counts with
their kind, likelihood and confidence apart, and where the evidence comes from. Nothing is worked out anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.reports import _paper_analyst, _paper_counsel, _paper_management, _words
from brokenseal.reports._paper import Paper
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.model import CaseDocument, Reader
    from brokenseal.reports._columns import Cell
    from brokenseal.reports._paper import Block
    from brokenseal.wording import Phrase

TITLE = phrase("Who read the mail: report")

FOR_WHOM: Final[Mapping[str, Phrase]] = {
    "analyst": phrase("For analysts: everything that was found, with its records"),
    "management": phrase("For management: one page"),
    "counsel": phrase("For counsel: facts, judgements and chain of custody"),
}

TLP_USUAL: Final = "amber+strict"
"""The marking of typeset reports where none is asked for: they name people, and subjects of their mail."""

_BLOCKS: Final[Mapping[str, Callable[[CaseDocument, str], tuple[Block, ...]]]] = {
    "analyst": _paper_analyst.blocks,
    "management": _paper_management.blocks,
    "counsel": _paper_counsel.blocks,
}


def paper(document: CaseDocument, lang: str, reader: Reader) -> Paper:
    """The document as blocks for one reader; `lang` is the language of the words inside figures.

    Raises:
        KeyError: No such reader.
    """
    return Paper(
        title=TITLE,
        for_whom=FOR_WHOM[reader],
        word=_words.verdict(document),
        kind=document.verdict.kind,
        headline=_words.headline(document),
        simulated=_words.SIMULATED if document.simulated else None,
        facts=_front(document),
        program=f"Brokenseal {document.product_version}",
        has_front=reader != "management",
        blocks=_BLOCKS[reader](document, lang),
    )


def _front(document: CaseDocument) -> tuple[tuple[Phrase, Cell], ...]:
    coverage = document.coverage
    return (
        (phrase("Logs from (UTC)"), coverage.first_at),
        (phrase("Logs until (UTC)"), coverage.last_at),
        (phrase("Tenants"), coverage.tenants),
        (phrase("Cases"), len(document.cases)),
        (phrase("Records kept"), document.inputs.kept),
        (phrase("Mail accesses"), coverage.mail_accesses),
        (phrase("Program"), f"Brokenseal {document.product_version}"),
    )

"""Blocks that more than one reader gets: the judgement of a case, what cannot be told, where the inputs are from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.reports import _judged, _ledger_tables, _tables, _words
from brokenseal.reports._paper import Facts, Grid, Head, Line, Listing, Para
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokenseal.judged import Assessment
    from brokenseal.model import Case, CaseDocument
    from brokenseal.reports._columns import ReportTable
    from brokenseal.reports._paper import Block
    from brokenseal.wording import Phrase

MESSAGES_OF_A_CASE: Final = 100
"""Messages of each case that are printed; a report to be read and signed has no use for thousands of lines."""
MESSAGES_PRINTED: Final = 1_000
MESSAGES_IN_FULL: Final = 20_000
RECORDS_PRINTED: Final = 100
RECORDS_IN_FULL: Final = 2_000

EXPOSURE: Final = (
    "mailbox", "case", "certain", "possible", "possible_folders", "unknowable", "accesses", "first_at", "last_at"
)  # fmt: skip
MESSAGES: Final = ("mailbox", "cases", "subject", "sender", "first_at", "internet_message_id", "event_ids")
PERHAPS: Final = ("mailbox", "cases", "subject", "reason", "first_at", "internet_message_id", "event_ids")


def lines(sentences: Iterable[Phrase]) -> tuple[Line, ...]:
    """Sentences without footnotes."""
    return tuple(Line(said=said) for said in sentences)


def limits(document: CaseDocument) -> tuple[Phrase, ...]:
    """What the logs cannot tell: the verdict's reasons and coverage's sentences, each once."""
    kept: list[Phrase] = []
    for said in (*document.verdict.reasons, *document.coverage.cannot_tell):
        if said not in kept:
            kept.append(said)
    return tuple(kept)


def kinds() -> Facts:
    """What certain, possible and unknowable mean."""
    return Facts(rows=tuple((_words.KIND[kind], _words.KIND_MEANS[kind]) for kind in _words.KIND))


def likelihood(case: Case, judged: Assessment) -> Iterator[Block]:
    """How probable an intrusion is; nothing of how sure that is."""
    yield Grid(table=_judged.likelihoods(case, judged))


def confidence(judged: Assessment) -> Iterator[Block]:
    """How good the ground is; nothing of how probable an intrusion is."""
    yield Facts(rows=((_judged.CONFIDENCE, _words.CONFIDENCE[judged.confidence]),))
    yield Listing(lines=lines(judged.confidence_reasons))


def tested(case: Case, judged: Assessment) -> Iterator[Block]:
    """Innocent explanations with what came of them, the records in footnotes."""
    if judged.alternatives:
        yield Grid(table=_judged.alternatives(case, judged))


def ground(judged: Assessment) -> Iterator[Block]:
    """What would change the judgement, what to collect, which doors stay open, and what the figures lean on."""
    for part in _judged.sentences(judged):
        yield Head(level=3, said=part.title)
        yield Listing(lines=lines(part.lines))


def exposure(document: CaseDocument) -> Iterator[Block]:
    """What was read, by mailbox."""
    read = _tables.exposure_of(document.cases)
    if read.rows:
        yield Grid(table=read, columns=EXPOSURE)
    elif document.cases:
        yield Para(line=Line(said=phrase("No mail access belongs to a case.")))


def messages(table: ReportTable, columns: tuple[str, ...], *, heading: bool = True) -> Grid:
    """Messages, those of cases first: the first of each case, or as many as can be where somebody asks for all."""
    return Grid(
        table=table,
        columns=columns,
        most=MESSAGES_PRINTED,
        per_case=MESSAGES_OF_A_CASE,
        in_full=MESSAGES_IN_FULL,
        heading=heading,
    )


def custody(document: CaseDocument, *, heading: bool = True) -> Iterator[Block]:
    """Inputs with their hashes and counts, what could not be read, and by what the report was made."""
    found = document.inputs
    yield Para(
        line=Line(
            said=phrase(
                "{records} records were found: {kept} kept, {duplicates} copies, {rejected} in quarantine, "
                "{ignored} ignored.",
                records=found.records,
                kept=found.kept,
                duplicates=found.duplicates,
                rejected=found.rejected,
                ignored=found.ignored,
            )
        )
    )
    files = _ledger_tables.inputs(document)
    columns = ("path", "outcome", "records", "kept", "rejected", "size_bytes", "sha256")
    yield Grid(table=files, columns=columns, heading=heading)
    if found.quarantine:
        yield Grid(
            table=_ledger_tables.quarantine(document),
            columns=("path", "record_no", "reason", "salvaged_operation", "salvaged_actor", "salvaged_at"),
        )
    versions = ", ".join(f"{name} {version}" for name, version in sorted(document.table_versions.items()))
    yield Facts(
        rows=(
            (phrase("Program"), f"Brokenseal {document.product_version}"),
            (phrase("Versions of the tables"), versions or None),
        )
    )
    yield Para(
        line=Line(
            said=phrase(
                "The ledger names every input by its SHA-256 and binds each entry to the one before it. “brokenseal "
                "evidence verify” finds any later change to the recorded text or to the ledger."
            )
        ),
        role="note",
    )

"""The report for counsel as blocks: facts, counts with their kind, judgements apart from them, chain of custody."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from brokenseal.reports import _judged, _paper_parts, _tables, _words
from brokenseal.reports._not_done import not_done
from brokenseal.reports._paper import Counts, Facts, Grid, Head, Line, Listing, Para, SignOff
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import Case, CaseDocument
    from brokenseal.reports._paper import Block

_MESSAGES: Final = ("mailbox", "cases", "subject", "sender", "first_at", "last_at", "internet_message_id")


def blocks(document: CaseDocument, lang: str) -> tuple[Block, ...]:  # noqa: ARG001 - one contract for all readers
    """Facts first, then what is judged of them, then what proves both."""
    return (
        *_facts(document),
        *_read(document),
        *_judgements(document),
        *_absent(document),
        *_unknown(document),
        *_custody(document),
        *_messages(document),
        Head(level=1, said=phrase("Who stands for this report")),
        SignOff(),
    )


def _facts(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("Facts"))
    yield Para(line=Line(said=_words.headline(document)), role="lead")
    yield Para(line=Line(said=phrase("All times are UTC. Statements of fact rest on the records in the footnotes.")))
    for number, case in enumerate(document.cases, start=1):
        yield from _case(number, case)
    if not document.cases:
        yield Para(line=Line(said=phrase("No case stands.")))


def _case(number: int, case: Case) -> Iterator[Block]:
    seen = case.exposure
    yield Head(level=2, said=case.title, number=str(number))
    yield Facts(
        rows=(
            (phrase("Case"), case.id),
            (phrase("First (UTC)"), case.first_at),
            (phrase("Last (UTC)"), case.last_at),
            (phrase("Mailboxes"), case.mailboxes),
            (phrase("Accounts"), case.actors),
            (phrase("Addresses"), case.addresses),
        )
    )
    yield Counts(certain=seen.certain, possible=seen.possible, folders=len(seen.folders), unknowable=seen.unknowable)
    yield Listing(
        lines=tuple(
            Line(said=found.title, records=tuple(item.event_id for item in found.evidence)) for found in case.findings
        )
    )


def _read(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("What was read"))
    yield _paper_parts.kinds()
    yield from _paper_parts.exposure(document)
    yield Grid(table=_tables.open_ended(document))


def _judgements(document: CaseDocument) -> Iterator[Block]:
    judged = [(number, case) for number, case in enumerate(document.cases, start=1) if case.assessment is not None]
    if not judged:
        return
    yield Head(level=1, said=phrase("Likelihood"))
    yield Para(
        line=Line(
            said=phrase(
                "How probable an intrusion is, under three assumptions of how often mailboxes are broken into. How "
                "good the ground is stands apart, under “Confidence”."
            )
        )
    )
    for number, case in judged:
        yield Head(level=2, said=case.title, number=str(number))
        if case.assessment is not None:
            yield from _paper_parts.likelihood(case, case.assessment)
    yield Head(level=1, said=_judged.CONFIDENCE)
    for number, case in judged:
        yield Head(level=2, said=case.title, number=str(number))
        if case.assessment is not None:
            yield from _paper_parts.confidence(case.assessment)
            yield from _paper_parts.tested(case, case.assessment)
            yield from _paper_parts.ground(case.assessment)


def _absent(document: CaseDocument) -> Iterator[Block]:
    """Only with the coverage that proves it; without, the reason stands under what the logs cannot tell."""
    found = not_done(document)
    if not found.acts:
        return
    yield Head(level=1, said=phrase("What the intruder did not do"))
    yield Para(
        line=Line(
            said=phrase(
                "Each of these was looked for between the first and the last record of the cases. The logs are "
                "complete for that time, and no record shows it:"
            )
        )
    )
    yield Listing(lines=_paper_parts.lines(found.acts))
    yield Para(line=Line(said=phrase("The coverage that proves it:")))
    yield Listing(lines=_paper_parts.lines(found.coverage))


def _unknown(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("What the logs cannot tell"))
    said = _paper_parts.limits(document)
    if said:
        yield Listing(lines=_paper_parts.lines(said))
    else:
        yield Para(line=Line(said=phrase("No hole in these logs is known.")))
    why_not = not_done(document).why_not
    if why_not:
        yield Para(line=Line(said=phrase("What the intruder did not do cannot be stated:")))
        yield Listing(lines=_paper_parts.lines(why_not))


def _custody(document: CaseDocument) -> Iterator[Block]:
    yield Head(level=1, said=phrase("Chain of custody"))
    yield from _paper_parts.custody(document)
    made = {
        name: text for case in document.cases if case.assessment for name, text in case.assessment.made_with.items()
    }
    if made:
        yield Facts(rows=((phrase("Judged with"), tuple(f"{name} {text}" for name, text in sorted(made.items()))),))


def _messages(document: CaseDocument) -> Iterator[Block]:
    listed = _tables.messages(document)
    place = [column.name for column in listed.columns].index("cases")
    of_cases = dataclasses.replace(listed, rows=tuple(row for row in listed.rows if row[place]))
    if of_cases.rows:
        yield Head(level=1, said=phrase("Messages"))
        yield _paper_parts.messages(of_cases, _MESSAGES, heading=False)

"""The report for management as blocks: one page, in words that need no knowledge of audit logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.reports import _judged, _still_there, _words
from brokenseal.reports._paper import Counts, Facts, Head, Line, Listing, Para
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokenseal.model import Case, CaseDocument
    from brokenseal.reports._paper import Block
    from brokenseal.wording import Phrase

CASES_SHOWN: Final = 3
LIMITS_SHOWN: Final = 6
STEPS_SHOWN: Final = 8

# The needs of `coverage.NEEDS` in plain words; ids of tokens and sessions are of no use on this page.
_UNMET: Final = {
    "mail_access": phrase("The logs do not record who opened which message."),
    "sign_in": phrase("The logs do not record sign-ins: how anybody got in is not known."),
    "configuration": phrase("The logs do not record changed settings: what an intruder left behind would not show."),
}


def blocks(document: CaseDocument, lang: str) -> tuple[Block, ...]:  # noqa: ARG001 - one contract for all readers
    """One page: what happened, numbers with their kind, what is not known, what to do now."""
    return (
        Para(line=Line(said=_words.headline(document)), role="lead"),
        *_cases(document),
        Head(level=2, said=phrase("What is not known")),
        *_unknown(document),
        Head(level=2, said=phrase("What to do now")),
        *_steps(document),
        Para(
            line=Line(
                said=phrase(
                    "Certain: a record lists the message. Possible: it may have been read. Unknowable: a span of time "
                    "in which more may have been read than any record shows. Times are UTC."
                )
            ),
            role="note",
        ),
    )


def _cases(document: CaseDocument) -> Iterator[Block]:
    for case in document.cases[:CASES_SHOWN]:
        yield Head(level=2, said=case.title)
        seen = case.exposure
        yield Counts(
            certain=seen.certain, possible=seen.possible, folders=len(seen.folders), unknowable=seen.unknowable
        )
        yield Facts(rows=tuple(_facts(case)))
    if len(document.cases) > CASES_SHOWN:
        left = len(document.cases) - CASES_SHOWN
        yield Para(line=Line(said=phrase("{n} more case(s) stand in the report for analysts.", n=left)), role="note")


def _facts(case: Case) -> Iterator[tuple[Phrase, Phrase | tuple[str, ...] | str | None]]:
    yield phrase("When (UTC)"), phrase("{first_at} to {last_at}", first_at=case.first_at, last_at=case.last_at)
    boxes = tuple(box.mailbox for box in case.exposure.mailboxes)
    if boxes:
        yield phrase("Mailboxes read"), boxes
    if case.assessment is not None:
        yield _judged.MIDDLE, _judged.middle(case.assessment)
        yield _judged.CONFIDENCE, _words.CONFIDENCE[case.assessment.confidence]


def _unknown(document: CaseDocument) -> Iterator[Block]:
    said = (*unknown(document), *_still_there.lost(document))
    if not said:
        yield Para(line=Line(said=phrase("No hole in these logs is known.")))
        return
    yield Listing(lines=tuple(Line(said=each) for each in said[:LIMITS_SHOWN]))
    yield from _more(len(said) - LIMITS_SHOWN)


def _more(left: int) -> Iterator[Block]:
    if left > 0:
        yield Para(line=Line(said=phrase("{n} more stand in the report for analysts.", n=left)), role="note")


def unknown(document: CaseDocument) -> Iterator[Phrase]:
    """What is not known, in plain words, gravest first."""
    coverage = document.coverage
    yield from (_UNMET[need] for need in coverage.unmet_needs if need in _UNMET)
    spans = sum(case.exposure.unknowable for case in document.cases)
    if spans:
        yield phrase("In {n} span(s) of time more may have been read than is recorded.", n=spans)
    unlogged = sum(not box.has_mail_access for box in coverage.mailboxes)
    if unlogged and "mail_access" not in coverage.unmet_needs:
        yield phrase(
            "Of {n} mailbox(es) no reading is recorded at all: whether they were read is not known.", n=unlogged
        )
    off = sum(box.audit_bypassed is True for box in coverage.mailboxes)
    if off:
        yield phrase("For {n} mailbox(es) recording was switched off for a time.", n=off)
    if coverage.alarms:
        yield phrase("Parts of the logs are missing or damaged ({n} warning(s)).", n=len(coverage.alarms))
    if document.inputs.rejected:
        yield phrase("{n} record(s) could not be read.", n=document.inputs.rejected)
    blind = sum(state.state == "not_assessable" for state in document.detectors)
    if blind:
        yield phrase("{n} of {all} checks could not be made with these logs.", n=blind, all=len(document.detectors))


def _steps(document: CaseDocument) -> Iterator[Block]:
    said = _once(step for case in document.cases for step in case.next_steps) or [*_without_a_case(document)]
    yield Listing(lines=tuple(Line(said=each) for each in said[:STEPS_SHOWN]), ordered=True)
    yield from _more(len(said) - STEPS_SHOWN)


def _without_a_case(document: CaseDocument) -> Iterator[Phrase]:
    count = _words.notices(document)
    if count:
        yield phrase(
            "Have the {n} finding(s) that are worth a look confirmed in office hours, by whoever did it or ordered it; "
            "the report for analysts lists them.",
            n=count,
        )
    exports = tuple(_still_there.exports(document))
    yield from exports
    if exports:
        yield phrase("Keep the logs and this report, and run the investigation again with what is exported.")
    elif count or document.verdict.kind == "cannot_tell":
        yield phrase("Keep the logs and this report.")
    else:
        yield phrase("Nothing at once. Keep the logs and this report.")


def _once(sentences: Iterable[Phrase]) -> list[Phrase]:
    kept: list[Phrase] = []
    for said in sentences:
        if said not in kept:
            kept.append(said)
    return kept

"""The judgement of a case as tables and short lines: probability under three priors, units, innocent explanations.

Probability and confidence never stand in one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.reports import _words
from brokenseal.reports._columns import FIRST, LAST, ReportTable, coded, col
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokenseal.judged import Alternative, Assessment, Likelihood, UnitWeight
    from brokenseal.model import Case
    from brokenseal.wording import Phrase

PRIOR = {
    100: phrase("1 in 10,000"),
    1_000: phrase("1 in 1,000"),
    10_000: phrase("1 in 100"),
}
MIDDLE_PRIOR = 1_000
"""Intrusions per million mailbox-years of the one line that short screens show."""
MIDDLE = phrase("Likelihood, if 1 in 1,000 mailboxes is broken into each year")
CONFIDENCE = phrase("Confidence")
ALTERNATIVES = phrase("Innocent explanations, tested on the records")

_MILLI = 1_000
_PERCENT = 10
_LEAST, _MOST = 10, 990


def middle(assessment: Assessment) -> Phrase:
    """How probable an intrusion is under the middle prior, in words."""
    likelihoods = assessment.likelihoods
    found = next((each for each in likelihoods if each.prior_per_million == MIDDLE_PRIOR), None)
    return (found or likelihoods[len(likelihoods) // 2]).words if likelihoods else phrase("not judged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """A titled list of sentences of a case."""

    title: Phrase
    lines: tuple[Phrase, ...]


def sentences(assessment: Assessment) -> tuple[Sentences, ...]:
    """What is said beside the tables, as far as there is anything to say."""
    found = (
        Sentences(title=phrase("What would change this judgement"), lines=assessment.refutes),
        Sentences(title=phrase("What to collect next"), lines=assessment.collection),
        Sentences(title=phrase("Doors that no record closes"), lines=assessment.doors_open),
        Sentences(title=phrase("What the figures lean on"), lines=assessment.assumptions),
    )
    return tuple(each for each in found if each.lines)


def by_result(alternatives: Iterable[Alternative]) -> Iterator[tuple[Phrase, tuple[Phrase, ...]]]:
    """The names of the innocent explanations by what came of them, those supported first."""
    listed = tuple(alternatives)
    for result in ("supported", "cannot_tell", "refuted"):
        names = tuple(each.name for each in listed if each.result == result)
        if names:
            yield _words.RESULT[result], names


# ---------------------------------------------------------------- tables


def likelihoods(case: Case, assessment: Assessment) -> ReportTable:
    """One row per prior."""
    return ReportTable(
        name=f"likelihood-{case.id}",
        title=phrase("How probable an intrusion is"),
        columns=(
            col("prior", phrase("If so many mailboxes are broken into each year"), "word"),
            col("probability", phrase("Probability"), "word"),
            col("interval", phrase("90 % interval"), "word"),
            col("words", phrase("In words"), "word"),
        ),
        rows=tuple(_likelihood(each) for each in assessment.likelihoods),
    )


def _likelihood(each: Likelihood) -> tuple[Phrase, Phrase, Phrase, Phrase]:
    prior = PRIOR.get(each.prior_per_million)
    if prior is None:
        prior = phrase("{n} in a million", n=each.prior_per_million)
    return prior, _percent(each.permille), _interval(each), each.words


def _percent(permille: int) -> Phrase:
    if permille < _LEAST:
        return phrase("below 1 %")
    if permille > _MOST:
        return phrase("above 99 %")
    return phrase("{percent} %", percent=round(permille / _PERCENT))


def _interval(each: Likelihood) -> Phrase:
    """Rounded outwards, and never 0 or 100."""
    if each.high_permille < _LEAST or each.low_permille > _MOST:
        return _percent(each.low_permille)
    low, high = max(each.low_permille // _PERCENT, 1), min(-(-each.high_permille // _PERCENT), 99)
    return phrase("{low}–{high} %", low=low, high=high)


def alternatives(case: Case, assessment: Assessment) -> ReportTable:
    """One row per innocent explanation."""
    return ReportTable(
        name=f"alternatives-{case.id}",
        title=ALTERNATIVES,
        columns=(
            col("name", phrase("Explanation"), "word"),
            col("result", phrase("Result"), "word"),
            col("because", phrase("Because"), "text"),
            col("event_ids", phrase("Records"), "records"),
        ),
        rows=tuple(
            (each.name, coded(_words.RESULT, each.result), each.because, each.event_ids)
            for each in assessment.alternatives
        ),
    )


def units(case: Case, assessment: Assessment) -> ReportTable:
    """One row per unit of evidence that is listed, heaviest first."""
    return ReportTable(
        name=f"units-{case.id}",
        title=phrase("What was weighed"),
        columns=(
            col("unit", phrase("First record"), "records"),
            col("standing", phrase("Part in the case"), "word"),
            col("mailbox", phrase("Mailbox"), "text"),
            col("actor", phrase("Account"), "text"),
            col("app", phrase("Application"), "code"),
            col("network", phrase("Network"), "code"),
            FIRST,
            LAST,
            col("records", phrase("Records"), "number"),
            col("weight", phrase("Weight"), "number"),
            col("says", phrase("Detectors"), "codes"),
        ),
        rows=tuple(
            (
                (each.unit,),
                coded(_words.STANDING, each.standing),
                each.mailbox,
                each.actor,
                each.app,
                each.network,
                each.first_at,
                each.last_at,
                each.records,
                round(each.millibans / _MILLI, 1),
                _says(each),
            )
            for each in assessment.units
        ),
    )


def _says(unit: UnitWeight) -> tuple[str, ...]:
    """What fired, with its bin; the bins are named in the documentation."""
    return tuple(
        f"{part.detector_id}: {part.bin}" if part.bin else part.detector_id
        for part in unit.parts
        if part.state == "fired"
    )

"""The judgement of cases in words: how probable under three priors, on what ground, and what would refute it.

    drafts, weights ─▶ units ─▶ records asked once for all cases ─▶ alternatives ─▶ confidence, assumptions, next steps

Everything here is pure: the same records, weights and calibration give the same words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from brokenseal import __version__, _assessment_records, _assessment_words
from brokenseal._assessment_doors import doors_open
from brokenseal._assessment_records import Records
from brokenseal._assessment_words import Ground
from brokenseal.alternatives import Question, alternatives
from brokenseal.detectors import DETECTORS, WEIGHED, token_provenance
from brokenseal.judged import Assessment, EvidencePart, UnitWeight
from brokenseal.likelihood import WINDOW_DAYS, likelihoods, ratio_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from brokenseal._assessment_records import Unit
    from brokenseal.calibration import Calibration
    from brokenseal.judgement import Judgement
    from brokenseal.model import Coverage, Finding, Tables
    from brokenseal.scope import CaseDraft

    Standing = Literal["opens", "joins", "follows", "cited"]

UNITS_LISTED: Final = 12
"""So many units of a case are listed; all are counted."""
UNITS_TESTED: Final = 6
"""So many of the heaviest units that opened a case must be explained by an innocent explanation."""
_UNITS_READ: Final = 200
_MILLI: Final = 1000
_BILLION: Final = 1e9
_WEEKS: Final = WINDOW_DAYS / 7
_FAMILY: Final = {detector.id: detector.family for detector in (*DETECTORS, *WEIGHED)}
_OF_ANOTHER: Final = {"volume": "stranger"}
"""Kinds of evidence that fire only where another has."""


class _Listed(NamedTuple):
    """The units of one case.

    Attributes:
        standing: Unit to why it is in the case, heaviest first.
        opening: Those that opened it; where a rule did, those that its findings are about.
        is_rule: Whether no weight opened it.
    """

    standing: dict[str, Standing]
    opening: tuple[str, ...]
    is_rule: bool


def assess(
    draft: CaseDraft, judgement: Judgement, tables: Tables, coverage: Coverage, calibration: Calibration
) -> Assessment:
    """The judgement of one case; see `assessments`."""
    return assessments((draft,), judgement, tables, coverage, calibration)[0]


def assessments(
    drafts: Sequence[CaseDraft],
    judgement: Judgement,
    tables: Tables,
    coverage: Coverage,
    calibration: Calibration,
) -> tuple[Assessment, ...]:
    """The judgement of every case, in the order of the drafts.

    Args:
        drafts: As `scope.cases_of` gives them with the same judgement.
        judgement: What was weighed.
        tables: The store's tables, best with `members` and `clusters` as `judgement.clustered` gives them.
        coverage: What the logs can tell.
        calibration: What the judgement was made with.
    """
    if not drafts:
        return ()
    listed = [_units_of_case(draft, judgement) for draft in drafts]
    orphans = _orphans(judgement)
    records, tested = _read(tables, listed, orphans)
    orphaned = tuple(records.units[unit] for unit in orphans if unit in records.units)
    return tuple(
        _assessed(draft, each, tested[number], orphaned, _Context(judgement, records, coverage, calibration))
        for number, (draft, each) in enumerate(zip(drafts, listed, strict=True))
    )


class _Context(NamedTuple):
    """What is the same for all cases."""

    judgement: Judgement
    records: Records
    coverage: Coverage
    calibration: Calibration


# ---------------------------------------------------------------- units


def _units_of_case(draft: CaseDraft, judgement: Judgement) -> _Listed:
    """The units that a case's findings are about, and those that follow them."""
    cited = {unit for finding in draft.findings for unit in judgement.units_of(finding)}.union(draft.units)
    cited |= {unit for unit, first in judgement.followed.items() if first in cited}
    weighed = [unit for unit in cited if unit in judgement.position_of]
    weighed.sort(key=lambda unit: (-_margin(unit, judgement), unit))
    opening = tuple(unit for unit in weighed if unit in judgement.opened)
    is_rule = not opening
    if is_rule:
        about = {unit for finding in _ruling(draft, judgement) for unit in judgement.units_of(finding)}
        opening = tuple(unit for unit in weighed if unit in about) or tuple(weighed[:1])
    return _Listed({unit: _standing(unit, frozenset(cited), judgement) for unit in weighed}, opening, is_rule)


def _ruling(draft: CaseDraft, judgement: Judgement) -> tuple[Finding, ...]:
    """Findings that open a case by rule."""
    return tuple(
        finding
        for finding in draft.findings
        if not finding.is_notice and judgement.is_rule(finding.detector_id, finding.variant)
    )


def _margin(unit: str, judgement: Judgement) -> float:
    """How far above the threshold of its kind a unit weighs."""
    return (judgement.weight_of(unit) or 0.0) - _threshold(unit, judgement)


def _threshold(unit: str, judgement: Judgement) -> float:
    """Decimal logarithm of the weight from which a unit opens a case."""
    found = judgement.threshold_of(unit)
    return judgement.threshold if found is None else found


def _standing(unit: str, cited: frozenset[str], judgement: Judgement) -> Standing:
    if unit in judgement.opened:
        return "opens"
    if unit in judgement.joined:
        return "joins"
    return "follows" if judgement.followed.get(unit, "") in cited else "cited"


def _orphans(judgement: Judgement) -> tuple[str, ...]:
    """Units with a token whose sign-in is missing, over all mailboxes."""
    column = judgement.weighed.columns.get(token_provenance.DETECTOR.id)
    if column is None:
        return ()
    units = judgement.weighed.units
    return tuple(units[position] for position in np.flatnonzero(column.codes > 0).tolist())


def _read(
    tables: Tables, listed: Sequence[_Listed], orphans: Iterable[str]
) -> tuple[Records, tuple[tuple[Unit, ...], ...]]:
    """The records that all cases need, and per case the units that explanations are tested on."""
    changes = _assessment_records.changes_of(tables)
    wanted = {unit for each in listed for unit in (*each.opening, *list(each.standing)[:_UNITS_READ])}
    units = _assessment_records.units_of(tables, wanted.union(orphans), changes)
    tested = tuple(tuple(units[unit] for unit in each.opening[:UNITS_TESTED] if unit in units) for each in listed)
    subjects = tuple({unit.unit: unit for each in tested for unit in each}.values())
    records = Records(
        units=units,
        habits=_assessment_records.habits_of(tables, subjects),
        sign_ins=_assessment_records.sign_ins_of(tables, subjects),
        changes=changes,
        closings=_assessment_records.closings_of(tables),
        weeks=_assessment_records.weeks_of(tables),
    )
    return records, tested


def _parts(unit: str, judgement: Judgement) -> tuple[EvidencePart, ...]:
    """What the detectors say of a unit; one that is not for units of its kind (it has no reason) says nothing."""
    return tuple(
        EvidencePart(
            detector_id=part.detector_id,
            state=part.state,  # type: ignore[arg-type]
            bin=part.bin,
            reason=part.reason,
            f0_upper_ppb=None if part.f0_upper is None else round(part.f0_upper * _BILLION),
            n_reference=part.n_reference,
            basis=part.basis,
            is_assumed=part.is_assumed,
        )
        for part in judgement.weighed.parts(judgement.position_of[unit])
        if part.state != "not_assessable" or part.reason is not None
    )


def _unit_weight(unit: Unit, standing: Standing, judgement: Judgement) -> UnitWeight:
    return UnitWeight(
        unit=unit.unit,
        is_door=unit.is_door,
        standing=standing,
        mailbox=unit.mailbox,
        actor=unit.account,
        app=unit.app,
        network=unit.network,
        agent=unit.agent,
        first_at=unit.first_at,
        last_at=unit.last_at,
        records=unit.records,
        millibans=_millibans(judgement.weight_of(unit.unit) or 0.0),
        parts=_parts(unit.unit, judgement),
    )


def _millibans(log10: float) -> int:
    return round(_MILLI * log10)


# ---------------------------------------------------------------- one case


def _assessed(
    draft: CaseDraft, listed: _Listed, tested: tuple[Unit, ...], orphaned: tuple[Unit, ...], context: _Context
) -> Assessment:
    judgement, records = context.judgement, context.records
    events = {item.event_id for finding in draft.findings for item in finding.evidence}.union(listed.standing)
    question = Question(
        # Not the draft's: what joined a case may lie weeks before what opened it.
        began_at=min((unit.first_at for unit in tested), default=draft.first_at),
        events=frozenset(events),
        tested=tested,
        orphaned=orphaned,
        coverage=context.coverage,
    )
    ground = _ground(draft, listed, tested, question, context)
    level, reasons = _assessment_words.confidence(ground)
    units = [
        _unit_weight(records.units[unit], standing, judgement)
        for unit, standing in listed.standing.items()
        if unit in records.units
    ]
    return Assessment(
        millibans=0 if ground.lead is None else _millibans(judgement.weight_of(ground.lead) or 0.0),
        threshold_millibans=_millibans(ground.threshold),
        budget_per_billion=round(ground.budget * _BILLION),
        likelihoods=likelihoods(ground.ratio),
        confidence=level,
        confidence_reasons=reasons,
        units=tuple(units[:UNITS_LISTED]),
        n_units=len(listed.standing),
        alternatives=ground.alternatives,
        assumptions=_assessment_words.assumptions(ground),
        refutes=_assessment_words.refutes(ground),
        collection=_assessment_words.collection(ground),
        doors_open=doors_open(events, records),
        made_with={"product": __version__, "calibration": context.calibration.made_of},
    )


def _ground(
    draft: CaseDraft, listed: _Listed, tested: tuple[Unit, ...], question: Question, context: _Context
) -> Ground:
    judgement = context.judgement
    lead = next(iter(listed.standing), None)
    threshold = judgement.threshold if lead is None else _threshold(lead, judgement)
    bound = None if lead is None else judgement.bound_of(lead)
    # The bound is units of a mailbox a week, with its share of the budget, over the budget.
    units_per_window = 1.0 if bound is None else 10**bound * judgement.budget * _WEEKS
    weight = 0.0 if lead is None else judgement.weight_of(lead) or 0.0
    parts = tuple(part for unit in listed.opening for part in _parts(unit, judgement))
    heavy = {unit for unit, standing in listed.standing.items() if standing in {"opens", "joins"}}
    fired = {
        _FAMILY.get(part.detector_id, "other")
        for unit in heavy.union(listed.opening)
        for part in _parts(unit, judgement)
        if part.state == "fired"
    }
    fired |= {finding.family for finding in _ruling(draft, judgement)}
    # What opens by rule has no weight: where it stands beside a heavy unit, that unit bounds nothing from above.
    ratio = ratio_of(_millibans(weight), units_per_window, context.calibration, is_rule=listed.is_rule)
    families = {family for family in fired - {"other"} if _OF_ANOTHER.get(family) not in fired}
    return Ground(
        draft=draft,
        lead=lead,
        tested=tested,
        began_at=question.began_at,
        ended_at=max((unit.last_at for unit in tested), default=draft.last_at),
        parts=parts,
        fired=frozenset(fired),
        families=tuple(sorted(families)),
        is_rule=listed.is_rule,
        ratio=ratio if listed.is_rule or not _ruling(draft, judgement) else ratio._replace(high=math.inf),
        units_per_window=units_per_window,
        threshold=threshold,
        bound=threshold if bound is None else bound,
        budget=judgement.budget,
        alternatives=alternatives(question, context.records),
        records=context.records,
        coverage=context.coverage,
        calibration=context.calibration,
    )

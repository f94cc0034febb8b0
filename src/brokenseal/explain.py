"""Why a case stands, unit by unit, with what a person needs to check it against the raw records.

    units of the case ─ one file of `explanations` per question ─▶ Explanation ─ screen or JSON

Nothing is judged here: weights and bins are given, and the facts behind them are looked up.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.detectors import DETECTORS, WEIGHED
from brokenseal.explanations.asked import Asked, Row, read, texts_table
from brokenseal.explanations.citations import cited_records
from brokenseal.explanations.claims import claim_sides
from brokenseal.explanations.clients import client_sides
from brokenseal.explanations.doors import door_sides
from brokenseal.explanations.sessions import session_sides
from brokenseal.explanations.tokens import token_sides
from brokenseal.explanations.values import Answer, Explanation, RuleFinding, UnitExplanation
from brokenseal.explanations.volumes import volume_sides
from brokenseal.schema import MARK
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from brokenseal.explanations.values import (
        CitedRecord,
        ClaimSide,
        ClientSide,
        DoorSide,
        SessionSide,
        TokenSide,
        VolumeSide,
    )
    from brokenseal.judged import Assessment, EvidencePart, UnitWeight
    from brokenseal.model import Finding, Tables

UNITS_SHOWN: Final = 10
CITED_SHOWN: Final = 12
FINDINGS_SHOWN: Final = 10
OF_FINDING_SHOWN: Final = 4
_BY_ID: Final = {detector.id: detector for detector in (*DETECTORS, *WEIGHED)}
_STATES: Final = ("fired", "not_assessable", "quiet")


def explain(
    tables: Tables,
    marks: Mapping[str, pa.Table],
    judged: Assessment,
    *,
    case_id: str,
    findings: Sequence[Finding] = (),
    calibration: str,
    simulated: bool,
) -> Explanation:
    """Look up what the evidence of a case rests on.

    Args:
        tables: The store's tables with `members` and `clusters`, as `investigate.weighing` gives them.
        marks: As `judgement.run_marks` gives them.
        judged: The judgement of the case; the first `UNITS_SHOWN` of its units are explained.
        case_id: The case.
        findings: Of the case; those that are about no unit are told with their records.
        calibration: What the bounds were counted on, in words.
        simulated: The logs are of a tenant that was made up.
    """
    shown = judged.units[:UNITS_SHOWN]
    asked = _asked(tables, marks, shown)
    sides = _Sides(
        token=token_sides(asked),
        claims=claim_sides(asked),
        client=client_sides(asked),
        volume=volume_sides(asked),
        session=session_sides(asked),
        door=door_sides(asked),
    )
    explained = [_unit(weight, asked, sides) for weight in shown]
    units = {unit.unit for unit in judged.units}
    by_rule = [found for found in findings if not found.units and not units & {one.event_id for one in found.evidence}]
    return Explanation(
        case_id=case_id,
        simulated=simulated,
        threshold_millibans=judged.threshold_millibans,
        calibration=calibration,
        units=_with_records(asked, explained),
        n_units=max(judged.n_units, len(shown)),
        findings=_rule_findings(asked, by_rule[:FINDINGS_SHOWN]),
        n_findings=len(by_rule),
    )


class _Sides(NamedTuple):
    """Each question's answer by unit."""

    token: Mapping[str, TokenSide]
    claims: Mapping[str, ClaimSide]
    client: Mapping[str, ClientSide]
    volume: Mapping[str, VolumeSide]
    session: Mapping[str, SessionSide]
    door: Mapping[str, DoorSide]


def _unit(weight: UnitWeight, asked: Asked, sides: _Sides) -> UnitExplanation:
    unit = weight.unit
    return UnitExplanation(
        unit=unit,
        is_door=weight.is_door,
        standing=weight.standing,
        millibans=weight.millibans,
        mailbox=weight.mailbox,
        actor=weight.actor,
        app=weight.app,
        network=weight.network,
        agent=weight.agent,
        first_at=weight.first_at,
        last_at=weight.last_at,
        records=weight.records,
        answers=_answers(weight, asked),
        token=sides.token.get(unit),
        claims=sides.claims.get(unit),
        client=sides.client.get(unit),
        volume=sides.volume.get(unit),
        session=sides.session.get(unit),
        door=sides.door.get(unit),
        cited=(),
        n_cited=0,
    )


def _asked(tables: Tables, marks: Mapping[str, pa.Table], units: Sequence[UnitWeight]) -> Asked:
    named = {
        f"marks:{detector_id}": ibis.memtable(rows, schema=MARK.ibis_schema()) for detector_id, rows in marks.items()
    }
    known: Tables = {**tables, **named}
    clusters = tables["clusters"]
    wanted = texts_table("wanted_unit", (unit.unit for unit in units if not unit.is_door))
    rows = {row["cluster"]: row for row in read(clusters.semi_join(wanted, clusters.cluster == wanted.wanted_unit))}
    ids = {unit.unit for unit in units}
    return Asked(
        tables=known,
        clusters=tuple(rows[unit.unit] for unit in units if unit.unit in rows),
        doors=tuple(unit.unit for unit in units if unit.is_door),
        bins={detector_id: _fired(rows_, ids) for detector_id, rows_ in marks.items()},
    )


def _fired(rows: pa.Table, units: set[str]) -> dict[str, str | None]:
    columns = (rows.column(name).to_pylist() for name in ("unit", "state", "bin"))
    return {unit: name for unit, state, name in zip(*columns, strict=True) if state == "fired" and unit in units}


def _answers(weight: UnitWeight, asked: Asked) -> tuple[Answer, ...]:
    """What each detector says, those that found something first."""
    listed = sorted(weight.parts, key=lambda part: _STATES.index(part.state))
    return tuple(_answer(part, asked.fired(part.detector_id).get(weight.unit)) for part in listed)


def _answer(part: EvidencePart, own_bin: str | None) -> Answer:
    detector = _BY_ID.get(part.detector_id)
    name = part.bin or own_bin
    return Answer(
        detector_id=part.detector_id,
        title=phrase("{detector}", detector=part.detector_id) if detector is None else detector.title,
        state=part.state,
        bin=name,
        meaning=None if detector is None or name is None else detector.bins.get(name),
        reason=part.reason,
        f0_upper_ppb=part.f0_upper_ppb,
        n_reference=part.n_reference,
        basis=part.basis,
        is_assumed=part.is_assumed,
    )


# ---------------------------------------------------------------- the records behind it


def _with_records(asked: Asked, units: Sequence[UnitExplanation]) -> tuple[UnitExplanation, ...]:
    ends = _ends(asked)
    ids = {unit.unit: tuple(dict.fromkeys(_cited_ids(unit, ends))) for unit in units}
    records = cited_records(asked, {event_id for listed in ids.values() for event_id in listed[:CITED_SHOWN]})
    return tuple(replace(unit, cited=_known(ids[unit.unit], records), n_cited=len(ids[unit.unit])) for unit in units)


def _rule_findings(asked: Asked, findings: Sequence[Finding]) -> tuple[RuleFinding, ...]:
    """The findings with their first records."""
    ids = {found.id: tuple(dict.fromkeys(one.event_id for one in found.evidence)) for found in findings}
    records = cited_records(asked, {event_id for listed in ids.values() for event_id in listed[:OF_FINDING_SHOWN]})
    return tuple(
        RuleFinding(
            detector_id=found.detector_id,
            variant=found.variant,
            title=found.title,
            first_at=found.first_at,
            last_at=found.last_at,
            cited=_known(ids[found.id][:OF_FINDING_SHOWN], records),
            n_cited=len(ids[found.id]),
        )
        for found in findings
    )


def _known(ids: Sequence[str], records: Mapping[str, CitedRecord]) -> tuple[CitedRecord, ...]:
    return tuple(records[event_id] for event_id in ids[:CITED_SHOWN] if event_id in records)


def _ends(asked: Asked) -> dict[str, Row]:
    """First and last record of each session cluster."""
    rows = asked.members()
    ends = rows.group_by("cluster").aggregate(last=rows.event_id.argmax(rows.occurred_at))
    return {row["cluster"]: row for row in read(ends)}


def _cited_ids(unit: UnitExplanation, ends: Mapping[str, Row]) -> Iterator[str]:
    """Event ids that the explanation of a unit rests on, most telling first."""
    yield unit.unit
    found = () if unit.claims is None else unit.claims.contradictions
    yield from (fact.event_id for each in found for fact in each.facts if fact.event_id is not None)
    yield from _of_tokens(unit)
    yield from _of_session(unit)
    for door in () if unit.door is None else unit.door.doors:
        yield from (step.event_id for step in door.chain if step.event_id is not None)
    if unit.unit in ends:
        yield ends[unit.unit]["last"]


def _of_tokens(unit: UnitExplanation) -> Iterator[str]:
    for token in () if unit.token is None else unit.token.tokens[:2]:
        yield token.event_id
        yield from (sign_in.event_id for sign_in in token.named_by[:2])
        if token.nearest is not None:
            yield token.nearest.event_id


def _of_session(unit: UnitExplanation) -> Iterator[str]:
    """Where the hand changes, both sides of the change."""
    steps = () if unit.session is None else unit.session.steps
    for before, after in pairwise(steps):
        if before.hand != after.hand:
            yield from (before.event_id, after.event_id)

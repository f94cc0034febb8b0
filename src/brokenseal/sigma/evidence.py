"""Hits of rules as evidence of their own kind: grouped, ranked, put by the cases that they concern, within a budget.

A rule of somebody else was never weighed on this tenant's logs. Its hits therefore open no case and change none. Those
on records that a case cites stand by it, and so do those on its mailboxes and accounts in its time, told apart; of the
others, the gravest and rarest are shown, up to the budget, and the rest is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from brokenseal.outside_rules import OutsideRules, RuleNotRun, RuleSaid, RulesOfCase
from brokenseal.sigma.values import LEVELS, as_it_stands

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from brokenseal.outside_rules import RuleStanding
    from brokenseal.sigma.values import Rule, RuleFault, RuleHit, RuleVerdict, RunResult

BUDGET: Final = 20
"""What rules said that is shown of one case beyond its own records, and beside all cases; the rest is counted."""
CITED: Final = 50
OF_RECORDS: Final = 100
"""Rules on records of one case that are shown."""
NOT_RUN: Final = 200
_STANDINGS: Final[tuple[RuleStanding, ...]] = ("record", "subject", "apart")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReach:
    """What a case is about: the records that it cites, and whose mailboxes and accounts it concerns, folded."""

    case_id: str
    event_ids: frozenset[str]
    mailboxes: frozenset[str]
    actors: frozenset[str]
    first_at: dt.datetime
    last_at: dt.datetime


def outside_rules(result: RunResult, cases: Sequence[CaseReach], *, budget: int = BUDGET) -> OutsideRules:
    """A run of rules as a part of the document.

    Args:
        result: Run with the records of the cases as `wanted`, so that their hits are listed before others.
        cases: In the order of the document.
        budget: What is shown of hits on no record of a case.
    """
    of_case, apart = placed(result, cases)
    in_order = (_shown(case.case_id, of_case[case.case_id], budget) for case in cases if case.case_id in of_case)
    not_run = [
        *(_silent(each) for each in result.verdicts if each.state not in {"runnable", "unreadable"}),
        *(_unreadable(each) for each in result.faults),
    ]
    return OutsideRules(
        rules=sum(each.state != "unreadable" for each in result.verdicts) + len(result.faults),
        runnable=sum(each.state == "runnable" for each in result.verdicts),
        fired=len(result.counts),
        records=result.records,
        cases=tuple(in_order),
        apart=apart[:budget],
        apart_left_out=max(0, len(apart) - budget),
        not_run=tuple(sorted(not_run, key=_gravest_fault))[:NOT_RUN],
        not_run_in_all=len(not_run),
    )


def _silent(verdict: RuleVerdict) -> RuleNotRun:
    rule = verdict.rule
    state: Literal["never", "source_absent"] = "never" if verdict.state == "never" else "source_absent"
    return RuleNotRun(title=rule.title, path=rule.path, line=rule.line, state=state, reason=verdict.reason)


def _unreadable(fault: RuleFault) -> RuleNotRun:
    return RuleNotRun(
        title=fault.rule_id or "",
        path=fault.path,
        line=fault.line,
        state="unreadable",
        reason=as_it_stands(fault.reason),
    )


_FAULTS: Final = ("unreadable", "never", "source_absent")


def _gravest_fault(each: RuleNotRun) -> tuple[int, str, int]:
    return (_FAULTS.index(each.state), each.path, each.line)


def placed(
    result: RunResult, cases: Sequence[CaseReach]
) -> tuple[dict[str, tuple[RuleSaid, ...]], tuple[RuleSaid, ...]]:
    """What rules said, by the cases that it concerns, and what concerns none; each gravest first, then rarest.

    A hit concerns the cases that cite one of its records; where there is none, those with its mailbox or account
    between their first and last record.
    """
    rules = {verdict.rule.key: verdict.rule for verdict in result.verdicts}
    citing: dict[str, list[str]] = {}
    for case in cases:
        for event_id in case.event_ids:
            citing.setdefault(event_id, []).append(case.case_id)
    groups: dict[tuple[str | None, RuleStanding, str, str], list[RuleHit]] = {}
    for hit in result.hits:
        standing: RuleStanding = "record"
        own = dict.fromkeys(case_id for event_id in hit.event_ids for case_id in citing.get(event_id, ()))
        if not own:
            standing = "subject"
            own = dict.fromkeys(case.case_id for case in cases if _is_near(hit, case))
        for case_id in own or (None,):
            key = (case_id, standing if case_id else "apart", hit.rule_key, _subject(hit))
            groups.setdefault(key, []).append(hit)
    found: dict[str | None, list[RuleSaid]] = {}
    for (case_id, standing, rule_key, subject), hits in groups.items():
        said = _said(rules[rule_key], standing, subject, hits, result.counts)
        found.setdefault(case_id, []).append(said)
    in_order = {case_id: tuple(sorted(listed, key=_rank)) for case_id, listed in found.items()}
    return {case_id: listed for case_id, listed in in_order.items() if case_id is not None}, in_order.get(None, ())


def _shown(case_id: str, said: Sequence[RuleSaid], budget: int) -> RulesOfCase:
    own = [each for each in said if each.standing == "record"][:OF_RECORDS]
    near = [each for each in said if each.standing != "record"][:budget]
    return RulesOfCase(case_id=case_id, said=(*own, *near), left_out=len(said) - len(own) - len(near))


def _is_near(hit: RuleHit, case: CaseReach) -> bool:
    if hit.first_at is None or hit.last_at is None or hit.last_at < case.first_at or hit.first_at > case.last_at:
        return False
    return not (case.mailboxes.isdisjoint(hit.mailboxes) and case.actors.isdisjoint(hit.actors))


def _subject(hit: RuleHit) -> str:
    if hit.group:
        return ", ".join(f"{name}={value}" for name, value in hit.group)
    return next(iter((*hit.mailboxes, *hit.actors)), "")


def _said(
    rule: Rule, standing: RuleStanding, subject: str, hits: Sequence[RuleHit], counts: Mapping[str, int]
) -> RuleSaid:
    times = [each for hit in hits for each in (hit.first_at, hit.last_at) if each is not None]
    cited = dict.fromkeys(event_id for hit in hits for event_id in hit.event_ids)
    return RuleSaid(
        rule=rule.key,
        title=rule.title,
        author=rule.author,
        description=rule.description,
        level=rule.level,
        path=rule.path,
        attack=rule.techniques,
        standing=standing,
        subject=subject,
        hits=len(hits),
        rule_hits=counts.get(rule.key, len(hits)),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        event_ids=tuple(cited)[:CITED],
        actors=tuple(sorted({each for hit in hits for each in hit.actors})),
        mailboxes=tuple(sorted({each for hit in hits for each in hit.mailboxes})),
    )


def _rank(said: RuleSaid) -> tuple[int, int, int, str, str]:
    first = said.first_at.isoformat() if said.first_at else ""
    standing = _STANDINGS.index(said.standing)
    return (standing, LEVELS.index(said.level), said.rule_hits, first, f"{said.rule} {said.subject}")

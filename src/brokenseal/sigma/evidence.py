"""Hits of rules as evidence of their own kind: grouped, ranked, and kept to a budget.

A rule of somebody else was never weighed on this tenant's logs. Its hits therefore open no case. Those that share a
record, a mailbox or an actor with a case stand by it as corroboration; of the others, the gravest and rarest are
shown, up to the budget, and the rest is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.sigma.values import LEVELS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping, Sequence

    from brokenseal.sigma.values import Rule, RuleHit, RunResult

BUDGET: Final = 20
"""Notices of rules that are shown beside cases; the rest is counted."""
CITED: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvidence:
    """What one rule says of one subject.

    Attributes:
        subject: Mailbox key, else actor, else the group of a correlation rule, else empty.
        hits: How many hits there are of that rule on that subject among those listed.
        rule_hits: How many hits the rule has in all: a rule that fires on everything says little.
        event_ids: By time; the first `CITED`.
    """

    rule: Rule
    subject: str
    hits: int
    rule_hits: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    event_ids: tuple[str, ...]
    actors: tuple[str, ...]
    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Evidence of rules by where it belongs.

    Attributes:
        by_case: Case id to the evidence that stands by it, gravest first.
        notices: What belongs to no case, within the budget.
        left_out: How many notices were beyond it.
    """

    by_case: Mapping[str, tuple[RuleEvidence, ...]]
    notices: tuple[RuleEvidence, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReach:
    """What a case is about: the records that it cites, and whose mailboxes and accounts it concerns."""

    case_id: str
    event_ids: Collection[str]
    mailboxes: Collection[str]
    actors: Collection[str]
    first_at: dt.datetime
    last_at: dt.datetime


def rule_evidence(result: RunResult) -> tuple[RuleEvidence, ...]:
    """Hits by rule and subject, gravest first, then rarest, then by time."""
    rules = {verdict.rule.key: verdict.rule for verdict in result.verdicts}
    found: dict[tuple[str, str], list[RuleHit]] = {}
    for hit in result.hits:
        found.setdefault((hit.rule_key, _subject(hit)), []).append(hit)
    evidence = [
        _evidence(rules[key], subject, hits, result.counts.get(key, len(hits)))
        for (key, subject), hits in found.items()
    ]
    return tuple(sorted(evidence, key=_rank))


def placed(evidence: Sequence[RuleEvidence], cases: Sequence[CaseReach], *, budget: int = BUDGET) -> Placed:
    """Put evidence by the cases that it concerns; what is left is notices within the budget.

    A case is concerned by a shared record, or by a shared mailbox or actor between its first and last record.
    """
    by_case: dict[str, list[RuleEvidence]] = {}
    rest = []
    for each in sorted(evidence, key=_rank):
        own = [case for case in cases if _concerns(each, case)]
        for case in own:
            by_case.setdefault(case.case_id, []).append(each)
        if not own:
            rest.append(each)
    return Placed(
        by_case={case_id: tuple(own) for case_id, own in by_case.items()},
        notices=tuple(rest[:budget]),
        left_out=max(0, len(rest) - budget),
    )


def _concerns(evidence: RuleEvidence, case: CaseReach) -> bool:
    if not set(case.event_ids).isdisjoint(evidence.event_ids):
        return True
    if evidence.first_at is None or evidence.last_at is None:
        return False
    if evidence.last_at < case.first_at or evidence.first_at > case.last_at:
        return False
    return not (set(case.mailboxes).isdisjoint(evidence.mailboxes) and set(case.actors).isdisjoint(evidence.actors))


def _subject(hit: RuleHit) -> str:
    if hit.group:
        return ", ".join(f"{name}={value}" for name, value in hit.group)
    return next(iter((*hit.mailboxes, *hit.actors)), "")


def _evidence(rule: Rule, subject: str, hits: Sequence[RuleHit], rule_hits: int) -> RuleEvidence:
    times = [each for hit in hits for each in (hit.first_at, hit.last_at) if each is not None]
    cited = dict.fromkeys(event_id for hit in hits for event_id in hit.event_ids)
    return RuleEvidence(
        rule=rule,
        subject=subject,
        hits=len(hits),
        rule_hits=rule_hits,
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        event_ids=tuple(cited)[:CITED],
        actors=tuple(sorted({each for hit in hits for each in hit.actors})),
        mailboxes=tuple(sorted({each for hit in hits for each in hit.mailboxes})),
    )


def _rank(evidence: RuleEvidence) -> tuple[int, int, str, str]:
    first = evidence.first_at.isoformat() if evidence.first_at else ""
    return (LEVELS.index(evidence.rule.level), evidence.rule_hits, first, f"{evidence.rule.key} {evidence.subject}")

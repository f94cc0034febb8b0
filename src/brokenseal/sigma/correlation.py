"""Correlation rules: which hits of other rules, close together and of one group, make a hit of their own.

The window slides: a rule is satisfied at a hit where the hits of its group in the time span that ends there satisfy
it. Both ends of the span count. Hits that lack a field of the group belong to no group. Times are whole microseconds,
because windows over numbers mean the same on every engine.

Everything is done with running sums and maxima; no hit is compared with every other one.

Source: Sigma Correlation Rules Specification 2.
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import ibis
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationType,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from brokenseal.sigma.matching import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import ibis.expr.types as ir

MICROSECONDS: Final = 1_000_000
_ENUMERATED: Final = 10
"""Of more rules than this, a condition is taken for one that can be met."""
_SUPPORTED: Final = {
    SigmaCorrelationType.EVENT_COUNT: "event_count",
    SigmaCorrelationType.VALUE_COUNT: "value_count",
    SigmaCorrelationType.TEMPORAL: "temporal",
    SigmaCorrelationType.TEMPORAL_ORDERED: "temporal_ordered",
}
_OPERATORS: Final[Mapping[SigmaCorrelationConditionOperator, Callable[[Any, float], Any]]] = {
    SigmaCorrelationConditionOperator.LT: operator.lt,
    SigmaCorrelationConditionOperator.LTE: operator.le,
    SigmaCorrelationConditionOperator.GT: operator.gt,
    SigmaCorrelationConditionOperator.GTE: operator.ge,
    SigmaCorrelationConditionOperator.EQ: operator.eq,
    SigmaCorrelationConditionOperator.NEQ: operator.ne,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """What a correlation rule counts.

    Attributes:
        rules: Names of the rules that it refers to, in its order; hits bear their positions in it.
        group_by: Fields that hits of one group share.
        value: Field whose different values are counted; None where hits or rules are.
        span_us: Length of the window.
    """

    kind: Literal["event_count", "value_count", "temporal", "temporal_ordered"]
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    value: str | None
    span_us: int
    condition: SigmaCorrelationCondition | SigmaExtendedCorrelationCondition


def correlation_of(rule: SigmaCorrelationRule) -> Correlation:
    """What a parsed rule counts.

    Raises:
        NotSupportedError: it is of a kind that is not carried out.
    """
    kind = _SUPPORTED.get(rule.type)
    if kind is None:
        raise NotSupportedError(f"correlations of type {rule.type.name.lower()} are not carried out")
    condition = rule.condition
    value = None
    names = tuple(each.reference for each in rule.rules or ())
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        asked = tuple(condition.get_referenced_rules())
        # Without a list of rules the condition is the list; with one, the positions of hits are those of the list.
        names = names or asked
        unknown = [each for each in asked if each not in names]
        if unknown:
            raise NotSupportedError(f"its condition names {unknown[0]}, which is none of its rules")
        if kind == "temporal_ordered":
            raise NotSupportedError("an order has no meaning in a condition with and, or and not")
    elif kind == "value_count":
        if isinstance(condition.fieldref, list) or condition.fieldref is None:
            raise NotSupportedError("different values are counted of one field")
        value = condition.fieldref
    return Correlation(
        kind=kind,  # type: ignore[arg-type]  # one of the four above
        rules=names,
        group_by=tuple(rule.group_by or ()),
        value=value,
        span_us=rule.timespan.seconds * MICROSECONDS,
        condition=condition,
    )


def can_be_met(correlation: Correlation, possible: Sequence[bool]) -> bool:
    """Whether the rule can be satisfied at all.

    Args:
        correlation: What is counted.
        possible: For each of its rules in their order, whether that one can have a hit.
    """
    if correlation.kind == "temporal_ordered":
        return all(possible)
    if correlation.kind != "temporal":
        return any(possible)
    names = [name for name, is_possible in zip(correlation.rules, possible, strict=True) if is_possible]
    condition = correlation.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        if len(names) > _ENUMERATED:
            return True
        # Something is looked at where a rule has a hit, so that at least one of them is seen.
        sets = (chosen for number in range(1, len(names) + 1) for chosen in itertools.combinations(names, number))
        return any(_holds(condition.parsed, chosen) for chosen in sets)
    is_met = _OPERATORS[condition.op]
    return any(is_met(number, condition.count) for number in range(1, len(names) + 1))


def _holds(condition: CorrelationConditionItem | SigmaRuleReference, seen: Collection[str]) -> bool:
    if isinstance(condition, SigmaRuleReference):
        return condition.reference in seen
    held = [_holds(each, seen) for each in condition.args]
    if isinstance(condition, CorrelationConditionNOT):
        return not held[0]
    return all(held) if isinstance(condition, CorrelationConditionAND) else any(held)


def group_columns(correlation: Correlation) -> tuple[str, ...]:
    """Names of the columns of `hits` that hold the group."""
    return tuple(f"g{number}" for number in range(len(correlation.group_by)))


def satisfied(hits: ir.Table, correlation: Correlation) -> ir.Table:
    """The hits at which the rule is satisfied.

    Args:
        hits: `rule` (position among the rules), `event_id`, `at` (microseconds), `g0` … (texts of the group), and
            `value` where different values are counted.
        correlation: What is counted.

    Returns: Rows of `hits`, with its columns.
    """
    groups = group_columns(correlation)
    sound = hits.filter([hits[name].notnull() for name in groups]) if groups else hits
    match correlation.kind:
        case "event_count":
            marked = sound.mutate(is_hit=_met(correlation, _count(sound, groups, correlation.span_us)))
        case "value_count":
            marked = _value_counts(sound, groups, correlation)
        case "temporal":
            marked = _together(sound, groups, correlation)
        case "temporal_ordered":
            marked = _in_order(sound, groups, correlation)
    return marked.filter(marked["is_hit"].fill_null(ibis.literal(value=False))).select(hits.columns)


def episodes(found: ir.Table, correlation: Correlation) -> ir.Table:
    """Satisfied hits that follow each other within the span, as one row each.

    Returns: The group's columns, `episode` (number within the group, from 1), `from_us` (start of the first window)
        and `to_us` (the last satisfied hit).
    """
    groups = group_columns(correlation)
    by_time = ibis.window(group_by=groups, order_by=[found["at"], found["event_id"]])
    gap = found["at"] - found["at"].lag().over(by_time)
    starts = found.mutate(is_start=(gap.isnull() | (gap > correlation.span_us)).ifelse(1, 0))
    running = ibis.window(group_by=groups, order_by=[starts["at"], starts["event_id"]], preceding=None, following=0)
    numbered = starts.mutate(episode=starts["is_start"].sum().over(running))
    return numbered.group_by([*groups, "episode"]).aggregate(
        from_us=numbered["at"].min() - correlation.span_us, to_us=numbered["at"].max()
    )


def members(hits: ir.Table, found: ir.Table, correlation: Correlation) -> ir.Table:
    """The hits of each episode: `hits` with `episode`."""
    groups = group_columns(correlation)
    each = found.rename({f"e_{name}": name for name in groups})
    same = [hits[name] == each[f"e_{name}"] for name in groups]
    within = [hits["at"] >= each["from_us"], hits["at"] <= each["to_us"]]
    joined = hits.join(each, [*same, *within])
    return joined.select(*hits.columns, "episode")


def _met(correlation: Correlation, count: ir.IntegerValue) -> ir.BooleanValue:
    condition = correlation.condition
    assert isinstance(condition, SigmaCorrelationCondition)
    return _OPERATORS[condition.op](count, condition.count)


def _count(hits: ir.Table, groups: Sequence[str], span_us: int) -> ir.IntegerValue:
    # A record that satisfies two of the rules is two hits of them, and one record.
    window = ibis.range_window(group_by=groups, order_by=hits["at"], preceding=span_us, following=0)
    return hits["event_id"].count().over(window)


def _until_now(hits: ir.Table, groups: Sequence[str], order: str = "at") -> ir.Window:
    """All hits up to the time of this one, those of the same time included."""
    return ibis.range_window(group_by=groups, order_by=hits[order], preceding=None, following=0)


def _value_counts(hits: ir.Table, groups: Sequence[str], correlation: Correlation) -> ir.Table:
    """How many values have a hit in the window, as a running sum.

    A value counts from a hit of it until the span after it has passed without another one. Hits of one value that
    follow each other within the span make one stretch: +1 where it begins, -1 behind its end.
    """
    span = correlation.span_us
    given = hits.filter(hits["value"].notnull())
    by_time = ibis.window(group_by=[*groups, "value"], order_by=[given["at"], given["event_id"]])
    before = given["at"] - given["at"].lag().over(by_time)
    after = given["at"].lead().over(by_time) - given["at"]
    edges = given.mutate(
        begins=(before.isnull() | (before > span)).ifelse(1, 0), ends=(after.isnull() | (after > span)).ifelse(1, 0)
    )
    # Both ends of the window count, so that what begins at a moment comes before what ends there.
    begun = edges.mutate(moment=edges["at"] * 2, step=edges["begins"], is_row=True)
    ended = edges.filter(edges["ends"] == 1)
    ended = ended.mutate(moment=(ended["at"] + span) * 2 + 1, step=ibis.literal(-1, "int64"), is_row=False)
    columns = [*hits.columns, "moment", "step", "is_row"]
    steps = begun.mutate(step=begun["step"].cast("int64")).select(columns).union(ended.select(columns))
    summed = steps.mutate(count=steps["step"].sum().over(_until_now(steps, groups, "moment")))
    return summed.filter(summed["is_row"]).mutate(is_hit=_met(correlation, summed["count"]))


def _together(hits: ir.Table, groups: Sequence[str], correlation: Correlation) -> ir.Table:
    window = _until_now(hits, groups)
    last = {
        name: (hits["rule"] == number).ifelse(hits["at"], ibis.null("int64")).max().over(window)
        for number, name in enumerate(correlation.rules)
    }
    marked = hits.mutate(**{f"last{number}": value for number, value in enumerate(last.values())})
    seen = {
        name: (marked["at"] - marked[f"last{number}"] <= correlation.span_us).fill_null(ibis.literal(value=False))
        for number, name in enumerate(correlation.rules)
    }
    condition = correlation.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        return marked.mutate(is_hit=_said(condition.parsed, seen))
    count = sum((each.ifelse(1, 0) for each in seen.values()), ibis.literal(0))
    return marked.mutate(is_hit=_met(correlation, count))


def _said(condition: CorrelationConditionItem | SigmaRuleReference, seen: Mapping[str, ir.BooleanValue]) -> ir.Value:
    if isinstance(condition, SigmaRuleReference):
        return seen[condition.reference]
    said = [_said(each, seen) for each in condition.args]
    if isinstance(condition, CorrelationConditionNOT):
        return ~said[0]
    return ibis.and_(*said) if isinstance(condition, CorrelationConditionAND) else ibis.or_(*said)


def _in_order(hits: ir.Table, groups: Sequence[str], correlation: Correlation) -> ir.Table:
    """Chains of hits of all rules in their order: the latest start of a chain that leads to this hit."""
    chained = hits.mutate(start=(hits["rule"] == 0).ifelse(hits["at"], ibis.null("int64")))
    last = len(correlation.rules) - 1
    for number in range(1, last + 1):
        so_far = chained["start"].max().over(_until_now(chained, groups))
        chained = chained.mutate(start=(chained["rule"] == number).ifelse(so_far, ibis.null("int64")))
    return chained.mutate(is_hit=chained["at"] - chained["start"] <= correlation.span_us)

"""A rule's condition to one boolean expression over a table of records.

`compile_rule` stands alone: give it a rule, and apply the result to any table whose columns are named as the rule's
fields are (case does not matter). A column that the table lacks is a field that no record has.

    is_hit = compile_rule(text)
    table.filter(is_hit(table))

Lists of texts stand for fields with several values. Keywords, which belong to no field, are looked for in the column
`KEYWORDS`. Where DuckDB is the engine and lists or IPv6 networks are asked for, it has to take the lambdas that Ibis
writes: `SET lambda_syntax='ENABLE_SINGLE_ARROW'`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import ibis
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaDetection, SigmaRule
from sigma.types import (
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SpecialChars,
)

from brokenseal.sigma.loading import load_text
from brokenseal.sigma.matching import Field, NotSupportedError, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir
    from sigma.processing.pipeline import ProcessingPipeline

KEYWORDS: Final = "_text"
"""Column that holds the whole text of a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule as a function from a table to a boolean expression.

    Attributes:
        fields: Names of the fields that it asks for after the pipeline, sorted; `KEYWORDS` where it has keywords.
        conditions: Trees of pySigma; one of them is enough.
    """

    title: str
    fields: tuple[str, ...]
    conditions: tuple[Any, ...] = field(repr=False)

    def __call__(self, table: ir.Table, columns: Mapping[str, Field] | None = None) -> ir.BooleanValue:
        """True for the rows that satisfy the rule, false for all others; never null.

        Args:
            table: Its columns are the fields.
            columns: Fields by name in lower case, in place of the table's own columns.

        Raises:
            NotSupportedError: the rule asks for what no expression can say.
        """
        known = columns if columns is not None else columns_of(table)

        def resolve(name: str) -> Field | None:
            return known.get(name.lower())

        return ibis.or_(*(_expression(each, resolve) for each in self.conditions))


def columns_of(table: ir.Table) -> dict[str, Field]:
    """The columns of a table as fields, by name in lower case; of two that differ by case only the first counts."""
    found: dict[str, Field] = {}
    for name in table.columns:
        found.setdefault(name.lower(), Field(table[name]))
    return found


def compile_rule(rule: SigmaRule | str, pipeline: ProcessingPipeline | None = None) -> CompiledRule:
    """Compile a detection rule.

    Args:
        rule: A rule of pySigma, which is not changed, or the YAML text of one.
        pipeline: What renames its fields and fills in its placeholders.

    Raises:
        NotSupportedError: it is no detection rule, or asks for what no expression can say; its text has the line.
        SigmaError: as the pipeline's transformations raise.
    """
    parsed = _only_rule(rule) if isinstance(rule, str) else rule
    own = copy.deepcopy(parsed)
    if pipeline is not None:
        pipeline.apply(own)
    conditions = tuple(each for condition in own.detection.parsed_condition if (each := condition.parse()) is not None)
    if not conditions:
        raise NotSupportedError("no condition is left of it")
    names: set[str] = set()
    for condition in conditions:
        _collect(condition, names)
    compiled = CompiledRule(title=own.title or "", fields=tuple(sorted(names)), conditions=conditions)
    # Whatever it asks for that cannot be said is found now and not at the first table.
    compiled(ibis.table(dict.fromkeys(names, "string") or {KEYWORDS: "string"}, name="records"))
    return compiled


def fields_of(rule: SigmaRule) -> tuple[str, ...]:
    """The fields that a rule names, sorted, as it writes them."""
    found: set[str] = set()

    def walk(detection: SigmaDetection) -> None:
        for item in detection.detection_items:
            if isinstance(item, SigmaDetection):
                walk(item)
            elif item.field is not None:
                found.add(item.field)
                found.update(value.field for value in item.value if isinstance(value, SigmaFieldReference))

    for detection in rule.detection.detections.values():
        walk(detection)
    return tuple(sorted(found))


def _only_rule(text: str) -> SigmaRule:
    read = load_text(text)
    for fault in read.faults:
        raise NotSupportedError(f"line {fault.line}: {fault.reason}")
    if len(read.rules) != 1 or not isinstance(read.rules[0].parsed, SigmaRule):
        raise NotSupportedError(f"{len(read.rules)} rules in the text; one detection rule was expected")
    return read.rules[0].parsed


def _collect(condition: Any, names: set[str]) -> None:
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        names.add(condition.field)
        values: Sequence[Any] = (
            condition.value.values if isinstance(condition.value, SigmaExpansion) else [condition.value]
        )
        names.update(value.field for value in values if isinstance(value, SigmaFieldReference))
    elif isinstance(condition, ConditionValueExpression):
        names.add(KEYWORDS)
    else:
        for each in condition.args:
            _collect(each, names)


def _expression(condition: Any, resolve: Callable[[str], Field | None]) -> ir.BooleanValue:
    match condition:
        case ConditionAND():
            return ibis.and_(*(_expression(each, resolve) for each in condition.args))
        case ConditionOR():
            return ibis.or_(*(_expression(each, resolve) for each in condition.args))
        case ConditionNOT():
            return ~_expression(condition.args[0], resolve)
        case ConditionFieldEqualsValueExpression():
            return _field_expression(condition.field, condition.value, resolve)
        case ConditionValueExpression():
            return _keyword(condition.value, resolve)
        case _:
            raise NotSupportedError(f"a condition of kind {type(condition).__name__} is not carried out")


def _nothing() -> Field:
    """A field that no record has. Comparing a typed null fails in Ibis, so it is the text that is never there."""
    return Field(ibis.literal("").nullif(""))


def _field_expression(name: str, value: Any, resolve: Callable[[str], Field | None]) -> ir.BooleanValue:
    if isinstance(value, SigmaExpansion):
        return ibis.or_(*(_field_expression(name, each, resolve) for each in value.values))
    found = resolve(name)
    if found is None:
        # No record has it. What the value would be asked of is a null text; faults in the value still show.
        found = _nothing()
    return matches(found, value, resolve)


def _keyword(value: Any, resolve: Callable[[str], Field | None]) -> ir.BooleanValue:
    if isinstance(value, SigmaExpansion):
        return ibis.or_(*(_keyword(each, resolve) for each in value.values))
    if isinstance(value, SigmaNumber):
        value = SigmaString(str(value.number))
    if isinstance(value, SigmaString):
        wanted = value
        if not wanted.startswith(SpecialChars.WILDCARD_MULTI):
            wanted = SpecialChars.WILDCARD_MULTI + wanted
        if not wanted.endswith(SpecialChars.WILDCARD_MULTI):
            wanted += SpecialChars.WILDCARD_MULTI
        value = wanted
    elif not isinstance(value, SigmaRegularExpression):
        raise NotSupportedError(f"a keyword of kind {type(value).__name__}")
    found = resolve(KEYWORDS)
    return matches(found or _nothing(), value, resolve)

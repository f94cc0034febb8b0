"""Which rules can be carried out, on which log, with which fields: everything that is known before a record is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from brokenseal.sigma.compiler import KEYWORDS, CompiledRule, compile_rule, fields_of
from brokenseal.sigma.correlation import Correlation, can_be_met, correlation_of
from brokenseal.sigma.matching import NotSupportedError
from brokenseal.sigma.pipelines import pipeline_for
from brokenseal.sigma.possible import fill_ins, outcome
from brokenseal.sigma.services import service_of
from brokenseal.sigma.values import Rule, RuleFault, RuleVerdict, as_it_stands
from brokenseal.sigma.vocabulary import LOGS, Log, RecordField
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from brokenseal.sigma.values import RuleSet
    from brokenseal.wording import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A detection rule that can be carried out.

    Attributes:
        fields: What it asks of a record.
        carried: Fields that correlation rules need of its hits beside.
    """

    rule: Rule
    log: Log
    compiled: CompiledRule
    fields: tuple[RecordField, ...]
    carried: tuple[RecordField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A correlation rule that can be carried out.

    Attributes:
        group_fields: For each rule that it refers to, the field of the record for each of its groups; the name of a
            group of that rule where it is a correlation rule itself.
        value_fields: For each rule, the field whose different values are counted.
    """

    rule: Rule
    correlation: Correlation
    group_fields: tuple[tuple[str, ...], ...]
    value_fields: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rules that can be carried out, and what is to be said of the others.

    Attributes:
        counted: Correlation rules, each behind those that it refers to.
        verdicts: Rule key to what is known without a record.
    """

    ready: tuple[Ready, ...]
    counted: tuple[Counted, ...]
    verdicts: Mapping[str, RuleVerdict]
    faults: tuple[RuleFault, ...]

    def of_log(self, log: Log) -> tuple[Ready, ...]:
        """The detection rules of a log."""
        return tuple(each for each in self.ready if each.log is log)

    def fields(self, log: Log) -> tuple[RecordField, ...]:
        """Every field that the rules of a log ask for, by name."""
        found = {field.name: field for each in self.of_log(log) for field in (*each.fields, *each.carried)}
        return tuple(found[name] for name in sorted(found))


def plan(rules: RuleSet, *, values: Mapping[str, Sequence[str]] | None = None) -> Plan:
    """Compile every rule.

    Args:
        rules: What was read.
        values: Placeholder to its values.
    """
    ready: dict[str, Ready] = {}
    verdicts: dict[str, RuleVerdict] = {}
    faults = list(rules.faults)
    for rule in rules.rules:
        if not rule.is_correlation:
            _plan_rule(rule, values or {}, ready, verdicts, faults)
    counted: dict[str, Counted] = {}
    for rule in _referenced_first(rules):
        _plan_correlation(rule, ready, counted, verdicts, faults)
    carried = _carried(counted.values(), ready)
    return Plan(
        ready=tuple(replace(each, carried=carried.get(key, ())) for key, each in ready.items()),
        counted=tuple(counted.values()),
        verdicts={rule.key: verdicts[rule.key] for rule in rules.rules},
        faults=tuple(faults),
    )


def _plan_rule(
    rule: Rule,
    values: Mapping[str, Sequence[str]],
    ready: dict[str, Ready],
    verdicts: dict[str, RuleVerdict],
    faults: list[RuleFault],
) -> None:
    service = service_of(rule.product, rule.service)
    if service is None or service.log is None:
        asked = "/".join(each for each in (rule.product, rule.category, rule.service) if each) or "–"
        reason = service.note if service else phrase("The product reads no log of the source {source}", source=asked)
        verdicts[rule.key] = RuleVerdict(rule=rule, state="source_absent", reason=reason)
        return
    assert isinstance(rule.parsed, SigmaRule)
    log = service.log
    try:
        compiled = compile_rule(rule.parsed, pipeline_for(log, values))
    except (NotSupportedError, SigmaError) as err:
        faults.append(RuleFault(path=rule.path, line=rule.line, reason=str(err), rule_id=rule.key))
        verdicts[rule.key] = RuleVerdict(
            rule=rule, state="unreadable", source=log.source, reason=as_it_stands(str(err))
        )
        return
    named = {field.name: field for name in fields_of(rule.parsed) for field in log.fields(name)}
    fields = tuple(named[name] for name in compiled.fields if name != KEYWORDS)
    unmapped = tuple(sorted(each.name for each in fields if not each.is_known))
    cannot = is_never(compiled, ())
    verdicts[rule.key] = RuleVerdict(
        rule=rule,
        state="never" if cannot else "runnable",
        source=log.source,
        fields=tuple(each.name for each in fields),
        unmapped=unmapped,
        reason=_why_never(compiled) if cannot else service.note,
    )
    ready[rule.key] = Ready(rule=rule, log=log, compiled=compiled, fields=fields)


def _why_never(compiled: CompiledRule) -> Phrase:
    left = [text for each in compiled.conditions for text in fill_ins(each)]
    if not left:
        return phrase("Its condition contradicts itself")
    return phrase("A value was left to be filled in: {values}", values="; ".join(left))


def is_never(compiled: CompiledRule, absent: Collection[str]) -> bool:
    """Whether the rule is true of no record that lacks these fields."""
    return all(outcome(each, absent) is False for each in compiled.conditions)


def settled(planned: Plan, present: Mapping[str, Collection[str]]) -> tuple[RuleVerdict, ...]:
    """The verdict on each rule in view of a store.

    Args:
        planned: The rules.
        present: Source to the fields that some record of it in the store holds; sources without a record are left out.
    """
    found: dict[str, RuleVerdict] = {}
    ready = {each.rule.key: each for each in planned.ready}
    for key, verdict in planned.verdicts.items():
        if key in ready:
            found[key] = _settled(ready[key], verdict, present)
    for each in planned.counted:
        verdict = planned.verdicts[each.rule.key]
        bases = [found[key] for key in each.rule.refers_to]
        if not can_be_met(each.correlation, [base.state == "runnable" for base in bases]):
            worst = next(base for base in bases if base.state != "runnable")
            verdict = replace(verdict, state=worst.state, reason=_uncounted(worst))
        found[each.rule.key] = verdict
    return tuple(found.get(key, verdict) for key, verdict in planned.verdicts.items())


def _uncounted(base: RuleVerdict) -> Phrase:
    return phrase("It counts hits of “{rule}”, which cannot fire", rule=base.rule.title)


def _settled(ready: Ready, verdict: RuleVerdict, present: Mapping[str, Collection[str]]) -> RuleVerdict:
    if verdict.state != "runnable":
        return verdict
    held = present.get(ready.log.source)
    if held is None:
        return replace(verdict, state="source_absent", reason=_no_record(ready.log))
    absent = tuple(each.name for each in ready.fields if each.name not in held)
    verdict = replace(verdict, absent=absent)
    # A parameter that no record has is one that nobody used so far; a column that none has was not exported.
    columns = tuple(
        each.name for each in ready.fields if each.name in absent and each.kind not in ("named", "keyed", "changed")
    )
    if not is_never(ready.compiled, columns):
        if not is_never(ready.compiled, absent):
            return verdict
        return replace(verdict, reason=phrase("So far no record has {fields}", fields=", ".join(absent)))
    unknown = [name for name in absent if name in verdict.unmapped]
    if unknown and is_never(ready.compiled, unknown):
        return replace(verdict, state="never", reason=unheard_of(ready.log, unknown))
    return replace(
        verdict,
        state="source_absent",
        reason=phrase(
            "No record of this log here ({log}) has the field {fields}, and without it the condition is never true",
            log=ready.log.title,
            fields=", ".join(columns),
        ),
    )


def _no_record(log: Log) -> Phrase:
    return phrase("This store has no record of this log: {log}", log=log.title)


def unheard_of(log: Log, fields: Sequence[str]) -> Phrase:
    """Why a rule that is true of no record without these fields never fires."""
    return phrase(
        "No record of this log ({log}) is known to have the field {fields}, and without it the condition is never true",
        log=log.title,
        fields=", ".join(fields),
    )


# ---------------------------------------------------------------- correlation rules


def _referenced_first(rules: RuleSet) -> list[Rule]:
    known = rules.by_key()
    ordered: dict[str, Rule] = {}

    def place(rule: Rule) -> None:
        for key in rule.refers_to:
            if known[key].is_correlation and key not in ordered:
                place(known[key])
        ordered[rule.key] = rule

    for rule in rules.rules:
        if rule.is_correlation and rule.key not in ordered:
            place(rule)
    return list(ordered.values())


def _plan_correlation(
    rule: Rule,
    ready: Mapping[str, Ready],
    counted: dict[str, Counted],
    verdicts: dict[str, RuleVerdict],
    faults: list[RuleFault],
) -> None:
    assert isinstance(rule.parsed, SigmaCorrelationRule)
    lacking = [key for key in rule.refers_to if key not in ready and key not in counted]
    if lacking:
        base = verdicts[lacking[0]]
        verdicts[rule.key] = RuleVerdict(rule=rule, state=base.state, source=base.source, reason=_uncounted(base))
        return
    try:
        correlation = correlation_of(rule.parsed)
        groups = tuple(
            tuple(_field(rule, place, name, ready, counted) for name in correlation.group_by)
            for place in range(len(rule.refers_to))
        )
        values = tuple(
            None if correlation.value is None else _field(rule, place, correlation.value, ready, counted)
            for place in range(len(rule.refers_to))
        )
    except NotSupportedError as err:
        faults.append(RuleFault(path=rule.path, line=rule.line, reason=str(err), rule_id=rule.key))
        verdicts[rule.key] = RuleVerdict(rule=rule, state="unreadable", reason=as_it_stands(str(err)))
        return
    counted[rule.key] = Counted(rule=rule, correlation=correlation, group_fields=groups, value_fields=values)
    sources = sorted({ready[key].log.source for key in rule.refers_to if key in ready})
    fields = tuple(sorted({name for each in groups for name in each} | {name for name in values if name}))
    verdicts[rule.key] = RuleVerdict(rule=rule, state="runnable", source="+".join(sources) or None, fields=fields)


def _field(rule: Rule, place: int, name: str, ready: Mapping[str, Ready], counted: Mapping[str, Counted]) -> str:
    """What a field of a correlation rule is called in the hits of one of its rules."""
    assert isinstance(rule.parsed, SigmaCorrelationRule)
    reference = correlation_of(rule.parsed).rules[place]
    alias = rule.parsed.aliases.aliases.get(name)
    if alias is not None:
        own = next((field for each, field in alias.mapping.items() if each.reference == reference), None)
        if own is None:
            raise NotSupportedError(f"the alias {name} does not say what it is in {reference}")
        name = own
    key = rule.refers_to[place]
    if key in counted:
        groups = counted[key].correlation.group_by
        if name not in groups:
            raise NotSupportedError(f"{reference} is grouped by {', '.join(groups) or 'nothing'}, and not by {name}")
        return name
    return ready[key].log.fields(name)[0].name


def _carried(counted: Collection[Counted], ready: Mapping[str, Ready]) -> dict[str, tuple[RecordField, ...]]:
    found: dict[str, dict[str, RecordField]] = {}
    for each in counted:
        for key, groups, value in zip(each.rule.refers_to, each.group_fields, each.value_fields, strict=True):
            if key in ready:
                names = [*groups, *([value] if value else [])]
                known = {field.name: field for field in _all_fields(ready[key].log, each)}
                found.setdefault(key, {}).update({name: known[name] for name in names})
    return {key: tuple(fields.values()) for key, fields in found.items()}


def _all_fields(log: Log, each: Counted) -> list[RecordField]:
    assert isinstance(each.rule.parsed, SigmaCorrelationRule)
    names = [*each.correlation.group_by, *([each.correlation.value] if each.correlation.value else [])]
    for alias in each.rule.parsed.aliases:
        names += alias.mapping.values()
    return [log.fields(name)[0] for name in names]


def logs_of(planned: Plan) -> tuple[Log, ...]:
    """The logs that some rule reads."""
    return tuple(log for log in LOGS if planned.of_log(log))

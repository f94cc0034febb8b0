"""One value of a rule against one field: what Sigma says of it, as an expression that DuckDB and Spark mean alike.

Text is compared without regard to case unless the rule says `cased` or gives a regular expression. A record that
does not have the field matches nothing but `null` and `exists: false`, and so its negation matches. Of a field with
several values one is enough.

Source: Sigma Rules Specification 2 and its appendix on modifiers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import ibis
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
    TimestampPart,
)

from brokenseal.sigma.networks import in_network

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir
    from sigma.types import SigmaType

    Test = Callable[["Text"], ir.BooleanValue]

_NO: Final = ibis.literal(value=False)
NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\z"
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?Z?\z"
_SECONDS: Final = r"^([0-9-]{10}[T ][0-9:]{8}).*\z"
# RE2 takes these, and Java does not or means something else.
_NOT_ALIKE: Final = (("[[:", "a POSIX class such as [[:alpha:]]"), (r"\C", r"\C"), (r"\Q", r"\Q…\E"))


class NotSupportedError(ValueError):
    """A rule asks for what no expression can say; the text says what."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a field: as written, and folded to lower case."""

    raw: ir.StringValue
    key: ir.StringValue


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the record as the engine holds it.

    Attributes:
        raw: Text, a list of texts, a number or a boolean.
        key: `raw` folded to lower case where the table holds that as well; worked out where it is None.
    """

    raw: ir.Value
    key: ir.Value | None = None

    def has(self, test: Test) -> ir.BooleanValue:
        """Whether one of its values passes; false, never null, where it has none."""
        if self.raw.type().is_array():
            return _some(self.raw, lambda each: test(Text(each, each.lower())))
        raw = as_text(self.raw)
        return test(Text(raw, self.key if self.key is not None else raw.lower())).fill_null(_NO)

    def is_there(self) -> ir.BooleanValue:
        """Whether the record has the field: not null, and no empty list."""
        if self.raw.type().is_array():
            return self.raw.notnull() & (self.raw.length() > 0).fill_null(_NO)
        return self.raw.notnull()


def _some(values: ir.ArrayValue, test: Callable[[ir.StringValue], ir.BooleanValue]) -> ir.BooleanValue:
    passed = values.filter(lambda each: test(each).fill_null(_NO)).length() > 0
    return passed.fill_null(_NO)


def as_text(value: ir.Value) -> ir.StringValue:
    """A scalar as the text that a log would write for it.

    Raises:
        NotSupportedError: a time, whose text differs by engine.
    """
    kind = value.type()
    if kind.is_string():
        return value
    if kind.is_boolean():
        return ibis.cases((value, "true"), (~value, "false"), else_=ibis.null("string"))
    if kind.is_integer():
        return value.cast("string")
    raise NotSupportedError(f"a column of type {kind} has no text that is the same on every engine")


def folded(text: str) -> str:
    """Lower case as the engines make it: letter by letter, without Python's rules for `İ` and a final `Σ`."""
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def matches(field: Field, value: SigmaType, resolve: Callable[[str], Field | None]) -> ir.BooleanValue:
    """Whether a field satisfies one value of a rule; never null.

    Raises:
        NotSupportedError: the value is of a kind that cannot be carried out.
    """
    match value:
        case SigmaNull():
            found = ~field.is_there()
        case SigmaExists():
            found = field.is_there() if value else ~field.is_there()
        case SigmaFieldReference():
            found = _matches_field(field, value, resolve(value.field))
        case SigmaTimestampPart():
            found = _matches_part(field, value)
        case SigmaNumber() if field.raw.type().is_numeric():
            found = (field.raw == value.number).fill_null(_NO)
        case SigmaCompareExpression():
            found = _compared(field, value)
        case _:
            found = field.has(test_of(value))
    return found


def test_of(value: SigmaType) -> Test:
    """What a text has to pass to satisfy a value.

    Raises:
        NotSupportedError: the value is of a kind that no text can satisfy.
    """
    match value:
        case SigmaCasedString():
            wanted = _parts(value, fold=False)
            return lambda text: _like(text.raw, wanted)
        case SigmaString():
            wanted = _parts(value, fold=True)
            return lambda text: _like(text.key, wanted)
        case SigmaNumber():
            return lambda text: text.raw == str(value.number)
        case SigmaBool():
            return lambda text: text.key == ("true" if value.boolean else "false")
        case SigmaRegularExpression():
            pattern = _pattern(value)
            return lambda text: text.raw.re_search(pattern)
        case SigmaCIDRExpression():
            return lambda text: in_network(text.raw, value.network)
        case _:
            raise NotSupportedError(f"values of kind {type(value).__name__} are not carried out")


# ---------------------------------------------------------------- text

_ANY, _ONE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE
Part = str | SpecialChars


def _parts(value: SigmaString, *, fold: bool) -> tuple[Part, ...]:
    found: list[Part] = []
    for part in value.s:
        if isinstance(part, Placeholder):
            raise NotSupportedError(f"it needs values for the placeholder %{part.name}%")
        if part is _ANY and found and found[-1] is _ANY:
            continue
        found.append(folded(part) if fold and isinstance(part, str) else part)
    return tuple(found)


def _like(text: ir.StringValue, wanted: tuple[Part, ...]) -> ir.BooleanValue:
    match wanted:
        case ():
            found = text == ""
        case (str(whole),):
            found = text == whole
        case (only,) if only is _ANY:
            found = text.notnull()
        case (str(start), end) if end is _ANY:
            found = text.startswith(start)
        case (start, str(end)) if start is _ANY:
            found = text.endswith(end)
        case (start, str(middle), end) if start is _ANY and end is _ANY:
            found = text.contains(middle)
        case _:
            found = text.re_search(_wildcard_pattern(wanted))
    return found


def _wildcard_pattern(wanted: tuple[Part, ...]) -> str:
    words = (".*" if part is _ANY else "." if part is _ONE else escaped(str(part)) for part in wanted)
    return rf"(?s)^{''.join(words)}\z"


def escaped(text: str) -> str:
    """A text as a regular expression for itself, in what RE2 and Java have in common."""
    return re.sub(r"([\\.+*?()|\[\]{}^$#&~\-])", r"\\\1", text)


def _pattern(value: SigmaRegularExpression) -> str:
    if value.regexp.contains_placeholder():
        names = ", ".join(f"%{part.name}%" for part in value.regexp.s if isinstance(part, Placeholder))
        raise NotSupportedError(f"it needs values for the placeholder {names}")
    text = value.regexp.to_plain_regex()
    for mark, name in _NOT_ALIKE:
        if mark in text:
            raise NotSupportedError(f"{name} in a regular expression is not the same on every engine")
    # Nothing is taken out of the match, so a name is of no use, and engines write it differently.
    text = re.sub(r"\(\?P<[A-Za-z_][A-Za-z0-9_]*>", "(", text)
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return f"(?{flags}){text}" if flags else text


# ---------------------------------------------------------------- numbers, times, other fields


def _compared(field: Field, value: SigmaCompareExpression) -> ir.BooleanValue:
    number = value.number.number

    def test(found: ir.NumericValue) -> ir.BooleanValue:
        match value.op:
            case CompareOperators.LT:
                return found < number
            case CompareOperators.LTE:
                return found <= number
            case CompareOperators.GT:
                return found > number
            case CompareOperators.GTE:
                return found >= number
            case CompareOperators.NEQ:
                return found != number

    if field.raw.type().is_numeric():
        return test(field.raw).fill_null(_NO)
    # Texts such as `nan` and `inf` are numbers to an engine, and none to a log.
    return field.has(lambda text: text.raw.re_search(NUMBER) & test(text.raw.try_cast("float64")))


def _matches_field(field: Field, value: SigmaFieldReference, other: Field | None) -> ir.BooleanValue:
    if other is None:
        return _NO
    if other.raw.type().is_array():
        raise NotSupportedError(f"a comparison with {value.field}, which has several values")
    wanted = other.key if other.key is not None else as_text(other.raw).lower()

    def test(text: Text) -> ir.BooleanValue:
        if value.starts_with and value.ends_with:
            return text.key.contains(wanted)
        if value.starts_with:
            return text.key.startswith(wanted)
        return text.key.endswith(wanted) if value.ends_with else text.key == wanted

    return field.has(test)


def _matches_part(field: Field, value: SigmaTimestampPart) -> ir.BooleanValue:
    wanted = value.number
    if field.raw.type().is_timestamp():
        return (_part(field.raw, value.timestamp_part) == wanted).fill_null(_NO)

    def test(text: Text) -> ir.BooleanValue:
        moment = text.raw.re_extract(_SECONDS, 1).replace("T", " ").try_cast("timestamp")
        return text.raw.re_search(TIME) & (_part(moment, value.timestamp_part) == wanted)

    return field.has(test)


def _part(moment: ir.TimestampValue, part: TimestampPart) -> ir.IntegerValue:
    match part:
        case TimestampPart.MINUTE:
            return moment.minute()
        case TimestampPart.HOUR:
            return moment.hour()
        case TimestampPart.DAY:
            return moment.day()
        case TimestampPart.WEEK:
            return moment.week_of_year()
        case TimestampPart.MONTH:
            return moment.month()
        case TimestampPart.YEAR:
            return moment.year()

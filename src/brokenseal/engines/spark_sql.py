"""How an expression becomes Spark SQL that means what DuckDB means by it.

Ibis compiles for both engines, and for some operations each engine then means its own. Each such difference stands in
`GAPS` with what both say, is closed here in the compiler, and has a test that also fails when the difference is gone.

`in_parts` is about size, not meaning: Spark writes a common table expression out at every place that names it, and
again within each of these, so that a statement with a few layers of joins would grow past any memory.
"""

# ruff: noqa: N802, ARG002 - the names and arguments are those that Ibis calls

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that the engines mean differently, as Ibis writes it for each.

    Attributes:
        name: As tests and documentation name it.
        duckdb: What DuckDB does; the product means this.
        spark: What Spark would do.
        instead: What is written for Spark.
    """

    name: str
    duckdb: str
    spark: str
    instead: str


GAPS: Final = (
    Gap(
        name="seconds_between",
        duckdb="counts the full seconds of the clock that lie between two times",
        spark="counts how many times a whole second has passed",
        instead="the difference of two `unix_seconds`",
    ),
    Gap(
        name="distinct_over_window",
        duckdb="counts distinct values within a window",
        spark="refuses the statement",
        instead="the size of `collect_set`",
    ),
    Gap(
        name="first_over_window",
        duckdb="takes the first row's value, null or not",
        spark="passes over nulls",
        instead="`first_value` that respects nulls",
    ),
    Gap(
        name="nothing_collected",
        duckdb="collects nothing to null",
        spark="collects nothing to an empty list",
        instead="null for an empty list",
    ),
    Gap(
        name="nothing_counted",
        duckdb="counts no rows under a condition as 0",
        spark="sums no rows to null",
        instead="`count_if`",
    ),
    Gap(
        name="empty_list_joined",
        duckdb="joins an empty list to an empty text",
        spark="joins an empty list to null",
        instead="`array_join`",
    ),
    Gap(
        name="split_by_text",
        duckdb="splits by a text",
        spark="splits by a regular expression",
        instead="the text, quoted as a pattern",
    ),
    Gap(
        name="beyond_a_list",
        duckdb="gives null for an element that a list does not have",
        spark="stops with an error",
        instead="`try_element_at`",
    ),
)


class SparkCompiler(PySparkCompiler):  # type: ignore[misc]
    """Ibis' compiler with the gaps closed."""

    __slots__ = ()

    def visit_TimestampDelta(self, op: Any, *, left: Any, right: Any, part: Any) -> Any:
        """Gap `seconds_between`; other units do not occur."""
        if part.this != "second":
            msg = f"delta in {part.this!r} is not told alike by the engines; expected 'second'"
            raise NotImplementedError(msg)
        return self.f.anon.unix_seconds(left) - self.f.anon.unix_seconds(right)

    def visit_WindowFunction(self, op: Any, *, func: Any, group_by: Any, order_by: Any, **kwargs: Any) -> Any:
        """Gap `distinct_over_window`."""
        if isinstance(op.func, ops.CountDistinct):
            (values,) = func.this.expressions
            found = super().visit_WindowFunction(
                op, func=self.f.anon.collect_set(values), group_by=group_by, order_by=order_by, **kwargs
            )
            return self.cast(self.f.anon.size(found), op.dtype)
        return super().visit_WindowFunction(op, func=func, group_by=group_by, order_by=order_by, **kwargs)

    def visit_FirstValue(self, op: Any, *, arg: Any) -> Any:
        """Gap `first_over_window`."""
        return self.f.anon.first_value(arg)

    def visit_LastValue(self, op: Any, *, arg: Any) -> Any:
        """Gap `first_over_window`."""
        return self.f.anon.last_value(arg)

    def visit_ArrayCollect(self, op: Any, **kwargs: Any) -> Any:
        """Gap `nothing_collected`."""
        return self.f.nullif(super().visit_ArrayCollect(op, **kwargs), self.f.array())

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Gap `nothing_counted`."""
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.anon.count_if(where)

    def visit_ArrayStringJoin(self, op: Any, *, arg: Any, sep: Any) -> Any:
        """Gap `empty_list_joined`."""
        return self.f.anon.array_join(arg, sep)

    def visit_StringSplit(self, op: Any, *, arg: Any, delimiter: Any) -> Any:
        """Gap `split_by_text`."""
        return self.f.anon.split(arg, self.f.concat(sge.convert("\\Q"), delimiter, sge.convert("\\E")))

    def visit_ArrayIndex(self, op: Any, *, arg: Any, index: Any) -> Any:
        """Gap `beyond_a_list`."""
        return self.f.anon.try_element_at(arg, self.cast(self.if_(index >= 0, index + 1, index), dt.int32))


COMPILER: Final = SparkCompiler()
WORTH: Final = 8.0
"""A part is kept where writing it out again would cost more operations than this; see `in_parts`."""
_COSTLY: Final = (sge.Join, sge.Group, sge.Window, sge.Distinct, sge.SetOperation)


def in_parts(query: sge.Query, keep: Callable[[str], str], *, worth: float = WORTH) -> str:
    """The statement as SQL, with its larger shared parts kept first and named in it.

    Args:
        query: As Ibis compiles it, with common table expressions.
        keep: Is handed the SQL of a part, and gives the name of a view of its rows.
        worth: A part is kept where it is named more than once and what it would cost to write it out at each further
            place (one for each part in it, two for each join, grouping or window) is at least this.
    """
    statement = _Statement(query)
    for name in statement.names:
        if (statement.uses[name] - 1) * statement.cost(name) >= worth:
            statement.kept[name] = keep(statement.sql(statement.bodies[name]))
    return statement.sql(statement.main)


class _Statement:
    """A statement and its common table expressions, in order."""

    def __init__(self, query: sge.Query) -> None:
        self.bodies: dict[str, sge.Expression] = {each.alias: each.this for each in query.ctes}
        self.names = tuple(self.bodies)
        self.kept: dict[str, str] = {}
        self.main = query.copy()
        self.main.set("with_", None)
        self.named = {name: Counter(self._named_in(body)) for name, body in self.bodies.items()}
        self.uses = sum((*self.named.values(), Counter(self._named_in(self.main))), Counter[str]())
        self._own = {name: 1 + 2 * len(list(body.find_all(*_COSTLY))) for name, body in self.bodies.items()}
        self._costs: dict[str, float] = {}

    def _named_in(self, body: sge.Expression) -> Iterator[str]:
        for table in body.find_all(sge.Table):
            if table.name in self.bodies and not table.db:
                yield table.name

    def cost(self, name: str) -> float:
        """What it costs to write a part out, with the parts in it; those before it are decided."""
        inner = (1 if each in self.kept else self._costs[each] for each in self.named[name].elements())
        self._costs[name] = self._own[name] + sum(inner)
        return self._costs[name]

    def sql(self, body: sge.Expression) -> str:
        """One part or the main statement, with what it needs of the others before it."""
        needed: set[str] = set()
        waiting = [*self._named_in(body)]
        while waiting:
            name = waiting.pop()
            if name not in self.kept and name not in needed:
                needed.add(name)
                waiting += self.named[name]
        listed = [f"`{name}` AS ({self._text(self.bodies[name])})" for name in self.names if name in needed]
        head = f"WITH {', '.join(listed)} " if listed else ""
        return head + self._text(body)

    def _text(self, body: sge.Expression) -> str:
        if not self.kept.keys().isdisjoint(self._named_in(body)):
            body = body.copy()
            for table in list(body.find_all(sge.Table)):
                if table.name in self.kept and not table.db:
                    view = sge.Table(this=sge.to_identifier(self.kept[table.name], quoted=True))
                    table.replace(view.as_(table.alias or table.name, quoted=True, table=True))
        return body.sql(dialect=COMPILER.dialect)

"""What is worked out once and asked often, as DuckDB keeps it: text that recurs is a number into a list of its values.

A list is an enumeration in the order of the text, so that equality, order, least and greatest are those of the text,
and everything else sees the text itself. Ibis takes the columns for text, as the expression says. Grouping, joining and
sorting of such columns is that of small numbers, and the rows need a tenth of the memory.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import ibis.expr.operations as ops
from ibis.backends.duckdb import Backend
from ibis.backends.sql.datatypes import DuckDBType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import ibis.expr.schema as sch
    import ibis.expr.types as ir

_LEAST_ROWS: Final = 20_000
"""Fewer rows are as fast as text."""
_REPEATS: Final = 4
"""A value has to stand in so many rows on average for a list of values to be the shorter form."""
_MOST_VALUES: Final = 200_000
"""To look up each row in a longer list takes more time than its numbers save: with Message-IDs of 2.4 million entries
left as text, the whole document takes 48 CPU seconds in place of 59."""
_AS_STORED: Final = (ops.DatabaseTable, ops.Project)
"""Rows as they stand in files can be read twice; of others, text is kept until its values are known."""


class KeepingBackend(Backend):  # type: ignore[misc]
    """Ibis' backend, with tables that are kept in the short form."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._lists: dict[str, list[str]] = {}

    def _create_cached_table(self, name: str, expr: ir.Table) -> ir.Table:
        query, wanted = self.compile(expr), expr.schema()
        is_stored = all(isinstance(node, _AS_STORED) for node in expr.op().find(ops.Relation))
        self._keep(expr, functools.partial(self._kept, name, query, wanted, is_stored=is_stored))
        at = ops.Namespace(catalog="temp", database="main")
        return ops.DatabaseTable(name, schema=wanted, source=self, namespace=at).to_expr()

    def _keep(self, expr: ir.Table, make: Callable[[], None]) -> None:
        """Have a table made of what an expression says."""
        self._run_pre_execute_hooks(expr)
        make()

    def _kept(self, name: str, query: str, wanted: sch.Schema, *, is_stored: bool) -> None:
        table = f"temp.main.{identifier(name)}"
        if is_stored:
            text = self._recurring(f"({query})")
        else:
            self.con.execute(f"CREATE TEMP TABLE {identifier(name)} AS SELECT {_typed(wanted)} FROM ({query})")  # noqa: S608 - written by Ibis
            text = self._recurring(table)
        lists = {column: identifier(f"{name}:{column}") for column in text}
        self._lists[name] = list(lists.values())
        for column, kind in lists.items():
            self.con.execute(
                f"CREATE TYPE {kind} AS ENUM (SELECT DISTINCT {identifier(column)} "  # noqa: S608 - written by Ibis
                f"FROM {f'({query})' if is_stored else table} WHERE {identifier(column)} IS NOT NULL ORDER BY 1)"
            )
        if is_stored:
            columns = _typed(wanted, lists)
            self.con.execute(f"CREATE TEMP TABLE {identifier(name)} AS SELECT {columns} FROM ({query})")  # noqa: S608 - written by Ibis
        else:
            for column, kind in lists.items():
                self.con.execute(f"ALTER TABLE {table} ALTER COLUMN {identifier(column)} TYPE {kind}")

    def _recurring(self, source: str) -> list[str]:
        """The columns of text whose values recur."""
        rows = self.con.sql(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608 - names of our own
        text = [column for column, kind in zip(rows.columns, rows.dtypes, strict=True) if kind.id == "varchar"]
        if not text:
            return []
        counts = ", ".join(f"approx_count_distinct({identifier(column)})" for column in text)
        # All rows are fetched, because what is not ends the use of the connection for others.
        ((total, *distinct),) = self.con.execute(f"SELECT count(*), {counts} FROM {source}").fetchall()  # noqa: S608 - names of our own
        if total < _LEAST_ROWS:
            return []
        counted = zip(text, distinct, strict=True)
        return [column for column, values in counted if 0 < values <= _MOST_VALUES and values * _REPEATS <= total]

    def _drop_cached_table(self, name: str) -> None:
        self.con.execute(f"DROP TABLE IF EXISTS temp.main.{identifier(name)}")
        for kind in self._lists.pop(name, ()):
            self.con.execute(f"DROP TYPE {kind}")


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _typed(wanted: Any, given: dict[str, str] | None = None) -> str:
    """The columns as the expression types them; text as it comes, so that a list of values stays one."""
    given = given or {}
    return ", ".join(_columns(wanted.items(), given))


def _columns(wanted: Iterable[tuple[str, Any]], given: dict[str, str]) -> Iterable[str]:
    for name, kind in wanted:
        column = identifier(name)
        if kind.is_string():
            yield f"CAST({column} AS {given[name]}) AS {column}" if name in given else column
        else:
            yield f"CAST({column} AS {DuckDBType.to_string(kind)}) AS {column}"

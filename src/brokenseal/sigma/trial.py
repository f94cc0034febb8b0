"""Rules carried out on one made-up record: whether an engine takes them, without a store.

The record has a text in every field. What comes out does not matter; an engine says what it does not take when it
plans a query, or at the latest when it looks at a value.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import ibis
import pyarrow as pa

from brokenseal._workbench import compile_query
from brokenseal.errors import EngineFailed
from brokenseal.settings import Settings
from brokenseal.sigma import correlation as counting
from brokenseal.sigma.compiler import KEYWORDS
from brokenseal.sigma.plan import is_never, plan, unheard_of
from brokenseal.sigma.values import RuleFault, as_it_stands
from brokenseal.store import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.sigma.plan import Counted, Ready
    from brokenseal.sigma.values import Rule, RuleSet, RuleVerdict

EngineName = Literal["duckdb", "spark"]
_RECORDS: Final = "sigma_trial"
_TEXT: Final = "a b"
_NOT_TAKEN: Final = (*REFUSED, EngineFailed)


def try_rules(
    rules: RuleSet, engine: EngineName, *, values: Mapping[str, Sequence[str]] | None = None
) -> tuple[tuple[RuleVerdict, ...], tuple[RuleFault, ...]]:
    """What each rule needs, and whether the engine carries it out; and what is wrong with the others.

    Args:
        rules: What was read.
        engine: Spark runs in this process.
        values: Placeholder to its values; `internal_domains`, which a store would tell, has a made-up one.

    Raises:
        UsageError: the engine is not installed.
    """
    planned = plan(rules, values={"internal_domains": ["@example.org"], **(values or {})})
    asked = [(each.rule, _told(each)) for each in planned.ready]
    asked += [(each.rule, _counted(each)) for each in planned.counted]
    faults = []
    with _engine(engine) as carry_out:
        for rule, tables in asked:
            fault = _trouble(rule, tables, carry_out)
            if fault is not None:
                faults.append(fault)
    refused = {fault.rule_id: fault.reason for fault in faults}
    ready = {each.rule.key: each for each in planned.ready}
    verdicts = tuple(
        replace(each, state="unreadable", reason=as_it_stands(refused[key]))
        if key in refused
        else _in_doubt(each, ready[key])
        if key in ready
        else each
        for key, each in planned.verdicts.items()
    )
    return verdicts, (*planned.faults, *faults)


def _in_doubt(verdict: RuleVerdict, ready: Ready) -> RuleVerdict:
    """Said of a rule that can be true only of records with a field that none is known to have."""
    if verdict.state != "runnable" or not verdict.unmapped or not is_never(ready.compiled, verdict.unmapped):
        return verdict
    return replace(verdict, reason=unheard_of(ready.log, verdict.unmapped))


def _trouble(
    rule: Rule, asked: tuple[pa.Table, Callable[[ir.Table], ir.Table]], carry_out: Callable[..., None]
) -> RuleFault | None:
    try:
        carry_out(*asked)
    except _NOT_TAKEN as err:
        reason = f"the engine does not carry it out: {str(err).splitlines()[0]}"
        return RuleFault(path=rule.path, line=rule.line, reason=reason, rule_id=rule.key)
    return None


def _told(ready: Ready) -> tuple[pa.Table, Callable[[ir.Table], ir.Table]]:
    columns: dict[str, Any] = {KEYWORDS: pa.array([_TEXT])}
    columns |= {each.name: pa.array([[_TEXT] if each.is_list else _TEXT]) for each in ready.fields}
    return pa.table(columns), lambda table: table.select(is_hit=ready.compiled(table))


def _counted(counted: Counted) -> tuple[pa.Table, Callable[[ir.Table], ir.Table]]:
    groups = counting.group_columns(counted.correlation)
    texts = {name: [_TEXT] for name in ("event_id", "actor_key", "mailbox_key", *groups, "value")}
    rows = pa.table({"rule": pa.array([0], pa.int64()), "at": pa.array([0], pa.int64()), **texts})
    correlation = counted.correlation
    return rows, lambda table: counting.episodes(counting.satisfied(table, correlation), correlation)


@contextmanager
def _engine(name: EngineName) -> Iterator[Callable[[pa.Table, Callable[[ir.Table], ir.Table]], None]]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(store_dir=Path(folder), engine=name)
        yield from _spark(settings) if name == "spark" else _duck(settings)


def _duck(settings: Settings) -> Iterator[Callable[[pa.Table, Callable[[ir.Table], ir.Table]], None]]:
    from brokenseal.engines.duck import DuckEngine

    engine = DuckEngine(settings.store_dir, settings)
    bench = engine.workbench()

    def carry_out(rows: pa.Table, ask: Callable[[ir.Table], ir.Table]) -> None:
        bench.hold(_RECORDS, rows)
        bench.fetch(compile_query(ask(ibis.table(ibis.Schema.from_pyarrow(rows.schema), name=_RECORDS))))

    try:
        yield carry_out
    finally:
        engine.close()


def _spark(settings: Settings) -> Iterator[Callable[[pa.Table, Callable[[ir.Table], ir.Table]], None]]:
    from brokenseal.engines.spark import SparkEngine

    engine = SparkEngine(settings.store_dir, settings)

    def carry_out(rows: pa.Table, ask: Callable[[ir.Table], ir.Table]) -> None:
        ask(ibis.memtable(rows)).to_pyarrow()

    try:
        yield carry_out
    finally:
        engine.close()

"""`brokenseal rules`: Sigma rules over a store, what they need, and what they cover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brokenseal.cli.options import AsJson, Engine, Exit, StoreDir, settings_of
from brokenseal.cli.output import emit, note, show, write
from brokenseal.errors import UsageError
from brokenseal.wording import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokenseal.sigma.values import RuleFault, RuleHit, RuleVerdict, RunResult

rules_app = typer.Typer(
    name="rules",
    help="Sigma rules: run them over the records of a store, see what they need and what they cover.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RulePaths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH...", help="Files of rules, or folders of them; without any, the product's own rules."),
]
ValuesFile = Annotated[
    Path | None,
    typer.Option("--values", metavar="FILE", help="YAML: the values of each %placeholder% that rules have."),
]
Listed = Annotated[int, typer.Option("--listed", min=0, help="Hits of each rule that are listed; all are counted.")]


@rules_app.command("run")
def run(
    store: StoreDir, paths: RulePaths = None, values: ValuesFile = None, listed: Listed = 20, as_json: AsJson = False
) -> None:
    """Carry out rules over every record of the store, in one pass for all of them."""
    from brokenseal.sigma import load_rules
    from brokenseal.sigma.running import run_rules
    from brokenseal.store import Store

    with Store.open(settings_of(store)) as opened:
        result = run_rules(opened, load_rules(_paths(paths)), values=_values(values), listed=listed)
    if as_json:
        emit(_result(result))
    else:
        _show_hits(result)
    _note_faults(result.faults)
    raise typer.Exit(Exit.INCOMPLETE if result.faults else Exit.OK)


@rules_app.command("check")
def check(
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Folder of the store; without one, any store is meant."),
    ] = None,
    paths: RulePaths = None,
    values: ValuesFile = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Without a store: what has to take the rules, tried on one record.")
    ] = Engine.DUCKDB,
    as_json: AsJson = False,
) -> None:
    """Say of each rule what it needs, and whether this store can ever satisfy it, or any could."""
    if store is not None and engine is not Engine.DUCKDB:
        raise UsageError(place="--engine", value=engine.value, expected="no --store with it: rules are run by DuckDB")
    verdicts, faults = _tried(engine, paths, values) if store is None else _checked(store, paths, values)
    if as_json:
        emit({"rules": [_verdict(each) for each in verdicts], "faults": [_fault(each) for each in faults]})
    else:
        _show_verdicts(verdicts)
    _note_faults(faults)
    raise typer.Exit(Exit.INCOMPLETE if faults else Exit.OK)


@rules_app.command("coverage")
def coverage(
    store: StoreDir,
    paths: RulePaths = None,
    values: ValuesFile = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the layer here, not on the screen.")
    ] = None,
) -> None:
    """Write what the rules see of ATT&CK on this store, as a layer of the ATT&CK Navigator."""
    from brokenseal.reports.json_document import to_json
    from brokenseal.sigma.navigator import layer

    verdicts, faults = _checked(store, paths, values)
    found = layer(verdicts)
    if output is None:
        emit(found)
    else:
        write(output, to_json(found))
        note(f"{output}: {len(found['techniques'])} techniques")
    _note_faults(faults)
    raise typer.Exit(Exit.INCOMPLETE if faults else Exit.OK)


def _checked(
    store: Path, paths: list[Path] | None, values: Path | None
) -> tuple[Sequence[RuleVerdict], Sequence[RuleFault]]:
    from brokenseal.sigma import load_rules
    from brokenseal.sigma.running import check_rules
    from brokenseal.store import Store

    with Store.open(settings_of(store)) as opened:
        return check_rules(opened, load_rules(_paths(paths)), values=_values(values))


def _tried(
    engine: Engine, paths: list[Path] | None, values: Path | None
) -> tuple[Sequence[RuleVerdict], Sequence[RuleFault]]:
    from brokenseal.sigma import load_rules
    from brokenseal.sigma.trial import try_rules

    return try_rules(load_rules(_paths(paths)), engine.value, values=_values(values))


def _paths(paths: list[Path] | None) -> list[Path]:
    from brokenseal.sigma import OWN_RULES

    if not paths:
        return [OWN_RULES]
    for path in paths:
        if not path.exists():
            raise UsageError(place="rules", value=path, expected="a file of rules, or a folder of them")
    return paths


def _values(path: Path | None) -> Mapping[str, Sequence[str]] | None:
    from brokenseal.sigma.loading import placeholder_values

    return None if path is None else placeholder_values(path)


# ---------------------------------------------------------------- text


def _show_hits(result: RunResult) -> None:
    from rich.table import Table
    from rich.text import Text

    listed: dict[str, list[RuleHit]] = {}
    for hit in result.hits:
        listed.setdefault(hit.rule_key, []).append(hit)
    table = Table("Level", "Rule", "Hits", "Time (UTC)", "Who", "Records")
    for verdict in result.verdicts:
        number = result.counts.get(verdict.rule.key)
        for place, hit in enumerate(listed.get(verdict.rule.key, ())):
            first = (verdict.rule.level, verdict.rule.title, str(number)) if place == 0 else ("", "", "")
            at = hit.first_at.strftime("%Y-%m-%d %H:%M:%S") if hit.first_at else ""
            who = ", ".join((*(f"{name}={value}" for name, value in hit.group), *hit.actors))
            cells = (*first, at, _shortened(who), _shortened(", ".join(hit.event_ids)))
            table.add_row(*(Text(_plain(cell)) for cell in cells))
    if table.row_count:
        show(table)
    states = _states(result.verdicts)
    show(
        Text(
            f"{len(result.counts)} rules with hits; {result.records} records looked at; "
            f"rules: {', '.join(f'{number} {name}' for name, number in states.items()) or 'none'}"
        )
    )


def _show_verdicts(verdicts: Sequence[RuleVerdict]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("State", "Rule", "Log", "Fields that no record has", "Fields that nobody maps", "Why")
    for each in verdicts:
        cells = (
            each.state.replace("_", " "),
            each.rule.title,
            each.source or "",
            ", ".join(each.absent),
            ", ".join(each.unmapped),
            say(each.reason, "en"),
        )
        table.add_row(*(Text(_plain(cell)) for cell in cells))
    show(table)
    show(Text(", ".join(f"{number} {name}" for name, number in _states(verdicts).items()) or "no rule"))


def _states(verdicts: Iterable[RuleVerdict]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in verdicts:
        name = each.state.replace("_", " ")
        counts[name] = counts.get(name, 0) + 1
    return counts


def _plain(text: str) -> str:
    from brokenseal.reports.terminal import plain

    return plain(text)


_WIDE = 80


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"


def _note_faults(faults: Iterable[RuleFault]) -> None:
    for each in faults:
        note(f"{each.path}:{each.line}: {each.reason}")


# ---------------------------------------------------------------- JSON


def _result(result: RunResult) -> dict[str, Any]:
    return {
        "records": result.records,
        "rules": [{**_verdict(each), "hits": result.counts.get(each.rule.key, 0)} for each in result.verdicts],
        "hits": [
            {
                "rule": each.rule_key,
                "first_at": each.first_at,
                "last_at": each.last_at,
                "event_ids": each.event_ids,
                "actors": each.actors,
                "mailboxes": each.mailboxes,
                "group": dict(each.group),
            }
            for each in result.hits
        ],
        "faults": [_fault(each) for each in result.faults],
    }


def _verdict(each: RuleVerdict) -> dict[str, Any]:
    return {
        "rule": each.rule.key,
        "title": each.rule.title,
        "level": each.rule.level,
        "path": each.rule.path,
        "line": each.rule.line,
        "attack": each.rule.techniques,
        "state": each.state,
        "source": each.source,
        "fields": each.fields,
        "absent": each.absent,
        "unmapped": each.unmapped,
        "reason": say(each.reason, "en"),
    }


def _fault(each: RuleFault) -> dict[str, Any]:
    return {"path": each.path, "line": each.line, "rule": each.rule_id, "reason": each.reason}

"""One pass over the recorded text: what its records hold, and which of them satisfy which rules.

Rules that ask for the same fields are judged together, and once for each combination of values that occurs: of a
thousand records most repeat another one in the few fields that a rule looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import ibis
import pyarrow as pa

from brokenseal._workbench import compile_query
from brokenseal.sigma.compiler import KEYWORDS
from brokenseal.sigma.records import (
    EVENT_ID,
    IS_ODD,
    RECORD_NO,
    SHAPES,
    Piece,
    is_json,
    of_line,
    of_lines,
    payload_of,
    pieces,
    with_keys,
)
from brokenseal.sigma.values import RuleFault
from brokenseal.store import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal._workbench import Workbench
    from brokenseal.sigma.plan import Plan, Ready
    from brokenseal.sigma.vocabulary import Log, RecordField
    from brokenseal.store import Store

RULES: Final = "_rules"
"""Column of hits: positions of the rules among those of their log, as a list."""
INPUT: Final = "_input"
_ROWS: Final = "sigma_rows"
_LINES: Final = {RECORD_NO: "int64", "line": "string"}
_JUDGED_AT_ONCE: Final = 200_000
"""Records whose fields are held before the rules are asked: to plan a query of many rules takes longer than to carry it
out on the records of one piece."""


@dataclass(slots=True, eq=False)
class Found:
    """What the pass has found so far.

    Attributes:
        hits: Source to tables of `_input` (number of the input among `inputs`), `_record_no`, `_event_id` (null where
            the number tells), `_rules` and the fields that correlation rules need.
        inputs: SHA-256 of the inputs that were looked at.
        present: Source to the fields that some record holds.
        refused: Keys of rules that the engine does not carry out.
        records: Lines of recorded text that were looked at.
    """

    hits: dict[str, list[pa.Table]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    present: dict[str, set[str]] = field(default_factory=dict)
    faults: list[RuleFault] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    records: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What is asked of the records of one log.

    Attributes:
        carried: Names of fields that correlation rules need of hits.
        with_text: Whether some rule has keywords.
        several: Numbers of lines that hold more than one record, by input.
        queries: Compiled queries by what they are for; compiling takes longer than many a query.
        held: Held tables of rows that are still to be judged, with the SHA-256 of the input of each.
    """

    log: Log
    rules: tuple[Ready, ...]
    fields: tuple[RecordField, ...]
    carried: tuple[str, ...]
    with_text: bool
    several: Mapping[str, frozenset[int]]
    queries: dict[tuple[object, ...], str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)

    def kinds(self) -> dict[str, str]:
        """The columns of rows of records."""
        own = {each.name: "array<string>" if each.is_list else "string" for each in self.fields}
        text = {KEYWORDS: "string"} if self.with_text else {}
        return {RECORD_NO: "int64", EVENT_ID: "string", IS_ODD: "boolean", **text, **own}

    def groups(self) -> dict[tuple[str, ...], list[int]]:
        """Fields to the positions of the rules that ask for just them."""
        found: dict[tuple[str, ...], list[int]] = {}
        for number, each in enumerate(self.rules):
            found.setdefault(each.compiled.fields, []).append(number)
        return found


def carried_of(planned: Plan, log: Log) -> tuple[RecordField, ...]:
    """The fields that correlation rules need of hits of a log's rules."""
    return tuple({each.name: each for rule in planned.of_log(log) for each in rule.carried}.values())


def scan(store: Store, log: Log, planned: Plan, found: Found, *, with_rules: bool = True) -> None:
    """Look at every record of a log.

    Raises:
        EvidenceChanged: recorded text is gone or damaged.
    """
    rules = planned.of_log(log)
    asked = _Pass(
        log=log,
        rules=rules if with_rules else (),
        fields=planned.fields(log),
        carried=tuple(each.name for each in carried_of(planned, log)),
        with_text=with_rules and any(KEYWORDS in each.compiled.fields for each in rules),
        several=_several(store),
    )
    bench = store.workbench()
    number = 0
    for shapes, inputs in _inputs(store, log):
        payload = payload_of(shapes)
        held = (piece for sha256 in inputs for piece in pieces(store.root, sha256))
        while batch := list(islice(held, store.settings.threads)):
            _look_at(bench, asked, payload, batch, found)
            number += sum(len(piece.lines) for piece in batch)
            if asked.with_text or number >= _JUDGED_AT_ONCE:
                _judge(bench, asked, found)
                number = 0
    _judge(bench, asked, found)


def _inputs(store: Store, log: Log) -> list[tuple[tuple[str, ...], list[str]]]:
    """Inputs with records of a log, by their shapes."""
    found: dict[tuple[str, ...], list[str]] = {}
    seen: set[str] = set()
    for row in store.ledger_rows():
        shapes = tuple(each for each in (row["shape"] or "").split("+") if SHAPES.get(each) == log.source)
        if shapes and row["evidence_sha256"] and row["sha256"] not in seen:
            seen.add(row["sha256"])
            found.setdefault(shapes, []).append(row["sha256"])
    return list(found.items())


def _several(store: Store) -> dict[str, frozenset[int]]:
    events = store.tables()["events"]
    counts = events.group_by(["input_sha256", "record_no"]).aggregate(n=events.count())
    found: dict[str, set[int]] = {}
    for row in store.run(counts.filter(counts["n"] > 1)).to_pylist():
        found.setdefault(row["input_sha256"], set()).add(row["record_no"])
    return {sha256: frozenset(numbers) for sha256, numbers in found.items()}


def _look_at(bench: Workbench, asked: _Pass, payload: Sequence[str], batch: Sequence[Piece], found: Found) -> None:
    """Hold the fields of the records of some pieces."""
    slots = [f"sigma_{number}_lines" for number in range(len(batch))]
    names = [f"{_ROWS}_{len(asked.held) + number}" for number in range(len(batch))]
    several = {slot: asked.several.get(piece.sha256, frozenset()) for slot, piece in zip(slots, batch, strict=True)}
    rows = dict(zip(slots, names, strict=True))
    for slot, piece in zip(slots, batch, strict=True):
        bench.hold(slot, piece.lines)
    taken = bench.at_once(lambda own, slot: _take(own, slot, rows[slot], asked, payload, several[slot]), slots)
    asked.held.update({name: piece.sha256 for name, piece in zip(names, batch, strict=True)})
    for piece, odd in zip(batch, taken, strict=True):
        found.records += len(piece.lines)
        slow = _slow_rows(piece, odd, asked)
        if slow is not None:
            name = f"{_ROWS}_{len(asked.held)}"
            bench.hold(name, slow)
            asked.held[name] = piece.sha256
    bench.drop(*slots)


def _take(
    bench: Workbench, lines: str, rows: str, asked: _Pass, payload: Sequence[str], several: frozenset[int]
) -> frozenset[int]:
    """Hold the fields of a piece's records, and give the numbers of the lines that are to be read one by one."""
    odd = set(several)
    try:
        bench.hold(rows, _query(asked, ("take", lines, tuple(payload)), lambda: _taken(lines, asked, payload)))
    except REFUSED:
        # Some line is no JSON. Which one it is costs a pass of its own.
        table = ibis.table(_LINES, name=lines)
        broken = table.filter(~is_json(table)).select(RECORD_NO)
        odd.update(bench.fetch(compile_query(broken))[RECORD_NO].to_pylist())
        bench.hold(f"{lines}_sound", compile_query(table.filter(is_json(table))))
        bench.hold(rows, compile_query(_taken(f"{lines}_sound", asked, payload)))
        bench.drop(f"{lines}_sound")
    held = ibis.table(asked.kinds(), name=rows)
    odd.update(bench.fetch(compile_query(held.filter(held[IS_ODD]).select(RECORD_NO)))[RECORD_NO].to_pylist())
    if several:
        bench.hold(f"{rows}_kept", compile_query(held.filter(held[RECORD_NO].notin(sorted(several)))))
        bench.hold(rows, compile_query(ibis.table(asked.kinds(), name=f"{rows}_kept")))
        bench.drop(f"{rows}_kept")
    return frozenset(odd)


def _taken(lines: str, asked: _Pass, payload: Sequence[str]) -> ir.Table:
    found = of_lines(ibis.table(_LINES, name=lines), asked.log, asked.fields, payload)
    return found if asked.with_text else found.drop(KEYWORDS)


def _query(asked: _Pass, key: tuple[object, ...], build: Callable[[], ir.Table]) -> str:
    if key not in asked.queries:
        asked.queries[key] = compile_query(build())
    return asked.queries[key]


def _slow_rows(piece: Piece, numbers: frozenset[int], asked: _Pass) -> pa.Table | None:
    first = piece.lines[RECORD_NO][0].as_py()
    rows = [
        {RECORD_NO: number, IS_ODD: False, **row}
        for number in sorted(numbers)
        if 0 <= number - first < len(piece.lines)
        for row in of_line(piece.lines["line"][number - first].as_py(), asked.log, asked.fields)
    ]
    return pa.Table.from_pylist(rows, schema=ibis.schema(asked.kinds()).to_pyarrow()) if rows else None


def _judge(bench: Workbench, asked: _Pass, found: Found) -> None:
    """Note what the held rows hold, keep those that satisfy a rule, and let go of the others."""
    if not asked.held:
        return
    parts = []
    for name, sha256 in asked.held.items():
        if sha256 not in found.inputs:
            found.inputs.append(sha256)
        part = ibis.table(asked.kinds(), name=name)
        parts.append(part.mutate(**{INPUT: ibis.literal(found.inputs.index(sha256), "int64")}))
    bench.view(_ROWS, compile_query(ibis.union(*parts) if len(parts) > 1 else parts[0]))
    rows = ibis.table({**asked.kinds(), INPUT: "int64"}, name=_ROWS)
    rows = rows.filter(~rows[IS_ODD])
    there = {f"n{number}": rows[each.name].notnull().any() for number, each in enumerate(asked.fields)}
    summary = _query(asked, ("there",), lambda: rows.aggregate(n=rows.count(), **there))
    counted = bench.fetch(summary).to_pylist()[0]
    if counted["n"]:
        held = found.present.setdefault(asked.log.source, set())
        held.update(each.name for number, each in enumerate(asked.fields) if counted[f"n{number}"])
        for names, numbers in asked.groups().items():
            hits = _satisfying(bench, rows, names, numbers, asked, found)
            if len(hits):
                found.hits.setdefault(asked.log.source, []).append(hits)
    bench.drop(*asked.held)
    asked.held.clear()


def _satisfying(
    bench: Workbench,
    rows: ir.Table,
    names: tuple[str, ...],
    numbers: Sequence[int],
    asked: _Pass,
    found: Found,
) -> pa.Table:
    while True:
        sound = tuple(number for number in numbers if asked.rules[number].rule.key not in found.refused)
        if not sound:
            return pa.table({})
        try:
            return bench.fetch(_query(asked, ("hits", sound), partial(_hit_rows, rows, names, sound, asked)))
        except REFUSED:
            refused = _refused(bench, rows, names, sound, asked)
            if not refused:
                raise
            found.refused.update(fault.rule_id for fault in refused if fault.rule_id is not None)
            found.faults += refused


def _refused(
    bench: Workbench, rows: ir.Table, names: tuple[str, ...], numbers: Sequence[int], asked: _Pass
) -> list[RuleFault]:
    faults = []
    for number in numbers:
        rule = asked.rules[number].rule
        try:
            bench.fetch(compile_query(_hit_rows(rows, names, (number,), asked)))
        except REFUSED as err:
            reason = f"the engine does not carry it out: {str(err).splitlines()[0]}"
            faults.append(RuleFault(path=rule.path, line=rule.line, reason=reason, rule_id=rule.key))
    return faults


def _hit_rows(rows: ir.Table, names: tuple[str, ...], numbers: Sequence[int], asked: _Pass) -> ir.Table:
    """The rows that satisfy some rule, with the positions of those that they satisfy.

    Args:
        rows: Records.
        names: What these rules ask for; `KEYWORDS` among them where they have keywords.
        numbers: Positions of the rules.
        asked: The rules.
    """
    fields = tuple(each for each in asked.fields if each.name in names)
    is_simple = KEYWORDS not in names and not any(each.is_list for each in fields)
    judged_rows = rows.select(*(each.name for each in fields)).distinct() if is_simple and fields else rows
    wide, known = with_keys(judged_rows, fields, with_text=KEYWORDS in names)
    told = [
        asked.rules[number].compiled(wide, known).ifelse(ibis.literal(number, "int64"), ibis.null("int64"))
        for number in numbers
    ]
    judged = wide.mutate(**{RULES: ibis.array(told).filter(lambda each: each.notnull())})
    judged = judged.filter(judged[RULES].length() > 0)
    if judged_rows is rows:
        return judged.select(INPUT, RECORD_NO, EVENT_ID, *asked.carried, RULES)
    keys = judged.select(RULES, **{f"k{place}": judged[each.name] for place, each in enumerate(fields)})
    same = [rows[each.name].identical_to(keys[f"k{place}"]) for place, each in enumerate(fields)]
    return rows.join(keys, same).select(INPUT, RECORD_NO, EVENT_ID, *asked.carried, RULES)

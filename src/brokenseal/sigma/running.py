"""Rules over a store: every rule in one pass over the recorded text, then the correlation rules over what was hit."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis
import pyarrow as pa

from brokenseal import fields
from brokenseal._workbench import compile_query
from brokenseal.sigma import correlation as counting
from brokenseal.sigma.matching import as_text
from brokenseal.sigma.plan import Counted, Plan, logs_of, plan, settled
from brokenseal.sigma.records import EVENT_ID, RECORD_NO
from brokenseal.sigma.scanning import INPUT, RULES, Found, carried_of, scan
from brokenseal.sigma.values import RuleFault, RuleHit, RunResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal._workbench import Workbench
    from brokenseal.sigma.values import RuleSet, RuleVerdict
    from brokenseal.sigma.vocabulary import Log
    from brokenseal.store import Store

LISTED: Final = 1000
"""Hits of one rule that are listed; all are counted."""
_INTERNAL: Final = "internal_domains"
_START: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def run_rules(
    store: Store,
    rules: RuleSet,
    *,
    values: Mapping[str, Sequence[str]] | None = None,
    listed: int = LISTED,
    wanted: Collection[str] = (),
) -> RunResult:
    """Carry out rules over all records of a store.

    Args:
        store: Its recorded text is read once for each log that some rule asks for.
        rules: What was read.
        values: Placeholder to its values.
        listed: Hits of one rule that are listed.
        wanted: Records whose hits are listed before those of others.

    Raises:
        EvidenceChanged: recorded text is gone or damaged.
    """
    planned = plan(rules, values=_values(store, rules, values))
    found = Found()
    for log in logs_of(planned):
        scan(store, log, planned, found)
    hits, counts = _hits(store, planned, found, _Listing(listed, frozenset(wanted)))
    return RunResult(
        hits=hits,
        counts=counts,
        verdicts=settled(planned, found.present),
        records=found.records,
        faults=(*planned.faults, *found.faults),
    )


def check_rules(
    store: Store, rules: RuleSet, *, values: Mapping[str, Sequence[str]] | None = None
) -> tuple[tuple[RuleVerdict, ...], tuple[RuleFault, ...]]:
    """What each rule needs, and whether this store can satisfy it; and what is wrong with the others."""
    planned = plan(rules, values=_values(store, rules, values))
    found = Found()
    for log in logs_of(planned):
        scan(store, log, planned, found, with_rules=False)
    return settled(planned, found.present), (*planned.faults, *found.faults)


def _values(store: Store, rules: RuleSet, given: Mapping[str, Sequence[str]] | None) -> dict[str, Sequence[str]]:
    """What was given, and what the records tell where a rule asks for it."""
    asked = any(_INTERNAL in str(each.parsed.to_dict()) for each in rules.rules)
    return (known_values(store) if asked else {}) | dict(given or {})


def known_values(store: Store) -> dict[str, Sequence[str]]:
    """Values of placeholders that the records tell: `internal_domains`, of mailboxes, else of users who acted."""
    events = store.tables()["events"]
    users = events.filter(events["user_type"].isin([0, 2]) | (events["source"] != "unified_audit"))
    for names in (events["mailbox_upn"], users["actor_key"]):
        rows = store.run(names.name("name").as_table().distinct()).to_pylist()
        found = sorted({domain for row in rows if (domain := fields.domain_of(row["name"])) is not None})
        if found:
            return {_INTERNAL: [f"@{domain}" for domain in found]}
    return {}


# ---------------------------------------------------------------- hits


_WHO: Final = ("event_id", "occurred_at", "actor_key", "mailbox_key")
_WANTED: Final = "sigma_wanted"


class _Listing(NamedTuple):
    """How many hits of a rule are listed, and of which records first."""

    number: int
    wanted: frozenset[str]


def _hits(store: Store, planned: Plan, found: Found, listed: _Listing) -> tuple[tuple[RuleHit, ...], dict[str, int]]:
    bench = store.workbench()
    bench.hold(_WANTED, pa.table({"event_id": pa.array(sorted(listed.wanted), pa.string())}))
    counts: dict[str, int] = {}
    hits: dict[str, list[RuleHit]] = {}
    matched: dict[str, ir.Table] = {}
    for log in logs_of(planned):
        tables = found.hits.get(log.source)
        if not tables:
            continue
        name = f"sigma_{log.source}"
        bench.hold(f"{name}_found", pa.concat_tables(tables))
        bench.hold(f"{name}_inputs", pa.table({"n": range(len(found.inputs)), "input_sha256": found.inputs}))
        _hold_matches(bench, log, name)
        carried = {each.name: "array<string>" if each.is_list else "string" for each in carried_of(planned, log)}
        kinds = {
            "occurred_at": "timestamp('UTC', 6)",
            **dict.fromkeys(("event_id", "actor_key", "mailbox_key"), "string"),
        }
        table = ibis.table({**kinds, RULES: "array<int64>", **carried}, name=name)
        rules = planned.of_log(log)
        matched |= {each.rule.key: table.filter(table[RULES].contains(number)) for number, each in enumerate(rules)}
        keys = [each.rule.key if each.rule.is_shown else None for each in rules]
        _list_hits(bench, table, keys, listed, hits, counts)
    completed: dict[str, ir.Table] = {}
    for counted in planned.counted:
        counted_hits = _counted_hits(counted, matched, completed)
        if counted_hits is not None:
            _list_episodes(bench, counted, counted_hits, completed, listed, hits, counts)
    ordered = tuple(hit for key in planned.verdicts for hit in hits.get(key, ()))
    return ordered, counts


def _hold_matches(bench: Workbench, log: Log, name: str) -> None:
    """Join what was hit to the events that were kept of it; a line that was a copy or was rejected has none."""
    events = ibis.table(
        {
            "source": "string",
            "input_sha256": "string",
            "record_no": "int64",
            "occurred_at": "timestamp('UTC', 6)",
            **dict.fromkeys(("event_id", "actor_key", "mailbox_key"), "string"),
        },
        name="events",
    )
    own = compile_query(events.filter(events["source"] == log.source).select("input_sha256", "record_no", *_WHO))
    bench.hold(
        name,
        f"SELECT {', '.join(f'e.{each}' for each in _WHO)}, "  # noqa: S608 - names of our own
        f"f.* EXCLUDE ({INPUT}, {RECORD_NO}, {EVENT_ID}) "
        f"FROM {name}_found f JOIN {name}_inputs i ON i.n = f.{INPUT} "
        f"JOIN ({own}) e ON e.input_sha256 = i.input_sha256 AND e.record_no = f.{RECORD_NO} "
        f"AND (f.{EVENT_ID} IS NULL OR f.{EVENT_ID} = e.event_id)",
    )
    bench.drop(f"{name}_found", f"{name}_inputs")


def _list_hits(
    bench: Workbench,
    table: ir.Table,
    keys: Sequence[str | None],
    listed: _Listing,
    hits: dict[str, list[RuleHit]],
    counts: dict[str, int],
) -> None:
    each = table.select(rule=table[RULES].unnest())
    for row in bench.fetch(compile_query(each.group_by("rule").aggregate(n=each.count()))).to_pylist():
        key = keys[row["rule"]]
        if key is None:
            continue
        counts[key] = row["n"]
        if listed.number:
            own = table.filter(table[RULES].contains(row["rule"])).select(*_WHO)
            first = _wanted_first(own, listed) if row["n"] > listed.number else own
            query = compile_query(first.order_by(["occurred_at", "event_id"]))
            hits[key] = [_hit(key, found) for found in bench.fetch(query).to_pylist()]


def _wanted_first(own: ir.Table, listed: _Listing) -> ir.Table:
    if not listed.wanted:
        return own.order_by(["occurred_at", "event_id"]).limit(listed.number)
    wanted = ibis.table({"event_id": "string"}, name=_WANTED)
    told = own.mutate(is_other=~own["event_id"].isin(wanted["event_id"]))
    return told.order_by(["is_other", "occurred_at", "event_id"]).limit(listed.number).drop("is_other")


def _hit(key: str, row: Mapping[str, Any]) -> RuleHit:
    return RuleHit(
        rule_key=key,
        first_at=row["occurred_at"],
        last_at=row["occurred_at"],
        event_ids=(row["event_id"],),
        actors=tuple(filter(None, (row["actor_key"],))),
        mailboxes=tuple(filter(None, (row["mailbox_key"],))),
    )


# ---------------------------------------------------------------- correlation rules


def _counted_hits(
    counted: Counted, matched: Mapping[str, ir.Table], completed: Mapping[str, ir.Table]
) -> ir.Table | None:
    """The hits that a correlation rule counts, as `correlation.satisfied` wants them."""
    parts = []
    for place, key in enumerate(counted.rule.refers_to):
        if key in matched:
            table = matched[key]
            at = table["occurred_at"].delta(ibis.timestamp("1970-01-01", timezone="UTC"), unit="microsecond")
            names = counted.group_fields[place]
            groups = {f"g{number}": _flat(table[name]) for number, name in enumerate(names)}
            value = counted.value_fields[place]
            parts.append(
                table.select(
                    rule=ibis.literal(place, "int64"),
                    event_id=table["event_id"],
                    actor_key=table["actor_key"],
                    mailbox_key=table["mailbox_key"],
                    at=at.cast("int64"),
                    **groups,
                    value=_flat(table[value]) if value else ibis.null("string"),
                )
            )
        elif key in completed:
            parts.append(_of_correlation(counted, place, completed[key]))
    if not parts:
        return None
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _of_correlation(counted: Counted, place: int, table: ir.Table) -> ir.Table:
    groups = {f"g{number}": table[name] for number, name in enumerate(counted.group_fields[place])}
    value = counted.value_fields[place]
    return table.select(
        rule=ibis.literal(place, "int64"),
        event_id=table["event_id"],
        actor_key=table["actor_key"],
        mailbox_key=table["mailbox_key"],
        at=table["at"],
        **groups,
        value=table[value] if value else ibis.null("string"),
    )


def _flat(value: ir.Value) -> ir.StringValue:
    """A field as one folded text: groups and values are compared as all text of rules is."""
    return value.sort().join(", ").lower() if value.type().is_array() else as_text(value).lower()


def _list_episodes(
    bench: Workbench,
    counted: Counted,
    table: ir.Table,
    completed: dict[str, ir.Table],
    listed: _Listing,
    hits: dict[str, list[RuleHit]],
    counts: dict[str, int],
) -> None:
    rule = counted.rule
    name = f"sigma_c{len(completed)}"
    columns = dict(table.schema().items())
    bench.hold(f"{name}_hits", compile_query(table))
    counted_hits = ibis.table(columns, name=f"{name}_hits")
    bench.hold(name, compile_query(counting.satisfied(counted_hits, counted.correlation)))
    satisfied = ibis.table(columns, name=name)
    groups = counting.group_columns(counted.correlation)
    named = dict(zip(counted.correlation.group_by, groups, strict=True))
    completed[rule.key] = satisfied.mutate(**{field: satisfied[column] for field, column in named.items()})
    episodes = counting.episodes(satisfied, counted.correlation)
    number = bench.fetch(compile_query(episodes.aggregate(n=episodes.count())))["n"][0].as_py()
    if not number or not rule.is_shown:
        return
    counts[rule.key] = number
    bench.hold(f"{name}_episodes", compile_query(episodes.order_by(["to_us", *groups]).limit(listed.number)))
    chosen = ibis.table(dict(episodes.schema().items()), name=f"{name}_episodes")
    rows = bench.fetch(compile_query(counting.members(counted_hits, chosen, counted.correlation))).to_pylist()
    hits[rule.key] = _grouped(rule.key, rows, counted.correlation.group_by, groups)
    bench.drop(f"{name}_episodes")


def _grouped(key: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str], groups: Sequence[str]) -> list[RuleHit]:
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((*(row[column] for column in groups), row["episode"]), []).append(row)
    hits = []
    for place, own in found.items():
        ordered = sorted(own, key=lambda row: (row["at"], row["event_id"]))
        hits.append(
            RuleHit(
                rule_key=key,
                first_at=_START + dt.timedelta(microseconds=ordered[0]["at"]),
                last_at=_START + dt.timedelta(microseconds=ordered[-1]["at"]),
                event_ids=tuple(dict.fromkeys(row["event_id"] for row in ordered)),
                actors=tuple(sorted({row["actor_key"] for row in own if row["actor_key"]})),
                mailboxes=tuple(sorted({row["mailbox_key"] for row in own if row["mailbox_key"]})),
                group=tuple(zip(names, (str(each) for each in place), strict=False)),
            )
        )
    return sorted(hits, key=lambda hit: (hit.first_at or _START, hit.event_ids))

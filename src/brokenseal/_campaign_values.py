"""Suspicious units and what they show, and how usual that is in their tenant: from tables to plain values.

Suspicious are session clusters of a strange client, or with evidence of their token, its claims or their session, and
doors that were opened from a strange place, to a strange one, or to be used at once. What a unit weighs plays no part:
the benign law must be counted before anything can be weighed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal._campaign_links import NEW_DAYS, Background, Carried, Node
from brokenseal.client_marks import narrow_network
from brokenseal.clusters import clusters_of, members_of, with_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

STRANGER: Final = "mail_access.stranger_client"
DOOR: Final = "config.open_door"
EVIDENCE: Final = (
    "token.provenance",
    "token.impossible",
    "session.handover",
    "session.two_hands",
    "mail_access.from_suspect_address",
)
"""Whatever these fire on is suspicious."""
_DAY_S: Final = 86_400
_FAINT: Final = ("8-10",)
_GROUPS: Final = {"10-12": "strange", "12-14": "strange", "recent": "recent"}
_DOOR_SIGNS: Final = frozenset(("strange", "new_domain", "fast", "closed", "hiding_rule", "self"))
"""Parts of the bin of a door that make it suspicious."""
GROUPS: Final = ("strange", "stranger", "recent", "evidence", "door")
"""Classes of suspicious units, for the benign law: a client of 10 to 14 nats, one of more, one that was such lately,
other evidence alone, and doors with the reading through them."""

_KEY_ID: Final = re.compile(r"KeyIdentifier=([0-9A-Fa-f-]{16,64})")


def suspicious(marks: Mapping[str, pa.Table]) -> dict[str, str]:
    """Units that may be an intruder's, each with its group.

    Args:
        marks: As `judgement.run_marks` gives them: detector id to rows of `schema.MARK`.
    """
    found: dict[str, str] = {}
    for unit, name in _fired(marks, DOOR):
        if _DOOR_SIGNS.intersection(name.split(":")):
            found[unit] = "door"
    for detector_id in EVIDENCE:
        found |= {unit: "evidence" for unit, _ in _fired(marks, detector_id)}
    found |= {unit: _GROUPS.get(name, "stranger") for unit, name in _fired(marks, STRANGER) if name not in _FAINT}
    return found


def _fired(marks: Mapping[str, pa.Table], detector_id: str) -> list[tuple[str, str]]:
    rows = marks.get(detector_id)
    if rows is None:
        return []
    fired = rows.filter(pc.equal(rows.column("state"), "fired"))
    return list(zip(fired.column("unit").to_pylist(), fired.column("bin").fill_null("").to_pylist(), strict=True))


class Suspects(NamedTuple):
    """What is linked, and what is usual."""

    nodes: tuple[Node, ...]
    background: Background


def suspects(tables: Tables, marks: Mapping[str, pa.Table]) -> Suspects:
    """The suspicious units with their values, and how usual those values are.

    Args:
        tables: As `judgement.clustered` gives them.
        marks: As `judgement.run_marks` gives them.
    """
    groups = suspicious(marks)
    if not groups:
        return Suspects((), Background({}, {}, {}))
    wanted = ibis.memtable(pa.table({"node": pa.array(sorted(groups), pa.string())}))
    starts_us = _starts(tables)
    tables = _with_tenants(tables, starts_us)
    shown, places = _shown_by_clusters(tables, wanted)
    by_doors, door_places = _shown_by_doors(tables, wanted)
    places |= door_places
    values: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for unit, kind, value in (*shown, *by_doors):
        values[unit].add((kind, value))
    nodes = tuple(
        Node(unit, *places[unit], groups[unit], frozenset(values[unit])) for unit in sorted(groups) if unit in places
    )
    return Suspects(nodes, _background(tables, nodes, wanted, starts_us))


def _with_tenants(tables: Tables, starts_us: Mapping[str, int]) -> dict[str, ir.Table]:
    """The tables with records that name no tenant given to the one that there is; directory exports name none."""
    named = [tenant for tenant in starts_us if tenant]
    only = named[0] if len(named) == 1 else ""
    rows = {
        "members": members_of(tables),
        "clusters": clusters_of(tables),
        "config_changes": tables["config_changes"],
        "events": tables["events"],
    }
    return {**tables, **{name: table.mutate(tenant_id=table.tenant_id.fill_null(only)) for name, table in rows.items()}}


# ---------------------------------------------------------------- what units show


def _public(rows: ir.Table, value: ir.StringValue) -> ir.StringValue:
    """The value where the address is somebody's own: those of Microsoft and of inner networks are everybody's."""
    return ibis.ifelse((rows.ip_class == "public").fill_null(ibis.literal(value=False)), value, ibis.null("string"))


def _owned(rows: ir.Table) -> ir.BooleanValue:
    return (rows.logon_type == 0).fill_null(ibis.literal(value=False))


_OF_MEMBERS: Final[Mapping[str, Callable[[ir.Table], ir.StringValue]]] = {
    "address": lambda rows: _public(rows, rows.client_ip),
    "narrow_network": lambda rows: _public(rows, narrow_network(rows.client_ip)),
    "network": lambda rows: _public(rows, rows.network),
    "application": lambda rows: rows.effective_app,
    "application_agent": lambda rows: rows.app.concat(" ", ibis.coalesce(rows.user_agent, rows.agent)),
    "actor": lambda rows: ibis.ifelse(_owned(rows), ibis.null("string"), rows.actor_key),
    "session": lambda rows: rows.session_id,
    "token": lambda rows: ibis.coalesce(rows.token_id, rows.token_id_raw),
}
"""What a mail access shows, by kind."""


def _by_kind(rows: ir.Table, kinds: Iterable[str]) -> ir.Table:
    """Every mail access with each value that it shows: unit, tenant, subject, kind, value (strings), at (time)."""
    parts = [
        rows.select(
            unit=rows.cluster,
            tenant="tenant_id",
            subject=ibis.coalesce(rows.mailbox_upn, rows.mailbox_key),
            kind=ibis.literal(kind),
            value=_OF_MEMBERS[kind](rows),
            at=rows.occurred_at,
        )
        for kind in kinds
    ]
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.filter(found.value.notnull(), found.value != "")


def _shown_by_clusters(
    tables: Tables, wanted: ir.Table
) -> tuple[list[tuple[str, str, str]], dict[str, tuple[str, str, int]]]:
    """What suspicious clusters show, and where each stands: tenant, mailbox, begin."""
    rows = members_of(tables)
    rows = rows.semi_join(wanted, rows.cluster == wanted.node)
    shown = _by_kind(rows, _OF_MEMBERS).select("unit", "kind", "value").distinct().to_pyarrow()
    units = _with_subject(clusters_of(tables))
    units = units.semi_join(wanted, units.cluster == wanted.node).select(
        "subject", unit="cluster", tenant="tenant_id", at="first_at"
    )
    return _triples(shown), _placed(units.to_pyarrow())


def _with_subject(units: ir.Table) -> ir.Table:
    """The clusters with `subject`: the mailbox; the person who reads where that person has read it for long.

    A secretary on a journey reads three mailboxes from one hotel, and that is no news about three mailboxes.
    """
    pair = ibis.window(group_by=[units.tenant_id, units.mailbox_key, units.actor_key])
    units = units.mutate(pair_since=units.first_at.min().over(pair))
    known_s = units.first_at.delta(units.pair_since, unit="second")
    is_other = ~units.is_owner.fill_null(ibis.literal(value=False)) & units.actor_key.contains("@")
    lasting = (is_other & (known_s >= NEW_DAYS * _DAY_S)).fill_null(ibis.literal(value=False))
    mailbox = ibis.coalesce(units.mailbox_upn, units.mailbox_key)
    return units.mutate(subject=ibis.ifelse(lasting, units.actor_key, mailbox))


def _triples(rows: pa.Table) -> list[tuple[str, str, str]]:
    return list(zip(*(rows.column(name).to_pylist() for name in ("unit", "kind", "value")), strict=True))


def _placed(rows: pa.Table) -> dict[str, tuple[str, str, int]]:
    """Where each unit stands: tenant, mailbox, begin."""
    columns = [rows.column(name).to_pylist() for name in ("unit", "tenant", "subject")]
    return {
        unit: (tenant, subject, at_us)
        for unit, tenant, subject, at_us in zip(*columns, _microseconds(rows, "at"), strict=True)
    }


def _microseconds(rows: pa.Table, name: str) -> list[int]:
    times = rows.column(name).cast(pa.timestamp("us", tz="UTC"))
    found: list[int] = times.cast(pa.int64()).to_pylist()
    return found


_OF_DOORS: Final = ("address", "narrow_network", "network", "application", "actor", "session", "rule_name")
"""What a change of configuration shows, beside keys and destinations."""


def _shown_by_doors(
    tables: Tables, wanted: ir.Table
) -> tuple[list[tuple[str, str, str]], dict[str, tuple[str, str, int]]]:
    """The same of suspicious changes of configuration, which are few."""
    changes = tables["config_changes"]
    changes = changes.semi_join(wanted, changes.event_id == wanted.node)
    rows = with_network(changes.filter(changes.occurred_at.notnull()), tables)
    rows = rows.select(
        unit="event_id",
        tenant="tenant_id",
        subject=ibis.coalesce(rows.actor_key, rows.target_key, ""),
        at="occurred_at",
        address=_public(rows, rows.client_ip),
        narrow_network=_public(rows, narrow_network(rows.client_ip)),
        network=_public(rows, rows.network),
        application="changed_app_id",
        actor="actor_key",
        session="session_id",
        rule_name="rule_name",
        destination="external_destinations",
    )
    found = rows.to_pyarrow()
    shown = _credentials(tables, wanted)
    for row in found.select(["unit", *_OF_DOORS, "destination"]).to_pylist():
        shown += [(row["unit"], kind, row[kind]) for kind in _OF_DOORS if row[kind]]
        shown += [(row["unit"], "destination", address) for address in row["destination"] or ()]
    return shown, _placed(found)


def _credentials(tables: Tables, wanted: ir.Table) -> list[tuple[str, str, str]]:
    """Keys that a change added to an application: those that its list names after it and not before."""
    settings = tables["change_settings"]
    settings = settings.filter(settings.name_key == "keydescription")
    rows = settings.semi_join(wanted, settings.event_id == wanted.node).distinct().to_pyarrow().to_pylist()
    return [
        (row["event_id"], "credential", key.lower())
        for row in rows
        for key in sorted(set(_KEY_ID.findall(row["new_value"] or "")) - set(_KEY_ID.findall(row["old_value"] or "")))
    ]


# ---------------------------------------------------------------- what is usual


def _door_totals(tables: Tables) -> dict[tuple[str, str], int]:
    """Changes of each tenant that name a destination, a rule, or a key: what shares of such values are shares of."""
    rows = tables["config_changes"]
    rows = rows.mutate(tenant=rows.tenant_id)
    counted = rows.group_by("tenant").aggregate(
        destination=rows.event_id.nunique(where=rows.external_destinations.length() > 0),
        rule_name=rows.event_id.nunique(where=rows.rule_name.notnull()),
        credential=rows.event_id.nunique(where=rows.change == "app_credential"),
    )
    return {
        (row["tenant"], kind): row[kind]
        for row in counted.to_pyarrow().to_pylist()
        for kind in ("destination", "rule_name", "credential")
    }


def _background(tables: Tables, nodes: Iterable[Node], wanted: ir.Table, starts_us: Mapping[str, int]) -> Background:
    """How usual the values of the nodes are, of those that two of them show."""
    shown: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    firsts: dict[tuple[str, str, str], int] = {}
    for node in nodes:
        for kind, value in node.values:
            shown[kind, value].add((node.tenant, node.subject))
            key = (node.tenant, kind, value)
            firsts[key] = min(firsts.get(key, node.first_us), node.first_us)
    shared: dict[str, list[str]] = defaultdict(list)
    for (kind, value), subjects in sorted(shown.items()):
        if len(subjects) > 1:
            shared[kind].append(value)
    rows = members_of(tables)
    carried: dict[tuple[str, str, str], Carried] = {}
    totals = _door_totals(tables)
    kinds = [kind for kind in _OF_MEMBERS if shared[kind]]
    if kinds:
        totals |= _totals(rows, kinds)
        carried |= _carried(_by_kind(rows, kinds), shared, wanted)
    if shared["destination"] or shared["rule_name"]:
        carried |= _carried(_shown_by_changes(tables), shared, wanted)
    seen = _seen_anywhere(tables, shared)
    found: dict[tuple[str, str, str], Carried] = {}
    for key, first_us in firsts.items():
        if len(shown[key[1:]]) > 1:
            known = carried.get(key, Carried(0, first_us))
            found[key] = Carried(known.authorised, min(known.first_us, first_us, seen.get(key, first_us)))
    return Background(found, totals, starts_us)


def _totals(rows: ir.Table, kinds: Iterable[str]) -> dict[tuple[str, str], int]:
    """Clusters of each tenant that show any value of a kind."""
    kinds = tuple(kinds)
    shows = {kind: (_OF_MEMBERS[kind](rows).fill_null("") != "").any() for kind in kinds}
    units = rows.group_by("cluster").aggregate(tenant=rows.tenant_id.max(), **shows)
    counted = units.group_by("tenant").aggregate(**{kind: units[kind].sum() for kind in kinds})
    return {(row["tenant"], kind): row[kind] for row in counted.to_pyarrow().to_pylist() for kind in kinds}


def _carried(rows: ir.Table, shared: Mapping[str, list[str]], wanted: ir.Table) -> dict[tuple[str, str, str], Carried]:
    """Who shows the values, and since when; rows as of `_by_kind`.

    A mailbox to which a suspicious unit brought the value vouches for nobody: what an intruder does there for weeks
    would soon be usual.
    """
    pairs = [(kind, value) for kind, values in sorted(shared.items()) for value in values]
    asked = ibis.memtable(
        pa.table(
            {
                "asked_kind": pa.array([kind for kind, _ in pairs], pa.string()),
                "asked": pa.array([value for _, value in pairs], pa.string()),
            }
        )
    )
    rows = rows.semi_join(asked, [rows.kind == asked.asked_kind, rows.value == asked.asked])
    units = rows.group_by("tenant", "kind", "value", "subject", "unit").aggregate(at=rows["at"].min())
    units = units.left_join(wanted, units.unit == wanted.node)
    mailboxes = units.group_by("tenant", "kind", "value", "subject").aggregate(
        units=units.count(), brought=units.node.notnull().any(), at=units["at"].min()
    )
    vouching = ibis.ifelse(mailboxes.brought, 0, mailboxes.units)
    found = mailboxes.group_by("tenant", "kind", "value").aggregate(authorised=vouching.sum(), at=mailboxes["at"].min())
    return _as_carried(found.to_pyarrow())


def _as_carried(rows: pa.Table) -> dict[tuple[str, str, str], Carried]:
    columns = (rows.column(name).to_pylist() for name in ("tenant", "kind", "value", "authorised"))
    return {
        (tenant, kind, value): Carried(authorised, first_us)
        for tenant, kind, value, authorised, first_us in zip(*columns, _microseconds(rows, "at"), strict=True)
    }


def _shown_by_changes(tables: Tables) -> ir.Table:
    """Rules and destinations of all changes, as `_by_kind` has them.

    Keys are left out: every later change of an application lists them again.
    """
    changes = tables["config_changes"]
    parts = [
        changes.select(
            unit="event_id",
            tenant="tenant_id",
            subject=ibis.coalesce(changes.actor_key, changes.target_key, ""),
            kind=ibis.literal(kind),
            value=value,
            at="occurred_at",
        )
        for kind, value in (
            ("destination", changes.external_destinations.unnest()),
            ("rule_name", changes.rule_name),
        )
    ]
    return parts[0].union(parts[1])


def _seen_anywhere(tables: Tables, shared: Mapping[str, list[str]]) -> dict[tuple[str, str, str], int]:
    """When any log first showed the places, tries that failed left out: anybody can be guessed at from anywhere."""
    if not any(shared[kind] for kind in ("address", "narrow_network", "network")):
        return {}
    events = tables["events"]
    events = events.filter(
        events.succeeded.fill_null(ibis.literal(value=True)), events.ip_class == "public", events.client_ip.notnull()
    )
    places = events.group_by("client_ip", "ip_class", tenant=events.tenant_id.fill_null("")).aggregate(
        at=events.occurred_at.min()
    )
    places = with_network(places, tables)
    parts = [
        places.select("tenant", "at", kind=ibis.literal(kind), value=value).filter(value.isin(shared[kind]))
        for kind, value in (
            ("address", places.client_ip),
            ("narrow_network", narrow_network(places.client_ip)),
            ("network", places.network),
        )
    ]
    rows = ibis.union(*parts)
    rows = rows.group_by("tenant", "kind", "value").aggregate(at=rows["at"].min(), authorised=ibis.literal(0))
    return {key: one.first_us for key, one in _as_carried(rows.to_pyarrow()).items()}


def _starts(tables: Tables) -> dict[str, int]:
    events = tables["events"]
    rows = events.group_by(tenant=events.tenant_id.fill_null("")).aggregate(at=events.occurred_at.min()).to_pyarrow()
    found = dict(zip(rows.column("tenant").to_pylist(), _microseconds(rows, "at"), strict=True))
    named = [tenant for tenant in found if tenant]
    if len(named) == 1:
        found[named[0]] = min(found.values())
    return found

"""Is the client a stranger in the mailbox? What was usual there, who else uses this one, and how rare each part is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import ibis

from brokenseal.detectors import stranger_client
from brokenseal.explanations.asked import Asked, Row, by_unit, read, rows_table
from brokenseal.explanations.values import ClientPart, ClientSide, Counted, UsualClient
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.detectors._surprisal import Surprise

USUAL_SHOWN: Final = 6
COUNTED_SHOWN: Final = 4
_REFUTES: Final = phrase(
    "The owner, or who runs the client for them, knows it and was at that place; a purchase, a journey or a roll-out "
    "of those days explains it."
)
_BEFORE: Final = {
    "unit": "string",
    "tenant": "string",
    "mailbox": "string",
    "own_app": "string",
    "own_network": "string",
    "own_agent": "string",
    "begins": "timestamp('UTC', 6)",
}


def client_sides(asked: Asked) -> dict[str, ClientSide]:
    """Unit to its client beside the usual ones."""
    if not asked.clusters:
        return {}
    before = _before(asked)
    usual = by_unit(_usual(before), "unit")
    peers = {row["unit"]: row for row in _peers(before)}
    surprises = _surprises(asked)
    addresses = _counted(asked, "client_ip")
    agents = _counted(asked, "user_agent")
    found = {}
    for row in asked.clusters:
        unit = row["cluster"]
        known, one = usual.get(unit, []), surprises.get(unit)
        found[unit] = ClientSide(
            parts=_parts(row, peers.get(unit, {}), one),
            history_days=0 if one is None else math.floor(one.history_days),
            tenant_days=0 if one is None else math.floor(one.tenant_days),
            since_days=None if one is None or one.since_days < 0 else math.floor(one.since_days),
            first_millinats=None if one is None else round(one.first_nats * 1000),
            usual=tuple(_usual_client(each, row) for each in known[:USUAL_SHOWN]),
            n_usual=len(known),
            addresses=tuple(addresses.get(unit, ())[:COUNTED_SHOWN]),
            n_addresses=len(addresses.get(unit, ())),
            agents=tuple(agents.get(unit, ())[:COUNTED_SHOWN]),
            n_agents=len(agents.get(unit, ())),
            refutes=_REFUTES,
        )
    return found


def _before(asked: Asked) -> ir.Table:
    """All session clusters of the unit's tenant before it, once per unit."""
    units = rows_table(
        _BEFORE,
        (
            (
                row["cluster"], row["tenant_id"] or "", row["mailbox_key"], row["app"], row["network"], row["agent"],
                row["first_at"],
            )
            for row in asked.clusters
        ),
    )  # fmt: skip
    rows = asked.tables["clusters"].select(
        "cluster", "tenant_id", "mailbox_key", "app", "network", "agent", "first_at", "last_at"
    )
    met = units.inner_join(rows, units.tenant == rows.tenant_id.fill_null(""))
    is_before = (met.first_at < met.begins) | ((met.first_at == met.begins) & (met.cluster < met.unit))
    return met.filter(is_before)


def _usual(before: ir.Table) -> list[Row]:
    """What each unit's mailbox had before, most used first, the clients of people before those of services."""
    own = before.filter(before.mailbox_key == before.mailbox)
    clients = own.group_by("unit", "app", "network", "agent").aggregate(
        clusters=own.cluster.nunique(),
        days=own.first_at.truncate("D").nunique(),
        first_at=own.first_at.min(),
        last_at=own.last_at.max(),
    )
    # What Microsoft's own services read says little of who sits at the mailbox.
    of_service = clients.network == "MS"
    usage = [of_service, clients.days.desc(), clients.clusters.desc()]
    return read(clients.order_by([clients.unit, *usage, clients.app, clients.network, clients.agent]))


def _usual_client(row: Row, own: Row) -> UsualClient:
    return UsualClient(
        app=row["app"],
        network=row["network"],
        agent=row["agent"],
        clusters=row["clusters"],
        days=row["days"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        is_this=all(row[name] == own[name] for name in ("app", "network", "agent")),
    )


_Name = Literal["app", "network", "agent", "client"]
_PARTS: Final[tuple[_Name, ...]] = ("app", "network", "agent")


def _peers(before: ir.Table) -> list[Row]:
    """Per unit and part of its client: other mailboxes that had it before, own clusters with it, and since when."""
    same: dict[_Name, ir.BooleanValue] = {name: before[name] == before[f"own_{name}"] for name in _PARTS}
    same["client"] = same["app"] & same["network"] & same["agent"]
    other = before.mailbox_key != before.mailbox
    columns: dict[str, ir.Value] = {}
    for name, condition in same.items():
        columns |= {
            f"{name}_peers": before.mailbox_key.nunique(where=condition & other),
            f"{name}_own": before.cluster.nunique(where=condition & ~other),
            f"{name}_since": before.first_at.min(where=condition),
        }
    return read(before.group_by("unit").aggregate(**columns))


def _parts(row: Row, peers: Row, one: Surprise | None) -> tuple[ClientPart, ...]:
    nats = (None,) * 4 if one is None else (one.app_nats, one.network_nats, one.agent_nats, one.nats)
    values = (row["app"], row["network"], row["agent"], "")
    names: tuple[_Name, ...] = (*_PARTS, "client")
    return tuple(_part(name, value, each, peers) for name, value, each in zip(names, values, nats, strict=True))


def _part(name: _Name, value: str, nats: float | None, counted: Row) -> ClientPart:
    return ClientPart(
        part=name,
        value=value,
        millinats=None if nats is None else round(nats * 1000),
        mailbox_clusters=counted.get(f"{name}_own") or 0,
        peers=counted.get(f"{name}_peers") or 0,
        tenant_since=counted.get(f"{name}_since"),
    )


def _surprises(asked: Asked) -> dict[str, Surprise]:
    """The units' surprisal. It needs all that was before them, and nothing of what came after."""
    last = max(row["first_at"] for row in asked.clusters)
    clusters = asked.tables["clusters"]
    tables = {
        **asked.tables,
        "clusters": clusters.filter(clusters.first_at <= ibis.literal(last, "timestamp('UTC', 6)")),
    }
    units = set(asked.units)
    return {one.unit: one for one in stranger_client.judge(tables) if one.unit in units}


def _counted(asked: Asked, column: str) -> dict[str, list[Counted]]:
    """Texts of one column of the units' records, most frequent first."""
    rows = asked.members()
    counted = rows.group_by("cluster", text=rows[column]).aggregate(records=rows.event_id.nunique())
    listed = by_unit(read(counted.order_by("cluster", counted.records.desc(), "text")))
    return {unit: [Counted(text=row["text"], records=row["records"]) for row in held] for unit, held in listed.items()}

"""Was a door opened? What the change set and what stood there before, who went through, and whether it was closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.detectors import _door_uses, open_door
from brokenseal.detectors._door_kinds import BINS
from brokenseal.explanations.asked import Asked, Row, by_unit, read, rows_table, seconds, texts_table
from brokenseal.explanations.values import Door, DoorSide, DoorStep, Setting
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

DOORS_SHOWN: Final = 3
USES_SHOWN: Final = 6
REMOVALS_SHOWN: Final = 2
SETTINGS_SHOWN: Final = 8
_REFUTES: Final = phrase(
    "Whoever made the change says over another channel that they did, from that place and for a reason that somebody "
    "else confirms; for an application, somebody vouches for it."
)


def door_sides(asked: Asked) -> dict[str, DoorSide]:
    """Unit to its door, or to the doors that it went through; units without any are left out."""
    units = asked.fired(open_door.ID)
    if not units and not asked.doors:
        return {}
    tables = _prepared(asked.tables)
    of_unit = _doors_of(asked, tables, set(units))
    wanted = {door for doors in of_unit.values() for door in doors[:DOORS_SHOWN]}
    if not wanted:
        return {}
    found = _doors(asked, tables, wanted)
    return {
        unit: DoorSide(
            doors=tuple(found[door] for door in doors[:DOORS_SHOWN] if door in found),
            n_doors=len(doors),
            refutes=_REFUTES,
        )
        for unit, doors in of_unit.items()
    }


def _prepared(tables: Tables) -> Tables:
    """The tables with all doors and all reading through them worked out once."""
    known = dict(tables)
    for name, part in open_door.parts(known).items():
        known[name] = ibis.memtable(part().to_pyarrow())
    return known


def _doors_of(asked: Asked, tables: Tables, units: set[str]) -> dict[str, list[str]]:
    """Unit to the doors to be told of with it: its own, or those that it went through, strongest first."""
    of_unit = {door: [door] for door in asked.doors}
    used = open_door.uses(tables)
    clusters = texts_table("wanted_unit", units.intersection(asked.units))
    used = used.semi_join(clusters, used.cluster == clusters.wanted_unit)
    for unit, rows in by_unit(read(used.order_by("cluster", "rank", "unit"))).items():
        of_unit[unit] = list(dict.fromkeys(row["unit"] for row in rows))
    return of_unit


_OF_CHANGE: Final = (
    "event_id", "operation", "actor", "client_ip", "target", "target_key", "grantee", "grantee_key", "rights",
    "object_id", "changed_app_id", "changed_app_name",
)  # fmt: skip


def _doors(asked: Asked, tables: Tables, wanted: set[str]) -> dict[str, Door]:
    """Event id to the door that it opened."""
    ids = texts_table("wanted_id", wanted)
    doors = open_door.doors(tables)
    opened = {row["unit"]: row for row in read(doors.semi_join(ids, doors.unit == ids.wanted_id))}
    changes = tables["config_changes"].select(*_OF_CHANGE).distinct()
    told = {row["event_id"]: row for row in read(changes.semi_join(ids, changes.event_id == ids.wanted_id))}
    settings = by_unit(_settings(tables, ids), "event_id")
    uses = by_unit(_uses(tables, ids), "event_id")
    removals = by_unit(_removals(tables, opened, told), "door")
    inside = frozenset(asked.units)
    return {
        event_id: _door(
            row,
            told.get(event_id, {}),
            settings.get(event_id, []),
            _chain(row, uses.get(event_id, []), removals.get(event_id, []), inside),
            len(uses.get(event_id, [])),
        )
        for event_id, row in opened.items()
    }


def _settings(tables: Tables, ids: ir.Table) -> list[Row]:
    rows = tables["change_settings"].select("event_id", "name", "old_value", "new_value").distinct()
    rows = rows.semi_join(ids, rows.event_id == ids.wanted_id)
    # A setting that had a value says what was there before.
    return read(rows.order_by("event_id", rows.old_value.isnull(), "name", "new_value"))


def _uses(tables: Tables, ids: ir.Table) -> list[Row]:
    """Reading through each door: one row per session cluster, or per time in Microsoft Graph's own log."""
    reading = tables[_door_uses.NAME]
    reading = reading.semi_join(ids, reading.event_id == ids.wanted_id)
    spans = reading.group_by("event_id", "cluster").aggregate(
        first_at=reading.first_at.min(), last_at=reading.last_at.max()
    )
    clusters = tables["clusters"].select(
        "mailbox_key", "mailbox_upn", "actor_key", "app", "network", "records", of_cluster="cluster"
    )
    rows = spans.left_join(clusters, spans.cluster == clusters.of_cluster)
    return read(rows.order_by("event_id", "first_at", "cluster"))


def _removals(tables: Tables, opened: Mapping[str, Row], told: Mapping[str, Row]) -> list[Row]:
    """Records after each door that take something of the same name away again."""
    columns = dict.fromkeys(("door", "tenant", "target", "grantee", "object"), "string")
    columns |= {"opened_at": "timestamp('UTC', 6)"}
    doors = rows_table(
        columns,
        (
            (
                event_id, row["tenant_id"], row["target_key"], row["grantee_key"],
                told.get(event_id, {}).get("object_id"), row["occurred_at"],
            )
            for event_id, row in opened.items()
        ),
    )  # fmt: skip
    changes = tables["config_changes"]
    changes = changes.filter(changes.operation_key.startswith("remove"))
    by_name = doors.inner_join(changes, doors.target == changes.target_key)
    same = (by_name.grantee == by_name.grantee_key) | by_name.grantee.isnull() | by_name.grantee_key.isnull()
    by_name = by_name.filter(same)
    events = tables["events"]
    events = events.filter(events.operation_key.startswith("remove"))
    by_object = doors.inner_join(events, doors.object == events.object_id)
    found = [_ended(by_name), _ended(by_object)]
    rows = found[0].union(found[1]).distinct()
    return read(rows.order_by("door", "occurred_at", "event_id"))


def _ended(rows: ir.Table) -> ir.Table:
    no = ibis.literal(value=False)
    same_tenant = (rows.tenant == rows.tenant_id) | rows.tenant.isnull() | rows.tenant_id.isnull()
    rows = rows.filter(
        same_tenant,
        rows.occurred_at >= rows.opened_at,
        ~(rows.succeeded == no).fill_null(no),
        rows.event_id != rows.door,
    )
    return rows.select("door", "event_id", "occurred_at", "actor_key")


def _chain(row: Row, uses: Sequence[Row], removals: Sequence[Row], inside: frozenset[str]) -> tuple[DoorStep, ...]:
    opened_at = row["occurred_at"]
    # The first use says how soon it came; those by units of the case are shown whatever else there is.
    later = sorted(uses[1:], key=lambda use: use["cluster"] not in inside)
    shown = [*uses[:1], *later[: USES_SHOWN - 1]]
    steps = [
        DoorStep(
            what="opened", at=opened_at, last_at=None, event_id=row["unit"], actor=row["actor_key"], mailbox=None,
            app=row["app"], network=row["network"], records=1, after_s=0, in_case=row["unit"] in inside,
        ),
        *(
            DoorStep(
                what="used", at=use["first_at"], last_at=use["last_at"], event_id=use["cluster"],
                actor=use["actor_key"], mailbox=use["mailbox_upn"] or use["mailbox_key"], app=use["app"],
                network=use["network"], records=use["records"] or 0, after_s=seconds(opened_at, use["first_at"]),
                in_case=use["cluster"] in inside,
            )
            for use in shown
        ),
        *(
            DoorStep(
                what="removed", at=end["occurred_at"], last_at=None, event_id=end["event_id"], actor=end["actor_key"],
                mailbox=None, app=None, network=None, records=1, after_s=seconds(opened_at, end["occurred_at"]),
                in_case=False,
            )
            for end in removals[:REMOVALS_SHOWN]
        ),
    ]  # fmt: skip
    return tuple(sorted(steps, key=lambda step: (step.at, step.what != "opened", step.event_id or "")))


def _door(row: Row, told: Row, settings: Sequence[Row], chain: tuple[DoorStep, ...], n_uses: int) -> Door:
    return Door(
        event_id=row["unit"],
        kind=row["kind"],
        bin=row["bin"],
        meaning=BINS.get(row["bin"] or ""),
        operation=told.get("operation"),
        actor=told.get("actor") or row["actor_key"],
        client_ip=told.get("client_ip"),
        network=row["network"],
        target=told.get("target") or row["target_key"],
        grantee=told.get("grantee") or row["grantee_key"],
        app_id=row["app"] or told.get("changed_app_id"),
        app_name=told.get("changed_app_name"),
        rights=tuple(right for right in told.get("rights") or () if right),
        before=tuple(
            Setting(name=each["name"] or "", old=each["old_value"] or None, new=each["new_value"] or None)
            for each in settings[:SETTINGS_SHOWN]
        ),
        n_before=len(settings),
        chain=chain,
        n_uses=n_uses,
    )

"""How much left? What the unit's records name, what went to it as a whole, and what strange clients read before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.detectors import strange_volume, stranger_client
from brokenseal.explanations.asked import Asked, Row, by_unit, read, rows_table, texts_table
from brokenseal.explanations.values import StrangeHistory, VolumeSide
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

FOLDERS_SHOWN: Final = 6
_REFUTES: Final = phrase(
    "A new device of the owner's, a migration or a search of the house was at work on that day; the owner or the "
    "administrators can say so."
)
_NOTHING: Final = StrangeHistory(units=0, bins={}, busiest=None)


def volume_sides(asked: Asked) -> dict[str, VolumeSide]:
    """Unit to what it read."""
    if not asked.clusters:
        return {}
    named = {row["cluster"]: row for row in _named(asked)}
    folders = by_unit(_folders(asked))
    counts = {row["cluster"]: row for row in _counts(asked)}
    fresh = _fresh(asked)
    history = _history(asked, fresh)
    found = {}
    for row in asked.clusters:
        unit = row["cluster"]
        listed = [each["folder"] for each in folders.get(unit, ()) if not each["is_synced"]]
        synced = [each["folder"] for each in folders.get(unit, ()) if each["is_synced"]]
        of_mailbox, of_tenant = history.get(unit, (_NOTHING, _NOTHING))
        found[unit] = VolumeSide(
            certain=named.get(unit, {}).get("messages", 0),
            busiest_new=fresh.get(unit),
            binds=row["binds"],
            syncs=row["syncs"],
            unnamed=counts.get(unit, {}).get("unnamed", 0),
            folders=tuple(listed[:FOLDERS_SHOWN]),
            n_folders=len(listed),
            synced=tuple(synced[:FOLDERS_SHOWN]),
            n_synced=len(synced),
            is_throttled=row["is_throttled"],
            of_mailbox=of_mailbox,
            of_tenant=of_tenant,
            refutes=_REFUTES,
        )
    return found


def _items(asked: Asked) -> ir.Table:
    """The messages that records of the units name: cluster, event_id, message, folder_path."""
    items = asked.tables["accessed_items"]
    items = items.filter((items.kind == "message") | items.kind.isnull())
    placed = asked.members().select("event_id", "cluster").distinct()
    message = ibis.coalesce(items.internet_message_id, items.item_id)
    return items.select("event_id", "folder_path", message=message).inner_join(placed, "event_id")


def _named(asked: Asked) -> list[Row]:
    items = _items(asked)
    return read(items.group_by("cluster").aggregate(messages=items.message.nunique()))


def _folders(asked: Asked) -> list[Row]:
    """Folders by unit, those that were fetched whole apart from those whose items are named."""
    items = _items(asked)
    listed = items.filter(items.folder_path.notnull()).select(
        "cluster", folder=items.folder_path, is_synced=ibis.literal(value=False)
    )
    rows = asked.members().filter(lambda each: each.access_type == "sync")
    folder = ibis.coalesce(rows.folder_path, rows.folder_id)
    synced = rows.filter(folder.notnull()).select("cluster", folder=folder, is_synced=ibis.literal(value=True))
    return read(listed.union(synced).distinct().order_by("cluster", "is_synced", "folder"))


def _counts(asked: Asked) -> list[Row]:
    """Binds of each unit that name no message."""
    items = _items(asked)
    with_items = items.filter(items.message.notnull()).select(named="event_id").distinct()
    rows = asked.members()
    bare = rows.filter(rows.access_type == "bind").anti_join(with_items, rows.event_id == with_items.named)
    return read(bare.group_by("cluster").aggregate(unnamed=bare.event_id.nunique()))


def _fresh(asked: Asked) -> dict[str, int]:
    """Unit to most new messages of one day, of every strange unit in the mailboxes asked for."""
    if f"marks:{stranger_client.ID}" not in asked.tables:
        return {}
    mailboxes = texts_table("wanted_mailbox", (row["mailbox_key"] for row in asked.clusters))
    members = asked.tables["members"]
    # What is new to a mailbox depends on nothing outside it.
    own = members.semi_join(mailboxes, members.mailbox_key == mailboxes.wanted_mailbox)
    rows = strange_volume.volumes({**asked.tables, "members": own})
    return {row["unit"]: row["busiest"] for row in read(rows.select("unit", "busiest"))}


def _history(asked: Asked, fresh: Mapping[str, int]) -> dict[str, tuple[StrangeHistory, StrangeHistory]]:
    """Unit to what strange clients had read before it, in its mailbox and in the tenant's others."""
    strange = asked.tables.get(f"marks:{stranger_client.ID}")
    volumes = asked.tables.get(f"marks:{strange_volume.ID}")
    if strange is None or volumes is None:
        return {}
    strange = strange.filter(strange.state == "fired").select(strange_unit="unit")
    volumes = volumes.filter(volumes.state == "fired").select(volume_unit="unit", bin="bin")
    rows = asked.tables["clusters"].select("cluster", "tenant_id", "mailbox_key", "first_at")
    rows = rows.inner_join(strange, rows.cluster == strange.strange_unit)
    rows = rows.left_join(volumes, rows.cluster == volumes.volume_unit)
    units = rows_table(
        {"unit": "string", "tenant": "string", "mailbox": "string", "begins": "timestamp('UTC', 6)"},
        ((row["cluster"], row["tenant_id"] or "", row["mailbox_key"], row["first_at"]) for row in asked.clusters),
    )
    met = units.inner_join(rows, units.tenant == rows.tenant_id.fill_null(""))
    met = met.filter((met.first_at < met.begins) | ((met.first_at == met.begins) & (met.cluster < met.unit)))
    is_own = (met.mailbox_key == met.mailbox).name("is_own")
    listed = by_unit(read(met.select("unit", "cluster", "bin", is_own)), "unit")
    return {
        row["cluster"]: (
            _of([each for each in listed.get(row["cluster"], ()) if each["is_own"]], fresh),
            _of([each for each in listed.get(row["cluster"], ()) if not each["is_own"]], {}),
        )
        for row in asked.clusters
    }


def _of(rows: list[Row], fresh: Mapping[str, int]) -> StrangeHistory:
    bins: dict[str, int] = {}
    for name in sorted(row["bin"] for row in rows if row["bin"] is not None):
        bins[name] = bins.get(name, 0) + 1
    ordered = {name: bins[name] for name in strange_volume.BINS if name in bins}
    return StrangeHistory(
        units=len(rows),
        bins=ordered,
        busiest=max((fresh[row["cluster"]] for row in rows if row["cluster"] in fresh), default=None),
    )

"""Whose the units of evidence really were: the session clusters and doors of a simulated store, beside its truth."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from brokenseal.detectors import open_door
from brokenseal.drill.truth_tables import TRUTH_ATTACK, TRUTH_RECORD, TRUTH_TENANT
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import ibis.expr.types as ir

    from brokenseal.drill._columnar import Table

_WHEN: Final = pa.timestamp("us", tz="UTC")

UNIT: Final = pa.schema(
    [
        ("unit", pa.string()),
        ("is_door", pa.bool_()),
        ("tenant_id", pa.string()),
        ("mailbox_key", pa.string()),  # of a door: who made the change
        ("network", pa.string()),
        ("first_at", _WHEN),
        ("actor_kind", pa.string()),  # of the first record, null where the truth does not know it
        ("instance", pa.int32()),  # null unless an intruder's
        ("attack_id", pa.string()),  # null unless an intruder's
        ("stealth", pa.int32()),  # null unless an intruder's
        ("is_control", pa.bool_()),  # a control's, which is nobody's intrusion
        ("is_scored", pa.bool_()),  # begins after the warm-up
    ]
)
"""Columns of `units_of`."""


def doors_of(tables: Mapping[str, ir.Table]) -> pa.Table:
    """Units that are changes of configuration: unit, tenant_id, mailbox_key (who made it), network, first_at."""
    rows = open_door.doors(tables)
    rows = rows.select(
        "unit",
        "tenant_id",
        "network",
        mailbox_key=rows.actor_key,
        first_at=rows.occurred_at.cast("timestamp('UTC', 6)"),
    )
    found: pa.Table = rows.order_by("unit").to_pyarrow()
    return found


def units_of(tables: Mapping[str, ir.Table], doors: pa.Table, truth_dir: Path) -> pa.Table:
    """Every unit of a store, with whose it really was.

    A cluster is an intruder's if any of its records is; a door if its own record is.

    Args:
        tables: The store's tables with `members` and `clusters`, as `judgement.clustered` gives them.
        doors: As `doors_of` gives them.
        truth_dir: The folder `truth` of the drill that the store was made of.

    Returns: One row per unit, see `UNIT`: clusters by their id, then doors.

    Raises:
        UsageError: The folder holds no truth of a drill.
    """
    columns = ("tenant_id", "mailbox_key", "network")
    rows = tables["clusters"]
    clusters = rows.select(*columns, unit=rows.cluster, first_at=rows.first_at.cast("timestamp('UTC', 6)"))
    clusters = clusters.order_by("unit").to_pyarrow()
    listed = pa.concat_tables([_placed(clusters, is_door=False), _placed(doors, is_door=True)])
    members = tables["members"].select("event_id", "cluster").distinct().to_pyarrow()
    attacks = {
        row["instance"]: row for row in read_truth(truth_dir, TRUTH_ATTACK, ("instance", "attack_id", "stealth"))
    }
    hands = _hands(members, doors, truth_dir)
    units = listed.column("unit").to_pylist()
    own = [attacks[hands[unit]] if unit in hands else None for unit in units]
    is_control = [one is not None and one["stealth"] == 0 for one in own]
    intruders = [None if control else one for one, control in zip(own, is_control, strict=True)]
    for name in ("instance", "attack_id", "stealth"):
        values = [None if one is None else one[name] for one in intruders]
        listed = listed.append_column(name, pa.array(values, UNIT.field(name).type))
    listed = listed.append_column("is_control", pa.array(is_control, pa.bool_()))
    records = _records(truth_dir, ("event_id", "tenant_id", "actor_kind"))
    places = pc.index_in(listed.column("unit"), value_set=_one_chunk(records.column("event_id")))
    of_units = records.take(places)
    listed = listed.append_column("actor_kind", of_units.column("actor_kind"))
    # The directory's audit log does not name the tenant, so that the truth has to.
    scored = _scored(of_units.column("tenant_id").to_pylist(), listed.column("first_at").to_pylist(), truth_dir)
    listed = listed.append_column("is_scored", scored)
    return listed.select(UNIT.names).cast(UNIT)


def _placed(rows: pa.Table, *, is_door: bool) -> pa.Table:
    rows = rows.append_column("is_door", pa.array([is_door] * rows.num_rows, pa.bool_()))
    names = ("unit", "is_door", "tenant_id", "mailbox_key", "network", "first_at")
    return rows.select(names).cast(pa.schema([UNIT.field(name) for name in names]))


def _hands(members: pa.Table, doors: pa.Table, truth_dir: Path) -> dict[str, int]:
    """The instance of each unit that any belongs to; the one with most records, of equals the first."""
    records = _records(truth_dir, ("event_id", "instance"))
    records = records.filter(pc.is_valid(records.column("instance")))
    instance_of = dict(zip(records.column("event_id").to_pylist(), records.column("instance").to_pylist(), strict=True))
    theirs = members.filter(pc.is_in(members.column("event_id"), value_set=_one_chunk(records.column("event_id"))))
    counts: dict[str, dict[int, int]] = {}
    pairs = list(zip(theirs.column("cluster").to_pylist(), theirs.column("event_id").to_pylist(), strict=True))
    pairs += [(unit, unit) for unit in doors.column("unit").to_pylist() if unit in instance_of]
    for unit, event in pairs:
        own = counts.setdefault(unit, {})
        own[instance_of[event]] = own.get(instance_of[event], 0) + 1
    return {unit: min(own, key=lambda one: (-own[one], one)) for unit, own in counts.items()}


def _scored(tenants: list[str | None], times: list[dt.datetime], truth_dir: Path) -> pa.Array:
    wanted = ("tenant_id", "starts_at", "warm_up_days")
    begins = {
        row["tenant_id"]: row["starts_at"] + dt.timedelta(days=row["warm_up_days"])
        for row in read_truth(truth_dir, TRUTH_TENANT, wanted)
    }
    pairs = zip(tenants, times, strict=True)
    return pa.array([tenant in begins and at >= begins[tenant] for tenant, at in pairs], pa.bool_())


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _records(truth_dir: Path, columns: Iterable[str]) -> pa.Table:
    return _read(truth_dir, TRUTH_RECORD, columns)


def read_truth(truth_dir: Path, table: Table, columns: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a table of the truth.

    Raises:
        UsageError: The folder holds no such table.
    """
    rows: list[dict[str, Any]] = _read(truth_dir, table, columns).to_pylist()
    return rows


def _read(truth_dir: Path, table: Table, columns: Iterable[str]) -> pa.Table:
    path = truth_dir / f"{table.name}.parquet"
    try:
        return pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(place=str(path), value=error, expected="a file of a drill's truth") from error

"""What everybody wants from mailboxes on one day. Intruders may only add rows to the same table.

Nothing after this layer knows who is an intruder: a row is a visit like any other, and the `truth_*` columns are
carried for the scorer alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _machines, _routines, _visits, changes, tables
from brokenseal.drill.presence import GONE, WORKING, column, presence
from brokenseal.drill.tables import CHANGE, INTENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokenseal.drill.changes import Planned
    from brokenseal.drill.world import Tenant

_BY_PERSON = (
    _visits.own_visits,
    _visits.delegate_visits,
    _visits.other_sign_ins,
    _visits.guest_sign_ins,
    _visits.partner_visits,
)
_BY_SOFTWARE = (
    _machines.background_visits,
    _machines.app_visits,
    _machines.organisation_app_visits,
    _machines.failing_guesses,
)


def day_intents(tenant: Tenant, day: int) -> pa.Table:
    """All honest visits of one day, sorted by time, `intents.INTENT`.

    The same tenant and day give the same table, whatever was generated before.

    Args:
        tenant: The tenant.
        day: Days since its epoch, from `calendar.FIRST_DAY` to `calendar.LAST_DAY`.
    """
    return _day(tenant, day)[0]


def day_changes(tenant: Tenant, day: int) -> pa.Table:
    """The honest changes of configuration of one day, `tables.CHANGE`; each belongs to one row of `day_intents`."""
    return _day(tenant, day)[1]


@functools.lru_cache(maxsize=4)
def _day(tenant: Tenant, day: int) -> tuple[pa.Table, pa.Table]:
    pieces = [maker(tenant, day) for maker in (*_BY_PERSON, *_BY_SOFTWARE)]
    pieces += _machines.review_visits(tenant, day)
    made = _planned(tenant, day)
    person = np.array([one.identity_no for one in made], dtype=np.int64)
    at_us = np.array([one.at_us for one in made], dtype=np.int64)
    pieces.append(_visits.change_visits(tenant, day, person, at_us))
    visits = []
    first = 0
    for piece in pieces:
        ids = tables.row_number(day, first + np.arange(len(piece["starts_at_us"])))
        visits.append(tables.build(INTENT, len(ids), {"intent_id": ids, "day": day, **piece}))
        first += len(ids)
    rows = _change_rows(made, tables.row_number(day, first - len(made) + np.arange(len(made))))
    return merge(day, visits, [rows])


def _planned(tenant: Tenant, day: int) -> list[Planned]:
    starts, ends = tenant.day_starts_us(day), tenant.day_starts_us(day + 1)
    status = presence(tenant).status[:, column(day)]
    present = np.flatnonzero(status == WORKING)
    due = [one for one in tenant.changes if starts <= one.at_us < ends]
    # Whoever is not employed that day changes nothing.
    made = [one for one in due if not (0 <= one.identity_no < len(status)) or status[one.identity_no] != GONE]
    return made + _routines.routine(tenant, day, present)


def _change_rows(made: Sequence[Planned], intent_id: Any) -> pa.Table:
    names = changes.Planned._fields
    values: dict[str, Any] = {name: [getattr(one, name) for one in made] for name in names}
    is_by_system = [one.identity_no == changes.SYSTEM for one in made]
    kinds = np.array(["service" if flag else "owner" for flag in is_by_system], dtype=object)
    return tables.build(
        CHANGE,
        len(made),
        {**values, "intent_id": intent_id, "is_by_system": is_by_system, "truth_actor_kind": kinds.tolist()},
    )


def merge(day: int, visits: Sequence[pa.Table], made: Sequence[pa.Table] = ()) -> tuple[pa.Table, pa.Table]:
    """Tables of intents of one day as one, sorted by time and numbered anew, and their changes with the new numbers.

    Neither the order of rows nor their numbers tell afterwards who wrote them. The intents of each table in `visits`
    need ids that are unique over all of them; those of an attack are numbered by `attack_ids`.

    Args:
        day: The day.
        visits: Tables of `tables.INTENT`.
        made: Tables of `tables.CHANGE`, whose `intent_id` stand in `visits`.
    """
    joined = tables.concat(list(visits))
    starts = tables.numbers(joined, "starts_at_us")
    # Ties are broken by what the visit is, never by who wrote it.
    order = np.lexsort((tables.numbers(joined, "mailbox_no"), tables.numbers(joined, "identity_no"), starts))
    old = tables.numbers(joined, "intent_id")[order]
    new = tables.row_number(day, len(order))
    place = joined.schema.get_field_index("intent_id")
    sorted_visits = joined.take(pa.array(order)).set_column(place, joined.schema.field(place), pa.array(new))
    if not made:
        return sorted_visits, tables.empty(CHANGE)
    rows = tables.concat(list(made))
    by_old = np.argsort(old, kind="stable")
    found = by_old[np.searchsorted(old, tables.numbers(rows, "intent_id"), sorter=by_old)] if len(rows) else by_old[:0]
    place = rows.schema.get_field_index("intent_id")
    rows = rows.set_column(place, rows.schema.field(place), pa.array(new[found]))
    return sorted_visits, rows.take(pc.sort_indices(rows["intent_id"]))


def attack_ids(day: int, instance: int, rows: int) -> Any:
    """Ids for the rows that an attack instance adds to a day, unique until `merge` numbers them anew."""
    return tables.row_number(day, (np.int64(instance + 1) << 20) + np.arange(rows, dtype=np.int64))


def standing_changes(tenant: Tenant, first_day: int, until_day: int) -> tuple[Planned, ...]:
    """The honest changes of these days, without their visits; what mail rules and audit switches follow from."""
    return tuple(one for day in range(first_day, until_day) for one in _planned(tenant, day))

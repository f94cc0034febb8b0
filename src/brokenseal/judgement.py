"""From marks to what opens a case: every unit is weighed, and a stated budget of false cases decides.

    members ─ detectors' marks ─▶ weights ─▶ opened (e >= units a mailbox-week / budget), joined, followed ─▶ scope

The threshold does not depend on how large a tenant is: each authorised unit may open a case with probability
budget / units a mailbox-week at most, so that b false cases a mailbox-week are to be expected where the bounds hold
(Ville's inequality and a sum over units).
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa

from brokenseal.clusters import clusters, members
from brokenseal.fusion import Weighed, weigh
from brokenseal.schema import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from brokenseal.calibration import Calibration
    from brokenseal.model import Detector, Finding, Tables

BUDGET: Final = 5e-5
"""False cases a mailbox-week: one in 20 weeks of 1,000 mailboxes."""
JOINS_FROM: Final = 2.0
"""Decimal logarithm of the weight from which a unit joins a case that another one opened."""
_WEEK_S: Final = 7 * 86_400
_SHORTEST_WEEKS: Final = 1.0
_PLACES: Final = ("unit", "tenant_id", "mailbox_key", "network", "is_door")

Standing = Literal["opens", "joins", "notice"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What was weighed, and what it comes to.

    Attributes:
        weighed: Every unit with its weight.
        position_of: Unit to its place in `weighed`.
        mailbox_weeks: Mailbox-weeks that the units come from.
        threshold: Decimal logarithm of the weight that opens a case.
        opened: Units that open one.
        joined: Units that may join one, the opened ones among them.
        followed: Units that share mailbox, client, network and machine with an opened one before them, and that one.
    """

    weighed: Weighed
    position_of: Mapping[str, int]
    mailbox_weeks: float
    threshold: float
    opened: frozenset[str]
    joined: frozenset[str]
    followed: Mapping[str, str]

    def weight_of(self, unit: str) -> float | None:
        """Decimal logarithm of the weight of a unit; None for what is none."""
        position = self.position_of.get(unit)
        return None if position is None else float(self.weighed.log10_e[position])

    def units_of(self, finding: Finding) -> tuple[str, ...]:
        """The units that a finding is about: clusters, or the doors among its records."""
        if finding.units:
            return finding.units
        return tuple(item.event_id for item in finding.evidence if item.event_id in self.position_of)

    def standing(self, finding: Finding) -> Standing:
        """Whether a finding opens a case, may join one, or is no more than a notice.

        A finding about no unit was never weighed: it may join what another one opened, unless it is a mere notice.
        """
        units = self.units_of(finding)
        if not units:
            return "notice" if finding.is_notice else "joins"
        if self.opened.intersection(units):
            return "opens"
        return "joins" if self.joined.intersection(units) else "notice"


@contextlib.contextmanager
def clustered(tables: Tables) -> Iterator[dict[str, object]]:
    """The tables with `members` and `clusters` computed once, as long as the context lasts."""
    with contextlib.ExitStack() as kept:
        rows = kept.enter_context(members(tables).cache())
        known = {**tables, "members": rows}
        yield {**known, "clusters": kept.enter_context(clusters(rows).cache())}


def run_marks(tables: Tables, detectors: Iterable[Detector], unmet: Sequence[str]) -> dict[str, pa.Table]:
    """What every detector that marks says of the units, by its id; those that could say nothing are left out.

    Args:
        tables: As `clustered` gives them.
        detectors: In order: each is handed the marks of those before it as `marks:<id>`.
        unmet: Needs that the logs do not meet.
    """
    import ibis

    known, found = dict(tables), {}
    for detector in detectors:
        if detector.mark is None or set(detector.silent_without).intersection(unmet):
            continue
        rows = detector.mark(known).to_pyarrow().select(MARK.names).cast(MARK.arrow_schema())
        found[detector.id] = rows
        known[f"marks:{detector.id}"] = ibis.memtable(rows, schema=MARK.ibis_schema())
    return found


def judge(
    tables: Tables,
    marks: Mapping[str, pa.Table],
    doors: pa.Table,
    calibration: Calibration,
    *,
    budget: float = BUDGET,
) -> Judgement:
    """Weigh every unit and say which open a case.

    Args:
        tables: As `clustered` gives them.
        marks: As `run_marks` gives them.
        doors: Units that are changes of configuration: unit, tenant_id, mailbox_key (who made the change), network.
        calibration: Counts on simulated tenants.
        budget: False cases a mailbox-week.
    """
    rows = tables["clusters"]
    columns = ("cluster", "tenant_id", "mailbox_key", "network", "app", "agent", "first_at", "last_at")
    listed = rows.select(*columns).order_by("cluster").to_pyarrow()
    units = pa.concat_tables(
        [
            _placed(listed.rename_columns(["unit", *columns[1:]]), is_door=False),
            _placed(doors, is_door=True),
        ]
    )
    weighed = weigh(units, marks, calibration)
    weeks = _mailbox_weeks(listed)
    threshold = math.log10(max(len(weighed.units), 1) / weeks / budget)
    heavy = {
        unit: float(weight)
        for unit, weight in zip(weighed.units, weighed.log10_e.tolist(), strict=True)
        if weight >= min(JOINS_FROM, threshold)
    }
    opened = frozenset(unit for unit, weight in heavy.items() if weight >= threshold)
    return Judgement(
        weighed=weighed,
        position_of={unit: number for number, unit in enumerate(weighed.units)},
        mailbox_weeks=weeks,
        threshold=threshold,
        opened=opened,
        joined=frozenset(heavy),
        followed=_followed(listed, opened),
    )


def _placed(rows: pa.Table, *, is_door: bool) -> pa.Table:
    flags = pa.array([is_door] * rows.num_rows, type=pa.bool_())
    placed = rows.select(_PLACES[:-1]).append_column("is_door", flags)
    return placed.cast(pa.schema([(name, pa.string()) for name in _PLACES[:-1]] + [("is_door", pa.bool_())]))


def _mailbox_weeks(clusters_: pa.Table) -> float:
    """Mailboxes times the weeks that the logs span; at least one week of one mailbox."""
    if not clusters_.num_rows:
        return _SHORTEST_WEEKS
    first = min(clusters_.column("first_at").to_pylist())
    last = max(clusters_.column("last_at").to_pylist())
    weeks = max((last - first).total_seconds() / _WEEK_S, _SHORTEST_WEEKS)
    return float(len(set(clusters_.column("mailbox_key").to_pylist())) * weeks)


def _followed(clusters_: pa.Table, opened: frozenset[str]) -> dict[str, str]:
    """Later clusters of the same client in the same mailbox as an opened one."""
    if not opened:
        return {}
    names = ("tenant_id", "mailbox_key", "app", "network", "agent")
    keys = list(zip(*(clusters_.column(name).to_pylist() for name in names), strict=True))
    units, times = clusters_.column("cluster").to_pylist(), clusters_.column("first_at").to_pylist()
    first: dict[tuple[object, ...], tuple[object, str]] = {}
    for key, unit, at in zip(keys, units, times, strict=True):
        if unit in opened and (key not in first or (at, unit) < first[key]):
            first[key] = (at, unit)
    return {
        unit: first[key][1]
        for key, unit, at in zip(keys, units, times, strict=True)
        if key in first and unit not in opened and at >= first[key][0]
    }

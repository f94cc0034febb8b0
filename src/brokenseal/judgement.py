"""From marks to what opens a case: every unit is weighed, and a stated budget of false cases decides.

    members ─ detectors' marks ─▶ weights ─▶ opened (e >= units a mailbox-week / budget), joined, followed ─▶ scope

The budget is one of each mailbox: b false cases a week. A unit opens a case at e >= units of its mailbox a week / b, so
that b false cases a mailbox-week are to be expected where the bounds hold (Markov's inequality and a sum over units),
however large a tenant is and whatever happens in other mailboxes. Session clusters and doors share the budget evenly,
because doors are rare; a door counts for the mailbox of who opened it.

Markov's bound is loose. Where the calibration measured how the weights of authorised units thin out at the heavy end
(`Tail`), the threshold is where that tail leaves the same share, if that is lower. It leans on the simulated tenants
being like yours at that end, and on extrapolating; the bound does not lean on the second.

Beside the weight there are rules: findings of the kinds that authorised use showed least, up to a stated number in all
mailbox-weeks simulated (`Calibration.opening`). What they cost is above the budget, and no more than counted; the
evaluation counts both and says which opened.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.clusters import ONCE, clusters_of, members, visits
from brokenseal.engines import begun
from brokenseal.fusion import Weighed, weigh
from brokenseal.numbering import numbered
from brokenseal.schema import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import ibis.expr.types as ir
    import numpy.typing as npt

    from brokenseal.calibration import Calibration, Tail
    from brokenseal.campaigns import Campaign
    from brokenseal.model import Detector, Finding, Parts, Tables

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

BUDGET: Final = 5e-5
"""False cases a mailbox-week: one in 20 weeks of 1,000 mailboxes."""
JOINS_FROM: Final = 2.0
"""Decimal logarithm of the weight from which a unit joins a case that another one opened."""
NOTICES: Final = 0.05
"""Notices a mailbox-week that are shown: 50 a week of 1,000 mailboxes is what an analyst looks at beside other work."""
LEAST_NOTICES: Final = 20
_WEEK_S: Final = 7 * 86_400
_SHORTEST_WEEKS: Final = 1.0
_NOTHING_OPENS: Final = 99.0
"""Where there is no unit of a kind."""
_ASKED_OFTEN: Final = ("mail_accesses", "sign_ins")
"""Tables that nearly every detector reads."""
_CLIENT: Final = ("cluster", "tenant_id", "mailbox_key", "session_id", "network", "app", "agent", "first_at")
_MARKS_OF: Final = "marks:"
_BEFORE: Final = dt.timedelta(days=14)
_PLACES: Final = ("unit", "tenant_id", "mailbox_key", "network", "is_door")

Standing = Literal["opens", "joins", "notice"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What was weighed, and what it comes to.

    Attributes:
        weighed: Every unit with its weight.
        position_of: Unit to its place in `weighed`.
        is_door: Per place, whether the unit is a change of configuration.
        mailbox_weeks: Mailbox-weeks that the units come from.
        thresholds: Decimal logarithm of the weight from which each unit opens a case, in the order of `weighed`.
        bounds: The same by Markov's inequality alone, which the measured tail may lower; in the same order.
        threshold: The threshold of the session clusters of a mailbox like the others, for what concerns several.
        door_threshold: The same for changes of configuration.
        budget: False cases a mailbox-week that they are made for.
        is_rule: Whether a finding of this detector and variant opens a case by rule.
        opened: Units that open one.
        joined: Units that may join one, the opened ones among them.
        followed: Units of the same hand as a strange or new one that opened a case, by weight or by rule, and that one.
        strange: Session clusters whose client is strange.
        listed: Every session cluster with its client.
        campaign_of: Unit to the number of the campaign that it is in.
        ruled: Session clusters of which a finding opened a case by rule.
    """

    weighed: Weighed
    position_of: Mapping[str, int]
    is_door: Flags
    mailbox_weeks: float
    thresholds: Floats
    bounds: Floats
    threshold: float
    door_threshold: float
    budget: float
    is_rule: Callable[[str, str], bool]
    opened: frozenset[str]
    joined: frozenset[str]
    followed: Mapping[str, str]
    strange: frozenset[str]
    listed: pa.Table
    campaign_of: Mapping[str, int] = field(default_factory=dict)
    ruled: frozenset[str] = frozenset()

    def weight_of(self, unit: str) -> float | None:
        """Decimal logarithm of the weight of a unit; None for what is none."""
        position = self.position_of.get(unit)
        return None if position is None else float(self.weighed.log10_e[position])

    def units_of(self, finding: Finding) -> tuple[str, ...]:
        """The units that a finding is about: clusters, and those that its records are the first of."""
        places = ((item.event_id, self.position_of.get(item.event_id)) for item in finding.evidence)
        if not finding.units:
            return tuple(unit for unit, place in places if place is not None)
        doors = (unit for unit, place in places if place is not None and self.is_door[place])
        return tuple(dict.fromkeys((*finding.units, *doors)))

    def threshold_of(self, unit: str) -> float | None:
        """Decimal logarithm of the weight from which a unit opens a case; None for what is none."""
        position = self.position_of.get(unit)
        return None if position is None else float(self.thresholds[position])

    def bound_of(self, unit: str) -> float | None:
        """The same by Markov's inequality alone."""
        position = self.position_of.get(unit)
        return None if position is None else float(self.bounds[position])

    def standing(self, finding: Finding) -> Standing:
        """Whether a finding opens a case, may join one, or is no more than a notice.

        A finding about no unit was never weighed: it may join what another one opened, unless it is a mere notice.
        """
        units = self.units_of(finding)
        if self.opened.intersection(units):
            return "opens"
        if not finding.is_notice and self.is_rule(finding.detector_id, finding.variant):
            return "opens"
        if not units:
            return "notice" if finding.is_notice else "joins"
        return "joins" if any(unit in self.joined or unit in self.followed for unit in units) else "notice"

    def ruled_by(self, findings: Iterable[Finding]) -> Judgement:
        """The same with what rules say: clusters of a finding that opens by rule join, and others follow them.

        What is followed is the client of a strange one, and one that was new in its mailbox: by its second day a
        client that comes daily is not strange any more.
        """
        ruling = frozenset(
            unit
            for finding in findings
            if not finding.is_notice and self.is_rule(finding.detector_id, finding.variant)
            for unit in finding.units
            if unit in self.position_of and not self.is_door[self.position_of[unit]]
        )
        campaigns = {self.campaign_of[unit] for unit in ruling if unit in self.campaign_of}
        linked = (unit for unit, number in self.campaign_of.items() if number in campaigns)
        new = _newcomers(self.listed, ruling)
        followed = _followed(self.listed, self.opened.union(ruling), self.strange.union(new))
        return replace(self, joined=self.joined.union(ruling, linked), followed=followed, ruled=ruling)

    def joined_by(self, campaigns: Sequence[Campaign]) -> Judgement:
        """The same with what shared values say: a heavy campaign opens, and all of one that opened joins."""
        opened = self.opened.union(*(each.units for each in campaigns if each.opens(self)))
        joined = self.joined.union(opened, *(each.units for each in campaigns if opened.intersection(each.units)))
        links = {unit: number for number, each in enumerate(campaigns) for unit in each.units}
        return replace(self, opened=opened, joined=joined, campaign_of=links)

    @property
    def certain(self) -> frozenset[str]:
        """Units that are a stranger's wherever their case is right: those that open one, and those that follow them."""
        return self.opened.union(self.ruled, self.followed)

    @property
    def wanted(self) -> frozenset[str]:
        """Units of which a reader may have to be told."""
        return self.joined.union(self.followed)


@contextlib.contextmanager
def clustered(tables: Tables) -> Iterator[dict[str, ir.Table]]:
    """The tables with `members` and `clusters` computed once, as long as the context lasts."""
    with contextlib.ExitStack() as kept:
        known = dict(tables)
        for name in _ASKED_OFTEN:
            known[name] = kept.enter_context(tables[name].cache())
            if _is_once(known[name]):
                known[f"{ONCE}{name}"] = known[name]
        known["members"] = kept.enter_context(members(known).cache())
        known["visits"] = kept.enter_context(visits(known["members"]).cache())
        yield {**known, "clusters": kept.enter_context(clusters_of(known).cache())}


def _is_once(rows: ir.Table) -> bool:
    """Whether no two rows have one event id, and none lacks it."""
    (found,) = rows.aggregate(rows=rows.count(), ids=rows.event_id.nunique()).to_pyarrow().to_pylist()
    return bool(found["rows"] == found["ids"])


@contextlib.contextmanager
def kept_parts(known: Tables, *gives: Callable[[Tables], Parts]) -> Iterator[dict[str, ir.Table]]:
    """The tables with parts of them worked out once, as long as the context lasts.

    Args:
        known: The tables.
        gives: Of tables, what some detectors share.
    """
    with contextlib.ExitStack() as kept:
        found = dict(known)
        for give in gives:
            for name, part in give(found).items():
                found[name] = kept.enter_context(part().cache())
        yield found


def run_marks(tables: Tables, detectors: Iterable[Detector], unmet: Sequence[str]) -> dict[str, pa.Table]:
    """What every detector that marks says of the units, by its id; those that could say nothing are left out.

    Args:
        tables: As `clustered` gives them.
        detectors: In order: each is handed the marks of those before it as `marks:<id>`.
        unmet: Needs that the logs do not meet.
    """
    known = _WithMarks(tables)
    for detector in detectors:
        if detector.mark is None or set(detector.silent_without).intersection(unmet):
            continue
        known.add(detector.id, begun(detector.mark(known)))
    return known.marks()


class _WithMarks(Mapping[str, "ir.Table"]):
    """Tables with the marks of detectors under their names, which are waited for when they are asked for."""

    def __init__(self, tables: Tables) -> None:
        self._tables = dict(tables)
        self._begun: dict[str, Callable[[], pa.Table]] = {}

    def add(self, detector_id: str, rows: Callable[[], pa.Table]) -> None:
        self._begun[detector_id] = functools.cache(lambda: rows().select(MARK.names).cast(MARK.arrow_schema()))

    def marks(self) -> dict[str, pa.Table]:
        return {detector_id: rows() for detector_id, rows in self._begun.items()}

    def __getitem__(self, name: str) -> ir.Table:
        if name not in self._tables:
            detector_id = name.removeprefix(_MARKS_OF)
            if detector_id == name or detector_id not in self._begun:
                raise KeyError(name)
            self._tables |= as_tables({detector_id: self._begun[detector_id]()})
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._tables), **{f"{_MARKS_OF}{each}": None for each in self._begun}})

    def __len__(self) -> int:
        return len(list(iter(self)))


def as_tables(marks: Mapping[str, pa.Table]) -> dict[str, ir.Table]:
    """The marks under the names by which detectors ask for them."""
    import ibis

    schema = MARK.ibis_schema()
    return {f"{_MARKS_OF}{detector_id}": ibis.memtable(rows, schema=schema) for detector_id, rows in marks.items()}


def in_memory(parts: Mapping[str, pa.Table]) -> dict[str, ir.Table]:
    """Rows that were worked out elsewhere, as tables."""
    import ibis

    return {name: ibis.memtable(rows) for name, rows in parts.items()}


def unit_table(units: Iterable[str]) -> ir.Table:
    """A table with the column `unit`."""
    import ibis

    return ibis.memtable(pa.table({"unit": pa.array(sorted(units), pa.string())}))


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
    listed = rows.select(*_CLIENT, "last_at").order_by("cluster").to_pyarrow()
    units = pa.concat_tables(
        [
            _placed(listed.rename_columns(["unit", *_CLIENT[1:], "last_at"]), is_door=False),
            _placed(doors, is_door=True),
        ]
    )
    weighed = weigh(units, marks, calibration)
    is_door = units.column("is_door").to_numpy().astype(bool)
    weeks = _weeks(listed)
    mailbox_weeks = weeks * max(pc.count_distinct(listed.column("mailbox_key"), mode="all").as_py(), 1)
    bounds = _bounds(numbered(units.column("mailbox_key"))[0], is_door, weeks, budget)
    thresholds = _thresholds(bounds, is_door, calibration.tails)
    nobody = np.zeros(len(is_door), dtype=np.int64)
    typical = _thresholds(_bounds(nobody, is_door, mailbox_weeks, budget), is_door, calibration.tails)
    by_kind = dict(zip(is_door.tolist(), typical.tolist(), strict=True))
    opens = weighed.log10_e >= thresholds
    joins = opens | (weighed.log10_e >= JOINS_FROM)
    strange = marked(marks.get(calibration.root))
    opening = frozenset(calibration.opening)
    opened = frozenset(weighed.units[place] for place in np.flatnonzero(opens))
    return Judgement(
        weighed=weighed,
        position_of={unit: number for number, unit in enumerate(weighed.units)},
        is_door=is_door,
        mailbox_weeks=mailbox_weeks,
        thresholds=thresholds,
        bounds=bounds,
        threshold=by_kind.get(False, _NOTHING_OPENS),
        door_threshold=by_kind.get(True, _NOTHING_OPENS),
        budget=budget,
        is_rule=lambda detector_id, variant: f"{detector_id}/{variant}" in opening,
        opened=opened,
        joined=frozenset(weighed.units[place] for place in np.flatnonzero(joins)),
        listed=listed,
        strange=strange,
        followed=_followed(listed, opened, strange),
    )


def marked(rows: pa.Table | None) -> frozenset[str]:
    """Units of which a detector says that something is strange."""
    if rows is None:
        return frozenset()
    return frozenset(rows.filter(pc.equal(rows.column("state"), "fired")).column("unit").to_pylist())


def _placed(rows: pa.Table, *, is_door: bool) -> pa.Table:
    flags = pa.array([is_door] * rows.num_rows, type=pa.bool_())
    placed = rows.select(_PLACES[:-1]).append_column("is_door", flags)
    return placed.cast(pa.schema([(name, pa.string()) for name in _PLACES[:-1]] + [("is_door", pa.bool_())]))


def _weeks(clusters_: pa.Table) -> float:
    """The weeks that the logs span, at least one."""
    if not clusters_.num_rows:
        return _SHORTEST_WEEKS
    first = pc.min(clusters_.column("first_at")).as_py()
    last = pc.max(clusters_.column("last_at")).as_py()
    return max(float((last - first).total_seconds()) / _WEEK_S, _SHORTEST_WEEKS)


def _bounds(places: Codes, is_door: Flags, weeks: float, budget: float) -> Floats:
    """Per unit, from the place that it counts for and whether it is a door: units a week of it over the budget."""
    kinds = 2 if is_door.any() else 1
    _, of, counts = np.unique(2 * places + is_door, return_inverse=True, return_counts=True)
    found: Floats = -np.log10(budget / kinds * weeks / counts)[of]
    return found


def _thresholds(bounds: Floats, is_door: Flags, tails: Mapping[str, Tail]) -> Floats:
    """The bounds, lowered to where the measured tail of authorised units leaves the same share."""
    found = bounds.copy()
    for name, kind in (("clusters", False), ("doors", True)):
        tail = tails.get(name)
        if tail is not None and (is_door == kind).any():
            different, of = np.unique(bounds[is_door == kind], return_inverse=True)
            lowered = [min(bound, tail.threshold(10**-bound)) for bound in different.tolist()]
            found[is_door == kind] = np.array(lowered)[of]
    return found


def _followed(clusters_: pa.Table, opened: frozenset[str], strange: frozenset[str]) -> dict[str, str]:
    """Other clusters of a strange client that opened a case, each with the one that it follows.

    They are of the same application, network and machine in the same mailbox, at most two weeks before it or any time
    after; or strange themselves, in the same session.
    """
    first: dict[tuple[object, ...], tuple[dt.datetime, str]] = {}
    opening = _rows_of(clusters_, opened & strange)
    for row in opening.to_pylist():
        for key in _client_keys(row):
            first[key] = min(first.get(key, (row["first_at"], row["cluster"])), (row["first_at"], row["cluster"]))
    found: dict[str, str] = {}
    # Whoever follows does so in the same mailbox; rows of others are never made.
    near = pc.is_in(clusters_.column("mailbox_key"), value_set=pc.unique(opening.column("mailbox_key")))
    for row in clusters_.filter(near).select(_CLIENT).to_pylist() if first else ():
        if row["cluster"] in opened:
            continue
        by_client, by_session = (first.get(key) for key in _client_keys(row))
        if by_client is not None and row["first_at"] >= by_client[0] - _BEFORE:
            found[row["cluster"]] = by_client[1]
        elif by_session is not None and row["cluster"] in strange:
            found[row["cluster"]] = by_session[1]
    return found


def _newcomers(clusters_: pa.Table, units: frozenset[str]) -> frozenset[str]:
    """Those of the units whose client first read the mailbox two weeks or more after the first that the logs show."""
    asked = _rows_of(clusters_, units).to_pylist()
    mailboxes = pa.array({row["mailbox_key"] for row in asked}, pa.string())
    begun: dict[tuple[object, ...], dt.datetime] = {}
    near = clusters_.filter(pc.is_in(clusters_.column("mailbox_key"), value_set=mailboxes)).select(_CLIENT)
    for row in near.to_pylist():
        client = _client_keys(row)[0]
        for key in (client, client[:2]):
            begun[key] = min(begun.get(key, row["first_at"]), row["first_at"])
    clients = {row["cluster"]: _client_keys(row)[0] for row in asked}
    return frozenset(unit for unit, client in clients.items() if begun[client] - begun[client[:2]] >= _BEFORE)


def _rows_of(clusters_: pa.Table, wanted: frozenset[str]) -> pa.Table:
    """The clusters of these ids, with what tells their clients."""
    return clusters_.filter(pc.is_in(clusters_.column("cluster"), value_set=pa.array(wanted, pa.string()))).select(
        _CLIENT
    )


def _client_keys(row: Mapping[str, Any]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    place = (row["tenant_id"], row["mailbox_key"])
    session = row["session_id"]
    return (*place, row["app"], row["network"], row["agent"]), (*place, session or row["cluster"])


def shown_notices(notices: Sequence[Finding], judgement: Judgement) -> tuple[Finding, ...]:
    """The notices within their budget, in their order; the gravest and heaviest stay.

    What several detectors say of one unit is one thing to look at: its gravest notice goes before all further ones.
    """
    most = max(math.ceil(NOTICES * judgement.mailbox_weeks), LEAST_NOTICES)
    units = [judgement.units_of(notice) for notice in notices]

    def rank(place: int) -> tuple[int, float, int]:
        weights = [judgement.weight_of(unit) or 0.0 for unit in units[place]]
        return (notices[place].severity.rank, -max(weights, default=0.0), place)

    first: list[int] = []
    further: list[int] = []
    told: set[str] = set()
    for place in sorted(range(len(notices)), key=rank):
        (further if units[place] and told.issuperset(units[place]) else first).append(place)
        told.update(units[place])
    return tuple(notices[place] for place in sorted([*first, *further][:most]))

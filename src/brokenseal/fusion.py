"""What the detectors say of a unit becomes one weight: an e-value against "this is an authorised use".

For a unit u with bins b_d of the detectors d, and intrusions of kinds a:

    e(u) = sum_a  w_a  product_d  f1_a(b_d) / f0(b_d)  +  w  mean_d  g_d(b_d) / f0(b_d)

f1_a are shares among simulated intrusions of kind a, f0 are 95 % upper bounds of shares among authorised units. A
detector that is quiet counts with f1_a(quiet) and f0 = 1; one that could not assess the unit does not count. The last
term is for what a single detector alone can see; g_d is spread evenly over its bins. The mean
of e over authorised units is at most 1 if the bounds hold and if detectors depend on each other through the strangeness
of the client alone (the `root`); f1 and w decide about power and never about validity (Shafer, "Testing by betting",
2021; Vovk and Wang, "E-values", 2021). Where two bins were never counted together, that dependence is an assumption:
`Part.is_assumed` says where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from brokenseal.calibration import DEPENDENCE, SMALLEST_SHARE, Calibration, Group, lower_share, upper_share
from brokenseal.numbering import numbered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from brokenseal.calibration import Intrusions

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]
    FewCodes = npt.NDArray[np.int16]

NOT_ASSESSED: Final = -1
UNKNOWN_GROUP: Final = ""
"""Units of which nobody can say how strange their client is."""
UNKNOWN_BIN: Final = -2
_QUIET: Final = 0
_STATES: Final = ("fired", "quiet", "not_assessable")
_SMOOTHING: Final = 0.5
_BILLION: Final = 1e9

Basis = Literal["tenant", "calibration", "none"]


class Part(NamedTuple):
    """What one detector adds to one unit.

    Attributes:
        detector_id: The detector.
        state: fired, quiet or not_assessable.
        bin: Its bin; None unless it fired.
        reason: Why it is not assessable; None unless it is not.
        f0_upper: Upper bound of the share of authorised units that look so; None unless it fired in a known bin.
        n_reference: Authorised units behind it.
        basis: Whose units these are.
        is_assumed: Whether the bound leans on an assumed bound of dependence rather than on a joint count.
    """

    detector_id: str
    state: str
    bin: str | None
    reason: str | None
    f0_upper: float | None
    n_reference: int
    basis: Basis
    is_assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weighed:
    """All units with their weights.

    Attributes:
        units: Ids, in the order of all arrays.
        log10_e: Weight of each.
        columns: What was read of each detector, by its id.
    """

    units: tuple[str, ...]
    log10_e: Floats
    columns: Mapping[str, _Column]

    def parts(self, position: int) -> tuple[Part, ...]:
        """What each detector adds to one unit, in the order of the detectors."""
        return tuple(column.part(detector_id, position) for detector_id, column in self.columns.items())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Column:
    """One detector over all units: bin codes, and bounds where it fired."""

    bins: tuple[str, ...]
    codes: FewCodes
    reasons: tuple[str, ...]
    reason_of: FewCodes
    f0_upper: Floats
    n_reference: Codes
    own: npt.NDArray[np.bool_]
    assumed: npt.NDArray[np.bool_]

    def part(self, detector_id: str, position: int) -> Part:
        code = int(self.codes[position])
        fired = code not in {NOT_ASSESSED, _QUIET}
        known = code > _QUIET
        return Part(
            detector_id=detector_id,
            state=_STATES[0] if fired else _STATES[1] if code == _QUIET else _STATES[2],
            bin=self.bins[code - 1] if known else None,
            reason=self.reasons[self.reason_of[position]] if self.reason_of[position] >= 0 else None,
            f0_upper=float(self.f0_upper[position]) if known else None,
            n_reference=int(self.n_reference[position]) if known else 0,
            basis=("tenant" if self.own[position] else "calibration") if known else "none",
            is_assumed=bool(self.assumed[position]) if known else False,
        )


class _Places(NamedTuple):
    """Where units stand: whose rows are like each other's, and whose are the same hand's."""

    tenant: Codes
    mailbox: Codes
    network: Codes
    is_door: npt.NDArray[np.bool_]


def weigh(units: pa.Table, marks: Mapping[str, pa.Table], calibration: Calibration) -> Weighed:
    """Weigh every unit.

    Args:
        units: One row per unit: unit, tenant_id, mailbox_key, network (strings, null where unknown), is_door (boolean).
        marks: Detector id to rows of `schema.MARK`; a unit without a row is quiet. None of a detector's rows may name
            a unit twice. For units that are doors, only detectors that mark some door are counted.
        calibration: Counts on simulated tenants.

    Returns: One weight per unit, in the order of `units`.

    Raises:
        ValueError: A detector marks one unit twice.
    """
    ids = units.column("unit").combine_chunks()
    places = _Places(
        tenant=numbered(units.column("tenant_id"))[0],
        mailbox=numbered(units.column("mailbox_key"))[0],
        network=numbered(units.column("network"))[0],
        is_door=units.column("is_door").to_numpy().astype(bool),
    )
    total = calibration.overall
    read = {detector_id: _read(detector_id, rows, ids, places, calibration) for detector_id, rows in marks.items()}
    root = read.get(calibration.root)
    groups = _groups(root, len(ids), calibration)
    columns = {
        detector_id: _bounded(column, groups, places, _Reference(detector_id, calibration, total))
        for detector_id, column in read.items()
    }
    kinds = [_kind(intrusions, columns, places.is_door) for _, intrusions in sorted(calibration.intrusions.items())]
    kinds += [_unforeseen(columns, len(ids)), _single(columns, len(ids))]
    log_e = np.logaddexp.reduce(np.stack(kinds), axis=0) - math.log(len(kinds))
    for column in columns.values():
        fired = column.codes > _QUIET
        log_e[fired] -= np.log(column.f0_upper[fired])
    log_e -= math.log(DEPENDENCE) * _assume(columns, groups == UNKNOWN_GROUP)
    return Weighed(units=tuple(ids.to_pylist()), log10_e=log_e / math.log(10), columns=columns)


def _read(detector_id: str, rows: pa.Table, ids: pa.StringArray, places: _Places, calibration: Calibration) -> _Column:
    """One detector's marks as codes: what it says, before anything is compared."""
    bins = calibration.bins_of(detector_id)
    count = len(ids)
    placed = _codes_in(rows.column("unit"), ids)
    rows, at = rows.filter(pa.array(placed >= 0)), placed[placed >= 0]
    _refuse_repeats(detector_id, at, ids)
    states, state_names = numbered(rows.column("state"))
    found, bin_names = numbered(rows.column("bin"))
    why, reason_names = numbered(rows.column("reason"))
    code_of = {name: number for number, name in enumerate(bins, start=1)}
    known = np.array([*(code_of.get(name, UNKNOWN_BIN) for name in bin_names), UNKNOWN_BIN], dtype=np.int64)
    is_lost, is_fired = (states == _number(state_names, name) for name in ("not_assessable", "fired"))
    # There are millions of units and some dozens of bins and reasons; these arrays stay to the end.
    codes = np.zeros(count, dtype=np.int16)
    codes[at[is_lost]] = NOT_ASSESSED
    codes[at[is_fired]] = known[found[is_fired]]
    # The last name is for marks without one; a door that nobody marked was not asked about, and has no reason.
    reason_of = np.full(count, -1, dtype=np.int16)
    reason_of[at[is_lost]] = np.where(why[is_lost] < 0, len(reason_names), why[is_lost])
    bounds, references = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    ppb = rows.column("f0_upper_ppb").cast("float64").to_numpy()
    own = is_fired & ~np.isnan(ppb)
    bounds[at[own]] = ppb[own] / _BILLION
    references[at[own]] = rows.column("n_reference").fill_null(0).to_numpy()[own]
    if not places.is_door[at].any():
        codes[places.is_door & (codes == _QUIET)] = NOT_ASSESSED
    flags = np.zeros(count, dtype=bool)
    return _Column(
        bins=bins,
        codes=codes,
        reasons=(*reason_names, ""),
        reason_of=reason_of,
        f0_upper=bounds,
        n_reference=references,
        own=~np.isnan(bounds),
        assumed=flags,
    )


def _codes_in(texts: pa.ChunkedArray, values: pa.StringArray) -> Codes:
    """Where each text stands among the values; -1 where it does not."""
    import pyarrow.compute as pc

    found = pc.index_in(texts.cast("string"), value_set=values).fill_null(-1)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def _number(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else NOT_ASSESSED - 1


def _refuse_repeats(detector_id: str, at: Codes, ids: pa.StringArray) -> None:
    times = np.bincount(at, minlength=len(ids))
    if at.size and times.max() > 1:
        unit = ids[int(times.argmax())].as_py()
        msg = f"{detector_id}: unit {unit} is marked twice; expected at most one mark per unit"
        raise ValueError(msg)


def _groups(root: _Column | None, count: int, calibration: Calibration) -> npt.NDArray[np.object_]:
    """The group of each unit, by the bin of the root; one of its own where that could not say anything."""
    if root is None:
        return np.full(count, UNKNOWN_GROUP, dtype=object)
    names = np.array([calibration.group_of(None), *(calibration.group_of(name) for name in root.bins)], dtype=object)
    return np.where(root.codes >= _QUIET, names[np.clip(root.codes, 0, None)], UNKNOWN_GROUP)


# ---------------------------------------------------------------- bounds of benign shares


class _Bound(NamedTuple):
    share: float
    units: int
    is_assumed: bool


class _Reference(NamedTuple):
    """What a bound is looked up in: one detector's counts on simulated tenants."""

    detector_id: str
    calibration: Calibration
    total: Group

    def bound(self, name: str, group: str, *, is_door: bool, is_own: bool) -> _Bound:
        """The bound from simulated tenants: within the group of equal strangeness, where enough was counted.

        Where the tenant's own rate is taken (`is_own`) and none was counted in the group, dependence is assumed.
        """
        if is_door:
            doors = self.calibration.doors
            return _Bound(doors.upper(self.detector_id, name), doors.of(self.detector_id), is_assumed=False)
        overall, counted = self.total.upper(self.detector_id, name), self.total.of(self.detector_id)
        if self.detector_id == self.calibration.root or group == UNKNOWN_GROUP:
            return _Bound(overall, counted, is_assumed=False)
        inside = self.calibration.benign.get(group, Group(units=0))
        within = inside.upper(self.detector_id, name)
        if not inside.count(self.detector_id, name) and (is_own or DEPENDENCE * overall < within):
            return _Bound(max(DEPENDENCE * overall, SMALLEST_SHARE), counted, is_assumed=True)
        return _Bound(within, inside.of(self.detector_id), is_assumed=False)

    def lift(self, name: str, group: str, bound: _Bound, *, is_door: bool) -> float:
        """How many times likelier the bin is in its group than over all, at least 1: for a tenant's own rate."""
        counted = self.total.of(self.detector_id)
        if is_door or group == UNKNOWN_GROUP or self.detector_id == self.calibration.root or not counted:
            return 1.0
        if bound.is_assumed:
            return DEPENDENCE
        share = self.total.count(self.detector_id, name) / counted
        return max(1.0, bound.share / max(share, 1 / counted, SMALLEST_SHARE))


def _bounded(column: _Column, groups: npt.NDArray[np.object_], places: _Places, reference: _Reference) -> _Column:
    """The column with an upper bound wherever it fired in a known bin."""
    bounds, references = column.f0_upper.copy(), column.n_reference.copy()
    own, assumed = column.own.copy(), column.assumed.copy()
    fired = np.flatnonzero(column.codes > _QUIET)
    cache: dict[tuple[int, str, bool, bool], _Bound] = {}
    for position in fired:
        code, is_door = int(column.codes[position]), bool(places.is_door[position])
        key = (code, str(groups[position]), is_door, bool(column.own[position]))
        if key not in cache:
            cache[key] = reference.bound(column.bins[code - 1], key[1], is_door=is_door, is_own=key[3])
        bound = cache[key]
        if column.own[position]:
            lift = reference.lift(column.bins[code - 1], key[1], bound, is_door=is_door)
            bounds[position] = min(1.0, max(bounds[position], SMALLEST_SHARE) * lift)
        else:
            bounds[position], references[position] = bound.share, bound.units
        assumed[position] = bound.is_assumed
    _raise_to_tenant(column, fired, places, bounds, references, own)
    return _Column(
        bins=column.bins,
        codes=column.codes,
        reasons=column.reasons,
        reason_of=column.reason_of,
        f0_upper=bounds,
        n_reference=references,
        own=own,
        assumed=assumed,
    )


def _raise_to_tenant(
    column: _Column, fired: Codes, places: _Places, bounds: Floats, references: Codes, own: npt.NDArray[np.bool_]
) -> None:
    """Where a tenant shows a bin more often than was simulated, its own share counts.

    Counted are other mailboxes from other networks: what one hand does in ten mailboxes must not excuse itself.
    """
    rows: dict[tuple[int, int, bool], list[int]] = {}
    for position in fired:
        key = (int(column.codes[position]), int(places.tenant[position]), bool(places.is_door[position]))
        rows.setdefault(key, []).append(int(position))
    sizes = {
        (tenant, is_door): int(((places.tenant == tenant) & (places.is_door == is_door)).sum())
        for tenant, is_door in {key[1:] for key in rows}
    }
    for (_, tenant, is_door), members in rows.items():
        if len(members) == 1:
            continue
        of = sizes[tenant, is_door]
        others = _of_others(places.mailbox[members], places.network[members])
        shares = {number: lower_share(number, of) for number in np.unique(others).tolist()}
        for position, number in zip(members, others.tolist(), strict=True):
            if number and shares[number] > bounds[position]:
                bounds[position], references[position], own[position] = upper_share(number, of), of, True


def _of_others(mailboxes: Codes, networks: Codes) -> Codes:
    """For each unit, how many others are of another mailbox and of another network, or of an unknown one."""
    width = int(networks.max(initial=0)) + 2
    alike = (mailboxes, networks, mailboxes * width + networks + 1)
    of_mailbox, of_network, of_both = (counts[place] for _, place, counts in map(_counted, alike))
    found: Codes = len(mailboxes) - of_mailbox - np.where(networks >= 0, of_network - of_both, 0)
    return found


def _counted(values: Codes) -> tuple[Codes, Codes, Codes]:
    return np.unique(values, return_inverse=True, return_counts=True)


def _assume(columns: Mapping[str, _Column], unknown: npt.NDArray[np.bool_]) -> Codes:
    """How many bounds of each unit lean on an assumed dependence because nobody knows how strange its client is.

    One strange thing alone depends on nothing; each further one does. The columns are told.
    """
    fired = np.zeros(len(unknown), dtype=np.int64)
    for column in columns.values():
        here = (column.codes > _QUIET) & unknown
        column.assumed[here & (fired > 0)] = True
        fired[here] += 1
    return np.clip(fired - 1, 0, None)


# ---------------------------------------------------------------- intrusions


def _kind(intrusions: Intrusions, columns: Mapping[str, _Column], is_door: npt.NDArray[np.bool_]) -> Floats:
    """Natural logarithm of the share of one kind of intrusion's units that look like each unit, over all detectors."""
    whole = Group(units=intrusions.units, bins=intrusions.bins)
    found = np.zeros(len(is_door))
    for detector_id, column in columns.items():
        of_clusters = _shares(intrusions.clusters or whole, detector_id, column)
        of_doors = _shares(intrusions.doors or whole, detector_id, column)
        place = np.clip(column.codes, 0, None)
        shares = np.where(is_door, of_doors[place], of_clusters[place])
        # An unknown bin says that something is strange, and nothing of how often: it counts neither way.
        found += np.where(column.codes >= _QUIET, shares, 0.0)
    return found


def _shares(group: Group, detector_id: str, column: _Column) -> Floats:
    """Natural logarithm of the share of each code, quiet first, with a little for what was not seen."""
    known = [group.count(detector_id, name) for name in column.bins]
    counted = max(group.of(detector_id), sum(known))
    weights = np.array([counted - sum(known), *known], dtype=np.float64) + _SMOOTHING / (len(known) + 1)
    shares: Floats = np.log(weights / (counted + _SMOOTHING))
    return shares


def _single(columns: Mapping[str, _Column], count: int) -> Floats:
    """Intrusions that one detector alone can see, whichever it is: the mean over detectors, others left out."""
    bounds = {
        detector_id: np.where(column.codes > _QUIET, np.log(np.nan_to_num(column.f0_upper, nan=1.0)), 0.0)
        for detector_id, column in columns.items()
    }
    total = sum(bounds.values(), np.zeros(count))
    terms = []
    for detector_id, column in columns.items():
        seen = np.where(column.codes > _QUIET, 0.5 / max(len(column.bins), 1), 0.5)
        # What the others say is taken out again below, where all bounds are divided by.
        terms.append(np.where(column.codes >= _QUIET, np.log(seen), 0.0) + total - bounds[detector_id])
    if not terms:
        return total
    mean: Floats = np.logaddexp.reduce(np.stack(terms), axis=0) - math.log(len(terms))
    return mean


def _unforeseen(columns: Mapping[str, _Column], count: int) -> Floats:
    """The same for intrusions that nobody has simulated: half of the units quiet, the other half in any bin alike."""
    found = np.zeros(count)
    for column in columns.values():
        share = np.where(column.codes > _QUIET, 0.5 / max(len(column.bins), 1), 0.5)
        found += np.where(column.codes >= _QUIET, np.log(share), 0.0)
    return found

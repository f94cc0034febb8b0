"""T1 and T2: can attackers be told from honest people by what should carry no meaning?

Whom an intruder reads with which kind of client is intent, so that lines are only compared with honest lines of the
same tenant and stratum, and the unit is the attack instance against the mailbox: neither busy days nor busy people
weigh more than others.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from brokenseal.drill import _leak_statistics as statistics
from brokenseal.drill._leak_fields import bigrams, excused, fields, trivial
from brokenseal.drill._leak_report import FAIL, NOT_ASSESSABLE, PASS, Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from brokenseal.drill._leak_lines import Line

NULL: Final = "A0n"
_LINES_PER_UNIT: Final = 4
_LEAST_UNITS: Final = 3
_LEAST_INSTANCES: Final = 8
_LEAST_TENANTS: Final = 2
_FOLDS: Final = 5
_CEILING: Final = 0.55
_WIDEST_NULL: Final = 0.12
_LEVEL: Final = 0.05


def thin(lines: Iterable[Line], *, most: int = _LINES_PER_UNIT) -> list[Line]:
    """At most this many lines per unit and stratum, each of another day; which ones no label decides.

    It reads a stream of lines and keeps what it returns.
    """
    kept: dict[tuple[object, ...], dict[int, tuple[int, int, Line]]] = {}
    for line in lines:
        who = (line.tenant, line.stratum, line.instance, line.unit if line.instance < 0 else "")
        days = kept.setdefault(who, {})
        key = f"{line.tenant}{line.stratum}{line.unit}{line.day}"
        day_rank = zlib.crc32(key.encode())
        line_rank = zlib.crc32(f"{key}{line.at_us}{line.place}".encode())
        held = days.get(line.day)
        if held is not None and held[1] <= line_rank:
            continue
        days[line.day] = (day_rank, line_rank, line)
        if len(days) > most:
            del days[max(days, key=lambda day: days[day][:2])]
    return [line for days in kept.values() for _, _, line in days.values()]


class _Sample(NamedTuple):
    """Lines of one attack and the honest lines that they can be compared with."""

    lines: list[Line]
    labels: npt.NDArray[np.bool_]
    cell: npt.NDArray[np.int64]
    instances: int
    tenants: int
    left_out: int


def _sample(attack: Sequence[Line], honest: Mapping[tuple[str, str], Sequence[Line]]) -> _Sample:
    lines, labels, cells, left_out = [], [], [], 0
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in attack:
        groups.setdefault((line.tenant, line.stratum), []).append(line)
    for number, (key, own) in enumerate(sorted(groups.items(), key=lambda item: item[0])):
        others = honest.get(key, ())
        if len({line.unit for line in others}) < _LEAST_UNITS:
            left_out += len(own)
            continue
        lines += [*own, *others]
        labels += [True] * len(own) + [False] * len(others)
        cells += [number] * (len(own) + len(others))
    used = [line for line, label in zip(lines, labels, strict=True) if label]
    return _Sample(
        lines=lines,
        labels=np.array(labels, dtype=bool),
        cell=np.array(cells, dtype=np.int64),
        instances=len({line.instance for line in used}),
        tenants=len({line.tenant for line in used}),
        left_out=left_out,
    )


def by_cell(lines: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    """Honest lines by tenant and stratum."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.tenant, line.stratum), []).append(line)
    return found


def _weights(sample: _Sample) -> npt.NDArray[np.float64]:
    """Each unit of a cell weighs the same, and both sides of a cell weigh the same."""
    whole = [
        (cell, line.instance if label else line.unit)
        for line, label, cell in zip(sample.lines, sample.labels, sample.cell.tolist(), strict=True)
    ]
    names = {name: number for number, name in enumerate(dict.fromkeys(whole))}
    unit = np.array([names[name] for name in whole])
    weight = 1.0 / np.bincount(unit)[unit]
    side = sample.cell * 2 + sample.labels
    total = np.bincount(side, weight, minlength=int(side.max()) + 1)
    positives = np.bincount(sample.cell, weight * sample.labels)
    found: npt.NDArray[np.float64] = weight / total[side] * positives[sample.cell]
    return found


# ---------------------------------------------------------------- T1


def trivial_fields(
    attacks: Mapping[str, Sequence[Line]],
    honest: Mapping[tuple[str, str], Sequence[Line]],
    tells: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> list[Check]:
    """T1, one check per attack: two classifiers, folds by tenant, concordance per instance, its interval."""
    return [
        _trivial_check(attack_id, _sample(lines, honest), tells.get(attack_id, ()), len(attacks), rng)
        for attack_id, lines in sorted(attacks.items())
    ]


def _trivial_check(
    attack_id: str, sample: _Sample, tells: Sequence[str], attacks: int, rng: np.random.Generator
) -> Check:
    numbers: dict[str, float] = {"instances": sample.instances, "lines left out": sample.left_out}
    lacking = _lacking(sample)
    if lacking:
        return Check(test="T1", subject=attack_id, outcome=NOT_ASSESSABLE, reason=lacking, numbers=numbers)
    names, values = trivial(sample.lines, excused(tells))
    weight = _weights(sample)
    folds = statistics.group_folds(np.array([line.tenant for line in sample.lines]), min(_FOLDS, sample.tenants), rng)
    worst = None
    hits: tuple[str, ...] = ()
    for name in ("logistic", "boosting"):
        scores = np.zeros(len(sample.lines))
        for fold in range(int(folds.max()) + 1):
            train, test = folds != fold, folds == fold
            kind = statistics.Logistic if name == "logistic" else statistics.Stumps
            scores[test] = kind.fit(values[train], sample.labels[train], weight[train]).score(values[test])
        found = _intervals(_concordance(sample, scores), attacks)
        numbers |= {f"{name} AUC": found.middle, f"{name} low": found.low, f"{name} high": found.high}
        if worst is None or found.middle > worst.middle:
            worst = found
    assert worst is not None
    outcome, reason = _judge_null(worst) if attack_id == NULL else _judge(worst)
    if outcome == FAIL:
        hits = _telling(names, values, sample)
    return Check(test="T1", subject=attack_id, outcome=outcome, reason=reason, numbers=numbers, hits=hits)


class _Found(NamedTuple):
    """Mean concordance, its 95 % interval, and the lower and upper end at the level corrected for all attacks."""

    middle: float
    low: float
    high: float
    sure_low: float
    sure_high: float


def _lacking(sample: _Sample) -> str | None:
    if sample.instances < _LEAST_INSTANCES:
        return f"{sample.instances} comparable instances; at least {_LEAST_INSTANCES} are needed"
    if sample.tenants < _LEAST_TENANTS:
        return "all instances are in one tenant, and folds are by tenant"
    return None


class _Concordance(NamedTuple):
    """Chance of each instance to score above honest units, and the variance that these units add to the mean."""

    values: npt.NDArray[np.float64]
    variance: float


def _concordance(sample: _Sample, scores: npt.NDArray[np.float64]) -> _Concordance:
    """Per instance the chance that a line of it scores above an honest line of the same tenant and stratum.

    Instances of a tenant share its honest units; the variance of their mean is DeLong's, with units for rows.
    """
    by_instance: dict[int, list[float]] = {}
    by_unit: dict[tuple[str, str], list[float]] = {}
    instances: dict[str, set[int]] = {}
    for cell in np.unique(sample.cell).tolist():
        rows = np.flatnonzero(sample.cell == cell)
        own, others = rows[sample.labels[rows]], rows[~sample.labels[rows]]
        units = np.array([sample.lines[row].unit for row in others])
        _, unit, count = np.unique(units, return_inverse=True, return_counts=True)
        weight = 1.0 / count[unit]
        above = (scores[own][:, None] > scores[others]) + 0.5 * (scores[own][:, None] == scores[others])
        for row, value in zip(own.tolist(), (above @ weight / weight.sum()).tolist(), strict=True):
            by_instance.setdefault(sample.lines[row].instance, []).append(value)
            instances.setdefault(sample.lines[row].tenant, set()).add(sample.lines[row].instance)
        for row, value in zip(others.tolist(), above.mean(axis=0).tolist(), strict=True):
            by_unit.setdefault((sample.lines[row].tenant, sample.lines[row].unit), []).append(value)
    variance = 0.0
    for tenant, held in instances.items():
        means = np.array([np.mean(values) for (where, _), values in by_unit.items() if where == tenant])
        variance += (len(held) / len(by_instance)) ** 2 * float(means.var(ddof=1)) / len(means)
    return _Concordance(np.array([float(np.mean(values)) for values in by_instance.values()]), variance)


def _intervals(found: _Concordance, attacks: int) -> _Found:
    middle, low, high = statistics.mean_interval(found.values, variance=found.variance)
    # Two classifiers for each attack are tried; a failure must stand up to all of them.
    _, sure_low, sure_high = statistics.mean_interval(
        found.values, variance=found.variance, level=1 - _LEVEL / (2 * attacks)
    )
    return _Found(middle, low, high, sure_low, sure_high)


def _judge_null(found: _Found) -> tuple[str, str]:
    if found.sure_low > 0.5 or found.sure_high < 0.5:  # noqa: PLR2004 - chance
        return FAIL, "lines that were called an attack at random can be told from others"
    if found.high - found.low > 2 * _WIDEST_NULL:
        return NOT_ASSESSABLE, "too few instances for an interval that says anything"
    return PASS, "the interval includes chance"


def _judge(found: _Found) -> tuple[str, str]:
    if found.high <= _CEILING:
        return PASS, f"the interval ends below {_CEILING}"
    if found.sure_low > 0.5:  # noqa: PLR2004 - chance
        return FAIL, "trivial features tell the attack from honest lines"
    return NOT_ASSESSABLE, f"chance and more than {_CEILING} are both in the interval: more instances are needed"


def _telling(names: Sequence[str], values: npt.NDArray[np.float64], sample: _Sample) -> tuple[str, ...]:
    """The features that tell most by themselves."""
    found = []
    for at, name in enumerate(names):
        middle = float(_concordance(sample, values[:, at]).values.mean())
        found.append((abs(middle - 0.5), f"{name}: {middle:.2f}"))
    return tuple(text for _, text in sorted(found, reverse=True)[:8])


# ---------------------------------------------------------------- T2


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    attack_id: str
    names: tuple[str, ...]
    bits: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    instances: int


def single_fields(
    attacks: Mapping[str, Sequence[Line]],
    honest: Mapping[tuple[str, str], Sequence[Line]],
    tells: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> list[Check]:
    """T2, one check per attack; the false discovery rate is controlled over all attacks together."""
    checks, scans = [], []
    for attack_id, lines in sorted(attacks.items()):
        sample = _one_per_unit(_sample(lines, honest))
        lacking = _lacking(sample)
        if lacking:
            numbers = {"instances": float(sample.instances)}
            checks.append(Check(test="T2", subject=attack_id, outcome=NOT_ASSESSABLE, reason=lacking, numbers=numbers))
        else:
            scans.append(_scan(attack_id, sample, tells.get(attack_id, ()), rng))
    if scans:
        hit = statistics.benjamini_hochberg(np.concatenate([scan.p for scan in scans]), level=_LEVEL)
        edges = np.cumsum([0, *(len(scan.p) for scan in scans)])
        checks += [
            _scan_check(scan, hit[start:stop])
            for scan, (start, stop) in zip(scans, itertools.pairwise(edges.tolist()), strict=True)
        ]
    return sorted(checks, key=lambda check: check.subject)


def _one_per_unit(sample: _Sample) -> _Sample:
    """One line per instance, and one per honest unit and cell, so that labels can be permuted within cells.

    An instance shows the same client and server in many cells; which of them speaks for it no label decides.
    """
    seen: dict[tuple[object, ...], tuple[int, int]] = {}
    for row, (line, label, cell) in enumerate(
        zip(sample.lines, sample.labels.tolist(), sample.cell.tolist(), strict=True)
    ):
        who = (line.instance,) if label else (cell, line.unit)
        rank = zlib.crc32(f"{line.stratum}{line.unit}{line.at_us}".encode())
        seen[who] = min(seen.get(who, (rank, row)), (rank, row))
    rows = np.array(sorted(row for _, row in seen.values()), dtype=np.int64)
    used = np.isin(sample.cell[rows], sample.cell[rows][sample.labels[rows]])
    rows = rows[used]
    return sample._replace(
        lines=[sample.lines[row] for row in rows.tolist()], labels=sample.labels[rows], cell=sample.cell[rows]
    )


def _scan(attack_id: str, sample: _Sample, tells: Sequence[str], rng: np.random.Generator) -> _Scan:
    names, codes = fields(sample.lines, excused(tells))
    pair_names, pairs = bigrams(names, codes)
    codes = np.hstack([codes, pairs])
    _, cell = np.unique(sample.cell, return_inverse=True)
    if not codes.shape[1]:
        return _Scan(attack_id, (), np.zeros(0), np.zeros(0), sample.instances)
    bits, p = statistics.permutation_p(codes, cell, sample.labels, rng)
    # Two looks at each field, so that the better one counts half.
    p = np.minimum(2 * np.minimum(p, statistics.category_p(codes, cell, sample.labels)), 1.0)
    return _Scan(attack_id, (*names, *pair_names), bits, p, sample.instances)


def _scan_check(scan: _Scan, hit: npt.NDArray[np.bool_]) -> Check:
    order = sorted(np.flatnonzero(hit).tolist(), key=lambda at: (" + " in scan.names[at], scan.p[at]))
    hits = tuple(f"{scan.names[at]} (p {scan.p[at]:.1g}, {scan.bits[at]:.3f} bit)" for at in order)
    smallest = float(scan.p.min()) if len(scan.p) else 1.0
    numbers = {"instances": scan.instances, "fields": len(scan.names), "hits": len(hits), "smallest p": smallest}
    reason = "fields that no tell declares tell the attack" if hits else "no field tells more than chance"
    outcome = FAIL if hits else PASS
    return Check(test="T2", subject=scan.attack_id, outcome=outcome, reason=reason, numbers=numbers, hits=hits)

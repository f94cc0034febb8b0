"""Hours with nothing where the same hour of other weeks says there should be something.

A run of empty hours is a gap if the chance of so little is below one in a million under a model that errs on
the side of silence: its rate comes from the other weeks alone, its scatter is that of whole stretches of hours (so that
a slow day does not look like many independent slow hours), and the other weeks must agree that the stretch is
never empty. Nights and weekends therefore make no gap, and a source with little history makes no statement.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np

from brokenseal.model import Gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ibis.expr.types as ir
    from numpy.typing import NDArray

    from brokenseal.model import Tables

HOUR = dt.timedelta(hours=1)
_DAY_HOURS = 24
_WEEK_HOURS = 168
_CHANCE = 1e-6
# From three weeks on (the first or last day may be a short one) an hour of the week has two others to compare with;
# between two and three, every day of the week has been seen twice, so that a day off shows as one; below that a first
# weekend cannot be told from an outage.
_WEEKLY_FROM = 3 * _WEEK_HOURS - _DAY_HOURS
_DAILY_FROM = 2 * _WEEK_HOURS
_AGREEING_WEEKS = 0.8
_REACH = dt.timedelta(days=1830)
_SCALES = (24, 12, 6, 3, 1)


class _Stretch(NamedTuple):
    """Consecutive empty hours: positions from the first hour of the series, the last one included."""

    first: int
    last: int


def hourly_counts(tables: Tables) -> ir.Table:
    """Records per source and hour; sign-ins count by category and mail accesses by themselves.

    Args:
        tables: Uses `events`, `mail_accesses` and `sign_ins`.
    Returns: source, hour (start of the hour, UTC), records.
    """
    series = timed(tables)
    return (
        series.group_by(source=series.source, hour=series.occurred_at.truncate("h"))
        .agg(records=series.count())
        .filter(lambda t: t.hour.notnull())
    )


def timed(tables: Tables) -> ir.Table:
    """Every record under the name of each source that coverage speaks of: source, occurred_at."""
    events, accesses, sign_ins = tables["events"], tables["mail_accesses"], tables["sign_ins"]
    return ibis.union(
        # Sign-in logs count by category, because each category is exported by itself.
        events.filter(events.source != "entra_sign_in").select("source", "occurred_at"),
        accesses.select("occurred_at", source=ibis.literal("mail_access")).select("source", "occurred_at"),
        sign_ins.filter(sign_ins.category.notnull()).select(
            "occurred_at", source=ibis.literal("sign_in.") + sign_ins.category
        )[["source", "occurred_at"]],
        tables["config_changes"].select("occurred_at", source=ibis.literal("configuration"))[["source", "occurred_at"]],
    )


def gaps_of(tables: Tables) -> dict[str, tuple[Gap, ...]]:
    """The gaps of every source, by source."""
    series: dict[str, dict[dt.datetime, int]] = {}
    for row in hourly_counts(tables).to_pyarrow().to_pylist():
        # Truncation drops the zone on the way; the hours are UTC.
        series.setdefault(row["source"], {})[row["hour"].replace(tzinfo=dt.UTC)] = row["records"]
    return {source: find_gaps(source, hours) for source, hours in sorted(series.items())}


def find_gaps(source: str, hours: Mapping[dt.datetime, int]) -> tuple[Gap, ...]:
    """The gaps in one series.

    Args:
        source: Name of the series.
        hours: Start of an hour (UTC) to the records in it; hours left out have none.
    Returns: Gaps in order of time, from the first missing hour's start to the last one's end. Before the first and
        after the last record nothing is said.
    """
    if not hours:
        return ()
    # A record with an absurd time must neither stretch the series over centuries nor silence it.
    middle = sorted(hours)[len(hours) // 2]
    hours = {hour: records for hour, records in hours.items() if abs(hour - middle) <= _REACH}
    start = min(hours)
    length = int((max(hours) - start) / HOUR) + 1
    if length < _DAILY_FROM:
        return ()
    counts = np.zeros(length)
    for hour, records in hours.items():
        counts[int((hour - start) / HOUR)] = records
    is_weekly = length >= _WEEKLY_FROM
    period = _WEEK_HOURS if is_weekly else _DAY_HOURS
    grid = _grid(counts, period)
    expected = _expected_weekly if is_weekly else _expected_daily
    found = []
    for stretch in _empty_stretches(counts):
        cells = _trim(np.arange(stretch.first, stretch.last + 1), grid)
        means = expected(cells, grid)
        if means is not None and _chance(means, grid) < _CHANCE:
            first_at = start + HOUR * int(cells[0])
            last_at = start + HOUR * int(cells[-1] + 1)
            total = round(float(means.sum()), 1)
            found.append(Gap(source=source, first_at=first_at, last_at=last_at, expected_records=total))
    return tuple(found)


def _grid(counts: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """The series as one row per week (or day) from its first hour on; NaN after its end."""
    rows = math.ceil(len(counts) / period)
    padded = np.full(rows * period, np.nan)
    padded[: len(counts)] = counts
    return padded.reshape(rows, period)


def _empty_stretches(counts: NDArray[np.float64]) -> Iterator[_Stretch]:
    empty = np.concatenate(([False], counts == 0, [False]))
    edges = np.flatnonzero(empty[1:] != empty[:-1])
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        yield _Stretch(int(first), int(end) - 1)


def _trim(cells: NDArray[np.int64], grid: NDArray[np.float64]) -> NDArray[np.int64]:
    """The stretch without the hours at its ends in which no other week (or day) holds a record either."""
    used = np.flatnonzero(np.nansum(grid, axis=0)[cells % grid.shape[1]] > 0)
    return cells[used[0] : used[-1] + 1] if len(used) else cells[:0]


def _expected_weekly(cells: NDArray[np.int64], grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Records to be expected in each hour of the stretch, from the other weeks.

    None where too few other weeks agree that there should be any, or where they hold too little to say so.
    """
    if not len(cells):
        return None
    counts = grid.ravel()
    # The same hours so many weeks earlier or later, as far as they lie within the series and outside of the stretch.
    shifts = np.arange(-len(grid), len(grid) + 1) * _WEEK_HOURS
    shifts = shifts[np.abs(shifts) >= len(cells)]
    shifts = shifts[(cells[0] + shifts >= 0) & (cells[-1] + shifts < len(counts))]
    others = counts[cells[np.newaxis, :] + shifts[:, np.newaxis]]
    others = others[~np.isnan(others).any(axis=1)]
    if len(others) < 2 or np.mean(others.sum(axis=1) > 0) < _AGREEING_WEEKS:  # noqa: PLR2004 - one other is no habit
        return None
    # All records of these hours fell into the other weeks: the chance of that, if this week were like them.
    if float(others.sum()) * math.log1p(-1 / (len(others) + 1)) >= math.log(_CHANCE):
        return None
    means: NDArray[np.float64] = others.mean(axis=0)
    return means


def _expected_daily(cells: NDArray[np.int64], grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Records to be expected in each hour of the stretch, from the quietest other day at that hour.

    The stretch itself is each hour's lowest count, so the second lowest is that of the quietest other day.
    None for stretches of more than a day, which would be their own second lowest.
    """
    if not 0 < len(cells) <= _DAY_HOURS:
        return None
    lowest = np.sort(grid, axis=0)  # NaN sorts last
    means: NDArray[np.float64] = lowest[1, cells % _DAY_HOURS]
    return means


def _chance(means: NDArray[np.float64], grid: NDArray[np.float64]) -> float:
    """Chance of an empty stretch: negative binomial over the whole stretch, Poisson where nothing scatters more.

    The size parameter comes from how totals of stretches as long scatter between weeks (or days), by the method of
    moments over all of them. As long means: over as many hours as really carry the expected records, because a
    long stretch with one busy hour is no steadier than that hour.
    """
    mean = float(means.sum())
    if mean <= 0:
        return 1.0
    carrying = mean**2 / float((means**2).sum())
    scale = next((scale for scale in _SCALES if scale <= carrying), 1)
    totals = grid.reshape(len(grid), -1, scale).sum(axis=2)
    totals = totals[:, (~np.isnan(totals)).sum(axis=0) > 1]
    expected = np.nanmean(totals, axis=0)
    excess = float((np.nanvar(totals, axis=0, ddof=1) - expected).sum())
    if excess <= 0:
        return math.exp(-mean)
    size = float((expected**2).sum()) / excess
    return math.exp(-size * math.log1p(mean / size))

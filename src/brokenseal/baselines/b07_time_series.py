"""B7: an hour in which the tenant reads far more mail than usual, most of it in one mailbox."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa

from brokenseal.baselines._alerts import Baseline, as_alerts, mailbox_subject, rows_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy.typing as npt

    from brokenseal.model import Tables

READS = {
    "mail_accesses": ("event_id", "occurred_at", "tenant_id", "mailbox_key", "mailbox_upn", "actor_key"),
}
HOURS: Final = 24
_HIGHEST: Final = 1000.0
"""Where the residuals do not vary at all, whatever lies above them would be infinitely far away."""
_LEAST_DAYS: Final = 2
_ROUNDING: Final = 1e-6


def _records(tables: Tables) -> ir.Table:
    rows = rows_of(tables, READS, "mail_accesses")
    rows = rows.filter(rows.occurred_at.notnull(), rows.mailbox_key.notnull())
    return rows.mutate(tenant=rows.tenant_id.fill_null(""), hour=rows.occurred_at.truncate("h"))


def reduced(tables: Tables) -> tuple[ir.Table, ...]:
    """Records per tenant and hour: tenant, hour (time), total (int64)."""
    rows = _records(tables)
    return (rows.group_by(["tenant", "hour"]).aggregate(total=rows.event_id.nunique()),)


def alerts(tables: Tables, *, days: int, score: float, events: int, percent: int) -> ir.Table:
    """The reads of mailboxes that make most of an anomalous hour."""
    hours = anomalous_hours(reduced(tables)[0].to_pyarrow().to_pylist(), days=days, score=score)
    kept = ibis.memtable(
        pa.Table.from_pylist(
            hours,
            schema=pa.schema(
                [("tenant", pa.string()), ("hour", pa.timestamp("us", tz="UTC")), ("score_millis", pa.int64())]
            ),
        )
    )
    rows = _records(tables)
    rows = rows.inner_join(kept, ["tenant", "hour"])
    of_hour = ibis.window(group_by=[rows.tenant, rows.hour])
    of_mailbox = ibis.window(group_by=[rows.tenant, rows.hour, rows.mailbox_key])
    rows = rows.mutate(all_events=rows.event_id.count().over(of_hour), own=rows.event_id.count().over(of_mailbox))
    rows = rows.filter(rows.own > events, rows.own * 100 > rows.all_events * percent)
    return as_alerts(
        rows,
        rule="B7",
        subject=mailbox_subject(rows),
        score=rows.score_millis,
        together=("tenant", "hour", "mailbox_key"),
    )


def anomalous_hours(counts: list[dict[str, Any]], *, days: int, score: float) -> list[dict[str, Any]]:
    """The hours of every tenant that lie above the score, each judged on its own day.

    Args:
        counts: `tenant`, `hour` (aware time), `total`.
        days: Length of the series that ends with the judged day; an hour without records counts as 0.
        score: Threshold.

    Returns: `tenant`, `hour`, `score_millis`, by tenant and hour.
    """
    by_tenant: dict[str, dict[int, int]] = defaultdict(dict)
    for row in counts:
        by_tenant[row["tenant"]][round(row["hour"].timestamp()) // 3600] = row["total"]
    found = []
    for tenant, totals in sorted(by_tenant.items()):
        first = min(totals) // HOURS
        series = np.zeros((max(totals) // HOURS - first + 1) * HOURS)
        for hour, total in totals.items():
            series[hour - first * HOURS] = total
        for day in range(_LEAST_DAYS - 1, len(series) // HOURS):
            window = series[max(0, day + 1 - days) * HOURS : (day + 1) * HOURS]
            for number, value in enumerate(anomaly_scores(window)[-HOURS:]):
                if value > score:
                    at = dt.datetime.fromtimestamp(((first + day) * HOURS + number) * 3600, tz=dt.UTC)
                    found.append({"tenant": tenant, "hour": at, "score_millis": round(float(value) * 1000)})
    return found


def anomaly_scores(series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far each hour lies above what line and hour of the day explain, in widths of the middle 80 %.

    Args:
        series: Counts by hour, whole days, two or more.

    Returns: 0 up to the 90th percentile of the residuals; above it, the distance to it over the distance from the 10th
        to the 90th percentile.
    """
    days = series.reshape(-1, HOURS)
    days = days - days.mean(axis=0)
    # Without the mean of each hour of the day, days of one trend lie on one line, the same for all hours.
    day = np.arange(len(days), dtype=np.float64)[:, None]
    day -= day.mean()
    left = (days - day * ((day * days).sum() / (HOURS * (day * day).sum()))).ravel()
    low, high = np.percentile(left, [10, 90])
    # What is left of a series that line and day explain is the rounding of floating-point numbers.
    above = np.where(left - high > _ROUNDING, left - high, 0.0)
    scores: npt.NDArray[np.float64] = np.minimum(above / max(high - low, _ROUNDING), _HIGHEST)
    return scores


BASELINE = Baseline(
    id="B7",
    title="An hour with far more mail accesses than usual, most of them in one mailbox",
    rules={"B7": "a mailbox with more than 25 records and more than half of those of an anomalous hour"},
    parameters={"days": 14, "score": 1.5, "events": 25, "percent": 50},
    source="Azure-Sentinel, MailItemsAccessed time series anomaly (Solarigate); the score as Microsoft documents "
    "`series_outliers` (custom Tukey test over the 10th to 90th percentile)",
    leaves_out="The engine finds the length of the season by itself; here it is 24 hours. Its documentation names the "
    "test and the percentiles; that the score is the plain Tukey distance is our reading.",
    reads=READS,
    alerts=alerts,
    reduced=reduced,
)

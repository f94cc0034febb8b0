"""How late sign-ins arrive, and what a missing one is worth before all of them must have come.

A sign-in that has not come within a day is taken for one that never will. Before that, a token without one has either
none, or one that is late. With q the bound of the share that never comes and l(a) that of the share that comes later
than age a, the weight of a token that is still alone is

    e = sum over the ages a that it has reached of  w(a) / (q + l(a))

whose mean over authorised tokens is at most the sum of w, whenever one looks: each term counts what is still alone at
its age, and what is alone now was alone then. What is left of the weights to one is for the full day.

Lags are known only of a feed that is followed: of what a store was given at one go nobody can say when it arrived, and
nothing is said early. A lag is counted from the event to the batch that brought it, which is never too short.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.detectors._hits import DAY_S, HOUR_S

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Parts, Tables

AGES_S: Final = (HOUR_S, 3 * HOUR_S, 6 * HOUR_S)
WEIGHTS: Final = (0.1, 0.2, 0.3)
LEAST_LAGS: Final = 10_000
"""Below this many lags of a log, nothing is said early."""
ARRIVALS: Final = "arrivals"
"""Name under which a runner may hand over when records could first be read: event_id, arrived_at (time)."""
CATEGORIES: Final = ("interactive", "non_interactive")
SOURCE: Final = "entra_sign_in"
"""The source of both logs, as `events` names it."""
READS: Final = {
    "events": ("event_id", "source", "input_sha256"),
    "ledger": ("batch_id", "sha256", "kept", "ingested_at"),
    "sign_ins": ("event_id", "occurred_at", "category"),
}
_CONFIDENCE: Final = 0.95
_SECOND_US: Final = 1_000_000
_START: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Lateness(NamedTuple):
    """What is known of a followed feed.

    Attributes:
        reach_us: Up to when both logs of sign-ins have something, microseconds since 1970.
        later: For each of `AGES_S`, upper 95 % bound of the share of sign-ins that come later; the worse of both logs.
        lags: Sign-ins behind the weaker of the two bounds.
    """

    reach_us: int
    later: tuple[float, ...]
    lags: int

    def age_s(self, issued_at_us: int) -> float:
        """How long both logs go on after the issue of a token."""
        return (self.reach_us - issued_at_us) / _SECOND_US

    def is_of_age(self, issued_at_us: int) -> bool:
        """Whether a missing sign-in says anything yet."""
        return issued_at_us >= 0 and self.age_s(issued_at_us) >= AGES_S[0]

    def bound(self, share: float, issued_at_us: int) -> float:
        """One over the weight of a token that is still alone, 1 where that says nothing; `share` never come at all."""
        age = self.age_s(issued_at_us)
        reached = zip(AGES_S, WEIGHTS, self.later, strict=True)
        weight = sum(w / (share + later) for at, w, later in reached if age >= at)
        return 1 / weight if weight > 1 else 1.0


LAGS: Final = "sign_in_lags"
"""Name under which a runner may hand over what `parts` gives."""


def parts(tables: Tables) -> Parts:
    """What was counted of each log, as `model.Parts`; nothing where nobody knows."""
    arrived = _arrivals(tables)
    return {} if arrived is None else {LAGS: lambda: _counted(tables, arrived)}


def _counted(tables: Tables, arrived: ir.Table) -> ir.Table:
    """What was counted of each log.

    Of what arrived after the first batch of a log, what occurred after that batch and a day or more before the end of
    the log is counted: earlier events waited for somebody to begin, and of later ones some are still on their way.

    Returns: One row per log: category, last_at (time), lags and by_<age> (int64, so many came within the age).
    """
    rows = tables["sign_ins"].select(*READS["sign_ins"]).distinct()
    rows = rows.filter(rows.category.isin(CATEGORIES), rows.occurred_at.notnull())
    rows = rows.inner_join(arrived, "event_id")
    of_log = ibis.window(group_by="category")
    rows = rows.mutate(begun_at=rows.arrived_at.min().over(of_log), last_at=rows.occurred_at.max().over(of_log))
    lag_s = rows.arrived_at.delta(rows.occurred_at, unit="second")
    is_settled = rows.last_at.delta(rows.occurred_at, unit="second") >= DAY_S
    rows = rows.mutate(lag_s=lag_s, counts=is_settled & (rows.occurred_at >= rows.begun_at))
    within = {f"by_{at}": rows.count(where=rows.counts & (rows.lag_s <= at)) for at in AGES_S}
    return rows.group_by("category").aggregate(last_at=rows.last_at.max(), lags=rows.count(where=rows.counts), **within)


def lateness(tables: Tables) -> Lateness | None:
    """How late the sign-ins of these logs arrive; None where their feed is not followed, or not for long enough."""
    counted = tables.get(LAGS)
    if counted is None:
        arrived = _arrivals(tables)
        counted = None if arrived is None else _counted(tables, arrived)
    rows = [] if counted is None else counted.to_pyarrow().to_pylist()
    if len(rows) < len(CATEGORIES) or min(row["lags"] for row in rows) < LEAST_LAGS:
        return None
    return Lateness(
        reach_us=min((row["last_at"] - _START) // dt.timedelta(microseconds=1) for row in rows),
        later=tuple(max(_upper(row["lags"] - row[f"by_{at}"], row["lags"]) for row in rows) for at in AGES_S),
        lags=min(row["lags"] for row in rows),
    )


def _arrivals(tables: Tables) -> ir.Table | None:
    """Event id and time of the batch that brought it, where more than one did."""
    given = tables.get(ARRIVALS)
    if given is not None:
        return given
    ledger = tables.get("ledger")
    if ledger is None or "events" not in tables:
        return None
    kept = ledger.filter(ledger.kept > 0)
    batches = kept.group_by("batch_id").aggregate(arrived_at=kept.ingested_at.max())
    if batches.count().to_pyarrow().as_py() < 2:  # noqa: PLR2004 - the first one has no lags
        return None
    inputs = kept.inner_join(batches, "batch_id").group_by("sha256").agg(arrived_at=batches.arrived_at.min())
    # Of sign-ins alone, because to name the input of every event takes more time than all else here.
    events = tables["events"].select(*READS["events"])
    events = events.filter(events.source == SOURCE)
    return events.inner_join(inputs, events.input_sha256 == inputs.sha256).select("event_id", "arrived_at")


def _upper(late: int, of: int) -> float:
    """Upper bound of a share after Clopper and Pearson."""
    from scipy.special import betaincinv

    return 1.0 if late >= of else float(betaincinv(late + 1, of - late, _CONFIDENCE))

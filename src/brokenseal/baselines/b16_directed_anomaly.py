"""B16: sessions that are at least as suspicious as most others in every respect at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
import pyarrow as pa

from brokenseal.baselines._alerts import Baseline, as_alerts, mailbox_subject
from brokenseal.clusters import clusters_of, members_of
from brokenseal.detectors import stranger_client

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy.typing as npt

    from brokenseal.model import Tables

READS = stranger_client.READS
DAY_US: Final = 86_400_000_000
_MOST_NATS: Final = 24
_MOST_SIZE: Final = 12


def reduced(tables: Tables) -> tuple[ir.Table, ...]:
    """What is taken out for the judgement: the clusters as the surprisal judges them, and their sizes."""
    units = clusters_of(tables)
    sizes = units.select(
        unit=units.cluster, tenant=units.tenant_id.fill_null(""), first_at=units.first_at, size=_size(units)
    )
    return stranger_client.judged_rows(tables), sizes


def _size(units: ir.Table) -> ir.IntegerValue:
    """Items that the cluster's records list, or its records where they list none."""
    return ibis.greatest(units.entries.fill_null(0), units.records).cast("int64")


def alerts(tables: Tables, *, alerts_per_day: int) -> ir.Table:
    """The records of the sessions that rank highest: so many for each day that the logs of a tenant span."""
    surprise = {one.unit: one for one in stranger_client.judge(tables)}
    sizes = reduced(tables)[1]
    sizes = sizes.mutate(first_at=sizes.first_at.cast("timestamp('UTC', 6)")).to_pyarrow()
    by_tenant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    at_us = sizes["first_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    for row, at in zip(sizes.drop_columns(["first_at"]).to_pylist(), at_us, strict=True):
        by_tenant[row["tenant"]].append({**row, "at_us": at})
    found: list[dict[str, Any]] = []
    for _, rows in sorted(by_tenant.items()):
        rows.sort(key=lambda row: (row["at_us"], row["unit"]))
        parts = np.array([_features(surprise[row["unit"]], row["size"]) for row in rows], dtype=np.int64)
        scores = rarity_millis(dominated(parts))
        days = (rows[-1]["at_us"] - rows[0]["at_us"]) // DAY_US + 1
        best = np.argsort(-scores, kind="stable")[: days * alerts_per_day]
        found.extend({"unit": rows[number]["unit"], "score_millis": int(scores[number])} for number in best)
    kept = ibis.memtable(
        pa.Table.from_pylist(found, schema=pa.schema([("unit", pa.string()), ("score_millis", pa.int64())]))
    )
    members = members_of(tables)
    members = members.inner_join(kept, members.cluster == kept.unit)
    return as_alerts(
        members, rule="B16", subject=mailbox_subject(members), score=members.score_millis, together=("cluster",)
    )


def _features(one: Any, size: int) -> tuple[int, int, int, int]:
    """Whole nats of surprisal of application, network and agent, and the binary order of magnitude of what was read."""
    nats = (one.app_nats, one.network_nats, one.agent_nats)
    app, network, agent = (min(int(part), _MOST_NATS) for part in nats)
    return app, network, agent, min(int(size).bit_length(), _MOST_SIZE)


def dominated(features: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each row, how many other rows it equals or exceeds in every feature.

    The features are few whole numbers, so that the rows are counted in a grid whose sums along every axis give all
    answers at once, instead of comparing each row with each.
    """
    if not len(features):
        return np.zeros(0, dtype=np.int64)
    ranks = np.column_stack([np.unique(column, return_inverse=True)[1] for column in features.T])
    grid = np.zeros(tuple(ranks.max(axis=0) + 1), dtype=np.int64)
    np.add.at(grid, tuple(ranks.T), 1)
    for axis in range(grid.ndim):
        grid = np.cumsum(grid, axis=axis)
    below: npt.NDArray[np.int64] = grid[tuple(ranks.T)] - 1
    return below


def rarity_millis(below: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The counts as comparable between tenants: 1,000 times minus the decimal logarithm of the share not dominated."""
    left = (len(below) - below) / max(len(below), 1)
    scores: npt.NDArray[np.int64] = np.rint(-1000.0 * np.log10(left)).astype(np.int64)
    return scores


BASELINE = Baseline(
    id="B16",
    title="Sessions that are suspicious in every respect at once (directed anomaly scoring)",
    rules={"B16": "the ten highest ranking sessions for each day of the logs"},
    parameters={"alerts_per_day": 10},
    source="Ho, Sharma, Javed, Paxson and Wagner, Detecting credential spearphishing in enterprise settings (USENIX "
    "Security 2017): directed anomaly scoring and its budget of ten alerts a day",
    leaves_out="The features are ours: surprisal of application, network and agent in the mailbox, and what was read. "
    "Sessions are ranked among all of the tenant's, later ones included, and not day by day, in its favour.",
    reads=READS,
    alerts=alerts,
    reduced=reduced,
)

"""B15: mailbox-days that random cuts set apart quickly, as products for user behaviour do it."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis
import numpy as np
import pyarrow as pa

from brokenseal.baselines._alerts import Baseline, as_alerts, mailbox_subject
from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import members_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy.typing as npt

    from brokenseal.model import Tables

READS = CLUSTER_READS
FEATURES: Final = (
    "records",
    "entries",
    "binds",
    "syncs",
    "folders",
    "apps",
    "networks",
    "agents",
    "identities",
    "hours",
    "throttled",
)
"""Of one mailbox on one UTC day: records, item entries, records by kind; distinct folders, applications, networks,
agents, identities and hours; throttled records."""
_EULER: Final = 0.5772156649015329


def reduced(tables: Tables) -> tuple[ir.Table, ...]:
    """One row per tenant, mailbox and day with `FEATURES` (int64)."""
    rows = _placed(tables)
    throttled = rows.is_throttled.fill_null(ibis.literal(value=False))
    found = rows.group_by(["tenant", "mailbox_key", "day"]).aggregate(
        records=rows.event_id.nunique(),
        entries=rows.item_entries.sum().fill_null(0),
        binds=rows.event_id.nunique(where=rows.access_type == "bind"),
        syncs=rows.event_id.nunique(where=rows.access_type == "sync"),
        folders=ibis.coalesce(rows.folder_id, rows.folder_path).nunique(),
        apps=rows.app.nunique(),
        networks=rows.network.nunique(),
        agents=rows.agent.nunique(),
        identities=rows.identity.nunique(),
        hours=rows.occurred_at.hour().nunique(),
        throttled=rows.event_id.nunique(where=throttled),
    )
    return (found.mutate(**{name: found[name].cast("int64") for name in FEATURES}),)


def _placed(tables: Tables) -> ir.Table:
    rows = members_of(tables)
    return rows.mutate(tenant=rows.tenant_id.fill_null(""), day=rows.occurred_at.truncate("D"))


def alerts(tables: Tables, *, trees: int, sample: int, seed: int, least_millis: int) -> ir.Table:
    """The records of mailbox-days whose score reaches the least one."""
    days = reduced(tables)[0].to_pyarrow().sort_by([(name, "ascending") for name in ("tenant", "mailbox_key", "day")])
    features = np.column_stack([days[name].to_numpy() for name in FEATURES]).astype(np.float64)
    scores = np.zeros(len(days), dtype=np.int64)
    tenants = np.array(days["tenant"].to_pylist(), dtype=object)
    for tenant in sorted(set(tenants)):
        own = tenants == tenant
        generator = np.random.default_rng([seed, zlib.crc32(tenant.encode())])
        scores[own] = np.rint(isolation_scores(features[own], trees, sample, generator) * 1000)
    kept = days.select(["tenant", "mailbox_key", "day"]).append_column("score_millis", pa.array(scores, pa.int64()))
    found = ibis.memtable(kept.filter(pa.array(scores >= least_millis)))
    rows = _placed(tables).inner_join(found, ["tenant", "mailbox_key", "day"])
    return as_alerts(
        rows,
        rule="B15",
        subject=mailbox_subject(rows),
        score=rows.score_millis,
        together=("tenant", "mailbox_key", "day"),
    )


class Tree(NamedTuple):
    """One isolation tree as arrays; node 0 is the root.

    Attributes:
        feature: Index of the feature that is cut; -1 for leaves.
        cut: Values below go left.
        left: Number of the left child; the right one is the next.
        depth: Of leaves: depth plus the expected rest for the rows in it.
    """

    feature: npt.NDArray[np.int64]
    cut: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    depth: npt.NDArray[np.float64]


def expected_depth(rows: int) -> float:
    """Mean depth of an unsuccessful search in a binary tree of so many rows: c(n) of Liu, Ting and Zhou."""
    if rows <= 1:
        return 0.0
    if rows == 2:  # noqa: PLR2004 - the case that the logarithm does not fit
        return 1.0
    return 2.0 * (math.log(rows - 1) + _EULER) - 2.0 * (rows - 1) / rows


def isolation_scores(
    features: npt.NDArray[np.float64], trees: int, sample: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Scores from 0 to 1 of each row; 0.5 for what is like all others, near 1 for what stands alone.

    Args:
        features: One row per case.
        trees: Number of trees.
        sample: Rows that each tree is grown from, without replacement.
        generator: Source of the random cuts.
    """
    size = min(sample, len(features))
    if size <= 1:
        return np.full(len(features), 0.5)
    total = np.zeros(len(features))
    for _ in range(trees):
        chosen = generator.choice(len(features), size, replace=False)
        total += _depths(_grown(features[chosen], generator), features)
    scores: npt.NDArray[np.float64] = 2.0 ** (-total / trees / expected_depth(size))
    return scores


def _grown(rows: npt.NDArray[np.float64], generator: np.random.Generator) -> Tree:
    """A tree of random cuts, each feature among those that vary, down to the depth that a balanced tree would have."""
    deepest = math.ceil(math.log2(len(rows)))
    feature, cut, left, depth = [-1], [0.0], [0], [0.0]
    waiting = [(0, np.arange(len(rows)), 0)]
    while waiting:
        node, members, level = waiting.pop()
        low, high = rows[members].min(axis=0), rows[members].max(axis=0)
        varying = np.flatnonzero(high > low)
        if level >= deepest or not len(varying):
            depth[node] = level + expected_depth(len(members))
            continue
        chosen = int(generator.choice(varying))
        at = float(generator.uniform(low[chosen], high[chosen]))
        is_left = rows[members, chosen] <= at
        feature[node], cut[node], left[node] = chosen, at, len(feature)
        for part in (members[is_left], members[~is_left]):
            waiting.append((len(feature), part, level + 1))
            feature.append(-1)
            cut.append(0.0)
            left.append(0)
            depth.append(0.0)
    return Tree(np.array(feature), np.array(cut), np.array(left), np.array(depth))


def _depths(tree: Tree, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The depth at which each row arrives; all rows go down one level at a time."""
    node = np.zeros(len(features), dtype=np.int64)
    going = np.flatnonzero(tree.feature[node] >= 0)
    while len(going):
        at = node[going]
        goes_right = features[going, tree.feature[at]] > tree.cut[at]
        node[going] = tree.left[at] + goes_right
        going = going[tree.feature[node[going]] >= 0]
    depths: npt.NDArray[np.float64] = tree.depth[node]
    return depths


BASELINE = Baseline(
    id="B15",
    title="Mailbox-days that stand apart (isolation forest)",
    rules={"B15": "a mailbox-day that random cuts of eleven counts isolate quickly"},
    parameters={"trees": 100, "sample": 256, "seed": 20250303, "least_millis": 600},
    source="Liu, Ting and Zhou, Isolation Forest (ICDM 2008): 100 trees, 256 rows each, depth limit log2 256; scores "
    "of 0.6 and above as potential anomalies",
    leaves_out="It stands for products of user behaviour analysis, whose features are not public. One forest per "
    "tenant is grown from all days at once, so that it knows the future too, in its favour. The counts are ours.",
    reads=READS,
    alerts=alerts,
    reduced=reduced,
)

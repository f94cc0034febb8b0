"""B14: everything that a diligent team runs, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import ALERT, Baseline, unite
from brokenseal.baselines.b01_unusual_application import BASELINE as B1
from brokenseal.baselines.b02_new_client import BASELINE as B2
from brokenseal.baselines.b03_excess_items import BASELINE as B3
from brokenseal.baselines.b04_graph_public_client import BASELINE as B4
from brokenseal.baselines.b05_session_in_many_places import BASELINE as B5
from brokenseal.baselines.b06_new_application import BASELINE as B6
from brokenseal.baselines.b07_time_series import BASELINE as B7
from brokenseal.baselines.b08_other_mailboxes import BASELINE as B8
from brokenseal.baselines.b09_many_mailboxes_by_api import BASELINE as B9
from brokenseal.baselines.b10_session_addresses import BASELINE as B10
from brokenseal.baselines.b11_relayed_sign_in import BASELINE as B11
from brokenseal.baselines.b12_configuration import BASELINE as B12
from brokenseal.baselines.b13_impossible_travel import BASELINE as B13

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

PARTS: tuple[Baseline, ...] = (B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13)
_LEFT_OUT = ("B1-k2", "B3-250", "B9b", "B9c", "B11-apps", "B13")
"""The same rules with other numbers or over more sign-ins, and searches without any threshold, which fire on every
connected application."""


def alerts(tables: Tables, *, rules: Sequence[str]) -> ir.Table:
    """The alerts of these rules, scored by how many of them speak of one subject on one UTC day."""
    parts = []
    for part in PARTS:
        if set(part.rules) & set(rules):
            found = part.run(tables)
            parts.append(found.filter(found.baseline.isin(rules)))
    return scored(unite(parts))


def scored(found: ir.Table) -> ir.Table:
    """Alerts of any rules as alerts of B14."""
    found = found.mutate(tenant=found.tenant_id.fill_null(""), day=found.occurred_at.truncate("D"))
    days = found.group_by(["tenant", "subject", "day"]).aggregate(rules=found.baseline.nunique())
    found = found.inner_join(days, ["tenant", "subject", "day"])
    # An alert that goes on after midnight has one score: that of its best day.
    best = found["rules"].max().over(ibis.window(group_by=[found.tenant, found.baseline, found.alert_key]))
    columns = {name: found[name] for name in ALERT.names}
    columns |= {
        "baseline": ibis.literal("B14"),
        "alert_key": found.baseline.concat(" ", found.alert_key),
        "score_millis": best * 1000,
    }
    return found.select(**{column.name: columns[column.name].cast(column.dtype) for column in ALERT.columns}).distinct()


def _reads() -> dict[str, tuple[str, ...]]:
    reads: dict[str, tuple[str, ...]] = {}
    for part in PARTS:
        for table, columns in part.reads.items():
            reads[table] = tuple(dict.fromkeys((*reads.get(table, ()), *columns)))
    return reads


BASELINE = Baseline(
    id="B14",
    title="What a diligent team runs: B1 to B13 together",
    rules={"B14": "any alert of any of the rules"},
    parameters={"rules": tuple(rule for part in PARTS for rule in part.rules if rule not in _LEFT_OUT)},
    source="The union of the others, each with its own parameters",
    leaves_out=f"Left out by default are {', '.join(_LEFT_OUT)}: the same rules with other numbers or over more "
    "sign-ins, and searches without a threshold. The score, by which a team would look at subjects of several rules "
    "first, is ours.",
    reads=_reads(),
    alerts=alerts,
    reduced=B7.reduced,
)

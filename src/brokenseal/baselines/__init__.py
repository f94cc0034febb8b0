"""Baselines: what others publish and what a diligent team runs, on our tables, for comparison alone.

Nothing that judges may import this package; only the evaluation does. Each baseline is a file that exports `BASELINE`;
`counting` turns its alerts into numbers that can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.baselines import (
    b01_unusual_application,
    b02_new_client,
    b03_excess_items,
    b04_graph_public_client,
    b05_session_in_many_places,
    b06_new_application,
    b07_time_series,
    b08_other_mailboxes,
    b09_many_mailboxes_by_api,
    b10_session_addresses,
    b11_relayed_sign_in,
    b12_configuration,
    b13_impossible_travel,
    b14_union,
    b15_isolation_forest,
    b16_directed_anomaly,
)

if TYPE_CHECKING:
    from brokenseal.baselines._alerts import Baseline

BASELINES: tuple[Baseline, ...] = (
    b01_unusual_application.BASELINE,
    b02_new_client.BASELINE,
    b03_excess_items.BASELINE,
    b04_graph_public_client.BASELINE,
    b05_session_in_many_places.BASELINE,
    b06_new_application.BASELINE,
    b07_time_series.BASELINE,
    b08_other_mailboxes.BASELINE,
    b09_many_mailboxes_by_api.BASELINE,
    b10_session_addresses.BASELINE,
    b11_relayed_sign_in.BASELINE,
    b12_configuration.BASELINE,
    b13_impossible_travel.BASELINE,
    b14_union.BASELINE,
    b15_isolation_forest.BASELINE,
    b16_directed_anomaly.BASELINE,
)

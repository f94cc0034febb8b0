"""The baselines that rank everything: time series, isolation forest, directed anomaly scoring."""

from __future__ import annotations

import random

import numpy as np
import pytest

from baseline_runner import DAY, HOUR, alerts, filled
from brokenseal.baselines import b07_time_series as series
from brokenseal.baselines import b15_isolation_forest as forest
from brokenseal.baselines import b16_directed_anomaly as directed

ANA, BEN = "ana@corp.example", "ben@corp.example"


def read(event_id, at, box=ANA, **columns):
    return {
        "event_id": event_id,
        "at": at,
        "tenant_id": "t",
        "mailbox_key": f"k-{box}",
        "mailbox_upn": box,
        "actor_key": box,
        "access_type": "bind",
        "item_entries": 1,
        "effective_app": "owa",
        "protocol": "owa",
        "client_ip": "9.9.9.9",
        "ip_class": "public",
        **columns,
    }


def days_of_work(days):
    return [
        read(f"{box[0]}{day:02}", day * DAY + hour * HOUR, box)
        for day in range(days)
        for hour, box in enumerate((ANA, BEN))
    ]


THEFT = [
    read(f"x{number}", 20 * DAY + number * HOUR, client_ip="7.7.7.7", effective_app="thief", protocol="ews",
         item_entries=300, folder_id=f"f{number}")
    for number in range(3)
]  # fmt: skip


def test_residuals_of_line_and_hour_of_the_day_are_no_anomaly_and_one_high_hour_is():
    hours = np.arange(10 * 24)
    usual = 100 + hours % 24 * 5.0 + hours * 0.3
    assert series.anomaly_scores(usual).max() == 0
    noisy = usual + np.random.default_rng(1).normal(0, 1, len(usual))
    assert series.anomaly_scores(noisy).max() < 1.5
    noisy[9 * 24 + 3] += 50
    scores = series.anomaly_scores(noisy)
    assert int(scores.argmax()) == 9 * 24 + 3
    assert scores.max() > 10


def test_score_is_the_distance_above_the_ninetieth_percentile_over_the_middle_width():
    values = np.random.default_rng(2).normal(0, 1, 3 * 24)
    design = np.column_stack([np.arange(len(values)), np.tile(np.eye(24), (3, 1))])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    low, high = np.percentile(left, 10), np.percentile(left, 90)
    expected = [max(0.0, (value - high) / (high - low)) for value in left]
    assert series.anomaly_scores(values) == pytest.approx(expected)


def test_forest_walks_equal_a_plain_walk_and_its_constant_is_that_of_the_paper():
    rows = np.random.default_rng(3).normal(size=(60, 3))
    tree = forest._grown(rows[:32], np.random.default_rng(4))

    def walk(row):
        node = 0
        while tree.feature[node] >= 0:
            node = tree.left[node] + int(row[tree.feature[node]] > tree.cut[node])
        return tree.depth[node]

    assert forest._depths(tree, rows).tolist() == [walk(row) for row in rows]
    assert forest.expected_depth(1) == 0
    assert forest.expected_depth(2) == 1
    assert forest.expected_depth(256) == pytest.approx(10.2448, abs=1e-4)


def test_forest_puts_what_stands_alone_first_and_calls_equals_ordinary():
    rows = np.random.default_rng(5).normal(size=(300, 4))
    rows[17] = 12
    scores = forest.isolation_scores(rows, 50, 256, np.random.default_rng(6))
    assert int(scores.argmax()) == 17
    assert scores[17] > 0.7
    assert float(np.median(scores)) < 0.6
    assert forest.isolation_scores(np.ones((9, 2)), 5, 256, np.random.default_rng(7)) == pytest.approx([0.5] * 9)
    assert forest.isolation_scores(np.ones((1, 2)), 5, 256, np.random.default_rng(7)) == pytest.approx([0.5])


def test_forest_fires_on_the_day_of_the_theft_alone_in_any_order():
    rows = filled({"mail_accesses": days_of_work(30) + THEFT})
    found = alerts("B15", rows)
    assert {row["event_id"] for row in found} == {"a20", "x0", "x1", "x2"}
    assert {row["alert_key"] for row in found} == {"a20"}
    assert {(row["baseline"], row["subject"]) for row in found} == {("B15", ANA)}
    assert all(600 <= row["score_millis"] <= 1000 for row in found)
    twice = random.Random(1).sample(rows["mail_accesses"] * 2, 2 * len(rows["mail_accesses"]))
    assert alerts("B15", {"mail_accesses": twice}) == found
    assert alerts("B15", filled({"mail_accesses": days_of_work(30)})) == []
    assert len({row["alert_key"] for row in alerts("B15", rows, least_millis=0)}) == 60


def test_dominated_counts_equal_the_plain_comparison_of_each_with_each():
    generator = np.random.default_rng(8)
    for size in (0, 1, 2, 40):
        rows = generator.integers(0, 4, size=(size, 4))
        plain = [
            sum(bool((one >= other).all()) for number, other in enumerate(rows) if number != own)
            for own, one in enumerate(rows)
        ]
        assert directed.dominated(rows).tolist() == plain


def test_rarity_grows_with_what_is_dominated_and_compares_tenants():
    assert directed.rarity_millis(np.arange(10)).tolist() == [0, 46, 97, 155, 222, 301, 398, 523, 699, 1000]


def test_directed_scoring_puts_the_stranger_first_and_keeps_its_budget():
    rows = filled({"mail_accesses": days_of_work(30) + THEFT})
    found = alerts("B16", rows)
    best = max(found, key=lambda row: row["score_millis"])
    assert best["alert_key"] == "x0"
    assert {row["event_id"] for row in found if row["alert_key"] == "x0"} == {"x0", "x1", "x2"}
    assert {row["baseline"] for row in found} == {"B16"}
    twice = random.Random(2).sample(rows["mail_accesses"] * 2, 2 * len(rows["mail_accesses"]))
    assert alerts("B16", {"mail_accesses": twice}) == found
    assert len({row["alert_key"] for row in found}) == 61
    short = filled({"mail_accesses": [read(f"e{n:02}", 0, f"m{n}@corp.example") for n in range(12)]})
    assert len(alerts("B16", short)) == 10
    assert len(alerts("B16", short, alerts_per_day=3)) == 3


def test_rankings_of_nothing_are_empty():
    for baseline in ("B7", "B15", "B16"):
        assert alerts(baseline, {}) == []

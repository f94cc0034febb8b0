"""Whose the units really were, against a reading of the truth line by line."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest

from brokenseal.drill._unit_truth import UNIT, doors_of, read_truth, units_of
from brokenseal.drill.tenant_runs import AttackOrder, TenantOrder, prepare
from brokenseal.drill.truth_tables import TRUTH_ATTACK
from brokenseal.errors import UsageError
from brokenseal.judgement import clustered
from brokenseal.settings import Settings
from brokenseal.store import Store
from drill.small_drills import PRIOR

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unit_truth")
    prior = folder / "quiet.toml"
    prior.write_text(PRIOR, encoding="utf-8")
    attacks = tuple(AttackOrder(*one) for one in (("A1", 1), ("A6", 2), ("A8", 1), ("A11", 1), ("A0n",)))
    order = TenantOrder(seed=4, prior=str(prior), mailboxes=12, days=10, warm_up_days=4, attacks=attacks)
    (run,) = prepare([order], folder / "runs", processes=1, now=NOW)
    with Store.open(Settings(store_dir=run.store)) as store, clustered(store.tables()) as known:
        doors = doors_of(known)
        rows = units_of(known, doors, run.truth)
        members = known["members"].select("event_id", "cluster").distinct().to_pyarrow().to_pylist()
        names = ("records", "attacks", "tenants")
        truth = {name: pq.read_table(run.truth / f"{name}.parquet").to_pylist() for name in names}
    return rows, doors, members, truth


def test_a_unit_is_an_intruders_if_any_of_its_records_is(seen):
    rows, doors, members, truth = seen
    held = defaultdict(list)
    for member in members:
        held[member["cluster"]].append(member["event_id"])
    held |= {unit: [unit] for unit in doors.column("unit").to_pylist()}
    instance_of = {one["event_id"]: one["instance"] for one in truth["records"]}
    attacks = {one["instance"]: one for one in truth["attacks"]}
    expected = {}
    for unit, events in held.items():
        counts = Counter(instance_of[event] for event in events if instance_of.get(event) is not None)
        hand = min(counts, key=lambda one: (-counts[one], one), default=None)
        attack = attacks.get(hand)
        is_control = attack is not None and attack["stealth"] == 0
        expected[unit] = (
            (None, None, None, is_control)
            if attack is None or is_control
            else (hand, attack["attack_id"], attack["stealth"], False)
        )
    found = {
        row["unit"]: (row["instance"], row["attack_id"], row["stealth"], row["is_control"]) for row in rows.to_pylist()
    }
    assert len(found) == rows.num_rows
    assert found == expected
    kinds = {attack for _, attack, _, _ in found.values()}
    assert {"A1", "A6", "A8", "A11"} <= kinds
    assert any(is_control for *_, is_control in found.values())


def test_doors_follow_clusters_and_bear_the_name_of_who_made_them(seen):
    rows, doors, _, _ = seen
    flags = rows.column("is_door").to_pylist()
    assert flags == sorted(flags)
    assert sum(flags) == doors.num_rows > 0
    makers = dict(zip(doors.column("unit").to_pylist(), doors.column("mailbox_key").to_pylist(), strict=True))
    assert {row["unit"]: row["mailbox_key"] for row in rows.to_pylist() if row["is_door"]} == makers


def test_what_begins_in_the_warm_up_is_not_scored_even_where_the_log_names_no_tenant(seen):
    rows, _, _, truth = seen
    (tenant,) = truth["tenants"]
    begins = tenant["starts_at"] + dt.timedelta(days=tenant["warm_up_days"])
    listed = rows.to_pylist()
    assert {row["unit"] for row in listed if row["is_scored"]} == {
        row["unit"] for row in listed if row["first_at"] >= begins
    }
    assert {row["is_scored"] for row in listed} == {True, False}
    assert any(row["is_scored"] for row in listed if row["tenant_id"] is None)


def test_the_actor_is_that_of_the_first_record(seen):
    rows, _, _, truth = seen
    kinds = {one["event_id"]: one["actor_kind"] for one in truth["records"]}
    assert {row["unit"]: row["actor_kind"] for row in rows.to_pylist()} == {
        row["unit"]: kinds.get(row["unit"]) for row in rows.to_pylist()
    }
    assert rows.schema.equals(UNIT)


def test_without_truth_nothing_is_said(tmp_path):
    with pytest.raises(UsageError, match="truth"):
        read_truth(tmp_path, TRUTH_ATTACK, ("instance",))

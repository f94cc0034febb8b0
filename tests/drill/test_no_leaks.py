"""The drill itself is fair: T1 to T6 on generated drills, and each of them red where a leak is planted in the files.

Planting rewrites delivered lines or the truth of a generated drill; no check is replaced.
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path  # noqa: TC003

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from brokenseal.drill import leaks, priors
from brokenseal.drill.generate import DrillSettings, Order, generate
from brokenseal.drill.leaks import FAIL, PASS, PlainDetector
from brokenseal.drill.vocabulary import CONSUMER_TENANT

# Doors and failing sign-ins are common, so that a small drill holds the honest twin of every tell.
PRIOR = priors.Prior(
    name="leaks",
    spans={
        **priors.TRAIN.spans,
        "records_per_day": priors.Span(12, 12),
        "records_sigma": priors.Span(0.5, 0.5),
        "apps_per_year": priors.Span(0.6, 0.6),
        "duplicate_rate": priors.Span(0.1, 0.2),
        "doors_per_100_month": priors.Span(60, 90),
        "spray_per_day": priors.Span(60, 90),
        "consultants_per_100": priors.Span(6, 10),
    },
)
ATTACKS = (Order("A1", 0, 10), Order("A3", 0, 10), Order("A7", 4, 4))
CONTROLS = (Order("A0g", 0, 52), Order("A0n", 0, 52))


def make(folder: Path, **changed) -> Path:
    settings = {
        "tenants": 3,
        "mailboxes": 24,
        "days": 12,
        "warm_up_days": 5,
        "prior": PRIOR,
        "attacks": ATTACKS,
        "shape": "stream",
        "blob_minutes": 1440,
        "processes": 2,
        "seed": 5,
    }
    generate(DrillSettings(output=folder, **{**settings, **changed}))
    return folder


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    return make(tmp_path_factory.mktemp("fair") / "drill")


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    one_tenant = {"tenants": 1, "mailboxes": 60, "days": 10, "warm_up_days": 3, "attacks": CONTROLS, "processes": 1}
    return make(tmp_path_factory.mktemp("controls") / "drill", **one_tenant)


# ---------------------------------------------------------------- planting


def plant(drill: Path, attack_id: str, change) -> None:
    """Rewrite the Exchange records of an attack as they stand in the exports."""
    rows = pq.read_table(drill / "truth" / "records.parquet", columns=["event_id", "attack_id", "instance"]).to_pylist()
    own = {row["event_id"]: row["instance"] for row in rows if row["attack_id"] == attack_id}
    planted = 0
    for path in sorted((drill / "exports").rglob("Audit.Exchange/**/*.json")):
        records = json.loads(path.read_text(encoding="utf-8"))
        changed = [change(one, own[one["Id"]]) if one["Id"] in own else one for one in records]
        planted += sum(new is not old for new, old in zip(changed, records, strict=True))
        path.write_text(json.dumps(changed), encoding="utf-8")
    assert planted


def plant_truth(drill: Path, attack_id: str, **columns) -> None:
    """Rewrite columns of the manifest of attacks."""
    path = drill / "truth" / "attacks.parquet"
    table = pq.read_table(path)
    rows = [
        {**row, **{name: value(row[name]) for name, value in columns.items()}} if row["attack_id"] == attack_id else row
        for row in table.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def copy_of(drill: Path, folder: Path) -> Path:
    shutil.copytree(drill, folder / "drill")
    return folder / "drill"


def outcomes(report) -> dict[tuple[str, str], leaks.Check]:
    return {(one.test, one.subject): one for one in report.checks}


def run(drill: Path) -> dict[tuple[str, str], leaks.Check]:
    return outcomes(leaks.run(drill, detect=PlainDetector.of_drill(drill)))


# ---------------------------------------------------------------- the drill as it is


@pytest.fixture(scope="module")
def found(drill):
    return run(drill)


def test_nothing_in_a_generated_drill_leaks(found):
    assert {key: one.hits for key, one in found.items() if one.outcome == FAIL} == {}


def test_the_checks_have_something_to_judge(found):
    """A check that is not assessable for want of instances would stay green whatever leaks."""
    for attack_id in ("A1", "A3"):
        assert found["T1", attack_id].numbers["instances"] >= 8
        assert found["T2", attack_id].outcome == PASS
        assert found["T4", attack_id].outcome == PASS
        assert found["T4", attack_id].numbers["before"] > 0
    assert found["T4", "A7"].outcome == PASS
    assert {found["T5", subject].outcome for subject in ("days of the week", "hours of the day", "round times")} == {
        PASS
    }
    assert {found["T6", kind].outcome for kind in ("guid", "agent", "operation")} == {PASS}


# ---------------------------------------------------------------- the same drill with leaks


@pytest.fixture(scope="module")
def leaky(drill, tmp_path_factory):
    """One copy with a leak for each of T1, T2, T4, T5 and T6."""
    copied = copy_of(drill, tmp_path_factory.mktemp("leaky"))
    shared = str(uuid.UUID(int=7, version=4))

    def form(record, _instance):
        # The order of the fields, as by a second writer of records.
        return dict(sorted(record.items(), reverse=True))

    def value(record, _instance):
        return {**record, "OriginatingServer": "AM0PR00MB0000 (15.20.0000.000)\r\n", "CorrelationId": shared}

    plant(copied, "A1", lambda record, instance: form(value(record, instance), instance))
    for attack_id in ("A1", "A3", "A7"):
        plant_truth(copied, attack_id, first_at=lambda at: at.replace(hour=10, minute=0, second=0, microsecond=0))
    # Without its first tell the recall of A1 hangs on token ids that nothing declares.
    plant_truth(copied, "A1", tells=lambda tells: [one for one in tells if "token" not in one and "issue" not in one])
    return run(copied)


@pytest.mark.parametrize(
    ("test", "subject", "named"),
    [
        ("T1", "A1", "order of keys"),
        ("T2", "A1", "OriginatingServer"),
        ("T4", "A1", "AppAccessContext.UniqueTokenId"),
        ("T5", "round times", "whole hours"),
        ("T5", "hours of the day", "hour 10"),
        ("T6", "guid", "00000000-0000-4000-8000-000000000007"),
    ],
)
def test_a_planted_leak_turns_its_test_red(leaky, test, subject, named):
    assert leaky[test, subject].outcome == FAIL
    assert any(named in hit for hit in leaky[test, subject].hits), leaky[test, subject].hits


def test_a_planted_leak_turns_no_other_attack_red(leaky):
    """The attack that leaks is named, and no other."""
    failed = {key for key, one in leaky.items() if one.outcome == FAIL and key[0] in {"T1", "T2", "T4"}}
    assert failed == {("T1", "A1"), ("T2", "A1"), ("T4", "A1")}


# ---------------------------------------------------------------- T3


def test_the_product_finds_the_ghost_no_more_often_than_chance(controls):
    report = leaks.check_drill(controls, with_detectors=True)
    ghost = outcomes(report)["T3", "A0g"]

    assert (ghost.numbers["ghosts"], ghost.numbers["nulls"]) == (52, 52)
    assert ghost.outcome == PASS
    assert {one.test for one in report.checks} == {"T1", "T2", "T3", "T4", "T5", "T6"}
    assert report.failed == ()


def test_a_ghost_that_is_not_its_victim_turns_t3_red(controls, tmp_path):
    copied = copy_of(controls, tmp_path)

    def foreign(record, instance):
        return {**record, "TokenTenantId": CONSUMER_TENANT, "ClientIPAddress": f"203.0.113.{instance % 250}"}

    plant(copied, "A0g", foreign)
    checked = leaks.check_ghost(leaks.product_finds(copied))

    assert checked.outcome == FAIL
    assert checked.numbers["found of ghosts"] > 0.5

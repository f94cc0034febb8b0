"""Tenants in stores of their own: made once, whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from brokenseal.drill import tenant_runs
from brokenseal.drill.tenant_runs import AttackOrder, TenantOrder, prepare
from brokenseal.errors import UsageError
from brokenseal.settings import Settings
from brokenseal.store import Store
from drill.small_drills import PRIOR

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def order(**changes):
    return replace(TenantOrder(seed=4, prior="train", mailboxes=10, days=7, warm_up_days=3), **changes)


def written(calls):
    """Stands for the simulation, which takes its time."""

    def write(wanted, part, now):
        calls.append(wanted)
        (part / "run" / "store").mkdir(parents=True)
        (part / "run" / "truth").mkdir()

    return write


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    path = tmp_path_factory.mktemp("prior") / "quiet.toml"
    path.write_text(PRIOR, encoding="utf-8")
    return str(path)


def test_a_run_holds_truth_and_store_and_no_exports(tmp_path, quiet):
    (run,) = prepare([order(prior=quiet)], tmp_path, processes=1, now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [run.folder.name]
    assert sorted(path.name for path in run.folder.iterdir()) == ["order.json", "store", "truth"]
    with Store.open(Settings(store_dir=run.store)) as store:
        rows = store.tables()["events"].count().to_pyarrow().as_py()
        ledger = store.ledger_rows()
    assert rows > 0
    assert {row["outcome"] for row in ledger} == {"ingested"}
    note = json.loads((run.folder / "order.json").read_text(encoding="utf-8"))
    assert (note["simulated"], note["seed"], note["mailboxes"]) == (True, 4, 10)


def test_what_is_there_is_used_again_and_equal_orders_are_one(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(tenant_runs, "_write", written(calls))
    first = prepare([order(), order(seed=5), order()], tmp_path, processes=1, now=NOW)
    assert [run.order.seed for run in first] == [4, 5, 4]
    assert first[0].folder == first[2].folder
    assert prepare([order(seed=5), order()], tmp_path, processes=1, now=NOW) == [first[1], first[0]]
    assert [one.seed for one in calls] == [4, 5]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 5},
        {"mailboxes": 11},
        {"mailboxes": None},
        {"days": 8},
        {"warm_up_days": 4},
        {"prior": "test"},
        {"logs": "gappy"},
        {"attacks": (AttackOrder("A1"),)},
        {"attacks": (AttackOrder("A1", 2),)},
    ],
)
def test_another_order_is_another_folder(changes):
    assert order(**changes).name != order().name


def test_a_changed_prior_of_the_same_name_is_another_folder(tmp_path):
    path = tmp_path / "own.toml"
    names = []
    for share in (0.1, 0.2):
        path.write_text(f"remote_share = {share}\n", encoding="utf-8")
        names.append(order(prior=str(path)).name)
    assert names[0] != names[1]


def test_the_folder_is_named_by_the_version(monkeypatch):
    before = order().name
    monkeypatch.setattr(tenant_runs, "__version__", "9.9.9")
    assert order().name != before


def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def write(wanted, part, now):
        (part / "run").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tenant_runs, "_write", write)
    with pytest.raises(UsageError, match="No space left"):
        prepare([order()], tmp_path, processes=1, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_order_is_refused_before_any_is_simulated(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(tenant_runs, "_write", written(calls))
    with pytest.raises(UsageError, match="days"):
        prepare([order(), order(days=3)], tmp_path, processes=1, now=NOW)
    assert calls == []


def test_whoever_was_faster_is_kept(tmp_path, monkeypatch):
    wanted = order()

    def write(asked, part, now):
        (part / "run" / "late").mkdir(parents=True)
        (tmp_path / wanted.name / "first").mkdir(parents=True)

    monkeypatch.setattr(tenant_runs, "_write", write)
    (run,) = prepare([wanted], tmp_path, processes=1, now=NOW)
    assert [path.name for path in run.folder.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == [wanted.name]


def test_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tenant_runs, "_write", written([]))
    told = []
    prepare([order(), order(seed=5)], tmp_path, processes=1, now=NOW, tell=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]

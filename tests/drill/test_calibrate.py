"""Counts over simulated tenants: what is counted, how far it is trusted, and what is measured of it."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import signal
from collections import Counter
from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from brokenseal import schema
from brokenseal.calibration import Campaigns, Group, decode, encode, lower_share, merged, shipped, upper_share
from brokenseal.cli import app
from brokenseal.detectors import MARKING, stranger_client
from brokenseal.drill import calibrate, priors
from brokenseal.drill._calibrate_fit import GROUPS_OF, design_percent, with_design
from brokenseal.drill._calibrate_measure import (
    EDGES,
    Weight,
    Windows,
    heaviest_of,
    inflation_of,
    points_of,
    weights_of,
    windows_of,
)
from brokenseal.drill._calibrate_observe import ROOT, UNKNOWN, Observed, count
from brokenseal.drill._calibrate_plan import attacks_of, plan_of
from brokenseal.drill._unit_truth import UNIT
from brokenseal.drill.attacks import ATTACKS
from brokenseal.drill.calibrate import Plan, calibrated_of, diagnosis, fit, screen
from drill.small_drills import PRIOR

START = dt.datetime(2026, 2, 2, tzinfo=dt.UTC)
TOKEN, DOOR = "token.provenance", "config.open_door"


def unit(name, **columns):
    values = {
        "unit": name,
        "is_door": False,
        "tenant_id": "t",
        "mailbox_key": f"m-{name}",
        "network": f"n-{name}",
        "first_at": START,
        "actor_kind": "owner",
        "is_control": False,
        "is_scored": True,
    }
    return values | columns


def theirs(name, attack_id="A1", **columns):
    return unit(name, instance=7, attack_id=attack_id, stealth=2, actor_kind="attacker", **columns)


def marks(**of_unit):
    rows = [
        {"unit": name, "state": "not_assessable", "reason": "why"}
        if said == UNKNOWN
        else {"unit": name, "state": "quiet"}
        if said == "quiet"
        else {"unit": name, "state": "fired", "bin": said}
        for name, said in of_unit.items()
    ]
    filled = [{name: row.get(name) for name in schema.MARK.names} for row in rows]
    return pa.Table.from_pylist(filled, schema=schema.MARK.arrow_schema())


def observed(*units, rules=None, **said):
    rows = [{name: row.get(name) for name in UNIT.names} for row in units]
    return Observed(
        units=pa.Table.from_pylist(rows, schema=UNIT),
        marks={
            ROOT: marks(),
            TOKEN: marks(),
            DOOR: marks(),
            **{one.replace("__", "."): of for one, of in said.items()},
        },
        mailbox_weeks=20.0,
        mailbox_weeks_in_all=50.0,
        rules={} if rules is None else rules,
        campaigns=Campaigns(),
    )


def honest(**changes):
    """Twenty clusters of which two are strange, and a door."""
    named = [unit(str(number)) for number in range(20)]
    values = {
        "mail_access__stranger_client": marks(**{"0": "8-10", "1": "22+", "2": UNKNOWN}),
        "token__provenance": marks(**{"0": "orphan", "3": UNKNOWN, "4": "quiet"}),
        "config__open_door": marks(door="role:usual:known"),
        "rules": {"a/b": 0, "a/c": 2},
    }
    return observed(*named, unit("door", is_door=True), **{**values, **changes})


# ---------------------------------------------------------------- one tenant


def test_authorised_units_are_counted_by_the_bin_of_the_root_and_doors_apart():
    found = count(honest())
    assert {name: group.units for name, group in found.by_root.items()} == {
        "8-10": 1,
        "22+": 1,
        "quiet": 17,
        UNKNOWN: 1,
    }
    assert found.by_root["8-10"].bins == {ROOT: {"8-10": 1}, TOKEN: {"orphan": 1}}
    assert found.by_root["quiet"].assessed == {ROOT: 17, TOKEN: 16, DOOR: 17}
    assert found.by_root[UNKNOWN].assessed == {ROOT: 0, TOKEN: 1, DOOR: 1}
    # Only detectors that speak of doors at all have assessed one.
    assert found.doors == Group(
        units=1, bins={DOOR: {"role:usual:known": 1}}, assessed={ROOT: 0, TOKEN: 0, DOOR: 1}, tenants=1
    )
    assert (found.mailbox_weeks, found.rules_weeks, found.rules) == (20.0, 50.0, {"a/b": 0, "a/c": 2})
    assert found.intruders == ()


@pytest.mark.parametrize(
    ("weeks", "opening"),
    [
        (0, {"a/never"}),
        (4_000, {"a/never"}),
        (5_000, {"a/never", "b/once"}),
        # Two kinds that were seen twice each are taken together or not at all.
        (15_000, {"a/never", "b/once"}),
        (25_000, {"a/never", "b/once", "c/twice", "d/twice"}),
    ],
)
def test_the_rarest_kinds_open_by_rule_for_as_long_as_all_of_them_keep_to_the_budget(weeks, opening):
    seen = {"a/never": 0, "b/once": 1, "c/twice": 2, "d/twice": 2, "e/often": 100}
    found = msgspec.structs.replace(fit([count(honest())], [], made_of="a test"), rules=seen, rules_weeks=float(weeks))

    assert set(found.opening) == opening
    assert [name for name in seen if found.may_open(*name.split("/"))] == sorted(opening)
    assert not found.may_open("f", "unknown")


def test_a_tenant_that_was_attacked_tells_nothing_of_authorised_use():
    found = count(observed(unit("own"), theirs("b"), mail_access__stranger_client=marks(own="22+", b="22+")))
    assert (found.by_root, found.doors.units, found.mailbox_weeks) == ({}, 0, 0.0)
    assert [(one.unit, one.said[ROOT], one.said[TOKEN]) for one in found.intruders] == [("b", "22+", "quiet")]


def test_controls_are_neither_authorised_nor_an_intruders():
    found = count(observed(unit("own"), unit("ghost", is_control=True)))
    assert [group.units for group in found.by_root.values()] == [1]
    assert found.intruders == ()


def test_nothing_is_counted_of_the_warm_up():
    found = count(observed(unit("own"), unit("early", is_scored=False)))
    assert [group.units for group in found.by_root.values()] == [1]
    found = count(observed(theirs("b"), theirs("early", is_scored=False)))
    assert [one.unit for one in found.intruders] == ["b"]


# ---------------------------------------------------------------- the fit


def test_groups_hold_the_bins_of_the_root_and_add_up():
    found = fit([count(honest()), count(honest())], [], made_of="simulated by a test")
    assert {name: group.units for name, group in found.benign.items()} == {
        "habitual": 36,
        "mild": 2,
        "strange": 2,
        "recent": 0,
    }
    assert found.overall.units == found.units == 40
    seen = {one: {name: number for name, number in of.items() if number} for one, of in found.overall.bins.items()}
    assert {one: of for one, of in seen.items() if of} == {ROOT: {"22+": 2, "8-10": 2}, TOKEN: {"orphan": 2}}
    assert found.overall.assessed == {ROOT: 38, TOKEN: 38, DOOR: 40}
    assert found.doors.bins == {DOOR: {"role:usual:known": 2}}
    assert (found.mailbox_weeks, found.rules_weeks) == (40.0, 100.0)
    assert found.rules == {"a/b": 0, "a/c": 4}
    assert found.may_open("a", "b")
    assert not found.may_open("a", "c")
    assert {name: found.group_of(name) for name in stranger_client.BINS} == GROUPS_OF


def test_bins_that_nobody_showed_are_known_to_be_rare():
    found = fit([count(honest())], [], made_of="simulated")
    assert found.overall.bins[TOKEN] == {"orphan": 1, "orphan_again": 0, "session_only": 0}
    assert found.bins_of(TOKEN) == ("orphan", "orphan_again", "session_only")
    assert found.overall.upper(TOKEN, "session_only") == upper_share(0, 19)
    # Those of doors are combinations by the hundred.
    assert found.bins_of(DOOR) == ("role:usual:known",)
    # What the tenants could not be asked at all is not known to be rare.
    assert found.bins_of("token.impossible") == ()


def test_of_an_intruder_the_heaviest_unit_of_each_mailbox_counts():
    tenant = observed(
        theirs("weak", mailbox_key="m"),
        theirs("strong", mailbox_key="m"),
        theirs("other", mailbox_key="n"),
        theirs("door", mailbox_key="admin", is_door=True),
        mail_access__stranger_client=marks(weak="8-10", strong="22+", other="8-10"),
        token__provenance=marks(weak=UNKNOWN, other=UNKNOWN),
        config__open_door=marks(door="role:new:strange"),
    )
    benign = honest(mail_access__stranger_client=marks(**{"0": "8-10", "5": "8-10", "1": "22+"}))
    found = fit([count(benign)], [count(tenant), count(tenant)], made_of="simulated").intrusions["A1"]
    assert (found.instances, found.units) == (2, 6)
    assert found.bins == {ROOT: {"22+": 2, "8-10": 2}, DOOR: {"role:new:strange": 2}}
    assert found.clusters.units == 4
    assert found.clusters.assessed == {ROOT: 4, TOKEN: 2, DOOR: 4}
    assert found.doors.units == 2
    assert found.doors.bins == {DOOR: {"role:new:strange": 2}}


def test_a_unit_is_heavier_the_rarer_authorised_units_look_like_it():
    often = honest(mail_access__stranger_client=marks(**{str(number): "22+" for number in range(9)}, x="8-10"))
    tenant = observed(
        theirs("often", mailbox_key="m"),
        theirs("seldom", mailbox_key="m"),
        mail_access__stranger_client=marks(often="22+", seldom="8-10"),
    )
    found = fit([count(often)], [count(tenant)], made_of="simulated")
    assert found.intrusions["A1"].bins == {ROOT: {"8-10": 1}}


# ---------------------------------------------------------------- how alike units of one tenant are

SCARCE = {2: (6.313751514675043 / 1.6448536269514722) ** 2, 4: (2.3533634348018264 / 1.6448536269514722) ** 2}


def test_equal_shares_in_all_tenants_tell_as_much_as_independent_units_but_for_their_number():
    assert design_percent([5, 5, 5, 5], [1000] * 4) == round(100 * SCARCE[4])
    assert design_percent([0, 0, 0, 0], [1000] * 4) == round(100 * SCARCE[4])


def test_what_one_tenant_alone_shows_tells_little_of_the_next():
    # The ratio estimator's variance by hand: p = 20/4000, residuals 15 and three times -5.
    share = 20 / 4000
    effect = (15**2 + 3 * 5**2) * 4 / 3 / (4000 * share * (1 - share))
    assert design_percent([20, 0, 0, 0], [1000] * 4) == round(100 * effect * SCARCE[4])
    assert design_percent([20, 0], [1000] * 2) > design_percent([10, 10], [1000] * 2) == round(100 * SCARCE[2])


def test_one_tenant_says_nothing_of_others_and_tenants_without_units_do_not_count():
    assert design_percent([5], [1000]) == 100
    assert design_percent([5, 0], [1000, 0]) == 100


def test_the_bound_is_that_of_so_many_fewer_units():
    parts = [Group(units=1000, bins={TOKEN: {"orphan": number}}, assessed={TOKEN: 900}) for number in (20, 0, 0, 0)]
    found = with_design(parts)
    percent = found.design_percent[TOKEN]["orphan"]
    assert percent == design_percent([20, 0, 0, 0], [900] * 4)
    assert found.upper(TOKEN, "orphan") == upper_share(20, 3600, percent / 100)
    assert found.upper(TOKEN, "orphan") > upper_share(20, 3600)
    assert found.upper(TOKEN, "never") == upper_share(0, 3600, found.design_percent[TOKEN][""] / 100)
    assert (found.tenants, found.of(TOKEN), found.of(ROOT)) == (4, 3600, 4000)


def test_sums_of_groups_keep_how_many_were_assessed():
    found = merged((Group(units=10, assessed={TOKEN: 4}), Group(units=5, bins={TOKEN: {"orphan": 1}})))
    assert (found.units, found.of(TOKEN), found.count(TOKEN, "orphan")) == (15, 9, 1)


@given(st.integers(0, 50), st.integers(51, 5000), st.floats(1, 50))
@settings(max_examples=50, deadline=None)
def test_a_design_effect_never_lowers_a_bound(number, of, design):
    assert upper_share(number, of, design) >= upper_share(number, of) - 1e-12


# ---------------------------------------------------------------- what is measured


def weight(log10_e, place="m", day=0, **columns):
    values = {"instance": None, "attack_id": None, "is_control": False, "is_door": False} | columns
    return Weight(place=place, at=START + dt.timedelta(days=day), log10_e=log10_e, **values)


def test_false_alarms_are_counted_over_authorised_units_alone():
    tenants = [
        [weight(2.0), weight(1.9), weight(5.5, is_control=True), weight(6.0, instance=3, attack_id="A1")],
        [weight(3.5), *(weight(-1.0) for _ in range(197))],
    ]
    found = {one.alpha: one for one in inflation_of(tenants)}
    assert {alpha: (one.alarms, one.units) for alpha, one in found.items()} == {
        "1e-2": (2, 200),
        "1e-3": (1, 200),
        "1e-4": (0, 200),
        "1e-5": (0, 200),
    }
    assert found["1e-2"].times == pytest.approx(1.0)
    assert found["1e-3"].times == pytest.approx(5.0)
    assert found["1e-4"].upper == pytest.approx(upper_share(0, 200) / 1e-4)


def test_an_instance_is_as_heavy_as_its_heaviest_unit():
    own = [weight(number, instance=4, attack_id="A3") for number in (0.5, 2.5, 1.0)]
    assert heaviest_of([*own, weight(9.0), weight(1.5, instance=5, attack_id="A3")]) == {("A3", 4): 2.5, ("A3", 5): 1.5}


def test_windows_are_mailboxes_over_a_fortnight_and_an_instance_counts_once():
    benign = [weight(0.2), weight(1.2, day=3), weight(0.7, place="n", day=28), weight(3.2, place="n", is_control=True)]
    intruded = [
        weight(1.2, instance=1, attack_id="A1"),
        weight(2.2, instance=1, attack_id="A1", place="n"),
        weight(0.1, instance=1, attack_id="A1", place="n"),
        weight(5.5, instance=2, attack_id="A2"),
        weight(5.9),
    ]
    found = windows_of([(benign, 8.0)], [intruded])
    assert (found.n_benign, found.n_intruded) == (4.0, 2)
    steps = {edge: number for number, edge in enumerate(EDGES, start=1)}
    assert found.benign[steps[1.0]] == 1.0
    # Days 28 to 28 are no part of a window that could hold more.
    assert sum(found.benign) == 4.0
    assert found.benign[0] == 3.0
    assert {number: share for number, share in enumerate(found.intruded) if share} == {
        steps[1.0]: 0.5,
        steps[2.0]: 0.5,
        steps[5.0]: 1.0,
    }


counts = st.lists(st.integers(0, 40), min_size=len(EDGES) + 1, max_size=len(EDGES) + 1)


@given(counts, counts)
@settings(max_examples=100, deadline=None)
def test_the_map_never_falls_and_lies_in_its_interval(benign, intruded):
    windows = Windows(
        benign=tuple(map(float, benign)),
        n_benign=float(sum(benign)),
        intruded=tuple(map(float, intruded)),
        n_intruded=sum(intruded),
    )
    points = points_of(windows)
    ratios = [point.ratio_millibans for point in points]
    assert ratios == sorted(ratios)
    starts = [point.millibans for point in points]
    assert starts == sorted(set(starts))
    assert all(point.low_millibans <= point.ratio_millibans <= point.high_millibans for point in points)
    assert sum(point.cases for point in points) == sum(intruded)


def test_a_step_that_only_intrusions_reach_has_a_wide_interval():
    windows = Windows(
        benign=(1000.0, *[0.0] * len(EDGES)),
        n_benign=1000.0,
        intruded=(2.0, *[0.0] * (len(EDGES) - 1), 8.0),
        n_intruded=10,
    )
    first, last = points_of(windows)
    assert (first.millibans, last.millibans) == (-3000, 6000)
    assert last.low_millibans == round(1000 * math.log10(lower_share(8, 10) / upper_share(0, 1000)))
    assert last.high_millibans - last.low_millibans > 1500


def test_steps_that_few_intrusions_reach_are_joined():
    step = {edge: number for number, edge in enumerate(EDGES, start=1)}
    benign, intruded = [0.0] * (len(EDGES) + 1), [0.0] * (len(EDGES) + 1)
    benign[0], benign[step[1.0]], benign[step[2.0]] = 900.0, 90.0, 10.0
    intruded[0], intruded[step[1.0]], intruded[step[2.0]], intruded[step[5.0]] = 6.0, 2.0, 7.0, 1.0
    windows = Windows(benign=tuple(benign), n_benign=1000.0, intruded=tuple(intruded), n_intruded=16)
    # The top joins the step below it, and what is thin in between the one above.
    assert [(point.millibans, point.cases) for point in points_of(windows)] == [(-3000, 6), (1000, 10)]


def test_the_weights_are_those_of_the_product_after_the_warm_up():
    tenant = honest()
    calibration = fit([count(tenant)], [], made_of="simulated")
    own = observed(unit("a"), unit("early", is_scored=False), mail_access__stranger_client=marks(a="22+", early="22+"))
    (found,) = weights_of(own, calibration)
    assert (found.place, found.at, found.instance) == ("m-a", START, None)


# ---------------------------------------------------------------- the whole


def parts():
    attacked = observed(theirs("b"), unit("own"), mail_access__stranger_client=marks(b="22+"))
    return {"benign": [honest()] * 3, "attacked": [attacked], "check_benign": [honest()], "check_attacked": [attacked]}


def test_equal_counts_give_equal_bytes_and_everything_says_simulated():
    found, again = (calibrated_of(parts(), "simulated by a test") for _ in range(2))
    assert encode(found.calibration) == encode(again.calibration)
    assert decode(encode(found.calibration)) == found.calibration
    assert found.calibration.points
    assert list(found.calibration.inflation) == ["1e-2", "1e-3", "1e-4", "1e-5"]
    assert list(found.best) == ["A1"]
    text = "\n".join(screen(found.calibration, found.inflation, found.best))
    assert "All of it is simulated" in text
    assert "mail_access.stranger_client=22+: 3 | strange 3" in text
    assert "config.open_door=role:usual:known (doors): 3" in text
    assert "Findings on authorised use in 150 simulated mailbox-weeks, warm-up included:\n  a/c: 6\n" in text
    assert "1 other kinds: none, which is at most 20 in 1,000 mailbox-weeks" in text
    table = diagnosis(found.calibration, found.attacked)
    assert table[2].startswith("| A1 | 2 | 1 | mail_access.stranger_client=22+ (1; ")


def test_of_one_tenant_nothing_is_measured():
    found = calibrated_of({**parts(), "benign": [honest()], "check_benign": []}, "simulated by a test").calibration
    assert (found.points, found.inflation, found.tails) == ((), {}, {})


def test_every_tenant_is_measured_by_what_was_counted_without_it(monkeypatch):
    used = []

    def spy(tenant, calibration):
        used.append((tenant.is_attacked, calibration.mailbox_weeks, calibration.intrusions["A1"].instances))
        return weights_of(tenant, calibration)

    monkeypatch.setattr(calibrate, "weights_of", spy)
    one = parts()
    found = calibrated_of(one | {"attacked": one["attacked"] * 2}, "simulated")
    assert (found.calibration.mailbox_weeks, found.calibration.intrusions["A1"].instances) == (60.0, 2)
    # Three tenants that were counted, each left out; the one for checks by all of them. Likewise with attacks.
    assert used == [*[(False, 40.0, 2)] * 3, (False, 60.0, 2), *[(True, 60.0, 1)] * 2, (True, 60.0, 2)]
    assert found.inflation[0].units == 4 * 21


def test_attacks_take_turns_so_that_every_stealth_is_met_equally_often():
    met = Counter((one.attack_id, one.stealth) for turn in range(8) for one in attacks_of(turn))
    real = [attack.id for attack in ATTACKS if not attack.is_control]
    assert {attack_id for attack_id, _ in met} == set(real)
    for attack_id in real:
        assert len({met[attack_id, stealth] for stealth in (1, 2, 3, 4)}) == 1
    for turn in range(8):
        ids = Counter(one.attack_id for one in attacks_of(turn))
        assert ids["A1"] + ids["A2"] == 1


def test_a_plan_shares_no_tenant_between_counting_and_checking():
    plan = plan_of(tenants=12, mailboxes=60, days=42, warm_up_days=21, seed=11)
    assert [len(part) for part in (plan.benign, plan.attacked, plan.check_benign, plan.check_attacked)] == [12, 8, 4, 2]
    assert len({order.seed for order in plan.orders}) == len(plan.orders)
    assert {order.prior for order in plan.orders} == {priors.TRAIN.name}
    assert {bool(order.attacks) for order in (*plan.benign, *plan.check_benign)} == {False}
    assert all(order.attacks for order in (*plan.attacked, *plan.check_attacked))


def test_what_is_shipped_was_counted_on_the_training_prior_and_knows_every_group():
    found = shipped()
    assert "simulated" in found.made_of
    assert "prior train" in found.made_of
    assert (found.root, found.groups_of) == (ROOT, GROUPS_OF)
    assert set(found.intrusions) == {attack.id for attack in ATTACKS if not attack.is_control}
    assert {f"{one.id}" for one in MARKING} == set(found.overall.assessed)
    assert encode(decode(encode(found))) == encode(found)


# ---------------------------------------------------------------- the command


@pytest.fixture
def quick(monkeypatch):
    asked = {}

    def run(plan, work_dir, **settings):
        asked.update(settings, plan=plan, work_dir=work_dir)
        return calibrated_of(parts(), calibrate.made_of(plan, settings["seed"]))

    monkeypatch.setattr(calibrate, "calibrate", run)
    return asked


def test_the_command_writes_the_counts_and_says_what_they_were_made_of(tmp_path, quick):
    target = tmp_path / "counts.json"
    options = ["--work-dir", str(tmp_path / "work"), "--tenants", "3", "--mailboxes", "20", "--seed", "5"]
    done = CliRunner().invoke(app, ["drill", "calibrate", "-o", str(target), *options])
    assert done.exit_code == 0, done.output
    made_of = decode(target.read_bytes()).made_of
    assert "prior train, seed 5: 3 tenants without attacks and 2 tenants with them" in made_of
    assert "20 mailboxes and 42 days, of which 21 are warm-up" in made_of
    assert made_of in done.stdout
    assert "All of it is simulated" in done.stdout
    assert (quick["seed"], quick["work_dir"]) == (5, tmp_path / "work")


def test_as_json_it_is_one_object(tmp_path, quick):
    target = tmp_path / "counts.json"
    options = ["--work-dir", str(tmp_path), "--scale", "smoke", "--json"]
    done = CliRunner().invoke(app, ["drill", "calibrate", "-o", str(target), *options])
    found = json.loads(done.stdout)
    assert (found["simulated"], found["units"], found["bytes"]) == (True, 60, target.stat().st_size)
    assert len(quick["plan"].benign) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_stops_it_finds_no_half_counts(tmp_path, monkeypatch, number):
    monkeypatch.setattr(calibrate, "calibrate", lambda *_, **__: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    target = tmp_path / "counts.json"
    done = CliRunner().invoke(app, ["drill", "calibrate", "-o", str(target), "--work-dir", str(tmp_path)])
    assert done.exit_code == 128 + number
    assert "no counts were written" in done.stderr
    assert not target.exists()
    assert signal.getsignal(number) == before


def test_no_tenants_are_no_calibration(tmp_path, quick):
    options = ["--work-dir", str(tmp_path), "--tenants", "0"]
    done = CliRunner().invoke(app, ["drill", "calibrate", "-o", str(tmp_path / "x"), *options])
    assert done.exit_code != 0
    assert not quick


@pytest.mark.slow
def test_the_smallest_calibration_is_simulated_counted_and_measured(tmp_path):
    prior = tmp_path / "quiet.toml"
    prior.write_text(PRIOR, encoding="utf-8")
    (order,) = plan_of(tenants=1, mailboxes=10, days=8, warm_up_days=3, seed=3).benign
    benign = replace(order, prior=str(prior))
    attacked = replace(benign, seed=9, attacks=attacks_of(0)[:1])
    plan = Plan(benign=(benign,), attacked=(attacked,), check_benign=(benign,), check_attacked=(attacked,))
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    found = calibrate.calibrate(plan, tmp_path / "work", seed=3, now=now, processes=1)
    assert found.calibration.units > 50
    assert found.calibration.mailbox_weeks == pytest.approx(10 * 5 / 7)
    assert found.calibration.rules_weeks == pytest.approx(10 * 8 / 7)
    assert list(found.calibration.intrusions) == list(found.best) == ["A1"]
    assert found.calibration.campaigns.intruders > 0
    assert found.inflation[0].units == found.calibration.units + found.calibration.doors.units

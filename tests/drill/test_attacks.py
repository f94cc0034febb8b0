"""Attacks add visits like everybody's, and say what they leave behind."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

import numpy as np
import pytest

from brokenseal.drill import apps, devices, intents, internet, priors, streams, tables
from brokenseal.drill._pipeline import Cast, set_stage, visits_of
from brokenseal.drill.attacks import ATTACKS, TRACES, Scene, _moves
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.delivery import delivery_law
from brokenseal.drill.presence import presence
from brokenseal.drill.tables import DAY_US, SECOND_US, numbers, words
from brokenseal.drill.world import build_tenant
from brokenseal.wording import phrase, say

BY_ID = {attack.id: attack for attack in ATTACKS}
DAYS = (20, 45)
FORGED = {"forged_random", "forged_structured", "copied"}
DEVIATIONS = {
    "A1": FORGED,
    "A2": FORGED,
    "A4": {"replayed"},
    "A12": {"normal", "forged_assertion"},
    "A0g": {"replayed"},
}
CASES = [(attack.id, stealth) for attack in ATTACKS for stealth in (1, 2, 3, 4)]


@functools.cache
def tenant_of(number=0):
    parameters = priors.draw(priors.TRAIN, streams.stream(11, "tenant", number), mailboxes=40)
    return build_tenant(parameters, seed=11, tenant_no=number, epoch=dt.date(2026, 1, 5))


def scene(attack_id, stealth=3, seed=1, tenant=None):
    return Scene(
        tenant=tenant or tenant_of(),
        attack_id=attack_id,
        instance=4,
        stealth=stealth,
        rng=streams.stream(seed, attack_id, stealth),
        campaign=streams.stream(seed, "campaign"),
        from_day=DAYS[0],
        until_day=DAYS[1],
    )


@functools.cache
def plan_of(attack_id, stealth=3, seed=1):
    return BY_ID[attack_id].plan(scene(attack_id, stealth, seed))


def days_of(plan):
    """The plan as its days will see it; the controls look at each day's honest visits."""
    if plan.by_day is None:
        return (plan,)
    return tuple(plan.on(day, honest_of(day)) for day in range(*DAYS))


@functools.cache
def honest_of(day):
    return intents.day_intents(tenant_of(), day)


def rows_of(plan):
    return [*(row for one in days_of(plan) for row in one.visits), *(deed.visit for deed in plan.deeds)]


def relabelled(plan):
    return [cluster for one in days_of(plan) for cluster in one.relabelled]


def test_the_library_is_complete_and_every_entry_is_described():
    assert [attack.id for attack in ATTACKS] == [*(f"A{number}" for number in range(1, 14)), "A0g", "A0n"]
    assert [attack.id for attack in ATTACKS if attack.is_control] == ["A0g", "A0n"]
    for attack in ATTACKS:
        assert len(attack.description) > 150
        assert bool(attack.tells) != attack.is_control
        assert attack.techniques or attack.id == "A0n"
        assert all(one.startswith("T1") for one in attack.techniques)
        # Descriptions are shown through phrases, so a brace would break them.
        assert say(phrase("{text}", text=attack.description), "en") == attack.description


@pytest.mark.parametrize(("attack_id", "stealth"), CASES)
def test_a_plan_stays_within_its_days_and_its_vocabulary(attack_id, stealth):
    plan = plan_of(attack_id, stealth)
    rows = rows_of(plan)
    assert rows or relabelled(plan)
    allowed = set(tables.INTENT.names) - {"intent_id"}
    tenant = tenant_of()
    for row in rows:
        assert set(row) <= allowed
        starts = tenant.day_starts_us(row["day"])
        assert DAYS[0] <= row["day"] <= DAYS[1]
        assert starts <= row["starts_at_us"] < starts + DAY_US
        assert row["starts_at_us"] + row["duration_s"] * SECOND_US <= starts + DAY_US + 61 * SECOND_US
        assert row["kind"] in tables.INTENT_KINDS
        assert row["client_class"] in devices.CLIENT_NAMES
        assert row.get("read_scope", "newest") in tables.READ_SCOPES
        assert row.get("auth", "session") in tables.AUTH_WAYS
        assert row["truth_attack_id"] == attack_id
        assert (row["truth_instance"], row["truth_actor_kind"]) == (4, "attacker")
        assert row["session_started_us"] <= row["starts_at_us"]


@pytest.mark.parametrize(("attack_id", "stealth"), CASES)
def test_only_declared_deviations_are_set(attack_id, stealth):
    found = {row.get("token_source", "normal") for row in rows_of(plan_of(attack_id, stealth))}
    assert found <= DEVIATIONS.get(attack_id, {"normal"})
    for row in rows_of(plan_of(attack_id, stealth)):
        is_forged = row.get("token_source", "normal") in FORGED
        assert is_forged or not (row.get("iat_shift_s") or row.get("claim_tenant_wrong") or row.get("session_copied"))


@pytest.mark.parametrize("attack_id", [attack.id for attack in ATTACKS])
def test_the_same_draws_give_the_same_plan_and_others_another(attack_id):
    again = BY_ID[attack_id].plan(scene(attack_id))
    first = plan_of(attack_id)
    assert (rows_of(again), relabelled(again), again.deeds, again.knobs) == (
        rows_of(first),
        relabelled(first),
        first.deeds,
        first.knobs,
    )
    others = [BY_ID[attack_id].plan(scene(attack_id, seed=seed)) for seed in (2, 3, 4)]
    assert any(rows_of(one) != rows_of(again) or relabelled(one) != relabelled(again) for one in others)


@pytest.mark.parametrize("attack_id", [attack.id for attack in ATTACKS])
def test_addresses_belong_to_networks_that_honest_people_use(attack_id):
    tenant = tenant_of()
    for stealth in (1, 2, 3, 4):
        for row in rows_of(plan_of(attack_id, stealth)):
            kind = int(tenant.internet.networks["kind"][row["network_no"]])
            assert kind != internet.MICROSOFT
            assert row["address"]
            assert row["mail_address"]


@pytest.mark.parametrize("attack_id", ["A1", "A2"])
def test_stealth_moves_the_exit_towards_the_victim(attack_id):
    kinds = [str(plan_of(attack_id, stealth).knobs["exit"]) for stealth in (1, 2, 3, 4)]
    assert kinds[0] == "hosting"
    assert kinds[1] in {"tunnel", "home abroad"}
    assert kinds[2:] == ["home in the country", "victim's provider"]
    victim = plan_of(attack_id, 4).visits[0]
    assert victim["network_no"] == tenant_of().identities["home_network"][victim["identity_no"]]


def test_starts_are_spread_over_the_window_and_never_on_round_times():
    starts = []
    for seed in range(60):
        for attack_id in ("A1", "A3", "A11"):
            visits = BY_ID[attack_id].plan(scene(attack_id, seed=seed)).visits
            starts.append(min(row["starts_at_us"] for row in visits))
    tenant = tenant_of()
    days = [(at - tenant.epoch_us) // DAY_US for at in starts]
    assert len(set(days)) > 10
    assert np.mean([at % (60 * SECOND_US) == 0 for at in starts]) < 0.02
    assert len({at // SECOND_US % 60 for at in starts}) > 40


def test_the_ghost_is_its_victim_in_every_column_but_the_time():
    plan = plan_of("A0g")
    free = {"starts_at_us", "duration_s", "token_source"}
    for row in rows_of(plan):
        honest = honest_of(row["day"]).to_pylist()
        own = {name for name in row if not name.startswith("truth_")} - free
        assert any(all(one[name] == row[name] for name in own) for one in honest)


def test_the_null_control_changes_nothing_but_the_truth():
    law = delivery_law(
        tenant_of().parameters,
        seed=11,
        tenant_no=0,
        logs="full",
        shape="mixed",
        starts_us=tenant_of().epoch_us,
        days=45,
    )
    clean = set_stage(tenant_of(), law, (), from_day=20, until_day=45)
    marked = set_stage(tenant_of(), law, (Cast(0, "A0n", 0),), from_day=20, until_day=45)
    day = relabelled(marked.plans[0])[0].day
    before, after = visits_of(clean, day).intents, visits_of(marked, day).intents
    shown = [name for name in tables.INTENT.names if not name.startswith("truth_")]
    assert after.select(shown).to_pydict() == before.select(shown).to_pydict()
    claimed = words(after, "truth_attack_id") == "A0n"
    assert claimed.any()
    assert (claimed == (numbers(after, "truth_instance") == 0)).all()


def test_attack_visits_join_the_day_and_their_changes_find_them():
    law = delivery_law(
        tenant_of().parameters,
        seed=11,
        tenant_no=0,
        logs="full",
        shape="mixed",
        starts_us=tenant_of().epoch_us,
        days=45,
    )
    stage = set_stage(tenant_of(), law, (Cast(0, "A7", 1), Cast(1, "A3", 1)), from_day=20, until_day=45)
    for plan, instance in zip(stage.plans, (0, 1), strict=True):
        day = plan.deeds[0].visit["day"]
        visits, made = visits_of(stage, day)
        assert len(set(numbers(visits, "intent_id").tolist())) == visits.num_rows
        own = made.filter(numbers(made, "truth_instance") == instance).to_pylist()
        by_id = {row["intent_id"]: row for row in visits.to_pylist()}
        assert own
        for change in own:
            visit = by_id[change["intent_id"]]
            assert (visit["kind"], visit["truth_instance"]) == ("change", instance)
            assert visit["identity_no"] == change["identity_no"]


def test_a_campaign_shows_one_address_in_every_tenant():
    addresses = set()
    for number in (0, 1, 2):
        plan = BY_ID["A13"].plan(scene("A13", stealth=2, tenant=tenant_of(number)))
        addresses.add(plan.knobs["address"])
    assert len(addresses) == 1


# ---------------------------------------------------------------- tells, days and looks


def test_every_tell_says_where_it_may_show_and_none_is_left_over():
    declared = {tell for attack in ATTACKS for tell in attack.tells}
    assert declared == set(TRACES)
    assert all(trace.paths for trace in TRACES.values())


def test_no_day_of_the_week_is_a_first_day_more_often():
    first = [_moves.begins(scene("A1", stealth=2, seed=seed), dwell_days=9)[0] for seed in range(1400)]
    counts = np.bincount(np.array(first) % 7, minlength=7)
    # 200 each by chance, with a standard deviation of 13.
    assert counts.min() > 150
    assert counts.max() < 250
    assert min(first) >= DAYS[0]


@pytest.mark.parametrize("dwell_days", [1, 9, 90])
def test_an_attack_ends_with_the_drill_and_has_a_first_day(dwell_days):
    for seed in range(50):
        start, stop = _moves.begins(scene("A1", stealth=4, seed=seed), dwell_days=dwell_days, person=3)
        assert DAYS[0] <= start < stop <= DAYS[1]
        assert stop - start <= dwell_days


def test_whoever_has_to_act_is_at_work_on_the_first_day():
    for seed in range(50):
        given = scene("A3", stealth=1, seed=seed)
        person = _moves.victims(given, 1)[0]
        start, _, at_us = _moves.lured(given, 5, person)
        assert _moves.is_at_work(given, person, start)
        assert _moves.day_of(given.tenant, at_us) == start


def test_victims_are_found_where_nobody_works(monkeypatch):
    days = presence(tenant_of())
    nobody = dataclasses.replace(days, status=np.zeros_like(days.status))
    monkeypatch.setattr(_moves, "presence", lambda _tenant: nobody)

    assert len(set(_moves.victims(scene("A1"), 3))) == 3


@pytest.mark.parametrize("client", ["owa", "new_outlook", "outlook_ios", "apple_mail", "exchange_shell", "teams"])
def test_an_intruders_device_is_one_that_the_directory_does_not_know(client):
    rows = tenant_of().devices.devices
    for stealth in (1, 2, 3, 4):
        for seed in range(8):
            look = look_for(scene("A1", stealth=stealth, seed=seed), 3, 30, client=client)
            is_script = look.agent in apps.SCRIPT_AGENTS
            assert is_script == (look.device_no < 0)
            assert not is_script or (stealth == 1 and client == "owa")
            assert is_script or rows[look.device_no]["trust"] == 0


def test_intruders_write_and_tidy_up_now_and_then():
    rows = [row for stealth in (1, 2) for seed in range(20) for row in rows_of(plan_of("A1", stealth, seed))]
    for column in ("sends", "moves", "deletes"):
        share = np.mean([row[column] > 0 for row in rows])
        assert 0.02 < share < 0.5, column

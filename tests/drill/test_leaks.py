"""Tests of the leak tests: a planted leak turns each of them red, and without it they stay green."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from brokenseal.drill import _leak_statistics as statistics
from brokenseal.drill import leaks, tables
from brokenseal.drill._leak_fields import excused, is_excused
from brokenseal.drill._leak_identifiers import Seen, exclusive
from brokenseal.drill._leak_lines import _places, flatten, replaced
from brokenseal.drill._leak_timing import binomial_tail, timing
from brokenseal.drill.leaks import FAIL, NOT_ASSESSABLE, PASS, Detected, Line
from brokenseal.errors import UsageError

TENANTS = 5
DAY_US = 86_400_000_000
START_US = 1_767_571_200_000_000  # Monday, 2026-01-05
CLIENTS = ("Client=OWA;Mozilla/5.0", "Client=REST;;", "Client=OWA;curl/8")


def record(rng: np.random.Generator, at_us: int, **changed) -> dict:
    moment = dt.datetime.fromtimestamp(at_us / 1e6, tz=dt.UTC)
    return {
        "CreationTime": f"{moment:%Y-%m-%dT%H:%M:%S}",
        "Id": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        "Operation": "MailItemsAccessed",
        "UserKey": f"1003{rng.integers(10**9):09d}",
        "ClientInfoString": CLIENTS[int(rng.integers(3))],
        "ClientIPAddress": f"192.0.2.{rng.integers(250)}",
        "Folders": [{"Path": "\\Inbox", "FolderItems": [{"Id": "A" * int(rng.integers(8, 20))}]}],
        **changed,
    }


def lines(attack_id="A1", *, instances=20, units=20, per_unit=2, leak=None, seed=1) -> list[Line]:
    """Honest lines of several tenants, and instances of one attack that are drawn in the same way."""
    rng = np.random.default_rng(seed)
    found = []
    for tenant in range(TENANTS):
        for who in range(units + instances // TENANTS):
            is_attack = who >= units
            for no in range(per_unit):
                at_us = START_US + no * DAY_US + int(rng.integers(DAY_US))
                values = {
                    "tenant": f"t{tenant}",
                    "attack_id": attack_id if is_attack else None,
                    "instance": tenant * 100 + who if is_attack else -1,
                    "unit": f"m{who}",
                    "day": at_us // DAY_US,
                    "stratum": "mail",
                    "at_us": at_us,
                    "place": float(rng.random()),
                    "tie": 0.5,
                    "record": record(rng, at_us),
                }
                if is_attack and leak is not None:
                    values |= leak(values)
                found.append(Line(**values))
    return found


def with_record(**changed):
    return lambda values: {"record": {**values["record"], **changed}}


def last_byte(values):
    text = values["record"]["Id"]
    return {"record": {**values["record"], "Id": f"{text[:-2]}07"}}


def other_key_order(values):
    return {"record": dict(reversed(values["record"].items()))}


def by_test(checks):
    return {(one.test, one.subject): one for one in checks}


# ---------------------------------------------------------------- T1 and T2


@pytest.mark.parametrize("attack_id", ["A0n", "A1"])
def test_attacks_drawn_like_honest_lines_are_told_by_nothing(attack_id):
    found = by_test(leaks.check_lines(lines(attack_id, instances=150), {attack_id: ()}))

    assert found["T1", attack_id].outcome in ({PASS} if attack_id == "A0n" else {PASS, NOT_ASSESSABLE})
    assert found["T1", attack_id].numbers["instances"] == 150
    assert found["T2", attack_id].outcome == PASS


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (last_byte, "byte 15 of Id"),
        (other_key_order, "order of keys"),
        (with_record(UserKey="100320001"), "length UserKey"),
        (lambda values: {"tie": 0.0}, "place among ties"),
        (lambda values: {"disorder": 0.5}, "disorder in the file"),
        (lambda values: {"at_us": values["at_us"] // 60_000_000 * 60_000_000}, "second of the minute"),
        (with_record(Folders=[]), "entries Folders#"),
        (with_record(Extra=None), "length Extra"),
        (lambda values: {"copies": 2}, "copies"),
    ],
)
def test_a_planted_trivial_leak_fails_t1_and_is_named(leak, named):
    given = [*lines("A1", leak=leak), *lines("A0n", leak=leak, seed=2)]
    null, found = [one for one in leaks.check_lines(given, {}) if one.test == "T1"]

    assert (null.outcome, found.outcome) == (FAIL, FAIL)
    assert any(named in hit for hit in found.hits), found.hits


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (with_record(ClientInfoString=CLIENTS[2]), "ClientInfoString"),
        (with_record(Extra="x"), "Extra"),
    ],
)
def test_a_planted_value_fails_t2_and_is_named(leak, named):
    (found,) = [one for one in leaks.check_lines(lines(leak=leak), {}) if one.test == "T2"]

    assert found.outcome == FAIL
    assert found.hits[0].startswith(named)


def test_a_pair_of_fields_fails_t2_where_neither_field_would():
    def pair(values):
        # Each half is as common as among honest lines; only together they are not.
        side = values["instance"] % 2
        return with_record(First=f"f{side}", Second=f"s{side}")(values)

    honest = [
        Line(
            **{
                **{name: getattr(line, name) for name in Line.__dataclass_fields__},
                "record": {**line.record, "First": f"f{number % 2}", "Second": f"s{number // 2 % 2}"},
            }
        )
        if line.instance < 0
        else line
        for number, line in enumerate(lines(instances=100, leak=pair))
    ]

    (found,) = [one for one in leaks.check_lines(honest, {}) if one.test == "T2"]
    assert found.outcome == FAIL
    assert any(hit.startswith("First + Second") for hit in found.hits)


def test_a_declared_tell_excuses_its_fields_and_no_others():
    tells = {"A1": ("client or network that is new for the mailbox",)}
    declared = lines(leak=with_record(ClientInfoString="Client=OWA;odd/1"))
    undeclared = lines(leak=with_record(ClientInfoString="Client=OWA;odd/1", UserKey="7"))

    assert {one.outcome for one in leaks.check_lines(declared, tells)} <= {PASS, NOT_ASSESSABLE}
    assert FAIL in {one.outcome for one in leaks.check_lines(declared, {})}
    assert FAIL in {one.outcome for one in leaks.check_lines(undeclared, tells)}


def test_few_instances_or_one_tenant_are_not_assessable():
    few = lines(instances=5)
    one_tenant = [line for line in lines(instances=100) if line.tenant == "t0"]

    for given in (few, one_tenant, [line for line in few if line.instance < 0]):
        assert {one.outcome for one in leaks.check_lines(given, {})} == {NOT_ASSESSABLE}


def test_the_same_seed_gives_the_same_checks():
    given = lines(instances=20)

    assert leaks.check_lines(given, {}, seed=5) == leaks.check_lines(given, {}, seed=5)


@pytest.mark.parametrize(
    ("tell", "path", "expected"),
    [
        ("token id that no sign-in issued", "AppAccessContext.UniqueTokenId", True),
        ("session id that no sign-in began", "SessionId", True),
        ("volume of reads", "OperationCount", True),
        ("volume of reads", "ClientIPAddress", False),
        ("network that is new for the mailbox", "ClientIPAddress", True),
        ("network that is new for the mailbox", "Id", False),
        ("volume of reads", "AuditData.Folders[].FolderItems#", True),
        ("client or network that is new for the mailbox", "properties.deviceDetail.browser", True),
        ("a tell that nobody declared", "OperationCount", False),
        ("rule or forwarding to an address outside", "Parameters[ForwardTo].Value", True),
    ],
)
def test_tells_excuse_paths(tell, path, expected):
    assert is_excused(path, excused([tell])) is expected


# ---------------------------------------------------------------- T3


@pytest.mark.parametrize(
    ("ghost", "null", "expected"),
    [
        ((1, 100), (1, 100), PASS),
        ((0, 50), (2, 50), PASS),
        ((30, 100), (2, 100), FAIL),
        ((8, 8), (0, 8), FAIL),
        ((1, 10), (0, 10), NOT_ASSESSABLE),
        ((5, 100), (1, 100), NOT_ASSESSABLE),
        ((0, 0), (1, 100), NOT_ASSESSABLE),
    ],
)
def test_a_ghost_found_more_often_than_chance_fails_t3(ghost, null, expected):
    assert leaks.check_ghost({"A0g": Detected(*ghost), "A0n": Detected(*null)}).outcome == expected


# ---------------------------------------------------------------- T4


def detector(path, value):
    return lambda given: {line.instance for line in given if flatten(line.record).get(path) == value}


@pytest.mark.parametrize(
    ("path", "tells", "expected"),
    [
        ("ClientInfoString", (), FAIL),
        ("ClientInfoString", ("client or network that is new for the mailbox",), PASS),
        ("Nothing", (), NOT_ASSESSABLE),
    ],
)
def test_a_detector_that_lives_on_undeclared_fields_fails_t4(path, tells, expected):
    given = lines(leak=with_record(ClientInfoString="Client=OWA;odd/1"), instances=10)

    (found,) = leaks.check_swaps(given, {"A1": tells}, detector(path, "Client=OWA;odd/1"), np.random.default_rng(1))
    assert found.outcome == expected
    assert [hit.partition(":")[0] for hit in found.hits] == (["ClientInfoString"] if expected == FAIL else [])


def test_one_instance_of_many_that_a_swap_loses_is_of_chance_size():
    given = lines(instances=20)
    first = min(line.instance for line in given if line.instance >= 0)
    odd = [
        Line(
            **{**{name: getattr(line, name) for name in Line.__dataclass_fields__}, "record": {**line.record, "Odd": 1}}
        )
        if line.instance == first
        else line
        for line in given
    ]
    common = [
        Line(
            **{**{name: getattr(line, name) for name in Line.__dataclass_fields__}, "record": {**line.record, "Odd": 0}}
        )
        if line.instance != first
        else line
        for line in odd
    ]

    (found,) = leaks.check_swaps(common, {}, detector("Odd", 1), np.random.default_rng(1))
    assert found.outcome == NOT_ASSESSABLE
    assert found.hits == ("Odd: 0.05 to 0.00",)


def test_controls_are_left_to_t3():
    (found,) = leaks.check_swaps(lines("A0g"), {}, detector("Operation", "MailItemsAccessed"), np.random.default_rng(1))

    assert found.outcome == NOT_ASSESSABLE


def test_a_leaf_is_replaced_wherever_it_stands():
    given = {"a": {"b": [1, 2]}, "c": '{"d": [{"Name": "x", "Value": "1"}, {"Name": "y", "Value": "2"}]}', "e": None}

    assert flatten(given) == {"a.b#": 2, "a.b[]": 1, "c.d#": 2, "c.d[x].Value": "1", "c.d[y].Value": "2", "e": None}
    for path, value in (("a.b[]", 9), ("c.d[y].Value", "9"), ("e", "9")):
        assert flatten(replaced(given, path, value)) == {**flatten(given), path: value}
    assert replaced(given, "f", 1) == given
    assert json.loads(replaced(given, "c.d[x].Value", "é")["c"])["d"][0] == {"Name": "x", "Value": "é"}


# ---------------------------------------------------------------- T5


def office_hours():
    density = np.zeros(168)
    for day in range(5):
        density[day * 24 + 8 : day * 24 + 18] = 1.0
    return density


def starts(count, rng, *, is_office):
    hours = rng.choice(np.flatnonzero(office_hours()), count) if is_office else rng.integers(168, size=count)
    weeks = rng.integers(4, size=count) * 7 * DAY_US
    return (START_US + weeks + hours * 3_600_000_000 + rng.integers(3_600_000_000, size=count)).tolist()


EVERY_DAY = np.ones(7)


@pytest.mark.parametrize("is_office", [True, False])
def test_starts_in_the_owners_hours_or_at_any_hour_pass_t5(is_office):
    rng = np.random.default_rng(8)
    found = timing(starts(120, rng, is_office=is_office), [office_hours()] * 120, EVERY_DAY, rng)

    assert [one.outcome for one in found] == [PASS, PASS, PASS]


def test_starts_at_one_hour_of_the_day_fail_t5():
    rng = np.random.default_rng(8)
    hour = 3_600_000_000
    at = [START_US + (no % 5) * DAY_US + 10 * hour + int(rng.integers(hour)) for no in range(60)]

    days, hours, clock = timing(at, [office_hours()] * 60, EVERY_DAY, rng)
    assert (days.outcome, hours.outcome, clock.outcome) == (PASS, FAIL, PASS)
    assert hours.hits[0] == "hour 10: 60"


@pytest.mark.parametrize("is_office", [True, False])
def test_starts_on_one_day_of_the_week_alone_fail_t5(is_office):
    rng = np.random.default_rng(8)
    at = [START_US + (one - START_US) % DAY_US for one in starts(120, rng, is_office=is_office)]

    days, hours, clock = timing(at, [office_hours()] * 120, EVERY_DAY, rng)
    assert (days.outcome, hours.outcome, clock.outcome) == (FAIL, PASS, PASS)
    assert days.hits[0].startswith("Monday: 120, ")


def test_starts_on_days_off_fail_t5_where_most_keep_the_owners_week():
    rng = np.random.default_rng(8)
    weekend = [START_US + 5 * DAY_US + int(rng.integers(2 * DAY_US)) for _ in range(40)]
    at = [*starts(80, rng, is_office=True), *weekend]

    days, _, _ = timing(at, [office_hours()] * 120, EVERY_DAY, rng)
    assert days.outcome == FAIL
    assert {hit.partition(":")[0] for hit in days.hits} == {"Saturday", "Sunday"}


def test_days_on_which_no_attack_may_begin_do_not_count():
    rng = np.random.default_rng(8)
    at = [START_US + (one - START_US) % DAY_US for one in starts(120, rng, is_office=True)]
    monday = np.array([1.0, 0, 0, 0, 0, 0, 0])

    assert [one.outcome for one in timing(at, [office_hours()] * 120, monday, rng)] == [PASS, PASS, PASS]


@pytest.mark.parametrize(("grid_us", "named"), [(1_000_000, "whole seconds"), (900_000_000, "whole quarters")])
def test_round_starts_fail_t5(grid_us, named):
    rng = np.random.default_rng(8)
    at = [one // grid_us * grid_us for one in starts(60, rng, is_office=True)]

    _, _, clock = timing(at, [office_hours()] * 60, EVERY_DAY, rng)
    assert clock.outcome == FAIL
    assert any(hit.startswith(named) for hit in clock.hits)


def test_few_starts_are_not_assessable():
    rng = np.random.default_rng(8)

    found = timing(starts(10, rng, is_office=True), [office_hours()] * 10, EVERY_DAY, rng)
    assert [one.outcome for one in found] == [NOT_ASSESSABLE] * 3


# ---------------------------------------------------------------- T6


def exclusives(given, tells=None):
    seen = Seen()
    seen.watch(given, 0)
    return {one.subject: one for one in exclusive(seen, tells or {})}


def test_attackers_that_share_nothing_of_their_own_pass_t6():
    found = exclusives(lines(units=60))

    assert {kind: one.outcome for kind, one in found.items() if kind != "address"} == {
        "guid": PASS,
        "network": PASS,
        "agent": PASS,
        "operation": PASS,
    }


@pytest.mark.parametrize(
    ("kind", "leak", "value"),
    [
        ("guid", with_record(AppId="11111111-2222-4333-8444-55555555AAAA"), "11111111-2222-4333-8444-55555555aaaa"),
        ("address", with_record(ClientIPAddress="[2001:db8::7]:443"), "2001:db8::7"),
        ("network", with_record(ClientIPAddress="198.51.100.7"), "198.51.100"),
        ("agent", with_record(ClientInfoString="Client=OWA;odd/1"), "Client=OWA;odd/1"),
        ("operation", with_record(Operation="New-InboxRule"), "New-InboxRule"),
    ],
)
def test_an_identifier_of_attackers_alone_in_two_tenants_fails_t6(kind, leak, value):
    found = exclusives(lines(leak=leak))

    assert found[kind].outcome == FAIL
    assert found[kind].hits[0].startswith(f"{value} at ")


def test_what_a_campaign_declares_or_one_tenant_alone_shows_is_no_leak():
    given = lines(leak=with_record(AppId="11111111-2222-4333-8444-555555555555"))

    assert exclusives(given, {"A1": ("one address in several tenants",)})["guid"].outcome == PASS
    assert exclusives([one for one in given if one.instance < 200])["guid"].outcome == FAIL
    assert exclusives([one for one in given if one.instance < 100])["guid"].outcome == PASS
    assert (
        exclusives([*given, lines("A0g", leak=with_record(AppId="11111111-2222-4333-8444-555555555555"))[-1]])[
            "guid"
        ].outcome
        == PASS
    )


# ---------------------------------------------------------------- statistics


def test_auc_counts_ties_half_and_delong_agrees():
    scores, labels = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])

    assert statistics.auc(scores, labels) == 0.875
    assert math.isnan(statistics.auc(scores, np.ones(4, dtype=bool)))
    rng = np.random.default_rng(2)
    many, truth = rng.normal(size=400), rng.random(400) < 0.5
    middle, low, high = statistics.delong(many + truth, truth)
    assert middle == pytest.approx(statistics.auc(many + truth, truth))
    # Two normals one apart have an AUC of 0.760.
    assert low < 0.760 < high < low + 0.12


def test_classifiers_find_a_signal_and_none_in_noise():
    rng = np.random.default_rng(2)
    values, labels = rng.normal(size=(600, 10)), rng.random(600) < 0.5
    signal = values.copy()
    signal[:, 3] += 2 * labels
    for kind in (statistics.Logistic, statistics.Stumps):
        for given, low, high in ((values, 0.4, 0.6), (signal, 0.85, 1.0)):
            fitted = kind.fit(given[:400], labels[:400], np.ones(400))
            assert low < statistics.auc(fitted.score(given[400:]), labels[400:]) < high


def test_stumps_find_a_value_in_the_middle_where_a_line_cannot():
    rng = np.random.default_rng(2)
    values = rng.integers(0, 256, size=(500, 4)).astype(float)
    labels = rng.random(500) < 0.3
    values[labels, 2] = 100.0

    fitted = statistics.Stumps.fit(values, labels, np.ones(500))
    assert statistics.auc(fitted.score(values), labels) > 0.95


def test_information_is_that_of_the_textbook_and_p_is_small_only_for_a_signal():
    rng = np.random.default_rng(2)
    labels = np.arange(400) % 2 == 0
    codes = np.stack([labels.astype(int), rng.integers(4, size=400), np.zeros(400, dtype=int)], axis=1)
    strata = np.arange(400) // 100

    bits, p = statistics.permutation_p(codes, strata, labels, rng)
    assert bits[0] == pytest.approx(1.0)
    assert bits[2] == pytest.approx(0.0, abs=1e-12)
    assert p[0] < 1e-20
    assert p[1] > 0.01
    assert p[2] == 1.0


def test_a_value_of_labelled_rows_alone_has_the_chance_that_it_has():
    strata = np.repeat(np.arange(3), 10)
    labels = np.tile(np.arange(10) < 1, 3)
    codes = np.stack([labels.astype(int), np.zeros(30, dtype=int), np.arange(30) % 2], axis=1)

    p = statistics.category_p(codes, strata, labels)
    # One of ten in each of three strata, two sides, two codes.
    assert p[0] == pytest.approx(4 * 0.1**3)
    assert p[1] == 1.0
    assert p[2] == pytest.approx(4 * 0.5**3)


def test_chances_of_values_are_uniform_at_most_without_a_signal():
    rng = np.random.default_rng(3)
    strata = np.repeat(np.arange(8), 40)
    codes = rng.integers(5, size=(320, 400))
    labels = np.zeros(320, dtype=bool)
    labels[np.arange(8) * 40 + rng.integers(40, size=8)] = True

    p = statistics.category_p(codes, strata, labels)
    assert (p < 0.05).mean() <= 0.05


def test_what_only_differs_between_strata_is_no_information():
    strata = np.repeat(np.arange(2), 100)
    labels = np.concatenate([np.arange(100) < 90, np.arange(100) < 10])

    assert statistics.information(strata[:, None], strata, labels)[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "value", "expected"), [(1.0, 2.0, math.exp(-2)), (0.5, 1.92073, 0.05), (10.0, 3.0, 0.99889751)]
)
def test_gamma_tail_equals_known_values(shape, value, expected):
    assert statistics.gamma_tail(shape, value) == pytest.approx(expected, rel=1e-4)


def test_benjamini_hochberg_is_the_published_step_up():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.6])

    assert statistics.benjamini_hochberg(p).tolist() == [True, True, True, True, False]
    assert not statistics.benjamini_hochberg(np.array([0.03, 0.5])).any()


def test_intervals_and_tails():
    assert statistics.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert statistics.wilson(0, 0) == (0.0, 1.0)
    assert binomial_tail(2, 2, 0.5) == pytest.approx(0.25)
    assert binomial_tail(0, 7, 0.5) == pytest.approx(1.0)
    folds = statistics.group_folds(np.array(["a", "b", "a", "c"]), 2, np.random.default_rng(1))
    assert folds[0] == folds[2]
    assert set(folds.tolist()) == {0, 1}


def test_places_know_order_and_ties():
    newest_first = _places([30, 20, 20, 10])

    assert [place for place, _, _ in newest_first] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [disorder for _, disorder, _ in newest_first] == pytest.approx([0, 0, 0, 0])
    assert [tie for _, _, tie in newest_first] == [0.5, 0.0, 1.0, 0.5]
    assert _places([5]) == [(0.0, 0.0, 0.5)]


# ---------------------------------------------------------------- a whole drill


def write_drill(folder, *, is_leaky):
    """Ten tenants of a few audit records each, one instance of A0n in each."""
    rng = np.random.default_rng(4)
    (folder / "exports").mkdir(parents=True)
    (folder / "truth").mkdir()
    truth, attacks = [], []
    for tenant in range(10):
        rows = []
        tenant_id = str(uuid.UUID(int=tenant + 1))
        for no in range(40):
            at_us = START_US + int(rng.integers(5 * DAY_US))
            raw = record(rng, at_us, RecordType=50, OrganizationId=tenant_id, UserId=f"p{no % 8}@x.example")
            raw |= {"Workload": "Exchange", "UserType": 0, "MailboxGuid": str(uuid.UUID(int=no % 8 + 100))}
            is_attack = no % 8 == tenant % 8
            if is_attack and is_leaky:
                raw["Id"] = raw["Id"][:-2] + "07"
            rows.append(raw)
            at = dt.datetime.fromtimestamp(at_us / 1e6, tz=dt.UTC)
            truth.append(
                {
                    "tenant_id": tenant_id,
                    "event_id": raw["Id"],
                    "stream": "ual_exchange",
                    "occurred_at": at,
                    "available_at": at,
                    "copies": 1,
                    "mailbox_key": raw["MailboxGuid"],
                    "actor": raw["UserId"],
                    "actor_kind": "owner",
                    "attack_id": "A0n" if is_attack else None,
                    "instance": tenant if is_attack else None,
                    "stage": None,
                }
            )
        rng.shuffle(rows)
        (folder / "exports" / f"{tenant}.json").write_text("\n".join(json.dumps(one) for one in rows))
        row = dict.fromkeys(tables.TRUTH_ATTACK.names)
        at = dt.datetime.fromtimestamp(START_US / 1e6, tz=dt.UTC)
        attacks.append({**row, "instance": tenant, "tenant_id": tenant_id, "attack_id": "A0n", "first_at": at})
    for declared, rows in ((tables.TRUTH_RECORD, truth), (tables.TRUTH_ATTACK, attacks)):
        pq.write_table(
            pa.Table.from_pylist(rows, schema=declared.arrow_schema()), folder / "truth" / f"{declared.name}.parquet"
        )
    return folder


@pytest.mark.parametrize("is_leaky", [True, False])
def test_a_drill_on_disk_is_read_and_judged(tmp_path, is_leaky):
    report = leaks.run(write_drill(tmp_path / "drill", is_leaky=is_leaky))

    found = by_test(report.checks)
    assert found["T1", "A0n"].numbers["instances"] == 10
    assert (found["T1", "A0n"].outcome == FAIL) is is_leaky
    assert {one.test for one in report.checks} == {"T1", "T2", "T3", "T4", "T5", "T6"}
    assert bool(report.failed) is is_leaky
    assert report.as_dict()["failed"] == len(report.failed)
    assert "| T1 | A0n | " in report.markdown()


def test_a_folder_that_is_no_drill_is_refused(tmp_path):
    with pytest.raises(UsageError, match="drill generate"):
        leaks.run(tmp_path)

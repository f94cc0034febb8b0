"""Which units are taken for one hand's, how much that weighs, and what must never link."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import random
from collections import defaultdict

import ibis
import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import campaigns as product
from brokenseal._campaign_links import DAY_US, KINDS, LINK_NATS, Background, Carried, Node, choices_of, linked
from brokenseal._campaign_values import suspects, suspicious
from brokenseal.calibration import Calibration, CampaignLaw, Campaigns, Group, Intrusions, decode, encode, upper_share
from brokenseal.judgement import clustered, judge
from brokenseal.schema import MARK
from support import make_tables

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
STRANGER = "mail_access.stranger_client"
DOOR = "config.open_door"
LAW = Campaigns(
    benign={group: CampaignLaw(units=2_000) for group in ("strange", "stranger", "recent", "evidence", "door")},
    intruders=100,
    members={"place+client:3-5": 80},
)
KNOWN = Calibration(
    format=1,
    made_of="a test",
    root=STRANGER,
    groups_of={},
    benign={"habitual": Group(units=1_000_000, bins={STRANGER: {"22+": 500}})},
    doors=Group(units=1_000, bins={}),
    mailbox_weeks=1.0,
    intrusions={"A1": Intrusions(instances=1, units=4, bins={STRANGER: {"22+": 4}})},
)
NO_DOORS = pa.table({name: pa.array([], pa.string()) for name in ("unit", "tenant_id", "mailbox_key", "network")})
SPY = {"client_ip": "203.0.113.7", "effective_app": "spy-app", "user_agent": "spy/1.0"}


# ---------------------------------------------------------------- worlds of tables


def access(name, day, mailbox, *, tenant="t", **columns):
    """One mail access that makes a cluster of its own; by its owner from home, unless said otherwise."""
    owner = f"{mailbox}@corp.example"
    return {
        "event_id": name,
        "occurred_at": START + dt.timedelta(days=day),
        "tenant_id": tenant,
        "mailbox_key": f"{tenant}-{mailbox}",
        "mailbox_upn": owner,
        "actor_key": owner,
        "logon_type": 0,
        "client_ip": "198.51.100.9",
        "ip_class": "public",
        "protocol": "owa",
        "effective_app": "webmail",
        "user_agent": "browser",
        "session_id": f"s-{name}",
        **columns,
    }


def usual(*, mailboxes=20, days=21, tenant="t"):
    """Nobody is strange: every owner reads every day."""
    return [
        access(f"{tenant}-u{mailbox}-{day}", day, f"m{mailbox}", tenant=tenant)
        for mailbox, day in itertools.product(range(mailboxes), range(days))
    ]


def spied(*, days=range(20, 25), tenant="t", **columns):
    """A foreign host with a new application, in one mailbox after the other."""
    return [
        access(f"{tenant}-spy{number}", day, f"m{number}", tenant=tenant, **{**SPY, **columns})
        for number, day in enumerate(days)
    ]


def marks_of(**bins):
    rows = [{"unit": unit.replace("_", "-"), "state": "fired", "bin": name} for unit, name in sorted(bins.items())]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in MARK.names} for row in rows], schema=MARK.arrow_schema()
    )


def strange(rows, name="22+"):
    return {STRANGER: marks_of(**{row["event_id"].replace("-", "_"): name for row in rows})}


@functools.cache
def connection():
    return ibis.duckdb.connect()


def declared(rows):
    """The tables in one connection for all tests, because to begin one costs more than most of them."""
    return make_tables(rows, connection())


def events_of(rows):
    names = ("event_id", "occurred_at", "tenant_id", "client_ip", "ip_class", "actor_key")
    return [{name: row.get(name) for name in names} for row in rows]


def found(accesses, marks, *, law=LAW, doors=NO_DOORS, budget=5e-5, **tables):

    calibration = msgspec.structs.replace(KNOWN, campaigns=law)
    events = events_of([*accesses, *tables.get("config_changes", ())])
    with clustered(declared({"mail_accesses": accesses, "events": events, **tables})) as known:
        judgement = judge(known, marks, doors, calibration, budget=budget)
        return product.campaigns(known, marks, judgement, calibration), judgement


def test_a_foreign_host_with_a_new_application_in_five_mailboxes_is_one_campaign():
    spy = spied()
    (campaign,), _ = found(usual() + spy, strange(spy))
    assert campaign.units == {f"t-spy{number}" for number in range(5)}
    assert campaign.mailboxes == tuple(f"m{number}@corp.example" for number in range(5))
    assert campaign.tenants == ("t",)
    assert campaign.first_at == START + dt.timedelta(days=20)
    assert campaign.bin == "place+client:3-5"
    assert campaign.values[0] == product.SharedValue(
        kind="address", value="203.0.113.7", n_units=5, first_at=START + dt.timedelta(days=20), is_new=True
    )
    assert {one.kind for one in campaign.values if one.is_new} >= {"address", "application", "application_agent"}


def test_the_weight_is_the_mean_over_mailboxes_of_the_heaviest_unit_times_the_factor():
    spy = [*spied(), access("again", 26, "m0", **SPY)]
    marks = strange(spy[:3])
    marks["token.provenance"] = marks_of(t_spy3="orphan", t_spy4="orphan", again="orphan")
    (campaign,), judgement = found(usual() + spy, marks)
    heaviest = [judgement.weight_of(f"t-spy{number}") for number in range(5)]
    assert judgement.weight_of("again") < heaviest[0]
    bound = upper_share(0, 2_000) * 3
    factor = math.log10(0.5 + 0.5 * (0.9 * 0.8 + 0.1 / 12) / bound)
    mean = sum(10 ** (weight + factor) for weight in heaviest) / 5
    assert campaign.factor_millibans == round(1000 * factor)
    assert campaign.millibans == round(1000 * math.log10(mean))


def test_a_campaign_opens_at_the_threshold_of_the_judgement_and_members_are_never_multiplied():
    spy = spied()
    (campaign,), judgement = found(usual() + spy, strange(spy), law=None)
    alone = judgement.weight_of("t-spy0")
    assert campaign.factor_millibans == 0
    assert campaign.millibans == round(1000 * alone)
    assert not campaign.opens(judgement)
    (campaign,), judgement = found(usual() + spy, strange(spy), budget=5e-3)
    assert not judgement.opened
    assert campaign.opens(judgement)


def test_a_roll_out_does_not_link():
    """A new application in the office and in many homes, early enough that everybody in it is strange."""
    homes = [f"192.0.{number}.5" for number in range(16)]
    rollout = [
        access(f"r{number}", 20 + number % 3, f"m{number}", effective_app="new-app", user_agent="new/1.0",
               client_ip=homes[number] if number % 2 else "198.51.100.9")
        for number in range(16)
    ]  # fmt: skip
    assert found(usual() + rollout, strange(rollout))[0] == ()


def test_a_new_application_in_the_one_office_of_a_tenant_does_not_link_either():
    rollout = [
        access(f"r{number}", 20, f"m{number}", effective_app="new-app", user_agent="new/1.0") for number in range(6)
    ]
    assert found(usual(mailboxes=200, days=30) + rollout, strange(rollout))[0] == ()


def test_a_new_exit_that_many_people_come_by_with_what_they_use_does_not_link():
    vpn = [
        access(f"v{number}", 20 + number % 4, f"m{number}", client_ip="203.0.113.7",
               user_agent=f"browser {number % 3}", effective_app=f"app {number % 4}")
        for number in range(20)
    ]  # fmt: skip
    assert found(usual() + vpn, strange(vpn[:10]))[0] == ()


@pytest.mark.parametrize("ip_class", ["microsoft", "private", None])
def test_an_address_that_is_nobodys_own_never_links(ip_class):
    spy = spied(ip_class=ip_class)
    assert found(usual() + spy, strange(spy))[0] == ()


def test_what_the_tenant_knew_in_its_first_two_weeks_or_for_two_weeks_is_not_new():
    early = spied(days=range(10, 15))
    assert found(usual() + early, strange(early))[0] == ()
    known = [access("before", 15, "m19", **{**SPY, "effective_app": "webmail"})]
    late = spied(days=range(31, 36))
    assert found(usual(days=36) + known + late, strange(late))[0] == ()
    assert len(found(usual(days=36) + late, strange(late))[0]) == 1


def test_one_mailbox_is_no_campaign_and_two_stories_a_month_apart_are_none():
    own = [access(f"o{day}", day, "m0", **SPY) for day in range(20, 25)]
    assert found(usual() + own, strange(own))[0] == ()
    apart = [access("one", 20, "m0", **SPY), access("two", 35, "m1", **SPY)]
    assert found(usual(days=36) + apart, strange(apart))[0] == ()


def test_a_secretary_on_a_journey_does_not_reach_the_mailboxes_that_they_always_read():
    def reads(name, day, mailbox, **columns):
        return access(name, day, mailbox, actor_key="m0@corp.example", logon_type=2, **columns)

    before = [reads(f"b{mailbox}", 1, mailbox) for mailbox in ("m1", "m2")]
    hotel = {"client_ip": "203.0.113.7"}
    journey = [access("own", 20, "m0", **hotel), reads("boss", 20.1, "m1", **hotel), reads("team", 20.2, "m2", **hotel)]
    assert found(usual(mailboxes=120) + before + journey, strange(journey))[0] == ()
    (campaign,), _ = found(usual(mailboxes=120) + journey[1:], strange(journey))
    assert campaign.mailboxes == ("m1@corp.example", "m2@corp.example")


def test_a_door_joins_the_reading_from_the_same_place_of_the_application_that_it_let_in():
    spy = spied(days=range(20, 22), actor_key="sp-1", logon_type=None)
    change = {
        "event_id": "door",
        "occurred_at": START + dt.timedelta(days=19),
        "tenant_id": "t",
        "change": "app_role_grant",
        "actor_key": "admin@corp.example",
        "changed_app_id": "spy-app",
        "client_ip": "203.0.113.7",
        "ip_class": "public",
    }
    marks = {**strange(spy), DOOR: marks_of(door="app_mail_role:new:strange:fast")}
    doors = pa.table(
        {"unit": ["door"], "tenant_id": ["t"], "mailbox_key": ["admin@corp.example"], "network": ["asn:1"]}
    )
    (campaign,), _ = found(usual() + spy, marks, doors=doors, config_changes=[change])
    assert campaign.units == {"door", "t-spy0", "t-spy1"}
    assert campaign.mailboxes == ("admin@corp.example", "m0@corp.example", "m1@corp.example")


def test_one_added_key_links_doors_and_keys_that_were_there_before_do_not():
    def door(name, day, actor, old, new):
        change = {
            "event_id": name, "occurred_at": START + dt.timedelta(days=day), "tenant_id": "t",
            "change": "app_credential", "actor_key": actor, "changed_app_id": f"app-{name}",
        }  # fmt: skip
        setting = {"event_id": name, "name_key": "keydescription", "old_value": old, "new_value": new}
        return change, setting

    def key(*numbers):
        return ",".join(
            f"[KeyIdentifier=0000000{number}-1111-2222-3333-444444444444,KeyType=Password]" for number in numbers
        )

    marks = {DOOR: marks_of(d1="credential:new:strange:none", d2="credential:new:strange:none")}

    def kinds(second):
        changes, parts = zip(door("d1", 20, "a@x", key(1), key(1, 2)), second, strict=True)
        rows, _ = found(usual(), marks, config_changes=list(changes), change_settings=list(parts))
        return [{one.kind for one in campaign.values} for campaign in rows]

    assert kinds(door("d2", 21, "b@x", "", key(2))) == [{"credential"}]
    assert kinds(door("d2", 21, "b@x", key(2), key(2, 3))) == []


def test_one_hand_in_two_tenants_of_a_store_is_one_campaign_without_a_bin():
    spy = [*spied(days=[20], tenant="t"), *spied(days=[21], tenant="v")]
    rows = usual() + usual(tenant="v") + spy
    (campaign,), _ = found(rows, strange(spy))
    assert campaign.tenants == ("t", "v")
    assert campaign.bin is None
    assert campaign.factor_millibans == 0
    known_there = [access("old", 2, "m9", tenant="v", **SPY)]
    assert found(rows + known_there, strange(spy))[0] == ()


def test_order_copies_and_records_of_other_mailboxes_change_no_campaign():
    spy = spied()
    rows = usual() + spy
    before, _ = found(rows, strange(spy))
    mixed = [*rows, *spy, *rows[::3]]
    random.Random(5).shuffle(mixed)
    assert found(mixed, strange(spy))[0] == before
    more = rows + [
        access(f"n{number}", number % 21, f"n{number}", client_ip=f"192.0.{number}.1") for number in range(40)
    ]
    (after,), _ = found(more, strange(spy))
    assert after.units == before[0].units


def test_nothing_suspicious_and_nothing_at_all_are_no_campaign():
    assert found(usual(), {})[0] == ()
    assert found([], {})[0] == ()
    assert found(usual(), {STRANGER: marks_of(nowhere="22+")})[0] == ()


def test_suspicious_are_strange_clients_evidence_and_doors_that_tell():
    given_marks = {
        STRANGER: marks_of(a="8-10", b="10-12", c="14-16", d="recent"),
        "token.provenance": marks_of(a="orphan", b="orphan"),
        DOOR: marks_of(
            e="mailbox_right:usual:known:none", f="mailbox_right:usual:strange:none", g="uses:credential:new:known:fast"
        ),
        "mail_access.strange_volume": marks_of(h="1000+"),
    }
    expected = {"a": "evidence", "b": "strange", "c": "stranger", "d": "recent", "f": "door", "g": "door"}
    assert suspicious(given_marks) == expected


# ---------------------------------------------------------------- links beside a plain reference


TIMES = st.sampled_from([20, 20, 21, 24, 33, 34, 36, 50])
POOLS = {
    "address": "ab", "network": "n", "application": "xy", "application_agent": "xz", "actor": "p", "session": "q",
    "credential": "k", "rule_name": "r",
}  # fmt: skip


@st.composite
def worlds(draw):
    tenants = draw(st.sampled_from(["t", "tv"]))
    values = [(kind, value) for kind, pool in POOLS.items() for value in pool]
    nodes = [
        Node(
            unit=f"u{number}",
            tenant=draw(st.sampled_from(tenants)),
            subject=draw(st.sampled_from("123")),
            first_us=draw(TIMES) * DAY_US,
            group="strange",
            values=frozenset(draw(st.lists(st.sampled_from(values), max_size=6))),
        )
        for number in range(draw(st.integers(0, 9)))
    ]
    firsts = {}
    for node in nodes:
        for value in node.values:
            key = (node.tenant, *value)
            firsts[key] = min(firsts.get(key, node.first_us), node.first_us)
    carried = {
        key: Carried(draw(st.sampled_from([0, 0, 0, 3, 5_000])), first - draw(st.sampled_from([0, 0, 15, 10])) * DAY_US)
        for key, first in firsts.items()
    }
    totals = {(tenant, kind): draw(st.sampled_from([100, 20_000])) for tenant in tenants for kind in KINDS}
    return nodes, Background(carried, totals, dict.fromkeys(tenants, 0))


def reference(nodes, background):
    """All pairs, all choices, every number counted anew."""
    neighbours = defaultdict(set)
    for one, other in itertools.combinations(nodes, 2):
        if (one.tenant, one.subject) == (other.tenant, other.subject):
            continue
        for choice in subsets(one.values & other.values):
            run = run_of(one, [node for node in nodes if choice <= node.values])
            if other in run and all(is_one_hand(choice, node.tenant, run, nodes, background) for node in (one, other)):
                neighbours[one.unit].add(other.unit)
                neighbours[other.unit].add(one.unit)
    components, seen = set(), set()
    for unit in neighbours:
        reached, waiting = set(), [unit]
        while waiting:
            at = waiting.pop()
            if at not in reached:
                reached.add(at)
                waiting.extend(neighbours[at])
        if unit not in seen:
            components.add(frozenset(reached))
        seen |= reached
    return components


def subsets(values):
    for size in range(1, len(values) + 1):
        for choice in itertools.combinations(sorted(values), size):
            if len({KINDS[kind].family for kind, _ in choice}) == size:
                yield frozenset(choice)


def run_of(node, members):
    members = sorted(members, key=lambda one: (one.first_us, one.unit))
    run = []
    for member in members:
        if run and member.first_us - run[-1].first_us > 14 * DAY_US:
            if node in run:
                return run
            run = []
        run.append(member)
    return run


def is_one_hand(choice, tenant, run, nodes, background):
    own = [node for node in run if node.tenant == tenant]
    begun = min(node.first_us for node in own)
    subjects = {node.subject for node in own}
    nats, is_new = 0.0, False
    for kind, value in choice:
        known = background.carried[tenant, kind, value]
        others = [
            node for node in nodes
            if node.tenant == tenant and (kind, value) in node.values and node.subject not in subjects
            and len({(n.tenant, n.subject) for n in nodes if (kind, value) in n.values}) > 1
        ]  # fmt: skip
        carriers = known.authorised + len(others)
        share = (carriers + KINDS[kind].smoothing) / (max(background.totals[tenant, kind], carriers) + 1)
        gain = math.log(KINDS[kind].sigma / max(share, KINDS[kind].floor))
        if gain <= 0:
            return False
        nats += gain
        is_new |= KINDS[kind].tells and known.first_us >= 14 * DAY_US and begun - known.first_us <= 14 * DAY_US
    return is_new and nats > LINK_NATS


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_links_equal_those_of_all_pairs(world):
    nodes, background = world
    assert {frozenset(node.unit for node in one.nodes) for one in linked(nodes, background)} == reference(
        nodes, background
    )


@settings(max_examples=100, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_order_and_copies_change_no_link(world, generator):
    nodes, background = world
    mixed = [*nodes, *nodes]
    generator.shuffle(mixed)
    assert linked(mixed, background) == linked(nodes, background)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 10_000), st.integers(0, 30))
def test_more_units_of_others_that_show_other_values_remove_no_link(world, more, earlier):
    nodes, background = world
    bigger = Background(
        background.carried,
        {key: number + more for key, number in background.totals.items()},
        {tenant: start - earlier * DAY_US for tenant, start in background.starts_us.items()},
    )
    stranger = Node("other", "t", "9", 20 * DAY_US, "strange", frozenset({("address", "elsewhere")}))
    after = [frozenset(node.unit for node in one.nodes) for one in linked([*nodes, stranger], bigger)]
    for component in linked(nodes, background):
        units = frozenset(node.unit for node in component.nodes)
        assert any(units <= found_units for found_units in after)


def test_no_single_value_links_but_a_key_and_no_application_makes_news():
    for kind, one in KINDS.items():
        nodes = [
            Node(f"u{number}", "t", str(number), 20 * DAY_US, "strange", frozenset({(kind, "v")})) for number in (1, 2)
        ]
        background = Background({("t", kind, "v"): Carried(0, 20 * DAY_US)}, {("t", kind): 10**7}, {"t": 0})
        assert bool(linked(nodes, background)) == (kind == "credential"), kind
        assert one.tells == (kind not in {"application", "application_agent", "session", "token"})


def test_the_choices_of_a_unit_with_very_many_values_are_its_rarest():
    values = [("address", f"a{number:03}") for number in range(200)]
    values += [("application", f"x{number:03}") for number in range(200)]
    carriers = {value: 2 + int(value[1][1:]) for value in values}
    choices = set(choices_of(values, carriers))
    assert len(choices) <= 4_096
    assert (("application", "x000"), ("address", "a000")) in {tuple(sorted(one, reverse=True)) for one in choices} or (
        ("address", "a000"), ("application", "x000")) in choices  # fmt: skip
    assert not any(("address", "a199") in choice for choice in choices)


# ---------------------------------------------------------------- the benign law


def counted(accesses, marks, **options):
    with clustered(declared({"mail_accesses": accesses, "events": events_of(accesses)})) as known:
        return product.count_campaigns(known, marks, **options)


def test_the_benign_law_counts_campaigns_and_their_members_by_group():
    spy = spied()
    marks = strange(spy[:3])
    marks["token.provenance"] = marks_of(t_spy3="orphan", t_spy4="orphan")
    law = counted(usual() + spy, marks).benign
    assert law["stranger"] == CampaignLaw(units=3, campaigns={"place+client:3-5": 1}, members={"place+client:3-5": 3})
    assert law["evidence"] == CampaignLaw(units=2, campaigns={"place+client:3-5": 1}, members={"place+client:3-5": 2})
    assert law["recent"] == CampaignLaw(units=0)
    assert set(law) == {"strange", "stranger", "recent", "evidence", "door"}


def test_intruders_are_counted_by_their_own_units_and_add_nothing_to_the_benign_law():
    spy = spied()
    own = frozenset(row["event_id"] for row in spy[:4])
    law = counted(usual() + spy, strange(spy), intruders=own)
    assert law == Campaigns(intruders=4, members={"place+client:3-5": 4})


def test_counts_add_up_and_survive_the_file():
    one = Campaigns(benign={"door": CampaignLaw(units=5, campaigns={"place:2": 1}, members={"place:2": 2})})
    two = Campaigns(
        benign={"door": CampaignLaw(units=7, campaigns={"place:2": 1}, members={"place:2": 3})}, intruders=2
    )
    total = product.merged_campaigns([one, two])
    assert total.benign["door"] == CampaignLaw(units=12, campaigns={"place:2": 2}, members={"place:2": 5})
    assert total.intruders == 2

    assert decode(encode(msgspec.structs.replace(KNOWN, campaigns=total))).campaigns == total
    assert decode(encode(KNOWN)).campaigns is None


def test_the_factor_rests_on_the_number_of_campaigns_and_of_members_and_spends_no_more_than_one():
    law = CampaignLaw(units=1_000, campaigns={"place:2": 4}, members={"place:2": 20})
    counts = Campaigns(benign={"door": law}, intruders=50, members={"place:2": 10, "place+client:11+": 30})
    expected = 0.5 + 0.5 * (0.9 * 0.2 + 0.1 / 12) / (upper_share(4, 1_000) * 5)
    assert 10 ** product.factor("place:2", "door", counts) == pytest.approx(expected)
    unseen = 0.5 + 0.5 * (0.9 * 0.6 + 0.1 / 12) / (upper_share(0, 1_000) * 11)
    assert 10 ** product.factor("place+client:11+", "door", counts) == pytest.approx(unseen)
    spent = sum(
        10 ** product.factor(name, "door", counts)
        * upper_share(law.campaigns.get(name, 0), 1_000)
        * (5 if name == "place:2" else {"2": 2, "3-5": 3, "6-10": 6, "11+": 11}[name.split(":")[1]])
        for name in product.BINS
    )
    assert spent <= 1
    assert product.factor("place:2", "door", None) == 0
    assert product.factor("place:2", "strange", counts) == 0
    assert product.factor(None, "door", counts) == 0


def test_the_expected_weight_of_false_campaigns_keeps_to_half_of_the_units():
    """However units are gathered, means over two mailboxes or more add up to at most half of all e-values."""
    generator = random.Random(3)
    for _ in range(50):
        weights = [generator.expovariate(1) ** 4 for _ in range(60)]
        generator.shuffle(weights)
        total, rest = 0.0, list(weights)
        while len(rest) >= 2:
            size = generator.randint(2, min(8, len(rest)))
            mailboxes = defaultdict(list)
            for number, weight in enumerate(rest[:size]):
                mailboxes[number if number < 2 else generator.randint(0, size)].append(weight)
            total += 10 ** product._log10_mean([math.log10(max(own)) for own in mailboxes.values()])
            rest = rest[size:]
        assert total <= sum(weights) / 2 + 1e-9


# ---------------------------------------------------------------- context, and exchange between tenants


def test_the_rhythm_of_the_usual_hours_is_unremarkable_and_that_of_the_night_is_not():
    office = [8 + number / 10 for number in range(90)]
    night = [1 + number / 10 for number in range(30)]
    same = product.rhythm(office[::3], office)
    assert same.statistic == pytest.approx(1 / 45, abs=0.02)
    assert same.chance == 1.0
    apart = product.rhythm(night, office)
    assert apart.statistic == pytest.approx(1.0)
    assert apart.chance < 1e-12
    assert (apart.n, apart.n_usual) == (30, 90)
    assert product.rhythm([], office) is None


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 23), min_size=1, max_size=20),
    st.lists(st.integers(0, 23), min_size=1, max_size=20),
    st.integers(0, 23),
)
def test_the_rhythm_does_not_depend_on_where_the_day_begins(own, other, shift):
    turned = product.rhythm([(hour + shift) % 24 for hour in own], [(hour + shift) % 24 for hour in other])
    assert turned.statistic == pytest.approx(product.rhythm(own, other).statistic)


def test_the_rhythm_of_units_is_taken_beside_the_other_clusters_of_their_mailboxes():
    night = [access(f"x{day}", day + 0.7, "m0", **SPY) for day in range(5)]
    with clustered(declared({"mail_accesses": usual(mailboxes=2) + night})) as known:
        seen = product.rhythm_of(known, [row["event_id"] for row in night])
        assert (seen.n, seen.n_usual, seen.statistic) == (5, 21, pytest.approx(1.0))
        assert product.rhythm_of(known, ["nowhere"]) is None


def test_indicators_are_keyed_and_tell_tenants_no_more_than_what_they_share():
    key, other_key = b"k" * 16, b"j" * 16
    assert product.indicator(key, "address", "203.0.113.7") == product.indicator(key, "address", "203.0.113.7")
    assert product.indicator(key, "address", "203.0.113.7") != product.indicator(other_key, "address", "203.0.113.7")
    assert product.indicator(key, "address", "x") != product.indicator(key, "rule_name", "x")
    with pytest.raises(ValueError, match="expected 16 or more"):
        product.indicator(b"short", "address", "x")


def test_two_tenants_find_out_what_they_share_from_their_lists_alone():
    def listed(tenant, **columns):
        spy = spied(tenant=tenant, **columns)
        (campaign,), _ = found(usual(tenant=tenant) + spy, strange(spy))
        return product.indicators(campaign, b"k" * 16)

    one, two = listed("t"), listed("v", client_ip="203.0.113.99")
    assert {item.kind for item in one} == {"address", "narrow_network", "application"}
    assert not any("203.0.113" in item.digest or "spy" in item.digest for item in one)
    common = product.in_several({"one": one, "two": two, "three": ()})
    kinds = {item.kind for item in one if item.digest in common}
    assert kinds == {"narrow_network", "application"}
    assert set(common.values()) == {("one", "two")}


def test_suspects_know_how_usual_their_values_are():
    spy = spied(days=range(20, 22))
    rows = [*usual(), *spy, access("quiet", 22, "m9", client_ip="203.0.113.7")]
    with clustered(declared({"mail_accesses": rows})) as known:
        nodes, background = suspects(known, strange(spy))
    assert [node.unit for node in nodes] == ["t-spy0", "t-spy1"]
    assert background.carried["t", "address", "203.0.113.7"].authorised == 1
    assert background.carried["t", "application", "spy-app"].authorised == 0
    assert background.totals["t", "address"] == 423

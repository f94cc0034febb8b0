"""Tenants: people, mailboxes, devices, networks, applications and what happens to them."""

from __future__ import annotations

import datetime as dt
import ipaddress

import numpy as np
import pytest

from brokenseal import fields
from brokenseal.drill import apps, calendar, devices, internet, people, world
from brokenseal.errors import UsageError
from drill.drill_tenants import EPOCH, fresh, tenant

TEXTS = ("tenant_id", "names", "upns", "object_ids", "puids", "sids", "app_ids", "mailbox_upns", "mailbox_guids")
ARRAYS = ("identities", "mailboxes", "delegations", "sites")


def test_the_same_arguments_give_the_same_tenant():
    one, two = fresh(1), fresh(1)
    assert all(getattr(one, name) == getattr(two, name) for name in (*TEXTS, "changes", "device_ids"))
    assert all((getattr(one, name) == getattr(two, name)).all() for name in ARRAYS)
    assert (one.calendar.trips == two.calendar.trips).all()
    assert (one.devices.devices == two.devices.devices).all()


def test_another_number_or_seed_gives_another_tenant():
    one, two, three = tenant(0), tenant(1), tenant(0, seed=12)
    assert len({one.tenant_id, two.tenant_id, three.tenant_id}) == 3
    assert not set(one.object_ids) & set(two.object_ids)
    assert not set(one.mailbox_guids) & set(three.mailbox_guids)


def test_the_tenants_of_a_drill_share_internet_and_market():
    one, two = tenant(0), tenant(1)
    assert one.market == two.market
    assert (one.internet.names, one.internet.key) == (two.internet.names, two.internet.key)
    assert one.internet.networks.tobytes() == two.internet.networks.tobytes()


@pytest.mark.parametrize("mailboxes", [10, 57, 120])
@pytest.mark.parametrize("prior", ["train", "test"])
def test_every_text_runs_parallel_to_its_array_and_is_unique(mailboxes, prior):
    one = tenant(3, mailboxes=mailboxes, prior=prior)
    count = len(one.identities)
    assert len(one.mailboxes) == mailboxes
    for name in ("names", "upns", "object_ids", "puids", "sids", "app_ids", "home_tenant_ids"):
        assert len(getattr(one, name)) == count
    assert len(set(one.object_ids)) == len(set(one.sids)) == len(set(one.upns)) == count
    assert len(set(one.mailbox_upns)) == len(set(one.mailbox_guids)) == mailboxes
    assert len(set(one.device_ids)) == len(one.devices.devices)
    assert all(name.endswith(".example") for name in (one.domain, one.onmicrosoft))
    assert "(simulated)" in one.name


def test_identities_stand_in_the_documented_order():
    one = tenant(0)
    kinds = one.identities["kind"].tolist()
    assert kinds == sorted(kinds)
    assert [one.app_ids[row] for row in one.rows_of(people.APP)] == [app.app_id for app in one.market]
    assert [one.app_ids[row] for row in one.rows_of(people.SERVICE)] == [app.app_id for app in apps.BACKGROUND]
    persons = one.rows_of(people.PERSON)
    assert (one.identities["mailbox_no"][persons] == persons).all()
    assert (one.mailboxes["owner_no"][: len(persons)] == persons).all()
    assert (one.mailboxes["owner_no"][len(persons) :] == -1).all()


def test_every_executive_has_one_to_three_assistants_and_every_shared_mailbox_members():
    one = tenant(0, mailboxes=400)
    standing = one.delegations[one.delegations["from_day"] < calendar.FIRST_DAY]
    executives = np.flatnonzero(one.identities["role"] == people.EXECUTIVE)
    helpers = [int((standing["mailbox_no"] == executive).sum()) for executive in executives]
    assert len(executives) >= 5
    assert set(helpers) <= {1, 2, 3}
    shared = np.flatnonzero(one.mailboxes["kind"] == 1)
    assert all((standing["mailbox_no"] == mailbox).sum() >= 1 for mailbox in shared)


def test_a_renamed_person_keeps_the_object_id_and_changes_the_name_on_that_day():
    one = tenant(0, renames_per_year=1.0)
    (row, *_) = np.flatnonzero(one.identities["rename_day"] < 300).tolist()
    day = int(one.identities["rename_day"][row])
    assert one.upns_on(day - 1)[row] == one.upns[row]
    assert one.upns_on(day)[row] != one.upns[row]
    assert len(set(one.upns_on(400))) == len(one.upns)


def test_the_drill_starts_on_a_monday():
    assert world.monday_of(EPOCH) == 1_767_571_200_000_000
    with pytest.raises(UsageError, match="a Monday"):
        world.monday_of(dt.date(2026, 1, 6))


def test_no_address_belongs_to_anybody_but_microsoft():
    one = tenant(0)
    networks = np.repeat(np.arange(len(one.internet.networks)), 40)
    host = np.arange(len(networks)) * 977
    texts = internet.addresses(one.internet, networks, host, host % 2 == 0)
    reserved = [
        ipaddress.ip_network(block)
        for block in ("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    ]
    is_microsoft = one.internet.networks["kind"][networks] == internet.MICROSOFT
    for text, ours in zip(texts, is_microsoft, strict=True):
        canonical, ip_class = fields.address(text)
        assert canonical == text
        assert ip_class == ("microsoft" if ours else "public")
        assert ours or any(ipaddress.ip_address(text) in block for block in reserved)


def test_an_address_is_a_function_of_network_and_host():
    one = tenant(0)
    home = int(one.internet.of_kind(internet.HOME)[0])
    rows = np.full(6, home)
    texts = internet.addresses(one.internet, rows, np.array([1, 2, 1, 3, 2, 1]), np.zeros(6, bool))
    assert texts[0] == texts[2] == texts[5]
    assert texts[1] == texts[4]
    assert len(set(texts)) == 3


def test_limited_networks_show_few_exits():
    one = tenant(0)
    hotel = int(one.internet.of_kind(internet.HOTEL)[0])
    texts = internet.addresses(one.internet, np.full(500, hotel), np.arange(500), np.zeros(500, bool))
    assert len(set(texts)) <= 8


def test_networks_do_not_share_blocks():
    networks = tenant(0).internet.networks
    taken = [
        (first + number) % 515
        for first, count in zip(networks["block"], networks["blocks"], strict=True)
        for number in range(count)
    ]
    assert len(set(taken)) == len(taken)


def test_the_device_in_use_is_the_latest_one_started():
    one = tenant(0, phones_per_year=2.0)
    fleet = one.devices
    persons = one.rows_of(people.PERSON)
    for day in (-40, 0, 37, 200, 399):
        for slot in range(3):
            current = fleet.current(persons, slot, day)
            rows = fleet.devices[current]
            assert (rows["identity_no"] == persons).all()
            assert (rows["slot"] == slot).all()
            assert ((rows["from_day"] <= day) & (day < rows["until_day"])).all()


def test_phones_are_replaced_at_the_drawn_rate_and_more_after_christmas():
    one = tenant(0, mailboxes=1000, phones_per_year=0.4)
    phones = one.devices.devices[one.devices.devices["slot"] == devices.PHONE]
    new = phones["from_day"][(phones["from_day"] >= 0) & (phones["from_day"] < 365)]
    christmas = (dt.date(2026, 12, 26) - EPOCH).days
    wave = ((new >= christmas) & (new < christmas + 5)).sum()
    people_count = one.devices.first.shape[0]
    assert (len(new) - wave) / people_count == pytest.approx(0.4, abs=0.08)
    assert wave / people_count > 0.05


def test_trips_start_at_the_drawn_rate_and_sleep_in_hotels():
    one = tenant(0, mailboxes=600)
    trips = one.calendar.trips[one.calendar.trips["kind"] == calendar.TRAVEL]
    days = (calendar.LAST_DAY - calendar.FIRST_DAY) * len(one.rows_of(people.PERSON))
    assert len(trips) / days == pytest.approx(1 / 75, rel=0.06)
    assert set(one.internet.networks["kind"][trips["network_no"]].tolist()) == {internet.HOTEL}


def test_all_hardness_events_happen_somewhere():
    seen = set()
    for number in range(12):
        one = tenant(
            number,
            mailboxes=60,
            site_events_per_year=20.0,
            reviews_per_year=10.0,
            merger_chance=0.5,
            conferences_per_year=4.0,
            roll_outs_per_year=6.0,
        )
        seen |= {happening.kind for happening in one.calendar.happenings}
    assert seen == set(calendar.HAPPENINGS)


def test_an_office_move_changes_the_network_of_its_site_from_that_day():
    for number in range(20):
        one = tenant(number, mailboxes=60, site_events_per_year=12.0)
        moves = one.calendar.site_states[one.calendar.site_states["from_day"] > 0]
        for move in moves[:1]:
            day, site = int(move["from_day"]), int(move["site"])
            assert one.calendar.sites_on(day - 1)[site] != move
            assert one.calendar.sites_on(day)[site]["host"] == move["host"]


@pytest.mark.parametrize(
    ("city", "date", "minutes"),
    [("Paris", dt.date(2026, 1, 5), 60), ("Paris", dt.date(2026, 7, 1), 120), ("Tokyo", dt.date(2026, 7, 1), 540),
     ("New York", dt.date(2026, 1, 5), -300), ("Bengaluru", dt.date(2026, 1, 5), 330)],
)  # fmt: skip
def test_local_time_knows_summer_time(city, date, minutes):
    number = [town for _, town, _ in internet.CITIES].index(city)
    assert calendar.utc_offset_min(number, (date - dt.date(1970, 1, 1)).days) == minutes


def test_every_market_application_has_its_own_id_and_a_rented_network():
    one = tenant(0)
    assert len({app.app_id for app in one.market}) == len(one.market) > 100
    kinds = {int(one.internet.networks["kind"][app.network_no]) for app in one.market}
    assert kinds <= {internet.CLOUD, internet.HOSTING}
    assert {app.name for app in one.market} >= {"eM Client", "SigParser"}

"""The campaign holds what public sources tell of it."""

import datetime as dt

import pytest

from brokenseal.drill import _replay_campaign as campaign
from brokenseal.drill import apps, internet
from brokenseal.drill.tables import INTENT
from drill.replay_cases import organisation, small

CASE = campaign.STORM_0558
STATE = CASE.organisations[0]


def test_there_are_25_organisations_ten_of_them_in_the_united_states():
    assert [one.number for one in CASE.organisations] == list(range(1, 26))
    assert sum(one.countries == campaign.US for one in CASE.organisations) == 10
    assert sum(one.countries == campaign.EUROPE for one in CASE.organisations) == 15


def test_the_state_department_lost_60_000_messages_of_ten_mailboxes():
    assert (STATE.victims, STATE.messages, STATE.has_reads_2023) == (10, 60_000, True)
    assert (STATE.first_day, STATE.last_day) == (dt.date(2023, 5, 15), dt.date(2023, 6, 16))


def test_nobody_is_read_outside_the_published_time():
    assert min(one.first_day for one in CASE.organisations) == dt.date(2023, 5, 15)
    assert max(one.last_day for one in CASE.organisations) == dt.date(2023, 6, 16)
    assert all(one.first_day.weekday() < 5 and one.last_day.weekday() < 5 for one in CASE.organisations)


@pytest.fixture(scope="module")
def stage():
    return campaign.scene_of(CASE, STATE, 2023, 7)


def test_the_actor_keeps_its_published_hours(stage):
    for visit in stage.plans[0].visits:
        starts = dt.datetime.fromtimestamp(visit["starts_at_us"] / 1e6, tz=dt.UTC)
        ends = starts + dt.timedelta(seconds=visit["duration_s"])
        assert starts.weekday() < 5
        assert 0 <= starts.hour < 9
        assert (ends.date(), ends.hour < 9) == (starts.date(), True)
        assert STATE.first_day <= starts.date() <= STATE.last_day


def test_it_reads_by_the_web_client_and_by_its_interface(stage):
    paths = {(one["protocol"], one["app_id"], one["client_app_id"]) for one in stage.plans[0].visits}

    assert paths == {
        ("owa", apps.OUTLOOK_WEB, apps.OUTLOOK_WEB),
        ("rest_system", apps.OUTLOOK_WEB, apps.PORTAL),
    }


def test_an_intruder_adds_nothing_but_rows_of_the_common_table(stage):
    allowed = {column.name for column in INTENT.columns}

    assert all(set(one) <= allowed for one in stage.plans[0].visits)
    assert {one["token_source"] for one in stage.plans[0].visits} == {"forged_structured"}


def test_ten_mailboxes_are_read_and_nobody_signs_in(stage):
    assert len({one["mailbox_no"] for one in stage.plans[0].visits}) == 10
    assert {one["auth"] for one in stage.plans[0].visits} == {"session"}
    assert {one["kind"] for one in stage.plans[0].visits} == {"read"}


def test_both_log_epochs_tell_of_the_same_people_mail_and_intruder(stage):
    other = campaign.scene_of(CASE, STATE, 2026, 7)

    assert other.plans[0].visits == stage.plans[0].visits
    assert other.tenant.mailbox_upns == stage.tenant.mailbox_upns
    assert (other.mail.counts == stage.mail.counts).all()
    assert (stage.tenant.parameters.log_epoch, other.tenant.parameters.log_epoch) == (2023, 2025)


@pytest.mark.parametrize("countries", [campaign.US, campaign.EUROPE])
def test_an_organisation_lies_where_it_should(countries):
    tenant = campaign.scene_of(small(), organisation(countries=countries), 2023, 3).tenant

    assert internet.CITIES[int(tenant.sites["city"][0])][0] in countries
    assert tenant.name == "Organisation 1 (simulated)"


@pytest.mark.parametrize(("epoch", "licensed"), [(2023, False), (2026, True)])
def test_reads_are_audited_where_the_organisation_has_them_audited(epoch, licensed):
    tenant = campaign.scene_of(small(), organisation(has_reads_2023=False), epoch, 3).tenant

    assert set(tenant.mailboxes["is_licensed"].tolist()) == {licensed}


def test_somebody_is_read_on_the_first_day_and_on_the_last():
    (cut,) = [one for one in CASE.organisations if one.name == "Commerce Department"]
    stage = campaign.scene_of(CASE, cut, 2023, 7)
    days = {one["day"] for one in stage.plans[0].visits}

    assert min(days) == campaign.day_of(stage.tenant, cut.first_day)
    assert max(days) == campaign.day_of(stage.tenant, cut.last_day)


def test_another_seed_gives_other_people():
    one, other = (campaign.scene_of(small(), organisation(), 2023, seed) for seed in (3, 4))

    assert one.tenant.mailbox_upns != other.tenant.mailbox_upns

"""Honest visits and changes of a day."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pytest

from brokenseal import schema
from brokenseal.drill import (
    _scripts,
    apps,
    calendar,
    changes,
    devices,
    intents,
    internet,
    people,
    presence,
    tables,
)
from brokenseal.drill.presence import column
from drill.drill_tenants import fresh, tenant

DAY_US = tables.DAY_US


@functools.lru_cache(maxsize=64)
def days_of(tenant_no: int, first: int, last: int, **changed: float) -> tuple[pa.Table, pa.Table]:
    one = tenant(tenant_no, **changed)
    span = range(first, last)
    return (
        tables.concat([intents.day_intents(one, day) for day in span]),
        tables.concat([intents.day_changes(one, day) for day in span]),
    )


def records(visits: pa.Table) -> np.ndarray:
    """Audit records that visits will give: one per started window of two minutes, and one per copied folder."""
    reads, pace = tables.numbers(visits, "reads"), tables.numbers(visits, "pace_s")
    return np.where(reads > 0, np.minimum(reads, 1 + reads * pace / 120), 0) + tables.numbers(visits, "syncs")


@pytest.mark.parametrize("day", [-3, 0, 40, 83])
def test_a_day_regenerates_alone(day):
    after_others = tenant(0)
    for other in range(day, day - 3, -1):
        intents.day_intents(after_others, other)
    alone = fresh(0)

    assert intents.day_intents(after_others, day).equals(intents.day_intents(alone, day))
    assert intents.day_changes(after_others, day).equals(intents.day_changes(alone, day))


def test_another_seed_gives_another_day():
    one, two = intents.day_intents(tenant(0), 8), intents.day_intents(tenant(0, seed=12), 8)
    assert not set(tables.words(one, "address").tolist()) >= set(tables.words(two, "address").tolist())
    assert one.num_rows != two.num_rows


def test_visits_are_in_time_order_numbered_and_within_their_day():
    one = tenant(0)
    for day in (0, 5, 30):
        visits = intents.day_intents(one, day)
        starts = tables.numbers(visits, "starts_at_us")
        assert visits.schema == tables.INTENT.arrow_schema()
        assert (np.diff(starts) >= 0).all()
        assert one.day_starts_us(day) <= starts[0]
        assert starts[-1] < one.day_starts_us(day + 1)
        assert tables.numbers(visits, "intent_id").tolist() == tables.row_number(day, visits.num_rows).tolist()
        assert set(tables.numbers(visits, "day").tolist()) == {day}


def test_words_come_from_the_closed_vocabularies():
    visits, made = days_of(0, 0, 14)
    allowed = {
        "kind": tables.INTENT_KINDS,
        "auth": tables.AUTH_WAYS,
        "protocol": (*tables.PROTOCOLS, None),
        "read_scope": tables.READ_SCOPES,
        "token_source": ("normal",),
        "client_class": devices.CLIENT_NAMES,
        "folder_scope": ("inbox", "usual", "any"),
        "send_as": ("none", "as", "on_behalf"),
    }
    for name, words in allowed.items():
        assert set(tables.words(visits, name).tolist()) <= set(words), name
    changes = next(one.meaning for one in schema.CONFIG_CHANGE.columns if one.name == "change")
    known = {word.strip() for part in changes.split(" or ") for word in part.split(",")}
    assert set(tables.words(made, "change").tolist()) <= known


def test_numbers_point_into_the_tenant():
    one = tenant(0)
    visits, _ = days_of(0, 0, 14)
    for name, count in (
        ("identity_no", len(one.identities)),
        ("mailbox_no", len(one.mailboxes)),
        ("device_no", len(one.devices.devices)),
        ("network_no", len(one.internet.networks)),
    ):
        values = tables.numbers(visits, name)
        assert values.min() >= -1
        assert values.max() < count
    for name in ("reads", "syncs", "sends", "moves", "deletes", "attachments", "searches"):
        assert tables.numbers(visits, name).min() >= 0
    assert (tables.numbers(visits, "pace_s") > 0).all()
    assert (tables.numbers(visits, "attachments") <= tables.numbers(visits, "reads")).all()
    is_mail = (tables.numbers(visits, "reads") + tables.numbers(visits, "syncs")) > 0
    assert (tables.numbers(visits, "mailbox_no")[is_mail] >= 0).all()


def test_each_session_begins_with_exactly_one_interactive_sign_in():
    one = tenant(0, prior="test")
    begun: dict[int, int] = {}
    signed_in: list[int] = []
    for day in range(24):
        visits = intents.day_intents(one, day)
        session, started = tables.numbers(visits, "session_no"), tables.numbers(visits, "session_started_us")
        starts, is_interactive = tables.numbers(visits, "starts_at_us"), tables.words(visits, "auth") == "interactive"
        people_own = (session >= 0) & (session < 1 << 40)
        assert (starts[people_own] >= started[people_own]).all()
        assert (starts[people_own & is_interactive] == started[people_own & is_interactive]).all()
        signed_in += session[people_own & is_interactive].tolist()
        for number, moment in zip(session[people_own].tolist(), started[people_own].tolist(), strict=True):
            assert begun.setdefault(number, moment) == moment
    assert len(set(signed_in)) == len(signed_in)
    assert {number for number, moment in begun.items() if moment >= one.epoch_us} == set(signed_in)


@pytest.mark.parametrize("tenant_no", range(6))
def test_microsoft_origins_take_the_drawn_share_of_records(tenant_no):
    one = tenant(tenant_no)
    visits, _ = days_of(tenant_no, 7, 21)
    is_microsoft = tables.numbers(visits, "is_microsoft_origin")
    share = records(visits)[is_microsoft].sum() / records(visits).sum()
    assert share == pytest.approx(one.parameters.microsoft_share, abs=0.07)


def test_microsoft_origins_take_most_records_in_train():
    shares = []
    for tenant_no in range(6):
        visits, _ = days_of(tenant_no, 7, 21)
        is_microsoft = tables.numbers(visits, "is_microsoft_origin")
        shares.append(records(visits)[is_microsoft].sum() / records(visits).sum())
    assert 0.55 <= np.mean(shares) <= 0.75


@pytest.mark.parametrize("tenant_no", range(3))
def test_mailboxes_give_the_drawn_number_of_records(tenant_no):
    one = tenant(tenant_no)
    visits, _ = days_of(tenant_no, 7, 21)
    measured = records(visits).sum() / 14 / len(one.mailboxes)
    assert measured == pytest.approx(one.mailboxes["records_per_day"].mean(), rel=0.25)


def test_origin_and_address_agree():
    one = tenant(0)
    visits, _ = days_of(0, 0, 14)
    kinds = one.internet.networks["kind"][tables.numbers(visits, "network_no")]
    is_mail = tables.numbers(visits, "mailbox_no") >= 0
    is_microsoft = tables.numbers(visits, "is_microsoft_origin")
    assert ((kinds == internet.MICROSOFT)[is_mail] == is_microsoft[is_mail]).all()
    address, mail_address = tables.words(visits, "address"), tables.words(visits, "mail_address")
    flapping = address != mail_address
    dual = one.identities["is_dual_stack"][tables.numbers(visits, "identity_no")]
    assert flapping.any()
    assert dual[flapping].all()


def test_people_work_in_their_own_hours_and_days():
    one = tenant(0, mailboxes=300)
    visits, _ = days_of(0, 7, 21, mailboxes=300)
    identity = tables.numbers(visits, "identity_no")
    own = (tables.words(visits, "truth_actor_kind") == "owner") & (tables.numbers(visits, "mailbox_no") == identity)
    own &= np.isin(tables.words(visits, "client_class"), ["outlook_desktop", "owa", "new_outlook", "mac_outlook"])
    city = presence.presence(one).city[identity[own], [column(day) for day in tables.numbers(visits, "day")[own]]]
    offset = np.array([calendar.utc_offset_min(int(one_city), one.epoch_day + 7) for one_city in city])
    minute = ((tables.numbers(visits, "starts_at_us")[own] - one.epoch_us) // tables.MINUTE_US + offset) % 1440
    assert ((minute >= 7 * 60) & (minute < 19 * 60)).mean() > 0.8
    assert ((minute >= 1 * 60) & (minute < 5 * 60)).mean() < 0.03
    weekday = tables.numbers(visits, "day")[own] % 7
    assert (weekday >= 5).mean() < 0.08


def test_nobody_reads_before_joining_or_after_leaving():
    one = tenant(0, leavers_per_year=0.5)
    visits, made = days_of(0, 15, 40, leavers_per_year=0.5)
    identity, day = tables.numbers(visits, "identity_no"), tables.numbers(visits, "day")
    acts = (tables.numbers(visits, "reads") + tables.numbers(visits, "syncs") > 0) & (identity >= 0)
    who = one.identities[identity]
    assert (who["left_day"] < 40).any()
    assert ((who["joined_day"] <= day) & (day < who["left_day"]))[acts].all()
    changed_by = tables.numbers(made, "identity_no")
    when = (tables.numbers(made, "at_us") - one.epoch_us) // DAY_US
    human = changed_by >= 0
    assert (when[human] < one.identities["left_day"][changed_by[human]]).all()


def test_a_holiday_is_a_quiet_day():
    one = tenant(0)
    country = {city: code for city, (code, _, _) in enumerate(internet.CITIES)}
    status = presence.presence(one).status
    persons = one.identities[: len(status)]
    for day in range(100):
        at_rest = np.array([calendar.is_holiday(country[int(city)], one.epoch_day + day) for city in persons["city"]])
        at_rest &= persons["role"] != people.SHIFT
        assert (status[at_rest, column(day)] != presence.WORKING).all()


def test_travellers_are_in_hotels():
    one = tenant(0, mailboxes=300)
    trips = one.calendar.trips
    visits, _ = days_of(0, 0, 14, mailboxes=300)
    kinds = one.internet.networks["kind"][tables.numbers(visits, "network_no")]
    identity, day = tables.numbers(visits, "identity_no"), tables.numbers(visits, "day")
    on_computer = np.isin(tables.words(visits, "client_class"), ["outlook_desktop", "owa", "new_outlook"])
    travelling = trips[(trips["kind"] == calendar.TRAVEL) & (trips["from_day"] >= 0) & (trips["until_day"] <= 14)]
    seen = np.zeros(len(kinds), dtype=bool)
    for trip in travelling:
        seen |= (identity == trip["identity_no"]) & (day >= trip["from_day"]) & (day < trip["until_day"])
    found = kinds[seen & on_computer]
    assert len(found) > 50
    assert np.isin(found, (internet.HOTEL, internet.VENUE)).mean() > 0.9
    assert (kinds[~seen & on_computer] == internet.HOTEL).mean() < 0.08


def test_delegates_open_only_what_they_may():
    one = tenant(0)
    visits, _ = days_of(0, 0, 14)
    delegates = tables.numbers(visits, "logon_type") == 2
    assert delegates.sum() > 50
    allowed = {
        (int(grant["identity_no"]), int(grant["mailbox_no"])): (int(grant["from_day"]), int(grant["until_day"]))
        for grant in one.delegations
    }
    for row in visits.filter(pa.array(delegates)).select(["identity_no", "mailbox_no", "day"]).to_pylist():
        first, last = allowed[row["identity_no"], row["mailbox_no"]]
        assert first <= row["day"] < last


def test_applications_act_by_themselves_only_with_their_own_credential():
    visits, _ = days_of(0, 0, 14)
    auth, kind = tables.words(visits, "auth"), tables.words(visits, "truth_actor_kind")
    by_credential = np.isin(auth, ["client_secret", "certificate"])
    assert by_credential.any()
    assert set(kind[by_credential].tolist()) == {"app"}
    assert (tables.numbers(visits, "user_type")[by_credential] == 5).all()
    assert set(auth[kind == "service"].tolist()) <= {"internal", "first_party", "none"}


def test_every_change_belongs_to_one_visit_and_system_noise_dominates_mailbox_changes():
    visits, made = days_of(0, 0, 14)
    kind = tables.words(visits, "kind")
    ids = tables.numbers(visits, "intent_id")[kind == "change"]
    assert sorted(ids.tolist()) == sorted(tables.numbers(made, "intent_id").tolist())
    by_visit = dict(
        zip(tables.numbers(visits, "intent_id").tolist(), tables.numbers(visits, "identity_no").tolist(), strict=True)
    )
    changed = zip(tables.numbers(made, "intent_id").tolist(), tables.numbers(made, "identity_no").tolist(), strict=True)
    assert all(by_visit[intent] == identity for intent, identity in changed)
    mailbox = tables.words(made, "operation") == "Set-Mailbox"
    assert tables.numbers(made, "is_by_system")[mailbox].mean() > 0.9


def test_inbox_rules_and_doors_come_at_the_drawn_rates():
    one = tenant(0, doors_per_100_month=12.0, rules_per_year=40.0)
    _, made = days_of(0, 0, 28, doors_per_100_month=12.0, rules_per_year=40.0)
    rules = (tables.words(made, "change") == "inbox_rule").sum()
    persons = len(one.rows_of(people.PERSON))
    expected = persons * one.parameters.rules_per_year * 28 / 365
    assert rules == pytest.approx(expected, abs=4 * np.sqrt(expected))
    doors = [
        change
        for change in one.changes
        if change.change
        in {
            "mailbox_permission",
            "recipient_permission",
            "role_member",
            "app_credential",
            "app_owner",
            "transport_rule",
        }
        and "Remove" not in change.operation
    ]
    handovers = (one.delegations["kind"] == 2).sum()
    expected = 12.0 * 1.2 * 440 / 30
    assert len(doors) - handovers == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_guesses_from_outside_always_fail_and_nothing_else_does():
    visits, _ = days_of(0, 0, 14)
    fails = tables.numbers(visits, "sign_in_fails")
    outside = tables.words(visits, "truth_actor_kind") == "outsider"
    assert outside.any()
    assert (fails == outside).all()


def test_no_honest_visit_carries_an_attack():
    visits, made = days_of(0, 0, 14)
    for table in (visits, made):
        assert set(tables.words(table, "truth_attack_id").tolist()) == {None}
        assert set(tables.numbers(table, "truth_instance").tolist()) == {-1}
    assert not tables.numbers(visits, "claim_tenant_wrong").any()
    assert not tables.numbers(visits, "session_copied").any()


def test_merging_does_not_tell_who_wrote_a_row():
    one = tenant(0)
    honest, changed = intents.day_intents(one, 9), intents.day_changes(one, 9)
    chosen = pa.array(np.arange(0, 300, 30))
    added = honest.take(chosen)
    ids = intents.attack_ids(9, 0, added.num_rows)
    place = added.schema.get_field_index("intent_id")
    added = added.set_column(place, added.schema.field(place), pa.array(ids))
    stage = added.schema.get_field_index("truth_stage")
    added = added.set_column(stage, added.schema.field(stage), pa.array(["read"] * 10).dictionary_encode())

    one_way, its_changes = intents.merge(9, [honest, added], [changed])
    other_way, _ = intents.merge(9, [added, honest], [changed])

    assert one_way.num_rows == honest.num_rows + 10
    assert (np.diff(tables.numbers(one_way, "starts_at_us")) >= 0).all()
    assert tables.numbers(one_way, "intent_id").tolist() == tables.row_number(9, one_way.num_rows).tolist()
    assert tables.numbers(one_way, "starts_at_us").tolist() == tables.numbers(other_way, "starts_at_us").tolist()
    assert (tables.words(one_way, "truth_stage") == "read").sum() == 10
    whose = dict(zip(tables.numbers(one_way, "intent_id").tolist(), tables.words(one_way, "kind"), strict=True))
    assert {whose[one_id] for one_id in tables.numbers(its_changes, "intent_id").tolist()} == {"change"}
    assert its_changes.num_rows == changed.num_rows


# ---------------------------------------------------------------- what makes honest people look like intruders


def test_every_tenant_has_scripts_of_each_kind_in_the_web_client():
    visits, _ = days_of(0, 0, 30)
    agents, client = tables.words(visits, "user_agent"), tables.words(visits, "client_class")
    is_script = np.isin(agents, apps.SCRIPT_AGENTS) & (client == "owa")
    assert set(agents[is_script].tolist()) == set(apps.SCRIPT_AGENTS)
    assert (tables.numbers(visits, "device_no")[is_script] == -1).all()
    assert is_script.mean() < 0.05
    # They run in the session of whoever wrote them.
    assert (tables.numbers(visits, "session_no")[is_script] >= 0).all()


def test_partners_with_delegated_administration_open_mailboxes_on_some_days():
    visits, _ = days_of(0, 0, 30)
    is_partner = tables.numbers(visits, "logon_type") == 6
    days = set(tables.numbers(visits, "day")[is_partner].tolist())
    assert 1 <= len(days) <= 15
    assert set(tables.numbers(visits, "user_type")[is_partner].tolist()) == {10}
    assert set(tables.words(visits, "truth_actor_kind")[is_partner].tolist()) == {"guest"}


def test_people_sign_in_by_code_now_and_then():
    visits, _ = days_of(0, 0, 30)
    is_code = tables.words(visits, "auth") == "device_code"
    assert 0 < is_code.mean() < 0.01
    assert set(tables.words(visits, "client_app_id")[is_code].tolist()) == {apps.OFFICE, apps.BROKER}


def test_some_tenants_sign_their_people_in_themselves_and_the_others_never():
    kinds = {_scripts.is_federated_tenant(tenant(number)): number for number in range(12)}
    words = {kind: set(tables.words(days_of(number, 0, 3)[0], "auth").tolist()) for kind, number in kinds.items()}
    assert "federated" in words[True]
    assert "federated" not in words[False]


def test_a_few_people_hide_behind_a_tunnel_at_home():
    one = tenant(0)
    visits, _ = days_of(0, 0, 30)
    kind = one.internet.networks["kind"][tables.numbers(visits, "network_no")]
    by_owner = tables.words(visits, "truth_actor_kind") == "owner"
    assert 0 < (kind[by_owner] == internet.CONSUMER_VPN).mean() < 0.1


def test_whatever_intruders_change_honest_people_change_too():
    _, made = days_of(0, 0, 25, doors_per_100_month=100.0)
    operations = set(tables.words(made, "operation").tolist())
    assert operations >= {
        "Add-MailboxFolderPermission",
        "Remove-MailboxFolderPermission",
        "Add-MailboxPermission",
        "Remove-MailboxPermission",
        "New-ManagementRoleAssignment",
        "Add app role assignment to service principal.",
        "New-TransportRule",
        "New-InboxRule",
        changes.CREDENTIALS,
    }
    assert "strong_auth" in tables.words(made, "change").tolist()
    folders = tables.words(made, "folder")[tables.words(made, "change") == "inbox_rule"]
    assert len(set(folders.tolist()) - {None}) > 1

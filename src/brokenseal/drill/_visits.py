"""Visits of people to mailboxes, their own and others', and their other sign-ins, for one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import _scripts, apps, calendar, devices, people, streams
from brokenseal.drill.presence import (
    BROWSER,
    FAMILIES,
    PHONE,
    WORKING,
    column,
    places,
    presence,
    session_started_us,
)
from brokenseal.drill.tables import DAY_US, MINUTE_US, SECOND_US, Coded

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

Columns = dict[str, Any]

# Per family: folder copies, mean reads and seconds between reads of a visit, and the records that come of it
# (two-minute aggregation: about one record per started window).
_COPIES: Final = (1.6, 0.0, 0.0, 0.2)
_READS: Final = (2.6, 5.5, 3.0, 3.5)
_PACE: Final = (40.0, 28.0, 16.0, 25.0)
_RECORDS: Final = (3.3, 2.1, 1.4, 1.7)
_CALM: Final = 30.0
_SCOPES: Final = ("arrivals", "newest", "threads", "search")
_SCOPE_WEIGHTS: Final = (0.7, 0.12, 0.1, 0.08)
MFA: Final = ("push", "code", "fido", "remembered")
MFA_WEIGHTS: Final = (0.55, 0.2, 0.1, 0.15)
FAILED_TRIES: Final = (0.87, 0.1, 0.03)
"""Chances of none, one and two failures before an interactive sign-in."""
_OTHER_RECORDS: Final = 0.93
"""What is left for people after third-party applications took their share of records."""


def by_client(client: npt.NDArray[Any], attribute: str) -> Coded:
    """An attribute of `devices.CLIENTS` for each visit; "" becomes null."""
    values = [getattr(one, attribute) for one in devices.CLIENTS]
    words = sorted({value for value in values if value})
    codes = np.array([words.index(value) if value else -1 for value in values], dtype=np.int32)
    return Coded(codes[client], words)


def client_columns(client: npt.NDArray[Any]) -> Columns:
    """The columns that follow from the kind of client."""
    protocol = by_client(client, "protocol")
    return {
        "client_class": by_client(client, "name"),
        "protocol": protocol,
        "app_id": by_client(client, "app_id"),
        "client_app_id": by_client(client, "client_app_id"),
        "resource_id": by_client(client, "resource_id"),
    }


def own_visits(tenant: Tenant, day: int) -> Columns:
    """Visits of people to their own mailbox."""
    rng = tenant.stream("day", day, "own visits")
    days = presence(tenant)
    count = len(days.status)
    place = column(day)
    share = np.stack([tenant.identities[family][:count] for family in FAMILIES], axis=1)
    share = np.where(days.is_open[:, :, place], share, 0.0)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
    is_working = days.status[:, place] == WORKING
    wanted = tenant.mailboxes["records_per_day"][:count] * (1 - tenant.parameters.microsoft_share) * _OTHER_RECORDS
    # Nearly all of it falls on the 4.6 days of a working week that remain after leave and holidays.
    mood = np.exp(0.35 * rng.standard_normal(count) - 0.06)
    wanted = wanted * mood * np.where(is_working, 7 / 4.7, 0.12)
    crowd = np.sqrt(np.maximum(wanted / _CALM, 1.0))
    expected = wanted[:, None] * share / np.array(_RECORDS) / crowd[:, None]
    visits = np.where(days.is_open[:, :, place], np.maximum(rng.poisson(np.minimum(expected, 80)), 1), 0)
    rows, _ = streams.spread(visits.ravel())
    person, family = rows // len(FAMILIES), rows % len(FAMILIES)
    return person_visits(tenant, day, rng, person, family, crowd=crowd[person], mailbox=person, is_own=True)


def delegate_visits(tenant: Tenant, day: int) -> Columns:
    """Visits of assistants, members of shared mailboxes, successors and fixing administrators."""
    rng = tenant.stream("day", day, "delegate visits")
    days = presence(tenant)
    grants = tenant.delegations
    grants = grants[(grants["from_day"] <= day) & (day < grants["until_day"])]
    is_there = days.status[grants["identity_no"], column(day)] == WORKING
    visits = np.where(is_there, rng.poisson(grants["visits"]), 0)
    rows, _ = streams.spread(visits)
    person = grants["identity_no"][rows].astype(np.int64)
    family = _open_family(tenant, day, rng, person, (0.7, 0.25, 0.0, 0.05))
    columns = person_visits(
        tenant,
        day,
        rng,
        person,
        family,
        crowd=np.ones(len(rows)),
        mailbox=grants["mailbox_no"][rows].astype(np.int64),
        is_own=False,
    )
    is_fix = grants["kind"][rows] == people.DELEGATION_KINDS.index("fix")
    kind = grants["kind"][rows]
    columns["logon_type"] = 2
    columns["send_as"] = Coded(np.where(kind == 1, 1, np.where(kind == 0, 2, 0)), ("none", "as", "on_behalf"))
    columns["truth_actor_kind"] = Coded(is_fix.astype(np.int32), ("delegate", "admin"))
    return columns


def person_visits(
    tenant: Tenant,
    day: int,
    rng: np.random.Generator,
    person: npt.NDArray[np.int64],
    family: npt.NDArray[np.int64],
    *,
    crowd: npt.NDArray[np.float64],
    mailbox: npt.NDArray[np.int64],
    is_own: bool,
) -> Columns:
    """Visits as people make them with their own devices, from where they are that day; every column of an intent.

    Args:
        tenant: The tenant.
        day: The day.
        rng: Draws times, volumes and scopes.
        person: Identity of each visit.
        family: Family of clients of each visit, as in `presence.FAMILIES`.
        crowd: Factor on the messages read per visit.
        mailbox: Mailbox of each visit.
        is_own: These are the visits that sign sessions in.
    """
    days = presence(tenant)
    minutes = working_minutes(tenant, day, rng, person, family, days.status[person, column(day)])
    starts = tenant.day_starts_us(day) + (minutes * MINUTE_US).astype(np.int64)
    session = days.session[person, family, column(day)]
    started_day = days.started_day[person, family, column(day)]
    signed_in = session_started_us(tenant, person, family, started_day)
    starts, is_sign_in = _begin_sessions(
        starts, signed_in, session, started_day == day, day_ends=tenant.day_starts_us(day + 1), is_own=is_own
    )
    device, client = _device_and_client(tenant, day, rng, person, family)
    place = places(
        tenant, day, person, is_phone=family == PHONE, minute=(starts - tenant.day_starts_us(day)) // MINUTE_US
    )
    machine = tenant.devices.devices[device]
    kinds = np.array([one.agent for one in devices.CLIENTS], dtype=object)[client]
    agent, version = devices.agents(machine, kinds, epoch_day=tenant.epoch_day, day=day, channel=tenant.office_channel)
    method = streams.pick(streams.hashed_uniform(tenant.key("mfa"), person), MFA_WEIGHTS)
    is_unlogged = np.array([one.name in tenant.unlogged_classes for one in devices.CLIENTS])[client]
    is_script = _scripts.scripted(tenant, person, client, starts) & ~is_sign_in
    agent, device, place = _scripts.as_script(tenant, is_script, person, agent, device, place)
    is_federated = is_sign_in & _scripts.is_federated_tenant(tenant)
    return {
        **client_columns(client),
        **_volumes(rng, family, client, crowd),
        "starts_at_us": starts,
        "identity_no": person,
        "mailbox_no": mailbox,
        "device_no": device,
        "user_agent": agent,
        "client_version": Coded(np.where(client == 0, version.codes, -1), version.words),
        "network_no": place.network_no,
        "address": place.address,
        "mail_address": place.mail_address,
        "session_no": session,
        "session_started_us": signed_in,
        "auth": Coded(is_sign_in.astype(np.int32) + is_federated, ("session", "interactive", "federated")),
        "mfa": Coded(np.where(is_sign_in, method + 1, 0), ("none", *MFA)),
        "failed_tries": np.where(is_sign_in, streams.choose(rng, FAILED_TRIES, len(person)), 0),
        "is_unlogged_flow": is_unlogged,
    }


def _volumes(
    rng: np.random.Generator, family: npt.NDArray[Any], client: npt.NDArray[Any], crowd: npt.NDArray[np.float64]
) -> Columns:
    """How much each visit reads, sends and tidies up, and at what pace."""
    count = len(family)
    reads = rng.poisson(rng.gamma(1.3, np.array(_READS)[family] * crowd / 1.3))
    copies = np.array([one.copies for one in devices.CLIENTS])[client]
    syncs = np.where(copies, 1 + rng.poisson(np.array(_COPIES)[family] * np.ones(count)), 0)
    reads = np.where((reads == 0) & (syncs == 0), 1, reads)
    pace = np.array(_PACE)[family] * np.exp(0.5 * rng.standard_normal(count))
    scope = streams.choose(rng, _SCOPE_WEIGHTS, count)
    return {
        "duration_s": reads * pace + streams.lognormal(rng, 240, 0.8, count),
        "kind": Coded((syncs > 0).astype(np.int32), ("read", "sync")),
        "reads": reads,
        "read_scope": Coded(scope, _SCOPES),
        "folder_scope": Coded(streams.choose(rng, (0.7, 0.25, 0.05), count), ("inbox", "usual", "any")),
        "folders": 1 + rng.binomial(3, 0.12, count) + np.where(syncs > 0, rng.poisson(0.8, count), 0),
        "syncs": syncs,
        "attachments": rng.binomial(reads, 0.12),
        "searches": (scope == _SCOPES.index("search")).astype(np.int32),
        "sends": rng.poisson(0.3 * np.sqrt(reads)),
        "moves": rng.poisson(0.06 * reads),
        "deletes": rng.poisson(0.12 * reads),
        "pace_s": pace,
    }


_TINY: Final = 1e-6
_EVENING: Final = (0.02, 0.12, 0.3, 0.2)


def working_minutes(
    tenant: Tenant, day: int, rng: np.random.Generator, person: Any, family: Any, status: Any
) -> npt.NDArray[np.float64]:
    """Minutes after 00:00 UTC: mostly the working day with a dip at noon, some evenings, days off from nine on."""
    who = tenant.identities[person]
    city = presence(tenant).city[person, column(day)]
    cities = np.unique(city)
    offsets = np.zeros(int(cities.max(initial=0)) + 1)
    for one in cities.tolist():
        offsets[one] = calendar.utc_offset_min(one, tenant.epoch_day + day)
    span = (who["ends_min"] - who["starts_min"]).astype(np.float64)
    # Two humps: the morning's and the afternoon's mail.
    in_morning = streams.chance(rng, 0.55, len(person))
    part = rng.beta(1.4, 1.7, len(person))
    at = who["starts_min"] + np.where(in_morning, part * 0.48, 0.5 + part * 0.5) * span
    is_late = rng.random(len(person)) < np.array(_EVENING)[family]
    at = np.where(is_late, who["ends_min"] + rng.gamma(2.0, 55.0, len(person)), at)
    at = np.where(status == WORKING, at, rng.uniform(9 * 60, 22 * 60, len(person)))
    # The evening may run past midnight UTC, and Asian mornings begin before it; a day keeps its own rows.
    minutes: npt.NDArray[np.float64] = (at - offsets[city]) % 1440.0
    return minutes


def _open_family(
    tenant: Tenant, day: int, rng: np.random.Generator, person: npt.NDArray[np.int64], weights: tuple[float, ...]
) -> npt.NDArray[np.int64]:
    """A family that the person has open that day, by these weights among those."""
    is_open = presence(tenant).is_open[person, :, column(day)]
    return streams.pick(rng.random(len(person)), is_open * (np.array(weights) + _TINY) + _TINY**2).astype(np.int64)


def _begin_sessions(
    starts: npt.NDArray[np.int64],
    signed_in: npt.NDArray[np.int64],
    session: npt.NDArray[np.int64],
    begins_today: npt.NDArray[np.bool_],
    *,
    day_ends: int,
    is_own: bool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """On a session's first day its first visit is the sign-in itself, and no visit comes before it."""
    late = np.where(begins_today & (starts < signed_in), signed_in + (signed_in - starts) % (90 * MINUTE_US), starts)
    late = np.minimum(late, day_ends - SECOND_US)
    is_sign_in = np.zeros(len(starts), dtype=bool)
    if is_own and len(starts):
        order = np.lexsort((late, session))
        is_first = np.ones(len(starts), dtype=bool)
        is_first[1:] = session[order][1:] != session[order][:-1]
        is_sign_in[order[is_first]] = True
        is_sign_in &= begins_today
    return np.where(is_sign_in, signed_in, late), is_sign_in


def _device_and_client(
    tenant: Tenant, day: int, rng: np.random.Generator, person: Any, family: Any
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    slot = np.choose(family, (devices.COMPUTER, devices.COMPUTER, devices.PHONE, devices.SECOND))
    # A browser whose cookies follow its owner turns up on the second machine with the same session.
    synced = tenant.identities["is_cookie_sync"][person] & (family == BROWSER) & (streams.chance(rng, 0.3, len(person)))
    device = tenant.devices.current(person, np.where(synced, devices.SECOND, slot), day)
    client = tenant.devices.devices["client"][device].astype(np.int64)
    names = devices.CLIENT_NAMES.index
    for roll_out in tenant.calendar.during("client_roll_out", day):
        ramp = streams.hashed_uniform(tenant.key("client roll-out", roll_out.from_day), person) * 35
        reached = np.isin(person, roll_out.people) & (day - roll_out.from_day >= ramp)
        client = np.where(reached & (client == names("outlook_desktop")), names("new_outlook"), client)
    client = np.where(family == BROWSER, names("owa"), client)
    is_companion = (client == names("outlook_desktop")) & (streams.chance(rng, 0.08, len(person)))
    return device, np.where(is_companion, names("outlook_ews"), client)


def other_sign_ins(tenant: Tenant, day: int) -> Columns:
    """Sign-ins of people to Teams, files and portals, and of guests; some Teams calls open a message."""
    rng = tenant.stream("day", day, "other sign-ins")
    days = presence(tenant)
    present = np.flatnonzero(days.status[:, column(day)] == WORKING)
    rows, _ = streams.spread(rng.poisson(1.6, len(present)))
    person = present[rows]
    family = _open_family(tenant, day, rng, person, (0.1, 0.6, 0.3, 0.0))
    columns = person_visits(tenant, day, rng, person, family, crowd=np.ones(len(rows)), mailbox=person, is_own=False)
    is_teams = streams.chance(rng, 0.6, len(rows))
    reads = np.where(is_teams & (streams.chance(rng, 0.12, len(rows))), 1, 0)
    names = devices.CLIENT_NAMES.index
    columns |= client_columns(np.where(is_teams, names("teams"), names("other")))
    columns |= dict.fromkeys(("syncs", "attachments", "searches", "sends", "moves", "deletes"), 0)
    columns["kind"] = Coded((reads > 0).astype(np.int32), ("sign_in", "read"))
    columns["mailbox_no"] = np.where(reads > 0, person, -1)
    columns["reads"] = reads
    columns["client_version"] = None
    columns["is_unlogged_flow"] = is_teams & ("teams" in tenant.unlogged_classes)
    # Meeting rooms, televisions and command lines ask for a code now and then.
    by_code = ~is_teams & streams.chance(rng, _BY_CODE, len(rows))
    columns["auth"] = Coded(by_code.astype(np.int32), ("session", "device_code"))
    columns["session_no"] = np.where(by_code, guest_session(person, day), columns["session_no"])
    columns["session_started_us"] = np.where(by_code, columns["starts_at_us"], columns["session_started_us"])
    names_of = [one.client_app_id for one in devices.CLIENTS if one.name in {"other", "teams"}]
    by_app = [*names_of, apps.OFFICE, apps.BROKER]
    plain = np.where(is_teams, by_app.index(apps.TEAMS), by_app.index(apps.OFFICE_365))
    asked = 2 + (streams.hashed(tenant.key("code app"), person, columns["starts_at_us"]) % np.uint64(2)).astype(
        np.int64
    )
    columns["client_app_id"] = Coded(np.where(by_code, asked, plain).astype(np.int32), by_app)
    return columns


_BY_CODE: Final = 0.02


def guest_sign_ins(tenant: Tenant, day: int) -> Columns:
    """Consultants from other organisations open files and chats; their sign-ins carry another home tenant."""
    rng = tenant.stream("day", day, "guests")
    guests = tenant.rows_of(people.GUEST)
    is_there = (tenant.identities["workdays"][guests] >> (day % 7)) & 1
    person = guests[(streams.chance(rng, 0.35, len(guests))) & (is_there == 1)]
    count = len(person)
    starts = tenant.day_starts_us(day) + (rng.uniform(7, 18, count) * 60 * MINUTE_US).astype(np.int64)
    client = np.full(count, devices.CLIENT_NAMES.index("other"))
    place = places(tenant, day, person, is_phone=np.zeros(count, bool), minute=np.zeros(count))
    device = tenant.devices.current(person, devices.COMPUTER, day)
    machine = tenant.devices.devices[device]
    kinds = np.full(count, "browser", dtype=object)
    agent, _ = devices.agents(machine, kinds, epoch_day=tenant.epoch_day, day=day, channel=0)
    return {
        **client_columns(client),
        "starts_at_us": starts,
        "duration_s": streams.lognormal(rng, 900, 1.0, count),
        "kind": "sign_in",
        "identity_no": person,
        "user_type": 10,
        "device_no": device,
        "user_agent": agent,
        "network_no": place.network_no,
        "address": place.address,
        "mail_address": place.mail_address,
        "session_no": guest_session(person, day),
        "session_started_us": starts,
        "auth": "interactive",
        **_dialogue(rng, count),
        "truth_actor_kind": "guest",
    }


_SUPPORTED_DAYS: Final = 0.12


def partner_visits(tenant: Tenant, day: int) -> Columns:
    """Partners with delegated administration open a mailbox for support, on some days."""
    rng = tenant.stream("day", day, "partners")
    guests = tenant.rows_of(people.GUEST)
    persons = tenant.rows_of(people.PERSON)
    count = int(rng.integers(1, 3)) if len(guests) and rng.random() < _SUPPORTED_DAYS else 0
    person = np.full(count, guests[day % len(guests)] if len(guests) else 0, dtype=np.int64)
    starts = tenant.day_starts_us(day) + np.sort(rng.uniform(7, 18, count) * 60 * MINUTE_US).astype(np.int64)
    client = np.full(count, devices.CLIENT_NAMES.index("owa"))
    place = places(tenant, day, person, is_phone=np.zeros(count, bool), minute=np.zeros(count))
    device = tenant.devices.current(person, devices.COMPUTER, day)
    kinds = np.full(count, "browser", dtype=object)
    agent, _ = devices.agents(tenant.devices.devices[device], kinds, epoch_day=tenant.epoch_day, day=day, channel=0)
    reads = np.maximum(streams.lognormal(rng, 8, 0.9, count).astype(np.int64), 1)
    return {
        **client_columns(client),
        "starts_at_us": starts,
        "duration_s": reads * 12.0 + 60.0,
        "kind": "read",
        "identity_no": person,
        "mailbox_no": rng.choice(persons, count),
        "logon_type": 6,
        "user_type": 10,
        "device_no": device,
        "user_agent": agent,
        "network_no": place.network_no,
        "address": place.address,
        "mail_address": place.mail_address,
        "session_no": guest_session(person, day),
        "session_started_us": starts[:1].repeat(count),
        "auth": Coded((np.arange(count) == 0).astype(np.int32), ("session", "interactive")),
        **_dialogue(rng, count),
        "reads": reads,
        "read_scope": "search",
        "searches": 1,
        "folder_scope": "usual",
        "pace_s": 12.0,
        "truth_actor_kind": "guest",
    }


def _dialogue(rng: np.random.Generator, count: int) -> Columns:
    """Second factor and failures of interactive sign-ins."""
    return {
        "mfa": Coded(streams.choose(rng, MFA_WEIGHTS, count), MFA),
        "failed_tries": streams.choose(rng, FAILED_TRIES, count),
    }


def guest_session(person: npt.NDArray[Any], day: int) -> npt.NDArray[np.int64]:
    """Session of a day, for identities without lasting sessions; never one of `Presence.session`."""
    sessions: npt.NDArray[np.int64] = (np.int64(1) << 40) + person.astype(np.int64) * 4096 + (day + 512)
    return sessions


def change_visits(tenant: Tenant, day: int, person: npt.NDArray[np.int64], at_us: npt.NDArray[np.int64]) -> Columns:
    """The visits in which people or the service make a change of configuration; `person` -1 is the service."""
    count = len(person)
    human = np.where((person >= 0) & (person < len(presence(tenant).status)), person, 0)
    is_service = person < 0
    is_admin = (tenant.identities["role"][human] == people.ADMIN) & ~is_service
    names = devices.CLIENT_NAMES.index
    shell = streams.hashed_chance(0.5, tenant.key("shell"), person, at_us // DAY_US)
    client = np.where(is_admin, np.where(shell, names("exchange_shell"), names("admin_center")), names("owa"))
    client = np.where(is_service, names("exchange_shell"), client)
    device = tenant.devices.current(human, devices.COMPUTER, day)
    kinds = np.array([one.agent for one in devices.CLIENTS], dtype=object)[client]
    agent, _ = devices.agents(
        tenant.devices.devices[device], kinds, epoch_day=tenant.epoch_day, day=day, channel=tenant.office_channel
    )
    place = places(tenant, day, human, is_phone=np.zeros(count, bool), minute=np.zeros(count))
    starts = at_us - 5 * SECOND_US
    session, started = _session_at(tenant, day, human, starts)
    # Somebody who has not opened a browser for weeks signs in for this alone.
    is_fresh = (started > starts) & ~is_service
    session = np.where(is_fresh, guest_session(human, day), session)
    started = np.where(is_fresh, starts, started)
    return {
        **client_columns(client),
        "starts_at_us": starts,
        "duration_s": 60.0,
        "kind": "change",
        "identity_no": person,
        "user_type": np.where(is_service, 3, np.where(is_admin, 2, 0)),
        "device_no": np.where(is_service, -1, device),
        "user_agent": Coded(np.where(is_service, -1, agent.codes), agent.words),
        "network_no": place.network_no,
        "address": place.address,
        "mail_address": place.mail_address,
        "session_no": np.where(is_service, -1, session),
        "session_started_us": np.where(is_service, 0, started),
        "auth": Coded(np.where(is_service, 1, np.where(is_fresh, 2, 0)), ("session", "none", "interactive")),
        "truth_actor_kind": Coded(np.where(is_service, 2, is_admin), ("owner", "admin", "service")),
    }


def _session_at(
    tenant: Tenant, day: int, person: npt.NDArray[np.int64], at_us: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Browser session in force at a moment, and when it began; before today's sign-in it is still yesterday's."""
    days = presence(tenant)
    browser = np.full(len(person), BROWSER)
    today, yesterday = column(day), max(column(day - 1), 0)
    began = session_started_us(tenant, person, browser, days.started_day[person, BROWSER, today])
    before = session_started_us(tenant, person, browser, days.started_day[person, BROWSER, yesterday])
    is_new = began <= at_us
    session = np.where(is_new, days.session[person, BROWSER, today], days.session[person, BROWSER, yesterday])
    return session, np.where(is_new, began, before)

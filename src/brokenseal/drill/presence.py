"""Which day each person works, where, and since when each sign-in session lives.

All of it follows from the tenant alone and is computed once per tenant for the whole horizon, so that any day can be
generated without the days before it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import calendar, internet, people, streams
from brokenseal.drill.calendar import FIRST_DAY, LAST_DAY
from brokenseal.drill.tables import DAY_US, MINUTE_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

FAMILIES: Final = ("desktop", "browser", "phone", "other")
DESKTOP, BROWSER, PHONE, OTHER = range(len(FAMILIES))
GONE, OFF, AWAY, WORKING = range(4)
"""Status of a day: not employed, a day off, on leave or ill, at work."""

PREFER_V6: Final = 0.6
"""Share of callers that prefer IPv6 where their network has it. Assumed."""

_SESSIONS_PER_FAMILY: Final = 4096
# Chance that a family of clients is opened at all on a day: at work by its share, else rarely, the phone excepted.
_OPENED_OFF: Final = (0.04, 0.05, 0.4, 0.05)
_OPENED_AWAY: Final = (0.01, 0.02, 0.2, 0.02)
_WEEK: Final = 7
_HIDES: Final = 0.04
_HIDES_ON: Final = 0.4
"""Share of people with a commercial tunnel, and of their days at home on which it is on. Assumed."""


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """Per person (and family) and day; days are columns from `calendar.FIRST_DAY`.

    Attributes:
        status: GONE, OFF, AWAY or WORKING, shape (people, days).
        trip_network: Hotel or venue of a trip; -1 where there is none.
        city: City the person is in.
        is_open: Whether the family is used that day, shape (people, 4, days).
        session: Number of the session, unique in the tenant, same shape.
        started_day: Day on which that session was signed in; the first visit of that day does it. On a day on which
            the family is not opened, both are those of the last day on which it was.
    """

    status: npt.NDArray[np.int8]
    trip_network: npt.NDArray[np.int32]
    city: npt.NDArray[np.int16]
    is_open: npt.NDArray[np.bool_]
    session: npt.NDArray[np.int64]
    started_day: npt.NDArray[np.int32]


def column(day: int) -> int:
    """Column of a day in the arrays of `Presence`."""
    return day - FIRST_DAY


@functools.lru_cache(maxsize=4)
def presence(tenant: Tenant) -> Presence:
    """The presence of all people of a tenant."""
    persons = tenant.identities[: len(tenant.rows_of(people.PERSON))]
    days = np.arange(FIRST_DAY, LAST_DAY)
    status, network, city = _status(tenant, persons, days)
    is_open = _opened(tenant, persons, status, days)
    session, started = _sessions(tenant, is_open, days)
    return Presence(status, network, city, is_open, session, started)


def _status(tenant: Tenant, persons: Any, days: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
    works = (persons["workdays"][:, None] >> (days % _WEEK)[None, :]) & 1
    status = np.where(works == 1, WORKING, OFF).astype(np.int8)
    for code in {internet.CITIES[int(city)][0] for city in np.unique(persons["city"])}:
        holidays = np.array([calendar.is_holiday(code, int(tenant.epoch_day + day)) for day in days])
        here = np.array([internet.CITIES[int(city)][0] == code for city in persons["city"]])
        status[np.ix_(here & (persons["role"] != people.SHIFT), holidays)] = OFF
    network = np.full(status.shape, -1, dtype=np.int32)
    city = np.repeat(persons["city"][:, None], len(days), axis=1).astype(np.int16)
    for trip in tenant.calendar.trips:
        span = slice(max(int(trip["from_day"]) - FIRST_DAY, 0), max(int(trip["until_day"]) - FIRST_DAY, 0))
        who = int(trip["identity_no"])
        if trip["kind"] in {calendar.LEAVE, calendar.SICK}:
            status[who, span] = np.minimum(status[who, span], AWAY)
        if trip["kind"] != calendar.SICK:
            network[who, span], city[who, span] = trip["network_no"], trip["city"]
    status[(days[None, :] < persons["joined_day"][:, None]) | (days[None, :] >= persons["left_day"][:, None])] = GONE
    return status, network, city


def _opened(tenant: Tenant, persons: Any, status: Any, days: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    shares = np.stack([persons[family] for family in FAMILIES], axis=1)
    working = np.minimum(0.05 + 2.6 * shares, 0.98)
    chance = np.zeros((len(persons), len(FAMILIES), len(days)))
    by_status = status[:, None, :]
    chance = np.where(by_status == WORKING, working[:, :, None], chance)
    chance = np.where(by_status == OFF, np.array(_OPENED_OFF)[None, :, None], chance)
    chance = np.where(by_status == AWAY, np.array(_OPENED_AWAY)[None, :, None], chance)
    person, family, day = np.indices(chance.shape, sparse=True)
    uniform = streams.hashed_uniform(tenant.key("opened"), person + 0 * family + 0 * day, family, day + FIRST_DAY)
    opened: npt.NDArray[np.bool_] = uniform < chance
    # Whoever works opens something.
    favourite = np.arange(len(FAMILIES))[None, :, None] == shares.argmax(axis=1)[:, None, None]
    opened |= favourite & ~opened.any(axis=1, keepdims=True) & (by_status == WORKING)
    return opened


def _sessions(
    tenant: Tenant, is_open: npt.NDArray[np.bool_], days: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    persons, families, count = is_open.shape
    person, family = np.indices((persons, families), sparse=True)
    frequency = np.array(tenant.sign_in_frequency_days, dtype=np.int64)[None, :]
    phase = (streams.hashed_uniform(tenant.key("session phase"), person + 0 * family, family) * frequency).astype(
        np.int64
    )
    # 4,096 sessions of at least a week are more than enough; the shift keeps early days positive.
    number = (days[None, None, :] + 3650 + phase[:, :, None]) // frequency[:, :, None]
    nominal = number * frequency[:, :, None] - 3650 - phase[:, :, None]
    # The session begins on the first day on which the family is opened; until then the one before lives on.
    following = np.full((persons, families, count + 1), count - 1, dtype=np.int64)
    for place in range(count - 1, -1, -1):
        following[:, :, place] = np.where(is_open[:, :, place], place, following[:, :, place + 1])
    started = np.take_along_axis(following, np.clip(nominal - FIRST_DAY, 0, count - 1), axis=2) + FIRST_DAY
    session = (person * families + family)[:, :, None] * _SESSIONS_PER_FAMILY + number
    latest = np.maximum.accumulate(np.where(is_open, np.arange(count)[None, None, :], 0), axis=2)
    return np.take_along_axis(session, latest, axis=2), np.take_along_axis(started, latest, axis=2).astype(np.int32)


def session_started_us(
    tenant: Tenant, person: npt.NDArray[Any], family: npt.NDArray[Any], started_day: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Moment of the interactive sign-in that began a session: within two hours of the start of the working day."""
    identities = tenant.identities[person]
    offset = np.array(
        [
            calendar.utc_offset_min(int(city), int(tenant.epoch_day + day))
            for city, day in zip(identities["city"].tolist(), started_day.tolist(), strict=True)
        ]
    )
    delay = streams.hashed_uniform(tenant.key("session start"), person, family, started_day) * 120
    minutes = (identities["starts_min"] - offset + delay) % 1440.0
    started: npt.NDArray[np.int64] = tenant.epoch_us + started_day.astype(np.int64) * DAY_US
    started += (minutes * MINUTE_US).astype(np.int64)
    return started


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where each visit comes from."""

    network_no: npt.NDArray[np.int32]
    address: npt.NDArray[np.object_]
    mail_address: npt.NDArray[np.object_]


def places(
    tenant: Tenant, day: int, person: npt.NDArray[Any], *, is_phone: npt.NDArray[np.bool_], minute: npt.NDArray[Any]
) -> Places:
    """Network and addresses of visits of people on one day.

    Args:
        tenant: The tenant.
        day: The day.
        person: Identity of each visit.
        is_phone: Visits by phone, which leave by the mobile network more often than not.
        minute: Minute of the day (UTC) of each visit; mobile exits change every few hours.
    """
    who = tenant.identities[person]
    days = presence(tenant)
    key = tenant.key("place")
    network, host = _fixed_place(tenant, day, person, who, key)
    trip = np.where(
        who["kind"] == people.PERSON, days.trip_network[np.minimum(person, len(days.status) - 1), column(day)], -1
    )
    network = np.where(trip >= 0, trip, network)
    host = np.where(trip >= 0, person, host)
    slot = (minute // 240).astype(np.int64) + day * 8
    is_mobile = is_phone & (streams.hashed_chance(0.65, key ^ 2, person, slot))
    exits = max(int(20_000 / tenant.parameters.cgnat_users), 2)
    roaming = (streams.hashed(key ^ 3, person, slot) % np.uint64(exits)).astype(np.int64)
    network = np.where(is_mobile, who["mobile_network"], network).astype(np.int32)
    host = np.where(is_mobile, roaming, host)
    prefers_v6 = streams.hashed_chance(PREFER_V6, key ^ 4, person)
    shown = internet.addresses(tenant.internet, network, host, prefers_v6)
    twin = who["is_dual_stack"] & (streams.hashed_chance(0.7, key ^ 5, person, slot))
    seen = internet.addresses(tenant.internet, network, host, prefers_v6 ^ twin)
    return Places(network, shown, seen)


def _fixed_place(tenant: Tenant, day: int, person: Any, who: Any, key: int) -> tuple[Any, Any]:
    """Home, office, tunnel or security proxy."""
    uniform = streams.hashed_uniform(key, person, day)
    is_striking = bool(tenant.calendar.during("strike", day))
    is_home = (uniform < who["home_share"]) | is_striking | (who["kind"] == people.GUEST)
    lease = 20 + (streams.hashed(key ^ 6, person) % np.uint64(300)).astype(np.int64)
    has_moved = who["moves_day"] <= day
    home = np.where(has_moved, who["next_home_network"], who["home_network"])
    home_host = who["home_host"] + (day + 1000) // lease * 7_919
    states = tenant.calendar.sites_on(day)[who["site"]]
    office_host = states["host"] + (streams.hashed(key ^ 7, person) % states["exits"].astype(np.uint64)).astype(
        np.int64
    )
    # Some tenants send people at home through the office.
    tunnel_share = float(streams.hashed_uniform(tenant.key("tunnel"), 0)[0]) * 0.6
    is_tunnelled = is_home & (streams.hashed_uniform(key ^ 8, person) < tunnel_share)
    network = np.where(is_home & ~is_tunnelled, home, states["network_no"])
    host = np.where(is_home & ~is_tunnelled, home_host, office_host)
    for change in tenant.calendar.during("vpn_change", day):
        network = np.where(is_tunnelled, change.network_no, network)
    # A few people hide at home behind a tunnel of their own.
    tunnels = tenant.internet.of_kind(internet.CONSUMER_VPN)
    hides = is_home & ~is_tunnelled & streams.hashed_chance(_HIDES, key ^ 9, person)
    hides &= streams.hashed_chance(_HIDES_ON, key ^ 10, person, day)
    own_tunnel = tunnels[(streams.hashed(key ^ 11, person) % np.uint64(len(tunnels))).astype(np.int64)]
    network = np.where(hides, own_tunnel, network)
    host = np.where(hides, (streams.hashed(key ^ 12, person, day) % np.uint64(1 << 30)).astype(np.int64), host)
    for proxy in tenant.calendar.during("security_proxy", day):
        reached = np.isin(person, proxy.people)
        network = np.where(reached, proxy.network_no, network)
        host = np.where(reached, tenant.tenant_no * 64 + person % 5, host)
    return network, host

"""What happens in an organisation that makes honest activity look strange: the benign hardness events.

Everything is planned once for `FIRST_DAY` to `LAST_DAY`, so that a day needs no running history. Rates are the tenant's
own draws. Days are local to the tenant's epoch.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import apps, internet, people, streams

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.internet import Internet
    from brokenseal.drill.people import People
    from brokenseal.drill.priors import TenantParameters

FIRST_DAY: Final = -40
LAST_DAY: Final = 400
_DAYS: Final = LAST_DAY - FIRST_DAY
_YEARS: Final = _DAYS / 365

HAPPENINGS: Final = (
    "app_roll_out",  # an application that many people begin to use
    "client_roll_out",  # the new Outlook replaces the classic one, a pilot group first
    "office_move",  # a site's network changes
    "provider_renumbers",  # a site's addresses change within its network
    "vpn_change",  # working from home leaves through other addresses
    "security_proxy",  # part of the traffic leaves through a proxy that many tenants share
    "new_computers",  # a fleet wave
    "merger",  # a migration application reads every mailbox, and guests arrive
    "strike",  # nobody at the office
    "conference",  # several people in one hotel
    "ediscovery",  # reviewers read some mailboxes through Purview
    "incident_response",  # responders read mailboxes through Graph
    "penetration_test",  # testers with permission sign in and read
)
TRIP_KINDS: Final = ("leave", "travel", "conference", "sick")
LEAVE, TRAVEL, CONFERENCE, SICK = range(len(TRIP_KINDS))
TRIP_DTYPE: Final = np.dtype(
    [
        ("identity_no", np.int32),
        ("kind", np.int8),
        ("from_day", np.int32),
        ("until_day", np.int32),
        ("network_no", np.int32),  # hotel; -1 where nothing is known of the place
        ("city", np.int16),
        ("forwards", np.int8),  # 0 no, 1 to a colleague, 2 outside, for the time of a leave
    ]
)
ADOPTION_DTYPE: Final = np.dtype(
    [
        ("identity_no", np.int32),
        ("app_no", np.int32),  # index into the market
        ("from_day", np.int32),
        ("until_day", np.int32),
        ("is_admin_consent", np.bool_),
    ]
)
SITE_STATE_DTYPE: Final = np.dtype(
    [
        ("site", np.int16),
        ("from_day", np.int32),
        ("network_no", np.int32),
        ("exits", np.int32),
        ("host", np.int64),
    ]
)

_FIXED_HOLIDAYS: Final = {
    "FR": ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)),
    "DE": ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26)),
    "GB": ((1, 1), (12, 25), (12, 26)),
    "US": ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25)),
    "ES": ((1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25)),
    "NL": ((1, 1), (4, 27), (12, 25), (12, 26)),
    "CA": ((1, 1), (7, 1), (12, 25), (12, 26)),
    "BR": ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25)),
    "JP": ((1, 1), (1, 2), (1, 3), (2, 11), (4, 29), (5, 3), (5, 4), (5, 5), (11, 3), (11, 23)),
    "SG": ((1, 1), (5, 1), (8, 9), (12, 25)),
    "IN": ((1, 26), (8, 15), (10, 2), (12, 25)),
    "AU": ((1, 1), (1, 26), (4, 25), (12, 25), (12, 26)),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Happening:
    """One event: what, when, whom it touches.

    Attributes:
        kind: One of `HAPPENINGS`.
        from_day: First day.
        until_day: First day after it.
        people: Identities concerned.
        mailboxes: Mailboxes concerned.
        app_no: Application of the market; -1 for none.
        network_no: Network that it brings; -1 for none.
        actor_no: Who does it; -1 for none.
    """

    kind: str
    from_day: int
    until_day: int
    people: npt.NDArray[np.int32]
    mailboxes: npt.NDArray[np.int32]
    app_no: int = -1
    network_no: int = -1
    actor_no: int = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calendar:
    """Everything planned for one tenant; site states are sorted by day."""

    happenings: tuple[Happening, ...]
    trips: npt.NDArray[Any]
    adoptions: npt.NDArray[Any]
    site_states: npt.NDArray[Any]
    delegations: npt.NDArray[Any]

    def during(self, kind: str, day: int) -> tuple[Happening, ...]:
        """Events of this kind on this day."""
        return tuple(one for one in self.happenings if one.kind == kind and one.from_day <= day < one.until_day)

    def sites_on(self, day: int) -> npt.NDArray[Any]:
        """State of every site on this day, by site number."""
        due = self.site_states[self.site_states["from_day"] <= day]
        latest = np.zeros(int(self.site_states["site"].max()) + 1, dtype=np.int64)
        latest[due["site"]] = np.arange(len(due))  # the last one wins
        states: npt.NDArray[Any] = due[latest]
        return states


def build_calendar(
    parameters: TenantParameters,
    *,
    seed: int,
    tenant_no: int,
    staff: People,
    world: Internet,
    market: tuple[apps.MarketApp, ...],
) -> Calendar:
    """Plan everything for one tenant."""
    rng = streams.stream(seed, "tenant", tenant_no, "calendar")
    humans = staff.identities[np.isin(staff.identities["kind"], (people.PERSON, people.GUEST))]
    persons = humans[humans["kind"] == people.PERSON]
    popularity = np.array([app.popularity for app in market])
    is_app_only = np.array([app.is_app_only for app in market])
    conferences, conference_trips = _conferences(parameters, rng, persons, world)
    roll_outs, roll_out_adoptions = _roll_outs(parameters, rng, persons, np.where(is_app_only, 0, popularity))
    site_events, states = _site_events(parameters, rng, staff, world)
    happenings = [
        *roll_outs,
        *site_events,
        *conferences,
        *_reviews(parameters, rng, staff, world),
        *_mergers(parameters, rng, staff, market),
    ]
    own = _adoptions(parameters, rng, persons, np.where(is_app_only, 0, popularity))
    services = _organisation_apps(rng, np.where(is_app_only, popularity, 0), staff)
    return Calendar(
        happenings=tuple(sorted(happenings, key=lambda one: (one.from_day, one.kind))),
        trips=np.concatenate([_trips(parameters, rng, persons, world), conference_trips]),
        adoptions=np.concatenate([own, roll_out_adoptions, services]),
        site_states=states,
        delegations=np.concatenate([staff.delegations, *_handovers(rng, persons)]),
    )


def _when(rng: np.random.Generator, rate_per_year: float) -> list[int]:
    days: list[int] = rng.integers(FIRST_DAY, LAST_DAY, size=rng.poisson(rate_per_year * _YEARS)).tolist()
    return sorted(days)


def _some(rng: np.random.Generator, pool: npt.NDArray[Any] | int, count: int) -> npt.NDArray[np.int32]:
    numbers = np.arange(pool) if isinstance(pool, int) else pool
    chosen: npt.NDArray[np.int32] = rng.permutation(numbers)[: max(count, 1)].astype(np.int32)
    return chosen


_NOBODY: Final = np.empty(0, dtype=np.int32)


def _roll_outs(
    parameters: TenantParameters, rng: np.random.Generator, persons: Any, weights: Any
) -> tuple[list[Happening], npt.NDArray[Any]]:
    happenings = []
    adoptions = []
    for day in _when(rng, parameters.roll_outs_per_year):
        reached = _some(rng, len(persons), round(len(persons) * parameters.roll_out_reach))
        # A pilot group first, then a ramp of two to six weeks.
        ramp = np.sort(rng.beta(1.2, 1.6, len(reached)) * rng.uniform(14, 42)).astype(np.int32)
        if rng.random() < _CLIENT_ROLL_OUT:
            kind, app_no = "client_roll_out", -1
        else:
            kind, app_no = "app_roll_out", int(streams.choose(rng, weights, 1)[0])
            rows = np.zeros(len(reached), dtype=ADOPTION_DTYPE)
            rows["identity_no"], rows["app_no"], rows["from_day"] = reached, app_no, day + ramp
            rows["until_day"], rows["is_admin_consent"] = people.ALWAYS, True
            adoptions.append(rows)
        happenings.append(
            Happening(
                kind=kind, from_day=day, until_day=people.ALWAYS, people=reached, mailboxes=_NOBODY, app_no=app_no
            )
        )
    return happenings, np.concatenate(adoptions) if adoptions else np.empty(0, dtype=ADOPTION_DTYPE)


_CLIENT_ROLL_OUT: Final = 0.4
_ALIVE_SHARE: Final = 0.6


def _adoptions(parameters: TenantParameters, rng: np.random.Generator, persons: Any, weights: Any) -> npt.NDArray[Any]:
    """Applications that people connect by themselves: those of the past three years, and the new ones."""
    past = rng.poisson(parameters.apps_per_year * 3 * _ALIVE_SHARE, len(persons))
    new = rng.poisson(parameters.apps_per_year * _YEARS, len(persons))
    rows = np.zeros(int(past.sum() + new.sum()), dtype=ADOPTION_DTYPE)
    who = np.concatenate([np.repeat(np.arange(len(persons)), past), np.repeat(np.arange(len(persons)), new)])
    rows["identity_no"] = who
    rows["app_no"] = streams.choose(rng, weights, len(rows))
    start = rng.integers(FIRST_DAY, LAST_DAY, len(rows))
    rows["from_day"] = np.where(np.arange(len(rows)) < past.sum(), -people.ALWAYS, start)
    # Most stay in use for years, some for days.
    life = np.minimum(rng.lognormal(5.5, 1.6, len(rows)), people.ALWAYS / 4).astype(np.int64) + 1
    rows["until_day"] = np.where(rows["from_day"] < FIRST_DAY, FIRST_DAY + life * 3, start + life)
    # One consent per person and application.
    _, first = np.unique(rows["identity_no"].astype(np.int64) << 16 | rows["app_no"], return_index=True)
    kept: npt.NDArray[Any] = rows[np.sort(first)]
    return kept


def _organisation_apps(rng: np.random.Generator, weights: Any, staff: People) -> npt.NDArray[Any]:
    """Applications that act by themselves; the identity is their own, and one may be new during the drill."""
    chosen = np.unique(streams.choose(rng, weights, int(rng.integers(2, 7))))
    rows = np.zeros(len(chosen), dtype=ADOPTION_DTYPE)
    rows["app_no"] = chosen
    offset = int(np.flatnonzero(staff.identities["kind"] == people.APP)[0])
    rows["identity_no"] = offset + chosen
    rows["from_day"] = np.where(streams.chance(rng, 0.2, len(rows)), rng.integers(0, 365, len(rows)), -people.ALWAYS)
    rows["until_day"], rows["is_admin_consent"] = people.ALWAYS, True
    return rows


_PRIVATE_STAYS: Final = 0.6


def _trips(parameters: TenantParameters, rng: np.random.Generator, persons: Any, world: Internet) -> npt.NDArray[Any]:
    count = len(persons)
    leaves, travels, sick = (rng.poisson(rate * _DAYS, count) for rate in (5 / 365, parameters.travel_per_day, 3 / 365))
    who = np.concatenate([np.repeat(np.arange(count), number) for number in (leaves, travels, sick)])
    rows = np.zeros(len(who), dtype=TRIP_DTYPE)
    rows["identity_no"] = who
    rows["kind"] = np.repeat([LEAVE, TRAVEL, SICK], [leaves.sum(), travels.sum(), sick.sum()])
    rows["from_day"] = rng.integers(FIRST_DAY, LAST_DAY, len(rows))
    length = np.choose(
        np.searchsorted((LEAVE, TRAVEL, SICK), rows["kind"]),
        (1 + rng.geometric(0.2, len(rows)), 1 + rng.geometric(0.35, len(rows)), rng.geometric(0.5, len(rows))),
    )
    rows["until_day"] = rows["from_day"] + np.minimum(length, 28)
    # Two trips in three stay in the country.
    same = {no: [n for n, other in enumerate(internet.CITIES) if other[0] == city[0]] for no, city in _numbered()}
    is_near = rng.random(len(rows)) < 2 / 3
    anywhere = rng.integers(len(internet.CITIES), size=len(rows))
    home = persons["city"][who]
    near = np.array([same[int(city)][draw % len(same[int(city)])] for city, draw in zip(home, anywhere, strict=True)])
    rows["city"] = np.where(is_near, near, anywhere) if len(rows) else 0
    hotels = {no: world.of_kind(internet.HOTEL, city=no) for no, _ in _numbered()}
    homes = {no: world.of_kind(internet.HOME, city=no) for no, _ in _numbered()}
    # Whoever is on leave stays with family or in a rented flat more often than in a hotel.
    is_private = (rows["kind"] == LEAVE) & (rng.random(len(rows)) < _PRIVATE_STAYS)
    rows["network_no"] = [
        int(homes[city][draw % len(homes[city])] if private else hotels[city][draw % 2])
        for city, draw, private in zip(rows["city"].tolist(), anywhere, is_private, strict=True)
    ]
    forwards = streams.choose(rng, (0.93, 0.055, 0.015), len(rows))
    rows["forwards"] = np.where(rows["kind"] == LEAVE, forwards, 0)
    return rows


def _numbered() -> list[tuple[int, tuple[str, str, str]]]:
    return list(enumerate(internet.CITIES))


def _conferences(
    parameters: TenantParameters, rng: np.random.Generator, persons: Any, world: Internet
) -> tuple[list[Happening], npt.NDArray[Any]]:
    happenings = []
    trips = [np.empty(0, dtype=TRIP_DTYPE)]
    for day in _when(rng, parameters.conferences_per_year):
        guests = _some(rng, len(persons), int(rng.integers(3, max(len(persons) // 15, 4))))
        city = int(rng.integers(len(internet.CITIES)))
        network = int(rng.choice(world.of_kind(internet.VENUE, city=city)))
        until = day + int(rng.integers(2, 5))
        rows = np.zeros(len(guests), dtype=TRIP_DTYPE)
        rows["identity_no"], rows["kind"], rows["network_no"], rows["city"] = guests, CONFERENCE, network, city
        rows["from_day"], rows["until_day"] = day, until
        trips.append(rows)
        happenings.append(
            Happening(
                kind="conference",
                from_day=day,
                until_day=until,
                people=guests,
                mailboxes=_NOBODY,
                network_no=network,
            )
        )
    return happenings, np.concatenate(trips)


_SITE_KINDS: Final = ("office_move", "provider_renumbers", "vpn_change", "security_proxy", "new_computers", "strike")


def _site_events(
    parameters: TenantParameters, rng: np.random.Generator, staff: People, world: Internet
) -> tuple[list[Happening], npt.NDArray[Any]]:
    sites = staff.sites
    humans = int((staff.identities["kind"] == people.PERSON).sum())
    happenings = []
    states = [
        (no, -people.ALWAYS, int(site["network_no"]), int(site["exits"]), int(site["host"]))
        for no, site in enumerate(sites)
    ]
    for day in _when(rng, parameters.site_events_per_year):
        kind = _SITE_KINDS[int(rng.integers(len(_SITE_KINDS)))]
        site = int(rng.integers(len(sites)))
        network, reached, until = -1, _NOBODY, people.ALWAYS
        if kind in {"office_move", "provider_renumbers"}:
            offices = world.of_kind(internet.OFFICE)
            network = int(rng.choice(offices)) if kind == "office_move" else int(sites["network_no"][site])
            states.append((site, day, network, int(rng.integers(1, 4)), int(rng.integers(1 << 40))))
        elif kind == "security_proxy":
            network = int(rng.choice(world.of_kind(internet.SECURITY_PROXY)))
            reached = _some(rng, humans, int(humans * rng.uniform(0.2, 1.0)))
        elif kind == "vpn_change":
            network = int(rng.choice(world.of_kind(internet.OFFICE)))
        elif kind == "strike":
            until = day + int(rng.integers(1, 4))
        else:
            reached = _some(rng, humans, int(humans * rng.uniform(0.1, 0.6)))
        happenings.append(
            Happening(kind=kind, from_day=day, until_day=until, people=reached, mailboxes=_NOBODY, network_no=network)
        )
    return happenings, np.array(sorted(states, key=lambda state: state[1]), dtype=SITE_STATE_DTYPE)


_REVIEWS: Final = ("ediscovery", "incident_response", "penetration_test")


def _reviews(parameters: TenantParameters, rng: np.random.Generator, staff: People, world: Internet) -> list[Happening]:
    happenings = []
    admins = np.flatnonzero(staff.identities["role"] == people.ADMIN)
    persons = int((staff.identities["kind"] == people.PERSON).sum())
    for day in _when(rng, parameters.reviews_per_year):
        kind = _REVIEWS[int(streams.choose(rng, (0.55, 0.25, 0.2), 1)[0])]
        hosting = world.of_kind(internet.HOSTING)
        chosen = _some(rng, persons, int(rng.integers(1, max(persons // 25, 3))))
        happenings.append(
            Happening(
                kind=kind,
                from_day=day,
                until_day=day + int(rng.integers(1, 8)),
                people=chosen,
                mailboxes=chosen,
                network_no=int(rng.choice(hosting)) if kind == "penetration_test" else -1,
                actor_no=int(rng.choice(admins)) if len(admins) else 0,
            )
        )
    return happenings


def _mergers(
    parameters: TenantParameters, rng: np.random.Generator, staff: People, market: tuple[apps.MarketApp, ...]
) -> list[Happening]:
    if rng.random() >= parameters.merger_chance:
        return []
    movers = [number for number, app in enumerate(market) if app.is_app_only and app.protocol == "ews"]
    start = int(rng.integers(0, 300))
    return [
        Happening(
            kind="merger",
            from_day=start,
            until_day=start + int(rng.integers(10, 30)),
            people=np.flatnonzero(staff.identities["kind"] == people.GUEST).astype(np.int32),
            mailboxes=np.arange(len(staff.mailboxes), dtype=np.int32),
            app_no=int(rng.choice(movers)),
        )
    ]


def _handovers(rng: np.random.Generator, persons: Any) -> list[npt.NDArray[Any]]:
    """A leaver's mailbox goes to the manager for some weeks."""
    leavers = np.flatnonzero((persons["left_day"] < people.ALWAYS) & (persons["manager_no"] >= 0))
    rows = np.zeros(len(leavers), dtype=people.DELEGATION_DTYPE)
    rows["identity_no"], rows["mailbox_no"] = persons["manager_no"][leavers], leavers
    rows["kind"], rows["visits"] = people.DELEGATION_KINDS.index("handover"), 0.8
    rows["from_day"] = persons["left_day"][leavers] + rng.integers(0, 4, len(leavers))
    rows["until_day"] = rows["from_day"] + rng.integers(10, 60, len(leavers))
    kept = streams.chance(rng, 0.7, len(leavers))
    return [rows[kept]]


@functools.lru_cache(maxsize=4096)
def is_holiday(country: str, unix_day: int) -> bool:
    """Whether the country has one of its fixed public holidays on that day (days since 1970)."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=unix_day)
    return (date.month, date.day) in _FIXED_HOLIDAYS[country]


@functools.lru_cache(maxsize=65_536)
def utc_offset_min(city: int, unix_day: int) -> int:
    """Minutes that local time in this city is ahead of UTC at noon of that day."""
    noon = dt.datetime(1970, 1, 1, 12, tzinfo=dt.UTC) + dt.timedelta(days=unix_day)
    offset = noon.astimezone(zoneinfo.ZoneInfo(internet.CITIES[city][2])).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)

"""What the attacks share: choosing victims, days, hours, exits and user agents, and writing down a visit.

Everything is drawn from what honest people use too: the same networks, applications and releases of browsers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import calendar, devices, internet, people
from brokenseal.drill.presence import BROWSER, WORKING, column, places, presence, session_started_us
from brokenseal.drill.tables import DAY_US, MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene, Visit
    from brokenseal.drill.world import Tenant

CARELESS, PROFESSIONAL, CAREFUL, BEST = 1, 2, 3, 4

_SESSIONS: Final = 1 << 46
_DAY_S: Final = 86_400.0


class Exit(NamedTuple):
    """Where an intruder's requests come from."""

    network_no: int
    address: str
    kind: str


# ---------------------------------------------------------------- whom


def victims(scene: Scene, count: int) -> list[int]:
    """Different people with a mailbox of their own who are at work around the start; leading people more often."""
    tenant = scene.tenant
    status = presence(tenant).status
    window = status[:, column(scene.from_day) : column(scene.until_day)]
    at_work = (window == WORKING).mean(axis=1)
    role = tenant.identities["role"][: len(status)]
    weight = np.where(np.isin(role, (people.EXECUTIVE, people.MANAGER, people.ASSISTANT)), 2.0, 1.0)
    weight *= at_work >= np.quantile(at_work, 0.3)
    chosen = scene.rng.choice(
        len(status), size=min(count, int((weight > 0).sum())), replace=False, p=weight / weight.sum()
    )
    return [int(one) for one in chosen]


def administrator(scene: Scene) -> int:
    """One of the tenant's administrators."""
    admins = np.flatnonzero(scene.tenant.identities["role"] == people.ADMIN)
    return int(scene.rng.choice(admins)) if len(admins) else victims(scene, 1)[0]


# ---------------------------------------------------------------- when


def begins(scene: Scene, dwell_days: int) -> tuple[int, int]:
    """First day and first day after the last, uniform over what the window leaves room for."""
    length = max(min(dwell_days, scene.until_day - scene.from_day), 1)
    start = int(scene.rng.integers(scene.from_day, scene.until_day - length + 1))
    return start, start + length


def office_moment(scene: Scene, person: int, day: int) -> int:
    """A moment in the person's own working hours of that day."""
    tenant = scene.tenant
    who = tenant.identities[person]
    city = (
        int(presence(tenant).city[person, column(day)]) if person < len(presence(tenant).status) else int(who["city"])
    )
    offset = calendar.utc_offset_min(city, tenant.epoch_day + day)
    minute = scene.rng.uniform(float(who["starts_min"]), float(who["ends_min"])) - offset
    return tenant.day_starts_us(day) + int(minute % 1440.0 * MINUTE_US)


def foreign_moment(scene: Scene, day: int, shift_h: float) -> int:
    """A moment in nine hours that begin `shift_h` hours after midnight UTC."""
    hour = (shift_h + scene.rng.uniform(0.0, 9.0)) % 24.0
    return scene.tenant.day_starts_us(day) + int(hour * 60 * MINUTE_US)


def is_at_work(scene: Scene, person: int, day: int) -> bool:
    """Whether the person works that day."""
    return bool(presence(scene.tenant).status[person, column(day)] == WORKING)


def moments(scene: Scene, person: int, days: range, *, share: float = 0.7) -> list[int]:
    """One moment on each active day: careful intruders keep the owner's days and hours, others their own."""
    shift = float(scene.rng.uniform(0, 24))
    chosen = []
    for day in days:
        if scene.rng.random() >= share:
            continue
        if scene.stealth < CAREFUL:
            chosen.append(foreign_moment(scene, day, shift))
        elif is_at_work(scene, person, day):
            chosen.append(office_moment(scene, person, day))
    return chosen or [office_moment(scene, person, days[0])]


def day_of(tenant: Tenant, at_us: int) -> int:
    """Day of a moment."""
    return int((at_us - tenant.epoch_us) // DAY_US)


# ---------------------------------------------------------------- from where


def exit_for(scene: Scene, person: int, rng: np.random.Generator | None = None, stealth: int | None = None) -> Exit:
    """An exit by stealth: hosting; a tunnel or a home abroad; a home in the victim's country; the victim's provider."""
    rng, stealth = rng or scene.rng, stealth or scene.stealth
    tenant = scene.tenant
    who = tenant.identities[person]
    if stealth == CARELESS:
        kind, pool = "hosting", tenant.internet.of_kind(internet.HOSTING)
    elif stealth == PROFESSIONAL:
        is_tunnel = rng.random() < 0.5  # noqa: PLR2004
        kind = "tunnel" if is_tunnel else "home abroad"
        pool = tenant.internet.of_kind(internet.CONSUMER_VPN if is_tunnel else internet.HOME)
    elif stealth == CAREFUL:
        country = internet.COUNTRIES.index(internet.CITIES[int(who["city"])][0])
        kind, pool = "home in the country", tenant.internet.of_kind(internet.HOME, country=country)
    else:
        kind, pool = "victim's provider", np.array([int(who["home_network"])])
    network = int(rng.choice(pool))
    return Exit(network, _address(tenant, network, int(rng.integers(1 << 30))), kind)


def _address(tenant: Tenant, network: int, host: int) -> str:
    found = internet.addresses(tenant.internet, np.array([network]), np.array([host]), np.zeros(1, bool))
    return str(found[0])


def own_place(scene: Scene, person: int, at_us: int) -> Exit:
    """Where the person really is."""
    day = day_of(scene.tenant, at_us)
    minute = np.array([(at_us - scene.tenant.day_starts_us(day)) // MINUTE_US])
    found = places(scene.tenant, day, np.array([person]), is_phone=np.zeros(1, bool), minute=minute)
    return Exit(int(found.network_no[0]), str(found.address[0]), "own")


# ---------------------------------------------------------------- with what


def agent_for(scene: Scene, person: int, day: int, *, client: str = "owa") -> str | None:
    """A user agent by stealth: a script's, a common browser's, the victim's own."""
    kind = devices.CLIENT[client].agent
    if kind == "":
        return None
    tenant = scene.tenant
    if scene.stealth == CARELESS and kind == "browser":
        return tenant.market[int(scene.rng.integers(len(tenant.market)))].user_agent
    if scene.stealth == BEST:
        return agent_of(tenant, person, day, client)
    people_count = len(presence(tenant).status)
    return agent_of(tenant, int(scene.rng.integers(people_count)), day, client)


def agent_of(tenant: Tenant, person: int, day: int, client: str = "owa") -> str | None:
    """The user agent that this client has on the person's computer (phone for phone clients)."""
    kind = devices.CLIENT[client].agent
    slot = devices.PHONE if kind in {"mobile", "apple_mail", "android_mail"} else devices.COMPUTER
    device = tenant.devices.current(np.array([person]), slot, day)
    agent, _ = devices.agents(
        tenant.devices.devices[device],
        np.array([kind], dtype=object),
        epoch_day=tenant.epoch_day,
        day=day,
        channel=tenant.office_channel,
    )
    code = int(agent.codes[0])
    return agent.words[code] if code >= 0 else None


class Session(NamedTuple):
    """A sign-in session and when it began."""

    number: int
    started_us: int


def new_session(scene: Scene, number: int, at_us: int) -> Session:
    """A session of the intruder's own; numbers count within the instance."""
    return Session(_SESSIONS + (scene.instance << 16) + number, at_us)


def own_session(tenant: Tenant, person: int, at_us: int, family: int = BROWSER) -> Session:
    """The person's session of this family of clients at a moment; before today's sign-in it is still yesterday's."""
    day = day_of(tenant, at_us)
    today = _session_of(tenant, person, day, family)
    return today if today.started_us <= at_us else _session_of(tenant, person, day - 1, family)


def _session_of(tenant: Tenant, person: int, day: int, family: int) -> Session:
    days = presence(tenant)
    number = int(days.session[person, family, column(day)])
    started = days.started_day[person, family, column(day)]
    at_us = session_started_us(tenant, np.array([person]), np.array([family]), np.array([started]))
    return Session(number, int(at_us[0]))


# ---------------------------------------------------------------- a visit


def visit(
    scene: Scene,
    *,
    at_us: int,
    identity: int,
    mailbox: int,
    client: str,
    place: Exit,
    stage: str,
    session: Session | None = None,
    agent: str | None = None,
    reads: int = 0,
    pace_s: float = 20.0,
    **columns: Any,
) -> Visit:
    """One row of the intent table, ended before midnight UTC; `columns` override whatever stands here."""
    tenant = scene.tenant
    kind = devices.CLIENT[client]
    day = day_of(tenant, at_us)
    room = _DAY_S - (at_us - tenant.day_starts_us(day)) / SECOND_US - 1.0
    pace = min(pace_s, max(room, 1.0) * 0.9 / max(reads, 1))
    return {
        "day": day,
        "starts_at_us": at_us,
        "duration_s": min(reads * pace + 30.0 + float(scene.rng.exponential(120.0)), max(room, 1.0)),
        "kind": "read" if reads else "sign_in",
        "identity_no": identity,
        "mailbox_no": mailbox,
        "client_class": kind.name,
        "protocol": kind.protocol,
        "app_id": kind.app_id or None,
        "client_app_id": kind.client_app_id or None,
        "resource_id": kind.resource_id,
        "user_agent": agent,
        "network_no": place.network_no,
        "address": place.address,
        "mail_address": place.address,
        "session_no": session.number if session else -1,
        "session_started_us": session.started_us if session else 0,
        "reads": reads,
        "pace_s": pace,
        "truth_actor_kind": "attacker",
        "truth_attack_id": scene.attack_id,
        "truth_instance": scene.instance,
        "truth_stage": stage,
        **columns,
    }


def sign_in(scene: Scene, *, at_us: int, person: int, place: Exit, session: Session, **columns: Any) -> Visit:
    """An interactive sign-in by which a session begins."""
    return visit(
        scene,
        at_us=at_us,
        identity=person,
        mailbox=-1,
        client="owa",
        place=place,
        session=session,
        **{"stage": "sign_in", "auth": "interactive", "mfa": "push", **columns},
    )


def per_day(scene: Scene, limits: tuple[tuple[float, float], ...]) -> int:
    """A number drawn between the limits of the stealth level, evenly by its logarithm."""
    low, high = limits[scene.stealth - 1]
    drawn: int = round(low * (high / low) ** scene.rng.random())
    return max(drawn, 1)


READS_PER_DAY: Final = ((120.0, 600.0), (50.0, 200.0), (15.0, 70.0), (4.0, 20.0))
"""Messages opened per active day, by stealth."""

DWELL_DAYS: Final = ((2, 8), (5, 20), (10, 28), (14, 35))
"""Days from first to last visit, by stealth."""


def dwell(scene: Scene) -> int:
    """Days that the intruder stays."""
    low, high = DWELL_DAYS[scene.stealth - 1]
    return int(scene.rng.integers(low, high + 1))


def scope(scene: Scene) -> dict[str, Any]:
    """How the messages are chosen: all of it, by search, or the newest as the owner would."""
    if scene.stealth == CARELESS:
        return {"read_scope": "mailbox", "folder_scope": "any", "folders": int(scene.rng.integers(3, 9))}
    if scene.stealth == BEST:
        return {"read_scope": str(scene.rng.choice(["newest", "threads"])), "folder_scope": "usual", "folders": 1}
    word = str(scene.rng.choice(["search", "newest", "threads"]))
    is_search = word == "search"
    return {"read_scope": word, "folder_scope": "usual", "folders": 2, "searches": int(is_search)}

"""What the attacks share: choosing victims, days, hours, exits and user agents, and writing down a visit.

Everything is drawn from what honest people use too: the same networks, applications and releases of browsers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import devices, internet, people
from brokenseal.drill._visits import FAILED_TRIES, MFA, MFA_WEIGHTS, working_minutes
from brokenseal.drill.presence import BROWSER, DESKTOP, PREFER_V6, WORKING, column, places, presence, session_started_us
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene, Visit
    from brokenseal.drill.attacks._looks import Look
    from brokenseal.drill.world import Tenant

CARELESS, PROFESSIONAL, CAREFUL, BEST = 1, 2, 3, 4

_SESSIONS: Final = 1 << 46
_DAY_S: Final = 86_400.0
_WEEK: Final = 7
_HIDES: Final = 0.25
_WRITES: Final = (0.3, 0.2, 0.1, 0.05)


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
    # Short windows of small tenants may hold holidays alone; then anybody will do.
    there = (at_work >= np.quantile(at_work, 0.3)) & (at_work > 0)
    weight *= there if there.any() else 1.0
    chosen = scene.rng.choice(
        len(status), size=min(count, int((weight > 0).sum())), replace=False, p=weight / weight.sum()
    )
    return [int(one) for one in chosen]


def administrator(scene: Scene) -> int:
    """One of the tenant's administrators."""
    admins = np.flatnonzero(scene.tenant.identities["role"] == people.ADMIN)
    return int(scene.rng.choice(admins)) if len(admins) else victims(scene, 1)[0]


# ---------------------------------------------------------------- when


def begins(scene: Scene, dwell_days: int, *, person: int | None = None) -> tuple[int, int]:
    """First day and first day after the last.

    The first day is drawn from whole weeks, so that no day of the week is more likely by the length of the drill; what
    would last beyond the end of the drill is cut there.

    Args:
        scene: The scene.
        dwell_days: Days from first to last visit.
        person: Somebody who has to be at work on the first day; anybody where left out.
    """
    length = max(dwell_days, 1)
    room = max(scene.until_day - scene.from_day - length + 1, 1)
    weeks = max(room // _WEEK, 1) * _WEEK
    days = np.arange(scene.from_day, min(scene.from_day + weeks, scene.until_day))
    if person is not None:
        days = days[[is_at_work(scene, person, int(day)) for day in days]] if len(days) else days
    start = int(scene.rng.choice(days)) if len(days) else int(scene.rng.integers(scene.from_day, scene.until_day))
    return start, min(start + length, scene.until_day)


def starts_by(scene: Scene, dwell_days: int, person: int) -> tuple[int, int, int]:
    """First day, first day after the last, and the moment at which somebody uses an account taken over.

    Careful intruders wait for a working day of its owner; others come at any hour of any day.
    """
    is_careful = scene.stealth >= CAREFUL
    start, stop = begins(scene, dwell_days, person=person if is_careful else None)
    if is_careful:
        return start, stop, office_moment(scene, person, start)
    return start, stop, any_moment(scene, start)


def lured(scene: Scene, dwell_days: int, person: int) -> tuple[int, int, int]:
    """As `starts_by`, where the owner has to act: always in the owner's own days and hours."""
    start, stop = begins(scene, dwell_days, person=person)
    return start, stop, office_moment(scene, person, start)


def office_moment(scene: Scene, person: int, day: int) -> int:
    """A moment of that day at which the person might have opened the mailbox, evenings excepted."""
    if person >= len(presence(scene.tenant).status):  # guests come from seven to eighteen, as `_visits` has it
        return scene.tenant.day_starts_us(day) + int(scene.rng.uniform(7, 18) * HOUR_US)
    who = np.array([person])
    working, family = np.array([WORKING]), np.array([DESKTOP])
    minute = float(working_minutes(scene.tenant, day, scene.rng, who, family, working)[0])
    return _before_midnight(scene, day, int(minute * MINUTE_US))


def any_moment(scene: Scene, day: int) -> int:
    """Any moment of that day."""
    return _before_midnight(scene, day, int(scene.rng.integers(DAY_US)))


def _before_midnight(scene: Scene, day: int, at_us: int) -> int:
    # What follows within the visit has to fit into the day.
    return scene.tenant.day_starts_us(day) + min(at_us, DAY_US - 20 * MINUTE_US - int(scene.rng.integers(MINUTE_US)))


def foreign_moment(scene: Scene, day: int, shift_h: float) -> int:
    """A moment in nine hours that begin `shift_h` hours after midnight UTC."""
    hour = (shift_h + scene.rng.uniform(0.0, 9.0)) % 24.0
    return _before_midnight(scene, day, int(hour * 60 * MINUTE_US))


def is_at_work(scene: Scene, person: int, day: int) -> bool:
    """Whether the person works that day; guests have no leave."""
    if person >= len(presence(scene.tenant).status):
        return bool((int(scene.tenant.identities["workdays"][person]) >> (day % _WEEK)) & 1)
    return bool(presence(scene.tenant).status[person, column(day)] == WORKING)


def moments(scene: Scene, person: int, days: range, *, share: float = 0.7) -> list[int]:
    """One moment on each active day: careful intruders keep the owner's days and hours, others their own.

    The first day is active, so that no day of the week gets the beginnings of others.
    """
    shift = float(scene.rng.uniform(0, 24))
    chosen = []
    for day in days:
        if scene.rng.random() >= share and day != days[0]:
            continue
        if scene.stealth < CAREFUL:
            chosen.append(foreign_moment(scene, day, shift))
        elif is_at_work(scene, person, day):
            chosen.append(office_moment(scene, person, day))
    if chosen:
        return chosen
    if scene.stealth < CAREFUL:
        return [foreign_moment(scene, days[0], shift)]
    open_days = [day for day in days if is_at_work(scene, person, day)]
    return [office_moment(scene, person, (open_days or days)[0])]


def day_of(tenant: Tenant, at_us: int) -> int:
    """Day of a moment."""
    return int((at_us - tenant.epoch_us) // DAY_US)


def day_stream(scene: Scene, day: int) -> np.random.Generator:
    """A generator for one day of the instance, the same in whatever order days are made."""
    return scene.tenant.stream("attack", scene.attack_id, scene.instance, "day", day)


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
    host, prefers_v6 = np.array([int(rng.integers(1 << 30))]), np.array([rng.random() < PREFER_V6])
    return Exit(network, str(internet.addresses(tenant.internet, np.array([network]), host, prefers_v6)[0]), kind)


def own_place(scene: Scene, person: int, at_us: int) -> Exit:
    """Where the person really is."""
    day = day_of(scene.tenant, at_us)
    minute = np.array([(at_us - scene.tenant.day_starts_us(day)) // MINUTE_US])
    found = places(scene.tenant, day, np.array([person]), is_phone=np.zeros(1, bool), minute=minute)
    return Exit(int(found.network_no[0]), str(found.address[0]), "own")


# ---------------------------------------------------------------- in which session


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


def minutes_later(scene: Scene, at_us: int, minutes: float) -> int:
    """About so many minutes later."""
    return at_us + int(minutes * scene.rng.uniform(0.7, 1.3) * MINUTE_US)


# ---------------------------------------------------------------- a visit


def until_midnight_s(tenant: Tenant, at_us: int) -> float:
    """Seconds until a second before midnight UTC, at which every visit ends."""
    return _DAY_S - (at_us - tenant.day_starts_us(day_of(tenant, at_us))) / SECOND_US - 1.0


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
    look: Look | None = None,
    reads: int = 0,
    pace_s: float = 20.0,
    **columns: Any,
) -> Visit:
    """One row of the intent table, ended before midnight UTC; `columns` override whatever stands here."""
    tenant = scene.tenant
    kind = devices.CLIENT[client]
    day = day_of(tenant, at_us)
    room = until_midnight_s(tenant, at_us)
    pace = min(pace_s, max(room, 1.0) * 0.9 / max(reads, 1))
    return {
        "day": day,
        "starts_at_us": at_us,
        "duration_s": min(reads * pace + 30.0 + float(scene.rng.exponential(120.0)), max(room, 1.0)),
        "kind": "read" if reads else "sign_in",
        "identity_no": identity,
        "mailbox_no": mailbox,
        "device_no": look.device_no if look else -1,
        "client_class": kind.name,
        "protocol": kind.protocol,
        "app_id": kind.app_id or None,
        "client_app_id": kind.client_app_id or None,
        "resource_id": kind.resource_id,
        "user_agent": look.agent if look else None,
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


def sign_in(
    scene: Scene, *, at_us: int, person: int, place: Exit, session: Session, look: Look, **columns: Any
) -> Visit:
    """An interactive sign-in by which a session begins, with the second factor that the person has."""
    method = str(scene.rng.choice(MFA, p=np.array(MFA_WEIGHTS) / sum(MFA_WEIGHTS)))
    tries = int(scene.rng.choice(3, p=FAILED_TRIES))
    return visit(
        scene,
        at_us=at_us,
        identity=person,
        mailbox=-1,
        client="owa",
        place=place,
        session=session,
        look=look,
        **{"stage": "sign_in", "auth": "interactive", "mfa": method, "failed_tries": tries, **columns},
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


def scope(scene: Scene, reads: int) -> dict[str, Any]:
    """How the messages are chosen: all of it, by search, or the newest as the owner would; and what else is done."""
    rng = scene.rng
    habits = {
        "attachments": int(rng.binomial(reads, 0.12)),
        # Intruders write and tidy up too, less than an owner would.
        "sends": int(rng.poisson(0.5 * np.sqrt(min(reads, 16)))) if rng.random() < _WRITES[scene.stealth - 1] else 0,
        "moves": int(rng.binomial(min(reads, 40), 0.06)) if rng.random() < _HIDES else 0,
        "deletes": int(rng.binomial(min(reads, 40), 0.12)) if rng.random() < _HIDES else 0,
    }
    if scene.stealth == CARELESS:
        return {"read_scope": "mailbox", "folder_scope": "any", "folders": int(rng.integers(3, 9)), **habits}
    if scene.stealth == BEST:
        word = str(rng.choice(["newest", "threads"]))
        return {"read_scope": word, "folder_scope": "usual", "folders": 1, **habits}
    word = str(rng.choice(["search", "newest", "threads"]))
    return {"read_scope": word, "folder_scope": "usual", "folders": 2, "searches": int(word == "search"), **habits}

"""How a tenant comes about: what is drawn for it once, before its first day."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients, company, places
from brokenseal.drill.second_generator.clock import DAY
from brokenseal.drill.second_generator.company import App, Company, Mailbox, Person, Seat, Trip
from brokenseal.simulated import simulated_tenant_id

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.clients import Kind
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.places import World

_FIRST: Final = [
    "Ada",
    "Alma",
    "Anton",
    "Aylin",
    "Bela",
    "Bruno",
    "Cato",
    "Clara",
    "Dario",
    "Dina",
    "Edda",
    "Emil",
    "Farah",
    "Femi",
    "Gerda",
    "Hana",
    "Hugo",
    "Ida",
    "Ilse",
    "Ivo",
    "Jana",
    "Joel",
    "Kaya",
    "Kim",
    "Lara",
    "Leon",
    "Lotte",
    "Maja",
    "Marek",
    "Mila",
    "Nils",
    "Noor",
    "Olga",
    "Omar",
    "Paola",
    "Pia",
    "Quentin",
    "Rana",
    "Rolf",
    "Sami",
    "Selma",
    "Tara",
    "Theo",
    "Uma",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yara",
    "Yusuf",
    "Zoe",
]
_LAST: Final = [
    "Abels",
    "Arden",
    "Bakir",
    "Berger",
    "Calder",
    "Cortes",
    "Danek",
    "Ebert",
    "Falk",
    "Ferrow",
    "Gansen",
    "Halder",
    "Holm",
    "Ibsen",
    "Jansky",
    "Kerner",
    "Kovar",
    "Lindt",
    "Lorrain",
    "Marlow",
    "Mertens",
    "Nowen",
    "Ostrow",
    "Pavel",
    "Quist",
    "Rahn",
    "Rossel",
    "Sander",
    "Solis",
    "Tamm",
    "Tessier",
    "Ulmer",
    "Varga",
    "Weiler",
    "Winther",
    "Yilden",
    "Zander",
]
_NAMES: Final = ("Alder", "Basalt", "Cobalt", "Dune", "Estuary", "Fjord", "Granite", "Harbour", "Isthmus", "Juniper")
_SHARED: Final = ("info", "office", "orders", "support", "jobs", "press", "accounts", "events", "board", "service")
_APP_WORDS: Final = ("Ledger", "Relay", "Beacon", "Trellis", "Quarry", "Lantern", "Sextant", "Anvil", "Marble")
_APP_ENDS: Final = ("CRM", "Desk", "Sign", "Archive", "Notes", "Scheduler")
_BACKGROUND: Final = (
    ("13937bba-652e-4c46-b222-3003f4d1ff97", "Substrate Context Service", 1.0),
    ("66a88757-258c-4c72-893c-3e8bed4d6899", "Office 365 Search Service", 0.5),
    ("2a486b53-dbd2-49c0-a2bc-278bdfc30833", "Cortana at Work", 0.2),
    ("20a11fe0-faa8-4df5-baf2-f965f8f9972e", "ContactsInferencingEmailProcessor", 0.3),
    ("fb8d773d-7ef8-4ec0-a117-179f88add510", "Enterprise Copilot Platform", 0.15),
)

_SMALLEST: Final = 5
_MONTH_DAYS: Final = 30.0


def draw_parameters(dice: Dice, mailboxes: int | None) -> dict[str, object]:
    """What a tenant is like, in plain numbers."""
    return {
        "mailboxes": mailboxes or int(dice.between(60, 700)),
        "shared_share": round(dice.between(0.02, 0.1), 4),
        "home_share": round(dice.between(0.1, 0.8), 4),
        "vpn_share": round(dice.pick((0.0, 0.3, 0.9)), 4),
        "background_reads": round(dice.between(0.8, 3.5), 4),
        "relayed_share": round(dice.between(0.1, 0.9), 4),
        "long_tokens": round(dice.between(0.2, 0.9), 4),
        "unlogged_share": round(math.exp(dice.between(math.log(2e-5), math.log(3e-3))), 7),
        "deaf_spells_per_month": round(dice.between(0.0, 2.0), 4),
        "minted_by_owa": round(dice.pick((0.0, 0.02, 0.15)), 4),
        "ids_are_short": dice.chance(0.88),
        "has_federation": dice.chance(0.25),
        "unlicensed_share": round(dice.pick((0.0, 0.0, 0.03)), 4),
        "trips_per_year": round(dice.between(1.0, 9.0), 4),
        "new_phones_per_year": round(dice.between(0.3, 1.2), 4),
        "moves_per_year": round(dice.between(0.1, 1.0), 4),
        "doors_per_100_per_month": round(dice.between(0.5, 6.0), 4),
        "app_waves_per_year": round(dice.between(0.5, 6.0), 4),
        "redelivered_share": round(dice.between(0.0, 0.3), 4),
        "gaps_per_month": round(dice.between(0.0, 2.0), 4),
        "stalls_per_month": round(dice.between(0.2, 3.0), 4),
        "audit_lag_min": round(dice.between(15.0, 70.0), 4),
    }


def found(dice: Dice, world: World, *, no: int, start: int, end: int, mailboxes: int | None) -> Company:
    """A tenant with everybody in it."""
    parameters = draw_parameters(dice, mailboxes)
    total = _number(parameters["mailboxes"])
    shared = min(round(total * _share(parameters["shared_share"])), total - _SMALLEST)
    name = f"{dice.pick(_NAMES)} {dice.pick(_APP_WORDS)} {no + 1}"
    tenant = Company(
        no=no,
        tenant_id=simulated_tenant_id(dice.guid()),
        name=f"{name} (simulated)",
        domain=f"{name.lower().replace(' ', '-')}.example",
        sid_prefix=f"S-1-5-21-{dice.below(1 << 31)}-{dice.below(1 << 31)}-{dice.below(1 << 31)}",
        country=dice.pick(places.COUNTRIES),
        start=start,
        end=end,
        people=[],
        mailboxes=[],
        office=[],
        vpn=None,
        apps=[],
        parameters=parameters,
    )
    tenant.office = [
        places.rent(world.of("office", tenant.country), dice, start=start, end=end, moves_per_year=0.15)
        for _ in range(1 + dice.below(2))
    ]
    if parameters["vpn_share"]:
        tenant.vpn = places.rent(world.clouds, dice, start=start, end=end, moves_per_year=0.4)
    for number in range(total - shared):
        _hire(tenant, world, dice, number)
    for number in range(shared):
        _share_mailbox(tenant, dice, number)
    _appoint(tenant, dice)
    _travel(tenant, world, dice)
    tenant.apps = _applications(world, dice)
    return tenant


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _share(value: object) -> float:
    assert isinstance(value, float)
    return value


def new_mailbox(tenant: Company, dice: Dice, *, upn: str, name: str, owner: Person | None, licensed: bool) -> Mailbox:
    """An empty mailbox with its folders."""
    names = company.FOLDER_NAMES[tenant.country.language]
    projects = dice.sample(company.PROJECTS, 1 + dice.below(4))
    folders = (*names, *projects)
    number = len(tenant.mailboxes)
    mailbox = Mailbox(
        no=number,
        guid=dice.guid(),
        upn=upn,
        sid=f"{tenant.sid_prefix}-{20_000 + number}",
        name=name,
        owner=owner,
        is_audited=licensed,
        paths=tuple(f"\\{folder}" for folder in folders),
        folder_ids=tuple(f"LgAAAAD{dice.hexadecimal(24)}AQ{place:02d}AAAB" for place in range(len(folders))),
        folders=[[] for _ in folders],
    )
    tenant.mailboxes.append(mailbox)
    return mailbox


def _hire(tenant: Company, world: World, dice: Dice, number: int) -> None:
    parameters = tenant.parameters
    habit = dice.weighted([(habit, habit.share) for habit in company.HABITS])
    country = tenant.country if dice.chance(0.85) else dice.pick(places.COUNTRIES)
    first, last = dice.pick(_FIRST), dice.pick(_LAST)
    upn = f"{first}.{last}{'' if number < len(_LAST) else number}@{tenant.domain}".lower()
    while any(person.upn == upn for person in tenant.people):
        upn = f"{first}.{last}{dice.below(10_000)}@{tenant.domain}".lower()
    sid = f"{tenant.sid_prefix}-{20_000 + len(tenant.mailboxes)}"
    mailbox = new_mailbox(
        tenant,
        dice,
        upn=upn,
        name=f"{first} {last}",
        owner=None,
        licensed=not dice.chance(_share(parameters["unlicensed_share"])),
    )
    is_part_time = dice.chance(0.15)
    person = Person(
        no=number,
        name=f"{first} {last}",
        upn=upn,
        oid=dice.guid(),
        puid=f"10032{dice.hexadecimal(11)}",
        sid=sid,
        habit=habit,
        country=country,
        start_h=dice.between(6.5, 9.8) if habit.name != "shift" else dice.pick((5.5, 13.5, 21.5)),
        length_h=dice.between(4.0, 6.0) if is_part_time else dice.between(7.5, 10.0),
        days_off=frozenset({5, 6} | (set(dice.sample(range(5), 2)) if is_part_time else set())),
        mailbox=mailbox,
        home=places.rent(
            world.of("home", country),
            dice,
            start=tenant.start,
            end=tenant.end,
            moves_per_year=_share(parameters["moves_per_year"]),
        ),
        mobile=dice.pick(world.of("mobile", country)),
        goes_home=min(1.0, dice.between(0.0, 2.0) * _share(parameters["home_share"])),
        uses_vpn=dice.chance(_share(parameters["vpn_share"])),
        arrives=tenant.start,
        leaves=tenant.end,
    )
    mailbox.owner = person
    if dice.chance(0.03):  # somebody new
        person.arrives = tenant.start + dice.below(tenant.end - tenant.start)
    if dice.chance(0.02):  # somebody who goes
        person.leaves = tenant.start + dice.below(tenant.end - tenant.start)
    _equip(person, dice, tenant)
    tenant.people.append(person)


def _equip(person: Person, dice: Dice, tenant: Company) -> None:
    relayed = _share(tenant.parameters["relayed_share"])
    laptop = (dice.guid(), f"DESKTOP-{dice.hexadecimal(7)}")
    browser, handset = clients.browser(dice), clients.phone(dice)

    def sit(kind: Kind, agent: clients.Agent, device: tuple[str, str] = ("", "")) -> None:
        person.seats[kind.name] = Seat(
            person=person,
            kind=kind,
            agent=agent,
            device_id=device[0],
            device_name=device[1],
            sid=dice.guid(),
            session_until=tenant.start + int(dice.wait(kind.sign_in_days) * DAY),
            is_relayed=kind.is_relayed and dice.chance(relayed),
            hides_address=kind.protocol == "proxy" and dice.chance(0.15),
        )

    desk = dice.weighted(((clients.OUTLOOK, 4.0), (clients.NEW_OUTLOOK, 3.0), (clients.OWA, 1.5), (clients.BIRD, 0.3)))
    sit(desk, clients.OFFICE if desk is clients.OUTLOOK else browser, laptop)
    sit(clients.OWA, browser, laptop if dice.chance(0.6) else ("", ""))
    sit(clients.TEAMS, browser, laptop)
    hand = dice.weighted(((clients.PHONE, 6.0), (clients.APPLE, 0.7), (clients.ACTIVE_SYNC, 0.6), (None, 1.5)))
    if hand is not None:
        is_apple = hand is clients.APPLE
        sit(hand, clients.Agent("iphone", handset.lag) if is_apple else handset, (dice.guid(), "phone"))
    if dice.chance(0.01):
        sit(clients.SCRIPT, browser, laptop)


def _share_mailbox(tenant: Company, dice: Dice, number: int) -> None:
    word = _SHARED[number] if number < len(_SHARED) else f"team{number}"
    mailbox = new_mailbox(
        tenant, dice, upn=f"{word}@{tenant.domain}", name=word.capitalize(), owner=None, licensed=True
    )
    for person in dice.sample(tenant.people, 2 + dice.below(5)):
        mailbox.members.append(person)
        person.shared.append(mailbox)


def _appoint(tenant: Company, dice: Dice) -> None:
    for person in dice.sample(tenant.people, 1 + len(tenant.people) // 80):
        person.is_admin = True
        person.leaves = tenant.end
        person.arrives = tenant.start
    for person in tenant.people:
        if person.habit.name != "executive":
            continue
        others = [other for other in tenant.people if other.habit.name in {"clerk", "specialist"}]
        for assistant in dice.sample(others, 1 + dice.below(2)):
            person.mailbox.members.append(assistant)
            assistant.shared.append(person.mailbox)


def _travel(tenant: Company, world: World, dice: Dice) -> None:
    rate = _share(tenant.parameters["trips_per_year"]) / 365
    # A conference: many go to one hotel at a time.
    meeting = tenant.start + dice.below(tenant.end - tenant.start)
    hotel = dice.pick(world.of("hotel", dice.pick(places.COUNTRIES)))
    for person in tenant.people:
        factor = 3.0 if person.habit.name in {"executive", "manager"} else 0.6
        at = tenant.start + int(dice.wait(1 / (rate * factor)) * DAY)
        while at < tenant.end:
            stay = int(dice.between(0.8, 6.0) * DAY)
            country = person.country if dice.chance(0.5) else dice.pick(places.COUNTRIES)
            person.trips.append(Trip(at, at + stay, dice.pick(world.of("hotel", country))))
            at += stay + int(dice.wait(1 / (rate * factor)) * DAY)
        if dice.chance(0.06):
            person.trips.append(Trip(meeting, meeting + 3 * DAY, hotel))
            person.trips.sort(key=lambda trip: trip.start)


# ---------------------------------------------------------------- applications


def new_app(world: World, dice: Dice, *, app_only: bool = False) -> App:
    """A third-party application of some service provider."""
    app_id, name = dice.guid(), f"{dice.pick(_APP_WORDS)} {dice.pick(_APP_ENDS)}"
    provider = dice.pick(world.clouds)
    return App(
        app_id=app_id,
        name=name,
        sp_oid=dice.guid(),
        kind=clients.graph_kind(app_id, name),
        provider=provider,
        agent=dice.pick(("axios/1.7.9", "python-requests/2.32.3", "Go-http-client/2.0", "Java/21", "node-fetch/3.3.2")),
        scope=dice.pick(
            ("Mail.Read", "Mail.ReadWrite", "Mail.Read User.Read", "Calendars.Read Mail.Read offline_access")
        ),
        is_app_only=app_only,
        every_min=dice.about(60, 0.8),
        reads=dice.between(0.1, 0.9),
        workers=1 + dice.below(3),
        nets=[places.connect(provider, dice) for _ in range(3)],
    )


def _applications(world: World, dice: Dice) -> list[App]:
    apps = [new_app(world, dice, app_only=True) for _ in range(1 + dice.below(2))]
    archive = new_app(world, dice, app_only=True)
    archive.is_archive = True
    archive.workers, archive.reads, archive.every_min = 6, 1.0, dice.about(240, 0.5)
    archive.nets = [places.connect(archive.provider, dice) for _ in range(12)]
    apps.append(archive)
    apps.extend(new_app(world, dice) for _ in range(1 + dice.below(3)))
    return apps


def visitors(world: World, dice: Dice, tenant: Company, number: int) -> list[Person]:
    """Guests of the tenant, who have no mailbox in it."""
    found = []
    for place in range(number):
        name = f"{dice.pick(_FIRST)} {dice.pick(_LAST)}"
        upn = f"{name.replace(' ', '.').lower()}{place}_partner.example#EXT#@{tenant.domain}"
        nobody = tenant.mailboxes[0]
        found.append(
            Person(
                no=-1 - place,
                name=name,
                upn=upn,
                oid=dice.guid(),
                puid=f"10032{dice.hexadecimal(11)}",
                sid=f"{tenant.sid_prefix}-{40_000 + place}",
                habit=company.HABITS[1],
                country=tenant.country,
                start_h=9.0,
                length_h=8.0,
                days_off=frozenset((5, 6)),
                mailbox=nobody,
                home=tenant.office[0],
                mobile=dice.pick(world.of("mobile", tenant.country)),
                goes_home=0.0,
                uses_vpn=False,
                arrives=tenant.start,
                leaves=tenant.end,
            )
        )
    return found


def background_services() -> tuple[tuple[str, str, float], ...]:
    """Microsoft's own readers: application id, name, and how often they read compared with each other."""
    return _BACKGROUND


def doors_per_day(tenant: Company) -> float:
    """Administrative changes per day that could also be an intruder's."""
    return _share(tenant.parameters["doors_per_100_per_month"]) * len(tenant.mailboxes) / 100 / _MONTH_DAYS

"""Who works in a simulated organisation: people, their working patterns, mailboxes and standing permissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import internet, streams

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.apps import MarketApp
    from brokenseal.drill.internet import Internet
    from brokenseal.drill.priors import TenantParameters

IDENTITY_KINDS: Final = ("person", "guest", "app", "service")
PERSON, GUEST, APP, SERVICE = range(len(IDENTITY_KINDS))
ROLES: Final = ("staff", "manager", "executive", "assistant", "admin", "shift")
STAFF, MANAGER, EXECUTIVE, ASSISTANT, ADMIN, SHIFT = range(len(ROLES))
MAILBOX_KINDS: Final = ("user", "shared")
DELEGATION_KINDS: Final = ("assistant", "shared", "handover", "fix")

ALWAYS: Final = 1 << 20
"""A day that never comes."""

IDENTITY_DTYPE: Final = np.dtype(
    [
        ("kind", np.int8),  # index into IDENTITY_KINDS
        ("role", np.int8),  # index into ROLES
        ("mailbox_no", np.int32),  # own mailbox; -1 for none
        ("department", np.int16),
        ("manager_no", np.int32),
        ("site", np.int16),  # index into the tenant's sites
        ("city", np.int16),  # index into internet.CITIES; gives the time zone
        ("starts_min", np.int16),  # working day, local minutes after midnight
        ("ends_min", np.int16),
        ("workdays", np.uint8),  # bit 0 Monday … bit 6 Sunday
        ("home_share", np.float32),  # share of working days at home
        ("joined_day", np.int32),
        ("left_day", np.int32),
        ("rename_day", np.int32),  # day on which the user principal name changes; ALWAYS for never
        ("desktop", np.float32),  # shares of visits by desktop, browser, phone and another client
        ("browser", np.float32),
        ("phone", np.float32),
        ("other", np.float32),
        ("home_network", np.int32),
        ("home_host", np.int64),
        ("moves_day", np.int32),  # day on which the home provider changes
        ("next_home_network", np.int32),
        ("mobile_network", np.int32),
        ("is_dual_stack", np.bool_),
        ("is_cookie_sync", np.bool_),
        ("app_no", np.int32),  # index into the market or into apps.BACKGROUND; -1 for people
    ]
)
MAILBOX_DTYPE: Final = np.dtype(
    [
        ("kind", np.int8),  # index into MAILBOX_KINDS
        ("owner_no", np.int32),  # -1 for shared mailboxes
        ("is_licensed", np.bool_),  # False: reads are not audited
        ("locale", np.int8),  # 0 en, 1 fr, 2 de, 3 es: language of the folder names
        ("records_per_day", np.float64),  # MailItemsAccessed records on an average day
    ]
)
DELEGATION_DTYPE: Final = np.dtype(
    [
        ("identity_no", np.int32),
        ("mailbox_no", np.int32),
        ("kind", np.int8),  # index into DELEGATION_KINDS
        ("from_day", np.int32),
        ("until_day", np.int32),
        ("visits", np.float32),  # visits per active day
    ]
)
SITE_DTYPE: Final = np.dtype([("city", np.int16), ("network_no", np.int32), ("exits", np.int32), ("host", np.int64)])

_SEVERAL_SITES: Final = 500
_NEAR_SITE: Final = 0.6
_HORIZON: Final = 400

_FIRST: Final = (
    "ada aiko alan amal ana anders anton asha bela bruno carla chen clara dana dario elena emil erik esra "
    "fatima felix fiona gabriel greta hana hugo ines iris ivan jan jonas julia kaito karin kofi laila "
    "lars lea leon lina luca lucia maria marta mateo maya mehmet mira musa nadia niko nina noor olga omar "
    "oscar paula pavel petra priya rafael rana rosa ruth sami sara sofia sven tara theo tiago uma vera "
    "victor wanda xenia yann yusuf zoe"
)
_LAST: Final = (
    "abe adler alvarez amari andersen baker banerjee barros bauer becker bell berg blanc bosch brandt "
    "carvalho castro cohen costa cruz dahl diaz dubois duran eriksen farah fischer fontaine garcia gomez "
    "gupta haddad hansen hayashi herrera hoffman horvat ibrahim ito jansen jensen kaya keller khan kim "
    "klein koch kowalski kumar lambert larsen lehmann leroy lima lopez marino martin mehta meyer moreau "
    "morgan nagy nielsen novak okafor olsen ortiz park patel pereira popov raman reyes ricci rossi roux "
    "sato schmidt sharma silva singh suzuki tanaka torres vargas vogel wang weber whitaker wolf yamada "
    "yilmaz zhang"
)
_DEPARTMENTS: Final = (
    "sales support finance legal people research operations marketing purchasing quality projects press facilities"
)


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Identities, mailboxes and permissions of one tenant. Tuples of text run parallel to the arrays."""

    identities: npt.NDArray[Any]
    names: tuple[str, ...]
    aliases: tuple[str, ...]
    mailboxes: npt.NDArray[Any]
    mailbox_aliases: tuple[str, ...]
    delegations: npt.NDArray[Any]
    sites: npt.NDArray[Any]


def build_people(
    parameters: TenantParameters,
    *,
    seed: int,
    tenant_no: int,
    world: Internet,
    market: tuple[MarketApp, ...],
    services: int,
) -> People:
    """The people of one tenant, then its guests, its own applications and `services` Microsoft services.

    Args:
        parameters: What the tenant drew.
        seed: Seed of the drill.
        tenant_no: Number of the tenant.
        world: The networks.
        market: Third-party applications; each gets an identity (its service principal), in the market's order.
        services: Number of Microsoft background services.
    """
    rng = streams.stream(seed, "tenant", tenant_no, "people")
    sites = _sites(parameters, rng, world)
    shared = min(round(parameters.mailboxes * parameters.shared_per_100 / 100), parameters.mailboxes // 2)
    persons = parameters.mailboxes - shared
    guests = round(parameters.mailboxes * parameters.consultants_per_100 / 100)
    identities = np.zeros(persons + guests + len(market) + services, dtype=IDENTITY_DTYPE)
    identities["kind"] = np.repeat([PERSON, GUEST, APP, SERVICE], [persons, guests, len(market), services])
    identities["app_no"] = np.concatenate([np.full(persons + guests, -1), np.arange(len(market)), np.arange(services)])
    identities["mailbox_no"] = np.where(identities["kind"] == PERSON, np.arange(len(identities)), -1)
    for column in ("manager_no", "home_network", "next_home_network", "mobile_network"):
        identities[column] = -1
    for column in ("left_day", "rename_day", "moves_day"):
        identities[column] = ALWAYS
    identities["joined_day"] = -ALWAYS
    humans = identities[: persons + guests]
    _work(humans, parameters, rng, sites)
    _roles(humans[:persons], parameters, rng)
    _lives(humans, parameters, rng, world)
    names = _names(rng, persons + guests)
    mailboxes = _mailboxes(humans[:persons], parameters, rng, shared)
    teams = _DEPARTMENTS.split()
    shared_aliases = [f"{teams[n % len(teams)]}{n if n >= len(teams) else ''}" for n in range(shared)]
    aliases = [alias for alias, _ in names]
    return People(
        identities=identities,
        names=(*(name for _, name in names), *(app.name for app in market)),
        aliases=tuple(aliases),
        mailboxes=mailboxes,
        mailbox_aliases=(*aliases[:persons], *shared_aliases),
        delegations=_delegations(humans[:persons], mailboxes, rng),
        sites=sites,
    )


def _sites(parameters: TenantParameters, rng: np.random.Generator, world: Internet) -> npt.NDArray[Any]:
    count = 1 + int(rng.integers(0, 3 if parameters.mailboxes < _SEVERAL_SITES else 6))
    first = int(rng.integers(len(internet.CITIES)))
    # Most organisations stay in one country; the others are drawn anywhere.
    country = internet.CITIES[first][0]
    near = [no for no, city in enumerate(internet.CITIES) if city[0] == country]
    sites = np.zeros(count, dtype=SITE_DTYPE)
    sites["city"] = first
    for number in range(1, count):
        is_near = len(near) > 1 and rng.random() < _NEAR_SITE
        sites["city"][number] = rng.choice(near) if is_near else rng.integers(len(internet.CITIES))
    for number in range(count):
        sites["network_no"][number] = rng.choice(world.of_kind(internet.OFFICE, city=int(sites["city"][number])))
    sites["exits"] = rng.integers(1, 4, size=count)
    sites["host"] = rng.integers(1 << 40, size=count)
    return sites


def _work(humans: npt.NDArray[Any], parameters: TenantParameters, rng: np.random.Generator, sites: Any) -> None:
    count = len(humans)
    weights = 1.0 / (1.0 + np.arange(len(sites)))
    humans["site"] = streams.choose(rng, weights, count)
    humans["city"] = sites["city"][humans["site"]]
    humans["department"] = rng.integers(parameters.departments, size=count)
    humans["starts_min"] = np.clip(rng.normal(8.6 * 60, 45, count), 5 * 60, 12 * 60)
    humans["ends_min"] = np.clip(humans["starts_min"] + rng.normal(9 * 60, 40, count), 12 * 60, 22 * 60)
    humans["workdays"] = 0b0011111
    is_part_time = streams.chance(rng, 0.12, count)
    humans["workdays"][is_part_time] &= ~(1 << rng.integers(0, 5, size=int(is_part_time.sum()))).astype(np.uint8)
    concentration = 2.0
    mean = min(max(parameters.remote_share, 0.01), 0.99)
    humans["home_share"] = rng.beta(concentration * mean, concentration * (1 - mean), count)
    mix = rng.dirichlet((2.2, 1.3, 1.6, 0.25), count)
    for place, column in enumerate(("desktop", "browser", "phone", "other")):
        humans[column] = mix[:, place]


def _roles(persons: npt.NDArray[Any], parameters: TenantParameters, rng: np.random.Generator) -> None:
    count = len(persons)
    order = rng.permutation(count)
    executives = max(count // 60, 1)
    cuts = np.cumsum([executives, max(executives * 3 // 2, 1), max(count // 80, 1), count // 10, count // 20])
    for role, start, stop in zip((EXECUTIVE, ASSISTANT, ADMIN, MANAGER, SHIFT), (0, *cuts[:-1]), cuts, strict=True):
        persons["role"][order[start:stop]] = role
    is_shift = persons["role"] == SHIFT
    persons["workdays"][is_shift] = rng.choice([0b1101101, 0b1011011, 0b0110111], size=int(is_shift.sum()))
    persons["starts_min"][is_shift] = rng.choice([6 * 60, 14 * 60, 22 * 60 - 480], size=int(is_shift.sum()))
    persons["ends_min"][is_shift] = persons["starts_min"][is_shift] + 8 * 60
    managers = np.flatnonzero(persons["role"] == MANAGER)
    if len(managers):
        persons["manager_no"] = managers[rng.integers(len(managers), size=count)]
    leaves = rng.random(count) < parameters.leavers_per_year
    leaves &= ~np.isin(persons["role"], (EXECUTIVE, ADMIN))
    persons["left_day"][leaves] = rng.integers(5, 365, size=int(leaves.sum()))
    joins = rng.random(count) < parameters.leavers_per_year
    joins &= ~leaves & (persons["role"] == STAFF)
    persons["joined_day"][joins] = rng.integers(1, 365, size=int(joins.sum()))
    renamed = rng.random(count) < parameters.renames_per_year
    persons["rename_day"][renamed] = rng.integers(1, 365, size=int(renamed.sum()))


def _lives(humans: npt.NDArray[Any], parameters: TenantParameters, rng: np.random.Generator, world: Internet) -> None:
    count = len(humans)
    humans["home_host"] = rng.integers(1 << 40, size=count)
    for city in np.unique(humans["city"]).tolist():
        rows = np.flatnonzero(humans["city"] == city)
        homes = world.of_kind(internet.HOME, city=city)
        country = int(world.networks["country"][homes[0]])
        mobiles = world.of_kind(internet.MOBILE, country=country)
        humans["home_network"][rows] = rng.choice(homes, size=len(rows))
        humans["next_home_network"][rows] = rng.choice(homes, size=len(rows))
        humans["mobile_network"][rows] = rng.choice(mobiles, size=len(rows))
    days = rng.exponential(365 / max(parameters.isps_per_year, 1e-9), count)
    humans["moves_day"] = np.where(days < _HORIZON, days, ALWAYS).astype(np.int32)
    pairs = np.flatnonzero(rng.random(count) < parameters.shared_home_share / 2)
    partners = rng.integers(count, size=len(pairs))
    for column in ("home_network", "home_host", "moves_day", "next_home_network"):
        humans[column][pairs] = humans[column][partners]
    humans["is_dual_stack"] = rng.random(count) < parameters.dual_stack_share
    humans["is_cookie_sync"] = rng.random(count) < parameters.cookie_sync_share


def _names(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    seen: dict[str, int] = {}
    names = []
    firsts, lasts = _FIRST.split(), _LAST.split()
    for first, last in zip(rng.integers(len(firsts), size=count), rng.integers(len(lasts), size=count), strict=True):
        alias = f"{firsts[first]}.{lasts[last]}"
        again = seen[alias] = seen.get(alias, 0) + 1
        names.append((alias if again == 1 else f"{alias}{again}", f"{firsts[first].title()} {lasts[last].title()}"))
    return names


def _mailboxes(
    persons: npt.NDArray[Any], parameters: TenantParameters, rng: np.random.Generator, shared: int
) -> npt.NDArray[Any]:
    mailboxes = np.zeros(len(persons) + shared, dtype=MAILBOX_DTYPE)
    mailboxes["kind"] = np.repeat([0, 1], [len(persons), shared])
    mailboxes["owner_no"] = np.concatenate([np.arange(len(persons)), np.full(shared, -1)])
    mailboxes["is_licensed"] = rng.random(len(mailboxes)) >= parameters.unlicensed_share
    mailboxes["records_per_day"] = np.minimum(
        streams.lognormal(rng, parameters.records_per_day, parameters.records_sigma, len(mailboxes)), 900.0
    )
    language = {"FR": 1, "DE": 2, "ES": 3}
    home = np.array([language.get(city[0], 0) for city in internet.CITIES], dtype=np.int8)
    mailboxes["locale"][: len(persons)] = home[persons["city"]]
    mailboxes["locale"][len(persons) :] = home[persons["city"][0]]
    return mailboxes


def _delegations(persons: npt.NDArray[Any], mailboxes: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    rows: list[tuple[int, int, int, int, int, float]] = []
    assistants = np.flatnonzero(persons["role"] == ASSISTANT)
    for executive in np.flatnonzero(persons["role"] == EXECUTIVE).tolist():
        chosen = rng.permutation(assistants)[: int(rng.integers(1, 4))]
        rows.extend((int(one), executive, 0, -ALWAYS, ALWAYS, float(rng.uniform(2, 6))) for one in chosen)
    for mailbox in np.flatnonzero(mailboxes["kind"] == 1).tolist():
        department = int(rng.integers(persons["department"].max() + 1))
        members = np.flatnonzero(persons["department"] == department)
        pool = members if len(members) else np.arange(len(persons))
        chosen = rng.permutation(pool)[: int(rng.integers(2, 9))]
        rows.extend((int(one), mailbox, 1, -ALWAYS, ALWAYS, float(rng.uniform(0.3, 3))) for one in chosen)
    return np.array(rows, dtype=DELEGATION_DTYPE)

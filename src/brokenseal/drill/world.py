"""One simulated tenant: everything that its days are generated from."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import apps, calendar, changes, devices, internet, people, streams
from brokenseal.drill.tables import DAY_US
from brokenseal.errors import UsageError
from brokenseal.simulated import simulated_tenant_id

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.priors import TenantParameters

_NAMES: Final = ("Harbour", "Meadow", "Granite", "Lantern", "Orchard", "Beacon", "Willow", "Summit", "Quarry", "Heron")
_ENDS: Final = ("Works", "Office", "Institute", "Logistics", "Council", "Partners", "Clinic", "Energy", "Press", "Labs")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tenant:
    """One simulated tenant. Arrays are indexed by the `*_no` columns of the tables.

    Attributes:
        seed: Seed of the drill.
        tenant_no: Number in the drill.
        parameters: What it drew.
        epoch_us: Start of day 0, a Monday, 00:00 UTC, microseconds since 1970.
        tenant_id: GUID with the mark of simulated tenants.
        name: Invented name, marked as simulated.
        domain: Mail domain, under `.example`.
        onmicrosoft: Initial domain.
        internet: All networks (shared by the tenants of a drill).
        market: All third-party applications (shared too).
        identities: `people.IDENTITY_DTYPE`: people, guests, one per application of the market, Microsoft services.
        names: Display name of each identity.
        upns: User principal name of each (application and service: its application id) before any rename.
        object_ids: Object id of each.
        puids: Exchange key of each, `UserKey`.
        sids: Security id of each.
        app_ids: Application id of applications and services, "" for people.
        home_tenant_ids: Home tenant of each (guests live elsewhere, Microsoft's services in Microsoft's).
        mailboxes: `people.MAILBOX_DTYPE`.
        mailbox_upns: Address of each mailbox.
        mailbox_guids: GUID of each.
        delegations: `people.DELEGATION_DTYPE`: every standing or temporary permission.
        sites: `people.SITE_DTYPE`.
        devices: Devices and who uses which when.
        device_ids: Directory id of each device.
        calendar: What happens.
        changes: Planned configuration changes, sorted by time.
        sign_in_frequency_days: Days after which sessions of desktop, browser, phone and other clients end.
        office_channel: Update channel of Office.
        unlogged_classes: Client classes whose token issuance never reaches the customer.
    """

    seed: int
    tenant_no: int
    parameters: TenantParameters
    epoch_us: int
    tenant_id: str
    name: str
    domain: str
    onmicrosoft: str
    internet: internet.Internet
    market: tuple[apps.MarketApp, ...]
    identities: npt.NDArray[Any]
    names: tuple[str, ...]
    upns: tuple[str, ...]
    object_ids: tuple[str, ...]
    puids: tuple[str, ...]
    sids: tuple[str, ...]
    app_ids: tuple[str, ...]
    home_tenant_ids: tuple[str, ...]
    mailboxes: npt.NDArray[Any]
    mailbox_upns: tuple[str, ...]
    mailbox_guids: tuple[str, ...]
    delegations: npt.NDArray[Any]
    sites: npt.NDArray[Any]
    devices: devices.Devices
    device_ids: tuple[str, ...]
    calendar: calendar.Calendar
    changes: tuple[changes.Planned, ...]
    sign_in_frequency_days: tuple[float, float, float, float]
    office_channel: int
    unlogged_classes: tuple[str, ...]

    @property
    def epoch_day(self) -> int:
        """Days from 1970 to the epoch."""
        return self.epoch_us // DAY_US

    def day_starts_us(self, day: int) -> int:
        """00:00 UTC of a day."""
        return self.epoch_us + day * DAY_US

    def stream(self, *keys: int | str) -> np.random.Generator:
        """The tenant's generator of this key."""
        return streams.stream(self.seed, "tenant", self.tenant_no, *keys)

    def key(self, *keys: int | str) -> int:
        """The tenant's key for `streams.hashed`."""
        return streams.hash_key(self.seed, "tenant", self.tenant_no, *keys)

    def rows_of(self, kind: int) -> npt.NDArray[np.int64]:
        """Numbers of the identities of this kind."""
        return np.flatnonzero(self.identities["kind"] == kind)

    def upns_on(self, day: int) -> npt.NDArray[np.object_]:
        """User principal name of each identity on a day; renamed people show the new one."""
        shown = np.array(self.upns, dtype=object)
        for row in np.flatnonzero(self.identities["rename_day"] <= day).tolist():
            alias, _, domain = self.upns[row].partition("@")
            # A new surname, borrowed from a colleague; the number keeps it unlike anybody else's.
            surname = self.upns[(row * 7 + 1) % len(self.mailboxes)].partition("@")[0].partition(".")[2]
            shown[row] = f"{alias.partition('.')[0]}.{surname}{row}@{domain}"
        return shown


def monday_of(date: dt.date) -> int:
    """Microseconds from 1970 to 00:00 UTC of this Monday.

    Raises:
        UsageError: The date is no Monday.
    """
    if date.weekday():
        raise UsageError(place="start of the drill", value=date.isoformat(), expected="a Monday")
    return (date - dt.date(1970, 1, 1)).days * DAY_US


@functools.lru_cache(maxsize=4)
def _shared(seed: int) -> tuple[internet.Internet, tuple[apps.MarketApp, ...]]:
    world = internet.build_internet(seed)
    rented = np.concatenate([world.of_kind(internet.CLOUD), world.of_kind(internet.HOSTING)])
    return world, apps.build_market(seed, rented)


def build_tenant(parameters: TenantParameters, *, seed: int, tenant_no: int, epoch: dt.date) -> Tenant:
    """Build one tenant; the same arguments give the same tenant.

    Args:
        parameters: As `priors.draw` gives them.
        seed: Seed of the drill.
        tenant_no: Number of the tenant, from 0.
        epoch: First day, a Monday.

    Raises:
        UsageError: `epoch` is no Monday.
    """
    epoch_us = monday_of(epoch)
    world, market = _shared(seed)
    rng = streams.stream(seed, "tenant", tenant_no, "names")
    name, domain = _name(rng, tenant_no)
    tenant_id = simulated_tenant_id(_guids(streams.hash_key(seed, "tenant", tenant_no, "id"), 1)[0])
    staff = people.build_people(
        parameters, seed=seed, tenant_no=tenant_no, world=world, market=market, services=len(apps.BACKGROUND)
    )
    plan = calendar.build_calendar(parameters, seed=seed, tenant_no=tenant_no, staff=staff, world=world, market=market)
    fleet = _fleet(parameters, staff, plan, seed=seed, tenant_no=tenant_no, epoch_day=epoch_us // DAY_US)
    text = _texts(staff, market, seed=seed, tenant_no=tenant_no, tenant_id=tenant_id, domain=domain)
    planned, fixes = changes.plan_changes(
        parameters,
        rng=streams.stream(seed, "tenant", tenant_no, "changes"),
        staff=staff,
        plan=plan,
        market=market,
        epoch_us=epoch_us,
        mailbox_upns=text["mailbox_upns"],
        app_ids=text["app_ids"],
        names=text["names"],
    )
    frequency = tuple(float(value) for value in rng.choice([7.0, 14.0, 30.0, 60.0, 90.0], size=4))
    return Tenant(
        seed=seed,
        tenant_no=tenant_no,
        parameters=parameters,
        epoch_us=epoch_us,
        tenant_id=tenant_id,
        name=f"{name} (simulated)",
        domain=domain,
        onmicrosoft=f"{domain.partition('.')[0].replace('-', '')}.onmicrosoft.example",
        internet=world,
        market=market,
        identities=staff.identities,
        mailboxes=staff.mailboxes,
        mailbox_guids=tuple(_guids(streams.hash_key(seed, "tenant", tenant_no, "mailbox"), len(staff.mailboxes))),
        delegations=np.concatenate([plan.delegations, fixes]),
        sites=staff.sites,
        devices=fleet,
        device_ids=tuple(devices.device_guids(fleet)),
        calendar=plan,
        changes=planned,
        sign_in_frequency_days=(frequency[0], frequency[1], frequency[2], frequency[3]),
        office_channel=int(rng.integers(3)),
        unlogged_classes=tuple(client for client, chance in _UNLOGGED if rng.random() < chance),
        **text,
    )


# Classes whose tokens some tenants never see issued: broker, on-behalf-of and add-in flows.
_UNLOGGED: Final = (("teams", 0.3), ("outlook_ews", 0.5), ("apple_mail", 0.1))
_MICROSOFT_TENANT: Final = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"


def _name(rng: np.random.Generator, tenant_no: int) -> tuple[str, str]:
    name = f"{_NAMES[int(rng.integers(len(_NAMES)))]} {_ENDS[int(rng.integers(len(_ENDS)))]} {tenant_no + 1}"
    return name, f"{name.lower().replace(' ', '-')}.example"


def _guids(key: int, count: int) -> list[str]:
    texts: list[str] = streams.guid_text(streams.version4(streams.hashed_bytes(key, np.arange(count)))).to_pylist()
    return texts


def _fleet(
    parameters: TenantParameters,
    staff: people.People,
    plan: calendar.Calendar,
    *,
    seed: int,
    tenant_no: int,
    epoch_day: int,
) -> devices.Devices:
    humans = staff.identities[staff.identities["kind"] <= people.GUEST]
    return devices.build_devices(
        parameters,
        humans,
        seed=seed,
        tenant_no=tenant_no,
        waves=tuple(
            (one.from_day, len(one.people) / len(humans)) for one in plan.happenings if one.kind == "new_computers"
        ),
        christmas_day=_christmas(epoch_day),
    )


def _christmas(epoch_day: int) -> int | None:
    start = dt.date(1970, 1, 1) + dt.timedelta(days=epoch_day)
    day = (dt.date(start.year, 12, 26) - start).days
    return day if day <= calendar.LAST_DAY else None


def _texts(
    staff: people.People, market: tuple[apps.MarketApp, ...], *, seed: int, tenant_no: int, tenant_id: str, domain: str
) -> dict[str, tuple[str, ...]]:
    kinds = staff.identities["kind"]
    count = len(kinds)
    key = streams.hash_key(seed, "tenant", tenant_no, "identity")
    object_ids = _guids(key, count)
    bits = streams.hashed(key ^ 1, np.arange(count)).tolist()
    guests = np.flatnonzero(kinds == people.GUEST).tolist()
    app_ids = [*(app.app_id for app in market), *(service.app_id for service in apps.BACKGROUND)]
    humans = count - len(app_ids)
    upns = [f"{alias}@{domain}" for alias in staff.aliases]
    partner = f"partner-{tenant_no + 1}.example"
    for row in guests:
        upns[row] = f"{staff.aliases[row]}_{partner}#EXT#@{domain}"
    home = [tenant_id] * count
    for row in guests:
        home[row] = _guids(key ^ 2, 1)[0]
    for row in np.flatnonzero(kinds == people.SERVICE).tolist():
        home[row] = _MICROSOFT_TENANT
    domain_sid = "-".join(str(number >> 34) for number in bits[:3])
    return {
        "names": (*staff.names, *(service.name for service in apps.BACKGROUND)),
        "upns": (*upns, *app_ids),
        "object_ids": tuple(object_ids),
        "puids": tuple(f"1003200{1 + (number & 1)}{number >> 8 & 0xFFFFFFFF:08X}" for number in bits),
        "sids": tuple(f"S-1-5-21-{domain_sid}-{1100 + row * 7}" for row in range(count)),
        "app_ids": (*[""] * humans, *app_ids),
        "home_tenant_ids": tuple(home),
        "mailbox_upns": tuple(f"{alias}@{domain}" for alias in staff.mailbox_aliases),
    }

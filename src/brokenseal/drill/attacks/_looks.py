"""What an intruder's client looks like: user agents and devices that honest people of the tenant have too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from brokenseal.drill import apps, devices, people

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene
    from brokenseal.drill.world import Tenant

_CARELESS: Final = 1
_BEST: Final = 4
_SCRIPTED: Final = 0.6
_NO_DEVICE: Final = -1
_SYSTEMS: Final = {
    "outlook_desktop": devices.WINDOWS,
    "outlook_ews": devices.WINDOWS,
    "mac_outlook": devices.MACOS,
    "apple_mail": devices.IOS,
    "outlook_ios": devices.IOS,
    "outlook_android": devices.ANDROID,
}
_PHONES: Final = ("mobile", "apple_mail", "android_mail")


class Look(NamedTuple):
    """User agent, and the device that the directory sees: none for scripts, else one that it does not manage."""

    agent: str | None
    device_no: int


def look_for(scene: Scene, person: int, day: int, *, client: str = "owa") -> Look:
    """A look by stealth: a script in the web client, a common device of somebody, one like the victim's own."""
    tenant = scene.tenant
    if scene.stealth == _CARELESS and client == "owa" and scene.rng.random() < _SCRIPTED:
        agents = apps.SCRIPT_AGENTS
        return Look(agents[int(scene.rng.integers(len(agents)))], _NO_DEVICE)
    pool = _unmanaged(tenant, day, client)
    if devices.CLIENT[client].agent == "shell":
        # Shells are run by administrators, so that theirs are the versions about.
        admins = np.flatnonzero(tenant.identities["role"] == people.ADMIN)
        return _alike(scene, int(scene.rng.choice(admins)) if len(admins) else person, day, client, pool)
    if scene.stealth == _BEST:
        return _alike(scene, person, day, client, pool)
    device = int(scene.rng.choice(pool)) if pool else device_of(tenant, person, day, client)
    return Look(agent_of_device(tenant, device, day, client), device)


def _alike(scene: Scene, person: int, day: int, client: str, pool: list[int]) -> Look:
    """The agent of the person's device, on a device of the pool with the same system and browser if there is one."""
    tenant = scene.tenant
    own = device_of(tenant, person, day, client)
    rows = tenant.devices.devices
    alike = [one for one in pool if rows[one]["system"] == rows[own]["system"]]
    alike = [one for one in alike if rows[one]["browser"] == rows[own]["browser"]] or alike or pool
    device = int(scene.rng.choice(alike)) if alike else own
    is_alike = bool(rows[device]["system"] == rows[own]["system"])
    return Look(agent_of_device(tenant, own if is_alike else device, day, client), device)


def own_look(tenant: Tenant, person: int, day: int, *, client: str = "owa") -> Look:
    """The person's own device of that day and its user agent."""
    device = device_of(tenant, person, day, client)
    return Look(agent_of_device(tenant, device, day, client), device)


def device_of(tenant: Tenant, person: int, day: int, client: str = "owa") -> int:
    """The person's computer that day; the phone for clients of phones."""
    slot = devices.PHONE if devices.CLIENT[client].agent in _PHONES else devices.COMPUTER
    return int(tenant.devices.current(np.array([person]), slot, day)[0])


def _unmanaged(tenant: Tenant, day: int, client: str) -> list[int]:
    """Devices in use that the directory does not know and that this client runs on."""
    rows = tenant.devices.devices
    fit = (rows["trust"] == 0) & (rows["from_day"] <= day) & (day < rows["until_day"])
    is_handheld = np.isin(rows["system"], (devices.IOS, devices.ANDROID))
    system = _SYSTEMS.get(client)
    fit &= (rows["system"] == system) if system is not None else ~is_handheld
    found: list[int] = np.flatnonzero(fit).tolist()
    return found


def agent_of_device(tenant: Tenant, device: int, day: int, client: str) -> str | None:
    """User agent of a client on a device; None where the client has none."""
    agent, _ = devices.agents(
        tenant.devices.devices[[device]],
        np.array([devices.CLIENT[client].agent], dtype=object),
        epoch_day=tenant.epoch_day,
        day=day,
        channel=tenant.office_channel,
    )
    code = int(agent.codes[0])
    return agent.words[code] if code >= 0 else None

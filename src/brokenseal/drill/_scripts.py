"""Habits that make honest people look odd: scripts that open their mailbox, and sign-ins at a provider of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import apps, devices, internet, people, streams
from brokenseal.drill.presence import PREFER_V6, Places
from brokenseal.drill.tables import Coded

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

_SCRIPTERS: Final = 0.03
_SCRIPT_VISITS: Final = 0.4
_SCRIPT_ELSEWHERE: Final = 0.5
_FEDERATED_TENANTS: Final = 0.25


def is_federated_tenant(tenant: Tenant) -> bool:
    """Whether the organisation signs its people in at an identity provider of its own."""
    return bool(streams.hashed_uniform(tenant.key("federated"), 0)[0] < _FEDERATED_TENANTS)


def _scripters(tenant: Tenant) -> npt.NDArray[np.int64]:
    """The few people who let a script open their mailbox on the web: at least one for each kind of script."""
    persons = tenant.rows_of(people.PERSON)
    who = tenant.identities[persons]
    eager = who["browser"] * np.where(who["role"] == people.ADMIN, 4.0, 1.0) + 1e-3
    race = -np.log1p(-streams.hashed_uniform(tenant.key("scripts"), persons)) / eager
    found: npt.NDArray[np.int64] = persons[np.argsort(race)][: max(len(apps.SCRIPT_AGENTS), int(_SCRIPTERS * len(who)))]
    return found


def scripted(tenant: Tenant, person: Any, client: Any, starts: Any) -> npt.NDArray[np.bool_]:
    """Visits that a script makes."""
    by_script = streams.hashed_chance(_SCRIPT_VISITS, tenant.key("script visit"), person, starts)
    is_web = client == devices.CLIENT_NAMES.index("owa")
    found: npt.NDArray[np.bool_] = np.isin(person, _scripters(tenant)) & by_script & is_web
    return found


def as_script(
    tenant: Tenant, is_script: npt.NDArray[np.bool_], person: Any, agent: Coded, device: Any, place: Places
) -> tuple[Coded, Any, Places]:
    """Agent, device and place of visits, those of scripts as scripts have them: no device, half on a rented server."""
    if not is_script.any():
        return agent, device, place
    key = tenant.key("scripts")
    known = list(agent.words)
    rank = np.full(len(tenant.identities), 0)
    writers = _scripters(tenant)
    rank[writers] = np.arange(len(writers))
    own = rank[person] % len(apps.SCRIPT_AGENTS)
    agent = Coded(np.where(is_script, len(known) + own, agent.codes).astype(np.int32), [*known, *apps.SCRIPT_AGENTS])
    rented = tenant.internet.of_kind(internet.HOSTING)
    server = rented[(streams.hashed(key ^ 2, person) % np.uint64(len(rented))).astype(np.int64)]
    is_away = is_script & streams.hashed_chance(_SCRIPT_ELSEWHERE, key ^ 3, person)
    prefers_v6 = streams.hashed_chance(PREFER_V6, key ^ 4, person)
    address = internet.addresses(tenant.internet, server, person + 4096, prefers_v6)
    place = Places(
        np.where(is_away, server, place.network_no).astype(np.int32),
        np.where(is_away, address, place.address),
        np.where(is_away, address, place.mail_address),
    )
    return agent, np.where(is_script, -1, device), place

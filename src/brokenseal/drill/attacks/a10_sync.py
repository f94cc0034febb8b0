"""A10: a new profile that synchronises the whole mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill import devices
from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    exit_for,
    moments,
    new_session,
    sign_in,
    starts_by,
    until_midnight_s,
    victims,
    visit,
)
from brokenseal.drill.tables import SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_DAYS = (1, 2, 5, 10)


def plan(scene: Scene) -> Plan:
    """Sign in with the stolen password and let Outlook, or a phone, copy the folders."""
    tenant = scene.tenant
    person = victims(scene, 1)[0]
    start, stop, at_us = starts_by(scene, _DAYS[scene.stealth - 1], person)
    place, session = exit_for(scene, person), new_session(scene, 0, at_us)
    is_desktop = bool(scene.rng.random() < 0.7)  # noqa: PLR2004
    client = "outlook_desktop" if is_desktop else "apple_mail"
    version = devices.office_version(tenant.epoch_day + start, tenant.office_channel) if is_desktop else None
    visits = [
        sign_in(scene, at_us=at_us, person=person, place=place, session=session, look=look_for(scene, person, start))
    ]
    look = look_for(scene, person, start, client=client)
    first = at_us + int(scene.rng.integers(30, 600)) * SECOND_US
    later = [one for one in moments(scene, person, range(start, stop), share=0.95) if one > first]
    for one in (first, *later):
        folders = int(scene.rng.integers(6, 16)) if scene.stealth < CAREFUL else int(scene.rng.integers(1, 4))
        how: dict[str, Any] = {"kind": "sync", "syncs": folders, "folders": folders, "client_version": version}
        if not is_desktop:
            how = {"reads": int(scene.rng.integers(150, 1500)) // scene.stealth, "read_scope": "mailbox", "pace_s": 0.5}
        visits.append(
            visit(
                scene,
                at_us=one,
                identity=person,
                mailbox=person,
                client=client,
                place=place,
                stage="read",
                session=session,
                look=look,
                folder_scope="any",
                duration_s=min(float(scene.rng.uniform(200, 3000)), until_midnight_s(tenant, one)),
                **how,
            )
            | {"starts_at_us": one}
        )
    knobs = {"victims": [person], "client": client, "exit": place.kind}
    return Plan(visits=tuple(visits), knobs=knobs)


ATTACK = Attack(
    id="A10",
    title="Synchronise everything",
    description=(
        "With a stolen password and a confirmed second factor the intruder adds the mailbox to an Outlook profile or "
        "to a phone and copies it. Careless: within the hour and many folders at once; the phone's reads may throttle "
        "the audit of the mailbox. More stealth spreads the copy over ten days, a few folders each, from better exits."
    ),
    techniques=("T1114.002", "T1078.004", "T1119"),
    tells=(_tells.STRANGE_SIGN_IN, _tells.NEW_CLIENT, _tells.SYNCHRONISATION, _tells.VOLUME),
    plan=plan,
)

"""A5: a device code that the victim enters for the intruder, and a hop between Microsoft's own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill import apps
from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._looks import look_for, own_look
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    READS_PER_DAY,
    dwell,
    exit_for,
    lured,
    moments,
    new_session,
    own_place,
    per_day,
    scope,
    sign_in,
    victims,
    visit,
)
from brokenseal.drill.tables import SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene


def plan(scene: Scene) -> Plan:
    """The victim confirms the code from the own desk; the tokens go elsewhere, first to one client, then to mail."""
    person = victims(scene, 1)[0]
    start, stop, at_us = lured(scene, dwell(scene), person)
    place = exit_for(scene, person)
    session = new_session(scene, 0, at_us)
    client_app = apps.BROKER if scene.stealth >= CAREFUL else apps.OFFICE
    mail = "outlook_ios" if scene.rng.random() < 0.6 else "teams"  # noqa: PLR2004
    look = look_for(scene, person, start, client=mail)
    delay_s = int(scene.rng.integers(20, 3600))
    visits = [
        sign_in(
            scene,
            at_us=at_us,
            person=person,
            place=own_place(scene, person, at_us),
            session=session,
            look=own_look(scene.tenant, person, start),
            auth="device_code",
            client_app_id=client_app,
            resource_id=apps.GRAPH,
        )
    ]
    first = at_us + delay_s * SECOND_US
    later = [one for one in moments(scene, person, range(start, stop)) if one > first]
    visits += [
        visit(
            scene,
            at_us=one,
            identity=person,
            mailbox=person,
            client=mail,
            place=place,
            stage="read",
            session=session,
            look=look,
            reads=count,
            **scope(scene, count),
        )
        for one, count in ((one, per_day(scene, READS_PER_DAY)) for one in (first, *later))
    ]
    knobs = {"victims": [person], "exit": place.kind, "first_client": client_app, "mail": mail, "delay_s": delay_s}
    return Plan(visits=tuple(visits), knobs=knobs)


ATTACK = Attack(
    id="A5",
    title="Device code phishing",
    description=(
        "The victim enters a device code that the intruder asked for, and so signs the intruder's client in. The "
        "refresh token of one Microsoft client then gets tokens for a mail client of the same family. Careful "
        "intruders begin with the authentication broker. The second network is hosting, abroad, in the country or the "
        "victim's own provider, by stealth."
    ),
    techniques=("T1528", "T1566.002", "T1550.001", "T1114.002"),
    tells=(_tells.DEVICE_CODE, _tells.MOVED_SESSION, _tells.FAMILY, _tells.NEW_CLIENT, _tells.VOLUME),
    plan=plan,
)

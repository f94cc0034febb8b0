"""A4: a browser's cookie or a primary refresh token, stolen and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._looks import look_for, own_look
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    PROFESSIONAL,
    READS_PER_DAY,
    begins,
    day_of,
    dwell,
    exit_for,
    moments,
    own_session,
    per_day,
    scope,
    victims,
    visit,
)

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene


def plan(scene: Scene) -> Plan:
    """The victim's own session, in a second pair of hands."""
    person = victims(scene, 1)[0]
    start, stop = begins(scene, min(dwell(scene), 14), person=person if scene.stealth >= CAREFUL else None)
    place = exit_for(scene, person)
    other = look_for(scene, person, start)
    visits = []
    for at_us in moments(scene, person, range(start, stop)):
        day = day_of(scene.tenant, at_us)
        session = own_session(scene.tenant, person, at_us)
        if session.started_us > at_us:
            continue  # the session of that day is not signed in yet
        count = per_day(scene, READS_PER_DAY)
        is_copied = scene.stealth >= PROFESSIONAL
        visits.append(
            visit(
                scene,
                at_us=at_us,
                identity=person,
                mailbox=person,
                client="owa",
                place=place,
                stage="read",
                session=session,
                look=own_look(scene.tenant, person, day) if is_copied else other,
                reads=count,
                token_source="replayed",  # noqa: S106 - a word of TOKEN_SOURCES
                **scope(scene, count),
            )
        )
    return Plan(visits=tuple(visits), knobs={"victims": [person], "exit": place.kind})


ATTACK = Attack(
    id="A4",
    title="Stolen cookie replayed",
    description=(
        "Malware took a browser's cookies or a primary refresh token, and the intruder goes on with the victim's own "
        "session while the victim uses it too. Careless: another browser on a hosting network. Professional and "
        "above: the victim's own user agent, from a tunnel, from a home in the country, at last from the victim's own "
        "provider. Every token is genuine."
    ),
    techniques=("T1539", "T1550.004", "T1114.002"),
    tells=(_tells.TWO_NETWORKS, _tells.TWO_AGENTS, _tells.NEW_NETWORK, _tells.VOLUME),
    plan=plan,
)

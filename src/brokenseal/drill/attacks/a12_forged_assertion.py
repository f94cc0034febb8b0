"""A12: a forged assertion of the organisation's own identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    PROFESSIONAL,
    READS_PER_DAY,
    administrator,
    any_moment,
    begins,
    day_of,
    dwell,
    exit_for,
    minutes_later,
    moments,
    new_session,
    per_day,
    scope,
    sign_in,
    victims,
    visit,
)
from brokenseal.drill.tables import MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene


def plan(scene: Scene) -> Plan:
    """Federate a domain (careless and professional) or use the stolen signing key; then sign in as anybody."""
    chosen = victims(scene, int(scene.rng.integers(1, 4)))
    start, stop = begins(scene, dwell(scene), person=chosen[0] if scene.stealth >= CAREFUL else None)
    visits, deeds = [], []
    since_us = 0
    if scene.stealth <= PROFESSIONAL:
        admin = administrator(scene)
        at_us = any_moment(scene, start)
        since_us = at_us + 10 * MINUTE_US
        place, session = exit_for(scene, admin), new_session(scene, 1000, at_us)
        visits.append(
            sign_in(scene, at_us=at_us, person=admin, place=place, session=session, look=look_for(scene, admin, start))
        )
        deeds.append(
            door(
                scene,
                at_us=minutes_later(scene, at_us, 4),
                actor=admin,
                place=place,
                session=session,
                change="domain_federation",
                operation="Set domain authentication.",
                service="entra",
            )
        )
    forged = {"token_source": "forged_assertion", "auth": "federated", "mfa": "none"}
    for number, person in enumerate(chosen):
        place = exit_for(scene, person)
        look = look_for(scene, person, start)
        later = [one for one in moments(scene, person, range(start, stop)) if one > since_us]
        for place_no, at_us in enumerate(later):
            count = per_day(scene, READS_PER_DAY)
            session = new_session(scene, number * 100 + place_no, at_us)
            visits.append(sign_in(scene, at_us=at_us, person=person, place=place, session=session, look=look, **forged))
            visits.append(
                visit(
                    scene,
                    at_us=min(
                        at_us + int(scene.rng.integers(4, 60)) * SECOND_US,
                        scene.tenant.day_starts_us(day_of(scene.tenant, at_us) + 1) - SECOND_US,
                    ),
                    identity=person,
                    mailbox=person,
                    client="owa",
                    place=place,
                    stage="read",
                    session=session,
                    look=look,
                    reads=count,
                    **scope(scene, count),
                )
            )
    knobs = {"victims": chosen, "federated_domain": scene.stealth <= PROFESSIONAL, "exit": place.kind}
    return Plan(visits=tuple(visits), deeds=tuple(deeds), knobs=knobs)


ATTACK = Attack(
    id="A12",
    title="Forged SAML assertion",
    description=(
        "The intruder signs assertions as the organisation's identity provider: with a domain federated for the "
        "purpose (levels 1 and 2), or with the stolen key of the existing one (levels 3 and 4). Entra logs the sign-in "
        "as federated and issues genuine tokens; only the identity provider's own log lacks it. Then the mailbox is "
        "read as in A1."
    ),
    techniques=("T1606.002", "T1484.002", "T1550", "T1114.002"),
    tells=(_tells.STRANGE_ADMIN, _tells.FEDERATION, _tells.FORGED_ASSERTION, _tells.NEW_CLIENT, _tells.VOLUME),
    plan=plan,
)

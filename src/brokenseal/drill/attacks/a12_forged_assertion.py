"""A12: a forged assertion of the organisation's own identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._moves import (
    PROFESSIONAL,
    READS_PER_DAY,
    administrator,
    agent_for,
    begins,
    day_of,
    dwell,
    exit_for,
    moments,
    new_session,
    office_moment,
    per_day,
    scope,
    sign_in,
    victims,
    visit,
)
from brokenseal.drill.tables import HOUR_US, SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene


def plan(scene: Scene) -> Plan:
    """Federate a domain (careless and professional) or use the stolen signing key; then sign in as anybody."""
    chosen = victims(scene, int(scene.rng.integers(1, 4)))
    start, stop = begins(scene, dwell(scene))
    visits, deeds = [], []
    if scene.stealth <= PROFESSIONAL:
        admin = administrator(scene)
        at_us = office_moment(scene, admin, start) - HOUR_US
        place, session = exit_for(scene, admin), new_session(scene, 1000, at_us)
        visits.append(sign_in(scene, at_us=at_us, person=admin, place=place, session=session))
        deeds.append(
            door(
                scene,
                at_us=at_us + 240 * SECOND_US,
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
        agent = agent_for(scene, person, start)
        for place_no, at_us in enumerate(moments(scene, person, range(start, stop))):
            session = new_session(scene, number * 100 + place_no, at_us)
            visits.append(
                sign_in(scene, at_us=at_us, person=person, place=place, session=session, agent=agent, **forged)
            )
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
                    agent=agent,
                    reads=per_day(scene, READS_PER_DAY),
                    **scope(scene),
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
    tells=(
        "sign-in of an administrator from a network that is new for the person (levels 1 and 2)",
        "federation of a domain (levels 1 and 2)",
        "federated sign-in without one at the identity provider",
        "client or network that is new for the mailbox",
        "volume of reads",
    ),
    plan=plan,
)

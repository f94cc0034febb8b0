"""A13: a service provider's delegated administration, in several tenants at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brokenseal.drill import people
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._moves import (
    READS_PER_DAY,
    administrator,
    agent_for,
    begins,
    day_of,
    dwell,
    exit_for,
    foreign_moment,
    new_session,
    office_moment,
    per_day,
    scope,
    sign_in,
    victims,
    visit,
)
from brokenseal.drill.tables import MINUTE_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene


def plan(scene: Scene) -> Plan:
    """A guest of the provider reads mailboxes of every customer, from one exit that all tenants share."""
    tenant = scene.tenant
    guests = tenant.rows_of(people.GUEST)
    actor = int(scene.rng.choice(guests)) if len(guests) else administrator(scene)
    boxes = victims(scene, int(scene.rng.integers(1, 5)))
    # The same network and host in all tenants: drawn from what the campaign shares.
    place = exit_for(scene, actor, rng=scene.campaign)
    start, stop = begins(scene, dwell(scene))
    shift = float(scene.campaign.uniform(0, 24))
    visits = []
    for number, day in enumerate(np.arange(start, stop)[scene.rng.random(stop - start) < 0.7].tolist() or [start]):  # noqa: PLR2004
        at_us = office_moment(scene, actor, day) if scene.stealth > 2 else foreign_moment(scene, day, shift)  # noqa: PLR2004
        at_us = min(at_us, tenant.day_starts_us(day + 1) - 40 * MINUTE_US)
        session = new_session(scene, number, at_us)
        agent = agent_for(scene, int(scene.rng.integers(len(tenant.mailboxes) // 2)), day)
        visits.append(
            sign_in(scene, at_us=at_us, person=actor, place=place, session=session, agent=agent, user_type=10)
        )
        visits += [
            visit(
                scene,
                at_us=at_us + (2 + 5 * turn) * MINUTE_US,
                identity=actor,
                mailbox=box,
                client="owa",
                place=place,
                stage="read",
                session=session,
                agent=agent,
                reads=per_day(scene, READS_PER_DAY) // 2 + 1,
                logon_type=6,
                user_type=10,
                **scope(scene),
            )
            for turn, box in enumerate(boxes)
            if day_of(tenant, at_us + (2 + 5 * turn) * MINUTE_US) == day
        ]
    knobs = {"victims": boxes, "actor": actor, "exit": place.kind, "address": place.address}
    return Plan(visits=tuple(visits), knobs=knobs)


ATTACK = Attack(
    id="A13",
    title="Campaign through a service provider",
    description=(
        "The intruder holds an account of a service provider with delegated administration and reads mailboxes in "
        "three to twenty of its customers, from one exit and in one rhythm. Each tenant alone sees a guest with rights "
        "that it gave; only together they show one hand. Stealth chooses the exit and the pace, and keeps office hours."
    ),
    techniques=("T1199", "T1078.004", "T1114.002"),
    tells=(
        "delegated administrator in a mailbox",
        "one address in several tenants",
        "client or network that is new for the mailbox",
        "volume of reads",
    ),
    plan=plan,
    is_campaign=True,
)

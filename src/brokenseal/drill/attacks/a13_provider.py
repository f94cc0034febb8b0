"""A13: a service provider's delegated administration, in several tenants at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill import people
from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    READS_PER_DAY,
    administrator,
    begins,
    day_of,
    dwell,
    exit_for,
    foreign_moment,
    is_at_work,
    minutes_later,
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

_ACTIVE = 0.7


def plan(scene: Scene) -> Plan:
    """A guest of the provider reads mailboxes of every customer, from one exit that all tenants share."""
    tenant = scene.tenant
    guests = tenant.rows_of(people.GUEST)
    actor = int(scene.rng.choice(guests)) if len(guests) else administrator(scene)
    boxes = victims(scene, int(scene.rng.integers(1, 5)))
    # The same network and host in all tenants: drawn from what the campaign shares.
    place = exit_for(scene, actor, rng=scene.campaign)
    is_careful = scene.stealth >= CAREFUL
    start, stop = begins(scene, dwell(scene), person=actor if is_careful else None)
    shift = float(scene.campaign.uniform(0, 24))
    visits = []
    active = [day for day in range(start, stop) if day == start or scene.rng.random() < _ACTIVE]
    active = [day for day in active if not is_careful or is_at_work(scene, actor, day)]
    for number, day in enumerate(active):
        at_us = office_moment(scene, actor, day) if is_careful else foreign_moment(scene, day, shift)
        at_us = min(at_us, tenant.day_starts_us(day + 1) - 40 * MINUTE_US)
        session = new_session(scene, number, at_us)
        look = look_for(scene, int(scene.rng.integers(len(tenant.mailboxes) // 2)), day)
        turns = [minutes_later(scene, at_us, 2 + 5 * turn) for turn in range(len(boxes))]
        counts = [per_day(scene, READS_PER_DAY) // 2 + 1 for _ in boxes]
        visits.append(sign_in(scene, at_us=at_us, person=actor, place=place, session=session, look=look, user_type=10))
        visits += [
            visit(
                scene,
                at_us=opened,
                identity=actor,
                mailbox=box,
                client="owa",
                place=place,
                stage="read",
                session=session,
                look=look,
                reads=count,
                logon_type=6,
                user_type=10,
                **scope(scene, count),
            )
            for opened, box, count in zip(turns, boxes, counts, strict=True)
            if day_of(tenant, opened) == day
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
    tells=(_tells.DELEGATED_ADMIN, _tells.CAMPAIGN, _tells.NEW_CLIENT, _tells.VOLUME),
    plan=plan,
    is_campaign=True,
)

"""A6: users consent to an application that reads their mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._applications import adopted, app_exit, app_visit, pick_app
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import own_look
from brokenseal.drill.attacks._moves import (
    READS_PER_DAY,
    begins,
    dwell,
    foreign_moment,
    is_at_work,
    new_session,
    office_moment,
    own_place,
    own_session,
    per_day,
    victims,
)

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_VICTIMS = ((10.0, 30.0), (4.0, 12.0), (2.0, 5.0), (1.0, 2.0))
_DORMANT_DAYS = (0, 5, 15, 30)


def plan(scene: Scene) -> Plan:
    """Each victim consents from the own desk; after a pause the application polls every day."""
    tenant = scene.tenant
    chosen = victims(scene, per_day(scene, _VICTIMS))
    start, stop = begins(scene, dwell(scene) + 7, person=chosen[0])
    known = adopted(scene, start) if scene.stealth > 3 else None  # noqa: PLR2004
    app_no = pick_app(scene, is_app_only=False, known=known)
    app = tenant.market[app_no]
    shift = float(scene.rng.uniform(0, 24))
    visits, deeds = [], []
    for number, person in enumerate(chosen):
        week = [one for one in range(start, min(start + 5, stop)) if is_at_work(scene, person, one)]
        day = int(scene.rng.choice(week)) if number and week else start
        at_us = office_moment(scene, person, day)
        consent: dict[str, Any] = {
            "at_us": at_us,
            "actor": person,
            "place": own_place(scene, person, at_us),
            "session": own_session(tenant, person, at_us),
            "look": own_look(tenant, person, day),
            "service": "entra",
            "grantee_no": person,
            "app_id": app.app_id,
            "app_name": app.name,
            "rights": app.scopes,
        }
        deeds.append(door(scene, change="consent", operation="Consent to application.", **consent))
        later = {**consent, "at_us": at_us + 1}
        deeds.append(door(scene, change="delegated_grant", operation="Add delegated permission grant.", **later))
        pause = int(scene.rng.integers(0, _DORMANT_DAYS[scene.stealth - 1] + 1))
        place = app_exit(scene, app_no, person)
        session = new_session(scene, number, at_us)
        visits += [
            app_visit(
                scene,
                app_no=app_no,
                at_us=foreign_moment(scene, one, shift),
                identity=person,
                mailbox=person,
                place=place,
                session=session,
                reads=per_day(scene, READS_PER_DAY),
                read_scope="mailbox" if one == day + 1 else "arrivals",
                folder_scope="usual",
            )
            for one in range(min(day + 1 + pause, stop - 1), stop)
            if scene.rng.random() < 0.85 and one > day  # noqa: PLR2004
        ]
    knobs = {"victims": chosen, "app": app.name, "app_id": app.app_id}
    return Plan(visits=tuple(visits), deeds=tuple(deeds), knobs=knobs)


ATTACK = Attack(
    id="A6",
    title="Consent to a mail-reading application",
    description=(
        "One to thirty users consent to an application with a right to read mail, and it polls their mailboxes from "
        "then on. It is one of the market that other organisations use honestly. Stealth lowers the number of victims "
        "and the pace, lengthens the pause between consent and first read up to a month, and moves the calls from a "
        "hoster to the cloud of real software; at level 4 the tenant knows the application already."
    ),
    techniques=("T1528", "T1566.002", "T1114.002", "T1550.001"),
    tells=(
        _tells.CONSENT,
        _tells.NEW_APPLICATION,
        _tells.APPLICATION_NETWORK,
        _tells.APPLICATION_IN_MANY,
        _tells.VOLUME,
    ),
    plan=plan,
)

"""A7: a credential added to an application that may read every mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._applications import adopted, app_exit, app_visit, identity_of, idle_app, pick_app
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    READS_PER_DAY,
    administrator,
    dwell,
    exit_for,
    foreign_moment,
    minutes_later,
    new_session,
    per_day,
    sign_in,
    starts_by,
)
from brokenseal.drill.changes import CREDENTIALS
from brokenseal.drill.tables import MINUTE_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_SCOPE = (1.0, 0.3, 0.08, 0.02)
_MOST_PER_DAY = 25


def plan(scene: Scene) -> Plan:
    """A hijacked administrator adds the secret; the application then reads from the intruder's network."""
    tenant = scene.tenant
    admin = administrator(scene)
    start, stop, at_us = starts_by(scene, dwell(scene), admin)
    place, session = exit_for(scene, admin), new_session(scene, 0, at_us)
    look = look_for(scene, admin, start)
    is_known = scene.stealth >= CAREFUL
    app_no = pick_app(scene, is_app_only=True, known=adopted(scene, start)) if is_known else idle_app(scene, start)
    app, identity = tenant.market[app_no], identity_of(scene, app_no)
    shared: dict[str, Any] = {
        "actor": admin,
        "place": place,
        "session": session,
        "service": "entra",
        "app_id": app.app_id,
    }
    shared |= {"app_name": app.name}
    deeds = [
        door(
            scene,
            at_us=minutes_later(scene, at_us, 4),
            change="app_credential",
            operation=CREDENTIALS,
            target_identity_no=identity,
            **shared,
        )
    ]
    if not is_known:
        deeds.append(
            door(
                scene,
                at_us=minutes_later(scene, at_us, 9),
                change="app_role_grant",
                operation="Add app role assignment to service principal.",
                rights=("Mail.Read",),
                is_admin_consent=True,
                **shared,
            )
        )
    visits = [sign_in(scene, at_us=at_us, person=admin, place=place, session=session, look=look)]
    count = max(round(len(tenant.mailboxes) * _SCOPE[scene.stealth - 1]), 1)
    boxes = scene.rng.choice(len(tenant.mailboxes), size=count, replace=False)
    calls, shift = app_exit(scene, app_no, admin), float(scene.rng.uniform(0, 24))
    for day in range(start + 1, stop):
        due = boxes[scene.rng.random(count) < min(_MOST_PER_DAY / count, 0.7)]
        begin = foreign_moment(scene, day, shift)
        for number, box in enumerate(np.sort(due).tolist()):
            at = begin + number * int(scene.rng.integers(20, 240)) * 1_000_000
            visits.append(
                app_visit(
                    scene,
                    app_no=app_no,
                    at_us=min(at, tenant.day_starts_us(day + 1) - 2 * MINUTE_US),
                    identity=identity,
                    mailbox=box,
                    place=calls,
                    user_type=5,
                    auth="client_secret",
                    reads=per_day(scene, READS_PER_DAY) // 2 + 1,
                    pace_s=3.0,
                    read_scope="newest",
                    folder_scope="usual",
                )
            )
    knobs = {"admin": admin, "app": app.name, "app_is_known": is_known, "mailboxes": int(count), "exit": calls.kind}
    return Plan(visits=tuple(visits), deeds=tuple(deeds), knobs=knobs)


ATTACK = Attack(
    id="A7",
    title="Credential added to an application",
    description=(
        "With a hijacked administrator the intruder adds a secret to an application and reads mailboxes with the "
        "application's own identity. Careless and professional intruders take an application that has no right to mail "
        "and grant it; careful ones one that the tenant uses for mail already. Scope goes from all mailboxes to a few, "
        "the calls from a hoster to the cloud of the application itself."
    ),
    techniques=("T1098.001", "T1098.003", "T1078.004", "T1114.002"),
    tells=(
        _tells.STRANGE_ADMIN,
        _tells.CREDENTIAL,
        _tells.MAIL_RIGHT,
        _tells.APPLICATION_NETWORK,
        _tells.APPLICATION_IN_MANY,
        _tells.VOLUME,
    ),
    plan=plan,
)

"""A9: Exchange Web Services with the right to impersonate everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._applications import adopted, app_exit, app_visit, identity_of, pick_app
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
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
from brokenseal.drill.tables import MINUTE_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_SCOPE = (1.0, 0.4, 0.1, 0.03)
_MOST_PER_DAY = 20


def plan(scene: Scene) -> Plan:
    """Assign the role to an application, then open mailbox after mailbox as a migration or a backup would."""
    tenant = scene.tenant
    admin = administrator(scene)
    start, stop, at_us = starts_by(scene, dwell(scene), admin)
    place, session = exit_for(scene, admin), new_session(scene, 0, at_us)
    look = look_for(scene, admin, start)
    # Any application that acts by itself will do: the role lets it speak Exchange Web Services.
    used = adopted(scene, start)
    speakers = {one for one in used if tenant.market[one].protocol == "ews"}
    app_no = pick_app(scene, is_app_only=True, known=speakers or used)
    app, identity = tenant.market[app_no], identity_of(scene, app_no)
    deeds = (
        door(
            scene,
            at_us=minutes_later(scene, at_us, 3),
            actor=admin,
            place=place,
            session=session,
            change="management_role",
            operation="New-ManagementRoleAssignment",
            service="exchange",
            grantee_no=identity,
            app_id=app.app_id,
            app_name=app.name,
            rights=("ApplicationImpersonation",),
        ),
    )
    visits = [sign_in(scene, at_us=at_us, person=admin, place=place, session=session, look=look)]
    count = max(round(len(tenant.mailboxes) * _SCOPE[scene.stealth - 1]), 1)
    boxes = scene.rng.choice(len(tenant.mailboxes), size=count, replace=False)
    calls, shift = app_exit(scene, app_no, admin), float(scene.rng.uniform(0, 24))
    for day in range(start + 1, stop):
        begin = foreign_moment(scene, day, shift)
        due = boxes[scene.rng.random(count) < min(_MOST_PER_DAY / count, 0.6)]
        for number, box in enumerate(due.tolist()):
            at = begin + number * int(scene.rng.integers(30, 400)) * 1_000_000
            visits.append(
                app_visit(
                    scene,
                    app_no=app_no,
                    at_us=min(at, tenant.day_starts_us(day + 1) - 2 * MINUTE_US),
                    identity=identity,
                    mailbox=box,
                    place=calls,
                    is_ews=True,
                    logon_type=1,
                    user_type=5,
                    auth="client_secret",
                    reads=per_day(scene, READS_PER_DAY),
                    pace_s=2.0,
                    read_scope="mailbox",
                    folder_scope="any",
                    folders=int(scene.rng.integers(2, 9)),
                )
            )
    knobs = {"admin": admin, "app": app.name, "mailboxes": int(count), "exit": calls.kind}
    return Plan(visits=tuple(visits), deeds=deeds, knobs=knobs)


ATTACK = Attack(
    id="A9",
    title="Impersonation through Exchange Web Services",
    description=(
        "The intruder assigns ApplicationImpersonation to an application and reads through Exchange Web Services, as "
        "backups and migrations do, one that the tenant knows where there is one. From level 3 on it calls from a "
        "cloud, at level 4 from its own. Scope goes from all mailboxes to a few."
    ),
    techniques=("T1098.002", "T1098.003", "T1114.002"),
    tells=(
        _tells.STRANGE_ADMIN,
        _tells.IMPERSONATION,
        _tells.APPLICATION_NETWORK,
        _tells.APPLICATION_IN_MANY,
        _tells.VOLUME,
    ),
    plan=plan,
)

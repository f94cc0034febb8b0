"""A9: Exchange Web Services with the right to impersonate everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks._applications import adopted, app_exit, app_visit, identity_of, pick_app
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    READS_PER_DAY,
    administrator,
    begins,
    dwell,
    exit_for,
    foreign_moment,
    new_session,
    office_moment,
    per_day,
    sign_in,
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
    start, stop = begins(scene, dwell(scene))
    at_us = office_moment(scene, admin, start)
    place, session = exit_for(scene, admin), new_session(scene, 0, at_us)
    known = adopted(scene, start) if scene.stealth >= CAREFUL else None
    app_no = pick_app(scene, is_app_only=True, known=known, protocol="ews")
    app, identity = tenant.market[app_no], identity_of(scene, app_no)
    deeds = (
        door(
            scene,
            at_us=at_us + 3 * MINUTE_US,
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
    visits = [sign_in(scene, at_us=at_us, person=admin, place=place, session=session)]
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
        "backups and migrations do. From level 3 on it is an application that the tenant knows, calling from a cloud, "
        "at level 4 from its own. Scope goes from all mailboxes to a few."
    ),
    techniques=("T1098.002", "T1098.003", "T1114.002"),
    tells=(
        "sign-in of an administrator from a network that is new for the person",
        "role ApplicationImpersonation assigned",
        "network of an application",
        "one application in many mailboxes",
        "volume of reads",
    ),
    plan=plan,
)

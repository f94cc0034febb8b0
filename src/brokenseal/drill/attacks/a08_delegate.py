"""A8: permission on somebody else's mailbox, by an insider or a hijacked administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for, own_look
from brokenseal.drill.attacks._moves import (
    CAREFUL,
    PROFESSIONAL,
    READS_PER_DAY,
    Exit,
    Session,
    administrator,
    day_of,
    dwell,
    exit_for,
    lured,
    minutes_later,
    moments,
    new_session,
    office_moment,
    own_place,
    own_session,
    per_day,
    scope,
    sign_in,
    starts_by,
    victims,
    visit,
)
from brokenseal.drill.tables import MINUTE_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Deed, Scene, Visit
    from brokenseal.drill.attacks._looks import Look


def plan(scene: Scene) -> Plan:
    """Open the mailbox for the actor, read it for some days, and (from level 2 on) close it again."""
    boxes = victims(scene, 3 if scene.stealth <= PROFESSIONAL else 1)
    is_insider = scene.stealth >= CAREFUL
    actor = _colleague(scene, boxes) if is_insider else administrator(scene)
    stays = dwell(scene)
    start, stop, at_us = lured(scene, stays, boxes[0]) if is_insider else starts_by(scene, stays, actor)
    foreign = exit_for(scene, actor)
    session = new_session(scene, 0, at_us)
    look = look_for(scene, actor, start)
    visits: list[Visit] = []
    if not is_insider:
        visits.append(sign_in(scene, at_us=at_us, person=actor, place=foreign, session=session, look=look))

    def hands(when_us: int) -> tuple[Exit, Session]:
        """Place and session of the actor at that moment."""
        if not is_insider:
            return foreign, session
        own = own_session(scene.tenant, actor, when_us)
        return own_place(scene, actor, when_us), own

    deeds: list[Deed] = []
    for number, box in enumerate(boxes):
        opened = minutes_later(scene, at_us, 5 + 2 * number)
        deeds.append(_permission(scene, opened, (actor, box), hands(opened), is_insider=is_insider))
        days = moments(scene, actor, range(start, stop))
        for one in (one for one in days if one > opened + 10 * MINUTE_US):
            place, own = hands(one)
            visits.append(_read(scene, one, (actor, box), (place, own), None if is_insider else look))
        if scene.stealth >= PROFESSIONAL:
            closed = max(office_moment(scene, actor, stop - 1), opened) + 10 * MINUTE_US
            change = _permission(scene, closed, (actor, box), hands(closed), is_insider=is_insider, is_removal=True)
            deeds.append(change)
    knobs = {"victims": boxes, "actor": actor, "insider": is_insider, "closed": scene.stealth >= PROFESSIONAL}
    return Plan(visits=tuple(visits), deeds=tuple(deeds), knobs=knobs)


def _colleague(scene: Scene, boxes: list[int]) -> int:
    while (one := victims(scene, 1)[0]) in boxes:
        pass
    return one


def _read(scene: Scene, at_us: int, pair: tuple[int, int], hands: tuple[Exit, Session], look: Look | None) -> Visit:
    """A visit to the opened mailbox; without a look it is the actor's own."""
    actor, box = pair
    count = per_day(scene, READS_PER_DAY) // 2 + 1
    return visit(
        scene,
        at_us=at_us,
        identity=actor,
        mailbox=box,
        client="owa",
        place=hands[0],
        stage="read",
        session=hands[1],
        look=look or own_look(scene.tenant, actor, day_of(scene.tenant, at_us)),
        reads=count,
        logon_type=2,
        **scope(scene, count),
    )


def _permission(
    scene: Scene,
    at_us: int,
    pair: tuple[int, int],
    hands: tuple[Exit, Session],
    *,
    is_insider: bool,
    is_removal: bool = False,
) -> Deed:
    """FullAccess by an administrator; Reviewer on the inbox from the victim's unlocked desk for an insider."""
    actor, box = pair
    verb = "Remove" if is_removal else "Add"
    shared: dict[str, Any] = {"at_us": at_us, "service": "exchange", "mailbox_no": box, "grantee_no": actor}
    shared["stage"] = "clean_up" if is_removal else "door"
    if not is_insider:
        return door(
            scene,
            actor=actor,
            place=hands[0],
            session=hands[1],
            change="mailbox_permission",
            operation=f"{verb}-MailboxPermission",
            rights=("FullAccess",),
            **shared,
        )
    day = day_of(scene.tenant, at_us)
    return door(
        scene,
        actor=box,
        place=own_place(scene, box, at_us),
        session=own_session(scene.tenant, box, at_us),
        look=own_look(scene.tenant, box, day),
        change="folder_permission",
        operation=f"{verb}-MailboxFolderPermission",
        rights=("Reviewer",),
        folder="inbox",
        **shared,
    )


ATTACK = Attack(
    id="A8",
    title="Permission on somebody else's mailbox",
    description=(
        "Levels 1 and 2: a hijacked administrator gets FullAccess to up to three mailboxes and reads them as a "
        "delegate from a foreign network. Levels 3 and 4: a colleague gives the own account Reviewer on a victim's "
        "inbox at the victim's unlocked desk and reads at the own desk, on the own device, in working hours. From "
        "level 2 on the permission is taken away again at the end."
    ),
    techniques=("T1098.002", "T1078.004", "T1114.002", "T1070"),
    tells=(_tells.STRANGE_ADMIN, _tells.PERMISSION, _tells.NEW_PAIR, _tells.PERMISSION_REMOVED, _tells.VOLUME),
    plan=plan,
)

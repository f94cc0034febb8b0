"""Changes of configuration that attacks make, each with the visit in which it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill import people
from brokenseal.drill.attacks._contract import Deed
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import day_of, visit
from brokenseal.drill.changes import Planned
from brokenseal.drill.tables import SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene
    from brokenseal.drill.attacks._looks import Look
    from brokenseal.drill.attacks._moves import Exit, Session


def door(
    scene: Scene,
    *,
    at_us: int,
    actor: int,
    place: Exit,
    session: Session,
    change: str,
    operation: str,
    service: str,
    stage: str = "door",
    look: Look | None = None,
    **details: Any,
) -> Deed:
    """One change by one actor, made with the clients that honest people change things with.

    `details` are further columns of `tables.CHANGE`, as in `changes.Planned`.
    """
    planned = Planned(at_us, change, operation, service, actor, **details)
    is_admin = bool(scene.tenant.identities["role"][actor] == people.ADMIN)
    client = str(scene.rng.choice(["exchange_shell", "admin_center"])) if is_admin else "owa"
    made = visit(
        scene,
        at_us=at_us - 5 * SECOND_US,
        identity=actor,
        mailbox=-1,
        client=client,
        place=place,
        session=session,
        look=look or look_for(scene, actor, day_of(scene.tenant, at_us), client=client),
        stage=stage,
        kind="change",
        user_type=2 if is_admin else 0,
        duration_s=60.0,
    )
    return Deed(made, planned)

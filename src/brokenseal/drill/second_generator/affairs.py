"""What goes on in a tenant that an intruder could also have done, and every other change that makes logs restless.

Administrators open mailboxes for a stand-in, people forward their mail while they are away, applications are let in
and rolled out, secrets expire and are renewed, telephones are replaced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients, founding, machinery
from brokenseal.drill.second_generator.changes import Hand, Property
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND
from brokenseal.drill.second_generator.lives import liveliness, skim
from brokenseal.drill.second_generator.places import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.drill.second_generator.clock import Life
    from brokenseal.drill.second_generator.company import App, Mailbox, Person, Seat
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.scene import Scene

_HOUSEKEEPING: Final = (
    "Set-TransportConfig",
    "Install-DefaultSharingPolicy",
    "Set-RecipientEnforcementProvisioningPolicy",
    "Set-ExchangeAssistanceConfig",
    "Set-OwaMailboxPolicy",
)
_ROLES: Final = ("Helpdesk Administrator", "Groups Administrator", "Exchange Administrator", "Reports Reader")
_WAVE_DAYS: Final = 8.0
_YEAR: Final = 365
_REPLACED: Final = frozenset(("outlook", "phone", "active_sync", "owa", "new_outlook"))
_TAKEN_BACK: Final = 0.5
_LOOKED_INTO: Final = 0.4
_PRIVATE: Final = 0.35
_STUCK_PER_YEAR: Final = 0.04
_FETCHED: Final = 25


def housekeeping(scene: Scene) -> Life:
    """The service's own changes, several a day."""
    dice = scene.dice("housekeeping")
    hand = Hand(None, "", "service")
    while True:
        yield scene.clock.now + int(dice.wait(4) * HOUR)
        operation = dice.pick(_HOUSEKEEPING)
        target = f"{scene.tenant.domain.removesuffix('.example')}.onmicrosoft.example"
        scene.changes.cmdlet(hand, operation, target, {"Identity": target}, scene.clock.now)


def doors(scene: Scene) -> Life:
    """Administrative changes and personal settings, at the tenant's rate."""
    dice = scene.dice("doors")
    pause = 1 / founding.doors_per_day(scene.tenant)
    kinds = (
        (_stand_in, 2.0),
        (_away, 1.6),
        (_tidy_rule, 2.5),
        (_copy_rule, 0.5),
        (_small_app, 1.5),
        (_renewed_secret, 1.0),
        (_role, 0.4),
        (_password, 1.5),
        (_own_access, 0.3),
    )
    while True:
        yield scene.clock.now + int(dice.wait(pause) * DAY)
        admin = dice.pick(scene.tenant.admins)
        while liveliness(admin, scene.clock.now) < 0.2:  # noqa: PLR2004 - not while everybody sleeps
            yield scene.clock.now + int(dice.wait(3) * HOUR)
        kind = dice.weighted(kinds)
        scene.clock.start(kind(scene, dice, admin))


def hand_of(scene: Scene, person: Person, dice: Dice) -> Hand:
    """The hand of somebody who is mostly in the office."""
    now = scene.clock.now
    net = dice.pick(scene.tenant.office).at(now) if dice.chance(0.7) else person.home.at(now)
    return Hand(person, net.address, "admin" if person.is_admin else "owner")


def _colleague(scene: Scene, dice: Dice, *not_these: Person | None) -> Person:
    others = [person for person in scene.tenant.people if person not in not_these]
    return dice.pick(others or scene.tenant.people)


def _stand_in(scene: Scene, dice: Dice, admin: Person) -> Life:
    """Somebody may open a colleague's mailbox for some weeks."""
    target = dice.pick(scene.tenant.people).mailbox
    delegate = _colleague(scene, dice, target.owner)
    yield from _open_mailbox(scene, dice, admin, target, delegate)


def _own_access(scene: Scene, dice: Dice, admin: Person) -> Life:
    """An administrator opens a mailbox to himself, to mend something or to look into an incident."""
    yield from _open_mailbox(scene, dice, admin, dice.pick(scene.tenant.mailboxes), admin)


def _open_mailbox(scene: Scene, dice: Dice, admin: Person, target: Mailbox, delegate: Person) -> Life:
    scene.changes.full_access(hand_of(scene, admin, dice), target, delegate, scene.clock.now)
    delegate.shared.append(target)
    if dice.chance(_LOOKED_INTO):
        yield scene.clock.now + int(dice.wait(3) * HOUR)
        net = delegate.last_net or delegate.home.at(scene.clock.now)
        yield from skim(scene, delegate.seats["owa"], net, target, dice)
    if dice.chance(_TAKEN_BACK):
        yield scene.clock.now + int(dice.about(12, 0.9) * DAY)
        delegate.shared.remove(target)
        scene.changes.full_access(hand_of(scene, admin, dice), target, delegate, scene.clock.now, ends=True)


def _away(scene: Scene, dice: Dice, admin: Person) -> Life:
    """Mail goes to a stand-in, or to a private address, for as long as somebody is away."""
    person = dice.pick(scene.tenant.people)
    mailbox, other = person.mailbox, _colleague(scene, dice, person)
    goes_to = private_address(dice) if dice.chance(_PRIVATE) else other.upn
    by = person if dice.chance(0.5) else admin
    if mailbox.forward_to:
        return
    scene.changes.send_on(hand_of(scene, by, dice), mailbox, goes_to, scene.clock.now)
    mailbox.forward_to, mailbox.forwarder = goes_to, (None, "owner")
    yield scene.clock.now + int(dice.about(9, 0.7) * DAY)
    mailbox.forward_to, mailbox.forwarder = "", None
    scene.changes.send_on(hand_of(scene, by, dice), mailbox, "", scene.clock.now)


def private_address(dice: Dice) -> str:
    """An address outside, of the sort that people have for themselves."""
    return f"{dice.hexadecimal(7).lower()}@postbox{dice.below(5)}.example"


def _tidy_rule(scene: Scene, dice: Dice, _admin: Person) -> Life:
    person = dice.pick(scene.tenant.people)
    folder = dice.pick(person.mailbox.paths[5:])
    parameters = {
        "Name": dice.pick(("Newsletters", "Later", "Invoices", "Tickets", "CC")),
        "From": f"news@lakeside{dice.below(90)}.example",
        "MoveToFolder": folder,
        "MarkAsRead": str(dice.chance(0.2)),
    }
    yield scene.clock.now + SECOND
    target = f"{person.mailbox.name}\\{parameters['Name']}"
    operation = dice.pick(("New-InboxRule", "New-InboxRule", "Set-InboxRule"))
    scene.changes.cmdlet(hand_of(scene, person, dice), operation, target, parameters, scene.clock.now)


def _copy_rule(scene: Scene, dice: Dice, _admin: Person) -> Life:
    """Somebody has mail sent on to a colleague, or to an address of his own, and leaves it at that."""
    person = dice.pick(scene.tenant.people)
    mailbox = person.mailbox
    goes_to = private_address(dice) if dice.chance(_PRIVATE) else _colleague(scene, dice, person).upn
    yield scene.clock.now + SECOND
    scene.changes.send_on(hand_of(scene, person, dice), mailbox, goes_to, scene.clock.now, rule="Copy")
    if not mailbox.forward_to:
        mailbox.forward_to, mailbox.forwarder = goes_to, (None, "owner")


def _small_app(scene: Scene, dice: Dice, _admin: Person) -> Life:
    """Somebody lets a small application into the own mailbox."""
    person = dice.pick(scene.tenant.people)
    app = founding.new_app(scene.world, dice)
    hand = hand_of(scene, person, dice)
    scene.changes.consent(hand, app, scene.clock.now, for_all=False)
    yield from let_in(scene, app, [person], dice)
    until = scene.tenant.end if dice.chance(0.6) else scene.clock.now + int(dice.about(10, 1) * DAY)
    yield from machinery.app_life(scene, app, [person.mailbox], until=until)


def let_in(scene: Scene, app: App, people: list[Person], dice: Dice) -> Life:
    """These people sign in to an application for the first time, each from where he is."""
    for person in people:
        yield scene.clock.now + int(dice.wait(2) * SECOND)
        seat = machinery.app_seat(scene, person, app)
        scene.desk.sign_in(seat, person.home.at(scene.clock.now), scene.clock.now)
        seat.session_until = scene.tenant.end


def _renewed_secret(scene: Scene, dice: Dice, admin: Person) -> Life:
    app = dice.pick(scene.tenant.apps)
    yield scene.clock.now + SECOND
    scene.changes.credential(hand_of(scene, admin, dice), app, scene.clock.now)


def _role(scene: Scene, dice: Dice, admin: Person) -> Life:
    person = dice.pick(scene.tenant.people)
    yield scene.clock.now + SECOND
    scene.changes.directory(
        hand_of(scene, admin, dice),
        "Add member to role",
        scene.clock.now,
        target=("User", person.oid, person.upn),
        properties=(Property("Role.DisplayName", dice.pick(_ROLES)),),
    )


def _password(scene: Scene, dice: Dice, admin: Person) -> Life:
    """A forgotten password: every session of the account ends."""
    person = dice.pick(scene.tenant.people)
    yield scene.clock.now + SECOND
    scene.changes.directory(
        hand_of(scene, admin, dice), "Reset user password", scene.clock.now, target=("User", person.oid, person.upn)
    )
    for seat in person.seats.values():
        seat.session_until, seat.token = scene.clock.now, None


# ---------------------------------------------------------------- waves


def waves(scene: Scene) -> Life:
    """Applications that are rolled out to a part of the tenant within days."""
    dice = scene.dice("waves")
    per_year = scene.tenant.parameters["app_waves_per_year"]
    assert isinstance(per_year, float)
    while True:
        yield scene.clock.now + int(dice.wait(_YEAR / per_year) * DAY)
        app = founding.new_app(scene.world, dice)
        scene.changes.consent(hand_of(scene, dice.pick(scene.tenant.admins), dice), app, scene.clock.now, for_all=True)
        members = dice.sample(scene.tenant.people, 1 + int(len(scene.tenant.people) * dice.between(0.1, 0.9)))
        for person in members:
            delay = int(dice.gamma(_WAVE_DAYS, 2) * DAY)
            scene.clock.call(scene.clock.now + delay, _starter(scene, _joins(scene, app, person)))


def _joins(scene: Scene, app: App, person: Person) -> Life:
    dice = scene.dice("joins", app.app_id, person.no)
    while liveliness(person, scene.clock.now) < 0.2:  # noqa: PLR2004 - people join while they work
        yield scene.clock.now + int(dice.wait(2) * HOUR)
    yield from let_in(scene, app, [person], dice)
    yield from machinery.app_life(scene, app, [person.mailbox])


def _starter(scene: Scene, process: Life) -> Callable[[], None]:
    return lambda: scene.clock.start(process)


def stuck_programs(scene: Scene) -> Life:
    """A program that has lost its way, and fetches the same messages again and again from ever new addresses.

    That is how honest mailboxes come to be throttled.
    """
    dice = scene.dice("stuck")
    pause = _YEAR / (_STUCK_PER_YEAR * len(scene.tenant.people))
    while True:
        yield scene.clock.now + int(dice.wait(pause) * DAY)
        person = dice.pick(scene.tenant.people)
        hand = [seat for seat in person.seats.values() if seat.kind.protocol in {"mobile", "ews", "eas"}]
        if hand:
            scene.clock.start(_stuck(scene, person, hand[0]))


def _stuck(scene: Scene, person: Person, seat: Seat) -> Life:
    dice = scene.dice("stuck", person.no, scene.clock.now // SECOND)
    end = scene.clock.now + int(dice.about(20, 0.6) * HOUR)
    lost = replace(seat, is_relayed=False, caller=None)
    while scene.clock.now < end:
        for message in person.mailbox.folders[0][-_FETCHED:]:
            yield scene.clock.now + int((2 + dice.wait(20)) * SECOND)
            scene.open(lost, connect(person.mobile, dice), person.mailbox, message)


def new_machines(scene: Scene, person: Person) -> Life:
    """Telephones and browsers that are replaced, each with a sign-in of its own."""
    dice = scene.dice("machines", person.no)
    per_year = scene.tenant.parameters["new_phones_per_year"]
    assert isinstance(per_year, float)
    while True:
        yield scene.clock.now + int(dice.wait(_YEAR / (2 * per_year)) * DAY)
        seats = [seat for name, seat in person.seats.items() if name in _REPLACED]
        seat = dice.pick(seats)
        if seat.kind is not clients.OUTLOOK:
            is_phone = seat.kind in {clients.PHONE, clients.ACTIVE_SYNC}
            seat.agent = clients.phone(dice) if is_phone else clients.browser(dice)
        seat.is_new = seat.kind.syncs
        seat.device_id = dice.guid() if seat.device_id else ""
        seat.session_until, seat.token = scene.clock.now, None


def odd_jobs(scene: Scene, person: Person) -> Life:
    """Somebody who reads the own mailbox by a script now and then."""
    dice = scene.dice("odd jobs", person.no)
    seat = person.seats["script"]
    while True:
        yield scene.clock.now + int(dice.wait(6) * DAY)
        net = connect(dice.pick(scene.world.clouds), dice) if dice.chance(0.2) else person.home.at(scene.clock.now)
        for message in person.mailbox.folders[0][-1 - dice.count(12) :]:
            yield scene.clock.now + int(dice.wait(0.02) * MINUTE)
            scene.open(seat, net, person.mailbox, message)

"""What people do with mail: a look now and then, and within a look one thing after another, as a Markov chain.

A look is spent in states (going through what is new, digging in old mail, writing, tidying, looking after a shared
mailbox); each state leads to the next with probabilities that depend on the person's habit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients, company, places
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND
from brokenseal.drill.second_generator.sign_in_lines import encode, second_text, whole_second

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.drill.second_generator.clock import Life
    from brokenseal.drill.second_generator.company import Mailbox, Person, Seat
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.places import Net
    from brokenseal.drill.second_generator.scene import Scene

_NOON: Final = (12.0, 13.2)
_DAYTIME: Final = (6.0, 23.0)
_NIGHT_SHARE: Final = 0.03
_CACHED: Final = 0.7
"""Share of the messages opened in Outlook on the desktop that it holds already, so that Exchange hears nothing."""
_SYNC_EVERY: Final = 2.6
_FLAPS: Final = 0.03
_PHONE_ON_MOBILE: Final = 0.55
_TEAMS: Final = 0.25
_OPEN: Final = 0.35


def _local(person: Person, at: int) -> tuple[int, float]:
    """Day of the week (0 Monday) and hour, where the person lives."""
    moment = at + person.country.offset_h * HOUR
    # 1 January 1970 was a Thursday.
    return (moment // DAY + 3) % 7, moment % DAY / HOUR


def liveliness(person: Person, at: int) -> float:
    """How readily the person looks at the mail now; 1 within working hours."""
    weekday, hour = _local(person, at)
    habit = person.habit
    if weekday in person.days_off:
        return habit.weekend if _DAYTIME[0] <= hour < _DAYTIME[1] else habit.weekend * _NIGHT_SHARE
    if 0 <= (hour - person.start_h) % 24 < person.length_h:
        return 0.4 if _NOON[0] <= hour < _NOON[1] else 1.0
    return habit.evening if _DAYTIME[0] <= hour < _DAYTIME[1] else habit.evening * _NIGHT_SHARE


def next_look(person: Person, at: int, dice: Dice) -> int:
    """When the person looks at the mail next."""
    while at < person.leaves:
        at += int(dice.wait(person.habit.pause_min) * MINUTE)
        if dice.chance(liveliness(person, at)):
            break
    return at


class Whereabouts:
    """Where a person is from day to day."""

    def __init__(self, scene: Scene, person: Person, dice: Dice) -> None:
        self._scene, self._person, self._dice = scene, person, dice
        self._day = -1
        self._at_home = False
        self._on_road = False
        self._hotel: Net | None = None
        self._office = dice.pick(scene.tenant.office)

    def net(self, now: int, *, by_phone: bool = False) -> Net:
        """The network that the person uses now."""
        person, dice = self._person, self._dice
        day = (now + person.country.offset_h * HOUR) // DAY
        if day != self._day:
            self._day, self._hotel = day, None
            self._at_home = dice.chance(person.goes_home)
            self._on_road = dice.chance(person.habit.on_the_road)
        trip = person.trip_at(now)
        if by_phone and dice.chance(_PHONE_ON_MOBILE):
            return places.connect(person.mobile, dice)
        if trip is not None:
            self._hotel = self._hotel or places.connect(trip.provider, dice)
            return self._behind_vpn(self._hotel, now)
        if liveliness(person, now) < 0.3 or self._at_home:  # noqa: PLR2004 - not at work
            return self._behind_vpn(person.home.at(now), now)
        if self._on_road:
            return places.connect(person.mobile, dice)
        return self._office.at(now)

    def _behind_vpn(self, net: Net, now: int) -> Net:
        tunnel = self._scene.tenant.vpn
        return tunnel.at(now) if tunnel is not None and self._person.uses_vpn else net


def life(scene: Scene, person: Person) -> Life:
    """A person from the first day to the last."""
    dice = scene.dice("person", person.no)
    where = Whereabouts(scene, person, dice)
    last_sync: dict[int, int] = {}
    at = next_look(person, person.arrives, dice)
    while at < person.leaves:
        yield at
        seat = choose_seat(person, at, dice)
        by_phone = seat.kind.protocol in {"mobile", "eas"} or seat.kind is clients.APPLE
        net = where.net(scene.clock.now, by_phone=by_phone)
        if not by_phone:
            person.last_net = net
        if seat.kind.syncs:
            _sync(scene, person, seat, net, last_sync, dice)
        yield from _look(scene, person, seat, net, where, dice)
        _stay_signed_in(scene, person, net, dice)
        if dice.chance(_TEAMS):
            _elsewhere(scene, person, net, dice)
        at = next_look(person, scene.clock.now, dice)


def _stay_signed_in(scene: Scene, person: Person, net: Net, dice: Dice) -> None:
    """Programs that are merely open renew their tokens too."""
    for seat in person.seats.values():
        if seat.actor_kind == "owner" and seat.kind is not clients.SCRIPT and dice.chance(_OPEN):
            scene.desk.caller(seat, net, scene.clock.now)


def choose_seat(person: Person, at: int, dice: Dice) -> Seat:
    """The program that the person takes now."""
    seats = person.seats
    hand = next((seats[name] for name in ("phone", "apple", "active_sync") if name in seats), None)
    is_working = liveliness(person, at) > 0.3 and person.trip_at(at) is None  # noqa: PLR2004 - as above
    if hand is not None and dice.chance(0.2 if is_working else 0.75):
        return hand
    desk = next((seats[name] for name in ("outlook", "new_outlook", "bird") if name in seats), seats["owa"])
    return desk if is_working and dice.chance(0.85) else seats["owa"] if dice.chance(0.7) else desk


def _sync(scene: Scene, person: Person, seat: Seat, net: Net, last: dict[int, int], dice: Dice) -> None:
    now = scene.clock.now
    caller = scene.desk.caller(seat, net, now)
    for folder in range(len(person.mailbox.folders)):
        if seat.is_new or now - last.get(folder, 0) > dice.wait(_SYNC_EVERY * (1 + 3 * folder)) * HOUR:
            last[folder] = now
            scene.exchange.sync(person.mailbox, caller, folder, now, whole=seat.is_new)
    seat.is_new = False


def _look(scene: Scene, person: Person, seat: Seat, net: Net, where: Whereabouts, dice: Dice) -> Iterator[int]:
    state = "triage"
    writes = person.habit.writes
    shared = 0.3 if person.shared else 0.0
    following = (
        ("dig", 0.25),
        ("write", writes),
        ("tidy", 0.15),
        ("shared", shared),
        ("triage", 0.15),
        ("skim", 0.012),
        ("stop", 0.9),
    )
    while state != "stop":
        if dice.chance(_FLAPS):
            net = where.net(scene.clock.now, by_phone=seat.kind is clients.PHONE)
        if state == "triage":
            yield from _read(scene, seat, net, person.mailbox, dice, 1 + dice.count(4))
        elif state == "dig":
            yield from _dig(scene, seat, net, person.mailbox, dice)
        elif state == "shared" and person.shared:
            # Only the web mail and its kin open other people's mailboxes here.
            yield from _read(scene, person.seats["owa"], net, dice.pick(person.shared), dice, 1 + dice.count(3))
        elif state == "write":
            yield from _write(scene, person, seat, net, dice)
        elif state == "skim":
            yield from skim(scene, seat, net, person.mailbox, dice)
        elif state == "tidy":
            _tidy(scene, person, seat, net, dice)
        yield scene.clock.now + int(dice.wait(25) * SECOND)
        state = dice.weighted(following)


def _read(scene: Scene, seat: Seat, net: Net, mailbox: Mailbox, dice: Dice, number: int) -> Iterator[int]:
    for message in mailbox.unread(number):
        yield scene.clock.now + int(dice.about(14, 1.0) * SECOND)
        if seat.kind.protocol == "mapi" and dice.chance(_CACHED):
            message.is_unread = False
            continue
        scene.open(seat, net, mailbox, message)


def skim(scene: Scene, seat: Seat, net: Net, mailbox: Mailbox, dice: Dice) -> Iterator[int]:
    """Somebody who looks for something goes through a folder at great speed, message by message."""
    folder = mailbox.folders[dice.weighted(((company.INBOX, 3.0), (company.SENT, 1.0), (company.FIRST_PROJECT, 1.0)))]
    pace_s = dice.about(3.5, 0.4)
    for message in list(reversed(folder))[: 10 + dice.count(dice.wait(50))]:
        yield scene.clock.now + int(dice.about(pace_s, 0.7) * SECOND)
        scene.open(seat, net, mailbox, message)


def _dig(scene: Scene, seat: Seat, net: Net, mailbox: Mailbox, dice: Dice) -> Iterator[int]:
    folder = mailbox.folders[
        dice.pick((company.INBOX, company.INBOX, company.SENT, company.FIRST_PROJECT, company.ARCHIVE))
    ]
    if not folder:
        return
    place = dice.below(len(folder))
    for message in folder[place : place + 1 + dice.count(2)]:
        yield scene.clock.now + int(dice.about(9, 1.0) * SECOND)
        scene.open(seat, net, mailbox, message)


def _write(scene: Scene, person: Person, seat: Seat, net: Net, dice: Dice) -> Iterator[int]:
    mailbox, operation, extra = person.mailbox, "Send", {}
    if person.shared and dice.chance(0.15):
        mailbox = dice.pick(person.shared)
        operation = dice.pick(("SendAs", "SendOnBehalf"))
        extra = {"SendAsUserSmtp" if operation == "SendAs" else "SendOnBehalfOfUserSmtp": mailbox.upn}
    answered = mailbox.folders[company.INBOX][-1] if mailbox.folders[company.INBOX] and dice.chance(0.6) else None
    yield scene.clock.now + int(dice.about(70, 0.9) * SECOND)
    message = scene.post.write(mailbox, answer=answered)
    caller = scene.desk.caller(seat, net, scene.clock.now)
    scene.exchange.item(operation, mailbox, caller, message, scene.clock.now, **extra)


def _tidy(scene: Scene, person: Person, seat: Seat, net: Net, dice: Dice) -> None:
    mailbox = person.mailbox
    inbox = [message for message in mailbox.folders[company.INBOX] if not message.is_unread]
    chosen = dice.sample(inbox[-30:], 1 + dice.count(1.5))
    if not chosen:
        return
    operation, to = dice.weighted(
        (
            (("MoveToDeletedItems", company.DELETED), 4.0),
            (("Move", company.FIRST_PROJECT), 3.0),
            (("Move", company.ARCHIVE), 2.0),
            (("SoftDelete", None), 1.0),
            (("HardDelete", None), 0.3),
        )
    )
    now = scene.clock.now
    scene.exchange.items(operation, mailbox, scene.desk.caller(seat, net, now), chosen, now, to=to)
    for message in chosen:
        mailbox.move(message, company.DELETED if to is None else to)


def _elsewhere(scene: Scene, person: Person, net: Net, dice: Dice) -> None:
    """Something other than mail that signs in, or leaves a record that has nothing to do with mail."""
    now, seat = scene.clock.now, person.seats["teams"]
    scene.desk.caller(seat, net, now)
    if dice.chance(0.1) and person.mailbox.folders[company.INBOX]:
        scene.open(seat, net, person.mailbox, person.mailbox.folders[company.INBOX][-1])
    record_id = scene.chance.guid()
    body = encode(
        {
            "CreationTime": second_text(now),
            "Id": record_id,
            "Operation": "TeamsSessionStarted",
            "OrganizationId": scene.tenant.tenant_id,
            "RecordType": 25,
            "UserKey": person.oid,
            "UserType": 0,
            "Version": 1,
            "Workload": "MicrosoftTeams",
            "ClientIP": net.address,
            "UserId": person.upn,
        }
    )
    scene.outbox.put(
        "ual_general",
        record_id,
        whole_second(now),
        body,
        actor=person.upn,
        actor_kind="owner",
        tag=person.tag_at(now),
    )

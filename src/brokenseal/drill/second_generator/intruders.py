"""Plain intruders. They act through the same programs, desk and auditing as everybody else.

What an intruder may set is declared: whose seat, where the token comes from, the network, the hours and the pace.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.drill.second_generator import clients, company, founding, places
from brokenseal.drill.second_generator.affairs import hand_of, let_in, private_address
from brokenseal.drill.second_generator.changes import Hand
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND
from brokenseal.drill.second_generator.company import Seat, Tag
from brokenseal.drill.second_generator.lives import liveliness
from brokenseal.drill.second_generator.machinery import app_seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.drill.second_generator.books import Story
    from brokenseal.drill.second_generator.clock import Life
    from brokenseal.drill.second_generator.company import App, Mailbox, Message, Person
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.places import Net, Provider
    from brokenseal.drill.second_generator.scene import Scene

CARELESS, PROFESSIONAL, CAREFUL, BEST = 1, 2, 3, 4
_WORKDAY_UTC: Final = (0, 9)
_SUNDAY: Final = 6
_SATURDAY: Final = 5
_LATEST_START: Final = 0.6
"""Attacks begin within this share of the time after the warm-up, so that most of them can be seen to their end."""


class Cast(NamedTuple):
    """An instance that a tenant must hold; stealth 0 for controls."""

    instance: int
    attack_id: str
    stealth: int


@dataclass(slots=True, eq=False)
class Intruder:
    """One instance at work.

    Attributes:
        start: When it may begin.
        end: When it must have ended.
        exits: Provider and pool of its addresses.
        nets: Its addresses, where it has a fixed number of them.
    """

    scene: Scene
    story: Story
    stealth: int
    dice: Dice
    start: int
    end: int
    exits: tuple[Provider, int]
    agent: clients.Agent
    nets: list[Net] = field(default_factory=list)
    taken: set[tuple[int, int]] = field(default_factory=set)

    def tag(self, stage: str) -> Tag:
        """The mark of a stage, for the truth."""
        return Tag(self.story.attack_id, self.story.instance, stage)

    def net(self) -> Net:
        """An address for one visit."""
        if self.nets:
            return self.dice.pick(self.nets)
        provider, pool = self.exits
        self.story.knobs["address"], self.story.knobs["country"] = provider.kind, provider.country.code
        return places.connect(provider, self.dice, pool=pool)

    def hand(self, person: Person, stage: str) -> Hand:
        """Its hand on somebody's account."""
        return Hand(person, self.net().address, "attacker", self.tag(stage))

    def may_work(self, owner: Person | None, at: int) -> bool:
        """Whether it works at this time: its own office hours, or the owner's where it is careful."""
        if self.stealth >= CAREFUL and owner is not None:
            return self.dice.chance(liveliness(owner, at))
        weekday, hour = (at // DAY + 3) % 7, at % DAY / HOUR
        return weekday not in {_SATURDAY, _SUNDAY} and _WORKDAY_UTC[0] <= hour < _WORKDAY_UTC[1]

    def rest(self, owner: Person | None, mean_h: float) -> Life:
        """Wait, and then for a time at which it works."""
        at = self.scene.clock.now + int(self.dice.wait(mean_h) * HOUR)
        while not self.may_work(owner, at) and at < self.end:
            at += int(self.dice.wait(50) * MINUTE)
        yield at

    def fresh(self, mailbox: Mailbox, number: int) -> list[Message]:
        """Messages that it has not read yet: the newest of the folders that matter, at careless pace all of them."""
        found = []
        for folder in (company.INBOX, company.SENT, *range(company.FIRST_PROJECT, len(mailbox.folders))):
            for message in reversed(mailbox.folders[folder]):
                if (mailbox.no, message.no) not in self.taken:
                    found.append(message)
                    if len(found) >= number:
                        break
            if len(found) >= number:
                break
        self.taken.update((mailbox.no, message.no) for message in found)
        return found

    def pace(self) -> tuple[float, float, float]:
        """Messages per visit, seconds between them, hours between visits."""
        return {CARELESS: (150, 2.5, 6), PROFESSIONAL: (60, 6, 10), CAREFUL: (18, 12, 14), BEST: (9, 20, 20)}[
            self.stealth
        ]

    def is_over(self) -> bool:
        """Its time is up."""
        return self.scene.clock.now >= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One attack that the plain generator knows."""

    id: str
    title: str
    tells: tuple[str, ...]
    act: Callable[[Intruder], Life]
    is_control: bool = False


def enter(scene: Scene, cast: Cast, story: Story, *, start: int, end: int) -> None:
    """Let an instance begin at its time."""
    dice = scene.dice("intruder", cast.instance)
    begin = start + int(dice.unit() * _LATEST_START * (end - start))
    dwell = int(min(dice.about(12 * DAY, 0.6), end - begin)) if cast.attack_id != "A2" else end - begin
    provider, pool = _exits(scene, cast.stealth or BEST, dice)
    intruder = Intruder(
        scene=scene,
        story=story,
        stealth=cast.stealth or BEST,
        dice=dice,
        start=begin,
        end=begin + dwell,
        exits=(provider, pool),
        agent=clients.browser(dice)
        if cast.stealth > CARELESS
        else clients.Agent("chrome_windows", 12 + dice.below(24)),
    )
    story.knobs = {
        "starts_on_day": (begin - scene.tenant.start) // DAY,
        "days": round(dwell / DAY, 2),
    }
    act = PLANS[cast.attack_id].act
    scene.clock.call(begin, lambda: scene.clock.start(act(intruder)))


def _exits(scene: Scene, stealth: int, dice: Dice) -> tuple[Provider, int]:
    country = scene.tenant.country
    if stealth == CARELESS:
        provider = dice.pick(scene.world.clouds)
    elif stealth == PROFESSIONAL:
        provider = dice.pick(scene.world.elsewhere(country))
    else:
        provider = dice.pick(scene.world.of("home", country))
    return provider, dice.pick(provider.pools)


def _victims(intruder: Intruder, number: int) -> list[Person]:
    now = intruder.scene.clock.now
    people = [
        person for person in intruder.scene.tenant.people if person.arrives <= now and person.leaves >= intruder.end
    ]
    weighed = [(person, 5.0 if person.habit.name in {"executive", "manager"} else 1.0) for person in people]
    found: list[Person] = []
    while weighed and len(found) < number:
        chosen = intruder.dice.weighted(weighed)
        found.append(chosen)
        weighed = [(person, weight) for person, weight in weighed if person is not chosen]
    if intruder.stealth == BEST and found:
        # Out of the very pool in which the victim lives.
        net = found[0].home.at(now)
        intruder.exits = (net.provider, net.pool)
    return found


def _seat(intruder: Intruder, victim: Person, kind: clients.Kind, *, source: str, stage: str) -> Seat:
    agent = victim.seats["owa"].agent if intruder.stealth >= CAREFUL else intruder.agent
    return Seat(
        person=victim,
        kind=kind,
        agent=agent,
        source=source,
        tag=intruder.tag(stage),
        actor_kind="attacker",
    )


def _visit(intruder: Intruder, seat: Seat, mailbox: Mailbox, number: int, gap_s: float) -> Life:
    net = intruder.net()
    for message in intruder.fresh(mailbox, number):
        yield intruder.scene.clock.now + int(intruder.dice.about(gap_s, 0.8) * SECOND)
        if intruder.is_over():
            return
        intruder.scene.open(seat, net, mailbox, message)


def _campaign(intruder: Intruder, seats: list[Seat]) -> Life:
    """Visit after visit to the mailboxes of these seats, until time is up."""
    number, gap_s, rest_h = intruder.pace()
    while seats and not intruder.is_over():
        for seat in seats:
            owner = seat.person
            yield from intruder.rest(owner, rest_h / len(seats))
            if intruder.is_over():
                return
            yield from _visit(intruder, seat, owner.mailbox, 1 + intruder.dice.count(number), gap_s)


# ---------------------------------------------------------------- the attacks


def _forged(intruder: Intruder) -> Life:
    """A1: tokens that were never issued, through the web mail."""
    source = {CARELESS: "forged_random", BEST: "copied"}.get(intruder.stealth, "forged_structured")
    victims = _victims(intruder, 1 + intruder.dice.below(4))
    kind = intruder.dice.pick((clients.OWA, clients.NEW_OUTLOOK, clients.TEAMS))
    yield from _campaign(intruder, [_seat(intruder, one, kind, source=source, stage="read") for one in victims])


def _slow(intruder: Intruder) -> Life:
    """A2: the same, a few messages a day and in the owner's hours, for as long as it lasts."""
    source = "forged_random" if intruder.stealth == CARELESS else "forged_structured"
    victims = _victims(intruder, 1)
    seats = [_seat(intruder, one, clients.OWA, source=source, stage="read") for one in victims]
    while seats and not intruder.is_over():
        yield from intruder.rest(seats[0].person, 18)
        yield from _visit(intruder, seats[0], seats[0].person.mailbox, 1 + intruder.dice.count(4), 40)


def _stolen_session(intruder: Intruder) -> Life:
    """A3: a session that the victim opened in front of the intruder's proxy."""
    scene, dice = intruder.scene, intruder.dice
    for victim in _victims(intruder, 1):
        while liveliness(victim, scene.clock.now) < 0.2 and not intruder.is_over():  # noqa: PLR2004 - a lure needs a reader
            yield scene.clock.now + int(dice.wait(1) * HOUR)
        kit = places.connect(dice.pick(scene.world.clouds), dice) if intruder.stealth < BEST else intruder.net()
        seat = _seat(intruder, victim, clients.OWA, source="replayed", stage="entry")
        scene.desk.sign_in(seat, kit, scene.clock.now)
        seat.session_until = max(seat.session_until, intruder.end)
        story = intruder.story
        story.happens(scene.clock.now, subject=victim.oid)
        yield scene.clock.now + int(dice.about(30, 1.5) * MINUTE)
        if intruder.stealth == CARELESS:
            parameters = {
                "Name": ".",
                "SubjectContainsWords": "Invoice;Contract",
                "MoveToFolder": "RSS Feeds",
                "MarkAsRead": "True",
            }
            target = f"{victim.mailbox.name}\\."
            hand = intruder.hand(victim, "hide")
            scene.changes.cmdlet(
                hand, "New-InboxRule", target, parameters, scene.clock.now, mailbox=victim.mailbox.guid
            )
        seat.tag = intruder.tag("read")
        yield from _campaign(intruder, [seat])


def _consented(intruder: Intruder) -> Life:
    """A6: an application that people let in, and that reads their mail."""
    scene, dice = intruder.scene, intruder.dice
    app = founding.new_app(scene.world, dice)
    victims = _victims(intruder, 1 + dice.below(6))
    for victim in victims:
        yield from intruder.rest(victim if intruder.stealth >= CAREFUL else None, 0.5)
        hand = hand_of(scene, victim, dice)._replace(actor_kind="attacker", tag=intruder.tag("entry"))
        scene.changes.consent(hand, app, scene.clock.now, for_all=False)
        seat = app_seat(scene, victim, app)
        seat.tag, seat.actor_kind = intruder.tag("read"), "attacker"
        yield from let_in(scene, app, [victim], dice)
    yield scene.clock.now + int(dice.wait(0.2 if intruder.stealth == CARELESS else 3) * DAY)
    intruder.nets = app.nets[: app.workers]
    yield from _campaign(intruder, [victim.seats[app.kind.name] for victim in victims])


def _app_credential(intruder: Intruder) -> Life:
    """A7: a secret added to an application that is there already, and its rights used from elsewhere."""
    scene, dice = intruder.scene, intruder.dice
    own = [app for app in scene.tenant.apps if app.is_app_only]
    app = dice.pick(own)
    admin = dice.pick(scene.tenant.admins)
    yield from intruder.rest(admin if intruder.stealth >= CAREFUL else None, 1)
    scene.changes.credential(intruder.hand(admin, "door"), app, scene.clock.now)
    if intruder.stealth == BEST:
        intruder.exits = (app.provider, dice.pick(app.provider.pools))
    copy = _same_app(app)
    number, gap_s, rest_h = intruder.pace()
    victims = _victims(intruder, 1 + dice.below(10))
    while victims and not intruder.is_over():
        victim = dice.pick(victims)
        yield from intruder.rest(victim, rest_h / 2)
        net = intruder.net()
        for message in intruder.fresh(victim.mailbox, 1 + dice.count(number)):
            yield scene.clock.now + int(dice.about(gap_s, 0.8) * SECOND)
            if intruder.is_over():
                return
            scene.open_as_app(copy, net, victim.mailbox, message, tag=intruder.tag("read"), kind="attacker")


def _same_app(app: App) -> App:
    """The application as the intruder holds it: with a token of its own."""
    return company.App(
        app_id=app.app_id,
        name=app.name,
        sp_oid=app.sp_oid,
        kind=app.kind,
        provider=app.provider,
        agent=app.agent,
        scope=app.scope,
        is_app_only=True,
    )


def _delegate(intruder: Intruder) -> Life:
    """A8: somebody inside is given a mailbox by a hijacked or faithless administrator, and reads it."""
    scene, dice = intruder.scene, intruder.dice
    admin = dice.pick(scene.tenant.admins)
    insider = admin if intruder.stealth == CARELESS else _victims(intruder, 1)[0]
    target = next(iter([one for one in _victims(intruder, 3) if one is not insider]), admin).mailbox
    yield from intruder.rest(admin, 1)
    hand = hand_of(scene, admin, dice)._replace(actor_kind="attacker", tag=intruder.tag("door"))
    scene.changes.full_access(hand, target, insider, scene.clock.now)
    seat = replace(insider.seats["owa"], tag=intruder.tag("read"), actor_kind="attacker", caller=None)
    number, gap_s, rest_h = intruder.pace()
    while not intruder.is_over():
        yield from intruder.rest(insider, rest_h)
        net = dice.pick(scene.tenant.office).at(scene.clock.now)
        for message in intruder.fresh(target, 1 + dice.count(number)):
            yield scene.clock.now + int(dice.about(gap_s, 0.8) * SECOND)
            if intruder.is_over():
                break
            scene.open(seat, net, target, message)
    if intruder.stealth >= PROFESSIONAL:
        hand = hand._replace(tag=intruder.tag("cleanup"))
        scene.changes.full_access(hand, target, insider, scene.clock.now, ends=True)


def _takes_all(intruder: Intruder) -> Life:
    """A10: a mail program set up elsewhere copies every folder."""
    scene, dice = intruder.scene, intruder.dice
    for victim in _victims(intruder, 1 + dice.below(2)):
        seat = _seat(intruder, victim, clients.OUTLOOK, source="replayed", stage="entry")
        seat.agent = clients.OFFICE
        yield from intruder.rest(victim, 2)
        scene.desk.sign_in(seat, intruder.net(), scene.clock.now)
        seat.session_until = max(seat.session_until, intruder.end)
        seat.tag = intruder.tag("read")
        net = intruder.net()
        for folder in range(len(victim.mailbox.folders)):
            pause = dice.wait(0.05 if intruder.stealth < CAREFUL else 9)
            yield scene.clock.now + int(pause * HOUR)
            caller = scene.desk.caller(seat, net, scene.clock.now)
            scene.exchange.sync(victim.mailbox, caller, folder, scene.clock.now, whole=True)


def _forwards(intruder: Intruder) -> Life:
    """A11: mail is sent on to the outside; nobody reads anything in the mailbox."""
    scene, dice = intruder.scene, intruder.dice
    for victim in _victims(intruder, 1):
        goes_to = private_address(dice)
        yield from intruder.rest(victim, 2)
        hand, now, mailbox = intruder.hand(victim, "door"), scene.clock.now, victim.mailbox
        rule = dice.pick(("." if intruder.stealth == CARELESS else "Copy", ""))
        scene.changes.send_on(hand, mailbox, goes_to, now, rule=rule)
        mailbox.forward_to, mailbox.forwarder = goes_to, (intruder.tag("exfiltration"), "attacker")


def _ghost(intruder: Intruder) -> Life:
    """A0g: the victim's own program, network, hours and token, used a little more. Nothing tells it apart."""
    scene, dice = intruder.scene, intruder.dice
    for victim in _victims(intruder, 1):
        seat = victim.seats["owa"]
        while not intruder.is_over():
            yield from intruder.rest(victim, 20)
            # The token is good for both of them, and so is the session when it runs out.
            same = replace(seat, tag=intruder.tag("read"), actor_kind="attacker", caller=None)
            same.session_until = max(same.session_until, intruder.end)
            net = victim.last_net or victim.home.at(scene.clock.now)
            for message in intruder.fresh(victim.mailbox, 1 + dice.count(3)):
                yield scene.clock.now + int(dice.about(14, 1.0) * SECOND)
                scene.open(same, net, victim.mailbox, message)


def _null(intruder: Intruder) -> Life:
    """A0n: some days of somebody's own doing, called an attack though they are none."""
    for victim in _victims(intruder, 1):
        start = intruder.scene.clock.now
        victim.marks.append((start, start + int(intruder.dice.between(0.5, 4) * DAY), intruder.tag("own")))
    yield from ()


def _plan(
    attack_id: str, title: str, act: Callable[[Intruder], Life], *tells: str, control: bool = False
) -> tuple[str, Plan]:
    return attack_id, Plan(id=attack_id, title=title, tells=tells, act=act, is_control=control)


PLANS: Final = dict(
    (
        _plan("A1", "Forged token, web mail", _forged, "unissued token id"),
        _plan("A2", "Forged token, low and slow", _slow, "unissued token id"),
        _plan(
            "A3", "Session stolen by a phishing proxy", _stolen_session, "one session from two networks", "hiding rule"
        ),
        _plan("A6", "Application consented to by people", _consented, "consent", "new application"),
        _plan(
            "A7",
            "Secret added to an application",
            _app_credential,
            "added credential",
            "application from a new network",
        ),
        _plan("A8", "Mailbox opened to an insider", _delegate, "added mailbox permission"),
        _plan("A10", "Mailbox synchronised elsewhere", _takes_all, "new machine", "synchronised folders"),
        _plan("A11", "Mail forwarded to the outside", _forwards, "forwarding to the outside", "rule name"),
        _plan("A0g", "Control: the owner's own ghost", _ghost, control=True),
        _plan("A0n", "Control: nothing happened", _null, control=True),
    )
)
"""What the plain generator knows, by id."""

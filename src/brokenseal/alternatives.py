"""Innocent explanations of a case, each tested against the records: refuted, supported, or it cannot be told.

An explanation must explain every unit that opened the case. What an intruder can bring about himself (a sign-in with a
relayed second factor, an address near his victim's, a right that he gave himself) supports nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from brokenseal._assessment_doors import closing, means
from brokenseal._assessment_records import BY_HAND
from brokenseal.judged import Alternative
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from brokenseal._assessment_records import Habit, Records, SignIn, Unit
    from brokenseal.model import Coverage
    from brokenseal.wording import Phrase, Value

DAY: Final = dt.timedelta(days=1)
WEEK: Final = dt.timedelta(days=7)
HISTORY: Final = dt.timedelta(days=14)
"""What was there so long before the case began was there without it."""
TOKEN_LIFE: Final = dt.timedelta(hours=28)
"""Longest life of a token under continuous access evaluation: its sign-in lies within that time before it is used."""
ADOPTERS: Final = 3
"""So many other mailboxes that take up an application in the same week are a roll-out."""
SERVED: Final = 5
"""An application, or an account, that read so many other mailboxes long before is at home in the tenant."""
OUTAGE_S: Final = 30 * 60
OUTAGE_MAILBOXES: Final = 3
"""Tokens without a sign-in in so many mailboxes within `OUTAGE_S` are rather a lost stretch of log."""
_CITED: Final = 12
_RIGHTS: Final = frozenset(
    ("mailbox_permission", "folder_permission", "recipient_permission", "send_on_behalf", "management_role")
)

Result = Literal["refuted", "supported", "cannot_tell"]


class Said(NamedTuple):
    """What one test says of one unit."""

    result: Result
    because: Phrase
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One case, as far as tests need it.

    Attributes:
        began_at: First record of the units that opened it.
        events: Event ids of its findings and units.
        tested: The units that opened it, heaviest first.
        orphaned: Units of the tenant with a token whose sign-in is missing.
        coverage: What the logs can tell.
    """

    began_at: dt.datetime
    events: frozenset[str]
    tested: tuple[Unit, ...]
    orphaned: tuple[Unit, ...]
    coverage: Coverage

    def is_orphaned(self, unit: Unit) -> bool:
        """Whether the sign-in of a token of the unit is missing."""
        return any(each.unit == unit.unit for each in self.orphaned)

    def has_history(self, unit: Unit) -> bool:
        """Whether the logs reach back far enough to call anything of the unit new."""
        began = self.coverage.first_at
        return began is not None and began <= min(self.began_at, unit.first_at) - HISTORY

    def signs_by_hand(self, first_at: dt.datetime, last_at: dt.datetime) -> bool:
        """Whether sign-ins by hand are on record over a time, without a gap in it."""
        return any(
            source.present
            and source.source in {"sign_in.interactive", "sign_in.audit_log"}
            and source.first_at is not None
            and source.last_at is not None
            and source.first_at <= first_at
            and last_at <= source.last_at
            and not any(gap.first_at <= last_at and gap.last_at >= first_at for gap in source.gaps)
            for source in self.coverage.sources
        )


def alternatives(question: Question, records: Records) -> tuple[Alternative, ...]:
    """Every innocent explanation that concerns the case, tested."""
    found = []
    for name, test in _TESTS:
        said = [each for unit in question.tested if (each := test(unit, question, records)) is not None]
        if said:
            found.append(_together(name, said))
    found.append(Alternative(name=_SECURITY_TEST, result="cannot_tell", because=_NO_RECORD_OF_ORDERS))
    return tuple(found)


def _together(name: Phrase, said: Sequence[Said]) -> Alternative:
    """One answer for the case: refuted where it explains some unit not, supported where it explains every one."""
    for result in ("refuted", "cannot_tell"):
        deciding = next((each for each in said if each.result == result), None)
        if deciding is not None:
            break
    else:
        deciding = said[0]
    events = [event_id for each in said if each.result == deciding.result for event_id in each.event_ids]
    listed = tuple(sorted(dict.fromkeys(events)))[:_CITED]
    return Alternative(name=name, result=deciding.result, because=deciding.because, event_ids=listed)


# ---------------------------------------------------------------- the owner, elsewhere or with something new


def _new_device(unit: Unit, question: Question, records: Records) -> Said | None:
    if unit.account is None or unit.acts_alone:
        return None
    if not unit.is_placed:
        return Said("cannot_tell", phrase("The records show no address of the client's own."))
    since = _used_since(unit, question, records)
    if since is None:
        return _elsewhere(unit, question, records)
    fresh = [each for each in _by_hand(_here(unit, records)) if each.device_id and not _known(each, unit)]
    if fresh:
        said = phrase(
            "A new device of {account} signed in by hand from {network}, which it had used since {since}.",
            account=unit.account,
            network=unit.network,
            since=since,
        )
        return Said("supported", said, _events(fresh))
    said = phrase(
        "{account} had used {network} since {since}, but no new device signed in by hand there.",
        account=unit.account,
        network=unit.network,
        since=since,
    )
    return Said("cannot_tell", said, (unit.unit,))


def _elsewhere(unit: Unit, question: Question, records: Records) -> Said:
    """A new device at a place that the account had not used a week before."""
    if not question.has_history(unit):
        return Said("cannot_tell", _SHORT)
    if not question.signs_by_hand(unit.first_at - DAY, unit.first_at):
        return Said("cannot_tell", phrase("No sign-ins by hand are on record for that time."))
    by_hand = _by_hand(_here(unit, records))
    if by_hand:
        said = phrase(
            "{account} signed in by hand from {network} for the first time in that week; the device may be anybody's.",
            account=unit.account,
            network=unit.network,
        )
        return Said("cannot_tell", said, _events(by_hand))
    said = phrase(
        "{account} had not used {network} before that week, and no sign-in by hand from there is on record in it; a "
        "new device would have left one.",
        account=unit.account,
        network=unit.network,
    )
    return Said("refuted", said, (unit.unit,))


def _journey(unit: Unit, question: Question, records: Records) -> Said | None:
    is_asked = unit.account is not None and unit.is_placed and not unit.acts_alone
    if not is_asked or _used_since(unit, question, records) is not None:
        return None
    if not question.has_history(unit):
        return Said("cannot_tell", _SHORT)
    here = [each for each in _here(unit, records) if each.last_at >= unit.first_at - DAY]
    by_hand = _by_hand(here)
    vouched = [each for each in by_hand if _known(each, unit)]
    values: dict[str, Value] = {"account": unit.account, "network": unit.network}
    if vouched:
        said = phrase("A device that {account} had used before signed in by hand from {network}.", **values)
        return Said("supported", said, _events(vouched))
    if by_hand:
        return Said("cannot_tell", _unvouched(by_hand, values), _events(by_hand))
    silent = [each for each in here if _known(each, unit)]
    if silent:
        said = phrase(
            "Silent sign-ins of {account} from {network} name a known device; a stolen session does too.", **values
        )
        return Said("cannot_tell", said, _events(silent))
    return _unseen(unit, question, values)


def _unseen(unit: Unit, question: Question, values: dict[str, Value]) -> Said:
    """No sign-in of the account from its network: does that mean anything?"""
    if question.signs_by_hand(unit.first_at - DAY, unit.first_at):
        said = phrase("No sign-in of {account} by hand from {network} is on record in the 24 hours before.", **values)
        return Said("refuted", said, (unit.unit,))
    return Said("cannot_tell", phrase("No sign-ins by hand are on record for that time."))


def _unvouched(by_hand: Iterable[SignIn], values: dict[str, Value]) -> Phrase:
    if any(each.has_second_factor for each in by_hand):
        return phrase(
            "{account} signed in by hand from {network} and answered a second factor, but with no known device; a "
            "sign-in that an intruder relays looks the same.",
            **values,
        )
    return phrase(
        "{account} signed in by hand from {network}, but with no known device; an intruder with the password looks the "
        "same.",
        **values,
    )


def _here(unit: Unit, records: Records) -> tuple[SignIn, ...]:
    """Sign-ins of its account from its network, in the week before it and while it lasted."""
    return tuple(each for each in records.sign_ins.get(unit.unit, ()) if each.network == unit.network)


def _by_hand(sign_ins: Iterable[SignIn]) -> tuple[SignIn, ...]:
    return tuple(each for each in sign_ins if each.category in BY_HAND)


def _events(sign_ins: Iterable[SignIn]) -> tuple[str, ...]:
    return tuple(each.event_id for each in sign_ins)


def _known(sign_in: SignIn, unit: Unit) -> bool:
    """Whether its device was known a day before the unit began."""
    return sign_in.device_since is not None and sign_in.device_since <= unit.first_at - DAY


def _used_since(unit: Unit, question: Question, records: Records) -> dt.datetime | None:
    """Since when its account has used its network, if that was so a week before the case began.

    An intruder's own sign-ins come days before he reads; they must not make a network his victim's.
    """
    times = [each.network_since for each in _here(unit, records)]
    times += [
        habit.first_at
        for habit in _habits(unit, records)
        if habit.account == unit.account and habit.network == unit.network
    ]
    early = [time for time in times if time <= min(question.began_at, unit.first_at) - WEEK]
    return min(early, default=None)


def _habits(unit: Unit, records: Records) -> Iterator[Habit]:
    """What is known of its tenant, as far as records name one."""
    return (habit for habit in records.habits if habit.tenant in {unit.tenant, None} or unit.tenant is None)


# ---------------------------------------------------------------- applications


def _roll_out(unit: Unit, question: Question, records: Records) -> Said | None:
    if unit.is_door or unit.app is None:
        return None
    users = [habit for habit in _habits(unit, records) if habit.app == unit.app]
    own = [habit.first_at for habit in users if habit.mailbox_key == unit.mailbox_key]
    app = unit.app.partition("|")[0]
    first = min(own, default=unit.first_at)
    if first <= min(question.began_at, unit.first_at) - DAY:
        said = phrase("The application {app} had been used in this mailbox since {since}.", app=app, since=first)
        return Said("refuted", said, (unit.unit,))
    began = question.coverage.first_at
    if began is None or first - began < HISTORY:
        return Said("cannot_tell", _SHORT)
    adopted = [habit for habit in _adopters(unit, users, question) if abs(habit.first_at - first) <= WEEK]
    if not adopted:
        said = phrase(
            "No other mailbox took up the application {app} within a week of it from another network.", app=app
        )
        return Said("refuted", said, (unit.unit,))
    at_home = [habit for habit in adopted if habit.network_since <= habit.first_at - WEEK]
    # Programs of a cloud share its networks with an intruder's; where people sign in by hand, people are.
    by_hand = [each.by_hand_since for each in _here(unit, records) if each.by_hand_since is not None]
    if len(at_home) >= ADOPTERS and any(since <= first - WEEK for since in by_hand):
        said = phrase(
            "{n} other mailbox(es) took up the application {app} within a week of it; all of them, and this one, from "
            "networks that they had used before.",
            n=len(at_home),
            app=app,
        )
        return Said("supported", said, tuple(habit.unit for habit in at_home))
    said = phrase(
        "{n} other mailbox(es) took up the application {app} within a week of it, but they are few, or a network was "
        "new too: an intruder in many mailboxes looks the same.",
        n=len(adopted),
        app=app,
    )
    return Said("cannot_tell", said, tuple(habit.unit for habit in adopted))


def _adopters(unit: Unit, users: Iterable[Habit], question: Question) -> Iterator[Habit]:
    """First uses of the application in other mailboxes that are no beginning of the logs, and not his own doing.

    An intruder who reads ten mailboxes from one network is no roll-out, and neither are the units of his case.
    """
    firsts: dict[str, Habit] = {}
    for habit in users:
        known = firsts.get(habit.mailbox_key)
        if habit.mailbox_key != unit.mailbox_key and (known is None or habit.first_at < known.first_at):
            firsts[habit.mailbox_key] = habit
    began = question.coverage.first_at
    for habit in firsts.values():
        is_new = began is not None and habit.first_at - began >= WEEK
        if is_new and habit.network != unit.network and habit.unit not in question.events:
            yield habit


def _served(unit: Unit, question: Question, records: Records) -> Said | None:
    """An application or account of the house that reads many mailboxes by design."""
    if unit.is_door or unit.app is None or unit.account is None:
        return None
    before = min(question.began_at, unit.first_at) - HISTORY
    app = unit.app.partition("|")[0]
    own = [habit for habit in _habits(unit, records) if habit.app == unit.app and habit.account == unit.account]
    long = [habit for habit in own if habit.first_at <= before and habit.mailbox_key != unit.mailbox_key]
    mailboxes = {habit.mailbox_key for habit in long}
    values: dict[str, Value] = {"account": unit.account, "app": app, "n": len(mailboxes)}
    if len(mailboxes) >= SERVED and any(habit.network == unit.network for habit in long):
        said = phrase(
            "{account} had read {n} other mailboxes with the application {app} for more than two weeks, from this "
            "network too.",
            **values,
        )
        return Said("supported", said, tuple(habit.unit for habit in long))
    if mailboxes:
        said = phrase(
            "{account} had read {n} other mailbox(es) with the application {app} for more than two weeks, but too few "
            "of them, or from other networks.",
            **values,
        )
        return Said("cannot_tell", said, tuple(habit.unit for habit in long))
    if not question.has_history(unit):
        return Said("cannot_tell", _SHORT)
    said = phrase(
        "{account} read no other mailbox with the application {app} before the case.", account=unit.account, app=app
    )
    return Said("refuted", said, (unit.unit,))


# ---------------------------------------------------------------- rights


def _authorised(unit: Unit, question: Question, records: Records) -> Said | None:
    if unit.is_door:
        return _ordered(unit, question, records)
    if unit.acts_alone or unit.account is None:
        return None
    if unit.account == unit.mailbox or unit.is_owner:
        said = phrase("The mailbox was read in the name of its owner, {account}.", account=unit.account)
        return Said("refuted", said, (unit.unit,))
    return _by_right(unit, question, records) or _by_habit(unit, question, records)


def _by_right(unit: Unit, question: Question, records: Records) -> Said | None:
    """A right of the reader to the mailbox that was in force."""
    given = [
        change
        for change in records.changes
        if change.change in _RIGHTS
        and change.occurred_at <= unit.first_at
        and means(change.grantee_key, unit.account)
        and (change.change == "management_role" or means(change.target_key, unit.mailbox))
        and closing(change, records) is None
    ]
    if not given:
        return None
    early = [
        change
        for change in given
        if change.occurred_at <= question.began_at - WEEK and change.event_id not in question.events
    ]
    values: dict[str, Value] = {"account": unit.account, "mailbox": unit.mailbox, "at": (early or given)[0].occurred_at}
    if early:
        said = phrase("{account} was given a right to {mailbox} on {at}, and no record takes it away.", **values)
        return Said("supported", said, tuple(change.event_id for change in early))
    said = phrase("{account} was given a right to {mailbox} only on {at}; who asked for it, no record tells.", **values)
    return Said("cannot_tell", said, tuple(change.event_id for change in given))


def _by_habit(unit: Unit, question: Question, records: Records) -> Said:
    """Reading of this mailbox by this account from long before the case."""
    before = min(question.began_at, unit.first_at) - HISTORY
    habits = [
        habit
        for habit in _habits(unit, records)
        if habit.account == unit.account and habit.mailbox_key == unit.mailbox_key and habit.first_at <= before
    ]
    values: dict[str, Value] = {"account": unit.account, "mailbox": unit.mailbox}
    if habits:
        said = phrase("{account} has read {mailbox} since {since}.", since=habits[0].first_at, **values)
        return Said("supported", said, tuple(habit.unit for habit in habits))
    said = phrase("No record gives {account} a right to {mailbox}; it may be older than the logs.", **values)
    return Said("cannot_tell", said, (unit.unit,))


def _ordered(unit: Unit, question: Question, records: Records) -> Said | None:
    """Of a change: whether the one who made it makes such changes as his work."""
    own = next((change for change in records.changes if change.event_id == unit.unit), None)
    if own is None or unit.account is None:
        return None
    before = [
        change
        for change in records.changes
        if change.actor_key == unit.account
        and change.change == own.change
        and change.occurred_at <= question.began_at - WEEK
        and change.event_id not in question.events
    ]
    said = phrase(
        "{account} had made {n} such change(s) before; whether this one was ordered, no record tells.",
        account=unit.account,
        n=len(before),
    )
    return Said("cannot_tell", said, tuple(change.event_id for change in before))


# ---------------------------------------------------------------- the log itself


def _outage(unit: Unit, question: Question, records: Records) -> Said | None:  # noqa: ARG001 - all tests are called alike
    if unit.is_door or not question.is_orphaned(unit):
        return None
    for source in question.coverage.sources:
        for gap in source.gaps:
            is_near = gap.first_at <= unit.first_at and gap.last_at >= unit.first_at - TOKEN_LIFE
            if source.source.startswith("sign_in.") and is_near:
                said = phrase(
                    "The sign-in log has a gap from {first_at} to {last_at}.",
                    first_at=gap.first_at,
                    last_at=gap.last_at,
                )
                return Said("supported", said)
    beside = [
        each
        for each in question.orphaned
        if each.unit not in question.events
        and each.mailbox_key != unit.mailbox_key
        and each.tenant == unit.tenant
        and each.provenance == unit.provenance
        and abs((each.first_at - unit.first_at).total_seconds()) <= OUTAGE_S
    ]
    mailboxes = {each.mailbox_key for each in beside}
    if len(mailboxes) + 1 >= OUTAGE_MAILBOXES:
        said = phrase(
            "Within half an hour, {n} other mailboxes were read by clients of this kind with tokens whose sign-in is "
            "missing too.",
            n=len(mailboxes),
        )
        return Said("supported", said, tuple(each.unit for each in beside))
    said = phrase(
        "The sign-in log has no gap at that time, and the sign-ins of other tokens of this kind were not missing then. "
        "A single lost line is allowed for in the weight."
    )
    return Said("refuted", said, (unit.unit,))


_SHORT: Final = phrase("The logs reach back less than two weeks before the case.")
_SECURITY_TEST: Final = phrase("A security test that the organisation ordered")
_NO_RECORD_OF_ORDERS: Final = phrase("No record can tell; ask those who may order one.")

_TESTS: Final[tuple[tuple[Phrase, Callable[[Unit, Question, Records], Said | None]], ...]] = (
    (phrase("A new telephone or computer of the owner"), _new_device),
    (phrase("The owner on a journey, or at a new place"), _journey),
    (phrase("A roll-out of the application"), _roll_out),
    (phrase("An administrator's or delegate's authorised work"), _authorised),
    (phrase("An application or account of the house that reads many mailboxes"), _served),
    (phrase("An outage that lost sign-in records"), _outage),
)

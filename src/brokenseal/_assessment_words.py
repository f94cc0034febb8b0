"""What is said of a case beside its probability: on what ground, under which assumptions, and what to do about it.

Every sentence follows mechanically from what is there and what is missing. None of confidence names a probability.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from brokenseal.calibration import DEPENDENCE
from brokenseal.coverage import NEEDS
from brokenseal.findings import named
from brokenseal.likelihood import WINDOW_DAYS
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal._assessment_records import Records, Unit, Week
    from brokenseal.calibration import Calibration
    from brokenseal.judged import Alternative, EvidencePart
    from brokenseal.likelihood import Ratio
    from brokenseal.model import Coverage
    from brokenseal.scope import CaseDraft
    from brokenseal.wording import Phrase

HISTORY_DAYS: Final = 14
"""With less before the case, nothing can be called strange."""
STEPS: Final = 3
_REFUTES: Final = 5
_EPOCH_RECORDS: Final = 20
_EPOCH_LOW: Final = 0.05
_EPOCH_HIGH: Final = 0.5
_LOSSY: Final = frozenset(("at_cap", "result_count_above", "flattened", "truncated_json"))
_OF_APPLICATIONS: Final = frozenset(("T1528", "T1098.001", "T1098.003"))
_OF_FEDERATION: Final = frozenset(("T1484.002", "T1606.002"))
_GOES_OUT: Final = "T1114.003"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that the sentences of one case follow from.

    Attributes:
        lead: The unit that speaks loudest; None where none was weighed.
        began_at, ended_at: First and last record of the units that opened the case.
        parts: What the detectors say of the units that opened the case.
        fired: Kinds of evidence that fired on them.
        families: Those of them that are independent, sorted: volume cannot fire without a stranger.
        is_rule: Whether a rule alone opened it.
        units_per_window: Units of the lead's kind that a mailbox has in `WINDOW_DAYS`.
        threshold: Decimal logarithm of the weight that opens a case.
        bound: The same by the bound of the weights alone, which the measured tail may have lowered.
        budget: False cases a mailbox-week that it stands for.
    """

    draft: CaseDraft
    lead: str | None
    tested: tuple[Unit, ...]
    began_at: dt.datetime
    ended_at: dt.datetime
    parts: tuple[EvidencePart, ...]
    fired: frozenset[str]
    families: tuple[str, ...]
    is_rule: bool
    ratio: Ratio
    units_per_window: float
    threshold: float
    bound: float
    budget: float
    alternatives: tuple[Alternative, ...]
    records: Records
    coverage: Coverage
    calibration: Calibration

    @property
    def has_doors(self) -> bool:
        """Whether a change of configuration is among what opened it."""
        return any(unit.is_door for unit in self.tested)

    @property
    def has_reading(self) -> bool:
        """Whether a session cluster is among what opened it."""
        return any(not unit.is_door for unit in self.tested)


# ---------------------------------------------------------------- confidence


def confidence(ground: Ground) -> tuple[Literal["high", "moderate", "low"], tuple[Phrase, ...]]:
    """How good the ground is, and why."""
    low, moderate = tuple(_low(ground)), tuple(_moderate(ground))
    families = len(ground.families)
    if families > 1:
        first = phrase("{n} independent kinds of evidence point the same way.", n=families)
    elif families == 1:
        first = phrase("One kind of evidence stands alone.")
    else:
        first = phrase("No kind of evidence that is counted stands behind it.")
    if low or families == 0:
        return "low", (first, *low, *moderate)
    if moderate or families == 1:
        return "moderate", (first, *moderate)
    rest = (
        phrase("All logs that it rests on are there, and every detector could judge what opened it."),
        phrase("Innocent explanations were tested on the records, and none is supported."),
    )
    return "high", (first, *rest)


def _key_needs(ground: Ground) -> frozenset[str]:
    reading = ("mail_access", "sign_in") if ground.has_reading or not ground.has_doors else ()
    return frozenset((*reading, *(("configuration",) if ground.has_doors else ())))


def _low(ground: Ground) -> Iterator[Phrase]:
    """Why the ground is poor: what the case rests on is missing, or it lies outside of what was calibrated."""
    key = _key_needs(ground)
    yield from (NEEDS[need] for need in ground.coverage.unmet_needs if need in key)
    began = ground.coverage.first_at
    days = 0 if began is None else max((ground.began_at - began).days, 0)
    if days < HISTORY_DAYS:
        yield phrase("The logs reach back {days} day(s) before the case; strangeness needs {needed}.",
                     days=days, needed=HISTORY_DAYS)  # fmt: skip
    changed = epoch_change(ground.records.weeks, ground.began_at, ground.ended_at)
    if changed is not None:
        yield phrase("The records changed their form around {at}: what came before cannot be compared.", at=changed)
    unknown = sum(part.state == "fired" and part.bin is None for part in ground.parts)
    if unknown:
        yield phrase("{n} answer(s) of detectors are of a kind that was never counted.", n=unknown)
    if not ground.calibration.points:
        yield phrase("No calibration says how weights of cases and intrusions go together.")


def _moderate(ground: Ground) -> Iterator[Phrase]:
    """Why the ground is no better than fair."""
    key = _key_needs(ground)
    yield from (NEEDS[need] for need in ground.coverage.unmet_needs if need not in key)
    first, last = ground.began_at, ground.ended_at
    gaps = sum(
        gap.first_at <= last and gap.last_at >= first for source in ground.coverage.sources for gap in source.gaps
    )
    if gaps:
        yield phrase("The logs have {n} gap(s) while the case lasted.", n=gaps)
    lossy = sum(alarm.code in _LOSSY for alarm in ground.coverage.alarms)
    if lossy:
        yield phrase("{n} warning(s) say that an export is cut or lossy.", n=lossy)
    blind = len({part.detector_id for part in ground.parts if part.state == "not_assessable"})
    if blind:
        yield phrase("{n} detector(s) could not judge what opened the case.", n=blind)
    supported = sum(each.result == "supported" for each in ground.alternatives)
    if supported:
        yield phrase("The records speak for {n} innocent explanation(s) too.", n=supported)
    if ground.calibration.points and ground.ratio.is_thin:
        yield phrase("The calibration is thin: few simulated cases weighed as much as this one.")


def epoch_change(weeks: tuple[Week, ...], first_at: dt.datetime, last_at: dt.datetime) -> dt.datetime | None:
    """The last week before the end of a case, and not long before its begin, in which a field came or went."""
    full = [week for week in weeks if week.records >= _EPOCH_RECORDS]
    found = None
    # A field that comes in the middle of a week shows in full a week later only.
    for before, after in sorted({*itertools.pairwise(full), *zip(full, full[2:], strict=False)}):
        near = first_at - dt.timedelta(days=HISTORY_DAYS) <= after.starts_at + dt.timedelta(days=7)
        if near and after.starts_at <= last_at and _shares_jump(before, after):
            found = after.starts_at
    return found


def _shares_jump(before: Week, after: Week) -> bool:
    for name in ("sessions", "tokens", "apps"):
        low, high = sorted((getattr(before, name) / before.records, getattr(after, name) / after.records))
        if low < _EPOCH_LOW and high > _EPOCH_HIGH:
            return True
    return False


# ---------------------------------------------------------------- assumptions


def assumptions(ground: Ground) -> tuple[Phrase, ...]:
    """What the figures of a case lean on."""
    return tuple(_assumptions(ground))


def _assumptions(ground: Ground) -> Iterator[Phrase]:
    yield phrase(
        "Each prior is brought from one mailbox-year to one mailbox in {days} days, and so is the weight: a mailbox "
        "has about {units} sessions or changes of this kind in that time, any of which could have looked strange. More "
        "mailboxes or a longer time make a case no more probable.",
        days=WINDOW_DAYS,
        units=max(round(ground.units_per_window), 1),
    )
    if ground.is_rule:
        yield phrase(
            "A rule opened the case, which is not weighed: what opens cases by rule was seen {n} time(s) in all in "
            "{weeks} simulated mailbox-weeks of authorised use.",
            n=sum(ground.calibration.opening.values()),
            weeks=round(ground.calibration.rules_weeks),
        )
    else:
        yield phrase(
            "A case opens from a weight of {threshold} (decimal logarithm), set so that one false case is to be "
            "expected in {weeks} mailbox-weeks at most, if the counted shares hold.",
            threshold=round(ground.threshold, 1),
            weeks=round(1 / ground.budget) if ground.budget else 0,
        )
        if ground.threshold < ground.bound:
            yield phrase(
                "That threshold is where the heavy end of authorised weights, measured on simulated tenants and "
                "carried on, leaves this share; the bound that needs no such end is {bound}.",
                bound=round(ground.bound, 1),
            )
    yield from _counted(ground)
    yield _inflation(max(ground.calibration.inflation.values(), default=None))
    if math.isinf(ground.ratio.high):
        yield phrase("No calibration bounds the probability from above; its lower end is what the weight itself bears.")
    elif ground.ratio.is_thin:
        yield phrase("Few simulated cases of such a weight stand behind the probability.")


def _inflation(times: float | None) -> Phrase:
    if times is None:
        return phrase("How much more often false cases come than the shares say was not measured.")
    if times > 1:
        return phrase(
            "On simulated tenants false cases came up to {times} times as often as the shares say.",
            times=round(times, 1),
        )
    return phrase("On simulated tenants false cases came no more often than the shares say.")


def _counted(ground: Ground) -> Iterator[Phrase]:
    fired = [part for part in ground.parts if part.state == "fired" and part.bin is not None]
    simulated = [part for part in fired if part.basis == "calibration"]
    if simulated:
        yield phrase(
            "Shares among authorised use come from simulated tenants ({n} units and more): {made_of}.",
            n=min(part.n_reference for part in simulated),
            made_of=ground.calibration.made_of,
        )
    if len({part.detector_id for part in fired}) > 1:
        yield phrase("Given how strange the client is, the kinds of evidence are taken to be independent.")
    if any(part.is_assumed for part in fired):
        yield phrase(
            "Some of them were never counted together; the second is taken to be {times} times likelier after the "
            "first than alone.",
            times=round(DEPENDENCE),
        )


# ---------------------------------------------------------------- what would refute, what to collect

_REFUTING: Final = {
    "token": phrase("The missing sign-in turns up in another export, another category or another tenant."),
    "claims": phrase("A fresh export shows other claims of the same token in the same record."),
    "stranger": phrase("The owner, asked over another channel, names the place and the program of this reading."),
    "volume": phrase("A new device, a migration or a backup of that day explains how much was read."),
    "session": phrase("Both hands prove to be the owner's: a virtual desktop, a VPN or a change of network."),
    "door": phrase("Somebody other than the account itself confirms an order for the change."),
    "address": phrase("The address proves to be an exit that the organisation itself uses."),
    "campaign": phrase("The common client proves to be a service that the organisation runs."),
}


def refutes(ground: Ground) -> tuple[Phrase, ...]:
    """What would change the judgement, most telling first."""
    said = [sentence for family, sentence in _REFUTING.items() if family in ground.fired]
    if any(each.result == "supported" for each in ground.alternatives):
        said.insert(0, phrase("Those concerned confirm the innocent explanation that the records speak for."))
    if not said:
        said.append(phrase("Somebody who would know confirms, over another channel, that the use was authorised."))
    return tuple(said[:_REFUTES])


def collection(ground: Ground) -> tuple[Phrase, ...]:
    """The next three things to collect: two of what is missing, what only people know, then the rest."""
    missing = list(_missing(ground))
    steps = [*missing[:2], *_to_ask(ground), *missing[2:], *_to_look_up(ground)]
    return tuple(steps[:STEPS])


def _missing(ground: Ground) -> Iterator[Phrase]:
    """Logs that are not there, most telling first."""
    unmet = ground.coverage.unmet_needs
    since = ground.began_at - dt.timedelta(days=2 * HISTORY_DAYS)
    absent = {source.source for source in ground.coverage.sources if not source.present}
    if "mail_access" in unmet:
        yield phrase("Export the mail accesses (MailItemsAccessed) from {since} on; have them recorded.", since=since)
    if "sign_in.non_interactive" in absent and ground.has_reading:
        yield phrase("Export the non-interactive sign-ins from {since} on: most tokens are issued there.", since=since)
    if "sign_in.interactive" in absent:
        yield phrase("Export the interactive sign-ins from {since} on.", since=since)
    if "sign_in.service_principal" in absent and any(unit.acts_alone for unit in ground.tested):
        yield phrase("Export the sign-ins of service principals from {since} on.", since=since)
    if "configuration" in unmet:
        yield phrase("Export the directory audit log and the changes in Exchange from {since} on.", since=since)
    if _OF_FEDERATION.intersection(ground.draft.attack) and "sign_in.adfs" in absent:
        yield phrase("Get the logs of the identity provider: whether it issued what signed in.")
    if ground.coverage.first_at is not None and ground.coverage.first_at > since:
        yield phrase("Export older logs too, from {since} on: what was usual before the case shows there.", since=since)
    if _GOES_OUT in ground.draft.attack and "message_trace" in absent:
        yield phrase("Run a message trace from {since} on: it shows what was forwarded.", since=ground.began_at)


def _to_ask(ground: Ground) -> Iterator[Phrase]:
    """Whom to ask what."""
    unit = next((unit for unit in ground.tested if unit.account and not unit.acts_alone), None)
    if unit is None:
        return
    if unit.is_door:
        yield phrase(
            "Ask {account}, over another channel, for the order behind the change of {at}.",
            account=unit.account,
            at=unit.first_at,
        )
    else:
        yield phrase(
            "Ask {account}, over another channel, with what and from where they read mail at {at}.",
            account=unit.account,
            at=unit.first_at,
        )


def _to_look_up(ground: Ground) -> Iterator[Phrase]:
    """What lies in the directory, and not in the logs."""
    applications = sorted(
        {
            key.partition(":")[2]
            for finding in ground.draft.findings
            for key in finding.case_keys
            if key.startswith("application:")
        }
    )
    if applications or _OF_APPLICATIONS.intersection(ground.draft.attack):
        yield phrase(
            "List all grants, owners and keys of the application {app}, and everybody who consented to it.",
            app=named(applications),
        )
    accounts = tuple(dict.fromkeys(unit.account for unit in ground.tested if unit.account and not unit.acts_alone))
    if accounts:
        yield phrase(
            "List the devices of {account} in Entra and Intune, with the day on which each was registered.",
            account=named(accounts),
        )
    yield phrase("Ask whether a security test, a migration or an audit was under way on these days.")
    yield phrase("Ask the operators of the networks named here who used these addresses then.")

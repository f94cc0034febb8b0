"""What a score is made of. Every value is frozen, and a number that cannot be known is absent, never zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from brokenseal.drill._score_intervals import kaplan_meier_median, poisson_interval, poisson_upper, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

PER = 1000
"""Rates are per so many mailbox-weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with Wilson's 95 % interval; all three are null where there is nothing to take a share of.

    Shares of messages have no interval: messages of one intrusion are not independent of each other.
    """

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


def share(count: int, of: int, *, independent: bool = True, hands: int | None = None) -> Share:
    """The share of `count` in `of`.

    Args:
        count: Those that count.
        of: All of them.
        independent: Whether they are independent of each other; there is no interval if they are not.
        hands: How many of them are independent, where several stand for one; the interval is as wide as for so many.
    """
    if not of:
        return Share(count=count, of=of, share=None, low=None, high=None)
    low, high = (None, None)
    if independent:
        low, high = wilson(count, of) if hands in {None, of} else wilson(count * hands / of, hands)
    return Share(count=count, of=of, share=count / of, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A number per 1,000 mailbox-weeks, with the exact Poisson two-sided 95 % interval and one-sided upper bound."""

    count: int
    mailbox_weeks: float
    rate: float | None
    low: float | None
    high: float | None
    upper: float | None


def rate(count: int, mailbox_weeks: float) -> Rate:
    """The rate of `count` in `mailbox_weeks`; unknown where no mailbox was watched."""
    if mailbox_weeks <= 0:
        return Rate(count=count, mailbox_weeks=mailbox_weeks, rate=None, low=None, high=None, upper=None)
    per = PER / mailbox_weeks
    low, high = poisson_interval(count)
    return Rate(
        count=count,
        mailbox_weeks=mailbox_weeks,
        rate=count * per,
        low=low * per,
        high=high * per,
        upper=poisson_upper(count) * per,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """Kaplan and Meier's median; null where fewer than half came to a case before watching ended."""

    median: float | None
    reached: int
    censored: int


def median(durations: Sequence[tuple[float, bool]]) -> Median:
    """The median of durations; each says whether a case came then, or watching ended then."""
    reached = sum(is_event for _, is_event in durations)
    return Median(median=kaplan_meier_median(durations), reached=reached, censored=len(durations) - reached)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAssessable:
    """A measure that cannot be taken, and why."""

    reason: str
    state: Literal["not_assessable"] = "not_assessable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecall:
    """Of how many intrusions a case tells, by the time since the first record of the intruder.

    A campaign counts once in each of its tenants, because each of them has to be told; intervals count it once.

    Attributes:
        instances: Intrusions, those that leave no record included.
        observable: Those of which at least one record was delivered.
        within_24_h, within_7_d, within_30_d: A case stood so soon after the first record (event time). An
            intrusion that the drill ends on before the time is over counts as missed.
        ever: A case stood when all logs were in.
        ever_observable: As `ever`, of the observable ones alone.
    """

    instances: int
    observable: int
    within_24_h: Share
    within_7_d: Share
    within_30_d: Share
    ever: Share
    ever_observable: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long it took, and what was lost meanwhile, over intrusions; those without a case are censored.

    Attributes:
        minutes_from_event: From the first record's event time; unobservable intrusions are left out.
        minutes_from_availability: From when that record could first be read.
        messages_before_case: Distinct messages that the intruder had read when the case stood; over those intrusions
            that took any message.
    """

    minutes_from_event: Median
    minutes_from_availability: Median
    messages_before_case: Median


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackScore:
    """One attack. Of a control nothing should be found: its recall beyond chance shows a leak.

    Attributes:
        campaigns: Of an attack that plays in several tenants at once: the campaigns of which a case tells within 7 days
            in at least one tenant. Null for other attacks.
    """

    title: str
    is_control: bool
    recall: CaseRecall
    campaigns: Share | None
    by_stealth: dict[str, CaseRecall]
    delay: Delay
    cases_per_intrusion: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """The same for the tenants of one log option, or of one size."""

    tenants: int
    recall: CaseRecall
    false_cases: Rate
    false_notices: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseQuality:
    """Whether there is one case for one intrusion, and nothing else in it.

    Attributes:
        cases, true_cases: All, and those that cite a record of an intruder.
        false_in_warm_up: False cases that stood before scoring starts; they are in no other figure.
        cases_per_intrusion: Mean over intrusions that have a case.
        purity: Of the mailboxes that true cases name, the share that the intruder touched.
        mailboxes_unknown: Names in true cases that are no known mailbox; left out of `purity`.
        false_by_detector: Per detector, the false cases that it opened or took part in opening.
        false_by_actor: Per kind of actor, the false cases that cite a record of it.
        records_unknown: Records that cases cite and the truth does not know.
    """

    cases: int
    true_cases: int
    false_in_warm_up: int
    cases_per_intrusion: float | None
    purity: Share
    mailboxes_unknown: int
    false_by_detector: dict[str, int]
    false_by_actor: dict[str, int]
    records_unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureScore:
    """Messages that cases call read, against those that intruders read.

    Certain are those that cases list; possible are those and the messages known to have stood in synchronised
    folders. `read` is what intruders opened one by one; `shown` what of it a delivered record shows; `taken` is all,
    synchronisation included. `caught` counts intrusions with a case alone.

    Attributes:
        certain_precision: Of all messages that cases list, those that intruders took.
        certain_precision_true_cases: The same, of true cases.
        possible_precision: Of the messages that are possible and not certain, those that intruders took.
    """

    certain_recall_read: Share
    certain_recall_shown: Share
    possible_recall_taken: Share
    caught_certain_recall_read: Share
    caught_certain_recall_shown: Share
    caught_possible_recall_taken: Share
    certain_precision: Share
    certain_precision_true_cases: Share
    possible_precision: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class CountCoverage:
    """Whether the printed counts of true cases hold the number of messages that intruders took of a mailbox.

    A count is an interval: from the certain messages, to the certain and possible ones, or without upper end where
    the case says that more may have been read (an open-ended span, or a synchronised folder).

    Attributes:
        throttled, others: Mailboxes of true cases in which reads went unrecorded by throttling, and all others.
        throttled_said: Of the throttled ones, those whose count is said to have no upper end.
    """

    throttled: Share
    throttled_said: Share
    others: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessabilityScore:
    """One detector under one log option: did it say "not assessable" where the logs given could not have spoken?

    Attributes:
        should: Stores in which a need of the detector is truly unmet, and how many of them it said so of (or fired
            nevertheless).
        silent: Stores in which it should have said so and was quiet instead: the dangerous mistake.
        over_cautious: Stores in which every need is met and it said "not assessable"; a detector may have a reason
            of its own, such as mailboxes without a history.
        unknown: Stores of which the truth does not say whether its needs are met.
    """

    detector_id: str
    logs: str
    should: Share
    silent: int
    over_cautious: Share
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a run did on a drill. All of it is simulated.

    Attributes:
        recall: Share of intrusions (controls left out) with a case within 7 days of their first record.
        false_cases_per_1000_mailbox_weeks: Cases without any record of an intruder; controls are no intruders.
        exposure_recall: Of the messages that intruders opened, the share that cases list as certainly read.
        exposure_precision: Of the messages that cases list so, the share that intruders took.
        median_messages_before_case: Messages that the median intrusion of those that took any had read when its case
            stood.
        timing: `evidence`: a case counts as standing when the last record of its first finding could be read, which
            is late where a finding goes on growing; `measured`: when a replay saw it.
        reassured: Of the intrusions, those in stores reported as "nothing found, and the logs could have shown it".
        reassured_unknown: Intrusions in stores whose verdict is not known.
    """

    simulated: bool = True
    recall: float | None
    false_cases_per_1000_mailbox_weeks: float | None
    exposure_recall: float | None
    exposure_precision: float | None
    median_messages_before_case: float | None
    timing: Literal["evidence", "measured", "mixed"]
    tenants: int
    recall_overall: CaseRecall
    recall_stealth_1_to_3: CaseRecall
    false_cases: Rate
    false_notices: Rate
    delay: Delay
    cases: CaseQuality
    exposure: ExposureScore
    counts: CountCoverage
    reassured: Share
    reassured_unknown: int
    assessability: tuple[AssessabilityScore, ...]
    calibration: NotAssessable
    by_attack: dict[str, AttackScore]
    by_stealth: dict[str, CaseRecall]
    by_logs: dict[str, GroupScore]
    by_size: dict[str, GroupScore]

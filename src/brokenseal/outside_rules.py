"""What Sigma rules of others said of the records, as values of the document.

Nobody weighed such a rule on these logs. It stands beside the cases, opens none, and changes no likelihood.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from brokenseal.wording import Phrase  # noqa: TC001 - as above

RuleLevel: TypeAlias = Literal["critical", "high", "medium", "low", "informational"]
RuleStanding: TypeAlias = Literal["record", "subject", "apart"]
"""record: it fired on a record that the case cites · subject: on a record of a mailbox or an account of the case,
between its first and its last record · apart: neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSaid:
    """What one rule said of one subject.

    Attributes:
        rule: Its id; without one its name, else file and line.
        title, author, description: As its author wrote them, cut; hostile text.
        path: File that it was read from, as it was given.
        subject: Mailbox, else account, else the group of a correlation rule, else empty.
        hits: Hits on this subject, of those that were listed.
        rule_hits: All hits of the rule: one that fires on everything says little.
        event_ids: By time, the first 50.
    """

    rule: str
    title: str
    author: str
    description: str
    level: RuleLevel
    path: str
    attack: tuple[str, ...]
    standing: RuleStanding
    subject: str
    hits: int
    rule_hits: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    event_ids: tuple[str, ...]
    actors: tuple[str, ...]
    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesOfCase:
    """What rules said that concerns a case, on its own records first; `left_out` are beyond the budget."""

    case_id: str
    said: tuple[RuleSaid, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleNotRun:
    """A rule that could not fire: `source_absent`, `never` or `unreadable`, with the reason.

    What is wrong with a rule is said as the parser or the engine says it, in English.
    """

    title: str
    path: str
    line: int
    state: Literal["source_absent", "never", "unreadable"]
    reason: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideRules:
    """One run of rules over the records of the document.

    Attributes:
        rules: Rules that were read, and those that could not be.
        runnable: Those of them that these logs may satisfy.
        fired: Those of them with a hit.
        records: Lines of recorded text that were looked at.
        cases: Cases that some hit concerns, in the order of the document.
        apart: What concerns no case, gravest and rarest first; `apart_left_out` are beyond the budget.
        not_run: Rules that could not fire: the first 200, unreadable ones first; `not_run_in_all` counts them.
    """

    rules: int
    runnable: int
    fired: int
    records: int
    cases: tuple[RulesOfCase, ...]
    apart: tuple[RuleSaid, ...]
    apart_left_out: int
    not_run: tuple[RuleNotRun, ...]
    not_run_in_all: int

    def of_case(self, case_id: str) -> RulesOfCase | None:
        """What was said of one case; None where nothing was."""
        return next((each for each in self.cases if each.case_id == case_id), None)

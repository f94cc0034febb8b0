"""What the rooms of this package hand to each other: rules that were read, what is wrong with others, and hits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sigma.correlations import SigmaCorrelationRule
    from sigma.rule import SigmaRule

Level = Literal["informational", "low", "medium", "high", "critical"]
LEVELS: Final[tuple[Level, ...]] = ("critical", "high", "medium", "low", "informational")

State = Literal["runnable", "source_absent", "never", "unreadable"]
"""runnable: this store may satisfy it · source_absent: it needs a log that is not there · never: by construction no
record of its log can satisfy it · unreadable: the rule itself is wrong."""


NOTHING: Final = Phrase(template="")
"""What is said where nothing is to be said."""


def as_it_stands(text: str) -> Phrase:
    """What a parser or an engine said, in no other language than its own."""
    return phrase("{text}", text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFault:
    """What is wrong with a rule, or with a file of rules.

    Attributes:
        path: File as given.
        line: Line of the file, from 1.
        reason: What is wrong there.
        rule_id: Id or title of the rule where it has one.
    """

    path: str
    line: int
    reason: str
    rule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that was read.

    Attributes:
        key: Its id; without one its name, else path and line. Unique among the rules read together.
        author, description: As written, on one line, cut.
        parsed: As pySigma holds it, with fields as the rule writes them.
        line: First line of its document.
        refers_to: Keys of the rules that a correlation rule counts.
        is_shown: False for a rule that only feeds a correlation rule.
    """

    key: str
    title: str
    level: Level
    path: str
    line: int
    tags: tuple[str, ...]
    product: str | None
    service: str | None
    category: str | None
    parsed: SigmaRule | SigmaCorrelationRule = field(repr=False, compare=False)
    refers_to: tuple[str, ...] = ()
    is_shown: bool = True
    author: str = ""
    description: str = ""

    @property
    def is_correlation(self) -> bool:
        """Whether it counts hits of other rules."""
        return bool(self.refers_to)

    @property
    def techniques(self) -> tuple[str, ...]:
        """ATT&CK technique ids of its tags, sorted."""
        names = (tag.removeprefix("attack.").upper() for tag in self.tags if tag.startswith("attack.t"))
        return tuple(sorted({name for name in names if name[1:5].isdigit()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Everything that was read: rules by path and line, and faults in the same order."""

    rules: tuple[Rule, ...]
    faults: tuple[RuleFault, ...]

    def by_key(self) -> dict[str, Rule]:
        """The rules by their keys."""
        return {rule.key: rule for rule in self.rules}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """What a rule needs, and whether this store can give it.

    Attributes:
        source: The log whose records it reads; None where no log of the product is meant.
        fields: Fields of the record that it asks for, sorted.
        absent: Those that no record of its log in this store holds.
        unmapped: Fields of the rule that no pipeline knows; they are looked up in the record as written.
        reason: One sentence without a full stop; empty for a rule that is runnable without reserve.
    """

    rule: Rule
    state: State
    source: str | None = None
    fields: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    reason: Phrase = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """One record that satisfies a rule, or the records that satisfy a correlation rule together.

    Attributes:
        group: Values of the fields that a correlation rule groups by.
        event_ids: By time, then id; never empty.
        actors: Folded names of who acted, sorted.
        mailboxes: Keys of the mailboxes, sorted.
    """

    rule_key: str
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    event_ids: tuple[str, ...]
    actors: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    group: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run of rules gave.

    Attributes:
        hits: By rule in the order of the rule set, then by time; of each rule the first ones, up to the limit.
        counts: Rule key to the number of its hits, listed or not; rules without a hit are left out.
        verdicts: One for each rule that was read.
        records: Lines of recorded text that were looked at, of the logs that the rules read.
        faults: Rules that could not be read or carried out.
    """

    hits: tuple[RuleHit, ...]
    counts: Mapping[str, int]
    verdicts: tuple[RuleVerdict, ...]
    records: int
    faults: tuple[RuleFault, ...]

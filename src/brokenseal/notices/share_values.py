"""What a victim may see, as values: counts, messages and spans of its own mailboxes, and by what it finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import datetime as dt

    from brokenseal.judged import Likelihood
    from brokenseal.model import ExposedFolder, ExposedMessage, MailboxExposure, SourceCoverage
    from brokenseal.notices.values import Party

ANY_MAILBOX = "*"
"""What a span is listed under that concerns every mailbox of a store."""

IndicatorKind: TypeAlias = Literal["address", "client", "session", "application", "token", "user_agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """Something by which a victim finds the reading in its own logs.

    Attributes:
        certain: Whether messages that were read with certainty show it; else it may be of the victim's own people.
        is_seen: False where it is known from elsewhere and no record of reading in the victim's logs carries it; its
            times are those in which to look for it.
    """

    kind: IndicatorKind
    value: str
    certain: bool
    first_at: dt.datetime
    last_at: dt.datetime
    is_seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An open-ended span without its explanation, which may name others.

    Attributes:
        mailbox: None where it concerns the whole organisation.
    """

    mailbox: str | None
    reason: str
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    seen: int | None
    known: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A victim of whom it is known from elsewhere that it was a target.

    Attributes:
        mailbox: None where it is known of the organisation alone.
    """

    mailbox: str | None
    first_at: dt.datetime | None
    last_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A victim's share of one case, or of what its logs show of what is known from elsewhere.

    Attributes:
        mailboxes: By name; those of the case without any reading on record have no figures.
        untouched: Mailboxes that findings are about, and of which no reading stands on record.
        accounts: Accounts of the victim's own that acted in it.
        likelihood, confidence: The judgement of the case, which is of no single victim.
        objects: What a case is about that names no mailbox, such as an application.
        is_indicated: It is no case: records count because they carry what is known from elsewhere.
        has_reading: False where the whole store holds no record of reading.
        targets: What is known of the victim from elsewhere.
    """

    case_id: str
    mailboxes: tuple[MailboxExposure, ...]
    untouched: tuple[str, ...]
    messages: tuple[ExposedMessage, ...]
    possible_messages: tuple[ExposedMessage, ...]
    folders: tuple[ExposedFolder, ...]
    spans: tuple[Span, ...]
    accounts: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    likelihood: Likelihood | None
    confidence: str | None
    objects: tuple[str, ...] = ()
    is_indicated: bool = False
    has_reading: bool = True
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """All that one victim may see of the documents.

    Attributes:
        simulated: Some document that it is from is of a simulated tenant.
        logs_from, logs_to: What the logs cover, where the store holds no other organisation.
        missing: Logs that were not there, on the same condition.
    """

    party: Party
    simulated: bool
    incidents: tuple[Incident, ...]
    logs_from: dt.datetime | None
    logs_to: dt.datetime | None
    missing: tuple[SourceCoverage, ...]

"""What leaves the house: the values that every exchange format is rendered from, and that a bundle is read back to."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass
from typing import Literal

from brokenseal.exchange.tlp import Tlp
from brokenseal.model import Severity  # noqa: TC001 - as above

Profile = Literal["default", "victim"]
"""`default`: what helps others, and nothing of the victims; `victim`: for the victim alone, under TLP:RED."""

IndicatorKind = Literal["address", "application", "user_agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which terms something is shared.

    Attributes:
        producer: Name of the organisation that shares.
        cases: Ids of the cases that are shared; None for all.
        shared_at: Time of this version; None for the time of the last record, so that an equal document gives equal
            bytes.
    """

    tlp: Tlp = Tlp.AMBER
    profile: Profile = "default"
    producer: str = "Unnamed organisation"
    cases: tuple[str, ...] | None = None
    shared_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCase:
    """One case without anything of its victims.

    Attributes:
        attack: ATT&CK technique ids, sorted.
        detectors: Ids of the detectors that spoke, sorted.
        confidence: On STIX's scale, see `confidence`; None where nothing was weighed.
        statement: Likelihood and confidence in words.
    """

    id: str
    severity: Severity
    first_at: dt.datetime
    last_at: dt.datetime
    attack: tuple[str, ...]
    detectors: tuple[str, ...]
    confidence: int | None
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """Something to look for in one's own logs.

    Attributes:
        value: The address, the application's id, or the user agent, exactly as logs hold it.
        cases: Ids of the cases that it was seen in, sorted.
        attack: Techniques of the findings that show it, sorted.
        records: Records of the cases that show it.
        confidence: The highest of its cases; None where none was weighed.
    """

    kind: IndicatorKind
    value: str
    cases: tuple[str, ...]
    attack: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    records: int
    confidence: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A well-known application that the intruder used, or seemed to: context, since honest people use it as well."""

    app_id: str
    name: str
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimMessage:
    """A message that was read with certainty, in the mailbox where it was read."""

    case: str
    mailbox: str
    internet_message_id: str
    subject: str | None
    sender: str | None
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Victims:
    """Whom it happened to. Only under the profile `victim`.

    Attributes:
        tenants: Tenant ids.
        mailboxes: Case id and address of each mailbox that was touched, sorted.
        accounts: Case id and name of each account that was used, sorted.
        sessions, tokens: Identifiers of the sessions and tokens, for the provider's own logs.
    """

    tenants: tuple[str, ...]
    mailboxes: tuple[tuple[str, str], ...]
    accounts: tuple[tuple[str, str], ...]
    sessions: tuple[str, ...]
    tokens: tuple[str, ...]
    messages: tuple[VictimMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Everything that is shared. Formats render this; `stix_import` reads it back from a bundle.

    Attributes:
        simulated: True where a tenant in it is one that the product made up: every format says so.
        shared_at: Time of this version.
        victims: None under the profile `default`.
    """

    tlp: Tlp
    profile: Profile
    producer: str
    simulated: bool
    product_version: str
    shared_at: dt.datetime
    cases: tuple[SharedCase, ...]
    indicators: tuple[Indicator, ...]
    tools: tuple[Tool, ...]
    victims: Victims | None = None


WithheldReason = Literal[
    "shared_address",
    "read_other_mailboxes",
    "used_before",
    "two_hands",
    "not_public",
    "used_by_others",
    "only_passed",
    "no_product",
    "unprintable",
    "names_a_person",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Something of a case that does not become an indicator, and why."""

    kind: IndicatorKind
    value: str
    case: str
    reason: WithheldReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What is shared, and what is kept back. `withheld` never leaves the house."""

    shared: Shared
    withheld: tuple[Withheld, ...]

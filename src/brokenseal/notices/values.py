"""What is planned: victims, letters, attachments. Frozen values; the plan is their canonical JSON."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass
from typing import Literal, TypeAlias

PartyKind: TypeAlias = Literal["organisation", "owner"]
Language: TypeAlias = Literal["en", "fr"]

PLAN_FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody who can be told on behalf of a victim.

    Attributes:
        order: 1 is told first; the next one when nobody answered or the mail came back.
        certificate: For S/MIME encryption, PEM; None where letters to them go unencrypted.
    """

    address: str
    name: str
    language: Language
    role: str
    order: int
    certificate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A victim that can be told: an organisation or the owner of one mailbox.

    Attributes:
        covers: What is theirs, folded and sorted: domains and tenant ids of an organisation, the address of the
            owner's mailbox.
        contacts: By order; never empty.
    """

    kind: PartyKind
    name: str
    covers: tuple[str, ...]
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A text file of a letter; `content` is its text, a byte order mark included where it has one."""

    name: str
    media_type: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail to one contact, ready to be sent.

    Attributes:
        id: Message-ID, with its angle brackets. It stays the same whenever the same notice is planned with the same
            key, so that receiving systems can tell a repetition.
        reply_code: Who answers with it has read the letter.
        attachments: Places in the notice's attachments.
    """

    id: str
    contact: Contact
    reply_code: str
    subject: str
    text: str
    html: str
    attachments: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByIndicator:
    """What a notice tells on the strength of what is known from elsewhere; the same messages may stand in a case.

    Attributes:
        targets: Mailboxes that were targets.
        unlogged: Those of them of which the logs hold no record of reading.
        has_reading: False where the logs hold no record of reading at all.
    """

    targets: int
    unlogged: int
    certain: int
    possible: int
    folders: int
    unknowable: int
    listed: int
    has_reading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The figures of a notice, for whoever approves the plan; those of cases, beside those by indicator.

    Attributes:
        cases: How many cases it tells of.
        mailboxes: That it names in any way.
    """

    cases: int
    mailboxes: int
    certain: int
    possible: int
    folders: int
    unknowable: int
    listed: int
    by_indicator: ByIndicator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimNotice:
    """What one victim is told, as one letter for each of its contacts; they are sent one after the other.

    Attributes:
        id: First 16 hex digits of SHA-256 over victim, cases and round.
    """

    id: str
    kind: PartyKind
    victim: str
    told: Told
    letters: tuple[Letter, ...]
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTold:
    """Something that no notice says, and why.

    Attributes:
        reason: no_contact (nobody is told of this mailbox), organisation_not_listed or owner_not_listed (one of the two
            is), whole_store (a span that concerns every mailbox of a store with several organisations), no_logs (a
            target of which no store holds anything), or no_holder (a case that names no mailbox, in a store that is
            of no organisation).
    """

    subject: str
    reason: Literal["no_contact", "organisation_not_listed", "owner_not_listed", "whole_store", "no_logs", "no_holder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something about a letter that whoever approves the plan should know.

    Attributes:
        reason: contact_was_read (the letter would go to a mailbox of the case), unencrypted (it holds a message list
            and goes without S/MIME), list_cut (more messages than the document lists) or lone_contact (nobody is
            left to turn to if it stays unanswered).
    """

    subject: str
    reason: Literal["contact_was_read", "unencrypted", "list_cut", "lone_contact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who tells, and whom readers can ask.

    Attributes:
        address: From, envelope sender and reply address; answers and bounces come back to it.
        ask: How to reach a person otherwise, as readers see it; a telephone number is best.
    """

    name: str
    address: str
    ask: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePlan:
    """Everything that is to be sent, before anything is.

    Attributes:
        documents: SHA-256 of each case document, as its JSON is written.
        approvals: Different people who have to approve before anything is sent; 0 for nobody.
        approvers: Their public keys (Ed25519, hexadecimal); empty where names are enough.
        escalate_days: Days of silence after which the next contact is due.
        not_told: Shown first, because a victim that nobody tells is the worst outcome.
    """

    format: int
    product_version: str
    made_at: dt.datetime
    round: int
    simulated: bool
    documents: tuple[str, ...]
    sender: Sender
    approvals: int
    approvers: tuple[str, ...]
    escalate_days: int
    not_told: tuple[NotTold, ...]
    warnings: tuple[Warned, ...]
    notices: tuple[VictimNotice, ...]

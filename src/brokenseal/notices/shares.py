"""What one victim may see: the only module that reads the case document for notices.

A victim sees what stands in its own mailboxes and what their own records show: counts, messages, folders, spans,
clients, addresses. It sees no sentence of a case (these name other victims), no count over several victims, no case id
(two victims could tell that they share one), and no account of anybody else.

What concerns a whole store (a log that is missing, auditing switched off for all) is told only where the store holds
one organisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from brokenseal.fields import domain_of, fold, mail_address

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from brokenseal.judged import Likelihood
    from brokenseal.model import (
        Case,
        CaseDocument,
        ExposedFolder,
        ExposedMessage,
        MailboxExposure,
        OpenEnded,
        SourceCoverage,
    )
    from brokenseal.notices.values import Party

ANY_MAILBOX = "*"
"""What a span is listed under that concerns every mailbox of a store."""

_NO_APPLICATION = "proto:"
"""Beginning of what stands for an application where records name none: it is in no log."""

IndicatorKind: TypeAlias = Literal["address", "client", "session", "application", "token"]
_At: TypeAlias = "dt.datetime | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """Something by which a victim finds the reading in its own logs.

    Attributes:
        certain: Whether messages that were read with certainty show it; else it may be of the victim's own people.
    """

    kind: IndicatorKind
    value: str
    certain: bool
    first_at: dt.datetime
    last_at: dt.datetime


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
class Incident:
    """A victim's share of one case.

    Attributes:
        mailboxes: By name; those of the case without any reading on record have no figures.
        untouched: Mailboxes that findings are about, and of which no reading stands on record.
        accounts: Accounts of the victim's own that acted in it.
        likelihood, confidence: The judgement of the case, which is of no single victim.
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


def holder_of(mailbox: str, tenant: str | None, parties: Iterable[Party]) -> Party | None:
    """The organisation that a mailbox belongs to: the one of its domain, else the one of the store's only tenant.

    Args:
        mailbox: As the document lists it.
        tenant: The one tenant of the document; None where there are several, or none is known.
        parties: All that there are contacts for; no two organisations cover the same.
    """
    domain = domain_of(mailbox)
    organisations = [party for party in parties if party.kind == "organisation"]
    for territory in (domain, tenant):
        for party in organisations:
            if territory is not None and territory in party.covers:
                return party
    return None


def is_of(mailbox: str, party: Party, tenant: str | None, parties: Iterable[Party]) -> bool:
    """Whether a mailbox is the party's."""
    if mailbox == ANY_MAILBOX:
        return False
    if party.kind == "owner":
        return mail_address(mailbox) in party.covers
    return holder_of(mailbox, tenant, parties) is party


def tenant_of(document: CaseDocument) -> str | None:
    """The one tenant that the document's logs are of."""
    tenants = {tenant.lower() for tenant in document.coverage.tenants}
    return tenants.pop() if len(tenants) == 1 else None


def victims_of(document: CaseDocument) -> tuple[str, ...]:
    """Every mailbox that a case lists or is about, sorted."""
    found = {name for case in document.cases for name in _named(case)}
    return tuple(sorted(found - {ANY_MAILBOX}))


def _named(case: Case) -> Iterator[str]:
    yield from case.mailboxes
    yield from (box.mailbox for box in case.exposure.mailboxes)
    yield from (span.mailbox for span in case.exposure.open_ended)


def is_of_one(document: CaseDocument, parties: Collection[Party]) -> bool:
    """Whether nothing in the document is of a second organisation, as far as the logs and the contacts tell."""
    if len(document.coverage.tenants) > 1:
        return False
    tenant = tenant_of(document)
    named = {*victims_of(document), *(box.mailbox for box in document.coverage.mailboxes)}
    mailboxes = {name for name in named if mail_address(name)}
    found = [holder_of(name, tenant, parties) for name in mailboxes]
    holders = {None if party is None else party.name for party in found}
    if len(holders) > 1:
        # In one tenant a domain without a contact is nobody else's; without a tenant it may be.
        return tenant is not None and len(holders - {None}) == 1
    # Where no contact tells domains apart, several of them without one tenant may be several organisations.
    return holders != {None} or tenant is not None or len({domain_of(name) for name in mailboxes}) <= 1


def share_of(documents: Sequence[CaseDocument], party: Party, parties: Collection[Party]) -> Share | None:
    """What the party may see; None where no case touches it.

    Args:
        documents: The order is kept.
        party: Whom it is for.
        parties: All that there are contacts for.
    """
    incidents, starts, ends, missing = [], [], [], []
    simulated = False
    for document in documents:
        is_alone = is_of_one(document, parties)
        tenant = tenant_of(document)

        def is_own(mailbox: str, tenant: str | None = tenant) -> bool:
            return is_of(mailbox, party, tenant, parties)

        shares = (_incident(case, document, party, is_own, is_alone=is_alone) for case in document.cases)
        own = [each for each in shares if each is not None]
        if not own:
            continue
        incidents += own
        simulated = simulated or document.simulated
        if is_alone:
            starts.append(document.coverage.first_at)
            ends.append(document.coverage.last_at)
            missing += [line for line in document.coverage.sources if not line.present]
    if not incidents:
        return None
    return Share(
        party=party,
        simulated=simulated,
        incidents=tuple(incidents),
        logs_from=min((at for at in starts if at), default=None),
        logs_to=max((at for at in ends if at), default=None),
        missing=tuple({line.source: line for line in missing}.values()),
    )


def _incident(
    case: Case, document: CaseDocument, party: Party, is_own: Callable[[str], bool], *, is_alone: bool
) -> Incident | None:
    seen = case.exposure
    boxes = tuple(box for box in seen.mailboxes if is_own(box.mailbox))
    about = {name for name in case.mailboxes if is_own(name)}
    own_spans = tuple(_span(span) for span in seen.open_ended if is_own(span.mailbox))
    if not boxes and not about and not own_spans:
        return None
    messages = tuple(line for line in seen.messages if is_own(line.mailbox))
    possible = tuple(line for line in seen.possible_messages if is_own(line.mailbox))
    wide = tuple(_span(span) for span in seen.open_ended if is_alone and span.mailbox == ANY_MAILBOX)
    judged = case.assessment
    read = {fold(box.mailbox) for box in boxes}
    return Incident(
        case_id=case.id,
        mailboxes=boxes,
        untouched=tuple(sorted(name for name in about if fold(name) not in read)),
        messages=messages,
        possible_messages=possible,
        folders=tuple(line for line in seen.folders if is_own(line.mailbox)),
        spans=(*own_spans, *wide),
        accounts=_accounts(case, party, boxes),
        indicators=_indicators(case, document, boxes, messages, possible, is_own),
        likelihood=judged.likelihoods[len(judged.likelihoods) // 2] if judged and judged.likelihoods else None,
        confidence=judged.confidence if judged else None,
    )


def _span(span: OpenEnded) -> Span:
    return Span(
        mailbox=None if span.mailbox == ANY_MAILBOX else span.mailbox,
        reason=span.reason,
        first_at=span.first_at,
        last_at=span.last_at,
        seen=span.seen,
        known=span.known,
    )


def _accounts(case: Case, party: Party, boxes: Iterable[MailboxExposure]) -> tuple[str, ...]:
    """Accounts of an organisation's own domains; the owner of a mailbox is told of no colleague."""
    if party.kind == "owner":
        return ()
    domains = {*party.covers, *(domain_of(box.mailbox) for box in boxes)}
    return tuple(sorted(actor for actor in set(case.actors) if mail_address(actor) and domain_of(actor) in domains))


def _indicators(
    case: Case,
    document: CaseDocument,
    boxes: Iterable[MailboxExposure],
    messages: Iterable[ExposedMessage],
    possible: Iterable[ExposedMessage],
    is_own: Callable[[str], bool],
) -> tuple[Indicator, ...]:
    """By kind and value, from the victim's own records alone."""
    found: dict[tuple[IndicatorKind, str], Indicator] = {}

    def add(kind: IndicatorKind, values: Iterable[str | None], *, certain: bool, span: tuple[_At, _At]) -> None:
        first_at, last_at = span
        for value in values:
            if not value or first_at is None or last_at is None:
                continue
            known = found.get((kind, value))
            found[kind, value] = Indicator(
                kind=kind,
                value=value,
                certain=certain or (known is not None and known.certain),
                first_at=min(first_at, known.first_at) if known else first_at,
                last_at=max(last_at, known.last_at) if known else last_at,
            )

    for line, certain in (*((line, True) for line in messages), *((line, False) for line in possible)):
        span = (line.first_at, line.last_at)
        add("address", line.addresses, certain=certain, span=span)
        add("session", line.sessions, certain=certain, span=span)
    for box in boxes:
        add("address", box.addresses, certain=False, span=(box.first_at, box.last_at))
    certain_ids = {event_id for line in messages for event_id in line.event_ids}
    for event_id in sorted(_own_ids(case, messages, possible)):
        record = document.cited.get(event_id)
        if record is None or record.mailbox is None or not is_own(record.mailbox):
            continue
        span = (record.occurred_at, record.occurred_at)
        certain = event_id in certain_ids
        # What reports count clients by is a name; what stands in logs is the string, and the id of the application.
        add("client", (record.client,), certain=certain, span=span)
        if record.app and not record.app.startswith(_NO_APPLICATION):
            add("application", (record.app,), certain=certain, span=span)
        add("token", (record.token_id,), certain=certain, span=span)
        add("session", (record.session_id,), certain=certain, span=span)
    return tuple(found[key] for key in sorted(found))


def _own_ids(case: Case, messages: Iterable[ExposedMessage], possible: Iterable[ExposedMessage]) -> set[str]:
    """Records of the case that may be looked up; whether each is the victim's own is asked of the record."""
    ids = {item.event_id for finding in case.findings for item in finding.evidence}
    return ids | {event_id for line in (*messages, *possible) for event_id in line.event_ids}

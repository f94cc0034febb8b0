"""What one victim may see: who reads the case document for notices is here, and in `indicated_shares`.

A victim sees what stands in its own mailboxes and what their own records show: counts, messages, folders, spans,
clients, addresses. It sees no sentence of a case (these name other victims), no count over several victims, no case id
(two victims could tell that they share one), and no account of anybody else.

What concerns a whole store (a log that is missing, auditing switched off for all) is told only where the store holds
one organisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.fields import domain_of, fold, mail_address
from brokenseal.notices.indicated_shares import indicated_incident
from brokenseal.notices.share_parts import indicators_of, span_of
from brokenseal.notices.share_values import ANY_MAILBOX, Incident, Share

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from brokenseal.model import Case, CaseDocument, ExposedMessage, MailboxExposure
    from brokenseal.notices.indications import Indicated
    from brokenseal.notices.values import Party


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


def share_of(
    documents: Sequence[CaseDocument],
    party: Party,
    parties: Collection[Party],
    indicated: Sequence[Indicated | None] = (),
) -> Share | None:
    """What the party may see; None where no case touches it, and nothing that is known from elsewhere does.

    Args:
        documents: The order is kept.
        party: Whom it is for.
        parties: All that there are contacts for.
        indicated: For each document, what its store shows of what is known from elsewhere; or nothing at all.
    """
    incidents, starts, ends, missing = [], [], [], []
    simulated = False
    for document, shown in zip(documents, indicated or (None,) * len(documents), strict=True):
        is_alone = is_of_one(document, parties)
        tenant = tenant_of(document)

        def is_own(mailbox: str, tenant: str | None = tenant) -> bool:
            return is_of(mailbox, party, tenant, parties)

        shares = (_incident(case, document, party, is_own, is_alone=is_alone) for case in document.cases)
        own = [each for each in shares if each is not None]
        if shown is not None:
            own += indicated_incident(shown, document, party, is_own, is_alone=is_alone)
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
    own_spans = tuple(span_of(span) for span in seen.open_ended if is_own(span.mailbox))
    is_of_store = is_alone and not _names_mailboxes(case) and is_store_of(document, party, is_own)
    if not boxes and not about and not own_spans and not is_of_store:
        return None
    messages = tuple(line for line in seen.messages if is_own(line.mailbox))
    possible = tuple(line for line in seen.possible_messages if is_own(line.mailbox))
    wide = tuple(span_of(span) for span in seen.open_ended if is_alone and span.mailbox == ANY_MAILBOX)
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
        accounts=_accounts(case, party, boxes, document if is_of_store else None),
        objects=tuple(sorted({name for each in case.findings for name in each.objects})) if is_of_store else (),
        indicators=indicators_of(document.cited, _own_ids(case, messages, possible), boxes, messages, possible, is_own),
        likelihood=judged.likelihoods[len(judged.likelihoods) // 2] if judged and judged.likelihoods else None,
        confidence=judged.confidence if judged else None,
    )


def _names_mailboxes(case: Case) -> bool:
    """Whether it is about any mailbox in particular; an application that may read all of them is not."""
    return any(name != ANY_MAILBOX for name in _named(case))


def is_store_of(document: CaseDocument, party: Party, is_own: Callable[[str], bool]) -> bool:
    """Whether the store is the organisation's: by its tenant id, or by a mailbox of its records."""
    if party.kind != "organisation":
        return False
    return tenant_of(document) in party.covers or any(is_own(each.mailbox) for each in document.coverage.mailboxes)


def cases_of_nobody(document: CaseDocument, parties: Collection[Party]) -> Iterator[str]:
    """Cases that name no mailbox, and of which no organisation can be told; by id."""
    tenant = tenant_of(document)
    alone = is_of_one(document, parties)

    def is_held(party: Party) -> bool:
        return is_store_of(document, party, lambda mailbox: is_of(mailbox, party, tenant, parties))

    for case in document.cases:
        if not _names_mailboxes(case) and not (alone and any(is_held(party) for party in parties)):
            yield case.id


def _accounts(
    case: Case, party: Party, boxes: Iterable[MailboxExposure], store: CaseDocument | None
) -> tuple[str, ...]:
    """Accounts of an organisation's own domains; the owner of a mailbox is told of no colleague.

    Args:
        case: Whose actors are meant.
        party: Who is told.
        boxes: The party's own of the case.
        store: The document, where all of its store is the party's.
    """
    if party.kind == "owner":
        return ()
    names = [box.mailbox for box in boxes]
    names += [each.mailbox for each in store.coverage.mailboxes] if store is not None else []
    domains = {*party.covers, *(domain_of(name) for name in names)}
    return tuple(sorted(actor for actor in set(case.actors) if mail_address(actor) and domain_of(actor) in domains))


def _own_ids(case: Case, messages: Iterable[ExposedMessage], possible: Iterable[ExposedMessage]) -> set[str]:
    """Records of the case that may be looked up; whether each is the victim's own is asked of the record."""
    ids = {item.event_id for finding in case.findings for item in finding.evidence}
    return ids | {event_id for line in (*messages, *possible) for event_id in line.event_ids}

"""The plan: a pure function of documents and contacts, written as canonical JSON with a hash over all of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from brokenseal import __version__
from brokenseal.errors import UsageError
from brokenseal.fields import fold, mail_address
from brokenseal.notices.attachments import attachments_of
from brokenseal.notices.blocks import as_html, as_text, words
from brokenseal.notices.codes import message_id, reply_code
from brokenseal.notices.content import body_of, subject_of
from brokenseal.notices.indicated_shares import mailboxes_of
from brokenseal.notices.indications import TARGETS
from brokenseal.notices.share_values import ANY_MAILBOX
from brokenseal.notices.shares import cases_of_nobody, holder_of, is_of, is_of_one, share_of, tenant_of, victims_of
from brokenseal.notices.values import (
    PLAN_FORMAT,
    Attachment,
    ByIndicator,
    Letter,
    NoticePlan,
    NotTold,
    Told,
    VictimNotice,
    Warned,
)
from brokenseal.reports._escape import visible
from brokenseal.reports.json_document import document_to_json

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from brokenseal.model import CaseDocument
    from brokenseal.notices.indications import Indicated
    from brokenseal.notices.share_values import Incident, Share
    from brokenseal.notices.values import Contact, Party, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """What a plan is made with, beside documents and contacts.

    Attributes:
        key: What message ids and reply codes are made from.
        round: 1 for the first notice of an incident; a higher number for a later one to the same victims.
        because: How what is known from elsewhere is known, as readers see it, by language; English stands for all.
    """

    sender: Sender
    key: bytes
    made_at: dt.datetime
    approvals: int = 0
    approvers: tuple[str, ...] = ()
    escalate_days: int = 3
    round: int = 1
    because: Mapping[str, str] = field(default_factory=dict)


def only_cases(documents: Sequence[CaseDocument], case_ids: Collection[str]) -> tuple[CaseDocument, ...]:
    """The documents with the cases of these ids alone; all of them where none is named.

    Raises:
        UsageError: No document has a case of some id.
    """
    if not case_ids:
        return tuple(documents)
    known = {case.id for document in documents for case in document.cases}
    unknown = sorted(set(case_ids) - known)
    if unknown:
        raise UsageError(
            place="--case", value=", ".join(unknown), expected=f"one of {', '.join(sorted(known)) or 'none'}"
        )
    return tuple(
        replace(document, cases=tuple(case for case in document.cases if case.id in case_ids)) for document in documents
    )


def plan_notices(
    documents: Sequence[CaseDocument],
    parties: Sequence[Party],
    settings: PlanSettings,
    indicated: Sequence[Indicated] = (),
) -> NoticePlan:
    """Whom to tell what. Equal arguments give an equal plan.

    Args:
        documents: One for each store.
        parties: Everybody who can be told.
        settings: What the plan is made with.
        indicated: For each document, what its store shows of what is known from elsewhere; or nothing at all.

    Raises:
        UsageError: Some documents are simulated and others are not: a letter would call real reading an exercise.
    """
    if len({document.simulated for document in documents}) > 1:
        raise UsageError(
            place="notify plan", value="both", expected="documents that are all simulated, or none of them"
        )
    pairs = [(party, share_of(documents, party, parties, indicated)) for party in parties]
    told = [(party, share) for party, share in pairs if share is not None]
    notices = tuple(_notice(party, share, settings) for party, share in told)
    named = [_victims(*each) for each in _together(documents, indicated)]
    read = frozenset(name for boxes in named for box in boxes if (name := mail_address(box)))
    return NoticePlan(
        format=PLAN_FORMAT,
        product_version=__version__,
        made_at=settings.made_at,
        round=settings.round,
        simulated=any(share.simulated for _, share in told),
        documents=tuple(hashlib.sha256(document_to_json(document)).hexdigest() for document in documents),
        sender=settings.sender,
        approvals=settings.approvals,
        approvers=tuple(sorted(set(settings.approvers))),
        escalate_days=settings.escalate_days,
        not_told=(*_not_told(documents, parties, indicated), *_unplaced(indicated)),
        warnings=tuple(warned for party, share in told for warned in _warnings(party, share, read)),
        notices=notices,
    )


def _notice(party: Party, share: Share, settings: PlanSettings) -> VictimNotice:
    parts = (party.kind, party.name.casefold(), str(settings.round), *(each.case_id for each in share.incidents))
    notice_id = hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    files: list[Attachment] = []
    befores = (None, *(contact.address for contact in party.contacts))
    letters = tuple(
        _letter(contact, share, settings, notice_id, files, before)
        for contact, before in zip(party.contacts, befores, strict=False)
    )
    return VictimNotice(
        id=notice_id,
        kind=party.kind,
        victim=party.name,
        told=_told(share),
        letters=letters,
        attachments=tuple(files),
    )


def _told(share: Share) -> Told:
    names = {fold(name) for each in share.incidents for name in (*each.untouched, *(b.mailbox for b in each.mailboxes))}
    judged = [each for each in share.incidents if not each.is_indicated]
    indicated = [each for each in share.incidents if each.is_indicated]
    by_indicator = None
    if indicated:
        targets = {fold(target.mailbox) for each in indicated for target in each.targets if target.mailbox}
        silent = {fold(s.mailbox) for each in indicated for s in each.spans if s.reason == "no_mail_access_log"}
        by_indicator = ByIndicator(
            targets=len(targets),
            unlogged=len(targets & silent),
            has_reading=any(each.has_reading for each in indicated),
            **_figures(indicated),
        )
    return Told(cases=len(judged), mailboxes=len(names), by_indicator=by_indicator, **_figures(judged))


def _figures(incidents: Sequence[Incident]) -> dict[str, int]:
    boxes = [box for incident in incidents for box in incident.mailboxes]
    return {
        "certain": sum(box.certain for box in boxes),
        "possible": sum(box.possible for box in boxes),
        "folders": sum(box.possible_folders for box in boxes),
        "unknowable": sum(len(incident.spans) for incident in incidents),
        "listed": sum(len(each.messages) + len(each.possible_messages) for each in incidents),
    }


def _letter(
    contact: Contact,
    share: Share,
    settings: PlanSettings,
    notice_id: str,
    files: list[Attachment],
    before: str | None,
) -> Letter:
    """One contact's letter; its attachments are added to the notice's unless equal ones are there already."""
    places = []
    for attached in attachments_of(share, contact.language):
        if attached not in files:
            files.append(attached)
        places.append(files.index(attached))
    domain = settings.sender.address.rpartition("@")[2]
    letter_id = message_id(settings.key, notice_id, contact.address.lower(), domain)
    code = reply_code(settings.key, letter_id)
    because = settings.because.get(contact.language) or settings.because.get("en", "")
    names = tuple(files[place].name for place in places)
    blocks = body_of(share, settings.sender, code, names, before=before, because=because)
    title = words(subject_of(share), contact.language)
    return Letter(
        id=letter_id,
        contact=contact,
        reply_code=code,
        subject=f"{title} [{code}]",
        text=as_text(blocks, contact.language),
        html=as_html(blocks, contact.language, title=title),
        attachments=tuple(places),
    )


def _together(
    documents: Sequence[CaseDocument], indicated: Sequence[Indicated]
) -> Iterator[tuple[CaseDocument, Indicated | None]]:
    yield from zip(documents, indicated or (None,) * len(documents), strict=True)


def _victims(document: CaseDocument, shown: Indicated | None) -> tuple[str, ...]:
    return tuple(sorted({*victims_of(document), *(mailboxes_of(shown) if shown is not None else ())}))


def _unplaced(indicated: Sequence[Indicated]) -> Iterator[NotTold]:
    """Targets of which no store holds anything."""
    known = {each for shown in indicated for each in shown.known if each.kind in TARGETS}
    placed = {each for shown in indicated for each in shown.targets}
    yield from (
        NotTold(subject=visible(value), reason="no_logs") for value in sorted({each.value for each in known - placed})
    )


def _not_told(
    documents: Sequence[CaseDocument], parties: Sequence[Party], indicated: Sequence[Indicated]
) -> Iterator[NotTold]:
    found: dict[tuple[str, str], NotTold] = {}
    for document, shown in _together(documents, indicated):
        tenant = tenant_of(document)
        for mailbox in _victims(document, shown):
            owners = [party for party in parties if party.kind == "owner" and is_of(mailbox, party, tenant, parties)]
            holder = holder_of(mailbox, tenant, parties)
            if holder is None and not owners:
                found["no_contact", mailbox] = NotTold(subject=visible(mailbox), reason="no_contact")
            elif holder is None:
                found["organisation", mailbox] = NotTold(subject=visible(mailbox), reason="organisation_not_listed")
            elif not owners:
                found["owner", mailbox] = NotTold(subject=visible(mailbox), reason="owner_not_listed")
        found |= _wide(document, parties)
    yield from (found[key] for key in sorted(found))


def _wide(document: CaseDocument, parties: Sequence[Party]) -> dict[tuple[str, str], NotTold]:
    """What concerns a whole store, or no mailbox in particular, and is told to nobody."""
    found = {
        ("case", case_id): NotTold(subject=case_id, reason="no_holder")
        for case_id in cases_of_nobody(document, parties)
    }
    if not is_of_one(document, parties):
        for case in document.cases:
            for span in case.exposure.open_ended:
                if span.mailbox == ANY_MAILBOX:
                    found["span", span.reason] = NotTold(subject=span.reason, reason="whole_store")
    return found


def _warnings(party: Party, share: Share, read: frozenset[str]) -> Iterator[Warned]:
    for contact in party.contacts:
        if mail_address(contact.address) in read:
            yield Warned(subject=contact.address, reason="contact_was_read")
        if contact.certificate is None:
            yield Warned(subject=contact.address, reason="unencrypted")
    if len(party.contacts) == 1:
        yield Warned(subject=party.name, reason="lone_contact")
    if any(sum(box.certain for box in each.mailboxes) > len(each.messages) for each in share.incidents):
        yield Warned(subject=party.name, reason="list_cut")


# ---------------------------------------------------------------- on disk


def plan_hash(plan: NoticePlan) -> str:
    """SHA-256 over the plan's canonical JSON: keys sorted, no spaces, UTF-8, times in UTC."""
    return hashlib.sha256(_canonical(plan)).hexdigest()


def _canonical(plan: NoticePlan) -> bytes:
    import msgspec

    plain = msgspec.to_builtins(plan)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def plan_to_json(plan: NoticePlan) -> bytes:
    """The plan's file: the hash, and what it is over. Equal plans give equal bytes."""
    return b'{"hash":"' + plan_hash(plan).encode() + b'","plan":' + _canonical(plan) + b"}\n"


def plan_from_json(content: bytes, *, place: str) -> NoticePlan:
    """The plan of these bytes.

    Raises:
        UsageError: They are no plan, or were changed after they had been written.
    """
    import msgspec

    try:
        whole: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        plan = msgspec.convert(whole.get("plan"), NoticePlan)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise UsageError(place=place, value=err, expected="a plan that `brokenseal notify plan` wrote") from err
    if plan.format != PLAN_FORMAT:
        raise UsageError(place=place, value=plan.format, expected=f"a plan of format {PLAN_FORMAT}")
    if whole.get("hash") != plan_hash(plan):
        raise UsageError(place=place, value=whole.get("hash"), expected=f"a plan with its own hash {plan_hash(plan)}")
    return plan

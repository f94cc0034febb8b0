"""What a letter says, from one victim's share alone: what was read, when, what is assumed, what cannot be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.notices.blocks import Block, Bullets, Cell, Heading, Paragraph, Table
from brokenseal.reports import _words
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.notices.share_values import Incident, Share, Span
    from brokenseal.notices.values import Sender

_SPANS_LISTED = 20
_MAILBOXES_LISTED = 200
_ACCOUNTS_LISTED = 20

_SPAN_MEANS = {
    "throttled": phrase(
        "The service stopped recording single reads of {mailbox} for up to 24 hours, because there were too many: more "
        "may have been read than any record shows."
    ),
    "audit_bypassed": phrase("Auditing was switched off for {mailbox}: what was read was not recorded."),
    "records_without_items": phrase(
        "Records of reading in {mailbox} come without a list of messages: what was read cannot be told."
    ),
    "items_unnamed": phrase(
        "Records of reading in {mailbox} stand for more messages than they name: which these were cannot be told."
    ),
    "no_mail_access_log": phrase("The logs record no reading of {mailbox} at all: whether it was read cannot be told."),
    "door_unlogged": phrase(
        "Somebody was given the right to read {mailbox}, while no record shows reading there: whether it was used "
        "cannot be told."
    ),
    "forwarded_untraced": phrase(
        "Mail of {mailbox} was sent on by a rule, and no message trace covers this time: which messages left cannot be "
        "told."
    ),
}
_SPAN_ELSE = phrase("More of {mailbox} may have been read than any record shows.")


def subject_of(share: Share) -> Phrase:
    """The subject: no log text, no figures, because a subject is never encrypted; the code stands at its end."""
    if share.party.kind == "owner":
        if share.simulated:
            return phrase("SIMULATED: your mailbox may have been read without permission")
        return phrase("Your mailbox may have been read without permission")
    if share.simulated:
        return phrase("SIMULATED: mail of your organisation may have been read without permission")
    return phrase("Mail of your organisation may have been read without permission")


def body_of(
    share: Share,
    sender: Sender,
    code: str,
    files: tuple[str, ...],
    *,
    before: str | None = None,
    because: str = "",
) -> tuple[Block, ...]:
    """The letter.

    Args:
        share: What the victim may see.
        sender: Who tells.
        code: What the reader answers with.
        files: Names of the attachments.
        before: Address of the contact that was written to before this one.
        because: How what is known from elsewhere is known, in the reader's language.
    """
    return (
        *_opening(share, sender, before),
        *_known(share, because),
        *_read(share),
        *_assumed(share),
        *_unknown(share),
        *_to_do(share, files),
        *_whom_to_ask(sender, code),
    )


def _opening(share: Share, sender: Sender, before: str | None) -> Iterator[Block]:
    if share.simulated:
        yield Paragraph(text=_words.SIMULATED, is_strong=True)
        yield Paragraph(text=phrase("This letter is an exercise. Everything it tells is simulated."), is_strong=True)
    if before is not None:
        yield Paragraph(
            text=phrase("We wrote to {address} before. Nobody answered, or the letter came back.", address=before),
            is_strong=True,
        )
    if share.party.kind == "owner":
        said = _OWNER_JUDGED if _judged(share) else _OWNER_INDICATED
        values = {"sender": sender.name, "mailbox": share.party.name}
    else:
        said = _ORGANISATION_JUDGED if _judged(share) else _ORGANISATION_INDICATED
        values = {"sender": sender.name, "organisation": share.party.name}
    yield Paragraph(text=Phrase(template=said.template, values=values))


_OWNER_JUDGED = phrase(
    "{sender} writes to you about the mailbox {mailbox}. Audit logs of Microsoft 365 look as if somebody "
    "had read mail in it without permission. This letter tells what the records of your mailbox show, and "
    "nothing about anybody else."
)
_OWNER_INDICATED = phrase(
    "{sender} writes to you about the mailbox {mailbox}. What we know of an intruder from elsewhere concerns it: "
    "somebody may have read mail in it without permission. This letter tells what we know, what the records of your "
    "mailbox show of it, and nothing about anybody else."
)
_ORGANISATION_JUDGED = phrase(
    "{sender} writes to {organisation}. Audit logs of Microsoft 365 look as if somebody had read mail of "
    "your organisation without permission. This letter tells what the records of your mailboxes show, and "
    "nothing about anybody else."
)
_ORGANISATION_INDICATED = phrase(
    "{sender} writes to {organisation}. What we know of an intruder from elsewhere concerns you: somebody may have "
    "read mail of your organisation without permission. This letter tells what we know, what the records of your "
    "mailboxes show of it, and nothing about anybody else."
)


def _judged(share: Share) -> bool:
    return any(not incident.is_indicated for incident in share.incidents)


# ---------------------------------------------------------------- what is known from elsewhere


def _known(share: Share, because: str) -> Iterator[Block]:
    indicated = [incident for incident in share.incidents if incident.is_indicated]
    if not indicated:
        return
    yield Heading(text=phrase("What we know from elsewhere"))
    if because:
        yield Paragraph(text=Phrase(template="{text}", values={"text": because}), is_strong=True)
    targets = [target for incident in indicated for target in incident.targets]
    named = [target for target in targets if target.mailbox is not None]
    if named:
        yield Table(
            titles=(
                phrase("Mailbox that was a target"),
                phrase("Known from (UTC)"),
                phrase("Known until (UTC)"),
            ),
            rows=tuple((each.mailbox, each.first_at, each.last_at) for each in named[:_MAILBOXES_LISTED]),
        )
        if len(named) > _MAILBOXES_LISTED:
            yield Paragraph(text=phrase("And {n} more mailbox(es).", n=len(named) - _MAILBOXES_LISTED))
    elif targets:
        yield Paragraph(
            text=phrase("Your organisation was a target. Which of its mailboxes were, we do not know from there.")
        )
    else:
        yield Paragraph(
            text=phrase("That you were a target is not known from there: records of yours carry what is known.")
        )
    if any(incident.mailboxes for incident in indicated):
        yield Paragraph(text=_BY_INDICATOR)


_BY_INDICATOR = phrase(
    "Reading is listed below as “by indicator” where its records carry what we know, such as an address. That is not a "
    "judgement of your logs."
)


# ---------------------------------------------------------------- what was read, and when


def _read(share: Share) -> Iterator[Block]:
    yield Heading(text=phrase("What was read, and when"))
    several = len(share.incidents) > 1
    for number, incident in enumerate(share.incidents, start=1):
        if several:
            said = _INDICATED_OF if incident.is_indicated else _INCIDENT_OF
            values = {"number": number, "n": len(share.incidents)}
            yield Paragraph(text=Phrase(template=said.template, values=values), is_strong=True)
        elif incident.is_indicated and incident.mailboxes:
            yield Paragraph(text=phrase("By indicator"), is_strong=True)
        yield from _incident(incident, share)
    if several:
        yield Paragraph(text=phrase("The same message may stand under more than one incident."))
    if any(incident.mailboxes for incident in share.incidents):
        yield Bullets(items=_KINDS)
    if share.logs_from and share.logs_to:
        yield Paragraph(
            text=phrase(
                "The logs cover {first_at} to {last_at}. What happened before or after does not show in them.",
                first_at=share.logs_from,
                last_at=share.logs_to,
            )
        )


_INCIDENT_OF = phrase("Incident {number} of {n}")
_INDICATED_OF = phrase("Incident {number} of {n}, by indicator")
_KINDS = (
    phrase("Certain: records list these messages. They were read."),
    phrase(
        "Possible: these messages may have been read. They stood in folders that went to a program as a whole, or only "
        "reading that may have been permitted lists them, or a rule sent such mail on."
    ),
    phrase("Unknowable: times in which more may have been read than any record shows."),
)


def _incident(incident: Incident, share: Share) -> Iterator[Block]:
    if incident.mailboxes:
        listed = incident.mailboxes[:_MAILBOXES_LISTED]
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                box.mailbox,
                box.certain,
                box.possible,
                box.possible_folders,
                box.unknowable,
                box.first_at,
                box.last_at,
            )
            for box in listed
        )
        yield Table(
            titles=(
                phrase("Mailbox"),
                phrase("Certain: messages"),
                phrase("Possible: messages"),
                phrase("Possible: folders"),
                phrase("Unknowable: spans"),
                phrase("First (UTC)"),
                phrase("Last (UTC)"),
            ),
            rows=rows,
        )
        if len(incident.mailboxes) > len(listed):
            yield Paragraph(text=phrase("And {n} more mailbox(es).", n=len(incident.mailboxes) - len(listed)))
    yield from _untouched(incident)
    if incident.objects:
        yield Paragraph(
            text=phrase(
                "No mailbox in particular is concerned. It is about: {objects}.", objects=_some(incident.objects)
            )
        )
    if incident.accounts:
        yield Paragraph(
            text=phrase(
                "Accounts of your organisation in whose name it was done: {accounts}.",
                accounts=_some(incident.accounts),
            )
        )
    certain = sum(box.certain for box in incident.mailboxes)
    if certain > len(incident.messages):
        yield Paragraph(
            text=phrase(
                "The attached list holds the first {listed} of {certain} messages; ask for the whole list.",
                listed=len(incident.messages),
                certain=certain,
            ),
            is_strong=True,
        )
    if share.party.kind == "owner" and incident.mailboxes:
        clients = sorted({client for box in incident.mailboxes for client in box.clients})
        if clients:
            yield Paragraph(
                text=phrase("Programs that read, as the records name them: {clients}.", clients=", ".join(clients[:10]))
            )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_ACCOUNTS_LISTED]) + (" …" if len(names) > _ACCOUNTS_LISTED else "")


def _untouched(incident: Incident) -> Iterator[Block]:
    if incident.is_indicated and not incident.has_reading:
        yield Paragraph(text=_NO_READING, is_strong=True)
        return
    unlogged = {span.mailbox for span in incident.spans if span.reason == "no_mail_access_log"}
    for mailbox in incident.untouched[:_MAILBOXES_LISTED]:
        if mailbox in unlogged:
            said = _SPAN_MEANS["no_mail_access_log"]
        elif incident.is_indicated:
            said = _TARGET_UNTOUCHED
        else:
            said = _CONCERNED_UNTOUCHED
        yield Paragraph(text=Phrase(template=said.template, values={"mailbox": mailbox}))


_NO_READING = phrase(
    "Your logs cannot tell what was read: they hold no record of reading mail at all, of anybody. Take it that "
    "everything in the mailboxes that were targets may have been read."
)
_CONCERNED_UNTOUCHED = phrase("The mailbox {mailbox} is concerned as well; no record shows reading in it.")
_TARGET_UNTOUCHED = phrase(
    "The mailbox {mailbox} was a target; no record of reading in it carries what we know of the intruder. That does "
    "not mean that it was not read."
)


# ---------------------------------------------------------------- assumed, unknown


def _assumed(share: Share) -> Iterator[Block]:
    yield Heading(text=phrase("What is assumed"))
    indicated = [incident for incident in share.incidents if incident.is_indicated]
    has_reading = any(incident.mailboxes for incident in share.incidents)
    items = (
        *((_IS_A_JUDGEMENT,) if _judged(share) else ()),
        *((_IS_KNOWN,) if any(incident.targets for incident in indicated) else ()),
        *((_IS_THE_INTRUDERS,) if any(incident.mailboxes for incident in indicated) else ()),
        *(_COUNTS_AS_READ if has_reading or not indicated else ()),
        phrase("All times are those of the service, in UTC."),
    )
    judged = [
        (incident.likelihood.words, _words.CONFIDENCE.get(incident.confidence or ""))
        for incident in share.incidents
        if incident.likelihood is not None
    ]
    yield Bullets(items=items)
    if judged:
        yield Table(
            titles=(phrase("That it was an intrusion is"), phrase("Confidence in that judgement")),
            rows=tuple(judged),
        )


_IS_A_JUDGEMENT = phrase(
    "That the reading was not permitted is a judgement. The records show that it happened, not who did it."
)
_IS_KNOWN = phrase("That you were a target rests on what we know from elsewhere, and not on your logs.")
_IS_THE_INTRUDERS = phrase(
    "That reading by indicator was the intruder's rests on what we know from elsewhere. Your own people may have used "
    "the same address or program."
)
_COUNTS_AS_READ = (
    phrase("A message that a record of reading lists counts as read, whether or not somebody looked at it."),
    phrase("A folder that a program synchronised counts as possibly read, with all that stood in it."),
)


def _unknown(share: Share) -> Iterator[Block]:
    yield Heading(text=phrase("What cannot be known"))
    spans = sorted(
        {span for incident in share.incidents for span in incident.spans},
        key=lambda span: (span.mailbox or "", span.reason, span.first_at is not None, str(span.first_at)),
    )
    for span in spans[:_SPANS_LISTED]:
        yield from _span(span)
    if len(spans) > _SPANS_LISTED:
        yield Paragraph(text=phrase("And {n} more span(s) of this kind.", n=len(spans) - _SPANS_LISTED))
    if share.party.kind == "organisation" and share.missing:
        yield Table(
            titles=(phrase("Log that was not there"), phrase("What it would have told")),
            rows=tuple((line.title, line.without_it) for line in share.missing),
        )
    items = (
        phrase("Whether anything that was read was copied, passed on or used cannot be seen in these logs."),
        phrase("That something does not stand in this letter does not mean that it was not read."),
    )
    yield Bullets(items=items)


def _span(span: Span) -> Iterator[Block]:
    means = _SPAN_MEANS.get(span.reason, _SPAN_ELSE)
    if span.mailbox is None:
        yield Paragraph(text=_of_any(span.reason))
    else:
        yield Paragraph(text=Phrase(template=means.template, values={"mailbox": span.mailbox}))
    if span.first_at or span.last_at:
        yield Bullets(items=(phrase("From {first_at} to {last_at}", first_at=span.first_at, last_at=span.last_at),))
    if span.seen is not None:
        yield Bullets(
            items=(
                phrase(
                    "Records of this time list {seen} message(s); {known} are known to have stood in the folders that "
                    "were read.",
                    seen=span.seen,
                    known=span.known,
                ),
            )
        )


_ANY_MEANS = {
    "audit_bypassed": phrase("Auditing was switched off for the whole organisation: what was read was not recorded."),
    "no_mail_access_log": phrase(
        "The logs hold no MailItemsAccessed record: what was read cannot be told for any mailbox."
    ),
    "door_unlogged": phrase(
        "Somebody was given the right to read any mailbox of the organisation, while no record shows reading: whether "
        "it was used cannot be told."
    ),
    "forwarded_untraced": phrase(
        "Mail of the organisation was sent on by a rule, and no message trace covers this time: which messages left "
        "cannot be told."
    ),
}
_ANY_ELSE = phrase("More mail of the organisation may have been read than any record shows.")


def _of_any(reason: str) -> Phrase:
    return _ANY_MEANS.get(reason, _ANY_ELSE)


# ---------------------------------------------------------------- to do, to ask


def _to_do(share: Share, files: tuple[str, ...]) -> Iterator[Block]:
    yield Heading(text=phrase("What to do"))
    if share.party.kind == "owner":
        yield Bullets(
            items=(
                phrase("Take what was read as known to strangers: passwords, appointments, plans."),
                phrase("Change every password and secret that stands in one of these messages."),
                phrase("Expect letters that use what was read to look genuine; check them by another way."),
                phrase("Tell us if the reading was your own: a new telephone, a new program, somebody acting for you."),
                phrase("Delete nothing: the mailbox is evidence."),
            )
        )
    else:
        yield Bullets(
            items=(
                phrase("Keep your logs: export the audit log and the sign-in logs of this time before they expire."),
                *((_HUNT,) if "hunting-guide.md" in files else ()),
                phrase("End the sessions of the accounts and applications concerned, and make them sign in again."),
                phrase(
                    "Look for what lasts: inbox rules, forwarding, delegates, consents, credentials of applications."
                ),
                phrase("Tell the people whose mailboxes are listed, by another way than these mailboxes."),
                *((_RECORD_READING,) if _lacks_reading(share) else ()),
                phrase("Ask your counsel which duties to report begin now; some run from the hour of knowing."),
            )
        )
    if files:
        yield Paragraph(text=phrase("Attached: {files}.", files=", ".join(files)))


_HUNT = phrase("Follow the attached hunting guide in your own logs; they may show more than ours.")
_RECORD_READING = phrase(
    "Have reading recorded from now on: the audit log takes MailItemsAccessed where licence and settings of a mailbox "
    "allow it. What was not recorded cannot be had later."
)


def _lacks_reading(share: Share) -> bool:
    return any(span.reason == "no_mail_access_log" for incident in share.incidents for span in incident.spans)


def _whom_to_ask(sender: Sender, code: str) -> Iterator[Block]:
    yield Heading(text=phrase("Whom to ask"))
    yield Paragraph(
        text=phrase("{sender}, {address}. {ask}", sender=sender.name, address=sender.address, ask=sender.ask)
    )
    yield Paragraph(
        text=phrase(
            "Please answer this letter, so that we know that it reached you. Leave the code {code} in the subject, or "
            "write it in your answer. Until somebody answers we take it that nobody knows.",
            code=code,
        ),
        is_strong=True,
    )
    yield Paragraph(
        text=phrase(
            "Intruders write letters like this one too. We never ask for a password, and this letter holds no link. If "
            "you are in doubt, call us on a number that you know from elsewhere."
        )
    )

"""What `brokenseal notify` prints: plans, runs and states, as text and as values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.notices.plan import plan_hash
from brokenseal.notices.status import due_letters
from brokenseal.reports._escape import terminal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from brokenseal.notices.sending import Sent
    from brokenseal.notices.sending_ledger import Entry
    from brokenseal.notices.status import NoticeStatus
    from brokenseal.notices.values import ByIndicator, NoticePlan

_LISTED = 40
_NOT_TOLD = {
    "no_contact": "NOBODY IS TOLD about this mailbox: no contact covers it",
    "no_holder": "NOBODY IS TOLD of this case: it names no mailbox, and its store is of no organisation with a contact",
    "no_logs": "NOBODY IS TOLD about this target: it is in none of the stores",
    "organisation_not_listed": "only the owner is told: no organisation covers it",
    "owner_not_listed": "only the organisation is told: the owner has no contact",
    "whole_store": "concerns every mailbox of a store with several organisations, and is told to none of them",
}
_WARNED = {
    "contact_was_read": "this address is a mailbox of the case: the intruder may read the notice",
    "unencrypted": "no certificate: the list of messages goes without S/MIME encryption",
    "list_cut": "the document lists fewer messages than were read: the attached list is cut",
    "lone_contact": "one contact only: nobody to turn to if it stays silent",
}


def plan_summary(plan: NoticePlan) -> dict[str, Any]:
    """The plan without the letters' text."""
    return {
        "hash": plan_hash(plan),
        "simulated": plan.simulated,
        "made_at": plan.made_at,
        "approvals": plan.approvals,
        "escalate_days": plan.escalate_days,
        "notices": [
            {
                "id": notice.id,
                "kind": notice.kind,
                "victim": notice.victim,
                "told": notice.told,
                "letters": [
                    {
                        "id": letter.id,
                        "to": letter.contact.address,
                        "language": letter.contact.language,
                        "role": letter.contact.role,
                        "encrypted": letter.contact.certificate is not None,
                        "subject": letter.subject,
                        "attachments": [notice.attachments[place].name for place in letter.attachments],
                    }
                    for letter in notice.letters
                ],
            }
            for notice in plan.notices
        ],
        "not_told": plan.not_told,
        "warnings": plan.warnings,
    }


def plan_text(plan: NoticePlan, *, in_full: bool) -> str:
    """The plan for whoever approves it, worst news first."""
    return _joined(_plan_lines(plan, in_full=in_full))


def _joined(lines: Iterator[str]) -> str:
    return "".join(f"{terminal(line)}\n" for line in lines)


def _plan_lines(plan: NoticePlan, *, in_full: bool) -> Iterator[str]:
    if plan.simulated:
        yield "SIMULATED: the documents are of a simulated tenant, and every letter says so."
    for reason, means in _NOT_TOLD.items():
        subjects = [line.subject for line in plan.not_told if line.reason == reason]
        yield from _listed(subjects, means)
    for reason, means in _WARNED.items():
        subjects = [line.subject for line in plan.warnings if line.reason == reason]
        yield from _listed(subjects, means)
    for number, notice in enumerate(plan.notices, start=1):
        told = notice.told
        yield ""
        yield f"{number}. {notice.victim} ({notice.kind}): {told.mailboxes} mailbox(es)"
        if told.cases:
            yield (
                f"   by {told.cases} case(s): certain {told.certain}, possible {told.possible} "
                f"(folders {told.folders}), unknowable {told.unknowable}; {told.listed} messages listed"
            )
        if told.by_indicator is not None:
            yield f"   by indicator: {_by_indicator(told.by_indicator)}"
        for letter in notice.letters:
            contact = letter.contact
            secret = "encrypted" if contact.certificate else "not encrypted"
            role = f", {contact.role}" if contact.role else ""
            yield f"   {contact.order}. {contact.address} ({contact.language}{role}, {secret}): {letter.subject}"
        if in_full:
            letter = notice.letters[0]
            yield from ("", *(f"   | {line}" for line in letter.text.splitlines()))
            for place in letter.attachments:
                attached = notice.attachments[place]
                yield f"   + {attached.name}, {len(attached.content.splitlines())} lines"
    yield ""
    letters = sum(len(notice.letters) for notice in plan.notices)
    yield f"{len(plan.notices)} notice(s), {letters} letter(s) at most; approvals needed: {plan.approvals}"
    yield f"hash {plan_hash(plan)}"


def _by_indicator(told: ByIndicator) -> str:
    targets = f"{told.targets} mailbox(es) were targets, {told.unlogged} without a record of reading"
    if not told.has_reading:
        return f"{targets}; the logs cannot tell what was read"
    return (
        f"{targets}; certain {told.certain}, possible {told.possible} (folders {told.folders}), "
        f"unknowable {told.unknowable}; {told.listed} messages listed"
    )


def _listed(subjects: Sequence[str], means: str) -> Iterator[str]:
    if subjects:
        more = f" and {len(subjects) - _LISTED} more" if len(subjects) > _LISTED else ""
        yield f"! {means}: {', '.join(subjects[:_LISTED])}{more}"


def due_text(plan: NoticePlan, entries: Sequence[Entry], *, now: dt.datetime, escalate: bool) -> str:
    """What a run of sending would send."""
    due = list(due_letters(plan, entries, now=now, escalate=escalate))
    lines = [f"{letter.contact.address}: {letter.subject} {letter.id}" for _, letter in due]
    return _joined(iter((*lines, f"{len(due)} letter(s) would be sent")))


def sent_text(plan: NoticePlan, done: Sent) -> str:
    """What a run of sending did."""
    address_of = {letter.id: letter.contact.address for notice in plan.notices for letter in notice.letters}
    lines = [f"sent: {address_of[letter]}" for letter in done.sent]
    lines += [f"not sent: {address_of[letter]}: {reason}" for letter, reason in done.not_sent]
    for letter in done.uncertain:
        lines.append(f"UNCERTAIN: {address_of[letter]}: the server may have taken it; not sent again.")
        lines.append(f"  To send it again nevertheless: --resend-uncertain '{letter}'")
    lines.append(f"{len(done.sent)} sent, {len(done.not_sent)} not sent, {len(done.uncertain)} uncertain")
    return _joined(iter(lines))


def status_summary(plan: NoticePlan, found: Sequence[NoticeStatus]) -> dict[str, Any]:
    """States as values, with their counts."""
    return {"hash": plan_hash(plan), "counts": _counts(found), "escalated": _escalated(found), "notices": list(found)}


def _counts(found: Sequence[NoticeStatus]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in found:
        counts[each.state] = counts.get(each.state, 0) + 1
    return counts


def _escalated(found: Sequence[NoticeStatus]) -> int:
    return sum(each.letters > 1 for each in found)


def status_text(plan: NoticePlan, found: Sequence[NoticeStatus]) -> str:
    """States for people: the open ones first."""
    lines = ["SIMULATED"] if plan.simulated else []
    for each in sorted(found, key=lambda status: status.state == "acknowledged"):
        due = f", due {each.due_at:%Y-%m-%d %H:%M} UTC" if each.due_at else ""
        after = f", next: {each.next_contact}" if each.next_contact else ""
        if each.state in {"silent", "bounced", "refused"} and each.next_contact is None:
            after = ", nobody left to turn to"
        times = f", {each.letters} letters" if each.letters > 1 else ""
        detail = f" ({each.detail})" if each.detail else ""
        lines.append(f"{each.state}: {each.victim}: {each.contact}{times}{due}{after}{detail}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(_counts(found).items()))
    lines.append(f"{len(found)} notice(s): {counts or 'none'}; {_escalated(found)} escalated")
    return _joined(iter(lines))

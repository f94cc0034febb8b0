"""What comes back: answers of people, answers of machines, delivery status, receipts. Read from files, never a server.

Sources: RFC 3464 (delivery status), RFC 8098 (receipts), RFC 3834 (answers by machines). All of it is hostile input: a
mail that cannot be read is counted and skipped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.utils import parseaddr
from typing import TYPE_CHECKING

from brokenseal.errors import UsageError
from brokenseal.fields import mail_address
from brokenseal.notices.codes import codes_in
from brokenseal.notices.plan import plan_hash
from brokenseal.notices.sending import envelope_mark
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator
    from email.message import Message
    from pathlib import Path

    from brokenseal.notices.sending_ledger import Event, SendingLedger
    from brokenseal.notices.values import NoticePlan

_LARGEST = 30_000_000
_PARTS = 200
# Beginnings of parts: the parser takes 50 µs for each, and a mail of 30 MB can hold millions.
_MOST_BOUNDARIES = 10_000
_DETAIL_LIMIT = 300
_EVENT_OF_ACTION: dict[str, Event] = {
    "failed": "bounced",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "relayed",
    "expanded": "relayed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one mail says of one letter."""

    letter: str
    event: Event
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a round of reading found.

    Attributes:
        mails: Mails looked at.
        answers: Those that say something of a letter and were not known before.
        known: Read in an earlier round.
        unrelated: About no letter of the plan.
        unreadable: Too large, of too many parts, or no mail.
    """

    mails: int
    answers: int
    known: int
    unrelated: int
    unreadable: int


def take_answers(plan: NoticePlan, ledger: SendingLedger, place: Path, *, now: dt.datetime) -> Taken:
    """Read every mail of a file, a folder of files or a Maildir, and write down what it says of the plan's letters.

    Raises:
        UsageError: There is no such file or folder.
    """
    known = {entry.source for entry in ledger.entries if entry.source}
    name = plan_hash(plan)
    counts = dict.fromkeys(("answers", "known", "unrelated", "unreadable"), 0)
    mails = 0
    for content in _mails(place):
        mails += 1
        if content is None:
            counts["unreadable"] += 1
            continue
        source = hashlib.sha256(content).hexdigest()
        if source in known:
            counts["known"] += 1
            continue
        try:
            found = answers_in(content, plan)
        except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # The standard library's parser raises these on mails that are damaged on purpose.
            counts["unreadable"] += 1
            continue
        known.add(source)
        counts["answers" if found else "unrelated"] += 1
        for answer in found:
            ledger.append(answer.event, at=now, letter=answer.letter, plan=name, detail=answer.detail, source=source)
    return Taken(mails=mails, **counts)


def _mails(place: Path) -> Iterator[bytes | None]:
    """The mails at a place by name; None for one that cannot be taken."""
    if place.is_file():
        paths = [place]
    elif place.is_dir():
        folders = [folder for name in ("cur", "new") if (folder := place / name).is_dir()] or [place]
        paths = sorted(path for folder in folders for path in folder.iterdir() if path.is_file())
    else:
        raise UsageError(place="--read", value=str(place), expected="a mail, a folder of mails or a Maildir")
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST + 1)
        except OSError:
            content = b""
        is_whole = 0 < len(content) <= _LARGEST and content.count(b"\n--") <= _MOST_BOUNDARIES
        yield content if is_whole else None


def answers_in(content: bytes, plan: NoticePlan) -> tuple[Answer, ...]:
    """What a mail says of the plan's letters; nothing where it is one of them, or is about none."""
    mail = message_from_bytes(content, policy=policy.default.clone(raise_on_defect=False))
    letters = {letter.id: letter for notice in plan.notices for letter in notice.letters}
    own_id = _header(mail, "Message-ID").strip()
    if own_id in letters or mail_address(parseaddr(_header(mail, "From"))[1]) == plan.sender.address.lower():
        return ()
    kind = mail.get_content_type()
    report = _parameter(mail, "report-type")
    if kind == "multipart/report" and report == "delivery-status":
        return tuple(_delivery_status(mail, {envelope_mark(letter): letter for letter in letters}))
    referred = _referred(mail, letters)
    if kind == "multipart/report" and report == "disposition-notification":
        return tuple(Answer(letter=letter, event="displayed", detail=_from(mail)) for letter in sorted(referred))
    coded = codes_in((_header(mail, "Subject"), *_texts(mail)))
    by_code = {letter.id for letter in letters.values() if letter.reply_code in coded}
    event: Event = "auto_reply" if _is_by_machine(mail) else "acknowledged"
    return tuple(
        Answer(
            letter=letter,
            event=event,
            detail=cut(f"{_from(mail)}, {'code' if letter in by_code else 'reply'}", _DETAIL_LIMIT),
        )
        for letter in sorted(by_code | referred)
    )


def _header(mail: Message, name: str) -> str:
    """A header as text; "" where it is absent or so damaged that the parser gives up."""
    try:
        return str(mail.get(name, ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _parameter(mail: Message, name: str) -> str:
    value = mail.get_param(name, "")
    return value.strip().lower() if isinstance(value, str) else ""


def _from(mail: Message) -> str:
    return cut(visible(_header(mail, "From")), _DETAIL_LIMIT - 20)


def _referred(mail: Message, letters: Iterable[str]) -> set[str]:
    """Letters that a mail answers, by the ids that mail programs put into answers."""
    names = " ".join(_header(mail, name) for name in ("In-Reply-To", "References", "Original-Message-ID"))
    return {letter for letter in letters if letter in names} | {
        letter
        for part in _parts(mail)
        if part.get_content_type() == "message/disposition-notification"
        for letter in letters
        if letter in _report_text(part)
    }


def _report_text(part: Message) -> str:
    payload = part.get_payload()
    return "\n".join(str(block) for block in payload) if isinstance(payload, list) else str(payload)


def _parts(mail: Message) -> Iterator[Message]:
    """The parts of the mail itself; what it carries as attached mails is not its own."""
    waiting: list[Message] = [mail]
    for _ in range(_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        yield part
        payload = part.get_payload()
        if isinstance(payload, list) and part.get_content_maintype() == "multipart":
            waiting.extend(each for each in payload if not isinstance(each, str))


def _texts(mail: Message) -> Iterator[str]:
    for part in _parts(mail):
        if part.get_content_maintype() != "text":
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield content.decode("utf-8", "replace")


def _is_by_machine(mail: Message) -> bool:
    """RFC 3834, what programs from before it write, and bounces in the form of no standard."""
    submitted = _header(mail, "Auto-Submitted").strip().lower()
    if (submitted and submitted != "no") or mail.get_content_type() == "multipart/report":
        return True
    if any(_header(mail, name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Failed-Recipients")):
        return True
    if _header(mail, "Return-Path").strip() == "<>" or _local_part(mail) in {"", "mailer-daemon", "postmaster"}:
        return True
    return _header(mail, "Precedence").strip().lower() in {"auto_reply", "bulk", "junk", "list"}


def _local_part(mail: Message) -> str:
    return (mail_address(parseaddr(_header(mail, "From"))[1]) or "").rpartition("@")[0]


# ---------------------------------------------------------------- delivery status


def _delivery_status(mail: Message, letter_of: dict[str, str]) -> Iterator[Answer]:
    """One answer a letter: the worst that the report says of a recipient."""
    blocks = [
        block
        for part in _parts(mail)
        if part.get_content_type() == "message/delivery-status"
        for block in (part.get_payload() if isinstance(part.get_payload(), list) else ())
        if not isinstance(block, str)
    ]
    marks = {_header(block, "Original-Envelope-Id").strip() for block in blocks}
    letters = {letter_of[mark] for mark in marks if mark in letter_of} or _returned(mail, letter_of.values())
    actions = [(block, _header(block, "Action").strip().lower()) for block in blocks]
    known = [(block, _EVENT_OF_ACTION[action]) for block, action in actions if action in _EVENT_OF_ACTION]
    if not known:
        return
    order = list(_EVENT_OF_ACTION.values())
    block, event = min(known, key=lambda each: order.index(each[1]))
    said = " ".join(_header(block, name) for name in ("Final-Recipient", "Status", "Diagnostic-Code"))
    for letter in sorted(letters):
        yield Answer(letter=letter, event=event, detail=cut(visible(said.strip()), _DETAIL_LIMIT))


def _returned(mail: Message, letters: Iterable[str]) -> set[str]:
    """Letters whose Message-ID stands in the headers that came back with the report."""
    wanted = set(letters)
    found = _referred(mail, wanted)
    for part in _parts(mail):
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            found |= {_header(each, "Message-ID").strip() for each in inner if not isinstance(each, str)}
        elif part.get_content_type() in {"text/rfc822-headers", "message/global-headers"}:
            content = part.get_payload(decode=True)
            headers = message_from_bytes(content if isinstance(content, bytes) else b"", policy=policy.compat32)
            found.add(str(headers.get("Message-ID", "")).strip())
    return found & wanted

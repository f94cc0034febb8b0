"""Documents of several victims, in which every text, address and day says whose it is."""

import datetime as dt
from dataclasses import dataclass, replace

from brokenseal.model import (
    Activity,
    Case,
    CaseDocument,
    Cited,
    Coverage,
    Evidence,
    ExposedFolder,
    ExposedMessage,
    Exposure,
    Finding,
    Inputs,
    MailboxCoverage,
    MailboxExposure,
    OpenEnded,
    Severity,
    SourceCoverage,
    TokenProvenance,
    Verdict,
)
from brokenseal.notices.plan import PlanSettings
from brokenseal.notices.values import Contact, Party, Sender
from brokenseal.wording import phrase

START = dt.datetime(2024, 1, 10, 3, 4, 5, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
KEY = bytes(range(32))
SENDER = Sender(name="Provider CERT", address="notices@provider.example", ask="Telephone 0 123")
SETTINGS = PlanSettings(sender=SENDER, key=KEY, made_at=NOW)
REASONS = (
    "throttled",
    "door_unlogged",
    "audit_bypassed",
    "records_without_items",
    "forwarded_untraced",
    "no_such_reason",
)


@dataclass(frozen=True)
class Box:
    """One mailbox of the world: number `n` names all that is its own."""

    n: int
    domain: str
    messages: int = 2
    possible: int = 1
    reason: str | None = None
    twice: bool = False

    @property
    def mark(self):
        return f"zq{self.n:03d}x"

    @property
    def name(self):
        return f"{self.mark}.box@{self.domain}"

    @property
    def address(self):
        return f"203.0.{self.n}.77"

    @property
    def at(self):
        return START + dt.timedelta(days=10 * self.n)

    @property
    def marks(self):
        """All by which it would be known in somebody else's notice."""
        return (self.mark, self.address, f"{self.at:%Y-%m-%d}")


def event(box, number):
    return f"ev-{box.mark}-{number}"


def message(box, number, *, reason=None, **values):
    return ExposedMessage(
        **{
            "mailbox": box.name,
            "internet_message_id": f"<{box.mark}.{number}{reason or ''}@mail.example>",
            "subject": f"Subject {box.mark} {number}",
            "sender": f"{box.mark}@fabrikam.example",
            "recipients": (box.name,),
            "folder_path": f"\\Inbox\\{box.mark}",
            "size_bytes": 1000 + number,
            "first_at": box.at + dt.timedelta(minutes=number),
            "last_at": box.at + dt.timedelta(minutes=number + 1),
            "entries": 1,
            "clients": (f"Client=REST;{box.mark};;",),
            "addresses": (box.address,),
            "sessions": (f"session-{box.mark}",),
            "event_ids": (event(box, number),),
            "reason": reason,
        }
        | values
    )


def exposure(boxes, everybody, *, wide=()):
    """What was read of the boxes; explanations name everybody, as those of the product may."""
    names = ", ".join(box.mark for box in everybody)
    messages = tuple(message(box, number) for box in boxes for number in range(box.messages))
    possible = tuple(message(box, 100 + number, reason="may_be_own") for box in boxes for number in range(box.possible))
    spans = [
        OpenEnded(
            mailbox=box.name,
            reason=box.reason,
            first_at=box.at,
            last_at=box.at + dt.timedelta(hours=20),
            explanation=phrase("Somebody of {names} did it.", names=names),
            event_ids=(event(box, 0),),
        )
        for box in boxes
        if box.reason
    ]
    spans += [
        OpenEnded(
            mailbox="*", reason=reason, first_at=None, last_at=None,
            explanation=phrase("{names} was given the right to read any mailbox.", names=names), event_ids=(),
        )
        for reason in wide
    ]  # fmt: skip
    return Exposure(
        selection="case",
        accesses=9,
        certain=len(messages),
        possible=len(possible),
        unknowable=len(spans),
        mailboxes=tuple(
            MailboxExposure(
                mailbox=box.name,
                mailbox_key=f"upn:{box.name}",
                accesses=box.messages,
                item_entries=box.messages,
                certain=box.messages,
                possible=box.possible,
                possible_folders=1,
                unknowable=int(bool(box.reason)),
                first_at=box.at,
                last_at=box.at + dt.timedelta(hours=1),
                clients=(f"Client=REST;{box.mark};;",),
                addresses=(box.address,),
            )
            for box in boxes
        ),
        messages=messages,
        folders=tuple(
            ExposedFolder(
                mailbox=box.name, folder_path=f"\\Inbox\\{box.mark}", folder_id=box.mark, first_at=box.at, last_at=box.at,
                known_messages=1, event_ids=(event(box, 0),),
            )
            for box in boxes
        ),
        open_ended=tuple(spans),
        possible_messages=possible,
    )  # fmt: skip


def finding(boxes, everybody):
    names = ", ".join(box.mark for box in everybody)
    said = phrase("Read by {names}", names=names)
    evidence = tuple(
        Evidence(event_id=event(box, number), role="read", occurred_at=box.at) for box in boxes for number in range(2)
    )
    return Finding(
        id="f" * 16, detector_id="x.y", variant="plain", group_key=names, title=said, severity=Severity.HIGH,
        is_notice=False, attack=("T1114.002",), innocent=said, settles=said, first_at=boxes[0].at, last_at=boxes[0].at,
        evidence=evidence, mailboxes=tuple(box.name for box in boxes), actors=tuple(box.name for box in boxes),
        addresses=tuple(box.address for box in boxes), sessions=(), objects=(names,),
    )  # fmt: skip


def case(number, boxes, *, wide=()):
    names = phrase("Mail of {names} was read", names=", ".join(box.mark for box in boxes))
    return Case(
        id=f"case-{number:012x}",
        title=names,
        summary=(names,),
        severity=Severity.HIGH,
        mailboxes=tuple(box.name for box in boxes),
        actors=tuple(box.name for box in boxes),
        addresses=tuple(box.address for box in boxes),
        first_at=min(box.at for box in boxes),
        last_at=max(box.at for box in boxes),
        attack=("T1114.002",),
        findings=(finding(boxes, boxes),),
        links=(names,),
        exposure=exposure(boxes, boxes, wide=wide),
        next_steps=(names,),
    )


def document(cases, *, boxes, tenants=("11111111-2222-3333-4444-555555555555",), simulated=False):
    nobody = phrase("Logs of {names}", names=", ".join(box.mark for box in boxes))
    return CaseDocument(
        format=1,
        product_version="0",
        simulated=simulated,
        verdict=Verdict(kind="found", headline=nobody, reasons=(nobody,)),
        cases=tuple(cases),
        notices=tuple(found for each in cases for found in each.findings),
        detectors=(),
        token_provenance=TokenProvenance(issued=0, not_issued=0, cannot_tell=0),
        exposure=exposure(boxes, boxes),
        coverage=Coverage(
            first_at=min(box.at for box in boxes) - dt.timedelta(days=3),
            last_at=max(box.at for box in boxes) + dt.timedelta(days=3),
            tenants=tuple(tenants),
            sources=(
                SourceCoverage(
                    source="sign_in.interactive", title=phrase("Entra sign-ins, interactive"), present=False, records=0,
                    first_at=None, last_at=None, gaps=(),
                    without_it=phrase("Without them, it cannot be told who signed in by hand, from where and with what."),
                ),
            ),
            mailboxes=tuple(
                MailboxCoverage(
                    mailbox=box.name, mailbox_key=f"upn:{box.name}", has_mail_access=True, accesses=1, first_at=box.at,
                    last_at=box.at, throttled_days=(), audit_bypassed=None, with_session=None, with_token=None,
                    event_ids=(),
                )
                for box in boxes
            ),
            mail_accesses=1, with_session=None, with_token=None, alarms=(), cannot_tell=(nobody,), unmet_needs=(),
        ),
        activity=Activity(days=(), hours=(), matrix=()),
        inputs=Inputs(records=1, kept=1, duplicates=0, rejected=0, ignored=0, files=(), quarantine=()),
        table_versions={},
        cited={
            event(box, number): Cited(
                event_id=event(box, number), occurred_at=box.at, operation="MailItemsAccessed", actor=box.name,
                mailbox=box.name, client_ip=box.address, client=box.mark, app=f"app-{box.mark}",
                session_id=f"session-{box.mark}", token_id=f"token-{box.mark}", object_id=box.mark,
            )
            for box in boxes
            for number in range(2)
        },
    )  # fmt: skip


def contact(address, *, order=1, language="en", certificate=None, role="administrator"):
    return Contact(address=address, name="Somebody", language=language, role=role, order=order, certificate=certificate)


def organisation(name, covers, *, contacts=None):
    return Party(
        kind="organisation",
        name=name,
        covers=tuple(sorted(covers)),
        contacts=contacts or (contact(f"soc@{name.lower()}-security.example"),),
    )


def owner(box, *, contacts=None):
    return Party(
        kind="owner", name=box.name, covers=(box.name,), contacts=contacts or (contact(f"{box.mark}@home.example"),)
    )


def many(count, *, simulated=False):
    """One document for each of so many organisations, and their contacts; each has two people to turn to."""
    documents, parties = [], []
    for n in range(count):
        box = Box(n, f"org{n:02d}.example")
        tenant = f"{n:08x}-0000-0000-0000-000000000000"
        documents.append(document([case(n, [box])], boxes=[box], tenants=(tenant,), simulated=simulated))
        parties.append(
            organisation(
                f"Org{n:02d}",
                [box.domain],
                contacts=(
                    contact(f"soc@org{n:02d}.example", language="fr" if n % 2 else "en"),
                    contact(f"chief@org{n:02d}.example", order=2),
                ),
            )
        )
    return documents, parties


def everything_said(notice):
    """Each text that reaches somebody, with what it is."""
    for letter in notice.letters:
        yield "subject", letter.subject
        yield "text", letter.text
        yield "html", letter.html
        for place in letter.attachments:
            yield notice.attachments[place].name, notice.attachments[place].content


def with_settings(**values):
    return replace(SETTINGS, **values)

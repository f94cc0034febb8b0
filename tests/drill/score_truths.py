"""Drills and documents made by hand, for tests of the score: a few records whose truth is known."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import pyarrow.parquet as pq

from brokenseal.drill._columnar import build
from brokenseal.drill.truth_tables import TRUTH_ATTACK, TRUTH_MESSAGE, TRUTH_RECORD, TRUTH_TABLES, TRUTH_TENANT
from brokenseal.investigate import Detection
from brokenseal.model import (
    Case,
    DetectorState,
    Evidence,
    ExposedMessage,
    Exposure,
    Finding,
    MailboxExposure,
    Severity,
)
from brokenseal.wording import phrase
from reports.documents import empty_document

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
WARM_UP = 56
ENDS = START + 112 * DAY
TENANT = "51a1a7ed-0000-4000-8000-000000000001"
OTHER = "51a1a7ed-0000-4000-8000-000000000002"


def box(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def address(number):
    return f"person.{number}@contoso.example"


def day(number):
    """Midnight of a day after the warm-up."""
    return START + (WARM_UP + number) * DAY


@dataclass(frozen=True, kw_only=True)
class World:
    """What is written to `truth`: rows by table, with defaults filled in."""

    tenants: list = field(default_factory=list)
    records: list = field(default_factory=list)
    messages: list = field(default_factory=list)
    attacks: list = field(default_factory=list)

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for table in TRUTH_TABLES:
            rows = getattr(self, table.name, [])
            columns = {name: [row.get(name) for row in rows] for name in table.names}
            pq.write_table(build(table, len(rows), columns), folder / f"{table.name}.parquet")
        return folder


def tenant(tenant_id=TENANT, **changes):
    row = {
        "tenant_id": tenant_id,
        "tenant_no": 0,
        "name": "Simulated",
        "mailboxes": 100,
        "starts_at": START,
        "ends_at": ENDS,
        "mailbox_weeks": 800.0,
        "warm_up_days": WARM_UP,
        "logs": "full",
        "log_epoch": 2025,
        "unlogged_classes": [],
        "parameters": "{}",
    }
    return known(TRUTH_TENANT, row, changes)


def attack(instance, attack_id="A1", stealth=1, first=0, **changes):
    at = day(first)
    row = {
        "instance": instance,
        "tenant_id": TENANT,
        "attack_id": attack_id,
        "title": f"Attack {attack_id}",
        "stealth": stealth,
        "first_at": at,
        "last_at": at + DAY,
        "first_record_at": at,
        "first_available_at": at + HOUR,
        "mailbox_keys": [box(instance)],
        "subject_ids": [],
        "messages_read": 0,
        "messages_shown": 0,
        "records": 1,
        "tells": [],
        "is_observable": True,
        "knobs": "{}",
    }
    return known(TRUTH_ATTACK, row, changes)


def record(event_id, at, *, instance=None, **changes):
    row = {
        "tenant_id": TENANT,
        "event_id": event_id,
        "stream": "ual_exchange",
        "occurred_at": at,
        "available_at": at + HOUR,
        "copies": 1,
        "actor_kind": "owner" if instance is None else "attacker",
        "instance": instance,
    }
    return known(TRUTH_RECORD, row, changes)


def read(instance, number, at, **changes):
    row = {
        "tenant_id": TENANT,
        "mailbox_key": box(instance),
        "mailbox_upn": address(instance),
        "internet_message_id": f"<{number}@contoso.example>",
        "first_read_at": at,
        "reads": 1,
        "how": "bind",
        "event_id": f"r{instance}",
        "instance": instance,
    }
    return known(TRUTH_MESSAGE, row, changes)


def known(table, row, changes):
    unknown = set(changes) - set(table.names)
    assert not unknown, unknown
    return {**row, **changes}


def finding(number, event_ids, *, detector_id="mail_access.first_seen_client", is_notice=False, at=None):
    at = at or day(0)
    return Finding(
        id=f"{number:016x}",
        detector_id=detector_id,
        variant="v",
        group_key="k",
        title=phrase("T"),
        severity=Severity.HIGH,
        is_notice=is_notice,
        attack=(),
        innocent=phrase("I"),
        settles=phrase("S"),
        first_at=at,
        last_at=at,
        evidence=tuple(Evidence(event_id=event_id, role="read", occurred_at=at) for event_id in event_ids),
        mailboxes=(),
        actors=(),
        addresses=(),
        sessions=(),
        objects=(),
    )


NO_EXPOSURE = Exposure(
    selection="case",
    accesses=0,
    certain=0,
    possible=0,
    unknowable=0,
    mailboxes=(),
    messages=(),
    folders=(),
    open_ended=(),
)


def exposure(messages=(), *, open_boxes=()):
    """Messages as (mailbox number, message number); mailboxes of `open_boxes` have an open-ended span."""
    boxes = sorted({mailbox for mailbox, _ in messages} | set(open_boxes))
    lines = tuple(
        ExposedMessage(
            mailbox=address(mailbox),
            internet_message_id=f"<{number}@contoso.example>",
            subject=None,
            sender=None,
            recipients=(),
            folder_path=None,
            size_bytes=None,
            first_at=day(0),
            last_at=day(0),
            entries=1,
            clients=(),
            addresses=(),
            sessions=(),
            event_ids=("x",),
        )
        for mailbox, number in messages
    )
    counts = tuple(
        MailboxExposure(
            mailbox=address(mailbox),
            mailbox_key=box(mailbox),
            accesses=1,
            item_entries=1,
            certain=sum(line.mailbox == address(mailbox) for line in lines),
            possible=0,
            possible_folders=0,
            unknowable=int(mailbox in open_boxes),
            first_at=None,
            last_at=None,
            clients=(),
            addresses=(),
        )
        for mailbox in boxes
    )
    return replace(NO_EXPOSURE, certain=len(lines), messages=lines, mailboxes=counts)


def case(number, findings, *, mailboxes=(), seen=NO_EXPOSURE):
    return Case(
        id=f"case-{number:012x}",
        title=phrase("C"),
        summary=(),
        severity=Severity.HIGH,
        mailboxes=tuple(address(mailbox) for mailbox in mailboxes),
        actors=(),
        addresses=(),
        first_at=day(0),
        last_at=day(0),
        attack=(),
        findings=tuple(findings),
        links=(),
        exposure=seen,
        next_steps=(),
    )


def document(cases=(), notices=(), *, kind=None, states=()):
    made = empty_document()
    kind = kind or ("found" if cases else "nothing_found")
    verdict = replace(made.verdict, kind=kind)
    return replace(made, cases=tuple(cases), notices=tuple(notices), verdict=verdict, detectors=tuple(states))


def detection(cases=(), notices=(), states=()):
    return Detection(
        everything=NO_EXPOSURE,
        exposure=NO_EXPOSURE,
        cases=tuple(cases),
        notices=tuple(notices),
        states=tuple(states),
        access_ids=frozenset(),
        token_provenance=empty_document().token_provenance,
    )


def state(detector_id, said):
    return DetectorState(detector_id=detector_id, title=phrase("D"), state=said, reason=None, findings=0)

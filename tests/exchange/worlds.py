"""Small case documents for sharing: a few records, of which some are an intruder's, some a victim's, some nobody's."""

import datetime as dt
from dataclasses import replace

from brokenseal.model import (
    Activity,
    Case,
    Cited,
    DetectorState,
    Evidence,
    ExposedMessage,
    MatrixCell,
    Severity,
)
from brokenseal.wording import phrase
from reports.assessments import rich_assessment
from reports.documents import empty_document, exposure, finding

BEGIN = dt.datetime(2024, 5, 20, 2, 0, tzinfo=dt.UTC)
VICTIM = "anna.lindqvist@contoso.example"
OTHER = "b.moreau@contoso.example"
INTRUDER = "203.0.113.77"
TENANT = "11111111-2222-3333-4444-555555555555"
CASE = "case-0000000000aa"
EVIL_APP = "deadbeef-0000-4000-8000-00000000cafe"
OUTLOOK_WEB = "9199bf20-a13f-4107-85dc-02114787ef48"
AGENT = "python-requests/2.31.0"


def record(number, *, minutes=0, ip=INTRUDER, actor=VICTIM, mailbox=VICTIM, app=None, client=None, **more):
    """One mail access."""
    fields = {"operation": "MailItemsAccessed", "session_id": "s-1", "token_id": "t-1", "object_id": None}
    return Cited(
        event_id=f"{number:08x}-0000-4000-8000-{number:012x}",
        occurred_at=BEGIN + dt.timedelta(minutes=minutes),
        actor=actor,
        mailbox=mailbox,
        client_ip=ip,
        client=client,
        app=app,
        **{**fields, **more},
    )


def read(row, *, reason=None, subject="Budget for the second quarter", sender="partner@fabrikam.example"):
    """The message that a record lists."""
    return ExposedMessage(
        mailbox=row.mailbox,
        internet_message_id=f"<{row.event_id}@mail.example>",
        subject=subject,
        sender=sender,
        recipients=(row.mailbox,),
        folder_path="\\Inbox",
        size_bytes=1,
        first_at=row.occurred_at,
        last_at=row.occurred_at,
        entries=1,
        clients=(row.client or "",),
        addresses=(row.client_ip,) if row.client_ip else (),
        sessions=(),
        event_ids=(row.event_id,),
        reason=reason,
    )


def found(
    rows,
    *,
    number=1,
    detector="token.provenance",
    attack=("T1114.002",),
    family="token",
    addresses=None,
    about_apps=True,
):
    """A finding that shows the records."""
    made = finding(
        number,
        detector,
        phrase("Mail of {mailboxes} was read", mailboxes=VICTIM),
        Severity.CRITICAL,
        [Evidence(event_id=row.event_id, role="read", occurred_at=row.occurred_at) for row in rows],
        attack=attack,
        mailboxes=tuple(sorted({row.mailbox for row in rows if row.mailbox})),
        actors=tuple(sorted({row.actor for row in rows if row.actor})),
        addresses=tuple(sorted({row.client_ip for row in rows if row.client_ip})) if addresses is None else addresses,
    )
    apps = {row.app for row in rows if row.app} if about_apps else ()
    return replace(made, family=family, case_keys=tuple(sorted(f"application:{app}" for app in apps)))


def case(rows, findings=None, *, doubtful=(), case_id=CASE, assessed=True):
    """A case whose records are certain, with others that are in shared doubt."""
    rows = list(rows)
    findings = [found(rows)] if findings is None else findings
    seen = exposure(case_id, [read(row) for row in rows])
    seen = replace(
        seen,
        possible_messages=tuple(read(row, reason="may_be_own") for row in doubtful),
        mailboxes=tuple(
            replace(box, doubtful_accesses=sum(row.mailbox == box.mailbox for row in doubtful))
            for box in seen.mailboxes
        ),
    )
    return Case(
        id=case_id,
        title=phrase("Mail of {mailboxes} was read", mailboxes=VICTIM),
        summary=(),
        severity=Severity.CRITICAL,
        mailboxes=tuple(sorted({row.mailbox for row in rows})),
        actors=tuple(sorted({row.actor for row in rows})),
        addresses=tuple(sorted({row.client_ip for row in rows if row.client_ip})),
        first_at=min(row.occurred_at for row in rows),
        last_at=max(row.occurred_at for row in rows),
        attack=tuple(sorted({number for each in findings for number in each.attack})),
        findings=tuple(findings),
        links=(),
        exposure=seen,
        next_steps=(),
        assessment=rich_assessment() if assessed else None,
    )


def document(*cases, others=(), matrix=(), simulated=False):
    """A document with these cases; `others` are records that a notice or the overall exposure cites."""
    blank = empty_document("found")
    rows = {row.event_id: row for row in others}
    everything = exposure("all", [read(row) for row in others if row.mailbox])
    return replace(
        blank,
        simulated=simulated,
        cases=tuple(cases),
        cited=rows,
        exposure=everything,
        coverage=replace(blank.coverage, tenants=(TENANT,), last_at=BEGIN + dt.timedelta(days=30)),
        activity=Activity(days=(), hours=(), matrix=tuple(matrix)),
        detectors=(
            DetectorState(
                detector_id="token.provenance",
                title=phrase("Mail read with a token that no sign-in explains"),
                state="fired",
                reason=None,
                findings=1,
            ),
        ),
    )


def with_rows(made, *rows):
    """The document with the records of its cases, which a document always cites."""
    return replace(made, cited={**made.cited, **{row.event_id: row for row in rows}})


def cell(client, *, in_case):
    return MatrixCell(mailbox=OTHER, actor=OTHER, client=client, accesses=1, messages=1, in_case=in_case)


def simple(*, simulated=False, **record_fields):
    """One case of three records from the intruder's address."""
    rows = [record(number, minutes=number, client=AGENT, app=EVIL_APP, **record_fields) for number in range(1, 4)]
    return with_rows(document(case(rows), simulated=simulated), *rows)

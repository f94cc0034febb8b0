"""`brokenseal notify`: plan, approve and send notices to victims, and see who knows; and the deadlines of the law."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenseal.cli._notify_input import (
    Tls,
    approvers_of,
    date_of,
    documents_of,
    first_line,
    given,
    indicated_of,
    ledger_of,
    moment_of,
    plan_of,
    relay_of,
    signer_of,
    time_of,
)
from brokenseal.cli.options import AsJson, Exit, Lang, Language
from brokenseal.cli.output import emit, note, now, write
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from brokenseal.notices.carriers import Carrier

notify_app = typer.Typer(
    name="notify",
    help="Tell victims what was read: plan, approve, send once, and see who answered.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


PlanFile = Annotated[Path, typer.Option("--plan", metavar="FILE", help="A plan that `notify plan` wrote.")]
LedgerFile = Annotated[
    Path | None,
    typer.Option("--ledger", metavar="FILE", help="Ledger of sending; default: notices.ledger.jsonl beside the plan."),
]
PlanHash = Annotated[
    str, typer.Option("--hash", metavar="SHA256", help="Hash of the plan, as `notify plan` prints it.")
]
Now = Annotated[
    str | None,
    typer.Option("--now", metavar="TIME", help="Take it that this is the time; ISO 8601, UTC unless it says."),
]
Documents = Annotated[
    list[Path] | None,
    typer.Option("--document", metavar="FILE", help="A report in JSON; may be repeated, one for each store."),
]
Stores = Annotated[
    list[Path] | None,
    typer.Option("--store", metavar="DIR", help="A store; may be repeated, one for each organisation."),
]


@contextlib.contextmanager
def between_letters() -> Iterator[Callable[[], bool]]:
    """The first interrupt or request to end waits until the letter that is going out is written down.

    Yields: Whether somebody asked to stop.
    """
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)
        note("stopping after this letter")
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@notify_app.command()
def plan(
    contacts: Annotated[Path, typer.Option("--contacts", metavar="FILE", help="CSV of contacts; see docs/notices.md.")],
    sender: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="Sender; answers and bounces come back to it.")
    ],
    ask: Annotated[
        str,
        typer.Option("--ask", metavar="TEXT", help="How readers reach a person otherwise, such as a telephone number."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the plan goes.")],
    document: Documents = None,
    store: Stores = None,
    sender_name: Annotated[str, typer.Option("--from-name", metavar="NAME", help="Who tells, as readers see it.")] = "",
    case: Annotated[
        list[str] | None, typer.Option("--case", metavar="ID", help="Only this case; may be repeated.")
    ] = None,
    indicators: Annotated[
        Path | None,
        typer.Option("--indicators", metavar="FILE", help="CSV of what is known from elsewhere; see docs/notices.md."),
    ] = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="How it is known, as readers see it; with --indicators.")
    ] = "",
    because_fr: Annotated[str, typer.Option("--because-fr", metavar="TEXT", help="The same in French.")] = "",
    directory: Annotated[
        Path | None,
        typer.Option("--directory", metavar="FILE", help="CSV of the tenant's users: owners that the list lacks."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Key of the reply codes; default: notices.key beside the plan."),
    ] = None,
    approvals: Annotated[
        int, typer.Option("--approvals", metavar="N", help="People who must approve first.", min=0)
    ] = 0,
    approver: Annotated[
        list[Path] | None,
        typer.Option(
            "--approver", metavar="FILE", help="Ed25519 public key of somebody who may approve, PEM; repeatable."
        ),
    ] = None,
    escalate_days: Annotated[
        int,
        typer.Option("--escalate-days", metavar="N", help="Days of silence before the next contact.", min=1, max=90),
    ] = 3,
    round_no: Annotated[
        int, typer.Option("--round", metavar="N", help="2 and more: a further notice to the same victims.", min=1)
    ] = 1,
    show: Annotated[bool, typer.Option("--show", help="Print every letter in full.")] = False,
    at: Now = None,
    as_json: AsJson = False,
) -> None:
    """Work out who is to be told what. Nothing is sent; the plan's hash is printed."""
    from brokenseal.notices.codes import read_key
    from brokenseal.notices.contacts import read_contacts, smtp_address
    from brokenseal.notices.directory import read_directory
    from brokenseal.notices.indicated_shares import mailboxes_of
    from brokenseal.notices.plan import PlanSettings, only_cases, plan_hash, plan_notices, plan_to_json
    from brokenseal.notices.screens import plan_summary, plan_text
    from brokenseal.notices.shares import victims_of
    from brokenseal.notices.values import Sender
    from brokenseal.reports._escape import visible

    moment = moment_of(at)
    documents = only_cases(documents_of(document, store), case or ())
    parties = read_contacts(contacts, now=moment)
    indicated = indicated_of(indicators, because, documents, store, parties)
    if directory is not None:
        read = {mailbox for each in documents for mailbox in victims_of(each)}
        read |= {mailbox for each in indicated for mailbox in mailboxes_of(each)}
        parties = (*parties, *read_directory(directory, read, parties))
    address = smtp_address(sender, place="--from")
    settings = PlanSettings(
        sender=Sender(name=visible(sender_name) or address, address=address, ask=visible(ask)),
        key=read_key(key or output.with_name("notices.key")),
        made_at=moment,
        approvals=approvals,
        approvers=approvers_of(approver or (), approvals),
        escalate_days=escalate_days,
        round=round_no,
        because={"en": visible(because), "fr": visible(because_fr)},
    )
    made = plan_notices(documents, parties, settings, indicated)
    write(output, plan_to_json(made))
    # It holds what every victim is told.
    output.chmod(0o600)
    if as_json:
        emit(plan_summary(made))
    else:
        print(plan_text(made, in_full=show), end="")
    note(f"{output}: {len(made.notices)} notice(s) planned, nothing sent; hash {plan_hash(made)}")
    if any(line.reason in {"no_contact", "no_holder", "no_logs"} for line in made.not_told):
        raise typer.Exit(Exit.INCOMPLETE)


@notify_app.command()
def approve(
    plan_file: PlanFile,
    plan_hash: PlanHash,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="Who approves.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Your Ed25519 private key, PEM, where the plan wants one."),
    ] = None,
    key_password_file: Annotated[
        Path | None, typer.Option("--key-password-file", metavar="FILE", help="File whose first line opens the key.")
    ] = None,
    ledger: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """Approve a plan in your name; the ledger keeps it."""
    from brokenseal.notices.approvals import approvers, sign
    from brokenseal.notices.sending_ledger import opened

    chosen = plan_of(plan_file, plan_hash)
    who = " ".join(name.split())
    if not who:
        raise UsageError(place="--as", value=name, expected="a name")
    if (key is None) != (not chosen.approvers):
        raise UsageError(
            place="--key", value=key, expected="--key where the plan names keys (--approver), and only there"
        )
    password = None if key_password_file is None else first_line(key_password_file)
    signature = "" if key is None else sign(chosen, key, password)
    with opened(ledger_of(plan_file, ledger)) as lines:
        before = approvers(chosen, lines.entries)
        if (signature and any(entry.source == signature for entry in lines.entries)) or who.casefold() in before:
            raise UsageError(place="--as", value=who, expected="somebody who has not approved this plan yet")
        lines.append("approved", at=now(), plan=plan_hash.lower(), detail=who, source=signature)
        names = approvers(chosen, lines.entries)
    if as_json:
        emit({"approvals": len(names), "needed": chosen.approvals, "approvers": list(names)})
    note(f"{len(names)} of {chosen.approvals} approval(s): {', '.join(names)}")


@notify_app.command()
def send(
    plan_file: PlanFile,
    plan_hash: PlanHash,
    really: Annotated[bool, typer.Option("--really", help="Send. Without it, only say what would be sent.")] = False,
    smtp: Annotated[str | None, typer.Option("--smtp", metavar="HOST:PORT", help="SMTP relay.")] = None,
    tls: Annotated[
        Tls, typer.Option("--tls", help="Protection of the connection; none only to this machine.")
    ] = Tls.STARTTLS,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Login at the relay.")] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="File whose first line is the password.")
    ] = None,
    authorities: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Authorities to trust, PEM; default: the system's.")
    ] = None,
    eml: Annotated[Path | None, typer.Option("--eml", metavar="DIR", help="Write .eml files here instead.")] = None,
    sign_certificate: Annotated[
        Path | None, typer.Option("--sign-cert", metavar="FILE", help="S/MIME certificate to sign with, PEM.")
    ] = None,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", metavar="FILE", help="Its private key, PEM.")] = None,
    sign_password_file: Annotated[
        Path | None, typer.Option("--sign-password-file", metavar="FILE", help="File whose first line opens the key.")
    ] = None,
    escalate: Annotated[
        bool, typer.Option("--escalate", help="Also write to the next contact where nobody answered in time.")
    ] = False,
    resend: Annotated[
        list[str] | None,
        typer.Option(
            "--resend-uncertain", metavar="MESSAGE_ID", help="Send this uncertain letter again; may be repeated."
        ),
    ] = None,
    ledger: LedgerFile = None,
    at: Now = None,
    as_json: AsJson = False,
) -> None:
    """Send what is due, each letter once; run it again after any stop."""
    from brokenseal.notices.carriers import FolderCarrier, SmtpCarrier
    from brokenseal.notices.screens import due_text, sent_text
    from brokenseal.notices.sending import send as send_letters
    from brokenseal.notices.sending_ledger import opened, read_entries

    chosen = plan_of(plan_file, plan_hash)
    place = ledger_of(plan_file, ledger)
    if (smtp is None) == (eml is None):
        raise UsageError(place="notify send", value=None, expected="either --smtp HOST:PORT or --eml DIR")
    relay = None if smtp is None else relay_of(smtp, tls, user, password_file, authorities)
    signer = signer_of(sign_certificate, sign_key, sign_password_file, at)
    if not really:
        print(due_text(chosen, read_entries(place), now=moment_of(at), escalate=escalate), end="")
        note("nothing was sent: --really is missing")
        return
    with opened(place) as lines, between_letters() as is_stopped, contextlib.ExitStack() as stack:
        carrier: Carrier = FolderCarrier(eml) if eml is not None else stack.enter_context(SmtpCarrier(given(relay)))
        done = send_letters(
            chosen,
            lines,
            carrier,
            taken="sent" if eml is None else "written",
            now=lambda: moment_of(at),
            signer=signer,
            escalate=escalate,
            resend=resend or (),
            is_stopped=is_stopped,
        )
    if as_json:
        emit(done)
    else:
        print(sent_text(chosen, done), end="")
    if done.stopped is not None:
        note(f"stopped: {done.stopped}")
    if done.stopped is not None or done.not_sent or done.uncertain:
        raise typer.Exit(Exit.INCOMPLETE)


@notify_app.command()
def status(
    plan_file: PlanFile,
    read: Annotated[
        list[Path] | None,
        typer.Option("--read", metavar="PLACE", help="Answers and bounces: a mail, a folder of mails or a Maildir."),
    ] = None,
    ledger: LedgerFile = None,
    at: Now = None,
    as_json: AsJson = False,
) -> None:
    """Say who was told, who answered, what came back, and who stays silent."""
    from brokenseal.notices.replies import take_answers
    from brokenseal.notices.screens import status_summary, status_text
    from brokenseal.notices.sending_ledger import opened, read_entries
    from brokenseal.notices.status import statuses

    chosen = plan_of(plan_file, None)
    place = ledger_of(plan_file, ledger)
    moment = moment_of(at)
    for each in read or ():
        with opened(place) as lines:
            taken = take_answers(chosen, lines, each, now=moment)
        note(
            f"{each}: {taken.mails} mail(s), {taken.answers} with news, {taken.known} known, "
            f"{taken.unrelated} unrelated, {taken.unreadable} unreadable"
        )
    found = statuses(chosen, read_entries(place), moment)
    if as_json:
        emit(status_summary(chosen, found))
    else:
        print(status_text(chosen, found), end="")


@notify_app.command()
def clock(
    document: Annotated[Path | None, typer.Option("--document", metavar="FILE", help="A report in JSON.")] = None,
    store: Annotated[Path | None, typer.Option("--store", metavar="DIR", help="A store.")] = None,
    aware: Annotated[
        str | None,
        typer.Option("--aware", metavar="TIME", help="When you became aware; default: now, which is the latest."),
    ] = None,
    material: Annotated[
        str | None,
        typer.Option("--material", metavar="DATE", help="Day on which it was determined to be material (SEC)."),
    ] = None,
    notified: Annotated[
        str | None,
        typer.Option("--notified", metavar="TIME", help="When the 72-hour notification under NIS2 went out."),
    ] = None,
    at: Now = None,
    lang: Language = Lang.EN,
    as_json: AsJson = False,
) -> None:
    """List the deadlines that the facts may start, with assumptions and sources. Not legal advice."""
    from brokenseal import legal_clock

    (found,) = documents_of([document] if document else None, [store] if store else None)
    facts = legal_clock.facts_of(
        found,
        now=moment_of(at),
        aware_at=None if aware is None else time_of(aware, "--aware"),
        material_on=None if material is None else date_of(material, "--material"),
        notified_at=None if notified is None else time_of(notified, "--notified"),
    )
    listed = legal_clock.deadlines(facts)
    if as_json:
        emit(legal_clock.Clock(facts=facts, deadlines=listed))
    else:
        print(legal_clock.clock_text(facts, listed, lang.value), end="")

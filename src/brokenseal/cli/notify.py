"""`brokenseal notify`: plan, approve and send notices to victims, and see who knows; and the deadlines of the law."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenseal.cli.options import AsJson, Exit, Lang, Language, settings_of
from brokenseal.cli.output import emit, note, now, write
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from brokenseal.model import CaseDocument
    from brokenseal.notices.carriers import Carrier, Relay
    from brokenseal.notices.certificates import SigningKey
    from brokenseal.notices.values import NoticePlan

notify_app = typer.Typer(
    name="notify",
    help="Tell victims what was read: plan, approve, send once, and see who answered.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Tls(StrEnum):
    """How the connection to the relay is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


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
    from brokenseal.notices.plan import PlanSettings, only_cases, plan_hash, plan_notices, plan_to_json
    from brokenseal.notices.screens import plan_summary, plan_text
    from brokenseal.notices.shares import victims_of
    from brokenseal.notices.values import Sender
    from brokenseal.reports._escape import visible

    moment = _moment(at)
    documents = only_cases(_documents(document, store), case or ())
    parties = read_contacts(contacts, now=moment)
    if directory is not None:
        read = {mailbox for each in documents for mailbox in victims_of(each)}
        parties = (*parties, *read_directory(directory, read, parties))
    address = smtp_address(sender, place="--from")
    settings = PlanSettings(
        sender=Sender(name=visible(sender_name) or address, address=address, ask=visible(ask)),
        key=read_key(key or output.with_name("notices.key")),
        made_at=moment,
        approvals=approvals,
        approvers=_approvers(approver or (), approvals),
        escalate_days=escalate_days,
        round=round_no,
    )
    made = plan_notices(documents, parties, settings)
    write(output, plan_to_json(made))
    # It holds what every victim is told.
    output.chmod(0o600)
    if as_json:
        emit(plan_summary(made))
    else:
        print(plan_text(made, in_full=show), end="")
    note(f"{output}: {len(made.notices)} notice(s) planned, nothing sent; hash {plan_hash(made)}")
    if any(line.reason == "no_contact" for line in made.not_told):
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

    chosen = _plan(plan_file, plan_hash)
    who = " ".join(name.split())
    if not who:
        raise UsageError(place="--as", value=name, expected="a name")
    if (key is None) != (not chosen.approvers):
        raise UsageError(
            place="--key", value=key, expected="--key where the plan names keys (--approver), and only there"
        )
    password = None if key_password_file is None else _first_line(key_password_file)
    signature = "" if key is None else sign(chosen, key, password)
    with opened(_ledger(plan_file, ledger)) as lines:
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

    chosen = _plan(plan_file, plan_hash)
    place = _ledger(plan_file, ledger)
    if (smtp is None) == (eml is None):
        raise UsageError(place="notify send", value=None, expected="either --smtp HOST:PORT or --eml DIR")
    relay = None if smtp is None else _relay(smtp, tls, user, password_file, authorities)
    signer = _signer(sign_certificate, sign_key, sign_password_file, at)
    if not really:
        print(due_text(chosen, read_entries(place), now=_moment(at), escalate=escalate), end="")
        note("nothing was sent: --really is missing")
        return
    with opened(place) as lines, between_letters() as is_stopped, contextlib.ExitStack() as stack:
        carrier: Carrier = FolderCarrier(eml) if eml is not None else stack.enter_context(SmtpCarrier(_given(relay)))
        done = send_letters(
            chosen,
            lines,
            carrier,
            taken="sent" if eml is None else "written",
            now=lambda: _moment(at),
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

    chosen = _plan(plan_file, None)
    place = _ledger(plan_file, ledger)
    moment = _moment(at)
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

    (found,) = _documents([document] if document else None, [store] if store else None)
    facts = legal_clock.facts_of(
        found,
        now=_moment(at),
        aware_at=None if aware is None else _time(aware, "--aware"),
        material_on=None if material is None else _date(material, "--material"),
        notified_at=None if notified is None else _time(notified, "--notified"),
    )
    listed = legal_clock.deadlines(facts)
    if as_json:
        emit(legal_clock.Clock(facts=facts, deadlines=listed))
    else:
        print(legal_clock.clock_text(facts, listed, lang.value), end="")


# ---------------------------------------------------------------- arguments


def _documents(documents: list[Path] | None, stores: list[Path] | None) -> list[CaseDocument]:
    if bool(documents) == bool(stores):
        raise UsageError(place="notify", value=None, expected="either --document FILE or --store DIR")
    if stores:
        from brokenseal import investigate as path
        from brokenseal.store import Store

        return [path.document_of(Store.open(settings_of(each)), tell=note) for each in stores]
    return [_document(each) for each in documents or ()]


def _approvers(paths: Sequence[Path], approvals: int) -> tuple[str, ...]:
    from brokenseal.notices.approvals import read_approver

    keys = tuple(read_approver(path) for path in paths)
    if keys and not 0 < approvals <= len(set(keys)):
        raise UsageError(
            place="--approvals", value=approvals, expected=f"1 to {len(set(keys))}, the number of --approver"
        )
    return keys


def _document(path: Path) -> CaseDocument:
    import msgspec

    from brokenseal.reports.json_document import document_from_json

    try:
        return document_from_json(path.read_bytes())
    except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise UsageError(place=f"--document {path}", value=err, expected="a report in JSON") from err


def _plan(path: Path, expected: str | None) -> NoticePlan:
    from brokenseal.notices.plan import plan_from_json, plan_hash

    try:
        content = path.read_bytes()
    except OSError as err:
        raise UsageError(place=f"--plan {path}", value=err.strerror or err, expected="a plan that can be read") from err
    found = plan_from_json(content, place=f"--plan {path}")
    if expected is not None and expected.lower() != plan_hash(found):
        raise UsageError(place="--hash", value=expected, expected=f"the hash of this plan, {plan_hash(found)}")
    return found


def _ledger(plan_file: Path, ledger: Path | None) -> Path:
    return ledger or plan_file.with_name("notices.ledger.jsonl")


def _moment(text: str | None) -> dt.datetime:
    return now() if text is None else _time(text, "--now")


def _time(text: str, option: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(place=option, value=text, expected="an ISO 8601 time, e.g. 2026-06-27T09:30:00Z") from err


def _date(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as err:
        raise UsageError(place=option, value=text, expected="a date, e.g. 2026-06-27") from err


def _given(relay: Relay | None) -> Relay:
    assert relay is not None, "either a relay or a folder was asked for"
    return relay


def _relay(text: str, tls: Tls, user: str | None, password_file: Path | None, authorities: Path | None) -> Relay:
    from brokenseal.notices.carriers import Relay, check_relay

    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004
        raise UsageError(place="--smtp", value=text, expected="HOST:PORT, e.g. smtp.contoso.example:587")
    if (user is None) != (password_file is None):
        raise UsageError(place="--user", value=user, expected="--user and --password-file together")
    relay = Relay(
        host=host.strip("[]"),
        port=int(port),
        security=tls.value,
        user=user,
        password=None if password_file is None else _first_line(password_file).decode("utf-8", "surrogateescape"),
        authorities=authorities,
    )
    check_relay(relay)
    return relay


def _first_line(path: Path) -> bytes:
    try:
        return path.read_bytes().splitlines()[0]
    except (OSError, IndexError) as err:
        raise UsageError(place=str(path), value=err, expected="a readable file with a line of text") from err


def _signer(
    certificate: Path | None, key: Path | None, password_file: Path | None, at: str | None
) -> SigningKey | None:
    if (certificate is None) != (key is None):
        raise UsageError(place="--sign-cert", value=certificate, expected="--sign-cert and --sign-key together")
    if certificate is None or key is None:
        return None
    from brokenseal.notices.certificates import signing_key

    password = None if password_file is None else _first_line(password_file)
    return signing_key(certificate, key, password, now=_moment(at))

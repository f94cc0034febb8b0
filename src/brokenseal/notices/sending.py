"""Send what a plan holds, each letter once.

Before a letter's content goes out, `sending` is on disk; after the server took it, `sent` is. Between the two no
program can know whether a kill came before or after the server's answer. A letter that is found there is *uncertain*:
it is reported, and goes again only if somebody says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.errors import UsageError
from brokenseal.notices.approvals import approvers
from brokenseal.notices.carriers import NotTaken, RelayFailed, Unclear
from brokenseal.notices.mail import mail_bytes
from brokenseal.notices.plan import plan_hash
from brokenseal.notices.status import due_letters, letter_states

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping

    from brokenseal.notices.carriers import Carrier
    from brokenseal.notices.certificates import SigningKey
    from brokenseal.notices.sending_ledger import Event, SendingLedger
    from brokenseal.notices.status import LetterStatus
    from brokenseal.notices.values import Letter, NoticePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one run did.

    Attributes:
        sent: Letters that were taken, by Message-ID.
        not_sent: Letters that were certainly not, with what the server said.
        uncertain: Letters of which nobody can tell, from this run and earlier ones.
        stopped: Why the run ended before its last letter; None where it did not.
    """

    sent: tuple[str, ...]
    not_sent: tuple[tuple[str, str], ...]
    uncertain: tuple[str, ...]
    stopped: str | None


def send(
    plan: NoticePlan,
    ledger: SendingLedger,
    carrier: Carrier,
    *,
    taken: Event,
    now: Callable[[], dt.datetime],
    signer: SigningKey | None = None,
    escalate: bool = False,
    resend: Collection[str] = (),
    is_stopped: Callable[[], bool] = lambda: False,
) -> Sent:
    """Send every letter that is due.

    Args:
        plan: Its hash was checked by whoever read it.
        ledger: Open and locked.
        carrier: How letters leave.
        taken: What the ledger says of a letter that the carrier took: sent or written.
        now: The clock.
        signer: For S/MIME signatures.
        escalate: Also the next letter of each notice that stayed unanswered, or came back.
        resend: Message-IDs of uncertain letters that go again.
        is_stopped: Asked before each letter; a stop between two letters leaves none uncertain.

    Raises:
        UsageError: Approvals are missing, or a letter that is to go again is not uncertain.
    """
    _approved(plan, ledger)
    name = plan_hash(plan)
    _decided(resend, letter_states(plan, ledger.entries), ledger, at=now(), name=name)
    sent, not_sent, stopped = [], [], None
    for notice, letter in due_letters(plan, ledger.entries, now=now(), escalate=escalate):
        if is_stopped():
            stopped = "asked to stop; run the same command again to go on"
            break
        mail = mail_bytes(letter, notice, plan.sender, at=now(), signer=signer)
        try:
            reply = _deliver(plan, name, letter, mail, ledger, carrier, now=now)
        except NotTaken as err:
            ledger.append(
                "refused" if err.is_final else "not_sent", at=now(), letter=letter.id, plan=name, detail=err.reason
            )
            not_sent.append((letter.id, err.reason))
        except Unclear as err:
            ledger.append("uncertain", at=now(), letter=letter.id, plan=name, detail=str(err))
        except RelayFailed as err:
            stopped = str(err)
            break
        else:
            ledger.append(taken, at=now(), letter=letter.id, plan=name, detail=reply)
            sent.append(letter.id)
    final = letter_states(plan, ledger.entries)
    return Sent(
        sent=tuple(sent),
        not_sent=tuple(not_sent),
        uncertain=tuple(sorted(letter for letter, found in final.items() if found.state == "uncertain")),
        stopped=stopped,
    )


def _decided(
    resend: Collection[str], states: Mapping[str, LetterStatus], ledger: SendingLedger, *, at: dt.datetime, name: str
) -> None:
    """Write down which uncertain letters go again."""
    wrong = sorted(letter for letter in resend if letter not in states or states[letter].state != "uncertain")
    if wrong:
        raise UsageError(place="--resend-uncertain", value=", ".join(wrong), expected="letters that are uncertain")
    for letter_id in sorted(resend):
        ledger.append("resend", at=at, letter=letter_id, plan=name)


def _deliver(
    plan: NoticePlan,
    name: str,
    letter: Letter,
    mail: bytes,
    ledger: SendingLedger,
    carrier: Carrier,
    *,
    now: Callable[[], dt.datetime],
) -> str:
    def announce() -> None:
        ledger.append("sending", at=now(), letter=letter.id, plan=name, detail=letter.contact.address)

    return carrier.deliver(
        sender=plan.sender.address,
        recipient=letter.contact.address,
        mail=mail,
        mark=envelope_mark(letter.id),
        before=announce,
    )


def envelope_mark(letter_id: str) -> str:
    """The envelope id of a letter: the part of its Message-ID before the at sign, which is hexadecimal."""
    return letter_id.strip("<>").partition("@")[0]


def _approved(plan: NoticePlan, ledger: SendingLedger) -> None:
    names = approvers(plan, ledger.entries)
    if len(names) < plan.approvals:
        raise UsageError(
            place="approvals",
            value=f"{len(names)} ({', '.join(names)})" if names else "none",
            expected=f"{plan.approvals} different people (brokenseal notify approve)",
        )

"""A small simulated tenant with a story in it, to learn on and to test with.

Everything is generated: people, mail, clients, tokens, five weeks of logs, and what the intruder really read. Whatever
prints of it must say that it is simulated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.demo import administration, daily_life, exchange, exports, identity, intruder, mail, truth
from brokenseal.demo import world as w
from brokenseal.demo.exports import DemoFile
from brokenseal.demo.truth import Truth

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from brokenseal.demo.exchange import Audited
    from brokenseal.demo.identity import SignIn

__all__ = ["DemoFile", "DemoTenant", "Truth", "write_demo"]

SEED = 558
LOST_ISSUANCES = 2
_LOST_ON_DAYS = (8, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTenant:
    """The exports written, with their flaws, and the truth behind them.

    Attributes:
        files: Every input that holds records; the folder also holds a note that all of it is simulated.
        first_at, last_at: First and last moment of the five weeks; sign-ins begin two days earlier.
        duplicate_ids: Records that stand in two files.
        rejected_ids: Records whose cell is cut off.
        unaudited_mailbox: The mailbox without MailItemsAccessed.
        not_delivered: Records that the audit search counted and did not deliver.
    """

    folder: Path
    name: str
    tenant_id: str
    mailboxes: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    files: tuple[DemoFile, ...]
    duplicate_ids: tuple[str, ...]
    rejected_ids: tuple[str, ...]
    unaudited_mailbox: str
    not_delivered: int
    truth: Truth

    @property
    def records(self) -> int:
        """Records in all files, copies and cut ones included."""
        return sum(file.records for file in self.files)


def write_demo(folder: Path, *, seed: int = SEED) -> DemoTenant:
    """Generate the tenant and write its exports into the folder; the same seed gives the same files.

    Raises:
        OSError: The folder cannot be written to.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation that must repeat itself
    world = w.build(rng)
    post = mail.build(rng, world)
    plan = intruder.Intruder(rng, world, post).plan()
    audit = exchange.MailboxAudit(rng, world, identity.TokenService(rng))
    accesses = [*daily_life.DailyLife(rng, world, post).accesses(), *plan.accesses]
    audit.carry_out(accesses)
    forged = _in_hand(audit.tokens, world, plan.rule_at)
    changes = administration.Administration(rng, world).changes(rule_at=plan.rule_at, forged=forged)
    mailbox_records = sorted(audit.records, key=lambda entry: (entry.at, entry.record["Id"]))
    lost = _lost(audit.tokens.sign_ins, mailbox_records)
    sign_ins = [sign_in for sign_in in (*audit.tokens.sign_ins, *plan.failures) if sign_in.request_id not in lost]
    written = exports.write(
        folder,
        world,
        mailbox_records=mailbox_records,
        changes=changes.audit,
        directory=changes.directory,
        sign_ins=sorted(sign_ins, key=lambda sign_in: (sign_in.at, sign_in.request_id)),
        messages=post.messages,
    )
    return DemoTenant(
        folder=folder,
        name=w.NAME,
        tenant_id=world.tenant_id,
        mailboxes=tuple(mailbox.upn for mailbox in world.mailboxes),
        first_at=w.moment(w.START),
        last_at=w.moment(w.END),
        files=written.files,
        duplicate_ids=written.duplicate_ids,
        rejected_ids=written.cut_ids,
        unaudited_mailbox=world.mailbox(w.UNAUDITED).upn,
        not_delivered=exports.NOT_DELIVERED,
        truth=truth.truth_of(world, accesses=accesses, audit=audit, failures=plan.failures, changes=changes, lost=lost),
    )


def _in_hand(tokens: identity.TokenService, world: w.World, at: int) -> identity.Token:
    """The director's forged token at that moment: the rule is made at the end of a visit, so there is one."""
    director = world.person(w.DIRECTOR).object_id
    held = [token for subject, token in tokens.forged if subject == director and token.issued_at <= at]
    return max(held, key=lambda token: token.issued_at)


def _lost(sign_ins: Iterable[SignIn], mailbox_records: Iterable[Audited]) -> tuple[str, ...]:
    """Refreshes of honest browsers in the second week, used for reading, whose sign-in records never arrive."""
    used = {
        entry.record["AppAccessContext"].get("UniqueTokenId")
        for entry in mailbox_records
        if entry.record["Operation"] == exchange.MAIL_ITEMS_ACCESSED
    }
    lost = []
    for day in _LOST_ON_DAYS:
        lost += [
            sign_in.request_id
            for sign_in in sign_ins
            if sign_in.category == "non_interactive"
            and sign_in.client.kind is identity.OWA
            and w.day_of(sign_in.at) == day
            and identity.token_text(sign_in.request_id) in used
        ][: LOST_ISSUANCES // len(_LOST_ON_DAYS)]
    return tuple(lost)

"""Inbox rules that send mail out of the organisation or keep it out of its owner's sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import NAMES, WHO, addressed, done, mailbox_of
from brokenseal.detectors._hits import as_hits
from brokenseal.detectors._text import has, holds_any, joined, odd_name, some
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "config_changes": (
        *WHO,
        "target_key",
        "grantee_key",
        "rule_name",
        "rule_effects",
        "rule_conditions",
        "external_destinations",
    ),
    "events": NAMES,
}

TELLING_WORDS = (
    "password", "passwd", "invoice", "payment", "wire transfer", "iban", "remittance", "payroll", "bank detail",
    "phish", "hack", "fraud", "scam", "suspicious", "unusual sign", "security alert", "compromis", "malware", "virus",
    "verification code", "one-time", "docusign", "helpdesk", "help desk",
    "facture", "paiement", "virement", "mot de passe", "rechnung", "passwort", "factura", "contraseña",
)  # fmt: skip
"""Words that rules of intruders look for: money, passwords, and warnings about the intrusion itself."""


def find(tables: Tables) -> ir.Table:
    """Rules made or changed, by mailbox; see `DETECTOR.variants` for what each means."""
    rules = addressed(done(tables, READS, "inbox_rule"), "target_key", tables, READS)
    hides = has(rules.rule_effects, "delete", "move", "mark_read")
    buries = has(rules.rule_effects, "delete") | (
        has(rules.rule_effects, "move") & has(rules.rule_effects, "mark_read")
    )
    variant = ibis.cases(
        (has(rules.rule_effects, "forward", "redirect") & some(rules.external_destinations), "sends_outside"),
        (hides & odd_name(rules.rule_name), "hides_under_odd_name"),
        (buries & holds_any(joined(rules.rule_conditions), TELLING_WORDS), "hides_telling_words"),
        (has(rules.rule_effects, "delete") & ~some(rules.rule_conditions), "deletes_broadly"),
        else_=None,
    )
    rules = rules.mutate(variant=variant).filter(variant.notnull())
    return as_hits(
        rules,
        group_key=mailbox_of(rules),
        variant=rules.variant,
        role="rule",
        about=rules.rule_name,
        mailbox=mailbox_of(rules),
    )


_SETTLES = phrase(
    "Ask the owner whether the rule is theirs, and look at the sign-in from which it was made. "
    "Export the mailbox's rules before removing any."
)
_HIDDEN = ("T1564.008",)

DETECTOR = Detector(
    id="config.hidden_inbox_rule",
    title=phrase("Inbox rules that forward or hide mail"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "sends_outside": Variant(
            title=phrase("An inbox rule in {mailboxes} sends mail out of the organisation (rule: {objects})"),
            severity=Severity.HIGH,
            attack=("T1114.003",),
            innocent=phrase(
                "People forward their own mail to a private address, often against the rules of the house."
            ),
            settles=_SETTLES,
        ),
        "hides_under_odd_name": Variant(
            title=phrase("An inbox rule with a name that says nothing hides mail in {mailboxes} (rule: {objects})"),
            severity=Severity.HIGH,
            attack=_HIDDEN,
            innocent=phrase("Some mail programs and hurried people give rules a name of one character."),
            settles=_SETTLES,
        ),
        "hides_telling_words": Variant(
            title=phrase(
                "An inbox rule in {mailboxes} hides mail about money, passwords or warnings (rule: {objects})"
            ),
            severity=Severity.HIGH,
            attack=_HIDDEN,
            innocent=phrase("Accounting and support staff sort such mail by rule; few of them delete it unread."),
            settles=_SETTLES,
        ),
        "deletes_broadly": Variant(
            title=phrase("An inbox rule in {mailboxes} deletes mail and names no word or sender (rule: {objects})"),
            severity=Severity.LOW,
            attack=_HIDDEN,
            innocent=phrase("Owners tidy up with broad rules, such as one for all meeting invitations."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)

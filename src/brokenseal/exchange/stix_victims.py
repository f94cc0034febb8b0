"""Victims in a bundle: an unnamed organisation under the profile `default`, the whole of it under `victim`."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from brokenseal.exchange.stix_objects import Stix, is_mail_address, moment, observable

if TYPE_CHECKING:
    from brokenseal.exchange.shared import SharedCase, VictimMessage
    from brokenseal.exchange.stix_bundle import Writer

TENANT: Final = "entra-tenant"
SESSION: Final = "entra-session"
TOKEN: Final = "entra-unique-token-identifier"  # noqa: S105 - the name of an identifier
MESSAGE: Final = "internet-message-id"
_CASE: Final = "brokenseal-case"
_SINCE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_MOST: Final = 999_999_999


def victim_identities(writer: Writer) -> tuple[str, ...]:
    """Add the organisations that it happened to, and give their ids."""
    victims = writer.shared.victims
    if victims is None or not victims.tenants:
        unnamed = writer.add(
            "identity",
            ("victim",),
            _SINCE,
            labels=("victim",),
            name=writer.named("An organisation that is not named"),
            identity_class="organization",
        )
        return (unnamed,)
    return tuple(
        writer.add(
            "identity",
            ("victim", tenant),
            _SINCE,
            labels=("victim",),
            name=writer.named(f"Tenant {tenant}"),
            identity_class="organization",
            external_references=[{"source_name": TENANT, "external_id": tenant}],
        )
        for tenant in victims.tenants
    )


def victim_data(writer: Writer) -> None:
    """Add mailboxes, accounts, messages, sessions and tokens, where the profile has them."""
    victims = writer.shared.victims
    if victims is None:
        return
    cases = {case.id: case for case in writer.shared.cases}
    read: dict[tuple[str, str], list[VictimMessage]] = defaultdict(list)
    for message in victims.messages:
        read[message.case, message.mailbox].append(message)
    for case_id, mailbox in victims.mailboxes:
        messages = read.get((case_id, mailbox), [])
        told = [message for message in messages if _is_told(message)]
        seen = [_address(writer, mailbox), *(_message(writer, message) for message in told)]
        bare = [message.internet_message_id for message in messages if not _is_told(message)]
        _observed(writer, cases[case_id], "mailbox", mailbox, seen, bare)
    for case_id, account in victims.accounts:
        _observed(
            writer,
            cases[case_id],
            "account",
            account,
            [writer.observe(observable("user-account", {"account_login": account}))],
            [],
        )
    references = [
        *({"source_name": SESSION, "external_id": value} for value in victims.sessions),
        *({"source_name": TOKEN, "external_id": value} for value in victims.tokens),
    ]
    if references:
        writer.add(
            "note",
            ("sessions and tokens",),
            min(case.first_at for case in writer.shared.cases),
            abstract=writer.named("Sessions and tokens"),
            content="Identifiers of the sessions and tokens, to be looked up in the logs of the identity provider.",
            object_refs=[writer.producer_id],
            external_references=references,
        )


def _is_told(message: VictimMessage) -> bool:
    """Whether the logs tell more of a message than its id: STIX knows no message without a subject or a sender."""
    return message.subject is not None or message.sender is not None


def _observed(writer: Writer, case: SharedCase, label: str, name: str, seen: list[str], bare: list[str]) -> None:
    writer.add(
        "observed-data",
        (case.id, label, name),
        case.first_at,
        labels=(label,),
        first_observed=moment(case.first_at),
        last_observed=moment(case.last_at),
        number_observed=min(max(len(seen) - 1 + len(bare), 1), _MOST),
        object_refs=seen,
        external_references=[
            {"source_name": _CASE, "external_id": case.id},
            *({"source_name": MESSAGE, "external_id": value} for value in bare),
        ],
    )


def _address(writer: Writer, value: str) -> str:
    """A mail address, or an account where the log names a mailbox in another way."""
    if is_mail_address(value):
        return writer.observe(observable("email-addr", {"value": value}))
    return writer.observe(observable("user-account", {"account_login": value}))


def _message(writer: Writer, message: VictimMessage) -> str:
    contributing: Stix = {}
    if message.sender is not None:
        contributing["from_ref"] = _address(writer, message.sender)
    if message.subject is not None:
        contributing["subject"] = message.subject
    if message.recipients:
        contributing["to_refs"] = [_address(writer, name) for name in message.recipients]
    apart = (message.case, message.mailbox, message.internet_message_id)
    return writer.observe(
        observable(
            "email-message", contributing, beside=apart, is_multipart=False, message_id=message.internet_message_id
        )
    )

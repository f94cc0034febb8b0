"""What really happened in the sample tenant: no real case ever tells this, and tests lean on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.demo import identity, intruder
from brokenseal.demo import world as w

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from brokenseal.demo.administration import Changes
    from brokenseal.demo.exchange import Access, Audited, MailboxAudit
    from brokenseal.demo.identity import SignIn
    from brokenseal.demo.world import World

Messages = frozenset[tuple[str, str]]
"""Messages as (mailbox, internet message id)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Event ids are as `schema.EVENT_ID` has them, sorted.

    Attributes:
        victims: Mailboxes that the espionage read, sorted.
        addresses: Addresses of the espionage.
        session_ids: Sessions that no sign-in began.
        token_ids: Forged tokens that mail records carry, as GUIDs.
        access_ids: MailItemsAccessed records of the espionage.
        listed: Messages that those records list: what can be known for certain.
        read: Messages really read, with those that auditing no longer wrote down.
        synced_folder: Mailbox and folder that went to the intruder's Outlook.
        throttled_at: Mailbox whose bind auditing stopped, and when.
        rule_id: The hidden inbox rule.
        consent_ids: Records of the consent to the application.
        consented_app_id: That application.
        app_access_ids: Its MailItemsAccessed records, the two that an export cut off among them.
        app_listed: Messages that those list; what the cut ones list, no reader of the export can know.
        spray_address: Where the password spray came from.
        spray_ids: Its failed sign-ins, in both logs.
        lost_token_ids: Honest tokens that were used and whose issue no log shows.
    """

    victims: tuple[str, ...]
    addresses: tuple[str, ...]
    session_ids: tuple[str, ...]
    token_ids: tuple[str, ...]
    access_ids: tuple[str, ...]
    listed: Messages
    read: Messages
    synced_folder: tuple[str, str]
    throttled_at: tuple[str, dt.datetime]
    rule_id: str
    consent_ids: tuple[str, ...]
    consented_app_id: str
    app_access_ids: tuple[str, ...]
    app_listed: Messages
    spray_address: str
    spray_ids: tuple[str, ...]
    lost_token_ids: tuple[str, ...]


def truth_of(
    world: World,
    *,
    accesses: Iterable[Access],
    audit: MailboxAudit,
    failures: Sequence[SignIn],
    changes: Changes,
    lost: Collection[str],
) -> Truth:
    """Read the truth off the plan and what came of it."""
    forged = [entry for entry in audit.records if entry.client is not None and entry.client.is_forged]
    by_app = [entry for entry in audit.records if entry.client is not None and entry.client.kind is identity.ARCHIVER]
    used = {entry.record["AppAccessContext"].get("UniqueTokenId") for entry in forged}
    forged_tokens = [token for _, token in audit.tokens.forged]
    ((throttled_mailbox, throttled_at),) = audit.throttled
    synced = next(entry.record for entry in forged if "Item" in entry.record)
    spray_ids = [sign_in.request_id for sign_in in failures]
    return Truth(
        victims=tuple(sorted(world.mailbox(alias).upn for alias in intruder.VICTIMS)),
        addresses=intruder.EXITS,
        session_ids=tuple(sorted({token.session_id for token in forged_tokens})),
        token_ids=tuple(sorted(token.token_id for token in forged_tokens if token.uti in used)),
        access_ids=_ids(forged),
        listed=_listed(forged),
        read=frozenset(
            (access.mailbox.upn, access.message.internet_message_id)
            for access in accesses
            if access.client.is_forged and access.mailbox and access.message
        ),
        synced_folder=(synced["MailboxOwnerUPN"], synced["Item"]["ParentFolder"]["Path"]),
        throttled_at=(throttled_mailbox, w.moment(throttled_at)),
        rule_id=changes.rule_id,
        consent_ids=changes.consent_ids,
        consented_app_id=identity.ARCHIVER_APP,
        app_access_ids=_ids(by_app),
        app_listed=_listed(by_app),
        spray_address=intruder.SPRAY_ADDRESS,
        spray_ids=tuple(sorted([*spray_ids, *(f"signin:{request_id}" for request_id in spray_ids)])),
        lost_token_ids=tuple(sorted(lost)),
    )


def _ids(entries: Iterable[Audited]) -> tuple[str, ...]:
    return tuple(sorted(entry.record["Id"] for entry in entries))


def _listed(entries: Iterable[Audited]) -> Messages:
    return frozenset(
        (entry.record["MailboxOwnerUPN"], item["InternetMessageId"])
        for entry in entries
        for folder in entry.record.get("Folders", ())
        for item in folder["FolderItems"]
    )

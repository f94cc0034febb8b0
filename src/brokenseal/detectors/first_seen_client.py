"""Clients that read a mailbox and were never seen before, neither there nor anywhere in the tenant.

There is no list of Microsoft applications that are let pass: the intruders of 2023 came through Microsoft's own
clients (CISA and FBI, AA23-193A). Background services are told apart by what they do, and are still named once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._hits import DAY_S, as_hits, rows_of
from brokenseal.model import Detector, Limit, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "mail_accesses": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "mailbox_key",
        "mailbox_upn",
        "actor_key",
        "user_type",
        "logon_type",
        "client_ip",
        "ip_class",
        "session_id",
        "protocol",
        "effective_app",
    )
}

HISTORY_DAYS = 14
"""Cold start: nothing is called new before a mailbox and the tenant have this much history of mail accesses."""
WAVE_DAYS = 7
"""A client that reaches further mailboxes within this time is one wave; its reads of that time are cited."""

_BACKGROUND_USER_TYPES = (3, 4, 5, 6)
_BACKGROUND_LOGON_TYPES = (3, 4)


def client_accesses(tables: Tables) -> ir.Table:
    """Mail accesses whose client is known, with when each of tenant, client, mailbox and pair was first seen.

    Returns: The declared columns with `client` (string, `effective_app|protocol`), `is_background` (boolean) and the
        times `tenant_start`, `client_start`, `mailbox_start`, `pair_start`.
    """
    accesses = rows_of(tables, READS, "mail_accesses")
    accesses = accesses.filter(accesses.mailbox_key.notnull())
    accesses = accesses.mutate(
        tenant_key=accesses.tenant_id.fill_null(""),
        client=accesses.effective_app.concat("|", accesses.protocol.fill_null("other")),
        is_background=(accesses.ip_class == "microsoft").fill_null(ibis.literal(value=False))
        & (
            (accesses.protocol == "rest_system").fill_null(ibis.literal(value=False))
            | accesses.user_type.isin(_BACKGROUND_USER_TYPES).fill_null(ibis.literal(value=False))
            | accesses.logon_type.isin(_BACKGROUND_LOGON_TYPES).fill_null(ibis.literal(value=False))
        ),
    )

    # The starts hang on pairs of mailbox and client, which are few beside the accesses: windows are over those.
    pairs = accesses.group_by("tenant_key", "mailbox_key", "client").aggregate(pair_start=accesses.occurred_at.min())

    def first(*keys: str) -> ir.TimestampValue:
        return pairs.pair_start.min().over(ibis.window(group_by=[pairs[key] for key in keys]))

    pairs = pairs.mutate(
        tenant_start=first("tenant_key"),
        mailbox_start=first("tenant_key", "mailbox_key"),
        client_start=first("tenant_key", "client"),
    )
    return accesses.inner_join(pairs.filter(pairs.client.notnull()), ["tenant_key", "mailbox_key", "client"])


def is_new(accesses: ir.Table) -> ir.BooleanValue:
    """True where the client is new in the tenant and to this mailbox, and both have a history to judge by."""
    return (
        (accesses.client_start.delta(accesses.tenant_start, unit="second") >= HISTORY_DAYS * DAY_S)
        & (accesses.pair_start.delta(accesses.mailbox_start, unit="second") >= HISTORY_DAYS * DAY_S)
        & (accesses.pair_start.delta(accesses.client_start, unit="second") <= WAVE_DAYS * DAY_S)
    )


def find(tables: Tables) -> ir.Table:
    """Reads by clients that are new, by client: first adopters of one client are one finding, not one per mailbox."""
    accesses = client_accesses(tables)
    accesses = accesses.filter(
        is_new(accesses),
        accesses.occurred_at.delta(accesses.pair_start, unit="second") <= WAVE_DAYS * DAY_S,
    )
    return as_hits(
        accesses,
        group_key=accesses.client,
        variant=ibis.ifelse(accesses.is_background, "background", "new_in_tenant"),
        role="read",
        about=accesses.effective_app,
    )


def histories(tables: Tables) -> ir.Table:
    """Each mailbox, and whether its last access lies far enough behind its first for anything to be called new."""
    accesses = rows_of(tables, READS, "mail_accesses")
    spans = (
        accesses.filter(accesses.mailbox_key.notnull())
        .group_by(subject=accesses.mailbox_key)
        .aggregate(first_at=accesses.occurred_at.min(), last_at=accesses.occurred_at.max())
    )
    return spans.select(
        subject=spans.subject,
        assessable=spans.last_at.delta(spans.first_at, unit="second") >= HISTORY_DAYS * DAY_S,
    )


DETECTOR = Detector(
    id="mail_access.first_seen_client",
    title=phrase("Clients never seen before that read mail"),
    reads=READS,
    needs=("mail_access",),
    silent_without=("mail_access",),
    variants={
        "new_in_tenant": Variant(
            title=phrase("A client never seen in this organisation read {n_mailboxes} mailbox(es): {subject}"),
            severity=Severity.MEDIUM,
            attack=("T1114.002",),
            innocent=phrase("New programs and services arrive several times a year, and their first day looks so."),
            settles=phrase(
                "Find out who introduced the application, and whether the first users know of it. "
                "Its consent and its sign-ins are in the logs of Entra ID."
            ),
            about="application",
        ),
        "background": Variant(
            title=phrase("A background service never seen before read mail from Microsoft's addresses: {subject}"),
            severity=Severity.LOW,
            attack=("T1114.002",),
            innocent=phrase("Microsoft adds services of its own without notice."),
            settles=phrase("Look the application's id up in your tenant and see who owns it."),
            about="application",
            is_notice=True,
        ),
    },
    find=find,
    limit=Limit(
        subjects=histories,
        reason=phrase(
            "{n} of {total} mailbox(es) have less than 14 days between their first and last record, "
            "so that no client of theirs can be called new."
        ),
    ),
)

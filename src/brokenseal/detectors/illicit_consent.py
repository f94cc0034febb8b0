"""Applications that were allowed to read mail, by consent or by role."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import as_hits, together
from brokenseal.detectors._text import holds_any, imitates_brand, joined
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "config_changes": (*WHO, "rights", "changed_app_id", "changed_app_name", "is_admin_consent"),
}

COMPANION_S = 60
"""The grant records of one consent are written within seconds of it."""

_MAIL = ("mail.read", "mail.readwrite", "mail.send", "full_access_as_app", "ews.accessas", "imap.access", "pop.access")
# The service that is read, never the application that reads (Microsoft first-party application ids).
_RESOURCES = (
    "00000003-0000-0000-c000-000000000000",
    "00000002-0000-0ff1-ce00-000000000000",
    "00000002-0000-0000-c000-000000000000",
)


_RANKED = ("look_alike", "app_role", "user_consent", "admin_consent")


def mail_grants(tables: Tables) -> ir.Table:
    """Consents, grants and roles that open mail, each with its application.

    Returns: The change's columns with `known_app` (the application's id, null where the record names none), `app`
        (the id, else the name, else the actor), `variant` (the gravest of the application's) and `role`.
    """
    changes = done(tables, READS, "consent", "delegated_grant", "app_role_grant")
    changes = changes.filter(holds_any(joined(changes.rights), _MAIL))
    known_app = ibis.ifelse(changes.changed_app_id.isin(_RESOURCES), ibis.null("string"), changes.changed_app_id)
    rank = ibis.cases(
        (imitates_brand(changes.changed_app_name), 0),
        (changes.change == "app_role_grant", 1),
        (~changes.is_admin_consent.fill_null(ibis.literal(value=False)), 2),
        else_=3,
    )
    changes = changes.mutate(
        known_app=known_app,
        app=ibis.coalesce(known_app, changes.changed_app_name, changes.actor_key, changes.event_id),
        rank=rank,
    )
    worst = changes.rank.min().over(ibis.window(group_by=changes.app))
    return changes.mutate(
        variant=ibis.cases(*((worst == number, name) for number, name in enumerate(_RANKED))),
        role=ibis.ifelse(changes.change == "app_role_grant", "role", "consent"),
    )


def find(tables: Tables) -> ir.Table:
    """Consents that open mail, by application, with the grant records written along with them."""
    grants = mail_grants(tables)
    named = grants.filter((grants.change == "consent") | grants.known_app.notnull())
    seeds = named.select(
        seed_actor=named.actor_key,
        seed_at=named.occurred_at,
        seed_app=named.app,
        seed_known=named.known_app,
        seed_name=named.changed_app_name,
        seed_variant=named.variant,
    ).distinct()
    others = done(tables, READS, "delegated_grant", "user_app_grant")
    companions = others.inner_join(
        seeds,
        [
            others.actor_key == seeds.seed_actor,
            others.occurred_at.delta(seeds.seed_at, unit="second").abs() <= COMPANION_S,
            others.changed_app_id.isnull()
            | others.changed_app_id.isin(_RESOURCES)
            | (others.changed_app_id == seeds.seed_known),
        ],
    )
    # A grant that stands alone, because the consent itself is not in the log, still opens mail.
    alone = grants.filter((grants.change == "delegated_grant") & grants.known_app.isnull())
    alone = alone.anti_join(companions, "event_id")
    return together(
        as_hits(named, group_key=named.app, variant=named.variant, role=named.role, about=named.changed_app_name),
        as_hits(
            companions.anti_join(named.select("event_id"), "event_id"),
            group_key=companions.seed_app,
            variant=companions.seed_variant,
            role="grant",
            about=companions.seed_name,
        ),
        as_hits(alone, group_key=alone.app, variant=alone.variant, role="grant"),
    )


_SETTLES = phrase(
    "Look at the application in Entra ID: who owns it, where it sends its users, who else consented. Where nobody "
    "can vouch for it, remove its grants and see under `exposure --app` what it read."
)
_CONSENT = ("T1528",)

DETECTOR = Detector(
    id="config.illicit_consent",
    title=phrase("Applications that were allowed to read mail"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "look_alike": Variant(
            title=phrase("{actors} let the application {objects} read mail; its name imitates Microsoft's ({subject})"),
            severity=Severity.CRITICAL,
            attack=("T1528", "T1036.005"),
            innocent=phrase("A test of the house against phishing may use such a name."),
            settles=_SETTLES,
            about="application",
        ),
        "app_role": Variant(
            title=phrase("{actors} let the application {objects} read mail of every mailbox ({subject})"),
            severity=Severity.HIGH,
            attack=("T1098.003",),
            innocent=phrase("Backup, archive and customer relation systems are given such roles by an administrator."),
            settles=_SETTLES,
            about="application",
        ),
        "user_consent": Variant(
            title=phrase("{actors} let the application {objects} read their mail ({subject})"),
            severity=Severity.HIGH,
            attack=_CONSENT,
            innocent=phrase("People connect calendars, mail programs and other services to their mailbox."),
            settles=_SETTLES,
            about="application",
        ),
        "admin_consent": Variant(
            title=phrase("{actors} let the application {objects} read mail, as an administrator ({subject})"),
            severity=Severity.MEDIUM,
            attack=_CONSENT,
            innocent=phrase("Administrators approve the applications that the house has bought."),
            settles=_SETTLES,
            about="application",
        ),
    },
    find=find,
)

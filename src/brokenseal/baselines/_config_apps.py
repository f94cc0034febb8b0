"""The rules of B12 on applications: roles, consents, credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.baselines._alerts import DAY_S, as_alerts, unite
from brokenseal.baselines._changes_seen import changes_of, settings_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

_NEVER_MORE_THAN = 3
_MAIL_READ = ("\nmail.read", "\nmail.readwrite", "\nmail.read.all")


def app_roles(tables: Tables, full_access: str, mail_read: str) -> ir.Table:
    """Roles with which an application reads every mailbox, given or asked for."""
    rows = changes_of(tables, "app_role_grant", "app_updated", "app_registered", "app_credential")
    asked = settings_of(tables)
    asked = asked.group_by(asked_by="event_id").aggregate(
        full=asked.new_text.contains(full_access).any(), read=asked.new_text.contains(mail_read).any()
    )
    rows = rows.left_join(asked, rows.event_id == asked.asked_by)
    false = ibis.literal(value=False)
    is_grant = rows.change == "app_role_grant"
    full = (is_grant & rows.all_rights.contains("\nfull_access_as_app")) | rows.full.fill_null(false)
    # One right to a line, so that the line's end tells Mail.Read from Mail.ReadWrite.
    read = (is_grant & rows.all_rights.concat("\n").contains("\nmail.read\n")) | rows.read.fill_null(false)
    return unite(
        [
            as_alerts(rows.filter(full), rule="B12-splunk-full-access-as-app", subject=rows.app),
            as_alerts(rows.filter(read), rule="B12-splunk-mail-read-role", subject=rows.app),
        ]
    )


def consents(tables: Tables) -> ir.Table:
    """Consents of users that open mail, and consents for everybody."""
    rows = changes_of(tables, "consent", "delegated_grant")
    false = ibis.literal(value=False)
    is_mine = (rows.change == "consent") & ~rows.is_admin_consent & rows.all_rights.contains("\nmail.")
    return unite(
        [
            as_alerts(rows.filter(is_mine.fill_null(false)), rule="B12-splunk-user-consent", subject=rows.app),
            as_alerts(
                rows.filter(rows.is_admin_consent.fill_null(false)), rule="B12-splunk-tenant-consent", subject=rows.app
            ),
        ]
    )


def credentials(tables: Tables) -> ir.Table:
    """Any certificate or password added; and the first one of an application."""
    rows = changes_of(tables, "app_credential")
    keys = settings_of(tables, "keydescription")
    is_empty = keys.old_text.isin(("", "[]"))
    firsts = keys.filter(is_empty, keys.new_text.contains("verify")).select("event_id").distinct()
    first = rows.semi_join(firsts, "event_id")
    return unite(
        [
            as_alerts(rows, rule="B12-splunk-credential", subject=rows.app),
            as_alerts(first, rule="B12-sentinel-first-credential", subject=first.app),
        ]
    )


def mail_grant_with_consent(tables: Tables, seconds: int) -> ir.Table:
    """A right to read mail, given in one go with a consent."""
    rows = changes_of(tables, "consent", "delegated_grant", "app_role_grant")
    seeds = rows.filter(rows.change == "consent", rows.actor_key.notnull())
    seeds = seeds.select(seed_tenant="tenant", seed_actor="actor_key", seed_at="occurred_at").distinct()
    reads_mail = ibis.literal(value=False)
    for right in _MAIL_READ:
        reads_mail |= rows.all_rights.concat("\n").contains(f"{right}\n")
    grants = rows.filter(rows.change != "consent", reads_mail)
    met = grants.inner_join(seeds, [grants.tenant == seeds.seed_tenant, grants.actor_key == seeds.seed_actor])
    met = met.filter(met.occurred_at.delta(met.seed_at, unit="second").abs() <= seconds)
    return as_alerts(met, rule="B12-sentinel-mail-grant", subject=met.app)


def rare_consent(tables: Tables, days: int) -> ir.Table:
    """Consents by a user, or to an application, that had no more than three in the days before, this one included."""
    rows = changes_of(tables, "consent")

    def is_common(name: str) -> ir.BooleanValue:
        in_order = ibis.window(group_by=[rows.tenant, rows[name]], order_by=[rows.occurred_at, rows.event_id])
        before = rows.occurred_at.lag(_NEVER_MORE_THAN).over(in_order)
        return (rows.occurred_at.delta(before, unit="second") <= days * DAY_S).fill_null(ibis.literal(value=False))

    rows = rows.mutate(common_user=is_common("actor_key"), common_app=is_common("app"))
    rows = rows.filter(~(rows.common_user & rows.common_app))
    return as_alerts(rows, rule="B12-sentinel-rare-consent", subject=rows.app)

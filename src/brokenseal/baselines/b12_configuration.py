"""B12: the rules on changes of configuration that the public rule sets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.baselines import _config_apps as apps
from brokenseal.baselines import _config_exchange as exchange
from brokenseal.baselines._alerts import Baseline, unite
from brokenseal.baselines._changes_seen import READS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables


def alerts(
    tables: Tables,
    *,
    delegation_days: int,
    dedup_minutes: int,
    shared_days: int,
    rare_days: int,
    companion_seconds: int,
    full_access_role: str,
    mail_read_role: str,
    words: Sequence[str],
    operations: Sequence[str],
) -> ir.Table:
    """The alerts of every rule; see `BASELINE.rules`."""
    return unite(
        [
            exchange.delegation(tables, delegation_days),
            exchange.external_forwarding(tables),
            exchange.graded_forwarding(tables, dedup_minutes),
            exchange.elevated_permission(tables),
            exchange.impersonation(tables),
            apps.app_roles(tables, full_access_role, mail_read_role),
            apps.consents(tables),
            apps.credentials(tables),
            apps.mail_grant_with_consent(tables, companion_seconds),
            apps.rare_consent(tables, rare_days),
            exchange.shared_forwarding(tables, shared_days),
            exchange.audit_off(tables),
            exchange.hiding_rule(tables, words),
            exchange.listed_operation(tables, operations),
        ]
    )


BASELINE = Baseline(
    id="B12",
    title="Doors opened by a change of configuration",
    rules={
        "B12-elastic-delegation": "rights on a mailbox given by somebody who gave none in 14 days",
        "B12-elastic-forwarding": "a rule or mailbox that forwards to another domain",
        "B12-panther-forwarding": "the same on mailboxes and new inbox rules, graver where the owner no longer sees it",
        "B12-splunk-full-access": "FullAccess, ChangePermission or ChangeOwner on a mailbox",
        "B12-splunk-impersonation": "the role ApplicationImpersonation",
        "B12-splunk-full-access-as-app": "the application role full_access_as_app",
        "B12-splunk-mail-read-role": "the application role Mail.Read",
        "B12-splunk-user-consent": "a user's consent to rights on mail",
        "B12-splunk-tenant-consent": "a consent for the whole organisation",
        "B12-splunk-credential": "a certificate or password added to an application",
        "B12-sentinel-first-credential": "the first credential of an application",
        "B12-sentinel-mail-grant": "a right to read mail given in one go with a consent",
        "B12-sentinel-rare-consent": "a consent by a user, or to an application, with no more than three in 7 days",
        "B12-sentinel-shared-forward": "mail of several users forwarded to one address within 7 days",
        "B12-sentinel-audit-off": "auditing switched off",
        "B12-sentinel-hiding-rule": "an inbox rule that deletes warnings",
        "B12-sentinel-operation": "any of seven listed operations by a person",
    },
    parameters={
        "delegation_days": 14,
        "dedup_minutes": 60,
        "shared_days": 7,
        "rare_days": 7,
        "companion_seconds": 60,
        "full_access_role": "dc890d15-9560-4a4c-9b7f-a736ec74ec40",
        "mail_read_role": "810c84a8-4a9e-49e6-bf7d-12d183f40d01",
        "words": ("phish", "suspicious", "spam", "hack", "malware", "malicious", "helpdesk", "security alert"),
        "operations": (
            "add-mailboxpermission",
            "add-mailboxfolderpermission",
            "set-mailbox",
            "new-managementroleassignment",
            "new-inboxrule",
            "set-inboxrule",
            "set-transportrule",
        ),
    },
    source="Elastic detection-rules (delegation, forwarding); panther-labs panther-analysis (forwarding); Splunk "
    "security_content (permissions, roles, consents, credentials); Azure-Sentinel (first credential, Mail.Read grant, "
    "rare consent, shared forwarding, audit log off, hiding rule, rare operations)",
    leaves_out="The tables hold no correlation id of changes: a grant belongs to a consent of the same user within 60 "
    "seconds. Words of hiding rules are our own few. Which domains are the organisation's own is known from the actor "
    "and the target alone. Hourly and daily schedules are not imitated: each change fires once.",
    reads=READS,
    alerts=alerts,
)

"""Changes of configuration that open a lasting door: which kind each is, who opened it, and from where.

Who and where are judged by the strict past alone. Only which operator an address belongs to is taken from the sign-ins
of all times, because that is no behaviour.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import with_network
from brokenseal.detectors._changes import NAMES, addressed, done, mailbox_of
from brokenseal.detectors._changes import WHO as WHO_COLUMNS
from brokenseal.detectors._hits import DAY_S, rows_of
from brokenseal.detectors._text import has, holds_any, joined, odd_name, some
from brokenseal.detectors.inbox_rule import TELLING_WORDS

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS: Final = {
    "config_changes": (
        *WHO_COLUMNS,
        "tenant_id",
        "operation_key",
        "object_id",
        "target_key",
        "grantee_key",
        "rights",
        "rule_name",
        "rule_effects",
        "rule_conditions",
        "external_destinations",
        "changed_app_id",
        "changed_app_name",
        "is_admin_consent",
    ),
    "change_settings": ("event_id", "name_key", "new_value", "old_value"),
    "events": (
        "event_id",
        "occurred_at",
        "tenant_id",
        "operation_key",
        "actor_key",
        "mailbox_upn",
        "succeeded",
        "object_id",
        "client_ip",
        "ip_class",
    ),
    "sign_ins": (*CLUSTER_READS["sign_ins"], "app_id", "app_name"),
    "message_traces": ("occurred_at", "sender", "recipient"),
}
_ALIASES: Final = {"events": NAMES, "config_changes": ("target_key", "grantee_key")}

HISTORY_DAYS: Final = 14
"""No network is strange to anybody in logs that reach back less."""
TRACE_DAYS: Final = 7
"""No domain is new in message traces that reach back less."""
COMPANION_S: Final = 60
"""The grant record of a consent is written within seconds of it, and is no second door."""

_CHANGES = (
    "inbox_rule", "transport_rule", "mailbox_forwarding", "mailbox_permission", "recipient_permission",
    "send_on_behalf", "folder_permission", "audit_bypass", "audit_disabled", "mailbox_audit_disabled", "consent",
    "delegated_grant", "app_role_grant", "app_credential", "app_owner", "domain_federation", "role_member",
    "management_role", "strong_auth",
)  # fmt: skip
_MAIL = ("mail.read", "mail.readwrite", "mail.send", "full_access_as_app", "ews.accessas", "imap.access", "pop.access")
_AS_ANYBODY = ("full_access_as_app", "ews.accessasapp")
_READING_RIGHTS = ("owner", "editor", "author", "reviewer", "readany", "fulldetails", "fullaccess")
# Sharing a calendar or contacts is daily work, in whatever language the folder is named.
_DAILY = ("calend", "kalend", "agenda", "contact", "kontakt")
_FEDERATING = ("set domain authentication", "set federation settings on domain", "set-msoldomainfederationsettings")
_POWERFUL = (
    "global administrator", "company administrator", "privileged role administrator",
    "privileged authentication administrator", "authentication administrator", "exchange administrator",
    "exchange service administrator", "user administrator", "user account administrator", "helpdesk administrator",
    "application administrator", "hybrid identity administrator", "security administrator",
    "conditional access administrator", "sharepoint administrator", "sharepoint service administrator",
    "compliance administrator", "domain name administrator", "partner tier2 support",
    "organization management", "mailbox import export", "ediscovery",
)  # fmt: skip
# With these an application can give itself every other role (Microsoft Graph permissions reference).
_POWERFUL_APP_ROLES = (
    "rolemanagement.readwrite.directory", "approleassignment.readwrite.all", "application.readwrite.all",
    "directory.readwrite.all",
)  # fmt: skip
# The service that is read, never the application that reads (Microsoft first-party application ids).
RESOURCES: Final = (
    "00000003-0000-0000-c000-000000000000",
    "00000002-0000-0ff1-ce00-000000000000",
    "00000002-0000-0000-c000-000000000000",
)
_GUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


NAME: Final = "door_openings"
"""Under this name a runner hands `openings` over, worked out once for all who ask."""


def openings_of(tables: Tables) -> ir.Table:
    """`openings`, as the runner has it at hand under `NAME`, else its own expression."""
    found = tables.get(NAME)
    return openings(tables) if found is None else found


def openings(tables: Tables) -> ir.Table:
    """Every change that opens a door, with what is strange about it except its use.

    Returns: event_id, occurred_at, tenant_id, tenant_key, change, kind, actor_key, client_ip, ip_class, session_id,
        network (string, null without an address), object_id, mailbox (string, whose mail it opens; null for kinds
        that open no one mailbox), target_key, grantee_key, known_app, app_name, about (strings), is_wide (boolean, for
        the whole organisation), who, place, goal (levels of `_door_kinds`). Rows are distinct; one event can open
        several doors.
    """
    changes = _kinds(tables)
    changes = addressed(changes, "target_key", tables, _ALIASES)
    changes = addressed(changes, "grantee_key", tables, _ALIASES)
    changes = _without_companions(settled(changes))
    return settled(_with_goal(_with_place(_with_who(_described(changes)), tables), tables).select(*_COLUMNS))


_COLUMNS: Final = (
    "event_id", "occurred_at", "tenant_id", "tenant_key", "change", "kind", "actor_key", "client_ip", "ip_class",
    "session_id", "network", "object_id", "mailbox", "target_key", "grantee_key", "known_app", "app_name", "about",
    "is_wide", "who", "place", "goal",
)  # fmt: skip


def settled(rows: ir.Table) -> ir.Table:
    """The rows, each once, worked out once.

    Conditions that are added later go into the query that they are added to, which would then stand in the final one
    as often as there are different conditions. They do not go past a window.
    """
    numbered = rows.distinct()
    of_record = ibis.window(group_by=numbered.event_id, order_by=numbered.occurred_at)
    return numbered.mutate(settled=ibis.row_number().over(of_record))


def _kinds(tables: Tables) -> ir.Table:
    """The changes that open a door, with `kind`, `tenant_key` and `is_self`."""
    rows = done(tables, READS, *_CHANGES)
    removed = _credentials_removed(tables)
    rows = rows.left_join(removed, rows.event_id == removed.removed_id)
    rights = joined(rows.rights)
    place = rows.target_key.fill_null("").concat(" ", joined(ibis.array([rows.object_id])))
    grantee = rows.grantee_key.fill_null("")
    operation = rows.operation_key.fill_null("")
    sends = (rows.change == "mailbox_forwarding") | has(rows.rule_effects, "forward", "redirect", "bcc")
    is_rule = rows.change.isin(("inbox_rule", "transport_rule", "mailbox_forwarding"))
    is_app_role, is_consent = rows.change == "app_role_grant", rows.change.isin(("consent", "delegated_grant"))
    # Service principals hold directory roles by design. An account is recognised by its address, a group by the
    # prefix that the directory gives its object id.
    to_account = (rows.grantee_key.contains("@") | rows.object_id.startswith("Group_")).fill_null(_no())
    is_role = rows.change.isin(("role_member", "management_role")) & to_account & holds_any(rights, _POWERFUL)
    kind = ibis.cases(
        # A mailbox's own rights on itself, and the groups of the system, are how every mailbox is born.
        (grantee.startswith("nt authority\\") | operation.startswith("remove"), None),
        (operation == "user deleted security info", None),
        (is_rule & sends & some(rows.external_destinations), "forward_out"),
        (_hides(rows), "hiding_rule"),
        ((rows.change == "mailbox_permission") & rights.contains("fullaccess"), "mailbox_right"),
        (rows.change.isin(("recipient_permission", "send_on_behalf")), "mailbox_right"),
        (
            (rows.change == "folder_permission") & holds_any(rights, _READING_RIGHTS) & ~holds_any(place, _DAILY),
            "folder_right",
        ),
        ((rows.change == "management_role") & rights.contains("applicationimpersonation"), "impersonation"),
        (is_app_role & holds_any(rights, _AS_ANYBODY), "impersonation"),
        (is_app_role & holds_any(rights, _MAIL), "app_mail_role"),
        (is_role | (is_app_role & holds_any(rights, _POWERFUL_APP_ROLES)), "role"),
        (is_consent & holds_any(rights, _MAIL), "mail_consent"),
        (is_consent, "other_consent"),
        ((rows.change == "app_credential") & rows.removed_id.isnull(), "credential"),
        (rows.change == "app_owner", "app_owner"),
        ((rows.change == "domain_federation") & operation.isin(_FEDERATING), "federation"),
        (rows.change.isin(("audit_bypass", "audit_disabled", "mailbox_audit_disabled")), "audit_off"),
        (rows.change == "strong_auth", "strong_auth"),
        else_=None,
    )
    # Both names as the record writes them, so that no later record can change the answer.
    own_alias = rows.actor_key.re_extract(r"^([^@]+)@", 1)
    is_self = (rows.grantee_key == rows.actor_key) | ((rows.grantee_key == own_alias) & (own_alias != ""))
    rows = rows.mutate(kind=kind, is_self=is_self.fill_null(_no()))
    rows = rows.filter(rows.kind.notnull(), rows.event_id.notnull(), rows.occurred_at.notnull())
    return rows.select(
        "event_id",
        "occurred_at",
        "tenant_id",
        "change",
        "kind",
        "is_self",
        "actor_key",
        "client_ip",
        "ip_class",
        "session_id",
        "object_id",
        "target_key",
        "grantee_key",
        "external_destinations",
        "changed_app_id",
        tenant_key=rows.tenant_id.fill_null(""),
        app_name=rows.changed_app_name,
        words=ibis.cases(
            (rows.kind == "forward_out", rows.external_destinations.join(", ")),
            (rows.kind == "hiding_rule", rows.rule_name),
            (rows.kind == "role", rows.rights.join(", ")),
            else_=None,
        ),
        # A consent of which the log does not say for whom may be for everybody.
        is_wide=(rows.kind != "mail_consent") | rows.is_admin_consent.fill_null(~_no()),
    )


def _no() -> ir.BooleanValue:
    return ibis.literal(value=False)


def _hides(rows: ir.Table) -> ir.BooleanValue:
    """Rules that keep telling mail out of sight; a tidy owner's broad rule is none."""
    deletes, effects = has(rows.rule_effects, "delete"), rows.rule_effects
    buries = deletes | (has(effects, "move") & has(effects, "mark_read"))
    hides = has(effects, "delete", "move", "mark_read")
    telling = buries & holds_any(joined(rows.rule_conditions), TELLING_WORDS)
    in_mailbox = (rows.change == "inbox_rule") & ((hides & odd_name(rows.rule_name)) | telling)
    return in_mailbox | ((rows.change == "transport_rule") & deletes & odd_name(rows.rule_name))


def _credentials_removed(tables: Tables) -> ir.Table:
    """Changes after which an application's list of credentials is shorter than before."""
    settings = rows_of(tables, READS, "change_settings")
    settings = settings.filter(settings.name_key == "keydescription")
    shorter = settings.new_value.fill_null("").length() < settings.old_value.fill_null("").length()
    return settings.filter(shorter).select(removed_id="event_id").distinct()


def _without_companions(rows: ir.Table) -> ir.Table:
    """The rows without the grant records that a consent writes beside itself."""
    consents = rows.filter(rows.change == "consent").select(
        consent_actor="actor_key", consent_at="occurred_at", consent_app="changed_app_id"
    )
    grants = rows.filter(rows.change == "delegated_grant")
    beside = grants.inner_join(consents, grants.actor_key == consents.consent_actor)
    unknown = beside.changed_app_id.isnull() | beside.consent_app.isnull() | beside.changed_app_id.isin(RESOURCES)
    beside = beside.filter(
        beside.occurred_at.delta(beside.consent_at, unit="second").abs() <= COMPANION_S,
        unknown | (beside.changed_app_id == beside.consent_app),
    )
    companions = beside.select(companion="event_id").distinct()
    return rows.anti_join(companions, rows.event_id == companions.companion)


def _described(rows: ir.Table) -> ir.Table:
    """The rows with whose mail is opened, to which application, and in words to whom or what."""
    # A role is assigned to an application by its id, in the place of an account.
    to_app = ibis.ifelse(rows.grantee_key.re_search(_GUID).fill_null(_no()), rows.grantee_key, ibis.null("string"))
    given = ibis.ifelse(rows.kind == "impersonation", ibis.coalesce(rows.changed_app_id, to_app), rows.changed_app_id)
    by_grantee = rows.kind.isin(("mailbox_right", "folder_right"))
    about = ibis.ifelse(
        by_grantee,
        rows.grantee_key,
        ibis.coalesce(rows.words, rows.app_name, given, rows.grantee_key, rows.target_key),
    )
    opens_one = by_grantee | rows.change.isin(("inbox_rule", "mailbox_forwarding"))
    return rows.mutate(
        known_app=ibis.ifelse(given.isin(RESOURCES), ibis.null("string"), given),
        about=about,
        mailbox=ibis.ifelse(opens_one, mailbox_of(rows), ibis.null("string")),
    )


def _with_who(rows: ir.Table) -> ir.Table:
    """The rows with `who`: whether this actor had opened such a door a day before or earlier."""
    same = ibis.window(group_by=[rows.tenant_key, rows.actor_key, rows.kind])
    since_s = rows.occurred_at.delta(rows.occurred_at.min().over(same), unit="second")
    takes = rows.is_self & rows.kind.isin(("mailbox_right", "role"))
    return rows.mutate(who=ibis.cases((takes, "self"), (since_s >= DAY_S, "usual"), else_="new"))


def _is_own_address(rows: ir.Table) -> ir.BooleanValue:
    """True for addresses that can be somebody's own; those of Microsoft and of inner networks say nothing."""
    return rows.client_ip.notnull() & (rows.ip_class.fill_null("public") == "public")


def _with_place(rows: ir.Table, tables: Tables) -> ir.Table:
    """The rows with `network` and `place`: whether the actor had used the network a day before or earlier."""
    actors = rows.filter(rows.actor_key.notnull()).select(opener="actor_key").distinct()
    events = tables["events"].select("occurred_at", "tenant_id", "actor_key", "client_ip", "ip_class")
    starts = events.group_by(start_tenant=events.tenant_id.fill_null("")).aggregate(log_start=events.occurred_at.min())
    seen = events.semi_join(actors, events.actor_key == actors.opener)
    seen = seen.filter(_is_own_address(seen))
    seen = seen.group_by("actor_key", "client_ip", "ip_class").aggregate(since=seen.occurred_at.min())
    seen = with_network(seen, tables)
    seen = seen.group_by(seen_actor="actor_key", seen_network="network").aggregate(since=seen.since.min())
    rows = with_network(rows, tables)
    rows = rows.left_join(seen, [rows.actor_key == seen.seen_actor, rows.network == seen.seen_network])
    rows = rows.drop("seen_actor", "seen_network")
    rows = rows.left_join(starts, rows.tenant_key == starts.start_tenant).drop("start_tenant")
    used_s = rows.occurred_at.delta(rows.since, unit="second")
    history_s = rows.occurred_at.delta(rows.log_start, unit="second")
    place = ibis.cases(
        (~_is_own_address(rows) | rows.network.isnull(), "unsaid"),
        ((used_s >= DAY_S).fill_null(_no()), "known"),
        ((history_s >= HISTORY_DAYS * DAY_S).fill_null(_no()), "strange"),
        else_="unsaid",
    )
    return rows.mutate(place=place).drop("since", "log_start")


def _domain(address: ir.StringValue) -> ir.StringValue:
    return address.re_extract(r"@([^@]+)$", 1)


_KNOWN, _UNSAID, _NEW = range(3)


def _with_goal(rows: ir.Table, tables: Tables) -> ir.Table:
    """The rows with `goal`: whether all domains that mail goes to had been written to, or forwarded to by others."""
    forwards = rows.filter(rows.kind == "forward_out")
    goals = forwards.select(
        "event_id", "occurred_at", "actor_key", address=forwards.external_destinations.unnest()
    ).distinct()
    goals = goals.mutate(domain=_domain(goals.address)).drop("address").distinct()
    traced = _traced(goals, tables)
    others = goals.select(other_domain="domain", other_actor="actor_key", other_at="occurred_at").distinct()
    met = goals.inner_join(others, goals.domain == others.other_domain)
    met = met.filter(met.actor_key != met.other_actor, _a_day_after(met.occurred_at, met.other_at))
    met = met.select(met_event="event_id", met_domain="domain").distinct()
    traces = tables["message_traces"]
    trace_start = traces.aggregate(trace_start=traces.occurred_at.min())
    goals = goals.left_join(traced, goals.domain == traced.traced_domain)
    goals = goals.left_join(met, [goals.event_id == met.met_event, goals.domain == met.met_domain])
    goals = goals.cross_join(trace_start)
    reaches_back = goals.occurred_at.delta(goals.trace_start, unit="second") >= TRACE_DAYS * DAY_S
    step = ibis.cases(
        (_a_day_after(goals.occurred_at, goals.traced_at) | goals.met_event.notnull(), _KNOWN),
        (reaches_back.fill_null(_no()), _NEW),
        else_=_UNSAID,
    )
    strangest = goals.mutate(step=step)
    strangest = strangest.group_by(goal_event="event_id").aggregate(step=strangest.step.max())
    rows = rows.left_join(strangest, rows.event_id == strangest.goal_event).drop("goal_event")
    goal = ibis.cases((rows.step == _KNOWN, "known_domain"), (rows.step == _NEW, "new_domain"), else_="unsaid_domain")
    return rows.mutate(goal=goal).drop("step")


def _a_day_after(at: ir.TimestampValue, before: ir.TimestampValue) -> ir.BooleanValue:
    """True where `at` is a day or more after `before`; false where either is null."""
    return (at.delta(before, unit="second") >= DAY_S).fill_null(_no())


def _traced(goals: ir.Table, tables: Tables) -> ir.Table:
    """Those of the domains that message traces name, and since when."""
    wanted = goals.select(wanted="domain").distinct()
    traces = tables["message_traces"].select(*READS["message_traces"])
    ends = reduce(
        lambda left, right: left.union(right),
        (traces.select("occurred_at", domain=_domain(traces[name])) for name in ("sender", "recipient")),
    )
    ends = ends.semi_join(wanted, ends.domain == wanted.wanted)
    return ends.group_by(traced_domain="domain").aggregate(traced_at=ends.occurred_at.min())

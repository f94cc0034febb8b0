"""Can what the token says be true? Claims that contradict each other, the log, or the token's own form.

Each check compares two facts that stand in the logs, so that nothing has to be waited for. Hard checks contradict the
protocol; soft ones are only rare, and how rare is left to the calibration. A missing value contradicts nothing.

Sources: Microsoft Entra, "Access token claims" and "Token lifetime"; "Track and investigate identity activities with
linkable identifiers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import members_of, visits_of
from brokenseal.detectors._hits import HOUR_S, as_hits, rows_of
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "token.impossible"
READS = {
    "mail_accesses": CLUSTER_READS["mail_accesses"],
    "sign_ins": (
        *CLUSTER_READS["sign_ins"],
        "event_id",
        "occurred_at",
        "category",
        "actor_key",
        "subject_id",
        "app_id",
        "request_id",
        "token_id",
        "succeeded",
        "tenant_id",
        "home_tenant_id",
    ),
    "config_changes": ("event_id", "occurred_at", "change", "target_key", "succeeded"),
}

CONSUMER_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Tenant of personal accounts (Microsoft identity platform, "Access token claims")."""

AHEAD_S: Final = 300 + 120
"""Clocks may differ by five minutes, and a record of reads stands for two minutes of them."""
OLDEST_S: Final = 28 * HOUR_S + 600
"""The longest life of a token under continuous access evaluation, with ten minutes for clocks."""
REVOKED_S: Final = 90 * 60
"""A token without continuous access evaluation lives so long after its sessions were revoked."""
PLACEHOLDER_ACCOUNTS: Final = 20
"""A token id under so many accounts was put in by whoever made the export anonymous."""
ODD_FORMS_PER_MILLE: Final = 1
"""Where more of the issued tokens than this have another form, the form says nothing in this tenant."""

_GUID_VERSION_AT: Final = 14
_GUID_LAST_BYTE_AT: Final = 34
_VERSIONS: Final = ("4",)
_LAST_BYTES: Final = ("00", "01", "02")

BINS: Final = {
    "consumer_tenant": "the token names the tenant of personal accounts",
    "two_subjects": "one token id under two identities",
    "issued_ahead": "issued after it was used",
    "too_old": "older than any token may be",
    "other_subject": "issued to another identity than the one that used it",
    "two_issues": "one token id with two times of issue, clients or sessions",
    "foreign_tenant": "the token names a tenant that no sign-in knows",
    "after_revocation": "used after the sessions of its account were revoked",
    "failed_sign_in": "its sign-in is on record as a failure only",
    "other_client": "issued to another client application than the one that used it",
    "odd_form": "its id has not the form that issued ids have in these logs",
}
"""Gravest first; a cluster takes the first that holds for any of its records."""


def judged(tables: Tables, rows: ir.Table | None = None) -> ir.Table:
    """Mail accesses that carry a token id, with the gravest check that they fail.

    Args:
        tables: The store's tables.
        rows: Those of `clusters.members` that are asked about; None for all.

    Returns: the columns of `clusters.members`, and `bin` (string, one of `BINS`; null where nothing contradicts) and
        `reason` (string, null unless the token id is a placeholder).
    """
    rows = _with_facts(members_of(tables) if rows is None else rows, tables)
    return _judged(_with_revocations(rows, tables), last_at="occurred_at")


def _with_facts(rows: ir.Table, tables: Tables) -> ir.Table:
    """The rows that carry a token id, with what other records say of it."""
    rows = rows.filter(rows.token_id_raw.notnull() | rows.token_id.notnull())
    rows = _with_uses(rows, tables)
    rows = _with_issue(rows, rows_of(tables, READS, "sign_ins"))
    return _with_tenants(rows, rows_of(tables, READS, "sign_ins"))


def _judged(rows: ir.Table, *, last_at: str) -> ir.Table:
    """The rows with `bin` and `reason`; each may stand for records from `occurred_at` to `last_at`."""
    false = ibis.literal(value=False)
    youngest_s = rows.occurred_at.delta(rows.token_issued_at, unit="second")
    oldest_s = rows[last_at].delta(rows.token_issued_at, unit="second")
    guest = rows.user_type.isin((9, 10)).fill_null(false)
    checks = (
        ("consumer_tenant", (rows.token_tenant_id == CONSUMER_TENANT) & (rows.tenant_id != CONSUMER_TENANT) & ~guest),
        ("two_subjects", rows.subjects > 1),
        ("issued_ahead", youngest_s < -AHEAD_S),
        ("too_old", oldest_s > OLDEST_S),
        ("other_subject", rows.issued_to != rows.token_subject),
        ("two_issues", (rows.issues > 1) | (rows.clients > 1) | (rows.sessions > 1)),
        ("foreign_tenant", (rows.token_tenant_id != rows.tenant_id) & rows.known_tenant.isnull() & ~guest),
        ("after_revocation", _is_late(rows)),
        ("failed_sign_in", ~rows.issued_ok),
        ("other_client", rows.issued_client != rows.own_client),
        ("odd_form", rows.is_odd & rows.is_form_known),
    )
    placeholder = _is_placeholder(rows)
    found = ibis.cases(*((check.fill_null(false), name) for name, check in checks), else_=None)
    return rows.mutate(
        bin=ibis.ifelse(placeholder | rows.token_id.isnull(), ibis.null("string"), found),
        reason=ibis.cases(
            (placeholder, "placeholder"), (rows.token_id.isnull(), "opaque_token_id"), else_=ibis.null("string")
        ),
    )


def _is_placeholder(rows: ir.Table) -> ir.BooleanValue:
    return (rows.actors >= PLACEHOLDER_ACCOUNTS).fill_null(ibis.literal(value=False))


def _is_late(rows: ir.Table) -> ir.BooleanValue:
    return (rows.revoked_at > rows.token_issued_at) & (rows.since_revoked_s > REVOKED_S)


def _with_uses(rows: ir.Table, tables: Tables) -> ir.Table:
    """How many subjects, accounts, times of issue, clients and sessions each token id was used with."""
    named = visits_of(tables)
    named = named.filter(named.token_id.notnull())
    uses = named.group_by(used_id="token_id").aggregate(
        subjects=named.token_subject.nunique(),
        actors=named.actor_key.nunique(),
        issues=named.token_issued_at.nunique(),
        clients=_client(named).nunique(),
        sessions=named.session_id.nunique(),
    )
    return rows.left_join(uses, rows.token_id == uses.used_id).drop("used_id")


def _with_issue(rows: ir.Table, sign_ins: ir.Table) -> ir.Table:
    """What the sign-in of each token says: to whom, to which client, with what outcome; and the usual form of ids."""
    issues = sign_ins.select(
        "subject_id", "app_id", "succeeded", "category", issued_id=ibis.coalesce(sign_ins.token_id, sign_ins.request_id)
    )
    issues = issues.filter(issues.issued_id.notnull())
    issued = issues.group_by("issued_id").aggregate(
        issued_to=issues.subject_id.max(),
        issued_ok=issues.succeeded.fill_null(ibis.literal(value=True)).any(),
        issued_client=issues.app_id.max(where=issues.category != "audit_log"),
    )
    forms = issued.aggregate(n=issued.count(), odd=issued.count(where=_is_odd(issued.issued_id)))
    forms = forms.select(is_form_known=(forms.odd * 1000 <= forms.n * ODD_FORMS_PER_MILLE) & (forms.n > 0))
    rows = rows.left_join(issued, rows.token_id == issued.issued_id).drop("issued_id").cross_join(forms)
    return rows.mutate(is_odd=_is_odd(rows.token_id), own_client=_client(rows))


def _client(rows: ir.Table) -> ir.StringValue:
    """The client's application id; null where only the protocol is known."""
    return ibis.ifelse(rows.effective_app.startswith("proto:"), ibis.null("string"), rows.effective_app)


def _is_odd(token_id: ir.StringValue) -> ir.BooleanValue:
    version = token_id.substr(_GUID_VERSION_AT, 1)
    return ~(version.isin(_VERSIONS) & token_id.substr(_GUID_LAST_BYTE_AT, 2).isin(_LAST_BYTES))


def _with_tenants(rows: ir.Table, sign_ins: ir.Table) -> ir.Table:
    """Tenants whose people have signed in here: partners and guests."""
    known = sign_ins.filter(sign_ins.home_tenant_id.notnull(), sign_ins.succeeded.fill_null(ibis.literal(value=True)))
    known = known.select(home="home_tenant_id", known_tenant="home_tenant_id").distinct()
    return rows.left_join(known, rows.token_tenant_id == known.home).drop("home")


def _revocations(tables: Tables) -> ir.Table:
    """When the sessions of which account were revoked: revoked_key, revoked_when."""
    changes = rows_of(tables, READS, "config_changes")
    return changes.filter(
        changes.change.isin(("sessions_revoked", "password_reset")),
        changes.succeeded.fill_null(ibis.literal(value=True)),
        changes.target_key.notnull(),
    ).select(revoked_key="target_key", revoked_when="occurred_at")


def _with_revocations(rows: ir.Table, tables: Tables) -> ir.Table:
    """The last time before each access at which the sessions of its account were revoked."""
    revoked = _revocations(tables)
    at = rows.select("event_id", "actor_key", "occurred_at").inner_join(
        revoked, [rows.actor_key == revoked.revoked_key]
    )
    at = at.filter(at.revoked_when <= at.occurred_at)
    last = at.group_by(revoked_event="event_id").aggregate(revoked_at=at.revoked_when.max())
    rows = rows.left_join(last, rows.event_id == last.revoked_event).drop("revoked_event")
    return rows.mutate(since_revoked_s=rows.occurred_at.delta(rows.revoked_at, unit="second"))


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster whose records carry a token id; see `schema.MARK`."""
    rows = _with_facts(visits_of(tables), tables)
    # How long after a revocation hangs on each record; of the accounts that had one, records are asked below.
    rows = rows.mutate(revoked_at=ibis.null(rows.occurred_at.type()), since_revoked_s=ibis.null("int64"))
    rows = _judged(rows, last_at="last_at")
    order = ibis.cases(*((rows.bin == name, number) for number, name in enumerate(BINS)), else_=len(BINS))
    rows = rows.mutate(rank=order.cast("int64"))
    units = rows.group_by(unit="cluster").aggregate(
        rank=rows["rank"].min(), readable=rows.reason.isnull().any(), reason=rows.reason.max()
    )
    late = _late_clusters(tables)
    units = units.left_join(late, units.unit == late.late)
    revoked = ibis.ifelse(units.late.notnull(), list(BINS).index("after_revocation"), len(BINS))
    units = units.mutate(rank=ibis.least(units["rank"], revoked.cast("int64"))).drop("late")
    found = ibis.cases(*((units["rank"] == number, name) for number, name in enumerate(BINS)), else_=None)
    state = ibis.cases((units["rank"] < len(BINS), "fired"), (units.readable, "quiet"), else_="not_assessable")
    return units.select(
        unit=units.unit,
        state=state,
        bin=found.cast("string"),
        reason=ibis.ifelse(state == "not_assessable", units.reason, ibis.null("string")),
        weight_millibans=ibis.null("int64"),
        f0_upper_ppb=ibis.null("int64"),
        n_reference=ibis.null("int64"),
    )


def _late_clusters(tables: Tables) -> ir.Table:
    """The clusters in which a token was used too long after its account's sessions were revoked: late, distinct."""
    rows = members_of(tables)
    accounts = _revocations(tables).select("revoked_key").distinct()
    rows = rows.filter(rows.token_id.notnull()).semi_join(accounts, rows.actor_key == accounts.revoked_key)
    rows = _with_revocations(_with_uses(rows, tables), tables)
    return rows.filter(_is_late(rows), ~_is_placeholder(rows)).select(late="cluster").distinct()


def find(tables: Tables) -> ir.Table:
    """The records whose tokens contradict something, by mailbox, identity and check."""
    marks = tables.get(f"marks:{ID}")
    rows = members_of(tables)
    if marks is not None:
        fired = marks.filter(marks.state == "fired").select("unit").distinct()
        rows = rows.semi_join(fired, rows.cluster == fired.unit)
    rows = judged(tables, rows)
    rows = rows.filter(rows.bin.notnull())
    wanted = tables.get("wanted_units")
    if wanted is not None:
        rows = rows.semi_join(wanted, rows.cluster == wanted.unit)
    mailbox = ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)
    return as_hits(
        rows,
        group_key=rows.cluster.concat(" ", mailbox),
        variant=rows.bin,
        role="read",
        about=rows.token_id,
        weight={"unit": rows.cluster, "bin": rows.bin},
    )


_REISSUE = phrase(
    "Take the token of the session from the client if it can be had, and ask Microsoft whether it was ever issued."
)
_FORGERY = ("T1606", "T1550.001", "T1114.002")
_REPLAY = ("T1550.001", "T1528", "T1114.002")
_CLOCK = phrase("A clock that is wrong by more than minutes, or an export that changed times, looks the same.")
_EXPORT = phrase("An export that replaced identifiers by others, to protect people, looks the same.")

DETECTOR = Detector(
    id=ID,
    title=phrase("Tokens whose claims cannot all be true"),
    reads=READS,
    needs=("mail_access", "token_ids"),
    silent_without=("mail_access", "token_ids"),
    family="claims",
    mark=mark,
    bins=BINS,
    variants={
        "consumer_tenant": Variant(
            title=phrase("Mail of {mailboxes} was read with a token of the tenant for personal accounts"),
            severity=Severity.CRITICAL,
            attack=_FORGERY,
            innocent=phrase("A guest with a personal account whom an owner gave rights to the mailbox looks the same."),
            settles=_REISSUE,
        ),
        "two_subjects": Variant(
            title=phrase("One token served several identities: {actors}"),
            severity=Severity.CRITICAL,
            attack=_FORGERY,
            innocent=_EXPORT,
            settles=_REISSUE,
        ),
        "issued_ahead": Variant(
            title=phrase("Mail of {mailboxes} was read with a token that was issued only later"),
            severity=Severity.HIGH,
            attack=_FORGERY,
            innocent=_CLOCK,
            settles=_REISSUE,
        ),
        "too_old": Variant(
            title=phrase("Mail of {mailboxes} was read with a token older than any may be"),
            severity=Severity.HIGH,
            attack=_FORGERY,
            innocent=_CLOCK,
            settles=_REISSUE,
        ),
        "other_subject": Variant(
            title=phrase("Mail of {mailboxes} was read with a token that was issued to somebody else"),
            severity=Severity.CRITICAL,
            attack=_REPLAY,
            innocent=phrase("An account that was renamed or made anew can have two object ids."),
            settles=_REISSUE,
        ),
        "two_issues": Variant(
            title=phrase("One token has two times of issue, clients or sessions (mail of {mailboxes})"),
            severity=Severity.HIGH,
            attack=_FORGERY,
            innocent=_EXPORT,
            settles=_REISSUE,
        ),
        "foreign_tenant": Variant(
            title=phrase("Mail of {mailboxes} was read with a token of a tenant from which nobody ever signed in"),
            severity=Severity.HIGH,
            attack=_FORGERY,
            innocent=phrase("Partners who manage the tenant sign in at their own; their first visit looks the same."),
            settles=phrase("Look the tenant up and ask whether anybody there has rights to the mailbox."),
        ),
        "after_revocation": Variant(
            title=phrase("Mail of {mailboxes} was read with a token from before its sessions were revoked"),
            severity=Severity.HIGH,
            attack=_REPLAY,
            innocent=phrase("Services that do not listen to revocations let a token live until it ends."),
            settles=phrase("Revoke the sessions again, and look whether the reading ends within the hour."),
        ),
        "failed_sign_in": Variant(
            title=phrase("Mail of {mailboxes} was read with a token whose sign-in is on record as a failure"),
            severity=Severity.MEDIUM,
            attack=_REPLAY,
            innocent=phrase("A sign-in with several steps leaves a row of each; the last one may be missing here."),
            settles=phrase("Export the sign-ins of that hour again, all categories, and look for the token's id."),
            is_notice=True,
        ),
        "other_client": Variant(
            title=phrase("Mail of {mailboxes} was read by another client than the one that its token was issued to"),
            severity=Severity.MEDIUM,
            attack=_REPLAY,
            innocent=phrase("Clients of one family share their tokens, and services act on behalf of clients."),
            settles=phrase("Compare the client with those that its owner uses, and its address with theirs."),
            is_notice=True,
        ),
        "odd_form": Variant(
            title=phrase("Mail of {mailboxes} was read with a token whose id has not the form of issued ones"),
            severity=Severity.MEDIUM,
            attack=_FORGERY,
            innocent=phrase("Microsoft does not promise the form; it may have changed."),
            settles=_REISSUE,
            is_notice=True,
        ),
    },
    find=find,
)

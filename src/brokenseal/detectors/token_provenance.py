"""Was the token that read the mail ever issued, as far as the sign-in logs show?

A token's id is the id of the sign-in request that it came from (Microsoft Entra, "Track and investigate identity
activities with linkable identifiers"), so a mail access can be asked for its sign-in. Silence means something only
where the sign-in logs would have spoken; everywhere else the answer is "cannot tell", with its reason.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, Final

import ibis
import pyarrow as pa

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import clusters_of, is_known_once, members_of
from brokenseal.detectors import _lateness, _orphans, first_seen_client, stranger_client
from brokenseal.detectors._hits import DAY_S, HOUR_S, as_hits, rows_of, together
from brokenseal.detectors._new_hands import reads_of_new_hands
from brokenseal.detectors._orphaned_again import orphaned_again
from brokenseal.model import Detector, Severity, TokenProvenance, Variant
from brokenseal.numbering import shared
from brokenseal.schema import HIT, MARK
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir

    from brokenseal.model import Parts, Tables

READS = {
    **_lateness.READS,
    "mail_accesses": CLUSTER_READS["mail_accesses"],
    "sign_ins": (
        *CLUSTER_READS["sign_ins"],
        "event_id",
        "occurred_at",
        "category",
        "actor_key",
        "session_id",
        "request_id",
        "token_id",
        "succeeded",
    ),
}

ID = "token.provenance"

REASONS = (
    "no_token_id",  # the record carries no token id (all records before 2025, MAPI, ActiveSync)
    "opaque_token_id",  # a placeholder or a form that nobody can decode
    "background_service",  # minted inside Microsoft's services, without a sign-in of the customer's
    "foreign_tenant",  # guests and partners: their sign-in is in another tenant's log
    "no_issued_at",  # it cannot be said when the sign-in must have been
    "sign_ins_absent",  # no sign-in log; the audit log's own sign-ins are not a list of all issued tokens
    "non_interactive_absent",  # most Exchange tokens come from refreshes, which only that log shows
    "outside_sign_in_window",  # issued when the sign-in logs given do not reach, or in a gap of theirs
    "only_failed_sign_in",  # the sign-in is there, and the row kept of it is a failure or an interrupt
    _orphans.TOO_RECENT,  # the sign-in may not have arrived in the log yet
    "low_match_rate",  # too many or all tokens of this client have no sign-in: a gap in the log, or too few to judge
)

MARGIN_S = HOUR_S
"""Issue time and sign-in time may differ, since older documentation lets `iat` be the time of authentication."""
SETTLE_S = DAY_S
"""Sign-ins arrive late; the last day of the log is pending."""
MATCH_PERCENT = 90
"""Of the tokens of one protocol and client, or of those that no new hand read with, so many must have their sign-in
before a miss means anything."""
MATCH_TOKENS = 20
"""Below this many tokens of one protocol and client, a share says nothing."""

_BACKGROUND_USER_TYPES = (3, 4, 5, 6)
_BACKGROUND_TOKEN_TYPES = ("SubstrateProcessorCallbackPft",)
_PARTNER_USER_TYPES = (9, 10)
_ISSUING = ("interactive", "non_interactive", "service_principal", "managed_identity", "adfs")


def verdicts(tables: Tables) -> ir.Table:
    """One row per mail access: was its token issued?

    Returns: event_id, verdict (`issued`, `not_issued`, `cannot_tell`), reason (one of `REASONS`; null unless it
        cannot be told). A token that any successful sign-in, or the web mail's own issuance, names was issued,
        whatever else the record lacks.
    """
    judged = _judged(tables)
    trusted = _trusted(tables, judged)
    judged = judged.left_join(trusted, judged.stratum == trusted.trusted)
    reason = ibis.cases(
        (judged.is_issued, None),
        (judged.reason.notnull(), judged.reason),
        (judged.trusted.isnull(), "low_match_rate"),
        else_=None,
    )
    verdict = ibis.cases((judged.is_issued, "issued"), (reason.notnull(), "cannot_tell"), else_="not_issued")
    return judged.select(event_id=judged.event_id, verdict=verdict, reason=reason)


def _trusted(tables: Tables, judged: ir.Table) -> ir.Table:
    """Protocols and clients of which a miss means something: trusted (string, a stratum).

    It is enough if that holds without what new hands read: whoever makes tokens, and reads much with them, would make
    the class look incomplete.
    """
    given = tables.get(TRUSTED)
    if given is not None:
        return given
    tokens = judged.filter(judged.reason.isnull()).select("event_id", "token_id", "stratum", "is_issued")
    new = reads_of_new_hands(members_of(tables)).rename(new_read="event_id").distinct()
    tokens = tokens.left_join(new, tokens.event_id == new.new_read)
    tokens = tokens.select("token_id", "stratum", "is_issued", is_old=tokens.new_read.isnull()).distinct()

    def is_complete(rows: ir.BooleanValue | None) -> ir.BooleanValue:
        n_tokens = tokens.token_id.nunique(where=rows)
        n_issued = tokens.token_id.nunique(where=tokens.is_issued if rows is None else tokens.is_issued & rows)
        return (n_tokens >= MATCH_TOKENS) & (n_issued * 100 >= n_tokens * MATCH_PERCENT)

    rates = tokens.group_by("stratum").aggregate(is_trusted=is_complete(None) | is_complete(tokens.is_old))
    return rates.filter(rates.is_trusted).select(trusted=rates.stratum)


JUDGED: Final = "judged_tokens"
TRUSTED: Final = "trusted_strata"
"""Names under which a runner may hand over what `parts` gives."""


def parts(tables: Tables) -> Parts:
    """What `verdicts`, `mark` and `find` share; see `model.Parts`."""
    shared = ("event_id", "token_id", "token_issued_at", "stratum", "is_issued", "reason")
    return {
        JUDGED: lambda: _judged(tables).select(*shared),
        TRUSTED: lambda: _trusted(tables, _judged(tables)),
        **_lateness.parts(tables),
    }


def _judged(tables: Tables) -> ir.Table:
    """Mail accesses with `is_issued`, `stratum`, and the first reason for which a miss would mean nothing."""
    given = tables.get(JUDGED)
    if given is not None:
        return given
    accesses = rows_of(tables, READS, "mail_accesses")
    sign_ins = rows_of(tables, READS, "sign_ins")
    ids = _known_ids(sign_ins)
    accesses = accesses.left_join(ids, accesses.token_id == ids.known_id).cross_join(_coverage(sign_ins))
    heard = _heard(accesses, sign_ins)
    accesses = accesses.left_join(heard, accesses.event_id == heard.heard_event).drop("heard_event")
    false = ibis.literal(value=False)
    iat = accesses.token_issued_at

    def within(first: ir.TimestampValue, last: ir.TimestampValue) -> ir.BooleanValue:
        after = iat.delta(first, unit="second") >= MARGIN_S
        return (after & (last.delta(iat, unit="second") >= MARGIN_S)).fill_null(false)

    covered = within(accesses.i_first, accesses.i_last) & within(accesses.n_first, accesses.n_last) & accesses.heard
    settled = accesses.n_last.delta(iat, unit="second") >= SETTLE_S
    background = (
        accesses.user_type.isin(_BACKGROUND_USER_TYPES).fill_null(false)
        | (accesses.protocol == "rest_system").fill_null(false)
        | (accesses.ip_class == "microsoft").fill_null(false)
        | accesses.token_type.isin(_BACKGROUND_TOKEN_TYPES).fill_null(false)
        | (accesses.auth_type.notnull() & (accesses.auth_type != "Bearer"))
    )
    foreign = accesses.user_type.isin(_PARTNER_USER_TYPES).fill_null(false) | (
        accesses.token_tenant_id != accesses.tenant_id
    ).fill_null(false)
    reason = ibis.cases(
        (accesses.token_id_raw.isnull() & accesses.token_id.isnull(), "no_token_id"),
        (accesses.token_id.isnull(), "opaque_token_id"),
        (background, "background_service"),
        (foreign, "foreign_tenant"),
        (iat.isnull(), "no_issued_at"),
        (accesses.i_first.isnull(), "sign_ins_absent"),
        (accesses.n_first.isnull(), "non_interactive_absent"),
        (~covered.fill_null(false), "outside_sign_in_window"),
        ((accesses.known_id.notnull() & ~accesses.known_ok).fill_null(false), "only_failed_sign_in"),
        (~settled.fill_null(false), _orphans.TOO_RECENT),
        else_=None,
    )
    return accesses.mutate(
        is_issued=(accesses.known_id.notnull() & accesses.known_ok).fill_null(false),
        stratum=accesses.protocol.fill_null("").concat("|", accesses.effective_app.fill_null("")),
        reason=reason,
    )


def _known_ids(sign_ins: ir.Table) -> ir.Table:
    """Every request id and token id in the sign-in logs, and whether any row of it was a success."""
    pairs = sign_ins.select(known_id=sign_ins.request_id, ok=_issued(sign_ins)).union(
        sign_ins.select(known_id=sign_ins.token_id, ok=_issued(sign_ins))
    )
    return pairs.filter(pairs.known_id.notnull()).group_by("known_id").aggregate(known_ok=pairs.ok.any())


def _issued(sign_ins: ir.Table) -> ir.BooleanValue:
    # The web mail's own issuance record has no outcome: it stands for a token that was given.
    return sign_ins.succeeded.fill_null(sign_ins.category == "owa_auth").fill_null(ibis.literal(value=False))


def _coverage(sign_ins: ir.Table) -> ir.Table:
    """One row: from when to when the interactive and the non-interactive log reach, null where there is none."""
    interactive = sign_ins.category == "interactive"
    silent = sign_ins.category == "non_interactive"
    return sign_ins.aggregate(
        i_first=sign_ins.occurred_at.min(where=interactive),
        i_last=sign_ins.occurred_at.max(where=interactive),
        n_first=sign_ins.occurred_at.min(where=silent),
        n_last=sign_ins.occurred_at.max(where=silent),
    )


def _heard(accesses: ir.Table, sign_ins: ir.Table) -> ir.Table:
    """Accesses in whose hour of issue the non-interactive log holds anything at all; the rest may lie in a gap."""
    silent = sign_ins.filter(sign_ins.category == "non_interactive")
    hours = silent.select(heard_hour=silent.occurred_at.truncate("h")).distinct()
    wanted = accesses.filter(accesses.token_issued_at.notnull())
    wanted = wanted.select(heard_event=wanted.event_id, hour=wanted.token_issued_at.truncate("h"))
    heard = wanted.semi_join(hours, wanted.hour == hours.heard_hour).select("heard_event").distinct()
    return heard.mutate(heard=ibis.literal(value=True))


def cluster_tokens(tables: Tables) -> ir.Table:
    """The tokens of each session cluster.

    Returns: unit, tenant, mailbox, provenance, token (strings), issued_at (time), reason (string, one of `REASONS`;
        null where a missing sign-in would say something), is_issued, is_session_known (booleans).
    """
    judged = _judged(tables).select("event_id", "reason", "is_issued")
    rows = members_of(tables)
    rows = rows.inner_join(judged, "event_id")
    sign_ins = rows_of(tables, READS, "sign_ins")
    sessions = sign_ins.filter(_issued(sign_ins), sign_ins.session_id.notnull(), sign_ins.actor_key.notnull())
    sessions = sessions.select(known_session="session_id", known_actor="actor_key").distinct()
    rows = rows.left_join(
        sessions, [rows.session_id == sessions.known_session, rows.actor_key == sessions.known_actor]
    ).drop("known_actor")
    rows = rows.mutate(token=ibis.coalesce(rows.token_id, ""))
    tokens = rows.group_by(["cluster", "token"]).aggregate(
        tenant=rows.tenant_id.max(),
        mailbox=rows.mailbox_key.max(),
        provenance=rows.provenance.min(),
        issued_at=rows.token_issued_at.min(),
        reason=rows.reason.max(),
        is_judged=rows.reason.isnull().any(),
        is_issued=rows.is_issued.any(),
        is_session_known=rows.known_session.notnull().any(),
    )
    return tokens.select(
        unit=tokens.cluster,
        tenant=tokens.tenant.fill_null(""),
        mailbox=tokens.mailbox,
        provenance=tokens.provenance,
        token=tokens.token,
        issued_at=tokens.issued_at,
        reason=ibis.ifelse(tokens.is_judged, ibis.null("string"), tokens.reason),
        is_issued=tokens.is_issued,
        is_session_known=tokens.is_session_known,
    )


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`. The bound is the tenant's own, from its other mailboxes.

    A token whose sign-in may still come counts where the feed is followed and nearly all sign-ins come sooner.
    """
    judged = _orphans.judge(_tokens(tables), strange_clusters(tables), _lateness.lateness(tables))
    said = {
        "unit": [one.unit for one in judged],
        "state": [one.state for one in judged],
        "bin": [one.bin for one in judged],
        "reason": [one.reason for one in judged],
        "weight_millibans": [one.millibans for one in judged],
        "f0_upper_ppb": [one.f0_upper_ppb for one in judged],
        "n_reference": [one.n_reference if one.f0_upper is not None else None for one in judged],
    }
    return ibis.memtable(pa.Table.from_pydict(said, schema=MARK.arrow_schema()), schema=MARK.ibis_schema())


def _tokens(tables: Tables) -> Iterator[_orphans.Token]:
    rows = cluster_tokens(tables).to_pyarrow()
    issued_at = rows.column("issued_at").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).fill_null(-1)
    texts = [shared(rows.column(name)) for name in ("unit", "tenant", "mailbox", "provenance", "token")]
    flags = [rows.column(name).to_pylist() for name in ("is_issued", "is_session_known")]
    reason = shared(rows.column("reason"))
    return itertools.starmap(_orphans.Token, zip(*texts, issued_at.to_pylist(), reason, *flags, strict=True))


def strange_clusters(tables: Tables) -> frozenset[str] | None:
    """Clusters whose client is strange, where the runner has them at hand."""
    marks = tables.get(f"marks:{stranger_client.ID}")
    if marks is None:
        return None
    fired = marks.filter(marks.state == "fired").select("unit")
    return frozenset(fired.to_pyarrow().column("unit").to_pylist())


BINS = {
    "orphan": "its first token that can be judged has no sign-in",
    "orphan_again": "tokens of more than one day have no sign-in",
    "session_only": "only its session has a sign-in, where nearly all of its class have one for the token",
}


def find(tables: Tables) -> ir.Table:
    """Mail accesses whose token was not issued: by session cluster where these were marked, else by mailbox.

    Where a class is too small for a bound, it is enough that nine in ten tokens of the client have their sign-in. What
    `orphaned_again` names is one finding of its mailbox, however many clusters it is.
    """
    members = members_of(tables).select(member="event_id", member_cluster="cluster").distinct()
    hits = _find_plain(tables).drop("unit")
    hits = hits.left_join(members, hits.event_id == members.member).rename(unit="member_cluster").drop("member")
    marks = tables.get(f"marks:{ID}")
    if marks is not None:
        fired = marks.filter(marks.state == "fired").select("unit").distinct()
        hits = together(_find_marked(marks, tables), hits.anti_join(fired, "unit").select(*HIT.names))
    missing = hits.filter(hits.variant != "not_issued_yet", hits.unit.notnull()).select("unit").distinct()
    again = orphaned_again(missing, _judged(tables), members_of(tables), clusters_of(tables))
    hits = hits.left_join(again, hits.unit == again.again_unit)
    is_again = hits.again_unit.notnull()
    mailbox = ibis.coalesce(hits.mailbox_upn, hits.again_mailbox)
    return hits.mutate(
        variant=ibis.ifelse(is_again, "not_issued_new_client_again", hits.variant),
        # The key of the finding of the first cluster, so that a case keeps its id when more is missing.
        group_key=ibis.ifelse(is_again, hits.first_unit.concat(" ", mailbox), hits.group_key),
    ).select(*HIT.names)


def _find_marked(marks: ir.Table, tables: Tables) -> ir.Table:
    """The reads of marked clusters with tokens that no sign-in explains."""
    weights = ("bin", "weight_millibans", "f0_upper_ppb", "n_reference")
    fired = marks.filter(marks.state == "fired").select("unit", *weights)
    judged = _judged(tables)
    missing = judged.filter(judged.reason.isnull(), ~judged.is_issued).select("event_id").distinct()
    members = members_of(tables)
    rows = members.semi_join(missing, "event_id")
    rows = rows.inner_join(fired, rows.cluster == fired.unit).mutate(is_pending=ibis.literal(value=False))
    late = _lateness.lateness(tables)
    if late is not None:
        waiting = members.semi_join(_waiting(judged), "event_id")
        due = dt.datetime.fromtimestamp(late.reach_us / 1e6 - _lateness.AGES_S[0], dt.UTC)
        waiting = waiting.filter(waiting.token_issued_at <= ibis.literal(due, "timestamp('UTC', 6)"))
        # Where a sign-in is missing for good, those that may still come are not told.
        waiting = waiting.inner_join(fired.anti_join(rows, fired.unit == rows.cluster), waiting.cluster == fired.unit)
        rows = rows.union(waiting.mutate(is_pending=ibis.literal(value=True)))
    strange = tables[f"marks:{stranger_client.ID}"]
    strange = strange.filter(strange.state == "fired").select(strange_unit="unit").distinct()
    rows = rows.left_join(strange, rows.cluster == strange.strange_unit)
    mailbox = ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)
    return as_hits(
        rows,
        group_key=rows.cluster.concat(" ", mailbox),
        variant=ibis.cases(
            (rows.is_pending, "not_issued_yet"),
            (rows.strange_unit.notnull(), "not_issued_new_client"),
            else_="not_issued",
        ),
        role="read",
        about=rows.effective_app,
        weight={"unit": rows.cluster, **{name: rows[name] for name in weights}},
    )


def _waiting(judged: ir.Table) -> ir.Table:
    """Event ids of reads with a token whose sign-in may still come."""
    return judged.filter(judged.reason == _orphans.TOO_RECENT, ~judged.is_issued).select("event_id").distinct()


def _find_plain(tables: Tables) -> ir.Table:
    missing = verdicts(tables)
    missing = missing.filter(missing.verdict == "not_issued")
    accesses = first_seen_client.client_accesses(tables).semi_join(missing, "event_id")
    mailbox = ibis.coalesce(accesses.mailbox_upn, accesses.mailbox_key)
    return as_hits(
        accesses,
        group_key=mailbox.concat(" ", accesses.client),
        variant=ibis.ifelse(first_seen_client.is_new(accesses), "not_issued_new_client", "not_issued"),
        role="read",
        about=accesses.effective_app,
    )


def _without_tokens(tables: Tables) -> list[dict[str, Any]] | None:
    """How many accesses have which verdict, where none has a token id that can be read; None where one has.

    Older logs carry none, and then nothing has to be looked for in the sign-ins.
    """
    accesses = tables["mail_accesses"]
    kinds = accesses.group_by(has_id=accesses.token_id.notnull(), has_raw=accesses.token_id_raw.notnull())
    rows = kinds.aggregate(n=accesses.event_id.nunique()).to_pyarrow().to_pylist()
    if any(row["has_id"] for row in rows):
        return None
    reasons = {True: "opaque_token_id", False: "no_token_id"}
    return [{"verdict": "cannot_tell", "reason": reasons[row["has_raw"]], "n": row["n"]} for row in rows]


def provenance_summary(tables: Tables) -> TokenProvenance:
    """How many mail accesses had a token that was issued, was not, or cannot be told, with the reasons."""
    rows = _without_tokens(tables)
    if rows is None:
        judged = verdicts(tables)
        # To tell millions of ids apart takes more memory than there may be.
        once = is_known_once(tables, "mail_accesses")
        counts = judged.group_by(["verdict", "reason"]).aggregate(
            n=judged.count() if once else judged.event_id.nunique()
        )
        rows = counts.to_pyarrow().to_pylist()
    total = {verdict: sum(row["n"] for row in rows if row["verdict"] == verdict) for verdict in _VERDICTS}
    reasons = {row["reason"]: row["n"] for row in rows if row["verdict"] == "cannot_tell"}
    return TokenProvenance(
        issued=total["issued"],
        not_issued=total["not_issued"],
        cannot_tell=total["cannot_tell"],
        cannot_tell_reasons={reason: reasons[reason] for reason in REASONS if reason in reasons},
    )


_VERDICTS = ("issued", "not_issued", "cannot_tell")
_INNOCENT = phrase(
    "Single sign-ins get lost on their way into the log. It was checked that the log covers the hour of issue, and "
    "that nine in ten tokens of this client have their sign-in."
)
_SETTLES = phrase(
    "Export the sign-ins of that hour again, all categories, and look for the token's id. "
    "If it stays absent, ask Microsoft, and treat the mailbox as read by a stranger."
)

DETECTOR = Detector(
    id=ID,
    title=phrase("Mail read with a token that no sign-in explains"),
    reads=READS,
    needs=("mail_access", "token_ids", "sign_in", "non_interactive_sign_in"),
    silent_without=("mail_access", "token_ids"),
    family="token",
    mark=mark,
    bins=BINS,
    variants={
        "not_issued_new_client_again": Variant(
            title=phrase(
                "Mail of {mailboxes} was read by a new client, on several days, with tokens that were never issued "
                "({objects})"
            ),
            severity=Severity.CRITICAL,
            attack=("T1606", "T1550.001", "T1114.002"),
            innocent=phrase(
                "Sign-ins get lost on their way into the log, one here and one there. Here most tokens of the client "
                "lack theirs, and they were issued a day or more apart, in hours that the log covers."
            ),
            settles=_SETTLES,
        ),
        # A lost line of log looks the same, and new telephones lose some too: leads, until more is missing.
        "not_issued_new_client": Variant(
            title=phrase("Mail of {mailboxes} was read by a new client with a token that was never issued ({objects})"),
            severity=Severity.HIGH,
            attack=("T1606", "T1550.001", "T1114.002"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "not_issued": Variant(
            title=phrase("Mail of {mailboxes} was read with a token whose sign-in is missing ({objects})"),
            severity=Severity.MEDIUM,
            attack=("T1606", "T1550.001"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "not_issued_yet": Variant(
            title=phrase("Mail of {mailboxes} was read with a token whose sign-in has not come so far ({objects})"),
            severity=Severity.MEDIUM,
            attack=("T1606", "T1550.001"),
            innocent=phrase(
                "Some sign-ins arrive late. It was counted how many of this tenant's do: nearly all come sooner than "
                "the time that has passed since this token was issued."
            ),
            settles=phrase(
                "Ask again when a day has passed since the token was issued: its sign-in is there by then, or it is "
                "missing. Do not wait with what can be undone, such as revoking sessions."
            ),
            is_notice=True,
        ),
    },
    find=find,
)

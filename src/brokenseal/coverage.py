"""What the logs can and cannot tell: by source, by mailbox, and in plain sentences.

Runs before anything is judged. A detector whose needs are unmet is not assessable, and silence means something only
where coverage says that the logs could have spoken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
from ibis import _

from brokenseal.audit_switches import Unaudited, unaudited
from brokenseal.engines import begun
from brokenseal.gaps import gaps_of, timed
from brokenseal.model import Alarm, Coverage, Gap, MailboxCoverage, SourceCoverage
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

Row = dict[str, Any]

NEEDS: dict[str, Phrase] = {
    "mail_access": phrase("The logs hold no MailItemsAccessed records: which messages were read cannot be told."),
    "sign_in": phrase("The logs hold no sign-ins: how anybody got in cannot be told."),
    "non_interactive_sign_in": phrase(
        "The logs hold no non-interactive sign-ins: whether a token was ever issued cannot be told "
        "for most mail access."
    ),
    "configuration": phrase(
        "The logs hold no changes of configuration: rules, permissions and consents made by an intruder would not show."
    ),
    "token_ids": phrase("No mail access carries a token id: no reading can be tied to the issue of its token."),
    "session_ids": phrase("No mail access carries a session id: no reading can be tied to a sign-in by its session."),
}
"""What later statements can need of the logs, and what is to be said where it is missing, in the order to say it."""

# Alarms that mean that records which existed are not, or not fully, in the store.
_LOSSY = frozenset({"at_cap", "result_count_above", "flattened", "truncated_json"})
_CITED = 50
_PERCENT = 100


class _Line(NamedTuple):
    """One source that a verdict may lean on."""

    source: str
    title: Phrase
    without_it: Phrase


_LINES = (
    _Line(
        "unified_audit",
        phrase("Unified audit log"),
        phrase("Without it, nothing can be told of what was read, sent or changed in Exchange."),
    ),
    _Line(
        "mail_access",
        phrase("Mail access (MailItemsAccessed)"),
        phrase("Without it, it cannot be told which messages were read."),
    ),
    _Line(
        "configuration",
        phrase("Changes of configuration"),
        phrase("Without them, rules, forwarding, permissions and consents made by an intruder do not show."),
    ),
    _Line(
        "sign_in.audit_log",
        phrase("Sign-ins in the audit log (UserLoggedIn)"),
        phrase("Without them, sign-ins are known only from Entra's own logs."),
    ),
    _Line(
        "sign_in.interactive",
        phrase("Entra sign-ins, interactive"),
        phrase("Without them, it cannot be told who signed in by hand, from where and with what."),
    ),
    _Line(
        "sign_in.non_interactive",
        phrase("Entra sign-ins, non-interactive"),
        phrase("Without them, it cannot be told for most mail access whether its token was ever issued."),
    ),
    _Line(
        "sign_in.service_principal",
        phrase("Entra sign-ins, service principals"),
        phrase("Without them, it cannot be told whether the token of an application that acts by itself was issued."),
    ),
    _Line(
        "sign_in.managed_identity",
        phrase("Entra sign-ins, managed identities"),
        phrase("Without them, it cannot be told whether the token of a managed identity was issued."),
    ),
    _Line(
        "sign_in.microsoft_service_principal",
        phrase("Entra sign-ins, Microsoft's own service principals"),
        phrase("Without them, it cannot be told whether the token of a Microsoft service was issued."),
    ),
    _Line(
        "sign_in.adfs",
        phrase("Entra sign-ins, AD FS"),
        phrase("Without them, sign-ins through the organisation's own federation server do not show."),
    ),
    _Line(
        "sign_in.owa_auth",
        phrase("Tokens issued by Outlook on the web (OWAAuth)"),
        phrase("Without them, a token that Outlook on the web issued looks as if nobody had issued it."),
    ),
    _Line(
        "entra_audit",
        phrase("Entra directory audit"),
        phrase("Without it, changes of accounts, roles and applications are known only from the unified audit log."),
    ),
    _Line(
        "graph_activity",
        phrase("Microsoft Graph activity"),
        phrase("Without it, requests to Microsoft Graph are known only by the traces that they leave in Exchange."),
    ),
    _Line(
        "message_trace",
        phrase("Message trace"),
        phrase("Without it, subjects, senders and recipients of read messages are known only in part."),
    ),
)


def coverage(tables: Tables, alarms: tuple[Alarm, ...]) -> Coverage:
    """What the logs can and cannot tell.

    Args:
        tables: The store's tables.
        alarms: What is known of the inputs; alarms about gaps are added to them.
    Returns: Every source, present or not, in a fixed order; mailboxes by name; sentences with the gravest first.
    Raises: Nothing. An empty store gives a coverage of nothing, with every need unmet.
    """
    asked = [
        begun(table)
        for table in (
            source_spans(tables),
            mail_access_shares(tables),
            tables["events"].agg(first_at=_.occurred_at.min(), last_at=_.occurred_at.max()),
            tables["events"].filter(_.tenant_id.notnull()).select("tenant_id").distinct(),
        )
    ]
    gaps = gaps_of(tables)
    off = unaudited(tables)
    mailboxes = _mailboxes(tables, off)
    listed, (accesses,), (period,), tenants = (found().to_pylist() for found in asked)
    spans = {row["source"]: row for row in listed}
    sources = tuple(_source(line, spans.get(line.source), gaps.get(line.source, ())) for line in _LINES)
    total = accesses["accesses"]
    with_session = _share(accesses["sessions"], total)
    with_token = _share(accesses["tokens"], total)
    present = frozenset(source.source for source in sources if source.present)
    unmet = _unmet(present, with_session=with_session, with_token=with_token)
    alarms = (*alarms, *(_gap_alarm(gap) for source in sources for gap in source.gaps))
    return Coverage(
        first_at=period["first_at"],
        last_at=period["last_at"],
        tenants=tuple(sorted(row["tenant_id"] for row in tenants)),
        sources=sources,
        mailboxes=mailboxes,
        mail_accesses=total,
        with_session=with_session,
        with_token=with_token,
        alarms=alarms,
        cannot_tell=tuple(
            _sentences(unmet, present, mailboxes, off, alarms, with_session=with_session, with_token=with_token)
        ),
        unmet_needs=unmet,
    )


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())


def _share(part: int | None, whole: int) -> float | None:
    return None if not whole else (part or 0) / whole


# ---------------------------------------------------------------- tables


def source_spans(tables: Tables) -> ir.Table:
    """Per source: source, records, first_at, last_at."""
    rows = timed(tables)
    return rows.group_by("source").agg(
        records=rows.count(), first_at=rows.occurred_at.min(), last_at=rows.occurred_at.max()
    )


def mail_access_shares(tables: Tables) -> ir.Table:
    """One row over all mail accesses: accesses, sessions and tokens (how many carry the identifier).

    A token id that cannot be decoded is never evidence, so it does not count.
    """
    accesses = tables["mail_accesses"]
    return accesses.agg(
        accesses=accesses.count(),
        sessions=accesses.session_id.notnull().sum(),
        tokens=accesses.token_id.notnull().sum(),
    )


def mailbox_spans(tables: Tables) -> ir.Table:
    """Per mailbox of any record: mailbox_key, mailbox, accesses (null: none), first_at, last_at, sessions, tokens."""
    events, accesses = tables["events"], tables["mail_accesses"]
    named = ibis.union(
        events.select("mailbox_key", "mailbox_upn"),
        accesses.select("mailbox_key", "mailbox_upn"),
    ).filter(_.mailbox_key.notnull())
    seen = named.group_by("mailbox_key").agg(mailbox=named.mailbox_upn.max())
    read = accesses.group_by("mailbox_key").agg(
        accesses=accesses.count(),
        first_at=accesses.occurred_at.min(),
        last_at=accesses.occurred_at.max(),
        sessions=accesses.session_id.notnull().sum(),
        tokens=accesses.token_id.notnull().sum(),
    )
    return seen.left_join(read, "mailbox_key").drop("mailbox_key_right")


def throttled_days(tables: Tables) -> ir.Table:
    """Per mailbox and UTC day on which bind auditing stopped: mailbox_key, day (its start), event_id (the first)."""
    accesses = tables["mail_accesses"]
    stopped = accesses.filter(accesses.is_throttled & accesses.mailbox_key.notnull())
    return stopped.group_by("mailbox_key", day=stopped.occurred_at.truncate("D")).agg(event_id=stopped.event_id.min())


# ---------------------------------------------------------------- values


def _source(line: _Line, span: Row | None, gaps: tuple[Gap, ...]) -> SourceCoverage:
    return SourceCoverage(
        source=line.source,
        title=line.title,
        present=span is not None,
        records=0 if span is None else span["records"],
        first_at=None if span is None else span["first_at"],
        last_at=None if span is None else span["last_at"],
        gaps=gaps,
        without_it=line.without_it,
    )


def _mailboxes(tables: Tables, off: Sequence[Unaudited]) -> tuple[MailboxCoverage, ...]:
    stopped: dict[str, list[Row]] = {}
    for row in sorted(_rows(throttled_days(tables)), key=lambda row: row["day"]):
        stopped.setdefault(row["mailbox_key"], []).append(row)
    found = [_mailbox(row, stopped.get(row["mailbox_key"], []), off) for row in _rows(mailbox_spans(tables))]
    return tuple(sorted(found, key=lambda mailbox: (mailbox.mailbox, mailbox.mailbox_key)))


def _mailbox(row: Row, stopped: Sequence[Row], off: Iterable[Unaudited]) -> MailboxCoverage:
    switched = [span for span in off if span.concerns(row["mailbox_key"], row["mailbox"])]
    accesses = row["accesses"] or 0
    cited = {stop["event_id"] for stop in stopped[:_CITED]}
    return MailboxCoverage(
        mailbox=row["mailbox"] or row["mailbox_key"],
        mailbox_key=row["mailbox_key"],
        has_mail_access=accesses > 0,
        accesses=accesses,
        first_at=row["first_at"],
        last_at=row["last_at"],
        throttled_days=tuple(f"{stop['day']:%Y-%m-%d}" for stop in stopped),
        # Auditing can have been switched off before the logs begin, so nothing on record is no proof of the contrary.
        audit_bypassed=True if switched else None,
        with_session=_share(row["sessions"], accesses),
        with_token=_share(row["tokens"], accesses),
        event_ids=tuple(sorted(cited.union(*(span.event_ids for span in switched)))),
    )


def _unmet(present: frozenset[str], *, with_session: float | None, with_token: float | None) -> tuple[str, ...]:
    met = {
        "mail_access": "mail_access" in present,
        "sign_in": bool(present & {"sign_in.interactive", "sign_in.non_interactive", "sign_in.audit_log"}),
        "non_interactive_sign_in": "sign_in.non_interactive" in present,
        "configuration": bool(present & {"configuration", "entra_audit"}),
        "token_ids": bool(with_token),
        "session_ids": bool(with_session),
    }
    return tuple(need for need in NEEDS if not met[need])


def _gap_alarm(gap: Gap) -> Alarm:
    return Alarm(
        code="gap",
        place=gap.source,
        explanation=phrase(
            "No record from {first_at} to {last_at}, where about {expected} were to be expected.",
            first_at=gap.first_at,
            last_at=gap.last_at,
            expected=gap.expected_records,
        ),
    )


# ---------------------------------------------------------------- sentences


def _sentences(
    unmet: Sequence[str],
    present: frozenset[str],
    mailboxes: Sequence[MailboxCoverage],
    off: Sequence[Unaudited],
    alarms: Sequence[Alarm],
    *,
    with_session: float | None,
    with_token: float | None,
) -> Iterator[Phrase]:
    """What cannot be told, gravest first: what hides reading, then what hides the way in, then what is only partial."""
    has_accesses = "mail_access" not in unmet
    if has_accesses:
        yield from _hidden_reading(mailboxes)
    else:
        yield NEEDS["mail_access"]
    yield from _switched_off(off)
    yield from _lost_records(alarms)
    # Where no mail access is on record, what it would carry needs no sentence.
    said = {"mail_access"} if has_accesses else {"mail_access", "token_ids", "session_ids"}
    yield from (NEEDS[need] for need in unmet if need not in said)
    yield from _partial(with_session=with_session, with_token=with_token)
    if has_accesses and "sign_in.service_principal" not in present:
        yield phrase(
            "The logs hold no sign-ins of service principals: whether the tokens of applications that act by "
            "themselves were ever issued cannot be told."
        )
    if has_accesses and "message_trace" not in present:
        yield phrase(
            "The logs hold no message trace: subjects, senders and recipients of read messages "
            "are known only where another record names them."
        )


def _hidden_reading(mailboxes: Sequence[MailboxCoverage]) -> Iterator[Phrase]:
    silent = sum(not mailbox.has_mail_access for mailbox in mailboxes)
    if silent:
        yield phrase(
            "{mailboxes} mailbox(es) stand in the logs without any MailItemsAccessed record: "
            "whether they were read cannot be told.",
            mailboxes=silent,
        )
    days = sum(len(mailbox.throttled_days) for mailbox in mailboxes)
    if days:
        yield phrase(
            "On {days} day(s) the service stopped recording single reads of a mailbox "
            "({mailboxes} mailbox(es) concerned): more may have been read there than any record shows.",
            days=days,
            mailboxes=sum(bool(mailbox.throttled_days) for mailbox in mailboxes),
        )


def _switched_off(off: Iterable[Unaudited]) -> Iterator[Phrase]:
    for span in off:
        if span.reach == "account":
            yield phrase(
                "Auditing was off for the account {target} ({first_at} to {last_at}): "
                "what it did, in any mailbox, was not recorded.",
                target=span.target,
                first_at=span.first_at,
                last_at=span.last_at,
            )
        elif span.reach == "mailbox":
            yield phrase(
                "Auditing was off for the mailbox {target} ({first_at} to {last_at}): "
                "what was done in it was not recorded.",
                target=span.target,
                first_at=span.first_at,
                last_at=span.last_at,
            )
        else:
            yield phrase(
                "Auditing was off for the whole organisation ({first_at} to {last_at}): nothing was recorded.",
                first_at=span.first_at,
                last_at=span.last_at,
            )


def _lost_records(alarms: Sequence[Alarm]) -> Iterator[Phrase]:
    lossy = sum(alarm.code in _LOSSY for alarm in alarms)
    if lossy:
        yield phrase(
            "{alarms} warning(s) say that an export is cut or lossy: records may be missing, and what they would "
            "have shown cannot be told.",
            alarms=lossy,
        )
    gaps = sum(alarm.code == "gap" for alarm in alarms)
    if gaps:
        yield phrase(
            "{gaps} stretch(es) of hours hold no record where there should be some: what happened then cannot be told.",
            gaps=gaps,
        )


def _partial(*, with_session: float | None, with_token: float | None) -> Iterator[Phrase]:
    """Identifiers that some mail accesses carry and others do not."""
    # Rounded down, so that a share below one is never shown as all.
    if with_token and with_token < 1:
        yield phrase(
            "Only {percent} % of the mail accesses carry a token id: for the others it cannot be told whether their "
            "token was ever issued.",
            percent=int(with_token * _PERCENT),
        )
    if with_session and with_session < 1:
        yield phrase(
            "Only {percent} % of the mail accesses carry a session id: the others can be tied to a sign-in only by "
            "application and address.",
            percent=int(with_session * _PERCENT),
        )

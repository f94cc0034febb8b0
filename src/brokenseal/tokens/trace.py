"""Everything that a token or a session did in the logs.

Records are found by the token id, however it is written, and by the session id; every statement cites its records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any, Literal

import ibis
from ibis import _

from brokenseal.exposure import exposure
from brokenseal.selection import Selection
from brokenseal.simulated import is_simulated
from brokenseal.tokens.provenance import issuances, matches

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Exposure, Tables
    from brokenseal.tokens.provenance import Issuance, Subject

Row = dict[str, Any]
Kind = Literal["token", "session", "unknown"]

LISTED = 200
"""So many records of one kind are listed; counts, first and last are over all of them."""

TRACED = (
    "event_id",
    "source",
    "occurred_at",
    "tenant_id",
    "operation",
    "operation_key",
    "actor",
    "mailbox_upn",
    "client_ip",
    "user_agent",
    "effective_app",
    "session_id",
    "token_id",
    "object_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One value that records of the subject carry, such as an address, with how often and when."""

    value: str
    records: int
    first_at: dt.datetime
    last_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedSignIn:
    """One sign-in or issuance that names the subject."""

    event_id: str
    occurred_at: dt.datetime
    category: str | None
    actor: str | None
    app_id: str | None
    app_name: str | None
    client_ip: str | None
    succeeded: bool | None
    error_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedChange:
    """One change of configuration, permission, application, role or account."""

    event_id: str
    occurred_at: dt.datetime
    change: str | None
    operation: str | None
    actor: str | None
    target: str | None
    grantee: str | None
    succeeded: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRequest:
    """One request to Microsoft Graph."""

    event_id: str
    occurred_at: dt.datetime
    method: str | None
    uri: str | None
    status_code: int | None
    reads_mail: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one token or session did.

    Attributes:
        subject: What was asked about; never a token's text.
        kind: `token` or `session` by what the logs know the id as; `unknown` where they know neither.
        simulated: True where a tenant in it is one that the product made up.
        issuances: Whether its token, or each token of the session, was ever issued.
        tokens, sessions: Token ids and session ids that its records carry.
        sign_ins, changes, requests: The first `LISTED` of each, by time; `counts` tells how many there are.
        event_ids: The first records by time, `LISTED` at most.
    """

    subject: str
    kind: Kind
    simulated: bool
    records: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    counts: dict[str, int]
    issuances: tuple[Issuance, ...]
    sign_ins: tuple[TracedSignIn, ...]
    mail: Exposure | None
    changes: tuple[TracedChange, ...]
    requests: tuple[TracedRequest, ...]
    operations: tuple[Counted, ...]
    actors: tuple[Counted, ...]
    addresses: tuple[Counted, ...]
    agents: tuple[Counted, ...]
    apps: tuple[Counted, ...]
    tokens: tuple[Counted, ...]
    sessions: tuple[Counted, ...]
    event_ids: tuple[str, ...]


# ---------------------------------------------------------------- expressions


def traced(tables: Tables, subject: Subject) -> ir.Table:
    """The records of the subject, each once: the columns of `TRACED`.

    A sign-in of the audit log writes its session and its token beside the record's own fields, so the sign-ins are
    asked as well as the events.
    """
    events, sign_ins = tables["events"], tables["sign_ins"]
    own = events.filter(matches(events, subject)).select("event_id")
    signed = sign_ins.filter(matches(sign_ins, subject)).select("event_id")
    ids = own.union(signed).distinct()
    return events.select(*TRACED).semi_join(ids, "event_id").distinct()


def counted(records: ir.Table, column: str) -> ir.Table:
    """Each value of a column of `traced`: value, records, first_at, last_at; the most frequent first."""
    told = records.filter(records[column].notnull())
    groups = told.group_by(value=told[column]).agg(
        records=told.event_id.nunique(), first_at=told.occurred_at.min(), last_at=told.occurred_at.max()
    )
    return groups.order_by(ibis.desc("records"), "value")


def of_records(table: ir.Table, records: ir.Table, columns: tuple[str, ...]) -> ir.Table:
    """The rows of a special table that belong to the records, each once."""
    return table.select(*columns).semi_join(records.select("event_id"), "event_id").distinct()


# ---------------------------------------------------------------- values


def trace(tables: Tables, subject: Subject, *, messages: int = 5000) -> Trace:
    """Everything that the subject did in the logs.

    Args:
        tables: The store's tables.
        subject: A token, token id or session id; see `provenance.subject_of`.
        messages: How many read messages are listed at most; counts are over all.
    Raises: Nothing. A subject that the logs do not know gives a trace of nothing.
    """
    subject, kind = resolved(tables, subject)
    # Asked for some fifteen times, and looked up once.
    with traced(tables, subject).cache() as records:
        return _trace(tables, records, subject, kind, messages)


def _trace(tables: Tables, records: ir.Table, subject: Subject, kind: Kind, messages: int) -> Trace:
    (span,) = _rows(
        records.agg(
            records=records.event_id.nunique(), first_at=records.occurred_at.min(), last_at=records.occurred_at.max()
        )
    )
    mail = None if kind == "unknown" else exposure(tables, _selection(subject, kind), limit=messages)
    tenants = _rows(tables["events"].filter(_.tenant_id.notnull()).select("tenant_id").distinct())
    special = {name: of_records(tables[name], records, _columns(kept)) for name, kept in _SPECIAL.items()}
    listed = {name: _rows(rows.order_by("occurred_at", "event_id").limit(LISTED)) for name, rows in special.items()}
    first = records.order_by("occurred_at", "event_id").select("event_id").limit(LISTED)
    return Trace(
        subject=subject.shown,
        kind=kind,
        simulated=is_simulated(row["tenant_id"] for row in tenants),
        **span,
        counts={name: _count(rows) for name, rows in special.items()}
        | {"mail_accesses": 0 if mail is None else mail.accesses},
        issuances=issuances(tables, subject),
        sign_ins=tuple(TracedSignIn(**row) for row in listed["sign_ins"]),
        mail=mail,
        changes=tuple(TracedChange(**row) for row in listed["config_changes"]),
        requests=tuple(TracedRequest(**row) for row in listed["graph_requests"]),
        operations=_counted(records, "operation"),
        actors=_counted(records, "actor"),
        addresses=_counted(records, "client_ip"),
        agents=_counted(records, "user_agent"),
        apps=_counted(records, "effective_app"),
        tokens=_counted(records, "token_id"),
        sessions=_counted(records, "session_id"),
        event_ids=tuple(row["event_id"] for row in _rows(first)),
    )


_SPECIAL: Mapping[str, type] = {
    "sign_ins": TracedSignIn,
    "config_changes": TracedChange,
    "graph_requests": TracedRequest,
}


def resolved(tables: Tables, subject: Subject) -> tuple[Subject, Kind]:
    """The subject as what the logs know it: a GUID may be a token's id or a session's, and is then only one of them."""
    if subject.is_token or subject.session_id is None:
        return subject, "token" if subject.session_id is None else "session"
    token = replace(subject, session_id=None)
    session = replace(subject, token_id=None, token_id_raw=None)
    if _count(traced(tables, token)):
        return token, "token"
    return (session, "session") if _count(traced(tables, session)) else (subject, "unknown")


def _selection(subject: Subject, kind: Kind) -> Selection:
    if kind == "session":
        return Selection.by("session", subject.session_id or "")
    return Selection.by("token", subject.token_id or subject.token_id_raw or "")


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())


def _count(table: ir.Table) -> int:
    (row,) = _rows(table.agg(n=table.event_id.nunique()))
    return int(row["n"])


def _columns(kept: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclass_fields(kept))


def _counted(records: ir.Table, column: str) -> tuple[Counted, ...]:
    return tuple(Counted(**row) for row in _rows(counted(records, column).limit(LISTED)))

"""Was this token ever issued, as far as the logs show? Yes, no, or cannot tell with its reason.

The judgement is the detector's own (`detectors.token_provenance`): a token that read mail has its verdicts there, and
one that never did is put beside the mail accesses as one more row, so that coverage gates both in the same way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import ibis

from brokenseal import fields, schema
from brokenseal.detectors import token_provenance
from brokenseal.errors import UsageError
from brokenseal.tokens.reading import read

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

Verdict = Literal["issued", "not_issued", "cannot_tell"]
Row = dict[str, Any]
_Token = tuple[str | None, str | None]

_ASKED = "asked:"
_SERVICE_PRINCIPAL = 6
_POINTS = 2
_LONGEST_ID = 128
_SCHEME = re.compile(r"(?:authorization:\s*)?bearer\s+", re.IGNORECASE)
_COLUMNS = token_provenance.READS["mail_accesses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked about: a token, or an id that may be a token's or a session's.

    Attributes:
        shown: What to call it: never a token's signature, nor its text.
        token_id: The token id as its GUID; None where there is none or it cannot be decoded.
        token_id_raw: The token id as written, where it cannot be decoded.
        session_id: The session id; for a token only where it has no id of its own.
        issued_at, tenant_id, client_app_id, is_application: As the token's claims say; None where unknown.
        is_token: True where a token was given, false for an id.
    """

    shown: str
    token_id: str | None = None
    token_id_raw: str | None = None
    session_id: str | None = None
    issued_at: dt.datetime | None = None
    tenant_id: str | None = None
    client_app_id: str | None = None
    is_application: bool | None = None
    is_token: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """Whether one token was issued.

    Attributes:
        verdict: `issued`, `not_issued` or `cannot_tell`.
        reason: One of `token_provenance.REASONS`; None unless it cannot be told.
        event_ids: The sign-ins and issuance records that name it, sorted.
    """

    token_id: str | None
    token_id_raw: str | None
    verdict: Verdict
    reason: str | None = None
    event_ids: tuple[str, ...] = ()


# ---------------------------------------------------------------- what is asked


def looks_like_token(text: str) -> bool:
    """True for text in the form of a compact token: three parts, the first of them a JSON object in base64url."""
    bare = _SCHEME.sub("", text.strip(), count=1)
    return bare.count(".") == _POINTS and bare.startswith("ey")


def subject_of(text: str) -> Subject:
    """A token, a token id in any of its forms, or a session id.

    Raises:
        UsageError: The text is empty, or a token without token id and session id.
    """
    stripped = _SCHEME.sub("", text.strip(), count=1)
    if looks_like_token(stripped):
        return _subject_of_claims(read(stripped).claims)
    session_id = fields.identifier(stripped)
    if session_id is None or len(stripped) > _LONGEST_ID:
        # The value is not repeated: it may be a token that was cut or copied wrongly.
        raise UsageError(place="token trace", expected="a token, a token id or a session id")
    token_id, _ = fields.canonical_token_id(stripped)
    return Subject(
        shown=stripped,
        token_id=token_id,
        token_id_raw=None if token_id else stripped,
        session_id=session_id,
    )


def _subject_of_claims(claims: Mapping[str, Any]) -> Subject:
    raw = fields.text_of(claims.get("uti"))
    token_id, _ = fields.canonical_token_id(raw)
    session_id = None if raw else fields.identifier(claims.get("sid"))
    if raw is None and session_id is None:
        raise UsageError(place="token", expected="a token with a token id (uti) or a session id (sid)")
    kind = fields.fold(claims.get("idtyp"))
    return Subject(
        shown=raw or session_id or "",
        token_id=token_id,
        token_id_raw=None if token_id else raw,
        session_id=session_id,
        issued_at=_moment(claims.get("iat")),
        tenant_id=fields.identifier(claims.get("tid")),
        client_app_id=fields.identifier(claims.get("azp")) or fields.identifier(claims.get("appid")),
        is_application=None if kind is None else kind == "app",
        is_token=True,
    )


def _moment(seconds: object) -> dt.datetime | None:
    import datetime as dt

    whole = fields.integer(seconds)
    try:
        return None if whole is None else dt.datetime.fromtimestamp(whole, tz=dt.UTC)
    except (OverflowError, OSError, ValueError):  # a hostile claim
        return None


# ---------------------------------------------------------------- expressions


def matches(rows: ir.Table, subject: Subject) -> ir.BooleanValue:
    """True for rows that carry the subject's token id (in any form) or session id; never null.

    Args:
        rows: A table with `token_id`, `token_id_raw` and `session_id`; `request_id` is looked at where it is there.
        subject: What is asked about.
    """
    parts = []
    if subject.token_id is not None:
        parts.append(rows.token_id == subject.token_id)
        if "request_id" in rows.columns:
            parts.append(rows.request_id == subject.token_id)
    if subject.token_id_raw is not None:
        parts.append(rows.token_id_raw == subject.token_id_raw)
    if subject.session_id is not None:
        parts.append(rows.session_id == subject.session_id)
    return ibis.or_(*(part.fill_null(ibis.literal(value=False)) for part in parts))


def tokens_of(tables: Tables, subject: Subject) -> ir.Table:
    """Every token that records of the subject carry, with what they say of it.

    Returns: One row per token: token_id, token_id_raw (null unless the id cannot be decoded), token_issued_at,
        token_tenant_id, effective_app.
    """
    events, sign_ins = tables["events"], tables["sign_ins"]
    recorded = events.filter(matches(events, subject)).select(
        "token_id", "token_id_raw", "token_issued_at", "token_tenant_id", "effective_app"
    )
    # A token of a sign-in was issued about then, and the record says nothing nearer.
    named = sign_ins.filter(matches(sign_ins, subject))
    named = named.select(
        token_id=named.token_id.coalesce(named.request_id),
        token_id_raw=named.token_id_raw,
        token_issued_at=named.occurred_at,
        token_tenant_id=ibis.null("string"),
        effective_app=named.app_id,
    )
    both = recorded.union(named)
    both = both.mutate(token_id_raw=ibis.ifelse(both.token_id.isnull(), both.token_id_raw, ibis.null("string")))
    both = both.filter(both.token_id.notnull() | both.token_id_raw.notnull())
    return both.group_by("token_id", "token_id_raw").agg(
        token_issued_at=both.token_issued_at.min(),
        token_tenant_id=both.token_tenant_id.max(),
        effective_app=both.effective_app.max(),
    )


def access_verdicts(tables: Tables, subject: Subject) -> ir.Table:
    """The verdicts on the mail accesses of the subject: token_id, token_id_raw, verdict, reason, n (accesses)."""
    accesses = tables["mail_accesses"]
    asked = accesses.filter(matches(accesses, subject)).select("event_id", "token_id", "token_id_raw").distinct()
    judged = asked.inner_join(token_provenance.verdicts(tables), "event_id")
    return judged.group_by("token_id", "token_id_raw", "verdict", "reason").agg(n=judged.event_id.nunique())


def naming_sign_ins(tables: Tables, subject: Subject) -> ir.Table:
    """Sign-ins and issuance records that name the subject: event_id, token_id."""
    sign_ins = tables["sign_ins"]
    found = sign_ins.filter(matches(sign_ins, subject))
    return found.select("event_id", token_id=found.token_id.coalesce(found.request_id)).distinct()


def protocols(tables: Tables) -> ir.Table:
    """Under which protocols applications read mail: effective_app, protocol, n (distinct tokens)."""
    accesses = tables["mail_accesses"]
    told = accesses.filter(accesses.token_id.notnull(), accesses.effective_app.notnull())
    return told.group_by("effective_app", "protocol").agg(n=told.token_id.nunique())


def asked_verdicts(tables: Tables, rows: Sequence[Mapping[str, Any]]) -> ir.Table:
    """The verdicts on tokens that read no mail, judged as if they had: event_id, verdict, reason.

    Args:
        tables: The store's tables.
        rows: Columns of `mail_accesses` that are known of each token, with an `event_id`; others are null.
    """
    import pyarrow as pa

    accesses = tables["mail_accesses"].select(*_COLUMNS)
    declared = schema.MAIL_ACCESS.arrow_schema()
    wanted = pa.schema([declared.field(name) for name in _COLUMNS])
    given = pa.Table.from_pylist([{name: row.get(name) for name in _COLUMNS} for row in rows], schema=wanted)
    asked = ibis.memtable(given).select(*_COLUMNS)
    judged = token_provenance.verdicts({**tables, "mail_accesses": accesses.union(asked.cast(accesses.schema()))})
    return judged.semi_join(asked.select("event_id"), "event_id").select("event_id", "verdict", "reason")


# ---------------------------------------------------------------- values


def issuances(tables: Tables, subject: Subject) -> tuple[Issuance, ...]:
    """Whether the subject's token, or each token that its session is known to have had, was issued.

    Args:
        tables: The store's tables.
        subject: What is asked about.
    Returns: One issuance per token, sorted by token id: exactly one for a token with an id; for another id as many as
        the logs know, which may be none. A session without a sign-in is no proof: sessions outlive logs.
    Raises: Nothing.
    """
    tokens = {_key(row): row for row in _rows(tokens_of(tables, subject))}
    if subject.is_token and subject.session_id is None:
        own = (subject.token_id, subject.token_id_raw)
        tokens = {own: tokens.get(own, {}) | {name: value for name, value in _claimed(subject).items() if value}}
    verdicts: dict[_Token, list[Row]] = defaultdict(list)
    for row in _rows(access_verdicts(tables, subject)):
        verdicts[_key(row)].append(row)
    silent = [token for token in tokens if token not in verdicts]
    verdicts |= _asked(tables, {token: tokens[token] for token in silent}, subject)
    named: dict[str, set[str]] = defaultdict(set)
    for row in _rows(naming_sign_ins(tables, subject)):
        if row["token_id"] is not None:
            named[row["token_id"]].add(row["event_id"])
    found = [_issuance(token, verdicts[token], named.get(token[0] or "", ())) for token in verdicts]
    return tuple(sorted(found, key=lambda each: (each.token_id or "", each.token_id_raw or "")))


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())


def _key(row: Row) -> _Token:
    return row["token_id"], row["token_id_raw"] if row["token_id"] is None else None


def _claimed(subject: Subject) -> Row:
    return {
        "token_issued_at": subject.issued_at,
        "token_tenant_id": subject.tenant_id,
        "effective_app": subject.client_app_id,
    }


def _asked(tables: Tables, tokens: Mapping[_Token, Row], subject: Subject) -> dict[_Token, list[Row]]:
    """The verdicts on tokens that no mail access carries."""
    if not tokens:
        return {}
    tenants = {row["tenant_id"] for row in _rows(tables["events"].select("tenant_id").distinct())} - {None}
    usual: dict[str, Row] = {}
    for row in sorted(_rows(protocols(tables)), key=lambda row: (row["n"], row["protocol"] or "")):
        usual[row["effective_app"]] = row
    asked = []
    for number, ((token_id, raw), known) in enumerate(tokens.items()):
        own = known.get("token_tenant_id")
        app = known.get("effective_app")
        row = {
            "event_id": f"{_ASKED}{number}",
            "token_id": token_id,
            "token_id_raw": raw,
            "token_issued_at": known.get("token_issued_at"),
            # The logs of the token's own tenant where they are there; else a token of another tenant's is foreign.
            "tenant_id": own if own in tenants else max(tenants, default=None),
            "token_tenant_id": own,
            "effective_app": app,
            "protocol": usual.get(app or "", {}).get("protocol"),
            "user_type": _SERVICE_PRINCIPAL if subject.is_application else None,
        }
        asked.append(row)
    by_event = {row["event_id"]: row for row in _rows(asked_verdicts(tables, asked))}
    return {token: [by_event[f"{_ASKED}{number}"]] for number, token in enumerate(tokens)}


def _issuance(token: _Token, rows: Iterable[Row], event_ids: Iterable[str]) -> Issuance:
    """One verdict of those on its mail accesses; one that can be told outweighs those that cannot."""
    said = {row["verdict"]: row["reason"] for row in sorted(rows, key=_by_reason)}
    verdict: Verdict = "issued" if "issued" in said else "not_issued" if "not_issued" in said else "cannot_tell"
    return Issuance(
        token_id=token[0],
        token_id_raw=token[1],
        verdict=verdict,
        reason=said[verdict],
        event_ids=tuple(sorted(event_ids)),
    )


def _by_reason(row: Row) -> int:
    """The last reason in the detector's order first, so that the first of them stands at the end."""
    reason = row["reason"]
    return -token_provenance.REASONS.index(reason) if reason in token_provenance.REASONS else 0

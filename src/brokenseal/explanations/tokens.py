"""Was the token issued? Its id as recorded and decoded, the sign-ins around its issue, and the rate of its class."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Final, Literal

import ibis
import pyarrow as pa

from brokenseal.detectors._lateness import AGES_S, Lateness, lateness
from brokenseal.detectors._orphans import CEILING, Token, pending, reference
from brokenseal.detectors.token_provenance import cluster_tokens, strange_clusters
from brokenseal.explanations.asked import Asked, Row, by_unit, read, rows_table, seconds, texts_table
from brokenseal.explanations.values import SignIn, TokenClass, TokenSide, UsedToken, Waiting
from brokenseal.fields import canonical_token_id
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

NEAR_S: Final = 30 * 60
"""Sign-ins so long before and after the token's time of issue are listed."""
TOKENS_SHOWN: Final = 4
SIGN_INS_SHOWN: Final = 8
_BILLION: Final = 1e9
_ORDER: Final = {"orphan": 0, "session_only": 1, "cannot_tell": 2, "issued": 3}

_REFUTES: Final = phrase(
    "A successful sign-in of any category whose request id is the decoded id, in a new export of the hours around the "
    "time of issue; or a gap in the sign-in log at that time, which other users' tokens of that hour would show too."
)


def token_sides(asked: Asked) -> dict[str, TokenSide]:
    """Unit to what its tokens say; units whose records carry no token id are left out."""
    listed = _used(asked)
    if not listed:
        return {}
    every = _every_token(asked)
    told = {(token.unit, token.token): token for token in every}
    classes = _classes(every, set(listed), strange_clusters(asked.tables))
    waiting = _waiting(every, set(listed), lateness(asked.tables))
    ids = {row["token_id"] for rows in listed.values() for row in rows}
    named_by = _naming(asked, ids)
    near = _near(asked, listed)
    found = {}
    for unit, rows in listed.items():
        tokens = [_token(unit, row, told, named_by, near.get((unit, row["used_as"]), [])) for row in rows]
        tokens.sort(key=lambda one: (_ORDER[one.outcome], one.issued_at or one.first_at, one.token_id_raw or ""))
        found[unit] = TokenSide(
            tokens=tuple(tokens[:TOKENS_SHOWN]),
            n_tokens=len(tokens),
            of_class=classes.get(unit),
            refutes=_REFUTES,
            waiting=waiting.get(unit),
        )
    return found


def _used(asked: Asked) -> dict[str, list[Row]]:
    """The tokens of each unit, with who used them, when and how often."""
    rows = asked.members()
    rows = rows.filter(rows.token_id_raw.notnull() | rows.token_id.notnull())
    rows = rows.mutate(used_as=ibis.coalesce(rows.token_id, rows.token_id_raw))
    used = rows.group_by(["cluster", "used_as"]).aggregate(
        token_id_raw=rows.token_id_raw.min(),
        token_id=rows.token_id.min(),
        issued_at=rows.token_issued_at.min(),
        first_at=rows.occurred_at.min(),
        last_at=rows.occurred_at.max(),
        records=rows.event_id.nunique(),
        actor=rows.actor_key.min(),
        subject=rows.token_subject.min(),
        event_id=rows.event_id.argmin(rows.occurred_at),
    )
    return by_unit(read(used.order_by("cluster", "first_at", "used_as")))


def _every_token(asked: Asked) -> list[Token]:
    """The tokens of all session clusters, as the detector takes them: a class is judged by its other mailboxes."""
    rows = cluster_tokens(asked.tables).to_pyarrow()
    issued_at = rows.column("issued_at").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    names = ("unit", "tenant", "mailbox", "provenance", "token", "reason", "is_issued", "is_session_known")
    columns = [rows.column(name).to_pylist() for name in names]
    return [
        Token(unit, tenant, mailbox, kind, token, -1 if at is None else at, reason, issued, known)
        for unit, tenant, mailbox, kind, token, reason, issued, known, at in zip(*columns, issued_at, strict=True)
    ]


def _classes(tokens: Sequence[Token], units: set[str], strange: frozenset[str] | None) -> dict[str, TokenClass]:
    """Unit to the counts of its class in the tenant's other mailboxes."""
    held, episodes, bounds = reference(tokens, strange)
    classes = {}
    for unit in sorted(units.intersection(held)):
        episode = episodes[unit]
        token = held[unit][0] if episode is None else episode.token
        rest = bounds.rest(token)
        upper, _ = bounds.bound(token, "orphan")
        classes[unit] = TokenClass(
            provenance=token.provenance,
            episodes=rest.episodes,
            joined=rest.episodes - rest.orphans - rest.session_only,
            session_only=rest.session_only,
            orphans=rest.orphans,
            upper_ppb=math.ceil(upper * _BILLION),
            ceiling_ppb=round(CEILING * _BILLION),
        )
    return classes


def _waiting(tokens: Sequence[Token], units: set[str], late: Lateness | None) -> dict[str, Waiting]:
    """Unit to the sign-in that may still come; see `_lateness`."""
    if late is None:
        return {}
    held: dict[str, list[Token]] = {}
    for token in tokens:
        if token.unit in units:
            held.setdefault(token.unit, []).append(token)
    later = tuple((at, math.ceil(share * _BILLION)) for at, share in zip(AGES_S, late.later, strict=True))
    missed = {unit: alone for unit, own in held.items() if (alone := pending(own, late)) is not None}
    return {
        unit: Waiting(
            token_id=token.token, waited_s=int(late.age_s(token.issued_at_us)), lags=late.lags, later_ppb=later
        )
        for unit, token in missed.items()
    }


_OF_SIGN_IN: Final = (
    "event_id", "occurred_at", "category", "succeeded", "actor_key", "actor", "subject_id", "app_id", "app_name",
    "client_ip", "request_id", "token_id",
)  # fmt: skip


def _naming(asked: Asked, ids: set[str | None]) -> dict[str, list[Row]]:
    """Token id to the sign-ins that name it, whoever signed in and with whatever result."""
    wanted = texts_table("wanted_id", ids)
    rows = asked.tables["sign_ins"].select(*_OF_SIGN_IN).distinct()
    by_request = rows.inner_join(wanted, rows.request_id == wanted.wanted_id)
    by_token = rows.inner_join(wanted, rows.token_id == wanted.wanted_id)
    return by_unit(
        read(by_request.union(by_token).distinct().order_by("wanted_id", "occurred_at", "event_id")), "wanted_id"
    )


def _near(asked: Asked, listed: Mapping[str, Sequence[Row]]) -> dict[tuple[str, str], list[Row]]:
    """Unit and token to this user's sign-ins near its time of issue, and the nearest that issued a token."""
    columns = {
        "unit": "string",
        "used_as": "string",
        "who": "string",
        "subject": "string",
        "issue": "timestamp('UTC', 6)",
    }
    dated = [(unit, row) for unit, rows in listed.items() for row in rows if row["issued_at"] is not None]
    if not dated:
        return {}
    tokens = rows_table(
        columns, ((unit, row["used_as"], row["actor"], row["subject"], row["issued_at"]) for unit, row in dated)
    )
    rows = asked.tables["sign_ins"].select(*_OF_SIGN_IN).distinct()
    rows = rows.filter(rows.occurred_at.notnull())
    met = tokens.inner_join(rows, tokens.who == rows.actor_key)
    met = met.union(tokens.inner_join(rows, tokens.subject == rows.subject_id)).distinct()
    met = met.mutate(distance_s=met.occurred_at.delta(met.issue, unit="second").abs(), issues=_issues(met))
    of_token = ibis.window(group_by=[met.unit, met.used_as, met.issues], order_by=[met.distance_s, met.event_id])
    met = met.mutate(place=ibis.row_number().over(of_token))
    met = met.filter((met.distance_s <= NEAR_S) | (met.issues & (met.place == 0)))
    found: dict[tuple[str, str], list[Row]] = {}
    for row in read(met.order_by("unit", "used_as", "occurred_at", "event_id")):
        found.setdefault((row["unit"], row["used_as"]), []).append(row)
    return found


def _issues(rows: ir.Table) -> ir.BooleanValue:
    """Successful sign-ins by which a token can be found."""
    no = ibis.literal(value=False)
    succeeded = rows.succeeded.fill_null(rows.category == "owa_auth").fill_null(no)
    return succeeded & ibis.coalesce(rows.token_id, rows.request_id).notnull()


def _token(
    unit: str,
    row: Row,
    told: Mapping[tuple[str, str], Token],
    named_by: Mapping[str, Sequence[Row]],
    around: Sequence[Row],
) -> UsedToken:
    issued_at = row["issued_at"]
    said = told.get((unit, row["token_id"] or ""))
    near = [one for one in around if one["distance_s"] <= NEAR_S]
    # Those nearest to the issue are shown, in the order of time.
    closest = sorted(
        sorted(near, key=_by_distance)[:SIGN_INS_SHOWN], key=lambda one: (one["occurred_at"], one["event_id"])
    )
    nearest = min((one for one in around if one["issues"]), key=_by_distance, default=None)
    outcome, reason = _outcome(said)
    return UsedToken(
        token_id_raw=row["token_id_raw"],
        token_id=row["token_id"],
        form=canonical_token_id(row["token_id_raw"])[1],
        issued_at=issued_at,
        first_at=row["first_at"],
        last_at=row["last_at"],
        records=row["records"],
        outcome=outcome,
        reason=reason,
        event_id=row["event_id"],
        named_by=tuple(_sign_in(one, issued_at) for one in named_by.get(row["token_id"] or "", ())[:SIGN_INS_SHOWN]),
        near=tuple(_sign_in(one, issued_at) for one in closest),
        n_near=len(near),
        nearest=None if nearest is None else _sign_in(nearest, issued_at),
    )


def _outcome(said: Token | None) -> tuple[Literal["issued", "session_only", "orphan", "cannot_tell"], str | None]:
    """What became of a token, as the detector sees it."""
    if said is None:
        return "cannot_tell", None
    if said.is_issued:
        return "issued", None
    if said.reason is not None:
        return "cannot_tell", said.reason
    return ("session_only" if said.is_session_known else "orphan"), None


def _by_distance(row: Row) -> tuple[int, str]:
    return (row["distance_s"], row["event_id"])


def _sign_in(row: Row, issued_at: object) -> SignIn:
    at = row["occurred_at"]
    return SignIn(
        event_id=row["event_id"],
        occurred_at=at,
        category=row["category"],
        succeeded=row["succeeded"],
        actor=row["actor"],
        app_id=row["app_id"],
        app_name=row["app_name"],
        client_ip=row["client_ip"],
        issued_id=row["token_id"] or row["request_id"],
        after_s=seconds(issued_at, at) if isinstance(issued_at, dt.datetime) and at is not None else None,
    )

"""Can the token's claims be true? The two facts of each contradiction, raw, with the record that each stands in."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.detectors import impossible_token
from brokenseal.detectors.impossible_token import BINS
from brokenseal.explanations.asked import Asked, Row, by_unit, fact, read, seconds, texts_table
from brokenseal.explanations.values import ClaimSide, Contradiction, Fact
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ID: Final = impossible_token.DETECTOR.id
_REFUTES: Final = phrase(
    "The recorded text of both records says something else than the fields shown here; or the export changed times or "
    "replaced identifiers, which other records of the same file would show too."
)
_OF_SIGN_IN: Final = (
    "event_id", "occurred_at", "category", "succeeded", "error_code", "subject_id", "app_id", "request_id", "token_id",
)  # fmt: skip


class _Seen(NamedTuple):
    """What the records of one contradiction are compared with.

    Attributes:
        uses: Token id to the records of anybody that used it, by time.
        issues: Token id to the sign-ins that name it.
        revocations: Account to its revocations, by time.
    """

    uses: Mapping[str, Sequence[Row]]
    issues: Mapping[str, Sequence[Row]]
    revocations: Mapping[str, Sequence[Row]]


def claim_sides(asked: Asked) -> dict[str, ClaimSide]:
    """Unit to the contradictions of its tokens; units without any are left out."""
    units = asked.fired(ID)
    if not units:
        return {}
    rows = impossible_token.judged(asked.tables)
    wanted = texts_table("wanted_unit", units)
    rows = rows.filter(rows.bin.notnull()).semi_join(wanted, rows.cluster == wanted.wanted_unit)
    of_bin = ibis.window(group_by=[rows.cluster, rows.bin], order_by=[rows.occurred_at, rows.event_id])
    whole = ibis.window(group_by=[rows.cluster, rows.bin])
    rows = rows.mutate(place=ibis.row_number().over(of_bin), failing=rows.event_id.count().over(whole))
    first = by_unit(read(rows.filter(rows.place == 0).drop("place")))
    every = [row for held in first.values() for row in held]
    seen = _seen(asked, every)
    rank = {name: number for number, name in enumerate(BINS)}
    return {
        unit: ClaimSide(
            contradictions=tuple(_contradiction(row, seen) for row in sorted(held, key=lambda row: rank[row["bin"]])),
            refutes=_REFUTES,
        )
        for unit, held in first.items()
    }


def _seen(asked: Asked, rows: Sequence[Row]) -> _Seen:
    wanted = texts_table("wanted_id", (row["token_id"] for row in rows))
    members = asked.tables["members"]
    uses = members.semi_join(wanted, members.token_id == wanted.wanted_id).select(
        "event_id", "occurred_at", "token_id", "token_subject", "token_issued_at", "effective_app", "session_id"
    )
    uses = uses.distinct()
    # Each different claim once: what a token was used with hundreds of times is one fact.
    claims = ["token_id", "token_subject", "token_issued_at", "effective_app", "session_id"]
    uses = uses.group_by(claims).aggregate(
        event_id=uses.event_id.argmin(uses.occurred_at), occurred_at=uses.occurred_at.min()
    )
    sign_ins = asked.tables["sign_ins"].select(*_OF_SIGN_IN).distinct()
    sign_ins = sign_ins.mutate(issued_id=ibis.coalesce(sign_ins.token_id, sign_ins.request_id))
    issues = sign_ins.semi_join(wanted, sign_ins.issued_id == wanted.wanted_id)
    accounts = texts_table("account", (row["actor_key"] for row in rows))
    changes = asked.tables["config_changes"].select("event_id", "occurred_at", "change", "target_key").distinct()
    changes = changes.filter(changes.change.isin(("sessions_revoked", "password_reset")), changes.occurred_at.notnull())
    changes = changes.semi_join(accounts, changes.target_key == accounts.account)
    return _Seen(
        uses=by_unit(read(uses.order_by("occurred_at", "event_id")), "token_id"),
        issues=by_unit(read(issues.order_by("occurred_at", "event_id")), "issued_id"),
        revocations=by_unit(read(changes.order_by("occurred_at", "event_id")), "target_key"),
    )


Facts = tuple[Fact, ...]


def _contradiction(row: Row, seen: _Seen) -> Contradiction:
    name = row["bin"]
    facts = _FACTS[name](row, seen)
    return Contradiction(
        bin=name, meaning=BINS[name], facts=facts, between_s=_between(*facts[:2]), records=row["failing"]
    )


def _own(row: Row, column: str) -> Fact:
    return fact("mail_accesses", column, row["event_id"], row.get(column))


def _between(first: Fact, second: Fact) -> int | None:
    """Seconds between two facts where both are times."""
    if not (first.column.endswith("_at") and second.column.endswith("_at") and first.value and second.value):
        return None
    return seconds(dt.datetime.fromisoformat(first.value), dt.datetime.fromisoformat(second.value))


def _two_tenants(row: Row, _: _Seen) -> Facts:
    return _own(row, "token_tenant_id"), _own(row, "tenant_id")


def _unknown_tenant(row: Row, _: _Seen) -> Facts:
    # That no sign-in names the tenant is a fact about all of them, and cites none.
    return _own(row, "token_tenant_id"), _own(row, "tenant_id"), fact("sign_ins", "home_tenant_id", None, None)


def _issue_and_use(row: Row, _: _Seen) -> Facts:
    return _own(row, "token_issued_at"), _own(row, "occurred_at")


def _differing(*columns: str) -> Callable[[Row, _Seen], Facts]:
    """The first of the columns in which two records with the token say different things, the row's own first."""

    def facts(row: Row, seen: _Seen) -> Facts:
        uses = (row, *seen.uses.get(row["token_id"], ()))
        for column in columns:
            said = [use for use in uses if use[column] is not None]
            other = next((use for use in said if use[column] != said[0][column]), None)
            if other is not None:
                return _own(said[0], column), _own(other, column)
        return _own(row, columns[0]), fact("mail_accesses", columns[0], None, None)

    return facts


def _issued(row: Row, seen: _Seen, column: str, value: str | None) -> Fact:
    """What the sign-in of the token says."""
    issues = seen.issues.get(row["token_id"], ())
    event_id = next((issue["event_id"] for issue in issues if issue[column] == value), None)
    return fact("sign_ins", column, event_id, value)


def _issued_to(row: Row, seen: _Seen) -> Facts:
    return _issued(row, seen, "subject_id", row["issued_to"]), _own(row, "token_subject")


def _issued_client(row: Row, seen: _Seen) -> Facts:
    return _issued(row, seen, "app_id", row["issued_client"]), _own(row, "effective_app")


def _failure(row: Row, seen: _Seen) -> Facts:
    issue = next(iter(seen.issues.get(row["token_id"], ())), {})
    return fact("sign_ins", "error_code", issue.get("event_id"), issue.get("error_code")), _own(row, "token_id_raw")


def _revoked(row: Row, seen: _Seen) -> Facts:
    before = [each for each in seen.revocations.get(row["actor_key"], ()) if each["occurred_at"] <= row["occurred_at"]]
    last = before[-1] if before else {}
    revoked = fact("config_changes", "occurred_at", last.get("event_id"), last.get("occurred_at"))
    return _own(row, "token_issued_at"), revoked, _own(row, "occurred_at")


def _form(row: Row, _: _Seen) -> Facts:
    return _own(row, "token_id_raw"), _own(row, "token_id"), _USUAL_FORM


_USUAL_FORM: Final = Fact(
    event_id=None,
    column="token_id",
    log_fields="",
    value="xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxx00, …01 or …02",
)
"""The form of the ids that sign-ins of these logs have (less than one in a thousand otherwise)."""

_FACTS: Final[dict[str, Callable[[Row, _Seen], Facts]]] = {
    "consumer_tenant": _two_tenants,
    "two_subjects": _differing("token_subject"),
    "issued_ahead": _issue_and_use,
    "too_old": _issue_and_use,
    "other_subject": _issued_to,
    "two_issues": _differing("token_issued_at", "effective_app", "session_id"),
    "foreign_tenant": _unknown_tenant,
    "after_revocation": _revoked,
    "failed_sign_in": _failure,
    "other_client": _issued_client,
    "odd_form": _form,
}
"""Check to the facts that contradict each other; a test holds it against the detector's bins."""

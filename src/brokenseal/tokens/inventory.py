"""Key inventory: whom each published key may speak for, how old it is, and what could be done with it if stolen.

The key of 2023 had been made in 2016, its certificate had ended in 2021, and it was still published and believed
(Cyber Safety Review Board, report on the summer 2023 intrusion). Each of these is visible in what is published.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from brokenseal.tokens._material import material
from brokenseal.tokens.key_documents import FLAWS
from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from brokenseal.tokens.model import Key, KeyRing
    from brokenseal.wording import Phrase

OLD_DAYS: Final = 365
"""A signing key older than a year is said to be old; no rule of Microsoft's, but identity keys rotate in weeks."""

_DAY_S: Final = 86_400


class Family(StrEnum):
    """Whom a key may speak for, by the issuer that it is published for."""

    ENTERPRISE = "enterprise"
    CONSUMER = "consumer"
    ONE_ISSUER = "one_issuer"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """Where a key stands at the time of the inventory."""

    IN_USE = "in_use"
    NOT_YET = "not_yet"
    CERTIFICATE_ENDED = "certificate_ended"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One published key.

    Attributes:
        kid: Key id; empty for a key without one.
        fingerprint: SHA-256 of the public key itself, the same under every id; None for one that cannot be read.
        document: Document that publishes it.
        issuer: Issuer for which it is published, or None.
        family: Whom it may speak for.
        standing: Where it stands.
        key_type: Type and size or curve, e.g. `RSA 2048`.
        algorithms: Algorithms that it verifies; none for a key that cannot be used.
        since: From when on it exists, by the usage file or its certificate; None where neither says it.
        until: End of its certificate, or None.
        retired_at: When it was retired, or None.
        revoked_at: When it was revoked, or None.
        age_days: Days since `since`, or None.
        tenants: Tenants in which it was seen in use, by the usage file.
        is_still_trusted: Whether it is published although it is retired, revoked, or its certificate has ended: a
            verifier that knows no dates believes it.
        reach: What its thief could do.
        flaws: What is odd about it.
    """

    kid: str
    fingerprint: str | None
    document: str
    issuer: str | None
    family: Family
    standing: Standing
    key_type: str
    algorithms: tuple[str, ...]
    since: dt.datetime | None
    until: dt.datetime | None
    retired_at: dt.datetime | None
    revoked_at: dt.datetime | None
    age_days: int | None
    tenants: tuple[str, ...]
    is_still_trusted: bool
    reach: Phrase
    flaws: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two keys for one issuer of which the newer one came before the older one had gone.

    Attributes:
        issuer: The issuer.
        older: Id of the older key.
        newer: Id of the newer key.
        days: Days during which both were good; None where the older one has no end.
    """

    issuer: str
    older: str
    newer: str
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All published keys, and what is odd about them together."""

    keys: tuple[KeyRow, ...]
    overlaps: tuple[Overlap, ...]
    warnings: tuple[Phrase, ...]


def inventory(ring: KeyRing, *, at: dt.datetime) -> Inventory:
    """The inventory of all keys of the ring at a time."""
    rows = tuple(_row(key, at) for key in ring.keys)
    return Inventory(keys=rows, overlaps=tuple(_overlaps(rows)), warnings=tuple(_warnings(rows)))


def family_of(issuer: str | None) -> Family:
    """Whom a key for this issuer may speak for."""
    if issuer is None:
        return Family.UNKNOWN
    if TENANT_TEMPLATE in issuer:
        return Family.ENTERPRISE
    return Family.CONSUMER if CONSUMER_TENANT in issuer else Family.ONE_ISSUER


def _row(key: Key, at: dt.datetime) -> KeyRow:
    since = key.published_at or key.certificate_from
    standing = _standing(key, at)
    made = material(key.jwk)
    size = made.bits if made is not None and made.bits is not None else key.jwk.get("crv")
    return KeyRow(
        kid=key.kid,
        fingerprint=None if made is None else made.fingerprint,
        document=key.document,
        issuer=key.issuer,
        family=family_of(key.issuer),
        standing=standing,
        key_type=" ".join(str(part) for part in (key.jwk.get("kty"), size) if part is not None),
        algorithms=key.algorithms,
        since=since,
        until=key.certificate_until,
        retired_at=key.retired_at,
        revoked_at=key.revoked_at,
        age_days=None if since is None else int((at - since).total_seconds() // _DAY_S),
        tenants=key.tenants,
        is_still_trusted=bool(key.algorithms)
        and standing in {Standing.RETIRED, Standing.REVOKED, Standing.CERTIFICATE_ENDED},
        reach=_reach(key),
        flaws=tuple(FLAWS[flaw] for flaw in key.flaws),
    )


def _standing(key: Key, at: dt.datetime) -> Standing:
    if key.revoked_at is not None and key.revoked_at <= at:
        return Standing.REVOKED
    if key.retired_at is not None and key.retired_at <= at:
        return Standing.RETIRED
    if key.certificate_until is not None and key.certificate_until < at:
        return Standing.CERTIFICATE_ENDED
    starts = [time for time in (key.published_at, key.certificate_from) if time is not None]
    return Standing.NOT_YET if starts and min(starts) > at else Standing.IN_USE


def _reach(key: Key) -> Phrase:
    if not key.algorithms:
        return phrase("Nothing at a verifier that refuses keys like it.")
    match family_of(key.issuer):
        case Family.ENTERPRISE:
            return phrase(
                "Its thief could be any user or application of any organisation, at every service that accepts this "
                "issuer."
            )
        case Family.CONSUMER:
            return phrase(
                "Its thief could be any personal account; and anybody in any organisation, at a service that does not "
                "compare a key's issuer."
            )
        case Family.ONE_ISSUER:
            return phrase(
                "Its thief could be anybody of this one issuer; and of any other, at a service that does not compare a "
                "key's issuer."
            )
        case _:
            return phrase("Nobody can say: its document does not tell for which issuer it is published.")


def _overlaps(rows: tuple[KeyRow, ...]) -> Iterator[Overlap]:
    """Neighbours in age among the usable keys of one issuer, each key once under whatever ids."""
    by_issuer: dict[str, dict[str, KeyRow]] = {}
    for row in rows:
        if row.issuer is not None and row.since is not None and row.algorithms and row.fingerprint is not None:
            by_issuer.setdefault(row.issuer, {}).setdefault(row.fingerprint, row)
    for issuer, keys in sorted(by_issuer.items()):
        ordered = sorted(keys.values(), key=lambda row: (row.since, row.kid))
        for older, newer in itertools.pairwise(ordered):
            end = min((time for time in (older.retired_at, older.revoked_at, older.until) if time), default=None)
            if newer.since is None or (end is not None and end <= newer.since):
                continue
            days = None if end is None else int((end - newer.since).total_seconds() // _DAY_S)
            yield Overlap(issuer=issuer, older=older.kid, newer=newer.kid, days=days)


def _warnings(rows: tuple[KeyRow, ...]) -> Iterator[Phrase]:
    seen: set[tuple[str | None, str | None]] = set()
    for row in rows:
        # One key often stands in several documents, or under several ids.
        if (row.fingerprint, row.issuer) not in seen:
            yield from _warnings_of(row)
        seen.add((row.fingerprint, row.issuer))
    yield from _shared_ids(rows)
    yield from _shared_material(rows)


def _warnings_of(row: KeyRow) -> Iterator[Phrase]:
    if row.is_still_trusted:
        yield _still_trusted(row)
    elif row.standing is Standing.IN_USE and row.algorithms and (row.age_days or 0) > OLD_DAYS:
        yield phrase("{kid} is {days} days old and in use.", kid=row.kid, days=row.age_days)
    if row.issuer is None:
        yield phrase(
            "{kid}: {document} does not say for which issuer it is published; no verifier can check its binding.",
            kid=row.kid or "–",
            document=row.document,
        )


def _still_trusted(row: KeyRow) -> Phrase:
    if row.standing is Standing.REVOKED:
        return phrase("{kid} is revoked since {time} and still published.", kid=row.kid, time=row.revoked_at)
    if row.standing is Standing.RETIRED:
        return phrase("{kid} is retired since {time} and still published.", kid=row.kid, time=row.retired_at)
    return phrase(
        "{kid} is still published, and its certificate ended {time}: this is how the key of 2023 stood.",
        kid=row.kid,
        time=row.until,
    )


def _shared_ids(rows: tuple[KeyRow, ...]) -> Iterator[Phrase]:
    issuers: dict[str, set[str]] = {}
    for row in rows:
        if row.kid:
            issuers.setdefault(row.kid, set()).add(row.issuer or "–")
    for kid, found in sorted(issuers.items()):
        if len(found) > 1:
            yield phrase(
                "The id {kid} stands for several issuers: {issuers}. A verifier that looks keys up by id alone takes "
                "either.",
                kid=kid,
                issuers=", ".join(sorted(found)),
            )


def _shared_material(rows: tuple[KeyRow, ...]) -> Iterator[Phrase]:
    same: dict[str, list[KeyRow]] = {}
    for row in rows:
        if row.fingerprint is not None:
            same.setdefault(row.fingerprint, []).append(row)
    for twins in same.values():
        ids = sorted({row.kid or "–" for row in twins})
        issuers = sorted({row.issuer or "–" for row in twins})
        if len(ids) > 1:
            yield phrase("One key is published under several ids: {ids}.", ids=", ".join(ids))
        if len(issuers) > 1:
            yield phrase(
                "The key {kid} is published for several issuers: {issuers}. It can speak for all of them.",
                kid=ids[0],
                issuers=", ".join(issuers),
            )

"""Whether a token may be believed, by whom it may have been signed, and why; a verifier to copy.

Everything rests on what the caller gives: a key ring, a policy and a time. Nothing is fetched, no member of the
token says which key or algorithm to use, and no cryptography is written here (joserfc and cryptography do it).
The first failure hides no other: all checks are made and reported, in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.errors import UsageError
from brokenseal.tokens import _checks_form, _checks_issuer, _checks_key, _checks_rights, _checks_time
from brokenseal.tokens._presented import Presented, candidates_of, choose
from brokenseal.tokens.model import Outcome, Verdict
from brokenseal.tokens.reading import read

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from brokenseal.tokens.model import Check, KeyRing, Policy

CHECKS: Final[tuple[Callable[[Presented], Check], ...]] = (
    _checks_form.size,
    _checks_form.form,
    _checks_form.algorithm,
    _checks_form.critical_header,
    _checks_form.embedded_key,
    _checks_form.payload_encoding,
    _checks_form.token_type,
    _checks_form.key_id,
    _checks_key.key,
    _checks_key.key_algorithm,
    _checks_key.key_issuer,
    _checks_issuer.issuer,
    _checks_issuer.issuer_tenant,
    _checks_issuer.version,
    _checks_issuer.tenant,
    _checks_key.signature,
    _checks_key.key_certificate,
    _checks_key.key_retired,
    _checks_key.key_revoked,
    _checks_issuer.audience,
    _checks_time.expiry,
    _checks_time.not_before,
    _checks_time.issued_at,
    _checks_time.lifetime,
    _checks_rights.claim_types,
    _checks_rights.kind,
    _checks_rights.subject,
    _checks_rights.token_id,
    _checks_rights.client,
    _checks_rights.rights,
    _checks_rights.proof_of_possession,
)
"""Every check in its order; a check's name is its function's."""


def verify(token: str, keys: KeyRing, policy: Policy, *, at: dt.datetime) -> Verdict:
    """Check the token in every respect; never raises for what the token holds.

    Args:
        token: The text of one token, without anything around it.
        keys: The keys that are known. Of several with one id the one counts that may speak for the issuer.
        policy: What is accepted.
        at: Time of the check; it must have a time zone.

    Raises:
        UsageError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise UsageError(place="at", value=at.isoformat(), expected="a time with a time zone")
    reading = read(token, largest_bytes=policy.largest_bytes)
    kid = reading.header.get("kid")
    candidates = candidates_of(keys, kid)
    chosen, binding, is_signed = choose(candidates, reading)
    kind, conflict = _checks_rights.kind_of(reading.claims)
    presented = Presented(
        reading=reading,
        header=reading.header,
        claims=reading.claims,
        policy=policy,
        at=at,
        at_s=at.timestamp(),
        candidates=candidates,
        chosen=chosen,
        binding=binding,
        is_signed=is_signed,
        kind=kind,
        kind_conflict=conflict,
    )
    checks = tuple([make(presented) for make in CHECKS])
    is_accepted = True
    for made in checks:
        if made.outcome is not Outcome.PASS and made.outcome is not Outcome.NOT_APPLICABLE:
            is_accepted = False
    return Verdict(
        accepted=is_accepted,
        checks=checks,
        kind=kind,
        kid=kid if isinstance(kid, str) else None,
        claims=reading.claims,
    )

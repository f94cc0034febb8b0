"""Checks of the key: which one is meant, whom it may speak for, whether it signed, and whether it still may."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from brokenseal.tokens._presented import check, issuers_of, shown
from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE, Outcome
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import datetime as dt

    from brokenseal.tokens._presented import Presented
    from brokenseal.tokens.model import Check
    from brokenseal.wording import Phrase

_NO_KEY: Final = phrase("No key is known that the token names.")
_KEY_OK = phrase("The key is one of those known; no address in the token was followed.")
_ALGORITHM_OK = phrase("The algorithm is one that this key is published for.")
_ISSUER_OK = phrase("The key is published for the issuer that the token names.")
_SIGNED: Final = check("signature", Outcome.PASS, phrase("The signature is right."))
_NO_RETIREMENT: Final = check(
    "key_retired", Outcome.NOT_APPLICABLE, phrase("No date of retirement is known for this key.")
)
_NO_REVOCATION: Final = check(
    "key_revoked", Outcome.NOT_APPLICABLE, phrase("No date of revocation is known for this key.")
)
_NO_CERTIFICATE: Final = check(
    "key_certificate", Outcome.NOT_APPLICABLE, phrase("The key is published without a certificate.")
)
_BEFORE_RETIREMENT = phrase("The token was issued before the key was retired.")
_BEFORE_REVOCATION = phrase("The key was not revoked at the time of the check.")
_WITHIN_CERTIFICATE = phrase("The token was issued while the key's certificate was valid.")


def key(it: Presented) -> Check:
    """`kid` names a key of the ring, and a certificate thumbprint in the header is that key's."""
    if it.chosen is None:
        return check("key", Outcome.FAIL, _NO_KEY, "a key of the given documents", shown(it.header.get("kid")))
    chosen = it.chosen.key
    thumbprint, published = it.header.get("x5t"), chosen.jwk.get("x5t")
    if thumbprint is not None and published is not None and thumbprint != published:
        reason = phrase("The header's certificate thumbprint is another key's.")
        return check("key", Outcome.FAIL, reason, shown(published), shown(thumbprint))
    return check("key", Outcome.PASS, _KEY_OK, None, f"{chosen.kid} ({chosen.document})")


def key_algorithm(it: Presented) -> Check:
    """The algorithm goes with the key's type, curve, `alg`, `use` and length."""
    if it.chosen is None:
        return check("key_algorithm", Outcome.UNKNOWN, _NO_KEY)
    possible = it.chosen.key.algorithms
    found = it.header.get("alg")
    expected = ", ".join(possible)
    if not possible:
        reason = phrase("The key verifies nothing: it is too short, damaged, or published for something else.")
        return check("key_algorithm", Outcome.FAIL, reason, "a key for signatures", ", ".join(it.chosen.key.flaws))
    if type(found) is str and found in possible:
        return check("key_algorithm", Outcome.PASS, _ALGORITHM_OK, expected, found)
    reason = phrase("The algorithm does not go with this key.")
    return check("key_algorithm", Outcome.FAIL, reason, expected, shown(found))


def key_issuer(it: Presented) -> Check:
    """The key may speak for the issuer: the comparison that was missing in 2022.

    Source: Microsoft identity platform, signing keys; Microsoft Security Response Center, 6 September 2023.
    """
    if it.chosen is None:
        return check("key_issuer", Outcome.UNKNOWN, _NO_KEY)
    found = it.claims.get("iss")
    published = it.chosen.key.issuer
    if published is None:
        reason = phrase("Binding unknown: the key's document does not say for which issuer it is published.")
        return check("key_issuer", Outcome.UNKNOWN, reason, None, shown(found))
    if it.binding is Outcome.PASS:
        return check("key_issuer", Outcome.PASS, _ISSUER_OK, published, shown(found))
    tenant = it.claims.get("tid")
    expected = " or ".join(issuers_of(published, tenant)) if type(tenant) is str else ""
    if TENANT_TEMPLATE in published and tenant == CONSUMER_TENANT:
        reason = phrase("The key is an organisation's; it may not speak for personal accounts.")
    elif CONSUMER_TENANT in published:
        reason = phrase("The key is that of personal accounts; it may not speak for an organisation.")
    else:
        reason = phrase("The key is not published for the issuer that the token names.")
    return check("key_issuer", Outcome.FAIL, reason, expected or published, shown(found))


def signature(it: Presented) -> Check:
    """The signature over header and payload is right by the chosen key."""
    if it.is_signed:
        return _SIGNED
    if not it.reading.signature:
        return check("signature", Outcome.FAIL, phrase("The token is not signed."), "a signature", "nothing")
    if it.chosen is None:
        return check("signature", Outcome.UNKNOWN, _NO_KEY)
    if it.is_signed is None:
        reason = phrase("The signature was not checked: algorithm and key do not go together.")
        return check("signature", Outcome.UNKNOWN, reason)
    if "nonce" in it.header:
        reason = phrase(
            "The signature is wrong. The header holds a nonce, as in tokens for Microsoft Graph, which only Graph "
            "itself can verify."
        )
    else:
        reason = phrase("The signature is wrong: header or payload are not what this key signed.")
    return check("signature", Outcome.FAIL, reason, "made by the key", f"{len(it.reading.signature)} other bytes")


def key_certificate(it: Presented) -> Check:
    """The token was issued while the key's certificate was valid; the one of 2023 had ended two years before."""
    chosen = it.chosen
    if chosen is None:
        return check("key_certificate", Outcome.UNKNOWN, _NO_KEY)
    start, end = chosen.key.certificate_from, chosen.key.certificate_until
    if start is None or end is None:
        return _NO_CERTIFICATE
    issued = _issued_s(it)
    if issued is None:
        return check("key_certificate", Outcome.UNKNOWN, _no_time())
    expected = f"{_text(start)} to {_text(end)}"
    if issued > end.timestamp():
        reason = phrase("The key's certificate had ended when the token was issued.")
        return check("key_certificate", Outcome.FAIL, reason, expected, shown(it.claims["iat"]))
    if issued + it.policy.skew_s < start.timestamp():
        reason = phrase("The token says that it was issued before the key's certificate began.")
        return check("key_certificate", Outcome.FAIL, reason, expected, shown(it.claims["iat"]))
    return check("key_certificate", Outcome.PASS, _WITHIN_CERTIFICATE, expected, shown(it.claims["iat"]))


def key_retired(it: Presented) -> Check:
    """The token was issued before its key was retired."""
    if it.chosen is None:
        return check("key_retired", Outcome.UNKNOWN, _NO_KEY)
    retired_at = it.chosen.retired_at
    if retired_at is None:
        return _NO_RETIREMENT
    issued = _issued_s(it)
    if issued is None:
        return check("key_retired", Outcome.UNKNOWN, _no_time())
    found = shown(it.claims["iat"])
    expected = f"before {_text(retired_at)}"
    if issued >= retired_at.timestamp():
        reason = phrase("The key was retired on {retired_at}; the token was issued later.", retired_at=retired_at)
        return check("key_retired", Outcome.FAIL, reason, expected, found)
    return check("key_retired", Outcome.PASS, _BEFORE_RETIREMENT, expected, found)


def key_revoked(it: Presented) -> Check:
    """The key is not revoked: what a revoked key signed is not believed, whatever time the token says."""
    if it.chosen is None:
        return check("key_revoked", Outcome.UNKNOWN, _NO_KEY)
    revoked_at = it.chosen.revoked_at
    if revoked_at is None:
        return _NO_REVOCATION
    if it.at >= revoked_at:
        reason = phrase(
            "The key was revoked on {revoked_at}: nothing that it signed may be believed.", revoked_at=revoked_at
        )
        return check("key_revoked", Outcome.FAIL, reason, f"before {_text(revoked_at)}", _text(it.at))
    return check("key_revoked", Outcome.PASS, _BEFORE_REVOCATION, f"before {_text(revoked_at)}", _text(it.at))


def _issued_s(it: Presented) -> float | None:
    issued = it.claims.get("iat")
    return issued if type(issued) is int or type(issued) is float else None


def _no_time() -> Phrase:
    return phrase("The token does not say when it was issued.")


@functools.lru_cache(maxsize=256)
def _text(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"

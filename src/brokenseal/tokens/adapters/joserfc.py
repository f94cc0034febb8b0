"""joserfc as its documentation shows it, and with the usual recipe for Entra."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from brokenseal.tokens.adapters._documents import merged

if TYPE_CHECKING:
    from collections.abc import Mapping


def documented(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The page "JSON Web Token": decode with a key set, then validate claims with the audience.

    Raises:
        joserfc.errors.JoseError: The token is refused.
    """
    return _decoded(token, expectation, leeway=0)


def entra(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the issuers of the accepted tenants and five minutes between clocks.

    Raises:
        joserfc.errors.JoseError: The token is refused.
    """
    issuers = {"essential": True, "values": expectation["accepted_issuers"]}
    return _decoded(token, expectation, leeway=expectation["skew_s"], iss=issuers)


def _decoded(token: str, expectation: Mapping[str, Any], *, leeway: int, **claims: Any) -> dict[str, Any]:
    from joserfc import jwt
    from joserfc.errors import SecurityWarning
    from joserfc.jwk import KeySet

    with warnings.catch_warnings():
        # It warns of the short key of the corpus on every import of the key set.
        warnings.simplefilter("ignore", SecurityWarning)
        keys = KeySet.import_key_set(merged(expectation))  # type: ignore[arg-type]
    decoded = jwt.decode(token, keys, algorithms=expectation["algorithms"])
    audience: Any = {"essential": True, "values": expectation["audiences"]}
    jwt.JWTClaimsRegistry(leeway=leeway, aud=audience, **claims).validate(decoded.claims)
    return decoded.claims

"""authlib as its documentation shows it, and with the usual recipe for Entra."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from brokenseal.tokens.adapters._documents import merged

if TYPE_CHECKING:
    from collections.abc import Mapping


def documented(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The page "JSON Web Token": `jwt.decode` with a key set and claim options, then `validate`.

    Raises:
        authlib.common.errors.AuthlibBaseError: The token is refused.
        ValueError: No published key has this id.
    """
    return _decoded(token, expectation, leeway=0)


def entra(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a list of algorithms, the issuers of the accepted tenants and five minutes between clocks.

    Raises:
        authlib.common.errors.AuthlibBaseError: The token is refused.
        ValueError: No published key has this id.
    """
    issuers = {"essential": True, "values": expectation["accepted_issuers"]}
    return _decoded(token, expectation, leeway=expectation["skew_s"], algorithms=expectation["algorithms"], iss=issuers)


def _decoded(
    token: str, expectation: Mapping[str, Any], *, leeway: int, algorithms: list[str] | None = None, **options: Any
) -> dict[str, Any]:
    import authlib.deprecate  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        # The library announces that its module of tokens will end; importing `deprecate` makes it insist on saying so.
        warnings.simplefilter("ignore", authlib.deprecate.AuthlibDeprecationWarning)
        from authlib.jose import JsonWebKey, JsonWebToken, jwt  # type: ignore[import-untyped]

        keys = JsonWebKey.import_key_set(merged(expectation))
    reader = jwt if algorithms is None else JsonWebToken(algorithms)
    audience = {"essential": True, "values": expectation["audiences"]}
    claims = reader.decode(token, keys, claims_options={"aud": audience, **options})
    claims.validate(leeway=leeway)
    return dict(claims)

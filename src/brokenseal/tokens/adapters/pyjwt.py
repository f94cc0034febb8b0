"""PyJWT as its documentation shows it, and with the usual recipe for Entra."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from brokenseal.tokens.adapters._documents import merged

if TYPE_CHECKING:
    from collections.abc import Mapping


def documented(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The page "Retrieve RSA signing keys from a JWKS endpoint": key by id, algorithms, audience.

    Raises:
        jwt.PyJWTError: The token is refused.
    """
    return _decoded(token, expectation)


def entra(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the issuers of the accepted tenants and five minutes between clocks.

    Raises:
        jwt.PyJWTError: The token is refused.
    """
    return _decoded(token, expectation, issuer=expectation["accepted_issuers"], leeway=expectation["skew_s"])


def _decoded(token: str, expectation: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    import jwt

    published = merged(expectation)

    class Published(jwt.PyJWKClient):
        """The library's client with the documents at hand instead of fetched."""

        def fetch_data(self) -> Any:
            return published

    key = Published("https://login.microsoftonline.com/common/discovery/v2.0/keys").get_signing_key_from_jwt(token)
    with warnings.catch_warnings():
        # It warns of the short key of the corpus, and accepts it.
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.decode(
            token, key, audience=expectation["audiences"], algorithms=expectation["algorithms"], **options
        )

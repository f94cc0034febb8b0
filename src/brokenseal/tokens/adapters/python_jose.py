"""python-jose as its documentation shows it, and with the usual recipe for Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.tokens.adapters._documents import merged

if TYPE_CHECKING:
    from collections.abc import Mapping


def documented(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """`jwt.decode` with a key set, algorithms and the audience, of which it takes one.

    Raises:
        jose.exceptions.JOSEError: The token is refused.
    """
    from jose import jwt  # type: ignore[import-untyped]

    decoded: dict[str, Any] = jwt.decode(
        token, merged(expectation), algorithms=expectation["algorithms"], audience=expectation["audiences"][0]
    )
    return decoded


def entra(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The widespread recipe: look the key up by `kid` in all published keys, check audience and issuer.

    Raises:
        jose.exceptions.JOSEError: The token is refused.
    """
    from jose import jwt
    from jose.exceptions import JWTClaimsError, JWTError  # type: ignore[import-untyped]

    header = jwt.get_unverified_header(token)
    named: dict[str, Any] = {}
    for key in merged(expectation)["keys"]:
        if key["kid"] == header.get("kid"):
            named = key
    if not named:
        msg = "unable to find the key"
        raise JWTError(msg)
    refusal = JWTClaimsError("no audience")
    for audience in expectation["audiences"]:
        try:
            decoded: dict[str, Any] = jwt.decode(
                token,
                named,
                algorithms=expectation["algorithms"],
                audience=audience,
                issuer=expectation["accepted_issuers"],
                options={"leeway": expectation["skew_s"]},
            )
        except JWTClaimsError as err:
            refusal = err
        else:
            return decoded
    raise refusal

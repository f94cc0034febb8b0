"""The product's own verifier."""

from __future__ import annotations

import datetime as dt
import functools
import json
import warnings
from typing import TYPE_CHECKING, Any

from brokenseal.errors import BrokensealError
from brokenseal.tokens.key_documents import read_keys
from brokenseal.tokens.model import KeyRing, Policy, TokenKind
from brokenseal.tokens.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping


class TokenRefused(BrokensealError):
    """A check of the token failed, or could not be made."""


def strict(token: str, expectation: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a token all of whose checks pass.

    Raises:
        TokenRefused: A check failed; its text names the first.
    """
    verdict = verify(
        token, _ring(json.dumps([expectation["keys"], expectation["usage"]])), policy_of(expectation), at=_now()
    )
    if not verdict.accepted:
        first = next(check for check in verdict.checks if check.outcome in {"fail", "unknown"})
        raise TokenRefused(place=first.name, value=first.found, expected=first.expected or first.name)
    return dict(verdict.claims)


def policy_of(expectation: Mapping[str, Any]) -> Policy:
    """The policy that the expectation describes."""
    return Policy(
        audiences=tuple(expectation["audiences"]),
        issuers=tuple(expectation["issuers"]),
        tenants=tuple(expectation["tenants"]),
        is_consumer_accepted=expectation["is_consumer_accepted"],
        algorithms=tuple(expectation["algorithms"]),
        kinds=tuple(TokenKind(kind) for kind in expectation["kinds"]),
        scopes=tuple(expectation["scopes"]),
        roles=tuple(expectation["roles"]),
        skew_s=expectation["skew_s"],
        longest_s=expectation["longest_s"],
        largest_bytes=expectation["largest_bytes"],
    )


@functools.lru_cache(maxsize=4)
def _ring(text: str) -> KeyRing:
    documents, usage = json.loads(text)
    with warnings.catch_warnings():
        # The corpus publishes a short key on purpose; importing it makes joserfc warn.
        warnings.simplefilter("ignore")
        return read_keys(documents, usage=usage)


def _now() -> dt.datetime:
    return dt.datetime.now(tz=dt.UTC)

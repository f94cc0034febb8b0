"""The door of the mail service, in two builds: which tokens it lets pass.

Both check the signature, the audience and the times. Only the mended one asks whether the key that signed may speak
for the issuer that the token names; the question was missing in 2022 (Microsoft Security Response Center,
6 September 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError

from brokenseal.tokens.model import Outcome, Policy
from brokenseal.tokens.provider.keys import ALGORITHM, ENTERPRISE_ISSUER
from brokenseal.tokens.verify import verify
from brokenseal.wording import say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.provider.keys import Cabinet

_SKEW_S = 300


class Build(StrEnum):
    """Builds of the provider."""

    FAULTY = "faulty"
    MENDED = "mended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a token was refused: the check that it failed, and what there was to say about it."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a gate says of one token; `claims` are believed where there is no refusal, and empty otherwise."""

    refusals: tuple[Refusal, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_admitted(self) -> bool:
        """True where nothing speaks against the token."""
        return not self.refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a gate is asked: may this token be used for this audience in this tenant now?"""

    token: str
    audience: str
    tenant_id: str
    at: dt.datetime


def _faulty(question: Question, cabinet: Cabinet) -> Admission:
    """The gate of 2022: a good signature by any published key is enough to be believed."""
    try:
        claims = jwt.decode(question.token, cabinet.merged, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError) as err:
        return Admission(refusals=(Refusal(check="signature", reason=_one_line(err)),))
    refusals = tuple(_claim_refusals(claims, question))
    return Admission(refusals=refusals) if refusals else Admission(claims=claims)


def _claim_refusals(claims: Mapping[str, Any], question: Question) -> list[Refusal]:
    now = question.at.timestamp()
    refusals = []
    if claims.get("aud") != question.audience:
        refusals.append(Refusal(check="audience", reason="The token is for another audience."))
    if claims.get("tid") != question.tenant_id:
        refusals.append(Refusal(check="tenant", reason="The token is of another tenant."))
    not_before, expires = claims.get("nbf"), claims.get("exp")
    if not isinstance(not_before, int) or not isinstance(expires, int):
        refusals.append(Refusal(check="time", reason="The token has no times."))
    elif not not_before - _SKEW_S <= now < expires + _SKEW_S:
        refusals.append(Refusal(check="time", reason="The token is not valid now."))
    return refusals


def _one_line(err: Exception) -> str:
    # Some errors repeat the token that they could not read; only their kind is passed on.
    return f"The signature could not be verified ({type(err).__name__})."


def _mended(question: Question, cabinet: Cabinet) -> Admission:
    """The gate as it should be: every check of the verifier, the key's issuer among them."""
    policy = Policy(
        audiences=(question.audience,), issuers=(ENTERPRISE_ISSUER,), tenants=(question.tenant_id,), skew_s=_SKEW_S
    )
    verdict = verify(question.token, cabinet.ring, policy, at=question.at)
    if verdict.accepted:
        return Admission(claims=verdict.claims)
    spoiled = [check for check in verdict.checks if check.outcome in {Outcome.FAIL, Outcome.UNKNOWN}]
    return Admission(refusals=tuple(Refusal(check=check.name, reason=say(check.reason, "en")) for check in spoiled))


GATES: Mapping[Build, Callable[[Question, Cabinet], Admission]] = {Build.FAULTY: _faulty, Build.MENDED: _mended}

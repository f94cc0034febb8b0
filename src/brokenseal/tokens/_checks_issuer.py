"""Checks of who issued the token, for which tenant, and for whom it is meant."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from brokenseal.tokens._presented import check, is_tenant, shown
from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE, Outcome
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from brokenseal.tokens._presented import Presented
    from brokenseal.tokens.model import Check

_ISSUER_PATH: Final = re.compile(r"https?://[^/?#]+/([^/?#]+)/(?:v2\.0)?")
"""An issuer of the Microsoft identity platform, v1.0 or v2.0, of whatever host: its path begins with the tenant."""

_ISSUER_OK = phrase("The issuer is one of those accepted.")
_TENANT_IN_ISSUER_OK = phrase("The tenant in the issuer is the token's tenant.")
_NO_TENANT_IN_ISSUER = phrase("The issuer's address holds no tenant.")
_VERSION_OK = phrase("The version goes with the form of the issuer.")
_NO_VERSION_FORM = phrase("The issuer has neither the v1.0 nor the v2.0 form.")
_TENANT_OK = phrase("The tenant may call.")
_AUDIENCE_OK = phrase("The token is for this service.")


def issuer(it: Presented) -> Check:
    """`iss` is exactly one of the accepted issuers, with the token's tenant in the place of `{tenantid}`."""
    found, tenant = it.claims.get("iss"), it.claims.get("tid")
    expected = _joined(it.policy.issuers)
    if type(found) is str:
        for accepted in it.policy.issuers:
            if accepted == found and TENANT_TEMPLATE not in accepted:
                return check("issuer", Outcome.PASS, _ISSUER_OK, expected, found)
            if (
                TENANT_TEMPLATE in accepted
                and type(tenant) is str
                and is_tenant(tenant)
                and accepted.replace(TENANT_TEMPLATE, tenant) == found
            ):
                return check("issuer", Outcome.PASS, _ISSUER_OK, expected, found)
        reason = phrase("The issuer is not accepted. It is compared character by character.")
    elif "iss" in it.claims:
        reason = phrase("The issuer is not one text.")
    else:
        reason = phrase("The token names no issuer.")
    return check("issuer", Outcome.FAIL, reason, expected, shown(found))


def issuer_tenant(it: Presented) -> Check:
    """The tenant in the issuer's path equals `tid`."""
    found, tenant = it.claims.get("iss"), it.claims.get("tid")
    if type(found) is not str:
        return check("issuer_tenant", Outcome.FAIL, phrase("The token names no issuer."), shown(tenant), shown(found))
    named = _tenant_in(found)
    if named is None:
        return check("issuer_tenant", Outcome.NOT_APPLICABLE, _NO_TENANT_IN_ISSUER, None, found)
    if named == tenant:
        return check("issuer_tenant", Outcome.PASS, _TENANT_IN_ISSUER_OK, named, named)
    reason = phrase("Issuer and tenant contradict each other.")
    return check("issuer_tenant", Outcome.FAIL, reason, shown(tenant), named)


def version(it: Presented) -> Check:
    """`ver` is 1.0 for an issuer of the v1 form, 2.0 for one of the v2 form."""
    found, name = it.claims.get("ver"), it.claims.get("iss")
    if type(name) is not str or _tenant_in(name) is None:
        return check("version", Outcome.NOT_APPLICABLE, _NO_VERSION_FORM, None, shown(found))
    expected = "2.0" if name.endswith("/v2.0") else "1.0"
    if found == expected:
        return check("version", Outcome.PASS, _VERSION_OK, expected, found)
    if found is None:
        reason = phrase("The token does not say its version.")
    else:
        reason = phrase("The version does not go with the form of the issuer.")
    return check("version", Outcome.FAIL, reason, expected, shown(found))


def tenant(it: Presented) -> Check:
    """`tid` is a tenant that may call; personal accounts only where the policy says so."""
    found = it.claims.get("tid")
    expected = _tenants(it.policy.tenants, is_consumer_accepted=it.policy.is_consumer_accepted)
    if type(found) is not str:
        reason = phrase("The token names no tenant.")
    elif not is_tenant(found):
        reason = phrase("The tenant is no tenant id in its one written form.")
    elif found == CONSUMER_TENANT:
        if it.policy.is_consumer_accepted:
            return check("tenant", Outcome.PASS, _TENANT_OK, expected, found)
        reason = phrase("The token is of a personal account, and those may not call.")
    elif it.policy.tenants is None or found in it.policy.tenants:
        return check("tenant", Outcome.PASS, _TENANT_OK, expected, found)
    else:
        reason = phrase("The tenant may not call.")
    return check("tenant", Outcome.FAIL, reason, expected, shown(found))


def audience(it: Presented) -> Check:
    """`aud` is exactly one accepted audience; a list of one counts as that one."""
    found = it.claims.get("aud")
    expected = _joined(it.policy.audiences)
    only = found[0] if type(found) is list and len(found) == 1 else found
    if type(only) is str:
        if only in it.policy.audiences:
            return check("audience", Outcome.PASS, _AUDIENCE_OK, expected, only)
        reason = phrase("The token is for another service.")
    elif type(found) is list and found:
        reason = phrase("The token is for several services: each could use it at the others.")
    elif "aud" in it.claims:
        reason = phrase("The audience is no text.")
    else:
        reason = phrase("The token does not say for whom it is.")
    return check("audience", Outcome.FAIL, reason, expected, shown(found))


@functools.lru_cache(maxsize=256)
def _tenant_in(issuer: str) -> str | None:
    path = _ISSUER_PATH.fullmatch(issuer)
    return None if path is None else path[1]


@functools.lru_cache(maxsize=64)
def _joined(values: tuple[str, ...]) -> str:
    return ", ".join(values)


@functools.lru_cache(maxsize=64)
def _tenants(tenants: tuple[str, ...] | None, *, is_consumer_accepted: bool) -> str:
    named = "any organisation" if tenants is None else ", ".join(tenants)
    return f"{named}, personal accounts" if is_consumer_accepted else named

"""A made-up identity provider with real keys: everything that forged and valid tokens are made of.

Two allowed tenants, one that is not, the consumer issuer, and keys of every standing: current, next, previous,
retired, revoked, published for something else, published twice, weak, withdrawn, and a stranger's. Key documents have
the shape of Microsoft Entra's (`/discovery/v2.0/keys`: each key with its `issuer`). Keys are made anew for each
laboratory; identifiers follow from the seed. Tenant ids carry the mark of simulated tenants.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from brokenseal.simulated import simulated_tenant_id
from brokenseal.tokens._laboratory_keys import COMMON, CONSUMERS, ELLIPTIC, LEGACY, PARTNER, SigningKey, make_keys
from brokenseal.tokens._sealing import ABSENT, b64, changed, json_bytes, sign, signing_input
from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    TokenFor = Literal["user", "app", "id"]

V2_ISSUER: Final = "https://login.microsoftonline.com/{tenantid}/v2.0"
V1_ISSUER: Final = "https://sts.windows.net/{tenantid}/"
SCOPE: Final = "Mail.Read"
ROLE: Final = "Mail.Read.All"
ALGORITHMS: Final = ("RS256", "ES256")
SKEW_S: Final = 300
LONGEST_S: Final = 28 * 3600 + 600
LARGEST_BYTES: Final = 16_384

_LIFE_S: Final = 75 * 60  # mean life of an access token (Microsoft identity platform, configurable token lifetimes)
_AGE_S: Final = 300


def issuer_of(tenant: str, version: int = 2) -> str:
    """The issuer of a tenant, v1 or v2 (Microsoft identity platform, access token claims)."""
    return (V1_ISSUER if version == 1 else V2_ISSUER).replace(TENANT_TEMPLATE, tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """Keys, identifiers and a clock.

    Attributes:
        seed: Seed of the identifiers.
        at: Time at which tokens are made, seconds since 1970.
        keys: Keys by the name of their standing.
        home: Tenant that may call.
        partner: Second tenant that may call; it also has a signing key of its own.
        stranger: A tenant of the same provider that may not call.
        api: Client id of the API that tokens are for; audience of v2 tokens.
        client: Application that calls.
        user: Object id of the user.
    """

    seed: int
    at: int
    keys: Mapping[str, SigningKey] = field(repr=False)
    home: str
    partner: str
    stranger: str
    api: str
    client: str
    user: str

    @property
    def api_uri(self) -> str:
        """Application id URI of the API; audience of v1 tokens."""
        return f"api://{self.api}"

    def claims(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        kind: TokenFor = "user",
        version: int = 2,
        tenant: str | None = None,
    ) -> dict[str, Any]:
        """Claims as the provider writes them, with changes; `ABSENT` leaves a claim out."""
        tenant = tenant or self.home
        issued = self.at - _AGE_S
        common = {
            "aud": self.api if version == 2 or kind == "id" else self.api_uri,  # noqa: PLR2004  a version's number
            "iss": issuer_of(tenant, version),
            "iat": issued,
            "nbf": issued,
            "exp": issued + _LIFE_S,
            "aio": b64(_draw(self.seed, "aio").randbytes(24)),
            "oid": self.user,
            "rh": b64(_draw(self.seed, "rh").randbytes(24)),
            "sub": b64(_draw(self.seed, "sub").randbytes(32)),
            "tid": tenant,
            "uti": b64(_draw(self.seed, "uti").randbytes(15) + b"\x00"),
            "ver": f"{version}.0",
        }
        return changed({**common, **self._of_kind(kind, version)}, changes)

    def _of_kind(self, kind: TokenFor, version: int) -> dict[str, Any]:
        is_v1 = version == 1
        person = {"name": "Simulated Person", ("upn" if is_v1 else "preferred_username"): "person@contoso.example"}
        if kind == "id":
            return {**person, "nonce": "simulated-nonce", "sid": _guid(_draw(self.seed, "sid"))}
        client = {("appid" if is_v1 else "azp"): self.client, ("appidacr" if is_v1 else "azpacr"): "1"}
        if kind == "app":
            return {**client, "idtyp": "app", "roles": [ROLE]}
        return {**person, **client, "scp": SCOPE, "sid": _guid(_draw(self.seed, "sid"))}

    def header(
        self, *, key: str = "enterprise", alg: str = "RS256", version: int = 2, changes: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Header as the provider writes it; v1 tokens also name the certificate."""
        named: dict[str, Any] = {"typ": "JWT", "alg": alg}
        if version == 1:
            named["x5t"] = self.keys[key].x5t
        return changed({**named, "kid": self.keys[key].kid}, changes)

    def seal(self, header: bytes, payload: bytes, *, key: str = "enterprise", alg: str = "RS256") -> str:
        """A compact token of exactly these texts, signed."""
        text = signing_input(header, payload)
        return f"{text}.{b64(sign(self.keys[key].private, alg, text))}"

    def mint(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        kind: TokenFor = "user",
        version: int = 2,
        tenant: str | None = None,
        key: str = "enterprise",
        alg: str = "RS256",
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A compact token: claims and header with changes, signed by the named key with `alg`."""
        claims = self.claims(changes, kind=kind, version=version, tenant=tenant)
        head = self.header(key=key, alg=alg, version=version, changes=header)
        return self.seal(json_bytes(head), json_bytes(claims), key=key, alg=alg)

    def documents(self) -> dict[str, dict[str, Any]]:
        """The published key documents by name, in the shape of Microsoft Entra's."""
        published: dict[str, dict[str, Any]] = {
            name: {"keys": []} for name in (COMMON, CONSUMERS, PARTNER, LEGACY, ELLIPTIC)
        }
        issuers = {"enterprise": V2_ISSUER, "consumer": issuer_of(CONSUMER_TENANT), "partner": issuer_of(self.partner)}
        for key in self.keys.values():
            issuer = None if key.issuer is None else issuers[key.issuer]
            for document in key.documents:
                published[document]["keys"] += [key.published(issuer, kid) for kid in (key.kid, *key.aliases)]
        return published

    def expectation(self) -> dict[str, Any]:
        """What a verifier has to be told, as JSON: what it accepts, the key documents, and when keys ended."""
        tenants = [self.home, self.partner]
        standing = [key for key in self.keys.values() if key.documents and (key.retired_at or key.revoked_at)]
        return {
            "audiences": [self.api, self.api_uri],
            "issuers": [V2_ISSUER, V1_ISSUER],
            "accepted_issuers": [issuer_of(tenant, version) for tenant in tenants for version in (2, 1)],
            "tenants": tenants,
            "is_consumer_accepted": False,
            "algorithms": list(ALGORITHMS),
            "kinds": ["user_access", "app_access"],
            "scopes": [SCOPE],
            "roles": [ROLE],
            "skew_s": SKEW_S,
            "longest_s": LONGEST_S,
            "largest_bytes": LARGEST_BYTES,
            "keys": self.documents(),
            # Without the names of documents: who reads them from files knows them by their paths.
            "usage": {"keys": [{"kid": key.kid, **key.ends} for key in standing]},
        }


def _draw(seed: int, what: str) -> random.Random:
    return random.Random(f"{what} {seed}")  # noqa: S311  identifiers of a made-up provider


def _guid(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def equip(*, seed: int, at: int, keys: Mapping[str, SigningKey] | None = None) -> Laboratory:
    """A laboratory; its identifiers follow from the seed, its keys are new unless they are given.

    Args:
        seed: Seed of tenant, application and user ids.
        at: Time at which tokens are made, seconds since 1970.
        keys: Keys of an earlier laboratory, so that a verifier need not be told new ones.
    """
    draw = _draw(seed, "laboratory")

    return Laboratory(
        seed=seed,
        at=at,
        keys=make_keys(seed) if keys is None else keys,
        home=simulated_tenant_id(_guid(draw)),
        partner=simulated_tenant_id(_guid(draw)),
        stranger=simulated_tenant_id(_guid(draw)),
        api=_guid(draw),
        client=_guid(draw),
        user=_guid(draw),
    )


__all__ = ["ABSENT", "ALGORITHMS", "Laboratory", "equip", "issuer_of"]

"""How fast `verify` is with all its checks, beside joserfc and PyJWT on the same tokens in one run.

    python bench/token_verify.py                  # table on stdout
    python bench/token_verify.py --out bench/TOKENS.md

RS256, 2048-bit key, one thread; every token is another user's. What each does per token:

- brokenseal: `verify`, every check, all of them reported
- joserfc: `jwt.decode` with the one imported key, and a claims registry with issuer, audience and times
- joserfc, key set: the same with a key set, which finds the key by its id
- PyJWT: `jwt.decode` with the one imported key, issuer, audience and times
- signature: the bare RSA operation of cryptography, the floor under all of them

The contestants take turns within each round, processor time is counted, and the medians of the rounds compared, so that
a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import platform
import statistics
import sys
import time
import uuid
from pathlib import Path

import jwt as pyjwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from brokenseal.tokens.key_documents import read_keys
from brokenseal.tokens.model import Policy
from brokenseal.tokens.verify import verify

TENANT = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
AUDIENCE = "5b3f0b52-7d5a-4c53-9d7e-1a2b3c4d5e6f"
GOAL = 0.8


def claims(number: int, now: int) -> dict:
    """Claims as Entra writes them into a v2.0 access token, for one of many users."""
    user = str(uuid.UUID(int=number * 7919))
    return {
        "aud": AUDIENCE,
        "iss": ISSUER,
        "iat": now - number % 3600,
        "nbf": now - number % 3600,
        "exp": now - number % 3600 + 4_500,
        "aio": base64.b64encode(number.to_bytes(48, "big")).decode(),
        "azp": "9199bf20-a13f-4107-85dc-02114787ef48",
        "azpacr": "0",
        "name": f"User {number}",
        "oid": user,
        "preferred_username": f"user{number}@contoso.example",
        "rh": "0.AAAA" + base64.urlsafe_b64encode(number.to_bytes(36, "big")).decode(),
        "scp": "Mail.Read Mail.Send User.Read",
        "sid": str(uuid.UUID(int=number * 104729)),
        "sub": base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("="),
        "tid": TENANT,
        "uti": base64.urlsafe_b64encode(number.to_bytes(15, "big") + b"\x00").decode().rstrip("="),
        "ver": "2.0",
        "xms_cc": ["cp1"],
    }


def contestants(key: RSAKey, at: dt.datetime) -> dict:
    """Each contestant as a function of one token that raises unless it accepts it."""
    published = {**key.as_dict(private=False), "use": "sig", "issuer": ISSUER.replace(TENANT, "{tenantid}")}
    public = RSAKey.import_key(key.as_dict(private=False))
    key_set = KeySet([public])
    raw = public.raw_value
    ring = read_keys({"bench": {"keys": [published]}})
    policy = Policy(audiences=(AUDIENCE,), issuers=(ISSUER,), tenants=(TENANT,), scopes=("Mail.Read",))
    registry = JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )
    pkcs1, sha256 = padding.PKCS1v15(), hashes.SHA256()

    def brokenseal(token: str) -> None:
        assert verify(token, ring, policy, at=at).accepted

    def joserfc_key(token: str) -> None:
        registry.validate(jwt.decode(token, public, algorithms=["RS256"]).claims)

    def joserfc_set(token: str) -> None:
        registry.validate(jwt.decode(token, key_set, algorithms=["RS256"]).claims)

    def pyjwt_key(token: str) -> None:
        pyjwt.decode(token, raw, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)

    def signature(token: str) -> None:
        text, _, seal = token.rpartition(".")
        raw.verify(base64.urlsafe_b64decode(seal + "=="), text.encode(), pkcs1, sha256)

    return {
        "brokenseal": brokenseal,
        "joserfc": joserfc_key,
        "joserfc, key set": joserfc_set,
        "PyJWT": pyjwt_key,
        "signature": signature,
    }


def measure(rounds: int, tokens: int) -> dict[str, float]:
    """Median microseconds per token of each contestant."""
    now = int(time.time())
    key = RSAKey.generate_key(2048, {"kid": "bench"}, private=True)
    header = {"typ": "JWT", "alg": "RS256", "kid": "bench"}
    texts = [jwt.encode(header, claims(number, now), key) for number in range(1, tokens + 1)]
    each = contestants(key, dt.datetime.fromtimestamp(now, tz=dt.UTC))
    taken: dict[str, list[float]] = {name: [] for name in each}
    for number in range(rounds + 1):
        for name, accept in each.items():
            began = time.process_time()
            for text in texts:
                accept(text)
            if number:  # the first round only warms up
                taken[name].append((time.process_time() - began) / tokens * 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> int:
    """Measure and write the table; 1 where the goal is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--tokens", type=int, default=400)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    medians = measure(chosen.rounds, chosen.tokens)
    own = medians["brokenseal"]
    lines = [
        (
            f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, one thread, "
            f"processor time, {chosen.tokens} tokens, median of {chosen.rounds} rounds"
        ),
        "",
        "| verifier | µs per token | tokens/s | speed of brokenseal relative to it |",
        "|---|--:|--:|--:|",
        *(f"| {name} | {us:.1f} | {1e6 / us:,.0f} | {us / own:.2f} |" for name, us in medians.items()),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.out is not None:
        chosen.out.write_text(text, encoding="utf-8")
    return 0 if medians["joserfc"] / own >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

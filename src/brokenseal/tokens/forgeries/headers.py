"""The header: keys and addresses that the sender brings along, and members that must be understood."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT, b64, compact, exponent_one_block, hmac_of, json_bytes, signing_input
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_BROUGHT: Final = "The verifier takes the key from the token itself: everybody can sign with a key of their own."
_BROUGHT_MEND: Final = (
    "Never use `jwk`, `jku`, `x5c` or `x5u` of a token; take keys from the configured documents alone."
)
_FETCHED: Final = (
    "The verifier fetches keys from where the token says: everybody can sign, and can make it call inner addresses."
)
_CRITICAL: Final = (
    "The issuer says that the token must not be believed without understanding this, and the verifier believes it."
)
_CRITICAL_MEND: Final = "Refuse a token with `crit` unless every member that it names is understood and processed."
_MOVED: Final = "Claims are looked for in the header, which no rule of the identity platform fills."
_SOURCES: Final = ("RFC 7515 §4.1", "RFC 8725 §3.10")


def _row(
    name: str, gravity: Gravity, tests: str, make: Make, *, meaning: str, mend: str, sources: tuple[str, ...] = ()
) -> Specimen:
    return Specimen(
        name=name,
        family="headers",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=(*_SOURCES, *sources),
        make=make,
    )


def _brought(name: str, tests: str, make: Make, *sources: str) -> Specimen:
    return _row(name, Gravity.BREACH, tests, make, meaning=_BROUGHT, mend=_BROUGHT_MEND, sources=sources)


def _fetched(name: str, tests: str, make: Make, *sources: str) -> Specimen:
    return _row(name, Gravity.BREACH, tests, make, meaning=_FETCHED, mend=_BROUGHT_MEND, sources=sources)


def _critical(name: str, tests: str, critical: Mapping[str, Mapping[str, Any]]) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {label: lab.mint(header=members) for label, members in critical.items()}

    return _row(
        name,
        Gravity.LAXITY,
        tests,
        make,
        meaning=_CRITICAL,
        mend=_CRITICAL_MEND,
        sources=("RFC 7515 §4.1.11", "CVE-2025-59420"),
    )


def _own(lab: Laboratory, **header: Any) -> str:
    """A token signed by the stranger's key, with these header members."""
    return lab.mint(key="attacker", header=header)


def _embedded(lab: Laboratory) -> dict[str, str]:
    jwk = lab.keys["attacker"].members()
    kid = lab.keys["enterprise"].kid
    return {
        "own kid": _own(lab, jwk={**jwk, "kid": lab.keys["attacker"].kid}),
        "no kid": _own(lab, jwk=jwk, kid=ABSENT),
        "genuine kid": _own(lab, jwk={**jwk, "kid": kid}, kid=kid),
        "with issuer": _own(
            lab, jwk={**jwk, "kid": kid, "issuer": lab.claims()["iss"], "use": "sig", "alg": "RS256"}, kid=kid
        ),
    }


def _embedded_elliptic(lab: Laboratory) -> dict[str, str]:
    jwk = lab.keys["attacker_elliptic"].members()
    return {
        "no kid": lab.mint(key="attacker_elliptic", alg="ES256", header={"jwk": jwk, "kid": ABSENT}),
        "genuine kid": lab.mint(
            key="attacker_elliptic", alg="ES256", header={"jwk": jwk, "kid": lab.keys["elliptic"].kid}
        ),
    }


def _embedded_secret(lab: Laboratory) -> str:
    secret = b"0123456789abcdef0123456789abcdef"
    head = json_bytes(lab.header(alg="HS256", changes={"jwk": {"kty": "oct", "k": b64(secret)}, "kid": ABSENT}))
    body = json_bytes(lab.claims())
    return compact(head, body, hmac_of(secret, signing_input(head, body)))


def _embedded_exponent_one(lab: Laboratory) -> dict[str, str]:
    """A key with exponent 1, for which a signature is the padded digest: nobody needs a private key."""
    made = {}
    for label, kid in {"no kid": ABSENT, "genuine kid": lab.keys["enterprise"].kid}.items():
        jwk = {**lab.keys["enterprise"].members(), "e": "AQ"}
        head, body = json_bytes(lab.header(changes={"jwk": jwk, "kid": kid})), json_bytes(lab.claims())
        made[label] = compact(head, body, exponent_one_block(256, signing_input(head, body)))
    return made


def _chain(lab: Laboratory, *names: str, **header: Any) -> str:
    chain = [base64.b64encode(lab.keys[name].certificate).decode() for name in names]
    return _own(lab, x5c=chain, **header)


FORGERIES: Final = (
    _brought(
        "embedded_key",
        "The header brings the key with which the token verifies.",
        _embedded,
        "CVE-2018-0114",
        "RFC 7515 §4.1.3",
    ),
    _brought("embedded_elliptic_key", "The header brings an elliptic key.", _embedded_elliptic, "CVE-2018-0114"),
    _brought("embedded_secret", "The header brings the secret of an HMAC.", _embedded_secret, "RFC 7518 §6.4"),
    _brought(
        "embedded_key_with_exponent_one",
        "The header brings the genuine modulus with exponent 1, under which everybody can sign.",
        _embedded_exponent_one,
        "RFC 8017 §3.1",
    ),
    _brought(
        "certificate_of_stranger",
        "The header brings a self-signed certificate of the sender's.",
        lambda lab: {
            "own kid": _chain(lab, "attacker"),
            "no kid": _chain(lab, "attacker", kid=ABSENT),
            "genuine kid": _chain(lab, "attacker", kid=lab.keys["enterprise"].kid),
            "thumbprint": _chain(lab, "attacker", kid=ABSENT, x5t=lab.keys["attacker"].x5t),
        },
        "RFC 7515 §4.1.6",
    ),
    _brought(
        "certificate_chain_with_genuine_one",
        "The header brings the sender's certificate and the genuine one beside it.",
        lambda lab: {
            "genuine behind": _chain(lab, "attacker", "enterprise", kid=lab.keys["enterprise"].kid),
            "genuine first": _chain(lab, "enterprise", "attacker", kid=lab.keys["enterprise"].kid),
        },
        "RFC 7515 §4.1.6",
    ),
    _fetched(
        "key_address",
        "The header says where the sender's keys are.",
        lambda lab: {
            label: _own(lab, jku=address)
            for label, address in {
                "stranger": "https://keys.attacker.example/keys",
                "user part": "https://login.microsoftonline.com@attacker.example/keys",
                "redirect": "https://login.microsoftonline.com/common/oauth2/logout?post_logout_redirect_uri=https://attacker.example",
                "fragment": "https://attacker.example/#login.microsoftonline.com",
            }.items()
        },
        "RFC 7515 §4.1.2",
    ),
    _fetched(
        "key_address_inside",
        "The header says an address inside the verifier's network or on its disk.",
        lambda lab: {
            label: _own(lab, jku=address)
            for label, address in {
                "loopback": "http://127.0.0.1:9/keys",
                "metadata": "http://169.254.169.254/latest/meta-data/",
                "file": "file:///etc/hostname",
            }.items()
        },
        "RFC 7515 §4.1.2",
    ),
    _fetched(
        "certificate_address",
        "The header says where the sender's certificate is.",
        lambda lab: {
            "own kid": _own(lab, x5u="https://keys.attacker.example/certificate.pem"),
            "genuine kid": _own(
                lab, x5u="https://keys.attacker.example/certificate.pem", kid=lab.keys["enterprise"].kid
            ),
        },
        "RFC 7515 §4.1.5",
    ),
    _critical(
        "critical_unknown",
        "The header calls a member critical that nobody knows.",
        {
            "present": {"crit": ["exp2"], "exp2": 1},
            "absent": {"crit": ["exp2"]},
            "address": {"crit": ["http://example.invalid/policy"], "http://example.invalid/policy": "deny"},
        },
    ),
    _critical(
        "critical_empty", "`crit` is an empty list, which is forbidden.", {"list": {"crit": []}, "null": {"crit": None}}
    ),
    _critical(
        "critical_of_wrong_type",
        "`crit` is no list of texts.",
        {"text": {"crit": "exp"}, "object": {"crit": {}}, "true": {"crit": True}, "numbers": {"crit": [1]}},
    ),
    _critical(
        "critical_registered",
        "`crit` names a member that is always understood, or one twice, which is forbidden.",
        {"alg": {"crit": ["alg"]}, "kid": {"crit": ["kid"]}, "twice": {"crit": ["x", "x"], "x": 1}},
    ),
    _row(
        "unencoded_payload_announced",
        Gravity.LAXITY,
        "`b64` says that the payload stands as it is, in a token where it does not.",
        lambda lab: {
            "false": lab.mint(header={"b64": False}),
            "false and critical": lab.mint(header={"b64": False, "crit": ["b64"]}),
            "text": lab.mint(header={"b64": "false"}),
            "true and critical": lab.mint(header={"b64": True, "crit": ["b64"]}),
        },
        meaning="Verifier and application may differ in what was signed.",
        mend="Refuse a token that has `b64`; the identity platform never writes it.",
        sources=("RFC 7797 §3", "RFC 7797 §6"),
    ),
    _row(
        "claims_in_header",
        Gravity.LAXITY,
        "The claims that count stand in the header, and the payload lacks them.",
        lambda lab: {
            claim: lab.mint({claim: ABSENT}, header={claim: lab.claims()[claim]})
            for claim in ("iss", "aud", "exp", "tid")
        },
        meaning=_MOVED,
        mend="Read claims from the payload alone.",
        sources=("RFC 7519 §5.3",),
    ),
    _row(
        "compression_announced",
        Gravity.LAXITY,
        "`zip` says that the payload is compressed, in a token where it is not.",
        lambda lab: {"DEF": lab.mint(header={"zip": "DEF"}), "unknown": lab.mint(header={"zip": "XX"})},
        meaning="A member that only encrypted tokens have is passed over: one reader will decompress, the other not.",
        mend="Refuse a signed token that has `zip` or `enc`.",
        sources=("RFC 7516 §4.1.3",),
    ),
    _row(
        "content_announced_as_token",
        Gravity.LAXITY,
        "`cty` says that the payload is itself a token, in a token where it is not.",
        lambda lab: lab.mint(header={"cty": "JWT"}),
        meaning="Nested tokens are not told from plain ones: one reader will unwrap, the other not.",
        mend="Refuse an access token that has `cty`.",
        sources=("RFC 7519 §5.2",),
    ),
)

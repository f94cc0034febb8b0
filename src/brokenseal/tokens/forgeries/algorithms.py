"""The algorithm: who chooses it, and whether a key may be used with it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT, compact, hmac_of, json_bytes, sign, signing_input, unb64
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_NONE_MEANS: Final = "Anybody can write a token without any key and be whoever they say."
_HMAC_MEANS: Final = "Anybody who has the public key, which is public, can sign as the identity provider."
_LIST: Final = "Verify with a fixed list of algorithms, compared exactly; never take the algorithm from the token."
_BIND: Final = "Bind every key to its type: an RSA or elliptic key is never used as the secret of an HMAC."
_LAX_MEANS: Final = (
    "Only the holder of the genuine key can make it; a verifier that lets the token choose the algorithm has no "
    "allow-list, and the next weak algorithm is accepted as well."
)
_NONE: Final = ("RFC 8725 §3.1", "RFC 7518 §3.6", "CVE-2022-23540", "CVE-2021-22160")
_CONFUSION: Final = ("RFC 8725 §2.1", "RFC 8725 §3.1", "CVE-2016-10555", "CVE-2016-5431")


def unsigned(
    lab: Laboratory, header: Mapping[str, Any], *, signature: bytes = b"", claims: Mapping[str, Any] | None = None
) -> str:
    """A token for the home tenant with this header change and this signature, made without any key."""
    return compact(json_bytes(lab.header(changes=header)), json_bytes(lab.claims(claims)), signature)


def by_secret(lab: Laboratory, secret: bytes, *, alg: str = "HS256", header: Mapping[str, Any] | None = None) -> str:
    """A token signed by HMAC with the secret, under the genuine key id."""
    head, body = json_bytes(lab.header(alg=alg, changes=header)), json_bytes(lab.claims())
    return compact(head, body, hmac_of(secret, signing_input(head, body), alg))


def _under(lab: Laboratory, alg: str, *, signer: str, signed_as: str, header: Mapping[str, Any] | None = None) -> str:
    """The header says one algorithm, the signature is made by another."""
    head, body = json_bytes(lab.header(alg=alg, changes=header)), json_bytes(lab.claims())
    return compact(head, body, sign(lab.keys[signer].private, signed_as, signing_input(head, body)))


def _pem(lab: Laboratory, *, is_pkcs1: bool) -> dict[str, str]:
    pem = lab.keys["enterprise"].public_bytes(is_pem=True, is_pkcs1=is_pkcs1)
    forms = {"as exported": pem, "no last line feed": pem.rstrip(b"\n"), "CRLF": pem.replace(b"\n", b"\r\n")}
    return {name: by_secret(lab, secret) for name, secret in forms.items()}


def _der(lab: Laboratory) -> dict[str, str]:
    key = lab.keys["enterprise"]
    return {
        "SPKI": by_secret(lab, key.public_bytes(is_pem=False)),
        "PKCS #1": by_secret(lab, key.public_bytes(is_pem=False, is_pkcs1=True)),
    }


def _jwk(lab: Laboratory) -> dict[str, str]:
    published = lab.documents()["common"]["keys"][0]
    forms = {
        "compact": json.dumps(published, separators=(",", ":")),
        "as Python writes it": json.dumps(published),
        "sorted": json.dumps(published, separators=(",", ":"), sort_keys=True),
        "key members only": json.dumps(lab.keys["enterprise"].members(), separators=(",", ":"), sort_keys=True),
    }
    return {name: by_secret(lab, text.encode()) for name, text in forms.items()}


def _certificate(lab: Laboratory) -> dict[str, str]:
    der = lab.keys["enterprise"].certificate
    text = base64.b64encode(der)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    forms = {"DER": der, "x5c text": text, "PEM": pem}
    return {name: by_secret(lab, secret) for name, secret in forms.items()}


def _modulus(lab: Laboratory) -> dict[str, str]:
    text = lab.keys["enterprise"].members()["n"]
    return {"text": by_secret(lab, text.encode()), "bytes": by_secret(lab, unb64(text))}


def _guessed(lab: Laboratory) -> dict[str, str]:
    secrets = ("secret", "password", "changeme", "your-256-bit-secret", lab.keys["enterprise"].kid, lab.api, "None")
    return {f"guess {number}": by_secret(lab, secret.encode()) for number, secret in enumerate(secrets, 1)}


def _row(
    name: str,
    gravity: Gravity,
    tests: str,
    make: Make,
    *,
    meaning: str = _LAX_MEANS,
    mend: str = _LIST,
    sources: tuple[str, ...] = ("RFC 8725 §3.1",),
    needs: str | None = None,
) -> Specimen:
    return Specimen(
        name=name,
        family="algorithms",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=sources,
        make=make,
        needs=needs,
    )


def _none(name: str, tests: str, make: Make) -> Specimen:
    return _row(name, Gravity.BREACH, tests, make, meaning=_NONE_MEANS, sources=_NONE)


def _confused(name: str, tests: str, make: Make, *cves: str) -> Specimen:
    return _row(
        name, Gravity.BREACH, tests, make, meaning=_HMAC_MEANS, mend=f"{_BIND} {_LIST}", sources=(*_CONFUSION, *cves)
    )


FORGERIES: Final = (
    _none(
        "none_unsigned",
        "The header says `none` and the signature is empty.",
        lambda lab: unsigned(lab, {"alg": "none"}),
    ),
    _none(
        "none_in_other_case",
        "The header says `none` in other letter cases, which a list of forbidden words misses.",
        lambda lab: {alg: unsigned(lab, {"alg": alg}) for alg in ("None", "NONE", "nOnE", "noNe")},
    ),
    _none(
        "none_padded",
        "The header says `none` with something invisible beside it.",
        lambda lab: {
            ascii(alg): unsigned(lab, {"alg": alg}) for alg in ("none ", " none", "none\0", "none\n", "ｎone")
        },
    ),
    _none(
        "none_with_signature",
        "The header says `none` above a signature that belongs to another token.",
        lambda lab: unsigned(lab, {"alg": "none"}, signature=unb64(lab.mint().rpartition(".")[2])),
    ),
    _none(
        "none_without_kid",
        "The header says `none` and names no key, so that no key is looked up.",
        lambda lab: unsigned(lab, {"alg": "none", "kid": ABSENT, "typ": ABSENT}),
    ),
    _none(
        "algorithm_left_out",
        "The header has no usable `alg`, and the signature is empty.",
        lambda lab: {
            label: unsigned(lab, {"alg": alg})
            for label, alg in {"absent": ABSENT, "null": None, "empty": "", "false": False, "list": []}.items()
        },
    ),
    _none(
        "algorithm_unknown",
        "The header names an algorithm that does not exist, or one too weak to be registered.",
        lambda lab: {
            alg: unsigned(lab, {"alg": alg}, signature=b"\0" * 32) for alg in ("XX256", "RS0", "HS1", "MD5", "rsa")
        },
    ),
    _confused(
        "hmac_with_public_pem",
        "HS256 with the PEM of the public key as secret.",
        lambda lab: _pem(lab, is_pkcs1=False),
        "CVE-2024-37568",
    ),
    _confused(
        "hmac_with_pkcs1_pem",
        "HS256 with the PKCS #1 PEM of the public key as secret.",
        lambda lab: _pem(lab, is_pkcs1=True),
        "CVE-2017-11424",
    ),
    _confused("hmac_with_public_der", "HS256 with the DER bytes of the public key as secret.", _der),
    _confused("hmac_with_jwk_text", "HS256 with the JSON text of the published key as secret.", _jwk),
    _confused("hmac_with_certificate", "HS256 with the published certificate as secret.", _certificate),
    _confused("hmac_with_modulus", "HS256 with the modulus of the public key as secret.", _modulus),
    _confused(
        "hmac_with_ssh_key",
        "HS256 with the OpenSSH line of the public key as secret.",
        lambda lab: by_secret(lab, lab.keys["enterprise"].ssh_bytes()),
        "CVE-2022-29217",
        "CVE-2024-33663",
    ),
    _confused(
        "hmac_longer_with_public_pem",
        "HS384 and HS512 with the PEM of the public key as secret.",
        lambda lab: {
            alg: by_secret(lab, lab.keys["enterprise"].public_bytes(is_pem=True), alg=alg) for alg in ("HS384", "HS512")
        },
    ),
    _confused(
        "hmac_with_elliptic_pem",
        "HS256 with the PEM of the published elliptic key as secret, under its key id.",
        lambda lab: by_secret(
            lab, lab.keys["elliptic"].public_bytes(is_pem=True), header={"kid": lab.keys["elliptic"].kid}
        ),
        "CVE-2024-33663",
    ),
    _row(
        "hmac_with_empty_secret",
        Gravity.BREACH,
        "HS256, HS384 and HS512 with a secret of no bytes.",
        lambda lab: {alg: by_secret(lab, b"", alg=alg) for alg in ("HS256", "HS384", "HS512")},
        meaning="A secret that was not set is taken as one that is empty: anybody can sign.",
    ),
    _row(
        "hmac_with_guessed_secret",
        Gravity.BREACH,
        "HS256 with secrets that stand in examples, or that are known: the key id, the audience.",
        _guessed,
        meaning="The verifier takes symmetric signatures with a secret that everybody can guess.",
        sources=("RFC 8725 §3.5", "RFC 8725 §3.1"),
    ),
    _row(
        "elliptic_signature_under_rsa_key",
        Gravity.BREACH,
        "ES256 by a stranger's key under the id of a published RSA key.",
        lambda lab: _under(lab, "ES256", signer="attacker_elliptic", signed_as="ES256"),
        meaning="The key is taken from somewhere else than the key document when its type does not fit.",
        mend=_BIND,
        sources=("RFC 8725 §3.1", "RFC 7517 §4.1"),
    ),
    _row(
        "other_curve_under_elliptic_key",
        Gravity.BREACH,
        "ES384 and ES256 by a stranger's P-384 key under the id of a published P-256 key.",
        lambda lab: {
            alg: _under(lab, alg, signer="attacker_p384", signed_as="ES384", header={"kid": lab.keys["elliptic"].kid})
            for alg in ("ES384", "ES256")
        },
        meaning="The curve is taken from the token: the verifier trusts a point that nobody published.",
        mend="Take curve and algorithm from the published key alone.",
        sources=("RFC 7518 §3.4", "RFC 8725 §3.1"),
        needs="ES256",
    ),
    _row(
        "edwards_signature",
        Gravity.BREACH,
        "EdDSA with 64 bytes of zeros under the id of a published RSA key.",
        lambda lab: {alg: unsigned(lab, {"alg": alg}, signature=b"\0" * 64) for alg in ("EdDSA", "Ed25519")},
        meaning="An algorithm that is not in use here is tried all the same, with a key that does not fit.",
    ),
    _row(
        "longer_hash_by_genuine_key",
        Gravity.LAXITY,
        "RS384 and RS512 by the genuine key; the allow-list holds RS256.",
        lambda lab: {alg: lab.mint(alg=alg) for alg in ("RS384", "RS512")},
    ),
    _row(
        "pss_by_genuine_key",
        Gravity.LAXITY,
        "PS256, PS384 and PS512 by the genuine key; the allow-list holds RS256.",
        lambda lab: {alg: lab.mint(alg=alg) for alg in ("PS256", "PS384", "PS512")},
    ),
    _row(
        "pss_signature_called_rs256",
        Gravity.LAXITY,
        "The header says RS256, the signature is an RSASSA-PSS one.",
        lambda lab: _under(lab, "RS256", signer="enterprise", signed_as="PS256"),
        meaning="The verifier tries several schemes until one fits, so that the header says nothing.",
        mend="One algorithm, one scheme: never try another one when verification fails.",
        sources=("RFC 7518 §3.3", "RFC 7518 §3.5"),
    ),
    _row(
        "rs256_signature_called_pss",
        Gravity.LAXITY,
        "The header says PS256, the signature is a PKCS #1 v1.5 one.",
        lambda lab: _under(lab, "PS256", signer="enterprise", signed_as="RS256"),
        meaning="The verifier tries several schemes until one fits, so that the header says nothing.",
        mend="One algorithm, one scheme: never try another one when verification fails.",
        sources=("RFC 7518 §3.3", "RFC 7518 §3.5"),
    ),
    _row(
        "rs512_signature_called_rs256",
        Gravity.LAXITY,
        "The header says RS256, the signature is made with SHA-512.",
        lambda lab: _under(lab, "RS256", signer="enterprise", signed_as="RS512"),
        meaning="The hash is taken from the signature and not from the algorithm; so would a broken one be.",
        mend="Take the hash from the algorithm of the allow-list.",
        sources=("RFC 7518 §3.3",),
    ),
    _row(
        "algorithm_as_list",
        Gravity.LAXITY,
        "`alg` is a list or an object that holds RS256, signed by the genuine key.",
        lambda lab: {
            label: lab.mint(header={"alg": alg})
            for label, alg in {"list": ["RS256"], "with none": ["none", "RS256"], "object": {"RS256": True}}.items()
        },
        meaning="The algorithm is searched and not compared; two parts of the system may choose differently.",
        sources=("RFC 7515 §4.1.1",),
    ),
    _row(
        "algorithm_in_other_form",
        Gravity.LAXITY,
        "`alg` is RS256 in other letters, signed by the genuine key.",
        lambda lab: {
            ascii(alg): lab.mint(header={"alg": alg}) for alg in ("rs256", "Rs256", "RS256 ", "RS256\0", "ＲS256")
        },
        meaning="The algorithm is folded before it is compared: so is `none`.",
        sources=("RFC 7515 §4.1.1",),
    ),
)

"""The signature: missing, cut, of something else, or of nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import utils

from brokenseal.tokens._sealing import b64, compact, json_bytes, raw_rsa, signing_input, unb64, without_null
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (FIPS 186-5, appendix)."""

_NOT_CHECKED: Final = "The signature is not verified: anybody can change or write any token."
_NOT_CHECKED_MEND: Final = "Verify the signature of every token before its claims are read, and stop where that fails."
_LAX: Final = "The signature is read leniently; leniency in signatures has led to forgeries before."
_LAX_MEND: Final = "Use a maintained cryptographic library, and pass it the bytes as they stand, of the exact length."
_PSYCHIC: Final = (
    "The verifier's mathematics accepts numbers that are no signature: everybody can sign for every elliptic key."
)
_SOURCES: Final = ("RFC 7515 §5.2", "RFC 8725 §3.2")


def _row(
    name: str,
    gravity: Gravity,
    tests: str,
    make: Make,
    *,
    meaning: str = _NOT_CHECKED,
    mend: str = _NOT_CHECKED_MEND,
    sources: tuple[str, ...] = (),
    needs: str | None = None,
) -> Specimen:
    return Specimen(
        name=name,
        family="signatures",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=(*_SOURCES, *sources),
        make=make,
        needs=needs,
    )


def _signatures(change: Callable[[bytes], Mapping[str, bytes]], *, elliptic: bool = False) -> Make:
    """A genuine token, its signature replaced by what becomes of it."""

    def make(lab: Laboratory) -> dict[str, str]:
        token = lab.mint(key="elliptic", alg="ES256") if elliptic else lab.mint()
        head, _, signature = token.rpartition(".")
        return {label: f"{head}.{b64(bytes_)}" for label, bytes_ in change(unb64(signature)).items()}

    return make


def tampered(lab: Laboratory, **changes: Any) -> str:
    """A genuine token whose claims were changed afterwards."""
    header, _, signature = lab.mint().split(".")
    return f"{header}.{b64(json_bytes(lab.claims(changes)))}.{signature}"


def _pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _flipped(signature: bytes) -> dict[str, bytes]:
    return {
        label: signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        for label, place in {"first byte": 0, "middle": len(signature) // 2, "last byte": len(signature) - 1}.items()
    }


def _der(signature: bytes) -> dict[str, bytes]:
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    return {"DER": utils.encode_dss_signature(r, s)}


def _wide(signature: bytes) -> dict[str, bytes]:
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    return {
        "zeros before": b"\0" + signature[:32] + b"\0" + signature[32:],
        "as P-384": r.to_bytes(48, "big") + s.to_bytes(48, "big"),
        "byte behind": signature + b"\0",
        "cut": signature[:63],
    }


def _other_header(lab: Laboratory) -> dict[str, str]:
    _, payload, signature = lab.mint().split(".")
    return {
        label: f"{b64(json_bytes(lab.header(changes=changes)))}.{payload}.{signature}"
        for label, changes in {"typ": {"typ": "at+jwt"}, "kid": {"kid": lab.keys["enterprise_next"].kid}}.items()
    }


def _by_hand(lab: Laboratory) -> dict[str, str]:
    """PKCS #1 blocks that RFC 8017 forbids, signed by the genuine key."""
    head, body = json_bytes(lab.header()), json_bytes(lab.claims())
    private, text = lab.keys["enterprise"].rsa, signing_input(head, body)
    forms = {
        "bytes behind": raw_rsa(private, text, tail=b"\0" * 16),
        "digest alone": raw_rsa(private, text, info=b""),
        "no NULL": without_null(private, text),
    }
    return {label: compact(head, body, signature) for label, signature in forms.items()}


FORGERIES: Final = (
    _row(
        "signature_empty",
        Gravity.BREACH,
        "The header says RS256 or ES256, and the signature is empty.",
        lambda lab: {
            "RS256": f"{lab.mint().rpartition('.')[0]}.",
            "ES256": f"{lab.mint(key='elliptic', alg='ES256').rpartition('.')[0]}.",
        },
        sources=("CVE-2020-28042",),
    ),
    _row(
        "signature_of_nothing",
        Gravity.BREACH,
        "The signature is zeros, ones or the number one.",
        _signatures(
            lambda signature: {
                "zeros": b"\0" * len(signature),
                "ones": b"\xff" * len(signature),
                "one": b"\0" * (len(signature) - 1) + b"\1",
                "one byte": b"\0",
            }
        ),
    ),
    _row(
        "signature_cut",
        Gravity.BREACH,
        "The signature lacks bytes.",
        _signatures(
            lambda signature: {
                "one byte": signature[:1],
                "half": signature[:128],
                "last byte": signature[:-1],
                "first byte": signature[1:],
            }
        ),
    ),
    _row(
        "signature_longer",
        Gravity.LAXITY,
        "The genuine signature with bytes before or behind it.",
        _signatures(
            lambda signature: {"behind": signature + b"\0", "before": b"\0" + signature, "twice": signature * 2}
        ),
        meaning=_LAX,
        mend=_LAX_MEND,
        sources=("RFC 8017 §8.2.2",),
    ),
    _row("signature_flipped", Gravity.BREACH, "One bit of the signature is changed.", _signatures(_flipped)),
    _row(
        "claims_changed",
        Gravity.BREACH,
        "The claims of a captured token were changed: user, rights, end, tenant.",
        lambda lab: {
            "user": tampered(lab, oid="00000000-0000-4000-8000-000000000000"),
            "scope": tampered(lab, scp="Mail.Read Mail.ReadWrite"),
            "end": tampered(lab, exp=lab.at + 2 * 3600),
            "one letter": tampered(lab, name="Simulated Persom"),
        },
        sources=("RFC 8725 §2.2",),
    ),
    _row("header_changed", Gravity.BREACH, "The header of a captured token was changed.", _other_header),
    _row(
        "signature_of_other_token",
        Gravity.BREACH,
        "The right key's signature of another token.",
        lambda lab: {
            "user": f"{lab.mint().rpartition('.')[0]}.{lab.mint({'sub': 'another'}).rpartition('.')[2]}",
            "other key": f"{lab.mint().rpartition('.')[0]}.{lab.mint(key='enterprise_next').rpartition('.')[2]}",
        },
    ),
    _row(
        "signature_of_claims_alone",
        Gravity.LAXITY,
        "The right key signed the claims without the header.",
        lambda lab: compact(
            json_bytes(lab.header()),
            json_bytes(lab.claims()),
            raw_rsa(lab.keys["enterprise"].rsa, b64(json_bytes(lab.claims()))),
        ),
        meaning="The header is not part of what is verified, so that algorithm and key id can be changed freely.",
    ),
    _row(
        "signature_padding_by_hand",
        Gravity.LAXITY,
        "The right key signed a block whose padding or digest is not in the one form that RFC 8017 allows.",
        _by_hand,
        meaning="Padding is read leniently: with a small exponent everybody can then sign.",
        mend=_LAX_MEND,
        sources=("RFC 8017 §8.2.2", "CVE-2006-4339"),
    ),
    _row(
        "elliptic_zero",
        Gravity.BREACH,
        "ES256 with r, s or both zero.",
        _signatures(
            lambda signature: {
                "both": b"\0" * 64,
                "r": b"\0" * 32 + signature[32:],
                "s": signature[:32] + b"\0" * 32,
            },
            elliptic=True,
        ),
        meaning=_PSYCHIC,
        mend=_LAX_MEND,
        sources=("CVE-2022-21449", "RFC 8725 §2.3"),
        needs="ES256",
    ),
    _row(
        "elliptic_order",
        Gravity.BREACH,
        "ES256 with r and s at the order of the group or beyond, which are zero after reduction.",
        _signatures(
            lambda _: {
                "order": _pair(P256_ORDER, P256_ORDER),
                "one and order": _pair(1, P256_ORDER),
                "beyond": b"\xff" * 64,
                "ones": _pair(1, 1),
            },
            elliptic=True,
        ),
        meaning=_PSYCHIC,
        mend=_LAX_MEND,
        sources=("CVE-2022-21449",),
        needs="ES256",
    ),
    _row(
        "elliptic_in_der",
        Gravity.LAXITY,
        "The genuine ES256 signature in DER, as other systems write it.",
        _signatures(_der, elliptic=True),
        meaning="Two writings of one signature are accepted; the standard has one.",
        mend="Demand 64 bytes for ES256.",
        sources=("RFC 7518 §3.4",),
        needs="ES256",
    ),
    _row(
        "elliptic_of_other_length",
        Gravity.LAXITY,
        "The genuine ES256 signature with zeros in it, or cut.",
        _signatures(_wide, elliptic=True),
        meaning=_LAX,
        mend="Demand 64 bytes for ES256.",
        sources=("RFC 7518 §3.4",),
        needs="ES256",
    ),
    _row(
        "elliptic_flipped",
        Gravity.BREACH,
        "One bit of an ES256 signature is changed, or its halves are exchanged.",
        _signatures(
            lambda signature: {**_flipped(signature), "exchanged": signature[32:] + signature[:32]}, elliptic=True
        ),
        needs="ES256",
    ),
)

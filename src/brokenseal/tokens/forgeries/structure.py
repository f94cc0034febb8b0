"""The form of the whole: parts, serialisations, tokens inside tokens, size and depth."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT, b64, compact, json_bytes, sign
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_PARTS: Final = "A text that is no signed token is read as one: what is missing or added is not looked at."
_PARTS_MEND: Final = "Split at the full stops and demand exactly three parts that are not empty."
_OTHER_FORM: Final = "Another form of token is read with other rules, which nobody has checked."
_OTHER_FORM_MEND: Final = (
    "Accept compact signed tokens and nothing else; never decide the form by looking at the token."
)
_SIZE: Final = "A sender can keep the verifier busy, or bring it down, before anything is verified."
_SIZE_MEND: Final = "Refuse tokens above 16 KiB and JSON deeper than some ten levels before they are decoded."
_SOURCES: Final = ("RFC 7515 §7.1", "RFC 7519 §7.2")


def _row(
    name: str,
    gravity: Gravity,
    tests: str,
    make: Make,
    *,
    meaning: str = _PARTS,
    mend: str = _PARTS_MEND,
    sources: tuple[str, ...] = (),
) -> Specimen:
    return Specimen(
        name=name,
        family="structure",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=(*_SOURCES, *sources),
        make=make,
    )


def _form(name: str, gravity: Gravity, tests: str, make: Make, *sources: str) -> Specimen:
    return _row(name, gravity, tests, make, meaning=_OTHER_FORM, mend=_OTHER_FORM_MEND, sources=sources)


def _size(name: str, tests: str, make: Make, *sources: str) -> Specimen:
    return _row(name, Gravity.LAXITY, tests, make, meaning=_SIZE, mend=_SIZE_MEND, sources=("RFC 8725 §2.5", *sources))


def _parts(lab: Laboratory) -> tuple[str, str, str]:
    header, payload, signature = lab.mint().split(".")
    return header, payload, signature


def _with_payload(lab: Laboratory, payload: bytes, **header: Any) -> str:
    """Any payload, signed by the genuine key."""
    return lab.seal(json_bytes(lab.header(changes=header)), payload)


def _wrapped(lab: Laboratory, kid: str) -> str:
    """A genuine token inside a stranger's."""
    header = json_bytes({"alg": "RS256", "cty": "JWT", "kid": kid})
    return lab.seal(header, lab.mint().encode(), key="attacker")


def _json_forms(lab: Laboratory) -> dict[str, str]:
    header, payload, signature = _parts(lab)
    one = {"protected": header, "signature": signature}
    bad = {"protected": b64(json_bytes({"alg": "none"})), "signature": ""}
    forms = {
        "flattened": {"payload": payload, **one},
        "general": {"payload": payload, "signatures": [one]},
        "two signatures": {"payload": payload, "signatures": [bad, one]},
        "unprotected": {"payload": payload, "header": lab.header(), "signature": signature},
    }
    return {label: json.dumps(form) for label, form in forms.items()}


def _unsigned_json(lab: Laboratory) -> dict[str, str]:
    body = b64(json_bytes(lab.claims()))
    forms: dict[str, Any] = {
        "flattened": {"payload": body, "protected": b64(json_bytes({"alg": "none"})), "signature": ""},
        "no signatures": {"payload": body, "signatures": []},
        "claims alone": lab.claims(),
    }
    return {label: json.dumps(form) for label, form in forms.items()}


def _hybrid(lab: Laboratory) -> dict[str, str]:
    """A text that is a compact token to one reader and JSON with other claims to another (RFC 7515 allows neither)."""
    header, payload, signature = _parts(lab)
    other = b64(json_bytes(lab.claims({"oid": "00000000-0000-4000-8000-000000000000"})))
    members = f'"payload":"{other}","protected":"{header}","signature":"{signature}"'
    return {
        "members": f'{{"  {header}.{payload}.{signature}":"x",{members}}}',
        "behind": f'{header}.{payload}.{signature}{{"payload":"{other}"}}',
    }


def _encrypted(lab: Laboratory) -> dict[str, str]:
    """Claims encrypted for the genuine public key: anybody can do that, and nothing about it is signed."""
    import joserfc.jwe
    from joserfc.jwk import RSAKey

    public = RSAKey.import_key({**lab.keys["enterprise"].members()})
    header = {"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "kid": lab.keys["enterprise"].kid, "typ": "JWT"}
    text = joserfc.jwe.encrypt_compact(
        header, json_bytes(lab.claims()), public, algorithms=["RSA-OAEP", "A128CBC-HS256"]
    )
    nested = joserfc.jwe.encrypt_compact(
        {**header, "cty": "JWT"},
        compact(json_bytes({"alg": "none"}), json_bytes(lab.claims()), b"").encode(),
        public,
        algorithms=["RSA-OAEP", "A128CBC-HS256"],
    )
    return {"claims": text, "unsigned token": nested}


def _detached(lab: Laboratory) -> dict[str, str]:
    header, payload, signature = _parts(lab)
    return {"empty": f"{header}..{signature}", "beside": f"{header}..{signature}.{payload}"}


def _unencoded(lab: Laboratory) -> dict[str, str]:
    """Payloads that are not base64 (RFC 7797), signed by the genuine key over what a careless reader would take."""
    made = {}
    for label, crit in {"critical": ["b64"], "not critical": ABSENT}.items():
        head = b64(json_bytes(lab.header(changes={"b64": False, "crit": crit})))
        body = json_bytes(lab.claims()).decode()
        text = f"{head}.{body}"
        made[label] = f"{text}.{b64(sign(lab.keys['enterprise'].private, 'RS256', text))}"
    return made


def _deep(lab: Laboratory, depth: int, opening: str = "[", closing: str = "]") -> str:
    body = json_bytes(lab.claims())
    deep = f'"deep":{opening * depth}0{closing * depth},'.encode()
    return _with_payload(lab, b"{" + deep + body[1:])


FORGERIES: Final = (
    _row(
        "no_signature_part",
        Gravity.BREACH,
        "Header and claims without a third part, with and without the second full stop.",
        lambda lab: {
            "two parts": ".".join(_parts(lab)[:2]),
            "claims alone": _parts(lab)[1],
            "header alone": _parts(lab)[0],
        },
        meaning="Anybody can write a token: a missing signature counts as a good one.",
        sources=("RFC 8725 §3.2",),
    ),
    _row(
        "empty_parts",
        Gravity.BREACH,
        "Parts that are empty.",
        lambda lab: {
            "all": "..",
            "header": f".{_parts(lab)[1]}.{_parts(lab)[2]}",
            "stops only": ".",
            "nothing": "",
            "three stops": "...",
        },
    ),
    _row(
        "parts_added",
        Gravity.LAXITY,
        "A genuine token with more parts behind or before it.",
        lambda lab: {
            "stop behind": f"{lab.mint()}.",
            "part behind": f"{lab.mint()}.AAAA",
            "stop before": f".{lab.mint()}",
            "token behind": f"{lab.mint()}.{lab.mint({'sub': 'x'})}",
        },
    ),
    _row(
        "many_parts",
        Gravity.LAXITY,
        "A text of 10,000 full stops.",
        lambda lab: {"stops": "." * 10_000, "behind a token": f"{lab.mint()}{'.' * 5_000}"},
        meaning=_SIZE,
        mend=_PARTS_MEND,
    ),
    _row(
        "two_tokens",
        Gravity.LAXITY,
        "Two tokens in one text; the first or the second is genuine.",
        lambda lab: {
            "comma": f"{lab.mint()},{lab.mint(key='attacker')}",
            "space": f"{lab.mint(key='attacker')} {lab.mint()}",
        },
        meaning="The verifier checks the one and the application reads the other.",
    ),
    _row(
        "five_parts",
        Gravity.BREACH,
        "A text of five parts, in the form of an encrypted token, with nothing in it that was encrypted.",
        lambda lab: {
            "dir": ".".join(
                (
                    b64(json_bytes({"alg": "dir", "enc": "A128CBC-HS256"})),
                    "",
                    "AAAAAAAAAAAAAAAA",
                    _parts(lab)[1],
                    "AAAA",
                )
            ),
            "token": f"{lab.mint()}.AAAA.AAAA",
        },
        meaning=_OTHER_FORM,
        mend=_OTHER_FORM_MEND,
        sources=("RFC 7516 §3.1",),
    ),
    _form(
        "encrypted_for_public_key",
        Gravity.BREACH,
        "Claims encrypted for the published key: everybody can, and nothing is signed.",
        _encrypted,
        "RFC 7516 §11",
        "RFC 8725 §2.3",
    ),
    _form(
        "json_serialisation", Gravity.LAXITY, "A genuine token in a JSON serialisation.", _json_forms, "RFC 7515 §7.2"
    ),
    _form(
        "json_serialisation_unsigned",
        Gravity.BREACH,
        "Claims in a JSON form without any signature.",
        _unsigned_json,
        "RFC 7515 §7.2",
    ),
    _form(
        "json_and_compact_at_once",
        Gravity.BREACH,
        "A text that one reader takes as compact and another as JSON.",
        _hybrid,
        "CVE-2022-39227",
    ),
    _form(
        "token_in_strangers_token",
        Gravity.BREACH,
        "The payload of a stranger's token is a genuine token of somebody else's.",
        lambda lab: {
            "same kid": _wrapped(lab, lab.keys["enterprise"].kid),
            "own kid": _wrapped(lab, lab.keys["attacker"].kid),
        },
        "RFC 7519 §5.2",
        "RFC 8725 §3.2",
    ),
    _form(
        "token_in_token",
        Gravity.LAXITY,
        "The payload of a genuine token is itself a token, genuine or not.",
        lambda lab: {
            "genuine outside": _with_payload(lab, lab.mint(key="attacker").encode(), cty="JWT"),
            "genuine twice": _with_payload(lab, lab.mint().encode(), cty="JWT"),
            "as text": _with_payload(lab, json_bytes(lab.mint()), cty="JWT"),
        },
        "RFC 7519 §5.2",
        "RFC 8725 §3.2",
    ),
    _form(
        "detached_payload",
        Gravity.LAXITY,
        "Header and signature of a genuine token without its claims.",
        _detached,
        "RFC 7515 §A.5",
    ),
    _form(
        "payload_not_encoded",
        Gravity.LAXITY,
        "The payload is said to stand as it is, without base64.",
        _unencoded,
        "RFC 7797 §6",
        "RFC 7797 §7",
    ),
    _form(
        "payload_compressed",
        Gravity.LAXITY,
        "The claims are compressed, as the header says; signed tokens are never.",
        lambda lab: {
            "DEF": _with_payload(lab, zlib.compress(json_bytes(lab.claims()), wbits=-15), zip="DEF"),
            "GZIP": _with_payload(lab, zlib.compress(json_bytes(lab.claims()), wbits=31), zip="GZIP"),
        },
        "RFC 7516 §4.1.3",
    ),
    _row(
        "compression_bomb",
        Gravity.LAXITY,
        "A few kilobytes that become 8 MB when they are decompressed.",
        lambda lab: _with_payload(
            lab, zlib.compress(b'{"x":"' + b"A" * 8_000_000 + b'"}', level=9, wbits=-15), zip="DEF"
        ),
        meaning=_SIZE,
        mend=_OTHER_FORM_MEND,
        sources=("RFC 8725 §2.5", "CVE-2024-33664"),
    ),
    _form(
        "payload_no_object",
        Gravity.LAXITY,
        "The claims are JSON, but no object.",
        lambda lab: {
            "list": _with_payload(lab, json_bytes([lab.claims()])),
            "text": _with_payload(lab, json_bytes(json.dumps(lab.claims()))),
            "number": _with_payload(lab, b"1"),
            "null": _with_payload(lab, b"null"),
            "true": _with_payload(lab, b"true"),
            "empty": _with_payload(lab, b""),
        },
    ),
    _form(
        "header_no_object",
        Gravity.LAXITY,
        "The header is JSON, but no object.",
        lambda lab: {
            "list": lab.seal(json_bytes([lab.header()]), json_bytes(lab.claims())),
            "text": lab.seal(json_bytes(json.dumps(lab.header())), json_bytes(lab.claims())),
            "null": lab.seal(b"null", json_bytes(lab.claims())),
            "empty": lab.seal(b"{}", json_bytes(lab.claims())),
        },
    ),
    _size(
        "huge_claims",
        "A genuine token of 60 KB and of 1 MB.",
        lambda lab: {"60 KB": lab.mint({"pad": "x" * 45_000}), "1 MB": lab.mint({"pad": "x" * 780_000})},
    ),
    _size("huge_header", "A genuine token whose header has 30 KB.", lambda lab: lab.mint(header={"pad": "x" * 30_000})),
    _size(
        "many_claims",
        "A genuine token with 3,000 claims.",
        lambda lab: lab.mint({f"claim{number}": number for number in range(3_000)}),
    ),
    _size(
        "deep_claims",
        "A genuine token whose claims are nested 200, 2,000 and 100,000 levels deep.",
        lambda lab: {
            "200": _deep(lab, 200),
            "2000": _deep(lab, 2_000),
            "100000": _deep(lab, 100_000),
            "objects": _deep(lab, 1_500, '{"a":', "}"),
        },
    ),
    _size(
        "deep_header",
        "A token whose header is nested 5,000 levels deep.",
        lambda lab: lab.seal(
            json_bytes(lab.header())[:-1] + b',"deep":' + b"[" * 5_000 + b"]" * 5_000 + b"}", json_bytes(lab.claims())
        ),
    ),
)

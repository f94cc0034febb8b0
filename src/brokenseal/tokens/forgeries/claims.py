"""Claims that have to be there, and claims whose names only look like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT, json_bytes
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_MEND: Final = (
    "Demand every claim that the decision rests on; a library that checks a claim where it is present lets its absence "
    "pass."
)
_SOURCES: Final = ("RFC 7519 §4", "Microsoft identity platform, access token claims")
_TWICE: Final = (
    "Two readers of one token see different claims: the verifier believes the one, the application acts on the other. "
    "RFC 7519 lets a reader take the last one or refuse; a strict one refuses."
)
_TWICE_MEND: Final = "Read the JSON with a parser that refuses an object with two members of one name."
_TWIN: Final = (
    "Names of claims are compared without case or after normalising: a claim that is nobody's becomes the one that "
    "counts."
)
_TWIN_MEND: Final = "Compare names of claims exactly, character by character."


def _left_out(claim: str, gravity: Gravity, meaning: str, *others: str) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {
            "absent": lab.mint(dict.fromkeys((claim, *others), ABSENT)),
            "null": lab.mint({claim: None, **dict.fromkeys(others, ABSENT)}),
            "v1": lab.mint(dict.fromkeys((claim, *others), ABSENT), version=1),
        }

    return Specimen(
        name=f"{claim}_missing",
        family="claims",
        gravity=gravity,
        tests=f"There is no {' and no '.join(f'`{name}`' for name in (claim, *others))}.",
        meaning=meaning,
        mend=_MEND,
        sources=_SOURCES,
        make=make,
    )


def twice(lab: Laboratory, name: str, first: Any, second: Any) -> str:
    """A token signed by the genuine key whose claims hold the name twice, in this order."""
    rest = json_bytes(lab.claims({name: ABSENT}))
    pair = b",".join(json_bytes({name: value})[1:-1] for value in (first, second))
    return lab.seal(json_bytes(lab.header()), b"{" + pair + b"," + rest[1:])


def _doubled(claim: str, gravity: Gravity, other: Any) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        right = lab.claims()[claim]
        wrong = other(lab) if callable(other) else other
        return {"right last": twice(lab, claim, wrong, right), "right first": twice(lab, claim, right, wrong)}

    return _specimen(f"two_{claim}", gravity, f"The claims hold `{claim}` twice, once as it should be.", make)


def _specimen(
    name: str, gravity: Gravity, tests: str, make: Make, *, meaning: str = _TWICE, mend: str = _TWICE_MEND
) -> Specimen:
    return Specimen(
        name=name,
        family="claims",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=("RFC 7519 §4", "RFC 7515 §4", "RFC 8725 §2.4"),
        make=make,
    )


def _header_twice(lab: Laboratory) -> dict[str, str]:
    kid = lab.keys["enterprise"].kid
    headers = {
        "alg": f'{{"typ":"JWT","alg":"none","alg":"RS256","kid":"{kid}"}}',
        "alg, right first": f'{{"typ":"JWT","alg":"RS256","alg":"none","kid":"{kid}"}}',
        "kid": f'{{"typ":"JWT","alg":"RS256","kid":"{lab.keys["consumer"].kid}","kid":"{kid}"}}',
        "kid, right first": f'{{"typ":"JWT","alg":"RS256","kid":"{kid}","kid":"{lab.keys["consumer"].kid}"}}',
        "typ": f'{{"typ":"logout+jwt","typ":"JWT","alg":"RS256","kid":"{kid}"}}',
    }
    return {label: lab.seal(text.encode(), json_bytes(lab.claims())) for label, text in headers.items()}


def _escaped_twice(lab: Laboratory) -> dict[str, str]:
    body = json_bytes(lab.claims())
    added = {"iss": '"\\u0069ss":"https://issuer.attacker.example/"', "tid": f'"t\\u0069d":"{lab.stranger}"'}
    return {
        name: lab.seal(json_bytes(lab.header()), b"{" + text.encode() + b"," + body[1:]) for name, text in added.items()
    }


def _twins(lab: Laboratory, twins: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Tokens whose right value stands under a look-alike of the name, and the real name is missing."""
    claims = lab.claims()
    return {
        ascii(twin)[1:-1]: lab.mint({name: ABSENT, twin: claims[name]})
        for name, names in twins.items()
        for twin in names
    }


FORGERIES: Final = (
    _left_out("exp", Gravity.LAXITY, "A token without an end is believed for ever."),
    _left_out(
        "iat",
        Gravity.LAXITY,
        "Nobody can say how old the token is, nor whether its key was still valid when it signed.",
    ),
    _left_out(
        "sub",
        Gravity.LAXITY,
        "The token is nobody's; what the application stores under an empty name is everybody's.",
        "oid",
    ),
    _left_out(
        "azp", Gravity.LAXITY, "The token names no client: no list of applications that may call can hold.", "appid"
    ),
    _specimen(
        "nothing_but_rights",
        Gravity.LAXITY,
        "The claims hold a scope and nothing else.",
        lambda lab: {
            "scope": lab.seal(json_bytes(lab.header()), b'{"scp":"Mail.Read"}'),
            "empty": lab.seal(json_bytes(lab.header()), b"{}"),
        },
        meaning="Claims are checked where they are present: the less a token says, the more it may.",
        mend=_MEND,
    ),
    _doubled("iss", Gravity.LAXITY, "https://issuer.attacker.example/"),
    _doubled("aud", Gravity.LAXITY, "00000003-0000-0000-c000-000000000000"),
    _doubled("tid", Gravity.LAXITY, lambda lab: lab.stranger),
    _doubled("exp", Gravity.LAXITY, 4_102_444_800),
    _doubled("oid", Gravity.LAXITY, "00000000-0000-4000-8000-000000000000"),
    _doubled("scp", Gravity.LAXITY, "Mail.ReadWrite"),
    _specimen("two_of_a_header_member", Gravity.LAXITY, "The header holds a member twice.", _header_twice),
    _specimen(
        "two_of_a_claim_by_escape",
        Gravity.LAXITY,
        "The claims hold a name twice, once with an escape in it.",
        _escaped_twice,
    ),
    _specimen(
        "two_of_a_claim_within",
        Gravity.LAXITY,
        "An object inside the claims holds a name twice.",
        lambda lab: lab.seal(
            json_bytes(lab.header()), b'{"xms_st":{"sub":"a","sub":"b"},' + json_bytes(lab.claims())[1:]
        ),
    ),
    _specimen(
        "claim_names_in_other_case",
        Gravity.LAXITY,
        "A claim that counts stands under its name in other letters only.",
        lambda lab: _twins(lab, {"aud": ("AUD", "Aud"), "iss": ("ISS",), "tid": ("TID",), "exp": ("Exp",)}),
        meaning=_TWIN,
        mend=_TWIN_MEND,
    ),
    _specimen(
        "claim_names_of_look_alikes",
        Gravity.LAXITY,
        "A claim that counts stands under a look-alike of its name only.",
        lambda lab: _twins(lab, {"aud": ("аud", "aud ", "aud\0"), "exp": ("ехр", "ｅｘｐ"), "tid": ("tid\u200b",)}),
        meaning=_TWIN,
        mend=_TWIN_MEND,
    ),
    _specimen(
        "claims_through_prototype",
        Gravity.LAXITY,
        "The claims that count stand in `__proto__` or `constructor` and nowhere else.",
        lambda lab: {
            name: lab.seal(json_bytes(lab.header()), json_bytes({name: lab.claims()}))
            for name in ("__proto__", "constructor")
        },
        meaning="Members are read through inheritance: a sender can set what was never said.",
        mend="Read claims into a map that inherits nothing.",
    ),
)

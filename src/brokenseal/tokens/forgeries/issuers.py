"""The issuer: compared exactly, or nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT
from brokenseal.tokens.laboratory import issuer_of
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory

    Issuers = Callable[[Laboratory], Mapping[str, Any]]

_NEARLY: Final = (
    "The issuer is compared nearly and not exactly. Only the holder of a trusted key can use that; where a second "
    "provider or a second cloud is trusted as well, its owner can take the place of the first."
)
_ABSENT: Final = "A token that does not say who issued it is taken as one of the right issuer."
_MEND: Final = (
    "Build the expected issuer from the key's own `issuer` and the token's `tid`, and compare the two texts for "
    "equality: no folding, no prefix, no pattern, no parsing of the address."
)
_SOURCES: Final = ("RFC 8725 §3.8", "RFC 7519 §4.1.1", "Microsoft identity platform, access token validation")


def _row(
    name: str,
    tests: str,
    issuers: Issuers,
    *,
    meaning: str = _NEARLY,
    sources: tuple[str, ...] = (),
) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {label: lab.mint({"iss": issuer}) for label, issuer in issuers(lab).items()}

    return Specimen(
        name=name,
        family="issuers",
        gravity=Gravity.LAXITY,
        tests=tests,
        meaning=meaning,
        mend=_MEND,
        sources=(*_SOURCES, *sources),
        make=make,
    )


def _right(lab: Laboratory) -> str:
    return issuer_of(lab.home)


def _with(*changes: Callable[[str], str]) -> Issuers:
    """Issuers made of the right one, labelled by themselves without the tenant."""

    def issuers(lab: Laboratory) -> dict[str, str]:
        changed = [change(_right(lab)) for change in changes]
        return {ascii(text.replace(lab.home, "…"))[1:-1][:60]: text for text in changed}

    return issuers


def _host(host: str) -> Callable[[str], str]:
    return lambda issuer: issuer.replace("login.microsoftonline.com", host)


FORGERIES: Final = (
    _row(
        "issuer_left_out",
        "There is no `iss`, or an empty one.",
        lambda _: {"absent": ABSENT, "empty": "", "null": None},
        meaning=_ABSENT,
    ),
    _row(
        "issuer_of_wrong_type",
        "`iss` is no text.",
        lambda lab: {"object": {"iss": _right(lab)}, "number": 0, "true": True, "empty list": []},
        meaning=_ABSENT,
        sources=("CVE-2024-53861",),
    ),
    _row(
        "two_issuers",
        "`iss` is a list that holds the right issuer and another.",
        lambda lab: {
            "right first": [_right(lab), "https://issuer.attacker.example/"],
            "right last": ["https://issuer.attacker.example/", _right(lab)],
            "one": [_right(lab)],
        },
        meaning="Two parts of the system may each find the issuer that they like.",
    ),
    _row(
        "issuer_of_stranger",
        "`iss` is a stranger's address.",
        lambda lab: {
            "other host": f"https://issuer.attacker.example/{lab.home}/v2.0",
            "no address": "attacker",
            "tenant only": lab.home,
        },
        meaning="The issuer is not compared: whoever's key is trusted may speak for everybody.",
    ),
    _row(
        "issuer_in_other_case",
        "The issuer with letters in the other case.",
        _with(
            _host("LOGIN.microsoftonline.com"),
            lambda issuer: issuer.replace("https", "HTTPS"),
            lambda issuer: issuer.replace("v2.0", "V2.0"),
            str.upper,
        ),
    ),
    _row(
        "issuer_tenant_in_other_case",
        "The tenant inside the issuer in capitals, `tid` as it should be.",
        lambda lab: {"capitals": issuer_of(lab.home.upper()), "braces": issuer_of(f"{{{lab.home}}}")},
    ),
    _row(
        "issuer_of_look_alikes",
        "The issuer with letters of other scripts that look the same.",
        _with(
            _host("login.micrоsoftonline.com"),
            _host("login.microsoftonline.cοm"),
            _host("login。microsoftonline.com"),
            _host("ｌogin.microsoftonline.com"),
            _host("login.xn--micrsoftonline-fij.com"),
        ),
    ),
    _row(
        "issuer_with_invisible_characters",
        "The issuer with characters in it that nobody sees.",
        _with(
            _host("login.micro\u200bsoftonline.com"),
            _host("login.micro\u00adsoftonline.com"),
            lambda issuer: f"\u200e{issuer}",
            lambda issuer: f"\ufeff{issuer}",
        ),
    ),
    _row(
        "issuer_decomposed",
        "The issuer with letters that become the right ones by compatibility normalisation.",
        _with(_host("login.microſoftonline.com"), lambda issuer: issuer.replace("v2.0", "v２.0")),
    ),
    _row(
        "issuer_with_slash",
        "A slash more than there should be.",
        _with(lambda issuer: f"{issuer}/", _host("login.microsoftonline.com/")),
    ),
    _row(
        "issuer_with_space",
        "White space at an end of the issuer.",
        _with(
            *(lambda issuer, tail=tail: f"{issuer}{tail}" for tail in (" ", "\n", "\t", "\u00a0")),
            lambda issuer: f" {issuer}",
        ),
    ),
    _row(
        "issuer_with_query",
        "The issuer with a query.",
        _with(lambda issuer: f"{issuer}?tid=x", lambda issuer: f"{issuer}?"),
    ),
    _row(
        "issuer_with_fragment",
        "The issuer with a fragment.",
        _with(lambda issuer: f"{issuer}#x", lambda issuer: f"{issuer};x"),
    ),
    _row(
        "issuer_with_zero_character",
        "The issuer, then a zero character and more.",
        _with(lambda issuer: f"{issuer}\0.attacker.example"),
    ),
    _row(
        "issuer_begins_right",
        "A longer issuer that begins with the right one or with the right host.",
        _with(lambda issuer: f"{issuer}.attacker.example", _host("login.microsoftonline.com.attacker.example")),
    ),
    _row(
        "issuer_is_piece_of_right_one",
        "A shorter issuer that stands inside the right one.",
        lambda lab: {
            "scheme": "https",
            "host": "https://login.microsoftonline.com/",
            "no version": _right(lab).removesuffix("/v2.0"),
            "one letter": "h",
        },
        sources=("CVE-2024-53861",),
    ),
    _row(
        "issuer_holds_right_one",
        "A stranger's address that holds the right issuer in its query or path.",
        lambda lab: {
            "query": f"https://issuer.attacker.example/?{_right(lab)}",
            "path": f"https://issuer.attacker.example/{_right(lab)}",
        },
    ),
    _row(
        "issuer_with_user_part",
        "The right host stands where a user name stands in an address.",
        _with(_host("login.microsoftonline.com@attacker.example"), _host("x@login.microsoftonline.com")),
    ),
    _row(
        "issuer_of_other_scheme",
        "The right issuer with another scheme or a port.",
        _with(
            lambda issuer: issuer.replace("https:", "http:"),
            lambda issuer: issuer.removeprefix("https:"),
            _host("login.microsoftonline.com:443"),
            _host("login.microsoftonline.com."),
        ),
    ),
    _row(
        "issuer_with_detour",
        "The right issuer with steps up and down or percent signs in its path.",
        _with(
            lambda issuer: issuer.replace("/v2.0", "/x/../v2.0"),
            lambda issuer: issuer.replace("/v2.0", "/./v2.0"),
            lambda issuer: issuer.replace("v2.0", "v2%2e0"),
            lambda issuer: issuer.replace("https://", "https:\\\\"),
        ),
    ),
    _row(
        "issuer_pattern_dot",
        "A host that a pattern with a bare full stop matches.",
        _with(_host("loginXmicrosoftonlineYcom")),
    ),
    _row(
        "issuer_template",
        "The issuer as the metadata writes it, the template not filled in.",
        lambda _: {
            "tenantid": issuer_of("{tenantid}"),
            "v1": issuer_of("{tenantid}", 1),
            "tenant": issuer_of("{tenant}"),
        },
        meaning="The issuer is compared with the text of the metadata: every tenant that writes so is every tenant.",
    ),
    _row(
        "issuer_for_everybody",
        "The issuer of an address that stands for many tenants.",
        lambda _: {name: issuer_of(name) for name in ("common", "organizations", "consumers")},
        meaning="The address where keys are fetched is taken as an issuer: every tenant is then the right one.",
    ),
    _row(
        "issuer_of_other_cloud",
        "The issuer of the same tenant id in another national cloud.",
        _with(_host("login.partner.microsoftonline.cn"), _host("login.microsoftonline.us"), _host("login.windows.net")),
    ),
)

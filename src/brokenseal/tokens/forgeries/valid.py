"""Valid tokens that a strict verifier accepts: the other half of a test, for refusing everything is no art."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._laboratory_keys import ALIASES
from brokenseal.tokens._sealing import ABSENT, b64, compact, json_bytes, sign, signing_input, unb64
from brokenseal.tokens.forgeries.signatures import P256_ORDER
from brokenseal.tokens.laboratory import ROLE, SCOPE
from brokenseal.tokens.specimen import Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory, TokenFor
    from brokenseal.tokens.specimen import Make

_HOUR: Final = 3600
_ENTRA: Final = "Microsoft identity platform, access token claims"

_FAMILIES: Final = {
    "kinds": (
        "Callers with ordinary tokens of this kind are turned away.",
        "Accept v1 and v2 forms, users and applications, as far as the API is meant for them.",
        (_ENTRA,),
    ),
    "keys": (
        "All callers are turned away when the provider rotates its keys or names them otherwise.",
        "Load all published keys, look them up by the whole text of `kid`, and load again when one is unknown.",
        ("Microsoft identity platform, signing key rollover", "RFC 7517 §4.5"),
    ),
    "headers": (
        "Callers are turned away for a header that says nothing wrong.",
        "Ignore header members that are not understood, unless `crit` names them; read the header as JSON.",
        ("RFC 7515 §4", "RFC 7515 §5.2"),
    ),
    "audiences": (
        "Callers are turned away for a form of the audience that means the same.",
        "Accept every id of this API, as text or as a list of one.",
        ("RFC 7519 §4.1.3",),
    ),
    "times": (
        "Callers are turned away because clocks differ a little, or because a token lives long for good reasons.",
        "Allow five minutes between clocks, any JSON number as a time, and the lives of continuous access evaluation.",
        ("RFC 7519 §4.1.4", "RFC 7519 §2 (NumericDate)", "Microsoft identity platform, configurable token lifetimes"),
    ),
    "rights": (
        "Callers who hold the right are turned away.",
        "Look for the right among all that the token has.",
        (_ENTRA,),
    ),
    "claims": (
        "Callers are turned away for a claim that this API does not need.",
        "Ignore claims that are not understood.",
        ("RFC 7519 §4", _ENTRA),
    ),
    "json": (
        "Callers are turned away for another writing of the same JSON, for example people with certain names.",
        "Read JSON with a full parser; never search in its text.",
        ("RFC 8259", "RFC 7519 §7.2"),
    ),
    "signatures": (
        "Some tokens of the same key are turned away, at random.",
        "Leave signatures to a maintained library.",
        ("RFC 7518 §3.3", "RFC 7518 §3.4"),
    ),
}
"""Meaning of a refusal, how to mend it, sources; by family."""


def _row(name: str, family: str, tests: str, make: Make, *, needs: str | None = None) -> Specimen:
    meaning, mend, sources = _FAMILIES[family]
    return Specimen(
        name=name,
        family=f"valid {family}",
        gravity=None,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=sources,
        make=make,
        needs=needs,
    )


def _kind(name: str, tests: str, kind: TokenFor, version: int, *, is_partner: bool = False) -> Specimen:
    return _row(
        name,
        "kinds",
        tests,
        lambda lab: lab.mint(kind=kind, version=version, tenant=lab.partner if is_partner else None),
    )


def _claims(
    name: str, tests: str, changes: Mapping[str, Any], *, family: str = "claims", kind: TokenFor = "user"
) -> Specimen:
    return _row(name, family, tests, lambda lab: lab.mint(changes, kind=kind))


def _v1_claims(name: str, tests: str, changes: Mapping[str, Any]) -> Specimen:
    return _row(name, "claims", tests, lambda lab: lab.mint(changes, version=1))


def _times(name: str, tests: str, times: Callable[[int], Mapping[str, Any]]) -> Specimen:
    return _row(name, "times", tests, lambda lab: lab.mint(times(lab.at)))


def _header(name: str, tests: str, changes: Mapping[str, Any]) -> Specimen:
    return _row(name, "headers", tests, lambda lab: lab.mint(header=changes))


def _body(name: str, tests: str, write: Callable[[bytes], bytes]) -> Specimen:
    """Claims whose JSON text is written otherwise."""
    return _row(name, "json", tests, lambda lab: lab.seal(json_bytes(lab.header()), write(json_bytes(lab.claims()))))


def _first(text: str) -> Callable[[bytes], bytes]:
    return lambda body: b"{" + text.encode() + b"," + body[1:]


def _number(claim: str, write: Callable[[int], str]) -> Make:
    """Claims whose time is written as another JSON number of the same value."""

    def make(lab: Laboratory) -> str:
        value = lab.claims()[claim]
        plain = f'"{claim}":{value}'.encode()
        body = json_bytes(lab.claims()).replace(plain, f'"{claim}":{write(value)}'.encode())
        return lab.seal(json_bytes(lab.header()), body)

    return make


def _alias(number: int) -> Make:
    return lambda lab: lab.mint(header={"kid": ALIASES[number]})


def _other_s(lab: Laboratory) -> str:
    """The other signature that goes with one r, the order less s; the standard allows either."""
    head, body = json_bytes(lab.header(key="elliptic", alg="ES256")), json_bytes(lab.claims())
    signature = sign(lab.keys["elliptic"].private, "ES256", signing_input(head, body))
    other = P256_ORDER - int.from_bytes(signature[32:], "big")
    return compact(head, body, signature[:32] + other.to_bytes(32, "big"))


def _short_r(lab: Laboratory) -> str:
    """A signature whose r begins with a zero byte, which must not be cut off."""
    for number in range(4096):
        token = lab.mint({"rh": f"draw {number}"}, key="elliptic", alg="ES256")
        if unb64(token.rpartition(".")[2])[0] == 0:
            return token
    return lab.mint(key="elliptic", alg="ES256")


PLAIN: Final = "user_v2"
"""Name of the specimen that any verifier of this laboratory accepts."""
PLAIN_ELLIPTIC: Final = "elliptic"
"""Name of the specimen that any verifier which takes ES256 accepts."""

VALID: Final = (
    _kind(PLAIN, "A user's v2 token.", "user", 2),
    _kind("user_v1", "A user's v1 token.", "user", 1),
    _kind("application_v2", "An application's v2 token.", "app", 2),
    _kind("application_v1", "An application's v1 token.", "app", 1),
    _kind("partner_user_v2", "A user's v2 token of the second tenant.", "user", 2, is_partner=True),
    _kind("partner_user_v1", "A user's v1 token of the second tenant.", "user", 1, is_partner=True),
    _kind("partner_application_v2", "An application's v2 token of the second tenant.", "app", 2, is_partner=True),
    _kind("partner_application_v1", "An application's v1 token of the second tenant.", "app", 1, is_partner=True),
    _claims("user_says_so", "`idtyp` says user.", {"idtyp": "user"}, family="kinds"),
    _claims(
        "application_does_not_say_so",
        "An application's token without the optional `idtyp`.",
        {"idtyp": ABSENT},
        family="kinds",
        kind="app",
    ),
    _claims("public_client", "A client without a secret.", {"azpacr": "0"}, family="kinds"),
    _claims("client_with_certificate", "A client with a certificate.", {"azpacr": "2"}, family="kinds"),
    _claims(
        "managed_identity",
        "A managed identity's token.",
        {"xms_mirid": "/subscriptions/0/resourcegroups/a/b", "azpacr": "2"},
        family="kinds",
        kind="app",
    ),
    _row("next_key", "keys", "Signed by the next key, already published.", lambda lab: lab.mint(key="enterprise_next")),
    _row(
        "previous_key",
        "keys",
        "Signed by a key whose end is known and lies ahead.",
        lambda lab: lab.mint(key="enterprise_previous"),
    ),
    _row("longer_key", "keys", "Signed by a key of 3072 bits.", lambda lab: lab.mint(key="enterprise_3072")),
    _row(
        "kid_in_two_documents",
        "keys",
        "Signed by the key that the enterprise publishes under an id that another document has as well.",
        lambda lab: lab.mint(key="shared"),
    ),
    _row(
        "tenants_own_key",
        "keys",
        "The second tenant's token signed by the second tenant's own key.",
        lambda lab: lab.mint(key="partner", tenant=lab.partner),
    ),
    _row(
        "tenants_own_key_for_application",
        "keys",
        "The second tenant's application, signed by that tenant's own key.",
        lambda lab: lab.mint(key="partner", tenant=lab.partner, kind="app"),
    ),
    _row("kid_of_one_digit", "keys", "The key id is a digit.", _alias(0)),
    _row("kid_as_guid", "keys", "The key id is a GUID.", _alias(1)),
    _row("kid_with_spaces", "keys", "The key id has spaces.", _alias(2)),
    _row("kid_in_standard_base64", "keys", "The key id has plus, slash and equals signs.", _alias(3)),
    _row("kid_long", "keys", "The key id has 200 characters.", _alias(4)),
    _row("kid_of_other_scripts", "keys", "The key id has letters of other scripts.", _alias(5)),
    _header("type_left_out", "There is no `typ`.", {"typ": ABSENT}),
    _header("type_at_jwt", "`typ` says access token (RFC 9068).", {"typ": "at+jwt"}),
    _header("type_with_application", "`typ` is written in full.", {"typ": "application/at+jwt"}),
    _header("type_in_small_letters", "`typ` in small letters, which are the same media type.", {"typ": "jwt"}),
    _header(
        "header_member_unknown", "A header member that nobody knows and that is not critical.", {"x-note": "simulated"}
    ),
    _header(
        "header_members_unknown", "Header members of other types.", {"note": {"a": [1, None]}, "n": 1.5, "b": True}
    ),
    _row(
        "thumbprint_beside_kid",
        "headers",
        "A v2 header that also names the certificate.",
        lambda lab: lab.mint(header={"x5t": lab.keys["enterprise"].x5t}),
    ),
    _row(
        "thumbprint_sha256",
        "headers",
        "A header with a SHA-256 thumbprint.",
        lambda lab: lab.mint(header={"x5t#S256": b64(b"s" * 32)}),
    ),
    _row(
        "header_in_other_order",
        "headers",
        "Header members in another order.",
        lambda lab: lab.seal(json_bytes(dict(reversed(lab.header().items()))), json_bytes(lab.claims())),
    ),
    _row(
        "header_with_white_space",
        "headers",
        "A header with white space between its members.",
        lambda lab: lab.seal(
            b"\r\n{ " + json_bytes(lab.header())[1:-1].replace(b":", b" : ") + b" }\n", json_bytes(lab.claims())
        ),
    ),
    _row(
        "header_with_escapes",
        "headers",
        "A header whose names and values are written with escapes.",
        lambda lab: lab.seal(
            json_bytes(lab.header()).replace(b'"alg":"RS256"', b'"\\u0061lg":"\\u0052S256"'), json_bytes(lab.claims())
        ),
    ),
    _row("audience_as_list", "audiences", "`aud` is a list of one.", lambda lab: lab.mint({"aud": [lab.api]})),
    _row(
        "audience_as_list_v1",
        "audiences",
        "`aud` of v1 is a list of one.",
        lambda lab: lab.mint({"aud": [lab.api_uri]}, version=1),
    ),
    _row(
        "audience_id_in_v1",
        "audiences",
        "A v1 token whose audience is the client id.",
        lambda lab: lab.mint({"aud": lab.api}, version=1),
    ),
    _row(
        "audience_as_list_application",
        "audiences",
        "An application's `aud` is a list of one.",
        lambda lab: lab.mint({"aud": [lab.api]}, kind="app"),
    ),
    _times("issued_now", "Issued this second.", lambda at: {"iat": at, "nbf": at, "exp": at + _HOUR}),
    _times(
        "issued_ahead",
        "The provider's clock is four minutes ahead.",
        lambda at: {"iat": at + 240, "nbf": at + 240, "exp": at + _HOUR},
    ),
    _times("begins_ahead", "`nbf` lies four minutes ahead.", lambda at: {"nbf": at + 240}),
    _times(
        "begins_before_issue", "`nbf` lies five minutes before `iat`.", lambda at: {"iat": at - 60, "nbf": at - 360}
    ),
    _times("ended_just_now", "The token ended half a minute ago.", lambda at: {"exp": at - 30}),
    _times("ended_within_skew", "The token ended two minutes ago.", lambda at: {"exp": at - 120}),
    _times("life_of_an_hour", "A life of 60 minutes.", lambda at: {"iat": at - 60, "nbf": at - 60, "exp": at + 3540}),
    _times(
        "life_of_ninety_minutes", "A life of 90 minutes.", lambda at: {"iat": at - 60, "nbf": at - 60, "exp": at + 5340}
    ),
    _times(
        "life_of_ten_minutes", "A life of ten minutes.", lambda at: {"iat": at - 60, "nbf": at - 60, "exp": at + 540}
    ),
    _times(
        "life_of_a_day",
        "A life of 24 hours, by continuous access evaluation.",
        lambda at: {"iat": at - 60, "nbf": at - 60, "exp": at + 24 * _HOUR, "xms_cc": ["cp1"]},
    ),
    _times(
        "life_of_28_hours",
        "A life of 28 hours, by continuous access evaluation.",
        lambda at: {"iat": at - 60, "nbf": at - 60, "exp": at - 60 + 28 * _HOUR, "xms_cc": ["cp1"]},
    ),
    _times(
        "issued_yesterday",
        "A long token that was issued 27 hours ago.",
        lambda at: {"iat": at - 27 * _HOUR, "nbf": at - 27 * _HOUR, "exp": at + _HOUR, "xms_cc": ["cp1"]},
    ),
    _row(
        "end_with_fraction", "times", "`exp` has a fraction of a second.", _number("exp", lambda value: f"{value}.75")
    ),
    _row(
        "end_with_point", "times", "`exp` is written with a decimal point.", _number("exp", lambda value: f"{value}.0")
    ),
    _row(
        "end_with_exponent", "times", "`exp` is written with an exponent.", _number("exp", lambda value: f"{value}e0")
    ),
    _row(
        "end_with_large_exponent",
        "times",
        "`exp` is written as a decimal fraction with an exponent.",
        _number("exp", lambda value: f"{str(value)[0]}.{str(value)[1:]}E+{len(str(value)) - 1}"),
    ),
    _row(
        "start_with_fraction", "times", "`nbf` has a fraction of a second.", _number("nbf", lambda value: f"{value}.5")
    ),
    _row(
        "issue_with_fraction",
        "times",
        "`iat` has a fraction of a second.",
        _number("iat", lambda value: f"{value}.125"),
    ),
    _claims("scope_among_others", "The scope among others.", {"scp": f"User.Read {SCOPE} Files.Read"}, family="rights"),
    _claims("scope_first", "The scope before others.", {"scp": f"{SCOPE} openid profile email"}, family="rights"),
    _claims("scope_last", "The scope behind others.", {"scp": f"Calendars.Read {SCOPE}"}, family="rights"),
    _claims(
        "role_among_others",
        "The role among others.",
        {"roles": ["User.Read.All", ROLE, "Files.Read.All"]},
        family="rights",
        kind="app",
    ),
    _claims(
        "user_with_roles",
        "A user who also has roles in the application.",
        {"roles": ["Reader", "Auditor"]},
        family="rights",
    ),
    _claims(
        "user_with_directory_roles",
        "A user with directory roles.",
        {"wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"]},
        family="rights",
    ),
    _claims(
        "guest",
        "A guest, who signed in at home.",
        {"idp": "https://sts.windows.net/33333333-3333-4333-8333-333333333333/", "acct": 1},
    ),
    _claims(
        "guest_of_consumers",
        "A guest with a personal account.",
        {"idp": "live.com", "acct": 1, "email": "guest@contoso.example"},
    ),
    _claims(
        "strong_sign_in",
        "How the user signed in.",
        {"amr": ["pwd", "mfa", "rsa"], "acr": "1", "acrs": ["p1", "urn:user:registersecurityinfo"]},
    ),
    _claims("device", "The user's device.", {"deviceid": "44444444-4444-4444-8444-444444444444"}),
    _claims("client_capabilities", "What the client can do.", {"xms_cc": ["cp1", "protapp"]}),
    _claims(
        "groups", "The user's groups.", {"groups": [f"55555555-5555-4555-8555-{number:012d}" for number in range(150)]}
    ),
    _claims(
        "groups_elsewhere",
        "Too many groups for a token.",
        {
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://graph.microsoft.com/v1.0/me/getMemberObjects"}},
        },
    ),
    _claims("token_id_as_jti", "A `jti` beside `uti`.", {"jti": "66666666-6666-4666-8666-666666666666"}),
    _claims("token_id_with_signs", "A `uti` with hyphens and underscores.", {"uti": "-_kVZRE8tFkinHtPA7_EAA"}),
    _claims("no_session", "A token without a session.", {"sid": ABSENT}),
    _claims("no_names", "A token without names.", {"name": ABSENT, "preferred_username": ABSENT}),
    _claims("no_opaque_claims", "A token without the opaque claims.", {"aio": ABSENT, "rh": ABSENT}),
    _claims(
        "unknown_claims",
        "Claims that nobody knows.",
        {"xms_idrel": "1 2", "xms_new": {"a": [1, {"b": None}]}, "extn.x": ["y"]},
    ),
    _claims("unknown_claim_null", "An unknown claim that is null.", {"xms_new": None}),
    _claims("unknown_claim_large_number", "An unknown claim with a large number.", {"xms_new": 2**70, "xms_small": -1}),
    _claims(
        "namespaced_claim", "A claim whose name is an address.", {"http://schemas.contoso.example/claims/team": "blue"}
    ),
    _claims(
        "location",
        "Where the user is.",
        {"ctry": "FR", "tenant_ctry": "FR", "ipaddr": "2001:db8::1", "login_hint": "O.CiQ"},
    ),
    _claims("puid", "The user's other ids.", {"puid": "10032001A0000000", "onprem_sid": "S-1-5-21-1-2-3-1001"}),
    _v1_claims(
        "v1_names",
        "The names of a v1 token.",
        {"unique_name": "person@contoso.example", "family_name": "Person", "given_name": "Simulated"},
    ),
    _v1_claims("v1_public_client", "A v1 client without a secret.", {"appidacr": "0", "acr": "1", "amr": ["pwd"]}),
    _claims("accents", "A name with accents.", {"name": "Zoë Müller-Lefèvre"}, family="json"),
    _claims("other_scripts", "A name in another script.", {"name": "山田 太郎", "given_name": "太郎"}, family="json"),
    _claims("right_to_left", "A name that is written from right to left.", {"name": "ياسمين \u200fבר"}, family="json"),
    _claims(
        "beyond_the_first_plane",
        "A name with characters beyond the first plane.",
        {"name": "𝒮imulated 🦊"},
        family="json",
    ),
    _claims(
        "quotes_in_name", "A name with quotation marks and a backslash.", {"name": 'O\'Brien "B" \\ Co'}, family="json"
    ),
    _claims(
        "control_characters_escaped",
        "A name with escaped control characters.",
        {"name": "two\nlines\tand a tab"},
        family="json",
    ),
    _body(
        "names_escaped",
        "Names of claims are written with escapes.",
        lambda body: body.replace(b'"iss":', b'"\\u0069ss":').replace(b'"aud":', b'"\\u0061\\u0075d":'),
    ),
    _body("slashes_escaped", "Slashes are written with a backslash.", lambda body: body.replace(b"/", b"\\/")),
    _body(
        "letters_escaped",
        "Letters outside ASCII are written with escapes.",
        _first('"given_name":"Zo\\u00eb \\ud83e\\udd8a"'),
    ),
    _body("escapes_in_capitals", "Escapes are written with capitals.", _first('"given_name":"Zo\\u00EB"')),
    _body(
        "white_space",
        "The claims are written over many lines.",
        lambda body: body.replace(b",", b",\r\n\t ").replace(b"{", b"{\n"),
    ),
    _body("white_space_around", "White space before and behind the claims.", lambda body: b" \t\r\n" + body + b"\n\n"),
    _body(
        "other_order",
        "The claims stand in another order.",
        lambda body: b"{" + body[body.index(b'"ver"') : -1] + b"," + body[1 : body.index(b'"ver"') - 1] + b"}",
    ),
    _body("numbers", "Unknown claims with numbers in every notation.", _first('"n":[0,-0,1e5,1E-5,0.1,-1.5e+3,1e22]')),
    _body("nested", "An unknown claim that is nested ten levels deep.", _first(f'"deep":{"[" * 10}{"]" * 10}')),
    _body("empty_things", "Unknown claims that are empty.", _first('"a":"","b":[],"c":{},"":1')),
    _body(
        "equal_names_in_other_objects",
        "Names that occur again in an inner object.",
        _first('"xms_st":{"sub":"x","iss":"y","aud":["z"]}'),
    ),
    _claims("long_name", "A claim of 4,000 characters.", {"xms_new": "x" * 4_000}, family="json"),
    _claims("nearly_too_long", "A token just below the limit of 16 KiB.", {"xms_new": "x" * 10_500}, family="json"),
    _row(
        PLAIN_ELLIPTIC,
        "signatures",
        "Signed with ES256.",
        lambda lab: lab.mint(key="elliptic", alg="ES256"),
        needs="ES256",
    ),
    _row(
        "elliptic_application",
        "signatures",
        "An application's token signed with ES256.",
        lambda lab: lab.mint(key="elliptic", alg="ES256", kind="app"),
        needs="ES256",
    ),
    _row(
        "elliptic_other_s",
        "signatures",
        "ES256 with the other of the two values that s may have.",
        _other_s,
        needs="ES256",
    ),
    _row("elliptic_short_r", "signatures", "ES256 with an r that begins with a zero byte.", _short_r, needs="ES256"),
)
"""Every class of valid token, in the order of reports."""

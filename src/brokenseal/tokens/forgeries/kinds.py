"""The kind of token: access or sign-in, user or application, v1 or v2, and with which rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT
from brokenseal.tokens.laboratory import ROLE, SCOPE
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens.specimen import Make

_KIND: Final = (
    "A token made for another purpose is taken as an access token: whoever gets hold of one, which is easier, has "
    "access."
)
_KIND_MEND: Final = (
    "Demand the claims of an access token: `scp` for a user, `roles` for an application, the client in `azp` or "
    "`appid`; refuse what carries the marks of another kind."
)
_RIGHTS: Final = (
    "The rights are not compared, or nearly: any application that can get a token for this API, whatever it was "
    "granted, may read mail."
)
_RIGHTS_MEND: Final = (
    "Split `scp` at single spaces and look for the exact scope; demand that `roles` is a list and look for the exact "
    "role; refuse a token with neither."
)
_MIXED: Final = (
    "The version is not held against the form: what one version checks in one claim, the other checks in another, and "
    "a mixture is checked in neither."
)
_MIXED_MEND: Final = "Let `ver` decide which issuer, audience and client claim are expected, and refuse the others."
_SOURCES: Final = ("RFC 8725 §3.11", "RFC 8725 §3.12", "Microsoft identity platform, access token claims")


def _row(
    name: str, tests: str, make: Make, *, gravity: Gravity, meaning: str, mend: str, sources: tuple[str, ...] = ()
) -> Specimen:
    return Specimen(
        name=name,
        family="kinds",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=(*_SOURCES, *sources),
        make=make,
    )


def _kind(name: str, tests: str, make: Make, *sources: str, gravity: Gravity = Gravity.MISUSE) -> Specimen:
    return _row(name, tests, make, gravity=gravity, meaning=_KIND, mend=_KIND_MEND, sources=sources)


def _rights(name: str, tests: str, make: Make, *, gravity: Gravity = Gravity.MISUSE) -> Specimen:
    return _row(name, tests, make, gravity=gravity, meaning=_RIGHTS, mend=_RIGHTS_MEND)


def _mixed(name: str, tests: str, make: Make) -> Specimen:
    return _row(name, tests, make, gravity=Gravity.LAXITY, meaning=_MIXED, mend=_MIXED_MEND)


def _scopes(scopes: Mapping[str, Any]) -> Make:
    return lambda lab: {label: lab.mint({"scp": scope}) for label, scope in scopes.items()}


def _roles(roles: Mapping[str, Any]) -> Make:
    return lambda lab: {label: lab.mint({"roles": role}, kind="app") for label, role in roles.items()}


FORGERIES: Final = (
    _kind(
        "id_token",
        "A sign-in token whose audience is this API, because API and web page share one registration.",
        lambda lab: {"v2": lab.mint(kind="id"), "v1": lab.mint(kind="id", version=1)},
    ),
    _kind(
        "id_token_with_hashes",
        "A sign-in token with the hashes of a code and of an access token.",
        lambda lab: lab.mint({"at_hash": "c2ltdWxhdGVkLWhhc2gx", "c_hash": "c2ltdWxhdGVkLWhhc2gy"}, kind="id"),
    ),
    _kind(
        "logout_token",
        "A token that tells the end of a session.",
        lambda lab: lab.mint(
            {
                "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
                "nonce": ABSENT,
            },
            kind="id",
            header={"typ": "logout+jwt"},
        ),
        "OpenID Connect Back-Channel Logout 1.0 §2.4",
    ),
    _kind(
        "token_of_other_type",
        "The header says that it is another kind of token.",
        lambda lab: {
            typ: lab.mint(header={"typ": typ})
            for typ in ("dpop+jwt", "secevent+jwt", "logout+jwt", "oauth-authz-req+jwt", "JOSE")
        },
        gravity=Gravity.LAXITY,
    ),
    _kind(
        "type_of_wrong_type",
        "`typ` is no text.",
        lambda lab: {"list": lab.mint(header={"typ": ["JWT"]}), "null": lab.mint(header={"typ": None})},
        gravity=Gravity.LAXITY,
    ),
    _kind(
        "token_bound_to_a_key",
        "The token is bound to a key of its holder (`cnf`), and nothing proves that the caller has it.",
        lambda lab: {
            "key id": lab.mint({"cnf": {"kid": "holder"}}),
            "thumbprint": lab.mint({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
            "certificate": lab.mint({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}),
        },
        "RFC 7800 §3",
        "RFC 9449 §7.1",
    ),
    _kind(
        "application_as_user",
        "An application's token that also carries a user's scope.",
        lambda lab: {
            "scope": lab.mint({"scp": SCOPE}, kind="app"),
            "scope instead of role": lab.mint({"scp": SCOPE, "roles": ABSENT}, kind="app"),
        },
        gravity=Gravity.LAXITY,
    ),
    _kind(
        "user_as_application",
        "A user's token that says it is an application's.",
        lambda lab: lab.mint({"idtyp": "app", "roles": [ROLE]}),
        gravity=Gravity.LAXITY,
    ),
    _kind(
        "kind_of_wrong_type",
        "`idtyp` is a word that Entra does not use, or no text.",
        lambda lab: {
            "unknown": lab.mint({"idtyp": "admin"}),
            "list": lab.mint({"idtyp": ["user", "app"]}),
            "case": lab.mint({"idtyp": "APP"}, kind="app"),
        },
        gravity=Gravity.LAXITY,
    ),
    _rights(
        "application_without_roles",
        "An application's token without any role: every application of the tenant can get one.",
        lambda lab: {
            "absent": lab.mint({"roles": ABSENT}, kind="app"),
            "empty": lab.mint({"roles": []}, kind="app"),
            "no idtyp": lab.mint({"roles": ABSENT, "idtyp": ABSENT}, kind="app"),
        },
    ),
    _rights(
        "application_with_other_role",
        "An application's token with a role for something else.",
        _roles(
            {"other": ["Files.Read.All"], "case": [ROLE.upper()], "longer": [f"{ROLE}.Shared"], "piece": ["Mail.Read"]}
        ),
    ),
    _rights(
        "roles_of_wrong_type",
        "`roles` is a text, an object or a list of other things.",
        _roles({"text": ROLE, "in a text": f"x {ROLE} y", "object": {ROLE: True}, "nested": [[ROLE]], "true": True}),
        gravity=Gravity.LAXITY,
    ),
    _rights(
        "user_without_scope",
        "A user's token without any scope.",
        _scopes({"absent": ABSENT, "empty": "", "null": None, "space": " "}),
        gravity=Gravity.LAXITY,
    ),
    _rights(
        "user_with_other_scope",
        "A user's token with scopes for something else.",
        _scopes({"other": "Files.Read", "sign-in": "openid profile email", "consent": "user_impersonation"}),
    ),
    _rights(
        "scope_nearly",
        "A user's token with a scope that holds, begins with or resembles the right one.",
        _scopes(
            {
                "longer": f"{SCOPE}Basic",
                "before": f"Not{SCOPE}",
                "shared": f"{SCOPE}.Shared",
                "case": SCOPE.lower(),
                "pattern": "Mail.*",
                "dot": "MailxRead",
                "letters": "Mаil.Read",
            }
        ),
    ),
    _rights(
        "scope_in_other_list_form",
        "The right scope in a text divided by something else than spaces.",
        _scopes({"comma": f"Files.Read,{SCOPE}", "semicolon": f"Files.Read;{SCOPE}", "line": f"Files.Read\n{SCOPE}"}),
        gravity=Gravity.LAXITY,
    ),
    _rights(
        "scope_of_wrong_type",
        "`scp` is no text.",
        _scopes({"list": [SCOPE], "object": {SCOPE: True}, "number": 1, "true": True}),
        gravity=Gravity.LAXITY,
    ),
    _rights(
        "role_of_user_as_scope",
        "A user's token whose only right is a role of the user's.",
        lambda lab: lab.mint({"scp": ABSENT, "roles": [ROLE], "idtyp": "user"}),
        gravity=Gravity.LAXITY,
    ),
    _mixed(
        "v1_token_with_v2_issuer",
        "`ver` and client claim are those of v1, the issuer is that of v2.",
        lambda lab: lab.mint({"iss": lab.claims()["iss"]}, version=1),
    ),
    _mixed(
        "v2_token_with_v1_issuer",
        "`ver` and client claim are those of v2, the issuer is that of v1.",
        lambda lab: lab.mint({"iss": lab.claims(version=1)["iss"]}),
    ),
    _mixed(
        "version_left_out",
        "There is no `ver`, or one that is no text.",
        lambda lab: {
            "absent": lab.mint({"ver": ABSENT}),
            "null": lab.mint({"ver": None}),
            "number": lab.mint({"ver": 2.0}),
            "list": lab.mint({"ver": ["2.0"]}),
        },
    ),
    _mixed(
        "version_unknown",
        "`ver` says a version that does not exist.",
        lambda lab: {version: lab.mint({"ver": version}) for version in ("3.0", "2", "1.1", "v2.0", "")},
    ),
    _mixed(
        "two_clients",
        "The token names two clients, one in the claim of v1 and one in that of v2.",
        lambda lab: {
            "v2": lab.mint({"appid": lab.api}),
            "v1": lab.mint({"azp": lab.api}, version=1),
        },
    ),
)

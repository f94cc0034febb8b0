"""Checks of what the token is for: its kind, subject, client, rights, and whether anybody may carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._presented import check, shown
from brokenseal.tokens.model import Outcome, TokenKind
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens._presented import Presented
    from brokenseal.tokens.model import Check
    from brokenseal.wording import Phrase

_ID_MARKS: Final = frozenset({"nonce", "at_hash", "c_hash"})
"""Claims of identity tokens only (OpenID Connect Core, sections 2 and 3.3.2.11)."""

_PERSON: Final = frozenset({"upn", "preferred_username", "unique_name", "name"})

_PUBLIC_CLIENT, _SECRET, _CERTIFICATE = "0", "1", "2"
_CLIENTS: Final = frozenset({_PUBLIC_CLIENT, _SECRET, _CERTIFICATE})
"""Values of `azpacr` and `appidacr` (Microsoft identity platform, access token claims)."""

_TYPES_OK: Final = check("claim_types", Outcome.PASS, phrase("Every claim has the type that it should have."))
_KIND_OK = phrase("The token is of a kind that is accepted.")
_SUBJECT_OK = phrase("The token says for whom it speaks.")
_NO_CLIENT: Final = check("client", Outcome.NOT_APPLICABLE, phrase("The token names no client."))
_TOKEN_ID_OK = phrase("The token has an id.")
_NO_TOKEN_ID: Final = check("token_id", Outcome.NOT_APPLICABLE, phrase("An identity token may be without an id."))
_CLIENT_OK = phrase("The client and how it authenticated are well-formed.")
_NO_RIGHTS_NEEDED = phrase("No right is asked for in tokens of this kind.")
_RIGHTS_OK = phrase("The token holds a right that is asked for.")
_BEARER: Final = check(
    "proof_of_possession",
    Outcome.NOT_APPLICABLE,
    phrase("The token is bound to no key: whoever carries it may use it."),
)
_BOUND = phrase("The token is bound to a key; the caller checks the proof of possession.")


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_texts(value: object) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _is_object(value: object) -> bool:
    return type(value) is dict


SHAPES: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    **dict.fromkeys(
        (
            *("iss", "sub", "tid", "oid", "ver", "uti", "jti", "sid", "idp", "idtyp", "scp", "azp", "azpacr"),
            *("appid", "appidacr", "acr", "upn", "preferred_username", "unique_name", "name", "email", "nonce"),
            *("at_hash", "c_hash", "deviceid", "puid", "ipaddr", "given_name", "family_name", "onprem_sid"),
        ),
        ("text", _is_text),
    ),
    **dict.fromkeys(("roles", "wids", "groups", "amr", "xms_cc"), ("a list of texts", _is_texts)),
    **dict.fromkeys(("exp", "nbf", "iat", "auth_time"), ("a number", _is_number)),
    "cnf": ("an object", _is_object),
}
"""Types of known claims (Microsoft identity platform, access and identity token claims); `aud` is checked apart."""


_NO_TEXT: Final = frozenset(name for name, (shape, _) in SHAPES.items() if shape != "text")


def kind_of(claims: Mapping[str, Any]) -> tuple[TokenKind, Phrase | None]:
    """What the token is for, and why its claims contradict each other about it, if they do.

    `idtyp` says it where it is present. Otherwise: delegated tokens hold `scp`; identity tokens name no client;
    an application's token names its client, no scope, and no person.
    Source: Microsoft identity platform, access token claims, identity token claims.
    """
    if not claims:
        return TokenKind.UNKNOWN, phrase("The token says nothing that could be read.")
    has_scope = "scp" in claims
    has_client = "azp" in claims or "appid" in claims
    said = claims.get("idtyp")
    if said is None:
        return _kind_by_claims(claims, has_scope=has_scope, has_client=has_client)
    conflict = None
    if type(said) is not str or said not in {"app", "user"}:
        conflict = phrase("The token says that it is neither an application's nor a user's.")
    elif not has_client and not has_scope:
        conflict = phrase("The token has the claims of an identity token and says that it gives access.")
    elif said == "app" and has_scope:
        conflict = phrase("The token says that it is an application's and holds a user's scopes.")
    elif said == "user" and not has_scope:
        conflict = phrase("The token says that it is a user's and holds no scope.")
    elif not _ID_MARKS.isdisjoint(claims):
        conflict = phrase("The token gives access and holds what only an identity token holds.")
    if conflict is not None:
        return TokenKind.UNKNOWN, conflict
    return (TokenKind.APP_ACCESS if said == "app" else TokenKind.USER_ACCESS), None


def _kind_by_claims(claims: Mapping[str, Any], *, has_scope: bool, has_client: bool) -> tuple[TokenKind, Phrase | None]:
    has_id_mark = not _ID_MARKS.isdisjoint(claims)
    if has_scope and has_id_mark:
        return TokenKind.UNKNOWN, phrase("The token holds scopes and what only an identity token holds.")
    if has_scope:
        return TokenKind.USER_ACCESS, None
    if has_id_mark or not has_client:
        return TokenKind.ID, None
    if not _PERSON.isdisjoint(claims):
        return TokenKind.UNKNOWN, phrase("The token names a person and a client and gives that client no scope.")
    return TokenKind.APP_ACCESS, None


def claim_types(it: Presented) -> Check:
    """Known claims have their types; nothing is converted."""
    claims = it.claims
    # Nearly every claim is a text that should be one; only the others are looked at closely.
    odd = [name for name, value in claims.items() if name in (_NO_TEXT if type(value) is str else SHAPES)]
    wrong = [name for name in odd if not SHAPES[name][1](claims[name])]
    if not wrong:
        return _TYPES_OK
    expected = ", ".join(f"{name}: {SHAPES[name][0]}" for name in wrong)
    found = ", ".join(f"{name}: {type(it.claims[name]).__name__}" for name in wrong)
    return check("claim_types", Outcome.FAIL, phrase("Claims have types that they never have."), expected, found)


def kind(it: Presented) -> Check:
    """The token is of an accepted kind: an identity token is no access token, an application is no user."""
    expected = ", ".join(it.policy.kinds)
    if it.kind_conflict is not None:
        return check("kind", Outcome.FAIL, it.kind_conflict, expected, it.kind.value)
    if it.kind in it.policy.kinds:
        return check("kind", Outcome.PASS, _KIND_OK, expected, it.kind.value)
    return check("kind", Outcome.FAIL, phrase("A token of this kind is not accepted."), expected, it.kind.value)


def subject(it: Presented) -> Check:
    """`sub` and `oid` say for whom the token speaks; an identity token may leave out `oid`."""
    claims = it.claims
    sub, oid = claims.get("sub"), claims.get("oid")
    expected = "sub and oid, text"
    if type(sub) is str and sub and type(oid) is str and oid:
        return check("subject", Outcome.PASS, _SUBJECT_OK, expected, oid)
    if it.kind is TokenKind.ID and type(sub) is str and sub and oid is None:
        return check("subject", Outcome.PASS, _SUBJECT_OK, "sub, text", sub)
    reason = phrase("The token does not say for whom it speaks: `sub` or `oid` is absent, empty, or no text.")
    return check("subject", Outcome.FAIL, reason, expected, ", ".join([shown(value) or "–" for value in (sub, oid)]))


def token_id(it: Presented) -> Check:
    """`uti` is there: without it nobody can tell later what the token did, and whether it was ever issued."""
    found = it.claims.get("uti")
    if type(found) is str and found:
        return check("token_id", Outcome.PASS, _TOKEN_ID_OK, None, found)
    if it.kind is TokenKind.ID and found is None:
        return _NO_TOKEN_ID
    reason = phrase("The token has no id; the identity provider gives one to every access token.")
    return check("token_id", Outcome.FAIL, reason, "uti, text", shown(found))


def client(it: Presented) -> Check:
    """The client is one text, authenticated in a known way; an application alone cannot be a public client."""
    claims = it.claims
    names = [claims[name] for name in ("azp", "appid") if name in claims]
    proofs = [claims[name] for name in ("azpacr", "appidacr") if name in claims]
    if not names and not proofs:
        return _NO_CLIENT
    found = ", ".join([shown(value) or "null" for value in (*names, *proofs)])
    if _one_text(names) is None:
        reason = phrase("The token does not name one client.")
    elif proofs and _one_text(proofs) not in _CLIENTS:
        reason = phrase("How the client authenticated is none of the known ways.")
    elif it.kind is TokenKind.APP_ACCESS and _PUBLIC_CLIENT in proofs:
        reason = phrase("An application cannot get a token for itself without a secret or a certificate.")
    else:
        return check("client", Outcome.PASS, _CLIENT_OK, None, found)
    return check("client", Outcome.FAIL, reason, "azp or appid; azpacr or appidacr 0, 1 or 2", found)


def _one_text(values: list[Any]) -> str | None:
    """The one text that all of them are; None for anything else."""
    first = values[0] if values else None
    return first if type(first) is str and first and values.count(first) == len(values) else None


def rights(it: Presented) -> Check:
    """A user's token holds one of the scopes asked for, an application's one of the roles."""
    if it.kind is TokenKind.APP_ACCESS:
        needed, held = it.policy.roles, it.claims.get("roles")
        granted = held if type(held) is list else []
    else:
        needed, held = it.policy.scopes, it.claims.get("scp")
        granted = held.split(" ") if type(held) is str else []
    if not needed or it.kind is TokenKind.ID:
        return check("rights", Outcome.NOT_APPLICABLE, _NO_RIGHTS_NEEDED, None, shown(held))
    expected = f"one of {', '.join(needed)}"
    for right in needed:
        if right in granted:
            return check("rights", Outcome.PASS, _RIGHTS_OK, expected, shown(held))
    return check("rights", Outcome.FAIL, phrase("The token holds no right that is asked for."), expected, shown(held))


def proof_of_possession(it: Presented) -> Check:
    """A token that is bound to a key (`cnf`) is only accepted where the caller checks the proof (RFC 7800)."""
    if "cnf" not in it.claims:
        return _BEARER
    found = shown(it.claims["cnf"])
    if it.policy.is_proof_checked:
        return check("proof_of_possession", Outcome.PASS, _BOUND, None, found)
    reason = phrase("The token is bound to a key, and nobody here has seen the proof that its carrier holds that key.")
    return check("proof_of_possession", Outcome.UNKNOWN, reason, "a proof of possession", found)

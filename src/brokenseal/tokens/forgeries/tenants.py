"""The tenant: one that may call, and the one that issued the token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT
from brokenseal.tokens.laboratory import issuer_of
from brokenseal.tokens.model import CONSUMER_TENANT
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_DIFFER: Final = (
    "Issuer and tenant are not compared with each other: the verifier decides by the one and the application reads "
    "the other."
)
_DIFFER_MEND: Final = "Demand that the tenant in the path of `iss` equals `tid`, for v1 and for v2 issuers."
_ALLOW: Final = "Anybody with an account in any tenant, also one made for this purpose, is let in."
_ALLOW_MEND: Final = (
    "Keep a list of tenants that may call and compare `tid` with it; a signature of Entra's only says that some "
    "tenant's user signed in."
)
_FORM: Final = "The tenant is folded before it is compared, or not compared where it has another form."
_FORM_MEND: Final = "Take `tid` as text, in lower case with hyphens as Entra writes it, and compare it exactly."
_SOURCES: Final = (
    "Microsoft identity platform, access token validation",
    "Microsoft identity platform, secure applications",
)


def _row(
    name: str,
    gravity: Gravity,
    tests: str,
    make: Make,
    *,
    meaning: str = _FORM,
    mend: str = _FORM_MEND,
) -> Specimen:
    return Specimen(
        name=name,
        family="tenants",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=mend,
        sources=_SOURCES,
        make=make,
    )


def _tenants(tenants: Callable[[Laboratory], Mapping[str, Any]]) -> Make:
    """Tokens whose `tid` is changed and whose issuer stays."""
    return lambda lab: {label: lab.mint({"tid": tenant}) for label, tenant in tenants(lab).items()}


def _both(tenants: Callable[[Laboratory], Mapping[str, str]]) -> Make:
    """Tokens whose `tid` and issuer both say the changed tenant."""
    return lambda lab: {label: lab.mint(tenant=tenant) for label, tenant in tenants(lab).items()}


FORGERIES: Final = (
    _row(
        "tenant_not_allowed",
        Gravity.MISUSE,
        "A genuine token of a tenant that may not call.",
        lambda lab: {
            "user": lab.mint(tenant=lab.stranger),
            "v1": lab.mint(tenant=lab.stranger, version=1),
            "app": lab.mint(tenant=lab.stranger, kind="app"),
        },
        meaning=_ALLOW,
        mend=_ALLOW_MEND,
    ),
    _row(
        "consumer_account",
        Gravity.MISUSE,
        "A genuine token of a personal account, in an API for organisations.",
        lambda lab: lab.mint(tenant=CONSUMER_TENANT, key="consumer"),
        meaning="Anybody with a personal Microsoft account, which is free, is let in.",
        mend=_ALLOW_MEND,
    ),
    _row(
        "enterprise_key_for_consumers",
        Gravity.MISUSE,
        "The enterprise key signs a token of the consumer tenant.",
        lambda lab: lab.mint(tenant=CONSUMER_TENANT),
        meaning="The consumer tenant is taken as one tenant among others.",
        mend=_ALLOW_MEND,
    ),
    _row(
        "issuer_of_other_tenant",
        Gravity.LAXITY,
        "`tid` is an allowed tenant, the issuer is that of a tenant that may not call.",
        lambda lab: {
            "v2": lab.mint({"iss": issuer_of(lab.stranger)}),
            "v1": lab.mint({"iss": issuer_of(lab.stranger, 1)}, version=1),
        },
        meaning=_DIFFER,
        mend=_DIFFER_MEND,
    ),
    _row(
        "tenant_of_other_issuer",
        Gravity.LAXITY,
        "The issuer is that of an allowed tenant, `tid` is another one.",
        lambda lab: {
            "not allowed": lab.mint({"tid": lab.stranger}),
            "allowed": lab.mint({"tid": lab.partner}),
            "v1": lab.mint({"tid": lab.stranger}, version=1),
        },
        meaning=_DIFFER,
        mend=_DIFFER_MEND,
    ),
    _row(
        "tenant_left_out",
        Gravity.LAXITY,
        "There is no `tid`, or an empty one.",
        _tenants(lambda _: {"absent": ABSENT, "empty": "", "null": None}),
        meaning="The tenant that the application reads is nobody's, and no list of tenants can hold.",
    ),
    _row(
        "tenant_of_wrong_type",
        Gravity.LAXITY,
        "`tid` is no text.",
        _tenants(
            lambda lab: {"list": [lab.home], "two": [lab.home, lab.stranger], "object": {"id": lab.home}, "number": 0}
        ),
    ),
    _row(
        "tenant_in_other_case",
        Gravity.LAXITY,
        "`tid` in capitals, with the issuer as it should be and with one to match.",
        lambda lab: {"tid alone": lab.mint({"tid": lab.home.upper()}), "both": lab.mint(tenant=lab.home.upper())},
    ),
    _row(
        "tenant_in_other_form",
        Gravity.LAXITY,
        "`tid` in braces, without hyphens, as an URN, with spaces.",
        _tenants(
            lambda lab: {
                "braces": f"{{{lab.home}}}",
                "no hyphens": lab.home.replace("-", ""),
                "URN": f"urn:uuid:{lab.home}",
                "space": f"{lab.home} ",
                "line feed": f"{lab.home}\n",
            }
        ),
    ),
    _row(
        "tenant_of_look_alikes",
        Gravity.LAXITY,
        "`tid` with digits of other scripts or with invisible characters.",
        lambda lab: {
            "full width": lab.mint(tenant=lab.home.replace("1", "１")),
            "Cyrillic": lab.mint(tenant=lab.home.replace("a", "а")),
            "invisible": lab.mint(tenant=f"{lab.home}\u200b"),
            "other hyphen": lab.mint(tenant=lab.home.replace("-", "‐")),
        },
    ),
    _row(
        "tenant_pattern",
        Gravity.LAXITY,
        "Tenant and issuer say a pattern or a word that stands for many tenants.",
        _both(lambda _: {name: name for name in ("*", "%", "common", "organizations", "{tenantid}", ".*")}),
        meaning="The tenant is used as a pattern or put into a template: it is then whichever one is asked for.",
    ),
    _row(
        "tenant_is_nobody",
        Gravity.LAXITY,
        "Tenant and issuer say the empty GUID or that of a Microsoft service.",
        _both(
            lambda _: {
                "zeros": "00000000-0000-0000-0000-000000000000",
                "services": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
            }
        ),
        meaning=_ALLOW,
        mend=_ALLOW_MEND,
    ),
    _row(
        "tenant_as_domain",
        Gravity.LAXITY,
        "Tenant and issuer say a domain name instead of an id; names change hands.",
        _both(lambda _: {"domain": "contoso.example", "initial domain": "contoso.onmicrosoft.com"}),
        mend="Identify a tenant by its id alone.",
    ),
    _row(
        "tenant_steps_out",
        Gravity.LAXITY,
        "`tid` is a piece of a path that leads from one tenant to another when it is put into the template.",
        lambda lab: {
            "up": lab.mint({"tid": f"{lab.stranger}/../{lab.home}", "iss": issuer_of(f"{lab.stranger}/../{lab.home}")}),
            "query": lab.mint({"tid": f"{lab.home}?x=", "iss": issuer_of(f"{lab.home}?x=")}),
            "other host": lab.mint({"tid": "@attacker.example", "iss": issuer_of("@attacker.example")}),
        },
    ),
    _row(
        "tenant_begins_right",
        Gravity.LAXITY,
        "Tenant and issuer say a text that begins or ends with an allowed tenant, or a piece of one.",
        _both(lambda lab: {"longer": f"{lab.home}0", "before": f"0{lab.home}", "piece": lab.home[:8]}),
    ),
)

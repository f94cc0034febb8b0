from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pytest

from brokenseal.errors import UsageError
from brokenseal.tokens.key_documents import read_keys
from brokenseal.tokens.model import CONSUMER_TENANT, Outcome, TokenKind
from brokenseal.tokens.verify import CHECKS, verify
from brokenseal.wording import say
from token_maker import (
    ABSENT,
    APP,
    AT,
    CONSUMER,
    HOME,
    ID,
    NOW,
    OTHER,
    POLICY,
    V1,
    V2,
    VERSION_1,
    claims,
    mint,
    public_jwk,
    ring,
    seal,
    x5c,
)

FAIL, UNKNOWN = "fail", "unknown"
WEAK = {"key_algorithm": FAIL, "signature": UNKNOWN}
UNKNOWN_KEY = dict.fromkeys(
    ("key_algorithm", "key_issuer", "signature", "key_certificate", "key_retired", "key_revoked"), UNKNOWN
) | {"key": FAIL}


def judge(token, *, keys=None, policy=POLICY, at=AT):
    return verify(token, keys or ring(), policy, at=at)


def problems(verdict):
    """The checks that neither pass nor do not apply, with their outcome."""
    return {check.name: check.outcome.value for check in verdict.checks if check.outcome in {"fail", "unknown"}}


def found(verdict, name):
    (check,) = (check for check in verdict.checks if check.name == name)
    return check


# ---------------------------------------------------------------- what is accepted


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        pytest.param(mint, TokenKind.USER_ACCESS, id="user, v2"),
        pytest.param(lambda: mint(VERSION_1), TokenKind.USER_ACCESS, id="user, v1"),
        pytest.param(
            lambda: mint(VERSION_1, header={"x5t": "thumbprint"}), TokenKind.USER_ACCESS, id="with thumbprint"
        ),
        pytest.param(lambda: mint(APP), TokenKind.APP_ACCESS, id="application"),
        pytest.param(
            lambda: mint({**APP, "idtyp": ABSENT}), TokenKind.APP_ACCESS, id="application that does not say so"
        ),
        pytest.param(lambda: mint({"idtyp": "user"}), TokenKind.USER_ACCESS, id="user that says so"),
        pytest.param(lambda: mint(key="ec-key", alg="ES256"), TokenKind.USER_ACCESS, id="ES256"),
        pytest.param(lambda: mint(key="ed-key", alg="EdDSA"), TokenKind.USER_ACCESS, id="EdDSA"),
        pytest.param(lambda: mint(key="only-ps", alg="PS256"), TokenKind.USER_ACCESS, id="PS256"),
        pytest.param(lambda: mint(header={"typ": ABSENT}), TokenKind.USER_ACCESS, id="without type"),
        pytest.param(lambda: mint(header={"typ": "at+jwt"}), TokenKind.USER_ACCESS, id="access token type"),
        pytest.param(lambda: mint(header={"other": {"x": 1}}), TokenKind.USER_ACCESS, id="unknown header member"),
        pytest.param(lambda: mint({"aud": ["api://mail"]}), TokenKind.USER_ACCESS, id="list of one audience"),
        pytest.param(lambda: mint({"exp": NOW + 3600.5}), TokenKind.USER_ACCESS, id="fraction of a second"),
        pytest.param(lambda: mint({"exp": NOW - 299}), TokenKind.USER_ACCESS, id="expired within the skew"),
        pytest.param(lambda: mint({"nbf": NOW + 300}), TokenKind.USER_ACCESS, id="not yet valid within the skew"),
        pytest.param(lambda: mint({"iat": NOW + 300}), TokenKind.USER_ACCESS, id="issued later within the skew"),
        pytest.param(lambda: mint({"custom": [1, None, {"a": True}]}), TokenKind.USER_ACCESS, id="unknown claims"),
        pytest.param(lambda: mint(header={"kid": "twice"}), TokenKind.USER_ACCESS, id="one id, two keys"),
    ],
)
def test_a_valid_token_is_accepted(token, kind):
    verdict = judge(token())

    assert problems(verdict) == {}
    assert (True, kind) == (verdict.accepted, verdict.kind)


def test_a_personal_account_is_accepted_where_the_policy_says_so_and_by_its_own_key_alone():
    policy = dataclasses.replace(POLICY, is_consumer_accepted=True)
    personal = {"iss": CONSUMER, "tid": CONSUMER_TENANT}

    assert problems(judge(mint(personal, key="consumer"), policy=policy)) == {}
    assert problems(judge(mint(personal), policy=policy)) == {"key_issuer": FAIL}
    assert problems(judge(mint(personal, key="consumer"))) == {"tenant": FAIL}


def test_an_identity_token_is_accepted_where_the_policy_asks_for_one():
    policy = dataclasses.replace(POLICY, kinds=(TokenKind.ID,))
    without = {"oid": ABSENT, "uti": ABSENT}

    assert problems(judge(mint(ID), policy=policy)) == {}
    assert problems(judge(mint({**ID, **without}), policy=policy)) == {}
    assert problems(judge(mint(), policy=policy)) == {"kind": FAIL}


def test_any_tenant_but_the_consumer_tenant_may_call_where_none_is_named():
    policy = dataclasses.replace(POLICY, tenants=None)
    foreign = {"iss": V2.replace("{tenantid}", OTHER), "tid": OTHER}

    assert problems(judge(mint(foreign), policy=policy)) == {}
    assert problems(judge(mint({"iss": CONSUMER, "tid": CONSUMER_TENANT}, key="consumer"), policy=policy)) == {
        "tenant": FAIL
    }


def test_a_bound_token_is_accepted_where_the_caller_checks_the_proof():
    token = mint({"cnf": {"kid": "device"}})
    policy = dataclasses.replace(POLICY, is_proof_checked=True)

    assert problems(judge(token)) == {"proof_of_possession": UNKNOWN}
    assert problems(judge(token, policy=policy)) == {}


# ---------------------------------------------------------------- what is refused, and why

CASES = [
    # form and header
    ("no signature", lambda: mint().rsplit(".", 1)[0] + ".", {"form": FAIL, "signature": FAIL}),
    ("signature padded", lambda: mint() + "==", {"form": FAIL}),
    ("two audiences in one payload", lambda: seal(b'{"alg":"RS256","kid":"home"}', json.dumps(claims()).replace("{", '{"aud":"x",', 1).encode()), {"form": FAIL}),
    ("unsigned", lambda: mint(header={"alg": "none"}), {"algorithm": FAIL, "key_algorithm": FAIL, "signature": UNKNOWN}),
    ("unsigned, other case", lambda: mint(header={"alg": "nOnE"}), {"algorithm": FAIL, "key_algorithm": FAIL, "signature": UNKNOWN}),
    ("shared secret", lambda: mint(header={"alg": "HS256"}), {"algorithm": FAIL, "key_algorithm": FAIL, "signature": UNKNOWN}),
    ("algorithm not accepted", lambda: mint(alg="RS512"), {"algorithm": FAIL}),
    ("no algorithm", lambda: mint(header={"alg": ABSENT}), {"algorithm": FAIL, "key_algorithm": FAIL, "signature": UNKNOWN}),
    ("algorithm is a list", lambda: mint(header={"alg": ["RS256"]}), {"algorithm": FAIL, "key_algorithm": FAIL, "signature": UNKNOWN}),
    ("algorithm of another key type", lambda: mint(header={"alg": "ES256"}), {"key_algorithm": FAIL, "signature": UNKNOWN}),
    ("algorithm that the key is not published for", lambda: mint(key="only-ps"), {"key_algorithm": FAIL, "signature": UNKNOWN}),
    ("critical extension", lambda: mint(header={"crit": ["exp"]}), {"critical_header": FAIL}),
    ("empty critical list", lambda: mint(header={"crit": []}), {"critical_header": FAIL}),
    ("own key", lambda: mint(header={"jwk": public_jwk("attacker")}), {"embedded_key": FAIL}),
    ("own key, signed by it", lambda: mint(header={"jwk": public_jwk("attacker"), "kid": "home"}, key="attacker"), {"embedded_key": FAIL, "signature": FAIL}),
    ("address of a key set", lambda: mint(header={"jku": "https://evil.example"}), {"embedded_key": FAIL}),
    ("address of a certificate", lambda: mint(header={"x5u": "https://evil.example"}), {"embedded_key": FAIL}),
    ("own certificate", lambda: mint(header={"x5c": []}), {"embedded_key": FAIL}),
    ("raw payload", lambda: mint(header={"b64": False}), {"payload_encoding": FAIL}),
    ("compressed", lambda: mint(header={"zip": "DEF"}), {"payload_encoding": FAIL}),
    ("nested", lambda: mint(header={"cty": "JWT"}), {"payload_encoding": FAIL}),
    ("another type", lambda: mint(header={"typ": "logout+jwt"}), {"token_type": FAIL}),
    ("type is a number", lambda: mint(header={"typ": 1}), {"token_type": FAIL}),
    ("identity token with an access token's type", lambda: mint(ID, header={"typ": "at+jwt"}), {"token_type": FAIL, "kind": FAIL}),
    # the key
    ("no key id", lambda: mint(header={"kid": ABSENT}), {"key_id": FAIL, **UNKNOWN_KEY}),
    ("key id is an object", lambda: mint(header={"kid": {"a": []}}), {"key_id": FAIL, **UNKNOWN_KEY}),
    ("empty key id", lambda: mint(header={"kid": ""}), {"key_id": FAIL, **UNKNOWN_KEY}),
    ("key id with a control character", lambda: mint(header={"kid": "home\0"}), {"key_id": FAIL, **UNKNOWN_KEY}),
    ("key id that is a path", lambda: mint(header={"kid": "../../dev/null"}), UNKNOWN_KEY),
    ("key id that is a query", lambda: mint(header={"kid": "home' OR 1=1 --"}), UNKNOWN_KEY),
    ("key id in another case", lambda: mint(header={"kid": "HOME"}), UNKNOWN_KEY),
    ("thumbprint of another key", lambda: mint(header={"x5t": "other"}), {"key": FAIL}),
    ("thumbprint is a number", lambda: mint(header={"x5t": 1}), {"key": FAIL}),
    ("stranger's key under a known id", lambda: mint(header={"kid": "home"}, key="attacker"), {"signature": FAIL}),
    ("key for encryption", lambda: mint(key="encryption"), WEAK),
    ("key that is too short", lambda: mint(key="weak-key"), WEAK),
    ("consumer key for an organisation", lambda: mint(key="consumer"), {"key_issuer": FAIL}),
    ("consumer key under a shared id", lambda: mint(key="consumer", header={"kid": "twice"}), {"signature": FAIL}),
    ("another tenant's key", lambda: mint(key="other"), {"key_issuer": FAIL}),
    ("key whose document says no issuer", lambda: mint(key="unbound"), {"key_issuer": UNKNOWN}),
    ("retired key", lambda: mint(key="retired"), {"key_retired": FAIL}),
    ("revoked key", lambda: mint(key="revoked"), {"key_revoked": FAIL}),
    ("revoked key under another id", lambda: mint(key="revoked", header={"kid": "revoked-again"}), {"key_revoked": FAIL}),
    ("key whose certificate had ended", lambda: mint(key="ended"), {"key_certificate": FAIL}),
    # issuer and tenant
    ("no issuer", lambda: mint({"iss": ABSENT}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL}),
    ("two issuers", lambda: mint({"iss": [V2.replace("{tenantid}", HOME), CONSUMER]}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL, "claim_types": FAIL}),
    ("issuer without a slash", lambda: mint({**VERSION_1, "iss": V1.replace("{tenantid}/", HOME)}), {"key_issuer": FAIL, "issuer": FAIL}),
    ("issuer in capitals", lambda: mint({"iss": V2.replace("{tenantid}", HOME).upper()}), {"key_issuer": FAIL, "issuer": FAIL}),
    ("issuer with a letter that looks alike", lambda: mint({"iss": V2.replace("{tenantid}", HOME).replace("o", "о", 1)}), {"key_issuer": FAIL, "issuer": FAIL}),
    ("issuer template itself", lambda: mint({"iss": V2, "tid": "{tenantid}"}), {"key_issuer": FAIL, "issuer": FAIL, "tenant": FAIL}),
    ("issuer over http", lambda: mint({"iss": V2.replace("{tenantid}", HOME).replace("https", "http")}), {"key_issuer": FAIL, "issuer": FAIL}),
    ("issuer of the common endpoint", lambda: mint({"iss": V2.replace("{tenantid}", "common")}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL}),
    ("issuer and tenant differ", lambda: mint({"iss": V2.replace("{tenantid}", OTHER)}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL}),
    ("tenant in capitals", lambda: mint({"iss": V2.replace("{tenantid}", HOME.replace("5", "a").upper()), "tid": HOME.replace("5", "a").upper()}), {"key_issuer": FAIL, "issuer": FAIL, "tenant": FAIL}),
    ("tenant that may not call", lambda: mint({"iss": V2.replace("{tenantid}", OTHER), "tid": OTHER}), {"tenant": FAIL}),
    ("no tenant", lambda: mint({"tid": ABSENT}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL, "tenant": FAIL}),
    ("tenant is a list", lambda: mint({"tid": [HOME]}), {"key_issuer": FAIL, "issuer": FAIL, "issuer_tenant": FAIL, "tenant": FAIL, "claim_types": FAIL}),
    ("consumer tenant, organisation's key", lambda: mint({"iss": CONSUMER, "tid": CONSUMER_TENANT}), {"key_issuer": FAIL, "tenant": FAIL}),
    ("v2 issuer, version 1.0", lambda: mint({"ver": "1.0"}), {"version": FAIL}),
    ("v1 issuer, version 2.0", lambda: mint({**VERSION_1, "ver": "2.0"}), {"version": FAIL}),
    ("no version", lambda: mint({"ver": ABSENT}), {"version": FAIL}),
    ("version is a number", lambda: mint({"ver": 2.0}), {"version": FAIL, "claim_types": FAIL}),
    # audience
    ("another audience", lambda: mint({"aud": "api://other"}), {"audience": FAIL}),
    ("audience in capitals", lambda: mint({"aud": "API://MAIL"}), {"audience": FAIL}),
    ("audience with a slash", lambda: mint({"aud": "api://mail/"}), {"audience": FAIL}),
    ("two audiences", lambda: mint({"aud": ["api://mail", "api://other"]}), {"audience": FAIL}),
    ("no audience", lambda: mint({"aud": ABSENT}), {"audience": FAIL}),
    ("audience is an object", lambda: mint({"aud": {"api://mail": 1}}), {"audience": FAIL}),
    ("list of a list of audiences", lambda: mint({"aud": [["api://mail"]]}), {"audience": FAIL}),
    # times
    ("expired", lambda: mint({"exp": NOW - 300}), {"expiry": FAIL}),
    ("no expiry", lambda: mint({"exp": ABSENT}), {"expiry": FAIL, "lifetime": FAIL}),
    ("expiry is text", lambda: mint({"exp": str(NOW + 60)}), {"expiry": FAIL, "lifetime": FAIL, "claim_types": FAIL}),
    ("expiry is true", lambda: mint({"exp": True}), {"expiry": FAIL, "lifetime": FAIL, "claim_types": FAIL}),
    ("expires in the year 9999", lambda: mint({"exp": 253402300799}), {"lifetime": FAIL}),
    ("expires after the year 9999", lambda: mint({"exp": 10**30}), {"expiry": FAIL, "lifetime": FAIL}),
    ("expires before 1970", lambda: mint({"exp": -1}), {"expiry": FAIL, "lifetime": FAIL}),
    ("milliseconds", lambda: mint({"exp": (NOW + 60) * 1000}), {"expiry": FAIL, "lifetime": FAIL}),
    ("not valid yet", lambda: mint({"nbf": NOW + 301}), {"not_before": FAIL}),
    ("no beginning", lambda: mint({"nbf": ABSENT}), {"not_before": FAIL}),
    ("beginning is null", lambda: mint({"nbf": None}), {"not_before": FAIL, "claim_types": FAIL}),
    ("issued in the future", lambda: mint({"iat": NOW + 301}), {"issued_at": FAIL}),
    ("issue is no time", lambda: mint({"iat": "now"}), {"issued_at": FAIL, "lifetime": FAIL, "claim_types": FAIL}),
    ("issue is true", lambda: mint({"iat": True}), {"issued_at": FAIL, "lifetime": FAIL, "claim_types": FAIL}),
    ("lives too long", lambda: mint({"exp": NOW - 600 + POLICY.longest_s + 1}), {"lifetime": FAIL}),
    ("expires before it is issued", lambda: mint({"iat": NOW + 100, "exp": NOW + 50}), {"lifetime": FAIL}),
    ("expires before it begins", lambda: mint({"nbf": NOW + 200, "exp": NOW + 100}), {"lifetime": FAIL}),
    # kind, subject, client, rights
    ("identity token", lambda: mint(ID), {"kind": FAIL}),
    ("scopes and a nonce", lambda: mint({"nonce": "n"}), {"kind": FAIL}),
    ("application with scopes", lambda: mint({**APP, "scp": "Mail.Read"}), {"kind": FAIL}),
    ("user without scopes", lambda: mint({"idtyp": "user", "scp": ABSENT}), {"kind": FAIL, "rights": FAIL}),
    ("person and client without scopes", lambda: mint({"scp": ABSENT}), {"kind": FAIL, "rights": FAIL}),
    ("unknown kind", lambda: mint({"idtyp": "device"}), {"kind": FAIL}),
    ("kind is a list", lambda: mint({"idtyp": ["app"]}), {"kind": FAIL, "claim_types": FAIL}),
    ("no subject", lambda: mint({"sub": ABSENT}), {"subject": FAIL}),
    ("no object id", lambda: mint({"oid": ABSENT}), {"subject": FAIL}),
    ("empty subject", lambda: mint({"sub": ""}), {"subject": FAIL}),
    ("subject is a number", lambda: mint({"oid": 7}), {"subject": FAIL, "claim_types": FAIL}),
    ("no token id", lambda: mint({"uti": ABSENT}), {"token_id": FAIL}),
    ("two clients", lambda: mint({"appid": "another"}), {"client": FAIL}),
    ("client is a list", lambda: mint({"azp": ["a"]}), {"client": FAIL, "claim_types": FAIL}),
    ("unknown way to authenticate", lambda: mint({"azpacr": "3"}), {"client": FAIL}),
    ("way to authenticate is a number", lambda: mint({"azpacr": 1}), {"client": FAIL, "claim_types": FAIL}),
    ("way to authenticate without a client", lambda: mint({"azp": ABSENT}), {"client": FAIL}),
    ("application as a public client", lambda: mint({**APP, "azpacr": "0"}), {"client": FAIL}),
    ("scope that is only part of another", lambda: mint({"scp": "Mail.ReadBasic"}), {"rights": FAIL}),
    ("scopes parted by commas", lambda: mint({"scp": "Mail.Read,Mail.Send"}), {"rights": FAIL}),
    ("scopes in a list", lambda: mint({"scp": ["Mail.Read"]}), {"rights": FAIL, "claim_types": FAIL}),
    ("application without the role", lambda: mint({**APP, "roles": ["Other"]}), {"rights": FAIL}),
    ("roles as text", lambda: mint({**APP, "roles": "Mail.Read"}), {"rights": FAIL, "claim_types": FAIL}),
    ("roles with a number among them", lambda: mint({**APP, "roles": ["Mail.Read", 1]}), {"claim_types": FAIL}),
    ("groups as text", lambda: mint({"groups": "all"}), {"claim_types": FAIL}),
    ("name is an object", lambda: mint({"name": {}}), {"claim_types": FAIL}),
    ("bound to a key", lambda: mint({"cnf": {"jkt": "x"}}), {"proof_of_possession": UNKNOWN}),
    ("bound to null", lambda: mint({"cnf": None}), {"proof_of_possession": UNKNOWN, "claim_types": FAIL}),
]  # fmt: skip


@pytest.mark.parametrize(("token", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_forged_token_is_refused_for_exactly_its_reasons(token, expected):
    verdict = judge(token())

    assert expected == problems(verdict)
    assert not verdict.accepted


def test_the_first_failure_hides_no_other():
    token = mint({"aud": "x", "exp": 1, "nonce": "n", "sub": ""}, header={"crit": []}, key="consumer")

    assert {"critical_header", "key_issuer", "audience", "expiry", "lifetime", "kind", "subject"} == set(
        problems(judge(token))
    )
    assert Outcome.PASS is found(judge(token), "signature").outcome


def test_every_token_gets_every_check_in_the_same_order():
    names = [check.__name__ for check in CHECKS]

    for token in ("", "é", "a.b.c", "x" * 20_000, mint(), mint(key="unknown")):
        assert names == [check.name for check in judge(token).checks]


def test_every_check_can_fail_or_be_unknown():
    """A check that passes whatever it is shown would be none."""
    seen = {name for *_, expected in CASES for name in expected} | {"size"}

    assert {check.__name__ for check in CHECKS} == seen


def test_a_token_above_the_limit_is_not_looked_into():
    verdict = judge("x" * (POLICY.largest_bytes + 1))

    assert found(verdict, "size").outcome == FAIL
    assert not verdict.claims
    assert Outcome.PASS is found(judge("x" * POLICY.largest_bytes), "size").outcome


def test_checks_say_what_they_compared():
    binding = found(judge(mint(key="consumer")), "key_issuer")
    audience = found(judge(mint({"aud": "api://other"})), "audience")

    assert f"{CONSUMER} or {V1.replace('{tenantid}', CONSUMER_TENANT)}" == binding.expected
    assert V2.replace("{tenantid}", HOME) == binding.found
    assert say(binding.reason, "en") == "The key is that of personal accounts; it may not speak for an organisation."
    assert (audience.expected, audience.found) == ("api://mail", "api://other")
    expiry = found(judge(mint({"exp": NOW - 7200, "iat": NOW - 9000})), "expiry")
    assert (expiry.expected, expiry.found) == ("later than 2025-06-01T11:55:00Z", "2025-06-01T10:00:00Z")


def test_an_unbound_key_is_said_to_be_unknown_and_never_accepted():
    binding = found(judge(mint(key="unbound")), "key_issuer")

    assert Outcome.UNKNOWN is binding.outcome
    assert say(binding.reason, "en").startswith("Binding unknown")
    assert not judge(mint(key="unbound")).accepted


def test_a_retired_key_is_believed_for_what_it_signed_before():
    retired = dt.datetime(2025, 5, 1, tzinfo=dt.UTC)
    before = int(retired.timestamp()) - 60
    token = mint({"iat": before, "nbf": before, "exp": before + 3600}, key="retired")

    assert problems(judge(token, at=retired + dt.timedelta(minutes=5))) == {}
    at_once = mint({"iat": before + 60, "nbf": before, "exp": before + 3600}, key="retired")
    assert problems(judge(at_once, at=retired + dt.timedelta(minutes=5))) == {"key_retired": FAIL}


def test_a_revoked_key_is_not_believed_for_anything_from_then_on():
    revoked = dt.datetime(2025, 5, 1, tzinfo=dt.UTC)
    before = int(revoked.timestamp()) - 600
    token = mint({"iat": before, "nbf": before, "exp": before + 3600}, key="revoked")

    assert problems(judge(token, at=revoked - dt.timedelta(seconds=1))) == {}
    assert problems(judge(token, at=revoked)) == {"key_revoked": FAIL}


def test_a_certificate_counts_at_the_time_of_issue():
    start, end = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 6, 1, 11, tzinfo=dt.UTC)
    keys = read_keys({"d": {"keys": [public_jwk("home", x5c=x5c("home", start, end))]}})
    issued = int(end.timestamp())
    early = int(start.timestamp()) - 301

    def token(at):
        return mint({"iat": at, "nbf": at, "exp": at + 7200})

    assert problems(judge(token(issued), keys=keys)) == {}
    assert problems(judge(token(issued + 1), keys=keys)) == {"key_certificate": FAIL}
    assert problems(judge(token(early), keys=keys, at=start)) == {"key_certificate": FAIL}


def test_of_two_keys_with_one_id_the_one_counts_that_may_speak_for_the_issuer():
    """The order of the documents makes no difference, nor which of the two signed."""
    mine, theirs = public_jwk("home", kid="k"), public_jwk("consumer", kid="k", issuer=CONSUMER)
    for order in ((mine, theirs), (theirs, mine)):
        keys = read_keys({"d": {"keys": list(order)}})
        assert problems(judge(mint(header={"kid": "k"}), keys=keys)) == {}
        assert problems(judge(mint(header={"kid": "k"}, key="consumer"), keys=keys)) == {"signature": FAIL}


def test_of_two_bound_keys_with_one_id_the_one_counts_that_signed():
    keys = read_keys({"d": {"keys": [public_jwk("other", kid="k"), public_jwk("home", kid="k")]}})

    assert problems(judge(mint(header={"kid": "k"}), keys=keys)) == {}


def test_a_bound_key_counts_before_one_whose_binding_is_unknown():
    unbound, bound = public_jwk("unbound", kid="k", issuer=ABSENT), public_jwk("home", kid="k")
    for order in ((unbound, bound), (bound, unbound)):
        keys = read_keys({"d": {"keys": list(order)}})
        assert problems(judge(mint(header={"kid": "k"}), keys=keys)) == {}
        assert problems(judge(mint(header={"kid": "k"}, key="unbound"), keys=keys)) == {"signature": FAIL}


def test_a_fixed_issuer_binds_to_its_tenant_in_both_forms():
    keys = read_keys({"d": {"keys": [public_jwk("home", issuer=V2.replace("{tenantid}", HOME))]}})
    foreign = {"iss": V2.replace("{tenantid}", OTHER), "tid": OTHER}

    assert problems(judge(mint(), keys=keys)) == {}
    assert problems(judge(mint(VERSION_1), keys=keys)) == {}
    assert problems(judge(mint(foreign), keys=keys)) == {"key_issuer": FAIL, "tenant": FAIL}


def test_an_issuer_of_another_provider_is_compared_as_it_is():
    issuer = "http://127.0.0.1:8080/{tenantid}/v2.0"
    keys = read_keys({"d": {"keys": [public_jwk("home", issuer=issuer)]}})
    policy = dataclasses.replace(POLICY, issuers=(issuer,))
    token = mint({"iss": issuer.replace("{tenantid}", HOME)})

    assert problems(judge(token, keys=keys, policy=policy)) == {}
    assert problems(judge(token, policy=policy)) == {"key_issuer": FAIL}
    assert problems(judge(mint(), keys=keys, policy=policy)) == {"issuer": FAIL, "key_issuer": FAIL}


def test_a_token_for_graph_is_said_to_be_unverifiable_by_others():
    verdict = judge(mint(header={"nonce": "x", "kid": "home"}, key="attacker"))

    assert "Graph" in say(found(verdict, "signature").reason, "en")


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="time zone"):
        judge(mint(), at=dt.datetime(2025, 6, 1))  # noqa: DTZ001

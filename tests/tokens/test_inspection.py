from __future__ import annotations

import datetime as dt
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.tokens.inspection import inspect
from brokenseal.tokens.model import CONSUMER_TENANT, TokenKind
from brokenseal.wording import say
from token_maker import ABSENT, APP, AT, CONSUMER, HOME, ID, NOW, VERSION_1, b64, claims, mint


def facts(token):
    return {fact.name: say(fact.sentence, "en") for fact in inspect(token, at=AT).facts}


def odd(token):
    return [say(sentence, "en") for sentence in inspect(token, at=AT).odd]


def test_a_users_token_is_told_in_words():
    assert {
        "subject": "It speaks for ada@contoso.example, object 0d1c2b3a-4455-4667-8899-aabbccddeeff.",
        "tenant": f"Tenant {HOME}.",
        "issuer": f"It says that https://login.microsoftonline.com/{HOME}/v2.0 issued it.",
        "audience": "It is for api://mail.",
        "scopes": "Rights in the user's name: Mail.Read Mail.Send.",
        "client": "The client is Outlook Web App (9199bf20-a13f-4107-85dc-02114787ef48), authenticated by a secret.",
        "issued_at": "Issued 2025-06-01 11:50:00 UTC.",
        "not_before": "Valid from 2025-06-01 11:50:00 UTC.",
        "expires_at": "Expires 2025-06-01 13:00:00 UTC.",
        "session_id": "Session 00000000-1111-4222-8333-444444444444.",
        "token_id": "Token id 3kVZRE8tFkinHtPA7_EFAA: issued by the sign-in request 445945de-2d4f-4816-a71e-d3c0eff10500.",
        "key": "It names the key home and the algorithm RS256.",
    } == facts(mint())
    assert odd(mint()) == []


def test_an_applications_token_names_no_person():
    told = facts(mint(APP))

    assert TokenKind.APP_ACCESS is inspect(mint(APP), at=AT).kind
    assert (
        told["subject"]
        == "It speaks for an application itself, object 0d1c2b3a-4455-4667-8899-aabbccddeeff; no person is behind it."
    )
    assert told["roles"] == "Application roles: Mail.Read."


def test_a_well_known_audience_and_a_personal_account_are_named():
    token = mint({"aud": "00000003-0000-0000-c000-000000000000", "iss": CONSUMER, "tid": CONSUMER_TENANT})

    assert facts(token)["audience"] == "It is for Microsoft Graph (00000003-0000-0000-c000-000000000000)."
    assert f"Tenant {CONSUMER_TENANT}: personal Microsoft accounts." == facts(token)["tenant"]


def test_the_signature_is_left_out_and_the_text_is_named_by_its_digest():
    token = mint()
    seen = inspect(token, at=AT)

    assert token.rsplit(".", 1)[1] not in repr(seen)
    assert seen.redacted.startswith(token.rsplit(".", 1)[0])
    assert hashlib.sha256(token.encode()).hexdigest() == seen.sha256
    assert seen.request_id == "445945de-2d4f-4816-a71e-d3c0eff10500"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (lambda: mint(header={"alg": "none"}), ["It says that it is not signed."]),
        (lambda: mint(header={"alg": "HS256"}), ["It says that it is sealed with a shared secret; Microsoft Entra signs with private keys."]),
        (lambda: mint(header={"jku": "x", "x5u": "y"}), ["The header brings a key of its own or an address for one: jku, x5u."]),
        (lambda: mint(header={"crit": []}), ["The header asks to be read in an unusual way: crit."]),
        (lambda: mint(header={"kid": ABSENT}), ["The header names no key."]),
        (lambda: mint(header={"nonce": "x"}), ["The header holds a nonce, as in tokens for Microsoft Graph: only Graph can verify the signature."]),
        (lambda: mint({"iss": "https://evil.example/"}), ["The issuer is not at an address of the Microsoft identity platform."]),
        (lambda: mint({"iss": claims()["iss"].replace("o", "о", 1)}), ["The issuer is not at an address of the Microsoft identity platform.", "The issuer holds letters that only look like others."]),
        (lambda: mint({"iss": CONSUMER}), ["Issuer and tenant contradict each other."]),
        (lambda: mint({"ver": "1.0"}), ["Its version does not go with the form of its issuer."]),
        (lambda: mint(VERSION_1), []),
        (lambda: mint({"tid": ABSENT}), ["It names no tenant."]),
        (lambda: mint({"scp": ["Mail.Read"]}), ["The claim scp is not text."]),
        (lambda: mint({"TID": "x"}), ["Two claims differ only in how their names are written: tid, TID."]),
        (lambda: mint(ID), ["It is an identity token: it tells a client who signed in and gives access to nothing."]),
        (lambda: mint({**APP, "azpacr": "0"}), ["An application cannot get a token for itself as a public client."]),
        (lambda: mint({"wids": ["62e90394-69f5-4237-9190-012177145e10"]}), ["Its subject is a Global Administrator."]),
        (lambda: mint({"uti": "AAAAAAAAAAAAAAAAAAAAAA"}), ["Its token id is in no form that Microsoft Entra writes."]),
        (lambda: mint({"exp": NOW - 1}), ["It expired 2025-06-01 11:59:59 UTC."]),
        (lambda: mint({"iat": NOW + 301}), ["It says that it will be issued in the future."]),
        (lambda: mint({"nbf": NOW + 301}), ["It is not valid yet."]),
        (lambda: mint({"exp": NOW + 48 * 3600 - 600}), ["It lives 48 hours; the identity provider lets no access token live longer than 28."]),
        (lambda: mint({"exp": ABSENT}), ["It does not say when it expires."]),
        (lambda: mint({"idtyp": "app"}), ["The token says that it is an application's and holds a user's scopes."]),
        (lambda: mint() + "=", ["The signature ends in padding, which a token has not."]),
    ],
)  # fmt: skip
def test_what_is_odd_is_said_and_nothing_else(token, expected):
    assert expected == odd(token())


def test_what_cannot_be_read_is_said_to_be_so():
    seen = inspect("no token", at=AT)

    assert not seen.is_readable
    assert seen.facts == ()
    assert seen.redacted == "[8 characters left out]"
    assert say(seen.odd[0], "en") == "A signed token has three parts; this text has 1."
    assert inspect("e30." + b64(b'{"aud":"x"}') + ".", at=AT).is_readable


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from([*claims(), "roles", "cnf", "wids", "idtyp"]) | st.text(max_size=4), VALUES),
    st.dictionaries(st.sampled_from(["alg", "kid", "jwk", "nonce"]), VALUES),
)
@settings(max_examples=150, deadline=None)
def test_a_hostile_token_is_told_without_a_crash(payload, header):
    token = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}.AAAA"
    seen = inspect(token, at=dt.datetime.now(dt.UTC))

    assert all(say(fact.sentence, "en") and isinstance(fact.value, str) for fact in seen.facts)
    assert all(say(sentence, "en") for sentence in seen.odd)


@given(st.text())
@settings(deadline=None)
def test_any_text_is_inspected_without_a_crash(text):
    assert all(say(sentence, "en") for sentence in inspect(text, at=AT).odd)

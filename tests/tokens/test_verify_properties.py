"""Properties of the verifier, each against hostile input or a plain reference."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokenseal.tokens.model import CONSUMER_TENANT, Outcome
from brokenseal.tokens.verify import verify
from brokenseal.wording import say
from token_maker import ABSENT, AT, CONSUMER, HOME, NOW, OTHER, POLICY, V1, V2, b64, claims, mint, ring, seal, sign


def judge(token):
    return verify(token, ring(), POLICY, at=AT)


def outcome(verdict, name):
    (check,) = (check for check in verdict.checks if check.name == name)
    return check.outcome


def test_changing_any_bit_of_a_valid_token_is_refused():
    """Every single bit of the text, one after the other; none gives the same claims, so none is accepted."""
    token = mint()
    raw = token.encode()
    assert judge(token).accepted
    for place in range(len(raw)):
        for bit in range(7):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            verdict = judge(changed.decode("ascii"))
            assert not verdict.accepted, (place, bit)


MUTABLE = mint()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_edit_of_a_valid_token_is_refused_or_gives_the_same_claims(data):
    text = MUTABLE
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        piece = data.draw(st.text("ABab01-_.=+/ \n\0é", max_size=8))
        text = text[:start] + piece + text[end:]
    verdict = judge(text)

    assert not verdict.accepted or verdict.claims == claims()


@given(st.text() | st.lists(st.text("eyJhbGciOiJ.=-_", max_size=30), max_size=6).map(".".join))
@settings(max_examples=200, deadline=None)
def test_no_text_is_accepted_and_none_crashes(text):
    verdict = judge(text)

    assert not verdict.accepted
    assert all(say(check.reason, "en") for check in verdict.checks)


NAMES = [*sorted(claims()), "idtyp", "roles", "appid", "appidacr", "nonce", "cnf", "wids", "xms_cc"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([HOME, OTHER, CONSUMER_TENANT, V2, CONSUMER, "app", "user", "2.0", "1.0", NOW, NOW + 3600])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def plainly_acceptable(said):
    """A plain reference: what must hold of the claims of any accepted token."""
    audience = said.get("aud")
    return (
        said.get("tid") == HOME
        and said.get("iss") == (V2 if said.get("ver") == "2.0" else V1).replace("{tenantid}", HOME)
        and audience in ("api://mail", ["api://mail"])
        and all(type(said.get(name)) in {int, float} for name in ("exp", "nbf", "iat"))
        and said["exp"] > NOW - 300
        and max(said["nbf"], said["iat"]) <= NOW + 300
        and 0 < said["exp"] - said["iat"] <= POLICY.longest_s
        and ("cnf" not in said)
        and all(type(said.get(name)) is str and said[name] for name in ("sub", "oid", "uti"))
    )


@given(st.dictionaries(st.sampled_from(NAMES), VALUES | st.just(ABSENT), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
@example({"aud": ["api://mail"]})
@example({"exp": 1e308, "iat": -(10**40)})
@example({"tid": "\0", "iss": V2.replace("{tenantid}", "\0")})
def test_hostile_claims_under_a_good_signature_do_not_crash_and_are_accepted_only_if_they_plainly_may(changes):
    verdict = judge(mint(changes))

    assert Outcome.PASS is outcome(verdict, "signature")
    if verdict.accepted:
        assert plainly_acceptable(claims(changes))


@given(
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "x5t", "b64", "cty", "nonce", "x"]), VALUES, min_size=1
    )
)
@settings(max_examples=100, deadline=None)
def test_a_hostile_header_under_a_good_signature_does_not_crash_and_is_not_believed(header):
    verdict = judge(mint(header=header))

    if verdict.accepted:
        assert set(header) <= {"typ", "nonce", "x", "x5t", "kid", "alg"}
        assert header.get("alg", "RS256") == "RS256"
        assert header.get("kid", "home") == "home"


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_hostile_bytes_under_a_good_signature_are_refused(header, payload):
    assert not judge(seal(header, payload)).accepted
    assert not judge(seal(b'{"alg":"RS256","kid":"home"}', payload)).accepted


@pytest.mark.parametrize(
    ("key", "alg", "size"), [("home", "RS256", 256), ("ec-key", "ES256", 64), ("ed-key", "EdDSA", 64)]
)
def test_no_made_up_signature_is_right(key, alg, size):
    """Empty, short, long, all zeros, all ones, the right one with bytes more or less, and random ones."""
    text = f"{b64(json.dumps({'alg': alg, 'kid': key}).encode())}.{b64(json.dumps(claims()).encode())}"
    right = sign(key, alg, text.encode())
    draw = random.Random(5)
    wrong = [
        b"",
        b"\0",
        b"\0" * size,
        b"\xff" * size,
        b"\0" * (size * 2),
        right[:-1],
        right + b"\0",
        b"\0" + right,
        right[::-1],
    ]
    wrong += [right[: size // 2] + b"\0" * (size // 2), b"\0" * (size // 2) + right[size // 2 :]]
    wrong += [draw.randbytes(size) for _ in range(20)]

    assert judge(f"{text}.{b64(right)}").accepted
    for signature in wrong:
        assert outcome(judge(f"{text}.{b64(signature)}"), "signature") is Outcome.FAIL

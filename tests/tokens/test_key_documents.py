from __future__ import annotations

import datetime as dt
import json
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brokenseal.errors import UsageError
from brokenseal.tokens.key_documents import (
    FLAWS,
    KeyUsage,
    keys_from_document,
    read_keys,
    read_usage,
    with_usage,
    without_key,
)
from token_maker import ABSENT, CONSUMER, V2, documents, private, public_jwk, x5c

START, END = dt.datetime(2016, 4, 5, tzinfo=dt.UTC), dt.datetime(2021, 4, 4, tzinfo=dt.UTC)
FIXED = "https://idp.example/"


def only(jwk, **document):
    (key,) = keys_from_document({"keys": [jwk], **document}, name="d")
    return key


def test_each_key_keeps_its_own_issuer_and_its_document():
    keys = keys_from_document(documents()["common"], name="common")

    assert (keys[0].kid, keys[0].issuer, keys[0].document) == ("home", V2, "common")
    assert (keys[1].kid, keys[1].issuer, keys[1].document) == ("consumer", CONSUMER, "common")
    assert len(documents()["common"]["keys"]) == len(keys)


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (lambda: public_jwk("home"), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (lambda: public_jwk("home", alg="RS256"), ("RS256",)),
        (lambda: public_jwk("home", alg="HS256"), ()),
        (lambda: public_jwk("home", alg=["RS256"]), ()),
        (lambda: public_jwk("home", alg="ES256"), ()),
        (lambda: public_jwk("ec-key"), ("ES256",)),
        (lambda: public_jwk("ed-key"), ("EdDSA", "Ed25519")),
        (lambda: public_jwk("home", use=ABSENT), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (lambda: public_jwk("ec-key", use=ABSENT, key_ops=["verify"]), ("ES256",)),
    ],
)
def test_a_key_goes_with_the_algorithms_of_its_type_and_its_alg(jwk, algorithms):
    assert algorithms == only(jwk()).algorithms


@pytest.mark.parametrize(
    ("jwk", "flaws"),
    [
        (lambda: public_jwk("home"), ()),
        (lambda: public_jwk("home", d="AQAB"), ("private_members",)),
        (lambda: {"kty": "oct", "kid": "s", "k": "c2VjcmV0"}, ("symmetric",)),
        (lambda: public_jwk("home", use="enc"), ("not_for_signatures",)),
        (lambda: public_jwk("home", key_ops=["sign"]), ("not_for_signatures",)),
        (lambda: public_jwk("home", use=["sig"]), ("not_for_signatures",)),
        (lambda: public_jwk("weak-key"), ("unusable",)),
        (lambda: public_jwk("home", n="AA"), ("unusable",)),
        (lambda: public_jwk("home", n=ABSENT), ("unusable",)),
        (lambda: public_jwk("home", e="AQ"), ("unusable",)),
        (lambda: public_jwk("ec-key", crv="P-999"), ("unusable",)),
        (lambda: public_jwk("ec-key", y="AAAA"), ("unusable",)),
        (lambda: public_jwk("home", kty="new"), ("unusable",)),
        (lambda: public_jwk("home", kty=["RSA"]), ("unusable",)),
        (lambda: public_jwk("home", kid=ABSENT), ("no_kid",)),
        (lambda: public_jwk("home", x5c=["not a certificate"]), ("certificate_unreadable",)),
        (lambda: public_jwk("home", x5c={"a": 1}), ("certificate_unreadable",)),
        (lambda: public_jwk("home", x5c=x5c("other", START, END)), ("certificate_of_another_key",)),
    ],
)
def test_a_flawed_key_is_kept_and_says_its_flaw(jwk, flaws):
    key = only(jwk())

    assert flaws == key.flaws
    harmless = {"no_kid", "certificate_unreadable", "certificate_of_another_key"}
    assert bool(key.algorithms) == harmless.issuperset(flaws)
    assert set(flaws) <= set(FLAWS)


def test_no_private_member_is_kept():
    numbers = private("home").private_numbers()
    key = only(public_jwk("home", d=str(numbers.d), p="p", q="q", dp="a", dq="b", qi="c", k="k"))

    assert {"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key.jwk)


def test_a_short_key_warns_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert only(public_jwk("weak-key")).flaws == ("unusable",)


def test_the_dates_of_a_certificate_are_read_where_it_is_the_keys_own():
    mine = only(public_jwk("home", x5c=x5c("home", START, END)))
    foreign = only(public_jwk("home", x5c=x5c("other", START, END)))

    assert (mine.certificate_from, mine.certificate_until) == (START, END)
    assert (foreign.certificate_from, foreign.certificate_until) == (None, None)


def test_a_key_of_a_document_that_says_no_issuer_has_none():
    assert only(public_jwk("home", issuer=ABSENT)).issuer is None
    assert only(public_jwk("home", issuer=None)).issuer is None
    assert only(public_jwk("home", issuer="")).issuer is None


def test_metadata_without_keys_has_none_and_gives_its_one_issuer_to_its_key_document():
    uri = "https://idp.example/keys"
    keys = {uri: {"keys": [public_jwk("home", issuer=ABSENT), public_jwk("consumer", issuer=CONSUMER)]}}
    fixed = {"metadata": {"issuer": FIXED, "jwks_uri": uri}}
    template = {"metadata": {"issuer": V2, "jwks_uri": uri}}
    elsewhere = {"metadata": {"issuer": FIXED, "jwks_uri": "https://idp.example/other"}}

    assert keys_from_document(fixed["metadata"], name="m") == ()
    assert [key.issuer for key in read_keys({**fixed, **keys}).keys] == [FIXED, CONSUMER]
    # A template is shared by several families of keys: to give it to a key would bind it to every tenant.
    assert [key.issuer for key in read_keys({**template, **keys}).keys] == [None, CONSUMER]
    assert [key.issuer for key in read_keys({**elsewhere, **keys}).keys] == [None, CONSUMER]


def test_metadata_may_carry_its_keys_and_a_document_may_be_one_key():
    bare = public_jwk("home", issuer=ABSENT)
    (inner,) = keys_from_document({"issuer": FIXED, "jwks": {"keys": [bare]}}, name="m")
    (template,) = keys_from_document({"issuer": V2, "jwks": {"keys": [bare]}}, name="m")
    (single,) = keys_from_document(public_jwk("home"), name="m")

    assert (inner.issuer, template.issuer, single.kid) == (FIXED, None, "home")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "d"),
        ({"issuer": V2}, "d"),
        ({"keys": {}}, "d keys"),
        ({"keys": [1]}, "d keys[0]"),
        ({"keys": [{"kty": "RSA"}, {"kid": 5}]}, "d keys[1].kid"),
        ({"keys": [{"issuer": ["x"]}]}, "d keys[0].issuer"),
        ({"jwks": {}, "issuer": "x"}, "d keys"),
    ],
)
def test_what_is_no_key_document_is_refused_with_its_place(document, place):
    with pytest.raises(UsageError) as caught:
        keys_from_document(document, name="d")

    assert place == caught.value.place


def test_files_and_folders_are_read(tmp_path):
    for name, document in documents().items():
        (tmp_path / f"{name}.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(document).encode())
    (tmp_path / "notes.txt").write_text("no keys")
    by_folder = read_keys([tmp_path])
    by_file = read_keys([tmp_path / "common.json", tmp_path / "old.json"])

    assert by_folder == by_file
    assert len(by_folder.keys) == 15
    assert str(tmp_path / "common.json") == by_folder.keys[0].document


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not json", "JSON"),
        (b"[]", "a key set"),
        (b'{"keys":[],"keys":[]}', "each member once"),
        (b"\xff", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b" " * (4 * 1024 * 1024 + 1), "at most"),
    ],
)
def test_a_file_that_is_no_key_document_is_refused(tmp_path, content, expected):
    path = tmp_path / "keys.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=expected) as caught:
        read_keys([path])
    assert str(path) == caught.value.place


def test_a_file_that_is_absent_and_a_folder_without_keys_are_refused(tmp_path):
    with pytest.raises(UsageError, match="can be read"):
        read_keys([tmp_path / "absent.json"])
    with pytest.raises(UsageError, match="folder of key documents"):
        read_keys([tmp_path])


# ---------------------------------------------------------------- usage


def test_dates_of_the_usage_file_reach_the_keys_that_they_speak_of(tmp_path):
    usage = tmp_path / "usage.json"
    rows = [
        {"kid": "k", "published": "2016-04-05", "tenants": ["t1"]},
        {"kid": "k", "document": "b", "revoked": "2023-06-29T02:00:00+02:00"},
        {"kid": "k", "issuer": CONSUMER, "retired": "2023-06-29T00:00:00", "tenants": ["t1", "t2"]},
    ]
    usage.write_text(json.dumps({"keys": rows}))
    jwk, other = public_jwk("home", kid="k"), public_jwk("consumer", kid="k", issuer=CONSUMER)
    ring = read_keys({"a": {"keys": [jwk, other]}, "b": {"keys": [jwk]}}, usage=usage)
    june = dt.datetime(2023, 6, 29, tzinfo=dt.UTC)

    assert [key.published_at for key in ring.keys] == [START] * 3
    assert [None, None, june] == [key.revoked_at for key in ring.keys]
    assert [None, june, None] == [key.retired_at for key in ring.keys]
    assert [key.tenants for key in ring.keys] == [("t1",), ("t1", "t2"), ("t1",)]


def test_of_two_dates_the_stricter_counts():
    rows = [KeyUsage(kid="home", revoked_at=END), KeyUsage(kid="home", revoked_at=START)]
    ring = with_usage(read_keys({"d": {"keys": [public_jwk("home")]}}), rows)

    assert ring.keys[0].revoked_at == START


def test_rows_without_a_key_are_found():
    ring = read_keys({"d": {"keys": [public_jwk("home")]}})
    rows = (KeyUsage(kid="home"), KeyUsage(kid="hone"), KeyUsage(kid="home", document="e"))

    assert rows[1:] == without_key(ring, rows)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({}, "usage"),
        ({"keys": [1]}, "usage keys[0]"),
        ({"keys": [{"kid": "a"}, {"published": "2020-01-01"}]}, "usage keys[1].kid"),
        ({"keys": [{"kid": ""}]}, "usage keys[0].kid"),
        ({"keys": [{"kid": None}]}, "usage keys[0].kid"),
        ({"keys": [{"kid": "a", "revokedAt": "2020-01-01"}]}, "usage keys[0]"),
        ({"keys": [{"kid": "a", "revoked": "yesterday"}]}, "usage keys[0].revoked"),
        ({"keys": [{"kid": "a", "retired": 1680000000}]}, "usage keys[0].retired"),
        ({"keys": [{"kid": "a", "retired": "0001-01-01T00:00:00+14:00"}]}, "usage keys[0].retired"),
        ({"keys": [{"kid": "a", "tenants": "t"}]}, "usage keys[0].tenants"),
        ({"keys": [{"kid": "a", "issuer": 1}]}, "usage keys[0].issuer"),
    ],
)
def test_a_slip_in_the_usage_file_is_refused_and_never_overlooked(content, place):
    with pytest.raises(UsageError) as caught:
        read_usage(content)

    assert place == caught.value.place


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ["kty", "kid", "n", "e", "crv", "x", "y", "x5c", "x5t", "use", "alg", "issuer", "key_ops", "d"]
)
TEXTS = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "sig", "verify", ""]) | st.text(
    max_size=6
)


@given(
    st.dictionaries(st.sampled_from(["keys", "issuer", "jwks_uri", "jwks", "kty"]) | st.text(max_size=4), ANY_JSON)
    | st.lists(st.dictionaries(MEMBERS, TEXTS | ANY_JSON)).map(lambda keys: {"keys": keys})
)
@example({"keys": [{"kty": "RSA", "n": "é", "e": "AQAB"}]})
@example({"keys": [{"kty": "EC", "crv": "P-256", "x": "", "y": ""}]})
def test_any_document_gives_keys_or_a_usage_error(document):
    try:
        keys = keys_from_document(document, name="d")
    except UsageError:
        return
    assert all(set(key.flaws) <= set(FLAWS) for key in keys)

import hashlib
import hmac
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from brokenseal.simulated import is_simulated
from brokenseal.tokens import forgeries
from brokenseal.tokens.corpus import build
from brokenseal.tokens.forgeries import FORGERIES
from brokenseal.tokens.forgeries.signatures import P256_ORDER
from brokenseal.tokens.forgeries.valid import PLAIN, PLAIN_ELLIPTIC, VALID
from brokenseal.tokens.laboratory import issuer_of
from brokenseal.tokens.model import CONSUMER_TENANT
from brokenseal.tokens.specimen import Gravity
from token_laboratory import cases, corpus, laboratory, part, signature, text_of

ALL = (*VALID, *FORGERIES)
GENUINE_FAMILIES = {"issuers", "tenants", "audiences", "kinds", "claims", "times"}
RANDOM_SIGNATURES = {"pss_by_genuine_key", "pss_signature_called_rs256", "encrypted_for_public_key"}


def is_signed_by(name, token):
    """Whether the signature over the first two parts is that of the laboratory's key, by RS256."""
    head, _, _ = token.rpartition(".")
    public = laboratory().keys[name].rsa.public_key()
    try:
        public.verify(signature(token), head.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


# ---------------------------------------------------------------- the registry


def test_there_are_at_least_eighty_classes_of_each():
    assert len(FORGERIES) >= 80
    assert len(VALID) >= 80


def test_every_family_module_is_in_the_tuple():
    modules = {name for name in vars(forgeries) if hasattr(getattr(forgeries, name), "FORGERIES")}
    assert {specimen.family for specimen in FORGERIES} == modules
    assert {specimen for name in modules for specimen in getattr(forgeries, name).FORGERIES} == set(FORGERIES)


def test_names_are_unique_snake_case():
    names = [specimen.name for specimen in ALL]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name)] == []


@pytest.mark.parametrize("specimen", ALL, ids=lambda specimen: specimen.name)
def test_every_class_says_what_it_is_what_it_means_and_how_to_mend_it(specimen):
    texts = (specimen.tests, specimen.meaning, specimen.mend)
    assert [text for text in texts if not (text[0].isupper() or text[0] == "`") or text[-1] != "."] == []
    assert specimen.sources
    cves = [source for source in specimen.sources if "CVE" in source]
    assert [source for source in cves if not re.fullmatch(r"CVE-\d{4}-\d{4,5}", source)] == []
    assert specimen.is_forgery == (specimen in FORGERIES)
    assert specimen.needs in {None, "ES256"}


def test_no_two_tokens_of_the_corpus_are_equal():
    seen = {}
    for case in corpus():
        seen.setdefault(case.token, []).append(case.name)
    assert [names for names in seen.values() if len(names) > 1] == []


def test_equal_keys_seed_and_time_give_equal_tokens():
    again = {case.name: case.token for case in build(laboratory())}
    differing = {case.specimen for case in corpus() if again[case.name] != case.token}
    assert differing == RANDOM_SIGNATURES


def test_every_family_has_a_class_and_every_gravity_too():
    assert {specimen.gravity for specimen in FORGERIES} == set(Gravity)


# ---------------------------------------------------------------- what the tokens are


def test_the_plain_token_is_a_users_of_a_simulated_tenant():
    token = cases()[PLAIN].token
    lab = laboratory()
    assert part(token, 0) == {"typ": "JWT", "alg": "RS256", "kid": lab.keys["enterprise"].kid}
    claims = part(token, 1)
    assert (claims["iss"], claims["tid"], claims["aud"], claims["scp"], claims["ver"]) == (
        f"https://login.microsoftonline.com/{lab.home}/v2.0",
        lab.home,
        lab.api,
        "Mail.Read",
        "2.0",
    )
    assert (claims["exp"] - claims["iat"], lab.at - claims["iat"]) == (75 * 60, 300)
    assert is_simulated([lab.home])
    assert is_signed_by("enterprise", token)


@pytest.mark.parametrize(
    "case", [case for case in corpus() if case.family in GENUINE_FAMILIES], ids=lambda case: case.name
)
def test_what_is_called_genuine_is_signed_by_a_published_key(case):
    """A class about claims tests nothing if its signature is bad."""
    key = "consumer" if case.specimen == "consumer_account" else "enterprise"
    assert is_signed_by(key, case.token)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("consumer_key_for_enterprise: v2", "consumer"),
        ("other_tenants_key: v2", "partner"),
        ("same_kid_in_other_document", "twin"),
        ("retired_key: v2", "retired"),
        ("revoked_key: app", "revoked"),
        ("weak_key", "weak"),
        ("strangers_key_under_genuine_kid: RSA", "attacker"),
        ("kid_names_another_key", "consumer"),
        ("embedded_key: genuine kid", "attacker"),
    ],
)
def test_forgeries_are_signed_by_the_key_that_they_are_about(name, key):
    assert is_signed_by(key, cases()[name].token)


def test_the_forgery_of_2023_differs_from_the_plain_token_in_its_key_alone():
    forged, plain = cases()["consumer_key_for_enterprise: v2"].token, cases()[PLAIN].token
    assert part(forged, 1) == part(plain, 1)
    assert part(forged, 0)["kid"] == laboratory().keys["consumer"].kid


def test_a_retired_key_dates_its_token_before_its_end():
    claims = part(cases()["retired_key_backdated: long life"].token, 1)
    assert claims["iat"] == 1_617_235_200
    assert claims["exp"] > laboratory().at


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        (
            "hmac_with_public_pem: as exported",
            lambda public: public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        ),
        (
            "hmac_with_public_der: PKCS #1",
            lambda public: public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1),
        ),
        (
            "hmac_with_ssh_key",
            lambda public: public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        ),
    ],
)
def test_hmac_forgeries_verify_with_the_public_key_as_secret(name, secret):
    token = cases()[name].token
    head, _, _ = token.rpartition(".")
    key = secret(laboratory().keys["enterprise"].rsa.public_key())
    assert signature(token) == hmac.new(key, head.encode(), hashlib.sha256).digest()
    assert part(token, 0)["alg"] == "HS256"


def test_a_signature_under_exponent_one_needs_no_private_key():
    token = cases()["embedded_key_with_exponent_one: no kid"].token
    head, _, _ = token.rpartition(".")
    modulus = laboratory().keys["enterprise"].rsa.public_key().public_numbers().n
    block = pow(int.from_bytes(signature(token), "big"), 1, modulus).to_bytes(256, "big")
    assert block.startswith(b"\x00\x01\xff\xff")
    assert block.endswith(
        b"\x00" + bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(head.encode()).digest()
    )
    assert part(token, 0)["jwk"]["e"] == "AQ"


def test_hand_made_blocks_are_signed_but_refused_by_a_strict_library():
    for label in ("bytes behind", "digest alone", "no NULL"):
        assert not is_signed_by("enterprise", cases()[f"signature_padding_by_hand: {label}"].token)


def test_elliptic_forgeries_have_the_numbers_that_they_are_about():
    def numbers(name):
        raw = signature(cases()[name].token)
        return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")

    assert numbers("elliptic_zero: both") == (0, 0)
    assert numbers("elliptic_order: order") == (P256_ORDER, P256_ORDER)
    assert numbers("elliptic_zero: s")[0] == numbers(PLAIN_ELLIPTIC)[0]
    r, s = numbers(PLAIN_ELLIPTIC)
    assert numbers("elliptic_other_s") == (r, P256_ORDER - s)
    assert utils.decode_dss_signature(signature(cases()["elliptic_in_der: DER"].token)) == (r, s)


@pytest.mark.parametrize("name", ["elliptic", "elliptic_other_s", "elliptic_short_r"])
def test_valid_elliptic_signatures_verify(name):
    token = cases()[name].token
    head, _, _ = token.rpartition(".")
    raw = signature(token)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    laboratory().keys["elliptic"].private.public_key().verify(der, head.encode(), ec.ECDSA(hashes.SHA256()))
    assert name != "elliptic_short_r" or raw[0] == 0


def test_the_other_writings_of_a_signature_are_of_the_same_bytes():
    genuine = signature(cases()[PLAIN].token)
    assert signature(cases()["signature_with_unused_bits"].token) == genuine
    assert signature(cases()["signature_padded: =="].token.rstrip("=")) == genuine


def test_consumer_keys_with_their_own_issuer_and_a_foreign_tenant():
    claims = part(cases()["consumer_key_for_enterprise_tenant: consumer issuer"].token, 1)
    assert (claims["iss"], claims["tid"]) == (issuer_of(CONSUMER_TENANT), laboratory().home)


def test_two_claims_of_one_name_stand_in_the_text():
    for order in ("right first", "right last"):
        assert text_of(cases()[f"two_iss: {order}"].token, 1).count(b'"iss":') == 2


# ---------------------------------------------------------------- what is published


def test_key_documents_have_the_shape_of_entras():
    common = laboratory().documents()["common"]["keys"]
    first = common[0]
    assert list(first) == ["kty", "n", "e", "use", "kid", "x5t", "x5c", "cloud_instance_name", "issuer"]
    assert (first["kty"], first["use"], first["issuer"]) == (
        "RSA",
        "sig",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
    )
    assert {key["issuer"] for key in laboratory().documents()["consumers"]["keys"]} == {issuer_of(CONSUMER_TENANT)}
    assert first["kid"] == first["x5t"]


def test_no_private_number_and_no_withdrawn_key_is_published():
    keys = [key for document in laboratory().documents().values() for key in document["keys"]]
    assert {name for key in keys for name in key} & {"d", "p", "q", "dp", "dq", "qi", "k"} == set()
    kids = {key["kid"] for key in keys}
    unpublished = {key.kid for key in laboratory().keys.values() if not key.documents}
    assert len(unpublished) == 4
    assert kids & unpublished == set()


def test_one_key_id_stands_for_two_keys():
    keys = laboratory().keys
    assert keys["shared"].kid == keys["twin"].kid
    assert keys["shared"].members() != keys["twin"].members()

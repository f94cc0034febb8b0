import json
import stat

import pytest

from brokenseal.errors import UsageError
from brokenseal.tokens import corpus as module
from brokenseal.tokens.adapters.brokenseal import TokenRefused, policy_of, strict
from brokenseal.tokens.forgeries import FORGERIES
from brokenseal.tokens.forgeries.valid import PLAIN, VALID
from brokenseal.tokens.key_documents import read_keys
from brokenseal.tokens.specimen import Gravity, Specimen
from token_laboratory import cases, corpus, laboratory, part

AT = 1_800_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that was written once."""
    place = tmp_path_factory.mktemp("corpus") / "new"
    module.write(place, laboratory(), corpus())
    return place


def test_every_class_has_a_case_and_every_case_its_class():
    assert list(dict.fromkeys(case.specimen for case in corpus())) == [each.name for each in (*VALID, *FORGERIES)]
    names = [case.name for case in corpus()]
    assert len(set(names)) == len(names)


def test_a_case_carries_what_its_class_says():
    case = cases()["retired_key: v1"]
    assert (case.specimen, case.family, case.gravity, case.expected) == (
        "retired_key",
        "keys",
        Gravity.MISUSE,
        "refuse",
    )
    assert case.explanation == "The key's time ended in 2021, and the document still publishes it."
    assert case.mend.startswith("Give every key an end")
    assert cases()[PLAIN].expected == "accept"


def test_valid_tokens_say_until_when_they_are_valid():
    assert cases()[PLAIN].good_until == part(cases()[PLAIN].token, 1)["exp"] + 300
    assert cases()["ended_within_skew"].good_until == laboratory().at + 180
    assert {case.good_until for case in corpus() if case.is_forgery} == {None}


def test_our_verifier_refuses_every_forgery_and_accepts_every_valid_token():
    """The claim of the whole laboratory; what is listed is wrong."""
    expectation = laboratory().expectation()
    wrong = []
    for case in corpus():
        try:
            accepted = bool(strict(case.token, expectation))
        except TokenRefused:
            accepted = False
        if accepted is case.is_forgery:
            wrong.append(case.name)
    assert wrong == []


def test_a_refusal_names_the_first_check_that_failed():
    with pytest.raises(TokenRefused) as refused:
        strict(cases()["consumer_key_for_enterprise: v2"].token, laboratory().expectation())
    assert refused.value.place == "key_issuer"


def test_the_policy_is_what_the_expectation_says():
    policy = policy_of(laboratory().expectation())
    assert policy.audiences == (laboratory().api, laboratory().api_uri)
    assert policy.tenants == (laboratory().home, laboratory().partner)
    assert (policy.algorithms, policy.skew_s, policy.is_consumer_accepted) == (("RS256", "ES256"), 300, False)


def test_the_expectation_is_json_and_names_retired_and_revoked_keys():
    expectation = json.loads(json.dumps(laboratory().expectation()))
    keys = laboratory().keys
    assert expectation["usage"]["keys"] == [
        {"kid": keys["enterprise_previous"].kid, "retired": "2099-01-01T00:00:00+00:00"},
        {"kid": keys["retired"].kid, "retired": "2021-04-04T00:00:00+00:00"},
        {"kid": keys["revoked"].kid, "revoked": "2023-06-29T00:00:00+00:00"},
    ]


# ---------------------------------------------------------------- the folder


def test_what_was_written_is_read_again(folder):
    expectation, read = module.read(folder)
    assert expectation == laboratory().expectation()
    assert read == corpus()


def test_key_documents_of_the_folder_are_read_by_the_product(folder):
    ring = read_keys([folder / "keys" / "common.json"], usage=folder / "usage.json")
    kept = {key.kid: key for key in ring.keys}
    assert kept[laboratory().keys["revoked"].kid].revoked_at.isoformat() == "2023-06-29T00:00:00+00:00"
    assert kept[laboratory().keys["consumer"].kid].issuer.endswith("9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")


def test_private_keys_can_be_read_by_their_owner_alone(folder):
    assert stat.S_IMODE((folder / "laboratory.json").stat().st_mode) == 0o600
    public = [path for path in folder.rglob("*") if path.is_file() and path.name != "laboratory.json"]
    assert len(public) == 8
    assert [path.name for path in public if b"PRIVATE KEY" in path.read_bytes()] == []


def test_a_folder_keeps_its_keys_and_makes_fresh_tokens(folder):
    opened = module.open_laboratory(folder, at=AT)
    assert {name: key.kid for name, key in opened.keys.items()} == {
        name: key.kid for name, key in laboratory().keys.items()
    }
    assert opened.documents() == laboratory().documents()
    assert (opened.home, opened.api) == (laboratory().home, laboratory().api)
    assert part(opened.mint(), 1)["iat"] == AT - 300


def test_an_absent_or_empty_folder_gets_a_new_laboratory(tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        opened = module.open_laboratory(place, at=AT)
        assert opened.seed == module.SEED
        assert opened.keys["enterprise"].kid != laboratory().keys["enterprise"].kid


@pytest.mark.parametrize(
    "content",
    [None, "", "[]", "{}", '{"seed": 1}', '{"seed": 1, "keys": {}}', '{"seed": 1, "keys": {"enterprise": "x"}}'],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    if content is not None:
        (tmp_path / "laboratory.json").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"laboratory\.json.*expected a corpus that this command wrote, or an empty"):
        module.open_laboratory(tmp_path, at=AT)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_holds_no_corpus_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="expected a corpus that this command wrote"):
        module.read(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error_of_usage(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="expected a folder that can be written"):
        module.write(tmp_path / "file", laboratory(), ())


def test_specimens_of_ones_own_can_be_built():
    own = Specimen(
        name="own",
        family="own",
        gravity=Gravity.BREACH,
        tests="T.",
        meaning="M.",
        mend="R.",
        sources=("RFC 7519",),
        make=lambda lab: {"a": lab.api, "b": lab.home},
    )
    assert [(case.name, case.token) for case in module.build(laboratory(), (own,))] == [
        ("own: a", laboratory().api),
        ("own: b", laboratory().home),
    ]

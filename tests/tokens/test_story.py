"""The whole story on real sockets: forged, shown, read with, logged, exported, found, traced, retired."""

from __future__ import annotations

import itertools
import json

import pytest
from typer.testing import CliRunner

from brokenseal import cli
from brokenseal.errors import UsageError
from brokenseal.settings import Settings
from brokenseal.simulated import is_simulated
from brokenseal.tokens.provider import gates, story
from brokenseal.tokens.provider.exports import NAMES
from brokenseal.tokens.provider.gates import Build

STEPS = [
    "opened", "ordinary_days", "forged", "shown", "read", "days_after", "logged", "ingested", "found", "traced",
    "listed", "retired",
]  # fmt: skip
ACCEPTED = {"accepted": True, "status": 200, "refusals": []}


def checks(judged):
    return [check for check, _ in judged["refusals"]]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The faulty build's story by the command: its folder, its output, and its facts by step."""
    folder = tmp_path_factory.mktemp("story") / "faulty"
    result = CliRunner().invoke(cli.app, ["token", "provider", "--story", "-o", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["simulated"], document["build"]) == (True, "faulty")
    return folder, result, {step["name"]: step["facts"] for step in document["steps"]}


def test_the_story_has_all_its_steps_and_says_that_it_is_simulated(told):
    folder, result, facts = told

    assert list(facts) == STEPS
    assert result.stderr.startswith("A simulated tenant")
    assert is_simulated([facts["opened"]["tenant_id"]])
    assert sorted(path.name for path in folder.iterdir()) == ["exports", "forged.jwt", "keys", "store"]


def test_the_forged_token_passes_the_faulty_gate_alone(told):
    shown = told[2]["shown"]

    assert shown["faulty"] == ACCEPTED
    assert (shown["mended"]["accepted"], shown["mended"]["status"], checks(shown["mended"])) == (
        False,
        401,
        ["key_issuer"],
    )


def test_mail_is_read_with_it_and_with_the_token_that_the_web_mail_gives_for_it(told):
    read = told[2]["read"]

    assert (read["opened_with_forged_token"], read["opened_with_given_token"]) == (6, 5)
    assert (read["token_for_resource"], read["renewal"]) == (200, 200)
    assert len(set(read["messages"])) == 11


def test_what_was_read_stands_in_the_exports_under_the_forged_id_and_session(told):
    """Read from the files without the product: every message opened, and no sign-in of the forged id."""
    folder, _, facts = told
    sign_ins, audit, _ = (
        [json.loads(line) for line in (folder / "exports" / name).read_text(encoding="utf-8").splitlines()]
        for name in NAMES
    )
    forged = facts["forged"]
    accesses = [record for record in audit if record["Operation"] == "MailItemsAccessed"]
    in_session = [each for each in accesses if each["AppAccessContext"]["AADSessionId"] == forged["session_id"]]
    listed = {
        item["InternetMessageId"]
        for record in in_session
        for folder_read in record["Folders"]
        for item in folder_read["FolderItems"]
    }

    assert listed == set(facts["read"]["messages"])
    assert any(record["AppAccessContext"]["UniqueTokenId"] == forged["uti"] for record in in_session)
    assert forged["uti"] not in {record["uniqueTokenIdentifier"] for record in sign_ins}
    assert forged["session_id"] not in {record["sessionId"] for record in sign_ins}
    assert {record["OrganizationId"] for record in audit} == {facts["opened"]["tenant_id"]}
    assert facts["logged"]["records"] == dict(
        zip(NAMES, (len(sign_ins), len(audit), facts["logged"]["records"][NAMES[2]]), strict=True)
    )
    assert facts["logged"]["forged_id"][NAMES[0]] == 0
    assert facts["logged"]["forged_id"][NAMES[1]] >= 1


def test_every_exported_record_is_kept(told):
    facts = told[2]

    assert facts["ingested"]["kept"] == facts["ingested"]["records"] == sum(facts["logged"]["records"].values())
    assert facts["ingested"]["rejected"] == 0


def test_the_product_notices_the_orphan_token_and_the_new_client_and_makes_no_case_of_days(told):
    found = told[2]["found"]

    # The logs of the story span less than the two weeks from which on anything can be strange.
    assert found["verdict"] == "cannot_tell"
    assert found["cases"] == 0
    assert {"token.provenance.not_issued", "mail_access.first_seen_client.new_in_tenant"} <= set(found["findings"])


def test_the_forged_token_was_not_issued_and_an_ordinary_one_was(told):
    traced = told[2]["traced"]

    assert (traced["forged"]["verdict"], traced["forged"]["reason"], traced["forged"]["certain"]) == (
        "not_issued",
        None,
        6,
    )
    assert traced["forged"]["addresses"] == ["203.0.113.77"]
    assert (traced["control"]["verdict"], traced["control"]["reason"]) == ("issued", None)


def test_the_logs_list_exactly_what_was_handed_out(told):
    listed = told[2]["listed"]

    assert (listed["served"], listed["listed"], listed["missed"], listed["wrong"]) == (11, 11, [], [])
    # The forged token; the one that the web mail made of it, and the one that this was renewed with.
    assert sorted(listed["tokens"].values()) == ["issued", "issued", "not_issued"]


def test_a_retired_key_opens_nothing_and_ordinary_tokens_go_on(told):
    retired = told[2]["retired"]

    assert retired["before"]["faulty"] == ACCEPTED
    assert checks(retired["before"]["mended"]) == ["key_issuer"]
    assert [each["status"] for each in retired["after"].values()] == [401, 401]
    assert checks(retired["after"]["faulty"]) == ["signature"]
    assert {"key_issuer", "key_retired", "key_revoked"} <= set(checks(retired["after"]["mended"]))
    assert retired["control"] == {"faulty": 200, "mended": 200}


def test_the_forged_token_is_in_its_own_file_and_nowhere_else(told):
    folder, result, _ = told
    payload, signature = (folder / "forged.jwt").read_text().strip().split(".")[1:]

    for secret in (payload, signature):
        assert secret not in result.stdout + result.stderr
        assert [path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == [
            "forged.jwt"
        ]


def test_the_commands_say_of_its_files_what_the_story_says(told):
    """The verifier refuses the forged token with the saved keys, and the store knows that it was never issued."""
    folder, _, facts = told
    forged = facts["forged"]
    verify = [
        "token", "verify", str(folder / "forged.jwt"), "--keys", str(folder / "keys"), "--at", forged["at"],
        "--audience", "00000002-0000-0ff1-ce00-000000000000",
        "--issuer", "https://login.microsoftonline.com/{tenantid}/v2.0", "--json",
    ]  # fmt: skip
    verified = CliRunner().invoke(cli.app, verify)
    traced = CliRunner().invoke(
        cli.app, ["token", "trace", str(folder / "forged.jwt"), "--store", str(folder / "store"), "--json"]
    )
    inspected = CliRunner().invoke(
        cli.app, ["token", "inspect", str(folder / "forged.jwt"), "--store", str(folder / "store"), "--json"]
    )

    assert (verified.exit_code, traced.exit_code, inspected.exit_code) == (1, 0, 0)
    failed = [check["name"] for check in json.loads(verified.stdout)["checks"] if check["outcome"] == "fail"]
    assert failed == ["key_issuer"]
    found = json.loads(traced.stdout)
    assert (found["kind"], found["subject"], found["simulated"]) == ("token", forged["uti"], True)
    assert [(each["verdict"], each["event_ids"]) for each in found["issuances"]] == [("not_issued", [])]
    assert found["mail"]["certain"] == 6
    assert [each["verdict"] for each in json.loads(inspected.stdout)["issuances"]] == ["not_issued"]


# ---------------------------------------------------------------- other ways it can go


def told_until(name, folder, build):
    """The steps up to the one of that name; the servers are stopped after it."""
    steps = story.tell(
        folder, build=build, seed=5, settings=Settings(store_dir=folder / "store"), investigate=lambda *_: None
    )
    kept = {}
    for step in steps:
        kept[step.name] = step
        if step.name == name:
            break
    steps.close()
    return kept


@pytest.fixture
def no_ordinary_days(monkeypatch):
    monkeypatch.setattr(story, "agenda", lambda *_, **__: iter(()))


def test_behind_the_mended_gate_nothing_is_read_and_nothing_logged(tmp_path, no_ordinary_days):
    steps = told_until("logged", tmp_path / "mended", Build.MENDED)

    read = steps["read"].facts
    assert (read["opened_with_forged_token"], read["opened_with_given_token"], read["messages"]) == (0, 0, [])
    assert (read["token_for_resource"], read["renewal"]) == (401, 401)
    assert steps["read"].sentence == "On the mended build no message is read: each call is answered with status 401."
    assert set(steps["logged"].facts["forged_id"].values()) == {0}
    assert steps["logged"].facts["records"][NAMES[1]] == 0


def test_the_sentences_follow_what_happens(tmp_path, no_ordinary_days, monkeypatch):
    """With the mended gate's check taken out, the story says that both accept: nothing of it is written beforehand."""
    monkeypatch.setitem(gates.GATES, Build.MENDED, gates.GATES[Build.FAULTY])
    steps = told_until("shown", tmp_path / "both", Build.FAULTY)

    assert steps["shown"].facts["mended"] == ACCEPTED
    assert steps["shown"].sentence == (
        "Shown to both: the faulty build accepts it (status 200) and the mended build accepts it (status 200)."
    )
    assert steps["ordinary_days"].facts == {"workdays": 0, "tokens": 0, "messages": 0}


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="a new or empty folder"):
        told_until("opened", tmp_path, Build.FAULTY)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("flags", [[], ["--story", "--serve"]])
def test_the_command_does_one_of_two_things(tmp_path, flags):
    result = CliRunner().invoke(cli.app, ["token", "provider", *flags, "-o", str(tmp_path / "x")])

    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "x").exists()


def test_equal_seeds_tell_equal_stories(tmp_path, no_ordinary_days):
    """All but keys and ports is drawn from the seed."""
    first, second = (told_until("logged", tmp_path / name, Build.FAULTY) for name in ("a", "b"))

    for name in ("read", "days_after", "logged"):
        assert first[name] == second[name]
    assert [(tmp_path / "a" / "exports" / name).read_bytes() for name in NAMES] == [
        (tmp_path / "b" / "exports" / name).read_bytes() for name in NAMES
    ]
    assert all(len(step.sentence) > 20 for step in itertools.chain(first.values(), second.values()))

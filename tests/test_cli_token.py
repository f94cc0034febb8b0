"""`brokenseal token inspect`, `verify` and `keys`: what they print, what they never print, and how they end."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import sys
from pathlib import Path

import pytest

from brokenseal import cli
from brokenseal.tokens.verify import CHECKS
from token_maker import API, CONSUMER, HOME, USAGE, V1, V2, b64, documents, mint

PAGE = Path(__file__).parents[1] / "docs" / "tokens.md"
AT = "2025-06-01T12:00:00Z"
WARNING = [
    "brokenseal: a token on the command line stays in the shell's history and is seen in the process list;",
    "brokenseal: give a file, or - and pipe it in",
]


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: exit code, standard output, lines of standard error."""

    def call(*words, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["brokenseal", "token", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err.splitlines()

    return call


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with key documents, a usage file and tokens."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "keys").mkdir()
    for name, document in documents().items():
        (folder / "keys" / f"{name}.json").write_text(json.dumps(document))
    (folder / "usage.json").write_text(json.dumps(USAGE))
    (folder / "good.jwt").write_text(mint() + "\n")
    (folder / "forged.jwt").write_text("Bearer " + mint(key="consumer"))
    return folder


def verifying(saved, token, *more):
    issuers = ("--issuer", V2, "--issuer", V1)
    return ("verify", token, "--keys", saved / "keys", "--audience", API, *issuers, "--at", AT, *more)


def signature(token):
    return token.strip().rsplit(".", 1)[1]


# ---------------------------------------------------------------- verify


def test_a_valid_token_ends_with_0_and_a_forged_one_with_1(run, saved):
    good, forged = run(*verifying(saved, saved / "good.jwt")), run(*verifying(saved, saved / "forged.jwt"))

    assert (good[0], forged[0]) == (0, 1)
    assert good[1].startswith("ACCEPTED at 2025-06-01 12:00:00 UTC")
    assert forged[1].startswith(f"REFUSED at 2025-06-01 12:00:00 UTC: 1 of {len(CHECKS)} checks fail, 0 could not be")
    assert (good[2], forged[2]) == ([], [])
    assert all(check.__name__ in forged[1] for check in CHECKS)
    assert f"found: https://login.microsoftonline.com/{HOME}/v2.0" in re.sub(r"\s*\n\s*", "", forged[1]).replace(
        ":http", ": http"
    )


def test_json_is_one_object_with_every_check_and_a_redacted_token(run, saved):
    code, out, _ = run(*verifying(saved, saved / "forged.jwt", "--json"))
    verdict = json.loads(out)
    failed = [check for check in verdict["checks"] if check["outcome"] == "fail"]

    assert (code, verdict["accepted"], verdict["kid"], verdict["kind"]) == (1, False, "consumer", "user_access")
    assert [check["name"] for check in verdict["checks"]] == [check.__name__ for check in CHECKS]
    assert failed == [
        {
            "name": "key_issuer",
            "outcome": "fail",
            "reason": "The key is that of personal accounts; it may not speak for an organisation.",
            "expected": f"{CONSUMER} or https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
            "found": f"https://login.microsoftonline.com/{HOME}/v2.0",
        }
    ]
    assert verdict["claims"]["tid"] == HOME
    assert verdict["at"] == "2025-06-01T12:00:00+00:00"
    whole = (saved / "forged.jwt").read_text().removeprefix("Bearer ")
    assert verdict["sha256"] == hashlib.sha256(whole.encode()).hexdigest()
    assert verdict["token"].startswith(whole.rsplit(".", 1)[0])
    assert signature(whole) not in out


@pytest.mark.parametrize(
    ("options", "token", "code"),
    [
        (("--tenant", HOME), {}, 0),
        (("--tenant", "66666666-7777-4888-8999-aaaaaaaaaaaa"), {}, 1),
        (("--scope", "Mail.Read"), {}, 0),
        (("--scope", "Mail.Write"), {}, 1),
        (("--kind", "id"), {}, 1),
        (("--algorithm", "ES256"), {}, 1),
        (("--at", "2025-06-01T13:04:59Z"), {}, 0),
        (("--at", "2025-06-01T13:05:00"), {}, 1),
        (("--at", "2025-06-01T15:04:59+02:00"), {}, 0),
        (("--at", "2025-06-01T13:00:00Z", "--skew", "0"), {}, 1),
        (("--usage",), {"key": "retired"}, 1),
        ((), {"key": "retired"}, 0),
        ((), {"key": "unbound"}, 1),
    ],
)
def test_options_of_verify_reach_the_policy(run, saved, tmp_path, options, token, code):
    path = tmp_path / "t.jwt"
    path.write_text(mint(**token))
    more = (*options, saved / "usage.json") if options == ("--usage",) else options

    assert run(*verifying(saved, path, *more))[0] == code


def test_a_personal_account_is_accepted_on_request(run, saved, tmp_path):
    path = tmp_path / "t.jwt"
    path.write_text(mint({"iss": CONSUMER, "tid": "9188040d-6c67-4c5b-b112-36a304b66dad"}, key="consumer"))

    assert run(*verifying(saved, path))[0] == 1
    assert run(*verifying(saved, path, "--accept-consumer"))[0] == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("verify", "{good}", "--keys", "{folder}/absent.json", "--audience", "a", "--issuer", "i"), "absent.json: found 'No such file or directory'; expected a file that can be read"),
        (("verify", "{good}", "--keys", "{good}", "--audience", "a", "--issuer", "i"), "expected JSON, each member once"),
        (("verify", "{good}", "--keys", "{folder}/keys", "--audience", "a", "--issuer", "i", "--at", "noon"), "--at: found 'noon'; expected an ISO 8601 time"),
        (("inspect", "{folder}/absent.jwt"), "token: expected a file that can be read, - for standard input, or a token"),
        (("keys", "--keys", "{folder}/keys", "--usage", "{good}"), "expected JSON, each member once"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_line_and_ends_with_2(run, saved, words, line):
    filled = [word.format(good=saved / "good.jwt", folder=saved) for word in words]
    code, out, err = run(*filled)

    assert (code, out, len(err)) == (2, "", 1)
    assert line in err[0]


def test_options_that_are_needed_are_asked_for(run, saved):
    assert run("verify", saved / "good.jwt")[0] == 2


# ---------------------------------------------------------------- inspect


def test_inspect_says_in_words_what_the_token_says(run, saved):
    code, out, err = run("inspect", saved / "good.jwt", "--at", AT)

    assert (code, err) == (0, [])
    assert out.startswith("What the token says. Nothing of it is verified.")
    for words in (
        "ada@contoso.example",
        "Outlook Web App",
        "445945de-2d4f-4816-a71e-d3c0eff10500",
        "Kind: user access.",
    ):
        assert words in re.sub(r"\s+", " ", out)
    assert "odd" not in out
    assert signature(mint()) not in out


def test_inspect_as_json_is_one_object(run, saved):
    code, out, _ = run("inspect", "-", "--at", AT, "--json", stdin=(saved / "good.jwt").read_bytes())
    seen = json.loads(out)

    assert (code, seen["verified"], seen["kind"], seen["odd"]) == (0, False, "user_access", [])
    assert seen["claims"]["tid"] == HOME
    assert seen["header"] == {"typ": "JWT", "alg": "RS256", "kid": "home"}
    assert seen["request_id"] == "445945de-2d4f-4816-a71e-d3c0eff10500"
    assert {"name": "tenant", "text": f"Tenant {HOME}.", "value": HOME} in seen["facts"]
    assert "issuances" not in seen
    assert seen["token"].startswith((saved / "good.jwt").read_text().rsplit(".", 1)[0])
    assert signature((saved / "good.jwt").read_text()) not in out


def test_what_cannot_be_read_ends_with_4(run):
    code, out, _ = run("inspect", "-", stdin=b"\xff\xfe no token")

    assert code == 4
    assert "What is odd about it" in out


def test_a_hostile_token_can_neither_format_nor_escape_nor_break_the_json(run, tmp_path):
    hostile = {
        "template": "{0.__class__}",
        "values": {"a": 1},
        "name": "\x1b[31mred\u202e",
        "n": int("9" * 300),
        "half": "\ud800",
        "tid": "{tenantid}",
    }
    path = tmp_path / "t.jwt"
    path.write_text(f"{b64(b'{}')}.{b64(json.dumps(hostile).encode())}.AAAA")
    code, out, _ = run("inspect", path, "--json")
    shown = run("inspect", path)[1]

    assert code == 0
    assert json.loads(out)["claims"] == {**hostile, "half": "?"}
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_token_of_a_made_up_tenant_is_said_to_be_simulated(run, saved, tmp_path):
    tenant = "51a1a7ed-2222-4333-8444-555555555555"
    path = tmp_path / "t.jwt"
    path.write_text(mint({"tid": tenant, "iss": V2.replace("{tenantid}", tenant)}))

    for words in (("inspect", path), verifying(saved, path)):
        assert run(*words)[1].startswith("Simulated: this token is of a tenant that Brokenseal made up.")
        assert json.loads(run(*words, "--json")[1])["simulated"] is True
    assert "Simulated" not in run("inspect", saved / "good.jwt")[1]
    assert json.loads(run("inspect", saved / "good.jwt", "--json")[1])["simulated"] is False


# ---------------------------------------------------------------- the token as a secret


def test_a_token_on_the_command_line_is_warned_about_and_used(run, saved):
    code, out, err = run(*verifying(saved, mint()))

    assert (code, err) == (0, WARNING)
    assert signature(mint()) not in out


def test_a_mistyped_argument_is_not_repeated(run):
    """It may be a token that was cut."""
    secret = mint().replace(".", ":")
    code, out, err = run("inspect", secret)

    assert (code, out) == (2, "")
    assert secret[:20] not in "".join(err)


def test_the_signature_is_printed_on_request_alone(run, saved):
    token = (saved / "good.jwt").read_text().strip()
    for words in (("inspect", saved / "good.jwt"), verifying(saved, saved / "good.jwt")):
        assert signature(token) not in re.sub(r"\s", "", "".join(run(*words)[1]))
        assert token in re.sub(r"\s", "", run(*words, "--show-signature")[1])
        assert json.loads(run(*words, "--show-signature", "--json")[1])["token"] == token


def test_nothing_is_kept_unless_it_is_asked_for_and_then_for_the_owner_alone(run, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("inspect", saved / "good.jwt")
    run(*verifying(saved, saved / "good.jwt"))
    assert list(tmp_path.iterdir()) == []

    run("inspect", saved / "good.jwt", "--keep", tmp_path / "kept.jwt")
    kept = tmp_path / "kept.jwt"
    assert kept.read_text() == (saved / "good.jwt").read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    code, _, err = run("inspect", saved / "forged.jwt", "--keep", kept)
    assert (code, len(err)) == (2, 1)
    assert kept.read_text() == (saved / "good.jwt").read_text()


# ---------------------------------------------------------------- keys


def test_keys_lists_every_key_with_its_standing(run, saved):
    code, out, err = run("keys", "--keys", saved / "keys", "--usage", saved / "usage.json", "--at", AT, "--json")
    found = json.loads(out)
    rows = {row["kid"]: row for row in found["keys"]}

    assert (code, err, len(found["keys"])) == (0, [], 15)
    assert (rows["home"]["family"], rows["consumer"]["family"], rows["unbound"]["family"]) == (
        "enterprise",
        "consumer",
        "unknown",
    )
    assert {kid for kid, row in rows.items() if row["is_still_trusted"]} == {"retired", "revoked", "ended"}
    assert rows["ended"]["until"] == "2021-04-04T00:00:00+00:00"
    assert found["usage_without_key"] == []


def test_the_screen_of_keys_names_what_to_look_at(run, saved, tmp_path):
    usage = tmp_path / "usage.json"
    usage.write_text(
        json.dumps({"keys": [{"kid": "gone", "revoked": "2023-06-29"}, {"kid": "home", "tenants": ["t1"]}]})
    )
    code, out, _ = run("keys", "--keys", saved / "keys", "--usage", usage, "--at", AT)
    flat = re.sub(r"\s+", " ", out)

    assert code == 0
    for words in (
        "15 published key(s)",
        "gone: the usage file names it, and no document holds it.",
        "this is how the key of 2023 stood",
        "seen in use in 1 tenant(s): t1",
        "speaks for: unknown: the document does not say (unknown)",
        "The id twice stands for several issuers",
    ):
        assert words in flat


# ---------------------------------------------------------------- documentation


def test_the_page_explains_every_check_in_its_order():
    rows = re.findall(r"^\| `(\w+)` \| \S", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert rows == [check.__name__ for check in CHECKS]


def test_the_usage_file_of_the_page_can_be_read():
    from brokenseal.tokens.key_documents import read_usage

    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)

    assert read_usage(json.loads(example))[0].kid == "1LTMzakihiRla_8z2BEJVXeWMqo"

import base64
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from brokenseal.tokens.adapters.brokenseal import TokenRefused, strict
from brokenseal.tokens.forgeries.valid import PLAIN, PLAIN_ELLIPTIC
from brokenseal.tokens.forgery_report import as_json, screen
from brokenseal.tokens.probe import TAMPERED, probe
from brokenseal.tokens.targets import Answer, Reply, open_target
from token_laboratory import cases, corpus, laboratory

NEEDED = (PLAIN, PLAIN_ELLIPTIC, TAMPERED)


@dataclass(kw_only=True)
class Scripted:
    """A target that judges as a function says, and remembers what it was asked."""

    judge: object
    name: str = "scripted"
    rate_per_s: float = 0
    asked: list = field(default_factory=list)

    def ask(self, token):
        self.asked.append(token)
        answer = self.judge(token)
        return answer if isinstance(answer, Reply) else Reply(answer=Answer.ACCEPTED if answer else Answer.REFUSED)


def few(*names):
    """A small corpus: what a probe needs, and these."""
    return tuple(cases()[name] for name in dict.fromkeys((*NEEDED, *names)))


def knows_best(token):
    """Judges as the corpus expects."""
    return not by_token()[token].is_forgery


def by_token():
    return {case.token: case for case in corpus()}


def text_of(result, width=80):
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(screen(result))
    return captured.get()


def test_a_verifier_that_is_right_about_everything():
    target = Scripted(judge=knows_best)
    result = probe(target, corpus())
    assert (result.why_not, result.accepted_forgeries, result.rejected_valid, result.errors) == (None, (), (), ())
    assert result.forgeries + result.valid == len(corpus()) == len(result.judgements)
    assert result.valid == sum(not case.is_forgery for case in corpus())
    # First a plain, a tampered and an elliptic token, at the end the plain one again.
    assert target.asked[:3] == [cases()[name].token for name in (PLAIN, TAMPERED, PLAIN_ELLIPTIC)]
    assert target.asked[3:-1] == [case.token for case in corpus()]
    assert target.asked[-1] == cases()[PLAIN].token


def test_wrong_answers_are_found_by_class():
    wrong = {"retired_key: v1", "id_token: v2", "none_unsigned", "user_v1"}

    def judge(token):
        return knows_best(token) is (by_token()[token].name not in wrong)

    found = few("retired_key: v1", "retired_key: v2", "id_token: v2", "none_unsigned", "user_v1", "application_v2")
    result = probe(Scripted(judge=judge), found)
    assert [each.case.name for each in result.accepted_forgeries] == [
        "retired_key: v1",
        "id_token: v2",
        "none_unsigned",
    ]
    assert [each.case.name for each in result.rejected_valid] == ["user_v1"]
    said = as_json(result)
    assert {name: said[name] for name in ("forgeries", "accepted_forgeries", "valid", "rejected_valid")} == {
        "forgeries": 5,
        "accepted_forgeries": 3,
        "valid": 4,
        "rejected_valid": 1,
    }
    assert (said["forgery_classes"], said["accepted_forgery_classes"], said["rejected_valid_classes"]) == (4, 3, 1)
    assert said["accepted_by_gravity"] == {"breach": 1, "misuse": 2, "laxity": 0}
    assert [(each["class"], each["gravity"], each["tokens"]) for each in said["accepted"]] == [
        ("retired_key", "misuse", ["retired_key: v1"]),
        ("id_token", "misuse", ["id_token: v2"]),
        ("none_unsigned", "breach", ["none_unsigned"]),
    ]
    assert said["rejected"][0]["mend"] == cases()["user_v1"].mend
    assert json.loads(json.dumps(said)) == said
    assert said["simulated"] is True


def test_the_report_holds_no_token():
    """Reports are passed around; tokens that a service accepts are not."""
    result = probe(Scripted(judge=lambda token: token != cases()[TAMPERED].token), few("retired_key: v1", "user_v1"))
    text = json.dumps(as_json(result)) + text_of(result)
    signatures = [case.token.rpartition(".")[2] for case in few("retired_key: v1")]
    assert result.accepted_forgeries
    assert [part for part in signatures if part[:40] in text] == []


def test_the_screen_says_what_it_means_and_how_to_mend_it():
    def judge(token):
        return by_token()[token].name == "retired_key: v1" or (
            knows_best(token) and by_token()[token].name != "user_v1"
        )

    text = text_of(probe(Scripted(judge=judge), few("retired_key: v1", "user_v1")), width=200)
    assert "1 of 2 forged tokens accepted (1 classes), 1 of 3 valid tokens refused." in text
    assert "■ retired_key – The key's time ended in 2021, and the document still publishes it. (v1)" in text
    assert f"Means: {cases()['retired_key: v1'].meaning}" in text
    assert "Mend: Give every key an end" in text
    assert "Wrongly refused" in text
    assert "simulated" in text


def test_a_name_with_an_escape_sequence_is_made_visible():
    hostile = replace(cases()["none_unsigned"], name="none_unsigned: \x1b[2J\u202e")
    result = probe(Scripted(judge=lambda token: token != cases()[TAMPERED].token), (*few(), hostile))
    text = text_of(result)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "none_unsigned" in text


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (lambda token: False, "it does not accept a plainly valid token (refused)"),
        (lambda token: Reply(answer=Answer.ERROR, detail="404"), "it does not accept a plainly valid token (404)"),
        (lambda token: True, "it accepts a token whose claims were changed after it was signed"),
        (
            lambda token: token == cases()[PLAIN].token or Reply(answer=Answer.ERROR, detail="500"),
            "it gives neither yes nor no to a plainly tampered token (500)",
        ),
    ],
)
def test_a_target_that_does_not_tell_valid_from_tampered_is_not_assessable(judge, why):
    target = Scripted(judge=judge)
    result = probe(target, few("none_unsigned"))
    assert result.why_not.startswith(why)
    assert (result.judgements, result.forgeries, result.valid) == ((), 0, 0)
    assert len(target.asked) <= 2
    assert as_json(result)["assessable"] is False
    assert "Target not assessable: it" in text_of(result)


def test_a_target_that_stops_accepting_is_not_assessable():
    """Somebody locked the client out in between: later refusals say nothing."""
    target = Scripted(judge=lambda token: knows_best(token) and len(target.asked) < 5)
    result = probe(target, few("user_v1", "application_v1"))
    assert result.why_not.startswith("at the end it answered otherwise to the plainly valid token")
    assert as_json(result)["assessable"] is False


def test_errors_are_neither_acceptance_nor_refusal():
    def judge(token):
        is_broken = by_token()[token].name in {"none_unsigned", "user_v1"}
        return Reply(answer=Answer.ERROR, detail="500") if is_broken else knows_best(token)

    result = probe(Scripted(judge=judge), few("none_unsigned", "user_v1"))
    said = as_json(result)
    assert (said["accepted_forgeries"], said["rejected_valid"], said["errors"]) == (0, 0, 2)
    assert said["undecided"] == [
        {"name": "none_unsigned", "expected": "refuse", "detail": "500"},
        {"name": "user_v1", "expected": "accept", "detail": "500"},
    ]
    assert "Neither yes nor no to 2 tokens, 1 of them valid: 500 (2)." in text_of(result)


def test_valid_elliptic_tokens_say_nothing_about_a_verifier_that_takes_none():
    def judge(token):
        return knows_best(token) and by_token()[token].needs is None

    result = probe(Scripted(judge=judge), few("elliptic_other_s", "elliptic_zero: both", "user_v1"))
    assert result.passed_over == {"the target takes no ES256": ("elliptic", "elliptic_other_s")}
    assert (result.rejected_valid, result.accepted_forgeries) == ((), ())
    assert "elliptic_zero: both" in {each.case.name for each in result.judgements}
    assert "Not tried: 2 – the target takes no ES256." in text_of(result)


def test_a_valid_token_whose_time_is_over_is_not_tried():
    stale = replace(cases()["user_v1"], good_until=time.time() - 1)
    target = Scripted(judge=lambda token: token == cases()[PLAIN].token)
    result = probe(target, (*few(), stale))
    assert stale.token not in target.asked
    assert result.passed_over["the token ended before its turn came"] == ("user_v1",)


def test_no_more_than_the_rate_is_asked():
    target = Scripted(judge=knows_best, rate_per_s=50)
    begun = time.monotonic()
    probe(target, few("user_v1", "application_v1", "none_unsigned"))
    # Ten questions, the first at once.
    assert len(target.asked) == 10
    assert time.monotonic() - begun >= 9 / 50


def test_progress_is_told():
    told = []
    probe(Scripted(judge=knows_best), few("user_v1"), watch=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# ---------------------------------------------------------------- a service over HTTP


@contextmanager
def service(check):
    """A mail service on loopback that lets in whom `check(token)` accepts. Gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, _, token = self.headers.get("Authorization", "").encode("latin-1").decode("utf-8").partition(" ")
            code = 200 if kind == "Bearer" and check(token) else 401
            self.send_response(code)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/me/messages"
    finally:
        server.shutdown()
        server.server_close()


def is_accepted(token):
    try:
        return bool(strict(token, laboratory().expectation()))
    except TokenRefused:
        return False


def test_our_verifier_behind_http_accepts_no_forgery_and_refuses_no_valid_token():
    with service(is_accepted) as url:
        result = probe(open_target(url, expectation={}, rate_per_s=0), corpus())
    assert result.why_not is None
    assert [each.case.name for each in (*result.accepted_forgeries, *result.rejected_valid)] == []
    assert result.valid == sum(not case.is_forgery for case in corpus())
    assert set(result.passed_over) == {"cannot stand in an HTTP header"}
    not_sent = set(result.passed_over["cannot stand in an HTTP header"])
    assert {"space_around: behind", "signature_with_white_space: line feed", "empty_parts: nothing"} <= not_sent
    # Python's server reads lines of 64 KiB at most and answers longer ones otherwise: an error, not a yes.
    assert {each.case.specimen for each in result.errors} == {"huge_claims", "deep_claims", "many_claims"}
    assert min(len(each.case.token) for each in result.errors) > 65_000


def test_the_fault_of_2023_behind_http_is_found():
    """A service that checks signature, audience, issuer and time, and not for whom the key may speak."""
    keys = {key.kid: key for key in laboratory().keys.values() if key.documents}
    genuine = {key.kid for key in keys.values()} - {laboratory().keys["consumer"].kid}

    def check(token):
        if is_accepted(token):
            return True
        try:
            text = token.split(".")[0]
            header = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return header["kid"] not in genuine and by_token()[token].specimen == "consumer_key_for_enterprise"
        except (ValueError, KeyError, TypeError):
            return False

    with service(check) as url:
        result = probe(
            open_target(url, expectation={}, rate_per_s=0),
            few("consumer_key_for_enterprise: v2", "consumer_key_for_enterprise: v1", "retired_key: v2", "user_v1"),
        )
    (found,) = as_json(result)["accepted"]
    assert found["class"] == "consumer_key_for_enterprise"
    assert found["tokens"] == ["consumer_key_for_enterprise: v2", "consumer_key_for_enterprise: v1"]
    assert found["meaning"].endswith("this is the fault of 2023.")

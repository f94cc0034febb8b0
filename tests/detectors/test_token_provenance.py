"""Each reason for which it cannot be told whether a token was issued."""

from __future__ import annotations

import datetime as dt

import pytest

from brokenseal.detectors import token_provenance
from brokenseal.model import TokenProvenance
from detector_runner import Runner
from support import make_tables

IAT = dt.datetime(2025, 3, 5, 8, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ACCESS = {
    "event_id": "m",
    "occurred_at": IAT + HOUR / 2,
    "mailbox_key": "m1",
    "tenant_id": "t",
    "user_type": 0,
    "protocol": "owa",
    "effective_app": "app",
    "ip_class": "public",
    "token_id_raw": "raw",
    "token_id": "lost",
    "token_issued_at": IAT,
    "token_tenant_id": "t",
    "auth_type": "Bearer",
}
TOKENS = [{**ACCESS, "event_id": f"x{number}", "token_id": f"known{number}"} for number in range(19)]
SIGN_INS = [
    {"event_id": f"{category[0]}{number}", "category": category, "occurred_at": IAT + number * HOUR, "succeeded": True}
    for category in ("interactive", "non_interactive")
    for number in range(-3, 30)
]
ISSUED = [
    {"event_id": f"s{number}", "category": "non_interactive", "occurred_at": IAT, "request_id": f"known{number}", "succeeded": True}
    for number in range(19)
]  # fmt: skip


@pytest.fixture(scope="module")
def judge():
    run = Runner(token_provenance.verdicts, ("mail_accesses", "sign_ins"))

    def verdict(access=None, sign_ins=(*SIGN_INS, *ISSUED)):
        rows = run({"mail_accesses": [{**ACCESS, **(access or {})}, *TOKENS], "sign_ins": sign_ins})
        assert len(rows) == 20
        return next((row["verdict"], row["reason"]) for row in rows if row["event_id"] == "m")

    return verdict


def test_a_token_without_a_sign_in_is_not_issued_where_the_log_would_show_it(judge):
    assert judge() == ("not_issued", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token_id": None, "token_id_raw": None}, "no_token_id"),
        ({"token_id": None}, "opaque_token_id"),
        ({"user_type": 5}, "background_service"),
        ({"protocol": "rest_system"}, "background_service"),
        ({"ip_class": "microsoft"}, "background_service"),
        ({"auth_type": "Negotiate"}, "background_service"),
        ({"token_type": "SubstrateProcessorCallbackPft"}, "background_service"),
        ({"token_tenant_id": "other"}, "foreign_tenant"),
        ({"user_type": 10}, "foreign_tenant"),
        ({"token_issued_at": None}, "no_issued_at"),
        ({"token_issued_at": IAT - 3 * HOUR}, "outside_sign_in_window"),
        ({"token_issued_at": IAT + 29 * HOUR}, "outside_sign_in_window"),
        ({"token_issued_at": IAT + 6 * HOUR}, "too_recent"),
        ({"effective_app": "rare"}, "low_match_rate"),
    ],
)
def test_it_cannot_be_told(judge, change, reason):
    assert judge(change) == ("cannot_tell", reason)


@pytest.mark.parametrize(
    ("sign_ins", "reason"),
    [
        ([], "sign_ins_absent"),
        ([{"event_id": "u", "category": "audit_log", "occurred_at": IAT, "succeeded": True}], "sign_ins_absent"),
        ([row for row in SIGN_INS if row["category"] == "non_interactive"], "sign_ins_absent"),
        ([row for row in SIGN_INS if row["category"] == "interactive"], "non_interactive_absent"),
        ([row for row in SIGN_INS if row["event_id"] != "n0"], "outside_sign_in_window"),
        (
            [*SIGN_INS, *ISSUED, {"event_id": "f", "request_id": "lost", "occurred_at": IAT, "succeeded": False}],
            "only_failed_sign_in",
        ),
        ([*SIGN_INS, *ISSUED[:17]], "low_match_rate"),
    ],
)
def test_the_sign_in_log_cannot_speak(judge, sign_ins, reason):
    assert judge(sign_ins=sign_ins) == ("cannot_tell", reason)


@pytest.mark.parametrize(
    "row",
    [
        {"category": "audit_log", "request_id": "lost", "succeeded": True},
        {"category": "interactive", "token_id": "lost", "succeeded": True},
        {"category": "owa_auth", "token_id": "lost"},
    ],
)
def test_any_successful_sign_in_of_the_id_explains_the_token_whatever_else_is_missing(judge, row):
    issued = {"event_id": "i", "occurred_at": IAT, **row}
    assert judge({"protocol": "rest_system", "token_issued_at": None}, [issued]) == ("issued", None)


def test_summary_counts_each_access_once_and_lists_reasons_in_their_order():
    accesses = [ACCESS, {**ACCESS, "event_id": "n", "token_id_raw": None, "token_id": None}, *TOKENS, TOKENS[0]]
    tables = make_tables({"mail_accesses": accesses, "sign_ins": [*SIGN_INS, *ISSUED]})
    assert token_provenance.provenance_summary(tables) == TokenProvenance(
        issued=19, not_issued=1, cannot_tell=1, cannot_tell_reasons={"no_token_id": 1}
    )


def test_summary_of_logs_without_any_readable_token_id_tells_placeholders_from_nothing():
    without = {**ACCESS, "token_id": None}
    accesses = [without, {**without, "event_id": "n", "token_id_raw": None}, {**without, "event_id": "o"}, without]
    assert token_provenance.provenance_summary(make_tables({"mail_accesses": accesses})) == TokenProvenance(
        issued=0, not_issued=0, cannot_tell=3, cannot_tell_reasons={"no_token_id": 1, "opaque_token_id": 2}
    )
    assert token_provenance.provenance_summary(make_tables({})) == TokenProvenance(
        issued=0, not_issued=0, cannot_tell=0, cannot_tell_reasons={}
    )


def test_every_reason_is_declared():
    assert set(token_provenance.REASONS) == {
        "no_token_id", "opaque_token_id", "background_service", "foreign_tenant", "no_issued_at", "sign_ins_absent",
        "non_interactive_absent", "outside_sign_in_window", "too_recent", "only_failed_sign_in", "low_match_rate",
    }  # fmt: skip


def test_who_reads_much_with_made_tokens_does_not_make_the_log_look_incomplete():
    days = dt.timedelta(days=1)
    hours = [
        {
            "event_id": f"{category[0]}{number}",
            "category": category,
            "occurred_at": IAT + number * HOUR,
            "succeeded": True,
        }
        for category in ("interactive", "non_interactive")
        for number in range(-3, 24 * 18)
    ]
    late = {"occurred_at": IAT + 15 * days, "token_issued_at": IAT + 15 * days, "client_ip": "8.8.8.8"}
    usual = [{**ACCESS, "event_id": f"u{number}", "token_id": f"known{number}"} for number in range(20)]
    issued = [{**ISSUED[0], "event_id": f"i{number}", "request_id": f"known{number}"} for number in range(20)]
    made = [{**ACCESS, **late, "event_id": f"f{number}", "token_id": f"made{number}"} for number in range(30)]
    run = Runner(token_provenance.verdicts, ("mail_accesses", "sign_ins"))

    def said(accesses):
        rows = run({"mail_accesses": accesses, "sign_ins": [*hours, *issued]})
        return {row["event_id"]: row["reason"] or row["verdict"] for row in rows}

    assert set(said([*usual, *made]).values()) == {"issued", "not_issued"}
    # The same from the beginning is how this client comes by its tokens.
    always = [{**row, "occurred_at": IAT + HOUR, "token_issued_at": IAT} for row in made]
    assert said([*usual, *always])["f0"] == "low_match_rate"

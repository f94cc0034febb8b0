"""Verdicts of the comparison with a real export."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from brokenseal.drill import realism
from brokenseal.drill._realism_marginals import MARGINALS
from brokenseal.drill._realism_statistics import (
    MATCH,
    MISMATCH,
    UNKNOWN,
    fisher,
    judge_fields,
    judge_presence,
    judge_shares,
)
from support import SAMPLES, arrow_table, needs_samples

RNG = np.random.default_rng(3)
AT = dt.datetime(2021, 4, 1, 9, tzinfo=dt.UTC)


def observations(shares: dict[str, int], tenant: str = "t", units: int = 10):
    words = [word for word, count in shares.items() for _ in range(count)]
    return [(tenant, f"u{at % units}", word) for at, word in enumerate(words)]


def test_equal_shares_match_and_other_shares_do_not():
    simulated = [row for no in range(4) for row in observations({"a": 300, "b": 100}, f"t{no}")]

    assert judge_shares(simulated, observations({"a": 74, "b": 26}), RNG, least=20).word == MATCH
    assert judge_shares(simulated, observations({"a": 10, "b": 90}), RNG, least=20).word == MISMATCH
    assert judge_shares(simulated, observations({"a": 60, "c": 40}), RNG, least=20).word == MISMATCH


def test_few_rows_on_either_side_are_unknown():
    many, few = observations({"a": 200}), observations({"b": 5})

    assert judge_shares(many, few, RNG, least=20).word == UNKNOWN
    assert judge_shares(few, many, RNG, least=20).word == UNKNOWN
    assert "real" in judge_shares(many, few, RNG, least=20).reason


def test_tenants_that_differ_among_themselves_allow_the_real_one_to_differ():
    alike = [row for no in range(6) for row in observations({"a": 200, "b": 200}, f"t{no}")]
    varied = [row for no in range(6) for row in observations({"a": 100 + 50 * no, "b": 350 - 50 * no}, f"t{no}")]
    real = observations({"a": 70, "b": 30})

    assert judge_shares(alike, real, RNG, least=20).word == MISMATCH
    assert judge_shares(varied, real, RNG, least=20).word == MATCH


@pytest.mark.parametrize(
    ("simulated", "real", "expected"),
    [
        ((30, 30), (20, 20), MATCH),
        ((0, 30), (0, 20), MATCH),
        ((10, 30), (5, 20), MATCH),
        ((30, 30), (0, 20), MISMATCH),
        ((0, 30), (10, 20), MISMATCH),
        ((29, 30), (20, 20), UNKNOWN),
        ((2, 4), (20, 20), UNKNOWN),
        ((30, 30), (1, 1), UNKNOWN),
    ],
)
def test_presence_compares_rules_and_leaves_chance_open(simulated, real, expected):
    sides = [[at < found for at in range(rows)] for found, rows in (simulated, real)]

    assert judge_presence(*sides).word == expected


def test_one_field_that_differs_decides_on_its_kind_of_record():
    same, other = ([True] * 9, [True] * 9), ([True] * 9, [False] * 9)

    assert judge_fields({"a": same, "b": same}).word == MATCH
    verdict = judge_fields({"a": same, "b": other})
    assert (verdict.word, verdict.real, verdict.simulated) == (MISMATCH, "b 0 of 9", "b 9 of 9")


def test_fisher_equals_the_textbook():
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
    assert fisher(5, 5, 0, 5) == pytest.approx(2 / 252)
    assert fisher(2, 4, 2, 4) == pytest.approx(1.0)


# ---------------------------------------------------------------- tables


def small_tables(tenant: str = "t", *, session: bool = True, count: int = 1, rows: int = 60, year: int = 2021):
    at = AT.replace(year=year)
    accesses = [
        {
            "event_id": f"{tenant}{no:08d}-0000-4000-8000-00000000000{no % 2}"[-36:],
            "occurred_at": at + dt.timedelta(minutes=no),
            "tenant_id": tenant,
            "mailbox_key": f"m{no % 6}",
            "actor_key": f"p{no % 6}",
            "client_ip": "192.0.2.1",
            "ip_class": "public",
            "protocol": "owa",
            "access_type": "bind",
            "app_id": "app",
            "operation_count": count,
            "logon_type": 0,
            "session_id": f"s{no % 12}" if session else None,
        }
        for no in range(rows)
    ]
    items = [
        {
            "event_id": row["event_id"],
            "mailbox_key": row["mailbox_key"],
            "kind": "message",
            "internet_message_id": f"<{no % 30}@x.example>",
            "folder_path": "\\Inbox",
        }
        for no, row in enumerate(accesses)
    ]
    logins = [
        {
            "event_id": f"l{tenant}{no}",
            "occurred_at": at + dt.timedelta(minutes=no, seconds=-5),
            "tenant_id": tenant,
            "actor_key": f"p{no % 6}",
            "category": "audit_log",
            "client_ip": "192.0.2.1",
            "succeeded": True,
            "request_type": "OAuth2:Authorize",
            "request_id": f"{no:08d}-0000-4000-8000-000000000000",
            "session_id": f"s{no % 12}",
        }
        for no in range(rows)
    ]
    ledger = [{"path": f"f{no}", "kept": 20, "duplicates": 5} for no in range(3)]
    given = {"mail_accesses": accesses, "accessed_items": items, "sign_ins": logins, "ledger": ledger}
    given["events"] = [{**{k: row[k] for k in ("event_id", "tenant_id")}, "workload": "Exchange"} for row in accesses]
    return {name: arrow_table(name, given.get(name, ())) for name in realism.TABLES}


def verdicts(report):
    return {one.name: one.verdict for one in report.marginals}


def test_a_tenant_is_like_itself_and_what_is_absent_is_unknown():
    report = realism.compare(small_tables("a"), small_tables("b"))

    found = verdicts(report)
    assert set(found.values()) == {MATCH, UNKNOWN}
    for name in (
        "Bind and Sync",
        "OperationCount of binds",
        "Folders in a bind record",
        "Records that show one message",
        "SessionId of OWA",
        "Origin of mail access",
        "First mail access after a sign-in",
        "Mail sessions that a sign-in shows",
        "RequestType of sign-ins",
        "Last byte of request ids",
        "Copies of records",
        "Fields of owa bind with AppId, 2021",
        "Fields of items of binds, 2021",
    ):
        assert found[name] == MATCH, name
    for name in ("SessionId of MAPI", "Set-Mailbox by the service"):
        assert found[name] == UNKNOWN, name


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"session": False}, {"SessionId of OWA", "Fields of owa bind with AppId, 2021"}),
        ({"count": 9}, {"OperationCount of binds"}),
    ],
)
def test_a_difference_shows_in_its_marginal_and_nowhere_else(changed, named):
    report = realism.compare(small_tables("a", **changed), small_tables("b"))

    mismatches = {name for name, verdict in verdicts(report).items() if verdict == MISMATCH}
    assert mismatches == named


def test_field_sets_of_other_years_are_not_compared():
    simulated = small_tables("a", session=False, year=2025)

    found = verdicts(realism.compare(simulated, small_tables("b")))
    assert found["SessionId of OWA"] == UNKNOWN
    assert found["Fields of owa bind with AppId, 2021"] == UNKNOWN
    told = verdicts(realism.compare(simulated, small_tables("b"), epochs={"a": 2021}))
    assert told["SessionId of OWA"] == MISMATCH


def test_the_report_is_the_same_again_and_names_every_marginal_in_markdown():
    one, two = (realism.compare(small_tables("a"), small_tables("b"), seed=4) for _ in range(2))

    assert one == two
    text = one.markdown()
    assert all(f"| {marginal.name} |" in text for marginal in MARGINALS)
    assert text.startswith(f"Simulated against real: {one.count(MATCH)} match, ")
    assert one.as_dict()["mismatch"] == 0


@needs_samples
def test_a_real_export_reads_into_the_marginals(tmp_path):
    real = realism.tables_of([SAMPLES / "invictus-o365" / "auditrecords-1121.csv"], work_dir=tmp_path / "store")

    report = realism.compare(real, real)
    found = verdicts(report)
    assert set(found.values()) == {MATCH, UNKNOWN}
    rows = {one.name: one.real_rows for one in report.marginals}
    assert rows["Bind and Sync"] == 92
    assert rows["RequestType of sign-ins"] == 258
    assert rows["SessionId of OWA"] == 28
    assert found["Fields of rest_system bind with AppId, 2021"] == MATCH
    (session,) = [one for one in report.marginals if one.name == "SessionId of OWA"]
    assert session.real == "there 75 %, absent 25 %"

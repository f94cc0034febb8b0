"""Tokens of visits, and what the sign-in logs say of them."""

from __future__ import annotations

import base64
import collections
import itertools
import uuid

import numpy as np
import pyarrow.compute as pc
import pytest

from brokenseal.drill import _service_ids, identity, intents, streams, tables
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US, numbers, words
from drill.drill_tenants import fresh, tenant
from drill.drill_visits import GRAPH, visits, whole_day


def rows(table):
    return table.to_pylist()


def of(table, category):
    return [row for row in rows(table) if row["category"] == category]


def hours_apart(one, day, hours, **columns):
    count = len(hours)
    starts = one.day_starts_us(day) + (np.array(hours) * HOUR_US).astype(np.int64)
    return visits(one, day, count, starts_at_us=starts, duration_s=60.0, **columns)


# ---------------------------------------------------------------- structure


def test_the_token_id_is_base64url_of_the_request_id_in_little_endian():
    tokens = whole_day(3)[0].tokens
    assert tokens.num_rows > 100
    for row in rows(tokens):
        assert str(uuid.UUID(bytes_le=base64.urlsafe_b64decode(row["uti"] + "=="))) == row["request_id"]


def test_genuine_request_ids_are_version_4_and_end_in_00_01_or_02():
    tokens = whole_day(3)[0].tokens
    ids = [row["request_id"] for row in rows(tokens)]
    assert {text[14] for text in ids} == {"4"}
    assert {text[-2:] for text in ids} <= {"00", "01", "02"}
    assert len(set(ids)) == len(ids)


def test_requests_of_one_process_count_upwards():
    """Twelve bytes of a process and a little-endian counter, as in a public lab export: 50 to 65 a second."""
    at = np.arange(0, 3600, 30, dtype=np.int64) * 1_000_000 + 1_700_000_000_000_000
    same = np.full(len(at), 5, dtype=np.uint64)
    guid = _service_ids.request_ids(7, same, at, accounts=100)
    prefixes = {bytes(row[:12]) for row in guid}
    counter = guid[:, 12:].copy().view("<u4").ravel().astype(np.int64)
    assert len(prefixes) <= 2
    steps = np.diff(counter)[np.array([bytes(a[:12]) == bytes(b[:12]) for a, b in itertools.pairwise(guid)])]
    assert ((steps >= 49 * 30) & (steps <= 63 * 30)).all()


def test_requests_at_one_moment_never_share_an_id():
    at = np.full(5000, 1_700_000_000_000_000, dtype=np.int64)
    guid = _service_ids.request_ids(7, streams.hashed(3, np.arange(5000)), at, accounts=1)
    assert len({bytes(row) for row in guid}) == 5000
    assert set(guid[:, 15].tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(("period", "jitter"), [(75 * MINUTE_US, 0.2), (24 * HOUR_US, 4 / 24)])
def test_lifetimes_follow_each_other_without_gap(period, jitter):
    phase = np.full(2000, streams.hashed(1, 2)[0], dtype=np.uint64)
    at = np.linspace(1.7e15, 1.7e15 + 20 * period, 2000).astype(np.int64)
    number, begin, end = _service_ids.renewals(phase, at, period, jitter)
    assert ((begin <= at) & (at < end)).all()
    assert set(np.diff(number).tolist()) == {0, 1}
    length = (end - begin) / period
    assert ((length >= 1 - jitter) & (length <= 1 + jitter)).all()


# ---------------------------------------------------------------- lifetimes and reuse


def test_tokens_live_sixty_to_ninety_minutes_or_twenty_to_twenty_eight_hours():
    tokens = whole_day(3)[0].tokens
    life = numbers(tokens, "expires_at_us") - numbers(tokens, "issued_at_us")
    is_cae = numbers(tokens, "is_cae")
    assert is_cae.any()
    assert not is_cae.all()
    assert ((life[~is_cae] >= HOUR_US) & (life[~is_cae] <= 90 * MINUTE_US)).all()
    assert ((life[is_cae] >= 20 * HOUR_US) & (life[is_cae] <= 28 * HOUR_US)).all()


def test_every_use_lies_within_its_token_and_its_visit():
    one = tenant(mailboxes=40, clock_skew_s=0.0, clock_tail_s=0.0)
    day = 3
    own = intents.day_intents(one, day)
    issued = identity.issue(one, day, own, [intents.day_intents(one, day - 1), intents.day_intents(one, day - 2)])
    token = {row["token_no"]: row for row in rows(issued.tokens)}
    visit = {row["intent_id"]: row for row in rows(own)}
    last = {}
    for use in rows(issued.uses):
        held, during = token[use["token_no"]], visit[use["intent_id"]]
        assert held["issued_at_us"] < use["from_us"] < use["until_us"] <= held["expires_at_us"]
        assert during["starts_at_us"] <= use["from_us"]
        assert last.get(use["intent_id"], 0) <= use["from_us"]
        last[use["intent_id"]] = use["until_us"]
        assert held["identity_no"] == during["identity_no"]
        assert held["client_app_id"] == during["client_app_id"]


def test_visits_of_one_client_share_a_token_until_it_expires():
    one = fresh(mailboxes=40, cae_share=0.0)
    tokens = identity.issue(one, 2, hours_apart(one, 2, [9, 9.1, 9.2, 15])).tokens
    assert tokens.num_rows in {2, 3}
    long = fresh(mailboxes=40, cae_share=1.0)
    assert identity.issue(long, 2, hours_apart(long, 2, [9, 9.1, 9.2])).tokens.num_rows == 1


def test_other_sessions_devices_and_applications_have_other_tokens():
    one = fresh(mailboxes=40, cae_share=1.0)
    own = hours_apart(
        one, 2, [9, 9, 9, 9], session_no=[77, 78, 77, 77], device_no=[0, 0, 1, 0], client_app_id=["a", "a", "a", "b"]
    )
    assert identity.issue(one, 2, own).tokens.num_rows == 4


def test_a_long_visit_renews_its_token():
    one = fresh(mailboxes=40, cae_share=0.0)
    issued = identity.issue(one, 2, visits(one, 2, 1, duration_s=6 * 3600.0, auth="interactive"))
    spans = rows(issued.uses)
    assert 4 <= len(spans) <= 7
    assert all(one["until_us"] == two["from_us"] for one, two in itertools.pairwise(spans))
    # Only the first was a dialogue.
    categories = collections.Counter(words(issued.tokens, "category"))
    assert categories["interactive"] == 1
    assert categories["interactive"] + categories["non_interactive"] + categories["owa_auth"] == len(spans)


def test_a_token_of_yesterday_is_the_same_today_and_gives_no_second_line():
    one = fresh(mailboxes=40, cae_share=1.0, orphan_rate=0.0)
    before = hours_apart(one, 2, [22, 23.9])
    own = hours_apart(one, 3, [0.01, 0.3])
    first = identity.issue(one, 2, before)
    second = identity.issue(one, 3, own, [before])
    shared = set(numbers(first.tokens, "token_no").tolist()) & set(numbers(second.tokens, "token_no").tolist())
    assert shared
    (number,) = shared
    columns = ("token_no", "request_id", "uti", "issued_at_us", "expires_at_us", "category", "session_id")
    one_row = next(row for row in rows(first.tokens) if row["token_no"] == number)
    two_row = next(row for row in rows(second.tokens) if row["token_no"] == number)
    assert [one_row[name] for name in columns] == [two_row[name] for name in columns]
    assert two_row["intent_id"] == -1
    assert number not in numbers(second.lines, "token_no").tolist()


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize(
    ("auth", "category", "others"),
    [
        ("interactive", "interactive", {"audit_log"}),
        ("device_code", "interactive", {"audit_log"}),
        ("password_grant", "interactive", {"audit_log"}),
        ("federated", "interactive", {"audit_log", "adfs"}),
        ("client_secret", "service_principal", set()),
        ("certificate", "service_principal", set()),
        ("managed_identity", "managed_identity", set()),
        ("first_party", "microsoft_service_principal", set()),
        ("internal", None, set()),
    ],
)
def test_issuance_goes_to_the_right_streams(auth, category, others):
    one = fresh(mailboxes=40, orphan_rate=0.0)
    issued = identity.issue(one, 2, visits(one, 2, 1, auth=auth, protocol="rest", resource_id=GRAPH, duration_s=30.0))
    (token,) = rows(issued.tokens)
    assert token["category"] == category
    lines = [row for row in rows(issued.lines) if row["succeeded"]]
    assert {row["category"] for row in lines} == ({category} | others if category else set())
    assert {row["request_id"] for row in lines} <= {token["request_id"]}
    assert token["is_logged"] == bool(category)
    assert token["unlogged_reason"] == (None if category else "flow_not_logged")


def test_no_token_for_datacentre_work_and_for_failures():
    one = tenant(mailboxes=40)
    assert identity.issue(one, 2, visits(one, 2, 1, auth="none")).tokens.num_rows == 0
    failed = identity.issue(one, 2, visits(one, 2, 1, sign_in_fails=True, failed_tries=2))
    assert (failed.tokens.num_rows, failed.uses.num_rows) == (0, 0)
    assert len(of(failed.lines, "interactive")) == len(of(failed.lines, "audit_log")) == 3
    assert {row["succeeded"] for row in rows(failed.lines)} == {False}
    assert all(row["error_code"] and row["failure_reason"] for row in rows(failed.lines))


def test_the_audit_log_shows_an_interactive_sign_in_by_its_request_id():
    one = fresh(mailboxes=40, orphan_rate=0.0)
    issued = identity.issue(one, 2, visits(one, 2, 1, auth="interactive", mfa="push", failed_tries=2, duration_s=30.0))
    audit = {row["request_id"]: row for row in of(issued.lines, "audit_log")}
    shown = {row["request_id"]: row for row in of(issued.lines, "interactive")}
    assert set(audit) == set(shown)
    assert {row["uti"] for row in audit.values()} == {None}
    codes = collections.Counter(row["error_code"] for row in shown.values())
    assert (codes[0], codes[50126], codes[50074]) == (1, 2, 1)
    assert len({row["correlation_id"] for row in shown.values()}) == 1
    success = next(row for row in shown.values() if row["succeeded"])
    assert max(row["at_us"] for row in shown.values()) == success["at_us"]


def test_owa_mints_part_of_its_tokens_in_2025_alone():
    own = {"session_no": np.arange(600), "starts_at_us": None}
    for number, expected in ((0, True), (1, False), (2, False)):
        one = fresh(mailboxes=40, log_epoch_no=number, orphan_rate=0.0)
        starts = one.day_starts_us(2) + 9 * HOUR_US + np.arange(600) * 1_000_000
        issued = identity.issue(one, 2, visits(one, 2, 600, **{**own, "starts_at_us": starts}, duration_s=20.0))
        minted = of(issued.lines, "owa_auth")
        assert bool(minted) == expected
        if expected:
            assert 0.2 < len(minted) / issued.tokens.num_rows < 0.4
            assert {row["uti"] for row in minted} <= {row["uti"] for row in rows(issued.tokens)}


def test_textual_forms_of_the_token_id_by_epoch():
    forms = {}
    for number, epoch in ((0, 2025), (1, 2023), (2, 2021)):
        found = set()
        for tenant_no in range(6):
            one = fresh(tenant_no, mailboxes=10, log_epoch_no=number, orphan_rate=0.0)
            for row in rows(identity.issue(one, 2, visits(one, 2, 3, protocol="rest", duration_s=20.0)).lines):
                if row["category"] == "audit_log":
                    continue
                found.add(row["token_form"])
                decoded = decode(row["uti"], row["token_form"])
                assert decoded == (row["request_id"] if row["token_form"] else None)
        forms[epoch] = found
    assert forms[2021] == {None}
    assert forms[2023] <= {"b64guid", "b64ascii"}
    assert "b64ascii" in forms[2023]
    assert "b64guid" in forms[2025]


def decode(text, form):
    if form is None:
        return text
    if form == "guid":
        return str(uuid.UUID(text))
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return raw.decode() if form == "b64ascii" else str(uuid.UUID(bytes_le=raw))


def test_loss_of_lines_follows_the_tenants_rate_and_comes_in_episodes():
    lossy = fresh(mailboxes=40, orphan_rate=0.2, cae_share=0.0)
    starts = lossy.day_starts_us(2) + np.tile(np.arange(4) * 4, 500) * HOUR_US
    order = np.argsort(starts, kind="stable")
    own = visits(
        lossy,
        2,
        2000,
        starts_at_us=starts[order],
        session_no=np.repeat(np.arange(500), 4)[order],
        duration_s=20.0,
        protocol="rest",
    )
    issued = identity.issue(lossy, 2, own)
    reason = words(issued.tokens, "unlogged_reason")
    (rate,) = identity.orphan_rates(lossy, ["owa"])
    assert abs((reason == "lost").mean() - rate) < 0.05
    by_session = collections.defaultdict(set)
    for row in rows(issued.tokens):
        by_session[row["session_no"]].add(row["unlogged_reason"])
    assert {len(reasons) for reasons in by_session.values()} == {1}
    lost = {row["request_id"] for row in rows(issued.tokens) if not row["is_logged"]}
    assert lost.isdisjoint({row["request_id"] for row in rows(issued.lines)})


def test_unlogged_flows_leave_no_line():
    one = fresh(mailboxes=40, orphan_rate=0.0)
    issued = identity.issue(one, 2, visits(one, 2, 3, is_unlogged_flow=True))
    assert {row["unlogged_reason"] for row in rows(issued.tokens)} == {"flow_not_logged"}
    assert {row["is_issued"] for row in rows(issued.tokens)} == {True}
    assert issued.lines.num_rows == 0


def test_rates_of_classes_differ_but_stay_possible():
    one = fresh(mailboxes=40, orphan_rate=0.02)
    rates = identity.orphan_rates(one, ["owa", "teams", "app_rest"])
    assert len(set(rates.tolist())) == 3
    assert ((rates > 0) & (rates <= 0.2)).all()
    assert identity.orphan_rates(one, ["teams"])[0] == rates[1]


# ---------------------------------------------------------------- declared deviations


def deviating(source, **columns):
    one = fresh(mailboxes=40, cae_share=1.0, orphan_rate=0.0, clock_skew_s=0.0, clock_tail_s=0.0)
    # An honest visit first, then the deviating one of the same identity.
    own = hours_apart(
        one,
        2,
        [9, 12],
        token_source=["normal", source],
        device_no=[0, -1],
        **columns,
    )
    issued = identity.issue(one, 2, own)
    by_intent = {row["intent_id"]: row for row in rows(issued.tokens)}
    honest, other = (by_intent[number] for number in numbers(own, "intent_id").tolist())
    return one, issued, honest, other


@pytest.mark.parametrize("source", ["forged_random", "forged_structured", "copied"])
def test_forged_tokens_were_never_issued(source):
    _, issued, honest, forged = deviating(source)
    assert (forged["is_issued"], forged["is_logged"], forged["category"]) == (False, False, None)
    assert forged["unlogged_reason"] == "never_issued"
    assert forged["truth_token_source"] == source
    assert {row["token_no"] for row in rows(issued.lines)} == {honest["token_no"]}
    assert (forged["request_id"] == honest["request_id"]) == (source == "copied")
    assert (forged["issued_at_us"] == honest["issued_at_us"]) == (source == "copied")


def test_random_ids_lack_the_structure_and_structured_ones_have_it():
    one = fresh(mailboxes=40)
    for source, expected in (("forged_random", False), ("forged_structured", True)):
        own = visits(one, 2, 300, token_source=source, session_no=np.arange(300), duration_s=1.0)
        ids = identity.issue(one, 2, own).tokens["request_id"].to_pylist()
        share = sum(text[-2:] in {"00", "01", "02"} and text[14] == "4" for text in ids) / len(ids)
        assert (share == 1.0) if expected else (share < 0.05)


def test_a_copied_id_without_anything_to_copy_stays_structured():
    one = fresh(mailboxes=40)
    (token,) = rows(identity.issue(one, 2, visits(one, 2, 1, token_source="copied", duration_s=5.0)).tokens)
    assert token["request_id"][-2:] in {"00", "01", "02"}
    assert not token["is_issued"]


def test_the_claimed_time_shifts_and_the_claimed_tenant_can_be_wrong():
    plain = deviating("forged_structured")[3]
    shifted = deviating("forged_structured", iat_shift_s=[0, -7200])[3]
    assert shifted["issued_at_us"] == plain["issued_at_us"] - 7200 * 1_000_000
    one, _, honest, wrong = deviating("forged_structured", claim_tenant_wrong=[False, True])
    assert honest["token_tenant_id"] == one.tenant_id
    assert wrong["token_tenant_id"] == "9188040d-6c67-4c5b-b112-36a304b66dad"


def test_a_forged_token_has_the_session_of_the_victim_only_where_it_was_copied():
    _, _, honest, copies = deviating("forged_structured", session_copied=[False, True])
    assert copies["session_id"] == honest["session_id"]
    _, _, honest, invents = deviating("forged_structured")
    assert invents["session_id"] not in {honest["session_id"], None}
    _, _, _, none = deviating("forged_structured", session_no=[77, -1])
    assert none["session_id"] is None


def test_a_replayed_session_is_issued_tokens_like_any_other():
    _, issued, honest, replayed = deviating("replayed", address=["198.18.0.7", "203.0.113.9"])
    assert (replayed["is_issued"], replayed["session_id"]) == (True, honest["session_id"])
    assert replayed["token_no"] != honest["token_no"]
    addresses = {row["address"] for row in rows(issued.lines) if row["token_no"] == replayed["token_no"]}
    assert addresses <= {"203.0.113.9", "198.18.0.7"}


def test_a_forged_assertion_is_logged_by_entra_but_not_by_the_identity_provider():
    one = fresh(mailboxes=40, orphan_rate=0.0)
    own = visits(one, 2, 1, auth="federated", token_source="forged_assertion", duration_s=5.0)
    assert {row["category"] for row in rows(identity.issue(one, 2, own).lines)} >= {"interactive", "audit_log"}
    assert not of(identity.issue(one, 2, own).lines, "adfs")


# ---------------------------------------------------------------- the whole day


def test_lines_are_sorted_numbered_and_of_the_day():
    issued = whole_day(3)[0]
    one = tenant(mailboxes=40)
    at = numbers(issued.lines, "at_us")
    assert (np.diff(at) >= 0).all()
    assert (np.diff(numbers(issued.lines, "line_no")) == 1).all()
    start = one.day_starts_us(3)
    assert (at >= start - 5 * MINUTE_US).all()
    assert (at < start + DAY_US + 5 * MINUTE_US).all()


def test_a_day_is_the_same_whichever_order_the_days_before_come_in():
    one = tenant(mailboxes=40)
    days = [intents.day_intents(one, day) for day in (1, 2, 3)]
    forward = identity.issue(one, 3, days[2], [days[0], days[1]])
    backward = identity.issue(one, 3, days[2], [days[1], days[0]])
    assert forward.uses.equals(backward.uses)
    assert rows(forward.tokens) == rows(backward.tokens)
    assert rows(forward.lines) == rows(backward.lines)


def test_more_look_back_than_needed_changes_nothing():
    one = tenant(mailboxes=40)
    days = {day: intents.day_intents(one, day) for day in range(5)}
    short = identity.issue(one, 4, days[4], [days[2], days[3]])
    long = identity.issue(one, 4, days[4], [days[0], days[1], days[2], days[3]])
    assert rows(short.tokens) == rows(long.tokens)
    kept = [name for name in short.lines.column_names if name not in {"address", "network_no"}]
    assert rows(short.lines.select(kept)) == rows(long.lines.select(kept))


def test_truth_never_decides():
    one = tenant(mailboxes=40)
    honest = identity.issue(one, 2, visits(one, 2, 5))
    attack = identity.issue(one, 2, visits(one, 2, 5, truth_actor_kind="attacker", truth_attack_id="A3"))
    for name in ("tokens", "lines"):
        before, after = getattr(honest, name), getattr(attack, name)
        kept = [column for column in before.column_names if not column.startswith("truth_")]
        assert before.select(kept).equals(after.select(kept))
    assert pc.all(pc.equal(attack.tokens["truth_attack_id"].cast("string"), "A3")).as_py()


def test_a_rename_shows_from_its_day_on():
    one = fresh(mailboxes=40, orphan_rate=0.0)
    one.identities["rename_day"][0] = 3
    before, after = (
        {row["user"] for row in rows(identity.issue(one, day, visits(one, day, 1, auth="interactive")).lines)}
        for day in (2, 3)
    )
    assert before == {one.upns[0]}
    assert before != after


def test_an_empty_day_gives_empty_tables():
    one = tenant(mailboxes=40)
    issued = identity.issue(one, 2, tables.empty(tables.INTENT))
    assert [table.num_rows for table in issued] == [0, 0, 0]

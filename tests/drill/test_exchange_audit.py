"""Which reads the audit log shows, checked against a slow plain reading of the documented rules."""

from __future__ import annotations

import collections
import json

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.drill import _bind_audit, _mailboxes, exchange_audit, mailflow, tables
from brokenseal.drill._bind_audit import bind_records, forgetful
from brokenseal.drill._mailboxes import FOLDERS_PER_MAILBOX
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US, build, numbers, words
from drill.drill_tenants import fresh, tenant
from drill.drill_visits import EXCHANGE, GRAPH, audited, mail_of, visits, whole_day

FATES = ("recorded", "aggregated", "repeat", "throttled")
LIMIT, ITEMS = 3, 2


def plain(days):
    """The documented rules, one bind after the other. Days are lists of dicts; gives fates and records per day."""
    repeats, recorded, silent = {}, collections.defaultdict(list), {}
    results = []
    for binds in days:
        windows, records, fates, shown = {}, [], [], []
        for number, bind in enumerate(binds):
            at, box = bind["at"], bind["mailbox"]
            earlier = repeats.get(bind["repeat"])
            if earlier is not None and at - earlier["at"] < HOUR_US:
                record = earlier["record"] if earlier["day"] == len(results) else None
                is_open = (
                    not bind["sync"]
                    and record is not None
                    and not earlier["sync"]
                    and earlier["tuple"] == bind["tuple"]
                    and at - record["at"] < 2 * MINUTE_US
                )
                fates.append("aggregated" if is_open else "repeat")
                shown.append(record["number"] if is_open else -1)
                continue
            mark = repeats[bind["repeat"]] = {**bind, "day": len(results), "record": None}
            if bind["sync"]:
                fates.append("recorded")
                shown.append(-1)
                continue
            window = windows.get(bind["tuple"])
            if window is None or at - window["at"] >= 2 * MINUTE_US:
                window = windows[bind["tuple"]] = {"at": at, "record": None, "items": 0}
            if window["items"] % ITEMS == 0:
                window["record"] = None
                if silent.get(box, 0) <= at:
                    recorded[box] = [one for one in recorded[box] if at - one < DAY_US and one >= silent.get(box, 0)]
                    recorded[box].append(at)
                    is_last = len(recorded[box]) > LIMIT
                    window["record"] = {"at": at, "number": len(records), "first": number, "throttled": is_last}
                    records.append(window["record"])
                    if is_last:
                        silent[box] = at + DAY_US
            window["items"] += 1
            mark["record"] = window["record"]
            fates.append("throttled" if window["record"] is None else "recorded")
            shown.append(-1 if window["record"] is None else window["record"]["number"])
        results.append((fates, shown, [(one["first"], one["throttled"]) for one in records]))
    return results


def columnar(days):
    memory, results = forgetful(), []
    for number, binds in enumerate(days):
        column = lambda name, kind: np.array([bind[name] for bind in binds], dtype=kind)  # noqa: B023, E731
        made, memory = bind_records(
            at=column("at", np.int64),
            mailbox=column("mailbox", np.int64),
            tuple_key=column("tuple", np.uint64),
            repeat_key=column("repeat", np.uint64),
            is_sync=column("sync", bool),
            memory=memory,
            day_ends_us=(number + 1) * DAY_US,
        )
        records = list(zip(made.first.tolist(), made.is_throttled.tolist(), strict=True))
        results.append(([FATES[fate] for fate in made.fate], made.record.tolist(), records))
    return results


@st.composite
def some_days(draw):
    days = []
    for number in range(draw(st.integers(1, 3))):
        # Close together, so that windows, hours and the day's end are met.
        offsets = draw(st.lists(st.integers(0, 120), max_size=40))
        base = draw(st.sampled_from([0, 23 * HOUR_US + 30 * MINUTE_US, 12 * HOUR_US]))
        step = draw(st.sampled_from([20_000_000, 60_000_000, 11 * MINUTE_US]))
        binds = []
        for offset in sorted(offsets):
            at = min(number * DAY_US + base + offset * step, (number + 1) * DAY_US - 1)
            box, client, message = draw(st.integers(0, 1)), draw(st.integers(0, 1)), draw(st.integers(0, 4))
            token = draw(st.integers(0, 1))
            is_sync = draw(st.booleans()) and message == 0
            binds.append(
                {
                    "at": at,
                    "mailbox": box,
                    "tuple": 100 * box + 10 * client + token,
                    "repeat": 1000 * box + 100 * client + message + 50 * is_sync,
                    "sync": is_sync,
                }
            )
        days.append(binds)
    return days


@settings(max_examples=150, deadline=None)
@given(some_days())
def test_columns_follow_the_same_rules_as_the_plain_reading(days):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_bind_audit, "THROTTLE_RECORDS", LIMIT)
        patch.setattr(_bind_audit, "ITEMS_PER_RECORD", ITEMS)
        assert columnar(days) == plain(days)


def bind(at_s, *, message=0, client=0, box=0):
    return {
        "at": at_s * 1_000_000,
        "mailbox": box,
        "tuple": 10 * box + client,
        "repeat": 1000 * (10 * box + client) + message,
        "sync": False,
    }


@pytest.mark.parametrize(
    ("binds", "fates", "records"),
    [
        pytest.param([bind(0), bind(119, message=1)], ["recorded", "recorded"], 1, id="two minutes share a record"),
        pytest.param([bind(0), bind(120, message=1)], ["recorded", "recorded"], 2, id="the next window at 120 s"),
        pytest.param([bind(0), bind(60)], ["recorded", "aggregated"], 1, id="second read within the record"),
        pytest.param([bind(0), bind(3599)], ["recorded", "repeat"], 1, id="repeat within the hour"),
        pytest.param([bind(0), bind(3600)], ["recorded", "recorded"], 2, id="an hour later it is new"),
        pytest.param([bind(0), bind(9, client=1)], ["recorded", "recorded"], 2, id="another client is no repeat"),
        pytest.param(
            [bind(0), bind(1800), bind(3700)], ["recorded", "repeat", "recorded"], 2, id="hour from the first"
        ),
    ],
)
def test_edges_of_windows_and_repeats(binds, fates, records):
    ((found, _, made),) = columnar([binds])
    assert (found, len(made)) == (fates, records)


def test_the_thousand_and_first_record_says_throttled_and_silence_lasts_a_day():
    first = [bind(number * 60, message=number, client=number % 2) for number in range(1003)]
    late = bind(1000 * 60 + 86_400 - 1, message=5000)
    after = bind(1000 * 60 + 86_400, message=5001, client=1)
    other = bind(1002 * 60 + 1, message=1, box=1)
    # Two clients in turn, so that every bind opens a record.
    (one, two) = columnar([[*first, other], [late, after]])
    assert one[2][1000] == (1000, True)
    assert [flag for _, flag in one[2]].count(True) == 1
    assert one[0] == ["recorded"] * 1001 + ["throttled"] * 2 + ["recorded"]
    assert two[0] == ["throttled", "recorded"]
    assert two[2] == [(1, False)]


def test_a_thousand_records_in_a_day_are_not_throttled():
    ((fates, _, made),) = columnar([[bind(number * 60, message=number, client=number % 2) for number in range(1000)]])
    assert set(fates) == {"recorded"}
    assert not any(flag for _, flag in made)


def test_anchors_of_many_groups_equal_a_walk_through_each():
    rng = np.random.default_rng(5)
    at = np.sort(rng.integers(0, 10_000, 3000))
    group = rng.integers(0, 40, 3000).astype(np.uint64)
    order, opened = _bind_audit.anchors(group, at, 500)
    expected, start = {}, {}
    for row in range(3000):
        key = int(group[row])
        if key not in start or at[row] - at[start[key]] >= 500:
            start[key] = row
        expected[row] = start[key]
    assert dict(zip(order.tolist(), opened.tolist(), strict=True)) == expected


# ---------------------------------------------------------------- records


def protocol_rows(one):
    """One visit per protocol, as the intents of 2025 have them."""
    protocols = ["owa", "rest", "rest_system", "ews", "mapi", "eas", "imap_pop", "outlook_mobile"]
    count = len(protocols)
    return protocols, visits(
        one,
        2,
        count,
        protocol=protocols,
        client_class=[
            "owa",
            "app_rest",
            "background",
            "app_ews",
            "outlook_desktop",
            "apple_mail",
            "thunderbird",
            "outlook_ios",
        ],
        app_id=[EXCHANGE, GRAPH, "5f", "6f", None, "7f", "8f", "9f"],
        client_app_id=["aa", "bb", "5f", "6f", "cc", "7f", "8f", "9f"],
        client_version=[None, None, None, None, "16.0.17500.20100", None, None, None],
        auth=["session", "session", "internal", "session", "session", "session", "session", "session"],
        starts_at_us=one.day_starts_us(2) + 9 * HOUR_US + np.arange(count) * HOUR_US // 2,
        session_no=[5, -1, -1, -1, 6, 7, 8, 9],
        reads=6,
    )


@pytest.mark.parametrize(
    ("epoch", "context", "session", "client"),
    [
        (2021, {}, {"owa", "mapi"}, {"rest", "rest_system"}),
        (2023, {}, {"owa", "mapi"}, {"rest", "rest_system"}),
        (
            2025,
            {"owa": "full", "rest": "full", "ews": "full", "outlook_mobile": "full", "mapi": "api_only"},
            {"mapi"},
            {"owa", "rest", "rest_system", "ews", "eas", "imap_pop", "outlook_mobile"},
        ),
    ],
)
def test_fields_present_by_protocol_and_epoch(epoch, context, session, client):
    one = fresh(mailboxes=40, log_epoch_no={2025: 0, 2023: 1, 2021: 2}[epoch], unlicensed_share=0.0)
    protocols, rows = protocol_rows(one)
    log = audited(one, 2, rows)[2]
    binds = log.records.filter(pc.equal(log.records["operation"].cast("string"), "MailItemsAccessed"))
    by_intent = dict(zip(numbers(rows, "intent_id").tolist(), protocols, strict=True))
    seen = collections.defaultdict(lambda: collections.defaultdict(set))
    for record in binds.to_pylist():
        for name in ("context", "session_id", "client_app_id", "uti", "token_subject", "issued_at_us", "app_id"):
            seen[by_intent[record["intent_id"]]][name].add(record[name])
    assert set(seen) == set(protocols)
    assert {name: value for name in protocols for value in seen[name]["context"] if value != "absent"} == context
    assert {name for name in protocols if seen[name]["session_id"] - {None}} == session
    assert {name for name in protocols if seen[name]["client_app_id"] - {None}} == client
    full = {name for name, shape in context.items() if shape == "full"}
    assert {name for name in protocols if seen[name]["uti"] - {None}} == full
    assert {name for name in protocols if seen[name]["issued_at_us"] - {0}} == full
    assert {name for name in protocols if seen[name]["token_subject"] - {None}} == full
    assert seen["mapi"]["app_id"] == {None}


def test_client_strings_are_those_of_the_service():
    one = tenant(mailboxes=40)
    _, rows = protocol_rows(one)
    log = audited(one, 2, rows)[2]
    kinds = {text.partition(";")[0] for text in words(log.records, "client_info")}
    assert kinds == {
        "Client=OWA",
        "Client=REST",
        "Client=WebServices",
        "Client=MSExchangeRPC",
        "Client=ActiveSync",
        "Client=POP3/IMAP4",
        "Client=OutlookService",
    }


def test_a_record_shows_the_token_that_the_visit_used():
    one = tenant(mailboxes=40)
    issued, done, log = audited(one, 2, visits(one, 2, 3))
    shown = {(row["token_no"], row["uti"], row["issued_at_us"]) for row in log.records.to_pylist()}
    known = {(row["token_no"], row["uti"], row["issued_at_us"]) for row in issued.tokens.to_pylist()}
    assert shown
    assert shown <= known
    assert set(numbers(done, "token_no").tolist()) <= {number for number, _, _ in known}


def test_sync_records_name_a_folder_and_list_nothing():
    one = fresh(mailboxes=40, unlicensed_share=0.0)
    rows = visits(one, 2, 1, kind="sync", protocol="mapi", client_class="mac_outlook", reads=0, syncs=4, folders=2)
    _, done, log = audited(one, 2, rows)
    assert words(done, "kind").tolist() == ["sync"] * 4
    records = log.records.to_pylist()
    # Two folders, twice each within the hour.
    assert [(row["record_type"], row["access_type"], row["operation_count"]) for row in records] == [
        (2, "Sync", -1)
    ] * 2
    assert {row["folder_no"] for row in records} == set(numbers(done, "folder_no").tolist())
    assert log.items.num_rows == 0
    assert words(log.fates, "fate").tolist() == ["sync", "sync", "repeat", "repeat"]


def test_an_expanded_sync_names_what_stands_in_the_folder():
    one = fresh(mailboxes=40, unlicensed_share=0.0)
    rows = visits(one, 2, 1, kind="sync", protocol="mapi", client_class="mac_outlook", reads=0, syncs=1)
    _, done, log = audited(one, 2, rows)
    mail = mail_of(one)
    expanded = exchange_audit.expand_syncs(mail, done, log.fates)
    at = numbers(done, "at_us")
    size = int(mail.sizes(np.zeros(1, np.int64), at)[0])
    everything = mail.at_position(np.zeros(size, np.int64), np.arange(size))
    stands_in = mailflow.folders_at(mail, everything, np.repeat(at, size))
    assert size > 100
    assert numbers(expanded, "message_no").tolist() == everything[stands_in == 0].tolist()
    assert set(words(expanded, "fate")) == {"sync"}


def test_an_expanded_sync_of_sent_items_names_what_was_sent_until_then():
    one = fresh(mailboxes=40, unlicensed_share=0.0)
    how = {"kind": "sync", "protocol": "mapi", "client_class": "mac_outlook", "reads": 0}
    rows = visits(one, 2, 1, syncs=2, folders=2, sends=9, **how)
    _, done, log = audited(one, 2, rows)
    mail = mail_of(one)
    expanded = exchange_audit.expand_syncs(mail, done, log.fates)
    kind = words(done, "kind")
    (at,) = numbers(done, "at_us")[kind == "sync"][1:]
    sent = numbers(done, "message_no")[(kind == "send") & (numbers(done, "at_us") <= at)].tolist()
    assert 0 < len(sent) < 9
    own = numbers(expanded, "message_no")[numbers(expanded, "at_us") == at]
    place = _mailboxes.parts(own)[2]
    assert (place >= _mailboxes.SENT).all()
    assert sorted(own[place >= _mailboxes.SENT_TODAY].tolist()) == sorted(sent)
    habit = own[place < _mailboxes.SENT_TODAY]
    assert (mail.times(habit) <= at).all()
    picked = mail.old_sent(np.zeros(50, np.int64), 1 - np.arange(50), np.arange(50))
    assert set(picked[mail.counts[0, 1 - np.arange(50) - mail.first_day] > 0].tolist()) <= set(habit.tolist())


def test_only_a_second_request_of_the_web_client_lacks_session_and_application():
    one = fresh(mailboxes=40, log_epoch_no=2, unlicensed_share=0.0)
    log = audited(one, 2, visits(one, 2, 6, reads=30, read_scope="newest", duration_s=3000.0))[2]
    binds = [row for row in log.records.to_pylist() if row["access_type"] == "Bind"]
    bare = {row["record_no"] for row in binds if row["session_id"] is None}
    assert bare == {row["record_no"] for row in binds if row["app_id"] is None}
    assert 0.1 < len(bare) / len(binds) < 0.5
    seen = collections.defaultdict(list)
    for row in log.fates.to_pylist():
        if row["record_no"] >= 0:
            seen[row["message_no"]].append(row)
    for reads in seen.values():
        for row in reads:
            if row["record_no"] in bare:
                assert min(one_read["at_us"] for one_read in reads) < row["at_us"]


def test_updates_and_creations_name_their_item_and_what_changed():
    one = fresh(mailboxes=40, unlicensed_share=0.0)
    rows = visits(one, 2, 2, reads=60, read_scope="newest", sends=40, logon_type=[0, 2], duration_s=9000.0)
    log = audited(one, 2, rows)[2]
    operation = words(log.records, "operation")
    updated = numbers(log.records, "record_no")[operation == "Update"].tolist()
    assert "Create" in operation
    assert updated
    assert {(row["record_no"], row["place"], row["name"]) for row in log.settings.to_pylist()} == {
        (number, "modified", "RecipientCollection") for number in updated
    }
    kinds = {
        int(folder) % FOLDERS_PER_MAILBOX
        for record, folder in zip(numbers(log.items, "record_no"), numbers(log.items, "folder_no"), strict=True)
        if record in updated
    }
    assert kinds == {_mailboxes.DRAFTS, _mailboxes.CALENDAR}


def test_moves_are_audited_only_where_a_tenant_chose_so():
    seen = set()
    for number in range(12):
        one = fresh(number, mailboxes=40, unlicensed_share=0.0)
        log = audited(one, 2, visits(one, 2, 2, reads=20, read_scope="newest", moves=5, deletes=3))[2]
        assert "MoveToDeletedItems" in set(words(log.records, "operation"))
        seen.add("Move" in set(words(log.records, "operation")))
    assert seen == {True, False}


def test_unlicensed_mailboxes_have_no_reads_but_deletions():
    one = fresh(mailboxes=40, unlicensed_share=1.0)
    log = audited(one, 2, visits(one, 2, 4, reads=10, deletes=3, moves=1))[2]
    assert set(words(log.fates, "fate")) == {"not_audited"}
    assert {"MailItemsAccessed", "Send"} & set(words(log.records, "operation")) == set()
    assert {"MoveToDeletedItems", "SoftDelete"} & set(words(log.records, "operation"))


@pytest.mark.parametrize(
    ("change", "fates"),
    [
        ({"change": "audit_bypass", "target_identity_no": 0}, {"not_audited"}),
        ({"change": "mailbox_audit_disabled", "mailbox_no": 0}, {"not_audited"}),
        ({"change": "audit_disabled"}, {"not_audited"}),
        ({"change": "audit_bypass", "target_identity_no": 1}, {"recorded"}),
        ({"change": "audit_disabled", "succeeded": False}, {"recorded"}),
        ({"change": "audit_disabled", "ends_at_us": 2}, {"recorded"}),
    ],
)
def test_switched_off_auditing_records_nothing(change, fates):
    one = fresh(mailboxes=40, unlicensed_share=0.0)
    given = {"intent_id": [1], "at_us": [1], "operation": ["x"], "service": ["exchange"], "identity_no": [0]}
    switch = build(tables.CHANGE, 1, {**given, **change})
    log = audited(one, 2, visits(one, 2, 1, read_scope="newest", client_class="graph_explorer"), switches=switch)[2]
    assert set(words(log.fates, "fate")) == fates


def test_counts_lists_and_fates_agree():
    _, done, log = whole_day(3)
    counts = numbers(log.records, "operation_count")
    listed = collections.Counter(numbers(log.items, "record_no").tolist())
    is_bind = words(log.records, "access_type") == "Bind"
    for number, count in zip(
        numbers(log.records, "record_no")[is_bind].tolist(), counts[is_bind].tolist(), strict=True
    ):
        assert listed[number] == count
    fate, record = words(log.fates, "fate"), numbers(log.fates, "record_no")
    assert set(fate) <= {"recorded", "aggregated", "repeat", "throttled", "not_audited", "sync"}
    kinds = dict(zip(numbers(done, "action_no").tolist(), words(done, "kind").tolist(), strict=True))
    kind = np.array([kinds[one] for one in numbers(log.fates, "action_no").tolist()])
    assert ((record >= 0) == np.isin(fate, ["recorded", "aggregated", "sync"])).all()
    pairs = set(zip(numbers(log.items, "record_no").tolist(), numbers(log.items, "message_no").tolist(), strict=True))
    rows = np.isin(fate, ["recorded", "aggregated"]) & (kind != "sync")
    shown = zip(record[rows].tolist(), numbers(log.fates, "message_no")[rows].tolist(), strict=True)
    assert set(shown) <= pairs
    assert log.fates.num_rows == int(np.isin(words(done, "kind"), ["bind", "sync", "attachment"]).sum())


def test_a_record_never_spans_more_than_two_minutes_or_clients():
    _, done, log = whole_day(3)
    at = dict(zip(numbers(done, "action_no").tolist(), numbers(done, "at_us").tolist(), strict=True))
    who = dict(zip(numbers(done, "action_no").tolist(), numbers(done, "token_no").tolist(), strict=True))
    spans = collections.defaultdict(list)
    for row in log.fates.to_pylist():
        if row["fate"] == "recorded":
            spans[row["record_no"]].append(row["action_no"])
    assert spans
    shows = dict(
        zip(numbers(log.records, "record_no").tolist(), numbers(log.records, "token_no").tolist(), strict=True)
    )
    for record, actions in spans.items():
        times = [at[one] for one in actions]
        assert max(times) - min(times) < 2 * MINUTE_US
        assert shows[record] == -1 or {who[one] for one in actions} == {shows[record]}


def test_record_ids_are_distinct_and_built_like_the_services():
    _, _, log = whole_day(3)
    ids = log.records["record_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    for text, kind, at in zip(ids, numbers(log.records, "record_type"), numbers(log.records, "at_us"), strict=True):
        assert text[14] == "4"
        if kind <= 3:
            ticks = int(text[24:] + text[19:23], 16)
            assert (ticks - 621_355_968_000_000_000) // 10 == at


def test_tables_are_sorted_and_complete_for_the_writers():
    _, _, log = whole_day(3)
    assert (np.diff(numbers(log.records, "record_no")) == 1).all()
    assert (np.diff(numbers(log.records, "at_us")) >= 0).all()
    for table in (log.items, log.settings):
        assert (np.diff(numbers(table, "record_no")) >= 0).all()
        assert np.isin(numbers(table, "record_no"), numbers(log.records, "record_no")).all()


def test_graph_lines_name_the_message_and_the_visit():
    one = tenant(mailboxes=40)
    rows = visits(one, 2, 1, protocol="rest", resource_id=GRAPH, client_class="teams", reads=3, read_scope="newest")
    log = audited(one, 2, rows)[2]
    uris = log.graph["uri"].to_pylist()
    assert len(uris) == 4
    assert uris[0].startswith("https://graph.microsoft.com/v1.0/me/mailFolders/inbox/messages?")
    assert all("/me/messages/AAMkAD" in uri for uri in uris[1:])
    assert set(numbers(log.graph, "token_no").tolist()) == set(numbers(log.records, "token_no").tolist())
    assert audited(one, 2, visits(one, 2, 1))[2].graph.num_rows == 0


# ---------------------------------------------------------------- changes

RULE = {
    "change": "inbox_rule",
    "operation": "New-InboxRule",
    "service": "exchange",
    "mailbox_no": 0,
    "rule_name": ".",
    "rule_effects": ["forward", "delete", "move"],
    "destinations": ["out@elsewhere.example"],
    "rule_conditions": ["invoice", "boss@x.example"],
    "folder": "rss",
}


def changed(one, **given):
    row = visits(one, 2, 1, kind="change", reads=0)
    base = {"intent_id": numbers(row, "intent_id"), "at_us": numbers(row, "starts_at_us"), "identity_no": [0]}
    change = build(
        tables.CHANGE,
        1,
        {**base, **{key: [value] if isinstance(value, (str, list)) else value for key, value in given.items()}},
    )
    log = audited(one, 2, row, changes=change)[2]
    rows = [(row["place"], row["name"], row["new_value"], row["old_value"]) for row in log.settings.to_pylist()]
    return log.records.to_pylist(), rows


def test_an_inbox_rule_is_a_cmdlet_with_its_parameters():
    one = tenant(mailboxes=40)
    (record,), rows = changed(one, **RULE)
    assert (record["record_type"], record["operation"], record["result_status"]) == (1, "New-InboxRule", "True")
    assert record["object_id"].endswith(f"{one.mailbox_upns[0].partition('@')[0]}\\.")
    assert record["client_address"].startswith("198.18.0.7:")
    assert record["context"] == "full"
    parameters = {name: value for _, name, value, _ in rows}
    assert parameters["ForwardTo"] == "out@elsewhere.example"
    assert parameters["DeleteMessage"] == "True"
    assert parameters["MoveToFolder"] == "RSS Feeds"
    assert (parameters["SubjectOrBodyContainsWords"], parameters["From"]) == ("invoice", "boss@x.example")


def test_a_system_change_has_no_caller_and_a_failed_one_says_so():
    one = tenant(mailboxes=40)
    (record,), _ = changed(
        one,
        change="other",
        operation="Set-Mailbox",
        service="exchange",
        mailbox_no=0,
        is_by_system=True,
        identity_no=-1,
    )
    assert record["user_id"] == "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)"
    assert (record["user_type"], record["is_external_access"], record["client_address"]) == (3, True, None)
    (record,), _ = changed(one, **RULE, succeeded=False)
    assert record["result_status"] == "False"


DIRECTORY = [
    (
        {"change": "consent", "operation": "Consent to application.", "rights": ["Mail.Read"]},
        "ConsentAction.Permissions",
    ),
    (
        {"change": "delegated_grant", "operation": "Add delegated permission grant.", "rights": ["Mail.Read"]},
        "DelegatedPermissionGrant.Scope",
    ),
    (
        {"change": "app_credential", "operation": "Update application – Certificates and secrets management "},
        "KeyDescription",
    ),
    (
        {
            "change": "role_member",
            "operation": "Add member to role.",
            "rights": ["Global Reader"],
            "target_identity_no": 1,
        },
        "Role.DisplayName",
    ),
    ({"change": "domain_federation", "operation": "Set domain authentication."}, "LiveType"),
    ({"change": "app_owner", "operation": "Add owner to application.", "grantee_no": 1}, "Application.AppId"),
]


@pytest.mark.parametrize(("given", "name"), DIRECTORY)
def test_directory_changes_show_their_property(given, name):
    one = tenant(mailboxes=40)
    (record,), rows = changed(
        one, service="entra", app_id="11111111-2222-4333-8444-555555555555", app_name="App", **given
    )
    assert (record["record_type"], record["workload"], record["result_status"]) == (
        8,
        "AzureActiveDirectory",
        "Success",
    )
    assert record["client_address"] == "198.18.0.7"
    assert name in {one for _, one, _, _ in rows}
    assert {place for place, *_ in rows} == {"modified"}


def test_application_roles_are_granted_one_by_one():
    one = tenant(mailboxes=40)
    records, rows = changed(
        one,
        change="app_role_grant",
        operation="Add app role assignment to service principal.",
        service="entra",
        app_id="11111111-2222-4333-8444-555555555555",
        rights=["Mail.Read", "Mail.Send"],
    )
    assert len({row["record_id"] for row in records}) == 2
    assert [value for _, name, value, _ in rows if name == "AppRole.Value"] == ["Mail.Read", "Mail.Send"]


def test_federation_values_are_json_as_the_log_has_it():
    _, rows = changed(
        tenant(mailboxes=40), change="domain_federation", operation="Set domain authentication.", service="entra"
    )
    new, old = next((new, old) for _, name, new, old in rows if name == "LiveType")
    assert (json.loads(new), json.loads(old)) == (["Federated"], ["Managed"])


# ---------------------------------------------------------------- determinism


def same(one, two):
    return all(
        getattr(one, name).equals(getattr(two, name)) for name in ("records", "items", "settings", "graph", "fates")
    )


def test_a_day_alone_equals_the_day_in_sequence():
    assert same(whole_day(9)[2], whole_day(9, first=-2)[2])


def test_the_look_back_carries_something():
    """Without the days before, more is recorded: the test above is no accident."""
    forgetful_day, day = whole_day(9, first=9)[2], whole_day(9)[2]
    assert not same(forgetful_day, day)
    repeats = [int((words(one.fates, "fate") == "repeat").sum()) for one in (forgetful_day, day)]
    assert repeats[0] < repeats[1]


def test_memory_of_a_mailbox_is_lost_once_a_week():
    one = tenant(mailboxes=40)
    weeks = np.stack([exchange_audit._resets(one, day) for day in range(7)])
    assert (weeks.sum(axis=0) == 1).all()
    assert (exchange_audit._resets(one, 9) == weeks[2]).all()


def test_truth_never_decides():
    """Another actor in the truth columns changes the truth columns alone."""
    one = tenant(mailboxes=40)
    honest = audited(one, 2, visits(one, 2, 3))
    attack = audited(one, 2, visits(one, 2, 3, truth_actor_kind="attacker", truth_attack_id="A1", truth_instance=4))
    truth = {column for column in honest[2].records.column_names if column.startswith("truth_")}
    for name in ("records", "fates", "graph"):
        before, after = getattr(honest[2], name), getattr(attack[2], name)
        kept = [column for column in before.column_names if column not in truth]
        assert before.select(kept).equals(after.select(kept))
    assert set(words(attack[2].records, "truth_attack_id")) == {"A1"}
    assert set(words(attack[2].fates, "truth_actor_kind")) == {"attacker"}


def test_clocks_of_servers_are_off_by_what_the_tenant_drew():
    quiet = fresh(mailboxes=40, clock_skew_s=0.0, clock_tail_s=0.0)
    _, done, log = audited(quiet, 2, visits(quiet, 2, 3))
    assert set(numbers(log.records, "at_us").tolist()) <= set(numbers(done, "at_us").tolist())
    wild = fresh(mailboxes=40, clock_skew_s=30.0, clock_tail_s=90.0)
    _, done, log = audited(wild, 2, visits(wild, 2, 3))
    shift = numbers(log.records, "at_us").min() - numbers(done, "at_us").min()
    assert 0 < abs(int(shift)) <= 90_000_000


def test_a_tenant_built_anew_gives_the_same_log():
    one, two = fresh(mailboxes=40), fresh(mailboxes=40)
    assert same(audited(one, 2, visits(one, 2, 3))[2], audited(two, 2, visits(two, 2, 3))[2])
    other = fresh(mailboxes=40, seed=12)
    assert not same(audited(one, 2, visits(one, 2, 3))[2], audited(other, 2, visits(other, 2, 3))[2])

"""Verdicts of the comparison with a real export."""

from __future__ import annotations

import collections
import csv
import datetime as dt
import json

import numpy as np
import pytest

from brokenseal.drill import generate, mailflow, priors, realism
from brokenseal.drill._audit_lines import audit_lines
from brokenseal.drill._realism_declared import DECLARED_2021, MEMBERS, matrix
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
from brokenseal.drill.roster import roster_of
from brokenseal.drill.tables import CHANGE, empty, numbers
from brokenseal.errors import UsageError
from drill.drill_tenants import tenant
from drill.drill_visits import audited, mail_of, visits, whole_day
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


def test_the_matrix_of_fields_tells_where_the_sides_differ():
    report = realism.compare(small_tables("a", session=False), small_tables("b"))

    cells = {(one.kind, one.field): (one.real, one.simulated) for one in report.presence}
    kind = "owa bind with AppId, 2021"
    assert cells[kind, "session_id"] == ("always", "never")
    assert cells[kind, "app_id"] == ("always", "always")
    assert cells["items of binds, 2021", "item_id"] == ("never", "never")
    text = report.markdown()
    assert "| session_id | " in text
    assert "| always / never |" in text
    assert report.as_dict()["presence"][0].keys() == {"kind", "field", "real", "simulated"}


# ---------------------------------------------------------------- marginals of single columns


def reading(name):
    return next(one.read for one in MARGINALS if one.name == name)


def test_folders_count_by_kind_in_every_language():
    tables = small_tables("a", rows=4)
    paths = ["\\Posteingang", "\\Brouillons", "\\Sent Items", "\\Projekte"]
    items = tables["accessed_items"].to_pylist()
    given = [{**row, "folder_path": path} for row, path in zip(items, paths, strict=True)]
    tables["accessed_items"] = arrow_table("accessed_items", given)

    found = reading("Kinds of folders in bind records")(tables, {})
    assert [word for _, _, word in found] == ["inbox", "drafts", "sent", "other"]


def test_variant_digits_are_read_by_record_type():
    rows = [
        {
            "event_id": f"00000000-0000-4000-{digit}000-00000000000{kind % 10}",
            "workload": "Exchange",
            "source": "unified_audit",
            "record_type": kind,
        }
        for kind, digit in ((1, "0"), (2, "7"), (3, "e"), (50, "8"), (8, "9"))
    ]
    tables = {**small_tables("a"), "events": arrow_table("events", rows)}

    sortable = reading("Variant digit of record ids, types 1 to 3")(tables, {})
    assert [word for *_, word in sortable] == ["0", "7", "e"]
    assert [word for *_, word in reading("Variant digit of record ids, type 50")(tables, {})] == ["8"]


def test_only_operations_on_items_count_as_such():
    operations = ["send", "mailitemsaccessed", "update", "set-mailbox", "movetodeleteditems"]
    rows = [{"event_id": f"e{one}", "workload": "Exchange", "operation_key": one} for one in operations]
    tables = {**small_tables("a"), "events": arrow_table("events", rows)}

    found = reading("Other operations on items")(tables, {})
    assert [word for *_, word in found] == ["send", "update", "movetodeleteditems"]


# ---------------------------------------------------------------- the drill itself


def written(log, one, day=3):
    """The mail access records of an audit log as JSON."""
    mail = mail_of(one)
    lines = audit_lines(
        log.records,
        log.items,
        log.settings,
        changes=empty(CHANGE),
        messages=mailflow.messages(mail, np.unique(numbers(log.items, "message_no"))),
        folders=mail.folders,
        roster=roster_of(one, day),
    )
    records = [json.loads(line) for line in lines.to_pylist()]
    return [record for record in records if record["Operation"] == "MailItemsAccessed"]


def simulated_day(epoch_no):
    return written(whole_day(3, log_epoch_no=epoch_no)[2], tenant(mailboxes=40, log_epoch_no=epoch_no))


def rare_clients():
    """Records of clients that a small tenant may not have on a day."""
    one = tenant(mailboxes=40, log_epoch_no=2, unlicensed_share=0.0)
    clients = {"apple_mail": "eas", "thunderbird": "imap_pop", "ediscovery": "system"}
    rows = visits(one, 3, 3, client_class=list(clients), protocol=list(clients.values()), read_scope="newest")
    return written(audited(one, 3, rows)[2], one)


def test_records_of_the_2021_epoch_have_the_declared_members_by_client():
    found = matrix([*simulated_day(2), *rare_clients()])

    assert set(found) == set(DECLARED_2021)
    for kind, row in found.items():
        always = {member for member, (there, count) in row.items() if there == count}
        never = {member for member, (there, _) in row.items() if there == 0}
        assert always == DECLARED_2021[kind], kind
        assert always | never == set(MEMBERS), kind


def test_records_of_2025_break_the_matrix_of_2021():
    found = matrix(simulated_day(0))

    assert found["OWA Bind"]["TokenObjectId"][0] > 0
    assert found["OWA Bind"]["SessionId"][0] == 0


@needs_samples
def test_the_real_export_has_the_declared_members_too():
    csv.field_size_limit(10_000_000)
    with (SAMPLES / "invictus-o365" / "auditrecords-1121.csv").open(encoding="utf-8", newline="") as stream:
        texts = {row["AuditData"] for row in csv.DictReader(stream) if '"MailItemsAccessed"' in row["AuditData"]}
    found = matrix(json.loads(text) for text in texts)

    counts = {kind: row["AppId"][1] for kind, row in found.items()}
    assert counts == {"RESTSystem Bind": 63, "OWA Bind": 21, "OWA Bind, second request": 7, "REST Bind": 1}
    for kind, row in found.items():
        assert {member for member, (there, count) in row.items() if there == count} == DECLARED_2021[kind]
        assert {member for member, (there, _) in row.items() if there} == DECLARED_2021[kind]


def test_items_and_folders_per_record_are_not_one_alone():
    records = [one for one in simulated_day(2) if "Folders" in one]

    counts = collections.Counter(min(one["OperationCount"], 11) for one in records)
    folders = collections.Counter(len(one["Folders"]) for one in records)
    assert 0.25 < counts[1] / len(records) < 0.5
    assert counts[11] == 0
    assert counts[10] > counts[9] > 0
    assert 0.1 < folders[2] / len(records) < 0.45


# ---------------------------------------------------------------- priors and whole drills


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        ("log_epoch = 2021", {2021}),
        ("log_epoch = 2023", {2023}),
        ("log_epoch = [2021, 2025]", {2021, 2023, 2025}),
        ("log_epoch_no = 1", {2023}),
        ("", {2025}),
    ],
)
def test_a_prior_file_chooses_the_epoch(tmp_path, text, epochs):
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    prior = priors.load_prior(tmp_path / "p.toml")

    rng = np.random.default_rng(1)
    assert {priors.draw(prior, rng).log_epoch for _ in range(40)} == epochs


@pytest.mark.parametrize("name", ["train-2021", "train-2023", "test-2025"])
def test_a_name_chooses_the_epoch_and_nothing_else(name):
    prior = priors.load_prior(name)
    base = priors.load_prior(name.partition("-")[0])

    one, other = (priors.draw(each, np.random.default_rng(1)) for each in (prior, base))
    assert str(one.log_epoch) == name.partition("-")[2]
    assert {**one.as_dict(), "log_epoch_no": 0} == {**other.as_dict(), "log_epoch_no": 0}


@pytest.mark.parametrize("value", ["2022", "true", "[2021]", '"2021"', "[2025, 1]"])
def test_impossible_epochs_are_refused(tmp_path, value):
    (tmp_path / "p.toml").write_text(f"log_epoch = {value}", encoding="utf-8")

    with pytest.raises(UsageError, match="2021, 2023 or 2025"):
        priors.load_prior(tmp_path / "p.toml")


def test_a_drill_is_compared_by_its_own_epoch_with_any_export(tmp_path):
    drill = tmp_path / "drill"
    how = {"tenants": 1, "mailboxes": 10, "days": 7, "seed": 3, "logs": "ual-only"}
    generate.generate(generate.DrillSettings(output=drill, prior=priors.load_prior("train-2021"), **how))

    report = realism.compare_drill(drill, drill / "exports", work_dir=tmp_path / "work")
    assert report.count(MISMATCH) == 0
    found = verdicts(report)
    assert found["OperationCount of binds"] == MATCH
    assert found["Fields of rest_system bind with AppId, 2021"] == MATCH
    assert not [name for name in found if name.endswith(("2023", "2025"))]


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_what_is_no_drill_is_refused_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth" / "tenants.parquet").write_bytes(content)

    with pytest.raises(UsageError, match="drill's truth"):
        realism.compare_drill(tmp_path, tmp_path, work_dir=tmp_path / "work")


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

"""A plain drill as a whole: it is read like evidence, it is what its truth says, and nothing is written by halves."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json

import pyarrow.parquet as pq
import pytest

from brokenseal.drill import second_generator, tables
from brokenseal.drill.generate import DrillSettings, Order, summary_of
from brokenseal.drill.score import observe, summarise
from brokenseal.drill.second_generator import intruders, outbox
from brokenseal.drill.second_generator.plain import casts_of
from brokenseal.errors import UsageError
from brokenseal.ingest import ingest
from brokenseal.investigate import coverage_of, detect
from brokenseal.settings import Settings
from brokenseal.simulated import is_simulated
from brokenseal.store import Store

ATTACKS = ("A1", "A2", "A3", "A6", "A7", "A8", "A10", "A11")
ORDERS = (*(Order(name, 1) for name in ATTACKS), Order("A0g"), Order("A0n"))
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def small(output, **changed):
    given = {
        "output": output,
        "tenants": 1,
        "mailboxes": 12,
        "days": 14,
        "warm_up_days": 2,
        "seed": 5,
        "attacks": ORDERS,
    }
    return DrillSettings(**{**given, **changed})


def truth(drill, name):
    return pq.read_table(drill / "truth" / f"{name}.parquet")


def rows(drill, name):
    return truth(drill, name).to_pylist()


def manifest(drill):
    return json.loads((drill / "manifest.json").read_text())


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    output = tmp_path_factory.mktemp("plain") / "one"
    second_generator.generate_plain(small(output))
    return output


@pytest.fixture(scope="module")
def product(drill, tmp_path_factory):
    settings = Settings(store_dir=tmp_path_factory.mktemp("store") / "s")
    result = ingest([drill / "exports"], settings, now=NOW)
    with Store.open(settings) as store:
        found = {name: table.to_pyarrow() for name, table in store.tables().items()}
        detection = detect(store.tables(), coverage_of(store.tables()))
        observed = observe(store.tables(), detection, drill / "truth")
    return result, found, observed


# ---------------------------------------------------------------- what the product reads


def test_a_plain_drill_is_read_without_rejects_and_is_what_the_truth_says(drill, product):
    result, found, _ = product
    records = truth(drill, "records")
    assert (result.rejected, result.ignored) == (0, 0)
    assert sorted(found["events"]["event_id"].to_pylist()) == sorted(records["event_id"].to_pylist())
    assert result.records == sum(records["copies"].to_pylist()) == manifest(drill)["tenants"][0]["lines_written"]


def test_every_log_is_written_and_each_category_of_sign_in(product):
    found = product[1]
    assert set(found["events"]["source"].to_pylist()) == {
        "unified_audit",
        "entra_sign_in",
        "entra_audit",
        "graph_activity",
        "message_trace",
    }
    assert set(found["sign_ins"]["category"].to_pylist()) >= {
        "interactive",
        "non_interactive",
        "service_principal",
        "managed_identity",
        "microsoft_service_principal",
        "audit_log",
    }


def test_times_and_mailboxes_are_those_of_the_truth(drill, product):
    told = {row["event_id"]: row for row in rows(drill, "records")}
    for row in product[1]["events"].to_pylist():
        own = told[row["event_id"]]
        assert row["occurred_at"] == own["occurred_at"]
        assert own["available_at"] > own["occurred_at"]
        if row["mailbox_key"] is not None:
            assert row["mailbox_key"] == own["mailbox_key"]


def test_messages_that_are_said_to_be_shown_stand_in_the_record_that_shows_them(drill, product):
    listed = {
        (row["event_id"], row["mailbox_key"], row["internet_message_id"])
        for row in product[1]["accessed_items"].to_pylist()
        if row["kind"] == "message"
    }
    shown = [row for row in rows(drill, "messages") if row["lost_to"] is None]
    assert len(shown) > 200
    assert all((row["event_id"], row["mailbox_key"], row["internet_message_id"]) in listed for row in shown)


def test_a_token_is_known_by_the_request_that_it_was_issued_for(drill, product):
    by_request = {row["request_id"]: row for row in product[1]["sign_ins"].to_pylist() if row["request_id"]}
    delivered = [row for row in rows(drill, "tokens") if row["is_delivered"]]
    assert len(delivered) > 300
    for row in delivered:
        if not row["issue_event_id"].startswith("signin:"):
            continue
        line = by_request[row["token_id"]]
        assert row["issue_event_id"] == f"signin:{row['token_id']}"
        assert line["token_id"] == row["token_id"]
        assert line["succeeded"] is True


def test_tokens_in_mail_records_are_those_of_the_truth(drill, product):
    known = {row["token_id"]: row for row in rows(drill, "tokens")}
    seen = [row for row in product[1]["mail_accesses"].to_pylist() if row["token_id"] is not None]
    assert len(seen) > 300
    for row in seen:
        token = known[row["token_id"]]
        assert row["token_subject"] == token["subject_id"]
        assert row["token_issued_at"] == token["issued_at"].replace(microsecond=0)
        assert row["token_issued_at"] <= row["occurred_at"]


def test_forged_tokens_have_no_sign_in(drill, product):
    logged = {row["token_id"] for row in product[1]["sign_ins"].to_pylist()}
    forged = [row for row in rows(drill, "tokens") if row["token_source"].startswith("forged")]
    assert forged
    assert all(not row["is_issued"] and row["unlogged_reason"] == "never_issued" for row in forged)
    assert not logged & {row["token_id"] for row in forged}


def test_results_on_it_are_called_simulated(drill, product):
    tenants = {row for row in product[1]["events"]["tenant_id"].to_pylist() if row}
    assert is_simulated(tenants)
    assert manifest(drill)["simulated"] is True
    assert "(simulated)" in manifest(drill)["tenants"][0]["name"]


def test_the_truth_never_reaches_an_export(drill):
    for path in (drill / "exports").rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert b"attacker" not in text
            assert b"instance" not in text


# ---------------------------------------------------------------- attacks


def test_every_attack_happens_and_is_in_the_truth(drill):
    records = rows(drill, "records")
    found = {row["attack_id"]: row for row in rows(drill, "attacks")}
    assert sorted(found) == sorted(order.attack_id for order in ORDERS)
    for name, row in found.items():
        own = [one for one in records if one["instance"] == row["instance"]]
        assert row["records"] == len(own) > 0, name
        assert row["first_record_at"] == min(one["occurred_at"] for one in own)
        assert row["first_at"] <= row["first_record_at"].replace(microsecond=999_999)
        assert row["stealth"] == (0 if name.startswith("A0") else 1)
        if name != "A0n":
            assert {one["actor_kind"] for one in own} == {"attacker"}
    assert found["A11"]["messages_read"] == 0
    assert found["A10"]["messages_shown"] == 0 < found["A10"]["messages_read"]
    assert all(found[name]["messages_shown"] > 0 for name in ("A1", "A2", "A3", "A7", "A8"))


def test_what_was_synchronised_is_lost_to_the_synchronisation(drill):
    taken = [row for row in rows(drill, "messages") if row["attack_id"] == "A10"]
    assert {(row["how"], row["event_id"]) for row in taken} == {("sync", None)}
    # A mailbox without the licence leaves no record at all.
    assert {"sync"} <= {row["lost_to"] for row in taken} <= {"sync", "not_audited"}


def test_the_null_control_is_somebodys_own_doing(drill):
    own = [row for row in rows(drill, "records") if row["attack_id"] == "A0n"]
    assert {row["actor_kind"] for row in own} <= {"owner", "app"}


def test_the_ghost_has_the_owners_network_program_and_session(drill, product):
    ghosts = {row["event_id"] for row in rows(drill, "records") if row["attack_id"] == "A0g"}
    own = {row["event_id"] for row in rows(drill, "records") if row["attack_id"] is None}
    reads = product[1]["mail_accesses"].to_pylist()
    sessions = {row["session_id"] for row in rows(drill, "tokens") if row["attack_id"] is None}
    haunted = [row for row in reads if row["event_id"] in ghosts]
    assert haunted
    (mailbox,) = {row["mailbox_key"] for row in haunted}
    seen = {
        name: {row[name] for row in reads if row["event_id"] in own and row["actor_key"] == haunted[0]["actor_key"]}
        for name in ("client_info", "effective_app", "actor_key")
    }
    addresses = {row["client_ip"] for row in product[1]["events"].to_pylist() if row["event_id"] in own}
    assert mailbox
    for row in haunted:
        assert row["client_ip"] in addresses
        assert row["session_id"] in sessions
        assert all(row[name] in values for name, values in seen.items())


def test_the_scorer_scores_it(product):
    score = summarise([product[2]])
    assert {name: one.recall.instances for name, one in score.by_attack.items()} == dict.fromkeys(
        (*ATTACKS, "A0g", "A0n"), 1
    )
    assert score.recall_overall.instances == len(ATTACKS)
    assert score.tenants == 1
    assert score.cases.records_unknown == 0
    assert score.false_cases.mailbox_weeks == pytest.approx(12 * 12 / 7)


def test_instances_are_dealt_out_evenly(tmp_path):
    settings = small(tmp_path, tenants=3, attacks=(Order("A1", 0, 6), Order("A2", 2, 3), Order("A0n")))
    casts = casts_of(settings)
    assert sorted(len(own) for own in casts.values()) == [3, 3, 4]
    everything = sorted(one for own in casts.values() for one in own)
    assert [one.instance for one in everything] == list(range(10))
    assert [one.stealth for one in everything[6:]] == [2, 2, 2, 0]
    assert all(1 <= one.stealth <= 4 for one in everything[:6])


# ---------------------------------------------------------------- the same again


def test_the_same_seed_gives_the_same_bytes_on_two_processes(tmp_path):
    given = {"tenants": 2, "mailboxes": 10, "days": 7, "attacks": (Order("A1", 4), Order("A6", 2), Order("A0g"))}
    second_generator.generate_plain(small(tmp_path / "one", **given))
    second_generator.generate_plain(small(tmp_path / "two", processes=2, **given))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert {row["tenant_no"] for row in rows(tmp_path / "one", "tenants")} == {0, 1}


def test_another_seed_gives_another_drill(tmp_path):
    given = {"mailboxes": 10, "days": 7, "attacks": ()}
    second_generator.generate_plain(small(tmp_path / "five", **given))
    second_generator.generate_plain(small(tmp_path / "six", seed=6, **given))
    same = digests(tmp_path / "five").items() & digests(tmp_path / "six").items()
    assert {name for name, _ in same} == {"truth/attacks.parquet", "truth/messages.parquet"}


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize(
    ("logs", "withheld"),
    [
        ("ual-only", {name for name in outbox.STREAMS if not name.startswith("ual_")}),
        ("no-noninteractive", {"non_interactive"}),
    ],
)
def test_what_the_option_withholds_stands_in_the_truth_alone(tmp_path, logs, withheld):
    second_generator.generate_plain(small(tmp_path / "d", logs=logs, mailboxes=10, days=7, attacks=()))
    given = {row["stream"] for row in rows(tmp_path / "d", "records")}
    kept_back = {row["stream"] for row in rows(tmp_path / "d", "withheld") if row["reason"] == "option"}
    assert not given & withheld
    assert kept_back <= withheld
    assert "non_interactive" in kept_back
    assert {row["unlogged_reason"] for row in rows(tmp_path / "d", "tokens")} >= {"withheld"}
    assert set(manifest(tmp_path / "d")["tenants"][0]["withheld_streams"]) == withheld


def test_gappy_logs_lose_hours_of_every_log(tmp_path):
    second_generator.generate_plain(small(tmp_path / "d", logs="gappy", mailboxes=10, days=14, attacks=()))
    lost = {row["stream"] for row in rows(tmp_path / "d", "withheld") if row["reason"] == "gap"}
    assert lost >= {"ual_exchange", "ual_entra", "interactive", "non_interactive", "message_trace"}
    assert manifest(tmp_path / "d")["tenants"][0]["withheld_streams"] == []


# ---------------------------------------------------------------- form


def test_truth_files_have_the_declared_columns_and_the_manifest_their_rows(drill):
    for table in tables.TRUTH_TABLES:
        found = truth(drill, table.name)
        assert found.schema.names == list(table.names)
        assert found.num_rows == manifest(drill)["truth_rows"].get(table.name, 0)
    assert summary_of(drill).attacks == len(ORDERS)
    assert manifest(drill)["generator"] == "plain"
    assert {path.name for path in (drill / "truth").iterdir()} == {f"{one.name}.parquet" for one in tables.TRUTH_TABLES}


def test_progress_is_told_day_by_day(tmp_path):
    heard = []
    told = small(
        tmp_path / "d",
        mailboxes=10,
        days=7,
        tenants=2,
        attacks=(),
        progress=lambda done, total: heard.append((done, total)),
    )
    second_generator.generate_plain(told)
    assert heard == [(day, 14) for day in range(1, 15)]


@pytest.mark.parametrize("name", ["A4", "A5", "A9", "A12", "A13"])
def test_attacks_that_only_the_first_generator_knows_are_refused_by_name(tmp_path, name):
    with pytest.raises(UsageError) as refused:
        second_generator.generate_plain(small(tmp_path / "d", attacks=(Order(name),)))
    assert refused.value.value == name
    assert all(known in refused.value.expected for known in intruders.PLANS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"tenants": 0}, "tenants"),
        ({"days": 3}, "days"),
        ({"mailboxes": 3}, "mailboxes"),
        ({"logs": "some"}, "logs"),
        ({"attacks": (Order("A1", 5),)}, "attack"),
    ],
)
def test_impossible_settings_are_refused_and_nothing_is_written(tmp_path, changed, place):
    with pytest.raises(UsageError) as refused:
        second_generator.generate_plain(small(tmp_path / "d", **changed))
    assert refused.value.place == place
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="absent or empty"):
        second_generator.generate_plain(small(tmp_path / "d"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["d", "mine.txt"]


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    written = []
    write = outbox.Outbox._write

    def fill(self, stream, name, lines):
        written.append(name)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device", name)
        write(self, stream, name, lines)

    monkeypatch.setattr(outbox.Outbox, "_write", fill)
    with pytest.raises(UsageError, match="the disk is full"):
        second_generator.generate_plain(small(tmp_path / "d", attacks=(), mailboxes=10, days=7))
    assert len(written) == 21
    assert not list(tmp_path.iterdir())

"""A drill as a whole: what is written is what the truth says, and nothing is written by halves."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os

import pyarrow.parquet as pq
import pytest

from brokenseal.drill import _blocks, _processes, exports, generate, priors, tables
from brokenseal.drill.generate import DrillSettings, Order, casts_of, parse_order
from brokenseal.errors import UsageError
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.simulated import is_simulated
from brokenseal.store import Store

ORDERS = tuple(Order(*one) for one in (("A1", 3), ("A3", 1), ("A6", 2), ("A10", 3), ("A11", 1), ("A0g",), ("A0n",)))
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
# A quiet tenant: attacks leave as much, and the rest is read sooner.
QUIET = priors.Prior(
    name="quiet",
    spans={**priors.TRAIN.spans, "records_per_day": priors.Span(10, 10), "records_sigma": priors.Span(0.5, 0.5)},
)


def small(output, **changed):
    given = {"output": output, "tenants": 1, "mailboxes": 12, "days": 8, "seed": 5, "prior": QUIET, "attacks": ORDERS}
    return DrillSettings(**{**given, **changed})


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    output = tmp_path_factory.mktemp("drill") / "one"
    generate.generate(small(output))
    return output


def truth(drill, name):
    return pq.read_table(drill / "truth" / f"{name}.parquet")


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def ingested(folder, store_dir):
    settings = Settings(store_dir=store_dir)
    result = ingest([folder], settings, now=NOW)
    with Store.open(settings) as store:
        return result, {name: table.to_pyarrow() for name, table in store.tables().items()}


@pytest.fixture(scope="module")
def product(drill, tmp_path_factory):
    return ingested(drill / "exports", tmp_path_factory.mktemp("store") / "s")


def test_a_drill_is_read_without_rejects_and_is_what_the_truth_says(drill, product):
    result, found = product
    records = truth(drill, "records")
    assert (result.rejected, result.ignored) == (0, 0)
    assert sorted(found["events"]["event_id"].to_pylist()) == sorted(records["event_id"].to_pylist())
    assert result.records == sum(records["copies"].to_pylist())
    assert result.records == json.loads((drill / "manifest.json").read_text())["tenants"][0]["lines_written"]


def test_mailboxes_and_times_are_those_of_the_truth(drill, product):
    told = {row["event_id"]: row for row in truth(drill, "records").to_pylist()}
    for row in product[1]["mail_accesses"].to_pylist():
        own = told[row["event_id"]]
        assert row["mailbox_key"] == own["mailbox_key"]
        assert row["occurred_at"] == own["occurred_at"].replace(microsecond=0)
        assert own["available_at"] > own["occurred_at"]


def test_messages_that_are_said_to_be_shown_are_in_the_record_that_shows_them(drill, product):
    listed = {
        (row["event_id"], row["internet_message_id"])
        for row in product[1]["accessed_items"].to_pylist()
        if row["kind"] == "message"
    }
    shown = [
        row for row in truth(drill, "messages").to_pylist() if row["lost_to"] is None and row["how"] != "attachment"
    ]
    assert len(shown) > 20
    assert all((row["event_id"], row["internet_message_id"]) in listed for row in shown)


def test_forged_tokens_were_issued_by_nobody_and_others_stand_in_the_logs(drill, product):
    tokens = truth(drill, "tokens").to_pylist()
    logged = {row["token_id"] for row in product[1]["sign_ins"].to_pylist() if row["succeeded"]}
    forged = [row for row in tokens if row["token_source"].startswith("forged") and row["token_id"]]
    delivered = [row for row in tokens if row["is_delivered"]]
    assert forged
    assert delivered
    assert all(row["token_id"] not in logged and not row["is_issued"] for row in forged)
    assert all(row["token_id"] in logged for row in delivered)
    withheld = {row["event_id"] for row in truth(drill, "withheld").to_pylist()}
    assert not withheld & {row["issue_event_id"] for row in delivered}


def test_every_attack_is_in_the_truth_and_in_the_manifest(drill):
    rows = truth(drill, "attacks").to_pylist()
    manifest = json.loads((drill / "manifest.json").read_text())
    assert [row["attack_id"] for row in rows] == [one["id"] for one in manifest["attacks"]]
    assert sorted(row["attack_id"] for row in rows) == sorted(order.attack_id for order in ORDERS)
    records = truth(drill, "records").to_pylist()
    for row in rows:
        own = [one for one in records if one["instance"] == row["instance"]]
        assert row["records"] == len(own)
        assert row["is_observable"] == bool(own)
        if own:
            assert row["first_record_at"] == min(one["occurred_at"] for one in own)
        # The application of A6 may be given its rights here and read later.
        assert row["mailbox_keys"] or row["attack_id"] == "A6"
    by_id = {row["attack_id"]: row for row in rows}
    assert by_id["A11"]["messages_read"] == 0
    assert by_id["A1"]["messages_shown"] > 0
    assert by_id["A0n"]["stealth"] == by_id["A0g"]["stealth"] == 0


def test_the_manifest_says_that_it_is_simulated_and_what_was_drawn(drill):
    manifest = json.loads((drill / "manifest.json").read_text())
    assert manifest["simulated"] is True
    assert manifest["seed"] == 5
    assert manifest["tenants"][0]["parameters"]["mailboxes"] == 12
    assert "(simulated)" in manifest["tenants"][0]["name"]
    tenant = truth(drill, "tenants").to_pylist()[0]
    assert is_simulated([tenant["tenant_id"]])
    assert tenant["tenant_id"] == manifest["tenants"][0]["tenant_id"]
    assert tenant["mailbox_weeks"] == pytest.approx(12 * (8 - tenant["warm_up_days"]) / 7)


def test_truth_files_have_the_declared_columns(drill):
    for table in tables.TRUTH_TABLES:
        assert truth(drill, table.name).schema.names == list(table.names)


def test_the_truth_never_reaches_an_export(drill):
    for path in (drill / "exports").rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert b"truth" not in text
            assert b"attacker" not in text


def test_the_same_seed_gives_the_same_bytes_on_two_processes(drill, tmp_path):
    heard = []
    generate.generate(small(tmp_path / "two", processes=2, progress=lambda done, total: heard.append((done, total))))
    assert digests(tmp_path / "two") == digests(drill)
    assert heard == sorted(heard)
    assert heard[-1] == (8, 8)


def test_another_seed_gives_another_drill(drill, tmp_path):
    generate.generate(small(tmp_path / "other", seed=6, attacks=()))
    assert not set(digests(tmp_path / "other").values()) & set(digests(drill).values())


@pytest.mark.parametrize(("logs", "streams"), [("ual-only", {"ual_exchange", "ual_entra", "ual_general"})])
def test_what_the_option_withholds_stands_in_the_truth_alone(tmp_path, logs, streams):
    generate.generate(small(tmp_path / "d", logs=logs, days=7, attacks=()))
    given = truth(tmp_path / "d", "records").to_pylist()
    withheld = truth(tmp_path / "d", "withheld").to_pylist()
    assert {row["stream"] for row in given} <= streams
    assert {row["stream"] for row in withheld if row["reason"] == "option"} >= {"interactive", "message_trace"}
    names = {path.name for path in (tmp_path / "d" / "exports").iterdir()}
    folder = tmp_path / "d" / "exports" / names.pop()
    assert {path.name for path in folder.iterdir()} <= {"purview", "management-activity"}


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"tenants": 0}, "tenants"),
        ({"days": 3}, "days"),
        ({"days": 400}, "days"),
        ({"seed": -1}, "seed"),
        ({"processes": 0}, "processes"),
        ({"mailboxes": 3}, "mailboxes"),
        ({"logs": "some"}, "logs"),
        ({"shape": "square"}, "shape"),
        ({"blob_minutes": 0}, "blob minutes"),
        ({"warm_up_days": 8}, "warm-up days"),
        ({"epoch": dt.date(2026, 1, 6)}, "start of the drill"),
        ({"attacks": (Order("A99"),)}, "attack"),
        ({"attacks": (Order("A1", 5),)}, "attack"),
    ],
)
def test_impossible_settings_are_refused_and_nothing_is_written(tmp_path, changed, place):
    with pytest.raises(UsageError) as refused:
        generate.generate(small(tmp_path / "d", **changed))
    assert refused.value.place == place
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="absent or empty"):
        generate.generate(small(tmp_path / "d"))
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "mine.txt"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_what_cannot_be_written_leaves_nothing_and_says_so(tmp_path, monkeypatch, number, words):
    written = []
    write = exports._write

    def fails(path, parts):
        written.append(path)
        if len(written) > 20:
            raise OSError(number, os.strerror(number), str(path))
        write(path, parts)

    monkeypatch.setattr(exports, "_write", fails)
    with pytest.raises(UsageError, match=words) as refused:
        generate.generate(small(tmp_path / "d", attacks=()))
    assert refused.value.place == str(tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_replaced_and_a_folder_of_somebody_else_is_not(tmp_path):
    part = tmp_path / "d.part"
    (part / "truth" / "parts").mkdir(parents=True)
    (part / "truth" / "parts" / "records-0000-0000.parquet").write_bytes(b"half")
    (part / "exports").mkdir()
    summary = generate.generate(small(tmp_path / "d", days=7, attacks=()))
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert not (tmp_path / "d" / "truth" / "parts").exists()
    assert summary == generate.summary_of(tmp_path / "d")

    (tmp_path / "e.part").mkdir()
    (tmp_path / "e.part" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="no file or folder of this name"):
        generate.generate(small(tmp_path / "e", attacks=()))
    assert (tmp_path / "e.part" / "mine.txt").read_text() == "mine"


def test_a_refusal_in_another_process_is_the_same_refusal():
    answers = _processes.run_all(_processes.received, [(1,), (2,), (3,)], processes=2, place="here")
    assert answers == [1, 2, 3]
    with pytest.raises(UsageError) as error:
        _processes.run_all(_processes.received, [(1,), (_processes.Refused("p", "v", "e"),)], processes=2, place="here")
    assert (error.value.place, error.value.value, error.value.expected) == ("p", "v", "e")


def test_a_process_that_is_killed_is_one_error():
    with pytest.raises(UsageError, match="ended from outside"):
        _processes.run_all(os._exit, [(9,)], processes=2, place="here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1", Order("A1", 0, 1)),
        ("a1:3", Order("A1", 3, 1)),
        (" A13:2*5 ", Order("A13", 2, 5)),
        ("A0G", Order("A0g", 0, 1)),
        ("A11*40", Order("A11", 0, 40)),
    ],
)
def test_attacks_are_asked_for_in_words(text, expected):
    assert parse_order(text) == expected


@pytest.mark.parametrize("text", ["", "A0", "A14", "A1:5", "A1:0", "A1*0", "B1", "A1:3*", "A1:3:2"])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="A0n"):
        parse_order(text)


def test_instances_go_round_the_tenants_and_campaigns_play_in_all(tmp_path):
    settings = small(tmp_path, tenants=3, attacks=(Order("A1", 0, 6), Order("A13", 2)))
    casts = casts_of(settings)
    assert [sum(one.attack_id == "A1" for one in casts[number]) for number in range(3)] == [2, 2, 2]
    assert [sum(one.attack_id == "A13" for one in casts[number]) for number in range(3)] == [1, 1, 1]
    campaigns = {one.campaign for own in casts.values() for one in own if one.attack_id == "A13"}
    assert campaigns == {min(one.instance for own in casts.values() for one in own if one.attack_id == "A13")}
    assert {one.campaign for own in casts.values() for one in own if one.attack_id == "A1"} == {None}
    numbers = sorted(one.instance for own in casts.values() for one in own)
    assert numbers == list(range(9))
    assert all(1 <= one.stealth <= 4 for own in casts.values() for one in own)


@pytest.mark.parametrize(
    ("tenants", "processes", "blocks"),
    [(1, 1, 1), (1, 2, 2), (3, 2, 6), (2, 2, 2), (9, 2, 9), (5, 4, 20), (500, 64, 500)],
)
def test_blocks_hold_every_day_once_and_keep_all_processes_busy(tmp_path, tenants, processes, blocks):
    found = _blocks.blocks_of(small(tmp_path, tenants=tenants, processes=processes, days=84))
    assert len(found) == blocks
    days = [(one.tenant_no, day) for one in found for day in range(one.from_day, one.until_day)]
    assert sorted(days) == [(number, day) for number in range(tenants) for day in range(84)]
    assert len(days) == len(set(days))


def test_progress_is_told_day_by_day(tmp_path):
    heard = []
    generate.generate(
        small(tmp_path / "d", days=7, attacks=(), progress=lambda done, total: heard.append((done, total)))
    )
    assert heard == [(day, 7) for day in range(1, 8)]


def test_a_prior_of_ones_own_is_used(tmp_path):
    prior = priors.Prior(name="own", spans={**priors.TRAIN.spans, "microsoft_share": priors.Span(0.9, 0.9)})
    generate.generate(small(tmp_path / "d", days=7, attacks=(), prior=prior))
    drawn = json.loads((tmp_path / "d" / "manifest.json").read_text())["tenants"][0]["parameters"]
    assert drawn["microsoft_share"] == 0.9

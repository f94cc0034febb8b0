"""The sample tenant through the whole path: what is found equals what was done, as far as the logs can show it."""

from __future__ import annotations

import datetime as dt

import pytest

from brokenseal import investigate
from brokenseal.demo import write_demo
from brokenseal.demo.exports import NOTICE
from brokenseal.selection import Selection
from brokenseal.settings import Settings
from brokenseal.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tenant(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo-case"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(store_dir=tmp_path_factory.mktemp("demo-case-store") / "store")


@pytest.fixture(scope="module")
def ingested(tenant, settings):
    return investigate.add_exports([tenant.folder], settings, now=dt.datetime(2026, 4, 7, tzinfo=dt.UTC))


@pytest.fixture(scope="module")
def tables(ingested, settings):
    return Store.open(settings).tables()


@pytest.fixture(scope="module")
def detection(tables):
    return investigate.detect(tables, investigate.coverage_of(tables))


def listed(exposures):
    return {(line.mailbox, line.internet_message_id) for seen in exposures for line in seen.messages}


def evidence(findings):
    return {item.event_id for found in findings for item in found.evidence}


def test_every_record_is_kept_but_copies_and_those_cut_off(tenant, ingested):
    assert (ingested.records, ingested.duplicates, ingested.rejected, ingested.ignored) == (
        tenant.records + 1,
        len(tenant.duplicate_ids),
        len(tenant.rejected_ids),
        1,
    )
    assert ingested.kept == tenant.records - len(tenant.duplicate_ids) - len(tenant.rejected_ids)
    assert {file.path.rpartition("/")[2]: file.records for file in ingested.files if file.outcome == "ingested"} == {
        file.path: file.records for file in tenant.files
    }
    assert [file.path.rpartition("/")[2] for file in ingested.files if file.outcome == "not_an_audit_log"] == [NOTICE]


def test_the_flaws_of_the_exports_raise_their_alarms(tables, ingested):
    seen = investigate.coverage_of(tables)

    assert sorted(alarm.code for alarm in seen.alarms) == ["result_count_above", "truncated_json"]


def test_cut_records_keep_what_can_be_salvaged(tenant, tables):
    rows = tables["quarantine"].to_pyarrow().to_pylist()

    assert {row["salvaged_id"] for row in rows} == set(tenant.rejected_ids)
    assert {row["salvaged_operation"] for row in rows} == {"MailItemsAccessed"}
    assert {row["salvaged_actor"] for row in rows} == {"jonas.weber@harbour-office.example"}
    assert all(row["salvaged_at"] is not None for row in rows)


def test_what_was_read_from_the_intruders_addresses_is_what_the_truth_lists(tenant, tables):
    exposures = [investigate.exposure_of(tables, Selection.by("ip", address)) for address in tenant.truth.addresses]

    assert listed(exposures) == set(tenant.truth.listed)
    mailbox, folder = tenant.truth.synced_folder
    synced = {(line.mailbox, line.folder_path) for seen in exposures for line in seen.folders}
    assert synced == {(mailbox, folder.lstrip("\\"))}
    mailbox, _ = tenant.truth.throttled_at
    assert {(line.mailbox, line.reason) for seen in exposures for line in seen.open_ended} == {(mailbox, "throttled")}


def test_coverage_names_the_silent_and_the_throttled_mailbox(tenant, tables):
    seen = {line.mailbox: line for line in investigate.coverage_of(tables).mailboxes}
    mailbox, at = tenant.truth.throttled_at

    assert [name for name, line in seen.items() if not line.has_mail_access] == [tenant.unaudited_mailbox]
    assert {name: line.throttled_days for name, line in seen.items() if line.throttled_days} == {
        mailbox: (f"{at:%Y-%m-%d}",)
    }


def test_the_cases_hold_all_that_the_espionage_read_and_nothing_honest(tenant, detection):
    truth = tenant.truth
    espionage = [case for case in detection.cases if set(case.mailboxes) & set(truth.victims)]
    espionage = [case for case in espionage if case.exposure.accesses]

    assert listed(case.exposure for case in espionage) == set(truth.listed)
    assert truth.rule_id in evidence(found for case in espionage for found in case.findings)


def test_the_application_and_the_spray_are_notices_since_honest_ones_look_alike(tenant, detection):
    truth = tenant.truth
    noticed = evidence(detection.notices)

    assert set(truth.consent_ids) & noticed
    assert set(truth.spray_ids) & noticed
    assert not {*truth.consent_ids, *truth.spray_ids} & evidence(
        found for case in detection.cases for found in case.findings
    )


def test_tokens_without_a_sign_in_are_the_forged_and_the_lost_ones(tenant, tables):
    from brokenseal.detectors.token_provenance import verdicts

    missing = verdicts(tables)
    ids = {row["event_id"] for row in missing.filter(missing.verdict == "not_issued").to_pyarrow().to_pylist()}
    accesses = tables["mail_accesses"].select("event_id", "token_id").to_pyarrow().to_pylist()
    tokens = {row["token_id"] for row in accesses if row["event_id"] in ids}

    assert tokens <= {*tenant.truth.token_ids, *tenant.truth.lost_token_ids}
    assert set(tenant.truth.lost_token_ids) < tokens
    assert len(tokens & set(tenant.truth.token_ids)) >= 15


def test_honest_life_gives_notices_and_no_case(tenant, detection):
    honest = {*tenant.mailboxes} - {*tenant.truth.victims, "jonas.weber@harbour-office.example"}
    with_reads = [case for case in detection.cases if case.exposure.accesses]

    assert {mailbox for case in with_reads for mailbox in case.mailboxes} & honest == set()
    assert "config.mailbox_delegation" in {notice.detector_id for notice in detection.notices}

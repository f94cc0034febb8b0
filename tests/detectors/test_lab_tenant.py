"""The real lab tenant: every staged attack is in its one case, and nothing that its labels call benign is cited."""

from __future__ import annotations

import csv
import json

import pytest

from brokenseal.investigate import coverage_of, detect
from brokenseal.model import Severity
from brokenseal.sources import unified_audit
from support import SAMPLES, make_tables, needs_samples

pytestmark = needs_samples
FOLDER = SAMPLES / "invictus-o365"
SPRAYER, INTRUDER = "178.85.138.132", "62.149.20.10"
SESSION = "637a72b7-3f4e-445b-bb2e-4605eb2a141b"
VICTIM = "a.thulile@dutchmasterz.onmicrosoft.com"
BACKDOOR = "itcornpany@dutchmasterz.onmicrosoft.com"


@pytest.fixture(scope="module")
def rows():
    """Normalised rows by table, each record once; records whose payload the export cut away are left out."""
    csv.field_size_limit(2**30)
    tables, seen = {}, set()
    with (FOLDER / "auditrecords-1121.csv").open(newline="", encoding="utf-8-sig") as stream:
        for record in csv.DictReader(stream):
            if not record["AuditData"]:
                continue
            normalised = unified_audit.SOURCE.normalise(record)
            (event,) = normalised["events"]
            if event["event_id"] not in seen:
                seen.add(event["event_id"])
                for name, made in normalised.items():
                    tables.setdefault(name, []).extend(made)
    assert len(seen) == 1475
    return tables


@pytest.fixture(scope="module")
def labels():
    """Event ids by label."""
    by_label = {}
    for line in (FOLDER / "labels.ndjson").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for label in record["labels"]:
            by_label.setdefault(label["label"], set()).add(record["Id"].lower())
    return by_label


@pytest.fixture(scope="module")
def detection(rows):
    tables = make_tables(rows)
    return detect(tables, coverage_of(tables))


def cited(findings):
    return {item.event_id for finding in findings for item in finding.evidence}


def about(case, key):
    return [finding for finding in case.findings if key in finding.case_keys]


def test_nothing_labelled_benign_is_cited(detection, labels):
    everything = cited(detection.notices) | cited(finding for case in detection.cases for finding in case.findings)
    for label, number in (
        ("exchange_system_cmdlet", 716),
        ("first_party_rest_read", 63),
        ("mfa_enrolment_interrupt", 13),
    ):
        assert len(labels[label]) == number
        assert not everything & labels[label]


def test_the_takeover_is_one_case_and_not_five(detection, labels, rows):
    (case,) = detection.cases
    assert case.severity is Severity.CRITICAL
    assert {SPRAYER, INTRUDER} <= set(case.addresses)
    wanted = ("attacker_owa_mail_read", "inbox_rule_hide", "transport_rule_bcc", "spray_success_a_thulile",
              "one_session_two_ips_two_agents", "backdoor_roles", "mailbox_delegation",
              "admin_roles_by_compromised_user", "attacker_owa_send")  # fmt: skip
    for label in wanted:
        assert labels[label] <= cited(case.findings), label
    assert any(BACKDOOR in finding.group_key for finding in case.findings)
    assert any(SESSION in finding.sessions for finding in case.findings)

    (reads,) = [
        finding
        for finding in case.findings
        if finding.detector_id == "mail_access.from_suspect_address" and finding.addresses == (INTRUDER,)
    ]
    assert cited([reads]) == labels["attacker_owa_mail_read"]
    items = [item for item in rows["accessed_items"] if item["event_id"] in cited([reads])]
    assert (len(reads.evidence), len(items), len({item["internet_message_id"] for item in items})) == (5, 25, 24)
    assert labels["attacker_owa_mail_read"] <= detection.access_ids


@pytest.mark.parametrize("app", ["768fb398-1e3f-4a25-8989-2141f5eb5ebd", "ea0056b2-87ac-4765-ba13-e2768da6fba7"])
def test_each_illicit_application_stands_in_the_case_of_the_account_that_let_it_in(detection, app):
    found = about(detection.cases[0], f"application:{app}")
    assert min(finding.severity.rank for finding in found) == Severity.CRITICAL.rank


def test_consents_grants_secrets_and_the_read_are_under_the_applications(detection, labels):
    found = cited(finding for finding in detection.cases[0].findings if finding.case_keys[0].startswith("application:"))
    for label in ("illicit_consent", "illicit_consent_companion", "oauth_app_mail_read"):
        assert labels[label] <= found
    assert len(labels["rogue_app_secret"] & found) == 3, "three secrets were added, and one was removed"


def test_both_sprays_are_in_the_case_of_the_account_that_they_opened(detection, labels):
    first, second = sorted(about(detection.cases[0], f"address:{SPRAYER}"), key=lambda finding: finding.first_at)
    assert cited([first]) == labels["password_spray_1"]
    assert cited([second]) == labels["password_spray_2"]
    assert (len(first.evidence), len(second.evidence)) == (36, 19)


def test_the_hard_negative_is_no_more_than_a_notice(detection, labels):
    assert labels["inbox_rule_odd_benign"] <= cited(detection.notices)

"""The sample tenant: same seed same files, no real name or address in it, and the rules of the service hold."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import gzip
import hashlib
import io
import ipaddress
import json
import re
import sys
import uuid
import zipfile
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from brokenseal.demo import write_demo
from brokenseal.demo.exports import NOTICE

CONTENT_SHA256 = "69acb433de85a886fc765a76bcaec8e6dee9dbede22a9befcb74828003b63a93"
DOCUMENTATION = [
    ipaddress.ip_network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
MICROSOFT = ipaddress.ip_network("2603:10a6::/32")


@pytest.fixture(scope="session")
def tenant(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def contents(tenant):
    """Unpacked text by the path that `DemoFile` names."""
    return {file.path: unpacked(tenant.folder, file.path) for file in tenant.files}


@pytest.fixture(scope="session")
def audit(contents):
    """Every audit record that closes, in the order of the files, copies included."""
    return [record for path in contents for record in audit_records(contents[path], path) if record is not None]


@pytest.fixture(scope="session")
def accesses(audit):
    distinct = {record["Id"]: record for record in audit}
    return [record for record in distinct.values() if record["Operation"] == "MailItemsAccessed"]


@pytest.fixture(scope="session")
def sign_ins(contents):
    lines = contents["insights-logs-noninteractiveusersigninlogs.json.gz"].splitlines()
    return [
        *json.loads(contents["sign-ins-interactive.json"]),
        *(json.loads(line)["properties"] for line in lines),
        *json.loads(contents["sign-ins-service-principals.json"])["value"],
    ]


def unpacked(folder, path):
    name, _, member = path.partition("!")
    data = (folder / name).read_bytes()
    if member:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(member)
    elif name.endswith(".gz"):
        data = gzip.decompress(data)
    return data.decode("utf-16") if data.startswith(b"\xff\xfe") else data.decode("utf-8-sig")


def rows_of(text):
    csv.field_size_limit(sys.maxsize)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def audit_records(text, path):
    if path.endswith(".csv") and "AuditData" in text[:300]:
        return [closed(row["AuditData"]) for row in rows_of(text)]
    return json.loads(text) if path.startswith("Audit.Exchange") else []


def closed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def properties(record):
    return {entry["Name"]: entry["Value"] for entry in record["OperationProperties"]}


def listed(record):
    return [
        (folder["Path"], item["InternetMessageId"])
        for folder in record.get("Folders", ())
        for item in folder["FolderItems"]
    ]


def decode(uti):
    return str(uuid.UUID(bytes_le=base64.urlsafe_b64decode(uti + "==")))


def moment(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tenant, tmp_path):
    again = write_demo(tmp_path / "again")
    other = write_demo(tmp_path / "other", seed=1)

    names = sorted(path.name for path in tenant.folder.iterdir())
    assert names == sorted({file.path.partition("!")[0] for file in tenant.files} | {NOTICE})
    assert all((again.folder / name).read_bytes() == (tenant.folder / name).read_bytes() for name in names)
    assert again.truth == tenant.truth
    assert not other.truth.listed & tenant.truth.listed


def test_the_content_does_not_depend_on_the_version_of_python(contents):
    digest = hashlib.sha256()
    for path in sorted(contents):
        digest.update(f"{path}\0{contents[path]}\0".encode())

    assert digest.hexdigest() == CONTENT_SHA256


def test_files_hold_as_many_records_as_the_tenant_says(tenant, contents):
    counted = {}
    for path, text in contents.items():
        if path.endswith(".csv"):
            counted[path] = len(rows_of(text))
        elif path.endswith(".gz"):
            counted[path] = len(text.splitlines())
        else:
            value = json.loads(text)
            counted[path] = len(value["value"] if isinstance(value, dict) else value)

    assert counted == {file.path: file.records for file in tenant.files}
    assert tenant.records == sum(counted.values())
    assert 15_000 <= tenant.records <= 30_000


def test_every_address_is_for_documentation_or_a_microsoft_back_end(audit, sign_ins):
    texts = {record.get("ClientIPAddress") or record.get("ClientIP") for record in audit}
    texts |= {record["ipAddress"] for record in sign_ins}
    addresses = {
        ipaddress.ip_address(re.sub(r"(\d):\d+$", r"\1", text) if "." in text else text) for text in texts if text
    }

    foreign = {str(a) for a in addresses if not any(a in block for block in [*DOCUMENTATION, MICROSOFT])}
    assert foreign == set()
    assert len(addresses) > 20


def test_every_mail_domain_is_invented(contents):
    domains = {match for text in contents.values() for match in re.findall(r"@([A-Za-z0-9.-]+)", text)}

    assert {domain for domain in domains if not domain.endswith(".example") and domain != "odata.context"} == set()


def test_two_rows_are_cut_and_three_records_come_twice(tenant, contents):
    portal = rows_of(contents["AuditLog_2026-03-02_2026-03-22.csv"])
    cut = tuple(row["RecordId"] for row in portal if closed(row["AuditData"]) is None)
    ids = Counter(
        record["Id"] for path in contents if path.startswith("Audit.") for record in audit_records(contents[path], path)
    )

    assert sorted(cut) == sorted(tenant.rejected_ids)
    assert len(cut) == 2
    assert sorted(key for key, count in ids.items() if count > 1) == sorted(tenant.duplicate_ids)
    assert len(tenant.duplicate_ids) == 3
    assert set(cut) < set(tenant.truth.app_access_ids)


def test_the_search_says_that_it_found_more_than_it_delivered(tenant, contents):
    rows = rows_of(contents["unified-audit-log.zip!UAL-directory-and-admin.csv"])

    assert {int(row["ResultCount"]) for row in rows} == {len(rows) + tenant.not_delivered}
    assert [int(row["ResultIndex"]) for row in rows] == list(range(1, len(rows) + 1))


def test_reads_within_two_minutes_stand_in_one_record_and_repeats_within_an_hour_in_none(accesses):
    times, items = defaultdict(list), defaultdict(list)
    for record in accesses:
        if properties(record)["MailAccessType"] != "Bind":
            continue
        context = record["AppAccessContext"]
        session = record.get("SessionId") or context.get("AADSessionId", "")
        client = (record.get("ClientAppId", ""), record["ClientInfoString"], record["ClientIPAddress"], session)
        key = (record["MailboxGuid"], record["UserId"], *client, context.get("UniqueTokenId", ""), record.get("AppId"))
        at = moment(record["CreationTime"]).timestamp()
        times[key].append(at)
        for item in listed(record):
            items[(*key, *item)].append(at)

    assert all(later - earlier >= 120 for found in times.values() for earlier, later in pairwise(sorted(found)))
    # A record's time is that of its first read, so that a repeat may look up to two minutes nearer than it was.
    assert all(later - earlier >= 3480 for found in items.values() for earlier, later in pairwise(sorted(found)))
    assert sum(len(listed(record)) for record in accesses) == sum(
        record.get("OperationCount", 0) for record in accesses
    )


def test_after_a_thousand_bind_records_in_a_day_the_mailbox_falls_silent_for_a_day(tenant, accesses):
    mailbox, at = tenant.truth.throttled_at
    binds = [
        record["CreationTime"]
        for record in accesses
        if record["MailboxOwnerUPN"] == mailbox and properties(record)["MailAccessType"] == "Bind"
    ]
    marked = [record for record in accesses if properties(record)["IsThrottled"] == "True"]

    assert [(record["MailboxOwnerUPN"], record["CreationTime"]) for record in marked] == [
        (mailbox, f"{at:%Y-%m-%dT%H:%M:%S}")
    ]
    day = dt.timedelta(days=1)
    assert sum(at - day < moment(time) <= at for time in binds) == 1_001
    assert [time for time in binds if at < moment(time) < at + day] == []
    assert len(tenant.truth.read - tenant.truth.listed) > 20


def test_only_forged_and_lost_tokens_were_never_issued(tenant, audit, accesses, sign_ins):
    issued = {decode(record["uniqueTokenIdentifier"]) for record in sign_ins}
    issued |= {decode(record["UniqueTokenIdentifier"]) for record in audit if record["RecordType"] == 275}
    used = {
        decode(record["AppAccessContext"]["UniqueTokenId"])
        for record in accesses
        if "UniqueTokenId" in record["AppAccessContext"]
    }

    assert used - issued == {*tenant.truth.token_ids, *tenant.truth.lost_token_ids}
    assert len(tenant.truth.lost_token_ids) == 2
    assert len(used & issued) > 10 * len(used - issued)
    assert {token[-2:] for token in used | issued} == {"00"}
    assert {token[14] for token in used | issued} == {"4"}


def test_token_ids_are_the_request_ids_of_their_sign_ins(sign_ins):
    assert all(decode(record["uniqueTokenIdentifier"]) == record["id"] for record in sign_ins)


def test_tokens_are_used_while_they_are_valid(accesses):
    ages = Counter()
    for record in accesses:
        issued = record["AppAccessContext"].get("IssuedAtTime")
        if issued:
            seconds = (moment(record["CreationTime"]) - moment(issued)).total_seconds()
            ages["valid" if 0 <= seconds <= 90 * 60 else "invalid"] += 1

    assert ages["invalid"] == 0
    assert ages["valid"] > 2_000


def test_the_truth_names_the_records_in_the_files(tenant, audit, accesses):
    truth = tenant.truth
    by_id = {record["Id"]: record for record in audit}
    forged = [by_id[key] for key in truth.access_ids]

    assert {record["MailboxOwnerUPN"] for record in forged} == set(truth.victims)
    assert {(record["MailboxOwnerUPN"], item) for record in forged for _, item in listed(record)} == set(truth.listed)
    assert truth.listed < truth.read
    assert {record["ClientIPAddress"] for record in forged} == set(truth.addresses)
    assert [record["Id"] for record in accesses if record["ClientIPAddress"] in truth.addresses] != []
    assert {record["Id"] for record in accesses if record["ClientIPAddress"] in truth.addresses} == set(
        truth.access_ids
    )
    syncs = [record for record in forged if properties(record)["MailAccessType"] == "Sync"]
    assert [(record["MailboxOwnerUPN"], record["Item"]["ParentFolder"]["Path"]) for record in syncs] == [
        truth.synced_folder
    ]
    rule = by_id[truth.rule_id]
    assert (rule["Operation"], rule["ClientIP"].rpartition(":")[0]) == ("New-InboxRule", truth.addresses[0])
    assert rule["AppAccessContext"]["AADSessionId"] in truth.session_ids


def test_intruder_sessions_and_addresses_are_in_no_sign_in(tenant, sign_ins):
    assert {record["sessionId"] for record in sign_ins}.isdisjoint(tenant.truth.session_ids)
    assert {record["ipAddress"] for record in sign_ins}.isdisjoint(tenant.truth.addresses)


def test_the_spray_fails_for_every_account(tenant, sign_ins, audit):
    sprayed = [record for record in sign_ins if record["ipAddress"] == tenant.truth.spray_address]
    failed = [record for record in audit if record["Operation"] == "UserLoginFailed"]

    assert {record["status"]["errorCode"] for record in sprayed} == {50126, 50034}
    assert len({record["userPrincipalName"] for record in sprayed}) == 17
    ids = {*(f"signin:{record['id']}" for record in sprayed), *(record["Id"] for record in failed)}
    assert ids == set(tenant.truth.spray_ids)


def test_one_mailbox_sends_mail_and_has_no_mail_access_log(tenant, audit):
    operations = {record["Operation"] for record in audit if record.get("MailboxOwnerUPN") == tenant.unaudited_mailbox}

    assert "Send" in operations
    assert "MailItemsAccessed" not in operations


def test_a_note_says_that_it_is_simulated(tenant):
    assert (tenant.folder / NOTICE).read_text(encoding="utf-8").startswith("SIMULATED DATA.")
    assert "(simulated)" in tenant.name

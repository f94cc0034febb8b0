"""Rules over a store: every record of every export is seen once, and what is said of a rule is so."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from brokenseal.cli import app
from brokenseal.errors import UsageError
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.sigma import OWN_RULES, load_rules, load_text
from brokenseal.sigma.navigator import layer
from brokenseal.sigma.running import check_rules, run_rules
from brokenseal.store import Store
from brokenseal.wording import say

NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


def audit(number, operation="New-InboxRule", *, minute=0, **changes):
    return {
        "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
        "CreationTime": f"2026-03-01T10:{minute:02}:00",
        "Operation": operation,
        "RecordType": 1,
        "Workload": "Exchange",
        "UserId": "Ana@Example.org",
        "UserKey": "1003",
        "UserType": 0,
        "ResultStatus": "True",
        **changes,
    }


def sign_in(number, *, minute=0, user="ana@example.org", code=0, address="192.0.2.7", **changes):
    return {
        "id": f"11111111-2222-4333-8444-{number:012x}",
        "createdDateTime": f"2026-03-01T09:{minute:02}:00Z",
        "userPrincipalName": user,
        "userId": "u1",
        "appId": "a1",
        "appDisplayName": "Mail",
        "ipAddress": address,
        "clientAppUsed": "Browser",
        "isInteractive": True,
        "status": {"errorCode": code},
        **changes,
    }


def parameters(**values):
    return [{"Name": name, "Value": value} for name, value in values.items()]


def event(number):
    return f"6b0e63a5-0000-4000-8000-{number:012x}"


def signed(number):
    return f"signin:11111111-2222-4333-8444-{number:012x}"


def lines(*records):
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in records)


@pytest.fixture
def store_of(tmp_path):
    def make(**files):
        folder = tmp_path / "exports"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.json").write_text(content)
        settings = Settings(store_dir=tmp_path / "store", threads=2)
        ingest([folder], settings, now=NOW)
        return Store.open(settings)

    return make


def rule(detection, *, title="t", product="m365", service="audit", head=""):
    return f"title: {title}\n{head}logsource: {{product: {product}, service: {service}}}\ndetection:\n{detection}"


def hits_of(store, text, **more):
    result = run_rules(store, load_text(text), **more)
    assert result.faults == ()
    return result, [hit.event_ids for hit in result.hits]


FORWARDS = "  s:\n    Operation: New-InboxRule\n    Parameters.ForwardTo|contains: '@'\n  condition: s\n"


def test_a_record_is_seen_in_every_form_of_export_and_once(store_of):
    forwarding = parameters(ForwardTo="x@evil.example")
    outer = {"CreationDate": "2026-03-01T10:00:00", "UserIds": "ana@example.org", "Operations": "New-InboxRule"}
    store = store_of(
        bare=lines(audit(1, Parameters=forwarding), audit(2, Parameters=parameters(Name="x")), audit(1, Parameters=forwarding)),
        searched=lines(*({"RecordType": "1", **outer, "AuditData": json.dumps(audit(n, Parameters=forwarding)), "ResultIndex": n} for n in (1, 3))),
        wrapped=lines({"_source": audit(4, Parameters=forwarding)}, {"value": [audit(5, Parameters=forwarding), audit(6)]}),
        mixed=lines(audit(7, Parameters=forwarding), "{broken", audit(8, Parameters=forwarding)),
    )  # fmt: skip
    result, found = hits_of(store, rule(FORWARDS))

    assert [(event(n),) for n in (1, 3, 4, 5, 7, 8)] == sorted(found)
    assert {result.verdicts[0].rule.key: 6} == result.counts
    assert result.hits[0].actors == ("ana@example.org",)


def test_hits_are_all_counted_and_the_first_ones_listed(store_of):
    store = store_of(bare=lines(*(audit(n, minute=n) for n in range(1, 6))))
    result, found = hits_of(store, rule("  s: {Operation: new-inboxrule}\n  condition: s\n"), listed=2)

    assert list(result.counts.values()) == [5]
    assert [(event(1),), (event(2),)] == found


def test_records_are_judged_together_or_apart_with_the_same_hits(store_of, monkeypatch):
    """However the text is cut into pieces, and however many of them are judged at once; some lines go one by one."""
    files = {
        f"part{n}": lines(
            audit(3 * n), "{broken", {"value": [audit(3 * n + 1), audit(3 * n + 2, "Send")]}, audit(9 + n)
        )
        for n in range(3)
    }
    store = store_of(**files)
    text = rule("  s: {Operation: New-InboxRule}\n  condition: s\n")
    whole = hits_of(store, text)[1]
    monkeypatch.setattr("brokenseal.sigma.records._PIECE_BYTES", 1)
    monkeypatch.setattr("brokenseal.sigma.records._BLOCK_BYTES", 200)
    for limit in (1, 3, 100):
        monkeypatch.setattr("brokenseal.sigma.scanning._JUDGED_AT_ONCE", limit)

        assert whole == hits_of(store, text)[1]
    assert sorted(whole) == [(event(n),) for n in (0, 1, 3, 4, 6, 7, 9, 10, 11)]


def test_keywords_are_found_anywhere_in_the_record(store_of):
    store = store_of(bare=lines(audit(1, Parameters=parameters(ForwardTo="x@evil.example")), audit(2)))

    assert [(event(1),)] == hits_of(store, rule("  k: ['EVIL.example']\n  condition: k\n"))[1]


def test_parameters_are_searched_as_text_as_published_rules_do(store_of):
    store = store_of(bare=lines(audit(1, Parameters=parameters(DeleteMessage="True")), audit(2, Parameters=parameters(Name="True"))))  # fmt: skip
    detection = "  s:\n    Parameters|contains|all: [DeleteMessage, 'True']\n  condition: s\n"

    assert [(event(1),)] == hits_of(store, rule(detection))[1]


def test_internal_domains_are_those_of_the_mailboxes(store_of):
    store = store_of(
        bare=lines(
            audit(1, "MailItemsAccessed", MailboxOwnerUPN="Ana@Example.org", RecordType=50, MailboxGuid="m1", OperationProperties=parameters(MailAccessType="Bind")),
            audit(2, Parameters=parameters(ForwardTo="bob@example.org")),
            audit(3, Parameters=parameters(ForwardTo="x@evil.example")),
        )
    )  # fmt: skip
    result = run_rules(store, load_rules([OWN_RULES / "door_inbox_rule_external.yml"]))

    assert [(event(3),)] == [hit.event_ids for hit in result.hits]


CORRELATION = """\
---
title: Many accounts
id: 22222222-2222-4333-8444-555555555555
correlation:
  type: value_count
  rules: [failed]
  group-by: [src_ip]
  aliases: {src_ip: {failed: IPAddress}}
  timespan: 10m
  condition: {field: UserPrincipalName, gte: 3}
---
title: Then success
id: 33333333-2222-4333-8444-555555555555
correlation:
  type: temporal_ordered
  rules: [22222222-2222-4333-8444-555555555555, ok]
  group-by: [src_ip]
  aliases: {src_ip: {22222222-2222-4333-8444-555555555555: src_ip, ok: IPAddress}}
  timespan: 30m
"""


def correlations():
    failed = rule(
        "  s: {Status: Failure}\n  condition: s\n", head="name: failed\n", product="azure", service="signinlogs"
    )
    good = rule("  s: {Status: Success}\n  condition: s\n", head="name: ok\n", product="azure", service="signinlogs")
    return f"{failed}---\n{good}{CORRELATION}"


def test_correlation_rules_count_and_may_count_each_other(store_of):
    users = ("a@example.org", "B@example.org", "b@example.org", "c@example.org")
    tries = [sign_in(n, minute=n, user=user, code=50126, address="198.51.100.9") for n, user in enumerate(users)]
    store = store_of(
        signins=lines(
            *tries, sign_in(9, minute=20, user="c@example.org", address="198.51.100.9"), sign_in(10, minute=21)
        )
    )
    result, found = hits_of(store, correlations().rpartition("---")[0])

    # Rules that feed a correlation rule are not shown themselves.
    assert result.counts == {"ok": 2, "22222222-2222-4333-8444-555555555555": 1}
    assert tuple(signed(n) for n in range(4)) == found[-1]
    assert result.hits[-1].group == (("src_ip", "198.51.100.9"),)


def test_a_correlation_of_a_correlation_fires_where_its_parts_share_the_group(store_of):
    tries = [sign_in(n, minute=n, user=f"{n}@example.org", code=50126, address="198.51.100.9") for n in range(3)]
    success = sign_in(9, minute=20, user="c@example.org", address="198.51.100.9")
    text = correlations().replace(
        "id: 22222222-2222-4333-8444-555555555555\n", "id: 22222222-2222-4333-8444-555555555555\nname: many\n"
    )
    result, found = hits_of(store_of(signins=lines(*tries, success)), text)

    # The feeding correlation is not shown, the one that counts it is.
    assert [verdict.rule.title for verdict in result.verdicts if verdict.rule.key in result.counts] == ["Then success"]
    assert [(signed(2), signed(9))] == found


def test_what_a_rule_needs_and_whether_this_store_has_it(store_of):
    store = store_of(bare=lines(audit(1, Parameters=parameters(Name="x"))))
    text = "---\n".join(
        (
            rule("  s: {Operation: x}\n  condition: s\n", title="could fire"),
            rule("  s: {Parameters.ForwardTo: x}\n  condition: s\n", title="nobody did it so far"),
            rule("  s: {Operation: x, NoSuchThing: y}\n  condition: s\n", title="unknown field"),
            rule("  s: {Operation: x}\n  f: {NoSuchThing: y}\n  condition: s and not f\n", title="unknown in a filter"),
            rule("  s: {Verdict: y}\n  condition: s\n", title="column not exported"),
            rule("  s: {Operation: '<your own operation>'}\n  condition: s\n", title="left open"),
            rule(
                "  s: {ResultType: 0}\n  condition: s\n",
                title="no such log here",
                product="azure",
                service="signinlogs",
            ),
            rule("  s: {a: 0}\n  condition: s\n", title="log not read", product="azure", service="activitylogs"),
            rule("  s: {a: 0}\n  condition: s\n", title="another world", product="windows", service="security"),
            rule("  s: {'Operation|expand': '%vips%'}\n  condition: s\n", title="needs values"),
        )
    )
    verdicts, faults = check_rules(store, load_text(text))
    found = {each.rule.title: (each.state, say(each.reason, "en")) for each in verdicts}

    assert found == {
        "could fire": ("runnable", ""),
        "nobody did it so far": ("runnable", "So far no record has Parameters.ForwardTo"),
        "unknown field": (
            "never",
            "No record of this log (unified audit log) is known to have the field NoSuchThing, and without it the condition is never true",
        ),
        "unknown in a filter": ("runnable", ""),
        "column not exported": (
            "source_absent",
            "No record of this log here (unified audit log) has the field Verdict, and without it the condition is never true",
        ),
        "left open": ("never", "A value was left to be filled in: <your own operation>"),
        "no such log here": ("source_absent", "This store has no record of this log: Entra sign-in logs"),
        "log not read": ("source_absent", "The product does not read the activity log of Azure subscriptions"),
        "another world": ("source_absent", "The product reads no log of the source windows/security"),
        "needs values": ("unreadable", "it needs values for the placeholder %vips%"),
    }
    assert [fault.reason for fault in faults] == ["it needs values for the placeholder %vips%"]
    assert next(each.unmapped for each in verdicts if each.rule.title == "unknown field") == ("NoSuchThing",)


SIGN_IN_RULE = "title: s\nname: signins\nlogsource: {product: azure, service: signinlogs}\ndetection:\n  s: {ResultType: 0}\n  condition: s\n"
AUDIT_RULE = "title: a\nname: audit\nlogsource: {product: m365, service: audit}\ndetection:\n  s: {Operation: x}\n  condition: s\n"


@pytest.mark.parametrize(
    ("kind", "condition", "state"),
    [
        ("event_count", "{gte: 2}", "runnable"),
        ("value_count", "{gte: 2, field: UserId}", "runnable"),
        ("temporal", "{gte: 2}", "source_absent"),
        ("temporal", "{gte: 1}", "runnable"),
        ("temporal", "signins and audit", "source_absent"),
        ("temporal", "signins or audit", "runnable"),
        ("temporal", "audit and not signins", "runnable"),
        ("temporal_ordered", "{gte: 2}", "source_absent"),
    ],
)
def test_a_rule_that_counts_hits_of_an_absent_log_is_runnable_where_the_other_log_is_enough(
    store_of, kind, condition, state
):
    counting = (
        f"title: c\ncorrelation:\n  type: {kind}\n  rules: [signins, audit]\n  group-by: [UserId]\n"
        f"  timespan: 1h\n  condition: {condition}\n"
    )
    text = f"{SIGN_IN_RULE}---\n{AUDIT_RULE}---\n{counting}"
    verdicts, faults = check_rules(store_of(bare=lines(audit(1))), load_text(text))
    (found,) = (each for each in verdicts if each.rule.title == "c")

    assert (found.state, faults) == (state, ())
    assert say(found.reason, "en") == ("" if state == "runnable" else "It counts hits of “s”, which cannot fire")


def test_hits_bear_the_places_of_the_list_of_rules_whatever_order_the_condition_has(store_of):
    counting = (
        "title: c\ncorrelation:\n  type: temporal\n  rules: [signins, audit]\n  group-by: [UserId]\n"
        "  timespan: 1h\n  condition: audit and not signins\n"
    )
    text = f"{AUDIT_RULE}---\n{SIGN_IN_RULE}---\n{counting}"
    only_read = audit(1, "x", UserId="ana@example.org")
    only_in = sign_in(2, user="ben@example.org", code=0)
    result, _ = hits_of(store_of(bare=lines(only_read), signins=lines(only_in)), text)

    assert [hit.group for hit in result.hits] == [(("UserId", "ana@example.org"),)]


def test_reasons_are_said_in_french(store_of):
    text = rule("  s: {a: 0}\n  condition: s\n", product="azure", service="activitylogs")
    ((verdict,), _) = check_rules(store_of(bare=lines(audit(1))), load_text(text))

    assert say(verdict.reason, "fr") == "Le produit ne lit pas le journal d’activité des abonnements Azure"


def test_the_layer_shows_the_share_of_runnable_rules_and_says_why(store_of):
    tags = "tags: [attack.t1114.003, attack.collection]\n"
    text = "---\n".join(
        (
            rule("  s: {Operation: x}\n  condition: s\n", title="a", head=tags),
            rule("  s: {a: x}\n  condition: s\n", title="b", head=tags, product="azure", service="pim"),
        )
    )
    found = layer(check_rules(store_of(bare=lines(audit(1))), load_text(text))[0])
    (technique,) = found["techniques"]

    assert (technique["techniqueID"], technique["score"]) == ("T1114.003", 50)
    assert "b (medium): needs what this store does not have" in technique["comment"]
    assert (found["domain"], found["versions"]["layer"]) == ("enterprise-attack", "4.5")


# ---------------------------------------------------------------- the rules that the product publishes

BIND = {
    "RecordType": 50,
    "MailboxOwnerUPN": "ana@example.org",
    "MailboxGuid": "m1",
    "OperationProperties": parameters(MailAccessType="Bind"),
}
OWN = {
    "Recording Of Mail Access Throttled": (
        audit(1, "MailItemsAccessed", **BIND | {"OperationProperties": parameters(MailAccessType="Bind", IsThrottled="True")}),
        audit(2, "MailItemsAccessed", **BIND | {"OperationProperties": parameters(MailAccessType="Bind", IsThrottled="False")}),
    ),
    "Mail Read By An Application With Its Own Permissions": (
        audit(1, "MailItemsAccessed", **BIND, UserType=5), audit(2, "MailItemsAccessed", **BIND),
    ),
    "Mail Read By A Scripting Client": (
        audit(1, "MailItemsAccessed", **BIND, ClientInfoString="Client=REST;python-requests/2.32;"),
        audit(2, "MailItemsAccessed", **BIND, ClientInfoString="Client=OWA;Mozilla/5.0"),
    ),
    "Full Access To A Mailbox Granted By A Person": (
        audit(1, "Add-MailboxPermission", Parameters=parameters(AccessRights="FullAccess")),
        audit(2, "Add-MailboxPermission", Parameters=parameters(AccessRights="FullAccess"), UserKey="NT AUTHORITY\\SYSTEM (w3wp)", UserType=3),
    ),
    "Mail Folder Opened To Everybody": (
        audit(1, "Set-MailboxFolderPermission", Parameters=parameters(Identity="ana:\\Inbox", User="Default", AccessRights="Reviewer")),
        audit(2, "Set-MailboxFolderPermission", Parameters=parameters(Identity="ana:\\Calendar", User="Default", AccessRights="Reviewer")),
    ),
    "Mailbox Set To Forward To An Address": (
        audit(1, "Set-Mailbox", Parameters=parameters(ForwardingSmtpAddress="smtp:x@evil.example")),
        audit(2, "Set-Mailbox", Parameters=parameters(ForwardingSmtpAddress="")),
    ),
    "Inbox Rule That Hides Mail": (
        audit(1, Parameters=parameters(MoveToFolder="RSS Feeds", MarkAsRead="True")), audit(2, Parameters=parameters(MoveToFolder="RSS Feeds")),
    ),
    "Mailbox Auditing Bypassed Or Switched Off": (
        audit(1, "Set-Mailbox", Parameters=parameters(AuditEnabled="False")), audit(2, "Set-Mailbox", Parameters=parameters(AuditEnabled="True")),
    ),
    "Consent To An Application That Reads Mail": (
        audit(1, "Consent to application.", RecordType=8, ModifiedProperties=[{"Name": "ConsentAction.Permissions", "NewValue": "Scope: Mail.Read", "OldValue": ""}]),
        audit(2, "Consent to application.", RecordType=8, ModifiedProperties=[{"Name": "ConsentAction.Permissions", "NewValue": "Scope: User.Read", "OldValue": ""}]),
    ),
    "Credential Added To An Application": (
        audit(1, "Add service principal credentials.", RecordType=8), audit(2, "Add service principal.", RecordType=8),
    ),
    "Domain Federation Changed": (audit(1, "Set domain authentication.", RecordType=8), audit(2, "Set company information.", RecordType=8)),
    "Sign-In By Device Code": (sign_in(1, authenticationProtocol="deviceCode"), sign_in(2, authenticationProtocol="none")),
    "Sign-In With An Anomalous Token": (
        sign_in(1, riskEventTypes_v2=["unfamiliarFeatures", "anomalousToken"]), sign_in(2, riskEventTypes_v2=["unfamiliarFeatures"]),
    ),
}  # fmt: skip
SEVERAL = {
    "Many Mail Folders Synchronised In Half An Hour": (
        [audit(n, "MailItemsAccessed", minute=n, **BIND | {"ClientIPAddress": "192.0.2.9", "OperationProperties": parameters(MailAccessType="Sync"), "Item": {"ParentFolder": {"Path": f"\\F{n}"}}}) for n in range(1, 9)], 8,
    ),
    "One Client Application Reads Many Mailboxes": (
        [audit(n, "MailItemsAccessed", minute=n, **BIND | {"MailboxOwnerUPN": f"u{n}@example.org", "ClientAppId": "app"}) for n in range(1, 7)], 6,
    ),
    "One Address Tries Many Accounts": ([sign_in(n, minute=n, user=f"u{n}@example.org", code=50126) for n in range(10)], 10),
    "Sign-In After Many Wrong Passwords From The Same Address": ([sign_in(1, code=50126), sign_in(2, minute=5)], 2),
}  # fmt: skip


def test_every_rule_of_ours_fires_on_what_it_is_for_and_not_beside_it(store_of):
    """One store for all: each rule hits its own record, and never the one that only looks like it."""
    records, expected = [], {}
    for place, (title, pair) in enumerate(OWN.items()):
        for number, record in enumerate(pair):
            key = "id" if "id" in record else "Id"
            own = {**record, key: record[key][:-4] + f"{place:02x}{number:02x}"}
            records.append(own)
            if number == 0:
                expected[title] = (f"signin:{own['id']}" if key == "id" else own["Id"],)
    store = store_of(bare=lines(*(r for r in records if "Id" in r)), signins=lines(*(r for r in records if "id" in r)))
    result = run_rules(store, load_rules([OWN_RULES]))
    titles = {verdict.rule.key: verdict.rule.title for verdict in result.verdicts}
    found = {}
    for hit in result.hits:
        found.setdefault(titles[hit.rule_key], []).append(hit.event_ids)

    assert result.faults == ()
    assert {title: [ids] for title, ids in expected.items()} == {title: found.get(title) for title in expected}


@pytest.mark.parametrize("title", SEVERAL)
def test_every_correlation_rule_of_ours_needs_all_of_its_records(title, store_of):
    records, number = SEVERAL[title]
    store = store_of(some=lines(*records))
    result = run_rules(store, load_rules([OWN_RULES]))
    keys = {verdict.rule.title: verdict.rule.key for verdict in result.verdicts}

    assert [number] == [len(hit.event_ids) for hit in result.hits if hit.rule_key == keys[title]]


def test_one_record_less_is_too_few(store_of):
    for title, (records, _) in SEVERAL.items():
        store_of(**{title.replace(" ", ""): lines(*records[1:])})
    store = store_of()
    result = run_rules(store, load_rules([OWN_RULES / "mail_access_sync.yml", OWN_RULES / "mail_access_bind.yml"]))

    assert dict(result.counts) == {}


def test_every_rule_of_ours_has_a_case_here():
    read = load_rules([OWN_RULES])
    shown = {each.title for each in read.rules if each.is_shown}

    assert shown == OWN.keys() | SEVERAL.keys() | {"Inbox Rule That Sends Mail Outside"}


# ---------------------------------------------------------------- command line


def test_the_command_line_runs_checks_and_maps(store_of, tmp_path):
    store_of(bare=lines(audit(1, Parameters=parameters(ForwardTo="x@evil.example"))))
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "good.yml").write_text(rule(FORWARDS, title="Forwards"))
    where = ["--store", str(tmp_path / "store")]
    ran = CliRunner().invoke(app, ["rules", "run", str(rules), *where, "--json"])
    document = json.loads(ran.stdout)

    assert ran.exit_code == 0
    assert [[event(1)]] == [hit["event_ids"] for hit in document["hits"]]
    assert [(each["title"], each["hits"], each["state"]) for each in document["rules"]] == [("Forwards", 1, "runnable")]

    (rules / "bad.yml").write_text("title: x\n  y: [\n")
    checked = CliRunner().invoke(app, ["rules", "check", str(rules), *where])

    assert checked.exit_code == 3
    assert f"{rules / 'bad.yml'}:2: not YAML" in checked.stderr
    assert "1 runnable" in checked.stdout

    tried = CliRunner().invoke(app, ["rules", "check", str(rules), "--json"])

    assert tried.exit_code == 3
    assert [(each["title"], each["state"]) for each in json.loads(tried.stdout)["rules"]] == [("Forwards", "runnable")]

    refused = CliRunner().invoke(app, ["rules", "check", str(rules), *where, "--engine", "spark"])

    assert isinstance(refused.exception, UsageError)

    target = tmp_path / "layer.json"
    mapped = CliRunner().invoke(app, ["rules", "coverage", *where, "-o", str(target)])

    assert mapped.exit_code == 0
    assert "T1114.003" in {each["techniqueID"] for each in json.loads(target.read_text())["techniques"]}

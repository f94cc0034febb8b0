"""Each rule fires on one small case and is quiet on its neighbour, with exactly these alerts."""

from __future__ import annotations

import random

import pytest

from baseline_runner import BY_ID, DAY, HOUR, MINUTE, alerts, filled

ANA, BEN, CAT = "ana@corp.example", "ben@corp.example", "cat@corp.example"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
HOME = "4765445b-32c6-49b0-83e6-1d93765276ca"
EWS = "Client=WebServices;ExchangeWebServices/1.0"


def read(event_id, at=0, box=ANA, **columns):
    return {"event_id": event_id, "at": at, "tenant_id": "t", "mailbox_key": f"k-{box}", "mailbox_upn": box,
            "actor_key": box, "access_type": "bind", **columns}  # fmt: skip


def login(event_id, at=0, who=ANA, **columns):
    return {"event_id": event_id, "at": at, "tenant_id": "t", "actor_key": who, "category": "audit_log",
            "succeeded": True, "ip_class": "public", **columns}  # fmt: skip


def ask(event_id, at=0, **columns):
    return {"event_id": event_id, "at": at, "tenant_id": "t", "subject_id": "o-ana", "app_id": "app", "status_code": 200,
            "uri": "https://graph.microsoft.com/v1.0/me/messages", "client_ip": "9.9.9.9", "ip_class": "public",
            **columns}  # fmt: skip


def change(event_id, kind, at=0, who=BEN, **columns):
    return {"event_id": event_id, "at": at, "tenant_id": "t", "change": kind, "actor_key": who, "succeeded": True,
            "is_service": False, **columns}  # fmt: skip


PLACE = login("p1", at=-60 * DAY, who=CAT, category="adfs", client_ip="9.9.9.9", asn=100)
OTHER = login("p2", at=-60 * DAY, who=CAT, category="adfs", client_ip="7.7.7.7", asn=200)
NAMED = login("p3", at=-60 * DAY, subject_id="o-ana", category="interactive", client_ip="9.9.9.9", asn=100)
KINDS = ("rule", "key", "event", "score", "subject", "mailbox")

# Rule, why, rows by table, alerts as (rule, key, event, score, subject, mailbox); a rule can be quiet on its own rows.
CASES = [
    (
        "B1",
        "an application is unusual while no mailbox, or at most two, were read with it in the 30 days before",
        {"mail_accesses": [
            read("a1", client_app_id="x"), read("a2", at=HOUR, client_app_id="x"),
            read("b1", at=2 * HOUR, box=BEN, client_app_id="x"), read("c1", at=3 * HOUR, box=CAT, client_app_id="x"),
            read("d1", at=4 * HOUR, box="d@corp.example", client_app_id="x"),
            read("a3", at=HOUR + 30 * DAY + 4 * HOUR, client_app_id="x"),
        ]},
        [("B1", "a1", "a1", 1000, ANA, ANA), ("B1", "a3", "a3", 1000, ANA, ANA)]
        + [("B1-k2", key, key, score, box, box) for key, score, box in (
            ("a1", 1000, ANA), ("a2", 500, ANA), ("a3", 1000, ANA), ("b1", 500, BEN), ("c1", 333, CAT))],
    ),
    (
        "B1",
        "a use counts for exactly 30 days",
        {"mail_accesses": [read("a1", client_app_id="x"), read("a2", at=30 * DAY, client_app_id="x"),
                           read("a3", at=60 * DAY + 1, client_app_id="x")]},
        [("B1", "a1", "a1", 1000, ANA, ANA), ("B1", "a3", "a3", 1000, ANA, ANA),
         ("B1-k2", "a1", "a1", 1000, ANA, ANA), ("B1-k2", "a2", "a2", 500, ANA, ANA),
         ("B1-k2", "a3", "a3", 1000, ANA, ANA)],
    ),
    (
        "B2",
        "new to the tenant in 14 days; delegates, syncs, services and unnamed clients are not looked at",
        {"mail_accesses": [
            read("a1", client_app_id="x", logon_type=0, user_type=0),
            read("b1", at=14 * DAY, box=BEN, client_app_id="x", logon_type=0, user_type=0),
            read("b2", at=28 * DAY + 1, box=BEN, client_app_id="x", logon_type=0, user_type=0),
            read("q1", client_app_id="y", logon_type=2, user_type=0),
            read("q2", client_app_id="z", logon_type=0, user_type=0, access_type="sync"),
            read("q3", client_app_id="v", logon_type=0, user_type=5),
            read("q4", logon_type=0, user_type=0),
        ]},
        [("B2", "a1", "a1", None, ANA, ANA), ("B2", "b2", "b2", None, BEN, BEN)],
    ),
    (
        "B3",
        "100 items or throttled; raised to 250, one alert a day, without the proxy's networks",
        {
            "mail_accesses": [
                read("a1", operation_count=100), read("a2", at=HOUR, operation_count=99),
                read("a3", at=2 * HOUR, operation_count=250), read("a4", at=3 * HOUR, operation_count=300),
                read("b1", box=BEN, operation_count=7, is_throttled=True),
                read("b2", at=DAY, box=BEN, operation_count=400, client_ip="8.8.8.8", ip_class="public"),
                read("q1", operation_count=900),
            ],
            "events": [{"event_id": key, "record_type": 50} for key in ("a1", "a2", "a3", "a4", "b1", "b2")]
            + [{"event_id": "q1", "record_type": 2}],
            "sign_ins": [login("s1", client_ip="8.8.8.8", asn=22616)],
        },
        [("B3", "a1", "a1", 100_000, ANA, ANA), ("B3", "a3", "a3", 250_000, ANA, ANA),
         ("B3", "a4", "a4", 300_000, ANA, ANA), ("B3", "b1", "b1", 1_000_000, BEN, BEN),
         ("B3", "b2", "b2", 400_000, BEN, BEN), ("B3-250", "a3", "a3", 300_000, ANA, ANA),
         ("B3-250", "a3", "a4", 300_000, ANA, ANA), ("B3-250", "b1", "b1", 1_000_000, BEN, BEN)],
    ),
    (
        "B4",
        "a new combination that asks for mail; settings, refusals, other paths and unknown networks are quiet",
        {
            "graph_requests": [
                ask("g1"), ask("g2", at=7 * DAY), ask("g3", at=14 * DAY + 1), ask("g4", at=1, client_ip="7.7.7.7"),
                ask("q1", app_id="b", uri="https://graph.microsoft.com/v1.0/me/mailboxSettings"),
                ask("q2", app_id="c", status_code=403), ask("q3", app_id="d", uri="https://graph.microsoft.com/v1.0/me"),
                ask("q4", app_id="e", client_ip="6.6.6.6"),
                ask("q5", app_id="f", subject_id="o-app", uri="https://graph.microsoft.com/v1.0/users/x/messages"),
            ],
            "sign_ins": [PLACE, OTHER, NAMED],
        },
        [("B4", key, key, None, ANA, ANA) for key in ("g1", "g3", "g4")],
    ),
    (
        "B5",
        "a sign-in at one network and, minutes later, requests from another alone",
        {
            "graph_requests": [
                ask("g1", at=29 * MINUTE + 50, session_id="s", client_ip="7.7.7.7"),
                ask("g2", at=31 * MINUTE, session_id="s", client_ip="7.7.7.7"),
                ask("q1", at=MINUTE, session_id="r", client_ip="7.7.7.7"),
                ask("q2", at=2 * MINUTE, session_id="r", client_ip="9.9.9.9"),
                ask("q3", at=40 * MINUTE, session_id="late", client_ip="7.7.7.7"),
            ],
            "sign_ins": [
                PLACE, OTHER, NAMED,
                login("s1", at=MINUTE, category="interactive", subject_id="o-ana", app_id="app", session_id="s",
                      client_ip="9.9.9.9"),
                login("s2", category="interactive", subject_id="o-ana", app_id="app", session_id="r",
                      client_ip="9.9.9.9"),
                login("s3", category="interactive", subject_id="o-ana", app_id="app", session_id="late",
                      client_ip="9.9.9.9"),
            ],
        },
        [("B5", "s1", "g1", None, ANA, ANA), ("B5", "s1", "s1", None, ANA, ANA)],
    ),
    (
        "B6",
        "an application new to its user at the silent sign-in, and at Graph",
        {
            "sign_ins": [
                NAMED,
                login("s1", category="non_interactive", app_id="x"),
                login("s2", at=14 * DAY, category="non_interactive", app_id="x"),
                login("s3", at=1, category="non_interactive", app_id="x", who=BEN),
                login("q1", category="interactive", app_id="y"),
                login("q2", category="non_interactive", app_id="z", succeeded=False),
            ],
            "graph_requests": [ask("g1"), ask("g2", at=10 * DAY), ask("g3", at=20 * DAY + 1)],
        },
        [("B6", "s1", "s1", None, ANA, ANA), ("B6", "s3", "s3", None, BEN, BEN),
         ("B6b", "g1", "g1", None, ANA, ANA), ("B6b", "g3", "g3", None, ANA, ANA)],
    ),
    (
        "B7",
        "a mailbox with more than 25 records, and more than half, of an hour that stands out",
        {"mail_accesses": [read(f"n{hour}", at=hour * HOUR, box=BEN) for hour in range(-8, 4 * 24)]
         + [read(f"s{number:02}", at=2 * DAY + number) for number in range(26)]
         + [read(f"u{number:02}", at=2 * DAY + number, box=CAT) for number in range(24)]},
        [("B7", "s00", f"s{number:02}", None, ANA, ANA) for number in range(26)],
    ),
    (
        "B7",
        "25 records are too few",
        {"mail_accesses": [read(f"n{hour}", at=hour * HOUR, box=BEN) for hour in range(-8, 4 * 24)]
         + [read(f"s{number:02}", at=2 * DAY + number) for number in range(25)]},
        [],
    ),
    (
        "B8",
        "a second mailbox of somebody else, and six folders of one",
        {
            "mail_accesses": [
                read("a1", actor_key=CAT), read("b1", at=13 * DAY, box=BEN, actor_key=CAT),
                read("f1", at=1, box=BEN, actor_key=ANA), read("own", at=2),
            ],
            "accessed_items": [{"event_id": "f1", "folder_path": f"\\{number}"} for number in range(6)],
        },
        [("B8", "b1", "b1", 2000, CAT, BEN), ("B8", "f1", "f1", 1006, ANA, BEN)],
    ),
    (
        "B8",
        "usual pairs, five folders, and a second mailbox after the window are quiet",
        {
            "mail_accesses": [
                *(read(f"u{day:02}", at=day * DAY, actor_key=CAT) for day in range(0, 30, 10)),
                read("b1", at=25 * DAY, box=BEN, actor_key=CAT),
                read("f1", box=BEN, actor_key=ANA),
            ],
            "accessed_items": [{"event_id": "f1", "folder_path": f"\\{number}"} for number in range(5)],
        },
        [],
    ),
    (
        "B9",
        "six mailboxes in ten minutes; five are too few, and other interfaces are not looked at",
        {"mail_accesses": [
            *(read(f"a{number}", at=number, box=f"m{number}@corp.example", app_id=GRAPH, client_app_id="x")
              for number in range(6)),
            *(read(f"b{number}", at=number, box=f"m{number}@corp.example", app_id="e", client_app_id="y",
                   client_info=EWS) for number in range(5)),
            *(read(f"q{number}", at=number, box=f"m{number}@corp.example", app_id="e", client_app_id="z")
              for number in range(7)),
        ]},
        [("B9", "a0", f"a{number}", 6000, "app:x", f"m{number}@corp.example") for number in range(6)]
        + [("B9b", f"b{number}", f"b{number}", None, f"m{number}@corp.example", f"m{number}@corp.example")
           for number in range(5)]
        + [("B9c", f"a{number}", f"a{number}", None, f"m{number}@corp.example", f"m{number}@corp.example")
           for number in range(6)],
    ),
    (
        "B10",
        "two addresses in a session, or in five minutes; many agents and programs in five minutes",
        {"sign_ins": [
            login("s1", session_id="s", client_ip="1.1.1.1"), login("s2", at=DAY, session_id="s", client_ip="2.2.2.2"),
            login("q1", session_id="r", client_ip="1.1.1.1"), login("q2", at=DAY, session_id="r", client_ip="1.1.1.1"),
            login("n1", who=BEN, category="non_interactive", client_ip="1.1.1.1"),
            login("n2", at=299, who=BEN, category="non_interactive", client_ip="2.2.2.2"),
            login("q3", at=300, who=BEN, category="non_interactive", client_ip="3.3.3.3"),
            *(login(f"m{number}", at=number, who=CAT, category="interactive", user_agent=f"u{number}",
                    app_id=f"p{number % 3}") for number in range(6)),
            *(login(f"q{number}", at=HOUR + number, who=CAT, category="interactive", user_agent=f"u{number}",
                    app_id=f"p{number % 2}") for number in range(4, 10)),
        ]},
        [("B10", "s1", "s1", 2000, ANA, ANA), ("B10", "s1", "s2", 2000, ANA, ANA),
         ("B10b", "n1", "n1", 2000, BEN, BEN), ("B10b", "n1", "n2", 2000, BEN, BEN)]
        + [("B10c", "m0", f"m{number}", 6000, CAT, CAT) for number in range(6)],
    ),
    (
        "B11",
        "two addresses within 30 seconds; the kit's program at the portal",
        {"sign_ins": [
            login("s1", client_ip="1.1.1.1", resource_id=EXCHANGE),
            login("s2", at=30, client_ip="2.2.2.2", resource_id=EXCHANGE),
            login("q1", at=61, client_ip="3.3.3.3"), login("q2", at=62, client_ip="3.3.3.3"),
            login("o1", who=BEN, client_ip="1.1.1.1", resource_id="x"), login("o2", at=10, who=BEN, client_ip="2.2.2.2"),
            login("k1", who=CAT, category="interactive", app_id=HOME, resource_id=HOME, user_agent="Axios/1.7"),
            login("q3", who=CAT, category="interactive", app_id=HOME, resource_id=HOME, user_agent="Mozilla/5.0"),
            login("q4", who=CAT, category="interactive", app_id=HOME, resource_id=GRAPH, user_agent="axios/1.7"),
        ]},
        [("B11", "o2", "o2", 20_000, BEN, BEN), ("B11", "s2", "s2", 0, ANA, ANA), ("B11-apps", "s2", "s2", 0, ANA, ANA),
         ("B11b", "k1", "k1", None, CAT, CAT)],
    ),
    (
        "B12",
        "rights on mailboxes: the first by a person in 14 days, the strongest ones by anybody, and the listed operation",
        {
            "config_changes": [
                change("d1", "mailbox_permission", operation_key="add-mailboxpermission", target_key=ANA,
                       rights=["FullAccess"]),
                change("d2", "recipient_permission", at=14 * DAY, target_key=ANA, rights=["SendAs"]),
                change("d3", "mailbox_permission", operation_key="add-mailboxpermission", target_key=CAT,
                       who="system", is_service=True, rights=["ChangeOwner"]),
                change("q1", "mailbox_permission", operation_key="add-mailboxpermission", target_key=CAT, who=ANA,
                       rights=["ReadPermission"]),
                change("q2", "mailbox_permission", operation_key="add-mailboxpermission", target_key=CAT, who=CAT,
                       rights=["FullAccess"], succeeded=False),
            ],
            "events": [{"event_id": "d1", "tenant_id": "t", "operation_key": "add-mailboxpermission", "actor_key": BEN},
                       {"event_id": "d3", "operation_key": "add-mailboxpermission", "is_service": True}],
        },
        [("B12-elastic-delegation", "d1", "d1", None, ANA, ANA), ("B12-sentinel-operation", "d1", "d1", None, BEN, None),
         ("B12-splunk-full-access", "d1", "d1", None, ANA, ANA), ("B12-splunk-full-access", "d3", "d3", None, CAT, CAT)],
    ),
    (
        "B12",
        "forwarding outside, graded, and shared by two users",
        {
            "config_changes": [
                change("f1", "inbox_rule", operation_key="new-inboxrule", who=ANA, target_key=ANA,
                       rule_effects=["delete", "forward"], destinations=["x@evil.example"],
                       external_destinations=["x@evil.example"], rule_conditions=["Suspicious sign-in"]),
                change("f2", "mailbox_forwarding", at=7 * DAY, operation_key="set-mailbox", target_key=BEN,
                       destinations=["x@evil.example"], external_destinations=["x@evil.example"]),
                change("q1", "mailbox_forwarding", at=15 * DAY, operation_key="set-mailbox", target_key=CAT,
                       destinations=["x@evil.example"]),
                change("q2", "inbox_rule", operation_key="new-inboxrule", who=CAT, target_key=CAT,
                       rule_effects=["move"], rule_conditions=["newsletter"]),
            ],
            "change_settings": [{"event_id": "f2", "name_key": "delivertomailboxandforward", "new_value": "True"}],
        },
        [("B12-elastic-forwarding", "f1", "f1", None, ANA, ANA), ("B12-elastic-forwarding", "f2", "f2", None, BEN, BEN),
         ("B12-panther-forwarding", "f1", "f1", 2000, ANA, ANA), ("B12-panther-forwarding", "f2", "f2", 1000, BEN, BEN),
         ("B12-sentinel-hiding-rule", "f1", "f1", None, ANA, ANA),
         ("B12-sentinel-shared-forward", "f2", "f2", 2000, BEN, BEN)],
    ),
    (
        "B12",
        "impersonation, and auditing switched off",
        {"config_changes": [
            change("i1", "management_role", rights=["ApplicationImpersonation"], target_key="svc"),
            change("q1", "management_role", rights=["View-Only Recipients"], target_key="svc"),
            change("o1", "audit_disabled"), change("q2", "mailbox_audit_disabled"),
        ]},
        [("B12-sentinel-audit-off", "o1", "o1", None, BEN, None),
         ("B12-splunk-impersonation", "i1", "i1", None, "svc", None)],
    ),
    (
        "B12",
        "roles, consents and credentials of applications",
        {
            "config_changes": [
                change("r1", "app_role_grant", changed_app_id="x", rights=["full_access_as_app"]),
                change("r2", "app_role_grant", changed_app_id="y", rights=["Mail.Read"]),
                change("q1", "app_role_grant", changed_app_id="y", rights=["User.Read.All"]),
                change("u1", "app_updated", changed_app_id="v"),
                change("c1", "consent", who=ANA, changed_app_id="z", rights=["Mail.Send"], is_admin_consent=False),
                change("c2", "consent", who=CAT, changed_app_id="w", rights=["User.Read"], is_admin_consent=True),
                change("g1", "delegated_grant", at=60, who=ANA, changed_app_id="z", rights=["Mail.Read"],
                       is_admin_consent=False),
                change("q2", "delegated_grant", at=61, who=ANA, changed_app_id="z", rights=["Mail.Read"]),
                change("k1", "app_credential", changed_app_id="x"), change("k2", "app_credential", changed_app_id="y"),
            ],
            "change_settings": [
                {"event_id": "u1", "name_key": "requiredresourceaccess",
                 "new_value": "[{810C84A8-4A9E-49E6-BF7D-12D183F40D01}]"},
                {"event_id": "k1", "name_key": "keydescription", "new_value": "KeyUsage=Verify", "old_value": "[]"},
                {"event_id": "k2", "name_key": "keydescription", "new_value": "KeyUsage=Verify", "old_value": "[one]"},
            ],
        },
        [("B12-sentinel-first-credential", "k1", "k1", None, "app:x", None),
         ("B12-sentinel-mail-grant", "g1", "g1", None, "app:z", None),
         ("B12-sentinel-rare-consent", "c1", "c1", None, "app:z", None),
         ("B12-sentinel-rare-consent", "c2", "c2", None, "app:w", None),
         ("B12-splunk-credential", "k1", "k1", None, "app:x", None),
         ("B12-splunk-credential", "k2", "k2", None, "app:y", None),
         ("B12-splunk-full-access-as-app", "r1", "r1", None, "app:x", None),
         ("B12-splunk-mail-read-role", "r2", "r2", None, "app:y", None),
         ("B12-splunk-mail-read-role", "u1", "u1", None, "app:v", None),
         ("B12-splunk-tenant-consent", "c2", "c2", None, "app:w", None),
         ("B12-splunk-user-consent", "c1", "c1", None, "app:z", None)],
    ),
    (
        "B12",
        "the fourth consent of one user to one application in a week is no longer rare",
        {"config_changes": [change(f"c{day}", "consent", at=day * DAY, who=ANA, changed_app_id="z") for day in range(4)]},
        [("B12-sentinel-rare-consent", f"c{day}", f"c{day}", None, "app:z", None) for day in range(3)],
    ),
    (
        "B13",
        "from France to Japan in an hour; a day is enough, and one country or address is no journey",
        {"sign_ins": [
            login("s1", country="FR", client_ip="1.1.1.1"), login("s2", at=HOUR, country="JP", client_ip="2.2.2.2"),
            login("q1", at=HOUR + DAY, country="FR", client_ip="1.1.1.1"),
            login("q2", at=HOUR + DAY + 1, country="FR", client_ip="3.3.3.3"),
            login("q3", at=HOUR + DAY + 2, client_ip="4.4.4.4"),
            login("b1", who=BEN, country="FR", client_ip="1.1.1.1"),
            login("b2", at=1, who=BEN, country="JP", client_ip="1.1.1.1"),
        ]},
        [("B13", "s2", "s2", 9_699_000, ANA, ANA)],
    ),
    (
        "B13",
        "a program that signs in by itself from abroad is no journey among those that people make by hand",
        {"sign_ins": [
            login("s1", country="FR", client_ip="1.1.1.1", category="interactive"),
            login("p1", at=HOUR // 2, country="JP", client_ip="3.3.3.3", category="non_interactive"),
            login("s2", at=HOUR, country="JP", client_ip="2.2.2.2", category="interactive"),
        ]},
        [("B13", "p1", "p1", 19_398_000, ANA, ANA), ("B13-interactive", "s2", "s2", 9_699_000, ANA, ANA)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("baseline", "reason", "world", "expected"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_alerts_are_exactly_these_in_any_order_and_with_duplicates(baseline, reason, world, expected):
    rows = filled(world)
    found = alerts(baseline, rows)
    told = [
        tuple(row[name] for name in ("baseline", "alert_key", "event_id", "score_millis", "subject", "mailbox_upn"))
        for row in found
    ]
    if baseline == "B7":
        told = [(*row[:3], None, *row[4:]) for row in told]
    assert told == sorted(expected)
    generator = random.Random(reason)
    twice = {name: generator.sample([*part, *part], 2 * len(part)) for name, part in rows.items()}
    assert alerts(baseline, twice) == found


def test_every_rule_of_every_baseline_fires_in_some_case():
    fired = {alert[0] for case in CASES for alert in case[3]}
    declared = {
        rule for name, baseline in BY_ID.items() for rule in baseline.rules if name not in {"B14", "B15", "B16"}
    }
    assert fired == declared


def test_lists_that_are_parameters_silence_what_they_name():
    rows = filled({"mail_accesses": [read("a1", client_app_id="x", logon_type=0, user_type=0)]})
    assert len(alerts("B2", rows)) == 1
    assert alerts("B2", rows, known_clients=("x",)) == []

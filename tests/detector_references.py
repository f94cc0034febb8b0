"""What each detector must find, written the obvious way on lists of dicts: the oracle of the property tests.

Every function takes rows by table name and gives the set of (variant, group_key, role, event_id).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict

from brokenseal.detectors import inbox_rule

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def _unique(rows):
    seen = {}
    for row in rows:
        seen[repr(sorted(row.items(), key=lambda item: item[0]))] = row
    return list(seen.values())


def _get(rows, table):
    return _unique(rows.get(table, ()))


def _done(rows, *kinds):
    return [
        row
        for row in _get(rows, "config_changes")
        if row.get("change") in kinds and row.get("is_service") is not True and row.get("succeeded") is not False
    ]


def _odd(name):
    if name is None:
        return False
    signs = all(not char.isalnum() for char in name)
    return signs or len(name) == 1 or bool(re.fullmatch("[A-Za-z0-9]{2}", name))


def _address_of(rows, name):
    known = {row.get(column) for row in _get(rows, "events") for column in ("actor_key", "mailbox_upn")}
    known |= {row.get(column) for row in _get(rows, "config_changes") for column in ("target_key", "grantee_key")}
    matches = {text for text in known if text and "@" in text and text.split("@")[0] == name and name}
    return matches.pop() if len(matches) == 1 else name


def _mailbox(rows, change):
    return _address_of(rows, change.get("target_key")) or change.get("actor_key") or change["event_id"]


def hidden_inbox_rule(rows):
    found = set()
    for rule in _done(rows, "inbox_rule"):
        effects = set(rule.get("rule_effects") or ())
        conditions = rule.get("rule_conditions") or ()
        telling = any(word in text.lower() for text in conditions for word in inbox_rule.TELLING_WORDS)
        if effects & {"forward", "redirect"} and rule.get("external_destinations"):
            variant = "sends_outside"
        elif effects & {"delete", "move", "mark_read"} and _odd(rule.get("rule_name")):
            variant = "hides_under_odd_name"
        elif ("delete" in effects or {"move", "mark_read"} <= effects) and telling:
            variant = "hides_telling_words"
        elif "delete" in effects and not conditions:
            variant = "deletes_broadly"
        else:
            continue
        found.add((variant, _mailbox(rows, rule), "rule", rule["event_id"]))
    return found


def transport_rule(rows):
    found = set()
    for rule in _done(rows, "transport_rule"):
        effects = set(rule.get("rule_effects") or ())
        if effects & {"bcc", "redirect", "forward"} and rule.get("external_destinations"):
            variant = "copies_outside"
        elif "delete" in effects:
            variant = "deletes_under_odd_name" if _odd(rule.get("rule_name")) else "deletes"
        else:
            continue
        found.add((variant, rule.get("actor_key") or rule["event_id"], "rule", rule["event_id"]))
    return found


def mailbox_forwarding(rows):
    return {
        ("sends_outside", _mailbox(rows, change), "forwarding", change["event_id"])
        for change in _done(rows, "mailbox_forwarding")
        if change.get("external_destinations")
    }


def mailbox_delegation(rows):
    found = set()
    kinds = ("mailbox_permission", "recipient_permission", "send_on_behalf", "folder_permission")
    for change in _done(rows, *kinds):
        rights = " ".join(change.get("rights") or ()).lower()
        grantee = _address_of(rows, change.get("grantee_key")) or ""
        target = _address_of(rows, change.get("target_key")) or ""
        place = f"{target} {change.get('object_id') or ''}".lower()
        reading = any(
            right in rights
            for right in ("owner", "editor", "author", "reviewer", "readany", "fulldetails", "fullaccess")
        ) and not any(word in place for word in ("calend", "kalend", "agenda", "contact", "kontakt"))
        kind = change["change"]
        if grantee.startswith("nt authority\\") or (change.get("operation_key") or "").startswith("remove"):
            continue
        if kind == "mailbox_permission" and "fullaccess" in rights:
            variant = "full_access"
        elif kind == "recipient_permission":
            variant = "send_as"
        elif kind == "send_on_behalf":
            variant = "send_on_behalf"
        elif kind == "folder_permission" and reading:
            everybody = grantee in {"default", "anonymous", "everyone", "everybody"}
            variant = "folder_to_everybody" if everybody else "folder_access"
        else:
            continue
        found.add((variant, change.get("actor_key") or change["event_id"], "grant", change["event_id"]))
    return found


RESOURCES = (
    "00000003-0000-0000-c000-000000000000",
    "00000002-0000-0ff1-ce00-000000000000",
    "00000002-0000-0000-c000-000000000000",
)
MAIL = ("mail.read", "mail.readwrite", "mail.send", "full_access_as_app", "ews.accessas", "imap.access", "pop.access")
IMITATIONS = ("rnicrosoft office", "Micros0ft", "0utlook")
"""Names that the strategies use and that imitate Microsoft's; `test_text.py` tests how that is told."""


def _grants(rows):
    grants = []
    for change in _done(rows, "consent", "delegated_grant", "app_role_grant"):
        if not any(word in " ".join(change.get("rights") or ()).lower() for word in MAIL):
            continue
        known = change.get("changed_app_id")
        known = None if known in RESOURCES else known
        app = known or change.get("changed_app_name") or change.get("actor_key") or change["event_id"]
        if change.get("changed_app_name") in IMITATIONS:
            rank = 0
        elif change["change"] == "app_role_grant":
            rank = 1
        else:
            rank = 3 if change.get("is_admin_consent") is True else 2
        grants.append({**change, "known": known, "app": app, "rank": rank})
    worst = defaultdict(lambda: 3)
    for grant in grants:
        worst[grant["app"]] = min(worst[grant["app"]], grant["rank"])
    names = ("look_alike", "app_role", "user_consent", "admin_consent")
    return [{**grant, "variant": names[worst[grant["app"]]]} for grant in grants]


def illicit_consent(rows):
    grants = _grants(rows)
    named = [grant for grant in grants if grant["change"] == "consent" or grant["known"]]
    found = {
        (
            grant["variant"],
            grant["app"],
            "role" if grant["change"] == "app_role_grant" else "consent",
            grant["event_id"],
        )
        for grant in named
    }
    cited = {grant["event_id"] for grant in named}
    companions = set()
    for other in _done(rows, "delegated_grant", "user_app_grant"):
        for seed in named:
            app = other.get("changed_app_id")
            same_app = app is None or app in RESOURCES or (seed["known"] is not None and app == seed["known"])
            near = abs(other["occurred_at"] - seed["occurred_at"]) <= dt.timedelta(seconds=60)
            same_actor = other.get("actor_key") is not None and other.get("actor_key") == seed.get("actor_key")
            if same_app and near and same_actor:
                companions.add(other["event_id"])
                if other["event_id"] not in cited:
                    found.add((seed["variant"], seed["app"], "grant", other["event_id"]))
    found |= {
        (grant["variant"], grant["app"], "grant", grant["event_id"])
        for grant in grants
        if grant["change"] == "delegated_grant" and not grant["known"] and grant["event_id"] not in companions
    }
    return found


def app_credential(rows):
    removed = {
        row["event_id"]
        for row in _get(rows, "change_settings")
        if row.get("name_key") == "keydescription" and len(row.get("new_value") or "") < len(row.get("old_value") or "")
    }
    ids = defaultdict(set)
    for change in _get(rows, "config_changes"):
        if change.get("changed_app_id") and change.get("changed_app_name"):
            ids[change["changed_app_name"]].add(change["changed_app_id"])
    mail_apps = {grant["app"] for grant in _grants(rows)}
    found = set()
    for change in _done(rows, "app_credential"):
        if change["event_id"] in removed:
            continue
        name = change.get("changed_app_name")
        by_name = next(iter(ids[name])) if name and len(ids[name]) == 1 else None
        app = change.get("changed_app_id") or by_name or name or change.get("object_id") or change["event_id"]
        variant = "on_mail_app" if app in mail_apps else "added"
        found.add((variant, app, "credential", change["event_id"]))
    return found


def federation(rows):
    opening = ("set domain authentication", "set federation settings on domain", "set-msoldomainfederationsettings")
    return {
        (
            "federated" if change.get("operation_key") in opening else "domain_added",
            change.get("target_key") or change.get("actor_key") or change["event_id"],
            "federation",
            change["event_id"],
        )
        for change in _done(rows, "domain_federation")
    }


def audit_off(rows):
    names = {"audit_disabled": "everything", "audit_bypass": "account", "mailbox_audit_disabled": "mailbox"}
    return {
        (
            names[change["change"]],
            change.get("target_key") or change.get("actor_key") or change["event_id"],
            "audit_off",
            change["event_id"],
        )
        for change in _done(rows, *names)
    }


POWERFUL = ("global administrator", "exchange administrator", "user administrator", "helpdesk administrator")


def privileged_role(rows):
    grants = [
        change
        for change in _done(rows, "role_member", "management_role")
        if change.get("grantee_key")
        and ("@" in change["grantee_key"] or (change.get("object_id") or "").startswith("Group_"))
    ]
    pairs = defaultdict(list)
    for change in grants:
        pairs[change["grantee_key"], change.get("actor_key")].append(change)
    pairs = {
        key: changes
        for key, changes in pairs.items()
        if any(name in " ".join(c.get("rights") or ()).lower() for c in changes for name in POWERFUL)
    }
    first = {}
    for change in grants:
        key = change["grantee_key"]
        first[key] = min(first.get(key, change["occurred_at"]), change["occurred_at"])
    events = _get(rows, "events")
    log_start = min((event["occurred_at"] for event in events), default=None)
    found = set()
    for (grantee, _), changes in pairs.items():
        seen = [e["occurred_at"] for e in events if grantee in (e.get("actor_key"), e.get("mailbox_upn"))]
        added = [c["occurred_at"] for c in _done(rows, "account_added") if c.get("grantee_key") == grantee]
        unknown = False
        if "@" in grantee:
            just_added = bool(added) and -DAY <= first[grantee] - max(added) <= 30 * DAY
            reaches_back = log_start is not None and first[grantee] - log_start >= 7 * DAY
            unknown = just_added or ((not seen or min(seen) >= first[grantee]) and reaches_back)
        times = [change["occurred_at"] for change in changes]
        many = len({change["event_id"] for change in changes}) >= 3 and max(times) - min(times) <= HOUR
        variant = "to_new_account" if unknown else "many_at_once" if many else "given"
        found |= {(variant, grantee, "role", change["event_id"]) for change in changes}
    return found


def _placed(rows):
    return [
        row
        for row in _get(rows, "sign_ins")
        if row.get("client_ip") and row.get("ip_class") == "public" and row.get("actor_key")
    ]


def _bursts(rows):
    """Lists of wrong tries, each with whether it is a spray."""
    placed = _placed(rows)
    wins = [row for row in placed if row.get("succeeded") is True]
    wrong = [
        row
        for row in placed
        if row.get("error_code") in {50126, 50053, 50055, 50056} and row.get("succeeded") is not True
    ]
    lines = defaultdict(list)
    for row in wrong:
        lines[row["client_ip"], row.get("user_agent") or ""].append(row)
    bursts = []
    for line in lines.values():
        line.sort(key=lambda row: (row["occurred_at"], row["event_id"]))
        for row in line:
            if row is line[0] or row["occurred_at"] - before > HOUR:  # noqa: F821
                bursts.append([])
            bursts[-1].append(row)
            before = row["occurred_at"]  # noqa: F841
    judged = []
    for burst in bursts:
        accounts = {row["actor_key"] for row in burst}
        attempts = {row.get("request_id") or row["event_id"] for row in burst}
        end = burst[-1]["occurred_at"]
        home = {
            win["actor_key"]
            for win in wins
            if win["client_ip"] == burst[0]["client_ip"]
            and win["actor_key"] in accounts
            and win["occurred_at"] - end <= HOUR
        }
        spray = len(accounts) >= 4 and len(attempts) <= 20 * len(accounts) and 2 * len(home) <= len(accounts)
        judged.append((burst, spray))
    return judged


def _forced(burst, spray):
    tries = defaultdict(set)
    for row in burst:
        tries[row["actor_key"]].add(row.get("request_id") or row["event_id"])
    return set() if spray else {account for account, attempts in tries.items() if len(attempts) >= 20}


def _guesses(rows):
    """(burst, account, success) for every guessed sign-in."""
    wins = [row for row in _placed(rows) if row.get("succeeded") is True]
    found = []
    for burst, spray in _bursts(rows):
        for account in {row["actor_key"] for row in burst} if spray else _forced(burst, spray):
            tries = [row for row in burst if row["actor_key"] == account]
            address, agent = burst[0]["client_ip"], burst[0].get("user_agent") or ""
            own = [win for win in wins if win["actor_key"] == account and win["client_ip"] == address]
            for win in own:
                late = win["occurred_at"] > tries[0]["occurred_at"]
                soon = win["occurred_at"] - burst[-1]["occurred_at"] <= DAY
                same_agent = spray and (win.get("user_agent") or "") == agent
                stranger = min(w["occurred_at"] for w in own) >= tries[0]["occurred_at"]
                if late and soon and (same_agent or stranger):
                    found.append((burst, account, win))
    return found


def password_spray(rows):
    found = set()
    for burst, spray in _bursts(rows):
        key = f"{burst[0]['client_ip']} {burst[0]['event_id']}"
        forced = _forced(burst, spray)
        for row in burst:
            if spray:
                found.add(("spray", key, "failure", row["event_id"]))
            elif row["actor_key"] in forced:
                found.add(("brute_force", key, "failure", row["event_id"]))
    guessed = set()
    for burst, account, win in _guesses(rows):
        key = f"{account} {win['client_ip']}"
        guessed.add((key, "success", win["event_id"]))
        guessed |= {(key, "failure", row["event_id"]) for row in burst if row["actor_key"] == account}
        guessed |= {
            (key, "read", access["event_id"])
            for access in _get(rows, "mail_accesses")
            if access.get("actor_key") == account
            and access.get("client_ip") == win["client_ip"]
            and dt.timedelta(0) <= access["occurred_at"] - win["occurred_at"] <= DAY
        }
    read = {key for key, role, _ in guessed if role == "read"}
    return found | {
        ("guessed_account_then_mail" if key in read else "guessed_account", key, role, event_id)
        for key, role, event_id in guessed
    }


_MACHINES = {
    "iPhone": "ios",
    "iPad": "ios",
    "Android": "android",
    "Windows NT": "windows",
    "CrOS": "chromeos",
    "Macintosh": "macos",
    "Linux": "linux",
    "X11": "linux",
}


def _machine(agent):
    return next((name for mark, name in _MACHINES.items() if mark in (agent or "")), None)


def _family(agent):
    browsers = {
        "Edg": "edge",
        "OPR/": "opera",
        "Firefox/": "firefox",
        "FxiOS/": "firefox",
        "Chrome/": "chrome",
        "CriOS/": "chrome",
        "Safari/": "safari",
    }
    if agent is None:
        return None
    machine = _machine(agent)
    browser = next((name for mark, name in browsers.items() if mark in agent), None)
    return f"{machine} {browser}" if machine and browser else None


def two_hands(rows):
    roles = {"mail_accesses": "read", "sent_messages": "send", "config_changes": "change", "sign_ins": "sign_in"}
    sessions = defaultdict(list)
    for table, role in roles.items():
        for row in _get(rows, table):
            if table == "sign_ins" and row.get("category") not in {"interactive", "audit_log"}:
                continue
            if row.get("session_id") and row.get("client_ip") and row.get("ip_class") == "public":
                sessions[row["session_id"]].append((row["occurred_at"], row["event_id"], role, row))
    found = set()
    for session, uses in sessions.items():
        uses.sort(key=lambda use: use[:2])
        hands = {(use[3]["client_ip"], _family(use[3].get("user_agent"))) for use in uses}
        hands = {hand for hand in hands if hand[1]}
        differing = any(a[0] != b[0] and a[1] != b[1] for a in hands for b in hands)
        fro = any(
            a[3]["client_ip"] == c[3]["client_ip"]
            and a[3]["client_ip"].split(".")[:2] != b[3]["client_ip"].split(".")[:2]
            and c[0] - a[0] <= dt.timedelta(seconds=600)
            for a, b, c in zip(uses, uses[1:], uses[2:], strict=False)
        )
        if differing or fro:
            variant = "two_agents" if differing else "interleaved"
            found |= {(variant, session, role, event_id) for _, event_id, role, _ in uses}
    return found


def _acts(rows):
    """(address, account, time) of everything that makes an address suspect."""
    acts = [(win["client_ip"], win["actor_key"], win["occurred_at"]) for _, _, win in _guesses(rows)]
    changes = {change["event_id"]: change for change in _get(rows, "config_changes")}
    kept = {"sends_outside", "hides_under_odd_name", "hides_telling_words", "copies_outside", "deletes_under_odd_name"}
    for variant, _, _, event_id in hidden_inbox_rule(rows) | transport_rule(rows) | mailbox_forwarding(rows):
        change = changes[event_id]
        known = change.get("client_ip") and change.get("actor_key")
        if variant in kept and change.get("ip_class") == "public" and known:
            acts.append((change["client_ip"], change["actor_key"], change["occurred_at"]))
    return acts


def suspect_address(rows):
    acts = _acts(rows)
    own, anyone = {}, {}
    for address, account, at in acts:
        own[address, account] = min(own.get((address, account), at), at)
        anyone[address] = min(anyone.get(address, at), at)
    habits = {}
    for event in _get(rows, "events"):
        if event.get("actor_key") and event.get("client_ip") and event.get("succeeded") is not False:
            key = event["client_ip"], event["actor_key"]
            habits[key] = min(habits.get(key, event["occurred_at"]), event["occurred_at"])
    found = set()
    for access in _get(rows, "mail_accesses"):
        address, account = access.get("client_ip"), access.get("actor_key")
        if address not in anyone:
            continue
        is_own = (address, account) in own
        since = own.get((address, account), anyone[address])
        habit = habits.get((address, account))
        if habit is not None and since - habit > 7 * DAY:
            continue
        if access["occurred_at"] - since < -DAY:
            continue
        if not is_own and len({a for ip, a in habits if ip == address}) > 5:
            continue
        mailbox = access.get("mailbox_upn") or access.get("mailbox_key")
        key = f"{mailbox} {address}" if mailbox else access["event_id"]
        found.add(("same_account" if is_own else "other_account", key, "read", access["event_id"]))
    return found


def _clients(rows):
    accesses = [row for row in _get(rows, "mail_accesses") if row.get("mailbox_key")]
    firsts = {}
    for row in accesses:
        tenant, mailbox = row.get("tenant_id") or "", row["mailbox_key"]
        client = f"{row['effective_app']}|{row.get('protocol') or 'other'}" if row.get("effective_app") else None
        for key in ((tenant,), (tenant, mailbox), (tenant, "client", client), (tenant, mailbox, client)):
            firsts[key] = min(firsts.get(key, row["occurred_at"]), row["occurred_at"])
    clients = []
    for row in accesses:
        if not row.get("effective_app"):
            continue
        tenant, mailbox = row.get("tenant_id") or "", row["mailbox_key"]
        client = f"{row['effective_app']}|{row.get('protocol') or 'other'}"
        pair, start = firsts[tenant, mailbox, client], firsts[tenant, "client", client]
        is_new = (
            start - firsts[tenant,] >= 14 * DAY
            and pair - firsts[tenant, mailbox] >= 14 * DAY
            and pair - start <= 7 * DAY
        )
        background = row.get("ip_class") == "microsoft" and (
            row.get("protocol") == "rest_system"
            or row.get("user_type") in {3, 4, 5, 6}
            or row.get("logon_type") in {3, 4}
        )
        clients.append((row, client, is_new, background, pair))
    return clients


def first_seen_client(rows):
    return {
        ("background" if background else "new_in_tenant", client, "read", row["event_id"])
        for row, client, is_new, background, pair in _clients(rows)
        if is_new and row["occurred_at"] - pair <= 7 * DAY
    }

"""What `config.open_door` must say, written the obvious way on lists of dicts, and worlds in which all of it occurs."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from brokenseal.detectors import inbox_rule

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
DAY, WEEK, HOUR = dt.timedelta(days=1), dt.timedelta(days=7), dt.timedelta(hours=1)
PEOPLE = ("a@corp.example", "b@corp.example", "c@corp.example")
PLACES = (("9.9.9.9", "public"), ("9.9.9.9", "public"), ("8.8.8.8", "public"), ("9.9.1.1", None),
          ("2603:10a6::1", "microsoft"), ("10.0.0.1", "private"), (None, None))  # fmt: skip
RESOURCE = "00000003-0000-0000-c000-000000000000"
APPS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
DAYS = (0, 0, 1, 2, 8, 13, 14, 15, 16, 20, 21, 22)
OPERATIONS = (None,) * 10 + ("remove-mailboxpermission", "user deleted security info", "add unverified domain")
SECONDS = (0, 1, 59, 60, 61, 3_599, 3_600, 3_601, 7_200)
RIGHTS = {
    "mailbox_permission": (["FullAccess"], ["FullAccess"], ["ReadPermission"], None),
    "recipient_permission": (["SendAs"],),
    "send_on_behalf": (["SendOnBehalf"],),
    "folder_permission": (["Reviewer"], ["FreeBusy"], ["Editor", "None"]),
    "management_role": (["ApplicationImpersonation"], ["Organization Management"], ["View-Only"]),
    "app_role_grant": (["Mail.Read"], ["full_access_as_app"], ["Directory.ReadWrite.All"], ["User.Read.All"]),
    "consent": (["Mail.Read", "User.Read"], ["User.Read"], None),
    "delegated_grant": (["Mail.Read"], ["User.Read"], None),
    "role_member": (["Global Administrator"], ["Reader"]),
}
SIMPLE = ("app_credential", "app_credential", "app_owner", "domain_federation", "audit_bypass", "audit_disabled",
          "mailbox_audit_disabled", "strong_auth", "inbox_rule", "inbox_rule", "transport_rule", "mailbox_forwarding",
          "other")  # fmt: skip


# ---------------------------------------------------------------- worlds


def _at(world):
    return START + dt.timedelta(days=world.pick(*DAYS), seconds=world.pick(*SECONDS))


def _place(world):
    address, ip_class = world.pick(*PLACES)
    return {"client_ip": address, "ip_class": ip_class}


def _change(world):
    change = world.pick(*RIGHTS, *SIMPLE)
    at = _at(world)
    columns = {
        "occurred_at": at,
        "tenant_id": world.pick(None, *["t"] * 7),
        "change": change,
        "operation_key": "set domain authentication" if change == "domain_federation" else world.pick(*OPERATIONS),
        "actor_key": world.pick(None, *PEOPLE * 3),
        "is_service": world.pick(None, *[False] * 7, True),
        "succeeded": world.pick(None, *[True] * 7, False),
        **_place(world),
        "session_id": world.pick(None, "s1"),
        "object_id": world.pick(None, "box a", "box b", "Group_1"),
        "target_key": world.pick("a", "b", "a@corp.example", "b@corp.example", None),
        "grantee_key": world.pick("a", "b", *PEOPLE, *PEOPLE, None, "nt authority\\self", APPS[0]),
        "rights": world.pick(*RIGHTS.get(change, (None,))),
        "rule_name": world.pick(None, ".", "Newsletters"),
        "rule_effects": world.pick(None, ["forward"], ["bcc"], ["delete"], ["mark_read", "move"], ["move"]),
        "rule_conditions": world.pick(None, ["Invoice"], ["hello"]),
        "external_destinations": world.pick(None, [], ["x@evil.example"], ["x@evil.example", "y@other.example"]),
        "changed_app_id": world.pick(None, None, *APPS, RESOURCE),
        "changed_app_name": world.pick(None, "Notes", "Backup"),
        "is_admin_consent": world.pick(None, True, False),
    }  # fmt: skip
    world.add("config_changes", **columns)
    door = world.rows["config_changes"][-1]
    if change == "consent" and world.pick(True, False):
        later = at + dt.timedelta(seconds=world.pick(1, 60, 61))
        world.add("config_changes", **{**columns, "occurred_at": later, "change": "delegated_grant",
                                       "changed_app_id": world.pick(None, columns["changed_app_id"])})  # fmt: skip
    if change == "app_credential" and world.pick(True, False):
        keys = {"new_value": world.pick(None, "[]", "[one]"), "old_value": world.pick(None, "[]", "[one]")}
        settings = world.rows.setdefault("change_settings", [])
        settings.append({"event_id": door["event_id"], "name_key": "keydescription", **keys})
    for _ in range(world.pick(0, 1, 2)):
        delay_s = world.pick(0, 60, 3_600, 3_601, 86_400, 7 * 86_400, 7 * 86_400 + 1)
        _read(world, at + dt.timedelta(seconds=delay_s), door)
    if world.pick(True, False):
        _removal(world, door, at + dt.timedelta(days=world.pick(0, 1, 8, 15)))


def _removal(world, door, at):
    if world.pick(True, False):
        world.add("events", occurred_at=at, tenant_id=world.pick(None, "t"), object_id=door["object_id"],
                  operation_key=world.pick("remove-mailboxpermission", "remove-recipientpermission",
                                           "remove-mailboxfolderpermission"),
                  succeeded=world.pick(None, True, True, False))  # fmt: skip
    else:
        world.add("config_changes", occurred_at=at, tenant_id="t", change="folder_permission",
                  operation_key="removefolderpermissions", target_key=door["target_key"],
                  grantee_key=door["grantee_key"], actor_key="a@corp.example")  # fmt: skip


def _read(world, at, door=None):
    """One access by anybody, or by whom a door may have let in."""
    box, reader, app = world.pick("a", "b"), world.pick(None, *PEOPLE), world.pick(*APPS, "proto:owa", None)
    if door is not None:
        box = (door["target_key"] or "a")[0]
        reader = world.pick(door["actor_key"], door["grantee_key"], door["grantee_key"])
        reader = f"{reader}@corp.example" if reader in {"a", "b"} else reader
        app = world.pick(door["changed_app_id"], *APPS)
    world.add(
        "mail_accesses",
        occurred_at=at,
        tenant_id=world.pick("t", "t", "t", "t", None, "u"),
        mailbox_key=world.pick(f"m-{box}", f"m-{box}", f"m-{box}", None),
        mailbox_upn=world.pick(f"{box}@corp.example", f"{box}@corp.example", f"{box}@corp.example", None),
        actor_key=reader,
        session_id=world.pick("s1", "s2", "s3"),
        effective_app=app,
        protocol="rest",
        **_place(world),
    )


def add_doors(world):
    """Doors of every kind, dense enough that they are opened twice, used and closed again now and then."""
    world.add("events", occurred_at=START, tenant_id="t")
    for _ in range(world.pick(8, 16, 24)):
        _change(world)
    for _ in range(world.pick(1, 6)):
        if world.pick(True, False):
            _read(world, _at(world))
        world.add("events", occurred_at=_at(world), tenant_id=world.pick(None, "t", "t"), mailbox_upn=None,
                  actor_key=world.pick(None, *PEOPLE), **_place(world))  # fmt: skip
    for _ in range(world.pick(0, 1, 3)):
        address, _ = world.pick(*PLACES[:3])
        world.add("sign_ins", client_ip=address, asn=world.pick(None, 1, 2), app_id=world.pick(None, *APPS),
                  app_name=world.pick(None, "Backup"))  # fmt: skip
        world.add("graph_requests", occurred_at=_at(world), tenant_id=world.pick(None, "t"),
                  app_id=world.pick(None, *APPS), reads_mail=world.pick(True, True, False, None),
                  status_code=world.pick(None, 200, 403), **_place(world))  # fmt: skip
        world.add("message_traces", occurred_at=_at(world), sender=world.pick(None, "s@other.example"),
                  recipient=world.pick(None, "z@evil.example", "z@corp.example"))  # fmt: skip


# ---------------------------------------------------------------- the reference


def _get(rows, table):
    return list({repr(sorted(row.items(), key=lambda item: item[0])): row for row in rows.get(table, ())}.values())


def _odd(name):
    return name is not None and (all(not char.isalnum() for char in name) or len(name) == 1)


def _kind(change, shorter):
    operation = change.get("operation_key") or ""
    if operation.startswith("remove") or operation == "user deleted security info":
        return None
    if (change.get("grantee_key") or "").startswith("nt authority\\"):
        return None
    if change["change"] == "app_credential":
        return None if change["event_id"] in shorter else "credential"
    if change["change"] == "domain_federation":
        return "federation" if operation == "set domain authentication" else None
    return _rule_kind(change) or _right_kind(change) or _SIMPLE.get(change["change"])


_SIMPLE = {
    "recipient_permission": "mailbox_right",
    "send_on_behalf": "mailbox_right",
    "app_owner": "app_owner",
    "audit_bypass": "audit_off",
    "audit_disabled": "audit_off",
    "mailbox_audit_disabled": "audit_off",
    "strong_auth": "strong_auth",
    "consent": "other_consent",
    "delegated_grant": "other_consent",
}


def _rule_kind(change):
    effects, what = set(change.get("rule_effects") or ()), change["change"]
    if what not in {"inbox_rule", "transport_rule", "mailbox_forwarding"}:
        return None
    sends = what == "mailbox_forwarding" or effects & {"forward", "redirect", "bcc"}
    if sends and change.get("external_destinations"):
        return "forward_out"
    odd = _odd(change.get("rule_name"))
    if what == "transport_rule":
        return "hiding_rule" if "delete" in effects and odd else None
    words = "\n".join(change.get("rule_conditions") or ()).lower()
    buries = "delete" in effects or effects >= {"move", "mark_read"}
    telling = buries and any(word in words for word in inbox_rule.TELLING_WORDS)
    hides = what == "inbox_rule" and effects & {"delete", "move", "mark_read"}
    return "hiding_rule" if (hides and odd) or (what == "inbox_rule" and telling) else None


_BY_RIGHT = (
    ("mailbox_permission", "fullaccess", "mailbox_right"),
    ("folder_permission", "reviewer", "folder_right"),
    ("folder_permission", "editor", "folder_right"),
    ("management_role", "applicationimpersonation", "impersonation"),
    ("management_role", "organization management", "role"),
    ("role_member", "global administrator", "role"),
    ("app_role_grant", "full_access", "impersonation"),
    ("app_role_grant", "mail.read", "app_mail_role"),
    ("app_role_grant", "directory.readwrite", "role"),
    ("consent", "mail.read", "mail_consent"),
    ("delegated_grant", "mail.read", "mail_consent"),
)


def _right_kind(change):
    rights, what = "\n".join(change.get("rights") or ()).lower(), change["change"]
    kind = next((kind for of, part, kind in _BY_RIGHT if of == what and part in rights), None)
    account = "@" in (change.get("grantee_key") or "") or (change.get("object_id") or "").startswith("Group_")
    return None if kind == "role" and what != "app_role_grant" and not account else kind


def _networks(rows):
    """From an address and its class to the network."""
    exact, near = defaultdict(set), defaultdict(set)
    for row in _get(rows, "sign_ins"):
        if row.get("asn") is not None and row.get("client_ip"):
            exact[row["client_ip"]].add(row["asn"])
            near[row["client_ip"].rpartition(".")[0]].add(row["asn"])

    def network(row):
        address = row.get("client_ip")
        if row.get("ip_class") == "microsoft":
            return "MS"
        if address is None:
            return None
        asn = exact.get(address) or near.get(address.rpartition(".")[0])
        return f"asn:{max(asn)}" if asn else "net:" + ".".join(address.split(".")[:2])

    return network


def _openings(rows):
    """Doors as dicts: the change's columns, with kind, alias names as addresses, and without companions of consents."""
    known = {row.get(name) for row in _get(rows, "events") for name in ("actor_key", "mailbox_upn")}
    known |= {row.get(name) for row in _get(rows, "config_changes") for name in ("target_key", "grantee_key")}
    shorter = {
        row["event_id"]
        for row in _get(rows, "change_settings")
        if len(row.get("new_value") or "") < len(row.get("old_value") or "")
    }

    def address(name):
        matches = {text for text in known if text and "@" in text and text.split("@")[0] == name}
        return matches.pop() if len(matches) == 1 else name

    found = []
    for change in _get(rows, "config_changes"):
        if change.get("is_service") is True or change.get("succeeded") is False:
            continue
        kind = _kind(change, shorter)
        if kind is not None:
            actor, grantee = change.get("actor_key"), change.get("grantee_key")
            is_self = bool(actor and grantee and grantee in {actor, actor.split("@")[0]})
            names = {name: address(change.get(name)) for name in ("target_key", "grantee_key")}
            found.append({**change, **names, "kind": kind, "is_self": is_self})
    consents = [door for door in found if door["change"] == "consent" and door.get("actor_key")]

    def is_companion(door):
        app = door.get("changed_app_id")
        return door["change"] == "delegated_grant" and any(
            consent["actor_key"] == door.get("actor_key")
            and abs(consent["occurred_at"] - door["occurred_at"]) <= dt.timedelta(seconds=60)
            and (app in {None, RESOURCE} or consent.get("changed_app_id") in {None, app})
            for consent in consents
        )

    return [door for door in found if not is_companion(door)]


def _who(door, found):
    if door["is_self"] and door["kind"] in {"mailbox_right", "role"}:
        return "self"
    same = [
        other["occurred_at"]
        for other in found
        if (other.get("tenant_id") or "", other.get("actor_key"), other["kind"])
        == (door.get("tenant_id") or "", door.get("actor_key"), door["kind"])
    ]
    return "usual" if door["occurred_at"] - min(same) >= DAY else "new"


def _is_own(row):
    return row.get("client_ip") is not None and row.get("ip_class") in {None, "public"}


def _where(door, rows, network):
    if not _is_own(door):
        return "unsaid"
    events = _get(rows, "events")
    seen = [
        event["occurred_at"]
        for event in events
        if _is_own(event) and event.get("actor_key") == door.get("actor_key") and network(event) == network(door)
    ]
    if door.get("actor_key") and seen and door["occurred_at"] - min(seen) >= DAY:
        return "known"
    log = [row["occurred_at"] for row in events if (row.get("tenant_id") or "") == (door.get("tenant_id") or "")]
    return "strange" if log and door["occurred_at"] - min(log) >= 14 * DAY else "unsaid"


def _goal(door, found, rows):
    traces = _get(rows, "message_traces")
    at, steps = door["occurred_at"], []
    for domain in {address.rpartition("@")[2] for address in door["external_destinations"]}:
        before = [
            row["occurred_at"]
            for row in traces
            for name in ("sender", "recipient")
            if row.get(name) and row[name].rpartition("@")[2] == domain
        ]
        before += [
            other["occurred_at"]
            for other in found
            if other["kind"] == "forward_out"
            and other.get("actor_key") and door.get("actor_key") and other["actor_key"] != door["actor_key"]
            and any(address.endswith("@" + domain) for address in other["external_destinations"])
        ]  # fmt: skip
        if before and at - min(before) >= DAY:
            steps.append("known_domain")
        elif traces and at - min(row["occurred_at"] for row in traces) >= 7 * DAY:
            steps.append("new_domain")
        else:
            steps.append("unsaid_domain")
    return next(name for name in ("new_domain", "unsaid_domain", "known_domain") if name in steps)


def _clustered(rows, network):
    """Accesses that name a mailbox, with their cluster."""
    hands, found = defaultdict(list), []
    for row in _get(rows, "mail_accesses"):
        if row.get("mailbox_key"):
            net = network(row) or "none"
            hands[
                row.get("tenant_id") or "", row["mailbox_key"], row.get("actor_key") or "", row["session_id"], net
            ].append(row)
    for hand, members in hands.items():
        last = begun = None
        for row in sorted(members, key=lambda row: (row["occurred_at"], row["event_id"])):
            if last is None or row["occurred_at"] - last > 12 * HOUR:
                begun = row["event_id"]
            last = row["occurred_at"]
            mailbox = row.get("mailbox_upn") or row["mailbox_key"]
            found.append({**row, "cluster": begun, "network": hand[4], "mailbox": mailbox})
    return found


def _apps(door, names):
    given = door.get("changed_app_id")
    if given is None and door["kind"] == "impersonation" and door.get("grantee_key") in APPS:
        given = door["grantee_key"]
    if given not in {None, RESOURCE}:
        return {given}
    return names[door["changed_app_name"]] if door.get("changed_app_name") else set()


def _same_tenant(door, tenant):
    return door.get("tenant_id") is None or tenant is None or tenant == door["tenant_id"]


def _pair(row):
    return row.get("tenant_id"), row.get("actor_key"), row["mailbox"]


def _spans(door, rows, key, past, reads):
    """(cluster, first, last) of the reading that no reading of the same kind (`past`) came before the door."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["cluster"], key(row)].append(row)
    found = []
    for (cluster, _), part in groups.items():
        since = min(row["occurred_at"] for row in reads if past(row) == past(part[0]))
        times = [row["occurred_at"] for row in part]
        if since >= door["occurred_at"] and min(times) - door["occurred_at"] <= WEEK:
            found.append((cluster, min(times), max(times)))
    return found


def _by_grantee(door, mine, reads):
    """Reading by the account that was given the right."""
    grantee, mailbox = door.get("grantee_key"), door.get("target_key") or door.get("actor_key")
    if door["kind"] not in {"mailbox_right", "folder_right", "impersonation"} or not grantee:
        return []
    theirs = [
        row for row in mine if row.get("actor_key") == grantee
        and (row["mailbox"] != grantee if door["kind"] == "impersonation" else row["mailbox"] == mailbox)
    ]  # fmt: skip
    return _spans(door, theirs, _pair, _pair, reads)


def _by_app(door, apps, mine, reads):
    """Reading by the application, or by an unknown one that is new where no record names it."""
    actor = door.get("actor_key")
    if not apps:
        own = [row for row in mine if actor and row.get("actor_key") == actor]
        own = [row for row in own if not (row.get("effective_app") or "proto:").startswith("proto:")]
        return _spans(
            door,
            own,
            lambda row: (row.get("tenant_id"), row["effective_app"]),
            lambda row: (row.get("tenant_id") or "", row.get("effective_app")),
            reads,
        )
    wide = door["kind"] != "mail_consent" or door.get("is_admin_consent") is not False
    theirs = [row for row in mine if row.get("effective_app") in apps]
    return _spans(
        door,
        [row for row in theirs if wide or (actor and actor in {row["mailbox"], row.get("actor_key")})],
        lambda row: (*_pair(row), row["effective_app"]),
        lambda row: (row.get("tenant_id"), row.get("effective_app"), row["network" if wide else "mailbox"]),
        reads,
    )


def _uses(door, apps, reads, requests):
    """Of each use: cluster or None, first time and last time of its reading."""
    mine = [row for row in reads if _same_tenant(door, row.get("tenant_id"))]
    found = _by_grantee(door, mine, reads)
    if door["kind"] in {"impersonation", "app_mail_role", "credential", "mail_consent"}:
        found += _by_app(door, apps, mine, reads)
        for (tenant, app, _), since in requests.items():
            if app in apps and _same_tenant(door, tenant):
                found += [(None, since, since)] if dt.timedelta(0) <= since - door["occurred_at"] <= WEEK else []
    return found


def _is_closed(door, used, rows):
    cmdlets = {"mailbox_permission": "remove-mailboxpermission", "recipient_permission": "remove-recipientpermission",
               "folder_permission": "remove-mailboxfolderpermission"}  # fmt: skip
    first, last = min(one[1] for one in used), max(one[2] for one in used)
    ends = [
        row for row in _get(rows, "events")
        if row.get("operation_key") and row["operation_key"] == cmdlets.get(door["change"])
        and door.get("object_id") and row.get("object_id") == door["object_id"]
    ] + [
        row for row in _get(rows, "config_changes")
        if (row.get("operation_key") or "").startswith("remove") and door.get("target_key") and door.get("grantee_key")
        and (row.get("target_key"), row.get("grantee_key")) == (door["target_key"], door["grantee_key"])
    ]  # fmt: skip
    return any(
        row.get("succeeded") is not False
        and _same_tenant(door, row.get("tenant_id"))
        and first <= row["occurred_at"] <= last + WEEK
        for row in ends
    )


_PARTS = (("strange", "unsaid", "known"), ("fast", "closed", "week", "none"), ("self", "new", "usual"),
          ("new_domain", "unsaid_domain", "known_domain"),
          ("federation", "impersonation", "app_mail_role", "credential", "mailbox_right", "mail_consent",
           "folder_right", "forward_out", "hiding_rule", "role", "audit_off", "app_owner", "strong_auth",
           "other_consent"))  # fmt: skip
_WITH_WHO = {"mailbox_right", "impersonation", "app_mail_role", "credential", "app_owner", "federation", "role",
             "audit_off"}  # fmt: skip
_CLOSABLE = {"mailbox_right", "folder_right"}
_WITH_USE = {*_CLOSABLE, "impersonation", "app_mail_role", "mail_consent", "credential"}


def _use(door, used, rows):
    if not used:
        return "none"
    if door["kind"] in _CLOSABLE and _is_closed(door, used, rows):
        return "closed"
    return "fast" if min(one[1] for one in used) - door["occurred_at"] <= HOUR else "week"


def doors(rows):
    """Every door by its unit: bin, rank, kind, application or name for the group, and clusters with first times."""
    network, found = _networks(rows), _openings(rows)
    reads = _clustered(rows, network)
    names = defaultdict(set)
    for row in _get(rows, "config_changes"):
        names[row.get("changed_app_name")].add(row.get("changed_app_id"))
    for row in _get(rows, "sign_ins"):
        names[row.get("app_name")].add(row.get("app_id"))
    names = defaultdict(set, {name: ids - {None, RESOURCE} for name, ids in names.items()})
    requests = {}
    for row in _get(rows, "graph_requests"):
        if row.get("reads_mail") and (row.get("status_code") is None or row["status_code"] < 400):
            key = row.get("tenant_id"), row.get("app_id"), network(row) or "none"
            requests[key] = min(requests.get(key, row["occurred_at"]), row["occurred_at"])
    told = {}
    for door in found:
        apps = _apps(door, names)
        used = _uses(door, apps, reads, requests)
        kind = door["kind"]
        goal = _goal(door, found, rows) if kind == "forward_out" else "unsaid_domain"
        levels = (_where(door, rows, network), _use(door, used, rows), _who(door, found), goal, kind)
        shown = (kind, levels[2] if kind in _WITH_WHO else "", levels[0], goal if kind == "forward_out" else "",
                 levels[1] if kind in _WITH_USE else "")  # fmt: skip
        told[door["event_id"]] = {
            "bin": ":".join(part for part in shown if part) if door.get("actor_key") else None,
            "rank": tuple(part.index(level) for part, level in zip(_PARTS, levels, strict=True)),
            "kind": kind,
            "clusters": sorted({(first, cluster) for cluster, first, _ in used if cluster}),
        }
    return told


def marks(rows):
    """State and bin of every unit that is marked."""
    told = doors(rows)
    found = {unit: ("fired" if door["bin"] else "not_assessable", door["bin"]) for unit, door in told.items()}
    return found | {cluster: ("fired", f"uses:{told[unit]['bin']}") for cluster, unit in _strongest(told).items()}


def _strongest(told):
    best = {}
    for unit, door in told.items():
        for _, cluster in door["clusters"] if door["bin"] else ():
            best[cluster] = min(best.get(cluster, (door["rank"], unit)), (door["rank"], unit))
    return {cluster: unit for cluster, (_, unit) in best.items()}


def open_door(rows):
    """(variant, unit, role, event id) of all hits."""
    told = doors(rows)
    reads = defaultdict(set)
    for row in _clustered(rows, _networks(rows)):
        reads[row["cluster"]].add(row["event_id"])
    units = [(unit, unit, door["clusters"][0][1] if door["clusters"] else None) for unit, door in told.items()
             if door["bin"]]  # fmt: skip
    units += [(cluster, unit, cluster) for cluster, unit in _strongest(told).items()]
    found = set()
    for unit, door, cluster in units:
        found.add((told[door]["kind"], unit, "door", door))
        found |= {(told[door]["kind"], unit, "use", read) for read in reads.get(cluster, ())}
    return found

"""What the detectors of sessions, volume and addresses must mark, written the obvious way on lists of dicts."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict

from detector_references import _family, _guesses, suspect_address, two_hands

DAY = dt.timedelta(days=1)
WEEK = 7 * DAY


def _unique(rows):
    return list({repr(sorted(row.items(), key=lambda item: item[0])): row for row in rows}.values())


def _get(rows, table):
    return _unique(rows.get(table, ()))


def _parts(address, number):
    if address is None:
        return None
    found = re.split(r"[.:]", address)
    marks = re.findall(r"[.:]", address)
    return "".join(part + mark for part, mark in zip(found[:number], marks[:number], strict=False))[:-1]


def _networks(rows):
    """From address and class to network."""
    exact, near = {}, {}
    for row in _get(rows, "sign_ins"):
        if row.get("asn") is not None and row.get("client_ip"):
            exact[row["client_ip"]] = max(row["asn"], exact.get(row["client_ip"], 0))
            beside = _parts(row["client_ip"], 3)
            near[beside] = max(row["asn"], near.get(beside, 0))

    def network(row):
        address = row.get("client_ip")
        if row.get("ip_class") == "microsoft":
            return "MS"
        if address is None:
            return None
        asn = exact.get(address, near.get(_parts(address, 3)))
        return f"asn:{asn}" if asn is not None else f"net:{_parts(address, 2)}"

    return network


def members(rows):
    """Mail accesses with cluster, account, network, and whether their place and session mean anything."""
    network = _networks(rows)
    found, hands, users = [], defaultdict(list), defaultdict(set)
    for row in _get(rows, "mail_accesses"):
        if not row.get("mailbox_key"):
            continue
        one = dict(row)
        one["network"] = network(row) or "none"
        one["account"] = row.get("actor_key") or row.get("token_subject") or ""
        one["placed"] = row.get("ip_class") == "public" and row.get("client_ip") is not None
        app = f"{row.get('effective_app') or ''}|{row.get('protocol') or 'other'}"
        client = f"{app} {_family(row.get('user_agent')) or 'other'}"
        identity = row.get("token_subject") or row.get("actor_key") or ""
        hand = (row.get("tenant_id"), row["mailbox_key"], identity, row.get("session_id") or client, one["network"])
        hands[hand].append(one)
        users[row.get("session_id")].add(one["account"])
        found.append(one)
    for hand in hands.values():
        last = begun = None
        for one in sorted(hand, key=lambda row: (row["occurred_at"], row["event_id"])):
            if last is None or one["occurred_at"] - last > dt.timedelta(hours=12):
                begun = one["event_id"]
            last, one["cluster"] = one["occurred_at"], begun
    for one in found:
        one["shared"] = one.get("session_id") is not None and len(users[one["session_id"]]) >= 5
    return found


def _apart(left, right):
    """Whether rows at one network and rows at another are at two places for certain."""
    a, b = left[0]["network"], right[0]["network"]
    if a == b:
        return False
    if a.startswith("asn:") and b.startswith("asn:"):
        return True

    def kinds(rows):
        return {":" in row["client_ip"] for row in rows}

    def ends(rows):
        wide = sorted(_parts(row["client_ip"], 2) for row in rows)
        return {wide[0], wide[-1]}

    return bool(kinds(left) & kinds(right)) and not ends(left) & ends(right)


def signs(rows):
    """Successful sign-ins of a known account at a public address, with account and network."""
    network = _networks(rows)
    return [
        {**row, "account": row["actor_key"], "network": network(row)}
        for row in _get(rows, "sign_ins")
        if row.get("succeeded") is True
        and row.get("actor_key")
        and row.get("client_ip")
        and row.get("ip_class") == "public"
    ]


def _begins(rows):
    return [row for row in signs(rows) if row.get("category") in {"interactive", "audit_log"}]


def _first_uses(used):
    since, known = {}, {}
    for row in used:
        at, key = row["occurred_at"], (row["account"], row["network"])
        since[key] = min(at, since.get(key, at))
        known[row["account"]] = min(at, known.get(row["account"], at))
    return since, known


def _units(rows, fired, reasons):
    """Unit to (state, bin, reason), from unit to the gravest bin, and tests in the order in which reasons are given."""
    units = defaultdict(list)
    for row in members(rows):
        units[row["cluster"]].append(row)
    found = {}
    for unit, held in units.items():
        if unit in fired:
            found[unit] = ("fired", fired[unit], None)
            continue
        reason = next((name for name, holds in reasons if holds(unit, held)), None)
        found[unit] = ("quiet", None, None) if reason is None else ("not_assessable", None, reason)
    return found


def _no_session(_, held):
    return all(row.get("session_id") is None for row in held)


def _no_place(_, held):
    return not any(row["placed"] for row in held)


def _shared(_, held):
    return any(row["shared"] for row in held)


def _losses(rows):
    """(session, account, network) at which a client of a session names no device, having named one elsewhere before."""
    kinds = defaultdict(list)
    for row in signs(rows):
        if row.get("session_id") and row.get("app_id") and row.get("category"):
            kinds[row["session_id"], row["account"], row["category"], row["app_id"], row["network"]].append(row)
    lost = set()
    for key, bare in kinds.items():
        if any(row.get("device_id") for row in bare):
            continue
        for other, named in kinds.items():
            times = [row["occurred_at"] for row in named if row.get("device_id")]
            late = times and max(row["occurred_at"] for row in bare) > min(times)
            if other[:4] == key[:4] and late and _apart(bare, named):
                lost.add((key[0], key[1], key[4]))
    return lost


def two_hands_marks(rows):
    every = members(rows)
    uses = _first_uses([row for row in every if row["placed"]])
    sessions = defaultdict(list)
    for row in every:
        if row.get("session_id") and row["placed"] and not row["shared"]:
            sessions[row["session_id"], row["account"]].append(row)
    lost, bins = _losses(rows), defaultdict(set)
    for (session, account), held in sessions.items():
        held.sort(key=lambda row: (row["occurred_at"], row["event_id"]))
        for network, name in _session_bins(session, account, held, uses, lost):
            bins[session, account, network].add(name)
    order = ("os_change", "two_agents", "device_lost", "interleaved", "short_history")
    of_unit = defaultdict(set)
    for row in every:
        if row["placed"] and not row["shared"]:
            of_unit[row["cluster"]] |= bins.get((row.get("session_id"), row["account"], row["network"]), set())
    gravest = {unit: min(held, key=order.index) for unit, held in of_unit.items() if held}
    return _units(
        rows,
        {unit: name for unit, name in gravest.items() if name != "short_history"},
        (
            ("no_session_id", _no_session),
            ("no_own_address", _no_place),
            ("shared_session", _shared),
            ("short_history", lambda unit, _: gravest.get(unit) == "short_history"),
        ),
    )


def _session_bins(session, account, uses, first_uses, lost):
    """(network, bin) of one session, whose uses are in order."""
    since, known = first_uses
    hands = defaultdict(list)
    for row in uses:
        hands[row["network"]].append(row)
    begins = {name: held[0]["occurred_at"] for name, held in hands.items()}
    usual = {name: begins[name] - since[account, name] >= WEEK for name in hands}
    told = {name: begins[name] - known[account] >= WEEK for name in hands}
    own = min(hands, key=lambda name: (since[account, name], begins[name], name))
    found = {
        (name, "device_lost") for name in hands if (session, account, name) in lost and told[name] and not usual[name]
    }
    looks = {name: {_look(row) for row in held} - {None} for name, held in hands.items()}
    machines = {machine for machine, _ in looks[own]}
    others = [name for name in hands if looks[own] and name != own and _apart(hands[name], hands[own])]
    found |= {(name, "os_change") for name in others if {machine for machine, _ in looks[name]} - machines}
    found |= {(name, "two_agents") for name in others if looks[name] - looks[own]}
    for one, two in _returns(uses):
        if _apart(hands[one], hands[two]) and not (usual[one] and usual[two]):
            name = "interleaved" if told[one] and told[two] else "short_history"
            found |= {(one, name), (two, name)}
    return found


def _returns(uses):
    """(network, other network) where a session is back from the other within ten minutes."""
    runs = []
    for row in uses:
        if not runs or runs[-1][0]["network"] != row["network"]:
            runs.append([])
        runs[-1].append(row)
    return {
        (a[0]["network"], b[0]["network"])
        for a, b, c in zip(runs, runs[1:], runs[2:], strict=False)
        if a[0]["network"] == c[0]["network"] and c[0]["occurred_at"] - a[-1]["occurred_at"] <= dt.timedelta(minutes=10)
    }


def _look(row):
    named = _family(row.get("user_agent"))
    if named is None:
        return None
    machine, browser = named.split()
    return ({"ios": "macos", "android": "linux"}.get(machine, machine), browser)


def two_hands_by_session(rows):
    """What `find` says when no unit is asked for: the older reference, and sessions that lost their device."""
    found = two_hands(rows)
    told = {session for _, session, _, _ in found}
    deviceless = {unit for unit, (_, name, _) in two_hands_marks(rows).items() if name == "device_lost"}
    lost = {row["session_id"] for row in members(rows) if row["cluster"] in deviceless} - told
    kinds = {"mail_accesses": "read", "sent_messages": "send", "config_changes": "change", "sign_ins": "sign_in"}
    return found | {
        ("device_lost", row["session_id"], role, row["event_id"])
        for table, role in kinds.items()
        for row in _get(rows, table)
        if row.get("session_id") in lost
        and row.get("client_ip")
        and row.get("ip_class") == "public"
        and (table != "sign_ins" or row.get("category") in {"interactive", "audit_log"})
    }


def _pairs(rows, since, known):
    """(sign-in from a new network, the one from a usual network right after it)."""
    begins = _begins(rows)
    return [
        (one, two)
        for one in begins
        for two in begins
        if one.get("session_id")
        and one["account"] == two["account"]
        and _is_new(one, one["occurred_at"], since)
        and one["occurred_at"] - known[one["account"]] >= WEEK
        and dt.timedelta(0) <= two["occurred_at"] - one["occurred_at"] <= dt.timedelta(minutes=1)
        and not _is_new(two, one["occurred_at"], since)
        and _apart([one], [two])
    ]


def _is_new(row, at, since):
    return at - since[row["account"], row["network"]] < DAY


def _token(row):
    return row.get("token_id") or row.get("request_id")


def handover_marks(rows):
    every, begins = members(rows), _begins(rows)
    since, known = _first_uses([row for row in every if row["placed"]] + begins)
    named = [row for row in every if row.get("session_id") and row["placed"] and not row["shared"]]
    bins = defaultdict(set)
    for unit, name in _begun_elsewhere(rows, named, begins, since, known) | _token_elsewhere(every, begins):
        bins[unit].add(name)
    for unit in _hops(rows, named, begins, since, known):
        bins[unit].add("client_hop")
    order = ("device_code", "relayed", "client_hop")
    begun = {(row.get("session_id"), row["account"]) for row in begins}
    return _units(
        rows,
        {unit: min(held, key=order.index) for unit, held in bins.items()},
        (
            ("no_session_id", _no_session),
            ("no_own_address", _no_place),
            ("shared_session", _shared),
            ("no_sign_in_of_session", lambda _, held: not any((r["session_id"], r["account"]) in begun for r in held)),
            (
                "short_history",
                lambda _, held: min(row["occurred_at"] for row in held) - known[held[0]["account"]] < WEEK,
            ),
        ),
    )


def _begun_elsewhere(rows, named, begins, since, known):
    """(unit, bin) of clusters whose session a sign-in began."""
    found, hands = set(), defaultdict(list)
    for row in named:
        hands[row["cluster"]].append(row)
    pairs = {one["event_id"] for one, _ in _pairs(rows, since, known)}
    met = [
        (unit, held, begin)
        for unit, held in hands.items()
        for begin in begins
        if (begin.get("session_id"), begin["account"]) == (held[0]["session_id"], held[0]["account"])
        and max(row["occurred_at"] for row in held) >= begin["occurred_at"]
    ]
    for unit, held, begin in met:
        at, is_apart = begin["occurred_at"], _apart(held, [begin])
        both_new = _is_new(begin, at, since) and _is_new(held[0], at, since) and at - known[begin["account"]] >= WEEK
        if is_apart and begin.get("auth_protocol") == "deviceCode":
            found.add((unit, "device_code"))
        if begin["event_id"] in pairs or (is_apart and both_new):
            found.add((unit, "relayed"))
    return found


def _token_elsewhere(every, begins):
    """(unit, bin) of clusters that read with the token of a device code."""
    reads = defaultdict(list)
    for row in every:
        if row["placed"] and row.get("token_id"):
            reads[row["cluster"], row["account"], row["token_id"]].append(row)
    return {
        (unit, "device_code")
        for (unit, account, token), held in reads.items()
        for begin in begins
        if (_token(begin), begin["account"], begin.get("auth_protocol")) == (token, account, "deviceCode")
        and _apart(held, [begin])
    }


def _hops(rows, named, begins, since, known):
    clients = {}
    used = [(row["account"], row.get("effective_app"), row["occurred_at"]) for row in members(rows)]
    used += [(row["account"], row.get("app_id"), row["occurred_at"]) for row in signs(rows)]
    for account, app, at in used:
        clients[account, app] = min(at, clients.get((account, app), at))
    real = [row for row in named if row.get("effective_app") and not row["effective_app"].startswith("proto:")]
    groups = defaultdict(list)
    for row in real:
        groups[row["cluster"], row["effective_app"]].append(row)
    before = defaultdict(list)
    for row in real:
        before[row["session_id"], row["account"], row["network"], row["effective_app"], "read"].append(row)
    for row in begins:
        if row.get("session_id") and row.get("app_id"):
            before[row["session_id"], row["account"], row["network"], row["app_id"], "sign"].append(row)
    found = set()
    for (unit, app), held in groups.items():
        at, account = min(row["occurred_at"] for row in held), held[0]["account"]
        new = _is_new(held[0], at, since) and at - clients[account, app] < DAY and at - known[account] >= WEEK
        if new and any(
            key[:2] == (held[0]["session_id"], account)
            and key[3] != app
            and min(row["occurred_at"] for row in others) <= at
            and _apart(held, others)
            for key, others in before.items()
        ):
            found.add(unit)
    return found


def handover_hits(rows):
    """(variant, group_key, role, event_id) of all fired clusters."""
    every, begins, found = members(rows), _begins(rows), set()
    since, known = _first_uses([row for row in every if row["placed"]] + begins)
    pairs = _pairs(rows, since, known)
    for unit, (_, name, _) in handover_marks(rows).items():
        held = [row for row in every if row["cluster"] == unit] if name else []
        parts = defaultdict(list)
        for row in held:
            parts[row.get("session_id"), row.get("token_id"), row["account"]].append(row)
            key = f"{unit} {row.get('mailbox_upn') or row['mailbox_key']}"
            found.add((name, key, "read", row["event_id"]))
        for (session, token, account), group in parts.items():
            key = min(f"{unit} {row.get('mailbox_upn') or row['mailbox_key']}" for row in group)
            for begin in begins:
                same = session is not None and begin.get("session_id") == session
                if begin["account"] != account or not (same or (token is not None and _token(begin) == token)):
                    continue
                found.add((name, key, "sign_in", begin["event_id"]))
                if name == "relayed":
                    seconds = {two["event_id"] for one, two in pairs if one["event_id"] == begin["event_id"]}
                    found |= {(name, key, "second_sign_in", event) for event in seconds}
    return found


def volume_marks(rows, strange):
    """Of made-up marks of strange clients (`strange_marks`)."""
    every = members(rows)
    state = {row["unit"]: row["state"] for row in strange}
    taken, known = _items_taken(rows, every, state)
    units = defaultdict(list)
    for row in every:
        units[row["cluster"]].append(row)
    return {unit: _volume_mark(held, state.get(unit), taken[unit], known) for unit, held in units.items()}


def _items_taken(rows, every, state):
    """What each strange cluster read, as times and messages, and since when usual people had read each message."""
    of = {row["event_id"]: row for row in every}
    taken, known = defaultdict(set), {}
    for item in _get(rows, "accessed_items"):
        message = item.get("internet_message_id") or item.get("item_id")
        if item.get("kind") == "attachment" or message is None:
            continue
        row = of[item["event_id"]]
        key = (row["mailbox_key"], message)
        if state.get(row["cluster"]) == "fired":
            taken[row["cluster"]].add((item["occurred_at"], key))
        elif row["network"] != "MS" and row["protocol"] != "rest_system":
            known[key] = min(item["occurred_at"], known.get(key, item["occurred_at"]))
    return taken, known


STEPS = (
    (2, "1-2"), (5, "3-5"), (10, "6-10"), (30, "11-30"), (100, "31-100"), (300, "101-300"), (1000, "301-1000")
)  # fmt: skip


def _volume_mark(held, state, taken, known):
    if state != "fired":
        return ("not_assessable", None, "short_history" if state == "not_assessable" else "usual_client")
    days = defaultdict(set)
    for at, key in taken:
        if key not in known or known[key] >= at:
            days[at.date()].add(key)
    most = max(map(len, days.values()), default=0)
    if any(row.get("is_throttled") for row in held):
        return ("fired", "throttled", None)
    if any(row.get("access_type") == "sync" for row in held):
        return ("fired", "sync_folder", None)
    if most:
        return ("fired", next(name for limit, name in STEPS if most <= limit), None)
    unnamed = not taken and any(row.get("access_type") == "bind" for row in held)
    return ("not_assessable", None, "items_unnamed") if unnamed else ("quiet", None, None)


def suspect_marks(rows):
    """The gravest reason for which the address of any read of a cluster is suspect."""
    guessed = {(win["client_ip"], win["actor_key"]) for _, _, win in _guesses(rows)}
    reads = {row["event_id"]: (row.get("client_ip"), row.get("actor_key")) for row in members(rows)}
    own = {True: "guessed_here", False: "rule_set_here"}
    bins = {
        event: own[reads[event] in guessed] if variant == "same_account" else variant
        for variant, _, _, event in suspect_address(rows)
        if event in reads
    }
    order = ("guessed_here", "rule_set_here", "other_account")
    of_unit = defaultdict(set)
    for row in members(rows):
        if row["event_id"] in bins:
            of_unit[row["cluster"]].add(bins[row["event_id"]])
    return _units(
        rows,
        {unit: min(held, key=order.index) for unit, held in of_unit.items()},
        (
            ("no_address", lambda _, held: all(row.get("client_ip") is None for row in held)),
            ("microsoft_address", lambda _, held: any(row.get("ip_class") == "microsoft" for row in held)),
        ),
    )


def strange_marks(rows, generator):
    """Made-up marks of strange clients for the clusters of a world: some fired, some not to be judged, some quiet."""
    units = sorted({row["cluster"] for row in members(rows)})
    states = ("fired", "fired", "not_assessable", "quiet", None)
    drawn = ((unit, generator.choice(states)) for unit in units)
    return [{"unit": unit, "state": state} for unit, state in drawn if state]


# ---------------------------------------------------------------- how strange clients got in

_MOSTLY, _PARTLY, _PLACES = 0.5, 0.2, 5


def _entry_of(rows, held, accounts, network):
    """What the sign-ins say of one strange cluster: (kind, sign-ins there, share of places with a device, places)."""
    first = min(row["occurred_at"] for row in held)
    name, place = accounts, held[0]["network"]
    own = [
        {**row, "place": network(row) or "none", "age": first - row["occurred_at"]}
        for row in _get(rows, "sign_ins")
        if row.get("actor_key") == name and row.get("occurred_at")
    ]
    good = [
        row
        for row in own
        if row.get("succeeded") is True
        and row.get("category") in {"interactive", "non_interactive"}
        and row["place"] not in {"MS", "none"}
    ]
    there = [row for row in good if row["place"] == place and -dt.timedelta(hours=1) <= row["age"] <= DAY]
    days = defaultdict(set)
    for row in good:
        if row["age"] > DAY:
            days[row["occurred_at"].date(), row["place"]].add(bool(row.get("device_id")))
    named = sum(True in held_ for held_ in days.values())
    session = max((row.get("session_id") or "" for row in held), default="") or None
    begins = [row for row in own if session and row.get("session_id") == session]
    kind = None
    by_hand = any(row["category"] == "interactive" for row in there)
    if any(row.get("device_id") for row in there):
        kind = None
    elif session is None:
        kind = "sessionless" if by_hand else None
    elif begins:
        begun = min(row["occurred_at"] for row in begins)
        here = any(row["place"] == place for row in begins if row["occurred_at"] == begun)
        if first - begun <= DAY:
            kind = "begun_here" if here and by_hand else "begun_elsewhere" if there and not here else None
        else:
            kind = None if here else "carried"
    return kind, there, begins, named, len(days)


def entry_marks(rows, strange, handed):
    """Unit to (state, bin, reason) of `sign_in.unknown_device`."""
    network = _networks(rows)
    units = defaultdict(list)
    for row in members(rows):
        units[row["cluster"]].append(row)
    states = {row["unit"]: row["state"] for row in strange}
    gone = {row["unit"] for row in handed if row["state"] == "fired"}
    found = {}
    for unit, held in units.items():
        state = states.get(unit)
        if state != "fired":
            found[unit] = ("not_assessable", None, "short_history" if state == "not_assessable" else "usual_client")
            continue
        account = max((row["actor_key"] for row in held if row.get("actor_key")), default=None)
        account = account or max(row.get("token_subject") or "" for row in held)
        kind, there, begins, named, places = _entry_of(rows, held, account, network)
        habit = "mostly" if named >= _MOSTLY * places else "partly" if named >= _PARTLY * places else None
        asked = kind in {"begun_here", "carried", "sessionless"}
        reasons = (
            (held[0]["network"] in {"MS", "none"}, "no_own_address"),
            (unit in gone, "handed_on"),
            (not there and not begins, "no_sign_in"),
            (asked and places < _PLACES, "short_history"),
            (asked and habit is None, "no_device_habit"),
        )
        reason = next((name for holds, name in reasons if holds), None)
        if reason:
            found[unit] = ("not_assessable", None, reason)
        elif kind is None:
            found[unit] = ("quiet", None, None)
        else:
            found[unit] = ("fired", f"{kind}_{habit}" if kind in {"begun_here", "carried"} else kind, None)
    return found

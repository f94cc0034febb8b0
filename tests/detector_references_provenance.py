"""What is said of each token that read mail, and what is found of those without a sign-in, the obvious way."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from detector_references import _clients, _family, _get, _machine
from detector_references_sessions import members

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)


def _hand(row):
    """Application, network and machine."""
    agent = row.get("user_agent")
    app = f"{row.get('effective_app') or ''}|{row.get('protocol') or 'other'}"
    return app, row["network"], _family(agent) or _machine(agent) or row.get("client_type") or "other"


def _new_hands(rows):
    """Event ids of reads by hands that came to a mailbox 14 days after its first reading, or later."""
    begun, hand_of = {}, {}
    for row in members(rows):
        mailbox = (row.get("tenant_id") or "", row["mailbox_key"])
        hand = (mailbox, *_hand(row))
        hand_of[row["event_id"]] = (mailbox, hand)
        for key in (mailbox, hand):
            begun[key] = min(begun.get(key, row["occurred_at"]), row["occurred_at"])
    return {event_id for event_id, (mailbox, hand) in hand_of.items() if begun[hand] - begun[mailbox] >= 14 * DAY}


def _clusters_of_new_hands(rows):
    """Name to mailbox, time of the first read and all reads."""
    clusters = defaultdict(list)
    for row in members(rows):
        clusters[row["cluster"]].append(row)
    begun, about = {}, {}
    for name, own in clusters.items():
        mailbox, hands = (own[0].get("tenant_id") or "", own[0]["mailbox_key"]), [_hand(row) for row in own]
        hand = (mailbox, *map(min, zip(*hands, strict=True)))
        about[name] = (mailbox, hand, min(row["occurred_at"] for row in own))
        for key in (mailbox, hand):
            begun[key] = min(begun.get(key, about[name][2]), about[name][2])
    return {
        name: (mailbox, first_at, clusters[name])
        for name, (mailbox, hand, first_at) in about.items()
        if begun[hand] - begun[mailbox] >= 14 * DAY and first_at - begun[hand] <= 14 * DAY
    }


def _again(rows, missing):
    """Event id to the first cluster of its mailbox, for reads of new hands that lack their sign-ins again and again."""
    reasons, places = token_reasons(rows), defaultdict(list)
    clusters = _clusters_of_new_hands(rows)
    for name, (mailbox, first_at, every) in clusters.items():
        own = [row for row in every if reasons[row["event_id"]][1] is None]
        lost = [row for row in own if not reasons[row["event_id"]][0]]
        is_asked = missing & {row["event_id"] for row in every}
        if is_asked and len({row["token_id"] for row in lost}) > len(
            {row["token_id"] for row in own if row not in lost}
        ):
            places[mailbox].append((first_at, name, lost))
    first_of = {}
    for found in places.values():
        times = {row["token_id"]: row["token_issued_at"] for _, _, lost in found for row in lost}
        if len(times) >= 3 and max(times.values()) - min(times.values()) >= DAY:
            for _, name, _ in found:
                first_of.update({row["event_id"]: min(found)[1] for row in clusters[name][2]})
    return first_of


def _is_background(row):
    return (
        row.get("user_type") in {3, 4, 5, 6}
        or row.get("protocol") == "rest_system"
        or row.get("ip_class") == "microsoft"
        or row.get("token_type") == "SubstrateProcessorCallbackPft"
        or row.get("auth_type") not in {None, "Bearer"}
    )


def _known_tokens(sign_ins):
    known = {}
    for row in sign_ins:
        ok = row["succeeded"] if row.get("succeeded") is not None else row.get("category") == "owa_auth"
        for token in (row.get("request_id"), row.get("token_id")):
            if token:
                known[token] = known.get(token, False) or ok
    return known


def token_reasons(rows):
    """Event id to whether the token was issued, and the first reason for which a missing sign-in would say nothing."""
    sign_ins = _get(rows, "sign_ins")
    known = _known_tokens(sign_ins)
    times = {
        category: [row["occurred_at"] for row in sign_ins if row.get("category") == category]
        for category in ("interactive", "non_interactive")
    }

    def spans(category, iat):
        return min(times[category]) + HOUR <= iat <= max(times[category]) - HOUR

    def hour(at):
        return at.replace(minute=0, second=0, microsecond=0)

    def reason_of(row):
        iat, token = row.get("token_issued_at"), row.get("token_id")
        tenants = (row.get("token_tenant_id"), row.get("tenant_id"))
        doubts = (
            ("no_token_id", lambda: not token and not row.get("token_id_raw")),
            ("opaque_token_id", lambda: not token),
            ("background_service", lambda: _is_background(row)),
            ("foreign_tenant", lambda: row.get("user_type") in {9, 10}),
            ("foreign_tenant", lambda: None not in tenants and tenants[0] != tenants[1]),
            ("no_issued_at", lambda: iat is None),
            ("sign_ins_absent", lambda: not times["interactive"]),
            ("non_interactive_absent", lambda: not times["non_interactive"]),
            ("outside_sign_in_window", lambda: not spans("interactive", iat) or not spans("non_interactive", iat)),
            ("outside_sign_in_window", lambda: hour(iat) not in {hour(at) for at in times["non_interactive"]}),
            ("too_recent", lambda: max(times["non_interactive"]) - iat < DAY),
            ("only_failed_sign_in", lambda: token in known and not known[token]),
        )
        return next((reason for reason, holds in doubts if holds()), None)

    return {
        row["event_id"]: (bool(known.get(row.get("token_id"))), reason_of(row)) for row in _get(rows, "mail_accesses")
    }


def token_verdicts(rows):
    """Event id to (verdict, reason)."""
    judged, new, reasons = {}, _new_hands(rows), token_reasons(rows)
    strata = defaultdict(lambda: defaultdict(lambda: (set(), set())))
    for row in _get(rows, "mail_accesses"):
        issued, reason = reasons[row["event_id"]]
        stratum = (row.get("protocol") or "", row.get("effective_app") or "")
        judged[row["event_id"]] = (issued, reason, stratum)
        for hands in {"all", "new" if row["event_id"] in new else "old"} if reason is None else ():
            strata[stratum][hands][0].add(row["token_id"])
            if issued:
                strata[stratum][hands][1].add(row["token_id"])
    verdicts = {}
    for event_id, (issued, reason, stratum) in judged.items():
        trusted = any(
            len(tokens) >= 20 and 100 * len(matched) >= 90 * len(tokens)
            for tokens, matched in (strata[stratum]["all"], strata[stratum]["old"])
        )
        if issued:
            verdicts[event_id] = ("issued", None)
        elif reason or not trusted:
            verdicts[event_id] = ("cannot_tell", reason or "low_match_rate")
        else:
            verdicts[event_id] = ("not_issued", None)
    return verdicts


def token_provenance(rows):
    missing = {event_id for event_id, verdict in token_verdicts(rows).items() if verdict[0] == "not_issued"}
    found = [each for each in _clients(rows) if each[0]["event_id"] in missing]
    first_of = _again(rows, {row["event_id"] for row, *_ in found})

    def hit(row, client, is_new):
        mailbox, first = row.get("mailbox_upn") or row["mailbox_key"], first_of.get(row["event_id"])
        if first is not None:
            return "not_issued_new_client_again", f"{first} {mailbox}", "read", row["event_id"]
        return "not_issued_new_client" if is_new else "not_issued", f"{mailbox} {client}", "read", row["event_id"]

    return {hit(row, client, is_new) for row, client, is_new, *_ in found}

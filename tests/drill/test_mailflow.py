"""Mail that is found by number, and the message trace."""

from __future__ import annotations

import base64
import collections

import numpy as np
import pyarrow as pa
import pytest

from brokenseal.drill import _mailboxes, clients, identity, mailflow, tables
from brokenseal.drill._mailboxes import FOLDERS_PER_MAILBOX, SENT, parts
from brokenseal.drill.tables import ACTION, CHANGE, DAY_US, HOUR_US, build, numbers, words
from drill.drill_tenants import fresh, tenant
from drill.drill_visits import mail_of, visits

EMPTY = tables.empty(ACTION), tables.empty(CHANGE)


def mail():
    return mail_of(tenant(mailboxes=40))


def everything(of, box, until):
    """Every message that a mailbox has received by a time, the slow way."""
    found = []
    last = (until - of.tenant.epoch_us) // DAY_US
    for day in range(of.first_day, last + 1):
        message = of.received(day)
        found.append(message[parts(message)[1] == box])
    found = np.concatenate(found)
    return found[of.times(found) < until]


def test_positions_and_numbers_are_two_names_of_one_message():
    of = mail()
    message = of.received(3)
    _, box, _ = parts(message)
    position = of.position(message)
    assert (of.at_position(box, position) == message).all()
    starts = np.flatnonzero(np.append(True, box[1:] != box[:-1]))
    assert (np.diff(position)[np.diff(box) == 0] == 1).all()
    assert len(starts) == int((of.counts[:, 3 - of.first_day] > 0).sum()) > 30


def test_a_mailbox_holds_what_came_before_in_order():
    of = mail()
    at = of.tenant.day_starts_us(2) + 11 * HOUR_US + 123
    for box in (0, 17, 39):
        expected = everything(of, box, at)
        size = int(of.sizes(np.array([box]), np.array([at]))[0])
        assert size == len(expected)
        held = of.at_position(np.full(size, box), np.arange(size))
        assert held.tolist() == expected.tolist()
        assert (np.diff(of.times(held)) > 0).all()


def test_mail_comes_on_its_day_and_mostly_on_working_days():
    of = mail()
    for day in (0, 5, -3):
        at = of.times(of.received(day))
        assert ((at >= of.tenant.day_starts_us(day)) & (at < of.tenant.day_starts_us(day + 1))).all()
    monday, sunday = len(of.received(7)), len(of.received(6))
    assert monday > 4 * sunday


def test_a_message_looks_the_same_wherever_it_is_asked_for():
    of = mail()
    day = mailflow.received(of, 3)
    some = numbers(day, "message_no")[[50, 3, 40]]
    assert mailflow.messages(of, some).to_pylist() == [day.slice(row, 1).to_pylist()[0] for row in (50, 3, 40)]
    again = mailflow.build_mail(fresh(mailboxes=40))
    assert mailflow.received(again, 3).equals(day)
    other = mailflow.build_mail(fresh(mailboxes=40, seed=12))
    assert not mailflow.received(other, 3).equals(day)


def test_message_ids_are_unique_in_a_mailbox_and_shared_by_copies():
    day = mailflow.received(mail(), 3)
    ids = day["internet_message_id"].to_pylist()
    boxes = numbers(day, "mailbox_no").tolist()
    assert len(set(zip(ids, boxes, strict=True))) == len(ids)
    copies = [text for text, count in collections.Counter(ids).items() if count > 1]
    assert copies
    by_id = collections.defaultdict(set)
    for row in day.to_pylist():
        by_id[row["internet_message_id"]].add((row["sender"], row["size_bytes"], row["direction"]))
    assert {len(by_id[text]) for text in copies} == {1}
    assert all(text.startswith("<") and text.endswith(">") and "@" in text for text in ids)


def test_ids_have_the_layout_of_exchange():
    of = mail()
    day = mailflow.received(of, 3)
    folders = {row["folder_no"]: base64.b64decode(row["folder_id"]) for row in of.folders.to_pylist()}
    inbox = folders[0]
    assert (len(inbox), inbox[0], inbox[44], inbox[-1]) == (48, 0x2E, 0x0C, 1)
    for row in day.slice(0, 50).to_pylist():
        item = base64.b64decode(row["item_id"])
        assert (len(item), item[0], item[-1]) == (72, 0x46, 9)
        # Provider, database and folder counter are the folder's own.
        assert item[5:21] == folders[row["folder_no"]][5:21]
        assert item[39:45] == folders[row["folder_no"]][39:45]


def test_folders_are_localised_by_mailbox():
    one = fresh(mailboxes=40)
    one.mailboxes["locale"][:4] = [0, 1, 2, 3]
    rows = mailflow.build_mail(one).folders.to_pylist()
    inboxes = [row["path"] for row in rows if row["kind"] == "inbox"][:4]
    assert inboxes == ["\\Inbox", "\\Boîte de réception", "\\Posteingang", "\\Bandeja de entrada"]
    assert [row["folder_no"] for row in rows] == sorted(row["folder_no"] for row in rows)
    by_box = collections.defaultdict(list)
    for row in rows:
        by_box[row["mailbox_no"]].append(row["path"])
    assert all(len(set(paths)) == len(paths) >= 9 for paths in by_box.values())


def test_folders_at_follow_arrival_move_and_purge():
    of = mail()
    day = mailflow.received(of, 0)
    message = numbers(day, "message_no")
    columns = {
        name: numbers(day, name) for name in ("at_us", "folder_no", "moved_at_us", "moved_to_folder_no", "gone_at_us")
    }
    moves = columns["moved_at_us"] > 0
    assert 0.1 < moves.mean() < 0.5
    assert (columns["moved_at_us"][moves] >= columns["at_us"][moves]).all()
    assert (mailflow.folders_at(of, message, columns["at_us"]) == columns["folder_no"]).all()
    after = mailflow.folders_at(of, message[moves], columns["moved_at_us"][moves])
    assert (after == columns["moved_to_folder_no"][moves]).all()
    gone = columns["gone_at_us"] > 0
    assert gone.any()
    assert (mailflow.folders_at(of, message[gone], columns["gone_at_us"][gone]) == -1).all()
    assert (columns["folder_no"] // FOLDERS_PER_MAILBOX == numbers(day, "mailbox_no")).all()


def test_threads_end_at_one_message_and_replies_say_so():
    of = mail()
    day = mailflow.received(of, 3)
    root, message = numbers(day, "thread_no"), numbers(day, "message_no")
    subjects = words(day, "subject")
    is_reply = root != message
    assert 0.2 < is_reply.mean() < 0.6
    assert all(text.startswith("Re: ") == reply for text, reply in zip(subjects, is_reply, strict=True))
    assert (of.times(root) <= of.times(message)).all()
    first = mailflow.messages(of, root[is_reply][:20])
    assert [f"Re: {text.removeprefix('Re: ')}" for text in words(first, "subject")] == subjects[is_reply][:20].tolist()


def test_young_mailboxes_have_no_old_mail():
    one = fresh(mailboxes=40)
    one.identities["joined_day"][0] = -10
    of = mailflow.build_mail(one)
    assert of.counts[0, : -10 - of.first_day].sum() == 0
    assert of.counts[0, -10 - of.first_day + 3 :].sum() > 0
    assert int(of.sizes(np.array([0]), np.array([one.day_starts_us(-20)]))[0]) == 0


# ---------------------------------------------------------------- trace


def test_the_trace_shows_everything_that_arrived_and_what_was_kept_out():
    of = mail()
    lines = mailflow.trace_lines(of, 3, actions=EMPTY[0], rules=EMPTY[1])
    delivered = [row for row in lines.to_pylist() if row["status"] == "Delivered"]
    arrived = mailflow.received(of, 3).to_pylist()
    assert sorted((row["internet_message_id"], row["recipient"]) for row in delivered) == sorted(
        (row["internet_message_id"], of.tenant.mailbox_upns[row["mailbox_no"]]) for row in arrived
    )
    others = {row["status"] for row in lines.to_pylist()} - {"Delivered"}
    assert others == {"Failed", "FilteredAsSpam", "Quarantined"}
    kept_out = {row["internet_message_id"] for row in lines.to_pylist() if row["status"] != "Delivered"}
    assert kept_out.isdisjoint({row["internet_message_id"] for row in arrived})
    assert (np.diff(numbers(lines, "at_us")) >= 0).all()
    assert len(set(lines["trace_id"].to_pylist())) == lines.num_rows


def test_sends_reach_the_trace_with_their_truth():
    one = tenant(mailboxes=40)
    of = mail_of(one)
    own = visits(one, 3, 1, sends=3, truth_actor_kind="attacker", truth_attack_id="A3")
    done = clients.act(one, 3, own, identity.issue(one, 3, own).uses, of)
    lines = mailflow.trace_lines(of, 3, actions=done, rules=EMPTY[1])
    sent = [row for row in lines.to_pylist() if row["truth_attack_id"] == "A3"]
    message = numbers(done, "message_no")[words(done, "kind") == "send"]
    ids = set(mailflow.messages(of, message)["internet_message_id"].to_pylist())
    assert len(ids) == 3
    assert {row["internet_message_id"] for row in sent} == ids
    assert {row["sender"] for row in sent} == {one.mailbox_upns[0]}
    assert {row["direction"] for row in sent} <= {"out", "internal"}


def test_copies_are_the_message_in_another_mailbox_for_the_day():
    one = tenant(mailboxes=40)
    of = mail_of(one)
    own = visits(one, 3, 1, sends=40)
    done = clients.act(one, 3, own, identity.issue(one, 3, own).uses, of)
    sends = done.filter(words(done, "kind") == "send")
    sent, at = numbers(sends, "message_no"), numbers(sends, "at_us")
    post = mailflow.delivered(of, sent, at)
    assert len(post.message) > 8
    assert len(set(post.message.tolist())) == len(post.message)
    assert set(_mailboxes.originals(post.message).tolist()) <= set(sent.tolist())
    assert (_mailboxes.originals(sent) == sent).all()
    assert 0 not in post.mailbox.tolist()
    rows = mailflow.messages(of, post.message, at=post.at).to_pylist()
    origin = {row["message_no"]: row for row in mailflow.messages(of, sent, at=at).to_pylist()}
    for row, box, number in zip(rows, post.mailbox.tolist(), _mailboxes.originals(post.message).tolist(), strict=True):
        same = origin[number]
        assert row["mailbox_no"] == box
        for name in ("internet_message_id", "sender", "subject", "size_bytes", "attachments", "thread_no"):
            assert row[name] == same[name], name
        assert row["item_id"] != same["item_id"]
        assert 0 <= row["at_us"] - same["at_us"] < 10_000_000
    ends = np.full(len(post.message), one.day_starts_us(4))
    assert (mailflow.folders_at(of, post.message, ends - 1) // FOLDERS_PER_MAILBOX == post.mailbox).all()
    assert (mailflow.folders_at(of, post.message, ends) == -1).all()
    lines = mailflow.trace_lines(of, 3, actions=done, rules=EMPTY[1]).to_pylist()
    for row, box in zip(rows, post.mailbox.tolist(), strict=True):
        reached = [
            line
            for line in lines
            if line["internet_message_id"] == row["internet_message_id"] and line["recipient"] == one.mailbox_upns[box]
        ]
        assert [line["at_us"] for line in reached] == [row["at_us"]]


def test_rules_send_colleagues_new_mail_on_too():
    one = tenant(mailboxes=40)
    of = mail_of(one)
    own = visits(one, 3, 1, sends=200, starts_at_us=one.day_starts_us(3) + 13 * HOUR_US)
    done = clients.act(one, 3, own, identity.issue(one, 3, own).uses, of)
    sends = done.filter(words(done, "kind") == "send")
    post = mailflow.delivered(of, numbers(sends, "message_no"), numbers(sends, "at_us"))
    came = int((post.mailbox == 4).sum())
    assert came > 0
    lines = mailflow.trace_lines(of, 3, actions=done, rules=rule(one)).to_pylist()
    assert sum(row["is_forwarded"] for row in lines) == len(forwarded(one, rule(one))) + came


def rule(one, **given):
    base = {
        "intent_id": [1],
        "at_us": one.day_starts_us(3) + 12 * HOUR_US,
        "change": "inbox_rule",
        "operation": "New-InboxRule",
        "service": "exchange",
        "identity_no": 0,
        "mailbox_no": 4,
        "rule_effects": [["forward"]],
        "destinations": [["out@elsewhere.example"]],
        "truth_actor_kind": "attacker",
    }
    return build(CHANGE, 1, {**base, **given})


def forwarded(one, rules):
    lines = mailflow.trace_lines(mail_of(one), 3, actions=EMPTY[0], rules=rules)
    return [row for row in lines.to_pylist() if row["is_forwarded"]]


def test_a_rule_in_force_sends_mail_on():
    one = tenant(mailboxes=40)
    made = rule(one)
    begins = numbers(made, "at_us")[0]
    day = mailflow.received(mail_of(one), 3)
    due = (numbers(day, "mailbox_no") == 4) & (numbers(day, "at_us") >= begins)
    lines = forwarded(one, made)
    assert len(lines) == int(due.sum()) > 0
    assert {(row["sender"], row["recipient"], row["direction"], row["truth_actor_kind"]) for row in lines} == {
        (one.mailbox_upns[4], "out@elsewhere.example", "out", "attacker")
    }
    assert {row["subject"][:4] for row in lines} == {"FW: "}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ends_at_us": 1}, 0),
        ({"destinations": [[]]}, 0),
        ({"rule_effects": [["move"]]}, 0),
        ({"succeeded": False}, 0),
        ({"change": "mailbox_permission", "rule_effects": [[]]}, 0),
        ({"change": "mailbox_forwarding", "rule_effects": [[]]}, 1),
        ({"rule_effects": [["redirect"]]}, 1),
    ],
)
def test_only_rules_that_forward_do_so(given, expected):
    assert bool(forwarded(tenant(mailboxes=40), rule(tenant(mailboxes=40), **given))) == bool(expected)


def test_conditions_narrow_and_transport_rules_widen():
    one = tenant(mailboxes=40)
    every = len(forwarded(one, rule(one)))
    narrow = len(forwarded(one, rule(one, rule_conditions=[["invoice"]])))
    wide = len(forwarded(one, rule(one, change="transport_rule", mailbox_no=-1, rule_effects=[["bcc"]])))
    assert narrow < every < wide


def test_a_redirect_keeps_the_message_and_its_sender():
    one = tenant(mailboxes=40)
    arrived = {row["internet_message_id"]: row for row in mailflow.received(mail_of(one), 3).to_pylist()}
    for row in forwarded(one, rule(one, rule_effects=[["redirect"]])):
        assert row["sender"] == arrived[row["internet_message_id"]]["sender"]


def test_numbers_leave_room_for_received_and_sent():
    of = mail()
    assert of.counts.max() < SENT < _mailboxes.SENT_TODAY < _mailboxes.SLOTS
    old = of.old_sent(np.array([3, 3]), np.array([1, 2]), np.array([0, 9999]))
    day, box, place = parts(old)
    assert (day.tolist(), box.tolist()) == ([1, 2], [3, 3])
    assert ((place >= SENT) & (place < _mailboxes.SENT_TODAY)).all()
    rows = mailflow.messages(of, old).to_pylist()
    assert {row["direction"] for row in rows} <= {"out", "internal"}
    assert {row["folder_no"] for row in rows} == {3 * FOLDERS_PER_MAILBOX + _mailboxes.SENT_ITEMS}


def test_no_messages_give_an_empty_table():
    assert mailflow.messages(mail(), np.empty(0, np.int64)).num_rows == 0
    assert isinstance(mailflow.item_ids(mail(), np.empty(0, np.int64), np.empty(0, np.int64)), pa.Array)

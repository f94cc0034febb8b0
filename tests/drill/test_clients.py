"""Single actions of clients."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from brokenseal.drill import _mailboxes, clients, identity, mailflow, tables
from brokenseal.drill._mailboxes import FOLDERS_PER_MAILBOX, parts
from brokenseal.drill.tables import HOUR_US, SECOND_US, numbers, words
from drill.drill_tenants import fresh, tenant
from drill.drill_visits import GRAPH, mail_of, visits, whole_day


def acted(one, day, rows):
    return clients.act(one, day, rows, identity.issue(one, day, rows).uses, mail_of(one))


def full_boxes(one, count):
    """Mailboxes with plenty of mail; some belong to people who have not joined yet."""
    mail = mail_of(one)
    sizes = mail.sizes(np.arange(40), np.full(40, one.day_starts_us(2)))
    return np.flatnonzero(sizes > 500)[:count]


PLAIN = {"client_class": "graph_explorer", "protocol": "rest"}
"""A client that fetches what it is told to and nothing else."""


def only(done, kind):
    return done.filter(words(done, "kind") == kind)


def test_a_visit_reads_as_many_messages_as_it_wants():
    one = tenant(mailboxes=40)
    boxes = full_boxes(one, 4)
    done = acted(one, 2, visits(one, 2, 4, reads=[1, 5, 30, 0], read_scope="newest", mailbox_no=boxes, **PLAIN))
    counts = collections.Counter(numbers(only(done, "bind"), "mailbox_no").tolist())
    assert [counts[box] for box in boxes.tolist()[:2] + boxes.tolist()[3:]] == [1, 5, 0]
    assert 25 <= counts[boxes.tolist()[2]] <= 30


def test_actions_stand_in_their_visit_in_order_of_time():
    _, done, _ = whole_day(3)
    one = tenant(mailboxes=40)
    at = numbers(done, "at_us")
    assert (np.diff(at) >= 0).all()
    assert (np.diff(numbers(done, "action_no")) == 1).all()
    assert (at < one.day_starts_us(4)).all()
    rows = visits(one, 2, 3, duration_s=100.0, reads=40, read_scope="newest")
    own = acted(one, 2, rows)
    start = dict(zip(numbers(rows, "intent_id").tolist(), numbers(rows, "starts_at_us").tolist(), strict=True))
    for intent, moment in zip(numbers(own, "intent_id").tolist(), numbers(own, "at_us").tolist(), strict=True):
        assert start[intent] <= moment <= start[intent] + 100 * SECOND_US


def test_visits_end_at_midnight():
    one = tenant(mailboxes=40)
    rows = visits(
        one, 2, 1, starts_at_us=one.day_starts_us(3) - 60 * SECOND_US, reads=50, sends=3, syncs=2, searches=30
    )
    assert (numbers(acted(one, 2, rows), "at_us") < one.day_starts_us(3)).all()


def test_nobody_reads_what_is_not_there_yet_or_no_more():
    _, done, log = whole_day(3)
    mail = mail_of(tenant(mailboxes=40))
    binds = only(done, "bind")
    message, at = numbers(binds, "message_no"), numbers(binds, "at_us")
    is_received = (parts(message)[2] < _mailboxes.SENT) & ~_mailboxes.is_copy(message)
    assert is_received.any()
    assert (mail.times(message[is_received]) <= at[is_received]).all()
    assert (numbers(binds, "folder_no") >= 0).all()
    assert (parts(message)[1] == numbers(binds, "mailbox_no")).all()
    assert log.items.num_rows > 0


def test_folder_scopes_keep_readers_to_their_folders():
    one = tenant(mailboxes=40)
    for scope, allowed in (("inbox", {_mailboxes.INBOX}), ("any", None)):
        done = only(
            acted(one, 2, visits(one, 2, 1, reads=200, read_scope="newest", folder_scope=scope, **PLAIN)), "bind"
        )
        kinds = set((numbers(done, "folder_no") % FOLDERS_PER_MAILBOX).tolist())
        assert kinds == allowed if allowed else len(kinds) >= 3


def test_newest_reads_backwards_and_mailbox_forwards_without_repeats():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    newest = only(acted(one, 2, visits(one, 2, 1, reads=60, read_scope="newest", **PLAIN)), "bind")
    position = mail.position(numbers(newest, "message_no"))
    assert (np.diff(position) < 0).all()
    dump = visits(one, 2, 2, reads=60, read_scope="mailbox", folder_scope="any", duration_s=50.0, pace_s=0.5, **PLAIN)
    done = only(acted(one, 2, dump), "bind")
    order = np.lexsort((numbers(done, "at_us"), numbers(done, "intent_id")))
    position = mail.position(numbers(done, "message_no")[order])
    assert len(np.unique(position)) == len(position)
    # The second visit goes on where the first one stopped.
    assert (np.diff(position) > 0).all()


def test_arrivals_are_what_came_since_the_visit_before():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    starts = one.day_starts_us(2) + np.array([9, 15]) * HOUR_US
    box = int(np.argmax(mail.counts[:, 2 - mail.first_day]))
    rows = visits(
        one, 2, 2, starts_at_us=starts, mailbox_no=box, reads=3, read_scope="arrivals", folder_scope="any", **PLAIN
    )
    done = only(acted(one, 2, rows), "bind")
    second = numbers(done, "intent_id") == numbers(rows, "intent_id")[1]
    message = numbers(done, "message_no")[second]
    received = message[parts(message)[2] < _mailboxes.SENT]
    fresh_ones = int(mail.sizes(np.array([box]), starts[1:])[0] - mail.sizes(np.array([box]), starts[:1])[0])
    assert fresh_ones >= 3
    assert (mail.times(received) > starts[0]).all()


def test_searching_prefers_interesting_messages_all_over_the_mailbox():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    searched = only(acted(one, 2, visits(one, 2, 1, reads=300, read_scope="search", folder_scope="any")), "bind")
    newest = only(acted(one, 2, visits(one, 2, 1, reads=300, read_scope="newest", folder_scope="any")), "bind")
    weight = [np.log(mailflow.interest(mail, numbers(done, "message_no"))).mean() for done in (searched, newest)]
    assert weight[0] > weight[1] + 0.4
    message = numbers(searched, "message_no")
    ages = one.day_starts_us(2) - mail.times(message[parts(message)[2] < _mailboxes.SENT])
    assert ages.max() > 40 * 24 * HOUR_US


def test_threads_are_read_upwards():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    done = only(acted(one, 2, visits(one, 2, 1, reads=200, read_scope="threads", folder_scope="any")), "bind")
    message = numbers(done, "message_no")
    message = message[parts(message)[2] < _mailboxes.SENT]
    answered = set(mailflow.repliers(mail, message).tolist()) - set(message.tolist())
    assert len(answered) < 0.9 * len(set(message.tolist()))
    roots = collections.Counter(numbers(mailflow.messages(mail, np.unique(message)), "thread_no").tolist())
    assert max(roots.values()) >= 2


def test_sends_moves_deletions_and_attachments_are_what_the_visit_says():
    one = tenant(mailboxes=40)
    done = acted(
        one, 2, visits(one, 2, 1, reads=40, read_scope="newest", sends=4, moves=3, deletes=5, attachments=6, searches=2)
    )
    counts = collections.Counter(words(done, "kind"))
    assert (counts["send"], counts["move"], counts["attachment"], counts["search"]) == (4, 3, 6, 2)
    assert counts["move_to_deleted"] + counts["soft_delete"] + counts["hard_delete"] == 5
    read = set(numbers(only(done, "bind"), "message_no").tolist())
    for kind in ("move", "move_to_deleted", "soft_delete", "hard_delete", "attachment"):
        assert set(numbers(only(done, kind), "message_no").tolist()) <= read
    moved = only(done, "move")
    assert (numbers(moved, "to_folder_no") >= 0).all()
    assert (numbers(moved, "to_folder_no") != numbers(moved, "folder_no")).all()
    sent = numbers(only(done, "send"), "message_no")
    assert len(set(sent.tolist())) == 4
    assert (parts(sent)[2] >= _mailboxes.SENT_TODAY).all()


@pytest.mark.parametrize(("send_as", "kind"), [("none", "send"), ("as", "send_as"), ("on_behalf", "send_on_behalf")])
def test_sending_for_others_is_told_apart(send_as, kind):
    one = tenant(mailboxes=40)
    done = acted(one, 2, visits(one, 2, 1, reads=0, sends=2, send_as=send_as, **PLAIN))
    assert words(done, "kind").tolist() == [kind] * 2


def test_sends_of_several_visits_to_one_mailbox_never_collide():
    one = tenant(mailboxes=40)
    done = only(acted(one, 2, visits(one, 2, 5, reads=0, sends=7)), "send")
    assert len(set(numbers(done, "message_no").tolist())) == 35


def test_folder_copies_begin_with_the_inbox():
    one = tenant(mailboxes=40)
    rows = visits(one, 2, 1, kind="sync", protocol="mapi", reads=0, syncs=5, folders=3)
    done = acted(one, 2, rows)
    kinds = (numbers(done, "folder_no") % FOLDERS_PER_MAILBOX).tolist()
    inbox, sent, calendar = _mailboxes.INBOX, _mailboxes.SENT_ITEMS, _mailboxes.CALENDAR
    assert kinds == [inbox, sent, calendar, inbox, sent]
    assert (numbers(done, "message_no") == -1).all()
    every = acted(one, 2, visits(one, 2, 1, kind="sync", protocol="mapi", reads=0, syncs=60, folders=60))
    known = set(numbers(mail_of(one).folders, "folder_no").tolist())
    assert set(numbers(every, "folder_no").tolist()) <= known


def test_outlook_copies_further_folders_that_changed_and_reads_its_copies():
    one = tenant(mailboxes=40)
    rows = {"kind": "sync", "protocol": "mapi", "client_class": "outlook_desktop", "mailbox_no": full_boxes(one, 1)[0]}
    done = acted(one, 2, visits(one, 2, 30, reads=10, read_scope="newest", syncs=2, folders=1, **rows))
    syncs = only(done, "sync")
    counts = collections.Counter((numbers(syncs, "folder_no") % FOLDERS_PER_MAILBOX).tolist())
    assert counts[_mailboxes.INBOX] == 60
    others = [count for kind, count in counts.items() if kind != _mailboxes.INBOX]
    assert len(others) >= 8
    assert 8 < np.mean(others) < max(others) < 28
    online = only(done, "bind").num_rows
    assert 30 < online < 100
    assert only(acted(one, 2, visits(one, 2, 30, reads=10, read_scope="newest", **rows)), "bind").num_rows == 300


def test_a_reading_pane_shows_the_conversation_and_fetches_some_messages_twice():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    box = full_boxes(one, 1)[0]
    rows = {"mailbox_no": box, "reads": 100, "read_scope": "newest", "folder_scope": "any", "duration_s": 20_000.0}
    plain = numbers(only(acted(one, 2, visits(one, 2, 1, **rows, **PLAIN)), "bind"), "message_no")
    shown = only(acted(one, 2, visits(one, 2, 1, **rows)), "bind")
    message = numbers(shown, "message_no")
    earlier = set(mailflow.repliers(mail, plain).tolist()) - set(plain.tolist())
    own = set(mailflow.answered(mail, plain).tolist()) - {-1}
    assert set(plain.tolist()) < set(message.tolist()) <= set(plain.tolist()) | earlier | own
    assert 0.3 < len(earlier & set(message.tolist())) / len(earlier) < 0.9
    assert own & set(message.tolist())
    counts = collections.Counter(message.tolist())
    assert 10 < sum(counts[one_read] > 1 for one_read in plain.tolist()) < 60


def test_drafts_of_the_web_client_are_read_before_they_are_sent():
    one = tenant(mailboxes=40)
    for logon, kind in ((0, "update"), (2, "create")):
        done = acted(one, 2, visits(one, 2, 1, reads=0, sends=200, logon_type=logon, duration_s=30_000.0))
        sent = dict(zip(numbers(only(done, "send"), "message_no"), numbers(only(done, "send"), "at_us"), strict=True))
        drafts = only(done, "bind")
        assert set((numbers(drafts, "folder_no") % FOLDERS_PER_MAILBOX).tolist()) == {_mailboxes.DRAFTS}
        read = numbers(drafts, "message_no").tolist()
        assert 90 < len(set(read)) < 150
        assert all(at <= sent[number] for number, at in zip(read, numbers(drafts, "at_us").tolist(), strict=True))
        saved = only(done, kind)
        assert 0 < saved.num_rows <= len(set(read))
        assert set(words(done, "kind")) == {"send", "bind", kind}


def test_services_take_what_is_new_in_batches_and_each_message_once():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    box = full_boxes(one, 1)[0]
    rows = visits(
        one,
        2,
        3,
        client_class="background",
        protocol="rest_system",
        auth="internal",
        identity_no=[5, 6, 7],
        mailbox_no=box,
        starts_at_us=one.day_starts_us(2) + 6 * HOUR_US,
        duration_s=12 * 3600.0,
        pace_s=3000.0,
        reads=[4, 4, 9],
    )
    done = acted(one, 2, rows)
    assert set(words(done, "kind")) == {"bind"}
    message, at = numbers(done, "message_no"), numbers(done, "at_us")
    assert (mail.times(message) <= at).all()
    assert (at - mail.times(message) < 42 * HOUR_US).all()
    assert (at - mail.times(message) > 20 * HOUR_US).any()
    pairs = list(zip(numbers(done, "identity_no").tolist(), message.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    by_service = collections.Counter(numbers(done, "identity_no").tolist())
    assert by_service[7] > by_service[5] > 4
    per_minute = collections.Counter((numbers(done, "identity_no") * 10**9 + at // 60_000_000).tolist())
    assert max(per_minute.values()) > 3


def test_applications_poll_and_phones_download_at_once():
    one = tenant(mailboxes=40)
    rows = {"reads": 60, "read_scope": "newest", "mailbox_no": full_boxes(one, 1)[0], "duration_s": 40_000.0}
    gaps = {}
    for client, protocol in (("app_rest", "rest"), ("graph_explorer", "rest"), ("apple_mail", "eas")):
        done = acted(one, 2, visits(one, 2, 1, client_class=client, protocol=protocol, pace_s=600.0, **rows))
        gaps[client] = np.diff(numbers(done, "at_us")) / SECOND_US
    assert 0.5 < (gaps["app_rest"] < 10).mean() < 0.8
    assert (gaps["graph_explorer"] > 10).all()
    assert (gaps["apple_mail"] < 10).all()


def test_what_is_sent_in_the_drill_can_be_read_by_colleagues_on_the_same_day():
    one = tenant(mailboxes=40)
    mail = mail_of(one)
    sender, *others = full_boxes(one, 40).tolist()
    rows = visits(
        one,
        2,
        1 + len(others),
        identity_no=[sender, *others],
        mailbox_no=[sender, *others],
        starts_at_us=one.day_starts_us(2) + np.array([8, *([15] * len(others))]) * HOUR_US,
        reads=[0, *([50] * len(others))],
        sends=[60, *([0] * len(others))],
        folder_scope="any",
        **PLAIN,
    )
    done = acted(one, 2, rows)
    sends = only(done, "send")
    post = mailflow.delivered(mail, numbers(sends, "message_no"), numbers(sends, "at_us"))
    read = numbers(only(done, "bind"), "message_no")
    copies = read[_mailboxes.is_copy(read)]
    assert len(post.message) > 15
    assert set(copies.tolist()) <= set(post.message.tolist())
    assert len(set(copies.tolist())) > 0.5 * len(set(post.message.tolist()))
    assert (parts(copies)[1] == numbers(only(done, "bind"), "mailbox_no")[_mailboxes.is_copy(read)]).all()
    ids = mailflow.messages(mail, copies)["internet_message_id"].to_pylist()
    assert set(ids) <= set(mailflow.messages(mail, numbers(sends, "message_no"))["internet_message_id"].to_pylist())


def test_failed_sign_ins_and_other_kinds_do_nothing():
    one = tenant(mailboxes=40)
    rows = visits(
        one,
        2,
        4,
        kind=["read", "sign_in", "change", "read"],
        sign_in_fails=[True, False, False, False],
        mailbox_no=[0, 0, 0, -1],
    )
    assert acted(one, 2, rows).num_rows == 0


def test_only_rest_through_graph_reaches_the_graph_log():
    one = tenant(mailboxes=40)
    rows = visits(
        one, 2, 3, protocol=["rest", "rest", "owa"], resource_id=[GRAPH, "x", GRAPH], mailbox_no=full_boxes(one, 3)
    )
    done = acted(one, 2, rows)
    by_box = {int(box): flag for box, flag in zip(numbers(done, "mailbox_no"), numbers(done, "is_graph"), strict=True)}
    assert [bool(by_box[box]) for box in full_boxes(one, 3).tolist()] == [True, False, False]


def test_each_action_knows_the_token_in_use():
    one = fresh(mailboxes=40, cae_share=0.0)
    rows = visits(one, 2, 1, duration_s=5 * 3600.0, reads=300, read_scope="newest", pace_s=60.0)
    uses = identity.issue(one, 2, rows).uses
    done = clients.act(one, 2, rows, uses, mail_of(one))
    spans = uses.to_pylist()
    assert len(spans) > 3
    for row in done.to_pylist():
        (held,) = [use["token_no"] for use in spans if use["from_us"] <= row["at_us"] < use["until_us"]]
        assert row["token_no"] == held
    none = clients.act(one, 2, rows, tables.empty(tables.TOKEN_USE), mail_of(one))
    assert set(numbers(none, "token_no").tolist()) == {-1}


def test_a_day_is_the_same_every_time_and_other_seeds_differ():
    one, two, three = fresh(mailboxes=40), fresh(mailboxes=40), fresh(mailboxes=40, seed=12)
    same = [acted(each, 2, visits(each, 2, 3)) for each in (one, two, three)]
    assert same[0].equals(same[1])
    assert not same[0].equals(same[2])


def test_truth_never_decides():
    one = tenant(mailboxes=40)
    honest = acted(one, 2, visits(one, 2, 3))
    attack = acted(one, 2, visits(one, 2, 3, truth_actor_kind="attacker", truth_attack_id="A2"))
    kept = [column for column in honest.column_names if not column.startswith("truth_")]
    assert honest.select(kept).equals(attack.select(kept))
    assert set(words(attack, "truth_attack_id")) == {"A2"}


def test_an_empty_day_has_no_actions():
    one = tenant(mailboxes=40)
    assert acted(one, 2, tables.empty(tables.INTENT)).num_rows == 0

"""No letter goes twice: the ledger, kills at any write, refusals, approvals, escalation."""

import datetime as dt
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.errors import EvidenceChanged, StoreBusy, UsageError
from brokenseal.notices import sending_ledger
from brokenseal.notices.carriers import FolderCarrier, NotTaken, RelayFailed, Unclear
from brokenseal.notices.plan import plan_hash, plan_notices
from brokenseal.notices.sending import send
from brokenseal.notices.sending_ledger import opened, read_entries
from brokenseal.notices.status import letter_states, statuses
from notices.post_office import parsed
from notices.victims import NOW, SETTINGS, contact, many, with_settings

COUNT = 3


@pytest.fixture(scope="module")
def plan():
    documents, parties = many(COUNT)
    return plan_notices(documents, parties, SETTINGS)


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Post:
    """A server: keeps what it took, and fails as it is told at the nth delivery."""

    def __init__(self, faults=()):
        self.faults = dict(faults)
        self.taken = []
        self.calls = 0

    def deliver(self, *, sender, recipient, mail, mark, before):
        self.calls += 1
        fault = self.faults.get(self.calls)
        if fault == "killed early":
            raise Killed
        if fault in {"refused", "put off"}:
            raise NotTaken("550 no" if fault == "refused" else "451 later", is_final=fault == "refused")
        if fault == "relay":
            raise RelayFailed(place="relay", expected="an answer")
        before()
        if fault == "killed before it left":
            raise Killed
        if fault == "lost before":
            raise Unclear("lost")
        self.taken.append(parsed(mail)["Message-ID"].strip())
        if fault == "killed after it left":
            raise Killed
        if fault == "lost after":
            raise Unclear("lost")
        return "250 ok"


def run(plan, path, post, *, now=NOW, **values):
    """One process that sends, which may be killed."""
    with opened(path) as ledger:
        try:
            return send(plan, ledger, post, taken="sent", now=lambda: now, **values)
        except Killed:
            return None


FAULTS = (
    "killed early", "killed before it left", "killed after it left", "lost before", "lost after", "refused",
    "put off", "relay",
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.integers(1, COUNT), st.sampled_from(FAULTS), max_size=2), max_size=4))
def test_whatever_fails_no_letter_goes_twice_and_every_letter_goes_or_is_named(plan, tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("ledger") / "l.jsonl"
    taken = []
    for faults in runs:
        post = Post(faults)
        run(plan, path, post)
        taken += post.taken
    last = Post()
    done = run(plan, path, last)
    taken += last.taken

    assert len(taken) == len(set(taken))
    first_letters = {notice.letters[0].id for notice in plan.notices}
    assert set(taken) | set(done.uncertain) == first_letters
    states = letter_states(plan, read_entries(path))
    assert {letter for letter, found in states.items() if found.state == "sent"} == set(taken) - set(done.uncertain)
    assert run(plan, path, Post()).sent == ()


def test_a_ledger_cut_anywhere_in_its_last_line_is_mended_and_nothing_goes_twice(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    post = Post({3: "killed early"})
    run(plan, path, post)
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for cut in (start, start + 1, *range(start + 2, len(whole) - 1, 90), len(whole) - 1):
        path.write_bytes(whole[:cut])
        again = Post()
        done = run(plan, path, again)
        # The last line said that the second letter was taken: without it nobody can tell.
        assert done.uncertain == (plan.notices[1].letters[0].id,)
        assert again.taken == [plan.notices[2].letters[0].id]


def test_an_uncertain_letter_goes_again_only_on_demand_and_with_the_same_id(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post({2: "killed after it left"}))
    second = plan.notices[1].letters[0].id
    assert run(plan, path, Post()).uncertain == (second,)
    with pytest.raises(UsageError, match="uncertain"):
        run(plan, path, Post(), resend=[plan.notices[0].letters[0].id])
    post = Post()
    done = run(plan, path, post, resend=[second])

    assert post.taken == [second]
    assert (done.sent, done.uncertain) == ((second,), ())


def test_a_kill_between_the_decision_and_the_sending_leaves_the_decision(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post({2: "lost after"}))
    second = plan.notices[1].letters[0].id
    run(plan, path, Post({1: "killed early"}), resend=[second])
    post = Post()
    run(plan, path, post)

    assert post.taken == [second]


def test_a_refused_letter_is_tried_again_and_a_relay_that_fails_stops_the_run(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    done = run(plan, path, Post({1: "refused", 2: "relay"}))
    assert (done.sent, [letter for letter, _ in done.not_sent]) == ((), [plan.notices[0].letters[0].id])
    assert done.stopped is not None
    again = run(plan, path, Post())

    assert len(again.sent) == COUNT
    assert again.stopped is None


def test_a_wish_to_stop_is_heard_between_two_letters_and_leaves_none_uncertain(plan, tmp_path):
    path, post = tmp_path / "l.jsonl", Post()
    done = run(plan, path, post, is_stopped=lambda: len(post.taken) == 2)

    assert (len(done.sent), done.uncertain) == (2, ())
    assert "again" in done.stopped
    assert len(run(plan, path, Post()).sent) == COUNT - 2


def test_files_of_letters_are_written_once(plan, tmp_path):
    with opened(tmp_path / "l.jsonl") as ledger:
        for expected in (COUNT, 0):
            done = send(plan, ledger, FolderCarrier(tmp_path / "out"), taken="written", now=lambda: NOW)
            assert len(done.sent) == expected
    assert len(list((tmp_path / "out").glob("*.eml"))) == COUNT


def test_the_same_notice_planned_anew_is_not_sent_again_and_another_round_is(plan, tmp_path):
    documents, parties = many(COUNT)
    path = tmp_path / "l.jsonl"
    run(plan, path, Post())
    anew = plan_notices(documents, parties, with_settings(made_at=NOW + dt.timedelta(days=1)))
    assert plan_hash(anew) != plan_hash(plan)
    assert run(anew, path, Post()).sent == ()
    assert len(run(plan_notices(documents, parties, with_settings(round=2)), path, Post()).sent) == COUNT


# ---------------------------------------------------------------- approvals, escalation


def test_nothing_goes_before_enough_different_people_approved_this_very_plan(tmp_path):
    documents, parties = many(1)
    plan = plan_notices(documents, parties, with_settings(approvals=2))
    other = plan_notices(documents, parties, with_settings(approvals=2, round=2))
    path = tmp_path / "l.jsonl"
    for name, of in (("Ann", plan), ("ANN", plan), ("Bob", other)):
        with opened(path) as ledger:
            ledger.append("approved", at=NOW, plan=plan_hash(of), detail=name)
        with pytest.raises(UsageError, match="2 different people"):
            run(plan, path, Post())
    with opened(path) as ledger:
        ledger.append("approved", at=NOW, plan=plan_hash(plan), detail="Cy")

    assert len(run(plan, path, Post()).sent) == 1


def day(number):
    return NOW + dt.timedelta(days=number)


def test_who_stays_silent_is_written_to_next_once_and_who_answered_is_not(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post())
    answered = plan.notices[0].letters[0].id
    with opened(path) as ledger:
        ledger.append("acknowledged", at=day(1), letter=answered, plan="", detail="x")
    early = Post()
    run(plan, path, early, now=day(2.9), escalate=True)
    late = Post()
    run(plan, path, late, now=day(3), escalate=True)
    again = Post()
    run(plan, path, again, now=day(5), escalate=True)
    last = Post()
    run(plan, path, last, now=day(30), escalate=True)

    assert early.taken == []
    assert late.taken == [notice.letters[1].id for notice in plan.notices[1:]]
    assert again.taken == []
    assert last.taken == []
    found = statuses(plan, read_entries(path), day(30))
    assert [(each.state, each.letters, each.next_contact) for each in found] == [
        ("acknowledged", 1, None), ("silent", 2, None), ("silent", 2, None),
    ]  # fmt: skip


@pytest.mark.parametrize("event", ["bounced", "refused"])
def test_what_came_back_or_was_refused_is_escalated_without_waiting(plan, tmp_path, event):
    path = tmp_path / "l.jsonl"
    faults = {1: "refused"} if event == "refused" else {}
    run(plan, path, Post(faults))
    if event == "bounced":
        with opened(path) as ledger:
            ledger.append("bounced", at=NOW, letter=plan.notices[0].letters[0].id, detail="5.1.1")
    post = Post()
    run(plan, path, post, escalate=True)

    assert post.taken == [plan.notices[0].letters[1].id]


def test_what_was_put_off_is_tried_again_and_not_escalated(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post({1: "put off"}))
    assert statuses(plan, read_entries(path), NOW)[0].state == "planned"
    post = Post()
    run(plan, path, post, escalate=True)

    assert post.taken == [plan.notices[0].letters[0].id]


def test_a_refused_second_contact_does_not_stand_before_the_third(tmp_path):
    documents, parties = many(1)
    people = (*parties[0].contacts, contact("third@org00.example", order=3))
    plan = plan_notices(documents, [replace(parties[0], contacts=people)], SETTINGS)
    path = tmp_path / "l.jsonl"
    run(plan, path, Post())
    run(plan, path, Post({1: "refused"}), now=day(3), escalate=True)
    assert statuses(plan, read_entries(path), day(3))[0].next_contact == "third@org00.example"
    post = Post()
    run(plan, path, post, now=day(3), escalate=True)

    assert post.taken == [plan.notices[0].letters[2].id]


def test_a_person_is_silent_whatever_machines_answered(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post())
    with opened(path) as ledger:
        for event in ("delivered", "displayed", "auto_reply"):
            ledger.append(event, at=day(1), letter=plan.notices[0].letters[0].id)
    found = statuses(plan, read_entries(path), day(3))

    assert found[0].state == "silent"
    assert letter_states(plan, read_entries(path))[plan.notices[0].letters[0].id].auto_replies == 1


def test_an_answer_to_an_uncertain_letter_settles_it(plan, tmp_path):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post({1: "killed after it left"}))
    with opened(path) as ledger:
        ledger.append("acknowledged", at=NOW, letter=plan.notices[0].letters[0].id)

    assert run(plan, path, Post()).uncertain == ()


# ---------------------------------------------------------------- the chain


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b"sending", b"written"), *lines[1:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [b"{}\n", *lines],
        lambda lines: [b"\xff\n", *lines],
        lambda lines: [lines[0], b"[]\n", *lines[1:]],
    ],
)
def test_a_line_that_was_changed_is_found(plan, tmp_path, spoil):
    path = tmp_path / "l.jsonl"
    run(plan, path, Post())
    path.write_bytes(b"".join(spoil(lines_of(path))))

    with pytest.raises(EvidenceChanged), opened(path):
        pass
    with pytest.raises(EvidenceChanged):
        read_entries(path)


def test_two_processes_do_not_send_from_one_ledger(tmp_path):
    with opened(tmp_path / "l.jsonl"), pytest.raises(StoreBusy), opened(tmp_path / "l.jsonl"):
        pass


def test_a_line_is_on_disk_before_what_it_announces_happens(plan, tmp_path, monkeypatch):
    path, happened = tmp_path / "l.jsonl", []
    real = sending_ledger.os.fsync
    monkeypatch.setattr(sending_ledger.os, "fsync", lambda descriptor: (happened.append("disk"), real(descriptor)))

    class Watched(Post):
        def deliver(self, *, before, **values):
            happened.append("envelope")
            return super().deliver(before=lambda: (before(), happened.append("content")), **values)

    with opened(path) as ledger:
        happened.clear()
        send(plan, ledger, Watched(), taken="sent", now=lambda: NOW)

    assert happened == ["envelope", "disk", "content", "disk"] * COUNT


def test_lines_hold_text_of_servers_as_data(tmp_path):
    path = tmp_path / "l.jsonl"
    hostile = 'x"\n{"seq":9}\r\n\x00\u202e\ud800' + "y" * 9000
    with opened(path) as ledger:
        ledger.append("bounced", at=NOW, detail=hostile)
        ledger.append("bounced", at=NOW, detail="z")

    assert [len(entry.detail) for entry in read_entries(path)] == [500, 1]
    assert all(line.isascii() for line in lines_of(path))
    assert [json.loads(line)["seq"] for line in lines_of(path)] == [1, 2]


def test_the_hash_is_over_everything_that_reaches_a_reader(plan):
    letter = plan.notices[0].letters[0]
    changed = {
        "subject": replace(letter, subject="x"),
        "text": replace(letter, text="x"),
        "html": replace(letter, html="x"),
        "address": replace(letter, contact=replace(letter.contact, address="x@evil.example")),
        "certificate": replace(letter, contact=replace(letter.contact, certificate="x")),
        "id": replace(letter, id="<x@y>"),
    }
    hashes = {
        plan_hash(replace(plan, notices=(replace(plan.notices[0], letters=(each,)), *plan.notices[1:])))
        for each in changed.values()
    }

    assert len(hashes | {plan_hash(plan)}) == len(changed) + 1

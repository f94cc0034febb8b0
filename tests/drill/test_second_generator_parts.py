"""The laws of the plain generator, one by one."""

from __future__ import annotations

import json
import statistics
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import fields
from brokenseal.drill.second_generator import clients, company, founding, lives, places
from brokenseal.drill.second_generator.books import Story
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND, Clock
from brokenseal.drill.second_generator.company import INBOX, Message, Tag
from brokenseal.drill.second_generator.desk import Caller
from brokenseal.drill.second_generator.dice import Dice, token_text, token_text_ascii
from brokenseal.drill.second_generator.exchange import LIMIT, Exchange
from brokenseal.drill.second_generator.outbox import Law, Outbox, Written

START = 1_767_571_200 * SECOND  # 5 January 2026, a Monday
END = START + 60 * DAY


@pytest.fixture(scope="module")
def world():
    return places.build_world(3)


@pytest.fixture
def tenant(world):
    return founding.found(Dice(3, "test"), world, no=0, start=START, end=END, mailboxes=20)


# ---------------------------------------------------------------- chance


def test_dice_depend_on_their_keys_alone():
    assert [Dice(1, "a").unit() for _ in range(2)] == [Dice(1, "a").unit()] * 2
    drawn = {Dice(*key).unit() for key in ((1, "a"), (1, "b"), (2, "a"), (1, "a", 1), (1, "a", "1"))}
    assert len(drawn) == 5


def test_means_are_those_asked_for():
    dice = Dice(1, "means")
    assert statistics.fmean(dice.wait(3) for _ in range(4000)) == pytest.approx(3, rel=0.08)
    assert statistics.fmean(dice.gamma(5, 2) for _ in range(4000)) == pytest.approx(5, rel=0.06)
    assert statistics.median(dice.about(7, 0.5) for _ in range(4000)) == pytest.approx(7, rel=0.06)
    for mean in (0.4, 12, 80):
        assert statistics.fmean(dice.count(mean) for _ in range(3000)) == pytest.approx(mean, rel=0.1)
    names = [dice.weighted((("a", 3.0), ("b", 1.0))) for _ in range(4000)]
    assert names.count("a") / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_sample_holds_different_things_and_at_most_all():
    dice = Dice(1, "sample")
    assert sorted(dice.sample(range(5), 9)) == [0, 1, 2, 3, 4]
    assert len(set(dice.sample(range(50), 20))) == 20


def test_request_ids_are_version_4_and_end_as_those_of_entra():
    dice = Dice(1, "ids")
    ids = [dice.request_id() for _ in range(2000)]
    assert {one[14] for one in ids} == {"4"}
    assert {one[19] for one in ids} == set("89ab")
    assert {one[-2:] for one in ids} == {"00", "01"}
    assert len(set(ids)) == 2000


@given(st.uuids())
def test_token_texts_are_read_back_as_their_request(guid):
    if guid.int == 0 or len(set(token_text(str(guid)))) == 1:
        return
    assert fields.canonical_token_id(token_text(str(guid))) == (str(guid), "b64guid")
    assert fields.canonical_token_id(token_text_ascii(str(guid))) == (str(guid), "b64ascii")


# ---------------------------------------------------------------- clock


def test_things_happen_in_the_order_of_time_and_ties_in_the_order_of_waiting():
    clock, seen = Clock(0), []

    def life(name, *times):
        for at in times:
            yield at
            seen.append((clock.now, name))

    clock.start(life("a", 5, 9))
    clock.start(life("b", 5, 2, 30))
    clock.call(7, lambda: seen.append((clock.now, "call")))
    clock.run_until(20)
    # A wish for the past (2, at time 5) is carried out at once.
    assert seen == [(5, "a"), (5, "b"), (5, "b"), (7, "call"), (9, "a")]
    assert clock.now == 20


# ---------------------------------------------------------------- places


def test_no_two_providers_share_a_pool_and_all_addresses_are_public(world):
    everybody = {id(one): one for group in (*world.by_kind.values(), world.clouds) for one in group}.values()
    pools = [pool for provider in everybody for pool in provider.pools]
    assert len(pools) == len(set(pools))
    assert len({provider.asn for provider in everybody}) == len(everybody)
    dice = Dice(3, "addresses")
    for provider in everybody:
        for _ in range(5):
            text = places.connect(provider, dice).address
            assert fields.address(text) == (text, "public")


def test_the_services_own_addresses_are_known_as_such():
    dice = Dice(3, "back end")
    assert {fields.address(places.back_end(dice))[1] for _ in range(200)} == {"microsoft"}


def test_a_line_keeps_its_address_until_its_lease_runs_out(world):
    line = places.rent(
        world.of("home", places.COUNTRIES[0]), Dice(3, "line"), start=START, end=END, moves_per_year=0.01
    )
    assert line.starts == sorted(line.starts)
    for place, start in enumerate(line.starts):
        assert line.at(start) == line.nets[place]
        assert line.at(start - 1) == line.nets[max(place - 1, 0)]
    assert len({net.provider.asn for net in line.nets}) == 1


# ---------------------------------------------------------------- people


def test_people_sleep_and_have_weekends(tenant):
    worker = next(person for person in tenant.people if person.habit.name in {"clerk", "specialist"})
    shift = worker.country.offset_h * HOUR
    noon = START + DAY + int((worker.start_h + 1.5) * HOUR) - shift
    assert lives.liveliness(worker, noon) == 1.0
    assert lives.liveliness(worker, noon + 12 * HOUR) < 0.1
    sunday = noon + 5 * DAY
    assert lives.liveliness(worker, sunday) == pytest.approx(worker.habit.weekend)


def test_a_tenant_has_the_mailboxes_asked_for_and_all_names_once(tenant):
    assert len(tenant.mailboxes) == 20
    assert len({mailbox.upn for mailbox in tenant.mailboxes}) == 20
    assert len({mailbox.guid for mailbox in tenant.mailboxes}) == 20
    assert all(mailbox.owner is None or mailbox.owner.mailbox is mailbox for mailbox in tenant.mailboxes)
    assert tenant.admins


def test_browsers_get_a_new_version_every_four_weeks():
    agent = clients.Agent("edge_windows", 0)
    versions = [clients.agent_text(agent, START + week * 7 * DAY) for week in range(12)]
    assert len(set(versions)) in {3, 4}
    assert clients.agent_text(clients.Agent("edge_windows", 3), START + 84 * DAY) in versions


@pytest.mark.parametrize("kind", clients.KINDS, ids=lambda kind: kind.name)
def test_client_strings_are_understood(kind):
    agent = clients.OFFICE if kind is clients.OUTLOOK else clients.Agent("chrome_windows", 0)
    read = fields.parse_client_info(clients.client_string(kind, agent, START))
    expected = {
        "mapi": "mapi",
        "proxy": "owa",
        "owa": "owa",
        "mobile": "outlook_mobile",
        "ews": "ews",
        "eas": "eas",
        "imap": "imap_pop",
        "graph": "rest",
        "graph_script": "rest_system",
    }
    assert read.protocol == expected[kind.protocol]
    if kind is clients.OWA:
        assert read.user_agent == clients.agent_text(agent, START)


# ---------------------------------------------------------------- what Exchange writes


class Collector:
    """An outbox that keeps what it is given."""

    def __init__(self):
        self.records = []

    def put(self, stream, event_id, at, body, **told):
        record = json.loads(body)
        self.records.append(record)
        return Written(stream, event_id, at, at, body, told["actor"], told["actor_kind"], told["mailbox"], told["tag"])

    def items(self):
        return [
            [item["InternetMessageId"] for folder in record["Folders"] for item in folder["FolderItems"]]
            for record in self.records
        ]


class Audit:
    """A mailbox under audit, its owner, and the record of it."""

    def __init__(self, tenant, *, tag=None):
        self.outbox = Collector()
        self.story = Story(0, "A1", "test", 1, ())
        books = types.SimpleNamespace(stories={0: self.story})
        self.exchange = Exchange(tenant, Dice(3, "exchange"), self.outbox, books)
        self.mailbox = next(one for one in tenant.mailboxes if one.owner is not None)
        self.mailbox.is_audited = True
        self.tag = tag

    def caller(self, name="c", token="t"):
        fields_ = {"UserId": "somebody", "ClientInfoString": "Client=OWA;x;"}
        return Caller((token, name), (name,), fields_, "oid", "somebody", self.mailbox.owner, "owner", self.tag)

    def read(self, number, at_s, caller=None):
        message = Message(number, f"<{number}@x>", "s", 1000, START, INBOX)
        self.exchange.bind(self.mailbox, caller or self.caller(), message, START + int(at_s * SECOND))

    def close(self):
        self.exchange.close_before(END, force=True)
        return self.outbox


def test_reads_within_two_minutes_stand_in_one_record(tenant):
    audit = Audit(tenant)
    for number, at_s in enumerate((0, 30, 119, 121, 300)):
        audit.read(number, at_s)
    found = audit.close()
    assert found.items() == [["<0@x>", "<1@x>", "<2@x>"], ["<3@x>"], ["<4@x>"]]
    assert [record["OperationCount"] for record in found.records] == [3, 1, 1]
    assert [record["CreationTime"][-5:] for record in found.records] == ["01:59", "02:01", "05:00"]
    assert {record["LogonType"] for record in found.records} == {0}


def test_callers_and_tokens_are_kept_apart(tenant):
    audit = Audit(tenant)
    for number, caller in enumerate((audit.caller(), audit.caller("d"), audit.caller(token="u"), audit.caller())):
        audit.read(number, number, caller)
    assert sorted(audit.close().items()) == [["<0@x>", "<3@x>"], ["<1@x>"], ["<2@x>"]]


def test_repeats_of_an_hour_are_left_out_and_later_ones_are_not(tenant):
    audit = Audit(tenant)
    for at_s in (0, 10, 1800, 3599, 3601, 3700):
        audit.read(7, at_s)
    audit.read(7, 3800, audit.caller("other"))
    audit.read(7, 3900, audit.caller(token="new"))
    assert audit.close().items() == [["<7@x>"], ["<7@x>"], ["<7@x>"]]


def test_after_a_thousand_records_in_a_day_the_mailbox_falls_silent_for_a_day(tenant):
    audit = Audit(tenant, tag=Tag("A1", 0, "read"))
    for number in range(LIMIT + 50):
        audit.read(number, number, audit.caller(f"c{number}"))
    audit.read(9000, 24 * 3600 - 600, audit.caller("late"))
    audit.read(9001, 26 * 3600, audit.caller("next"))
    found = audit.close()
    marks = [{one["Name"]: one["Value"] for one in record["OperationProperties"]} for record in found.records]
    assert [mark["IsThrottled"] for mark in marks] == ["False"] * (LIMIT - 1) + ["True", "False"]
    fates = [note.fate for note in audit.story.notes]
    assert fates.count("recorded") == LIMIT + 1
    assert fates.count("throttled") == 51
    assert {note.line is None for note in audit.story.notes if note.fate == "throttled"} == {True}


def test_a_mailbox_without_licence_leaves_no_record(tenant):
    audit = Audit(tenant, tag=Tag("A1", 0, "read"))
    audit.mailbox.is_audited = False
    audit.read(1, 0)
    audit.exchange.sync(audit.mailbox, audit.caller(), INBOX, START, whole=True)
    assert audit.close().records == []
    assert {note.fate for note in audit.story.notes} == {"not_audited"}


def test_a_synchronised_folder_takes_all_its_messages_along(tenant):
    audit = Audit(tenant, tag=Tag("A10", 0, "read"))
    audit.mailbox.folders[INBOX] = [Message(number, f"<{number}@x>", "s", 1, START, INBOX) for number in range(4)]
    audit.exchange.sync(audit.mailbox, audit.caller(), INBOX, START, whole=True)
    (record,) = audit.close().records
    assert record["RecordType"] == 2
    assert record["Item"]["Id"] == record["Item"]["ParentFolder"]["Id"]
    assert [(note.message.internet_id, note.fate) for note in audit.story.notes] == [
        (f"<{number}@x>", "sync") for number in range(4)
    ]


def test_a_folder_keeps_no_more_than_its_limit(tenant):
    mailbox = tenant.mailboxes[0]
    messages = [Message(number, f"<{number}@x>", "s", 1, START, INBOX) for number in range(company.FOLDER_LIMIT + 5)]
    for message in messages:
        mailbox.put(message, INBOX)
    assert mailbox.folders[INBOX] == messages[5:]
    assert [message.no for message in mailbox.unread(2)] == [messages[-1].no, messages[-2].no]
    assert mailbox.move(messages[9], company.ARCHIVE)
    assert messages[9].folder == company.ARCHIVE
    assert not mailbox.move(messages[0], company.ARCHIVE)


# ---------------------------------------------------------------- delivery


def law(tenant, **changed):
    given = {"logs": "full", "start": START, "end": END}
    calm = {"stalls_per_month": 0.0, "gaps_per_month": 0.0, "audit_lag_min": 40.0, "redelivered_share": 0.2}
    return Law(Dice(3, "law"), {**tenant.parameters, **calm}, **{**given, **changed})


def line(at, stream="ual_exchange"):
    return Written(stream, f"id{at}", at, at, b"{}", None, "owner", None, None)


def test_lines_come_as_late_as_their_log_is(tenant):
    rule = law(tenant)
    for stream, expected in (("ual_exchange", 40), ("interactive", 4)):
        lags = []
        for number in range(2000):
            one = line(START + number * MINUTE, stream)
            rule.decide(one)
            lags.append((one.available - one.at) / MINUTE)
        assert statistics.fmean(lags) == pytest.approx(expected, rel=0.2)
        assert min(lags) >= 0.5


def test_what_comes_after_the_end_is_late_and_what_falls_into_a_gap_is_lost(tenant):
    rule = law(tenant)
    rule.gaps["ual_exchange"].append((START + HOUR, START + 2 * HOUR))
    late, gap, given_ = line(END - SECOND), line(START + HOUR), line(START + 2 * HOUR)
    for one in (late, gap, given_):
        rule.decide(one)
    assert [one.lost_to for one in (late, gap, given_)] == ["late", "gap", ""]


def test_gappy_logs_lose_three_tenths_of_their_time(tenant):
    shares = []
    for seed in range(8):
        gappy = Law(Dice(seed, "gappy"), tenant.parameters, logs="gappy", start=START, end=END)
        shares += [sum(stop - begin for begin, stop in gaps) / (END - START) for gaps in gappy.gaps.values()]
    assert statistics.fmean(shares) == pytest.approx(0.3, abs=0.03)


def test_what_comes_twice_comes_in_runs_and_is_counted(tenant):
    lines = [line(START + number) for number in range(500)]
    repeated = law(tenant).again(lines)
    assert 100 <= len(repeated) < 150
    assert sum(one.copies for one in lines) == 500 + len(repeated)
    first = lines.index(repeated[0])
    assert repeated[:3] == lines[first : first + 3]


def test_a_day_that_came_twice_in_full_stays_one_file(tenant, tmp_path):
    heard = []
    rule = law(tenant)
    box = Outbox(rule, tmp_path, start=START, heard=heard.append)
    rule.again = list  # everything once more
    for number in range(3):
        box.put("ual_exchange", f"e{number}", START + number, b'{"n":%d}' % number, actor=None, actor_kind="owner")
    box.write_day(0)
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(entry["n"] for entry in json.loads(path.read_text())) == [0, 0, 1, 1, 2, 2]
    assert box.lines == 6
    assert sorted(one.event_id for one in heard) == ["e0", "e1", "e2"]

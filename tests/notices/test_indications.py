"""Notices on the strength of what is known from elsewhere: read, looked up, and told to whom it concerns alone."""

import csv
import dataclasses
import datetime as dt
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit_records import bind, login
from brokenseal.cli import app
from brokenseal.errors import UsageError
from brokenseal.notices.content import body_of
from brokenseal.notices.indications import Indicated, Indication, read_indications, targets_in
from brokenseal.notices.plan import plan_from_json, plan_notices, plan_to_json
from brokenseal.notices.screens import plan_text
from brokenseal.notices.shares import share_of
from brokenseal.notices.values import ByIndicator
from notices.victims import (
    SENDER,
    Box,
    case,
    contact,
    document,
    everything_said,
    exposure,
    organisation,
    owner,
    with_settings,
)

BECAUSE = "Forged tokens were used against you."
SETTINGS = with_settings(because={"en": BECAUSE, "fr": "Des jetons forgés."})
INTRUDER = Indication(kind="address", value="198.51.100.7")
UNSEEN = Indication(kind="address", value="198.51.100.8")
AT = dt.datetime(2023, 5, 17, tzinfo=dt.UTC)


def target(box, **times):
    return Indication(kind="mailbox", value=box.name, **times)


def own_session(box):
    return Indication(kind="session", value=f"session-{box.mark}")


def shown(found, boxes, *, targets=(), known=()):
    """What `looking.look` gives for a store in which these boxes were read from the intruder's address."""
    everything = (INTRUDER, UNSEEN, *known, *(target(box) for box in targets))
    return Indicated(
        known=everything,
        targets=targets_in(found, everything),
        seen=frozenset(
            (box.name, each) for box in boxes for each in (INTRUDER, own_session(box)) if each in everything
        ),
        exposure=exposure(boxes, boxes),
        cited={key: each for key, each in found.cited.items() if each.mailbox in {box.name for box in boxes}},
    )


def without_reading(found):
    """The same store without any record of reading."""
    boxes = tuple(dataclasses.replace(each, has_mail_access=False) for each in found.coverage.mailboxes)
    return dataclasses.replace(found, coverage=dataclasses.replace(found.coverage, mailboxes=boxes, mail_accesses=0))


def flowing(notice):
    return " ".join(notice.letters[0].text.split())


# ---------------------------------------------------------------- the file


def read(tmp_path, text):
    (tmp_path / "known.csv").write_text(text, encoding="utf-8")
    return read_indications(tmp_path / "known.csv")


def test_what_is_known_is_read_in_the_form_in_which_logs_are_stored_each_once(tmp_path):
    found = read(
        tmp_path,
        "kind,value,from,until,note\n"
        "mailbox, smtp:Ada@A.example ,2023-05-17,2023-06-16T10:00:00+02:00,x\n"
        "address,::ffff:198.51.100.7,,,\n"
        "address,198.51.100.7,,,\n"
        "organisation,A.Example,,,\n"
        "client,Client=REST;Client=RESTSystem;;,,,\n"
        "token,445945de-2d4f-4816-a71e-d3c0eff10500,,,\n",
    )

    assert found == (
        Indication(
            kind="mailbox", value="ada@a.example", first_at=AT, last_at=dt.datetime(2023, 6, 16, 8, tzinfo=dt.UTC)
        ),
        Indication(kind="address", value="198.51.100.7"),
        Indication(kind="organisation", value="a.example"),
        Indication(kind="client", value="Client=REST;Client=RESTSystem;;"),
        Indication(kind="token", value="445945de-2d4f-4816-a71e-d3c0eff10500"),
    )


def test_indicators_that_others_shared_are_read_as_they_come(tmp_path):
    found = read(
        tmp_path,
        '"kind","value","first_at","last_at","valid_until"\n'
        '"address","198.51.100.7","2023-05-17T00:00:00Z","2023-05-18T00:00:00Z","2023-08-18T00:00:00Z"\n'
        '"user_agent","python-requests/2.31","","",""\n',
    )

    assert found == (INTRUDER, Indication(kind="user_agent", value="python-requests/2.31"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind\naddress\n", "columns kind and value"),
        ("kind,value\n", "0 lines"),
        ("kind,value\nname,x\n", "line 2, kind"),
        ("kind,value\naddress,x\n", "IPv4"),
        ("kind,value\nmailbox,x\n", "address of a mailbox"),
        ("kind,value\nclient, \n", "as logs hold it"),
        ("kind,value\norganisation,x y\n", "domains or tenant ids"),
        ("kind,value,from\naddress,198.51.100.7,soon\n", "line 2, from"),
        ("kind,value,from,until\naddress,198.51.100.7,2023-06-02,2023-06-01\n", "not after"),
        ("kind,value\n" + "".join(f"client,c{n}\n" for n in range(501)), "501 lines"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        read(tmp_path, text)


# ---------------------------------------------------------------- who is told what


def test_a_target_without_records_of_reading_is_told_that_its_logs_cannot_tell():
    box = Box(1, "a.example")
    found = without_reading(document([], boxes=[box]))
    seen = dataclasses.replace(shown(found, [], targets=[box]), exposure=exposure([], []))
    (notice,) = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS, [seen]).notices
    text = flowing(notice)

    assert BECAUSE in text
    assert f"Mailbox that was a target: {box.name}" in text
    assert "Your logs cannot tell what was read: they hold no record of reading mail at all, of anybody." in text
    assert "Audit logs of Microsoft 365 look as if" not in text
    assert "judgement" not in text
    assert "Certain" not in text
    assert notice.told.by_indicator == ByIndicator(
        targets=1, unlogged=1, certain=0, possible=0, folders=0, unknowable=1, listed=0, has_reading=False
    )
    assert (notice.told.cases, notice.told.mailboxes) == (0, 1)
    # A list of nothing would say that nothing was read.
    assert [each.name for each in notice.attachments] == ["indicators.csv", "hunting-guide.md"]


def test_reading_under_an_indicator_is_told_as_such_and_not_as_a_judgement():
    box = Box(1, "a.example")
    found = document([], boxes=[box])
    (notice,) = plan_notices(
        [found], [organisation("A", ["a.example"])], SETTINGS, [shown(found, [box], targets=[box])]
    ).notices
    text = flowing(notice)

    assert "By indicator" in text
    assert "Certain: messages: 2" in text
    assert "That it was an intrusion is" not in text
    assert "That the reading was not permitted is a judgement" not in text
    assert (notice.told.by_indicator.certain, notice.told.by_indicator.listed) == (2, 3)
    rows = csv_of(notice, "indicators.csv")
    assert {(row["value"], row["kind"], bool(row["first_at"])) for row in rows if row["indicator"] == "address"} == {
        (INTRUDER.value, "Certain", True),
        (UNSEEN.value, "Not in the logs that we saw", False),
        # What else stands in these records may be anybody's.
        (box.address, "Possible", True),
    }
    (guide,) = [each.content for each in notice.attachments if each.name == "hunting-guide.md"]
    assert f'in ("{INTRUDER.value}", "{UNSEEN.value}")' in guide


def csv_of(notice, name):
    (found,) = [each.content for each in notice.attachments if each.name == name]
    return list(csv.DictReader(io.StringIO(found.removeprefix("\ufeff"), newline="")))


def test_a_target_in_whose_logs_nothing_is_found_is_not_told_that_nothing_was_read():
    box = Box(1, "a.example")
    found = document([], boxes=[box])
    seen = dataclasses.replace(shown(found, [], targets=[box]), exposure=exposure([], []))
    (notice,) = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS, [seen]).notices

    assert f"The mailbox {box.name} was a target; no record of reading in it carries what we know" in flowing(notice)
    assert "does not mean that it was not read" in flowing(notice)


def test_a_case_and_an_indicator_stand_apart_in_one_letter():
    box = Box(1, "a.example")
    found = document([case(1, [box])], boxes=[box])
    plan = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS, [shown(found, [box], targets=[box])])
    (notice,) = plan.notices
    text = flowing(notice)

    assert "Audit logs of Microsoft 365 look as if" in text
    assert "Incident 1 of 2 Mailbox" in text
    assert "Incident 2 of 2, by indicator" in text
    assert (notice.told.cases, notice.told.certain, notice.told.by_indicator.certain) == (1, 2, 2)
    assert {row["incident"] for row in csv_of(notice, "messages.csv")} == {"1", "2"}
    assert "   by 1 case(s): certain 2" in plan_text(plan, in_full=False)
    assert "   by indicator: 1 mailbox(es) were targets, 0 without a record of reading; certain 2" in plan_text(
        plan, in_full=False
    )
    assert plan_from_json(plan_to_json(plan), place="p") == plan


def test_who_was_no_target_and_carries_nothing_gets_no_notice_and_a_target_without_logs_is_named():
    box, absent = Box(1, "a.example"), Box(9, "nowhere.example")
    found = document([], boxes=[box])
    seen = dataclasses.replace(shown(found, [], targets=[absent]), exposure=exposure([], []))
    plan = plan_notices([found], [organisation("A", ["a.example"])], SETTINGS, [seen])

    assert plan.notices == ()
    assert [(each.subject, each.reason) for each in plan.not_told] == [(absent.name, "no_logs")]
    assert plan_text(plan, in_full=False).startswith(
        "SIMULATED"
        if plan.simulated
        else f"! NOBODY IS TOLD about this target: it is in none of the stores: {absent.name}"
    )


def test_an_organisation_of_which_no_mailbox_is_known_is_told_so():
    box = Box(1, "a.example")
    found = without_reading(document([], boxes=[box]))
    known = (Indication(kind="organisation", value="a.example", first_at=AT),)
    seen = Indicated(
        known=known, targets=targets_in(found, known), seen=frozenset(), exposure=exposure([], []), cited={}
    )
    (notice,) = plan_notices([found], [organisation("A", ["a.example"]), owner(box)], SETTINGS, [seen]).notices

    assert notice.kind == "organisation"
    assert "Which of its mailboxes were, we do not know from there." in flowing(notice)
    assert "The logs hold no MailItemsAccessed record: what was read cannot be told for any mailbox." in flowing(notice)


def test_more_that_becomes_known_is_no_new_notice_and_another_round_is():
    box = Box(1, "a.example")
    found = document([], boxes=[box])
    parties = [organisation("A", ["a.example"])]
    first = shown(found, [box], targets=[box])
    more = shown(found, [box], targets=[box], known=[Indication(kind="address", value="198.51.100.9")])
    ids = [plan_notices([found], parties, SETTINGS, [each]).notices[0].letters[0].id for each in (first, more)]
    again = plan_notices([found], parties, with_settings(because=SETTINGS.because, round=2), [more])

    assert ids[0] == ids[1]
    assert again.notices[0].letters[0].id != ids[0]


def test_the_reason_is_said_in_the_readers_language_and_is_harmless():
    box = Box(1, "a.example")
    found = document([], boxes=[box])
    party = organisation("A", ["a.example"], contacts=(contact("a@x.example", language="fr"),))
    hostile = with_settings(because={"en": "x", "fr": "<script>\u202e\r\nBcc: y"})
    (notice,) = plan_notices([found], [party], hostile, [shown(found, [box])]).notices
    (letter,) = notice.letters

    assert "Bcc: y" in letter.text
    assert "\u202e" not in letter.text + letter.html
    assert "<script>" not in letter.html
    share = share_of([found], party, [party], [shown(found, [box])])
    assert body_of(share, SENDER, "code", (), because="") != body_of(share, SENDER, "code", (), because="x")


@st.composite
def worlds(draw):
    """One store of two to three organisations; some boxes were read under an indicator, some were targets."""
    domains = [f"org{n}.example" for n in range(draw(st.integers(2, 3)))]
    boxes = [Box(n, draw(st.sampled_from(domains)), possible=n % 2) for n in range(draw(st.integers(2, 6)))]
    several = st.lists(st.sampled_from(boxes), unique=True)
    parties = [organisation(f"Org{n}", [domain]) for n, domain in enumerate(domains)]
    parties += [owner(box) for box in boxes if draw(st.booleans())]
    cases = [case(1, draw(st.lists(st.sampled_from(boxes), min_size=1, unique=True)))] if draw(st.booleans()) else []
    return document(cases, boxes=boxes), boxes, parties, draw(several), draw(several)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_nothing_known_of_one_victim_stands_in_the_notice_of_another(world):
    found, boxes, parties, read_boxes, targets = world
    seen = shown(found, read_boxes, targets=targets, known=[own_session(box) for box in boxes])
    plan = plan_notices([found], parties, SETTINGS, [seen])
    named = {box.name for box in (*read_boxes, *targets)} | {name for each in found.cases for name in each.mailboxes}
    told = {(notice.kind, notice.victim): notice for notice in plan.notices}
    for party in parties:
        own = [box for box in boxes if box.name in party.covers or box.domain in party.covers]
        assert ((party.kind, party.name) in told) == any(box.name in named for box in own)
        if (party.kind, party.name) not in told:
            continue
        foreign = [mark for box in boxes if box not in own for mark in box.marks]
        for what, text in everything_said(told[party.kind, party.name]):
            assert [mark for mark in foreign if mark in text] == [], (party.name, what)


# ---------------------------------------------------------------- real stores


def a_store(folder, name, records):
    """A store of these records, made by the product."""
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    done = CliRunner().invoke(app, ["ingest", str(folder / f"{name}.jsonl"), "--store", str(folder / name)])
    assert done.exit_code == 0, done.output
    return folder / name


def of(domain, number, make, *, no=0, **values):
    """A record of an organisation of its own; one of reading lists one message of its own."""
    if make is bind:
        item = {"Id": f"item{no}", "InternetMessageId": f"<{no}@mail.example>", "SizeInBytes": 1}
        values["Folders"] = [{"Id": "f", "Path": "\\Inbox", "FolderItems": [item]}]
        values["OperationCount"] = 1
    tenant, user = f"{number:08x}-1111-4111-8111-111111111111", f"ada@{domain}"
    return make(OrganizationId=tenant, UserId=user, Id=f"{number:08x}-0000-4000-8000-{no:012x}", **values)


def test_a_provider_tells_three_organisations_what_the_logs_of_each_can_prove(tmp_path):
    own = {"MailboxGuid": "33333333-3333-4333-8333-33333333333a", "MailboxOwnerUPN": "ada@one.example"}
    stores = [
        a_store(
            tmp_path,
            "one",
            [
                of("one.example", 1, bind, **own),
                of("one.example", 1, bind, no=1, ClientIPAddress="192.0.2.1", **own),
                of("one.example", 1, bind, no=2, CreationTime="2025-10-29T07:09:33", **own),
            ],
        ),
        a_store(tmp_path, "two", [of("two.example", 2, login)]),
        a_store(tmp_path, "three", [of("three.example", 3, login)]),
    ]
    (tmp_path / "known.csv").write_text(
        "kind,value,from,until\nmailbox,ada@two.example,,\naddress,203.0.113.7,,2025-10-28\n", encoding="utf-8"
    )
    # Logs without mailboxes: the tenant id says whose they are.
    rows = [
        f"{name},{name}.example {n:08x}-1111-4111-8111-111111111111,soc@{name}.example,en,1"
        for n, name in enumerate(("one", "two", "three"), start=1)
    ]
    (tmp_path / "contacts.csv").write_text("\n".join(("organisation,covers,address,language,order", *rows)) + "\n")
    arguments = ["notify", "plan", *(part for each in stores for part in ("--store", str(each)))]
    arguments += ["--contacts", str(tmp_path / "contacts.csv"), "--from", "n@provider.example", "--ask", "x"]
    arguments += ["-o", str(tmp_path / "plan.json"), "--json"]
    told = ["--indicators", str(tmp_path / "known.csv"), "--because", BECAUSE]
    done = CliRunner().invoke(app, [*arguments, *told])
    assert done.exit_code == 0, done.output
    found = {each["victim"]: each["told"] for each in json.loads(done.stdout)["notices"]}

    assert set(found) == {"one", "two"}
    # Of three records one is from another address and one after the time that is known.
    one = found["one"]["by_indicator"]
    assert (one["certain"], one["targets"], one["has_reading"]) == (1, 0, True)
    assert found["two"]["by_indicator"] == {
        "targets": 1, "unlogged": 1, "certain": 0, "possible": 0, "folders": 0, "unknowable": 1, "listed": 0,
        "has_reading": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--indicators", "known.csv", "--because", "x"), "--store DIR"),
        (("--because", "x"), "--indicators FILE"),
        (("--indicators", "known.csv", "--store"), "how it is known"),
    ],
)
def test_indicators_without_what_belongs_to_them_are_refused(tmp_path, more, said):
    from brokenseal.reports.json_document import document_to_json

    (tmp_path / "d.json").write_bytes(document_to_json(document([], boxes=[Box(1, "a.example")])))
    (tmp_path / "c.csv").write_text("organisation,covers,address\nA,a.example,soc@a.example\n", encoding="utf-8")
    if more[-1] == "--store":
        source = ["--store", str(a_store(tmp_path, "s", [of("a.example", 1, login)]))]
        more = more[:-1]
    else:
        source = ["--document", str(tmp_path / "d.json")]
    done = CliRunner().invoke(
        app,
        ["notify", "plan", *source, "--contacts", str(tmp_path / "c.csv"), "--from", "n@p.example", "--ask", "x",
         "-o", str(tmp_path / "p.json"), *more],
    )  # fmt: skip

    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert not (tmp_path / "p.json").exists()

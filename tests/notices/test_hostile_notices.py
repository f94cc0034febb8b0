"""Hostile log text in notices: in headers, plain text, HTML, CSV and queries that people paste."""

import csv
import dataclasses
import io
import json
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.notices import hunting
from brokenseal.notices.mail import mail_bytes
from brokenseal.notices.plan import plan_from_json, plan_notices, plan_to_json
from brokenseal.notices.values import Sender
from notices.post_office import parsed
from notices.victims import NOW, SENDER, SETTINGS, Box, case, contact, document, message, organisation, owner
from reports.documents import HOSTILE

TEXTS = (
    *HOSTILE,
    "Subject: x\r\nBcc: everybody@evil.example\r\n\r\n<b>body</b>",
    "r\u00e9u\u200bnion \u202egpj.exe",
    "```\nrm -rf /\n```",
    "=1 MB rule name " + "x" * 1_000_000,
)
ALLOWED_TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "body",
    "h2",
    "p",
    "strong",
    "ul",
    "li",
    "table",
    "tr",
    "th",
    "td",
    "bdi",
}


def hostile_plan(text):
    """A plan in which the text stands wherever log text or a contact's name can stand."""
    box = dataclasses.replace(Box(1, "a.example", reason="throttled"))
    name = f"{text}@a.example"
    seen = case(1, [box])
    fields = {
        "mailbox": name, "subject": text, "sender": text, "recipients": (text, text), "folder_path": text,
        "clients": (text,), "addresses": (text,), "sessions": (text,), "internet_message_id": text,
    }  # fmt: skip
    line = message(box, 1, **fields)
    exposed = dataclasses.replace(
        seen.exposure,
        messages=(line,),
        possible_messages=(dataclasses.replace(line, reason=text),),
        mailboxes=tuple(
            dataclasses.replace(each, mailbox=name, clients=(text,), addresses=(text,))
            for each in seen.exposure.mailboxes
        ),
        folders=tuple(dataclasses.replace(each, mailbox=name, folder_path=text) for each in seen.exposure.folders),
        open_ended=tuple(dataclasses.replace(each, mailbox=name) for each in seen.exposure.open_ended),
    )
    seen = dataclasses.replace(seen, exposure=exposed, mailboxes=(name,), actors=(name,))
    found = document([seen], boxes=[box])
    cited = {
        key: dataclasses.replace(each, mailbox=name, app=text, token_id=text, session_id=text, client=text)
        for key, each in found.cited.items()
    }
    party = organisation(
        "A", ["a.example", "11111111-2222-3333-4444-555555555555"], contacts=(contact("soc@b.example"),)
    )
    return plan_notices([dataclasses.replace(found, cited=cited)], [party], SETTINGS)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def acts_unseen(text):
    bad = {"Cc", "Cs", "Zl", "Zp"}
    direction = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff"
    return [char for char in text if (unicodedata.category(char) in bad and char != "\n") or char in direction]


@pytest.mark.parametrize("text", TEXTS, ids=[repr(text[:24]) for text in TEXTS])
def test_hostile_text_is_harmless_wherever_a_notice_shows_it(text):
    plan = hostile_plan(text)
    (notice,) = plan.notices
    (letter,) = notice.letters
    mail = mail_bytes(letter, notice, SENDER, at=NOW)
    found = parsed(mail)

    assert notice.told.listed == 2
    assert [name.lower() for name, _ in found.items()] == [
        "from", "reply-to", "to", "subject", "date", "message-id", "mime-version", "content-language",
        "auto-submitted", "x-auto-response-suppress", "content-type",
    ]  # fmt: skip
    assert found["Subject"] == letter.subject
    assert found.defects == []
    assert acts_unseen(letter.text) == []
    tags = Tags()
    tags.feed(letter.html)
    assert tags.tags <= ALLOWED_TAGS
    assert tags.attributes <= {"lang", "charset", "style", "class"}
    assert acts_unseen(letter.html) == []
    for attached in notice.attachments:
        if attached.media_type == "text/csv":
            for row in csv.reader(io.StringIO(attached.content.removeprefix("\ufeff"), newline="")):
                assert [cell for cell in row if re.match(r"\s*[=+@\-\t\r＝＋－＠]", cell)] == []
                assert [cell for cell in row if acts_unseen(cell) or "\n" in cell] == []
        else:
            assert attached.content.count("```") % 2 == 0
            assert acts_unseen(attached.content) == []


def test_a_plan_with_hostile_text_is_read_back_as_it_was():
    for text in TEXTS[:-1]:
        plan = hostile_plan(text)
        assert plan_from_json(plan_to_json(plan), place="x") == plan


def test_the_sender_says_nothing_that_breaks_a_header():
    sender = Sender(name='"Evil" <x@evil.example>\N{BULLET}', address="notices@provider.example", ask="x" * 3000)
    box = Box(1, "a.example")
    plan = plan_notices(
        [document([case(1, [box])], boxes=[box])], [owner(box)], dataclasses.replace(SETTINGS, sender=sender)
    )
    found = parsed(mail_bytes(plan.notices[0].letters[0], plan.notices[0], sender, at=NOW))

    assert [each.addr_spec for each in found["From"].addresses] == ["notices@provider.example"]


# ---------------------------------------------------------------- queries


def kql_value(literal):
    """What Kusto reads from a literal in double quotes: backslash escapes, nothing else."""
    assert literal[0] == literal[-1] == '"'
    inner = literal[1:-1]
    assert not re.search(r'(?<!\\)(\\\\)*"', inner)
    return re.sub(r"\\(.)", r"\1", inner)


def powershell_value(literal):
    """What PowerShell reads from a literal in single quotes: a doubled quotation mark is one, any other ends it."""
    assert literal[0] == literal[-1] == "'"
    inner = literal[1:-1]
    marks = "'\u2018\u2019\u201a\u201b"
    assert not re.sub(rf"([{marks}])[{marks}]", "", inner).strip().startswith("'")
    assert not re.search(rf"[{marks}]", re.sub(rf"[{marks}]{{2}}", "", inner))
    return re.sub(rf"([{marks}])[{marks}]", r"\1", inner)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("'\"\\‘’‚‛$`;|x", max_size=30))
def test_a_value_is_read_by_each_language_as_it_stands_in_the_log(text):
    if hunting.quotable(text):
        assert kql_value(hunting.kql(text)) == text
        assert powershell_value(hunting.powershell(text)) == text


@pytest.mark.parametrize("text", ["", "a\nb", "a\x00", "\u202ex", "y" * 401, "a```b"])
def test_what_cannot_be_quoted_unchanged_is_left_out(text):
    assert not hunting.quotable(text)


def guide(*, client="Client=REST;;", app="00000002-0000-0ff1-ce00-000000000000", **values):
    box = Box(1, "a.example", possible=0)
    seen = case(1, [box])
    line = message(box, 1, **values)
    seen = dataclasses.replace(seen, exposure=dataclasses.replace(seen.exposure, messages=(line,)))
    found = document([seen], boxes=[box])
    cited = {key: dataclasses.replace(each, client=client, app=app) for key, each in found.cited.items()}
    plan = plan_notices([dataclasses.replace(found, cited=cited)], [organisation("A", ["a.example"])], SETTINGS)
    return next((each.content for each in plan.notices[0].attachments if each.name == "hunting-guide.md"), None)


def test_the_guide_looks_for_what_the_records_show_a_day_around_them():
    text = guide(addresses=("198.51.100.7",), clients=("a name",), client='Client="x"\\y')

    assert 'tostring(Raw.ClientIPAddress) in ("198.51.100.7")' in text
    assert 'tostring(Raw.ClientInfoString) in ("Client=\\"x\\"\\\\y")' in text
    assert "between (datetime(2024-01-19T03:04:05Z) .. datetime(2024-01-21T04:04:05Z))" in text
    assert 'Client_IPAddress in ("198.51.100.7") or ClientIP in ("198.51.100.7")' in text
    assert (
        'ClientInfoString in ("Client=\\"x\\"\\\\y")\n    or ClientAppId in~ ("00000002-0000-0ff1-ce00-000000000000")'
        in text
    )
    assert "a name" not in text
    assert "SigninLogs" in text
    assert "'198.51.100.7'" in text
    body = json.loads(re.search(r"application/json\n\n(\{.*?\n\})\n```", text, re.DOTALL)[1])
    assert body["ipAddressFilters"] == ["198.51.100.7"]
    assert body["operationFilters"] == ["MailItemsAccessed"]


def test_a_protocol_that_stands_for_an_application_is_in_no_query():
    assert "proto:" not in guide(app="proto:MSExchangeRPC")


def test_token_ids_are_looked_for_in_both_forms():
    forms = hunting._token_forms("00112233-4455-6677-8899-aabbccddeeff")

    assert forms == ("00112233-4455-6677-8899-aabbccddeeff", "MyIRAFVEd2aImaq7zN3u_w")


def test_values_that_are_left_out_are_counted():
    assert "1 value(s) are left out" in guide(addresses=("198.51.100.7", "evil\u202e"))
    assert "are left out" not in guide(addresses=("198.51.100.7",))

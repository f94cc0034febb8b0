"""What comes back: answers by code and by reference, machines, delivery status, receipts, and hostile mail."""

import datetime as dt
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.errors import UsageError
from brokenseal.notices.codes import codes_in, message_id, read_key, reply_code
from brokenseal.notices.mail import mail_bytes
from brokenseal.notices.plan import plan_notices
from brokenseal.notices.replies import answers_in, take_answers
from brokenseal.notices.sending import envelope_mark
from brokenseal.notices.sending_ledger import opened, read_entries
from notices.victims import KEY, NOW, SENDER, SETTINGS, many

DOCUMENTS, PARTIES = many(2)
PLAN = plan_notices(DOCUMENTS, PARTIES, SETTINGS)
FIRST, SECOND = (notice.letters[0] for notice in PLAN.notices)
PLANS = [PLAN]


def answer(*, subject="Re: something", body="Thank you.", sender="soc@org00.example", **headers):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, SENDER.address, subject
    mail["Message-ID"] = "<answer@org00.example>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail


def found(mail):
    return [(each.letter, each.event) for each in answers_in(bytes(mail), PLAN)]


def test_a_code_in_the_subject_or_in_the_body_acknowledges_that_letter_alone():
    assert found(answer(subject=f"RE: {FIRST.subject}")) == [(FIRST.id, "acknowledged")]
    assert found(answer(body=f"> quoted {SECOND.reply_code.lower()} >")) == [(SECOND.id, "acknowledged")]
    assert found(answer(body=SECOND.reply_code.replace("-", " ").replace("0", "o"))) == [(SECOND.id, "acknowledged")]


def test_an_answer_without_the_code_counts_by_its_reference():
    assert found(answer(In_Reply_To=FIRST.id)) == [(FIRST.id, "acknowledged")]
    assert found(answer(References=f"<other@x> {FIRST.id}")) == [(FIRST.id, "acknowledged")]
    assert answers_in(bytes(answer(In_Reply_To=FIRST.id)), PLAN)[0].detail == "soc@org00.example, reply"


def test_neither_a_guess_nor_a_part_of_a_code_acknowledges():
    wrong = FIRST.reply_code[:-1] + ("0" if FIRST.reply_code[-1] != "0" else "1")
    assert found(answer(body=wrong)) == []
    assert found(answer(body=FIRST.reply_code[:-2])) == []
    assert found(answer(body=f"X{FIRST.reply_code}")) == []
    assert found(answer()) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "Auto-Generated; x=y"},
        {"X_Autoreply": "yes"},
        {"Precedence": "bulk"},
        {"Precedence": "auto_reply"},
        {"Return_Path": "<>"},
        {"X_Failed_Recipients": "soc@org00.example"},
        {"sender": "MAILER-DAEMON@relay.example"},
        {"sender": '"Mail Delivery" <postmaster@relay.example>'},
    ],
)
def test_a_machine_that_quotes_the_code_acknowledges_nothing(headers):
    assert found(answer(subject=FIRST.subject, **headers)) == [(FIRST.id, "auto_reply")]


def test_auto_submitted_no_is_a_person():
    assert found(answer(subject=FIRST.subject, Auto_Submitted="no")) == [(FIRST.id, "acknowledged")]


def test_our_own_letter_is_no_answer_and_neither_is_one_that_is_attached():
    own = mail_bytes(FIRST, PLAN.notices[0], SENDER, at=NOW)
    assert answers_in(own, PLAN) == ()
    assert found(answer(subject=FIRST.subject, sender=f"Us <{SENDER.address.upper()}>")) == []
    carrier = answer(subject="FW", body="see attached")
    inner = EmailMessage()
    inner["Subject"] = FIRST.subject
    inner.set_content(FIRST.text)
    carrier.add_attachment(inner)
    assert found(carrier) == []


def report(kind, blocks, returned=None, *, returned_type="message/rfc822", **headers):
    """A report as servers write it."""
    lines = [
        "From: MAILER-DAEMON@relay.example",
        f"To: {SENDER.address}",
        "Subject: Delivery report",
        "Message-ID: <r@relay.example>",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"',
        "MIME-Version: 1.0",
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        f"We are sorry. {FIRST.reply_code}",
        "--b",
        f"Content-Type: message/{kind}",
        "",
        "\n\n".join("\n".join(block) for block in blocks),
        "",
    ]
    if returned is not None:
        lines += ["--b", f"Content-Type: {returned_type}", "", *returned, ""]
    return "\n".join([*lines, "--b--", ""]).encode()


def status(action, **extra):
    return (
        ("Reporting-MTA: dns; relay.example", *(f"{name.replace('_', '-')}: {value}" for name, value in extra.items())),
        (
            "Final-Recipient: rfc822; soc@org00.example",
            f"Action: {action}",
            "Status: 5.1.1",
            "Diagnostic-Code: smtp; 550 no",
        ),
    )


@pytest.mark.parametrize(
    ("action", "event"),
    [
        ("failed", "bounced"),
        ("Delayed", "delayed"),
        ("delivered", "delivered"),
        ("relayed", "relayed"),
        ("expanded", "relayed"),
    ],
)
def test_a_delivery_status_says_what_became_of_the_letter(action, event):
    by_mark = report("delivery-status", status(action, Original_Envelope_Id=envelope_mark(FIRST.id)))
    by_mail = report("delivery-status", status(action), ["From: x@y", f"Message-ID: {FIRST.id}", "", "body"])
    by_headers = report(
        "delivery-status",
        status(action),
        [f"Message-ID: {FIRST.id}", "Subject: x"],
        returned_type="text/rfc822-headers",
    )
    by_reference = report("delivery-status", status(action), In_Reply_To=FIRST.id)

    for mail in (by_mark, by_mail, by_headers, by_reference):
        assert [(each.letter, each.event) for each in answers_in(mail, PLAN)] == [(FIRST.id, event)]


def test_a_delivery_status_tells_why_and_takes_the_worst():
    mail = report(
        "delivery-status",
        (*status("delivered", Original_Envelope_Id=envelope_mark(FIRST.id)), status("failed")[1]),
    )
    (only,) = answers_in(mail, PLAN)

    assert (only.event, only.detail) == ("bounced", "rfc822; soc@org00.example 5.1.1 smtp; 550 no")


@pytest.mark.parametrize("action", ["", "exploded"])
def test_a_delivery_status_that_says_nothing_or_is_of_another_mail_is_nothing(action):
    assert (
        answers_in(report("delivery-status", status(action, Original_Envelope_Id=envelope_mark(FIRST.id))), PLAN) == ()
    )
    assert answers_in(report("delivery-status", status("failed"), ["Message-ID: <other@x>", "", ""]), PLAN) == ()


def test_a_receipt_was_shown_and_not_acknowledged():
    blocks = (
        ("Final-Recipient: rfc822; soc@org00.example", f"Original-Message-ID: {FIRST.id}", "Disposition: x; displayed"),
    )
    mail = report("disposition-notification", blocks)

    assert [(each.letter, each.event) for each in answers_in(mail, PLAN)] == [(FIRST.id, "displayed")]


def test_mails_are_read_from_a_maildir_once(tmp_path):
    for name in ("cur", "new", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    (tmp_path / "box" / "cur" / "1:2,S").write_bytes(bytes(answer(subject=FIRST.subject)))
    (tmp_path / "box" / "new" / "2").write_bytes(
        report("delivery-status", status("failed"), [f"Message-ID: {SECOND.id}", ""])
    )
    (tmp_path / "box" / "new" / "3").write_bytes(bytes(answer()))
    (tmp_path / "box" / "new" / "4").write_bytes(b"")
    (tmp_path / "box" / "tmp" / "5").write_bytes(bytes(answer(subject=SECOND.subject)))
    rounds = []
    for number in range(2):
        with opened(tmp_path / "l.jsonl") as ledger:
            rounds.append(take_answers(PLAN, ledger, tmp_path / "box", now=NOW + dt.timedelta(days=number)))
    events = [(entry.letter, entry.event) for entry in read_entries(tmp_path / "l.jsonl")]

    assert [(each.mails, each.answers, each.known, each.unrelated, each.unreadable) for each in rounds] == [
        (4, 2, 0, 1, 1), (4, 0, 2, 1, 1),
    ]  # fmt: skip
    assert events == [(FIRST.id, "acknowledged"), (SECOND.id, "bounced")]


def test_a_place_without_mails_is_named(tmp_path):
    with opened(tmp_path / "l.jsonl") as ledger, pytest.raises(UsageError, match="Maildir"):
        take_answers(PLAN, ledger, tmp_path / "absent", now=NOW)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mail_whatever_its_bytes_stops_the_reading_or_acknowledges_without_code(data):
    seeds = [
        bytes(answer(subject="x")),
        report("delivery-status", status("failed"), ["Message-ID: <other@x>", "", ""]).replace(
            FIRST.reply_code.encode(), b""
        ),
        report("disposition-notification", (("Original-Message-ID: <x@y>",),)).replace(FIRST.reply_code.encode(), b""),
    ]
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(0, 12))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    try:
        answers = answers_in(bytes(content), PLAN)
    except (ValueError, LookupError, TypeError, AttributeError):
        return  # counted as unreadable by `take_answers`
    assert answers == ()


def test_deep_and_wide_mails_are_survived(tmp_path):
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(1500))
    wide = b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 12000 + b"--b--\n"
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "deep").write_bytes(deep)
    (tmp_path / "box" / "wide").write_bytes(wide)
    with opened(tmp_path / "l.jsonl") as ledger:
        taken = take_answers(PLAN, ledger, tmp_path / "box", now=NOW)

    assert (taken.mails, taken.answers, taken.unreadable) == (2, 0, 2)


# ---------------------------------------------------------------- codes


def test_codes_and_ids_come_from_the_key_alone():
    one = message_id(KEY, "n", "a@x.example", "Provider.example")

    assert one == message_id(KEY, "n", "a@x.example", "provider.example")
    assert one != message_id(bytes(32), "n", "a@x.example", "provider.example")
    assert reply_code(KEY, one) == reply_code(KEY, one)
    assert reply_code(KEY, one) != reply_code(bytes(32), one)
    assert codes_in([f"x {reply_code(KEY, one)}."]) == {reply_code(KEY, one)}


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_every_code_is_found_again_in_small_letters_and_among_words(key, letter):
    code = reply_code(key, letter.encode("utf-8", "replace").decode())

    assert codes_in([f"a {code.lower()} b"]) == {code}
    assert codes_in([code.replace("-", "")]) == {code}


def test_a_key_is_made_once_for_its_owner_and_kept(tmp_path):
    path = tmp_path / "absent" / "k"
    key = read_key(path)

    assert read_key(path) == key
    assert len(key) == 32
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("zz", encoding="ascii")
    with pytest.raises(UsageError):
        read_key(path)

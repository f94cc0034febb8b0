"""Letters leave by real servers on loopback: TLS, logins, refusals, and connections that break."""

import pytest

from brokenseal.errors import UsageError
from brokenseal.notices.carriers import FolderCarrier, NotTaken, Relay, RelayFailed, SmtpCarrier, Unclear, check_relay
from notices.post_office import PASSWORD, USER, Box, free_port, scripted, server, server_context

MAIL = b"Subject: x\r\n\r\n.leading dot\r\nbody\r\n"


def deliver(carrier, *, recipient="a@victim.example", before=lambda: None, mail=MAIL):
    return carrier.deliver(
        sender="notices@provider.example", recipient=recipient, mail=mail, mark="0123456789ab", before=before
    )


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return server_context(tmp_path_factory.mktemp("tls"))


def relay(port, **values):
    return Relay(**{"host": "localhost", "port": port, "security": "starttls", "timeout_s": 10} | values)


def test_a_letter_goes_through_starttls_with_a_login_and_arrives_byte_for_byte(tls):
    context, authority = tls
    box = Box()
    with (
        server(box, tls_context=context, login=True) as port,
        SmtpCarrier(relay(port, user=USER, password=PASSWORD, authorities=authority)) as carrier,
    ):
        first = deliver(carrier)
        deliver(carrier, recipient="b@victim.example")

    assert first == "250 Kept"
    assert box.mails == [MAIL, MAIL]
    assert box.envelopes[1] == ("notices@provider.example", ("b@victim.example",))
    assert box.was_tls == [True, True]
    assert [(good, secret) for _, good, secret in box.logins] == [(True, True)]


def test_a_letter_goes_through_implicit_tls(tls):
    context, authority = tls
    box = Box()
    with (
        server(box, implicit=context) as port,
        SmtpCarrier(relay(port, security="tls", authorities=authority)) as carrier,
    ):
        deliver(carrier)

    assert box.mails == [MAIL]


def test_a_certificate_of_an_unknown_authority_stops_before_anything_is_said(tls):
    context, _ = tls
    box, announced = Box(), []
    with (
        server(box, tls_context=context) as port,
        SmtpCarrier(relay(port)) as carrier,
        pytest.raises(RelayFailed, match="certificate"),
    ):
        deliver(carrier, before=lambda: announced.append(1))

    assert (box.mails, announced) == ([], [])


def test_a_certificate_for_another_name_stops(tls, tmp_path):
    context, authority = server_context(tmp_path, host="mail.other.example")
    with (
        server(Box(), tls_context=context) as port,
        SmtpCarrier(relay(port, authorities=authority)) as carrier,
        pytest.raises(RelayFailed, match="certificate"),
    ):
        deliver(carrier)


def test_a_server_without_starttls_is_never_given_plain_text(tls):
    box = Box()
    with server(box) as port, SmtpCarrier(relay(port)) as carrier, pytest.raises(RelayFailed, match="STARTTLS"):
        deliver(carrier)

    assert box.mails == []


def test_starttls_that_is_refused_is_no_way_to_plain_text():
    seen = []
    answers = {"EHLO": "250-x\r\n250 STARTTLS", "STARTTLS": "454 not now"}
    with (
        scripted(answers, seen=seen) as port,
        SmtpCarrier(relay(port)) as carrier,
        pytest.raises(RelayFailed),
    ):
        deliver(carrier)

    assert [line.split(" ")[0] for line in seen] == ["ehlo", "STARTTLS"]


def test_a_wrong_password_stops(tls):
    context, authority = tls
    box = Box()
    with (
        server(box, tls_context=context, login=True) as port,
        SmtpCarrier(relay(port, user=USER, password="wrong", authorities=authority)) as carrier,
        pytest.raises(RelayFailed, match="password"),
    ):
        deliver(carrier)

    assert box.mails == []


def test_nobody_listens():
    with SmtpCarrier(relay(free_port())) as carrier, pytest.raises(RelayFailed, match="answers"):
        deliver(carrier)


@pytest.mark.parametrize(("reply", "is_final"), [("550 no such user", True), ("451 later", False)])
def test_a_refused_recipient_was_certainly_not_told_and_the_next_one_is(reply, is_final):
    box = Box(refuse={"gone@victim.example": reply})
    announced = []
    with (
        server(box) as port,
        SmtpCarrier(relay(port, host="127.0.0.1", security="none")) as carrier,
    ):
        with pytest.raises(NotTaken) as caught:
            deliver(carrier, recipient="gone@victim.example", before=lambda: announced.append(1))
        deliver(carrier)

    assert (caught.value.reason, caught.value.is_final) == (reply, is_final)
    assert announced == []
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"DATA": "354 go", ".": None}, Unclear),
        ({"DATA": None}, Unclear),
        ({"DATA": "554 no"}, NotTaken),
        ({"DATA": "354 go", ".": "554 it is spam"}, NotTaken),
        ({"DATA": "354 go", ".": "451 try again"}, NotTaken),
        ({"MAIL": None}, NotTaken),
        ({"RCPT": "550 no"}, NotTaken),
    ],
)
def test_what_is_known_of_a_letter_depends_on_when_the_server_fails(answers, error):
    with (
        scripted({"EHLO": "250 x"} | answers, seen=[]) as port,
        SmtpCarrier(relay(port, host="127.0.0.1", security="none")) as carrier,
        pytest.raises(error),
    ):
        deliver(carrier)


def test_the_letter_is_announced_after_the_recipient_was_taken_and_before_its_content_goes_out():
    seen = []
    answers = {"EHLO": "250-x\r\n250-DSN\r\n250 SIZE 1000000", "DATA": "354 go", ".": "250 kept"}
    with (
        scripted(answers, seen=seen) as port,
        SmtpCarrier(relay(port, host="127.0.0.1", security="none")) as carrier,
    ):
        deliver(carrier, before=lambda: seen.append("ANNOUNCED"))

    assert seen[:6] == [
        "ehlo " + seen[0].split(" ", 1)[1],
        f"mail FROM:<notices@provider.example> SIZE={len(MAIL)} RET=HDRS ENVID=0123456789ab",
        "rcpt TO:<a@victim.example> NOTIFY=SUCCESS,FAILURE,DELAY",
        "ANNOUNCED",
        "data",
        "quit",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"host": "smtp.contoso.example", "security": "none"},
        {"host": "192.0.2.7", "security": "none"},
        {"host": "127.0.0.1", "security": "none", "user": USER, "password": PASSWORD},
    ],
)
def test_plain_text_is_for_this_machine_alone_and_never_for_a_password(values):
    with pytest.raises(UsageError):
        check_relay(relay(25, **values))


def test_a_file_is_written_once_and_whole(tmp_path):
    carrier, announced = FolderCarrier(tmp_path / "out"), []
    names = [deliver(carrier, before=lambda: announced.append(1)) for _ in range(2)]

    assert names == ["a_victim.example-0123456789ab.eml"] * 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == [names[0]]
    assert (tmp_path / "out" / names[0]).read_bytes() == MAIL

"""Letters as mail: what stands in them, and S/MIME as OpenSSL sees it."""

import datetime as dt
import re
import shutil
import subprocess
from dataclasses import replace
from email.header import decode_header, make_header

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.errors import UsageError
from brokenseal.notices.certificates import encryption_certificate, signing_key
from brokenseal.notices.mail import mail_bytes, mailbox
from brokenseal.notices.plan import plan_notices
from brokenseal.reports._escape import visible
from notices.post_office import make_certificate, parsed, write_pair
from notices.victims import SENDER, SETTINGS, contact, many

AT = dt.datetime(2026, 6, 2, 9, 30, tzinfo=dt.UTC)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def usage(**values):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: values.get(name, False) for name in names})


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    pairs = {
        "sender": make_certificate("notices@provider.example", at=AT),
        "victim": make_certificate("soc@org00.example", at=AT),
        "curve": make_certificate("curve@provider.example", at=AT, key=ec.generate_private_key(ec.SECP256R1())),
        "old": make_certificate("old@provider.example", at=AT - dt.timedelta(days=90)),
        "signs-only": make_certificate("s@provider.example", at=AT, usage=usage(digital_signature=True)),
        "encrypts-only": make_certificate("e@provider.example", at=AT, usage=usage(key_encipherment=True)),
    }
    return {name: write_pair(folder, name, pair) for name, pair in pairs.items()}


def notice_for(certificate=None):
    documents, parties = many(1)
    people = tuple(replace(each, certificate=certificate) for each in parties[0].contacts)
    (notice,) = plan_notices(documents, [replace(parties[0], contacts=people)], SETTINGS).notices
    return notice


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def bodies(mail):
    """Text, HTML and files of a mail or of an entity."""
    found = parsed(mail)
    assert found.defects == []
    text = found.get_body(("plain",)).get_content()
    html = found.get_body(("html",)).get_content()
    return text, html, {part.get_filename(): part.get_content() for part in found.iter_attachments()}


def test_a_letter_holds_what_was_planned():
    notice = notice_for()
    (letter, _) = notice.letters
    mail = mail_bytes(letter, notice, SENDER, at=AT)
    found = parsed(mail)
    text, html, files = bodies(mail)

    assert str(found["From"]) == "Provider CERT <notices@provider.example>"
    assert str(found["To"]) == "Somebody <soc@org00.example>"
    assert str(found["Subject"]) == letter.subject
    assert found["Message-ID"].strip() == letter.id
    assert found["Date"].datetime == AT
    assert found["Auto-Submitted"] == "auto-generated"
    assert text.replace("\r\n", "\n") == letter.text
    assert html.replace("\r\n", "\n") == letter.html
    assert {name: content.replace("\r\n", "\n") for name, content in files.items()} == {
        each.name: each.content.replace("\r\n", "\n") for each in notice.attachments
    }


def test_a_mail_is_seven_bit_with_short_lines_and_is_the_same_every_time():
    notice = notice_for()
    mails = [mail_bytes(notice.letters[0], notice, SENDER, at=AT) for _ in range(2)]

    assert mails[0] == mails[1]
    assert mails[0].isascii()
    assert max(len(line) for line in mails[0].split(b"\r\n")) <= 990
    assert mails[0].count(b"\n") == mails[0].count(b"\r\n")


@needs_openssl
@pytest.mark.parametrize("name", ["sender", "curve"])
def test_openssl_verifies_the_signature_and_finds_a_change(keys, tmp_path, name):
    notice = notice_for()
    signer = signing_key(*keys[name], None, now=AT)
    mail = mail_bytes(notice.letters[0], notice, SENDER, at=AT, signer=signer)
    (tmp_path / "signed.eml").write_bytes(mail)
    verify = (
        "cms",
        "-verify",
        "-in",
        tmp_path / "signed.eml",
        "-CAfile",
        keys[name][0],
        "-attime",
        int(AT.timestamp()),
    )
    entity = openssl(*verify, "-purpose", "any")

    assert bodies(entity)[0].replace("\r\n", "\n") == notice.letters[0].text
    assert parsed(mail).get_content_type() == "multipart/signed"
    (tmp_path / "signed.eml").write_bytes(mail.replace(b"Whom to ask", b"Whom to pay"))
    with pytest.raises(AssertionError, match=r"digest|failure"):
        openssl(*verify, "-purpose", "any")


@needs_openssl
def test_openssl_decrypts_what_is_signed_and_encrypted_and_nothing_is_readable_before(keys, tmp_path):
    notice = notice_for(encryption_certificate(keys["victim"][0], now=AT))
    signer = signing_key(*keys["sender"], None, now=AT)
    mail = mail_bytes(notice.letters[0], notice, SENDER, at=AT, signer=signer)
    (tmp_path / "secret.eml").write_bytes(mail)
    certificate, key = keys["victim"]
    inner = openssl("cms", "-decrypt", "-in", tmp_path / "secret.eml", "-recip", certificate, "-inkey", key)
    (tmp_path / "signed.eml").write_bytes(inner)
    entity = openssl(
        "cms", "-verify", "-in", tmp_path / "signed.eml", "-CAfile", keys["sender"][0], "-attime", int(AT.timestamp()),
        "-purpose", "any",
    )  # fmt: skip

    assert b"zq000x" not in mail
    assert parsed(mail).get_content_type() == "application/pkcs7-mime"
    text, _, files = bodies(entity)
    assert text.replace("\r\n", "\n") == notice.letters[0].text
    assert set(files) == {"messages.csv", "indicators.csv", "hunting-guide.md"}
    structure = openssl("cms", "-cmsout", "-print", "-noout", "-in", tmp_path / "secret.eml")
    assert b"aes-256-cbc" in structure


@needs_openssl
def test_what_is_encrypted_alone_decrypts(keys, tmp_path):
    notice = notice_for(encryption_certificate(keys["victim"][0], now=AT))
    (tmp_path / "secret.eml").write_bytes(mail_bytes(notice.letters[0], notice, SENDER, at=AT))
    certificate, key = keys["victim"]
    inner = openssl("cms", "-decrypt", "-in", tmp_path / "secret.eml", "-recip", certificate, "-inkey", key)

    assert bodies(inner)[0].replace("\r\n", "\n") == notice.letters[0].text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("curve", "RSA"), ("old", "valid on 2026-06-02"), ("signs-only", "encipher keys")],
)
def test_a_certificate_that_cannot_encrypt_is_refused(keys, name, expected):
    with pytest.raises(UsageError, match=expected):
        encryption_certificate(keys[name][0], now=AT)


def test_a_certificate_that_cannot_sign_and_a_foreign_key_are_refused(keys, tmp_path):
    with pytest.raises(UsageError, match="may sign"):
        signing_key(*keys["encrypts-only"], None, now=AT)
    with pytest.raises(UsageError, match="private key of"):
        signing_key(keys["sender"][0], keys["victim"][1], None, now=AT)
    with pytest.raises(UsageError, match="in PEM"):
        encryption_certificate(keys["sender"][1], now=AT)
    with pytest.raises(UsageError, match="can be read"):
        encryption_certificate(tmp_path / "absent.pem", now=AT)


NAMES = (
    "Évelyne ø",
    'Quote " \\ back',
    "a" * 200,
    "<x@evil.example>, b@evil.example",
    "a" * 100 + ", <b@evil.example>",
    "É" * 90 + ', "<b@evil.example>',
    'É\\" <b@evil.example>,' * 4,
    "=?utf-8?q?=3Cx=40evil=2Eexample=3E?=",
    "x\r\nBcc: y@evil.example",
    "(comment) group: a, b;",
    "",
)


def read_name(header):
    """The name as RFC 2047 has it: nothing between two encoded words."""
    return str(make_header(decode_header(header))).strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_a_name_and_adds_no_address(name):
    raw = b"To: " + mailbox(name, "soc@org00.example") + b"\r\n\r\n"
    found = parsed(raw)

    assert list(found.keys()) == ["To"]
    assert [each.addr_spec for each in found["To"].addresses] == ["soc@org00.example"]
    assert max(len(line) for line in raw.split(b"\r\n")) < 998


@given(st.text(alphabet=st.characters(), max_size=200) | st.text('a",<>@ \\é.;:()', max_size=200))
def test_no_name_at_all_adds_an_address_and_every_reader_sees_it(name):
    raw = mailbox(name, "soc@org00.example")
    found = parsed(b"To: " + raw + b"\r\n\r\n")

    assert [each.addr_spec for each in found["To"].addresses] == ["soc@org00.example"]
    if not visible(name).isascii() or "=?" in name:
        words = raw.decode("ascii").rpartition(" <")[0]
        assert read_name(words) == visible(name).strip()
        assert max(len(word) for word in words.split("\r\n ")) <= 75


def test_headers_beyond_ascii_are_encoded_words_of_lawful_length():
    documents, parties = many(1)
    name = "Évelyne de la Très Longue Façade à Nîmes (Sécurité)"
    party = replace(parties[0], contacts=(replace(contact("soc@org00.example"), name=name),))
    (notice,) = plan_notices(documents, [party], SETTINGS).notices
    letter = replace(notice.letters[0], subject="Du courrier a peut-être été lu, à votre insu, où et quand ? " * 3)
    mail = mail_bytes(letter, notice, SENDER, at=AT)
    head = mail.partition(b"\r\n\r\n")[0].decode("ascii")

    assert max(len(word) for word in re.findall(r"=\?utf-8\?.*?\?=", head)) <= 75
    assert max(len(line) for line in head.split("\r\n")) <= 100
    assert parsed(mail)["Subject"].strip() == letter.subject.strip()
    assert len(parsed(mail)["To"].addresses) == 1


def test_a_long_sender_domain_keeps_the_message_id_whole():
    domain = ".".join(["a" * 50] * 4) + ".example"
    documents, parties = many(1)
    sender = replace(SENDER, address=f"n@{domain}")
    (notice,) = plan_notices(documents, parties, replace(SETTINGS, sender=sender)).notices
    mail = mail_bytes(notice.letters[0], notice, sender, at=AT)

    assert f"Message-ID: {notice.letters[0].id}\r\n".encode() in mail

"""Contacts from a CSV, and everything in one that would tell the wrong person or break a mail."""

import datetime as dt

import pytest

from brokenseal.errors import UsageError
from brokenseal.notices.contacts import read_contacts
from notices.post_office import make_certificate
from notices.victims import NOW

HEAD = "organisation,covers,address,name,language,role,order,certificate\n"


def read(tmp_path, text):
    path = tmp_path / "contacts.csv"
    path.write_bytes(text if isinstance(text, bytes) else (HEAD + text).encode())
    return read_contacts(path, now=NOW)


def test_rows_become_victims_with_contacts_in_order(tmp_path):
    tenant = "1AB49C4A-1111-2222-3333-444455556666"
    parties = read(
        tmp_path,
        f"Zeta,zeta.example {tenant},late@z.example,Late,fr,counsel,2,\n"
        "Zeta,ZETA.example. mail.zeta.example,first@z.example,First,en,administrator,1,\n"
        "Alpha,alpha.example,a@alpha.example,,,,,\n"
        ",Ann@Alpha.example,ann@home.example,Ann,fr,owner,,\n",
    )

    assert [(party.kind, party.name, party.covers) for party in parties] == [
        ("organisation", "Alpha", ("alpha.example",)),
        ("organisation", "Zeta", (tenant.lower(), "mail.zeta.example", "zeta.example")),
        ("owner", "ann@alpha.example", ("ann@alpha.example",)),
    ]
    assert [(each.address, each.language, each.order) for each in parties[1].contacts] == [
        ("first@z.example", "en", 1),
        ("late@z.example", "fr", 2),
    ]


def test_a_byte_order_mark_and_missing_columns_are_fine(tmp_path):
    (party,) = read(tmp_path, b"\xef\xbb\xbforganisation,covers,address\r\nA,a.example,x@a.example\r\n")

    assert (party.name, party.contacts[0].language, party.contacts[0].order) == ("A", "en", 1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('A,a.example,"x@a.example\nBcc: y@evil.example",,,,,\n', "plain mail address"),
        ('A,a.example,"x@a.example, y@evil.example",,,,,\n', "plain mail address"),
        ("A,a.example,x@a.example>,,,,,\n", "plain mail address"),
        ("A,a.example,<x@a.example>,,,,,\n", "plain mail address"),
        ("A,a.example,x@[192.0.2.1],,,,,\n", "plain mail address"),
        ("A,a.example,x@-a.example,,,,,\n", "plain mail address"),
        ("A,a.example,x@a..example,,,,,\n", "plain mail address"),
        ("A,a.example,é@a.example,,,,,\n", "plain mail address"),
        ("A,a.example,a.example,,,,,\n", "plain mail address"),
        ("A,a.example,,,,,,\n", "plain mail address"),
        ("A,a.example,x@a.example,,de,,,\n", "one of en, fr"),
        ("A,a.example,x@a.example,,,,0,\n", "from 1 to 99"),
        ("A,a.example,x@a.example,,,,²,\n", "from 1 to 99"),
        ("A,,x@a.example,,,,,\n", "domain or a tenant id"),
        ("A,*.example,x@a.example,,,,,\n", "domains or tenant ids"),
        ("A,example,x@a.example,,,,,\n", "domains or tenant ids"),
        (",a.example,x@a.example,,,,,\n", "address of one mailbox"),
        (",a@a.example b@a.example,x@a.example,,,,,\n", "address of one mailbox"),
        ("A,a.example,x@a.example,,,,1,\nA,a.example,y@a.example,,,,1,\n", "another place in the order of A"),
        ("A,a.example,x@a.example,,,,,\nB,A.EXAMPLE,y@b.example,,,,,\n", "not A and B"),
        ("A,a.example,x@a.example,,,,,absent.pem\n", "can be read"),
        ("A,a.example,x@a.example,,,,,,,\n", "no more than 8 cells"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_its_place(tmp_path, rows, expected):
    with pytest.raises(UsageError, match=expected) as caught:
        read(tmp_path, rows)
    assert "contacts.csv" in caught.value.place or "absent.pem" in caught.value.place


@pytest.mark.parametrize(
    "content", [b"address\nx@a.example\n", b"", b"\xff\xfe", HEAD.replace("name", "nome").encode()]
)
def test_a_file_that_is_no_such_list_is_refused(tmp_path, content):
    with pytest.raises(UsageError):
        read(tmp_path, content)


def test_a_certificate_stands_beside_the_list_and_must_be_valid_now(tmp_path):
    (tmp_path / "x.pem").write_bytes(make_certificate("x@a.example", at=NOW)[0])
    (party,) = read(tmp_path, "A,a.example,x@a.example,,,,,x.pem\n")
    assert party.contacts[0].certificate.startswith("-----BEGIN CERTIFICATE-----")

    with pytest.raises(UsageError, match="valid on"):
        read_contacts(tmp_path / "contacts.csv", now=NOW + dt.timedelta(days=400))


def test_names_are_made_visible_and_cut(tmp_path):
    (party,) = read(tmp_path, 'A\u202e,a.example,x@a.example,"Bcc: y\r\nX: z\u200b",,,,\n'.replace("\u202e", "\u202e"))

    assert party.name == "A\N{REPLACEMENT CHARACTER}"
    assert party.contacts[0].name == "Bcc: y↵X: z\N{REPLACEMENT CHARACTER}"

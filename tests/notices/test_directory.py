"""Owners from a directory export: which mailbox is whose, and where its owner is told."""

import pytest

from brokenseal.errors import UsageError
from brokenseal.notices.directory import read_directory
from notices.victims import Box, owner

ANN = "ann@contoso.example"
HEAD = "userPrincipalName,displayName,mail,alternateEmailAddress,usageLocation\n"


def read(tmp_path, text, *, mailboxes=(ANN,), known=()):
    path = tmp_path / "users.csv"
    path.write_text(text, encoding="utf-8")
    return read_directory(path, mailboxes, known)


def told(party):
    return [(each.order, each.address, each.language, each.name) for each in party.contacts]


def test_an_owner_is_told_outside_the_mailbox_first(tmp_path):
    (party,) = read(
        tmp_path, HEAD + f"ANN@contoso.example,Ann,{ANN},ann@home.example,FR\nbob@contoso.example,Bob,,,US\n"
    )

    assert (party.kind, party.name, party.covers) == ("owner", ANN, (ANN,))
    assert told(party) == [(1, "ann@home.example", "fr", "Ann"), (2, ANN, "fr", "Ann")]


def test_a_mailbox_is_known_by_its_mail_address_as_well(tmp_path):
    (party,) = read(tmp_path, HEAD + f"a1234@contoso.onmicrosoft.example,Ann,{ANN},,US\n")

    assert (party.name, told(party)) == (ANN, [(1, ANN, "en", "Ann")])


def test_other_columns_and_several_addresses(tmp_path):
    (party,) = read(
        tmp_path,
        f'"Id","UserPrincipalName","OtherMails","PreferredLanguage"\n"1","{ANN}","[a@x.example; {ANN}, bad address]","fr-FR"\n',
    )

    assert told(party) == [(1, "a@x.example", "fr", ""), (2, ANN, "fr", "")]


def test_the_list_of_contacts_wins_and_nobody_else_is_taken(tmp_path):
    box = Box(1, "a.example")
    rows = HEAD + f"{box.name},B,,,\n{ANN},Ann,,,\n"

    assert read(tmp_path, rows, mailboxes=(box.name,), known=[owner(box)]) == ()
    assert [party.name for party in read(tmp_path, rows, mailboxes=("*", "no address", ANN))] == [ANN]


def test_addresses_that_break_mails_are_left_out(tmp_path):
    (party,) = read(tmp_path, HEAD + f'{ANN},"A\u202e",{ANN},"x@y.example\nBcc: z@evil.example",\n')

    assert told(party) == [(1, ANN, "en", "A\N{REPLACEMENT CHARACTER}")]


@pytest.mark.parametrize("text", ["", "displayName,mail\nAnn,x@y.example\n"])
def test_a_file_that_is_no_directory_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match="userPrincipalName"):
        read(tmp_path, text)

"""Keys of clients are said in words, with what can be copied; any other text stays as it is."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.model import Reading
from brokenseal.reports import _clients, _paper, docx, html, markdown
from brokenseal.schema import PROTOCOL
from brokenseal.wording import phrase
from reports.documents import rich_document

OWA = "9199bf20-a13f-4107-85dc-02114787ef48"
STRANGE = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def told(text):
    pieces = _clients.in_words(text, "en")
    return None if pieces is None else "".join(part for part, _ in pieces)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"{STRANGE}|rest_system", f"an application without a public name over the REST interface, in the background ({STRANGE}|rest_system)"),
        (f"{OWA}|owa", f"Outlook Web App in Outlook on the web ({OWA}|owa)"),
        ("|imap_pop", "an application that the log does not name over IMAP or POP (|imap_pop)"),
        (OWA, f"Outlook Web App ({OWA})"),
        (f"{OWA}, {OWA}|ews (+3)", f"Outlook Web App ({OWA}); Outlook Web App over Exchange Web Services ({OWA}|ews) (+3)"),
        (
            f"{OWA} net:203.0 windows edge",
            f"Outlook Web App, program windows edge, in the network that begins with 203.0 ({OWA})",
        ),
        (f"{STRANGE} asn:64500 REST", f"an application without a public name, program REST, in the network AS64500 ({STRANGE})"),
        ("net:203.0", "the network that begins with 203.0"),
        ("net:2001:db8", "the network that begins with 2001:db8"),
        ("asn:64500", "the network AS64500"),
        (f"{OWA} MS other", f"Outlook Web App, program other, from Microsoft's own addresses ({OWA})"),
    ],
)  # fmt: skip
def test_a_key_is_said_in_words_and_can_be_copied(key, words):
    assert told(key) == words


@pytest.mark.parametrize(
    "text",
    ["", "|", "MS", "net:x y", STRANGE, "ann@contoso.example", f"{OWA}|<b>", f"{OWA}|mail", f"{OWA}, ann@contoso.example", f"{OWA} x y", f"x{OWA}|owa"],
)  # fmt: skip
def test_any_other_text_stays(text):
    assert told(text) is None
    assert _paper.pieces(phrase("{text}", text=text), "en") == ((text, "log"),)


@given(st.sampled_from(sorted(_clients.WAYS)), st.sampled_from([OWA, STRANGE, ""]))
def test_the_key_itself_is_one_piece(way, application):
    assert (f"{application}|{way}", "log") in _clients.in_words(f"{application}|{way}", "en")


def test_a_hostile_program_is_shown_safely():
    assert "\u202e" not in told(f"{OWA} net:203.0 win\u202edows")


def test_every_protocol_of_the_schema_has_its_words():
    listed = set(PROTOCOL.meaning.replace(" or ", ", ").split(", "))
    assert listed == set(_clients.WAYS)


@pytest.mark.parametrize("reader", ["management", "counsel"])
@pytest.mark.parametrize("form", [html, markdown, docx])
def test_counsel_reads_no_bare_key(form, reader):
    document = rich_document()
    found = dataclasses.replace(
        document.cases[0].findings[0], title=phrase("Read by {subject}", subject=f"{STRANGE}|rest_system")
    )
    case = dataclasses.replace(document.cases[0], title=found.title, findings=(found,))
    document = dataclasses.replace(document, cases=(case,))
    shown = form.render_for(document, "en", Reading(reader=reader))
    if form is not docx:
        assert "Read by an application without a public name over the REST interface" in shown.decode()
        assert shown.decode().count("|rest_system") == shown.decode().count("without a public name")

"""Keys of clients in words: what detectors compare as an id with a protocol, or with a network and a program.

The id, with the protocol where the key has one, follows in brackets: it can be copied and looked for in the logs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from brokenseal.app_names import client_label
from brokenseal.reports._escape import visible
from brokenseal.reports._words import PieceKind, pieces
from brokenseal.wording import phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from brokenseal.wording import Phrase

Piece: TypeAlias = tuple[str, "PieceKind"]

WAYS: Final[Mapping[str, Phrase]] = {
    "owa": phrase("in Outlook on the web"),
    "rest": phrase("over the REST interface"),
    "rest_system": phrase("over the REST interface, in the background"),
    "ews": phrase("over Exchange Web Services"),
    "mapi": phrase("over MAPI, as Outlook for desktop"),
    "eas": phrase("over Exchange ActiveSync"),
    "imap_pop": phrase("over IMAP or POP"),
    "outlook_mobile": phrase("in Outlook for mobile devices"),
    "transport": phrase("in the transport of mail"),
    "system": phrase("as a service of Exchange"),
    "other": phrase("in a way that the log does not name"),
}
"""What a client speaks, by the codes of `mail_accesses.protocol`."""

_AND: Final = phrase("; ")
_NAMELESS: Final = phrase("an application without a public name")
_UNNAMED: Final = phrase("an application that the log does not name")

_ID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY: Final = re.compile(
    rf"(?P<id>{_ID})(?: (?P<network>MS|asn:\d+|net:\S+) (?P<program>.+))?|(?P<of>(?:{_ID})?)\|(?P<way>\w+)"
)
_NETWORK: Final = re.compile(r"asn:\d+|net:[0-9a-f.:]+")
_MORE: Final = re.compile(r" \(\+\d+\)$")


def in_words(text: str, lang: str) -> tuple[Piece, ...] | None:
    """Keys of clients, perhaps several and `(+n)` behind; None where any of the text is something else."""
    more = _MORE.search(text)
    told = [tuple(_told(each, lang)) for each in (text[: more.start()] if more else text).split(", ")]
    if not all(told):
        return None
    made = tuple(
        piece
        for place, pieces in enumerate(told)
        for piece in (((say(_AND, lang), "words"), *pieces) if place else pieces)
    )
    return (*made, (more[0], "words")) if more else made


def _told(key: str, lang: str) -> Iterator[Piece]:
    if _NETWORK.fullmatch(key):
        yield from _shown(_network_alone(key), lang)
        return
    found = _KEY.fullmatch(key)
    if found is None or (found["way"] and found["way"] not in WAYS):
        return
    application = found["id"] or found["of"]
    label = client_label(application)
    is_known = label != application
    if found["id"] and not found["network"] and not is_known:
        return  # an id alone may be of anything
    yield (
        label.removesuffix(f" ({application})") if is_known else say(_UNNAMED if not application else _NAMELESS, lang),
        "words",
    )
    if found["way"]:
        yield f" {say(WAYS[found['way']], lang)}", "words"
    if found["network"]:
        yield from _shown(phrase(", program {program}", program=found["program"]), lang)
        yield from _shown(_network(found["network"]), lang)
    yield " (", "words"
    yield key if found["way"] else application, "log"
    yield ")", "words"


def _network(network: str) -> Phrase:
    kind, _, name = network.partition(":")
    if kind == "asn":
        return phrase(", in the network AS{number}", number=name)
    if kind == "net":
        return phrase(", in the network that begins with {start}", start=name)
    return phrase(", from Microsoft's own addresses")


def _network_alone(network: str) -> Phrase:
    kind, _, name = network.partition(":")
    if kind == "asn":
        return phrase("the network AS{number}", number=name)
    return phrase("the network that begins with {start}", start=name)


def _shown(said: Phrase, lang: str) -> Iterator[Piece]:
    return ((visible(text), kind) for text, kind in pieces(said, lang))

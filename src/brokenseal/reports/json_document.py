"""JSON: the document itself. It is the one report that holds log text exactly as the store holds it.

Times are ISO 8601 in UTC with `Z`. A phrase is its English text, and the template and the values it is made of, so
that whoever reads the document can say it in another language.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from brokenseal.model import CaseDocument, Reporter
from brokenseal.wording import Phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
_HALF = re.compile("[\ud800-\udfff]")
_PHRASE = {"template", "values"}


def to_json(value: Any) -> bytes:
    """Any value of the model as JSON with a final line feed: equal values give equal bytes.

    Keys of mappings are sorted; fields stand in the order of their declaration.
    """
    import msgspec

    plain = msgspec.to_builtins(value, order="deterministic", builtin_types=(dt.datetime,))
    if isinstance(value, CaseDocument) and value.rules is None:
        del plain["rules"]
    for found in _phrases(plain):
        # A document read back holds times where text of their form stood; both must give the same bytes.
        values = {name: _time(each) if isinstance(each, str) else each for name, each in found["values"].items()}
        found["text"] = say(Phrase(template=found["template"], values=values), "en")
    try:
        content = msgspec.json.encode(plain)
    except UnicodeEncodeError:
        # Half of a surrogate pair, as in a file name that is no UTF-8, has no place in JSON that others read.
        content = msgspec.json.encode(_encodable(plain))
    return msgspec.json.format(content, indent=2) + b"\n"


def _encodable(plain: Any) -> Any:
    if isinstance(plain, str):
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", plain)
    if isinstance(plain, dict):
        return {_encodable(key): _encodable(value) for key, value in plain.items()}
    return [_encodable(each) for each in plain] if isinstance(plain, list | tuple) else plain


def document_to_json(document: CaseDocument) -> bytes:
    """The document's bytes; `document_from_json` gives it back."""
    return to_json(document)


def document_from_json(content: bytes) -> CaseDocument:
    """The document of these bytes.

    A phrase's value may be text or a time, which JSON writes alike: text in exactly the form in which times are
    written is read as a time. Written again, it gives the same bytes.

    Raises:
        msgspec.ValidationError: The bytes are JSON, but no case document.
        msgspec.DecodeError: The bytes are no JSON.
    """
    import msgspec

    plain = msgspec.json.decode(content)
    for found in _phrases(plain):
        values = found["values"]
        values.update({name: _time(value) for name, value in values.items() if isinstance(value, str)})
    return msgspec.convert(plain, CaseDocument)


def _phrases(plain: Any) -> Iterator[dict[str, Any]]:
    """Every phrase in a plain document; walks without recursion, so depth does not matter."""
    waiting = [plain]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list | tuple):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.keys() >= _PHRASE and isinstance(node["values"], dict):
                yield node
            else:
                waiting.extend(node.values())


def _time(text: str) -> str | dt.datetime:
    if not _TIME.fullmatch(text):
        return text
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return text


def render(document: CaseDocument, lang: str) -> bytes:  # noqa: ARG001 - the document carries every language
    """The document as JSON; the language makes no difference."""
    return document_to_json(document)


REPORTER = Reporter(name="json", media_type="application/json", render=render)

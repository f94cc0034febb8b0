"""JSON: the document itself. It is the one report that holds log text exactly as the store holds it.

Times are ISO 8601 in UTC with `Z`. A phrase is its English template and its values, so that whoever reads the
document can say it in another language.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from brokenseal.model import CaseDocument, Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
_PHRASE = {"template", "values"}


def to_json(value: Any) -> bytes:
    """Any value of the model as JSON with a final line feed: equal values give equal bytes.

    Keys of mappings are sorted; fields stand in the order of their declaration.
    """
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


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
    for values in _phrase_values(plain):
        values.update({name: _time(value) for name, value in values.items() if isinstance(value, str)})
    return msgspec.convert(plain, CaseDocument)


def _phrase_values(plain: Any) -> Iterator[dict[str, Any]]:
    """The `values` of every phrase in a decoded document; walks without recursion, so depth does not matter."""
    waiting = [plain]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.keys() == _PHRASE and isinstance(node["values"], dict):
                yield node["values"]
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

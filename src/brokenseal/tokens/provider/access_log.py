"""One line per request, for whoever watches the provider: never a token, never a secret, never a control character."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokenseal.tokens.provider.records import iso

if TYPE_CHECKING:
    import datetime as dt

# Three parts of base64url; a path or a user agent can hold one as well as the header where it belongs.
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]*")
_UNSAFE = re.compile(r"[^\x21-\x7e]")
_LONGEST = 200


def without_tokens(text: str) -> str:
    """The text with every token in it replaced by the word `[token]`."""
    return _TOKEN.sub("[token]", text)


def access_line(*, at: dt.datetime, address: str, method: str, path: str, status: int, uti: str) -> str:
    """The line of one request; the query is left out, because tokens and codes travel there too."""
    shown = _UNSAFE.sub("?", without_tokens(path.partition("?")[0]))[:_LONGEST]
    token = _UNSAFE.sub("?", uti)[:_LONGEST] or "-"
    return f"{iso(at)}Z {address} {_UNSAFE.sub('?', method)[:16]} {shown} {status} uti={without_tokens(token)}"

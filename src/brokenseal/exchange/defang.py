"""Addresses and links written so that nobody follows them by accident: for people, never for machines."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"(?i)\b(h)(tt)(ps?)(?=://)")
_FTP = re.compile(r"(?i)\b(f)(t)(ps?)(?=://)")


def defang(text: str) -> str:
    """The text with `[.]`, `[:]`, `[@]` and `hxxp` in it, such as `203[.]0[.]113[.]7` or `hxxps[:]//a[.]example`.

    `refang` gives the text back, if it held no such mark before.
    """
    masked = _FTP.sub(r"\1x\3", _SCHEME.sub(r"\1xx\3", text))
    return re.sub(r"[.:@]", r"[\g<0>]", masked)


def shown_value(kind: str, value: str) -> str:
    """The value of an indicator as people read it: addresses and links lead nowhere, other text stays as it is."""
    return defang(value) if kind == "address" or "://" in value else value


def refang(text: str) -> str:
    """What `defang` was given."""
    bare = re.sub(r"\[([.:@])\]", r"\1", text)
    return re.sub(r"(?i)\b(f)x(ps?)(?=://)", r"\1t\2", re.sub(r"(?i)\b(h)xx(ps?)(?=://)", r"\1tt\2", bare))

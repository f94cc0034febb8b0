"""Comparison of text that was not folded at ingest, without functions that engines define differently.

`translate` and `replace` work on code points alike everywhere, so names are folded over the ASCII letters only.
"""

from __future__ import annotations

import string
from functools import reduce
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

# Letters of other scripts that look like Latin ones, and signs that stand for letters (Unicode confusables, the few
# that occur in names of applications).
_LOOK_ALIKES = str.maketrans("аеорсухіѕԁ013578@$!|l", "aeopcyxisdoiestbasiii")
_LOOK_ALIKE_FROM = "".join(map(chr, _LOOK_ALIKES))
_LOOK_ALIKE_TO = "".join(chr(code) for code in _LOOK_ALIKES.values())
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SEPARATORS = (" ", "_", "-", ".")

_ODD_NAME = r"^([\p{P}\p{S}\s]*|.|[A-Za-z0-9]{2})$"

BRANDS = ("microsoft", "sharepoint", "onedrive", "outlook", "office365", "exchangeonline", "onenote")
_MISSPELT = ("mircosoft", "micorsoft", "microsft", "microsof1", "micosoft", "mcirosoft", "outlok", "sharpoint")


def ascii_folded(text: ir.StringValue) -> ir.StringValue:
    """The text with the letters A to Z made small; every other character stays."""
    return text.translate(string.ascii_uppercase, string.ascii_lowercase)


def joined(texts: ir.ArrayValue) -> ir.StringValue:
    """All texts of an array in one, folded over ASCII; empty where there are none."""
    return ascii_folded(texts.join("\n").fill_null(""))


def holds_any(text: ir.StringValue, words: Iterable[str]) -> ir.BooleanValue:
    """True where the text contains one of the words; null where the text is null."""
    return reduce(lambda left, right: left | right, (text.contains(word) for word in words))


def has(texts: ir.ArrayValue, *words: str) -> ir.BooleanValue:
    """True where the array holds one of the words exactly; false where it is null."""
    return reduce(lambda left, right: left | right, (texts.contains(word) for word in words)).fill_null(
        ibis.literal(value=False)
    )


def some(texts: ir.ArrayValue) -> ir.BooleanValue:
    """True where the array holds anything; false where it is null or empty."""
    return (texts.length() > 0).fill_null(ibis.literal(value=False))


def odd_name(name: ir.StringValue) -> ir.BooleanValue:
    """True where a name says nothing: signs only, one character, or two plain letters; false where it is null.

    Rules that intruders leave behind are called ".", ".." or "aa", so that a list shows next to nothing.
    """
    return name.re_search(_ODD_NAME).fill_null(ibis.literal(value=False))


def _plain_skeleton(text: str) -> str:
    text = text.translate(_LOOK_ALIKES)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def imitates_brand(name: ir.StringValue) -> ir.BooleanValue:
    """True where a name reads like one of Microsoft's and is not spelt so; false where it is null.

    A name that is spelt right is no sign of anything: Microsoft's own applications have it.
    """
    plain = reduce(lambda text, sign: text.replace(sign, ""), _SEPARATORS, ascii_folded(name))
    skeleton = plain.translate(_LOOK_ALIKE_FROM, _LOOK_ALIKE_TO)
    for pair, single in _PAIRS:
        skeleton = skeleton.replace(pair, single)
    reads_like = [skeleton.contains(_plain_skeleton(brand)) & ~plain.contains(brand) for brand in BRANDS]
    return (reduce(lambda left, right: left | right, reads_like) | holds_any(plain, _MISSPELT)).fill_null(
        ibis.literal(value=False)
    )

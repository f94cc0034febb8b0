"""Sentences that can be said in several languages.

A `Phrase` is an English template and its values. It is data: the case document carries it, and whoever
renders the document asks for a language. `phrase("…")` is also the mark by which Babel finds the
templates, so its first argument is always a literal.
"""

from __future__ import annotations

import datetime as dt
import functools
import gettext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "fr")
_LOCALE = Path(__file__).parent / "locale"

_LARGE = 1e15
"""From here on, and for what is no number, a float is written as Python does."""

Value = str | int | float | dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A template in English with named fields, and the values for them.

    `values` maps to `Value`; it is declared wider because msgspec decodes no union of text and time
    (`reports/json_document.py` tells them apart).
    """

    template: str
    values: dict[str, Any] = field(default_factory=dict)


def phrase(template: str, **values: Value) -> Phrase:
    """Make a phrase; `template` is a literal, because translators find it in the source."""
    return Phrase(template=template, values=values)


@functools.cache
def translations(lang: str) -> gettext.NullTranslations:
    """The catalogue of a language, read from its `.po` file; English needs none.

    Raises:
        ValueError: `lang` is not one of `LANGUAGES`.
    """
    if lang not in LANGUAGES:
        msg = f"language {lang!r}: expected one of {', '.join(LANGUAGES)}"
        raise ValueError(msg)
    if lang == "en":
        return gettext.NullTranslations()
    import io

    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import Translations

    path = _LOCALE / lang / "LC_MESSAGES" / "brokenseal.po"
    with path.open("rb") as stream:
        catalogue = read_po(stream, locale=lang)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def say(sentence: Phrase, lang: str) -> str:
    """Say the sentence in the language: numbers and times are formatted as its readers expect."""
    template = translations(lang).gettext(sentence.template) if sentence.template else ""
    return template.format(**{name: format_value(value, lang) for name, value in sentence.values.items()})


@functools.cache
def _group_symbol(lang: str) -> str:
    from babel.numbers import get_group_symbol

    return str(get_group_symbol(lang))


def format_value(value: Value, lang: str) -> str:
    """A number with the language's grouping, a UTC time to the second, text as it is, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        # Babel's own formatting fails above 10^25, and a hostile log may hold such a count.
        return f"{value:,}".replace(",", _group_symbol(lang))
    if isinstance(value, float):
        from babel.numbers import format_decimal

        return str(format_decimal(value, locale=lang)) if abs(value) < _LARGE else str(value)
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    return value

"""Extract the sentences of the product and bring the catalogues up to date.

    python scripts/translations.py            write locale/brokenseal.pot and update every catalogue
    python scripts/translations.py --check    exit 1 if a file would change or a sentence is not translated

Sentences are the first arguments of `phrase(...)` in the source and in the report's templates. Equal sources give equal
files: no dates, no line numbers.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "brokenseal"
LOCALE = SOURCE / "locale"
TEMPLATE = LOCALE / "brokenseal.pot"
LANGUAGES = ("fr",)

_METHODS = [("**.py", "python"), ("**.j2", "jinja2.ext:babel_extract")]
_KEYWORDS = {"phrase": None}
_LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_NOT_WRITTEN = ("POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team", "Report-Msgid-Bugs-To")


def extracted(source: Path = SOURCE) -> Catalog:
    """Every sentence in the source, sorted, with the files that say it."""
    places: dict[str, set[str]] = {}
    options = {"**.j2": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    for file, _, message, _, _ in extract_from_dir(
        str(source), method_map=_METHODS, options_map=options, keywords=_KEYWORDS
    ):
        if isinstance(message, str) and message:
            places.setdefault(message, set()).add(Path(file).as_posix())
    catalogue = _empty(None)
    for message in sorted(places):
        catalogue.add(message, locations=[(file, 0) for file in sorted(places[message])])
    return catalogue


def _empty(lang: str | None) -> Catalog:
    return Catalog(
        locale=lang,
        project="Brokenseal",
        version="1",
        creation_date=_LONG_AGO,
        revision_date=_LONG_AGO,
        header_comment="# Sentences of Brokenseal." if lang is None else f"# Sentences of Brokenseal: {lang}.",
        fuzzy=False,
    )


def catalogue_path(lang: str) -> Path:
    """Where the catalogue of a language lies."""
    return LOCALE / lang / "LC_MESSAGES" / "brokenseal.po"


def read_catalogue(lang: str) -> Catalog:
    """The catalogue of a language, or an empty one."""
    path = catalogue_path(lang)
    if not path.is_file():
        return _empty(lang)
    with path.open("rb") as stream:
        return read_po(stream, locale=lang)


def updated(template: Catalog, known: Catalog, lang: str) -> Catalog:
    """A catalogue of exactly the template's sentences, with the translations that are known."""
    catalogue = _empty(lang)
    for message in template:
        if message.id:
            old = known.get(message.id)
            catalogue.add(message.id, string=old.string if old else "", locations=message.locations)
    return catalogue


def as_bytes(catalogue: Catalog) -> bytes:
    """The catalogue as a file without dates and line numbers."""
    out = io.BytesIO()
    write_po(out, catalogue, width=120, sort_output=True, include_lineno=False, omit_header=False)
    lines = out.getvalue().decode().splitlines()
    kept = [line for line in lines if not line.startswith(tuple(f'"{name}:' for name in _NOT_WRITTEN))]
    return ("\n".join(kept).rstrip("\n") + "\n").encode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; says on stdout what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is not up to date")
    options = parser.parse_args(arguments)
    template = extracted()
    files = {TEMPLATE: as_bytes(template)}
    missing: list[str] = []
    for lang in LANGUAGES:
        catalogue = updated(template, read_catalogue(lang), lang)
        missing += [f"{lang}: {message.id}" for message in catalogue if message.id and not message.string]
        files[catalogue_path(lang)] = as_bytes(catalogue)
    stale = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    if not options.check:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for line in missing:
        print(f"not translated: {line}")
    for path in stale:
        print(f"{'not up to date' if options.check else 'written'}: {path.relative_to(ROOT)}")
    print(f"{len(template)} sentences, {len(missing)} not translated")
    return 1 if options.check and (missing or stale) else 0


if __name__ == "__main__":
    sys.exit(main())

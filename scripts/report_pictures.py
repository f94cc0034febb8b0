"""Photograph reports for the documentation: of the simulated tenant, or of organisations of a finished replay.

    python scripts/report_pictures.py [--browser CHROMIUM]
    python scripts/report_pictures.py --replay DIR          of `brokenseal drill replay storm-0558 -o DIR --run`

Writes docs/images/*.png, of the report in the browser and of pages in print. Needs a Chromium (`chromium` on PATH
unless named) and a few seconds; the replay needs no browser.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from brokenseal.demo import write_demo
from brokenseal.investigate import document_of, investigate, render
from brokenseal.model import CaseDocument, Reader, Reading
from brokenseal.reports.pdf import pictures
from brokenseal.settings import Settings
from brokenseal.store import Store

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
# Name, language, element to begin at (None for the top), width and height in CSS pixels.
PICTURES = (
    ("report-en", "en", None, 1180, 1080),
    ("report-fr", "fr", None, 1180, 1080),
    ("pictures-en", "en", "#pictures", 1180, 1250),
    ("case-en", "en", "#cases", 1180, 1080),
)
# Name, language, reader, and page: counted from 1, or from the end with -1.
PRINTED = (
    ("print-management-en", "en", "management", 1),
    ("print-counsel-fr", "fr", "counsel", 1),
    ("print-analyst-read-en", "en", "analyst", 3),
    ("print-analyst-case-fr", "fr", "analyst", 7),
    ("print-counsel-last-en", "en", "counsel", -1),
)
# Name, log epoch, organisation, language, reader, and page.
REPLAYED = (
    ("replay-2023-management-fr", "2023", "01", "fr", "management", 1),
    ("replay-2026-management-en", "2026", "03", "en", "management", 1),
    ("replay-2026-counsel-fr", "2026", "03", "fr", "counsel", 3),
    ("replay-2026-analyst-en", "2026", "03", "en", "analyst", 5),
)


def printed_page(document: CaseDocument, lang: str, reader: Reader, number: int) -> bytes:
    """One printed page as PNG."""
    pages = pictures(document, lang, Reading(reader=reader))
    return pages[number - 1 if number > 0 else number]


def replayed(folder: Path) -> None:
    """Pages of reports of organisations of a replay."""
    for name, epoch, organisation, lang, reader, number in REPLAYED:
        store = Store.open(Settings(store_dir=folder / epoch / organisation / "store"))
        (IMAGES / f"{name}.png").write_bytes(printed_page(document_of(store), lang, reader, number))


def main() -> int:
    """Write every picture; 1 where no browser is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--replay", type=Path)
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    if asked.replay is not None:
        replayed(asked.replay)
        return 0
    browser = asked.browser
    if browser is None:
        print("no chromium on PATH; name one", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = Path(folder)
        os.chdir(place)  # so that the report names its inputs without the folder they happen to be in
        write_demo(Path("exports"))
        now = dt.datetime(2026, 4, 7, tzinfo=dt.UTC)
        _, document = investigate([Path("exports")], Settings(store_dir=Path("store")), now=now)
        for name, lang, reader, number in PRINTED:
            (IMAGES / f"{name}.png").write_bytes(printed_page(document, lang, reader, number))
        for lang in ("en", "fr"):
            (place / f"{lang}.html").write_bytes(render(document, "html", lang))
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        for name, lang, element, width, height in PICTURES:
            page = chromium.new_page(viewport={"width": width, "height": height})
            page.goto((place / f"{lang}.html").as_uri())
            if element is not None:
                page.evaluate("place => document.querySelector(place).scrollIntoView()", element)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

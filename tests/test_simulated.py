"""Simulated results are called simulated, wherever they are printed."""

from __future__ import annotations

import dataclasses
import io

import openpyxl
import pytest
from rich.console import Console

from brokenseal.reports import REPORTERS
from brokenseal.reports.summaries import detection_summary
from brokenseal.reports.terminal import closing_screen, detection_screen
from brokenseal.simulated import is_simulated, simulated_tenant_id
from reports.documents import rich_document


def test_the_tenant_id_tells():
    made_up = simulated_tenant_id("ABCDEF01-0000-4000-8000-000000000001")

    assert made_up == "51a1a7ed-0000-4000-8000-000000000001"
    assert is_simulated(["0873ee4d-d342-44f2-8961-74c442a2fad2", made_up])
    assert not is_simulated(["0873ee4d-d342-44f2-8961-74c442a2fad2"])
    assert not is_simulated([])


def read(name: str, content: bytes) -> str:
    if name != "xlsx":
        return content.decode()
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    cells = [str(cell) for row in book.worksheets[0].iter_rows(values_only=True) for cell in row]
    book.close()
    return "\n".join(cells)


WORDS = {"en": "Simulated: these logs", "fr": "Simulation\u00a0: ces journaux"}


@pytest.mark.parametrize("lang", WORDS)
@pytest.mark.parametrize("name", ["html", "xlsx", "md"])
def test_every_report_says_so_and_only_then(name, lang):
    document = rich_document()
    (reporter,) = (each for each in REPORTERS if each.name == name)
    simulated = dataclasses.replace(document, simulated=True)

    assert WORDS[lang] in read(name, reporter.render(simulated, lang))
    assert WORDS[lang] not in read(name, reporter.render(document, lang))


def test_the_screens_and_the_objects_say_so():
    document = rich_document()
    simulated = dataclasses.replace(document, simulated=True)
    for screen in (closing_screen, detection_screen):
        console = Console(file=io.StringIO(), width=200)
        console.print(screen(simulated, "en"))
        assert WORDS["en"] in console.file.getvalue()
    assert detection_summary(simulated, "en")["simulated"] is True
    assert detection_summary(document, "en")["simulated"] is False

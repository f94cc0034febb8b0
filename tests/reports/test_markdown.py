import re

import pytest

from brokenseal.reports import markdown
from reports.documents import HOSTILE, empty_document, hostile_document, rich_document
from reports.golden_files import matches_golden


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_report_is_as_it_was_last_looked_at(lang):
    assert matches_golden(f"report.{lang}.md", markdown.render(rich_document(), lang).decode())


def without_code(line):
    """The line without its code spans, as CommonMark finds them: a run of backticks and the next run of that length."""
    out, place = [], 0
    runs = [(found.start(), found.end()) for found in re.finditer("`+", line)]
    skip = 0
    for number, (start, end) in enumerate(runs):
        if number < skip:
            continue
        closing = next((n for n in range(number + 1, len(runs)) if runs[n][1] - runs[n][0] == end - start), None)
        if closing is None:
            continue
        out.append(line[place:start])
        place, skip = runs[closing][1], closing + 1
    return "".join([*out, line[place:]])


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_nothing_of_a_hostile_document_stands_outside_of_code(lang):
    text = markdown.render(hostile_document(), lang).decode()
    outside = "\n".join(without_code(line) for line in text.splitlines())
    for attack in ("<", "](", "![", "http", "javascript", "onerror", "{{", "`"):
        assert attack not in outside, attack
    assert not set(text) & set("\x00\x1b\r\u202e\u2028")


def test_every_row_of_a_table_has_the_cells_of_its_header():
    lines = markdown.render(hostile_document(), "en").decode().splitlines()
    width = None
    for line in lines:
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width
    assert len(HOSTILE) < sum(line.startswith("|") for line in lines)


def test_an_empty_document_is_a_short_report():
    text = markdown.render(empty_document(), "en").decode()
    assert text.startswith(
        "# Nothing found\n\n**Nothing was found, and the logs that would have shown it are there.**\n"
    )

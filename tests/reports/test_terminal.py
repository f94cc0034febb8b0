import io
import unicodedata
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from brokenseal.evidence import Change, OriginalInput, Verification
from brokenseal.ingest import IngestResult
from brokenseal.reports import terminal
from reports.documents import empty_document, hostile_document, rich_document
from reports.golden_files import matches_golden

SCREENS = {
    "closing": lambda document, lang: terminal.closing_screen(document, lang, report="store/report.html"),
    "detection": terminal.detection_screen,
    "exposure": lambda document, lang: terminal.exposure_screen(document.exposure, lang),
    "coverage": lambda document, lang: terminal.coverage_screen(document.coverage, lang),
}


def shown(renderable, width=80, color=None):
    out = io.StringIO()
    Console(file=out, width=width, color_system=color, force_terminal=color is not None, legacy_windows=False).print(
        renderable
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("name", SCREENS)
def test_screens_are_as_they_were_last_looked_at(name, lang):
    assert matches_golden(f"screen.{name}.{lang}.txt", shown(SCREENS[name](rich_document(), lang)))


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("make", [rich_document, hostile_document, empty_document])
@pytest.mark.parametrize("name", SCREENS)
def test_screens_fit_eighty_columns_and_hold_no_controls(name, make, lang):
    text = shown(SCREENS[name](make(), lang))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert {char for char in text if unicodedata.category(char) in {"Cc", "Cs"}} <= {"\n"}
    assert not set(text) & set("\u202e\u2066\u2069\u2028")


def test_markup_in_log_text_is_no_markup():
    text = shown(terminal.coverage_screen(hostile_document().coverage, "en"), width=200, color="truecolor")
    assert "[bold red]markup[/] [link=http://evil.example]x[/link]" in text
    assert "\x1b]8;" not in text
    assert "\x1b[2J" not in text


def test_more_than_five_cases_are_counted():
    document = rich_document()
    many = replace(document, cases=document.cases * 3)
    text = shown(terminal.closing_screen(many, "en"))
    assert text.count("case-000000005ea") == 5
    assert "4 more case(s) in the report" in text
    assert shown(terminal.detection_screen(many, "en")).count("case-000000005ea") == 9


def test_more_mailboxes_than_a_screen_holds_are_counted():
    document = rich_document()
    boxes = document.cases[0].exposure.mailboxes * 4
    case = replace(document.cases[0], exposure=replace(document.cases[0].exposure, mailboxes=boxes))
    assert "4 more row(s) in the report" in shown(terminal.closing_screen(replace(document, cases=(case,)), "en"))


def test_without_a_case_all_accesses_are_shown():
    document = replace(rich_document(), cases=())
    text = shown(terminal.closing_screen(document, "en"))
    assert "All mail accesses in the logs" in text
    assert "What happened" not in text


@pytest.mark.parametrize(
    ("intact", "expected"), [(True, "The evidence is as it was written."), (False, "The evidence was changed.")]
)
def test_a_verification_says_whether_the_evidence_is_intact(intact, expected):
    verification = Verification(
        intact=intact,
        ledger_rows=3,
        ledger_head="ab" * 32,
        evidence_files=2,
        changes=() if intact else (Change(what="ledger", place="row 2\x1b[2J", found="x", expected="y"),),
        originals=(
            OriginalInput(path="a.csv", sha256="00", state="missing"),
            OriginalInput(path="b.csv", sha256="00", state="same"),
        ),
    )
    text = shown(terminal.verification_screen(verification))
    assert expected in text
    assert "a.csv: missing" in text
    assert "b.csv" not in text
    assert ("ledger: row 2�[2J: found x, written was y" in text) is not intact


def test_the_lines_of_an_ingest_name_what_was_not_read_whole():
    files = rich_document().inputs.files
    result = IngestResult(records=65_535, kept=63_733, duplicates=1_786, rejected=3, ignored=13, files=files)
    assert terminal.ingest_lines(result) == (
        "65,535 records were found: 63,733 kept, 1,786 copies, 3 in quarantine, 13 ignored.",
        "exports/audit-2024-05.csv: 3 record(s) in quarantine",
        "exports/audit-2024-05.csv: The export holds exactly 50,000 records, a number at which exports stop: more may exist.",
        "exports/notes.json: no audit log",
    )


def test_plain_text_is_safe_to_print():
    assert terminal.plain("a\x1b[31mb\u202ec") == "a�[31mb�c"

"""The documentation says what the code does: pages, links, commands, shapes and screens."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from brokenseal import cli, schema
from brokenseal.coverage import NEEDS
from brokenseal.detectors import DETECTORS
from brokenseal.sources import SOURCES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
REFERENCE = DOCS / "reference"


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(path):
    return path.read_text(encoding="utf-8")


def prose_of(path):
    """The page without its code: what stands in a code block is no link."""
    return re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)


def anchors_of(path):
    headings = re.findall(r"^#+ (.+)$", prose_of(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}


def commands():
    """Words of each command to the names of its options."""
    found = {}

    def walk(command, words):
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*words, name))
        if not getattr(command, "commands", None):
            found[words] = {option for parameter in command.params for option in parameter.opts}

    walk(typer.main.get_command(cli.app), ())
    return found


def calls():
    """Every call of brokenseal that a page shows, with the page it stands on."""
    found = []
    for path in PAGES:
        blocks = re.findall(r"```\w*\n(.*?)```", text_of(path), flags=re.DOTALL)
        # A backslash at the end of a line joins it to the next, as in a shell.
        lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
        lines += re.findall(r"`(brokenseal [^`]+)`", prose_of(path))
        lines += re.findall(r"<!-- output: (brokenseal .*) -->", text_of(path))
        found += [(path.name, line) for line in lines if line.startswith("brokenseal ") and "[OPTIONS]" not in line]
    return found


@pytest.mark.parametrize("name", ["columns.md", "commands.md", "detectors.md", "drill.md", "sources.md"])
def test_reference_pages_are_what_the_code_says(name):
    assert text_of(REFERENCE / name) == script("reference_docs").PAGES[name]()


def test_every_reference_page_is_one_that_is_generated():
    assert {path.name for path in REFERENCE.iterdir()} == set(script("reference_docs").PAGES)


def test_every_table_and_column_is_explained():
    page = text_of(REFERENCE / "columns.md")
    for table in (*schema.TABLES, schema.HIT, schema.MARK):
        section = page.partition(f"## `{table.name}`\n")[2].partition("\n## ")[0]
        documented = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
        assert tuple(documented) == table.names
    assert all(column.meaning for table in (*schema.TABLES, schema.HIT, schema.MARK) for column in table.columns)


def test_every_detector_and_need_is_explained():
    page = text_of(REFERENCE / "detectors.md")
    missing = [detector.id for detector in DETECTORS if f"## `{detector.id}`" not in page]
    missing += [name for name in NEEDS if f"| `{name}` |" not in page]
    missing += [
        f"{detector.id}.{name}"
        for detector in DETECTORS
        for name in detector.variants
        if f"### {name} (" not in page.partition(f"## `{detector.id}`\n")[2].partition("\n## ")[0]
    ]

    assert missing == []


def test_every_shape_has_a_how_to_that_names_it():
    how_tos = "".join(text_of(path) for path in (DOCS / "exports").glob("*.md"))
    wanted = {shape for source in SOURCES for shape in source.shapes if shape not in source.lossy_shapes}

    assert {shape for shape in wanted if f"`{shape}`" not in how_tos} == set()


def test_every_command_option_and_exit_code_is_documented():
    page = text_of(REFERENCE / "commands.md")
    for words, options in commands().items():
        section = page.partition(f"## `brokenseal {' '.join(words)}`\n")[2].partition("\n## ")[0]
        missing = [option for option in options if option.startswith("-") and f"`{option}" not in section]
        assert section, words
        assert missing == [], words
    documented = re.findall(r"^\| (\d) \| `(\w+)` \| \S", page, flags=re.MULTILINE)
    assert documented == [(str(int(code)), code.name) for code in cli.Exit]


def test_commands_in_the_pages_exist_with_their_options():
    known = commands()
    wrong = []
    for page, line in calls():
        words = shlex.split(line.partition("#")[0])[1:]
        call = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in known), None)
        options = {word.partition("=")[0] for word in words if word.startswith("-")} - {"--help"}
        if call is None and words[0] not in {"--help", "…"}:
            wrong.append((page, line))
        elif call is not None and not options <= known[call]:
            wrong.append((page, sorted(options - known[call])))

    assert wrong == []
    assert len(calls()) > 20


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        page = (path.parent / place).resolve() if place else path
        if not page.exists() or (anchor and anchor not in anchors_of(page)):
            broken.append(target)

    assert broken == []


def test_every_page_of_the_documentation_is_linked_from_another():
    linked = {
        (path.parent / target.partition("#")[0]).resolve()
        for path in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(path))
        if not re.match(r"[a-z]+:", target)
    }

    pages = {path.resolve() for path in DOCS.rglob("*.md")} - {DOCS.resolve() / "README.md"}
    assert sorted(str(path.relative_to(DOCS.resolve())) for path in pages - linked) == []


@pytest.mark.slow
def test_the_tutorial_shows_what_its_commands_print():
    page = text_of(DOCS / "tutorial.md")

    assert page.count("```text\n") == page.count("<!-- output: ") == 3
    assert script("tutorial_screens").with_screens(page) == page

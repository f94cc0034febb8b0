"""A report on paper as HTML or Markdown: what management and counsel get in these formats."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brokenseal.reports import _readers
from brokenseal.reports._escape import markdown, markdown_code
from brokenseal.reports._paper import for_reading
from brokenseal.reports._paper_cells import cells_of
from brokenseal.reports._typst_data import data
from brokenseal.wording import translations

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jinja2

    from brokenseal.model import CaseDocument, Reading

_TEMPLATES: Final = Path(__file__).parent / "templates"


def content(document: CaseDocument, lang: str, reading: Reading) -> dict[str, Any]:
    """What is shown."""
    translations(lang)
    paper = for_reading(_readers.paper(document, lang, reading.reader), reading)
    return data(paper, cells_of(document, lang), tlp=reading.tlp or _readers.TLP_USUAL)


def as_html(document: CaseDocument, lang: str, reading: Reading, *, policy: str) -> bytes:
    """One file without scripts; `policy` is its Content Security Policy."""
    page = (
        _environment()
        .get_template("paper.html.j2")
        .render(d=content(document, lang, reading), style=style(), policy=policy)
    )
    return page.encode("utf-8", "replace")


@functools.cache
def style() -> str:
    """The style sheet of the page."""
    return (_TEMPLATES / "paper.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def as_markdown(document: CaseDocument, lang: str, reading: Reading) -> bytes:
    """GitHub-flavoured Markdown; record ids stand in footnotes."""
    shown = content(document, lang, reading)
    notes: list[str] = []
    lines = [f"**{shown['tlp']['label']}**", "", f"# {markdown(shown['title'])}", "", f"**{markdown(shown['word'])}**"]
    if shown["simulated"]:
        lines += ["", f"> {markdown(shown['simulated'])}"]
    for block in shown["blocks"]:
        lines += ["", *_markdown(block, notes)]
    for number, note in enumerate(notes, start=1):
        lines += ["", f"[^{number}]: {note}"]
    lines += ["", f"**{shown['tlp']['label']}** · {markdown(shown['program'])}"]
    return "\n".join(lines).encode("utf-8", "replace") + b"\n"


def _markdown(block: dict[str, Any], notes: list[str]) -> Iterator[str]:
    match block["k"]:
        case "head":
            number = f"{block['number']}. " if block["number"] else ""
            yield f"{'#' * (block['level'] + 1)} {number}{_runs(block['runs'])}"
        case "para":
            yield _line(block, notes)
        case "list":
            for place, line in enumerate(block["lines"], start=1):
                yield f"{f'{place}.' if block['ordered'] else '-'} {_line(line, notes)}"
        case "facts":
            yield from (f"- {_runs(name)}: {_runs(value)}" for name, value in block["rows"])
        case "counts":
            yield from (
                f"- **{markdown(name)}: {markdown(number)}** {markdown(unit)}"
                for _, number, name, unit in block["items"]
            )
        case "grid":
            yield from _grid(block, notes)
        case _:
            yield from ()


def _grid(block: dict[str, Any], notes: list[str]) -> Iterator[str]:
    if not block["cells"]:
        return
    if block["title"]:
        yield from (f"#### {markdown(block['title'])}", "")
    wide = len(block["head"])
    yield "| " + " | ".join(markdown(title) for title in block["head"]) + " |"
    yield "|" + "|".join(" ---: " if right else " --- " for right in block["right"]) + "|"
    for at in range(0, len(block["cells"]), wide):
        yield "| " + " | ".join(_cell(cell, notes) for cell in block["cells"][at : at + wide]) + " |"
    if block["note"]:
        yield from ("", markdown(block["note"]))


def _cell(cell: Any, notes: list[str]) -> str:
    if isinstance(cell, str):
        return markdown_code(cell)
    if isinstance(cell, dict):
        return f"{len(cell['ids']) + cell['more']}{_cited(cell, notes)}"
    return _runs(cell)


def _line(line: dict[str, Any], notes: list[str]) -> str:
    return _runs(line["runs"]) + (_cited(line["note"], notes) if line["note"] else "")


def _cited(note: dict[str, Any], notes: list[str]) -> str:
    more = f" +{note['more']}" if note["more"] else ""
    notes.append(", ".join(markdown_code(each) for each in note["ids"]) + more)
    return f"[^{len(notes)}]"


def _runs(parts: list[list[str]]) -> str:
    return "".join(markdown_code(text) if kind == "log" else markdown(text) for text, kind in parts)

"""The sentences of the page: kept apart from the code that puts figures into them."""

from __future__ import annotations

import functools
import re

from results import ROOT

TEXTS = ROOT / "bench" / "performance-texts.md"


@functools.cache
def _texts() -> dict[str, str]:
    parts = re.split(r"^@ (.+)$", TEXTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def row(*cells: object) -> str:
    """One row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*columns: str) -> list[str]:
    """The head of a table, whose columns are numbers but for those marked with a `<` before their name."""
    rule = "|".join("---" if each.startswith("<") else "--:" for each in columns)
    return [row(*(each.removeprefix("<") for each in columns)), f"|{rule}|"]


def text(name: str, **values: object) -> str:
    """One text with its figures; a figure that is wanted and not given is an error."""
    found = _texts()[name]
    return found.format_map(values) if values else found

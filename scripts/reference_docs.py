"""Write the pages of docs/reference from the code that they describe.

    python scripts/reference_docs.py            write the pages
    python scripts/reference_docs.py --check    exit 1 if a page differs from the code

Columns come from `schema.py`, commands from the Typer application, detectors and sources from their tuples. A test
compares the pages with the code, so that they cannot drift.
"""

from __future__ import annotations

import argparse
import enum
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from brokenseal import cli, schema
from brokenseal.coverage import NEEDS
from brokenseal.detectors import DETECTORS
from brokenseal.drill import priors, tables
from brokenseal.drill.attacks import ATTACKS
from brokenseal.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from brokenseal.model import Detector, Source, Variant
    from brokenseal.wording import Phrase

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
ATTACK_URL = "https://attack.mitre.org/techniques/"
NOTE = "<!-- Written by scripts/reference_docs.py; change the code, not this page. -->"
EXIT_MEANINGS = {
    "OK": "Nothing above the threshold. Without `--fail-on` also when cases stand.",
    "FINDINGS": "A case of the severity given by `--fail-on`, or above it, stands; `drill check` found a leak.",
    "USAGE": "The call cannot be carried out: a wrong option, an identifier that does not exist, a store that is "
    "absent, foreign or in use, a place that cannot be written.",
    "INCOMPLETE": "Some input was rejected, unreadable or incomplete, or `evidence verify` found a change. Results are "
    "written all the same.",
    "NOTHING_READABLE": "No input held a single record that any source knows.",
}


def columns_page() -> str:
    """Every table and column of `schema.py`."""
    lines = [
        "# Columns",
        "",
        NOTE,
        "",
        "Every column can be null, and null means *the log does not say*: never false, zero or a mismatch. Times are",
        "UTC with microseconds. The tables are Delta tables of Parquet in the folder of the store; `hits` is what",
        "detectors hand on and is never stored.",
        "",
        *_index(f"`{table.name}`" for table in (*schema.TABLES, schema.HIT, schema.MARK)),
    ]
    for table in (*schema.TABLES, schema.HIT, schema.MARK):
        lines += ["", f"## `{table.name}`", "", f"One row is {table.row}.", ""]
        rows = [(f"`{c.name}`", f"`{c.dtype}`", c.meaning, c.source) for c in table.columns]
        lines += _table(("column", "type", "meaning", "from the log's"), rows)
    lines += ["", "## Reasons for quarantine", ""]
    lines += [f"- `{reason}`" for reason in schema.QUARANTINE_REASONS]
    return _page(lines)


def commands_page() -> str:
    """Every command with its arguments and options, and the exit codes."""
    lines = ["# Commands", "", NOTE, ""]
    for words, command in _commands(typer.main.get_command(cli.app), ()):
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        options = [p for p in command.params if p.opts[0].startswith("-")]
        usage = " ".join(["brokenseal", *words, *(p.metavar or p.name.upper() for p in arguments), "[OPTIONS]"])
        lines += [f"## `brokenseal {' '.join(words)}`", "", command.help or "", "", "```", usage, "```", ""]
        rows = [(f"`{p.metavar or p.name.upper()}`", p.help or "") for p in arguments]
        rows += [(_option(p), _option_help(p)) for p in options]
        lines += [*_table(("argument or option", "meaning"), rows), ""]
    lines += ["## Exit codes", ""]
    lines += _table(
        ("code", "name", "meaning"), [(str(int(c)), f"`{c.name}`", EXIT_MEANINGS[c.name]) for c in cli.Exit]
    )
    lines += [
        "",
        "130 means that the run was stopped from the keyboard; the same command again goes on. A stopped drill leaves",
        "nothing behind and ends with 128 and the number of the signal.",
    ]
    return _page(lines)


def detectors_page() -> str:
    """Every detector with what it says, why that may be innocent, and what it needs."""
    lines = [
        "# Detectors",
        "",
        NOTE,
        "",
        "A detector fires, stays quiet, or is *not assessable* because the logs lack what it needs. In the sentences",
        "below, words in braces are filled in from the records. A *notice* never opens a case by itself.",
        "",
        *_index(f"`{detector.id}`" for detector in DETECTORS),
    ]
    for detector in DETECTORS:
        lines += ["", *_detector(detector)]
    lines += ["", "## Needs", ""]
    lines += _table(("need", "said where it is not met"), [(f"`{name}`", _say(text)) for name, text in NEEDS.items()])
    return _page(lines)


def _detector(detector: Detector) -> Iterator[str]:
    yield f"## `{detector.id}`"
    yield ""
    yield f"{_say(detector.title)}"
    yield ""
    yield f"- Needs: {', '.join(f'`{need}`' for need in detector.needs) or 'nothing beyond the tables it reads'}"
    for table, columns in detector.reads.items():
        yield f"- Reads `{table}`: {', '.join(f'`{column}`' for column in columns)}"
    if detector.limit is not None:
        yield f"- Limit: {_say(detector.limit.reason)}"
    for name, variant in detector.variants.items():
        yield ""
        yield from _variant(name, variant)


def _variant(name: str, variant: Variant) -> Iterator[str]:
    kind = ", notice" if variant.is_notice else ""
    yield f"### {name} ({variant.severity}{kind})"
    yield ""
    yield f"> {_say(variant.title)}"
    yield ""
    attack = ", ".join(f"[{tag}]({ATTACK_URL}{tag.replace('.', '/')}/)" for tag in variant.attack)
    yield f"- ATT&CK: {attack or 'none'}"
    yield f"- It might be innocent: {_say(variant.innocent)}"
    yield f"- What settles it: {_say(variant.settles)}"


def sources_page() -> str:
    """Every log and every shape in which it is recognised."""
    lines = [
        "# Sources",
        "",
        NOTE,
        "",
        "Logs are recognised by their content, never by a file's name. Containers are opened first (gzip, zip, 7z,",
        "zstd, folders, one container within another), then text is decoded (UTF-8 and UTF-16, with or without a mark)",
        "and cut into records (JSON array, JSON Lines, several JSON values one after the other, CSV). Wrappers such as",
        "`_raw`, `_source`, `value`, `records` and `RawEventData` are seen through.",
        "",
        "Where two exports hold the same record, the copy of the source with the lower fidelity number is kept; shapes",
        "that have lost nested values come last.",
    ]
    for source in SOURCES:
        lines += ["", *_source(source)]
    return _page(lines)


def _source(source: Source) -> Iterator[str]:
    yield f"## {source.title}"
    yield ""
    fast = "whole batches at a time" if source.columnar else "record by record"
    yield f"`{source.name}`, fidelity {source.fidelity}, read {fast}."
    yield ""
    rows = [
        (f"`{shape}`", meaning + (" (has lost nested values)" if shape in source.lossy_shapes else ""))
        for shape, meaning in source.shapes.items()
    ]
    yield from _table(("shape", "what it is"), rows)


def drill_page() -> str:
    """The attacks, the truth tables and the quantities of priors that the drill declares."""
    lines = [
        "# The drill: attacks, truth, priors",
        "",
        NOTE,
        "",
        "What a drill can hold and what it says of itself; [the drill](../drill.md) explains how to use it. Everything",
        "in it is simulated.",
        "",
        "## Attacks",
        "",
        "An attack adds visits to mailboxes to those of honest people, and nothing but the traces named here may tell",
        "them apart. Stealth is 1 careless, 2 professional, 3 careful, 4 the best known.",
        "",
        *_index(f"{attack.id} {attack.title}" for attack in ATTACKS),
    ]
    for attack in ATTACKS:
        tags = ", ".join(f"[{tag}]({ATTACK_URL}{tag.replace('.', '/')}/)" for tag in attack.techniques)
        kinds = ("a control, that nothing should find beyond chance", "plays in up to twenty tenants at once")
        said = [kind for kind, is_it in zip(kinds, (attack.is_control, attack.is_campaign), strict=True) if is_it]
        lines += ["", f"### {attack.id} {attack.title}", "", attack.description, ""]
        lines += [f"- ATT&CK: {tags or 'none'}", f"- May show: {'; '.join(attack.tells) or 'nothing'}"]
        lines += [f"- It is {one}" for one in said]
    lines += ["", "## Truth", "", "Files of Parquet in the folder `truth`, one for each table. Null means *none*.", ""]
    lines += _index(f"`{table.name}`" for table in tables.TRUTH_TABLES)
    for table in tables.TRUTH_TABLES:
        lines += ["", f"### `{table.name}`", "", f"One row is {table.row}.", ""]
        lines += _table(
            ("column", "type", "meaning"), [(f"`{c.name}`", f"`{c.dtype}`", c.meaning) for c in table.columns]
        )
    lines += ["", "## Quantities of a prior", ""]
    lines += [
        "Each tenant draws one value of each; a file for `--prior` may change any of them. *Scale* `log` says that the",
        "draw is uniform on the logarithm. *From*: the spans were agreed on before anything was measured (`protocol`),",
        "come from published figures (`literature`), or are no more than assumed.",
        "",
    ]
    rows = [
        (
            f"`{one.name}`",
            one.meaning,
            *(_span(prior.spans[one.name]) for prior in priors.PRIORS),
            f"{one.minimum:g} to {one.maximum:g}",
            "log" if one.is_log else "linear",
            one.source,
        )
        for one in priors.QUANTITIES
    ]
    names = [prior.name for prior in priors.PRIORS]
    lines += _table(("quantity", "meaning", *names, "possible", "scale", "from"), rows)
    return _page(lines)


def _span(span: priors.Span) -> str:
    return f"{span.low:.3g}" if span.low == span.high else f"{span.low:.3g} to {span.high:.3g}"


PAGES: dict[str, Callable[[], str]] = {
    "columns.md": columns_page,
    "commands.md": commands_page,
    "detectors.md": detectors_page,
    "drill.md": drill_page,
    "sources.md": sources_page,
}


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _commands(child, (*words, name))
        else:
            yield (*words, name), child


def _choices(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor.annotation
    return [member.value for member in kind] if inspect.isclass(kind) and issubclass(kind, enum.Enum) else []


def _option(parameter: Any) -> str:
    value = "|".join(_choices(parameter)) or parameter.metavar or ""
    value = "" if parameter.is_flag else f" {value}"
    return ", ".join(f"`{name}{value}`" for name in parameter.opts)


def _option_help(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return f"{parameter.help} Required."
    if default is None or parameter.is_flag:
        return parameter.help or ""
    return f"{parameter.help} Default: `{default.value if isinstance(default, enum.Enum) else default}`."


def _say(sentence: Phrase) -> str:
    """The template, its fields as code."""
    return sentence.template.replace("{", "`{").replace("}", "}`")


def _index(names: Iterable[str]) -> list[str]:
    return [" · ".join(f"[{name}](#{_anchor(name)})" for name in names)]


def _anchor(heading: str) -> str:
    """The anchor that a heading gets, by GitHub's rule."""
    return "".join(
        character for character in heading.lower().replace(" ", "-") if character.isalnum() or character in "-_"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write or compare the pages; the exit code is 1 where a comparison fails."""
    parser = argparse.ArgumentParser(description="Write the pages of docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="compare only")
    only_check = parser.parse_args(arguments).check
    differing = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(name)
        if not only_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    for name in differing:
        sys.stderr.write(f"{name}: {'differs from the code' if only_check else 'written'}\n")
    return 1 if only_check and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

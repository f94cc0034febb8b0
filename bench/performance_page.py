"""docs/performance.md, written from the results file alone and from the notes that are kept by hand."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any

import performance_growth
from performance_words import head, row, text
from results import ROOT, chosen, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NOTES = ROOT / "bench" / "performance-notes.md"


def page(lines: Sequence[Mapping[str, Any]], notes: str) -> str:
    """The page.

    Args:
        lines: Of the results file.
        notes: What is written by hand, as Markdown.
    """
    shown = {name: chosen(lines, name) for name, _, _ in SECTIONS}
    out = [text("head"), "", *_measured_on([line for found in shown.values() for line in found])]
    for name, title, section in SECTIONS:
        body = section(shown[name]) if shown[name] else []
        if name == "growth":
            body += _projected(shown)
        if body:
            out += [f"## {title}", "", *_small(shown[name]), *body, ""]
        else:
            out += [f"## {title}", "", "Not measured yet.", ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out) + "\n" + notes)


def _projected(shown: Mapping[str, Any]) -> list[str]:
    found = performance_growth.projection(shown["growth"], shown["spark-equal"])
    return ["### To 100 million records a month, and to 300 tenants", "", *found] if found else []


def _small(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    scale = lines[0]["scale"]
    return [] if scale == "full" else [f"**At small size ({scale}), to see that it runs: no figures to rely on.**", ""]


def _measured_on(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    if not lines:
        return []
    machines = sorted({_machine(each) for each in lines})
    out = ["## Measured on", ""]
    out += [f"{number}. {text}" for number, text in enumerate(machines, 1)]
    out += [
        "",
        text("measured on"),
        "",
        "| part | measured | scale | commit | load before | machine |",
        "|---|---|---|---|--:|--:|",
    ]
    for name, title, _ in SECTIONS:
        own = [each for each in lines if each["part"] == name]
        if own:
            days = sorted({each["at"][:10] for each in own})
            commits = ", ".join(f"`{each}`" for each in dict.fromkeys(each["commit"] for each in own))
            loads = [each["load"][0] for each in own]
            numbers = sorted({machines.index(_machine(each)) + 1 for each in own})
            out.append(
                f"| {title} | {' to '.join(dict.fromkeys((days[0], days[-1])))} | {own[0]['scale']} | {commits} "
                f"| {spread(loads, '.1f')} | {', '.join(map(str, numbers))} |"
            )
    return [*out, ""]


def _machine(line: Mapping[str, Any]) -> str:
    one = line["machine"]
    known = {
        "python": "CPython",
        "duckdb": "DuckDB",
        "pyarrow": "PyArrow",
        "ibis-framework": "Ibis",
        "pyspark": "PySpark",
    }
    versions = ", ".join(f"{known.get(name, name)} {version}" for name, version in line["versions"].items())
    return f"{one['processor']}, {one['cores']} cores, {one['memory_gib']} GiB, {one['system']}; {versions}"


# ---------------------------------------------------------------- sections


def ingest(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ingest and floor of each form."""
    found = {each["key"]: each["figures"] for each in lines}
    out = [
        text("ingest"),
        "",
        "| run | records | MB | seconds | CPU s | records/s | MB/s | of the floor | of the floor, CPU | peak MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    names = {"jsonl": "JSON Lines", "csv": "Purview CSV"}
    for key, name in names.items():
        if key not in found:
            continue
        figures = found[key]
        for what, runs in figures["runs"].items():
            ratios = ["", ""]
            if what == "ingest":
                ratios = [_ratio(figures["runs"]["floor"], runs, kind) for kind in ("wall_s", "cpu_s")]
            out.append(f"| {what}, {name} | {_speed(figures, runs)} | {ratios[0]} | {ratios[1]} | {_peak(runs)} |")
    if len(found) == len(names) and found["csv"]["records"] == found["jsonl"]["records"]:
        ratios = [
            _ratio(found["jsonl"]["runs"]["floor"], found["csv"]["runs"]["ingest"], kind)
            for kind in ("wall_s", "cpu_s")
        ]
        out += ["", f"CSV beside the floor of the same records as JSON Lines: {ratios[0]}; of CPU {ratios[1]}."]
    return out


def _ratio(floor: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], kind: str) -> str:
    return spread([low[kind] / run[kind] for low, run in zip(floor, runs, strict=True)], ".2f")


def _speed(figures: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    wall = statistics.median(run["wall_s"] for run in runs)
    records, megabytes = figures["records"], figures["bytes"] / 1e6
    seconds = (spread([run[kind] for run in runs]) for kind in ("wall_s", "cpu_s"))
    return " | ".join(
        (f"{records:,}", f"{megabytes:,.0f}", *seconds, f"{records / wall:,.0f}", f"{megabytes / wall:,.0f}")
    )


def _peak(runs: Sequence[Mapping[str, Any]]) -> str:
    return f"{max(run['peak_mib'] for run in runs):,.0f}"


def first_answer(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Commands as they are typed."""
    figures = lines[-1]["figures"]
    runs = figures["runs"]
    rows = (
        ("`brokenseal --help`", "help", "bare", "0.3"),
        ("`brokenseal investigate`, into a new store", "investigate", "libraries", "10"),
        ("the same again, nothing changed", "again", "libraries", "2"),
    )
    out = [
        text("first answer", **figures, mb=figures["bytes"] / 1e6),
        "",
        "| command | aim, s | seconds | CPU s | floor, s | peak MiB | runs |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, key, floor, aim in rows:
        own, low = runs[key], [run["wall_s"] for run in runs[floor]]
        seconds = (spread([run[kind] for run in own], ".2f") for kind in ("wall_s", "cpu_s"))
        out.append(row(name, aim, *seconds, spread(low, ".2f"), _peak(own), len(own)))
    return out


def detect(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each part, and runs on days."""
    figures = lines[-1]["figures"]
    runs = figures["runs"]
    names = list(runs[0]["cpu"])
    floor = statistics.median(run["cpu"]["floor"] for run in runs)
    out = [
        text("detect", **{**figures, "runs": len(runs)}, records=runs[0]["records"]),
        "",
        "| part | CPU s | seconds | of the floor, times |",
        "|---|--:|--:|--:|",
    ]
    for name in names:
        seconds = (spread([run[kind][name] for run in runs], ",.2f") for kind in ("cpu", "wall"))
        times = statistics.median(run["cpu"][name] for run in runs) / floor
        out.append(row(name, *seconds, f"{times:,.1f}"))
    out += ["", f"Peak memory {_peak(runs)} MiB.", "", "After one more day of logs:", ""]
    out += ["| run | records | CPU s | nothing new, CPU s | peak MiB |", "|---|--:|--:|--:|--:|"]
    return out + [
        f"| {name} | {run['records']:,} | {run['cpu']['document']:,.1f} | {run['cpu']['document, kept']:,.2f} "
        f"| {run['peak_mib']:,.0f} |"
        for name, run in figures["daily"].items()
    ]


def peers(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each found and lost."""
    out = [
        text("peers"),
        "",
    ]
    names = {"jsonl": "JSON Lines", "csv": "Purview CSV"}
    for line in lines:
        figures = line["figures"]
        truth = figures["truth"]
        out += [
            text(
                "peers of one form",
                form=names[line["key"]],
                mb=truth["bytes"][line["key"]] / 1e6,
                jq=f"jq: {figures['jq']}." if figures["jq"] else "",
                **truth,
            ),
            "",
            *head(
                *("<program", "records/s", "seconds", "CPU s", "peak MiB", "accesses found", "messages found"),
                *("lost lines told", "copies told", "synchronised folders told"),
            ),
        ]
        out += [_peer(name, runs, truth) for name, runs in figures["runs"].items()]
        if not figures["jq"]:
            out.append("| jq | | | | | not installed here | | | | |")
        elif line["key"] == "csv":
            out.append("| jq | | | | | reads no CSV | | | | |")
        out.append("")
    return out


def _peer(name: str, runs: Sequence[Mapping[str, Any]], truth: Mapping[str, Any]) -> str:
    said = runs[-1]["said"]
    wall = statistics.median(run["wall_s"] for run in runs)
    stopped = said.get("stopped") or runs[-1].get("told")
    found = [_of(said.get(each), truth[each]) for each in ("accesses", "messages")]
    if stopped:
        found[0] = f"stopped: {_plain(stopped)}"
    told = [_of(said.get(each), truth[each], "no") for each in ("broken", "copies", "syncs")]
    speed = "–" if stopped else f"{truth['lines'] / wall:,.0f}"
    return (
        f"| {name} | {speed} | {spread([run['wall_s'] for run in runs])} | {spread([run['cpu_s'] for run in runs])} "
        f"| {_peak(runs)} | {' | '.join((*found, *told))} |"
    )


def _of(value: int | None, right: int, absent: str = "none") -> str:
    if value is None:
        return absent
    return f"all {right:,}" if value == right else f"**{value:,} of {right:,}**"


def _plain(text: str) -> str:
    return re.sub(r"[|`*_<>\[\]]", " ", text)


def sigma(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rules beside zargunlite."""
    figures = lines[-1]["figures"]
    wanted = (
        ("Brokenseal: all rules, CPU s", r"rules run:\s+([\d.]+)"),
        ("its ingest, once, CPU s", r"ingest, once:\s+([\d.]+)"),
        ("zargunlite, CPU s", r"zargunlite [\d.]+:\s+([\d.]+)"),
        ("zargunlite's by Brokenseal's, times", r"ratio:\s+([\d.]+)"),
        ("the same with the ingest counted, times", r"ingest counted ([\d.]+)"),
        ("rules whose numbers of hits differ", r"hits differ: (\d+)"),
    )
    out = [
        text("sigma", **figures),
        *([] if figures["has_peer"] else ["**zargunlite could not be installed where this was measured.**"]),
        "",
        "| figure | value | runs |",
        "|---|--:|--:|",
    ]
    for name, pattern in wanted:
        values = [float(seen[1]) for text in figures["texts"] if (seen := re.search(pattern, text))]
        if values:
            out.append(f"| {name} | {spread(values, ',.0f' if 'differ' in name else ',.1f')} | {len(values)} |")
    return [*out, "", "```", figures["texts"][-1], "```"]


def spark(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Equal documents."""
    out = [
        text("spark"),
        "",
        *head(
            *("<how", "records", "<equal", "DuckDB, s", "Spark, s", "times the floor", "document, MB"),
            *("all, CPU s", "all, peak MiB"),
        ),
    ]
    names = {"local": "in the process", "cluster": "master and two workers", "killed": "one worker killed"}
    for each in (line["figures"] for line in lines):
        if each["failed"] or "spark" not in each:
            out.append(
                f"| {names[each['how']]} | {each['asked']:,} | **failed**: {_plain(each['failed'])} | | | | | | |"
            )
            continue
        duck, other = each["duckdb"], each["spark"]
        after = f" after {each['killed_after_s']:g} s" if each["killed_after_s"] else ""
        seconds = (each[engine]["document_s"] for engine in ("duckdb", "spark"))
        out.append(
            row(
                names[each["how"]] + after, f"{duck['records']:,}", "yes" if each["equal"] else "**NO**",
                *(f"{value:,.1f}" for value in seconds), f"{other['document_s'] / duck['document_s']:,.1f}",
                f"{duck['bytes'] / 1e6:,.1f}", f"{each['cpu_s']:,.0f}", f"{each['peak_mib']:,.0f}",
            )
        )  # fmt: skip
    return out


def _as_printed(lead: str) -> Callable[[Sequence[Mapping[str, Any]]], list[str]]:
    def section(lines: Sequence[Mapping[str, Any]]) -> list[str]:
        figures = lines[-1]["figures"]
        text = figures["text"].strip()
        body = [text] if re.search(r"^\|-+", text, flags=re.MULTILINE) else ["```", text, "```"]
        return [f"{lead} `{figures['command']}` prints:", "", *body]

    return section


SECTIONS: tuple[tuple[str, str, Callable[[Sequence[Mapping[str, Any]]], list[str]]], ...] = (
    ("ingest", "Ingest beside its floor", ingest),
    ("first-answer", "The first answer", first_answer),
    ("growth", "Growth", performance_growth.section),
    ("detect", "Detection, part by part", detect),
    ("peers", "Beside what one would do by hand", peers),
    ("sigma", "Sigma rules", sigma),
    ("spark-equal", "Spark", spark),
    ("tokens", "Verifying tokens", _as_printed("Beside joserfc, PyJWT and the bare signature, which is the floor.")),
    ("pdf", "A printed report", _as_printed("10,000 messages printed in full, in two languages.")),
    ("drill", "Generating simulated tenants", _as_printed("The floor is copying the same files.")),
)

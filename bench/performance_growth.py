"""The section on growth, and the arithmetic that carries it to sizes nobody has measured here."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from fits import power_law
from performance_words import head, row, text
from results import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fits import Fit

SERIES = {"tenants": "A set of tenants, in one store", "tenant": "One tenant, the larger the more mailboxes"}
SHOWN_PARTS = 6
TARGETS = (
    ("one tenant of 50,000 mailboxes, a month", 1, 100_000_000),
    ("300 tenants of 5,000 mailboxes, a month, a store each", 300, 10_000_000),
    ("300 tenants of 50,000 mailboxes, a month, a store each", 300, 100_000_000),
)
CLUSTER_CORES = 64
FEWEST_SIZES = 3
FEWEST_RECORDS = 10_000_000


class Figure(NamedTuple):
    """Something that grows: what to call it, its unit, and where a size's figures hold it."""

    name: str
    unit: str
    of: Callable[[Mapping[str, Any]], float | None]


def _document(figures: Mapping[str, Any], kind: str) -> float | None:
    runs = figures.get("document", ())
    return statistics.median(run[kind]["document"] for run in runs) if runs else None


def _peak(figures: Mapping[str, Any]) -> float | None:
    runs = figures.get("document", ())
    return max(run["peak_mib"] for run in runs) if runs else None


def _part(figures: Mapping[str, Any], name: str) -> float | None:
    return figures.get("parts", {}).get("cpu", {}).get(name)


def stored_bytes(figures: Mapping[str, Any]) -> int:
    """Bytes of what a store keeps: not of what a run that was killed left for the next ingest to take away."""
    return sum(size for name, size in figures["store"].items() if name != "other")


INGEST = Figure("ingest", "CPU s", lambda figures: figures["ingest"]["cpu_s"])
DOCUMENT = Figure("detection, the whole document", "CPU s", lambda figures: _document(figures, "cpu"))
FLOOR = Figure("floor: distinct rows of three tables", "CPU s", lambda figures: _part(figures, "floor"))
INGEST_PEAK = Figure("ingest, peak memory", "MiB", lambda figures: figures["ingest"]["peak_mib"])
DOCUMENT_PEAK = Figure("detection, peak memory", "MiB", _peak)
STORE = Figure("store", "MB", lambda figures: stored_bytes(figures) / 1e6)
WHOLE = (INGEST, DOCUMENT, FLOOR, INGEST_PEAK, DOCUMENT_PEAK, STORE)


def section(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tables of each series: sizes, exponents, what dominates."""
    out = [
        text("growth"),
        "",
    ]
    for series, title in SERIES.items():
        sizes = of_series(lines, series)
        if sizes:
            out += [
                f"### {title}",
                "",
                *_sizes(sizes),
                "",
                *_failures(sizes),
                *_exponents(sizes),
                "",
                *_dominating(sizes),
            ]
    return out if len(out) > 2 else []


def of_series(lines: Iterable[Mapping[str, Any]], series: str) -> list[Mapping[str, Any]]:
    """Figures by size."""
    found = [each["figures"] for each in lines if each["key"].split("/")[0] == series]
    return sorted(found, key=lambda figures: figures["records"])


def _sizes(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    out = head(
        *("records", "tenants", "mailboxes", "exports, GB", "ingest, CPU s", "records per CPU s", "ingest, peak MiB"),
        *("store, MB", "bytes a record", "detection, CPU s", "by the clock, s", "of the floor", "peak MiB"),
    )
    for each in sizes:
        records, ingest, stored = each["records"], each["ingest"], stored_bytes(each)
        runs = each.get("document", ())
        floor = _part(each, "floor")
        judged = ["**failed**" if each.get("failures") else "–", "–", "–", "–"]
        if runs:
            times = f"{(_document(each, 'cpu') or 0) / floor:,.0f} times" if floor else "–"
            seconds = (spread([run[kind]["document"] for run in runs]) for kind in ("cpu", "wall"))
            judged = [*seconds, times, f"{_peak(each):,.0f}"]
        out.append(
            row(
                f"{records:,}", each["tenants"], f"{each.get('mailboxes', 0):,}", f"{each['bytes'] / 1e9:,.1f}",
                f"{ingest['cpu_s']:,.1f}", f"{records / ingest['cpu_s']:,.0f}", f"{ingest['peak_mib']:,.0f}",
                f"{stored / 1e6:,.0f}", f"{stored / records:,.0f}", *judged,
            )
        )  # fmt: skip
    return out


def _failures(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    out = [
        f"- {each['records']:,} records with {failure['memory_limit_mb']:,} MiB for the engine: **failed** after"
        f" {failure['cpu_s']:,.0f} CPU s at {failure['peak_mib']:,.0f} MiB: `{failure['failed']}`"
        for each in sizes
        for failure in each.get("failures", ())
    ]
    out += [
        f"- {each['records']:,} records: figures are with {each['memory_limit_mb']:,} MiB for the engine"
        for each in sizes
        if each.get("failures") and each.get("document")
    ]
    return [*out, ""] if out else []


def fitted(sizes: Sequence[Mapping[str, Any]], of: Callable[[Mapping[str, Any]], float | None]) -> Fit | None:
    """The power law of one figure, through the sizes that have it."""
    points = [(each["records"], value) for each in sizes if (value := of(each)) is not None]
    return power_law([size for size, _ in points], [value for _, value in points]) if points else None


def _exponents(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    names = sorted({name for each in sizes for name in each.get("parts", {}).get("cpu", {})} - {"floor"})
    largest = sizes[-1]
    wanted = [*WHOLE, *(Figure(name, "CPU s", lambda figures, name=name: _part(figures, name)) for name in names)]
    rows = []
    for place, figure in enumerate(wanted):
        fit = fitted(sizes, figure.of)
        last = figure.of(largest)
        if fit is None or (place >= len(WHOLE) and (last or 0.0) < _share_of(largest, 0.01)):
            continue
        rows.append(
            f"| {figure.name} | {figure.unit} | {interval(fit)} | {fit.points} "
            f"| {f'{last:,.1f}' if last is not None else '–'} |"
        )
    if not rows:
        return ["One size: no exponent."]
    return [
        text("exponents"),
        "",
        "| what | unit | exponent | sizes | at the largest size |",
        "|---|---|--:|--:|--:|",
        *rows,
    ]


def _share_of(figures: Mapping[str, Any], share: float) -> float:
    cpu = figures.get("parts", {}).get("cpu", {})
    return share * (sum(cpu.values()) - cpu.get("floor", 0.0))


def interval(fit: Fit) -> str:
    """The exponent with its confidence interval; two sizes have none."""
    if fit.low is None or fit.high is None:
        return f"{fit.exponent:.2f} (two sizes: no interval)"
    return f"{fit.exponent:.2f} ({fit.low:.2f} to {fit.high:.2f})"


def _dominating(sizes: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for each in sizes:
        cpu = {name: s for name, s in each.get("parts", {}).get("cpu", {}).items() if name != "floor"}
        whole = sum(cpu.values())
        first = sorted(cpu.items(), key=lambda one: -one[1])[:SHOWN_PARTS]
        if whole:
            told = ", ".join(f"{name} {s:,.1f} s ({s / whole:.0%})" for name, s in first)
            failed = each["parts"].get("failed", "")
            rows.append(f"| {each['records']:,} | {whole:,.1f} | {told}{f'; stopped: `{failed}`' if failed else ''} |")
    if not rows:
        return []
    return ["What dominates detection:", "", "| records | all parts, CPU s | most of it |", "|--:|--:|---|", *rows, ""]


# ---------------------------------------------------------------- beyond what was measured


def projection(lines: Sequence[Mapping[str, Any]], spark: Sequence[Mapping[str, Any]]) -> list[str]:
    """Figures for sizes that were not measured, each with its arithmetic."""
    series = max(SERIES, key=lambda name: max((each["records"] for each in of_series(lines, name)), default=0))
    sizes = of_series(lines, series)
    fits = {figure.name: fitted(sizes, figure.of) for figure in (INGEST, DOCUMENT, STORE, DOCUMENT_PEAK)}
    if len(sizes) < FEWEST_SIZES or sizes[-1]["records"] < FEWEST_RECORDS or any(fit is None for fit in fits.values()):
        # Below, what a run costs at any size hides how it grows: exponents come out far too small.
        return [text("no projection", sizes=FEWEST_SIZES, records=FEWEST_RECORDS)] if sizes else []
    largest = sizes[-1]["records"]
    out = [text("projection", series=SERIES[series], largest=largest), ""]
    units = {INGEST.name: "CPU s", DOCUMENT.name: "CPU s", STORE.name: "MB", DOCUMENT_PEAK.name: "MiB"}
    out += [f"- {name}: `{fit.factor:.3g} · R ^ {fit.exponent:.3f}` {units[name]}" for name, fit in fits.items() if fit]
    out += [
        "",
        text("core hours", cores=CLUSTER_CORES),
        "",
        *head(
            *("<what", "records", "ingest, core-hours", "detection, core-hours", f"on {CLUSTER_CORES} cores, h"),
            *("stores, TB", "memory of one run, GiB"),
        ),
    ]
    arithmetic = []
    for name, tenants, records in TARGETS:
        ingest, detect, store, peak = (fit.at(records) for fit in fits.values() if fit)
        hours = [tenants * seconds / 3600 for seconds in (ingest, detect)]
        out.append(
            f"| {name} | {tenants * records / 1e6:,.0f} M | {hours[0]:,.1f} | {hours[1]:,.1f} "
            f"| {sum(hours) / (CLUSTER_CORES if tenants > 1 else 2):,.1f}{'' if tenants > 1 else ' (on 2)'} "
            f"| {tenants * store / 1e6:,.2f} | {peak / 1024:,.1f} |"
        )
        factor, exponent = fits[DOCUMENT.name].factor, fits[DOCUMENT.name].exponent  # type: ignore[union-attr]
        times = f"{tenants} · " if tenants > 1 else ""
        arithmetic.append(
            f"- {name}: detection {times}{factor:.3g} · {records:,} ^ {exponent:.3f} = {times}{detect:,.0f} s"
            f" = {hours[1]:,.1f} core-hours; ingest {times}{ingest:,.0f} s = {hours[0]:,.1f} core-hours; store {times}"
            f"{store:,.0f} MB = {tenants * store / 1e6:,.2f} TB."
        )
    return [*out, "", "The arithmetic:", "", *arithmetic, "", *_on_spark(spark, fits), ""]


def _on_spark(spark: Sequence[Mapping[str, Any]], fits: Mapping[str, Fit | None]) -> list[str]:
    known = [each["figures"] for each in spark if each["figures"].get("spark")]
    if not known:
        return ["What Spark adds to that has not been measured at a size that would tell."]
    most = max(known, key=lambda figures: figures["duckdb"]["records"])
    ratio = most["spark"]["document_s"] / most["duckdb"]["document_s"]
    name, tenants, records = TARGETS[0]
    fit = fits[DOCUMENT.name]
    assert fit is not None
    seconds = fit.at(records)
    hours = tenants * ratio * seconds / 3600
    return [
        text(
            "projected on spark", records=most["duckdb"]["records"], ratio=ratio, target=name, seconds=seconds,
            core_hours=hours, hours=hours / CLUSTER_CORES, cores=CLUSTER_CORES,
        )
    ]  # fmt: skip

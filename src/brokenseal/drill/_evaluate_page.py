"""The result of an evaluation as a page of Markdown, made of the result and the log of runs, and of nothing else.

The words stand in `templates/evaluation.md.j2`; here are its tables.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill._evaluate_compare import BUDGETS, CASES, RIVALS, WEIGHTS
from brokenseal.drill._evaluate_page_parts import (
    NOTHING,
    cell,
    count_cell,
    interval,
    median_cell,
    number_text,
    percent_text,
    rate_cell,
    share_cell,
    table,
    verdict_cell,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TEMPLATES: Final = Path(__file__).parent / "templates"
_RUNS_SHOWN: Final = 20
_BUDGET_COLUMNS: Final = tuple(f"budget {budget:g}" for budget in BUDGETS)


def page(result: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], *, has_picture: bool) -> str:
    """The page.

    Args:
        result: As `evaluate.result_of` gives it.
        runs: The log of runs, the newest last.
        has_picture: Whether `images/evaluation.svg` was drawn.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701 - Markdown, of figures and of words of our own
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    groups = "; ".join(f"{one['prior']} prior, {one['logs']}: {number_text(one['mean'])}" for one in result["validity"])
    text: str = environment.get_template("evaluation.md.j2").render(
        **{name: result[name] for name in ("about", "compare", "calibration", "honesty")},
        first=result["main"][0],
        failed=_failed(result["targets"]),
        failures=_failures(result["failed"]),
        false_kinds=_false_kinds(result["main"][0]),
        means=groups or NOTHING,
        cpu_minutes=sum(result["about"]["cpu_s"].values()) / 60,
        has_picture=has_picture,
        tables=_tables(result, runs),
        share=share_cell,
        rate=rate_cell,
        number=number_text,
        percent=percent_text,
    )
    # What a condition leaves out leaves empty lines behind.
    return re.sub(r"\n{3,}", "\n\n", text)


def _failed(targets: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["name"] for row in targets if any(one and one["verdict"] == "failed" for one in row["levels"].values())]


def _failures(failed: Mapping[str, Mapping[str, str]]) -> str:
    return "\n".join(
        f"- {tenant}: {name}: {message}" for tenant, one in failed.items() for name, message in one.items()
    )


def _false_kinds(row: Mapping[str, Any]) -> str:
    warm_up = f"In the warm-up, which is not counted: {row['false_in_warm_up']}."
    if not row["false_by_detector"]:
        return f"{row['name']}: no false case. {warm_up}"
    opened = ", ".join(f"`{name}` {count}" for name, count in sorted(row["false_by_detector"].items()))
    actors = ", ".join(f"{name} {count}" for name, count in sorted(row["false_by_actor"].items()))
    return (
        f"{row['name']}: detectors that opened false cases, several of which may open one: {opened}. "
        f"Whose records these cite: {actors}. {warm_up}"
    )


def _tables(result: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    compare = result["compare"]
    return {
        "main": _main(result["main"]),
        "own": _own(compare),
        "held": _held(compare),
        "differences": _differences(compare["differences"]),
        "attacks": _attacks(result["attacks"]),
        "ablations": _ablations(result["ablations"]) if result["ablations"] else "",
        "fewer_logs": _fewer_logs(result["fewer_logs"]) if result["fewer_logs"] else "",
        "validity": _validity(result["validity"]),
        "calibration": _bands(result["calibration"]["bands"]),
        "exposure": _exposure(result["exposure"]),
        "delay": _delay(result["delay"]),
        "honesty": _honesty(result["honesty"]["detectors"]),
        "controls": _controls(result["controls"]),
        "targets": _targets(result["targets"]),
        "runs": _runs(runs),
    }


# ---------------------------------------------------------------- the product and its rivals


def _main(rows: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "tenants (simulated)",
        "n",
        "mailbox-weeks",
        "recall, 24 h",
        "recall, 7 d",
        "recall, 30 d",
        "false cases /1,000",
        "notices /1,000",
        "cases per intrusion",
        "purity",
    )
    return table(
        head,
        (
            (
                row["name"],
                f"{row['tenants']}",
                f"{row['mailbox_weeks']:,.0f}",
                share_cell(row["recall_24_h"]),
                share_cell(row["recall_7_d"]),
                share_cell(row["recall_30_d"]),
                rate_cell(row["false_cases"]),
                rate_cell(row["false_notices"]),
                number_text(row["cases_per_intrusion"]),
                count_cell(row["purity"]),
            )
            for row in rows
        ),
    )


def _own(compare: Mapping[str, Any]) -> str:
    product = (f"**{CASES}**", share_cell(compare["product"]["recall"]), rate_cell(compare["product"]["false"]))
    rivals = (
        (f"{_name(row)} {row['title']}", share_cell(row["own"]["recall"]), rate_cell(row["own"]["false"]))
        for row in _prominent(compare["rows"])
    )
    return table(("method", "recall, 7 d", "false /1,000 mailbox-weeks"), [product, *rivals])


def _prominent(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """B14 and B16 first."""
    return [*(row for row in rows if row["name"] in RIVALS), *(row for row in rows if row["name"] not in RIVALS)]


def _name(row: Mapping[str, Any]) -> str:
    return f"**{row['name']}**" if row["name"] in RIVALS else str(row["name"])


def _held(compare: Mapping[str, Any]) -> str:
    rows = [] if compare["weights"] is None else [(f"**{WEIGHTS}**", *map(_equal, compare["weights"]["equal"]))]
    rows += [(_name(row), *map(_equal, row["equal"])) for row in _prominent(compare["rows"])]
    return table(("method", *_BUDGET_COLUMNS), rows)


def _equal(one: Mapping[str, Any]) -> str:
    best = "off" if one["hindsight"] is None else percent_text(one["hindsight"]["recall"]["share"])
    if one.get("is_off"):
        return f"off [{best}]"
    if one["point"] is None:
        return f"{NOTHING} [{best}]"
    return f"{percent_text(one['point']['recall']['share'])} at {number_text(one['point']['false']['rate'])} [{best}]"


def _differences(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("rival", "question", "difference", "95 % interval", "p", "tenants"),
        (
            (
                row["rival"],
                row["question"],
                number_text(row["difference"]),
                interval(row["low"], row["high"]),
                number_text(row["p_holm"]),
                f"{row['clusters']}",
            )
            for row in rows
        ),
    )


# ---------------------------------------------------------------- attacks and parts


def _attacks(rows: Sequence[Mapping[str, Any]]) -> str:
    stealths = (1, 2, 3, 4)
    return table(
        ("attack", *(f"stealth {stealth}" for stealth in stealths), "full logs", "other logs", "no record"),
        (
            (
                f"{row['attack']} {row['title']}",
                *(_both(row["cells"][str(stealth)]) for stealth in stealths),
                share_cell(row["full"]),
                share_cell(row["other"]),
                f"{row['invisible']}",
            )
            for row in rows
            if not row["is_control"]
        ),
    )


def _both(cells: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{count_cell(cells['full'])} / {count_cell(cells['other'])}"


def _ablations(rows: Sequence[Mapping[str, Any]]) -> str:
    def difference(found: Mapping[str, Any] | None) -> tuple[str, str]:
        if found is None:
            return NOTHING, NOTHING
        return number_text(found["difference"]), interval(found["low"], found["high"])

    return table(
        ("weights", *_BUDGET_COLUMNS, "difference", "95 % interval"),
        (
            (
                row["name"],
                *(f"{count_cell(one['recall'])} at {number_text(one['false']['rate'])}" for one in row["points"]),
                *difference(row["difference"]),
            )
            for row in rows
        ),
    )


def _fewer_logs(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("logs", "tenants", "recall, all logs", "recall, these logs", "false, all logs", "false, these logs"),
        (
            (
                row["logs"],
                f"{row['tenants']}",
                share_cell(row["full"]["recall"]),
                share_cell(row["fewer"]["recall"]),
                rate_cell(row["full"]["false"]),
                rate_cell(row["fewer"]["false"]),
            )
            for row in rows
        ),
    )


def _validity(groups: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("prior, logs", "units", "a", "n", "reached 1/a", "promised at most", "inflation", "95 % interval", "tenants"),
        (
            (
                f"{group['prior']}, {group['logs']}",
                "doors" if row["is_door"] else "clusters",
                f"{row['alpha']:g}",
                f"{row['units']:,}",
                f"{row['reached']:,}",
                number_text(row["expected"]),
                number_text(row["inflation"]),
                interval(row["low"], row["high"]),
                f"{row['tenants']} of {group['tenants']}",
            )
            for group in groups
            for row in group["rows"]
            if row["units"]
        ),
    )


def _bands(bands: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("word of ICD 203", "cases", "mean probability", "truly intrusions", "interval meets the band"),
        (
            (
                f"{band['word']} ({band['low']:.0%} to {band['high']:.0%})",
                f"{band['cases']}",
                percent_text(band["mean"]),
                share_cell(band["true"]),
                "yes" if band["holds"] else "**no**",
            )
            for band in bands
        ),
    )


# ---------------------------------------------------------------- exposure, time, honesty

_EXPOSURE: Final = {
    "certain_recall_read": "Opened one by one by intruders: listed as certain",
    "certain_recall_shown": "Shown by a delivered record: listed as certain",
    "possible_recall_taken": "Taken at all, synchronisation included: certain or possible",
    "caught_certain_recall_read": "With a case: opened one by one, listed as certain",
    "caught_certain_recall_shown": "With a case: shown by a record, listed as certain",
    "caught_possible_recall_taken": "With a case: taken at all, certain or possible",
    "certain_precision": "Listed as certain by any case: truly taken",
    "certain_precision_true_cases": "Listed as certain by true cases: truly taken",
    "possible_precision": "Possible and not certain: truly taken",
}
_COUNTS: Final = {
    "throttled": "Mailboxes with throttled reads: the printed interval holds the true count",
    "throttled_said": "Mailboxes with throttled reads: the count is said to have no upper end",
    "others": "Other mailboxes: the printed interval holds the true count",
}


def _exposure(found: Mapping[str, Any]) -> str:
    shares = ((words, cell(found["shares"][name])) for name, words in _EXPOSURE.items())
    counts = ((words, share_cell(found["counts"][name])) for name, words in _COUNTS.items())
    return table(("of which messages", "share"), [*shares, *counts])


def _delay(found: Mapping[str, Any]) -> str:
    return table(
        ("attack", "from availability", "from the event", "messages read before"),
        (
            (
                name,
                median_cell(one["minutes_from_availability"], is_time=True),
                median_cell(one["minutes_from_event"], is_time=True),
                median_cell(one["messages_before_case"]),
            )
            for name, one in {"All attacks": found["all"], **found["attacks"]}.items()
        ),
    )


def _honesty(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("detector", "logs", "said so, of all", "silent", "over-cautious"),
        (
            (
                f"`{row['detector_id']}`",
                row["logs"],
                count_cell(row["should"]),
                f"{row['silent']}",
                count_cell(row["over_cautious"]),
            )
            for row in rows
            if row["should"]["of"] or row["over_cautious"]["count"]
        ),
    )


def _controls(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("control", "cited by a case, full logs", "other logs", "false cases /1,000 (full logs)"),
        (
            (
                f"{row['attack']} {row['title']}",
                share_cell(row["full"]),
                share_cell(row["other"]),
                number_text(row["false_rate"]),
            )
            for row in rows
        ),
    )


# ---------------------------------------------------------------- targets and runs


def _targets(rows: Sequence[Mapping[str, Any]]) -> str:
    levels = ("must", "target", "stretch")
    return table(
        ("target", "measured (simulated)", *levels),
        (
            (
                row["name"],
                _figure(row["figure"]),
                *(verdict_cell(row["levels"][name], is_rate=row["is_rate"]) for name in levels),
            )
            for row in rows
        ),
    )


def _figure(figure: Mapping[str, Any]) -> str:
    value = figure["value"]
    if value is None or value == float("inf"):
        return figure["text"] or NOTHING
    return f"{number_text(value)} {interval(figure['low'], figure['high'])}, {figure['text']}"


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("date", "commit", "scale", "word", "tenants", "recall", "false cases", "levels failed"),
        (
            (
                run["date"],
                f"`{run['commit'] or 'unknown'}`",
                run["scale"],
                f"`{run['word']}`",
                f"{run['tenants']}",
                f"{percent_text(run['recall_7_d'])} of {run['instances']}",
                f"{run['false_cases']} in {run['mailbox_weeks']:,.0f}",
                f"{run['failed_targets']}",
            )
            for run in runs[-_RUNS_SHOWN:]
        ),
    )

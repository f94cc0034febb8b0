"""What a probe found, as JSON and as a screen: which classes, what that means, how to mend it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from brokenseal.reports.terminal import plain
from brokenseal.tokens.specimen import Gravity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from brokenseal.tokens.probe import Judgement, ProbeResult

_STYLES: Final = {
    Gravity.BREACH: "bold red",
    Gravity.MISUSE: "bold yellow",
    Gravity.LAXITY: "yellow",
    None: "bold blue",
}
_TITLES: Final = {
    Gravity.BREACH: "Lets in a stranger who holds no key at all",
    Gravity.MISUSE: "Lets in somebody with a real key or token that was made for something else",
    Gravity.LAXITY: "Lets nobody in by itself, but reads loosely",
}
_LABELS_SHOWN: Final = 6


def as_json(result: ProbeResult) -> dict[str, Any]:
    """The result as one JSON object. `forgeries` and `valid` count tokens; classes are counted apart."""
    return {
        "simulated": True,
        "target": result.target,
        "assessable": result.why_not is None,
        "why_not": result.why_not,
        "forgeries": result.forgeries,
        "accepted_forgeries": len(result.accepted_forgeries),
        "valid": result.valid,
        "rejected_valid": len(result.rejected_valid),
        "errors": len(result.errors),
        "not_tried": sum(map(len, result.passed_over.values())),
        "forgery_classes": _classes(found for found in result.judgements if found.case.is_forgery),
        "accepted_forgery_classes": _classes(result.accepted_forgeries),
        "valid_classes": _classes(found for found in result.judgements if not found.case.is_forgery),
        "rejected_valid_classes": _classes(result.rejected_valid),
        "accepted_by_gravity": by_gravity(result),
        "accepted": _findings(result.accepted_forgeries),
        "rejected": _findings(result.rejected_valid),
        "undecided": [
            {"name": found.case.name, "expected": found.case.expected, "detail": found.detail}
            for found in result.errors
        ],
        "passed_over": {reason: list(names) for reason, names in result.passed_over.items()},
    }


def by_gravity(result: ProbeResult) -> dict[str, int]:
    """Classes of accepted forgeries by whom they let in."""
    classes = {found.case.specimen: found.case.gravity for found in result.accepted_forgeries}
    counted = Counter(classes.values())
    return {gravity.value: counted[gravity] for gravity in Gravity}


def screen(result: ProbeResult) -> RenderableType:
    """The result for a person: the answer first, then each class with its meaning and its mending."""
    parts: list[RenderableType] = [Text(f"Target: {plain(result.target)}", style="bold")]
    if result.why_not is not None:
        parts.append(Text(f"Target not assessable: {plain(result.why_not)}.", style="bold red"))
    if not result.judgements:
        return Group(*parts)
    parts += [_verdict(result), Text("All tokens, tenants and keys of this test are simulated.", style="dim")]
    for gravity in Gravity:
        found = [each for each in result.accepted_forgeries if each.case.gravity is gravity]
        if found:
            parts += [Text(), Text(f"Wrongly accepted – {_TITLES[gravity]}", style=_STYLES[gravity])]
            parts += _blocks(found)
    if result.rejected_valid:
        parts += [Text(), Text("Wrongly refused", style=_STYLES[None]), *_blocks(result.rejected_valid)]
    parts += _notes(result)
    return Group(*parts)


def _verdict(result: ProbeResult) -> Text:
    wrong, refused = len(result.accepted_forgeries), len(result.rejected_valid)
    text = (
        f"{wrong} of {result.forgeries} forged tokens accepted ({_classes(result.accepted_forgeries)} classes), "
        f"{refused} of {result.valid} valid tokens refused."
    )
    return Text(text, style="bold green" if wrong == refused == 0 else "bold red")


def _blocks(judgements: Iterable[Judgement]) -> list[RenderableType]:
    """One block per fault: the classes that show it and their tokens, then what it means and how to mend it."""
    faults: dict[tuple[str, str], dict[str, list[Judgement]]] = {}
    for found in judgements:
        classes = faults.setdefault((found.case.meaning, found.case.mend), {})
        classes.setdefault(found.case.specimen, []).append(found)
    blocks: list[RenderableType] = []
    for (meaning, mend), classes in faults.items():
        for name, group in classes.items():
            blocks.append(Padding(_class_line(name, group), (0, 0, 0, 1)))
        sources = dict.fromkeys(source for group in classes.values() for source in group[0].case.sources)
        said = f"Means: {meaning}\nMend: {mend}\nSee: {', '.join(sources)}"
        blocks.append(Padding(Text(said), (0, 0, 1, 3)))
    return blocks


def _class_line(name: str, group: list[Judgement]) -> Text:
    labels = [plain(each.case.name.removeprefix(name).removeprefix(": ")) for each in group]
    shown = ", ".join(label for label in labels[:_LABELS_SHOWN] if label)
    more = f" and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    line = Text(f"■ {name}", style="bold")
    line.append(f" – {group[0].case.explanation}", style="not bold")
    if shown:
        line.append(f" ({shown}{more})", style="dim not bold")
    return line


def _notes(result: ProbeResult) -> list[RenderableType]:
    notes: list[RenderableType] = []
    if result.errors:
        kinds = Counter(found.detail for found in result.errors)
        said = ", ".join(f"{plain(detail)} ({count})" for detail, count in kinds.most_common(5))
        valid = sum(not found.case.is_forgery for found in result.errors)
        notes.append(Text(f"Neither yes nor no to {len(result.errors)} tokens, {valid} of them valid: {said}."))
    notes += [Text(f"Not tried: {len(names)} – {plain(reason)}.") for reason, names in result.passed_over.items()]
    return [Text(), *notes] if notes else []


def _classes(judgements: Iterable[Judgement]) -> int:
    return len({found.case.specimen for found in judgements})


def _findings(judgements: Iterable[Judgement]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in judgements:
        case = each.case
        row = found.setdefault(
            case.specimen,
            {
                "class": case.specimen,
                "family": case.family,
                "gravity": case.gravity,
                "explanation": case.explanation,
                "meaning": case.meaning,
                "mend": case.mend,
                "sources": list(case.sources),
                "tokens": [],
            },
        )
        row["tokens"].append(case.name)
    return list(found.values())

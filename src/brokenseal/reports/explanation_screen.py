"""The screen of `detect --explain`: each unit of a case with the raw facts behind its evidence.

Field names are the columns of the store and the names that the logs give them, so that a reader finds them again in the
recorded text; they are not translated. Log text is escaped as on every other screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from brokenseal.reports import _words
from brokenseal.reports._explanation_parts import (
    bullet,
    facts,
    from_to,
    line,
    log,
    more,
    of_log,
    reason_words,
    sentence,
    title,
    weight,
    when,
)
from brokenseal.reports._explanation_sides import side_parts
from brokenseal.wording import phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from brokenseal.explanations.values import Answer, CitedRecord, Explanation, UnitExplanation
    from brokenseal.wording import Phrase

_MARK: Final = {"fired": ("■", "bold red"), "not_assessable": ("?", "yellow"), "quiet": ("·", "dim")}
_STANDING: Final = {
    "opens": phrase("opens the case"),
    "joins": phrase("joins it: too light to open one"),
    "follows": phrase("follows: the same client in the same mailbox after one that opened it"),
    "cited": phrase("is what a finding of the case is about"),
}
_BILLION: Final = 1_000_000_000
_DIGEST_SHOWN: Final = 12


def explanation_screen(found: Explanation, lang: str) -> RenderableType:
    """The case, then each of its heaviest units."""
    parts: list[RenderableType] = []
    if found.simulated:
        parts += [Text(say(_words.SIMULATED, lang), style="bold"), Text()]
    parts += [
        Text.assemble((of_log(found.case_id), "bold")),
        line(
            phrase(
                "Units explained, heaviest first: {shown} of {n_units}. A unit opens a case from weight {threshold}.",
                shown=len(found.units),
                n_units=found.n_units,
                threshold=weight(found.threshold_millibans),
            ),
            lang,
        ),
        line(phrase("The bounds were counted on: {calibration}", calibration=found.calibration), lang),
    ]
    for number, unit in enumerate(found.units, start=1):
        parts += _unit(number, unit, lang)
    left = found.n_units - len(found.units)
    if left > 0:
        parts += [Text(), line(phrase("{n} more unit(s) of the case, lighter than these", n=left), lang)]
    parts += _findings(found, lang)
    parts += _refutes(found, lang)
    parts += [
        Text(),
        line(
            phrase("The recorded text of a record: {command}", command="brokenseal evidence show ID --store DIR"), lang
        ),
    ]
    return Group(*parts)


def _findings(found: Explanation, lang: str) -> Iterator[RenderableType]:
    """What stands by rule, with its records."""
    if found.findings:
        yield title(phrase("Findings about no unit, which stand by their rules: {n}", n=found.n_findings), lang)
    for each in found.findings:
        yield Text.assemble("\n", (of_log(f"{each.detector_id}/{each.variant}"), "bold"))
        yield sentence(each.title, lang)
        yield line(phrase("Records to look at: {shown} of {n}", shown=len(each.cited), n=each.n_cited), lang)
        yield from (bullet(_record(record, lang)) for record in each.cited)
    yield from more(len(found.findings), found.n_findings, lang)


def _refutes(found: Explanation, lang: str) -> Iterator[RenderableType]:
    """What would refute each kind of evidence, once."""
    sides = (
        side
        for unit in found.units
        for side in (unit.token, unit.claims, unit.client, unit.volume, unit.session, unit.door)
        if side is not None
    )
    told = {side.refutes.template: side.refutes for side in sides}
    if told:
        yield title(phrase("What would refute it"), lang)
        yield from (bullet(sentence(each, lang)) for each in told.values())


def _unit(number: int, unit: UnitExplanation, lang: str) -> Iterator[RenderableType]:
    kind = phrase("Change of configuration") if unit.is_door else phrase("Session cluster")
    yield Text()
    yield Text.assemble((f"{number:>2}  ", "bold"), (say(kind, lang), "bold"), "  ", (of_log(unit.unit), "bold"))
    head: list[RenderableType] = [
        Text.assemble(
            sentence(phrase("weight {weight}", weight=weight(unit.millibans)), lang),
            " – ",
            sentence(_STANDING[unit.standing], lang),
        ),
        facts(
            (
                ("mailbox", log(unit.mailbox, lang)),
                ("actor", log(unit.actor, lang)),
                ("time", Text(from_to(unit.first_at, unit.last_at))),
                ("records", Text(str(unit.records))),
            )
        ),
        title(phrase("What the detectors say"), lang),
        *(_answer(answer, lang) for answer in unit.answers if answer.state != "quiet" and _is_told(answer)),
        *_listed(_NOT_ASSESSED, [answer for answer in unit.answers if not _is_told(answer)], lang),
        *_listed(_QUIET, [answer for answer in unit.answers if answer.state == "quiet"], lang),
    ]
    yield Padding(Group(*head, *side_parts(unit, lang), *_cited(unit, lang)), (0, 0, 0, 4))


_NOT_ASSESSED: Final = phrase("could not be assessed")
_QUIET: Final = phrase("nothing strange")


def _is_told(answer: Answer) -> bool:
    """Whether there is more to say than that it could not be assessed: a change is no session, for one."""
    return answer.state != "not_assessable" or answer.reason is not None


def _answer(answer: Answer, lang: str) -> RenderableType:
    mark, style = _MARK[answer.state]
    head = Text.assemble((of_log(answer.detector_id), "bold"))
    if answer.state == "not_assessable":
        head.append_text(Text.assemble(" – ", sentence(_NOT_ASSESSED, lang)))
        if answer.reason:
            head.append(f" ({of_log(reason_words(answer.reason, lang))})")
        return bullet(head, mark=mark, style=style)
    head.append_text(Text.assemble("  ", (of_log(answer.bin), "bold"), "\n", of_log(answer.meaning), "\n"))
    head.append_text(_bound(answer, lang))
    return bullet(head, mark=mark, style=style)


def _bound(answer: Answer, lang: str) -> Text:
    """How often authorised use looks so, at most."""
    if not answer.f0_upper_ppb:
        return sentence(phrase("how often authorised use looks so was not counted: it weighs nothing"), lang)
    one_in, n = _BILLION // answer.f0_upper_ppb, answer.n_reference
    told = phrase("at most one authorised unit in {one_in} looks so (95 %), by {n} of this tenant", one_in=one_in, n=n)
    if answer.basis == "calibration":
        told = phrase(
            "at most one authorised unit in {one_in} looks so (95 %), by {n} simulated ones", one_in=one_in, n=n
        )
    parts = [sentence(told, lang)]
    if answer.is_assumed:
        parts.append(sentence(phrase("how it depends on the strangeness of the client is assumed, not counted"), lang))
    return Text("; ").join(parts)


def _listed(head: Phrase, answers: list[Answer], lang: str) -> Iterator[RenderableType]:
    """Detectors of which there is no more to say, on one line."""
    if answers:
        mark, style = _MARK[answers[0].state]
        named = of_log(", ".join(answer.detector_id for answer in answers))
        yield bullet(Text.assemble(sentence(head, lang), " – ", named), mark=mark, style=style)


def _cited(unit: UnitExplanation, lang: str) -> Iterator[RenderableType]:
    yield title(phrase("Records to look at: {shown} of {n}", shown=len(unit.cited), n=unit.n_cited), lang)
    yield from (bullet(_record(record, lang)) for record in unit.cited)


def _record(record: CitedRecord, lang: str) -> Text:
    told = Text.assemble((of_log(record.event_id), "bold"), "\n", when(record.occurred_at, lang), "  ")
    told.append_text(log(record.operation, lang))
    number = "–" if record.record_no is None else str(record.record_no)
    place = phrase("{path}, record {number}", path=record.input_path, number=number)
    kept = phrase("kept as line {number} of {file}", number=number, file=_short(record.evidence_file))
    told.append_text(Text.assemble("\n", sentence(place, lang), "\n", sentence(kept, lang), "\n"))
    fields = {name: value for name, value in record.fields.items() if value is not None}
    # The agent is a part of it, and a success is what every reader takes for granted.
    hidden = {"client_info"} if "user_agent" in fields else set()
    hidden |= {"succeeded"} if fields.get("succeeded") == "true" else set()
    shown = (Text.assemble((f"{name} ", "dim"), of_log(value)) for name, value in fields.items() if name not in hidden)
    return Text.assemble(told, Text(" · ").join(shown))


def _short(evidence_file: str | None) -> str | None:
    """The file by the beginning of its digest, as a pattern that a shell understands."""
    if evidence_file is None:
        return None
    folder, _, name = evidence_file.rpartition("/")
    digest, dot, ending = name.partition(".")
    return f"{folder}/{digest[:_DIGEST_SHOWN]}*{dot}{ending}"

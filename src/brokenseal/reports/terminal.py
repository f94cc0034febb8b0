"""The screens: what a tired person sees when a command ends. Everything fits 80 columns.

Text goes to Rich as `Text`, never as markup, and every log text goes through `_escape.terminal` first: no escape
sequence, no control character and no change of direction reaches the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenseal.input_alarms import explain
from brokenseal.reports import _judged, _rules, _words
from brokenseal.reports._escape import terminal
from brokenseal.wording import Phrase, format_value, phrase, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from brokenseal.evidence import Verification
    from brokenseal.ingest import IngestResult
    from brokenseal.judged import Assessment
    from brokenseal.model import Case, CaseDocument, Coverage, DetectorState, Exposure, Finding, MailboxExposure

CASES_SHOWN = 5
MAILBOXES_SHOWN = 12
LIMITS_SHOWN = 6
RULES_SHOWN = 4
_TEXTS_SHOWN = 3
_TEXT_LIMIT = 200

_SEVERITY_STYLE = {"critical": "bold red", "high": "bold yellow", "medium": "yellow", "low": "blue"}
_SEVERITY_BARS = {"critical": "■■■■", "high": "■■■□", "medium": "■■□□", "low": "■□□□"}
_VERDICT_STYLE = {"found": "bold red", "nothing_found": "bold green", "cannot_tell": "bold yellow"}


def plain(text: str) -> str:
    """Text that may hold log text or a file name, safe to print."""
    return terminal(text)


# ---------------------------------------------------------------- screens


def closing_screen(document: CaseDocument, lang: str, *, report: str | None = None) -> RenderableType:
    """The verdict, at most five cases, what was read per mailbox, what is missing from the logs, and the report."""
    parts: list[RenderableType] = [*_verdict(document, lang), *_case_list(document, lang)]
    exposed = [(number, box) for number, case in enumerate(document.cases, 1) for box in case.exposure.mailboxes]
    if exposed:
        parts += [_title(phrase("What was read"), lang), _exposure_table(exposed, lang)]
    elif document.exposure.mailboxes:
        parts += [
            _title(phrase("All mail accesses in the logs"), lang),
            _exposure_table([(None, box) for box in document.exposure.mailboxes], lang),
        ]
    parts += _rules_of_others(document, lang)
    parts += _limits(document.coverage.cannot_tell or document.verdict.reasons, lang)
    parts += _quarantine_line(document, lang)
    if report is not None:
        parts += [Text(), _line(phrase("The report: {path}", path=report), lang)]
    return Group(*parts)


def detection_screen(document: CaseDocument, lang: str) -> RenderableType:
    """Every case and notice, and the detectors that could not be assessed."""
    parts: list[RenderableType] = [*_verdict(document, lang), *_case_list(document, lang, most=None)]
    if document.notices:
        parts.append(_title(phrase("Worth a look"), lang))
        parts += [_finding_line(notice, lang) for notice in document.notices]
    if document.notices_left_out:
        parts.append(Text(say(_words.left_out(document.notices_left_out), lang), style="dim"))
    parts += _rules_of_others(document, lang)
    unsure = [state for state in document.detectors if state.state == "not_assessable"]
    if unsure:
        parts.append(_title(phrase("Could not be assessed"), lang))
        parts += [_bullet(_state(state, lang)) for state in unsure]
    return Group(*parts)


def exposure_screen(seen: Exposure, lang: str) -> RenderableType:
    """What was read under one selection, by mailbox."""
    parts: list[RenderableType] = [
        _title(phrase("What was read"), lang),
        _line(phrase("Mail accesses: {accesses}", accesses=seen.accesses), lang),
        _kinds(seen, lang),
        Text(),
    ]
    if seen.mailboxes:
        parts.append(_exposure_table([(None, box) for box in seen.mailboxes], lang, most=None))
    parts += [
        _bullet(Text.assemble((_log(span.mailbox), "bold"), ": ", _sentence(span.explanation, lang)))
        for span in seen.open_ended
    ]
    return Group(*parts)


def coverage_screen(coverage: Coverage, lang: str) -> RenderableType:
    """From when to when there are logs, and what they cannot tell."""
    table = _table(phrase("Log"), phrase("Records"), phrase("First (UTC)"), phrase("Last (UTC)"), lang=lang, right=(1,))
    for source in coverage.sources:
        if source.present:
            cells = (format_value(source.records, lang), _minute(source.first_at), _minute(source.last_at))
        else:
            cells = (say(phrase("missing"), lang), "–", "–")
        table.add_row(_sentence(source.title, lang), *cells, style="" if source.present else "dim")
    parts: list[RenderableType] = [
        _title(phrase("Coverage"), lang),
        _line(phrase("Logs from {first_at} to {last_at}.", first_at=coverage.first_at, last_at=coverage.last_at), lang),
        _line(phrase("Mail accesses: {accesses}", accesses=coverage.mail_accesses), lang),
        _line(
            phrase(
                "With a session id: {with_session}; with a token id: {with_token}",
                with_session=_share(coverage.with_session),
                with_token=_share(coverage.with_token),
            ),
            lang,
        ),
        Text(),
        table,
    ]
    parts += _mailbox_gaps(coverage, lang)
    parts += _limits(coverage.cannot_tell, lang, most=None)
    if coverage.alarms:
        parts.append(_title(phrase("Alarms"), lang))
        parts += [
            _bullet(Text.assemble((_log(alarm.place), "bold"), ": ", _sentence(alarm.explanation, lang)))
            for alarm in coverage.alarms
        ]
    return Group(*parts)


def verification_screen(verification: Verification, lang: str = "en") -> RenderableType:
    """Whether recorded text and ledger are what was written."""
    intact = verification.intact
    verdict = phrase("The evidence is as it was written.") if intact else phrase("The evidence was changed.")
    parts: list[RenderableType] = [
        Text(say(verdict, lang), style="bold green" if intact else "bold red"),
        _line(
            phrase(
                "Rows of the ledger: {rows}; files of recorded text: {files}",
                rows=verification.ledger_rows,
                files=verification.evidence_files,
            ),
            lang,
        ),
        _line(phrase("Head of the ledger, to be noted elsewhere: {head}", head=verification.ledger_head), lang),
    ]
    for change in verification.changes:
        said = phrase(
            "{what}: {place}: found {found}, written was {expected}",
            what=change.what,
            place=change.place,
            found=change.found,
            expected=change.expected,
        )
        parts.append(_bullet(_sentence(said, lang)))
    gone = [original for original in verification.originals if original.state in {"changed", "missing"}]
    if gone:
        parts.append(_title(phrase("Originals that changed or went since; the store has its own copy"), lang))
        parts += [_bullet(Text(f"{_log(original.path)}: {original.state}")) for original in gone]
    return Group(*parts)


def ingest_lines(result: IngestResult, lang: str = "en") -> tuple[str, ...]:
    """What one ingest did, as plain lines: the totals, then each input that was not read whole."""
    total = phrase(
        "{records} records were found: {kept} kept, {duplicates} copies, {rejected} in quarantine, {ignored} ignored.",
        records=result.records,
        kept=result.kept,
        duplicates=result.duplicates,
        rejected=result.rejected,
        ignored=result.ignored,
    )
    lines = [say(total, lang)]
    for file in result.files:
        name = _log(file.path)
        if file.outcome not in {"ingested", "unchanged"}:
            lines.append(f"{name}: {_log(_words.word(_words.OUTCOME, file.outcome, lang))}")
        if file.rejected:
            lines.append(f"{name}: {say(phrase('{n} record(s) in quarantine', n=file.rejected), lang)}")
        lines += [alarm_line(file.path, alarm, lang) for alarm in file.alarms]
    return tuple(lines)


def alarm_line(path: str, alarm: str, lang: str = "en") -> str:
    """One alarm of the ledger (`code: detail`) in words."""
    code, _, detail = alarm.partition(": ")
    return f"{_log(path)}: {_log(say(explain(code, detail), lang))}"


# ---------------------------------------------------------------- parts of screens


def _verdict(document: CaseDocument, lang: str) -> Iterator[RenderableType]:
    kind = document.verdict.kind
    yield Text()
    if document.simulated:
        yield Text(say(_words.SIMULATED, lang), style="bold")
        yield Text()
    yield Text(say(_words.verdict(document), lang).upper(), style=_VERDICT_STYLE[kind])
    yield _sentence(_words.headline(document), lang)


def _case_list(document: CaseDocument, lang: str, most: int | None = CASES_SHOWN) -> Iterator[RenderableType]:
    if not document.cases:
        return
    yield _title(phrase("What happened"), lang)
    for number, case in enumerate(document.cases[:most], start=1):
        yield from _case(number, case, lang)
    left = len(document.cases[:most])
    if left < len(document.cases):
        yield _line(phrase("{n} more case(s) in the report", n=len(document.cases) - left), lang)


def _case(number: int, case: Case, lang: str) -> Iterator[RenderableType]:
    severity = case.severity.value
    word = f"{_SEVERITY_BARS[severity]} {_words.word(_words.SEVERITY, severity, lang)}"
    yield Text.assemble(f"{number:>2}  ", (word, _SEVERITY_STYLE[severity]), "  ", (case.id, "dim"))
    details: list[RenderableType] = [
        Text.assemble(_sentence(case.title, lang), style="bold"),
        Text(f"{_minute(case.first_at)} – {_minute(case.last_at)} UTC", style="dim"),
    ]
    who = [*_few(case.actors), *_few(case.addresses)]
    if who:
        details.append(Text(" · ".join(who)))
    details.append(_kinds(case.exposure, lang))
    if case.assessment is not None:
        details += _judgement(case.assessment, lang)
    yield Padding(Group(*details), (0, 0, 1, 4))


def _judgement(judged: Assessment, lang: str) -> Iterator[RenderableType]:
    """Probability, confidence and innocent explanations, a line of its own for each."""
    yield _labelled(_judged.MIDDLE, _judged.middle(judged), lang)
    yield _labelled(_judged.CONFIDENCE, _words.CONFIDENCE[judged.confidence], lang)
    if judged.alternatives:
        yield Text(say(_judged.ALTERNATIVES, lang), style="dim")
    for result, names in _judged.by_result(judged.alternatives):
        listed = "; ".join(say(name, lang) for name in names)
        yield Padding(Text.assemble((say(result, lang), "bold"), f": {terminal(listed)}"), (0, 0, 0, 2))


def _labelled(label: Phrase, value: Phrase, lang: str) -> Text:
    return Text.assemble((say(label, lang), "dim"), ": ", _sentence(value, lang))


def _finding_line(found: Finding, lang: str) -> RenderableType:
    severity = found.severity.value
    return _bullet(
        Text.assemble(
            (_words.word(_words.SEVERITY, severity, lang), _SEVERITY_STYLE[severity]),
            ": ",
            _sentence(found.title, lang),
            (f"  {_minute(found.first_at)} UTC", "dim"),
        )
    )


def _rules_of_others(document: CaseDocument, lang: str) -> Iterator[RenderableType]:
    """How many rules fired, and the gravest of each case."""
    if document.rules is None:
        return
    yield _title(_rules.TITLE, lang)
    yield _line(_rules.counts(document.rules), lang)
    numbers = {case.id: number for number, case in enumerate(document.cases, start=1)}
    groups = [(case.case_id, case.said) for case in document.rules.cases]
    for case_id, said in (*groups, (None, document.rules.apart)):
        for each in said[:RULES_SHOWN]:
            where = _rules.APART if case_id is None else phrase("Case {number}", number=numbers[case_id])
            yield _bullet(
                Text.assemble(
                    (say(where, lang), "dim"),
                    ": ",
                    (_words.word(_rules.LEVEL, each.level, lang), _SEVERITY_STYLE.get(each.level, "dim")),
                    ": ",
                    (_log(each.title), "bold"),
                    # Without it a rule that fired on two accounts reads as if it stood there twice.
                    f" · {_log(each.subject)}" if each.subject else "",
                    f" ({format_value(each.hits, lang)})",
                )
            )
        if len(said) > RULES_SHOWN:
            yield _line(phrase("{n} more in the report", n=len(said) - RULES_SHOWN), lang)


def _state(state: DetectorState, lang: str) -> Text:
    reason = Text() if state.reason is None else Text.assemble(": ", _sentence(state.reason, lang))
    return Text.assemble(_sentence(state.title, lang), reason)


def _kinds(seen: Exposure, lang: str) -> Text:
    certain = _sentence(phrase("Certain messages: {certain}", certain=seen.certain), lang)
    unknowable = _sentence(phrase("Unknowable spans: {unknowable}", unknowable=seen.unknowable), lang)
    if not seen.folders:
        possible = _sentence(phrase("Possible messages: {possible}", possible=seen.possible), lang)
        return Text.assemble(certain, " · ", possible, " · ", unknowable)
    in_folders = phrase(
        "Possible messages: {possible} (folders: {folders})", possible=seen.possible, folders=len(seen.folders)
    )
    return Text.assemble(certain, " · ", _sentence(in_folders, lang), "\n", unknowable)


def _exposure_table(
    boxes: Sequence[tuple[int | None, MailboxExposure]], lang: str, most: int | None = MAILBOXES_SHOWN
) -> RenderableType:
    numbered = any(number is not None for number, _ in boxes)
    heads = [_words.KIND["certain"], _words.KIND["possible"], _words.KIND["unknowable"]]
    columns = (phrase("Mailbox"), *((phrase("Case"),) if numbered else ()), *heads)
    table = _table(*columns, lang=lang, right=tuple(range(1, len(columns))))
    for number, box in boxes[:most]:
        possible = format_value(box.possible, lang)
        if box.possible_folders:
            possible += " " + say(phrase("(folders: {n})", n=box.possible_folders), lang)
        table.add_row(
            Text(_log(box.mailbox)),
            *([] if not numbered else [str(number)]),
            format_value(box.certain, lang),
            possible,
            format_value(box.unknowable, lang),
        )
    if most is None or len(boxes) <= most:
        return table
    return Group(table, _line(phrase("{n} more row(s) in the report", n=len(boxes) - most), lang))


def _mailbox_gaps(coverage: Coverage, lang: str) -> Iterator[RenderableType]:
    """Mailboxes of which the logs tell less than they should."""
    lines = []
    for box in coverage.mailboxes:
        said = []
        if not box.has_mail_access:
            said.append(say(phrase("no mail access is logged"), lang))
        if box.throttled_days:
            said.append(say(phrase("throttled on {days}", days=", ".join(_few(box.throttled_days))), lang))
        if box.audit_bypassed:
            said.append(say(phrase("its audit was bypassed or off"), lang))
        if said:
            lines.append(_bullet(Text.assemble((_log(box.mailbox), "bold"), ": ", terminal("; ".join(said)))))
    if lines:
        yield _title(phrase("Mailboxes of which the logs tell less"), lang)
        yield from lines


def _limits(sentences: tuple[Phrase, ...], lang: str, most: int | None = LIMITS_SHOWN) -> Iterator[RenderableType]:
    if not sentences:
        return
    yield _title(phrase("What the logs cannot tell"), lang)
    for sentence in sentences[:most]:
        yield _bullet(_sentence(sentence, lang))
    left = len(sentences) - len(sentences[:most])
    if left:
        yield _line(phrase("{n} more in the report", n=left), lang)


def _quarantine_line(document: CaseDocument, lang: str) -> Iterator[RenderableType]:
    if document.inputs.rejected:
        yield Text()
        yield _line(phrase("Records that could not be read, in quarantine: {n}", n=document.inputs.rejected), lang)


def _table(*columns: Phrase, lang: str, right: tuple[int, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for place, title in enumerate(columns):
        table.add_column(
            Text(say(title, lang)), justify="right" if place in right else "left", overflow="fold", no_wrap=False
        )
    return table


def _title(title: Phrase, lang: str) -> Text:
    return Text.assemble("\n", (say(title, lang), "bold underline"))


def _line(sentence: Phrase, lang: str) -> Text:
    return _sentence(sentence, lang)


def _bullet(text: Text) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    grid.add_row("–", text)
    return grid


def _sentence(sentence: Phrase, lang: str) -> Text:
    """A phrase as text whose values stand out; nothing in it is markup."""
    parts = ((_log(text), "bold") if kind != "words" else (text, "") for text, kind in _words.pieces(sentence, lang))
    return Text.assemble(*parts)


def _log(text: str) -> str:
    shown = terminal(text)
    return shown if len(shown) <= _TEXT_LIMIT else f"{shown[:_TEXT_LIMIT]}…"


def _few(texts: Iterable[str]) -> list[str]:
    listed = [_log(text) for text in texts]
    left = len(listed) - _TEXTS_SHOWN
    return [*listed[:_TEXTS_SHOWN], *([f"+{left}"] if left > 0 else [])]


def _minute(at: dt.datetime | None) -> str:
    import datetime as dt

    return "–" if at is None else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def _share(share: float | None) -> str | None:
    # Rounded down, so that "100 %" is said of all alone.
    return None if share is None else f"{int(share * 100)}%"

"""Flags to one call, its result to text or JSON, and an exit code. No domain decision is made here.

Exit codes: 0 nothing above the threshold · 1 findings (only with --fail-on) · 2 usage ·
3 some input was rejected or incomplete, results are written · 4 nothing readable.

Heavy imports happen inside the commands: `--help` must answer at once.
"""

from __future__ import annotations

import gc
import sys
import threading
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brokenseal.errors import BrokensealError, NothingReadable, UsageError

if TYPE_CHECKING:
    from brokenseal.ingest import IngestResult
    from brokenseal.model import CaseDocument
    from brokenseal.selection import Selection
    from brokenseal.settings import Settings

app = typer.Typer(
    name="brokenseal",
    help="Who read the mail without the right to, which messages, since when, and what the logs cannot tell.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
evidence_app = typer.Typer(
    name="evidence", help="Check the recorded evidence, or show it.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(evidence_app)


class Exit(IntEnum):
    """Exit codes; the documentation's table is generated from this class."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    NOTHING_READABLE = 4


class Lang(StrEnum):
    """Languages of reports and screens."""

    EN = "en"
    FR = "fr"


class Format(StrEnum):
    """Report formats."""

    HTML = "html"
    XLSX = "xlsx"
    JSON = "json"
    MD = "md"
    CSV = "csv"


class Threshold(StrEnum):
    """Severities that --fail-on takes."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Exports = Annotated[
    list[Path],
    typer.Argument(metavar="EXPORT...", exists=True, help="Files, folders or archives, as they were exported."),
]
StoreDir = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store; made if absent.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Language = Annotated[Lang, typer.Option("--lang", help="Language of what is written.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="File whose first line opens encrypted archives.")
]
FailOn = Annotated[
    Threshold | None, typer.Option("--fail-on", help="Exit with 1 if a case of this severity or above stands.")
]


def _settings(store: Path, password_file: Path | None = None) -> Settings:
    from brokenseal.settings import from_environment

    password = None
    if password_file is not None:
        try:
            password = password_file.read_bytes().splitlines()[0]
        except (OSError, IndexError) as err:
            raise UsageError(
                place=f"--password-file {password_file}", value=err, expected="a readable file with a line of text"
            ) from err
    return from_environment(store, password=password)


def _emit(value: Any) -> None:
    """One JSON object and a line feed on standard output; phrases are said in English."""
    from brokenseal.reports.json_document import to_json

    sys.stdout.buffer.write(to_json(value))
    sys.stdout.buffer.flush()


def _note(text: str) -> None:
    from brokenseal.reports.terminal import plain

    print(plain(text), file=sys.stderr)


def _warn_of(result: IngestResult, lang: Lang = Lang.EN) -> None:
    from brokenseal.reports.terminal import ingest_lines

    for line in ingest_lines(result, lang.value):
        _note(line)


def _code_of(result: IngestResult | None, document: CaseDocument | None, fail_on: Threshold | None) -> Exit:
    from brokenseal.model import Severity

    if fail_on is not None and document is not None:
        limit = Severity(fail_on.value).rank
        if any(case.severity.rank <= limit for case in document.cases):
            return Exit.FINDINGS
    if result is not None and _is_incomplete(result):
        return Exit.INCOMPLETE
    return Exit.OK


def _is_incomplete(result: IngestResult) -> bool:
    return result.rejected > 0 or any(file.outcome == "unreadable" or file.alarms for file in result.files)


@app.command()
def investigate(
    exports: Exports,
    store: StoreDir,
    lang: Language = Lang.EN,
    as_json: AsJson = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Where the HTML report goes; default: in the store.")
    ] = None,
    fail_on: FailOn = None,
    password_file: PasswordFile = None,
) -> None:
    """Do all of it: ingest, detect, exposure, report; ends with the answer on one screen."""
    from brokenseal import investigate as path
    from brokenseal.progress import watching

    settings = _settings(store, password_file)
    _get_ready()
    with watching(enabled=True) as watch:
        result, document = path.investigate(exports, settings, now=_now(), watch=watch)
    _warn_of(result, lang)
    target = report or store / f"report.{lang.value}.html"
    _write(target, path.render(document, "html", lang.value))
    if as_json:
        _emit(document)
    else:
        _screen(document, target, lang)
    raise typer.Exit(_code_of(result, document, fail_on))


@app.command()
def ingest(exports: Exports, store: StoreDir, as_json: AsJson = False, password_file: PasswordFile = None) -> None:
    """Read exports into the store; run it again with more at any time."""
    from brokenseal import investigate as path
    from brokenseal.progress import watching

    settings = _settings(store, password_file)
    with watching(enabled=True) as watch:
        result = path.add_exports(exports, settings, now=_now(), watch=watch)
    if as_json:
        _emit(result)
    _warn_of(result)
    raise typer.Exit(_code_of(result, None, None))


@app.command()
def coverage(store: StoreDir, as_json: AsJson = False, lang: Language = Lang.EN) -> None:
    """Say what the logs can and cannot tell."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    seen = path.coverage_of(Store.open(_settings(store)).tables())
    if as_json:
        _emit(seen)
        return
    from brokenseal.reports.terminal import coverage_screen

    _print(coverage_screen(seen, lang.value))


@app.command()
def detect(
    store: StoreDir,
    as_json: AsJson = False,
    lang: Language = Lang.EN,
    fail_on: FailOn = None,
) -> None:
    """Run the detectors: cases first, then notices, then what could not be assessed."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    document = path.build_document(Store.open(_settings(store)))
    if as_json:
        from brokenseal.reports.summaries import detection_summary

        _emit(detection_summary(document, lang.value))
    else:
        from brokenseal.reports.terminal import detection_screen

        _print(detection_screen(document, lang.value))
    raise typer.Exit(_code_of(None, document, fail_on))


@app.command()
def exposure(
    store: StoreDir,
    everything: Annotated[bool, typer.Option("--all", help="Every mail access in the logs (the default).")] = False,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Mail accesses of one case.")] = None,
    app_id: Annotated[str | None, typer.Option("--app", metavar="ID", help="By one application.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="In one session.")] = None,
    token: Annotated[str | None, typer.Option("--token", metavar="ID", help="With one token id, any form.")] = None,
    address: Annotated[str | None, typer.Option("--ip", metavar="ADDR", help="From one address.")] = None,
    mailbox: Annotated[str | None, typer.Option("--mailbox", metavar="UPN", help="Of one mailbox.")] = None,
    as_json: AsJson = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the message list as CSV.")] = None,
    lang: Language = Lang.EN,
) -> None:
    """List what was read: certain, possible and unknowable, never a number without its kind."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    chosen = {
        name: value
        for name, value in {
            "case": case, "app": app_id, "session": session, "token": token, "ip": address, "mailbox": mailbox
        }.items()
        if value is not None
    }  # fmt: skip
    if len(chosen) + everything > 1:
        raise UsageError(place="exposure", value=sorted(chosen), expected="one selection at a time")
    tables = Store.open(_settings(store)).tables()
    selection = _selection(tables, chosen)
    seen = path.exposure_of(tables, selection, limit=path.LISTED if csv is None else path.EVERY_MESSAGE)
    if csv is not None:
        from brokenseal.reports.csv_tables import exposure_csv

        _write(csv, exposure_csv(seen.messages, lang.value))
        _note(f"{csv}: {seen.certain} messages read with certainty")
    if as_json:
        from brokenseal.reports.summaries import exposure_summary

        _emit(exposure_summary(seen, lang.value))
    elif csv is None:
        from brokenseal.reports.terminal import exposure_screen

        _print(exposure_screen(seen, lang.value))


def _selection(tables: Any, chosen: dict[str, str]) -> Selection:
    from brokenseal import investigate as path
    from brokenseal.selection import Selection

    if not chosen:
        return Selection.everything()
    ((kind, value),) = chosen.items()
    if kind != "case":
        return Selection.by(kind, value)
    return path.case_selection(tables, value)


@app.command()
def report(
    store: StoreDir,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write.")],
    form: Annotated[Format, typer.Option("--format", help="Format of the report.")] = Format.HTML,
    lang: Language = Lang.EN,
) -> None:
    """Write the report in one format and language."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    document = path.build_document(Store.open(_settings(store)))
    _write(output, path.render(document, form.value, lang.value))
    _note(f"{output}")


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Folder for the exports, the store and the report.")
    ] = Path("brokenseal-demo"),
    lang: Language = Lang.EN,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the report in a browser.")] = False,
) -> None:
    """Write the exports of a simulated tenant, investigate them, and open the report."""
    from brokenseal import investigate as path
    from brokenseal.demo import write_demo
    from brokenseal.progress import watching

    exports, store = folder / "exports", folder / "store"
    _get_ready()
    write_demo(exports)
    _note(f"A simulated tenant: its exports are in {exports}")
    with watching(enabled=True) as watch:
        result, document = path.investigate([exports], _settings(store), now=_now(), watch=watch)
    _warn_of(result, lang)
    target = folder / f"report.{lang.value}.html"
    _write(target, path.render(document, "html", lang.value))
    _screen(document, target, lang)
    if not no_open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


@evidence_app.command("verify")
def evidence_verify(store: StoreDir, as_json: AsJson = False) -> None:
    """Find any later change to the recorded text of the inputs or to the ledger."""
    from brokenseal.evidence import verify

    verification = verify(_settings(store))
    if as_json:
        _emit(verification)
    else:
        from brokenseal.reports.terminal import verification_screen

        _print(verification_screen(verification))
    raise typer.Exit(Exit.OK if verification.intact else Exit.INCOMPLETE)


@evidence_app.command("show")
def evidence_show(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Id of a record, as reports cite it.")],
    store: StoreDir,
) -> None:
    """Print the recorded text of one record."""
    from brokenseal.evidence import raw_text
    from brokenseal.reports.terminal import plain
    from brokenseal.store import Store

    text = raw_text(Store.open(_settings(store)), event_id)
    print(plain(text) if sys.stdout.isatty() else text)


def _now() -> Any:
    import datetime as dt

    return dt.datetime.now(tz=dt.UTC)


def _get_ready() -> None:
    """Start what the report needs beside the analysis: the renderer of its pictures uses another core."""
    from brokenseal.reports.html import get_ready

    threading.Thread(target=get_ready).start()


def _write(target: Path, content: bytes) -> None:
    """Write beside the target, then rename: nobody ever opens half a report."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(content)
        part.replace(target)
    except OSError as err:
        raise UsageError(place=str(target), value=err.strerror or err, expected="a place that can be written") from err


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def _screen(document: CaseDocument, target: Path, lang: Lang) -> None:
    from brokenseal.reports.terminal import closing_screen

    _print(closing_screen(document, lang.value, report=str(target)))


def main() -> None:
    """Run the command line; every error of the product is one line on stderr and an exit code."""
    # Compiling queries makes and drops many small objects; collecting less often is a tenth of a short run.
    gc.set_threshold(20_000, 50, 100)
    try:
        app()
    except NothingReadable as err:
        from brokenseal.reports.terminal import alarm_line

        _note(f"brokenseal: {err}")
        for path, alarm in err.reasons:
            _note(alarm_line(path, alarm))
        sys.exit(Exit.NOTHING_READABLE)
    except BrokensealError as err:
        _note(f"brokenseal: {err}")
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        _note("brokenseal: stopped; run the same command again to go on")
        sys.exit(130)


if __name__ == "__main__":
    main()

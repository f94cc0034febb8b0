"""Flags to one call, its result to text or JSON, and an exit code. No domain decision is made here.

Exit codes: 0 nothing above the threshold · 1 findings (only with --fail-on) · 2 usage ·
3 some input was rejected or incomplete, results are written · 4 nothing readable.

Heavy imports happen inside the commands: `--help` must answer at once.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brokenseal.cli.drill import drill_app
from brokenseal.cli.notify import notify_app
from brokenseal.cli.options import (
    AsJson,
    Audience,
    Engine,
    Exit,
    Exports,
    FailOn,
    Format,
    ForWhom,
    Lang,
    Language,
    Master,
    OnEngine,
    PasswordFile,
    Rules,
    StoreDir,
    Threshold,
    Tlp,
    rule_paths,
    settings_of,
)
from brokenseal.cli.output import emit, note, now, show, write
from brokenseal.cli.report_file import put_report
from brokenseal.cli.rules import rules_app
from brokenseal.cli.share import share_app
from brokenseal.cli.token import token_app
from brokenseal.errors import BrokensealError, NothingReadable, UsageError
from brokenseal.wording import say

if TYPE_CHECKING:
    from brokenseal.cli.options import Marking
    from brokenseal.helper import Helper
    from brokenseal.ingest import IngestResult
    from brokenseal.model import CaseDocument, Reading
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
Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Work it all out from the tables, not from what was kept, and compare.")
]
for group in (evidence_app, drill_app, notify_app, token_app, share_app, rules_app):
    app.add_typer(group)


def _warn_of(result: IngestResult, lang: Lang = Lang.EN) -> None:
    from brokenseal.reports.terminal import ingest_lines

    for line in ingest_lines(result, lang.value):
        note(line)


def _code_of(result: IngestResult | None, document: CaseDocument | None, fail_on: Threshold | None) -> Exit:
    from brokenseal.model import Severity

    if fail_on is not None and document is not None:
        limit = Severity(fail_on.value).rank
        if any(case.severity.rank <= limit for case in document.cases):
            return Exit.FINDINGS
    if result is not None and _is_incomplete(result):
        return Exit.INCOMPLETE
    if document is not None and document.rules is not None:
        return Exit.INCOMPLETE if any(each.state == "unreadable" for each in document.rules.not_run) else Exit.OK
    return Exit.OK


def _warn_of_rules(document: CaseDocument) -> None:
    """Rules that could not be read or carried out, as `brokenseal rules` says it."""
    for each in document.rules.not_run if document.rules is not None else ():
        if each.state == "unreadable":
            note(f"{each.path}:{each.line}: {say(each.reason, 'en')}")


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
    rebuild: Rebuild = False,
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
    reader: ForWhom = Audience.ANALYST,
    tlp: Tlp = None,
    rules: Rules = None,
) -> None:
    """Do all of it: ingest, detect, exposure, report; ends with the answer on one screen."""
    from brokenseal import written

    settings = settings_of(store, password_file, engine=engine, master=master)
    asked = rule_paths(rules)
    with contextlib.ExitStack() as beside:
        # A run without news needs no other process, and is over before that could start.
        helper = None if written.has_notes(store) else _helper(settings, beside)
        from brokenseal import investigate as path
        from brokenseal.progress import watching
        from brokenseal.store import Store

        with watching(enabled=True) as watch:
            result = path.add_exports(exports, settings, now=now(), watch=watch, helper=helper)
        if helper is None and any(file.outcome == "ingested" for file in result.files):
            helper = _helper(settings, beside)
        document = path.document_of(Store.open(settings), rules=asked, rebuild=rebuild, tell=note, helper=helper)
        _warn_of(result, lang)
        _warn_of_rules(document)
        target = report or store / f"report.{lang.value}.html"
        how = _reading(reader, tlp)
        put_report(document, target, store, form="html", lang=lang.value, reading=how, helper=helper)
    if as_json:
        emit(document)
    else:
        _screen(document, target, lang)
    raise typer.Exit(_code_of(result, document, fail_on))


def _reading(reader: Audience, tlp: Marking | None, *, in_full: bool = False) -> Reading:
    from brokenseal.model import Reading

    return Reading(reader=reader.value, tlp=tlp.value if tlp else None, in_full=in_full)


@app.command()
def ingest(
    exports: Exports,
    store: StoreDir,
    as_json: AsJson = False,
    password_file: PasswordFile = None,
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
) -> None:
    """Read exports into the store; run it again with more at any time."""
    from brokenseal import investigate as path
    from brokenseal.progress import watching

    settings = settings_of(store, password_file, engine=engine, master=master)
    with watching(enabled=True) as watch:
        result = path.add_exports(exports, settings, now=now(), watch=watch)
    if as_json:
        emit(result)
    _warn_of(result)
    raise typer.Exit(_code_of(result, None, None))


@app.command()
def coverage(
    store: StoreDir,
    as_json: AsJson = False,
    lang: Language = Lang.EN,
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
) -> None:
    """Say what the logs can and cannot tell."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    seen = path.coverage_of(Store.open(settings_of(store, engine=engine, master=master)).tables())
    if as_json:
        emit(seen)
        return
    from brokenseal.reports.terminal import coverage_screen

    show(coverage_screen(seen, lang.value))


@app.command()
def detect(
    store: StoreDir,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CASE", help="Show what one case rests on, to be checked by hand."),
    ] = None,
    as_json: AsJson = False,
    lang: Language = Lang.EN,
    fail_on: FailOn = None,
    rebuild: Rebuild = False,
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
    rules: Rules = None,
) -> None:
    """Run the detectors: cases first, then notices, then what could not be assessed."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    if explain is not None:
        _explain(settings_of(store, engine=engine, master=master), explain, lang, as_json=as_json)
        return
    settings = settings_of(store, engine=engine, master=master)
    document = path.document_of(Store.open(settings), rules=rule_paths(rules), rebuild=rebuild, tell=note)
    _warn_of_rules(document)
    if as_json:
        from brokenseal.reports.summaries import detection_summary

        emit(detection_summary(document, lang.value))
    else:
        from brokenseal.reports.terminal import detection_screen

        show(detection_screen(document, lang.value))
    raise typer.Exit(_code_of(None, document, fail_on))


def _explain(settings: Settings, case_id: str, lang: Lang, *, as_json: bool) -> None:
    from brokenseal import investigate as path
    from brokenseal.store import Store

    found = path.explanation_of(Store.open(settings), case_id)
    if as_json:
        emit(found)
        return
    from brokenseal.reports.explanation_screen import explanation_screen

    show(explanation_screen(found, lang.value))


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
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
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
    tables = Store.open(settings_of(store, engine=engine, master=master)).tables()
    selection = _selection(tables, chosen)
    seen = path.exposure_of(tables, selection, limit=path.LISTED if csv is None else path.EVERY_MESSAGE)
    if csv is not None:
        from brokenseal.reports.csv_tables import exposure_csv

        write(csv, exposure_csv(seen.messages, lang.value))
        note(f"{csv}: {seen.certain} messages read with certainty")
    if as_json:
        from brokenseal.reports.summaries import exposure_summary

        emit(exposure_summary(seen, lang.value))
    elif csv is None:
        from brokenseal.reports.terminal import exposure_screen

        show(exposure_screen(seen, lang.value))


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
    engine: OnEngine = Engine.DUCKDB,
    master: Master = None,
    reader: ForWhom = Audience.ANALYST,
    tlp: Tlp = None,
    in_full: Annotated[
        bool, typer.Option("--in-full", help="Print every message and record, not the first of each case.")
    ] = False,
    rules: Rules = None,
) -> None:
    """Write the report in one format and language, for one reader."""
    from brokenseal import investigate as path
    from brokenseal.store import Store

    settings = settings_of(store, engine=engine, master=master)
    document = path.document_of(Store.open(settings), rules=rule_paths(rules), tell=note)
    _warn_of_rules(document)
    reading = _reading(reader, tlp, in_full=in_full)
    if put_report(document, output, store, form=form.value, lang=lang.value, reading=reading):
        note(f"{output}")


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
    from brokenseal.store import Store

    exports, store = folder / "exports", folder / "store"
    settings = settings_of(store)
    with contextlib.ExitStack() as beside:
        helper = _helper(settings, beside)
        write_demo(exports)
        note(f"A simulated tenant: its exports are in {exports}")
        with watching(enabled=True) as watch:
            result = path.add_exports([exports], settings, now=now(), watch=watch, helper=helper)
        document = path.document_of(Store.open(settings), helper=helper)
        _warn_of(result, lang)
        target = folder / f"report.{lang.value}.html"
        put_report(document, target, store, form="html", lang=lang.value, helper=helper)
    _screen(document, target, lang)
    if not no_open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


@evidence_app.command("verify")
def evidence_verify(store: StoreDir, as_json: AsJson = False) -> None:
    """Find any later change to the recorded text of the inputs or to the ledger."""
    from brokenseal.evidence import verify

    verification = verify(settings_of(store))
    if as_json:
        emit(verification)
    else:
        from brokenseal.reports.terminal import verification_screen

        show(verification_screen(verification))
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

    text = raw_text(Store.open(settings_of(store)), event_id)
    print(plain(text) if sys.stdout.isatty() else text)


def _helper(settings: Settings, beside: contextlib.ExitStack) -> Helper | None:
    """Another process for half of the work, where there is a core for it."""
    if settings.threads == 1 or settings.engine != "duckdb":
        return None
    from brokenseal.helper import Helper

    return beside.enter_context(contextlib.closing(Helper("brokenseal.investigate")))


def _screen(document: CaseDocument, target: Path, lang: Lang) -> None:
    from brokenseal.reports.terminal import closing_screen

    show(closing_screen(document, lang.value, report=str(target)))


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> None:
    """Run the command line; every error of the product is one line on stderr and an exit code."""
    # Compiling queries makes and drops many small objects; collecting less often is a tenth of a short run.
    gc.set_threshold(20_000, 50, 100)
    try:
        app()
    except NothingReadable as err:
        from brokenseal.reports.terminal import alarm_line

        note(f"brokenseal: {err}")
        for path, alarm in err.reasons:
            note(alarm_line(path, alarm))
        sys.exit(Exit.NOTHING_READABLE)
    except BrokensealError as err:
        note(f"brokenseal: {err}")
        sys.exit(Exit.USAGE)
    except OSError as err:
        if err.errno not in _NO_ROOM:
            raise
        note(f"brokenseal: no room left on the disk ({err}); what was there before is as it was. Run it again")
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        note("brokenseal: stopped; run the same command again to go on")
        sys.exit(130)


if __name__ == "__main__":
    main()

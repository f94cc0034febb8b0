"""`brokenseal drill`: simulated tenants with simulated intruders, and how well they are found."""

from __future__ import annotations

import contextlib
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from brokenseal.cli.options import AsJson, Exit, StoreDir, settings_of
from brokenseal.cli.output import emit, note, write
from brokenseal.cli.stopping import stoppable
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokenseal.drill.generate import DrillSettings, Summary

drill_app = typer.Typer(
    name="drill",
    help="Simulated tenants with simulated intruders, and how well they are found.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_PLAIN_EVERY_S: Final = 10.0
_FROM_PRIOR: Final = "prior"


class Generator(StrEnum):
    """Which of the two independent generators writes the honest people."""

    FULL = "full"
    PLAIN = "plain"


DrillDir = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a drill.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write; absent or empty.")]


# ---------------------------------------------------------------- generate


@drill_app.command()
def generate(
    output: Output,
    tenants: Annotated[int, typer.Option("--tenants", metavar="N", help="Tenants, 1 to 500.")] = 3,
    mailboxes: Annotated[
        str, typer.Option("--mailboxes", metavar="N|prior", help="Mailboxes of each tenant, or drawn from the prior.")
    ] = "250",
    days: Annotated[int, typer.Option("--days", metavar="N", help="Length in days, 7 to 365.")] = 84,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same bytes.")] = 7,
    prior: Annotated[
        str,
        typer.Option(
            "--prior",
            metavar="train|test|FILE",
            help="Where tenants are drawn from; FILE is TOML or JSON, see the docs.",
        ),
    ] = "train",
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            metavar="ID[:STEALTH][*COUNT]",
            help="An attack of the library, stealth 1 to 4 (drawn where left out); may be repeated.",
        ),
    ] = None,
    logs: Annotated[
        str,
        typer.Option("--logs", metavar="full|no-noninteractive|ual-only|gappy", help="Which of the logs are given."),
    ] = "full",
    shape: Annotated[
        str,
        typer.Option(
            "--shape", metavar="mixed|portal|stream", help="Downloads followed by a collector's stream, or one of them."
        ),
    ] = "mixed",
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", help="Processes that write; the bytes do not depend on it.")
    ] = 2,
    warm_up_days: Annotated[
        int | None,
        typer.Option(
            "--warm-up-days", metavar="N", help="Days before attacks begin; 56, or two thirds of a shorter drill."
        ),
    ] = None,
    generator: Annotated[
        Generator,
        typer.Option("--generator", help="`plain` is a second, simpler one that shares no code with the first."),
    ] = Generator.FULL,
    as_json: AsJson = False,
) -> None:
    """Write exports of simulated tenants, in the shapes that real ones give, and the truth about them."""
    from brokenseal.drill.generate import DrillSettings, parse_order
    from brokenseal.drill.priors import load_prior

    with _progress() as progress:
        settings = DrillSettings(
            output=output,
            tenants=tenants,
            mailboxes=_mailboxes(mailboxes),
            days=days,
            seed=seed,
            prior=load_prior(prior),
            attacks=tuple(parse_order(text) for text in attack or ()),
            logs=logs,
            shape=shape,
            processes=processes,
            warm_up_days=warm_up_days,
            progress=progress,
        )
        begun = time.monotonic()
        with stoppable("nothing was written"):
            summary = _generate(settings, generator)
    _close(summary, output, time.monotonic() - begun, as_json=as_json)


def _mailboxes(text: str) -> int | None:
    if text == _FROM_PRIOR:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(place="mailboxes", value=text, expected=f"a whole number, or {_FROM_PRIOR}") from None


def _generate(settings: DrillSettings, generator: Generator) -> Summary:
    from brokenseal.drill import generate as drill

    if generator is Generator.PLAIN:
        from brokenseal.drill.second_generator import generate_plain

        generate_plain(settings)
        return drill.summary_of(settings.output)
    return drill.generate(settings)


def _close(summary: Summary, output: Path, seconds: float, *, as_json: bool) -> None:
    if as_json:
        import dataclasses

        emit({**dataclasses.asdict(summary), "output": str(output), "seconds": round(seconds, 3)})
        return
    note(
        f"{output}: a simulated drill; tenants: {summary.tenants:,}, lines: {summary.lines:,}, "
        f"records: {summary.records:,}, messages read by attacks: {summary.messages:,}, "
        f"attacks: {summary.attacks:,}, seconds: {seconds:.0f}"
    )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Days done on standard error: one line that changes on a terminal, else a line in ten seconds."""
    is_terminal = sys.stderr.isatty()
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        words = f"simulating: {done} of {total} days"
        if is_terminal:
            print(f"\r{words}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - told >= _PLAIN_EVERY_S:
            told = time.monotonic()
            print(words, file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- attacks


@drill_app.command()
def attacks(as_json: AsJson = False) -> None:
    """List the attacks that a drill can hold, what each does, and by which traces it may be found."""
    import textwrap

    from brokenseal.drill.attacks import ATTACKS

    if as_json:
        names = ("id", "title", "description", "techniques", "tells", "is_control", "is_campaign")
        emit({"simulated": True, "attacks": [{name: getattr(one, name) for name in names} for one in ATTACKS]})
        return
    for one in ATTACKS:
        techniques = ", ".join(one.techniques) or "a control, no technique"
        print(f"{one.id}  {one.title} (simulated; {techniques})")
        print(textwrap.fill(one.description, width=78, initial_indent="    ", subsequent_indent="    "))
        print(textwrap.fill(f"May show: {'; '.join(one.tells) or 'nothing'}.", 78, initial_indent="    ",
                            subsequent_indent="    "), end="\n\n")  # fmt: skip


# ---------------------------------------------------------------- score


@drill_app.command()
def score(
    store: StoreDir,
    truth: Annotated[Path, typer.Option("--truth", metavar="DIR", help="The folder `truth` of the drill.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the score as a page with its plot.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the cases of a store with the truth of the drill that was read into it."""
    from brokenseal import investigate as path
    from brokenseal.drill import score as scorer
    from brokenseal.store import Store

    scorer.require_truth(truth)
    with Store.open(settings_of(store)) as opened:
        tables = opened.tables()
        result = scorer.score(tables, path.detect(tables, path.coverage_of(tables)), truth)
    if html is not None:
        from brokenseal.drill.score_page import render

        write(html, render(result))
        note(f"{html}: the simulated score")
    if as_json:
        emit(result)
    else:
        from brokenseal.drill.score_screen import lines

        for line in lines(result):
            print(line)


# ---------------------------------------------------------------- is the drill fair, and like real logs?


@drill_app.command()
def check(
    drill: DrillDir,
    others: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="DIR", help="A drill of another seed, for reused identifiers; may be repeated."),
    ] = None,
    detectors: Annotated[
        bool, typer.Option("--detectors", help="Also what needs detectors (T3, T4); every tenant is read into a store.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for traces that give simulated intruders away and that no attack declares; exit 1 if there are any."""
    from brokenseal.drill import leaks

    report = leaks.check_drill(drill, others=tuple(others or ()), with_detectors=detectors)
    if as_json:
        emit({"simulated": True, **report.as_dict()})
    else:
        print(f"Simulated: {drill}")
        print()
        print(report.markdown(), end="")
    raise typer.Exit(Exit.FINDINGS if report.failed else Exit.OK)


@drill_app.command()
def compare(
    drill: DrillDir,
    real: Annotated[Path, typer.Option("--real", metavar="PATH", help="A real export to compare with.")],
    as_json: AsJson = False,
) -> None:
    """Say which marginals of a drill match those of a real export, which do not, and which cannot be told."""
    import tempfile

    from brokenseal.drill import realism

    with tempfile.TemporaryDirectory() as scratch:
        report = realism.compare_drill(drill, real, work_dir=Path(scratch))
    if as_json:
        emit({"simulated": True, **report.as_dict()})
    else:
        print(report.markdown(), end="")


# ---------------------------------------------------------------- replay


@drill_app.command()
def replay(
    campaign: Annotated[str, typer.Argument(metavar="CASE", help="The case: storm-0558.")],
    output: Output,
    run: Annotated[
        bool, typer.Option("--run", help="Take it through ingest, detection and exposure, and tell the story.")
    ] = False,
    epoch: Annotated[
        str, typer.Option("--epoch", metavar="2023|2026|both", help="In the log shapes of which year.")
    ] = "both",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same case.")] = 7,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", help="Processes that work; results do not depend on it.")
    ] = 2,
    as_json: AsJson = False,
) -> None:
    """Replay a campaign at its real scale, simulated, and say when it would have been found."""
    from brokenseal.cli.output import now
    from brokenseal.drill import replay as replays

    def tell(done: int, total: int) -> None:
        if done * 10 // total != (done - 1) * 10 // total:
            note(f"replaying: logs of {done} of {total} victims")

    settings = replays.ReplaySettings(
        output=output,
        now=now(),
        campaign=replays.parse_campaign(campaign),
        epochs=replays.parse_epochs(epoch),
        is_run=run,
        seed=seed,
        processes=processes,
        progress=tell,
    )
    begun = time.monotonic()
    with stoppable("nothing was written"):
        done = replays.replay(settings)
    seconds = time.monotonic() - begun
    if as_json:
        emit(done)
    elif run:
        print(done.story, end="")
    note(f"{output}: {done.campaign}, simulated, {done.organisations} organisation(s), in {seconds:.0f} s")


# ---------------------------------------------------------------- what is counted over many tenants

from brokenseal.cli._drill_evaluate import evaluate  # noqa: E402 - beside the command that it becomes
from brokenseal.cli._drill_measure import calibrate  # noqa: E402 - as well

drill_app.command()(calibrate)
drill_app.command()(evaluate)

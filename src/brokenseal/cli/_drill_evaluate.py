"""`brokenseal drill evaluate`: how good the product is on simulated tenants, beside what others run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from brokenseal.cli.options import AsJson  # noqa: TC001 - Typer reads it at run time
from brokenseal.cli.output import emit, note, now
from brokenseal.cli.stopping import stoppable

_DOCS: Final = Path("docs")
_WORD: Final = "1"


def evaluate(
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar="smoke|dev|release",
            help="Two small tenants in a minute or two; two dozen in about 20 minutes; 200,000 mailbox-weeks.",
        ),
    ] = "smoke",
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Folder of evaluation.md, its JSON, picture and log of runs."
        ),
    ] = _DOCS,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir", metavar="DIR", help="Keep stores and facts here for the next run; without it nothing is kept."
        ),
    ] = None,
    seed: Annotated[
        str, typer.Option("--seed", metavar="WORD", help="Another word gives other tenants and other attacks.")
    ] = _WORD,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", min=1, max=64, help="Tenants measured at a time.")
    ] = 2,
    as_json: AsJson = False,
) -> None:
    """Measure the product on simulated tenants that nothing was fitted on, beside baselines, and write the page."""
    from brokenseal.drill.evaluate import EvaluationSettings
    from brokenseal.drill.evaluate import evaluate as measure

    told = -1

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done != told:
            told = done
            note(f"measuring: {done} of {total} simulated tenants")

    settings = EvaluationSettings(
        scale=scale,
        output=output,
        word=seed,
        now=now(),
        work_dir=work_dir,
        processes=processes,
        tell=tell,
    )
    with stoppable("no page was written, and tenants that were measured are kept in the working folder"):
        result = measure(settings)
    if as_json:
        emit(result)
        return
    first = result["main"][0]
    recall, false = first["recall_7_d"], first["false_cases"]
    failed = sum(any(one and one["verdict"] == "failed" for one in row["levels"].values()) for row in result["targets"])
    print(
        f"Simulated; {first['name'].lower()}: {recall['count']} of {recall['of']} intrusions found within 7 days, "
        f"{false['count']} false cases in {false['mailbox_weeks']:,.0f} mailbox-weeks; "
        f"{failed} of {len(result['targets'])} targets failed."
    )
    note(f"{output / 'evaluation.md'}: the page, in {result['about']['wall_s']:.0f} s")

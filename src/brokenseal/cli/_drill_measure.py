"""`brokenseal drill calibrate`: what the weights of evidence are counted from. Everything measured is simulated."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from brokenseal.cli.options import AsJson  # noqa: TC001 - typer reads the annotations
from brokenseal.cli.output import emit, note, now, write
from brokenseal.cli.stopping import stoppable
from brokenseal.errors import UsageError


class CalibrationScale(StrEnum):
    """How much is simulated unless told otherwise."""

    SMOKE = "smoke"
    FULL = "full"


_SIZES = {
    CalibrationScale.SMOKE: {"tenants": 2, "mailboxes": 10, "days": 21, "warm_up_days": 15},
    CalibrationScale.FULL: {"tenants": 12, "mailboxes": 60, "days": 42, "warm_up_days": 21},
}


def calibrate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the counts go, as JSON.")],
    work_dir: Annotated[
        Path,
        typer.Option("--work-dir", metavar="DIR", help="Folder of simulated tenants; what is there is used again."),
    ],
    tenants: Annotated[
        int | None, typer.Option("--tenants", metavar="N", help="Attack-free tenants to count; more are simulated.")
    ] = None,
    mailboxes: Annotated[int | None, typer.Option("--mailboxes", metavar="N", help="Mailboxes of each.")] = None,
    days: Annotated[int | None, typer.Option("--days", metavar="N", help="Length of each in days.")] = None,
    warm_up_days: Annotated[
        int | None, typer.Option("--warm-up-days", metavar="N", help="Days before attacks begin and units count.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same counts.")] = 11,
    scale: Annotated[
        CalibrationScale, typer.Option("--scale", help="Sizes where they are left out.")
    ] = CalibrationScale.FULL,
    processes: Annotated[int, typer.Option("--processes", metavar="N", help="Tenants at a time.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Count how strange authorised use and intrusions look, on simulated tenants of the training prior."""
    from brokenseal.calibration import encode
    from brokenseal.drill.calibrate import calibrate as run
    from brokenseal.drill.calibrate import diagnosis, plan_of, screen

    given = {"tenants": tenants, "mailboxes": mailboxes, "days": days, "warm_up_days": warm_up_days}
    sizes = _SIZES[scale] | {name: value for name, value in given.items() if value is not None}
    if sizes["tenants"] < 1:
        raise UsageError(place="--tenants", value=sizes["tenants"], expected="a number from 1 on")
    begun, told = time.monotonic(), 0

    def tell(done: int, of: int) -> None:
        nonlocal told
        if done > told:
            told = done
            note(f"simulated tenants: {done} of {of}")

    with stoppable("no counts were written, and tenants that were simulated are kept"):
        found = run(plan_of(**sizes, seed=seed), work_dir, seed=seed, now=now(), processes=processes, tell=tell)
    content = encode(found.calibration)
    write(output, content)
    if as_json:
        emit(
            {
                "simulated": True,
                "output": str(output),
                "bytes": len(content),
                "made_of": found.calibration.made_of,
                "mailbox_weeks": found.calibration.mailbox_weeks,
                "units": found.calibration.units,
                "inflation": found.calibration.inflation,
                "seconds": round(time.monotonic() - begun, 3),
            }
        )
        return
    for line in screen(found.calibration, found.inflation, found.best):
        print(line)
    print()
    for line in diagnosis(found.calibration, found.attacked):
        print(line)
    note(f"{output}: {len(content):,} bytes, seconds: {time.monotonic() - begun:.0f}")

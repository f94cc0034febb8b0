"""What asks a long command to end lets it clear up first, once."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, NoReturn

import typer

from brokenseal.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def stoppable(left: str) -> Iterator[None]:
    """Interrupts and requests to end become one orderly end, which ends workers and removes what is half written.

    Args:
        left: What a stopped command leaves behind, for the message.

    Raises:
        typer.Exit: 128 and the number of the signal, as shells count.
    """
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]

    def stop(number: int, _: FrameType | None) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except SystemExit as error:
        note(f"brokenseal: stopped; {left}")
        raise typer.Exit(int(error.code or 0)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

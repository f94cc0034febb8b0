"""Where the results of commands go: standard output, standard error, files."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def emit(value: Any) -> None:
    """One JSON object and a line feed on standard output; phrases are said in English."""
    from brokenseal.reports.json_document import to_json

    sys.stdout.buffer.write(to_json(value))
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """A line on standard error; control characters are made visible."""
    from brokenseal.reports.terminal import plain

    print(plain(text), file=sys.stderr)


def write(target: Path, content: bytes) -> None:
    """Write beside the target, then rename: nobody ever opens half a report.

    Raises:
        UsageError: The target cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(content)
        part.replace(target)
    except OSError as err:
        raise UsageError(place=str(target), value=err.strerror or err, expected="a place that can be written") from err


def show(renderable: Any) -> None:
    """Print a screen of Rich."""
    from rich.console import Console

    Console().print(renderable)


def now() -> dt.datetime:
    """The time of the command, UTC."""
    return dt.datetime.now(tz=dt.UTC)

"""Progress on standard error: a bar with rate and remaining time on a terminal, plain lines otherwise."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import IngestProgress, Watcher

_PLAIN_EVERY_S = 10.0
_MEGABYTE = 1_000_000


@contextlib.contextmanager
def watching(*, enabled: bool) -> Iterator[Watcher | None]:
    """A watcher for an ingest, for as long as the block lasts."""
    if not enabled:
        yield None
    elif sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _lines()


@contextlib.contextmanager
def _bar() -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from brokenseal.reports.terminal import plain

    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[records]} records", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, name="", records=0)

        def watch(seen: IngestProgress) -> None:
            progress.update(
                task,
                completed=seen.bytes_done,
                total=max(seen.bytes_total, seen.bytes_done),
                name=plain(seen.path)[-40:],
                records=seen.records,
            )

        yield watch


def _lines() -> Watcher:
    """Plain lines, at most one in ten seconds, so that a log of a run stays readable."""
    last = time.monotonic()

    def watch(seen: IngestProgress) -> None:
        nonlocal last
        if time.monotonic() - last < _PLAIN_EVERY_S:
            return
        last = time.monotonic()
        done, total = seen.bytes_done / _MEGABYTE, seen.bytes_total / _MEGABYTE
        print(f"{seen.records} records, {done:.0f} of {total:.0f} MB", file=sys.stderr, flush=True)

    return watch

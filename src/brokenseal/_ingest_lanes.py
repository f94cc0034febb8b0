"""Threads with a connection each, so that several segments of an input can be worked on at a time.

Nearly all of the work happens outside the interpreter's lock: in the engine, in packing and hashing, in Arrow. A
process for each would have to load the libraries and compile the queries again, and could not share what was derived.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal._workbench import Workbench


class Lanes:
    """Threads with a connection each, made when they are first needed."""

    def __init__(self, bench: Workbench, number: int) -> None:
        """As many lanes beside a workbench."""
        self._bench = bench
        self._number = number
        self._lanes: tuple[Lane, ...] = ()

    def all(self) -> tuple[Lane, ...]:
        """The lanes."""
        if not self._lanes:
            self._lanes = tuple(Lane(bench) for bench in self._bench.lanes(self._number))
        return self._lanes

    def close(self) -> None:
        """Wait for what is under way, and let go of threads and connections."""
        for lane in self._lanes:
            lane.thread.shutdown(cancel_futures=True)
            lane.bench.close()


class Lane:
    """A thread that does one thing after the other, on a connection of its own."""

    def __init__(self, bench: Workbench) -> None:
        """Work on a connection that nobody else uses."""
        self.bench = bench
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lane")
        self._under_way: Future[None] | None = None

    def take_over(self, work: Callable[[], None]) -> None:
        """Do this next; what went wrong with it is raised by `check`."""
        self._under_way = self.thread.submit(work)

    def check(self) -> None:
        """Wait for what was taken over last."""
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None

"""One clock for all processes of a tenant: whoever has something to do next is resumed at that moment.

A process is a generator that yields the time, in microseconds, at which it wants to go on. What two processes do to
each other (a message that one sends and another reads) therefore happens in the order of time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import TypeAlias

Life: TypeAlias = Iterator[int]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock:
    """The processes that wait, by the time for which they wait; ties in the order in which they began to wait."""

    __slots__ = ("_next", "_waiting", "now")

    def __init__(self, now: int) -> None:
        self.now = now
        self._next = 0
        self._waiting: list[tuple[int, int, Life | Callable[[], None]]] = []

    def start(self, life: Life) -> None:
        """Let a process begin now."""
        self._resume(life)

    def call(self, at: int, action: Callable[[], None]) -> None:
        """Do something at a time; at once where that has passed."""
        self._wait(at, action)

    def run_until(self, end: int) -> None:
        """Let everything happen that happens before this time."""
        waiting = self._waiting
        while waiting and waiting[0][0] < end:
            self.now, _, process = heapq.heappop(waiting)
            if isinstance(process, Iterator):
                self._resume(process)
            else:
                process()
        self.now = end

    def _resume(self, life: Life) -> None:
        at = next(life, None)
        if at is not None:
            self._wait(at, life)

    def _wait(self, at: int, process: Life | Callable[[], None]) -> None:
        # Nobody can go back: a wish for the past is carried out now.
        heapq.heappush(self._waiting, (max(at, self.now), self._next, process))
        self._next += 1

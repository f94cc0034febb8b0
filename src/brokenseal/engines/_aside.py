"""One thread that has the engine to itself, so that the next question is written while it answers the last one.

Writing a question (building an expression, compiling it) holds the interpreter's lock, and answering it does not. What
is begun is carried out in the order in which it was begun, one thing at a time, as if it had been waited for.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Said = TypeVar("Said")


class Aside:
    """Carries out what uses one connection.

    Nobody else may use the connection before `rest` has returned.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """Start no thread yet; `interrupt` ends what the engine is at when whoever waits for it is interrupted."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._interrupt = interrupt
        self._last: Future[Any] | None = None
        self._failed: Exception | None = None

    def begin(self, work: Callable[[], Said]) -> Callable[[], Said]:
        """Have something done next; what is given back waits for it.

        Raises: when waited for, what the work raises, or what a preparation raised that was begun before it.
        """
        begun = self._given(self._prepared, work)

        def said() -> Said:
            try:
                return begun.result()
            except KeyboardInterrupt:
                self._interrupt()
                raise

        return said

    def prepare(self, work: Callable[[], None]) -> None:
        """Have something done next that nobody waits for: where it fails, whatever is begun after it says so."""
        self._given(self._preparing, work)

    def clear(self, work: Callable[[], None]) -> None:
        """Have something put away next, whatever failed before; where that fails, what is begun after it says so."""
        self._given(self._clearing, work)

    def rest(self) -> None:
        """Wait until nothing is under way."""
        last = self._last
        if last is not None:
            wait((last,))

    def close(self) -> None:
        """Wait for what is under way, and end the thread."""
        self._thread.shutdown()

    def _given(self, do: Callable[[Callable[[], Said]], Said], work: Callable[[], Said]) -> Future[Said]:
        try:
            self._last = given = self._thread.submit(do, work)
        except RuntimeError:
            # The thread has ended, as it has when the interpreter ends: the connection is free.
            given = Future()
            given.set_result(do(work))
        return given

    def _preparing(self, work: Callable[[], None]) -> None:
        # What rests on something that failed would only say that it is not there.
        if self._failed is None:
            self._clearing(work)

    def _clearing(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised for whoever asks next
            self._failed = self._failed or error

    def _prepared(self, work: Callable[[], Said]) -> Said:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        return work()

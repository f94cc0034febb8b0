"""Work in other processes that ends at once when the one who asked for it is stopped."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import signal
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from brokenseal.errors import BrokensealError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_POLL_S: Final = 0.5

_Result = TypeVar("_Result")


class Refused(NamedTuple):
    """A `UsageError` on its way from another process: errors with named arguments do not travel."""

    place: str
    value: str | None
    expected: str


def run_all(
    task: Callable[..., _Result],
    arguments: Sequence[tuple[Any, ...]],
    *,
    processes: int,
    place: str,
    tick: Callable[[], None] | None = None,
) -> list[_Result]:
    """The results of the task for each of the arguments, in their order; the first failure ends all.

    Args:
        task: A function of a module, whose arguments and result can be pickled.
        arguments: What it is called with.
        processes: Most processes at a time.
        place: What an error is about.
        tick: Called twice a second, and when a task has ended.

    Raises:
        UsageError: The task raised it, or a process was ended from outside.
    """
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    futures: list[concurrent.futures.Future[_Result | Refused]] = []
    with concurrent.futures.ProcessPoolExecutor(min(processes, len(arguments)), mp_context=context) as pool:
        try:
            with _deaf():
                futures += [pool.submit(attempt, task, each) for each in arguments]
            _watch(futures, tick)
            return [received(future.result()) for future in futures]
        except BrokenProcessPool as error:
            raise UsageError(
                place=place,
                value="a process was ended from outside",
                expected="memory for every process; try fewer processes",
            ) from error
        finally:
            # Whoever stops it does not want to wait for the tasks that are under way.
            if not all(future.done() for future in futures):
                for child in set(multiprocessing.active_children()) - before:
                    child.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in this block do not hear the keyboard: the one that started them ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(futures: Sequence[concurrent.futures.Future[_Result | Refused]], tick: Callable[[], None] | None) -> None:
    waiting = set(futures)
    while waiting:
        finished, waiting = concurrent.futures.wait(waiting, _POLL_S, concurrent.futures.FIRST_COMPLETED)
        for future in finished:
            received(future.result())
        if tick is not None:
            tick()


def attempt(task: Callable[..., _Result], arguments: tuple[Any, ...]) -> _Result | Refused:
    """The result of the task, or what it refused."""
    try:
        return task(*arguments)
    except BrokensealError as error:
        return Refused(error.place, error.value, error.expected)


def received(answer: _Result | Refused) -> _Result:
    """The result.

    Raises:
        UsageError: The task refused.
    """
    if isinstance(answer, Refused):
        raise UsageError(place=answer.place, value=answer.value, expected=answer.expected)
    return answer

"""Another process of this program, for what can be done beside: half of the exports, and the page.

Python carries out one thing at a time in a process, and a short investigation is mostly Python. The process is started
when a command begins and imports what it will need while exports are read. Nothing depends on it: what fails there, or
is lost with it, is done by whoever asked, so that answers and errors are those of one process.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import pickle
import signal
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

Given = ParamSpec("Given")
Made = TypeVar("Made")

_GONE = (EOFError, OSError, pickle.PickleError)


class Helper:
    """One more process, which does what it is given in that order, until it is closed."""

    def __init__(self, imports: str) -> None:
        """Start it and have it import a module; the call does not wait for either."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # A daemon is ended with this process; killed without a word, it hears that nobody is at the other end.
        self._process = context.Process(target=_serve, args=(theirs, imports), name="helper", daemon=True)
        self._answers: list[Any] = []
        self._sent = 0
        self._heard = threading.Condition()
        self._is_there = True
        try:
            self._process.start()
        except OSError:
            self._is_there = False
        theirs.close()
        # Answers are taken as they come: who cannot be heard cannot go on with what is next.
        self._listener = threading.Thread(target=self._listen, name="helper-answers", daemon=True)
        self._listener.start()

    def do(self, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Callable[[], Made]:
        """Have something done; what is given back waits for it.

        Args:
            work: A function of a module, without lasting effects or with such as do no harm when it is done twice.
            given: Values that can be pickled, as what is made of them.
            named: The same.

        Raises: when waited for, what the work raises.
        """
        asked = self._asked(work, given, named)

        def made() -> Made:
            answer = asked()
            return work(*given, **named) if answer is None else answer[0]

        return made

    def ask(self, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Callable[[], Made | None]:
        """The same for what the caller would do in another way: what fails or is lost there gives None."""
        asked = self._asked(work, given, named)

        def made() -> Made | None:
            answer = asked()
            return None if answer is None else answer[0]

        return made

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._is_there = False
        if self._process.pid is not None:
            self._process.terminate()
            self._process.join()
        # It hears that nobody is at the other end; nothing may be closed that it reads from.
        self._listener.join()
        self._connection.close()

    def _asked(
        self, work: Callable[..., Made], given: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Callable[[], tuple[Made] | None]:
        place = self._send((work, given, named))
        return lambda: None if place is None else self._answer(place)

    def _send(self, asked: Any) -> int | None:
        if not self._is_there:
            return None
        try:
            self._connection.send(asked)
        except _GONE:
            self._is_there = False
            return None
        self._sent += 1
        return self._sent - 1

    def _answer(self, place: int) -> tuple[Any] | None:
        with self._heard:
            self._heard.wait_for(lambda: place < len(self._answers) or not self._is_there)
            return self._answers[place] if place < len(self._answers) else None

    def _listen(self) -> None:
        try:
            with contextlib.suppress(*_GONE):
                while True:
                    answer = self._connection.recv()
                    with self._heard:
                        self._answers.append(answer)
                        self._heard.notify_all()
        finally:
            # Whatever it is that cannot be heard: who waits for it is told, and does it without.
            with self._heard:
                self._is_there = False
                self._heard.notify_all()


def _serve(connection: Connection, imports: str) -> None:
    """Do what comes, until nobody is there to ask."""
    # Whoever is interrupted at the keyboard is the process that asked; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    importlib.import_module(imports)
    with contextlib.suppress(*_GONE):
        while True:
            work, given, named = connection.recv()
            try:
                answer = (work(*given, **named),)
            except Exception:  # noqa: BLE001 - done again by the one who asked, so that the error is said there
                answer = None
            connection.send(answer)

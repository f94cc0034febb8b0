"""Another process does what it is given; whatever happens to it, the one who asked has the answer or the error."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brokenseal.errors import UsageError
from brokenseal.helper import Helper
from helper_work import end_itself, many, pid_and, refuse, touch, unpicklable, unreadable

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def helper(monkeypatch):
    monkeypatch.setenv("HELPER_TEST", str(os.getpid()))
    with contextlib.closing(Helper("json")) as made:
        yield made


def is_there(pid):
    """Whether a process runs; one that ended and that nobody has asked after is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(is_so):
    deadline = time.monotonic() + 20
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_it_does_what_it_is_given_in_another_process_whoever_waits_first(helper):
    said = [helper.do(pid_and, value=number) for number in range(5)]

    answers = [each() for each in reversed(said)]

    assert [value for _, value in answers] == [4, 3, 2, 1, 0]
    assert len({pid for pid, _ in answers}) == 1
    assert answers[0][0] != os.getpid()
    assert said[0]() == answers[-1], "an answer can be asked for again"


def test_what_fails_there_is_done_here_so_that_the_error_is_ours_with_its_fields(helper):
    refused, after = helper.do(refuse, 1), helper.do(pid_and, "after")

    with pytest.raises(UsageError) as error:
        refused()
    assert error.value.place == f"process {os.getpid()}"
    assert after()[0] != os.getpid()


def test_what_cannot_travel_is_done_here(helper):
    """The answer cannot be sent, and the process ends of it."""
    made = helper.do(unpicklable)

    assert list(made()) == [0, 1, 2]
    assert helper.do(pid_and, "after")() == (os.getpid(), "after")


def test_what_is_lost_with_it_is_done_here(helper):
    lost, after = helper.do(end_itself), helper.do(pid_and, "after")

    assert lost() == os.getpid()
    assert after() == (os.getpid(), "after")
    assert helper.do(pid_and, "new")() == (os.getpid(), "new")


def test_after_its_end_everything_is_done_here_even_what_it_was_at(helper):
    pid, _ = helper.do(pid_and, 0)()
    sleeping = helper.do(time.sleep, 0.3)
    helper.close()

    assert sleeping() is None
    assert helper.do(pid_and, "after")() == (os.getpid(), "after")
    assert not is_there(pid)


def test_a_module_that_cannot_be_imported_is_as_if_there_was_no_process():
    with contextlib.closing(Helper("no_such_module_of_anybody")) as helper:
        assert helper.do(pid_and, "here")() == (os.getpid(), "here")


@POSIX
def test_an_interrupt_at_the_keyboard_does_not_reach_it(helper):
    pid, _ = helper.do(pid_and, 0)()
    assert pid != os.getpid()

    os.kill(pid, signal.SIGINT)

    assert helper.do(pid_and, "after")() == (pid, "after")


@POSIX
def test_it_ends_when_the_one_who_asked_is_killed_without_a_word(tmp_path):
    script = tmp_path / "asks.py"
    script.write_text(
        "import os, time\n"
        "from brokenseal.helper import Helper\n"
        "if __name__ == '__main__':\n"
        "    helper = Helper('json')\n"
        "    print(helper.do(os.getpid)(), flush=True)\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as asking:
        pid = int(asking.stdout.readline())
        assert is_there(pid)
        asking.kill()
        asking.wait()

    assert wait_until(lambda: not is_there(pid))


def test_an_answer_that_nobody_asked_for_yet_keeps_nothing_waiting(helper, tmp_path):
    """More than fits between the processes, and the next thing is done all the same."""
    large = helper.do(many, 1 << 22)
    helper.do(touch, tmp_path / "done")

    assert wait_until((tmp_path / "done").exists)
    assert large() == bytes(1 << 22)


def test_what_the_caller_does_in_another_way_is_not_done_here(helper):
    answers = [helper.ask(refuse, 1), helper.ask(pid_and, "after"), helper.ask(end_itself), helper.ask(pid_and, "lost")]

    refused, after, lost, then = [each() for each in answers]

    assert [refused, lost, then] == [None, None, None]
    assert after is not None
    assert after[0] != os.getpid()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_cannot_be_read_here_is_done_here(helper):
    """The answer travels, and cannot be made anew of its bytes."""
    assert helper.do(unreadable)().value == 1
    assert helper.do(pid_and, "after")() == (os.getpid(), "after")

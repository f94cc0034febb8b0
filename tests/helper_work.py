"""What `test_helper` has another process do; a module of its own, because that process has to import it by its name."""

from __future__ import annotations

import os

from brokenseal.errors import UsageError


def pid_and(value):
    return os.getpid(), value


def refuse(_value):
    raise UsageError(place=f"process {os.getpid()}", value="x", expected="another one")


def unpicklable():
    return (number for number in range(3))


def end_itself():
    if os.environ.get("HELPER_TEST") != str(os.getpid()):
        os._exit(1)
    return os.getpid()


def many(n_bytes):
    return bytes(n_bytes)


def touch(path):
    path.touch()


class Unreadable:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return int, ("no number",)


def unreadable():
    return Unreadable(1)

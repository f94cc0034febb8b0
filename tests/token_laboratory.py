"""One laboratory and its corpus for all tests of a process: making keys takes a second."""

from __future__ import annotations

import base64
import functools
import json
import time
from typing import Any

from brokenseal.tokens.corpus import build
from brokenseal.tokens.laboratory import equip


@functools.cache
def laboratory():
    return equip(seed=7, at=int(time.time()))


@functools.cache
def corpus():
    return build(laboratory())


def cases():
    """Cases by name."""
    return {case.name: case for case in corpus()}


def part(token: str, number: int) -> Any:
    """Header (0) or claims (1) of a token, read."""
    return json.loads(text_of(token, number))


def text_of(token: str, number: int) -> bytes:
    """A part of a token, decoded."""
    text = token.split(".")[number]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature(token: str) -> bytes:
    return text_of(token, 2)

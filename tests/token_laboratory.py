"""One laboratory and its corpus for all tests of a process: making keys takes a second."""

from __future__ import annotations

import base64
import functools
import json
import time
from typing import Any

from brokenseal.tokens.corpus import build
from brokenseal.tokens.laboratory import equip

FRESH_S = 20
"""Some valid tokens end within minutes: a corpus that a test begins with is no older than this."""


@functools.cache
def _keys():
    return equip(seed=7, at=int(time.time())).keys


@functools.lru_cache(maxsize=1)
def _laboratory(at):
    return equip(seed=7, at=at, keys=_keys())


@functools.lru_cache(maxsize=1)
def _corpus(at):
    return build(_laboratory(at))


_at = int(time.time())


def keep_fresh():
    """Make the tokens anew with the same keys where they have grown old; called before each test, never within one."""
    global _at  # noqa: PLW0603  one moment for all that a test makes
    now = int(time.time())
    if now - _at > FRESH_S:
        _at = now


def laboratory():
    return _laboratory(_at)


def corpus():
    return _corpus(_at)


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

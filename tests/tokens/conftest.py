"""Tokens age while tests run."""

from __future__ import annotations

import pytest

import token_laboratory


@pytest.fixture(autouse=True)
def _fresh_tokens():
    token_laboratory.keep_fresh()

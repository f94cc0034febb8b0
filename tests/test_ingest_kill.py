"""A few random kills each time; the script of the same name does a hundred."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "kill_ingest.py"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_a_killed_ingest_is_completed_without_loss_or_copies(tmp_path, monkeypatch):
    """SIGKILL at random moments, then a second run: every table, count and evidence file as if undisturbed."""
    spec = importlib.util.spec_from_file_location("kill_ingest", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    seed = int(time.time())

    assert script.rounds(tmp_path, kills=6, seed=seed, scale=4_000) == [], f"seed {seed}"

"""A real cluster: a master and two workers as processes, of which one is lost on the way."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from brokenseal.demo import write_demo
from brokenseal.investigate import add_exports
from brokenseal.settings import Settings
from spark_session import EXPORTS, NOW, needs_spark


@needs_spark
@pytest.mark.slow
def test_a_run_goes_on_without_a_worker_that_was_killed(tmp_path):
    write_demo(tmp_path / "exports")
    add_exports([tmp_path / "exports" / EXPORTS[0]], Settings(store_dir=tmp_path / "store"), now=NOW)
    program = Path(__file__).with_name("spark_lost_worker.py")

    done = subprocess.run(
        [sys.executable, program, tmp_path / "store"], capture_output=True, text=True, timeout=400, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["before"], found["after"], found["executors"]) == (True, True, [2, 1])
    assert found["rows"] > 10
    master = urlsplit(found["master"])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((master.hostname, master.port), timeout=5)

"""A real cluster: a master and two workers as processes, of which one is lost on the way; it leaves nothing running."""

from __future__ import annotations

import importlib.util
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

SCRIPT = Path(__file__).parents[1] / "scripts" / "spark_cluster.py"
STARTS_ANOTHER = """
import signal, subprocess, sys
other = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(120)"
child = subprocess.Popen([sys.executable, "-c", other], stdout=subprocess.PIPE)
child.stdout.readline()
print("both", flush=True)
if sys.argv[1] == "waits":
    child.wait()
"""


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


@pytest.fixture
def spark_cluster(monkeypatch):
    spec = importlib.util.spec_from_file_location("spark_cluster", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "spark_cluster", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are those of POSIX")
@pytest.mark.parametrize("first", ["waits", "ends"])
def test_what_a_process_started_ends_with_it(spark_cluster, first):
    """Whether the process waits for what it started or is gone already, and whether that heeds being told."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS_ANOTHER, first], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"both\n"

    spark_cluster._stop(process)

    assert process.returncode is not None
    # A process that nobody has asked how it ended is left in the list; it does nothing any more.
    assert not [line for line in running(process.pid) if not line.startswith("Z")]
    process.stdout.close()


def running(group):
    told = subprocess.run(["ps", "-A", "-o", "stat=,pgid="], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if line.split()[1:] == [str(group)]]

"""A disk that is full on the way: what was there before is as it was, and the same command goes on when there is room.

A limit on the size of files stands in for the disk, because it needs no rights: a write beyond it fails as on a full one.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from brokenseal.ingest import ingest
from brokenseal.settings import Settings

resource = pytest.importorskip("resource")
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCRIPTS = Path(__file__).parents[1] / "scripts"
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from brokenseal.cli import main
main()
"""


def kill_ingest():
    spec = importlib.util.spec_from_file_location("kill_ingest", SCRIPTS / "kill_ingest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def limited(limit_bytes, *words, **env):
    command = [sys.executable, "-W", "ignore", "-c", LIMITED, str(limit_bytes), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Exports, and a store that holds the first of them."""
    folder = tmp_path_factory.mktemp("full")
    kill_ingest().write_inputs(folder / "inputs", scale=6_000)
    ingest([folder / "inputs" / "small-0.jsonl"], Settings(store_dir=folder / "store", threads=1), now=NOW)
    return folder


def copied(begun, target):
    subprocess.run(["cp", "-r", begun / "store", target], check=True)
    return target


@pytest.mark.parametrize("limit_bytes", [8_000, 50_000])
def test_a_full_disk_leaves_the_store_as_it_was_and_ingest_goes_on_later(begun, tmp_path, limit_bytes):
    store = copied(begun, tmp_path / "store")
    content = kill_ingest().content
    before = content(store)

    stopped = limited(limit_bytes, "ingest", begun / "inputs" / "large.jsonl", "--store", store)

    assert stopped.returncode != 0
    after = content(store)
    assert {name: rows for name, rows in after.items() if name != "left over"} == {
        name: rows for name, rows in before.items() if name != "left over"
    }
    ingest([begun / "inputs" / "large.jsonl"], Settings(store_dir=store, threads=1), now=NOW)
    assert len(content(store)["events"]) == 150 + 6_000


def test_a_full_disk_is_one_line_and_exit_code_2(begun, tmp_path):
    store = copied(begun, tmp_path / "store")

    stopped = limited(50_000, "ingest", begun / "inputs" / "large.jsonl", "--store", store)

    assert (stopped.returncode, len(stopped.stderr.splitlines())) == (2, 1)


def test_an_answer_that_finds_no_room_to_be_kept_is_given_all_the_same(begun, tmp_path):
    store = copied(begun, tmp_path / "store")

    without_room = limited(1_000, "detect", "--store", store, "--json")
    with_room = limited(resource.RLIM_INFINITY, "detect", "--store", store, "--json")

    assert (without_room.returncode, without_room.stdout) == (with_room.returncode, with_room.stdout)
    assert with_room.stdout.startswith("{")
    assert [path.name for path in (store / "state").iterdir()] == ["document"]

"""What DuckDB lacks (memory, room for what does not fit in it, room for what is written) is one error with a remedy."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import ibis
import pytest

from brokenseal import engines
from brokenseal.engines.duck import Limits
from brokenseal.errors import EngineFailed
from brokenseal.ingest import ingest
from brokenseal.investigate import build_document
from brokenseal.settings import Settings
from brokenseal.store import Store

resource = pytest.importorskip("resource")
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SCRIPTS = Path(__file__).parents[2] / "scripts"
LITTLE_MB = 24
LARGE = 20_000
"""Records of the large input, whose first segment needs 32 MiB."""
ROWS = 1_000_000
"""Of text: several times as much as `LITTLE_MB`."""
LINE = re.compile(r"brokenseal: DuckDB \((?P<place>[a-z_, ]+)\): found '(?P<value>[^']+)'; expected (?P<expected>.+)\n")


def kill_ingest():
    spec = importlib.util.spec_from_file_location("kill_ingest", SCRIPTS / "kill_ingest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Exports, and a store that holds the first of them."""
    folder = tmp_path_factory.mktemp("little")
    kill_ingest().write_inputs(folder / "inputs", scale=LARGE)
    ingest([folder / "inputs" / "small-0.jsonl"], Settings(store_dir=folder / "store", threads=1), now=NOW)
    return folder


@pytest.fixture
def root(begun, tmp_path):
    return shutil.copytree(begun / "store", tmp_path / "store")


@pytest.fixture
def events(root):
    with Store.open(Settings(store_dir=root, memory_limit_mb=LITTLE_MB)) as store:
        yield store.tables()["events"]


def cli(*words, memory_mb):
    command = [sys.executable, "-W", "ignore", "-m", "brokenseal", *map(str, words)]
    env = {**os.environ, "BROKENSEAL_MEMORY_MB": str(memory_mb), "BROKENSEAL_THREADS": "2"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@contextlib.contextmanager
def files_up_to(most):
    """A limit on the size of files stands in for a full disk, because it needs no rights."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def many(events):
    rows = events.limit(1).mutate(n=ibis.range(ROWS).unnest())
    return rows.select(text=rows.n.cast("string"))


def all_in_one(events):
    """A list is one piece of memory, which cannot be put aside in part."""
    rows = many(events)
    return rows.aggregate(all=rows.text.collect(order_by=rows.text))


def asked_once_kept(rows):
    """What is kept is made beside the caller, who hears with the first question that there is no room for it."""
    with rows.cache() as kept:
        return kept.count().to_pyarrow()


ASKED = (
    lambda rows: rows.to_pyarrow(),
    lambda rows: rows.execute(),
    lambda rows: engines.begun(rows)(),
    asked_once_kept,
)


def remembered(root):
    """What a store holds, apart from what a run leaves to the next one."""
    return {name: rows for name, rows in kill_ingest().content(root).items() if name != "left over"}


# ------------------------------------------------------------ memory


@pytest.mark.parametrize("ask", ASKED)
def test_too_little_memory_is_an_error_with_tables_limit_and_remedy(events, ask):
    with pytest.raises(EngineFailed) as failed:
        ask(all_in_one(events))

    error = failed.value
    assert error.place == "DuckDB (events)"
    assert re.fullmatch(r"Out of Memory Error: failed to .+/24\.0 MiB used\)", error.value)
    assert error.expected == "more memory: BROKENSEAL_MEMORY_MB=1024 (now 24)"
    assert isinstance(error.__cause__, duckdb.OutOfMemoryException)


def test_the_engine_goes_on_after_it_lacked_memory(events):
    kept = events.cache()
    for ask in (
        all_in_one(events).to_pyarrow,
        lambda: asked_once_kept(all_in_one(kept)),
        all_in_one(kept).to_pyarrow,
    ):
        with pytest.raises(EngineFailed):
            ask()

    assert kept.count().to_pyarrow().as_py() == events.count().to_pyarrow().as_py() == 150
    kept.release()


def test_of_kept_rows_no_name_is_said_that_nobody_gave(events):
    with events.cache() as kept, pytest.raises(EngineFailed) as failed:
        all_in_one(kept).to_pyarrow()

    assert failed.value.place == "DuckDB (what is kept of the tables)"


@pytest.mark.parametrize(("now", "then"), [(1, 1024), (512, 1024), (513, 1026), (3072, 6144)])
def test_the_remedy_is_twice_the_memory_and_a_gibibyte_at_least(tmp_path, now, then):
    with pytest.raises(EngineFailed) as failed, Limits(now, tmp_path / "tmp" / "spill").running(lambda: "here"):
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block\n\nPossible solutions:\n* none")

    assert str(failed.value) == (
        "here: found 'Out of Memory Error: failed to pin block'; "
        f"expected more memory: BROKENSEAL_MEMORY_MB={then} (now {now})"
    )


@pytest.mark.parametrize("limit_mb", [1, 2, 4, 8])
def test_a_judgement_fails_at_whatever_step_the_memory_ends_with_the_remedy(root, limit_mb):
    with Store.open(Settings(store_dir=root, memory_limit_mb=limit_mb)) as store, pytest.raises(EngineFailed) as failed:
        build_document(store)

    assert failed.value.expected == f"more memory: BROKENSEAL_MEMORY_MB=1024 (now {limit_mb})"


def test_detection_without_memory_is_one_line_and_exit_code_2(root):
    before = remembered(root)

    stopped = cli("detect", "--store", root, "--json", memory_mb=8)

    assert (stopped.returncode, stopped.stdout) == (2, "")
    assert LINE.fullmatch(stopped.stderr)["expected"] == "more memory: BROKENSEAL_MEMORY_MB=1024 (now 8)"
    assert remembered(root) == before


# ------------------------------------------------------------ room


@pytest.mark.parametrize("ask", ASKED)
def test_a_full_spill_folder_is_an_error_with_folder_room_and_remedy(root, events, ask):
    events.get_backend().con.execute("SET max_temp_directory_size='4MiB'")

    with pytest.raises(EngineFailed) as failed:
        ask(many(events).order_by("text"))

    assert failed.value.place == "DuckDB (events)"
    assert re.fullmatch(
        r"Out of Memory Error: failed to offload data block of .+/4\.0 MiB used\)\.", failed.value.value
    )
    assert failed.value.expected == (
        f"more room than 4.0 MiB for files in {root}, or more memory: BROKENSEAL_MEMORY_MB=1024 (now 24)"
    )


def test_a_file_that_cannot_grow_while_spilling_is_an_error_with_the_reason_first(root, events):
    with files_up_to(100_000), pytest.raises(EngineFailed) as failed:
        many(events).order_by("text").to_pyarrow()

    assert failed.value.place == "DuckDB (events)"
    assert failed.value.value.startswith("File too large: IO Error: Could not write file")
    assert re.fullmatch(
        rf"more room than [0-9]+ MiB for files in {re.escape(str(root))}, or more memory: .+", failed.value.expected
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(
    "message",
    [
        'IO Error: Could not write file "/s/tmp/x": {reason}',
        'IO Error: Async write failed for range [offset=1, size=2]: {{"exception_type":"IO",'  # noqa: ISC004
        '"exception_message":"Could not write file \\"/s/tmp/x\\": {reason}","errno":"0"}}',
    ],
    ids=["at once", "in the background"],
)
def test_no_room_is_said_first_however_the_engine_wraps_it(tmp_path, number, message):
    reason = os.strerror(number)
    (tmp_path / "tmp").mkdir()

    with pytest.raises(EngineFailed) as failed, Limits(9, tmp_path / "tmp" / "spill").running(lambda: "here"):
        raise duckdb.IOException(message.format(reason=reason))

    assert failed.value.value.startswith(f"{reason}: ")
    assert failed.value.value.endswith('Could not write file "/s/tmp/x"')


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException('IO Error: No files found that match the pattern "No space left on device.parquet"'),
        duckdb.InvalidInputException("Invalid Input Error: Malformed JSON"),
        duckdb.ConversionException("Conversion Error: max_temp_directory_size"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_want_of_memory_or_room_is_left_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as failed, Limits(9, tmp_path).running(lambda: "here"):
        raise error

    assert failed.value is error


# ------------------------------------------------------------ ingest


def test_ingest_without_memory_leaves_the_store_as_it_was_and_goes_on_with_more(begun, root):
    before, inputs = remembered(root), [begun / "inputs" / name for name in ("small-1.jsonl", "large.jsonl")]

    with pytest.raises(EngineFailed) as failed:
        ingest(inputs, Settings(store_dir=root, threads=2, memory_limit_mb=16), now=NOW)

    assert failed.value.place == "DuckDB (reading records)"
    assert failed.value.expected == "more memory: BROKENSEAL_MEMORY_MB=1024 (now 16)"
    assert remembered(root) == before
    assert ingest(inputs, Settings(store_dir=root, threads=2), now=NOW).kept == 100 + LARGE
    with Store.open(Settings(store_dir=root)) as store:
        assert store.tables()["events"].count().to_pyarrow().as_py() == 150 + 100 + LARGE


def test_ingest_without_memory_is_one_line_and_exit_code_2(begun, root):
    before = remembered(root)

    stopped = cli("ingest", begun / "inputs" / "large.jsonl", "--store", root, memory_mb=16)

    assert stopped.returncode == 2
    assert LINE.fullmatch(stopped.stderr)["place"] == "reading records"
    assert remembered(root) == before


def test_a_part_that_cannot_be_written_is_an_error_with_the_reason_first(root):
    with Store.open(Settings(store_dir=root)) as store, files_up_to(10_000), pytest.raises(EngineFailed) as failed:
        store.workbench().write_parquet("SELECT md5(i::VARCHAR) FROM range(9999) t(i)", root / "tmp" / "part")

    assert failed.value.value.startswith("File too large: ")
    assert "BROKENSEAL_MEMORY_MB" in failed.value.expected

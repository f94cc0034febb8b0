"""The parts of the benchmark: what each measures at each scale, as keys and figures for the results file.

`tiny` is for the tests, `smoke` says in minutes whether everything still runs, `full` is what the page is for.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measuring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
PEER_PACKAGES = ("zargunlite==0.1.3", "pysigma-backend-sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller wants.

    Attributes:
        scale: One of `results.SCALES`.
        work: Where exports and stores are made.
        tell: For a line of progress.
        sizes: For growth, in place of the scale's.
        series: For growth.
        keeps: For growth, whether stores are kept.
        again: For growth, whether sizes whose stores were kept are measured again.
    """

    scale: str
    work: Path
    tell: Callable[[str], None]
    sizes: tuple[int, ...] = ()
    series: tuple[str, ...] = ("tenants", "tenant")
    keeps: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        name: On the command line and in the results.
        title: What is measured.
        minutes: How long the full scale takes on two quiet cores, roughly.
        run: Gives key and figures of each measurement.
    """

    name: str
    title: str
    minutes: int
    run: Callable[[Asked], Iterator[tuple[str, dict[str, Any]]]]


def ingest(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ingest and its floor, in turns, from the same file."""
    import ingest as bench

    records, runs = {"tiny": (2_000, 1), "smoke": (50_000, 2), "full": (1_000_000, 5)}[asked.scale]
    for key, write in (("jsonl", bench.write_json_lines), ("csv", bench.write_purview_csv)):
        with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=asked.work) as name:
            export, store = Path(name) / f"export.{key}", Path(name) / "store"
            write(export, records)
            found: dict[str, list[Any]] = {"floor": [], "ingest": []}
            for _ in range(runs):
                for what, taken in found.items():
                    shutil.rmtree(store, ignore_errors=True)
                    wall, cpu, peak = bench.measured(what, export, store, 2)
                    taken.append({"wall_s": wall, "cpu_s": cpu, "peak_mib": peak})
                    asked.tell(f"{key}, {what}: {wall:.1f} s, {cpu:.1f} s of CPU, {peak:,.0f} MiB")
            yield key, {"records": records, "bytes": export.stat().st_size, "runs": found}


def growth(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """One tenant that grows, and a set of tenants that does."""
    import growth as bench

    sizes = {"tiny": (2_000,), "smoke": (25_000, 75_000), "full": (1_000_000, 3_000_000, 10_000_000, 30_000_000)}
    small = {} if asked.scale == "full" else {"days": 7 if asked.scale == "tiny" else 14, "mailboxes": 10, "runs": 1}
    for series in asked.series:
        plan = bench.Plan(
            work=asked.work,
            series=series,
            sizes=asked.sizes or sizes[asked.scale],
            detects=asked.scale != "tiny",
            keeps=asked.keeps,
            again=asked.again,
            **small,
        )
        yield from bench.measured(plan, asked.tell)


def detect(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part of detection beside the floor, some times; and once more after one more day of logs."""
    import detect as bench

    tenants, mailboxes, days, runs = {"tiny": (1, 10, 7, 1), "smoke": (1, 10, 14, 2), "full": (2, 110, 28, 3)}[
        asked.scale
    ]
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=asked.work) as name:
        chosen = argparse.Namespace(tenants=tenants, mailboxes=mailboxes, days=days, seed=7)
        store = bench.made(Path(name), chosen)
        taken = []
        for _ in range(runs):
            shutil.rmtree(store / "state", ignore_errors=True)
            taken.append(bench.measured(store, "split"))
            asked.tell(f"detection of {taken[-1]['records']:,} records: {taken[-1]['cpu']['document']:.1f} s of CPU")
        shutil.rmtree(store / "state", ignore_errors=True)
        days_taken = bench.daily(Path(name), store, 1)
        yield "", {"tenants": tenants, "mailboxes": mailboxes, "days": days, "runs": taken, "daily": days_taken}


def first_answer(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """`investigate`, the same again, and `--help`."""
    import first_answer as bench

    mailboxes, days, runs = {"tiny": (10, 7, 1), "smoke": (10, 7, 2), "full": (50, 14, 7)}[asked.scale]
    yield "", bench.measured(mailboxes=mailboxes, days=days, runs=runs, tell=asked.tell, work=asked.work)


def peers(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a responder would do by hand."""
    import beside

    records, runs = {"tiny": (1_000, 1), "smoke": (20_000, 1), "full": (500_000, 3)}[asked.scale]
    yield from beside.measured(records, runs, asked.tell, asked.work)


def spark_equal(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """Equal documents on DuckDB and Spark: in this process, on a cluster, and with a worker killed."""
    import json

    wanted = {
        "tiny": (("local", 2_000, ()),),
        "smoke": (("cluster", 20_000, ("--cluster",)),),
        "full": (
            ("cluster", 100_000, ("--cluster",)),
            ("cluster", 1_000_000, ("--cluster",)),
            ("killed", 1_000_000, ("--cluster", "--kill", "120")),
        ),
    }
    for how, records, words in wanted[asked.scale]:
        command = (
            ROOT / "scripts" / "spark_equal.py",
            "--records",
            records,
            "--work-dir",
            asked.work,
            "--json",
            *words,
        )
        took = measuring.run((sys.executable, "-W", "ignore", *command), accepted=(0, 1, 2))
        lines = took.out.strip().splitlines()
        told = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        why = "" if told else (took.error.strip().splitlines() or ["without a word"])[-1][:300]
        asked.tell(f"{how}, {records:,} records: {told.get('equal', why)}")
        yield f"{how}/{records}", {**took.figures(), **told, "failed": why, "how": how, "asked": records}


def sigma(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """Sigma rules, beside zargunlite where it can be installed."""
    records, runs = {"tiny": (500, 1), "smoke": (10_000, 1), "full": (200_000, 3)}[asked.scale]
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=asked.work) as name:
        peer = "" if asked.scale == "tiny" else _peer(Path(name), asked.tell)
        words = ["--records", records, *(["--peer", peer] if peer else [])]
        texts = [_text("sigma_rules.py", words) for _ in range(runs)]
        yield "", {"records": records, "texts": texts, "has_peer": bool(peer)}


def _peer(folder: Path, tell: Callable[[str], None]) -> str:
    """A Python of its own with the peer; "" where it cannot be installed."""
    python = folder / "peer" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        measuring.run(("uv", "venv", "--quiet", "--python", sys.executable, folder / "peer"))
        measuring.run(("uv", "pip", "install", "--quiet", "--python", python, *PEER_PACKAGES))
    except (measuring.Failed, OSError) as err:
        tell(f"the peer cannot be installed: {err}")
        return ""
    return str(python)


def _text(program: str, words: list[object], accepted: tuple[int, ...] = (0,)) -> str:
    """What one of the other benchmarks prints."""
    command = (sys.executable, "-W", "ignore", BENCH / program, *words)
    done = measuring.run(command, accepted=accepted)
    if "Traceback (most recent call last)" in done.error:
        raise measuring.Failed(command, done)
    return re.sub(r"\s+$", "", done.out)


def _printed(
    program: str, words: Mapping[str, list[object]]
) -> Callable[[Asked], Iterator[tuple[str, dict[str, Any]]]]:
    """A part that is another benchmark's own table; exit code 1 is a goal that was missed, and no failure."""

    def run(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
        if not (BENCH / program).is_file():
            asked.tell(f"there is no {program}")
            return
        text = _text(program, words[asked.scale], (0, 1))
        asked.tell(text)
        yield "", {"command": " ".join(("bench/" + program, *map(str, words[asked.scale]))), "text": text}

    return run


PARTS = (
    Part(name="ingest", title="Ingest beside its floor", minutes=15, run=ingest),
    Part(name="first-answer", title="The first answer", minutes=5, run=first_answer),
    Part(name="detect", title="Detection, part by part", minutes=12, run=detect),
    Part(name="peers", title="Beside what one would do by hand", minutes=15, run=peers),
    Part(
        name="tokens", title="Verifying tokens", minutes=2,
        run=_printed("token_verify.py", {
            "tiny": ["--rounds", 1, "--tokens", 20], "smoke": ["--rounds", 3, "--tokens", 100],
            "full": ["--rounds", 15],
        }),
    ),
    Part(name="sigma", title="Sigma rules", minutes=6, run=sigma),
    Part(
        name="pdf", title="A printed report", minutes=2,
        run=_printed("pdf.py", {
            "tiny": ["--messages", 20, "--runs", 1], "smoke": ["--messages", 1000, "--runs", 1], "full": ["--runs", 5],
        }),
    ),
    Part(
        name="drill", title="Generating simulated tenants", minutes=5,
        run=_printed("drill.py", {
            "tiny": ["--tenants", 1, "--mailboxes", 10, "--days", 7, "--runs", 1],
            "smoke": ["--tenants", 1, "--mailboxes", 20, "--days", 14, "--runs", 1], "full": ["--runs", 3],
        }),
    ),
    Part(name="spark-equal", title="Spark", minutes=90, run=spark_equal),
    Part(name="growth", title="Growth", minutes=300, run=growth),
)  # fmt: skip
"""In the order in which they are run: short ones first."""

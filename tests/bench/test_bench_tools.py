"""The benchmark's own tools: what they measure, fit and keep is right, the parts run, and the page is what was measured."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, t

BENCH = str(Path(__file__).parents[2] / "bench")
sys.path.insert(0, BENCH)
bench = importlib.import_module("all")
beside, fits, growth, measuring, parts, performance_growth, performance_page, results = map(
    importlib.import_module,
    ("beside", "fits", "growth", "measuring", "parts", "performance_growth", "performance_page", "results"),
)
# A benchmark has the name of a folder of tests, which must not be found in its place.
sys.path.remove(BENCH)


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    """Benchmarks import their neighbours when they run."""
    monkeypatch.setattr(sys, "path", [BENCH, *sys.path])


NOTES = "## What was tried\n"


def figures(records, cpu_s, *, parts=None):
    run = {"cpu": {"document": cpu_s}, "wall": {"document": cpu_s / 2}, "peak_mib": 100.0}
    return {
        "records": records, "lines": records, "bytes": 2000 * records, "days": 28, "tenants": 1, "mailboxes": 7,
        "ingest": {"cpu_s": cpu_s / 4, "peak_mib": 50.0}, "store": {"tables": 300 * records, "other": 10**12},
        "failures": [], "document": [run], "parts": {"cpu": parts or {"floor": cpu_s / 50}, "failed": ""}, "memory_limit_mb": 1024,
    }  # fmt: skip


def line(part, key="", scale="full", found=None):
    return results.line(part, key, scale, found or {}, load=(0.0, 0.0, 0.0))


# ---------------------------------------------------------------- fits


@settings(deadline=None)
@given(exponent=st.floats(0.2, 3), factor=st.floats(1e-6, 10))
def test_an_exact_power_law_is_found(exponent, factor):
    sizes = (1e6, 3e6, 1e7, 3e7)
    fit = fits.power_law(sizes, [factor * size**exponent for size in sizes])

    assert fit.exponent == pytest.approx(exponent)
    assert fit.at(1e8) == pytest.approx(factor * 1e8**exponent, rel=1e-6)
    assert (fit.low, fit.high) == (pytest.approx(exponent, abs=1e-6), pytest.approx(exponent, abs=1e-6))


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 1e6), min_size=3, max_size=6))
def test_the_interval_is_that_of_a_regression_of_logarithms(values):
    assume(max(values) > 1.001 * min(values))
    sizes = [10.0 * 3**place for place in range(len(values))]
    fit = fits.power_law(sizes, values)
    told = linregress(list(map(math.log, sizes)), list(map(math.log, values)))

    assert fit.exponent == pytest.approx(told.slope, abs=1e-9)
    half = t.ppf(0.975, len(values) - 2) * told.stderr
    assert fit.high - fit.exponent == pytest.approx(half, abs=1e-6)


def test_one_size_has_no_exponent_and_two_have_no_interval():
    assert fits.power_law([10, 10], [1, 2]) is None
    assert fits.power_law([1, 10], [1, 100])[:3] == (pytest.approx(2), None, None)


# ---------------------------------------------------------------- measuring

needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")


@needs_proc
def test_memory_and_work_of_a_process_and_its_child_are_counted():
    hold = "import time; kept = bytearray(60_000_000); time.sleep(0.6)"
    work = "import time\nwhile time.process_time() < 0.3: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}]); exec({work!r})"
    both = f"import subprocess, sys; one = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}; one.wait()"

    alone = measuring.run([sys.executable, "-c", program])
    together = measuring.run([sys.executable, "-c", both])

    assert 0.3 <= alone.cpu_s < 3
    assert 60 < alone.peak_mib < 115 < together.peak_mib < 200


def test_a_program_that_fails_says_so_with_its_last_words():
    with pytest.raises(measuring.Failed, match="exit code 3: no room"):
        measuring.run([sys.executable, "-c", "import sys; print('no room', file=sys.stderr); sys.exit(3)"])

    assert measuring.run([sys.executable, "-c", "import sys; sys.exit(3)"], accepted=(3,)).code == 3


# ---------------------------------------------------------------- results


def test_the_newest_line_of_the_largest_scale_is_shown_and_a_torn_line_passed_over(tmp_path):
    path = tmp_path / "results.jsonl"
    for scale, number in (("full", 1), ("full", 2), ("smoke", 3)):
        results.add(path, line("ingest", "csv", scale, {"number": number}))
    results.add(path, line("ingest", "jsonl", "smoke", {"number": 4}))
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"part": "ingest", "key"')

    assert [each["figures"]["number"] for each in results.chosen(results.read(path), "ingest")] == [2]
    assert [each["figures"]["number"] for each in results.chosen(results.read(path)[2:], "ingest")] == [3, 4]


def test_what_was_measured_on_a_clean_commit_is_not_measured_again(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    monkeypatch.setattr(results, "commit", lambda: "0123456789")
    results.add(path, line("pdf", scale="smoke"))

    assert [bench.is_measured(path, *one) for one in (("pdf", "smoke"), ("pdf", "full"), ("drill", "smoke"))] == [
        True,
        False,
        False,
    ]
    monkeypatch.setattr(results, "commit", lambda: "0123456789+")
    assert not bench.is_measured(path, "pdf", "smoke")


# ---------------------------------------------------------------- the page


def test_the_page_of_the_docs_is_what_was_measured():
    notes = performance_page.NOTES.read_text(encoding="utf-8")

    assert bench.PAGE.read_text(encoding="utf-8") == performance_page.page(results.read(results.RESULTS), notes)


def test_every_part_has_a_section_and_a_missing_one_says_so():
    assert {name for name, _, _ in performance_page.SECTIONS} == {each.name for each in parts.PARTS}
    page = performance_page.page([], NOTES)
    assert page.count("Not measured yet.") == len(parts.PARTS)
    assert page.endswith(NOTES)


def test_growth_is_printed_with_exponents_what_dominates_and_the_arithmetic():
    sizes = (1_000_000, 3_000_000, 10_000_000)
    lines = [
        line("growth", f"tenant/{size}", "full", figures(size, size / 1e5, parts={"floor": 1.0, "marks": size / 2e5}))
        for size in sizes
    ]
    page = performance_page.page(lines, NOTES)

    assert "| detection, the whole document | CPU s | 1.00 (1.00 to 1.00) | 3 | 100.0 |" in page
    assert "| 10,000,000 | 50.0 | marks 50.0 s (100%) |" in page
    # 100 M records: 1e-5 s each, 1,000 s; a quarter of it for ingest; 300 bytes a record.
    assert "detection 1e-05 · 100,000,000 ^ 1.000 = 1,000 s = 0.3 core-hours; ingest 250 s" in page
    assert (
        "| 300 tenants of 50,000 mailboxes, a month, a store each | 30,000 M | 20.8 | 83.3 | 1.6 | 9.00 | 0.1 |" in page
    )


def test_nothing_is_carried_further_from_small_sizes_or_from_two():
    for sizes in ((10_000, 30_000, 100_000), (3_000_000, 30_000_000)):
        lines = [line("growth", f"tenant/{size}", "full", figures(size, 1.0)) for size in sizes]
        page = performance_page.page(lines, NOTES)

        assert "Not carried further: that takes 3 sizes, the largest of 10,000,000 records or more." in page
        assert "core-hours" not in page


def test_what_is_carried_further_is_the_series_that_went_furthest_and_is_named():
    sizes = {"tenant": (1_000_000, 3_000_000), "tenants": (1_000_000, 3_000_000, 10_000_000)}
    lines = [
        line("growth", f"{series}/{size}", "full", figures(size, size / 1e5))
        for series, of in sizes.items()
        for size in of
    ]
    page = performance_page.page(lines, NOTES)

    assert (
        f"the fits above (series “{performance_growth.SERIES['tenants']}”) beyond the largest size,\n10,000,000" in page
    )


def test_the_largest_store_that_spark_was_compared_at_carries_its_factor_further():
    lines = [line("growth", f"tenants/{size}", "full", figures(size, size / 1e5)) for size in (10**6, 3 * 10**6, 10**7)]
    for records, seconds in ((100_000, 90.0), (900_000, 100.0)):
        engines = {
            "duckdb": {"document_s": 10.0, "records": records, "bytes": 1},
            "spark": {"document_s": seconds, "records": 0, "bytes": 1},
        }
        told = {"how": "cluster", "asked": records, "equal": True, "failed": "", "killed_after_s": None}
        figures_ = {**told, **engines, "cpu_s": 1.0, "peak_mib": 1.0}
        lines.append(line("spark-equal", f"cluster/{records}", "full", figures_))
    page = performance_page.page(lines, NOTES)

    assert "| master and two workers | 900,000 | yes | 10.0 | 100.0 | 10.0 |" in page
    # 1,000 s for 100 M records, ten times that on Spark.
    assert "a month would take 10.0 · 1,000 s = 2.8 core-hours, 0.0 h on 64 cores" in page


def test_a_size_that_failed_is_shown_as_failed():
    failed = {**figures(9_900_000, 1.0), "failures": [
        {"memory_limit_mb": 1024, "cpu_s": 300.0, "peak_mib": 1900.0, "failed": "OutOfMemoryException: no room"}
    ]}  # fmt: skip
    del failed["document"]
    text = "\n".join(performance_growth.section([line("growth", "tenants/9", "full", failed)]))

    assert "| **failed** | – | – | – |" in text
    assert "9,900,000 records with 1,024 MiB for the engine: **failed** after 300 CPU s" in text


# ---------------------------------------------------------------- the parts, at their smallest


def test_ingest_and_its_floor_are_measured_and_written(tmp_path):
    path, page = tmp_path / "results.jsonl", tmp_path / "page.md"
    words = ["--part", "ingest", "--scale", "tiny", "--results", str(path), "--page", str(page)]

    assert bench.main([*words, "--work-dir", str(tmp_path)]) == 0

    found = {each["key"]: each["figures"] for each in results.read(path)}
    assert list(found) == ["jsonl", "csv"]
    for each in found.values():
        assert each["records"] == 2_000
        assert all(run["cpu_s"] > 0 and run["peak_mib"] > 50 for runs in each["runs"].values() for run in runs)
    assert "| ingest, Purview CSV | 2,000 |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["brokenseal_answer.py", "duckdb_by_hand.py", "pandas_by_hand.py"])
def test_the_peers_find_what_was_written(tmp_path, monkeypatch, program):
    monkeypatch.setattr(beside, "BROKEN_SHARE", 0.01)
    truth = beside.write(tmp_path, 500)
    (one,) = (each for each in beside.CONTESTANTS if each.program == program)
    said = [beside.answered(one, tmp_path / f"export.{form}", tmp_path / "store")["said"] for form in one.forms]

    assert truth["broken"] > 1
    assert truth["copies"] > 1
    for each in said:
        assert each == {name: truth[name] for name in each}
        assert {"accesses", "messages"} <= set(each)


def test_a_size_is_of_the_batches_that_first_reached_it():
    state = growth.State(batches=[{"kept": 40}, {"kept": 60}, {"kept": 70}])

    assert [state.until(size).records for size in (1, 40, 41, 100, 101, 999)] == [40, 40, 100, 100, 170, 170]


def test_growth_goes_on_where_it_was_stopped(tmp_path):
    plan = growth.Plan(work=tmp_path, series="tenant", sizes=(100,), days=7, batch_lines=12_000, detects=False)
    told = []

    def stop(text):
        told.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(growth.measured(plan, stop))
    half = growth.State.read(tmp_path / "growth-tenant-100" / "state.json")
    ((key, found),) = growth.measured(plan, told.append)

    assert key == "tenant/100"
    assert 0 < half.records < found["records"]
    assert found["ingest"]["runs"] == len(told) > 1
    assert json.loads((tmp_path / "growth-tenant-100" / "state.json").read_text())["done"] == [100]
    assert list(growth.measured(plan, told.append)) == []
    assert not (tmp_path / "growth-tenant-100" / "store").exists()

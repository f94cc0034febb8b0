"""Measure the parts of the benchmark, keep what was found, and write docs/performance.md of it.

    python bench/all.py --scale smoke              everything at small sizes, in minutes, then the page
    python bench/all.py                            everything at full size, in hours; goes on where it was stopped
    python bench/all.py run --part ingest peers    two parts alone, without the page
    python bench/all.py run --part growth --series tenants --sizes 1000000 3000000 --work-dir DIR
    python bench/all.py page                       the page alone, of what was measured
    python bench/all.py list                       the parts

A part that was measured at this scale on this commit and kind of machine is passed over, unless `--again` is given.
The page shows full figures before small ones, and the newest of each. `bench/performance-notes.md` is written by hand
and stands at its end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import measuring
import parts
import results

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = results.ROOT / "docs" / "performance.md"


def say(text: str) -> None:
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def is_measured(path: Path, part: str, scale: str) -> bool:
    """Whether the results hold the part at this scale, of this commit and kind of machine."""
    now = results.commit()
    return not now.endswith("+") and any(
        each["part"] == part
        and each["scale"] == scale
        and each["commit"] == now
        and each["machine"] == results.machine()
        for each in results.read(path)
    )


def run(asked: argparse.Namespace) -> int:
    """Measure; the number of parts that failed."""
    failed = 0
    wanted = [each for each in parts.PARTS if asked.part == ["all"] or each.name in asked.part]
    if asked.scale == "full":
        say(f"about {sum(each.minutes for each in wanted)} minutes on two quiet cores")
    with tempfile.TemporaryDirectory(prefix="brokenseal-bench-", dir=asked.work_dir) as name:
        work = asked.work_dir or Path(name)
        for part in wanted:
            # Growth knows by itself which of its sizes were measured.
            if not asked.again and part.name != "growth" and is_measured(asked.results, part.name, asked.scale):
                say(f"{part.name}: measured before")
                continue
            failed += not measured(part, asked, work)
    return failed


def measured(part: parts.Part, asked: argparse.Namespace, work: Path) -> bool:
    """Measure one part, and keep each of its figures as soon as it is there."""
    before = results.load()
    if before[0] > 0.5:
        say(f"{part.name}: other work is running (load {before[0]:.1f}); seconds by the clock will tell of it")
    told = parts.Asked(
        scale=asked.scale, work=work, tell=lambda text: say(f"{part.name}: {text}"),
        sizes=tuple(asked.sizes), series=tuple(asked.series), keeps=asked.keep_stores, again=asked.again,
    )  # fmt: skip
    try:
        for key, figures in part.run(told):
            results.add(asked.results, results.line(part.name, key, asked.scale, figures, load=before))
            before = results.load()
    except (measuring.Failed, OSError) as err:
        say(f"{part.name}: FAILED: {err}")
        return False
    return True


def write_page(asked: argparse.Namespace) -> None:
    """The page of what was measured."""
    import performance_page as page

    asked.page.write_text(
        page.page(results.read(asked.results), page.NOTES.read_text(encoding="utf-8")), encoding="utf-8"
    )
    say(f"wrote {asked.page}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("both", "run", "page", "list"), default="both")
    parser.add_argument("--part", nargs="+", choices=("all", *(each.name for each in parts.PARTS)), default=["all"])
    parser.add_argument("--scale", choices=results.SCALES, default="full")
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--work-dir", type=Path, help="for exports and stores; keeps what growth needs to go on")
    parser.add_argument("--again", action="store_true", help="measure also what was measured on this commit")
    parser.add_argument("--sizes", type=int, nargs="+", default=(), help="of growth, in records")
    parser.add_argument("--series", nargs="+", choices=("tenants", "tenant"), default=("tenants", "tenant"))
    parser.add_argument("--keep-stores", action="store_true", help="of growth, to measure detection again later")
    asked = parser.parse_args(arguments)
    if asked.command == "list":
        for each in parts.PARTS:
            print(f"{each.name:14} {each.minutes:4} min  {each.title}")
        return 0
    failed = run(asked) if asked.command in {"both", "run"} else 0
    if asked.command in {"both", "page"}:
        write_page(asked)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

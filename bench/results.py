"""The results file: one line of JSON for each measurement, with the machine, the versions and the commit it is of.

Parts are measured at different times and on different machines; the page takes the last full line of each part and key,
or the last of a smaller scale where there is no full one.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "performance.jsonl"
PACKAGES = ("brokenseal", "duckdb", "pyarrow", "ibis-framework", "deltalake", "pandas", "pyspark", "numpy")
SCALES = ("tiny", "smoke", "full")


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system."""
    return {
        "processor": _first("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(_first("/proc/meminfo", r"MemTotal:\s+(\d+)") or 0) / 1024**2),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def _first(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    except OSError:
        return ""
    return found[1].strip() if found else ""


def versions() -> dict[str, str]:
    """Versions of Python and of what the figures hang on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit that is measured, with a + where files of the product differ from it; "" outside a checkout."""
    try:
        name = subprocess.run(
            ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "src"], cwd=ROOT, check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + ("+" if differs else "")


def line(part: str, key: str, scale: str, figures: Mapping[str, Any], *, load: Sequence[float]) -> dict[str, Any]:
    """One line of the file.

    Args:
        part: What was measured.
        key: Which of the part's measurements; "" where it has one.
        scale: `smoke` or `full`.
        figures: What the part's section of the page is made of.
        load: The load averages of the machine before it began.
    """
    return {
        "part": part,
        "key": key,
        "scale": scale,
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "load": [round(each, 2) for each in load],
        "machine": machine(),
        "versions": versions(),
        "figures": figures,
    }


def load() -> tuple[float, float, float]:
    """Load averages; zeros where the system has none."""
    return os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)


def add(path: Path, found: Mapping[str, Any]) -> None:
    """Append one line, whole or not at all as far as the system allows."""
    text = json.dumps(_rounded(found), ensure_ascii=False, separators=(",", ":")) + "\n"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _rounded(value: Any) -> Any:
    """Figures to five digits: more are noise, and make the file hard to read."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


def read(path: Path) -> list[dict[str, Any]]:
    """All lines; none where there is no file. A line that a killed run left half written is passed over."""
    if not path.exists():
        return []
    found = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def chosen(lines: Iterable[Mapping[str, Any]], part: str) -> list[Mapping[str, Any]]:
    """The lines of one part that the page shows: by key the last full one, else the last smoke one.

    Where any line of the part is full, smoke lines of other keys are left out: they are of another size.
    """
    best: dict[str, Mapping[str, Any]] = {}
    own = [each for each in lines if each["part"] == part]
    for each in own:
        kept = best.get(each["key"])
        if kept is None or SCALES.index(each["scale"]) >= SCALES.index(kept["scale"]):
            best[each["key"]] = each
    highest = max((SCALES.index(each["scale"]) for each in best.values()), default=0)
    return [each for each in best.values() if SCALES.index(each["scale"]) == highest]


def spread(values: Sequence[float], form: str = ",.1f") -> str:
    """The median, and from the least to the greatest where there are several."""
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)} to {format(max(values), form)})"

"""Running a program and saying what it took: by the clock, of the processor, in memory, and beside what other work."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE_S = 0.05
KEPT = 20_000
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one run took.

    Attributes:
        wall_s: Seconds by the clock, the start of the process included.
        cpu_s: Seconds of the processor, in user and system mode, of the process and its descendants.
        peak_mib: The most memory that the process and its descendants held at the same time. Of one process it is what
            the kernel counted, of several the sum of samples, shared pages counted in each; 0 where there is no /proc.
        others: Cores that other work used meanwhile, on average; None where the system does not say.
        code: Exit code.
        out: Standard output.
        error: The end of the error output.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    others: float | None
    code: int
    out: str
    error: str

    def figures(self) -> dict[str, Any]:
        """What is written to the results: everything but the output."""
        kept = asdict(self)
        return {name: kept[name] for name in ("wall_s", "cpu_s", "peak_mib", "others")}


class Failed(Exception):
    """A program that was to be measured ended with an error."""

    def __init__(self, words: Sequence[object], took: Took) -> None:
        self.took = took
        last = took.error.strip().splitlines()[-1:] or ["without a word"]
        super().__init__(f"{' '.join(map(str, words))[:200]}: exit code {took.code}: {last[0]}")


def children_of(pid: int) -> list[int]:
    """The process and its descendants, as far as they still run."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(word) for word in task.read_text(encoding="ascii").split()]
            except OSError:
                continue
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of one process; 0 of one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def high_water_mib(pid: int | str = "self") -> float:
    """The most memory that a process has held since its program began; 0 of one that is gone.

    The kernel's other account (`ru_maxrss`) begins with what the process that started it held.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def worked_s(pid: int) -> float:
    """Seconds of the processor that one process has used by itself; 0 of one that is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICK


def busy_s() -> float | None:
    """Seconds that all cores together have worked since the machine started."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft_irq = map(int, words[:7])
    return (user + nice + system + irq + soft_irq) / TICK


class Watch(threading.Thread):
    """Looks at the memory of a process and its descendants as long as it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_mib = pid, 0.0
        self.worked: dict[int, float] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        before = {self.pid}
        while not self.over.is_set():
            pids = children_of(self.pid)
            # At its very first, a child still shows the memory of the process that it was split off from.
            settled = before.intersection(pids)
            before = {self.pid, *pids}
            held = sum(map(resident_bytes, settled)) / 1024**2
            self.peak_mib = max(self.peak_mib, held, high_water_mib(self.pid))
            for each in settled:
                self.worked[each] = max(self.worked.get(each, 0.0), worked_s(each))
            self.over.wait(SAMPLE_S)


def run(
    words: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (0,),
    shell: bool = False,
) -> Took:
    """Run a program and measure it.

    Args:
        words: Program and arguments; with `shell`, one text.
        env: Added to the environment.
        accepted: Exit codes that are no error.
        shell: Whether a shell runs it.

    Raises:
        Failed: It ended with another exit code.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        before, began = busy_s(), time.perf_counter()
        process = subprocess.Popen(
            str(words[0]) if shell else list(map(str, words)),
            shell=shell, stdout=out, stderr=error, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
        )  # fmt: skip
        watch = Watch(process.pid)
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.over.set()
        watch.join()
        after = busy_s()
        # Children that nobody waited for, such as Spark's, are in no account but that of the samples.
        cpu = max(used.ru_utime + used.ru_stime, sum(watch.worked.values()))
        took = Took(
            wall_s=wall,
            cpu_s=cpu,
            peak_mib=watch.peak_mib,
            others=None if before is None or after is None else max(0.0, (after - before - cpu) / wall),
            code=process.returncode,
            out=_text(out),
            error=_text(error)[-KEPT:],
        )
    if took.code not in accepted:
        raise Failed(words, took)
    return took


def _text(stream: Any) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")

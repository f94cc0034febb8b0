"""How long the analyst's PDF of many exposed messages takes, printed in full, in each language.

    python bench/pdf.py                              # 10,000 messages, three runs for each language
    python bench/pdf.py --messages 2000 --runs 1

The document is the made-up one of the tests with so many messages in its exposure, every one of them printed
(`report --in-full`). Each run is a process of its own; processor time (user and system) counts from the document to the
bytes, after a first small report has loaded what a process loads once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

LANGUAGES = ("en", "fr")
GOAL_S = 5.0
_TESTS = Path(__file__).resolve().parents[1] / "tests"
_RUN = """
import dataclasses, json, re, sys, time
sys.path.insert(0, sys.argv[1])
from brokenseal.model import Reading
from brokenseal.reports import pdf
from reports.documents import MAILBOXES, exposure, message, rich_document
lines = tuple(message(number, MAILBOXES[number % 6]) for number in range(int(sys.argv[3])))
document = dataclasses.replace(rich_document(), exposure=exposure("all", lines))
# Libraries, fonts and the engine that draws figures are loaded once for a process, whatever it renders.
pdf.render_for(rich_document(), sys.argv[2], Reading())
before, begun = time.process_time(), time.perf_counter()
made = pdf.render_for(document, sys.argv[2], Reading(in_full=True))
waited, took = time.perf_counter() - begun, time.process_time() - before
pages = max(map(int, re.findall(rb"/Count (\\d+)", made)))
print(json.dumps({"waited": waited, "seconds": took, "pages": pages, "bytes": len(made)}))
"""


def measured(lang: str, messages: int) -> dict[str, float]:
    """Seconds by the clock and of the processor, pages and bytes of one run."""
    command = [sys.executable, "-c", _RUN, str(_TESTS), lang, str(messages)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    """Print a line for each language; 1 where one misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    print(f"{'':4}{'s by the clock (each)':24}{'median':>8}{'CPU s':>8}{'pages':>8}{'MB':>8}")
    worst = 0.0
    for lang in LANGUAGES:
        runs = [measured(lang, chosen.messages) for _ in range(chosen.runs)]
        seconds = [run["waited"] for run in runs]
        median, cpu = statistics.median(seconds), statistics.median(run["seconds"] for run in runs)
        worst = max(worst, median)
        each = " ".join(f"{second:.2f}" for second in seconds)
        print(f"{lang:4}{each:24}{median:8.2f}{cpu:8.2f}{runs[0]['pages']:8.0f}{runs[0]['bytes'] / 1e6:8.2f}")
    return int(worst > GOAL_S)


if __name__ == "__main__":
    sys.exit(main())

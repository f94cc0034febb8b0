"""Put the screens into docs/tutorial.md by running the commands that it names, on the sample tenant.

    python scripts/tutorial_screens.py            write them
    python scripts/tutorial_screens.py --check    exit 1 if one differs

A line `<!-- output: brokenseal … -->` is followed by what that command prints on standard output, in a block. The
commands run one after the other in one empty folder, 80 columns wide.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
_MARK = re.compile(r"<!-- output: brokenseal (?P<call>[^\n]*) -->\n(?:\n```text\n.*?\n```\n)?", re.DOTALL)


def with_screens(page: str) -> str:
    """The page with every screen as the commands print it now.

    Raises:
        subprocess.CalledProcessError: A command of the page does not end well.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _MARK.sub(
            lambda found: (
                f"<!-- output: brokenseal {found['call']} -->\n\n```text\n{_screen(found['call'], folder)}\n```\n"
            ),
            page,
        )


def _screen(call: str, folder: str) -> str:
    command = [sys.executable, "-m", "brokenseal", *shlex.split(call)]
    variables = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    variables.pop("FORCE_COLOR", None)
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, encoding="utf-8", check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def main(arguments: Sequence[str]) -> int:
    """Write or compare; the exit code is 1 where a comparison fails."""
    parser = argparse.ArgumentParser(description="Put the screens into the tutorial.")
    parser.add_argument("--check", action="store_true", help="compare only")
    only_check = parser.parse_args(arguments).check
    page = TUTORIAL.read_text(encoding="utf-8")
    now = with_screens(page)
    if page == now:
        return 0
    if only_check:
        sys.stderr.write("docs/tutorial.md: a screen differs from what the command prints\n")
        return 1
    TUTORIAL.write_text(now, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

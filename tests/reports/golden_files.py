"""Golden files: what a report looked like when somebody last looked at it. `BROKENSEAL_GOLDEN=write` writes them anew."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def matches_golden(name, text):
    path = FOLDER / name
    if os.environ.get("BROKENSEAL_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()
    return True

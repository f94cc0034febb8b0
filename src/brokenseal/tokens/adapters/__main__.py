"""`python -m brokenseal.tokens.adapters`: print the table of verifiers that the documentation shows."""

from __future__ import annotations

import datetime as dt
import sys

from brokenseal.tokens._library_table import run

if __name__ == "__main__":
    sys.stdout.write(run(now=dt.datetime.now(tz=dt.UTC)) + "\n")

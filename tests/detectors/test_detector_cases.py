"""Cases as data: a name, a reason, a few rows, and exactly the hits they must give.

A case file holds `defaults` (columns by table that every row of it has), `tables` (rows by table; `at` is seconds after
2025-03-03 08:00 UTC) and `hits` (variant, group_key, role, event_id, and any other column of HIT worth pinning).
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from detector_runner import COMPUTING, runner_of

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*/*.json") if path.parent.name not in COMPUTING)


def rows_of(case):
    """The rows of a case, with `at` and `iat` turned into times, `repeat` into rows, and the defaults filled in."""
    tables = {}
    for name, rows in case["tables"].items():
        for row in rows:
            plain = {**case.get("defaults", {}).get(name, {}), **row}
            for number in range(plain.pop("repeat", 1)):
                made = {
                    column: value.format(n=number) if isinstance(value, str) else value
                    for column, value in plain.items()
                    if column not in {"at", "iat", "every"}
                }
                made["occurred_at"] = START + dt.timedelta(seconds=plain.get("at", 0) + number * plain.get("every", 0))
                if "iat" in plain:
                    issued = plain["iat"] + number * plain.get("every", 0)
                    made["token_issued_at"] = START + dt.timedelta(seconds=issued)
                tables.setdefault(name, []).append(made)
    for row in tables.get("change_settings", ()):
        del row["occurred_at"]
    return tables


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    assert set(case) <= {"name", "reason", "defaults", "tables", "hits"}
    run = runner_of(path.parent.name)
    rows = rows_of(case)
    assert set(rows) <= set(run.names), "rows of a table that the detector does not read"
    hits = run(rows)
    columns = sorted({column for hit in case["hits"] for column in hit})
    found = sorted(({column: hit[column] for column in columns} for hit in hits), key=repr)
    assert len(hits) == len(case["hits"])
    assert found == sorted(({column: hit.get(column) for column in columns} for hit in case["hits"]), key=repr)

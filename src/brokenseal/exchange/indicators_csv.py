"""CSV of the indicators, one a line: values exactly as logs hold them, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from brokenseal.exchange.stix_bundle import valid_until
from brokenseal.reports._escape import cell

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from brokenseal.exchange.shared import Shared

COLUMNS: Final = (
    "kind",
    "value",
    "first_at",
    "last_at",
    "valid_until",
    "records",
    "confidence",
    "cases",
    "attack",
    "marking",
    "simulated",
)


def csv_text(columns: Iterable[str], rows: Iterable[Iterable[str]], *, mark: bool = True) -> bytes:
    """RFC 4180 in UTF-8; every cell is quoted text that starts no formula.

    Args:
        columns: Names of the columns.
        rows: Cells in the order of the columns.
        mark: Begin with a byte order mark, which spreadsheets want and other programs may take for text.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return out.getvalue().encode("utf-8-sig" if mark else "utf-8")


def indicators_csv(shared: Shared) -> bytes:
    """The indicators in the order of the document."""
    return csv_text(
        COLUMNS,
        (
            (
                each.kind,
                each.value,
                _time(each.first_at),
                _time(each.last_at),
                _time(valid_until(each.kind, each.last_at)),
                str(each.records),
                "" if each.confidence is None else str(each.confidence),
                " ".join(each.cases),
                " ".join(each.attack),
                shared.tlp.label,
                "yes" if shared.simulated else "no",
            )
            for each in shared.indicators
        ),
    )


def _time(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

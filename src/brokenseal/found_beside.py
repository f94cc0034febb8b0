"""What another process finds in the same records: doors, plain rules, all reading.

    this process     coverage ─ clusters ─ marks of sessions ─▶ judgement ─ findings ─▶ cases ─ exposures of cases
    the other one    clusters ─ doors and their marks ─ plain rules ─ exposure of everything ─▶ imports for a page

A short detection is mostly Python that writes questions, which one process does one after the other. Both ask the same
questions of the same files, so that the document is that of one process; what the other one does not answer, or would
answer of other files because somebody ingested meanwhile, is asked here.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.detectors import MARKING_DOORS, PLAIN, open_door
from brokenseal.exposure import exposure
from brokenseal.findings import hits_of
from brokenseal.judgement import clustered, kept_parts, run_marks
from brokenseal.selection import Selection
from brokenseal.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from brokenseal.helper import Helper
    from brokenseal.model import Exposure, Tables
    from brokenseal.settings import Settings

MOST_RECORDS: Final = 1_000_000
"""In a larger store the engine works longer than Python and has both cores by itself; memory counts there."""

Versions = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What is known of changes of configuration.

    Attributes:
        parts: Rows of what `open_door.parts` names.
        marks: Rows of `schema.MARK` by detector.
    """

    parts: Mapping[str, pa.Table]
    marks: Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Answers of another process, which are waited for when they are asked for; None where it has none.

    Attributes:
        doors: See there.
        hits: By detector, rows of `schema.HIT`.
        everything: What was read in all mail accesses.
    """

    doors: Callable[[], Doors | None]
    hits: Mapping[str, Callable[[], pa.Table | None]]
    everything: Callable[[], Exposure | None]


def _nothing() -> None:
    return None


NOBODY: Final = Beside(doors=_nothing, hits={}, everything=_nothing)
"""All is asked in this process."""


def versions_of(store: Store) -> Versions:
    """Which state of the tables is meant; to be taken before they are read."""
    return tuple(store.versions().items())


def helping(helper: Helper | None, store: Store, versions: Versions) -> Helper | None:
    """The helper, which is opening the store; None where it does not pay to have it look at it.

    Args:
        helper: The process, if there is one.
        store: Whose records.
        versions: As `versions_of` gives them, before the caller reads its tables.
    """
    if helper is None or sum(row["kept"] or 0 for row in store.ledger_rows()) > MOST_RECORDS:
        return None
    helper.ask(is_open, store.settings, versions)
    return helper


def begin(helper: Helper | None, store: Store, versions: Versions, unmet: Sequence[str]) -> Beside:
    """Have another process look at the store as well.

    Args:
        helper: As `helping` gives it.
        store: As for `helping`.
        versions: As for `helping`.
        unmet: Needs that the logs do not meet.
    """
    if helper is None:
        return NOBODY
    which = (store.settings, versions)
    doors = helper.ask(doors_in, *which, tuple(unmet))
    hits = helper.ask(hits_in, *which, tuple(unmet))
    return Beside(
        doors=doors,
        hits={detector.id: functools.partial(_of, hits, detector.id) for detector in PLAIN},
        everything=helper.ask(everything_in, *which),
    )


def _of(said: Callable[[], Mapping[str, pa.Table] | None], detector_id: str) -> pa.Table | None:
    hits = said()
    return None if hits is None else hits[detector_id]


def is_open(settings: Settings, versions: Versions) -> bool:
    """Whether the store is of that state; its tables are ready afterwards."""
    return _opened(settings, versions) is not None


def doors_in(settings: Settings, versions: Versions, unmet: Sequence[str]) -> Doors | None:
    """What is known of doors; None where the store is of another state by now."""
    opened = _opened(settings, versions)
    if opened is None:
        return None
    parts = {name: opened.tables[name].to_pyarrow() for name in open_door.parts(opened.tables)}
    return Doors(parts=parts, marks=run_marks(opened.tables, MARKING_DOORS, unmet))


def hits_in(settings: Settings, versions: Versions, unmet: Sequence[str]) -> Mapping[str, pa.Table] | None:
    """What detectors find that rest on no judgement; None as above."""
    opened = _opened(settings, versions)
    return None if opened is None else hits_of(PLAIN, opened.tables, unmet)


def everything_in(settings: Settings, versions: Versions) -> Exposure | None:
    """What was read in all mail accesses; None as above."""
    opened = _opened(settings, versions)
    return None if opened is None else exposure(opened.tables, Selection.everything())


class _Opened(NamedTuple):
    """A store whose tables stay worked out as long as this is kept."""

    tables: Tables
    kept: contextlib.ExitStack


@functools.lru_cache(maxsize=1)
def _opened(settings: Settings, versions: Versions) -> _Opened | None:
    # One question comes after the other, of the same store; what is kept for the next one ends with the process.
    store = Store.open(settings)
    tables = store.tables()
    if versions_of(store) != versions:
        return None
    kept = contextlib.ExitStack()
    known = kept.enter_context(clustered(tables))
    return _Opened(tables=kept.enter_context(kept_parts(known, open_door.parts)), kept=kept)

"""Every log that the product can read, in the order in which they are tried.

Adding one is a module that exports `SOURCE` and a line in `SOURCES`. A record is recognised by its keys and a few
values, never by the name of its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from brokenseal.sources import (
    cloud_app_events,
    entra_audit,
    entra_sign_in,
    graph_activity,
    message_trace,
    office_activity,
    unified_audit,
)
from brokenseal.sources._unwrap import unwrap_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import Record, Source

SOURCES: tuple[Source, ...] = (
    unified_audit.SOURCE,
    cloud_app_events.SOURCE,
    office_activity.SOURCE,
    entra_sign_in.SOURCE,
    entra_audit.SOURCE,
    graph_activity.SOURCE,
    message_trace.SOURCE,
)


def identify(record: object) -> tuple[Source, str] | None:
    """The source that knows the record and the shape it has there, or None; never raises."""
    if not isinstance(record, Mapping):
        return None
    for source in SOURCES:
        shape = source.sniff(record)
        if shape is not None:
            return source, shape
    return None


def _is_known(record: object) -> bool:
    return identify(record) is not None


def unwrap(record: Record) -> Iterator[Record]:
    """The record itself where a source knows it, else what stands inside its wrappers; see `_unwrap.unwrap_with`."""
    return unwrap_with(record, _is_known)

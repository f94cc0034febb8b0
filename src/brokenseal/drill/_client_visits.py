"""Visits to mailboxes as the clients see them, and what is done in them, as plain columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill.tables import ACTION_KINDS, READ_SCOPES, SECOND_US, Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

KIND: Final = {name: code for code, name in enumerate(ACTION_KINDS)}
SCOPE: Final = {name: code for code, name in enumerate(READ_SCOPES)}

PLAIN, WEB, MOBILE, SERVICE, POLLER, FETCHER, DESKTOP = range(7)
"""Habits of clients.

Opens what it is told to; shows conversations in a reading pane (web, phone); Microsoft service that is woken now and
then; application that asks for news; downloads everything new at once; keeps copies of folders.
"""

_HABIT_OF_CLASS: Final = {
    "owa": WEB,
    "new_outlook": WEB,
    "outlook_ios": MOBILE,
    "outlook_android": MOBILE,
    "background": SERVICE,
    "app_rest": POLLER,
    "app_ews": POLLER,
    "apple_mail": FETCHER,
    "thunderbird": FETCHER,
    "outlook_desktop": DESKTOP,
}


class Visits(NamedTuple):
    """The visits to mailboxes, as arrays; `row` is the row of INTENT."""

    row: Ints
    mailbox: Ints
    identity: Ints
    starts: Ints
    length: Ints
    reads: Ints
    scope: Ints
    folder_scope: Ints
    pace_s: npt.NDArray[np.float64]
    habit: Ints
    copies: Bools

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Visits:
        """Some of the visits."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in self._fields}
        return Visits(**columns)


class Done(NamedTuple):
    """Things done, as arrays."""

    visit: Ints  # index into Visits
    at: Ints
    kind: Ints
    message: Ints
    folder: Ints
    to_folder: Ints

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Done:
        """Some of the things done."""
        return Done(*(column[rows] for column in self))


def together(pieces: list[Done]) -> Done:
    """All of several lists of things done."""
    return Done(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def done(visit: Ints, at: Ints, kind: str, message: Ints, folder: Ints) -> Done:
    """Things of one kind that move nothing."""
    count = len(visit)
    return Done(visit, at, np.full(count, KIND[kind]), message, folder, np.full(count, -1, dtype=np.int64))


def codes(column: Coded, order: dict[str, int], *, otherwise: int = -1) -> Ints:
    """The number of each row's word."""
    numbered: Ints = np.array([*(order.get(word, otherwise) for word in column.words), otherwise], dtype=np.int64)[
        column.codes
    ]
    return numbered


def ranks(group: Ints) -> Ints:
    """Place of each row within its run of equal values, from 0."""
    if not len(group):
        return np.empty(0, dtype=np.int64)
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    return np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group))))


def visits_of(intents: pa.Table, day_ends: int) -> Visits:
    """The visits of a day that open a mailbox; they end at the end of the day at the latest."""
    opens = is_one_of(coded(intents, "kind"), "read", "sync") & (numbers(intents, "mailbox_no") >= 0)
    row = np.flatnonzero(opens & ~numbers(intents, "sign_in_fails"))
    starts = numbers(intents, "starts_at_us")[row]
    length = np.maximum((numbers(intents, "duration_s")[row] * SECOND_US).astype(np.int64), 30 * SECOND_US)
    return Visits(
        row=row,
        mailbox=numbers(intents, "mailbox_no")[row].astype(np.int64),
        identity=numbers(intents, "identity_no")[row].astype(np.int64),
        starts=starts,
        length=np.clip(day_ends - starts - 1, 1, length),
        reads=numbers(intents, "reads")[row].astype(np.int64),
        scope=codes(coded(intents, "read_scope").take(row), SCOPE),
        folder_scope=codes(coded(intents, "folder_scope").take(row), {"inbox": 0, "usual": 1, "any": 2}),
        pace_s=numbers(intents, "pace_s")[row],
        habit=codes(coded(intents, "client_class").take(row), _HABIT_OF_CLASS, otherwise=PLAIN),
        copies=numbers(intents, "syncs")[row] > 0,
    )

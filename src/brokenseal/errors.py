"""Every error of the product.

::

    BrokensealError
    ├── UsageError            the call itself cannot be carried out (exit 2)
    ├── InputError            an input as a whole: place, value, expectation
    │   ├── ContainerRefused  an archive that is a bomb, a traversal, locked or damaged
    │   └── NothingReadable   no input held a single record (exit 4)
    ├── RecordRejected        one record; the caller quarantines it and goes on
    ├── StoreError            the store is absent, foreign or damaged
    │   └── StoreBusy         another process writes to it
    ├── EngineFailed          what carries out the detection stopped: a cluster that is gone, a disk that is full
    └── EvidenceChanged       recorded text or ledger differs from what was written

Each error keeps place, value and expectation as fields; its text is built from them, so that a
caller never has to parse a message.
"""

from __future__ import annotations

_SHOWN = 120


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


class BrokensealError(Exception):
    """Root of all errors that the product raises on purpose.

    Attributes:
        place: File, archive member, option or table that the error is about.
        value: What was found there, as text, or None.
        expected: What would have been right.
    """

    def __init__(self, *, place: str, value: object = None, expected: str) -> None:
        self.place = place
        self.value = None if value is None else str(value)
        self.expected = expected
        found = "" if value is None else f" found {_shorten(self.value)!r};"
        super().__init__(f"{place}:{found} expected {expected}")


class UsageError(BrokensealError):
    """The call itself cannot be carried out: a wrong option, an identifier that does not exist."""


class InputError(BrokensealError):
    """An input as a whole cannot be read."""


class ContainerRefused(InputError):
    """An archive that must not or cannot be opened: bomb, traversal, link, wrong password, damage."""


class NothingReadable(InputError):
    """No input held a single record that any source knows.

    Attributes:
        reasons: What is the matter with each input, as the ledger keeps it: path and `code: detail`.
    """

    def __init__(
        self, *, place: str, value: object = None, expected: str, reasons: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.reasons = reasons
        super().__init__(place=place, value=value, expected=expected)


class RecordRejected(BrokensealError):
    """One record cannot be normalised; it goes to quarantine with this reason.

    Attributes:
        column: The field that is wrong, or "record" for the whole of it.
        reason: One word of `schema.QUARANTINE_REASONS`.
    """

    def __init__(self, *, column: str, reason: str, value: object = None, expected: str) -> None:
        self.column = column
        self.reason = reason
        super().__init__(place=column, value=value, expected=expected)


class StoreError(BrokensealError):
    """The store folder is absent, belongs to something else, or is damaged."""


class StoreBusy(StoreError):
    """Another process is writing to the store."""


class EngineFailed(BrokensealError):
    """The engine that carries out the expressions stopped."""


class EvidenceChanged(BrokensealError):
    """Recorded text or the ledger is not what was written at ingest."""

"""What every adapter needs of the expectation: all published keys in one set, and the time-independent texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def merged(expectation: Mapping[str, Any]) -> dict[str, Any]:
    """All key documents as one key set, as an application builds it that trusts all of them; order is kept."""
    return {"keys": [key for document in expectation["keys"].values() for key in document["keys"]]}

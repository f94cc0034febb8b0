"""A folder that comes into being whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
from typing import TYPE_CHECKING, Final

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OURS: Final = frozenset({"exports", "truth", "manifest.json"})
_FULL: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file grew larger than is allowed here",
}


def require_absent(output: Path) -> None:
    """Refuse an output folder that holds something.

    Raises:
        UsageError: It holds something, is no folder, or cannot be looked into.
    """
    try:
        is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    except OSError as error:
        raise UsageError(place=str(output), value=_words(error), expected="a folder that can be read") from error
    if not is_free:
        raise UsageError(place=str(output), expected="a folder that is absent or empty")


@contextlib.contextmanager
def put_in_place(output: Path) -> Iterator[Path]:
    """A folder beside `output` to write into; it becomes `output` when the block ends well, else it is removed.

    Raises:
        UsageError: The folder cannot be written (a full disk, no permission); nothing is left behind then.
    """
    part = output.with_name(f"{output.name}.part")
    is_made = False
    try:
        _clear(part)
        part.mkdir(parents=True)
        is_made = True
        yield part
        if output.exists():
            output.rmdir()
        part.rename(output)
    except OSError as error:
        raise UsageError(
            place=str(output), value=_words(error), expected="a folder that can be written, with room for the drill"
        ) from error
    finally:
        if is_made:
            with contextlib.suppress(OSError):
                shutil.rmtree(part)


def _clear(part: Path) -> None:
    """Remove what a killed run left, and nothing that may be somebody's."""
    if not part.exists():
        return
    if not part.is_dir() or {path.name for path in part.iterdir()} - _OURS:
        raise UsageError(place=str(part), expected="no file or folder of this name: the drill is written there first")
    shutil.rmtree(part)


def _words(error: OSError) -> str:
    return _FULL.get(error.errno or 0, error.strerror or str(error))

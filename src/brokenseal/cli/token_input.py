"""What the token commands take and give: a token that may be a secret, a time, and bytes."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

from brokenseal.cli.output import note, now
from brokenseal.errors import UsageError


def token_of(given: str) -> str:
    """The token of an argument; never repeated in an error, because it may be a secret that was mistyped.

    Raises:
        UsageError: The argument is neither a token nor a file that can be read.
    """
    from brokenseal.tokens.reading import LARGEST_BYTES, bare

    place = "token: standard input"
    if given == "-":
        raw = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    elif _is_file(given):
        place = f"token: {given}"
        try:
            with Path(given).open("rb") as stream:
                raw = stream.read(LARGEST_BYTES + 1)
        except OSError as err:
            raise UsageError(place=place, value=err.strerror or err, expected="a file that can be read") from err
    elif given.count(".") >= 2 and "/" not in given:  # noqa: PLR2004  two points part the three parts of a token
        note("brokenseal: a token on the command line stays in the shell's history and is seen in the process list;")
        note("brokenseal: give a file, or - and pipe it in")
        return bare(given)
    else:
        raise UsageError(place="token", expected="a file that can be read, - for standard input, or a token")
    if len(raw) > LARGEST_BYTES:
        raise UsageError(place=place, value="more", expected=f"one token of at most {LARGEST_BYTES} bytes")
    return bare(raw.decode("utf-8", "replace"))


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # longer than any file name, or with characters that none has
        return False


def moment(text: str | None) -> dt.datetime:
    """The time of `--at`, or the present one.

    Raises:
        UsageError: The text is no time.
    """
    if text is None:
        return now()
    try:
        found = dt.datetime.fromisoformat(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(place="--at", value=text, expected="an ISO 8601 time, e.g. 2023-06-27T00:00:00Z") from err


def keep_token(text: str, target: Path | None) -> None:
    """Write the token for its owner only; a file that is there already is not overwritten.

    Raises:
        UsageError: The file exists, or cannot be written.
    """
    if target is None:
        return
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as stream:
            stream.write(f"{text}\n")
    except OSError as err:
        raise UsageError(place=f"--keep {target}", value=err.strerror or err, expected="a new file") from err


def print_bytes(content: bytes) -> None:
    """Bytes on standard output as they are."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()

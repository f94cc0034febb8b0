"""What commands take: enumerations, options that several of them share, and the settings made of them."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from brokenseal.settings import Settings


class Exit(IntEnum):
    """Exit codes; the documentation's table is generated from this class."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    NOTHING_READABLE = 4


class Lang(StrEnum):
    """Languages of reports and screens."""

    EN = "en"
    FR = "fr"


class Format(StrEnum):
    """Report formats."""

    HTML = "html"
    XLSX = "xlsx"
    JSON = "json"
    MD = "md"
    CSV = "csv"


class Threshold(StrEnum):
    """Severities that --fail-on takes."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Exports = Annotated[
    list[Path],
    typer.Argument(metavar="EXPORT...", exists=True, help="Files, folders or archives, as they were exported."),
]
StoreDir = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store; made if absent.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Language = Annotated[Lang, typer.Option("--lang", help="Language of what is written.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="File whose first line opens encrypted archives.")
]
FailOn = Annotated[
    Threshold | None, typer.Option("--fail-on", help="Exit with 1 if a case of this severity or above stands.")
]


def settings_of(store: Path, password_file: Path | None = None) -> Settings:
    """The settings of a command.

    Raises:
        UsageError: The password file cannot be read or is empty.
    """
    from brokenseal.settings import from_environment

    password = None
    if password_file is not None:
        try:
            password = password_file.read_bytes().splitlines()[0]
        except (OSError, IndexError) as err:
            raise UsageError(
                place=f"--password-file {password_file}", value=err, expected="a readable file with a line of text"
            ) from err
    return from_environment(store, password=password)

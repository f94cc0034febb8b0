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
    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    JSON = "json"
    MD = "md"
    CSV = "csv"


class Audience(StrEnum):
    """Readers of reports."""

    ANALYST = "analyst"
    MANAGEMENT = "management"
    COUNSEL = "counsel"


class Marking(StrEnum):
    """Levels of the Traffic Light Protocol 2.0."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"


class Threshold(StrEnum):
    """Severities that --fail-on takes."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Engine(StrEnum):
    """What carries out detection and exposure."""

    DUCKDB = "duckdb"
    SPARK = "spark"


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
ForWhom = Annotated[
    Audience, typer.Option("--for", help="Reader: all of it, one page in plain words, or facts and chain of custody.")
]
Tlp = Annotated[
    Marking | None,
    typer.Option("--tlp", help="How far the report may travel; PDF and DOCX default to amber+strict, others to none."),
]
OnEngine = Annotated[Engine, typer.Option("--engine", help="What carries out the work: this process, or Spark.")]
Master = Annotated[
    str | None,
    typer.Option("--master", metavar="URL", help="Spark cluster, as spark://host:7077; default: in this process."),
]

OWN_RULES_WORD = "own"
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rules",
        metavar="PATH",
        help="Sigma rules to be run beside the detectors: a file, a folder, or `own` for ours; repeatable.",
    ),
]


def rule_paths(words: list[str] | None) -> tuple[Path, ...]:
    """The files and folders that `--rules` names, each once.

    Raises:
        UsageError: One of them is not there.
    """
    found: list[Path] = []
    for word in dict.fromkeys(words or ()):
        path = Path(word)
        if word == OWN_RULES_WORD:
            from brokenseal.sigma import OWN_RULES

            path = OWN_RULES
        elif not path.exists():
            raise UsageError(place="--rules", value=word, expected="a file of rules, a folder of them, or the word own")
        found.append(path)
    return tuple(found)


def settings_of(
    store: Path, password_file: Path | None = None, *, engine: Engine = Engine.DUCKDB, master: str | None = None
) -> Settings:
    """The settings of a command.

    Raises:
        UsageError: The password file cannot be read or is empty, or a cluster is named for another engine.
    """
    from brokenseal.settings import from_environment

    if master is not None and engine is not Engine.SPARK:
        raise UsageError(place="--master", value=master, expected="--engine spark with it")
    password = None
    if password_file is not None:
        try:
            password = password_file.read_bytes().splitlines()[0]
        except (OSError, IndexError) as err:
            raise UsageError(
                place=f"--password-file {password_file}", value=err, expected="a readable file with a line of text"
            ) from err
    return from_environment(store, password=password, engine=engine.value, master=master)

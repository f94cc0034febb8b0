"""Write every report and every exchange format of every organisation of a finished replay, and check each of them.

    brokenseal drill replay storm-0558 -o DIR --run
    python scripts/replay_outputs.py DIR -o OUT [--epoch 2023] [--only 1,18] [--processes 2] [--again]

Reports: all formats, both languages, all readers. Exchange: all formats under both profiles; bundles of STIX pass
stix2-validator in strict mode with no warning, and read back to the facts that they were made from. Below
OUT/<epoch>/<organisation>/ stand the files, and outputs.json with size and CPU seconds of each; the screen says them by
kind. Ends with 1 if anything failed, or a French file fell back on English. Everything in it is simulated.

A run that was stopped goes on: organisations with an outputs.json are not done again. `--again` does them again, from
document.json of the earlier run in place of the stores.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import dataclasses
import gettext
import io
import json
import multiprocessing
import statistics
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokenseal.exchange.shared import Shared
    from brokenseal.model import CaseDocument, Reporter

READERS = ("analyst", "management", "counsel")
PROFILES = ("default", "victim")
PRODUCER = "Provider CERT"
_FAILURE_LIMIT = 400


@dataclass(frozen=True, kw_only=True)
class Job:
    """One organisation in one log epoch."""

    epoch: str
    organisation: str
    store: Path
    out: Path
    again: bool


@dataclass(frozen=True, kw_only=True)
class Output:
    """One file: which, how large, CPU seconds of writing it, and what is wrong with it."""

    epoch: str
    organisation: str
    kind: str
    name: str
    bytes: int
    seconds: float
    failure: str | None


class Untranslated(gettext.NullTranslations):
    """What the French catalogue asks when it has no words of its own: it remembers what for."""

    def __init__(self) -> None:
        """Nothing asked yet."""
        super().__init__()
        self.asked: set[str] = set()

    def gettext(self, message: str) -> str:
        """The English words, remembered."""
        self.asked.add(message)
        return message


# ---------------------------------------------------------------- one organisation


class Desk:
    """Writes the files of one organisation, and keeps what came of it."""

    def __init__(self, job: Job) -> None:
        """Nothing is written yet."""
        from brokenseal.wording import translations

        self.job = job
        self.done: list[Output] = []
        self._english = Untranslated()
        translations.cache_clear()
        translations("fr").add_fallback(self._english)
        job.out.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, name: str, make: Callable[[], bytes], check: Callable[[bytes], None]) -> None:
        """Make one file and check it; what goes wrong stands in its line, and the others are made nevertheless."""
        self._english.asked.clear()
        begun, seconds, content, failure = time.process_time(), 0.0, b"", None
        try:
            content = make()
            seconds = time.process_time() - begun
            (self.job.out / name).write_bytes(content)
            check(content)
            _hold(not self._english.asked, f"said in English: {sorted(self._english.asked)[:3]}")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs into the table
            failure = f"{type(error).__name__}: {error}"[:_FAILURE_LIMIT]
        self.done.append(
            Output(
                epoch=self.job.epoch,
                organisation=self.job.organisation,
                kind=kind,
                name=name,
                bytes=len(content),
                seconds=round(seconds, 3),
                failure=failure,
            )
        )


def outputs_of(job: Job) -> list[Output]:
    """Write and check everything of one organisation, unless an earlier run has."""
    listed = job.out / "outputs.json"
    if listed.exists() and not job.again:
        return [Output(**each) for each in json.loads(listed.read_text(encoding="utf-8"))]
    done = _made(job)
    text = json.dumps([dataclasses.asdict(each) for each in done], indent=1)
    listed.write_text(text + "\n", encoding="utf-8")
    return done


def _made(job: Job) -> list[Output]:
    from brokenseal.exchange import FORMATS
    from brokenseal.reports import REPORTERS
    from brokenseal.reports.json_document import document_to_json

    desk = Desk(job)
    found: list[CaseDocument] = []

    def document() -> bytes:
        found.append(_document(job))
        return document_to_json(found[0])

    desk.write("document", "document.json", document, _is_text)
    if not found:
        return desk.done
    for reporter in REPORTERS:
        for kind, name, make, check in _reports(reporter, found[0]):
            desk.write(kind, name, make, check)
    for profile in PROFILES:
        shared = _shared(found[0], profile)
        for form in FORMATS:
            check = _checked_bundle(shared) if form.name == "stix" else _is_text
            name = f"share.{profile}{form.suffix}"
            desk.write(f"share {form.name} {profile}", name, _rendered(form.render, found[0], shared), check)
    return desk.done


def _document(job: Job) -> CaseDocument:
    from brokenseal.investigate import document_of
    from brokenseal.reports.json_document import document_from_json
    from brokenseal.settings import Settings
    from brokenseal.store import Store

    if job.again and (job.out / "document.json").exists():
        return document_from_json((job.out / "document.json").read_bytes())
    return document_of(Store.open(Settings(store_dir=job.store)))


def _reports(
    reporter: Reporter, document: CaseDocument
) -> Iterator[tuple[str, str, Callable[[], bytes], Callable[[bytes], None]]]:
    from brokenseal.investigate import render
    from brokenseal.model import Reading

    for lang in ("en", "fr"):
        for reader in READERS if reporter.render_for is not None else READERS[:1]:
            who = f".{reader}" if reporter.render_for is not None else ""

            def make(lang: str = lang, reader: str = reader) -> bytes:
                return render(document, reporter.name, lang, Reading(reader=reader))  # type: ignore[arg-type]

            def check(content: bytes, lang: str = lang) -> None:
                _check_report(reporter.name, content, lang, document)

            kind = f"{reporter.name} {who[1:]}".strip()
            yield kind, f"report{who}.{lang}.{reporter.name}", make, check


def _check_report(form: str, content: bytes, lang: str, document: CaseDocument) -> None:
    """Raises: What is wrong with the file."""
    from brokenseal.reports.json_document import document_from_json

    if form == "json":
        _hold(document_from_json(content) == document, "reads back to another document")
    elif form == "pdf":
        _hold(content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF"), "no whole PDF")
    elif form in {"docx", "xlsx"}:
        _hold(zipfile.ZipFile(io.BytesIO(content)).testzip() is None, "damaged archive")
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        _hold(len({len(row) for row in rows}) == 1, "rows of different lengths")
    else:
        text = content.decode("utf-8")
        _hold({"en": "simulated", "fr": "simul"}[lang] in text.lower(), "does not say that it is simulated")
        _hold(form != "html" or f'lang="{lang}"' in text[:400], "HTML without its language")


def _hold(condition: bool, failure: str) -> None:  # noqa: FBT001 - a condition and what its absence means
    if not condition:
        raise ValueError(failure)


def _shared(document: CaseDocument, profile: str) -> Shared:
    from brokenseal.exchange.indicators import share
    from brokenseal.exchange.shared import Terms
    from brokenseal.exchange.tlp import Tlp

    if profile == "victim":
        return share(document, Terms(tlp=Tlp.RED, profile="victim", producer=PRODUCER)).shared
    return share(document, Terms(producer=PRODUCER)).shared


def _rendered(
    render: Callable[[CaseDocument, Shared], bytes], document: CaseDocument, shared: Shared
) -> Callable[[], bytes]:
    return lambda: render(document, shared)


def _is_text(content: bytes) -> None:
    content.decode("utf-8")


def _checked_bundle(shared: Shared) -> Callable[[bytes], None]:
    def check(content: bytes) -> None:
        from stix2validator import ValidationOptions, validate_string

        from brokenseal.exchange.stix_import import read_bundle

        seen = validate_string(content.decode(), ValidationOptions(version="2.1", strict=True, enforce_refs=True))
        said = [str(each) for each in (*seen.errors, *(seen.warnings or ()))]
        _hold(not said, f"stix2-validator: {said[:3]}")
        read = read_bundle(content, place="bundle")
        _hold(read.shared == shared and not read.unread, "reads back to other facts")

    return check


# ---------------------------------------------------------------- all of them


def jobs_of(replay: Path, out: Path, epochs: list[str], only: set[int] | None, *, again: bool) -> list[Job]:
    """The organisations of the replay that were asked for, by epoch and number."""
    return [
        Job(
            epoch=epoch,
            organisation=place.name,
            store=place / "store",
            out=out / epoch / place.name,
            again=again,
        )
        for epoch in epochs
        for place in sorted((replay / epoch).iterdir())
        if only is None or int(place.name) in only
    ]


def table(outputs: list[Output]) -> Iterator[str]:
    """What was written, by kind, as Markdown."""
    yield "| kind | files | median size | largest | median CPU s | longest | failed |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for kind in dict.fromkeys(each.kind for each in outputs):
        own = [each for each in outputs if each.kind == kind]
        sizes, seconds = [each.bytes for each in own], [each.seconds for each in own]
        yield (
            f"| {kind} | {len(own)} | {_size(statistics.median(sizes))} | {_size(max(sizes))} | "
            f"{statistics.median(seconds):.2f} | {max(seconds):.2f} | {sum(each.failure is not None for each in own)} |"
        )
    failed = [each for each in outputs if each.failure is not None]
    total = sum(each.seconds for each in outputs)
    yield ""
    yield f"{len(outputs)} files, {_size(sum(each.bytes for each in outputs))}, {total:.0f} CPU s, {len(failed)} failed"
    yield from (f"FAILED {each.epoch}/{each.organisation}/{each.name}: {each.failure}" for each in failed)


def _size(count: float) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{count / 1000:.1f} kB"  # noqa: PLR2004


def main() -> int:
    """Write everything; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("replay", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epoch", choices=("2023", "2026"), action="append")
    parser.add_argument("--only", type=lambda text: {int(each) for each in text.split(",")})
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    jobs = jobs_of(asked.replay, asked.output, asked.epoch or ["2023", "2026"], asked.only, again=asked.again)
    outputs: list[Output] = []
    context = multiprocessing.get_context("spawn")
    # One organisation a process: what it took is its own, and its memory is given back.
    with concurrent.futures.ProcessPoolExecutor(asked.processes, mp_context=context, max_tasks_per_child=1) as pool:
        for job, done in zip(jobs, pool.map(outputs_of, jobs), strict=True):
            outputs += done
            failed = sum(each.failure is not None for each in done)
            print(f"{job.epoch}/{job.organisation}: {len(done)} files, {failed} failed", file=sys.stderr, flush=True)
    print("\n".join(table(outputs)))
    return int(any(each.failure is not None for each in outputs) or not outputs)


if __name__ == "__main__":
    sys.exit(main())

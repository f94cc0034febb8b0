"""Replay a campaign at its real scale: write its simulated logs, and read them as they would have arrived.

    campaign ─ per organisation: logs in order of arrival, truth ─ ingest, detection, exposure ─▶ Found ─▶ story

Everything that it writes is *simulated*; what happened in 2023 is only compared with.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import gc
import multiprocessing
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

import brokenseal
from brokenseal.drill._replay_campaign import LOG_EPOCHS, STORM_0558, Campaign, Organisation, scene_of
from brokenseal.drill._replay_collect import Place, collect
from brokenseal.drill._replay_story import HISTORY, History, Totals, story, totals_of
from brokenseal.drill._replay_watch import Found, watch
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "CAMPAIGNS",
    "Replay",
    "ReplaySettings",
    "Told",
    "parse_campaign",
    "parse_epochs",
    "replay",
    "to_json",
]

CAMPAIGNS: Final = (STORM_0558,)
_HIGHEST_SEED: Final = 2**63 - 1
_MOST_PROCESSES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """What to replay.

    Attributes:
        output: Folder of the replay; absent or empty.
        campaign: The case.
        epochs: Log epochs, keys of `LOG_EPOCHS`.
        is_run: Take the logs through ingest, detection and exposure too.
        seed: Seed.
        processes: Processes that work; results do not depend on it.
        now: Time of the reading, for the ledgers.
        progress: Called with organisations done and organisations in all.
    """

    output: Path
    now: dt.datetime
    campaign: Campaign = STORM_0558
    epochs: tuple[int, ...] = tuple(LOG_EPOCHS)
    is_run: bool = False
    seed: int = 7
    processes: int = 2
    progress: Callable[[int, int], None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One log epoch: every organisation, and all together."""

    totals: Totals
    organisations: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A replay as JSON shows it.

    Attributes:
        simulated: True; no record of it is anybody's.
        history: What happened in 2023, which is not simulated.
        epochs: Empty where the logs were only written.
        story: The story as Markdown; "" where the logs were only written.
    """

    simulated: bool
    campaign: str
    seed: int
    version: str
    output: str
    organisations: int
    history: History
    epochs: tuple[Told, ...]
    story: str


def parse_campaign(name: str) -> Campaign:
    """The campaign of this name.

    Raises:
        UsageError: There is none.
    """
    for campaign in CAMPAIGNS:
        if campaign.name == name.strip().lower():
            return campaign
    raise UsageError(place="campaign", value=name, expected=", ".join(one.name for one in CAMPAIGNS))


def parse_epochs(text: str) -> tuple[int, ...]:
    """Log epochs as asked for on the command line: one, or `both`.

    Raises:
        UsageError: There is no such log epoch.
    """
    known = {"both": tuple(LOG_EPOCHS), **{str(epoch): (epoch,) for epoch in LOG_EPOCHS}}
    epochs = known.get(text.strip().lower())
    if epochs is None:
        raise UsageError(place="epoch", value=text, expected="2023, 2026 or both")
    return epochs


def check(settings: ReplaySettings) -> None:
    """Refuse settings that make no replay.

    Raises:
        UsageError: A value is impossible, or the output folder holds something.
    """
    if not 0 <= settings.seed <= _HIGHEST_SEED:
        raise UsageError(place="seed", value=settings.seed, expected=f"a number from 0 to {_HIGHEST_SEED}")
    if not 1 <= settings.processes <= _MOST_PROCESSES:
        raise UsageError(place="processes", value=settings.processes, expected=f"a number from 1 to {_MOST_PROCESSES}")
    if not settings.epochs or not set(settings.epochs) <= set(LOG_EPOCHS):
        raise UsageError(place="epoch", value=settings.epochs, expected=" or ".join(map(str, LOG_EPOCHS)))
    if settings.output.exists() and (not settings.output.is_dir() or any(settings.output.iterdir())):
        raise UsageError(place=str(settings.output), expected="a folder that is absent or empty")


def replay(settings: ReplaySettings) -> Replay:
    """Write the case, and take it through the product where that is asked for.

    Below `output` stand, per log epoch and organisation, `collected`, `truth` and (after a run) `store`; beside them
    `story.en.md` and `story.json` after a run.

    Raises:
        UsageError: The settings are impossible, the output folder holds something, or it cannot be written (a full
            disk); nothing is left behind then.
    """
    check(settings)
    part = settings.output.with_name(f"{settings.output.name}.part")
    try:
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(parents=True)
        done = _result(settings, _work(settings, part))
        if settings.is_run:
            (part / "story.en.md").write_text(done.story, encoding="utf-8")
            (part / "story.json").write_bytes(to_json(done))
        if settings.output.exists():
            settings.output.rmdir()
        part.rename(settings.output)
    except OSError as error:
        words = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise UsageError(
            place=str(settings.output), value=words, expected="a folder with room for the replay"
        ) from error
    else:
        return done
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(part)


def to_json(done: Replay) -> bytes:
    """A replay as JSON with a final line feed: equal results give equal bytes."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n"


# ---------------------------------------------------------------- the work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    campaign: Campaign
    organisation: Organisation
    epoch: int
    seed: int
    is_run: bool
    now: dt.datetime
    folder: Path


def _jobs(settings: ReplaySettings, part: Path) -> list[_Job]:
    return [
        _Job(
            campaign=settings.campaign,
            organisation=organisation,
            epoch=epoch,
            seed=settings.seed,
            is_run=settings.is_run,
            now=settings.now,
            folder=part / str(epoch) / f"{organisation.number:02d}",
        )
        for epoch in settings.epochs
        for organisation in settings.campaign.organisations
    ]


def _work(settings: ReplaySettings, part: Path) -> list[Found | None]:
    jobs = _jobs(settings, part)
    # The largest first, so that no process is left alone with one at the end.
    order = sorted(range(len(jobs)), key=lambda place: (-jobs[place].organisation.messages, place))
    done: dict[int, Found | None] = {}
    for place, found in _results(settings, jobs, order):
        done[place] = found
        if settings.progress is not None:
            settings.progress(len(done), len(jobs))
    return [done[place] for place in range(len(jobs))]


def _results(settings: ReplaySettings, jobs: list[_Job], order: list[int]) -> Iterator[tuple[int, Found | None]]:
    if settings.processes == 1:
        for place in order:
            yield place, _do(jobs[place])
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(settings.processes, mp_context=context, initializer=_get_ready) as pool:
        futures = {pool.submit(_do, jobs[place]): place for place in order}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _get_ready() -> None:
    # Processes are the unit of parallel work. Compiling queries makes and drops many small objects; looking for
    # cycles among them less often is a tenth of the time.
    pa.set_cpu_count(1)
    gc.set_threshold(20_000, 50, 100)


def _do(job: _Job) -> Found | None:
    """One organisation in one log epoch."""
    place = Place(root=job.folder)
    place.root.mkdir(parents=True)
    stage = scene_of(job.campaign, job.organisation, job.epoch, job.seed)
    collect(stage, job.campaign, job.organisation, place)
    return watch(job.organisation, job.epoch, place, now=job.now) if job.is_run else None


def _result(settings: ReplaySettings, done: list[Found | None]) -> Replay:
    found = [one for one in done if one is not None]
    told = [[one for one in found if one.epoch == epoch] for epoch in settings.epochs]
    values: dict[str, Any] = {
        "simulated": True,
        "campaign": settings.campaign.name,
        "seed": settings.seed,
        "version": brokenseal.__version__,
        "output": str(settings.output),
        "organisations": len(settings.campaign.organisations),
        "history": HISTORY,
    }
    return Replay(
        **values,
        epochs=tuple(Told(totals=totals_of(own), organisations=tuple(own)) for own in told if own),
        story=story(found, version=brokenseal.__version__, seed=settings.seed) if found else "",
    )

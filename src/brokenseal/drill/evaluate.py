"""How good the product is, measured on simulated tenants that nothing was fitted on, beside what others run.

    scale ─ plan ─▶ tenants ─ measure, two at a time ─▶ facts ─ result ─▶ docs/evaluation.json ─▶ page, picture
                                                                   └────▶ one line in docs/evaluation-runs.jsonl

Thresholds come from the shipped calibration alone. The page is made of the result and of nothing else.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from brokenseal import __version__
from brokenseal.calibration import Calibration, shipped
from brokenseal.drill import _evaluate_compare as comparing
from brokenseal.drill import _evaluate_facts as facts_files
from brokenseal.drill import _evaluate_product as product
from brokenseal.drill._evaluate_measure import calibration_digest, code_digest, facts_folder, measure
from brokenseal.drill._evaluate_page import page
from brokenseal.drill._evaluate_plan import Scale, orders_of, scale_of
from brokenseal.drill._evaluate_plot import picture
from brokenseal.drill._evaluate_targets import targets_of
from brokenseal.drill._processes import attempt, received, run_all
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from brokenseal.drill._evaluate_facts import Measured

__all__ = ["EvaluationSettings", "evaluate", "result_of", "write"]

FORMAT: Final = 1
_FEWEST_SECONDS: Final = 1.0
_PREPARED: Final = "simulate and ingest"
_RELEASE: Final = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What to evaluate.

    Attributes:
        scale: smoke, dev or release.
        output: Folder of the page, its JSON, the picture (in `images/`) and the log of runs.
        word: What the run is named by; seeds come from it.
        now: Time of the run, aware.
        work_dir: Folder in which stores and facts are kept for another run; None to keep nothing.
        processes: Tenants measured at a time.
        tell: Called with the tenants that are measured and all.
    """

    scale: str
    output: Path
    word: str
    now: dt.datetime
    work_dir: Path | None = None
    processes: int = 2
    tell: Callable[[int, int], None] | None = None


def evaluate(settings: EvaluationSettings) -> dict[str, Any]:
    """Measure, and write page, JSON, picture and a line in the log of runs.

    Returns: What stands in the JSON.

    Raises:
        UsageError: No such scale, no calibration is shipped, or a folder cannot be written.
    """
    scale = scale_of(settings.scale)
    calibration = _calibration()
    begun = time.monotonic()
    with _work_dir(settings.work_dir) as (work_dir, is_kept):
        many = _measured(scale, settings, work_dir, keeps_stores=is_kept and scale.keeps_stores)
    result = result_of(many, calibration, about=_about(scale, settings, many, time.monotonic() - begun))
    write(result, settings.output)
    return result


def _calibration() -> Calibration:
    try:
        return shipped()
    except FileNotFoundError as error:
        raise UsageError(
            place="calibration", value=error.filename, expected="one made by `brokenseal drill calibrate`"
        ) from error


@contextlib.contextmanager
def _work_dir(given: Path | None) -> Iterator[tuple[Path, bool]]:
    """The folder to work in, and whether it stays."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="brokenseal-evaluate-") as folder:
            yield Path(folder), False
        return
    try:
        yield given, True
    finally:
        # Whoever was stopped in the middle of a tenant could not clear up; what is complete has no such name.
        for part in (*given.glob("runs/.*"), *given.glob("facts/.*")):
            shutil.rmtree(part, ignore_errors=True)


def _measured(scale: Scale, settings: EvaluationSettings, work_dir: Path, *, keeps_stores: bool) -> list[Measured]:
    code = code_digest()
    orders = orders_of(scale, settings.word)
    # The largest first, so that no process waits for the last one.
    tasks = sorted(set(orders), key=lambda one: (-(one.mailboxes or 0), one.name))
    arguments = [(order, work_dir, code, keeps_stores, settings.now) for order in tasks]

    def tick() -> None:
        if settings.tell is not None:
            settings.tell(sum(facts_folder(one, work_dir, code).is_dir() for one in tasks), len(tasks))

    if settings.processes == 1:
        for each in arguments:
            received(attempt(measure, each))
            tick()
    else:
        run_all(measure, arguments, processes=settings.processes, place=str(work_dir), tick=tick)
    return [facts_files.read(facts_folder(order, work_dir, code)) for order in orders]


# ---------------------------------------------------------------- the result


def result_of(many: Sequence[Measured], calibration: Calibration | None, *, about: dict[str, Any]) -> dict[str, Any]:
    """Every table of the page as plain values.

    Args:
        many: Measured tenants; none twice.
        calibration: The shipped counts; None where there are none, and the tables of weights are left out.
        about: What the run was; see `_about`.
    """
    result: dict[str, Any] = {
        "format": FORMAT,
        "simulated": True,
        "about": about,
        "main": product.main_rows(many),
        "compare": comparing.compare(many, calibration),
        "attacks": product.attack_rows(many),
        "ablations": [] if calibration is None else comparing.ablations(many, calibration),
        "instances": [] if calibration is None else comparing.instances_of(many, calibration),
        "fewer_logs": comparing.fewer_logs(many),
        "validity": [] if calibration is None else comparing.validity(many, calibration),
        "calibration": product.calibration_of(many),
        "exposure": product.exposure_of(many),
        "delay": product.delay_of(many),
        "honesty": product.honesty_of(many),
        "controls": product.controls_of(many),
        "failed": {one.facts.name: one.facts.failed for one in many if one.facts.failed},
    }
    return {**result, "targets": targets_of(result)}


def _about(scale: Scale, settings: EvaluationSettings, many: Sequence[Measured], seconds: float) -> dict[str, Any]:
    steps: dict[str, float] = {}
    for one in many:
        for step, spent in one.facts.seconds.items():
            steps[step] = steps.get(step, 0.0) + spent
    return {
        "scale": scale.name,
        "word": settings.word,
        "date": settings.now.date().isoformat(),
        "product_version": __version__,
        "commit": _commit(),
        "code": code_digest(),
        "calibration": calibration_digest(),
        "tenants": len(many),
        "days": scale.days,
        "warm_up_days": scale.warm_up_days,
        "records": sum(one.facts.records for one in many),
        "intrusions_per_100_mailboxes": _density(many),
        "processes": settings.processes,
        "wall_s": round(seconds, 1),
        "cpu_s": {step: round(spent, 1) for step, spent in sorted(steps.items())},
        "projected_release_hours": _projected(many, settings.processes),
    }


def _density(many: Sequence[Measured]) -> float | None:
    attacked = [one for one in many if one.facts.has_attacks]
    mailboxes = sum(one.facts.tenant.mailboxes for one in attacked)
    return (
        100 * sum(bool(item.stealth) for one in attacked for item in one.facts.instances) / mailboxes
        if attacked
        else None
    )


def _projected(many: Sequence[Measured], processes: int) -> float | None:
    """Hours that the release scale would take at this speed, from tenants that were simulated in this run."""
    fresh = [one for one in many if one.facts.seconds.get(_PREPARED, 0.0) >= _FEWEST_SECONDS]
    days = sum(one.facts.tenant.mailboxes * one.facts.days for one in fresh)
    if not days:
        return None
    each = sum(sum(one.facts.seconds.values()) for one in fresh) / days
    return each * scale_of(_RELEASE).mailbox_days / processes / 3600


def _commit() -> str | None:
    """The commit that the code is at, with `+` where files differ from it; None outside of a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    place = Path(__file__).parent

    def said(*words: str) -> str | None:
        done = subprocess.run([git, *words], cwd=place, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else None

    commit = said("rev-parse", "--short=12", "HEAD")
    return None if commit is None else f"{commit}+" if said("status", "--porcelain", "--", ".") else commit


# ---------------------------------------------------------------- files


def write(result: dict[str, Any], output: Path) -> None:
    """Page, JSON, picture, and a line in the log of runs; each file is there whole or not at all.

    Raises:
        UsageError: The folder cannot be written.
    """
    log = output / "evaluation-runs.jsonl"
    try:
        runs = [line for line in log.read_text(encoding="utf-8").splitlines() if line] if log.exists() else []
        runs.append(json.dumps(_run_of(result), sort_keys=True))
        drawn = picture(result["compare"])
        files = {
            output / "evaluation.json": msgspec.json.format(msgspec.json.encode(result), indent=1).decode() + "\n",
            log: "\n".join(runs) + "\n",
            output / "evaluation.md": page(result, [json.loads(line) for line in runs], has_picture=drawn is not None),
        }
        if drawn is not None:
            files[output / "images" / "evaluation.svg"] = drawn + "\n"
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise UsageError(
            place=str(output), value=error.strerror or error, expected="a folder that can be written"
        ) from error


def _run_of(result: dict[str, Any]) -> dict[str, Any]:
    """One line of the log: what was run, and its headline with its false-case rate and log state."""
    about = result["about"]
    first = result["main"][0]
    names = ("date", "commit", "code", "calibration", "scale", "word", "tenants", "wall_s")
    return {
        "simulated": True,
        **{name: about[name] for name in names},
        "logs": first["name"],
        "recall_7_d": first["recall_7_d"]["share"],
        "instances": first["instances"],
        "false_cases": first["false_cases"]["count"],
        "mailbox_weeks": first["mailbox_weeks"],
        "failed_targets": sum(
            level is not None and level["verdict"] == "failed"
            for row in result["targets"]
            for level in row["levels"].values()
        ),
    }

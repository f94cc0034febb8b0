"""How like a real tenant's logs are the simulated ones? One verdict per marginal, mismatches included.

Both sides are the product's own tables of ingested exports (`schema.py`), so that whatever a reader of the logs can see
is compared in the form in which detectors see it. One real tenant is one draw: a simulated tenant may differ from
another by its parameters, and the real one is only asked to be no stranger than a further simulated tenant of the same
number of rows would be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill import _realism_marginals as marginals
from brokenseal.drill._realism_statistics import (
    MATCH,
    MISMATCH,
    UNKNOWN,
    Verdict,
    judge_fields,
    judge_shares,
    rule_of,
)
from brokenseal.drill.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = [
    "MATCH",
    "MISMATCH",
    "UNKNOWN",
    "Marginal",
    "Presence",
    "RealismReport",
    "compare",
    "compare_drill",
    "tables_of",
]

TABLES: Final = ("events", "mail_accesses", "accessed_items", "sign_ins", "config_changes", "ledger")
"""The tables that are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """One marginal on both sides.

    Attributes:
        name: What is compared.
        verdict: `match`, `unknown` or `mismatch`.
        reason: Why, in one sentence.
        real: The real side in words.
        simulated: The simulated side in words.
        real_rows: Rows behind the real side.
        simulated_rows: Rows behind the simulated side.
        numbers: Distance, limit or p.
    """

    name: str
    verdict: str
    reason: str
    real: str
    simulated: str
    real_rows: int
    simulated_rows: int
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How often a field stands in one kind of record: `always`, `sometimes`, `never`, or `no record`.

    Attributes:
        kind: Protocol, Bind or Sync, with or without AppId, and field set.
        field: The field.
        real: In the real export.
        simulated: In the simulated tenants.
    """

    kind: str
    field: str
    real: str
    simulated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RealismReport:
    """All marginals, and the matrix of fields by kind of record behind the last of them."""

    marginals: tuple[Marginal, ...]
    presence: tuple[Presence, ...] = ()

    def count(self, verdict: str) -> int:
        """Marginals with this verdict."""
        return sum(one.verdict == verdict for one in self.marginals)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            **{verdict: self.count(verdict) for verdict in (MATCH, UNKNOWN, MISMATCH)},
            "marginals": [
                {name: getattr(one, name) for name in Marginal.__dataclass_fields__ if name != "numbers"}
                | {"numbers": dict(one.numbers)}
                for one in self.marginals
            ],
            "presence": [{name: getattr(one, name) for name in Presence.__dataclass_fields__} for one in self.presence],
        }

    def markdown(self) -> str:
        """The report as a table for people."""
        head = f"{self.count(MATCH)} match, {self.count(UNKNOWN)} unknown, {self.count(MISMATCH)} mismatch"
        lines = [
            f"Simulated against real: {head}.",
            "",
            "| marginal | verdict | real | simulated | why |",
            "|---|---|---|---|---|",
        ]
        for one in self.marginals:
            numbers = "".join(f", {name} {value:.3g}" for name, value in one.numbers.items())
            cells = (
                one.name,
                one.verdict,
                f"{one.real} (n {one.real_rows})",
                f"{one.simulated} (n {one.simulated_rows})",
                f"{one.reason}{numbers}",
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        return "\n".join([*lines, "", *self._matrix()])

    def _matrix(self) -> list[str]:
        """The matrix of fields for people; real before simulated where they differ."""
        kinds = list(dict.fromkeys(one.kind for one in self.presence))
        if not kinds:
            return []
        cells = {(one.kind, one.field): one for one in self.presence}
        fields = list(dict.fromkeys(one.field for one in self.presence))
        lines = [f"| field | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
        for name in fields:
            row = [cells.get((kind, name)) for kind in kinds]
            words = [
                "" if one is None else one.real if one.real == one.simulated else f"{one.real} / {one.simulated}"
                for one in row
            ]
            lines.append(f"| {name} | {' | '.join(words)} |")
        return [*lines, ""]


def compare(
    simulated: Mapping[str, pa.Table],
    real: Mapping[str, pa.Table],
    *,
    epochs: Mapping[str, int] | None = None,
    seed: int = 0,
) -> RealismReport:
    """Compare every marginal.

    Args:
        simulated: Tables by name, as `tables_of` gives them, of one or more simulated tenants.
        real: The same of a real export.
        epochs: Field set (2021, 2023 or 2025) by tenant id, where it is not the one of the records' dates.
        seed: Seed of the resampling; the same seed gives the same report.
    """
    known = epochs or {}
    alike = marginals.of_field_sets(simulated, known, marginals.field_sets(real, known))
    found = []
    for marginal in marginals.MARGINALS:
        ours = marginal.read(alike if marginal.is_of_field_set else simulated, known)
        theirs = marginal.read(real, known)
        rng = stream(seed, "realism", marginal.name)
        verdict = judge_shares(ours, theirs, rng, least=marginal.least)
        found.append(_marginal(marginal.name, verdict, len(theirs), len(ours)))
    cells: list[Presence] = []
    for kind, columns in marginals.presence_cells(simulated, real, known):
        ours_there, theirs_there = next(iter(columns.values()))
        found.append(_marginal(f"Fields of {kind}", judge_fields(columns), len(theirs_there), len(ours_there)))
        cells += [
            Presence(kind=kind, field=name, real=rule_of(sides[1]), simulated=rule_of(sides[0]))
            for name, sides in columns.items()
        ]
    return RealismReport(marginals=tuple(found), presence=tuple(cells))


def compare_drill(drill_dir: Path, real_path: Path, *, work_dir: Path) -> RealismReport:
    """Compare a drill with a real export: both are read by the product's own ingest.

    Args:
        drill_dir: Folder of a drill.
        real_path: A real export, a file or a folder.
        work_dir: Folder for the two stores, absent or empty; it is left there.

    Raises:
        UsageError: The folder holds no drill.
        NothingReadable: An input held no record of any known log.
        InputError: A path does not exist.
    """
    from brokenseal.drill.truth import field_sets

    epochs = field_sets(drill_dir)
    simulated = tables_of([drill_dir / "exports"], work_dir=work_dir / "simulated")
    real = tables_of([real_path], work_dir=work_dir / "real")
    return compare(simulated, real, epochs=epochs)


def _marginal(name: str, verdict: Verdict, real_rows: int, simulated_rows: int) -> Marginal:
    return Marginal(
        name=name,
        verdict=verdict.word,
        reason=verdict.reason,
        real=verdict.real,
        simulated=verdict.simulated,
        real_rows=real_rows,
        simulated_rows=simulated_rows,
        numbers=verdict.numbers,
    )


def tables_of(paths: Iterable[Path], *, work_dir: Path) -> dict[str, pa.Table]:
    """Read exports with the product's own ingest and return the tables that are compared.

    Args:
        paths: Exports, real or simulated.
        work_dir: Folder for the store, absent or empty; it is left there.

    Raises:
        NothingReadable: No input held a record of any known log.
        InputError: A path does not exist.
    """
    import datetime as dt

    from brokenseal.ingest import ingest
    from brokenseal.settings import from_environment
    from brokenseal.store import Store

    settings = from_environment(work_dir)
    ingest(paths, settings, now=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))  # the time of reading plays no part
    with Store.open(settings) as store:
        stored = store.tables()
        return {name: store.run(stored[name]) for name in TABLES}

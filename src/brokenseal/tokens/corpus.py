"""The corpus: every specimen made into tokens, and a folder that keeps it.

The folder holds what a verifier has to be told (`expectation.json`, `keys/*.json`, `usage.json`), the tokens of the
last run (`cases.jsonl`), and the laboratory with its private keys (`laboratory.json`, readable by its owner alone), so
that the next run signs fresh tokens with the keys that the verifier already knows.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import UsageError
from brokenseal.tokens._laboratory_keys import keys_from_texts, private_texts
from brokenseal.tokens.forgeries import FORGERIES
from brokenseal.tokens.forgeries.valid import VALID
from brokenseal.tokens.laboratory import SKEW_S, Laboratory, equip
from brokenseal.tokens.specimen import Gravity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from brokenseal.tokens.specimen import Specimen

SEED: Final = 20_230_515
"""Seed of the identifiers where none is asked for."""

_LABORATORY: Final = "laboratory.json"
_CASES: Final = "cases.jsonl"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One token and what a strict verifier does with it.

    Attributes:
        name: Class and label, unique in the corpus.
        specimen: The class.
        family: Family of the class.
        token: The token text.
        gravity: Whom it lets in where it is accepted; None for a valid token.
        explanation: What the token is.
        meaning: What it means if a verifier judges it wrongly.
        mend: How to mend that verifier.
        sources: Where the rule stands.
        needs: Signature algorithm without which it says nothing, or None.
        good_until: Time until which a valid token is valid, seconds since 1970, skew included; None for forgeries.
    """

    name: str
    specimen: str
    family: str
    token: str
    gravity: Gravity | None
    explanation: str
    meaning: str
    mend: str
    sources: tuple[str, ...]
    needs: str | None = None
    good_until: float | None = None

    @property
    def is_forgery(self) -> bool:
        """Whether a strict verifier refuses it."""
        return self.gravity is not None

    @property
    def expected(self) -> str:
        """What a strict verifier does: `accept` or `refuse`."""
        return "refuse" if self.is_forgery else "accept"


def build(laboratory: Laboratory, specimens: Iterable[Specimen] = (*VALID, *FORGERIES)) -> tuple[Case, ...]:
    """Every specimen made into tokens, the valid ones first because they end soonest."""
    return tuple(case for specimen in specimens for case in _cases(laboratory, specimen))


def _cases(laboratory: Laboratory, specimen: Specimen) -> Iterator[Case]:
    for label, token in specimen.tokens(laboratory).items():
        yield Case(
            name=f"{specimen.name}: {label}" if label else specimen.name,
            specimen=specimen.name,
            family=specimen.family,
            token=token,
            gravity=specimen.gravity,
            explanation=specimen.tests,
            meaning=specimen.meaning,
            mend=specimen.mend,
            sources=specimen.sources,
            needs=specimen.needs,
            good_until=None if specimen.is_forgery else _end(token) + SKEW_S,
        )


def _end(token: str) -> float:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return float(claims["exp"])


# ---------------------------------------------------------------- the folder


def open_laboratory(folder: Path | None, *, at: int) -> Laboratory:
    """The laboratory of the folder, with the clock at `at`; a new one where the folder is empty, absent or None.

    Raises:
        UsageError: The folder holds something else, or its laboratory cannot be read.
    """
    if folder is None or not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return equip(seed=SEED, at=at)
    place = folder / _LABORATORY
    expected = "a corpus that this command wrote, or an empty folder"
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        return equip(seed=kept["seed"], at=at, keys=keys_from_texts(kept["keys"], seed=kept["seed"]))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise UsageError(place=str(place), value=err, expected=expected) from err


def write(folder: Path, laboratory: Laboratory, cases: Iterable[Case]) -> None:
    """Write the corpus; the private keys are readable by their owner alone.

    Raises:
        UsageError: The folder cannot be written.
    """
    expectation = laboratory.expectation()
    kept = {"format": _FORMAT, "seed": laboratory.seed, "simulated": True, "keys": private_texts(laboratory.keys)}
    try:
        (folder / "keys").mkdir(parents=True, exist_ok=True)
        _write_private(folder / _LABORATORY, json.dumps(kept, indent=1))
        for name, document in expectation["keys"].items():
            _write(folder / "keys" / f"{name}.json", json.dumps(document, indent=1))
        _write(folder / "usage.json", json.dumps(expectation["usage"], indent=1))
        _write(folder / "expectation.json", json.dumps(expectation, indent=1))
        _write(folder / _CASES, "".join(f"{json.dumps(_as_json(case))}\n" for case in cases))
    except OSError as err:
        raise UsageError(place=str(folder), value=err.strerror or err, expected="a folder that can be written") from err


def read(folder: Path) -> tuple[dict[str, Any], tuple[Case, ...]]:
    """What a verifier has to be told, and the cases of the last run, for use with other tools.

    Raises:
        UsageError: The folder holds no corpus.
    """
    try:
        expectation = json.loads((folder / "expectation.json").read_text(encoding="utf-8"))
        lines = (folder / _CASES).read_text(encoding="utf-8").splitlines()
        return expectation, tuple(_from_json(json.loads(line)) for line in lines)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as err:
        raise UsageError(place=str(folder), value=err, expected="a corpus that this command wrote") from err


def _as_json(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "class": case.specimen,
        "family": case.family,
        "is_forgery": case.is_forgery,
        "expected": case.expected,
        "gravity": case.gravity,
        "explanation": case.explanation,
        "meaning": case.meaning,
        "mend": case.mend,
        "sources": case.sources,
        "needs": case.needs,
        "good_until": case.good_until,
        "token": case.token,
    }


def _from_json(row: dict[str, Any]) -> Case:
    return Case(
        name=row["name"],
        specimen=row["class"],
        family=row["family"],
        token=row["token"],
        gravity=None if row["gravity"] is None else Gravity(row["gravity"]),
        explanation=row["explanation"],
        meaning=row["meaning"],
        mend=row["mend"],
        sources=tuple(row["sources"]),
        needs=row["needs"],
        good_until=row["good_until"],
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    # Created with its mode: between a creation and a later change of mode others could read it.
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    part.replace(path)

"""One class of token in the corpus: what it tries, what a wrong answer to it means, and how to mend that.

A specimen is a frozen value with a pure function that makes its tokens in a laboratory; `forgeries.FORGERIES` and
`forgeries.valid.VALID` are literal tuples of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory

    Make = Callable[[Laboratory], str | Mapping[str, str]]


class Gravity(StrEnum):
    """Whom an accepted forgery lets in."""

    BREACH = "breach"
    """A stranger who holds no key of the identity provider."""
    MISUSE = "misuse"
    """Somebody who holds a real key or token that was made for something else, as in 2023."""
    LAXITY = "laxity"
    """Nobody by itself: only the issuer could make it, or its claims are the genuine ones. A sign of loose reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """One class of the corpus.

    Attributes:
        name: Stable name, snake case, unique in the corpus.
        family: Name of the family module.
        gravity: Whom it lets in where it is accepted; None for a valid token.
        tests: What the token is, in one sentence.
        meaning: What it means if a verifier accepts it (a forgery) or refuses it (a valid token).
        mend: How to mend the verifier.
        sources: Where the rule stands: RFC and section, Microsoft's guidance, CVE number.
        make: Makes the tokens: one, or several by label. Pure but for the random part of signatures.
        needs: Signature algorithm without which the specimen says nothing, or None.
    """

    name: str
    family: str
    gravity: Gravity | None
    tests: str
    meaning: str
    mend: str
    sources: tuple[str, ...]
    make: Make
    needs: str | None = None

    @property
    def is_forgery(self) -> bool:
        """Whether a strict verifier refuses it."""
        return self.gravity is not None

    def tokens(self, laboratory: Laboratory) -> Mapping[str, str]:
        """The tokens by label; a specimen of one token has the empty label."""
        made = self.make(laboratory)
        return {"": made} if isinstance(made, str) else made

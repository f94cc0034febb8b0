"""Chance for one simulated process at a time: plain draws, buffered, because a simulation by events draws singly."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Final, TypeVar

from brokenseal.drill import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_BUFFERED: Final = 128
_BYTES: Final = 2048
_FEW: Final = 30.0
_LAST_BYTE_01: Final = 0.043
"""Share of request ids that end in 01 instead of 00: 11 of 258 distinct sign-ins of a public lab export."""


class Dice:
    """The draws of one process, the same for the same keys whatever other processes do."""

    __slots__ = ("_bytes", "_place", "_rng", "_spare", "_units")

    def __init__(self, seed: int, *keys: int | str) -> None:
        self._rng = streams.stream(seed, "plain", *keys)
        self._units: list[float] = []
        self._bytes = b""
        self._place = 0
        self._spare: float | None = None

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        if not self._units:
            self._units = self._rng.random(_BUFFERED).tolist()
        return self._units.pop()

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return self.unit() < share

    def between(self, low: float, high: float) -> float:
        """Uniform between the two."""
        return low + (high - low) * self.unit()

    def below(self, number: int) -> int:
        """One of 0 … number - 1."""
        return int(self.unit() * number)

    def pick(self, of: Sequence[T]) -> T:
        """One of these."""
        return of[int(self.unit() * len(of))]

    def weighted(self, of: Sequence[tuple[T, float]]) -> T:
        """One of these, by weight."""
        rest = self.unit() * sum(weight for _, weight in of)
        for value, weight in of:
            rest -= weight
            if rest < 0:
                return value
        return of[-1][0]

    def sample(self, of: Sequence[T], number: int) -> list[T]:
        """So many different ones of these, or all if there are fewer; in the order drawn."""
        rest = list(of)
        found = []
        for _ in range(min(number, len(rest))):
            place = int(self.unit() * len(rest))
            found.append(rest[place])
            rest[place] = rest[-1]
            rest.pop()
        return found

    def wait(self, mean: float) -> float:
        """Exponential with this mean."""
        return -mean * math.log1p(-self.unit())

    def normal(self) -> float:
        """Standard normal (Box-Muller)."""
        if self._spare is not None:
            found, self._spare = self._spare, None
            return found
        radius = math.sqrt(-2.0 * math.log1p(-self.unit()))
        angle = 2.0 * math.pi * self.unit()
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def about(self, median: float, sigma: float) -> float:
        """Lognormal by median and standard deviation of the logarithm."""
        return median * math.exp(sigma * self.normal())

    def gamma(self, mean: float, shape: int) -> float:
        """Sum of `shape` equal exponential waits with this mean in all."""
        return sum(self.wait(mean / shape) for _ in range(shape))

    def count(self, mean: float) -> int:
        """Poisson; rounded normal where the mean is large."""
        if mean > _FEW:
            return max(0, round(mean + math.sqrt(mean) * self.normal()))
        limit, number, product = math.exp(-mean), 0, self.unit()
        while product > limit:
            number += 1
            product *= self.unit()
        return number

    def raw(self, size: int) -> bytes:
        """So many random bytes, at most some hundred."""
        if self._place + size > len(self._bytes):
            self._bytes, self._place = self._rng.bytes(_BYTES), 0
        self._place += size
        return self._bytes[self._place - size : self._place]

    def guid(self) -> str:
        """A version 4 GUID as text."""
        raw = self.raw(16)
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[raw[8] & 3]}{text[17:20]}-{text[20:]}"

    def request_id(self) -> str:
        """A GUID as Entra numbers its requests: version 4, with a last byte of 00 or, seldom, 01."""
        return self.guid()[:-2] + ("01" if self.chance(_LAST_BYTE_01) else "00")

    def hexadecimal(self, digits: int) -> str:
        """So many upper case hexadecimal digits."""
        return self.raw((digits + 1) // 2).hex()[:digits].upper()


def token_text(guid: str) -> str:
    """The token id as a token carries it: base64url without padding of the GUID's little-endian bytes."""
    raw = bytes.fromhex(guid.replace("-", ""))
    swapped = raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]
    return base64.urlsafe_b64encode(swapped)[:22].decode()


def token_text_ascii(guid: str) -> str:
    """The token id as some sign-in logs write it: base64 of the GUID's 36 characters."""
    return base64.b64encode(guid.encode()).decode()

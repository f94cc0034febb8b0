"""A plain HTTP client for the provider: what a mail program, or whoever passes for one, sends over the wire."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from brokenseal.tokens.provider.server import LOOPBACK

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    document: dict[str, Any]

    @property
    def is_ok(self) -> bool:
        """True for status 200."""
        return self.status == http.client.OK

    @property
    def refusals(self) -> tuple[tuple[str, str], ...]:
        """Checks that the token failed, with the reasons, where the gate said so."""
        error = self.document.get("error")
        named = error.get("refusals", ()) if isinstance(error, dict) else ()
        return tuple((each["check"], each["reason"]) for each in named)


class Line:
    """One connection to a provider on loopback; callers share it and differ by address and user agent."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
        self.requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(
        self, method: str, path: str, *, address: str, agent: str, token: str = "", body: bytes | None = None
    ) -> Reply:
        """One request; a connection that was closed meanwhile is opened again.

        Raises:
            OSError: The provider is gone.
        """
        headers = {"User-Agent": agent, "X-Forwarded-For": address}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.requests += 1
        try:
            return self._once(method, path, body, headers)
        except ConnectionError:
            self._connection.close()
            return self._once(method, path, body, headers)

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return Reply(status=response.status, document=json.loads(response.read()))


def form(**fields: str) -> bytes:
    """A form as the token endpoint takes it."""
    return urlencode(fields).encode()

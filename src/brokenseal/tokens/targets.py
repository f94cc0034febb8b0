"""Verifiers under test: an HTTP endpoint of one's own, or a Python function.

An HTTP target is on loopback, or the user has said by its exact name that it is theirs. The name is resolved once,
every address is checked, and connections go to the checked address, so that a name cannot turn elsewhere in between.
Redirects are not followed. Only the status line of an answer is read.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import ipaddress
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGEST_ANSWER: Final = 65_536
_PORTS: Final = {"http": 80, "https": 443}
_CRASHES: Final = (LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError, MemoryError)


class Answer(StrEnum):
    """What a verifier did with a token."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    ERROR = "error"
    """Neither: another status, no answer in time, a crash."""
    NOT_SENT = "not_sent"
    """The token cannot reach this target as it is, for example with a line feed in an HTTP header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and what was seen: a status, the name of an exception."""

    answer: Answer
    detail: str = ""


class Target(Protocol):
    """A verifier that can be asked.

    Attributes:
        name: The target as the user named it.
        rate_per_s: Most questions per second; 0 for no limit.
    """

    @property
    def name(self) -> str:
        """The target as the user named it."""

    @property
    def rate_per_s(self) -> float:
        """Most questions per second; 0 for no limit."""

    def ask(self, token: str) -> Reply:
        """What the verifier does with the token; never raises for what the target does."""


def open_target(
    text: str,
    *,
    expectation: Mapping[str, Any],
    owned_host: str | None = None,
    timeout_s: float = 10,
    rate_per_s: float = 25,
) -> Target:
    """The target that the text names.

    Args:
        text: A URL, or `python:MODULE:FUNCTION`.
        expectation: What the verifier has to be told; given to a function that takes a second argument.
        owned_host: Host that the user says is theirs, exactly as in the URL.
        timeout_s: Longest wait for one answer, in seconds.
        rate_per_s: Most questions per second to an HTTP target.

    Raises:
        UsageError: The text names no target, or one that may not be asked.
    """
    if text.startswith("python:"):
        return _function(text, expectation, timeout_s)
    if text.startswith(("http://", "https://")):
        return _endpoint(text, owned_host, timeout_s, rate_per_s)
    raise UsageError(place="--target", value=text, expected="http://…, https://… or python:MODULE:FUNCTION")


# ---------------------------------------------------------------- Python


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTarget:
    """A function that returns something true for a token that it accepts, and raises or returns nothing otherwise."""

    name: str
    call: Callable[[str], object] = field(repr=False)
    timeout_s: float = 10
    rate_per_s: float = 0

    def ask(self, token: str) -> Reply:
        """Call the function in a thread of its own, so that one that never returns ends the question all the same."""
        said: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        threading.Thread(target=self._answer, args=(token, said), daemon=True).start()
        try:
            return said.get(timeout=self.timeout_s)
        except queue.Empty:
            return Reply(answer=Answer.ERROR, detail=f"no answer within {self.timeout_s:g} s")

    def _answer(self, token: str, said: queue.SimpleQueue[Reply]) -> None:
        try:
            result = self.call(token)
            if inspect.isawaitable(result):
                result = asyncio.run(_awaited(result))
            said.put(Reply(answer=Answer.ACCEPTED if result else Answer.REFUSED, detail=type(result).__name__))
        except _CRASHES as err:
            # A service would answer 500: not an acceptance, but no clean refusal either.
            said.put(Reply(answer=Answer.ERROR, detail=f"raised {type(err).__name__}"))
        except BaseException as err:  # noqa: BLE001  the user's function may raise anything, also panics of extensions
            said.put(Reply(answer=Answer.REFUSED, detail=f"raised {type(err).__name__}"))


async def _awaited(result: Any) -> object:
    return await result


def _function(text: str, expectation: Mapping[str, Any], timeout_s: float) -> FunctionTarget:
    _, _, path = text.partition(":")
    module_name, _, function_name = path.rpartition(":")
    expected = "python:MODULE:FUNCTION, a function of the token, or of the token and the expectation"
    if not module_name or not function_name:
        raise UsageError(place="--target", value=text, expected=expected)
    try:
        function = importlib.import_module(module_name)
        for name in function_name.split("."):
            function = getattr(function, name)
    except (ImportError, AttributeError) as err:
        raise UsageError(place=f"--target {text}", value=err, expected=expected) from err
    if not callable(function):
        raise UsageError(place="--target", value=text, expected=expected)
    if _takes_expectation(function):
        return FunctionTarget(name=text, call=lambda token: function(token, expectation), timeout_s=timeout_s)
    return FunctionTarget(name=text, call=function, timeout_s=timeout_s)


def _takes_expectation(function: Callable[..., object]) -> bool:
    """Whether it has a second positional parameter that must be given or that is called `expectation`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    second = [parameter for parameter in parameters if parameter.kind in kinds][1:2]
    return any(found.default is inspect.Parameter.empty or found.name == "expectation" for found in second)


# ---------------------------------------------------------------- HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget:
    """An endpoint that takes a bearer token: 2xx is accepted, 401 and 403 are refused, all else is an error."""

    name: str
    url: SplitResult
    address: str
    family: int
    timeout_s: float
    rate_per_s: float

    def ask(self, token: str) -> Reply:
        """Send one request with the token and read the status of the answer."""
        sent = token.encode("utf-8")
        if not sent.strip(b" \t") or sent != sent.strip(b" \t") or any(code in sent for code in b"\r\n\0"):
            # HTTP itself removes white space at the ends of a header and cannot carry these characters.
            return Reply(answer=Answer.NOT_SENT, detail="cannot stand in an HTTP header")
        end = time.monotonic() + self.timeout_s
        try:
            with self._connect() as connection:
                return _reply(self._status(connection, sent, end))
        except (OSError, ValueError) as err:
            return Reply(answer=Answer.ERROR, detail=f"{type(err).__name__}: {err}"[:120])

    def _connect(self) -> socket.socket:
        port = self.url.port or _PORTS[self.url.scheme]
        connection = socket.socket(socket.AddressFamily(self.family), socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout_s)
            connection.connect((self.address, port))
            if self.url.scheme == "https":
                return ssl.create_default_context().wrap_socket(connection, server_hostname=self.url.hostname)
        except (OSError, ValueError):
            connection.close()
            raise
        return connection

    def _status(self, connection: socket.socket, token: bytes, end: float) -> int:
        """The status of the first answer that is final.

        Raises:
            OSError: No answer, or none in time.
            ValueError: The answer is no HTTP.
        """
        path = self.url.path or "/"
        line = f"{path}?{self.url.query}" if self.url.query else path
        request = f"GET {line} HTTP/1.1\r\nHost: {self.url.netloc}\r\nUser-Agent: brokenseal\r\nAccept: */*\r\n"
        try:
            connection.sendall(request.encode() + b"Authorization: Bearer " + token + b"\r\nConnection: close\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            # A server that finds the header too long answers and closes before it has read it all.
            return _status_of(_received(connection, end))
        return _status_of(_received(connection, end))


def _received(connection: socket.socket, end: float) -> bytes:
    """The head of the final answer; interim answers (1xx) are passed over."""
    data = b""
    while len(data) < _LARGEST_ANSWER:
        left = end - time.monotonic()
        if left <= 0:
            msg = "no answer in time"
            raise TimeoutError(msg)
        connection.settimeout(left)
        piece = connection.recv(4096)
        data += piece
        while data.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in data:
            data = data.partition(b"\r\n\r\n")[2]
        if not piece or (b"\r\n" in data and not data.startswith(b"HTTP/1.1 1")):
            return data
    return data


def _status_of(head: bytes) -> int:
    """The status in the first line of an answer.

    Raises:
        ValueError: It is no HTTP.
    """
    words = head.partition(b"\r\n")[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():  # noqa: PLR2004
        msg = "no HTTP answer" if head else "connection closed without an answer"
        raise ValueError(msg)
    return int(words[1])


def _reply(status: int) -> Reply:
    if 200 <= status < 300:  # noqa: PLR2004  success
        return Reply(answer=Answer.ACCEPTED, detail=str(status))
    if status in {401, 403}:
        return Reply(answer=Answer.REFUSED, detail=str(status))
    if 300 <= status < 400:  # noqa: PLR2004  redirection
        return Reply(answer=Answer.ERROR, detail=f"{status}, a redirect, not followed")
    return Reply(answer=Answer.ERROR, detail=str(status))


def _endpoint(text: str, owned_host: str | None, timeout_s: float, rate_per_s: float) -> HttpTarget:
    expected = "a URL of your own service, without a user name or a fragment"
    try:
        url = urlsplit(text)
        port = url.port or _PORTS[url.scheme]
    except ValueError as err:
        raise UsageError(place="--target", value=text, expected=expected) from err
    host = url.hostname
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if not host or url.username is not None or url.fragment or not is_plain:
        raise UsageError(place="--target", value=text, expected=expected)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise UsageError(place=f"--target {host}", value=err, expected="a host that can be found") from err
    is_owned = owned_host is not None and owned_host.lower() == host
    for address in sorted({str(entry[4][0]) for entry in found}):
        _check(host, address, is_owned=is_owned)
    family, _, _, _, place = found[0]
    return HttpTarget(
        name=text, url=url, address=str(place[0]), family=int(family), timeout_s=timeout_s, rate_per_s=rate_per_s
    )


def _check(host: str, address: str, *, is_owned: bool) -> None:
    """Whether the address may be asked: loopback, or any ordinary one of a host that the user owns.

    Raises:
        UsageError: It may not.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return
    if not is_owned:
        raise UsageError(
            place="--target",
            value=f"{host} ({address})",
            expected=f"a service on loopback; if it is yours, say so with --i-own-this {host}",
        )
    # Addresses of cloud metadata services are link-local; nobody owns those, nor groups or the empty address.
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise UsageError(place="--target", value=f"{host} ({address})", expected="an ordinary address")

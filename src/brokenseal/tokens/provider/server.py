"""Sockets for the provider: HTTP/1.1 on 127.0.0.1 and nowhere else."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from brokenseal.errors import UsageError
from brokenseal.tokens.provider.service import Answer, Provider, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK: Final = "127.0.0.1"
_LARGEST_BODY = 64 * 1024
_IDLE_S = 30.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A connection that is kept alive must not hold up the end.
    block_on_close = False

    def __init__(self, provider: Provider, port: int) -> None:
        self.provider = provider
        super().__init__((LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "brokenseal-simulated-provider"
    sys_version = ""
    timeout = _IDLE_S
    # Headers and body leave in one piece; two would wait for the client's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  as above

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LARGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Answer(status=413, document={"error": {"code": "RequestTooLarge", "message": "Too large."}}))
            return
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        self._send(self.server.provider.handle(request))

    def _send(self, answer: Answer) -> None:
        body = json.dumps(answer.document).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if answer.challenge:
            self.send_header("WWW-Authenticate", answer.challenge)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
        """Nothing: request lines may hold tokens; the provider keeps an access log without them."""


@contextlib.contextmanager
def serving(provider: Provider, *, host: str = LOOPBACK, port: int = 0) -> Iterator[int]:
    """Serve the provider until the block ends; gives the port.

    Raises:
        UsageError: `host` is not 127.0.0.1, or the port cannot be had.
    """
    if host != LOOPBACK:
        raise UsageError(place="token provider", value=host, expected=f"{LOOPBACK}: it never leaves this machine")
    try:
        server = _Server(provider, port)
    except (OSError, OverflowError) as err:
        raise UsageError(place="--port", value=port, expected="a free port of this machine") from err
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

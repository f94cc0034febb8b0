import asyncio
import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from brokenseal.errors import UsageError
from brokenseal.tokens.targets import Answer, Reply, open_target

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln"


@contextlib.contextmanager
def endpoint(answer):
    """A real HTTP server on loopback; `answer(handler)` writes the answer. Gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mail?top=1"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def raw(reply):
    """A socket on loopback that writes `reply(connection)` to whoever connects. Gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    reply(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def ask(url, token=TOKEN, **options):
    return open_target(url, expectation={}, **options).ask(token)


# ---------------------------------------------------------------- HTTP


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (200, Reply(answer=Answer.ACCEPTED, detail="200")),
        (204, Reply(answer=Answer.ACCEPTED, detail="204")),
        (401, Reply(answer=Answer.REFUSED, detail="401")),
        (403, Reply(answer=Answer.REFUSED, detail="403")),
        (302, Reply(answer=Answer.ERROR, detail="302, a redirect, not followed")),
        (400, Reply(answer=Answer.ERROR, detail="400")),
        (404, Reply(answer=Answer.ERROR, detail="404")),
        (429, Reply(answer=Answer.ERROR, detail="429")),
        (500, Reply(answer=Answer.ERROR, detail="500")),
    ],
)
def test_the_status_is_the_answer(code, expected):
    with endpoint(status(code)) as url:
        assert ask(url) == expected


def test_the_token_is_sent_as_a_bearer_token_to_the_path_that_was_named():
    seen = []

    def answer(handler):
        seen.append((handler.path, handler.headers["Authorization"], handler.headers["Host"]))
        status(200)(handler)

    with endpoint(answer) as url:
        ask(url)
    assert seen == [("/mail?top=1", f"Bearer {TOKEN}", url.split("/")[2])]


def test_a_redirect_is_not_followed():
    asked = []

    def elsewhere(handler):
        asked.append(handler.path)
        status(200)(handler)

    with endpoint(elsewhere) as other, endpoint(status(307, Location=other)) as url:
        assert ask(url).answer is Answer.ERROR
    assert asked == []


def test_a_token_beyond_ascii_is_sent_as_it_is():
    seen = []

    def answer(handler):
        seen.append(handler.headers["Authorization"].encode("latin-1").decode("utf-8"))
        status(401)(handler)

    with endpoint(answer) as url:
        assert ask(url, "a．b.ｅ").answer is Answer.REFUSED
    assert seen == ["Bearer a．b.ｅ"]


@pytest.mark.parametrize("token", ["", " a.b.c", "a.b.c ", "a.b.c\n", "a\r\nX: y", "a\0b", "a.b.c\t"])
def test_what_no_header_can_carry_is_not_sent(token):
    asked = []
    with endpoint(lambda handler: asked.append(handler.path)) as url:
        assert ask(url, token) == Reply(answer=Answer.NOT_SENT, detail="cannot stand in an HTTP header")
    assert asked == []


def test_a_server_that_refuses_a_long_header_and_hangs_up_has_answered():
    def answer(connection):
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    with raw(answer) as url:
        assert ask(url, "x" * 2_000_000) == Reply(answer=Answer.ERROR, detail="431")


def test_interim_answers_are_passed_over():
    with raw(
        lambda connection: connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n")
    ) as url:
        assert ask(url) == Reply(answer=Answer.REFUSED, detail="403")


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        (b"", "ValueError: connection closed without an answer"),
        (b"SSH-2.0-x\r\n", "ValueError: no HTTP answer"),
        (b"HTTP/1.1 abc\r\n", "ValueError: no HTTP answer"),
        (b"HTTP/1.1\r\n", "ValueError: no HTTP answer"),
        (b"x" * 100_000, "ValueError: no HTTP answer"),
    ],
)
def test_what_is_no_http_is_an_error(written, detail):
    def answer(connection):
        connection.recv(65_536)
        with contextlib.suppress(OSError):
            connection.sendall(written)

    with raw(answer) as url:
        assert ask(url) == Reply(answer=Answer.ERROR, detail=detail)


def test_a_server_that_never_answers_is_given_up():
    with raw(lambda connection: time.sleep(10)) as url:
        begun = time.monotonic()
        reply = ask(url, timeout_s=0.3)
        assert time.monotonic() - begun < 5
    assert reply.answer is Answer.ERROR
    assert "TimeoutError" in reply.detail


def test_a_server_that_answers_a_byte_at_a_time_is_given_up():
    """A limit for each byte would never end."""

    def drip(connection):
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"H")
                time.sleep(0.1)

    with raw(drip) as url:
        begun = time.monotonic()
        assert ask(url, timeout_s=0.4).answer is Answer.ERROR
        assert time.monotonic() - begun < 5


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}/").detail.startswith("ConnectionRefusedError")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_needs_no_word(host):
    assert open_target(f"http://{host}:9/", expectation={}).rate_per_s == 25


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "10.0.0.1", "0.0.0.0", "[::]", "[2001:db8::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "1.1"]
)
def test_a_target_that_is_not_loopback_is_refused(host):
    with pytest.raises(UsageError, match="--i-own-this") as refused:
        open_target(f"https://{host}/", expectation={})
    assert refused.value.place == "--target"


@pytest.mark.parametrize("owned", ["192.0.2.8", "192.0.2.7.", "192.0.2.", "", "*", "http://192.0.2.7", "192.0.2.7:443"])
def test_only_exactly_the_named_host_is_owned(owned):
    with pytest.raises(UsageError, match=r"say so with --i-own-this 192\.0\.2\.7$"):
        open_target("https://192.0.2.7:443/", expectation={}, owned_host=owned)


def test_a_host_that_the_user_owns_is_taken():
    target = open_target("https://192.0.2.7/x", expectation={}, owned_host="192.0.2.7", rate_per_s=3)
    assert (target.name, target.rate_per_s, target.address) == ("https://192.0.2.7/x", 3, "192.0.2.7")


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "[fe80::1]"])
def test_nobody_owns_addresses_of_metadata_services_or_groups(host):
    with pytest.raises(UsageError, match="expected an ordinary address"):
        open_target(f"http://{host}/", expectation={}, owned_host=host.strip("[]"))


@pytest.mark.parametrize(
    "text",
    [
        "ftp://127.0.0.1/",
        "127.0.0.1",
        "",
        "http://",
        "http://user@127.0.0.1/",
        "http://127.0.0.1/#x",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "http://no-such-host.invalid/",
    ],
)
def test_what_is_no_target_is_refused(text):
    with pytest.raises(UsageError):
        open_target(text, expectation={})


# ---------------------------------------------------------------- Python

SEEN = []


def accepts(token):
    return {"token": token}


def refuses(token):
    return None


def raises(token):
    msg = "bad token"
    raise ValueError(msg)


def crashes(token):
    return {}[token]


def leaves(token):
    raise SystemExit(1)


def hangs(token):
    time.sleep(20)
    return True


def with_expectation(token, expectation):
    SEEN.append((token, expectation))
    return True


def with_option(token, strict=False):
    SEEN.append((token, strict))
    return True


async def later(token):
    await asyncio.sleep(0)
    return token == "good"


class Service:
    @staticmethod
    def check(token):
        return True


@pytest.fixture
def module(monkeypatch):
    """This file as a module that can be named."""
    import sys

    monkeypatch.setitem(sys.modules, "verifiers_under_test", sys.modules[__name__])
    SEEN.clear()
    return "python:verifiers_under_test"


@pytest.mark.parametrize(
    ("name", "token", "expected"),
    [
        ("accepts", "x", Reply(answer=Answer.ACCEPTED, detail="dict")),
        ("refuses", "x", Reply(answer=Answer.REFUSED, detail="NoneType")),
        ("raises", "x", Reply(answer=Answer.REFUSED, detail="raised ValueError")),
        ("crashes", "x", Reply(answer=Answer.ERROR, detail="raised KeyError")),
        ("leaves", "x", Reply(answer=Answer.REFUSED, detail="raised SystemExit")),
        ("later", "good", Reply(answer=Answer.ACCEPTED, detail="bool")),
        ("later", "bad", Reply(answer=Answer.REFUSED, detail="bool")),
        ("Service.check", "x", Reply(answer=Answer.ACCEPTED, detail="bool")),
        ("accepts", "a\nb ", Reply(answer=Answer.ACCEPTED, detail="dict")),
    ],
)
def test_a_function_answers_by_what_it_returns_or_raises(module, name, token, expected):
    assert open_target(f"{module}:{name}", expectation={}).ask(token) == expected


def test_a_function_that_never_returns_is_given_up(module):
    begun = time.monotonic()
    reply = open_target(f"{module}:hangs", expectation={}, timeout_s=0.2).ask("x")
    assert reply == Reply(answer=Answer.ERROR, detail="no answer within 0.2 s")
    assert time.monotonic() - begun < 5


def test_a_function_of_two_arguments_gets_the_expectation(module):
    open_target(f"{module}:with_expectation", expectation={"audiences": ["a"]}).ask("x")
    assert SEEN == [("x", {"audiences": ["a"]})]


def test_a_function_whose_second_argument_is_an_option_gets_the_token_alone(module):
    open_target(f"{module}:with_option", expectation={"audiences": ["a"]}).ask("x")
    assert SEEN == [("x", False)]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "verifiers_under_test",
        "verifiers_under_test:",
        "verifiers_under_test:absent",
        "no_such_module_x:f",
        "verifiers_under_test:SEEN",
    ],
)
def test_what_is_no_function_is_refused(module, path):
    with pytest.raises(UsageError, match="expected python:MODULE:FUNCTION"):
        open_target(f"python:{path}", expectation={})

"""A small TAXII 2.1 server on loopback: discovery, API root, collections, objects, manifest, status, paging, auth.

Source: OASIS, TAXII Version 2.1 (2021). What a server may do and the client has to bear can be switched on: pages of a
few objects, statuses that are pending at first, refused objects, and answers that no honest server gives.
"""

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MEDIA = "application/taxii+json;version=2.1"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


@dataclass
class Behaviour:
    """How the server behaves, and what it saw."""

    page: int = 1_000
    max_content_length: int = 10_000_000
    auth: str | None = None
    pending_polls: int = 0
    refuse_types: tuple = ()
    can_read: bool = True
    can_write: bool = True
    api_root: str = "/api/"
    never_ends: bool = False
    raw_answer: bytes | None = None
    encoding: str | None = None
    redirect_to: str | None = None
    stored: dict = field(default_factory=dict)
    statuses: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    posts: int = 0
    refuse_posts_after: int | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # one segment an answer, so that no acknowledgement is waited for

    def log_message(self, *args):
        pass

    @property
    def behaviour(self):
        return self.server.behaviour

    def _send(self, code, body, *, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", MEDIA)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _error(self, code, title):
        self._send(code, {"title": title, "http_status": str(code)})

    def _refused(self):
        seen = self.behaviour
        seen.requests.append((self.command, self.path, self.headers.get("Authorization")))
        if seen.auth is not None and self.headers.get("Authorization") != seen.auth:
            self._error(401, "Unauthorized")
        elif "application/taxii+json" not in (self.headers.get("Accept") or ""):
            self._error(406, "Media type not supported")
        else:
            return False
        return True

    def do_GET(self):
        seen = self.behaviour
        if self._refused():
            return
        if seen.redirect_to is not None:
            self._send(302, b"", headers=[("Location", seen.redirect_to)])
        elif seen.raw_answer is not None:
            headers = [] if seen.encoding is None else [("Content-Encoding", seen.encoding)]
            self._send(200, seen.raw_answer, headers=headers)
        else:
            self._answer()

    def _answer(self):
        seen = self.behaviour
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        base = f"/api/collections/{COLLECTION}/"
        if path == "/taxii2/":
            self._send(200, {"title": "Test", "default": seen.api_root, "api_roots": [seen.api_root]})
        elif path == "/api/":
            root = {"title": "Root", "versions": [MEDIA], "max_content_length": seen.max_content_length}
            self._send(200, root)
        elif path == "/api/collections/":
            self._send(200, {"collections": [self._collection()]})
        elif path == base:
            self._send(200, self._collection())
        elif path == f"{base}objects/":
            self._page([row["object"] for row in self._rows(query)], query)
        elif path == f"{base}manifest/":
            self._page([self._entry(row) for row in self._rows(query)], query)
        elif path.startswith("/api/status/"):
            self._status(path.removeprefix("/api/status/").strip("/"))
        else:
            self._error(404, "Not found")

    def do_POST(self):
        seen = self.behaviour
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if self._refused():
            return
        seen.posts += 1
        if not seen.can_write:
            self._error(403, "Forbidden")
        elif seen.refuse_posts_after is not None and seen.posts > seen.refuse_posts_after:
            self._error(503, "Stopped")
        elif length > seen.max_content_length:
            self._error(413, "Too large")
        else:
            self._add(json.loads(body)["objects"])

    def _add(self, objects):
        seen = self.behaviour
        good, bad = [], []
        for each in objects:
            key = (each["id"], each.get("modified", each.get("created", "")))
            if each["type"] in seen.refuse_types:
                bad.append({"id": each["id"], "version": key[1], "message": "refused\u202e here"})
                continue
            seen.stored.setdefault(key, {"object": each, "added": f"2024-01-01T00:00:00.{len(seen.stored):06d}Z"})
            good.append({"id": each["id"], "version": key[1]})
        number = f"2d086da7-4bdc-4f91-900e-{len(seen.statuses):012d}"
        final = {
            "id": number, "status": "complete", "total_count": len(objects), "success_count": len(good),
            "successes": good, "failure_count": len(bad), "failures": bad, "pending_count": 0,
        }  # fmt: skip
        seen.statuses[number] = [seen.pending_polls, final]
        self._send(202, self._pending(final) if seen.pending_polls else final)

    @staticmethod
    def _pending(final):
        counts = {"success_count": 0, "failure_count": 0, "pending_count": final["total_count"]}
        return {"id": final["id"], "status": "pending", "total_count": final["total_count"], **counts}

    def _status(self, number):
        state = self.behaviour.statuses.get(number)
        if state is None:
            self._error(404, "Not found")
            return
        state[0] -= 1
        self._send(200, self._pending(state[1]) if state[0] > 0 else state[1])

    def _collection(self):
        seen = self.behaviour
        return {
            "id": COLLECTION, "title": "Mail intrusions", "alias": "mail", "can_read": seen.can_read,
            "can_write": seen.can_write, "media_types": ["application/stix+json;version=2.1"],
        }  # fmt: skip

    def _rows(self, query):
        after = query.get("added_after", [""])[0]
        return [row for row in self.behaviour.stored.values() if row["added"] > after]

    @staticmethod
    def _entry(row):
        each = row["object"]
        version = each.get("modified", each.get("created", row["added"]))
        return {"id": each["id"], "date_added": row["added"], "version": version, "media_type": MEDIA}

    def _page(self, rows, query):
        seen = self.behaviour
        limit = min(int(query.get("limit", [seen.page])[0]), seen.page)
        start = 0 if seen.never_ends else int(query.get("next", ["0"])[0])
        page = {"objects": rows[start : start + limit]}
        if seen.never_ends or start + limit < len(rows):
            page |= {"more": True, "next": str(start + limit)}
        self._send(200, page)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Quiet(ThreadingHTTPServer):
    """A client that trusts nobody ends the handshake, and that is no news."""

    def handle_error(self, request, client_address):
        pass


@contextmanager
def running(*, tls=None, **behaviour):
    """The server, and the address of its discovery; `tls` is an `ssl.SSLContext` to speak it with."""
    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.behaviour = Behaviour(**behaviour)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.behaviour, f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}/taxii2/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

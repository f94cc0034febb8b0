"""TAXII 2.1: what a collection lacks is planned, printed, and sent once; what it holds is fetched within limits.

    connect ─ collection ─ manifest ─▶ plan_push (pure) ─▶ printed ─▶ push, with --really alone
                         ─ objects, page by page ─▶ pull

A server is a stranger: its discovery may not lead the credentials to another host, pages that bring nothing new end
the reading, and every request has its time. Source: OASIS, TAXII Version 2.1 (2021), parts 3 to 5.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from brokenseal.errors import InputError, UsageError
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from brokenseal.exchange.stix_objects import Stix

TIMEOUT_S: Final = 30
PAGE: Final = 500
"""Objects asked for at once."""
OBJECTS_LIMIT: Final = 100_000
"""So many objects are read from one collection at most."""
ENVELOPE_BYTES: Final = 5_000_000
"""Size of one message to a server that does not say what it takes."""
ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The largest answer, unpacked."""
ANSWER_S: Final = 120
"""So long one answer may take, however slowly it drips."""
_CHUNK: Final = 65_536
_MESSAGE_LIMIT: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a server.

    Attributes:
        url: Address of its discovery.
        user, password: For basic authentication; None for none.
        token: For `Authorization: Token …`; None for none.
        ca_file: Certificates to trust in place of the machine's own.
    """

    url: str
    user: str | None = None
    password: str | None = None
    token: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPlan:
    """What would be sent.

    Attributes:
        present: Objects that the collection has already, in this version.
        is_readable: Whether the collection says what it has; if it does not, everything counts as missing.
        digest: SHA-256 over collection, ids and versions: equal plans have equal digests.
    """

    collection_id: str
    collection_title: str
    objects: tuple[Stix, ...]
    present: int
    is_readable: bool
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What became of a push: counts as the server reports them, and its words for what it refused."""

    accepted: int
    refused: int
    pending: int
    messages: tuple[str, ...]


def plan_push(
    objects: Iterable[Stix], manifest: Iterable[Stix], *, collection_id: str, title: str, is_readable: bool = True
) -> PushPlan:
    """Which objects a collection lacks. Pure.

    Args:
        objects: What is to be shared.
        manifest: Entries of the collection's manifest: `id` and `version`.
        collection_id: Id of the collection.
        title: What the server calls it.
        is_readable: Whether the collection has a manifest for us.
    """
    every = list(objects)
    known: set[tuple[str, str]] = set()
    for entry in manifest:
        known |= {(str(entry.get("id")), ""), (str(entry.get("id")), _version(str(entry.get("version"))))}
    missing = tuple(each for each in every if (each["id"], _version(each.get("modified", ""))) not in known)
    text = "\n".join([collection_id, *sorted(f"{each['id']} {each.get('modified', '')}" for each in missing)])
    return PushPlan(
        collection_id=collection_id,
        collection_title=cut(visible(title), _MESSAGE_LIMIT),
        objects=missing,
        present=len(every) - len(missing),
        is_readable=is_readable,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _version(text: str) -> str:
    """A version, without the digits that say nothing: servers write the same time with three digits or six."""
    head, _, digits = text.removesuffix("Z").partition(".")
    return f"{head}.{digits.rstrip('0')}" if digits.rstrip("0") else head


def envelopes(objects: Iterable[Stix], limit_bytes: int) -> Iterator[tuple[Stix, ...]]:
    """The objects in messages of at most so many bytes; one that is larger alone goes alone."""
    import msgspec

    batch: list[Stix] = []
    empty = size = len(msgspec.json.encode({"objects": []}))
    for each in objects:
        length = len(msgspec.json.encode(each)) + 1
        if batch and size + length > limit_bytes:
            yield tuple(batch)
            batch, size = [], empty
        batch.append(each)
        size += length
    if batch:
        yield tuple(batch)


@contextmanager
def collection_of(access: Access, wanted: str) -> Iterator[tuple[Any, int]]:
    """The collection by id, alias or title, as TAXII client object, and how large a message its server takes.

    Raises:
        UsageError: The address is not safe to send credentials to, or no collection has that name.
        InputError: The server cannot be reached, refuses, or does not speak TAXII 2.1.
    """
    from taxii2client.v21 import ApiRoot, Server  # type: ignore[import-untyped]

    _check_address(access.url)
    with _translated(access.url), _connection(access) as conn:
        server = Server(access.url, conn=conn)
        seen = []
        for named in server.api_roots:
            if _origin(named.url) != _origin(access.url):
                raise InputError(place=access.url, value=named.url, expected="API roots on the server itself")
            # Those that the library made itself have a connection without our credentials and limits.
            root = ApiRoot(named.url, conn=conn)
            for collection in root.collections:
                names = {collection.id, collection.title, collection.alias}
                if wanted in names:
                    yield collection, min(root.max_content_length or ENVELOPE_BYTES, ENVELOPE_BYTES)
                    return
                seen.append(cut(visible(f"{collection.title} ({collection.id})"), _MESSAGE_LIMIT))
    raise UsageError(place="--collection", value=wanted, expected=f"one of {', '.join(seen) or 'none: there is none'}")


def planned(collection: Any, objects: Iterable[Stix]) -> PushPlan:
    """The plan for a collection: reads its manifest, sends nothing.

    Raises:
        UsageError: Nobody may write to the collection.
    """
    if not collection.can_write:
        raise UsageError(place="--collection", value=collection.title, expected="a collection that may be written to")
    manifest = _pages(collection.get_manifest) if collection.can_read else ()
    return plan_push(
        objects,
        manifest,
        collection_id=collection.id,
        title=collection.title,
        is_readable=bool(collection.can_read),
    )


def push(collection: Any, plan: PushPlan, *, limit_bytes: int = ENVELOPE_BYTES, poll_s: float = 1.0) -> Pushed:
    """Send what the plan names, and wait until the server is done with each message."""
    import msgspec

    accepted = refused = pending = 0
    messages: list[str] = []
    for batch in envelopes(plan.objects, limit_bytes):
        content = msgspec.json.encode({"objects": batch})
        status = collection.add_objects(content, poll_interval=poll_s, timeout=TIMEOUT_S)
        accepted += status.success_count or 0
        refused += status.failure_count or 0
        pending += status.pending_count or 0
        for failure in status.failures or ():
            text = f"{failure.get('id', '')}: {failure.get('message', '')}"
            messages.append(cut(visible(text), _MESSAGE_LIMIT))
    return Pushed(accepted=accepted, refused=refused, pending=pending, messages=tuple(messages))


def pull(collection: Any, *, added_after: dt.datetime | None = None) -> tuple[Stix, ...]:
    """All objects of a collection, one of each id and version, in the order of the server.

    Raises:
        UsageError: The collection may not be read.
        InputError: It does not end.
    """
    if not collection.can_read:
        raise UsageError(place="--collection", value=collection.title, expected="a collection that may be read")
    filters: dict[str, Any] = {} if added_after is None else {"added_after": added_after}
    return tuple(_pages(collection.get_objects, **filters))


def _pages(ask: Any, **filters: Any) -> Iterator[Stix]:
    """Objects of all pages; a page that brings nothing new although more are announced is the end of our patience."""
    from taxii2client.v21 import as_pages

    seen: set[tuple[str, str]] = set()
    for page in as_pages(ask, per_request=PAGE, **filters):
        listed = page.get("objects") or []
        found = [each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)]
        fresh = {(each["id"], str(each.get("modified") or each.get("version"))): each for each in found}
        new = {key: each for key, each in fresh.items() if key not in seen}
        if not new and page.get("more"):
            raise InputError(place="TAXII", value="more", expected="pages that end")
        seen |= set(new)
        if len(seen) > OBJECTS_LIMIT:
            raise InputError(place="TAXII", value=len(seen), expected=f"at most {OBJECTS_LIMIT:,} objects")
        yield from new.values()


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise UsageError(place="--url", value=url, expected="https://…, or http:// on this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


@contextmanager
def _connection(access: Access) -> Iterator[Any]:
    """A connection whose every request ends; the client library sets no limit itself."""
    from requests.adapters import HTTPAdapter
    from taxii2client.common import TokenAuth, _HTTPConnection  # type: ignore[import-untyped]

    class _Patient(HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
            # A certificate that the environment names would else go before the one that was asked for.
            trusted = {"verify": access.ca_file} if access.ca_file else {}
            answer = super().send(request, **{**options, **trusted, "stream": True, "timeout": TIMEOUT_S})
            # The library would read without an end, whatever is sent and however it was packed.
            answer._content = _read(answer, access.url)  # noqa: SLF001 - where the library keeps what it has read
            answer._content_consumed = True  # noqa: SLF001 - as above
            return answer

    conn = _HTTPConnection(
        user=access.user,
        password=access.password,
        verify=access.ca_file or True,
        auth=TokenAuth(access.token) if access.token else None,
        version="2.1",
    )
    for scheme in ("https://", "http://"):
        conn.session.mount(scheme, _Patient())
    # The library would print its own remarks beside ours.
    logging.getLogger("taxii2client").setLevel(logging.CRITICAL)
    # A redirection could lead the credentials elsewhere, and TAXII has none.
    conn.session.max_redirects = 0
    try:
        yield conn
    finally:
        conn.close()


def _read(answer: Any, place: str) -> bytes:
    """The whole of an answer, unpacked, within its size and its time."""
    body = bytearray()
    ends = time.monotonic() + ANSWER_S
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > ANSWER_BYTES or time.monotonic() > ends:
            answer.close()
            expected = f"an answer of at most {ANSWER_BYTES:,} bytes within {ANSWER_S} seconds"
            raise InputError(place=place, value=len(body), expected=expected)
    return bytes(body)


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """Errors of the client library become ours, with the server's own words kept short."""
    from requests.exceptions import RequestException
    from taxii2client.exceptions import TAXIIServiceException  # type: ignore[import-untyped]

    try:
        yield
    except (RequestException, TAXIIServiceException, AttributeError, KeyError, OSError, TypeError, ValueError) as err:
        said = cut(visible(str(_root_of(err))), _MESSAGE_LIMIT)
        raise InputError(place=place, value=said, expected="a TAXII 2.1 server that answers") from err


def _root_of(err: BaseException) -> BaseException:
    """The error that began it: the library wraps a refused certificate three times, and says it last."""
    seen = [err]
    while (cause := seen[-1].__cause__ or seen[-1].__context__) is not None and cause not in seen:
        seen.append(cause)
    return seen[-1]

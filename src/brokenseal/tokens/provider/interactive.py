"""The provider for whoever wants to try it by hand: it runs until it is stopped, and leaves its logs behind."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from brokenseal.tokens.provider.exports import make_room, write_exports, write_keys
from brokenseal.tokens.provider.identity import access_claims
from brokenseal.tokens.provider.keys import signed_token
from brokenseal.tokens.provider.server import LOOPBACK, serving
from brokenseal.tokens.provider.tenant import EXCHANGE, OWA, drawn_guid, drawn_request_id
from brokenseal.tokens.provider.world import World, make_world

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brokenseal.tokens.provider.gates import Build

_LIFETIME_S = 24 * 3600


@contextlib.contextmanager
def open_to_try(
    folder: Path, *, build: Build, port: int, seed: int, clock: Callable[[], dt.datetime], watch: Callable[[str], None]
) -> Iterator[tuple[str, ...]]:
    """Serve one build; when the block ends, its logs are written to `folder/exports`.

    Args:
        folder: New or empty; takes the keys documents and a forged token at once.
        build: Which gate stands before the mailboxes.
        port: Port on 127.0.0.1; 0 for any free one.
        seed: What people, mail and ids are drawn from.
        clock: Says what time it is.
        watch: Hears one line per request, without tokens.
    Returns: What to print: the address, accounts to sign in with, and a call to try.

    Raises:
        UsageError: The folder is taken or cannot be written, or the port cannot be had.
    """
    make_room(folder)
    world = make_world(seed, clock=clock)
    provider = world.providers[build]
    provider.watch = watch
    write_keys(world.identity.cabinet, folder / "keys")
    (folder / "forged.jwt").write_text(f"{_forgery(world, seed)}\n", encoding="ascii")
    with serving(provider, port=port) as taken:
        try:
            yield tuple(_how_to(world, build, f"http://{LOOPBACK}:{taken}", folder))
        finally:
            write_exports(provider, folder / "exports")


def _forgery(world: World, seed: int) -> str:
    """A token about the first person, signed with the consumer key."""
    rng = random.Random(f"forgery {seed}")  # noqa: S311  ids of a simulated token
    claims = access_claims(
        world.tenant.tenant_id, person=world.tenant.people[0], app=OWA, resource=EXCHANGE,
        session_id=drawn_guid(rng), request_id=drawn_request_id(rng), at=world.identity.clock(),
        lifetime_s=_LIFETIME_S,
    )  # fmt: skip
    return signed_token(claims, world.consumer_key)


def _how_to(world: World, build: Build, base: str, folder: Path) -> Iterator[str]:
    person = world.tenant.people[0]
    yield f"A simulated provider, {build} build, on {base}; it stops with Ctrl-C and then writes {folder / 'exports'}"
    yield f"metadata  {base}/{world.tenant.tenant_id}/v2.0/.well-known/openid-configuration"
    yield f"token     POST {base}/{world.tenant.tenant_id}/oauth2/v2.0/token"
    yield f"          grant_type=password client_id={OWA.app_id} username={person.upn} password={person.password}"
    yield f"mail      GET {base}/api/v2.0/me/messages"
    yield f'forged    {folder / "forged.jwt"} (signed with the consumer key; curl -H "Authorization: Bearer $(cat …)")'

"""`brokenseal token`: read, verify and trace tokens, and try forged ones on a verifier of one's own."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenseal.cli.options import AsJson, Exit, StoreDir, settings_of
from brokenseal.cli.output import emit, note, now, show
from brokenseal.cli.token_input import keep_token, moment, print_bytes, token_of
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from brokenseal.tokens.provenance import Issuance
    from brokenseal.tokens.provider.gates import Build

token_app = typer.Typer(
    name="token",
    help="Read, verify and trace tokens, and try forged ones on a verifier of one's own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


# ---------------------------------------------------------------- inspect, verify, keys

TokenText = Annotated[
    str,
    typer.Argument(
        metavar="TOKEN|FILE|-", help="A file that holds one token, standard input (-), or the token itself."
    ),
]
KeyFiles = Annotated[
    list[Path],
    typer.Option("--keys", metavar="FILE", help="Saved key document (JWKS), or a folder of them; repeat for more."),
]
UsageFile = Annotated[
    Path | None,
    typer.Option("--usage", metavar="FILE", help="When keys were published, retired and revoked, and where used."),
]
Moment = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Time of the check, ISO 8601; without an offset UTC.")
]
ShowSignature = Annotated[
    bool, typer.Option("--show-signature", help="Print the whole token: whoever reads it can use it.")
]
Keep = Annotated[
    Path | None, typer.Option("--keep", metavar="FILE", help="Keep the whole token in this file, for its owner only.")
]


class Kind(StrEnum):
    """Kinds of token that --kind takes."""

    USER_ACCESS = "user_access"
    APP_ACCESS = "app_access"
    ID = "id"


@token_app.command("inspect")
def token_inspect(
    token: TokenText,
    as_json: AsJson = False,
    at: Moment = None,
    show_signature: ShowSignature = False,
    keep: Keep = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Also say whether the logs in this store show its issue."),
    ] = None,
) -> None:
    """Say what a token says, in words, and what is odd about it; nothing is verified."""
    from brokenseal.tokens.inspection import inspect
    from brokenseal.tokens.screens import inspection_document, inspection_screen, json_bytes

    text = token_of(token)
    seen = inspect(text, at=moment(at))
    keep_token(text, keep)
    issued = None if store is None else _issuances(text, store)
    if as_json:
        print_bytes(json_bytes(inspection_document(seen, issued, token=text if show_signature else None)))
    else:
        show(inspection_screen(seen, issued, token=text if show_signature else None))
    raise typer.Exit(Exit.OK if seen.is_readable else Exit.NOTHING_READABLE)


@token_app.command("verify")
def token_verify(
    token: TokenText,
    keys: KeyFiles,
    audiences: Annotated[list[str], typer.Option("--audience", metavar="A", help="Accepted audience; may repeat.")],
    issuers: Annotated[
        list[str],
        typer.Option("--issuer", metavar="I", help="Accepted issuer, {tenantid} for the tenant; may repeat."),
    ],
    tenants: Annotated[
        list[str] | None,
        typer.Option("--tenant", metavar="ID", help="Tenant that may call; default: any organisation."),
    ] = None,
    accept_consumer: Annotated[
        bool, typer.Option("--accept-consumer", help="Personal Microsoft accounts may call.")
    ] = False,
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", help="Accepted kind of token; default: both kinds of access token.")
    ] = None,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", metavar="S", help="Scope, any of which a user's token needs.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--role", metavar="R", help="Role, any of which an application's token needs.")
    ] = None,
    algorithms: Annotated[
        list[str] | None, typer.Option("--algorithm", metavar="ALG", help="Accepted algorithm; default: RS256.")
    ] = None,
    skew: Annotated[int, typer.Option("--skew", min=0, max=3600, help="Accepted difference of clocks, seconds.")] = 300,
    usage: UsageFile = None,
    at: Moment = None,
    as_json: AsJson = False,
    show_signature: ShowSignature = False,
    keep: Keep = None,
) -> None:
    """Check a token in every respect, each with its reason; exit 0 if it may be believed, 1 if not."""
    import hashlib

    from brokenseal.tokens.key_documents import read_keys
    from brokenseal.tokens.model import Policy, TokenKind
    from brokenseal.tokens.reading import redact
    from brokenseal.tokens.screens import json_bytes, verdict_document, verdict_screen
    from brokenseal.tokens.verify import verify

    policy = Policy(
        audiences=tuple(audiences),
        issuers=tuple(issuers),
        tenants=tuple(tenants) if tenants else None,
        is_consumer_accepted=accept_consumer,
        algorithms=tuple(algorithms) if algorithms else ("RS256",),
        kinds=tuple(TokenKind(kind.value) for kind in kinds or (Kind.USER_ACCESS, Kind.APP_ACCESS)),
        scopes=tuple(scopes or ()),
        roles=tuple(roles or ()),
        skew_s=skew,
    )
    time = moment(at)
    ring = read_keys(keys, usage=usage)
    text = token_of(token)
    verdict = verify(text, ring, policy, at=time)
    keep_token(text, keep)
    if as_json:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        shown = text if show_signature else redact(text)
        print_bytes(json_bytes(verdict_document(verdict, at=time, token=shown, sha256=digest)))
    else:
        show(verdict_screen(verdict, at=time, token=text if show_signature else None))
    raise typer.Exit(Exit.OK if verdict.accepted else Exit.FINDINGS)


@token_app.command("keys")
def token_keys(keys: KeyFiles, usage: UsageFile = None, at: Moment = None, as_json: AsJson = False) -> None:
    """List published keys: whom each may speak for, how old it is, and what its thief could do."""
    from brokenseal.tokens.inventory import inventory
    from brokenseal.tokens.key_documents import read_keys, read_usage, with_usage, without_key
    from brokenseal.tokens.screens import inventory_document, inventory_screen, json_bytes

    time = moment(at)
    ring = read_keys(keys)
    rows = read_usage(usage) if usage is not None else ()
    found = inventory(with_usage(ring, rows), at=time)
    unmatched = [row.kid for row in without_key(ring, rows)]
    if as_json:
        print_bytes(json_bytes(inventory_document(found, at=time, unmatched=unmatched)))
    else:
        show(inventory_screen(found, unmatched=unmatched))


def _issuances(text: str, store: Path) -> tuple[Issuance, ...]:
    """Whether the token was ever issued, as far as the logs show; nothing for one without an id."""
    from brokenseal.store import Store
    from brokenseal.tokens.provenance import issuances, subject_of
    from brokenseal.tokens.reading import read

    claims = read(text).claims
    if not any(isinstance(claims.get(name), str) for name in ("uti", "sid")):
        return ()
    with Store.open(settings_of(store)) as opened:
        return issuances(opened.tables(), subject_of(text))


# ---------------------------------------------------------------- a provider to break, and tokens in the logs


@token_app.command("trace")
def token_trace(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN|UTI|SID|FILE|-",
            help="A token, a token id in any form, or a session id; from a file, or from standard input (-).",
        ),
    ],
    store: StoreDir,
    as_json: AsJson = False,
) -> None:
    """Show everything that a token or a session did in the logs, and whether the token was ever issued."""
    from brokenseal.store import Store
    from brokenseal.tokens.provenance import looks_like_token, subject_of
    from brokenseal.tokens.trace import trace

    is_file = os.path.isfile(subject)  # noqa: PTH113  unlike Path's, it takes any text without an error
    asked = subject_of(token_of(subject) if subject == "-" or is_file or looks_like_token(subject) else subject)
    with Store.open(settings_of(store)) as opened:
        found = trace(opened.tables(), asked)
    if as_json:
        emit(found)
        return
    from brokenseal.tokens.trace_screen import trace_screen

    show(trace_screen(found))


class ProviderBuild(StrEnum):
    """Builds of the simulated provider."""

    FAULTY = "faulty"
    MENDED = "mended"


@token_app.command("provider")
def token_provider(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="New or empty folder for exports, keys and store.")
    ],
    build: Annotated[
        ProviderBuild, typer.Option("--build", help="With the fault of 2022, or without it.")
    ] = ProviderBuild.FAULTY,
    story: Annotated[
        bool, typer.Option("--story", help="Act a forged token's story out, from the forgery to the finding.")
    ] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Run it on loopback until Ctrl-C, to try it by hand.")] = False,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1 for --serve; 0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="What people, mail and ids are drawn from.")] = 2023,
    as_json: AsJson = False,
) -> None:
    """Run a simulated identity provider and mail service on loopback, to break and to watch."""
    from brokenseal.tokens.provider.gates import Build

    if story == serve:
        raise UsageError(place="token provider", expected="one of --story and --serve")
    if serve:
        _serve_provider(output, Build(build.value), port, seed)
        return
    import functools

    from rich.text import Text

    from brokenseal import investigate as path
    from brokenseal.reports.terminal import plain
    from brokenseal.tokens.provider.story import tell

    steps = []
    note("A simulated tenant on a simulated provider; nothing leaves this machine.")
    for step in tell(
        output,
        build=Build(build.value),
        seed=seed,
        settings=settings_of(output / "store"),
        investigate=functools.partial(path.investigate, now=now()),
    ):
        steps.append(step)
        if not as_json:
            show(Text(plain(f"{len(steps):>2}. {step.sentence}")))
    if as_json:
        emit({"simulated": True, "build": build.value, "seed": seed, "steps": steps})


def _serve_provider(output: Path, build: Build, port: int, seed: int) -> None:
    from brokenseal.tokens.provider.interactive import open_to_try

    with open_to_try(output, build=build, port=port, seed=seed, clock=now, watch=note) as lines:
        for line in lines:
            note(line)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    note(f"The logs are in {output / 'exports'}")


# ---------------------------------------------------------------- forged tokens against a verifier of one's own


@token_app.command("attack")
def token_attack(
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="URL|python:MODULE:FUNCTION", help="Your own verifier: an endpoint, or a function."
        ),
    ],
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="DIR", help="Folder of keys and tokens; made if absent, its keys kept after."),
    ] = None,
    i_own_this: Annotated[
        str | None,
        typer.Option("--i-own-this", metavar="HOST", help="Name a host that is not loopback, exactly as in the URL."),
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Most requests per second; 0 for no limit.")] = 25,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Longest wait for an answer, seconds.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Try forged and valid tokens on a verifier of one's own, and say what it wrongly accepts and refuses."""
    from brokenseal.tokens import corpus as tokens
    from brokenseal.tokens import forgery_report
    from brokenseal.tokens.probe import probe
    from brokenseal.tokens.targets import open_target

    # Modules of the folder in which the command is run can be named, as with `python -m`.
    sys.path.insert(0, str(Path.cwd()))
    laboratory = tokens.open_laboratory(corpus, at=int(now().timestamp()))
    opened = open_target(
        target, expectation=laboratory.expectation(), owned_host=i_own_this, timeout_s=timeout, rate_per_s=rate
    )
    cases = tokens.build(laboratory)
    if corpus is not None:
        tokens.write(corpus, laboratory, cases)
    if opened.rate_per_s > 0:
        note(f"{len(cases)} simulated tokens, at most {opened.rate_per_s:g} a second")
    result = probe(opened, cases)
    if as_json:
        emit(forgery_report.as_json(result))
    else:
        show(forgery_report.screen(result))
    if result.why_not is not None:
        raise typer.Exit(Exit.INCOMPLETE)
    raise typer.Exit(Exit.FINDINGS if result.accepted_forgeries else Exit.OK)

"""`brokenseal share`: indicators and findings for other tools, and bundles to and from others."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brokenseal.cli.options import AsJson, Exit, Marking, settings_of
from brokenseal.cli.output import emit, note, show, write
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from brokenseal.exchange.shared import Sharing, Terms
    from brokenseal.exchange.taxii import Access
    from brokenseal.model import CaseDocument

share_app = typer.Typer(
    name="share",
    help="Share what helps others, and nothing of the victims: STIX, MISP, OCSF, queries, TAXII.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class ShareForm(StrEnum):
    """Exchange formats; `exchange.FORMATS` says what each is."""

    STIX = "stix"
    MISP = "misp"
    NAVIGATOR = "navigator"
    OCSF = "ocsf"
    TIMESKETCH_CSV = "timesketch-csv"
    TIMESKETCH_JSONL = "timesketch-jsonl"
    SIGMA = "sigma"
    KQL = "kql"
    CSV = "csv"


class ShareProfile(StrEnum):
    """What of the victims goes along: nothing, or everything under TLP:RED."""

    DEFAULT = "default"
    VICTIM = "victim"


StoreDir = Annotated[Path | None, typer.Option("--store", metavar="DIR", help="Folder of the store.")]
DocumentFile = Annotated[
    Path | None, typer.Option("--document", metavar="FILE", help="A document from `report --format json`.")
]
Level = Annotated[Marking | None, typer.Option("--tlp", help="How far it may travel; default: amber.")]
WhichProfile = Annotated[
    ShareProfile, typer.Option("--profile", help="victim: with mailboxes and messages, under TLP:RED alone.")
]
Producer = Annotated[str, typer.Option("--producer", metavar="NAME", help="Name of the organisation that shares.")]
CaseIds = Annotated[list[str] | None, typer.Option("--case", metavar="ID", help="Only these cases.")]
AsOf = Annotated[
    dt.datetime | None,
    typer.Option("--as-of", metavar="TIME", help="Time of this version, UTC; default: that of the last record."),
]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Discovery address of the TAXII 2.1 server.")]
CollectionName = Annotated[str, typer.Option("--collection", metavar="NAME", help="Id, alias or title.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Name for basic authentication.")]
SecretFile = Annotated[
    Path | None, typer.Option("--secret-file", metavar="FILE", help="First line: the password, or the token alone.")
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust.")]


def _terms(
    tlp: Marking | None, profile: ShareProfile, producer: str, cases: list[str] | None, as_of: dt.datetime | None
) -> Terms:
    from brokenseal.exchange.shared import Terms
    from brokenseal.exchange.tlp import Tlp

    usual = Marking.RED if profile is ShareProfile.VICTIM else Marking.AMBER
    return Terms(
        tlp=Tlp((tlp or usual).value),
        profile="victim" if profile is ShareProfile.VICTIM else "default",
        producer=producer,
        cases=tuple(cases) if cases else None,
        shared_at=None if as_of is None else as_of.replace(tzinfo=as_of.tzinfo or dt.UTC),
    )


def _document(store: Path | None, document: Path | None) -> CaseDocument:
    if (store is None) == (document is None):
        raise UsageError(place="share", value=None, expected="either --store DIR or --document FILE")
    if document is not None:
        import msgspec

        from brokenseal.reports.json_document import document_from_json

        try:
            return document_from_json(document.read_bytes())
        except (OSError, msgspec.DecodeError, ValueError) as err:
            raise UsageError(place=f"--document {document}", value=err, expected="a report in JSON") from err
    from brokenseal import investigate as path
    from brokenseal.store import Store

    assert store is not None
    return path.document_of(Store.open(settings_of(store)), tell=note)


def _sharing(document: CaseDocument, terms: Terms) -> Sharing:
    from brokenseal.exchange.indicators import share

    sharing = share(document, terms)
    if not sharing.shared.cases:
        note("nothing to share: the document has no case")
    if sharing.shared.victims is not None:
        listed = {case.id for case in sharing.shared.cases}
        missing = sum(
            case.exposure.certain - len(case.exposure.messages) for case in document.cases if case.id in listed
        )
        if missing > 0:
            note(f"{missing:,} message(s) are missing: the document lists only the first of each case")
    return sharing


@share_app.command()
def preview(
    store: StoreDir = None,
    document: DocumentFile = None,
    tlp: Level = None,
    profile: WhichProfile = ShareProfile.DEFAULT,
    producer: Producer = "Unnamed organisation",
    case: CaseIds = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Show what would be shared, and what is kept back and why. Writes nothing."""
    sharing = _sharing(_document(store, document), _terms(tlp, profile, producer, case, as_of))
    if as_json:
        emit(sharing)
        return
    from brokenseal.exchange.screens import sharing_screen

    show(sharing_screen(sharing))


@share_app.command()
def export(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write.")],
    form: Annotated[ShareForm, typer.Option("--format", help="Exchange format.")] = ShareForm.STIX,
    store: StoreDir = None,
    document: DocumentFile = None,
    tlp: Level = None,
    profile: WhichProfile = ShareProfile.DEFAULT,
    producer: Producer = "Unnamed organisation",
    case: CaseIds = None,
    as_of: AsOf = None,
) -> None:
    """Write indicators and findings in one exchange format."""
    from brokenseal.exchange import FORMATS

    found = _document(store, document)
    sharing = _sharing(found, _terms(tlp, profile, producer, case, as_of))
    chosen = next(each for each in FORMATS if each.name == form.value)
    write(output, chosen.render(found, sharing.shared))
    kept = f", {len(sharing.withheld)} value(s) kept back (see `share preview`)" if sharing.withheld else ""
    note(f"{output}: {sharing.shared.tlp.label}, {len(sharing.shared.indicators)} indicator(s){kept}")


@share_app.command("import")
def import_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A STIX 2.1 bundle.")],
    as_json: AsJson = False,
) -> None:
    """Read a STIX bundle back to facts; what is not understood is listed."""
    from brokenseal.exchange.stix_import import read_bundle

    try:
        content = bundle.read_bytes()
    except OSError as err:
        raise UsageError(place=str(bundle), value=err.strerror, expected="a file that can be read") from err
    imported = read_bundle(content, place=str(bundle))
    if as_json:
        emit(imported)
    else:
        from brokenseal.exchange.screens import imported_screen

        show(imported_screen(imported))
    raise typer.Exit(Exit.INCOMPLETE if imported.unread else Exit.OK)


@share_app.command()
def push(
    url: Url,
    collection: CollectionName,
    really: Annotated[bool, typer.Option("--really", help="Send it. Without this, only the plan is shown.")] = False,
    store: StoreDir = None,
    document: DocumentFile = None,
    tlp: Level = None,
    producer: Producer = "Unnamed organisation",
    case: CaseIds = None,
    as_of: AsOf = None,
    user: User = None,
    secret_file: SecretFile = None,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Send the STIX bundle to a TAXII 2.1 collection: shows what is missing there, sends it only with --really."""
    from brokenseal.exchange import taxii
    from brokenseal.exchange.stix_bundle import bundle_of

    terms = _terms(tlp, ShareProfile.DEFAULT, producer, case, as_of)
    shared = _sharing(_document(store, document), terms).shared
    pushed = None
    with taxii.collection_of(_access(url, user, secret_file, ca_file), collection) as (target, limit_bytes):
        plan = taxii.planned(target, bundle_of(shared)["objects"])
        if really and plan.objects:
            pushed = taxii.push(target, plan, limit_bytes=limit_bytes)
    if as_json:
        emit({"plan": plan, "pushed": pushed})
    else:
        from brokenseal.exchange.screens import push_screen

        show(push_screen(plan, pushed, shared))
    failed = pushed is not None and (pushed.refused > 0 or pushed.pending > 0)
    raise typer.Exit(Exit.INCOMPLETE if failed else Exit.OK)


@share_app.command()
def pull(
    url: Url,
    collection: CollectionName,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the bundle goes.")],
    added_after: Annotated[
        dt.datetime | None, typer.Option("--added-after", metavar="TIME", help="Only what was added later, UTC.")
    ] = None,
    user: User = None,
    secret_file: SecretFile = None,
    ca_file: CaFile = None,
) -> None:
    """Fetch a TAXII 2.1 collection into a STIX bundle, which `share import` reads."""
    import msgspec

    from brokenseal.exchange import taxii
    from brokenseal.exchange.stix_objects import object_id

    after = None if added_after is None else added_after.replace(tzinfo=added_after.tzinfo or dt.UTC)
    with taxii.collection_of(_access(url, user, secret_file, ca_file), collection) as (source, _):
        objects = taxii.pull(source, added_after=after)
    key = object_id("bundle", *(f"{each['id']} {each.get('modified', '')}" for each in objects))
    content = msgspec.json.encode({"type": "bundle", "id": key, "objects": objects})
    write(output, msgspec.json.format(content, indent=2) + b"\n")
    note(f"{output}: {len(objects)} object(s)")


def _access(url: str, user: str | None, secret_file: Path | None, ca_file: Path | None) -> Access:
    from brokenseal.exchange.taxii import Access

    secret = None
    if secret_file is not None:
        try:
            secret = secret_file.read_text("utf-8").splitlines()[0].strip()
        except (OSError, IndexError, UnicodeDecodeError) as err:
            expected = "a readable file with a line of text"
            raise UsageError(place=f"--secret-file {secret_file}", value=err, expected=expected) from err
    if user is not None and secret is None:
        raise UsageError(place="--user", value=user, expected="--secret-file with the password beside it")
    return Access(
        url=url,
        user=user,
        password=secret if user is not None else None,
        token=secret if user is None else None,
        ca_file=None if ca_file is None else str(ca_file),
    )

"""Published key documents to a key ring: which keys there are, and for which issuer each is published.

A JSON Web Key Set of the Microsoft identity platform (v2.0) names the issuer of each key: a URL, or one with
`{tenantid}` in it. That member is what a verifier must compare, so it is kept per key and never guessed: a key
of a document that says no issuer keeps None, and a verifier reports its binding as unknown.
"""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brokenseal.errors import UsageError
from brokenseal.tokens._material import PUBLIC_MEMBERS, certificate, material
from brokenseal.tokens._strict_json import NotStrict, decode
from brokenseal.tokens.model import TENANT_TEMPLATE, Key, KeyRing
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.tokens._material import Certificate, Material

LARGEST_DOCUMENT_BYTES: Final = 4 * 1024 * 1024

FLAWS: Final = {
    "private_members": phrase(
        "The document publishes the private key as well, so that everybody who read it can sign: it verifies nothing."
    ),
    "symmetric": phrase("It is a symmetric key: whoever can verify with it can also sign."),
    "unusable": phrase("It cannot be imported, or it is too short: no signature is verified with it."),
    "not_for_signatures": phrase("It is published for encryption or for other operations, not for signatures."),
    "no_kid": phrase("It has no key id, so that no token can name it."),
    "certificate_unreadable": phrase("Its certificate cannot be read."),
    "certificate_of_another_key": phrase("Its certificate belongs to another key."),
}
"""What can be odd about a key as published, by the words that `model.Key.flaws` holds."""

_KEPT: Final = ("kty", "kid", "use", "alg", "key_ops", "x5c", "x5t", "x5t#S256", "issuer", "cloud_instance_name")
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_SPOILING: Final = frozenset({"private_members", "not_for_signatures"})
_USAGE_MEMBERS: Final = frozenset({"kid", "document", "issuer", "published", "retired", "revoked", "tenants"})
_DOCUMENT: Final = "a key set (`keys`), one key (`kty`), or OpenID metadata (`issuer` and `jwks_uri`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsage:
    """What the usage file says about one key, or about those of this id in one document or for one issuer."""

    kid: str
    document: str | None = None
    issuer: str | None = None
    published_at: dt.datetime | None = None
    retired_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    tenants: tuple[str, ...] = ()

    def is_of(self, key: Key) -> bool:
        """Whether it speaks of this key."""
        return (
            self.kid == key.kid
            and self.document in {None, key.document}
            and (self.issuer is None or self.issuer == key.issuer)
        )


def read_keys(
    documents: Iterable[Path] | Mapping[str, Mapping[str, Any]], *, usage: Path | Mapping[str, Any] | None = None
) -> KeyRing:
    """All keys of the documents.

    Args:
        documents: Files, or folders of `.json` files; or decoded documents by name. OpenID metadata among them
            gives its issuer to the key document whose name is its `jwks_uri`, if that issuer is one URL: a template
            is shared by several families of keys and tells nothing about any one of them.
        usage: Usage file, or its content: when keys were published, retired and revoked, and where they were used.

    Raises:
        UsageError: A file cannot be read or is neither a key set nor OpenID metadata.
    """
    loaded = dict(documents) if isinstance(documents, Mapping) else _loaded(documents)
    issuers = {
        uri: document.get("issuer")
        for document in loaded.values()
        if isinstance(uri := document.get("jwks_uri"), str) and _is_fixed(document.get("issuer"))
    }
    keys = []
    for name, document in loaded.items():
        inherited = issuers.get(name)
        keys += [
            replace(key, issuer=inherited) if key.issuer is None and inherited is not None else key
            for key in keys_from_document(document, name=name)
        ]
    ring = KeyRing(keys=tuple(keys))
    return ring if usage is None else with_usage(ring, read_usage(usage))


def keys_from_document(document: Mapping[str, Any], *, name: str) -> tuple[Key, ...]:
    """The keys of one decoded document, in its order; none for OpenID metadata without keys.

    Args:
        document: A key set, a single key, or OpenID metadata. Metadata may carry its key set in `jwks`.
        name: Name of the document, kept with each key and said in errors.

    Raises:
        UsageError: The document is none of these.
    """
    entries: object
    inherited = None
    if "keys" in document:
        entries = document["keys"]
    elif "kty" in document:
        entries = [document]
    elif "jwks" in document and isinstance(document["jwks"], dict):
        entries = document["jwks"].get("keys")
        inherited = document.get("issuer") if _is_fixed(document.get("issuer")) else None
    elif isinstance(document.get("issuer"), str) and isinstance(document.get("jwks_uri"), str):
        entries = []
    else:
        raise UsageError(place=name, value=", ".join(map(str, document))[:80], expected=_DOCUMENT)
    if not isinstance(entries, list):
        raise UsageError(place=f"{name} keys", value=entries, expected="a list of keys")
    return tuple(
        _key(entry, inherited, document=name, place=f"{name} keys[{number}]") for number, entry in enumerate(entries)
    )


def _key(entry: object, inherited: str | None, *, document: str, place: str) -> Key:
    if not isinstance(entry, dict):
        raise UsageError(place=place, value=entry, expected="a JSON Web Key")
    kid, issuer = entry.get("kid"), entry.get("issuer")
    for member, value in (("kid", kid), ("issuer", issuer)):
        if value is not None and not isinstance(value, str):
            raise UsageError(place=f"{place}.{member}", value=value, expected="text")
    public = PUBLIC_MEMBERS.get(str(entry.get("kty")), ())
    jwk = {member: entry[member] for member in (*_KEPT, *public) if member in entry}
    imported, certified = material(jwk), certificate(jwk)
    flaws = _flaws(entry, imported, certified)
    # A key that everybody can sign with, or one published for something else, verifies nothing.
    possible = imported.algorithms if imported is not None and not _SPOILING.intersection(flaws) else ()
    if "certificate_of_another_key" in flaws:
        certified = None
    return Key(
        kid=kid or "",
        jwk=jwk,
        issuer=issuer or inherited,
        document=document,
        # Tuples to look in: the member may hold any JSON, also what a set cannot look up.
        algorithms=tuple(name for name in possible if entry.get("alg") in (None, name)),
        certificate_from=None if certified is None else certified.valid_from,
        certificate_until=None if certified is None else certified.valid_until,
        flaws=flaws,
    )


def _flaws(entry: Mapping[str, Any], imported: Material | None, certified: Certificate | None) -> tuple[str, ...]:
    is_symmetric = entry.get("kty") == "oct"
    is_usable = imported is not None and bool(imported.algorithms)
    is_foreign = certified is not None and imported is not None and certified.fingerprint != imported.fingerprint
    found = {
        "symmetric": is_symmetric,
        "private_members": not is_symmetric and not _PRIVATE.isdisjoint(entry),
        "not_for_signatures": not _is_for_signatures(entry),
        "unusable": not is_symmetric and not is_usable,
        "no_kid": not entry.get("kid"),
        "certificate_unreadable": certified is None and bool(entry.get("x5c")),
        "certificate_of_another_key": is_foreign,
    }
    return tuple(flaw for flaw, is_there in found.items() if is_there)


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops")
    return entry.get("use") in (None, "sig") and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _is_fixed(issuer: object) -> bool:
    return isinstance(issuer, str) and bool(issuer) and TENANT_TEMPLATE not in issuer


# ---------------------------------------------------------------- usage


def read_usage(source: Path | Mapping[str, Any]) -> tuple[KeyUsage, ...]:
    """The rows of a usage file: `{"keys": [{"kid": …, "published": …, "retired": …, "revoked": …, "tenants": […]}]}`.

    A row may name a `document` or an `issuer` where several keys have this id. Times are ISO 8601; one without
    an offset is UTC, a date alone is its midnight.

    Raises:
        UsageError: The file cannot be read, or a row has a member that is unknown or of the wrong type: a date that
            is overlooked would let a revoked key pass.
    """
    place, content = (str(source), _json_of(source)) if isinstance(source, Path) else ("usage", source)
    rows = content.get("keys")
    if not isinstance(rows, list):
        raise UsageError(place=place, value=", ".join(map(str, content))[:80], expected="a list of keys in `keys`")
    return tuple(_usage(row, f"{place} keys[{number}]") for number, row in enumerate(rows))


def with_usage(ring: KeyRing, rows: Iterable[KeyUsage]) -> KeyRing:
    """The ring with what the rows say of its keys; a later row completes an earlier one, the stricter date counts."""
    keys = []
    rows = tuple(rows)
    for key in ring.keys:
        own = [row for row in rows if row.is_of(key)]
        keys.append(
            replace(
                key,
                published_at=_earliest(key.published_at, *(row.published_at for row in own)),
                retired_at=_earliest(key.retired_at, *(row.retired_at for row in own)),
                revoked_at=_earliest(key.revoked_at, *(row.revoked_at for row in own)),
                tenants=tuple(dict.fromkeys((*key.tenants, *(tenant for row in own for tenant in row.tenants)))),
            )
        )
    return KeyRing(keys=tuple(keys))


def without_key(ring: KeyRing, rows: Iterable[KeyUsage]) -> tuple[KeyUsage, ...]:
    """Rows that speak of no key of the ring: a slip in an id, or a key that is published no more."""
    return tuple(row for row in rows if not any(row.is_of(key) for key in ring.keys))


def _usage(row: object, place: str) -> KeyUsage:
    if not isinstance(row, dict):
        raise UsageError(place=place, value=row, expected="an object with a `kid`")
    if unknown := sorted(set(row) - _USAGE_MEMBERS):
        raise UsageError(place=place, value=unknown, expected=f"only {', '.join(sorted(_USAGE_MEMBERS))}")
    for member in ("kid", "document", "issuer"):
        if not isinstance(row.get(member, None if member != "kid" else 0), str | None):
            raise UsageError(place=f"{place}.{member}", value=row.get(member), expected="text")
    tenants = row.get("tenants", [])
    if not isinstance(tenants, list) or not all(isinstance(tenant, str) for tenant in tenants):
        raise UsageError(place=f"{place}.tenants", value=tenants, expected="a list of tenant ids")
    if not row["kid"]:
        raise UsageError(place=f"{place}.kid", value=row["kid"], expected="the id of a key")
    return KeyUsage(
        kid=row["kid"],
        document=row.get("document"),
        issuer=row.get("issuer"),
        published_at=_time(row.get("published"), f"{place}.published"),
        retired_at=_time(row.get("retired"), f"{place}.retired"),
        revoked_at=_time(row.get("revoked"), f"{place}.revoked"),
        tenants=tuple(tenants),
    )


def _time(value: object, place: str) -> dt.datetime | None:
    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None:
            return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(place=place, value=value, expected="an ISO 8601 time, e.g. 2023-06-29T00:00:00Z")


def _earliest(*times: dt.datetime | None) -> dt.datetime | None:
    return min((time for time in times if time is not None), default=None)


# ---------------------------------------------------------------- files


def _loaded(paths: Iterable[Path]) -> dict[str, Mapping[str, Any]]:
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not found:
            raise UsageError(place=str(path), value="no .json file", expected="a folder of key documents")
        files += found
    return {str(path): _json_of(path) for path in files}


def _json_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_DOCUMENT_BYTES + 1)
        if len(raw) > LARGEST_DOCUMENT_BYTES:
            raise UsageError(place=str(path), value="a larger file", expected=f"at most {LARGEST_DOCUMENT_BYTES} bytes")
        value = decode(raw.removeprefix(codecs.BOM_UTF8))
    except OSError as err:
        raise UsageError(place=str(path), value=err.strerror or err, expected="a file that can be read") from err
    except NotStrict as err:
        raise UsageError(place=str(path), value=err, expected="JSON, each member once") from err
    if not isinstance(value, dict):
        raise UsageError(place=str(path), value=type(value).__name__, expected=_DOCUMENT)
    return value

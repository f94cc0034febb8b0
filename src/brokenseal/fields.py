"""How single field values of any log are read: text, times, addresses, token ids, client strings.

Pure and light: every source uses these, so that one value is read one way wherever it stands. The rule for
what is absent is the same in all of them: no value, an empty text or an unreadable optional value is None,
which means "the log does not say". Only `parse_time` raises, and only `errors.RecordRejected`.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal._address_text import read_address
from brokenseal._time_text import read_time
from brokenseal.errors import RecordRejected

if TYPE_CHECKING:
    import datetime as dt

INT64_MAX = 2**63 - 1
_CACHED = 1 << 16

# ---------------------------------------------------------------- text and numbers


def _well_formed(text: str) -> str:
    """Text without lone surrogates, which JSON escapes can smuggle in and UTF-8 cannot hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(value: object) -> str | None:
    """A scalar as text (booleans as JSON writes them); None for nothing, empty text, lists and objects."""
    if isinstance(value, str):
        return _well_formed(value) if value else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # an integer of more digits than the interpreter converts
            return None
    return None


def any_text(value: object) -> str | None:
    """Like `text_of`, but lists and objects as compact JSON text; empty ones are None."""
    if not isinstance(value, Mapping | list | tuple):
        return text_of(value)
    if not value:
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (ValueError, RecursionError, TypeError):
        return None
    return _well_formed(text)


def fold(value: object) -> str | None:
    """Trimmed and in lower case, for comparison; None where nothing is left."""
    text = text_of(value)
    return None if text is None else (text.strip().lower() or None)


_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")


@functools.lru_cache(maxsize=_CACHED)
def operation_key(text: str) -> str:
    """The operation for comparison: trimmed, one final full stop dropped, dashes `-`, spaces collapsed, lower case.

    Entra writes `Add application.` in the audit log and `Add application` elsewhere, and
    `Update application – Certificates and secrets management ` with an en dash and a final space.
    """
    trimmed = text.strip()
    trimmed = trimmed.removesuffix(".")
    return " ".join(_DASHES.sub("-", trimmed).split()).lower()


_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def truth(value: object) -> bool | None:
    """True or False where the value says so (bool, `"True"`, `"False"`, 1, 0), else None.

    Exchange writes ExternalAccess as a boolean or as the text "False", which is no true value.
    """
    if isinstance(value, bool):
        return value
    folded = fold(value)
    return None if folded is None else _TRUTH.get(folded)


_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,19})(?:\.0*)?\s*")


def integer(value: object) -> int | None:
    """A whole number that fits 64 bits, from a number or its text (`3`, `"3"`, `3.0`), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if -INT64_MAX <= value <= INT64_MAX else None
    text = text_of(value)
    if text is None:
        return None
    matched = _INTEGER.fullmatch(text)
    return integer(int(matched[1])) if matched else None


# ---------------------------------------------------------------- identifiers

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NO_GUID = "00000000-0000-0000-0000-000000000000"


def guid(value: object) -> str | None:
    """A dashed GUID in lower case, braces dropped; None for anything else and for the all-zero GUID."""
    folded = fold(value)
    if folded is None:
        return None
    bare = folded[1:-1] if folded[0] == "{" and folded[-1] == "}" else folded
    return bare if bare != _NO_GUID and _GUID.fullmatch(bare) else None


def identifier(value: object) -> str | None:
    """An identifier for comparison: a GUID as `guid` gives it, other text folded; None for the all-zero GUID."""
    folded = fold(value)
    if folded is None or _NO_GUID in folded:
        return None
    return guid(folded) or folded


_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_HEX32 = re.compile(r"[0-9A-Fa-f]{32}")


def canonical_token_id(value: object) -> tuple[str | None, str | None]:
    """Decode a token id (`uti`) to the GUID it stands for, and say how it was written.

    Forms: `b64guid` (16 bytes, little-endian GUID, base64url of 22 characters or padded to 24), `b64ascii`
    (base64 of the GUID's text), `guid`, and `opaque` for everything that is no such thing: placeholders, cut
    or anonymised values, the all-zero GUID. Case matters, so the value must not have been folded.

    Returns: (guid or None, form); (None, None) where there is no value.
    Source: Microsoft Entra, linkable identifiers; forms as seen in audit, sign-in and Graph activity logs.
    """
    text = text_of(value)
    if text is None or not text.strip():
        return None, None
    return _canonical_token_id(text.strip())


@functools.lru_cache(maxsize=_CACHED)
def _canonical_token_id(text: str) -> tuple[str | None, str]:
    if _HEX32.fullmatch(text):
        plain = guid(str(uuid.UUID(text)))
        return plain, "guid" if plain else "opaque"
    if plain := guid(text):
        return plain, "guid"
    raw = _base64_bytes(text)
    if raw is not None and len(raw) == 16 and len(set(raw)) > 1:  # noqa: PLR2004 - a GUID has 16 bytes
        return str(uuid.UUID(bytes_le=raw)), "b64guid"
    if raw is not None and (inner := guid(raw.decode("ascii", "replace"))):
        return inner, "b64ascii"
    return None, "opaque"


def _base64_bytes(text: str) -> bytes | None:
    # urlsafe_b64decode skips characters outside the alphabet in silence, so they are refused before.
    if not _BASE64.fullmatch(text):
        return None
    bare = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        raw = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (ValueError, binascii.Error):
        return None
    # An encoder leaves the unused bits of the last character at zero; other text is no encoded id.
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == bare else None


# ---------------------------------------------------------------- times

_FIRST_REAL_YEAR = 1602  # .NET and Windows write year 1 or 1601 where they have no time
_EXPECTED_TIME = "a UTC time such as 2024-05-01T09:30:00Z, 5/1/2024 9:30:00 AM or /Date(1714555800000)/"


def parse_time(value: object, *, column: str) -> dt.datetime:
    """Read a time as aware UTC with microseconds; a time without zone mark is UTC, as the audit log writes it.

    Forms: ISO 8601 with `T` or a space, up to 12 fraction digits (cut to 6), `Z`, an offset or neither;
    `/Date(milliseconds)/`, also as the `value` of the object that Windows PowerShell writes; and month first
    `M/D/YYYY h:mm:ss AM` with or without comma and fraction.

    Raises:
        RecordRejected: `field_missing` where there is no value; `field_invalid` where it is no such form, no
            day of the calendar, or the year 1 or 1601, by which Windows says "none".
    """
    if isinstance(value, Mapping):
        value = value.get("value") or value.get("DateTime")
    text = text_of(value)
    if text is None or not text.strip():
        raise RecordRejected(column=column, reason="field_missing", expected=_EXPECTED_TIME)
    try:
        moment = read_time(text.strip())
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.year < _FIRST_REAL_YEAR:
        raise RecordRejected(column=column, reason="field_invalid", value=text, expected=_EXPECTED_TIME)
    return moment


def try_time(value: object) -> dt.datetime | None:
    """Like `parse_time`, with None for what is absent or cannot be read."""
    if value is None or value == "":
        return None
    try:
        return parse_time(value, column="time")
    except RecordRejected:
        return None


# ---------------------------------------------------------------- addresses


def address(value: object) -> tuple[str | None, str | None]:
    """Read one address field: its canonical text without port and brackets, and its class.

    Forms: `1.2.3.4`, `1.2.3.4:62589`, `[2a01::1]:47114`, `[2a01::1]`, bare IPv6, `::ffff:1.2.3.4` (made IPv4),
    an IPv6 zone mark (dropped). Classes are those of `schema.IP_CLASS`.

    Returns: (address, class); (None, None) for nothing or a written-out null; (None, "invalid") for text that is
    no address. Addresses that no host can have, such as 0.0.0.0, keep their text and are "invalid".
    """
    text = text_of(value)
    return (None, None) if text is None else read_address(text)


def best_address(*values: object) -> tuple[str | None, str | None]:
    """The best of several address fields, given in order of trust, and its class.

    The first public one; else the first that is an address at all; else (None, "invalid") where something
    was written that is none; else (None, None).
    """
    best: tuple[str | None, str | None] = (None, None)
    for value in values:
        if value is None or value == "":
            continue
        found = address(value)
        if found[1] == "public":
            return found
        if (best[0] is None and found[0] is not None) or best[1] is None:
            best = found
    return best


_PREFIXED = re.compile(r"(?:smtp|sip|mailto):", re.IGNORECASE)


def mail_address(value: object) -> str | None:
    """A mail address for comparison: `smtp:` or `mailto:` and angle brackets dropped, folded; None if it has no `@`."""
    folded = fold(value)
    if folded is None:
        return None
    bare = _PREFIXED.sub("", folded, count=1) if _PREFIXED.match(folded) else folded
    if bare.endswith(">") and "<" in bare:
        bare = bare[bare.rindex("<") + 1 : -1]
    bare = bare.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        bare = bare[1:-1]
    local, at, domain = bare.rpartition("@")
    return bare if at and local and domain else None


def domain_of(value: object) -> str | None:
    """The domain of a mail address, folded, without a final full stop; None where there is none."""
    found = mail_address(value)
    return None if found is None else (found.rpartition("@")[2].strip().rstrip(".") or None)


# ---------------------------------------------------------------- client strings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """What an Exchange client string says; None where it does not say it.

    Attributes:
        client_type: Last known `Client=` type in Exchange's spelling, else the first one as written.
        protocol: As in `schema.PROTOCOL`.
        user_agent: User agent text.
        app_id: Application of a trailing `[AppId=…]`, lower case.
    """

    client_type: str | None = None
    protocol: str | None = None
    user_agent: str | None = None
    app_id: str | None = None


_NOTHING = ClientInfo()
_PROTOCOLS = {
    "owa": ("OWA",),
    "rest": ("REST",),
    "rest_system": ("RESTSystem",),
    "ews": ("WebServices",),
    "mapi": ("MSExchangeRPC",),
    "eas": ("ActiveSync", "AS"),
    "imap_pop": ("POP3/IMAP4",),
    "outlook_mobile": ("OutlookService",),
    "transport": ("Hub Transport", "HUB"),
    "system": (
        "CI",
        "CIMoveDestination",
        "ELC",
        "Monitoring",
        "StoreActiveMonitoring",
        "ResourceHealth",
        "EBA",
        "EventBased MSExchangeMailboxAssistants",
        "TBA",
        "TimeBased MSExchangeMailboxAssistants",
        "PublicFolderSystem",
        "HA",
        "Maintenance",
        "Inference",
        "AnchorService",
        "MSExchangeMailboxLoadBalance",
        "UnifiedPolicy",
        "NotificationBroker",
        "ADDriver",
        "SnackyService",
    ),
    # People can stand behind these, so they are no "system".
    "other": (
        "Management",
        "UM",
        "ApprovalAPI",
        "MSExchangeMigration",
        "MSExchangeSimpleMigration",
        "TransportSync",
        "SMS",
        "TeamMailbox",
        "LoadGen",
        "EDiscoverySearch",
        "LiveIdBasicAuth",
    ),
}
_TYPES = {name.lower(): (name, protocol) for protocol, names in _PROTOCOLS.items() for name in names}
_KEYED = re.compile(
    r"\s*(Client|Action|Service|Protocol|UserAgent|Version|Interactive)\s*=(.*)", re.IGNORECASE | re.DOTALL
)
_APP_MARK = re.compile(r"\[AppId=([^\]]{0,64})\]", re.IGNORECASE)
_NO_USER_AGENT = "[nouseragent]"


def parse_client_info(value: object) -> ClientInfo:
    """Read ClientInfoString or ActorInfoString; every field None where there is no text.

    Tokens are separated by `;` and known keys are case-insensitive; Exchange reads them up to the first token
    that it does not know, and what stands there is the user agent, whose own `;` do not separate. A
    `Client=` inside the user agent is therefore no type: a caller chooses that text.

    Source: Exchange client strings as seen in mailbox audit records.
    """
    text = text_of(value)
    return _NOTHING if text is None else _parse_client_info(text)


@functools.lru_cache(maxsize=_CACHED)
def _parse_client_info(text: str) -> ClientInfo:
    mark = _APP_MARK.search(text)
    tokens = _APP_MARK.sub("", text).split(";")
    types: list[str] = []
    agent: list[str] | None = None
    for position, token in enumerate(tokens):
        keyed = _KEYED.fullmatch(token)
        if keyed is None:
            if agent is not None:
                agent.append(token)
            elif token.strip():
                agent = tokens[position:]
                break
        elif keyed[1].lower() == "useragent":
            agent = agent or [keyed[2]]
        elif agent is not None:
            break
        elif keyed[1].lower() == "client" and keyed[2].strip():
            types.append(keyed[2].strip())
    known = [_TYPES[name.lower()] for name in types if name.lower() in _TYPES]
    client_type, protocol = known[-1] if known else (types[0] if types else None, "other")
    joined = ";".join(agent or ()).strip().rstrip(";").strip()
    return ClientInfo(
        client_type=client_type,
        protocol=protocol,
        user_agent=joined if joined and joined.lower() != _NO_USER_AGENT else None,
        app_id=identifier(mark[1]) if mark else None,
    )


# ---------------------------------------------------------------- JSON within fields


def decode_json_text(value: object) -> object:
    r"""What JSON text in a field stands for; the value itself where it is no text of a list, object or string.

    Entra writes property values as JSON texts (`"[\r\n  \"Federated\"\r\n]"`), Sentinel whole columns.
    """
    if not isinstance(value, str) or not value:
        return value
    trimmed = value.strip()
    if trimmed[:1] not in {"[", "{", '"'}:
        return value
    try:
        return json.loads(trimmed, strict=False)
    except (ValueError, RecursionError):
        return value


def pairs(value: object) -> dict[str, str | None]:
    """Name to value of a list of {Name, Value} (or Key and Value), of JSON text of it, or of a plain object.

    The first of equal names counts. Values that are lists or objects become compact JSON text; a missing
    Value is None. Anything else, such as `System.Object[]`, gives no names.
    """
    value = decode_json_text(value)
    if isinstance(value, Mapping):
        if "Name" not in value:
            return {key: any_text(item) for key, item in value.items() if isinstance(key, str)}
        value = [value]
    if not isinstance(value, list):
        return {}
    found: dict[str, str | None] = {}
    for entry in value:
        if isinstance(entry, Mapping):
            name = text_of(_first(entry, "Name", "name", "Key", "key"))
            if name is not None and name not in found:
                found[name] = any_text(_first(entry, "Value", "value"))
    return found


def _first(entry: Mapping[str, Any], *names: str) -> object:
    for name in names:
        if name in entry:
            return entry[name]
    return None

"""How a visit looks in the records of Exchange: client string, application ids, user, context, by protocol and epoch.

Field sets. 2021: no token fields; OWA and Outlook carry SessionId, REST never does. 2023: as 2021 for mailbox records.
2025: AppAccessContext with token id and time of issue for everything but Outlook on the desktop, mail by ActiveSync,
POP and IMAP, and exchanges between Microsoft's services.

Sources: Office 365 Management Activity API schema; Microsoft Entra, linkable token identifiers; Microsoft 365 message
centre MC909164 (EWS application ids since November 2024); a public 2021 lab export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import apps, people, streams
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from brokenseal.drill.world import Tenant

    Bools = npt.NDArray[np.bool_]
    Keys = npt.NDArray[np.uint64]

TOKENS_SINCE: Final = 2025
"""First epoch whose mailbox records show tokens."""
_PROXIED: Final = 0.22
"""Share of visits of the web client whose records say ViaProxy (8 of 36 in a public 2021 lab export)."""
_NO_APP_ID: Final = 0.15
_SYSTEM_TOKENS: Final = 0.5
_WITH_SESSION: Final = ("owa", "mapi")
_TOKEN_SHOWN: Final = ("owa", "rest", "rest_system", "ews", "outlook_mobile", "admin")
_DELEGATED: Final = ("session", "interactive", "device_code", "password_grant", "federated")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitFields:
    """Fields of records by row of INTENT.

    Attributes:
        columns: Columns of AUDIT_RECORD that follow from the visit alone.
        shows_token: Records carry the token's id, time, subject and tenant.
        has_session: Records carry SessionId.
        may_be_bare: Web client whose records lack SessionId and AppId now and then.
        tuple_key: Same for visits whose binds can share a record (token apart).
        repeat_key: Same for visits whose reads of one message repeat each other (session apart).
    """

    columns: dict[str, Coded | npt.NDArray[Any]]
    shows_token: Bools
    has_session: Bools
    may_be_bare: Bools
    tuple_key: Keys
    repeat_key: Keys


def is_one_of(column: Coded, *words: str) -> Bools:
    """Rows whose text is one of these words."""
    codes = [code for code, word in enumerate(column.words) if word in words]
    mask: Bools = np.isin(column.codes, codes)
    return mask


def text_keys(column: Coded) -> Keys:
    """64 bits per row from its text, the same in every table; 0 for null."""
    bits = np.array([*(streams.hash_key(0, word or "") for word in column.words), 0], dtype=np.uint64)
    keys: Keys = bits[column.codes]
    return keys


def _blank(column: Coded, mask: Bools) -> Coded:
    return Coded(np.where(mask, -1, column.codes).astype(np.int32), column.words)


def _keyed(*columns: npt.NDArray[Any]) -> Keys:
    return streams.hashed(
        0xF1E1D, *(column.view(np.int64) if column.dtype == np.uint64 else column for column in columns)
    )


def visit_fields(tenant: Tenant, day: int, intents: pa.Table) -> VisitFields:
    """The fields of the records of each visit.

    Args:
        tenant: The tenant.
        day: The day; user principal names change.
        intents: INTENT of the day.
    """
    epoch = tenant.parameters.log_epoch
    protocol, auth = coded(intents, "protocol"), coded(intents, "auth")
    identity = numbers(intents, "identity_no")
    mailbox, user_type = numbers(intents, "mailbox_no"), numbers(intents, "user_type")
    chance = streams.hashed_uniform(tenant.key("fields"), numbers(intents, "intent_id"))
    info = client_infos(intents, epoch, chance < _PROXIED)
    app_id, client_app_id = _app_ids(intents, protocol, epoch, chance)
    is_internal = is_one_of(auth, "internal", "none")
    shows_token = is_one_of(protocol, *_TOKEN_SHOWN) & ~is_internal & (epoch >= TOKENS_SINCE)
    shows_token &= ~is_one_of(protocol, "rest_system") | (chance < _SYSTEM_TOKENS)
    has_session = is_one_of(protocol, "mapi") if epoch >= TOKENS_SINCE else is_one_of(protocol, *_WITH_SESSION)
    has_session &= numbers(intents, "session_no") >= 0
    context = np.where(shows_token, 2, np.where(is_one_of(protocol, "mapi") & (epoch >= TOKENS_SINCE), 1, 0))
    api = coded(intents, "resource_id")
    is_app = is_one_of(protocol, "rest", "ews") & is_one_of(auth, *_DELEGATED)
    user_key, user_id = users(tenant, day, identity, mailbox)
    address = coded(intents, "mail_address")
    actor_info = _actor_infos(tenant, intents, protocol)
    columns: dict[str, Coded | npt.NDArray[Any]] = {
        "user_type": np.where((epoch < TOKENS_SINCE) & (user_type == 5), 0, user_type).astype(np.int8),  # noqa: PLR2004
        "user_key": user_key,
        "user_id": user_id,
        "logon_type": numbers(intents, "logon_type"),
        "client_address": address,
        "client_info": info,
        "actor_info": actor_info,
        "app_id": app_id,
        "client_app_id": client_app_id,
        "api_id": _blank(_ews_api(api, protocol), ~shows_token),
        "context": Coded(context.astype(np.int32), ("absent", "api_only", "full")),
        "auth_type": Coded(np.where(shows_token, 0, -1).astype(np.int32), ("Bearer",)),
        "token_type": Coded(
            np.where(
                is_one_of(protocol, "rest_system") & (epoch >= TOKENS_SINCE), 1, np.where(is_app & shows_token, 0, -1)
            ).astype(np.int32),
            ("V1AppActAs", "SubstrateProcessorCallbackPft"),
        ),
        "client_process": Coded(np.where(is_one_of(protocol, "mapi"), 0, -1).astype(np.int32), ("OUTLOOK.EXE",)),
        "client_version": coded(intents, "client_version"),
    }
    repeat = _keyed(mailbox, identity, text_keys(address), text_keys(info), numbers(intents, "logon_type"))
    return VisitFields(
        columns=columns,
        shows_token=shows_token,
        has_session=has_session,
        may_be_bare=is_one_of(protocol, "owa") & (epoch < TOKENS_SINCE),
        tuple_key=_keyed(repeat, text_keys(app_id), text_keys(client_app_id), context),
        repeat_key=repeat,
    )


def users(
    tenant: Tenant,
    day: int,
    identity: npt.NDArray[Any],
    mailbox: npt.NDArray[Any],
) -> tuple[Coded, Coded]:
    r"""UserKey and UserId. Microsoft's services show as the owner of the mailbox, applications as themselves.

    Args:
        tenant: The tenant.
        day: The day.
        identity: Who acts; -1 for NT AUTHORITY\\SYSTEM.
        mailbox: Mailbox opened, -1 for none.
    """
    kinds = np.append(tenant.identities["kind"], people.PERSON)[identity]
    system = "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)"
    owner = np.append(tenant.mailboxes["owner_no"], -1)[mailbox]
    shown = np.where((kinds == people.SERVICE) & (owner >= 0), owner, identity)
    is_app = (kinds == people.APP) | ((kinds == people.SERVICE) & (owner < 0))
    upns = tenant.upns_on(day).tolist()
    count = len(upns)
    keys = (*tenant.puids, system, *tenant.object_ids)
    ids = (*upns, system, *tenant.object_ids)
    codes = np.where(shown < 0, count, np.where(is_app, count + 1 + identity, shown)).astype(np.int32)
    return Coded(codes, keys), Coded(codes, ids)


def client_infos(intents: pa.Table, epoch: int, is_proxied: Bools) -> Coded:
    """`ClientInfoString` of each visit; null where the protocol opens no mailbox."""
    columns = [coded(intents, name) for name in ("protocol", "client_class", "user_agent", "client_app_id")]
    codes = np.stack([*(column.codes for column in columns), is_proxied.astype(np.int32)], axis=1)
    distinct, back = np.unique(codes, axis=0, return_inverse=True)
    texts: list[str] = []
    places = np.empty(len(distinct), dtype=np.int32)
    for row, parts in enumerate(distinct.tolist()):
        values = [column.words[code] if code >= 0 else None for column, code in zip(columns, parts[:-1], strict=True)]
        text = _client_info(values[0] or "", values[1] or "", values[2] or "", (values[3], epoch, bool(parts[-1])))
        places[row] = -1 if text is None else len(texts)
        texts += [] if text is None else [text]
    return Coded(places[back.ravel()], texts)


def _client_info(protocol: str, client: str, agent: str, rest: tuple[str | None, int, bool]) -> str | None:
    app_id, epoch, is_proxied = rest
    if protocol == "owa":
        is_proxied = is_proxied or (client == "new_outlook" and epoch >= TOKENS_SINCE)
        return "Client=OWA;Action=ViaProxy" if is_proxied else f"Client=OWA;{agent or '[NoUserAgent]'};"
    if protocol == "ews":
        named = f"[AppId={app_id}]" if app_id and epoch < TOKENS_SINCE else ""
        return f"Client=WebServices;{agent}{named};"
    return {
        "rest": "Client=REST;;",
        "rest_system": "Client=REST;Client=RESTSystem;;",
        "mapi": "Client=MSExchangeRPC",
        "eas": f"Client=ActiveSync;UserAgent={agent};Action=Sync",
        "imap_pop": "Client=POP3/IMAP4;Protocol=IMAP4",
        "outlook_mobile": f"Client=OutlookService;{agent};",
        "system": "Client=EDiscoverySearch;" if client == "ediscovery" else "Client=Management;",
    }.get(protocol)


def _app_ids(intents: pa.Table, protocol: Coded, epoch: int, chance: npt.NDArray[np.float64]) -> tuple[Coded, Coded]:
    """AppId and ClientAppId as the epoch shows them."""
    app_id, client = coded(intents, "app_id"), coded(intents, "client_app_id")
    is_mapi, is_owa = is_one_of(protocol, "mapi"), is_one_of(protocol, "owa")
    if epoch >= TOKENS_SINCE:
        is_hidden = is_mapi | is_one_of(protocol, "imap_pop") | (is_owa & (chance > 1 - _NO_APP_ID))
        own = Coded(
            np.where(app_id.codes < 0, client.codes + len(app_id.words), app_id.codes).astype(np.int32),
            (
                *app_id.words,
                *client.words,
            ),
        )
        return _blank(own, is_hidden | ((app_id.codes < 0) & (client.codes < 0))), _blank(client, is_mapi)
    with_app = is_one_of(protocol, "rest", "rest_system")
    words = (*app_id.words, *client.words, apps.EXCHANGE)
    own_codes = np.where(app_id.codes >= 0, app_id.codes, client.codes + len(app_id.words))
    codes = np.where(is_owa, len(words) - 1, np.where(with_app, own_codes, -1))
    return Coded(codes.astype(np.int32), words), _blank(client, ~with_app)


def _ews_api(api: Coded, protocol: Coded) -> Coded:
    words = (*api.words, apps.EWS)
    return Coded(np.where(is_one_of(protocol, "ews"), len(api.words), api.codes).astype(np.int32), words)


def _actor_infos(tenant: Tenant, intents: pa.Table, protocol: Coded) -> Coded:
    """ActorInfoString: the caller behind REST, in the tenants of 2025 that have it already."""
    agent, client = coded(intents, "user_agent"), coded(intents, "client_app_id")
    has_it = float(streams.hashed_uniform(tenant.key("actor info"), 0)[0]) < 0.5  # noqa: PLR2004
    shown = is_one_of(protocol, "rest") & has_it & (tenant.parameters.log_epoch >= TOKENS_SINCE)
    pairs = np.stack([agent.codes, client.codes], axis=1)
    distinct, back = np.unique(pairs, axis=0, return_inverse=True)
    texts = [
        f"Client=REST;{agent.words[one] if one >= 0 else '[NoUserAgent]'}"
        f"[AppId={client.words[two] if two >= 0 else ''}];"
        for one, two in distinct.tolist()
    ]
    return Coded(np.where(shown, back.ravel(), -1).astype(np.int32), texts)

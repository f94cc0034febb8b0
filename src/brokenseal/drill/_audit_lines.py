"""Records of the unified audit log as JSON, one per line: mailbox records, cmdlets and directory changes.

Which members stand in a record, and in which order, is that of real exports; which of them are present at all is
what the record's columns say.

Sources: Office 365 Management Activity API schema; Microsoft Purview, MailItemsAccessed; a public 2021 lab export.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _lines, streams
from brokenseal.drill._audit_items import item_runs
from brokenseal.drill._lines import Part, Pieces, Text, member, number, time_member
from brokenseal.drill.roster import Roster, named
from brokenseal.drill.tables import Coded, coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

_ADMIN: Final = 1
_DIRECTORY: Final = 8
_MAILBOX: Final = (2, 3, 50, 101)
_FOLDER_RIGHTS: Final = ("AddFolderPermissions", "ModifyFolderPermissions", "RemoveFolderPermissions")


def audit_lines(
    records: pa.Table,
    items: pa.Table,
    settings: pa.Table,
    *,
    changes: pa.Table,
    messages: pa.Table,
    folders: pa.Table,
    roster: Roster,
    doubled: bool = False,
) -> Text:
    """The records as JSON objects without a line end, in the order of `records`.

    Args:
        records: AUDIT_RECORD, sorted by record_no.
        items: AUDIT_ITEM, sorted by record_no; those of other records are left out.
        settings: AUDIT_SETTING, sorted by record_no.
        changes: CHANGE, for the targets of directory operations.
        messages: MESSAGE, at least those that the items name, sorted by message_no.
        folders: FOLDER.
        roster: The tenant's names.
        doubled: Quotation marks doubled, for a CSV cell.
    """
    kind = numbers(records, "record_type")
    is_directory = kind == _DIRECTORY
    is_mailbox = np.isin(kind, _MAILBOX)
    places = [np.flatnonzero(is_mailbox), np.flatnonzero(~is_mailbox & ~is_directory), np.flatnonzero(is_directory)]
    lines = []
    for place, rows in enumerate(places):
        for start in range(0, len(rows), _lines.ROWS_AT_A_TIME):
            some = records.take(pa.array(rows[start : start + _lines.ROWS_AT_A_TIME]))
            own_items, own_settings = _entries(items, some), _entries(settings, some)
            if place == 0:
                runs = item_runs(some, own_items, messages=messages, folders=folders, roster=roster)
                parts = _mailbox(some, own_settings, runs, folders=folders, roster=roster)
            elif place == 1:
                parts = _cmdlet(some, own_settings, roster)
            else:
                parts = _directory(some, own_settings, changes, roster)
            lines.append(_lines.render(parts, some.num_rows, doubled=doubled))
    return Text.of(lines, np.argsort(np.concatenate(places), kind="stable"))


def _entries(entries: pa.Table, records: pa.Table) -> pa.Table:
    """The entries that belong to these records; both are sorted by record_no."""
    known, keys = numbers(records, "record_no"), numbers(entries, "record_no")
    found = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
    return entries.filter(pa.array(known[found] == keys)) if len(keys) else entries


# ---------------------------------------------------------------- what all records share


def _common(records: pa.Table, roster: Roster) -> list[Part]:
    return [
        *_lines.moment('{"CreationTime":"', numbers(records, "at_us"), ending='"'),
        member("Id", records.column("record_id").combine_chunks()),
        member("Operation", coded(records, "operation")),
        f',"OrganizationId":"{roster.tenant_id}"',
        number("RecordType", numbers(records, "record_type")),
        member("ResultStatus", coded(records, "result_status")),
        member("UserKey", coded(records, "user_key")),
        number("UserType", numbers(records, "user_type")),
        ',"Version":1',
        member("Workload", coded(records, "workload")),
    ]


def _context(records: pa.Table) -> list[Part]:
    """AppAccessContext in one of its four shapes."""
    shape = coded(records, "context")
    is_full = _is(shape, "full")
    has_api = is_full | _is(shape, "api_only")
    opening = {"empty": ',"AppAccessContext":{}', "api_only": ',"AppAccessContext":{', "full": ',"AppAccessContext":{'}
    issued = np.where(is_full, numbers(records, "issued_at_us"), 0)
    api = coded(records, "api_id")
    # The first member has no comma before it: APIId always stands, empty where it says nothing.
    written = [f'"APIId":{json.dumps(word)}' for word in api.words]
    return [
        _lines.coded_as(shape, [opening.get(word, "") for word in shape.words]),
        _lines.only(has_api, _lines.coded_as(api, written, absent='"APIId":""')),
        _lines.only(is_full, member("AADSessionId", coded(records, "context_session_id"))),
        _lines.only(is_full, member("ClientAppId", coded(records, "client_app_id"))),
        *time_member("IssuedAtTime", issued, absent=0),
        _lines.only(is_full, member("UniqueTokenId", records.column("uti").combine_chunks())),
        _lines.chosen(has_api, "}"),
    ]


def _is(value: Coded, word: str) -> npt.NDArray[np.bool_]:
    matching = [code for code, one in enumerate(value.words) if one == word]
    mask: npt.NDArray[np.bool_] = np.isin(value.codes, matching)
    return mask


def _pairs(settings: pa.Table, records: pa.Table, place: str, opening: str) -> _lines.Runs:
    """The settings of one place as `opening` and a list of {Name, Value}."""
    own = settings.filter(pc.equal(settings.column("place").cast(pa.string()), place))
    value = _lines.json_text(own.column("new_value").combine_chunks().fill_null(""))
    name = _lines.json_text(own.column("name").combine_chunks().cast(pa.string()))
    entries = pc.binary_join_element_wise('{"Name":', name, ',"Value":', value, "}", "")
    return _lines.listed(entries, _counts(own, records), opening=opening, closing="]")


def _counts(entries: pa.Table, records: pa.Table) -> npt.NDArray[np.int64]:
    return _lines.owners(numbers(entries, "record_no"), numbers(records, "record_no"))


# ---------------------------------------------------------------- mailbox records


def _mailbox(
    records: pa.Table, settings: pa.Table, runs: list[Part], *, folders: pa.Table, roster: Roster
) -> list[Part]:
    operation = coded(records, "operation")
    is_access = _is(operation, "MailItemsAccessed")
    logon = numbers(records, "logon_type")
    mailbox = numbers(records, "mailbox_no")
    return [
        *_common(records, roster),
        _lines.only(~is_access, member("ClientIP", coded(records, "client_address"))),
        member("ObjectId", coded(records, "object_id")),
        member("UserId", coded(records, "user_id")),
        member("ActorInfoString", coded(records, "actor_info")),
        member("AppId", coded(records, "app_id")),
        member("AuthType", coded(records, "auth_type")),
        member("ClientAppId", coded(records, "client_app_id")),
        member("ClientIPAddress", coded(records, "client_address")),
        member("ClientInfoString", coded(records, "client_info")),
        member("ClientProcessName", coded(records, "client_process")),
        member("ClientVersion", coded(records, "client_version")),
        _lines.flag("ExternalAccess", numbers(records, "is_external_access")),
        number("InternalLogonType", logon, absent=-1),
        number("LogonType", logon, absent=-1),
        member("LogonUserSid", named(roster.identity_sid, numbers(records, "identity_no"))),
        member("MailboxGuid", named(roster.mailbox_guid, mailbox)),
        member("MailboxOwnerSid", named(roster.mailbox_sid, mailbox)),
        member("MailboxOwnerUPN", named(roster.mailbox_upn, mailbox)),
        _access(records),
        _pairs(settings, records, "operation", ',"OperationProperties":['),
        f',"OrganizationName":{json.dumps(roster.organisation)}',
        member("OriginatingServer", _with_line_end(coded(records, "originating_server"))),
        member("SessionId", coded(records, "session_id")),
        member("TokenObjectId", coded(records, "token_subject")),
        member("TokenTenantId", coded(records, "token_tenant_id")),
        member("TokenType", coded(records, "token_type")),
        *_context(records),
        *_sent_as(operation, mailbox, roster),
        *runs,
        *_folder_rights(records, settings, operation, folders),
        _pairs(settings, records, "extended", ',"ExtendedProperties":['),
        _modified_names(records, settings),
        number("OperationCount", numbers(records, "operation_count"), absent=-1),
        "}",
    ]


def _with_line_end(server: Coded) -> Coded:
    # Mailbox records really end the server's name with a carriage return and a line feed.
    return Coded(server.codes, [f"{word}\r\n" for word in server.words])


def _access(records: pa.Table) -> Pieces:
    """OperationProperties of MailItemsAccessed; the throttling property may be left out."""
    access = coded(records, "access_type")
    throttled = records.column("is_throttled").combine_chunks()
    state = np.where(throttled.is_null().to_numpy(zero_copy_only=False), 0, 1)
    state += throttled.fill_null(False).to_numpy(zero_copy_only=False)  # noqa: FBT003
    endings = ("", ',{"Name":"IsThrottled","Value":"False"}', ',{"Name":"IsThrottled","Value":"True"}')
    opening = ',"OperationProperties":[{"Name":"MailAccessType","Value":'
    words = [f"{opening}{json.dumps(word)}}}{ending}]" for word in access.words for ending in endings]
    codes = np.where(access.codes < 0, len(words), access.codes * len(endings) + state)
    return Pieces(pa.array([*words, ""], pa.string()), codes.astype(np.int32))


def _sent_as(operation: Coded, mailbox: npt.NDArray[Any], roster: Roster) -> list[Part]:
    owner, guid = named(roster.mailbox_upn, mailbox), named(roster.mailbox_guid, mailbox)
    is_as, is_behalf = _is(operation, "SendAs"), _is(operation, "SendOnBehalf")
    if not (is_as.any() or is_behalf.any()):
        return []
    return [
        _lines.only(is_as, member("SendAsUserMailboxGuid", guid)),
        _lines.only(is_as, member("SendAsUserSmtp", owner)),
        _lines.only(is_behalf, member("SendOnBehalfOfUserMailboxGuid", guid)),
        _lines.only(is_behalf, member("SendOnBehalfOfUserSmtp", owner)),
    ]


def _folder_rights(records: pa.Table, settings: pa.Table, operation: Coded, folders: pa.Table) -> list[Part]:
    """`Item.ParentFolder` of a permission on a folder: the parameters are its members."""
    is_right = np.logical_or.reduce([_is(operation, word) for word in _FOLDER_RIGHTS])
    if not is_right.any():
        return []
    own = settings.filter(pc.equal(settings.column("place").cast(pa.string()), "parameter"))
    name = _lines.json_text(own.column("name").combine_chunks().cast(pa.string()))
    value = _lines.json_text(own.column("new_value").combine_chunks().fill_null(""))
    entries = pc.binary_join_element_wise(name, value, ":")
    counts = _counts(own, records)
    rows = np.searchsorted(numbers(folders, "folder_no"), numbers(records, "folder_no"))
    rows = np.minimum(rows, max(folders.num_rows - 1, 0))
    path, folder_id = coded(folders, "path"), folders.column("folder_id").combine_chunks()
    has_folder = is_right & (numbers(records, "folder_no") >= 0)
    return [
        _lines.chosen(is_right, ',"Item":{"ParentFolder":{"Name":""'),
        _lines.only(has_folder, member("Path", path.take(rows))),
        _lines.only(has_folder, member("Id", folder_id.take(pa.array(rows)))),
        _lines.listed(entries, counts, opening=",", closing=""),
        _lines.chosen(is_right, "}}"),
    ]


def _modified_names(records: pa.Table, settings: pa.Table) -> _lines.Runs:
    """ModifiedProperties of a mailbox record: the names alone."""
    own = settings.filter(pc.equal(settings.column("place").cast(pa.string()), "modified"))
    entries = _lines.json_text(own.column("name").combine_chunks().cast(pa.string()))
    return _lines.listed(entries, _counts(own, records), opening=',"ModifiedProperties":[', closing="]")


# ---------------------------------------------------------------- cmdlets


def _cmdlet(records: pa.Table, settings: pa.Table, roster: Roster) -> list[Part]:
    """Records of cmdlets (type 1, and 18 of the compliance centre)."""
    app, client = coded(records, "app_id"), coded(records, "client_app_id")
    is_service = _is(coded(records, "context"), "absent")
    context: list[Part] = [] if is_service.all() else _context(records)
    return [
        *_common(records, roster),
        member("ClientIP", coded(records, "client_address")),
        member("ObjectId", coded(records, "object_id")),
        member("UserId", coded(records, "user_id")),
        _lines.coded_as(app, [f',"AppId":{json.dumps(word)}' for word in app.words], absent=',"AppId":""'),
        _lines.coded_as(
            client, [f',"ClientAppId":{json.dumps(word)}' for word in client.words], absent=',"ClientAppId":""'
        ),
        _lines.flag("ExternalAccess", numbers(records, "is_external_access")),
        f',"OrganizationName":{json.dumps(roster.organisation)}',
        member("OriginatingServer", coded(records, "originating_server")),
        _pairs(settings, records, "parameter", ',"Parameters":['),
        _pairs(settings, records, "extended", ',"ExtendedProperties":['),
        member("SessionId", coded(records, "session_id")),
        *context,
        "}",
    ]


# ---------------------------------------------------------------- directory


def _directory(records: pa.Table, settings: pa.Table, changes: pa.Table, roster: Roster) -> list[Part]:
    """Records of type 8: ModifiedProperties with old and new values, Actor and Target by type."""
    actor = numbers(records, "identity_no")
    correlation = streams.guid_text(
        streams.version4(streams.hashed_bytes(roster.key ^ 0x1D, numbers(records, "intent_id")))
    )
    intra = streams.guid_text(streams.version4(streams.hashed_bytes(roster.key ^ 0x2D, numbers(records, "record_no"))))
    return [
        *_common(records, roster),
        member("ClientIP", coded(records, "client_address")),
        member("ObjectId", coded(records, "object_id")),
        member("UserId", coded(records, "user_id")),
        ',"AzureActiveDirectoryEventType":1',
        _pairs(settings, records, "extended", ',"ExtendedProperties":['),
        _modified(records, settings),
        member_json("Actor", actors(roster), actor),
        f',"ActorContextId":"{roster.tenant_id}"',
        member("ActorIpAddress", coded(records, "client_address")),
        member("InterSystemsId", correlation),
        member("IntraSystemId", intra),
        ',"SupportTicketId":""',
        _targets(records, changes, roster),
        f',"TargetContextId":"{roster.tenant_id}"',
        "}",
    ]


def member_json(name: str, words: list[str], codes: npt.NDArray[Any]) -> Pieces:
    """`,"name":value` with values that are JSON already; -1 leaves the member out."""
    written = [f',"{name}":{word}' for word in words]
    return Pieces(pa.array([*written, ""], pa.string()), np.where(codes < 0, len(written), codes).astype(np.int32))


def _modified(records: pa.Table, settings: pa.Table) -> _lines.Runs:
    own = settings.filter(pc.equal(settings.column("place").cast(pa.string()), "modified"))
    name = _lines.json_text(own.column("name").combine_chunks().cast(pa.string()))
    new = _lines.json_text(own.column("new_value").combine_chunks().fill_null(""))
    old = _lines.json_text(own.column("old_value").combine_chunks().fill_null(""))
    entries = pc.binary_join_element_wise('{"Name":', name, ',"NewValue":', new, ',"OldValue":', old, "}", "")
    return _lines.listed(entries, _counts(own, records), opening=',"ModifiedProperties":[', closing="]")


def actors(roster: Roster) -> list[str]:
    """The Actor list of each identity, as JSON."""
    written = []
    for upn, name, object_id, is_application in zip(
        roster.identity_upn.to_pylist(),
        roster.identity_name.to_pylist(),
        roster.identity_id.to_pylist(),
        roster.is_application.tolist(),
        strict=True,
    ):
        kind = "ServicePrincipal" if is_application else "User"
        entries = [(name, 1)] if is_application else [(upn, 5)]
        entries += [(f"{kind}_{object_id}", 2), (object_id, 2), (kind, 2)]
        written.append(json.dumps([{"ID": text, "Type": code} for text, code in entries], separators=(",", ":")))
    return written


def _targets(records: pa.Table, changes: pa.Table, roster: Roster) -> Pieces:
    """Target: the account or the application that the change is about."""
    by_intent = {intent: row for row, intent in enumerate(numbers(changes, "intent_id").tolist())}
    accounts = numbers(changes, "target_identity_no")
    app_ids, app_names = coded(changes, "app_id"), coded(changes, "app_name")
    objects = coded(records, "object_id")
    upns, ids = roster.identity_upn, roster.identity_id
    written = []
    for intent, object_code in zip(numbers(records, "intent_id").tolist(), objects.codes.tolist(), strict=True):
        row = by_intent.get(intent, -1)
        entries: list[tuple[str, int]] = []
        if row >= 0 and app_names.codes[row] >= 0:
            app_id = app_ids.words[app_ids.codes[row]] if app_ids.codes[row] >= 0 else ""
            entries = [("ServicePrincipal", 2), (app_names.words[app_names.codes[row]], 1), (app_id, 2), (app_id, 4)]
        elif row >= 0 and accounts[row] >= 0:
            number_ = int(accounts[row])
            kind = "ServicePrincipal" if roster.is_application[number_] else "User"
            entries = [(f"{kind}_{ids[number_]}", 2), (str(ids[number_]), 2), (kind, 2)]
            entries.append((str(upns[number_]), 1 if roster.is_application[number_] else 5))
        elif object_code >= 0:
            entries = [(objects.words[object_code], 1)]
        text = [{"ID": name, "Type": code} for name, code in entries if name]
        written.append(f',"Target":{json.dumps(text, ensure_ascii=False, separators=(",", ":"))}')
    return Pieces(pa.array(written, pa.string()), np.arange(len(written), dtype=np.int32))

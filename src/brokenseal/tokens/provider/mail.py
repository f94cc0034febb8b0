"""The mail service: mailboxes behind a gate, and the audit records of what is read in them.

Records follow Exchange Online (Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts"): reads
of one client within two minutes stand in one record, and a repeat within the hour is not written. Throttling is not
simulated.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brokenseal.tokens.provider.gates import GATES, Admission, Build, Question
from brokenseal.tokens.provider.records import MailCall, graph_request, mail_items_accessed, owa_auth
from brokenseal.tokens.provider.tenant import ADD_IN, APPS, EXCHANGE, drawn_guid

if TYPE_CHECKING:
    from brokenseal.tokens.provider.identity import Grant, IdentityProvider
    from brokenseal.tokens.provider.tenant import Message, Person

_AGGREGATED = dt.timedelta(minutes=2)
_REPEAT = dt.timedelta(hours=1)

_Reader = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Open:
    """Reads that will stand in one record."""

    at: dt.datetime
    call: MailCall
    messages: list[Message] = field(default_factory=list)


class MailService:
    """The mailboxes of one build; `audit` and `graph` are its logs, `served` is what it truly handed out."""

    def __init__(self, identity: IdentityProvider, build: Build, *, seed: int) -> None:
        self.identity = identity
        self.build = build
        self.audit: list[dict[str, Any]] = []
        self.graph: list[dict[str, Any]] = []
        self.served: list[tuple[str, str]] = []
        self._rng = random.Random(f"mail {seed} {build}")  # noqa: S311  ids of simulated records
        self._open: dict[_Reader, _Open] = {}
        self._seen: dict[tuple[_Reader, str], dt.datetime] = {}
        self._minted: set[str] = set()

    def admit(self, token: str, audience: str) -> Admission:
        """What the gate of this build says of the token."""
        identity = self.identity
        question = Question(token=token, audience=audience, tenant_id=identity.tenant.tenant_id, at=identity.clock())
        return GATES[self.build](question, identity.cabinet)

    def messages(self, mailbox: Person) -> tuple[Message, ...]:
        """Everything in the mailbox. Listing alone is not audited: the service writes down what is opened."""
        return self.identity.tenant.mail[mailbox.upn]

    def read(self, call: MailCall, item_id: str) -> Message | None:
        """One message, and its trace in the audit log."""
        found = next((each for each in self.messages(call.mailbox) if each.item_id == item_id), None)
        if found is not None:
            self.served.append((call.mailbox.upn, found.internet_message_id))
            self._note(call, found)
        return found

    def note_graph(self, call: MailCall, *, uri: str, size_bytes: int) -> None:
        """One request to Microsoft Graph."""
        at = self.identity.clock()
        request_id = drawn_guid(self._rng)
        self.graph.append(graph_request(call, at=at, request_id=request_id, uri=uri, size_bytes=size_bytes))

    def token_for_resource(self, call: MailCall, client_app_id: str) -> Grant | None:
        """What Outlook on the web did in 2023: give a token to whoever shows one; None where it is refused.

        The faulty build also renews a token that it gave itself, so that a way in never ends; that was stopped on
        26 June 2023 (Microsoft Security, "Analysis of Storm-0558 techniques").
        """
        if self.build is Build.MENDED and call.bearer.uti in self._minted:
            return None
        app = APPS.get(client_app_id, ADD_IN)
        grant, minted = self.identity.mint(call.bearer.session_id, person=call.mailbox, app=app, resource=EXCHANGE)
        if grant.error:
            return None
        self._minted.add(minted)
        record_id = drawn_guid(self._rng)
        at = self.identity.clock()
        self.audit.append(owa_auth(call, at=at, record_id=record_id, client_app_id=app.app_id, uti=minted))
        return grant

    def _note(self, call: MailCall, message: Message) -> None:
        at = self.identity.clock()
        self._close(before=at - _AGGREGATED)
        bearer = call.bearer
        reader = (call.mailbox.upn, call.api_id, call.client_info, call.caller.address, bearer.uti, bearer.object_id)
        last = self._seen.get((reader, message.item_id))
        if last is not None and at - last < _REPEAT:
            return
        self._seen[reader, message.item_id] = at
        self._open.setdefault(reader, _Open(at=at, call=call)).messages.append(message)

    def _close(self, *, before: dt.datetime | None) -> None:
        for reader in [each for each, group in self._open.items() if before is None or group.at <= before]:
            group = self._open.pop(reader)
            self.audit.append(
                mail_items_accessed(group.call, group.messages, at=group.at, record_id=drawn_guid(self._rng))
            )

    def flush(self) -> None:
        """Write the records that are still open, as if two minutes had passed."""
        self._close(before=None)

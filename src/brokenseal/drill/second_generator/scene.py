"""Everything that the processes of one tenant share, and the one way in which any of them opens a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients
from brokenseal.drill.second_generator.dice import Dice
from brokenseal.drill.second_generator.sign_in_lines import encode, instant_text, whole_millisecond

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.books import Books
    from brokenseal.drill.second_generator.changes import Changes
    from brokenseal.drill.second_generator.clock import Clock
    from brokenseal.drill.second_generator.company import App, Company, Mailbox, Message, Seat, Tag, Token
    from brokenseal.drill.second_generator.desk import Caller, Desk
    from brokenseal.drill.second_generator.exchange import Exchange
    from brokenseal.drill.second_generator.outbox import Outbox
    from brokenseal.drill.second_generator.places import Net, World
    from brokenseal.drill.second_generator.post import Post

_FETCHED: Final = 0.25
"""Chance that somebody who opens a message with attachments opens these too."""


@dataclass(slots=True, eq=False, kw_only=True)
class Scene:
    """One tenant while it lives."""

    seed: int
    tenant: Company
    world: World
    clock: Clock
    outbox: Outbox
    books: Books
    desk: Desk
    exchange: Exchange
    post: Post
    changes: Changes
    chance: Dice

    def dice(self, *keys: int | str) -> Dice:
        """The dice of one process of this tenant."""
        return Dice(self.seed, "tenant", self.tenant.no, *keys)

    def open(self, seat: Seat, net: Net, mailbox: Mailbox, message: Message) -> None:
        """Somebody opens a message now."""
        now = self.clock.now
        caller = self.desk.caller(seat, net, now)
        self.exchange.bind(mailbox, caller, message, now)
        if seat.kind.protocol in {"graph", "graph_script"}:
            token = seat.token
            assert token is not None
            agent = clients.agent_text(seat.agent, now)
            self._graph(caller, token, seat.kind.app_id, net, mailbox, message, agent, session=seat.sid)
        elif message.has_attachment and seat.kind.protocol != "mapi" and self.chance.chance(_FETCHED):
            self.exchange.attachments(mailbox, caller, message, now)
        if caller.tag is None and (seat.person is mailbox.owner or mailbox.owner is None):
            message.is_unread = False

    def open_as_app(
        self, app: App, net: Net, mailbox: Mailbox, message: Message, *, tag: Tag | None = None, kind: str = "app"
    ) -> None:
        """An application opens a message in its own name now."""
        now = self.clock.now
        caller = self.desk.app_caller(app, net, now, tag=tag, kind=kind)
        self.exchange.bind(mailbox, caller, message, now)
        assert app.token is not None
        self._graph(caller, app.token, app.app_id, net, mailbox, message, app.agent, principal=app.sp_oid)

    def _graph(
        self,
        caller: Caller,
        token: Token,
        app_id: str,
        net: Net,
        mailbox: Mailbox,
        message: Message,
        agent: str,
        *,
        principal: str = "",
        session: str = "",
    ) -> None:
        now, dice = self.clock.now, self.chance
        request_id = dice.guid()
        owner = mailbox.owner.oid if mailbox.owner is not None else mailbox.upn
        body = encode(
            {
                "TimeGenerated": instant_text(now),
                "Type": "MicrosoftGraphActivityLogs",
                "AadTenantId": self.tenant.tenant_id,
                "ApiVersion": "v1.0",
                "AppId": app_id,
                "ClientAuthMethod": 1 if principal else 0,
                "ClientRequestId": dice.guid(),
                "DurationMs": 20 + dice.below(400),
                "IPAddress": net.address,
                "Location": "West Europe",
                "RequestId": request_id,
                "RequestMethod": "GET",
                "RequestUri": f"https://graph.microsoft.com/v1.0/users/{owner}/messages/AAMkA{message.no:012X}AAA=",
                "ResponseSizeBytes": message.size,
                "ResponseStatusCode": 200,
                "Roles": "Mail.Read" if principal else "",
                "Scopes": "" if principal else "Mail.Read",
                "ServicePrincipalId": principal,
                "SessionId": session,
                "SignInActivityId": token.text,
                "UniqueTokenId": token.text,
                "TokenIssuedAt": instant_text(token.issued),
                "UserAgent": agent,
                "UserId": "" if principal else caller.subject,
            }
        )
        self.outbox.put(
            "graph_activity",
            f"graph:{request_id}",
            whole_millisecond(now),
            body,
            actor=caller.subject,
            actor_kind=caller.actor_kind,
            tag=caller.tag,
        )
